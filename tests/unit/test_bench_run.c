#include "cli/bench_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S_IN_NS UINT64_C(1000000000)

static struct bench_run *start(struct bench_options *options, uint64_t rate, uint64_t seconds)
{
    *options = (struct bench_options){
        .in_flight = 1, .entries_per_call = 1, .entry_bytes = 16, .seconds = seconds, .rate = rate
    };
    struct bench_run *run = bench_run_new(options);
    run->start_ns = 0;
    run->until_ns = seconds * S_IN_NS;
    return run;
}

static void calls_are_due_evenly(void **state)
{
    (void)state;
    static const uint64_t rates[] = { 1, 3, 7, 1000, BENCH_RATE_MAX };
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        struct bench_options options;
        struct bench_run *run = start(&options, rates[i], 2);
        uint64_t wait_ns = 0;
        uint64_t now = 0;
        for (uint64_t n = 0; n < 2 * rates[i]; n++) {
            struct bench_call *call = bench_call_due(run, now, &wait_ns);
            if (call == NULL) {
                now += wait_ns;
                call = bench_call_due(run, now, &wait_ns);
            }
            assert_non_null(call);
            assert_int_equal(call->start_ns, n * S_IN_NS / rates[i]);
            const struct err failure = { .code = E_BUSY };
            bench_call_end(run, call, &failure);
        }
        assert_null(bench_call_due(run, now, &wait_ns));
        assert_int_equal(wait_ns, 0);
        assert_int_equal(bench_run_unsent(run), 0);
        bench_run_free(run);
    }
}

/* After a stall the calls that were due are sent at once, each with the time it was due: their
 * latencies tell of the stall. */
static void a_stall_is_not_hidden(void **state)
{
    (void)state;
    struct bench_options options;
    struct bench_run *run = start(&options, 100, 2);
    uint64_t wait_ns = 0;
    for (uint64_t n = 0; n < 150; n++) {
        struct bench_call *call = bench_call_due(run, S_IN_NS + S_IN_NS / 2 - 1, &wait_ns);
        assert_non_null(call);
        assert_int_equal(call->start_ns, n * S_IN_NS / 100);
    }
    assert_null(bench_call_due(run, S_IN_NS + S_IN_NS / 2 - 1, &wait_ns));
    assert_int_equal(wait_ns, 1);
    bench_run_free(run);
}

static void what_is_never_sent_is_counted(void **state)
{
    (void)state;
    struct bench_options options;
    struct bench_run *run = start(&options, 2 * BENCH_IN_FLIGHT_MAX, 1);
    uint64_t wait_ns = 0;
    for (int n = 0; n < BENCH_IN_FLIGHT_MAX; n++) {
        assert_non_null(bench_call_due(run, S_IN_NS, &wait_ns));
    }
    assert_null(bench_call_due(run, S_IN_NS, &wait_ns)); /* all are under way */
    assert_true(wait_ns > 0);
    assert_null(bench_call_due(run, 3 * S_IN_NS, &wait_ns));
    assert_int_equal(wait_ns, 0);
    assert_int_equal(bench_run_unsent(run), BENCH_IN_FLIGHT_MAX);
    bench_run_free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_due_evenly),
        cmocka_unit_test(a_stall_is_not_hidden),
        cmocka_unit_test(what_is_never_sent_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
