#include "record/disclosure.h"

#include "record/payload_check.h"
#include "record/payload_json.h"

#include <assert.h>

static const char format[] = "courtroll disclosure v1";

void disclosure_init(struct disclosure *disclosure)
{
    *disclosure = (struct disclosure){ 0 };
    buf_init(&disclosure->record, OPERATION_BYTES_MAX);
    for (size_t i = 0; i < FIELDS; i++) {
        buf_init(&disclosure->values[i], FIELD_VALUE_BYTES_MAX);
    }
    buf_init(&disclosure->proof, PROOF_FILE_BYTES_MAX);
    buf_init(&disclosure->registration, OPERATION_BYTES_MAX);
    buf_init(&disclosure->registration_proof, PROOF_FILE_BYTES_MAX);
}

void disclosure_clear(struct disclosure *disclosure)
{
    for (size_t i = 0; i < FIELDS; i++) {
        crypto_wipe_buf(&disclosure->values[i]);
    }
    buf_clear(&disclosure->record);
    buf_clear(&disclosure->proof);
    buf_clear(&disclosure->registration);
    buf_clear(&disclosure->registration_proof);
    crypto_wipe(disclosure, sizeof *disclosure);
    disclosure_init(disclosure);
}

/* `digests` gets all of them, and has the hidden ones. */
static struct opened_record view(const struct disclosure *disclosure, struct hash *digests)
{
    return (struct opened_record){
        .origin = disclosure->origin,
        .record = buf_span(&disclosure->record),
        .signing_key = &disclosure->signing_key,
        .has_document = disclosure->has_document,
        .document = disclosure->is_document_present ? &disclosure->document : NULL,
        .document_salt = disclosure->document_salt,
        .opened = disclosure->opened,
        .is_present = disclosure->is_present,
        .salts = disclosure->salts,
        .values = disclosure->values,
        .digests = digests,
    };
}

/* -- making -- */

/* Zero for a record that does not decode, which no payload has. */
static uint32_t material_of(const struct payload *payload)
{
    struct operation operation = { 0 };
    struct err err;
    uint32_t material = 0;
    struct opened_record opened = {
        .opened = UINT32_MAX,
        .is_present = payload->is_present,
        .values = payload->values,
    };
    if (operation_decode(&operation, buf_span(&payload->record), &err) == E_OK) {
        material = opened_record_material(opened_record_kind(&opened, &operation), &operation);
        operation_clear(&operation);
    }
    return material;
}

void disclosure_make(struct disclosure *out, const struct payload *payload, uint32_t opened,
                     bool opens_document, struct span proof)
{
    disclosure_clear(out);
    memcpy(out->origin, payload->origin, sizeof out->origin);
    buf_put(&out->record, buf_span(&payload->record));
    out->signing_key = payload->signing_key;
    out->opened = opened | material_of(payload);
    payload_digests(out->digests, payload);
    for (size_t i = 0; i < FIELDS; i++) {
        if ((out->opened >> i & 1) != 0) {
            out->is_present[i] = payload->is_present[i];
            memcpy(out->salts[i], payload->salts[i], FIELD_SALT_BYTES);
            buf_put(&out->values[i], buf_span(&payload->values[i]));
        }
    }
    out->has_document = opens_document;
    if (opens_document) {
        out->is_document_present = payload->has_document;
        out->document = payload->document;
        memcpy(out->document_salt, payload->document_salt, FIELD_SALT_BYTES);
    }
    buf_put(&out->proof, proof);
}

/* -- the file -- */

static json_t *text_or_null(const struct buf *text)
{
    if (text->len == 0) {
        return json_null();
    }
    json_t *json = json_stringn((const char *)text->data, text->len);
    assert(json != NULL); /* a tlog-proof is UTF-8 */
    return json;
}

static json_t *field_json(const struct disclosure *disclosure, unsigned number)
{
    if ((disclosure->opened >> number & 1) != 0) {
        return payload_json_field(number, disclosure->salts[number], disclosure->is_present[number],
                                  buf_span(&disclosure->values[number]));
    }
    json_t *field = json_object();
    json_object_set_new(field, "digest", payload_json_hex(hash_span(&disclosure->digests[number])));
    json_object_set_new(field, "name", json_string(field_definition(number)->name));
    return field;
}

static json_t *disclosure_object(const struct disclosure *disclosure)
{
    json_t *object = json_object();
    json_t *fields = json_array();
    for (unsigned i = 0; i < FIELDS; i++) {
        json_array_append_new(fields, field_json(disclosure, i));
    }
    const struct hash *document = disclosure->is_document_present ? &disclosure->document : NULL;
    json_object_set_new(object, "format", json_string(format));
    json_object_set_new(object, "origin", json_string(disclosure->origin));
    json_object_set_new(object, "record", payload_json_base64(buf_span(&disclosure->record)));
    json_object_set_new(object, "signing_key",
                        payload_json_hex(SPAN_OF_ARRAY(disclosure->signing_key.bytes)));
    json_object_set_new(object, "document",
                        disclosure->has_document
                            ? payload_json_document(disclosure->document_salt, document)
                            : json_null());
    json_object_set_new(object, "fields", fields);
    json_object_set_new(object, "proof", text_or_null(&disclosure->proof));
    json_object_set_new(object, "registration",
                        disclosure->registration.len > 0
                            ? payload_json_base64(buf_span(&disclosure->registration))
                            : json_null());
    json_object_set_new(object, "registration_proof",
                        text_or_null(&disclosure->registration_proof));
    return object;
}

void disclosure_put(struct buf *out, const struct disclosure *disclosure)
{
    json_t *object = disclosure_object(disclosure);
    payload_json_put(out, object);
    json_decref(object);
}

static enum err_code take_fields(struct disclosure *out, const json_t *object, struct err *err)
{
    json_t *fields;
    enum err_code rc = payload_json_fields(&fields, object, err);
    for (unsigned i = 0; rc == E_OK && i < FIELDS; i++) {
        const json_t *field = json_array_get(fields, i);
        if (json_object_get(field, "digest") != NULL) {
            rc = payload_json_take_hex(out->digests[i].bytes, HASH_BYTES, field, "digest", err);
            rc = rc == E_OK ? E_OK : err_wrap(err, "field %s", field_definition(i)->name);
        } else {
            out->opened |= UINT32_C(1) << i;
            rc = payload_json_take_field(i, &out->is_present[i], out->salts[i], &out->values[i],
                                         field, err);
        }
    }
    return rc;
}

static enum err_code take_proofs(struct disclosure *out, const json_t *object, struct err *err)
{
    enum err_code rc = payload_json_take_text(&out->proof, object, "proof", err);
    if (rc == E_OK && !json_is_null(json_object_get(object, "registration"))) {
        rc = payload_json_take_base64(&out->registration, object, "registration", err);
        if (rc == E_OK && out->registration.len == 0) {
            rc = err_set(err, E_MALFORMED, "registration: empty, where null is meant");
        }
    }
    if (rc == E_OK) {
        rc = payload_json_take_text(&out->registration_proof, object, "registration_proof", err);
    }
    if (rc == E_OK && (out->registration.len > 0) != (out->registration_proof.len > 0)) {
        rc = err_set(err, E_MALFORMED, "registration: without its proof, or a proof without it");
    }
    return rc;
}

static enum err_code take(struct disclosure *out, const json_t *object, struct err *err)
{
    const json_t *document = json_object_get(object, "document");
    enum err_code rc = payload_json_take_origin(out->origin, object, err);
    if (rc == E_OK) {
        rc = payload_json_take_base64(&out->record, object, "record", err);
    }
    if (rc == E_OK) {
        rc = payload_json_take_hex(out->signing_key.bytes, ED25519_PUBLIC_BYTES, object,
                                   "signing_key", err);
    }
    if (rc == E_OK && !json_is_null(document)) {
        out->has_document = true;
        rc = payload_json_take_document(&out->is_document_present, &out->document,
                                        out->document_salt, document, err);
    }
    if (rc == E_OK) {
        rc = take_fields(out, object, err);
    }
    return rc == E_OK ? take_proofs(out, object, err) : rc;
}

/* The digests of opened fields are not in the file. */
static enum err_code fill_digests(struct disclosure *disclosure, struct err *err)
{
    struct hash entry_tag;
    if (!operation_peek_tag(&entry_tag, buf_span(&disclosure->record))) {
        return err_set(err, E_MALFORMED, "record: it has no entry tag, so it has no fields");
    }
    struct opened_record opened = view(disclosure, disclosure->digests);
    opened_record_digest(&opened, &entry_tag);
    return E_OK;
}

enum err_code disclosure_parse(struct disclosure *out, struct span json, struct err *err)
{
    json_t *object;
    if (json.len > DISCLOSURE_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "disclosure: over %d bytes", DISCLOSURE_BYTES_MAX);
    }
    enum err_code rc = payload_json_load(&object, json, format, err);
    if (rc != E_OK) {
        return rc;
    }
    struct disclosure disclosure;
    disclosure_init(&disclosure);
    rc = take(&disclosure, object, err);
    json_decref(object);
    if (rc == E_OK) {
        object = disclosure_object(&disclosure);
        rc = payload_json_check_spelling(object, json, "disclosure", err);
        json_decref(object);
    }
    if (rc == E_OK) {
        rc = fill_digests(&disclosure, err);
    }
    if (rc != E_OK) {
        disclosure_clear(&disclosure);
        return rc;
    }
    *out = disclosure;
    crypto_wipe(&disclosure, sizeof disclosure);
    return E_OK;
}

/* -- verifying -- */

static enum err_code check_material(uint32_t hidden, struct err *err)
{
    struct buf names = BUF_INIT(ERR_MSG_MAX);
    for (unsigned i = 0; i < FIELDS; i++) {
        if ((hidden >> i & 1) != 0) {
            buf_putf(&names, "%s%s", names.len > 0 ? ", " : "", field_definition(i)->name);
        }
    }
    enum err_code rc = E_OK;
    if (names.len > 0) {
        rc = err_set(err, E_MALFORMED, "hides what a disclosure must open: %s", buf_c_str(&names));
    }
    buf_clear(&names);
    return rc;
}

enum err_code disclosure_verify(struct disclosure_verdict *out, const struct disclosure *disclosure,
                                struct err *err)
{
    struct disclosure_verdict verdict = { .opened = disclosure->opened,
                                          .hidden = ~disclosure->opened };
    struct hash digests[FIELDS];
    memcpy(digests, disclosure->digests, sizeof digests);
    struct opened_record opened = view(disclosure, digests);
    enum err_code rc = opened_record_check(&verdict.operation, &opened, err);
    if (rc != E_OK) {
        return rc;
    }
    verdict.kind = opened_record_kind(&opened, &verdict.operation);
    verdict.is_vouched = verdict.operation.is_vouched;
    for (unsigned i = 0; i < FIELDS; i++) {
        if ((disclosure->opened >> i & 1) != 0 && !disclosure->is_present[i]) {
            verdict.absent |= UINT32_C(1) << i;
        }
    }
    verdict.material_hidden =
        opened_record_material(verdict.kind, &verdict.operation) & verdict.hidden;
    rc = check_material(verdict.material_hidden, err);
    if (rc != E_OK) {
        disclosure_verdict_clear(&verdict);
        return rc;
    }
    *out = verdict;
    return E_OK;
}

void disclosure_verdict_clear(struct disclosure_verdict *verdict)
{
    operation_clear(&verdict->operation);
    *verdict = (struct disclosure_verdict){ 0 };
}
