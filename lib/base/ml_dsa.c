/* All of it goes through names ("ML-DSA-44", "seed", "deterministic"), which OpenSSL 3.0 compiles and answers with "not
 * found"; 3.5 has the algorithm behind them. */
#include "base/ml_dsa.h"

#include "base/alloc.h"
#include "base/crypto.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static const char algorithm[] = "ML-DSA-44";

/* libcrypto fails here only when it is broken or memory is out. */
static void must(int ok)
{
    if (ok != 1) {
        abort();
    }
}

/* -- is it there? -- */

static pthread_once_t probed = PTHREAD_ONCE_INIT;
static atomic_bool is_available;

static void probe(void)
{
    EVP_SIGNATURE *found = EVP_SIGNATURE_fetch(NULL, algorithm, NULL);
    atomic_store(&is_available, found != NULL);
    EVP_SIGNATURE_free(found);
}

bool ml_dsa_is_available(void)
{
    pthread_once(&probed, probe);
    return atomic_load(&is_available);
}

void ml_dsa_hide(void)
{
    pthread_once(&probed, probe);
    atomic_store(&is_available, false);
}

/* -- public keys -- */

struct ml_dsa_public {
    struct ml_dsa_public *next;
    EVP_PKEY *pkey; /* NULL where ML-DSA is not available */
    uint8_t bytes[ML_DSA_44_PUBLIC_BYTES];
};

static pthread_mutex_t known_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct ml_dsa_public *known;

static struct ml_dsa_public *find(struct span bytes)
{
    struct ml_dsa_public *key = known;
    while (key != NULL && memcmp(key->bytes, bytes.data, sizeof key->bytes) != 0) {
        key = key->next;
    }
    return key;
}

static struct ml_dsa_public *add(struct span bytes)
{
    struct ml_dsa_public *key = NEW(struct ml_dsa_public);
    memcpy(key->bytes, bytes.data, sizeof key->bytes);
    if (ml_dsa_is_available()) {
        key->pkey =
            EVP_PKEY_new_raw_public_key_ex(NULL, algorithm, NULL, key->bytes, sizeof key->bytes);
        must(key->pkey != NULL);
    }
    key->next = known;
    known = key;
    return key;
}

const struct ml_dsa_public *ml_dsa_public_of(struct span bytes)
{
    assert(bytes.len == ML_DSA_44_PUBLIC_BYTES);
    pthread_mutex_lock(&known_mutex);
    struct ml_dsa_public *key = find(bytes);
    if (key == NULL) {
        key = add(bytes);
    }
    pthread_mutex_unlock(&known_mutex);
    return key;
}

struct span ml_dsa_public_bytes(const struct ml_dsa_public *key)
{
    return SPAN_OF_ARRAY(key->bytes);
}

bool ml_dsa_verify(const struct ml_dsa_public *key, struct span message, struct span signature)
{
    if (!ml_dsa_is_available() || key->pkey == NULL || signature.len != ML_DSA_44_SIGNATURE_BYTES) {
        return false;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(context != NULL);
    must(EVP_DigestVerifyInit_ex(context, NULL, NULL, NULL, NULL, key->pkey, NULL));
    bool is_valid =
        EVP_DigestVerify(context, signature.data, signature.len, message.data, message.len) == 1;
    EVP_MD_CTX_free(context);
    return is_valid;
}

/* -- private keys -- */

struct ml_dsa_key {
    EVP_PKEY *pkey;
    const struct ml_dsa_public *public;
    uint8_t seed[ML_DSA_44_SEED_BYTES];
};

static EVP_PKEY *pkey_of_seed(uint8_t *seed)
{
    OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string("seed", seed, ML_DSA_44_SEED_BYTES),
                            OSSL_PARAM_construct_end() };
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);
    EVP_PKEY *pkey = NULL;
    must(context != NULL);
    must(EVP_PKEY_fromdata_init(context));
    must(EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, params));
    EVP_PKEY_CTX_free(context);
    return pkey;
}

enum err_code ml_dsa_key_from_seed(struct ml_dsa_key **out,
                                   const uint8_t seed[static ML_DSA_44_SEED_BYTES], struct err *err)
{
    if (!ml_dsa_is_available()) {
        return err_set(
            err, E_UNSUPPORTED,
            "%s has no ML-DSA-44: keys of type 0x06 need OpenSSL 3.5 or later (Debian 13)",
            crypto_library());
    }
    uint8_t bytes[ML_DSA_44_PUBLIC_BYTES];
    size_t len = sizeof bytes;
    struct ml_dsa_key *key = NEW(struct ml_dsa_key);
    memcpy(key->seed, seed, sizeof key->seed);
    key->pkey = pkey_of_seed(key->seed);
    must(EVP_PKEY_get_raw_public_key(key->pkey, bytes, &len));
    assert(len == sizeof bytes);
    key->public = ml_dsa_public_of(SPAN_OF_ARRAY(bytes));
    *out = key;
    return E_OK;
}

enum err_code ml_dsa_key_generate(struct ml_dsa_key **out, struct err *err)
{
    uint8_t seed[ML_DSA_44_SEED_BYTES];
    crypto_random(seed, sizeof seed);
    enum err_code rc = ml_dsa_key_from_seed(out, seed, err);
    crypto_wipe(seed, sizeof seed);
    return rc;
}

void ml_dsa_key_free(struct ml_dsa_key *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->pkey);
        crypto_wipe(key, sizeof *key);
        mem_free(key);
    }
}

const struct ml_dsa_public *ml_dsa_key_public(const struct ml_dsa_key *key)
{
    return key->public;
}

void ml_dsa_key_seed(const struct ml_dsa_key *key, uint8_t seed[static ML_DSA_44_SEED_BYTES])
{
    memcpy(seed, key->seed, sizeof key->seed);
}

static void sign(const struct ml_dsa_key *key, int is_plain, struct span message, struct buf *out)
{
    OSSL_PARAM params[] = { OSSL_PARAM_construct_int("deterministic", &is_plain),
                            OSSL_PARAM_construct_end() };
    size_t len = ML_DSA_44_SIGNATURE_BYTES;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(context != NULL);
    must(EVP_DigestSignInit_ex(context, NULL, NULL, NULL, NULL, key->pkey, params));
    must(EVP_DigestSign(context, buf_extend(out, len), &len, message.data, message.len));
    assert(len == ML_DSA_44_SIGNATURE_BYTES);
    EVP_MD_CTX_free(context);
}

void ml_dsa_sign(const struct ml_dsa_key *key, struct span message, struct buf *out)
{
    sign(key, 0, message, out);
}

void ml_dsa_sign_plainly(const struct ml_dsa_key *key, struct span message, struct buf *out)
{
    sign(key, 1, message, out);
}
