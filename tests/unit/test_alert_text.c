#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "monitor/alert_text.h"
#include "monitor/plain_line.h"

#include <jansson.h>
#include <stdio.h>

#define ID   "000102030405060708090a0b0c0d0e0f"
#define PAGE "https://monitor.example.org/"
#define HASH "abababababababababababababababababababababababababababababababab"

static struct buf out;

static int setup(void **state)
{
    (void)state;
    buf_init(&out, ALERT_TEXT_BYTES_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_clear(&out);
    return 0;
}

static struct delivery make(enum delivery_event event)
{
    struct delivery delivery = { .number = 42, .event = event };
    struct alert *alert = &delivery.alert;
    *alert = (struct alert){ .id = ID,
                             .number = 7,
                             .code = FINDING_FORK,
                             .origin = "log.example.org/1",
                             .subject = "witness.example.org",
                             .summary = "Two roots of size 7.",
                             .first_seen_s = 1767225600,
                             .last_seen_s = 1767225660,
                             .count = 3,
                             .evidence_count = 2,
                             .evidence_found = 5 };
    memset(&alert->evidence[0], 0xab, sizeof alert->evidence[0]);
    memset(&alert->evidence[1], 0xcd, sizeof alert->evidence[1]);
    if (event == DELIVERY_RESOLVED) {
        alert->state = ALERT_RESOLVED;
        alert->resolved_s = 1767225700;
        snprintf(alert->comment, sizeof alert->comment, "Ada: done");
    }
    return delivery;
}

static json_t *parse(void)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)out.data, out.len, JSON_REJECT_DUPLICATES, &error);
    assert_non_null(json);
    return json;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

static int64_t number_of(const json_t *object, const char *key)
{
    assert_true(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

static void assert_has(const char *text)
{
    if (strstr(buf_c_str(&out), text) == NULL) {
        fail_msg("%s\n-- is not in --\n%s", text, buf_c_str(&out));
    }
}

static void assert_has_not(const char *text)
{
    assert_null(strstr(buf_c_str(&out), text));
}

/* -- JSON -- */

static void json_has_every_field(void **state)
{
    (void)state;
    struct delivery delivery = make(DELIVERY_OPENED);
    alert_text_put_json(&out, &delivery.alert);
    json_t *json = parse();
    const struct finding_kind *kind = finding_kind(FINDING_FORK);
    assert_string_equal(text_of(json, "id"), ID);
    assert_int_equal(number_of(json, "number"), 7);
    assert_string_equal(text_of(json, "code"), "fork");
    assert_string_equal(text_of(json, "severity"), "critical");
    assert_string_equal(text_of(json, "origin"), "log.example.org/1");
    assert_string_equal(text_of(json, "subject"), "witness.example.org");
    assert_string_equal(text_of(json, "state"), "open");
    assert_int_equal(number_of(json, "first_seen"), 1767225600);
    assert_int_equal(number_of(json, "last_seen"), 1767225660);
    assert_true(json_is_null(json_object_get(json, "resolved")));
    assert_int_equal(number_of(json, "count"), 3);
    assert_string_equal(text_of(json, "summary"), "Two roots of size 7.");
    assert_true(json_is_false(json_object_get(json, "acknowledged")));
    assert_string_equal(text_of(json, "comment"), "");
    assert_true(json_is_false(json_object_get(json, "drill")));
    assert_true(json_is_true(json_object_get(json, "provable")));
    assert_string_equal(text_of(json, "meaning"), kind->meaning);
    assert_string_equal(text_of(json, "runbook"), kind->runbook);
    assert_string_equal(text_of(json, "evidence"), "/evidence/" HASH);
    const json_t *all = json_object_get(json, "evidence_all");
    assert_int_equal(json_array_size(all), 2);
    assert_string_equal(json_string_value(json_array_get(all, 0)), "/evidence/" HASH);
    assert_int_equal(number_of(json, "evidence_found"), 5);
    assert_int_equal(json_object_size(json), 21);
    json_decref(json);
}

static void json_tells_states(void **state)
{
    (void)state;
    struct delivery delivery = make(DELIVERY_RESOLVED);
    delivery.alert.evidence_count = 0;
    delivery.alert.is_drill = true;
    alert_text_put_json(&out, &delivery.alert);
    json_t *json = parse();
    assert_string_equal(text_of(json, "state"), "resolved");
    assert_int_equal(number_of(json, "resolved"), 1767225700);
    assert_string_equal(text_of(json, "comment"), "Ada: done");
    assert_true(json_is_true(json_object_get(json, "drill")));
    assert_true(json_is_null(json_object_get(json, "evidence")));
    assert_int_equal(json_array_size(json_object_get(json, "evidence_all")), 0);
    json_decref(json);
    buf_reset(&out);
    delivery.alert.state = ALERT_ACKNOWLEDGED;
    alert_text_put_json(&out, &delivery.alert);
    json = parse();
    assert_string_equal(text_of(json, "state"), "acknowledged");
    assert_true(json_is_true(json_object_get(json, "acknowledged")));
    assert_true(json_is_null(json_object_get(json, "resolved")));
    json_decref(json);
}

static void webhook_wraps_the_alert(void **state)
{
    (void)state;
    struct delivery delivery = make(DELIVERY_REMINDER);
    alert_text_put_webhook(&out, &delivery, "monitor.example.org", PAGE, 1767225800);
    json_t *json = parse();
    assert_int_equal(number_of(json, "version"), 1);
    assert_string_equal(text_of(json, "event"), "reminder");
    assert_int_equal(number_of(json, "delivery"), 42);
    assert_int_equal(number_of(json, "sent"), 1767225800);
    assert_string_equal(text_of(json, "monitor"), "monitor.example.org");
    assert_string_equal(text_of(json, "page"), PAGE);
    assert_string_equal(text_of(json_object_get(json, "alert"), "id"), ID);
    assert_int_equal(json_object_size(json), 7);
    json_decref(json);
    buf_reset(&out);
    alert_text_put_webhook(&out, &delivery, "m", NULL, 0);
    json = parse();
    assert_true(json_is_null(json_object_get(json, "page")));
    json_decref(json);
}

/* -- Alertmanager -- */

static void alertmanager_takes_one_alert(void **state)
{
    (void)state;
    struct delivery delivery = make(DELIVERY_OPENED);
    alert_text_put_alertmanager(&out, &delivery, "monitor.example.org", PAGE, 1767225660);
    json_t *json = parse();
    assert_int_equal(json_array_size(json), 1);
    const json_t *item = json_array_get(json, 0);
    const json_t *labels = json_object_get(item, "labels");
    const json_t *annotations = json_object_get(item, "annotations");
    assert_string_equal(text_of(labels, "alertname"), "courtroll-fork");
    assert_string_equal(text_of(labels, "code"), "fork");
    assert_string_equal(text_of(labels, "severity"), "critical");
    assert_string_equal(text_of(labels, "origin"), "log.example.org/1");
    assert_string_equal(text_of(labels, "subject"), "witness.example.org");
    assert_string_equal(text_of(labels, "monitor"), "monitor.example.org");
    assert_string_equal(text_of(labels, "alert_id"), ID);
    assert_int_equal(json_object_size(labels), 7);
    assert_string_equal(text_of(annotations, "summary"), "Two roots of size 7.");
    assert_string_equal(text_of(annotations, "runbook"), finding_kind(FINDING_FORK)->runbook);
    assert_string_equal(text_of(annotations, "evidence"), PAGE "evidence/" HASH);
    assert_string_equal(text_of(item, "startsAt"), "2026-01-01T00:00:00Z");
    assert_string_equal(text_of(item, "endsAt"), "2026-01-01T03:01:00Z"); /* in three hours */
    assert_string_equal(text_of(item, "generatorURL"), PAGE);
    json_decref(json);
}

/* Labels are what Alertmanager knows it by: nothing that changes while it is open may be in them. */
static void alertmanager_knows_it_again(void **state)
{
    (void)state;
    struct delivery first = make(DELIVERY_OPENED), last = make(DELIVERY_RESOLVED);
    last.number++;
    last.alert.count = 1000;
    last.alert.last_seen_s++;
    snprintf(last.alert.summary, sizeof last.alert.summary, "other words");
    alert_text_put_alertmanager(&out, &first, "m", NULL, 1767225660);
    json_t *a = parse();
    buf_reset(&out);
    alert_text_put_alertmanager(&out, &last, "m", NULL, 1767229999);
    json_t *b = parse();
    assert_true(json_equal(json_object_get(json_array_get(a, 0), "labels"),
                           json_object_get(json_array_get(b, 0), "labels")));
    assert_string_equal(text_of(json_array_get(b, 0), "startsAt"), "2026-01-01T00:00:00Z");
    assert_string_equal(text_of(json_array_get(b, 0), "endsAt"), "2026-01-01T00:01:40Z");
    assert_null(json_object_get(json_array_get(b, 0), "generatorURL"));
    json_decref(a);
    json_decref(b);
}

static void alertmanager_is_given_no_empty_label_and_no_early_end(void **state)
{
    (void)state;
    struct delivery delivery = make(DELIVERY_RESOLVED);
    delivery.alert.origin[0] = 0;
    delivery.alert.subject[0] = 0;
    delivery.alert.is_drill = true;
    delivery.alert.resolved_s = 5; /* the clock was set back */
    alert_text_put_alertmanager(&out, &delivery, "m", PAGE, 6);
    json_t *json = parse();
    const json_t *item = json_array_get(json, 0), *labels = json_object_get(item, "labels");
    assert_null(json_object_get(labels, "origin"));
    assert_null(json_object_get(labels, "subject"));
    assert_string_equal(text_of(labels, "drill"), "true");
    assert_string_equal(text_of(item, "endsAt"), text_of(item, "startsAt"));
    assert_string_equal(text_of(json_object_get(item, "annotations"), "summary"),
                        "THIS IS A DRILL. Two roots of size 7.");
    json_decref(json);
}

/* -- mail -- */

static void subject_says_what_and_where(void **state)
{
    (void)state;
    struct delivery delivery = make(DELIVERY_OPENED);
    alert_text_put_subject(&out, &delivery, "m");
    assert_string_equal(buf_c_str(&out), "[courtroll] critical fork log.example.org/1 (monitor m)");
    buf_reset(&out);
    delivery = make(DELIVERY_RESOLVED);
    delivery.alert.is_drill = true;
    alert_text_put_subject(&out, &delivery, "m");
    assert_string_equal(buf_c_str(&out),
                        "DRILL [courtroll] resolved: critical fork log.example.org/1 (monitor m)");
    buf_reset(&out);
    delivery = make(DELIVERY_REMINDER);
    alert_text_put_subject(&out, &delivery, "m");
    assert_has("still open: critical fork");
}

static void subject_is_one_short_line(void **state)
{
    (void)state;
    struct delivery delivery = make(DELIVERY_REMINDER);
    char monitor[KEY_NAME_BYTES_MAX + 1];
    memset(delivery.alert.origin, '\n', sizeof delivery.alert.origin - 1);
    memset(monitor, 0xff, sizeof monitor - 1);
    monitor[sizeof monitor - 1] = 0;
    delivery.alert.is_drill = true;
    alert_text_put_subject(&out, &delivery, monitor);
    assert_true(out.len < 200);
    for (size_t i = 0; i < out.len; i++) {
        assert_true(out.data[i] >= 0x20 && out.data[i] < 0x7f);
    }
}

static void body_says_what_to_do(void **state)
{
    (void)state;
    struct delivery delivery = make(DELIVERY_OPENED);
    alert_text_put_body(&out, &delivery, "monitor.example.org", PAGE);
    assert_has(finding_kind(FINDING_FORK)->meaning);
    assert_has(finding_kind(FINDING_FORK)->runbook);
    assert_has("Two roots of size 7.");
    assert_has("log.example.org/1");
    assert_has("witness.example.org");
    assert_has("2026-01-01T00:00:00Z");
    assert_has(PAGE "evidence/" HASH "\n");
    assert_has(PAGE "evidence/cdcd");
    assert_has("courtroll verify-evidence FILE --policy");
    assert_has("courtroll monitor ack --monitor unix:DATA-DIR/control.sock " ID "\n");
    assert_has("monitor.example.org");
    assert_has_not("DRILL");
}

static void body_of_a_drill_says_so_first(void **state)
{
    (void)state;
    struct delivery delivery = make(DELIVERY_RESOLVED);
    delivery.alert.is_drill = true;
    alert_text_put_body(&out, &delivery, "m", NULL);
    assert_true(span_has_prefix(buf_span(&out), span_of_str("THIS IS A DRILL")));
    assert_has("  /evidence/" HASH "\n");
    assert_has("2026-01-01T00:01:40Z");
    assert_has("Ada: done");
    assert_has_not("courtroll monitor ack");
}

/* A mail's lines may have 998 bytes; a line that is a peer's stays one line. */
static void body_has_only_our_lines(void **state)
{
    (void)state;
    struct delivery delivery = make(DELIVERY_OPENED);
    alert_text_put_body(&out, &delivery, "m", PAGE);
    size_t lines = 0, hostile = 0;
    for (size_t i = 0; i < out.len; i++) {
        lines += out.data[i] == '\n' ? 1 : 0;
    }
    buf_reset(&out);
    memset(delivery.alert.origin, '\n', sizeof delivery.alert.origin - 1);
    memset(delivery.alert.subject, '\r', sizeof delivery.alert.subject - 1);
    memset(delivery.alert.summary, '\n', sizeof delivery.alert.summary - 1);
    alert_text_put_body(&out, &delivery, "m\nTo: you", "https://x/\n\nFrom: me");
    size_t line = 0;
    for (size_t i = 0; i < out.len; i++) {
        bool is_end = out.data[i] == '\n';
        assert_true(is_end || out.data[i] >= 0x20);
        line = is_end ? 0 : line + 1;
        assert_true(line < 998);
        hostile += is_end ? 1 : 0;
    }
    assert_int_equal(hostile, lines);
}

/* -- hostile texts -- */

static void fill(char *text, size_t room, uint8_t byte)
{
    memset(text, byte, room - 1);
    text[room - 1] = 0;
}

/* Every byte a text can have, alone and often: always JSON that parses back, and room enough. */
static void any_byte_makes_json(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        struct delivery delivery = make(DELIVERY_OPENED);
        struct alert *alert = &delivery.alert;
        char page[4096];
        fill(alert->origin, sizeof alert->origin, (uint8_t)byte);
        fill(alert->subject, sizeof alert->subject, (uint8_t)byte);
        fill(alert->summary, sizeof alert->summary, (uint8_t)byte);
        fill(alert->comment, sizeof alert->comment, (uint8_t)byte);
        fill(page, sizeof page, (uint8_t)byte);
        alert->evidence_count = ALERT_EVIDENCE_MAX;
        alert->count = UINT64_MAX;
        alert->first_seen_s = INT64_MIN;
        alert->last_seen_s = INT64_MAX;
        for (int form = 0; form < 2; form++) {
            buf_reset(&out);
            if (form == 0) {
                alert_text_put_webhook(&out, &delivery, alert->origin, page, INT64_MAX);
            } else {
                alert_text_put_alertmanager(&out, &delivery, alert->origin, page, 0);
            }
            json_t *json = parse();
            json_decref(json);
            for (size_t i = 0; i < out.len; i++) {
                assert_true(out.data[i] >= 0x20 && out.data[i] < 0x7f);
            }
        }
        buf_reset(&out);
        alert_text_put_body(&out, &delivery, alert->origin, page);
        assert_true(utf8_is_valid(buf_span(&out)));
    }
}

static void texts_come_back_as_they_are(void **state)
{
    (void)state;
    struct delivery delivery = make(DELIVERY_OPENED);
    const char *text = "\"quoted\" \\ </script> & \xe2\x82\xac \xf0\x9f\x94\x92 \\xff";
    snprintf(delivery.alert.summary, sizeof delivery.alert.summary, "%s", text);
    alert_text_put_json(&out, &delivery.alert);
    json_t *json = parse();
    assert_string_equal(text_of(json, "summary"), text);
    json_decref(json);
}

static void times_are_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        int64_t unix_s;
        const char *text;
    } cases[] = {
        { 0, "1970-01-01T00:00:00Z" },          { -1, "1970-01-01T00:00:00Z" },
        { 951782400, "2000-02-29T00:00:00Z" },  { 1769903940, "2026-01-31T23:59:00Z" },
        { 4102444799, "2099-12-31T23:59:59Z" }, { INT64_MAX, "9999-12-31T23:59:59Z" },
        { INT64_MIN, "1970-01-01T00:00:00Z" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_reset(&out);
        alert_text_put_time(&out, cases[i].unix_s);
        assert_string_equal(buf_c_str(&out), cases[i].text);
    }
}

/* -- plain lines -- */

static void plain_lines_are_plain(void **state)
{
    (void)state;
    static const struct {
        const char *text, *line;
    } cases[] = {
        { "", "" },
        { "as it is", "as it is" },
        { "\xc3\xa9\xe2\x82\xac", "\xc3\xa9\xe2\x82\xac" },
        { "a\nb\tc\r\x1b[m\x7f", "a?b?c??[m?" },
        { "\xc2\x85\xc2\x9f\xc2\xa0", "??\xc2\xa0" }, /* C1 controls are; a hard blank is none */
        { "\xff\xc3(\xed\xa0\x80\xc0\x80", "?\?(?????" },
        { "cut \xe2\x82", "cut ??" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[32];
        plain_line(line, sizeof line, span_of_str(cases[i].text));
        assert_string_equal(line, cases[i].line);
    }
    for (size_t room = 1; room < 10; room++) {
        char line[10];
        plain_line(line, room, span_of_str("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"));
        assert_int_equal(strlen(line), (room - 1) / 3 * 3);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(json_has_every_field),
        CASE(json_tells_states),
        CASE(webhook_wraps_the_alert),
        CASE(alertmanager_takes_one_alert),
        CASE(alertmanager_knows_it_again),
        CASE(alertmanager_is_given_no_empty_label_and_no_early_end),
        CASE(subject_says_what_and_where),
        CASE(subject_is_one_short_line),
        CASE(body_says_what_to_do),
        CASE(body_of_a_drill_says_so_first),
        CASE(body_has_only_our_lines),
        CASE(any_byte_makes_json),
        CASE(texts_come_back_as_they_are),
        CASE(times_are_rfc_3339),
        CASE(plain_lines_are_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
