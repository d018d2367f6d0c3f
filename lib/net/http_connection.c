#include "net/http_connection.h"

#include "base/alloc.h"

#include <assert.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <sys/ioctl.h>

enum {
    GATHER_MAX = 32 /* answers in one write */
};

static uint64_t now_of(const struct http_connection *connection)
{
    return uv_now(connection->server->loop);
}

/* --- Ending --- */

static void on_closed(uv_handle_t *handle)
{
    struct http_connection *connection = handle->data;
    struct http_server *server = connection->server;
    if (connection->reading != NULL) {
        exchange_free(connection->reading);
        connection->reading = NULL;
    }
    struct http_exchange *exchange;
    while ((exchange = TAILQ_FIRST(&connection->queue)) != NULL) {
        TAILQ_REMOVE(&connection->queue, exchange, link);
        connection->queue_len--;
        if (exchange->state == EXCHANGE_ANSWERED) {
            exchange_free(exchange);
            continue;
        }
        exchange->connection = NULL;
        void (*on_peer_left)(void *, struct http_exchange *) = exchange->on_peer_left;
        exchange->on_peer_left = NULL;
        if (on_peer_left != NULL) {
            on_peer_left(exchange->watch_ctx, exchange); /* may answer this one and others */
        }
    }
    LIST_REMOVE(connection, link);
    buf_clear(&connection->held);
    mem_free(connection);
    server->stats.open_connections--;
    if (server->stats.open_connections == 0) {
        uv_timer_stop(&server->sweep);
    }
    server_finish_if_done(server);
}

void connection_cut(struct http_connection *connection)
{
    if (!connection->is_closing) {
        connection->is_closing = true;
        uv_close(&connection->handle, on_closed);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct http_connection *connection = handle->data;
    *buf = uv_buf_init(connection->server->read_buffer, HTTP_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf);

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    (void)shutdown; /* part of the connection; the peer's EOF or the sweep ends that */
    (void)status;
}

/* All is written. Closing with bytes unread would reset the connection, and the peer could lose our
 * answer: so say that we are done, and read over the rest until the peer is done too. */
static void start_linger(struct http_connection *connection)
{
    if (connection->is_peer_done) {
        connection_cut(connection);
        return;
    }
    connection->is_lingering = true;
    connection->linger_since_ms = now_of(connection);
    buf_clear(&connection->held);
    if (uv_shutdown(&connection->shutdown, &connection->stream, on_shutdown) != 0) {
        connection_cut(connection);
        return;
    }
    if (connection->is_blocked) {
        connection->is_blocked = false;
        if (uv_read_start(&connection->stream, on_alloc, on_read) != 0) {
            connection_cut(connection);
        }
    }
}

/* --- Writing --- */

/* Takes the first `count` answers from the queue. */
static void release_answers(struct http_connection *connection, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct http_exchange *exchange = TAILQ_FIRST(&connection->queue);
        TAILQ_REMOVE(&connection->queue, exchange, link);
        connection->queue_len--;
        connection->queued_bytes -= exchange->answer_bytes;
        exchange_free(exchange);
    }
    if (connection->reading == NULL) {
        connection->read_since_ms = now_of(connection); /* idle from now on */
    }
}

static uv_buf_t uv_buf_of(struct span span)
{
    union {
        const uint8_t *from;
        char *to; /* libuv does not write to it */
    } data = { .from = span.data };
    return uv_buf_init(data.to, (unsigned)span.len);
}

/* Collects the answered exchanges at the head of the queue; returns how many. */
static uint32_t gather(struct http_connection *connection, uv_buf_t *bufs, unsigned *buf_count,
                       size_t *byte_count)
{
    uint32_t count = 0;
    struct http_exchange *exchange;
    *buf_count = 0;
    *byte_count = 0;
    TAILQ_FOREACH(exchange, &connection->queue, link)
    {
        if (exchange->state != EXCHANGE_ANSWERED || count == GATHER_MAX) {
            break;
        }
        bufs[(*buf_count)++] = uv_buf_of(buf_span(&exchange->answer_head));
        if (exchange->answer_rest.len > 0) {
            bufs[(*buf_count)++] = uv_buf_of(exchange->answer_rest);
        }
        *byte_count += exchange->answer_bytes;
        count++;
    }
    return count;
}

static void on_written(uv_write_t *write, int status)
{
    struct http_connection *connection = write->data;
    uint32_t count = connection->write_count;
    connection->write_count = 0;
    if (connection->is_closing) {
        return; /* on_closed frees the queue */
    }
    if (status != 0) {
        connection_cut(connection);
        return;
    }
    release_answers(connection, count);
    connection_advance(connection);
}

/* What the peer has yet to acknowledge, here and in the kernel, whose buffers of megabytes would
 * make a slow reader look like one that does not read. */
static size_t untaken_bytes(const struct http_connection *connection)
{
    uv_os_fd_t fd;
    int in_kernel = 0;
    if (uv_fileno(&connection->handle, &fd) != 0 || ioctl(fd, SIOCOUTQ, &in_kernel) != 0) {
        in_kernel = 0;
    }
    return uv_stream_get_write_queue_size(&connection->stream) + (size_t)in_kernel;
}

/* What the kernel did not take at once is left to the loop. */
static void write_rest(struct http_connection *connection, uv_buf_t *bufs, unsigned buf_count,
                       size_t skip, uint32_t exchange_count)
{
    unsigned first = 0;
    while (skip >= bufs[first].len) {
        skip -= bufs[first].len;
        first++;
    }
    bufs[first].base += skip;
    bufs[first].len -= skip;
    connection->write_count = exchange_count;
    connection->write.data = connection;
    if (uv_write(&connection->write, &connection->stream, bufs + first, buf_count - first,
                 on_written) != 0) {
        connection->write_count = 0;
        connection_cut(connection);
        return;
    }
    connection->write_since_ms = now_of(connection);
    connection->untaken_bytes = untaken_bytes(connection);
}

static void flush(struct http_connection *connection)
{
    while (!connection->is_closing && connection->write_count == 0) {
        uv_buf_t bufs[2 * GATHER_MAX];
        unsigned buf_count;
        size_t byte_count;
        uint32_t count = gather(connection, bufs, &buf_count, &byte_count);
        if (count == 0) {
            return;
        }
        int sent = uv_try_write(&connection->stream, bufs, buf_count);
        if (sent < 0 && sent != UV_EAGAIN) {
            connection_cut(connection);
            return;
        }
        size_t sent_bytes = sent > 0 ? (size_t)sent : 0;
        connection->server->stats.sent_bytes += byte_count;
        if (sent_bytes == byte_count) {
            release_answers(connection, count);
        } else {
            write_rest(connection, bufs, buf_count, sent_bytes, count);
        }
    }
}

/* RFC 9110 10.1.1: the peer waits for this before it sends the body. Not before older answers. */
static void send_continue(struct http_connection *connection)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!connection->owes_continue || !TAILQ_EMPTY(&connection->queue)) {
        return;
    }
    connection->owes_continue = false;
    if (connection->reading == NULL || connection->reading->request.body.len > 0) {
        return;
    }
    uv_buf_t buf = uv_buf_of(span_of(text, sizeof text - 1));
    int sent = uv_try_write(&connection->stream, &buf, 1);
    if (sent != (int)buf.len && sent != UV_EAGAIN) { /* half of it would garble what follows */
        connection_cut(connection);
    }
}

/* --- Reading --- */

static bool is_full(const struct http_connection *connection)
{
    const struct http_server_options *options = &connection->server->options;
    return connection->queue_len >= options->pipelined_max ||
           connection->queued_bytes >= options->queued_bytes_max;
}

static void enqueue_reading(struct http_connection *connection, enum exchange_state state)
{
    struct http_exchange *exchange = connection->reading;
    connection->reading = NULL;
    exchange->state = state;
    TAILQ_INSERT_TAIL(&connection->queue, exchange, link);
    connection->queue_len++;
}

/* The server's own answer to what is being read, after which the connection ends. */
static void refuse(struct http_connection *connection, int status)
{
    struct http_exchange *exchange = connection->reading;
    char text[64];
    int len = snprintf(text, sizeof text, "%s\n", http_status_text(status));
    connection->server->stats.rejected_requests++;
    connection->is_read_ended = true;
    connection->owes_continue = false;
    enqueue_reading(connection, EXCHANGE_PENDING);
    exchange->is_last = true;
    exchange->request.method = HTTP_METHOD_OTHER; /* the line may not have been understood */
    exchange_answer(exchange, &(struct http_response){
                                  .status = status,
                                  .content_type = "text/plain; charset=utf-8",
                                  .text = span_of(text, (size_t)len),
                              });
    connection->queued_bytes += exchange->answer_bytes;
}

static void begin_body(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    struct http_exchange *exchange = connection->reading;
    size_t bytes = exchange->request.is_chunked ? server->options.body_bytes_max
                                                : (size_t)exchange->request.body_bytes;
    if (bytes > server->options.bodies_bytes_max - server->bodies_bytes) {
        refuse(connection, 503);
        return;
    }
    server->bodies_bytes += bytes;
    exchange->reserved_bytes = bytes;
    connection->read_since_ms = now_of(connection);
    connection->owes_continue = exchange->request.expects_continue;
}

static void dispatch(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    struct http_exchange *exchange = connection->reading;
    connection->owes_continue = false;
    enqueue_reading(connection, EXCHANGE_PENDING);
    if (!exchange->request.is_keep_alive || server->is_closing) {
        connection->is_read_ended = true;
    }
    server->stats.requests++;
    server->on_request(server->ctx, exchange);
}

static void begin_request(struct http_connection *connection)
{
    struct http_exchange *exchange = exchange_new(connection->server);
    exchange->connection = connection;
    exchange->peer = connection->peer;
    connection->reading = exchange;
    connection->read_since_ms = now_of(connection);
}

static void feed_request(struct http_connection *connection, struct span *in)
{
    struct http_exchange *exchange = connection->reading;
    http_request_feed(&exchange->request, in);
    switch (exchange->request.state) {
    case HTTP_REQUEST_HEAD:
        break;
    case HTTP_REQUEST_BODY:
        if (exchange->reserved_bytes == 0) {
            begin_body(connection);
        }
        break;
    case HTTP_REQUEST_COMPLETE:
        dispatch(connection);
        break;
    case HTTP_REQUEST_REFUSED:
        refuse(connection, exchange->request.refusal);
        break;
    }
}

/* Too much is unanswered or untaken: keeps what was read, and lets the peer's bytes pile up on its
 * own side. connection_advance goes on. */
static void block(struct http_connection *connection, struct span in)
{
    connection->is_blocked = true;
    buf_put(&connection->held, in);
    uv_read_stop(&connection->stream);
}

/* Within it the handler runs; its answers are written by who called, together. */
static void feed(struct http_connection *connection, struct span in)
{
    connection->is_in_read = true;
    while (in.len > 0 && !connection->is_closing) {
        if (connection->reading == NULL) {
            if (connection->is_read_ended) {
                break;
            }
            if (is_full(connection)) {
                flush(connection);
                if (is_full(connection)) {
                    block(connection, in);
                    break;
                }
                continue;
            }
            begin_request(connection);
        }
        feed_request(connection, &in);
    }
    connection->is_in_read = false;
}

/* Tells the handlers that wait that nobody may be listening; their answers are still sent. */
static void notify_pending(struct http_connection *connection)
{
    connection->is_in_read = true;
    struct http_exchange *exchange = TAILQ_FIRST(&connection->queue);
    while (exchange != NULL) {
        void (*on_peer_left)(void *, struct http_exchange *) = exchange->on_peer_left;
        if (exchange->state != EXCHANGE_PENDING || on_peer_left == NULL) {
            exchange = TAILQ_NEXT(exchange, link);
            continue;
        }
        exchange->on_peer_left = NULL;
        on_peer_left(exchange->watch_ctx, exchange);
        exchange = TAILQ_FIRST(&connection->queue); /* the handler may have answered any of them */
    }
    connection->is_in_read = false;
}

static void on_peer_done(struct http_connection *connection)
{
    uv_read_stop(&connection->stream);
    connection->is_peer_done = true;
    connection->is_read_ended = true;
    if (connection->reading != NULL) { /* it will never be complete */
        exchange_free(connection->reading);
        connection->reading = NULL;
    }
    notify_pending(connection);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct http_connection *connection = stream->data;
    if (connection->is_closing || len == 0) {
        return;
    }
    if (len < 0 && (len != UV_EOF || connection->is_lingering)) {
        connection_cut(connection);
        return;
    }
    if (len == UV_EOF) {
        on_peer_done(connection);
    } else if (!connection->is_lingering) {
        feed(connection, span_of(buf->base, (size_t)len));
    }
    connection_advance(connection);
}

/* There is room again: takes up what was held back. */
static void unblock(struct http_connection *connection)
{
    struct buf held = BUF_INIT(HTTP_READ_BYTES);
    buf_take(&held, &connection->held);
    connection->is_blocked = false;
    feed(connection, buf_span(&held));
    buf_clear(&held);
    if (!connection->is_blocked && !connection->is_closing &&
        uv_read_start(&connection->stream, on_alloc, on_read) != 0) {
        connection_cut(connection);
    }
}

void connection_advance(struct http_connection *connection)
{
    flush(connection);
    while (!connection->is_closing && connection->is_blocked && !is_full(connection)) {
        unblock(connection);
        flush(connection);
    }
    if (connection->is_closing || connection->is_lingering) {
        return;
    }
    send_continue(connection);
    if (connection->is_read_ended && connection->reading == NULL &&
        TAILQ_EMPTY(&connection->queue)) {
        start_linger(connection);
    }
}

void connection_drain(struct http_connection *connection)
{
    connection->is_read_ended = true;
    bool is_idle = connection->reading == NULL && TAILQ_EMPTY(&connection->queue);
    if (is_idle && !connection->is_in_read && !connection->is_lingering) {
        connection_cut(connection);
    }
}

/* --- Timeouts --- */

static bool has_passed(uint64_t now_ms, uint64_t since_ms, uint32_t timeout_ms)
{
    return now_ms - since_ms >= timeout_ms;
}

static void time_out(struct http_connection *connection)
{
    connection->server->stats.timeouts++;
    connection_cut(connection);
}

static bool is_write_stuck(struct http_connection *connection, uint64_t now_ms)
{
    if (connection->write_count == 0) {
        return false;
    }
    size_t left = untaken_bytes(connection);
    if (left != connection->untaken_bytes) {
        connection->untaken_bytes = left;
        connection->write_since_ms = now_ms;
    }
    return has_passed(now_ms, connection->write_since_ms,
                      connection->server->options.write_timeout_ms);
}

void connection_sweep(struct http_connection *connection, uint64_t now_ms)
{
    const struct http_server_options *options = &connection->server->options;
    if (connection->is_closing) {
        return;
    }
    if (connection->is_lingering) {
        if (has_passed(now_ms, connection->linger_since_ms, HTTP_LINGER_MS)) {
            connection_cut(connection);
        }
        return;
    }
    if (is_write_stuck(connection, now_ms)) {
        time_out(connection);
        return;
    }
    if (connection->reading != NULL) {
        bool is_body = connection->reading->request.state == HTTP_REQUEST_BODY;
        uint32_t timeout_ms = is_body ? options->body_timeout_ms : options->header_timeout_ms;
        if (has_passed(now_ms, connection->read_since_ms, timeout_ms)) {
            connection->server->stats.timeouts++;
            refuse(connection, 408);
            connection_advance(connection);
        }
        return;
    }
    if (TAILQ_EMPTY(&connection->queue) &&
        has_passed(now_ms, connection->read_since_ms, options->idle_timeout_ms)) {
        time_out(connection);
    }
}

/* --- Beginning --- */

static int init_stream(struct http_connection *connection, bool is_unix)
{
    uv_loop_t *loop = connection->server->loop;
    return is_unix ? uv_pipe_init(loop, &connection->pipe, 0) : uv_tcp_init(loop, &connection->tcp);
}

static void read_peer(struct http_connection *connection, bool is_unix)
{
    struct sockaddr_storage peer = { .ss_family = AF_UNIX };
    int len = sizeof peer;
    if (!is_unix) {
        uv_tcp_getpeername(&connection->tcp, (struct sockaddr *)&peer, &len);
        uv_tcp_nodelay(&connection->tcp, 1); /* answers are written whole */
    }
    connection->peer = address_from_sockaddr((const struct sockaddr *)&peer);
}

/* Best effort: the peer is told why if its receive window takes it. */
static void turn_away(struct http_connection *connection)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                               "Retry-After: 1\r\nConnection: close\r\n\r\n";
    uv_buf_t buf = uv_buf_of(span_of(text, sizeof text - 1));
    uv_try_write(&connection->stream, &buf, 1);
    connection->server->stats.refused_connections++;
    connection_cut(connection);
}

void connection_accept(struct http_listener *listener)
{
    struct http_server *server = listener->server;
    struct http_connection *connection = NEW(struct http_connection);
    connection->server = server;
    TAILQ_INIT(&connection->queue);
    buf_init(&connection->held, HTTP_READ_BYTES);
    int rc = init_stream(connection, listener->is_unix);
    assert(rc == 0); /* fails for bad flags only */
    connection->handle.data = connection;
    LIST_INSERT_HEAD(&server->connections, connection, link);
    bool is_over = server->stats.open_connections >= server->options.connections_max;
    server->stats.open_connections++;
    if (server->stats.open_connections == 1) {
        server_start_sweep(server);
    }
    if (uv_accept(&listener->stream, &connection->stream) != 0) {
        server->stats.refused_connections++;
        connection_cut(connection);
        return;
    }
    server->stats.accepted_connections++;
    if (is_over) {
        turn_away(connection);
        return;
    }
    read_peer(connection, listener->is_unix);
    connection->read_since_ms = now_of(connection);
    if (uv_read_start(&connection->stream, on_alloc, on_read) != 0) {
        connection_cut(connection);
    }
}
