/* One call on the server, from its slot to its release.
 *
 * The normal path of a unary call is two events: RPC_EVENT_NEW (the message is there already, as
 * gRPC reads it for registered methods) and RPC_EVENT_ANSWERED, of one batch that sends everything
 * and waits for the close. A watched call waits for the close in a batch of its own, and a stream
 * sends its messages in batches of their own (rpc_outgoing.c).
 *
 * Of a bidirectional stream each message is a batch too. The right to start the next one goes to and
 * fro: the worker has it until on_call, then the handler until it calls rpc_stream_receive.
 */
#include "base/alloc.h"
#include "net/rpc_parts.h"

#include <assert.h>
#include <grpc/support/time.h>

_Thread_local struct rpc_worker *rpc_worker_current;

struct rpc_call *rpc_call_new(struct rpc_worker *worker, struct rpc_registered *registered)
{
    struct rpc_call *call = worker->free_calls;
    if (call != NULL) {
        worker->free_calls = call->next;
    } else {
        call = NEW(struct rpc_call);
        grpc_metadata_array_init(&call->metadata);
        grpc_call_details_init(&call->details);
    }
    call->worker = worker;
    call->registered = registered;
    return call;
}

void rpc_call_free(struct rpc_call *call)
{
    grpc_metadata_array_destroy(&call->metadata);
    grpc_call_details_destroy(&call->details);
    mem_free(call);
}

/* Back to the free list, with the parts that can be used again. */
static void release(struct rpc_call *call)
{
    struct rpc_worker *worker = call->worker;
    if (call->auth != NULL) {
        grpc_auth_context_release(call->auth);
    }
    if (call->outgoing != NULL) {
        rpc_outgoing_free(call->outgoing);
    }
    if (call->registered->handle == NULL) {
        grpc_call_details_destroy(&call->details);
        grpc_call_details_init(&call->details);
    }
    grpc_call_unref(call->core);

    grpc_metadata_array metadata = call->metadata;
    grpc_call_details details = call->details;
    metadata.count = 0; /* the elements went with the core call; the array is ours to use again */
    *call = (struct rpc_call){ .metadata = metadata, .details = details };
    call->next = worker->free_calls;
    worker->free_calls = call;
    atomic_fetch_sub(&worker->server->call_count, 1);
}

/* Atomic, because any thread may ask for a message. It does so before the answer, whose event is
 * pending until then: nobody adds to a count of zero. */
static void drop_pending(struct rpc_call *call)
{
    unsigned before = atomic_fetch_sub(&call->pending, 1);
    assert(before > 0);
    if (before == 1) {
        release(call);
    }
}

static void start(struct rpc_call *call, const grpc_op *ops, size_t count, enum rpc_event event)
{
    grpc_call_error rc = grpc_call_start_batch(call->core, ops, count, rpc_tag(call, event), NULL);
    assert(rc == GRPC_CALL_OK);
    (void)rc;
}

static grpc_op close_op(struct rpc_call *call)
{
    return (grpc_op){ .op = GRPC_OP_RECV_CLOSE_ON_SERVER,
                      .data.recv_close_on_server.cancelled = &call->core_cancelled };
}

/* Worker thread: everything a unary answer needs, as one batch and one event. */
static void answer_start(struct rpc_call *call)
{
    grpc_op ops[4] = {
        { .op = GRPC_OP_SEND_INITIAL_METADATA },
        { .op = GRPC_OP_SEND_STATUS_FROM_SERVER,
          .data.send_status_from_server = { .status = call->status,
                                            .status_details = call->status == GRPC_STATUS_OK
                                                                  ? NULL
                                                                  : &call->status_text } },
    };
    size_t count = 2;
    if (call->reply != NULL) {
        ops[count++] =
            (grpc_op){ .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = call->reply };
    }
    if (!call->is_watched) {
        ops[count++] = close_op(call);
    }
    start(call, ops, count, RPC_EVENT_ANSWERED);
}

/* Any thread: to the worker that owns the call. Only the push that finds the list empty wakes it,
 * so that a commit's worth of answers costs one wake-up, and the sockets are written by one
 * thread. */
static void answer_give(struct rpc_call *call)
{
    struct rpc_worker *worker = call->worker;
    if (rpc_worker_current == worker) {
        answer_start(call);
        return;
    }
    struct rpc_call *head = atomic_load_explicit(&worker->answers, memory_order_relaxed);
    do {
        call->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&worker->answers, &head, call,
                                                    memory_order_release, memory_order_relaxed));
    if (head == NULL) {
        grpc_call_start_batch(worker->waker, NULL, 0, rpc_tag(worker, RPC_EVENT_WAKE), NULL);
    }
}

void rpc_call_answers_drain(struct rpc_worker *worker)
{
    struct rpc_call *newest =
        atomic_exchange_explicit(&worker->answers, NULL, memory_order_acquire);
    struct rpc_call *oldest = NULL;
    while (newest != NULL) {
        struct rpc_call *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct rpc_call *next = oldest->next; /* the call may be gone after its start */
        answer_start(oldest);
        oldest = next;
    }
}

static void mark_answered(struct rpc_call *call)
{
    bool was_answered = atomic_exchange_explicit(&call->is_answered, true, memory_order_acq_rel);
    assert(!was_answered);
    (void)was_answered;
}

/* The call may be gone once it is answered, and the server once this thread is counted out. */
static void give(struct rpc_call *call)
{
    struct rpc_server *server = call->worker->server;
    if (call->outgoing != NULL) {
        rpc_outgoing_finish(call);
    } else {
        answer_give(call);
    }
    atomic_fetch_sub(&server->held_count, 1);
}

static void reply(struct rpc_call *call, grpc_byte_buffer *message)
{
    assert(call->outgoing == NULL);
    mark_answered(call);
    call->reply = message;
    call->reply_bytes = grpc_byte_buffer_length(message);
    atomic_fetch_add(&call->worker->server->answer_bytes, call->reply_bytes);
    call->status = GRPC_STATUS_OK;
    give(call);
}

void rpc_reply(struct rpc_call *call, struct span bytes)
{
    reply(call, rpc_message_copy(bytes));
}

void rpc_reply_take(struct rpc_call *call, struct buf *bytes)
{
    reply(call, rpc_message_take(bytes));
}

static void fail(struct rpc_call *call, grpc_status_code status, grpc_slice text)
{
    mark_answered(call);
    call->status = status;
    call->status_text = text;
    give(call);
}

void rpc_fail(struct rpc_call *call, enum err_code code, const char *message)
{
    assert(code != E_OK);
    fail(call, (grpc_status_code)err_grpc_status(code),
         message != NULL ? grpc_slice_from_copied_string(message)
                         : grpc_slice_from_static_string(err_text(code)));
}

void rpc_stream_finish(struct rpc_call *call)
{
    assert(call->outgoing != NULL);
    mark_answered(call);
    call->status = GRPC_STATUS_OK;
    give(call);
}

void rpc_call_watch(struct rpc_call *call)
{
    assert(rpc_worker_current == call->worker);
    if (!call->is_watched) {
        call->is_watched = true;
        atomic_fetch_add(&call->pending, 1);
        grpc_op op = close_op(call);
        start(call, &op, 1, RPC_EVENT_CLOSED);
    }
}

void rpc_call_on_answered(struct rpc_call *call)
{
    if (call->reply != NULL) {
        grpc_byte_buffer_destroy(call->reply);
        atomic_fetch_sub(&call->worker->server->answer_bytes, call->reply_bytes);
    }
    grpc_slice_unref(call->status_text);
    drop_pending(call);
}

void rpc_call_on_closed(struct rpc_call *call)
{
    if (call->core_cancelled != 0) {
        atomic_store_explicit(&call->is_cancelled, true, memory_order_release);
        const struct rpc_method *method = &call->registered->method;
        if (method->on_cancelled != NULL && !atomic_load(&call->is_answered)) {
            method->on_cancelled(method->ctx, call);
        }
    }
    drop_pending(call);
}

static void receive_start(struct rpc_call *call)
{
    atomic_fetch_add(&call->pending, 1);
    grpc_op op = { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->request };
    start(call, &op, 1, RPC_EVENT_RECEIVED);
}

void rpc_stream_receive(struct rpc_call *call)
{
    assert(call->is_receivable);
    call->is_receivable = false;
    receive_start(call);
}

/* The call is the handler's by now, so it is not ours to answer: it is cancelled with the status that
 * gRPC gives to a message over the limit, and the handler hears of that. */
static void received_deliver(struct rpc_call *call, grpc_byte_buffer *request)
{
    const struct rpc_method *method = &call->registered->method;
    struct span message;
    if (rpc_message_span(request, &call->worker->scratch, &message)) {
        call->is_receivable = true;
        method->on_call(method->ctx, call, message);
    } else {
        grpc_call_cancel_with_status(call->core, GRPC_STATUS_RESOURCE_EXHAUSTED,
                                     err_text(E_TOO_LARGE), NULL);
    }
}

/* No message, and all is well: the peer has half-closed, or so it seems. gRPC says the same of some
 * calls that were cancelled, but their RPC_EVENT_CLOSED comes right behind. */
void rpc_call_on_received(struct rpc_call *call, bool is_ok)
{
    assert(atomic_load(&call->pending) > 0); /* and what was done before it was counted is seen */
    const struct rpc_method *method = &call->registered->method;
    grpc_byte_buffer *request = call->request;
    call->request = NULL; /* on_call may have the next one put there */
    bool is_heard = !atomic_load(&call->is_answered) && !rpc_call_is_cancelled(call);
    if (is_heard && request != NULL) {
        received_deliver(call, request);
    } else if (is_heard && is_ok) {
        method->on_end(method->ctx, call);
    }
    if (request != NULL) {
        grpc_byte_buffer_destroy(request);
    }
    drop_pending(call);
}

/* Gives the handler its call, or refuses it. */
static void dispatch(struct rpc_call *call, bool is_over_limit)
{
    const struct rpc_method *method = &call->registered->method;
    struct span message;
    if (call->registered->handle == NULL) {
        rpc_fail(call, E_UNSUPPORTED, "no such method");
    } else if (is_over_limit) {
        rpc_fail(call, E_BUSY, NULL);
    } else if (method->kind == RPC_BIDI) {
        receive_start(call);
    } else if (!rpc_message_span(call->request, &call->worker->scratch, &message)) {
        rpc_fail(call, E_TOO_LARGE, NULL);
    } else {
        method->on_call(method->ctx, call, message);
    }
}

void rpc_call_begin(struct rpc_call *call)
{
    struct rpc_server *server = call->worker->server;
    size_t count = atomic_fetch_add(&server->call_count, 1);
    atomic_fetch_add(&server->held_count, 1);
    bool is_over_limit =
        count >= server->calls_max || atomic_load(&server->answer_bytes) > server->answer_bytes_max;
    const struct rpc_method *method = &call->registered->method;
    atomic_store(&call->pending, 1);
    call->status_text = grpc_empty_slice();
    if (method->kind != RPC_UNARY) {
        call->outgoing = rpc_outgoing_new(method->messages_max);
        rpc_call_watch(call);
    }
    dispatch(call, is_over_limit);
    /* The call may be answered by now, but its events come to this thread: it is still here. Where
     * messages are received one by one, they go with their events. */
    if (method->kind != RPC_BIDI && call->request != NULL) {
        grpc_byte_buffer_destroy(call->request);
        call->request = NULL;
    }
}

bool rpc_call_is_cancelled(const struct rpc_call *call)
{
    return atomic_load_explicit(&call->is_cancelled, memory_order_acquire);
}

bool rpc_call_has_room(const struct rpc_call *call, size_t bytes)
{
    struct rpc_server *server = call->worker->server;
    size_t max = server->answer_bytes_max;
    size_t used = atomic_load(&server->answer_bytes);
    return used < max && bytes <= (max - used) / 2;
}

int64_t rpc_call_deadline_ms(const struct rpc_call *call)
{
    if (gpr_time_cmp(call->deadline, gpr_inf_future(call->deadline.clock_type)) == 0) {
        return INT64_MAX;
    }
    return gpr_time_to_millis(gpr_time_sub(call->deadline, gpr_now(call->deadline.clock_type)));
}

const char *rpc_call_peer_name(struct rpc_call *call)
{
    if (call->auth == NULL) {
        call->auth = grpc_call_auth_context(call->core);
    }
    if (call->auth == NULL || !grpc_auth_context_peer_is_authenticated(call->auth)) {
        return NULL;
    }
    grpc_auth_property_iterator it =
        grpc_auth_context_find_properties_by_name(call->auth, GRPC_PEER_DNS_PROPERTY_NAME);
    const grpc_auth_property *property = grpc_auth_property_iterator_next(&it);
    return property == NULL ? NULL : property->value;
}

void rpc_call_set_user(struct rpc_call *call, void *user)
{
    call->user = user;
}

void *rpc_call_user(const struct rpc_call *call)
{
    return call->user;
}
