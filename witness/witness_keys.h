/* witness_keys.h -- the keys that a witness signs with: of one name, the first of type 0x04, the others of that
 * type or of ML-DSA-44 (0x06).
 *
 * Blocks on the disk, and on a device. Any thread.
 */
#ifndef WITNESS_WITNESS_KEYS_H
#define WITNESS_WITNESS_KEYS_H

#include "tlog/vkey.h"
#include "witness/cosigner.h"

struct witness_keys {
    size_t count;
    struct signer signers[COSIGNER_KEYS_MAX]; /* owned */
    struct vkey vkeys[COSIGNER_KEYS_MAX];     /* theirs */
};

/* Requires 1 <= count <= COSIGNER_KEYS_MAX. Errors as key_file_load; E_MALFORMED in words for a person
 * for a log's key, a second name, or the same key twice. */
MUST_USE enum err_code witness_keys_load(struct witness_keys *out, const char *const *paths,
                                         size_t count, struct err *err);
void witness_keys_clear(struct witness_keys *keys);

#endif
