#include "base/span.h"

#include "tests/support/death.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct span text(const char *s)
{
    return span_of_str(s);
}

static void span_equality_looks_at_length_and_bytes(void **state)
{
    (void)state;
    struct span empty = { NULL, 0 };
    assert_true(span_is_equal(empty, text("")));
    assert_true(span_is_equal(text("ab"), text("ab")));
    assert_false(span_is_equal(text("ab"), text("ac")));
    assert_false(span_is_equal(text("ab"), text("abc")));
    assert_false(span_is_equal(text("ab"), empty));
    assert_true(span_is_str(text("ab"), "ab"));
    assert_false(span_is_str(span_of("ab\0c", 4), "ab"));
}

static void span_compare_orders_by_unsigned_byte_then_length(void **state)
{
    (void)state;
    static const char *const ascending[] = { "", "a", "aa", "ab", "b", "\x7f", "\x80", "\xff" };
    for (size_t i = 0; i < 8; i++) {
        for (size_t j = 0; j < 8; j++) {
            int order = span_compare(text(ascending[i]), text(ascending[j]));
            assert_int_equal(order < 0, i < j);
            assert_int_equal(order > 0, i > j);
        }
    }
}

static void span_prefix_and_suffix_include_the_whole_and_nothing(void **state)
{
    (void)state;
    assert_true(span_has_prefix(text("abc"), text("ab")));
    assert_true(span_has_prefix(text("abc"), text("abc")));
    assert_true(span_has_prefix(text("abc"), text("")));
    assert_false(span_has_prefix(text("ab"), text("abc")));
    assert_true(span_has_suffix(text("abc"), text("bc")));
    assert_true(span_has_suffix(text("abc"), text("abc")));
    assert_true(span_has_suffix(text("abc"), text("")));
    assert_false(span_has_suffix(text("bc"), text("abc")));
}

static void span_find_gives_first_and_last_place(void **state)
{
    (void)state;
    assert_int_equal(span_find(text("abcabc"), text("bc")), 1);
    assert_int_equal(span_find_last(text("abcabc"), text("bc")), 4);
    assert_int_equal(span_find(text("aaa"), text("aa")), 0);
    assert_int_equal(span_find_last(text("aaa"), text("aa")), 1);
    assert_true(span_find(text("abc"), text("x")) == SIZE_MAX);
    assert_true(span_find_last(text("abc"), text("x")) == SIZE_MAX);
    assert_true(span_find(text("abc"), text("abcd")) == SIZE_MAX);
    assert_true(span_find_last(text("abc"), text("abcd")) == SIZE_MAX);
    assert_true(span_find(text("abc"), text("")) == SIZE_MAX);
    assert_true(span_find_last(text("abc"), text("")) == SIZE_MAX);
    assert_true(span_find((struct span){ NULL, 0 }, text("a")) == SIZE_MAX);
}

static void span_take_shrinks_from_the_left(void **state)
{
    (void)state;
    struct span in = text("abc");
    struct span out;
    assert_true(span_take(&in, 2, &out));
    assert_true(span_is_str(out, "ab"));
    assert_true(span_is_str(in, "c"));
    assert_true(span_take(&in, 0, &out));
    assert_int_equal(out.len, 0);
    assert_false(span_take(&in, 2, &out));
    assert_true(span_is_str(in, "c"));
}

static void span_take_until_drops_the_separator(void **state)
{
    (void)state;
    struct span in = text("a,,b");
    struct span out;
    assert_true(span_take_until(&in, ',', &out));
    assert_true(span_is_str(out, "a"));
    assert_true(span_take_until(&in, ',', &out));
    assert_true(span_is_str(out, ""));
    assert_false(span_take_until(&in, ',', &out));
    assert_true(span_is_str(in, "b"));
}

static void span_take_prefix_leaves_other_text_alone(void **state)
{
    (void)state;
    struct span in = text("log x");
    assert_false(span_take_prefix(&in, text("witness ")));
    assert_true(span_is_str(in, "log x"));
    assert_true(span_take_prefix(&in, text("log ")));
    assert_true(span_is_str(in, "x"));
}

static void span_integers_are_big_endian(void **state)
{
    (void)state;
    static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xff };
    struct span in = SPAN_OF_ARRAY(bytes);
    uint16_t u16 = 0;
    uint32_t u32 = 0;
    uint64_t u64 = 0;
    uint8_t u8 = 0;
    assert_true(span_take_u16(&in, &u16));
    assert_int_equal(u16, 0x0102);
    assert_true(span_take_u32(&in, &u32));
    assert_int_equal(u32, 0x03040506);
    assert_true(span_take_u64(&in, &u64));
    assert_true(u64 == 0x0708090a0b0c0d0e);
    assert_true(span_take_u8(&in, &u8));
    assert_int_equal(u8, 0xff);
    assert_false(span_take_u8(&in, &u8));
}

static void span_integer_that_is_cut_off_is_not_taken(void **state)
{
    (void)state;
    static const uint8_t bytes[7] = { 1, 2, 3, 4, 5, 6, 7 };
    struct span in = SPAN_OF_ARRAY(bytes);
    uint64_t value = 42;
    assert_false(span_take_u64(&in, &value));
    assert_int_equal(in.len, 7);
    assert_int_equal(value, 42);
}

static void slice_past_the_end(void)
{
    span_slice(text("abc"), 2, 2);
}

static void slice_from_behind_the_end(void)
{
    span_slice(text("abc"), 4, SIZE_MAX - 3);
}

static void span_slice_outside_is_a_bug(void **state)
{
    (void)state;
    assert_true(span_is_str(span_slice(text("abc"), 3, 0), ""));
    assert_true(death_of(slice_past_the_end));
    assert_true(death_of(slice_from_behind_the_end));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(span_equality_looks_at_length_and_bytes),
        cmocka_unit_test(span_compare_orders_by_unsigned_byte_then_length),
        cmocka_unit_test(span_prefix_and_suffix_include_the_whole_and_nothing),
        cmocka_unit_test(span_find_gives_first_and_last_place),
        cmocka_unit_test(span_take_shrinks_from_the_left),
        cmocka_unit_test(span_take_until_drops_the_separator),
        cmocka_unit_test(span_take_prefix_leaves_other_text_alone),
        cmocka_unit_test(span_integers_are_big_endian),
        cmocka_unit_test(span_integer_that_is_cut_off_is_not_taken),
        cmocka_unit_test(span_slice_outside_is_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
