#include "base/alloc.h"
#include "monitor/record_key_files.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT                                                                                       \
    "courtroll case key v1\n（2026）测0101执123号\n"                                          \
    "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n"

static char *dirs[2];
static struct record_key_files files;
static size_t keys;

static int set_up(void **state)
{
    (void)state;
    dirs[0] = files_make_temp_dir();
    dirs[1] = files_make_temp_dir();
    record_key_files_init(&files, (const char *const *)dirs, 2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    files_remove_tree(dirs[0]);
    files_remove_tree(dirs[1]);
    return 0;
}

static void write_key(const char *dir, const char *name, const char *text, mode_t mode)
{
    char *path = files_join(dir, name);
    files_write(path, span_of_str(text));
    assert_int_equal(chmod(path, mode), 0);
    mem_free(path);
}

static void on_key(void *ctx, const char *path, const struct case_key *key)
{
    (void)ctx;
    assert_non_null(strstr(path, ".casekey"));
    assert_string_equal(key->number, "（2026）测0101执123号");
    assert_int_equal(key->bytes[31], 0x20);
    keys++;
}

static size_t read_all(void)
{
    keys = 0;
    record_key_files_read(&files, 4000000000, on_key, NULL);
    return keys;
}

static void keys_of_all_directories_are_read(void **state)
{
    (void)state;
    assert_int_equal(read_all(), 0);
    write_key(dirs[0], "a.casekey", TEXT, 0600);
    write_key(dirs[0], "b.casekey", TEXT, 0400);
    write_key(dirs[1], "c.casekey", TEXT, 0600);
    assert_int_equal(read_all(), 3);
    assert_int_equal(files.left_out, 0);
}

static void other_files_are_left_out(void **state)
{
    char target[300], link[300];
    (void)state;
    write_key(dirs[0], "good.casekey", TEXT, 0600);
    write_key(dirs[0], "group.casekey", TEXT, 0640);
    write_key(dirs[0], "all.casekey", TEXT, 0604);
    write_key(dirs[0], "short.casekey", "courtroll case key v1\n", 0600);
    write_key(dirs[0], "more.casekey", TEXT "more\n", 0600);
    write_key(dirs[0], ".hidden.casekey", TEXT, 0600);
    write_key(dirs[0], "good.key", TEXT, 0600);
    snprintf(target, sizeof target, "%s/good.casekey", dirs[0]);
    snprintf(link, sizeof link, "%s/link.casekey", dirs[0]);
    assert_int_equal(symlink(target, link), 0);
    snprintf(link, sizeof link, "%s/pipe.casekey", dirs[0]);
    assert_int_equal(mkfifo(link, 0600), 0);
    snprintf(link, sizeof link, "%s/dir.casekey", dirs[0]);
    assert_int_equal(mkdir(link, 0700), 0);
    assert_int_equal(read_all(), 1);
    assert_int_equal(files.left_out, 7);
}

static void a_file_as_large_as_you_like_is_left_out(void **state)
{
    char *text = mem_calloc(1, 1 << 20);
    (void)state;
    memset(text, 'x', (1 << 20) - 1);
    memcpy(text, TEXT, strlen(TEXT));
    write_key(dirs[0], "large.casekey", text, 0600);
    assert_int_equal(read_all(), 0);
    mem_free(text);
}

static void a_directory_that_has_not_changed_is_not_new(void **state)
{
    (void)state;
    assert_true(record_key_files_is_new(&files));
    read_all();
    assert_false(record_key_files_is_new(&files));
    write_key(dirs[1], "a.casekey", TEXT, 0600);
    assert_true(record_key_files_is_new(&files));
    read_all();
    assert_false(record_key_files_is_new(&files));
    files.read_s = 0; /* it changed about when it was read: perhaps once more since */
    assert_true(record_key_files_is_new(&files));
}

static void a_directory_that_is_gone_has_no_keys(void **state)
{
    (void)state;
    write_key(dirs[0], "a.casekey", TEXT, 0600);
    assert_int_equal(rmdir(dirs[1]), 0);
    assert_int_equal(read_all(), 1);
    assert_int_equal(mkdir(dirs[1], 0700), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(keys_of_all_directories_are_read),
        CASE(other_files_are_left_out),
        CASE(a_file_as_large_as_you_like_is_left_out),
        CASE(a_directory_that_has_not_changed_is_not_new),
        CASE(a_directory_that_is_gone_has_no_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
