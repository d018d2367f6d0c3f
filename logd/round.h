/* round.h -- when a checkpoint is made: which size is signed, who is asked, and which is published.
 *
 * design: "The life of an entry", steps 7 and 8. A pure state machine on the loop thread: round_step
 * takes what happened, with the time in it, and appends what is now to be done.
 *
 * Normal path: NEWS -> SNAPSHOT -> (when its full tiles are stored) PREPARE: partial tiles synced, note
 * signed and synced -> ASK every witness that is idle -> (when a quorum has cosigned) PUBLISH -> rest
 * until the interval is over. The first news after a rest begins a round at once. Without witnesses a
 * prepared note is published at once.
 * It can fail so: PREPARE or PUBLISH fails (a full disk): the last published note stays in place, and
 * the round is tried again, with a newer tree, after ROUND_RETRY_MS, however long the interval is.
 * There is no quorum within ROUND_QUORUM_MS: the round is over, the log is degraded, and the next round
 * begins when there are news; when no witness can be asked, since all bring files, it is over at once.
 * The notes of the last ROUND_KEPT rounds, and of sizes that are pinned, are kept: a cosignature that
 * comes late still counts in receipts, and the largest of them that has a quorum is published whenever
 * that comes, unless a larger one was. A witness that fails is left alone for a while, longer each time.
 */
#ifndef LOGD_ROUND_H
#define LOGD_ROUND_H

#include "tlog/policy.h"

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
    ROUND_HURRY,    /* somebody wants a signed note: likewise, for the next round, once a second */
    ROUND_COSIGNED, /* witness, size: its cosignature is at hand and new, whoever brought it */
    ROUND_ANSWERED, /* witness, answer: what became of ASK; with COSIGNED told before */
    ROUND_MERGED,   /* is_ok: the published note has the cosignatures that came later */
};

/* What came of asking a witness. */
enum round_answer {
    ROUND_ANSWER_COSIGNED,
    ROUND_ANSWER_AHEAD,   /* size: it holds a newer one of ours, to be asked about from there on */
    ROUND_ANSWER_FAILED,  /* it did not answer, or not with a cosignature */
    ROUND_ANSWER_NOTHING, /* of what it was occupied with: it may be asked now */
    ROUND_ANSWER_ACCUSED, /* it claims what no note of ours shows: left alone as long as can be */
};

struct round_event {
    enum round_event_type type;
    uint64_t now_ms; /* monotonic */
    uint64_t size;
    bool is_ok;
    size_t witness; /* position in the policy */
    enum round_answer answer;
};

enum round_action_type {
    ROUND_TAKE_SNAPSHOT, /* of the durable tree, then SNAPSHOT */
    ROUND_PREPARE,       /* the snapshot, then PREPARED */
    ROUND_PUBLISH,       /* the note of `size`, then PUBLISHED */
    ROUND_WAIT,          /* send a TICK at `at_ms` */
    ROUND_ASK,           /* the witness, about the note of `size`, then ANSWERED */
    ROUND_MERGE,         /* the published note anew, then MERGED */
};

struct round_action {
    enum round_action_type type;
    uint64_t at_ms;
    uint64_t size;
    size_t witness;
};

enum {
    ROUND_ACTIONS_MAX = POLICY_KEYS_MAX + 8,
    ROUND_KEPT = 64,   /* notes of rounds, whether published since or not */
    ROUND_PINNED = 16, /* exported notes */
    ROUND_NOTES_MAX =
        ROUND_KEPT + ROUND_PINNED + 3, /* the published, the next one, and a new one */
    ROUND_RETRY_MS = 1000,
    ROUND_HURRY_MS = 1000, /* at least, between two rounds that somebody's wish began */
    ROUND_QUORUM_MS = 10 * 1000,
    ROUND_MERGE_MS = 100, /* late cosignatures are put into the published note together */
    ROUND_REFRESH_MS = 10 * 60 * 1000,
    ROUND_BACKOFF_MS = 500, /* after one failure; doubled by each, of which half is chance */
    ROUND_BACKOFF_MAX_MS = 16 * 1000,
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
    ROUND_ASKING, /* until there is a quorum, or time is up */
    ROUND_PUBLISHING
};

/* A signed note that cosignatures count for. */
struct round_note {
    uint64_t size;
    bool is_pinned;
    struct policy_set cosigned;
};

struct round_witness {
    bool is_askable; /* it has a URL */
    bool is_busy;
    bool wants_refresh;
    unsigned failures; /* in a row */
    uint64_t asked;    /* size, while busy */
    uint64_t least;    /* it holds a note of that size: smaller ones are not worth asking about */
    uint64_t retry_ms;
};

struct round {
    uint64_t interval_ms;
    const struct policy *policy; /* NULL: no witnesses; borrowed */
    uint64_t random;             /* state of the jitter */
    enum round_phase phase;
    bool is_first;        /* nothing is published yet: size 0 is news */
    bool is_paused;       /* the start check has not passed, or never will: sign nothing */
    bool is_draining;     /* the interval does not count any more */
    bool is_hurried;      /* nor does it for the next round */
    bool is_below_quorum; /* the last round that ended, ended without */
    uint64_t durable;     /* newest size heard of */
    uint64_t stored;      /* size whose full tiles are durable */
    uint64_t published;   /* size */
    uint64_t size;        /* of the round under way */
    uint64_t next_ms;     /* no round begins before, for the interval's sake */
    uint64_t retry_ms;    /* likewise, since one failed; and nothing is published before */
    uint64_t hurry_ms;    /* no hurried round begins before */
    uint64_t deadline_ms; /* of ASKING */

    bool is_publishing; /* PUBLISH of `publishing` is under way, in whatever phase */
    uint64_t publishing;
    bool is_merging;
    bool wants_merge; /* at merge_ms */
    uint64_t merge_ms;
    uint64_t refresh_ms; /* 0: to be set */

    size_t note_count;
    struct round_note notes[ROUND_NOTES_MAX]; /* sizes ascending */
    size_t witness_count;
    struct round_witness witnesses[POLICY_KEYS_MAX];
};

/* A log that has published nothing yet (`has_published` false) publishes what it has at once. */
void round_init(struct round *round, uint64_t interval_ms, bool has_published, uint64_t published,
                uint64_t stored);

/* Before the first step, for a policy with a quorum, which is borrowed. `seed` is any number. */
void round_set_witnesses(struct round *round, const struct policy *policy, uint64_t seed);

/* Before the first step: a signed note of an earlier run, with whoever has cosigned it; the published
 * one too. */
void round_add_note(struct round *round, uint64_t size, const struct policy_set *cosigned);

void round_step(struct round *round, const struct round_event *event, struct round_actions *out);

/* While paused no round begins, nobody is asked, and nothing is published. */
void round_pause(struct round *round, bool is_paused);

/* Keeps the note of that size, of which there must be one, beyond its round; the smallest pin goes
 * when there are ROUND_PINNED already. */
void round_pin(struct round *round, uint64_t size);

/* The witness is asked something else: it is busy until ANSWERED with NOTHING. */
void round_occupy(struct round *round, size_t witness);

/* The largest size that is signed; false when there is none. */
bool round_newest(const struct round *round, uint64_t *size);
bool round_has_note(const struct round *round, uint64_t size);
bool round_is_pinned(const struct round *round, uint64_t size);

/* Whether news are waited for, and none are known: every commit is news, and only then do they
 * matter. */
bool round_wants_news(const struct round *round);

#endif
