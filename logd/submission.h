/* submission.h -- one call's entries on their way into the log.
 *
 * design: "The life of an entry", steps 1 and 5. An edge (gRPC or HTTP) makes it, the pool carries
 * it, the sequencer fills in the results, and `on_done` takes it back.
 * One owner at a time; it is handed over whole.
 */
#ifndef LOGD_SUBMISSION_H
#define LOGD_SUBMISSION_H

#include "base/crypto.h"
#include "base/err.h"
#include "base/span.h"
#include "logd/entry_facts.h"

/* An entry whose tag is on the log with other bytes: then nothing of its submission is logged. */
struct submission_conflict {
    bool is_there;
    bool
        is_inside; /* the other one stands earlier in the same submission: `index` is its position */
    size_t position;
    uint64_t index; /* where the other one is on the log */
};

struct submission {
    struct submission *next;   /* in the list of whoever owns it */
    size_t count;              /* of entries, >= 1 */
    size_t entries_bytes;      /* of `entries` */
    uint8_t *entries;          /* as in an entry bundle: 16-bit length and bytes, each */
    struct hash *leaves;       /* of each entry */
    struct entry_facts *facts; /* of each entry, schema = operation; else NULL */

    /* Results, valid when on_done is told E_OK. */
    uint64_t *indices;
    bool *duplicate; /* those bytes were in the log already: the index is the first copy's */
    struct submission_conflict conflict; /* when it is refused alone, for an entry tag */

    /* Takes the submission back, on the sequencer thread (or on the thread that submitted it, when
     * the pool refuses it): DURABLE with E_OK, or refused with nothing stored. `err` is NULL for
     * E_OK. Must not block. */
    void (*on_done)(struct submission *submission, const struct err *err);
    void *ctx;
};

/* Room for `count` entries of `bytes` in all, in one allocation. Add each, then hand it over. */
struct submission *submission_new(size_t count, size_t bytes);
/* Likewise, with facts. */
struct submission *submission_new_with_facts(size_t count, size_t bytes);
void submission_free(struct submission *submission);

/* One tag twice in the submission, with different bytes: of all such pairs any is its conflict. Requires facts. */
void submission_find_conflict(struct submission *submission);

/* E_EXISTS, in words for the submitter. Requires that there is a conflict. */
enum err_code submission_refusal(const struct submission *submission, struct err *err);

/* Gives the memory of the entries back once they are in the log; the submission may move. The results,
 * the leaf hashes and the facts stay. */
MUST_USE struct submission *submission_drop_entries(struct submission *submission);

/* Adds the next entry and hashes it. Requires that it was counted in submission_new. */
void submission_add(struct submission *submission, struct span entry);
/* Likewise, for one that was made with facts. */
void submission_add_with_facts(struct submission *submission, struct span entry,
                               const struct entry_facts *facts);

#endif
