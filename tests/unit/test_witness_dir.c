#include "witness/witness_dir.h"

#include "base/buf.h"
#include "base/file.h"
#include "tests/support/files.h"
#include "tests/support/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

struct fixture {
    char *root;
    char *path;
    struct signer keys[3]; /* of one name */
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

static enum err_code try_open(struct fixture *f, size_t first, size_t count)
{
    struct witness_dir dir;
    struct err err;
    enum err_code rc = witness_dir_open(&dir, f->path, f->keys + first, count, &err);
    if (rc == E_OK) {
        witness_dir_close(&dir);
    }
    return rc;
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
    assert_int_equal(stat(dir.state, &st), 0);
    assert_int_equal(stat(dir.evidence, &st), 0);
    assert_int_equal(try_open(f, 0, 1), E_BUSY);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
