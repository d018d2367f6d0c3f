#include "record/certificate.h"

#include "tests/support/operations.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct signing_key *submitter, *other, *one_time;
static struct ed25519_public submitter_public, other_public, one_time_public;
static struct hash tag;

static struct certificate make(void)
{
    struct certificate certificate;
    struct err err;
    assert_int_equal(certificate_make(&certificate, OPERATIONS_ORIGIN, &one_time_public, &tag,
                                      &submitter_public, submitter, &err),
                     E_OK);
    return certificate;
}

static enum err_code verify(const struct certificate *certificate, const char *origin,
                            const struct ed25519_public *one_time_key, const struct hash *entry_tag,
                            const struct ed25519_public *by)
{
    struct err err;
    return certificate_verify(certificate, origin, one_time_key, entry_tag, by, &err);
}

static void a_certificate_is_for_one_key_tag_log_and_submitter(void **state)
{
    (void)state;
    struct certificate good = make();
    struct hash other_tag = operations_hash("other tag");
    assert_int_equal(verify(&good, OPERATIONS_ORIGIN, &one_time_public, &tag, &submitter_public),
                     E_OK);
    assert_int_equal(verify(&good, "other.example", &one_time_public, &tag, &submitter_public),
                     E_BAD_SIGNATURE);
    assert_int_equal(verify(&good, OPERATIONS_ORIGIN, &other_public, &tag, &submitter_public),
                     E_BAD_SIGNATURE);
    assert_int_equal(verify(&good, OPERATIONS_ORIGIN, &one_time_public, &other_tag,
                            &submitter_public),
                     E_BAD_SIGNATURE);
    assert_int_equal(verify(&good, OPERATIONS_ORIGIN, &one_time_public, &tag, &other_public),
                     E_BAD_SIGNATURE);
    good.submitter = submitter_id_make(&other_public); /* somebody else's word, taken over */
    assert_int_equal(verify(&good, OPERATIONS_ORIGIN, &one_time_public, &tag, &other_public),
                     E_BAD_SIGNATURE);
    assert_int_equal(verify(&good, OPERATIONS_ORIGIN, &one_time_public, &tag, &submitter_public),
                     E_BAD_SIGNATURE);
}

/* The message is that of the documentation, byte for byte. */
static void a_certificate_signs_the_published_message(void **state)
{
    (void)state;
    struct certificate certificate = make();
    struct buf message = BUF_INIT(1024);
    buf_put_str(&message, "courtroll/one-time-key/v1\n\x16log.example/operations");
    buf_put(&message, SPAN_OF_ARRAY(one_time_public.bytes));
    buf_put(&message, hash_span(&tag));
    assert_true(ed25519_verify(&submitter_public, buf_span(&message), &certificate.signature));
    struct submitter_id id = submitter_id_make(&submitter_public);
    assert_true(submitter_id_is_equal(&id, &certificate.submitter));
    buf_clear(&message);
}

static void certificate_parse_undoes_put_and_takes_no_other_length(void **state)
{
    (void)state;
    struct certificate certificate = make(), parsed;
    struct buf bytes = BUF_INIT(CERTIFICATE_BYTES + 1);
    struct err err;
    certificate_put(&bytes, &certificate);
    assert_int_equal(bytes.len, 80);
    assert_int_equal(certificate_parse(&parsed, buf_span(&bytes), &err), E_OK);
    assert_memory_equal(&parsed, &certificate, sizeof parsed);
    for (size_t len = 0; len < CERTIFICATE_BYTES; len++) {
        struct span cut = span_slice(buf_span(&bytes), 0, len);
        assert_int_equal(certificate_parse(&parsed, cut, &err), E_MALFORMED);
    }
    buf_put_u8(&bytes, 0);
    assert_int_equal(certificate_parse(&parsed, buf_span(&bytes), &err), E_MALFORMED);
    assert_memory_equal(&parsed, &certificate, sizeof parsed);
    buf_clear(&bytes);
}

static void no_flipped_bit_of_a_certificate_verifies(void **state)
{
    (void)state;
    struct certificate certificate = make();
    struct buf bytes = BUF_INIT(CERTIFICATE_BYTES);
    certificate_put(&bytes, &certificate);
    for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
        struct certificate changed;
        struct err err;
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(certificate_parse(&changed, buf_span(&bytes), &err), E_OK);
        assert_int_equal(verify(&changed, OPERATIONS_ORIGIN, &one_time_public, &tag,
                                &submitter_public),
                         E_BAD_SIGNATURE);
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_clear(&bytes);
}

/* Or a record could be made into a certificate, or a certificate into a record. */
static void a_records_signature_is_no_certificate(void **state)
{
    (void)state;
    struct operation operation = operations_make(KIND_FREEZE, submitter);
    struct buf bytes = operations_bytes(&operation, submitter);
    struct certificate certificate = make();
    struct certificate taken = { certificate.submitter, operation.signature };
    assert_int_equal(verify(&taken, OPERATIONS_ORIGIN, &one_time_public, &tag, &submitter_public),
                     E_BAD_SIGNATURE);
    operation.signature = certificate.signature;
    struct err err;
    assert_int_equal(operation_verify(&operation, buf_span(&bytes), OPERATIONS_ORIGIN,
                                      &submitter_public, &err),
                     E_BAD_SIGNATURE);
    buf_clear(&bytes);
}

static int set_up(void **state)
{
    (void)state;
    submitter = operations_key("submitter");
    other = operations_key("other");
    one_time = operations_key("one time");
    submitter_public = signing_key_public(submitter);
    other_public = signing_key_public(other);
    one_time_public = signing_key_public(one_time);
    tag = operations_hash("tag");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    signing_key_free(submitter);
    signing_key_free(other);
    signing_key_free(one_time);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_for_one_key_tag_log_and_submitter),
        cmocka_unit_test(a_certificate_signs_the_published_message),
        cmocka_unit_test(certificate_parse_undoes_put_and_takes_no_other_length),
        cmocka_unit_test(no_flipped_bit_of_a_certificate_verifies),
        cmocka_unit_test(a_records_signature_is_no_certificate),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
