/* alert_queue.h -- the deliveries that wait for one sink, in order, in memory.
 *
 * What is in it is in the store too; alert_book sees to that. The owner of the book's lock only.
 */
#ifndef MONITOR_ALERT_QUEUE_H
#define MONITOR_ALERT_QUEUE_H

#include "monitor/alert_table.h"

enum {
    /* Above, what is over and was never told is dropped. Open alerts take less than half of it. */
    ALERT_QUEUE_MAX = 10000,
    ALERT_TRIES_IN_A_ROW = 3, /* then what another alert has to tell is tried */
    ALERT_RETRY_MS_MIN = 1000,
    ALERT_RETRY_MS_MAX = 5 * 60 * 1000,
};

struct alert_item {
    TAILQ_ENTRY(alert_item) next;
    uint64_t number;
    enum delivery_event event;
    struct alert_entry *entry;
};

struct alert_queue {
    TAILQ_HEAD(alert_items, alert_item) items; /* by number */
    size_t count;
    size_t position; /* of the sink */
    unsigned tries;  /* in vain, since the last success */
    uint64_t passed; /* those up to this number are passed over for now; 0: none is */
    uint64_t retry_at_ms;
    uint64_t delivered, failures;
};

void alert_queue_init(struct alert_queue *queue, size_t position);
void alert_queue_clear(struct alert_queue *queue); /* the entries are the table's */

/* Requires a number above all others'. */
void alert_queue_push(struct alert_queue *queue, uint64_t number, enum delivery_event event,
                      struct alert_entry *entry);
void alert_queue_remove(struct alert_queue *queue, struct alert_item *item); /* frees it */
/* NULL: it is not there. */
struct alert_item *alert_queue_find(const struct alert_queue *queue, uint64_t number);

/* The one to be tried: the first, or one behind those that the sink has refused for now. What an alert has to tell
 * stays in order. NULL: the queue is empty. */
struct alert_item *alert_queue_head(struct alert_queue *queue);

/* This one was tried in vain: when the head is tried again. `random` is any number. */
void alert_queue_fail(struct alert_queue *queue, const struct alert_item *item,
                      uint64_t monotonic_ms, uint32_t random);
/* One was delivered. */
void alert_queue_succeed(struct alert_queue *queue);

/* Which alert's deliveries are to be dropped from a queue that is too long: the oldest that was opened and
 * resolved untold; else a reminder; else the oldest that is resolved. Never what was opened and still is,
 * and never the first, which may be under way. */
struct alert_item *alert_queue_victim(const struct alert_queue *queue);

#endif
