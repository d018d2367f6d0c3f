#include "base/private_paths.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

enum {
    TEXT_MAX = 128
};

static void expect(const struct private_paths *paths, const char *text, const char *wanted)
{
    char hidden[TEXT_MAX];
    snprintf(hidden, sizeof hidden, "%s", text);
    private_paths_hide(paths, hidden, sizeof hidden);
    assert_string_equal(hidden, wanted);
}

static struct private_paths of(const char *data_dir, const char *mark_path)
{
    struct private_paths paths = { .count = 0 };
    private_paths_add(&paths, data_dir, "data-dir");
    private_paths_add(&paths, mark_path, "mark-path");
    return paths;
}

static void private_paths_leave_what_is_below(void **state)
{
    (void)state;
    struct private_paths paths = of("/srv/my log", "/mnt/mark");
    expect(&paths, "no new segment for the journal /srv/my log/journal: No space left",
           "no new segment for the journal journal: No space left");
    expect(&paths, "rename /srv/my log/a to (/srv/my log//b)", "rename a to (b)");
    expect(&paths, "list /srv/my log: Input/output error", "list data-dir: Input/output error");
    expect(&paths, "/srv/my log", "data-dir");
    expect(&paths, "mark /mnt/mark: it is of another log", "mark mark-path: it is of another log");
    expect(&paths, "sync directory /mnt: Input/output error",
           "sync directory mark-path: Input/output error");
    expect(&paths, "", "");
}

static void private_paths_leave_other_words(void **state)
{
    (void)state;
    struct private_paths paths = of("data", NULL);
    expect(&paths, "the database, my-data, data-base, /srv/data/x and data/x",
           "the database, my-data, data-base, /srv/data/x and x");
    struct private_paths here = of("./", NULL);
    expect(&here, "open ./journal/1: it ends here. So/and so.",
           "open journal/1: it ends here. So/and so.");
    struct private_paths none = of(NULL, "");
    expect(&none, "open /srv/log", "open /srv/log");
}

static void private_paths_hide_what_a_cut_leaves(void **state)
{
    (void)state;
    struct private_paths paths = of("/srv/log", NULL);
    expect(&paths, "the reason is long: /srv/l", "the reason is long: data-dir");
    expect(&paths, "1/", "1/");
}

static void private_paths_keep_to_the_room_there_is(void **state)
{
    (void)state;
    struct private_paths paths = of("/", NULL);
    char text[8] = "a / / /";
    private_paths_hide(&paths, text, sizeof text);
    assert_string_equal(text, "a data-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(private_paths_leave_what_is_below),
        cmocka_unit_test(private_paths_leave_other_words),
        cmocka_unit_test(private_paths_hide_what_a_cut_leaves),
        cmocka_unit_test(private_paths_keep_to_the_room_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
