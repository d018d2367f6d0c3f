/* pool.h -- submissions waiting to be sequenced: bounded, many givers, one taker.
 *
 * design: "The life of an entry", step 2. A lock-free list; the taker sleeps on a condition.
 * pool_take, pool_wait: sequencer thread. The rest: any thread.
 */
#ifndef LOGD_POOL_H
#define LOGD_POOL_H

#include "logd/submission.h"

struct pool;

/* Who keeps the pool closed, each for a reason of its own: it admits when none is left. The first in
 * this order is the one that callers are told. */
enum pool_closer {
    POOL_CLOSED_FROZEN,        /* it has ended: frozen = on */
    POOL_CLOSED_CHECK,         /* the start check: this may be a restored backup */
    POOL_CLOSED_FIRST_NOTE,    /* there is no signed note yet to compare with */
    POOL_CLOSED_REGISTRATIONS, /* who may log is not known yet */
    POOL_CLOSED_STORE,         /* journal or tiles have no room */
    POOL_CLOSERS
};

struct pool *pool_new(size_t entries_max, size_t bytes_max);
void pool_free(struct pool *pool); /* requires that it is empty */

/* Takes the submission over on E_OK. E_BUSY when it would not fit; E_UNAVAILABLE while closed, with
 * the reason: the caller keeps it then. Wakes the taker. */
MUST_USE enum err_code pool_push(struct pool *pool, struct submission *submission, struct err *err);

/* Refuses submissions from now on, with `reason`, which takes the place of the closer's last one;
 * pool_open takes it back, and admits unless another closer is left. */
void pool_close(struct pool *pool, enum pool_closer closer, const char *reason);
void pool_open(struct pool *pool, enum pool_closer closer);
/* Closes for good, with the first such reason: whatever the closers say, this is what is told. */
void pool_end(struct pool *pool, const char *reason);
/* Copies the reason; false when the pool admits. */
bool pool_is_closed(struct pool *pool, char *reason, size_t reason_max);

/* All that is waiting, oldest first; NULL when there is nothing. What is taken still counts
 * against the maxima until pool_release. */
struct submission *pool_take(struct pool *pool);
void pool_release(struct pool *pool, size_t entries, size_t bytes);

/* Sleeps until something is pushed or pool_wake is called since the last pool_take, at most
 * `timeout_ms`. */
void pool_wait(struct pool *pool, int timeout_ms);
void pool_wake(struct pool *pool);

size_t pool_entries(const struct pool *pool);

#endif
