/* log_fetch.h -- what a verifier asks a log for, whichever way the log is reached.
 *
 * What comes back is checked as far as the caller's checkpoint allows. Blocks. Any thread, with
 * arguments of its own.
 */
#ifndef CLIENT_LOG_FETCH_H
#define CLIENT_LOG_FETCH_H

#include "base/buf.h"
#include "client/log_address.h"
#include "tlog/proof.h"

/* Appends the latest checkpoint note, unverified. E_NOT_FOUND, E_IO, E_TIMEOUT, ... */
MUST_USE enum err_code log_fetch_checkpoint(const struct log_address *address, struct buf *note,
                                            struct err *err);

/* Which entry is meant: the one with this leaf hash, or the one at this index. */
struct log_fetch_entry {
    bool has_leaf;
    struct hash leaf;
    uint64_t index;
};

/* Proves an entry in the tree of `size` and `root`, which come out of a verified checkpoint: fills in
 * what `entry` lacks, and the proof, which verifies. E_NOT_FOUND when the tree has no such entry;
 * E_CORRUPT or E_BAD_PROOF when the log's answer is wrong; E_IO for what it does not serve.
 * `on_progress` (may be NULL) is told how many entries have been looked at when tiles are searched
 * for a leaf hash, the newest first. */
MUST_USE enum err_code log_fetch_proof(const struct log_address *address, uint64_t size,
                                       const struct hash *root, struct log_fetch_entry *entry,
                                       struct proof *proof,
                                       void (*on_progress)(void *ctx, uint64_t entries), void *ctx,
                                       struct err *err);

/* A tree that was there before the one that the caller has verified. */
struct log_fetch_older {
    uint64_t size;
    struct hash root;         /* as it follows from the newer tree */
    struct proof consistency; /* from it to the newer tree */
    struct proof inclusion;   /* of the entry in it */
};

/* Proves an entry in the tree of out->size entries that is a prefix of the tree of `size` and `root`,
 * from tiles. Requires index < out->size < size. E_UNSUPPORTED over gRPC; else as log_fetch_proof. */
MUST_USE enum err_code log_fetch_older(const struct log_address *address, uint64_t size,
                                       const struct hash *root, uint64_t index,
                                       struct log_fetch_older *out, struct err *err);

/* Appends the bytes of the entry at `index` of the tree of `size` and `root`, checked against the root. Requires index <
 * size, and `out` to have room for ENTRY_BYTES_MAX. E_UNSUPPORTED over gRPC; else as log_fetch_proof. */
MUST_USE enum err_code log_fetch_bytes(const struct log_address *address, uint64_t size,
                                       const struct hash *root, uint64_t index, struct buf *out,
                                       struct err *err);

#endif
