/* payload.h -- all that opens a record: its fields with their salts, as the one file that the submitter keeps.
 *
 * Canonical JSON (docs/record.md, "Payload"): sorted names, no blanks, one spelling; parse-then-format gives the
 * same bytes. Encrypted at rest by the caller (store/sealed_file.h). Destroying it leaves the log intact and the
 * record unreadable for ever. Pure; random bytes come in as arguments. Any thread.
 */
#ifndef RECORD_PAYLOAD_H
#define RECORD_PAYLOAD_H

#include "record/certificate.h"
#include "record/commitment.h"
#include "record/draft.h"

enum {
    PAYLOAD_BYTES_MAX = 256 * 1024,
    /* 32 + 1 salts and a one-time key's seed */
    PAYLOAD_RANDOM_BYTES = 33 * FIELD_SALT_BYTES + ED25519_SEED_BYTES,
};

struct payload {
    char origin[ORIGIN_BYTES_MAX + 1];
    struct buf record;                 /* the operation's bytes: the entry */
    struct ed25519_public signing_key; /* the submitter's, or the one-time key */
    bool has_document;
    struct hash document; /* SHA-256 */
    uint8_t document_salt[FIELD_SALT_BYTES];
    bool is_present[FIELDS];
    uint8_t salts[FIELDS][FIELD_SALT_BYTES];
    struct buf values[FIELDS];
    bool has_certificate;
    struct certificate certificate; /* of a sealed record: goes to the gate */
};
void payload_init(struct payload *payload);
void payload_clear(struct payload *payload); /* wipes */

/* What makes a record of a draft. Borrowed for the call. */
struct composition {
    const char *origin;
    const struct case_key *case_key;
    const struct signing_key *submitter_key;
    struct ed25519_public submitter_public;
    uint64_t number;              /* of this operation in its case */
    bool is_vouched;              /* by channel: no signature */
    const struct payload *sealed; /* UNSEAL: what it opens; its record is the first reference */
    const uint8_t *random;        /* PAYLOAD_RANDOM_BYTES, never used before */
};
/* Makes the record, signed, and its payload. E_MALFORMED when the draft does not fit its kind, or its case number
 * is not the key's. *out is to be cleared by the caller in any case. */
MUST_USE enum err_code payload_compose(struct payload *out, const struct draft *draft,
                                       const struct composition *how, struct err *err);

void payload_put(struct buf *out, const struct payload *payload); /* the caller wipes */
/* Form and spelling, and that everything opens the record in it: E_MALFORMED; E_BAD_PROOF when a commitment is not
 * the record's; E_BAD_SIGNATURE. */
MUST_USE enum err_code payload_parse(struct payload *out, struct span json, struct err *err);

/* All 32 digests, and the root over them which the record has. */
void payload_digests(struct hash out[static FIELDS], const struct payload *payload);

#endif
