#include "net/http_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define HOST "Host: a\r\n"

static const struct http_request_limits limits = {
    .header_count_max = 8,
    .header_bytes_max = 400,
    .target_bytes_max = 64,
    .body_bytes_max = 32,
};

/* Feeds `text` in pieces of `step` bytes, each in an allocation of its own so that a sanitizer sees
 * what reads beyond it; returns the bytes taken. */
static size_t feed(struct http_request *request, struct span text, size_t step)
{
    size_t taken = 0;
    while (taken < text.len && request->state < HTTP_REQUEST_COMPLETE) {
        size_t len = text.len - taken < step ? text.len - taken : step;
        uint8_t *piece = malloc(len);
        memcpy(piece, text.data + taken, len);
        struct span in = span_of(piece, len);
        while (in.len > 0 && request->state < HTTP_REQUEST_COMPLETE) {
            http_request_feed(request, &in);
        }
        taken += len - in.len;
        free(piece);
    }
    return taken;
}

/* The refusal of `text`, 0 when it is complete, -1 when it wants more; however it is cut. */
static int outcome(const char *text)
{
    int first = 0;
    for (size_t step = 1; step < strlen(text) + 2; step++) {
        struct http_request request;
        http_request_init(&request, &limits);
        feed(&request, span_of_str(text), step);
        int now = request.state == HTTP_REQUEST_COMPLETE  ? 0
                  : request.state == HTTP_REQUEST_REFUSED ? request.refusal
                                                          : -1;
        http_request_clear(&request);
        if (step == 1) {
            first = now;
        } else if (now != first) {
            print_message("step %zu: %d, byte by byte: %d: %s\n", step, now, first, text);
            fail();
        }
    }
    return first;
}

struct outcome_case {
    const char *text;
    int outcome;
};

static void check_outcomes(const struct outcome_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int got = outcome(cases[i].text);
        if (got != cases[i].outcome) {
            print_message("got %d, want %d for: %s\n", got, cases[i].outcome, cases[i].text);
            fail();
        }
    }
}

#define CHECK_OUTCOMES(cases) check_outcomes((cases), sizeof(cases) / sizeof(cases)[0])

static void http_request_gives_its_parts_however_it_is_cut(void **state)
{
    (void)state;
    const char *text = "POST /tile/0/x001/234?a=b?c HTTP/1.1\r\nHost: log.example\r\n"
                       "X-Empty:\r\nX-Padded:  \t v 1 \t \r\nContent-Length: 5\r\n\r\nhelloGET";
    for (size_t step = 1; step <= strlen(text); step++) {
        struct http_request request;
        http_request_init(&request, &limits);
        assert_int_equal(feed(&request, span_of_str(text), step), strlen(text) - 3);
        assert_int_equal(request.state, HTTP_REQUEST_COMPLETE);
        assert_int_equal(request.method, HTTP_METHOD_POST);
        assert_true(span_is_str(request.path, "/tile/0/x001/234"));
        assert_true(span_is_str(request.query, "a=b?c"));
        assert_true(span_is_str(buf_span(&request.body), "hello"));
        assert_true(request.is_keep_alive);
        struct span value;
        assert_true(http_request_header(&request, "HOST", &value));
        assert_true(span_is_str(value, "log.example"));
        assert_true(http_request_header(&request, "x-empty", &value));
        assert_int_equal(value.len, 0);
        assert_true(http_request_header(&request, "X-Padded", &value));
        assert_true(span_is_str(value, "v 1"));
        assert_false(http_request_header(&request, "X-Pad", &value));
        http_request_clear(&request);
    }
}

static void http_request_joins_chunks_and_reads_over_trailers(void **state)
{
    (void)state;
    const char *text = "POST /add HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
                       "3\r\nabc\r\nA;ext=1\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nrest";
    for (size_t step = 1; step <= strlen(text); step++) {
        struct http_request request;
        http_request_init(&request, &limits);
        assert_int_equal(feed(&request, span_of_str(text), step), strlen(text) - 4);
        assert_int_equal(request.state, HTTP_REQUEST_COMPLETE);
        assert_true(span_is_str(buf_span(&request.body), "abc0123456789"));
        struct span value;
        assert_false(http_request_header(&request, "Trailer", &value));
        http_request_clear(&request);
    }
}

static void http_request_reset_forgets_the_one_before(void **state)
{
    (void)state;
    struct http_request request;
    http_request_init(&request, &limits);
    feed(&request,
         span_of_str("POST /x?q HTTP/1.0\r\nExpect: 100-continue\r\n"
                     "Content-Length: 2\r\n\r\nab"),
         1000);
    assert_int_equal(request.state, HTTP_REQUEST_COMPLETE);
    assert_false(request.is_keep_alive);
    http_request_reset(&request);
    feed(&request, span_of_str("GET /y HTTP/1.1\r\n" HOST "\r\n"), 1000);
    assert_int_equal(request.state, HTTP_REQUEST_COMPLETE);
    assert_int_equal(request.method, HTTP_METHOD_GET);
    assert_true(span_is_str(request.path, "/y"));
    assert_int_equal(request.query.len, 0);
    assert_int_equal(request.body.len, 0);
    assert_true(request.is_keep_alive);
    struct span value;
    assert_false(http_request_header(&request, "Expect", &value));
    http_request_clear(&request);
}

/* Each could be framed otherwise by a proxy in front of us. */
static void http_request_refuses_ambiguous_framing(void **state)
{
    (void)state;
#define POST(headers, body) "POST / HTTP/1.1\r\n" HOST headers "\r\n\r\n" body
    static const struct outcome_case cases[] = {
        { POST("Content-Length: 3\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), 400 },
        { POST("Transfer-Encoding: chunked\r\nContent-Length: 3", "0\r\n\r\n"), 400 },
        { POST("Content-Length: 3\r\nContent-Length: 3", "abc"), 400 },
        { POST("Content-Length: 3\r\nContent-Length: 4", "abcd"), 400 },
        { POST("Content-Length: 3, 3", "abc"), 400 },
        { POST("Content-Length: +3", "abc"), 400 },
        { POST("Content-Length: -3", "abc"), 400 },
        { POST("Content-Length: 0x3", "abc"), 400 },
        { POST("Content-Length: 3 3", "abc"), 400 },
        { POST("Content-Length: 3a", "abc"), 400 },
        { POST("Content-Length: ", "abc"), 400 },
        { POST("Content-Length:", "abc"), 400 },
        { POST("Content-Length: 18446744073709551616", ""), 400 },
        { POST("Content-Length: 18446744073709551615", ""), 413 },
        { POST("Content-Length : 3", "abc"), 400 },
        { POST("Content-Length\t: 3", "abc"), 400 },
        { POST(" Content-Length: 3", "abc"), 400 },
        { POST("X: y\r\n Content-Length: 3", "abc"), 400 },
        { POST("X: y\r\n\tz", ""), 400 },
        { POST("Transfer-Encoding: xchunked", "0\r\n\r\n"), 400 },
        { POST("Transfer-Encoding: chunked, identity", "0\r\n\r\n"), 400 },
        { POST("Transfer-Encoding: identity", ""), 400 },
        { POST("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), 400 },
        { POST("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"), 400 },
        { POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), 400 },
        { POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "0\r\n\r\n"), 400 },
        { POST("Transfer-Encoding: \"chunked\"", "0\r\n\r\n"), 400 },
        { POST("Transfer-Encoding: \x0b"
               "chunked",
               "0\r\n\r\n"),
          400 },
        { POST("Transfer-Encoding:", "0\r\n\r\n"), 400 },
        { POST("Transfer-Encoding : chunked", "0\r\n\r\n"), 400 },
        { "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
        { POST("Transfer-Encoding: chunked", "0x1\r\na\r\n0\r\n\r\n"), 400 },
        { POST("Transfer-Encoding: chunked", "-1\r\na\r\n0\r\n\r\n"), 400 },
        { POST("Transfer-Encoding: chunked", " 1\r\na\r\n0\r\n\r\n"), 400 },
        { POST("Transfer-Encoding: chunked", "1\r\nab\r\n0\r\n\r\n"), 400 },
        { POST("Transfer-Encoding: chunked", "g\r\n"), 400 },
        { POST("Transfer-Encoding: chunked", "\r\n"), 400 },
        { POST("Transfer-Encoding: chunked", "10000000000000000\r\n"), 400 },
        { POST("Transfer-Encoding: chunked", "1\na\r\n0\r\n\r\n"), 400 },
        { POST("Transfer-Encoding: chunked", "1\r\na\n0\r\n\r\n"), 400 },
        { POST("Transfer-Encoding: chunked", "1\r\na\r\n0\n\n"), 400 },
        { POST("Transfer-Encoding: chunked", "1;a\nb\r\na\r\n0\r\n\r\n"), 400 },
    };
    CHECK_OUTCOMES(cases);
}

static void http_request_refuses_what_is_not_http(void **state)
{
    (void)state;
    static const struct outcome_case cases[] = {
        { "\x16\x03\x01", 400 }, /* TLS */
        { "get / HTTP/1.1\r\n", 400 },
        { " GET / HTTP/1.1\r\n", 400 },
        { "\n", 400 },
        { "\r\n\r\n\r\n", 400 },
        { "\rGET / HTTP/1.1\r\n", 400 },
        { "GET /\r\n", 400 },
        { "GET / HTTP/1.1\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\n\r\n", 400 },
        { "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\r\n", 400 },
        { "GET / HTTP/2.0\r\n", 505 },
        { "GET / HTTP/1.2\r\n", 505 },
        { "GET / HTTP/0.9\r\n", 505 },
        { "GET / HTTP/1.1 \r\n", 505 },
        { "GET / http/1.1\r\n", 400 },
        { "GET  / HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET / / HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET x HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET * HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET /\x01 HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET /\x80 HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET /#f HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET /\t HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "GET http://a HTTP/1.1\r\n" HOST "\r\n", 400 },
        { "BREW / HTTP/1.1\r\n" HOST "\r\n", 501 },
        { "GET / HTTP/1.1\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "No colon\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST ": empty\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "X(Y): z\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "X: \x01\r\n\r\n", 400 },
        { "GET / HTTP/1.1\r\n" HOST "X: \x7f\r\n\r\n", 400 },
        { "POST / HTTP/1.1\r\n" HOST "Expect: the-unexpected\r\n\r\n", 417 },
    };
    CHECK_OUTCOMES(cases);
}

static void http_request_takes_what_rfc_9112_allows(void **state)
{
    (void)state;
    static const struct outcome_case cases[] = {
        { "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 0 },
        { "GET / HTTP/1.0\r\n\r\n", 0 },
        { "GET http://log.example/checkpoint HTTP/1.1\r\n" HOST "\r\n", 0 },
        { "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0 },
        { "DELETE /x HTTP/1.1\r\n" HOST "\r\n", 0 },
        { "GET / HTTP/1.1\r\n" HOST "X: \xe2\x80\x94\r\n\r\n", 0 },
        { "GET / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 0 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 0 },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", 0 },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\na", -1 },
        { "GET / HTTP/1.1\r\n" HOST, -1 },
    };
    CHECK_OUTCOMES(cases);
}

/* `prefix`, `count` fillers, `suffix`. */
static void check_long(const char *prefix, size_t count, const char *suffix, int expected)
{
    struct buf text = BUF_INIT(100000);
    buf_put_str(&text, prefix);
    memset(buf_extend(&text, count), 'a', count);
    buf_put_str(&text, suffix);
    assert_int_equal(outcome(buf_c_str(&text)), expected);
    buf_clear(&text);
}

static void http_request_bounds_the_target(void **state)
{
    (void)state;
    check_long("GET /", limits.target_bytes_max - 1, " HTTP/1.1\r\n" HOST "\r\n", 0);
    check_long("GET /", limits.target_bytes_max, " HTTP/1.1\r\n" HOST "\r\n", 414);
    check_long("GET /", 1000, "", 414);
}

static void http_request_bounds_the_headers(void **state)
{
    (void)state;
    const char *start = "GET / HTTP/1.1\r\n" HOST "X: ";
    size_t most = limits.header_bytes_max - strlen(start) - 4;
    check_long(start, most, "\r\n\r\n", 0);
    check_long(start, most + 1, "\r\n\r\n", 431);
    check_long(start, 10000, "", 431);
    struct buf text = BUF_INIT(1000);
    buf_put_str(&text, "GET / HTTP/1.1\r\n" HOST);
    for (uint32_t i = 1; i < limits.header_count_max; i++) {
        buf_put_str(&text, "X: y\r\n");
    }
    size_t len = text.len;
    buf_put_str(&text, "\r\n");
    assert_int_equal(outcome(buf_c_str(&text)), 0);
    buf_truncate(&text, len);
    buf_put_str(&text, "X: y\r\n\r\n");
    assert_int_equal(outcome(buf_c_str(&text)), 431);
    buf_clear(&text);
}

static void http_request_bounds_the_body(void **state)
{
    (void)state;
    check_long("POST / HTTP/1.1\r\n" HOST "Content-Length: 32\r\n\r\n", 32, "", 0);
    check_long("POST / HTTP/1.1\r\n" HOST "Content-Length: 33\r\n\r\n", 33, "", 413);
    const char *chunked = "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n";
    struct buf text = BUF_INIT(100000);
    buf_put_str(&text, chunked);
    for (int i = 0; i < 32; i++) {
        buf_put_str(&text, "1\r\nx\r\n");
    }
    size_t len = text.len;
    buf_put_str(&text, "0\r\n\r\n");
    assert_int_equal(outcome(buf_c_str(&text)), 0);
    buf_truncate(&text, len);
    buf_put_str(&text, "1\r\nx\r\n0\r\n\r\n");
    assert_int_equal(outcome(buf_c_str(&text)), 413);
    buf_clear(&text);
    /* Extensions and trailers are no part of the body, and not endless either. */
    struct buf padded = BUF_INIT(100000);
    buf_put_str(&padded, chunked);
    buf_put_str(&padded, "1;");
    memset(buf_extend(&padded, 20000), 'e', 20000);
    struct http_request request;
    http_request_init(&request, &limits);
    feed(&request, buf_span(&padded), 100);
    assert_int_equal(request.state, HTTP_REQUEST_REFUSED);
    assert_int_equal(request.refusal, 413);
    http_request_clear(&request);
    buf_clear(&padded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_request_gives_its_parts_however_it_is_cut),
        cmocka_unit_test(http_request_joins_chunks_and_reads_over_trailers),
        cmocka_unit_test(http_request_reset_forgets_the_one_before),
        cmocka_unit_test(http_request_refuses_ambiguous_framing),
        cmocka_unit_test(http_request_refuses_what_is_not_http),
        cmocka_unit_test(http_request_takes_what_rfc_9112_allows),
        cmocka_unit_test(http_request_bounds_the_target),
        cmocka_unit_test(http_request_bounds_the_headers),
        cmocka_unit_test(http_request_bounds_the_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
