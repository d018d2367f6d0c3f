#include "cli/latency.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct latency *filled(uint64_t count, uint64_t unit_ns)
{
    struct latency *latency = NEW(struct latency);
    for (uint64_t i = 1; i <= count; i++) {
        latency_add(latency, i * unit_ns);
    }
    return latency;
}

/* Every magnitude from nanoseconds to hours. */
static void percentiles_are_within_two_percent(void **state)
{
    (void)state;
    for (uint64_t unit = 1; unit < 10000000000; unit *= 10) {
        struct latency *latency = filled(1000, unit);
        const double shares[] = { 0.01, 0.5, 0.9, 0.99, 0.999 };
        for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
            double expected = shares[i] * 1000 * (double)unit / 1e6;
            double found = latency_ms(latency, shares[i]);
            assert_true(found >= expected * 0.999);
            assert_true(found <= expected * 1.017 + 2 * (double)unit / 1e6);
        }
        assert_true(latency->max_ns == 1000 * unit);
        mem_free(latency);
    }
}

static void no_percentile_is_above_the_maximum(void **state)
{
    (void)state;
    struct latency *latency = NEW(struct latency);
    assert_true(latency_ms(latency, 0.99) == 0);
    latency_add(latency, 1234567);
    assert_true(latency_ms(latency, 0.5) * 1e6 <= 1234567.1);
    assert_true(latency_ms(latency, 1) * 1e6 <= 1234567.1);
    latency_add(latency, UINT64_MAX);
    assert_true(latency->total == 2);
    mem_free(latency);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_within_two_percent),
        cmocka_unit_test(no_percentile_is_above_the_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
