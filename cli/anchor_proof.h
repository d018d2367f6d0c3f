/* anchor_proof.h -- what shows that an entry was logged after a time: the ANCHOR before it, in one file.
 *
 * design: "Entries and time"; docs/operations.md, "When". The file is the ANCHOR's own tlog-proof, with the entry as
 * extra data, at the checkpoint of the receipt that it goes with: so the log cannot have two histories between them.
 * Pure, but for anchor_proof_find, which blocks. Main thread.
 */
#ifndef CLI_ANCHOR_PROOF_H
#define CLI_ANCHOR_PROOF_H

#include "client/log_address.h"
#include "tlog/receipt.h"

enum {
    ANCHOR_PROOF_ENTRIES_MAX =
        1000 * 1000, /* searched for an ANCHOR: 300 s of 3,000 a second, and more */
};

struct anchor_proof {
    uint64_t index;
    uint64_t time_s;              /* entries behind it were sequenced after this */
    struct checkpoint checkpoint; /* the one in it */
    struct buf entry;             /* owned; only of one that was found */
    struct proof proof;           /* likewise */
};
void anchor_proof_clear(struct anchor_proof *anchor);

/* Whether `entry`, at `index` of the log with this origin, is an ANCHOR that bounds time: its note is that log's, of a
 * tree without it, and has its quorum. Fills in index and time_s. E_NOT_FOUND when it is no ANCHOR, or too few witnesses
 * are in it; E_MALFORMED, E_BAD_SIGNATURE when it is one that the log should not have made. */
MUST_USE enum err_code anchor_proof_read(struct anchor_proof *out, struct span entry,
                                         uint64_t index, const struct policy *policy,
                                         const char *origin, struct err *err);

/* Judges a file that goes with a receipt: `receipt` has been verified, `checkpoint` is what it leads to. E_BAD_PROOF:
 * another checkpoint, not before the receipt's entry, not in the tree; else as anchor_proof_read. */
MUST_USE enum err_code anchor_proof_check(struct anchor_proof *out, struct span file,
                                          const struct receipt *receipt,
                                          const struct policy *policy,
                                          const struct policy_verdict *checkpoint, struct err *err);

/* The last ANCHOR below `index` that bounds time, with its proof in the tree of `size`, which is a prefix of the log's
 * tree `latest`. E_NOT_FOUND when the last ANCHOR_PROOF_ENTRIES_MAX entries have none; E_BAD_PROOF when its
 * checkpoint is not of that tree: the log has two histories, and says so itself; E_UNSUPPORTED over gRPC; else
 * as the log's files fail. E_OK: call anchor_proof_clear. `on_progress` may be NULL. */
MUST_USE enum err_code
anchor_proof_find(struct anchor_proof *out, const struct log_address *address,
                  const struct policy *policy, const struct checkpoint *latest, uint64_t size,
                  uint64_t index, void (*on_progress)(void *ctx, uint64_t entries), void *ctx,
                  struct err *err);

#endif
