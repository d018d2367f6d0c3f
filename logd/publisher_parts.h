/* publisher_parts.h -- what the files of the publisher share. Nobody else includes it. */
#ifndef LOGD_PUBLISHER_PARTS_H
#define LOGD_PUBLISHER_PARTS_H

#include "logd/partials.h"
#include "logd/publisher.h"
#include "logd/start_check.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    PUBLISHER_EXPORTS_MAX = 64, /* calls that wait for a note */
    PUBLISHER_REASON_MAX = 400,
};

/* In the order in which they go first. */
enum step_kind {
    STEP_KEEP_PROOF, /* of a contradiction */
    STEP_PREPARE,
    STEP_PUBLISH,
    STEP_MERGE,
    STEP_EXPORT,
    STEP_CLEAN,
    STEP_KINDS
};

struct step_file {
    uint64_t size;
    bool is_unsaved;
    struct buf note;
};

/* One step on a worker: it touches its own fields, the stores and the signer, one at a time. */
struct step {
    uv_work_t request;
    struct publisher *publisher;
    enum step_kind kind;
    struct snapshot *snapshot;   /* PREPARE: the round's, borrowed */
    struct published_tree *tree; /* PUBLISH, MERGE: the one that the note is of; held */
    struct buf note;             /* PUBLISH, MERGE: as it is to be served; KEEP_PROOF: theirs */
    struct buf ours;             /* KEEP_PROOF, if the note of that size is at hand */
    struct step_file files[ROUND_PINNED]; /* EXPORT */
    size_t file_count;
    int64_t unix_s;
    struct published_tree *made; /* PREPARE, PUBLISH, MERGE: what has come of it; owned */
    enum err_code rc;
    struct err err;
};

struct publisher {
    struct publisher_options options;
    struct sequencer_thread *sequencer;
    struct round round;
    struct cosigning *cosigning;
    struct partials *partials; /* a worker's while is_stepping, else the loop thread's */
    uint64_t prune_ms;         /* likewise; when the archive is looked at next */
    struct snapshot *snapshot; /* of the round under way until it is signed; owned */
    struct step step;
    bool is_stepping;
    bool wanted[STEP_KINDS]; /* steps that wait for their turn */
    bool failed
        [STEP_KINDS]; /* the last time; the round has no part in these, so time tries them again */
    bool is_started;
    bool has_signed;

    struct start_check *check;         /* under way; owned */
    struct published_tree *check_tree; /* all that there is; held */
    struct published_tree *check_note; /* the note signed last, without its tree; or NULL; held */
    struct buf theirs;                 /* the note that halted us */

    struct publisher_export *waiting; /* for a note to be signed */
    uint64_t pinned_ms;               /* when a note was exported for the first time, last */
    struct publisher_export *pinned;  /* for the file to be written, by the next EXPORT */
    struct publisher_export *saving;  /* by the one under way */

    pthread_mutex_t mutex; /* guards the four below, and posted */
    bool is_failing;
    struct err failure;
    bool is_below_quorum;
    char reason[PUBLISHER_REASON_MAX]; /* why there is no quorum (yet), or why it is halted */
    struct publisher_job *posted;      /* newest first */
    atomic_bool is_halted;
    _Atomic uint64_t witnessed; /* size of the published tree, if it met the policy */

    uv_async_t wake;
    uv_timer_t timer;
    uv_timer_t clean_timer;
    int open_handles;
    bool is_closing;
    void *closed_ctx;
    void (*on_closed)(void *ctx);

    /* Told by other threads, then `wake`; news only while a round waits for them. */
    atomic_bool wants_news;
    _Atomic uint64_t news;
    _Atomic uint64_t stored;
    _Atomic(struct snapshot *) given; /* owned until taken */
};

uint64_t publisher_now_ms(void);

/* -- publisher.c -- */

void publisher_event(struct publisher *publisher, const struct round_event *event);
void publisher_want_step(struct publisher *publisher, enum step_kind kind);
void publisher_wake_at(struct publisher *publisher, uint64_t at_ms);

/* -- publisher_steps.c: on a worker -- */

void publisher_run_step(uv_work_t *request);

/* -- publisher_witnesses.c -- */

struct cosigning *publisher_cosigning_new(struct publisher *publisher);

/* The start check: begins, and goes on with what is due. */
void publisher_begin_check(struct publisher *publisher);
void publisher_check_snapshot(struct publisher *publisher, struct snapshot *snapshot);
void publisher_go_on_checking(struct publisher *publisher);

/* Looks whether the log is below quorum, and says why. */
void publisher_update_reason(struct publisher *publisher);

/* A note was signed, or could not be. */
void publisher_exports_on_signed(struct publisher *publisher);
void publisher_exports_fill(struct publisher *publisher, struct step *step);
void publisher_exports_on_saved(struct publisher *publisher, const struct step *step);
void publisher_exports_fail(struct publisher *publisher, const char *reason);

#endif
