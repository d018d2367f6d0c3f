/* http_request.h -- reads one HTTP/1.1 request from bytes as they come.
 *
 * Spec: RFC 9112. Stricter than it asks: lines end in CRLF, no folded lines, no blank before a colon,
 * one Host, one Content-Length or one `Transfer-Encoding: chunked`, a printable target. What is not
 * exactly that could be framed differently by a proxy in front of us, so it is refused.
 * Pure: no I/O, no clock. llhttp shows in http_request.c only, but for its parser in the struct.
 */
#ifndef NET_HTTP_REQUEST_H
#define NET_HTTP_REQUEST_H

#include "base/buf.h"
#include "base/limits.h"
#include "base/span.h"

#include <llhttp.h>

enum http_method {
    HTTP_METHOD_GET,
    HTTP_METHOD_HEAD,
    HTTP_METHOD_POST,
    HTTP_METHOD_OPTIONS,
    HTTP_METHOD_OTHER
};

struct http_request_limits {
    uint32_t header_count_max; /* at most HTTP_HEADERS_MAX */
    size_t header_bytes_max;   /* request line and headers */
    size_t target_bytes_max;
    size_t body_bytes_max;
};

enum http_request_state {
    HTTP_REQUEST_HEAD,     /* wants bytes of the request line or headers */
    HTTP_REQUEST_BODY,     /* wants bytes of the body */
    HTTP_REQUEST_COMPLETE, /* wants no more */
    HTTP_REQUEST_REFUSED,  /* `refusal` is the status to answer; the connection is of no more use */
};

/* Where a header is within `head`. */
struct http_request_header {
    uint32_t name_at, name_len, value_at, value_len;
};

struct http_request {
    struct http_request_limits limits;
    enum http_request_state state;
    int refusal;

    struct buf head; /* owned: request line and headers with their line ends */
    struct buf body; /* owned */
    struct http_request_header headers[HTTP_HEADERS_MAX];
    uint32_t header_count;

    /* From HTTP_REQUEST_BODY on. */
    enum http_method method;
    struct span path, query; /* into `head` */
    bool is_keep_alive;      /* the peer wants the connection to stay */
    bool is_http_1_0;
    bool expects_continue; /* waits for a 100 before it sends the body */
    bool is_chunked;
    uint64_t body_bytes; /* of a body with a Content-Length */

    size_t line_at;       /* start in `head` of the line being read */
    uint32_t blank_lines; /* skipped before the request line */
    size_t chunked_bytes; /* taken so far, chunk lines and trailers included */
    llhttp_t parser;
};

/* Requires the limits to be within those of limits.h. */
void http_request_init(struct http_request *request, const struct http_request_limits *limits);

/* Ready for another request; small buffers are kept. */
void http_request_reset(struct http_request *request);
void http_request_clear(struct http_request *request);

/* Takes bytes from the left of `in` until the request is complete or refused, or enters the body
 * (call again then), or there are no more. */
void http_request_feed(struct http_request *request, struct span *in);

/* The first header of that name in any case, trimmed. */
bool http_request_header(const struct http_request *request, const char *name, struct span *value);

#endif
