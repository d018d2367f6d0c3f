/* vkey.h -- verifier keys and signer keys: a key with the name it signs under.
 *
 * Spec: C2SP signed-note, "Verifier keys", "Key ID"; the signer key is x/mod's "PRIVATE+KEY+".
 * Pure. Any thread.
 */
#ifndef TLOG_VKEY_H
#define TLOG_VKEY_H

#include "base/crypto.h"
#include "base/limits.h"

/* The byte before the key in a vkey. Others exist; they are E_UNSUPPORTED here. */
enum signature_type {
    SIGNATURE_ED25519 = 0x01,     /* over the text of a note */
    SIGNATURE_COSIGNATURE = 0x04, /* Ed25519 over a checkpoint with a time */
    SIGNATURE_ML_DSA_44 = 0x06,   /* reserved: cosignatures of the next generation */
};

struct vkey {
    char name[KEY_NAME_BYTES_MAX + 1]; /* NUL-terminated; no NUL, blank or '+' inside */
    uint32_t id;                       /* big-endian reading of the 4 bytes */
    enum signature_type type;          /* ED25519 or COSIGNATURE */
    struct ed25519_public key;
};

/* 1..KEY_NAME_BYTES_MAX bytes of UTF-8 without control characters, Unicode spaces and '+'. */
bool key_name_is_valid(struct span name);

/* Requires a valid name. */
struct vkey vkey_make(const char *name, enum signature_type type, const struct ed25519_public *key);

/* E_MALFORMED; E_UNSUPPORTED for a type we cannot verify; E_BAD_SIGNATURE when the key ID is not
 * the key's; E_DENIED for a key of small order. */
MUST_USE enum err_code vkey_parse(struct vkey *out, struct span text, struct err *err);
void vkey_put(struct buf *out, const struct vkey *vkey); /* without a newline */
bool vkey_is_equal(const struct vkey *a, const struct vkey *b);

/* E_MALFORMED in words for a person when the key is of another type: operators paste log keys where
 * witness keys are needed, and the other way round. */
MUST_USE enum err_code vkey_require_type(const struct vkey *vkey, enum signature_type type,
                                         struct err *err);

/* A private key with its vkey. */
struct signer {
    struct vkey vkey;
    struct signing_key *key; /* owned */
};

void signer_generate(struct signer *out, const char *name, enum signature_type type);
/* Accepts one trailing newline, as key files have. Errors as vkey_parse. */
MUST_USE enum err_code signer_parse(struct signer *out, struct span text, struct err *err);
/* With a newline. The caller wipes the buffer. Requires a key in memory. */
void signer_put(struct buf *out, const struct signer *signer);
void signer_clear(struct signer *signer);

#endif
