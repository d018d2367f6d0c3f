/* ledger_parts.h -- the ledger's inside, shared by its two files: ledger.c has the thread, its queue and
 * the readers; ledger_group.c makes and writes a group. */
#ifndef WITNESS_LEDGER_PARTS_H
#define WITNESS_LEDGER_PARTS_H

#include "witness/ledger.h"
#include "witness/ledger_origin.h"

#include "base/pulse.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

enum ledger_job_kind {
    LEDGER_JOB_COMMIT,
    LEDGER_JOB_REFUSE,
    LEDGER_JOB_ADOPT,
    LEDGER_JOB_PUT,
    LEDGER_JOB_PEER
};

struct ledger_job {
    STAILQ_ENTRY(ledger_job) next;
    enum ledger_job_kind kind;
    struct hash origin_hash;
    struct origin_state state;
    struct ledger_key key; /* LEDGER_JOB_PUT, LEDGER_JOB_PEER */
    void *ctx;
    void (*on_done)(void *ctx, enum err_code rc, const struct err *err);

    /* Ledger thread. */
    struct ledger_origin *origin; /* NULL for jobs with a key, or when it failed before the batch */
    struct ledger_value value;    /* what the origin has once this is written */
    enum err_code rc;
    struct err err;

    size_t len; /* of the note, or of the value */
    uint8_t bytes[];
};
STAILQ_HEAD(ledger_jobs, ledger_job);

struct ledger {
    enum err_code (*reopen)(void *ctx, struct kv **out, struct err *err);
    void *ctx;
    pthread_t thread;

    /* Ledger thread. */
    struct kv_batch batch;
    bool is_sync_due; /* the batch has more than peers' notes */
    struct buf scratch;
    struct mark *marks; /* owned; of the group, LEDGER_GROUP_COMMITS_MAX */
    size_t mark_count;
    size_t new_mark_count; /* of these, for origins that have none yet */

    pthread_rwlock_t kv_lock; /* written only while the store is taken away and put back */
    struct kv *kv;            /* NULL in between. The ledger thread reads it without the lock */

    pthread_mutex_t mark_lock;
    struct mark_file *mark;

    struct pulse pulse;       /* of the ledger thread */
    atomic_bool are_marks_up; /* no mark is behind the store because of a crash before the start */
    atomic_uint_fast64_t commits, groups, bytes_written;

    pthread_mutex_t mutex; /* guards all below; taken alone */
    pthread_cond_t wake;   /* of the ledger thread */
    pthread_cond_t done;   /* of those who wait for a job of theirs */
    struct ledger_jobs jobs;
    struct ledger_origins origins;
    bool is_stopping;
    bool is_failing;
    char reason[ERR_MSG_MAX];
};

enum {
    LEDGER_GROUP_COMMITS_MAX = 1024,
    LEDGER_GROUP_BYTES_MAX = 8 * 1024 * 1024 /* of notes as they are written, half of a batch */
};

/* NULL: all is well again. */
void ledger_set_failing(struct ledger *ledger, const struct err *err);

/* Moves the next group from the left of `jobs` to `group`: at most one commit of an origin. Those that may
 * not be written have their rc set. */
void ledger_group_prepare(struct ledger *ledger, struct ledger_jobs *jobs,
                          struct ledger_jobs *group);
/* Writes it, and the marks; the outcome is in each job's rc, and the origins have moved.
 * *is_store_bad: the store must be opened again. */
MUST_USE enum err_code ledger_group_write(struct ledger *ledger, struct ledger_jobs *group,
                                          bool *is_store_bad, struct err *err);
/* Raises marks that are behind the store, and writes again what was to be written last. */
MUST_USE enum err_code ledger_raise_marks(struct ledger *ledger, struct err *err);

#endif
