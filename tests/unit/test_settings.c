#include "base/file.h"
#include "logd/settings.h"
#include "tests/support/files.h"
#include "tests/support/witnesses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct err err;

/* Reads a policy of so many witnesses; one of them is enough. */
static enum err_code read_policy(size_t count, const char *quorum)
{
    struct signer log = keys_signer("settings.example/log", SIGNATURE_ED25519, "log");
    struct buf text = BUF_INIT(POLICY_BYTES_MAX), group = BUF_INIT(POLICY_BYTES_MAX);
    buf_put_str(&text, "log ");
    vkey_put(&text, &log.vkey);
    buf_put_str(&text, "\n");
    for (size_t i = 0; i < count; i++) {
        struct signer signer = witnesses_signer(i);
        buf_putf(&text, "witness w%zu ", i + 1);
        vkey_put(&text, &signer.vkey);
        buf_put_str(&text, "\n");
        buf_putf(&group, " w%zu", i + 1);
        signer_clear(&signer);
    }
    buf_putf(&text, "group g any%s\nquorum %s\n", buf_c_str(&group), quorum);
    char *dir = files_make_temp_dir();
    char *path = files_join(dir, "policy");
    assert_int_equal(file_create(path, 0600, buf_span(&text), &err), E_OK);
    struct settings settings = { .policy_path = path };
    struct policy *policy = NULL;
    enum err_code rc = settings_read_policy(&policy, &settings, &log.vkey, &err);
    assert_true((policy != NULL) == (rc == E_OK && strcmp(quorum, "none") != 0));
    policy_free(policy);
    free(path);
    files_remove_tree(dir);
    signer_clear(&log);
    buf_clear(&group);
    buf_clear(&text);
    return rc;
}

/* Else the log could not put together its first checkpoint that all of them have signed. */
static void settings_refuse_more_witnesses_than_a_note_has_lines_for(void **state)
{
    (void)state;
    assert_int_equal(read_policy(NOTE_SIGNATURES_MAX - 1, "g"), E_OK);
    assert_int_equal(read_policy(NOTE_SIGNATURES_MAX, "g"), E_TOO_LARGE);
    assert_non_null(strstr(err.msg, "100 witnesses"));
    assert_non_null(strstr(err.msg, "99"));
    assert_int_equal(read_policy(NOTE_SIGNATURES_MAX, "none"), E_OK); /* nobody is asked */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_refuse_more_witnesses_than_a_note_has_lines_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
