/* kv.h -- the seam to a small ordered store of keys and values: the state of witness and monitor.
 *
 * Two implementations: LevelDB and memory; one contract test. Any thread may read; one writer at a
 * time. Each call may block on the disk.
 *
 * A batch is all there after a crash or not at all. kv_write_synced: durable when it returns E_OK;
 * after an error nothing is known, and the store must be closed and opened again (a full disk is
 * sticky in LevelDB): what is then read is what is there.
 */
#ifndef STORE_KV_H
#define STORE_KV_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum {
    KV_KEY_BYTES_MAX = 1024,
    KV_VALUE_BYTES_MAX = 1024 * 1024,
    KV_BATCH_BYTES_MAX = 16 * 1024 * 1024,
};

/* Changes to be made together, in order. One owner. */
struct kv_batch {
    struct buf changes; /* owned; format of kv.c */
    size_t count;
};
void kv_batch_init(struct kv_batch *batch);
void kv_batch_clear(struct kv_batch *batch);
void kv_batch_reset(struct kv_batch *batch); /* empty again, keeps its memory */
/* Copy key and value. Require that they are within the maxima above. */
void kv_batch_put(struct kv_batch *batch, struct span key, struct span value);
void kv_batch_delete(struct kv_batch *batch, struct span key);
/* For implementations: takes the next change from the left of `in`; false at the end. `value` is NULL
 * data with is_delete. */
bool kv_batch_take(struct span *in, struct span *key, struct span *value, bool *is_delete);

struct kv {
    const struct kv_ops *ops;
};

struct kv_ops {
    enum err_code (*get)(struct kv *kv, struct span key, struct buf *out, struct err *err);
    enum err_code (*write)(struct kv *kv, const struct kv_batch *batch, bool is_synced,
                           struct err *err);
    enum err_code (*scan)(struct kv *kv, struct span prefix,
                          enum err_code (*on_item)(void *ctx, struct span key, struct span value,
                                                   struct err *err),
                          void *ctx, struct err *err);
    void (*close)(struct kv *kv);
};

/* Appends the value; E_NOT_FOUND; E_CORRUPT; E_IO. */
MUST_USE static inline enum err_code kv_get(struct kv *kv, struct span key, struct buf *out,
                                            struct err *err)
{
    return kv->ops->get(kv, key, out, err);
}

MUST_USE static inline enum err_code kv_write_synced(struct kv *kv, const struct kv_batch *batch,
                                                     struct err *err)
{
    return kv->ops->write(kv, batch, true, err);
}

/* Survives the process, not a power failure. */
MUST_USE static inline enum err_code kv_write(struct kv *kv, const struct kv_batch *batch,
                                              struct err *err)
{
    return kv->ops->write(kv, batch, false, err);
}

/* Tells all items whose key starts with `prefix`, in key order, as of the call; stops at the first
 * error of on_item. Spans are good for the call. */
MUST_USE static inline enum err_code
kv_scan(struct kv *kv, struct span prefix,
        enum err_code (*on_item)(void *ctx, struct span key, struct span value, struct err *err),
        void *ctx, struct err *err)
{
    return kv->ops->scan(kv, prefix, on_item, ctx, err);
}

static inline void kv_close(struct kv *kv)
{
    if (kv != NULL) {
        kv->ops->close(kv);
    }
}

/* Opens or creates the LevelDB store in directory `dir`. E_BUSY when another process has it;
 * E_CORRUPT when it does not open or fails its checks: it is left as it is; E_IO. */
MUST_USE enum err_code kv_leveldb_open(struct kv **out, const char *dir, struct err *err);

/* Likewise one that must be there already. E_NOT_FOUND: then nothing is made, not even `dir`. */
MUST_USE enum err_code kv_leveldb_open_existing(struct kv **out, const char *dir, struct err *err);

/* In memory. A copy is a backup of its state. `fail_writes` > 0 makes the next writes fail with E_IO:
 * with `is_applied` after they took effect, else before. */
struct kv *kv_memory_new(void);
struct kv *kv_memory_copy(const struct kv *kv);
void kv_memory_fail(struct kv *kv, unsigned fail_writes, bool is_applied);

#endif
