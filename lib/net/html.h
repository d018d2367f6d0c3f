/* html.h -- the few things that our status pages are made of. Pure. Any thread. */
#ifndef NET_HTML_H
#define NET_HTML_H

#include "base/buf.h"
#include "base/span.h"

/* What a page may do: nothing but its own style. The value of Content-Security-Policy. */
#define HTML_POLICY                                                                                \
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "         \
    "frame-ancestors 'none'"
#define HTML_TYPE "text/html; charset=utf-8"

enum {
    HTML_ESCAPED_MAX = 6 /* bytes that one byte of a text becomes, at most */
};

/* All these require the room. `text` may be any bytes. */
void html_put_escaped(struct buf *out, struct span text);

/* From the doctype to the end of <body>: for a page that has a look of its own. `style` is ours. */
void html_put_body(struct buf *out, struct span title, const char *style);

/* From the doctype to the end of <h1>: title and heading are `title`. */
void html_put_head(struct buf *out, struct span title);

/* A row of a table with a heading on its left. `name` is ours. */
void html_put_row(struct buf *out, const char *name, const char *value);
void html_put_row_number(struct buf *out, const char *name, uint64_t value);

#endif
