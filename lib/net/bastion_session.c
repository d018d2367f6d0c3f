/* Requests come in as callbacks of nghttp2, which has checked RFC 9113's rules on them. An exchange
 * exists as long as its stream is open or the handler has it.
 *
 * What a peer can make us hold: streams_max exchanges with a body each and what the handler has; the
 * answers to them, for as long as it takes bytes of them; control frames, which nghttp2 counts.
 */
#include "net/bastion_session.h"

#include "base/alloc.h"
#include "base/limits.h"

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <sys/queue.h>
#include <time.h>

enum {
    RECEIVE_TIMEOUT_MS = 30 * 1000, /* from the first header to the end of the body */
    CLIENT_BYTES_MAX = 128,         /* of an X-Forwarded-For; what is longer is no address */
    PING_AFTER_MS = 30 * 1000,      /* without a byte from the peer */
    SILENT_MS = 60 * 1000,
    FRAMES_QUEUED_MAX =
        256, /* of ours in answer to PING and SETTINGS, which the peer does not read */
    HEADERS_OUT_MAX = 64,
    HEADER_TEXT_MAX = 16 * 1024, /* of our own headers: a bug's limit */
    DATE_CHARS = 32,
};

enum exchange_state {
    EXCHANGE_RECEIVING,
    EXCHANGE_HELD, /* by the handler */
    EXCHANGE_ANSWERED
};

struct bastion_exchange {
    struct bastion_service *service;
    struct bastion_session *session;    /* NULL: the stream is gone */
    TAILQ_ENTRY(bastion_exchange) link; /* in the session's list */
    int32_t stream_id;
    enum exchange_state state;
    uint64_t progress_ms; /* began to receive; answered, or a byte of the answer went out */

    int refusal; /* a status to answer with instead of asking the handler, or 0 */
    enum http_method method;
    size_t header_bytes;
    struct buf path, client, body; /* owned */

    struct buf answer;        /* owned */
    struct http_body *shared; /* a reference of our own, instead of `answer` */
    size_t sent_bytes;
};

TAILQ_HEAD(exchange_list, bastion_exchange);

struct bastion_session {
    struct bastion_service *service;
    nghttp2_session *http2;
    struct exchange_list exchanges;
    uint64_t now_ms, heard_ms;
    bool is_open;
    bool is_inside; /* a call of nghttp2: it must not be asked for output */
    bool is_asked;  /* a ping is out */
    void *ctx;
    void (*on_output)(void *ctx);
};

/* ---- exchanges ---- */

static struct bastion_exchange *exchange_new(struct bastion_session *session, int32_t stream_id)
{
    struct bastion_exchange *exchange = NEW(struct bastion_exchange);
    exchange->service = session->service;
    exchange->session = session;
    exchange->stream_id = stream_id;
    exchange->progress_ms = session->now_ms;
    exchange->method = HTTP_METHOD_OTHER;
    buf_init(&exchange->path, HTTP_TARGET_BYTES_MAX);
    buf_init(&exchange->client, CLIENT_BYTES_MAX);
    buf_init(&exchange->body, session->service->body_bytes_max);
    TAILQ_INSERT_TAIL(&session->exchanges, exchange, link);
    return exchange;
}

static void exchange_free(struct bastion_exchange *exchange)
{
    buf_clear(&exchange->path);
    buf_clear(&exchange->client);
    buf_clear(&exchange->body);
    buf_clear(&exchange->answer);
    http_body_release(exchange->shared);
    mem_free(exchange);
}

/* Its stream is gone. The handler may still have it. */
static void exchange_leave(struct bastion_exchange *exchange)
{
    TAILQ_REMOVE(&exchange->session->exchanges, exchange, link);
    exchange->session = NULL;
    if (exchange->state != EXCHANGE_HELD) {
        exchange_free(exchange);
    }
}

enum http_method bastion_exchange_method(const struct bastion_exchange *exchange)
{
    return exchange->method;
}

struct span bastion_exchange_path(const struct bastion_exchange *exchange)
{
    struct span rest = buf_span(&exchange->path), path;
    return span_take_until(&rest, '?', &path) ? path : buf_span(&exchange->path);
}

struct span bastion_exchange_body(const struct bastion_exchange *exchange)
{
    return buf_span(&exchange->body);
}

struct span bastion_exchange_client(const struct bastion_exchange *exchange)
{
    return buf_span(&exchange->client);
}

/* ---- answering ---- */

static struct span answer_span(const struct bastion_exchange *exchange)
{
    return exchange->shared != NULL ? http_body_span(exchange->shared)
                                    : buf_span(&exchange->answer);
}

/* nghttp2 asks for the next piece of a body, as far as the peer's windows let it. */
static ssize_t on_body_wanted(nghttp2_session *http2, int32_t stream_id, uint8_t *out, size_t room,
                              uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    (void)http2, (void)stream_id;
    struct bastion_session *session = ctx;
    struct bastion_exchange *exchange = source->ptr;
    struct span body = answer_span(exchange);
    size_t rest = body.len - exchange->sent_bytes;
    size_t len = rest < room ? rest : room;
    if (len > 0) {
        memcpy(out, body.data + exchange->sent_bytes, len);
    }
    exchange->sent_bytes += len;
    exchange->progress_ms = session->now_ms;
    if (len == rest) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)len;
}

/* The headers of one answer; names and values stay where they are until they are submitted. */
struct headers_out {
    nghttp2_nv fields[HEADERS_OUT_MAX];
    size_t count;
    struct arena text;
};

static void put_header(struct headers_out *headers, const char *name, const char *value)
{
    assert(headers->count < HEADERS_OUT_MAX);
    assert(strpbrk(value, "\r\n") == NULL);
    size_t name_len = strlen(name), value_len = strlen(value);
    char *text = arena_alloc(&headers->text, name_len + value_len + 1);
    assert(text != NULL);
    for (size_t i = 0; i < name_len; i++) { /* RFC 9113 8.2.1: in lower case */
        text[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + ('a' - 'A') : name[i]);
    }
    memcpy(text + name_len, value, value_len + 1);
    headers->fields[headers->count++] = (nghttp2_nv){ .name = (uint8_t *)text,
                                                      .value = (uint8_t *)text + name_len,
                                                      .namelen = name_len,
                                                      .valuelen = value_len };
}

static void put_number(struct headers_out *headers, const char *name, size_t value)
{
    char text[DATE_CHARS];
    snprintf(text, sizeof text, "%zu", value);
    put_header(headers, name, text);
}

/* RFC 9110 6.6.1: a server with a clock says when. */
static void put_date(struct headers_out *headers)
{
    char text[DATE_CHARS];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm); /* in the C locale */
    put_header(headers, "date", text);
}

static void submit(struct bastion_exchange *exchange, const struct http_response *response)
{
    struct headers_out headers = { .count = 0 };
    arena_init(&headers.text, HEADER_TEXT_MAX);
    bool may_have_body = response->status != 204 && response->status != 304;
    assert(response->status >= 200 && response->status <= 599);
    put_number(&headers, ":status", (size_t)response->status);
    put_date(&headers);
    if (response->content_type != NULL) {
        put_header(&headers, "content-type", response->content_type);
    }
    if (may_have_body) {
        put_number(&headers, "content-length", answer_span(exchange).len);
    }
    if (response->cache_control != NULL && response->status < 400) {
        put_header(&headers, "cache-control", response->cache_control);
    }
    for (size_t i = 0; i < response->header_count; i++) {
        put_header(&headers, response->headers[i].name, response->headers[i].value);
    }
    nghttp2_data_provider body = { .source.ptr = exchange, .read_callback = on_body_wanted };
    bool has_body =
        may_have_body && exchange->method != HTTP_METHOD_HEAD && answer_span(exchange).len > 0;
    int rc = nghttp2_submit_response(exchange->session->http2, exchange->stream_id, headers.fields,
                                     headers.count, has_body ? &body : NULL);
    /* The session refuses when it is about to end; its streams are closed then. */
    assert(rc != NGHTTP2_ERR_INVALID_ARGUMENT && rc != NGHTTP2_ERR_DATA_EXIST);
    arena_clear(&headers.text);
}

/* Takes what the response lends, and sends it if there is still somebody to send it to. */
static void answer(struct bastion_exchange *exchange, const struct http_response *response)
{
    buf_init(&exchange->answer, SIZE_MAX);
    if (response->taken != NULL) {
        buf_take(&exchange->answer, response->taken);
    } else if (response->shared != NULL) {
        exchange->shared = http_body_hold(response->shared);
    } else {
        buf_put(&exchange->answer, response->text);
    }
    exchange->state = EXCHANGE_ANSWERED;
    struct bastion_session *session = exchange->session;
    if (session == NULL) {
        exchange_free(exchange);
        return;
    }
    buf_clear(&exchange->body);
    exchange->progress_ms = session->now_ms;
    submit(exchange, response);
}

void bastion_respond(struct bastion_exchange *exchange, const struct http_response *response)
{
    assert(exchange->state == EXCHANGE_HELD);
    struct bastion_service *service = exchange->service;
    struct bastion_session *session = exchange->session;
    answer(exchange, response);
    service->held_count--;
    if (session != NULL && !session->is_inside) {
        session->on_output(session->ctx);
    }
    service->on_answered(service->owner);
}

/* Without asking the handler. */
static void refuse(struct bastion_exchange *exchange, int status)
{
    const struct http_response response = { .status = status,
                                            .content_type = "text/plain; charset=utf-8",
                                            .text = span_of_str(http_status_text(status)) };
    answer(exchange, &response);
}

/* ---- requests ---- */

static enum http_method method_of(struct span name)
{
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = {
        { "GET", HTTP_METHOD_GET },
        { "HEAD", HTTP_METHOD_HEAD },
        { "POST", HTTP_METHOD_POST },
        { "OPTIONS", HTTP_METHOD_OPTIONS },
    };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (span_is_str(name, methods[i].name)) {
            return methods[i].method;
        }
    }
    return HTTP_METHOD_OTHER;
}

static bool is_path(struct span text)
{
    bool is_printable = text.len > 0 && text.data[0] == '/';
    for (size_t i = 0; i < text.len; i++) {
        is_printable = is_printable && text.data[i] > ' ' && text.data[i] < 0x7f;
    }
    return is_printable;
}

static void take_path(struct bastion_exchange *exchange, struct span path)
{
    struct err err;
    if (!is_path(path)) {
        exchange->refusal = 400;
    } else if (buf_append(&exchange->path, path, &err) != E_OK) {
        exchange->refusal = 414;
    }
}

/* The last element of the last such header: those before it are anybody's words. */
static void take_client(struct bastion_exchange *exchange, struct span value)
{
    size_t comma = span_find_last(value, span_of_str(","));
    if (comma != SIZE_MAX) {
        value = span_slice(value, comma + 1, value.len - comma - 1);
    }
    while (value.len > 0 && value.data[0] == ' ') {
        value = span_slice(value, 1, value.len - 1);
    }
    struct err err;
    buf_reset(&exchange->client);
    if (buf_append(&exchange->client, value, &err) != E_OK) {
        buf_reset(&exchange->client);
    }
}

static struct bastion_exchange *exchange_of(nghttp2_session *http2, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(http2, stream_id);
}

static int on_begin_headers(nghttp2_session *http2, const nghttp2_frame *frame, void *ctx)
{
    struct bastion_session *session = ctx;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        struct bastion_exchange *exchange = exchange_new(session, frame->hd.stream_id);
        nghttp2_session_set_stream_user_data(http2, frame->hd.stream_id, exchange);
    }
    return 0;
}

static int on_header(nghttp2_session *http2, const nghttp2_frame *frame, const uint8_t *name_data,
                     size_t name_len, const uint8_t *value_data, size_t value_len, uint8_t flags,
                     void *ctx)
{
    (void)flags, (void)ctx;
    struct bastion_exchange *exchange = exchange_of(http2, frame->hd.stream_id);
    if (exchange == NULL || exchange->state != EXCHANGE_RECEIVING) {
        return 0;
    }
    struct span name = span_of(name_data, name_len), value = span_of(value_data, value_len);
    size_t bytes = name_len + value_len;
    if (bytes > HTTP_HEADER_BYTES_MAX - exchange->header_bytes) {
        exchange->refusal = 431;
        return 0;
    }
    exchange->header_bytes += bytes;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0; /* trailers count, and say nothing */
    }
    if (span_is_str(name, ":method")) {
        exchange->method = method_of(value);
    } else if (span_is_str(name, ":path")) {
        take_path(exchange, value);
    } else if (span_is_str(name, "x-forwarded-for")) {
        take_client(exchange, value);
    }
    return 0;
}

static int on_body(nghttp2_session *http2, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t len, void *ctx)
{
    (void)flags, (void)ctx;
    struct bastion_exchange *exchange = exchange_of(http2, stream_id);
    struct err err;
    if (exchange != NULL && exchange->state == EXCHANGE_RECEIVING &&
        buf_append(&exchange->body, span_of(data, len), &err) != E_OK) {
        refuse(exchange, 413);
    }
    return 0;
}

/* A whole request. */
static void hand_over(struct bastion_exchange *exchange)
{
    struct bastion_service *service = exchange->service;
    if (exchange->path.len == 0) {
        refuse(exchange, 400); /* a CONNECT has none */
    } else if (service->is_closed || service->held_count >= service->streams_max) {
        refuse(exchange, 503);
    } else {
        exchange->state = EXCHANGE_HELD;
        service->held_count++;
        service->on_request(service->ctx, exchange);
    }
}

static int on_frame(nghttp2_session *http2, const nghttp2_frame *frame, void *ctx)
{
    struct bastion_session *session = ctx;
    session->is_open = true;
    bool is_request_part = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    struct bastion_exchange *exchange =
        is_request_part ? exchange_of(http2, frame->hd.stream_id) : NULL;
    if (exchange == NULL || exchange->state != EXCHANGE_RECEIVING) {
        return 0;
    }
    if (exchange->refusal != 0) {
        refuse(exchange, exchange->refusal);
    } else if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
        hand_over(exchange);
    }
    return 0;
}

/* An answer that is out before its request was all in: RFC 9113 8.1 has us say that the rest is not
 * wanted. */
static int on_frame_sent(nghttp2_session *http2, const nghttp2_frame *frame, void *ctx)
{
    (void)ctx;
    int32_t stream_id = frame->hd.stream_id;
    bool is_end = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
                  (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (is_end && nghttp2_session_get_stream_remote_close(http2, stream_id) == 0) {
        return nghttp2_submit_rst_stream(http2, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
}

static int on_stream_closed(nghttp2_session *http2, int32_t stream_id, uint32_t error_code,
                            void *ctx)
{
    (void)error_code, (void)ctx;
    struct bastion_exchange *exchange = exchange_of(http2, stream_id);
    if (exchange != NULL) {
        nghttp2_session_set_stream_user_data(http2, stream_id, NULL);
        exchange_leave(exchange);
    }
    return 0;
}

/* ---- the session ---- */

static nghttp2_session *http2_new(struct bastion_session *session)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    nghttp2_session *http2 = NULL;
    int rc = nghttp2_session_callbacks_new(&callbacks);
    rc = rc == 0 ? nghttp2_option_new(&option) : rc;
    assert(rc == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_body);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_closed);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, FRAMES_QUEUED_MAX);
    rc = nghttp2_session_server_new2(&http2, callbacks, session, option);
    assert(rc == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return http2;
}

struct bastion_session *bastion_session_new(struct bastion_service *service, uint64_t now_ms,
                                            void *ctx, void (*on_output)(void *ctx))
{
    struct bastion_session *session = NEW(struct bastion_session);
    session->service = service;
    session->now_ms = session->heard_ms = now_ms;
    session->ctx = ctx;
    session->on_output = on_output;
    TAILQ_INIT(&session->exchanges);
    session->http2 = http2_new(session);
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, service->streams_max },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEADER_BYTES_MAX },
    };
    int rc = nghttp2_submit_settings(session->http2, NGHTTP2_FLAG_NONE, settings,
                                     sizeof settings / sizeof settings[0]);
    assert(rc == 0);
    (void)rc;
    return session;
}

void bastion_session_free(struct bastion_session *session)
{
    if (session == NULL) {
        return;
    }
    nghttp2_session_del(session->http2);
    while (!TAILQ_EMPTY(&session->exchanges)) {
        exchange_leave(TAILQ_FIRST(&session->exchanges));
    }
    mem_free(session);
}

enum err_code bastion_session_feed(struct bastion_session *session, struct span bytes,
                                   uint64_t now_ms, struct err *err)
{
    session->now_ms = session->heard_ms = now_ms;
    session->is_asked = false;
    session->is_inside = true;
    ssize_t taken = nghttp2_session_mem_recv(session->http2, bytes.data, bytes.len);
    session->is_inside = false;
    if (taken < 0) {
        return err_set(err, taken == NGHTTP2_ERR_FLOODED ? E_BUSY : E_MALFORMED, "HTTP/2: %s",
                       nghttp2_strerror((int)taken));
    }
    return E_OK;
}

enum err_code bastion_session_take(struct bastion_session *session, struct span *out,
                                   struct err *err)
{
    const uint8_t *data = NULL;
    session->is_inside = true;
    ssize_t len = nghttp2_session_mem_send(session->http2, &data);
    session->is_inside = false;
    if (len < 0) {
        return err_set(err, E_IO, "HTTP/2: %s", nghttp2_strerror((int)len));
    }
    *out = span_of(data, (size_t)len);
    return E_OK;
}

static void end_slow_exchanges(struct bastion_session *session)
{
    struct bastion_exchange *exchange, *next;
    for (exchange = TAILQ_FIRST(&session->exchanges); exchange != NULL; exchange = next) {
        next = TAILQ_NEXT(exchange, link);
        uint64_t idle_ms = session->now_ms - exchange->progress_ms;
        if (exchange->state == EXCHANGE_RECEIVING && idle_ms >= RECEIVE_TIMEOUT_MS) {
            refuse(exchange, 408);
        } else if (exchange->state == EXCHANGE_ANSWERED && idle_ms >= HTTP_WRITE_TIMEOUT_MS) {
            exchange->progress_ms = session->now_ms; /* once is enough */
            (void)nghttp2_submit_rst_stream(session->http2, NGHTTP2_FLAG_NONE, exchange->stream_id,
                                            NGHTTP2_CANCEL);
        }
    }
}

enum err_code bastion_session_tick(struct bastion_session *session, uint64_t now_ms,
                                   struct err *err)
{
    session->now_ms = now_ms;
    session->is_inside = true;
    end_slow_exchanges(session);
    session->is_inside = false;
    uint64_t silent_ms = now_ms - session->heard_ms;
    if (silent_ms >= SILENT_MS) {
        return err_set(err, E_TIMEOUT, "the bastion is silent");
    }
    if (silent_ms >= PING_AFTER_MS && !session->is_asked) {
        session->is_asked = true;
        (void)nghttp2_submit_ping(session->http2, NGHTTP2_FLAG_NONE, NULL);
    }
    return E_OK;
}

bool bastion_session_is_open(const struct bastion_session *session)
{
    return session->is_open;
}

bool bastion_session_is_over(const struct bastion_session *session)
{
    return nghttp2_session_want_read(session->http2) == 0 &&
           nghttp2_session_want_write(session->http2) == 0;
}
