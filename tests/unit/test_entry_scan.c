#include "client/entry_scan.h"

#include "base/alloc.h"
#include "tests/support/files.h"
#include "tests/support/log_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char *directory;
    char *path;
    struct log_dir dir;
    struct log_address address;
    uint64_t seen, told;
    uint64_t fails_at; /* the callback does, there */
};

static struct fixture start(uint64_t size)
{
    struct fixture fixture = { .directory = files_make_temp_dir(), .fails_at = UINT64_MAX };
    struct err err;
    char text[512];
    fixture.path = files_join(fixture.directory, "log");
    log_dir_make(&fixture.dir, fixture.path, size);
    snprintf(text, sizeof text, "file:%s", fixture.path);
    assert_int_equal(log_address_parse(&fixture.address, text, &err), E_OK);
    return fixture;
}

static void stop(struct fixture *fixture)
{
    log_dir_clear(&fixture->dir);
    free(fixture->path);
    files_remove_tree(fixture->directory);
}

static enum err_code on_entry(void *ctx, uint64_t index, struct span entry, struct err *err)
{
    struct fixture *fixture = ctx;
    struct buf expected = BUF_INIT(ENTRY_BYTES_MAX);
    assert_int_equal(index, fixture->seen++);
    log_dir_put_entry(&expected, index);
    assert_true(span_is_equal(entry, buf_span(&expected)));
    buf_clear(&expected);
    return index == fixture->fails_at ? err_set(err, E_DENIED, "enough") : E_OK;
}

static void on_progress(void *ctx, uint64_t entries)
{
    struct fixture *fixture = ctx;
    assert_true(entries >= fixture->told);
    fixture->told = entries;
}

static enum err_code scan(struct fixture *fixture, struct err *err)
{
    const struct entry_scan_options options = { .log = &fixture->address,
                                                .size = fixture->dir.checkpoint.size,
                                                .root = fixture->dir.checkpoint.root,
                                                .ctx = fixture,
                                                .on_entry = on_entry,
                                                .on_progress = on_progress };
    return entry_scan_run(&options, err);
}

static void every_entry_comes_once_and_in_order(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 0, 1, 2, 255, 256, 257, 511, 512, 513, 3000 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct fixture fixture = start(sizes[i]);
        struct err err;
        assert_int_equal(scan(&fixture, &err), E_OK);
        assert_int_equal(fixture.seen, sizes[i]);
        assert_int_equal(fixture.told, sizes[i]);
        stop(&fixture);
    }
}

static void entries_of_another_root_are_corrupt(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 0, 1, 700 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct fixture fixture = start(sizes[i]);
        struct err err;
        fixture.dir.checkpoint.root.bytes[31] ^= 1;
        assert_int_equal(scan(&fixture, &err), E_CORRUPT);
        stop(&fixture);
    }
}

static void a_lost_bundle_is_named(void **state)
{
    (void)state;
    struct fixture fixture = start(2000);
    struct err err;
    char *bundle = files_join(fixture.path, "tile/entries/003");
    assert_int_equal(unlink(bundle), 0);
    free(bundle);
    assert_int_equal(scan(&fixture, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, "tile/entries/003"));
    assert_int_equal(fixture.seen, 768);
    stop(&fixture);
}

/* Wherever that is, the threads that read ahead are gone afterwards. */
static void the_callback_may_end_it(void **state)
{
    (void)state;
    struct fixture fixture = start(2000);
    struct err err;
    for (uint64_t at = 0; at < 2000; at += 333) {
        fixture.seen = fixture.told = 0;
        fixture.fails_at = at;
        assert_int_equal(scan(&fixture, &err), E_DENIED);
        assert_int_equal(fixture.seen, at + 1);
    }
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_comes_once_and_in_order),
        cmocka_unit_test(entries_of_another_root_are_corrupt),
        cmocka_unit_test(a_lost_bundle_is_named),
        cmocka_unit_test(the_callback_may_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
