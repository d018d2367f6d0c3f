/* The client against a peer of the test's own, which answers with the bytes it was told to: a real
 * server would never send most of them. */
#include "net/http_client.h"

#include "base/limits.h"
#include "net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

/* --- The peer: a thread a connection --- */

struct peer {
    int listener;
    pthread_t thread;
    uint16_t port;
    struct span answer; /* sent for each request; borrowed */
    int delay_ms;       /* before it */
    bool is_one_shot;   /* closes after an answer */
    atomic_int connections;
    atomic_int requests;
    char last[4096];      /* the last request, with its body */
    pthread_mutex_t lock; /* guards `last` */
};

struct conversation {
    struct peer *peer;
    int fd;
};

/* Reads a request with its body by Content-Length; false at the end. */
static bool read_request(int fd, char *text, size_t room)
{
    size_t len = 0;
    size_t want = SIZE_MAX;
    while (len < want) {
        assert_true(len + 1 < room);
        ssize_t got = recv(fd, text + len, room - 1 - len, 0);
        if (got <= 0) {
            return false;
        }
        len += (size_t)got;
        text[len] = 0;
        const char *end = strstr(text, "\r\n\r\n");
        if (end != NULL && want == SIZE_MAX) {
            const char *length = strstr(text, "Content-Length: ");
            want = (size_t)(end - text) + 4 + (length != NULL ? strtoul(length + 16, NULL, 10) : 0);
        }
    }
    return true;
}

static void *converse(void *ctx)
{
    struct conversation *conversation = ctx;
    struct peer *peer = conversation->peer;
    int fd = conversation->fd;
    free(conversation);
    char text[sizeof peer->last];
    while (read_request(fd, text, sizeof text)) {
        pthread_mutex_lock(&peer->lock);
        memcpy(peer->last, text, sizeof text);
        pthread_mutex_unlock(&peer->lock);
        atomic_fetch_add(&peer->requests, 1);
        usleep((useconds_t)peer->delay_ms * 1000);
        struct span rest = peer->answer;
        while (rest.len > 0) {
            ssize_t sent = send(fd, rest.data, rest.len, MSG_NOSIGNAL);
            if (sent <= 0) {
                break;
            }
            rest = span_slice(rest, (size_t)sent, rest.len - (size_t)sent);
        }
        if (peer->is_one_shot) {
            break;
        }
    }
    close(fd);
    atomic_fetch_sub(&peer->connections, 1 << 16);
    return NULL;
}

static void *listen_on(void *ctx)
{
    struct peer *peer = ctx;
    int fd;
    while ((fd = accept(peer->listener, NULL, NULL)) >= 0) {
        struct conversation *conversation = malloc(sizeof *conversation);
        *conversation = (struct conversation){ peer, fd };
        atomic_fetch_add(&peer->connections, 1 + (1 << 16)); /* ever, and open in the upper half */
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, converse, conversation), 0);
        pthread_detach(thread);
    }
    return NULL;
}

static void peer_start(struct peer *peer, struct span answer)
{
    memset(peer, 0, sizeof *peer);
    peer->answer = answer;
    pthread_mutex_init(&peer->lock, NULL);
    peer->listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof in;
    assert_int_equal(bind(peer->listener, (struct sockaddr *)&in, len), 0);
    assert_int_equal(listen(peer->listener, 64), 0);
    assert_int_equal(getsockname(peer->listener, (struct sockaddr *)&in, &len), 0);
    peer->port = ntohs(in.sin_port);
    assert_int_equal(pthread_create(&peer->thread, NULL, listen_on, peer), 0);
}

static void peer_stop(struct peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    while (atomic_load(&peer->connections) >> 16 > 0) { /* the clients have gone, or go soon */
        usleep(1000);
    }
    pthread_mutex_destroy(&peer->lock);
}

static int peer_connections(struct peer *peer)
{
    return atomic_load(&peer->connections) & 0xffff;
}

static const char *url_of(const struct peer *peer)
{
    static char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/checkpoint", peer->port);
    return url;
}

#define REPLY(headers, body) "HTTP/1.1 200 OK\r\n" headers "\r\n" body
#define OK_REPLY             REPLY("Content-Length: 2\r\nContent-Type: text/plain\r\n", "ok")

static const struct http_client_options defaults;

static enum err_code fetch(const struct peer *peer, size_t reply_bytes_max, uint32_t timeout_ms,
                           struct http_reply *reply, struct err *err)
{
    struct http_fetcher *fetcher = http_fetcher_new(&defaults);
    enum err_code rc =
        http_fetcher_get(fetcher, url_of(peer), reply_bytes_max, timeout_ms, reply, err);
    http_fetcher_free(fetcher);
    return rc;
}

/* --- Blocking --- */

static void http_fetcher_gets_a_reply(void **state)
{
    (void)state;
    struct peer peer;
    peer_start(&peer, span_of_str(OK_REPLY));
    struct http_reply reply;
    struct err err;
    assert_int_equal(fetch(&peer, 2, 0, &reply, &err), E_OK);
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.content_type, "text/plain");
    assert_true(span_is_str(buf_span(&reply.body), "ok"));
    http_reply_clear(&reply);
    peer_stop(&peer);
    assert_memory_equal(peer.last, "GET /checkpoint HTTP/1.1\r\n", 26);
    assert_non_null(strstr(peer.last, "\r\nAccept-Encoding: gzip, identity\r\n"));
    assert_non_null(strstr(peer.last, "\r\nUser-Agent: courtroll/"));
}

static void http_fetcher_posts(void **state)
{
    (void)state;
    struct peer peer;
    peer_start(&peer, span_of_str(OK_REPLY));
    struct http_fetcher *fetcher = http_fetcher_new(&(struct http_client_options){ 0 });
    struct http_reply reply;
    struct err err;
    static const char *const bodies[] = { "old 0\n\nnote\n", "" };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(http_fetcher_post(fetcher, url_of(&peer), span_of_str(bodies[i]), 1000, 0,
                                           &reply, &err),
                         E_OK);
        assert_int_equal(reply.status, 200);
        http_reply_clear(&reply);
        assert_memory_equal(peer.last, "POST ", 5);
        assert_string_equal(strstr(peer.last, "\r\n\r\n") + 4, bodies[i]);
    }
    http_fetcher_free(fetcher);
    peer_stop(&peer);
    assert_int_equal(peer_connections(&peer), 1);
}

static void http_fetcher_sends_headers(void **state)
{
    (void)state;
    struct peer peer;
    peer_start(&peer, span_of_str(OK_REPLY));
    struct http_fetcher *fetcher = http_fetcher_new(&(struct http_client_options){ 0 });
    const struct http_header headers[] = { { "Content-Type", "application/json" },
                                           { "Authorization", "Bearer t" } };
    const struct http_client_request request = { .method = "POST",
                                                 .url = url_of(&peer),
                                                 .headers = headers,
                                                 .header_count = 2,
                                                 .body = span_of_str("{}"),
                                                 .reply_bytes_max = 100 };
    struct http_reply reply;
    struct err err;
    assert_int_equal(http_fetcher_send(fetcher, &request, &reply, &err), E_OK);
    http_reply_clear(&reply);
    http_fetcher_free(fetcher);
    peer_stop(&peer);
    assert_non_null(strstr(peer.last, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(peer.last, "\r\nAuthorization: Bearer t\r\n"));
}

/* Where the status is all that matters; otherwise it is too large. */
static void http_fetcher_cuts_the_body_if_told_so(void **state)
{
    (void)state;
    struct peer peer;
    peer_start(&peer, span_of_str("HTTP/1.1 201 Made\r\nContent-Length: 6\r\n\r\nabcdef"));
    struct http_fetcher *fetcher = http_fetcher_new(&(struct http_client_options){ 0 });
    struct http_client_request request = { .method = "GET",
                                           .url = url_of(&peer),
                                           .reply_bytes_max = 5 };
    struct http_reply reply;
    struct err err;
    assert_int_equal(http_fetcher_send(fetcher, &request, &reply, &err), E_TOO_LARGE);
    request.is_reply_cut = true;
    for (request.reply_bytes_max = 0; request.reply_bytes_max <= 7; request.reply_bytes_max++) {
        size_t len = request.reply_bytes_max < 6 ? request.reply_bytes_max : 6;
        assert_int_equal(http_fetcher_send(fetcher, &request, &reply, &err), E_OK);
        assert_int_equal(reply.status, 201);
        assert_true(span_is_equal(buf_span(&reply.body), span_of("abcdef", len)));
        http_reply_clear(&reply);
    }
    http_fetcher_free(fetcher);
    peer_stop(&peer);
}

static void http_fetcher_keeps_connections_alive(void **state)
{
    (void)state;
    struct peer peer;
    peer_start(&peer, span_of_str(OK_REPLY));
    struct http_fetcher *fetcher = http_fetcher_new(&defaults);
    for (int i = 0; i < 50; i++) {
        struct http_reply reply;
        struct err err;
        assert_int_equal(http_fetcher_get(fetcher, url_of(&peer), 10, 0, &reply, &err), E_OK);
        http_reply_clear(&reply);
    }
    http_fetcher_free(fetcher);
    peer_stop(&peer);
    assert_int_equal(peer_connections(&peer), 1);
}

static void http_fetcher_gives_any_status_as_a_reply(void **state)
{
    (void)state;
    struct peer peer;
    peer_start(&peer, span_of_str("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
                                  "Content-Length: 0\r\n\r\n"));
    struct http_reply reply;
    struct err err;
    assert_int_equal(fetch(&peer, 10, 0, &reply, &err), E_OK);
    assert_int_equal(reply.status, 302);
    assert_string_equal(reply.content_type, "");
    http_reply_clear(&reply);
    peer.answer = span_of_str("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone");
    assert_int_equal(fetch(&peer, 10, 0, &reply, &err), E_OK);
    assert_int_equal(reply.status, 404);
    assert_int_equal(reply.body.len, 4);
    http_reply_clear(&reply);
    peer_stop(&peer);
    assert_int_equal(atomic_load(&peer.requests), 2); /* nothing was followed */
}

static void http_fetcher_bounds_the_body(void **state)
{
    (void)state;
    struct peer peer;
    peer_start(&peer, span_of_str(REPLY("Content-Length: 5\r\n", "12345")));
    struct http_reply reply;
    struct err err;
    assert_int_equal(fetch(&peer, 4, 0, &reply, &err), E_TOO_LARGE);
    assert_int_equal(fetch(&peer, 0, 0, &reply, &err), E_TOO_LARGE);
    assert_int_equal(fetch(&peer, 5, 0, &reply, &err), E_OK);
    http_reply_clear(&reply);
    peer.answer = span_of_str(REPLY("Transfer-Encoding: chunked\r\n", "5\r\n12345\r\n0\r\n\r\n"));
    assert_int_equal(fetch(&peer, 4, 0, &reply, &err), E_TOO_LARGE);
    peer_stop(&peer);
}

static void http_fetcher_bounds_the_headers(void **state)
{
    (void)state;
    struct buf answer = BUF_INIT(1024 * 1024);
    buf_put_str(&answer, "HTTP/1.1 200 OK\r\n");
    while (answer.len < HTTP_CLIENT_HEADER_BYTES_MAX) {
        buf_put_str(&answer, "X-Header: of many more than anybody needs\r\n");
    }
    buf_put_str(&answer, "Content-Length: 0\r\n\r\n");
    struct peer peer;
    peer_start(&peer, buf_span(&answer));
    struct http_reply reply;
    struct err err;
    assert_int_equal(fetch(&peer, 10, 0, &reply, &err), E_TOO_LARGE);
    peer_stop(&peer);
    buf_clear(&answer);
}

/* A reply whose body is `text` compressed. */
static void put_gzip_reply(struct buf *out, struct span text, const char *encoding)
{
    uLong bound = compressBound((uLong)text.len) + 64;
    struct buf body = BUF_INIT(bound);
    z_stream stream = { .next_in = (Bytef *)(uintptr_t)text.data, .avail_in = (uInt)text.len };
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_out = buf_extend(&body, bound);
    stream.avail_out = (uInt)bound;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    buf_truncate(&body, stream.total_out);
    deflateEnd(&stream);
    buf_putf(out, "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n",
             encoding, body.len);
    buf_put(out, buf_span(&body));
    buf_clear(&body);
}

static void http_fetcher_undoes_gzip_within_the_bound(void **state)
{
    (void)state;
    enum {
        BOMB_BYTES = 20 * 1024 * 1024
    };
    uint8_t *zeros = calloc(1, BOMB_BYTES);
    struct buf answer = BUF_INIT(1024 * 1024);
    put_gzip_reply(&answer, span_of(zeros, BOMB_BYTES), "gzip");
    assert_true(answer.len < 30000);
    struct peer peer;
    peer_start(&peer, buf_span(&answer));
    struct http_reply reply;
    struct err err;
    assert_int_equal(fetch(&peer, BOMB_BYTES, 0, &reply, &err), E_OK);
    assert_int_equal(reply.body.len, BOMB_BYTES);
    assert_memory_equal(reply.body.data, zeros, BOMB_BYTES);
    http_reply_clear(&reply);
    assert_int_equal(fetch(&peer, BOMB_BYTES - 1, 0, &reply, &err), E_TOO_LARGE);
    assert_int_equal(fetch(&peer, 100000, 0, &reply, &err), E_TOO_LARGE);
    peer_stop(&peer);
    buf_clear(&answer);
    free(zeros);
}

static void http_fetcher_undoes_nothing_but_one_gzip(void **state)
{
    (void)state;
    const char *encodings[] = { "br", "deflate", "gzip, gzip", "zstd",
                                "gzip\r\nContent-Encoding: gzip" };
    for (size_t i = 0; i < sizeof encodings / sizeof encodings[0]; i++) {
        struct buf answer = BUF_INIT(4096);
        put_gzip_reply(&answer, span_of_str("text"), encodings[i]);
        struct peer peer;
        peer_start(&peer, buf_span(&answer));
        struct http_reply reply;
        struct err err;
        assert_int_equal(fetch(&peer, 1000, 0, &reply, &err), E_MALFORMED);
        peer_stop(&peer);
        buf_clear(&answer);
    }
    /* What only looks like gzip stays as it is. */
    struct peer peer;
    peer_start(&peer, span_of_str(REPLY("Content-Length: 4\r\n", "\x1f\x8b\x08\x01")));
    struct http_reply reply;
    struct err err;
    assert_int_equal(fetch(&peer, 1000, 0, &reply, &err), E_OK);
    assert_int_equal(reply.body.len, 4);
    http_reply_clear(&reply);
    peer.answer = span_of_str(REPLY("Content-Encoding: gzip\r\nContent-Length: 4\r\n", "text"));
    assert_int_equal(fetch(&peer, 1000, 0, &reply, &err), E_MALFORMED);
    peer_stop(&peer);
}

static void http_fetcher_says_what_went_wrong(void **state)
{
    (void)state;
    struct peer peer;
    struct http_reply reply;
    struct err err;
    peer_start(&peer, span_of_str("SSH-2.0-OpenSSH\r\n"));
    assert_int_equal(fetch(&peer, 1000, 0, &reply, &err), E_MALFORMED);
    peer.answer = span_of_str("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    peer.is_one_shot = true;
    assert_int_equal(fetch(&peer, 1000, 0, &reply, &err), E_IO);
    peer.answer = span_of_str(OK_REPLY);
    peer.delay_ms = 400;
    assert_int_equal(fetch(&peer, 1000, 100, &reply, &err), E_TIMEOUT);
    peer_stop(&peer);
    assert_int_equal(fetch(&peer, 1000, 0, &reply, &err), E_IO); /* nobody listens */
    struct http_fetcher *fetcher = http_fetcher_new(&defaults);
    const char *urls[] = { "",
                           "http://",
                           "ftp://127.0.0.1/",
                           "file:///etc/passwd",
                           "gopher://127.0.0.1/",
                           "http://127.0.0.1:99999/",
                           "http://a b/" };
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        assert_int_equal(http_fetcher_get(fetcher, urls[i], 10, 0, &reply, &err), E_MALFORMED);
        assert_true(err.msg[0] != 0);
    }
    http_fetcher_free(fetcher);
}

static void http_fetcher_has_many_in_flight(void **state)
{
    (void)state;
    enum {
        TOTAL = 200,
        AT_ONCE = 8
    };
    struct peer peer;
    peer_start(&peer, span_of_str(OK_REPLY));
    peer.delay_ms = 2;
    struct http_fetcher *fetcher = http_fetcher_new(&defaults);
    bool seen[TOTAL] = { false };
    uint64_t started = 0;
    struct http_fetched fetched;
    while (started < AT_ONCE) {
        http_fetcher_start(fetcher, url_of(&peer), 10, 0, started++);
    }
    while (http_fetcher_next(fetcher, &fetched)) {
        assert_int_equal(fetched.code, E_OK);
        assert_true(fetched.tag < TOTAL && !seen[fetched.tag]);
        seen[fetched.tag] = true;
        http_reply_clear(&fetched.reply);
        if (started < TOTAL) {
            http_fetcher_start(fetcher, url_of(&peer), 10, 0, started++);
            assert_int_equal(http_fetcher_in_flight(fetcher), AT_ONCE);
        }
    }
    assert_int_equal(http_fetcher_in_flight(fetcher), 0);
    for (size_t i = 0; i < TOTAL; i++) {
        assert_true(seen[i]);
    }
    http_fetcher_start(fetcher, url_of(&peer), 10, 0, 0); /* freed while in flight */
    http_fetcher_free(fetcher);
    peer_stop(&peer);
    assert_true(peer_connections(&peer) <= AT_ONCE);
}

/* --- Asynchronous --- */

struct loop_test {
    uv_loop_t loop;
    struct http_client *client;
    struct http_transfer *other; /* cancelled by on_done when set */
    struct peer *peer;
    int done;
    int again; /* transfers on_done starts */
    enum err_code code;
    int status;
    char body[64];
    bool is_closed;
};

static void loop_test_start(struct loop_test *test, struct peer *peer)
{
    memset(test, 0, sizeof *test);
    test->peer = peer;
    assert_int_equal(uv_loop_init(&test->loop), 0);
    test->client = http_client_new(&test->loop, &defaults);
}

static void on_client_closed(void *ctx)
{
    ((struct loop_test *)ctx)->is_closed = true;
}

static void loop_test_stop(struct loop_test *test)
{
    http_client_close(test->client, test, on_client_closed);
    assert_false(test->is_closed);
    uv_run(&test->loop, UV_RUN_DEFAULT);
    assert_true(test->is_closed);
    assert_int_equal(uv_loop_close(&test->loop), 0);
}

static void run_until_done(struct loop_test *test, int count)
{
    while (test->done < count && uv_run(&test->loop, UV_RUN_ONCE) != 0) {
    }
    assert_int_equal(test->done, count);
}

static struct http_transfer *post(struct loop_test *test, const char *body, uint32_t timeout_ms);

static void on_done(void *ctx, enum err_code code, struct http_reply *reply, const struct err *err)
{
    struct loop_test *test = ctx;
    test->done++;
    test->code = code;
    assert_true((reply == NULL) == (code != E_OK));
    assert_true(code == E_OK || (err->code == code && err->msg[0] != 0));
    if (reply != NULL) {
        test->status = reply->status;
        snprintf(test->body, sizeof test->body, "%.*s", SPAN_PRINTF(buf_span(&reply->body)));
    }
    if (test->other != NULL) {
        http_client_cancel(test->other);
        test->other = NULL;
    }
    if (test->again > 0) {
        test->again--;
        post(test, "again", 0);
    }
}

static void on_other_done(void *ctx, enum err_code code, struct http_reply *reply,
                          const struct err *err)
{
    (void)code;
    (void)reply;
    (void)err;
    ((struct loop_test *)ctx)->other = NULL;
}

static struct http_transfer *post(struct loop_test *test, const char *body, uint32_t timeout_ms)
{
    const struct http_header header = { "X-Test", "value" };
    return http_client_start(test->client,
                             &(struct http_client_request){
                                 .method = "POST",
                                 .url = url_of(test->peer),
                                 .headers = &header,
                                 .header_count = 1,
                                 .body = span_of_str(body),
                                 .reply_bytes_max = 63,
                                 .timeout_ms = timeout_ms,
                             },
                             test, on_done);
}

static void http_client_posts(void **state)
{
    (void)state;
    struct peer peer;
    peer_start(&peer, span_of_str("HTTP/1.1 409 Conflict\r\nContent-Type: text/x.tlog.size\r\n"
                                  "Content-Length: 3\r\n\r\n12\n"));
    struct loop_test test;
    loop_test_start(&test, &peer);
    char body[2000]; /* curl asks for a 100 Continue above 1 MiB; never here */
    memset(body, 'b', sizeof body);
    body[sizeof body - 1] = 0;
    post(&test, body, 0);
    memset(body, 'x', sizeof body - 1); /* it was copied */
    assert_int_equal(test.done, 0);
    run_until_done(&test, 1);
    assert_int_equal(test.code, E_OK);
    assert_int_equal(test.status, 409);
    assert_string_equal(test.body, "12\n");
    post(&test, "", 0);
    run_until_done(&test, 2);
    loop_test_stop(&test);
    peer_stop(&peer);
    assert_memory_equal(peer.last, "POST /checkpoint HTTP/1.1\r\n", 27);
    assert_non_null(strstr(peer.last, "\r\nContent-Length: 0\r\n"));
    assert_non_null(strstr(peer.last, "\r\nX-Test: value\r\n"));
    assert_null(strstr(peer.last, "\r\nContent-Type:"));
    assert_null(strstr(peer.last, "\r\nExpect:"));
    assert_int_equal(peer_connections(&peer), 1);
}

static void http_client_starts_from_on_done(void **state)
{
    (void)state;
    struct peer peer;
    peer_start(&peer, span_of_str(OK_REPLY));
    struct loop_test test;
    loop_test_start(&test, &peer);
    test.again = 99;
    post(&test, "first", 0);
    uint64_t before = uv_hrtime();
    run_until_done(&test, 100);
    /* A millisecond lost for each would show, here as 100 of them. */
    print_message("%.1f us a request\n", (double)(uv_hrtime() - before) / 1e3 / 100);
    loop_test_stop(&test);
    peer_stop(&peer);
    assert_int_equal(peer_connections(&peer), 1);
}

static void http_client_reports_failures_from_the_loop(void **state)
{
    (void)state;
    struct peer peer;
    peer_start(&peer, span_of_str(OK_REPLY));
    peer.delay_ms = 300;
    struct loop_test test;
    loop_test_start(&test, &peer);
    post(&test, "late", 50);
    run_until_done(&test, 1);
    assert_int_equal(test.code, E_TIMEOUT);
    http_client_start(test.client,
                      &(struct http_client_request){ .method = "GET", .url = "ftp://127.0.0.1/" },
                      &test, on_done);
    assert_int_equal(test.done, 1);
    run_until_done(&test, 2);
    assert_int_equal(test.code, E_MALFORMED);
    http_client_start(test.client,
                      &(struct http_client_request){ .method = "GET",
                                                     .url = "http://127.0.0.1:1/" },
                      &test, on_done);
    run_until_done(&test, 3);
    assert_int_equal(test.code, E_IO);
    loop_test_stop(&test);
    peer_stop(&peer);
}

static void http_client_does_not_report_what_was_cancelled(void **state)
{
    (void)state;
    struct peer peer;
    peer_start(&peer, span_of_str(OK_REPLY));
    peer.delay_ms = 20;
    struct loop_test test;
    loop_test_start(&test, &peer);
    http_client_cancel(post(&test, "at once", 0));
    struct http_transfer *transfer = post(&test, "on the way", 0);
    while (atomic_load(&peer.requests) == 0) {
        uv_run(&test.loop, UV_RUN_NOWAIT);
    }
    http_client_cancel(transfer);
    for (int i = 0; i < 20; i++) { /* one ends, and cancels the other if that has not */
        post(&test, "one", 0);
        test.other = http_client_start(test.client,
                                       &(struct http_client_request){
                                           .method = "GET",
                                           .url = url_of(&peer),
                                           .reply_bytes_max = 10,
                                       },
                                       &test, on_other_done);
        run_until_done(&test, i + 1);
    }
    post(&test, "in flight at the end", 0);
    uv_run(&test.loop, UV_RUN_NOWAIT);
    int done = test.done;
    loop_test_stop(&test);
    assert_int_equal(test.done, done);
    peer_stop(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(http_fetcher_gets_a_reply),
        cmocka_unit_test(http_fetcher_posts),
        cmocka_unit_test(http_fetcher_sends_headers),
        cmocka_unit_test(http_fetcher_cuts_the_body_if_told_so),
        cmocka_unit_test(http_fetcher_keeps_connections_alive),
        cmocka_unit_test(http_fetcher_gives_any_status_as_a_reply),
        cmocka_unit_test(http_fetcher_bounds_the_body),
        cmocka_unit_test(http_fetcher_bounds_the_headers),
        cmocka_unit_test(http_fetcher_undoes_gzip_within_the_bound),
        cmocka_unit_test(http_fetcher_undoes_nothing_but_one_gzip),
        cmocka_unit_test(http_fetcher_says_what_went_wrong),
        cmocka_unit_test(http_fetcher_has_many_in_flight),
        cmocka_unit_test(http_client_posts),
        cmocka_unit_test(http_client_starts_from_on_done),
        cmocka_unit_test(http_client_reports_failures_from_the_loop),
        cmocka_unit_test(http_client_does_not_report_what_was_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
