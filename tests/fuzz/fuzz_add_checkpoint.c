/* fuzz_add_checkpoint.c -- requests to a witness and its answers of a size: what is understood,
 * written again, is the input. */
#include "tlog/add_checkpoint.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_size(struct span bytes)
{
    uint64_t value = 77;
    struct err err;
    if (add_checkpoint_parse_size(&value, bytes, &err) != E_OK) {
        assert(err.code == E_MALFORMED);
        assert(value == 77);
        return;
    }
    struct buf again = BUF_INIT(32);
    add_checkpoint_put_size(&again, value);
    assert(span_is_equal(buf_span(&again), bytes));
    buf_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span body = span_of(data, size);
    struct add_checkpoint request;
    struct err err;
    check_size(body);
    if (add_checkpoint_parse(&request, body, &err) != E_OK) {
        assert(err.code == E_MALFORMED);
        return 0;
    }
    struct buf again = BUF_INIT(ADD_CHECKPOINT_BYTES_MAX);
    add_checkpoint_put(&again, request.old_size, &request.proof, request.note);
    assert(span_is_equal(buf_span(&again), body));
    buf_clear(&again);

    assert(request.proof.count <= PROOF_HASHES_MAX);
    assert(span_find(body, span_of_str("\n\n")) + 2 == (size_t)(request.note.data - data));
    assert(request.note.data + request.note.len == data + size);
    assert(request.origin.data == request.note.data);
    assert(request.origin.len > 0);
    assert(request.note.data[request.origin.len] == '\n');
    assert(memchr(request.origin.data, '\n', request.origin.len) == NULL);
    return 0;
}
