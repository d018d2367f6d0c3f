/* libcourtroll as a submitter or verifier uses it: through its public header. */
#include "courtroll/courtroll.h"

#include "tests/support/files.h"
#include "tests/support/log_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    SIZE = 300
};

struct fixture {
    char *temp;
    struct log_dir dir;
    struct courtroll_policy *policy;
    struct courtroll_log *log;
};

static struct courtroll_bytes bytes_of(const struct buf *buf)
{
    return (struct courtroll_bytes){ buf->data, buf->len };
}

static struct courtroll_bytes bytes_of_proof(const struct courtroll_proof *proof)
{
    return (struct courtroll_bytes){ proof->data, proof->len };
}

static void make(struct fixture *fixture)
{
    struct courtroll_error error;
    fixture->temp = files_make_temp_dir();
    char *path = files_join(fixture->temp, "log");
    char *address = NULL;
    log_dir_make(&fixture->dir, path, SIZE);
    assert_true(asprintf(&address, "file:%s", path) > 0);
    assert_int_equal(courtroll_policy_parse(&fixture->policy, bytes_of(&fixture->dir.policy_bytes),
                                            &error),
                     COURTROLL_OK);
    assert_int_equal(courtroll_log_open(&fixture->log, address, NULL, &error), COURTROLL_OK);
    free(address);
    free(path);
}

static void drop(struct fixture *fixture)
{
    courtroll_policy_free(fixture->policy);
    courtroll_log_close(fixture->log);
    log_dir_clear(&fixture->dir);
    files_remove_tree(fixture->temp);
}

static void what_is_proved_verifies(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture);
    for (uint64_t i = 0; i < SIZE; i += 13) {
        struct courtroll_error error;
        struct courtroll_proof by_index;
        struct courtroll_proof by_hash;
        struct courtroll_verdict verdict;
        struct buf entry = BUF_INIT(ENTRY_BYTES_MAX);
        uint8_t hash[COURTROLL_HASH_BYTES];
        log_dir_put_entry(&entry, i);
        courtroll_leaf_hash(bytes_of(&entry), hash);
        assert_int_equal(courtroll_prove_index(fixture.log, fixture.policy, i, &by_index, &error),
                         COURTROLL_OK);
        assert_int_equal(courtroll_verify(fixture.policy, bytes_of_proof(&by_index),
                                          bytes_of(&entry), &verdict, &error),
                         COURTROLL_OK);
        assert_int_equal(verdict.index, i);
        assert_int_equal(verdict.size, SIZE);
        assert_string_equal(verdict.origin, "example.com/log");
        assert_int_equal(verdict.witness_count, LOG_DIR_WITNESSES);
        assert_true(verdict.has_quorum_rule);
        assert_int_equal(verdict.no_later_than, LOG_DIR_TIME + 1); /* the second of two */
        assert_int_equal(courtroll_prove(fixture.log, fixture.policy, hash, &by_hash, &error),
                         COURTROLL_OK);
        assert_int_equal(courtroll_verify(fixture.policy, bytes_of_proof(&by_hash),
                                          bytes_of(&entry), &verdict, &error),
                         COURTROLL_OK);
        courtroll_proof_clear(&by_index);
        courtroll_proof_clear(&by_hash);
        buf_clear(&entry);
    }
    drop(&fixture);
}

static void another_entry_is_a_mismatch(void **state)
{
    (void)state;
    struct fixture fixture;
    struct courtroll_error error;
    struct courtroll_proof proof;
    struct courtroll_verdict verdict;
    struct courtroll_bytes other = { (const uint8_t *)"other", 5 };
    make(&fixture);
    assert_int_equal(courtroll_prove_index(fixture.log, fixture.policy, 1, &proof, &error),
                     COURTROLL_OK);
    assert_int_equal(courtroll_verify(fixture.policy, bytes_of_proof(&proof), other, &verdict,
                                      &error),
                     COURTROLL_MISMATCH);
    assert_int_equal(error.code, COURTROLL_MISMATCH);
    assert_true(strlen(error.message) > 0);
    assert_int_equal(courtroll_verify(fixture.policy, other, other, &verdict, &error),
                     COURTROLL_MALFORMED);
    courtroll_proof_clear(&proof);
    drop(&fixture);
}

static void too_few_witnesses_are_no_quorum(void **state)
{
    (void)state;
    struct fixture fixture;
    struct courtroll_error error;
    struct courtroll_proof proof;
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    make(&fixture);
    log_dir_put_note(&note, &fixture.dir, SIZE, &fixture.dir.checkpoint.root, 1);
    log_dir_write(&fixture.dir, "checkpoint", buf_span(&note));
    assert_int_equal(courtroll_prove_index(fixture.log, fixture.policy, 1, &proof, &error),
                     COURTROLL_NO_QUORUM);
    log_dir_write(&fixture.dir, "checkpoint", span_of_str("x"));
    assert_int_equal(courtroll_prove_index(fixture.log, fixture.policy, 1, &proof, &error),
                     COURTROLL_MALFORMED);
    buf_clear(&note);
    drop(&fixture);
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    struct fixture fixture;
    struct courtroll_error error;
    struct courtroll_proof proof;
    uint8_t hash[COURTROLL_HASH_BYTES] = { 0 };
    make(&fixture);
    assert_int_equal(courtroll_prove_index(fixture.log, fixture.policy, SIZE, &proof, &error),
                     COURTROLL_NOT_FOUND);
    assert_int_equal(courtroll_prove(fixture.log, fixture.policy, hash, &proof, &error),
                     COURTROLL_NOT_FOUND);
    drop(&fixture);
}

static void appending_needs_grpc(void **state)
{
    (void)state;
    struct fixture fixture;
    struct courtroll_error error;
    struct courtroll_appended appended;
    struct courtroll_bytes entry = { (const uint8_t *)"entry", 5 };
    make(&fixture);
    assert_int_equal(courtroll_append(fixture.log, NULL, &entry, 1, 1000, &appended, &error),
                     COURTROLL_REFUSED);
    assert_int_equal(courtroll_append(fixture.log, NULL, &entry, 0, 1000, &appended, &error),
                     COURTROLL_MALFORMED);
    drop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_proved_verifies),
        cmocka_unit_test(another_entry_is_a_mismatch),
        cmocka_unit_test(too_few_witnesses_are_no_quorum),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(appending_needs_grpc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
