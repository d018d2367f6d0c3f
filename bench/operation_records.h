/* operation_records.h -- real operation records for a benchmark, made before its time counts.
 *
 * Drafts of five kinds, of 1,000 cases with keys of their own, become records as a submitter's library makes them:
 * fields, salts, commitments, entry tag, signature.
 */
#ifndef BENCH_OPERATION_RECORDS_H
#define BENCH_OPERATION_RECORDS_H

#include "record/payload.h"

enum {
    OPERATION_CASES = 1000,
    OPERATION_KINDS = 5,
};

/* What the records are made of; random keys, so that no two runs make the same entry tag. */
struct operation_source {
    struct case_key cases[OPERATION_CASES];
    struct draft drafts[OPERATION_KINDS];
};
struct operation_source *operation_source_new(void);
void operation_source_free(struct operation_source *source); /* wipes */

/* Draft number `i` for this case. Good until a draft of another case is asked for; for one thread. */
const struct draft *operation_source_draft(struct operation_source *source, size_t of_case,
                                           uint64_t i);

struct operation_records {
    size_t count;
    struct span *entries; /* inside `bytes` */
    struct hash *leaves;
    struct buf *bytes; /* one for each thread that made them */
    size_t bytes_total;
    double make_cpu_us; /* each */
};

/* On two threads. `is_vouched`: without a signature. */
void operation_records_make(struct operation_records *out, size_t count, const char *origin,
                            const struct signing_key *key, bool is_vouched);
void operation_records_clear(struct operation_records *records);

/* Ends the program with these words. */
_Noreturn void operation_fail(const char *words);

#endif
