#include "base/file.h"

#include "tests/support/files.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char *directory; /* of the test that runs */
static char path[4096]; /* DIRECTORY/file */
static struct buf bytes;
static struct err err;

static int begin(void **state)
{
    (void)state;
    directory = files_make_temp_dir();
    snprintf(path, sizeof path, "%s/file", directory);
    buf_init(&bytes, 1000);
    return 0;
}

static int end(void **state)
{
    (void)state;
    files_remove_tree(directory);
    buf_clear(&bytes);
    return 0;
}

static void assert_contents(const char *text)
{
    buf_reset(&bytes);
    assert_int_equal(file_read(&bytes, path, &err), E_OK);
    assert_true(span_is_str(buf_span(&bytes), text));
}

static size_t entries(void)
{
    size_t count = 0;
    DIR *dir = opendir(directory);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static mode_t mode_of(const char *name)
{
    struct stat st;
    assert_int_equal(stat(name, &st), 0);
    return st.st_mode & 07777;
}

/* Makes `path` one that would lie below the file. */
static void go_below(void)
{
    snprintf(path, sizeof path, "%s/file/below", directory);
}

static void file_read_appends(void **state)
{
    (void)state;
    files_write(path, span_of_str("abc"));
    buf_put_str(&bytes, "x");
    assert_int_equal(file_read(&bytes, path, &err), E_OK);
    assert_true(span_is_str(buf_span(&bytes), "xabc"));
}

static void file_read_takes_exactly_the_maximum(void **state)
{
    (void)state;
    static uint8_t zeros[1001];
    files_write(path, span_of(zeros, 1000));
    assert_int_equal(file_read(&bytes, path, &err), E_OK);
    assert_int_equal(bytes.len, 1000);
    buf_reset(&bytes);
    buf_put_str(&bytes, "x");
    assert_int_equal(file_read(&bytes, path, &err), E_TOO_LARGE);
    assert_true(span_is_str(buf_span(&bytes), "x"));
    files_write(path, span_of(zeros, 1001));
    buf_reset(&bytes);
    assert_int_equal(file_read(&bytes, path, &err), E_TOO_LARGE);
    assert_int_equal(bytes.len, 0);
    files_write(path, span_of(zeros, 0));
    assert_int_equal(file_read(&bytes, path, &err), E_OK);
    assert_int_equal(bytes.len, 0);
}

static void file_read_stops_at_a_device_that_never_ends(void **state)
{
    (void)state;
    assert_int_equal(file_read(&bytes, "/dev/zero", &err), E_TOO_LARGE);
    assert_int_equal(bytes.len, 0);
}

static void file_read_takes_files_whose_size_is_not_told(void **state)
{
    (void)state;
    struct buf large = BUF_INIT(64 * 1024);
    assert_int_equal(file_read(&large, "/proc/self/status", &err), E_OK);
    assert_true(span_has_prefix(buf_span(&large), span_of_str("Name:")));
    buf_clear(&large);
    int ends[2];
    char name[64];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "piped", 5), 5);
    close(ends[1]);
    snprintf(name, sizeof name, "/proc/self/fd/%d", ends[0]);
    assert_int_equal(file_read(&bytes, name, &err), E_OK);
    assert_true(span_is_str(buf_span(&bytes), "piped"));
    close(ends[0]);
}

static void file_read_tells_missing_from_unreadable(void **state)
{
    (void)state;
    assert_int_equal(file_read(&bytes, path, &err), E_NOT_FOUND);
    assert_non_null(strstr(err.msg, path));
    files_write(path, span_of_str("abc"));
    go_below();
    assert_int_equal(file_read(&bytes, path, &err), E_NOT_FOUND);
    assert_int_equal(file_read(&bytes, directory, &err), E_IO);
    assert_int_equal(bytes.len, 0);
}

static void file_create_writes_all_with_the_mode_asked_for(void **state)
{
    (void)state;
    mode_t old = umask(0);
    assert_int_equal(file_create(path, 0600, span_of_str("secret"), &err), E_OK);
    assert_int_equal(mode_of(path), 0600);
    assert_contents("secret");
    unlink(path);
    umask(0777);
    assert_int_equal(file_create(path, 0644, span_of_str(""), &err), E_OK);
    umask(old);
    assert_int_equal(mode_of(path), 0644);
    assert_contents("");
    assert_int_equal(entries(), 1);
}

static void file_create_never_touches_what_is_there(void **state)
{
    (void)state;
    files_write(path, span_of_str("old"));
    assert_int_equal(file_create(path, 0600, span_of_str("new"), &err), E_EXISTS);
    assert_contents("old");
    unlink(path);
    assert_int_equal(symlink("elsewhere", path), 0);
    assert_int_equal(file_create(path, 0600, span_of_str("new"), &err), E_EXISTS);
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(file_create(path, 0600, span_of_str("new"), &err), E_EXISTS);
    assert_int_equal(entries(), 1);
}

/* Many processes at once: one wins, and what is there is one writer's bytes. */
static void file_create_has_one_winner(void **state)
{
    (void)state;
    enum {
        WRITERS = 8
    };
    for (int i = 0; i < WRITERS; i++) {
        if (fork() == 0) {
            char text[1000];
            memset(text, 'a' + i, sizeof text);
            struct err ours;
            _exit(file_create(path, 0600, span_of(text, sizeof text), &ours) == E_OK ? 1 : 0);
        }
    }
    int winners = 0;
    for (int i = 0; i < WRITERS; i++) {
        int status = 0;
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status));
        winners += WEXITSTATUS(status);
    }
    assert_int_equal(winners, 1);
    assert_int_equal(file_read(&bytes, path, &err), E_OK);
    assert_int_equal(bytes.len, 1000);
    for (size_t i = 0; i < bytes.len; i++) {
        assert_int_equal(bytes.data[i], bytes.data[0]);
    }
    assert_int_equal(entries(), 1);
}

static void file_replace_makes_and_replaces(void **state)
{
    (void)state;
    assert_int_equal(file_replace(path, 0644, span_of_str("one"), &err), E_OK);
    assert_contents("one");
    assert_int_equal(file_replace(path, 0600, span_of_str("three"), &err), E_OK);
    assert_contents("three");
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(entries(), 1);
}

static void file_replace_clears_away_what_a_crash_left(void **state)
{
    (void)state;
    char stale[4200];
    snprintf(stale, sizeof stale, "%s.tmp", path);
    files_write(stale, span_of_str("half of a lon"));
    assert_int_equal(file_replace(path, 0600, span_of_str("new"), &err), E_OK);
    assert_contents("new");
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(entries(), 1);
}

static void file_replace_does_not_write_through_a_link(void **state)
{
    (void)state;
    char target[4200], temporary[4200];
    snprintf(target, sizeof target, "%s/target", directory);
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    files_write(target, span_of_str("precious"));
    assert_int_equal(symlink(target, temporary), 0);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(file_replace(path, 0600, span_of_str("new"), &err), E_OK);
    assert_contents("new");
    assert_int_equal(file_read(&bytes, target, &err), E_OK);
    assert_true(span_has_suffix(buf_span(&bytes), span_of_str("precious")));
}

/* A write that stops half-way, as on a full disk: the file size limit does the same. */
static void file_writes_that_fail_leave_the_old_bytes(void **state)
{
    (void)state;
    static uint8_t large[100000];
    files_write(path, span_of_str("old"));
    char other[4200];
    snprintf(other, sizeof other, "%s/other", directory);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = { 4096, before.rlim_max };
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum err_code replaced = file_replace(path, 0600, SPAN_OF_ARRAY(large), &err);
    enum err_code created = file_create(other, 0600, SPAN_OF_ARRAY(large), &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(replaced, E_IO);
    assert_int_equal(created, E_IO);
    assert_contents("old");
    assert_int_equal(entries(), 1);
}

static void file_writes_into_a_missing_directory_fail(void **state)
{
    (void)state;
    go_below();
    assert_int_equal(file_create(path, 0600, span_of_str("x"), &err), E_IO);
    assert_int_equal(file_replace(path, 0600, span_of_str("x"), &err), E_IO);
    assert_int_equal(file_sync_directory(path, &err), E_IO);
}

static void file_paths_that_are_too_long_are_refused(void **state)
{
    (void)state;
    static char name[10000];
    memset(name, 'a', sizeof name - 1);
    assert_int_equal(file_create(name, 0600, span_of_str("x"), &err), E_IO);
    assert_int_equal(file_replace(name, 0600, span_of_str("x"), &err), E_IO);
    assert_int_equal(file_make_directory(name, 0700, &err), E_IO);
    assert_int_equal(file_make_directory("", 0700, &err), E_IO);
}

static void file_names_without_a_directory_are_in_the_working_one(void **state)
{
    (void)state;
    char *before = getcwd(NULL, 0);
    assert_int_equal(chdir(directory), 0);
    assert_int_equal(file_create("file", 0600, span_of_str("here"), &err), E_OK);
    assert_int_equal(file_make_directory("a/b", 0700, &err), E_OK);
    assert_int_equal(chdir(before), 0);
    free(before);
    assert_contents("here");
}

static void file_make_directory_makes_parents_too(void **state)
{
    (void)state;
    char deep[4200], parent[4200];
    snprintf(parent, sizeof parent, "%s/a", directory);
    snprintf(deep, sizeof deep, "%s/a//b/c/", directory);
    mode_t old = umask(0);
    assert_int_equal(file_make_directory(deep, 0700, &err), E_OK);
    assert_int_equal(file_make_directory(deep, 0755, &err), E_OK);
    umask(old);
    assert_int_equal(mode_of(deep), 0700);
    assert_int_equal(mode_of(parent), 0755);
    assert_int_equal(file_make_directory("/", 0700, &err), E_OK);
}

static void file_make_directory_refuses_a_file_in_the_way(void **state)
{
    (void)state;
    files_write(path, span_of_str("x"));
    assert_int_equal(file_make_directory(path, 0700, &err), E_IO);
    go_below();
    assert_int_equal(file_make_directory(path, 0700, &err), E_IO);
}

static enum err_code lock_from_another_process(void)
{
    pid_t child = fork();
    if (child == 0) {
        int fd;
        struct err ours;
        _exit((int)file_lock(path, &fd, &ours));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return (enum err_code)WEXITSTATUS(status);
}

static void file_lock_is_held_until_the_descriptor_is_closed(void **state)
{
    (void)state;
    int fd = -1, second = -1;
    assert_int_equal(file_lock(path, &fd, &err), E_OK);
    assert_int_equal(lock_from_another_process(), E_BUSY);
    assert_int_equal(file_lock(path, &second, &err), E_BUSY);
    assert_int_equal(second, -1);
    close(fd);
    assert_int_equal(lock_from_another_process(), E_OK);
    assert_int_equal(file_lock(path, &fd, &err), E_OK);
    close(fd);
    assert_int_equal(file_lock(directory, &fd, &err), E_IO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(file_read_appends),
        TEST(file_read_takes_exactly_the_maximum),
        TEST(file_read_stops_at_a_device_that_never_ends),
        TEST(file_read_takes_files_whose_size_is_not_told),
        TEST(file_read_tells_missing_from_unreadable),
        TEST(file_create_writes_all_with_the_mode_asked_for),
        TEST(file_create_never_touches_what_is_there),
        TEST(file_create_has_one_winner),
        TEST(file_replace_makes_and_replaces),
        TEST(file_replace_clears_away_what_a_crash_left),
        TEST(file_replace_does_not_write_through_a_link),
        TEST(file_writes_that_fail_leave_the_old_bytes),
        TEST(file_writes_into_a_missing_directory_fail),
        TEST(file_paths_that_are_too_long_are_refused),
        TEST(file_names_without_a_directory_are_in_the_working_one),
        TEST(file_make_directory_makes_parents_too),
        TEST(file_make_directory_refuses_a_file_in_the_way),
        TEST(file_lock_is_held_until_the_descriptor_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
