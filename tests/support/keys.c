#include "tests/support/keys.h"

#include "base/ascii.h"
#include "tlog/cosignature.h"
#include "tlog/note.h"

#include <assert.h>

static struct signer make(const char *name, enum signature_type type,
                          const uint8_t seed[static ED25519_SEED_BYTES])
{
    if (type == SIGNATURE_ML_DSA_44) {
        struct err err;
        struct ml_dsa_key *ml_dsa;
        enum err_code rc = ml_dsa_key_from_seed(&ml_dsa, seed, &err);
        assert(rc == E_OK);
        return (struct signer){ .vkey = vkey_make_ml_dsa(name, ml_dsa_key_public(ml_dsa)),
                                .ml_dsa = ml_dsa };
    }
    struct signing_key *key = signing_key_from_seed(seed);
    struct ed25519_public public = signing_key_public(key);
    return (struct signer){ .vkey = vkey_make(name, type, &public), .key = key };
}

struct signer keys_signer(const char *name, enum signature_type type, const char *secret)
{
    struct hash seed = sha256(span_of_str(secret));
    return make(name, type, seed.bytes);
}

struct signer keys_signer_from_hex(const char *name, enum signature_type type, const char *seed)
{
    uint8_t bytes[ED25519_SEED_BYTES];
    struct err err;
    enum err_code rc = hex_decode(bytes, sizeof bytes, span_of_str(seed), &err);
    assert(rc == E_OK);
    return make(name, type, bytes);
}

struct ed25519_signature keys_sign(const struct signing_key *key, struct span message)
{
    struct ed25519_signature signature;
    struct err err;
    enum err_code rc = signing_key_sign(key, message, &signature, &err);
    assert(rc == E_OK);
    return signature;
}

void keys_put_cosignature(struct buf *out, const struct signing_key *key, uint64_t timestamp,
                          struct span text)
{
    struct err err;
    enum err_code rc = cosignature_put(out, key, timestamp, text, &err);
    assert(rc == E_OK);
}

void keys_put_signature(struct buf *out, struct span text, const struct signer *signer,
                        uint64_t timestamp)
{
    struct err err;
    enum err_code rc = note_put_signature(out, text, signer, timestamp, &err);
    assert(rc == E_OK);
}

void keys_put_signed(struct buf *out, struct span text, const struct signer *signer,
                     uint64_t timestamp)
{
    struct err err;
    enum err_code rc = note_put_signed(out, text, signer, timestamp, &err);
    assert(rc == E_OK);
}
