/* Also of witness_metrics.h, which tells the same to machines. */
#include "logd/witness_status.h"

#include "logd/witness_metrics.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_words(const struct witness_status *status, const char *expected)
{
    struct buf text = BUF_INIT(WITNESS_STATUS_WORDS_MAX);
    witness_status_put(&text, status, 1000);
    assert_string_equal(buf_c_str(&text), expected);
    buf_clear(&text);
}

static void witness_status_says_how_it_is_doing(void **state)
{
    (void)state;
    struct witness_status status = { .name = "w1", .is_askable = true };
    assert_words(&status, "has not answered yet");
    assert_int_equal(witness_status_age_s(&status, 1000), -1);
    status.is_askable = false;
    assert_words(&status, "by file, has brought nothing yet");
    status.size = 12;
    status.timestamp = 940;
    assert_words(&status, "by file, last cosigned size 12, 60 s ago");
    assert_string_equal(witness_status_problem(&status), "by file");
    status = (struct witness_status){ .is_askable = true, .has_answered = true };
    assert_words(&status, "has not cosigned yet");
    status.is_ahead = true;
    assert_words(&status, "holds a newer checkpoint");
    status =
        (struct witness_status){ .is_askable = true, .is_ok = true, .size = 12, .timestamp = 940 };
    assert_words(&status, "ok; cosigned size 12, 60 s ago");
    assert_string_equal(witness_status_problem(&status), "");
    status.is_ok = false;
    snprintf(status.problem, sizeof status.problem, "answered 500");
    assert_words(&status, "answered 500; cosigned size 12, 60 s ago");
    status.timestamp = 1003; /* its clock is ahead of ours */
    assert_int_equal(witness_status_age_s(&status, 1000), 0);
    status.failures[WITNESS_TIMEOUT] = 3;
    status.failures[WITNESS_INTERNAL] = 4;
    assert_int_equal(witness_status_failures(&status), 7);
}

static void witness_metrics_tell_each_witness_within_the_bound(void **state)
{
    (void)state;
    enum {
        COUNT = POLICY_KEYS_MAX
    };
    static struct witness_status statuses[COUNT];
    static char names[COUNT][300];
    for (size_t i = 0; i < COUNT; i++) { /* names may be any bytes, at any length */
        memset(names[i], '"', sizeof names[i] - 1);
        snprintf(names[i], 4, "%03zu", i);
        names[i][3] = '"';
        statuses[i] = (struct witness_status){ .name = names[i], .size = i };
    }
    statuses[5].failures[WITNESS_CLAIM] = 9;
    statuses[5].name = "w5";
    struct metrics *metrics = metrics_new();
    struct witness_metrics *witnesses = witness_metrics_new(metrics, statuses, COUNT);
    witness_metrics_set(witnesses, statuses, 1000);
    struct buf text = BUF_INIT(METRICS_TEXT_BYTES_MAX);
    metrics_put(&text, metrics);
    const char *all = buf_c_str(&text);
    assert_non_null(
        strstr(all, "courtroll_witness_failures_total{witness=\"w5\",kind=\"claim\"} 9\n"));
    assert_non_null(strstr(all, "courtroll_witness_age_seconds{witness=\"w5\"} -1\n"));
    assert_non_null(strstr(all, "courtroll_witness_size{witness=\"w5\"} 5\n"));
    buf_clear(&text);
    witness_metrics_free(witnesses);
    metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(witness_status_says_how_it_is_doing),
        cmocka_unit_test(witness_metrics_tell_each_witness_within_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
