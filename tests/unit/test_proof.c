#include "base/ascii.h"
#include "tests/support/reference.h"
#include "tests/support/shared.h"
#include "tests/support/vectors.h"
#include "tlog/proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    SIZE_MAX_TESTED = 300, /* what is made, and what holds */
    SUBTREE_SIZE_MAX = 130,
    /* What is changed, in as many ways as there are: smaller, to stay within seconds. */
    CORRUPTED_SIZE_MAX = 120,
    CHANGED_SIZE_MAX = 90,
    CROSSED_SIZE_MAX = 64, /* every claim with the numbers of every other */
};

#define assert_hash_equal(a, b) assert_memory_equal((a)->bytes, (b)->bytes, HASH_BYTES)

static struct reference_tree *tree;

static int make_tree(void **state)
{
    (void)state;
    tree = reference_of_bytes(SIZE_MAX_TESTED + 1);
    return 0;
}

static int free_tree(void **state)
{
    (void)state;
    mem_free(tree);
    return 0;
}

/* One proof with all that it is verified against. */
struct claim {
    uint64_t start;
    uint64_t end;
    uint64_t size;
    struct hash node; /* of [start, end) */
    struct hash root;
    struct proof proof;
};

enum kind {
    INCLUSION,
    CONSISTENCY,
    SUBTREE
};

static enum err_code make(enum kind kind, struct proof *out, const struct merkle_source *source,
                          const struct claim *claim, struct err *err)
{
    switch (kind) {
    case INCLUSION:
        return proof_make_inclusion(out, source, claim->start, claim->size, err);
    case CONSISTENCY:
        return proof_make_consistency(out, source, claim->end, claim->size, err);
    default:
        return proof_make_subtree(out, source, claim->start, claim->end, claim->size, err);
    }
}

static enum err_code verify(enum kind kind, const struct claim *claim)
{
    struct err err;
    switch (kind) {
    case INCLUSION:
        return proof_verify_inclusion(&claim->proof, claim->start, claim->size, &claim->node,
                                      &claim->root, &err);
    case CONSISTENCY:
        return proof_verify_consistency(&claim->proof, claim->end, claim->size, &claim->node,
                                        &claim->root, &err);
    default:
        return proof_verify_subtree(&claim->proof, claim->start, claim->end, claim->size,
                                    &claim->node, &claim->root, &err);
    }
}

/* The claim that holds, its proof from the recursive definition. */
static struct claim claim_of(enum kind kind, size_t start, size_t end, size_t size)
{
    struct claim claim = {
        start, end, size, reference_mth(tree, start, end), reference_mth(tree, 0, size), { 0 }
    };
    if (kind == INCLUSION) {
        reference_path(&claim.proof, tree, start, 0, size);
    } else if (kind == SUBTREE) {
        reference_subtree_proof(&claim.proof, tree, start, end, 0, size, true);
    } else if (end > 0) {
        reference_subproof(&claim.proof, tree, end, 0, size, true);
    }
    return claim;
}

static size_t bit_ceil(size_t n)
{
    size_t power = 1;
    while (power < n) {
        power *= 2;
    }
    return power;
}

static void for_each_claim(enum kind kind, size_t size_max,
                           void (*on_claim)(enum kind kind, const struct claim *claim))
{
    for (size_t size = 1; size <= size_max; size++) {
        for (size_t end = kind == CONSISTENCY ? 0 : 1; end <= size; end++) {
            size_t first = kind == INCLUSION ? end - 1 : 0;
            size_t last = kind == CONSISTENCY || end == 0 ? 0 : end - 1;
            for (size_t start = first; start <= last; start++) {
                if (kind != CONSISTENCY && start % bit_ceil(end - start) != 0) {
                    continue;
                }
                struct claim claim = claim_of(kind, start, end, size);
                on_claim(kind, &claim);
            }
        }
    }
}

static void assert_rejected(enum kind kind, const struct claim *claim, const char *what)
{
    if (verify(kind, claim) != E_BAD_PROOF) {
        fail_msg("%s accepted: [%llu, %llu) in %llu", what, (unsigned long long)claim->start,
                 (unsigned long long)claim->end, (unsigned long long)claim->size);
    }
}

/* -- what is made is the definition, and verifies -- */

static void check_made(enum kind kind, const struct claim *claim)
{
    struct reference_source nodes = { tree, claim->size, 0, SIZE_MAX };
    struct merkle_source source = reference_source(&nodes);
    struct proof made;
    struct err err;
    assert_int_equal(make(kind, &made, &source, claim, &err), E_OK);
    assert_true(proof_is_equal(&made, &claim->proof));
    assert_int_equal(verify(kind, claim), E_OK);
    if (kind == INCLUSION) {
        struct hash root;
        assert_int_equal(proof_inclusion_root(&root, &claim->proof, claim->start, claim->size,
                                              &claim->node, &err),
                         E_OK);
        assert_hash_equal(&root, &claim->root);
    }
}

static void inclusion_proofs_are_those_of_the_rfc_for_every_index(void **state)
{
    (void)state;
    for_each_claim(INCLUSION, SIZE_MAX_TESTED, check_made);
}

static void consistency_proofs_are_those_of_the_rfc_for_every_old_size(void **state)
{
    (void)state;
    for_each_claim(CONSISTENCY, SIZE_MAX_TESTED, check_made);
}

static void subtree_proofs_are_those_of_the_draft_for_every_subtree(void **state)
{
    (void)state;
    for_each_claim(SUBTREE, SUBTREE_SIZE_MAX, check_made);
}

static void inclusion_and_consistency_are_subtree_proofs(void **state)
{
    (void)state;
    for (size_t size = 1; size <= SUBTREE_SIZE_MAX; size++) {
        for (size_t i = 0; i < size; i++) {
            struct claim index = claim_of(INCLUSION, i, i + 1, size);
            assert_int_equal(verify(SUBTREE, &index), E_OK);
            struct claim old_size = claim_of(CONSISTENCY, 0, i + 1, size);
            assert_int_equal(verify(SUBTREE, &old_size), E_OK);
        }
    }
}

/* -- what is changed is rejected -- */

static void check_corrupted(enum kind kind, const struct claim *claim)
{
    struct claim bad = *claim;
    for (size_t i = 0; i < claim->proof.count; i++) {
        uint8_t *byte = &bad.proof.hashes[i].bytes[(claim->start + claim->end + i) % HASH_BYTES];
        uint8_t bit = (uint8_t)(1 << (claim->size + i) % 8);
        *byte ^= bit;
        assert_rejected(kind, &bad, "a proof with a corrupted hash");
        *byte ^= bit;
    }
}

static void a_proof_with_any_hash_corrupted_is_rejected(void **state)
{
    (void)state;
    for_each_claim(INCLUSION, CORRUPTED_SIZE_MAX, check_corrupted);
    for_each_claim(CONSISTENCY, CORRUPTED_SIZE_MAX, check_corrupted);
    for_each_claim(SUBTREE, CROSSED_SIZE_MAX, check_corrupted);
}

static void a_proof_with_any_bit_flipped_is_rejected(void **state)
{
    (void)state;
    struct claim claims[] = { claim_of(INCLUSION, 133, 134, 299),
                              claim_of(CONSISTENCY, 0, 133, 299),
                              claim_of(SUBTREE, 128, 179, 299) };
    for (enum kind kind = INCLUSION; kind <= SUBTREE; kind++) {
        struct claim *claim = &claims[kind];
        assert_int_equal(verify(kind, claim), E_OK);
        for (size_t bit = 0; bit < claim->proof.count * HASH_BYTES * 8; bit++) {
            uint8_t *byte =
                &claim->proof.hashes[bit / (HASH_BYTES * 8)].bytes[bit / 8 % HASH_BYTES];
            *byte ^= (uint8_t)(1 << bit % 8);
            assert_rejected(kind, claim, "a proof with a bit flipped");
            *byte ^= (uint8_t)(1 << bit % 8);
        }
    }
}

static void check_truncated(enum kind kind, const struct claim *claim)
{
    struct claim bad = *claim;
    for (size_t count = 0; count < claim->proof.count; count++) {
        bad.proof.count = count;
        assert_rejected(kind, &bad, "a proof cut at its end");
        memcpy(bad.proof.hashes, claim->proof.hashes + claim->proof.count - count,
               count * sizeof bad.proof.hashes[0]);
        assert_rejected(kind, &bad, "a proof cut at its beginning");
        bad.proof = claim->proof;
    }
}

static void every_truncation_of_a_proof_is_rejected(void **state)
{
    (void)state;
    for_each_claim(INCLUSION, CHANGED_SIZE_MAX, check_truncated);
    for_each_claim(CONSISTENCY, CHANGED_SIZE_MAX, check_truncated);
    for_each_claim(SUBTREE, CROSSED_SIZE_MAX, check_truncated);
}

static void check_extended_by(enum kind kind, const struct claim *claim, struct hash hash)
{
    struct claim bad = *claim;
    bad.proof.hashes[bad.proof.count++] = hash;
    assert_rejected(kind, &bad, "a proof with a hash after it");
    memmove(bad.proof.hashes + 1, claim->proof.hashes,
            claim->proof.count * sizeof bad.proof.hashes[0]);
    bad.proof.hashes[0] = hash;
    assert_rejected(kind, &bad, "a proof with a hash before it");
    for (size_t i = bad.proof.count; i < PROOF_HASHES_MAX; i++) {
        bad.proof.hashes[i] = hash;
    }
    bad.proof.count = PROOF_HASHES_MAX;
    assert_rejected(kind, &bad, "a proof of the largest length");
}

static void check_extended(enum kind kind, const struct claim *claim)
{
    check_extended_by(kind, claim, (struct hash){ 0 });
    check_extended_by(kind, claim, claim->root);
    check_extended_by(kind, claim, claim->node);
    if (claim->proof.count > 0) {
        check_extended_by(kind, claim, claim->proof.hashes[claim->proof.count - 1]);
    }
}

static void every_extension_of_a_proof_is_rejected(void **state)
{
    (void)state;
    for_each_claim(INCLUSION, CHANGED_SIZE_MAX, check_extended);
    for_each_claim(CONSISTENCY, CHANGED_SIZE_MAX, check_extended);
    for_each_claim(SUBTREE, CROSSED_SIZE_MAX, check_extended);
}

static void more_hashes_than_a_proof_can_hold_are_rejected(void **state)
{
    (void)state;
    struct claim claim = claim_of(INCLUSION, 5, 6, 8);
    static const size_t counts[] = { PROOF_HASHES_MAX + 1, SIZE_MAX };
    for (size_t i = 0; i < 2; i++) {
        claim.proof.count = counts[i];
        assert_rejected(INCLUSION, &claim, "a count over the maximum");
        assert_rejected(CONSISTENCY, &claim, "a count over the maximum");
        assert_rejected(SUBTREE, &claim, "a count over the maximum");
    }
}

static void check_other_hashes(enum kind kind, const struct claim *claim)
{
    if (kind == CONSISTENCY && claim->end == 0) {
        return; /* the empty tree is a prefix of everything */
    }
    struct claim bad = *claim;
    bad.root.bytes[claim->end % HASH_BYTES] ^= 1;
    assert_rejected(kind, &bad, "another root");
    bad = *claim;
    bad.node.bytes[claim->end % HASH_BYTES] ^= 0x80;
    assert_rejected(kind, &bad, "another leaf, old root or subtree");
    if (!hash_is_equal(&claim->root, &claim->node)) {
        bad = *claim;
        bad.root = claim->node;
        bad.node = claim->root;
        assert_rejected(kind, &bad, "hashes in each other's place");
        bad.root = claim->root;
        assert_rejected(kind, &bad, "the root in place of the leaf or subtree");
    }
}

static void another_leaf_or_root_is_rejected(void **state)
{
    (void)state;
    for_each_claim(INCLUSION, CHANGED_SIZE_MAX, check_other_hashes);
    for_each_claim(CONSISTENCY, CHANGED_SIZE_MAX, check_other_hashes);
    for_each_claim(SUBTREE, CHANGED_SIZE_MAX, check_other_hashes);
}

static void check_other_index(enum kind kind, const struct claim *claim)
{
    struct claim bad = *claim;
    for (uint64_t index = 0; index <= claim->size; index++) {
        bad.start = index;
        bad.end = index + 1;
        if (index != claim->start) {
            assert_rejected(kind, &bad, "another index");
        }
    }
    static const uint64_t huge[] = { UINT64_MAX, UINT64_MAX - 1, (uint64_t)1 << 63 };
    for (size_t i = 0; i < sizeof huge / sizeof huge[0]; i++) {
        bad.start = huge[i];
        assert_rejected(kind, &bad, "an index past the end");
    }
}

static void an_inclusion_proof_is_for_one_index_only(void **state)
{
    (void)state;
    for_each_claim(INCLUSION, CROSSED_SIZE_MAX, check_other_index);
}

/* The same proof can hold in trees of several sizes; never with the root of another one. */
static void check_other_size(enum kind kind, const struct claim *claim)
{
    struct claim bad = *claim;
    for (uint64_t size = 0; size <= CROSSED_SIZE_MAX; size++) {
        bad.size = size;
        bad.root = reference_mth(tree, 0, size);
        bool is_trivial = kind == CONSISTENCY && (claim->end == 0 || claim->end == size);
        if (size != claim->size && !(is_trivial && claim->proof.count == 0)) {
            assert_rejected(kind, &bad, "another size, with its root");
        }
    }
}

static void a_proof_does_not_lead_to_the_root_of_another_size(void **state)
{
    (void)state;
    for_each_claim(INCLUSION, CROSSED_SIZE_MAX, check_other_size);
    for_each_claim(CONSISTENCY, CROSSED_SIZE_MAX, check_other_size);
    for_each_claim(SUBTREE, CROSSED_SIZE_MAX / 2, check_other_size);
}

static void check_other_old_size(enum kind kind, const struct claim *claim)
{
    struct claim bad = *claim;
    for (uint64_t end = 0; end <= claim->size + 1; end++) {
        bad.end = end;
        bad.node = reference_mth(tree, 0, end);
        bool is_trivial = (end == 0 || end == claim->size) && claim->proof.count == 0;
        if (end != claim->end && !is_trivial) {
            assert_rejected(kind, &bad, "another old size, with its root");
        }
    }
}

static void a_consistency_proof_is_for_one_old_size_only(void **state)
{
    (void)state;
    for_each_claim(CONSISTENCY, CROSSED_SIZE_MAX, check_other_old_size);
}

/* -- the ends of the number range -- */

static void nothing_is_included_in_the_empty_tree(void **state)
{
    (void)state;
    struct claim claim = { .start = 0, .end = 1, .size = 0 };
    claim.root = claim.node = merkle_empty_root();
    assert_rejected(INCLUSION, &claim, "an entry of the empty tree");
    assert_rejected(SUBTREE, &claim, "a subtree of the empty tree");
    struct proof proof;
    struct err err;
    struct reference_source nodes = { tree, 0, 0, SIZE_MAX };
    struct merkle_source source = reference_source(&nodes);
    assert_int_equal(proof_make_inclusion(&proof, &source, 0, 0, &err), E_NOT_FOUND);
    assert_int_equal(proof_make_consistency(&proof, &source, 1, 0, &err), E_NOT_FOUND);
    assert_int_equal(proof_make_subtree(&proof, &source, 0, 1, 0, &err), E_NOT_FOUND);
}

static void size_0_is_consistent_with_every_tree_by_an_empty_proof(void **state)
{
    (void)state;
    struct claim claim = claim_of(CONSISTENCY, 0, 0, 300);
    assert_int_equal(claim.proof.count, 0);
    assert_int_equal(verify(CONSISTENCY, &claim), E_OK);
    claim.node = tree->leaves[0];
    assert_rejected(CONSISTENCY, &claim, "a root of size 0 that is not the empty one");
    claim = claim_of(CONSISTENCY, 0, 0, 300);
    claim.proof.count = 1;
    assert_rejected(CONSISTENCY, &claim, "a proof where there is nothing to prove");
    claim.proof.count = 0;
    claim.size = 0;
    assert_rejected(CONSISTENCY, &claim, "a root of size 0 that is not the empty one");
    claim.root = merkle_empty_root();
    assert_int_equal(verify(CONSISTENCY, &claim), E_OK);
}

/* With hashes that are all alike, only the numbers can tell. */
static void nothing_past_the_end_of_the_tree_is_proved(void **state)
{
    (void)state;
    struct claim claim = { .node = tree->leaves[0], .root = tree->leaves[0] };
    for (claim.size = 0; claim.size <= 8; claim.size++) {
        for (claim.end = claim.size + 1; claim.end <= 16; claim.end++) {
            for (claim.start = 0; claim.start < claim.end; claim.start++) {
                assert_rejected(SUBTREE, &claim, "a subtree past the end");
                assert_rejected(CONSISTENCY, &claim, "an old size over the new one");
                if (claim.start >= claim.size) {
                    assert_rejected(INCLUSION, &claim, "an index past the end");
                }
            }
        }
    }
    claim.start = UINT64_MAX;
    claim.end = 0;
    assert_rejected(INCLUSION, &claim, "the largest index");
    claim.size = UINT64_MAX;
    assert_rejected(INCLUSION, &claim, "the largest index");
}

static void what_does_not_exist_is_not_found(void **state)
{
    (void)state;
    struct reference_source nodes = { tree, SIZE_MAX_TESTED, 0, SIZE_MAX };
    struct merkle_source source = reference_source(&nodes);
    struct proof proof = { .count = 7 };
    struct err err;
    assert_int_equal(proof_make_inclusion(&proof, &source, 8, 8, &err), E_NOT_FOUND);
    assert_int_equal(proof_make_inclusion(&proof, &source, UINT64_MAX, 8, &err), E_NOT_FOUND);
    assert_int_equal(proof_make_inclusion(&proof, &source, UINT64_MAX, UINT64_MAX, &err),
                     E_NOT_FOUND);
    assert_int_equal(proof_make_consistency(&proof, &source, 9, 8, &err), E_NOT_FOUND);
    assert_int_equal(proof_make_consistency(&proof, &source, UINT64_MAX, 8, &err), E_NOT_FOUND);
    assert_int_equal(proof_make_subtree(&proof, &source, 8, 9, 8, &err), E_NOT_FOUND);
    assert_int_equal(proof_make_subtree(&proof, &source, 3, 3, 8, &err), E_NOT_FOUND);
    assert_int_equal(proof_make_subtree(&proof, &source, 4, 3, 8, &err), E_NOT_FOUND);
    assert_int_equal(proof_make_subtree(&proof, &source, 1, 3, 8, &err), E_NOT_FOUND);
    assert_int_equal(proof_make_subtree(&proof, &source, 0, UINT64_MAX, 8, &err), E_NOT_FOUND);
    assert_int_equal(proof.count, 7);
    assert_int_equal(nodes.gets, 0);
}

static void an_error_of_the_source_is_passed_on_and_changes_nothing(void **state)
{
    (void)state;
    struct claim claims[] = { claim_of(INCLUSION, 133, 134, 299),
                              claim_of(CONSISTENCY, 0, 133, 299),
                              claim_of(SUBTREE, 128, 179, 299) };
    for (enum kind kind = INCLUSION; kind <= SUBTREE; kind++) {
        struct reference_source nodes = { tree, 299, 0, SIZE_MAX };
        struct merkle_source source = reference_source(&nodes);
        struct proof proof;
        struct err err;
        assert_int_equal(make(kind, &proof, &source, &claims[kind], &err), E_OK);
        size_t gets = nodes.gets;
        for (nodes.fail_at = 0; nodes.fail_at < gets; nodes.fail_at++) {
            nodes.gets = 0;
            struct proof untouched = claims[kind].proof;
            assert_int_equal(make(kind, &untouched, &source, &claims[kind], &err), E_IO);
            assert_true(proof_is_equal(&untouched, &claims[kind].proof));
        }
    }
}

/* Sizes and positions at both sides of a power of two, and something in between. */
static size_t near_powers(uint64_t *out, unsigned bits_max)
{
    static const unsigned bits[] = { 1, 2, 7, 8, 9, 16, 31, 32, 33, 48, 61, 62 };
    size_t count = 0;
    for (size_t i = 0; i < sizeof bits / sizeof bits[0] && bits[i] <= bits_max; i++) {
        uint64_t power = (uint64_t)1 << bits[i];
        out[count++] = power - 1;
        out[count++] = power;
        if (bits[i] < 62) {
            out[count++] = power + 1;
            out[count++] = power + power / 3;
        }
    }
    return count;
}

static void proofs_in_trees_up_to_2_to_the_62_verify(void **state)
{
    (void)state;
    uint64_t sizes[64];
    size_t count = near_powers(sizes, 62);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            if (sizes[j] > sizes[i]) {
                continue;
            }
            struct sparse sparse = sparse_make(sizes[j] - 1);
            struct merkle_source source = sparse_source(&sparse);
            struct err err;
            struct claim claim = { 0,
                                   sizes[j],
                                   sizes[i],
                                   sparse_mth(&sparse, 0, sizes[j]),
                                   sparse_mth(&sparse, 0, sizes[i]),
                                   { 0 } };
            assert_int_equal(make(CONSISTENCY, &claim.proof, &source, &claim, &err), E_OK);
            assert_int_equal(verify(CONSISTENCY, &claim), E_OK);
            check_corrupted(CONSISTENCY, &claim);

            claim.start = sizes[j] - 1;
            claim.node = sparse.special_leaf;
            assert_int_equal(make(INCLUSION, &claim.proof, &source, &claim, &err), E_OK);
            assert_int_equal(verify(INCLUSION, &claim), E_OK);
            check_corrupted(INCLUSION, &claim);
            claim.start--;
            assert_rejected(INCLUSION, &claim, "the index before");
        }
    }
}

static void a_proof_over_63_hashes_is_not_made(void **state)
{
    (void)state;
    uint64_t size = ((uint64_t)1 << 62) + 1;
    struct sparse sparse = sparse_make(0);
    struct merkle_source source = sparse_source(&sparse);
    struct proof proof;
    struct err err;
    assert_int_equal(proof_make_consistency(&proof, &source, size - 2, size, &err), E_TOO_LARGE);
    assert_int_equal(proof_make_consistency(&proof, &source, size - 2, size - 1, &err), E_OK);
    assert_int_equal(proof.count, PROOF_HASHES_MAX);
    assert_int_equal(proof_make_inclusion(&proof, &source, 0, (uint64_t)1 << 63, &err), E_OK);
    assert_int_equal(proof.count, PROOF_HASHES_MAX);
}

static uint64_t random_u64(uint64_t *seed) /* splitmix64 */
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Numbers of every magnitude, often with all bits set at one end. */
static uint64_t random_size(uint64_t *seed)
{
    uint64_t value = random_u64(seed) >> random_u64(seed) % 64;
    switch (random_u64(seed) % 4) {
    case 0:
        return value;
    case 1:
        return ~value;
    case 2:
        return (uint64_t)1 << value % 64;
    default:
        return ((uint64_t)1 << value % 64) - 1;
    }
}

static void hostile_numbers_are_answered_with_a_rejection(void **state)
{
    (void)state;
    uint64_t seed = 6962;
    struct claim claim = claim_of(INCLUSION, 5, 6, 8);
    for (size_t i = 0; i < PROOF_HASHES_MAX; i++) {
        claim.proof.hashes[i] = tree->leaves[i];
    }
    for (int i = 0; i < 50000; i++) {
        claim.start = random_size(&seed);
        claim.end = random_u64(&seed) % 2 == 0 ? random_size(&seed) : claim.start + 1;
        claim.size = random_size(&seed);
        claim.proof.count = random_u64(&seed) % (PROOF_HASHES_MAX + 2);
        for (enum kind kind = INCLUSION; kind <= SUBTREE; kind++) {
            assert_rejected(kind, &claim, "a random claim");
        }
    }
}

/* -- subtrees -- */

static void subtrees_are_aligned_to_their_length_rounded_up(void **state)
{
    (void)state;
    for (size_t end = 0; end <= SIZE_MAX_TESTED; end++) {
        for (size_t start = 0; start <= SIZE_MAX_TESTED; start++) {
            bool expected = start < end && start % bit_ceil(end - start) == 0;
            assert_int_equal(subtree_is_valid(start, end), expected);
        }
    }
    uint64_t half = (uint64_t)1 << 63;
    assert_true(subtree_is_valid(0, UINT64_MAX));
    assert_true(subtree_is_valid(0, half + 1));
    assert_true(subtree_is_valid(half, UINT64_MAX));
    assert_true(subtree_is_valid(UINT64_MAX - 1, UINT64_MAX));
    assert_false(subtree_is_valid(1, UINT64_MAX));
    assert_false(subtree_is_valid(half - 1, half + 1));
    assert_false(subtree_is_valid(UINT64_MAX, UINT64_MAX));
    assert_false(subtree_is_valid(UINT64_MAX, 0));
}

static void assert_covers(uint64_t start, uint64_t end)
{
    uint64_t left = 0, mid = 0;
    subtree_cover(start, end, &left, &mid);
    assert_true(left <= start);
    assert_true(mid <= end);
    if (end - start <= 1) {
        assert_true(left == start);
        assert_true(mid == end);
        return;
    }
    assert_true(start < mid);
    assert_true(subtree_is_valid(left, mid));
    assert_true(subtree_is_valid(mid, end));
    /* Less than the interval's length too much, so the cover is at most twice as long. */
    assert_true(start - left < end - start);
}

static void two_subtrees_cover_every_interval(void **state)
{
    (void)state;
    for (uint64_t end = 0; end <= SIZE_MAX_TESTED; end++) {
        for (uint64_t start = 0; start <= end; start++) {
            assert_covers(start, end);
        }
    }
    uint64_t seed = 1;
    for (int i = 0; i < 50000; i++) {
        uint64_t a = random_size(&seed);
        uint64_t b = random_size(&seed);
        assert_covers(a < b ? a : b, a < b ? b : a);
    }
}

/* -- where a consistency proof leads -- */

static bool is_power_of_two(size_t value)
{
    return (value & (value - 1)) == 0;
}

/* The old root in the proof is found whatever old root is given, unless the proof has none. */
static void a_consistency_proof_leads_to_both_roots_for_every_pair(void **state)
{
    (void)state;
    struct hash other = { { 0x5a } }, old_found, new_found;
    struct err err;
    for (size_t n = 2; n <= CHANGED_SIZE_MAX; n++) {
        for (size_t m = 1; m < n; m++) {
            struct proof proof = { .count = 0 };
            struct hash old_root = reference_mth(tree, 0, m), new_root = reference_mth(tree, 0, n);
            reference_subproof(&proof, tree, m, 0, n, true);
            assert_int_equal(proof_consistency_roots(&old_found, &new_found, &proof, m, n,
                                                     &old_root, &err),
                             E_OK);
            assert_hash_equal(&old_found, &old_root);
            assert_hash_equal(&new_found, &new_root);
            assert_int_equal(proof_consistency_roots(&old_found, &new_found, &proof, m, n, &other,
                                                     &err),
                             E_OK);
            assert_hash_equal(&old_found, is_power_of_two(m) ? &other : &old_root);
            assert_int_equal(hash_is_equal(&new_found, &new_root), !is_power_of_two(m));
        }
    }
}

/* With any hash changed it leads elsewhere, and what it leads to is then what verifies. */
static void a_changed_consistency_proof_leads_to_roots_that_it_proves(void **state)
{
    (void)state;
    for (size_t n = 2; n <= CROSSED_SIZE_MAX; n++) {
        for (size_t m = 1; m < n; m++) {
            struct proof proof = { .count = 0 };
            struct hash old_root = reference_mth(tree, 0, m), new_root = reference_mth(tree, 0, n);
            reference_subproof(&proof, tree, m, 0, n, true);
            for (size_t i = 0; i < proof.count; i++) {
                struct hash old_found, new_found;
                struct err err;
                proof.hashes[i].bytes[i] ^= 1;
                assert_int_equal(proof_consistency_roots(&old_found, &new_found, &proof, m, n,
                                                         &old_root, &err),
                                 E_OK);
                assert_false(hash_is_equal(&new_found, &new_root));
                assert_int_equal(proof_verify_consistency(&proof, m, n, &old_found, &new_found,
                                                          &err),
                                 E_OK);
                proof.hashes[i].bytes[i] ^= 1;
            }
        }
    }
}

static void assert_no_roots(const struct proof *proof, uint64_t old_size, uint64_t new_size)
{
    struct hash root = { { 1 } }, old_found = { { 7 } }, new_found = { { 8 } };
    struct err err;
    assert_int_equal(proof_consistency_roots(&old_found, &new_found, proof, old_size, new_size,
                                             &root, &err),
                     E_BAD_PROOF);
    assert_int_equal(old_found.bytes[0], 7);
    assert_int_equal(new_found.bytes[0], 8);
}

static void a_consistency_proof_of_another_length_leads_nowhere(void **state)
{
    (void)state;
    for (size_t n = 0; n <= CROSSED_SIZE_MAX; n++) {
        for (size_t m = 0; m <= n + 1; m++) {
            struct proof proof = { .count = 0 };
            bool is_proof = m > 0 && m < n;
            if (is_proof) {
                reference_subproof(&proof, tree, m, 0, n, true);
            }
            for (size_t count = 0; count <= PROOF_HASHES_MAX; count++) {
                struct proof other = proof;
                other.count = count;
                if (!is_proof || count != proof.count) {
                    assert_no_roots(&other, m, n);
                }
            }
        }
    }
    static const uint64_t hostile[] = {
        0, 1, 2, 1ull << 62, 1ull << 63, UINT64_MAX - 1, UINT64_MAX
    };
    struct proof none = { .count = 0 }, impossible = { .count = PROOF_HASHES_MAX + 1 };
    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        for (size_t k = 0; k < sizeof hostile / sizeof hostile[0]; k++) {
            assert_no_roots(&none, hostile[i], hostile[k]);
            assert_no_roots(&impossible, hostile[i], hostile[k]);
        }
    }
}

/* -- vectors -- */

static struct sha256_stream *stream; /* of the lines that are accumulated */

static void add_line(const struct buf *words, const struct proof *proof)
{
    struct buf line = BUF_INIT(8192);
    buf_put(&line, buf_span(words));
    for (size_t i = 0; i < proof->count; i++) {
        buf_put_str(&line, " ");
        hex_put(&line, hash_span(&proof->hashes[i]));
    }
    buf_put_str(&line, "\n");
    sha256_stream_add(stream, buf_span(&line));
    buf_clear(&line);
}

static void assert_accumulated(struct hash expected)
{
    struct hash found = sha256_stream_finish(stream);
    sha256_stream_free(stream);
    assert_hash_equal(&found, &expected);
}

static void add_index_line(enum kind kind, const struct claim *claim)
{
    check_made(kind, claim);
    struct buf words = BUF_INIT(128);
    buf_putf(&words, "%d %d", (int)claim->start, (int)claim->size);
    add_line(&words, &claim->proof);
    buf_clear(&words);
}

static void inclusion_proofs_accumulate_to_the_vector(void **state)
{
    (void)state;
    stream = sha256_stream_new();
    for_each_claim(INCLUSION, SUBTREE_SIZE_MAX, add_index_line);
    assert_accumulated(
        vectors_hash_str("893ce6eea61adc33c22c0e3a952498b76dfa3c282e78ac659f6fcc0ea44f9983"));
}

static void add_old_size_line(enum kind kind, const struct claim *claim)
{
    check_made(kind, claim);
    if (claim->end == 0) {
        return; /* the vector starts at 1 */
    }
    struct buf words = BUF_INIT(128);
    buf_putf(&words, "%d %d", (int)claim->end, (int)claim->size);
    add_line(&words, &claim->proof);
    buf_clear(&words);
}

static void consistency_proofs_accumulate_to_the_vector(void **state)
{
    (void)state;
    stream = sha256_stream_new();
    for_each_claim(CONSISTENCY, SUBTREE_SIZE_MAX, add_old_size_line);
    assert_accumulated(
        vectors_hash_str("2498232e1aebe8d1aa8d339d897fc471f4495fe0b8a55ac08f7dae3d88bc4c2a"));
}

/* "[s, e) <MTH hex>", the empty ones too. */
static void add_subtree_hashes(void)
{
    for (size_t end = 0; end <= SUBTREE_SIZE_MAX; end++) {
        for (size_t start = 0; start <= end; start++) {
            if (start != end && !subtree_is_valid(start, end)) {
                continue;
            }
            struct reference_source nodes = { tree, end, 0, SIZE_MAX };
            struct merkle_source source = reference_source(&nodes);
            struct proof hash = { .count = 1 };
            struct err err;
            hash.hashes[0] = merkle_empty_root();
            if (start != end) {
                assert_int_equal(merkle_range_hash(&hash.hashes[0], &source, start, end, &err),
                                 E_OK);
            }
            struct buf words = BUF_INIT(128);
            buf_putf(&words, "[%zu, %zu)", start, end);
            add_line(&words, &hash);
            buf_clear(&words);
        }
    }
}

/* "i [s, e)" and the inclusion proof of entry i in the subtree. */
static void add_subtree_inclusions(void)
{
    for (size_t end = 0; end <= SUBTREE_SIZE_MAX; end++) {
        for (size_t start = 0; start < end; start++) {
            for (size_t i = start; subtree_is_valid(start, end) && i < end; i++) {
                struct claim claim = { .start = i - start,
                                       .end = i - start + 1,
                                       .size = end - start };
                claim.node = tree->leaves[i];
                claim.root = reference_mth(tree, start, end);
                reference_path(&claim.proof, tree, i, start, end);
                assert_int_equal(verify(INCLUSION, &claim), E_OK);
                struct buf words = BUF_INIT(128);
                buf_putf(&words, "%zu [%zu, %zu)", i, start, end);
                add_line(&words, &claim.proof);
                buf_clear(&words);
            }
        }
    }
}

/* "[s, e) n" and the subtree consistency proof; n outer, the empty subtrees too. */
static void add_subtree_proofs(void)
{
    for (size_t size = 0; size <= SUBTREE_SIZE_MAX; size++) {
        for (size_t end = 0; end <= size; end++) {
            for (size_t start = 0; start <= end; start++) {
                struct claim claim = { .size = size };
                if (start != end && !subtree_is_valid(start, end)) {
                    continue;
                }
                if (start != end) {
                    claim = claim_of(SUBTREE, start, end, size);
                    check_made(SUBTREE, &claim);
                }
                struct buf words = BUF_INIT(128);
                buf_putf(&words, "[%zu, %zu) %zu", start, end, size);
                add_line(&words, &claim.proof);
                buf_clear(&words);
            }
        }
    }
}

/* "[s1, e1) [s2, e2)". */
static void add_covers(void)
{
    for (size_t end = 0; end <= SUBTREE_SIZE_MAX; end++) {
        for (size_t start = 0; start <= end; start++) {
            uint64_t left = 0, mid = 0;
            subtree_cover(start, end, &left, &mid);
            struct buf words = BUF_INIT(128);
            buf_putf(&words, "[%d, %d) [%d, %zu)", (int)left, (int)mid, (int)mid, end);
            add_line(&words, &(struct proof){ .count = 0 });
            buf_clear(&words);
        }
    }
}

static void subtrees_accumulate_to_the_shared_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        void (*add)(void);
    } rows[] = {
        { " \"[s, e) <MTH hex>\"", add_subtree_hashes },
        { " \"i [s, e)\" + proof", add_subtree_inclusions },
        { " \"[s, e) n\" + proof", add_subtree_proofs },
        { " \"[s1, e1) [s2, e2)\"", add_covers },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hash expected = vectors_last_hash(shared_lines(rows[i].prefix, 1));
        stream = sha256_stream_new();
        rows[i].add();
        assert_accumulated(expected);
    }
}

/* "size: index: nodes | index: nodes"; a node is level.index, or R47 for the hash of [4, 7). */
static const char *const inclusion_table[] = {
    "1: 0: -",
    "2: 0: 0.1 | 1: 0.0",
    "3: 0: 0.1 0.2 | 1: 0.0 0.2 | 2: 1.0",
    "4: 0: 0.1 1.1 | 1: 0.0 1.1 | 2: 0.3 1.0 | 3: 0.2 1.0",
    "5: 0: 0.1 1.1 0.4 | 1: 0.0 1.1 0.4 | 2: 0.3 1.0 0.4 | 3: 0.2 1.0 0.4 | 4: 2.0",
    "6: 0: 0.1 1.1 1.2 | 1: 0.0 1.1 1.2 | 2: 0.3 1.0 1.2 | 3: 0.2 1.0 1.2 | 4: 0.5 2.0 | 5: 0.4 "
    "2.0",
    "7: 0: 0.1 1.1 R47 | 1: 0.0 1.1 R47 | 2: 0.3 1.0 R47 | 3: 0.2 1.0 R47 | 4: 0.5 0.6 2.0 | "
    "5: 0.4 0.6 2.0 | 6: 1.2 2.0",
    "8: 0: 0.1 1.1 2.1 | 1: 0.0 1.1 2.1 | 2: 0.3 1.0 2.1 | 3: 0.2 1.0 2.1 | 4: 0.5 1.3 2.0 | "
    "5: 0.4 1.3 2.0 | 6: 0.7 1.2 2.0 | 7: 0.6 1.2 2.0",
};

static const char *const consistency_table[] = {
    "2: 1: 0.1",
    "3: 1: 0.1 0.2 | 2: 0.2",
    "4: 1: 0.1 1.1 | 2: 1.1 | 3: 0.2 0.3 1.0",
    "5: 1: 0.1 1.1 0.4 | 2: 1.1 0.4 | 3: 0.2 0.3 1.0 0.4 | 4: 0.4",
    "6: 1: 0.1 1.1 1.2 | 2: 1.1 1.2 | 3: 0.2 0.3 1.0 1.2 | 4: 1.2 | 5: 0.4 0.5 2.0",
    "7: 1: 0.1 1.1 R47 | 2: 1.1 R47 | 3: 0.2 0.3 1.0 R47 | 4: R47 | 5: 0.4 0.5 0.6 2.0 | "
    "6: 1.2 0.6 2.0",
    "8: 1: 0.1 1.1 2.1 | 2: 1.1 2.1 | 3: 0.2 0.3 1.0 2.1 | 4: 2.1 | 5: 0.4 0.5 1.3 2.0 | "
    "6: 1.2 1.3 2.0 | 7: 0.6 0.7 1.2 2.0",
};

static uint64_t take_digit(struct span *in)
{
    uint8_t c = 0;
    assert_true(span_take_u8(in, &c));
    assert_in_range(c, '0', '9');
    return (uint64_t)(c - '0');
}

static struct hash named_node(struct span name)
{
    if (span_is_str(name, "R47")) {
        return reference_mth(tree, 4, 7);
    }
    uint64_t level = take_digit(&name);
    assert_true(span_take_prefix(&name, span_of_str(".")));
    uint64_t index = take_digit(&name);
    return reference_mth(tree, index << level, (index + 1) << level);
}

/* Takes "position: node node |", made into a claim of a tree of `size`. */
static struct claim take_claim(enum kind kind, struct span *words, uint64_t size)
{
    struct span word;
    assert_true(vectors_take_word(words, &word));
    uint64_t position = take_digit(&word);
    struct claim claim = kind == INCLUSION ? claim_of(kind, position, position + 1, size)
                                           : claim_of(kind, 0, position, size);
    claim.proof.count = 0;
    while (vectors_take_word(words, &word) && !span_is_str(word, "|")) {
        if (!span_is_str(word, "-")) {
            reference_push(&claim.proof, named_node(word));
        }
    }
    return claim;
}

static void check_table(enum kind kind, const char *const *rows, size_t row_count)
{
    for (size_t i = 0; i < row_count; i++) {
        struct span words = span_of_str(rows[i]);
        uint64_t size = take_digit(&words);
        assert_true(span_take_prefix(&words, span_of_str(": ")));
        size_t count = 0;
        for (; words.len > 0; count++) {
            struct claim claim = take_claim(kind, &words, size);
            check_made(kind, &claim);
        }
        assert_int_equal(count, kind == INCLUSION ? size : size - 1);
    }
}

static void proofs_in_the_classic_trees_are_those_of_the_tables(void **state)
{
    (void)state;
    check_table(INCLUSION, inclusion_table, sizeof inclusion_table / sizeof inclusion_table[0]);
    check_table(CONSISTENCY, consistency_table,
                sizeof consistency_table / sizeof consistency_table[0]);
}

/* The 300 entries "record 0" .. "record 299". */
static struct reference_tree *records(void)
{
    struct reference_tree *log = reference_new();
    for (int i = 0; i < 300; i++) {
        char entry[16];
        snprintf(entry, sizeof entry, "record %d", i);
        reference_add(log, span_of_str(entry));
    }
    return log;
}

/* Hashes in base64, separated by blanks. */
static struct proof proof_of_words(const char *text)
{
    struct proof proof = { 0 };
    struct span words = span_of_str(text), word;
    while (vectors_take_word(&words, &word)) {
        reference_push(&proof, vectors_hash(word));
    }
    return proof;
}

static void check_record_proof(struct reference_tree *log, enum kind kind, size_t start, size_t end,
                               const char *node, const char *words)
{
    struct claim claim = { start,
                           end,
                           300,
                           reference_mth(log, start, end),
                           reference_mth(log, 0, 300),
                           proof_of_words(words) };
    if (node != NULL) {
        struct hash expected = vectors_hash_str(node);
        assert_hash_equal(&claim.node, &expected);
    }
    struct reference_source nodes = { log, 300, 0, SIZE_MAX };
    struct merkle_source source = reference_source(&nodes);
    struct proof made;
    struct err err;
    assert_int_equal(make(kind, &made, &source, &claim, &err), E_OK);
    assert_true(proof_is_equal(&made, &claim.proof));
    assert_int_equal(verify(kind, &claim), E_OK);
}

static void proofs_in_a_log_of_300_records_are_those_of_the_vectors(void **state)
{
    (void)state;
    struct reference_tree *log = records();
    check_record_proof(log, CONSISTENCY, 0, 256, NULL,
                       "uwaa/GEGqF4PM03Df+GfKIyZ5+fHBsK9y3f1tqCMyf8=");
    check_record_proof(log, INCLUSION, 299, 300, NULL,
                       "oJeCE4EcZnD3TghM2hxVfAALwF5llUkBn6elkggA9lg= "
                       "G4eeV6kFVP/E3WDpTS13Y8MluAOSE4lmh/6gzH+LKXY= "
                       "BwAl1lkfH1Fu+RLO5xSCcQc32AVTRaXrDkBtCAGGR9g= "
                       "M96OAKgNKtJ00jDbUN3xCuKP3nVQYySodLLmyR3zgK0= "
                       "3JNJ+Xh+0Ahtptl/Z5xRpRmPmORW6Vsdh/o6vAEv7DE=");
    check_record_proof(log, SUBTREE, 256, 300, "uwaa/GEGqF4PM03Df+GfKIyZ5+fHBsK9y3f1tqCMyf8=",
                       "3JNJ+Xh+0Ahtptl/Z5xRpRmPmORW6Vsdh/o6vAEv7DE=");
    check_record_proof(log, SUBTREE, 256, 288, "M96OAKgNKtJ00jDbUN3xCuKP3nVQYySodLLmyR3zgK0=",
                       "+JzqYfQRUx3OS3GjUmYpnpjP+yrz0BVBFheziie6VwA= "
                       "3JNJ+Xh+0Ahtptl/Z5xRpRmPmORW6Vsdh/o6vAEv7DE=");
    check_record_proof(log, SUBTREE, 128, 256, "yLG1nn/eywY2+aI+2+hYZWFLKkmVE30DZVCTumCqmbY=",
                       "9I+lZmI1yMeipQOWXb8FX3OuOYLPF+dEiFexdE/2rJY= "
                       "uwaa/GEGqF4PM03Df+GfKIyZ5+fHBsK9y3f1tqCMyf8=");
    check_record_proof(log, SUBTREE, 288, 300, "+JzqYfQRUx3OS3GjUmYpnpjP+yrz0BVBFheziie6VwA=",
                       "M96OAKgNKtJ00jDbUN3xCuKP3nVQYySodLLmyR3zgK0= "
                       "3JNJ+Xh+0Ahtptl/Z5xRpRmPmORW6Vsdh/o6vAEv7DE=");
    mem_free(log);
}

static void assert_root(struct reference_tree *log, size_t size, struct hash expected)
{
    struct hash found = reference_mth(log, 0, size);
    assert_hash_equal(&found, &expected);
}

static void the_log_of_records_has_the_shared_roots(void **state)
{
    (void)state;
    struct span roots = shared_lines("root(256)", 1);
    struct reference_tree *log = records();
    assert_root(log, 256, vectors_hash_of(roots, "root(256)"));
    assert_root(log, 300, vectors_hash_of(roots, "root(300)"));
    mem_free(log);
}

static void the_shared_log_has_its_roots_and_its_proof(void **state)
{
    (void)state;
    struct span words = shared_lines("entries: one", 1), word;
    struct span roots = shared_lines("size root", 7);
    struct reference_tree *log = reference_new();
    vectors_take_word(&words, &word);
    while (vectors_take_word(&words, &word) && word.data[0] != '(') {
        reference_add(log, word);
    }
    assert_int_equal(log->count, 15);
    static const char *const sizes[] = { "0", "1", "2", "3", "8", "15" };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_root(log, strtoul(sizes[i], NULL, 10), vectors_hash_of(roots, sizes[i]));
    }
    struct claim claim = { 0, 3, 8, reference_mth(log, 0, 3), reference_mth(log, 0, 8), { 0 } };
    reference_subproof(&claim.proof, log, 3, 0, 8, true);
    struct proof proof = proof_of_words("Zx8UbF5HHooag6PCFM5LqQe486WIjRTMjNPOdbsS75Q= "
                                        "9xWrP6pdBx5uKsS7mU1b9zWUPcw3mdoNCF55gM+5M2o= "
                                        "T1X2GdkhUjV3iyufF9b0kVsWFxIU0VI4EpNml2Teci4= "
                                        "g0ZoeYWtIV8Q8i+4CmgqPnBvH2il107lyCgTQsyB7H4=");
    assert_true(proof_is_equal(&proof, &claim.proof));
    assert_int_equal(verify(CONSISTENCY, &claim), E_OK);
    mem_free(log);
}

/* -- lines -- */

static void proof_lines_round_trip_at_every_length(void **state)
{
    (void)state;
    for (size_t count = 0; count <= PROOF_HASHES_MAX; count++) {
        struct proof proof = { .count = count };
        memcpy(proof.hashes, tree->leaves, count * sizeof proof.hashes[0]);
        struct buf lines = BUF_INIT(8192);
        proof_put_lines(&lines, &proof);
        assert_int_equal(lines.len, count * (HASH_BASE64_CHARS + 1));
        buf_put_str(&lines, "\nwhat follows\n");
        struct span rest = buf_span(&lines);
        struct proof taken;
        struct err err;
        assert_int_equal(proof_take_lines(&taken, &rest, &err), E_OK);
        assert_true(proof_is_equal(&taken, &proof));
        assert_true(span_is_str(rest, "what follows\n"));
        buf_clear(&lines);
    }
}

static void assert_lines_rejected(struct span text)
{
    struct proof proof = { .count = 5 };
    struct span rest = text;
    struct err err;
    assert_int_equal(proof_take_lines(&proof, &rest, &err), E_MALFORMED);
    assert_int_equal(proof.count, 5);
    assert_ptr_equal(rest.data, text.data);
    assert_int_equal(rest.len, text.len);
}

#define LINE_43 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

static void malformed_proof_lines_are_rejected_and_change_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        LINE_43 "=",
        LINE_43 "=\n",                                      /* no empty line */
        LINE_43 "=\r\n\n",                                  /* CR */
        LINE_43 "=\n\r\n",                                  /* CR */
        " " LINE_43 "=\n\n",                                /* blanks */
        LINE_43 "= \n\n",                                   /* blanks */
        " \n\n",                                            /* blanks */
        LINE_43 "\n\n",                                     /* no padding */
        LINE_43 "==\n\n",                                   /* too much padding */
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n\n", /* stray bits */
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==\n\n", /* 31 bytes */
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g\n\n", /* 33 bytes */
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH-8=\n\n", /* the other alphabet */
        LINE_43 "=" LINE_43 "=\n\n",
        LINE_43 "=\nnot a hash\n\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_lines_rejected(span_of_str(bad[i]));
    }
    struct proof proof;
    struct err err;
    struct span good = span_of_str(LINE_43 "=\n\n");
    assert_int_equal(proof_take_lines(&proof, &good, &err), E_OK);
}

static void more_than_63_proof_lines_are_rejected(void **state)
{
    (void)state;
    struct buf lines = BUF_INIT(8192);
    for (int i = 0; i < PROOF_HASHES_MAX + 1; i++) {
        buf_put_str(&lines, LINE_43 "=\n");
    }
    buf_put_str(&lines, "\n");
    assert_lines_rejected(buf_span(&lines));
    buf_clear(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inclusion_proofs_are_those_of_the_rfc_for_every_index),
        cmocka_unit_test(consistency_proofs_are_those_of_the_rfc_for_every_old_size),
        cmocka_unit_test(subtree_proofs_are_those_of_the_draft_for_every_subtree),
        cmocka_unit_test(inclusion_and_consistency_are_subtree_proofs),
        cmocka_unit_test(a_proof_with_any_hash_corrupted_is_rejected),
        cmocka_unit_test(a_proof_with_any_bit_flipped_is_rejected),
        cmocka_unit_test(every_truncation_of_a_proof_is_rejected),
        cmocka_unit_test(every_extension_of_a_proof_is_rejected),
        cmocka_unit_test(more_hashes_than_a_proof_can_hold_are_rejected),
        cmocka_unit_test(another_leaf_or_root_is_rejected),
        cmocka_unit_test(an_inclusion_proof_is_for_one_index_only),
        cmocka_unit_test(a_proof_does_not_lead_to_the_root_of_another_size),
        cmocka_unit_test(a_consistency_proof_is_for_one_old_size_only),
        cmocka_unit_test(nothing_is_included_in_the_empty_tree),
        cmocka_unit_test(size_0_is_consistent_with_every_tree_by_an_empty_proof),
        cmocka_unit_test(nothing_past_the_end_of_the_tree_is_proved),
        cmocka_unit_test(what_does_not_exist_is_not_found),
        cmocka_unit_test(an_error_of_the_source_is_passed_on_and_changes_nothing),
        cmocka_unit_test(proofs_in_trees_up_to_2_to_the_62_verify),
        cmocka_unit_test(a_proof_over_63_hashes_is_not_made),
        cmocka_unit_test(hostile_numbers_are_answered_with_a_rejection),
        cmocka_unit_test(subtrees_are_aligned_to_their_length_rounded_up),
        cmocka_unit_test(two_subtrees_cover_every_interval),
        cmocka_unit_test(a_consistency_proof_leads_to_both_roots_for_every_pair),
        cmocka_unit_test(a_changed_consistency_proof_leads_to_roots_that_it_proves),
        cmocka_unit_test(a_consistency_proof_of_another_length_leads_nowhere),
        cmocka_unit_test(inclusion_proofs_accumulate_to_the_vector),
        cmocka_unit_test(consistency_proofs_accumulate_to_the_vector),
        cmocka_unit_test(subtrees_accumulate_to_the_shared_vectors),
        cmocka_unit_test(proofs_in_the_classic_trees_are_those_of_the_tables),
        cmocka_unit_test(proofs_in_a_log_of_300_records_are_those_of_the_vectors),
        cmocka_unit_test(the_log_of_records_has_the_shared_roots),
        cmocka_unit_test(the_shared_log_has_its_roots_and_its_proof),
        cmocka_unit_test(proof_lines_round_trip_at_every_length),
        cmocka_unit_test(malformed_proof_lines_are_rejected_and_change_nothing),
        cmocka_unit_test(more_than_63_proof_lines_are_rejected),
    };
    return cmocka_run_group_tests(tests, make_tree, free_tree);
}
