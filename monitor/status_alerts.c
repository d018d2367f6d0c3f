/* status_alerts.c -- the alerts on the page: what is wrong, what to do, what proves it. */
#include "base/alloc.h"
#include "base/ascii.h"
#include "monitor/page_text.h"
#include "monitor/status_parts.h"

enum {
    HEX_SHOWN = 16
};

static const char *severity_word(enum finding_severity severity)
{
    static const char *const words[] = { "Info", "Warning", "Critical" };
    return words[severity];
}

static void put_evidence(struct buf *out, const struct alert *alert)
{
    if (alert->evidence_count == 0) {
        return;
    }
    bool is_proof = finding_kind(alert->code)->is_provable;
    page_begin_fact(out, is_proof ? "Proof" : "Signed observation");
    for (size_t i = 0; i < alert->evidence_count && i < ALERT_EVIDENCE_MAX; i++) {
        struct buf hash = BUF_INIT(2 * HASH_BYTES + 1);
        hex_put(&hash, hash_span(&alert->evidence[i]));
        buf_putf(out, "%s<a href=\"/evidence/%s\" download>evidence-%.*s.txt</a>",
                 i == 0 ? "" : ", ", buf_c_str(&hash), HEX_SHOWN, buf_c_str(&hash));
        buf_clear(&hash);
    }
    if (alert->evidence_found > alert->evidence_count) {
        buf_put_str(out, ", and ");
        page_put_count(out, alert->evidence_found - alert->evidence_count);
        buf_put_str(out, " more of the kind");
    }
    buf_put_str(out, is_proof
                         ? "; <code>courtroll verify-evidence FILE --policy P</code> convinces "
                           "anybody who has the policy"
                         : "; it proves no more than that this monitor said so");
    page_end_fact(out);
}

static void put_text_fact(struct buf *out, const char *term, const char *text)
{
    if (text[0] != 0) {
        page_begin_fact(out, term);
        page_put_text(out, text);
        page_end_fact(out);
    }
}

static void put_times(struct buf *out, const struct alert *alert, int64_t now_s)
{
    page_begin_fact(out, "Since");
    page_put_age(out, alert->first_seen_s, now_s);
    buf_put_str(out, "; found ");
    page_put_count(out, alert->count);
    buf_putf(out, " time%s, last ", alert->count == 1 ? "" : "s");
    page_put_age(out, alert->last_seen_s, now_s);
    page_end_fact(out);
}

static void put_state(struct buf *out, const struct alert *alert)
{
    page_begin_fact(out, "State");
    buf_put_str(out, alert_state_text(alert->state));
    if (alert->comment[0] != 0) {
        buf_put_str(out, ": ");
        page_put_text(out, alert->comment);
    }
    page_end_fact(out);
    page_begin_fact(out, "To answer it");
    buf_putf(out,
             "<code>courtroll monitor %s --monitor unix:DATA-DIR/"
             "control.sock %s</code>",
             alert->state == ALERT_OPEN ? "ack" : "resolve", alert->id);
    page_end_fact(out);
}

static void put_alert(struct buf *out, const struct alert *alert, int64_t now_s)
{
    const struct finding_kind *kind = finding_kind(alert->code);
    buf_putf(out, "<article class=\"alert %s\" aria-labelledby=\"alert-%s\">\n<h3 id=\"alert-%s\">",
             finding_severity_text(kind->severity), alert->id, alert->id);
    buf_putf(out, "%s%s: %s</h3>\n<p class=\"lead\">",
             alert->is_drill ? "Drill, nothing is wrong. " : "", severity_word(kind->severity),
             kind->text);
    page_put_text(out, kind->meaning);
    buf_put_str(out, "</p>\n<p>");
    page_put_text(out, alert->summary);
    buf_put_str(out, "</p>\n<dl>\n");
    put_text_fact(out, "Log", alert->origin);
    put_text_fact(out, "About", alert->subject);
    put_text_fact(out, "Do first", kind->runbook);
    put_evidence(out, alert);
    put_times(out, alert, now_s);
    put_state(out, alert);
    buf_put_str(out, "</dl>\n</article>\n");
}

/* `room`: so many more are shown. */
static void put_alerts_of(struct buf *out, const struct alert *alerts, size_t count,
                          enum finding_code code, int64_t now_s, size_t *room)
{
    for (size_t i = 0; i<count && * room> 0; i++) {
        if (alerts[i].code == code) {
            put_alert(out, &alerts[i], now_s);
            --*room;
        }
    }
}

/* What can be proved comes before what was only seen: the codes are in that order. */
void status_put_alerts(struct buf *out, struct monitor_parts *parts, int64_t now_s)
{
    struct alert *alerts = NULL;
    size_t count = alert_book_list(parts->alerts, false, SIZE_MAX, &alerts);
    size_t room = STATUS_PAGE_ALERTS_MAX;
    buf_put_str(out, "<section aria-labelledby=\"alerts\"><h2 id=\"alerts\">Open alerts</h2>\n");
    for (int severity = FINDING_CRITICAL; severity >= FINDING_INFO; severity--) {
        for (int code = 0; code < FINDING_COUNT; code++) {
            if ((int)finding_kind((enum finding_code)code)->severity == severity) {
                put_alerts_of(out, alerts, count, (enum finding_code)code, now_s, &room);
            }
        }
    }
    if (count == 0) {
        buf_put_str(out, "<p>None.</p>\n");
    } else if (count > STATUS_PAGE_ALERTS_MAX) {
        buf_putf(out, "<p>And %zu more: see <code>courtroll monitor alerts</code>.</p>\n",
                 count - STATUS_PAGE_ALERTS_MAX);
    }
    buf_put_str(out, "</section>\n");
    mem_free(alerts);
}

static void put_resolved_row(struct buf *out, const struct alert *alert)
{
    const struct finding_kind *kind = finding_kind(alert->code);
    page_begin_row(out);
    page_put_time(out, alert->resolved_s);
    buf_put_str(out, "</th>");
    page_begin_cell(out, "Alert");
    buf_putf(out, "%s: %s%s</td>", severity_word(kind->severity), kind->text,
             alert->is_drill ? " (drill)" : "");
    page_begin_cell(out, "Log");
    page_put_text(out, alert->origin);
    buf_put_str(out, "</td>");
    page_begin_cell(out, "Summary");
    page_put_text(out, alert->summary);
    buf_put_str(out, "</td>");
    page_begin_cell(out, "Comment");
    page_put_text(out, alert->comment);
    buf_put_str(out, "</td></tr>\n");
}

void status_put_resolved(struct buf *out, struct monitor_parts *parts, int64_t now_s)
{
    static const char *const headings[] = { "Resolved", "Alert", "Log", "Summary", "Comment" };
    (void)now_s;
    struct alert *alerts = NULL;
    size_t count = alert_book_list(parts->alerts, true, STATUS_PAGE_ALERTS_MAX, &alerts), shown = 0;
    for (size_t i = 0; i < count && shown < STATUS_RESOLVED_MAX; i++) {
        if (alerts[i].state != ALERT_RESOLVED) {
            continue;
        }
        if (shown++ == 0) {
            buf_put_str(out, "<details><summary>Recently resolved alerts</summary>\n");
            page_begin_table(out, "Recently resolved alerts", "", headings,
                             sizeof headings / sizeof headings[0]);
        }
        put_resolved_row(out, &alerts[i]);
    }
    if (shown > 0) {
        page_end_table(out);
        buf_put_str(out, "</details>\n");
    }
    mem_free(alerts);
}
