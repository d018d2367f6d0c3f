/* A peer that asks and does not read: HTTP/2 by hand, so that nothing takes what the server sends. */
#include "net/rpc_client.h"
#include "net/rpc_server.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BIG_BYTES = 1024 * 1024,
    ANSWER_BYTES_MAX = 8 * BIG_BYTES,
    ASKED = 64, /* far more than kernel buffers and the maximum together take */
    TIMEOUT_MS = 20 * 1000,
    STOP_MS = 10 * 1000,
    RECEIVE_BYTES = 64 * 1024,
    REQUEST_BYTES_MAX = 4096,
};

#define ECHO "/test.Service/Echo"
#define BIG  "/test.Service/Big"

struct fixture {
    struct rpc_server *server;
    struct rpc_client *client; /* one that reads */
    atomic_size_t big_count;   /* calls of BIG that came to the handler */
    atomic_size_t small_count; /* of these, those with a small answer, for want of room */
    bool is_polite;
};

static void on_echo(void *ctx, struct rpc_call *call, struct span message)
{
    (void)ctx;
    rpc_reply(call, message);
}

static void on_big(void *ctx, struct rpc_call *call, struct span message)
{
    (void)message;
    struct fixture *fixture = ctx;
    atomic_fetch_add(&fixture->big_count, 1);
    if (fixture->is_polite && !rpc_call_has_room(call, BIG_BYTES)) {
        atomic_fetch_add(&fixture->small_count, 1);
        rpc_reply(call, span_of_str("small"));
        return;
    }
    struct buf bytes = BUF_INIT(BIG_BYTES);
    memset(buf_extend(&bytes, BIG_BYTES), 'b', BIG_BYTES);
    rpc_reply_take(call, &bytes);
}

static void start(struct fixture *fixture, size_t answer_bytes_max, bool is_polite)
{
    const struct rpc_method methods[] = {
        { .path = ECHO, .on_call = on_echo },
        { .path = BIG, .ctx = fixture, .on_call = on_big },
    };
    const struct rpc_server_config config = { .listen = { "127.0.0.1:0" },
                                              .listen_count = 1,
                                              .methods = methods,
                                              .method_count = sizeof methods / sizeof methods[0],
                                              .answer_bytes_max = answer_bytes_max };
    *fixture = (struct fixture){ .is_polite = is_polite };
    struct err err = { .msg = "" };
    assert_int_equal(rpc_server_start(&fixture->server, &config, &err), E_OK);
    const struct rpc_client_config to = { .target = rpc_server_address(fixture->server, 0) };
    assert_int_equal(rpc_client_open(&fixture->client, &to, &err), E_OK);
    assert_int_equal(rpc_client_connect(fixture->client, TIMEOUT_MS, &err), E_OK);
}

static enum err_code echo(struct fixture *fixture)
{
    struct buf reply = BUF_INIT(RECEIVE_BYTES);
    struct err err;
    enum err_code rc = rpc_unary(fixture->client, ECHO, span_of_str("x"), TIMEOUT_MS, &reply, &err);
    buf_clear(&reply);
    return rc;
}

/* -- The peer that does not read: RFC 9113, RFC 7541 -- */

enum {
    FRAME_DATA = 0,
    FRAME_HEADERS = 1,
    FRAME_SETTINGS = 4,
    FRAME_WINDOW_UPDATE = 8,
    FLAG_END_STREAM = 1,
    FLAG_END_HEADERS = 4,
    SETTING_INITIAL_WINDOW = 4,
    WINDOW_MAX = INT32_MAX,
    WINDOW_DEFAULT = 65535,
    STATIC_PATH = 4, /* in HPACK's table */
    STATIC_POST = 0x83,
    STATIC_HTTP = 0x86,
};

static void put_frame(struct buf *out, uint8_t type, uint8_t flags, uint32_t stream,
                      struct span payload)
{
    buf_put_u8(out, 0);
    buf_put_u16(out, (uint16_t)payload.len);
    buf_put_u8(out, type);
    buf_put_u8(out, flags);
    buf_put_u32(out, stream);
    buf_put(out, payload);
}

static void put_text(struct buf *out, const char *text)
{
    buf_put_u8(out, (uint8_t)strlen(text));
    buf_put_str(out, text);
}

/* A new name, not indexed, not compressed. */
static void put_header(struct buf *out, const char *name, const char *value)
{
    buf_put_u8(out, 0);
    put_text(out, name);
    put_text(out, value);
}

static void put_call(struct buf *out, uint32_t stream, const char *path)
{
    struct buf headers = BUF_INIT(REQUEST_BYTES_MAX);
    buf_put_u8(&headers, STATIC_POST);
    buf_put_u8(&headers, STATIC_HTTP);
    buf_put_u8(&headers, STATIC_PATH);
    put_text(&headers, path);
    put_header(&headers, ":authority", "test");
    put_header(&headers, "content-type", "application/grpc");
    put_header(&headers, "te", "trailers");
    put_frame(out, FRAME_HEADERS, FLAG_END_HEADERS, stream, buf_span(&headers));
    buf_clear(&headers);
    const uint8_t empty[5] = { 0 }; /* a message of no bytes, not compressed */
    put_frame(out, FRAME_DATA, FLAG_END_STREAM, stream, span_of(empty, sizeof empty));
}

static void send_all(int fd, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        assert_true(sent > 0);
        bytes = span_slice(bytes, (size_t)sent, bytes.len - (size_t)sent);
    }
}

/* All windows are open: what holds the answers back is TCP. */
static int connect_greedy(const struct fixture *fixture)
{
    const char *colon = strrchr(rpc_server_address(fixture->server, 0), ':');
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int receive_bytes = RECEIVE_BYTES;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    struct buf out = BUF_INIT(REQUEST_BYTES_MAX), payload = BUF_INIT(REQUEST_BYTES_MAX);
    buf_put_str(&out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    buf_put_u16(&payload, SETTING_INITIAL_WINDOW);
    buf_put_u32(&payload, WINDOW_MAX);
    put_frame(&out, FRAME_SETTINGS, 0, 0, buf_span(&payload));
    buf_reset(&payload);
    buf_put_u32(&payload, WINDOW_MAX - WINDOW_DEFAULT);
    put_frame(&out, FRAME_WINDOW_UPDATE, 0, 0, buf_span(&payload));
    send_all(fd, buf_span(&out));
    buf_clear(&payload);
    buf_clear(&out);
    return fd;
}

static void ask_big(int fd, uint32_t number)
{
    struct buf out = BUF_INIT(REQUEST_BYTES_MAX);
    put_call(&out, 2 * number + 1, BIG);
    send_all(fd, buf_span(&out));
    buf_clear(&out);
}

static int ask_all(const struct fixture *fixture)
{
    int fd = connect_greedy(fixture);
    for (uint32_t i = 0; i < ASKED; i++) {
        ask_big(fd, i);
    }
    return fd;
}

static void wait_for_echo(struct fixture *fixture, enum err_code wanted)
{
    enum err_code rc = E_NOT_FOUND;
    for (int i = 0; i < 5000 && rc != wanted; i++) {
        rc = echo(fixture);
        usleep(1000);
    }
    assert_int_equal(rc, wanted);
}

/* -- Tests -- */

static void answers_that_are_not_read_are_bounded(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, ANSWER_BYTES_MAX, false);
    int fd = ask_all(&fixture);
    wait_for_echo(&fixture, E_BUSY);
    usleep(100 * 1000);
    assert_int_equal(echo(&fixture), E_BUSY);
    assert_true(fixture.big_count < ASKED / 2);
    close(fd);
    wait_for_echo(&fixture, E_OK); /* what it held is given back */
    rpc_client_close(fixture.client);
    rpc_server_stop(fixture.server, TIMEOUT_MS);
}

static void small_answers_get_through_when_large_ones_are_not_read(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, ANSWER_BYTES_MAX, true);
    int fd = ask_all(&fixture);
    for (int i = 0; i < 5000 && fixture.big_count < ASKED; i++) {
        usleep(1000);
    }
    assert_int_equal(fixture.big_count, ASKED);
    assert_true(fixture.small_count > ASKED / 2);
    assert_int_equal(echo(&fixture), E_OK);
    close(fd);
    rpc_client_close(fixture.client);
    rpc_server_stop(fixture.server, TIMEOUT_MS);
}

/* gRPC closes no connection with a write under way on it. */
static void stop_does_not_wait_for_a_peer_that_does_not_read(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, 2 * ASKED * BIG_BYTES, false);
    int fd = ask_all(&fixture);
    for (int i = 0; i < 5000 && fixture.big_count < ASKED; i++) {
        usleep(1000);
    }
    assert_int_equal(fixture.big_count, ASKED);
    rpc_client_close(fixture.client);
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    rpc_server_stop(fixture.server, 100);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true((after.tv_sec - before.tv_sec) * 1000 < STOP_MS);
    /* Another server of this process is not hurt by what is left behind. */
    start(&fixture, 0, false);
    assert_int_equal(echo(&fixture), E_OK);
    rpc_client_close(fixture.client);
    rpc_server_stop(fixture.server, TIMEOUT_MS);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_that_are_not_read_are_bounded),
        cmocka_unit_test(small_answers_get_through_when_large_ones_are_not_read),
        cmocka_unit_test(stop_does_not_wait_for_a_peer_that_does_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
