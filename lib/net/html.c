#include "net/html.h"

void html_put_escaped(struct buf *out, struct span text)
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

void html_put_body(struct buf *out, struct span title, const char *style)
{
    buf_put_str(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width\">\n"
                     "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
    html_put_escaped(out, title);
    buf_put_str(out, "</title>\n<style>:root{color-scheme:light dark}");
    buf_put_str(out, style);
    buf_put_str(out, "</style></head>\n<body>");
}

void html_put_head(struct buf *out, struct span title)
{
    html_put_body(out, title,
                  "body{font:16px/1.5 sans-serif;max-width:48em;margin:2em auto;padding:0 1em}"
                  "th{text-align:left;padding-right:2em;font-weight:normal}"
                  "pre{overflow-x:auto}");
    buf_put_str(out, "<h1>");
    html_put_escaped(out, title);
    buf_put_str(out, "</h1>\n");
}

void html_put_row(struct buf *out, const char *name, const char *value)
{
    buf_putf(out, "<tr><th>%s</th><td>", name);
    html_put_escaped(out, span_of_str(value));
    buf_put_str(out, "</td></tr>\n");
}

void html_put_row_number(struct buf *out, const char *name, uint64_t value)
{
    buf_putf(out, "<tr><th>%s</th><td>%llu</td></tr>\n", name, (unsigned long long)value);
}
