/* keys.h -- keys for tests, the same in every run. */
#ifndef SUPPORT_KEYS_H
#define SUPPORT_KEYS_H

#include "tlog/vkey.h"

/* The signer whose seed is the SHA-256 of `secret`. Free with signer_clear. Of type ML_DSA_44 only where that is
 * available. */
struct signer keys_signer(const char *name, enum signature_type type, const char *secret);

/* Likewise from a seed in hex. */
struct signer keys_signer_from_hex(const char *name, enum signature_type type, const char *seed);

/* Signing with keys in memory, which cannot fail. */
struct ed25519_signature keys_sign(const struct signing_key *key, struct span message);
void keys_put_cosignature(struct buf *out, const struct signing_key *key, uint64_t timestamp,
                          struct span text);
void keys_put_signature(struct buf *out, struct span text, const struct signer *signer,
                        uint64_t timestamp);
void keys_put_signed(struct buf *out, struct span text, const struct signer *signer,
                     uint64_t timestamp);

#endif
