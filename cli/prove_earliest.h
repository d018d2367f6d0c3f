/* prove_earliest.h -- the checkpoint that dates an entry best: the first that had it.
 *
 * design: "Entries and time". Blocks. Main thread.
 */
#ifndef CLI_PROVE_EARLIEST_H
#define CLI_PROVE_EARLIEST_H

#include "client/log_fetch.h"
#include "tlog/receipt.h"

/* What is proved already, against the latest checkpoint. */
struct prove_latest {
    struct span note;
    const struct checkpoint *checkpoint;
    const struct proof *proof; /* of the entry */
};

struct prove_earliest {
    struct buf note; /* owned */
    struct policy_verdict checkpoint;
    struct proof proof;
    struct buf evidence; /* owned; with E_CONFLICT: a fork, for `courtroll verify-evidence` */
};

/* The earliest archived checkpoint with entry `index` that meets the policy and is consistent with the
 * latest. E_NOT_FOUND, in words, when there is none that is any use; E_CONFLICT, with evidence, when the
 * archived and the latest checkpoint contradict each other; else what went wrong on the way. The caller clears *out, but
 * for E_NOT_FOUND. */
MUST_USE enum err_code prove_earliest_find(struct prove_earliest *out,
                                           const struct log_address *address,
                                           const struct policy *policy,
                                           const struct prove_latest *latest, uint64_t index,
                                           struct err *err);
void prove_earliest_clear(struct prove_earliest *earliest);

/* Writes the evidence to "PATH.fork". Never E_OK: an error that says where it is. */
enum err_code prove_earliest_write_evidence(const struct prove_earliest *earliest, const char *path,
                                            struct err *err);

#endif
