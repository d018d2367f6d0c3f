#include "monitor/alert_queue.h"

#include "base/alloc.h"

#include <assert.h>

static_assert(ALERT_SINKS_MAX <= 32, "a bit of alert_entry.untold for each");

void alert_queue_init(struct alert_queue *queue, size_t position)
{
    *queue = (struct alert_queue){ .position = position };
    TAILQ_INIT(&queue->items);
}

void alert_queue_clear(struct alert_queue *queue)
{
    struct alert_item *item;
    while ((item = TAILQ_FIRST(&queue->items)) != NULL) {
        alert_queue_remove(queue, item);
    }
}

/* At most one of these waits for a sink. */
static bool is_telling(enum delivery_event event)
{
    return event != DELIVERY_RESOLVED;
}

static bool is_waiting(const struct alert_queue *queue, const struct alert_entry *entry)
{
    const struct alert_item *item;
    TAILQ_FOREACH(item, &queue->items, next)
    {
        if (item->entry == entry) {
            return true;
        }
    }
    return false;
}

void alert_queue_push(struct alert_queue *queue, uint64_t number, enum delivery_event event,
                      struct alert_entry *entry)
{
    uint32_t bit = UINT32_C(1) << queue->position;
    struct alert_item *item = NEW(struct alert_item);
    const struct alert_item *last = TAILQ_LAST(&queue->items, alert_items);
    if (queue->tries > 0 && last != NULL && !is_waiting(queue, entry)) {
        queue->passed = last->number; /* news does not wait for what the sink does not take */
        queue->retry_at_ms = 0;
    }
    *item = (struct alert_item){ .number = number, .event = event, .entry = entry };
    TAILQ_INSERT_TAIL(&queue->items, item, next);
    queue->count++;
    entry->waiting++;
    if (is_telling(event)) {
        entry->untold |= bit;
    }
}

void alert_queue_remove(struct alert_queue *queue, struct alert_item *item)
{
    uint32_t bit = UINT32_C(1) << queue->position;
    TAILQ_REMOVE(&queue->items, item, next);
    queue->count--;
    item->entry->waiting--;
    if (is_telling(item->event)) {
        item->entry->untold &= ~bit;
    }
    mem_free(item);
}

struct alert_item *alert_queue_find(const struct alert_queue *queue, uint64_t number)
{
    struct alert_item *item;
    TAILQ_FOREACH(item, &queue->items, next)
    {
        if (item->number >= number) {
            return item->number == number ? item : NULL;
        }
    }
    return NULL;
}

/* Does one of those that are passed over tell of the same alert? */
static bool is_behind(const struct alert_queue *queue, const struct alert_item *item)
{
    const struct alert_item *other;
    TAILQ_FOREACH(other, &queue->items, next)
    {
        if (other->number > queue->passed) {
            return false;
        }
        if (other->entry == item->entry) {
            return true;
        }
    }
    return false;
}

struct alert_item *alert_queue_head(struct alert_queue *queue)
{
    struct alert_item *item;
    TAILQ_FOREACH(item, &queue->items, next)
    {
        if (queue->passed == 0 || (item->number > queue->passed && !is_behind(queue, item))) {
            return item;
        }
    }
    queue->passed = 0;
    return TAILQ_FIRST(&queue->items);
}

void alert_queue_fail(struct alert_queue *queue, const struct alert_item *item,
                      uint64_t monotonic_ms, uint32_t random)
{
    uint64_t delay = ALERT_RETRY_MS_MIN;
    for (unsigned i = 0; i < queue->tries && delay < ALERT_RETRY_MS_MAX; i++) {
        delay *= 2;
    }
    delay = delay > ALERT_RETRY_MS_MAX ? ALERT_RETRY_MS_MAX : delay;
    queue->tries++;
    queue->failures++;
    if (queue->tries % ALERT_TRIES_IN_A_ROW == 0) {
        queue->passed = item->number;
    }
    /* Three to four quarters of it, so that what failed together does not come back together. */
    queue->retry_at_ms = monotonic_ms + delay - random % (delay / 4);
}

void alert_queue_succeed(struct alert_queue *queue)
{
    queue->tries = 0;
    queue->retry_at_ms = 0;
    queue->delivered++;
}

struct alert_item *alert_queue_victim(const struct alert_queue *queue)
{
    struct alert_item *reminder = NULL, *resolved = NULL, *item;
    const struct alert_item *first = TAILQ_FIRST(&queue->items);
    TAILQ_FOREACH(item, &queue->items, next)
    {
        bool is_live = alert_entry_is_live(item->entry);
        if (item == first || item->entry == first->entry) {
            continue;
        }
        if (item->event == DELIVERY_OPENED && !is_live) {
            return item;
        }
        if (item->event == DELIVERY_REMINDER && reminder == NULL) {
            reminder = item;
        }
        if (item->event == DELIVERY_RESOLVED && resolved == NULL) {
            resolved = item;
        }
    }
    return reminder != NULL ? reminder : resolved;
}
