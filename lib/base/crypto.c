#include "base/crypto.h"

#include "base/alloc.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>

/* libcrypto fails here only when it is broken or memory is out: neither is an error to handle. */
static void must(int ok)
{
    if (ok != 1) {
        abort();
    }
}

/* -- SHA-256. Fetching the digest once and keeping a context a thread is 3 times faster. -- */

static EVP_MD *digest;
static pthread_key_t context_key;
static pthread_once_t digest_once = PTHREAD_ONCE_INIT;
static _Thread_local EVP_MD_CTX *thread_context;

static void free_context(void *context)
{
    EVP_MD_CTX_free(context);
}

static void fetch_digest(void)
{
    digest = EVP_MD_fetch(NULL, "SHA256", NULL);
    must(digest != NULL);
    must(pthread_key_create(&context_key, free_context) == 0);
}

static EVP_MD_CTX *sha256_context(void)
{
    if (thread_context == NULL) {
        pthread_once(&digest_once, fetch_digest);
        thread_context = EVP_MD_CTX_new();
        must(thread_context != NULL);
        must(pthread_setspecific(context_key, thread_context) == 0);
        must(EVP_DigestInit_ex2(thread_context, digest, NULL));
    }
    return thread_context;
}

static struct hash finish(EVP_MD_CTX *context)
{
    struct hash hash;
    must(EVP_DigestFinal_ex(context, hash.bytes, NULL));
    must(EVP_DigestInit_ex2(context, NULL, NULL));
    return hash;
}

struct hash sha256(struct span bytes)
{
    return sha256_parts(&bytes, 1);
}

struct hash sha256_parts(const struct span *parts, size_t count)
{
    EVP_MD_CTX *context = sha256_context();
    for (size_t i = 0; i < count; i++) {
        must(EVP_DigestUpdate(context, parts[i].data, parts[i].len));
    }
    return finish(context);
}

struct sha256_stream {
    EVP_MD_CTX *context;
};

struct sha256_stream *sha256_stream_new(void)
{
    struct sha256_stream *stream = NEW(struct sha256_stream);
    sha256_context(); /* fetches the digest */
    stream->context = EVP_MD_CTX_new();
    must(stream->context != NULL);
    must(EVP_DigestInit_ex2(stream->context, digest, NULL));
    return stream;
}

void sha256_stream_add(struct sha256_stream *stream, struct span bytes)
{
    must(EVP_DigestUpdate(stream->context, bytes.data, bytes.len));
}

struct hash sha256_stream_finish(struct sha256_stream *stream)
{
    return finish(stream->context);
}

void sha256_stream_free(struct sha256_stream *stream)
{
    if (stream != NULL) {
        EVP_MD_CTX_free(stream->context);
        mem_free(stream);
    }
}

/* -- Ed25519 -- */

struct signing_key {
    EVP_PKEY *pkey; /* NULL: the device's */
    struct ed25519_public public;
    uint8_t seed[ED25519_SEED_BYTES];
    const struct signing_device *device;
    void *device_ctx;
};

struct signing_key *signing_key_from_seed(const uint8_t seed[static ED25519_SEED_BYTES])
{
    struct signing_key *key = NEW(struct signing_key);
    memcpy(key->seed, seed, ED25519_SEED_BYTES);
    key->pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, ED25519_SEED_BYTES);
    must(key->pkey != NULL);
    size_t len = ED25519_PUBLIC_BYTES;
    must(EVP_PKEY_get_raw_public_key(key->pkey, key->public.bytes, &len));
    return key;
}

struct signing_key *signing_key_generate(void)
{
    uint8_t seed[ED25519_SEED_BYTES];
    must(RAND_priv_bytes(seed, sizeof seed));
    struct signing_key *key = signing_key_from_seed(seed);
    crypto_wipe(seed, sizeof seed);
    return key;
}

struct signing_key *signing_key_from_device(const struct ed25519_public *public,
                                            const struct signing_device *device, void *ctx)
{
    struct signing_key *key = NEW(struct signing_key);
    key->public = *public;
    key->device = device;
    key->device_ctx = ctx;
    return key;
}

void signing_key_free(struct signing_key *key)
{
    if (key != NULL) {
        if (key->device != NULL) {
            key->device->free(key->device_ctx);
        }
        EVP_PKEY_free(key->pkey);
        crypto_wipe(key, sizeof *key);
        mem_free(key);
    }
}

struct ed25519_public signing_key_public(const struct signing_key *key)
{
    return key->public;
}

bool signing_key_seed(const struct signing_key *key, uint8_t seed[static ED25519_SEED_BYTES])
{
    if (key->device != NULL) {
        return false;
    }
    memcpy(seed, key->seed, ED25519_SEED_BYTES);
    return true;
}

/* A device that signs wrongly must not have its signature leave. */
static enum err_code sign_in_device(const struct signing_key *key, struct span message,
                                    struct ed25519_signature *out, struct err *err)
{
    struct ed25519_signature signature;
    enum err_code rc = key->device->sign(key->device_ctx, message, &signature, err);
    if (rc == E_OK && !ed25519_verify(&key->public, message, &signature)) {
        rc = err_set(err, E_CORRUPT, "the device's signature does not verify with its public key");
    }
    if (rc == E_OK) {
        *out = signature;
    }
    return rc;
}

enum err_code signing_key_sign(const struct signing_key *key, struct span message,
                               struct ed25519_signature *out, struct err *err)
{
    if (key->device != NULL) {
        return sign_in_device(key, message, out, err);
    }
    size_t len = sizeof out->bytes;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(context != NULL);
    must(EVP_DigestSignInit(context, NULL, NULL, NULL, key->pkey));
    must(EVP_DigestSign(context, out->bytes, &len, message.data, message.len));
    EVP_MD_CTX_free(context);
    return E_OK;
}

/* What a thread has verified with last: who sends many signatures sends them by one key, and to make all this anew is
 * 4 % of a verification. */
struct verifier {
    struct ed25519_public key;
    EVP_PKEY *pkey;
    EVP_MD_CTX *context;
};

static pthread_key_t verifier_key;
static pthread_once_t verifier_once = PTHREAD_ONCE_INIT;
static _Thread_local struct verifier *thread_verifier;

static void verifier_free(void *ptr)
{
    struct verifier *verifier = ptr;
    EVP_MD_CTX_free(verifier->context);
    EVP_PKEY_free(verifier->pkey);
    mem_free(verifier);
}

static void make_verifier_key(void)
{
    must(pthread_key_create(&verifier_key, verifier_free) == 0);
}

static struct verifier *verifier_of_thread(void)
{
    if (thread_verifier == NULL) {
        pthread_once(&verifier_once, make_verifier_key);
        thread_verifier = NEW(struct verifier);
        must(pthread_setspecific(verifier_key, thread_verifier) == 0);
    }
    return thread_verifier;
}

/* A context is begun again with the key it has: given another one, libcrypto 3.0 goes on with the old one. */
static EVP_MD_CTX *verify_context(const struct ed25519_public *key)
{
    struct verifier *verifier = verifier_of_thread();
    if (verifier->pkey == NULL || memcmp(verifier->key.bytes, key->bytes, sizeof key->bytes) != 0) {
        EVP_MD_CTX_free(verifier->context);
        EVP_PKEY_free(verifier->pkey);
        verifier->key = *key;
        verifier->pkey =
            EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->bytes, sizeof key->bytes);
        must(verifier->pkey != NULL); /* the length is right; the verification decodes the point */
        verifier->context = EVP_MD_CTX_new();
        must(verifier->context != NULL);
    }
    must(EVP_DigestVerifyInit(verifier->context, NULL, NULL, NULL, verifier->pkey));
    return verifier->context;
}

bool ed25519_verify(const struct ed25519_public *key, struct span message,
                    const struct ed25519_signature *signature)
{
    return EVP_DigestVerify(verify_context(key), signature->bytes, sizeof signature->bytes,
                            message.data, message.len) == 1;
}

/* y-coordinates of the eight points of small order, little-endian with the sign bit clear, and the
 * non-canonical spellings p and p + 1 of 0 and 1. */
static const uint8_t small_order[][ED25519_PUBLIC_BYTES] = {
    { 0x00 },
    { 0x01 },
    { 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
      0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
      0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
    { 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
      0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
      0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
    { 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
    { 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
    { 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
};

bool ed25519_is_small_order(const struct ed25519_public *key)
{
    uint8_t y[ED25519_PUBLIC_BYTES];
    memcpy(y, key->bytes, sizeof y);
    y[ED25519_PUBLIC_BYTES - 1] &= 0x7f;
    for (size_t i = 0; i < sizeof small_order / sizeof small_order[0]; i++) {
        if (memcmp(y, small_order[i], sizeof y) == 0) {
            return true;
        }
    }
    return false;
}

/* -- base64 -- */

void base64_put(struct buf *out, struct span bytes)
{
    size_t len = (bytes.len + 2) / 3 * 4;
    if (len == 0) {
        return;
    }
    uint8_t *at = buf_extend(out, len + 1); /* EVP_EncodeBlock ends with a NUL */
    EVP_EncodeBlock(at, bytes.data, (int)bytes.len);
    buf_truncate(out, out->len - 1);
}

static bool is_base64_char(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

/* Number of '=' at the end, 0..2; 3 when the text is not padded base64. EVP_DecodeBlock takes
 * white space, missing characters and any padding, so all of that is checked here. */
static size_t base64_padding(struct span text)
{
    enum {
        BAD = 3
    };
    if (text.len % 4 != 0) {
        return BAD;
    }
    size_t padding = 0;
    while (padding < 2 && padding < text.len && text.data[text.len - 1 - padding] == '=') {
        padding++;
    }
    for (size_t i = 0; i < text.len - padding; i++) {
        if (!is_base64_char(text.data[i])) {
            return BAD;
        }
    }
    return padding;
}

enum err_code base64_append_decoded(struct buf *out, struct span text, enum base64_mode mode,
                                    struct err *err)
{
    size_t padding = base64_padding(text);
    if (padding > 2) {
        return err_set(err, E_MALFORMED, "not padded base64");
    }
    if (text.len == 0) {
        return E_OK;
    }
    size_t len = text.len / 4 * 3;
    if (len > buf_room(out)) { /* counts the padding too: maxima are not that tight */
        return err_set(err, E_TOO_LARGE, "base64: over %zu bytes", out->max);
    }
    size_t before = out->len;
    uint8_t *at = buf_extend(out, len);
    must(EVP_DecodeBlock(at, text.data, (int)text.len) == (int)len);
    buf_truncate(out, before + len - padding);
    if (mode == BASE64_STRICT && padding > 0) {
        uint8_t again[5]; /* the last group, as it should be spelled */
        EVP_EncodeBlock(again, out->data + before + len - 3, (int)(3 - padding));
        if (memcmp(again, text.data + text.len - 4, 4) != 0) {
            buf_truncate(out, before);
            return err_set(err, E_MALFORMED, "base64: stray bits behind the last byte");
        }
    }
    return E_OK;
}

void base64_put_hash(struct buf *out, const struct hash *hash)
{
    uint8_t text[HASH_BASE64_CHARS + 1];
    EVP_EncodeBlock(text, hash->bytes, HASH_BYTES);
    buf_put(out, span_of(text, HASH_BASE64_CHARS));
}

enum err_code base64_decode_hash(struct hash *out, struct span text, struct err *err)
{
    if (text.len != HASH_BASE64_CHARS || text.data[HASH_BASE64_CHARS - 2] == '=') {
        return err_set(err, E_MALFORMED, "not the base64 of 32 bytes");
    }
    struct buf decoded = BUF_INIT(HASH_BYTES + 1);
    enum err_code rc = base64_append_decoded(&decoded, text, BASE64_STRICT, err);
    if (rc == E_OK && decoded.len != HASH_BYTES) {
        rc = err_set(err, E_MALFORMED, "not the base64 of 32 bytes");
    }
    if (rc == E_OK) {
        memcpy(out->bytes, decoded.data, HASH_BYTES);
    }
    buf_clear(&decoded);
    return rc;
}

const char *crypto_library(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}

void crypto_random(uint8_t *out, size_t len)
{
    must(RAND_bytes(out, (int)len));
}

void crypto_wipe(void *memory, size_t len)
{
    OPENSSL_cleanse(memory, len);
}

void crypto_wipe_buf(struct buf *buf)
{
    if (buf->data != NULL) {
        crypto_wipe(buf->data, buf->cap);
    }
    buf_clear(buf);
}
