#include "record/operation.h"

#include "base/alloc.h"
#include "record/operation_form.h"

#include <assert.h>

enum {
    /* Room on the stack for what nearly every record takes: the message, its parts, the encoding again. */
    STACK_BYTES = 6 * 1024,
    /* All that a record of the greatest size can make protobuf-c ask for: a note and its copy, or some 30,000
     * empty references with a pointer and a length each. More is refused. */
    ARENA_BYTES_MAX = 1024 * 1024,
};

#define SIGNED_DOMAIN    "courtroll/operation/v1\n"
#define COURT_DOMAIN     "courtroll/court/v1\n"
#define SUBMITTER_DOMAIN "courtroll/submitter-key/v1\n"

struct court_tag court_tag_make(struct span court_code)
{
    struct span parts[] = { span_of_str(COURT_DOMAIN), court_code };
    struct hash hash = sha256_parts(parts, 2);
    struct court_tag tag;
    memcpy(tag.bytes, hash.bytes, sizeof tag.bytes);
    return tag;
}

struct submitter_id submitter_id_make(const struct ed25519_public *key)
{
    struct span parts[] = { span_of_str(SUBMITTER_DOMAIN), SPAN_OF_ARRAY(key->bytes) };
    struct hash hash = sha256_parts(parts, 2);
    struct submitter_id id;
    memcpy(id.bytes, hash.bytes, sizeof id.bytes);
    return id;
}

bool submitter_id_is_equal(const struct submitter_id *a, const struct submitter_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* -- decoding -- */

static void *allocate(void *arena, size_t size)
{
    return arena_alloc(arena, size > 0 ? size : 1);
}

static void release(void *arena, void *memory)
{
    (void)arena;
    (void)memory; /* with the arena */
}

/* By its number: what it holds, or is called elsewhere, is not shown. */
static enum err_code refuse_unknown(const ProtobufCMessage *message, const char *inside,
                                    struct err *err)
{
    return message->n_unknown_fields == 0
               ? E_OK
               : err_set(err, E_MALFORMED, "%sfield %u: not of the schema", inside,
                         (unsigned)message->unknown_fields[0].tag);
}

static enum err_code check_unknown_fields(const Courtroll__V1__Operation *message, struct err *err)
{
    enum err_code rc = refuse_unknown(&message->base, "", err);
    if (rc == E_OK && message->registration != NULL) {
        rc = refuse_unknown(&message->registration->base, "registration, ", err);
    }
    for (size_t i = 0; rc == E_OK && i < message->n_openings; i++) {
        rc = refuse_unknown(&message->openings[i]->base, "openings, ", err);
    }
    return rc;
}

/* Whether encoding gives the very bytes. */
static bool is_canonical(const Courtroll__V1__Operation *message, struct span bytes,
                         struct arena *arena)
{
    if (courtroll__v1__operation__get_packed_size(message) != bytes.len) {
        return false;
    }
    uint8_t *again = allocate(arena, bytes.len);
    if (again == NULL) {
        return false;
    }
    courtroll__v1__operation__pack(message, again);
    return span_is_equal(span_of(again, bytes.len), bytes);
}

static enum err_code unpack(Courtroll__V1__Operation **out, struct span bytes, struct arena *arena,
                            struct err *err)
{
    if (bytes.len > OPERATION_BYTES_MAX) {
        return err_set(err, E_TOO_LARGE, "record: more than 60 KiB");
    }
    ProtobufCAllocator allocator = { allocate, release, arena };
    *out = courtroll__v1__operation__unpack(&allocator, bytes.len, bytes.data);
    if (*out == NULL) {
        return err_set(err, E_MALFORMED, "record: not an operation record");
    }
    return E_OK;
}

static void fill_registration(struct registration *out, const Courtroll__V1__Registration *message)
{
    memcpy(out->key.bytes, message->key.data, sizeof out->key.bytes);
    memcpy(out->name, message->name.data, message->name.len); /* *out is zeroed */
    out->court_count = message->n_courts;
    for (size_t i = 0; i < message->n_courts; i++) {
        memcpy(out->courts[i].bytes, message->courts[i].data, COURT_TAG_BYTES);
    }
    for (size_t i = 0; i < message->n_roles; i++) {
        out->roles |= UINT32_C(1) << message->roles[i];
    }
    out->from = message->from;
    out->to = message->to;
}

static void fill_openings(struct operation *out, const Courtroll__V1__Operation *message)
{
    if (message->n_openings == 0) {
        return;
    }
    out->openings = mem_calloc(OPERATION_OPENINGS, sizeof *out->openings);
    for (size_t i = 0; i < OPERATION_OPENINGS; i++) {
        const Courtroll__V1__Opening *from = message->openings[i];
        struct opening *to = &out->openings[i];
        to->number = (uint8_t)from->number;
        memcpy(to->salt, from->salt.data, sizeof to->salt);
        to->value_len = from->value.len;
        memcpy(to->value, from->value.data, from->value.len);
        memcpy(to->hashes, from->hashes.data, sizeof to->hashes);
    }
}

/* Of what is there; the form has been checked, so that a length is the array's or nought. */
static void fill_bytes(uint8_t *out, ProtobufCBinaryData data)
{
    if (data.len > 0) {
        memcpy(out, data.data, data.len);
    }
}

static void fill(struct operation *out, const Courtroll__V1__Operation *message)
{
    *out = (struct operation){ .kind = kind_find(message->kind) };
    out->is_sealed = message->kind == KIND_SEALED;
    out->is_vouched = message->vouched == 1;
    out->minute = message->minute;
    out->has_commitments = message->entry_tag.len > 0;
    fill_bytes(out->court.bytes, message->court);
    fill_bytes(out->entry_tag.bytes, message->entry_tag);
    fill_bytes(out->document.bytes, message->document);
    fill_bytes(out->fields_root.bytes, message->fields_root);
    fill_bytes(out->submitter.bytes, message->submitter);
    fill_bytes(out->one_time_key.bytes, message->one_time_key);
    fill_bytes(out->case_commitment.bytes, message->case_commitment);
    fill_bytes(out->closed_counts, message->closed_counts);
    fill_bytes(out->signature.bytes, message->signature);
    out->reference_count = message->n_references;
    for (size_t i = 0; i < message->n_references; i++) {
        const uint8_t *data = message->references[i].data;
        memcpy(out->references[i].origin.bytes, data, HASH_BYTES);
        memcpy(out->references[i].leaf.bytes, data + HASH_BYTES, HASH_BYTES);
    }
    if (message->registration != NULL) {
        fill_registration(&out->registration, message->registration);
    }
    fill_openings(out, message);
}

enum err_code operation_decode(struct operation *out, struct span bytes, struct err *err)
{
    uint8_t stack[STACK_BYTES];
    struct arena arena;
    arena_init_with(&arena, ARENA_BYTES_MAX, stack, sizeof stack);
    Courtroll__V1__Operation *message = NULL;
    enum err_code rc = unpack(&message, bytes, &arena, err);
    if (rc == E_OK) {
        rc = operation_form_check(message, err);
    }
    if (rc == E_OK) {
        rc = check_unknown_fields(message, err);
    }
    if (rc == E_OK && !is_canonical(message, bytes, &arena)) {
        rc = err_set(err, E_MALFORMED, "record: not in its one encoding");
    }
    if (rc == E_OK) {
        fill(out, message);
        if (message->note.len > 0) {
            /* The encoding is the one above, in which a vouched record ends with its note. */
            size_t len = message->note.len;
            out->note = span_slice(bytes, bytes.len - len, len);
            assert(span_is_equal(out->note, span_of(message->note.data, len)));
        }
    }
    arena_clear(&arena);
    return rc;
}

void operation_clear(struct operation *operation)
{
    mem_free(operation->openings);
    operation->openings = NULL;
}

bool operation_peek_tag(struct hash *tag, struct span bytes)
{
    uint8_t stack[STACK_BYTES];
    struct arena arena;
    arena_init_with(&arena, ARENA_BYTES_MAX, stack, sizeof stack);
    Courtroll__V1__Operation *message = NULL;
    struct err err;
    bool has_tag = unpack(&message, bytes, &arena, &err) == E_OK &&
                   message->version == OPERATION_VERSION && message->entry_tag.len == HASH_BYTES;
    if (has_tag) {
        memcpy(tag->bytes, message->entry_tag.data, HASH_BYTES);
    }
    arena_clear(&arena);
    return has_tag;
}

/* -- the signature -- */

struct buf operation_signed_bytes(struct span unsigned_bytes, const char *origin)
{
    size_t origin_len = strlen(origin);
    assert(origin_len <= ORIGIN_BYTES_MAX);
    struct buf bytes;
    buf_init(&bytes, sizeof SIGNED_DOMAIN + 1 + origin_len + unsigned_bytes.len);
    buf_put_str(&bytes, SIGNED_DOMAIN);
    buf_put_u8(&bytes, (uint8_t)origin_len);
    buf_put_str(&bytes, origin);
    buf_put(&bytes, unsigned_bytes);
    return bytes;
}

/* The key that must have signed; NULL when that is not the caller's. */
static const struct ed25519_public *signer(const struct operation *operation,
                                           const struct ed25519_public *key)
{
    if (operation->is_sealed) {
        return &operation->one_time_key;
    }
    if (operation->kind->number == KIND_SUBMITTER) {
        return &operation->registration.key;
    }
    if (key == NULL) {
        return NULL;
    }
    struct submitter_id id = submitter_id_make(key);
    return submitter_id_is_equal(&id, &operation->submitter) ? key : NULL;
}

enum err_code operation_verify(const struct operation *operation, struct span bytes,
                               const char *origin, const struct ed25519_public *key,
                               struct err *err)
{
    if (operation->is_vouched) {
        return err_set(err, E_BAD_SIGNATURE, "signature: none, the log knew the sender");
    }
    const struct ed25519_public *by = signer(operation, key);
    if (by == NULL) {
        return err_set(err, E_BAD_SIGNATURE, "submitter: not the id of the key");
    }
    if (bytes.len < OPERATION_SIGNATURE_FIELD_BYTES) {
        return err_set(err, E_BAD_SIGNATURE, "signature: none");
    }
    struct span unsigned_bytes = span_slice(bytes, 0, bytes.len - OPERATION_SIGNATURE_FIELD_BYTES);
    struct buf message = operation_signed_bytes(unsigned_bytes, origin);
    bool is_good = ed25519_verify(by, buf_span(&message), &operation->signature);
    buf_clear(&message);
    return is_good ? E_OK
                   : err_set(err, E_BAD_SIGNATURE,
                             "signature: not the submitter's over this record for this log");
}
