/* witness_slot.h -- one note of a witness, as witness_memory.h keeps two of each: how it is stored.
 *
 * Keys: "witness/<public key in hex>/size" and ".../time" of the log; by the whole key, because a key ID can be
 * chosen. Values: size, time, root, then the note with the log's lines and the witness's.
 * Blocks on the store. Any thread.
 */
#ifndef MONITOR_WITNESS_SLOT_H
#define MONITOR_WITNESS_SLOT_H

#include "monitor/watched_log.h"

enum witness_slot_kind {
    WITNESS_SLOT_SIZE, /* the largest size, and the earliest time of it */
    WITNESS_SLOT_TIME, /* the latest time, and the smallest size of it */
    WITNESS_SLOT_KINDS
};

struct witness_slot {
    bool is_there;
    uint64_t size, time;
    struct hash root;
    struct buf note; /* owned */
};

/* Call witness_slot_clear after success. E_CORRUPT; E_IO. */
MUST_USE enum err_code witness_slot_read(struct witness_slot *out, struct watched_log *log,
                                         const struct vkey *witness, enum witness_slot_kind kind,
                                         struct err *err);
void witness_slot_clear(struct witness_slot *slot);

void witness_slot_put(struct kv_batch *batch, struct watched_log *log, const struct vkey *witness,
                      enum witness_slot_kind kind, const struct witness_slot *slot);

#endif
