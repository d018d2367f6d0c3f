#include "monitor/record_repeat.h"
#include "tests/support/operation_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    KIND_NOTICE = 18
};

static struct operation_world *world;
static struct memory_log *mirror;
static struct buf note, file;
static struct checkpoint checkpoint;
static struct record_repeat *repeat;
static struct err err;

/* Entries 1 and 400 have one tag. */
static int set_up(void **state)
{
    (void)state;
    world = operation_world_new();
    operation_world_register(world, 0, NULL);
    operation_world_log(world, 0, 0, 0, KIND_NOTICE);
    for (uint64_t i = 0; memory_log_size(world->log) < 400; i++) {
        operation_world_log(world, 0, 1, i, KIND_NOTICE);
    }
    operation_world_log(world, 0, 0, 0, KIND_NOTICE);
    uint64_t size = memory_log_size(world->log);
    mirror =
        memory_log_fork(world->log, size,
                        &(struct memory_log_options){ .signer = &world->follow->base->log_key });
    memory_log_publish(world->log, size);
    memory_log_publish(mirror, size);
    struct watched_log_options *options = &world->follow->base->options;
    options->sources[1] = (struct scan_source){ mirror, memory_log_open_source };
    options->source_count = 2;
    follow_world_open(world->follow);
    note = follow_world_note(world->follow, world->log, size);
    checkpoint = (struct checkpoint){ .size = size, .root = memory_log_root(world->log, size) };
    buf_init(&file, EVIDENCE_BYTES_MAX);
    repeat = record_repeat_new(world->follow->base->log, buf_span(&note), &checkpoint);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    record_repeat_free(repeat);
    buf_clear(&note);
    buf_clear(&file);
    operation_world_free(world);
    memory_log_free(mirror);
    return 0;
}

static void two_entries_with_one_tag_are_proved(void **state)
{
    struct evidence evidence;
    (void)state;
    for (int i = 0; i < 2; i++) {
        buf_reset(&file);
        assert_int_equal(record_repeat_put(&file, repeat, 1, 400, &err), E_OK);
        assert_int_equal(evidence_parse(&evidence, buf_span(&file), &err), E_OK);
        assert_int_equal(evidence.entries[1].index, 400);
    }
}

static void two_with_other_tags_are_not(void **state)
{
    (void)state;
    assert_int_equal(record_repeat_put(&file, repeat, 2, 400, &err), E_BAD_PROOF);
    assert_int_equal(record_repeat_put(&file, repeat, 0, 400, &err), E_MALFORMED);
    assert_int_equal(file.len, 0);
}

static void what_the_log_does_not_serve_comes_from_a_mirror(void **state)
{
    (void)state;
    memory_log_remove(world->log, "tile/entries/000");
    assert_int_equal(record_repeat_put(&file, repeat, 1, 400, &err), E_OK);
    buf_reset(&file);
    memory_log_fail_all(world->log, E_TIMEOUT);
    assert_int_equal(record_repeat_put(&file, repeat, 1, 400, &err), E_OK);
    buf_reset(&file);
    memory_log_fail_all(mirror, E_TIMEOUT);
    assert_int_equal(record_repeat_put(&file, repeat, 1, 400, &err), E_NOT_FOUND);
    assert_int_equal(file.len, 0);
}

static void entries_that_the_root_does_not_have_prove_nothing(void **state)
{
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    (void)state;
    assert_int_equal(memory_log_get(world->log, "tile/entries/000", &bundle, &err), E_OK);
    bundle.data[bundle.len - 1] ^= 1;
    memory_log_replace(world->log, "tile/entries/000", buf_span(&bundle));
    memory_log_replace(mirror, "tile/entries/000", buf_span(&bundle));
    assert_int_equal(record_repeat_put(&file, repeat, 1, 400, &err), E_NOT_FOUND);
    buf_clear(&bundle);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(two_entries_with_one_tag_are_proved),
        CASE(two_with_other_tags_are_not),
        CASE(what_the_log_does_not_serve_comes_from_a_mirror),
        CASE(entries_that_the_root_does_not_have_prove_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
