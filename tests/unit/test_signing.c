#include "base/alloc.h"
#include "base/file.h"
#include "logd/signing.h"
#include "store/journal_memory.h"
#include "store/tiles_memory.h"
#include "tests/support/files.h"
#include "tests/support/keys.h"
#include "tlog/edge.h"
#include "tlog/promise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char origin[] = "signing.example/log";

/* A data directory with keys, and a log of `size` entries in memory. */
static char *dir;
static char *key_path;
static char *promise_path;
static char *mark_path;
static char *signed_path;
static struct signing signing;
static struct journal_memory_disk *journal_disk;
static struct tiles_memory_disk *tiles_disk;
static struct journal *journal;
static struct tiles *tiles;
static struct edge *edge;
static struct recovered *recovered; /* of an empty log: every tree is looked for */
static struct err err;

static void write_key(const char *path, const char *name, enum signature_type type, mode_t mode)
{
    struct signer signer = keys_signer(name, type, name);
    struct buf text = BUF_INIT(1024);
    signer_put(&text, &signer);
    (void)unlink(path);
    assert_int_equal(file_create(path, mode, buf_span(&text), &err), E_OK);
    signer_clear(&signer);
    buf_clear(&text);
}

static int setup(void **state)
{
    (void)state;
    dir = files_make_temp_dir();
    key_path = files_join(dir, "log.key");
    promise_path = files_join(dir, "promise.key");
    mark_path = files_join(dir, "mark");
    signed_path = files_join(dir, "signed");
    write_key(key_path, origin, SIGNATURE_ED25519, 0600);
    journal_disk = journal_memory_disk_new(1 << 20);
    tiles_disk = tiles_memory_disk_new();
    journal = journal_memory_open(journal_disk);
    tiles = tiles_memory_open(tiles_disk);
    edge = NEW(struct edge);
    edge_init(edge);
    recovered = NEW(struct recovered);
    edge_init(&recovered->edge);
    recovered_forget_known(recovered);
    return signing_open(&signing,
                        &(struct signing_files){ .data_dir = dir,
                                                 .key = key_path,
                                                 .promise_key = NULL,
                                                 .mark = mark_path },
                        &err);
}

static int teardown(void **state)
{
    (void)state;
    signing_close(&signing);
    edge_clear(edge);
    mem_free(edge);
    recovered_clear(recovered);
    mem_free(recovered);
    journal_close(journal);
    tiles_close(tiles);
    journal_memory_disk_free(journal_disk);
    tiles_memory_disk_free(tiles_disk);
    free(key_path);
    free(promise_path);
    free(mark_path);
    free(signed_path);
    files_remove_tree(dir);
    return 0;
}

static void write_tile(void *ctx, const struct tile_path *path, struct span bytes)
{
    (void)ctx;
    (void)path;
    (void)bytes; /* the journal holds all of this log */
}

/* Commits one entry more; `salt` tells one history from another. */
static void commit(const char *salt)
{
    struct buf entries = BUF_INIT(100);
    char text[40];
    uint64_t first = edge_size(edge);
    int len = snprintf(text, sizeof text, "%s %llu", salt, (unsigned long long)first);
    struct span entry = span_of(text, (size_t)len);
    struct hash leaf = merkle_leaf_hash(entry);
    bundle_put_entry(&entries, entry);
    edge_append(edge, entry, &leaf, write_tile, NULL);
    struct journal_record record = { first, first + 1, edge_root(edge), buf_span(&entries) };
    assert_int_equal(journal_reserve(journal, entries.len, &err), E_OK);
    assert_int_equal(journal_append(journal, &record, &err), E_OK);
    buf_clear(&entries);
}

static void grow(uint64_t size)
{
    while (edge_size(edge) < size) {
        commit("entry");
    }
}

static struct checkpoint checkpoint_now(void)
{
    struct checkpoint checkpoint = { .size = edge_size(edge), .root = edge_root(edge) };
    memcpy(checkpoint.origin, origin, sizeof origin);
    return checkpoint;
}

static enum err_code sign_now(struct buf *note)
{
    struct checkpoint checkpoint = checkpoint_now();
    return signing_sign(&signing, &checkpoint, note, &err);
}

static void sign(void)
{
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    assert_int_equal(sign_now(&note), E_OK);
    buf_clear(&note);
}

static void read_file(const char *path, struct buf *out)
{
    buf_init(out, NOTE_BYTES_MAX);
    assert_int_equal(file_read(out, path, &err), E_OK);
}

/* The journal of a backup: one that ends at `size`. */
static void restore_backup(uint64_t size, const char *salt)
{
    journal_close(journal);
    journal_memory_disk_free(journal_disk);
    journal_disk = journal_memory_disk_new(1 << 20);
    journal = journal_memory_open(journal_disk);
    edge_clear(edge);
    while (edge_size(edge) < size) {
        commit(salt);
    }
}

static void assert_check(enum signing_check expected)
{
    enum signing_check check;
    struct err words = { .code = E_OK };
    assert_int_equal(signing_check_start(&signing, recovered, journal, tiles, &check, &words),
                     E_OK);
    assert_int_equal(check, expected);
    if (expected == SIGNING_CHECK_FAILED || expected == SIGNING_CHECK_LOST) {
        assert_int_not_equal(words.code, E_OK);
        assert_non_null(strstr(words.msg, mark_path));
    }
}

static void assert_check_corrupt(void)
{
    enum signing_check check;
    assert_int_equal(signing_check_start(&signing, recovered, journal, tiles, &check, &err),
                     E_CORRUPT);
    assert_non_null(strstr(err.msg, signed_path));
}

/* -- Keys -- */

static enum err_code open_again(const char *promise)
{
    struct signing again;
    enum err_code rc =
        signing_open(&again,
                     &(struct signing_files){
                         .data_dir = dir, .key = key_path, .promise_key = promise, .mark = NULL },
                     &err);
    if (rc == E_OK) {
        signing_close(&again);
    }
    return rc;
}

static void signing_takes_private_key_files_only(void **state)
{
    (void)state;
    static const mode_t bad[] = { 0644, 0640, 0604, 0660, 0610, 0601, 0620, 0602 };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(chmod(key_path, bad[i]), 0);
        assert_int_equal(open_again(NULL), E_DENIED);
        assert_non_null(strstr(err.msg, key_path));
    }
    static const mode_t good[] = { 0600, 0400, 0700 };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(chmod(key_path, good[i]), 0);
        assert_int_equal(open_again(NULL), E_OK);
    }
}

static void signing_says_what_is_wrong_with_a_key_file(void **state)
{
    (void)state;
    assert_int_equal(unlink(key_path), 0);
    assert_int_equal(open_again(NULL), E_NOT_FOUND);
    assert_int_equal(file_create(key_path, 0600, span_of_str("PRIVATE+KEY+nonsense\n"), &err),
                     E_OK);
    assert_int_equal(open_again(NULL), E_MALFORMED);
    assert_non_null(strstr(err.msg, key_path));
    write_key(key_path, origin, SIGNATURE_COSIGNATURE, 0600);
    assert_int_equal(open_again(NULL), E_DENIED);
}

static void signing_insists_on_the_promise_keys_name(void **state)
{
    (void)state;
    static const char *const bad[] = { "signing.example/log", "promise", "signing.example/promise",
                                       "signing.example/log/promises",
                                       "signing.example/log2/promise" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_key(promise_path, bad[i], SIGNATURE_ED25519, 0600);
        assert_int_equal(open_again(promise_path), E_DENIED);
    }
    write_key(promise_path, "signing.example/log/promise", SIGNATURE_COSIGNATURE, 0600);
    assert_int_equal(open_again(promise_path), E_DENIED);
    write_key(promise_path, "signing.example/log/promise", SIGNATURE_ED25519, 0644);
    assert_int_equal(open_again(promise_path), E_DENIED);
    write_key(promise_path, "signing.example/log/promise", SIGNATURE_ED25519, 0600);
    assert_int_equal(open_again(promise_path), E_OK);
    assert_int_equal(unlink(promise_path), 0);
    assert_int_equal(open_again(promise_path), E_NOT_FOUND);
}

static void signing_origin_is_the_keys_name(void **state)
{
    (void)state;
    assert_string_equal(signing_origin(&signing), origin);
}

/* -- Signing -- */

static void signing_sign_leaves_its_records_first(void **state)
{
    (void)state;
    grow(5);
    struct buf note = BUF_INIT(NOTE_BYTES_MAX), signed_note, mark;
    struct checkpoint opened, marked, expected = checkpoint_now();
    buf_put_str(&note, "before");
    assert_int_equal(sign_now(&note), E_OK);
    read_file(signed_path, &signed_note);
    read_file(mark_path, &mark);
    struct span appended = span_slice(buf_span(&note), 6, note.len - 6);
    assert_true(span_is_equal(appended, buf_span(&signed_note)));
    assert_int_equal(checkpoint_open(&opened, appended, &signing.log.vkey, origin, &err), E_OK);
    assert_int_equal(checkpoint_parse(&marked, buf_span(&mark), &err), E_OK);
    assert_true(checkpoint_is_equal(&opened, &expected));
    assert_true(checkpoint_is_equal(&marked, &expected));
    struct stat status;
    assert_int_equal(stat(signed_path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    buf_clear(&note);
    buf_clear(&signed_note);
    buf_clear(&mark);
}

static void signing_sign_gives_no_note_without_its_records(void **state)
{
    (void)state;
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    struct buf signed_note = BUF_INIT(NOTE_BYTES_MAX);
    assert_int_equal(mkdir(mark_path, 0700), 0); /* a file cannot replace it */
    assert_int_equal(sign_now(&note), E_IO);
    assert_int_equal(note.len, 0);
    assert_int_equal(file_read(&signed_note, signed_path, &err), E_NOT_FOUND);
    assert_int_equal(rmdir(mark_path), 0);
    assert_int_equal(mkdir(signed_path, 0700), 0);
    assert_int_equal(sign_now(&note), E_IO);
    assert_int_equal(note.len, 0);
    assert_int_equal(rmdir(signed_path), 0);
    assert_int_equal(sign_now(&note), E_OK);
    buf_clear(&note);
    buf_clear(&signed_note);
}

static void signing_promise_names_each_entry(void **state)
{
    (void)state;
    write_key(promise_path, "signing.example/log/promise", SIGNATURE_ED25519, 0600);
    signing_close(&signing);
    assert_int_equal(signing_open(&signing,
                                  &(struct signing_files){ .data_dir = dir,
                                                           .key = key_path,
                                                           .promise_key = promise_path,
                                                           .mark = NULL },
                                  &err),
                     E_OK);
    uint64_t indices[] = { 7, 3, 7 };
    struct hash leaves[3];
    for (size_t i = 0; i < 3; i++) {
        leaves[i] = sha256(span_of(&indices[i], sizeof indices[i]));
    }
    struct buf note = BUF_INIT(PROMISE_NOTE_MAX);
    assert_int_equal(E_OK, signing_promise(&signing, &note, indices, leaves, 3, &err));
    struct promise *promise = NEW(struct promise);
    assert_int_equal(promise_open(promise, buf_span(&note), &signing.promise.vkey, &err), E_OK);
    assert_string_equal(promise->origin, origin);
    assert_int_equal(promise->count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(promise->items[i].index, indices[i]);
        assert_true(hash_is_equal(&promise->items[i].leaf, &leaves[i]));
    }
    mem_free(promise);
    buf_clear(&note);
}

/* -- The start -- */

static void start_of_a_new_log_passes(void **state)
{
    (void)state;
    assert_check(SIGNING_CHECK_PASSED);
    sign(); /* size 0 */
    assert_check(SIGNING_CHECK_PASSED);
}

static void start_passes_when_the_mark_agrees(void **state)
{
    (void)state;
    for (uint64_t size = 0; size < 20; size += 3) {
        grow(size);
        sign();
        assert_check(SIGNING_CHECK_PASSED);
        grow(size + 2); /* committed, not signed yet */
        assert_check(SIGNING_CHECK_PASSED);
    }
}

/* A crash between the two records: the mark is one signature ahead of the note. */
static void start_passes_when_only_the_mark_was_written(void **state)
{
    (void)state;
    grow(3);
    sign();
    struct buf old;
    read_file(signed_path, &old);
    grow(5);
    sign();
    assert_int_equal(file_replace(signed_path, 0600, buf_span(&old), &err), E_OK);
    assert_check(SIGNING_CHECK_PASSED);
    buf_clear(&old);
}

static void start_without_a_mark_cannot_tell(void **state)
{
    (void)state;
    signing_close(&signing);
    assert_int_equal(signing_open(&signing,
                                  &(struct signing_files){ .data_dir = dir,
                                                           .key = key_path,
                                                           .promise_key = NULL,
                                                           .mark = NULL },
                                  &err),
                     E_OK);
    assert_check(SIGNING_CHECK_IMPOSSIBLE);
    grow(4);
    sign();
    assert_check(SIGNING_CHECK_IMPOSSIBLE);
    restore_backup(3, "entry");
    assert_check_corrupt(); /* the last signed note still stands */
}

static void start_has_lost_entries_when_the_mark_is_ahead(void **state)
{
    (void)state;
    grow(8);
    sign();
    struct buf backup;
    read_file(signed_path, &backup);
    grow(9);
    sign();
    restore_backup(8, "entry"); /* journal and signed note are a day old */
    assert_int_equal(file_replace(signed_path, 0600, buf_span(&backup), &err), E_OK);
    assert_check(SIGNING_CHECK_LOST);
    buf_clear(&backup);
}

static void start_has_lost_entries_when_the_mark_has_another_root(void **state)
{
    (void)state;
    grow(8);
    sign();
    assert_int_equal(unlink(signed_path), 0);
    restore_backup(8, "other");
    assert_check(SIGNING_CHECK_LOST);
    restore_backup(12, "other");
    assert_check(SIGNING_CHECK_LOST);
}

static void start_fails_when_the_mark_is_gone(void **state)
{
    (void)state;
    sign();
    assert_int_equal(unlink(mark_path), 0);
    assert_check(SIGNING_CHECK_FAILED); /* something has been signed */
    assert_int_equal(unlink(signed_path), 0);
    grow(1);
    assert_check(SIGNING_CHECK_FAILED); /* something has been logged */
}

static void start_fails_with_the_mark_of_another_log(void **state)
{
    (void)state;
    struct checkpoint checkpoint = { .origin = "other.example/log" };
    checkpoint.root = merkle_empty_root();
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    checkpoint_put(&text, &checkpoint);
    assert_int_equal(file_replace(mark_path, 0600, buf_span(&text), &err), E_OK);
    assert_check(SIGNING_CHECK_FAILED);
    buf_clear(&text);
}

static void start_fails_when_the_mark_is_no_checkpoint(void **state)
{
    (void)state;
    grow(3);
    sign();
    struct buf mark;
    read_file(mark_path, &mark);
    for (size_t len = 0; len < mark.len; len++) {
        struct span torn = span_slice(buf_span(&mark), 0, len);
        assert_int_equal(file_replace(mark_path, 0600, torn, &err), E_OK);
        assert_check(SIGNING_CHECK_FAILED);
    }
    static const uint8_t large[2 * CHECKPOINT_TEXT_MAX] = { 'a' };
    assert_int_equal(file_replace(mark_path, 0600, SPAN_OF_ARRAY(large), &err), E_OK);
    assert_check(SIGNING_CHECK_FAILED);
    buf_clear(&mark);
}

static void start_passes_once_the_mark_is_reset(void **state)
{
    (void)state;
    grow(9);
    sign();
    assert_int_equal(unlink(signed_path), 0);
    restore_backup(8, "entry");
    assert_check(SIGNING_CHECK_LOST);
    struct journal_head head = journal_head(journal);
    assert_int_equal(signing_reset_mark(&signing, &head, &err), E_OK);
    assert_check(SIGNING_CHECK_PASSED);
}

static void start_is_corrupt_when_a_signed_tree_is_gone(void **state)
{
    (void)state;
    grow(8);
    sign();
    restore_backup(7, "entry");
    assert_check_corrupt();
    restore_backup(8, "other");
    assert_check_corrupt();
    restore_backup(30, "other");
    assert_check_corrupt();
    restore_backup(30, "entry");
    assert_check(SIGNING_CHECK_PASSED);
}

static void start_is_corrupt_when_the_signed_note_is_not_ours(void **state)
{
    (void)state;
    grow(4);
    sign();
    struct buf note;
    read_file(signed_path, &note);
    for (size_t len = 0; len < note.len; len += 5) {
        struct span torn = span_slice(buf_span(&note), 0, len);
        assert_int_equal(file_replace(signed_path, 0600, torn, &err), E_OK);
        assert_check_corrupt();
    }
    struct signer other = keys_signer(origin, SIGNATURE_ED25519, "another key");
    struct checkpoint checkpoint = checkpoint_now();
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    buf_reset(&note);
    checkpoint_put(&text, &checkpoint);
    keys_put_signed(&note, buf_span(&text), &other, 0);
    assert_int_equal(file_replace(signed_path, 0600, buf_span(&note), &err), E_OK);
    assert_check_corrupt();
    signer_clear(&other);
    buf_clear(&text);
    buf_clear(&note);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(signing_takes_private_key_files_only),
        CASE(signing_says_what_is_wrong_with_a_key_file),
        CASE(signing_insists_on_the_promise_keys_name),
        CASE(signing_origin_is_the_keys_name),
        CASE(signing_sign_leaves_its_records_first),
        CASE(signing_sign_gives_no_note_without_its_records),
        CASE(signing_promise_names_each_entry),
        CASE(start_of_a_new_log_passes),
        CASE(start_passes_when_the_mark_agrees),
        CASE(start_passes_when_only_the_mark_was_written),
        CASE(start_without_a_mark_cannot_tell),
        CASE(start_has_lost_entries_when_the_mark_is_ahead),
        CASE(start_has_lost_entries_when_the_mark_has_another_root),
        CASE(start_fails_when_the_mark_is_gone),
        CASE(start_fails_with_the_mark_of_another_log),
        CASE(start_fails_when_the_mark_is_no_checkpoint),
        CASE(start_passes_once_the_mark_is_reset),
        CASE(start_is_corrupt_when_a_signed_tree_is_gone),
        CASE(start_is_corrupt_when_the_signed_note_is_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
