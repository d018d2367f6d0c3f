/* record_findings.h -- what a scan has found among records, kept back until its tree is held.
 *
 * Before that the bytes are nobody's: a mirror could make an honest log look guilty. Stored with the scan's cursor
 * (key "f"), so that neither a crash nor a step's end loses or repeats any. Of each code so many are kept one by one;
 * further ones are counted.
 * One thread.
 */
#ifndef MONITOR_RECORD_FINDINGS_H
#define MONITOR_RECORD_FINDINGS_H

#include "monitor/record_store.h"

enum {
    RECORD_FINDINGS_MAX = 256, /* of one code, between two trees that are held */
    RECORD_TEXT_MAX = 192,
};

struct record_finding {
    enum finding_code code;
    bool is_over;          /* not found, but over */
    uint64_t index, other; /* of the entry; tag-repeated: of the one before it */
    char text[RECORD_TEXT_MAX];
};

struct record_findings;

/* E_CORRUPT, E_IO. */
MUST_USE enum err_code record_findings_open(struct record_findings **out,
                                            struct record_store *store, struct err *err);
void record_findings_free(struct record_findings *findings); /* NULL is fine */

void record_findings_add(struct record_findings *findings, enum finding_code code, uint64_t index,
                         uint64_t other, const char *fmt, ...) PRINTF_LIKE(5, 6);
void record_findings_add_over(struct record_findings *findings, enum finding_code code,
                              uint64_t index);
/* Lets the store write them with what else waits. */
void record_findings_put(struct record_findings *findings);
/* They were told, or are of a scan that led nowhere. Waits to be written. */
void record_findings_reset(struct record_findings *findings);

size_t record_findings_count(const struct record_findings *findings);
const struct record_finding *record_findings_at(const struct record_findings *findings, size_t i);
/* Those that were only counted, and the index of the first. */
uint64_t record_findings_more(const struct record_findings *findings, enum finding_code code,
                              uint64_t *first);

/* "entry 123": a finding's subject. */
void record_subject(char out[static FINDING_SUBJECT_MAX], uint64_t index);

#endif
