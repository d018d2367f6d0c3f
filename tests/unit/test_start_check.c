#include "logd/start_check.h"
#include "tests/support/witnesses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct start_check check;

static struct policy *begin(size_t count, unsigned files, const char *rules)
{
    struct policy *policy = witnesses_policy(count, files, rules);
    start_check_init(&check, policy, 7);
    return policy;
}

/* All that are asked at that time, as bits. */
static unsigned asked(uint64_t now_ms)
{
    unsigned bits = 0;
    size_t witness;
    while (start_check_next(&check, now_ms, &witness)) {
        assert_int_equal(bits >> witness & 1, 0);
        bits |= 1u << witness;
    }
    return bits;
}

static void start_check_asks_all_at_once_and_each_once(void **state)
{
    (void)state;
    struct policy *policy = begin(4, 1 << 1, "group g 2 w1 w2 w3 w4\nquorum g\n");
    assert_int_equal(asked(0), 0xd); /* w2 has no URL */
    assert_int_equal(asked(1000000), 0);
    assert_int_equal(start_check_wake_at(&check), 0);
    policy_free(policy);
}

/* For each policy of k of n and each set of consistent witnesses: passed exactly when fewer than k are
 * left over. */
static void start_check_passes_with_a_blocking_set(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 5; n++) {
        for (size_t k = 1; k <= n; k++) {
            char rules[64];
            int len = snprintf(rules, sizeof rules, "group g %zu", k);
            for (size_t i = 0; i < n; i++) {
                len += snprintf(rules + len, sizeof rules - (size_t)len, " w%zu", i + 1);
            }
            snprintf(rules + len, sizeof rules - (size_t)len, "\nquorum g\n");
            struct policy *policy = witnesses_policy(n, 0, rules);
            for (unsigned set = 0; set < 1u << n; set++) {
                size_t silent = 0;
                start_check_init(&check, policy, set);
                assert_int_equal(asked(5), (1u << n) - 1);
                for (size_t i = 0; i < n; i++) {
                    bool is_consistent = (set >> i & 1) != 0;
                    silent += !is_consistent;
                    start_check_on_answer(&check, i, is_consistent, 6);
                }
                assert_int_equal(start_check_is_passed(&check), silent < k);
                assert_true(start_check_is_possible(&check));
            }
            policy_free(policy);
        }
    }
}

static void start_check_is_impossible_when_too_few_can_be_asked(void **state)
{
    (void)state;
    struct policy *policy = begin(3, 7, "group g 2 w1 w2 w3\nquorum g\n");
    assert_false(start_check_is_possible(&check));
    assert_int_equal(asked(0), 0);
    policy_free(policy);
    policy = begin(3, 6, "group g 2 w1 w2 w3\nquorum g\n"); /* one URL: two could still agree */
    assert_false(start_check_is_possible(&check));
    policy_free(policy);
    policy = begin(3, 4, "group g 2 w1 w2 w3\nquorum g\n");
    assert_true(start_check_is_possible(&check));
    policy_free(policy);
}

static void start_check_asks_again_after_a_while_that_grows(void **state)
{
    (void)state;
    struct policy *policy = begin(1, 0, "quorum w1\n");
    uint64_t now = 10, longest = START_CHECK_BACKOFF_MS;
    assert_int_equal(asked(now), 1);
    for (int i = 0; i < 12; i++) {
        start_check_on_answer(&check, 0, false, now);
        uint64_t at_ms = start_check_wake_at(&check);
        assert_in_range(at_ms - now, longest / 2, longest);
        assert_int_equal(asked(at_ms - 1), 0);
        assert_int_equal(asked(at_ms), 1);
        now = at_ms;
        longest =
            longest * 2 < START_CHECK_BACKOFF_MAX_MS ? longest * 2 : START_CHECK_BACKOFF_MAX_MS;
    }
    start_check_on_answer(&check, 0, true, now);
    assert_true(start_check_is_passed(&check));
    assert_int_equal(asked(now + 1000000), 0); /* whoever has answered is not asked again */
    policy_free(policy);
}

static void start_check_names_who_is_missing(void **state)
{
    (void)state;
    struct policy *policy = begin(3, 0, "group g 2 w1 w2 w3\nquorum g\n");
    struct buf text = BUF_INIT(100);
    asked(0);
    start_check_on_answer(&check, 1, true, 0);
    start_check_on_answer(&check, 0, false, 0);
    start_check_put_missing(&text, &check);
    assert_string_equal(buf_c_str(&text), "w1, w3");
    assert_false(start_check_is_passed(&check));
    buf_clear(&text);
    policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_check_asks_all_at_once_and_each_once),
        cmocka_unit_test(start_check_passes_with_a_blocking_set),
        cmocka_unit_test(start_check_is_impossible_when_too_few_can_be_asked),
        cmocka_unit_test(start_check_asks_again_after_a_while_that_grows),
        cmocka_unit_test(start_check_names_who_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
