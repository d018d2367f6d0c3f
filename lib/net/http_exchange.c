/* What a handler sees of a request, and how its answer is put together. */
#include "base/alloc.h"
#include "net/http_connection.h"

#include <assert.h>
#include <stdio.h>

enum {
    ANSWER_HEAD_BYTES_MAX = 64 * 1024, /* status line and headers: ours, so this is a bug's limit */
    ANSWER_KEPT_BYTES_MAX = 4 * 1024,  /* of a buffer, from one exchange to the next */
};

struct http_exchange *exchange_new(struct http_server *server)
{
    struct http_exchange *exchange = TAILQ_FIRST(&server->spare);
    if (exchange != NULL) {
        TAILQ_REMOVE(&server->spare, exchange, link);
        server->spare_count--;
    } else {
        exchange = NEW(struct http_exchange);
        exchange->server = server;
        http_request_init(&exchange->request, &server->limits);
        buf_init(&exchange->answer_head, SIZE_MAX);
        buf_init(&exchange->answer_taken, SIZE_MAX);
    }
    exchange->state = EXCHANGE_READING;
    server->exchanges++;
    return exchange;
}

void exchange_destroy(struct http_exchange *exchange)
{
    http_request_clear(&exchange->request);
    buf_clear(&exchange->answer_head);
    mem_free(exchange);
}

void exchange_free(struct http_exchange *exchange)
{
    struct http_server *server = exchange->server;
    server->exchanges--;
    server->bodies_bytes -= exchange->reserved_bytes;
    exchange->reserved_bytes = 0;
    server->answers_bytes -= exchange->answer_bytes;
    exchange->answer_bytes = 0;
    exchange->connection = NULL;
    exchange->on_peer_left = NULL;
    exchange->is_last = false;
    exchange->answer_rest = (struct span){ NULL, 0 };
    buf_clear(&exchange->answer_taken);
    http_body_release(exchange->answer_body);
    exchange->answer_body = NULL;
    if (server->spare_count == EXCHANGES_KEPT_MAX || server->is_closing) {
        exchange_destroy(exchange);
        server_finish_if_done(server);
        return;
    }
    if (exchange->answer_head.cap > ANSWER_KEPT_BYTES_MAX) {
        buf_clear(&exchange->answer_head);
    }
    buf_reset(&exchange->answer_head);
    http_request_reset(&exchange->request);
    TAILQ_INSERT_HEAD(&server->spare, exchange, link);
    server->spare_count++;
}

/* NULL when the header need not be sent. */
static const char *connection_header(const struct http_exchange *exchange)
{
    if (exchange->is_last) {
        return "close";
    }
    return exchange->request.is_http_1_0 ? "keep-alive" : NULL;
}

void exchange_answer(struct http_exchange *exchange, const struct http_response *response)
{
    assert((response->text.len > 0) + (response->taken != NULL) + (response->shared != NULL) <= 1);
    struct span body = response->text;
    if (response->taken != NULL) {
        exchange->answer_taken.max = response->taken->max;
        buf_take(&exchange->answer_taken, response->taken);
        body = buf_span(&exchange->answer_taken);
    } else if (response->shared != NULL) {
        exchange->answer_body = http_body_hold(response->shared);
        body = http_body_span(response->shared);
    }
    bool has_body = exchange->request.method != HTTP_METHOD_HEAD && response->status != 204 &&
                    response->status != 304;
    http_response_put_head(&exchange->answer_head, response, body.len,
                           server_date(exchange->server), connection_header(exchange));
    assert(exchange->answer_head.len <= ANSWER_HEAD_BYTES_MAX);
    if (has_body && body.data == response->text.data) {
        buf_put(&exchange->answer_head, body);
    } else if (has_body) {
        exchange->answer_rest = body;
    }
    exchange->answer_bytes = exchange->answer_head.len + exchange->answer_rest.len;
    exchange->server->answers_bytes += exchange->answer_bytes;
    exchange->state = EXCHANGE_ANSWERED;
}

/* Peers that ask and do not read must not make us hold more than so much. */
static bool has_room(const struct http_exchange *exchange, const struct http_response *response)
{
    const struct http_server *server = exchange->server;
    size_t max = server->options.answers_bytes_max;
    size_t bytes = response->text.len;
    if (exchange->request.method == HTTP_METHOD_HEAD) {
        bytes = 0;
    } else if (response->taken != NULL) {
        bytes = response->taken->len;
    } else if (response->shared != NULL) {
        bytes = http_body_span(response->shared).len;
    }
    return server->answers_bytes < max && bytes <= max - server->answers_bytes;
}

/* Instead of an answer that there is no room for. */
static void answer_crowded(struct http_exchange *exchange, const struct http_response *response)
{
    const struct http_header retry = { "Retry-After", "1" };
    if (response->taken != NULL) {
        buf_clear(response->taken);
    }
    exchange->server->stats.rejected_requests++;
    exchange_answer(exchange,
                    &(struct http_response){
                        .status = 503,
                        .content_type = "text/plain; charset=utf-8",
                        .headers = &retry,
                        .header_count = 1,
                        .text = span_of_str("too many answers wait to be read: try again\n"),
                    });
}

void http_respond(struct http_exchange *exchange, const struct http_response *response)
{
    assert(exchange->state == EXCHANGE_PENDING);
    struct http_connection *connection = exchange->connection;
    if (connection == NULL || connection->is_closing) {
        if (response->taken != NULL) {
            buf_clear(response->taken);
        }
        if (connection != NULL) {
            TAILQ_REMOVE(&connection->queue, exchange, link);
            connection->queue_len--;
        }
        exchange_free(exchange);
        return;
    }
    /* Requests behind this one were read already: they are answered before the connection ends. */
    exchange->is_last = !exchange->request.is_keep_alive ||
                        (connection->is_read_ended && connection->reading == NULL &&
                         TAILQ_NEXT(exchange, link) == NULL);
    if (has_room(exchange, response)) {
        exchange_answer(exchange, response);
    } else {
        answer_crowded(exchange, response);
    }
    connection->queued_bytes += exchange->answer_bytes;
    if (!connection->is_in_read) {
        connection_advance(connection);
    }
}

void http_respond_error(struct http_exchange *exchange, enum err_code code)
{
    char text[128];
    int len = snprintf(text, sizeof text, "%s\n", err_text(code));
    http_respond(exchange, &(struct http_response){
                               .status = err_http_status(code),
                               .content_type = "text/plain; charset=utf-8",
                               .text = span_of(text, (size_t)len),
                           });
}

void http_respond_not_allowed(struct http_exchange *exchange, const char *allow)
{
    const struct http_header header = { "Allow", allow };
    http_respond(exchange, &(struct http_response){
                               .status = 405,
                               .content_type = "text/plain; charset=utf-8",
                               .headers = &header,
                               .header_count = 1,
                               .text = span_of_str("method not allowed\n"),
                           });
}

enum http_method http_exchange_method(const struct http_exchange *exchange)
{
    return exchange->request.method;
}

struct span http_exchange_path(const struct http_exchange *exchange)
{
    return exchange->request.path;
}

struct span http_exchange_query(const struct http_exchange *exchange)
{
    return exchange->request.query;
}

bool http_exchange_header(const struct http_exchange *exchange, const char *name,
                          struct span *value)
{
    return http_request_header(&exchange->request, name, value);
}

struct span http_exchange_body(const struct http_exchange *exchange)
{
    return buf_span(&exchange->request.body);
}

const struct address *http_exchange_peer(const struct http_exchange *exchange)
{
    return &exchange->peer;
}

void http_exchange_watch_peer(struct http_exchange *exchange, void *ctx,
                              void (*on_peer_left)(void *ctx, struct http_exchange *exchange))
{
    assert(exchange->state == EXCHANGE_PENDING);
    exchange->watch_ctx = ctx;
    exchange->on_peer_left = on_peer_left;
}

bool http_exchange_has_peer_left(const struct http_exchange *exchange)
{
    const struct http_connection *connection = exchange->connection;
    return connection == NULL || connection->is_closing || connection->is_peer_done;
}
