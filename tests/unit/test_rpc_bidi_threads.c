/* A bidirectional stream whose messages another thread answers, a bounded number behind: as a log does
 * whose sequencer answers what gRPC's thread takes in. */
#include "net/rpc_server.h"

#include "tests/support/bidi_peer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    MESSAGE_MAX = 64,
    MANY = 20000,
    IN_WORK_MAX = 64, /* messages of a stream that were taken in, and whose answers are not sent */
    STREAMS_MAX = 32,
    ITEMS_MAX = STREAMS_MAX * (IN_WORK_MAX + 1),
    STATUS_OK = 0, /* gRPC's */
};

#define LATER "/test.Service/Later"

/* Kept until the test is over, as a callback may be in it while another thread ends the stream. */
struct stream {
    struct fixture *fixture;
    struct rpc_call *call;
    size_t in_work;
    bool is_withheld; /* the next message was not asked for, for want of room */
    bool is_over;     /* its last item is in the queue */
};

struct item {
    struct stream *stream;
    struct buf message;
    bool is_last;
};

struct fixture {
    struct rpc_server *server;
    atomic_size_t called, ended, cancelled;
    pthread_t answerer;
    atomic_bool is_over;

    pthread_mutex_t lock; /* guards all below, and the streams' fields */
    struct stream streams[STREAMS_MAX];
    size_t stream_count;
    struct item items[ITEMS_MAX];
    size_t first, count;
};

/* Requires the lock, as all below that take a stream. */
static struct stream *stream_of(struct fixture *fixture, struct rpc_call *call)
{
    struct stream *stream = rpc_call_user(call);
    if (stream == NULL) {
        assert_true(fixture->stream_count < STREAMS_MAX);
        stream = &fixture->streams[fixture->stream_count++];
        *stream = (struct stream){ .fixture = fixture, .call = call };
        rpc_call_set_user(call, stream);
    }
    return stream;
}

static struct item *push(struct fixture *fixture, struct stream *stream)
{
    assert_true(fixture->count < ITEMS_MAX);
    struct item *item = &fixture->items[(fixture->first + fixture->count++) % ITEMS_MAX];
    *item = (struct item){ .stream = stream };
    buf_init(&item->message, MESSAGE_MAX);
    return item;
}

static void receive_if_room(struct stream *stream)
{
    stream->is_withheld = stream->in_work >= IN_WORK_MAX;
    if (!stream->is_withheld) {
        rpc_stream_receive(stream->call);
    }
}

static void on_message(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *fixture = ctx;
    fixture->called++;
    pthread_mutex_lock(&fixture->lock);
    struct stream *stream = stream_of(fixture, call);
    buf_put(&push(fixture, stream)->message, message);
    stream->in_work++;
    assert_true(stream->in_work <= IN_WORK_MAX);
    receive_if_room(stream);
    pthread_mutex_unlock(&fixture->lock);
}

static void on_sent(void *ctx, struct rpc_call *call)
{
    struct fixture *fixture = ctx;
    pthread_mutex_lock(&fixture->lock);
    struct stream *stream = stream_of(fixture, call);
    stream->in_work--;
    if (stream->is_withheld && !stream->is_over) {
        receive_if_room(stream);
    }
    pthread_mutex_unlock(&fixture->lock);
}

/* Both can come, one behind the other, while the answer to the first is on its way. */
static void end(struct fixture *fixture, struct rpc_call *call)
{
    pthread_mutex_lock(&fixture->lock);
    struct stream *stream = stream_of(fixture, call);
    if (!stream->is_over) {
        stream->is_over = true;
        push(fixture, stream)->is_last = true;
    }
    pthread_mutex_unlock(&fixture->lock);
}

static void on_end(void *ctx, struct rpc_call *call)
{
    struct fixture *fixture = ctx;
    fixture->ended++;
    end(fixture, call);
}

static void on_cancelled(void *ctx, struct rpc_call *call)
{
    struct fixture *fixture = ctx;
    fixture->cancelled++;
    end(fixture, call);
}

static bool pop(struct fixture *fixture, struct item *item)
{
    pthread_mutex_lock(&fixture->lock);
    bool has_item = fixture->count > 0;
    if (has_item) {
        *item = fixture->items[fixture->first];
        fixture->first = (fixture->first + 1) % ITEMS_MAX;
        fixture->count--;
    }
    pthread_mutex_unlock(&fixture->lock);
    return has_item;
}

/* The method's queue takes all that can be in work, so it is never full. */
static void answer(struct item *item)
{
    if (item->is_last) {
        rpc_stream_finish(item->stream->call);
    } else {
        enum err_code rc = rpc_stream_send_take(item->stream->call, &item->message);
        assert_true(rc == E_OK || rc == E_UNAVAILABLE);
    }
    buf_clear(&item->message);
}

static void *answer_run(void *arg)
{
    struct fixture *fixture = arg;
    struct item item;
    while (!fixture->is_over) {
        if (pop(fixture, &item)) {
            answer(&item);
        } else {
            usleep(100);
        }
    }
    return NULL;
}

static void start(struct fixture *fixture)
{
    const struct rpc_method method = { .path = LATER,
                                       .kind = RPC_BIDI,
                                       .ctx = fixture,
                                       .messages_max = IN_WORK_MAX,
                                       .on_call = on_message,
                                       .on_end = on_end,
                                       .on_sent = on_sent,
                                       .on_cancelled = on_cancelled };
    const struct rpc_server_config config = {
        .listen = { "127.0.0.1:0" }, .listen_count = 1, .methods = &method, .method_count = 1
    };
    struct err err = { 0 };
    *fixture = (struct fixture){ 0 };
    pthread_mutex_init(&fixture->lock, NULL);
    if (rpc_server_start(&fixture->server, &config, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    pthread_create(&fixture->answerer, NULL, answer_run, fixture);
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
    fixture->is_over = true;
    pthread_join(fixture->answerer, NULL);
    assert_int_equal(fixture->count, 0);
    pthread_mutex_destroy(&fixture->lock);
}

static struct bidi_peer *open_peer(const struct fixture *fixture)
{
    return bidi_peer_open(rpc_server_address(fixture->server, 0), LATER, BIDI_NO_DEADLINE);
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

static void another_thread_answers_in_order(void **state)
{
    (void)state;
    static struct fixture fixture;
    start(&fixture);
    struct sender sender = { .peer = open_peer(&fixture) };
    struct buf message = BUF_INIT(MESSAGE_MAX);
    pthread_t thread;
    pthread_create(&thread, NULL, send_many, &sender);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_true(bidi_peer_next(sender.peer, &message));
        assert_true(span_is_equal(buf_span(&message), span_of(&i, sizeof i)));
    }
    pthread_join(thread, NULL);
    assert_true(sender.is_ok);
    assert_false(bidi_peer_next(sender.peer, &message));
    assert_int_equal(bidi_peer_status(sender.peer), STATUS_OK);
    bidi_peer_close(sender.peer);
    buf_clear(&message);
    wait_until_idle(&fixture);
    assert_int_equal(fixture.called, MANY);
    assert_int_equal(fixture.ended, 1);
    assert_int_equal(fixture.cancelled, 0);
    stop(&fixture);
}

/* The streams are cancelled with messages at every stage. */
static void cancel_meets_answers_under_way(void **state)
{
    (void)state;
    static struct fixture fixture;
    start(&fixture);
    for (size_t round = 0; round < STREAMS_MAX; round++) {
        struct bidi_peer *peer = open_peer(&fixture);
        for (size_t i = 0; i < 8 * round; i++) {
            assert_true(bidi_peer_send(peer, span_of_str("x")));
        }
        bidi_peer_close(peer);
        wait_until_idle(&fixture);
    }
    assert_true(fixture.ended <= STREAMS_MAX);
    assert_true(fixture.cancelled <= STREAMS_MAX);
    assert_true(fixture.ended + fixture.cancelled >= fixture.stream_count);
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_thread_answers_in_order),
        cmocka_unit_test(cancel_meets_answers_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
