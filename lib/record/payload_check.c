/* The normal path is: form and signature of the record, then every commitment, and only then what the values say,
 * for a value that is not committed to says nothing. */
#include "record/payload_check.h"

#include "record/certificate.h"

static bool is_opened(const struct opened_record *opened, unsigned number)
{
    return (opened->opened >> number & 1) != 0;
}

static bool has_value(const struct opened_record *opened, unsigned number)
{
    return is_opened(opened, number) && opened->is_present[number];
}

void opened_record_digest(const struct opened_record *opened, const struct hash *entry_tag)
{
    struct hash context =
        commitment_context(opened->origin, OPERATION_VERSION, opened->signing_key, entry_tag);
    for (unsigned i = 0; i < FIELDS; i++) {
        if (is_opened(opened, i)) {
            struct field_value field = { .is_present = opened->is_present[i] };
            memcpy(field.salt, opened->salts[i], sizeof field.salt);
            if (field.is_present) {
                field.value = buf_span(&opened->values[i]);
            }
            opened->digests[i] = commitment_digest(&context, i, &field);
            crypto_wipe(&field, sizeof field);
        }
    }
}

const struct kind *opened_record_kind(const struct opened_record *opened,
                                      const struct operation *operation)
{
    uint64_t number = 0;
    if (!operation->is_sealed) {
        return operation->kind;
    }
    if (!has_value(opened, FIELD_KIND)) {
        return NULL;
    }
    struct span value = buf_span(&opened->values[FIELD_KIND]);
    return span_take_u64(&value, &number) && number <= UINT32_MAX ? kind_find((uint32_t)number)
                                                                  : NULL;
}

uint32_t opened_record_material(const struct kind *kind, const struct operation *operation)
{
    uint32_t material = kind != NULL ? kind->material : 0;
    return operation->is_sealed ? material | KIND_SEALED_FIELDS : material;
}

static enum err_code check_key(const struct opened_record *opened,
                               const struct operation *operation, struct err *err)
{
    if (operation->is_sealed && memcmp(operation->one_time_key.bytes, opened->signing_key->bytes,
                                       ED25519_PUBLIC_BYTES) != 0) {
        return err_set(err, E_BAD_SIGNATURE, "the signing key is not the record's one-time key");
    }
    if (!operation->is_vouched) {
        return operation_verify(operation, opened->record, opened->origin, opened->signing_key,
                                err);
    }
    struct submitter_id id = submitter_id_make(opened->signing_key);
    if (!submitter_id_is_equal(&id, &operation->submitter)) {
        return err_set(err, E_BAD_SIGNATURE, "the signing key is not the record's submitter");
    }
    return E_OK;
}

static enum err_code check_commitments(const struct opened_record *opened,
                                       const struct operation *operation, struct err *err)
{
    opened_record_digest(opened, &operation->entry_tag);
    struct hash root = commitment_root(opened->digests);
    if (!hash_is_equal(&root, &operation->fields_root)) {
        return err_set(err, E_BAD_PROOF, "the fields are not those that the record commits to");
    }
    if (opened->has_document) {
        struct hash document = commitment_document(opened->document_salt, opened->document);
        if (!hash_is_equal(&document, &operation->document)) {
            return err_set(err, E_BAD_PROOF,
                           "the document is not the one that the record commits to");
        }
    }
    return E_OK;
}

enum err_code opened_record_check_fields(const struct opened_record *opened,
                                         const struct operation *operation, const struct kind *kind,
                                         struct err *err)
{
    uint32_t required = kind != NULL ? kind->required : 0;
    uint32_t allowed = kind != NULL ? kind->allowed : UINT32_MAX;
    if (operation->is_sealed) {
        required |= KIND_SEALED_FIELDS;
        allowed |= KIND_SEALED_FIELDS;
    }
    for (unsigned i = 0; i < FIELDS; i++) {
        const char *name = field_definition(i)->name;
        if (!is_opened(opened, i)) {
            continue;
        }
        if (!opened->is_present[i] && (required >> i & 1) != 0) {
            return err_set(err, E_MALFORMED, "field %s: absent, and %s must have it", name,
                           kind != NULL ? kind->name : "a sealed record");
        }
        if (opened->is_present[i] && (allowed >> i & 1) == 0) {
            return err_set(err, E_MALFORMED, "field %s: %s has no such field", name,
                           kind != NULL ? kind->name : "a record");
        }
        if (opened->is_present[i] && field_check(i, buf_span(&opened->values[i]), err) != E_OK) {
            return err->code; /* it names the field */
        }
    }
    return E_OK;
}

/* What is both in the clear and in a field, or in two fields, is the same. */
static enum err_code check_agreement(const struct opened_record *opened,
                                     const struct operation *operation, struct err *err)
{
    if (!operation->is_sealed && has_value(opened, FIELD_COURT)) {
        struct court_tag court = court_tag_make(buf_span(&opened->values[FIELD_COURT]));
        if (memcmp(court.bytes, operation->court.bytes, COURT_TAG_BYTES) != 0) {
            return err_set(err, E_BAD_PROOF, "field court: not the court of the record");
        }
    }
    if (has_value(opened, FIELD_CERTIFICATE) && has_value(opened, FIELD_SUBMITTER)) {
        struct certificate certificate;
        struct span submitter = buf_span(&opened->values[FIELD_SUBMITTER]);
        enum err_code rc =
            certificate_parse(&certificate, buf_span(&opened->values[FIELD_CERTIFICATE]), err);
        if (rc != E_OK) {
            return err_wrap(err, "field certificate");
        }
        if (!span_is_equal(submitter, SPAN_OF_ARRAY(certificate.submitter.bytes))) {
            return err_set(err, E_BAD_PROOF, "field certificate: of another submitter");
        }
    }
    return E_OK;
}

enum err_code opened_record_check(struct operation *out, const struct opened_record *opened,
                                  struct err *err)
{
    struct operation operation = { 0 };
    enum err_code rc = operation_decode(&operation, opened->record, err);
    if (rc != E_OK) {
        return err_wrap(err, "record");
    }
    const struct kind *kind = opened_record_kind(opened, &operation);
    if (!operation.has_commitments) {
        rc = err_set(err, E_MALFORMED, "%s: such a record has no fields", operation.kind->name);
    } else {
        rc = check_key(opened, &operation, err);
    }
    if (rc == E_OK) {
        rc = check_commitments(opened, &operation, err);
    }
    if (rc == E_OK) {
        rc = opened_record_check_fields(opened, &operation, kind, err);
    }
    if (rc == E_OK) {
        rc = check_agreement(opened, &operation, err);
    }
    if (rc != E_OK) {
        operation_clear(&operation);
        return rc;
    }
    *out = operation;
    return E_OK;
}
