#include "witness/witness_dir.h"

#include "base/buf.h"
#include "base/file.h"
#include "tests/support/files.h"
#include "tests/support/keys.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char *root;
    char *path;
    struct signer keys[3]; /* of one name */
    struct err err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->root = files_make_temp_dir();
    f->path = files_join(f->root, "data");
    f->keys[0] = keys_signer("witness.example", SIGNATURE_COSIGNATURE, "a");
    f->keys[1] = keys_signer("witness.example", SIGNATURE_COSIGNATURE, "b");
    f->keys[2] = keys_signer("witness.example", SIGNATURE_COSIGNATURE, "c");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < 3; i++) {
        signer_clear(&f->keys[i]);
    }
    free(f->path);
    files_remove_tree(f->root);
    free(f);
    return 0;
}

/* As a start does, with the store; how far it got is told by `has_store`. */
static enum err_code try_start(struct fixture *f, size_t first, size_t count, bool *has_store)
{
    struct witness_dir dir;
    struct kv *kv;
    enum err_code rc = witness_dir_open(&dir, f->path, f->keys + first, count, &f->err);
    *has_store = rc == E_OK;
    if (rc == E_OK) {
        rc = witness_dir_open_store(&dir, &kv, &f->err);
        if (rc == E_OK) {
            kv_close(kv);
        }
        witness_dir_close(&dir);
    }
    return rc;
}

static enum err_code try_open(struct fixture *f, size_t first, size_t count)
{
    bool has_store;
    return try_start(f, first, count, &has_store);
}

static bool is_there(const struct fixture *f, const char *name)
{
    char *path = files_join(f->path, name);
    bool is = access(path, F_OK) == 0;
    free(path);
    return is;
}

/* rename(2) below the data directory. */
static void move(const struct fixture *f, const char *from, const char *to)
{
    char *a = files_join(f->path, from), *b = files_join(f->path, to);
    assert_int_equal(rename(a, b), 0);
    free(a);
    free(b);
}

static void witness_dir_is_private_and_locked(void **state)
{
    struct fixture *f = *state;
    struct witness_dir dir;
    struct stat st;
    struct err err;
    assert_int_equal(witness_dir_open(&dir, f->path, f->keys, 1, &err), E_OK);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(dir.evidence, &st), 0);
    assert_int_equal(try_open(f, 0, 1), E_BUSY);
    struct kv *kv;
    assert_int_equal(witness_dir_open_store(&dir, &kv, &err), E_OK);
    assert_int_equal(stat(dir.state, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    kv_close(kv);
    witness_dir_close(&dir);
    assert_int_equal(try_open(f, 0, 1), E_OK);
}

static void witness_dir_refuses_keys_that_never_signed_from_it(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(try_open(f, 0, 1), E_OK);
    assert_int_equal(try_open(f, 1, 1), E_DENIED);
    assert_int_equal(try_open(f, 1, 2), E_DENIED);
    assert_int_equal(try_open(f, 0, 1), E_OK);
}

static void witness_dir_takes_new_keys_beside_a_known_one(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(try_open(f, 0, 1), E_OK);
    assert_int_equal(try_open(f, 0, 2), E_OK);
    assert_int_equal(try_open(f, 1, 1), E_OK); /* it has signed from here */
    assert_int_equal(try_open(f, 2, 1), E_DENIED);
    assert_int_equal(try_open(f, 1, 2), E_OK);
    assert_int_equal(try_open(f, 0, 1), E_OK); /* what was there is not forgotten */
}

static void witness_dir_does_not_take_a_damaged_identity_for_none(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(try_open(f, 0, 1), E_OK);
    char *identity = files_join(f->path, "identity");
    struct buf whole = BUF_INIT(1024);
    struct err err;
    assert_int_equal(file_read(&whole, identity, &err), E_OK);
    for (size_t len = 0; len < whole.len; len++) {
        files_write(identity, span_of(whole.data, len));
        assert_int_equal(try_open(f, 0, 1), E_DENIED);
    }
    buf_clear(&whole);
    free(identity);
}

/* Nothing is signed before the identity is written, so nothing is lost. */
static void witness_dir_begins_again_when_its_first_start_was_cut_short(void **state)
{
    struct fixture *f = *state;
    struct witness_dir dir;
    struct kv *kv;
    assert_int_equal(witness_dir_open(&dir, f->path, f->keys, 1, &f->err), E_OK);
    assert_false(is_there(f, "identity"));
    witness_dir_close(&dir);
    assert_int_equal(witness_dir_open(&dir, f->path, f->keys, 1, &f->err), E_OK);
    assert_int_equal(kv_leveldb_open(&kv, dir.state, &f->err), E_OK); /* and no further */
    kv_close(kv);
    witness_dir_close(&dir);
    assert_false(is_there(f, "identity"));
    assert_int_equal(try_open(f, 0, 1), E_OK);
    assert_true(is_there(f, "identity"));
    assert_int_equal(try_open(f, 1, 1), E_DENIED);
}

static void assert_lost(struct fixture *f)
{
    bool has_store = false;
    assert_int_equal(try_start(f, 0, 1, &has_store), E_NOT_FOUND);
    assert_true(has_store);
    assert_non_null(strstr(f->err.msg, "the state is lost: this key must be retired"));
    assert_non_null(strstr(f->err.msg, "not mounted"));
    assert_int_equal(try_open(f, 0, 2), E_NOT_FOUND); /* a new key is no way around it */
}

static void witness_dir_that_has_signed_never_begins_anew(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(try_open(f, 0, 1), E_OK);
    move(f, "state", "away");
    assert_lost(f);
    assert_false(is_there(f, "state"));
    char *path = files_join(f->path, "state");
    assert_int_equal(mkdir(path, 0700), 0); /* as an empty mount point is */
    assert_lost(f);
    assert_false(is_there(f, "state/CURRENT"));
    assert_int_equal(rmdir(path), 0);
    free(path);
    move(f, "away", "state");
    assert_int_equal(try_open(f, 0, 1), E_OK);
    assert_int_equal(try_open(f, 1, 1), E_DENIED); /* it was not added by what failed */
}

static void witness_dir_whose_store_lost_its_root_is_not_begun_anew(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(try_open(f, 0, 1), E_OK);
    move(f, "state/CURRENT", "state/gone");
    assert_lost(f);
    assert_false(is_there(f, "state/CURRENT"));
}

/* After a failed write, when the volume may have gone. */
static void witness_dir_reopens_only_what_is_there(void **state)
{
    struct fixture *f = *state;
    struct witness_dir dir;
    struct kv *kv;
    assert_int_equal(witness_dir_open(&dir, f->path, f->keys, 1, &f->err), E_OK);
    assert_int_equal(witness_dir_open_store(&dir, &kv, &f->err), E_OK);
    kv_close(kv);
    move(f, "state", "away");
    assert_int_equal(witness_dir_reopen_store(&dir, &kv, &f->err), E_NOT_FOUND);
    assert_false(is_there(f, "state"));
    move(f, "away", "state");
    assert_int_equal(witness_dir_reopen_store(&dir, &kv, &f->err), E_OK);
    kv_close(kv);
    witness_dir_close(&dir);
}

/* LevelDB writes when it opens; a limit on file sizes stands for a full disk. */
static void witness_dir_says_what_to_free_when_the_disk_is_full(void **state)
{
    struct fixture *f = *state;
    struct rlimit old;
    assert_int_equal(try_open(f, 0, 1), E_OK);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 0, old.rlim_max }), 0);
    enum err_code rc = try_open(f, 0, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(rc, E_IO);
    assert_non_null(strstr(f->err.msg, "if the disk under data-dir is full, free 16 MiB"));
    assert_int_equal(try_open(f, 0, 1), E_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(witness_dir_is_private_and_locked, setup, teardown),
        cmocka_unit_test_setup_teardown(witness_dir_refuses_keys_that_never_signed_from_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(witness_dir_takes_new_keys_beside_a_known_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(witness_dir_does_not_take_a_damaged_identity_for_none,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(witness_dir_begins_again_when_its_first_start_was_cut_short,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(witness_dir_that_has_signed_never_begins_anew, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(witness_dir_whose_store_lost_its_root_is_not_begun_anew,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(witness_dir_reopens_only_what_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(witness_dir_says_what_to_free_when_the_disk_is_full, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
