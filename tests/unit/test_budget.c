/* Budgets of requests, in a time that the test tells. */
#include "witness/budget.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

enum {
    START = 1000000, /* ms */
    MINUTE = 60000
};

static struct budget *make(uint64_t peer_per_minute, uint64_t log_per_minute)
{
    struct budget_limits limits = { peer_per_minute, log_per_minute };
    return budget_new(&limits);
}

static bool take(struct budget *budget, const char *peer, uint64_t now)
{
    return budget_take_peer(budget, span_of_str(peer), now);
}

/* How many requests in a row are let through at that time. */
static unsigned take_all(struct budget *budget, const char *peer, uint64_t now)
{
    unsigned count = 0;
    while (count < 1000000 && take(budget, peer, now)) {
        count++;
    }
    return count;
}

static void budget_lets_through_a_minutes_worth_and_fills_again(void **state)
{
    (void)state;
    struct budget *budget = make(60, 0);
    assert_int_equal(take_all(budget, "192.0.2.1", START), 60);
    assert_false(take(budget, "192.0.2.1", START + 999));
    assert_true(take(budget, "192.0.2.1", START + 1000));
    assert_false(take(budget, "192.0.2.1", START + 1000));
    assert_int_equal(take_all(budget, "192.0.2.1", START + 1000 + MINUTE / 2), 30);
    assert_int_equal(take_all(budget, "192.0.2.1", START + 100 * (uint64_t)MINUTE), 60);
    budget_free(budget);
}

/* Asking while it is empty does not put off the next token, and no fraction is lost. */
static void budget_fills_at_its_rate_however_often_it_is_asked(void **state)
{
    (void)state;
    struct budget *budget = make(7, 0);
    take_all(budget, "192.0.2.1", START);
    unsigned taken = 0;
    for (uint64_t now = START; now < START + 10 * (uint64_t)MINUTE; now += 13) {
        taken += take(budget, "192.0.2.1", now);
    }
    assert_in_range(taken, 69, 70);
    budget_free(budget);
}

static void budget_without_a_limit_lets_all_through(void **state)
{
    (void)state;
    struct budget *budget = make(0, 0);
    struct hash log = { { 1 } };
    for (int i = 0; i < 100000; i++) {
        assert_true(take(budget, "192.0.2.1", START));
        assert_true(budget_take_log(budget, &log, 0, START));
    }
    budget_return_peer(budget, span_of_str("192.0.2.1"), START);
    budget_free(budget);
}

static void budget_counts_each_address_by_itself(void **state)
{
    (void)state;
    struct budget *budget = make(5, 0);
    assert_int_equal(take_all(budget, "192.0.2.1", START), 5);
    assert_int_equal(take_all(budget, "192.0.2.2", START), 5);
    assert_int_equal(take_all(budget, "not an address", START), 5);
    assert_int_equal(take_all(budget, "not an address either", START), 5);
    assert_int_equal(take_all(budget, "", START), 5);
    budget_free(budget);
}

static void budget_counts_ipv6_by_its_first_half(void **state)
{
    (void)state;
    struct budget *budget = make(5, 0);
    assert_int_equal(take_all(budget, "2001:db8:0:1::1", START), 5);
    assert_false(take(budget, "2001:db8:0:1:ffff:ffff:ffff:ffff", START));
    assert_false(take(budget, "2001:0db8:0000:0001:0::7", START));
    assert_false(take(budget, "[2001:db8:0:1::1]", START));
    assert_int_equal(take_all(budget, "2001:db8:0:2::1", START), 5);
    assert_int_equal(take_all(budget, "fe80::1%eth0", START), 5);
    assert_false(take(budget, "fe80::2%eth1", START));
    budget_free(budget);
}

/* All IPv4 clients of a listener for both share the first half of these. */
static void budget_counts_mapped_ipv4_as_ipv4(void **state)
{
    (void)state;
    struct budget *budget = make(5, 0);
    assert_int_equal(take_all(budget, "::ffff:192.0.2.1", START), 5);
    assert_false(take(budget, "192.0.2.1", START));
    assert_int_equal(take_all(budget, "::ffff:192.0.2.2", START), 5);
    budget_free(budget);
}

static void budget_never_charges_a_unix_socket(void **state)
{
    (void)state;
    struct budget *budget = make(1, 1);
    for (int i = 0; i < 100; i++) {
        assert_true(take(budget, "unix", START));
        assert_true(take(budget, "unix:", START));
    }
    budget_free(budget);
}

static void budget_gives_back_no_more_than_was_taken(void **state)
{
    (void)state;
    struct budget *budget = make(5, 0);
    struct span peer = span_of_str("192.0.2.1");
    assert_int_equal(take_all(budget, "192.0.2.1", START), 5);
    budget_return_peer(budget, peer, START);
    budget_return_peer(budget, peer, START);
    assert_int_equal(take_all(budget, "192.0.2.1", START), 2);
    for (int i = 0; i < 100; i++) {
        budget_return_peer(budget, peer, START);
    }
    assert_int_equal(take_all(budget, "192.0.2.1", START), 5);
    budget_return_peer(budget, span_of_str("192.0.2.99"), START); /* never seen */
    assert_int_equal(take_all(budget, "192.0.2.99", START), 5);
    budget_free(budget);
}

/* Nobody uses up a log's budget by requests that fail: those are the sender's. */
static void budget_of_a_log_is_not_touched_by_peers(void **state)
{
    (void)state;
    struct budget *budget = make(5, 3);
    struct hash log = { { 1 } }, other = { { 2 } };
    assert_int_equal(take_all(budget, "192.0.2.66", START), 5);
    for (int i = 0; i < 1000; i++) {
        assert_false(take(budget, "192.0.2.66", START));
    }
    for (int i = 0; i < 3; i++) {
        assert_true(budget_take_log(budget, &log, 0, START));
    }
    assert_false(budget_take_log(budget, &log, 0, START));
    assert_true(budget_take_log(budget, &other, 0, START));
    assert_true(take(budget, "192.0.2.1", START));
    assert_true(budget_take_log(budget, &log, 0, START + MINUTE));
    budget_free(budget);
}

static unsigned take_all_of_log(struct budget *budget, uint8_t number, uint64_t per_day)
{
    struct hash log = { { number } };
    unsigned count = 0;
    while (count < 10000 && budget_take_log(budget, &log, per_day, START)) {
        count++;
    }
    return count;
}

static void budget_of_a_log_is_raised_by_its_announced_rate_and_never_lowered(void **state)
{
    (void)state;
    struct budget *budget = make(0, 6);
    assert_int_equal(take_all_of_log(budget, 1, 0), 6);
    assert_int_equal(take_all_of_log(budget, 2, 1), 6);
    assert_int_equal(take_all_of_log(budget, 3, 6 * 1440), 6);
    assert_int_equal(take_all_of_log(budget, 4, 6 * 1440 + 1), 7);
    assert_int_equal(take_all_of_log(budget, 5, 86400), 60);
    assert_int_equal(take_all_of_log(budget, 6, UINT64_MAX), 10000);
    budget_free(budget);
}

/* The table is bounded: who comes from too many addresses is forgotten, the one seen longest ago first. */
static void budget_remembers_the_addresses_seen_last(void **state)
{
    (void)state;
    struct budget *budget = make(1, 0);
    char peer[32];
    for (int i = 0; i < BUDGET_PEERS_MAX; i++) {
        snprintf(peer, sizeof peer, "10.1.%d.%d", i / 256, i % 256);
        assert_true(take(budget, peer, START));
    }
    assert_false(take(budget, "10.1.0.0", START)); /* known, and now the one seen last */
    for (int i = 0; i < BUDGET_PEERS_MAX - 1; i++) {
        snprintf(peer, sizeof peer, "10.2.%d.%d", i / 256, i % 256);
        assert_true(take(budget, peer, START));
    }
    assert_false(take(budget, "10.1.0.0", START));
    assert_true(take(budget, "10.1.0.1", START)); /* forgotten */
    budget_free(budget);
}

static void budget_survives_absurd_times_and_rates(void **state)
{
    (void)state;
    struct budget *budget = make(UINT64_MAX, UINT64_MAX);
    assert_true(take(budget, "192.0.2.1", UINT64_MAX));
    assert_true(take(budget, "192.0.2.1", 0));
    assert_true(take(budget, "192.0.2.1", UINT64_MAX));
    budget_return_peer(budget, span_of_str("192.0.2.1"), 0);
    assert_int_equal(take_all_of_log(budget, 1, UINT64_MAX), 10000);
    budget_free(budget);

    budget = make(1, 0); /* a clock that went back fills nothing, and goes on from there */
    assert_true(take(budget, "192.0.2.1", START));
    assert_false(take(budget, "192.0.2.1", 5));
    assert_false(take(budget, "192.0.2.1", 5 + MINUTE - 1));
    assert_true(take(budget, "192.0.2.1", 5 + MINUTE));
    budget_free(budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budget_lets_through_a_minutes_worth_and_fills_again),
        cmocka_unit_test(budget_fills_at_its_rate_however_often_it_is_asked),
        cmocka_unit_test(budget_without_a_limit_lets_all_through),
        cmocka_unit_test(budget_counts_each_address_by_itself),
        cmocka_unit_test(budget_counts_ipv6_by_its_first_half),
        cmocka_unit_test(budget_counts_mapped_ipv4_as_ipv4),
        cmocka_unit_test(budget_never_charges_a_unix_socket),
        cmocka_unit_test(budget_gives_back_no_more_than_was_taken),
        cmocka_unit_test(budget_of_a_log_is_not_touched_by_peers),
        cmocka_unit_test(budget_of_a_log_is_raised_by_its_announced_rate_and_never_lowered),
        cmocka_unit_test(budget_remembers_the_addresses_seen_last),
        cmocka_unit_test(budget_survives_absurd_times_and_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
