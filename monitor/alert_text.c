#include "monitor/alert_text.h"

#include "base/ascii.h"
#include "monitor/plain_line.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <time.h>

enum {
    WEBHOOK_VERSION = 1,
    SUBJECT_BYTES_MAX = 199,
    URL_BYTES_MAX = 2048, /* of the page: what is longer is cut */
    ALERTMANAGER_OPEN_S = 3 * 3600,
};

#define CONTROL    "--monitor unix:DATA-DIR/control.sock"
#define TIME_S_MAX INT64_C(253402300799) /* the end of the year 9999 */

void alert_text_put_time(struct buf *out, int64_t unix_s)
{
    time_t time = unix_s < 0 ? 0 : unix_s > TIME_S_MAX ? TIME_S_MAX : unix_s;
    struct tm tm;
    gmtime_r(&time, &tm);
    buf_putf(out, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* -- addresses -- */

/* The page without a slash at its end, or "". */
static void take_page(char out[URL_BYTES_MAX], const char *page_url)
{
    plain_line(out, URL_BYTES_MAX, span_of_str(page_url != NULL ? page_url : ""));
    for (size_t len = strlen(out); len > 0 && out[len - 1] == '/'; len--) {
        out[len - 1] = 0;
    }
}

/* Below the page if it is known, else the path alone. */
static void put_evidence_url(struct buf *out, const char *page_url, const struct hash *id)
{
    char page[URL_BYTES_MAX];
    take_page(page, page_url);
    buf_put_str(out, page);
    buf_put_str(out, "/evidence/");
    hex_put(out, hash_span(id));
}

/* -- JSON -- */

static json_t *json_line(const char *text)
{
    char line[URL_BYTES_MAX];
    plain_line(line, sizeof line, span_of_str(text));
    return json_string(line);
}

static void set_line(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, json_line(text));
}

static void set_count(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key,
                        json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

static void set_time(json_t *object, const char *key, int64_t unix_s)
{
    struct buf text = BUF_INIT(64);
    alert_text_put_time(&text, unix_s);
    json_object_set_new(object, key, json_string(buf_c_str(&text)));
    buf_clear(&text);
}

static json_t *json_evidence(const char *page_url, const struct hash *id)
{
    struct buf text = BUF_INIT(URL_BYTES_MAX + 128);
    put_evidence_url(&text, page_url, id);
    json_t *made = json_string(buf_c_str(&text));
    buf_clear(&text);
    return made;
}

static json_t *json_page(const char *page_url)
{
    return page_url != NULL ? json_line(page_url) : json_null();
}

static json_t *json_alert(const struct alert *alert)
{
    const struct finding_kind *kind = finding_kind(alert->code);
    json_t *object = json_object(), *all = json_array();
    set_line(object, "id", alert->id);
    set_count(object, "number", alert->number);
    set_line(object, "code", kind->text);
    set_line(object, "severity", finding_severity_text(kind->severity));
    set_line(object, "origin", alert->origin);
    set_line(object, "subject", alert->subject);
    set_line(object, "state", alert_state_text(alert->state));
    json_object_set_new(object, "first_seen", json_integer(alert->first_seen_s));
    json_object_set_new(object, "last_seen", json_integer(alert->last_seen_s));
    json_object_set_new(object, "resolved",
                        alert->state == ALERT_RESOLVED ? json_integer(alert->resolved_s)
                                                       : json_null());
    set_count(object, "count", alert->count);
    set_line(object, "summary", alert->summary);
    json_object_set_new(object, "acknowledged", json_boolean(alert->state == ALERT_ACKNOWLEDGED));
    set_line(object, "comment", alert->comment);
    json_object_set_new(object, "drill", json_boolean(alert->is_drill));
    json_object_set_new(object, "provable", json_boolean(kind->is_provable));
    set_line(object, "meaning", kind->meaning);
    set_line(object, "runbook", kind->runbook);
    for (size_t i = 0; i < alert->evidence_count; i++) {
        json_array_append_new(all, json_evidence(NULL, &alert->evidence[i]));
    }
    json_object_set_new(object, "evidence",
                        alert->evidence_count > 0 ? json_evidence(NULL, &alert->evidence[0])
                                                  : json_null());
    json_object_set_new(object, "evidence_all", all);
    set_count(object, "evidence_found", alert->evidence_found);
    return object;
}

static int put_chunk(const char *bytes, size_t len, void *ctx)
{
    buf_put(ctx, span_of(bytes, len));
    return 0;
}

/* Takes the value. */
static void put_json(struct buf *out, json_t *value)
{
    int rc = json_dump_callback(value, put_chunk, out, JSON_COMPACT | JSON_ENSURE_ASCII);
    assert(rc == 0); /* all texts are UTF-8 */
    json_decref(value);
}

void alert_text_put_json(struct buf *out, const struct alert *alert)
{
    put_json(out, json_alert(alert));
}

void alert_text_put_webhook(struct buf *out, const struct delivery *delivery, const char *monitor,
                            const char *page_url, int64_t now_s)
{
    json_t *object = json_object();
    set_count(object, "version", WEBHOOK_VERSION);
    set_line(object, "event", delivery_event_text(delivery->event));
    set_count(object, "delivery", delivery->number);
    json_object_set_new(object, "sent", json_integer(now_s));
    set_line(object, "monitor", monitor);
    json_object_set_new(object, "page", json_page(page_url));
    json_object_set_new(object, "alert", json_alert(&delivery->alert));
    put_json(out, object);
}

/* -- Alertmanager: postableAlerts of its API v2 -- */

/* Alertmanager drops labels that are empty. */
static void set_label(json_t *labels, const char *key, const char *text)
{
    if (text[0] != 0) {
        set_line(labels, key, text);
    }
}

/* What makes it the same alert for Alertmanager: nothing that changes while it is open. */
static json_t *json_labels(const struct alert *alert, const char *monitor)
{
    const struct finding_kind *kind = finding_kind(alert->code);
    json_t *labels = json_object();
    char name[64];
    snprintf(name, sizeof name, "courtroll-%s", kind->text);
    set_label(labels, "alertname", name);
    set_label(labels, "code", kind->text);
    set_label(labels, "severity", finding_severity_text(kind->severity));
    set_label(labels, "origin", alert->origin);
    set_label(labels, "subject", alert->subject);
    set_label(labels, "monitor", monitor);
    set_label(labels, "alert_id", alert->id);
    if (alert->is_drill) {
        set_label(labels, "drill", "true");
    }
    return labels;
}

static json_t *json_annotations(const struct alert *alert, const char *page_url)
{
    json_t *annotations = json_object();
    char summary[FINDING_SUMMARY_MAX + 32];
    snprintf(summary, sizeof summary, "%s%s", alert->is_drill ? "THIS IS A DRILL. " : "",
             alert->summary);
    set_line(annotations, "summary", summary);
    set_line(annotations, "runbook", finding_kind(alert->code)->runbook);
    if (alert->evidence_count > 0) {
        json_object_set_new(annotations, "evidence", json_evidence(page_url, &alert->evidence[0]));
    }
    return annotations;
}

void alert_text_put_alertmanager(struct buf *out, const struct delivery *delivery,
                                 const char *monitor, const char *page_url, int64_t now_s)
{
    const struct alert *alert = &delivery->alert;
    json_t *item = json_object(), *array = json_array();
    int64_t ends_s =
        alert->state == ALERT_RESOLVED ? alert->resolved_s : now_s + ALERTMANAGER_OPEN_S;
    json_object_set_new(item, "labels", json_labels(alert, monitor));
    json_object_set_new(item, "annotations", json_annotations(alert, page_url));
    set_time(item, "startsAt", alert->first_seen_s);
    /* It refuses an end before the start, which is what a clock that was set back makes. */
    set_time(item, "endsAt", ends_s > alert->first_seen_s ? ends_s : alert->first_seen_s);
    if (page_url != NULL) {
        set_line(item, "generatorURL", page_url);
    }
    json_array_append_new(array, item);
    put_json(out, array);
}

/* -- mail -- */

static const char *event_words(const struct delivery *delivery)
{
    if (delivery->event == DELIVERY_RESOLVED) {
        return "resolved: ";
    }
    return delivery->event == DELIVERY_REMINDER ? "still open: " : "";
}

void alert_text_put_subject(struct buf *out, const struct delivery *delivery, const char *monitor)
{
    const struct alert *alert = &delivery->alert;
    const struct finding_kind *kind = finding_kind(alert->code);
    struct buf line = BUF_INIT(ALERT_TEXT_BYTES_MAX);
    buf_putf(&line, "%s[courtroll] %s%s %s", alert->is_drill ? "DRILL " : "", event_words(delivery),
             finding_severity_text(kind->severity), kind->text);
    if (alert->origin[0] != 0) {
        buf_put_str(&line, " ");
        ascii_put_escaped(&line, span_of_str(alert->origin), 64);
    }
    buf_put_str(&line, " (monitor ");
    ascii_put_escaped(&line, span_of_str(monitor), 64);
    buf_put_str(&line, ")");
    size_t len = line.len < SUBJECT_BYTES_MAX ? line.len : SUBJECT_BYTES_MAX;
    buf_put(out, span_slice(buf_span(&line), 0, len)); /* ASCII: it may be cut anywhere */
    buf_clear(&line);
}

static void put_field(struct buf *out, const char *name, const char *text)
{
    char line[URL_BYTES_MAX];
    plain_line(line, sizeof line, span_of_str(text));
    if (line[0] != 0) {
        buf_putf(out, "%-14s%s\n", name, line);
    }
}

static void put_time_field(struct buf *out, const char *name, int64_t unix_s)
{
    buf_putf(out, "%-14s", name);
    alert_text_put_time(out, unix_s);
    buf_put_u8(out, '\n');
}

static void put_facts(struct buf *out, const struct delivery *delivery, const char *monitor)
{
    const struct alert *alert = &delivery->alert;
    const struct finding_kind *kind = finding_kind(alert->code);
    put_field(out, "Log:", alert->origin);
    put_field(out, "About:", alert->subject);
    put_field(out, "Code:", kind->text);
    put_field(out, "Severity:", finding_severity_text(kind->severity));
    put_field(out, "State:", alert_state_text(alert->state));
    put_time_field(out, "Since:", alert->first_seen_s);
    put_time_field(out, "Last seen:", alert->last_seen_s);
    if (alert->state == ALERT_RESOLVED) {
        put_time_field(out, "Resolved:", alert->resolved_s);
    }
    buf_putf(out, "%-14s%" PRIu64 "\n", "Times found:", alert->count);
    put_field(out, "Comment:", alert->comment);
    put_field(out, "Monitor:", monitor);
    put_field(out, "Alert:", alert->id);
}

static void put_evidence(struct buf *out, const struct alert *alert, const char *page_url)
{
    if (alert->evidence_count == 0) {
        return;
    }
    buf_put_str(out, finding_kind(alert->code)->is_provable
                         ? "\nProof, which convinces anybody who has the policy:\n"
                         : "\nWhat the monitor saw, signed by it:\n");
    for (size_t i = 0; i < alert->evidence_count; i++) {
        buf_put_str(out, "  ");
        put_evidence_url(out, page_url, &alert->evidence[i]);
        buf_put_u8(out, '\n');
    }
    buf_put_str(out, "Save it, then: courtroll verify-evidence FILE --policy POLICY\n");
}

/* On the monitor's machine: the control socket is in its data directory. */
static void put_answers(struct buf *out, const struct alert *alert)
{
    if (alert->state == ALERT_OPEN) {
        buf_putf(out, "To acknowledge: courtroll monitor ack %s %s\n", CONTROL, alert->id);
    }
    if (alert->state != ALERT_RESOLVED) {
        buf_putf(out, "When it is dealt with: courtroll monitor resolve %s %s\n", CONTROL,
                 alert->id);
    }
}

void alert_text_put_body(struct buf *out, const struct delivery *delivery, const char *monitor,
                         const char *page_url)
{
    const struct alert *alert = &delivery->alert;
    const struct finding_kind *kind = finding_kind(alert->code);
    char summary[FINDING_SUMMARY_MAX], page[URL_BYTES_MAX];
    plain_line(summary, sizeof summary, span_of_str(alert->summary));
    take_page(page, page_url);
    if (alert->is_drill) {
        buf_put_str(out,
                    "THIS IS A DRILL. Nothing is wrong: somebody tests that you are told.\n\n");
    }
    buf_putf(out, "%s\n%s\n\n", kind->meaning, summary);
    put_facts(out, delivery, monitor);
    put_evidence(out, alert, page_url);
    buf_putf(out, "\nWhat to do: %s\n", kind->runbook);
    put_answers(out, alert);
    if (page[0] != 0) {
        buf_putf(out, "\nAll alerts: %s/\n", page);
    }
}
