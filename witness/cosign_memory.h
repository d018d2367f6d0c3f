/* cosign_memory.h -- what the cosigner remembers of one log, besides its state: the last answer, for
 * who asks the same again; the notes that were refused, to find two that contradict; which
 * contradictions were dealt with; and evidence that could not be written yet.
 *
 * Lost at a restart, which costs a signature more, or a piece of evidence that would have needed two
 * refused notes or a disk that works. Bounded for each log, and in bytes over all logs: a note for which
 * there is no room is not remembered. Owned by the request that has the log's turn.
 */
#ifndef WITNESS_COSIGN_MEMORY_H
#define WITNESS_COSIGN_MEMORY_H

#include "witness/cosign_request.h"

#include <stdatomic.h>
#include <sys/queue.h>

enum {
    /* Of one log's refused notes, of any length; the oldest go first. About 700 short ones. */
    COSIGN_REFUSED_BYTES_MAX = 256 * 1024,
    COSIGN_MEMORY_TOTAL_BYTES_MAX =
        32 * 1024 * 1024, /* refused notes and unwritten files of all logs */
    COSIGN_KEPT_MAX = 64,
    COSIGN_UNWRITTEN_MAX = 4
};

/* What the memories of all logs hold together. Zeroed at the start, outlives them. Any thread. */
struct cosign_memory_total {
    atomic_size_t bytes;
    atomic_bool was_full; /* it is logged once */
};

struct cosign_refused {
    TAILQ_ENTRY(cosign_refused) next;
    uint64_t size;
    struct hash root;
    size_t len;
    uint8_t note[]; /* under the log's keys, without lines of others */
};

struct cosign_memory {
    struct cosign_memory_total *total; /* borrowed */
    bool is_state_unknown;             /* a commit failed: read it again before the next decision */

    bool has_answer; /* and nothing was signed since */
    struct hash answered_body;
    uint64_t answered_ms;
    struct origin_state answered_state;
    struct buf answered_lines;

    TAILQ_HEAD(cosign_refused_notes, cosign_refused) refused; /* owned; oldest first */
    size_t refused_bytes;

    bool is_evidence_full;             /* the origin has all the files that are kept */
    struct hash kept[COSIGN_KEPT_MAX]; /* a ring: contradictions that need not be looked at again */
    size_t kept_count;                 /* so far */

    struct buf unwritten[COSIGN_UNWRITTEN_MAX]; /* owned: evidence files, oldest first */
    size_t unwritten_count;
    uint64_t unwritten_due_ms; /* when to try again */
};

struct cosign_memory *cosign_memory_new(struct cosign_memory_total *total);
void cosign_memory_free(struct cosign_memory *memory); /* NULL is fine */

/* `lines` are our cosignatures of `state`, which is durable. */
void cosign_memory_set_answer(struct cosign_memory *memory, const struct hash *body,
                              const struct origin_state *state, struct span lines, uint64_t now_ms);
void cosign_memory_forget_answer(struct cosign_memory *memory);
/* The answer to that body, if it was the last one and not more than `age_ms` ago. */
bool cosign_memory_find_answer(const struct cosign_memory *memory, const struct hash *body,
                               uint64_t now_ms, uint64_t age_ms, struct span *lines);
/* Our lines for just this size, root and time, if they were the last answer. */
bool cosign_memory_find_lines(const struct cosign_memory *memory, const struct origin_state *state,
                              struct span *lines);

/* Contradictions, by a hash of what the log claims in them: who sends one again and again costs no more
 * than the hash. */
bool cosign_memory_has_kept(const struct cosign_memory *memory, const struct hash *contradiction);
void cosign_memory_add_kept(struct cosign_memory *memory, const struct hash *contradiction);

/* Remembers a log's note that was not cosigned, once for each size and root. */
void cosign_memory_add_refused(struct cosign_memory *memory, const struct cosign_request *request);
/* A refused note with this size and another root, good until the memory changes. False when there is
 * none. */
bool cosign_memory_find_contradicting(const struct cosign_memory *memory,
                                      const struct checkpoint *checkpoint, struct span *note);

/* Copies an evidence file, to be written later. False: there is no room. */
bool cosign_memory_add_unwritten(struct cosign_memory *memory, struct span file);
/* Drops the oldest, of which there is one. */
void cosign_memory_drop_unwritten(struct cosign_memory *memory);

#endif
