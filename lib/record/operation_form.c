#include "record/operation_form.h"

#include "record/field.h"
#include "record/identifier.h"
#include "tlog/checkpoint.h"
#include "tlog/note.h"

static enum err_code bad(struct err *err, const char *field, const char *what)
{
    return err_set(err, E_MALFORMED, "%s: %s", field, what);
}

/* A field of `len` bytes that is there when the kind has it, and else is not. */
static enum err_code check_bytes(const char *field, ProtobufCBinaryData data, size_t len,
                                 bool is_wanted, struct err *err)
{
    if (!is_wanted) {
        return data.len == 0 ? E_OK : bad(err, field, "not of this kind");
    }
    if (data.len != len) {
        return err_set(err, E_MALFORMED, "%s: must be %zu bytes", field, len);
    }
    return E_OK;
}

/* A key under which anybody can sign says nothing about who did. */
static enum err_code check_key(const char *field, ProtobufCBinaryData data, bool is_wanted,
                               struct err *err)
{
    enum err_code rc = check_bytes(field, data, ED25519_PUBLIC_BYTES, is_wanted, err);
    if (rc == E_OK && is_wanted) {
        struct ed25519_public key;
        memcpy(key.bytes, data.data, sizeof key.bytes);
        rc = ed25519_is_small_order(&key) ? bad(err, field, "a point of small order") : E_OK;
    }
    return rc;
}

static bool is_ldh(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* Labels of lower-case letters, digits and hyphens, none at an end; the last is no number, or it would be an
 * address. */
static bool is_dns_name(struct span name)
{
    enum {
        LABEL_MAX = 63
    };
    bool is_number = true;
    if (name.len == 0 || name.len >= REGISTRATION_NAME_MAX) {
        return false;
    }
    while (true) {
        size_t len = 0;
        is_number = true;
        for (; len < name.len && is_ldh(name.data[len]); len++) {
            is_number = is_number && name.data[len] >= '0' && name.data[len] <= '9';
        }
        if (len == 0 || len > LABEL_MAX || name.data[0] == '-' || name.data[len - 1] == '-') {
            return false;
        }
        if (len == name.len) {
            return !is_number;
        }
        if (name.data[len] != '.') {
            return false;
        }
        name = span_slice(name, len + 1, name.len - len - 1);
    }
}

enum err_code registration_name_check(struct span name, struct err *err)
{
    if (!is_dns_name(name)) {
        return err_set(err, E_MALFORMED, "not a DNS name in lower case");
    }
    if (identifier_is_hidden_in(name)) {
        return err_set(err, E_MALFORMED, "holds what looks like a person's or company's id");
    }
    return E_OK;
}

static enum err_code check_courts(const Courtroll__V1__Registration *message, struct err *err)
{
    if (message->n_courts > REGISTRATION_COURTS_MAX) {
        return bad(err, "registration.courts", "more than 64");
    }
    for (size_t i = 0; i < message->n_courts; i++) {
        if (message->courts[i].len != COURT_TAG_BYTES) {
            return bad(err, "registration.courts", "each must be 8 bytes");
        }
        if (i > 0 &&
            memcmp(message->courts[i - 1].data, message->courts[i].data, COURT_TAG_BYTES) >= 0) {
            return bad(err, "registration.courts", "not ascending");
        }
    }
    return E_OK;
}

static enum err_code check_roles(const Courtroll__V1__Registration *message, struct err *err)
{
    if (message->n_roles == 0) {
        return bad(err, "registration.roles", "none");
    }
    uint32_t least = 1;
    for (size_t i = 0; i < message->n_roles; i++) {
        if (message->roles[i] < least || message->roles[i] > ROLE_LAST) {
            return bad(err, "registration.roles", "unknown, or not ascending");
        }
        least = message->roles[i] + 1;
    }
    return E_OK;
}

static enum err_code check_registration(const Courtroll__V1__Operation *operation, struct err *err)
{
    const Courtroll__V1__Registration *message = operation->registration;
    if (operation->kind != KIND_SUBMITTER) {
        return message == NULL ? E_OK : bad(err, "registration", "not of this kind");
    }
    if (message == NULL) {
        return bad(err, "registration", "must be there");
    }
    if (registration_name_check(span_of(message->name.data, message->name.len), err) != E_OK) {
        return err_wrap(err, "registration.name");
    }
    if (message->from > OPERATION_MINUTE_MAX || message->to > OPERATION_MINUTE_MAX ||
        (message->to != 0 && message->to <= message->from)) {
        return bad(err, "registration.to", "not behind from, or out of range");
    }
    enum err_code rc = check_key("registration.key", message->key, true, err);
    if (rc == E_OK) {
        rc = check_courts(message, err);
    }
    if (rc == E_OK) {
        rc = check_roles(message, err);
    }
    if (rc == E_OK) {
        struct ed25519_public key;
        memcpy(key.bytes, message->key.data, sizeof key.bytes);
        struct submitter_id id = submitter_id_make(&key);
        if (memcmp(id.bytes, operation->submitter.data, SUBMITTER_ID_BYTES) != 0) {
            return bad(err, "submitter", "not the id of registration.key");
        }
    }
    return rc;
}

static enum err_code check_opening(const Courtroll__V1__Opening *opening, unsigned number,
                                   struct err *err)
{
    if (opening->number != number) {
        return bad(err, "openings", "must be kind, minute, court, submitter, certificate");
    }
    enum err_code rc = check_bytes("openings.salt", opening->salt, FIELD_SALT_BYTES, true, err);
    if (rc == E_OK) {
        rc = check_bytes("openings.hashes", opening->hashes, (size_t)OPENING_HASHES * HASH_BYTES,
                         true, err);
    }
    if (rc == E_OK && opening->value.len > OPENING_VALUE_BYTES_MAX) {
        rc = bad(err, "openings.value", "more than 1024 bytes");
    }
    if (rc == E_OK) {
        rc = field_check(number, span_of(opening->value.data, opening->value.len), err);
        if (rc != E_OK) {
            return err_wrap(err, "openings.value");
        }
    }
    return rc;
}

static enum err_code check_openings(const Courtroll__V1__Operation *message, struct err *err)
{
    static const unsigned numbers[OPERATION_OPENINGS] = { FIELD_KIND, FIELD_MINUTE, FIELD_COURT,
                                                          FIELD_SUBMITTER, FIELD_CERTIFICATE };
    if (message->kind != KIND_UNSEAL) {
        return message->n_openings == 0 ? E_OK : bad(err, "openings", "not of this kind");
    }
    if (message->n_openings != OPERATION_OPENINGS) {
        return bad(err, "openings", "must be five");
    }
    if (message->n_references == 0) {
        return bad(err, "references", "must begin with the sealed record");
    }
    enum err_code rc = E_OK;
    for (size_t i = 0; i < OPERATION_OPENINGS && rc == E_OK; i++) {
        rc = check_opening(message->openings[i], numbers[i], err);
    }
    return rc;
}

static enum err_code check_references(const Courtroll__V1__Operation *message, struct err *err)
{
    bool has_them = message->kind != KIND_SEALED && message->kind != KIND_ANCHOR;
    if (message->n_references > 0 && !has_them) {
        return bad(err, "references", "not of this kind");
    }
    if (message->n_references > OPERATION_REFERENCES_MAX) {
        return bad(err, "references", "more than 16");
    }
    for (size_t i = 0; i < message->n_references; i++) {
        if (message->references[i].len != (size_t)2 * HASH_BYTES) {
            return bad(err, "references", "each must be 64 bytes");
        }
    }
    return E_OK;
}

/* A signature that is checked by no key but the record's own cannot be left to the channel: of a sealed record
 * and of a registration. An anchor has its note's. */
static enum err_code check_vouched(const Courtroll__V1__Operation *message, struct err *err)
{
    if (message->vouched > 1) {
        return bad(err, "vouched", "must be 1, or left out");
    }
    if (message->vouched == 1 &&
        (message->kind == KIND_SEALED || message->kind == KIND_SUBMITTER)) {
        return bad(err, "vouched", "not of this kind");
    }
    if (message->vouched == 0 && message->kind == KIND_ANCHOR) {
        return bad(err, "vouched", "must be 1: the note has signatures of its own");
    }
    return check_bytes("signature", message->signature, ED25519_SIGNATURE_BYTES,
                       message->vouched == 0, err);
}

static enum err_code check_note(const Courtroll__V1__Operation *message, struct err *err)
{
    if (message->kind != KIND_ANCHOR) {
        return message->note.len == 0 ? E_OK : bad(err, "note", "not of this kind");
    }
    if (message->note.len > OPERATION_NOTE_BYTES_MAX) {
        return bad(err, "note", "more than 56 KiB");
    }
    struct note note;
    if (note_parse(&note, span_of(message->note.data, message->note.len), err) != E_OK) {
        return bad(err, "note", "not a signed note");
    }
    struct checkpoint checkpoint;
    enum err_code rc = checkpoint_parse(&checkpoint, note.text, err);
    note_clear(&note);
    return rc == E_OK ? E_OK : bad(err, "note", "not a checkpoint");
}

/* What stands in the clear in every record but a sealed one. */
static enum err_code check_header(const Courtroll__V1__Operation *message, const struct kind *kind,
                                  struct err *err)
{
    bool is_of_case = kind->class == KIND_OF_CASE || kind->class == KIND_OF_UNSEAL;
    if (kind->class == KIND_OF_SEALED && message->minute != 0) {
        return bad(err, "minute", "not of this kind");
    }
    if (kind->class != KIND_OF_SEALED &&
        (message->minute == 0 || message->minute > OPERATION_MINUTE_MAX)) {
        return bad(err, "minute", "missing, or out of range");
    }
    enum err_code rc = check_bytes("court", message->court, COURT_TAG_BYTES, is_of_case, err);
    if (rc == E_OK) {
        bool has_submitter = kind->class != KIND_OF_SEALED && kind->number != KIND_ANCHOR;
        rc = check_bytes("submitter", message->submitter, SUBMITTER_ID_BYTES, has_submitter, err);
    }
    return rc;
}

static enum err_code check_commitments(const Courtroll__V1__Operation *message,
                                       const struct kind *kind, struct err *err)
{
    bool has_them = kind->class != KIND_OF_LOG;
    enum err_code rc = check_bytes("entry_tag", message->entry_tag, HASH_BYTES, has_them, err);
    if (rc == E_OK) {
        rc = check_bytes("document", message->document, HASH_BYTES, has_them, err);
    }
    if (rc == E_OK) {
        rc = check_bytes("fields_root", message->fields_root, HASH_BYTES, has_them, err);
    }
    return rc;
}

/* What a single kind has. */
static enum err_code check_own(const Courtroll__V1__Operation *message, struct err *err)
{
    enum err_code rc =
        check_key("one_time_key", message->one_time_key, message->kind == KIND_SEALED, err);
    if (rc == E_OK) {
        rc = check_bytes("case_commitment", message->case_commitment, HASH_BYTES,
                         message->kind == KIND_CASE_FILED, err);
    }
    if (rc == E_OK) {
        rc = check_bytes("closed_counts", message->closed_counts, CLOSED_COUNTS_BYTES,
                         message->kind == KIND_CLOSED, err);
    }
    if (rc == E_OK) {
        rc = check_registration(message, err);
    }
    if (rc == E_OK) {
        rc = check_note(message, err);
    }
    if (rc == E_OK) {
        rc = check_openings(message, err);
    }
    return rc;
}

enum err_code operation_form_check(const Courtroll__V1__Operation *message, struct err *err)
{
    if (message->version != OPERATION_VERSION) {
        return bad(err, "version", "not 1");
    }
    const struct kind *kind = kind_find(message->kind);
    if (kind == NULL) {
        return bad(err, "kind", "unknown");
    }
    if (kind->class == KIND_INSIDE) {
        return bad(err, "kind", "only inside a sealed record");
    }
    enum err_code rc = check_header(message, kind, err);
    if (rc == E_OK) {
        rc = check_commitments(message, kind, err);
    }
    if (rc == E_OK) {
        rc = check_references(message, err);
    }
    if (rc == E_OK) {
        rc = check_vouched(message, err);
    }
    if (rc == E_OK) {
        rc = check_own(message, err);
    }
    return rc;
}
