#include "net/http_response.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdatomic.h>

struct http_body {
    atomic_uint references;
    struct buf bytes; /* owned */
};

struct http_body *http_body_take(struct buf *bytes)
{
    struct http_body *body = NEW(struct http_body);
    atomic_init(&body->references, 1);
    buf_init(&body->bytes, bytes->max);
    buf_take(&body->bytes, bytes);
    return body;
}

struct http_body *http_body_new(struct span bytes)
{
    struct buf copy = BUF_INIT(bytes.len);
    buf_put(&copy, bytes);
    return http_body_take(&copy);
}

struct http_body *http_body_hold(struct http_body *body)
{
    unsigned before = atomic_fetch_add_explicit(&body->references, 1, memory_order_relaxed);
    assert(before > 0);
    return body;
}

void http_body_release(struct http_body *body)
{
    if (body == NULL) {
        return;
    }
    /* Release orders our reads before the free, acquire orders the free after all others'. */
    if (atomic_fetch_sub_explicit(&body->references, 1, memory_order_acq_rel) == 1) {
        buf_clear(&body->bytes);
        mem_free(body);
    }
}

struct span http_body_span(const struct http_body *body)
{
    return buf_span(&body->bytes);
}

const char *http_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } words[] = {
        { 100, "Continue" },
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 206, "Partial Content" },
        { 301, "Moved Permanently" },
        { 302, "Found" },
        { 303, "See Other" },
        { 304, "Not Modified" },
        { 307, "Temporary Redirect" },
        { 308, "Permanent Redirect" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 406, "Not Acceptable" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 411, "Length Required" },
        { 412, "Precondition Failed" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 416, "Range Not Satisfiable" },
        { 417, "Expectation Failed" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (words[i].status == status) {
            return words[i].text;
        }
    }
    return "Unknown";
}

static void put_decimal(struct buf *out, uint64_t value)
{
    char text[20];
    size_t at = sizeof text;
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_put(out, span_of(text + at, sizeof text - at));
}

static void put_field(struct buf *out, const char *name, const char *value)
{
    assert(strpbrk(name, "\r\n: ") == NULL);
    assert(strpbrk(value, "\r\n") == NULL);
    buf_put_str(out, name);
    buf_put_str(out, ": ");
    buf_put_str(out, value);
    buf_put_str(out, "\r\n");
}

/* Not buf_putf: this runs for every request. */
void http_response_put_head(struct buf *out, const struct http_response *response,
                            size_t body_bytes, const char *date, const char *connection)
{
    assert(response->status >= 200 && response->status <= 599);
    buf_put_str(out, "HTTP/1.1 ");
    put_decimal(out, (uint64_t)response->status);
    buf_put_str(out, " ");
    buf_put_str(out, http_status_text(response->status));
    buf_put_str(out, "\r\n");
    put_field(out, "Date", date);
    if (response->content_type != NULL) {
        put_field(out, "Content-Type", response->content_type);
    }
    if (response->status != 204 && response->status != 304) {
        buf_put_str(out, "Content-Length: ");
        put_decimal(out, body_bytes);
        buf_put_str(out, "\r\n");
    }
    /* An error must not stay in caches in the place of what will be there. */
    if (response->cache_control != NULL && response->status < 400) {
        put_field(out, "Cache-Control", response->cache_control);
    }
    for (size_t i = 0; i < response->header_count; i++) {
        put_field(out, response->headers[i].name, response->headers[i].value);
    }
    if (connection != NULL) {
        put_field(out, "Connection", connection);
    }
    buf_put_str(out, "\r\n");
}
