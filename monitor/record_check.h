/* record_check.h -- the rules that need no case key, applied to entries in the order of the log.
 *
 * Form, signature, submitter, one record a tag, UNSEAL and what it opens. Whatever is wrong is noted
 * (record_findings.h), and told when the tree is held. "It judges form, never law."
 * Keys in the record store: "t/<entry tag>" what has that tag.
 * One thread.
 */
#ifndef MONITOR_RECORD_CHECK_H
#define MONITOR_RECORD_CHECK_H

#include "monitor/record_findings.h"
#include "monitor/record_seals.h"
#include "monitor/record_submitters.h"
#include "monitor/record_view.h"

/* What is known of the first entry with a tag: what the rules of a case need. */
struct record_fact {
    struct record_stamp stamp;
    uint64_t leaf; /* its first 8 bytes */
    uint32_t kind;
    uint64_t minute;                     /* 0: sealed */
    struct hash case_commitment;         /* CASE_FILED */
    uint8_t counts[CLOSED_COUNTS_BYTES]; /* CLOSED */
};
/* E_NOT_FOUND: no entry that counts has this tag. */
MUST_USE enum err_code record_fact_get(struct record_fact *out, struct record_store *store,
                                       const struct hash *tag, struct err *err);

/* All borrowed. */
struct record_check {
    const char *origin;
    const struct policy *policy;
    struct record_store *store;
    struct record_submitters *submitters;
    struct record_seals *seals;
    struct record_findings *findings;
    struct record_view_options view_options;
};

/* Entry `index`, which is the store's position. Errors are the store's. */
MUST_USE enum err_code record_check_entry(struct record_check *check, uint64_t index,
                                          struct record_view *view, struct err *err);

#endif
