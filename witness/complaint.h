/* complaint.h -- log lines about trouble that any request can come upon: one of a kind every
 * COMPLAINT_PAUSE_MS, however many requests do.
 *
 * Pure but for `last_ms`, which starts as 0 and is the caller's. Any thread.
 */
#ifndef WITNESS_COMPLAINT_H
#define WITNESS_COMPLAINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    COMPLAINT_PAUSE_MS = 10 * 1000
};

/* True for one caller a pause, who then logs. */
static inline bool complaint_is_due(_Atomic uint64_t *last_ms, uint64_t now_ms)
{
    uint64_t last = atomic_load(last_ms);
    return (last == 0 || (now_ms > last && now_ms - last >= COMPLAINT_PAUSE_MS)) &&
           atomic_compare_exchange_strong(last_ms, &last, now_ms);
}

#endif
