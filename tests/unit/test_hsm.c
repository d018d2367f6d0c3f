/* lib/store/hsm.c with SoftHSM: keys that are made, found, lost and found again; what is refused. */
#include "base/alloc.h"
#include "store/hsm.h"
#include "store/hsm_module.h"
#include "tests/support/files.h"
#include "tests/support/softhsm.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

static char *dir;      /* the tokens are in there; owned, as the next */
static char *pin_path; /* holds the right PIN, between tests */
static struct err err;

static void write_pin(const char *pin)
{
    files_write(pin_path, span_of_str(pin));
    assert_int_equal(chmod(pin_path, 0600), 0);
}

static int set_up_group(void **state)
{
    (void)state;
    dir = softhsm_start();
    softhsm_make_token("court%one"); /* to be percent-encoded */
    softhsm_make_token("twin");
    softhsm_make_token("twin");
    pin_path = files_join(dir, "pin");
    write_pin(SOFTHSM_PIN "\n");
    return 0;
}

static int tear_down_group(void **state)
{
    (void)state;
    files_remove_tree(dir);
    free(pin_path);
    return 0;
}

/* A URI of the first token with these key attributes; good until the next call. */
static struct span uri_of(const char *key)
{
    static char text[HSM_URI_MAX];
    snprintf(text, sizeof text, "pkcs11:token=court%%25one;%s?module-path=%s&pin-source=file:%s",
             key, softhsm_module(), pin_path);
    return span_of_str(text);
}

static struct signing_key *generate(const char *key_attributes)
{
    struct signing_key *key = NULL;
    enum err_code rc = hsm_generate_key(&key, uri_of(key_attributes), &err);
    if (rc != E_OK) {
        print_message("%s\n", err.msg);
    }
    assert_int_equal(rc, E_OK);
    return key;
}

static struct signing_key *open_key(const char *key_attributes)
{
    struct signing_key *key = NULL;
    enum err_code rc = hsm_open_key(&key, uri_of(key_attributes), &err);
    if (rc != E_OK) {
        print_message("%s\n", err.msg);
    }
    assert_int_equal(rc, E_OK);
    return key;
}

static void assert_refused(struct span uri, enum err_code expected)
{
    struct signing_key *key = NULL;
    assert_int_equal(hsm_open_key(&key, uri, &err), expected);
    assert_null(key);
    assert_null(strstr(err.msg, SOFTHSM_PIN));
}

static bool is_signing(const struct signing_key *key, const char *message)
{
    struct ed25519_signature signature;
    struct ed25519_public public = signing_key_public(key);
    return signing_key_sign(key, span_of_str(message), &signature, &err) == E_OK &&
           ed25519_verify(&public, span_of_str(message), &signature);
}

static void assert_same_public(const struct signing_key *a, const struct signing_key *b, bool same)
{
    struct ed25519_public left = signing_key_public(a), right = signing_key_public(b);
    assert_int_equal(memcmp(left.bytes, right.bytes, sizeof left.bytes) == 0, same);
}

/* -- PKCS#11 itself, for what our interface does not offer -- */

static CK_FUNCTION_LIST *module(void)
{
    CK_FUNCTION_LIST *functions = NULL;
    assert_int_equal(hsm_module_open(&functions, softhsm_module(), &err), E_OK);
    return functions;
}

static CK_SLOT_ID first_slot(void)
{
    CK_SLOT_ID slots[8];
    CK_ULONG count = 8;
    assert_int_equal(module()->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        assert_int_equal(module()->C_GetTokenInfo(slots[i], &info), CKR_OK);
        if (memcmp(info.label, "court%one", 9) == 0) {
            return slots[i];
        }
    }
    fail();
    return 0;
}

static CK_SESSION_HANDLE open_session(void)
{
    CK_SESSION_HANDLE session;
    assert_int_equal(module()->C_OpenSession(first_slot(), CKF_SERIAL_SESSION | CKF_RW_SESSION,
                                             NULL, NULL, &session),
                     CKR_OK);
    CK_RV rv =
        module()->C_Login(session, CKU_USER, (CK_UTF8CHAR *)SOFTHSM_PIN, strlen(SOFTHSM_PIN));
    assert_true(rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN);
    return session;
}

static CK_OBJECT_HANDLE find_object(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class,
                                    const char *label)
{
    CK_ATTRIBUTE template[] = { { CKA_CLASS, &class, sizeof class },
                                { CKA_LABEL, (void *)label, strlen(label) } };
    CK_OBJECT_HANDLE object;
    CK_ULONG count = 0;
    assert_int_equal(module()->C_FindObjectsInit(session, template, 2), CKR_OK);
    assert_int_equal(module()->C_FindObjects(session, &object, 1, &count), CKR_OK);
    assert_int_equal(module()->C_FindObjectsFinal(session), CKR_OK);
    assert_int_equal(count, 1);
    return object;
}

/* -- keys -- */

static void a_generated_key_signs_and_is_found_again(void **state)
{
    (void)state;
    struct signing_key *made = generate("object=first");
    assert_true(is_signing(made, ""));
    assert_true(is_signing(made, "a checkpoint"));
    struct signing_key *opened = open_key("object=first;type=private");
    assert_same_public(made, opened, true);
    assert_true(is_signing(opened, "another"));
    signing_key_free(made);
    assert_true(is_signing(opened, "after the other was closed"));
    signing_key_free(opened);
    opened = open_key("object=first");
    assert_true(is_signing(opened, "again"));
    signing_key_free(opened);
}

static void a_generated_key_does_not_leave_the_device(void **state)
{
    (void)state;
    struct signing_key *key = generate("object=kept");
    uint8_t seed[ED25519_SEED_BYTES];
    CK_BBOOL is_sensitive = CK_FALSE, is_extractable = CK_TRUE;
    CK_ATTRIBUTE attributes[] = { { CKA_SENSITIVE, &is_sensitive, sizeof is_sensitive },
                                  { CKA_EXTRACTABLE, &is_extractable, sizeof is_extractable } };
    CK_SESSION_HANDLE session = open_session();
    CK_OBJECT_HANDLE object = find_object(session, CKO_PRIVATE_KEY, "kept");
    assert_int_equal(module()->C_GetAttributeValue(session, object, attributes, 2), CKR_OK);
    assert_int_equal(is_sensitive, CK_TRUE);
    assert_int_equal(is_extractable, CK_FALSE);
    assert_int_equal(module()->C_CloseSession(session), CKR_OK);
    assert_false(signing_key_seed(key, seed));
    signing_key_free(key);
}

static void two_keys_of_one_token_are_two(void **state)
{
    (void)state;
    struct signing_key *left = generate("object=left;id=%00%01");
    struct signing_key *right = generate("object=right;id=%00%02");
    struct signing_key *by_id = open_key("id=%00%02");
    assert_same_public(left, right, false);
    assert_same_public(right, by_id, true);
    for (int i = 0; i < 3; i++) {
        assert_true(is_signing(left, "left"));
        assert_true(is_signing(right, "right"));
        assert_true(is_signing(by_id, "right"));
    }
    signing_key_free(left);
    signing_key_free(right);
    signing_key_free(by_id);
    assert_refused(uri_of("object=left;id=%00%02"), E_NOT_FOUND);
}

static void a_name_that_is_taken_is_not_taken_again(void **state)
{
    (void)state;
    struct signing_key *key = generate("object=taken;id=taken"), *other = NULL;
    const char *const uris[] = { "object=taken", "object=new;id=taken", "object=taken;id=new",
                                 "id=taken" };
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        assert_int_equal(hsm_generate_key(&other, uri_of(uris[i]), &err), E_EXISTS);
        assert_null(other);
    }
    assert_true(is_signing(key, "none the worse for it"));
    assert_refused(uri_of("object=new"), E_NOT_FOUND);
    signing_key_free(key);
}

/* -- what is refused -- */

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    char text[HSM_URI_MAX];
    assert_refused(uri_of("object=none"), E_NOT_FOUND);
    assert_refused(uri_of("id=none"), E_NOT_FOUND);
    assert_refused(uri_of("object=first;serial=none"), E_NOT_FOUND);
    assert_refused(uri_of("object=first;slot-id=4000000000"), E_NOT_FOUND);
    snprintf(text, sizeof text, "pkcs11:token=none;object=first?module-path=%s&pin-source=%s",
             softhsm_module(), pin_path);
    assert_refused(span_of_str(text), E_NOT_FOUND);
    snprintf(text, sizeof text,
             "pkcs11:token=none;object=first?module-path=%s/none.so&pin-source=%s", dir, pin_path);
    assert_refused(span_of_str(text), E_NOT_FOUND);
}

static void what_is_not_a_module_is_an_io_error(void **state)
{
    (void)state;
    char text[HSM_URI_MAX];
    snprintf(text, sizeof text, "pkcs11:token=none;object=first?module-path=%s&pin-source=%s",
             pin_path, pin_path);
    assert_refused(span_of_str(text), E_IO);
}

static void a_wrong_pin_is_denied(void **state)
{
    (void)state;
    char text[HSM_URI_MAX];
    write_pin("0815");
    assert_refused(uri_of("object=first"), E_DENIED);
    write_pin(SOFTHSM_PIN);
    snprintf(text, sizeof text,
             "pkcs11:token=court%%25one;object=first?module-path=%s&pin-value=0815",
             softhsm_module());
    assert_refused(span_of_str(text), E_DENIED);
    snprintf(text, sizeof text,
             "pkcs11:token=court%%25one;object=first?module-path=%s&pin-value=" SOFTHSM_PIN,
             softhsm_module());
    struct signing_key *key = NULL;
    assert_int_equal(hsm_open_key(&key, span_of_str(text), &err), E_OK);
    assert_true(is_signing(key, "text"));
    signing_key_free(key);
}

static void a_pin_file_is_its_owners_alone(void **state)
{
    (void)state;
    assert_int_equal(chmod(pin_path, 0640), 0);
    assert_refused(uri_of("object=first"), E_DENIED);
    write_pin("");
    assert_refused(uri_of("object=first"), E_MALFORMED);
    write_pin("\n");
    assert_refused(uri_of("object=first"), E_MALFORMED);
    assert_int_equal(unlink(pin_path), 0);
    assert_refused(uri_of("object=first"), E_NOT_FOUND);
    write_pin(SOFTHSM_PIN "\n");
}

static void tokens_of_one_name_are_told_apart_by_serial(void **state)
{
    (void)state;
    char text[HSM_URI_MAX];
    struct signing_key *key = NULL;
    CK_SLOT_ID slots[8];
    CK_ULONG count = 8;
    snprintf(text, sizeof text, "pkcs11:token=twin;object=a?module-path=%s&pin-source=%s",
             softhsm_module(), pin_path);
    assert_int_equal(hsm_generate_key(&key, span_of_str(text), &err), E_MALFORMED);
    assert_non_null(strstr(err.msg, "serial"));
    assert_int_equal(module()->C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
    for (CK_ULONG i = 0; i < count; i++) {
        CK_TOKEN_INFO info;
        assert_int_equal(module()->C_GetTokenInfo(slots[i], &info), CKR_OK);
        if (memcmp(info.label, "twin ", 5) == 0) {
            snprintf(text, sizeof text,
                     "pkcs11:model=SoftHSM%%20v2;manufacturer=SoftHSM%%20project;token=twin;"
                     "serial=%.16s;slot-id=%lu;object=a?module-path=%s&pin-source=%s",
                     info.serialNumber, slots[i], softhsm_module(), pin_path);
            assert_int_equal(hsm_generate_key(&key, span_of_str(text), &err), E_OK);
            assert_true(is_signing(key, "text"));
            signing_key_free(key);
        }
    }
}

static void run(const char *command)
{
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_key_of_another_kind_is_unsupported(void **state)
{
    (void)state;
    char command[4096];
    snprintf(command, sizeof command,
             "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out '%s/ec' "
             ">'%s/said' 2>&1 && softhsm2-util --import '%s/ec' --token court%%one --label ec "
             "--id 77 --pin " SOFTHSM_PIN " >'%s/said' 2>&1",
             dir, dir, dir, dir);
    run(command);
    assert_refused(uri_of("object=ec"), E_UNSUPPORTED);
}

/* Somebody has renamed the public keys of two pairs. */
static void a_pair_that_does_not_match_is_corrupt(void **state)
{
    (void)state;
    signing_key_free(generate("object=a"));
    signing_key_free(generate("object=b"));
    CK_SESSION_HANDLE session = open_session();
    CK_OBJECT_HANDLE a = find_object(session, CKO_PUBLIC_KEY, "a");
    CK_OBJECT_HANDLE b = find_object(session, CKO_PUBLIC_KEY, "b");
    CK_ATTRIBUTE to_b = { CKA_LABEL, (void *)"b", 1 }, to_a = { CKA_LABEL, (void *)"a", 1 };
    assert_int_equal(module()->C_SetAttributeValue(session, a, &to_b, 1), CKR_OK);
    assert_refused(uri_of("object=b"), E_MALFORMED); /* two of one name */
    assert_int_equal(module()->C_SetAttributeValue(session, b, &to_a, 1), CKR_OK);
    assert_refused(uri_of("object=a"), E_CORRUPT);
    assert_int_equal(module()->C_DestroyObject(session, b), CKR_OK);
    assert_refused(uri_of("object=a"), E_NOT_FOUND); /* no public key */
    assert_int_equal(module()->C_CloseSession(session), CKR_OK);
}

/* -- loss -- */

static void a_lost_session_is_opened_again(void **state)
{
    (void)state;
    struct signing_key *key = open_key("object=first");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(module()->C_CloseAllSessions(first_slot()), CKR_OK);
        assert_true(is_signing(key, "after the session"));
        CK_SESSION_HANDLE session = open_session();
        assert_int_equal(module()->C_Logout(session), CKR_OK);
        assert_int_equal(module()->C_CloseSession(session), CKR_OK);
        assert_true(is_signing(key, "after the login"));
        assert_int_equal(module()->C_Finalize(NULL), CKR_OK);
        assert_true(is_signing(key, "after the module"));
    }
    signing_key_free(key);
}

static void a_token_that_is_gone_is_unavailable_until_it_is_back(void **state)
{
    (void)state;
    char *tokens = files_join(dir, "tokens"), *away = files_join(dir, "away");
    struct signing_key *key = open_key("object=first");
    struct ed25519_signature signature = { { 77 } };
    assert_int_equal(module()->C_Finalize(NULL), CKR_OK);
    assert_int_equal(rename(tokens, away), 0);
    assert_int_equal(mkdir(tokens, 0700), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(signing_key_sign(key, span_of_str("text"), &signature, &err),
                         E_UNAVAILABLE);
        assert_int_equal(signature.bytes[0], 77);
    }
    assert_int_equal(module()->C_Finalize(NULL), CKR_OK);
    assert_int_equal(rename(away, tokens), 0);
    assert_true(is_signing(key, "it is back"));
    signing_key_free(key);
    free(tokens);
    free(away);
}

/* Tokens lock themselves after a few wrong PINs. */
static void a_pin_that_is_refused_is_not_tried_again(void **state)
{
    (void)state;
    struct signing_key *key = open_key("object=first");
    struct ed25519_signature signature;
    write_pin("0815");
    assert_int_equal(module()->C_CloseAllSessions(first_slot()), CKR_OK);
    assert_int_equal(signing_key_sign(key, span_of_str("text"), &signature, &err), E_IO);
    write_pin(SOFTHSM_PIN "\n");
    assert_int_equal(signing_key_sign(key, span_of_str("text"), &signature, &err), E_IO);
    assert_non_null(strstr(err.msg, "not tried again"));
    signing_key_free(key);
    key = open_key("object=first");
    assert_true(is_signing(key, "text"));
    signing_key_free(key);
}

/* -- threads -- */

struct worker {
    const struct signing_key *key;
    unsigned number;
    atomic_uint *failed;
};

static void *sign_many(void *ctx)
{
    const struct worker *worker = ctx;
    struct ed25519_public public = signing_key_public(worker->key);
    for (int i = 0; i < 10; i++) {
        char text[32];
        struct err own_err;
        struct ed25519_signature signature;
        snprintf(text, sizeof text, "%u %d", worker->number, i);
        if (signing_key_sign(worker->key, span_of_str(text), &signature, &own_err) != E_OK ||
            !ed25519_verify(&public, span_of_str(text), &signature)) {
            ++*worker->failed;
        }
    }
    return NULL;
}

/* The first signatures of each round find their session gone, all at once. */
static void four_threads_sign_with_two_keys(void **state)
{
    (void)state;
    struct signing_key *keys[] = { open_key("object=left"), open_key("object=right") };
    struct worker workers[4];
    pthread_t threads[4];
    atomic_uint failed = 0;
    for (int round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 4; i++) {
            workers[i] = (struct worker){ keys[i % 2], i, &failed };
            assert_int_equal(pthread_create(&threads[i], NULL, sign_many, &workers[i]), 0);
        }
        for (size_t i = 0; i < 4; i++) {
            pthread_join(threads[i], NULL);
        }
        assert_int_equal(failed, 0);
        assert_int_equal(module()->C_CloseAllSessions(first_slot()), CKR_OK);
    }
    signing_key_free(keys[0]);
    signing_key_free(keys[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_generated_key_signs_and_is_found_again),
        cmocka_unit_test(a_generated_key_does_not_leave_the_device),
        cmocka_unit_test(two_keys_of_one_token_are_two),
        cmocka_unit_test(a_name_that_is_taken_is_not_taken_again),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(what_is_not_a_module_is_an_io_error),
        cmocka_unit_test(a_wrong_pin_is_denied),
        cmocka_unit_test(a_pin_file_is_its_owners_alone),
        cmocka_unit_test(tokens_of_one_name_are_told_apart_by_serial),
        cmocka_unit_test(a_key_of_another_kind_is_unsupported),
        cmocka_unit_test(a_pair_that_does_not_match_is_corrupt),
        cmocka_unit_test(a_lost_session_is_opened_again),
        cmocka_unit_test(a_token_that_is_gone_is_unavailable_until_it_is_back),
        cmocka_unit_test(a_pin_that_is_refused_is_not_tried_again),
        cmocka_unit_test(four_threads_sign_with_two_keys),
    };
    if (softhsm_module() == NULL) {
        printf("skipped: SoftHSM is not there (Debian: softhsm2)\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
