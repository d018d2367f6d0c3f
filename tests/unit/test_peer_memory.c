#include "base/alloc.h"
#include "base/log.h"
#include "tests/support/files.h"
#include "tests/support/keys.h"
#include "tlog/peer_notes.h"
#include "witness/peer_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    NOTE_MAX = 4096,
    STRANGERS = 10
};

/* A store in memory that tells how it was written. */
static struct kv *disk;
static atomic_int writes, synced_writes;

static enum err_code disk_get(struct kv *kv, struct span key, struct buf *out, struct err *why)
{
    (void)kv;
    return kv_get(disk, key, out, why);
}

static enum err_code disk_write(struct kv *kv, const struct kv_batch *batch, bool is_synced,
                                struct err *why)
{
    (void)kv;
    writes++;
    synced_writes += is_synced ? 1 : 0;
    return kv_write(disk, batch, why);
}

static enum err_code disk_scan(struct kv *kv, struct span prefix,
                               enum err_code (*on_item)(void *ctx, struct span key,
                                                        struct span value, struct err *err),
                               void *ctx, struct err *why)
{
    (void)kv;
    return kv_scan(disk, prefix, on_item, ctx, why);
}

static void disk_close(struct kv *kv)
{
    (void)kv;
}

static const struct kv_ops disk_ops = { disk_get, disk_write, disk_scan, disk_close };
static struct kv handle = { &disk_ops };

static struct ledger *ledger;
static struct evidence_keep *evidence;
static struct log_table *table;
static struct known_log *known;
static struct signer log_key, second_key, peer_key, strangers[STRANGERS];
static char *dir;
static struct err err;
static struct buf note, body;
static struct peer_notes notes;

static void on_added(void *ctx, struct known_log *log)
{
    (void)ctx;
    known = log;
}

static void add_log(void)
{
    struct buf text = BUF_INIT(NOTE_MAX);
    struct log_list list;
    buf_put_str(&text, "log ");
    vkey_put(&text, &log_key.vkey);
    buf_put_str(&text, "\nlog ");
    vkey_put(&text, &second_key.vkey);
    buf_put_str(&text, "\n");
    assert_int_equal(log_list_parse(&list, buf_span(&text), &err), E_OK);
    log_table_add(table, &list, false, "witness.example", NULL, on_added);
    log_list_clear(&list);
    buf_clear(&text);
}

static int setup(void **state)
{
    (void)state;
    disk = kv_memory_new();
    writes = synced_writes = 0;
    ledger = ledger_start(&(struct ledger_options){ .kv = &handle });
    dir = files_make_temp_dir();
    assert_int_equal(evidence_keep_open(&evidence, dir, &err), E_OK);
    log_key = keys_signer("log.example", SIGNATURE_ED25519, "log");
    second_key = keys_signer("log.example", SIGNATURE_ED25519, "second");
    peer_key = keys_signer("peer.example", SIGNATURE_COSIGNATURE, "peer");
    for (int i = 0; i < STRANGERS; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        strangers[i] = keys_signer(name, SIGNATURE_COSIGNATURE, name);
    }
    table = log_table_new();
    add_log();
    buf_init(&note, NOTE_MAX);
    buf_init(&body, PEER_NOTES_BYTES_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ledger_stop(ledger);
    kv_close(disk);
    evidence_keep_close(evidence);
    files_remove_tree(dir);
    log_table_free(table);
    signer_clear(&log_key);
    signer_clear(&second_key);
    signer_clear(&peer_key);
    for (int i = 0; i < STRANGERS; i++) {
        signer_clear(&strangers[i]);
    }
    buf_clear(&note);
    buf_clear(&body);
    return 0;
}

/* A checkpoint into `note`, and its text into `text`; the lines come afterwards. */
static void begin(struct buf *text, const char *origin, uint64_t size, const char *history)
{
    struct checkpoint checkpoint = { .size = size };
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", origin);
    checkpoint.root = sha256(span_of_str(history));
    buf_reset(&note);
    checkpoint_put(text, &checkpoint);
    buf_put(&note, buf_span(text));
    buf_put_str(&note, "\n");
}

static void show(const char *peer)
{
    peer_memory_on_note(ledger, evidence, known, peer, buf_span(&note));
}

/* A peer shows a note of the log with its cosignature and some of strangers. */
static void show_note(const char *peer, uint64_t size, const char *history, int others)
{
    struct buf text = BUF_INIT(NOTE_MAX);
    begin(&text, "log.example", size, history);
    keys_put_signature(&note, buf_span(&text), &log_key, 0);
    keys_put_signature(&note, buf_span(&text), &peer_key, 1000);
    for (int i = 0; i < others; i++) {
        keys_put_signature(&note, buf_span(&text), &strangers[i], 1000);
    }
    show(peer);
    buf_clear(&text);
}

/* How many are served, into `notes`. */
static size_t remembered(void)
{
    buf_reset(&body);
    enum err_code rc = peer_memory_put(ledger, &known->origin_hash, &body, &err);
    if (rc != E_OK) {
        assert_int_equal(rc, E_NOT_FOUND);
        return 0;
    }
    assert_int_equal(peer_notes_parse(&notes, buf_span(&body), &err), E_OK);
    return notes.count;
}

static uint64_t size_at(size_t i)
{
    struct note parsed;
    struct checkpoint checkpoint;
    assert_int_equal(note_parse(&parsed, notes.notes[i], &err), E_OK);
    assert_int_equal(checkpoint_parse(&checkpoint, parsed.text, &err), E_OK);
    note_clear(&parsed);
    return checkpoint.size;
}

static void assert_remembers(uint64_t size)
{
    assert_int_equal(remembered(), 1);
    assert_int_equal(size_at(0), size);
}

static void newest_note_of_a_peer_is_kept(void **state)
{
    (void)state;
    assert_int_equal(remembered(), 0);
    show_note("http://a", 5, "x", 0);
    assert_remembers(5);
    assert_true(span_is_equal(notes.notes[0], buf_span(&note)));
    show_note("http://a", 9, "y", 0);
    assert_remembers(9);
    show_note("http://a", 7, "z", 0); /* it went back: that is what this is for */
    assert_remembers(9);
    show_note("http://b", 7, "z", 0);
    assert_int_equal(remembered(), 2);
    assert_int_equal(evidence_keep_count(evidence), 0);
}

static void note_with_more_signatures_takes_the_place_of_one_with_less(void **state)
{
    (void)state;
    show_note("http://a", 5, "x", 0);
    int before = writes;
    show_note("http://a", 5, "x", 0);
    assert_int_equal(writes, before);
    show_note("http://a", 5, "x", 2);
    assert_int_equal(writes, before + 1);
    assert_remembers(5);
    assert_true(span_is_equal(notes.notes[0], buf_span(&note)));
    show_note("http://a", 5, "x", 1);
    assert_int_equal(writes, before + 1);
}

static void note_that_the_log_did_not_sign_is_not_kept(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(NOTE_MAX);
    begin(&text, "log.example", 5, "x");
    keys_put_signature(&note, buf_span(&text), &peer_key, 1000);
    show("http://a");
    buf_reset(&text);
    begin(&text, "log.example", 6, "x");
    keys_put_signature(&note, span_of_str("another text\n"), &log_key, 0);
    show("http://a");
    buf_reset(&text);
    begin(&text, "log.example/b", 6, "x");
    keys_put_signature(&note, buf_span(&text), &log_key, 0);
    show("http://a");
    buf_reset(&note);
    buf_put_str(&note, "<html>");
    show("http://a");
    assert_int_equal(remembered(), 0);
    assert_int_equal(writes, 0);
    buf_clear(&text);
}

static void size_0_says_nothing(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(NOTE_MAX);
    begin(&text, "log.example", 0, "");
    keys_put_signature(&note, buf_span(&text), &log_key, 0);
    show("http://a");
    assert_int_equal(remembered(), 0);
    buf_clear(&text);
}

/* Both keys of the log, a second line of one of them, a bad line of the other, and ten others. */
static void lines_of_others_are_few_and_those_of_the_log_verified(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(NOTE_MAX), expected = BUF_INIT(NOTE_MAX);
    begin(&text, "log.example", 5, "x");
    for (int i = 0; i < STRANGERS; i++) {
        keys_put_signature(&note, buf_span(&text), &strangers[i], 1000);
    }
    keys_put_signature(&note, buf_span(&text), &log_key, 0);
    keys_put_signature(&note, buf_span(&text), &log_key, 0);
    keys_put_signature(&note, span_of_str("no\n"), &second_key, 0);
    show("http://a");
    buf_put(&expected, buf_span(&text));
    buf_put_str(&expected, "\n");
    keys_put_signature(&expected, buf_span(&text), &log_key, 0);
    for (int i = 0; i < PEER_MEMORY_OTHERS_MAX; i++) {
        keys_put_signature(&expected, buf_span(&text), &strangers[i], 1000);
    }
    assert_int_equal(remembered(), 1);
    assert_true(span_is_equal(notes.notes[0], buf_span(&expected)));
    buf_clear(&text);
    buf_clear(&expected);
}

static void memory_survives_a_restart_and_costs_no_sync(void **state)
{
    (void)state;
    show_note("http://a", 5, "x", 0);
    show_note("http://b", 9, "y", 0);
    assert_int_equal(writes, 2);
    assert_int_equal(synced_writes, 0);
    assert_int_equal(ledger_stats(ledger).groups, 0);
    ledger_stop(ledger);
    ledger = ledger_start(&(struct ledger_options){ .kv = &handle });
    assert_int_equal(remembered(), 2);
    show_note("http://a", 5, "x", 0);
    assert_int_equal(writes, 2);
}

static void memory_never_enters_what_was_cosigned(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    struct origin_state held;
    show_note("http://a", 5, "x", 0);
    assert_int_equal(ledger_note(ledger, &known->origin_hash, &out, &err), E_NOT_FOUND);
    assert_int_equal(ledger_seen(ledger, &known->origin_hash, 5, &out, &err), E_NOT_FOUND);
    assert_int_equal(ledger_state(ledger, &known->origin_hash, &held, &err), E_OK);
    assert_int_equal(held.size, 0);
    buf_clear(&out);
}

static void smallest_gives_way_when_there_are_too_many(void **state)
{
    (void)state;
    for (int i = 0; i < PEER_NOTES_MAX; i++) {
        char peer[32];
        snprintf(peer, sizeof peer, "http://%d", i);
        show_note(peer, (uint64_t)(10 + i), "x", 0);
    }
    assert_int_equal(remembered(), PEER_NOTES_MAX);
    show_note("http://one-more", 100, "x", 0);
    assert_int_equal(remembered(), PEER_NOTES_MAX);
    bool has_new = false;
    for (size_t i = 0; i < PEER_NOTES_MAX; i++) {
        assert_int_not_equal(size_at(i), 10);
        has_new = has_new || size_at(i) == 100;
    }
    assert_true(has_new);
}

static void note_of_no_peer_is_compared_but_not_kept(void **state)
{
    (void)state;
    show_note("http://a", 5, "x", 0);
    show_note(NULL, 9, "y", 0);
    assert_remembers(5);
    assert_int_equal(evidence_keep_count(evidence), 0);
    show_note(NULL, 5, "y", 0);
    assert_remembers(5);
    assert_int_equal(evidence_keep_count(evidence), 1);
}

static void two_roots_of_one_size_are_evidence_once(void **state)
{
    (void)state;
    show_note("http://a", 5, "x", 0);
    for (int i = 0; i < 3; i++) {
        show_note("http://b", 5, "y", 0);
    }
    assert_int_equal(evidence_keep_count(evidence), 1);
    show_note("http://a", 5, "z", 0); /* of one peer: the first stays */
    assert_int_equal(remembered(), 2);
    struct evidence_item *items;
    assert_true(evidence_keep_list(evidence, &items) >= 1);
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct evidence parsed;
    struct evidence_verdict verdict;
    const struct vkey *keys[] = { &log_key.vkey };
    assert_int_equal(evidence_keep_read(evidence, &items[0].origin_hash, &items[0].id, &file, &err),
                     E_OK);
    assert_int_equal(evidence_parse(&parsed, buf_span(&file), &err), E_OK);
    assert_int_equal(evidence_verify(&parsed, keys, 1, &verdict, &err), E_OK);
    buf_clear(&file);
    mem_free(items);
}

static void on_committed(void *ctx, enum err_code rc, const struct err *why)
{
    (void)why;
    assert_int_equal(rc, E_OK);
    atomic_store((atomic_int *)ctx, 1);
}

static void other_root_than_the_one_we_cosigned_is_evidence(void **state)
{
    (void)state;
    struct buf text = BUF_INIT(NOTE_MAX);
    atomic_int is_done = 0;
    begin(&text, "log.example", 5, "ours");
    keys_put_signature(&note, buf_span(&text), &log_key, 0);
    struct ledger_commit commit = { .origin_hash = known->origin_hash,
                                    .state = { 5, sha256(span_of_str("ours")), 1000 },
                                    .note = buf_span(&note),
                                    .ctx = &is_done,
                                    .on_done = on_committed };
    ledger_commit(ledger, &commit);
    ledger_stop(ledger);
    assert_int_equal(is_done, 1);
    assert_int_equal(synced_writes, 1);
    ledger = ledger_start(&(struct ledger_options){ .kv = &handle });
    show_note("http://a", 5, "ours", 0);
    show_note("http://a", 6, "theirs", 0);
    assert_int_equal(evidence_keep_count(evidence), 0);
    show_note("http://b", 5, "theirs", 0);
    assert_int_equal(evidence_keep_count(evidence), 1);
    buf_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(newest_note_of_a_peer_is_kept),
        TEST(note_with_more_signatures_takes_the_place_of_one_with_less),
        TEST(note_that_the_log_did_not_sign_is_not_kept),
        TEST(size_0_says_nothing),
        TEST(lines_of_others_are_few_and_those_of_the_log_verified),
        TEST(memory_survives_a_restart_and_costs_no_sync),
        TEST(memory_never_enters_what_was_cosigned),
        TEST(smallest_gives_way_when_there_are_too_many),
        TEST(note_of_no_peer_is_compared_but_not_kept),
        TEST(two_roots_of_one_size_are_evidence_once),
        TEST(other_root_than_the_one_we_cosigned_is_evidence),
    };
    log_set_level(LOG_LEVEL_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
