/* http_server.h -- an HTTP/1.1 server on a libuv loop.
 *
 * Spec: RFC 9110, RFC 9112. TLS and HTTP/2 are for a proxy in front of it. Parsed strictly: line
 * ends are CRLF, no folded lines, one framing a request. GET, HEAD and POST bodies (plain or
 * chunked, `Expect: 100-continue`) up to a maximum; keep-alive; pipelined requests are answered in
 * order. Everything a peer can make us hold or wait for has a limit in struct http_server_options.
 *
 * Life of a request: the server reads it whole and calls on_request with an exchange; the handler
 * reads the exchange and answers it with http_respond exactly once, at once or later. Until then
 * the exchange and all spans from its accessors stay valid, even when the peer has left.
 *
 * Loop thread only. http_server_new has SIGPIPE ignored if nothing else handles it, as libuv needs.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include "base/err.h"
#include "base/span.h"
#include "net/address.h"
#include "net/http_request.h"
#include "net/http_response.h"

#include <uv.h>

struct http_server;
struct http_exchange;

struct http_server_options {
    uint32_t connections_max;  /* further ones get a 503 and are closed */
    uint32_t pipelined_max;    /* requests of a connection without an answer; then reading stops */
    uint32_t header_count_max; /* 431 above; at most HTTP_HEADERS_MAX */
    size_t header_bytes_max;   /* request line and headers; 431 above */
    size_t target_bytes_max;   /* 414 above */
    size_t body_bytes_max;     /* 413 above */
    /* Answers the peer has not taken; above that reading stops. Those then still with the handler
     * come on top: a handler with large answers takes a small pipelined_max. */
    size_t queued_bytes_max;
    uint32_t header_timeout_ms; /* first byte of a request to its last header; then 408 */
    uint32_t body_timeout_ms;   /* last header to the end of the body; then 408 */
    uint32_t idle_timeout_ms;   /* between requests */
    uint32_t write_timeout_ms;  /* without a byte taken by the peer */
    size_t bodies_bytes_max;    /* request bodies of all connections together; 503 above */
    /* Answers that the peers of all connections have not taken; one that does not fit becomes a 503.
     * Small ones still fit when large ones do not. A shared body counts for each of its answers. */
    size_t answers_bytes_max;
};

/* The values of limits.h; body_bytes_max is 0: only requests without a body. */
struct http_server_options http_server_options_default(void);

/* The handler runs on the loop thread. `ctx` is borrowed until on_closed. The options are copied. */
struct http_server *http_server_new(uv_loop_t *loop, const struct http_server_options *options,
                                    void *ctx,
                                    void (*on_request)(void *ctx, struct http_exchange *exchange));

/* Starts to accept; may be called for several addresses (HTTP_LISTENERS_MAX). *bound is the address
 * with the port that the kernel chose. A Unix socket file nobody listens on is replaced. E_IO. */
MUST_USE enum err_code http_server_listen(struct http_server *server, const struct address *address,
                                          struct address *bound, struct err *err);

/* Stops accepting, closes idle connections, lets exchanges in flight be answered and sent, cuts
 * connections that are left after grace_ms. on_closed is called from the loop, never from here, once
 * all is closed and every exchange has been answered; the server is freed then. Once only. */
void http_server_close(struct http_server *server, uint32_t grace_ms, void *ctx,
                       void (*on_closed)(void *ctx));

/* Counters since the start, for metrics. */
struct http_server_stats {
    uint64_t requests;          /* given to the handler */
    uint64_t rejected_requests; /* answered by the server itself: malformed, too large, too slow, or
                                   no room for the answer */
    uint64_t accepted_connections;
    uint64_t refused_connections; /* over connections_max */
    uint64_t timeouts;            /* connections closed by one of the four timeouts */
    uint64_t sent_bytes;
    uint32_t open_connections; /* now */
};
struct http_server_stats http_server_stats(const struct http_server *server);

/* What was asked. */
enum http_method http_exchange_method(const struct http_exchange *exchange);
/* As sent: nothing is decoded. Starts with '/' (or is "*", for OPTIONS). Peer's bytes. */
struct span http_exchange_path(const struct http_exchange *exchange);
struct span http_exchange_query(const struct http_exchange *exchange); /* after '?'; may be empty */
/* First header of that name (any case), without blanks around it; false when there is none. */
bool http_exchange_header(const struct http_exchange *exchange, const char *name,
                          struct span *value);
struct span http_exchange_body(const struct http_exchange *exchange);
const struct address *http_exchange_peer(const struct http_exchange *exchange);

/* Has on_peer_left called, at most once, when the peer closes (or half-closes) the connection
 * before the answer: nobody may be waiting for it any more. The exchange still needs its
 * http_respond, which may be called from on_peer_left. Not called after http_respond;
 * not noticed while reading is stopped because the peer has not taken older answers. */
void http_exchange_watch_peer(struct http_exchange *exchange, void *ctx,
                              void (*on_peer_left)(void *ctx, struct http_exchange *exchange));

/* For a handler that looks now and then instead. */
bool http_exchange_has_peer_left(const struct http_exchange *exchange);

/* Answers, and ends the exchange's life: it must not be used after. HEAD is taken care of: answer as
 * for GET. */
void http_respond(struct http_exchange *exchange, const struct http_response *response);

/* Answers with the code's HTTP status and its fixed words as text/plain. */
void http_respond_error(struct http_exchange *exchange, enum err_code code);

/* 405; `allow` is the list of methods, such as "GET, HEAD". */
void http_respond_not_allowed(struct http_exchange *exchange, const char *allow);

#endif
