/* disclosure.h -- a record with some of its fields opened, for somebody who holds nothing else.
 *
 * Canonical JSON (docs/record.md, "Disclosure"): the record, the signing key, the 32 fields each either opened
 * (salt, value or absence) or as its digest, the document's salt and digest if opened, and the tlog-proof of the
 * record. Material fields of the kind are always opened. Whoever verifies needs the policy, and nothing online.
 * Hostile bytes are what it is for. Pure. Any thread.
 */
#ifndef RECORD_DISCLOSURE_H
#define RECORD_DISCLOSURE_H

#include "record/payload.h"

enum {
    DISCLOSURE_BYTES_MAX = PROOF_FILE_BYTES_MAX * 2 + 256 * 1024
};

struct disclosure {
    char origin[ORIGIN_BYTES_MAX + 1];
    struct buf record;
    struct ed25519_public signing_key;
    bool has_document; /* opened: the two below are there */
    bool is_document_present;
    uint8_t document_salt[FIELD_SALT_BYTES];
    struct hash document;
    uint32_t opened; /* bit i: field i is opened */
    bool is_present[FIELDS];
    uint8_t salts[FIELDS][FIELD_SALT_BYTES];
    struct buf values[FIELDS];
    struct hash digests[FIELDS]; /* of all, opened or not */
    struct buf proof;            /* tlog-proof of the record; empty: not there yet */
    /* The submitter's registration on the log and its own tlog-proof; empty: the key is not shown to be registered. */
    struct buf registration, registration_proof;
};
void disclosure_init(struct disclosure *disclosure);
void disclosure_clear(struct disclosure *disclosure); /* wipes */

/* Opens the fields of `opened` and the material ones. Proofs may be empty. */
void disclosure_make(struct disclosure *out, const struct payload *payload, uint32_t opened,
                     bool opens_document, struct span proof);
void disclosure_put(struct buf *out, const struct disclosure *disclosure);
MUST_USE enum err_code disclosure_parse(struct disclosure *out, struct span json, struct err *err);

/* What a verified disclosure says. */
struct disclosure_verdict {
    struct operation operation; /* cleared by disclosure_verdict_clear */
    const struct kind
        *kind; /* the real one: of a sealed record from its opened field; NULL when hidden */
    uint32_t opened, absent, hidden; /* bits; absent ones are opened and say so */
    uint32_t material_hidden;        /* must be 0, or it is E_MALFORMED: kept for the words */
    bool is_vouched;                 /* sender vouched for by the log only */
};
/* Record, signature, origin, every commitment, spelling, material fields; not the tlog-proofs (tlog/receipt.h,
 * client) nor the document's bytes. E_BAD_PROOF, E_BAD_SIGNATURE, E_MALFORMED. */
MUST_USE enum err_code disclosure_verify(struct disclosure_verdict *out,
                                         const struct disclosure *disclosure, struct err *err);
void disclosure_verdict_clear(struct disclosure_verdict *verdict);

#endif
