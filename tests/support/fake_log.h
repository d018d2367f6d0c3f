/* fake_log.h -- a log over gRPC in this process, with witnesses of its own, that does wrong as it is told: for tests of
 * submitters.
 *
 * It answers Append and GetReceipt from a thread, `delay_ms` after what it did with them, so that calls overlap. It
 * has a tree, and gives the same bytes their first index. Entries of tests are texts "CASE/NUMBER ...", whose case is
 * for the checks: two calls of one case in flight at a time, or an entry behind a later one of its case, are counted.
 * Any thread.
 */
#ifndef SUPPORT_FAKE_LOG_H
#define SUPPORT_FAKE_LOG_H

#include "base/buf.h"
#include "tlog/policy.h"

#include <stdatomic.h>

enum fake_log_fault {
    FAKE_LOG_HONEST,
    FAKE_LOG_OTHER_LEAF,    /* an answer about another entry */
    FAKE_LOG_OTHER_INDEX,   /* its proof is for another index than its answer */
    FAKE_LOG_BAD_PROOF,     /* a hash of the proof is wrong */
    FAKE_LOG_OTHER_ORIGIN,  /* of another log that the policy lists, whose tree has the entry */
    FAKE_LOG_UNKNOWN_LOG,   /* of a log that it does not list */
    FAKE_LOG_NO_QUORUM,     /* says witnessed, and no witness signed */
    FAKE_LOG_BAD_NOTE,      /* the log's signature does not verify */
    FAKE_LOG_FEWER,         /* one answer less than entries */
    FAKE_LOG_GARBAGE,       /* not a message */
    FAKE_LOG_NOT_WITNESSED, /* durable only */
    FAKE_LOG_LOSES_ANSWERS, /* appends, and fails as if it had not */
    FAKE_LOG_UNAVAILABLE,
    FAKE_LOG_EXISTS,     /* another record has this entry tag */
    FAKE_LOG_DENIED,     /* the whole call, without a position */
    FAKE_LOG_REFUSES_AT, /* entries with "bad" in them, by position */
    FAKE_LOG_REFUSES,    /* the same without a position */
    FAKE_LOG_FORGETS,    /* says durable, and appends nothing */
    FAKE_LOG_HUGE_PROOF,
};

struct fake_log;

struct fake_log *fake_log_start(void);
void fake_log_stop(struct fake_log *log);

const char *fake_log_address(const struct fake_log *log);
const char *fake_log_origin(const struct fake_log *log);
const struct policy *
fake_log_policy(const struct fake_log *log); /* it, another log, 2 of 2 witnesses */

void fake_log_set_fault(struct fake_log *log, enum fake_log_fault fault);
void fake_log_set_delay(struct fake_log *log, unsigned ms);

uint64_t fake_log_size(struct fake_log *log);
/* Appends the entry at an index. */
void fake_log_entry(struct fake_log *log, uint64_t index, struct buf *out);

struct fake_log_counts {
    uint64_t calls, receipts, entries_max; /* of one call */
    uint64_t overlaps;                     /* calls with a case of a call not answered yet */
    uint64_t disorders;                    /* entries behind a later one of their case */
    uint64_t certificates;
    uint64_t mixed; /* calls of more than one entry with a certificate among them */
};
struct fake_log_counts fake_log_counts(struct fake_log *log);

#endif
