/* tpm.c with tools of the test's own on PATH, which keep their counter in a file.
 * tests/integration/test_tpm.py has the real ones. */
#include "base/log.h"
#include "tests/support/files.h"
#include "witness/tpm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *dir;
static char *old_path;
static struct ledger *ledger;
static struct tpm tpm;
static struct err err;

static const char read_script[] = "#!/bin/sh\n"
                                  "[ \"$*\" = '0x1500016 -s 8' ] || exit 9\n"
                                  "n=$(cat \"${0%/*}/counter\")\n"
                                  "printf '\\000\\000\\000\\000\\000\\000\\000'\n"
                                  "printf \"\\\\$(printf %03o \"$n\")\"\n";
static const char increment_script[] = "#!/bin/sh\n"
                                       "[ \"$*\" = 0x1500016 ] || exit 9\n"
                                       "n=$(cat \"${0%/*}/counter\")\n"
                                       "echo $((n + 1)) >\"${0%/*}/counter\"\n";

static void put_tool(const char *name, const char *script)
{
    char *path = files_join(dir, name);
    files_write(path, span_of_str(script));
    assert_int_equal(chmod(path, 0755), 0);
    free(path);
}

static void set_counter(int value)
{
    char text[16], *path = files_join(dir, "counter");
    snprintf(text, sizeof text, "%d\n", value);
    files_write(path, span_of_str(text));
    free(path);
}

static int counter(void)
{
    char text[16] = "", *path = files_join(dir, "counter");
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    free(path);
    return (int)strtol(text, NULL, 10);
}

static void store(const char *text)
{
    assert_int_equal(ledger_put(ledger, "tpm", span_of_str(text), &err), E_OK);
}

static void assert_stored(const char *text)
{
    struct buf value = BUF_INIT(64);
    assert_int_equal(ledger_get(ledger, "tpm", &value, &err), E_OK);
    assert_true(span_is_str(buf_span(&value), text));
    buf_clear(&value);
}

static enum err_code start(void)
{
    return tpm_start(&tpm, ledger, false, &err);
}

static int setup(void **state)
{
    (void)state;
    dir = files_make_temp_dir();
    char path[4096];
    old_path = strdup(getenv("PATH"));
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", dir);
    setenv("PATH", path, 1);
    put_tool("tpm2_nvread", read_script);
    put_tool("tpm2_nvincrement", increment_script);
    set_counter(40);
    ledger = ledger_start(&(struct ledger_options){ .kv = kv_memory_new() });
    assert_int_equal(tpm_init(&tpm, "0x1500016", &err), E_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ledger_stop(ledger);
    setenv("PATH", old_path, 1);
    free(old_path);
    files_remove_tree(dir);
    return 0;
}

static void first_start_takes_the_counter_and_later_ones_step_it(void **state)
{
    (void)state;
    assert_int_equal(start(), E_OK);
    assert_stored("41");
    assert_int_equal(start(), E_OK);
    assert_stored("42");
    assert_int_equal(tpm_step(&tpm, ledger, &err), E_OK);
    assert_stored("43");
    assert_int_equal(counter(), 43);
}

/* A crash at each point of a step. */
static void start_after_a_crash_in_a_step_is_no_alarm(void **state)
{
    (void)state;
    store("40 stepping");
    assert_int_equal(start(), E_OK); /* before the counter went up */
    assert_stored("41");
    store("40 stepping");
    assert_int_equal(start(), E_OK); /* after it did */
    assert_stored("42");
}

static void counter_that_is_anything_else_is_a_conflict(void **state)
{
    (void)state;
    static const char *const stored[] = { "39", "41", "38 stepping", "41 stepping", "0", "255" };
    for (size_t i = 0; i < sizeof stored / sizeof stored[0]; i++) {
        store(stored[i]);
        assert_int_equal(start(), E_CONFLICT);
        assert_int_equal(tpm_step(&tpm, ledger, &err), E_CONFLICT);
        assert_int_equal(counter(), 40); /* nothing was stepped, */
        assert_stored(stored[i]);        /* so that the next start says so too */
    }
}

static void unchecked_start_takes_the_counter_as_it_is(void **state)
{
    (void)state;
    store("7");
    assert_int_equal(tpm_start(&tpm, ledger, true, &err), E_OK);
    assert_stored("41");
    assert_int_equal(start(), E_OK);
}

/* Two witnesses on one counter: a clone. */
static void counter_that_jumps_while_stepped_is_a_conflict(void **state)
{
    (void)state;
    assert_int_equal(start(), E_OK);
    put_tool("tpm2_nvincrement", "#!/bin/sh\n"
                                 "echo 50 >\"${0%/*}/counter\"\n");
    assert_int_equal(start(), E_CONFLICT);
    assert_int_equal(start(), E_CONFLICT);
}

static void stored_value_that_is_not_ours_is_corrupt(void **state)
{
    (void)state;
    static const char *const stored[] = {
        "", "x", "040", "40 ", "40 stepping ", " stepping", "-1", "18446744073709551615"
    };
    for (size_t i = 0; i < sizeof stored / sizeof stored[0]; i++) {
        store(stored[i]);
        assert_int_equal(start(), E_CORRUPT);
        assert_int_equal(tpm_start(&tpm, ledger, true, &err), E_CORRUPT);
    }
    assert_int_equal(counter(), 40);
}

static void counter_that_cannot_be_read_is_an_error_in_words(void **state)
{
    (void)state;
    assert_int_equal(start(), E_OK);
    put_tool("tpm2_nvread", "#!/bin/sh\necho 'no TPM here' >&2\nexit 1\n");
    assert_int_equal(start(), E_IO);
    assert_non_null(strstr(err.msg, "tpm-nv-index 0x1500016: tpm2_nvread: exit code 1: no TPM"));
    put_tool("tpm2_nvread", "#!/bin/sh\nprintf 1234567\n");
    assert_int_equal(start(), E_IO);
    put_tool("tpm2_nvread", "#!/bin/sh\nprintf 123456789\n");
    assert_int_equal(start(), E_IO);
    put_tool("tpm2_nvread", "#!/bin/sh\nwhile :; do echo 0123456789; done\n");
    assert_int_equal(start(), E_TOO_LARGE);
    assert_stored("41");
    setenv("PATH", "/nonexistent", 1);
    assert_int_equal(start(), E_IO);
    assert_non_null(strstr(err.msg, "tpm2-tools"));
}

static void counter_that_cannot_be_stepped_is_an_error_and_no_alarm_later(void **state)
{
    (void)state;
    assert_int_equal(start(), E_OK);
    put_tool("tpm2_nvincrement", "#!/bin/sh\nexit 1\n");
    assert_int_equal(start(), E_IO);
    assert_stored("41 stepping");
    put_tool("tpm2_nvincrement", increment_script);
    assert_int_equal(start(), E_OK);
    assert_stored("42");
}

static void index_is_one_of_the_tpms(void **state)
{
    (void)state;
    struct tpm parsed;
    assert_int_equal(tpm_init(&parsed, "0x01500016", &err), E_OK);
    assert_string_equal(parsed.index, "0x1500016");
    assert_int_equal(tpm_init(&parsed, "0X1FFffFF", &err), E_OK);
    assert_int_equal(tpm_init(&parsed, "0x1000000", &err), E_OK);
    static const char *const bad[] = { "",           "0x",         "1500016",    "0xffffff",
                                       "0x2000000",  "0x81000001", "0x1500016 ", "0x150001g",
                                       "-0x1500016", "0x001500016" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(tpm_init(&parsed, bad[i], &err), E_MALFORMED);
    }
}

/* Taking the index out of the configuration takes the check away: not in silence. */
static void store_that_had_a_counter_misses_it(void **state)
{
    (void)state;
    assert_int_equal(tpm_check_unused(ledger, false, &err), E_OK);
    assert_int_equal(start(), E_OK);
    for (int i = 0; i < 2; i++) { /* starting again does not wash it off */
        assert_int_equal(tpm_check_unused(ledger, false, &err), E_CONFLICT);
        assert_non_null(strstr(err.msg, "--start-unchecked"));
        assert_stored("41");
    }
    store("41 stepping");
    assert_int_equal(tpm_check_unused(ledger, false, &err), E_CONFLICT);
    assert_int_equal(tpm_check_unused(ledger, true, &err), E_OK);
    assert_int_equal(tpm_check_unused(ledger, false, &err), E_OK);
    assert_int_equal(counter(), 41);
    assert_int_equal(start(), E_OK); /* it can have one again */
    assert_stored("42");
    assert_int_equal(tpm_check_unused(ledger, false, &err), E_CONFLICT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(first_start_takes_the_counter_and_later_ones_step_it),
        TEST(start_after_a_crash_in_a_step_is_no_alarm),
        TEST(counter_that_is_anything_else_is_a_conflict),
        TEST(unchecked_start_takes_the_counter_as_it_is),
        TEST(counter_that_jumps_while_stepped_is_a_conflict),
        TEST(stored_value_that_is_not_ours_is_corrupt),
        TEST(counter_that_cannot_be_read_is_an_error_in_words),
        TEST(counter_that_cannot_be_stepped_is_an_error_and_no_alarm_later),
        TEST(index_is_one_of_the_tpms),
        TEST(store_that_had_a_counter_misses_it),
    };
    log_set_level(LOG_LEVEL_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
