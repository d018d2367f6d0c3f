/* lib/store/kv_leveldb.c: locks, damage, death, a full disk. What it shares with memory is in
 * test_kv.c. */
#include "base/alloc.h"
#include "store/kv.h"
#include "tests/support/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

struct fixture {
    char *parent; /* owned */
    char *dir;    /* owned */
    struct kv *kv;
    struct kv_batch batch;
    struct err err;
};

static enum err_code try_reopen(struct fixture *f)
{
    kv_close(f->kv);
    f->kv = NULL;
    return kv_leveldb_open(&f->kv, f->dir, &f->err);
}

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    kv_batch_init(&f->batch);
    f->parent = files_make_temp_dir();
    f->dir = files_join(f->parent, "state");
    assert_int_equal(kv_leveldb_open(&f->kv, f->dir, &f->err), E_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    kv_close(f->kv);
    kv_batch_clear(&f->batch);
    files_remove_tree(f->parent);
    free(f->dir);
    mem_free(f);
    return 0;
}

static void put(struct fixture *f, const char *key, const char *value)
{
    kv_batch_put(&f->batch, span_of_str(key), span_of_str(value));
}

static void write_all(struct fixture *f)
{
    assert_int_equal(kv_write_synced(f->kv, &f->batch, &f->err), E_OK);
    kv_batch_reset(&f->batch);
}

/* NULL: it is not there. */
static void assert_value(struct fixture *f, const char *key, const char *expected)
{
    struct buf value = BUF_INIT(KV_VALUE_BYTES_MAX);
    buf_put_str(&value, "before:");
    enum err_code rc = kv_get(f->kv, span_of_str(key), &value, &f->err);
    assert_int_equal(rc, expected == NULL ? E_NOT_FOUND : E_OK);
    struct span found = buf_span(&value);
    assert_true(span_take_prefix(&found, span_of_str("before:")));
    assert_true(span_is_str(found, expected == NULL ? "" : expected));
    buf_clear(&value);
}

static void a_store_is_opened_once(void **state)
{
    struct fixture *f = *state;
    struct kv *second = NULL;
    assert_int_equal(kv_leveldb_open(&second, f->dir, &f->err), E_BUSY);
    assert_null(second);
    put(f, "key", "value"); /* the first is none the worse for it */
    write_all(f);
    assert_int_equal(try_reopen(f), E_OK);
    assert_value(f, "key", "value");
}

/* Another process, which does not share LevelDB's own table of locks. */
static void another_process_finds_it_busy(void **state)
{
    struct fixture *f = *state;
    int ready[2];
    char byte = 0;
    kv_close(f->kv);
    f->kv = NULL;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct kv *kv = NULL;
        byte = kv_leveldb_open(&kv, f->dir, &f->err) == E_OK ? 'y' : 'n';
        _exit(write(ready[1], &byte, 1) == 1 && pause() == 0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    enum err_code rc = kv_leveldb_open(&f->kv, f->dir, &f->err);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(rc, E_BUSY);
    assert_int_equal(kv_leveldb_open(&f->kv, f->dir, &f->err), E_OK);
}

static void what_was_written_survives_a_killed_process(void **state)
{
    struct fixture *f = *state;
    put(f, "first", "1");
    put(f, "second", "1");
    kv_close(f->kv);
    f->kv = NULL;
    for (int round = 0; round < 3; round++) {
        pid_t child = fork();
        if (child == 0) {
            if (kv_leveldb_open(&f->kv, f->dir, &f->err) == E_OK &&
                kv_write_synced(f->kv, &f->batch, &f->err) == E_OK) {
                kill(getpid(), SIGKILL);
            }
            _exit(1);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(try_reopen(f), E_OK);
        assert_value(f, "first", "1");
        assert_value(f, "second", "1");
        kv_close(f->kv);
        f->kv = NULL;
    }
    assert_int_equal(kv_leveldb_open(&f->kv, f->dir, &f->err), E_OK);
}

/* The path of the only file whose name has this in it, to be freed with free(). */
static char *find_file(struct fixture *f, const char *part)
{
    char *path = NULL;
    DIR *stream = opendir(f->dir);
    assert_non_null(stream);
    for (const struct dirent *entry; path == NULL && (entry = readdir(stream)) != NULL;) {
        if (strstr(entry->d_name, part) != NULL) {
            path = files_join(f->dir, entry->d_name);
        }
    }
    closedir(stream);
    assert_non_null(path);
    return path;
}

/* A store with one table, closed. */
static void make_table(struct fixture *f)
{
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "key/%02d", i);
        put(f, key, "a value that is long enough to be hit");
    }
    write_all(f);
    assert_int_equal(try_reopen(f), E_OK); /* turns the log into a table */
    kv_close(f->kv);
    f->kv = NULL;
}

static void damage(struct fixture *f, const char *part, off_t at)
{
    char *path = find_file(f, part);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "damage", 6, at), 6);
    close(fd);
    free(path);
}

static void drop_file(struct fixture *f, const char *part)
{
    char *path = find_file(f, part);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static enum err_code see(void *ctx, struct span key, struct span value, struct err *err)
{
    (void)ctx;
    (void)key;
    (void)value;
    (void)err;
    return E_OK;
}

static void a_damaged_table_is_corruption(void **state)
{
    struct fixture *f = *state;
    struct buf value = BUF_INIT(1024);
    make_table(f);
    damage(f, ".ldb", 100);
    assert_int_equal(kv_leveldb_open(&f->kv, f->dir, &f->err), E_OK);
    assert_int_equal(kv_get(f->kv, span_of_str("key/00"), &value, &f->err), E_CORRUPT);
    assert_int_equal(value.len, 0);
    assert_int_equal(kv_scan(f->kv, span_of_str("key/"), see, NULL, &f->err), E_CORRUPT);
    buf_clear(&value);
}

static void a_damaged_manifest_is_corruption(void **state)
{
    struct fixture *f = *state;
    make_table(f);
    damage(f, "MANIFEST", 10);
    assert_int_equal(try_reopen(f), E_CORRUPT);
    assert_null(f->kv);
}

static void a_damaged_log_is_corruption(void **state)
{
    struct fixture *f = *state;
    put(f, "first", "a value that is long enough to be hit");
    write_all(f);
    put(f, "second", "another");
    write_all(f);
    kv_close(f->kv);
    f->kv = NULL;
    damage(f, ".log", 30);
    assert_int_equal(try_reopen(f), E_CORRUPT);
    assert_int_equal(try_reopen(f), E_CORRUPT); /* it is left as it is */
}

static void a_missing_table_is_corruption(void **state)
{
    struct fixture *f = *state;
    make_table(f);
    drop_file(f, ".ldb");
    assert_int_equal(try_reopen(f), E_CORRUPT);
}

/* LevelDB alone would make a new store over the old one. */
static void a_missing_current_file_is_corruption(void **state)
{
    struct fixture *f = *state;
    make_table(f);
    drop_file(f, "CURRENT");
    assert_int_equal(try_reopen(f), E_CORRUPT);
    assert_int_equal(try_reopen(f), E_CORRUPT);
    free(find_file(f, ".ldb")); /* is still there */
}

static void a_directory_that_cannot_be_made_is_an_io_error(void **state)
{
    struct fixture *f = *state;
    struct kv *kv = NULL;
    char *file = files_join(f->parent, "file");
    files_write(file, span_of_str(""));
    assert_int_equal(kv_leveldb_open(&kv, file, &f->err), E_IO);
    char *below = files_join(file, "state");
    assert_int_equal(kv_leveldb_open(&kv, below, &f->err), E_IO);
    assert_null(kv);
    free(below);
    free(file);
}

static void a_new_store_is_its_owners_alone(void **state)
{
    struct fixture *f = *state;
    struct stat status;
    assert_int_equal(stat(f->dir, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
}

/* A process's limit on file sizes stands for a full disk. */
static void a_failed_write_needs_a_new_handle(void **state)
{
    struct fixture *f = *state;
    struct rlimit old;
    put(f, "before", "1");
    write_all(f);
    struct buf large = BUF_INIT(KV_VALUE_BYTES_MAX);
    memset(buf_extend(&large, 256 * 1024), 'x', 256 * 1024);
    kv_batch_put(&f->batch, span_of_str("large"), buf_span(&large));
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 100 * 1024, old.rlim_max }), 0);
    enum err_code full = kv_write_synced(f->kv, &f->batch, &f->err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(full, E_IO);
    assert_int_equal(kv_write_synced(f->kv, &f->batch, &f->err), E_IO); /* there is room by now */
    assert_value(f, "before", "1");
    assert_int_equal(try_reopen(f), E_OK);
    assert_value(f, "before", "1");
    write_all(f);
    assert_int_equal(try_reopen(f), E_OK);
    buf_reset(&large);
    assert_int_equal(kv_get(f->kv, span_of_str("large"), &large, &f->err), E_OK);
    assert_int_equal(large.len, 256 * 1024);
    buf_clear(&large);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static void one_that_must_exist_is_never_made(void **state)
{
    struct fixture *f = *state;
    struct kv *kv = NULL;
    char *below = files_join(f->dir, "none");
    assert_int_equal(kv_leveldb_open_existing(&kv, below, &f->err), E_NOT_FOUND);
    assert_int_not_equal(access(below, F_OK), 0);
    assert_int_equal(mkdir(below, 0700), 0);
    assert_int_equal(kv_leveldb_open_existing(&kv, below, &f->err), E_NOT_FOUND);
    assert_int_equal(rmdir(below), 0); /* still empty */
    assert_int_equal(kv_leveldb_open(&kv, below, &f->err), E_OK);
    kv_close(kv);
    assert_int_equal(kv_leveldb_open_existing(&kv, below, &f->err), E_OK);
    kv_close(kv);
    free(below);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_store_is_opened_once),
        CASE(another_process_finds_it_busy),
        CASE(what_was_written_survives_a_killed_process),
        CASE(a_damaged_table_is_corruption),
        CASE(a_damaged_manifest_is_corruption),
        CASE(a_damaged_log_is_corruption),
        CASE(a_missing_table_is_corruption),
        CASE(a_missing_current_file_is_corruption),
        CASE(a_directory_that_cannot_be_made_is_an_io_error),
        CASE(a_new_store_is_its_owners_alone),
        CASE(a_failed_write_needs_a_new_handle),
        CASE(one_that_must_exist_is_never_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
