#include "tests/support/province.h"

#include "base/alloc.h"
#include "base/file.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct province province_make(struct province_options wanted)
{
    struct province made = { .dir = files_make_temp_dir() };
    struct err err;
    struct synth_writer *writer = NULL;
    struct synth_world *world = synth_world_new(wanted.seed);
    const struct synth_writer_options options = { .world = world,
                                                  .dir = made.dir,
                                                  .origin = wanted.origin,
                                                  .has_case_keys = !wanted.has_no_case_keys,
                                                  .minute = (PROVINCE_FIRST_DAY - 1) * 1440 };
    assert_int_equal(synth_writer_open(&writer, &options, &err), E_OK);
    const struct synth_run_options run = {
        .writer = writer,
        .world = world,
        .cases = wanted.cases,
        .first_day = PROVINCE_FIRST_DAY,
        .days = wanted.days != 0 ? wanted.days : 365,
        .longest_days = SYNTH_CASE_DAYS,
        .fault_rate = wanted.fault_rate,
        .has_records = wanted.origin != NULL,
    };
    assert_int_equal(synth_run(&made.report, &run, &err), E_OK);
    made.counts = *synth_writer_counts(writer);
    assert_int_equal(synth_writer_close(writer, &err), E_OK);
    synth_world_free(world);
    return made;
}

struct buf province_read(const char *dir, const char *name)
{
    struct buf bytes = BUF_INIT(PROVINCE_FILE_BYTES_MAX);
    struct err err;
    char *path = file_join(dir, name);
    assert_int_equal(file_read(&bytes, path, &err), E_OK);
    mem_free(path);
    return bytes;
}
