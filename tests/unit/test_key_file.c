/* lib/store/key_file.c: keys in files, and keys in a device that a file names. */
#include "base/file.h"
#include "store/hsm.h"
#include "store/key_file.h"
#include "tests/support/files.h"
#include "tests/support/keys.h"
#include "tests/support/softhsm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

static char *dir;             /* owned, as all below */
static char *path;            /* of the key file */
static char *pin_path;        /* of the file with the PIN */
static char *hsm_dir;         /* NULL: there is no SoftHSM */
static char uri[HSM_URI_MAX]; /* of the device's key */
static struct vkey vkey;      /* of the device's key */
static struct err err;

static int set_up_group(void **state)
{
    (void)state;
    dir = files_make_temp_dir();
    path = files_join(dir, "key");
    pin_path = files_join(dir, "pin");
    if (softhsm_module() == NULL) {
        return 0;
    }
    struct signing_key *key = NULL;
    hsm_dir = softhsm_start();
    softhsm_make_token("token");
    files_write(pin_path, span_of_str(SOFTHSM_PIN));
    assert_int_equal(chmod(pin_path, 0400), 0);
    snprintf(uri, sizeof uri, "pkcs11:token=token;object=key?module-path=%s&pin-source=%s",
             softhsm_module(), pin_path);
    assert_int_equal(hsm_generate_key(&key, span_of_str(uri), &err), E_OK);
    struct ed25519_public public = signing_key_public(key);
    vkey = vkey_make("witness.example", SIGNATURE_COSIGNATURE, &public);
    signing_key_free(key);
    return 0;
}

static int tear_down_group(void **state)
{
    (void)state;
    files_remove_tree(dir);
    free(path);
    free(pin_path);
    if (hsm_dir != NULL) {
        files_remove_tree(hsm_dir);
    }
    return 0;
}

static void write_file(struct span bytes)
{
    unlink(path);
    files_write(path, bytes);
    assert_int_equal(chmod(path, 0600), 0);
}

static void write_device_file(const struct vkey *of, const char *separator, const char *line,
                              const char *end)
{
    struct buf text = BUF_INIT(4096);
    vkey_put(&text, of);
    buf_putf(&text, "%s%s%s", separator, line, end);
    write_file(buf_span(&text));
    buf_clear(&text);
}

/* The error names the file. */
static void assert_refused(enum err_code expected)
{
    struct signer signer = { .key = NULL };
    assert_int_equal(key_file_load(&signer, path, &err), expected);
    assert_null(signer.key);
    assert_non_null(strstr(err.msg, path));
}

static void write_signer(void)
{
    struct buf text = BUF_INIT(1024);
    struct signer signer = keys_signer("log.example", SIGNATURE_ED25519, "secret");
    signer_put(&text, &signer);
    write_file(buf_span(&text));
    signer_clear(&signer);
    buf_clear(&text);
}

static void assert_signs(const struct signer *signer)
{
    struct ed25519_signature signature;
    struct span message = span_of_str("message");
    assert_int_equal(signing_key_sign(signer->key, message, &signature, &err), E_OK);
    assert_true(ed25519_verify(&signer->vkey.key, message, &signature));
}

static void a_signer_key_is_loaded(void **state)
{
    (void)state;
    struct signer signer;
    write_signer();
    assert_int_equal(key_file_load(&signer, path, &err), E_OK);
    assert_string_equal(signer.vkey.name, "log.example");
    assert_signs(&signer);
    signer_clear(&signer);
}

static void a_key_that_others_can_get_at_is_no_key(void **state)
{
    (void)state;
    write_signer();
    for (mode_t mode = 0; mode < 0100; mode++) {
        assert_int_equal(chmod(path, 0600 | mode), 0);
        enum err_code rc = key_file_check_private(path, &err);
        assert_int_equal(rc, mode == 0 ? E_OK : E_DENIED);
        if (mode != 0) {
            assert_non_null(strstr(err.msg, "chmod 600"));
            assert_refused(E_DENIED);
        }
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(key_file_check_private(path, &err), E_OK);
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    unlink(path);
    assert_refused(E_NOT_FOUND);
    assert_int_equal(key_file_check_private(path, &err), E_NOT_FOUND);
}

static void what_is_no_key_is_refused(void **state)
{
    (void)state;
    static const uint8_t many[4096];
    struct signer signer = keys_signer("log.example", SIGNATURE_ED25519, "secret");
    write_file(span_of_str(""));
    assert_refused(E_MALFORMED);
    write_file(span_of_str("\n"));
    assert_refused(E_MALFORMED);
    write_file(span_of_str("PRIVATE+KEY+log.example"));
    assert_refused(E_MALFORMED);
    write_file(SPAN_OF_ARRAY(many));
    assert_refused(E_TOO_LARGE);
    write_device_file(&signer.vkey, "", "", "\n"); /* the public half alone */
    assert_refused(E_MALFORMED);
    write_device_file(&signer.vkey, "\n", "PKCS11:token=token", "\n");
    assert_refused(E_MALFORMED);
    write_device_file(&signer.vkey, "\n", "pkcs11:token=token", "\n");
    assert_refused(E_MALFORMED);
    write_device_file(&signer.vkey, "\r\n", "pkcs11:token=token", "\n");
    assert_refused(E_MALFORMED);
    signer_clear(&signer);
}

static void a_private_key_beside_a_device_is_refused(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(4096);
    struct signer signer = keys_signer("log.example", SIGNATURE_ED25519, "secret");
    signer_put(&text, &signer);
    buf_put_str(&text, "pkcs11:token=token;object=key?module-path=/m.so&pin-value=1\n");
    write_file(buf_span(&text));
    assert_refused(E_MALFORMED);
    assert_null(strstr(err.msg, "PRIVATE+KEY"));
    signer_clear(&signer);
    buf_clear(&text);
}

static void need_device(void)
{
    if (hsm_dir == NULL) {
        print_message("skipped: SoftHSM is not there (Debian: softhsm2)\n");
        skip();
    }
}

static void a_key_in_a_device_is_loaded(void **state)
{
    (void)state;
    need_device();
    for (size_t i = 0; i < 2; i++) {
        struct signer signer;
        write_device_file(&vkey, "\n", uri, i == 0 ? "\n" : "");
        assert_int_equal(key_file_load(&signer, path, &err), E_OK);
        assert_true(vkey_is_equal(&signer.vkey, &vkey));
        assert_signs(&signer);
        signer_clear(&signer);
    }
}

static void another_key_than_the_devices_is_refused(void **state)
{
    (void)state;
    need_device();
    struct signer other = keys_signer("witness.example", SIGNATURE_COSIGNATURE, "secret");
    write_device_file(&other.vkey, "\n", uri, "\n");
    assert_refused(E_BAD_SIGNATURE);
    signer_clear(&other);
}

static void more_than_two_lines_are_refused(void **state)
{
    (void)state;
    need_device();
    write_device_file(&vkey, "\n", uri, "\n\n");
    assert_refused(E_MALFORMED);
    write_device_file(&vkey, "\n\n", uri, "\n");
    assert_refused(E_MALFORMED);
    write_device_file(&vkey, "\n", uri, "\nmore\n");
    assert_refused(E_MALFORMED);
}

static void the_devices_own_errors_come_through(void **state)
{
    (void)state;
    need_device();
    write_device_file(&vkey, "\n", uri, "\n");
    assert_int_equal(chmod(pin_path, 0444), 0);
    assert_refused(E_DENIED);
    assert_non_null(strstr(err.msg, pin_path));
    assert_int_equal(chmod(pin_path, 0400), 0);
    char none[HSM_URI_MAX];
    snprintf(none, sizeof none, "pkcs11:token=token;object=none?module-path=%s&pin-source=%s",
             softhsm_module(), pin_path);
    write_device_file(&vkey, "\n", none, "\n");
    assert_refused(E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signer_key_is_loaded),
        cmocka_unit_test(a_key_that_others_can_get_at_is_no_key),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(a_private_key_beside_a_device_is_refused),
        cmocka_unit_test(a_key_in_a_device_is_loaded),
        cmocka_unit_test(another_key_than_the_devices_is_refused),
        cmocka_unit_test(more_than_two_lines_are_refused),
        cmocka_unit_test(the_devices_own_errors_come_through),
    };
    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
