#include "base/alloc.h"
#include "base/log.h"
#include "tests/support/files.h"
#include "tlog/merkle.h"
#include "witness/ledger.h"
#include "witness/ledger_value.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    WAIT_MS = 60 * 1000,
    NOTE_MAX = 256,
};

static char *dir;
static char *mark_path;
static struct ledger *ledger;
static struct err err;

/* A disk: a store in memory that outlives its handles, counts writes, and can be held up. */
static struct {
    struct kv *memory;
    atomic_int opens, writes, batch_count;
    atomic_bool is_held, refuses_to_open;
    bool is_broken; /* as LevelDB after an error: until it is opened again */
} disk;

struct handle {
    struct kv base;
};

static enum err_code disk_get(struct kv *kv, struct span key, struct buf *out, struct err *why)
{
    (void)kv;
    return kv_get(disk.memory, key, out, why);
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static enum err_code disk_write(struct kv *kv, const struct kv_batch *batch, bool is_synced,
                                struct err *why)
{
    (void)kv;
    assert_true(is_synced);
    disk.writes++;
    disk.batch_count = (int)batch->count;
    while (disk.is_held) {
        pause_ms(1);
    }
    if (disk.is_broken) {
        return err_set(why, E_IO, "still broken");
    }
    enum err_code rc = kv_write_synced(disk.memory, batch, why);
    disk.is_broken = rc != E_OK;
    return rc;
}

static enum err_code disk_scan(struct kv *kv, struct span prefix,
                               enum err_code (*on_item)(void *ctx, struct span key,
                                                        struct span value, struct err *err),
                               void *ctx, struct err *why)
{
    (void)kv;
    return kv_scan(disk.memory, prefix, on_item, ctx, why);
}

static void disk_close(struct kv *kv)
{
    mem_free(kv);
}

static const struct kv_ops disk_ops = { disk_get, disk_write, disk_scan, disk_close };

static enum err_code disk_open(void *ctx, struct kv **out, struct err *why)
{
    (void)ctx;
    if (disk.refuses_to_open) {
        return err_set(why, E_IO, "the disk is away");
    }
    disk.opens++;
    disk.is_broken = false;
    struct handle *handle = NEW(struct handle);
    handle->base.ops = &disk_ops;
    *out = &handle->base;
    return E_OK;
}

static void start_with(bool has_mark, bool may_reopen)
{
    struct ledger_options options = { .reopen = may_reopen ? disk_open : NULL };
    assert_int_equal(disk_open(NULL, &options.kv, &err), E_OK);
    if (has_mark) {
        assert_int_equal(mark_file_open(&options.mark, mark_path, true, &err), E_OK);
    }
    ledger = ledger_start(&options);
}

static void start(void)
{
    start_with(true, true);
}

static void stop(void)
{
    ledger_stop(ledger);
    ledger = NULL;
}

static int setup(void **state)
{
    (void)state;
    memset(&disk, 0, sizeof disk);
    disk.memory = kv_memory_new();
    dir = files_make_temp_dir();
    mark_path = files_join(dir, "mark");
    ledger = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    disk.is_held = false;
    stop();
    kv_close(disk.memory);
    free(mark_path);
    files_remove_tree(dir);
    return 0;
}

/* --- What is committed. --- */

static struct hash origin_of(unsigned number)
{
    return sha256(span_of(&number, sizeof number));
}

static struct origin_state state_of(uint64_t size, uint64_t timestamp)
{
    struct origin_state state = { .size = size, .timestamp = timestamp };
    state.root = size == 0 ? merkle_empty_root() : sha256(span_of(&size, sizeof size));
    return state;
}

static const char *note_of(uint64_t size)
{
    static _Thread_local char text[NOTE_MAX];
    snprintf(text, sizeof text, "note of size %llu\n", (unsigned long long)size);
    return text;
}

struct outcome {
    atomic_int calls;
    enum err_code rc;
    struct err err;
    bool was_durable; /* in the store and in the mark when told */
    struct hash origin_hash;
    uint64_t size;
};

static bool is_stored(const struct hash *origin_hash, uint64_t size)
{
    struct ledger_key key = ledger_key_of(LEDGER_KEY_STATE, origin_hash);
    struct buf bytes = BUF_INIT(1024);
    struct ledger_value value;
    struct err why;
    bool is_there = kv_get(disk.memory, ledger_key_span(&key), &bytes, &why) == E_OK &&
                    ledger_value_parse(&value, buf_span(&bytes), &why) == E_OK &&
                    value.state.size == size;
    buf_clear(&bytes);
    return is_there;
}

static bool is_marked(const struct hash *origin_hash, uint64_t size)
{
    struct mark mark;
    struct err why;
    return ledger_mark(ledger, origin_hash, &mark, &why) == E_OK && mark.size == size;
}

static void on_done(void *ctx, enum err_code rc, const struct err *why)
{
    struct outcome *outcome = ctx;
    outcome->rc = rc;
    outcome->err = *why;
    outcome->was_durable = is_stored(&outcome->origin_hash, outcome->size) &&
                           is_marked(&outcome->origin_hash, outcome->size);
    outcome->calls++;
}

static void post(struct outcome *outcome, unsigned origin, struct origin_state state)
{
    *outcome = (struct outcome){ .origin_hash = origin_of(origin), .size = state.size };
    struct ledger_commit commit = { .origin_hash = origin_of(origin),
                                    .state = state,
                                    .note = span_of_str(note_of(state.size)),
                                    .ctx = outcome,
                                    .on_done = on_done };
    ledger_commit(ledger, &commit);
}

static void wait_for(struct outcome *outcome)
{
    for (int ms = 0; ms < WAIT_MS && outcome->calls == 0; ms++) {
        pause_ms(1);
    }
    assert_int_equal(outcome->calls, 1);
}

static enum err_code commit(unsigned origin, uint64_t size)
{
    struct outcome outcome;
    post(&outcome, origin, state_of(size, 100 + size));
    wait_for(&outcome);
    err = outcome.err;
    return outcome.rc;
}

static struct origin_state held(unsigned origin)
{
    struct hash origin_hash = origin_of(origin);
    struct origin_state state = { 0 };
    assert_int_equal(ledger_state(ledger, &origin_hash, &state, &err), E_OK);
    return state;
}

static void assert_note(unsigned origin, uint64_t size)
{
    struct hash origin_hash = origin_of(origin);
    struct buf note = BUF_INIT(NOTE_MAX);
    assert_int_equal(ledger_note(ledger, &origin_hash, &note, &err), E_OK);
    assert_true(span_is_str(buf_span(&note), note_of(size)));
    buf_clear(&note);
}

static enum err_code note_rc(unsigned origin)
{
    struct hash origin_hash = origin_of(origin);
    struct buf note = BUF_INIT(NOTE_MAX);
    enum err_code rc = ledger_note(ledger, &origin_hash, &note, &err);
    buf_clear(&note);
    return rc;
}

static bool has_seen(unsigned origin, uint64_t size)
{
    struct hash origin_hash = origin_of(origin);
    struct buf note = BUF_INIT(NOTE_MAX);
    enum err_code rc = ledger_seen(ledger, &origin_hash, size, &note, &err);
    bool is_its_note = rc == E_OK && span_is_str(buf_span(&note), note_of(size));
    buf_clear(&note);
    assert_true(is_its_note || rc == E_NOT_FOUND);
    return is_its_note;
}

static bool is_failing(void)
{
    char reason[ERR_MSG_MAX];
    bool is = ledger_is_failing(ledger, reason, sizeof reason);
    assert_int_equal(is, reason[0] != '\0');
    return is;
}

static void wait_recovered(void)
{
    for (int ms = 0; ms < WAIT_MS && is_failing(); ms++) {
        pause_ms(1);
    }
    assert_false(is_failing());
}

/* --- The normal path. --- */

static void commit_is_durable_in_store_and_mark_when_told(void **state)
{
    (void)state;
    start();
    struct outcome outcome;
    post(&outcome, 1, state_of(7, 100));
    wait_for(&outcome);
    assert_int_equal(outcome.rc, E_OK);
    assert_true(outcome.was_durable);
    struct origin_state now = held(1);
    assert_int_equal(now.size, 7);
    assert_int_equal(now.timestamp, 100);
    assert_note(1, 7);
    assert_true(has_seen(1, 7));
    assert_false(has_seen(1, 6));
    assert_int_equal(ledger_stats(ledger).commits, 1);
    assert_int_equal(ledger_stats(ledger).groups, 1);
    assert_true(ledger_stats(ledger).bytes_written > 0);
}

static void origin_without_state_is_new(void **state)
{
    (void)state;
    start();
    struct origin_state now = held(1);
    struct hash empty = merkle_empty_root();
    assert_int_equal(now.size, 0);
    assert_int_equal(now.timestamp, 0);
    assert_true(hash_is_equal(&now.root, &empty));
    assert_int_equal(note_rc(1), E_NOT_FOUND);
    assert_int_equal(commit(1, 0), E_OK);
    assert_int_equal(held(1).timestamp, 100);
}

static void state_is_there_after_a_restart(void **state)
{
    (void)state;
    start();
    assert_int_equal(commit(1, 5), E_OK);
    assert_int_equal(commit(1, 9), E_OK);
    assert_int_equal(commit(2, 3), E_OK);
    stop();
    start();
    assert_int_equal(held(1).size, 9);
    assert_int_equal(held(2).size, 3);
    assert_note(1, 9);
    assert_true(has_seen(1, 5));
    assert_int_equal(commit(1, 8), E_CONFLICT);
    assert_int_equal(commit(1, 10), E_OK);
}

static void what_waits_is_one_group(void **state)
{
    (void)state;
    enum {
        COUNT = 64
    };
    static struct outcome outcomes[COUNT + 1];
    start();
    disk.is_held = true;
    post(&outcomes[COUNT], 1000, state_of(1, 1));
    while (disk.writes == 0) {
        pause_ms(1);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        post(&outcomes[i], i, state_of(i + 1, 1));
    }
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(outcomes[i].calls, 0); /* nothing leaves while the disk is busy */
    }
    disk.is_held = false;
    for (unsigned i = 0; i < COUNT; i++) {
        wait_for(&outcomes[i]);
        assert_int_equal(outcomes[i].rc, E_OK);
        assert_true(outcomes[i].was_durable);
    }
    assert_int_equal(ledger_stats(ledger).groups, 2);
    assert_int_equal(ledger_stats(ledger).commits, COUNT + 1);
    assert_int_equal(disk.writes, 2);
}

/* Two of one origin come after each other, in two groups. */
static void group_has_one_commit_of_an_origin(void **state)
{
    (void)state;
    static struct outcome outcomes[4];
    start();
    disk.is_held = true;
    post(&outcomes[0], 9, state_of(1, 1));
    while (disk.writes == 0) {
        pause_ms(1);
    }
    post(&outcomes[1], 1, state_of(5, 1));
    post(&outcomes[2], 1, state_of(8, 1));
    post(&outcomes[3], 1, state_of(7, 1));
    disk.is_held = false;
    for (int i = 0; i < 4; i++) {
        wait_for(&outcomes[i]);
    }
    assert_int_equal(outcomes[1].rc, E_OK);
    assert_int_equal(outcomes[2].rc, E_OK);
    assert_int_equal(outcomes[3].rc, E_CONFLICT);
    assert_int_equal(held(1).size, 8);
    assert_true(has_seen(1, 5));
    assert_false(has_seen(1, 7));
}

static void stop_finishes_what_waits(void **state)
{
    (void)state;
    enum {
        COUNT = 20
    };
    static struct outcome outcomes[COUNT];
    start();
    for (unsigned i = 0; i < COUNT; i++) {
        post(&outcomes[i], i, state_of(1, 1));
    }
    stop();
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(outcomes[i].calls, 1);
        assert_int_equal(outcomes[i].rc, E_OK);
    }
}

static void commit_never_goes_back(void **state)
{
    (void)state;
    struct outcome outcome;
    start();
    assert_int_equal(commit(1, 10), E_OK);
    int writes = disk.writes;
    assert_int_equal(commit(1, 9), E_CONFLICT);
    struct origin_state other = state_of(10, 200);
    other.root.bytes[0] ^= 1;
    post(&outcome, 1, other);
    wait_for(&outcome);
    assert_int_equal(outcome.rc, E_CONFLICT);
    post(&outcome, 1, state_of(11, 109)); /* before the time signed last, 110 */
    wait_for(&outcome);
    assert_int_equal(outcome.rc, E_CONFLICT);
    assert_int_equal(disk.writes, writes);
    assert_int_equal(held(1).size, 10);
    struct hash origin_hash = origin_of(1);
    assert_true(is_marked(&origin_hash, 10));
    post(&outcome, 1, state_of(10, 300)); /* a refresh */
    wait_for(&outcome);
    assert_int_equal(outcome.rc, E_OK);
    assert_int_equal(held(1).timestamp, 300);
}

static void seen_notes_are_the_newest_only(void **state)
{
    (void)state;
    const uint64_t last = LEDGER_SEEN_MAX + 200;
    start_with(false, true);
    for (uint64_t size = 1; size <= last; size++) {
        assert_int_equal(commit(1, size), E_OK);
        if (size == LEDGER_SEEN_MAX + 100) { /* what is known of the oldest is in memory only */
            stop();
            start_with(false, true);
        }
        if (size % 50 == 0) { /* a refresh is no further note */
            assert_int_equal(commit(1, size), E_OK);
        }
    }
    for (uint64_t size = 1; size <= last; size++) {
        assert_int_equal(has_seen(1, size), size > last - LEDGER_SEEN_MAX);
    }
}

/* --- Failures. --- */

static void fail_write(bool is_applied)
{
    struct outcome outcomes[2];
    start();
    assert_int_equal(commit(1, 5), E_OK);
    assert_int_equal(commit(2, 5), E_OK);
    kv_memory_fail(disk.memory, 1, is_applied);
    disk.refuses_to_open = true; /* until all has been looked at */
    int opens = disk.opens;
    post(&outcomes[0], 1, state_of(6, 200));
    wait_for(&outcomes[0]);
    assert_int_equal(outcomes[0].rc, E_IO);
    assert_true(is_failing());
    post(&outcomes[1], 2, state_of(6, 200));
    wait_for(&outcomes[1]);
    assert_int_equal(outcomes[1].rc, E_UNAVAILABLE);
    assert_int_equal(disk.opens, opens);
    /* Only what had been released is told meanwhile, and of the other origin all. */
    struct origin_state unknown;
    struct hash origin_hash = origin_of(1);
    assert_int_equal(ledger_state(ledger, &origin_hash, &unknown, &err), E_UNAVAILABLE);
    assert_note(1, 5);
    assert_int_equal(held(2).size, 5);
    disk.refuses_to_open = false;
    wait_recovered();
    assert_int_equal(disk.opens, opens + 1);
    assert_int_equal(held(1).size, is_applied ? 6 : 5);
    assert_true(is_marked(&origin_hash, is_applied ? 6 : 5));
    assert_note(1, is_applied ? 6 : 5);
    assert_int_equal(held(2).size, 5);
    assert_int_equal(commit(1, is_applied ? 5 : 4), E_CONFLICT);
    struct origin_state next = state_of(7, 300);
    post(&outcomes[0], 1, next);
    wait_for(&outcomes[0]);
    assert_int_equal(outcomes[0].rc, E_OK);
    assert_true(outcomes[0].was_durable);
}

static void failed_write_that_took_no_effect_leaves_the_old_state(void **state)
{
    (void)state;
    fail_write(false);
}

static void failed_write_that_took_effect_is_found_after_reopening(void **state)
{
    (void)state;
    fail_write(true);
}

static void group_fails_as_a_whole_and_each_is_told_once(void **state)
{
    (void)state;
    enum {
        COUNT = 32
    };
    static struct outcome outcomes[COUNT + 1];
    start();
    disk.is_held = true;
    post(&outcomes[COUNT], 1000, state_of(1, 1));
    while (disk.writes == 0) {
        pause_ms(1);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        post(&outcomes[i], i, state_of(1, 1));
    }
    kv_memory_fail(disk.memory, 1, false);
    disk.is_held = false;
    wait_for(&outcomes[COUNT]);
    assert_int_equal(outcomes[COUNT].rc, E_IO);
    for (unsigned i = 0; i < COUNT; i++) {
        wait_for(&outcomes[i]);
        assert_int_not_equal(outcomes[i].rc, E_OK);
        assert_false(outcomes[i].was_durable);
    }
    wait_recovered();
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(outcomes[i].calls, 1);
        assert_int_equal(held(i).size, 0);
        assert_int_equal(commit(i, 1), E_OK);
    }
    assert_int_equal(ledger_stats(ledger).commits, COUNT);
}

static void store_that_does_not_open_is_tried_again(void **state)
{
    (void)state;
    struct outcome outcome;
    start();
    assert_int_equal(commit(2, 3), E_OK);
    stop();
    start();
    assert_int_equal(commit(1, 5), E_OK);
    disk.refuses_to_open = true;
    kv_memory_fail(disk.memory, 1, false);
    assert_int_equal(commit(1, 6), E_IO);
    pause_ms(300);
    post(&outcome, 1, state_of(6, 200));
    wait_for(&outcome);
    assert_int_equal(outcome.rc, E_UNAVAILABLE);
    assert_note(1, 5);                            /* served from memory, */
    assert_note(2, 3);                            /* also of a log that was idle since the start */
    assert_int_equal(note_rc(77), E_UNAVAILABLE); /* never "not found" on a guess */
    disk.refuses_to_open = false;
    wait_recovered();
    assert_int_equal(commit(1, 6), E_OK);
}

static void reopened_store_that_does_not_write_is_still_failing(void **state)
{
    (void)state;
    start();
    kv_memory_fail(disk.memory, 3, false); /* the commit, and two probes */
    int opens = disk.opens;
    assert_int_equal(commit(1, 6), E_IO);
    wait_recovered();
    assert_int_equal(disk.opens, opens + 3);
    assert_int_equal(commit(1, 6), E_OK);
}

static void without_reopening_a_failure_is_for_good(void **state)
{
    (void)state;
    start_with(true, false);
    assert_int_equal(commit(1, 5), E_OK);
    kv_memory_fail(disk.memory, 1, false);
    assert_int_equal(commit(1, 6), E_IO);
    pause_ms(400);
    assert_true(is_failing());
    assert_int_equal(commit(1, 6), E_UNAVAILABLE);
    assert_note(1, 5);
}

static void stop_while_failing_fails_what_waits(void **state)
{
    (void)state;
    static struct outcome outcomes[8];
    start();
    disk.refuses_to_open = true;
    kv_memory_fail(disk.memory, 1, false);
    for (unsigned i = 0; i < 8; i++) {
        post(&outcomes[i], i, state_of(1, 1));
    }
    stop();
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(outcomes[i].calls, 1);
        assert_int_not_equal(outcomes[i].rc, E_OK);
    }
}

static void let_files_grow_to(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The store has the state, but nothing of it is shown before the mark has it. */
static void failed_mark_holds_the_answer_and_the_note_back(void **state)
{
    (void)state;
    struct outcome outcome;
    struct hash origin_hash = origin_of(1);
    struct origin_state unknown;
    start();
    assert_int_equal(commit(1, 5), E_OK);
    signal(SIGXFSZ, SIG_IGN);
    let_files_grow_to(0);
    post(&outcome, 1, state_of(6, 200));
    wait_for(&outcome);
    pause_ms(250); /* a few tries */
    bool was_failing = is_failing();
    enum err_code rc = ledger_state(ledger, &origin_hash, &unknown, &err);
    bool was_stored = is_stored(&origin_hash, 6);
    assert_note(1, 5);
    let_files_grow_to(RLIM_INFINITY);
    assert_true(was_failing);
    assert_true(was_stored);
    assert_int_equal(rc, E_UNAVAILABLE);
    assert_int_equal(outcome.rc, E_IO);
    wait_recovered();
    assert_int_equal(held(1).size, 6);
    assert_note(1, 6);
    stop();
    start();
    assert_true(is_marked(&origin_hash, 6));
}

/* A start whose marks cannot be raised shows no note either: it may never have been answered. */
static void start_with_a_mark_that_cannot_be_raised_shows_no_note(void **state)
{
    (void)state;
    struct hash origin_hash = origin_of(1);
    start_with(false, true);
    assert_int_equal(commit(1, 5), E_OK);
    stop();
    signal(SIGXFSZ, SIG_IGN);
    struct ledger_options options = { .reopen = disk_open };
    assert_int_equal(disk_open(NULL, &options.kv, &err), E_OK);
    assert_int_equal(mark_file_open(&options.mark, mark_path, true, &err), E_OK);
    let_files_grow_to(0);
    ledger = ledger_start(&options);
    enum err_code rc = note_rc(1);
    let_files_grow_to(RLIM_INFINITY);
    assert_int_equal(rc, E_UNAVAILABLE);
    wait_recovered();
    assert_note(1, 5);
    assert_true(is_marked(&origin_hash, 5));
}

/* A mark that is behind came from a crash between the store and the mark. */
static void mark_behind_is_raised_at_the_start(void **state)
{
    (void)state;
    struct hash origin_hash = origin_of(1);
    start();
    assert_int_equal(commit(1, 5), E_OK);
    stop();
    start_with(false, true);
    assert_int_equal(commit(1, 6), E_OK);
    assert_int_equal(commit(2, 1), E_OK);
    stop();
    start();
    assert_true(is_marked(&origin_hash, 6));
    struct hash other = origin_of(2);
    assert_true(is_marked(&other, 1));
    assert_int_equal(commit(1, 7), E_OK);
    assert_true(is_marked(&origin_hash, 7));
}

/* A mark file that has room for so many more origins; a few places in it are lost to cut writes. */
static void fill_mark_file(size_t room)
{
    static const uint8_t no_slot[128];
    enum {
        HOLES = 3,
        BLOCK = 4096
    };
    struct mark_file *file;
    size_t count = MARK_FILE_ORIGINS_MAX - room;
    struct mark *marks = mem_calloc(count, sizeof *marks);
    for (size_t i = 0; i < count; i++) {
        marks[i] = (struct mark){ origin_of((unsigned)(1000 + i)), 0, merkle_empty_root() };
    }
    assert_int_equal(mark_file_open(&file, mark_path, true, &err), E_OK);
    assert_int_equal(mark_file_put(file, marks, count, &err), E_OK);
    mark_file_close(file);
    mem_free(marks);
    int fd = open(mark_path, O_WRONLY);
    for (size_t i = 1; i <= HOLES; i++) {
        off_t at = BLOCK + (off_t)(i * sizeof no_slot);
        assert_int_equal(pwrite(fd, no_slot, sizeof no_slot, at), sizeof no_slot);
        assert_int_equal(pwrite(fd, no_slot, sizeof no_slot, at + BLOCK), sizeof no_slot);
    }
    close(fd);
    assert_int_equal(mark_file_open(&file, mark_path, false, &err), E_OK);
    assert_int_equal(mark_file_count(file), count - HOLES);
    assert_int_equal(mark_file_room(file), room);
    mark_file_close(file);
}

/* A commit without room for its mark is refused alone; those whose origin has one take no room. */
static void full_mark_file_refuses_new_origins_and_nothing_else(void **state)
{
    (void)state;
    static struct outcome outcomes[6];
    fill_mark_file(3);
    start();
    assert_int_equal(commit(1, 5), E_OK); /* of three places */
    disk.is_held = true;
    int writes = disk.writes;
    post(&outcomes[0], 1, state_of(6, 106));
    while (disk.writes == writes) {
        pause_ms(1);
    }
    post(&outcomes[1], 1, state_of(7, 107));
    post(&outcomes[2], 1000, state_of(2, 100));
    post(&outcomes[3], 2, state_of(1, 100));
    post(&outcomes[4], 3, state_of(1, 100));
    post(&outcomes[5], 4, state_of(1, 100));
    disk.is_held = false;
    for (int i = 0; i < 6; i++) {
        wait_for(&outcomes[i]);
        assert_int_equal(outcomes[i].rc, i == 5 ? E_TOO_LARGE : E_OK);
    }
    struct hash left_out = origin_of(4);
    assert_false(is_failing());
    assert_false(is_stored(&left_out, 1));
    assert_int_equal(commit(4, 1), E_TOO_LARGE);
    assert_int_equal(commit(1, 8), E_OK);
    assert_int_equal(commit(3, 2), E_OK);
    assert_false(is_failing());
}

/* States from a time without a mark file, more than it has room for. */
static void marks_are_raised_as_far_as_there_is_room(void **state)
{
    (void)state;
    size_t marked = 0;
    start_with(false, true);
    for (unsigned i = 1; i <= 5; i++) {
        assert_int_equal(commit(i, i), E_OK);
    }
    stop();
    fill_mark_file(3);
    start();
    assert_false(is_failing());
    for (unsigned i = 1; i <= 5; i++) {
        struct hash origin_hash = origin_of(i);
        bool has_mark = is_marked(&origin_hash, i);
        marked += has_mark;
        assert_int_equal(commit(i, 10 + i), has_mark ? E_OK : E_TOO_LARGE);
    }
    assert_int_equal(marked, 3);
    assert_false(is_failing());
}

static void mark_ahead_stays_and_blocks_commits(void **state)
{
    (void)state;
    struct hash origin_hash = origin_of(1);
    start();
    assert_int_equal(commit(1, 5), E_OK);
    struct kv *backup = kv_memory_copy(disk.memory);
    assert_int_equal(commit(1, 8), E_OK);
    stop();
    kv_close(disk.memory);
    disk.memory = backup;
    start();
    assert_int_equal(held(1).size, 5);
    assert_true(is_marked(&origin_hash, 8));
    assert_int_equal(commit(1, 6), E_DENIED);
    assert_int_equal(commit(1, 9), E_DENIED);
    assert_int_equal(commit(2, 1), E_OK);
    stop();
    start();
    assert_true(is_marked(&origin_hash, 8));
    assert_int_equal(commit(1, 9), E_DENIED);
}

/* --- Refusals and adoption. --- */

static void refused_origin_is_not_committed_until_it_is_adopted(void **state)
{
    (void)state;
    struct hash origin_hash = origin_of(1);
    struct buf note = BUF_INIT(NOTE_MAX);
    start();
    assert_int_equal(commit(1, 5), E_OK);
    assert_int_equal(ledger_refused(ledger, &origin_hash, &note, &err), E_NOT_FOUND);
    assert_int_equal(ledger_refuse(ledger, &origin_hash, span_of_str("newer"), &err), E_OK);
    assert_int_equal(commit(1, 6), E_DENIED);
    stop();
    start();
    assert_int_equal(ledger_refused(ledger, &origin_hash, &note, &err), E_OK);
    assert_true(span_is_str(buf_span(&note), "newer"));
    buf_clear(&note);
    assert_int_equal(held(1).size, 5);
    assert_int_equal(commit(1, 6), E_DENIED);
    struct origin_state next = state_of(9, 500);
    struct span text = span_of_str(note_of(9));
    assert_int_equal(ledger_adopt(ledger, &origin_hash, &next, text, &err), E_OK);
    assert_int_equal(ledger_refused(ledger, &origin_hash, &note, &err), E_NOT_FOUND);
    assert_int_equal(held(1).size, 9);
    assert_note(1, 9);
    assert_true(has_seen(1, 9));
    assert_true(is_marked(&origin_hash, 9));
    struct outcome outcome;
    post(&outcome, 1, state_of(10, 600));
    wait_for(&outcome);
    assert_int_equal(outcome.rc, E_OK);
}

static void adopt_only_moves_forward(void **state)
{
    (void)state;
    struct hash origin_hash = origin_of(1);
    struct span text = span_of_str("a note");
    start();
    assert_int_equal(commit(1, 5), E_OK);
    for (uint64_t size = 0; size <= 5; size++) {
        struct origin_state next = state_of(size, 500);
        assert_int_equal(ledger_adopt(ledger, &origin_hash, &next, text, &err), E_CONFLICT);
    }
    assert_int_equal(held(1).size, 5);
    assert_int_equal(held(1).timestamp, 105);
    assert_note(1, 5);
}

static void adopt_does_not_go_below_the_mark(void **state)
{
    (void)state;
    struct hash origin_hash = origin_of(1);
    struct span text = span_of_str("a note");
    start();
    assert_int_equal(commit(1, 5), E_OK);
    struct kv *backup = kv_memory_copy(disk.memory);
    assert_int_equal(commit(1, 8), E_OK);
    stop();
    kv_close(disk.memory);
    disk.memory = backup;
    start();
    struct origin_state next = state_of(7, 500);
    assert_int_equal(ledger_adopt(ledger, &origin_hash, &next, text, &err), E_CONFLICT);
    next = state_of(8, 500);
    next.root.bytes[3] ^= 1;
    assert_int_equal(ledger_adopt(ledger, &origin_hash, &next, text, &err), E_CONFLICT);
    assert_int_equal(held(1).size, 5);
    next = state_of(8, 500);
    assert_int_equal(ledger_adopt(ledger, &origin_hash, &next, text, &err), E_OK);
    assert_int_equal(held(1).size, 8);
    struct outcome outcome;
    post(&outcome, 1, state_of(9, 600));
    wait_for(&outcome);
    assert_int_equal(outcome.rc, E_OK);
}

static void small_values_are_kept(void **state)
{
    (void)state;
    struct buf value = BUF_INIT(64);
    start();
    assert_int_equal(ledger_get(ledger, "tpm", &value, &err), E_NOT_FOUND);
    assert_int_equal(ledger_put(ledger, "tpm", span_of_str("17"), &err), E_OK);
    assert_int_equal(ledger_put(ledger, "tpm", span_of_str("18"), &err), E_OK);
    stop();
    start();
    assert_int_equal(ledger_get(ledger, "tpm", &value, &err), E_OK);
    assert_true(span_is_str(buf_span(&value), "18"));
    buf_clear(&value);
    kv_memory_fail(disk.memory, 1, false);
    assert_int_equal(ledger_put(ledger, "tpm", span_of_str("19"), &err), E_IO);
}

/* --- Damaged values. --- */

static void put_raw(struct ledger_key key, struct span value)
{
    struct kv_batch batch;
    kv_batch_init(&batch);
    kv_batch_put(&batch, ledger_key_span(&key), value);
    assert_int_equal(kv_write_synced(disk.memory, &batch, &err), E_OK);
    kv_batch_clear(&batch);
}

static void corrupt_state_is_told_and_never_signed_over(void **state)
{
    (void)state;
    struct hash origin_hash = origin_of(1);
    struct ledger_key key = ledger_key_of(LEDGER_KEY_STATE, &origin_hash);
    struct buf good = BUF_INIT(256);
    ledger_value_put(&good, &(struct ledger_value){ state_of(4, 9), 1 });
    start();
    stop();
    for (size_t len = 0; len <= good.len + 1; len++) {
        uint8_t bytes[256] = { 0 };
        memcpy(bytes, good.data, good.len);
        if (len == good.len) {
            continue;
        }
        put_raw(key, span_of(bytes, len));
        start();
        struct origin_state now;
        assert_int_equal(ledger_state(ledger, &origin_hash, &now, &err), E_CORRUPT);
        assert_int_equal(commit(1, 100), E_CORRUPT);
        assert_int_equal(commit(2, 1 + len), E_OK); /* nobody else suffers */
        stop();
    }
    buf_clear(&good);
}

static void value_formats_are_strict(void **state)
{
    (void)state;
    struct buf good = BUF_INIT(256);
    struct ledger_value value = { state_of(4, 9), 3 }, back;
    ledger_value_put(&good, &value);
    assert_int_equal(ledger_value_parse(&back, buf_span(&good), &err), E_OK);
    assert_int_equal(back.state.size, 4);
    assert_int_equal(back.state.timestamp, 9);
    assert_int_equal(back.seen_count, 3);
    assert_true(hash_is_equal(&back.state.root, &value.state.root));
    good.data[0] = 2; /* another version */
    assert_int_equal(ledger_value_parse(&back, buf_span(&good), &err), E_CORRUPT);
    good.data[0] = 1;
    good.data[1] = 0x80; /* a size above SIZE_VALUE_MAX */
    assert_int_equal(ledger_value_parse(&back, buf_span(&good), &err), E_CORRUPT);
    good.data[1] = 0;
    good.data[8] = 0; /* size 0 with a root */
    assert_int_equal(ledger_value_parse(&back, buf_span(&good), &err), E_CORRUPT);
    good.data[8] = 4;
    assert_int_equal(ledger_value_parse(&back, buf_span(&good), &err), E_OK);
    good.data[48] = 0; /* time 0: nothing is stored before the first signature */
    assert_int_equal(ledger_value_parse(&back, buf_span(&good), &err), E_CORRUPT);
    buf_clear(&good);
    struct span bytes;
    assert_int_equal(ledger_value_parse_bytes(&bytes, span_of_str(""), &err), E_CORRUPT);
    assert_int_equal(ledger_value_parse_bytes(&bytes, span_of_str("\x02x"), &err), E_CORRUPT);
    assert_int_equal(ledger_value_parse_bytes(&bytes, span_of_str("\x01x"), &err), E_OK);
    assert_true(span_is_str(bytes, "x"));
}

static void corrupt_note_is_told(void **state)
{
    (void)state;
    struct hash origin_hash = origin_of(1);
    put_raw(ledger_key_of(LEDGER_KEY_NOTE, &origin_hash), span_of_str("\x07note"));
    put_raw(ledger_key_seen(&origin_hash, 3), span_of_str(""));
    start();
    struct buf note = BUF_INIT(NOTE_MAX);
    assert_int_equal(note_rc(1), E_CORRUPT);
    assert_int_equal(ledger_seen(ledger, &origin_hash, 3, &note, &err), E_CORRUPT);
    assert_int_equal(commit(1, 3), E_CORRUPT);
}

/* --- All origins, and the mark file's place. --- */

static enum err_code sum(void *ctx, const struct hash *origin_hash, const struct origin_state *each,
                         struct err *why)
{
    (void)origin_hash;
    *(uint64_t *)ctx += each->size;
    return each->size > 1000 ? err_set(why, E_BUSY, "enough") : E_OK;
}

static void each_tells_every_origin(void **state)
{
    (void)state;
    uint64_t total = 0;
    start();
    for (unsigned i = 1; i <= 20; i++) {
        assert_int_equal(commit(i, i), E_OK);
    }
    assert_int_equal(ledger_each(ledger, sum, &total, &err), E_OK);
    assert_int_equal(total, 210);
    assert_int_equal(commit(21, 2000), E_OK);
    assert_int_equal(ledger_each(ledger, sum, &total, &err), E_BUSY);
}

static void assert_mark_use(struct kv *kv, const char *text)
{
    struct ledger_key key = ledger_key_named("mark");
    struct buf use = BUF_INIT(16);
    struct span value;
    assert_int_equal(kv_get(kv, ledger_key_span(&key), &use, &err), E_OK);
    assert_int_equal(ledger_value_parse_bytes(&value, buf_span(&use), &err), E_OK);
    assert_true(span_is_str(value, text));
    buf_clear(&use);
}

static void set_mark_use(struct kv *kv, const char *text)
{
    struct ledger_key key = ledger_key_named("mark");
    struct buf value = BUF_INIT(16);
    struct kv_batch batch;
    kv_batch_init(&batch);
    ledger_value_put_bytes(&value, span_of_str(text));
    kv_batch_put(&batch, ledger_key_span(&key), buf_span(&value));
    assert_int_equal(kv_write_synced(kv, &batch, &err), E_OK);
    kv_batch_clear(&batch);
    buf_clear(&value);
}

/* Whenever it was made, the first time or again: it then knows no more than the store. */
static void mark_file_that_was_made_is_new(void **state)
{
    (void)state;
    struct mark_file *mark = NULL;
    struct kv *kv = disk.memory;
    assert_int_equal(ledger_open_mark(kv, mark_path, false, &mark, &err), E_OK);
    assert_mark_use(kv, "new");
    mark_file_close(mark);
    set_mark_use(kv, "1"); /* it came to be trusted */
    for (int is_unchecked = 0; is_unchecked < 2; is_unchecked++) {
        assert_int_equal(ledger_open_mark(kv, mark_path, is_unchecked, &mark, &err), E_OK);
        assert_mark_use(kv, "1"); /* it was there */
        mark_file_close(mark);
    }
    assert_int_equal(unlink(mark_path), 0);
    assert_int_equal(ledger_open_mark(kv, mark_path, false, &mark, &err), E_OK);
    assert_null(mark);
    assert_mark_use(kv, "1");
    assert_int_equal(ledger_open_mark(kv, mark_path, true, &mark, &err), E_OK);
    assert_mark_use(kv, "new");
    mark_file_close(mark);
}

static void contradiction_stays_and_ends_adoption(void **state)
{
    (void)state;
    struct hash origin_hash = origin_of(1), other = origin_of(2);
    struct origin_state next = { 9, sha256(span_of_str("root")), 5000 };
    struct buf kept = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    start();
    assert_int_equal(ledger_contradiction(ledger, &origin_hash, &kept, &err), E_NOT_FOUND);
    assert_int_equal(ledger_contradict(ledger, &origin_hash, span_of_str("the other"), &err), E_OK);
    assert_int_equal(ledger_refuse(ledger, &origin_hash, span_of_str("a newer"), &err), E_OK);
    assert_int_equal(ledger_adopt(ledger, &origin_hash, &next, span_of_str("note"), &err),
                     E_CONFLICT);
    assert_non_null(strstr(err.msg, "retire the key"));
    assert_int_equal(ledger_contradiction(ledger, &origin_hash, &kept, &err), E_OK);
    assert_true(span_is_str(buf_span(&kept), "the other"));
    assert_int_equal(ledger_adopt(ledger, &other, &next, span_of_str("note"), &err), E_OK);
    buf_clear(&kept);
}

static void mark_file_that_was_used_is_missed(void **state)
{
    (void)state;
    struct mark_file *mark = NULL;
    struct kv *kv = disk.memory;
    /* Without a path nothing is noted; with one the file is made once. */
    assert_int_equal(ledger_open_mark(kv, NULL, false, &mark, &err), E_OK);
    assert_null(mark);
    assert_int_equal(ledger_open_mark(kv, mark_path, false, &mark, &err), E_OK);
    assert_non_null(mark);
    mark_file_close(mark);
    assert_int_equal(ledger_open_mark(kv, mark_path, false, &mark, &err), E_OK);
    assert_non_null(mark);
    mark_file_close(mark);
    /* Missing: it is not made again in silence. */
    assert_int_equal(unlink(mark_path), 0);
    assert_int_equal(ledger_open_mark(kv, mark_path, false, &mark, &err), E_OK);
    assert_null(mark);
    assert_int_not_equal(access(mark_path, F_OK), 0);
    assert_int_equal(ledger_open_mark(kv, mark_path, true, &mark, &err), E_OK);
    assert_non_null(mark);
    mark_file_close(mark);
    /* Given up: only when told to. */
    struct buf use = BUF_INIT(16);
    struct ledger_key key = ledger_key_named("mark");
    assert_int_equal(ledger_open_mark(kv, NULL, false, &mark, &err), E_OK);
    assert_int_equal(kv_get(kv, ledger_key_span(&key), &use, &err), E_OK);
    assert_int_equal(ledger_open_mark(kv, NULL, true, &mark, &err), E_OK);
    assert_int_equal(kv_get(kv, ledger_key_span(&key), &use, &err), E_NOT_FOUND);
    buf_clear(&use);
    /* A damaged one is an error, also then. */
    files_write(mark_path, span_of_str("junk"));
    assert_int_equal(ledger_open_mark(kv, mark_path, true, &mark, &err), E_CORRUPT);
    assert_null(mark);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(commit_is_durable_in_store_and_mark_when_told),
        TEST(origin_without_state_is_new),
        TEST(state_is_there_after_a_restart),
        TEST(what_waits_is_one_group),
        TEST(group_has_one_commit_of_an_origin),
        TEST(stop_finishes_what_waits),
        TEST(commit_never_goes_back),
        TEST(seen_notes_are_the_newest_only),
        TEST(failed_write_that_took_no_effect_leaves_the_old_state),
        TEST(failed_write_that_took_effect_is_found_after_reopening),
        TEST(group_fails_as_a_whole_and_each_is_told_once),
        TEST(store_that_does_not_open_is_tried_again),
        TEST(reopened_store_that_does_not_write_is_still_failing),
        TEST(without_reopening_a_failure_is_for_good),
        TEST(stop_while_failing_fails_what_waits),
        TEST(failed_mark_holds_the_answer_and_the_note_back),
        TEST(start_with_a_mark_that_cannot_be_raised_shows_no_note),
        TEST(mark_behind_is_raised_at_the_start),
        TEST(full_mark_file_refuses_new_origins_and_nothing_else),
        TEST(marks_are_raised_as_far_as_there_is_room),
        TEST(mark_ahead_stays_and_blocks_commits),
        TEST(refused_origin_is_not_committed_until_it_is_adopted),
        TEST(adopt_only_moves_forward),
        TEST(adopt_does_not_go_below_the_mark),
        TEST(small_values_are_kept),
        TEST(corrupt_state_is_told_and_never_signed_over),
        TEST(value_formats_are_strict),
        TEST(corrupt_note_is_told),
        TEST(each_tells_every_origin),
        TEST(mark_file_that_was_made_is_new),
        TEST(contradiction_stays_and_ends_adoption),
        TEST(mark_file_that_was_used_is_missed),
    };
    log_set_level(LOG_LEVEL_ERROR + 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
