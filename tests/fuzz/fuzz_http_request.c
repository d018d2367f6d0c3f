/* fuzz_http_request.c -- requests read from a peer's bytes stay within their limits and do not
 * depend on how the bytes are cut. The first byte of the input is the size of the pieces. */
#include "net/http_request.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct http_request_limits limits = {
    .header_count_max = 8,
    .header_bytes_max = 512,
    .target_bytes_max = 64,
    .body_bytes_max = 64,
};

/* Feeds one request from `in` in pieces of at most `step` bytes. */
static void feed(struct http_request *request, struct span *in, size_t step)
{
    while (in->len > 0 && request->state < HTTP_REQUEST_COMPLETE) {
        struct span piece = span_of(in->data, in->len < step ? in->len : step);
        size_t before = piece.len;
        http_request_feed(request, &piece);
        *in = span_slice(*in, before - piece.len, in->len - (before - piece.len));
    }
}

static void check_limits(const struct http_request *request)
{
    assert(request->head.len <= limits.header_bytes_max);
    assert(request->body.len <= limits.body_bytes_max);
    assert(request->header_count <= limits.header_count_max);
    if (request->state == HTTP_REQUEST_REFUSED) {
        assert(request->refusal >= 400 && request->refusal < 600);
    }
    if (request->state == HTTP_REQUEST_COMPLETE) {
        assert(request->path.len + request->query.len <= limits.target_bytes_max);
        assert(request->path.data[0] == '/' || request->path.data[0] == '*');
        struct span value;
        assert(request->is_http_1_0 || http_request_header(request, "Host", &value));
    }
}

static void check_same(const struct http_request *a, const struct http_request *b)
{
    assert(a->state == b->state);
    assert(a->refusal == b->refusal);
    if (a->state == HTTP_REQUEST_COMPLETE) {
        assert(a->method == b->method);
        assert(span_is_equal(a->path, b->path));
        assert(span_is_equal(a->query, b->query));
        assert(span_is_equal(buf_span(&a->head), buf_span(&b->head)));
        assert(span_is_equal(buf_span(&a->body), buf_span(&b->body)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    size_t step = (size_t)data[0] + 1;
    struct span whole = span_of(data + 1, len - 1);
    struct span pieces = whole;
    struct http_request a;
    struct http_request b;
    http_request_init(&a, &limits);
    http_request_init(&b, &limits);
    while (whole.len > 0) {
        feed(&a, &whole, SIZE_MAX);
        feed(&b, &pieces, step);
        check_limits(&a);
        check_same(&a, &b);
        if (a.state != HTTP_REQUEST_COMPLETE) {
            break;
        }
        assert(whole.len == pieces.len);
        http_request_reset(&a);
        http_request_reset(&b);
    }
    http_request_clear(&a);
    http_request_clear(&b);
    return 0;
}
