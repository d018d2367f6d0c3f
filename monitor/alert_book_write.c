#include "monitor/alert_book_parts.h"

#include "base/alloc.h"

#include <assert.h>

enum {
    DIRTY_PER_BATCH = 1024
};

static_assert(DIRTY_PER_BATCH * (ALERT_RECORD_BYTES_MAX + KV_KEY_BYTES_MAX) < KV_BATCH_BYTES_MAX,
              "they fit");

/* -- what goes into a batch -- */

void alert_book_put_record(struct kv_batch *batch, const struct alert_record *record)
{
    struct buf value = BUF_INIT(ALERT_RECORD_BYTES_MAX);
    struct alert_key key = alert_key_record(record->alert.number);
    alert_record_put(&value, record);
    kv_batch_put(batch, alert_key_span(&key), buf_span(&value));
    buf_clear(&value);
}

void alert_book_put_next(struct kv_batch *batch, const struct alert_next *next)
{
    struct buf value = BUF_INIT(ALERT_RECORD_BYTES_MAX);
    struct alert_key key = alert_key_next();
    alert_next_put(&value, next);
    kv_batch_put(batch, alert_key_span(&key), buf_span(&value));
    buf_clear(&value);
}

void alert_book_put_waiting(struct alert_book *book, struct kv_batch *batch, size_t sink,
                            uint64_t number, enum delivery_event event, uint64_t alert)
{
    struct buf value = BUF_INIT(ALERT_RECORD_BYTES_MAX);
    struct alert_key key = alert_key_queue(&book->sinks[sink], number);
    alert_waiting_put(&value, &(struct alert_waiting){ event, alert });
    kv_batch_put(batch, alert_key_span(&key), buf_span(&value));
    buf_clear(&value);
}

static void put_delivered(struct alert_book *book, struct kv_batch *batch, size_t sink,
                          uint64_t number)
{
    struct alert_key key = alert_key_queue(&book->sinks[sink], number);
    kv_batch_delete(batch, alert_key_span(&key));
}

void alert_book_add_told(struct alert_book *book, size_t sink, uint64_t number)
{
    if (book->told_count == book->told_cap) {
        book->told_cap = book->told_cap == 0 ? 16 : 2 * book->told_cap;
        book->told = mem_realloc(book->told, book->told_cap * sizeof *book->told);
    }
    book->told[book->told_count++] = (struct alert_told){ sink, number };
}

/* -- writing -- */

enum err_code alert_book_commit(struct alert_book *book, struct kv_batch *batch, bool is_synced,
                                struct err *err)
{
    for (size_t i = 0; i < book->told_count; i++) {
        put_delivered(book, batch, book->told[i].sink, book->told[i].number);
    }
    if (batch->count == 0) {
        return E_OK;
    }
    enum err_code rc = is_synced ? state_store_write_synced(book->options.store, batch, err)
                                 : state_store_write(book->options.store, batch, err);
    if (rc != E_OK) {
        book->is_unsure = true;
        return rc;
    }
    book->told_count = 0;
    return E_OK;
}

enum err_code alert_book_commit_event(struct alert_book *book, struct kv_batch *batch,
                                      const struct alert_record *record, enum delivery_event event,
                                      struct err *err)
{
    struct alert_next next = book->memory->next;
    if (record->alert.number == next.alert) {
        next.alert++;
    }
    alert_book_put_record(batch, record);
    for (size_t i = 0; i < book->options.sink_count; i++) {
        alert_book_put_waiting(book, batch, i, next.delivery, event, record->alert.number);
    }
    next.delivery++;
    alert_book_put_next(batch, &next);
    enum err_code rc = alert_book_commit(book, batch, true, err);
    if (rc == E_OK) {
        book->memory->next = next;
    }
    return rc;
}

void alert_book_push(struct alert_book *book, struct alert_entry *entry, enum delivery_event event)
{
    for (size_t i = 0; i < book->options.sink_count; i++) {
        alert_queue_push(&book->memory->queues[i], book->memory->next.delivery - 1, event, entry);
    }
}

/* -- alerts that were found again -- */

static bool is_due(const struct alert_entry *entry, int64_t now_s)
{
    return entry->is_dirty && entry->written_s != now_s;
}

bool alert_book_write_entry(struct alert_book *book, struct alert_entry *entry, int64_t now_s)
{
    if (!is_due(entry, now_s)) {
        return false;
    }
    struct kv_batch batch;
    struct err err;
    kv_batch_init(&batch);
    alert_book_put_record(&batch, &entry->record);
    entry->written_s = now_s; /* also when it fails: the next try is in a second */
    bool is_written = alert_book_commit(book, &batch, false, &err) == E_OK;
    if (is_written) {
        alert_table_set_dirty(&book->memory->table, entry, false);
    }
    kv_batch_clear(&batch);
    return is_written;
}

static void set_clean(struct alert_book *book, struct alert_entry **entries, size_t count,
                      int64_t now_s)
{
    for (size_t i = 0; i < count; i++) {
        entries[i]->written_s = now_s;
        alert_table_set_dirty(&book->memory->table, entries[i], false);
    }
}

bool alert_book_write_dirty(struct alert_book *book, int64_t now_s, bool is_all)
{
    struct alert_table *table = &book->memory->table;
    struct alert_entry *written[DIRTY_PER_BATCH], *entry;
    struct kv_batch batch;
    struct err err;
    bool is_any = false;
    enum err_code rc = E_OK;
    while (table->dirty_count > 0 && rc == E_OK) {
        size_t count = 0;
        kv_batch_init(&batch);
        TAILQ_FOREACH(entry, &table->live, in_state)
        {
            if (count < DIRTY_PER_BATCH && (is_due(entry, now_s) || (is_all && entry->is_dirty))) {
                alert_book_put_record(&batch, &entry->record);
                written[count++] = entry;
            }
        }
        rc = count > 0 ? alert_book_commit(book, &batch, false, &err) : E_NOT_FOUND;
        if (rc == E_OK) {
            set_clean(book, written, count, now_s);
            is_any = true;
        }
        kv_batch_clear(&batch);
    }
    return is_any;
}

/* -- within bounds -- */

void alert_book_put_forget(struct alert_book *book, struct kv_batch *batch,
                           const struct alert_entry *entry, struct alert_next *next)
{
    const struct alert *alert = &entry->record.alert;
    const struct alert_table *table = &book->memory->table;
    struct alert_key key = alert_key_record(alert->number);
    kv_batch_delete(batch, alert_key_span(&key));
    for (size_t i = 0; i < alert->evidence_count && !finding_kind(alert->code)->is_provable; i++) {
        if (!alert_table_is_shared(table, entry, &alert->evidence[i])) {
            key = alert_key_evidence(&alert->evidence[i]);
            kv_batch_delete(batch, alert_key_span(&key));
        }
    }
    for (size_t i = 0; i < book->options.sink_count && entry->waiting > 0; i++) {
        const struct alert_item *item;
        TAILQ_FOREACH(item, &book->memory->queues[i].items, next)
        {
            if (item->entry == entry) {
                put_delivered(book, batch, i, item->number);
            }
        }
    }
    if (alert_table_episode(table, &entry->cause, entry) < entry->record.episode &&
        next->episode_floor < entry->record.episode) {
        next->episode_floor = entry->record.episode;
    }
}

/* Drops what waits of one alert. */
static void drop_items(struct alert_queue *queue, const struct alert_entry *entry)
{
    struct alert_item *item = TAILQ_FIRST(&queue->items);
    while (item != NULL) {
        struct alert_item *next = TAILQ_NEXT(item, next);
        if (item->entry == entry) {
            alert_queue_remove(queue, item);
        }
        item = next;
    }
}

void alert_book_forget(struct alert_book *book, struct alert_entry *entry)
{
    for (size_t i = 0; i < book->options.sink_count && entry->waiting > 0; i++) {
        drop_items(&book->memory->queues[i], entry);
    }
    alert_table_remove(&book->memory->table, entry);
}

/* The oldest resolved alert that may go: nobody waits to be told of it. */
static struct alert_entry *find_old(const struct alert_table *table)
{
    struct alert_entry *entry;
    TAILQ_FOREACH(entry, &table->resolved, in_state)
    {
        bool is_provable = finding_kind(entry->record.alert.code)->is_provable;
        if (entry->waiting == 0 &&
            table->resolved_count[is_provable ? 1 : 0] > ALERT_RESOLVED_KEPT_MAX) {
            return entry;
        }
    }
    return NULL;
}

static enum err_code forget_old(struct alert_book *book, struct alert_entry *entry, struct err *err)
{
    struct kv_batch batch;
    struct alert_next next = book->memory->next;
    kv_batch_init(&batch);
    alert_book_put_forget(book, &batch, entry, &next);
    alert_book_put_next(&batch, &next);
    enum err_code rc = alert_book_commit(book, &batch, false, err);
    if (rc == E_OK) {
        book->memory->next = next;
        alert_book_forget(book, entry);
    }
    kv_batch_clear(&batch);
    return rc;
}

/* Drops a delivery from a queue that is too long, with what follows it of an alert that is over. */
static enum err_code drop_untold(struct alert_book *book, struct alert_queue *queue,
                                 struct alert_item *victim, struct err *err)
{
    struct kv_batch batch;
    struct alert_entry *entry = victim->entry;
    bool is_pair = victim->event == DELIVERY_OPENED;
    kv_batch_init(&batch);
    for (const struct alert_item *item = victim; item != NULL; item = TAILQ_NEXT(item, next)) {
        if (item == victim || (is_pair && item->entry == entry)) {
            put_delivered(book, &batch, queue->position, item->number);
        }
    }
    enum err_code rc = alert_book_commit(book, &batch, false, err);
    if (rc == E_OK && is_pair) {
        drop_items(queue, entry);
    } else if (rc == E_OK) {
        alert_queue_remove(queue, victim);
    }
    kv_batch_clear(&batch);
    return rc;
}

void alert_book_tidy(struct alert_book *book)
{
    enum err_code rc = E_OK;
    struct err err;
    for (size_t i = 0; i < book->options.sink_count; i++) {
        struct alert_queue *queue = &book->memory->queues[i];
        while (rc == E_OK && queue->count > ALERT_QUEUE_MAX) {
            struct alert_item *victim = alert_queue_victim(queue);
            rc = victim == NULL ? E_NOT_FOUND : drop_untold(book, queue, victim, &err);
        }
    }
    struct alert_entry *old;
    const size_t *resolved = book->memory->table.resolved_count;
    while (rc == E_OK &&
           (resolved[0] > ALERT_RESOLVED_KEPT_MAX || resolved[1] > ALERT_RESOLVED_KEPT_MAX)) {
        old = find_old(&book->memory->table);
        rc = old == NULL ? E_NOT_FOUND : forget_old(book, old, &err);
    }
}
