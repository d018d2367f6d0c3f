#include "logd/registry.h"
#include "tests/support/operations.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NAME "court-0101.example"

static struct err err;

static struct vkey vkey_of(const char *secret, const char *name)
{
    struct signing_key *key = operations_key(secret);
    struct ed25519_public public = signing_key_public(key);
    signing_key_free(key);
    return vkey_make(name, SIGNATURE_ED25519, &public);
}

static struct submitter_id id_of(const char *secret)
{
    struct vkey vkey = vkey_of(secret, NAME);
    return submitter_id_make(&vkey.key);
}

static void put_line(struct buf *file, const char *secret, const char *name)
{
    struct vkey vkey = vkey_of(secret, name);
    buf_put_str(file, "submitter ");
    vkey_put(file, &vkey);
    buf_put_str(file, "\n");
}

static enum err_code enable_text(struct registry *registry, const char *text)
{
    return registry_enable(registry, span_of_str(text), &err);
}

static void enable(struct registry *registry, const char *secret, const char *name)
{
    struct buf file = BUF_INIT(4096);
    put_line(&file, secret, name);
    assert_int_equal(registry_enable(registry, buf_span(&file), &err), E_OK);
    buf_clear(&file);
}

/* SUBMITTER, or SUBMITTER_END, as logged at `index`. */
static void log_it(struct registry *registry, uint32_t kind, const char *secret, uint64_t index)
{
    struct signing_key *key = operations_key(secret);
    struct operation operation = operations_make(kind, key);
    operation.minute = 1000 + index;
    registry_on_logged(registry, index, &operation);
    operation_clear(&operation);
    signing_key_free(key);
}

static struct registry_entry find(struct registry *registry, const char *secret)
{
    struct registry_entry entry;
    struct submitter_id id = id_of(secret);
    assert_true(registry_find(registry, &id, &entry));
    return entry;
}

static bool is_known(struct registry *registry, const char *secret)
{
    struct registry_entry entry;
    struct submitter_id id = id_of(secret);
    return registry_find(registry, &id, &entry);
}

static void registry_needs_both_registration_and_line(void **state)
{
    (void)state;
    struct registry *registry = registry_new();
    assert_false(is_known(registry, "a"));
    enable(registry, "a", NAME);
    struct registry_entry entry = find(registry, "a");
    assert_true(entry.is_enabled);
    assert_false(entry.is_registered);
    assert_false(registry_entry_is_usable(&entry));
    assert_string_equal(entry.registration.name, NAME);
    log_it(registry, KIND_SUBMITTER, "a", 7);
    entry = find(registry, "a");
    assert_true(registry_entry_is_usable(&entry));
    assert_int_equal(entry.registration.court_count, 2);
    log_it(registry, KIND_SUBMITTER, "b", 8); /* on the log, and not in the file */
    entry = find(registry, "b");
    assert_true(entry.is_registered);
    assert_false(registry_entry_is_usable(&entry));
    struct registry_counts counts = registry_counts(registry);
    assert_int_equal(counts.registered, 2);
    assert_int_equal(counts.enabled, 1);
    assert_int_equal(counts.usable, 1);
    registry_free(registry);
}

static void registry_is_enabled_by_the_last_file_alone(void **state)
{
    (void)state;
    struct registry *registry = registry_new();
    enable(registry, "a", NAME);
    log_it(registry, KIND_SUBMITTER, "a", 0);
    enable(registry, "b", "other.example");
    struct registry_entry entry = find(registry, "a");
    assert_true(entry.is_registered);
    assert_false(entry.is_enabled);
    assert_true(find(registry, "b").is_enabled);
    enable(registry, "a", NAME);
    assert_false(is_known(registry, "b")); /* nothing is left of it */
    entry = find(registry, "a");
    assert_true(registry_entry_is_usable(&entry));
    assert_int_equal(enable_text(registry, ""), E_OK); /* nobody */
    assert_int_equal(registry_counts(registry).enabled, 0);
    registry_free(registry);
}

static void registry_key_under_another_name_is_of_no_use(void **state)
{
    (void)state;
    struct registry *registry = registry_new();
    log_it(registry, KIND_SUBMITTER, "a", 0);
    enable(registry, "a", "another.example");
    struct registry_entry entry = find(registry, "a");
    assert_true(entry.is_enabled);
    assert_false(registry_entry_is_usable(&entry));
    assert_string_equal(entry.registration.name, NAME);
    assert_string_equal(entry.enabled_name, "another.example");
    registry_free(registry);
}

/* At start entries come from the index and the tail, and may come twice. */
static void registry_goes_by_the_largest_index_in_whatever_order(void **state)
{
    (void)state;
    static const struct {
        uint64_t start, end;
        bool has_ended;
    } cases[] = { { 5, 9, true }, { 9, 5, false } };
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        struct registry *registry = registry_new();
        uint64_t start = cases[i / 2].start, end = cases[i / 2].end;
        enable(registry, "a", NAME);
        for (size_t j = 0; j < 4; j++) { /* each twice, either first */
            bool is_start = (i + j) % 2 == 0;
            log_it(registry, is_start ? KIND_SUBMITTER : KIND_SUBMITTER_END, "a",
                   is_start ? start : end);
        }
        log_it(registry, KIND_SUBMITTER, "a", 2);
        log_it(registry, KIND_SUBMITTER_END, "a", 1);
        struct registry_entry entry = find(registry, "a");
        assert_int_equal(entry.has_ended, cases[i / 2].has_ended);
        assert_int_equal(entry.ended_minute, 1000 + end);
        assert_int_equal(registry_entry_is_usable(&entry), !cases[i / 2].has_ended);
        assert_int_equal(registry_counts(registry).registered, !cases[i / 2].has_ended);
        registry_free(registry);
    }
}

static void registry_ignores_other_records(void **state)
{
    (void)state;
    struct registry *registry = registry_new();
    log_it(registry, KIND_FREEZE, "a", 0);
    log_it(registry, KIND_SEALED, "a", 1);
    log_it(registry, KIND_ANCHOR, "a", 2);
    assert_false(is_known(registry, "a"));
    log_it(registry, KIND_SUBMITTER_END, "a", 3); /* the end of nothing */
    assert_false(is_known(registry, "a"));
    assert_int_equal(registry_counts(registry).registered, 0);
    registry_free(registry);
}

static void assert_refused(struct registry *registry, struct span file, const char *words)
{
    assert_int_equal(registry_enable(registry, file, &err), E_MALFORMED);
    if (strstr(err.msg, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.msg, words);
    }
    assert_true(find(registry, "a").is_enabled); /* the old file stays in force */
    assert_int_equal(registry_counts(registry).enabled, 1);
}

static void refuse_name(struct registry *registry, const char *name, const char *words)
{
    struct buf file = BUF_INIT(4096);
    buf_put_str(&file, "# comment\n\n");
    put_line(&file, "b", name);
    assert_refused(registry, buf_span(&file), words);
    assert_refused(registry, buf_span(&file), "line 3");
    buf_clear(&file);
}

static void registry_refuses_a_wrong_file_whole(void **state)
{
    (void)state;
    struct registry *registry = registry_new();
    struct buf file = BUF_INIT(4096);
    enable(registry, "a", NAME);
    static const char *const names[] = { "Court.example",  "court_1.example", "court..example",
                                         "court.example.", "-court.example",  "court-.example",
                                         "log.example/x",  "10.0.0.1",        "7" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        refuse_name(registry, names[i], "DNS name");
    }
    refuse_name(registry, "990101198503151239.example", "id");
    assert_refused(registry, span_of_str("submitter"), "no newline");
    assert_refused(registry, span_of_str("submitter x\n"), "line 1");
    assert_refused(registry, span_of_str("log x\n"), "\"log\" is not submitter");
    put_line(&file, "b", "b.example");
    file.len--;
    buf_put_str(&file, " http://b.example\n");
    assert_refused(registry, buf_span(&file), "more behind");
    buf_reset(&file);
    put_line(&file, "b", "b.example");
    put_line(&file, "b", "c.example");
    assert_refused(registry, buf_span(&file), "twice");
    buf_clear(&file);
    registry_free(registry);
}

static void registry_takes_names_as_certificates_have_them(void **state)
{
    (void)state;
    char longest[256] = "";
    for (size_t i = 0; i < 253; i++) {
        longest[i] = i % 64 == 63 ? '.' : 'a';
    }
    const char *const names[] = { "a",         "court-1.example", "1court.example",
                                  "7.example", "10.a1",           longest };
    struct registry *registry = registry_new();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        enable(registry, "a", names[i]);
        assert_string_equal(find(registry, "a").enabled_name, names[i]);
    }
    registry_free(registry);
}

/* A cosigning key signs other things. */
static void registry_refuses_keys_of_another_type(void **state)
{
    (void)state;
    struct registry *registry = registry_new();
    struct buf file = BUF_INIT(4096);
    struct signer witness = keys_signer("w.example", SIGNATURE_COSIGNATURE, "w");
    enable(registry, "a", NAME);
    buf_put_str(&file, "submitter ");
    vkey_put(&file, &witness.vkey);
    buf_put_str(&file, "\n");
    assert_refused(registry, buf_span(&file), "line 1");
    signer_clear(&witness);
    buf_clear(&file);
    registry_free(registry);
}

static void registry_has_a_maximum(void **state)
{
    (void)state;
    struct registry *registry = registry_new();
    struct buf file = BUF_INIT(REGISTRY_FILE_BYTES_MAX);
    for (uint32_t i = 0; i <= REGISTRY_SUBMITTERS_MAX; i++) {
        struct ed25519_public public = { { 2 } };
        memcpy(public.bytes + 8, &i, sizeof i);
        struct vkey vkey = vkey_make("a.example", SIGNATURE_ED25519, &public);
        if (i == REGISTRY_SUBMITTERS_MAX) {
            assert_int_equal(registry_enable(registry, buf_span(&file), &err), E_OK);
        }
        buf_put_str(&file, "submitter ");
        vkey_put(&file, &vkey);
        buf_put_str(&file, "\n");
    }
    assert_int_equal(registry_counts(registry).enabled, REGISTRY_SUBMITTERS_MAX);
    assert_int_equal(registry_enable(registry, buf_span(&file), &err), E_MALFORMED);
    assert_int_equal(registry_counts(registry).enabled, REGISTRY_SUBMITTERS_MAX);
    buf_clear(&file);
    registry_free(registry);
}

static void *ask(void *arg)
{
    for (size_t i = 0; i < 2000; i++) {
        struct registry_entry entry = find(arg, "a");
        assert_true(entry.is_registered);
        assert_string_equal(entry.registration.name, NAME);
    }
    return NULL;
}

static void registry_answers_while_it_changes(void **state)
{
    (void)state;
    struct registry *registry = registry_new();
    pthread_t threads[2];
    enable(registry, "a", NAME);
    log_it(registry, KIND_SUBMITTER, "a", 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask, registry), 0);
    }
    for (uint64_t i = 1; i < 200; i++) {
        enable(registry, i % 2 == 0 ? "a" : "b", NAME);
        log_it(registry, KIND_SUBMITTER, "a", i);
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    registry_free(registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_needs_both_registration_and_line),
        cmocka_unit_test(registry_is_enabled_by_the_last_file_alone),
        cmocka_unit_test(registry_key_under_another_name_is_of_no_use),
        cmocka_unit_test(registry_goes_by_the_largest_index_in_whatever_order),
        cmocka_unit_test(registry_ignores_other_records),
        cmocka_unit_test(registry_refuses_a_wrong_file_whole),
        cmocka_unit_test(registry_takes_names_as_certificates_have_them),
        cmocka_unit_test(registry_refuses_keys_of_another_type),
        cmocka_unit_test(registry_has_a_maximum),
        cmocka_unit_test(registry_answers_while_it_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
