#include "net/rpc_client.h"
#include "net/rpc_health.h"
#include "net/rpc_server.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "grpc/health/v1/health.pb-c.h"
#include "tests/support/files.h"

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
    MESSAGE_MAX = 4 * 1024 * 1024,
    HELD_MAX = 1024,
    TIMEOUT_MS = 20 * 1000,
    SLOW_COUNT = 64, /* messages of a stream, large enough to fill every window on the way */
    SLOW_BYTES = 256 * 1024,
};

#define ECHO  "/test.Service/Echo"
#define HOLD  "/test.Service/Hold"
#define WATCH "/test.Service/Watch"
#define FAIL  "/test.Service/Fail"
#define COUNT "/test.Service/Count"
#define SLOW  "/test.Service/Slow"
#define TIME  "/test.Service/Time"

/* A server with a handler for each thing a handler can do, and a client. */
struct fixture {
    struct rpc_server *server;
    struct rpc_client *client;
    pthread_mutex_t lock; /* guards the calls */
    struct rpc_call *held[HELD_MAX];
    size_t held_count;
    atomic_size_t cancelled;
    atomic_size_t pushed; /* messages the slow stream took */
    atomic_bool is_over;
    pthread_t answerer;
    bool has_answerer;
};

static void on_echo(void *ctx, struct rpc_call *call, struct span message)
{
    (void)ctx;
    rpc_reply(call, message);
}

static void hold(struct fixture *fixture, struct rpc_call *call)
{
    pthread_mutex_lock(&fixture->lock);
    assert_true(fixture->held_count < HELD_MAX);
    fixture->held[fixture->held_count++] = call;
    pthread_mutex_unlock(&fixture->lock);
}

/* Takes a call back out; false when another thread has it. */
static bool unhold(struct fixture *fixture, struct rpc_call *call)
{
    bool is_found = false;
    pthread_mutex_lock(&fixture->lock);
    for (size_t i = 0; i < fixture->held_count && !is_found; i++) {
        if (fixture->held[i] == call) {
            fixture->held[i] = fixture->held[--fixture->held_count];
            is_found = true;
        }
    }
    pthread_mutex_unlock(&fixture->lock);
    return is_found;
}

static void on_hold(void *ctx, struct rpc_call *call, struct span message)
{
    (void)message;
    hold(ctx, call);
}

static void on_watch(void *ctx, struct rpc_call *call, struct span message)
{
    (void)message;
    rpc_call_watch(call);
    hold(ctx, call);
}

static void on_watch_cancelled(void *ctx, struct rpc_call *call)
{
    struct fixture *fixture = ctx;
    assert_true(rpc_call_is_cancelled(call));
    if (unhold(fixture, call)) {
        rpc_fail(call, E_UNAVAILABLE, NULL);
        fixture->cancelled++;
    }
}

static void on_fail(void *ctx, struct rpc_call *call, struct span message)
{
    (void)ctx;
    rpc_fail(call, (enum err_code)message.data[0], message.len > 1 ? "entry 7: too long" : NULL);
}

/* As many messages as the request is long, and all at once: they fit the queue. */
static void on_count(void *ctx, struct rpc_call *call, struct span message)
{
    (void)ctx;
    for (size_t i = 0; i < message.len; i++) {
        uint8_t byte = (uint8_t)i;
        assert_int_equal(rpc_stream_send(call, span_of(&byte, 1)), E_OK);
    }
    rpc_stream_finish(call);
}

/* Sends while there is room; on_sent goes on. */
static void slow_push(struct fixture *fixture, struct rpc_call *call)
{
    while (fixture->pushed < SLOW_COUNT) {
        struct buf message = BUF_INIT(SLOW_BYTES);
        memset(buf_extend(&message, SLOW_BYTES), (int)fixture->pushed, SLOW_BYTES);
        enum err_code rc = rpc_stream_send_take(call, &message);
        assert_int_equal(message.len, rc == E_OK ? 0 : SLOW_BYTES);
        buf_clear(&message);
        if (rc != E_OK) {
            return;
        }
        fixture->pushed++;
    }
    rpc_stream_finish(call);
}

static void on_slow(void *ctx, struct rpc_call *call, struct span message)
{
    (void)message;
    slow_push(ctx, call);
}

static void on_slow_cancelled(void *ctx, struct rpc_call *call)
{
    struct fixture *fixture = ctx;
    fixture->cancelled++;
    rpc_stream_finish(call);
}

static void on_time(void *ctx, struct rpc_call *call, struct span message)
{
    (void)ctx, (void)message;
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)rpc_call_deadline_ms(call));
    assert_null(rpc_call_peer_name(call));
    assert_null(rpc_call_user(call));
    rpc_reply(call, span_of_str(text));
}

/* Answers what is held, from a thread that is not gRPC's. */
static void *answer_run(void *arg)
{
    struct fixture *fixture = arg;
    while (!fixture->is_over) {
        struct rpc_call *calls[HELD_MAX];
        pthread_mutex_lock(&fixture->lock);
        size_t count = fixture->held_count;
        memcpy(calls, fixture->held, count * sizeof calls[0]);
        fixture->held_count = 0;
        pthread_mutex_unlock(&fixture->lock);
        for (size_t i = 0; i < count; i++) {
            rpc_reply(calls[i], span_of_str("later"));
        }
        usleep(1000);
    }
    return NULL;
}

static void start(struct fixture *fixture, const char *listen, size_t calls_max)
{
    const struct rpc_method methods[] = {
        { .path = ECHO, .on_call = on_echo },
        { .path = HOLD, .ctx = fixture, .on_call = on_hold },
        { .path = WATCH, .ctx = fixture, .on_call = on_watch, .on_cancelled = on_watch_cancelled },
        { .path = FAIL, .on_call = on_fail },
        { .path = TIME, .on_call = on_time },
        { .path = COUNT, .kind = RPC_SERVER_STREAM, .on_call = on_count },
        { .path = SLOW,
          .kind = RPC_SERVER_STREAM,
          .ctx = fixture,
          .on_call = on_slow,
          .on_sent = (void (*)(void *, struct rpc_call *))slow_push,
          .on_cancelled = on_slow_cancelled },
    };
    const struct rpc_server_config config = { .listen = { listen },
                                              .listen_count = 1,
                                              .methods = methods,
                                              .method_count = sizeof methods / sizeof methods[0],
                                              .message_bytes_max = MESSAGE_MAX,
                                              .calls_max = calls_max };
    struct err err = { 0 };
    pthread_mutex_init(&fixture->lock, NULL);
    if (rpc_server_start(&fixture->server, &config, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    const struct rpc_client_config to = { .target = rpc_server_address(fixture->server, 0) };
    if (rpc_client_open(&fixture->client, &to, &err) != E_OK ||
        rpc_client_connect(fixture->client, TIMEOUT_MS, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
}

static void start_answerer(struct fixture *fixture)
{
    pthread_create(&fixture->answerer, NULL, answer_run, fixture);
    fixture->has_answerer = true;
}

static void stop(struct fixture *fixture)
{
    rpc_client_close(fixture->client);
    rpc_server_stop(fixture->server, 1000);
    fixture->is_over = true;
    if (fixture->has_answerer) {
        pthread_join(fixture->answerer, NULL);
    }
    assert_int_equal(fixture->held_count, 0);
    pthread_mutex_destroy(&fixture->lock);
}

static void wait_until_held(struct fixture *fixture, size_t count)
{
    size_t held = 0;
    for (int i = 0; i < 5000 && held != count; i++) {
        pthread_mutex_lock(&fixture->lock);
        held = fixture->held_count;
        pthread_mutex_unlock(&fixture->lock);
        usleep(1000);
    }
    assert_int_equal(held, count);
}

static void wait_until(const atomic_size_t *value, size_t wanted)
{
    for (int i = 0; i < 5000 && *value != wanted; i++) {
        usleep(1000);
    }
    assert_int_equal(*value, wanted);
}

static enum err_code call(struct fixture *fixture, const char *path, struct span request,
                          struct buf *reply, struct err *err)
{
    buf_init(reply, MESSAGE_MAX);
    err->msg[0] = 0;
    return rpc_unary(fixture->client, path, request, TIMEOUT_MS, reply, err);
}

static void expect_reply(struct fixture *fixture, const char *path, struct span request,
                         struct span expected)
{
    struct buf reply;
    struct err err;
    enum err_code rc = call(fixture, path, request, &reply, &err);
    if (rc != E_OK) {
        fail_msg("%s: %s", path, err.msg);
    }
    assert_true(span_is_equal(buf_span(&reply), expected));
    buf_clear(&reply);
}

static void expect_failure(struct fixture *fixture, const char *path, struct span request,
                           enum err_code code, const char *words)
{
    struct buf reply;
    struct err err;
    assert_int_equal(call(fixture, path, request, &reply, &err), code);
    assert_int_equal(err.code, code);
    assert_int_equal(reply.len, 0);
    if (words != NULL) {
        assert_non_null(strstr(err.msg, words));
    }
}

/* ---- unary ---- */

static void unary_echoes_every_size(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    static uint8_t bytes[MESSAGE_MAX];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 2654435761U >> 13);
    }
    /* 0 and 23 are special to gRPC's slices, the large ones come in many of them. */
    static const size_t sizes[] = { 0, 1, 23, 24, 300, 16384, 70000, 1 << 20, MESSAGE_MAX };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        expect_reply(&fixture, ECHO, span_of(bytes, sizes[i]), span_of(bytes, sizes[i]));
    }
    stop(&fixture);
}

static void message_over_the_limit_is_refused(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    uint8_t *bytes = mem_calloc(1, MESSAGE_MAX + 1);
    expect_failure(&fixture, ECHO, span_of(bytes, MESSAGE_MAX + 1), E_BUSY, NULL);
    expect_reply(&fixture, ECHO, span_of_str("still here"), span_of_str("still here"));
    mem_free(bytes);
    stop(&fixture);
}

static void unknown_method_is_unimplemented(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    for (int i = 0; i < 20; i++) { /* more than there are slots for them */
        expect_failure(&fixture, "/test.Service/None", span_of_str("x"), E_UNSUPPORTED,
                       "no such method");
    }
    stop(&fixture);
}

static void failure_carries_code_and_words(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    static const enum err_code codes[] = { E_MALFORMED,   E_NOT_FOUND, E_EXISTS,      E_CONFLICT,
                                           E_BAD_PROOF,   E_BUSY,      E_UNAVAILABLE, E_TIMEOUT,
                                           E_UNSUPPORTED, E_IO,        E_CORRUPT };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        uint8_t request[2] = { (uint8_t)codes[i] };
        expect_failure(&fixture, FAIL, span_of(request, 1), codes[i], err_text(codes[i]));
        expect_failure(&fixture, FAIL, span_of(request, 2), codes[i], "entry 7: too long");
    }
    stop(&fixture);
}

struct answers {
    size_t right;
    size_t wrong;
    bool is_seen[HELD_MAX];
};

static void on_later(void *ctx, void *tag, struct span reply, const struct err *status)
{
    struct answers *answers = ctx;
    size_t i = (size_t)(uintptr_t)tag;
    bool is_right = status == NULL && span_is_str(reply, "later") && !answers->is_seen[i];
    answers->is_seen[i] = true;
    answers->right += is_right;
    answers->wrong += !is_right;
}

static void another_thread_answers_many_calls(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    start_answerer(&fixture);
    struct answers answers = { 0 };
    for (size_t i = 0; i < HELD_MAX; i++) {
        rpc_unary_start(fixture.client, i % 2 == 0 ? HOLD : WATCH, span_of_str("x"), TIMEOUT_MS,
                        (void *)(uintptr_t)i);
    }
    assert_int_equal(rpc_client_in_flight(fixture.client), HELD_MAX);
    while (rpc_client_in_flight(fixture.client) > 0) {
        assert_true(rpc_client_poll(fixture.client, TIMEOUT_MS, &answers, on_later) > 0);
    }
    assert_int_equal(answers.right, HELD_MAX);
    assert_int_equal(answers.wrong, 0);
    stop(&fixture);
}

static void deadline_ends_the_call_and_the_server_hears_of_it(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    struct buf reply = BUF_INIT(100);
    struct err err;
    assert_int_equal(rpc_unary(fixture.client, WATCH, span_of_str("x"), 50, &reply, &err),
                     E_TIMEOUT);
    wait_until(&fixture.cancelled, 1);
    for (int i = 0; i < 5000 && rpc_server_call_count(fixture.server) > 0; i++) {
        usleep(1000);
    }
    assert_int_equal(rpc_server_call_count(fixture.server), 0);

    /* Not watched: nobody is told, and an answer into the void does no harm. */
    assert_int_equal(rpc_unary(fixture.client, HOLD, span_of_str("x"), 50, &reply, &err),
                     E_TIMEOUT);
    wait_until_held(&fixture, 1);
    assert_false(rpc_call_is_cancelled(fixture.held[0]));
    rpc_reply(fixture.held[0], span_of_str("too late"));
    fixture.held_count = 0;
    expect_reply(&fixture, ECHO, span_of_str("a"), span_of_str("a"));
    stop(&fixture);
}

static void deadline_is_known_to_the_handler(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    struct buf reply = BUF_INIT(100);
    struct err err;
    assert_int_equal(call(&fixture, TIME, span_of_str("x"), &reply, &err), E_OK);
    uint64_t left_ms = 0;
    assert_int_equal(decimal_parse(&left_ms, buf_span(&reply), UINT64_MAX, &err), E_OK);
    assert_in_range(left_ms, TIMEOUT_MS / 2, TIMEOUT_MS + 1000); /* rounded up on the wire */
    buf_reset(&reply);
    assert_int_equal(rpc_unary(fixture.client, TIME, span_of_str("x"), RPC_NO_DEADLINE, &reply,
                               &err),
                     E_OK);
    assert_int_equal(decimal_parse(&left_ms, buf_span(&reply), UINT64_MAX, &err), E_OK);
    assert_true(left_ms == INT64_MAX);
    buf_clear(&reply);
    stop(&fixture);
}

static void calls_over_the_maximum_are_refused(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 3);
    for (int i = 0; i < 3; i++) {
        rpc_unary_start(fixture.client, HOLD, span_of_str("x"), TIMEOUT_MS, NULL);
    }
    wait_until_held(&fixture, 3);
    expect_failure(&fixture, ECHO, span_of_str("x"), E_BUSY, "over capacity");
    start_answerer(&fixture);
    struct answers answers = { 0 };
    while (rpc_client_in_flight(fixture.client) > 0) {
        rpc_client_poll(fixture.client, TIMEOUT_MS, &answers, on_later);
    }
    expect_reply(&fixture, ECHO, span_of_str("x"), span_of_str("x"));
    stop(&fixture);
}

/* ---- streams ---- */

static void stream_delivers_all_then_its_status(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    for (size_t count = 0; count <= 4; count++) {
        struct rpc_incoming *incoming = NULL;
        struct err err;
        bool is_end = false;
        struct buf message = BUF_INIT(16);
        assert_int_equal(rpc_incoming_open(&incoming, fixture.client, COUNT, span_of("xxxx", count),
                                           TIMEOUT_MS, &err),
                         E_OK);
        for (size_t i = 0; i < count; i++) {
            buf_reset(&message);
            assert_int_equal(rpc_incoming_next(incoming, &message, &is_end, &err), E_OK);
            assert_false(is_end);
            assert_int_equal(message.len, 1);
            assert_int_equal(message.data[0], i);
        }
        assert_int_equal(rpc_incoming_next(incoming, &message, &is_end, &err), E_OK);
        assert_true(is_end);
        assert_int_equal(rpc_incoming_next(incoming, &message, &is_end, &err), E_OK);
        assert_true(is_end);
        rpc_incoming_close(incoming);
        buf_clear(&message);
    }
    stop(&fixture);
}

static void stream_failure_is_seen_by_the_reader(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    struct rpc_incoming *incoming = NULL;
    struct err err;
    enum err_code rc = rpc_incoming_open(&incoming, fixture.client, "/test.Service/None",
                                         span_of_str(""), TIMEOUT_MS, &err);
    if (rc == E_OK) {
        struct buf message = BUF_INIT(16);
        bool is_end = false;
        rc = rpc_incoming_next(incoming, &message, &is_end, &err);
        rpc_incoming_close(incoming);
    }
    assert_int_equal(rc, E_UNSUPPORTED);
    stop(&fixture);
}

/* A reader that stops reading stops the writer too, within its queue and gRPC's windows. */
static void slow_reader_holds_the_stream_back(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    struct rpc_incoming *incoming = NULL;
    struct err err;
    struct buf message = BUF_INIT(SLOW_BYTES);
    bool is_end = false;
    assert_int_equal(rpc_incoming_open(&incoming, fixture.client, SLOW, span_of_str(""), TIMEOUT_MS,
                                       &err),
                     E_OK);
    usleep(300 * 1000);
    assert_true(fixture.pushed < SLOW_COUNT / 2);
    for (size_t i = 0; i < SLOW_COUNT; i++) {
        buf_reset(&message);
        assert_int_equal(rpc_incoming_next(incoming, &message, &is_end, &err), E_OK);
        assert_false(is_end);
        assert_int_equal(message.len, SLOW_BYTES);
        assert_int_equal(message.data[SLOW_BYTES - 1], i);
    }
    assert_int_equal(rpc_incoming_next(incoming, &message, &is_end, &err), E_OK);
    assert_true(is_end);
    rpc_incoming_close(incoming);
    buf_clear(&message);
    stop(&fixture);
}

static void reader_that_goes_away_cancels_the_stream(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    struct rpc_incoming *incoming = NULL;
    struct err err;
    assert_int_equal(rpc_incoming_open(&incoming, fixture.client, SLOW, span_of_str(""), TIMEOUT_MS,
                                       &err),
                     E_OK);
    rpc_incoming_close(incoming);
    wait_until(&fixture.cancelled, 1);
    assert_true(fixture.pushed < SLOW_COUNT);
    stop(&fixture);
}

/* ---- start and stop ---- */

static void unix_socket_serves(void **state)
{
    (void)state;
    char *directory = files_make_temp_dir();
    char *path = files_join(directory, "rpc.sock");
    char address[RPC_ADDRESS_MAX];
    snprintf(address, sizeof address, "unix:%s", path);
    for (int i = 0; i < 2; i++) { /* the second start finds the first one's file */
        struct fixture fixture = { 0 };
        start(&fixture, address, 0);
        assert_string_equal(rpc_server_address(fixture.server, 0), address);
        expect_reply(&fixture, ECHO, span_of_str("x"), span_of_str("x"));
        stop(&fixture);
    }
    free(path);
    files_remove_tree(directory);
}

static void start_fails_on_bad_and_taken_addresses(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    struct rpc_server *second = NULL;
    struct err err;
    struct rpc_server_config config = { .listen = { rpc_server_address(fixture.server, 0) },
                                        .listen_count = 1 };
    assert_int_equal(rpc_server_start(&second, &config, &err), E_IO);
    config.listen[0] = "nonsense";
    assert_int_equal(rpc_server_start(&second, &config, &err), E_MALFORMED);
    config.tls_cert_path = config.tls_key_path = "/nonexistent";
    assert_int_not_equal(rpc_server_start(&second, &config, &err), E_OK);
    assert_null(second);
    stop(&fixture);
}

static void connect_fails_where_nobody_listens(void **state)
{
    (void)state;
    struct rpc_client *client = NULL;
    struct err err;
    const struct rpc_client_config to = { .target = "unix:/nonexistent/rpc.sock" };
    assert_int_equal(rpc_client_open(&client, &to, &err), E_OK);
    assert_int_equal(rpc_client_connect(client, 300, &err), E_IO);
    assert_non_null(strstr(err.msg, "cannot reach"));
    struct buf reply = BUF_INIT(10);
    assert_int_equal(rpc_unary(client, ECHO, span_of_str(""), 1000, &reply, &err), E_UNAVAILABLE);
    rpc_client_close(client);
}

static void on_stopped(void *ctx, void *tag, struct span reply, const struct err *status)
{
    size_t *failed = ctx;
    (void)tag, (void)reply;
    *failed += status != NULL;
}

/* Watched calls are cancelled after the grace, and answered by on_cancelled; the others by the
 * thread that holds them. Everybody gets an answer. */
static void stop_ends_pending_calls(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    size_t failed = 0;
    for (int i = 0; i < 20; i++) {
        rpc_unary_start(fixture.client, WATCH, span_of_str("x"), TIMEOUT_MS, NULL);
    }
    struct rpc_incoming *incoming = NULL;
    struct err err;
    assert_int_equal(rpc_incoming_open(&incoming, fixture.client, SLOW, span_of_str(""), TIMEOUT_MS,
                                       &err),
                     E_OK);
    wait_until_held(&fixture, 20);
    rpc_server_stop(fixture.server, 50);
    assert_int_equal(fixture.cancelled, 21);
    while (rpc_client_in_flight(fixture.client) > 0) {
        rpc_client_poll(fixture.client, TIMEOUT_MS, &failed, on_stopped);
    }
    assert_int_equal(failed, 20);
    rpc_incoming_close(incoming);
    rpc_client_close(fixture.client);
    pthread_mutex_destroy(&fixture.lock);
}

static void *answer_after_a_while(void *arg)
{
    struct fixture *fixture = arg;
    usleep(200 * 1000);
    rpc_reply(fixture->held[0], span_of_str("late"));
    fixture->held_count = 0;
    return NULL;
}

static void stop_waits_for_calls_that_are_held(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    size_t failed = 0;
    rpc_unary_start(fixture.client, HOLD, span_of_str("x"), TIMEOUT_MS, NULL);
    wait_until_held(&fixture, 1);
    pthread_t thread;
    pthread_create(&thread, NULL, answer_after_a_while, &fixture);
    rpc_server_stop(fixture.server, 20); /* cancels after 20 ms, and still must wait */
    pthread_join(thread, NULL);
    rpc_client_poll(fixture.client, TIMEOUT_MS, &failed, on_stopped);
    assert_int_equal(failed, 1);
    rpc_client_close(fixture.client);
    pthread_mutex_destroy(&fixture.lock);
}

/* ---- health ---- */

#define CHECK        "/grpc.health.v1.Health/Check"
#define HEALTH_WATCH "/grpc.health.v1.Health/Watch"

static void expect_health(struct fixture *fixture, const char *service, uint8_t status)
{
    uint8_t request[64];
    Grpc__Health__V1__HealthCheckRequest message = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    message.service = (char *)(uintptr_t)service;
    size_t bytes = grpc__health__v1__health_check_request__pack(&message, request);
    const uint8_t expected[] = { 0x08, status };
    expect_reply(fixture, CHECK, span_of(request, bytes), SPAN_OF_ARRAY(expected));
}

static void health_check_tells_the_state(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    expect_health(&fixture, "", 2);
    expect_health(&fixture, "test.Service", 2);
    rpc_health_set(fixture.server, true);
    expect_health(&fixture, "", 1);
    expect_health(&fixture, "test.Service", 1);
    static const uint8_t unknown[] = { 0x0a, 1, 'x' };
    expect_failure(&fixture, CHECK, SPAN_OF_ARRAY(unknown), E_NOT_FOUND, NULL);
    static const uint8_t malformed[] = { 0x0a, 9 };
    expect_failure(&fixture, CHECK, SPAN_OF_ARRAY(malformed), E_MALFORMED, NULL);
    stop(&fixture);
}

static void health_watch_tells_changes(void **state)
{
    (void)state;
    struct fixture fixture = { 0 };
    start(&fixture, "127.0.0.1:0", 0);
    struct rpc_incoming *incoming = NULL;
    struct err err;
    bool is_end = false;
    assert_int_equal(rpc_incoming_open(&incoming, fixture.client, HEALTH_WATCH, span_of_str(""),
                                       RPC_NO_DEADLINE, &err),
                     E_OK);
    for (int i = 0; i < 6; i++) {
        struct buf message = BUF_INIT(16);
        assert_int_equal(rpc_incoming_next(incoming, &message, &is_end, &err), E_OK);
        assert_int_equal(message.len, 2);
        assert_int_equal(message.data[1], i % 2 == 0 ? 2 : 1);
        rpc_health_set(fixture.server, i % 2 == 0);
        buf_clear(&message);
    }
    rpc_incoming_close(incoming);
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_echoes_every_size),
        cmocka_unit_test(message_over_the_limit_is_refused),
        cmocka_unit_test(unknown_method_is_unimplemented),
        cmocka_unit_test(failure_carries_code_and_words),
        cmocka_unit_test(another_thread_answers_many_calls),
        cmocka_unit_test(deadline_ends_the_call_and_the_server_hears_of_it),
        cmocka_unit_test(deadline_is_known_to_the_handler),
        cmocka_unit_test(calls_over_the_maximum_are_refused),
        cmocka_unit_test(stream_delivers_all_then_its_status),
        cmocka_unit_test(stream_failure_is_seen_by_the_reader),
        cmocka_unit_test(slow_reader_holds_the_stream_back),
        cmocka_unit_test(reader_that_goes_away_cancels_the_stream),
        cmocka_unit_test(unix_socket_serves),
        cmocka_unit_test(start_fails_on_bad_and_taken_addresses),
        cmocka_unit_test(connect_fails_where_nobody_listens),
        cmocka_unit_test(stop_ends_pending_calls),
        cmocka_unit_test(stop_waits_for_calls_that_are_held),
        cmocka_unit_test(health_check_tells_the_state),
        cmocka_unit_test(health_watch_tells_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
