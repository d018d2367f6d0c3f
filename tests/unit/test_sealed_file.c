#include "store/sealed_file.h"

#include "base/alloc.h"
#include "base/file.h"
#include "tests/support/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

static const char plain[] = "{\"debtor\":\"990101198503151239\"}\n";

static struct sealed_key key_of(const char *secret)
{
    struct sealed_key key;
    struct hash hash = sha256(span_of_str(secret));
    memcpy(key.bytes, hash.bytes, sizeof key.bytes);
    return key;
}

static struct buf seal(enum cipher cipher, const struct sealed_key *key)
{
    struct buf bytes = BUF_INIT(4096);
    sealed_file_put(&bytes, cipher, key, span_of_str(plain));
    return bytes;
}

static enum err_code take(struct span bytes, const struct sealed_key *key)
{
    struct buf out = BUF_INIT(4096);
    struct err err;
    enum err_code rc = sealed_file_take(&out, key, bytes, &err);
    assert_true(rc == E_OK ? span_is_str(buf_span(&out), plain) : out.len == 0);
    buf_clear(&out);
    return rc;
}

static void what_was_sealed_comes_out_under_its_key_only(void **state)
{
    (void)state;
    static const enum cipher ciphers[] = { CIPHER_AES_256_GCM, CIPHER_SM4_GCM };
    struct sealed_key key = key_of("a"), other = key_of("b");
    for (size_t i = 0; i < 2; i++) {
        if (!cipher_is_available(ciphers[i])) {
            continue;
        }
        struct buf bytes = seal(ciphers[i], &key);
        assert_int_equal(span_find(buf_span(&bytes), span_of_str("9901011985")), SIZE_MAX);
        assert_int_equal(take(buf_span(&bytes), &key), E_OK);
        assert_int_equal(take(buf_span(&bytes), &other), E_BAD_SIGNATURE);
        buf_clear(&bytes);
    }
}

static void two_files_of_the_same_bytes_differ(void **state)
{
    (void)state;
    struct sealed_key key = key_of("a");
    struct buf one = seal(CIPHER_AES_256_GCM, &key), two = seal(CIPHER_AES_256_GCM, &key);
    assert_int_equal(one.len, two.len);
    assert_false(span_is_equal(buf_span(&one), buf_span(&two)));
    buf_clear(&one);
    buf_clear(&two);
}

static void no_changed_byte_and_no_part_is_accepted(void **state)
{
    (void)state;
    struct sealed_key key = key_of("a");
    struct buf bytes = seal(CIPHER_AES_256_GCM, &key);
    for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_not_equal(take(buf_span(&bytes), &key), E_OK);
        bytes.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t len = 0; len < bytes.len; len++) {
        assert_int_not_equal(take(span_slice(buf_span(&bytes), 0, len), &key), E_OK);
    }
    assert_int_equal(take(buf_span(&bytes), &key), E_OK);
    buf_clear(&bytes);
}

static void more_than_there_is_room_for_is_refused(void **state)
{
    (void)state;
    struct sealed_key key = key_of("a");
    struct buf bytes = seal(CIPHER_AES_256_GCM, &key);
    struct buf out = BUF_INIT(sizeof plain - 2);
    struct err err;
    assert_int_equal(sealed_file_take(&out, &key, buf_span(&bytes), &err), E_TOO_LARGE);
    buf_clear(&out);
    buf_clear(&bytes);
}

static void a_file_is_its_owners_and_is_replaced_whole(void **state)
{
    (void)state;
    char *dir = files_make_temp_dir();
    char *path = file_join(dir, "payload");
    struct sealed_key key = key_of("a");
    struct err err;
    struct stat status;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sealed_file_write(path, CIPHER_AES_256_GCM, &key, span_of_str(plain),
                                           &err),
                         E_OK);
    }
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    struct buf out = BUF_INIT(4096);
    assert_int_equal(sealed_file_read(&out, path, &key, sizeof plain, &err), E_OK);
    assert_true(span_is_str(buf_span(&out), plain));
    buf_clear(&out);
    assert_int_equal(sealed_file_read(&out, path, &key, 8, &err), E_TOO_LARGE);
    assert_int_equal(sealed_file_read(&out, dir, &key, 8, &err), E_IO);
    buf_clear(&out);
    mem_free(path);
    files_remove_tree(dir);
}

static void a_key_is_made_once_and_read_by_its_owner_only(void **state)
{
    (void)state;
    char *dir = files_make_temp_dir();
    char *path = file_join(dir, "key");
    struct sealed_key key, again;
    struct err err;
    assert_int_equal(sealed_key_load(&key, path, &err), E_NOT_FOUND);
    assert_int_equal(sealed_key_create(path, &err), E_OK);
    assert_int_equal(sealed_key_create(path, &err), E_EXISTS);
    assert_int_equal(sealed_key_load(&key, path, &err), E_OK);
    assert_int_equal(sealed_key_load(&again, path, &err), E_OK);
    assert_memory_equal(&key, &again, sizeof key);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(sealed_key_load(&key, path, &err), E_DENIED);
    mem_free(path);
    files_remove_tree(dir);
}

static void what_is_no_key_is_refused_and_not_shown(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
        "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA\n",
        "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n\n",
        "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB=\n", /* stray bits */
        "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0e\n",
        " AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA\n",
    };
    char *dir = files_make_temp_dir();
    char *path = file_join(dir, "key");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sealed_key key;
        struct err err;
        assert_int_equal(file_replace(path, 0600, span_of_str(texts[i]), &err), E_OK);
        assert_int_equal(sealed_key_load(&key, path, &err), E_MALFORMED);
        assert_null(strstr(err.msg, "AQIDBA"));
    }
    mem_free(path);
    files_remove_tree(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sealed_comes_out_under_its_key_only),
        cmocka_unit_test(two_files_of_the_same_bytes_differ),
        cmocka_unit_test(no_changed_byte_and_no_part_is_accepted),
        cmocka_unit_test(more_than_there_is_room_for_is_refused),
        cmocka_unit_test(a_file_is_its_owners_and_is_replaced_whole),
        cmocka_unit_test(a_key_is_made_once_and_read_by_its_owner_only),
        cmocka_unit_test(what_is_no_key_is_refused_and_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
