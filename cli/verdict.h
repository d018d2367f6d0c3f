/* verdict.h -- what a policy says about a checkpoint or a receipt, in words, in JSON and as an exit
 * code. design: "Commands" (verify), "Entries and time". Main thread.
 */
#ifndef CLI_VERDICT_H
#define CLI_VERDICT_H

#include "cli/anchor_proof.h"
#include "cli/output.h"
#include "tlog/policy.h"
#include "tlog/receipt.h"

enum verdict {
    VERDICT_PASS,
    VERDICT_MISMATCH,      /* not the entry at that index */
    VERDICT_NO_QUORUM,     /* the log's signature is good, too few witnesses' are there */
    VERDICT_BAD_SIGNATURE, /* of the log */
    VERDICT_UNKNOWN_LOG,   /* not in the policy */
    VERDICT_MALFORMED,
    VERDICT_SUPERSEDED, /* only under a policy that is no longer in force */
};

/* "PASS", "MISMATCH", ..., and "PASS on the log's word alone" when the policy asks for no quorum. */
const char *verdict_text(enum verdict verdict, const struct policy *policy);

/* From what policy_open_checkpoint or receipt_verify returned. */
enum verdict verdict_of(enum err_code code, const struct policy_verdict *checkpoint);

int verdict_exit_code(enum verdict verdict);

/* Lines on stdout: log, size, root, every witness of the policy with its time, quorum, f, policy. */
void verdict_print_checkpoint(const struct policy *policy, const struct policy_verdict *checkpoint);

/* Lines on stdout: the bounds on when the entries of the checkpoint's tree were logged. */
void verdict_print_times(const struct policy *policy, const struct policy_verdict *checkpoint);
/* Likewise of one entry, with the ANCHOR before it; NULL: none is known. */
void verdict_print_times_of_entry(const struct policy *policy,
                                  const struct policy_verdict *checkpoint,
                                  const struct anchor_proof *anchor);

/* The same as members of `object`. */
void verdict_put_checkpoint(json_t *object, const struct policy *policy,
                            const struct policy_verdict *checkpoint);
void verdict_put_times(json_t *object, const struct policy *policy,
                       const struct policy_verdict *checkpoint);
void verdict_put_times_of_entry(json_t *object, const struct policy *policy,
                                const struct policy_verdict *checkpoint,
                                const struct anchor_proof *anchor);

/* Starts an object with "verdict", "ok" and "policy_sha256". */
json_t *verdict_json(enum verdict verdict, const struct policy *policy);

/* Prints a verdict for which there is no more than a reason, and returns its exit code. */
int verdict_fail(const struct output *output, enum verdict verdict, const struct policy *policy,
                 const struct err *why);

#endif
