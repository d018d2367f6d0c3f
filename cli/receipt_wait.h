/* receipt_wait.h -- asks a log for the receipt of an entry until the caller's policy is met.
 *
 * A log answers an append when its own policy is met; another may ask for more witnesses, whose
 * cosignatures come late. Blocks. One thread.
 */
#ifndef CLI_RECEIPT_WAIT_H
#define CLI_RECEIPT_WAIT_H

#include "client/rpc_log.h"
#include "tlog/receipt_check.h"

/* Appends a receipt that verifies and meets the policy of `check`. Asks once at least, then until
 * `until_ns` of output_now_ns. E_TIMEOUT when there is none by then, with what was missing; errors of
 * receipt_check when what the log gives is wrong; E_DENIED and the like when it refuses. */
MUST_USE enum err_code receipt_wait(struct rpc_log *log, struct receipt_check *check,
                                    uint64_t index, const struct hash *leaf, uint64_t until_ns,
                                    struct buf *receipt, struct err *err);

/* What a checkpoint lacks, in words: "cosigned by w1 only, the policy asks for 2 of (w1, w2, w3)". */
void receipt_wait_put_missing(struct buf *out, const struct policy *policy,
                              const struct policy_verdict *verdict);

#endif
