/* lib/store/tiles_posix.c: modes, what a crash leaves, paths, full disks. And the crash model of
 * lib/store/tiles_memory.c, which stands for power loss in the simulations. */
#include "base/alloc.h"
#include "store/tiles_memory.h"
#include "store/tiles_posix.h"
#include "tests/support/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants some of the above first */
#include <cmocka.h>

/* fsync, here for all that is linked with this program: it counts, and fails when asked to. */
static int syncs;
static int sync_that_fails = -1;

int fsync(int fd)
{
    if (syncs++ == sync_that_fails) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

struct fixture {
    char *dir; /* owned */
    struct tiles *tiles;
    struct err err;
};

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->dir = files_make_temp_dir();
    assert_int_equal(tiles_posix_open(&f->tiles, f->dir, &f->err), E_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    tiles_close(f->tiles);
    files_remove_tree(f->dir);
    mem_free(f);
    return 0;
}

static mode_t mode_of(struct fixture *f, const char *name)
{
    struct stat st;
    char *path = files_join(f->dir, name);
    assert_int_equal(stat(path, &st), 0);
    free(path);
    return st.st_mode & 07777;
}

static size_t count_names(const char *dir, const char *name)
{
    size_t count = 0;
    char *path = files_join(dir, name);
    DIR *stream = opendir(path);
    assert_non_null(stream);
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        count += entry->d_name[0] != '.' ? 1 : 0;
    }
    closedir(stream);
    free(path);
    return count;
}

/* Any web server may read them, whatever the umask of the log. */
static void files_and_directories_are_public(void **state)
{
    struct fixture *f = *state;
    mode_t old = umask(077);
    assert_int_equal(tiles_write(f->tiles, "tile/0/x001/000", span_of_str("a"), &f->err), E_OK);
    assert_int_equal(tiles_replace(f->tiles, "checkpoint", span_of_str("a"), &f->err), E_OK);
    assert_int_equal(tiles_replace(f->tiles, "checkpoint", span_of_str("b"), &f->err), E_OK);
    umask(old);
    assert_int_equal(mode_of(f, "tile/0/x001/000"), 0644);
    assert_int_equal(mode_of(f, "checkpoint"), 0644);
    assert_int_equal(mode_of(f, "tile/0/x001"), 0755);
    assert_int_equal(mode_of(f, "tile"), 0755);
    assert_int_equal(mode_of(f, ".tmp"), 0700);
}

static void open_removes_what_a_crash_left(void **state)
{
    struct fixture *f = *state;
    char *path = files_join(f->dir, ".tmp/17");
    files_write(path, span_of_str("half"));
    tiles_close(f->tiles);
    assert_int_equal(tiles_posix_open(&f->tiles, f->dir, &f->err), E_OK);
    assert_int_equal(access(path, F_OK), -1);
    free(path);
}

static void open_makes_the_directory(void **state)
{
    struct fixture *f = *state;
    char *path = files_join(f->dir, "below/log");
    struct tiles *tiles;
    assert_int_equal(tiles_posix_open(&tiles, path, &f->err), E_OK);
    assert_int_equal(mode_of(f, "below/log"), 0755);
    tiles_close(tiles);
    free(path);
}

/* A writer replaces the file and never touches the old one: a reader that has it open, or a hard
 * link of a backup, keeps its bytes; and a sync that failed cannot have spoilt the new one. */
static void writing_again_makes_a_fresh_file(void **state)
{
    struct fixture *f = *state;
    struct stat before;
    struct stat after;
    char *path = files_join(f->dir, "tile/0/000");
    assert_int_equal(tiles_write(f->tiles, "tile/0/000", span_of_str("same"), &f->err), E_OK);
    int fd = open(path, O_RDONLY); /* keeps the number from being used again */
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &before), 0);
    assert_int_equal(tiles_write(f->tiles, "tile/0/000", span_of_str("same"), &f->err), E_OK);
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino != after.st_ino);
    assert_int_equal(count_names(f->dir, ".tmp"), 0);
    close(fd);
    free(path);
}

static void paths_cannot_leave_the_directory(void **state)
{
    static const char *const paths[] = {
        "",        "/",     "/etc/passwd", "..",     "../x",   "tile/../../x", "tile/..",
        "tile//0", "tile/", ".tmp/0",      "./tile", "tile/.", "tile/.hidden", ".",
    };
    struct fixture *f = *state;
    struct buf out = BUF_INIT(100);
    char long_path[2000];
    memset(long_path, 'a', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    for (size_t i = 0; i <= sizeof paths / sizeof paths[0]; i++) {
        const char *path = i < sizeof paths / sizeof paths[0] ? paths[i] : long_path;
        assert_int_equal(tiles_write(f->tiles, path, span_of_str("x"), &f->err), E_MALFORMED);
        assert_int_equal(tiles_replace(f->tiles, path, span_of_str("x"), &f->err), E_MALFORMED);
        assert_int_equal(tiles_read(f->tiles, path, &out, &f->err), E_MALFORMED);
        assert_int_equal(tiles_remove(f->tiles, path, &f->err), E_MALFORMED);
    }
}

static void temporary_files_are_not_listed_or_read(void **state)
{
    struct fixture *f = *state;
    struct buf out = BUF_INIT(100);
    char *path = files_join(f->dir, ".tmp/17");
    files_write(path, span_of_str("half"));
    assert_int_equal(tiles_read(f->tiles, ".tmp/17", &out, &f->err), E_MALFORMED);
    free(path);
}

static void removing_the_last_partial_tile_removes_its_directory(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(tiles_write(f->tiles, "tile/0/000.p/1", span_of_str("x"), &f->err), E_OK);
    assert_int_equal(tiles_write(f->tiles, "tile/0/000.p/2", span_of_str("x"), &f->err), E_OK);
    assert_int_equal(tiles_remove(f->tiles, "tile/0/000.p/1", &f->err), E_OK);
    assert_int_equal(count_names(f->dir, "tile/0"), 1);
    assert_int_equal(tiles_remove(f->tiles, "tile/0/000.p/2", &f->err), E_OK);
    assert_int_equal(count_names(f->dir, "tile"), 1);
    assert_int_equal(count_names(f->dir, "tile/0"), 0);
    assert_int_equal(tiles_sync(f->tiles, &f->err), E_OK);
}

static void a_file_in_the_way_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct buf out = BUF_INIT(100);
    assert_int_equal(tiles_write(f->tiles, "tile", span_of_str("x"), &f->err), E_OK);
    assert_int_equal(tiles_write(f->tiles, "tile/0/000", span_of_str("x"), &f->err), E_IO);
    assert_non_null(strstr(f->err.msg, "tile/0/000"));
    assert_int_equal(tiles_write(f->tiles, "a/b", span_of_str("x"), &f->err), E_OK);
    assert_int_equal(tiles_write(f->tiles, "a", span_of_str("x"), &f->err), E_IO);
    assert_int_equal(count_names(f->dir, ".tmp"), 0);
    assert_int_equal(tiles_read(f->tiles, "tile/0/000", &out, &f->err), E_NOT_FOUND);
}

/* The second caller did not hear of the failure: its sync must do all of the first one's work. */
static void a_failed_sync_leaves_its_directories_to_the_next(void **state)
{
    enum {
        DIRECTORIES = 4 /* ".", "tile", "tile/0", "tile/1" */
    };
    struct fixture *f = *state;
    for (int failing = 0; failing < DIRECTORIES; failing++) {
        assert_int_equal(tiles_write(f->tiles, "tile/0/000", span_of_str("x"), &f->err), E_OK);
        assert_int_equal(tiles_write(f->tiles, "tile/1/000", span_of_str("x"), &f->err), E_OK);
        syncs = 0;
        sync_that_fails = failing;
        assert_int_equal(tiles_sync(f->tiles, &f->err), E_IO);
        sync_that_fails = -1;
        syncs = 0;
        assert_int_equal(tiles_sync(f->tiles, &f->err), E_OK);
        assert_int_equal(syncs, DIRECTORIES);
        assert_int_equal(tiles_sync(f->tiles, &f->err), E_OK);
        assert_int_equal(syncs, DIRECTORIES);
    }
}

/* ---- mounts: in a child with some of its own ---- */

enum {
    SKIPPED = 77 /* of a child: a file system may not be mounted here */
};

static bool mount_small(const char *dir, const char *options)
{
    return (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("small", dir, "tmpfs", 0, options) == 0;
}

static void run_in_child(int (*run)(const char *dir), const char *dir)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(run(dir));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED) {
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int write_without_proc(const char *dir)
{
    struct err err = { 0 };
    struct tiles *tiles = NULL;
    struct buf out = BUF_INIT(100);
    if (!mount_small("/proc", "size=100k")) {
        return SKIPPED;
    }
    if (access("/proc/self", F_OK) == 0 || tiles_posix_open(&tiles, dir, &err) != E_OK) {
        return 1;
    }
    for (int i = 0; i < 2; i++) { /* the second time over the first */
        if (tiles_write(tiles, "tile/0/000", span_of_str("x"), &err) != E_OK) {
            return 2;
        }
    }
    if (tiles_sync(tiles, &err) != E_OK || tiles_read(tiles, "tile/0/000", &out, &err) != E_OK ||
        !span_is_str(buf_span(&out), "x") || count_names(dir, ".tmp") != 0) {
        return 3;
    }
    buf_clear(&out);
    tiles_close(tiles);
    return 0;
}

static void files_are_written_without_proc(void **state)
{
    struct fixture *f = *state;
    run_in_child(write_without_proc, f->dir);
}

/* ---- no space ---- */

static enum err_code write_limited(struct fixture *f, rlim_t limit_bytes, const char *path)
{
    static const uint8_t bytes[1000];
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = limit_bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    enum err_code rc = tiles_write(f->tiles, path, SPAN_OF_ARRAY(bytes), &f->err);
    limit.rlim_cur = RLIM_INFINITY;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    return rc;
}

static void no_space_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    struct buf out = BUF_INIT(2000);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(write_limited(f, 500, "tile/0/000"), E_UNAVAILABLE);
    assert_int_equal(count_names(f->dir, "tile/0"), 0);
    assert_int_equal(count_names(f->dir, ".tmp"), 0);
    assert_int_equal(write_limited(f, 1000, "tile/0/000"), E_OK);
    assert_int_equal(write_limited(f, 500, "tile/0/000"), E_UNAVAILABLE);
    assert_int_equal(tiles_read(f->tiles, "tile/0/000", &out, &f->err), E_OK);
    assert_int_equal(out.len, 1000);
    assert_int_equal(count_names(f->dir, ".tmp"), 0);
    buf_clear(&out);
}

static int fill_a_small_disk(const char *dir)
{
    struct err err = { 0 };
    struct tiles *tiles = NULL;
    static uint8_t bytes[70000];
    char path[64];
    if (!mount_small(dir, "size=200k")) {
        return SKIPPED;
    }
    if (tiles_posix_open(&tiles, dir, &err) != E_OK) {
        return 1;
    }
    enum err_code rc = E_OK;
    int i = 0;
    for (; rc == E_OK && i < 10; i++) {
        snprintf(path, sizeof path, "tile/entries/%03d", i);
        rc = tiles_write(tiles, path, SPAN_OF_ARRAY(bytes), &err);
    }
    if (rc != E_UNAVAILABLE || strstr(err.msg, "No space left on device") == NULL || i != 3) {
        return 2;
    }
    if (count_names(dir, ".tmp") != 0 || count_names(dir, "tile/entries") != 2) {
        return 3;
    }
    if (tiles_remove(tiles, "tile/entries/000", &err) != E_OK ||
        tiles_write(tiles, path, SPAN_OF_ARRAY(bytes), &err) != E_OK ||
        tiles_sync(tiles, &err) != E_OK) {
        return 4;
    }
    tiles_close(tiles);
    return 0;
}

static void a_full_disk_is_told_and_gets_over(void **state)
{
    struct fixture *f = *state;
    run_in_child(fill_a_small_disk, f->dir);
}

/* ---- the crash model ---- */

static bool is_there(struct tiles_memory_disk *disk, const char *path, const char *text)
{
    struct err err;
    struct buf out = BUF_INIT(100);
    struct tiles *tiles = tiles_memory_open(disk);
    enum err_code rc = tiles_read(tiles, path, &out, &err);
    bool is_equal = rc == E_OK && span_is_str(buf_span(&out), text);
    assert_true(is_equal || rc == E_NOT_FOUND);
    tiles_close(tiles);
    buf_clear(&out);
    return is_equal;
}

static struct tiles_memory_disk *disk_with_changes(bool is_sync_failing)
{
    struct err err;
    struct tiles_memory_disk *disk = tiles_memory_disk_new();
    struct tiles *tiles = tiles_memory_open(disk);
    assert_int_equal(tiles_write(tiles, "synced", span_of_str("s"), &err), E_OK);
    assert_int_equal(tiles_write(tiles, "removed", span_of_str("r"), &err), E_OK);
    assert_int_equal(tiles_sync(tiles, &err), E_OK);
    assert_int_equal(tiles_write(tiles, "written", span_of_str("w"), &err), E_OK);
    assert_int_equal(tiles_remove(tiles, "removed", &err), E_OK);
    assert_int_equal(tiles_replace(tiles, "replaced", span_of_str("p"), &err), E_OK);
    if (is_sync_failing) {
        tiles_memory_disk_fault(disk, STORE_FAULT_BEFORE);
        assert_int_equal(tiles_sync(tiles, &err), E_IO);
    }
    tiles_close(tiles);
    return disk;
}

static void a_crash_loses_any_subset_of_what_was_not_synced(void **state)
{
    (void)state;
    for (int is_failing = 0; is_failing < 2; is_failing++) {
        bool outcomes[4] = { false };
        for (uint64_t seed = 0; seed < 64; seed++) {
            struct tiles_memory_disk *disk = disk_with_changes(is_failing == 1);
            struct tiles_memory_disk *copy = tiles_memory_disk_copy(disk);
            tiles_memory_disk_free(disk);
            tiles_memory_disk_crash(copy, seed);
            assert_true(is_there(copy, "synced", "s"));
            assert_true(is_there(copy, "replaced", "p"));
            int outcome =
                (is_there(copy, "written", "w") ? 1 : 0) | (is_there(copy, "removed", "r") ? 2 : 0);
            outcomes[outcome] = true;
            tiles_memory_disk_crash(copy, seed + 1); /* nothing is left to lose */
            assert_int_equal(outcome & 1, is_there(copy, "written", "w") ? 1 : 0);
            tiles_memory_disk_free(copy);
        }
        assert_true(outcomes[0] && outcomes[1] && outcomes[2] && outcomes[3]);
    }
}

static void a_failed_sync_leaves_its_files_to_the_next(void **state)
{
    (void)state;
    struct err err;
    for (uint64_t seed = 0; seed < 64; seed++) {
        struct tiles_memory_disk *disk = disk_with_changes(true);
        struct tiles *other = tiles_memory_open(disk);
        assert_int_equal(tiles_sync(other, &err), E_OK);
        tiles_close(other);
        tiles_memory_disk_crash(disk, seed);
        assert_true(is_there(disk, "written", "w"));
        assert_false(is_there(disk, "removed", "r"));
        tiles_memory_disk_free(disk);
    }
}

static void faults_hit_before_or_after(void **state)
{
    (void)state;
    struct err err;
    struct tiles_memory_disk *disk = tiles_memory_disk_new();
    struct tiles *tiles = tiles_memory_open(disk);
    tiles_memory_disk_fault(disk, STORE_FAULT_BEFORE);
    assert_int_equal(tiles_write(tiles, "a", span_of_str("a"), &err), E_IO);
    assert_false(is_there(disk, "a", "a"));
    tiles_memory_disk_fault(disk, STORE_FAULT_AFTER);
    assert_int_equal(tiles_write(tiles, "a", span_of_str("a"), &err), E_IO);
    assert_true(is_there(disk, "a", "a"));
    assert_int_equal(tiles_write(tiles, "b", span_of_str("b"), &err), E_OK);
    tiles_memory_disk_fault(disk, STORE_FAULT_FULL);
    assert_int_equal(tiles_write(tiles, "c", span_of_str("c"), &err), E_UNAVAILABLE);
    assert_int_equal(tiles_replace(tiles, "c", span_of_str("c"), &err), E_UNAVAILABLE);
    assert_int_equal(tiles_sync(tiles, &err), E_OK);
    tiles_memory_disk_fault(disk, STORE_FAULT_NONE);
    assert_int_equal(tiles_write(tiles, "c", span_of_str("c"), &err), E_OK);
    tiles_close(tiles);
    tiles_memory_disk_free(disk);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(files_and_directories_are_public),
        CASE(open_removes_what_a_crash_left),
        CASE(open_makes_the_directory),
        CASE(writing_again_makes_a_fresh_file),
        CASE(paths_cannot_leave_the_directory),
        CASE(temporary_files_are_not_listed_or_read),
        CASE(removing_the_last_partial_tile_removes_its_directory),
        CASE(a_file_in_the_way_is_an_error),
        CASE(a_failed_sync_leaves_its_directories_to_the_next),
        CASE(files_are_written_without_proc),
        CASE(no_space_leaves_nothing_behind),
        CASE(a_full_disk_is_told_and_gets_over),
        cmocka_unit_test(a_crash_loses_any_subset_of_what_was_not_synced),
        cmocka_unit_test(a_failed_sync_leaves_its_files_to_the_next),
        cmocka_unit_test(faults_hit_before_or_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
