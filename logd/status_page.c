#include "logd/status_page.h"

static void put_escaped(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.data[i]) {
        case '&':
            buf_put_str(out, "&amp;");
            break;
        case '<':
            buf_put_str(out, "&lt;");
            break;
        case '>':
            buf_put_str(out, "&gt;");
            break;
        case '"':
            buf_put_str(out, "&quot;");
            break;
        default:
            buf_put_u8(out, text.data[i]);
        }
    }
}

static void put_row(struct buf *out, const char *name, const char *value)
{
    buf_putf(out, "<tr><th>%s</th><td>", name);
    put_escaped(out, span_of_str(value));
    buf_put_str(out, "</td></tr>\n");
}

static void put_number(struct buf *out, const char *name, uint64_t value)
{
    buf_putf(out, "<tr><th>%s</th><td>%llu</td></tr>\n", name, (unsigned long long)value);
}

void status_page_put(struct buf *out, const char *origin, const struct status *status,
                     const char *rollback_check, struct span note)
{
    buf_put_str(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
    put_escaped(out, span_of_str(origin));
    buf_put_str(out, "</title>\n<style>:root{color-scheme:light dark}"
                     "body{font:16px/1.5 sans-serif;max-width:48em;margin:2em auto;padding:0 1em}"
                     "th{text-align:left;padding-right:2em;font-weight:normal}"
                     "pre{overflow-x:auto}</style></head>\n<body><h1>");
    put_escaped(out, span_of_str(origin));
    buf_put_str(out, "</h1>\n<p>A transparency log. What this page says is the log's own word: "
                     "verify with <code>courtroll verify</code>.</p>\n<table>\n");
    put_row(out, "state",
            !status->is_admitting ? "not accepting entries"
            : status->is_degraded ? "accepting entries, degraded"
                                  : "accepting entries");
    if (status->reason[0] != 0) {
        put_row(out, "reason", status->reason);
    }
    put_number(out, "published size", status->published_size);
    put_number(out, "durable size", status->durable_size);
    put_row(out, "rollback check", rollback_check);
    put_row(out, "version", COURTROLL_VERSION);
    buf_put_str(out, "</table>\n<h2>Published checkpoint</h2>\n<pre>");
    put_escaped(out, note);
    buf_put_str(out, "</pre>\n</body></html>\n");
}
