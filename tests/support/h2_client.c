#include "tests/support/h2_client.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
    FIELDS_MAX = 80,
    BYTES_MAX = 64 * 1024 * 1024
};

static struct h2_stream *stream_of(struct h2_client *client, int32_t id)
{
    for (size_t i = 0; i < client->count; i++) {
        if (client->streams[i].id == id) {
            return &client->streams[i];
        }
    }
    return NULL;
}

static ssize_t on_body_wanted(nghttp2_session *http2, int32_t id, uint8_t *out, size_t room,
                              uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    (void)http2, (void)id, (void)ctx;
    struct h2_stream *stream = source->ptr;
    size_t len = stream->rest.len < room ? stream->rest.len : room;
    if (len == 0 && stream->is_endless) {
        return NGHTTP2_ERR_DEFERRED;
    }
    if (len > 0) {
        memcpy(out, stream->rest.data, len);
    }
    stream->rest = span_slice(stream->rest, len, stream->rest.len - len);
    if (stream->rest.len == 0 && !stream->is_endless) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)len;
}

static int on_header(nghttp2_session *http2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *ctx)
{
    (void)http2, (void)flags;
    struct h2_stream *stream = stream_of(ctx, frame->hd.stream_id);
    assert_non_null(stream);
    if (span_is_str(span_of(name, name_len), ":status")) {
        assert_int_equal(value_len, 3);
        stream->status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0');
    }
    buf_put(&stream->headers, span_of(name, name_len));
    buf_put_str(&stream->headers, ": ");
    buf_put(&stream->headers, span_of(value, value_len));
    buf_put_str(&stream->headers, "\n");
    return 0;
}

static int on_data(nghttp2_session *http2, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t len, void *ctx)
{
    (void)http2, (void)flags;
    struct h2_stream *stream = stream_of(ctx, id);
    assert_non_null(stream);
    buf_put(&stream->body, span_of(data, len));
    return 0;
}

static int on_frame(nghttp2_session *http2, const nghttp2_frame *frame, void *ctx)
{
    (void)http2;
    struct h2_client *client = ctx;
    struct h2_stream *stream = stream_of(client, frame->hd.stream_id);
    bool is_part = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (stream != NULL && is_part && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        stream->is_ended = true;
    } else if (frame->hd.type == NGHTTP2_GOAWAY) {
        client->has_goaway = true;
    } else if (frame->hd.type == NGHTTP2_PING) {
        bool is_ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
        client->pongs += is_ack;
        client->pings += !is_ack;
    }
    return 0;
}

static int on_closed(nghttp2_session *http2, int32_t id, uint32_t error_code, void *ctx)
{
    (void)http2;
    struct h2_stream *stream = stream_of(ctx, id);
    if (stream != NULL) {
        stream->is_closed = true;
        stream->error_code = error_code;
    }
    return 0;
}

void h2_client_init(struct h2_client *client, bool is_slow)
{
    *client = (struct h2_client){ .is_slow = is_slow };
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    assert_int_equal(nghttp2_option_new(&option), 0);
    nghttp2_option_set_no_auto_window_update(option, is_slow);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_closed);
    assert_int_equal(nghttp2_session_client_new2(&client->http2, callbacks, client, option), 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    assert_int_equal(nghttp2_submit_settings(client->http2, NGHTTP2_FLAG_NONE, NULL, 0), 0);
}

void h2_client_clear(struct h2_client *client)
{
    nghttp2_session_del(client->http2);
    for (size_t i = 0; i < client->count; i++) {
        buf_clear(&client->streams[i].headers);
        buf_clear(&client->streams[i].body);
    }
}

static nghttp2_nv field(const char *name, const char *value)
{
    return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name,
                         .value = (uint8_t *)(uintptr_t)value,
                         .namelen = strlen(name),
                         .valuelen = strlen(value) };
}

static struct h2_stream *submit(struct h2_client *client, const nghttp2_nv *fields, size_t count,
                                struct span body, bool is_endless)
{
    assert_true(client->count < H2_STREAMS_MAX);
    struct h2_stream *stream = &client->streams[client->count++];
    *stream = (struct h2_stream){ .rest = body, .is_endless = is_endless };
    buf_init(&stream->headers, BYTES_MAX);
    buf_init(&stream->body, BYTES_MAX);
    nghttp2_data_provider provider = { .source.ptr = stream, .read_callback = on_body_wanted };
    bool has_body = body.len > 0 || is_endless;
    stream->id = nghttp2_submit_request(client->http2, NULL, fields, count,
                                        has_body ? &provider : NULL, NULL);
    assert_true(stream->id > 0);
    return stream;
}

struct h2_stream *h2_request(struct h2_client *client, const char *method, const char *path,
                             struct span body, const struct h2_header *headers)
{
    nghttp2_nv fields[FIELDS_MAX] = { field(":method", method), field(":scheme", "https"),
                                      field(":authority", "bastion.example"),
                                      field(":path", path) };
    size_t count = 4;
    for (; headers != NULL && headers->name != NULL; headers++) {
        assert_true(count < FIELDS_MAX);
        fields[count++] = field(headers->name, headers->value);
    }
    return submit(client, fields, count, body, false);
}

struct h2_stream *h2_request_endless(struct h2_client *client, const char *path, struct span body)
{
    const nghttp2_nv fields[] = { field(":method", "POST"), field(":scheme", "https"),
                                  field(":authority", "bastion.example"), field(":path", path) };
    return submit(client, fields, 4, body, true);
}

void h2_client_take(struct h2_client *client, struct buf *out)
{
    const uint8_t *data = NULL;
    ssize_t len = 0;
    while ((len = nghttp2_session_mem_send(client->http2, &data)) > 0) {
        buf_put(out, span_of(data, (size_t)len));
    }
    assert_int_equal(len, 0);
}

bool h2_client_feed(struct h2_client *client, struct span bytes)
{
    return nghttp2_session_mem_recv(client->http2, bytes.data, bytes.len) >= 0;
}

bool h2_has_header(const struct h2_stream *stream, const char *line)
{
    return span_find(buf_span(&stream->headers), span_of_str(line)) != SIZE_MAX;
}
