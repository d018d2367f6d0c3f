#include "bench/append_streams.h"

#include "base/alloc.h"
#include "base/file.h"
#include "bench/operation_records.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <stdio.h>

#define METHOD "/courtroll.v1.Log/AppendStream"

enum {
    SENT_MAX = 2, /* messages of a stream without a reply */
    STEP_MS = 60 * 1000,
    PEM_BYTES_MAX = 1024 * 1024,
};

struct stream;

enum event_kind {
    EVENT_OPENED,
    EVENT_SENT,
    EVENT_REPLY,
    EVENT_CLOSED,
    EVENT_STATUS
};

struct event {
    struct stream *stream;
    enum event_kind kind;
};

struct stream {
    const struct append_streams_load *load;
    size_t own;
    grpc_call *call;
    struct event events[EVENT_STATUS + 1];
    size_t numbers[SENT_MAX]; /* of messages without a reply, a ring */
    size_t sent, replied;
    bool is_sending, is_half_closed;
    grpc_byte_buffer *sending, *reply;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice words;
};

/* -- The connection -- */

static struct buf read_pem(const char *path)
{
    struct buf pem = BUF_INIT(PEM_BYTES_MAX);
    struct err err;
    if (file_read(&pem, path, &err) != E_OK) {
        operation_fail(err.msg);
    }
    buf_put_u8(&pem, 0);
    return pem;
}

static grpc_channel *connect_to(const struct rpc_client_config *to)
{
    struct buf ca = read_pem(to->tls_ca_path), cert = read_pem(to->tls_cert_path),
               key = read_pem(to->tls_key_path);
    grpc_ssl_pem_key_cert_pair pair = { (const char *)key.data, (const char *)cert.data };
    grpc_channel_credentials *credentials =
        grpc_ssl_credentials_create_ex((const char *)ca.data, &pair, NULL, NULL);
    grpc_channel *channel = grpc_channel_create(to->target, credentials, NULL);
    grpc_channel_credentials_release(credentials);
    crypto_wipe(key.data, key.len);
    buf_clear(&ca);
    buf_clear(&cert);
    buf_clear(&key);
    return channel;
}

/* -- Steps -- */

static void start(struct stream *stream, const grpc_op *op, enum event_kind kind)
{
    stream->events[kind] = (struct event){ stream, kind };
    if (grpc_call_start_batch(stream->call, op, 1, &stream->events[kind], NULL) != GRPC_CALL_OK) {
        operation_fail("AppendStream: a step could not be started");
    }
}

static void send_more(struct stream *stream)
{
    struct buf message = BUF_INIT(SIZE_MAX);
    size_t number;
    if (stream->is_sending || stream->is_half_closed ||
        stream->sent - stream->replied == SENT_MAX) {
        return;
    }
    stream->is_sending = true;
    if (!stream->load->next(stream->load->ctx, &message, &number)) {
        const grpc_op op = { .op = GRPC_OP_SEND_CLOSE_FROM_CLIENT };
        stream->is_half_closed = true;
        start(stream, &op, EVENT_CLOSED);
        return;
    }
    stream->numbers[stream->sent++ % SENT_MAX] = number;
    grpc_slice slice = grpc_slice_from_copied_buffer((const char *)message.data, message.len);
    stream->sending = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    const grpc_op op = { .op = GRPC_OP_SEND_MESSAGE,
                         .data.send_message.send_message = stream->sending };
    start(stream, &op, EVENT_SENT);
    buf_clear(&message);
}

static void receive(struct stream *stream)
{
    const grpc_op op = { .op = GRPC_OP_RECV_MESSAGE,
                         .data.recv_message.recv_message = &stream->reply };
    start(stream, &op, EVENT_REPLY);
}

static void take_reply(struct stream *stream)
{
    grpc_byte_buffer_reader reader;
    if (stream->replied == stream->sent || !grpc_byte_buffer_reader_init(&reader, stream->reply)) {
        operation_fail("AppendStream: a reply to nothing");
    }
    grpc_slice slice = grpc_byte_buffer_reader_readall(&reader);
    stream->load->on_reply(stream->load->ctx, stream->own,
                           stream->numbers[stream->replied++ % SENT_MAX],
                           span_of(GRPC_SLICE_START_PTR(slice), GRPC_SLICE_LENGTH(slice)));
    grpc_slice_unref(slice);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(stream->reply);
    stream->reply = NULL;
}

static void end(struct stream *stream)
{
    if (stream->status != GRPC_STATUS_OK || stream->replied != stream->sent) {
        char words[256];
        snprintf(words, sizeof words, "AppendStream: status %d, %zu of %zu answered: %.*s",
                 (int)stream->status, stream->replied, stream->sent,
                 (int)(GRPC_SLICE_LENGTH(stream->words)),
                 (const char *)GRPC_SLICE_START_PTR(stream->words));
        operation_fail(words);
    }
}

/* True at the end of the stream. */
static bool on_event(struct stream *stream, enum event_kind kind)
{
    switch (kind) {
    case EVENT_OPENED:
    case EVENT_CLOSED:
        break;
    case EVENT_SENT:
        grpc_byte_buffer_destroy(stream->sending);
        stream->sending = NULL;
        stream->is_sending = false;
        send_more(stream);
        break;
    case EVENT_REPLY:
        if (stream->reply != NULL) { /* else it is over, as the status tells */
            take_reply(stream);
            receive(stream);
            send_more(stream);
        }
        break;
    case EVENT_STATUS:
        end(stream);
        return true;
    }
    return false;
}

static void open_stream(struct stream *stream, grpc_channel *channel, grpc_completion_queue *cq)
{
    grpc_slice method = grpc_slice_from_static_string(METHOD);
    stream->call = grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, cq, method,
                                            NULL, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_metadata_array_init(&stream->initial);
    grpc_metadata_array_init(&stream->trailing);
    const grpc_op ops[] = { { .op = GRPC_OP_SEND_INITIAL_METADATA },
                            { .op = GRPC_OP_RECV_INITIAL_METADATA,
                              .data.recv_initial_metadata.recv_initial_metadata =
                                  &stream->initial } };
    const grpc_op status = { .op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                             .data.recv_status_on_client = { .trailing_metadata = &stream->trailing,
                                                             .status = &stream->status,
                                                             .status_details = &stream->words } };
    stream->events[EVENT_OPENED] = (struct event){ stream, EVENT_OPENED };
    if (grpc_call_start_batch(stream->call, ops, 2, &stream->events[EVENT_OPENED], NULL) !=
        GRPC_CALL_OK) {
        operation_fail("AppendStream: no stream could be started");
    }
    start(stream, &status, EVENT_STATUS);
    receive(stream);
    send_more(stream);
}

/* What a stream has under way when its status is there ends at once, and is waited for with the others'. */
static void run(struct stream *streams, const struct append_streams_load *load,
                grpc_completion_queue *cq)
{
    for (size_t over = 0; over < load->stream_count;) {
        gpr_timespec until =
            gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(STEP_MS, GPR_TIMESPAN));
        grpc_event event = grpc_completion_queue_next(cq, until, NULL);
        if (event.type != GRPC_OP_COMPLETE) {
            operation_fail("AppendStream: nothing happens any more");
        }
        struct event *tag = event.tag;
        over += on_event(tag->stream, tag->kind);
    }
    for (size_t i = 0; i < load->stream_count; i++) {
        grpc_metadata_array_destroy(&streams[i].initial);
        grpc_metadata_array_destroy(&streams[i].trailing);
        grpc_slice_unref(streams[i].words);
        grpc_call_unref(streams[i].call);
    }
}

void append_streams_run(const struct append_streams_load *load)
{
    grpc_init();
    grpc_completion_queue *cq = grpc_completion_queue_create_for_next(NULL);
    grpc_channel *channel = connect_to(load->to);
    struct stream *streams = mem_calloc(load->stream_count, sizeof streams[0]);
    for (size_t i = 0; i < load->stream_count; i++) {
        streams[i].load = load;
        streams[i].own = i;
        open_stream(&streams[i], channel, cq);
    }
    run(streams, load, cq);
    grpc_channel_destroy(channel);
    grpc_completion_queue_shutdown(cq);
    while (grpc_completion_queue_next(cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN) {
    }
    grpc_completion_queue_destroy(cq);
    mem_free(streams);
    grpc_shutdown();
}
