/* record_judgement.h -- what a disclosure proves against a policy, and how that is said.
 *
 * Spec: docs/record.md, "Verifying". Main thread.
 */
#ifndef CLI_RECORD_JUDGEMENT_H
#define CLI_RECORD_JUDGEMENT_H

#include "cli/record.h"
#include "cli/verdict.h"
#include "record/disclosure.h"

struct record_judgement {
    bool is_complete; /* there is more to print than a reason */
    struct disclosure disclosure;
    struct disclosure_verdict says;
    uint64_t index;                   /* of the record */
    struct policy_verdict checkpoint; /* of its proof */
    bool is_registered;               /* shown on the log; the three below are there */
    struct operation registration;
    uint64_t registration_index;
    struct policy_verdict registration_checkpoint;
    bool has_document; /* one was given, and it is the record's */
};

/* `document`: digest of the document to compare, or NULL. Sets *err for every verdict but PASS and NO QUORUM. To be
 * cleared in any case. */
enum verdict record_judge(struct record_judgement *out, const struct policy *policy,
                          struct span json, const struct hash *document, struct err *err);
void record_judgement_clear(struct record_judgement *judgement);

/* Whose id the record has: in the clear, or of a sealed one in a field, which is always opened. Requires
 * is_complete. */
struct submitter_id record_judgement_submitter(const struct record_judgement *judgement);

void record_judgement_print(const struct record_judgement *judgement, enum verdict verdict,
                            const struct policy *policy, const char *path);
void record_judgement_print_json(const struct record_judgement *judgement, enum verdict verdict,
                                 const struct policy *policy);

#endif
