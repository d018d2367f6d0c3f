#include "record/entry_tag.h"

#include "base/ascii.h"
#include "base/crypto_cipher.h"
#include "tests/support/operations.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define NUMBER       "（2026）测0101执123号"
#define KEY_BASE64   "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

/* Bytes 0..31. */
static struct case_key make_key(void)
{
    struct case_key key = { .number = NUMBER };
    for (size_t i = 0; i < CASE_KEY_BYTES; i++) {
        key.bytes[i] = (uint8_t)i;
    }
    return key;
}

/* Bytes from `first` on. */
static struct submitter_id make_id(uint8_t first)
{
    struct submitter_id id;
    for (size_t i = 0; i < SUBMITTER_ID_BYTES; i++) {
        id.bytes[i] = (uint8_t)(first + i);
    }
    return id;
}

static void assert_hex(const void *bytes, size_t len, const char *hex)
{
    uint8_t expected[CLOSED_COUNTS_BYTES];
    struct err err;
    assert_int_equal(hex_decode(expected, len, span_of_str(hex), &err), E_OK);
    assert_memory_equal(bytes, expected, len);
}

/* -- what is derived: values from Python's hmac and the openssl command -- */

static void derived_values_are_the_published_ones(void **state)
{
    (void)state;
    struct case_key key = make_key();
    struct submitter_id id = make_id(0x40);
    struct hash tag = entry_tag_make(&key, &id, 0);
    assert_hex(tag.bytes, HASH_BYTES,
               "5fd8009111cf360556ad6501ba51a0e6e56d7a9a2480ac53cac22b703966844e");
    tag = entry_tag_make(&key, &id, UINT64_C(0x0102030405060708));
    assert_hex(tag.bytes, HASH_BYTES,
               "b9811afd895c10c3c3265a9136fde010a541475515fd38cdc8472238fd82bc76");
    struct person_tag officer = person_tag_make(&key, "officer", span_of_str("测试甲"));
    assert_hex(officer.bytes, PERSON_TAG_BYTES, "b42e21777589c727570170f14c7c9d10");
    struct hash commitment = case_commitment_make(&key);
    assert_hex(commitment.bytes, HASH_BYTES,
               "304f5493cd9a44485a071fdd28c82d3f42eaf505e79fee70a49c3fab70626775");
}

static void every_key_submitter_and_number_has_a_tag_of_its_own(void **state)
{
    (void)state;
    struct hash tags[2 * 2 * 64];
    size_t count = 0;
    for (uint8_t k = 0; k < 2; k++) {
        struct case_key key = make_key();
        key.bytes[31] ^= k;
        for (uint8_t s = 0; s < 2; s++) {
            struct submitter_id id = make_id(s);
            for (uint64_t number = 0; number < 64; number++) {
                tags[count++] = entry_tag_make(&key, &id, number << 56 | number);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_false(hash_is_equal(&tags[i], &tags[k]));
        }
    }
}

static void a_persons_tag_says_nothing_outside_its_case_and_purpose(void **state)
{
    (void)state;
    struct case_key key = make_key(), other = make_key();
    other.bytes[0] ^= 1;
    struct span name = span_of_str("测试甲");
    struct person_tag officer = person_tag_make(&key, "officer", name);
    struct person_tag again = person_tag_make(&key, "officer", name);
    struct person_tag payee = person_tag_make(&key, "payee", name);
    struct person_tag elsewhere = person_tag_make(&other, "officer", name);
    assert_memory_equal(&officer, &again, sizeof officer);
    assert_memory_not_equal(&officer, &payee, sizeof officer);
    assert_memory_not_equal(&officer, &elsewhere, sizeof officer);
}

/* -- counts -- */

static void counts_are_the_published_bytes_whatever_their_order(void **state)
{
    (void)state;
    struct case_key key = make_key();
    struct hash tag;
    memset(tag.bytes, 7, sizeof tag.bytes);
    struct closed_count counts[2] = { { .count = 3 }, { .count = 258 } };
    memset(counts[0].submitter.bytes, 2, SUBMITTER_ID_BYTES);
    memset(counts[1].submitter.bytes, 1, SUBMITTER_ID_BYTES);
    uint8_t bytes[CLOSED_COUNTS_BYTES];
    closed_counts_make(bytes, &key, &tag, counts, 2);
    assert_hex(bytes, sizeof bytes,
               "2b47108f98924f50b0da7898849acd57add77d98f6066e1102d0ff4ed880b42a4519a874739dd6c3f6"
               "38901befde27383fad2715788b997b649a979e33d6226d2d2d96c36424f9cfe6430f32f1b70f6a0098"
               "b2bd15c2fab9ace5858da4c86fd77ae7422647d8087e3182ab047685577603ecbfa8b73b5c6c487445"
               "bc545e8a0017c5f471c8f1b76f2a79e96bf89fb181439b8299053c3365dd8177f03d48a333");
}

static void counts_are_read_as_they_were_made(void **state)
{
    (void)state;
    struct case_key key = make_key();
    struct hash tag = operations_hash("tag");
    for (size_t n = 0; n <= CLOSED_SUBMITTERS_MAX; n++) {
        struct closed_count counts[CLOSED_SUBMITTERS_MAX], read[CLOSED_SUBMITTERS_MAX];
        for (size_t i = 0; i < n; i++) {
            counts[i] = (struct closed_count){ make_id((uint8_t)(100 - i)), (uint32_t)(i + 1) };
        }
        uint8_t bytes[CLOSED_COUNTS_BYTES];
        closed_counts_make(bytes, &key, &tag, counts, n);
        size_t count = 99;
        struct err err;
        assert_int_equal(closed_counts_read(read, &count, &key, &tag, bytes, &err), E_OK);
        assert_int_equal(count, n);
        for (size_t i = 0; i < n; i++) {
            assert_true(submitter_id_is_equal(&read[i].submitter, &counts[n - 1 - i].submitter));
            assert_int_equal(read[i].count, n - i);
        }
    }
}

static void counts_are_not_read_under_another_key_or_tag(void **state)
{
    (void)state;
    struct case_key key = make_key(), other = make_key();
    other.bytes[5] ^= 1;
    struct hash tag = operations_hash("tag"), other_tag = operations_hash("other tag");
    struct closed_count counts[] = { { make_id(1), 5 } }, read[CLOSED_SUBMITTERS_MAX];
    uint8_t bytes[CLOSED_COUNTS_BYTES], second[CLOSED_COUNTS_BYTES];
    size_t count = 99;
    struct err err;
    closed_counts_make(bytes, &key, &tag, counts, 1);
    closed_counts_make(second, &key, &other_tag, counts, 1);
    assert_memory_not_equal(bytes, second, sizeof bytes);
    assert_int_equal(closed_counts_read(read, &count, &other, &tag, bytes, &err), E_MALFORMED);
    assert_int_equal(closed_counts_read(read, &count, &key, &other_tag, bytes, &err), E_MALFORMED);
    assert_int_equal(count, 99);
}

static void counts_have_one_form(void **state)
{
    (void)state;
    struct case_key key = make_key();
    struct hash tag = operations_hash("tag"), mask_key;
    struct span parts[] = { span_of_str("courtroll/closed-counts/v1"), hash_span(&tag) };
    mask_key = hmac_sha256(SPAN_OF_ARRAY(key.bytes), parts, 2);
    static const struct {
        uint8_t ids[3], counts[3];
        enum err_code expected;
    } rows[] = {
        { { 1, 2, 3 }, { 1, 1, 1 }, E_OK },        { { 1, 2, 0 }, { 1, 1, 0 }, E_OK },
        { { 0, 0, 0 }, { 0, 0, 0 }, E_OK },        { { 0, 1, 0 }, { 1, 1, 0 }, E_OK },
        { { 2, 1, 3 }, { 1, 1, 1 }, E_MALFORMED }, { { 1, 1, 3 }, { 1, 1, 1 }, E_MALFORMED },
        { { 1, 2, 3 }, { 1, 0, 1 }, E_MALFORMED }, { { 1, 0, 3 }, { 1, 0, 1 }, E_MALFORMED },
        { { 1, 2, 0 }, { 1, 1, 1 }, E_MALFORMED }, { { 1, 2, 3 }, { 1, 1, 0 }, E_MALFORMED },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t bytes[CLOSED_COUNTS_BYTES] = { 0 };
        for (size_t k = 0; k < 3; k++) {
            bytes[20 * k] = rows[i].ids[k];
            bytes[20 * k + 19] = rows[i].counts[k];
        }
        aes256_ctr(mask_key.bytes, bytes, sizeof bytes);
        struct closed_count read[CLOSED_SUBMITTERS_MAX];
        size_t count = 0;
        struct err err;
        assert_int_equal(closed_counts_read(read, &count, &key, &tag, bytes, &err),
                         rows[i].expected);
    }
}

/* -- the key's file -- */

static void a_key_file_is_written_and_read_to_the_same(void **state)
{
    (void)state;
    struct case_key key = make_key(), read;
    struct buf text = BUF_INIT(CASE_KEY_FILE_BYTES_MAX);
    struct err err;
    case_key_put(&text, &key);
    assert_true(
        span_is_str(buf_span(&text), "courtroll case key v1\n" NUMBER "\n" KEY_BASE64 "\n"));
    assert_int_equal(case_key_parse(&read, buf_span(&text), &err), E_OK);
    assert_memory_equal(read.bytes, key.bytes, sizeof key.bytes);
    assert_string_equal(read.number, key.number);
    for (size_t len = 0; len < text.len; len++) {
        assert_int_equal(case_key_parse(&read, span_slice(buf_span(&text), 0, len), &err),
                         E_MALFORMED);
    }
    case_key_wipe(&read);
    for (size_t i = 0; i < sizeof read; i++) {
        assert_int_equal(((const uint8_t *)&read)[i], 0);
    }
    buf_clear(&text);
}

static void a_key_file_has_one_spelling_and_errors_name_the_line(void **state)
{
    (void)state;
#define HEAD "courtroll case key v1\n"
    static const struct {
        const char *text, *line;
    } rows[] = {
        { "", "line 1" },
        { "courtroll case key v2\n" NUMBER "\n" KEY_BASE64 "\n", "line 1" },
        { HEAD "\n" KEY_BASE64 "\n", "line 2" },
        { HEAD "not a case\n" KEY_BASE64 "\n", "line 2" },
        { HEAD "(2026)测0101执123号\n" KEY_BASE64 "\n", "line 2" },
        { HEAD "（２０２６）测0101执123号\n" KEY_BASE64 "\n", "line 2" },
        { HEAD NUMBER " \n" KEY_BASE64 "\n", "line 2" },
        { HEAD NUMBER "\r\n" KEY_BASE64 "\n", "line 2" },
        { HEAD NUMBER "\n\n", "line 3" },
        { HEAD NUMBER "\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\n", "line 3" },
        { HEAD NUMBER "\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==\n", "line 3" },
        { HEAD NUMBER "\n" KEY_BASE64 "\r\n", "line 3" },
        { HEAD NUMBER "\n" KEY_BASE64 "\n\n", "line 4" },
        { HEAD NUMBER "\n" KEY_BASE64 "\nmore\n", "line 4" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct case_key key = { .number = "before" };
        struct err err;
        assert_int_equal(case_key_parse(&key, span_of_str(rows[i].text), &err), E_MALFORMED);
        if (!span_has_prefix(span_of_str(err.msg), span_of_str(rows[i].line))) {
            fail_msg("row %zu: %s", i, err.msg);
        }
        assert_null(strstr(err.msg, "AAECAwQ"));
        assert_string_equal(key.number, "before");
    }
    char *longest = mem_alloc(CASE_KEY_FILE_BYTES_MAX + 1);
    memset(longest, '\n', CASE_KEY_FILE_BYTES_MAX + 1);
    struct case_key key;
    struct err err;
    assert_int_equal(case_key_parse(&key, span_of(longest, CASE_KEY_FILE_BYTES_MAX + 1), &err),
                     E_MALFORMED);
    mem_free(longest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derived_values_are_the_published_ones),
        cmocka_unit_test(every_key_submitter_and_number_has_a_tag_of_its_own),
        cmocka_unit_test(a_persons_tag_says_nothing_outside_its_case_and_purpose),
        cmocka_unit_test(counts_are_the_published_bytes_whatever_their_order),
        cmocka_unit_test(counts_are_read_as_they_were_made),
        cmocka_unit_test(counts_are_not_read_under_another_key_or_tag),
        cmocka_unit_test(counts_have_one_form),
        cmocka_unit_test(a_key_file_is_written_and_read_to_the_same),
        cmocka_unit_test(a_key_file_has_one_spelling_and_errors_name_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
