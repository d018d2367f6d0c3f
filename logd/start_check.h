/* start_check.h -- whether enough witnesses have shown that no newer history of this log is out.
 *
 * design: "Invariants", Start. When no mark vouches for the journal, every witness with a URL is asked
 * for the note that it holds, again and again with backoff, until those that were consistent are a
 * blocking set: no quorum can be made without one of them, so that whatever a quorum has cosigned, one
 * of them would know.
 * Pure. Loop thread.
 */
#ifndef LOGD_START_CHECK_H
#define LOGD_START_CHECK_H

#include "tlog/policy.h"

enum {
    START_CHECK_BACKOFF_MS = 250, /* doubled by each failure, of which half is chance */
    START_CHECK_BACKOFF_MAX_MS = 8 * 1000,
};

struct start_check {
    const struct policy *policy; /* borrowed */
    uint64_t random;
    struct policy_set consistent;
    struct start_check_witness {
        bool is_askable;
        bool is_busy;
        unsigned failures;
        uint64_t retry_ms;
    } witnesses[POLICY_KEYS_MAX];
};

/* `seed` is any number. Requires a policy with a quorum. */
void start_check_init(struct start_check *check, const struct policy *policy, uint64_t seed);

/* The next witness to ask now, which is then busy; false when there is none. */
bool start_check_next(struct start_check *check, uint64_t now_ms, size_t *witness);

/* What became of it. */
void start_check_on_answer(struct start_check *check, size_t witness, bool is_consistent,
                           uint64_t now_ms);

bool start_check_is_passed(const struct start_check *check);

/* False when not even all witnesses that can be asked are a blocking set. */
bool start_check_is_possible(const struct start_check *check);

/* When start_check_next may have another one; 0 when that depends on answers only. */
uint64_t start_check_wake_at(const struct start_check *check);

/* Appends who has not answered consistently yet, as "w1, w3"; room for all names. */
void start_check_put_missing(struct buf *out, const struct start_check *check);

#endif
