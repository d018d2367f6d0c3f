/* HTTP/2 as a bastion speaks it to us, in memory: both ends' bytes are carried by hand, and so is the
 * time. */
#include "net/bastion_session.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "tests/support/h2_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum {
    BODY_MAX = 1000,
    STREAMS_MAX = 8,
    HELD_MAX = 64,
    WIRE_MAX = 64 * 1024 * 1024,
    START_MS = 1000000,
};

struct fixture {
    struct bastion_service service;
    struct bastion_session *session;
    struct h2_client *client;
    uint64_t now_ms;
    enum err_code failed; /* what the session said last */
    size_t asked;         /* for output, from outside */
    size_t answered;

    bool holds; /* the handler keeps the exchanges */
    struct bastion_exchange *held[HELD_MAX];
    size_t held_count, called;
    struct http_response response; /* what the handler answers with, when it does not hold */
    enum http_method method;       /* of the last request */
    struct buf path, body, from;
};

static void copy(struct buf *to, struct span bytes)
{
    buf_reset(to);
    buf_put(to, bytes);
}

static void on_request(void *ctx, struct bastion_exchange *exchange)
{
    struct fixture *fixture = ctx;
    fixture->called++;
    fixture->method = bastion_exchange_method(exchange);
    copy(&fixture->path, bastion_exchange_path(exchange));
    copy(&fixture->body, bastion_exchange_body(exchange));
    copy(&fixture->from, bastion_exchange_client(exchange));
    if (fixture->holds) {
        assert_true(fixture->held_count < HELD_MAX);
        fixture->held[fixture->held_count++] = exchange;
    } else {
        bastion_respond(exchange, &fixture->response);
    }
}

static void on_answered(void *owner)
{
    struct fixture *fixture = owner;
    fixture->answered++;
}

static void on_output(void *ctx)
{
    struct fixture *fixture = ctx;
    fixture->asked++;
}

static void start_client(struct fixture *fixture, bool is_slow)
{
    fixture->client = NEW(struct h2_client);
    h2_client_init(fixture->client, is_slow);
    fixture->session = bastion_session_new(&fixture->service, fixture->now_ms, fixture, on_output);
}

static void start(struct fixture *fixture)
{
    *fixture = (struct fixture){ .now_ms = START_MS };
    fixture->service = (struct bastion_service){ .body_bytes_max = BODY_MAX,
                                                 .streams_max = STREAMS_MAX,
                                                 .ctx = fixture,
                                                 .on_request = on_request,
                                                 .owner = fixture,
                                                 .on_answered = on_answered };
    fixture->response = (struct http_response){ .status = 200, .text = span_of_str("yes\n") };
    buf_init(&fixture->path, WIRE_MAX);
    buf_init(&fixture->body, WIRE_MAX);
    buf_init(&fixture->from, WIRE_MAX);
    start_client(fixture, false);
}

static void end_session(struct fixture *fixture)
{
    bastion_session_free(fixture->session);
    h2_client_clear(fixture->client);
    mem_free(fixture->client);
    fixture->session = NULL;
}

static void stop(struct fixture *fixture)
{
    if (fixture->session != NULL) {
        end_session(fixture);
    }
    assert_int_equal(fixture->service.held_count, 0);
    buf_clear(&fixture->path);
    buf_clear(&fixture->body);
    buf_clear(&fixture->from);
}

static bool carry_back(struct fixture *fixture)
{
    struct err err;
    struct span piece = { NULL, 0 };
    bool has_any = false;
    do {
        fixture->failed = bastion_session_take(fixture->session, &piece, &err);
        if (fixture->failed == E_OK && piece.len > 0) {
            assert_true(h2_client_feed(fixture->client, piece));
            has_any = true;
        }
    } while (fixture->failed == E_OK && piece.len > 0);
    return has_any;
}

static void feed(struct fixture *fixture, struct span bytes)
{
    struct err err;
    fixture->failed = bastion_session_feed(fixture->session, bytes, fixture->now_ms, &err);
}

/* Carries bytes to and fro until neither end has anything to say. */
static void carry(struct fixture *fixture)
{
    bool is_busy = true;
    fixture->failed = E_OK;
    while (is_busy && fixture->failed == E_OK) {
        struct buf out = BUF_INIT(WIRE_MAX);
        h2_client_take(fixture->client, &out);
        is_busy = out.len > 0;
        if (out.len > 0) {
            feed(fixture, buf_span(&out));
        }
        buf_clear(&out);
        is_busy = (fixture->failed == E_OK && carry_back(fixture)) || is_busy;
    }
}

static enum err_code wait_ms(struct fixture *fixture, uint64_t ms)
{
    struct err err;
    fixture->now_ms += ms;
    enum err_code rc = bastion_session_tick(fixture->session, fixture->now_ms, &err);
    return rc;
}

static struct h2_stream *get(struct fixture *fixture, const char *path)
{
    struct h2_stream *stream = h2_request(fixture->client, "GET", path, span_of(NULL, 0), NULL);
    carry(fixture);
    assert_int_equal(fixture->failed, E_OK);
    return stream;
}

static void expect(const struct h2_stream *stream, int status, const char *body)
{
    assert_int_equal(stream->status, status);
    assert_true(stream->is_closed);
    assert_true(stream->is_ended);
    assert_true(span_is_str(buf_span(&stream->body), body));
}

/* ---- requests ---- */

static void handler_sees_the_request(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    const struct h2_header headers[] = { { "x-forwarded-for", "192.0.2.1, 192.0.2.2" },
                                         { "x-forwarded-for", "192.0.2.3, 2001:db8::4" },
                                         { "cookie", "a=b" },
                                         { NULL, NULL } };
    struct h2_stream *stream = h2_request(fixture.client, "POST", "/add-checkpoint?a=/b?c",
                                          span_of_str("old 5\n"), headers);
    carry(&fixture);
    expect(stream, 200, "yes\n");
    assert_int_equal(fixture.method, HTTP_METHOD_POST);
    assert_true(span_is_str(buf_span(&fixture.path), "/add-checkpoint"));
    assert_true(span_is_str(buf_span(&fixture.body), "old 5\n"));
    assert_true(span_is_str(buf_span(&fixture.from), "2001:db8::4"));
    assert_true(bastion_session_is_open(fixture.session));

    get(&fixture, "/");
    assert_int_equal(fixture.method, HTTP_METHOD_GET);
    assert_int_equal(fixture.body.len, 0);
    assert_int_equal(fixture.from.len, 0);
    h2_request(fixture.client, "DELETE", "/x", span_of(NULL, 0), NULL);
    carry(&fixture);
    assert_int_equal(fixture.method, HTTP_METHOD_OTHER);
    assert_int_equal(fixture.called, 3);
    assert_int_equal(fixture.answered, 3);
    stop(&fixture);
}

static void every_kind_of_answer_goes_out(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    const struct http_header extra[] = { { "X-Log-Size", "17" }, { "Retry-After", "5" } };
    fixture.response.content_type = "text/x.tlog.size";
    fixture.response.cache_control = "no-store";
    fixture.response.headers = extra;
    fixture.response.header_count = 2;
    struct h2_stream *stream = get(&fixture, "/text");
    expect(stream, 200, "yes\n");
    assert_true(h2_has_header(stream, "content-type: text/x.tlog.size\n"));
    assert_true(h2_has_header(stream, "cache-control: no-store\n"));
    assert_true(h2_has_header(stream, "content-length: 4\n"));
    assert_true(h2_has_header(stream, "x-log-size: 17\n"));
    assert_true(h2_has_header(stream, "retry-after: 5\n"));
    assert_true(h2_has_header(stream, " GMT\n"));

    fixture.response.status = 409; /* an error is not cached */
    stream = get(&fixture, "/text");
    expect(stream, 409, "yes\n");
    assert_false(h2_has_header(stream, "cache-control"));

    fixture.response = (struct http_response){ .status = 204 };
    stream = get(&fixture, "/none");
    expect(stream, 204, "");
    assert_false(h2_has_header(stream, "content-length"));

    struct buf taken = BUF_INIT(100);
    buf_put_str(&taken, "taken");
    fixture.response = (struct http_response){ .status = 200, .taken = &taken };
    expect(get(&fixture, "/taken"), 200, "taken");
    assert_int_equal(taken.len, 0);

    struct http_body *shared = http_body_new(span_of_str("shared"));
    fixture.response = (struct http_response){ .status = 200, .shared = shared };
    expect(get(&fixture, "/shared"), 200, "shared");
    stream = h2_request(fixture.client, "HEAD", "/shared", span_of(NULL, 0), NULL);
    carry(&fixture);
    expect(stream, 200, "");
    assert_true(h2_has_header(stream, "content-length: 6\n"));
    http_body_release(shared);
    stop(&fixture);
}

static void large_answer_goes_out_as_windows_open(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    struct buf large = BUF_INIT(WIRE_MAX);
    memset(buf_extend(&large, 3000000), 'x', 3000000);
    fixture.response.text = buf_span(&large);
    struct h2_stream *stream = get(&fixture, "/");
    assert_int_equal(stream->status, 200);
    assert_true(stream->is_ended);
    assert_true(span_is_equal(buf_span(&stream->body), buf_span(&large)));
    buf_clear(&large);
    stop(&fixture);
}

static void later_answers_in_any_order_ask_for_output(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    fixture.holds = true;
    struct h2_stream *streams[STREAMS_MAX];
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        streams[i] = get(&fixture, "/");
        assert_int_equal(streams[i]->status, 0);
    }
    assert_int_equal(fixture.service.held_count, STREAMS_MAX);
    assert_int_equal(fixture.asked, 0);
    for (size_t i = STREAMS_MAX; i-- > 0;) {
        char text[8];
        snprintf(text, sizeof text, "%zu", i);
        fixture.response.text = span_of_str(text);
        bastion_respond(fixture.held[i], &fixture.response);
        assert_int_equal(fixture.asked, STREAMS_MAX - i);
        carry(&fixture);
        expect(streams[i], 200, text);
    }
    assert_int_equal(fixture.answered, STREAMS_MAX);
    stop(&fixture);
}

/* ---- limits ---- */

static void body_over_the_limit_is_413(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    static uint8_t bytes[100 * BODY_MAX];
    struct h2_stream *exact =
        h2_request(fixture.client, "POST", "/", span_of(bytes, BODY_MAX), NULL);
    carry(&fixture);
    expect(exact, 200, "yes\n");
    assert_int_equal(fixture.body.len, BODY_MAX);
    struct h2_stream *over =
        h2_request(fixture.client, "POST", "/", span_of(bytes, BODY_MAX + 1), NULL);
    carry(&fixture);
    assert_int_equal(over->status, 413);
    /* The peer is told to stop sending, and the connection is as good as before. */
    struct h2_stream *endless = h2_request_endless(fixture.client, "/", SPAN_OF_ARRAY(bytes));
    carry(&fixture);
    assert_int_equal(endless->status, 413);
    assert_true(endless->is_closed);
    assert_int_equal(endless->error_code, NGHTTP2_NO_ERROR);
    assert_int_equal(fixture.called, 1);
    expect(get(&fixture, "/"), 200, "yes\n");
    stop(&fixture);
}

static void long_headers_and_paths_are_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    static char path[HTTP_TARGET_BYTES_MAX + 2];
    memset(path, 'p', sizeof path - 1);
    path[0] = '/';
    assert_int_equal(get(&fixture, path)->status, 414);
    assert_int_equal(fixture.called, 0);
    path[HTTP_TARGET_BYTES_MAX] = 0;
    expect(get(&fixture, path), 200, "yes\n");
    assert_int_not_equal(get(&fixture, "*")->status, 200);
    assert_int_not_equal(get(&fixture, "/\x7f")->status, 200);
    assert_int_not_equal(get(&fixture, "/\xc3\xa4")->status, 200);
    struct h2_stream *stream = h2_request(fixture.client, "OPTIONS", "*", span_of(NULL, 0), NULL);
    carry(&fixture);
    assert_int_equal(stream->status, 400);
    assert_int_equal(fixture.called, 1);

    static char value[1000];
    memset(value, 'v', sizeof value - 1);
    struct h2_header headers[20] = { { "cookie", value } };
    for (size_t i = 0; i < 17; i++) {
        headers[i] = (struct h2_header){ "x-filler", value };
    }
    stream = h2_request(fixture.client, "GET", "/", span_of(NULL, 0), headers);
    carry(&fixture);
    assert_int_equal(stream->status, 431);
    headers[15].name = NULL;
    stream = h2_request(fixture.client, "GET", "/", span_of(NULL, 0), headers);
    carry(&fixture);
    expect(stream, 200, "yes\n");

    /* What is no address is not taken for one. */
    headers[0] = (struct h2_header){ "x-forwarded-for", value };
    headers[1].name = NULL;
    h2_request(fixture.client, "GET", "/", span_of(NULL, 0), headers);
    carry(&fixture);
    assert_int_equal(fixture.from.len, 0);
    assert_int_equal(fixture.called, 3);
    stop(&fixture);
}

/* The peer's own library keeps to the maximum, so what is over it waits there. */
static void streams_over_the_maximum_wait(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    fixture.holds = true;
    get(&fixture, "/"); /* our settings have come by now */
    for (size_t i = 0; i < 3 * STREAMS_MAX; i++) {
        h2_request(fixture.client, "GET", "/", span_of(NULL, 0), NULL);
    }
    carry(&fixture);
    assert_int_equal(fixture.called, STREAMS_MAX);
    while (fixture.held_count > 0) {
        bastion_respond(fixture.held[--fixture.held_count], &fixture.response);
        carry(&fixture);
        assert_true(fixture.service.held_count <= STREAMS_MAX);
    }
    assert_int_equal(fixture.called, 3 * STREAMS_MAX + 1);
    stop(&fixture);
}

/* Streams that are reset make room for others, but the handler still has their exchanges. */
static void reset_streams_do_not_pile_up_at_the_handler(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    fixture.holds = true;
    size_t refused = 0;
    for (size_t i = 0; i < 20 * STREAMS_MAX; i++) {
        struct h2_stream *stream = get(&fixture, "/");
        refused += stream->status == 503;
        if (stream->status == 0) {
            nghttp2_submit_rst_stream(fixture.client->http2, NGHTTP2_FLAG_NONE, stream->id,
                                      NGHTTP2_CANCEL);
            carry(&fixture);
        }
        assert_true(fixture.service.held_count <= STREAMS_MAX);
    }
    assert_int_equal(fixture.called, STREAMS_MAX);
    assert_int_equal(refused, 19 * STREAMS_MAX);
    struct buf taken = BUF_INIT(100);
    while (fixture.held_count > 0) { /* into the void */
        buf_put_str(&taken, "late");
        fixture.response = (struct http_response){ .status = 200, .taken = &taken };
        bastion_respond(fixture.held[--fixture.held_count], &fixture.response);
        assert_int_equal(taken.len, 0);
    }
    buf_clear(&taken);
    fixture.holds = false;
    fixture.response = (struct http_response){ .status = 200, .text = span_of_str("again") };
    expect(get(&fixture, "/"), 200, "again");
    stop(&fixture);
}

static void flood_of_pings_ends_the_session(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    get(&fixture, "/");
    fixture.failed = E_OK;
    size_t fed = 0;
    for (; fed < 100000 && fixture.failed == E_OK; fed++) { /* and never takes what we say */
        const uint8_t ping[17] = { 0, 0, 8, NGHTTP2_PING };
        feed(&fixture, SPAN_OF_ARRAY(ping));
    }
    assert_int_equal(fixture.failed, E_BUSY);
    assert_true(fed < 2000);
    stop(&fixture);
}

/* ---- time ---- */

static void request_that_does_not_end_is_ended(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    struct h2_stream *slow = h2_request_endless(fixture.client, "/", span_of_str("some"));
    carry(&fixture);
    for (int i = 0; i < 29; i++) {
        assert_int_equal(wait_ms(&fixture, 1000), E_OK);
        expect(get(&fixture, "/"), 200, "yes\n");
    }
    assert_int_equal(slow->status, 0);
    assert_int_equal(wait_ms(&fixture, 1000), E_OK);
    carry(&fixture);
    assert_int_equal(slow->status, 408);
    assert_true(slow->is_closed);
    assert_int_equal(fixture.called, 29);
    stop(&fixture);
}

static void answer_that_is_not_taken_is_dropped(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    end_session(&fixture);
    start_client(&fixture, true);
    struct buf large = BUF_INIT(WIRE_MAX);
    memset(buf_extend(&large, 200000), 'x', 200000);
    fixture.response.text = buf_span(&large);
    struct h2_stream *stream = get(&fixture, "/");
    assert_in_range(stream->body.len, 1, 100000);
    for (int i = 0; i < 59; i++) {
        assert_int_equal(wait_ms(&fixture, 1000), E_OK);
        carry(&fixture);
        assert_false(stream->is_closed);
    }
    assert_int_equal(wait_ms(&fixture, 1000), E_OK);
    carry(&fixture);
    assert_true(stream->is_closed);
    assert_int_equal(stream->error_code, NGHTTP2_CANCEL);
    assert_false(stream->is_ended);
    buf_clear(&large);
    stop(&fixture);
}

static void silent_peer_is_asked_then_given_up(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    get(&fixture, "/");
    assert_int_equal(wait_ms(&fixture, 29000), E_OK);
    carry(&fixture);
    assert_int_equal(fixture.client->pings, 0);
    for (int round = 1; round <= 3; round++) { /* it answers, so all is well */
        assert_int_equal(wait_ms(&fixture, 30000), E_OK);
        carry(&fixture);
        assert_int_equal(fixture.client->pings, round);
    }
    for (int i = 0; i < 59; i++) { /* it answers no more */
        assert_int_equal(wait_ms(&fixture, 1000), E_OK);
    }
    assert_int_equal(wait_ms(&fixture, 1000), E_TIMEOUT);
    stop(&fixture);
}

static void ping_is_answered(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    assert_int_equal(nghttp2_submit_ping(fixture.client->http2, NGHTTP2_FLAG_NONE, NULL), 0);
    carry(&fixture);
    assert_int_equal(fixture.client->pongs, 1);
    stop(&fixture);
}

/* ---- the end ---- */

static void goaway_lets_what_is_under_way_end(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    fixture.holds = true;
    struct h2_stream *stream = get(&fixture, "/");
    nghttp2_submit_goaway(fixture.client->http2, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0);
    carry(&fixture);
    assert_false(bastion_session_is_over(fixture.session));
    bastion_respond(fixture.held[0], &fixture.response);
    carry(&fixture);
    expect(stream, 200, "yes\n");
    assert_true(bastion_session_is_over(fixture.session));
    stop(&fixture);
}

static void exchange_outlives_its_session(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    fixture.holds = true;
    h2_request(fixture.client, "POST", "/kept", span_of_str("body"), NULL);
    carry(&fixture);
    h2_request_endless(fixture.client, "/never", span_of_str("body")); /* freed with the session */
    carry(&fixture);
    end_session(&fixture);
    assert_true(span_is_str(bastion_exchange_path(fixture.held[0]), "/kept"));
    assert_true(span_is_str(bastion_exchange_body(fixture.held[0]), "body"));
    assert_int_equal(fixture.service.held_count, 1);
    bastion_respond(fixture.held[0], &fixture.response);
    assert_int_equal(fixture.answered, 1);
    assert_int_equal(fixture.asked, 0);
    stop(&fixture);
}

static void closed_service_asks_nobody(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture);
    fixture.service.is_closed = true;
    assert_int_equal(get(&fixture, "/")->status, 503);
    assert_int_equal(fixture.called, 0);
    stop(&fixture);
}

static void what_is_not_http2_is_refused(void **state)
{
    (void)state;
    static const char *const bytes[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        struct fixture fixture;
        start(&fixture);
        feed(&fixture, span_of_str(bytes[i]));
        if (fixture.failed == E_OK) { /* or it says so in a GOAWAY, and is over */
            struct span piece = { NULL, 0 };
            struct err err;
            do {
                assert_int_equal(bastion_session_take(fixture.session, &piece, &err), E_OK);
            } while (piece.len > 0);
            assert_true(bastion_session_is_over(fixture.session));
        } else {
            assert_int_equal(fixture.failed, E_MALFORMED);
        }
        assert_int_equal(fixture.called, 0);
        stop(&fixture);
    }
}

/* Each byte of a good conversation changed in turn: whatever it then says, the handler gets requests or
 * nothing, and nothing is left behind. */
static void damaged_bytes_do_no_harm(void **state)
{
    (void)state;
    struct h2_client *client = NEW(struct h2_client);
    struct buf good = BUF_INIT(WIRE_MAX);
    h2_client_init(client, false);
    h2_request(client, "POST", "/a", span_of_str("body"), NULL);
    h2_request(client, "GET", "/b", span_of(NULL, 0), NULL);
    h2_client_take(client, &good);
    for (size_t i = 0; i < good.len; i++) {
        struct fixture fixture;
        start(&fixture);
        good.data[i] ^= 0x5a;
        feed(&fixture, buf_span(&good));
        struct span piece = { NULL, 0 };
        struct err err;
        while (bastion_session_take(fixture.session, &piece, &err) == E_OK && piece.len > 0) {
        }
        good.data[i] ^= 0x5a;
        assert_true(fixture.called <= 2);
        assert_int_equal(fixture.called, fixture.answered);
        stop(&fixture);
    }
    h2_client_clear(client);
    mem_free(client);
    buf_clear(&good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handler_sees_the_request),
        cmocka_unit_test(every_kind_of_answer_goes_out),
        cmocka_unit_test(large_answer_goes_out_as_windows_open),
        cmocka_unit_test(later_answers_in_any_order_ask_for_output),
        cmocka_unit_test(body_over_the_limit_is_413),
        cmocka_unit_test(long_headers_and_paths_are_refused),
        cmocka_unit_test(streams_over_the_maximum_wait),
        cmocka_unit_test(reset_streams_do_not_pile_up_at_the_handler),
        cmocka_unit_test(flood_of_pings_ends_the_session),
        cmocka_unit_test(request_that_does_not_end_is_ended),
        cmocka_unit_test(answer_that_is_not_taken_is_dropped),
        cmocka_unit_test(silent_peer_is_asked_then_given_up),
        cmocka_unit_test(ping_is_answered),
        cmocka_unit_test(goaway_lets_what_is_under_way_end),
        cmocka_unit_test(exchange_outlives_its_session),
        cmocka_unit_test(closed_service_asks_nobody),
        cmocka_unit_test(what_is_not_http2_is_refused),
        cmocka_unit_test(damaged_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
