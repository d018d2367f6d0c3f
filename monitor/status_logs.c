/* status_logs.c -- the logs on the page: what each shows, what was verified, who cosigned. */
#include "base/alloc.h"
#include "monitor/page_text.h"
#include "monitor/status_parts.h"

enum {
    RULE_SHOWN_MAX = 2048,       /* bytes of a quorum in words */
    LOG_BYTES_MAX = 1024 * 1024, /* of one log: 256 witnesses, and a chart */
};

struct log_view {
    struct watched_log *log;
    const char *origin;
    const struct policy *policy;
    struct watched_status status;
    struct history history;
    size_t waiting_notes;
    size_t number; /* on the page, from 1 */
    int64_t now_s;
};

static void put_sizes(struct buf *out, const struct log_view *view)
{
    const struct watched_status *status = &view->status;
    page_begin_fact(out, "Verified here");
    if (status->is_verified) {
        page_put_count(out, status->held_size);
        buf_put_str(out, " entries: each hashed here, and the root is the signed one");
    } else {
        buf_put_str(out, "nothing yet");
    }
    page_end_fact(out);
    page_begin_fact(out, "Shown by the log");
    page_put_count(out, status->log_size);
    buf_put_str(out, " entries");
    page_end_fact(out);
    if (status->has_trusted_start) {
        page_begin_fact(out, "Not looked at");
        buf_put_str(out, "entries below ");
        page_put_count(out, status->trusted_start);
        buf_put_str(out, ": this monitor was told to trust a checkpoint of that size");
        page_end_fact(out);
    }
}

static void put_freshness(struct buf *out, const struct log_view *view)
{
    page_begin_fact(out, "Last verification");
    page_put_age(out, view->status.verified_s, view->now_s);
    page_end_fact(out);
    if (policy_has_quorum(view->policy)) {
        page_begin_fact(out, "Witnessed");
        page_put_age(out, view->status.note_time_s, view->now_s);
        page_end_fact(out);
    }
}

static void put_quorum(struct buf *out, const struct log_view *view)
{
    page_begin_fact(out, "Quorum");
    if (!policy_has_quorum(view->policy)) {
        buf_put_str(out, "none is asked for: this log's word is all there is");
        page_end_fact(out);
        return;
    }
    struct buf rule = BUF_INIT(POLICY_BYTES_MAX);
    policy_put_rule(&rule, view->policy);
    bool is_long = rule.len > RULE_SHOWN_MAX;
    buf_put_str(out, view->status.polls == 0      ? "not looked at yet: "
                     : view->status.is_quorum_met ? "<strong>met</strong>: "
                                                  : "<strong class=\"bad\">not met</strong>: ");
    page_put_text(out, is_long ? "a long rule, see the policy file" : buf_c_str(&rule));
    buf_putf(out, "; f = %zu: so many witnesses must lie before the log can show two histories",
             policy_f(view->policy));
    buf_clear(&rule);
    page_end_fact(out);
}

static void put_scan(struct buf *out, const struct log_view *view)
{
    const struct watched_status *status = &view->status;
    page_begin_fact(out, "Hashing");
    if (status->is_scanning) {
        buf_putf(out,
                 "<progress max=\"%.0f\" value=\"%.0f\" aria-label=\"Hashing of log %zu\">"
                 "</progress> ",
                 (double)status->scan_to, (double)status->scan_at, view->number);
        page_put_count(out, status->scan_at);
        buf_put_str(out, " of ");
        page_put_count(out, status->scan_to);
        buf_put_str(out, " entries, ");
        page_put_count(out, (uint64_t)status->scan_rate);
        buf_put_str(out, " a second");
    } else {
        buf_put_str(out, "waits for new entries; ");
        page_put_count(out, status->entries_hashed);
        buf_put_str(out, " entries hashed since the start");
    }
    page_end_fact(out);
}

static void put_troubles(struct buf *out, const struct log_view *view)
{
    if (view->waiting_notes > 0) {
        page_begin_fact(out, "Notes that wait");
        page_put_count(out, view->waiting_notes);
        buf_put_str(out, " seen elsewhere, to be compared when the log has served that much");
        page_end_fact(out);
    }
    if (view->status.last_error[0] != 0) {
        page_begin_fact(out, "Last poll failed");
        page_put_text(out, view->status.last_error);
        page_end_fact(out);
    }
}

static void put_witnesses(struct buf *out, const struct log_view *view)
{
    static const char *const headings[] = { "Witness", "Cosignature last seen" };
    size_t count = policy_witness_count(view->policy);
    if (count == 0) {
        return;
    }
    page_begin_table(out, "Witnesses of ", view->origin, headings, 2);
    for (size_t i = 0; i < count; i++) {
        buf_put_str(out, "<tr><th scope=\"row\">");
        page_put_text(out, policy_witness_at(view->policy, i)->name);
        buf_put_str(out, "</th><td>");
        page_put_age(out, view->status.witness_seen_s[i], view->now_s);
        buf_put_str(out, "</td></tr>\n");
    }
    page_end_table(out);
}

static void put_log(struct buf *out, const struct log_view *view)
{
    buf_putf(out, "<article aria-labelledby=\"log-%zu\">\n<h3 id=\"log-%zu\">", view->number,
             view->number);
    page_put_text(out, view->origin);
    buf_put_str(out, "</h3>\n<dl>\n");
    put_sizes(out, view);
    put_freshness(out, view);
    put_quorum(out, view);
    put_scan(out, view);
    put_troubles(out, view);
    buf_put_str(out, "</dl>\n");
    put_witnesses(out, view);
    monitor_page_put_chart(out, &view->history, view->number);
    buf_put_str(out, "</article>\n");
}

void status_put_logs(struct buf *out, struct monitor_parts *parts, int64_t now_s)
{
    struct log_view *view = NEW(struct log_view);
    size_t shown = 0;
    buf_put_str(out, "<section aria-labelledby=\"logs\"><h2 id=\"logs\">Logs</h2>\n");
    for (; shown < parts->log_count; shown++) {
        if (buf_room(out) < LOG_BYTES_MAX + STATUS_TAIL_BYTES_MAX) {
            break;
        }
        view->log = parts->logs[shown];
        view->origin = watched_log_origin(view->log);
        view->policy = watched_log_options(view->log)->policy;
        view->waiting_notes = note_memory_count(parts->memories[shown]);
        view->number = shown + 1;
        view->now_s = now_s;
        watched_log_status(view->log, &view->status);
        watched_log_history(view->log, &view->history);
        put_log(out, view);
    }
    if (shown < parts->log_count) {
        buf_putf(out,
                 "<p>And %zu more logs, for which this page has no room: see <a "
                 "href=\"/metrics\">the metrics</a>.</p>\n",
                 parts->log_count - shown);
    }
    buf_put_str(out, "</section>\n");
    mem_free(view);
}
