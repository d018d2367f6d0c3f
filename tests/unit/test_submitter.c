/* Drafts into records, payloads and the spool; decoys. In front of a fake log, to which records are bytes. */
#include "client/submitter.h"

#include "base/alloc.h"
#include "base/file.h"
#include "client/case_key_file.h"
#include "tests/support/keys.h"
#include "tests/support/spool_world.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static const char number[] = "（2026）测0101执7号";

struct fixture {
    struct spool_world world; /* its directory, log and counts; its spool is not used */
    char *key_path, *payload_key_path, *payloads;
    struct signer signer;
    struct case_key case_key;
    struct submitter *submitter;
    double decoys_per_hour;
};

static void open_submitter(struct fixture *fixture)
{
    struct err err;
    struct submitter_options options = {
        .spool = { .dir = fixture->world.dir,
                   .origin = fake_log_origin(fixture->world.log),
                   .policy = fake_log_policy(fixture->world.log),
                   .ctx = &fixture->world,
                   .on_receipt = spool_world_on_receipt },
        .key_path = fixture->key_path,
        .payload_dir = fixture->payloads,
        .payload_key_path = fixture->payload_key_path,
        .decoys_per_hour = fixture->decoys_per_hour,
        .decoy_court = "测0101",
        .decoy_unseal_max_ms = 400,
    };
    assert_int_equal(log_address_parse(&options.spool.log, fake_log_address(fixture->world.log),
                                       &err),
                     E_OK);
    if (submitter_open(&fixture->submitter, &options, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
}

static void start(struct fixture *fixture)
{
    struct err err;
    *fixture = (struct fixture){ .submitter = NULL };
    spool_world_start(&fixture->world);
    spool_world_close(&fixture->world);
    fixture->key_path = files_join(fixture->world.temp, "key");
    fixture->payload_key_path = files_join(fixture->world.temp, "payload.key");
    fixture->payloads = files_join(fixture->world.temp, "payloads");
    fixture->signer = keys_signer("court.example", SIGNATURE_ED25519, "submitter");
    struct buf secret = BUF_INIT(1024);
    signer_put(&secret, &fixture->signer);
    assert_int_equal(file_create(fixture->key_path, 0600, buf_span(&secret), &err), E_OK);
    buf_clear(&secret);
    assert_int_equal(sealed_key_create(fixture->payload_key_path, &err), E_OK);
    char *path = files_join(fixture->world.temp, "casekey");
    assert_int_equal(case_key_file_create(&fixture->case_key, path, number, &err), E_OK);
    free(path);
}

static void stop(struct fixture *fixture)
{
    submitter_close(fixture->submitter);
    signer_clear(&fixture->signer);
    free(fixture->key_path);
    free(fixture->payload_key_path);
    free(fixture->payloads);
    spool_world_stop(&fixture->world);
}

static struct draft parse(const char *kind, const char *more)
{
    struct draft draft;
    struct err err;
    char json[1024];
    snprintf(
        json, sizeof json,
        "{\"case\":\"%s\",\"kind\":\"%s\",\"minute\":\"2026-03-04T09:31Z\",\"court\":\"测0101\"%s}",
        number, kind, more);
    if (draft_parse(&draft, span_of_str(json), &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    return draft;
}

static enum err_code put(struct fixture *fixture, const char *kind, const char *more,
                         uint64_t *ticket, struct err *err)
{
    struct draft draft = parse(kind, more);
    const struct submission_draft item = { &draft, &fixture->case_key };
    size_t failed;
    enum err_code rc = submitter_put(fixture->submitter, &item, 1, ticket, &failed, err);
    draft_clear(&draft);
    return rc;
}

static void flush(struct fixture *fixture)
{
    struct err err;
    if (spool_flush(submitter_spool(fixture->submitter), SPOOL_WORLD_TIMEOUT_MS, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
}

/* Entry `index` of the log. */
static struct operation decode(struct fixture *fixture, uint64_t index, struct buf *bytes)
{
    struct operation operation;
    struct err err;
    buf_reset(bytes);
    fake_log_entry(fixture->world.log, index, bytes);
    if (operation_decode(&operation, buf_span(bytes), &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    return operation;
}

static void drafts_become_records_with_consecutive_tags(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    struct buf bytes = BUF_INIT(ENTRY_BYTES_MAX);
    start(&fixture);
    open_submitter(&fixture);
    assert_int_equal(put(&fixture, "CASE_FILED", "", NULL, &err), E_OK);
    assert_int_equal(put(&fixture, "DISTRIBUTION_PLAN", "", NULL, &err), E_OK);
    flush(&fixture);
    submitter_close(fixture.submitter);
    open_submitter(&fixture);
    assert_int_equal(put(&fixture, "DISTRIBUTION_PLAN", "", NULL, &err), E_OK);
    flush(&fixture);
    assert_int_equal(fake_log_size(fixture.world.log), 3);
    struct submitter_id id = submitter_id_make(&fixture.signer.vkey.key);
    for (uint64_t i = 0; i < 3; i++) {
        struct operation operation = decode(&fixture, i, &bytes);
        struct hash tag = entry_tag_make(&fixture.case_key, &id, i);
        assert_memory_equal(operation.entry_tag.bytes, tag.bytes, HASH_BYTES);
        assert_int_equal(operation_verify(&operation, buf_span(&bytes),
                                          fake_log_origin(fixture.world.log),
                                          &fixture.signer.vkey.key, &err),
                         E_OK);
        operation_clear(&operation);
    }
    buf_clear(&bytes);
    stop(&fixture);
}

/* The payload is there, 0600, under the leaf hash, and opens the very record. */
static void the_payload_of_what_was_accepted_is_kept(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    struct payload payload;
    struct stat stat_of;
    struct buf bytes = BUF_INIT(ENTRY_BYTES_MAX), path = BUF_INIT(4096);
    start(&fixture);
    open_submitter(&fixture);
    assert_int_equal(put(&fixture, "CASE_FILED", "", NULL, &err), E_OK);
    flush(&fixture);
    fake_log_entry(fixture.world.log, 0, &bytes);
    struct hash leaf = merkle_leaf_hash(buf_span(&bytes));
    payload_dir_put_path(&path, submitter_payload_dir(fixture.submitter), &leaf);
    assert_int_equal(payload_dir_read(submitter_payload_dir(fixture.submitter), buf_c_str(&path),
                                      &payload, &err),
                     E_OK);
    assert_true(span_is_equal(buf_span(&payload.record), buf_span(&bytes)));
    assert_true(span_is_str(buf_span(&payload.values[FIELD_CASE_NUMBER]), number));
    payload_clear(&payload);
    assert_int_equal(stat(buf_c_str(&path), &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 07777, 0600);
    buf_clear(&bytes);
    buf_clear(&path);
    stop(&fixture);
}

/* Of a batch with a bad one nothing is accepted, no number is used, and no payload is left. */
static void a_bad_draft_leaves_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    size_t failed = 99;
    start(&fixture);
    open_submitter(&fixture);
    struct draft drafts[3] = { parse("CASE_FILED", ""), parse("UNSEAL", ""),
                               parse("DISTRIBUTION_PLAN", "") };
    struct submission_draft items[3];
    for (size_t i = 0; i < 3; i++) {
        items[i] = (struct submission_draft){ &drafts[i], &fixture.case_key };
    }
    assert_int_equal(submitter_put(fixture.submitter, items, 3, NULL, &failed, &err), E_MALFORMED);
    assert_int_equal(failed, 1);
    assert_non_null(strstr(err.msg, "unseal"));
    struct spool_status status;
    spool_status(submitter_spool(fixture.submitter), &status);
    assert_int_equal(status.waiting, 0);
    items[1] = items[2];
    assert_int_equal(submitter_put(fixture.submitter, items, 2, NULL, &failed, &err), E_OK);
    flush(&fixture);
    assert_int_equal(fake_log_size(fixture.world.log), 2);
    for (size_t i = 0; i < 3; i++) {
        draft_clear(&drafts[i]);
    }
    char command[4200];
    snprintf(command, sizeof command, "%s/ff", fixture.payloads);
    assert_int_equal(access(command, F_OK), 0);
    stop(&fixture);
}

static void sealed_drafts_bring_their_certificate(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    struct buf bytes = BUF_INIT(ENTRY_BYTES_MAX), path = BUF_INIT(4096);
    start(&fixture);
    open_submitter(&fixture);
    assert_int_equal(put(&fixture, "CLUE", ",\"sealed\":true", NULL, &err), E_OK);
    flush(&fixture);
    struct operation operation = decode(&fixture, 0, &bytes);
    assert_true(operation.is_sealed);
    operation_clear(&operation);
    assert_int_equal(fake_log_counts(fixture.world.log).certificates, 1);
    /* Its UNSEAL, by the path of the payload. */
    struct hash leaf = merkle_leaf_hash(buf_span(&bytes));
    payload_dir_put_path(&path, submitter_payload_dir(fixture.submitter), &leaf);
    char more[4096];
    snprintf(more, sizeof more, ",\"unseal\":\"%s\"", buf_c_str(&path));
    assert_int_equal(put(&fixture, "UNSEAL", more, NULL, &err), E_OK);
    flush(&fixture);
    operation = decode(&fixture, 1, &bytes);
    assert_int_equal(operation.kind->number, KIND_UNSEAL);
    assert_memory_equal(operation.references[0].leaf.bytes, leaf.bytes, HASH_BYTES);
    operation_clear(&operation);
    buf_clear(&bytes);
    buf_clear(&path);
    stop(&fixture);
}

/* In the same call, after a later one, and after another one was sealed under that id. */
static void an_unseal_finds_what_it_opens_by_its_id(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    size_t failed = 99;
    uint64_t ticket = 0;
    struct buf bytes = BUF_INIT(ENTRY_BYTES_MAX);
    start(&fixture);
    open_submitter(&fixture);
    struct draft drafts[2] = { parse("CLUE", ",\"sealed\":true,\"id\":\"a\""),
                               parse("UNSEAL", ",\"unseal\":\"id:a\"") };
    struct submission_draft items[2];
    for (size_t i = 0; i < 2; i++) {
        items[i] = (struct submission_draft){ &drafts[i], &fixture.case_key };
    }
    /* Nothing of that id is sealed yet, and nothing by another one. */
    assert_int_equal(submitter_put(fixture.submitter, &items[1], 1, &ticket, &failed, &err),
                     E_NOT_FOUND);
    assert_int_equal(submitter_put(fixture.submitter, items, 2, &ticket, &failed, &err), E_OK);
    assert_int_equal(submitter_put(fixture.submitter, &items[1], 1, &ticket, &failed, &err), E_OK);
    assert_int_equal(submitter_put(fixture.submitter, &items[0], 1, &ticket, &failed, &err), E_OK);
    assert_int_equal(submitter_put(fixture.submitter, &items[1], 1, &ticket, &failed, &err), E_OK);
    flush(&fixture);
    static const size_t opens[][2] = { { 1, 0 }, { 2, 0 }, { 4, 3 } };
    for (size_t i = 0; i < 3; i++) {
        struct operation operation = decode(&fixture, opens[i][1], &bytes);
        struct hash leaf = merkle_leaf_hash(buf_span(&bytes));
        operation_clear(&operation);
        operation = decode(&fixture, opens[i][0], &bytes);
        assert_int_equal(operation.kind->number, KIND_UNSEAL);
        assert_memory_equal(operation.references[0].leaf.bytes, leaf.bytes, HASH_BYTES);
        operation_clear(&operation);
    }
    draft_clear(&drafts[0]);
    draft_clear(&drafts[1]);
    buf_clear(&bytes);
    stop(&fixture);
}

/* Every decoy is a sealed record, and is opened once, by a record that says DECOY; nobody is told of either. */
static void decoys_are_made_and_opened(void **state)
{
    (void)state;
    struct fixture fixture;
    struct buf bytes = BUF_INIT(ENTRY_BYTES_MAX);
    size_t sealed = 0, opened = 0;
    start(&fixture);
    fixture.decoys_per_hour = 36000;
    open_submitter(&fixture);
    SPOOL_WORLD_UNTIL(fake_log_size(fixture.world.log) >= 4);
    submitter_close(fixture.submitter);
    fixture.decoys_per_hour = 0.001; /* goes on opening those that are left */
    open_submitter(&fixture);
    char *dir = files_join(fixture.world.dir, "decoys");
    SPOOL_WORLD_UNTIL(rmdir(dir) == 0);
    free(dir);
    flush(&fixture);
    for (uint64_t i = 0; i < fake_log_size(fixture.world.log); i++) {
        struct operation operation = decode(&fixture, i, &bytes);
        sealed += operation.is_sealed;
        if (operation.kind->number == KIND_UNSEAL) {
            bool is_decoy = false;
            opened++;
            for (size_t k = 0; k < OPERATION_OPENINGS; k++) {
                const struct opening *opening = &operation.openings[k];
                is_decoy = is_decoy || (opening->number == FIELD_KIND &&
                                        opening->value[opening->value_len - 1] == KIND_DECOY);
            }
            assert_true(is_decoy);
        }
        operation_clear(&operation);
    }
    assert_true(sealed >= 2);
    assert_int_equal(sealed, opened);
    assert_int_equal(fixture.world.proved, 0);
    buf_clear(&bytes);
    stop(&fixture);
}

static void keys_that_others_can_read_are_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    struct case_key key;
    start(&fixture);
    char *path = files_join(fixture.world.temp, "casekey");
    assert_int_equal(case_key_file_load(&key, path, &err), E_OK);
    assert_int_equal(case_key_file_create(&key, path, number, &err), E_EXISTS);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(case_key_file_load(&key, path, &err), E_DENIED);
    assert_int_equal(case_key_file_find(&key, fixture.world.temp, number, false, &err),
                     E_NOT_FOUND);
    assert_int_equal(case_key_file_find(&key, fixture.world.temp, number, true, &err), E_OK);
    assert_int_equal(case_key_file_find(&key, fixture.world.temp, number, false, &err), E_OK);
    free(path);
    stop(&fixture);
}

static size_t count_payloads(const struct fixture *fixture)
{
    size_t count = 0;
    for (unsigned i = 0; i < 256; i++) {
        char name[4];
        snprintf(name, sizeof name, "%02x", i);
        char *path = files_join(fixture->payloads, name);
        DIR *listing = opendir(path);
        assert_non_null(listing);
        for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
            count += entry->d_name[0] != '.';
        }
        closedir(listing);
        free(path);
    }
    return count;
}

/* Nobody knows whether the last records are in the store after all: one that came to the log without its payload could
 * never be opened. What was surely not accepted leaves nothing. */
static void a_payload_goes_only_when_its_record_is_surely_not_accepted(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    struct rlimit was, small;
    size_t accepted = 0;
    start(&fixture);
    open_submitter(&fixture);
    fake_log_set_fault(fixture.world.log, FAKE_LOG_UNAVAILABLE);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    small = was;
    small.rlim_cur = 32 * 1024; /* payloads are smaller */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum err_code rc = E_OK;
    while (accepted < 1000 && (rc = put(&fixture, "DOC", "", NULL, &err)) == E_OK) {
        accepted++;
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(rc, E_IO);
    assert_int_equal(count_payloads(&fixture), accepted + 1);
    while (put(&fixture, "DOC", "", NULL, &err) != E_OK) { /* until the store is open again */
        assert_int_equal(count_payloads(&fixture), accepted + 1);
    }
    assert_int_equal(count_payloads(&fixture), accepted + 2);
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drafts_become_records_with_consecutive_tags),
        cmocka_unit_test(the_payload_of_what_was_accepted_is_kept),
        cmocka_unit_test(a_bad_draft_leaves_nothing),
        cmocka_unit_test(sealed_drafts_bring_their_certificate),
        cmocka_unit_test(an_unseal_finds_what_it_opens_by_its_id),
        cmocka_unit_test(decoys_are_made_and_opened),
        cmocka_unit_test(keys_that_others_can_read_are_refused),
        cmocka_unit_test(a_payload_goes_only_when_its_record_is_surely_not_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
