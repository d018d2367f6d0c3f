/* http_connection.h -- one connection of the HTTP server, and what the server's files share.
 *
 * For lib/net/http_*.c only; everyone else uses http_server.h. Loop thread only.
 *
 * Normal path: bytes are read into the server's one buffer and fed to the exchange being read; a
 * complete one joins the queue and goes to the handler; answered ones at the head of the queue are
 * written together. A connection of which nothing is being read or answered holds no buffers.
 * It can end by an error or timeout (connection_cut), or after an answer that is the last
 * (start_linger: we stop sending, read over what still comes, and close when the peer does).
 */
#ifndef NET_HTTP_CONNECTION_H
#define NET_HTTP_CONNECTION_H

#include "net/http_server.h"

#include <sys/queue.h>
#include <time.h>

enum {
    HTTP_READ_BYTES = 64 * 1024,
    HTTP_DATE_MAX = 64,
    EXCHANGES_KEPT_MAX = 256, /* for reuse, over all connections */
};

enum exchange_state {
    EXCHANGE_READING,  /* the connection's `reading` */
    EXCHANGE_PENDING,  /* with the handler */
    EXCHANGE_ANSWERED, /* waits for its turn, or is being written */
};

struct http_exchange {
    TAILQ_ENTRY(http_exchange) link; /* in the connection's queue, or the server's spare list */
    struct http_server *server;
    struct http_connection *connection; /* NULL when that has gone before the answer */
    enum exchange_state state;
    struct http_request request;
    struct address peer;
    size_t reserved_bytes; /* of the server's bodies_bytes */
    void *watch_ctx;
    void (*on_peer_left)(void *ctx, struct http_exchange *exchange); /* NULL: not watched */

    /* The answer. */
    struct buf answer_head;        /* owned: status line, headers, and a copied body */
    struct buf answer_taken;       /* owned */
    struct http_body *answer_body; /* a reference, or NULL */
    struct span answer_rest;       /* the body in one of the two above; empty for HEAD */
    size_t answer_bytes; /* of the connection's queued_bytes, the server's answers_bytes */
    bool is_last;        /* the connection ends after it */
};

TAILQ_HEAD(exchange_list, http_exchange);

struct http_connection {
    LIST_ENTRY(http_connection) link; /* in the server's list */
    struct http_server *server;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    struct address peer;
    struct http_exchange *reading; /* owned; NULL between requests */
    struct exchange_list queue;    /* complete requests, oldest first: pending and answered */
    uint32_t queue_len;
    size_t queued_bytes; /* of answers in the queue */
    struct buf held;     /* bytes read while `is_blocked`, not parsed yet */

    uv_write_t write;     /* in flight when write_count > 0 */
    uint32_t write_count; /* answered exchanges at the head of the queue that it holds */
    size_t untaken_bytes; /* by the peer, at the last look */
    uv_shutdown_t shutdown;

    uint64_t read_since_ms;  /* the present request's head or body began, or the idle time */
    uint64_t write_since_ms; /* the peer last took a byte */
    uint64_t linger_since_ms;

    bool is_in_read;    /* answers wait for the end of the read to be written together */
    bool is_blocked;    /* not reading: too much unanswered or untaken */
    bool is_read_ended; /* the peer has closed its side, or we want no more requests */
    bool is_peer_done;  /* the peer has closed its side */
    bool is_lingering;  /* all is written and our side is shut down */
    bool is_closing;    /* uv_close has been called */
    bool owes_continue; /* 100 Continue, when all answers before it are written */
};

LIST_HEAD(connection_list, http_connection);

struct http_listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    struct http_server *server;
    bool is_open;
    bool is_unix;
};

struct http_server {
    uv_loop_t *loop;
    struct http_server_options options;
    struct http_request_limits limits; /* of options, for each request */
    void *ctx;
    void (*on_request)(void *ctx, struct http_exchange *exchange);
    struct http_listener listeners[HTTP_LISTENERS_MAX];
    uint32_t listener_count;
    uint32_t open_listeners; /* not closed yet */
    struct connection_list connections;
    struct exchange_list spare; /* for reuse; owned */
    uint32_t spare_count;
    uint32_t exchanges; /* in use: being read, with the handler, or being written */
    size_t bodies_bytes;
    size_t answers_bytes;
    struct http_server_stats stats;

    uv_timer_t sweep; /* runs while there are connections */
    uint64_t sweep_ms;
    time_t date_of;
    char date[HTTP_DATE_MAX];

    bool is_closing;
    bool is_finished; /* the sweep timer is closing, then all is freed */
    uint64_t cut_at_ms;
    void *closed_ctx;
    void (*on_closed)(void *ctx);

    char read_buffer[HTTP_READ_BYTES]; /* lent to one connection from alloc to read callback */
};

/* Accepts what `listener` has. On failure nothing is left behind. */
void connection_accept(struct http_listener *listener);

/* Closes at once; the handler's exchanges lose their connection. Idempotent. */
void connection_cut(struct http_connection *connection);

/* Ends it after what is in flight, at once when nothing is. */
void connection_drain(struct http_connection *connection);

/* Applies the timeouts. */
void connection_sweep(struct http_connection *connection, uint64_t now_ms);

/* Writes what is answered, goes on reading when there is room again, ends when all is done. */
void connection_advance(struct http_connection *connection);

struct http_exchange *exchange_new(struct http_server *server);
void exchange_free(struct http_exchange *exchange);    /* keeps it for reuse */
void exchange_destroy(struct http_exchange *exchange); /* one that is not in use */

/* Fills in the answer, and counts it for the server; the connection, if any, is not touched. */
void exchange_answer(struct http_exchange *exchange, const struct http_response *response);

void server_start_sweep(struct http_server *server);

/* Ends the server when it is closing and the last of its parts has gone. */
void server_finish_if_done(struct http_server *server);

/* The Date header's value. */
const char *server_date(struct http_server *server);

#endif
