/* rpc_server.h -- a gRPC server: a table of methods, calls that may be answered from any thread.
 *
 * Threads: a method's callbacks run on the server's own gRPC thread (one, unless the configuration
 * asks for more), so they must not block. Everything that takes a `struct rpc_call` may be used from
 * any thread unless it says otherwise.
 *
 * A call belongs to the handler from its first callback until it answers: rpc_reply*, rpc_fail or
 * rpc_stream_finish, exactly one of them, exactly once, also when the call was cancelled. The
 * pointer is dead for the handler from then on. (A callback that the gRPC thread is in keeps the
 * memory alive: in it `call` may be compared and asked even while another thread answers it.)
 *
 * Unknown methods are UNIMPLEMENTED; over `calls_max` or `answer_bytes_max` a call is
 * RESOURCE_EXHAUSTED unseen by its handler; so is one whose message is over `message_bytes_max`. Of
 * a bidirectional stream such a message cancels what is left. Two services are always there:
 * grpc.health.v1.Health, for "" and for each service in the table (see rpc_health_set), and
 * grpc.reflection.v1.ServerReflection.
 */
#ifndef NET_RPC_SERVER_H
#define NET_RPC_SERVER_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct rpc_server;
struct rpc_call;

enum rpc_kind {
    RPC_UNARY,         /* one message in, one out: rpc_reply or rpc_fail */
    RPC_SERVER_STREAM, /* one message in, any number out: rpc_stream_send*, rpc_stream_finish */
    RPC_BIDI,          /* any number in, read as rpc_stream_receive asks, and any number out */
};

struct rpc_method {
    const char *path; /* "/courtroll.v1.Log/Append" */
    enum rpc_kind kind;
    void *ctx; /* first argument of those below */

    /* Streams: 1..65536 messages queued and not yet sent; 0 is the server's stream_messages_max. */
    size_t messages_max;

    /* A whole request, contiguous, borrowed until on_call returns. Of an RPC_BIDI each message, in
     * order: the first as it comes, the next after rpc_stream_receive. */
    void (*on_call)(void *ctx, struct rpc_call *call, struct span message);

    /* RPC_BIDI, required: the caller has sent its last message, and on_call comes no more. It still
     * reads. At most once a call, perhaps before any on_call. A caller that goes away can look like
     * this first, and on_cancelled follows. */
    void (*on_end)(void *ctx, struct rpc_call *call);

    /* Streams, may be NULL: a message has left the queue, there is room for another one. */
    void (*on_sent)(void *ctx, struct rpc_call *call);

    /* May be NULL, but not of an RPC_BIDI. The caller has gone away or its deadline is over, and the
     * call was not answered when the notice came in; by now another thread may be about to, so who
     * answers is the handler's to settle. Called for streams, and for unary calls after
     * rpc_call_watch; at most once a call, and the last callback of an RPC_BIDI, perhaps the only
     * one. The call must still be answered. */
    void (*on_cancelled)(void *ctx, struct rpc_call *call);
};

enum {
    RPC_LISTEN_MAX = 8,
    RPC_METHODS_MAX = 64,
    RPC_ADDRESS_MAX = 128, /* bytes, with the NUL; a Unix path has 108 at most */
};

/* Borrowed for the call of rpc_server_start only, but for the methods' ctx. Zero means the default
 * that is given behind the field. */
struct rpc_server_config {
    const char *listen[RPC_LISTEN_MAX]; /* "HOST:PORT" (port 0: any free one) or "unix:PATH" */
    size_t listen_count;

    /* PEM files; all NULL for plaintext. TLS, 1.2 or later, covers the HOST:PORT listeners, not Unix sockets.
     * Whether plaintext is allowed on an address is the caller's decision. */
    const char *tls_cert_path;
    const char *tls_key_path;
    const char *tls_client_ca_path; /* given: clients must show a certificate of this CA */

    const struct rpc_method *methods;
    size_t method_count;

    size_t thread_count;           /* 1: on two cores a second one costs 4x the p99 */
    size_t message_bytes_max;      /* 4 MiB + 64 KiB */
    size_t calls_max;              /* 16384 calls whose answers are not out, over all connections */
    size_t answer_bytes_max;       /* 64 MiB of unary answers that peers have not taken, likewise */
    size_t streams_max;            /* 1024 concurrent calls a connection */
    size_t stream_messages_max;    /* 4 messages queued and not yet sent, a stream */
    uint32_t handshake_timeout_ms; /* 10 s */
    uint32_t idle_timeout_ms;      /* 10 min: a connection without a call is closed */
};

/* Binds, starts the threads and serves; health starts as NOT_SERVING. E_MALFORMED for an address,
 * E_IO when one cannot be bound, or what reading the PEM files says. The caller owns *out and ends
 * it with rpc_server_stop. */
MUST_USE enum err_code rpc_server_start(struct rpc_server **out,
                                        const struct rpc_server_config *config, struct err *err);

/* Reads the PEM files again, for connections that come from now on; those that are there live on. On an error the old
 * ones stay in force: E_UNSUPPORTED when the server has none, E_MALFORMED when they are wrong or do not belong
 * together, else what reading them says. Any thread, one at a time; blocks on the disk. */
MUST_USE enum err_code rpc_server_reload_tls(struct rpc_server *server, struct err *err);

/* The address of listener `i` with its real port; good until the stop. */
const char *rpc_server_address(const struct rpc_server *server, size_t i);

/* Refuses new calls and connections, waits up to `grace_ms` for those under way, cancels the rest,
 * waits until every call has been answered, and frees the server. Whoever still holds calls must
 * answer them from another thread, or this waits for ever. If a peer that does not read keeps gRPC
 * from ending a second later, the server's threads end and its memory stays (event grpc_abandoned).
 * No callback comes after the return. Not from a gRPC thread. NULL is fine. */
void rpc_server_stop(struct rpc_server *server, uint32_t grace_ms);

/* Calls whose answers are not out yet; a number for metrics. */
size_t rpc_server_call_count(const struct rpc_server *server);

/* ---- answering ---- */

/* Answers a unary call with OK and a copy of `bytes`. */
void rpc_reply(struct rpc_call *call, struct span bytes);

/* The same without the copy: takes the memory of `bytes`, which is empty afterwards. */
void rpc_reply_take(struct rpc_call *call, struct buf *bytes);

/* Answers any call with the code's gRPC status and `message`, or with the code's fixed text when
 * it is NULL. What the peer should not read does not belong in `message`. Not for E_OK. Messages
 * of a stream that are still queued go out first. */
void rpc_fail(struct rpc_call *call, enum err_code code, const char *message);

/* Queues one message of a stream, copied. E_BUSY when as many are queued as may be (on_sent tells
 * when to go on), E_UNAVAILABLE when the call is cancelled. */
MUST_USE enum err_code rpc_stream_send(struct rpc_call *call, struct span bytes);

/* The same, taking the memory of `bytes` when it returns E_OK. */
MUST_USE enum err_code rpc_stream_send_take(struct rpc_call *call, struct buf *bytes);

/* Ends a stream with OK, after what is queued. Of an RPC_BIDI this may be before on_end: messages
 * that were not read are dropped. */
void rpc_stream_finish(struct rpc_call *call);

/* ---- receiving ---- */

/* RPC_BIDI: asks for the next message, once for each on_call, in it or later. Until then nothing
 * more is read, and the caller is held back once gRPC's windows are full: so a handler bounds what it
 * has in work by asking only while it has room. Not after the answer, nor after on_end. */
void rpc_stream_receive(struct rpc_call *call);

/* ---- about a call ---- */

/* Only inside on_call, for a unary call that may be held for long: from now on rpc_call_is_cancelled
 * tells and on_cancelled is called. Costs one more event a call, which is why it is asked for. */
void rpc_call_watch(struct rpc_call *call);

/* Always false for a unary call that is not watched. */
bool rpc_call_is_cancelled(const struct rpc_call *call);

/* Whether an answer of so many bytes would take at most half of what is left of `answer_bytes_max`. So
 * peers who ask for large answers and do not read them do not keep out those who ask for small ones.
 * A handler that may have large answers asks before it gives one. */
bool rpc_call_has_room(const struct rpc_call *call, size_t bytes);

/* Milliseconds until the caller's deadline, negative after it; INT64_MAX without one. */
int64_t rpc_call_deadline_ms(const struct rpc_call *call);

/* The first DNS name in the client's certificate under mTLS, else NULL. Good until the answer.
 * Only inside a callback. */
const char *rpc_call_peer_name(struct rpc_call *call);

/* Appends the address the call comes from, as address_put_host: ADDRESS_HOST_MAX bytes at most, or
 * "unknown". Only inside a callback. */
void rpc_call_put_peer_host(struct rpc_call *call, struct buf *out);

/* The call came through a Unix socket. Only inside a callback. */
bool rpc_call_is_local(struct rpc_call *call);

/* One pointer for the handler's own state; NULL at first. */
void rpc_call_set_user(struct rpc_call *call, void *user);
void *rpc_call_user(const struct rpc_call *call);

#endif
