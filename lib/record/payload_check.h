/* payload_check.h -- does what is opened open the record, and does it make sense: the judgement behind payloads and
 * disclosures.
 *
 * Spec: docs/record.md, "Verifying". Pure. Any thread.
 */
#ifndef RECORD_PAYLOAD_CHECK_H
#define RECORD_PAYLOAD_CHECK_H

#include "record/commitment.h"

/* A record with what is opened of it; all borrowed. */
struct opened_record {
    const char *origin;
    struct span record;
    const struct ed25519_public *signing_key;
    bool has_document;           /* opened: the two below are there */
    const struct hash *document; /* NULL: there is none, which is opened too */
    const uint8_t *document_salt;
    uint32_t opened; /* bit i: field i is, and the three arrays have it */
    const bool *is_present;
    const uint8_t (*salts)[FIELD_SALT_BYTES];
    const struct buf *values;
    struct hash *digests; /* FIELDS: of hidden fields given; those of opened ones are filled in */
};

/* The digests of the opened fields. Requires a record with an entry tag. */
void opened_record_digest(const struct opened_record *opened, const struct hash *entry_tag);

/* What the record is: its own kind, or the one that the sealed one's kind field says; NULL while that is hidden. */
const struct kind *opened_record_kind(const struct opened_record *opened,
                                      const struct operation *operation);

/* The fields that must be opened with it: the kind's, and of a sealed record all that others show in the clear. */
uint32_t opened_record_material(const struct kind *kind, const struct operation *operation);

/* Every opened field is one that the kind (NULL: unknown) has, in its one spelling; none that it must have is
 * absent. E_MALFORMED. */
MUST_USE enum err_code opened_record_check_fields(const struct opened_record *opened,
                                                  const struct operation *operation,
                                                  const struct kind *kind, struct err *err);

/* Everything but whether enough is opened. E_MALFORMED, E_BAD_SIGNATURE, E_BAD_PROOF. E_OK: operation_clear. */
MUST_USE enum err_code opened_record_check(struct operation *out,
                                           const struct opened_record *opened, struct err *err);

#endif
