/* rpc_client.h -- a gRPC channel to one server: blocking calls, incoming streams, and many unary
 * calls in flight.
 *
 * A client and all that comes from it belong to one thread at a time; threads that want to call in
 * parallel open a client each. gRPC statuses become struct err: the code of E_CODES that has the
 * status, and the server's words as the message.
 */
#ifndef NET_RPC_CLIENT_H
#define NET_RPC_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct rpc_client;

/* Borrowed for the call of rpc_client_open only. */
struct rpc_client_config {
    const char *target; /* "HOST:PORT" or "unix:PATH" */

    /* PEM files. With a CA the connection is TLS, with certificate and key mTLS; all NULL for
     * plaintext. */
    const char *tls_ca_path;
    const char *tls_cert_path;
    const char *tls_key_path;

    size_t message_bytes_max; /* of a reply; 0: 32 MiB, room for the largest bundle */
};

/* Does not connect yet: the first call does, or rpc_client_connect. The caller owns *out. */
MUST_USE enum err_code rpc_client_open(struct rpc_client **out,
                                       const struct rpc_client_config *config, struct err *err);
void rpc_client_close(struct rpc_client *client); /* cancels what is in flight; NULL is fine */

/* Waits until there is a connection: E_IO when it is refused, or not there in `timeout_ms`. A later
 * E_UNAVAILABLE is then the server's own word, or a lost connection. */
MUST_USE enum err_code rpc_client_connect(struct rpc_client *client, uint32_t timeout_ms,
                                          struct err *err);

/* ---- blocking ---- */

/* One call; appends the reply's bytes to `reply`. E_TIMEOUT after `timeout_ms`. */
MUST_USE enum err_code rpc_unary(struct rpc_client *client, const char *path, struct span request,
                                 uint32_t timeout_ms, struct buf *reply, struct err *err);

/* Reads a server stream, message by message. */
struct rpc_incoming;
enum {
    RPC_NO_DEADLINE = UINT32_MAX
};
MUST_USE enum err_code rpc_incoming_open(struct rpc_incoming **out, struct rpc_client *client,
                                         const char *path, struct span request, uint32_t timeout_ms,
                                         struct err *err);
/* Appends the next message to `message`; at the end of the stream sets *is_end instead, when its
 * status is OK, or fails with its status. */
MUST_USE enum err_code rpc_incoming_next(struct rpc_incoming *incoming, struct buf *message,
                                         bool *is_end, struct err *err);
void rpc_incoming_close(
    struct rpc_incoming *incoming); /* cancels if not at its end; NULL is fine */

/* ---- many in flight ---- */

/* Starts a call; the answer comes out of rpc_client_poll with `tag`. `request` is copied. */
void rpc_unary_start(struct rpc_client *client, const char *path, struct span request,
                     uint32_t timeout_ms, void *tag);

/* One answer: `status` is NULL for OK, else what went wrong; `reply` is borrowed for the call. */
typedef void rpc_on_answer(void *ctx, void *tag, struct span reply, const struct err *status);

/* Waits up to `timeout_ms` for an answer, then hands over all that are there. Returns how many.
 * on_answer may start calls; it may not poll. */
size_t rpc_client_poll(struct rpc_client *client, uint32_t timeout_ms, void *ctx,
                       rpc_on_answer *on_answer);

size_t rpc_client_in_flight(const struct rpc_client *client);

/* Cancels them: their answers, E_UNAVAILABLE or what came first, are there for the next poll. */
void rpc_client_cancel(struct rpc_client *client);

#endif
