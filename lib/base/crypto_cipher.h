/* crypto_cipher.h -- HMAC-SHA-256, AES-256-CTR, and authenticated encryption: more of libcrypto.
 *
 * Spec: RFC 2104; NIST SP 800-38A and -38D; GB/T 32907 (SM4) with GCM where this libcrypto has it.
 * Any thread.
 */
#ifndef BASE_CRYPTO_CIPHER_H
#define BASE_CRYPTO_CIPHER_H

#include "base/crypto.h"

enum {
    CIPHER_KEY_BYTES = 32, /* SM4 uses the first 16 */
    CIPHER_NONCE_BYTES = 12,
    CIPHER_TAG_BYTES = 16,
};

/* HMAC-SHA-256 of the concatenation of `count` spans. */
struct hash hmac_sha256(struct span key, const struct span *parts, size_t count);

/* In place; the same call enciphers and deciphers. The key must be for this one message: the IV is zero. */
void aes256_ctr(const uint8_t key[static CIPHER_KEY_BYTES], uint8_t *bytes, size_t len);

enum cipher {
    CIPHER_AES_256_GCM,
    CIPHER_SM4_GCM
};
bool cipher_is_available(enum cipher cipher);

/* Appends ciphertext and tag. `extra` is authenticated too. Requires an available cipher, a nonce never used with
 * this key, and room. */
void cipher_seal(struct buf *out, enum cipher cipher, const uint8_t key[static CIPHER_KEY_BYTES],
                 const uint8_t nonce[static CIPHER_NONCE_BYTES], struct span extra,
                 struct span plain);
/* Appends the plain bytes. E_BAD_SIGNATURE when key, extra or bytes are others; E_UNSUPPORTED. */
MUST_USE enum err_code cipher_open(struct buf *out, enum cipher cipher,
                                   const uint8_t key[static CIPHER_KEY_BYTES],
                                   const uint8_t nonce[static CIPHER_NONCE_BYTES],
                                   struct span extra, struct span sealed, struct err *err);

#endif
