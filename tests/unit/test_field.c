#include "record/field.h"
#include "record/identifier.h"

#include "base/ascii.h"
#include "record/commitment.h"
#include "record/kind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum {
    TEXT_MAX = 8192
};

static struct span u64(uint8_t bytes[static 8], uint64_t value)
{
    for (size_t i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(value >> (56 - 8 * i));
    }
    return span_of(bytes, 8);
}

static void assert_taken(unsigned number, struct span value)
{
    struct err err = { .msg = "" };
    if (field_check(number, value, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
}

static void assert_no_spelling(unsigned number, struct span value)
{
    struct err err = { .msg = "" };
    assert_int_equal(field_check(number, value, &err), E_MALFORMED);
    const char *name = field_definition(number)->name;
    assert_memory_equal(err.msg, name, strlen(name)); /* the error begins with the field's name */
}

/* Given text becomes the value whose text is `canonical`. */
static void assert_reads(unsigned number, const char *text, const char *canonical)
{
    struct buf value = BUF_INIT(FIELD_VALUE_BYTES_MAX), again = BUF_INIT(TEXT_MAX);
    struct err err = { .msg = "" };
    if (field_put_value(&value, number, span_of_str(text), &err) != E_OK) {
        fail_msg("%s: %s", text, err.msg);
    }
    assert_taken(number, buf_span(&value));
    field_put_text(&again, number, buf_span(&value));
    if (!span_is_str(buf_span(&again), canonical)) {
        fail_msg("%s becomes %.*s", text, SPAN_PRINTF(buf_span(&again)));
    }
    buf_clear(&value);
    buf_clear(&again);
}

static void assert_refused(unsigned number, const char *text, const char *words)
{
    struct buf value = BUF_INIT(FIELD_VALUE_BYTES_MAX);
    struct err err = { .msg = "" };
    if (field_put_value(&value, number, span_of_str(text), &err) != E_MALFORMED) {
        fail_msg("\"%s\" is taken", text);
    }
    assert_string_equal(err.msg, words);
    assert_int_equal(err.code, E_MALFORMED);
    assert_int_equal(value.len, 0);
    buf_clear(&value);
}

/* -- the list -- */

static void every_field_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < FIELDS; i++) {
        unsigned found = FIELDS;
        assert_true(field_parse_name(&found, span_of_str(field_definition(i)->name)));
        assert_int_equal(found, i);
    }
    unsigned found = 77;
    assert_false(field_parse_name(&found, span_of_str("")));
    assert_false(field_parse_name(&found, span_of_str("Amount")));
    assert_false(field_parse_name(&found, span_of_str("amount ")));
    assert_false(field_parse_name(&found, span_of("amount\0", 7)));
    assert_int_equal(found, 77);
}

/* Numbers are part of the format: whoever moves one breaks every record there is. */
static void the_numbers_are_the_published_ones(void **state)
{
    (void)state;
    static const char *const names[FIELDS] = {
        "number",      "case-number", "officer",   "kind",     "minute", "court",       "submitter",
        "certificate", "references",  "applicant", "debtor",   "party",  "institution", "amount",
        "amount-due",  "asset",       "payee",     "start",    "end",    "due",         "method",
        "result",      "approver",    "role",      "basis",    "count",  "asset-kind",  "account",
        "place",       "reason",      "digest",    "reserved",
    };
    for (unsigned i = 0; i < FIELDS; i++) {
        assert_string_equal(field_definition(i)->name, names[i]);
    }
}

static void the_reserved_field_takes_nothing(void **state)
{
    (void)state;
    assert_no_spelling(FIELD_RESERVED, span_of(NULL, 0));
    assert_no_spelling(FIELD_RESERVED, span_of_str("x"));
    assert_refused(FIELD_RESERVED, "x", "reserved: is reserved: always absent");
}

/* -- second spellings -- */

static void integers_have_8_bytes_and_a_range(void **state)
{
    (void)state;
    static const unsigned numbers[] = { FIELD_NUMBER, FIELD_AMOUNT, FIELD_START,
                                        FIELD_MINUTE, FIELD_METHOD, FIELD_COUNT };
    static const uint64_t maxima[] = { UINT64_MAX, UINT64_C(1) << 53,
                                       2932896,    UINT64_C(2932896) * 1440 + 1439,
                                       65535,      UINT64_MAX };
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_taken(numbers[i], u64(bytes, 0));
        assert_taken(numbers[i], u64(bytes, maxima[i]));
        if (maxima[i] != UINT64_MAX) {
            assert_no_spelling(numbers[i], u64(bytes, maxima[i] + 1));
            assert_no_spelling(numbers[i], u64(bytes, UINT64_MAX));
        }
        uint8_t padded[16] = { 0 };
        for (size_t len = 0; len < sizeof padded; len++) {
            if (len != 8) { /* 7 bytes of a small number, 9 with a leading zero, ASCII digits */
                assert_no_spelling(numbers[i], span_of(padded, len));
            }
        }
        assert_no_spelling(numbers[i], span_of_str("12345"));
    }
}

static void the_kind_field_names_what_may_be_sealed(void **state)
{
    (void)state;
    uint8_t bytes[8];
    size_t sealable = 0;
    for (uint64_t number = 0; number < 300; number++) {
        const struct kind *kind = kind_find((uint32_t)number);
        struct err err;
        bool may_be = kind != NULL && (kind->is_control || number == KIND_DECOY);
        assert_int_equal(field_check(FIELD_KIND, u64(bytes, number), &err),
                         may_be ? E_OK : E_MALFORMED);
        sealable += may_be;
    }
    assert_true(sealable > 5);
    assert_no_spelling(FIELD_KIND, u64(bytes, (UINT64_C(1) << 32) + KIND_FREEZE));
    assert_reads(FIELD_KIND, "FREEZE", "FREEZE");
    assert_reads(FIELD_KIND, "DECOY", "DECOY");
    assert_refused(FIELD_KIND, "SEALED", "kind: character 1: no kind that may be sealed");
    assert_refused(FIELD_KIND, "CLOSED", "kind: character 1: no kind that may be sealed");
    assert_refused(FIELD_KIND, "freeze", "kind: character 1: no kind that may be sealed");
    assert_refused(FIELD_KIND, "32", "kind: character 1: no kind that may be sealed");
}

static void texts_have_one_spelling(void **state)
{
    (void)state;
    static const unsigned numbers[] = { FIELD_BASIS, FIELD_ACCOUNT, FIELD_PLACE, FIELD_REASON };
    static const char *const wrong[] = { "",     " a",   "a ",   "　甲",     "e\xcc\x81",
                                         "a\tb", "a\nb", "\xff", "\xc0\xaf", "\xef\xa4\x80" };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_taken(numbers[i], span_of_str("\xc3\xa9"));
        assert_taken(numbers[i], span_of_str("甲 乙"));
        for (size_t k = 0; k < sizeof wrong / sizeof wrong[0]; k++) {
            assert_no_spelling(numbers[i], span_of_str(wrong[k]));
        }
        char text[FIELD_VALUE_BYTES_MAX + 1];
        memset(text, 'a', sizeof text);
        assert_taken(numbers[i], span_of(text, FIELD_VALUE_BYTES_MAX));
        assert_no_spelling(numbers[i], span_of(text, sizeof text));
    }
}

static void identifiers_have_one_spelling(void **state)
{
    (void)state;
    static const struct {
        unsigned number;
        const char *text;
        bool is_taken;
    } all[] = {
        { FIELD_CASE_NUMBER, "（2022）京01执123号", true },
        { FIELD_CASE_NUMBER, "(2022)京01执123号", false },
        { FIELD_CASE_NUMBER, "〔2022〕京01执123号", false },
        { FIELD_CASE_NUMBER, "（２022）京01执123号", false },
        { FIELD_CASE_NUMBER, "（2022）京01执0123号", false },
        { FIELD_CASE_NUMBER, " （2022）京01执123号", false },
        { FIELD_CASE_NUMBER, "（2022）京01执123号 ", false },
        { FIELD_CASE_NUMBER, "", false },
        { FIELD_COURT, "京01", true },
        { FIELD_COURT, "京０1", false },
        { FIELD_COURT, "京01 ", false },
        { FIELD_DEBTOR, "990000199001010017", true },
        { FIELD_DEBTOR, "９90000199001010017", false },
        { FIELD_DEBTOR, "91990000MA00000HKL", true },
        { FIELD_DEBTOR, "91990000ma00000hkl", false },
        { FIELD_DEBTOR, "91990000MA00000HK1", false },
        { FIELD_DEBTOR, "990000199001010018", false },
        { FIELD_DEBTOR, "测试", false },
        { FIELD_INSTITUTION, "91990000MA00000HKL", true },
        { FIELD_INSTITUTION, "91990000MA00000HKl", false },
        { FIELD_INSTITUTION, "990000199001010017", false },
        { FIELD_INSTITUTION, "\xff", false },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct err err;
        enum err_code rc = field_check(all[i].number, span_of_str(all[i].text), &err);
        if (rc != (all[i].is_taken ? E_OK : E_MALFORMED)) {
            fail_msg("%s", all[i].text);
        }
        assert_true(all[i].is_taken || all[i].text[0] == 0 || strstr(err.msg, all[i].text) == NULL);
    }
}

static void bytes_have_their_sizes(void **state)
{
    (void)state;
    static const struct {
        unsigned number;
        size_t size;
    } all[] = { { FIELD_OFFICER, 16 },  { FIELD_ASSET, 16 },     { FIELD_PAYEE, 16 },
                { FIELD_APPROVER, 16 }, { FIELD_SUBMITTER, 16 }, { FIELD_CERTIFICATE, 80 },
                { FIELD_DIGEST, 32 } };
    uint8_t bytes[2 * FIELD_VALUE_BYTES_MAX] = { 0xff };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        for (size_t len = 0; len < 200; len++) {
            struct err err;
            assert_int_equal(field_check(all[i].number, span_of(bytes, len), &err),
                             len == all[i].size ? E_OK : E_MALFORMED);
        }
    }
    for (size_t len = 0; len < sizeof bytes; len++) {
        struct err err;
        assert_int_equal(field_check(FIELD_REFERENCES, span_of(bytes, len), &err),
                         len % 64 == 0 && len <= 1024 ? E_OK : E_MALFORMED);
    }
}

/* The second spelling of a value would also be a second commitment to it: the check is what there is against it. */
static void a_second_spelling_has_another_digest_and_is_refused(void **state)
{
    (void)state;
    static const struct hash context;
    static const uint8_t amount[] = { 0, 0, 0, 0, 0, 0, 4, 210 };
    static const struct {
        unsigned number;
        struct span one, other;
    } all[] = {
        { FIELD_AMOUNT, { amount, 8 }, { amount + 1, 7 } },
        { FIELD_REASON, { (const uint8_t *)"a", 1 }, { (const uint8_t *)" a", 2 } },
        { FIELD_REASON, { (const uint8_t *)"\xc3\xa9", 2 }, { (const uint8_t *)"e\xcc\x81", 3 } },
        { FIELD_INSTITUTION,
          { (const uint8_t *)"91990000MA00000HKL", 18 },
          { (const uint8_t *)"91990000ma00000hkl", 18 } },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct field_value one = { .is_present = true, .value = all[i].one };
        struct field_value other = { .is_present = true, .value = all[i].other };
        struct hash a = commitment_digest(&context, all[i].number, &one);
        struct hash b = commitment_digest(&context, all[i].number, &other);
        assert_false(hash_is_equal(&a, &b));
        assert_taken(all[i].number, all[i].one);
        assert_no_spelling(all[i].number, all[i].other);
    }
}

/* -- reading and writing -- */

static void what_people_write_becomes_the_one_spelling(void **state)
{
    (void)state;
    assert_reads(FIELD_NUMBER, "0", "0");
    assert_reads(FIELD_NUMBER, "18446744073709551615", "18446744073709551615");
    assert_reads(FIELD_AMOUNT, "1234500", "1234500");
    assert_reads(FIELD_AMOUNT, "9007199254740992", "9007199254740992");
    assert_reads(FIELD_METHOD, "65535", "65535");
    assert_reads(FIELD_START, "1970-01-01", "1970-01-01");
    assert_reads(FIELD_START, "2024-02-29", "2024-02-29");
    assert_reads(FIELD_START, "9999-12-31", "9999-12-31");
    assert_reads(FIELD_MINUTE, "1970-01-01T00:00Z", "1970-01-01T00:00Z");
    assert_reads(FIELD_MINUTE, "2026-03-04T09:31Z", "2026-03-04T09:31Z");
    assert_reads(FIELD_MINUTE, "9999-12-31T23:59Z", "9999-12-31T23:59Z");
    assert_reads(FIELD_CASE_NUMBER, "(2022)京01执123号", "（2022）京01执123号");
    assert_reads(FIELD_COURT, "测０１０１", "测0101");
    assert_reads(FIELD_DEBTOR, "990000199001010017", "990000199001010017");
    assert_reads(FIELD_DEBTOR, "91990000ma00000hkl", "91990000MA00000HKL");
    assert_reads(FIELD_INSTITUTION, "91990000ma00000hkl", "91990000MA00000HKL");
    assert_reads(FIELD_PLACE, " e\xcc\x81 ", "\xc3\xa9");
    assert_reads(FIELD_OFFICER, "000102030405060708090A0B0C0D0E0F",
                 "000102030405060708090a0b0c0d0e0f");
    assert_reads(FIELD_REFERENCES, "", "");
}

static void dates_are_days_and_minutes_since_1970(void **state)
{
    (void)state;
    struct buf value = BUF_INIT(64);
    struct err err;
    uint8_t bytes[8];
    assert_int_equal(field_put_value(&value, FIELD_START, span_of_str("2026-03-04"), &err), E_OK);
    assert_true(span_is_equal(buf_span(&value), u64(bytes, 20516)));
    buf_reset(&value);
    assert_int_equal(field_put_value(&value, FIELD_MINUTE, span_of_str("2026-03-04T09:31Z"), &err),
                     E_OK);
    assert_true(span_is_equal(buf_span(&value), u64(bytes, UINT64_C(20516) * 1440 + 571)));
    buf_clear(&value);
}

static void what_is_wrong_is_refused_at_its_position(void **state)
{
    (void)state;
    assert_refused(FIELD_AMOUNT, "", "amount: character 1: expected a digit");
    assert_refused(FIELD_AMOUNT, "12a4", "amount: character 3: expected a digit");
    assert_refused(FIELD_AMOUNT, "-1", "amount: character 1: expected a digit");
    assert_refused(FIELD_AMOUNT, "1.5", "amount: character 2: expected a digit");
    assert_refused(FIELD_AMOUNT, "12 ", "amount: character 3: expected a digit");
    assert_refused(FIELD_AMOUNT, "１", "amount: character 1: expected a digit");
    assert_refused(FIELD_AMOUNT, "012", "amount: character 1: a leading zero");
    assert_refused(FIELD_AMOUNT, "9007199254740993", "amount: character 16: over 9007199254740992");
    assert_refused(FIELD_METHOD, "65536", "method: character 5: over 65535");
    assert_refused(FIELD_COUNT, "18446744073709551616",
                   "count: character 20: over 18446744073709551615");
    assert_refused(FIELD_START, "2026-3-04", "start: character 7: expected the form 0000-00-00");
    assert_refused(FIELD_START, "2026-03-04T", "start: character 11: expected the form 0000-00-00");
    assert_refused(FIELD_START, "2026-03", "start: character 8: expected the form 0000-00-00");
    assert_refused(FIELD_START, "2026/03/04", "start: character 5: expected the form 0000-00-00");
    assert_refused(FIELD_START, "2025-02-29", "start: character 9: no such date");
    assert_refused(FIELD_START, "2025-13-01", "start: character 6: no such date");
    assert_refused(FIELD_START, "2025-00-01", "start: character 6: no such date");
    assert_refused(FIELD_START, "2025-01-00", "start: character 9: no such date");
    assert_refused(FIELD_START, "1969-12-31", "start: character 1: before 1970");
    assert_refused(FIELD_START, "0000-01-01", "start: character 1: before 1970");
    assert_refused(FIELD_MINUTE, "2026-03-04T24:00Z", "minute: character 12: no such time");
    assert_refused(FIELD_MINUTE, "2026-03-04T23:60Z", "minute: character 15: no such time");
    assert_refused(FIELD_MINUTE, "2026-03-04 09:31Z",
                   "minute: character 11: expected the form 0000-00-00T00:00Z");
    assert_refused(FIELD_MINUTE, "2026-03-04T09:31:00Z",
                   "minute: character 17: expected the form 0000-00-00T00:00Z");
    assert_refused(FIELD_CASE_NUMBER, "（2022）京1执123号",
                   "case-number: character 9: expected no, two or four digits of a court code");
    assert_refused(FIELD_DEBTOR, "990000199001010018",
                   "debtor: as a citizen id: character 18: expected another check character");
    assert_refused(FIELD_DEBTOR, "91990000MA00000HKM",
                   "debtor: as a credit code: character 18: expected another check character");
    assert_refused(FIELD_REASON, "a\tb", "reason: character 2: a control or invisible character");
    assert_refused(FIELD_REASON, "", "reason: character 1: an empty text");
    assert_refused(FIELD_OFFICER, "00010203040506070809",
                   "officer: character 21: expected 32 hexadecimal digits");
    assert_refused(FIELD_OFFICER, "0001020304050607080x0a0b0c0d0e0f",
                   "officer: character 20: expected a hexadecimal digit");
    assert_refused(FIELD_OFFICER, "000102030405060708090a0b0c0d0e0f0",
                   "officer: character 33: expected the end");
}

/* Nothing tells which of the two it is, and no second spelling comes of it. */
static void digits_that_are_both_an_id_and_a_credit_code_are_one_value(void **state)
{
    (void)state;
    static const char both[] = "990000199001010199";
    struct buf id = BUF_INIT(64), code = BUF_INIT(64);
    struct err err;
    assert_int_equal(identifier_put_citizen_id(&id, span_of_str(both), &err), E_OK);
    assert_int_equal(identifier_put_credit_code(&code, span_of_str(both), &err), E_OK);
    assert_true(span_is_equal(buf_span(&id), buf_span(&code)));
    assert_reads(FIELD_DEBTOR, both, both);
    assert_reads(FIELD_INSTITUTION, both, both);
    buf_clear(&id);
    buf_clear(&code);
}

static void references_are_read_one_by_one(void **state)
{
    (void)state;
    char one[129], text[17 * 129 + 2] = "";
    memset(one, 'a', 128);
    one[128] = 0;
    size_t len = 0;
    for (size_t count = 1; count <= 16; count++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", count > 1 ? "," : "", one);
        assert_reads(FIELD_REFERENCES, text, text);
    }
    struct buf value = BUF_INIT(TEXT_MAX);
    struct err err;
    (void)snprintf(text + len, sizeof text - len, ",%s", one);
    assert_int_equal(field_put_value(&value, FIELD_REFERENCES, span_of_str(text), &err),
                     E_MALFORMED);
    (void)snprintf(text, sizeof text, "%s,", one);
    assert_refused(FIELD_REFERENCES, text,
                   "references: character 130: expected 128 hexadecimal digits");
    (void)snprintf(text, sizeof text, "%s,x", one);
    assert_refused(FIELD_REFERENCES, text,
                   "references: character 130: expected a hexadecimal digit");
    assert_refused(FIELD_REFERENCES, ",",
                   "references: character 1: expected 128 hexadecimal digits");
    assert_int_equal(value.len, 0);
    buf_clear(&value);
}

/* Whatever field_check takes, field_put_text writes and field_put_value reads to the same bytes. */
static void writing_and_reading_gives_the_same_value(void **state)
{
    (void)state;
    uint32_t random = 7;
    for (unsigned round = 0; round < 4000; round++) {
        unsigned number = round % FIELDS;
        uint8_t bytes[128];
        for (size_t i = 0; i < sizeof bytes; i++) {
            random = random * 1664525 + 1013904223;
            bytes[i] = (uint8_t)(random >> 24);
        }
        static const size_t sizes[] = { 8, 16, 32, 64, 80, 128 };
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            struct err err;
            if (sizes[k] == 8) { /* a number that a date can be */
                memset(bytes, 0, round % 2 == 0 ? 6 : 5);
            }
            struct span value = span_of(bytes, sizes[k]);
            if (field_check(number, value, &err) != E_OK) {
                continue;
            }
            struct buf text = BUF_INIT(TEXT_MAX), again = BUF_INIT(FIELD_VALUE_BYTES_MAX);
            field_put_text(&text, number, value);
            assert_int_equal(field_put_value(&again, number, buf_span(&text), &err), E_OK);
            assert_true(span_is_equal(buf_span(&again), value));
            buf_clear(&text);
            buf_clear(&again);
        }
    }
}

static void values_without_room_are_refused_whole(void **state)
{
    (void)state;
    static const struct {
        unsigned number;
        const char *text;
    } all[] = { { FIELD_AMOUNT, "12" },
                { FIELD_START, "2026-03-04" },
                { FIELD_REASON, "eight by" },
                { FIELD_COURT, "测0101测" },
                { FIELD_OFFICER, "000102030405060708090a0b0c0d0e0f" } };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct buf value = BUF_INIT(5);
        struct err err;
        assert_int_equal(field_put_value(&value, all[i].number, span_of_str(all[i].text), &err),
                         E_MALFORMED);
        assert_int_equal(value.len, 0);
        buf_clear(&value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_has_a_name_of_its_own),
        cmocka_unit_test(the_numbers_are_the_published_ones),
        cmocka_unit_test(the_reserved_field_takes_nothing),
        cmocka_unit_test(integers_have_8_bytes_and_a_range),
        cmocka_unit_test(the_kind_field_names_what_may_be_sealed),
        cmocka_unit_test(texts_have_one_spelling),
        cmocka_unit_test(identifiers_have_one_spelling),
        cmocka_unit_test(bytes_have_their_sizes),
        cmocka_unit_test(a_second_spelling_has_another_digest_and_is_refused),
        cmocka_unit_test(what_people_write_becomes_the_one_spelling),
        cmocka_unit_test(dates_are_days_and_minutes_since_1970),
        cmocka_unit_test(what_is_wrong_is_refused_at_its_position),
        cmocka_unit_test(digits_that_are_both_an_id_and_a_credit_code_are_one_value),
        cmocka_unit_test(references_are_read_one_by_one),
        cmocka_unit_test(writing_and_reading_gives_the_same_value),
        cmocka_unit_test(values_without_room_are_refused_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
