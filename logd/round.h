/* round.h -- when a checkpoint is made: which size is signed, and which is published.
 *
 * design: "The life of an entry", steps 7 and 8. A pure state machine on the loop thread: round_step
 * takes what happened, with the time in it, and appends what is now to be done.
 *
 * Normal path: NEWS -> SNAPSHOT -> (when its full tiles are stored) PREPARE: partial tiles synced, note
 * signed and synced -> PUBLISH -> rest until the interval is over. The first news after a rest
 * begins a round at once.
 * It can fail so: PREPARE or PUBLISH fails (a full disk): the last published note stays in place, and
 * the round is tried again, with a newer tree, after ROUND_RETRY_MS, however long the interval is.
 */
#ifndef LOGD_ROUND_H
#define LOGD_ROUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum round_event_type {
    ROUND_NEWS,      /* size: of the durable tree */
    ROUND_STORED,    /* size: its full tiles are durable */
    ROUND_SNAPSHOT,  /* size: a copy of the tree of that size is at hand */
    ROUND_PREPARED,  /* is_ok: partial tiles and the signed note are durable */
    ROUND_PUBLISHED, /* is_ok: the note has replaced the one before */
    ROUND_TICK,
    ROUND_DRAIN, /* the log is stopping: what is durable is published without regard to the interval */
};

struct round_event {
    enum round_event_type type;
    uint64_t now_ms; /* monotonic */
    uint64_t size;
    bool is_ok;
};

enum round_action_type {
    ROUND_TAKE_SNAPSHOT, /* of the durable tree, then SNAPSHOT */
    ROUND_PREPARE,       /* the snapshot, then PREPARED */
    ROUND_PUBLISH,       /* the snapshot, then PUBLISHED */
    ROUND_WAIT,          /* send a TICK at `at_ms` */
};

struct round_action {
    enum round_action_type type;
    uint64_t at_ms;
};

enum {
    ROUND_ACTIONS_MAX = 4,
    ROUND_RETRY_MS = 1000
};
struct round_actions {
    size_t count;
    struct round_action items[ROUND_ACTIONS_MAX];
};

enum round_phase {
    ROUND_RESTING,
    ROUND_SNAPPING,
    ROUND_STORING,
    ROUND_PREPARING,
    ROUND_PUBLISHING
};

struct round {
    uint64_t interval_ms;
    enum round_phase phase;
    bool is_first;      /* nothing is published yet: size 0 is news */
    bool is_paused;     /* the start check has not passed: sign nothing */
    bool is_draining;   /* the interval does not count any more */
    uint64_t durable;   /* newest size heard of */
    uint64_t stored;    /* size whose full tiles are durable */
    uint64_t published; /* size */
    uint64_t size;      /* of the round under way */
    uint64_t next_ms;   /* no round begins before, for the interval's sake */
    uint64_t retry_ms;  /* likewise, since one failed */
};

/* A log that has published nothing yet (`has_published` false) publishes what it has at once. */
void round_init(struct round *round, uint64_t interval_ms, bool has_published, uint64_t published,
                uint64_t stored);
void round_step(struct round *round, const struct round_event *event, struct round_actions *out);

/* While paused no round begins. */
void round_pause(struct round *round, bool is_paused);

#endif
