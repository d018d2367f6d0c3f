#include "tlog/cosignature.h"

#include "base/ascii.h"
#include "tests/support/keys.h"
#include "tests/support/shared.h"
#include "tlog/note.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char text[] = "log.example\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

static struct signer witness(void)
{
    return keys_signer("witness.example", SIGNATURE_COSIGNATURE, "witness");
}

/* A signature of `key` over whatever time, even one that cosignature_put refuses. */
static struct buf forge(const struct signer *signer, uint64_t timestamp)
{
    struct buf message = BUF_INIT(1000), blob = BUF_INIT(COSIGNATURE_BYTES);
    cosignature_put_message(&message, timestamp, span_of_str(text));
    struct ed25519_signature raw = keys_sign(signer->key, buf_span(&message));
    buf_put_u64(&blob, timestamp);
    buf_put(&blob, SPAN_OF_ARRAY(raw.bytes));
    buf_clear(&message);
    return blob;
}

static void the_message_is_header_time_and_text(void **state)
{
    (void)state;
    struct buf message = BUF_INIT(1000);
    cosignature_put_message(&message, 1234, span_of_str("a\n\xff\n"));
    assert_true(span_is_str(buf_span(&message), "cosignature/v1\ntime 1234\na\n\xff\n"));
    buf_clear(&message);
}

static void cosignature_put_verifies_and_gives_back_its_time(void **state)
{
    (void)state;
    static const uint64_t times[] = { 1, 1767139200, 1ull << 32, SIZE_VALUE_MAX - 1,
                                      SIZE_VALUE_MAX };
    struct signer signer = witness();
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct buf blob = BUF_INIT(COSIGNATURE_BYTES);
        keys_put_cosignature(&blob, signer.key, times[i], span_of_str(text));
        assert_int_equal(blob.len, COSIGNATURE_BYTES);
        uint64_t timestamp = 0;
        assert_true(
            cosignature_is_valid(&signer.vkey.key, span_of_str(text), buf_span(&blob), &timestamp));
        assert_int_equal(timestamp, times[i]);
        buf_clear(&blob);
    }
    signer_clear(&signer);
}

static void genuine_signatures_at_time_zero_or_above_the_bound_do_not_verify(void **state)
{
    (void)state;
    static const uint64_t times[] = { 0, SIZE_VALUE_MAX + 1, UINT64_MAX - 1, UINT64_MAX };
    struct signer signer = witness();
    uint64_t timestamp = 77;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct buf blob = forge(&signer, times[i]);
        assert_false(
            cosignature_is_valid(&signer.vkey.key, span_of_str(text), buf_span(&blob), &timestamp));
        buf_clear(&blob);
    }
    struct buf blob = forge(&signer, SIZE_VALUE_MAX); /* the forgery itself is sound */
    assert_int_equal(timestamp, 77);
    assert_true(
        cosignature_is_valid(&signer.vkey.key, span_of_str(text), buf_span(&blob), &timestamp));
    buf_clear(&blob);
    signer_clear(&signer);
}

/* Two libraries wrote the time little-endian in 2024. */
static void a_little_endian_time_does_not_verify(void **state)
{
    (void)state;
    struct signer signer = witness();
    struct buf blob = forge(&signer, 1767139200);
    for (size_t i = 0; i < 4; i++) {
        uint8_t c = blob.data[i];
        blob.data[i] = blob.data[7 - i];
        blob.data[7 - i] = c;
    }
    uint64_t timestamp;
    assert_false(
        cosignature_is_valid(&signer.vkey.key, span_of_str(text), buf_span(&blob), &timestamp));
    buf_clear(&blob);
    signer_clear(&signer);
}

static void no_other_length_verifies(void **state)
{
    (void)state;
    struct signer signer = witness();
    struct buf blob = forge(&signer, 5);
    uint8_t longer[COSIGNATURE_BYTES + 1] = { 0 };
    memcpy(longer, blob.data, blob.len);
    uint64_t timestamp;
    for (size_t len = 0; len <= sizeof longer; len++) {
        bool is_valid = cosignature_is_valid(&signer.vkey.key, span_of_str(text),
                                             span_of(longer, len), &timestamp);
        assert_int_equal(is_valid, len == COSIGNATURE_BYTES);
    }
    buf_clear(&blob);
    signer_clear(&signer);
}

static void no_flipped_bit_of_signature_or_text_verifies(void **state)
{
    (void)state;
    struct signer signer = witness();
    struct buf blob = forge(&signer, 1767139200);
    uint64_t timestamp;
    for (size_t bit = 0; bit < 8 * blob.len; bit++) {
        blob.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(
            cosignature_is_valid(&signer.vkey.key, span_of_str(text), buf_span(&blob), &timestamp));
        blob.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    char changed[sizeof text];
    memcpy(changed, text, sizeof text);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        changed[i] ^= 1;
        assert_false(cosignature_is_valid(&signer.vkey.key, span_of(changed, sizeof text - 1),
                                          buf_span(&blob), &timestamp));
        changed[i] ^= 1;
    }
    buf_clear(&blob);
    signer_clear(&signer);
}

/* A signature over the text alone says nothing about a time, and the other way round. */
static void a_note_signature_is_no_cosignature(void **state)
{
    (void)state;
    struct signer signer = witness();
    struct ed25519_signature raw = keys_sign(signer.key, span_of_str(text));
    uint8_t blob[COSIGNATURE_BYTES] = { 0, 0, 0, 0, 0, 0, 0, 5 };
    memcpy(blob + COSIGNATURE_TIMESTAMP_BYTES, raw.bytes, sizeof raw.bytes);
    uint64_t timestamp;
    assert_false(
        cosignature_is_valid(&signer.vkey.key, span_of_str(text), SPAN_OF_ARRAY(blob), &timestamp));
    signer_clear(&signer);
}

/* -- vectors -- */

static void assert_line(const struct signer *signer, struct span signed_text, uint64_t timestamp,
                        struct span line)
{
    struct buf out = BUF_INIT(1000);
    keys_put_signature(&out, signed_text, signer, timestamp);
    assert_true(span_is_equal(buf_span(&out), line));
    buf_clear(&out);
}

static void the_sigsum_cosignature_is_reproduced(void **state)
{
    (void)state;
    struct span line = shared_lines("\xe2\x80\x94 example.org/witness ys8uU", 1);
    struct span root = shared_word("HA5HAAAA");
    struct buf signed_text = BUF_INIT(1000);
    buf_putf(&signed_text, "example.org/log\n10\n%.*s\n", SPAN_PRINTF(root));
    struct signer signer =
        keys_signer_from_hex("example.org/witness", SIGNATURE_COSIGNATURE,
                             "1100000000000000000000000000000000000000000000000000000000000000");
    assert_line(&signer, buf_span(&signed_text), 1234, line);
    buf_clear(&signed_text);
    signer_clear(&signer);
}

static void the_sunlight_cosignatures_are_reproduced(void **state)
{
    (void)state;
    static const struct {
        const char *name, *secret, *first_line;
    } cases[] = {
        { "mirror.example.org", "skylight test mirror key", "rome2026h1.example.org\n300\n" },
        { "witness2.example.org", "skylight test witness2 key", "milan2026h1.example.org\n300\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct span note = shared_lines(cases[i].first_line, 5);
        struct span rest = note;
        size_t text_len = span_find(note, span_of_str("\n\n")) + 1;
        struct span signed_text;
        assert_true(span_take(&rest, text_len, &signed_text));
        struct signer signer = keys_signer(cases[i].name, SIGNATURE_COSIGNATURE, cases[i].secret);
        assert_line(&signer, signed_text, 1767139200, span_slice(rest, 1, rest.len - 1));
        signer_clear(&signer);
    }
}

/* The lines and the vkey are computed; the log's origin and roots are torchwood's. */
static void the_torchwood_witness_lines_verify_at_their_times(void **state)
{
    (void)state;
    static const char vkey_text[] =
        "example.com/witness+10a1c019+BGSEitir7W6FmBs7OHWyUrh2frtLAvcDrKOx5xu9ao5Q";
    static const struct {
        const char *size, *root_prefix, *blob;
        uint64_t timestamp;
    } cases[] = {
        { "1", "roots: 1",
          "EKHAGQAAAABlU/EAx63UqrTpgWwhS2mgX9uIuoao54YP2S3rcDOnUVGFRU5HhEqQQyy+1buBh+kBUoIQpxQbasas"
          "irZm28WyE3HDDQ==",
          1700000000 },
        { "3", "3 RcCI1Nk5",
          "EKHAGQAAAABlU/EBa/CmoWr9ifeTOTG+YMNmLufRa4CvCY3lE/6ZPjDN+vEG+CN1gOWUFy8eodVvCQZZ"
          "gHBBAJ5Ze1X2W6bj+LniDA==",
          1700000001 },
        { "5", "5 QrtXrQZC",
          "EKHAGQAAAABlU/EC5bwAq/pm68ea84ayk5CmttL/klpg5ylnUSY9LgiodEVzdskhpQBffKVVNEWH9R8r"
          "6jBbj9J6ibCgqMf843FIDw==",
          1700000002 },
    };
    struct span origin = shared_word("sigsum.org/v1/tree/4d6d8825");
    struct vkey vkey;
    struct err err;
    assert_int_equal(vkey_parse(&vkey, span_of_str(vkey_text), &err), E_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct span root = i == 0 ? shared_value(cases[i].root_prefix)
                                  : span_slice(shared_word(cases[i].root_prefix), 2, 44);
        struct buf note = BUF_INIT(1000);
        buf_putf(&note, "%.*s\n%s\n%.*s\n\n\xe2\x80\x94 example.com/witness %s\n",
                 SPAN_PRINTF(origin), cases[i].size, SPAN_PRINTF(root), cases[i].blob);
        struct note parsed;
        assert_int_equal(note_parse(&parsed, buf_span(&note), &err), E_OK);
        struct note_verified verified;
        size_t count;
        const struct vkey *keys[] = { &vkey };
        assert_int_equal(note_verify(&parsed, keys, 1, &verified, &count, &err), E_OK);
        assert_int_equal(verified.timestamp, cases[i].timestamp);
        note_clear(&parsed);
        buf_clear(&note);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_message_is_header_time_and_text),
        cmocka_unit_test(cosignature_put_verifies_and_gives_back_its_time),
        cmocka_unit_test(genuine_signatures_at_time_zero_or_above_the_bound_do_not_verify),
        cmocka_unit_test(a_little_endian_time_does_not_verify),
        cmocka_unit_test(no_other_length_verifies),
        cmocka_unit_test(no_flipped_bit_of_signature_or_text_verifies),
        cmocka_unit_test(a_note_signature_is_no_cosignature),
        cmocka_unit_test(the_sigsum_cosignature_is_reproduced),
        cmocka_unit_test(the_sunlight_cosignatures_are_reproduced),
        cmocka_unit_test(the_torchwood_witness_lines_verify_at_their_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
