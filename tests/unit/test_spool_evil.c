/* A log that answers wrongly empties nothing: every fault in turn, then honesty, and all is there once. */
#include "tests/support/spool_world.h"

enum {
    ITEMS = 6
};

static void put_some(struct spool_world *world)
{
    for (uint64_t i = 0; i < ITEMS / 2; i++) {
        spool_world_put(world, "a", i, "");
        spool_world_put(world, "", i, "");
    }
}

static void wrong_answers_empty_nothing(void **state)
{
    (void)state;
    static const enum fake_log_fault faults[] = {
        FAKE_LOG_OTHER_LEAF,  FAKE_LOG_OTHER_INDEX, FAKE_LOG_BAD_PROOF,  FAKE_LOG_OTHER_ORIGIN,
        FAKE_LOG_UNKNOWN_LOG, FAKE_LOG_BAD_NOTE,    FAKE_LOG_HUGE_PROOF,
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct spool_world world;
        spool_world_start(&world);
        fake_log_set_fault(world.log, faults[i]);
        put_some(&world);
        SPOOL_WORLD_UNTIL(spool_world_status(&world).wrong >= ITEMS);
        struct spool_status status = spool_world_status(&world);
        assert_int_equal(status.waiting, ITEMS);
        assert_int_equal(status.proved, 0);
        assert_int_equal(world.proved, 0);
        assert_non_null(strstr(status.reason, "wrong"));
        /* Closed and opened, they are still there. */
        spool_world_close(&world);
        spool_world_open(&world);
        assert_int_equal(spool_world_status(&world).waiting, ITEMS);
        fake_log_set_fault(world.log, FAKE_LOG_HONEST);
        spool_world_flush(&world);
        assert_int_equal(fake_log_size(world.log), ITEMS);
        assert_int_equal(fake_log_counts(world.log).disorders, 0);
        assert_int_equal(world.bad, 0);
        spool_world_stop(&world);
    }
}

static void answers_that_make_no_sense_are_asked_for_again(void **state)
{
    (void)state;
    static const enum fake_log_fault faults[] = { FAKE_LOG_FEWER, FAKE_LOG_GARBAGE,
                                                  FAKE_LOG_UNAVAILABLE };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct spool_world world;
        spool_world_start(&world);
        fake_log_set_fault(world.log, faults[i]);
        put_some(&world);
        SPOOL_WORLD_UNTIL(fake_log_counts(world.log).calls > 2);
        assert_int_equal(spool_world_status(&world).waiting, ITEMS);
        assert_int_equal(spool_world_status(&world).refused_now, 0);
        fake_log_set_fault(world.log, FAKE_LOG_HONEST);
        spool_world_flush(&world);
        assert_int_equal(fake_log_size(world.log), ITEMS);
        spool_world_stop(&world);
    }
}

/* A checkpoint without a quorum proves nothing, whatever the log calls it. */
static void without_a_quorum_items_stay_and_are_asked_again(void **state)
{
    (void)state;
    static const enum fake_log_fault faults[] = { FAKE_LOG_NO_QUORUM, FAKE_LOG_NOT_WITNESSED };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct spool_world world;
        spool_world_start(&world);
        fake_log_set_fault(world.log, faults[i]);
        put_some(&world);
        SPOOL_WORLD_UNTIL(spool_world_status(&world).durable == ITEMS);
        SPOOL_WORLD_UNTIL(fake_log_counts(world.log).receipts > 1);
        assert_int_equal(spool_world_status(&world).waiting, ITEMS);
        assert_int_equal(spool_world_status(&world).proved, 0);
        assert_null(strchr(spool_world_status(&world).reason, '\n'));
        /* Others of the case go on behind what is durable. */
        spool_world_put(&world, "a", ITEMS / 2, "");
        SPOOL_WORLD_UNTIL(fake_log_size(world.log) == ITEMS + 1);
        fake_log_set_fault(world.log, FAKE_LOG_HONEST);
        spool_world_flush(&world);
        assert_int_equal(fake_log_size(world.log), ITEMS + 1);
        assert_int_equal(world.proved, ITEMS + 1);
        assert_int_equal(world.bad, 0);
        spool_world_stop(&world);
    }
}

/* What it called durable is not there: it is sent again, in order. */
static void what_the_log_forgot_is_sent_again(void **state)
{
    (void)state;
    struct spool_world world;
    spool_world_start(&world);
    fake_log_set_fault(world.log, FAKE_LOG_FORGETS);
    put_some(&world);
    SPOOL_WORLD_UNTIL(spool_world_status(&world).durable == ITEMS);
    assert_int_equal(fake_log_size(world.log), 0);
    fake_log_set_fault(world.log, FAKE_LOG_HONEST);
    spool_world_flush(&world);
    assert_int_equal(fake_log_size(world.log), ITEMS);
    assert_int_equal(fake_log_counts(world.log).disorders, 0);
    spool_world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_answers_empty_nothing),
        cmocka_unit_test(answers_that_make_no_sense_are_asked_for_again),
        cmocka_unit_test(without_a_quorum_items_stay_and_are_asked_again),
        cmocka_unit_test(what_the_log_forgot_is_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
