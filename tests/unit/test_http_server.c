/* Real sockets on loopback: the server runs on a loop in a thread of its own, the test talks to it
 * with blocking calls. What the handler does is chosen by the path. */
#include "net/http_server.h"

#include "base/limits.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    TILE_BYTES = 8192,
    BIG_BYTES = 4 * 1024 * 1024,
    KEPT_MAX = 64,
    REPLY_MAX = 64 * 1024 * 1024,
    WAIT_MS = 10000 /* for anything; a test that waits so long fails */
};

/* --- The server's side --- */

struct fixture {
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t stop;
    uv_async_t release;
    struct http_server *server;
    struct http_server_options options;
    struct address address; /* bound */
    struct http_body *tile;
    struct http_exchange *kept[KEPT_MAX]; /* of /later: answered by `release`, newest first */
    size_t kept_count;
    uint32_t grace_ms;
    _Atomic uint64_t requests;
    atomic_int left;           /* calls of on_peer_left */
    _Atomic uint64_t timeouts; /* of the last statistics */
    bool is_respond_when_left;
    struct http_server_stats stats; /* at the end */
};

static void respond_text(struct http_exchange *exchange, struct span text)
{
    http_respond(exchange, &(struct http_response){
                               .status = 200,
                               .content_type = "text/plain; charset=utf-8",
                               .cache_control = "no-store",
                               .text = text,
                           });
}

static void on_peer_left(void *ctx, struct http_exchange *exchange)
{
    struct fixture *fixture = ctx;
    assert_true(http_exchange_has_peer_left(exchange));
    atomic_fetch_add(&fixture->left, 1);
    if (fixture->is_respond_when_left) {
        for (size_t i = 0; i < fixture->kept_count; i++) {
            if (fixture->kept[i] == exchange) {
                fixture->kept[i] = fixture->kept[--fixture->kept_count];
                respond_text(exchange, span_of_str("gone"));
                return;
            }
        }
    }
}

static void respond_echo(struct http_exchange *exchange)
{
    struct buf body = BUF_INIT(1024 * 1024);
    buf_put(&body, http_exchange_body(exchange));
    const struct http_header header = { "X-Echo", "yes" };
    http_respond(exchange, &(struct http_response){
                               .status = 200,
                               .headers = &header,
                               .header_count = 1,
                               .taken = &body,
                           });
    assert_int_equal(body.len, 0);
}

static void respond_big(struct http_exchange *exchange)
{
    struct buf body = BUF_INIT(BIG_BYTES);
    memset(buf_extend(&body, BIG_BYTES), 'b', BIG_BYTES);
    http_respond(exchange, &(struct http_response){ .status = 200, .taken = &body });
}

static void respond_peer(struct http_exchange *exchange)
{
    struct buf text = BUF_INIT(ADDRESS_TEXT_MAX);
    address_put(&text, http_exchange_peer(exchange));
    respond_text(exchange, buf_span(&text));
    buf_clear(&text);
}

static void on_request(void *ctx, struct http_exchange *exchange)
{
    struct fixture *fixture = ctx;
    struct span path = http_exchange_path(exchange);
    atomic_fetch_add(&fixture->requests, 1);
    if (span_is_str(path, "/hello")) {
        respond_text(exchange, span_of_str("hello"));
    } else if (span_is_str(path, "/tile")) {
        http_respond(exchange, &(struct http_response){
                                   .status = 200,
                                   .content_type = "application/octet-stream",
                                   .cache_control = "public, max-age=604800, immutable",
                                   .shared = fixture->tile,
                               });
    } else if (span_is_str(path, "/echo")) {
        respond_echo(exchange);
    } else if (span_is_str(path, "/query")) {
        respond_text(exchange, http_exchange_query(exchange));
    } else if (span_is_str(path, "/peer")) {
        respond_peer(exchange);
    } else if (span_is_str(path, "/big")) {
        respond_big(exchange);
    } else if (span_is_str(path, "/get-only")) {
        http_respond_not_allowed(exchange, "GET, HEAD");
    } else if (span_is_str(path, "/empty")) {
        http_respond(exchange, &(struct http_response){ .status = 204 });
    } else if (span_is_str(path, "/later")) {
        assert_false(http_exchange_has_peer_left(exchange));
        assert_true(fixture->kept_count < KEPT_MAX);
        fixture->kept[fixture->kept_count++] = exchange;
        http_exchange_watch_peer(exchange, fixture, on_peer_left);
    } else {
        http_respond_error(exchange, E_NOT_FOUND);
    }
}

static void on_closed(void *ctx)
{
    struct fixture *fixture = ctx;
    uv_close((uv_handle_t *)&fixture->stop, NULL);
    uv_close((uv_handle_t *)&fixture->release, NULL);
}

static void on_stop(uv_async_t *async)
{
    struct fixture *fixture = async->data;
    fixture->stats = http_server_stats(fixture->server);
    http_server_close(fixture->server, fixture->grace_ms, fixture, on_closed);
}

static void on_release(uv_async_t *async)
{
    struct fixture *fixture = async->data;
    struct http_exchange *kept[KEPT_MAX]; /* answering lets further requests in */
    size_t count = fixture->kept_count;
    memcpy(kept, fixture->kept, sizeof kept);
    fixture->kept_count = 0;
    while (count > 0) {
        char text[32];
        snprintf(text, sizeof text, "later %zu", count);
        respond_text(kept[--count], span_of_str(text));
    }
}

static void *run_loop(void *ctx)
{
    struct fixture *fixture = ctx;
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    return NULL;
}

static struct http_server_options small_options(void)
{
    struct http_server_options options = http_server_options_default();
    options.body_bytes_max = 1000;
    return options;
}

static void start_at(struct fixture *fixture, const struct http_server_options *options,
                     const char *where)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->options = *options;
    fixture->grace_ms = 1000;
    uint8_t tile[TILE_BYTES];
    for (size_t i = 0; i < sizeof tile; i++) {
        tile[i] = (uint8_t)(i * 7);
    }
    fixture->tile = http_body_new(span_of(tile, sizeof tile));
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    uv_async_init(&fixture->loop, &fixture->stop, on_stop);
    uv_async_init(&fixture->loop, &fixture->release, on_release);
    fixture->stop.data = fixture;
    fixture->release.data = fixture;
    fixture->server = http_server_new(&fixture->loop, options, fixture, on_request);
    struct address address;
    struct err err;
    assert_int_equal(address_parse(&address, span_of_str(where), &err), E_OK);
    assert_int_equal(http_server_listen(fixture->server, &address, &fixture->address, &err), E_OK);
    assert_int_equal(pthread_create(&fixture->thread, NULL, run_loop, fixture), 0);
}

static void start(struct fixture *fixture, const struct http_server_options *options)
{
    start_at(fixture, options, "127.0.0.1:0");
}

static void join(struct fixture *fixture)
{
    pthread_join(fixture->thread, NULL);
    assert_int_equal(uv_loop_close(&fixture->loop), 0); /* nothing is left open */
    http_body_release(fixture->tile);
}

static void stop(struct fixture *fixture)
{
    uv_async_send(&fixture->release);
    uv_async_send(&fixture->stop);
    join(fixture);
}

/* --- The peer's side --- */

static int connect_to(const struct fixture *fixture)
{
    const struct address *address = &fixture->address;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    socklen_t len = address_is_unix(address) ? sizeof address->un : sizeof address->in;
    assert_int_equal(connect(fd, &address->any, len), 0);
    struct timeval wait = { .tv_sec = WAIT_MS / 1000 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return fd;
}

static void send_bytes(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        assert_true(sent > 0);
        bytes = span_slice(bytes, (size_t)sent, bytes.len - (size_t)sent);
    }
}

static void send_text(int fd, const char *text)
{
    send_bytes(fd, span_of_str(text));
}

/* One reply, its head and its body by Content-Length. */
struct reply {
    int status;
    struct buf head; /* with a NUL after it */
    struct buf body;
};

static void reply_clear(struct reply *reply)
{
    buf_clear(&reply->head);
    buf_clear(&reply->body);
}

static const char *reply_header(struct reply *reply, const char *name)
{
    static char value[256];
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\r\n%s: ", name);
    const char *at = strstr((const char *)reply->head.data, wanted);
    if (at == NULL) {
        return NULL;
    }
    at += strlen(wanted);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
    return value;
}

/* A library's threads may have handlers of signals here, and a socket with a timeout does not begin anew by itself. */
static ssize_t receive(int fd, uint8_t *bytes, size_t len)
{
    ssize_t got;
    do {
        got = recv(fd, bytes, len, 0);
    } while (got < 0 && errno == EINTR);
    return got;
}

static void read_head(int fd, struct reply *reply)
{
    buf_init(&reply->head, 64 * 1024);
    buf_init(&reply->body, REPLY_MAX);
    while (!span_has_suffix(buf_span(&reply->head), span_of_str("\r\n\r\n"))) {
        uint8_t byte;
        if (receive(fd, &byte, 1) != 1) {
            print_message("no reply: %s\n", strerror(errno));
            fail();
        }
        buf_put_u8(&reply->head, byte);
    }
    reply->status = (int)strtol(buf_c_str(&reply->head) + strlen("HTTP/1.1 "), NULL, 10);
}

static struct reply read_reply(int fd)
{
    struct reply reply;
    read_head(fd, &reply);
    const char *length = reply_header(&reply, "Content-Length");
    size_t left = length != NULL ? strtoul(length, NULL, 10) : 0;
    while (left > 0) {
        uint8_t bytes[65536];
        ssize_t got = receive(fd, bytes, left < sizeof bytes ? left : sizeof bytes);
        assert_true(got > 0);
        buf_put(&reply.body, span_of(bytes, (size_t)got));
        left -= (size_t)got;
    }
    return reply;
}

static void expect_reply(int fd, int status, const char *body)
{
    struct reply reply = read_reply(fd);
    assert_int_equal(reply.status, status);
    if (body != NULL) {
        assert_true(span_is_str(buf_span(&reply.body), body));
    }
    reply_clear(&reply);
}

/* The server has ended the connection, and nothing more came. */
static void expect_end(int fd)
{
    uint8_t byte;
    ssize_t got = receive(fd, &byte, 1);
    if (got > 0 || (got < 0 && errno != ECONNRESET)) {
        print_message("connection goes on: %zd %s\n", got, got < 0 ? strerror(errno) : "");
        fail();
    }
    close(fd);
}

static bool is_silent(int fd, int wait_ms)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
    return poll(&poll_fd, 1, wait_ms) == 0;
}

static void sleep_ms(int ms)
{
    usleep((useconds_t)ms * 1000);
}

/* Waits for the server to have seen `count` requests. */
static void wait_for_requests(struct fixture *fixture, uint64_t count)
{
    for (int i = 0; i < WAIT_MS && atomic_load(&fixture->requests) < count; i++) {
        sleep_ms(1);
    }
    assert_int_equal(atomic_load(&fixture->requests), count);
}

static void wait_for_left(struct fixture *fixture, int count)
{
    for (int i = 0; i < WAIT_MS && atomic_load(&fixture->left) < count; i++) {
        sleep_ms(1);
    }
    assert_int_equal(atomic_load(&fixture->left), count);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

/* --- Answers --- */

static void http_server_answers_with_the_handlers_headers(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    start(&fixture, &options);
    int fd = connect_to(&fixture);
    send_text(fd, GET("/tile"));
    struct reply reply = read_reply(fd);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "Content-Type"), "application/octet-stream");
    assert_string_equal(reply_header(&reply, "Cache-Control"), "public, max-age=604800, immutable");
    assert_string_equal(reply_header(&reply, "Content-Length"), "8192");
    assert_int_equal(strlen(reply_header(&reply, "Date")), 29);
    assert_null(reply_header(&reply, "Connection"));
    assert_true(span_is_equal(buf_span(&reply.body), http_body_span(fixture.tile)));
    reply_clear(&reply);
    send_text(fd, GET("/query?a=%20b?c"));
    expect_reply(fd, 200, "a=%20b?c");
    send_text(fd, GET("/empty"));
    reply = read_reply(fd);
    assert_int_equal(reply.status, 204);
    assert_null(reply_header(&reply, "Content-Length"));
    reply_clear(&reply);
    send_text(fd, GET("/peer"));
    reply = read_reply(fd);
    assert_memory_equal(reply.body.data, "127.0.0.1:", 10);
    reply_clear(&reply);
    close(fd);
    stop(&fixture);
}

static void http_server_answers_head_as_get_without_the_body(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    start(&fixture, &options);
    const char *paths[] = { "/tile", "/hello", "/big", "/nowhere" };
    for (size_t i = 0; i < 4; i++) {
        int fd = connect_to(&fixture);
        char request[100];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", paths[i]);
        send_text(fd, request);
        struct reply get = read_reply(fd);
        snprintf(request, sizeof request, "HEAD %s HTTP/1.1\r\nHost: a\r\n\r\n", paths[i]);
        send_text(fd, request);
        send_text(fd, GET("/hello")); /* its reply follows at once */
        struct reply head;
        read_head(fd, &head);
        assert_int_equal(head.status, get.status);
        assert_string_equal(reply_header(&head, "Content-Type") ? "yes" : "no",
                            reply_header(&get, "Content-Type") ? "yes" : "no");
        assert_int_equal(strtoul(reply_header(&head, "Content-Length"), NULL, 10), get.body.len);
        assert_int_equal(head.head.len, get.head.len);
        expect_reply(fd, 200, "hello");
        reply_clear(&get);
        reply_clear(&head);
        close(fd);
    }
    stop(&fixture);
}

static void http_server_keeps_caches_away_from_errors(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    start(&fixture, &options);
    int fd = connect_to(&fixture);
    send_text(fd, "POST /get-only HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" GET("/x"));
    struct reply reply = read_reply(fd);
    assert_int_equal(reply.status, 405);
    assert_string_equal(reply_header(&reply, "Allow"), "GET, HEAD");
    assert_null(reply_header(&reply, "Cache-Control"));
    reply_clear(&reply);
    reply = read_reply(fd);
    assert_int_equal(reply.status, 404);
    assert_null(reply_header(&reply, "Cache-Control"));
    assert_true(span_is_str(buf_span(&reply.body), "not found\n"));
    reply_clear(&reply);
    send_text(fd, "GET nonsense\r\n");
    reply = read_reply(fd);
    assert_int_equal(reply.status, 400);
    assert_null(reply_header(&reply, "Cache-Control"));
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    reply_clear(&reply);
    expect_end(fd);
    stop(&fixture);
}

static void http_server_serves_10000_requests_on_one_connection(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    start(&fixture, &options);
    int fd = connect_to(&fixture);
    for (int i = 0; i < 5000; i++) {
        send_text(fd, GET("/hello"));
        expect_reply(fd, 200, "hello");
    }
    /* 100 at a time, more than may be pipelined: the rest waits in its turn. */
    struct buf batch = BUF_INIT(100 * 100);
    for (int i = 0; i < 100; i++) {
        buf_put_str(&batch, i % 2 == 0 ? GET("/hello") : GET("/query?odd"));
    }
    for (int i = 0; i < 50; i++) {
        send_bytes(fd, buf_span(&batch));
        for (int j = 0; j < 100; j++) {
            expect_reply(fd, 200, j % 2 == 0 ? "hello" : "odd");
        }
    }
    buf_clear(&batch);
    close(fd);
    stop(&fixture);
    assert_int_equal(fixture.stats.requests, 10000);
    assert_int_equal(fixture.stats.accepted_connections, 1);
    assert_int_equal(fixture.stats.rejected_requests, 0);
}

static void http_server_reads_byte_by_byte(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    start(&fixture, &options);
    int fd = connect_to(&fixture);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const char *text = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"
                       "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "3\r\nfgh\r\n2;x=y\r\nij\r\n0\r\nA: b\r\n\r\n" GET("/hello");
    for (const char *at = text; *at != 0; at++) {
        send_bytes(fd, span_of(at, 1));
        sleep_ms(1);
    }
    expect_reply(fd, 200, "abcde");
    expect_reply(fd, 200, "fghij");
    expect_reply(fd, 200, "hello");
    close(fd);
    stop(&fixture);
}

static void http_server_answers_in_the_order_of_requests(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    start(&fixture, &options);
    int fd = connect_to(&fixture);
    /* The handler answers /hello before, and the two /later last one first. */
    send_text(fd, GET("/later") GET("/hello") GET("/later") GET("/tile"));
    wait_for_requests(&fixture, 4);
    assert_true(is_silent(fd, 30));
    uv_async_send(&fixture.release);
    expect_reply(fd, 200, "later 1");
    expect_reply(fd, 200, "hello");
    expect_reply(fd, 200, "later 2");
    expect_reply(fd, 200, NULL);
    close(fd);
    stop(&fixture);
}

static void http_server_sends_100_continue_in_its_turn(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    start(&fixture, &options);
    int fd = connect_to(&fixture);
    const char *head = "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                       "Content-Length: 2\r\n\r\n";
    send_text(fd, head);
    expect_reply(fd, 100, NULL);
    send_text(fd, "ok");
    expect_reply(fd, 200, "ok");
    /* Behind an older request it waits for that one's answer. */
    send_text(fd, GET("/later"));
    send_text(fd, head);
    wait_for_requests(&fixture, 2);
    assert_true(is_silent(fd, 30));
    uv_async_send(&fixture.release);
    expect_reply(fd, 200, "later 1");
    expect_reply(fd, 100, NULL);
    send_text(fd, "ok");
    expect_reply(fd, 200, "ok");
    /* Not when the body will not be taken. */
    send_text(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                  "Content-Length: 2000\r\n\r\n");
    expect_reply(fd, 413, NULL);
    expect_end(fd);
    stop(&fixture);
}

static void http_server_ends_a_connection_when_asked(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    start(&fixture, &options);
    int fd = connect_to(&fixture);
    send_text(fd, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" GET("/hello"));
    struct reply reply = read_reply(fd);
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    reply_clear(&reply);
    expect_end(fd);
    fd = connect_to(&fixture);
    send_text(fd, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    reply = read_reply(fd);
    assert_string_equal(reply_header(&reply, "Connection"), "keep-alive");
    reply_clear(&reply);
    send_text(fd, "GET /hello HTTP/1.0\r\n\r\n");
    reply = read_reply(fd);
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    reply_clear(&reply);
    expect_end(fd);
    stop(&fixture);
    assert_int_equal(fixture.stats.requests, 3);
}

/* --- Peers that leave --- */

static void http_server_answers_a_half_closed_peer(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    start(&fixture, &options);
    int fd = connect_to(&fixture);
    send_text(fd, GET("/later") GET("/hello") "GET /incomp");
    shutdown(fd, SHUT_WR);
    wait_for_left(&fixture, 1);
    uv_async_send(&fixture.release);
    expect_reply(fd, 200, "later 1");
    expect_reply(fd, 200, "hello");
    expect_end(fd);
    fd = connect_to(&fixture);
    send_text(fd, GET("/big") GET("/big"));
    shutdown(fd, SHUT_WR);
    expect_reply(fd, 200, NULL);
    expect_reply(fd, 200, NULL);
    expect_end(fd);
    stop(&fixture);
}

static void http_server_tells_the_handler_that_the_peer_left(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    start(&fixture, &options);
    for (int round = 0; round < 2; round++) { /* orderly, then with a reset */
        int fd = connect_to(&fixture);
        send_text(fd, GET("/later") GET("/later"));
        wait_for_requests(&fixture, 2 * (uint64_t)(round + 1));
        struct linger reset = { .l_onoff = round, .l_linger = 0 };
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
        wait_for_left(&fixture, 2 * (round + 1));
    }
    stop(&fixture); /* answers the four that are kept */
}

static void http_server_lets_the_handler_answer_a_peer_that_left(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    start(&fixture, &options);
    fixture.is_respond_when_left = true;
    for (int round = 0; round < 2; round++) {
        int fd = connect_to(&fixture);
        send_text(fd, GET("/later") GET("/hello") GET("/later") GET("/later"));
        wait_for_requests(&fixture, 4 * (uint64_t)(round + 1));
        struct linger reset = { .l_onoff = round, .l_linger = 0 };
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
        wait_for_left(&fixture, 3 * (round + 1));
    }
    stop(&fixture);
}

/* --- Limits --- */

static void check_refused(const struct http_server_options *options, const char *prefix,
                          size_t filler, const char *suffix, int status)
{
    struct fixture fixture;
    start(&fixture, options);
    int fd = connect_to(&fixture);
    struct buf text = BUF_INIT(REPLY_MAX);
    buf_put_str(&text, prefix);
    memset(buf_extend(&text, filler), 'a', filler);
    buf_put_str(&text, suffix);
    send_bytes(fd, buf_span(&text));
    buf_clear(&text);
    expect_reply(fd, status, NULL);
    expect_end(fd);
    stop(&fixture);
    assert_int_equal(fixture.stats.rejected_requests, 1);
    assert_int_equal(fixture.stats.requests, 0);
}

static void http_server_bounds_what_it_reads(void **state)
{
    (void)state;
    struct http_server_options options = small_options();
    check_refused(&options, "GET /", HTTP_TARGET_BYTES_MAX, " HTTP/1.1\r\nHost: a\r\n\r\n", 414);
    check_refused(&options, "GET / HTTP/1.1\r\nHost: a\r\nX: ", HTTP_HEADER_BYTES_MAX, "\r\n\r\n",
                  431);
    options.header_count_max = 2;
    check_refused(&options, "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nZ:", 1, "\r\n\r\n", 431);
    check_refused(&options, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 1001,
                  "", 413);
    /* The reply arrives although the peer is still sending what nobody wants. */
    check_refused(&options, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n",
                  1000000, "", 413);
    check_refused(&options,
                  "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n",
                  1024, "\r\n0\r\n\r\n", 413);
    options.body_bytes_max = 0;
    check_refused(&options, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 1, "",
                  413);
}

static void http_server_refuses_smuggled_requests(void **state)
{
    (void)state;
    struct http_server_options options = small_options();
    check_refused(&options,
                  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET("/hello"),
                  0, "", 400);
    check_refused(&options,
                  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n"
                  "abcd" GET("/hello"),
                  0, "", 400);
    check_refused(&options, "GET / HTTP/1.1\nHost: a\n\n" GET("/hello"), 0, "", 400);
}

static void http_server_bounds_the_bodies_of_all_connections(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    options.bodies_bytes_max = 1500;
    start(&fixture, &options);
    const char *head = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"
                       "Expect: 100-continue\r\n\r\n";
    int first = connect_to(&fixture);
    send_text(first, head);
    expect_reply(first, 100, NULL);
    int second = connect_to(&fixture);
    send_text(second, head);
    expect_reply(second, 503, NULL);
    expect_end(second);
    close(first);
    for (int i = 0; i < 100; i++) { /* it is given back some time after the first has gone */
        int third = connect_to(&fixture);
        send_text(third, head);
        struct reply reply = read_reply(third);
        close(third);
        reply_clear(&reply);
        if (reply.status == 100) {
            break;
        }
        assert_int_not_equal(i, 99);
        sleep_ms(10);
    }
    stop(&fixture);
}

static void http_server_stops_reading_at_the_pipelining_limit(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    options.pipelined_max = 4;
    start(&fixture, &options);
    int fd = connect_to(&fixture);
    for (int i = 0; i < 4; i++) {
        send_text(fd, GET("/later") GET("/later") GET("/later"));
    }
    wait_for_requests(&fixture, 4);
    sleep_ms(50);
    assert_int_equal(atomic_load(&fixture.requests), 4);
    for (uint64_t seen = 4; seen <= 12; seen += 4) {
        wait_for_requests(&fixture, seen);
        uv_async_send(&fixture.release);
        for (int i = 0; i < 4; i++) {
            expect_reply(fd, 200, NULL);
        }
    }
    close(fd);
    stop(&fixture);
}

/* A peer that asks and does not read costs a bounded number of answers, and then its connection. */
static void http_server_stops_reading_when_answers_pile_up(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    options.queued_bytes_max = 1000;
    options.write_timeout_ms = 200;
    start(&fixture, &options);
    int fd = connect_to(&fixture);
    struct buf batch = BUF_INIT(10000);
    for (int i = 0; i < 100; i++) {
        buf_put_str(&batch, GET("/big"));
    }
    send_bytes(fd, buf_span(&batch));
    buf_clear(&batch);
    sleep_ms(100);
    /* The kernel takes some; of the rest, one waits here. */
    assert_true(atomic_load(&fixture.requests) < 20);
    sleep_ms(400);
    uint8_t byte;
    while (recv(fd, &byte, 1, 0) > 0) {
        uint8_t more[65536];
        if (recv(fd, more, sizeof more, 0) <= 0) {
            break;
        }
    }
    close(fd);
    stop(&fixture);
    assert_int_equal(fixture.stats.timeouts, 1);
    assert_true(fixture.stats.requests < 20);
}

static int status_of(int fd, const char *request)
{
    send_text(fd, request);
    struct reply reply;
    if (strncmp(request, "HEAD", 4) == 0) {
        read_head(fd, &reply);
    } else {
        reply = read_reply(fd);
    }
    reply_clear(&reply);
    return reply.status;
}

/* One peer leaves an answer of 4 MiB unread: another one does not fit beside it, and small ones do. */
static void http_server_bounds_the_answers_of_all_connections(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    options.answers_bytes_max = BIG_BYTES + BIG_BYTES / 2;
    start(&fixture, &options);
    int greedy = connect_to(&fixture);
    for (int i = 0; i < 20; i++) { /* some of them are in the kernel's buffers */
        send_text(greedy, GET("/big"));
    }
    int fd = connect_to(&fixture);
    for (int i = 0; status_of(fd, GET("/big")) != 503; i++) {
        assert_int_not_equal(i, 100);
        sleep_ms(10);
    }
    assert_int_equal(status_of(fd, GET("/tile")), 200);
    assert_int_equal(status_of(fd, "HEAD /big HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    assert_int_equal(status_of(fd, GET("/big")), 503);
    close(greedy);
    for (int i = 0; status_of(fd, GET("/big")) != 200; i++) { /* given back, some time later */
        assert_int_not_equal(i, 100);
        sleep_ms(10);
    }
    close(fd);
    stop(&fixture);
    assert_true(fixture.stats.rejected_requests >= 2);
}

/* Slow is not stuck: every byte taken in time keeps the connection. */
static void http_server_bears_with_a_slow_reader(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    options.write_timeout_ms = 2000;
    start(&fixture, &options);
    int fd = connect_to(&fixture);
    int few = 64 * 1024; /* so that the end of the answers waits in the server for long */
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &few, sizeof few);
    send_text(fd, GET("/big") GET("/big"));
    size_t got = 0;
    uint8_t bytes[128 * 1024];
    while (got < 2 * (size_t)BIG_BYTES) {
        ssize_t len = recv(fd, bytes, sizeof bytes, 0);
        assert_true(len > 0);
        got += (size_t)len;
        sleep_ms(20);
    }
    close(fd);
    stop(&fixture);
    assert_int_equal(fixture.stats.timeouts, 0);
}

static void http_server_times_out_slow_senders(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    options.header_timeout_ms = 100;
    options.body_timeout_ms = 100;
    options.idle_timeout_ms = 2000;
    start(&fixture, &options);
    int fd = connect_to(&fixture);
    send_text(fd, GET("/hello"));
    expect_reply(fd, 200, "hello");
    sleep_ms(150); /* between requests the longer time counts */
    send_text(fd, "GET /hello HT");
    for (int i = 0; i < 3; i++) { /* a byte now and then does not help */
        sleep_ms(20);
        send(fd, "T", 1, MSG_NOSIGNAL); /* it may be over already */
    }
    expect_reply(fd, 408, NULL);
    expect_end(fd);
    fd = connect_to(&fixture);
    send_text(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    expect_reply(fd, 408, NULL);
    expect_end(fd);
    stop(&fixture);
    assert_int_equal(fixture.stats.timeouts, 2);
}

static void http_server_closes_idle_connections(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    options.idle_timeout_ms = 500;
    start(&fixture, &options);
    int silent = connect_to(&fixture);
    int used = connect_to(&fixture);
    int waiting = connect_to(&fixture);
    send_text(used, GET("/hello"));
    expect_reply(used, 200, "hello");
    send_text(waiting, GET("/later"));
    expect_end(silent);
    expect_end(used);
    sleep_ms(700); /* who waits for the handler is not idle */
    uv_async_send(&fixture.release);
    expect_reply(waiting, 200, "later 1");
    expect_end(waiting);
    stop(&fixture);
    assert_int_equal(fixture.stats.timeouts, 3);
}

static void http_server_turns_away_connections_above_the_limit(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    options.connections_max = 2;
    start(&fixture, &options);
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = connect_to(&fixture);
        send_text(fds[i], GET("/hello"));
        expect_reply(fds[i], 200, "hello");
    }
    int third = connect_to(&fixture);
    expect_reply(third, 503, NULL);
    expect_end(third);
    close(fds[0]);
    for (int i = 0; i < 100; i++) {
        int next = connect_to(&fixture);
        send_text(next, GET("/hello"));
        struct reply reply = read_reply(next);
        close(next);
        reply_clear(&reply);
        if (reply.status == 200) {
            break;
        }
        assert_int_not_equal(i, 99);
        sleep_ms(10);
    }
    close(fds[1]);
    stop(&fixture);
    assert_true(fixture.stats.refused_connections >= 1);
}

/* All descriptors of the process but one are taken; the peer gets that, the server none. */
static void http_server_survives_without_descriptors(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    options.connections_max = 16;
    start(&fixture, &options);
    int warm = connect_to(&fixture);
    send_text(warm, GET("/hello"));
    expect_reply(warm, 200, "hello");
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    struct rlimit low = { .rlim_cur = 64, .rlim_max = before.rlim_max };
    setrlimit(RLIMIT_NOFILE, &low);
    int taken[64];
    int count = 0;
    while (count < 64 && (taken[count] = dup(0)) >= 0) {
        count++;
    }
    assert_true(count > 0);
    close(taken[--count]);
    int refused = connect_to(&fixture);
    expect_end(refused);
    send_text(warm, GET("/hello")); /* who is in is served */
    expect_reply(warm, 200, "hello");
    while (count > 0) {
        close(taken[--count]);
    }
    setrlimit(RLIMIT_NOFILE, &before);
    int fd = connect_to(&fixture);
    send_text(fd, GET("/hello"));
    expect_reply(fd, 200, "hello");
    close(fd);
    close(warm);
    stop(&fixture);
}

/* --- Listening and closing --- */

static void http_server_listens_on_a_unix_socket(void **state)
{
    (void)state;
    char *directory = files_make_temp_dir();
    char where[200];
    snprintf(where, sizeof where, "unix:%s/socket", directory);
    int stale = socket(AF_UNIX, SOCK_STREAM, 0); /* left by a process that died */
    struct address address;
    struct err err;
    assert_int_equal(address_parse(&address, span_of_str(where), &err), E_OK);
    assert_int_equal(bind(stale, &address.any, sizeof address.un), 0);
    close(stale);
    struct fixture fixture;
    struct http_server_options options = small_options();
    start_at(&fixture, &options, where);
    int fd = connect_to(&fixture);
    send_text(fd, GET("/peer"));
    expect_reply(fd, 200, "unix:");
    close(fd);
    /* One that is in use is left alone. */
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct http_server *other = http_server_new(&loop, &options, NULL, on_request);
    assert_int_equal(http_server_listen(other, &address, &address, &err), E_IO);
    assert_non_null(strstr(err.msg, where));
    struct fixture other_fixture = { .server = other };
    uv_async_init(&loop, &other_fixture.stop, NULL);
    uv_async_init(&loop, &other_fixture.release, NULL);
    http_server_close(other, 0, &other_fixture, on_closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    fd = connect_to(&fixture);
    send_text(fd, GET("/hello"));
    expect_reply(fd, 200, "hello");
    close(fd);
    stop(&fixture);
    files_remove_tree(directory);
}

static void http_server_reports_a_port_in_use(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    start(&fixture, &options);
    assert_int_not_equal(address_port(&fixture.address), 0);
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct fixture other = { .server = http_server_new(&loop, &options, NULL, on_request) };
    struct address bound;
    struct err err;
    assert_int_equal(http_server_listen(other.server, &fixture.address, &bound, &err), E_IO);
    uv_async_init(&loop, &other.stop, NULL);
    uv_async_init(&loop, &other.release, NULL);
    http_server_close(other.server, 0, &other, on_closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    stop(&fixture);
}

static void http_server_close_lets_requests_in_flight_finish(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    start(&fixture, &options);
    fixture.grace_ms = WAIT_MS;
    int idle = connect_to(&fixture);
    send_text(idle, GET("/hello"));
    expect_reply(idle, 200, "hello");
    int waiting = connect_to(&fixture);
    send_text(waiting, GET("/later"));
    int sending = connect_to(&fixture);
    send_text(sending, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
                       "Expect: 100-continue\r\n\r\n");
    expect_reply(sending, 100, NULL);
    send_text(sending, "ab");
    wait_for_requests(&fixture, 2);
    uv_async_send(&fixture.stop);
    expect_end(idle);
    send_text(sending, "cd");
    expect_reply(sending, 200, "abcd");
    expect_end(sending);
    uv_async_send(&fixture.release);
    struct reply reply = read_reply(waiting);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply_header(&reply, "Connection"), "close");
    reply_clear(&reply);
    expect_end(waiting);
    join(&fixture);
}

static void http_server_close_cuts_what_is_left_after_the_grace(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    options.header_timeout_ms = 400; /* makes the sweep run often */
    start(&fixture, &options);
    fixture.grace_ms = 100;
    fixture.is_respond_when_left = true;
    int waiting = connect_to(&fixture);
    send_text(waiting, GET("/later"));
    wait_for_requests(&fixture, 1);
    uv_async_send(&fixture.stop);
    expect_end(waiting);
    join(&fixture);
    assert_int_equal(atomic_load(&fixture.left), 1);
}

/* A peer that has its last answer and does not close is not waited for. */
static void http_server_lingers_for_a_bounded_time(void **state)
{
    (void)state;
    struct fixture fixture;
    struct http_server_options options = small_options();
    start(&fixture, &options);
    fixture.grace_ms = 60 * WAIT_MS;
    int fd = connect_to(&fixture);
    send_text(fd, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    expect_reply(fd, 200, "hello");
    uint8_t byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    uint64_t before = uv_hrtime();
    stop(&fixture); /* returns when the connection has gone, and the grace is long */
    assert_true(uv_hrtime() - before < (uint64_t)WAIT_MS * 1000 * 1000);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_server_answers_with_the_handlers_headers),
        cmocka_unit_test(http_server_answers_head_as_get_without_the_body),
        cmocka_unit_test(http_server_keeps_caches_away_from_errors),
        cmocka_unit_test(http_server_serves_10000_requests_on_one_connection),
        cmocka_unit_test(http_server_reads_byte_by_byte),
        cmocka_unit_test(http_server_answers_in_the_order_of_requests),
        cmocka_unit_test(http_server_sends_100_continue_in_its_turn),
        cmocka_unit_test(http_server_ends_a_connection_when_asked),
        cmocka_unit_test(http_server_answers_a_half_closed_peer),
        cmocka_unit_test(http_server_tells_the_handler_that_the_peer_left),
        cmocka_unit_test(http_server_lets_the_handler_answer_a_peer_that_left),
        cmocka_unit_test(http_server_bounds_what_it_reads),
        cmocka_unit_test(http_server_refuses_smuggled_requests),
        cmocka_unit_test(http_server_bounds_the_bodies_of_all_connections),
        cmocka_unit_test(http_server_stops_reading_at_the_pipelining_limit),
        cmocka_unit_test(http_server_stops_reading_when_answers_pile_up),
        cmocka_unit_test(http_server_bounds_the_answers_of_all_connections),
        cmocka_unit_test(http_server_bears_with_a_slow_reader),
        cmocka_unit_test(http_server_times_out_slow_senders),
        cmocka_unit_test(http_server_closes_idle_connections),
        cmocka_unit_test(http_server_turns_away_connections_above_the_limit),
        cmocka_unit_test(http_server_survives_without_descriptors),
        cmocka_unit_test(http_server_listens_on_a_unix_socket),
        cmocka_unit_test(http_server_reports_a_port_in_use),
        cmocka_unit_test(http_server_close_lets_requests_in_flight_finish),
        cmocka_unit_test(http_server_close_cuts_what_is_left_after_the_grace),
        cmocka_unit_test(http_server_lingers_for_a_bounded_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
