#include "base/err.h"

#include "tests/support/death.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void err_set_gives_back_its_code(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, E_MALFORMED, "size %d", 7), E_MALFORMED);
    assert_int_equal(err.code, E_MALFORMED);
    assert_string_equal(err.msg, "size 7");
}

static void err_wrap_puts_the_outermost_context_first(void **state)
{
    (void)state;
    struct err err;
    err_set(&err, E_IO, "disk full");
    assert_int_equal(err_wrap(&err, "write %s", "a"), E_IO);
    assert_int_equal(err_wrap(&err, "commit"), E_IO);
    assert_string_equal(err.msg, "commit: write a: disk full");
}

static void err_set_takes_its_own_message_as_argument(void **state)
{
    (void)state;
    struct err err;
    err_set(&err, E_IO, "inner");
    err_set(&err, E_CORRUPT, "outer (%s)", err.msg);
    assert_string_equal(err.msg, "outer (inner)");
}

static void err_set_errno_ends_with_the_text_of_errno(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_set_errno(&err, E_IO, ENOSPC, "write %s", "x"), E_IO);
    assert_string_equal(err.msg, "write x: No space left on device");
}

static void err_message_is_cut_but_terminated(void **state)
{
    (void)state;
    char text[2 * ERR_MSG_MAX];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    struct err err;
    err_set(&err, E_IO, "%s", text);
    assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
    err_wrap(&err, "%s", text);
    assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
    err_set_errno(&err, E_IO, EIO, "%s", text);
    assert_int_equal(strlen(err.msg), ERR_MSG_MAX - 1);
}

static void err_codes_all_have_words_and_statuses(void **state)
{
    (void)state;
    assert_string_equal(err_text(E_OK), "ok");
    assert_int_equal(err_http_status(E_OK), 200);
    assert_int_equal(err_grpc_status(E_OK), 0);
#define CHECK(name, text, http, grpc)                                                              \
    assert_string_equal(err_text(E_##name), text);                                                 \
    assert_int_equal(err_http_status(E_##name), http);                                             \
    assert_int_equal(err_grpc_status(E_##name), grpc);                                             \
    assert_in_range(err_http_status(E_##name), 400, 599);                                          \
    assert_in_range(err_grpc_status(E_##name), 1, 16);
    E_CODES(CHECK)
#undef CHECK
}

static void set_ok(void)
{
    struct err err;
    err_set(&err, E_OK, "no error");
}

static void err_set_with_ok_is_a_bug(void **state)
{
    (void)state;
    assert_true(death_of(set_ok));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_set_gives_back_its_code),
        cmocka_unit_test(err_wrap_puts_the_outermost_context_first),
        cmocka_unit_test(err_set_takes_its_own_message_as_argument),
        cmocka_unit_test(err_set_errno_ends_with_the_text_of_errno),
        cmocka_unit_test(err_message_is_cut_but_terminated),
        cmocka_unit_test(err_codes_all_have_words_and_statuses),
        cmocka_unit_test(err_set_with_ok_is_a_bug),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
