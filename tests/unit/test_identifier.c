#include "record/identifier.h"

#include "base/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

typedef enum err_code (*put_fn)(struct buf *out, struct span text, struct err *err);

static void assert_becomes(put_fn put, const char *text, const char *canonical)
{
    struct buf out = BUF_INIT(256);
    struct err err = { .msg = "" };
    if (put(&out, span_of_str(text), &err) != E_OK) {
        fail_msg("%s is refused: %s", text, err.msg);
    }
    if (!span_is_str(buf_span(&out), canonical)) {
        fail_msg("%s becomes %.*s", text, SPAN_PRINTF(buf_span(&out)));
    }
    buf_clear(&out);
}

static void assert_same(put_fn put, const char *text)
{
    assert_becomes(put, text, text);
}

/* Refused, at this position, with nothing appended, and without the value in the words. */
static void assert_refused_at(put_fn put, const char *text, unsigned position)
{
    struct buf out = BUF_INIT(256);
    struct err err = { .msg = "" };
    char words[32];
    if (put(&out, span_of_str(text), &err) != E_MALFORMED) {
        fail_msg("%s is taken", text);
    }
    assert_int_equal(out.len, 0);
    (void)snprintf(words, sizeof words, "character %u: ", position);
    if (strncmp(err.msg, words, strlen(words)) != 0) {
        fail_msg("%s: not \"%s\" but \"%s\"", text, words, err.msg);
    }
    assert_true(strlen(text) < 4 || strstr(err.msg, text) == NULL);
    buf_clear(&out);
}

/* -- case numbers -- */

static void case_numbers_of_every_court_level_are_taken(void **state)
{
    (void)state;
    static const char *const numbers[] = {
        "（2022）京01执123号",       "（2022）京执1号",          "（2022）最高法执监7号",
        "（2026）测0101执123号",     "（2026）测01执恢123号",    "（2026）测执保999999999号",
        "（1999）粤0703民初1号",     "（2022）最高法知民终12号", "（2020）内01执异5号",
        "（2020）军0101执复5号",     "（2020）兵0101执协5号",    "（2022）京01执123号之一",
        "（2022）京01执123号之十",   "（2022）京01执1号之十九",  "（2022）京01执1号之二十",
        "（2022）京01执1号之九十九",
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_same(identifier_put_case_number, numbers[i]);
    }
}

static void case_numbers_have_one_canonical_form(void **state)
{
    (void)state;
    static const char canonical[] = "（2022）京01执123号之二";
    static const char *const spellings[] = {
        "(2022)京01执123号之二",        "〔2022〕京01执123号之二",
        "(2022）京01执123号之二",       "（２０２２）京０１执１２３号之二",
        "〔２０２2〕京0１执１23号之二",
    };
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        assert_becomes(identifier_put_case_number, spellings[i], canonical);
    }
}

static void case_numbers_are_refused_at_the_wrong_character(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned position;
    } wrong[] = {
        { "", 1 },
        { " （2022）京01执123号", 1 },
        { "2022京01执123号", 1 },
        { "[2022]京01执123号", 1 },
        { "（022）京01执123号", 2 },
        { "（202）京01执123号", 5 },
        { "（20222）京01执123号", 6 },
        { "（2022〕京01执123号", 6 },
        { "〔2022）京01执123号", 6 },
        { "（2022京01执123号", 6 },
        { "（2022） 京01执123号", 7 },
        { "（2022）啊01执123号", 7 },
        { "（2022）滇01执123号", 7 },
        { "（2022）最高执123号", 9 },
        { "（2022）京1执123号", 9 },
        { "（2022）京010执123号", 11 },
        { "（2022）京01012执123号", 12 },
        { "（2022）京01123号", 12 },
        { "（2022）京01号", 10 },
        { "（2022）京01x123号", 10 },
        { "（2022）京01执执执执1号", 13 },
        { "（2022）京01执号", 11 },
        { "（2022）京01执0123号", 11 },
        { "（2022）京01执0号", 11 },
        { "（2022）京01执1234567890号", 20 },
        { "（2022）京01执123", 14 },
        { "（2022）京01执123号 ", 15 },
        { "（2022）京01执123号一", 15 },
        { "（2022）京01执123号之", 16 },
        { "（2022）京01执123号之1", 16 },
        { "（2022）京01执123号之一十", 17 },
        { "（2022）京01执123号之一二", 17 },
        { "（2022）京01执123号之十十", 17 },
        { "（2022）京01执123号之二十一一", 19 },
        { "（2022）京01执123号之百", 16 },
        { "（2022）京01执123号\xe4\xb9", 15 },
        { "（2022）京01执\xff", 11 },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_refused_at(identifier_put_case_number, wrong[i].text, wrong[i].position);
    }
}

static void what_has_nul_or_no_end_is_refused(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(256);
    struct err err;
    static const char nul[] = "（2022）京01执123号\0";
    assert_int_equal(identifier_put_case_number(&out, span_of(nul, sizeof nul), &err), E_MALFORMED);
    char endless[4096];
    memset(endless, '1', sizeof endless);
    assert_int_equal(identifier_put_citizen_id(&out, SPAN_OF_ARRAY(endless), &err), E_MALFORMED);
    assert_int_equal(identifier_put_case_number(&out, span_of(NULL, 0), &err), E_MALFORMED);
    assert_int_equal(out.len, 0);
    buf_clear(&out);
}

static void output_without_room_is_an_error(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(17);
    struct err err;
    assert_int_equal(identifier_put_citizen_id(&out, span_of_str("990000199001010017"), &err),
                     E_TOO_LARGE);
    assert_int_equal(out.len, 0);
    buf_clear(&out);
}

/* -- court codes -- */

static void court_codes_are_taken_or_refused(void **state)
{
    (void)state;
    static const char *const codes[] = { "最高法", "京",     "粤07", "粤0703", "测",
                                         "测01",   "测0101", "内",   "军",     "兵01" };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        assert_same(identifier_put_court_code, codes[i]);
    }
    assert_becomes(identifier_put_court_code, "测０１０１", "测0101");
    assert_refused_at(identifier_put_court_code, "", 1);
    assert_refused_at(identifier_put_court_code, "01", 1);
    assert_refused_at(identifier_put_court_code, "最", 2);
    assert_refused_at(identifier_put_court_code, "最高法01", 4);
    assert_refused_at(identifier_put_court_code, "粤0", 3);
    assert_refused_at(identifier_put_court_code, "粤070", 5);
    assert_refused_at(identifier_put_court_code, "粤07030", 6);
    assert_refused_at(identifier_put_court_code, "粤07执", 4);
    assert_refused_at(identifier_put_court_code, " 粤07", 1);
}

/* -- credit codes -- */

static const char *const credit_codes[] = { "91990000MA000001A8", "91990000MA00000HKL",
                                            "11990000MB00000PTT", "53990000MJ0000007C" };

static void credit_codes_with_the_right_check_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof credit_codes / sizeof credit_codes[0]; i++) {
        assert_same(identifier_put_credit_code, credit_codes[i]);
    }
    assert_becomes(identifier_put_credit_code, "91990000ma00000hkl", "91990000MA00000HKL");
    assert_becomes(identifier_put_credit_code, "９1990000ＭA00000ｈKＬ", "91990000MA00000HKL");
}

/* The weights are powers of three and the modulus is prime: no single change and no swap of neighbours passes. */
static void credit_codes_with_any_one_character_changed_are_refused(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (size_t v = 0; v < sizeof credit_codes / sizeof credit_codes[0]; v++) {
        for (size_t at = 0; at < 18; at++) {
            for (const char *c = alphabet; *c != 0; c++) {
                char code[19];
                memcpy(code, credit_codes[v], sizeof code);
                bool is_letter_of_region = at >= 2 && at < 8 && *c >= 'A';
                code[at] = *c;
                if (*c != credit_codes[v][at]) {
                    bool is_foreign = strchr("IOSVZ", *c) != NULL || is_letter_of_region;
                    assert_refused_at(identifier_put_credit_code, code,
                                      is_foreign ? (unsigned)at + 1 : 18);
                }
            }
        }
    }
    assert_refused_at(identifier_put_credit_code, "91990000MA00000HK", 18);
    assert_refused_at(identifier_put_credit_code, "91990000MA00000HKL0", 19);
    assert_refused_at(identifier_put_credit_code, " 91990000MA00000HKL", 1);
    assert_refused_at(identifier_put_credit_code, "91990000-MA00000HKL", 9);
}

/* What code computes that takes letters by their place in the alphabet: such a code must not pass. */
static void credit_codes_checked_by_the_wrong_table_are_refused(void **state)
{
    (void)state;
    char code[] = "91990000MA00000HK?";
    unsigned sum = 0, weight = 1;
    for (size_t i = 0; i < 17; i++) {
        unsigned value =
            code[i] <= '9' ? (unsigned)(code[i] - '0') : (unsigned)(code[i] - 'A' + 10);
        sum += value * weight;
        weight = weight * 3 % 31;
    }
    unsigned check = (31 - sum % 31) % 31;
    code[17] = (char)(check < 10 ? '0' + check : 'A' + check - 10);
    assert_string_not_equal(code, "91990000MA00000HKL");
    struct buf out = BUF_INIT(64);
    struct err err;
    assert_int_equal(identifier_put_credit_code(&out, span_of_str(code), &err), E_MALFORMED);
    buf_clear(&out);
}

/* -- citizen ids -- */

static const char *const citizen_ids[] = { "990000199001010017", "990101198503151239",
                                           "990000200002294045" };

static void citizen_ids_with_the_right_check_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof citizen_ids / sizeof citizen_ids[0]; i++) {
        assert_same(identifier_put_citizen_id, citizen_ids[i]);
    }
    assert_becomes(identifier_put_citizen_id, "９９００００１９９００１０１００１７",
                   "990000199001010017");
}

/* Completes 17 digits. */
static void put_check(char id[static 19], const char *first)
{
    static const unsigned weights[] = { 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2 };
    unsigned sum = 0;
    memcpy(id, first, 17);
    for (size_t i = 0; i < 17; i++) {
        sum += weights[i] * (unsigned)(first[i] - '0');
    }
    id[17] = "10X98765432"[sum % 11];
    id[18] = 0;
}

static void the_check_character_x_is_upper_case(void **state)
{
    (void)state;
    unsigned found = 0;
    for (unsigned sequence = 0; sequence < 100; sequence++) {
        char first[18], id[19], lower[19];
        (void)snprintf(first, sizeof first, "99000019900101%03u", sequence);
        put_check(id, first);
        assert_same(identifier_put_citizen_id, id);
        if (id[17] == 'X') {
            found++;
            memcpy(lower, id, sizeof lower);
            lower[17] = 'x';
            assert_becomes(identifier_put_citizen_id, lower, id);
        }
    }
    assert_true(found > 0);
}

static void citizen_ids_with_no_date_in_them_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *first;
        unsigned position;
    } wrong[] = {
        { "99000019900000001", 11 }, { "99000019901301001", 11 }, { "99000019900100001", 13 },
        { "99000019900132001", 13 }, { "99000019900431001", 13 }, { "99000019010229001", 13 },
        { "99000019000229001", 13 }, { "99000021000229001", 13 }, { "99000017991231001", 7 },
        { "99000022000101001", 7 },  { "09000019900101001", 1 },
    };
    char id[19];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        put_check(id, wrong[i].first);
        assert_refused_at(identifier_put_citizen_id, id, wrong[i].position);
    }
    put_check(id, "99000020000229001"); /* a leap year */
    assert_same(identifier_put_citizen_id, id);
}

static void citizen_ids_with_any_one_digit_changed_are_refused(void **state)
{
    (void)state;
    for (size_t v = 0; v < sizeof citizen_ids / sizeof citizen_ids[0]; v++) {
        for (size_t at = 0; at < 18; at++) {
            for (const char *c = "0123456789X"; *c != 0; c++) {
                char id[19];
                struct buf out = BUF_INIT(64);
                struct err err;
                memcpy(id, citizen_ids[v], sizeof id);
                id[at] = *c;
                bool is_same = *c == citizen_ids[v][at];
                assert_int_equal(identifier_put_citizen_id(&out, span_of_str(id), &err),
                                 is_same ? E_OK : E_MALFORMED);
                buf_clear(&out);
            }
        }
    }
    assert_refused_at(identifier_put_citizen_id, "99000019900101001", 18);
    assert_refused_at(identifier_put_citizen_id, "9900001990010100177", 19);
    assert_refused_at(identifier_put_citizen_id, "99000019900101001A", 18);
    assert_refused_at(identifier_put_citizen_id, "990000 199001010017", 7);
    assert_refused_at(identifier_put_citizen_id, "990000199001010018", 18);
}

/* An error never says what the right character would have been: that is a part of the value. */
static void errors_do_not_tell_the_check_character(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(64);
    struct err one, other;
    assert_int_equal(identifier_put_citizen_id(&out, span_of_str("990000199001010018"), &one),
                     E_MALFORMED);
    assert_int_equal(identifier_put_citizen_id(&out, span_of_str("990101198503151230"), &other),
                     E_MALFORMED);
    assert_string_equal(one.msg, other.msg);
    buf_clear(&out);
}

/* -- hidden in other texts -- */

static void identifiers_are_found_inside_texts(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "990000199001010017",
        "id990000199001010017x",
        "a990000199001010017.example",
        "of 990101198503151239, born",
        "９９００００１９９００１０１００１７",
        "990000 19900101 0017",
        "91990000MA00000HKL",
        "91990000ma00000hkl.bank.example",
        "x-91990000-ma00000hkl-y",
        "x91990000ma00000hkly",
        "（2022）京01执123号",
        "in (2022) 京 01 执 123 号 it",
        "2022京01执123号",
        "测0101执1号",
        "最高法执监7号",
        "13800000000",
        "+86 13800000000",
        "tel:138-0000-0000!",
        "court13912345678",
        "6200990123456789",
        "6200 9901 2345 6789 012",
        "620099012345678",
        "\xff\xfe+13800000000",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (!identifier_is_hidden_in(span_of_str(texts[i]))) {
            fail_msg("nothing is found in %s", texts[i]);
        }
    }
}

static void harmless_texts_are_harmless(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "court.example",
        "enforcement-0101.courts.example",
        "bank-17.example:6963",
        "2026-03-04T09:31Z",
        "2026-03-04 09:31:07.123456",
        "1788652800",
        "12345678901",
        "1234567890123",
        "12800000000",
        "京01",
        "测0101",
        "执123号",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "a0000000000000000000000000000000000000000000000000123456789012345",
        "550e8400-e29b-41d4-a716-446655440000",
        "18446744073709551615",
        "99000019900101",
        "\xff\xfe\xfd",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (identifier_is_hidden_in(span_of_str(texts[i]))) {
            fail_msg("something is found in %s", texts[i]);
        }
    }
}

/* A gate that refused a record for its digest would refuse one in a few hundred. */
static void digests_in_hex_are_harmless(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct hash hash = sha256(span_of(&i, sizeof i));
        char hex[2 * HASH_BYTES + 1];
        for (size_t k = 0; k < HASH_BYTES; k++) {
            (void)snprintf(hex + 2 * k, 3, "%02x", hash.bytes[k]);
        }
        assert_false(identifier_is_hidden_in(span_of_str(hex)));
        assert_false(identifier_is_hidden_in(span_of(hex, 32)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_numbers_of_every_court_level_are_taken),
        cmocka_unit_test(case_numbers_have_one_canonical_form),
        cmocka_unit_test(case_numbers_are_refused_at_the_wrong_character),
        cmocka_unit_test(what_has_nul_or_no_end_is_refused),
        cmocka_unit_test(output_without_room_is_an_error),
        cmocka_unit_test(court_codes_are_taken_or_refused),
        cmocka_unit_test(credit_codes_with_the_right_check_are_taken),
        cmocka_unit_test(credit_codes_with_any_one_character_changed_are_refused),
        cmocka_unit_test(credit_codes_checked_by_the_wrong_table_are_refused),
        cmocka_unit_test(citizen_ids_with_the_right_check_are_taken),
        cmocka_unit_test(the_check_character_x_is_upper_case),
        cmocka_unit_test(citizen_ids_with_no_date_in_them_are_refused),
        cmocka_unit_test(citizen_ids_with_any_one_digit_changed_are_refused),
        cmocka_unit_test(errors_do_not_tell_the_check_character),
        cmocka_unit_test(identifiers_are_found_inside_texts),
        cmocka_unit_test(harmless_texts_are_harmless),
        cmocka_unit_test(digests_in_hex_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
