#include "record/draft.h"

#include "base/ascii.h"
#include "record/identifier.h"
#include "record/payload_json.h"
#include "record/text.h"

#include <assert.h>
#include <stdlib.h>

#define BIT(number) (UINT32_C(1) << (number))

/* Fields that are filled in when the record is composed, most of them from the other members. */
#define FILLED_IN                                                                                  \
    (KIND_SEALED_FIELDS | BIT(FIELD_NUMBER) | BIT(FIELD_CASE_NUMBER) | BIT(FIELD_COURT))

static_assert((int)CASE_NUMBER_BYTES_MAX >= (int)IDENTIFIER_BYTES_MAX, "any case number fits");

/* -- reading: pieces -- */

/* `name` came from outside: it is shown when it could be meant as one of ours, else it may be a secret. */
static enum err_code unknown_name(const char *name, struct err *err)
{
    size_t len = strlen(name);
    bool is_shown = len <= 24 && strspn(name, "abcdefghijklmnopqrstuvwxyz-_") == len;
    return err_set(err, E_MALFORMED, "unknown name%s%s", is_shown ? " " : "", is_shown ? name : "");
}

static enum err_code take_text(struct span *out, const json_t *value, struct err *err)
{
    if (!json_is_string(value)) {
        return err_set(err, E_MALFORMED, "expected a string");
    }
    *out = span_of(json_string_value(value), json_string_length(value));
    return E_OK;
}

/* A text that is kept as it is, in memory of `max` + 1 bytes. */
static enum err_code take_plain(char *out, size_t max, const json_t *value, struct err *err)
{
    struct span text;
    enum err_code rc = take_text(&text, value, err);
    if (rc == E_OK && text.len > max) {
        rc = err_set(err, E_MALFORMED, "over %zu bytes", max);
    }
    if (rc == E_OK) {
        rc = text_check(text, err);
    }
    if (rc == E_OK) {
        memcpy(out, text.data, text.len);
        out[text.len] = 0;
    }
    return rc;
}

/* Exactly `len` bytes in hex. */
static enum err_code take_hex(uint8_t *out, size_t len, struct span text, struct err *err)
{
    enum err_code rc = hex_decode(out, len, text, err);
    return rc == E_OK ? E_OK
                      : err_set(err, E_MALFORMED, "expected %zu hexadecimal digits", 2 * len);
}

static enum err_code
take_identifier(char out[static CASE_NUMBER_BYTES_MAX + 1], const json_t *value,
                enum err_code (*put)(struct buf *out, struct span text, struct err *err),
                struct err *err)
{
    struct span text;
    struct buf spelling = BUF_INIT(CASE_NUMBER_BYTES_MAX);
    enum err_code rc = take_text(&text, value, err);
    if (rc == E_OK) {
        rc = put(&spelling, text, err);
    }
    if (rc == E_OK) {
        memcpy(out, spelling.data, spelling.len);
        out[spelling.len] = 0;
        crypto_wipe(spelling.data, spelling.cap);
    }
    buf_clear(&spelling);
    return rc;
}

/* -- reading: members, in the order of names -- */

static enum err_code read_case(struct draft *draft, const json_t *value, struct err *err)
{
    return take_identifier(draft->case_number, value, identifier_put_case_number, err);
}

static int compare_counts(const void *a, const void *b)
{
    return memcmp(a, b, SUBMITTER_ID_BYTES); /* the id is their first member */
}
static_assert(offsetof(struct closed_count, submitter) == 0, "compare_counts");

static enum err_code read_counts(struct draft *draft, const json_t *value, struct err *err)
{
    if (!json_is_object(value) || json_object_size(value) > CLOSED_SUBMITTERS_MAX) {
        return err_set(err, E_MALFORMED, "expected an object of at most %d submitters",
                       CLOSED_SUBMITTERS_MAX);
    }
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)value, name, member)
    {
        struct closed_count *count = &draft->counts[draft->count_count];
        enum err_code rc =
            take_hex(count->submitter.bytes, SUBMITTER_ID_BYTES, span_of_str(name), err);
        if (rc != E_OK) {
            return err_wrap(err, "submitter %zu", draft->count_count);
        }
        json_int_t integer = json_integer_value(member);
        if (!json_is_integer(member) || integer < 1 || integer > UINT32_MAX) {
            return err_set(err, E_MALFORMED, "submitter %zu: expected an integer from 1 to %u",
                           draft->count_count, UINT32_MAX);
        }
        count->count = (uint32_t)integer;
        draft->count_count++;
    }
    qsort(draft->counts, draft->count_count, sizeof draft->counts[0], compare_counts);
    for (size_t i = 1; i < draft->count_count; i++) {
        if (compare_counts(&draft->counts[i - 1], &draft->counts[i]) == 0) {
            return err_set(err, E_MALFORMED, "a submitter twice");
        }
    }
    return E_OK;
}

static enum err_code read_court(struct draft *draft, const json_t *value, struct err *err)
{
    return take_identifier(draft->court, value, identifier_put_court_code, err);
}

static enum err_code read_document(struct draft *draft, const json_t *value, struct err *err)
{
    struct span text;
    enum err_code rc = take_text(&text, value, err);
    if (rc == E_OK) {
        rc = take_hex(draft->document.bytes, HASH_BYTES, text, err);
    }
    draft->has_document = rc == E_OK;
    return rc;
}

static bool may_be_integer(unsigned number)
{
    enum field_type type = field_definition(number)->type;
    return type == FIELD_TYPE_COUNT || type == FIELD_TYPE_MONEY || type == FIELD_TYPE_CODE;
}

/* Of tags the text is kept. An empty value would mean absence. Names the field in errors. */
static enum err_code read_field(struct draft *draft, unsigned number, const json_t *value,
                                struct err *err)
{
    const struct field_definition *field = field_definition(number);
    struct buf *out = &draft->fields[number];
    struct span text;
    char integer[DECIMAL_MAX + 2];
    if (json_is_integer(value) && may_be_integer(number)) {
        int len = snprintf(integer, sizeof integer, "%lld", (long long)json_integer_value(value));
        text = span_of(integer, (size_t)len);
    } else if (take_text(&text, value, err) != E_OK) {
        return err_wrap(err, "%s", field->name);
    }
    enum err_code rc = E_OK;
    if (field->type == FIELD_TYPE_TAG) {
        rc = text_put(out, text, FIELD_VALUE_BYTES_MAX, err);
        if (rc != E_OK) {
            err->code = E_MALFORMED;
            (void)err_wrap(err, "%s", field->name);
        }
    } else {
        rc = field_put_value(out, number, text, err);
    }
    crypto_wipe(integer, sizeof integer);
    return rc == E_OK ? E_OK : err->code;
}

static enum err_code read_fields(struct draft *draft, const json_t *value, struct err *err)
{
    const char *name;
    json_t *member;
    if (!json_is_object(value)) {
        return err_set(err, E_MALFORMED, "expected an object");
    }
    json_object_foreach((json_t *)value, name, member)
    {
        unsigned number = 0;
        if (!field_parse_name(&number, span_of_str(name))) {
            return unknown_name(name, err);
        }
        if (number == FIELD_OFFICER || (FILLED_IN & BIT(number)) != 0) {
            return err_set(err, E_MALFORMED, "%s is not given here", name);
        }
        enum err_code rc = read_field(draft, number, member, err);
        if (rc != E_OK) {
            return rc;
        }
    }
    return E_OK;
}

static enum err_code read_id(struct draft *draft, const json_t *value, struct err *err)
{
    return take_plain(draft->id, DRAFT_ID_MAX, value, err);
}

static enum err_code read_kind(struct draft *draft, const json_t *value, struct err *err)
{
    struct span text;
    enum err_code rc = take_text(&text, value, err);
    const struct kind *kind = rc == E_OK ? kind_by_name(text) : NULL;
    if (rc == E_OK &&
        (kind == NULL || (kind->class != KIND_OF_CASE && kind->class != KIND_OF_UNSEAL &&
                          kind->class != KIND_INSIDE))) {
        rc = err_set(err, E_MALFORMED, "no kind of operation of a case");
    }
    draft->kind = kind;
    return rc;
}

static enum err_code read_minute(struct draft *draft, const json_t *value, struct err *err)
{
    struct span text;
    struct buf minute = BUF_INIT(sizeof(uint64_t));
    enum err_code rc = take_text(&text, value, err);
    rc = rc == E_OK ? field_put_value(&minute, FIELD_MINUTE, text, err) : err_wrap(err, "minute");
    if (rc == E_OK) {
        struct span bytes = buf_span(&minute);
        bool is_taken = span_take_u64(&bytes, &draft->minute);
        assert(is_taken);
    }
    buf_clear(&minute);
    return rc;
}

static enum err_code read_officer(struct draft *draft, const json_t *value, struct err *err)
{
    return read_field(draft, FIELD_OFFICER, value, err);
}

static enum err_code read_references(struct draft *draft, const json_t *value, struct err *err)
{
    if (!json_is_array(value) || json_array_size(value) > OPERATION_REFERENCES_MAX) {
        return err_set(err, E_MALFORMED, "expected an array of at most %d",
                       OPERATION_REFERENCES_MAX);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        struct span text;
        uint8_t bytes[2 * HASH_BYTES];
        enum err_code rc = take_text(&text, json_array_get(value, i), err);
        if (rc == E_OK) {
            rc = take_hex(bytes, sizeof bytes, text, err);
        }
        if (rc != E_OK) {
            return err_wrap(err, "reference %zu", i);
        }
        struct reference *reference = &draft->references[draft->reference_count++];
        memcpy(reference->origin.bytes, bytes, HASH_BYTES);
        memcpy(reference->leaf.bytes, bytes + HASH_BYTES, HASH_BYTES);
    }
    return E_OK;
}

static enum err_code read_sealed(struct draft *draft, const json_t *value, struct err *err)
{
    if (!json_is_boolean(value)) {
        return err_set(err, E_MALFORMED, "expected true or false");
    }
    draft->is_sealed = json_is_true(value);
    return E_OK;
}

static enum err_code read_unseal(struct draft *draft, const json_t *value, struct err *err)
{
    return take_plain(draft->unseal, DRAFT_PATH_MAX, value, err);
}

static const struct member {
    const char *name;
    bool is_required;
    bool names_itself; /* in its errors */
    enum err_code (*read)(struct draft *draft, const json_t *value, struct err *err);
} members[] = {
    { "case", true, false, read_case },       { "counts", false, false, read_counts },
    { "court", true, false, read_court },     { "document", false, false, read_document },
    { "fields", false, false, read_fields },  { "id", false, false, read_id },
    { "kind", true, false, read_kind },       { "minute", true, true, read_minute },
    { "officer", false, true, read_officer }, { "references", false, false, read_references },
    { "sealed", false, false, read_sealed },  { "unseal", false, false, read_unseal },
};

enum {
    MEMBERS = sizeof members / sizeof members[0]
};

/* -- reading: the whole -- */

static bool draft_has(const struct draft *draft, unsigned number)
{
    return draft->fields[number].len > 0;
}

/* Exactly the fields that the kind may and must have. */
static enum err_code check_fields(const struct draft *draft, struct err *err)
{
    const struct kind *kind = draft->kind;
    for (unsigned i = 0; i < FIELDS; i++) {
        const char *name = field_definition(i)->name;
        bool is_allowed = (kind->allowed & BIT(i)) != 0;
        bool is_required = (kind->required & ~FILLED_IN & BIT(i)) != 0;
        if (draft_has(draft, i) && !is_allowed) {
            return err_set(err, E_MALFORMED, "%s: %s has no such field", name, kind->name);
        }
        if (!draft_has(draft, i) && is_required) {
            return err_set(err, E_MALFORMED, "%s: %s must have it", name, kind->name);
        }
    }
    return E_OK;
}

/* What fits the kind beyond fields. */
static enum err_code check_kind(const struct draft *draft, struct err *err)
{
    const struct kind *kind = draft->kind;
    bool is_inside = kind->class == KIND_INSIDE;
    if (draft->is_sealed && !kind->is_control && !is_inside) {
        return err_set(err, E_MALFORMED, "sealed: %s is never sealed", kind->name);
    }
    if (!draft->is_sealed && is_inside) {
        return err_set(err, E_MALFORMED, "sealed: %s is always sealed", kind->name);
    }
    if (draft->count_count > 0 && kind->number != KIND_CLOSED) {
        return err_set(err, E_MALFORMED, "counts: %s has none", kind->name);
    }
    if (draft->unseal[0] != 0 && kind->class != KIND_OF_UNSEAL) {
        return err_set(err, E_MALFORMED, "unseal: %s opens nothing", kind->name);
    }
    return check_fields(draft, err);
}

static enum err_code read_member(struct draft *draft, const char *name, const json_t *value,
                                 struct err *err)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        if (strcmp(name, members[i].name) == 0) {
            enum err_code rc = members[i].read(draft, value, err);
            return rc == E_OK || members[i].names_itself ? rc : err_wrap(err, "%s", name);
        }
    }
    return unknown_name(name, err);
}

static enum err_code read_all(struct draft *draft, const json_t *object, struct err *err)
{
    const char *name;
    json_t *value;
    if (!json_is_object(object)) {
        return err_set(err, E_MALFORMED, "expected a JSON object");
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        if (members[i].is_required && json_object_get(object, members[i].name) == NULL) {
            return err_set(err, E_MALFORMED, "%s is missing", members[i].name);
        }
    }
    json_object_foreach((json_t *)object, name, value)
    {
        enum err_code rc = read_member(draft, name, value, err);
        if (rc != E_OK) {
            return rc;
        }
    }
    return check_kind(draft, err);
}

static void draft_init(struct draft *draft)
{
    memset(draft, 0, sizeof *draft);
    for (size_t i = 0; i < FIELDS; i++) {
        buf_init(&draft->fields[i], FIELD_VALUE_BYTES_MAX);
    }
}

void draft_clear(struct draft *draft)
{
    for (size_t i = 0; i < FIELDS; i++) {
        struct buf *field = &draft->fields[i];
        crypto_wipe_buf(field);
    }
    crypto_wipe(draft, sizeof *draft);
    draft_init(draft);
}

enum err_code draft_parse(struct draft *out, struct span json, struct err *err)
{
    if (json.len > DRAFT_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "over %d bytes", DRAFT_BYTES_MAX);
    }
    json_error_t problem;
    json_t *object = json_loadb(json.data != NULL ? (const char *)json.data : "", json.len,
                                JSON_REJECT_DUPLICATES, &problem);
    if (object == NULL) { /* jansson's own words quote the text */
        bool is_duplicate = json_error_code(&problem) == json_error_duplicate_key;
        return err_set(err, E_MALFORMED, "byte %d: %s", problem.position,
                       is_duplicate ? "a name twice" : "not JSON");
    }
    struct draft draft;
    draft_init(&draft);
    enum err_code rc = read_all(&draft, object, err);
    json_decref(object); /* wipes: payload_json.h */
    if (rc == E_OK) {
        *out = draft;
        crypto_wipe(&draft, sizeof draft);
    } else {
        draft_clear(&draft);
    }
    return rc;
}

/* -- writing -- */

static void set(json_t *object, const char *name, json_t *value)
{
    int rc = json_object_set_new(object, name, value); /* fails for NULL: what is not UTF-8 */
    assert(rc == 0);
}

/* Takes the text, whose memory is wiped. */
static json_t *json_of_text(struct buf *text)
{
    json_t *json = json_stringn((const char *)text->data, text->len);
    crypto_wipe(text->data, text->cap);
    buf_clear(text);
    return json;
}

static json_t *json_of_field(unsigned number, const struct buf *value)
{
    if (field_definition(number)->type == FIELD_TYPE_TAG) {
        return json_stringn((const char *)value->data, value->len);
    }
    size_t max = 2 * FIELD_VALUE_BYTES_MAX + OPERATION_REFERENCES_MAX;
    struct buf text = BUF_INIT(max);
    (void)buf_extend(&text, max); /* so that growing leaves no copy behind */
    buf_reset(&text);
    field_put_text(&text, number, buf_span(value));
    return json_of_text(&text);
}

static json_t *json_of_minute(uint64_t minute)
{
    struct buf value = BUF_INIT(sizeof minute);
    buf_put_u64(&value, minute);
    json_t *json = json_of_field(FIELD_MINUTE, &value);
    buf_clear(&value);
    return json;
}

static json_t *json_of_fields(const struct draft *draft)
{
    json_t *fields = json_object();
    for (unsigned i = 0; i < FIELDS; i++) {
        if (i != FIELD_OFFICER && draft_has(draft, i)) {
            set(fields, field_definition(i)->name, json_of_field(i, &draft->fields[i]));
        }
    }
    return fields;
}

static json_t *json_of_references(const struct draft *draft)
{
    json_t *references = json_array();
    for (size_t i = 0; i < draft->reference_count; i++) {
        struct buf text = BUF_INIT(4 * HASH_BYTES);
        hex_put(&text, hash_span(&draft->references[i].origin));
        hex_put(&text, hash_span(&draft->references[i].leaf));
        int rc = json_array_append_new(references, json_of_text(&text));
        assert(rc == 0);
    }
    return references;
}

static json_t *json_of_counts(const struct draft *draft)
{
    json_t *counts = json_object();
    for (size_t i = 0; i < draft->count_count; i++) {
        struct buf name = BUF_INIT(2 * SUBMITTER_ID_BYTES + 1);
        hex_put(&name, SPAN_OF_ARRAY(draft->counts[i].submitter.bytes));
        set(counts, buf_c_str(&name), json_integer((json_int_t)draft->counts[i].count));
        buf_clear(&name);
    }
    return counts;
}

void draft_put(struct buf *out, const struct draft *draft)
{
    json_t *object = json_object();
    set(object, "case", json_string(draft->case_number));
    set(object, "court", json_string(draft->court));
    set(object, "kind", json_string(draft->kind->name));
    set(object, "minute", json_of_minute(draft->minute));
    set(object, "fields", json_of_fields(draft));
    if (draft->count_count > 0) {
        set(object, "counts", json_of_counts(draft));
    }
    if (draft->has_document) {
        set(object, "document", payload_json_hex(hash_span(&draft->document)));
    }
    if (draft->id[0] != 0) {
        set(object, "id", json_string(draft->id));
    }
    if (draft_has(draft, FIELD_OFFICER)) {
        set(object, "officer", json_of_field(FIELD_OFFICER, &draft->fields[FIELD_OFFICER]));
    }
    if (draft->reference_count > 0) {
        set(object, "references", json_of_references(draft));
    }
    if (draft->is_sealed) {
        set(object, "sealed", json_true());
    }
    if (draft->unseal[0] != 0) {
        set(object, "unseal", json_string(draft->unseal));
    }
    payload_json_put(out, object);
    json_decref(object);
}
