#include "monitor/status_page.h"

#include "monitor/heartbeat.h"
#include "monitor/page_text.h"
#include "monitor/status_parts.h"
#include "net/html.h"

/* Colours keep a contrast of 4.5 and more on their background, and never say anything alone. */
static const char style[] =
    ":root{--back:#fff;--text:#1b1b1b;--soft:#565656;--line:#c4c4c4;--link:#0b4fb3;--card:#f6f6f6;"
    "--critical:#a3160e;--warning:#7a4a00;--info:#0b4fb3;--good:#1a6a2f}"
    "@media(prefers-color-scheme:dark){:root{--back:#121212;--text:#ececec;--soft:#b4b4b4;"
    "--line:#4a4a4a;--link:#9cc3ff;--card:#1e1e1e;--critical:#ff9d94;--warning:#ffc266;"
    "--info:#9cc3ff;--good:#86d99a}}"
    "*{box-sizing:border-box}"
    "body{font:16px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back);"
    "max-width:60rem;margin:0 auto;padding:0 1rem 2rem;overflow-wrap:anywhere}"
    "a{color:var(--link)}:focus-visible{outline:3px solid var(--link);outline-offset:2px}"
    ".skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:1rem;padding:.5rem;"
    "background:var(--back)}"
    "h1{font-size:1.5rem;margin:1.5rem 0 0}h2{font-size:1.25rem;margin:2rem 0 .5rem}"
    "h3{font-size:1.05rem;margin:0 0 .5rem}p{margin:.5rem 0}"
    ".soft,figcaption,caption,dt{color:var(--soft)}"
    ".state{border-left:.4rem solid;padding:.25rem 0 .25rem .75rem;font-size:1.1rem}"
    ".critical>h3,.state.critical,.bad{color:var(--critical)}"
    ".warning>h3,.state.warning{color:var(--warning)}.info>h3{color:var(--info)}"
    ".state.good{color:var(--good)}"
    "article{background:var(--card);border:1px solid var(--line);border-radius:.4rem;"
    "padding:1rem;margin:1rem 0}.alert{border-left:.4rem solid var(--info)}"
    ".alert.critical{border-left-color:var(--critical)}"
    ".alert.warning{border-left-color:var(--warning)}"
    "dl{margin:0}dl>div{display:grid;grid-template-columns:minmax(0,12rem) minmax(0,1fr);"
    "gap:0 1rem;padding:.2rem 0}dd{margin:0}"
    "@media(max-width:40rem){dl>div{grid-template-columns:minmax(0,1fr)}}"
    "table{border-collapse:collapse;width:100%;margin:.75rem 0}.lead{font-weight:600}"
    "caption{text-align:left}th,td{text-align:left;vertical-align:top;font-weight:normal;"
    "padding:.3rem .75rem .3rem 0;border-bottom:1px solid var(--line)}"
    "thead th{overflow-wrap:normal}@media(max-width:40rem){.wide thead{position:absolute;"
    "left:-99rem}.wide,.wide caption,.wide tbody,.wide tr,.wide th,.wide td{display:block;"
    "border:0;padding:0}.wide tr{border-bottom:1px solid var(--line);padding:.5rem 0}"
    ".wide tbody th{font-weight:600}"
    ".wide td::before{content:attr(data-heading)\": \";color:var(--soft)}}"
    "thead th{color:var(--soft)}progress{width:100%;accent-color:var(--link)}"
    "figure{margin:1rem 0 .5rem}svg{display:block;width:100%;height:8rem;color:var(--link)}"
    ".line{stroke:currentColor;stroke-width:2;vector-effect:non-scaling-stroke}"
    ".axis{stroke:var(--line);vector-effect:non-scaling-stroke}"
    "code{font-size:.9em}summary{cursor:pointer;padding:.25rem 0}";

/* -- the state, in one sentence -- */

static size_t count_verified(struct monitor_parts *parts)
{
    size_t verified = 0;
    for (size_t i = 0; i < parts->log_count; i++) {
        struct watched_status status;
        watched_log_status(parts->logs[i], &status);
        verified += status.is_verified;
    }
    return verified;
}

static void put_alert_count(struct buf *out, size_t count, const char *kind)
{
    buf_putf(out, "%zu %s%s open", count, kind, count == 1 ? " is" : "s are");
}

static const char *state_class(const size_t open[], const struct monitor_health *health)
{
    return open[FINDING_CRITICAL] > 0                      ? "critical"
           : open[FINDING_WARNING] > 0 || !health->is_well ? "warning"
                                                           : "good";
}

static void put_state(struct buf *out, struct monitor_parts *parts)
{
    size_t open[FINDING_CRITICAL + 1], verified = count_verified(parts);
    struct monitor_health health;
    alert_book_count(parts->alerts, open);
    monitor_parts_health(parts, &health);
    buf_putf(out, "<p class=\"state %s\"><strong>", state_class(open, &health));
    if (open[FINDING_CRITICAL] > 0) {
        put_alert_count(out, open[FINDING_CRITICAL], "critical alert");
    } else if (open[FINDING_WARNING] > 0) {
        put_alert_count(out, open[FINDING_WARNING], "warning");
    } else {
        buf_put_str(out, verified == parts->log_count ? "All is well" : "No alert is open");
    }
    bool is_alarmed = open[FINDING_CRITICAL] + open[FINDING_WARNING] > 0;
    buf_putf(out, "%s %zu of %zu log%s verified.%s", is_alarmed ? ".</strong>" : ":", verified,
             parts->log_count, parts->log_count == 1 ? " is" : "s are",
             is_alarmed ? "" : "</strong>");
    if (!health.is_well) {
        buf_put_str(out, " The monitor itself needs attention: ");
        page_put_text(out, health.reason);
        buf_put_str(out, ".");
    }
    buf_put_str(out, "</p>\n");
}

static void put_whole(struct buf *out, struct monitor_parts *parts, int64_t now_s)
{
    buf_put_str(out, "<section aria-labelledby=\"state\"><h2 id=\"state\">State</h2>\n");
    put_state(out, parts);
    buf_put_str(out, "<p class=\"soft\">As of ");
    page_put_time(out, now_s);
    buf_put_str(out, ". <a href=\"/\">Reload this page</a></p></section>\n");
}

/* What it did, for those who ask whether it works at all: after what it found. */
static void put_work(struct buf *out, struct monitor_parts *parts, int64_t now_s)
{
    buf_put_str(out, "<section aria-labelledby=\"work\"><h2 id=\"work\">This monitor</h2>\n<dl>\n");
    page_begin_fact(out, "Entries hashed");
    page_put_count(out, monitor_parts_entries(parts));
    buf_put_str(out, " since the start, ");
    page_put_age(out, parts->started_s, now_s);
    page_end_fact(out);
    if (parts->heartbeat != NULL && heartbeat_interval_s(parts->heartbeat) > 0) {
        page_begin_fact(out, "Heartbeat");
        buf_put_str(out, "counts from ");
        page_put_age(out, heartbeat_last_s(parts->heartbeat), now_s);
        buf_put_str(out, "; told every ");
        page_put_duration(out, heartbeat_interval_s(parts->heartbeat));
        page_end_fact(out);
    }
    buf_put_str(out, "</dl></section>\n");
}

/* -- who else is asked, and who is told -- */

static void put_vantages(struct buf *out, struct monitor_parts *parts, int64_t now_s)
{
    static const char *const headings[] = { "Vantage", "Last answer", "Notes", "Contradictions",
                                            "Trouble" };
    buf_put_str(out,
                "<section aria-labelledby=\"vantages\"><h2 id=\"vantages\">Other views</h2>\n");
    if (parts->vantage_count == 0) {
        buf_put_str(out, "<p>None is configured: a log that shows others another history goes "
                         "unnoticed.</p></section>\n");
        return;
    }
    page_begin_table(out, "Places where notes of the logs are compared", "", headings,
                     sizeof headings / sizeof headings[0]);
    for (size_t i = 0; i < parts->vantage_count; i++) {
        struct vantage_status status;
        vantage_read_status(parts->vantages[i], &status);
        page_begin_row(out);
        page_put_text(out, status.text);
        buf_put_str(out, "</th>");
        page_begin_cell(out, "Last answer");
        page_put_age(out, status.last_answer_s, now_s);
        buf_put_str(out, "</td>");
        page_begin_cell(out, "Notes");
        page_put_count(out, status.notes);
        buf_put_str(out, "</td>");
        page_begin_cell(out, "Contradictions");
        page_put_count(out, status.contradictions);
        buf_put_str(out, "</td>");
        page_begin_cell(out, "Trouble");
        page_put_text(out, status.last_error[0] != 0 ? status.last_error : "none");
        buf_put_str(out, "</td></tr>\n");
    }
    page_end_table(out);
    buf_put_str(out, "</section>\n");
}

static void put_sink(struct buf *out, struct monitor_parts *parts, size_t i, int64_t now_s)
{
    struct courier_status status;
    struct alert_queue_status queue;
    struct buf name = BUF_INIT(MONITOR_SINK_LABEL_MAX + 1);
    courier_read_status(parts->couriers[i], &status);
    alert_book_queue(parts->alerts, i, &queue);
    monitor_parts_put_sink(parts, i, &name);
    page_begin_row(out);
    page_put_text(out, buf_c_str(&name));
    buf_put_str(out, "</th>");
    page_begin_cell(out, "Delivered");
    page_put_count(out, queue.delivered);
    buf_put_str(out, "</td>");
    page_begin_cell(out, "Waiting");
    page_put_count(out, queue.waiting);
    buf_put_str(out, "</td>");
    page_begin_cell(out, "Last success");
    page_put_age(out, status.last_success_s, now_s);
    /* The words of a failure may hold the sink's address: they are in the log. */
    buf_put_str(out, "</td>");
    page_begin_cell(out, "Trouble");
    buf_putf(out, "%s</td></tr>\n", status.last_error[0] != 0 ? "the last try failed" : "none");
    buf_clear(&name);
}

static void put_sinks(struct buf *out, struct monitor_parts *parts, int64_t now_s)
{
    static const char *const headings[] = { "Sink", "Delivered", "Waiting", "Last success",
                                            "Trouble" };
    buf_put_str(out, "<section aria-labelledby=\"sinks\"><h2 id=\"sinks\">Who is told</h2>\n");
    if (parts->courier_count == 0) {
        buf_put_str(out, "<p>Nobody: alerts are on this page only.</p></section>\n");
        return;
    }
    page_begin_table(out, "Where alerts go, since the start", "", headings,
                     sizeof headings / sizeof headings[0]);
    for (size_t i = 0; i < parts->courier_count; i++) {
        put_sink(out, parts, i, now_s);
    }
    page_end_table(out);
    buf_put_str(out, "</section>\n");
}

/* -- the page -- */

void monitor_page_put(struct buf *out, struct monitor_parts *parts, int64_t now_s)
{
    html_put_body(out, span_of_str(parts->vkey.name), style);
    buf_put_str(out, "\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header><h1>");
    page_put_text(out, parts->vkey.name);
    buf_put_str(out, "</h1>\n<p class=\"soft\">A monitor: it hashes every entry of the logs below "
                     "and compares what others were shown. What this page says is its own word; a "
                     "proof convinces without it: <a href=\"/verify\">verify a document in this "
                     "browser</a>.</p></header>\n<main id=\"main\">\n");
    put_whole(out, parts, now_s);
    status_put_alerts(out, parts, now_s);
    status_put_logs(out, parts, now_s);
    put_vantages(out, parts, now_s);
    put_sinks(out, parts, now_s);
    put_work(out, parts, now_s);
    status_put_resolved(out, parts, now_s);
    buf_put_str(out,
                "</main>\n<footer><p class=\"soft\">For programs: <a href=\"/alerts\">alerts "
                "as JSON</a>, <a href=\"/metrics\">metrics</a>, <a href=\"/healthz\">health</a>. "
                "Courtroll " COURTROLL_VERSION ".</p></footer>\n</body></html>\n");
}
