/* receipt_check.h -- receipts verified against a policy, many at a time.
 *
 * The receipts of one call, and of one round, hold the same note byte for byte: its signatures, some
 * 100 us each, are then checked once. What is said about a receipt does not depend on it.
 * Pure. One owner.
 */
#ifndef TLOG_RECEIPT_CHECK_H
#define TLOG_RECEIPT_CHECK_H

#include "tlog/receipt.h"

struct receipt_check {
    const struct policy *policy;   /* borrowed */
    struct buf note;               /* the one opened last; owned; empty at first */
    struct policy_verdict verdict; /* on it */
    uint64_t opened;               /* notes whose signatures were checked */
};

void receipt_check_init(struct receipt_check *check, const struct policy *policy);
void receipt_check_clear(struct receipt_check *check);

/* Does this tlog-proof show the entry with this leaf hash at this index, in a checkpoint of the log?
 * E_OK with *verdict, which is good until the next call: is_met tells whether the policy is met, too.
 * Errors are those of receipt_parse and receipt_verify; E_BAD_PROOF for another index. */
MUST_USE enum err_code receipt_check(struct receipt_check *check, struct span receipt,
                                     uint64_t index, const struct hash *leaf,
                                     const struct policy_verdict **verdict, struct err *err);

#endif
