/* Encoding. A struct operation is made into the protobuf-c message with all that is not zero in it, the message
 * into bytes, and those are decoded: so what a kind does not have is refused here by the check that everyone
 * else applies. */
#include "base/alloc.h"
#include "record/operation_form.h"

#include <assert.h>

/* A message and the memory that it points to. */
struct draft_message {
    Courtroll__V1__Operation operation;
    Courtroll__V1__Registration registration;
    ProtobufCBinaryData references[OPERATION_REFERENCES_MAX];
    uint8_t reference_bytes[OPERATION_REFERENCES_MAX][2 * HASH_BYTES];
    ProtobufCBinaryData courts[REGISTRATION_COURTS_MAX];
    uint32_t roles[ROLE_LAST];
    Courtroll__V1__Opening openings[OPERATION_OPENINGS];
    Courtroll__V1__Opening *opening_at[OPERATION_OPENINGS];
};

static bool is_zero(const void *memory, size_t len)
{
    const uint8_t *bytes = memory;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static ProtobufCBinaryData data_of(const void *bytes, size_t len)
{
    /* protobuf-c does not write to what it packs. */
    return (ProtobufCBinaryData){ len, (uint8_t *)(uintptr_t)bytes };
}

/* There when the kind has it, whatever its bytes, and when the caller set it: then it is refused. */
static ProtobufCBinaryData data_if(const void *bytes, size_t len, bool is_of_kind)
{
    bool is_there = is_of_kind || !is_zero(bytes, len);
    return is_there ? data_of(bytes, len) : (ProtobufCBinaryData){ 0, NULL };
}

static void set_registration(struct draft_message *draft, const struct registration *from)
{
    Courtroll__V1__Registration *to = &draft->registration;
    courtroll__v1__registration__init(to);
    to->key = data_of(from->key.bytes, sizeof from->key.bytes);
    to->name = data_of(from->name, strnlen(from->name, sizeof from->name));
    to->courts = draft->courts;
    to->n_courts = from->court_count;
    for (size_t i = 0; i < from->court_count; i++) {
        draft->courts[i] = data_of(from->courts[i].bytes, COURT_TAG_BYTES);
    }
    to->roles = draft->roles;
    for (uint32_t role = 1; role <= ROLE_LAST; role++) {
        if ((from->roles >> role & 1) != 0) {
            draft->roles[to->n_roles++] = role;
        }
    }
    to->from = from->from;
    to->to = from->to;
    draft->operation.registration = to;
}

static void set_openings(struct draft_message *draft, const struct opening *from)
{
    for (size_t i = 0; i < OPERATION_OPENINGS; i++) {
        Courtroll__V1__Opening *to = &draft->openings[i];
        courtroll__v1__opening__init(to);
        to->number = from[i].number;
        to->salt = data_of(from[i].salt, sizeof from[i].salt);
        to->value = data_of(from[i].value, from[i].value_len);
        to->hashes = data_of(from[i].hashes, sizeof from[i].hashes);
        draft->opening_at[i] = to;
    }
    draft->operation.openings = draft->opening_at;
    draft->operation.n_openings = OPERATION_OPENINGS;
}

static void set_references(struct draft_message *draft, const struct operation *from)
{
    draft->operation.references = draft->references;
    draft->operation.n_references = from->reference_count;
    for (size_t i = 0; i < from->reference_count; i++) {
        uint8_t *at = draft->reference_bytes[i];
        memcpy(at, from->references[i].origin.bytes, HASH_BYTES);
        memcpy(at + HASH_BYTES, from->references[i].leaf.bytes, HASH_BYTES);
        draft->references[i] = data_of(at, (size_t)2 * HASH_BYTES);
    }
}

static void set_bytes(Courtroll__V1__Operation *to, const struct operation *from)
{
    const struct kind *kind = from->kind;
    bool is_of_case = kind->class == KIND_OF_CASE || kind->class == KIND_OF_UNSEAL;
    bool has_submitter = kind->class != KIND_OF_SEALED && kind->number != KIND_ANCHOR;
    to->court = data_if(from->court.bytes, COURT_TAG_BYTES, is_of_case);
    to->entry_tag = data_if(from->entry_tag.bytes, HASH_BYTES, from->has_commitments);
    to->document = data_if(from->document.bytes, HASH_BYTES, from->has_commitments);
    to->fields_root = data_if(from->fields_root.bytes, HASH_BYTES, from->has_commitments);
    to->submitter = data_if(from->submitter.bytes, SUBMITTER_ID_BYTES, has_submitter);
    to->one_time_key = data_if(from->one_time_key.bytes, ED25519_PUBLIC_BYTES, from->is_sealed);
    to->case_commitment =
        data_if(from->case_commitment.bytes, HASH_BYTES, kind->number == KIND_CASE_FILED);
    to->closed_counts =
        data_if(from->closed_counts, CLOSED_COUNTS_BYTES, kind->number == KIND_CLOSED);
    to->signature = data_if(from->signature.bytes, ED25519_SIGNATURE_BYTES, !from->is_vouched);
}

/* E_MALFORMED for counts over the arrays and for what the message cannot say. */
static enum err_code set_message(struct draft_message *draft, const struct operation *from,
                                 struct err *err)
{
    if (from->kind == NULL || from->is_sealed != (from->kind->number == KIND_SEALED)) {
        return err_set(err, E_MALFORMED, "kind: none, or sealed and not so");
    }
    if (from->reference_count > OPERATION_REFERENCES_MAX ||
        from->registration.court_count > REGISTRATION_COURTS_MAX) {
        return err_set(err, E_MALFORMED, "references or courts: too many");
    }
    if ((from->registration.roles & ~(((UINT32_C(1) << ROLE_LAST) - 1) << 1)) != 0) {
        return err_set(err, E_MALFORMED, "registration.roles: unknown");
    }
    for (size_t i = 0; from->openings != NULL && i < OPERATION_OPENINGS; i++) {
        if (from->openings[i].value_len > OPENING_VALUE_BYTES_MAX) {
            return err_set(err, E_MALFORMED, "openings.value: more than 1024 bytes");
        }
    }
    Courtroll__V1__Operation *to = &draft->operation;
    courtroll__v1__operation__init(to);
    to->version = OPERATION_VERSION;
    to->kind = from->kind->number;
    to->minute = from->minute;
    to->vouched = from->is_vouched ? 1 : 0;
    to->note = data_of(from->note.data, from->note.len);
    set_bytes(to, from);
    set_references(draft, from);
    const struct registration *registration = &from->registration;
    if (from->kind->number == KIND_SUBMITTER || !is_zero(registration, sizeof *registration)) {
        set_registration(draft, registration);
    }
    if (from->openings != NULL) {
        set_openings(draft, from->openings);
    }
    return E_OK;
}

enum err_code operation_put(struct buf *out, const struct operation *operation, struct err *err)
{
    struct draft_message draft = { .operation = COURTROLL__V1__OPERATION__INIT };
    enum err_code rc = set_message(&draft, operation, err);
    if (rc != E_OK) {
        return rc;
    }
    size_t len = courtroll__v1__operation__get_packed_size(&draft.operation);
    if (len > OPERATION_BYTES_MAX || len > buf_room(out)) {
        return err_set(err, E_MALFORMED, "record: more than 60 KiB, or than there is room for");
    }
    size_t before = out->len;
    uint8_t *at = buf_extend(out, len);
    courtroll__v1__operation__pack(&draft.operation, at);
    struct operation decoded = { 0 };
    rc = operation_decode(&decoded, span_of(at, len), err);
    operation_clear(&decoded);
    if (rc != E_OK) {
        buf_truncate(out, before);
    }
    return rc;
}

/* Who signs must be who the record says. */
static enum err_code check_signer(const struct operation *operation,
                                  const struct ed25519_public *key, struct err *err)
{
    if (operation->is_vouched) {
        return err_set(err, E_MALFORMED, "vouched: nothing signs it");
    }
    if (operation->is_sealed) {
        bool is_same = memcmp(key->bytes, operation->one_time_key.bytes, sizeof key->bytes) == 0;
        return is_same ? E_OK : err_set(err, E_MALFORMED, "one_time_key: another");
    }
    struct submitter_id id = submitter_id_make(key);
    bool is_same = submitter_id_is_equal(&id, &operation->submitter);
    return is_same ? E_OK : err_set(err, E_MALFORMED, "submitter: not the id of the key");
}

enum err_code operation_put_signed(struct buf *out, struct operation *operation, const char *origin,
                                   const struct signing_key *key, struct err *err)
{
    struct ed25519_public public = signing_key_public(key);
    enum err_code rc = check_signer(operation, &public, err);
    if (rc != E_OK) {
        return rc;
    }
    size_t before = out->len;
    operation->signature = (struct ed25519_signature){ { 0 } };
    rc = operation_put(out, operation, err);
    if (rc != E_OK) {
        return rc;
    }
    size_t unsigned_len = out->len - before - OPERATION_SIGNATURE_FIELD_BYTES;
    struct buf message =
        operation_signed_bytes(span_slice(buf_span(out), before, unsigned_len), origin);
    rc = signing_key_sign(key, buf_span(&message), &operation->signature, err);
    buf_clear(&message);
    if (rc != E_OK) {
        buf_truncate(out, before);
        return rc;
    }
    memcpy(out->data + out->len - ED25519_SIGNATURE_BYTES, operation->signature.bytes,
           ED25519_SIGNATURE_BYTES);
    return E_OK;
}
