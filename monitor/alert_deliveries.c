/* The queues of the sinks: what is due, what was told, and who is to be told again. */
#include "monitor/alert_book_parts.h"

#include <assert.h>

enum {
    REPEATS_PER_BATCH = 256,
    WAIT_S_MAX = 60,
};

/* -- telling again -- */

static bool is_reminded(const struct alert_book *book, const struct alert *alert)
{
    return book->options.repeat_s > 0 && alert->state == ALERT_OPEN &&
           finding_kind(alert->code)->severity == FINDING_CRITICAL;
}

/* Whether a reminder of this alert makes sense for this sink now. */
static bool is_wanted(const struct alert_book *book, const struct alert *alert, size_t sink)
{
    return book->is_alertmanager[sink] ? alert->state != ALERT_RESOLVED : is_reminded(book, alert);
}

/* When the time comes since `last_s`; a clock that went back starts again. */
static bool is_time(int64_t *last_s, uint64_t period_s, int64_t now_s)
{
    if (now_s < *last_s) {
        *last_s = now_s;
    }
    if ((uint64_t)(now_s - *last_s) < period_s) {
        return false;
    }
    *last_s = now_s;
    return true;
}

struct repeat {
    struct alert_entry *entry;
    int64_t reminded_s, refreshed_s;
    uint32_t sinks; /* bits */
    uint64_t number;
};

struct repeating {
    struct alert_book *book;
    int64_t now_s, earliest_s; /* what is not due now is due then */
    struct kv_batch batch;
    struct alert_next next;
    size_t count;
    struct repeat made[REPEATS_PER_BATCH];
};

static void note_due(struct repeating *repeating, int64_t last_s, uint64_t period_s)
{
    uint64_t left = period_s - (uint64_t)(repeating->now_s - last_s);
    int64_t due_s = repeating->now_s + (int64_t)(left > WAIT_S_MAX ? WAIT_S_MAX : left);
    if (due_s < repeating->earliest_s) {
        repeating->earliest_s = due_s;
    }
}

/* Which sinks are to be told of it again: bits. */
static uint32_t find_due(struct repeating *repeating, struct alert_record *record)
{
    const struct alert_book *book = repeating->book;
    const struct alert *alert = &record->alert;
    bool are_due[2] = { false, false }; /* of other sinks; of Alertmanager's */
    uint32_t sinks = 0;
    if (is_reminded(book, alert)) {
        are_due[0] = is_time(&record->reminded_s, book->options.repeat_s, repeating->now_s);
        note_due(repeating, record->reminded_s, book->options.repeat_s);
    }
    are_due[1] = is_time(&record->refreshed_s, ALERT_REFRESH_S, repeating->now_s);
    note_due(repeating, record->refreshed_s, ALERT_REFRESH_S);
    for (size_t i = 0; i < book->options.sink_count; i++) {
        if (are_due[book->is_alertmanager[i] ? 1 : 0] && is_wanted(book, alert, i)) {
            sinks |= UINT32_C(1) << i;
        }
    }
    return sinks;
}

static void add_repeat(struct repeating *repeating, struct alert_entry *entry)
{
    struct alert_book *book = repeating->book;
    struct alert_record record = entry->record;
    /* Who has not taken the last of it yet is not told twice. */
    uint32_t sinks = find_due(repeating, &record) & ~entry->untold;
    if (sinks == 0) {
        entry->record.reminded_s = record.reminded_s;
        entry->record.refreshed_s = record.refreshed_s;
        return;
    }
    uint64_t number = repeating->next.delivery++;
    for (size_t i = 0; i < book->options.sink_count; i++) {
        if ((sinks >> i & 1) != 0) {
            alert_book_put_waiting(book, &repeating->batch, i, number, DELIVERY_REMINDER,
                                   record.alert.number);
        }
    }
    alert_book_put_record(&repeating->batch, &record);
    repeating->made[repeating->count++] =
        (struct repeat){ entry, record.reminded_s, record.refreshed_s, sinks, number };
}

static void push_repeats(struct repeating *repeating)
{
    struct alert_book *book = repeating->book;
    for (size_t i = 0; i < repeating->count; i++) {
        const struct repeat *made = &repeating->made[i];
        made->entry->record.reminded_s = made->reminded_s;
        made->entry->record.refreshed_s = made->refreshed_s;
        alert_table_set_dirty(&book->memory->table, made->entry, false);
        for (size_t sink = 0; sink < book->options.sink_count; sink++) {
            if ((made->sinks >> sink & 1) != 0) {
                alert_queue_push(&book->memory->queues[sink], made->number, DELIVERY_REMINDER,
                                 made->entry);
            }
        }
    }
    book->memory->next = repeating->next;
}

/* True when there are new deliveries. */
static bool queue_repeats(struct alert_book *book, int64_t now_s)
{
    bool is_early = now_s < book->repeat_at_s && book->repeat_at_s - now_s <= WAIT_S_MAX;
    if (is_early || book->is_unsure || book->options.sink_count == 0) {
        return false;
    }
    struct repeating repeating = {
        .book = book, .now_s = now_s, .earliest_s = now_s + WAIT_S_MAX, .next = book->memory->next
    };
    struct alert_entry *entry;
    struct err err;
    kv_batch_init(&repeating.batch);
    TAILQ_FOREACH(entry, &book->memory->table.live, in_state)
    {
        if (repeating.count == REPEATS_PER_BATCH) {
            repeating.earliest_s = now_s; /* the others with the next call */
            break;
        }
        add_repeat(&repeating, entry);
    }
    bool is_made = repeating.count > 0;
    if (is_made) {
        alert_book_put_next(&repeating.batch, &repeating.next);
        is_made = alert_book_commit(book, &repeating.batch, true, &err) == E_OK;
    }
    if (is_made) {
        push_repeats(&repeating);
    }
    book->repeat_at_s = repeating.earliest_s;
    kv_batch_clear(&repeating.batch);
    return is_made;
}

/* -- the first of a queue -- */

/* The first, without reminders of what has been seen to in the meantime: these leave the store with a later
 * write, or are found and left out again. */
static struct alert_item *find_first(struct alert_book *book, struct alert_queue *queue)
{
    struct alert_item *item;
    while ((item = alert_queue_head(queue)) != NULL && item->event == DELIVERY_REMINDER &&
           !is_wanted(book, &item->entry->record.alert, queue->position)) {
        alert_book_add_told(book, queue->position, item->number);
        alert_queue_remove(queue, item);
    }
    return item;
}

static uint64_t wait_of(const struct alert_book *book, const struct alert_queue *queue,
                        int64_t now_s, uint64_t monotonic_ms)
{
    int64_t repeat_s = book->repeat_at_s - now_s;
    uint64_t wait_ms = 1000 * (uint64_t)(repeat_s > WAIT_S_MAX ? WAIT_S_MAX : repeat_s);
    if (repeat_s <= 0 || book->memory->table.dirty_count > 0) {
        wait_ms = 1000;
    }
    if (queue->count > 0 && queue->retry_at_ms > monotonic_ms &&
        queue->retry_at_ms - monotonic_ms < wait_ms) {
        wait_ms = queue->retry_at_ms - monotonic_ms;
    }
    return wait_ms;
}

bool alert_book_next(struct alert_book *book, size_t sink, const int64_t now_s,
                     uint64_t monotonic_ms, struct delivery *out, uint64_t *wait_ms)
{
    assert(sink < book->options.sink_count);
    struct err err;
    pthread_mutex_lock(&book->lock);
    /* Who waits to be told is told, also while the store cannot be read or written. */
    bool is_settled = alert_book_settle(book, &err) == E_OK;
    bool is_changed = is_settled && alert_book_write_dirty(book, now_s, false);
    is_changed = queue_repeats(book, now_s) || is_changed;
    struct alert_queue *queue = &book->memory->queues[sink];
    const struct alert_item *item = find_first(book, queue);
    bool is_due = item != NULL && monotonic_ms >= queue->retry_at_ms;
    if (is_due) {
        *out = (struct delivery){ .number = item->number,
                                  .event = item->event,
                                  .alert = item->entry->record.alert,
                                  .tries = queue->tries };
    } else {
        *wait_ms = wait_of(book, queue, now_s, monotonic_ms);
    }
    alert_book_leave(book, is_changed);
    return is_due;
}

enum err_code alert_book_delivered(struct alert_book *book, size_t sink,
                                   const struct delivery *delivery, struct err *err)
{
    assert(sink < book->options.sink_count);
    pthread_mutex_lock(&book->lock);
    struct alert_queue *queue = &book->memory->queues[sink];
    struct alert_item *item = alert_queue_find(queue, delivery->number);
    if (item != NULL) { /* else: dropped in the meantime, or asked again after a failed write */
        alert_queue_succeed(queue);
        alert_book_add_told(book, sink, item->number);
        alert_queue_remove(queue, item);
    }
    struct kv_batch batch;
    kv_batch_init(&batch);
    enum err_code rc = alert_book_commit(book, &batch, true, err);
    kv_batch_clear(&batch);
    if (rc == E_OK && !book->is_unsure) {
        alert_book_tidy(book);
    }
    alert_book_leave(book, false);
    return rc;
}

void alert_book_failed(struct alert_book *book, size_t sink, const struct delivery *delivery,
                       uint64_t monotonic_ms)
{
    assert(sink < book->options.sink_count);
    uint32_t random;
    crypto_random((uint8_t *)&random, sizeof random);
    pthread_mutex_lock(&book->lock);
    struct alert_queue *queue = &book->memory->queues[sink];
    const struct alert_item *item = alert_queue_find(queue, delivery->number);
    if (item != NULL) {
        alert_queue_fail(queue, item, monotonic_ms, random);
    }
    alert_book_leave(book, false);
}

void alert_book_queue(struct alert_book *book, size_t sink, struct alert_queue_status *out)
{
    assert(sink < book->options.sink_count);
    pthread_mutex_lock(&book->lock);
    const struct alert_queue *queue = &book->memory->queues[sink];
    *out = (struct alert_queue_status){ queue->count, queue->delivered, queue->failures,
                                        queue->tries };
    alert_book_leave(book, false);
}
