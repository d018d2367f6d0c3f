/* record_seals: since when something is sealed, by the times of notes. (test_record_watch.c has what is opened.) */
#include "monitor/record_seals.h"
#include "tests/support/compare_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    DAY_S = 86400,
    DAYS = 30,
    NOW = COMPARE_WORLD_NOW,
    TOLD_MAX = 3000,
};

static struct compare_world *world;
static struct record_store *store;
static struct record_seals *seals;
static struct err err;
static uint64_t told[TOLD_MAX];
static size_t told_count;

static void open_seals(void)
{
    assert_int_equal(record_store_open(&store, world->log, &err), E_OK);
    assert_int_equal(record_seals_open(&seals, store, (uint64_t)DAYS * DAY_S, &err), E_OK);
}

static int set_up(void **state)
{
    (void)state;
    world = compare_world_new("group g 2 w0 w1 w2\nquorum g\n");
    told_count = 0;
    open_seals();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    record_seals_free(seals);
    record_store_free(store);
    compare_world_free(world);
    return 0;
}

static void restart(void)
{
    record_seals_free(seals);
    record_store_free(store);
    open_seals();
}

static void write_waiting(void)
{
    struct kv_batch batch;
    kv_batch_init(&batch);
    record_store_put_waiting(store, &batch);
    assert_int_equal(state_store_write(world->options.store, &batch, &err), E_OK);
    record_store_on_written(store);
    kv_batch_clear(&batch);
}

static void seal(uint64_t index)
{
    struct operation operation = { .is_sealed = true };
    struct hash leaf = sha256(span_of(&index, sizeof index));
    record_store_advance(store, index);
    record_seals_note(seals, &operation, &leaf, index);
    record_store_advance(store, index + 1);
}

static void hold(uint64_t size, uint64_t time_s)
{
    struct compact_range range = { .size = size }; /* nobody asks for its hashes */
    struct kv_batch batch;
    kv_batch_init(&batch);
    record_store_advance(store, size);
    record_seals_note_time(seals, size, time_s);
    record_store_put_base(store, &range, &batch);
    assert_int_equal(state_store_write(world->options.store, &batch, &err), E_OK);
    record_store_on_base(store, &range);
    kv_batch_clear(&batch);
}

static enum err_code on_late(void *ctx, uint64_t index, struct err *e)
{
    (void)ctx;
    (void)e;
    assert_true(told_count < TOLD_MAX);
    told[told_count++] = index;
    return E_OK;
}

static bool look(uint64_t now_s, size_t max)
{
    bool has_more = false;
    assert_int_equal(record_seals_look(seals, now_s, max, on_late, NULL, &has_more, &err), E_OK);
    write_waiting();
    return has_more;
}

static void an_entry_is_as_old_as_the_first_note_that_has_it(void **state)
{
    (void)state;
    for (uint64_t day = 0; day < 20; day++) {
        seal(10 * day);
        hold(10 * day + 10, NOW + day * DAY_S);
    }
    for (uint64_t day = 0; day < 20; day++) {
        assert_false(look(NOW + (DAYS + day) * DAY_S - 1, 100));
        assert_int_equal(told_count, day);
        assert_false(look(NOW + (DAYS + day) * DAY_S, 100));
        assert_int_equal(told_count, day + 1);
        assert_int_equal(told[day], 10 * day);
        restart();
    }
}

/* However many notes there were, an entry is never late too early, and late by a share of the time allowed at most. */
static void thousands_of_notes_are_a_bounded_number(void **state)
{
    enum {
        NOTES = 3000,
        PAUSE_S = 1200
    };
    (void)state;
    for (uint64_t i = 0; i < NOTES; i++) {
        seal(i);
        hold(i + 1, NOW + i * PAUSE_S);
    }
    restart();
    uint64_t end_s = NOW + (uint64_t)NOTES * PAUSE_S, allowed_s = (uint64_t)DAYS * DAY_S;
    for (uint64_t i = 0; i < NOTES; i += 50) {
        uint64_t due_s = NOW + i * PAUSE_S + allowed_s;
        if (due_s > end_s) { /* time does not go back */
            look(due_s - 1, NOTES);
            assert_true(told_count <= i);
        }
        uint64_t late_s = due_s + allowed_s / 200 > end_s ? due_s + allowed_s / 200 : end_s;
        while (look(late_s, NOTES)) {
        }
        assert_true(told_count > i);
    }
    while (look(end_s + allowed_s + allowed_s / 200, NOTES)) {
    }
    assert_int_equal(told_count, NOTES);
}

static void only_so_many_are_told_in_one_go(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 25; i++) {
        seal(i);
    }
    hold(25, NOW);
    uint64_t late_s = NOW + (uint64_t)DAYS * DAY_S;
    assert_true(look(late_s, 10));
    assert_int_equal(told_count, 10);
    assert_true(look(late_s, 10));
    assert_false(look(late_s, 10));
    assert_int_equal(told_count, 25);
    assert_false(look(late_s, 10));
    assert_int_equal(told_count, 25);
}

static enum err_code refuse(void *ctx, uint64_t index, struct err *e)
{
    (void)ctx;
    (void)index;
    return err_set(e, E_IO, "not durable");
}

static void what_was_not_durable_is_told_again(void **state)
{
    bool has_more = false;
    (void)state;
    seal(3);
    hold(10, NOW);
    uint64_t late_s = NOW + (uint64_t)DAYS * DAY_S;
    assert_int_equal(record_seals_look(seals, late_s, 10, refuse, NULL, &has_more, &err), E_IO);
    look(late_s, 10);
    assert_int_equal(told_count, 1);
}

static void what_is_not_held_is_not_late(void **state)
{
    (void)state;
    seal(3);
    write_waiting();
    record_seals_note_time(seals, 10, NOW); /* an anchor, in the stretch that is scanned */
    look(NOW + (uint64_t)DAYS * DAY_S, 10);
    assert_int_equal(told_count, 0);
    hold(10, NOW + DAY_S);
    look(NOW + (uint64_t)DAYS * DAY_S, 10);
    assert_int_equal(told_count, 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(an_entry_is_as_old_as_the_first_note_that_has_it),
        CASE(thousands_of_notes_are_a_bounded_number),
        CASE(only_so_many_are_told_in_one_go),
        CASE(what_was_not_durable_is_told_again),
        CASE(what_is_not_held_is_not_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
