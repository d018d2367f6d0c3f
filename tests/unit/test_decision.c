/* Whether a checkpoint may be cosigned: all small trees against a second opinion written straight from
 * the table of rows, the conversation that witnesses are tested with, and the clock. */
#include "tests/support/reference.h"
#include "witness/decision.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum {
    SIZES = 41, /* 0..40 */
    NOW = 1700000000
};

enum proof_kind {
    PROOF_RIGHT, /* from old to new in the tree of the new root */
    PROOF_WRONG, /* one bit flipped */
    PROOF_SHORT,
    PROOF_LONG,
    PROOF_KINDS
};

/* The tree that the witness saw, and another that differs from it in its first leaf. */
static struct hash roots[2][SIZES];
static struct proof proofs[2][SIZES][SIZES];

static int make_trees(void **state)
{
    (void)state;
    for (int t = 0; t < 2; t++) {
        struct reference_tree *tree = reference_of_bytes(SIZES);
        if (t == 1) {
            tree->leaves[0].bytes[0] ^= 1;
        }
        for (size_t size = 0; size < SIZES; size++) {
            roots[t][size] = reference_mth(tree, 0, size);
            for (size_t old = 1; old < size; old++) {
                reference_subproof(&proofs[t][old][size], tree, old, 0, size, true);
            }
        }
        mem_free(tree);
    }
    return 0;
}

static struct proof proof_of(enum proof_kind kind, int tree, size_t old, size_t size)
{
    struct proof proof = { .count = 0 };
    if (old < size) {
        proof = proofs[tree][old][size];
    }
    if (kind == PROOF_WRONG && proof.count > 0) {
        proof.hashes[size % proof.count].bytes[5] ^= 4;
    }
    if (kind == PROOF_SHORT && proof.count > 0) {
        proof.count--;
    }
    if (kind == PROOF_LONG) {
        memset(proof.hashes[proof.count++].bytes, 0x77, HASH_BYTES);
    }
    return proof;
}

/* The rows in order. `is_same` says that the new root is of the tree held. */
static enum refusal expected(size_t old, size_t held, size_t size, bool is_same,
                             enum proof_kind kind, size_t proof_count)
{
    if (old > size) {
        return REFUSED_OLD_ABOVE_SIZE;
    }
    if (old != held) {
        return REFUSED_STALE;
    }
    if (old == 0 && proof_count > 0) {
        return REFUSED_UNEXPECTED_PROOF;
    }
    if (old == size && size > 0 && !is_same) {
        return REFUSED_ROOT_MISMATCH;
    }
    if (old == size && proof_count > 0) {
        return REFUSED_UNEXPECTED_PROOF;
    }
    if (0 < old && old < size && (kind != PROOF_RIGHT || !is_same)) {
        return REFUSED_BAD_PROOF;
    }
    return REFUSED_NONE;
}

static bool is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static void check_one(size_t old, size_t held_size, size_t size, int tree, enum proof_kind kind)
{
    struct origin_state held = { held_size, roots[0][held_size], NOW - 5 };
    struct checkpoint checkpoint = { .size = size, .root = roots[tree][size] };
    struct proof proof = proof_of(kind, tree, old, size);
    bool is_same = hash_is_equal(&roots[0][size], &roots[tree][size]);
    struct decision got = decide(&held, old, &checkpoint, &proof, NOW);

    assert_int_equal(got.refusal, expected(old, held_size, size, is_same, kind, proof.count));
    assert_int_equal(got.timestamp, got.refusal == REFUSED_NONE ? NOW : 0);
    assert_int_equal(got.has_same_size_fork, size == held_size && size > 0 && !is_same);
    bool shows_other =
        got.refusal == REFUSED_BAD_PROOF && kind == PROOF_RIGHT && !is_power_of_two(held_size);
    assert_int_equal(got.has_other_root, shows_other);
    if (shows_other) {
        assert_true(hash_is_equal(&got.other_root, &roots[1][held_size]));
    }
}

static void decide_agrees_with_the_rows_for_all_small_trees(void **state)
{
    (void)state;
    for (size_t old = 0; old < SIZES; old++) {
        for (size_t held = 0; held < SIZES; held++) {
            for (size_t size = 0; size < SIZES; size++) {
                for (int kind = 0; kind < PROOF_KINDS; kind++) {
                    /* A wrong or short proof where none belongs is the right one. */
                    bool is_moot =
                        kind != PROOF_RIGHT && kind != PROOF_LONG && (old == 0 || old >= size);
                    if (!is_moot) {
                        check_one(old, held, size, 0, (enum proof_kind)kind);
                        check_one(old, held, size, 1, (enum proof_kind)kind);
                    }
                }
            }
        }
    }
}

/* Each bit of each hash counts: no other proof passes for the right one, and none shows a root that the
 * log did not stand by. */
static void decide_refuses_each_flipped_bit_and_shows_nothing_by_it(void **state)
{
    (void)state;
    for (size_t old = 1; old < 20; old++) {
        for (size_t size = old + 1; size < 20; size++) {
            struct origin_state held = { old, roots[0][old], 0 };
            struct checkpoint checkpoint = { .size = size, .root = roots[0][size] };
            for (size_t bit = 0; bit < proofs[0][old][size].count * HASH_BYTES * 8; bit++) {
                struct proof proof = proofs[0][old][size];
                proof.hashes[bit / 256].bytes[bit / 8 % HASH_BYTES] ^= (uint8_t)(1 << bit % 8);
                struct decision got = decide(&held, old, &checkpoint, &proof, NOW);
                assert_int_equal(got.refusal, REFUSED_BAD_PROOF);
                assert_false(got.has_other_root);
                assert_false(got.has_same_size_fork);
            }
        }
    }
}

static void decide_reports_a_fork_of_the_size_held_whatever_the_answer(void **state)
{
    (void)state;
    struct origin_state held = { 5, roots[0][5], 0 };
    struct checkpoint fork = { .size = 5, .root = roots[1][5] };
    struct proof none = { .count = 0 };
    static const enum refusal answers[] = { REFUSED_STALE,         REFUSED_STALE,
                                            REFUSED_STALE,         REFUSED_STALE,
                                            REFUSED_STALE,         REFUSED_ROOT_MISMATCH,
                                            REFUSED_OLD_ABOVE_SIZE };
    for (size_t old = 0; old < sizeof answers / sizeof answers[0]; old++) {
        struct decision got = decide(&held, old, &fork, &none, NOW);
        assert_int_equal(got.refusal, answers[old]);
        assert_true(got.has_same_size_fork);
    }
}

static void decide_knows_the_empty_tree_by_its_root_only(void **state)
{
    (void)state;
    struct origin_state held = origin_state_new();
    struct checkpoint checkpoint = { .size = 0, .root = roots[0][1] };
    struct proof proof = { .count = 0 };
    struct decision got = decide(&held, 0, &checkpoint, &proof, NOW);
    assert_int_equal(got.refusal, REFUSED_BAD_EMPTY_ROOT);
    assert_false(got.has_same_size_fork);
    proof.count = 1;
    assert_int_equal(decide(&held, 0, &checkpoint, &proof, NOW).refusal, REFUSED_BAD_EMPTY_ROOT);
    checkpoint.root = merkle_empty_root();
    assert_int_equal(decide(&held, 0, &checkpoint, &proof, NOW).refusal, REFUSED_UNEXPECTED_PROOF);
    proof.count = 0;
    assert_int_equal(decide(&held, 0, &checkpoint, &proof, NOW).refusal, REFUSED_NONE);
}

/* -- the clock -- */

static struct decision at_time(uint64_t last, uint64_t now)
{
    struct origin_state held = { 3, roots[0][3], last };
    struct checkpoint checkpoint = { .size = 5, .root = roots[0][5] };
    return decide(&held, 3, &checkpoint, &proofs[0][3][5], now);
}

static void decide_signs_the_later_of_now_and_the_last_time(void **state)
{
    (void)state;
    assert_int_equal(at_time(0, NOW).timestamp, NOW);
    assert_int_equal(at_time(NOW - 1, NOW).timestamp, NOW);
    assert_int_equal(at_time(NOW, NOW).timestamp, NOW);
    assert_int_equal(at_time(NOW + 1, NOW).timestamp, NOW + 1);
    assert_int_equal(at_time(NOW + 60, NOW).refusal, REFUSED_NONE);
    assert_int_equal(at_time(NOW + 60, NOW).timestamp, NOW + 60);
}

static void decide_refuses_when_our_clock_is_far_behind_or_absurd(void **state)
{
    (void)state;
    assert_int_equal(at_time(NOW + 61, NOW).refusal, REFUSED_CLOCK);
    assert_int_equal(at_time(NOW + 61, NOW).timestamp, 0);
    assert_int_equal(at_time(UINT64_MAX, NOW).refusal, REFUSED_CLOCK);
    assert_int_equal(at_time(0, 0).refusal, REFUSED_CLOCK);
    assert_int_equal(at_time(30, 0).refusal, REFUSED_CLOCK);
    assert_int_equal(at_time(0, (uint64_t)INT64_MAX).refusal, REFUSED_NONE);
    assert_int_equal(at_time(0, (uint64_t)INT64_MAX + 1).refusal, REFUSED_CLOCK);
    assert_int_equal(at_time(NOW, UINT64_MAX).refusal, REFUSED_CLOCK);
}

/* A wrong request is told so, whatever our clock says. */
static void decide_looks_at_the_clock_last(void **state)
{
    (void)state;
    struct origin_state held = { 3, roots[0][3], NOW + 1000 };
    struct checkpoint checkpoint = { .size = 5, .root = roots[1][5] };
    assert_int_equal(decide(&held, 3, &checkpoint, &proofs[0][3][5], NOW).refusal,
                     REFUSED_BAD_PROOF);
    assert_int_equal(decide(&held, 2, &checkpoint, &proofs[0][3][5], NOW).refusal, REFUSED_STALE);
}

/* -- the conversation -- */

/* Leaf hashes are given as they are: 2a, i, and zeros. */
static struct reference_tree *conversation_tree(void)
{
    struct reference_tree *tree = reference_new();
    for (uint8_t i = 0; i < 8; i++) {
        struct hash leaf = { { 0x2a, i } };
        tree->leaves[tree->count++] = leaf;
    }
    return tree;
}

struct step {
    uint64_t old_size;
    uint64_t size;
    size_t proof_from, proof_to; /* the proof sent; equal: none */
    bool has_flip;               /* in its second hash */
    bool has_other_root;         /* instead of the tree's */
    enum refusal answer;
};

static void talk(const struct step *steps, size_t count)
{
    struct reference_tree *tree = conversation_tree();
    struct origin_state held = origin_state_new();
    for (size_t i = 0; i < count; i++) {
        const struct step *step = &steps[i];
        struct checkpoint checkpoint = { .size = step->size };
        struct proof proof = { .count = 0 };
        checkpoint.root = reference_mth(tree, 0, step->size);
        if (step->has_other_root) {
            checkpoint.root = (struct hash){ { 0x2b } };
        }
        if (step->proof_from < step->proof_to) {
            reference_subproof(&proof, tree, step->proof_from, 0, step->proof_to, true);
        }
        if (step->has_flip) {
            proof.hashes[1].bytes[0] ^= 1;
        }
        struct decision got = decide(&held, step->old_size, &checkpoint, &proof, NOW + i);
        if (got.refusal != step->answer) {
            print_error("step %zu of the list: %s\n", i, refusal_label(got.refusal));
        }
        assert_int_equal(got.refusal, step->answer);
        if (got.refusal == REFUSED_NONE) {
            held = (struct origin_state){ checkpoint.size, checkpoint.root, got.timestamp };
        }
    }
    mem_free(tree);
}

static void decide_holds_the_conversation(void **state)
{
    (void)state;
    static const struct step steps[] = {
        { 0, 1, 0, 0, false, false, REFUSED_NONE },             /* 1 */
        { 1, 3, 0, 0, false, false, REFUSED_BAD_PROOF },        /* 4 */
        { 1, 3, 1, 3, true, false, REFUSED_BAD_PROOF },         /* 5 */
        { 1, 3, 1, 3, false, false, REFUSED_NONE },             /* 6 */
        { 1, 5, 1, 5, false, false, REFUSED_STALE },            /* 7 */
        { 3, 5, 3, 5, false, false, REFUSED_NONE },             /* 8 */
        { 0, 5, 0, 0, false, false, REFUSED_STALE },            /* 9 */
        { 5, 5, 0, 0, false, false, REFUSED_NONE },             /* 10 */
        { 5, 5, 0, 0, false, true, REFUSED_ROOT_MISMATCH },     /* 11 */
        { 5, 5, 2, 3, false, false, REFUSED_UNEXPECTED_PROOF }, /* 12 */
        { 5, 3, 0, 0, false, false, REFUSED_OLD_ABOVE_SIZE },   /* 13 */
        { 5, 8, 5, 8, false, false, REFUSED_NONE },             /* 16 */
    };
    static const struct step fresh[] = {
        /* 17 */
        { 0, 0, 0, 0, false, true, REFUSED_BAD_EMPTY_ROOT },
        { 0, 0, 0, 0, false, false, REFUSED_NONE },
        { 0, 5, 2, 3, false, false, REFUSED_UNEXPECTED_PROOF },
        { 0, 5, 0, 0, false, false, REFUSED_NONE },
    };
    talk(steps, sizeof steps / sizeof steps[0]);
    talk(fresh, sizeof fresh / sizeof fresh[0]);
}

static void refusals_have_a_label_and_a_code_each(void **state)
{
    (void)state;
    for (int i = 0; i < REFUSAL_COUNT; i++) {
        assert_non_null(refusal_label((enum refusal)i));
        assert_int_equal(refusal_code((enum refusal)i) == E_OK, i == REFUSED_NONE);
    }
    assert_int_equal(err_http_status(refusal_code(REFUSED_STALE)), 409);
    assert_int_equal(err_http_status(refusal_code(REFUSED_ROOT_MISMATCH)), 422);
    assert_int_equal(err_http_status(refusal_code(REFUSED_OLD_ABOVE_SIZE)), 400);
    assert_int_equal(err_http_status(refusal_code(REFUSED_UNKNOWN_LOG)), 404);
    assert_int_equal(err_http_status(refusal_code(REFUSED_BAD_SIGNATURE)), 403);
    assert_int_equal(err_http_status(refusal_code(REFUSED_CLOCK)), 500);
    assert_int_equal(err_http_status(refusal_code(REFUSED_QUOTA)), 429);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decide_agrees_with_the_rows_for_all_small_trees),
        cmocka_unit_test(decide_refuses_each_flipped_bit_and_shows_nothing_by_it),
        cmocka_unit_test(decide_reports_a_fork_of_the_size_held_whatever_the_answer),
        cmocka_unit_test(decide_knows_the_empty_tree_by_its_root_only),
        cmocka_unit_test(decide_signs_the_later_of_now_and_the_last_time),
        cmocka_unit_test(decide_refuses_when_our_clock_is_far_behind_or_absurd),
        cmocka_unit_test(decide_looks_at_the_clock_last),
        cmocka_unit_test(decide_holds_the_conversation),
        cmocka_unit_test(refusals_have_a_label_and_a_code_each),
    };
    return cmocka_run_group_tests(tests, make_trees, NULL);
}
