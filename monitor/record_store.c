#include "monitor/record_store.h"

#include "base/alloc.h"

#include <assert.h>
#include <sys/queue.h>

enum {
    VERSION = 1,
    KEY_BYTES = 256,
    SPANS_MAX =
        256, /* generations that got somewhere; with more, all is looked at again from the start */
    WAITING_MAX = 16384,
    WAITING_BYTES_MAX = 4 * 1024 * 1024,
    BUCKETS = 16384,
};

static_assert(WAITING_BYTES_MAX + 2 * KV_VALUE_BYTES_MAX < KV_BATCH_BYTES_MAX,
              "and a state with it");

/* Entries from `from` on, up to where the next one begins, were held as this generation saw them. */
struct generation_span {
    uint64_t from;
    uint32_t generation;
};

struct progress {
    uint32_t generation;
    uint64_t from;
    struct compact_range base;
    size_t span_count;
    struct generation_span spans[SPANS_MAX];
};

struct change {
    LIST_ENTRY(change) in_bucket;
    bool is_delete;
    size_t key_len, value_len;
    uint8_t bytes[]; /* key, value */
};
LIST_HEAD(change_list, change);

struct record_store {
    struct watched_log *log; /* borrowed */
    struct progress progress;
    uint64_t position;
    struct change_list *buckets; /* owned */
    size_t count, bytes;         /* of what waits */
};

/* -- the key of a value in the monitor's store -- */

static struct buf key_of(const struct record_store *store, struct span key)
{
    struct buf out = BUF_INIT(KEY_BYTES);
    watched_log_put_key(&out, store->log, "record/");
    buf_put(&out, key);
    return out;
}

static struct state_store *state_of(const struct record_store *store)
{
    return watched_log_options(store->log)->store;
}

/* -- what waits -- */

static struct span change_key(const struct change *change)
{
    return span_of(change->bytes, change->key_len);
}

static struct change_list *bucket_of(const struct record_store *store, struct span key)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < key.len; i++) {
        hash = (hash ^ key.data[i]) * UINT64_C(1099511628211);
    }
    return &store->buckets[(hash ^ hash >> 32) % BUCKETS];
}

static struct change *find_change(const struct record_store *store, struct span key)
{
    struct change *change;
    LIST_FOREACH(change, bucket_of(store, key), in_bucket)
    {
        if (span_is_equal(change_key(change), key)) {
            return change;
        }
    }
    return NULL;
}

static void remove_change(struct record_store *store, struct change *change)
{
    store->count--;
    store->bytes -= change->key_len + change->value_len;
    LIST_REMOVE(change, in_bucket);
    mem_free(change);
}

static void add_change(struct record_store *store, struct span key, struct span value,
                       bool is_delete)
{
    assert(key.len <= RECORD_KEY_BYTES_MAX);
    assert(value.len <= RECORD_VALUE_BYTES_MAX);
    struct change *old = find_change(store, key);
    if (old != NULL) {
        remove_change(store, old);
    }
    struct change *change = mem_alloc(sizeof *change + key.len + value.len);
    *change = (struct change){ .is_delete = is_delete, .key_len = key.len, .value_len = value.len };
    memcpy(change->bytes, key.data, key.len);
    if (value.len > 0) {
        memcpy(change->bytes + key.len, value.data, value.len);
    }
    LIST_INSERT_HEAD(bucket_of(store, key), change, in_bucket);
    store->count++;
    store->bytes += key.len + value.len;
}

static void forget_changes(struct record_store *store)
{
    for (size_t i = 0; i < BUCKETS && store->count > 0; i++) {
        struct change *change;
        while ((change = LIST_FIRST(&store->buckets[i])) != NULL) {
            remove_change(store, change);
        }
    }
}

void record_store_put(struct record_store *store, struct span key, struct span value)
{
    add_change(store, key, value, false);
}

void record_store_delete(struct record_store *store, struct span key)
{
    add_change(store, key, span_of(NULL, 0), true);
}

bool record_store_has_waiting(const struct record_store *store)
{
    return store->count > 0;
}

bool record_store_is_full(const struct record_store *store)
{
    return store->count >= WAITING_MAX || store->bytes >= WAITING_BYTES_MAX;
}

enum err_code record_store_get(struct record_store *store, struct span key, struct buf *out,
                               struct err *err)
{
    const struct change *change = find_change(store, key);
    if (change != NULL) {
        return change->is_delete
                   ? err_set(err, E_NOT_FOUND, "no such key")
                   : buf_append(out, span_of(change->bytes + change->key_len, change->value_len),
                                err);
    }
    struct buf whole = key_of(store, key);
    enum err_code rc = state_store_get(state_of(store), buf_span(&whole), out, err);
    buf_clear(&whole);
    return rc;
}

struct listing {
    size_t prefix_len; /* of the log, before the key as it is known here */
    enum err_code (*on_item)(void *ctx, struct span key, struct span value, struct err *err);
    void *ctx;
};

static enum err_code on_item(void *ctx, struct span key, struct span value, struct err *err)
{
    const struct listing *listing = ctx;
    return listing->on_item(listing->ctx,
                            span_slice(key, listing->prefix_len, key.len - listing->prefix_len),
                            value, err);
}

enum err_code record_store_scan(struct record_store *store, struct span prefix,
                                enum err_code (*tell)(void *ctx, struct span key, struct span value,
                                                      struct err *err),
                                void *ctx, struct err *err)
{
    struct buf whole = key_of(store, prefix);
    struct listing listing = { whole.len - prefix.len, tell, ctx };
    enum err_code rc = state_store_scan(state_of(store), buf_span(&whole), on_item, &listing, err);
    buf_clear(&whole);
    return rc;
}

/* -- stamps -- */

static const struct generation_span *span_at(const struct progress *progress, uint64_t index)
{
    size_t low = 0, high = progress->span_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (progress->spans[middle].from <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &progress->spans[low];
}

struct record_stamp record_store_stamp(const struct record_store *store, uint64_t index)
{
    return (struct record_stamp){ index, store->progress.generation };
}

/* What this generation has written beyond its position is of before a crash, and will be written again. */
bool record_store_is_valid(const struct record_store *store, struct record_stamp stamp)
{
    const struct progress *progress = &store->progress;
    if (stamp.index >= progress->base.size) {
        return stamp.generation == progress->generation && stamp.index < store->position;
    }
    return stamp.generation == span_at(progress, stamp.index)->generation;
}

void record_stamp_put(struct buf *out, struct record_stamp stamp)
{
    buf_put_u64(out, stamp.index);
    buf_put_u32(out, stamp.generation);
}

bool record_stamp_take(struct span *in, struct record_stamp *out)
{
    return span_take_u64(in, &out->index) && span_take_u32(in, &out->generation);
}

/* -- progress and position, as stored -- */

static void put_progress(struct buf *out, const struct progress *progress)
{
    buf_put_u8(out, VERSION);
    buf_put_u32(out, progress->generation);
    buf_put_u64(out, progress->from);
    buf_put_u64(out, progress->base.size);
    buf_put(out, span_of(progress->base.hashes,
                         (size_t)__builtin_popcountll(progress->base.size) * HASH_BYTES));
    buf_put_u16(out, (uint16_t)progress->span_count);
    for (size_t i = 0; i < progress->span_count; i++) {
        buf_put_u64(out, progress->spans[i].from);
        buf_put_u32(out, progress->spans[i].generation);
    }
}

static bool take_range(struct span *in, struct compact_range *out)
{
    struct span hashes;
    compact_range_init(out);
    if (!span_take_u64(in, &out->size) || out->size > INT64_MAX ||
        !span_take(in, (size_t)__builtin_popcountll(out->size) * HASH_BYTES, &hashes)) {
        return false;
    }
    if (hashes.len > 0) {
        memcpy(out->hashes, hashes.data, hashes.len);
    }
    return true;
}

static bool take_progress(struct span in, struct progress *out)
{
    uint8_t version;
    uint16_t count;
    if (!span_take_u8(&in, &version) || version != VERSION ||
        !span_take_u32(&in, &out->generation) || !span_take_u64(&in, &out->from) ||
        !take_range(&in, &out->base) || !span_take_u16(&in, &count) || count == 0 ||
        count > SPANS_MAX) {
        return false;
    }
    for (out->span_count = 0; out->span_count < count; out->span_count++) {
        struct generation_span *span = &out->spans[out->span_count];
        if (!span_take_u64(&in, &span->from) || !span_take_u32(&in, &span->generation) ||
            span->generation > out->generation ||
            (out->span_count == 0 ? span->from != 0 : span->from <= span[-1].from)) {
            return false;
        }
    }
    return in.len == 0;
}

static void put_value(const struct record_store *store, struct kv_batch *batch, const char *key,
                      const struct buf *value)
{
    struct buf whole = key_of(store, span_of_str(key));
    kv_batch_put(batch, buf_span(&whole), buf_span(value));
    buf_clear(&whole);
}

static void put_progress_value(const struct record_store *store, const struct progress *progress,
                               struct kv_batch *batch)
{
    struct buf value = BUF_INIT(KV_VALUE_BYTES_MAX);
    put_progress(&value, progress);
    put_value(store, batch, "progress", &value);
    buf_clear(&value);
}

static void put_position(const struct record_store *store, uint32_t generation, uint64_t position,
                         struct kv_batch *batch)
{
    struct buf value = BUF_INIT(16);
    buf_put_u8(&value, VERSION);
    buf_put_u32(&value, generation);
    buf_put_u64(&value, position);
    put_value(store, batch, "position", &value);
    buf_clear(&value);
}

static enum err_code load_progress(struct record_store *store, struct err *err)
{
    struct buf value = BUF_INIT(KV_VALUE_BYTES_MAX);
    enum err_code rc = record_store_get(store, span_of_str("progress"), &value, err);
    if (rc == E_NOT_FOUND) {
        store->progress.generation = 1;
        store->progress.span_count = 1;
        store->progress.spans[0].generation = 1;
        rc = E_OK;
    } else if (rc == E_OK && !take_progress(buf_span(&value), &store->progress)) {
        rc = err_set(err, E_CORRUPT, "the stored progress of records: not one of ours");
    }
    buf_clear(&value);
    return rc;
}

static enum err_code load_position(struct record_store *store, struct err *err)
{
    struct buf value = BUF_INIT(16);
    uint8_t version;
    uint32_t generation;
    uint64_t position;
    store->position = store->progress.base.size;
    enum err_code rc = record_store_get(store, span_of_str("position"), &value, err);
    struct span in = buf_span(&value);
    if (rc == E_NOT_FOUND) {
        rc = E_OK;
    } else if (rc == E_OK &&
               (!span_take_u8(&in, &version) || version != VERSION ||
                !span_take_u32(&in, &generation) || !span_take_u64(&in, &position) || in.len > 0)) {
        rc = err_set(err, E_CORRUPT, "the stored position in the records: not one of ours");
    } else if (rc == E_OK && generation == store->progress.generation &&
               position > store->position) {
        store->position = position;
    }
    buf_clear(&value);
    return rc;
}

/* -- opening -- */

enum err_code record_store_open(struct record_store **out, struct watched_log *log, struct err *err)
{
    struct record_store *store = NEW(struct record_store);
    store->log = log;
    store->buckets = mem_calloc(BUCKETS, sizeof *store->buckets);
    enum err_code rc = load_progress(store, err);
    if (rc == E_OK) {
        rc = load_position(store, err);
    }
    if (rc != E_OK) {
        record_store_free(store);
        return rc;
    }
    *out = store;
    return E_OK;
}

void record_store_free(struct record_store *store)
{
    if (store != NULL) {
        forget_changes(store);
        mem_free(store->buckets);
        mem_free(store);
    }
}

/* -- how far -- */

uint64_t record_store_position(const struct record_store *store)
{
    return store->position;
}

void record_store_advance(struct record_store *store, uint64_t position)
{
    assert(position >= store->position);
    store->position = position;
}

const struct compact_range *record_store_base(const struct record_store *store)
{
    return &store->progress.base;
}

uint64_t record_store_from(const struct record_store *store)
{
    return store->progress.from;
}

void record_store_put_waiting(struct record_store *store, struct kv_batch *batch)
{
    for (size_t i = 0; i < BUCKETS && store->count > 0; i++) {
        const struct change *change;
        LIST_FOREACH(change, &store->buckets[i], in_bucket)
        {
            struct buf key = key_of(store, change_key(change));
            if (change->is_delete) {
                kv_batch_delete(batch, buf_span(&key));
            } else {
                kv_batch_put(batch, buf_span(&key),
                             span_of(change->bytes + change->key_len, change->value_len));
            }
            buf_clear(&key);
        }
    }
    put_position(store, store->progress.generation, store->position, batch);
}

void record_store_on_written(struct record_store *store)
{
    forget_changes(store);
}

/* The next generation. With too many of them that got somewhere, none counts any more. */
static struct progress next_generation(const struct progress *progress)
{
    struct progress next = *progress;
    next.generation++;
    if (next.span_count == SPANS_MAX) {
        compact_range_init(&next.base);
        next.from = 0;
        next.span_count = 1;
        next.spans[0] = (struct generation_span){ 0, next.generation };
    }
    return next;
}

enum err_code record_store_restart(struct record_store *store, struct err *err)
{
    if (store->position == store->progress.base.size && store->count == 0) {
        return E_OK;
    }
    struct kv_batch batch;
    kv_batch_init(&batch);
    struct progress *next = NEW(struct progress);
    *next = next_generation(&store->progress);
    put_progress_value(store, next, &batch);
    enum err_code rc = state_store_write_synced(state_of(store), &batch, err);
    if (rc == E_OK) {
        store->progress = *next;
        store->position = next->base.size;
        forget_changes(store);
    }
    mem_free(next);
    kv_batch_clear(&batch);
    return rc;
}

/* What the progress is with a base of this generation. */
static struct progress with_base(const struct progress *progress, const struct compact_range *range)
{
    struct progress next = *progress;
    if (next.spans[next.span_count - 1].generation != next.generation &&
        range->size > next.base.size) {
        assert(next.span_count < SPANS_MAX);
        if (next.base.size == 0) {
            next.span_count = 0;
        }
        next.spans[next.span_count++] = (struct generation_span){ next.base.size, next.generation };
    }
    next.base = *range;
    return next;
}

void record_store_put_base(struct record_store *store, const struct compact_range *range,
                           struct kv_batch *batch)
{
    assert(range->size == store->position);
    struct progress *next = NEW(struct progress);
    *next = with_base(&store->progress, range);
    record_store_put_waiting(store, batch);
    put_progress_value(store, next, batch);
    mem_free(next);
}

void record_store_on_base(struct record_store *store, const struct compact_range *range)
{
    struct progress *next = NEW(struct progress);
    *next = with_base(&store->progress, range);
    store->progress = *next;
    mem_free(next);
    record_store_on_written(store);
}

void record_store_begin_at(struct record_store *store, const struct compact_range *range)
{
    assert(store->position == 0);
    store->position = store->progress.from = range->size;
}
