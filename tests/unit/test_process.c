#include "base/process.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Ends a child by a signal whose action is a dump; whether there was one. */
static bool does_dump(const char *dir, void (*prepare)(void))
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limit = { .rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY };
        (void)setrlimit(RLIMIT_CORE, &limit);
        signal(SIGQUIT, SIG_DFL);
        if (chdir(dir) != 0) {
            _exit(1);
        }
        prepare();
        (void)raise(SIGQUIT);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return WCOREDUMP(status);
}

static void nothing(void)
{
}

static void there_is_no_core(void **state)
{
    (void)state;
    char *dir = files_make_temp_dir();
    bool could = does_dump(dir, nothing);
    assert_false(does_dump(dir, process_forbid_core));
    assert_false(does_dump(dir, process_hide_memory));
    files_remove_tree(dir);
    if (!could) {
        print_message("this system dumps nothing anyway\n");
        skip();
    }
}

static void a_child_has_none_either_and_cannot_change_that(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limit;
        process_forbid_core();
        bool is_forbidden = getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max <= 1;
        process_hide_memory();
        _exit(is_forbidden && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_no_core),
        cmocka_unit_test(a_child_has_none_either_and_cannot_change_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
