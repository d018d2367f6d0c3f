#include "base/alloc.h"
#include "monitor/alert_book_parts.h"

#include <assert.h>

struct loading {
    struct alert_book *book;
    struct alert_memory *memory;
    struct kv_batch changes; /* what is to be dropped, and told to new sinks */
    bool is_known[ALERT_SINKS_MAX];
};

void alert_memory_free(struct alert_memory *memory)
{
    if (memory == NULL) {
        return;
    }
    for (size_t i = 0; i < ALERT_SINKS_MAX; i++) {
        alert_queue_clear(&memory->queues[i]);
    }
    alert_table_clear(&memory->table);
    mem_free(memory);
}

static struct alert_memory *memory_new(void)
{
    struct alert_memory *memory = NEW(struct alert_memory);
    alert_table_init(&memory->table);
    for (size_t i = 0; i < ALERT_SINKS_MAX; i++) {
        alert_queue_init(&memory->queues[i], i);
    }
    memory->next = (struct alert_next){ .alert = 1, .delivery = 1 };
    return memory;
}

/* SIZE_MAX: it is not configured any more. */
static size_t find_sink(const struct alert_book *book, const struct hash *sink)
{
    for (size_t i = 0; i < book->options.sink_count; i++) {
        if (hash_is_equal(&book->sinks[i], sink)) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* -- reading -- */

static enum err_code on_record(void *ctx, struct span key, struct span value, struct err *err)
{
    struct loading *loading = ctx;
    struct alert_memory *memory = loading->memory;
    struct alert_record record;
    enum err_code rc = alert_record_parse(&record, value, err);
    if (rc != E_OK) {
        return rc;
    }
    struct alert_key own = alert_key_record(record.alert.number);
    if (!span_is_equal(key, alert_key_span(&own))) {
        return err_set(err, E_CORRUPT, "a stored alert has the key of another");
    }
    alert_table_add(&memory->table, &record);
    if (record.alert.number >= memory->next.alert) {
        memory->next.alert = record.alert.number + 1;
    }
    return E_OK;
}

static enum err_code on_waiting(void *ctx, struct span key, struct span value, struct err *err)
{
    struct loading *loading = ctx;
    struct alert_memory *memory = loading->memory;
    struct hash sink;
    uint64_t number;
    struct alert_waiting waiting;
    enum err_code rc = alert_key_parse_queue(&sink, &number, key, err);
    if (rc != E_OK || (rc = alert_waiting_parse(&waiting, value, err)) != E_OK) {
        return rc;
    }
    size_t at = find_sink(loading->book, &sink);
    struct alert_entry *entry = alert_table_by_number(&memory->table, waiting.alert);
    if (at == SIZE_MAX) {
        kv_batch_delete(&loading->changes, key);
        return E_OK;
    }
    if (entry == NULL) {
        return err_set(err, E_CORRUPT, "a stored delivery is of no alert");
    }
    alert_queue_push(&memory->queues[at], number, waiting.event, entry);
    if (number >= memory->next.delivery) {
        memory->next.delivery = number + 1;
    }
    return E_OK;
}

static enum err_code on_sink(void *ctx, struct span key, struct span value, struct err *err)
{
    struct loading *loading = ctx;
    struct hash sink;
    enum err_code rc = alert_key_parse_sink(&sink, key, err);
    if (rc != E_OK) {
        return rc;
    }
    (void)value; /* its name, for people who look into the store */
    size_t at = find_sink(loading->book, &sink);
    if (at == SIZE_MAX) {
        kv_batch_delete(&loading->changes, key);
    } else {
        loading->is_known[at] = true;
    }
    return E_OK;
}

static enum err_code read_next(struct loading *loading, struct err *err)
{
    struct buf value = BUF_INIT(ALERT_RECORD_BYTES_MAX);
    struct alert_key key = alert_key_next();
    enum err_code rc =
        state_store_get(loading->book->options.store, alert_key_span(&key), &value, err);
    if (rc == E_OK) {
        rc = alert_next_parse(&loading->memory->next, buf_span(&value), err);
    } else if (rc == E_NOT_FOUND) {
        rc = E_OK;
    }
    buf_clear(&value);
    return rc;
}

static enum err_code read_all(struct loading *loading, struct err *err)
{
    struct state_store *store = loading->book->options.store;
    enum err_code rc = read_next(loading, err);
    if (rc == E_OK) {
        rc = state_store_scan(store, span_of_str(ALERT_KEY_RECORDS), on_record, loading, err);
    }
    if (rc == E_OK) {
        rc = state_store_scan(store, span_of_str(ALERT_KEY_QUEUES), on_waiting, loading, err);
    }
    if (rc == E_OK) {
        rc = state_store_scan(store, span_of_str(ALERT_KEY_SINKS), on_sink, loading, err);
    }
    return rc;
}

/* -- sinks that are new -- */

static void put_sink(struct loading *loading, size_t sink)
{
    struct alert_key key = alert_key_sink(&loading->book->sinks[sink]);
    struct span name = span_of_str(loading->book->options.sinks[sink]);
    name.len = name.len > KV_KEY_BYTES_MAX ? KV_KEY_BYTES_MAX : name.len;
    kv_batch_put(&loading->changes, alert_key_span(&key), name);
}

static void tell_open(struct loading *loading, size_t sink)
{
    struct alert_memory *memory = loading->memory;
    struct alert_entry *entry;
    TAILQ_FOREACH(entry, &memory->table.live, in_state)
    {
        uint64_t number = memory->next.delivery++;
        alert_book_put_waiting(loading->book, &loading->changes, sink, number, DELIVERY_OPENED,
                               entry->record.alert.number);
        alert_queue_push(&memory->queues[sink], number, DELIVERY_OPENED, entry);
    }
}

static enum err_code adopt_sinks(struct loading *loading, struct err *err)
{
    for (size_t i = 0; i < loading->book->options.sink_count; i++) {
        if (!loading->is_known[i]) {
            put_sink(loading, i);
            tell_open(loading, i);
        }
    }
    if (loading->changes.count == 0) {
        return E_OK;
    }
    alert_book_put_next(&loading->changes, &loading->memory->next);
    return alert_book_commit(loading->book, &loading->changes, true, err);
}

/* What was delivered and may still be stored. */
static void drop_told(const struct alert_book *book, struct alert_memory *memory)
{
    for (size_t i = 0; i < book->told_count; i++) {
        struct alert_queue *queue = &memory->queues[book->told[i].sink];
        struct alert_item *item = alert_queue_find(queue, book->told[i].number);
        if (item != NULL) {
            alert_queue_remove(queue, item);
        }
    }
}

enum err_code alert_book_load(struct alert_book *book, struct alert_memory **out, struct err *err)
{
    struct loading loading = { .book = book, .memory = memory_new() };
    kv_batch_init(&loading.changes);
    enum err_code rc = read_all(&loading, err);
    if (rc == E_OK) {
        drop_told(book, loading.memory);
        rc = adopt_sinks(&loading, err);
    }
    kv_batch_clear(&loading.changes);
    if (rc != E_OK) {
        alert_memory_free(loading.memory);
        return err_wrap(err, "alerts");
    }
    *out = loading.memory;
    return E_OK;
}

/* -- reading again -- */

/* Counts that were not written, and when they were written last. */
static void keep_counts(struct alert_memory *to, const struct alert_memory *from)
{
    const struct alert_entry *old;
    TAILQ_FOREACH(old, &from->table.live, in_state)
    {
        struct alert_entry *entry = alert_table_by_number(&to->table, old->record.alert.number);
        if (entry == NULL || strcmp(entry->record.alert.id, old->record.alert.id) != 0) {
            continue;
        }
        entry->written_s = old->written_s;
        struct alert *alert = &entry->record.alert;
        const struct alert *was = &old->record.alert;
        if (old->is_dirty && alert_entry_is_live(entry) && was->count >= alert->count) {
            alert->count = was->count;
            alert->last_seen_s = was->last_seen_s;
            alert->evidence_found = was->evidence_found;
            memcpy(alert->summary, was->summary, sizeof alert->summary);
            alert_table_set_dirty(&to->table, entry, true);
        }
    }
}

static void keep_tries(struct alert_queue *to, const struct alert_queue *from)
{
    to->tries = from->tries;
    to->retry_at_ms = from->retry_at_ms;
    to->delivered = from->delivered;
    to->failures = from->failures;
}

enum err_code alert_book_settle(struct alert_book *book, struct err *err)
{
    struct alert_memory *memory;
    if (!book->is_unsure) {
        return E_OK;
    }
    enum err_code rc = alert_book_load(book, &memory, err);
    if (rc != E_OK) {
        return rc;
    }
    keep_counts(memory, book->memory);
    for (size_t i = 0; i < book->options.sink_count; i++) {
        keep_tries(&memory->queues[i], &book->memory->queues[i]);
    }
    alert_memory_free(book->memory);
    book->memory = memory;
    book->is_unsure = false;
    return E_OK;
}
