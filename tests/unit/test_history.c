#include "monitor/history.h"

#include "base/ascii.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_in_order(const struct history *history)
{
    for (size_t i = 1; i < history->count; i++) {
        assert_true(history->samples[i - 1].unix_s < history->samples[i].unix_s);
        if (i + 1 < history->count) { /* the newest may be nearer */
            assert_true((uint64_t)(history->samples[i].unix_s - history->samples[i - 1].unix_s) >=
                        history->spacing_s);
        }
    }
}

static void newest_sample_is_always_exact(void **state)
{
    (void)state;
    struct history history;
    history_init(&history);
    for (int64_t at = 0; at < 200000; at += 7) {
        history_add(&history, at, (uint64_t)at * 3);
        assert_true(history.count <= HISTORY_MAX);
        assert_int_equal(history.samples[history.count - 1].unix_s, at);
        assert_int_equal(history.samples[history.count - 1].size, at * 3);
    }
    assert_in_order(&history);
    assert_int_equal(history.samples[0].unix_s, 0);
}

static void spacing_doubles_when_there_is_no_room(void **state)
{
    (void)state;
    struct history history;
    history_init(&history);
    for (int64_t i = 0; i < HISTORY_MAX; i++) {
        history_add(&history, i * HISTORY_SPACING_S, 1);
    }
    assert_int_equal(history.count, HISTORY_MAX);
    assert_int_equal(history.spacing_s, HISTORY_SPACING_S);
    history_add(&history, (int64_t)HISTORY_MAX * HISTORY_SPACING_S, 2);
    assert_int_equal(history.spacing_s, 2 * HISTORY_SPACING_S);
    assert_int_equal(history.count, HISTORY_MAX / 2 + 1);
    assert_in_order(&history);
}

static void clock_set_back_replaces_what_is_not_before(void **state)
{
    (void)state;
    struct history history;
    history_init(&history);
    history_add(&history, 1000, 1);
    history_add(&history, 2000, 2);
    history_add(&history, 2000, 3);
    assert_int_equal(history.count, 2);
    assert_int_equal(history.samples[1].size, 3);
    history_add(&history, 9000, 4);
    history_add(&history, 1500, 5);
    assert_int_equal(history.count, 2);
    assert_int_equal(history.samples[1].unix_s, 1500);
    history_add(&history, INT64_MIN, 6);
    assert_int_equal(history.count, 1);
    history_add(&history, INT64_MAX, 7);
    assert_int_equal(history.count, 2);
}

static void growth_is_of_the_window_or_as_far_back_as_there_is(void **state)
{
    (void)state;
    struct history history;
    uint64_t entries = 9, took_s = 9;
    history_init(&history);
    assert_false(history_growth(&history, 3600, &entries, &took_s));
    history_add(&history, 1000, 10);
    assert_false(history_growth(&history, 3600, &entries, &took_s));
    history_add(&history, 1100, 25);
    assert_true(history_growth(&history, 3600, &entries, &took_s));
    assert_int_equal(entries, 15);
    assert_int_equal(took_s, 100);
    history_add(&history, 9000, 30);
    assert_true(history_growth(&history, 3600, &entries, &took_s)); /* none in the window but it */
    assert_int_equal(entries, 5);
    assert_int_equal(took_s, 7900);
    history_add(&history, 9100, 20); /* smaller is no growth */
    assert_true(history_growth(&history, 3600, &entries, &took_s));
    assert_int_equal(entries, 0);
    assert_int_equal(took_s, 100);
}

static void forgetting_keeps_one_sample_before_the_window(void **state)
{
    (void)state;
    struct history history;
    history_init(&history);
    for (int64_t at = 0; at <= 1000; at += 100) {
        history_add(&history, at, (uint64_t)at);
    }
    history_forget(&history, 550);
    assert_int_equal(history.count, 6);
    assert_int_equal(history.samples[0].unix_s, 500);
    history_forget(&history, 5000);
    assert_int_equal(history.count, 1);
    assert_int_equal(history.samples[0].unix_s, 1000);
    history_init(&history);
    history_forget(&history, 5000);
    assert_int_equal(history.count, 0);
}

static void stored_history_is_read_back(void **state)
{
    (void)state;
    struct history history, again;
    struct buf bytes = BUF_INIT(HISTORY_BYTES_MAX);
    struct err err;
    history_init(&history);
    for (int64_t i = 0; i < 2 * HISTORY_MAX; i++) {
        history_add(&history, i * HISTORY_SPACING_S, (uint64_t)i);
    }
    history_put(&bytes, &history);
    assert_int_equal(history_parse(&again, buf_span(&bytes), &err), E_OK);
    assert_int_equal(again.count, history.count);
    assert_int_equal(again.spacing_s, history.spacing_s);
    assert_memory_equal(again.samples, history.samples, history.count * sizeof again.samples[0]);
    buf_clear(&bytes);
}

static void truncated_or_unordered_history_is_refused(void **state)
{
    (void)state;
    struct history history, again;
    struct buf bytes = BUF_INIT(HISTORY_BYTES_MAX);
    struct err err;
    history_init(&history);
    history_add(&history, 100, 1);
    history_add(&history, 200, 2);
    history_put(&bytes, &history);
    for (size_t len = 0; len < bytes.len; len++) {
        assert_int_equal(history_parse(&again, span_of(bytes.data, len), &err), E_MALFORMED);
    }
    bytes.data[0] ^= 1; /* the version */
    assert_int_equal(history_parse(&again, buf_span(&bytes), &err), E_MALFORMED);
    buf_reset(&bytes);
    history.samples[1].unix_s = 100;
    history_put(&bytes, &history);
    assert_int_equal(history_parse(&again, buf_span(&bytes), &err), E_MALFORMED);
    buf_reset(&bytes);
    history.samples[1] = (struct history_sample){ 200, SIZE_VALUE_MAX + 1 };
    history_put(&bytes, &history);
    assert_int_equal(history_parse(&again, buf_span(&bytes), &err), E_MALFORMED);
    buf_clear(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_sample_is_always_exact),
        cmocka_unit_test(spacing_doubles_when_there_is_no_room),
        cmocka_unit_test(clock_set_back_replaces_what_is_not_before),
        cmocka_unit_test(growth_is_of_the_window_or_as_far_back_as_there_is),
        cmocka_unit_test(forgetting_keeps_one_sample_before_the_window),
        cmocka_unit_test(stored_history_is_read_back),
        cmocka_unit_test(truncated_or_unordered_history_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
