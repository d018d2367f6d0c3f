/* The server: workers, slots, start and stop. What happens to one call is in rpc_call.c.
 *
 * Slots are calls posted to gRPC before they exist: SLOTS a method and worker, and as many for
 * unknown methods. A call that finds no slot waits inside gRPC until one is posted again.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/log.h"
#include "net/rpc_health.h"
#include "net/rpc_parts.h"
#include "net/rpc_reflection.h"

#include <assert.h>
#include <grpc/support/time.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SLOTS = 16,
    SLOTS_UNKNOWN = 2,
    THREADS_MAX = 16,
    MESSAGE_BYTES_DEFAULT = CALL_BYTES_MAX + 64 * 1024,
    CALLS_DEFAULT = 16384,
    ANSWER_BYTES_DEFAULT = 64 * 1024 * 1024,
    STREAMS_DEFAULT = 1024,
    STREAM_MESSAGES_DEFAULT = 4,
    MESSAGES_MAX = 65536, /* what a method may ask for instead */
    HANDSHAKE_TIMEOUT_MS = 10 * 1000,
    IDLE_TIMEOUT_MS = 10 * 60 * 1000,
    KEEPALIVE_MS = 60 * 1000, /* we ask a silent connection with calls on it */
    KEEPALIVE_TIMEOUT_MS = 20 * 1000,
    PING_INTERVAL_MIN_MS = 10 * 1000, /* a client may ask us */
    METADATA_BYTES_MAX = 8 * 1024,
    ARGS_MAX = 24,
    STOP_POLL_MS = 2,
    CANCEL_MS = 1000, /* for gRPC to end what was cancelled and answered */
};

/* ---- workers ---- */

static void post_slot(struct rpc_worker *worker, struct rpc_registered *registered)
{
    struct rpc_call *call = rpc_call_new(worker, registered);
    void *tag = rpc_tag(call, RPC_EVENT_NEW);
    grpc_call_error rc;
    if (registered->handle != NULL) {
        bool has_one = registered->method.kind != RPC_BIDI;
        rc = grpc_server_request_registered_call(worker->server->core, registered->handle,
                                                 &call->core, &call->deadline, &call->metadata,
                                                 has_one ? &call->request : NULL, worker->cq,
                                                 worker->cq, tag);
    } else {
        rc = grpc_server_request_call(worker->server->core, &call->core, &call->details,
                                      &call->metadata, worker->cq, worker->cq, tag);
    }
    assert(rc == GRPC_CALL_OK);
    (void)rc;
}

static void on_new(struct rpc_worker *worker, struct rpc_call *call, bool is_ok)
{
    if (!is_ok) { /* the server is stopping: the slot got nothing */
        rpc_call_free(call);
        return;
    }
    post_slot(worker, call->registered);
    rpc_call_begin(call);
}

static void on_event(struct rpc_worker *worker, const grpc_event *event)
{
    enum rpc_event kind = (enum rpc_event)((uintptr_t)event->tag & RPC_EVENT_MASK);
    void *object = (void *)((uintptr_t)event->tag & ~(uintptr_t)RPC_EVENT_MASK);
    switch (kind) {
    case RPC_EVENT_NEW:
        on_new(worker, object, event->success != 0);
        break;
    case RPC_EVENT_ANSWERED:
        rpc_call_on_answered(object);
        break;
    case RPC_EVENT_CLOSED:
        rpc_call_on_closed(object);
        break;
    case RPC_EVENT_SENT:
        rpc_outgoing_on_sent(object, event->success != 0);
        break;
    case RPC_EVENT_WAKE:
        rpc_call_answers_drain(worker);
        break;
    case RPC_EVENT_STOPPED:
        atomic_store(&worker->server->is_stopped, true);
        break;
    case RPC_EVENT_RECEIVED:
        rpc_call_on_received(object, event->success != 0);
        break;
    case RPC_EVENT_MASK:
        assert(false);
    }
}

static void *worker_run(void *arg)
{
    pthread_setname_np(pthread_self(), "grpc");
    struct rpc_worker *worker = arg;
    rpc_worker_current = worker;
    while (!atomic_load(&worker->server->is_abandoned)) {
        grpc_event event =
            grpc_completion_queue_next(worker->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN) {
            break;
        }
        on_event(worker, &event);
    }
    return NULL;
}

static grpc_call *waker_new(grpc_completion_queue *cq)
{
    grpc_channel *nowhere =
        grpc_lame_client_channel_create("waker", GRPC_STATUS_UNAVAILABLE, "never used");
    grpc_call *waker = grpc_channel_create_call(nowhere, NULL, GRPC_PROPAGATE_DEFAULTS, cq,
                                                grpc_slice_from_static_string("/waker"), NULL,
                                                gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_channel_destroy(nowhere); /* the call keeps it */
    return waker;
}

static void worker_init(struct rpc_worker *worker, struct rpc_server *server)
{
    worker->server = server;
    worker->cq = grpc_completion_queue_create_for_next(NULL);
    worker->waker = waker_new(worker->cq);
    buf_init(&worker->scratch, server->message_bytes_max);
    atomic_init(&worker->answers, NULL);
    grpc_server_register_completion_queue(server->core, worker->cq, NULL);
}

static void worker_start(struct rpc_worker *worker)
{
    struct rpc_server *server = worker->server;
    for (size_t m = 0; m <= server->method_count; m++) {
        size_t slots = m < server->method_count ? SLOTS : SLOTS_UNKNOWN;
        for (size_t i = 0; i < slots; i++) {
            post_slot(worker, &server->methods[m]);
        }
    }
    int rc = pthread_create(&worker->thread, NULL, worker_run, worker);
    if (rc != 0) {
        abort(); /* as out of memory does */
    }
}

static void worker_clear(struct rpc_worker *worker)
{
    grpc_call_unref(worker->waker);
    grpc_completion_queue_destroy(worker->cq);
    while (worker->free_calls != NULL) {
        struct rpc_call *call = worker->free_calls;
        worker->free_calls = call->next;
        rpc_call_free(call);
    }
    buf_clear(&worker->scratch);
}

/* ---- start ---- */

static void arg_add(grpc_channel_args *args, const char *key, int value)
{
    assert(args->num_args < ARGS_MAX);
    args->args[args->num_args++] = (grpc_arg){ .type = GRPC_ARG_INTEGER,
                                               .key = (char *)(uintptr_t)key,
                                               .value.integer = value };
}

static int or_default(size_t value, size_t fallback)
{
    size_t chosen = value != 0 ? value : fallback;
    assert(chosen <= INT32_MAX);
    return (int)chosen;
}

static grpc_server *core_new(const struct rpc_server_config *config)
{
    grpc_arg values[ARGS_MAX];
    grpc_channel_args args = { 0, values };
    /* Two servers on one port would share its connections at random. */
    arg_add(&args, GRPC_ARG_ALLOW_REUSEPORT, 0);
    arg_add(&args, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
            or_default(config->message_bytes_max, MESSAGE_BYTES_DEFAULT));
    arg_add(&args, GRPC_ARG_MAX_CONCURRENT_STREAMS,
            or_default(config->streams_max, STREAMS_DEFAULT));
    arg_add(&args, GRPC_ARG_MAX_METADATA_SIZE, METADATA_BYTES_MAX);
    arg_add(&args, GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
            or_default(config->handshake_timeout_ms, HANDSHAKE_TIMEOUT_MS));
    arg_add(&args, GRPC_ARG_MAX_CONNECTION_IDLE_MS,
            or_default(config->idle_timeout_ms, IDLE_TIMEOUT_MS));
    arg_add(&args, GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_MS);
    arg_add(&args, GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS);
    arg_add(&args, GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, PING_INTERVAL_MIN_MS);
    arg_add(&args, GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    /* A compressed message is refused: a small one could unpack to any size. */
    arg_add(&args, GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE);
    arg_add(&args, GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0);
    arg_add(&args, GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
    arg_add(&args, GRPC_ARG_ENABLE_CHANNELZ, 0);
    return grpc_server_create(&args, NULL);
}

static enum err_code listen_on(struct rpc_server *server, size_t i, const char *address,
                               grpc_server_credentials *credentials, struct err *err)
{
    struct span text = span_of_str(address);
    bool is_unix = span_has_prefix(text, span_of_str("unix:"));
    size_t colon = span_find_last(text, span_of_str(":"));
    if (colon == SIZE_MAX || text.len >= RPC_ADDRESS_MAX - 8) {
        return err_set(err, E_MALFORMED, "%s: not HOST:PORT or unix:PATH", address);
    }
    int port = grpc_server_add_http2_port(server->core, address, credentials);
    if (port <= 0) {
        return err_set(err, E_IO, "cannot listen on %s: in use, or not an address of this host",
                       address);
    }
    if (is_unix) {
        snprintf(server->addresses[i], RPC_ADDRESS_MAX, "%s", address);
    } else {
        snprintf(server->addresses[i], RPC_ADDRESS_MAX, "%.*s:%d", (int)colon, address, port);
    }
    return E_OK;
}

static grpc_server_credentials *credentials_for(const struct rpc_server *server,
                                                const char *address)
{
    bool is_unix = span_has_prefix(span_of_str(address), span_of_str("unix:"));
    return is_unix || server->tls == NULL ? grpc_insecure_server_credentials_create()
                                          : rpc_tls_credentials(server->tls);
}

static enum err_code listen_all(struct rpc_server *server, const struct rpc_server_config *config,
                                struct err *err)
{
    enum err_code rc = E_OK;
    if (config->tls_cert_path != NULL) {
        rc = rpc_tls_open(&server->tls, config, err);
    }
    for (size_t i = 0; rc == E_OK && i < config->listen_count; i++) {
        grpc_server_credentials *credentials = credentials_for(server, config->listen[i]);
        rc = listen_on(server, i, config->listen[i], credentials, err);
        grpc_server_credentials_release(credentials);
    }
    return rc;
}

static void register_method(struct rpc_server *server, const struct rpc_method *method)
{
    bool is_bidi = method->kind == RPC_BIDI;
    assert(!is_bidi || (method->on_end != NULL && method->on_cancelled != NULL));
    assert(method->messages_max <= MESSAGES_MAX);
    struct rpc_registered *registered = &server->methods[server->method_count++];
    registered->method = *method;
    registered->handle =
        grpc_server_register_method(server->core, method->path, NULL,
                                    is_bidi ? GRPC_SRM_PAYLOAD_NONE
                                            : GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER,
                                    0);
    assert(registered->handle != NULL);
    registered->method.path = NULL; /* borrowed: not ours after the start */
    if (method->messages_max == 0) {
        registered->method.messages_max = server->stream_messages_max;
    }
}

/* Services are the first parts of the paths, each named once. */
static size_t services_of(const struct rpc_server_config *config,
                          struct span services[RPC_METHODS_MAX])
{
    size_t count = 0;
    for (size_t m = 0; m < config->method_count; m++) {
        struct span path = span_of_str(config->methods[m].path);
        struct span service;
        bool is_path =
            span_take_prefix(&path, span_of_str("/")) && span_take_until(&path, '/', &service);
        assert(is_path);
        if (count == 0 || !span_is_equal(service, services[count - 1])) {
            services[count++] = service;
        }
    }
    return count;
}

static void register_all(struct rpc_server *server, const struct rpc_server_config *config)
{
    assert(config->method_count <= RPC_METHODS_MAX);
    struct span services[RPC_METHODS_MAX];
    size_t service_count = services_of(config, services);
    server->health = rpc_health_new(services, service_count);
    server->reflection = rpc_reflection_new(services, service_count);
    struct rpc_method own[RPC_HEALTH_METHODS + RPC_REFLECTION_METHODS];
    rpc_health_methods(server->health, own);
    rpc_reflection_methods(server->reflection, own + RPC_HEALTH_METHODS);
    size_t own_count = sizeof own / sizeof own[0];
    server->methods = mem_calloc(config->method_count + own_count + 1, sizeof *server->methods);
    for (size_t i = 0; i < config->method_count; i++) {
        register_method(server, &config->methods[i]);
    }
    for (size_t i = 0; i < own_count; i++) {
        register_method(server, &own[i]);
    }
}

static struct rpc_server *server_new(const struct rpc_server_config *config)
{
    assert(config->listen_count <= RPC_LISTEN_MAX);
    assert(config->thread_count <= THREADS_MAX);
    struct rpc_server *server = NEW(struct rpc_server);
    server->calls_max = (size_t)or_default(config->calls_max, CALLS_DEFAULT);
    server->stream_messages_max =
        (size_t)or_default(config->stream_messages_max, STREAM_MESSAGES_DEFAULT);
    server->message_bytes_max =
        (size_t)or_default(config->message_bytes_max, MESSAGE_BYTES_DEFAULT);
    server->answer_bytes_max = (size_t)or_default(config->answer_bytes_max, ANSWER_BYTES_DEFAULT);
    atomic_init(&server->call_count, 0);
    atomic_init(&server->held_count, 0);
    atomic_init(&server->answer_bytes, 0);
    atomic_init(&server->is_stopped, false);
    atomic_init(&server->is_abandoned, false);
    server->core = core_new(config);
    server->worker_count = (size_t)or_default(config->thread_count, 1);
    server->workers = mem_calloc(server->worker_count, sizeof *server->workers);
    for (size_t i = 0; i < server->worker_count; i++) {
        worker_init(&server->workers[i], server);
    }
    register_all(server, config);
    return server;
}

enum err_code rpc_server_start(struct rpc_server **out, const struct rpc_server_config *config,
                               struct err *err)
{
    rpc_library_init();
    struct rpc_server *server = server_new(config);
    enum err_code rc = listen_all(server, config, err);
    /* Started in any case: gRPC cannot shut down a server that was not. */
    grpc_server_start(server->core);
    for (size_t i = 0; i < server->worker_count; i++) {
        worker_start(&server->workers[i]);
    }
    if (rc != E_OK) {
        rpc_server_stop(server, 0);
        return rc;
    }
    *out = server;
    return E_OK;
}

enum err_code rpc_server_reload_tls(struct rpc_server *server, struct err *err)
{
    if (server->tls == NULL) {
        return err_set(err, E_UNSUPPORTED, "the server has no TLS files");
    }
    return rpc_tls_reload(server->tls, err);
}

const char *rpc_server_address(const struct rpc_server *server, size_t i)
{
    assert(i < RPC_LISTEN_MAX);
    return server->addresses[i];
}

size_t rpc_server_call_count(const struct rpc_server *server)
{
    return atomic_load_explicit(&server->call_count, memory_order_relaxed);
}

void rpc_health_set(struct rpc_server *server, bool is_serving)
{
    rpc_health_change(server->health, is_serving);
}

/* ---- stop ---- */

/* gRPC's own word is not enough: with its connection lost, it forgets a call that a handler still
 * holds and will answer on our queue. */
static bool is_idle(const struct rpc_server *server)
{
    return atomic_load(&server->is_stopped) && atomic_load(&server->call_count) == 0 &&
           atomic_load(&server->held_count) == 0;
}

static bool is_answered(const struct rpc_server *server)
{
    return atomic_load(&server->held_count) == 0;
}

/* Asks again and again: threads that answer must not touch the server after they are counted out.
 * False when the time is over; UINT32_MAX: never. */
static bool wait_until(const struct rpc_server *server, bool (*is_so)(const struct rpc_server *),
                       uint32_t timeout_ms)
{
    gpr_timespec until = rpc_deadline_in(timeout_ms);
    while (!is_so(server)) {
        if (gpr_time_cmp(gpr_now(until.clock_type), until) >= 0) {
            return false;
        }
        gpr_sleep_until(rpc_deadline_in(STOP_POLL_MS));
    }
    return true;
}

static void server_free(struct rpc_server *server)
{
    for (size_t i = 0; i < server->worker_count; i++) {
        worker_clear(&server->workers[i]);
    }
    rpc_tls_free(server->tls);
    rpc_health_free(server->health);
    rpc_reflection_free(server->reflection);
    mem_free(server->workers);
    mem_free(server->methods);
    mem_free(server);
}

/* With a write under way on it, gRPC closes no connection, and waits for a peer that may never read.
 * So the threads end, and all the rest stays where it is for as long as the process lives. */
static void abandon(struct rpc_server *server)
{
    static _Atomic(struct rpc_server *) abandoned; /* not lost: a leak checker finds them here */
    log_event(LOG_LEVEL_WARN, "grpc_abandoned", "calls=%zu", atomic_load(&server->call_count));
    atomic_store(&server->is_abandoned, true);
    for (size_t i = 0; i < server->worker_count; i++) {
        struct rpc_worker *worker = &server->workers[i];
        grpc_call_start_batch(worker->waker, NULL, 0, rpc_tag(worker, RPC_EVENT_WAKE), NULL);
        pthread_join(worker->thread, NULL);
    }
    wait_until(server, is_answered, UINT32_MAX); /* calls that came in at the last moment */
    server->next_abandoned = atomic_exchange(&abandoned, server);
}

void rpc_server_stop(struct rpc_server *server, uint32_t grace_ms)
{
    if (server == NULL) {
        return;
    }
    assert(rpc_worker_current == NULL);
    rpc_health_change(server->health, false);
    rpc_health_end(server->health);
    struct rpc_worker *first = &server->workers[0];
    grpc_server_shutdown_and_notify(server->core, first->cq, rpc_tag(first, RPC_EVENT_STOPPED));
    if (!wait_until(server, is_idle, grace_ms)) {
        grpc_server_cancel_all_calls(server->core);
        wait_until(server, is_answered, UINT32_MAX);
        if (!wait_until(server, is_idle, CANCEL_MS)) {
            abandon(server);
            return;
        }
    }
    grpc_server_destroy(server->core);
    for (size_t i = 0; i < server->worker_count; i++) {
        grpc_completion_queue_shutdown(server->workers[i].cq);
    }
    for (size_t i = 0; i < server->worker_count; i++) {
        pthread_join(server->workers[i].thread, NULL);
    }
    server_free(server);
    grpc_shutdown();
}
