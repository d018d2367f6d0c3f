#include "base/crypto_cipher.h"

#include <assert.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdlib.h>

/* As in crypto.c: libcrypto fails here only when it is broken or memory is out. */
static void must(int ok)
{
    if (ok != 1) {
        abort();
    }
}

/* -- what is fetched, once -- */

static EVP_MAC *mac;
static EVP_CIPHER *ctr;
static EVP_CIPHER *gcm[2]; /* by enum cipher; NULL: this libcrypto has it not */
static pthread_key_t context_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local EVP_MAC_CTX *thread_context;

static void free_context(void *context)
{
    EVP_MAC_CTX_free(context);
}

static void fetch(void)
{
    mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    ctr = EVP_CIPHER_fetch(NULL, "AES-256-CTR", NULL);
    gcm[CIPHER_AES_256_GCM] = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    must(mac != NULL && ctr != NULL && gcm[CIPHER_AES_256_GCM] != NULL);
    ERR_set_mark();
    gcm[CIPHER_SM4_GCM] = EVP_CIPHER_fetch(NULL, "SM4-GCM", NULL);
    ERR_pop_to_mark(); /* that it is missing is no error */
    must(pthread_key_create(&context_key, free_context) == 0);
}

/* -- HMAC -- */

/* A key that is nobody's: what a thread's context holds between calls, so that none of ours stays in memory. */
static const uint8_t no_key[HASH_BYTES];

static EVP_MAC_CTX *hmac_context(void)
{
    if (thread_context == NULL) {
        pthread_once(&once, fetch);
        thread_context = EVP_MAC_CTX_new(mac);
        must(thread_context != NULL);
        must(pthread_setspecific(context_key, thread_context) == 0);
        char name[] = "SHA256";
        OSSL_PARAM params[] = { OSSL_PARAM_utf8_string("digest", name, sizeof name - 1),
                                OSSL_PARAM_END };
        must(EVP_MAC_init(thread_context, no_key, sizeof no_key, params));
    }
    return thread_context;
}

struct hash hmac_sha256(struct span key, const struct span *parts, size_t count)
{
    EVP_MAC_CTX *context = hmac_context();
    /* A key of NULL would mean the one before. */
    must(EVP_MAC_init(context, key.len > 0 ? key.data : no_key, key.len, NULL));
    for (size_t i = 0; i < count; i++) {
        must(EVP_MAC_update(context, parts[i].data, parts[i].len));
    }
    struct hash hash;
    size_t len = 0;
    must(EVP_MAC_final(context, hash.bytes, &len, sizeof hash.bytes));
    must(len == HASH_BYTES);
    must(EVP_MAC_init(context, no_key, sizeof no_key, NULL));
    return hash;
}

/* -- ciphers -- */

static EVP_CIPHER_CTX *cipher_context(void)
{
    pthread_once(&once, fetch);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    must(context != NULL);
    return context;
}

void aes256_ctr(const uint8_t key[static CIPHER_KEY_BYTES], uint8_t *bytes, size_t len)
{
    static const uint8_t zeros[16];
    assert(len <= INT_MAX);
    EVP_CIPHER_CTX *context = cipher_context();
    int done = 0;
    must(EVP_EncryptInit_ex2(context, ctr, key, zeros, NULL));
    must(EVP_EncryptUpdate(context, bytes, &done, bytes, (int)len));
    must(done == (int)len);
    EVP_CIPHER_CTX_free(context); /* wipes the key */
}

bool cipher_is_available(enum cipher cipher)
{
    pthread_once(&once, fetch);
    return gcm[cipher] != NULL;
}

void cipher_seal(struct buf *out, enum cipher cipher, const uint8_t key[static CIPHER_KEY_BYTES],
                 const uint8_t nonce[static CIPHER_NONCE_BYTES], struct span extra,
                 struct span plain)
{
    assert(cipher_is_available(cipher));
    assert(extra.len <= INT_MAX && plain.len <= INT_MAX - CIPHER_TAG_BYTES);
    EVP_CIPHER_CTX *context = cipher_context();
    uint8_t *at = buf_extend(out, plain.len + CIPHER_TAG_BYTES);
    int done = 0;
    must(EVP_EncryptInit_ex2(context, gcm[cipher], key, nonce, NULL));
    if (extra.len > 0) {
        must(EVP_EncryptUpdate(context, NULL, &done, extra.data, (int)extra.len));
    }
    if (plain.len > 0) {
        must(EVP_EncryptUpdate(context, at, &done, plain.data, (int)plain.len));
        must(done == (int)plain.len);
    }
    must(EVP_EncryptFinal_ex(context, at + plain.len, &done));
    must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, CIPHER_TAG_BYTES, at + plain.len));
    EVP_CIPHER_CTX_free(context);
}

/* Whether the tag is right; `at` has room for the plain bytes, `len` of them. */
static bool decipher(uint8_t *at, size_t len, enum cipher cipher, const uint8_t *key,
                     const uint8_t *nonce, struct span extra, struct span sealed)
{
    EVP_CIPHER_CTX *context = cipher_context();
    uint8_t tag[CIPHER_TAG_BYTES], none[CIPHER_TAG_BYTES];
    memcpy(tag, sealed.data + len, sizeof tag);
    int done = 0;
    must(EVP_DecryptInit_ex2(context, gcm[cipher], key, nonce, NULL));
    if (extra.len > 0) {
        must(EVP_DecryptUpdate(context, NULL, &done, extra.data, (int)extra.len));
    }
    if (len > 0) {
        must(EVP_DecryptUpdate(context, at, &done, sealed.data, (int)len));
        must(done == (int)len);
    }
    must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag));
    bool is_good = EVP_DecryptFinal_ex(context, none, &done) == 1;
    EVP_CIPHER_CTX_free(context);
    return is_good;
}

enum err_code cipher_open(struct buf *out, enum cipher cipher,
                          const uint8_t key[static CIPHER_KEY_BYTES],
                          const uint8_t nonce[static CIPHER_NONCE_BYTES], struct span extra,
                          struct span sealed, struct err *err)
{
    if (!cipher_is_available(cipher)) {
        return err_set(err, E_UNSUPPORTED, "this libcrypto does not have the cipher");
    }
    if (sealed.len < CIPHER_TAG_BYTES) {
        return err_set(err, E_BAD_SIGNATURE, "enciphered bytes: cut short");
    }
    size_t len = sealed.len - CIPHER_TAG_BYTES;
    if (len > buf_room(out) || len > INT_MAX || extra.len > INT_MAX) {
        return err_set(err, E_TOO_LARGE, "enciphered bytes: more than %zu", out->max);
    }
    size_t before = out->len;
    uint8_t *at = len > 0 ? buf_extend(out, len) : NULL;
    if (!decipher(at, len, cipher, key, nonce, extra, sealed)) {
        if (len > 0) {
            crypto_wipe(out->data + before, len);
        }
        buf_truncate(out, before);
        return err_set(err, E_BAD_SIGNATURE, "enciphered bytes: another key, or changed");
    }
    return E_OK;
}
