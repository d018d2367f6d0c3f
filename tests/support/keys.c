#include "tests/support/keys.h"

#include "base/ascii.h"

#include <assert.h>

static struct signer make(const char *name, enum signature_type type,
                          const uint8_t seed[static ED25519_SEED_BYTES])
{
    struct signing_key *key = signing_key_from_seed(seed);
    struct ed25519_public public = signing_key_public(key);
    return (struct signer){ vkey_make(name, type, &public), key };
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
