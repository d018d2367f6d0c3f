/* fuzz_cosign_file.c -- requests in files: what is understood, written again, is the input. */
#include "tlog/cosign_file.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cosign_file file;
    struct err err;
    if (cosign_file_parse(&file, span_of(data, size), &err) != E_OK) {
        assert(err.code == E_MALFORMED);
        return 0;
    }
    struct buf again = BUF_INIT(COSIGN_FILE_BYTES_MAX);
    cosign_file_put(&again, file.proofs, file.count, file.note);
    assert(span_is_equal(buf_span(&again), span_of(data, size)));
    buf_clear(&again);
    assert(file.count >= 1 && file.count <= COSIGN_FILE_PROOFS_MAX);
    for (size_t i = 0; i < file.count; i++) {
        assert(cosign_file_proof_from(&file, file.proofs[i].old_size) == &file.proofs[i].proof);
        assert(file.proofs[i].proof.count <= PROOF_HASHES_MAX);
    }
    assert(cosign_file_proof_from(&file, UINT64_MAX) == NULL);
    cosign_file_clear(&file);
    return 0;
}
