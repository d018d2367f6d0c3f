/* ml_dsa.h -- ML-DSA-44 signatures, where the libcrypto that is installed has them (OpenSSL 3.5 and later).
 *
 * Spec: FIPS 204, "pure" mode with an empty context. Keys are kept as their 32-byte seed.
 * Any thread. It is asked for by name at run time: what was built with an older OpenSSL verifies with a newer one.
 */
#ifndef BASE_ML_DSA_H
#define BASE_ML_DSA_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum {
    ML_DSA_44_PUBLIC_BYTES = 1312,
    ML_DSA_44_SEED_BYTES = 32,
    ML_DSA_44_SIGNATURE_BYTES = 2420,
};

bool ml_dsa_is_available(void);
/* Makes it unavailable from now on, as it is with an older libcrypto: for tests of what is said then. */
void ml_dsa_hide(void);

/* A public key. There is one object for each key, so that equal keys are equal pointers; it is never freed. So only
 * keys that an operator configured may be made objects of, never what a stranger sent. */
struct ml_dsa_public;

/* Requires ML_DSA_44_PUBLIC_BYTES. All byte strings of that length are keys. */
const struct ml_dsa_public *ml_dsa_public_of(struct span bytes);
struct span ml_dsa_public_bytes(const struct ml_dsa_public *key);

/* About 90 us. False too where ML-DSA is not available: ask first what that means. */
bool ml_dsa_verify(const struct ml_dsa_public *key, struct span message, struct span signature);

/* A private key. Signing is safe from any thread. */
struct ml_dsa_key;

/* E_UNSUPPORTED where ML-DSA is not available. Free with ml_dsa_key_free. */
MUST_USE enum err_code ml_dsa_key_from_seed(struct ml_dsa_key **out,
                                            const uint8_t seed[static ML_DSA_44_SEED_BYTES],
                                            struct err *err);
MUST_USE enum err_code ml_dsa_key_generate(struct ml_dsa_key **out, struct err *err);
void ml_dsa_key_free(struct ml_dsa_key *key); /* NULL is fine */
const struct ml_dsa_public *ml_dsa_key_public(const struct ml_dsa_key *key);
/* For writing a key file; the caller wipes it. */
void ml_dsa_key_seed(const struct ml_dsa_key *key, uint8_t seed[static ML_DSA_44_SEED_BYTES]);

/* Appends ML_DSA_44_SIGNATURE_BYTES. Hedged with random bytes; ml_dsa_sign_plainly is the deterministic variant, for
 * comparing with vectors. */
void ml_dsa_sign(const struct ml_dsa_key *key, struct span message, struct buf *out);
void ml_dsa_sign_plainly(const struct ml_dsa_key *key, struct span message, struct buf *out);

#endif
