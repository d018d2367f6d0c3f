/* cosignature.h -- what a witness signs: a checkpoint at a time.
 *
 * Spec: C2SP tlog-cosignature, Ed25519 form (type 0x04) and ML-DSA-44 form (type 0x06).
 * Pure. Any thread.
 */
#ifndef TLOG_COSIGNATURE_H
#define TLOG_COSIGNATURE_H

#include "base/buf.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "base/ml_dsa.h"

enum {
    COSIGNATURE_TIMESTAMP_BYTES = 8,
    COSIGNATURE_BYTES = COSIGNATURE_TIMESTAMP_BYTES + ED25519_SIGNATURE_BYTES,
    COSIGNATURE_ML_DSA_BYTES = COSIGNATURE_TIMESTAMP_BYTES + ML_DSA_44_SIGNATURE_BYTES,
    COSIGNATURE_SUBTREE_MESSAGE_MAX =
        12 + 1 + KEY_NAME_BYTES_MAX + 8 + 1 + ORIGIN_BYTES_MAX + 8 + 8 + HASH_BYTES,
};

/* Appends the message: "cosignature/v1\n" "time N\n" and the checkpoint's text. */
void cosignature_put_message(struct buf *out, uint64_t timestamp, struct span text);

/* timestamp || signature. Requires 1 <= timestamp <= SIZE_VALUE_MAX. Errors are signing_key_sign's. */
MUST_USE enum err_code cosignature_put(struct buf *out, const struct signing_key *key,
                                       uint64_t timestamp, struct span text, struct err *err);

/* False too for a wrong length, time 0 or a time above SIZE_VALUE_MAX. */
bool cosignature_is_valid(const struct ed25519_public *key, struct span text, struct span signature,
                          uint64_t *timestamp);

/* A tree of a log, or the part [start, end) of one, as a cosigner names it. */
struct cosigned_subtree {
    struct span cosigner; /* key name, 1..KEY_NAME_BYTES_MAX bytes */
    struct span origin;   /* 1..ORIGIN_BYTES_MAX bytes */
    uint64_t start, end;
    struct hash hash;
};

/* Appends what an ML-DSA-44 key signs. */
void cosignature_put_subtree_message(struct buf *out, const struct cosigned_subtree *subtree,
                                     uint64_t timestamp);

/* timestamp || signature over the checkpoint that `text` is, by the key of that name. Requires 1 <= timestamp <=
 * SIZE_VALUE_MAX. E_MALFORMED when it is no checkpoint, or one with extension lines, which would not be signed. */
MUST_USE enum err_code cosignature_put_ml_dsa(struct buf *out, const struct ml_dsa_key *key,
                                              const char *name, uint64_t timestamp,
                                              struct span text, struct err *err);

/* False too where ML-DSA is not available, for another length, for extension lines, a time above SIZE_VALUE_MAX, and for
 * time 0, but by a key that has the origin as its name: a log may sign without claiming a time. */
bool cosignature_ml_dsa_is_valid(const struct ml_dsa_public *key, const char *name,
                                 struct span text, struct span signature, uint64_t *timestamp);

#endif
