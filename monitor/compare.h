/* compare.h -- a signed note from anywhere, compared with the tree that we hashed ourselves.
 *
 * design: "What proves misbehaviour". Notes are never compared pairwise but with the held tree: one of its
 * size by its root; a smaller one by the root that our tree had then, computed from tiles of the log or a
 * mirror, each checked against our root; a larger one waits in note_memory until we are as far.
 * A contradiction is raised as `fork` with evidence (form 1 with our note of that size, form 2 with the proof),
 * and as `witness-equivocation` for every witness of the policy whose lines are on both sides (forms of
 * evidence.h). Lines of witnesses on honest notes are remembered by witness_memory, which finds a smaller size
 * at a later time.
 * May read files of the log and the store: a thread that may block. Any thread, several at once.
 */
#ifndef MONITOR_COMPARE_H
#define MONITOR_COMPARE_H

#include "monitor/watched_log.h"
#include "tlog/proof.h"

enum compare_result {
    COMPARE_SAME,          /* the held size and root */
    COMPARE_CONSISTENT,    /* smaller, and a prefix of the held tree */
    COMPARE_AHEAD,         /* larger than the held tree: remembered by the caller, compared later */
    COMPARE_CONTRADICTION, /* proved; raised */
    COMPARE_NO_DATA,       /* smaller, and the tiles to compare it are not served: try again */
    COMPARE_NOTHING_HELD,  /* we have verified nothing yet: try again */
    COMPARE_NOT_LOOKED_AT, /* older than the checkpoint we were told to trust, and its data is not there */
};
const char *
compare_result_text(enum compare_result result); /* "same", "consistent", "ahead", ... */

struct compare_outcome {
    enum compare_result result;
    struct checkpoint checkpoint; /* what the note says; the log signed it */
    struct policy_verdict verdict;
    bool has_evidence;
    struct hash evidence_id; /* SHA-256 of the fork evidence */
    char detail[256];        /* why there is no data; or "" */
};

/* `from` is where the note came from, for summaries ("witness http://..."), escaped by the callee. E_MALFORMED,
 * E_NOT_FOUND (another origin), E_BAD_SIGNATURE (the log's line is missing or does not verify: nothing is
 * raised, since anybody can make such a note); E_IO: the store. The findings' cause is (fork, origin, ""): one
 * alert a log, however many contradictions; equivocation has the witness's name as its subject. */
MUST_USE enum err_code compare_note(struct watched_log *log, const char *from, struct span note,
                                    const struct monitor_time *now, struct compare_outcome *out,
                                    struct err *err);

/* A promise note, handed in. E_UNSUPPORTED without the log's promise key in the policy; E_MALFORMED,
 * E_BAD_SIGNATURE, E_DENIED; each item below the held size is compared with the leaf in our tree. */
struct compare_promise_outcome {
    size_t kept, broken, open; /* items; open: at or above the held size, or no data */
    bool has_evidence;
    struct hash evidence_id; /* of the first broken one, raised as promise-broken (subject "") */
    char detail[256];
};
MUST_USE enum err_code compare_promise(struct watched_log *log, const char *from, struct span note,
                                       const struct monitor_time *now,
                                       struct compare_promise_outcome *out, struct err *err);

/* The root of the held tree when it had `size` entries, with the proof that leads from it to the held root
 * (`proof` may be NULL). Requires size <= held->range.size. E_NOT_FOUND: nobody serves the tiles. */
MUST_USE enum err_code compare_older_root(struct watched_log *log, const struct held_tree *held,
                                          uint64_t size, struct hash *root, struct proof *proof,
                                          struct err *err);

#endif
