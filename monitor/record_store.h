/* record_store.h -- what is known of the records of one log, in the monitor's store.
 *
 * A scan looks at records before anybody has vouched for them: only at its end the root turns out to be the signed
 * one, or not. So what it writes has a *stamp*, the entry's index and the scan's generation. A scan that led nowhere
 * ends its generation, and all that it wrote counts as never written; nothing need be found and deleted. What is
 * below `base`, the last tree that was held, counts if it is of the generation that got there.
 *
 * Changes wait in memory, where they are read too, until they are written in one batch with the cursor of the scan:
 * after a crash both are where they were at one moment.
 *
 * Keys below "log/<origin hash>/record/": "progress", "position", and those of record_*.c, which begin with a letter
 * and '/'. Blocks on the store. One thread: the follower's.
 */
#ifndef MONITOR_RECORD_STORE_H
#define MONITOR_RECORD_STORE_H

#include "monitor/watched_log.h"

enum {
    RECORD_KEY_BYTES_MAX = 64, /* of a key as it is given here */
    RECORD_VALUE_BYTES_MAX = KV_VALUE_BYTES_MAX,
};

struct record_stamp {
    uint64_t index;
    uint32_t generation;
};

struct record_store;

/* E_CORRUPT, E_IO. */
MUST_USE enum err_code record_store_open(struct record_store **out, struct watched_log *log,
                                         struct err *err);
void record_store_free(struct record_store *store); /* NULL is fine */

/* -- values -- */

/* Appends the value; E_NOT_FOUND; the store's errors. */
MUST_USE enum err_code record_store_get(struct record_store *store, struct span key,
                                        struct buf *out, struct err *err);
/* What is stored, in the order of keys: what waits is not among it. As state_store_scan. */
MUST_USE enum err_code record_store_scan(struct record_store *store, struct span prefix,
                                         enum err_code (*on_item)(void *ctx, struct span key,
                                                                  struct span value,
                                                                  struct err *err),
                                         void *ctx, struct err *err);
/* Copies; waits to be written. */
void record_store_put(struct record_store *store, struct span key, struct span value);
void record_store_delete(struct record_store *store, struct span key);
bool record_store_has_waiting(const struct record_store *store);
/* So much waits that it should be written. */
bool record_store_is_full(const struct record_store *store);

/* -- how far -- */

/* Entries below it are looked at by the scan under way; at least the base's size. */
uint64_t record_store_position(const struct record_store *store);
void record_store_advance(struct record_store *store, uint64_t position);
/* All below it is of a held tree. */
const struct compact_range *record_store_base(const struct record_store *store);
/* Entries below it were never looked at: the monitor was told to begin there. */
uint64_t record_store_from(const struct record_store *store);

/* The stamp of what is written about entry `index` now. */
struct record_stamp record_store_stamp(const struct record_store *store, uint64_t index);
bool record_store_is_valid(const struct record_store *store, struct record_stamp stamp);
void record_stamp_put(struct buf *out, struct record_stamp stamp);
bool record_stamp_take(struct span *in, struct record_stamp *out);

/* Adds what waits, with the position, to a batch. When that is written: record_store_on_written. Until then it goes on
 * waiting, and may be written again. */
void record_store_put_waiting(struct record_store *store, struct kv_batch *batch);
void record_store_on_written(struct record_store *store);

/* The scan led nowhere: all beyond the base is forgotten, durably. Nothing happens when there is none. */
MUST_USE enum err_code record_store_restart(struct record_store *store, struct err *err);

/* The scan has come to a signed root: `range`, at the position, is the base from now on, once the batch is written and
 * record_store_on_base called. What waits is in the batch too. */
void record_store_put_base(struct record_store *store, const struct compact_range *range,
                           struct kv_batch *batch);
void record_store_on_base(struct record_store *store, const struct compact_range *range);
/* Likewise for a tree whose entries are not looked at. Requires that nothing was. */
void record_store_begin_at(struct record_store *store, const struct compact_range *range);

#endif
