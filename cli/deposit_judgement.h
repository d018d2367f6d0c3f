/* deposit_judgement.h -- what the data of a certificate prove against a policy.
 *
 * Spec: docs/certificate.md, "Verifying". The policy inside the data is not looked at here. Pure. Main thread.
 */
#ifndef CLI_DEPOSIT_JUDGEMENT_H
#define CLI_DEPOSIT_JUDGEMENT_H

#include "cli/deposit.h"
#include "cli/deposit_code.h"
#include "cli/record_judgement.h"

struct deposit_judgement {
    struct receipt receipt;
    struct policy_verdict checkpoint; /* what the proof leads to */
    bool has_anchor;
    struct anchor_proof anchor;
    bool has_operation;
    struct operation operation; /* the record's clear header */
    struct deposit_code code;
    struct hash leaf;
    uint64_t no_later_than; /* seconds; 0 under `quorum none` */
    struct buf record;      /* owned: the record of a disclosure */
};

/* Sets *err for every verdict but PASS and NO QUORUM. To be cleared in any case. */
enum verdict deposit_judge(struct deposit_judgement *out, const struct deposit *deposit,
                           const struct policy *policy, struct err *err);
void deposit_judgement_clear(struct deposit_judgement *judgement);

#endif
