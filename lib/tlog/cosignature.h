/* cosignature.h -- what a witness signs: a checkpoint at a time.
 *
 * Spec: C2SP tlog-cosignature, Ed25519 form (type 0x04).
 * Pure. Any thread.
 */
#ifndef TLOG_COSIGNATURE_H
#define TLOG_COSIGNATURE_H

#include "base/buf.h"
#include "base/crypto.h"

enum {
    COSIGNATURE_TIMESTAMP_BYTES = 8,
    COSIGNATURE_BYTES = COSIGNATURE_TIMESTAMP_BYTES + ED25519_SIGNATURE_BYTES,
};

/* Appends the message: "cosignature/v1\n" "time N\n" and the checkpoint's text. */
void cosignature_put_message(struct buf *out, uint64_t timestamp, struct span text);

/* timestamp || signature. Requires 1 <= timestamp <= SIZE_VALUE_MAX. Errors are signing_key_sign's. */
MUST_USE enum err_code cosignature_put(struct buf *out, const struct signing_key *key,
                                       uint64_t timestamp, struct span text, struct err *err);

/* False too for a wrong length, time 0 or a time above SIZE_VALUE_MAX. */
bool cosignature_is_valid(const struct ed25519_public *key, struct span text, struct span signature,
                          uint64_t *timestamp);

#endif
