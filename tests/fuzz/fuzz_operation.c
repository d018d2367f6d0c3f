/* fuzz_operation.c -- operation records: what decodes encodes to the very bytes, and has exactly its kind's fields. */
#include "record/operation.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_tag(const struct operation *operation, struct span bytes)
{
    struct hash tag;
    bool has_tag = operation_peek_tag(&tag, bytes);
    assert(has_tag == operation->has_commitments);
    assert(!has_tag || hash_is_equal(&tag, &operation->entry_tag));
}

static void check_kind(const struct operation *operation)
{
    const struct kind *kind = operation->kind;
    assert(kind == kind_find(kind->number) && kind->class != KIND_INSIDE);
    assert(operation->is_sealed == (kind->number == KIND_SEALED));
    assert((operation->minute == 0) == operation->is_sealed);
    assert(operation->has_commitments == (kind->class != KIND_OF_LOG));
    assert((operation->openings != NULL) == (kind->class == KIND_OF_UNSEAL));
    assert((operation->note.len > 0) == (kind->number == KIND_ANCHOR));
    assert((operation->registration.roles != 0) == (kind->number == KIND_SUBMITTER));
    assert(operation->reference_count <= OPERATION_REFERENCES_MAX);
    assert(operation->registration.court_count <= REGISTRATION_COURTS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct operation operation;
    struct span bytes = span_of(data, size);
    struct err err;
    struct hash tag;
    if (operation_decode(&operation, bytes, &err) != E_OK) {
        assert(err.code == E_MALFORMED || (err.code == E_TOO_LARGE && size > OPERATION_BYTES_MAX));
        operation_peek_tag(&tag, bytes);
        return 0;
    }
    check_tag(&operation, bytes);
    check_kind(&operation);
    struct buf again = BUF_INIT(OPERATION_BYTES_MAX);
    enum err_code rc = operation_put(&again, &operation, &err);
    assert(rc == E_OK && span_is_equal(buf_span(&again), bytes));
    struct ed25519_public key =
        operation.is_sealed ? operation.one_time_key : operation.registration.key;
    rc = operation_verify(&operation, bytes, "log.example", &key, &err);
    assert(rc != E_OK); /* no seed is signed for this origin */
    buf_clear(&again);
    operation_clear(&operation);
    return 0;
}
