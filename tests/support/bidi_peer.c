#include "tests/support/bidi_peer.h"

#include "base/alloc.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
    STEP_MS = 30 * 1000,
    OFFER_MS = 300,
};

enum tag {
    TAG_OPEN = 1,
    TAG_SEND,
    TAG_NEXT,
    TAG_STATUS
};

struct bidi_peer {
    grpc_channel *channel;
    grpc_call *call;
    grpc_completion_queue *cq;
    grpc_byte_buffer *sending;
    bool is_over;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice words;
};

static gpr_timespec in_ms(uint32_t ms)
{
    if (ms == BIDI_NO_DEADLINE) {
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    }
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
}

static void start(struct bidi_peer *peer, const grpc_op *ops, size_t count, enum tag tag)
{
    assert_int_equal(grpc_call_start_batch(peer->call, ops, count, (void *)(uintptr_t)tag, NULL),
                     GRPC_CALL_OK);
}

static grpc_event wait_for(struct bidi_peer *peer, enum tag tag, uint32_t ms)
{
    return grpc_completion_queue_pluck(peer->cq, (void *)(uintptr_t)tag, in_ms(ms), NULL);
}

/* False when it failed, which is how the end of a stream shows. */
static bool finished(struct bidi_peer *peer, enum tag tag)
{
    grpc_event event = wait_for(peer, tag, STEP_MS);
    assert_int_equal(event.type, GRPC_OP_COMPLETE);
    return event.success != 0;
}

struct bidi_peer *bidi_peer_open(const char *address, const char *path, uint32_t timeout_ms)
{
    struct bidi_peer *peer = NEW(struct bidi_peer);
    grpc_init();
    peer->cq = grpc_completion_queue_create_for_pluck(NULL);
    grpc_channel_credentials *plain = grpc_insecure_credentials_create();
    /* A connection of its own, not one that another peer opened. */
    grpc_arg own = { .type = GRPC_ARG_INTEGER,
                     .key = (char *)(uintptr_t)GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL,
                     .value.integer = 1 };
    grpc_arg large = { .type = GRPC_ARG_INTEGER,
                       .key = (char *)(uintptr_t)GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
                       .value.integer = -1 };
    grpc_arg values[] = { own, large };
    grpc_channel_args args = { 2, values };
    peer->channel = grpc_channel_create(address, plain, &args);
    grpc_channel_credentials_release(plain);
    grpc_slice method = grpc_slice_from_copied_string(path);
    peer->call = grpc_channel_create_call(peer->channel, NULL, GRPC_PROPAGATE_DEFAULTS, peer->cq,
                                          method, NULL, in_ms(timeout_ms), NULL);
    grpc_slice_unref(method);
    grpc_metadata_array_init(&peer->initial);
    grpc_metadata_array_init(&peer->trailing);
    const grpc_op send = { .op = GRPC_OP_SEND_INITIAL_METADATA };
    start(peer, &send, 1, TAG_SEND);
    (void)finished(peer, TAG_SEND);
    const grpc_op receive = { .op = GRPC_OP_RECV_INITIAL_METADATA,
                              .data.recv_initial_metadata.recv_initial_metadata = &peer->initial };
    start(peer, &receive, 1, TAG_OPEN);
    return peer;
}

static void send_start(struct bidi_peer *peer, struct span message)
{
    assert_null(peer->sending);
    grpc_slice slice = grpc_slice_from_copied_buffer((const char *)message.data, message.len);
    peer->sending = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    grpc_op op = { .op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = peer->sending };
    start(peer, &op, 1, TAG_SEND);
}

bool bidi_peer_flush(struct bidi_peer *peer)
{
    bool is_ok = finished(peer, TAG_SEND);
    grpc_byte_buffer_destroy(peer->sending);
    peer->sending = NULL;
    return is_ok;
}

bool bidi_peer_send(struct bidi_peer *peer, struct span message)
{
    send_start(peer, message);
    return bidi_peer_flush(peer);
}

bool bidi_peer_offer(struct bidi_peer *peer, struct span message)
{
    send_start(peer, message);
    grpc_event event = wait_for(peer, TAG_SEND, OFFER_MS);
    if (event.type == GRPC_QUEUE_TIMEOUT) {
        return false;
    }
    grpc_byte_buffer_destroy(peer->sending);
    peer->sending = NULL;
    return event.success != 0;
}

void bidi_peer_half_close(struct bidi_peer *peer)
{
    grpc_op op = { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT };
    start(peer, &op, 1, TAG_SEND);
    (void)finished(peer, TAG_SEND);
}

void bidi_peer_cancel(struct bidi_peer *peer)
{
    grpc_call_cancel(peer->call, NULL);
}

static void message_copy(struct buf *out, grpc_byte_buffer *message)
{
    grpc_byte_buffer_reader reader;
    assert_int_equal(grpc_byte_buffer_reader_init(&reader, message), 1);
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    buf_reset(out);
    buf_put(out, span_of(GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice)));
    grpc_slice_unref(slice);
    grpc_byte_buffer_reader_destroy(&reader);
}

bool bidi_peer_next(struct bidi_peer *peer, struct buf *message)
{
    grpc_byte_buffer *received = NULL;
    grpc_op op = { .op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &received };
    start(peer, &op, 1, TAG_NEXT);
    bool is_message = finished(peer, TAG_NEXT) && received != NULL;
    if (is_message) {
        message_copy(message, received);
    }
    grpc_byte_buffer_destroy(received);
    return is_message;
}

int bidi_peer_status(struct bidi_peer *peer)
{
    if (!peer->is_over) {
        peer->is_over = true;
        grpc_op op = { .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                       .data.recv_status_on_client = { .trailing_metadata = &peer->trailing,
                                                       .status = &peer->status,
                                                       .status_details = &peer->words } };
        start(peer, &op, 1, TAG_STATUS);
        assert_true(finished(peer, TAG_STATUS));
        grpc_slice_unref(peer->words);
    }
    return (int)peer->status;
}

void bidi_peer_close(struct bidi_peer *peer)
{
    bidi_peer_cancel(peer);
    if (peer->sending != NULL) {
        (void)bidi_peer_flush(peer);
    }
    (void)bidi_peer_status(peer);
    (void)finished(peer, TAG_OPEN);
    grpc_metadata_array_destroy(&peer->initial);
    grpc_metadata_array_destroy(&peer->trailing);
    grpc_call_unref(peer->call);
    grpc_channel_destroy(peer->channel);
    grpc_completion_queue_shutdown(peer->cq);
    assert_int_equal(wait_for(peer, TAG_NEXT, STEP_MS).type, GRPC_QUEUE_SHUTDOWN);
    grpc_completion_queue_destroy(peer->cq);
    grpc_shutdown();
    mem_free(peer);
}
