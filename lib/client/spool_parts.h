/* spool_parts.h -- what the spool*.c files share.
 *
 * spool.c takes items and answers questions; spool_commit.c writes what was put and what came of it, and tells;
 * spool_sender.c sends, spool_answer.c judges what the log answers.
 */
#ifndef CLIENT_SPOOL_PARTS_H
#define CLIENT_SPOOL_PARTS_H

#include "client/rpc_log.h"
#include "client/spool.h"
#include "client/spool_numbers.h"
#include "client/spool_queue.h"
#include "client/spool_store.h"
#include "tlog/receipt_check.h"

#include <pthread.h>
#include <semaphore.h>

enum {
    SPOOL_CONNECTIONS_MAX = 32,
    SPOOL_CALL_BYTES_MAX =
        3 * 1024 * 1024, /* below CALL_BYTES_MAX, with room for the fields around */
    SPOOL_PUT_BYTES_MAX = 8 * 1024 * 1024, /* of one spool_put, each item with SPOOL_ITEM_EXTRA */
    SPOOL_ITEM_EXTRA = 512,
    SPOOL_OUTCOMES_MAX = 20000, /* not written yet: then nothing more is sent */
};

/* Somebody in spool_put. */
struct spool_put {
    STAILQ_ENTRY(spool_put) next;
    const struct spool_item *items;
    bool *are_behind_sealed; /* of each: whether the one before it in its case is sealed; owned */
    size_t count, bytes;
    uint64_t first_ticket;
    struct err err; /* its code E_OK: accepted */
    sem_t done;     /* each waits by itself: woken one by one, and without the lock */
};

enum spool_change {
    SPOOL_PROVED,
    SPOOL_REFUSED,
    SPOOL_FORGOTTEN, /* a receipt */
    SPOOL_GIVEN_UP,  /* a refused item */
};

/* What is to be written, and told then. */
struct spool_outcome {
    STAILQ_ENTRY(spool_outcome) next;
    enum spool_change change;
    struct spool_entry *entry; /* NULL for FORGOTTEN */
    uint64_t ticket;
    struct hash leaf;
    uint64_t index;
    struct buf id, proof; /* owned */
    char *refusal;        /* owned; NULL */
};

STAILQ_HEAD(spool_put_list, spool_put);
STAILQ_HEAD(spool_outcome_list, spool_outcome);

/* A lane's patience with the log. */
struct spool_pace {
    unsigned failures; /* in a row */
    uint64_t not_before_ms;
    unsigned probe_failures; /* asking for the proofs of what is durable */
    uint64_t probe_ms;
    uint64_t started_ms; /* the last call */
};

struct spool_sender {
    struct spool *spool;
    enum spool_lane lane;
    bool is_prober; /* of its lane */
    uint64_t wakes; /* the spool's, when this one last looked for work */
    pthread_t thread;
    struct rpc_log *log;        /* owned; NULL: not connected */
    struct receipt_check check; /* by the spool's policy */
};

struct spool {
    struct spool_options options; /* dir and origin: below */
    char *dir, *origin;           /* owned */
    struct spool_store store;     /* has a lock of its own */

    pthread_mutex_t lock;     /* guards all that follows; no callback runs under it */
    pthread_cond_t to_commit; /* puts or outcomes */
    pthread_cond_t to_send;   /* spool_wake_senders */
    uint64_t wakes;           /* of them */
    pthread_cond_t to_tell;
    pthread_cond_t changed; /* something is proved or refused, or the spool has stopped */
    struct spool_queue queue;
    struct spool_state state; /* as on the disk, but for what is being written */
    struct spool_numbers numbers;
    struct spool_put_list puts;
    struct spool_outcome_list outcomes, tells;
    size_t put_items, outcome_count, tell_count;
    uint64_t put_bytes;
    bool is_committing;
    bool is_stop_unwritten;
    bool is_closing;  /* nothing more is sent */
    bool is_ending;   /* senders have ended: commit what is left */
    bool is_told_all; /* the commit thread has ended */
    bool is_broken;   /* the store, until it is open again */
    bool is_degraded; /* the log cannot witness now: ask for durable, and for proofs later */
    char failure[SPOOL_REASON_MAX];
    struct spool_pace paces[SPOOL_LANES];

    pthread_t commit_thread, tell_thread;
    struct kv_batch undo; /* the commit thread's: takes back a put whose write failed */
    size_t sender_count;
    struct spool_sender senders[SPOOL_CONNECTIONS_MAX + 1];
};

uint64_t spool_now_ms(void);  /* monotonic */
uint64_t spool_time_ms(void); /* since 1970 */
/* Until `ms` from now at most. The lock is held. */
void spool_wait(struct spool *spool, pthread_cond_t *cond, uint64_t ms);

void *spool_commit_run(void *spool);
void *spool_tell_run(void *spool);
void *spool_send_run(void *sender);

/* With the lock held: there may be something to send that was not there. */
void spool_wake_senders(struct spool *spool);
/* With the lock held: what shall be written. */
void spool_record(struct spool *spool, struct spool_outcome *outcome);
/* With the lock held: no more for good. */
void spool_stop(struct spool *spool, const char *reason);

/* With the lock held: a lane waits, longer each time; the words go to the status. */
void spool_fail_lane(struct spool *spool, enum spool_lane lane, const char *words);

/* Items on their way: spool_sender.c makes it, spool_answer.c ends it. */
struct spool_call {
    struct spool_sender *sender;
    size_t count;
    struct spool_entry *entries[ENTRIES_PER_CALL_MAX];
    struct span spans[ENTRIES_PER_CALL_MAX]; /* into `bytes` */
    struct span certificates[ENTRIES_PER_CALL_MAX];
    struct span ids[ENTRIES_PER_CALL_MAX];
    struct hash leaves[ENTRIES_PER_CALL_MAX];
    bool has_certificates;
    struct buf bytes;
};

void spool_call_free(struct spool_call *call);
/* All of it back into the queue, in the same state. With the lock held. */
void spool_call_retry(struct spool_call *call, uint64_t now_ms);

/* The log's answer to a call, which it frees. As rpc_log_on_appended. */
void spool_answer(void *sender, void *call, const struct rpc_log_append_reply *reply,
                  const struct err *failure);
/* One receipt of entry `i` that was asked for: E_OK and met, and the item is proved; E_UNAVAILABLE: too few witnesses;
 * else it is wrong. */
MUST_USE enum err_code spool_judge(struct spool_sender *sender, struct span receipt, uint64_t index,
                                   const struct hash *leaf, struct err *err);
struct spool_outcome *spool_outcome_proved(const struct spool_call *call, size_t i, uint64_t index,
                                           struct span proof);
void spool_outcome_free(struct spool_outcome *outcome);

/* Writes DIR/status; errors are ignored. Without the lock. */
void spool_status_write(struct spool *spool);

#endif
