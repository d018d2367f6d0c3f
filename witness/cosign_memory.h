/* cosign_memory.h -- what the cosigner remembers of one log, besides its state: the last answer, for
 * who asks the same again, and the notes that were refused last, to find two that contradict.
 *
 * Lost at a restart, which costs a signature more, or a piece of evidence that would have needed two
 * refused notes. Bounded. Owned by the request that has the log's turn; pure.
 */
#ifndef WITNESS_COSIGN_MEMORY_H
#define WITNESS_COSIGN_MEMORY_H

#include "witness/cosign_request.h"

enum {
    COSIGN_REFUSED_MAX = 64,
    COSIGN_REFUSED_NOTE_MAX = 16 * 1024, /* a log's own lines are less; above, it is not kept */
    COSIGN_KEPT_MAX = 64
};

struct cosign_refused {
    uint64_t size;
    struct hash root;
    struct buf note; /* owned: a note under the log's keys, without lines of others */
};

struct cosign_memory {
    bool is_state_unknown; /* a commit failed: read it again before the next decision */

    bool has_answer; /* and nothing was signed since */
    struct hash answered_body;
    uint64_t answered_ms;
    struct buf answered_lines;

    struct cosign_refused refused[COSIGN_REFUSED_MAX]; /* a ring */
    size_t refused_count;                              /* so far */

    struct hash kept[COSIGN_KEPT_MAX]; /* a ring: contradictions that became evidence */
    size_t kept_count;                 /* so far */
};

struct cosign_memory *cosign_memory_new(void);
void cosign_memory_free(struct cosign_memory *memory); /* NULL is fine */

void cosign_memory_set_answer(struct cosign_memory *memory, const struct hash *body,
                              struct span lines, uint64_t now_ms);
void cosign_memory_forget_answer(struct cosign_memory *memory);
/* The answer to that body, if it was the last one and not more than `age_ms` ago. */
bool cosign_memory_find_answer(const struct cosign_memory *memory, const struct hash *body,
                               uint64_t now_ms, uint64_t age_ms, struct span *lines);

/* Contradictions, by a hash of what is in them: who sends one again and again costs no more than the
 * hash. */
bool cosign_memory_has_kept(const struct cosign_memory *memory, const struct hash *contradiction);
void cosign_memory_add_kept(struct cosign_memory *memory, const struct hash *contradiction);

/* Remembers a log's note that was not cosigned, once for each size and root. */
void cosign_memory_add_refused(struct cosign_memory *memory, const struct cosign_request *request);
/* The next refused note with this size and another root, from *at on, which starts as 0 and moves.
 * False when there is none. */
bool cosign_memory_find_contradicting(const struct cosign_memory *memory,
                                      const struct checkpoint *checkpoint, size_t *at,
                                      struct span *note);

#endif
