#include "monitor/state_store.h"

#include "base/alloc.h"

#include <pthread.h>

struct state_store {
    pthread_mutex_t lock; /* of all below */
    struct kv *kv;        /* owned; NULL while it could not be opened again */
    enum err_code (*reopen)(void *ctx, struct kv **out, struct err *err);
    void *ctx;
    bool is_stale;   /* a write failed: nothing may be read or written before it is opened again */
    bool is_failing; /* the last write failed */
};

struct state_store *
state_store_new(struct kv *kv, enum err_code (*reopen)(void *ctx, struct kv **out, struct err *err),
                void *ctx)
{
    struct state_store *store = NEW(struct state_store);
    pthread_mutex_init(&store->lock, NULL);
    store->kv = kv;
    store->reopen = reopen;
    store->ctx = ctx;
    return store;
}

void state_store_free(struct state_store *store)
{
    if (store != NULL) {
        kv_close(store->kv);
        pthread_mutex_destroy(&store->lock);
        mem_free(store);
    }
}

/* Locked. Two handles of one LevelDB exclude each other: the old one is closed first, and if the new one does
 * not open there is none until it does. */
static enum err_code make_ready(struct state_store *store, struct err *err)
{
    if (!store->is_stale) {
        return E_OK;
    }
    if (store->reopen != NULL) {
        kv_close(store->kv);
        store->kv = NULL;
        enum err_code rc = store->reopen(store->ctx, &store->kv, err);
        if (rc != E_OK) {
            store->kv = NULL;
            return err_wrap(err, "opening the store again after a failed write");
        }
    }
    store->is_stale = false;
    return E_OK;
}

enum err_code state_store_get(struct state_store *store, struct span key, struct buf *out,
                              struct err *err)
{
    pthread_mutex_lock(&store->lock);
    enum err_code rc = make_ready(store, err);
    if (rc == E_OK) {
        rc = kv_get(store->kv, key, out, err);
    }
    pthread_mutex_unlock(&store->lock);
    return rc;
}

static enum err_code write_batch(struct state_store *store, const struct kv_batch *batch,
                                 bool is_synced, struct err *err)
{
    pthread_mutex_lock(&store->lock);
    enum err_code rc = make_ready(store, err);
    if (rc == E_OK) {
        rc = is_synced ? kv_write_synced(store->kv, batch, err) : kv_write(store->kv, batch, err);
        store->is_stale = rc != E_OK;
    }
    store->is_failing = rc != E_OK;
    pthread_mutex_unlock(&store->lock);
    return rc;
}

enum err_code state_store_write_synced(struct state_store *store, const struct kv_batch *batch,
                                       struct err *err)
{
    return write_batch(store, batch, true, err);
}

enum err_code state_store_write(struct state_store *store, const struct kv_batch *batch,
                                struct err *err)
{
    return write_batch(store, batch, false, err);
}

enum err_code state_store_scan(struct state_store *store, struct span prefix,
                               enum err_code (*on_item)(void *ctx, struct span key,
                                                        struct span value, struct err *err),
                               void *ctx, struct err *err)
{
    pthread_mutex_lock(&store->lock);
    enum err_code rc = make_ready(store, err);
    if (rc == E_OK) {
        rc = kv_scan(store->kv, prefix, on_item, ctx, err);
    }
    pthread_mutex_unlock(&store->lock);
    return rc;
}

bool state_store_is_failing(struct state_store *store)
{
    pthread_mutex_lock(&store->lock);
    bool is_failing = store->is_failing;
    pthread_mutex_unlock(&store->lock);
    return is_failing;
}
