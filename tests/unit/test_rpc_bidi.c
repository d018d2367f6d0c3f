/* Bidirectional streams: order, both halves' ends, and what holds either side back. */
#include "net/rpc_server.h"

#include "base/alloc.h"
#include "tests/support/bidi_peer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    MESSAGE_MAX = 1024 * 1024,
    BIG_BYTES = 256 * 1024,
    BIG_COUNT = 256, /* fills every window on the way, as gRPC makes them on a fast network */
    MANY = 20000,
    TIMEOUT_MS = 20 * 1000,
    STATUS_OK = 0, /* gRPC's */
    STATUS_CANCELLED = 1,
    STATUS_DEADLINE_EXCEEDED = 4,
    STATUS_RESOURCE_EXHAUSTED = 8,
    STATUS_FAILED_PRECONDITION = 9,
};

#define ECHO "/test.Service/Echo"
#define HOLD "/test.Service/Hold"
#define QUIT "/test.Service/Quit"

struct fixture {
    struct rpc_server *server;
    atomic_size_t called, ended, cancelled, refused; /* callbacks; sends refused as too many */
    atomic_uint_fast64_t called_bytes;
    _Atomic(struct rpc_call *) held;
};

static void count_call(struct fixture *fixture, struct span message)
{
    fixture->called++;
    atomic_fetch_add(&fixture->called_bytes, message.len);
}

/* ---- Echo: a message that finds no room waits, and so does what the peer sends behind it. ---- */

static void on_echo(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *fixture = ctx;
    count_call(fixture, message);
    enum err_code rc = rpc_stream_send(call, message);
    if (rc == E_OK) {
        rpc_stream_receive(call);
    } else if (rc == E_BUSY) {
        fixture->refused++;
        struct buf *waiting = NEW(struct buf);
        buf_init(waiting, MESSAGE_MAX);
        buf_put(waiting, message);
        rpc_call_set_user(call, waiting);
    }
}

static void on_echo_sent(void *ctx, struct rpc_call *call)
{
    (void)ctx;
    struct buf *waiting = rpc_call_user(call);
    if (waiting != NULL && rpc_stream_send_take(call, waiting) == E_OK) {
        rpc_call_set_user(call, NULL);
        mem_free(waiting);
        rpc_stream_receive(call);
    }
}

static void on_echo_end(void *ctx, struct rpc_call *call)
{
    struct fixture *fixture = ctx;
    assert_null(rpc_call_user(call));
    fixture->ended++;
    rpc_stream_finish(call);
}

static void on_echo_cancelled(void *ctx, struct rpc_call *call)
{
    struct fixture *fixture = ctx;
    assert_true(rpc_call_is_cancelled(call));
    struct buf *waiting = rpc_call_user(call);
    if (waiting != NULL) {
        buf_clear(waiting);
        mem_free(waiting);
    }
    fixture->cancelled++;
    rpc_fail(call, E_UNAVAILABLE, NULL);
}

/* ---- Hold: the test asks for each message, and answers; a cancelled call is answered here. ---- */

static void on_hold(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *fixture = ctx;
    if (message.len > 0) {
        assert_int_equal(message.data[0], (uint8_t)fixture->called);
    }
    fixture->held = call;
    count_call(fixture, message);
}

static void on_hold_end(void *ctx, struct rpc_call *call)
{
    struct fixture *fixture = ctx;
    fixture->held = call;
    fixture->ended++;
}

static void on_hold_cancelled(void *ctx, struct rpc_call *call)
{
    struct fixture *fixture = ctx;
    rpc_fail(call, E_UNAVAILABLE, NULL);
    fixture->cancelled++;
}

/* ---- Quit: three answers to the first message, and a failure, whatever else is sent. ---- */

static void on_quit(void *ctx, struct rpc_call *call, struct span message)
{
    count_call(ctx, message);
    for (uint8_t i = 0; i < 3; i++) {
        assert_int_equal(rpc_stream_send(call, span_of(&i, 1)), E_OK);
    }
    rpc_stream_receive(call); /* what it brings comes too late */
    rpc_fail(call, E_BAD_PROOF, NULL);
}

/* ---- the fixture ---- */

static void start(struct fixture *fixture, size_t calls_max)
{
    const struct rpc_method methods[] = {
        { .path = ECHO,
          .kind = RPC_BIDI,
          .ctx = fixture,
          .on_call = on_echo,
          .on_end = on_echo_end,
          .on_sent = on_echo_sent,
          .on_cancelled = on_echo_cancelled },
        { .path = HOLD,
          .kind = RPC_BIDI,
          .ctx = fixture,
          .on_call = on_hold,
          .on_end = on_hold_end,
          .on_cancelled = on_hold_cancelled },
        { .path = QUIT,
          .kind = RPC_BIDI,
          .ctx = fixture,
          .on_call = on_quit,
          .on_end = on_hold_end,
          .on_cancelled = on_hold_cancelled },
    };
    const struct rpc_server_config config = { .listen = { "127.0.0.1:0" },
                                              .listen_count = 1,
                                              .methods = methods,
                                              .method_count = sizeof methods / sizeof methods[0],
                                              .message_bytes_max = MESSAGE_MAX,
                                              .calls_max = calls_max };
    struct err err = { 0 };
    *fixture = (struct fixture){ 0 };
    if (rpc_server_start(&fixture->server, &config, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
}

static void wait_until(const atomic_size_t *value, size_t wanted)
{
    for (int i = 0; i < 5000 && *value != wanted; i++) {
        usleep(1000);
    }
    assert_int_equal(*value, wanted);
}

static void wait_until_idle(const struct fixture *fixture)
{
    for (int i = 0; i < 5000 && rpc_server_call_count(fixture->server) > 0; i++) {
        usleep(1000);
    }
    assert_int_equal(rpc_server_call_count(fixture->server), 0);
}

static void stop(struct fixture *fixture)
{
    rpc_server_stop(fixture->server, 1000);
}

static struct bidi_peer *open_peer(const struct fixture *fixture, const char *path)
{
    return bidi_peer_open(rpc_server_address(fixture->server, 0), path, BIDI_NO_DEADLINE);
}

static void expect_next(struct bidi_peer *peer, struct span wanted)
{
    struct buf message = BUF_INIT(MESSAGE_MAX);
    assert_true(bidi_peer_next(peer, &message));
    assert_true(span_is_equal(buf_span(&message), wanted));
    buf_clear(&message);
}

static void expect_end(struct bidi_peer *peer, int status)
{
    struct buf message = BUF_INIT(MESSAGE_MAX);
    assert_false(bidi_peer_next(peer, &message));
    assert_int_equal(bidi_peer_status(peer), status);
}

static struct span big_message(size_t i)
{
    static uint8_t bytes[BIG_BYTES];
    memset(bytes, (int)i, sizeof bytes);
    return SPAN_OF_ARRAY(bytes);
}

/* ---- order, and both ends ---- */

static void messages_are_answered_one_by_one_at_every_size(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, 0);
    struct bidi_peer *peer = open_peer(&fixture, ECHO);
    static uint8_t bytes[MESSAGE_MAX];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 2654435761U >> 13);
    }
    /* 0 and 23 are special to gRPC's slices, the large ones come in many of them. */
    static const size_t sizes[] = { 0, 1, 23, 24, 300, 16384, 0, 70000, MESSAGE_MAX, 5 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_true(bidi_peer_send(peer, span_of(bytes, sizes[i])));
        expect_next(peer, span_of(bytes, sizes[i]));
    }
    bidi_peer_half_close(peer);
    expect_end(peer, STATUS_OK);
    bidi_peer_close(peer);
    wait_until_idle(&fixture);
    assert_int_equal(fixture.called, sizeof sizes / sizeof sizes[0]);
    assert_int_equal(fixture.ended, 1);
    assert_int_equal(fixture.cancelled, 0);
    stop(&fixture);
}

struct sender {
    struct bidi_peer *peer;
    bool is_ok;
};

static void *send_many(void *arg)
{
    struct sender *sender = arg;
    sender->is_ok = true;
    for (uint32_t i = 0; i < MANY; i++) {
        sender->is_ok = sender->is_ok && bidi_peer_send(sender->peer, span_of(&i, sizeof i));
    }
    bidi_peer_half_close(sender->peer);
    return NULL;
}

/* Sent by one thread and read by another, so that as many are under way as the windows let. */
static void expect_many(struct fixture *fixture, const char *path)
{
    struct sender sender = { .peer = open_peer(fixture, path) };
    pthread_t thread;
    pthread_create(&thread, NULL, send_many, &sender);
    for (uint32_t i = 0; i < MANY; i++) {
        expect_next(sender.peer, span_of(&i, sizeof i));
    }
    pthread_join(thread, NULL);
    assert_true(sender.is_ok);
    expect_end(sender.peer, STATUS_OK);
    bidi_peer_close(sender.peer);
    wait_until_idle(fixture);
    assert_int_equal(fixture->called, MANY);
    assert_int_equal(fixture->ended, 1);
    assert_int_equal(fixture->cancelled, 0);
}

static void many_messages_keep_their_order(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, 0);
    expect_many(&fixture, ECHO);
    stop(&fixture);
}

static void half_close_is_told_once_and_answers_still_go_out(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, 0);
    struct bidi_peer *peer = open_peer(&fixture, HOLD);
    const uint8_t first = 0;
    assert_true(bidi_peer_send(peer, span_of(&first, 1)));
    bidi_peer_half_close(peer);
    wait_until(&fixture.called, 1);
    usleep(50 * 1000);
    assert_int_equal(fixture.ended, 0); /* nobody asked yet */
    rpc_stream_receive(fixture.held);
    wait_until(&fixture.ended, 1);
    assert_int_equal(rpc_stream_send(fixture.held, span_of_str("one")), E_OK);
    assert_int_equal(rpc_stream_send(fixture.held, span_of_str("two")), E_OK);
    rpc_stream_finish(fixture.held);
    expect_next(peer, span_of_str("one"));
    expect_next(peer, span_of_str("two"));
    expect_end(peer, STATUS_OK);
    bidi_peer_close(peer);
    wait_until_idle(&fixture);
    assert_int_equal(fixture.called, 1);
    assert_int_equal(fixture.ended, 1);
    assert_int_equal(fixture.cancelled, 0);
    stop(&fixture);
}

static void stream_without_a_message_ends(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, 0);
    struct bidi_peer *peer = open_peer(&fixture, ECHO);
    bidi_peer_half_close(peer);
    expect_end(peer, STATUS_OK);
    bidi_peer_close(peer);
    assert_int_equal(fixture.called, 0);
    assert_int_equal(fixture.ended, 1);
    stop(&fixture);
}

static void server_may_end_first(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, 0);
    for (size_t round = 1; round <= 20; round++) {
        struct bidi_peer *peer = open_peer(&fixture, QUIT);
        for (int i = 0; i < 5 && bidi_peer_send(peer, span_of_str("x")); i++) {
        }
        for (uint8_t i = 0; i < 3; i++) {
            expect_next(peer, span_of(&i, 1));
        }
        expect_end(peer, STATUS_FAILED_PRECONDITION);
        bidi_peer_close(peer);
        wait_until_idle(&fixture);
        assert_int_equal(fixture.called, round);
    }
    assert_int_equal(fixture.ended, 0);
    assert_int_equal(fixture.cancelled, 0);
    stop(&fixture);
}

/* ---- what holds back ---- */

static void slow_handler_stops_the_reading(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, 0);
    struct bidi_peer *peer = open_peer(&fixture, HOLD);
    size_t sent = 0;
    while (sent < BIG_COUNT && bidi_peer_offer(peer, big_message(sent))) {
        sent++;
    }
    assert_true(sent < BIG_COUNT); /* the windows' worth, then no more */
    assert_int_equal(fixture.called, 1);
    for (size_t i = 1; i <= sent; i++) {
        rpc_stream_receive(fixture.held);
        wait_until(&fixture.called, i + 1);
    }
    assert_true(bidi_peer_flush(peer));
    usleep(50 * 1000);
    assert_int_equal(fixture.called, sent + 1);
    bidi_peer_half_close(peer);
    rpc_stream_receive(fixture.held);
    wait_until(&fixture.ended, 1);
    rpc_stream_finish(fixture.held);
    expect_end(peer, STATUS_OK);
    bidi_peer_close(peer);
    stop(&fixture);
}

static void peer_that_does_not_read_is_not_read_from(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, 0);
    struct bidi_peer *peer = open_peer(&fixture, ECHO);
    size_t sent = 0;
    while (sent < BIG_COUNT && bidi_peer_offer(peer, big_message(sent))) {
        sent++;
    }
    assert_true(sent < BIG_COUNT);
    assert_true(fixture.refused > 0);
    size_t called = fixture.called;
    usleep(100 * 1000);
    assert_int_equal(fixture.called, called);

    /* Once it reads, everything comes, in order. */
    for (size_t i = 0; i <= sent; i++) {
        expect_next(peer, big_message(i));
    }
    assert_true(bidi_peer_flush(peer));
    bidi_peer_half_close(peer);
    expect_end(peer, STATUS_OK);
    bidi_peer_close(peer);
    stop(&fixture);
}

static void message_over_the_limit_ends_the_stream(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, 0);
    uint8_t *bytes = mem_calloc(1, MESSAGE_MAX + 1);
    struct bidi_peer *peer = open_peer(&fixture, ECHO);
    assert_true(bidi_peer_send(peer, span_of(bytes, MESSAGE_MAX)));
    expect_next(peer, span_of(bytes, MESSAGE_MAX));
    (void)bidi_peer_send(peer, span_of(bytes, MESSAGE_MAX + 1));
    expect_end(peer, STATUS_RESOURCE_EXHAUSTED);
    wait_until(&fixture.cancelled, 1);
    assert_int_equal(fixture.called, 1);
    assert_int_equal(fixture.ended, 0);
    bidi_peer_close(peer);
    mem_free(bytes);
    wait_until_idle(&fixture);
    stop(&fixture);
}

static void streams_count_as_calls(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, 2);
    struct bidi_peer *peers[2];
    for (size_t i = 0; i < 2; i++) {
        peers[i] = open_peer(&fixture, ECHO);
        assert_true(bidi_peer_send(peers[i], span_of_str("x")));
        expect_next(peers[i], span_of_str("x"));
    }
    struct bidi_peer *third = open_peer(&fixture, ECHO);
    expect_end(third, STATUS_RESOURCE_EXHAUSTED);
    bidi_peer_close(third);
    assert_int_equal(fixture.called, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(bidi_peer_send(peers[i], span_of_str("y")));
        expect_next(peers[i], span_of_str("y"));
        bidi_peer_close(peers[i]);
    }
    wait_until_idle(&fixture);
    assert_int_equal(fixture.cancelled + fixture.ended, 2);
    stop(&fixture);
}

/* ---- what ends early ---- */

/* A peer that goes away may look like one that has sent all; it is cancelled in any case. */
static void cancelled_stream_is_told_once(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, 0);
    /* Before any message, while the next is waited for, and while the handler holds one. */
    for (size_t round = 0; round < 3; round++) {
        struct bidi_peer *peer = open_peer(&fixture, HOLD);
        fixture.called = 0;
        for (size_t i = 0; i < round; i++) {
            const uint8_t byte = (uint8_t)i;
            assert_true(bidi_peer_send(peer, span_of(&byte, 1)));
            wait_until(&fixture.called, i + 1);
            if (i == 0) {
                rpc_stream_receive(fixture.held);
            }
        }
        for (int i = 0; i < 5000 && rpc_server_call_count(fixture.server) == 0; i++) {
            usleep(1000);
        }
        bidi_peer_cancel(peer);
        assert_int_equal(bidi_peer_status(peer), STATUS_CANCELLED);
        wait_until(&fixture.cancelled, round + 1);
        bidi_peer_close(peer);
        wait_until_idle(&fixture);
        assert_int_equal(fixture.called, round);
    }
    assert_true(fixture.ended <= 2);
    assert_int_equal(fixture.cancelled, 3);
    stop(&fixture);
}

static void deadline_ends_the_stream(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, 0);
    struct bidi_peer *peer = bidi_peer_open(rpc_server_address(fixture.server, 0), HOLD, 200);
    const uint8_t first = 0;
    assert_true(bidi_peer_send(peer, span_of(&first, 1)));
    wait_until(&fixture.called, 1);
    assert_int_equal(bidi_peer_status(peer), STATUS_DEADLINE_EXCEEDED);
    wait_until(&fixture.cancelled, 1);
    bidi_peer_close(peer);
    wait_until_idle(&fixture);
    stop(&fixture);
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void stop_ends_open_streams(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, 0);
    const char *const paths[] = { ECHO, HOLD, ECHO, HOLD };
    struct bidi_peer *peers[4];
    for (size_t i = 0; i < 4; i++) {
        fixture.called = 0;
        peers[i] = open_peer(&fixture, paths[i]);
        assert_true(bidi_peer_send(peers[i], span_of_str("\0")));
        wait_until(&fixture.called, 1);
    }
    /* One has its window full of answers that nobody reads, another waits to be read from. */
    for (size_t i = 0; i < 2; i++) {
        for (size_t sent = 0; sent < BIG_COUNT && bidi_peer_offer(peers[i], big_message(sent));) {
            sent++;
        }
    }
    int64_t before = now_ms();
    rpc_server_stop(fixture.server, 100);
    assert_true(now_ms() - before < 10 * 1000);
    assert_int_equal(fixture.cancelled + fixture.ended, 4);
    for (size_t i = 0; i < 4; i++) {
        bidi_peer_close(peers[i]);
    }
}

static void *half_close_later(void *peer)
{
    usleep(200 * 1000);
    bidi_peer_half_close(peer);
    return NULL;
}

static void stop_lets_a_stream_end_within_the_grace(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, 0);
    struct bidi_peer *peer = open_peer(&fixture, ECHO);
    assert_true(bidi_peer_send(peer, span_of_str("x")));
    expect_next(peer, span_of_str("x"));
    pthread_t thread;
    pthread_create(&thread, NULL, half_close_later, peer);
    int64_t before = now_ms();
    rpc_server_stop(fixture.server, TIMEOUT_MS);
    assert_in_range(now_ms() - before, 100, TIMEOUT_MS / 2);
    pthread_join(thread, NULL);
    expect_end(peer, STATUS_OK);
    assert_int_equal(fixture.ended, 1);
    assert_int_equal(fixture.cancelled, 0);
    bidi_peer_close(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_answered_one_by_one_at_every_size),
        cmocka_unit_test(many_messages_keep_their_order),
        cmocka_unit_test(half_close_is_told_once_and_answers_still_go_out),
        cmocka_unit_test(stream_without_a_message_ends),
        cmocka_unit_test(server_may_end_first),
        cmocka_unit_test(slow_handler_stops_the_reading),
        cmocka_unit_test(peer_that_does_not_read_is_not_read_from),
        cmocka_unit_test(message_over_the_limit_ends_the_stream),
        cmocka_unit_test(streams_count_as_calls),
        cmocka_unit_test(cancelled_stream_is_told_once),
        cmocka_unit_test(deadline_ends_the_stream),
        cmocka_unit_test(stop_ends_open_streams),
        cmocka_unit_test(stop_lets_a_stream_end_within_the_grace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
