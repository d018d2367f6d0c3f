#include "base/ascii.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static enum err_code parse(const char *text, uint64_t max, uint64_t *out)
{
    struct err err;
    return decimal_parse(out, span_of_str(text), max, &err);
}

static void decimal_parse_takes_the_canonical_spelling(void **state)
{
    (void)state;
    static const uint64_t values[] = { 0, 1, 9, 10, 255, 99, INT64_MAX, UINT32_MAX, UINT64_MAX };
    for (size_t i = 0; i < COUNT(values); i++) {
        char text[32];
        snprintf(text, sizeof text, "%llu", (unsigned long long)values[i]);
        uint64_t value = 42;
        assert_int_equal(parse(text, UINT64_MAX, &value), E_OK);
        assert_true(value == values[i]);
    }
}

static void decimal_parse_refuses_all_other_spellings(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "00",
        "01",
        "007",
        "+1",
        "-1",
        "-0",
        " 1",
        "1 ",
        "1\n",
        "1.",
        "1e",
        "0x10",
        "1_0",
        "1,0",
        "a",
        "/",
        ":",
        "١",
        "18446744073709551616",
        "²",
        "--",
        "1-",
        "1+1",
        "\t1",
        "1\r\n",
        "1e3",
        "1.0",
        "99999999999999999999",
        "000000000000000000001",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint64_t value = 42;
        assert_int_equal(parse(bad[i], UINT64_MAX, &value), E_MALFORMED);
        assert_int_equal(value, 42);
    }
    uint64_t value = 42;
    struct err err;
    assert_int_equal(decimal_parse(&value, span_of("1\0", 2), 100, &err), E_MALFORMED);
}

/* Every maximum and every value around it, where rounding could go wrong. */
static void decimal_parse_holds_to_its_maximum(void **state)
{
    (void)state;
    for (uint64_t max = 0; max < 130; max++) {
        for (uint64_t number = 0; number < 300; number++) {
            char text[32];
            snprintf(text, sizeof text, "%llu", (unsigned long long)number);
            uint64_t value = 42;
            assert_int_equal(parse(text, max, &value), number <= max ? E_OK : E_MALFORMED);
            assert_true(value == (number <= max ? number : 42));
        }
    }
    uint64_t value;
    assert_int_equal(parse("18446744073709551614", UINT64_MAX - 1, &value), E_OK);
    assert_int_equal(parse("18446744073709551615", UINT64_MAX - 1, &value), E_MALFORMED);
    assert_int_equal(parse("9223372036854775807", SIZE_VALUE_MAX, &value), E_OK);
    assert_int_equal(parse("9223372036854775808", SIZE_VALUE_MAX, &value), E_MALFORMED);
}

static void hex_round_trips_every_byte(void **state)
{
    (void)state;
    uint8_t bytes[256], again[256];
    for (size_t i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
    }
    struct buf text = BUF_INIT(512);
    struct err err;
    hex_put(&text, SPAN_OF_ARRAY(bytes));
    assert_int_equal(text.len, 512);
    assert_int_equal(hex_decode(again, sizeof again, buf_span(&text), &err), E_OK);
    assert_memory_equal(bytes, again, sizeof bytes);
    buf_clear(&text);
}

static void hex_decode_takes_either_case_but_nothing_else(void **state)
{
    (void)state;
    uint8_t out[2] = { 42, 42 };
    struct err err;
    assert_int_equal(hex_decode(out, 2, span_of_str("aBcD"), &err), E_OK);
    assert_int_equal(out[0], 0xab);
    assert_int_equal(out[1], 0xcd);
    static const char *const bad[] = { "",     "a",    "abc",  "abcde", "abcdef", "abcg", "0xab",
                                       " abc", "abc ", "ab c", "ab:c",  "ab\ncd", "ab@c", "ab`c" };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(hex_decode(out, 2, span_of_str(bad[i]), &err), E_MALFORMED);
        assert_int_equal(out[0], 0xab);
    }
}

static void utf8_accepts_the_ends_of_each_length(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t code_point;
    } good[] = {
        { "\x01", 1 },
        { "\x7f", 0x7f },
        { "\xc2\x80", 0x80 },
        { "\xdf\xbf", 0x7ff },
        { "\xe0\xa0\x80", 0x800 },
        { "\xed\x9f\xbf", 0xd7ff },
        { "\xee\x80\x80", 0xe000 },
        { "\xef\xbf\xbf", 0xffff },
        { "\xf0\x90\x80\x80", 0x10000 },
        { "\xf4\x8f\xbf\xbf", 0x10ffff },
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        struct span in = span_of_str(good[i].text);
        uint32_t code_point = 0;
        assert_true(utf8_is_valid(in));
        assert_true(utf8_take(&in, &code_point));
        assert_int_equal(code_point, good[i].code_point);
        assert_int_equal(in.len, 0);
        for (size_t cut = 1; cut < strlen(good[i].text); cut++) {
            assert_false(utf8_is_valid(span_of(good[i].text, cut)));
        }
    }
    assert_true(utf8_is_valid(span_of("", 0)));
    assert_true(utf8_is_valid(span_of("\0", 1)));
}

static void utf8_refuses_overlong_surrogate_and_too_large(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xfe",
        "\xff",
        "\xc2",
        "\xc2"
        "a",
        "\xe1\x80"
        "a",
        "a\x80",
        "\xc2\x80\x80",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(utf8_is_valid(span_of_str(bad[i])));
    }
}

static void escaping_leaves_only_printable_ascii(void **state)
{
    (void)state;
    uint8_t bytes[256];
    for (size_t i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
    }
    struct buf out = BUF_INIT(4 * 256);
    ascii_put_escaped(&out, SPAN_OF_ARRAY(bytes), 256);
    for (size_t i = 0; i < out.len; i++) {
        assert_in_range(out.data[i], 0x20, 0x7e);
    }
    buf_reset(&out);
    ascii_put_escaped(&out, span_of("a\n\"\\\x7f\xff", 6), 256);
    assert_true(span_is_str(buf_span(&out), "a\\x0a\\\"\\\\\\x7f\\xff"));
    buf_reset(&out);
    ascii_put_escaped(&out, span_of_str("abcdef"), 3);
    assert_true(span_is_str(buf_span(&out), "abc..."));
    buf_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimal_parse_takes_the_canonical_spelling),
        cmocka_unit_test(decimal_parse_refuses_all_other_spellings),
        cmocka_unit_test(decimal_parse_holds_to_its_maximum),
        cmocka_unit_test(hex_round_trips_every_byte),
        cmocka_unit_test(hex_decode_takes_either_case_but_nothing_else),
        cmocka_unit_test(utf8_accepts_the_ends_of_each_length),
        cmocka_unit_test(utf8_refuses_overlong_surrogate_and_too_large),
        cmocka_unit_test(escaping_leaves_only_printable_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
