#include "base/child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

enum {
    TIMEOUT_MS = 30 * 1000,
    OUT_MAX = 1000
};

static struct err err;
static struct buf out = BUF_INIT(OUT_MAX);

static enum err_code run_shell(const char *script, uint32_t timeout_ms)
{
    char *copy = strdup(script);
    char shell[] = "sh", option[] = "-c";
    char *argv[] = { shell, option, copy, NULL };
    buf_clear(&out);
    enum err_code rc = child_run(argv, (struct span){ 0 }, timeout_ms, &out, &err);
    free(copy);
    return rc;
}

static int clear(void **state)
{
    (void)state;
    buf_clear(&out);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left, dead or alive */
    return 0;
}

static void output_is_taken_and_words_beside_it_are_not(void **state)
{
    (void)state;
    assert_int_equal(run_shell("printf 'a\\000b'; echo warning >&2", TIMEOUT_MS), E_OK);
    assert_true(span_is_equal(buf_span(&out), span_of("a\0b", 3)));
}

static void arguments_are_not_for_a_shell(void **state)
{
    (void)state;
    char tool[] = "printf", format[] = "%s", text[] = "$HOME; `id` > x";
    char *argv[] = { tool, format, text, NULL };
    assert_int_equal(child_run(argv, (struct span){ 0 }, TIMEOUT_MS, &out, &err), E_OK);
    assert_true(span_is_str(buf_span(&out), text));
}

static void input_is_empty(void **state)
{
    (void)state;
    assert_int_equal(run_shell("cat", TIMEOUT_MS), E_OK);
    assert_int_equal(out.len, 0);
}

static void failure_has_the_tools_words_escaped(void **state)
{
    (void)state;
    assert_int_equal(run_shell("printf 'no\\033such index\\n' >&2; exit 3", TIMEOUT_MS), E_IO);
    assert_non_null(strstr(err.msg, "exit code 3: no\\x1bsuch index"));
    assert_int_equal(run_shell("kill -SEGV $$", TIMEOUT_MS), E_IO);
    assert_non_null(strstr(err.msg, "signal 11"));
}

static void missing_tool_is_told_apart(void **state)
{
    (void)state;
    char tool[] = "courtroll-no-such-tool";
    char *argv[] = { tool, NULL };
    assert_int_equal(child_run(argv, (struct span){ 0 }, TIMEOUT_MS, &out, &err), E_NOT_FOUND);
}

static void too_much_output_ends_it(void **state)
{
    (void)state;
    assert_int_equal(run_shell("while :; do echo 0123456789; done", TIMEOUT_MS), E_TOO_LARGE);
    assert_true(out.len <= OUT_MAX);
    assert_int_equal(run_shell("while :; do echo 0123456789 >&2; done", TIMEOUT_MS), E_TOO_LARGE);
}

static void late_tool_is_ended_with_what_it_started(void **state)
{
    (void)state;
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    assert_int_equal(run_shell("sleep 1000 & sleep 1000", 200), E_TIMEOUT);
    /* One that closes its output and goes on. */
    assert_int_equal(run_shell("exec >&- 2>&-; sleep 1000", 200), E_TIMEOUT);
    clock_gettime(CLOCK_MONOTONIC, &to);
    assert_true(to.tv_sec - from.tv_sec < 60);
}

/* A daemon blocks or ignores signals; its tools do not. */
static void signals_are_as_for_a_new_program(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(run_shell("kill -PIPE $$; echo ignored", TIMEOUT_MS), E_IO);
    signal(SIGPIPE, SIG_DFL);
    assert_non_null(strstr(err.msg, "signal 13"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, clear)
        TEST(output_is_taken_and_words_beside_it_are_not),
        TEST(arguments_are_not_for_a_shell),
        TEST(input_is_empty),
        TEST(failure_has_the_tools_words_escaped),
        TEST(missing_tool_is_told_apart),
        TEST(too_much_output_ends_it),
        TEST(late_tool_is_ended_with_what_it_started),
        TEST(signals_are_as_for_a_new_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
