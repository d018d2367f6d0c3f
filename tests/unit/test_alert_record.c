#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "monitor/alert_record.h"

static struct err err;

static struct alert_record make(size_t evidence_count)
{
    struct alert_record record = { .episode = 5, .reminded_s = 11, .refreshed_s = -12 };
    record.alert = (struct alert){ .number = UINT64_MAX,
                                   .code = FINDING_WITHHELD,
                                   .state = ALERT_ACKNOWLEDGED,
                                   .origin = "log.example.org/1",
                                   .subject = "a subject",
                                   .summary = "a summary",
                                   .comment = "a comment",
                                   .first_seen_s = 7,
                                   .last_seen_s = 8,
                                   .resolved_s = 9,
                                   .count = 10,
                                   .evidence_found = 99,
                                   .evidence_count = evidence_count,
                                   .is_drill = true };
    for (size_t i = 0; i < evidence_count; i++) {
        memset(&record.alert.evidence[i], (int)i + 1, HASH_BYTES);
    }
    alert_record_set_id(&record);
    return record;
}

static void fill(char *text, size_t room)
{
    memset(text, 'x', room - 1);
    text[room - 1] = 0;
}

static void records_come_back(void **state)
{
    (void)state;
    for (size_t count = 0; count <= ALERT_EVIDENCE_MAX; count++) {
        struct alert_record record = make(count), back;
        struct buf out = BUF_INIT(ALERT_RECORD_BYTES_MAX);
        if (count == ALERT_EVIDENCE_MAX) { /* the largest there is */
            fill(record.alert.origin, sizeof record.alert.origin);
            fill(record.alert.subject, sizeof record.alert.subject);
            fill(record.alert.summary, sizeof record.alert.summary);
            fill(record.alert.comment, sizeof record.alert.comment);
            alert_record_set_id(&record);
        }
        alert_record_put(&out, &record);
        assert_int_equal(alert_record_parse(&back, buf_span(&out), &err), E_OK);
        assert_memory_equal(&back, &record, sizeof record);
        buf_clear(&out);
    }
}

static void every_code_and_state_comes_back(void **state)
{
    (void)state;
    for (int code = 0; code < FINDING_COUNT; code++) {
        struct alert_record record = make(1), back;
        struct buf out = BUF_INIT(ALERT_RECORD_BYTES_MAX);
        record.alert.code = (enum finding_code)code;
        record.alert.state = (enum alert_state)(code % 3);
        alert_record_put(&out, &record);
        assert_int_equal(alert_record_parse(&back, buf_span(&out), &err), E_OK);
        assert_int_equal(back.alert.code, code);
        assert_int_equal(back.alert.state, code % 3);
        buf_clear(&out);
    }
}

static void what_is_cut_or_too_long_is_corrupt(void **state)
{
    (void)state;
    struct alert_record record = make(2), back;
    struct buf out = BUF_INIT(ALERT_RECORD_BYTES_MAX);
    alert_record_put(&out, &record);
    for (size_t len = 0; len < out.len; len++) {
        assert_int_equal(alert_record_parse(&back, span_of(out.data, len), &err), E_CORRUPT);
    }
    buf_put_u8(&out, 0);
    assert_int_equal(alert_record_parse(&back, buf_span(&out), &err), E_CORRUPT);
    buf_clear(&out);
}

/* Whatever a damaged byte makes of it: corrupt, or a record that is written the same. */
static void damaged_bytes_are_corrupt_or_mean_something(void **state)
{
    (void)state;
    struct alert_record record = make(2), back;
    struct buf out = BUF_INIT(ALERT_RECORD_BYTES_MAX), again = BUF_INIT(ALERT_RECORD_BYTES_MAX);
    alert_record_put(&out, &record);
    for (size_t i = 0; i < out.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            out.data[i] ^= (uint8_t)(1u << bit);
            enum err_code rc = alert_record_parse(&back, buf_span(&out), &err);
            if (rc == E_OK) {
                buf_reset(&again);
                alert_record_put(&again, &back);
                assert_true(span_is_equal(buf_span(&again), buf_span(&out)));
            } else {
                assert_int_equal(rc, E_CORRUPT);
            }
            out.data[i] ^= (uint8_t)(1u << bit);
        }
    }
    buf_clear(&out);
    buf_clear(&again);
}

static void deliveries_and_numbers_come_back(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(64);
    struct alert_waiting waiting = { DELIVERY_REMINDER, 77 }, waiting_back;
    struct alert_next next = { 1, UINT64_MAX, 3 }, next_back;
    alert_waiting_put(&out, &waiting);
    assert_int_equal(alert_waiting_parse(&waiting_back, buf_span(&out), &err), E_OK);
    assert_int_equal(waiting_back.event, DELIVERY_REMINDER);
    assert_int_equal(waiting_back.alert, 77);
    for (size_t len = 0; len < out.len; len++) {
        assert_int_equal(alert_waiting_parse(&waiting_back, span_of(out.data, len), &err),
                         E_CORRUPT);
    }
    out.data[1] = DELIVERY_RESOLVED + 1;
    assert_int_equal(alert_waiting_parse(&waiting_back, buf_span(&out), &err), E_CORRUPT);
    buf_reset(&out);
    alert_next_put(&out, &next);
    assert_int_equal(alert_next_parse(&next_back, buf_span(&out), &err), E_OK);
    assert_memory_equal(&next, &next_back, sizeof next);
    for (size_t len = 0; len < out.len; len++) {
        assert_int_equal(alert_next_parse(&next_back, span_of(out.data, len), &err), E_CORRUPT);
    }
    buf_clear(&out);
}

static void keys_sort_by_number(void **state)
{
    (void)state;
    struct hash sink = { { 1, 2, 3 } }, back;
    uint64_t number, numbers[] = { 0, 1, 255, 256, 65535, 65536, UINT64_MAX };
    for (size_t i = 0; i < 7; i++) {
        struct alert_key key = alert_key_queue(&sink, numbers[i]);
        assert_int_equal(alert_key_parse_queue(&back, &number, alert_key_span(&key), &err), E_OK);
        assert_true(hash_is_equal(&sink, &back));
        assert_int_equal(number, numbers[i]);
        key.len--;
        assert_int_equal(alert_key_parse_queue(&back, &number, alert_key_span(&key), &err),
                         E_CORRUPT);
        for (size_t j = 0; j < i; j++) {
            struct alert_key a = alert_key_record(numbers[j]), b = alert_key_record(numbers[i]);
            assert_true(span_compare(alert_key_span(&a), alert_key_span(&b)) < 0);
        }
    }
    struct alert_key key = alert_key_sink(&sink);
    assert_int_equal(alert_key_parse_sink(&back, alert_key_span(&key), &err), E_OK);
    key.len--;
    assert_int_equal(alert_key_parse_sink(&back, alert_key_span(&key), &err), E_CORRUPT);
}

/* Where one text ends and the next begins is part of the cause. */
static void causes_do_not_run_together(void **state)
{
    (void)state;
    struct hash a = alert_record_cause(FINDING_STALLED, "ab", "c");
    struct hash b = alert_record_cause(FINDING_STALLED, "a", "bc");
    struct hash c = alert_record_cause(FINDING_NO_QUORUM, "ab", "c");
    assert_false(hash_is_equal(&a, &b));
    assert_false(hash_is_equal(&a, &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back),
        cmocka_unit_test(every_code_and_state_comes_back),
        cmocka_unit_test(what_is_cut_or_too_long_is_corrupt),
        cmocka_unit_test(damaged_bytes_are_corrupt_or_mean_something),
        cmocka_unit_test(deliveries_and_numbers_come_back),
        cmocka_unit_test(keys_sort_by_number),
        cmocka_unit_test(causes_do_not_run_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
