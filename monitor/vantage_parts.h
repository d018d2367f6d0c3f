/* vantage_parts.h -- what the vantage*.c files share: a vantage, its ways of asking, and the one door for notes.
 *
 * All but the door's counters belong to the vantage's thread.
 */
#ifndef MONITOR_VANTAGE_PARTS_H
#define MONITOR_VANTAGE_PARTS_H

#include "base/alloc.h"
#include "monitor/vantage.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    VANTAGE_SEEN_MAX = 1024, /* hashes of notes that need not be compared again */
    VANTAGE_TOLD_MAX = 64,   /* of contradictions that were counted */
};

/* What one round of asking came to. */
struct vantage_round {
    bool is_answered;
    enum err_code code; /* E_OK, or why not all was as it should be: */
    struct err err;
};
/* The first failure of a round is the one that is told. */
void vantage_round_fail(struct vantage_round *round, const struct err *err);

/* A way of asking: what `open` returns is given to the others. None may fail to open. */
struct vantage_way {
    void *(*open)(struct vantage *vantage);
    void (*ask)(void *state, struct vantage_round *round);
    void (*close)(void *state);
};
extern const struct vantage_way vantage_http, vantage_peer, vantage_folder;

struct vantage {
    struct vantage_options options;
    const struct vantage_way *way;
    void *state; /* of the way; owned by it */
    struct hash seen[VANTAGE_SEEN_MAX];
    struct hash told[VANTAGE_TOLD_MAX]; /* a ring */
    size_t told_count;
    bool *has_contradicted; /* each log: it was logged once; owned */
    bool is_failing, is_store_failing;
    atomic_bool is_stopping;
    pthread_t thread;

    pthread_mutex_t mutex; /* guards the status, and the condition */
    pthread_cond_t wake;
    struct vantage_status status;
};

/* What became of a note; of several logs with one origin, the last of these. */
enum vantage_taken {
    VANTAGE_UNUSABLE, /* of no log of ours, or not signed by it: counted, and passed over */
    VANTAGE_TAKEN,    /* compared, or remembered where it waits */
    VANTAGE_LATER,    /* a promise that cannot be judged before the tree has grown */
    VANTAGE_FAILED,   /* the store failed: try again */
};

/* The door. What a note is of is told by the note itself. */
enum vantage_taken vantage_on_note(struct vantage *vantage, struct span note);
enum vantage_taken vantage_on_promise(struct vantage *vantage, struct span note);
/* Something that is no note at all. */
void vantage_on_unusable(struct vantage *vantage);

#endif
