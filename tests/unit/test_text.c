#include "record/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum {
    TEXT_MAX = 1024
};

static void assert_becomes(const char *text, const char *expected)
{
    struct buf out = BUF_INIT(4096);
    struct err err = { .msg = "" };
    if (text_put(&out, span_of_str(text), TEXT_MAX, &err) != E_OK) {
        fail_msg("\"%s\" is refused: %s", text, err.msg);
    }
    assert_true(span_is_str(buf_span(&out), expected));
    assert_int_equal(text_check(buf_span(&out), &err), E_OK);
    enum err_code as_it_is = strcmp(text, expected) == 0 ? E_OK : E_MALFORMED;
    assert_int_equal(text_check(span_of_str(text), &err), as_it_is);
    buf_clear(&out);
}

static void texts_become_nfc(void **state)
{
    (void)state;
    assert_becomes("abc", "abc");
    assert_becomes("（2022）京01执123号裁定", "（2022）京01执123号裁定");
    assert_becomes("e\xcc\x81", "\xc3\xa9");
    assert_becomes("\xe2\x84\xab", "\xc3\x85");                             /* the Angstrom sign */
    assert_becomes("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "\xed\x95\x9c"); /* Hangul */
    assert_becomes("\xef\xa4\x80", "\xe8\xb1\x88");              /* a compatibility ideograph */
    assert_becomes("a\xcc\x87\xcc\xa3", "\xe1\xba\xa1\xcc\x87"); /* marks in the wrong order */
    assert_becomes("\xf0\xa0\x80\x80", "\xf0\xa0\x80\x80");      /* a rare ideograph */
}

static void only_the_canonical_equivalents_are_folded(void **state)
{
    (void)state;
    assert_becomes("１２３", "１２３"); /* NFKC would change these */
    assert_becomes("ﬁ", "ﬁ");
    assert_becomes("a  b", "a  b");
}

static void blanks_around_are_dropped(void **state)
{
    (void)state;
    assert_becomes(" abc", "abc");
    assert_becomes("abc  ", "abc");
    assert_becomes("　甲 乙　", "甲 乙");                     /* ideographic blanks */
    assert_becomes("\xc2\xa0x\xe2\x80\x80\xe2\x80\xaf", "x"); /* no-break, en quad, narrow */
    assert_becomes("  e\xcc\x81 ", "\xc3\xa9");
}

static void assert_refused(struct span text, const char *words)
{
    struct buf out = BUF_INIT(4096);
    struct err err = { .msg = "" };
    assert_int_equal(text_put(&out, text, TEXT_MAX, &err), E_MALFORMED);
    assert_string_equal(err.msg, words);
    assert_int_equal(text_check(text, &err), E_MALFORMED);
    assert_int_equal(out.len, 0);
    buf_clear(&out);
}

static void what_is_no_text_is_refused(void **state)
{
    (void)state;
    assert_refused(span_of(NULL, 0), "character 1: an empty text");
    assert_refused(span_of_str("  　 "), "character 1: an empty text");
    assert_refused(span_of_str("甲\xff"), "character 2: not UTF-8");
    assert_refused(span_of_str("ab\xe7\x94"), "character 3: not UTF-8");
    assert_refused(span_of_str("\xc0\xaf"), "character 1: not UTF-8");
    assert_refused(span_of_str("\xed\xa0\x80"), "character 1: not UTF-8");
    assert_refused(span_of_str("\xf4\x90\x80\x80"), "character 1: not UTF-8");
}

static void controls_and_what_cannot_be_seen_are_refused(void **state)
{
    (void)state;
    static const char *const controls[] = {
        "\x01",         "\t",           "\n",           "\r",
        "\x1b",         "\x7f",         "\xc2\x80",     "\xc2\x85",
        "\xc2\xad",     "\xe2\x80\x8b", "\xe2\x80\x8d", "\xe2\x80\xae",
        "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x81\xa6", "\xef\xbb\xbf",
    };
    for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "甲%sb", controls[i]);
        assert_refused(span_of_str(text), "character 2: a control or invisible character");
        (void)snprintf(text, sizeof text, "甲b%s", controls[i]);
        assert_refused(span_of_str(text), "character 3: a control or invisible character");
    }
    assert_refused(span_of("a\0b", 3), "character 2: a control or invisible character");
}

static void assert_second_spelling(const char *text, const char *words)
{
    struct err err = { .msg = "" };
    assert_int_equal(text_check(span_of_str(text), &err), E_MALFORMED);
    assert_string_equal(err.msg, words);
}

static void text_check_says_what_is_wrong_where(void **state)
{
    (void)state;
    assert_second_spelling(" a", "character 1: a blank at the beginning");
    assert_second_spelling("　a", "character 1: a blank at the beginning");
    assert_second_spelling("甲 ", "a blank at the end");
    assert_second_spelling("甲e\xcc\x81", "character 2: not in Unicode's form NFC");
    assert_second_spelling("甲乙\xef\xa4\x80", "character 3: not in Unicode's form NFC");
}

static void texts_over_the_maximum_are_too_large(void **state)
{
    (void)state;
    char text[8 * TEXT_MAX];
    struct buf out = BUF_INIT(sizeof text);
    struct err err;
    memset(text, 'a', sizeof text);
    assert_int_equal(text_put(&out, span_of(text, TEXT_MAX), TEXT_MAX, &err), E_OK);
    buf_reset(&out);
    assert_int_equal(text_put(&out, span_of(text, TEXT_MAX + 1), TEXT_MAX, &err), E_TOO_LARGE);
    assert_int_equal(text_put(&out, span_of(text, sizeof text), TEXT_MAX, &err), E_TOO_LARGE);
    memset(text, ' ', sizeof text);
    text[TEXT_MAX] = 'a'; /* it is the text that counts, not what is dropped */
    assert_int_equal(text_put(&out, span_of(text, 2 * TEXT_MAX), TEXT_MAX, &err), E_OK);
    assert_int_equal(out.len, 1);
    buf_clear(&out);
    struct buf small = BUF_INIT(2);
    assert_int_equal(text_put(&small, span_of_str("abc"), TEXT_MAX, &err), E_TOO_LARGE);
    assert_int_equal(small.len, 0);
    buf_clear(&small);
}

/* The characters that grow most, and marks without end: all of it fits the memory given to the library. */
static void the_worst_of_unicode_is_normalised(void **state)
{
    (void)state;
    static const char *const worst[] = { "\xf0\x9d\x85\xa0", "\xef\xac\xac", "\xcd\x84",
                                         "\xcc\x81",         "\xe1\x85\xa1", "\xe0\xbd\xb3" };
    for (size_t i = 0; i < sizeof worst / sizeof worst[0]; i++) {
        struct buf text = BUF_INIT(8192), out = BUF_INIT(65536);
        struct err err;
        buf_put_str(&text, "a");
        for (size_t k = 0; k < 1000; k++) {
            buf_put_str(&text, worst[i]);
        }
        assert_int_equal(text_put(&out, buf_span(&text), 65536, &err), E_OK);
        assert_int_equal(text_check(buf_span(&out), &err), E_OK);
        assert_true(out.len <= 3 * text.len);
        buf_clear(&text);
        buf_clear(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_become_nfc),
        cmocka_unit_test(only_the_canonical_equivalents_are_folded),
        cmocka_unit_test(blanks_around_are_dropped),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(controls_and_what_cannot_be_seen_are_refused),
        cmocka_unit_test(text_check_says_what_is_wrong_where),
        cmocka_unit_test(texts_over_the_maximum_are_too_large),
        cmocka_unit_test(the_worst_of_unicode_is_normalised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
