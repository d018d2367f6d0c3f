/* lib/store/mark_place.c: a mark that would be restored together with what it guards is refused. */
#include "store/mark_place.h"

#include "base/log.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *root, *data;

static int setup(void **state)
{
    (void)state;
    root = files_make_temp_dir();
    data = files_join(root, "data");
    return mkdir(data, 0700);
}

static int teardown(void **state)
{
    (void)state;
    free(data);
    files_remove_tree(root);
    return 0;
}

static enum err_code check(const char *name)
{
    char *mark = files_join(root, name);
    struct err err;
    enum err_code rc = mark_place_check(mark, data, &err);
    if (rc != E_OK) {
        assert_non_null(strstr(err.msg, mark));
    }
    free(mark);
    return rc;
}

static void make_directory(const char *name)
{
    char *path = files_join(root, name);
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
}

static void make_link(const char *target, const char *name)
{
    char *path = files_join(root, name);
    assert_int_equal(symlink(target, path), 0);
    free(path);
}

static void a_mark_in_the_data_directory_or_below_is_refused(void **state)
{
    (void)state;
    make_directory("data/sub");
    assert_int_equal(check("data/mark"), E_DENIED);
    assert_int_equal(check("data/sub/mark"), E_DENIED);
    assert_int_equal(check("data/../data/./mark"), E_DENIED);
    assert_int_equal(check("data//mark"), E_DENIED);
}

static void a_mark_beside_the_data_directory_is_fine(void **state)
{
    (void)state;
    struct err err;
    make_directory("data2");
    assert_int_equal(check("mark"), E_OK);
    assert_int_equal(check("data2/mark"), E_OK);
    assert_int_equal(check("data.mark"), E_OK);
    assert_int_equal(check("data/../mark"), E_OK);
    assert_int_equal(mark_place_check(NULL, data, &err), E_OK);
}

static void links_do_not_hide_where_it_is(void **state)
{
    (void)state;
    make_directory("data/sub");
    make_link("data", "also-data");
    make_link("data/sub", "elsewhere");
    make_link("data/mark", "mark");
    assert_int_equal(check("also-data/mark"), E_DENIED);
    assert_int_equal(check("elsewhere/mark"), E_DENIED);
    assert_int_equal(check("mark"), E_OK); /* it leads to nothing yet */
    char *target = files_join(data, "mark");
    files_write(target, span_of_str(""));
    free(target);
    assert_int_equal(check("mark"), E_DENIED);
}

static void a_link_to_the_data_directory_is_that_directory(void **state)
{
    (void)state;
    struct err err;
    make_link("data", "link");
    char *link = files_join(root, "link"), *mark = files_join(data, "mark");
    assert_int_equal(mark_place_check(mark, link, &err), E_DENIED);
    assert_int_equal(mark_place_check(mark, "/", &err), E_DENIED);
    free(link);
    free(mark);
}

static void a_path_without_a_directory_is_in_the_working_directory(void **state)
{
    (void)state;
    struct err err;
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(data), 0);
    enum err_code inside = mark_place_check("mark", data, &err);
    enum err_code also_inside = mark_place_check("mark", ".", &err);
    assert_int_equal(chdir(root), 0);
    enum err_code outside = mark_place_check("mark", "data", &err);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(inside, E_DENIED);
    assert_int_equal(also_inside, E_DENIED);
    assert_int_equal(outside, E_OK);
}

static void what_is_not_there_is_not_judged(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(check("nowhere/mark"), E_OK);
    assert_int_equal(rmdir(data), 0);
    assert_int_equal(check("mark"), E_OK);
    assert_int_equal(mark_place_check("/", data, &err), E_OK);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_mark_in_the_data_directory_or_below_is_refused),
        CASE(a_mark_beside_the_data_directory_is_fine),
        CASE(links_do_not_hide_where_it_is),
        CASE(a_link_to_the_data_directory_is_that_directory),
        CASE(a_path_without_a_directory_is_in_the_working_directory),
        CASE(what_is_not_there_is_not_judged),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
