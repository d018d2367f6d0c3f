/* Two completion queues: one polled for the answers of rpc_unary_start, one plucked by whoever
 * waits for one certain event. Nothing runs but inside our calls, as nobody else polls. */
#include "net/rpc_client.h"

#include "base/alloc.h"
#include "base/crypto.h"
#include "net/rpc_parts.h"

#include <assert.h>
#include <grpc/support/time.h>
#include <sys/queue.h>

enum {
    MESSAGE_BYTES_DEFAULT = 32 * 1024 * 1024,
    PATHS_MAX = 32, /* methods one client calls */
    PATH_BYTES_MAX = 96,
    ARGS_MAX = 16,
};

struct unary {
    struct rpc_client *client;
    struct unary *next;        /* free list */
    LIST_ENTRY(unary) started; /* on next_cq */
    grpc_call *core;
    void *tag;
    grpc_byte_buffer *request;
    grpc_byte_buffer *reply;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice status_text;
};

struct path {
    char name[PATH_BYTES_MAX];
    void *handle; /* gRPC's */
};

struct rpc_client {
    grpc_channel *channel;
    grpc_completion_queue *next_cq;  /* rpc_unary_start */
    grpc_completion_queue *pluck_cq; /* all the rest */
    struct path paths[PATHS_MAX];
    size_t path_count;
    struct unary *free_unaries;
    LIST_HEAD(unary_list, unary) started; /* on next_cq */
    size_t in_flight;                     /* of them */
    struct buf scratch;
};

/* ---- open and close ---- */

static enum err_code credentials_new(grpc_channel_credentials **out,
                                     const struct rpc_client_config *config, struct err *err)
{
    enum err_code rc = E_OK;
    struct buf ca = BUF_INIT(0), cert = BUF_INIT(0), key = BUF_INIT(0);
    if (config->tls_ca_path == NULL) {
        *out = grpc_insecure_credentials_create();
        return E_OK;
    }
    rc = rpc_pem_read(&ca, config->tls_ca_path, err);
    if (rc == E_OK && config->tls_cert_path != NULL) {
        rc = rpc_pem_read(&cert, config->tls_cert_path, err);
    }
    if (rc == E_OK && config->tls_cert_path != NULL) {
        rc = rpc_pem_read(&key, config->tls_key_path, err);
    }
    if (rc == E_OK) {
        grpc_ssl_pem_key_cert_pair pair = { (const char *)key.data, (const char *)cert.data };
        *out = grpc_ssl_credentials_create_ex((const char *)ca.data,
                                              key.data != NULL ? &pair : NULL, NULL, NULL);
        if (*out == NULL) {
            rc = err_set(err, E_MALFORMED, "%s: not usable for TLS", config->tls_ca_path);
        }
    }
    if (key.data != NULL) {
        crypto_wipe(key.data, key.len);
    }
    buf_clear(&ca);
    buf_clear(&cert);
    buf_clear(&key);
    return rc;
}

static grpc_arg int_arg(const char *key, int value)
{
    return (grpc_arg){ .type = GRPC_ARG_INTEGER,
                       .key = (char *)(uintptr_t)key,
                       .value.integer = value };
}

static grpc_channel *channel_new(const struct rpc_client_config *config, size_t bytes_max,
                                 grpc_channel_credentials *credentials)
{
    grpc_arg values[] = {
        int_arg(GRPC_ARG_ENABLE_RETRIES, 0), /* 15 % of a call */
        int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)bytes_max),
        int_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
        int_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
        int_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
        int_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1), /* a client, a connection */
        int_arg(GRPC_ARG_ENABLE_PER_MESSAGE_COMPRESSION, 0),
        int_arg(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE),
        int_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 200),
        int_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200),
        int_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5000),
    };
    grpc_channel_args args = { sizeof values / sizeof values[0], values };
    return grpc_channel_create(config->target, credentials, &args);
}

enum err_code rpc_client_open(struct rpc_client **out, const struct rpc_client_config *config,
                              struct err *err)
{
    rpc_library_init();
    grpc_channel_credentials *credentials = NULL;
    if (credentials_new(&credentials, config, err) != E_OK) {
        grpc_shutdown();
        return err->code;
    }
    size_t bytes_max =
        config->message_bytes_max != 0 ? config->message_bytes_max : MESSAGE_BYTES_DEFAULT;
    assert(bytes_max <= INT32_MAX);
    struct rpc_client *client = NEW(struct rpc_client);
    client->channel = channel_new(config, bytes_max, credentials);
    client->next_cq = grpc_completion_queue_create_for_next(NULL);
    client->pluck_cq = grpc_completion_queue_create_for_pluck(NULL);
    LIST_INIT(&client->started);
    buf_init(&client->scratch, bytes_max);
    grpc_channel_credentials_release(credentials);
    *out = client;
    return E_OK;
}

static void cq_close(grpc_completion_queue *cq, bool is_next)
{
    grpc_completion_queue_shutdown(cq);
    gpr_timespec never = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    for (;;) {
        grpc_event event = is_next ? grpc_completion_queue_next(cq, never, NULL)
                                   : grpc_completion_queue_pluck(cq, NULL, never, NULL);
        if (event.type == GRPC_QUEUE_SHUTDOWN) {
            break;
        }
    }
    grpc_completion_queue_destroy(cq);
}

static void on_answer_ignored(void *ctx, void *tag, struct span reply, const struct err *status)
{
    (void)ctx, (void)tag, (void)reply, (void)status;
}

static void unary_free(struct unary *unary)
{
    grpc_metadata_array_destroy(&unary->initial);
    grpc_metadata_array_destroy(&unary->trailing);
    mem_free(unary);
}

void rpc_client_close(struct rpc_client *client)
{
    if (client == NULL) {
        return;
    }
    rpc_client_cancel(client); /* a destroyed channel fails nothing that is under way */
    grpc_channel_destroy(client->channel);
    while (client->in_flight > 0) {
        rpc_client_poll(client, UINT32_MAX, NULL, on_answer_ignored);
    }
    cq_close(client->next_cq, true);
    cq_close(client->pluck_cq, false);
    while (client->free_unaries != NULL) {
        struct unary *unary = client->free_unaries;
        client->free_unaries = unary->next;
        unary_free(unary);
    }
    buf_clear(&client->scratch);
    mem_free(client);
    grpc_shutdown();
}

static enum err_code unreachable(struct rpc_client *client, struct err *err)
{
    char *target = grpc_channel_get_target(client->channel);
    err_set(err, E_IO, "cannot reach %s", target);
    gpr_free(target);
    return err->code;
}

enum err_code rpc_client_connect(struct rpc_client *client, uint32_t timeout_ms, struct err *err)
{
    gpr_timespec deadline = rpc_deadline_in(timeout_ms);
    for (;;) {
        grpc_connectivity_state state = grpc_channel_check_connectivity_state(client->channel, 1);
        if (state == GRPC_CHANNEL_READY) {
            return E_OK;
        }
        if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN) {
            return unreachable(client, err);
        }
        grpc_channel_watch_connectivity_state(client->channel, state, deadline, client->pluck_cq,
                                              client);
        grpc_event event = grpc_completion_queue_pluck(client->pluck_cq, client,
                                                       gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
        if (!event.success) {
            return unreachable(client, err);
        }
    }
}

/* ---- unary ---- */

static void *path_handle(struct rpc_client *client, const char *name)
{
    for (size_t i = 0; i < client->path_count; i++) {
        if (strcmp(client->paths[i].name, name) == 0) {
            return client->paths[i].handle;
        }
    }
    size_t bytes = strlen(name) + 1;
    assert(client->path_count < PATHS_MAX && bytes <= PATH_BYTES_MAX);
    struct path *path = &client->paths[client->path_count++];
    memcpy(path->name, name, bytes);
    path->handle = grpc_channel_register_call(client->channel, path->name, NULL, NULL);
    return path->handle;
}

/* gRPC's statuses that E_CODES does not have, or has twice, get the code a caller can act on. */
static enum err_code code_of_status(grpc_status_code status)
{
    switch (status) {
    case GRPC_STATUS_OK:
        return E_OK;
    case GRPC_STATUS_PERMISSION_DENIED:
    case GRPC_STATUS_UNAUTHENTICATED:
        return E_DENIED;
    case GRPC_STATUS_RESOURCE_EXHAUSTED:
        return E_BUSY;
    case GRPC_STATUS_OUT_OF_RANGE:
        return E_MALFORMED;
    case GRPC_STATUS_CANCELLED:
        return E_UNAVAILABLE;
#define E_CASE(name, text, http, grpc)                                                             \
    if (status == (grpc_status_code)(grpc)) {                                                      \
        return E_##name;                                                                           \
    }
    default:
        E_CODES(E_CASE)
        return E_IO;
#undef E_CASE
    }
}

static void status_to_err(struct err *err, grpc_status_code status, grpc_slice text)
{
    enum err_code code = code_of_status(status);
    if (GRPC_SLICE_LENGTH(text) == 0) {
        err_set(err, code, "%s", err_text(code));
    } else {
        err_set(err, code, "%.*s", (int)GRPC_SLICE_LENGTH(text),
                (const char *)GRPC_SLICE_START_PTR(text));
    }
}

static struct unary *unary_new(struct rpc_client *client)
{
    struct unary *unary = client->free_unaries;
    if (unary != NULL) {
        client->free_unaries = unary->next;
    } else {
        unary = NEW(struct unary);
        unary->client = client;
        grpc_metadata_array_init(&unary->initial);
        grpc_metadata_array_init(&unary->trailing);
    }
    return unary;
}

/* After the batch: frees what it brought, and keeps the struct. */
static void unary_release(struct unary *unary)
{
    grpc_byte_buffer_destroy(unary->request);
    if (unary->reply != NULL) {
        grpc_byte_buffer_destroy(unary->reply);
    }
    grpc_slice_unref(unary->status_text);
    grpc_call_unref(unary->core);
    unary->initial.count = 0;
    unary->trailing.count = 0;
    unary->reply = NULL;
    unary->next = unary->client->free_unaries;
    unary->client->free_unaries = unary;
}

/* Everything a call does, in one batch with one event. */
static struct unary *unary_start(struct rpc_client *client, grpc_completion_queue *cq,
                                 const char *path, struct span request, uint32_t timeout_ms)
{
    struct unary *unary = unary_new(client);
    unary->core =
        grpc_channel_create_registered_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS, cq,
                                            path_handle(client, path), rpc_deadline_in(timeout_ms),
                                            NULL);
    unary->request = rpc_message_copy(request);
    const grpc_op ops[] = {
        { .op = GRPC_OP_SEND_INITIAL_METADATA },
        { .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = unary->request },
        { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT },
        { .op = GRPC_OP_RECV_INITIAL_METADATA,
          .data.recv_initial_metadata.recv_initial_metadata = &unary->initial },
        { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &unary->reply },
        { .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
          .data.recv_status_on_client = { .trailing_metadata = &unary->trailing,
                                          .status = &unary->status,
                                          .status_details = &unary->status_text } },
    };
    grpc_call_error rc =
        grpc_call_start_batch(unary->core, ops, sizeof ops / sizeof ops[0], unary, NULL);
    assert(rc == GRPC_CALL_OK);
    (void)rc;
    return unary;
}

/* The reply's bytes, good until the release; or what went wrong. */
static enum err_code unary_result(struct unary *unary, struct span *reply, struct err *err)
{
    *reply = span_of(NULL, 0);
    if (unary->status != GRPC_STATUS_OK) {
        status_to_err(err, unary->status, unary->status_text);
        return err->code;
    }
    if (unary->reply == NULL) {
        return err_set(err, E_IO, "an answer without a message");
    }
    if (!rpc_message_span(unary->reply, &unary->client->scratch, reply)) {
        return err_set(err, E_TOO_LARGE, "reply over %zu bytes", unary->client->scratch.max);
    }
    return E_OK;
}

enum err_code rpc_unary(struct rpc_client *client, const char *path, struct span request,
                        uint32_t timeout_ms, struct buf *reply, struct err *err)
{
    struct unary *unary = unary_start(client, client->pluck_cq, path, request, timeout_ms);
    grpc_completion_queue_pluck(client->pluck_cq, unary, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    struct span bytes;
    enum err_code rc = unary_result(unary, &bytes, err);
    if (rc == E_OK) {
        rc = buf_append(reply, bytes, err);
    }
    unary_release(unary);
    return rc;
}

void rpc_unary_start(struct rpc_client *client, const char *path, struct span request,
                     uint32_t timeout_ms, void *tag)
{
    struct unary *unary = unary_start(client, client->next_cq, path, request, timeout_ms);
    unary->tag = tag;
    LIST_INSERT_HEAD(&client->started, unary, started);
    client->in_flight++;
}

static void unary_give(struct unary *unary, void *ctx, rpc_on_answer *on_answer)
{
    struct err err;
    struct span bytes;
    enum err_code rc = unary_result(unary, &bytes, &err);
    LIST_REMOVE(unary, started);
    unary->client->in_flight--;
    on_answer(ctx, unary->tag, bytes, rc == E_OK ? NULL : &err);
    unary_release(unary);
}

size_t rpc_client_poll(struct rpc_client *client, uint32_t timeout_ms, void *ctx,
                       rpc_on_answer *on_answer)
{
    size_t count = 0;
    gpr_timespec deadline = rpc_deadline_in(timeout_ms);
    while (client->in_flight > 0) {
        grpc_event event = grpc_completion_queue_next(client->next_cq, deadline, NULL);
        if (event.type != GRPC_OP_COMPLETE) {
            break;
        }
        unary_give(event.tag, ctx, on_answer);
        count++;
        deadline = gpr_inf_past(GPR_CLOCK_MONOTONIC); /* from now on, only what is there */
    }
    return count;
}

size_t rpc_client_in_flight(const struct rpc_client *client)
{
    return client->in_flight;
}

void rpc_client_cancel(struct rpc_client *client)
{
    struct unary *unary;
    LIST_FOREACH(unary, &client->started, started)
    {
        grpc_call_cancel(unary->core, NULL);
    }
}

/* ---- incoming stream ---- */

struct rpc_incoming {
    struct rpc_client *client;
    grpc_call *core;
    grpc_byte_buffer *request;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice status_text;
    bool is_over; /* the status has been read */
};

static bool incoming_batch(struct rpc_incoming *incoming, const grpc_op *ops, size_t count)
{
    grpc_completion_queue *cq = incoming->client->pluck_cq;
    grpc_call_error rc = grpc_call_start_batch(incoming->core, ops, count, incoming, NULL);
    assert(rc == GRPC_CALL_OK);
    (void)rc;
    grpc_event event =
        grpc_completion_queue_pluck(cq, incoming, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    return event.success != 0;
}

static void incoming_read_status(struct rpc_incoming *incoming)
{
    const grpc_op op = { .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                         .data.recv_status_on_client = { .trailing_metadata = &incoming->trailing,
                                                         .status = &incoming->status,
                                                         .status_details =
                                                             &incoming->status_text } };
    if (!incoming->is_over) {
        incoming_batch(incoming, &op, 1);
        incoming->is_over = true;
    }
}

enum err_code rpc_incoming_open(struct rpc_incoming **out, struct rpc_client *client,
                                const char *path, struct span request, uint32_t timeout_ms,
                                struct err *err)
{
    struct rpc_incoming *incoming = NEW(struct rpc_incoming);
    incoming->client = client;
    grpc_metadata_array_init(&incoming->initial);
    grpc_metadata_array_init(&incoming->trailing);
    incoming->status_text = grpc_empty_slice();
    incoming->request = rpc_message_copy(request);
    incoming->core =
        grpc_channel_create_registered_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS,
                                            client->pluck_cq, path_handle(client, path),
                                            rpc_deadline_in(timeout_ms), NULL);
    const grpc_op ops[] = {
        { .op = GRPC_OP_SEND_INITIAL_METADATA },
        { .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = incoming->request },
        { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT },
        { .op = GRPC_OP_RECV_INITIAL_METADATA,
          .data.recv_initial_metadata.recv_initial_metadata = &incoming->initial },
    };
    if (!incoming_batch(incoming, ops, sizeof ops / sizeof ops[0])) {
        incoming_read_status(incoming);
        status_to_err(err, incoming->status, incoming->status_text);
        rpc_incoming_close(incoming);
        return err->code;
    }
    *out = incoming;
    return E_OK;
}

enum err_code rpc_incoming_next(struct rpc_incoming *incoming, struct buf *message, bool *is_end,
                                struct err *err)
{
    grpc_byte_buffer *bytes = NULL;
    const grpc_op op = { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &bytes };
    *is_end = false;
    if (!incoming->is_over && incoming_batch(incoming, &op, 1) && bytes != NULL) {
        struct span span;
        enum err_code rc = E_OK;
        if (rpc_message_span(bytes, &incoming->client->scratch, &span)) {
            rc = buf_append(message, span, err);
        } else {
            rc = err_set(err, E_TOO_LARGE, "message over %zu bytes", incoming->client->scratch.max);
        }
        grpc_byte_buffer_destroy(bytes);
        return rc;
    }
    incoming_read_status(incoming);
    if (incoming->status != GRPC_STATUS_OK) {
        status_to_err(err, incoming->status, incoming->status_text);
        return err->code;
    }
    *is_end = true;
    return E_OK;
}

void rpc_incoming_close(struct rpc_incoming *incoming)
{
    if (incoming == NULL) {
        return;
    }
    if (!incoming->is_over) {
        grpc_call_cancel(incoming->core, NULL);
        incoming_read_status(incoming);
    }
    grpc_byte_buffer_destroy(incoming->request);
    grpc_slice_unref(incoming->status_text);
    grpc_metadata_array_destroy(&incoming->initial);
    grpc_metadata_array_destroy(&incoming->trailing);
    grpc_call_unref(incoming->core);
    mem_free(incoming);
}
