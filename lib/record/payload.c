#include "record/payload.h"

#include "base/alloc.h"
#include "record/payload_check.h"
#include "record/payload_json.h"

static const char format[] = "courtroll payload v1";

void payload_init(struct payload *payload)
{
    *payload = (struct payload){ 0 };
    buf_init(&payload->record, OPERATION_BYTES_MAX);
    for (size_t i = 0; i < FIELDS; i++) {
        buf_init(&payload->values[i], FIELD_VALUE_BYTES_MAX);
    }
}

void payload_clear(struct payload *payload)
{
    buf_clear(&payload->record);
    for (size_t i = 0; i < FIELDS; i++) {
        crypto_wipe_buf(&payload->values[i]);
    }
    crypto_wipe(payload, sizeof *payload);
    payload_init(payload);
}

/* Everything in it, opened. `digests` gets FIELDS of them. */
static struct opened_record view(const struct payload *payload, struct hash *digests)
{
    return (struct opened_record){
        .origin = payload->origin,
        .record = buf_span(&payload->record),
        .signing_key = &payload->signing_key,
        .has_document = true,
        .document = payload->has_document ? &payload->document : NULL,
        .document_salt = payload->document_salt,
        .opened = UINT32_MAX,
        .is_present = payload->is_present,
        .salts = payload->salts,
        .values = payload->values,
        .digests = digests,
    };
}

static void digest_fields(struct hash out[static FIELDS], const struct payload *payload,
                          const struct hash *entry_tag)
{
    struct opened_record opened = view(payload, out);
    opened_record_digest(&opened, entry_tag);
}

void payload_digests(struct hash out[static FIELDS], const struct payload *payload)
{
    struct hash entry_tag = { { 0 } };
    (void)operation_peek_tag(&entry_tag, buf_span(&payload->record)); /* a payload's has one */
    digest_fields(out, payload, &entry_tag);
}

/* -- composing -- */

struct composing {
    struct payload *payload;
    const struct draft *draft;
    const struct composition *how;
    struct operation operation;
    struct signing_key *one_time_key; /* owned; NULL unless sealed */
};

/* All memory at once: growing would leave copies of what is in it. */
static struct buf *set_field(struct payload *payload, unsigned number)
{
    struct buf *value = &payload->values[number];
    (void)buf_extend(value, FIELD_VALUE_BYTES_MAX);
    buf_reset(value);
    payload->is_present[number] = true;
    return value;
}

static void put_salts(struct composing *c)
{
    const uint8_t *random = c->how->random;
    for (size_t i = 0; i < FIELDS; i++) {
        memcpy(c->payload->salts[i], random + i * FIELD_SALT_BYTES, FIELD_SALT_BYTES);
    }
    memcpy(c->payload->document_salt, random + (size_t)FIELDS * FIELD_SALT_BYTES, FIELD_SALT_BYTES);
    if (c->draft->is_sealed) {
        c->one_time_key = signing_key_from_seed(random + (size_t)(FIELDS + 1) * FIELD_SALT_BYTES);
    }
}

/* UNSEAL's first is the sealed record. */
static enum err_code put_references(struct composing *c, struct err *err)
{
    struct operation *operation = &c->operation;
    size_t count = 0;
    if (c->how->sealed != NULL) {
        operation->references[count++] = (struct reference){
            .origin = sha256(span_of_str(c->how->sealed->origin)),
            .leaf = merkle_leaf_hash(buf_span(&c->how->sealed->record)),
        };
    }
    if (c->draft->reference_count > OPERATION_REFERENCES_MAX - count) {
        return err_set(err, E_MALFORMED, "references: more than %d", OPERATION_REFERENCES_MAX);
    }
    memcpy(operation->references + count, c->draft->references,
           c->draft->reference_count * sizeof c->draft->references[0]);
    operation->reference_count = count + c->draft->reference_count;
    return E_OK;
}

static const char *tag_purpose(unsigned number)
{
    switch (number) {
    case FIELD_ASSET:
        return "asset";
    case FIELD_PAYEE:
        return "payee";
    default:
        return "officer"; /* the approver too: so that one person's two tags are equal */
    }
}

static void put_draft_fields(struct composing *c)
{
    for (unsigned i = 0; i < FIELDS; i++) {
        struct span text = buf_span(&c->draft->fields[i]);
        if (text.len == 0) {
            continue;
        }
        struct buf *value = set_field(c->payload, i);
        if (field_definition(i)->type == FIELD_TYPE_TAG) {
            struct person_tag tag = person_tag_make(c->how->case_key, tag_purpose(i), text);
            buf_put(value, SPAN_OF_ARRAY(tag.bytes));
        } else {
            buf_put(value, text);
        }
    }
    buf_put_u64(set_field(c->payload, FIELD_NUMBER), c->how->number);
    if ((c->draft->kind->allowed >> FIELD_CASE_NUMBER & 1) != 0) { /* a decoy is of no case */
        buf_put_str(set_field(c->payload, FIELD_CASE_NUMBER), c->draft->case_number);
    }
    buf_put_str(set_field(c->payload, FIELD_COURT), c->draft->court);
}

/* The header of a sealed record: what others show is fields, and the certificate goes to the gate. */
static enum err_code put_sealed_header(struct composing *c, struct err *err)
{
    struct payload *payload = c->payload;
    struct operation *operation = &c->operation;
    operation->kind = kind_find(KIND_SEALED);
    operation->is_sealed = true;
    operation->one_time_key = payload->signing_key = signing_key_public(c->one_time_key);
    enum err_code rc = certificate_make(&payload->certificate, c->how->origin,
                                        &operation->one_time_key, &operation->entry_tag,
                                        &c->how->submitter_public, c->how->submitter_key, err);
    if (rc != E_OK) {
        return rc;
    }
    payload->has_certificate = true;
    buf_put_u64(set_field(payload, FIELD_KIND), c->draft->kind->number);
    buf_put_u64(set_field(payload, FIELD_MINUTE), c->draft->minute);
    buf_put(set_field(payload, FIELD_SUBMITTER),
            SPAN_OF_ARRAY(payload->certificate.submitter.bytes));
    certificate_put(set_field(payload, FIELD_CERTIFICATE), &payload->certificate);
    struct buf *references = set_field(payload, FIELD_REFERENCES);
    for (size_t i = 0; i < operation->reference_count; i++) {
        buf_put(references, hash_span(&operation->references[i].origin));
        buf_put(references, hash_span(&operation->references[i].leaf));
    }
    memset(operation->references, 0, sizeof operation->references);
    operation->reference_count = 0;
    return E_OK;
}

static void put_openings(struct composing *c)
{
    static const unsigned numbers[OPERATION_OPENINGS] = { FIELD_KIND, FIELD_MINUTE, FIELD_COURT,
                                                          FIELD_SUBMITTER, FIELD_CERTIFICATE };
    const struct payload *sealed = c->how->sealed;
    struct hash digests[FIELDS];
    payload_digests(digests, sealed);
    c->operation.openings = mem_calloc(OPERATION_OPENINGS, sizeof *c->operation.openings);
    for (size_t i = 0; i < OPERATION_OPENINGS; i++) {
        struct opening *opening = &c->operation.openings[i];
        struct span value = buf_span(&sealed->values[numbers[i]]);
        opening->number = (uint8_t)numbers[i];
        memcpy(opening->salt, sealed->salts[numbers[i]], FIELD_SALT_BYTES);
        opening->value_len = value.len;
        memcpy(opening->value, value.data, value.len);
        commitment_prove(opening->hashes, digests, numbers[i]);
    }
}

static void put_clear_header(struct composing *c)
{
    struct operation *operation = &c->operation;
    const struct draft *draft = c->draft;
    operation->kind = draft->kind;
    operation->is_vouched = c->how->is_vouched;
    operation->minute = draft->minute;
    operation->court = court_tag_make(span_of_str(draft->court));
    operation->submitter = submitter_id_make(&c->how->submitter_public);
    c->payload->signing_key = c->how->submitter_public;
    if (draft->kind->number == KIND_CASE_FILED) {
        operation->case_commitment = case_commitment_make(c->how->case_key);
    }
    if (draft->kind->number == KIND_CLOSED) {
        closed_counts_make(operation->closed_counts, c->how->case_key, &operation->entry_tag,
                           draft->counts, draft->count_count);
    }
    if (draft->kind->class == KIND_OF_UNSEAL) {
        put_openings(c);
    }
}

static void put_commitments(struct composing *c)
{
    struct payload *payload = c->payload;
    struct hash digests[FIELDS];
    digest_fields(digests, payload, &c->operation.entry_tag);
    c->operation.fields_root = commitment_root(digests);
    c->operation.document = commitment_document(payload->document_salt,
                                                payload->has_document ? &payload->document : NULL);
    c->operation.has_commitments = true;
}

/* What composing relies on. */
static enum err_code check_draft(const struct draft *draft, const struct composition *how,
                                 struct err *err)
{
    bool is_unseal = draft->kind->class == KIND_OF_UNSEAL;
    bool is_inside = draft->kind->class == KIND_INSIDE;
    if (!is_unseal && !is_inside && draft->kind->class != KIND_OF_CASE) {
        return err_set(err, E_MALFORMED, "kind: %s is not of a case", draft->kind->name);
    }
    if (draft->is_sealed ? !draft->kind->is_control && !is_inside : is_inside) {
        return err_set(err, E_MALFORMED, "kind: %s is %s sealed", draft->kind->name,
                       is_inside ? "only" : "never");
    }
    if (draft->is_sealed && how->is_vouched) {
        return err_set(err, E_MALFORMED, "sealed: such a record is always signed");
    }
    if (strcmp(draft->case_number, how->case_key->number) != 0) {
        return err_set(err, E_MALFORMED, "case: not the one that the case key is for");
    }
    if (is_unseal != (how->sealed != NULL)) {
        return err_set(err, E_MALFORMED,
                       is_unseal ? "unseal: the sealed payload is missing"
                                 : "unseal: only UNSEAL opens a sealed record");
    }
    if (is_unseal &&
        (!how->sealed->has_certificate ||
         (how->sealed->is_present[FIELD_CASE_NUMBER] && /* a decoy is of no case */
          !span_is_str(buf_span(&how->sealed->values[FIELD_CASE_NUMBER]), draft->case_number)))) {
        return err_set(err, E_MALFORMED, "unseal: the payload is not a sealed one of this case");
    }
    if (strlen(how->origin) > ORIGIN_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "origin: over %d bytes", ORIGIN_BYTES_MAX);
    }
    return E_OK;
}

static enum err_code put_record(struct composing *c, struct err *err)
{
    struct buf *record = &c->payload->record;
    if (c->how->is_vouched) {
        return operation_put(record, &c->operation, err);
    }
    return operation_put_signed(record, &c->operation, c->how->origin,
                                c->draft->is_sealed ? c->one_time_key : c->how->submitter_key, err);
}

static enum err_code compose(struct composing *c, struct err *err)
{
    struct payload *payload = c->payload;
    struct submitter_id submitter = submitter_id_make(&c->how->submitter_public);
    memcpy(payload->origin, c->how->origin, strlen(c->how->origin) + 1);
    c->operation.entry_tag = entry_tag_make(c->how->case_key, &submitter, c->how->number);
    payload->has_document = c->draft->has_document;
    payload->document = c->draft->document;
    put_salts(c);
    put_draft_fields(c);
    enum err_code rc = put_references(c, err);
    if (rc == E_OK && c->draft->is_sealed) {
        rc = put_sealed_header(c, err);
    } else if (rc == E_OK) {
        put_clear_header(c);
    }
    if (rc == E_OK) {
        struct hash digests[FIELDS];
        struct opened_record opened = view(payload, digests);
        rc = opened_record_check_fields(&opened, &c->operation, c->draft->kind, err);
    }
    if (rc == E_OK) {
        put_commitments(c);
        rc = put_record(c, err);
    }
    return rc;
}

enum err_code payload_compose(struct payload *out, const struct draft *draft,
                              const struct composition *how, struct err *err)
{
    struct payload payload;
    payload_init(&payload);
    struct composing c = { .payload = &payload, .draft = draft, .how = how };
    enum err_code rc = check_draft(draft, how, err);
    if (rc == E_OK) {
        rc = compose(&c, err);
    }
    signing_key_free(c.one_time_key);
    operation_clear(&c.operation);
    if (rc != E_OK) {
        payload_clear(&payload);
        return rc;
    }
    *out = payload;
    crypto_wipe(&payload, sizeof payload);
    return E_OK;
}

/* -- the file -- */

static json_t *payload_object(const struct payload *payload)
{
    json_t *object = json_object();
    json_t *fields = json_array();
    for (unsigned i = 0; i < FIELDS; i++) {
        json_array_append_new(fields,
                              payload_json_field(i, payload->salts[i], payload->is_present[i],
                                                 buf_span(&payload->values[i])));
    }
    json_object_set_new(object, "format", json_string(format));
    json_object_set_new(object, "origin", json_string(payload->origin));
    json_object_set_new(object, "record", payload_json_base64(buf_span(&payload->record)));
    json_object_set_new(object, "signing_key",
                        payload_json_hex(SPAN_OF_ARRAY(payload->signing_key.bytes)));
    json_object_set_new(object, "document",
                        payload_json_document(payload->document_salt,
                                              payload->has_document ? &payload->document : NULL));
    json_object_set_new(object, "fields", fields);
    return object;
}

void payload_put(struct buf *out, const struct payload *payload)
{
    json_t *object = payload_object(payload);
    payload_json_put(out, object);
    json_decref(object);
}

static enum err_code check_spelling(const struct payload *payload, struct span json,
                                    struct err *err)
{
    json_t *object = payload_object(payload);
    enum err_code rc = payload_json_check_spelling(object, json, "payload", err);
    json_decref(object);
    return rc;
}

static enum err_code take_fields(struct payload *out, const json_t *object, struct err *err)
{
    json_t *fields;
    enum err_code rc = payload_json_fields(&fields, object, err);
    for (unsigned i = 0; rc == E_OK && i < FIELDS; i++) {
        rc = payload_json_take_field(i, &out->is_present[i], out->salts[i], &out->values[i],
                                     json_array_get(fields, i), err);
    }
    return rc;
}

static enum err_code take(struct payload *out, const json_t *object, struct err *err)
{
    enum err_code rc = payload_json_take_origin(out->origin, object, err);
    if (rc == E_OK) {
        rc = payload_json_take_base64(&out->record, object, "record", err);
    }
    if (rc == E_OK) {
        rc = payload_json_take_hex(out->signing_key.bytes, ED25519_PUBLIC_BYTES, object,
                                   "signing_key", err);
    }
    if (rc == E_OK) {
        rc = payload_json_take_document(&out->has_document, &out->document, out->document_salt,
                                        json_object_get(object, "document"), err);
    }
    return rc == E_OK ? take_fields(out, object, err) : rc;
}

/* The certificate is one of the fields. */
static enum err_code check(struct payload *payload, struct err *err)
{
    struct hash digests[FIELDS];
    struct opened_record opened = view(payload, digests);
    struct operation operation;
    enum err_code rc = opened_record_check(&operation, &opened, err);
    if (rc != E_OK) {
        return rc;
    }
    if (operation.is_sealed) {
        rc = certificate_parse(&payload->certificate, buf_span(&payload->values[FIELD_CERTIFICATE]),
                               err);
        payload->has_certificate = rc == E_OK;
    }
    operation_clear(&operation);
    return rc;
}

enum err_code payload_parse(struct payload *out, struct span json, struct err *err)
{
    json_t *object;
    if (json.len > PAYLOAD_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "payload: over %d bytes", PAYLOAD_BYTES_MAX);
    }
    enum err_code rc = payload_json_load(&object, json, format, err);
    if (rc != E_OK) {
        return rc;
    }
    struct payload payload;
    payload_init(&payload);
    rc = take(&payload, object, err);
    json_decref(object);
    if (rc == E_OK) {
        rc = check_spelling(&payload, json, err);
    }
    if (rc == E_OK) {
        rc = check(&payload, err);
    }
    if (rc != E_OK) {
        payload_clear(&payload);
        return rc;
    }
    *out = payload;
    crypto_wipe(&payload, sizeof payload);
    return E_OK;
}
