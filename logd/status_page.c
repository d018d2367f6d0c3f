#include "logd/status_page.h"

#include "net/html.h"

static void put_witnesses(struct buf *out, const struct status_page *page)
{
    if (page->witness_count == 0) {
        return;
    }
    buf_put_str(out, "<h2>Witnesses</h2>\n<table>\n");
    for (size_t i = 0; i < page->witness_count; i++) {
        const struct witness_status *witness = &page->witnesses[i];
        struct buf words = BUF_INIT(WITNESS_STATUS_WORDS_MAX);
        struct span name = span_of_str(witness->name);
        size_t shown = name.len < WITNESS_NAME_SHOWN_MAX ? name.len : WITNESS_NAME_SHOWN_MAX;
        witness_status_put(&words, witness, page->now_unix_s);
        buf_put_str(out, "<tr><th>");
        html_put_escaped(out, span_slice(name, 0, shown));
        buf_put_str(out, "</th><td>");
        html_put_escaped(out, buf_span(&words));
        buf_put_str(out, "</td></tr>\n");
        buf_clear(&words);
    }
    buf_put_str(out, "</table>\n");
}

void status_page_put(struct buf *out, const struct status_page *page)
{
    const struct status *status = page->status;
    html_put_head(out, span_of_str(page->origin));
    buf_put_str(out, "<p>A transparency log. What this page says is the log's own word: "
                     "<a href=\"/verify\">verify a document in this browser</a>, or with "
                     "<code>courtroll verify</code>.</p>\n<table>\n");
    html_put_row(out, "state",
                 !status->is_admitting ? "not accepting entries"
                 : status->is_degraded ? "accepting entries, degraded"
                                       : "accepting entries");
    if (status->reason[0] != 0) {
        html_put_row(out, "reason", status->reason);
    }
    html_put_row_number(out, "published size", status->published_size);
    html_put_row_number(out, "durable size", status->durable_size);
    html_put_row(out, "schema", status->is_operation ? "operation records" : "opaque entries");
    if (status->is_operation) {
        html_put_row_number(out, "submitters registered", status->submitters.registered);
        html_put_row_number(out, "of these enabled", status->submitters.usable);
    }
    html_put_row(out, "rollback check", page->rollback_check);
    html_put_row(out, "version", COURTROLL_VERSION);
    buf_put_str(out, "</table>\n");
    put_witnesses(out, page);
    buf_put_str(out, "<h2>Published checkpoint</h2>\n<pre>");
    html_put_escaped(out, page->note);
    buf_put_str(out, "</pre>\n</body></html>\n");
}
