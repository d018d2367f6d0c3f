/* http_response.h -- what a handler answers with: a status, headers and a body.
 *
 * Spec: RFC 9110, RFC 9112. Pure. Any thread, except that a response belongs to who fills it.
 */
#ifndef NET_HTTP_RESPONSE_H
#define NET_HTTP_RESPONSE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

/* Immutable bytes that many responses may share, such as a tile in a cache. Counted: the last
 * release frees them. Any thread. */
struct http_body;

struct http_body *http_body_new(struct span bytes);       /* copies */
struct http_body *http_body_take(struct buf *bytes);      /* moves; `bytes` is then empty */
struct http_body *http_body_hold(struct http_body *body); /* one reference more */
void http_body_release(struct http_body *body);           /* NULL is fine */
struct span http_body_span(const struct http_body *body); /* good while a reference is held */

/* A header field. Both texts are ours or were checked: an assert refuses CR, LF and NUL. */
struct http_header {
    const char *name;
    const char *value;
};

/* Everything is borrowed for the call of http_respond, with the two exceptions below. Content-Length,
 * Date and Connection are the server's. At most one of `text`, `taken` and `shared` is set. */
struct http_response {
    int status;                        /* 200..599 */
    const char *content_type;          /* NULL: no such header */
    const char *cache_control;         /* NULL: none; never sent with a status of 400 or more */
    const struct http_header *headers; /* further ones */
    size_t header_count;
    struct span text;         /* copied */
    struct buf *taken;        /* moved: empty after the call, whatever became of the peer */
    struct http_body *shared; /* the server holds a reference of its own */
};

/* The registered words, "Unknown" for an unlisted status. */
const char *http_status_text(int status);

/* Appends status line and headers with the blank line. body_bytes is the Content-Length of a GET.
 * `date` is an IMF-fixdate; `connection` the header's value, or NULL for none. Requires the room. */
void http_response_put_head(struct buf *out, const struct http_response *response,
                            size_t body_bytes, const char *date, const char *connection);

#endif
