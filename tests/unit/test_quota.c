#include "monitor/quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum {
    HOUR_MS = 3600 * 1000
};

static void quota_gives_an_hours_worth_at_once_and_no_more(void **state)
{
    (void)state;
    struct quota quota;
    quota_init(&quota, 10, 5);
    for (int i = 0; i < 10; i++) {
        assert_true(quota_take(&quota, 1, 5));
    }
    assert_false(quota_take(&quota, 1, 5));
    assert_true(quota_take(&quota, 1, 5 + HOUR_MS / 10));
    assert_false(quota_take(&quota, 1, 5 + HOUR_MS / 10));
}

static void quota_of_a_minute_gives_a_minutes_worth_at_once(void **state)
{
    (void)state;
    struct quota quota;
    quota_init_per_minute(&quota, 2, 0);
    assert_true(quota_take(&quota, 2, 0));
    assert_false(quota_take(&quota, 1, 0));
    assert_false(quota_take(&quota, 1, HOUR_MS / 60 / 2 - 1));
    assert_true(quota_take(&quota, 1, HOUR_MS / 60 / 2));
    assert_false(quota_take(&quota, 3, HOUR_MS));
    assert_true(quota_take(&quota, 2, HOUR_MS));
}

static void quota_does_not_save_up_for_longer_than_an_hour(void **state)
{
    (void)state;
    struct quota quota;
    quota_init(&quota, 10, 0);
    assert_false(quota_take(&quota, 11, 100ull * HOUR_MS));
    assert_true(quota_take(&quota, 10, 100ull * HOUR_MS));
    assert_false(quota_take(&quota, 1, 100ull * HOUR_MS));
}

static void quota_refused_takes_nothing(void **state)
{
    (void)state;
    struct quota quota;
    quota_init(&quota, 10, 0);
    assert_false(quota_take(&quota, 11, 0));
    assert_true(quota_take(&quota, 10, 0));
}

static void quota_of_a_clock_that_goes_back_gives_nothing(void **state)
{
    (void)state;
    struct quota quota;
    quota_init(&quota, 2, 2 * HOUR_MS);
    assert_true(quota_take(&quota, 2, 2 * HOUR_MS));
    assert_false(quota_take(&quota, 1, HOUR_MS));
    assert_false(quota_take(&quota, 1, 2 * HOUR_MS));
}

static void quota_of_zero_is_no_limit(void **state)
{
    (void)state;
    struct quota quota;
    quota_init(&quota, 0, 0);
    assert_true(quota_take(&quota, 1u << 30, 0));
    assert_true(quota_take(&quota, 1u << 30, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quota_gives_an_hours_worth_at_once_and_no_more),
        cmocka_unit_test(quota_of_a_minute_gives_a_minutes_worth_at_once),
        cmocka_unit_test(quota_does_not_save_up_for_longer_than_an_hour),
        cmocka_unit_test(quota_refused_takes_nothing),
        cmocka_unit_test(quota_of_a_clock_that_goes_back_gives_nothing),
        cmocka_unit_test(quota_of_zero_is_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
