/* commitment.h -- what a record says without showing it: 32 field commitments in a tree, and a document's.
 *
 * Spec: docs/record.md, "Commitments". Leaf i of an RFC 6962 tree of exactly 32 is the digest of field i:
 *
 *     SHA-256("courtroll/field/v1" LF || context[32] || u16 number || u8 present || salt[16] || u32 length || value)
 *     context = SHA-256("courtroll/context/v1" LF || u8 length || origin || u16 schema || signing key || entry tag)
 *
 * A leaf hash is SHA-256(0x00 || digest). No other index or size is accepted. A document's commitment is
 *
 *     SHA-256("courtroll/document/v1" LF || u8 present || salt[16] || SHA-256 of the document, or zeros)
 *
 * Pure. Any thread.
 */
#ifndef RECORD_COMMITMENT_H
#define RECORD_COMMITMENT_H

#include "record/field.h"
#include "tlog/merkle.h"

struct hash commitment_context(const char *origin, uint16_t schema,
                               const struct ed25519_public *signing_key,
                               const struct hash *entry_tag);

/* A field with its salt: what opens a commitment. */
struct field_value {
    bool is_present;
    uint8_t salt[FIELD_SALT_BYTES];
    struct span value; /* borrowed; empty when absent */
};

/* Requires number < FIELDS, an absent field without a value. Does not check the spelling: field_check. */
struct hash commitment_digest(const struct hash *context, unsigned number,
                              const struct field_value *field);

/* The root over 32 digests. */
struct hash commitment_root(const struct hash digests[static FIELDS]);

/* The inclusion proof of digest `number`, the leaf's sibling first. */
void commitment_prove(struct hash out[static OPENING_HASHES],
                      const struct hash digests[static FIELDS], unsigned number);
/* E_BAD_PROOF. */
MUST_USE enum err_code commitment_verify(const struct hash *root, const struct hash *digest,
                                         unsigned number,
                                         const struct hash hashes[static OPENING_HASHES],
                                         struct err *err);

/* `digest` NULL: there is no document. */
struct hash commitment_document(const uint8_t salt[static FIELD_SALT_BYTES],
                                const struct hash *digest);

#endif
