/* rpc_parts.h -- what the rpc_*.c files share. The only header that shows gRPC's types; nothing
 * else includes it.
 *
 * A worker is one completion queue and the one thread that polls it. A call is bound to the worker
 * that accepted it: its events, its release and the worker's free list need no lock.
 */
#ifndef NET_RPC_PARTS_H
#define NET_RPC_PARTS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "net/rpc_server.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>
#include <pthread.h>
#include <stdatomic.h>

/* gRPC's own log lines become events of ours. */
void rpc_library_init(void); /* grpc_init; pairs with grpc_shutdown */

/* The bytes in one piece: the slice's own when there is one, else copied into `scratch`, which
 * must have room. False when the message is over scratch->max, or compressed. NULL is the empty
 * message. */
bool rpc_message_span(grpc_byte_buffer *message, struct buf *scratch, struct span *out);

/* A gRPC buffer with a copy of `bytes`, or with their memory; `bytes` is then empty. */
grpc_byte_buffer *rpc_message_copy(struct span bytes);
grpc_byte_buffer *rpc_message_take(struct buf *bytes);

/* A PEM file as a C string in `out`. */
MUST_USE enum err_code rpc_pem_read(struct buf *out, const char *path, struct err *err);

gpr_timespec rpc_deadline_in(uint32_t timeout_ms); /* UINT32_MAX: never */

/* ---- server ---- */

/* rpc_tls.c: what TLS listeners show and ask for. */
struct rpc_tls;
/* Errors as tls_files_read. */
MUST_USE enum err_code rpc_tls_open(struct rpc_tls **out, const struct rpc_server_config *config,
                                    struct err *err);
void rpc_tls_free(struct rpc_tls *tls); /* NULL is fine */
/* For the handshakes from now on; on an error nothing changes. */
MUST_USE enum err_code rpc_tls_reload(struct rpc_tls *tls, struct err *err);
/* Of one listener more, to be released; `tls` must outlive the server. Before the server is started. */
grpc_server_credentials *rpc_tls_credentials(struct rpc_tls *tls);

/* What an event means is in the low bits of its tag; the rest is the call's or worker's address. */
enum rpc_event {
    RPC_EVENT_NEW,      /* a posted slot got its call, and the message if the method has just one */
    RPC_EVENT_ANSWERED, /* the status is out, or never will be */
    RPC_EVENT_CLOSED,   /* of a watched call: the peer is done with it */
    RPC_EVENT_SENT,     /* one streamed message passed flow control */
    RPC_EVENT_WAKE,     /* a worker's: its list of answers is no longer empty */
    RPC_EVENT_STOPPED,  /* a worker's: the last call is gone */
    RPC_EVENT_RECEIVED, /* of a bidirectional stream: one more message, or its end */
    RPC_EVENT_MASK = 7
};

static inline void *rpc_tag(void *object, enum rpc_event event)
{
    return (void *)((uintptr_t)object | (uintptr_t)event);
}

struct rpc_registered {
    struct rpc_method method;
    void *handle; /* gRPC's; NULL in the entry for unknown methods */
};

struct rpc_worker {
    struct rpc_server *server;
    grpc_completion_queue *cq;
    grpc_call *waker;            /* a call that goes nowhere: empty batches on it wake the thread */
    struct rpc_call *free_calls; /* by `next` */
    struct buf scratch;          /* a message that came in several slices */
    pthread_t thread;
    _Atomic(struct rpc_call *) answers; /* by `next`, newest first; any thread pushes */
};

struct rpc_server {
    grpc_server *core;
    struct rpc_tls *tls; /* NULL: plaintext */
    struct rpc_health *health;
    struct rpc_reflection *reflection;
    struct rpc_registered *methods; /* the last one stands for unknown methods */
    size_t method_count;
    struct rpc_worker *workers;
    size_t worker_count;
    size_t calls_max;
    size_t stream_messages_max;
    size_t message_bytes_max;
    size_t answer_bytes_max;
    atomic_size_t call_count;
    atomic_size_t held_count; /* of those, not answered yet, or by a thread that is not out of it */
    atomic_size_t answer_bytes; /* of unary answers that have not gone out */
    char addresses[RPC_LISTEN_MAX][RPC_ADDRESS_MAX];

    atomic_bool is_stopped;   /* gRPC's word: nothing new will come */
    atomic_bool is_abandoned; /* the workers end, whatever is left to be done */
    struct rpc_server *next_abandoned;
};

/* The sending side of a stream. */
struct rpc_outgoing {
    pthread_mutex_t lock; /* guards all below */
    grpc_byte_buffer **queue;
    size_t max, first, count;  /* a ring; what is being sent is not in it */
    grpc_byte_buffer *sending; /* owned by the batch under way */
    bool is_sending;           /* a batch is under way, or about to be started by who set this */
    bool is_finishing;         /* the status goes out once the queue is empty */
    bool has_sent;             /* a message, and the initial metadata with it */
};

struct rpc_call {
    /* Set when the slot is posted, or by gRPC while it is. */
    struct rpc_worker *worker;
    struct rpc_registered *registered;
    grpc_call *core;
    gpr_timespec deadline;
    grpc_call_details details; /* of unknown methods only */
    grpc_metadata_array metadata;
    grpc_byte_buffer *request; /* the only message, or the one that RPC_EVENT_RECEIVED brought */

    struct rpc_call *next; /* in the free list or the list of answers */
    void *user;
    grpc_auth_context *auth;       /* held for peer_name */
    struct rpc_outgoing *outgoing; /* streams */
    atomic_uint pending;           /* events to come before the release, on the worker's thread */
    bool is_watched;
    bool is_receivable; /* bidirectional: the right to ask for a message is with the handler */
    int core_cancelled; /* written by gRPC before RPC_EVENT_CLOSED or _ANSWERED */
    atomic_bool is_cancelled;
    atomic_bool is_answered;

    /* The answer: written by whoever answers, then the worker's. */
    grpc_byte_buffer *reply; /* NULL with a status other than OK, and for streams */
    size_t reply_bytes;      /* of the server's answer_bytes */
    grpc_status_code status;
    grpc_slice status_text;
};

/* The worker that this thread is, or NULL. */
extern _Thread_local struct rpc_worker *rpc_worker_current;

/* rpc_call.c, on the worker thread: a slot becomes a call, and its events. */
struct rpc_call *rpc_call_new(struct rpc_worker *worker, struct rpc_registered *registered);
void rpc_call_free(struct rpc_call *call);
void rpc_call_begin(struct rpc_call *call);
void rpc_call_on_answered(struct rpc_call *call);
void rpc_call_on_closed(struct rpc_call *call);
void rpc_call_on_received(struct rpc_call *call, bool is_ok);
void rpc_call_answers_drain(struct rpc_worker *worker);

/* rpc_outgoing.c: streams. */
struct rpc_outgoing *rpc_outgoing_new(size_t messages_max);
void rpc_outgoing_free(struct rpc_outgoing *outgoing);
void rpc_outgoing_finish(struct rpc_call *call); /* call->status is set; any thread */
void rpc_outgoing_on_sent(struct rpc_call *call, bool is_ok);

#endif
