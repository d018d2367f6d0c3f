#include "client/verify_context.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>
#include <jansson.h>

static json_t *put(const struct verify_context *context)
{
    struct err err;
    struct buf out = BUF_INIT(VERIFY_CONTEXT_BYTES_MAX);
    assert_int_equal(verify_context_put(&out, context, &err), E_OK);
    for (size_t i = 0; i < out.len; i++) {
        assert_in_range(out.data[i], 0x20, 0x7e);
    }
    json_t *read = json_loadb((const char *)out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(read);
    buf_clear(&out);
    return read;
}

static struct verify_context context_of(const char *server, const struct verify_context_log *logs,
                                        size_t count)
{
    return (struct verify_context){ .server = server,
                                    .name = "a",
                                    .page_hash = "00",
                                    .now_s = 7,
                                    .log_count = count,
                                    .logs = logs };
}

static void verify_context_is_these_bytes(void **state)
{
    (void)state;
    struct hash hash = { { 0xab } };
    struct verify_context_log log = { .origin = "o\"\xc3\xa4",
                                      .policy_hash = &hash,
                                      .policy = span_of_str("log\n"),
                                      .has_tiles = true };
    struct verify_context context = context_of(VERIFY_CONTEXT_LOG, &log, 1);
    struct err err;
    struct buf out = BUF_INIT(VERIFY_CONTEXT_BYTES_MAX), id = BUF_INIT(64);
    verify_context_put_log_id(&id, log.origin);
    assert_int_equal(id.len, 22);
    assert_int_equal(verify_context_put(&out, &context, &err), E_OK);
    char wanted[1024];
    snprintf(
        wanted, sizeof wanted,
        "{\"page_sha256\":\"00\",\"server\":\"log\",\"name\":\"a\",\"version\":\"%s\",\"time\":7,"
        "\"logs\":[{\"origin\":\"o\\\"\\u00E4\",\"log_id\":\"%.22s\",\"policy_sha256\":\"ab%062d\","
        "\"policy\":\"log\\n\",\"policy_from\":\"log\",\"tiles\":\"/"
        "\",\"size\":null,\"alerts\":null,"
        "\"alerts_checked\":false}]}",
        COURTROLL_VERSION, buf_c_str(&id), 0);
    assert_string_equal(buf_c_str(&out), wanted);
    buf_clear(&out);
    buf_clear(&id);
}

static void verify_context_says_no_alert_only_when_it_was_looked_for(void **state)
{
    (void)state;
    struct verify_context_log logs[] = {
        { .origin = "a", .is_checked = true }, /* it does not know of alerts at all */
        { .origin = "b", .knows_alerts = true },
        { .origin = "c", .knows_alerts = true, .is_checked = true },
    };
    struct verify_context context = context_of(VERIFY_CONTEXT_MONITOR, logs, 3);
    json_t *read = put(&context);
    json_t *list = json_object_get(read, "logs");
    for (size_t i = 0; i < 3; i++) {
        json_t *log = json_array_get(list, i);
        assert_int_equal(json_is_true(json_object_get(log, "alerts_checked")), i == 2);
        assert_int_equal(json_is_null(json_object_get(log, "alerts")), i == 0);
    }
    json_decref(read);
}

static void verify_context_is_bounded_and_keeps_the_hash_of_what_it_leaves_out(void **state)
{
    (void)state;
    struct hash hash = { { 1 } };
    struct buf big = BUF_INIT(VERIFY_CONTEXT_POLICIES_MAX + 1);
    memset(buf_extend(&big, VERIFY_CONTEXT_POLICIES_MAX), 1, VERIFY_CONTEXT_POLICIES_MAX);
    struct verify_context_alert alerts[VERIFY_CONTEXT_ALERTS_MAX + 1];
    for (size_t i = 0; i <= VERIFY_CONTEXT_ALERTS_MAX; i++) {
        alerts[i] = (struct verify_context_alert){ "id", "code", "critical", "open", "\xff" };
    }
    struct verify_context_log *logs = mem_calloc(VERIFY_CONTEXT_LOGS_MAX + 1, sizeof *logs);
    for (size_t i = 0; i <= VERIFY_CONTEXT_LOGS_MAX; i++) {
        logs[i] = (struct verify_context_log){ .origin = "o", .policy_hash = &hash };
        logs[i].policy = i < 2 ? buf_span(&big) : (struct span){ 0 };
    }
    logs[0].alerts = alerts;
    logs[0].alert_count = VERIFY_CONTEXT_ALERTS_MAX + 1;
    logs[0].knows_alerts = true;
    struct verify_context context =
        context_of(VERIFY_CONTEXT_MONITOR, logs, VERIFY_CONTEXT_LOGS_MAX + 1);
    json_t *read = put(&context);
    json_t *list = json_object_get(read, "logs");
    assert_int_equal(json_array_size(list), VERIFY_CONTEXT_LOGS_MAX);
    json_t *first = json_array_get(list, 0), *second = json_array_get(list, 1);
    assert_int_equal(json_array_size(json_object_get(first, "alerts")), VERIFY_CONTEXT_ALERTS_MAX);
    assert_int_equal(json_string_length(json_object_get(first, "policy")),
                     VERIFY_CONTEXT_POLICIES_MAX);
    assert_true(json_is_null(json_object_get(second, "policy")));
    assert_int_equal(json_string_length(json_object_get(second, "policy_sha256")), 64);
    json_decref(read);
    mem_free(logs);
    buf_clear(&big);
}

static void verify_context_that_does_not_fit_is_an_error(void **state)
{
    (void)state;
    struct err err;
    struct buf out = BUF_INIT(16);
    struct verify_context context = context_of(VERIFY_CONTEXT_LOG, NULL, 0);
    assert_int_equal(verify_context_put(&out, &context, &err), E_TOO_LARGE);
    buf_clear(&out);
}

static void verify_context_has_no_policy_that_is_no_text(void **state)
{
    (void)state;
    struct hash hash = { { 1 } };
    struct verify_context_log log = { .origin = "o",
                                      .policy_hash = &hash,
                                      .policy = span_of_str("\xff") };
    struct verify_context context = context_of(VERIFY_CONTEXT_LOG, &log, 1);
    json_t *read = put(&context);
    json_t *told = json_array_get(json_object_get(read, "logs"), 0);
    assert_true(json_is_null(json_object_get(told, "policy")));
    assert_true(json_is_string(json_object_get(told, "policy_sha256")));
    json_decref(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verify_context_is_these_bytes),
        cmocka_unit_test(verify_context_says_no_alert_only_when_it_was_looked_for),
        cmocka_unit_test(verify_context_is_bounded_and_keeps_the_hash_of_what_it_leaves_out),
        cmocka_unit_test(verify_context_that_does_not_fit_is_an_error),
        cmocka_unit_test(verify_context_has_no_policy_that_is_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
