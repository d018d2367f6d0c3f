#include "witness/status_page.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "net/html.h"

#include <time.h>

static void put_time(struct buf *out, uint64_t unix_s)
{
    struct tm tm;
    time_t when = (time_t)unix_s;
    char text[64] = "never";
    if (unix_s > 0 && gmtime_r(&when, &tm) != NULL) {
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &tm);
    }
    buf_put_str(out, text);
}

static void put_log(struct buf *out, struct parts *parts, const struct log_status *status)
{
    struct buf hash = BUF_INIT(2 * HASH_BYTES + 1);
    hex_put(&hash, hash_span(&status->log->origin_hash));
    buf_put_str(out, "<tr><td>");
    if (status->state.timestamp > 0) {
        buf_putf(out, "<a href=\"/%s/checkpoint\">", buf_c_str(&hash));
    }
    html_put_escaped(out, span_of_str(status->log->origin));
    buf_putf(out, "%s</td><td>%llu</td><td>", status->state.timestamp > 0 ? "</a>" : "",
             (unsigned long long)status->state.size);
    put_time(out, status->state.timestamp);
    buf_put_str(out, "</td><td>");
    if (status->verdict != GUARD_OPEN) {
        char reason[PARTS_REASON_MAX];
        parts_guard_reason(parts, status->log, reason);
        html_put_escaped(out, span_of_str(reason));
    }
    if (status->evidence > 0) {
        buf_putf(out, " <a href=\"/evidence\">%llu pieces of evidence</a>",
                 (unsigned long long)status->evidence);
    }
    buf_put_str(out, "</td></tr>\n");
    buf_clear(&hash);
}

static void put_logs(struct buf *out, struct parts *parts, size_t total)
{
    struct log_status *logs = NULL;
    size_t count = parts_log_statuses(parts, WITNESS_PAGE_LOGS_MAX, &logs);
    buf_put_str(out, "<h2>Logs</h2>\n<table>\n<tr><th>origin</th><th>size cosigned last</th>"
                     "<th>when</th><th></th></tr>\n");
    for (size_t i = 0; i < count; i++) {
        put_log(out, parts, &logs[i]);
    }
    buf_put_str(out, "</table>\n");
    if (total > count) {
        buf_putf(out, "<p>And %zu more.</p>\n", total - count);
    }
    mem_free(logs);
}

static void put_keys(struct buf *out, const struct parts *parts)
{
    buf_put_str(out, "<h2>Keys</h2>\n<pre>");
    for (size_t i = 0; i < parts->key_count; i++) {
        struct buf vkey = BUF_INIT(VKEY_TEXT_MAX);
        vkey_put(&vkey, &parts->keys[i].vkey);
        html_put_escaped(out, buf_span(&vkey));
        buf_put_str(out, "\n");
        buf_clear(&vkey);
    }
    buf_put_str(out, "</pre>\n");
}

void witness_page_put(struct buf *out, struct parts *parts)
{
    struct witness_status status;
    witness_status_read(parts, &status);
    html_put_head(out, span_of_str(parts->keys[0].vkey.name));
    buf_put_str(out, "<p>A witness: it cosigns the checkpoints of the logs below, and never two "
                     "histories of one log. What this page says is its own word: <a "
                     "href=\"/verify\">verify in this browser</a> what you were given, or with "
                     "<code>courtroll verify</code>.</p>\n<table>\n");
    html_put_row(out, "state", status.can_sign ? "cosigning" : "not cosigning");
    if (status.reason[0] != 0) {
        html_put_row(out, "reason", status.reason);
    }
    html_put_row_number(out, "logs", status.logs);
    html_put_row_number(out, "cosignatures since the start", status.cosignatures);
    html_put_row_number(out, "pieces of evidence", status.evidence);
    html_put_row(out, "rollback check", guard_words(parts->guard));
    html_put_row(out, "version", COURTROLL_VERSION);
    buf_put_str(out, "</table>\n");
    put_keys(out, parts);
    put_logs(out, parts, status.logs);
    buf_put_str(out, "</body></html>\n");
}
