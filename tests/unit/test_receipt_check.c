#include "tlog/receipt_check.h"

#include "tests/support/files.h"
#include "tests/support/log_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    SIZE = 40
};

struct fixture {
    char *temp;
    struct log_dir log;
    struct receipt_check check;
    struct hash leaves[SIZE];
};

static enum err_code get_node(void *ctx, struct merkle_node node, struct hash *out, struct err *err)
{
    const struct fixture *fixture = ctx;
    if (node.level == 0) {
        *out = fixture->leaves[node.index];
        return E_OK;
    }
    struct merkle_source source = { get_node, ctx };
    uint64_t from = node.index << node.level;
    uint64_t half = UINT64_C(1) << (node.level - 1);
    struct hash left, right;
    if (merkle_range_hash(&left, &source, from, from + half, err) != E_OK ||
        merkle_range_hash(&right, &source, from + half, from + 2 * half, err) != E_OK) {
        return err->code;
    }
    *out = merkle_node_hash(&left, &right);
    return E_OK;
}

static void make(struct fixture *fixture)
{
    fixture->temp = files_make_temp_dir();
    char *path = files_join(fixture->temp, "log");
    log_dir_make(&fixture->log, path, SIZE);
    receipt_check_init(&fixture->check, fixture->log.policy);
    for (uint64_t i = 0; i < SIZE; i++) {
        struct buf entry = BUF_INIT(ENTRY_BYTES_MAX);
        log_dir_put_entry(&entry, i);
        fixture->leaves[i] = merkle_leaf_hash(buf_span(&entry));
        buf_clear(&entry);
    }
    free(path);
}

static void drop(struct fixture *fixture)
{
    receipt_check_clear(&fixture->check);
    log_dir_clear(&fixture->log);
    files_remove_tree(fixture->temp);
}

static void put_receipt(struct buf *out, struct fixture *fixture, uint64_t index,
                        size_t witness_count)
{
    struct err err;
    struct proof proof;
    struct merkle_source source = { get_node, fixture };
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    assert_int_equal(proof_make_inclusion(&proof, &source, index, SIZE, &err), E_OK);
    log_dir_put_note(&note, &fixture->log, SIZE, &fixture->log.checkpoint.root, witness_count);
    receipt_put(out, index, &proof, buf_span(&note));
    buf_clear(&note);
}

static void one_note_is_opened_once(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture);
    for (uint64_t i = 0; i < SIZE; i++) {
        struct err err;
        const struct policy_verdict *verdict = NULL;
        struct buf receipt = BUF_INIT(PROOF_FILE_BYTES_MAX);
        put_receipt(&receipt, &fixture, i, i < SIZE / 2 ? 3 : 1);
        assert_int_equal(receipt_check(&fixture.check, buf_span(&receipt), i, &fixture.leaves[i],
                                       &verdict, &err),
                         E_OK);
        assert_int_equal(verdict->is_met, i < SIZE / 2);
        assert_int_equal(verdict->checkpoint.size, SIZE);
        buf_clear(&receipt);
    }
    assert_int_equal(fixture.check.opened, 2);
    drop(&fixture);
}

/* What receipt_verify says, each time anew. */
static bool is_good(const struct fixture *fixture, struct span bytes, const struct hash *leaf)
{
    struct receipt receipt;
    struct policy_verdict verdict;
    struct err err;
    if (receipt_parse(&receipt, bytes, &err) != E_OK) {
        return false;
    }
    enum err_code rc = receipt_verify(&receipt, fixture->log.policy, leaf, &verdict, &err);
    receipt_clear(&receipt);
    return rc == E_OK && verdict.is_met;
}

/* A note that was good must not make anything else good: each byte of a receipt is flipped after it. */
static void nothing_gets_through_behind_a_good_note(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    const struct policy_verdict *verdict = NULL;
    struct buf receipt = BUF_INIT(PROOF_FILE_BYTES_MAX);
    size_t good_count = 0;
    make(&fixture);
    put_receipt(&receipt, &fixture, 11, 2);
    const struct span bytes = buf_span(&receipt);
    const struct hash *leaf = &fixture.leaves[11];
    assert_int_equal(receipt_check(&fixture.check, bytes, 11, leaf, &verdict, &err), E_OK);
    assert_int_equal(receipt_check(&fixture.check, bytes, 10, leaf, &verdict, &err), E_BAD_PROOF);
    assert_int_equal(receipt_check(&fixture.check, bytes, 11, &fixture.leaves[12], &verdict, &err),
                     E_BAD_PROOF);
    for (size_t at = 0; at < receipt.len; at++) {
        receipt.data[at] ^= 1;
        enum err_code rc = receipt_check(&fixture.check, bytes, 11, leaf, &verdict, &err);
        bool is_same = (rc == E_OK && verdict->is_met) == is_good(&fixture, bytes, leaf);
        good_count += rc == E_OK && verdict->is_met;
        receipt.data[at] ^= 1;
        assert_true(is_same);
    }
    assert_true(good_count <= 3); /* unused bits at the end of each signature's base64 */
    buf_clear(&receipt);
    drop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_note_is_opened_once),
        cmocka_unit_test(nothing_gets_through_behind_a_good_note),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
