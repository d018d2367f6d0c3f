/* Signatures of records: by whom, over what, for which log. */
#include "tests/support/operations.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct signing_key *key, *other_key;

static void assert_verifies(const struct operation *operation, struct span bytes,
                            const char *origin, const struct ed25519_public *by,
                            enum err_code expected)
{
    struct err err;
    assert_int_equal(operation_verify(operation, bytes, origin, by, &err), expected);
}

static void a_record_cannot_be_replayed_into_another_log(void **state)
{
    (void)state;
    static const uint32_t numbers[] = { KIND_FREEZE, KIND_SEALED, KIND_SUBMITTER };
    static const char *const origins[] = { "", "log.example/operation", "log.example/operations2",
                                           "LOG.example/operations", "other.example" };
    struct ed25519_public public = signing_key_public(key);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct operation operation = operations_make(numbers[i], key);
        struct buf bytes = operations_bytes(&operation, key);
        assert_verifies(&operation, buf_span(&bytes), OPERATIONS_ORIGIN, &public, E_OK);
        for (size_t k = 0; k < COUNT(origins); k++) {
            assert_verifies(&operation, buf_span(&bytes), origins[k], &public, E_BAD_SIGNATURE);
        }
        buf_clear(&bytes);
    }
}

static void only_the_key_that_the_record_names_verifies_it(void **state)
{
    (void)state;
    struct ed25519_public public = signing_key_public(key), other = signing_key_public(other_key);
    struct operation freeze = operations_make(KIND_FREEZE, key);
    struct buf bytes = operations_bytes(&freeze, key);
    assert_verifies(&freeze, buf_span(&bytes), OPERATIONS_ORIGIN, &other, E_BAD_SIGNATURE);
    assert_verifies(&freeze, buf_span(&bytes), OPERATIONS_ORIGIN, NULL, E_BAD_SIGNATURE);
    freeze.submitter = submitter_id_make(&other);
    assert_verifies(&freeze, buf_span(&bytes), OPERATIONS_ORIGIN, &public, E_BAD_SIGNATURE);
    assert_verifies(&freeze, buf_span(&bytes), OPERATIONS_ORIGIN, &other, E_BAD_SIGNATURE);
    buf_clear(&bytes);
    struct operation sealed = operations_make(KIND_SEALED, key);
    bytes = operations_bytes(&sealed, key);
    assert_verifies(&sealed, buf_span(&bytes), OPERATIONS_ORIGIN, NULL, E_OK);
    assert_verifies(&sealed, buf_span(&bytes), OPERATIONS_ORIGIN, &other, E_OK); /* unused */
    assert_verifies(&sealed, span_of(NULL, 0), OPERATIONS_ORIGIN, NULL, E_BAD_SIGNATURE);
    buf_clear(&bytes);
}

static void nobody_signs_as_another(void **state)
{
    (void)state;
    static const uint32_t numbers[] = { KIND_FREEZE, KIND_SEALED, KIND_SUBMITTER,
                                        KIND_SUBMITTER_END };
    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct operation operation = operations_make(numbers[i], key);
        struct buf out = BUF_INIT(OPERATION_BYTES_MAX);
        struct err err;
        assert_int_equal(operation_put_signed(&out, &operation, OPERATIONS_ORIGIN, other_key, &err),
                         E_MALFORMED);
        assert_int_equal(out.len, 0);
        buf_clear(&out);
    }
}

/* A signature of the same key under another domain is none: it signs records only. */
static void a_signature_over_anything_else_is_none(void **state)
{
    (void)state;
    struct operation operation = operations_make(KIND_FREEZE, key);
    struct buf bytes = operations_bytes(&operation, key);
    struct span record = span_slice(buf_span(&bytes), 0, bytes.len - 67);
    struct ed25519_public public = signing_key_public(key);
    static const char *const heads[] = { "", "courtroll/operation/v1\n",
                                         "courtroll/operation/v2\n\x16log.example/operations",
                                         "courtroll/one-time-key/v1\n\x16log.example/operations" };
    for (size_t i = 0; i < COUNT(heads); i++) {
        struct buf message = BUF_INIT(4096);
        buf_put_str(&message, heads[i]);
        buf_put(&message, record);
        operation.signature = keys_sign(key, buf_span(&message));
        assert_verifies(&operation, buf_span(&bytes), OPERATIONS_ORIGIN, &public, E_BAD_SIGNATURE);
        buf_clear(&message);
    }
    struct buf message = BUF_INIT(4096); /* and so it is one: the format as it is published */
    buf_put_str(&message, "courtroll/operation/v1\n\x16log.example/operations");
    buf_put(&message, record);
    operation.signature = keys_sign(key, buf_span(&message));
    assert_verifies(&operation, buf_span(&bytes), OPERATIONS_ORIGIN, &public, E_OK);
    buf_clear(&message);
    buf_clear(&bytes);
}

/* What the log vouches for is nobody's: no verifier may mistake it for signed, whichever key it is asked about. */
static void what_is_vouched_for_never_verifies(void **state)
{
    (void)state;
    static const uint32_t numbers[] = { KIND_FREEZE, KIND_CLOSED, KIND_SUBMITTER_END, KIND_ANCHOR };
    struct ed25519_public public = signing_key_public(key);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        struct operation operation = operations_make(numbers[i], key);
        operation.is_vouched = true;
        struct buf bytes = operations_bytes(&operation, key);
        assert_verifies(&operation, buf_span(&bytes), OPERATIONS_ORIGIN, &public, E_BAD_SIGNATURE);
        assert_verifies(&operation, buf_span(&bytes), OPERATIONS_ORIGIN, NULL, E_BAD_SIGNATURE);
        buf_clear(&bytes);
    }
}

static int set_up(void **state)
{
    (void)state;
    key = operations_key("submitter");
    other_key = operations_key("other");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    signing_key_free(key);
    signing_key_free(other_key);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_cannot_be_replayed_into_another_log),
        cmocka_unit_test(only_the_key_that_the_record_names_verifies_it),
        cmocka_unit_test(nobody_signs_as_another),
        cmocka_unit_test(a_signature_over_anything_else_is_none),
        cmocka_unit_test(what_is_vouched_for_never_verifies),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
