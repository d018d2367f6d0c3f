#include "base/alloc.h"
#include "tests/support/keys.h"
#include "tlog/merkle.h"
#include "witness/state_adopt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    SIZE_MAX_TRIED = 20,
    NOTE_MAX = 8 * 1024,
    WITNESSES = 3,
    TIME = 5000
};

#define ORIGIN "log.example"

static struct signer log_key, own_key, other_log, witnesses[WITNESSES];
static struct log_list logs;
static struct policy *policy;
static struct err err;

/* The trees: leaf i is the same in all, but from `fork` on in branch 1. */
static struct hash leaf_of(uint64_t i, uint64_t fork, int branch)
{
    uint64_t numbers[2] = { i, i >= fork ? (uint64_t)branch : 0 };
    return sha256(SPAN_OF_ARRAY(numbers));
}

struct tree {
    uint64_t fork;
    int branch;
};

static enum err_code get_node(void *ctx, struct merkle_node node, struct hash *out, struct err *why)
{
    const struct tree *tree = ctx;
    if (node.level == 0) {
        *out = leaf_of(node.index, tree->fork, tree->branch);
        return E_OK;
    }
    struct hash left, right;
    struct merkle_node child = { (uint8_t)(node.level - 1), 2 * node.index };
    (void)get_node(ctx, child, &left, why);
    child.index++;
    (void)get_node(ctx, child, &right, why);
    *out = merkle_node_hash(&left, &right);
    return E_OK;
}

static struct hash root_of(struct tree tree, uint64_t size)
{
    struct merkle_source source = { get_node, &tree };
    struct hash root = merkle_empty_root();
    if (size != 0) {
        assert_int_equal(merkle_range_hash(&root, &source, 0, size, &err), E_OK);
    }
    return root;
}

static struct proof proof_of(struct tree tree, uint64_t old_size, uint64_t size)
{
    struct merkle_source source = { get_node, &tree };
    struct proof proof = { 0 };
    assert_int_equal(proof_make_consistency(&proof, &source, old_size, size, &err), E_OK);
    return proof;
}

static struct buf make_note(const char *text_end, const struct signer *log,
                            const struct signer *const *cosigners, size_t count)
{
    struct buf text = BUF_INIT(1024), note = BUF_INIT(NOTE_MAX);
    struct checkpoint checkpoint = { .origin = ORIGIN, .size = 7 };
    checkpoint.root = root_of((struct tree){ 0, 0 }, 7);
    checkpoint_put(&text, &checkpoint);
    buf_put_str(&text, text_end);
    buf_put(&note, buf_span(&text));
    buf_put_str(&note, "\n");
    if (log != NULL) {
        keys_put_signature(&note, buf_span(&text), log, 0);
    }
    for (size_t i = 0; i < count; i++) {
        keys_put_signature(&note, buf_span(&text), cosigners[i], TIME + i);
    }
    buf_clear(&text);
    return note;
}

static int setup(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(NOTE_MAX), list = BUF_INIT(NOTE_MAX);
    log_key = keys_signer(ORIGIN, SIGNATURE_ED25519, "log");
    other_log = keys_signer(ORIGIN, SIGNATURE_ED25519, "other");
    own_key = keys_signer("own", SIGNATURE_COSIGNATURE, "own");
    buf_put_str(&list, "log ");
    vkey_put(&list, &log_key.vkey);
    buf_put_str(&list, "\n");
    assert_int_equal(log_list_parse(&logs, buf_span(&list), &err), E_OK);
    buf_put(&text, buf_span(&list));
    buf_put_str(&text, "witness own ");
    vkey_put(&text, &own_key.vkey);
    for (int i = 0; i < WITNESSES; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%d", i);
        witnesses[i] = keys_signer(name, SIGNATURE_COSIGNATURE, name);
        buf_putf(&text, "\nwitness %s ", name);
        vkey_put(&text, &witnesses[i].vkey);
    }
    buf_put_str(&text, "\ngroup g 2 own w0 w1 w2\nquorum g\n");
    assert_int_equal(policy_parse(&policy, buf_span(&text), &err), E_OK);
    buf_clear(&text);
    buf_clear(&list);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    signer_clear(&log_key);
    signer_clear(&other_log);
    signer_clear(&own_key);
    for (int i = 0; i < WITNESSES; i++) {
        signer_clear(&witnesses[i]);
    }
    log_list_clear(&logs);
    policy_free(policy);
    policy = NULL;
    return 0;
}

static enum err_code open_note(struct buf note, bool with_policy, struct state_adopt_note *out)
{
    struct state_adopt_keys keys = { with_policy ? NULL : &logs, with_policy ? policy : NULL,
                                     &own_key.vkey, 1 };
    enum err_code rc = state_adopt_open(out, &keys, buf_span(&note), &err);
    buf_clear(&note);
    return rc;
}

static enum err_code open_rc(struct buf note, bool with_policy)
{
    struct state_adopt_note out = { 0 };
    enum err_code rc = open_note(note, with_policy, &out);
    buf_clear(&out.note);
    return rc;
}

/* --- Who signed. --- */

static void own_cosignature_is_enough(void **state)
{
    (void)state;
    const struct signer *cosigners[] = { &own_key, &witnesses[0] };
    for (int with_policy = 0; with_policy < 2; with_policy++) {
        struct state_adopt_note out = { 0 };
        struct buf expected = make_note("", &log_key, cosigners, 1);
        assert_int_equal(open_note(make_note("", &log_key, cosigners, 2), with_policy, &out), E_OK);
        assert_int_equal(out.checkpoint.size, 7);
        assert_int_equal(out.own_time, TIME);
        assert_true(span_is_equal(buf_span(&out.note), buf_span(&expected))); /* not the others' */
        buf_clear(&out.note);
        buf_clear(&expected);
    }
}

static void quorum_of_the_others_is_enough(void **state)
{
    (void)state;
    const struct signer *cosigners[] = { &witnesses[2], &witnesses[0] };
    struct state_adopt_note out = { 0 };
    assert_int_equal(open_note(make_note("", &log_key, cosigners, 2), true, &out), E_OK);
    assert_int_equal(out.own_time, 0);
    buf_clear(&out.note);
    assert_int_equal(open_rc(make_note("", &log_key, cosigners, 1), true), E_BAD_SIGNATURE);
    assert_int_equal(open_rc(make_note("", &log_key, cosigners, 2), false), E_BAD_SIGNATURE);
    assert_int_equal(open_rc(make_note("", &log_key, cosigners, 0), true), E_BAD_SIGNATURE);
}

/* A forged line under our name neither counts as ours nor fills the others' quorum. */
static void forged_own_line_counts_for_nothing(void **state)
{
    (void)state;
    struct signer forged = keys_signer("own", SIGNATURE_COSIGNATURE, "forged");
    forged.vkey.id = own_key.vkey.id;
    const struct signer *cosigners[] = { &forged, &witnesses[0] };
    assert_int_equal(open_rc(make_note("", &log_key, cosigners, 2), true), E_BAD_SIGNATURE);
    assert_int_equal(open_rc(make_note("", &log_key, cosigners, 2), false), E_BAD_SIGNATURE);
    signer_clear(&forged);
}

static void log_must_have_signed(void **state)
{
    (void)state;
    const struct signer *cosigners[] = { &own_key, &witnesses[0], &witnesses[1] };
    for (int with_policy = 0; with_policy < 2; with_policy++) {
        assert_int_equal(open_rc(make_note("", NULL, cosigners, 3), with_policy), E_BAD_SIGNATURE);
        assert_int_equal(open_rc(make_note("", &other_log, cosigners, 3), with_policy),
                         E_BAD_SIGNATURE);
    }
}

static void unknown_log_and_extensions_are_refused(void **state)
{
    (void)state;
    const struct signer *cosigners[] = { &own_key };
    struct log_list empty = { 0 };
    struct state_adopt_keys keys = { &empty, NULL, &own_key.vkey, 1 };
    struct state_adopt_note out;
    struct buf note = make_note("", &log_key, cosigners, 1);
    assert_int_equal(state_adopt_open(&out, &keys, buf_span(&note), &err), E_NOT_FOUND);
    buf_clear(&note);
    assert_int_equal(open_rc(make_note("extension\n", &log_key, cosigners, 1), false), E_MALFORMED);
}

/* --- What it extends. --- */

static const struct tree ours = { 0, 0 };

static enum err_code extends_from(struct tree held_tree, uint64_t held, struct tree tree,
                                  uint64_t size, const struct proof *proofs, size_t count)
{
    struct checkpoint checkpoint = { .size = size, .root = root_of(tree, size) };
    struct state_adopt_point point = { "the stored state", held, root_of(held_tree, held) };
    return state_adopt_extends(&checkpoint, &point, 1, proofs, count, &err);
}

static void each_size_needs_the_proof_from_it(void **state)
{
    (void)state;
    for (uint64_t size = 1; size <= SIZE_MAX_TRIED; size++) {
        for (uint64_t held = 0; held <= SIZE_MAX_TRIED; held++) {
            if (held > size) {
                assert_int_equal(extends_from(ours, held, ours, size, NULL, 0), E_CONFLICT);
                continue;
            }
            bool needs_proof = held != 0 && held != size;
            assert_int_equal(extends_from(ours, held, ours, size, NULL, 0),
                             needs_proof ? E_BAD_PROOF : E_OK);
            struct proof proofs[2] = { { 0 }, proof_of(ours, held, size) };
            assert_int_equal(extends_from(ours, held, ours, size, proofs, 2), E_OK);
            if (needs_proof && proofs[1].count > 0) {
                proofs[1].hashes[0].bytes[0] ^= 1;
                assert_int_equal(extends_from(ours, held, ours, size, proofs, 2), E_BAD_PROOF);
            }
        }
    }
}

static void other_history_is_never_adopted(void **state)
{
    (void)state;
    for (uint64_t fork = 0; fork < 8; fork++) {
        struct tree evil = { fork, 1 };
        for (uint64_t size = 8; size <= SIZE_MAX_TRIED; size++) {
            struct proof proofs[2] = { proof_of(evil, 8, size), proof_of(ours, 8, size) };
            assert_int_equal(extends_from(ours, 8, evil, size, proofs, 2),
                             size == 8 ? E_CONFLICT : E_BAD_PROOF);
        }
    }
}

/* The stored state is a prefix of both histories; what was signed later is not. */
static void all_points_must_be_extended(void **state)
{
    (void)state;
    struct tree evil = { 6, 1 };
    struct state_adopt_point points[] = {
        { "the stored state", 5, root_of(ours, 5) },
        { "the mark", 8, root_of(ours, 8) },
        { "the refused note", 11, root_of(ours, 11) },
    };
    struct proof good[] = { proof_of(ours, 11, 15), proof_of(ours, 5, 15), proof_of(ours, 8, 15) };
    struct proof bad[] = { proof_of(evil, 11, 15), proof_of(evil, 5, 15), proof_of(evil, 8, 15) };
    struct checkpoint checkpoint = { .size = 15, .root = root_of(ours, 15) };
    assert_int_equal(state_adopt_extends(&checkpoint, points, 3, good, 3, &err), E_OK);
    for (int i = 0; i < 3; i++) { /* each proof is needed */
        struct proof two[] = { good[(i + 1) % 3], good[(i + 2) % 3] };
        assert_int_equal(state_adopt_extends(&checkpoint, points, 3, two, 2, &err), E_BAD_PROOF);
    }
    checkpoint.root = root_of(evil, 15);
    assert_int_equal(state_adopt_extends(&checkpoint, points, 1, bad, 3, &err), E_OK);
    assert_int_equal(state_adopt_extends(&checkpoint, points, 2, bad, 3, &err), E_BAD_PROOF);
    assert_non_null(strstr(err.msg, "the mark at size 8"));
    assert_int_equal(state_adopt_extends(&checkpoint, points, 3, bad, 3, &err), E_BAD_PROOF);
    /* The refused note itself is one to adopt. */
    checkpoint = (struct checkpoint){ .size = 11, .root = root_of(ours, 11) };
    struct proof to_refused[] = { proof_of(ours, 5, 11), proof_of(ours, 8, 11) };
    assert_int_equal(state_adopt_extends(&checkpoint, points, 3, to_refused, 2, &err), E_OK);
    checkpoint = (struct checkpoint){ .size = 10, .root = root_of(ours, 10) };
    assert_int_equal(state_adopt_extends(&checkpoint, points, 3, to_refused, 2, &err), E_BAD_PROOF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(own_cosignature_is_enough),
        TEST(quorum_of_the_others_is_enough),
        TEST(forged_own_line_counts_for_nothing),
        TEST(log_must_have_signed),
        TEST(unknown_log_and_extensions_are_refused),
        TEST(each_size_needs_the_proof_from_it),
        TEST(other_history_is_never_adopted),
        TEST(all_points_must_be_extended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
