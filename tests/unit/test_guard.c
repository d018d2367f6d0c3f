#include "base/alloc.h"
#include "base/log.h"
#include "tests/support/files.h"
#include "tests/support/keys.h"
#include "tlog/merkle.h"
#include "witness/guard.h"
#include "witness/ledger_value.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    WAIT_MS = 60 * 1000,
    LOGS = 2,
    NOTE_MAX = 8 * 1024,
    NOW = 1000000, /* ms: when tests begin */
};

static const char *const origins[LOGS] = { "log.example/one", "log.example/two" };

static char *dir;
static char *mark_path;
static struct kv *disk; /* what is there between two starts */
static struct ledger *ledger;
static struct guard *guard;
static struct known_log logs[LOGS];
static struct signer log_keys[LOGS], witness_keys[2], stranger;
static struct vkey own[2];
static struct err err;
static atomic_uint fail_writes; /* by the handle of the ledger */
static atomic_bool fail_reads;  /* likewise */
static atomic_uint reads;

/* A handle on `disk` that outlives its closing. */
static enum err_code handle_get(struct kv *kv, struct span key, struct buf *out, struct err *why)
{
    (void)kv;
    reads++;
    return fail_reads ? err_set(why, E_IO, "told to fail") : kv_get(disk, key, out, why);
}

static enum err_code handle_write(struct kv *kv, const struct kv_batch *batch, bool is_synced,
                                  struct err *why)
{
    (void)kv;
    (void)is_synced;
    if (fail_writes > 0) {
        fail_writes--;
        return err_set(why, E_IO, "told to fail");
    }
    return kv_write_synced(disk, batch, why);
}

static enum err_code handle_scan(struct kv *kv, struct span prefix,
                                 enum err_code (*on_item)(void *ctx, struct span key,
                                                          struct span value, struct err *err),
                                 void *ctx, struct err *why)
{
    (void)kv;
    return kv_scan(disk, prefix, on_item, ctx, why);
}

static void handle_close(struct kv *kv)
{
    (void)kv;
}

static const struct kv_ops handle_ops = { handle_get, handle_write, handle_scan, handle_close };
static struct kv handle = { &handle_ops };

static enum err_code reopen(void *ctx, struct kv **out, struct err *why)
{
    (void)ctx;
    (void)why;
    *out = &handle;
    return E_OK;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* --- Starting and stopping a witness. --- */

enum start_flags {
    WITH_MARK = 1,
    UNCHECKED = 2
};

static void add_log(size_t i)
{
    struct origin_state state = origin_state_new();
    if (ledger_state(ledger, &logs[i].origin_hash, &state, &err) == E_OK) {
        logs[i].state = state;
    }
    guard_add(guard, &logs[i]);
}

static void start(unsigned flags, size_t peers)
{
    struct ledger_options options = { .kv = &handle, .reopen = reopen };
    assert_int_equal(ledger_open_mark(&handle, flags & WITH_MARK ? mark_path : NULL,
                                      flags & UNCHECKED, &options.mark, &err),
                     E_OK);
    ledger = ledger_start(&options);
    guard = guard_new(ledger, own, 2, peers);
    if (flags & UNCHECKED) {
        guard_start_unchecked(guard);
    }
    for (size_t i = 0; i < LOGS; i++) {
        add_log(i);
    }
    guard_on_tick(guard, NOW); /* as a start does before it serves */
}

static void stop(void)
{
    guard_free(guard);
    ledger_stop(ledger);
    guard = NULL;
    ledger = NULL;
}

static void restart(unsigned flags, size_t peers)
{
    stop();
    start(flags, peers);
}

static int setup(void **state)
{
    (void)state;
    dir = files_make_temp_dir();
    mark_path = files_join(dir, "mark");
    disk = kv_memory_new();
    fail_writes = 0;
    fail_reads = false;
    for (size_t i = 0; i < LOGS; i++) {
        memset(&logs[i], 0, sizeof logs[i]);
        log_keys[i] = keys_signer(origins[i], SIGNATURE_ED25519, origins[i]);
        snprintf(logs[i].origin, sizeof logs[i].origin, "%s", origins[i]);
        logs[i].origin_hash = sha256(span_of_str(origins[i]));
        pthread_mutex_init(&logs[i].mutex, NULL);
        logs[i].key_count = 1;
        logs[i].keys[0] = log_keys[i].vkey;
        logs[i].state = origin_state_new();
    }
    witness_keys[0] = keys_signer("witness.example", SIGNATURE_COSIGNATURE, "w0");
    witness_keys[1] = keys_signer("witness.example", SIGNATURE_COSIGNATURE, "w1");
    stranger = keys_signer("witness.example", SIGNATURE_COSIGNATURE, "stranger");
    own[0] = witness_keys[0].vkey;
    own[1] = witness_keys[1].vkey;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stop();
    kv_close(disk);
    for (size_t i = 0; i < LOGS; i++) {
        signer_clear(&log_keys[i]);
        pthread_mutex_destroy(&logs[i].mutex);
    }
    signer_clear(&witness_keys[0]);
    signer_clear(&witness_keys[1]);
    signer_clear(&stranger);
    free(mark_path);
    files_remove_tree(dir);
    return 0;
}

/* --- Notes and commits. --- */

static struct hash root_of(uint64_t size, int branch)
{
    uint64_t numbers[2] = { size, (uint64_t)branch };
    return size == 0 ? merkle_empty_root() : sha256(SPAN_OF_ARRAY(numbers));
}

/* The checkpoint of a log, under its key unless that is NULL, and cosigned unless that is NULL. */
static struct buf make_note(const char *origin, uint64_t size, int branch,
                            const struct signer *log_key, const struct signer *witness)
{
    struct buf note = BUF_INIT(NOTE_MAX), text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    struct checkpoint checkpoint = { .size = size, .root = root_of(size, branch) };
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", origin);
    checkpoint_put(&text, &checkpoint);
    buf_put(&note, buf_span(&text));
    buf_put_str(&note, "\n");
    if (log_key != NULL) {
        keys_put_signature(&note, buf_span(&text), log_key, 0);
    }
    if (witness != NULL) {
        keys_put_signature(&note, buf_span(&text), witness, 1000 + size);
    }
    buf_clear(&text);
    return note;
}

static bool hear_from(size_t peer, size_t i, struct buf note)
{
    bool is_bad = guard_on_note(guard, &logs[i], peer, buf_span(&note), NOW);
    buf_clear(&note);
    return is_bad;
}

static bool hear_own(size_t i, uint64_t size, int branch)
{
    return hear_from(SIZE_MAX, i,
                     make_note(origins[i], size, branch, &log_keys[i], &witness_keys[0]));
}

struct outcome {
    struct known_log *log;
    struct origin_state state;
    atomic_int calls;
    enum err_code rc;
};

static void on_done(void *ctx, enum err_code rc, const struct err *why)
{
    struct outcome *outcome = ctx;
    (void)why;
    if (rc == E_OK) {
        pthread_mutex_lock(&outcome->log->mutex);
        outcome->log->state = outcome->state;
        pthread_mutex_unlock(&outcome->log->mutex);
    }
    outcome->rc = rc;
    outcome->calls++;
}

static enum err_code sign(size_t i, uint64_t size)
{
    struct buf note = make_note(origins[i], size, 0, &log_keys[i], &witness_keys[0]);
    struct outcome outcome = { .log = &logs[i], .state = { size, root_of(size, 0), 1000 + size } };
    struct ledger_commit commit = { logs[i].origin_hash, outcome.state, buf_span(&note), &outcome,
                                    on_done };
    ledger_commit(ledger, &commit);
    buf_clear(&note);
    for (int ms = 0; ms < WAIT_MS && outcome.calls == 0; ms++) {
        pause_ms(1);
    }
    return outcome.rc;
}

static enum guard_verdict verdict(size_t i)
{
    char reason[256];
    enum guard_verdict is = guard_verdict(guard, &logs[i], reason, sizeof reason);
    assert_int_equal(is == GUARD_OPEN, reason[0] == '\0');
    return is;
}

static void assert_reason(size_t i, const char *words)
{
    char reason[256];
    assert_int_not_equal(guard_verdict(guard, &logs[i], reason, sizeof reason), GUARD_OPEN);
    assert_non_null(strstr(reason, words));
}

/* --- The mark. --- */

static void without_anything_every_origin_is_open(void **state)
{
    (void)state;
    start(0, 0);
    assert_int_equal(verdict(0), GUARD_OPEN);
    assert_string_equal(guard_words(guard), "rollback not detectable");
    assert_int_equal(sign(0, 5), E_OK);
    restart(0, 0);
    assert_int_equal(verdict(0), GUARD_OPEN);
}

static void words_name_what_there_is(void **state)
{
    (void)state;
    start(WITH_MARK, 0);
    assert_string_equal(guard_words(guard), "rollback detected by a mark file");
    guard_use_tpm(guard);
    assert_string_equal(guard_words(guard), "rollback detected by a mark file and a TPM counter");
    restart(WITH_MARK, 2);
    assert_string_equal(guard_words(guard), "rollback detected by a mark file and peers");
}

static void mark_that_agrees_opens_without_peers(void **state)
{
    (void)state;
    start(WITH_MARK, 0);
    assert_int_equal(sign(0, 5), E_OK);
    guard_on_tick(guard, NOW);
    restart(WITH_MARK, 3);
    assert_int_equal(verdict(0), GUARD_OPEN);
    assert_int_equal(verdict(1), GUARD_OPEN); /* neither store nor mark has it: they agree */
}

/* For each backup of a run: with the mark, only the newest may sign. */
static void every_older_backup_is_refused(void **state)
{
    (void)state;
    enum {
        STEPS = 12
    };
    struct kv *backups[STEPS + 1];
    start(WITH_MARK, 0);
    for (uint64_t size = 0; size < STEPS; size++) {
        backups[size] = kv_memory_copy(disk);
        assert_int_equal(sign(0, size == 0 ? 0 : size * 3), E_OK);
    }
    backups[STEPS] = kv_memory_copy(disk);
    for (size_t i = 0; i <= STEPS; i++) {
        stop();
        kv_close(disk);
        disk = kv_memory_copy(backups[i]);
        start(WITH_MARK, 0);
        /* The state of size 0 is all that one can have at size 0. */
        bool is_newest = i == STEPS;
        assert_int_equal(verdict(0), is_newest ? GUARD_OPEN : GUARD_REFUSED);
        assert_int_equal(verdict(1), GUARD_OPEN);
        if (!is_newest) {
            assert_reason(0, "the store is an old one");
            assert_int_equal(sign(0, 100), E_DENIED);
            restart(WITH_MARK, 2); /* still so, and peers do not change it */
            guard_on_none(guard, &logs[0], 0, NOW);
            guard_on_none(guard, &logs[0], 1, NOW);
            assert_int_equal(verdict(0), GUARD_REFUSED);
        }
    }
    for (size_t i = 0; i <= STEPS; i++) {
        kv_close(backups[i]);
    }
}

static void lost_store_is_refused(void **state)
{
    (void)state;
    start(WITH_MARK, 0);
    assert_int_equal(sign(0, 5), E_OK);
    stop();
    kv_close(disk);
    disk = kv_memory_new();
    start(WITH_MARK, 0);
    assert_int_equal(verdict(0), GUARD_REFUSED);
    assert_int_equal(sign(0, 5), E_DENIED);
}

static void mark_of_another_root_is_refused(void **state)
{
    (void)state;
    struct mark mark = { logs[0].origin_hash, 5, root_of(5, 1) };
    struct mark_file *file;
    start(WITH_MARK, 0);
    assert_int_equal(sign(0, 5), E_OK);
    stop();
    assert_int_equal(mark_file_open(&file, mark_path, false, &err), E_OK);
    assert_int_equal(mark_file_put(file, &mark, 1, &err), E_OK);
    mark_file_close(file);
    start(WITH_MARK, 0);
    assert_reason(0, "another root");
    assert_int_equal(verdict(0), GUARD_REFUSED);
}

static void mark_behind_is_fine_and_brought_up(void **state)
{
    (void)state;
    struct mark mark;
    start(WITH_MARK, 0);
    assert_int_equal(sign(0, 5), E_OK);
    stop();
    struct mark_file *file;
    mark = (struct mark){ logs[0].origin_hash, 3, root_of(3, 0) };
    assert_int_equal(mark_file_open(&file, mark_path, false, &err), E_OK);
    assert_int_equal(mark_file_put(file, &mark, 1, &err), E_OK);
    mark_file_close(file);
    start(WITH_MARK, 0);
    assert_int_equal(verdict(0), GUARD_OPEN);
    assert_int_equal(ledger_mark(ledger, &logs[0].origin_hash, &mark, &err), E_OK);
    assert_int_equal(mark.size, 5);
}

static void missing_mark_file_refuses_all_until_told_otherwise(void **state)
{
    (void)state;
    start(WITH_MARK, 0);
    assert_int_equal(sign(0, 5), E_OK);
    stop();
    assert_int_equal(unlink(mark_path), 0);
    for (int i = 0; i < 2; i++) { /* starting again does not wash it off */
        start(WITH_MARK, 0);
        assert_reason(0, "--start-unchecked");
        assert_int_equal(verdict(0), GUARD_REFUSED);
        assert_int_equal(verdict(1), GUARD_REFUSED);
        stop();
    }
    start(0, 0); /* nor does leaving the path out */
    assert_int_equal(verdict(0), GUARD_REFUSED);
    restart(WITH_MARK | UNCHECKED, 0);
    assert_int_equal(verdict(0), GUARD_OPEN);
    assert_string_equal(guard_words(guard), "rollback check overridden by start-unchecked");
    restart(WITH_MARK, 0);
    assert_int_equal(verdict(0), GUARD_OPEN);
    struct mark mark;
    assert_int_equal(ledger_mark(ledger, &logs[0].origin_hash, &mark, &err), E_OK);
    assert_int_equal(mark.size, 5);
}

static void mark_file_can_be_given_up_for_good(void **state)
{
    (void)state;
    start(WITH_MARK, 0);
    assert_int_equal(sign(0, 5), E_OK);
    restart(UNCHECKED, 0);
    assert_int_equal(verdict(0), GUARD_OPEN);
    restart(0, 0);
    assert_int_equal(verdict(0), GUARD_OPEN);
    assert_string_equal(guard_words(guard), "rollback not detectable");
}

/* start-unchecked does not undo a proof. */
static void mark_ahead_stays_refused_when_unchecked(void **state)
{
    (void)state;
    start(WITH_MARK, 0);
    struct kv *backup = kv_memory_copy(disk);
    assert_int_equal(sign(0, 5), E_OK);
    stop();
    kv_close(disk);
    disk = backup;
    start(WITH_MARK | UNCHECKED, 0);
    assert_int_equal(verdict(0), GUARD_REFUSED);
}

/* A mark file that has just been made from the store vouches for nothing. */
static void new_mark_file_does_not_replace_the_peers(void **state)
{
    (void)state;
    start(0, 0);
    assert_int_equal(sign(0, 5), E_OK);
    restart(WITH_MARK, 1);
    assert_int_equal(verdict(0), GUARD_CHECKING);
    guard_on_tick(guard, NOW);
    restart(WITH_MARK, 1); /* nobody answered meanwhile */
    assert_int_equal(verdict(0), GUARD_CHECKING);
    guard_on_none(guard, &logs[0], 0, NOW);
    assert_int_equal(verdict(0), GUARD_OPEN);
    guard_on_tick(guard, NOW); /* the other log is not through yet */
    restart(WITH_MARK, 1);
    assert_int_equal(verdict(0), GUARD_CHECKING);
    guard_on_none(guard, &logs[0], 0, NOW);
    guard_on_none(guard, &logs[1], 0, NOW);
    guard_on_tick(guard, NOW);
    restart(WITH_MARK, 1);
    assert_int_equal(verdict(0), GUARD_OPEN);
}

/* As `state trust-mark` and start-unchecked make it: it knows no more than the store. */
static void mark_file_that_was_made_again_does_not_replace_the_peers(void **state)
{
    (void)state;
    start(WITH_MARK, 0);
    assert_int_equal(sign(0, 5), E_OK);
    guard_on_tick(guard, NOW);
    restart(WITH_MARK, 2);
    assert_int_equal(verdict(0), GUARD_OPEN);
    stop();
    assert_int_equal(unlink(mark_path), 0);
    start(WITH_MARK | UNCHECKED, 2);
    assert_int_equal(verdict(0), GUARD_OPEN);
    guard_on_tick(guard, NOW); /* nobody is waited for, but nobody was heard either */
    for (int i = 0; i < 2; i++) {
        restart(WITH_MARK, 2);
        assert_int_equal(verdict(0), GUARD_CHECKING);
        guard_on_none(guard, &logs[0], 0, NOW);
        guard_on_none(guard, &logs[1], 0, NOW);
        guard_on_tick(guard, NOW + GUARD_PEER_WAIT_MS);
        assert_int_equal(verdict(0), GUARD_OPEN); /* late: the other peer still is not heard */
    }
    guard_on_none(guard, &logs[0], 1, NOW);
    guard_on_none(guard, &logs[1], 1, NOW);
    guard_on_tick(guard, NOW);
    restart(WITH_MARK, 2);
    assert_int_equal(verdict(0), GUARD_OPEN);
}

/* --- Adding. --- */

static void start_unread(size_t peers)
{
    struct ledger_options options = { .kv = &handle, .reopen = reopen };
    ledger = ledger_start(&options);
    guard = guard_new(ledger, own, 2, peers);
    for (size_t i = 0; i < LOGS; i++) {
        guard_add(guard, &logs[i]);
    }
}

static void added_log_is_read_by_the_next_tick_only(void **state)
{
    (void)state;
    start_unread(0);
    static struct known_log another;
    another.origin_hash = sha256(span_of_str("another"));
    unsigned before = reads;
    guard_add(guard, &another);
    assert_int_equal(reads, before); /* whoever adds does not wait for the disk */
    assert_int_equal(verdict(0), GUARD_CHECKING);
    assert_reason(0, "not been read");
    fail_reads = true;
    guard_on_tick(guard, NOW);
    assert_int_equal(verdict(0), GUARD_CHECKING);
    fail_reads = false;
    guard_on_tick(guard, NOW);
    assert_int_equal(verdict(0), GUARD_OPEN);
    assert_int_equal(guard_counts(guard).checking, 0);
}

static void assert_kept(size_t i, uint64_t size);

/* What was refused before is on the disk, and cannot be read yet. */
static void note_before_the_first_reading_replaces_no_larger_one(void **state)
{
    (void)state;
    start(0, 0);
    assert_int_equal(sign(0, 5), E_OK);
    assert_true(hear_own(0, 20, 0));
    assert_true(hear_own(1, 20, 0));
    stop();
    start_unread(0);
    fail_reads = true;
    assert_true(hear_own(0, 9, 0));
    assert_true(hear_own(1, 20, 1)); /* and one of the same size, but another root */
    assert_int_equal(verdict(0), GUARD_REFUSED);
    fail_reads = false;
    guard_on_tick(guard, NOW);
    guard_on_tick(guard, NOW);
    assert_kept(0, 20);
    assert_kept(1, 20);
    restart(0, 0);
    assert_reason(0, "old one");
    assert_reason(1, "retire the key");
}

/* --- Peers. --- */

static void origin_waits_until_all_peers_have_answered(void **state)
{
    (void)state;
    start(0, 3);
    assert_int_equal(verdict(0), GUARD_CHECKING);
    guard_on_tick(guard, NOW + 1000 * GUARD_PEER_WAIT_MS);
    assert_int_equal(verdict(0), GUARD_CHECKING); /* nobody did: not ever */
    guard_on_none(guard, &logs[0], 1, NOW);
    guard_on_none(guard, &logs[0], 1, NOW);
    guard_on_none(guard, &logs[0], SIZE_MAX, NOW);
    assert_int_equal(verdict(0), GUARD_CHECKING);
    guard_on_none(guard, &logs[0], 2, NOW);
    assert_int_equal(verdict(0), GUARD_CHECKING);
    assert_false(hear_from(0, 0, make_note(origins[0], 9, 0, &log_keys[0], NULL)));
    assert_int_equal(verdict(0), GUARD_OPEN);
    assert_int_equal(verdict(1), GUARD_CHECKING); /* each log for itself */
    assert_int_equal(guard_counts(guard).checking, 1);
}

static void peers_that_stay_away_are_not_waited_for_long(void **state)
{
    (void)state;
    start(0, 3);
    guard_on_none(guard, &logs[0], 1, NOW);
    guard_on_tick(guard, NOW + GUARD_PEER_WAIT_MS - 1);
    assert_int_equal(verdict(0), GUARD_CHECKING);
    guard_on_tick(guard, NOW + GUARD_PEER_WAIT_MS);
    assert_int_equal(verdict(0), GUARD_OPEN);
    assert_int_equal(verdict(1), GUARD_CHECKING);
    /* One that comes late is still believed. */
    assert_true(hear_from(2, 0, make_note(origins[0], 9, 0, &log_keys[0], &witness_keys[0])));
    assert_int_equal(verdict(0), GUARD_REFUSED);
}

/* A tick takes its time; answers come meanwhile. */
static void answer_that_is_younger_than_the_tick_does_not_open(void **state)
{
    (void)state;
    start(0, 2);
    guard_on_none(guard, &logs[0], 1, NOW + 1);
    guard_on_tick(guard, NOW);
    assert_int_equal(verdict(0), GUARD_CHECKING);
}

static void peers_are_waited_for_as_long_as_told(void **state)
{
    (void)state;
    static const char *const names[] = { "http://a", "http://b" };
    start(0, 2);
    guard_set_peers(guard, names, 5);
    guard_on_none(guard, &logs[0], 1, NOW);
    guard_on_tick(guard, NOW + 4);
    assert_int_equal(verdict(0), GUARD_CHECKING);
    guard_on_tick(guard, NOW + 5);
    assert_int_equal(verdict(0), GUARD_OPEN);
}

static void unchecked_start_waits_for_nobody(void **state)
{
    (void)state;
    start(UNCHECKED, 3);
    assert_int_equal(verdict(0), GUARD_OPEN);
    assert_true(hear_own(0, 9, 0));
    assert_int_equal(verdict(0), GUARD_REFUSED);
    restart(UNCHECKED, 3);
    assert_int_equal(verdict(0), GUARD_REFUSED);
}

static void newer_note_of_ours_refuses_for_good(void **state)
{
    (void)state;
    start(0, 2);
    assert_int_equal(sign(0, 5), E_OK);
    guard_on_none(guard, &logs[0], 0, NOW);
    struct buf newer = make_note(origins[0], 6, 0, &log_keys[0], &witness_keys[1]);
    assert_true(guard_on_note(guard, &logs[0], 1, buf_span(&newer), NOW));
    assert_int_equal(verdict(0), GUARD_REFUSED);
    assert_reason(0, "ahead of the store");
    assert_int_equal(sign(0, 7), E_DENIED);
    restart(0, 0);
    assert_int_equal(verdict(0), GUARD_REFUSED);
    assert_int_equal(verdict(1), GUARD_OPEN);
    assert_int_equal(guard_counts(guard).refused, 1);
    struct buf kept = BUF_INIT(NOTE_MAX);
    assert_int_equal(ledger_refused(ledger, &logs[0].origin_hash, &kept, &err), E_OK);
    assert_true(span_is_equal(buf_span(&kept), buf_span(&newer)));
    /* The newest of them is kept: it is the one to adopt. */
    assert_true(hear_own(0, 20, 0));
    assert_true(hear_own(0, 10, 0));
    restart(0, 0);
    assert_reason(0, "at size 20");
    buf_clear(&kept);
    buf_clear(&newer);
}

static void other_root_of_ours_refuses(void **state)
{
    (void)state;
    start(0, 0);
    assert_int_equal(sign(0, 3), E_OK);
    assert_int_equal(sign(0, 5), E_OK);
    assert_int_equal(sign(1, 3), E_OK);
    assert_int_equal(sign(1, 5), E_OK);
    assert_true(hear_own(0, 5, 1)); /* the size held */
    assert_int_equal(verdict(0), GUARD_REFUSED);
    assert_true(hear_own(1, 3, 1)); /* a size cosigned before */
    assert_reason(1, "retire the key");
    restart(0, 0);
    assert_int_equal(verdict(0), GUARD_REFUSED);
    assert_int_equal(verdict(1), GUARD_REFUSED);
}

/* The size of the note that is kept to adopt. */
static void assert_kept(size_t i, uint64_t size)
{
    struct buf bytes = BUF_INIT(NOTE_MAX);
    struct note note;
    struct checkpoint checkpoint;
    assert_int_equal(ledger_refused(ledger, &logs[i].origin_hash, &bytes, &err), E_OK);
    assert_int_equal(note_parse(&note, buf_span(&bytes), &err), E_OK);
    assert_int_equal(checkpoint_parse(&checkpoint, note.text, &err), E_OK);
    assert_int_equal(checkpoint.size, size);
    note_clear(&note);
    buf_clear(&bytes);
}

static enum err_code adopt(size_t i, uint64_t size)
{
    struct buf note = make_note(origins[i], size, 0, &log_keys[i], &witness_keys[0]);
    struct origin_state next = { size, root_of(size, 0), 1000 + size };
    enum err_code rc = ledger_adopt(ledger, &logs[i].origin_hash, &next, buf_span(&note), &err);
    buf_clear(&note);
    return rc;
}

/* Neither by larger notes, nor by adoption, nor by starting again. */
static void contradiction_is_for_good(void **state)
{
    (void)state;
    start(0, 0);
    assert_int_equal(sign(0, 3), E_OK);
    assert_int_equal(sign(0, 5), E_OK);
    assert_true(hear_own(0, 9, 0));
    assert_reason(0, "ahead of the store");
    assert_true(hear_own(0, 3, 1));
    assert_reason(0, "retire the key");
    assert_true(hear_own(0, 20, 0));
    assert_kept(0, 20);
    assert_int_equal(adopt(0, 20), E_CONFLICT);
    assert_non_null(strstr(err.msg, "retire the key"));
    restart(0, 0);
    assert_reason(0, "retire the key");
    assert_int_equal(adopt(0, 30), E_CONFLICT);
    assert_int_equal(sign(0, 30), E_DENIED);
    /* Without one there is nothing against it. */
    assert_true(hear_own(1, 9, 0));
    assert_int_equal(adopt(1, 9), E_OK);
}

/* Both are ahead of the store: the second is of no use to adopt, and the first neither from then on. */
static void two_newer_notes_of_one_size_are_a_contradiction(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        start(0, 0);
        assert_true(hear_own(0, 9, 0));
        if (i == 0) {
            stop();
        }
    }
    assert_true(hear_own(0, 9, 0)); /* the same once more is none */
    assert_reason(0, "old one");
    assert_true(hear_own(0, 9, 1));
    assert_reason(0, "retire the key");
    assert_int_equal(adopt(0, 9), E_CONFLICT);
    restart(0, 0);
    assert_reason(0, "retire the key");
}

enum {
    SHOWERS = 4,
    SHOWN_MAX = 60
};

/* Sizes that go up, some of each thread's. */
static void *show_newer(void *arg)
{
    size_t offset = *(size_t *)arg;
    for (uint64_t size = 10 + offset; size <= SHOWN_MAX; size += SHOWERS) {
        struct buf note = make_note(origins[0], size, 0, &log_keys[0], &witness_keys[0]);
        assert_true(guard_on_note(guard, &logs[0], SIZE_MAX, buf_span(&note), NOW));
        buf_clear(&note);
        guard_on_tick(guard, NOW);
    }
    return NULL;
}

static void largest_note_stays_of_many_that_come_at_once(void **state)
{
    (void)state;
    pthread_t threads[SHOWERS];
    size_t offsets[SHOWERS];
    start(0, 0);
    assert_int_equal(sign(0, 5), E_OK);
    for (size_t i = 0; i < SHOWERS; i++) {
        offsets[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, show_newer, &offsets[i]), 0);
    }
    for (size_t i = 0; i < SHOWERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_kept(0, SHOWN_MAX);
    restart(0, 0);
    assert_int_equal(verdict(0), GUARD_REFUSED);
}

static void older_and_equal_notes_of_ours_are_fine(void **state)
{
    (void)state;
    start(0, 0);
    assert_int_equal(sign(0, 3), E_OK);
    assert_int_equal(sign(0, 5), E_OK);
    assert_false(hear_own(0, 5, 0));
    assert_false(hear_own(0, 4, 0));
    assert_false(hear_own(0, 3, 0));
    assert_false(hear_own(0, 0, 0));
    assert_int_equal(verdict(0), GUARD_OPEN);
}

static void notes_that_prove_nothing_are_ignored(void **state)
{
    (void)state;
    start(0, 0);
    assert_int_equal(sign(0, 5), E_OK);
    /* Under the log's key alone, ours alone, none; a stranger's under our name; of another log. */
    assert_false(hear_from(SIZE_MAX, 0, make_note(origins[0], 9, 0, &log_keys[0], NULL)));
    assert_false(hear_from(SIZE_MAX, 0, make_note(origins[0], 9, 0, NULL, &witness_keys[0])));
    assert_false(hear_from(SIZE_MAX, 0, make_note(origins[0], 9, 0, &log_keys[0], &stranger)));
    assert_false(
        hear_from(SIZE_MAX, 0, make_note(origins[1], 9, 0, &log_keys[1], &witness_keys[0])));
    assert_false(
        hear_from(SIZE_MAX, 0, make_note(origins[1], 9, 0, &log_keys[0], &witness_keys[0])));
    assert_false(guard_on_note(guard, &logs[0], SIZE_MAX, span_of_str(""), NOW));
    assert_false(guard_on_note(guard, &logs[0], SIZE_MAX, span_of_str("junk\n\n- x\n"), NOW));
    assert_int_equal(verdict(0), GUARD_OPEN);
    /* Each third byte of a note that would convince, changed: not in the lowest bits, which the last
     * letter of a base64 has to spare. */
    struct buf note = make_note(origins[0], 9, 0, &log_keys[0], &witness_keys[0]);
    for (size_t i = 0; i < note.len; i += 3) {
        note.data[i] ^= 0x20;
        guard_on_note(guard, &logs[0], SIZE_MAX, buf_span(&note), NOW);
        note.data[i] ^= 0x20;
    }
    assert_int_equal(verdict(0), GUARD_OPEN);
    assert_true(guard_on_note(guard, &logs[0], SIZE_MAX, buf_span(&note), NOW));
    buf_clear(&note);
}

/* A bad line of ours beside a good one: the good one counts, or hiding would be easy. */
static void good_line_beside_a_bad_one_counts(void **state)
{
    (void)state;
    start(0, 0);
    struct buf note = make_note(origins[0], 9, 0, &log_keys[0], &witness_keys[0]);
    struct buf other = make_note(origins[0], 8, 0, NULL, &witness_keys[1]);
    struct span line = buf_span(&other);
    size_t at = span_find(line, span_of_str("\n\n")) + 2;
    buf_put(&note, span_slice(line, at, line.len - at));
    assert_true(guard_on_note(guard, &logs[0], SIZE_MAX, buf_span(&note), NOW));
    buf_clear(&note);
    buf_clear(&other);
}

/* --- Our own signatures that come back while more are made. --- */

static atomic_bool is_over;

/* A peer that has each note of ours the moment it leaves, and shows it to us. */
static void *show_back(void *arg)
{
    size_t *shown = arg;
    while (!is_over) {
        struct buf note = BUF_INIT(NOTE_MAX);
        struct err why;
        if (ledger_note(ledger, &logs[0].origin_hash, &note, &why) == E_OK) {
            assert_false(guard_on_note(guard, &logs[0], 0, buf_span(&note), NOW));
            ++*shown;
        }
        buf_clear(&note);
    }
    return NULL;
}

static void own_signature_that_comes_back_at_once_is_not_newer(void **state)
{
    (void)state;
    size_t shown = 0;
    pthread_t thread;
    start(0, 1);
    is_over = false;
    assert_int_equal(pthread_create(&thread, NULL, show_back, &shown), 0);
    for (uint64_t size = 1; size <= 300; size++) {
        assert_int_equal(sign(0, size), E_OK);
    }
    is_over = true;
    pthread_join(thread, NULL);
    assert_true(shown > 0);
    assert_int_equal(verdict(0), GUARD_OPEN);
}

/* Between the release of a commit and the move of the log's state. */
static void released_state_counts_before_the_log_moves(void **state)
{
    (void)state;
    start(0, 0);
    assert_int_equal(sign(0, 5), E_OK);
    logs[0].state = (struct origin_state){ 3, root_of(3, 0), 1003 };
    assert_false(hear_own(0, 5, 0));
    assert_int_equal(verdict(0), GUARD_OPEN);
}

/* --- A ledger that fails. --- */

static void refusal_that_was_not_stored_holds_and_is_stored_later(void **state)
{
    (void)state;
    start(0, 0);
    assert_int_equal(sign(0, 5), E_OK);
    fail_writes = 2; /* the note, and the first attempt to recover */
    assert_true(hear_own(0, 9, 0));
    assert_int_equal(verdict(0), GUARD_REFUSED);
    struct buf kept = BUF_INIT(NOTE_MAX);
    assert_int_equal(ledger_refused(ledger, &logs[0].origin_hash, &kept, &err), E_NOT_FOUND);
    char reason[ERR_MSG_MAX];
    for (int ms = 0; ms < WAIT_MS && ledger_is_failing(ledger, reason, sizeof reason); ms++) {
        pause_ms(1);
    }
    guard_on_tick(guard, NOW);
    assert_int_equal(ledger_refused(ledger, &logs[0].origin_hash, &kept, &err), E_OK);
    buf_clear(&kept);
    restart(0, 0);
    assert_int_equal(verdict(0), GUARD_REFUSED);
}

static void corrupt_state_is_refused(void **state)
{
    (void)state;
    struct ledger_key key = ledger_key_of(LEDGER_KEY_STATE, &logs[0].origin_hash);
    struct kv_batch batch;
    kv_batch_init(&batch);
    kv_batch_put(&batch, ledger_key_span(&key), span_of_str("\x01short"));
    assert_int_equal(kv_write_synced(disk, &batch, &err), E_OK);
    kv_batch_clear(&batch);
    start(0, 0);
    assert_int_equal(verdict(0), GUARD_REFUSED);
    assert_int_equal(verdict(1), GUARD_OPEN);
}

/* --- The rest. --- */

static void tpm_refuses_every_origin(void **state)
{
    (void)state;
    start(0, 0);
    guard_refuse_all(guard, "the TPM's counter is ahead");
    assert_reason(0, "TPM");
    assert_int_equal(verdict(0), GUARD_REFUSED);
    assert_int_equal(verdict(1), GUARD_REFUSED);
    assert_int_equal(guard_counts(guard).refused, LOGS);
}

static void unknown_log_is_refused(void **state)
{
    (void)state;
    static struct known_log other;
    char reason[64];
    start(0, 0);
    assert_int_equal(guard_verdict(guard, &other, reason, sizeof reason), GUARD_REFUSED);
}

static void questions_are_asked_at_the_start_and_not_too_often(void **state)
{
    (void)state;
    start(0, 1);
    assert_true(guard_wants_ask(guard, &logs[0], NOW));
    assert_false(guard_wants_ask(guard, &logs[0], NOW));
    assert_false(guard_wants_ask(guard, &logs[0], NOW + GUARD_ASK_AGAIN_MS - 1));
    assert_true(guard_wants_ask(guard, &logs[1], NOW + 1));
    assert_true(guard_wants_ask(guard, &logs[0], NOW + GUARD_ASK_AGAIN_MS));
    assert_false(guard_wants_ask(guard, &logs[0], NOW + GUARD_ASK_AGAIN_MS + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(without_anything_every_origin_is_open),
        TEST(words_name_what_there_is),
        TEST(mark_that_agrees_opens_without_peers),
        TEST(every_older_backup_is_refused),
        TEST(lost_store_is_refused),
        TEST(mark_of_another_root_is_refused),
        TEST(mark_behind_is_fine_and_brought_up),
        TEST(missing_mark_file_refuses_all_until_told_otherwise),
        TEST(mark_file_can_be_given_up_for_good),
        TEST(mark_ahead_stays_refused_when_unchecked),
        TEST(new_mark_file_does_not_replace_the_peers),
        TEST(mark_file_that_was_made_again_does_not_replace_the_peers),
        TEST(added_log_is_read_by_the_next_tick_only),
        TEST(note_before_the_first_reading_replaces_no_larger_one),
        TEST(answer_that_is_younger_than_the_tick_does_not_open),
        TEST(peers_are_waited_for_as_long_as_told),
        TEST(contradiction_is_for_good),
        TEST(two_newer_notes_of_one_size_are_a_contradiction),
        TEST(largest_note_stays_of_many_that_come_at_once),
        TEST(origin_waits_until_all_peers_have_answered),
        TEST(peers_that_stay_away_are_not_waited_for_long),
        TEST(unchecked_start_waits_for_nobody),
        TEST(newer_note_of_ours_refuses_for_good),
        TEST(other_root_of_ours_refuses),
        TEST(older_and_equal_notes_of_ours_are_fine),
        TEST(notes_that_prove_nothing_are_ignored),
        TEST(good_line_beside_a_bad_one_counts),
        TEST(own_signature_that_comes_back_at_once_is_not_newer),
        TEST(released_state_counts_before_the_log_moves),
        TEST(refusal_that_was_not_stored_holds_and_is_stored_later),
        TEST(corrupt_state_is_refused),
        TEST(tpm_refuses_every_origin),
        TEST(unknown_log_is_refused),
        TEST(questions_are_asked_at_the_start_and_not_too_often),
    };
    log_set_level(LOG_LEVEL_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
