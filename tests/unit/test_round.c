#include "logd/round.h"
#include "tests/support/entries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    INTERVAL = 1000
};

static struct round machine;
static struct round_actions actions; /* of the last step */

static void step(enum round_event_type type, uint64_t now_ms, uint64_t size, bool is_ok)
{
    struct round_event event = { .type = type, .now_ms = now_ms, .size = size, .is_ok = is_ok };
    actions.count = 0;
    round_step(&machine, &event, &actions);
    assert_true(actions.count <= 1);
}

static void news(uint64_t now_ms, uint64_t size)
{
    step(ROUND_NEWS, now_ms, size, true);
}

static void stored(uint64_t now_ms, uint64_t size)
{
    step(ROUND_STORED, now_ms, size, true);
}

static void assert_action(enum round_action_type type)
{
    assert_int_equal(actions.count, 1);
    assert_int_equal(actions.items[0].type, type);
}

static void assert_wait(uint64_t at_ms)
{
    assert_action(ROUND_WAIT);
    assert_int_equal(actions.items[0].at_ms, at_ms);
}

static void assert_nothing(void)
{
    assert_int_equal(actions.count, 0);
}

/* A whole round of a size whose full tiles are stored. */
static void publish(uint64_t now_ms, uint64_t size)
{
    assert_action(ROUND_TAKE_SNAPSHOT);
    step(ROUND_SNAPSHOT, now_ms, size, true);
    assert_action(ROUND_PREPARE);
    step(ROUND_PREPARED, now_ms, 0, true);
    assert_action(ROUND_PUBLISH);
    step(ROUND_PUBLISHED, now_ms, 0, true);
    assert_int_equal(machine.published, size);
}

static void round_new_log_publishes_size_0(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, false, 0, 0);
    news(5, 0);
    publish(5, 0);
    assert_nothing();
    news(6, 0);
    assert_nothing();
}

static void round_without_news_rests(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, true, 7, 0);
    news(5, 7);
    assert_nothing();
    news(5, 6);
    assert_nothing();
    step(ROUND_TICK, 5000, 0, true);
    assert_nothing();
}

static void round_first_news_after_a_rest_begin_at_once(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, true, 7, 0);
    news(100, 8);
    publish(100, 8);
    assert_nothing();
    news(100 + INTERVAL, 9);
    publish(100 + INTERVAL, 9);
}

static void round_keeps_the_interval(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, true, 0, 0);
    news(100, 1);
    publish(130, 1);
    assert_nothing();
    news(140, 2);
    assert_wait(100 + INTERVAL); /* from beginning to beginning */
    news(150, 3);
    assert_wait(100 + INTERVAL);
    step(ROUND_TICK, 99 + INTERVAL, 0, true);
    assert_wait(100 + INTERVAL);
    step(ROUND_TICK, 100 + INTERVAL, 0, true);
    publish(100 + INTERVAL, 4);
    assert_nothing(); /* news of 3 are in 4 */
}

static void round_news_during_a_round_begin_the_next(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, true, 0, 0);
    news(100, 1);
    step(ROUND_SNAPSHOT, 101, 1, true);
    news(102, 2);
    assert_nothing();
    step(ROUND_PREPARED, 103, 0, true);
    news(104, 3);
    assert_nothing();
    step(ROUND_PUBLISHED, 105, 0, true);
    assert_wait(100 + INTERVAL);
    step(ROUND_TICK, 100 + INTERVAL, 0, true);
    assert_action(ROUND_TAKE_SNAPSHOT);
}

static void round_slow_one_is_followed_at_once(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, true, 0, 0);
    news(100, 1);
    step(ROUND_SNAPSHOT, 100, 1, true);
    news(200, 2);
    step(ROUND_PREPARED, 3000, 0, true);
    step(ROUND_PUBLISHED, 3000, 0, true);
    assert_action(ROUND_TAKE_SNAPSHOT);
}

static void round_waits_for_full_tiles(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, true, 0, 0);
    news(0, 600);
    step(ROUND_SNAPSHOT, 0, 600, true);
    assert_nothing();
    stored(1, 256);
    assert_nothing();
    stored(1, 511);
    assert_nothing();
    stored(1, 512);
    assert_action(ROUND_PREPARE);
    stored(2, 768);
    assert_nothing();
    step(ROUND_PREPARED, 3, 0, true);
    assert_action(ROUND_PUBLISH);
}

static void round_needs_no_tile_for_a_partial_one(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, true, 0, 0);
    news(0, 255);
    publish(0, 255);
    news(INTERVAL, 256);
    step(ROUND_SNAPSHOT, INTERVAL, 256, true);
    assert_nothing();
    stored(INTERVAL, 300); /* as STORED is told: a tree whose full tiles are durable */
    assert_action(ROUND_PREPARE);
}

static void round_knows_what_was_stored_at_the_start(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, true, 500, 768);
    news(0, 800);
    step(ROUND_SNAPSHOT, 0, 800, true);
    assert_action(ROUND_PREPARE);
    stored(0, 0); /* older news change nothing */
    assert_int_equal(machine.stored, 768);
}

static void round_that_cannot_be_prepared_is_tried_again(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, true, 3, 0);
    news(100, 4);
    step(ROUND_SNAPSHOT, 100, 4, true);
    step(ROUND_PREPARED, 110, 0, false);
    assert_wait(110 + ROUND_RETRY_MS);
    assert_int_equal(machine.published, 3);
    step(ROUND_TICK, 110 + ROUND_RETRY_MS, 0, true);
    publish(110 + ROUND_RETRY_MS, 5);
}

static void round_that_cannot_be_published_is_tried_again(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, false, 0, 0);
    news(100, 0);
    step(ROUND_SNAPSHOT, 100, 0, true);
    step(ROUND_PREPARED, 110, 0, true);
    step(ROUND_PUBLISHED, 120, 0, false);
    assert_wait(120 + ROUND_RETRY_MS); /* size 0 is still news */
    step(ROUND_TICK, 120 + ROUND_RETRY_MS, 0, true);
    publish(120 + ROUND_RETRY_MS, 0);
    assert_nothing();
}

static void round_is_tried_again_soon_whatever_the_interval(void **state)
{
    (void)state;
    static const uint64_t intervals[] = { 10, ROUND_RETRY_MS, 3600 * 1000 };
    for (size_t i = 0; i < sizeof intervals / sizeof intervals[0]; i++) {
        uint64_t now = 100;
        round_init(&machine, intervals[i], true, 0, 0);
        news(now, 1);
        for (int failure = 0; failure < 5; failure++) {
            step(ROUND_SNAPSHOT, now, 1, true);
            step(ROUND_PREPARED, now, 0, false);
            assert_wait(now + ROUND_RETRY_MS);
            now += ROUND_RETRY_MS;
            step(ROUND_TICK, now - 1, 0, true);
            assert_wait(now);
            step(ROUND_TICK, now, 0, true);
            assert_action(ROUND_TAKE_SNAPSHOT);
        }
        publish(now, 1);
        news(now, 2); /* and then the interval counts again */
        assert_wait(now + intervals[i]);
    }
}

static void round_of_a_log_that_stops_does_not_wait(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, true, 0, 0);
    news(100, 1);
    publish(100, 1);
    news(110, 2);
    assert_wait(100 + INTERVAL);
    step(ROUND_DRAIN, 120, 0, true);
    publish(120, 2);
    assert_nothing();
    news(130, 3); /* the last calls come to their end */
    publish(130, 4);
    assert_nothing();
}

static void round_under_way_at_the_stop_is_followed_by_the_last(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, true, 0, 0);
    news(100, 1);
    step(ROUND_SNAPSHOT, 100, 1, true);
    news(110, 2);
    step(ROUND_DRAIN, 120, 0, true);
    assert_nothing();
    step(ROUND_PREPARED, 130, 0, true);
    step(ROUND_PUBLISHED, 130, 0, true);
    publish(130, 2);
    assert_nothing();
}

static void round_that_fails_at_the_stop_is_not_tried_without_a_pause(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, true, 0, 0);
    step(ROUND_DRAIN, 100, 0, true);
    assert_nothing();
    news(100, 1);
    step(ROUND_SNAPSHOT, 100, 1, true);
    step(ROUND_PREPARED, 100, 0, false);
    assert_wait(100 + ROUND_RETRY_MS);
}

static void round_paused_begins_nothing(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, true, 0, 0);
    round_pause(&machine, true);
    news(0, 5);
    assert_nothing();
    step(ROUND_TICK, 5000, 0, true);
    assert_nothing();
    round_pause(&machine, false);
    step(ROUND_TICK, 5001, 0, true);
    assert_action(ROUND_TAKE_SNAPSHOT);
}

/* A contradiction that is met in the middle of a round: the signature must not follow. */
static void round_paused_in_its_middle_is_not_signed_until_it_goes_on(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, true, 0, 0);
    news(0, 600);
    assert_action(ROUND_TAKE_SNAPSHOT);
    round_pause(&machine, true); /* SNAPPING */
    stored(1, 512);
    step(ROUND_SNAPSHOT, 2, 600, true);
    assert_nothing();
    step(ROUND_TICK, 9999, 0, true);
    assert_nothing();
    step(ROUND_DRAIN, 9999, 0, true);
    assert_nothing();
    round_pause(&machine, false);
    step(ROUND_TICK, 10000, 0, true);
    assert_action(ROUND_PREPARE);

    round_init(&machine, INTERVAL, true, 0, 0);
    news(0, 600);
    step(ROUND_SNAPSHOT, 1, 600, true);
    assert_nothing();
    round_pause(&machine, true); /* STORING */
    stored(2, 512);
    assert_nothing();
    news(3, 700);
    assert_nothing();
    round_pause(&machine, false);
    step(ROUND_TICK, 4, 0, true);
    assert_action(ROUND_PREPARE);
}

static void round_keeps_no_older_notes_without_witnesses(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, true, 0, 0);
    for (uint64_t size = 1; size < 100; size++) {
        news(size * INTERVAL, size);
        publish(size * INTERVAL, size);
        assert_int_equal(machine.note_count, 1);
    }
}

/* Whatever happens in whatever order: a size is prepared only on top of stored tiles, published sizes
 * do not fall, two rounds begin an interval apart, and in the end all is published. */
static void round_invariants_hold_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        uint64_t random = seed, now = 0, durable = 0, tiles = 0, begun = 0, signed_size = 0;
        bool has_begun = false;
        round_init(&machine, INTERVAL, false, 0, 0);
        news(0, 0);
        for (size_t i = 0; i < 400; i++) {
            bool is_over = i > 300; /* then nothing fails, and nothing new comes */
            enum round_action_type type = actions.count > 0 ? actions.items[0].type : ROUND_WAIT;
            if (actions.count > 0 && type == ROUND_TAKE_SNAPSHOT) {
                assert_true(!has_begun || now - begun >= INTERVAL);
                begun = now;
                has_begun = true;
                signed_size = durable;
                step(ROUND_SNAPSHOT, now, durable, true);
                continue;
            }
            if (actions.count > 0 && type == ROUND_PREPARE) {
                assert_true(tiles >= signed_size / 256 * 256);
            }
            if (actions.count > 0 && type != ROUND_WAIT) {
                uint64_t before = machine.published;
                now += entries_next_number(&random) % 400;
                bool is_ok = is_over || entries_next_number(&random) % 4 > 0;
                step(type == ROUND_PREPARE ? ROUND_PREPARED : ROUND_PUBLISHED, now, 0, is_ok);
                assert_true(machine.published >= before);
                continue;
            }
            now += is_over ? INTERVAL : entries_next_number(&random) % 300;
            switch (entries_next_number(&random) % 3) {
            case 0:
                durable += is_over ? 0 : entries_next_number(&random) % 200;
                news(now, durable);
                break;
            case 1:
                tiles = durable / 256 * 256;
                stored(now, tiles);
                break;
            default:
                step(ROUND_TICK, now, 0, true);
            }
        }
        assert_int_equal(machine.published, durable);
        assert_false(machine.is_first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_new_log_publishes_size_0),
        cmocka_unit_test(round_without_news_rests),
        cmocka_unit_test(round_first_news_after_a_rest_begin_at_once),
        cmocka_unit_test(round_keeps_the_interval),
        cmocka_unit_test(round_news_during_a_round_begin_the_next),
        cmocka_unit_test(round_slow_one_is_followed_at_once),
        cmocka_unit_test(round_waits_for_full_tiles),
        cmocka_unit_test(round_needs_no_tile_for_a_partial_one),
        cmocka_unit_test(round_knows_what_was_stored_at_the_start),
        cmocka_unit_test(round_that_cannot_be_prepared_is_tried_again),
        cmocka_unit_test(round_that_cannot_be_published_is_tried_again),
        cmocka_unit_test(round_is_tried_again_soon_whatever_the_interval),
        cmocka_unit_test(round_of_a_log_that_stops_does_not_wait),
        cmocka_unit_test(round_under_way_at_the_stop_is_followed_by_the_last),
        cmocka_unit_test(round_that_fails_at_the_stop_is_not_tried_without_a_pause),
        cmocka_unit_test(round_paused_begins_nothing),
        cmocka_unit_test(round_paused_in_its_middle_is_not_signed_until_it_goes_on),
        cmocka_unit_test(round_keeps_no_older_notes_without_witnesses),
        cmocka_unit_test(round_invariants_hold_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
