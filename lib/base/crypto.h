/* crypto.h -- SHA-256, Ed25519, base64 and random bytes: all we take from OpenSSL's libcrypto.
 *
 * Spec: FIPS 180-4; RFC 8032 (pure Ed25519); RFC 4648 section 4.
 * Any thread: each keeps hashing contexts of its own. Private keys live in struct signing_key only.
 */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum {
    HASH_BYTES = 32,
    HASH_BASE64_CHARS = 44, /* base64 of a hash: 43 characters and one '=' */
    ED25519_PUBLIC_BYTES = 32,
    ED25519_SEED_BYTES = 32,
    ED25519_SIGNATURE_BYTES = 64,
};

/* A SHA-256 hash. */
struct hash {
    uint8_t bytes[HASH_BYTES];
};

static inline bool hash_is_equal(const struct hash *a, const struct hash *b)
{
    return memcmp(a->bytes, b->bytes, HASH_BYTES) == 0;
}

static inline struct span hash_span(const struct hash *hash)
{
    return (struct span){ hash->bytes, HASH_BYTES };
}

/* SHA-256 of one span, or of the concatenation of `count` spans. */
struct hash sha256(struct span bytes);
struct hash sha256_parts(const struct span *parts, size_t count);

/* SHA-256 of bytes that come in pieces. */
struct sha256_stream;
struct sha256_stream *sha256_stream_new(void);
void sha256_stream_add(struct sha256_stream *stream, struct span bytes);
struct hash sha256_stream_finish(struct sha256_stream *stream); /* ready for new bytes after */
void sha256_stream_free(struct sha256_stream *stream);

struct ed25519_public {
    uint8_t bytes[ED25519_PUBLIC_BYTES];
};

struct ed25519_signature {
    uint8_t bytes[ED25519_SIGNATURE_BYTES];
};

/* A private key: a seed in memory, wiped when it is freed, or a key in a device that signs for us.
 * Signing is safe from any thread. */
struct signing_key;

/* A device that keeps a key. `sign` is called from any thread; E_IO or E_UNAVAILABLE when it does not
 * answer. `free` is called once, with the key. */
struct signing_device {
    enum err_code (*sign)(void *ctx, struct span message, struct ed25519_signature *out,
                          struct err *err);
    void (*free)(void *ctx);
};

struct signing_key *signing_key_generate(void);
struct signing_key *signing_key_from_seed(const uint8_t seed[static ED25519_SEED_BYTES]);
/* What the device signs is verified with `public` before it is used. `device` is static. */
struct signing_key *signing_key_from_device(const struct ed25519_public *public,
                                            const struct signing_device *device, void *ctx);
void signing_key_free(struct signing_key *key); /* NULL is fine */
struct ed25519_public signing_key_public(const struct signing_key *key);
/* For writing a key file; the caller wipes it with crypto_wipe. False for a key in a device. */
MUST_USE bool signing_key_seed(const struct signing_key *key,
                               uint8_t seed[static ED25519_SEED_BYTES]);
/* Fails only for a key in a device: its own errors, or E_CORRUPT for a wrong signature. */
MUST_USE enum err_code signing_key_sign(const struct signing_key *key, struct span message,
                                        struct ed25519_signature *out, struct err *err);

/* About 100 us: on the loop thread or the sequencer thread use a worker. */
bool ed25519_verify(const struct ed25519_public *key, struct span message,
                    const struct ed25519_signature *signature);

/* True for the points of small order, under which anyone can sign: refused as configured keys. */
bool ed25519_is_small_order(const struct ed25519_public *key);

/* Padded base64. */
void base64_put(struct buf *out, struct span bytes);

/* Padded, no white space. BASE64_LENIENT also accepts non-zero bits behind the last byte, as
 * C2SP signed-note peers do on signature lines; everything else is BASE64_STRICT.
 * E_MALFORMED, or E_TOO_LARGE over out's maximum; `out` is appended to. */
enum base64_mode {
    BASE64_STRICT,
    BASE64_LENIENT
};
MUST_USE enum err_code base64_append_decoded(struct buf *out, struct span text,
                                             enum base64_mode mode, struct err *err);

/* Exactly one hash: HASH_BASE64_CHARS characters, strict. */
void base64_put_hash(struct buf *out, const struct hash *hash);
MUST_USE enum err_code base64_decode_hash(struct hash *out, struct span text, struct err *err);

const char *crypto_library(void); /* "OpenSSL 3.0.17 1 Jul 2025" */

void crypto_random(uint8_t *out, size_t len);
void crypto_wipe(void *memory, size_t len);
void crypto_wipe_buf(struct buf *buf); /* and buf_clear */

#endif
