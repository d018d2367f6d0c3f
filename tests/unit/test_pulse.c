/* What a watchdog learns of a thread: how long its step lasts. */
#include "base/pulse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void pulse_at_rest_is_never_stuck(void **state)
{
    (void)state;
    struct pulse pulse = { 0 };
    assert_int_equal(pulse_stuck_ms(&pulse), 0);
    pulse_step(&pulse);
    pulse_rest(&pulse);
    assert_int_equal(pulse_stuck_ms(&pulse), 0);
}

static void pulse_grows_within_a_step_and_starts_again_with_the_next(void **state)
{
    (void)state;
    struct pulse pulse = { 0 };
    pulse_step(&pulse);
    uint64_t first = atomic_load(&pulse.since_ms);
    while (pulse_stuck_ms(&pulse) < 5) {
    }
    pulse_step(&pulse);
    assert_true(atomic_load(&pulse.since_ms) >= first + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pulse_at_rest_is_never_stuck),
        cmocka_unit_test(pulse_grows_within_a_step_and_starts_again_with_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
