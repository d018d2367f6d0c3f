/* receipt.h -- tlog-proof files: an entry's inclusion proof and the checkpoint it leads to.
 *
 * Spec: C2SP tlog-proof, "c2sp.org/tlog-proof@v1".
 * Pure. Any thread.
 */
#ifndef TLOG_RECEIPT_H
#define TLOG_RECEIPT_H

#include "tlog/policy.h"
#include "tlog/proof.h"

struct receipt {
    uint64_t index;
    struct proof proof;
    struct span note; /* the checkpoint, verbatim: inside the bytes parsed */
    struct buf extra; /* decoded, unauthenticated; owned; empty when absent */
    bool has_extra;
};

/* E_MALFORMED. Free with receipt_clear. */
MUST_USE enum err_code receipt_parse(struct receipt *out, struct span bytes, struct err *err);
void receipt_clear(struct receipt *receipt);

void receipt_put(struct buf *out, uint64_t index, const struct proof *proof, struct span note);
/* With extra data, which nothing vouches for. */
void receipt_put_with_extra(struct buf *out, struct span extra, uint64_t index,
                            const struct proof *proof, struct span note);

/* Is the entry with this leaf hash in the tree of a checkpoint that the policy accepts?
 * E_OK with out->is_met; E_MALFORMED (note); E_NOT_FOUND (unknown log); E_BAD_SIGNATURE;
 * E_BAD_PROOF (the leaf hash is not at that index). Quorum is reported, not required. */
MUST_USE enum err_code receipt_verify(const struct receipt *receipt, const struct policy *policy,
                                      const struct hash *leaf, struct policy_verdict *out,
                                      struct err *err);

#endif
