/* An array in key order: fast enough for what tests and simulations keep in it. */
#include "base/alloc.h"
#include "store/kv.h"

#include <pthread.h>

struct item {
    struct span key; /* owned, as the value */
    struct span value;
};

struct items {
    struct item *data; /* owned; in key order */
    size_t count;
    size_t cap;
};

struct kv_memory {
    struct kv base;
    pthread_mutex_t lock; /* of all below */
    struct items items;
    unsigned fail_writes;
    bool is_applied;
};

static struct kv_memory *self_of(struct kv *kv)
{
    return (struct kv_memory *)kv;
}

static struct span copy_bytes(struct span bytes)
{
    uint8_t *copy = mem_alloc(bytes.len > 0 ? bytes.len : 1);
    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    return (struct span){ copy, bytes.len };
}

/* Position of the first item that is not before `key`. */
static size_t find(const struct items *items, struct span key)
{
    size_t low = 0, high = items->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (span_compare(items->data[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_at(const struct items *items, size_t at, struct span key)
{
    return at < items->count && span_is_equal(items->data[at].key, key);
}

static void insert(struct items *items, size_t at, struct item item)
{
    if (items->count == items->cap) {
        items->cap = items->cap == 0 ? 16 : 2 * items->cap;
        items->data = mem_realloc(items->data, items->cap * sizeof *items->data);
    }
    memmove(items->data + at + 1, items->data + at, (items->count - at) * sizeof *items->data);
    items->data[at] = item;
    items->count++;
}

static void put(struct items *items, struct span key, struct span value)
{
    size_t at = find(items, key);
    if (is_at(items, at, key)) {
        mem_free((void *)items->data[at].value.data);
        items->data[at].value = copy_bytes(value);
    } else {
        insert(items, at, (struct item){ copy_bytes(key), copy_bytes(value) });
    }
}

static void drop(struct items *items, struct span key)
{
    size_t at = find(items, key);
    if (is_at(items, at, key)) {
        mem_free((void *)items->data[at].key.data);
        mem_free((void *)items->data[at].value.data);
        items->count--;
        memmove(items->data + at, items->data + at + 1, (items->count - at) * sizeof *items->data);
    }
}

static void apply(struct items *items, const struct kv_batch *batch)
{
    struct span changes = buf_span(&batch->changes);
    struct span key, value;
    bool is_delete;
    while (kv_batch_take(&changes, &key, &value, &is_delete)) {
        if (is_delete) {
            drop(items, key);
        } else {
            put(items, key, value);
        }
    }
}

/* Copies of the items whose key starts with `prefix`. */
static struct items copy_items(const struct items *items, struct span prefix)
{
    struct items copy = { .data = NULL };
    for (size_t i = find(items, prefix);
         i < items->count && span_has_prefix(items->data[i].key, prefix); i++) {
        insert(&copy, copy.count,
               (struct item){ copy_bytes(items->data[i].key), copy_bytes(items->data[i].value) });
    }
    return copy;
}

static void items_clear(struct items *items)
{
    for (size_t i = 0; i < items->count; i++) {
        mem_free((void *)items->data[i].key.data);
        mem_free((void *)items->data[i].value.data);
    }
    mem_free(items->data);
    *items = (struct items){ .data = NULL };
}

static enum err_code get(struct kv *kv, struct span key, struct buf *out, struct err *err)
{
    struct kv_memory *self = self_of(kv);
    pthread_mutex_lock(&self->lock);
    size_t at = find(&self->items, key);
    enum err_code rc = is_at(&self->items, at, key)
                           ? buf_append(out, self->items.data[at].value, err)
                           : err_set(err, E_NOT_FOUND, "store: no such key");
    pthread_mutex_unlock(&self->lock);
    return rc;
}

static enum err_code write_batch(struct kv *kv, const struct kv_batch *batch, bool is_synced,
                                 struct err *err)
{
    struct kv_memory *self = self_of(kv);
    (void)is_synced;
    pthread_mutex_lock(&self->lock);
    bool is_failing = self->fail_writes > 0;
    if (is_failing) {
        self->fail_writes--;
    }
    if (!is_failing || self->is_applied) {
        apply(&self->items, batch);
    }
    pthread_mutex_unlock(&self->lock);
    return is_failing ? err_set(err, E_IO, "store: a write fails, as it was told to") : E_OK;
}

/* Works on a copy, so that on_item may write, and sees what was there at the call. */
static enum err_code scan(struct kv *kv, struct span prefix,
                          enum err_code (*on_item)(void *ctx, struct span key, struct span value,
                                                   struct err *err),
                          void *ctx, struct err *err)
{
    struct kv_memory *self = self_of(kv);
    pthread_mutex_lock(&self->lock);
    struct items items = copy_items(&self->items, prefix);
    pthread_mutex_unlock(&self->lock);
    enum err_code rc = E_OK;
    for (size_t i = 0; i < items.count && rc == E_OK; i++) {
        rc = on_item(ctx, items.data[i].key, items.data[i].value, err);
    }
    items_clear(&items);
    return rc;
}

static void close_store(struct kv *kv)
{
    struct kv_memory *self = self_of(kv);
    items_clear(&self->items);
    pthread_mutex_destroy(&self->lock);
    mem_free(self);
}

static const struct kv_ops ops = { get, write_batch, scan, close_store };

struct kv *kv_memory_new(void)
{
    struct kv_memory *self = NEW(struct kv_memory);
    self->base.ops = &ops;
    pthread_mutex_init(&self->lock, NULL);
    return &self->base;
}

struct kv *kv_memory_copy(const struct kv *kv)
{
    struct kv_memory *self = self_of((struct kv *)kv);
    struct kv *copy = kv_memory_new();
    pthread_mutex_lock(&self->lock);
    self_of(copy)->items = copy_items(&self->items, span_of(NULL, 0));
    pthread_mutex_unlock(&self->lock);
    return copy;
}

void kv_memory_fail(struct kv *kv, unsigned fail_writes, bool is_applied)
{
    struct kv_memory *self = self_of(kv);
    pthread_mutex_lock(&self->lock);
    self->fail_writes = fail_writes;
    self->is_applied = is_applied;
    pthread_mutex_unlock(&self->lock);
}
