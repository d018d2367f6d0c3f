/* append_service_parts.h -- what the append_service*.c files share.
 *
 * A call, or one message of a stream, goes: append_call_new (gRPC thread), append_verify (workers), the pool,
 * append_on_done (sequencer thread), perhaps a wait for publication, append_finish (worker), and its answer. It has
 * one owner at a time. A message of a stream comes back to append_service_stream.c at each of these steps.
 */
#ifndef LOGD_APPEND_SERVICE_PARTS_H
#define LOGD_APPEND_SERVICE_PARTS_H

#include "logd/append_service.h"
#include "record/certificate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

enum {
    /* Entries on their way to the pool, of all calls: about a second of signatures on two cores. Above, calls are
     * refused and streams are not read; a message of a stream that is there already may go up to twice as far. */
    APPEND_CHECKING_ENTRIES_MAX = 16384,
    APPEND_CHECKING_BYTES_MAX = 32 * 1024 * 1024,
};

struct append_stream;

/* How far a message of a stream has got. */
enum append_step {
    APPEND_CHECKING,  /* workers have it */
    APPEND_CHECKED,   /* waits for those before it to be durable, and for room in the pool */
    APPEND_PUSHED,    /* the pool and the sequencer have it */
    APPEND_WAITING,   /* durable, and not published */
    APPEND_READY,     /* its answer can be made */
    APPEND_FINISHING, /* a worker makes it */
    APPEND_ANSWERED,  /* the answer waits to be sent */
    APPEND_REFUSED,
};

/* A run of entries that one worker checks. */
struct append_chunk {
    struct append_call *append;
    size_t first, end;   /* positions */
    size_t offset;       /* of the first, in submission->entries */
    struct err *refusal; /* owned; NULL: all are good */
};

/* One call, or message of a stream, that has entries in the log, or on their way. */
struct append_call {
    TAILQ_ENTRY(append_call) next; /* of those who wait for publication */
    struct append_service *service;
    struct rpc_call *call;
    struct submission
        *submission; /* owned, but while the pool has it; NULL: a message that was refused unread */
    bool wants_promise;
    bool wants_witnessed;
    uint64_t until_ms; /* monotonic: then it is answered, witnessed or not */
    uint64_t last;     /* largest of its indices */

    /* Checking. */
    size_t counted_entries,
        counted_bytes; /* against the maxima above; 0 once they are given back */
    struct gate_sender sender;
    uint8_t *
        certificates; /* CERTIFICATE_BYTES for each entry, all zero: none; NULL: none at all. Owned */
    uint64_t epoch;   /* of the gate */
    struct append_chunk *chunks; /* owned */
    size_t chunk_count;
    atomic_size_t chunks_left;
    atomic_size_t first_refused; /* the least chunk that is; or chunk_count */

    /* Of a stream only; guarded by its mutex. */
    struct append_stream *stream;
    TAILQ_ENTRY(append_call) in_stream;
    enum append_step step;
    struct buf answer;  /* ANSWERED */
    struct err refusal; /* REFUSED */
};
TAILQ_HEAD(append_list, append_call);

struct append_service {
    struct parts *parts;
    uv_timer_t timer;        /* runs while somebody waits */
    uv_timer_t stream_timer; /* runs while a stream is stalled */
    uv_async_t wake;         /* somebody does now, or one is */
    int open_handles;
    void *closed_ctx;
    void (*on_closed)(void *ctx);

    pthread_mutex_t mutex;      /* guards waiting and is_ending */
    bool is_ending;             /* nobody waits any more */
    struct append_list waiting; /* for a tree that has their entries */

    atomic_size_t checking_entries, checking_bytes;

    atomic_bool is_stalled; /* a stream waits for room */
    pthread_mutex_t
        stream_mutex; /* guards the rest, and all streams; taken before any lock of others */
    LIST_HEAD(, append_stream) streams;
    size_t stream_count;
    uint64_t visit; /* number of the last walk over all streams */
};

/* ---- append_service_call.c ---- */

/* Of a message: E_MALFORMED, E_UNSUPPORTED, E_UNAVAILABLE. gRPC thread, in a callback. */
MUST_USE enum err_code append_call_new(struct append_call **out, struct append_service *service,
                                       struct rpc_call *call, struct span message, struct err *err);
/* With what it owns, and what it was counted for. */
void append_call_free(struct append_call *append);

/* The answer without a promise and receipts. */
void append_put_plain(const struct append_call *append, struct buf *out);
/* On a worker: everything that takes time, then the answer. */
void append_finish(void *arg);
/* The words of an error for peers. */
void append_hide_paths(const struct append_call *append, struct err *err);

/* ---- append_service_verify.c ---- */

/* Counts the entries in; false when there are too many already: nothing is counted then. */
bool append_count_in(struct append_call *append, size_t times_max);
void append_count_out(struct append_call *append);
bool append_has_room(struct append_service *service); /* below the maxima */

/* Has workers judge the entries; then append_on_checked, on one of them. schema = operation. */
void append_verify(struct append_call *append);

/* Gives what is checked to the pool; E_OK: it is the pool's. E_CONFLICT: verify again. Counted out on E_OK. */
MUST_USE enum err_code append_push(struct append_call *append, struct err *err);

/* ---- append_service.c ---- */

/* Whether it is taken in: E_UNAVAILABLE; E_BUSY over `times_max` times the maxima. Counted in on E_OK. */
MUST_USE enum err_code append_admit(struct append_call *append, size_t times_max, struct err *err);
/* `refusal` NULL: all are good. */
void append_on_checked(struct append_call *append, const struct err *refusal);
/* Of the submission. */
void append_on_done(struct submission *submission, const struct err *err);
/* On a worker: the answer is there, and is taken. */
void append_on_finished(struct append_call *append, struct buf *answer);
/* Durable: until it is published, or time is up. True when it need not wait. */
bool append_wait(struct append_call *append);
void append_wake(struct append_service *service); /* any thread: a stream is stalled */

/* ---- append_service_stream.c: these steps, for a message of a stream ---- */

struct rpc_method append_stream_method(struct append_service *service);
void append_stream_on_checked(struct append_call *append, const struct err *refusal);
void append_stream_on_done(struct append_call *append, const struct err *err);
void append_stream_on_published(struct append_call *append); /* or time is up */
void append_stream_on_finished(struct append_call *append, struct buf *answer);
/* Loop thread: tries again what was stalled. */
void append_stream_retry(struct append_service *service);

#endif
