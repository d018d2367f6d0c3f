/* evidence_report.h -- the verdict on a file of evidence, in words and in JSON: what it proves, and what not.
 *
 * Every byte that comes from the file is escaped. Main thread.
 */
#ifndef CLI_EVIDENCE_REPORT_H
#define CLI_EVIDENCE_REPORT_H

#include "cli/output.h"
#include "evidence/evidence.h"
#include "tlog/policy.h"

enum evidence_outcome {
    EVIDENCE_OUTCOME_PROVED,
    EVIDENCE_OUTCOME_SAID, /* an observation; also when nobody checked its signature */
    EVIDENCE_OUTCOME_NOT_PROVED,
    EVIDENCE_OUTCOME_BAD_SIGNATURE,
    EVIDENCE_OUTCOME_UNKNOWN_LOG,
    EVIDENCE_OUTCOME_MALFORMED,
};

struct evidence_report {
    enum evidence_outcome outcome;
    const struct policy *policy;     /* borrowed */
    struct evidence evidence;        /* unless malformed */
    struct evidence_verdict verdict; /* proved and said; of what is said the observation only */
    const struct vkey *keys[2];      /* who signed A and B; an observation has one. Borrowed */
    char monitor[KEY_NAME_BYTES_MAX + 16]; /* "NAME+ID" below an observation */
    bool is_checked; /* said: the signature verifies under a key we were given */
    struct err why;  /* of all other outcomes */
};

/* Lines on stdout, the verdict first. `file` is named when it is not NULL. */
void evidence_report_print(const struct evidence_report *report, const char *file);
/* The same; the caller owns it. */
json_t *evidence_report_json(const struct evidence_report *report);

#endif
