/* cosigning.h -- the signed notes, the witnesses, and what each of them has said.
 *
 * It holds the kept notes, has the conversations, puts verified lines to the notes and counts. What
 * follows from that is for round.h, which hears of it through the callbacks.
 * cosigning_statuses: any thread. The rest: loop thread.
 */
#ifndef LOGD_COSIGNING_H
#define LOGD_COSIGNING_H

#include "logd/kept_notes.h"
#include "logd/round.h"
#include "logd/witness_client.h"
#include "logd/witness_status.h"

struct cosigning;

struct cosigning_options {
    uv_loop_t *loop;
    const struct policy *policy; /* NULL: no witnesses; all pointers are borrowed */
    const struct vkey *log;
    struct tile_cache *cache;
    void *ctx;
    uint64_t (*durable)(void *ctx);
    /* A cosignature of that size is new, or has a later time. */
    void (*on_cosigned)(void *ctx, size_t witness, uint64_t size);
    void (*on_answered)(void *ctx, size_t witness, enum round_answer answer, uint64_t size);
    void (*on_looked)(void *ctx, size_t witness, bool is_consistent);
    /* A note under our key that our tree contradicts: nothing may be signed any more. After it the
     * round is not told of the answer. */
    void (*on_contradiction)(void *ctx, size_t witness, struct span note);
};

struct cosigning *cosigning_new(const struct cosigning_options *options);
/* on_closed comes from the loop, or at once when there are no witnesses; it is freed then. */
void cosigning_close(struct cosigning *cosigning, void *ctx, void (*on_closed)(void *ctx));

/* A note was signed, or is left from an earlier run: takes the reference over. The tree's note has the
 * log's line only. The kept note is good until the next sweep. */
struct kept_note *cosigning_keep(struct cosigning *cosigning, struct published_tree *tree);
/* Lets go of what the round has no note of. */
void cosigning_sweep(struct cosigning *cosigning, const struct round *round);

/* Borrowed; NULL when there is none. */
struct kept_note *cosigning_note(const struct cosigning *cosigning, uint64_t size);
struct kept_note *cosigning_newest(const struct cosigning *cosigning);
void cosigning_put_note(struct cosigning *cosigning, const struct kept_note *note, struct buf *out);
struct policy_set cosigning_set(const struct cosigning *cosigning, const struct kept_note *note);

/* Both answer through the callbacks, later. */
void cosigning_ask(struct cosigning *cosigning, size_t witness, uint64_t size);
/* `last_signed`: NULL when nothing was signed yet. */
void cosigning_look(struct cosigning *cosigning, size_t witness, struct published_tree *tree,
                    struct published_tree *last_signed);

/* Verified lines over the checkpoint of `size`, whoever brought them. */
struct cosigning_added {
    size_t added; /* new, or with a later time */
    size_t known;
};
struct cosigning_added cosigning_add_lines(struct cosigning *cosigning, uint64_t size,
                                           const struct cosign_lines *lines);

size_t cosigning_witness_count(const struct cosigning *cosigning);
/* Fills out[witness_count]. */
void cosigning_statuses(struct cosigning *cosigning, struct witness_status *out);

/* The witnesses whose last answer was no cosignature. */
struct policy_set cosigning_failing(const struct cosigning *cosigning);

/* Appends who is missing under the newest note and why, as far as there is room: "w2 timed out, w3
 * answered 500". */
void cosigning_put_missing(const struct cosigning *cosigning, struct buf *out);

#endif
