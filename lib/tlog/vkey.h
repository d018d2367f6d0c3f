/* vkey.h -- verifier keys and signer keys: a key with the name it signs under.
 *
 * Spec: C2SP signed-note, "Verifier keys", "Key ID"; the signer key is x/mod's "PRIVATE+KEY+".
 * Pure. Any thread.
 */
#ifndef TLOG_VKEY_H
#define TLOG_VKEY_H

#include "base/crypto.h"
#include "base/limits.h"
#include "base/ml_dsa.h"

enum {
    VKEY_TEXT_MAX = 2048 /* bytes of a vkey: a name, an ID, and 1752 characters for ML-DSA-44 */
};

/* The byte before the key in a vkey. Others exist; they are E_UNSUPPORTED here. */
enum signature_type {
    SIGNATURE_ED25519 = 0x01,     /* over the text of a note */
    SIGNATURE_COSIGNATURE = 0x04, /* Ed25519 over a checkpoint with a time */
    SIGNATURE_ML_DSA_44 = 0x06,   /* likewise with ML-DSA-44, by witnesses and by logs */
};

/* What a key is for; ML-DSA-44 is fit for the last two. */
enum vkey_role {
    VKEY_NOTES,   /* type 0x01: over the text of any note */
    VKEY_LOG,     /* 0x01 or 0x06 */
    VKEY_WITNESS, /* 0x04 or 0x06 */
};

struct vkey {
    char name[KEY_NAME_BYTES_MAX + 1]; /* NUL-terminated; no NUL, blank or '+' inside */
    uint32_t id;                       /* big-endian reading of the 4 bytes */
    enum signature_type type;
    struct ed25519_public key;          /* of ED25519 and COSIGNATURE, else zero */
    const struct ml_dsa_public *ml_dsa; /* of ML_DSA_44, else NULL */
};

/* 1..KEY_NAME_BYTES_MAX bytes of UTF-8 without control characters, Unicode spaces and '+'. */
bool key_name_is_valid(struct span name);

/* Requires a valid name; the first a type of Ed25519. */
struct vkey vkey_make(const char *name, enum signature_type type, const struct ed25519_public *key);
struct vkey vkey_make_ml_dsa(const char *name, const struct ml_dsa_public *key);

/* The public key alone; bytes of `vkey`, or of the key it points to. */
struct span vkey_public(const struct vkey *vkey);
/* 32 bytes that stand for it: those of an Ed25519 key, the SHA-256 of a longer one. */
struct hash vkey_public_id(const struct vkey *vkey);

/* E_MALFORMED; E_UNSUPPORTED for a type we cannot verify; E_BAD_SIGNATURE when the key ID is not
 * the key's; E_DENIED for a key of small order. */
MUST_USE enum err_code vkey_parse(struct vkey *out, struct span text, struct err *err);
/* As it, for keys that strangers send: E_UNSUPPORTED too for ML-DSA-44, whose keys are kept (ml_dsa.h). */
MUST_USE enum err_code vkey_parse_ed25519(struct vkey *out, struct span text, struct err *err);
void vkey_put(struct buf *out, const struct vkey *vkey); /* without a newline */
bool vkey_is_equal(const struct vkey *a, const struct vkey *b);

/* E_MALFORMED in words for a person when the key is of another type: operators paste log keys where
 * witness keys are needed, and the other way round. */
MUST_USE enum err_code vkey_require_type(const struct vkey *vkey, enum signature_type type,
                                         struct err *err);

MUST_USE enum err_code vkey_require_role(const struct vkey *vkey, enum vkey_role role,
                                         struct err *err);

/* A private key with its vkey. */
struct signer {
    struct vkey vkey;
    struct signing_key *key;   /* owned; NULL for ML-DSA-44 */
    struct ml_dsa_key *ml_dsa; /* owned; NULL for Ed25519 */
};

/* The first for the types of Ed25519; the second E_UNSUPPORTED where ML-DSA is not available. */
void signer_generate(struct signer *out, const char *name, enum signature_type type);
MUST_USE enum err_code signer_generate_ml_dsa(struct signer *out, const char *name,
                                              struct err *err);
/* Accepts one trailing newline, as key files have. Errors as vkey_parse. */
MUST_USE enum err_code signer_parse(struct signer *out, struct span text, struct err *err);
/* With a newline. The caller wipes the buffer. Requires a key in memory. */
void signer_put(struct buf *out, const struct signer *signer);
void signer_clear(struct signer *signer);

#endif
