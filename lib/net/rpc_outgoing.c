/* A stream's sending side: a short queue, one message under way, then the status.
 *
 * `is_sending` is the right to start the next batch on the call: gRPC wants batches that send to
 * come from one thread at a time. It is taken under the lock and passed from batch to batch. The
 * lock is never held while gRPC or a callback runs.
 */
#include "base/alloc.h"
#include "net/rpc_parts.h"

#include <assert.h>

struct rpc_outgoing *rpc_outgoing_new(size_t messages_max)
{
    struct rpc_outgoing *outgoing = NEW(struct rpc_outgoing);
    pthread_mutex_init(&outgoing->lock, NULL);
    outgoing->queue = mem_calloc(messages_max, sizeof *outgoing->queue);
    outgoing->max = messages_max;
    return outgoing;
}

/* Requires the lock, or that nobody else is left. */
static grpc_byte_buffer *queue_pop(struct rpc_outgoing *outgoing)
{
    assert(outgoing->count > 0);
    grpc_byte_buffer *message = outgoing->queue[outgoing->first];
    outgoing->first = (outgoing->first + 1) % outgoing->max;
    outgoing->count--;
    return message;
}

static void queue_clear(struct rpc_outgoing *outgoing)
{
    while (outgoing->count > 0) {
        grpc_byte_buffer_destroy(queue_pop(outgoing));
    }
}

void rpc_outgoing_free(struct rpc_outgoing *outgoing)
{
    queue_clear(outgoing);
    pthread_mutex_destroy(&outgoing->lock);
    mem_free(outgoing->queue);
    mem_free(outgoing);
}

static void start(struct rpc_call *call, const grpc_op *ops, size_t count, enum rpc_event event)
{
    grpc_call_error rc = grpc_call_start_batch(call->core, ops, count, rpc_tag(call, event), NULL);
    assert(rc == GRPC_CALL_OK);
    (void)rc;
}

static void start_message(struct rpc_call *call, grpc_byte_buffer *message, bool is_first,
                          bool is_last)
{
    grpc_op ops[2] = {
        { .op = GRPC_OP_SEND_MESSAGE,
          /* Messages with more behind them may share a write. Not the first: gRPC 1.51 then keeps
           * the headers back too. */
          .flags = is_first || is_last ? 0 : GRPC_WRITE_BUFFER_HINT,
          .data.send_message.send_message = message },
        { .op = GRPC_OP_SEND_INITIAL_METADATA },
    };
    start(call, ops, is_first ? 2 : 1, RPC_EVENT_SENT);
}

static void start_status(struct rpc_call *call, bool has_sent)
{
    grpc_op ops[2] = {
        { .op = GRPC_OP_SEND_STATUS_FROM_SERVER,
          .data.send_status_from_server = { .status = call->status,
                                            .status_details = call->status == GRPC_STATUS_OK
                                                                  ? NULL
                                                                  : &call->status_text } },
        { .op = GRPC_OP_SEND_INITIAL_METADATA },
    };
    /* The thread that gets the event sees all that this one has done to the call. gRPC sees to that;
     * this makes it visible to tools that do not look into gRPC. */
    atomic_fetch_add(&call->pending, 0);
    start(call, ops, has_sent ? 1 : 2, RPC_EVENT_ANSWERED);
}

/* Starts what is next, by the owner of is_sending, which is given up when nothing is. */
static void send_next(struct rpc_call *call)
{
    struct rpc_outgoing *outgoing = call->outgoing;
    pthread_mutex_lock(&outgoing->lock);
    bool is_first = !outgoing->has_sent;
    bool has_message = outgoing->count > 0;
    bool is_last = outgoing->count <= 1;
    bool is_finishing = outgoing->is_finishing;
    grpc_byte_buffer *message = NULL;
    if (has_message) {
        message = queue_pop(outgoing);
        outgoing->sending = message;
        outgoing->has_sent = true;
    } else if (!is_finishing) {
        outgoing->is_sending = false;
    }
    pthread_mutex_unlock(&outgoing->lock);
    if (has_message) {
        start_message(call, message, is_first, is_last);
    } else if (is_finishing) {
        start_status(call, !is_first); /* is_sending stays: nothing may follow */
    }
}

/* Sets is_sending if it is free; true when the caller got it. Requires the lock. */
static bool take_sending(struct rpc_outgoing *outgoing)
{
    bool is_free = !outgoing->is_sending;
    outgoing->is_sending = true;
    return is_free;
}

static enum err_code send(struct rpc_call *call, struct span copied, struct buf *taken)
{
    struct rpc_outgoing *outgoing = call->outgoing;
    assert(outgoing != NULL);
    if (rpc_call_is_cancelled(call)) {
        return E_UNAVAILABLE;
    }
    bool is_owner = false;
    pthread_mutex_lock(&outgoing->lock);
    assert(!outgoing->is_finishing);
    bool has_room = outgoing->count < outgoing->max;
    if (has_room) {
        size_t at = (outgoing->first + outgoing->count) % outgoing->max;
        outgoing->queue[at] = taken != NULL ? rpc_message_take(taken) : rpc_message_copy(copied);
        outgoing->count++;
        is_owner = take_sending(outgoing);
    }
    pthread_mutex_unlock(&outgoing->lock);
    if (is_owner) {
        send_next(call);
    }
    return has_room ? E_OK : E_BUSY;
}

enum err_code rpc_stream_send(struct rpc_call *call, struct span bytes)
{
    return send(call, bytes, NULL);
}

enum err_code rpc_stream_send_take(struct rpc_call *call, struct buf *bytes)
{
    return send(call, span_of(NULL, 0), bytes);
}

void rpc_outgoing_finish(struct rpc_call *call)
{
    struct rpc_outgoing *outgoing = call->outgoing;
    pthread_mutex_lock(&outgoing->lock);
    outgoing->is_finishing = true;
    bool is_owner = take_sending(outgoing);
    pthread_mutex_unlock(&outgoing->lock);
    if (is_owner) {
        send_next(call);
    }
}

void rpc_outgoing_on_sent(struct rpc_call *call, bool is_ok)
{
    struct rpc_outgoing *outgoing = call->outgoing;
    if (!is_ok) { /* the peer is gone: what is queued has nowhere to go */
        atomic_store_explicit(&call->is_cancelled, true, memory_order_release);
    }
    pthread_mutex_lock(&outgoing->lock);
    grpc_byte_buffer *sent = outgoing->sending;
    outgoing->sending = NULL;
    if (!is_ok) {
        queue_clear(outgoing);
    }
    pthread_mutex_unlock(&outgoing->lock);
    grpc_byte_buffer_destroy(sent);
    /* Once the answer is started here, its events come to this thread, so the call outlives us. */
    send_next(call);
    const struct rpc_method *method = &call->registered->method;
    if (is_ok && method->on_sent != NULL && !atomic_load(&call->is_answered)) {
        method->on_sent(method->ctx, call);
    }
}
