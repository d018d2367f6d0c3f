/* state_store.h -- the monitor's store: one kv, written by several threads, opened again after a failure.
 *
 * kv.h wants one writer at a time, and to be closed and opened again after a failed write: both are
 * done here. Keys: "log/<origin hash, 32 bytes>/..." is watched_log, follow, note_memory and
 * witness_memory; "alert/..." is alert_book; "history/<origin hash>" is history.
 * Blocks on the disk. Any thread: it has a lock of its own.
 */
#ifndef MONITOR_STATE_STORE_H
#define MONITOR_STATE_STORE_H

#include "store/kv.h"

struct state_store;

/* Takes the kv. `reopen` (NULL in tests: the kv stays) opens it again after it was closed. */
struct state_store *
state_store_new(struct kv *kv, enum err_code (*reopen)(void *ctx, struct kv **out, struct err *err),
                void *ctx);
void state_store_free(struct state_store *store); /* closes the kv; NULL is fine */

/* As kv_get, kv_write_synced, kv_write and kv_scan. After E_IO from a write nothing of the batch may
 * be relied upon to be there or not; the next call opens the store again first. on_item may not call
 * the store. */
MUST_USE enum err_code state_store_get(struct state_store *store, struct span key, struct buf *out,
                                       struct err *err);
MUST_USE enum err_code state_store_write_synced(struct state_store *store,
                                                const struct kv_batch *batch, struct err *err);
MUST_USE enum err_code state_store_write(struct state_store *store, const struct kv_batch *batch,
                                         struct err *err);
MUST_USE enum err_code state_store_scan(struct state_store *store, struct span prefix,
                                        enum err_code (*on_item)(void *ctx, struct span key,
                                                                 struct span value,
                                                                 struct err *err),
                                        void *ctx, struct err *err);
/* True while the last write failed: for /healthz and metrics. */
bool state_store_is_failing(struct state_store *store);

#endif
