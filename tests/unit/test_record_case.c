#include "monitor/record_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
    KIND_NOTICE = 18,
    KIND_RELEASE = 37,
    KIND_DISBURSE = 67,
    KIND_DELIST = 86,
    KIND_RESUME = 98,
    KIND_REVERSAL = 105,
    KIND_ARCHIVED = 106,
    KIND_DOC = 130,
    KIND_CORRECTION = 131,
    KIND_LATE_ENTRY = 132,
    ENTRIES_MAX = 32,
};

static struct record_case_entry entries[ENTRIES_MAX];
static struct record_case judged;
static char told[1024]; /* "case-gap 7@9 ..." */
static bool shows_triggers;

static int set_up(void **state)
{
    (void)state;
    judged = (struct record_case){ .entries = entries };
    shows_triggers = false;
    return 0;
}

/* The next entry of the log, by submitter 0. */
static void log_entry(uint64_t number, uint32_t kind, uint64_t minute)
{
    entries[judged.count] = (struct record_case_entry){
        .number = number, .index = 10 + judged.count, .kind = kind, .minute = minute
    };
    judged.count++;
}

static void by(size_t submitter)
{
    entries[judged.count - 1].submitter = submitter;
}

static void on_finding(void *ctx, const struct record_case_finding *finding)
{
    size_t len = strlen(told);
    (void)ctx;
    assert_true(finding->is_over || finding->text[0] != 0);
    assert_true(finding->trigger >= finding->index || finding->is_over);
    snprintf(told + len, sizeof told - len, "%s%s %d", len > 0 ? ", " : "",
             finding->is_over ? "over" : finding_kind(finding->code)->text, (int)finding->index);
    if (shows_triggers) {
        len = strlen(told);
        snprintf(told + len, sizeof told - len, "@%d", (int)finding->trigger);
    }
}

/* Judging changes the order of entries only. */
static void assert_told(const char *expected)
{
    for (int i = 0; i < 2; i++) {
        told[0] = 0;
        record_case_judge(&judged, on_finding, NULL);
        assert_string_equal(told, expected);
    }
}

static void numbers_in_order_are_fine(void **state)
{
    (void)state;
    assert_told("");
    for (uint64_t i = 0; i < 20; i++) {
        log_entry(i / 2, KIND_NOTICE, 100 + i);
        by(i % 2);
    }
    assert_told("");
}

static void a_gap_is_told_at_the_entry_behind_it(void **state)
{
    (void)state;
    log_entry(1, KIND_NOTICE, 100);
    log_entry(2, KIND_NOTICE, 100);
    log_entry(5, KIND_NOTICE, 100);
    log_entry(7, KIND_NOTICE, 100);
    log_entry(1, KIND_NOTICE, 100);
    by(1);
    assert_told("case-gap 10, case-gap 12, case-gap 13, case-gap 14");
}

static void a_gap_that_was_filled_is_over_by_the_last_that_fills_it(void **state)
{
    (void)state;
    shows_triggers = true;
    log_entry(0, KIND_NOTICE, 100);
    log_entry(3, KIND_NOTICE, 100);
    log_entry(1, KIND_NOTICE, 100);
    assert_told("case-gap 11@11, case-order 12@12");
    log_entry(2, KIND_NOTICE, 100);
    assert_told("over 11@13, case-order 13@13, case-order 12@12");
}

static void order_is_told_of_each_that_is_late(void **state)
{
    (void)state;
    log_entry(0, KIND_NOTICE, 100);
    log_entry(2, KIND_NOTICE, 102);
    log_entry(1, KIND_NOTICE, 101);
    log_entry(3, KIND_NOTICE, 103);
    assert_told("over 11, case-order 12");
}

static void times_go_forward_by_number(void **state)
{
    (void)state;
    log_entry(0, KIND_NOTICE, 100);
    log_entry(1, KIND_NOTICE, 90);
    log_entry(2, KIND_NOTICE, 0); /* sealed: nobody knows */
    log_entry(3, KIND_LATE_ENTRY, 50);
    log_entry(4, KIND_NOTICE, 100);
    log_entry(5, KIND_NOTICE, 99);
    log_entry(6, KIND_NOTICE, 101);
    assert_told("case-time-backwards 11, case-time-backwards 15");
}

static void times_of_two_submitters_are_two_clocks(void **state)
{
    (void)state;
    log_entry(0, KIND_NOTICE, 100);
    log_entry(0, KIND_NOTICE, 90);
    by(1);
    log_entry(1, KIND_NOTICE, 101);
    assert_told("");
}

/* Logged late and with its own time, it is out of order and nothing else. */
static void what_is_out_of_order_has_one_fault(void **state)
{
    (void)state;
    log_entry(0, KIND_NOTICE, 100);
    log_entry(2, KIND_NOTICE, 102);
    log_entry(1, KIND_NOTICE, 104);
    log_entry(3, KIND_NOTICE, 103);
    assert_told("over 11, case-order 12");
}

static void behind_closed_only_some_kinds_may_come(void **state)
{
    static const uint32_t allowed[] = { KIND_REVERSAL, KIND_CORRECTION, KIND_ARCHIVED, KIND_DELIST,
                                        KIND_RELEASE,  KIND_DISBURSE,   KIND_UNSEAL };
    (void)state;
    log_entry(0, KIND_CASE_FILED, 100);
    log_entry(1, KIND_CLOSED, 100);
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
        log_entry(2 + i, allowed[i], 100);
    }
    assert_told("");
    log_entry(9, KIND_DOC, 100);
    log_entry(10, KIND_SEALED, 0);
    log_entry(0, KIND_NOTICE, 100);
    by(1);
    log_entry(11, KIND_CLOSED, 100);
    assert_told("case-after-closed 19, case-after-closed 20, case-after-closed 21, "
                "case-after-closed 22");
}

static void a_case_that_is_resumed_is_open_again(void **state)
{
    (void)state;
    log_entry(0, KIND_CLOSED, 100);
    log_entry(1, KIND_RESUME, 100);
    log_entry(2, KIND_DOC, 100);
    log_entry(3, KIND_CLOSED, 100);
    log_entry(4, KIND_DOC, 100);
    assert_told("case-after-closed 14");
}

static void a_case_is_filed_once(void **state)
{
    uint64_t filed = 0;
    (void)state;
    assert_false(record_case_filed(&judged, &filed));
    log_entry(0, KIND_NOTICE, 100);
    assert_false(record_case_filed(&judged, &filed));
    log_entry(1, KIND_CASE_FILED, 100);
    log_entry(2, KIND_CASE_FILED, 100);
    log_entry(3, KIND_CASE_FILED, 100);
    assert_told("case-filed-twice 12, case-filed-twice 13");
    assert_true(record_case_filed(&judged, &filed));
    assert_int_equal(filed, 11);
    entries[1].is_of_another_number = true;
    assert_told("bad-record 11, case-filed-twice 12, case-filed-twice 13");
}

/* -- counts -- */

static void log_closed(uint64_t number, uint32_t first, uint32_t second)
{
    struct record_case_closed *closed = &judged.closed[judged.closed_count++];
    log_entry(number, KIND_CLOSED, 100);
    *closed = (struct record_case_closed){ .index = entries[judged.count - 1].index,
                                           .is_readable = true };
    closed->counts[0].submitter = 0;
    closed->counts[0].count = first;
    closed->counts[1].submitter = 1;
    closed->counts[1].count = second;
    closed->count = second > 0 ? 2 : 1;
}

static void counts_are_of_what_was_logged_by_then(void **state)
{
    (void)state;
    log_entry(0, KIND_CASE_FILED, 100);
    log_entry(0, KIND_NOTICE, 100);
    by(1);
    log_closed(1, 2, 1);
    log_entry(1, KIND_RELEASE, 100); /* after it, and not counted */
    by(1);
    assert_told("");
    judged.closed[0].counts[0].count = 3;
    assert_told("case-count 12");
    judged.closed[0].counts[0].count = 1;
    assert_told("case-count 12");
    judged.closed[0].counts[0].count = 2;
    judged.closed[0].counts[1].count = 2;
    assert_told("case-count 12");
}

static void a_submitter_who_is_not_counted_is_missed(void **state)
{
    (void)state;
    log_entry(0, KIND_NOTICE, 100);
    by(1);
    log_closed(0, 1, 0);
    assert_told("case-count 11");
    judged.closed[0].count = 8; /* there may be more than eight: who else, nobody knows */
    for (size_t i = 1; i < 8; i++) {
        judged.closed[0].counts[i].submitter = 10 + i;
    }
    assert_told("");
}

/* One fault, one finding. */
static void a_hole_is_a_gap_and_no_matter_of_counts(void **state)
{
    (void)state;
    log_entry(0, KIND_CASE_FILED, 100);
    log_entry(2, KIND_NOTICE, 100);
    log_closed(3, 4, 0);
    assert_told("case-gap 11");
}

static void counts_that_cannot_be_read_are_wrong(void **state)
{
    (void)state;
    log_closed(0, 1, 0);
    judged.closed[0].is_readable = false;
    assert_told("case-count 10");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        CASE(numbers_in_order_are_fine),
        CASE(a_gap_is_told_at_the_entry_behind_it),
        CASE(a_gap_that_was_filled_is_over_by_the_last_that_fills_it),
        CASE(order_is_told_of_each_that_is_late),
        CASE(times_go_forward_by_number),
        CASE(times_of_two_submitters_are_two_clocks),
        CASE(what_is_out_of_order_has_one_fault),
        CASE(behind_closed_only_some_kinds_may_come),
        CASE(a_case_that_is_resumed_is_open_again),
        CASE(a_case_is_filed_once),
        CASE(counts_are_of_what_was_logged_by_then),
        CASE(a_submitter_who_is_not_counted_is_missed),
        CASE(a_hole_is_a_gap_and_no_matter_of_counts),
        CASE(counts_that_cannot_be_read_are_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
