#include "witness/log_table.h"

#include "base/alloc.h"
#include "base/log.h"

#include <assert.h>
#include <stdio.h>

enum {
    SLOTS_MIN = 64
};

struct log_table {
    pthread_rwlock_t lock; /* guards all below; the loop thread alone writes */
    size_t count;
    size_t cap;
    struct known_log **logs; /* in order of coming; owned, also the logs */
    size_t slot_count;       /* a power of two, more than twice `count` */
    struct known_log **slots;

    /* Loop thread. */
    size_t network_count; /* logs that are in network lists only */
    bool has_told_full;
};

struct log_table *log_table_new(void)
{
    struct log_table *table = NEW(struct log_table);
    pthread_rwlock_init(&table->lock, NULL);
    table->slot_count = SLOTS_MIN;
    table->slots = mem_calloc(table->slot_count, sizeof(struct known_log *));
    return table;
}

void log_table_free(struct log_table *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->count; i++) {
        struct known_log *log = table->logs[i];
        assert(TAILQ_EMPTY(&log->waiting) && !log->is_busy);
        pthread_mutex_destroy(&log->mutex);
        mem_free(log->url);
        mem_free(log);
    }
    mem_free(table->logs);
    mem_free(table->slots);
    pthread_rwlock_destroy(&table->lock);
    mem_free(table);
}

size_t known_log_keys(struct known_log *log, struct vkey out[static LOG_KEYS_MAX])
{
    pthread_mutex_lock(&log->mutex);
    size_t count = log->key_count;
    memcpy(out, log->keys, count * sizeof out[0]);
    pthread_mutex_unlock(&log->mutex);
    return count;
}

/* -- looking up -- */

/* The slot of that hash, or the free one where it belongs. Requires the lock. */
static struct known_log **slot_of(const struct log_table *table, const struct hash *origin_hash)
{
    uint64_t at;
    memcpy(&at, origin_hash->bytes, sizeof at);
    for (;; at++) {
        struct known_log **slot = &table->slots[at & (table->slot_count - 1)];
        if (*slot == NULL || hash_is_equal(&(*slot)->origin_hash, origin_hash)) {
            return slot;
        }
    }
}

static void lock_to_read(const struct log_table *table)
{
    pthread_rwlock_rdlock((pthread_rwlock_t *)&table->lock);
}

static void unlock(const struct log_table *table)
{
    pthread_rwlock_unlock((pthread_rwlock_t *)&table->lock);
}

struct known_log *log_table_find_hash(const struct log_table *table, const struct hash *origin_hash)
{
    lock_to_read(table);
    struct known_log *log = *slot_of(table, origin_hash);
    unlock(table);
    return log;
}

struct known_log *log_table_find(const struct log_table *table, struct span origin)
{
    if (origin.len > ORIGIN_BYTES_MAX) {
        return NULL;
    }
    struct hash hash = sha256(origin);
    return log_table_find_hash(table, &hash);
}

size_t log_table_count(const struct log_table *table)
{
    lock_to_read(table);
    size_t count = table->count;
    unlock(table);
    return count;
}

struct known_log *log_table_at(const struct log_table *table, size_t i)
{
    lock_to_read(table);
    assert(i < table->count);
    struct known_log *log = table->logs[i];
    unlock(table);
    return log;
}

/* -- adding -- */

static void grow_slots(struct log_table *table)
{
    mem_free(table->slots);
    table->slot_count *= 2;
    table->slots = mem_calloc(table->slot_count, sizeof(struct known_log *));
    for (size_t i = 0; i < table->count; i++) {
        *slot_of(table, &table->logs[i]->origin_hash) = table->logs[i];
    }
}

static void insert(struct log_table *table, struct known_log *log)
{
    pthread_rwlock_wrlock(&table->lock);
    if (table->count == table->cap) {
        table->cap = table->cap == 0 ? SLOTS_MIN : table->cap * 2;
        table->logs = mem_realloc(table->logs, table->cap * sizeof(struct known_log *));
    }
    table->logs[table->count++] = log;
    if (table->count > table->slot_count / 2) {
        grow_slots(table);
    } else {
        *slot_of(table, &log->origin_hash) = log;
    }
    pthread_rwlock_unlock(&table->lock);
}

static struct known_log *make_log(const struct log_list_item *item, bool is_network)
{
    struct known_log *log = NEW(struct known_log);
    snprintf(log->origin, sizeof log->origin, "%s", item->origin);
    log->origin_hash = sha256(span_of_str(item->origin));
    log->url = item->url == NULL ? NULL : mem_strdup(item->url);
    log->requests_per_day = item->requests_per_day;
    pthread_mutex_init(&log->mutex, NULL);
    log->is_own = !is_network;
    log->keys[log->key_count++] = item->vkey;
    log->state = origin_state_new();
    TAILQ_INIT(&log->waiting);
    return log;
}

static void log_key(enum log_level level, const char *event, const char *origin,
                    const struct vkey *key)
{
    log_event(level, event, "origin=%s key=%s id=%08x", log_quoted_str(origin).text,
              log_quoted_str(key->name).text, key->id);
}

/* A log of which we have another key of that name and ID could not be verified any more. */
static bool may_take_key(const struct known_log *log, const struct vkey *key)
{
    if (log->key_count == LOG_KEYS_MAX) {
        return false;
    }
    for (size_t i = 0; i < log->key_count; i++) {
        if (log->keys[i].id == key->id && strcmp(log->keys[i].name, key->name) == 0) {
            return false;
        }
    }
    return true;
}

/* Its position, or SIZE_MAX. Loop thread, which alone adds keys. */
static size_t find_key(const struct known_log *log, const struct vkey *key)
{
    for (size_t i = 0; i < log->key_count; i++) {
        if (vkey_is_equal(&log->keys[i], key)) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* A line of our own file about an origin that is known. */
static void add_key(struct log_table *table, struct known_log *log, const struct vkey *key,
                    struct log_table_change *change)
{
    size_t at = find_key(log, key);
    if (at == SIZE_MAX && !may_take_key(log, key)) {
        log_key(LOG_LEVEL_ERROR, "log_key_refused", log->origin, key);
        change->refused++;
        return;
    }
    if (at == SIZE_MAX) {
        at = log->key_count;
        pthread_mutex_lock(&log->mutex);
        log->keys[log->key_count++] = *key;
        pthread_mutex_unlock(&log->mutex);
        log_key(LOG_LEVEL_INFO, "log_key_added", log->origin, key);
        change->added_keys++;
    }
    if (!log->is_own) {
        log->is_own = true;
        table->network_count--;
    }
    log->listed_keys |= (uint32_t)1 << at;
}

/* Keys of our own file that are no longer in it. They stay: who is taken off by mistake and put back
 * must not begin again at size 0. */
static size_t report_missing(const struct log_table *table)
{
    size_t missing = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct known_log *log = table->logs[i];
        for (size_t k = 0; log->is_own && k < log->key_count; k++) {
            if ((log->listed_keys >> k & 1) == 0) {
                log_key(LOG_LEVEL_WARN, "log_key_missing", log->origin, &log->keys[k]);
                missing++;
            }
        }
    }
    return missing;
}

static struct known_log *add_log(struct log_table *table, const struct log_list_item *item,
                                 bool is_network, void *ctx,
                                 void (*on_added)(void *ctx, struct known_log *log))
{
    struct known_log *log = make_log(item, is_network);
    on_added(ctx, log);
    insert(table, log);
    table->network_count += is_network ? 1 : 0;
    log_key(LOG_LEVEL_INFO, "log_added", log->origin, &item->vkey);
    return log;
}

/* An error, once: which logs are known depends on chance from here on. */
static bool is_full(struct log_table *table)
{
    if (table->network_count < LOG_TABLE_NETWORK_MAX) {
        return false;
    }
    if (!table->has_told_full) {
        table->has_told_full = true;
        log_event(LOG_LEVEL_ERROR, "network_logs_full", "max=%d advice=%s", LOG_TABLE_NETWORK_MAX,
                  log_quoted_str("further logs of network lists are left out: take fewer lists, or "
                                 "put the logs that matter into your own file")
                      .text);
    }
    return true;
}

struct log_table_change log_table_add(struct log_table *table, const struct log_list *list,
                                      bool is_network, const char *own_name, void *ctx,
                                      void (*on_added)(void *ctx, struct known_log *log))
{
    struct log_table_change change = { 0 };
    for (size_t i = 0; !is_network && i < table->count; i++) {
        table->logs[i]->listed_keys = 0;
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct log_list_item *item = &list->items[i];
        if (strcmp(item->origin, own_name) == 0) {
            log_key(LOG_LEVEL_ERROR, "log_is_ourselves", item->origin, &item->vkey);
            change.refused++;
            continue;
        }
        struct known_log *log = log_table_find(table, span_of_str(item->origin));
        if (log == NULL && is_network && is_full(table)) {
            change.left_out++;
            continue;
        }
        if (log == NULL) {
            log = add_log(table, item, is_network, ctx, on_added);
            change.added_logs++;
            change.added_keys++;
        }
        if (!is_network) {
            add_key(table, log, &item->vkey, &change);
        }
    }
    change.missing = is_network ? 0 : report_missing(table);
    return change;
}
