/* sequencer.h -- the one owner of the tree: gives indices, commits, and says what is due then.
 *
 * design: "The life of an entry", steps 3 to 6. A pure state machine: sequencer_step takes what
 * happened and appends what is to be done; the driver does it and tells the result as an event.
 * It does no I/O, reads no clock, takes no lock. Sequencer thread.
 *
 * Normal path of a batch: SUBMITTED -> LOOK_UP -> RESERVE -> COMMIT -> ANSWER, STORE, INDEX; later
 * STORED -> TRIM. One batch is under way at a time: the next one forms by itself while the last is
 * on the disk.
 * It can fail so: no space (RESERVE says E_UNAVAILABLE, or STORE_FAILED): submissions are refused
 * with the reason until a RETRY or a STORED shows that there is space again. The journal is full
 * because storing lags (RESERVE says E_BUSY): the batch waits for a TRIM. Tiles in memory, or entries
 * not indexed, are too many: the next batch is not begun before STORED, or INDEXED. COMMIT fails: the result is
 * unknown, so HALT: the process must exit, and recovery finds out. A batch that waits may wait for
 * ever: END is how a stop answers it.
 * A submission that has a conflict (submission.h) is among those that ANSWER passes back without an error:
 * the driver refuses it.
 */
#ifndef LOGD_SEQUENCER_H
#define LOGD_SEQUENCER_H

#include "logd/index_job.h"
#include "logd/recent.h"
#include "logd/resource.h"
#include "logd/submission.h"
#include "store/journal.h"
#include "tlog/edge.h"

#define SEQUENCER_NO_HIT UINT64_MAX

struct sequencer_limits {
    bool has_dedup;
    size_t batch_entries_max; /* both: at least one call's */
    size_t batch_bytes_max;
    uint64_t unindexed_max; /* entries committed that the index does not cover yet */
    /* Bytes given to STORE and not STORED: beyond it no batch begins. Small entries fill tiles that
     * are several times as large as their records, so the journal's bound is none for these. */
    size_t unstored_bytes_max;
    /* schema = operation: every submission has facts, and an entry tag is on the log once. */
    bool has_facts;
};

enum sequencer_event_type {
    SEQUENCER_SUBMITTED,    /* submissions: a list, oldest first; it passes to the sequencer */
    SEQUENCER_LOOKED_UP,    /* err: NULL, and the hits of the batch are filled in */
    SEQUENCER_RESERVED,     /* err: NULL, or E_UNAVAILABLE, or E_BUSY */
    SEQUENCER_COMMITTED,    /* err: NULL, or anything: unknown */
    SEQUENCER_STORED,       /* size: all full tiles and bundles of that tree are durable */
    SEQUENCER_STORE_FAILED, /* err: a write will be tried again; until then nothing is admitted */
    SEQUENCER_INDEXED,      /* size: that many entries are in the index */
    SEQUENCER_RETRY,        /* some time has passed */
    SEQUENCER_END,          /* err: nothing more is committed; whoever waits is told why */
};

struct sequencer_event {
    enum sequencer_event_type type;
    struct submission *submissions;
    const struct err *err;
    uint64_t size;
};

enum sequencer_action_type {
    SEQUENCER_LOOK_UP, /* find the leaves of sequencer_batch in the index, then LOOKED_UP */
    SEQUENCER_RESERVE, /* bytes in the journal, then RESERVED */
    SEQUENCER_COMMIT,  /* the record, then COMMITTED */
    SEQUENCER_ANSWER,  /* submissions, with err: they pass back */
    SEQUENCER_STORE,   /* resources (may be NULL), then STORED(size) at some time */
    SEQUENCER_INDEX,   /* the job, then INDEXED at some time */
    SEQUENCER_TRIM,    /* the journal to size */
    SEQUENCER_REFUSE,  /* admit nothing from now on: err is why */
    SEQUENCER_ADMIT,   /* admit again */
    SEQUENCER_HALT,    /* err: exit at once, recover */
};

struct sequencer_action {
    enum sequencer_action_type type;
    struct submission *submissions; /* ANSWER: a list, oldest first */
    struct resource *resources;     /* STORE: a list, oldest first; passes to the driver */
    struct index_job *index_job;    /* INDEX: passes to the driver */
    struct journal_record record;   /* COMMIT: its spans are good until COMMITTED */
    struct err err;                 /* ANSWER, REFUSE, HALT; code E_OK: none */
    size_t bytes;                   /* RESERVE */
    uint64_t size;                  /* STORE, TRIM */
};

enum {
    SEQUENCER_ACTIONS_MAX = 8
};
struct sequencer_actions {
    size_t count;
    struct sequencer_action items[SEQUENCER_ACTIONS_MAX];
};

/* What LOOK_UP works on: the leaves of the submissions in order, and a hit for each. */
struct sequencer_batch {
    struct submission *submissions;
    size_t count;   /* entries */
    size_t bytes;   /* of their bundle encoding */
    uint64_t *hits; /* SEQUENCER_NO_HIT, or the index whose level-0 tile has this very hash */
    uint64_t
        *tag_hits; /* SEQUENCER_NO_HIT, or the index of the entry with this tag; with facts only */
};

struct sequencer;

/* Starts at the tree of `edge`, which recovery has made, with everything below edge_size committed;
 * takes the edge over. Entries below `stored` are in full tiles, those below `indexed` in the index;
 * `recent` knows the others, and is taken over too. */
struct sequencer *sequencer_new(const struct sequencer_limits *limits, struct edge *edge,
                                struct recent *recent, uint64_t stored, uint64_t indexed);
/* What was not answered is freed, unanswered. */
void sequencer_free(struct sequencer *sequencer);

/* Appends the actions now due to `out`, which must be empty. */
void sequencer_step(struct sequencer *sequencer, const struct sequencer_event *event,
                    struct sequencer_actions *out);

/* Between LOOK_UP and LOOKED_UP. */
const struct sequencer_batch *sequencer_batch(const struct sequencer *sequencer);

/* The durable tree. Not between COMMIT and COMMITTED, nor after HALT. */
const struct edge *sequencer_edge(const struct sequencer *sequencer);

/* Nothing is under way or queued. */
bool sequencer_is_idle(const struct sequencer *sequencer);

#endif
