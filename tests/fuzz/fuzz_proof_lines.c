/* fuzz_proof_lines.c -- proof lines that are taken and put again are the same bytes, and verifiers
 * stand any proof. The first bytes of the input are the numbers to verify with. */
#include "tlog/proof.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A random proof is a good one only when it is empty and both hashes are the same. */
static void check_verifiers(const struct proof *proof, const uint64_t numbers[static 3])
{
    struct hash node = merkle_empty_root();
    struct hash root = merkle_leaf_hash(span_of(NULL, 0));
    struct err err;
    enum err_code rc = proof_verify_inclusion(proof, numbers[0], numbers[2], &node, &root, &err);
    assert(rc == E_BAD_PROOF);
    rc = proof_verify_subtree(proof, numbers[0], numbers[1], numbers[2], &node, &root, &err);
    assert(rc == E_BAD_PROOF);
    /* `node` is the root of size 0, which is consistent with everything. */
    rc = proof_verify_consistency(proof, numbers[1], numbers[2], &node, &root, &err);
    bool is_from_empty = numbers[1] == 0 && numbers[2] != 0 && proof->count == 0;
    assert((rc == E_OK) == is_from_empty);
}

static void check_lines(struct span text, const uint64_t numbers[static 3])
{
    struct span rest = text;
    struct proof proof = { .count = 0 };
    struct err err;
    if (proof_take_lines(&proof, &rest, &err) != E_OK) {
        assert(proof.count == 0);
        assert(rest.len == text.len);
        return;
    }
    struct buf again = BUF_INIT((HASH_BASE64_CHARS + 1) * PROOF_HASHES_MAX + 1);
    proof_put_lines(&again, &proof);
    buf_put_str(&again, "\n");
    assert(again.len == text.len - rest.len);
    assert(span_has_prefix(text, buf_span(&again)));
    buf_clear(&again);
    check_verifiers(&proof, numbers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct span in = span_of(data, len);
    uint64_t numbers[3];
    for (int i = 0; i < 3; i++) {
        if (!span_take_u64(&in, &numbers[i])) {
            return 0;
        }
    }
    check_lines(in, numbers);
    return 0;
}
