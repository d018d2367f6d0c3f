#include "client/spool_store.h"

#include "base/alloc.h"
#include "base/file.h"

#include <assert.h>
#include <stdio.h>

enum {
    VERSION = 1,
    FLAG_SEALED = 1,
    FLAG_NUMBER = 2,
    FLAG_BEHIND_SEALED = 4,
    KEY_MAX = 1 + HASH_BYTES,
    ITEM_BYTES_MAX = ENTRY_BYTES_MAX + 512,
    RECEIPT_BYTES_MAX = 1024 * 1024, /* KV_VALUE_BYTES_MAX: what a receipt may have is less */
    STATE_BYTES_MAX = 2048,
    PRIVATE_MODE = 0700,
};

struct key {
    uint8_t bytes[KEY_MAX];
    size_t len;
};

static struct key ticket_key(char kind, uint64_t ticket)
{
    struct key key = { { (uint8_t)kind }, 1 + sizeof ticket };
    for (size_t i = 0; i < sizeof ticket; i++) {
        key.bytes[1 + i] = (uint8_t)(ticket >> (8 * (sizeof ticket - 1 - i)));
    }
    return key;
}

static struct key number_key(const struct hash *case_id)
{
    struct key key = { { 'n' }, 1 + HASH_BYTES };
    memcpy(key.bytes + 1, case_id->bytes, HASH_BYTES);
    return key;
}

static struct span key_span(const struct key *key)
{
    return span_of(key->bytes, key->len);
}

static bool take_ticket(struct span key, uint64_t *ticket)
{
    uint8_t kind;
    return span_take_u8(&key, &kind) && span_take_u64(&key, ticket) && key.len == 0;
}

/* ---- state ---- */

void spool_store_put_state(struct kv_batch *batch, const struct spool_state *state,
                           const char *origin)
{
    struct buf value = BUF_INIT(STATE_BYTES_MAX);
    size_t reason_len = strlen(state->reason);
    buf_put_u8(&value, VERSION);
    buf_put_u64(&value, state->next_ticket);
    buf_put_u64(&value, state->proved);
    buf_put_u64(&value, state->refused);
    buf_put_u64(&value, state->wrong);
    buf_put_u8(&value, state->is_stopped);
    buf_put_u16(&value, (uint16_t)reason_len);
    buf_put_str(&value, state->reason);
    buf_put_str(&value, origin);
    kv_batch_put(batch, span_of("m", 1), buf_span(&value));
    buf_clear(&value);
}

static bool read_state(struct spool_state *out, char *origin, struct span in)
{
    uint8_t version = 0, is_stopped = 0;
    uint16_t reason_len = 0;
    struct span reason;
    bool is_whole = span_take_u8(&in, &version) && version == VERSION &&
                    span_take_u64(&in, &out->next_ticket) && span_take_u64(&in, &out->proved) &&
                    span_take_u64(&in, &out->refused) && span_take_u64(&in, &out->wrong) &&
                    span_take_u8(&in, &is_stopped) && span_take_u16(&in, &reason_len) &&
                    span_take(&in, reason_len, &reason) && reason.len < sizeof out->reason &&
                    in.len <= ORIGIN_BYTES_MAX;
    if (is_whole) {
        out->is_stopped = is_stopped != 0;
        memcpy(out->reason, reason.data, reason.len);
        out->reason[reason.len] = 0;
        memcpy(origin, in.data, in.len);
        origin[in.len] = 0;
    }
    return is_whole;
}

static enum err_code load_state(struct kv *kv, struct spool_state *state, char *origin,
                                struct err *err)
{
    struct buf value = BUF_INIT(STATE_BYTES_MAX);
    enum err_code rc = kv_get(kv, span_of("m", 1), &value, err);
    if (rc == E_OK && !read_state(state, origin, buf_span(&value))) {
        rc = err_set(err, E_CORRUPT, "the spool's state makes no sense");
    }
    buf_clear(&value);
    return rc;
}

/* ---- open and close ---- */

static enum err_code write_first_state(struct kv *kv, const struct spool_state *state,
                                       const char *origin, struct err *err)
{
    struct kv_batch batch;
    kv_batch_init(&batch);
    spool_store_put_state(&batch, state, origin);
    enum err_code rc = kv_write_synced(kv, &batch, err);
    kv_batch_clear(&batch);
    return rc;
}

/* A new store is bound to its origin before it has anything else. */
static enum err_code bind_origin(struct kv *kv, struct spool_state *state, const char *origin,
                                 struct err *err)
{
    char stored[ORIGIN_BYTES_MAX + 1];
    *state = (struct spool_state){ .next_ticket = 1 };
    enum err_code rc = load_state(kv, state, stored, err);
    if (rc == E_NOT_FOUND) {
        return write_first_state(kv, state, origin, err);
    }
    if (rc == E_OK && strcmp(stored, origin) != 0) {
        rc = err_set(err, E_CONFLICT, "the spool is of the log %s", stored);
    }
    return rc;
}

enum err_code spool_store_open(struct spool_store *out, struct spool_state *state, const char *dir,
                               const char *origin, struct err *err)
{
    struct spool_store store = { .kv = NULL };
    enum err_code rc = file_make_directory(dir, PRIVATE_MODE, err);
    if (rc != E_OK) {
        return rc;
    }
    /* `dir` may have been there, open to all: what is in the store tells whose sealed records are. */
    store.dir = file_join(dir, "store");
    rc = file_make_directory(store.dir, PRIVATE_MODE, err);
    if (rc == E_OK) {
        rc = kv_leveldb_open(&store.kv, store.dir, err);
    }
    if (rc == E_OK) {
        rc = bind_origin(store.kv, state, origin, err);
    }
    if (rc != E_OK) {
        kv_close(store.kv);
        mem_free(store.dir);
        return rc;
    }
    pthread_rwlock_init(&store.lock, NULL);
    *out = store;
    return E_OK;
}

enum err_code spool_store_open_existing(struct spool_store *out, struct spool_state *state,
                                        char *origin, const char *dir, struct err *err)
{
    struct spool_store store = { .dir = file_join(dir, "store") };
    enum err_code rc = kv_leveldb_open_existing(&store.kv, store.dir, err);
    if (rc == E_OK) {
        rc = load_state(store.kv, state, origin, err);
    }
    if (rc != E_OK) {
        kv_close(store.kv);
        mem_free(store.dir);
        return rc;
    }
    pthread_rwlock_init(&store.lock, NULL);
    *out = store;
    return E_OK;
}

void spool_store_close(struct spool_store *store)
{
    kv_close(store->kv);
    mem_free(store->dir);
    pthread_rwlock_destroy(&store->lock);
}

bool spool_store_is_open(struct spool_store *store)
{
    pthread_rwlock_rdlock(&store->lock);
    bool is_open = store->kv != NULL;
    pthread_rwlock_unlock(&store->lock);
    return is_open;
}

static void drop(struct spool_store *store)
{
    pthread_rwlock_wrlock(&store->lock);
    kv_close(store->kv);
    store->kv = NULL;
    pthread_rwlock_unlock(&store->lock);
}

enum err_code spool_store_reopen(struct spool_store *store, struct err *err)
{
    struct kv *kv = NULL;
    enum err_code rc = kv_leveldb_open_existing(&kv, store->dir, err);
    if (rc == E_OK) {
        pthread_rwlock_wrlock(&store->lock);
        assert(store->kv == NULL);
        store->kv = kv;
        pthread_rwlock_unlock(&store->lock);
    }
    return rc;
}

enum err_code spool_store_write(struct spool_store *store, const struct kv_batch *batch,
                                bool is_synced, struct err *err)
{
    /* Only this thread replaces the handle. */
    enum err_code rc =
        is_synced ? kv_write_synced(store->kv, batch, err) : kv_write(store->kv, batch, err);
    if (rc != E_OK) {
        drop(store);
    }
    return rc;
}

/* ---- changes ---- */

void spool_store_put_item(struct kv_batch *batch, uint64_t ticket, uint64_t accepted_ms,
                          const struct spool_item *item, bool is_behind_sealed)
{
    struct buf value = BUF_INIT(ITEM_BYTES_MAX);
    struct key key = ticket_key('i', ticket);
    buf_put_u8(&value, VERSION);
    buf_put_u8(&value, (uint8_t)((item->is_sealed ? FLAG_SEALED : 0) |
                                 (item->has_number ? FLAG_NUMBER : 0) |
                                 (is_behind_sealed ? FLAG_BEHIND_SEALED : 0)));
    buf_put_u64(&value, accepted_ms);
    buf_put(&value, hash_span(&item->case_id));
    buf_put_u64(&value, item->number);
    buf_put_u8(&value, (uint8_t)item->id.len);
    buf_put(&value, item->id);
    buf_put_u8(&value, (uint8_t)item->certificate.len);
    buf_put(&value, item->certificate);
    buf_put(&value, item->entry);
    kv_batch_put(batch, key_span(&key), buf_span(&value));
    buf_clear(&value);
}

static void delete_key(struct kv_batch *batch, char kind, uint64_t ticket)
{
    struct key key = ticket_key(kind, ticket);
    kv_batch_delete(batch, key_span(&key));
}

void spool_store_delete_item(struct kv_batch *batch, uint64_t ticket)
{
    delete_key(batch, 'i', ticket);
}

void spool_store_delete_receipt(struct kv_batch *batch, uint64_t ticket)
{
    delete_key(batch, 'r', ticket);
}

void spool_store_delete_refusal(struct kv_batch *batch, uint64_t ticket)
{
    delete_key(batch, 'x', ticket);
}

void spool_store_put_number(struct kv_batch *batch, const struct hash *case_id, uint64_t next,
                            bool is_behind_sealed)
{
    struct key key = number_key(case_id);
    struct buf value = BUF_INIT(sizeof next + 1);
    if (next == 0) {
        kv_batch_delete(batch, key_span(&key));
        return;
    }
    buf_put_u64(&value, next);
    buf_put_u8(&value, is_behind_sealed);
    kv_batch_put(batch, key_span(&key), buf_span(&value));
    buf_clear(&value);
}

void spool_store_put_receipt(struct kv_batch *batch, uint64_t ticket,
                             const struct spool_receipt *receipt)
{
    struct buf value = BUF_INIT(RECEIPT_BYTES_MAX);
    struct key key = ticket_key('r', ticket);
    buf_put_u8(&value, VERSION);
    buf_put(&value, hash_span(&receipt->leaf));
    buf_put_u64(&value, receipt->index);
    buf_put_u8(&value, (uint8_t)receipt->id.len);
    buf_put(&value, receipt->id);
    buf_put(&value, receipt->proof);
    kv_batch_put(batch, key_span(&key), buf_span(&value));
    buf_clear(&value);
}

void spool_store_put_refusal(struct kv_batch *batch, uint64_t ticket, const char *words)
{
    struct key key = ticket_key('x', ticket);
    kv_batch_put(batch, key_span(&key), span_of_str(words));
}

/* ---- reading ---- */

static enum err_code get(struct spool_store *store, struct span key, struct buf *out,
                         struct err *err)
{
    pthread_rwlock_rdlock(&store->lock);
    enum err_code rc = store->kv != NULL
                           ? kv_get(store->kv, key, out, err)
                           : err_set(err, E_IO, "the spool's store is closed after a failed write");
    pthread_rwlock_unlock(&store->lock);
    return rc;
}

static bool parse_item(struct spool_stored *out, struct span in)
{
    uint8_t version, flags, id_len, certificate_len;
    struct span case_id;
    if (!span_take_u8(&in, &version) || version != VERSION || !span_take_u8(&in, &flags) ||
        !span_take_u64(&in, &out->accepted_ms) || !span_take(&in, HASH_BYTES, &case_id) ||
        !span_take_u64(&in, &out->number) || !span_take_u8(&in, &id_len) ||
        !span_take(&in, id_len, &out->id) || !span_take_u8(&in, &certificate_len) ||
        !span_take(&in, certificate_len, &out->certificate)) {
        return false;
    }
    memcpy(out->case_id.bytes, case_id.data, HASH_BYTES);
    out->is_sealed = (flags & FLAG_SEALED) != 0;
    out->has_number = (flags & FLAG_NUMBER) != 0;
    out->is_behind_sealed = (flags & FLAG_BEHIND_SEALED) != 0;
    out->entry = in;
    return in.len >= 1 && in.len <= ENTRY_BYTES_MAX;
}

static bool parse_receipt(struct spool_stored_receipt *out, struct span in)
{
    uint8_t version, id_len;
    struct span leaf;
    if (!span_take_u8(&in, &version) || version != VERSION || !span_take(&in, HASH_BYTES, &leaf) ||
        !span_take_u64(&in, &out->index) || !span_take_u8(&in, &id_len) ||
        !span_take(&in, id_len, &out->id)) {
        return false;
    }
    memcpy(out->leaf.bytes, leaf.data, HASH_BYTES);
    out->proof = in;
    return true;
}

enum err_code spool_store_item(struct spool_store *store, uint64_t ticket, struct buf *bytes,
                               struct spool_stored *out, struct err *err)
{
    struct key key = ticket_key('i', ticket);
    size_t before = bytes->len;
    enum err_code rc = get(store, key_span(&key), bytes, err);
    if (rc == E_OK && !parse_item(out, span_slice(buf_span(bytes), before, bytes->len - before))) {
        rc = err_set(err, E_CORRUPT, "an item of the spool is damaged");
    }
    return rc;
}

enum err_code spool_store_receipt(struct spool_store *store, uint64_t ticket, struct buf *bytes,
                                  struct spool_stored_receipt *out, struct err *err)
{
    struct key key = ticket_key('r', ticket);
    size_t before = bytes->len;
    enum err_code rc = get(store, key_span(&key), bytes, err);
    if (rc == E_OK &&
        !parse_receipt(out, span_slice(buf_span(bytes), before, bytes->len - before))) {
        rc = err_set(err, E_CORRUPT, "a receipt in the spool is damaged");
    }
    return rc;
}

enum err_code spool_store_number(struct spool_store *store, const struct hash *case_id,
                                 uint64_t *out, bool *is_behind_sealed, struct err *err)
{
    struct key key = number_key(case_id);
    struct buf value = BUF_INIT(64);
    enum err_code rc = get(store, key_span(&key), &value, err);
    struct span in = buf_span(&value);
    uint64_t number = 0;
    uint8_t behind = 0;
    if (rc == E_NOT_FOUND) {
        rc = E_OK;
    } else if (rc == E_OK && (!span_take_u64(&in, &number) || !span_take_u8(&in, &behind) ||
                              behind > 1 || in.len > 0)) {
        rc = err_set(err, E_CORRUPT, "the next number of a case is damaged");
    }
    buf_clear(&value);
    if (rc == E_OK) {
        *out = number;
        *is_behind_sealed = behind != 0;
    }
    return rc;
}

enum err_code spool_store_refusal(struct spool_store *store, uint64_t ticket, struct buf *words,
                                  struct err *err)
{
    struct key key = ticket_key('x', ticket);
    return get(store, key_span(&key), words, err);
}

bool spool_store_has_refusal(struct spool_store *store, uint64_t ticket)
{
    struct buf words = BUF_INIT(SPOOL_REASON_MAX);
    struct err err;
    enum err_code rc = spool_store_refusal(store, ticket, &words, &err);
    buf_clear(&words);
    return rc == E_OK;
}

struct scan {
    void *ctx;
    void (*on_item)(void *ctx, uint64_t ticket, const struct spool_stored *item);
    enum err_code (*on_receipt)(void *ctx, uint64_t ticket,
                                const struct spool_stored_receipt *receipt, struct err *err);
};

static enum err_code on_item(void *ctx, struct span key, struct span value, struct err *err)
{
    const struct scan *scan = ctx;
    struct spool_stored item;
    uint64_t ticket;
    if (!take_ticket(key, &ticket) || !parse_item(&item, value)) {
        return err_set(err, E_CORRUPT, "an item of the spool is damaged");
    }
    scan->on_item(scan->ctx, ticket, &item);
    return E_OK;
}

static enum err_code on_receipt(void *ctx, struct span key, struct span value, struct err *err)
{
    const struct scan *scan = ctx;
    struct spool_stored_receipt receipt;
    uint64_t ticket;
    if (!take_ticket(key, &ticket) || !parse_receipt(&receipt, value)) {
        return err_set(err, E_CORRUPT, "a receipt in the spool is damaged");
    }
    return scan->on_receipt(scan->ctx, ticket, &receipt, err);
}

static enum err_code scan_prefix(struct spool_store *store, const char *prefix,
                                 enum err_code (*on_pair)(void *ctx, struct span key,
                                                          struct span value, struct err *err),
                                 struct scan *scan, struct err *err)
{
    pthread_rwlock_rdlock(&store->lock);
    enum err_code rc = store->kv != NULL
                           ? kv_scan(store->kv, span_of_str(prefix), on_pair, scan, err)
                           : err_set(err, E_IO, "the spool's store is closed after a failed write");
    pthread_rwlock_unlock(&store->lock);
    return rc;
}

enum err_code spool_store_scan(struct spool_store *store,
                               void (*on_stored)(void *ctx, uint64_t ticket,
                                                 const struct spool_stored *item),
                               void *ctx, struct err *err)
{
    struct scan scan = { .ctx = ctx, .on_item = on_stored };
    return scan_prefix(store, "i", on_item, &scan, err);
}

enum err_code spool_store_scan_receipts(
    struct spool_store *store,
    enum err_code (*on_stored)(void *ctx, uint64_t ticket,
                               const struct spool_stored_receipt *receipt, struct err *err),
    void *ctx, struct err *err)
{
    struct scan scan = { .ctx = ctx, .on_receipt = on_stored };
    return scan_prefix(store, "r", on_receipt, &scan, err);
}
