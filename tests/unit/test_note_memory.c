#include "monitor/note_memory.h"

#include "tests/support/compare_world.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum {
    PARTED = COMPARE_WORLD_PARTED,
    SIZE = COMPARE_WORLD_SIZE,
    WITHHELD = 300 /* seconds, as the world has it */
};

static struct compare_world *world;
static struct note_memory *memory;
static struct compare_outcome outcome;
static struct err err;

static int set_up(void **state)
{
    (void)state;
    world = compare_world_new("quorum none\n");
    assert_int_equal(note_memory_open(&memory, world->log, &err), E_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    note_memory_free(memory);
    compare_world_free(world);
    return 0;
}

static void restart(void)
{
    note_memory_free(memory);
    watched_log_free(world->log);
    compare_world_open_log(world);
    assert_int_equal(note_memory_open(&memory, world->log, &err), E_OK);
}

/* -- helpers -- */

static void show(const char *vantage, struct memory_log *tree, uint64_t size,
                 enum compare_result expected)
{
    struct buf note = compare_world_note(world, tree, size, NULL);
    assert_int_equal(note_memory_on_note(memory, vantage, buf_span(&note), &world->now, &outcome,
                                         &err),
                     E_OK);
    assert_int_equal(outcome.result, expected);
    buf_clear(&note);
}

static void reject(struct memory_log *tree, uint64_t size)
{
    struct buf note = compare_world_note(world, tree, size, NULL);
    assert_int_equal(note_memory_on_rejected(memory, buf_span(&note), &world->now, &err), E_OK);
    buf_clear(&note);
}

static void look(void)
{
    assert_int_equal(note_memory_look(memory, &world->now, &err), E_OK);
}

static size_t raised(const char *vantage)
{
    return compare_world_count(world, FINDING_WITHHELD, vantage, false);
}

static size_t cleared(const char *vantage)
{
    return compare_world_count(world, FINDING_WITHHELD, vantage, true);
}

static size_t forks(void)
{
    return compare_world_count(world, FINDING_FORK, "", false);
}

static uint64_t largest(void)
{
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    uint64_t size = 0, waiting_s;
    while (note_memory_next(memory, size, &note, &size, &world->now, &waiting_s)) {
        assert_true(note.len > 0);
        buf_reset(&note);
    }
    assert_int_equal(note.len, 0);
    buf_clear(&note);
    return size;
}

/* -- waiting -- */

static void what_can_be_compared_does_not_wait(void **state)
{
    (void)state;
    compare_world_hold(world, 40, NULL);
    show("a", world->honest, 40, COMPARE_SAME);
    show("a", world->honest, 30, COMPARE_CONSISTENT);
    show("a", world->forked, 30, COMPARE_CONTRADICTION);
    assert_int_equal(note_memory_count(memory), 0);
    look();
    assert_int_equal(compare_world_raised(world), 1);
}

static void a_larger_note_waits_until_the_tree_is_as_large(void **state)
{
    (void)state;
    compare_world_hold(world, 30, NULL);
    show("a", world->honest, 40, COMPARE_AHEAD);
    assert_int_equal(note_memory_count(memory), 1);
    assert_int_equal(largest(), 40);
    look();
    compare_world_hold(world, 39, NULL);
    look();
    assert_int_equal(note_memory_count(memory), 1);
    compare_world_hold(world, 45, NULL);
    look();
    assert_int_equal(note_memory_count(memory), 0);
    assert_int_equal(compare_world_raised(world), 0);
}

static void a_lie_ahead_of_us_is_found_when_we_are_there(void **state)
{
    (void)state;
    compare_world_hold(world, PARTED + 1, NULL);
    show("a", world->forked, 40, COMPARE_AHEAD);
    restart();
    compare_world_hold(world, 50, NULL);
    look();
    assert_int_equal(forks(), 1);
    assert_int_equal(note_memory_count(memory), 0);
    look();
    assert_int_equal(forks(), 1);
    assert_int_equal(raised(NULL), 0);
}

static void before_anything_is_held_notes_wait(void **state)
{
    (void)state;
    show("a", world->forked, 40, COMPARE_NOTHING_HELD);
    look();
    assert_int_equal(note_memory_count(memory), 1);
    compare_world_hold(world, 40, NULL);
    look();
    assert_int_equal(forks(), 1);
}

static void each_vantage_has_its_first_note_that_waits_and_its_newest(void **state)
{
    (void)state;
    compare_world_hold(world, 20, NULL);
    show("a", world->honest, 30, COMPARE_AHEAD);
    show("a", world->honest, 30, COMPARE_AHEAD);
    assert_int_equal(note_memory_count(memory), 1);
    show("a", world->honest, 35, COMPARE_AHEAD);
    assert_int_equal(note_memory_count(memory), 2);
    show("a", world->honest, 32, COMPARE_AHEAD);
    show("a", world->honest, 10, COMPARE_CONSISTENT); /* no rollback */
    assert_int_equal(note_memory_count(memory), 2);
    assert_int_equal(largest(), 32);
    show("b", world->honest, 33, COMPARE_AHEAD);
    assert_int_equal(note_memory_count(memory), 3);
    restart();
    assert_int_equal(note_memory_count(memory), 3);
    assert_int_equal(largest(), 33);
    assert_int_equal(compare_world_raised(world), 0);
}

/* A lie that was shown once is compared, whatever the vantage shows after it. */
static void what_comes_later_does_not_hide_a_note_that_waits(void **state)
{
    (void)state;
    compare_world_hold(world, 20, NULL);
    show("a", world->forked, 30, COMPARE_AHEAD);
    show("a", world->honest, 60, COMPARE_AHEAD);
    show("a", world->honest, 25, COMPARE_AHEAD);
    restart();
    compare_world_hold(world, 40, NULL);
    look();
    assert_int_equal(forks(), 1);
    assert_int_equal(note_memory_count(memory), 0);
}

static void vantages_are_bounded_and_the_largest_notes_stay(void **state)
{
    (void)state;
    compare_world_hold(world, 1, NULL);
    for (int i = 0; i < NOTE_MEMORY_SLOTS_MAX + 20; i++) {
        char vantage[32];
        snprintf(vantage, sizeof vantage, "vantage %d", i);
        show(vantage, world->honest, i < 10 ? 2 : 3, COMPARE_AHEAD);
    }
    assert_int_equal(note_memory_count(memory), NOTE_MEMORY_SLOTS_MAX);
    show("the last", world->honest, 50, COMPARE_AHEAD);
    assert_int_equal(note_memory_count(memory), NOTE_MEMORY_SLOTS_MAX);
    assert_int_equal(largest(), 50);
    restart();
    assert_int_equal(note_memory_count(memory), NOTE_MEMORY_SLOTS_MAX);
    assert_int_equal(largest(), 50);
}

/* -- withheld -- */

static void what_is_not_served_for_long_is_withheld(void **state)
{
    (void)state;
    compare_world_hold(world, 30, NULL);
    show("a", world->honest, 40, COMPARE_AHEAD);
    compare_world_pass(world, WITHHELD - 1);
    look();
    assert_int_equal(raised(NULL), 0);
    compare_world_pass(world, 1);
    look();
    assert_int_equal(raised("a"), 1);
    assert_int_equal(raised(NULL), 1);
    compare_world_hold(world, 40, NULL);
    look();
    assert_int_equal(cleared("a"), 1);
    assert_int_equal(note_memory_count(memory), 0);
    compare_world_pass(world, 10 * WITHHELD);
    look();
    assert_int_equal(raised(NULL), 1);
}

static void waiting_goes_on_over_restarts(void **state)
{
    (void)state;
    compare_world_hold(world, 30, NULL);
    show("a", world->honest, 40, COMPARE_AHEAD);
    compare_world_pass(world, WITHHELD - 10);
    restart();
    world->now.monotonic_ms = 5; /* the machine too */
    compare_world_hold(world, 30, NULL);
    look();
    assert_int_equal(raised(NULL), 0);
    compare_world_pass(world, 10);
    look();
    assert_int_equal(raised("a"), 1);
}

static void a_wall_clock_that_jumps_raises_nothing(void **state)
{
    (void)state;
    compare_world_hold(world, 30, NULL);
    show("a", world->honest, 40, COMPARE_AHEAD);
    world->now.unix_s += 1000000;
    look();
    assert_int_equal(raised(NULL), 0);
    world->now.unix_s -= 2000000;
    compare_world_pass(world, WITHHELD);
    look();
    assert_int_equal(raised("a"), 1);
}

/* Each poll of the vantage comes a little before ours: it is always ahead, and nothing is withheld. */
static void a_vantage_that_is_ahead_of_a_log_that_grows_is_no_fault(void **state)
{
    (void)state;
    for (uint64_t size = 5; size + 2 <= SIZE; size += 2) {
        compare_world_hold(world, size, NULL);
        show("a", world->honest, size + 1, COMPARE_AHEAD);
        show("a", world->honest, size + 2, COMPARE_AHEAD);
        compare_world_pass(world, WITHHELD / 2);
        compare_world_hold(world, size + 1, NULL);
        look();
    }
    assert_int_equal(compare_world_raised(world), 0);
    assert_int_equal(note_memory_count(memory), 1);
}

/* The vantage sees the log grow, and we see nothing of it. */
static void ever_larger_notes_do_not_put_it_off(void **state)
{
    (void)state;
    compare_world_hold(world, 5, NULL);
    for (uint64_t size = 6; size < 36; size++) {
        show("a", world->honest, size, COMPARE_AHEAD);
        look();
        assert_int_equal(raised(NULL) > 0, 10 * (size - 6) >= WITHHELD);
        compare_world_pass(world, 10);
    }
    look();
    assert_int_equal(raised("a"), 1);
    compare_world_hold(world, 20, NULL); /* some of it is served, then no more */
    look();
    assert_true(cleared("a") > 0);
    assert_int_equal(raised("a"), 1);
    compare_world_pass(world, WITHHELD);
    look();
    assert_int_equal(raised("a"), 2);
}

static void set_status(void *ctx, struct watched_status *status)
{
    const struct watched_status *wanted = ctx;
    status->is_scanning = wanted->is_scanning;
    status->scan_at = wanted->scan_at;
    status->scan_to = wanted->scan_to;
    status->log_size = wanted->log_size;
}

static void what_is_being_read_is_not_withheld(void **state)
{
    (void)state;
    struct watched_status status = { .is_scanning = true, .scan_at = 1, .scan_to = 64 };
    show("a", world->honest, 40, COMPARE_NOTHING_HELD);
    watched_log_update(world->log, set_status, &status);
    compare_world_pass(world, 2 * WITHHELD);
    look();
    status = (struct watched_status){ .scan_at = 10, .scan_to = 40 }; /* paused */
    watched_log_update(world->log, set_status, &status);
    look();
    status = (struct watched_status){ .scan_at = 15, .scan_to = 39, .log_size = 41 };
    watched_log_update(world->log, set_status, &status);
    look();
    assert_int_equal(raised(NULL), 0);
    look(); /* it does not get on */
    assert_int_equal(raised("a"), 1);
}

/* What the log shows us is smaller, and read to its end. */
static void reading_a_smaller_tree_is_no_excuse(void **state)
{
    (void)state;
    struct watched_status status = {
        .is_scanning = true, .scan_at = 1, .scan_to = 39, .log_size = 39
    };
    show("a", world->honest, 40, COMPARE_NOTHING_HELD);
    watched_log_update(world->log, set_status, &status);
    compare_world_pass(world, 2 * WITHHELD);
    look();
    assert_int_equal(raised("a"), 1);
}

static void the_check_can_be_switched_off(void **state)
{
    (void)state;
    world->options.thresholds.withheld_after_s = 0;
    restart();
    compare_world_hold(world, 5, NULL);
    show("a", world->honest, 40, COMPARE_AHEAD);
    compare_world_pass(world, 1000000);
    look();
    assert_int_equal(world->call_count, 0);
}

static void tiles_that_are_not_served_are_withheld_too(void **state)
{
    (void)state;
    compare_world_hold(world, 40, NULL);
    memory_log_fail_all(world->honest, E_TIMEOUT);
    show("a", world->forked, 30, COMPARE_NO_DATA);
    look();
    assert_int_equal(world->call_count, 0);
    compare_world_pass(world, WITHHELD);
    look();
    assert_int_equal(raised("a"), 1);
    assert_non_null(strstr(world->calls[0].summary, "tiles"));
    memory_log_fail_all(world->honest, E_OK);
    look();
    assert_int_equal(cleared("a"), 1);
    assert_int_equal(forks(), 1);
    assert_int_equal(note_memory_count(memory), 0);
}

static void names_of_vantages_are_escaped(void **state)
{
    (void)state;
    char vantage[LOG_ADDRESS_MAX];
    memset(vantage, 0x1b, sizeof vantage - 1);
    vantage[sizeof vantage - 1] = 0;
    compare_world_hold(world, 5, NULL);
    show(vantage, world->honest, 40, COMPARE_AHEAD);
    compare_world_pass(world, WITHHELD);
    look();
    restart();
    compare_world_hold(world, 50, NULL);
    look();
    assert_int_equal(raised(NULL), 1);
    assert_int_equal(cleared(NULL), 1);
    for (const char *c = world->calls[0].subject; *c != 0; c++) {
        assert_true(*c >= 0x20 && *c < 0x7f);
    }
    assert_string_equal(world->calls[0].subject, world->calls[1].subject);
}

/* -- notes of the log itself -- */

static void a_rejected_note_is_compared_when_the_tree_has_grown_past_it(void **state)
{
    (void)state;
    compare_world_hold(world, PARTED, NULL);
    reject(world->forked, 30);
    reject(world->forked, 30);
    assert_int_equal(note_memory_count(memory), 1);
    compare_world_pass(world, 10 * WITHHELD);
    look();
    assert_int_equal(world->call_count, 0);
    restart();
    compare_world_hold(world, 31, NULL);
    look();
    assert_int_equal(forks(), 1);
    assert_int_equal(note_memory_count(memory), 0);
}

/* Its data was not there for a moment, that was all. */
static void a_rejected_note_that_was_honest_leaves(void **state)
{
    (void)state;
    compare_world_hold(world, 20, NULL);
    reject(world->honest, 30);
    compare_world_hold(world, 30, NULL);
    look();
    assert_int_equal(note_memory_count(memory), 0);
    assert_int_equal(compare_world_raised(world), 0);
}

static void put_invented(struct buf *out, uint64_t size, uint64_t seed)
{
    struct checkpoint checkpoint = { .origin = COMPARE_WORLD_ORIGIN, .size = size };
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    checkpoint.root = sha256(span_of(&seed, sizeof seed));
    checkpoint_put(&text, &checkpoint);
    keys_put_signed(out, buf_span(&text), &world->log_key, 0);
    buf_clear(&text);
}

/* A log that signs any number of heads: those compared first stay, and nothing grows. */
static void rejected_notes_are_bounded_and_the_smallest_stay(void **state)
{
    (void)state;
    compare_world_hold(world, 20, NULL);
    for (uint64_t i = 0; i < 500; i++) {
        struct buf note = BUF_INIT(COMPARE_WORLD_NOTE_MAX);
        put_invented(&note, 1000 + i, i);
        assert_int_equal(note_memory_on_rejected(memory, buf_span(&note), &world->now, &err), E_OK);
        assert_int_equal(note_memory_on_note(memory, "a", buf_span(&note), &world->now, &outcome,
                                             &err),
                         E_OK);
        buf_clear(&note);
    }
    reject(world->forked, 30); /* sizes that are never reached do not keep it out */
    assert_int_equal(note_memory_count(memory), NOTE_MEMORY_REJECTED_MAX + 2);
    assert_int_equal(largest(), 1499);
    restart();
    assert_int_equal(note_memory_count(memory), NOTE_MEMORY_REJECTED_MAX + 2);
    compare_world_hold(world, 40, NULL);
    look();
    assert_int_equal(forks(), 1); /* that of size 30 */
    assert_int_equal(note_memory_count(memory), NOTE_MEMORY_REJECTED_MAX + 1);
}

/* -- two notes that wait -- */

static void two_roots_of_one_size_are_a_fork_though_neither_is_served(void **state)
{
    (void)state;
    compare_world_hold(world, 20, NULL);
    show("a", world->honest, 40, COMPARE_AHEAD);
    show("b", world->forked, 40, COMPARE_CONTRADICTION);
    assert_true(outcome.has_evidence);
    assert_int_equal(forks(), 1);
    show("b", world->forked, 40, COMPARE_CONTRADICTION);
    reject(world->forked, 41);
    assert_int_equal(forks(), 1);
    reject(world->honest, 41);
    assert_int_equal(forks(), 2);
    assert_int_equal(note_memory_count(memory), 4);
}

/* -- witnesses -- */

static void lines_of_witnesses_are_remembered_whatever_becomes_of_the_note(void **state)
{
    static const enum compare_result results[] = { COMPARE_AHEAD, COMPARE_CONSISTENT };
    (void)state;
    compare_world_hold(world, 45, NULL);
    for (size_t i = 0; i < 2; i++) {
        struct buf note = compare_world_note(world, world->honest, 50 - 10 * i,
                                             (const uint64_t[]){ 500 + i, 0, 0 });
        assert_int_equal(note_memory_on_note(memory, "a", buf_span(&note), &world->now, &outcome,
                                             &err),
                         E_OK);
        assert_int_equal(outcome.result, results[i]);
        buf_clear(&note);
    }
    assert_int_equal(compare_world_count(world, FINDING_WITNESS_EQUIVOCATION, "w0", false), 1);
}

/* -- framing -- */

static void what_the_log_did_not_sign_takes_no_slot(void **state)
{
    struct signer forger = keys_signer(COMPARE_WORLD_ORIGIN, SIGNATURE_ED25519, "forger");
    (void)state;
    compare_world_hold(world, 20, NULL);
    struct buf note = compare_world_sign(world, world->forked, 40, &forger, NULL);
    assert_int_equal(note_memory_on_note(memory, "a", buf_span(&note), &world->now, &outcome, &err),
                     E_BAD_SIGNATURE);
    assert_int_equal(note_memory_on_rejected(memory, buf_span(&note), &world->now, &err),
                     E_BAD_SIGNATURE);
    assert_int_equal(note_memory_on_note(memory, "a", span_of_str("x"), &world->now, &outcome,
                                         &err),
                     E_MALFORMED);
    assert_int_equal(note_memory_count(memory), 0);
    compare_world_pass(world, 10 * WITHHELD);
    look();
    assert_int_equal(world->call_count, 0);
    buf_clear(&note);
    signer_clear(&forger);
}

/* Lines of strangers and bad ones are dropped: a note that waits is as small as it can be. */
static void what_others_put_on_a_note_is_not_kept(void **state)
{
    (void)state;
    compare_world_hold(world, 20, NULL);
    struct buf note = compare_world_note(world, world->honest, 40, (const uint64_t[]){ 500, 0, 0 });
    struct buf kept = BUF_INIT(NOTE_BYTES_MAX);
    size_t len = note.len;
    uint64_t size, waiting_s;
    for (int i = 0; i < 50; i++) {
        buf_put_str(&note, "\xe2\x80\x94 stranger AAAAAAAAAAAA\n");
    }
    assert_int_equal(note_memory_on_note(memory, "a", buf_span(&note), &world->now, &outcome, &err),
                     E_OK);
    assert_true(note_memory_next(memory, 39, &kept, &size, &world->now, &waiting_s));
    assert_true(span_is_equal(buf_span(&kept), span_of(note.data, len)));
    buf_clear(&note);
    buf_clear(&kept);
}

/* -- threads -- */

enum {
    SHOWERS = 3
};

/* Shows honest notes of all sizes, as a vantage does on a thread of its own. */
static void *show_all(void *ctx)
{
    const char *vantage = ctx;
    for (uint64_t i = 0; i < 150; i++) {
        struct compare_outcome seen;
        struct err why;
        struct buf note = compare_world_note(world, world->honest, 1 + i * 7 % SIZE, NULL);
        enum err_code rc =
            note_memory_on_note(memory, vantage, buf_span(&note), &world->now, &seen, &why);
        assert(rc == E_OK);
        assert(seen.result == COMPARE_SAME || seen.result == COMPARE_CONSISTENT ||
               seen.result == COMPARE_AHEAD);
        (void)rc;
        buf_clear(&note);
    }
    return NULL;
}

static void vantages_show_notes_while_the_tree_grows(void **state)
{
    pthread_t threads[SHOWERS];
    char names[SHOWERS][2] = { "a", "b", "c" };
    (void)state;
    compare_world_hold(world, 1, NULL);
    for (int i = 0; i < SHOWERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, show_all, names[i]), 0);
    }
    for (uint64_t size = 2; size <= SIZE; size++) {
        compare_world_hold(world, size, NULL);
        look();
    }
    for (int i = 0; i < SHOWERS; i++) {
        pthread_join(threads[i], NULL);
    }
    look();
    assert_int_equal(note_memory_count(memory), 0);
    assert_int_equal(compare_world_raised(world), 0);
}

/* -- failures -- */

static void what_fails_is_done_later(void **state)
{
    (void)state;
    compare_world_hold(world, PARTED, NULL);
    struct buf note = compare_world_note(world, world->forked, 30, NULL);
    kv_memory_fail(world->kv, 1, false);
    assert_int_equal(note_memory_on_note(memory, "a", buf_span(&note), &world->now, &outcome, &err),
                     E_IO);
    show("a", world->forked, 30, COMPARE_AHEAD);
    compare_world_pass(world, WITHHELD);
    world->is_sink_failing = true;
    assert_int_equal(note_memory_look(memory, &world->now, &err), E_IO);
    compare_world_hold(world, 40, NULL);
    assert_int_equal(note_memory_look(memory, &world->now, &err), E_IO);
    assert_int_equal(note_memory_count(memory), 1);
    world->is_sink_failing = false;
    kv_memory_fail(world->kv, 1, true);
    assert_int_equal(note_memory_look(memory, &world->now, &err), E_IO);
    look();
    assert_true(forks() >= 1);
    assert_int_equal(note_memory_count(memory), 0);
    restart();
    assert_int_equal(note_memory_count(memory), 0);
    buf_clear(&note);
}

static void one_slot_that_fails_does_not_hold_up_the_others(void **state)
{
    (void)state;
    compare_world_hold(world, 20, NULL);
    show("a", world->forked, 30, COMPARE_AHEAD);
    show("b", world->honest, 31, COMPARE_AHEAD);
    compare_world_hold(world, 40, NULL);
    kv_memory_fail(world->kv, 1, false); /* what is written first is the contradiction of "a" */
    assert_int_equal(note_memory_look(memory, &world->now, &err), E_IO);
    assert_int_equal(note_memory_count(memory), 1);
    look();
    assert_int_equal(note_memory_count(memory), 0);
}

static void a_store_that_holds_rubbish_is_not_opened(void **state)
{
    (void)state;
    struct kv_batch batch;
    struct buf key = BUF_INIT(KV_KEY_BYTES_MAX);
    struct note_memory *other = NULL;
    kv_batch_init(&batch);
    watched_log_put_key(&key, world->log, "note/x");
    kv_batch_put(&batch, buf_span(&key), span_of_str("rubbish"));
    assert_int_equal(state_store_write(world->store, &batch, &err), E_OK);
    assert_int_equal(note_memory_open(&other, world->log, &err), E_CORRUPT);
    assert_null(other);
    kv_batch_clear(&batch);
    buf_clear(&key);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_can_be_compared_does_not_wait),
        TEST(a_larger_note_waits_until_the_tree_is_as_large),
        TEST(a_lie_ahead_of_us_is_found_when_we_are_there),
        TEST(before_anything_is_held_notes_wait),
        TEST(what_comes_later_does_not_hide_a_note_that_waits),
        TEST(each_vantage_has_its_first_note_that_waits_and_its_newest),
        TEST(vantages_are_bounded_and_the_largest_notes_stay),
        TEST(what_is_not_served_for_long_is_withheld),
        TEST(waiting_goes_on_over_restarts),
        TEST(a_wall_clock_that_jumps_raises_nothing),
        TEST(a_vantage_that_is_ahead_of_a_log_that_grows_is_no_fault),
        TEST(ever_larger_notes_do_not_put_it_off),
        TEST(what_is_being_read_is_not_withheld),
        TEST(reading_a_smaller_tree_is_no_excuse),
        TEST(the_check_can_be_switched_off),
        TEST(tiles_that_are_not_served_are_withheld_too),
        TEST(names_of_vantages_are_escaped),
        TEST(a_rejected_note_is_compared_when_the_tree_has_grown_past_it),
        TEST(a_rejected_note_that_was_honest_leaves),
        TEST(rejected_notes_are_bounded_and_the_smallest_stay),
        TEST(two_roots_of_one_size_are_a_fork_though_neither_is_served),
        TEST(lines_of_witnesses_are_remembered_whatever_becomes_of_the_note),
        TEST(what_the_log_did_not_sign_takes_no_slot),
        TEST(what_others_put_on_a_note_is_not_kept),
        TEST(vantages_show_notes_while_the_tree_grows),
        TEST(what_fails_is_done_later),
        TEST(one_slot_that_fails_does_not_hold_up_the_others),
        TEST(a_store_that_holds_rubbish_is_not_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
