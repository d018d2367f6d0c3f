#include "base/buf.h"

#include "tests/support/death.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void buf_append_stops_at_the_maximum(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT(4);
    struct err err;
    assert_int_equal(buf_append(&buf, span_of_str("abc"), &err), E_OK);
    assert_int_equal(buf_append(&buf, span_of_str("de"), &err), E_TOO_LARGE);
    assert_true(span_is_str(buf_span(&buf), "abc"));
    assert_int_equal(buf_append(&buf, span_of_str("d"), &err), E_OK);
    assert_int_equal(buf_room(&buf), 0);
    assert_int_equal(buf_append(&buf, span_of_str(""), &err), E_OK);
    assert_int_equal(buf_append(&buf, (struct span){ buf.data, SIZE_MAX }, &err), E_TOO_LARGE);
    assert_true(span_is_str(buf_span(&buf), "abcd"));
    buf_clear(&buf);
}

static void buf_grows_without_losing_bytes(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT(100000);
    for (size_t i = 0; i < buf.max; i++) {
        buf_put_u8(&buf, (uint8_t)(i * 7));
    }
    assert_true(buf.cap <= buf.max);
    for (size_t i = 0; i < buf.max; i++) {
        assert_int_equal(buf.data[i], (uint8_t)(i * 7));
    }
    buf_clear(&buf);
}

static void buf_integers_are_big_endian(void **state)
{
    (void)state;
    static const uint8_t expected[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    struct buf buf = BUF_INIT(sizeof expected);
    buf_put_u8(&buf, 1);
    buf_put_u16(&buf, 0x0203);
    buf_put_u32(&buf, 0x04050607);
    buf_put_u64(&buf, 0x08090a0b0c0d0e0f);
    assert_true(span_is_equal(buf_span(&buf), SPAN_OF_ARRAY(expected)));
    buf_clear(&buf);
}

static void buf_putf_needs_no_room_for_a_nul(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT(5);
    buf_putf(&buf, "%s=%d", "abc", 7);
    assert_true(span_is_str(buf_span(&buf), "abc=7"));
    buf_clear(&buf);
}

static void buf_c_str_is_terminated_outside_its_length(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT(4);
    assert_string_equal(buf_c_str(&buf), "");
    buf_put_str(&buf, "abc");
    assert_string_equal(buf_c_str(&buf), "abc");
    assert_int_equal(buf.len, 3);
    buf_clear(&buf);
}

static void buf_clear_and_reset_leave_it_usable(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT(10);
    buf_put_str(&buf, "abc");
    buf_reset(&buf);
    assert_int_equal(buf.len, 0);
    assert_non_null(buf.data);
    buf_put_str(&buf, "d");
    buf_clear(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.max, 10);
    buf_put_str(&buf, "e");
    assert_true(span_is_str(buf_span(&buf), "e"));
    buf_clear(&buf);
    buf_clear(&buf);
}

static void buf_take_moves_the_bytes(void **state)
{
    (void)state;
    struct buf from = BUF_INIT(10);
    struct buf to = BUF_INIT(20);
    buf_put_str(&to, "old");
    buf_reset(&to);
    buf_put_str(&from, "abc");
    buf_take(&to, &from);
    assert_true(span_is_str(buf_span(&to), "abc"));
    assert_int_equal(to.max, 20);
    assert_null(from.data);
    assert_int_equal(from.len, 0);
    buf_clear(&to);
}

static void buf_truncate_drops_the_tail(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT(10);
    buf_put_str(&buf, "abcdef");
    buf_truncate(&buf, 2);
    buf_put_str(&buf, "x");
    assert_true(span_is_str(buf_span(&buf), "abx"));
    buf_clear(&buf);
}

static void put_too_much(void)
{
    struct buf buf = BUF_INIT(2);
    buf_put_str(&buf, "abc");
}

static void putf_too_much(void)
{
    struct buf buf = BUF_INIT(2);
    buf_putf(&buf, "%d", 123);
}

static void extend_by_everything(void)
{
    struct buf buf = BUF_INIT(8);
    buf_put_u8(&buf, 1);
    buf_extend(&buf, SIZE_MAX);
}

static void lengthen_by_truncating(void)
{
    struct buf buf = BUF_INIT(8);
    buf_truncate(&buf, 1);
}

static void buf_put_over_the_maximum_is_a_bug(void **state)
{
    (void)state;
    assert_true(death_of(put_too_much));
    assert_true(death_of(putf_too_much));
    assert_true(death_of(extend_by_everything));
    assert_true(death_of(lengthen_by_truncating));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_append_stops_at_the_maximum),
        cmocka_unit_test(buf_grows_without_losing_bytes),
        cmocka_unit_test(buf_integers_are_big_endian),
        cmocka_unit_test(buf_putf_needs_no_room_for_a_nul),
        cmocka_unit_test(buf_c_str_is_terminated_outside_its_length),
        cmocka_unit_test(buf_clear_and_reset_leave_it_usable),
        cmocka_unit_test(buf_take_moves_the_bytes),
        cmocka_unit_test(buf_truncate_drops_the_tail),
        cmocka_unit_test(buf_put_over_the_maximum_is_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
