/* What the follower finds in notes and by the clock, and what becomes of it. Data is test_follow_scan.c's, the
 * store test_follow_state.c's. */
#include "monitor/follow.h"

#include "base/ascii.h"
#include "store/archive.h"
#include "tests/support/follow_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct follow_world *world;

static int set_up(void **state)
{
    (void)state;
    world = follow_world_new("group g 2 w0 w1 w2\nquorum g\n");
    follow_world_serve(world, COMPARE_WORLD_SIZE);
    follow_world_open(world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    follow_world_free(world);
    return 0;
}

static void print_open(void)
{
    for (size_t i = 0; i < world->base->call_count; i++) {
        const struct world_call *call = &world->base->calls[i];
        if (follow_world_is_open(world, call->code, call->subject)) {
            print_message("%s %s: %s\n", finding_kind(call->code)->text, call->subject,
                          call->summary);
        }
    }
}

static void assert_only(enum finding_code code, const char *subject)
{
    if (!follow_world_is_open(world, code, subject) || follow_world_open_count(world) != 1) {
        print_open();
    }
    assert_true(follow_world_is_open(world, code, subject));
    assert_int_equal(follow_world_open_count(world), 1);
}

static void assert_none(void)
{
    if (follow_world_open_count(world) != 0) {
        print_open();
    }
    assert_int_equal(follow_world_open_count(world), 0);
}

/* The honest tree at `size`, with times of the witnesses relative to now; INT64_MIN: it has not signed. */
static void serve_times(uint64_t size, int64_t t0, int64_t t1, int64_t t2)
{
    const int64_t relative[] = { t0, t1, t2 };
    uint64_t times[COMPARE_WORLD_WITNESSES];
    for (size_t i = 0; i < COMPARE_WORLD_WITNESSES; i++) {
        times[i] = relative[i] == INT64_MIN ? 0 : (uint64_t)(world->base->now.unix_s + relative[i]);
    }
    if (memory_log_size(world->base->honest) < size) {
        memory_log_grow(world->base->honest, size);
    }
    struct buf note = compare_world_note(world->base, world->base->honest, size, times);
    follow_world_serve_note(world, size, &note);
}

/* -- honest logs -- */

static void honest_log_is_held_and_archived(void **state)
{
    (void)state;
    struct watched_status status;
    struct buf note = BUF_INIT(NOTE_BYTES_MAX), served = BUF_INIT(NOTE_BYTES_MAX);
    struct history history;
    struct err err;
    assert_int_equal(follow_world_held(world), UINT64_MAX);
    follow_world_step(world);
    assert_int_equal(follow_world_held(world), COMPARE_WORLD_SIZE);
    follow_world_serve(world, 700);
    follow_world_step_after(world, 5);
    assert_int_equal(follow_world_held(world), 700);
    assert_int_equal(world->base->call_count, 0);
    assert_false(follow_has_more(world->follow));
    watched_log_status(world->base->log, &status);
    assert_int_equal(status.log_size, 700);
    assert_int_equal(status.held_size, 700);
    assert_int_equal(status.polls, 2);
    assert_int_equal(status.failed_polls, 0);
    assert_int_equal(status.entries_hashed, 700);
    assert_true(status.bytes_hashed > 700 * 8);
    assert_true(status.is_quorum_met);
    assert_false(status.is_scanning);
    assert_int_equal(status.note_time_s, COMPARE_WORLD_NOW);
    assert_int_equal(status.witness_seen_s[2], COMPARE_WORLD_NOW);
    assert_string_equal(status.last_error, "");
    assert_int_equal(archive_find(world->archive, 64, &note, &err), E_OK);
    assert_int_equal(memory_log_get(world->base->honest, "checkpoint", &served, &err), E_OK);
    assert_true(span_is_equal(buf_span(&note), buf_span(&served)));
    watched_log_history(world->base->log, &history);
    assert_int_equal(history.samples[history.count - 1].size, 700);
    buf_clear(&note);
    buf_clear(&served);
}

static void poll_that_shows_nothing_new_writes_nothing(void **state)
{
    (void)state;
    follow_world_step(world);
    uint64_t writes = world->disk->writes;
    uint64_t reads = memory_log_get_count(world->base->honest);
    for (int i = 0; i < 10; i++) {
        follow_world_step_after(world, 5);
    }
    assert_int_equal(world->disk->writes, writes);
    assert_int_equal(memory_log_get_count(world->base->honest), reads + 10);
    assert_none();
}

static void empty_log_is_held_too(void **state)
{
    (void)state;
    follow_world_serve(world, 0);
    follow_world_step(world);
    assert_int_equal(follow_world_held(world), 0);
    follow_world_restart(world);
    assert_int_equal(follow_world_held(world), 0);
    follow_world_serve(world, 1);
    follow_world_step_after(world, 5);
    assert_int_equal(follow_world_held(world), 1);
    assert_int_equal(world->base->call_count, 0);
}

static void restart_begins_where_it_was(void **state)
{
    (void)state;
    follow_world_serve(world, 1000);
    follow_world_step(world);
    follow_world_restart(world);
    struct watched_status status;
    watched_log_status(world->base->log, &status);
    assert_int_equal(status.log_size, 1000);
    assert_int_equal(status.held_size, 1000);
    assert_int_equal(status.witness_seen_s[1], COMPARE_WORLD_NOW);
    assert_int_equal(follow_world_held(world), 1000);
    uint64_t reads = memory_log_get_count(world->base->honest);
    follow_world_step_after(world, 5);
    assert_int_equal(memory_log_get_count(world->base->honest), reads + 1);
    watched_log_status(world->base->log, &status);
    assert_true(status.is_quorum_met);
    assert_int_equal(world->base->call_count, 0);
}

static void note_with_more_cosignatures_takes_the_place(void **state)
{
    (void)state;
    struct held_tree held;
    serve_times(64, -9, -9, INT64_MIN);
    follow_world_step(world);
    serve_times(64, -9, -9, -3);
    struct buf best = BUF_INIT(NOTE_BYTES_MAX);
    struct err err;
    assert_int_equal(memory_log_get(world->base->honest, "checkpoint", &best, &err), E_OK);
    follow_world_step(world);
    watched_log_held(world->base->log, &held);
    assert_true(span_is_equal(buf_span(&held.note), buf_span(&best)));
    held_tree_clear(&held);
    serve_times(64, -9, -9, INT64_MIN); /* fewer again */
    follow_world_step(world);
    watched_log_held(world->base->log, &held);
    assert_true(span_is_equal(buf_span(&held.note), buf_span(&best)));
    held_tree_clear(&held);
    buf_clear(&best);
    assert_none();
}

/* -- notes -- */

static void unsigned_note_is_found_and_cleared(void **state)
{
    (void)state;
    follow_world_step(world);
    struct buf note =
        compare_world_sign(world->base, world->base->honest, 64, &world->base->other_key, NULL);
    follow_world_serve_note(world, 64, &note);
    follow_world_step_after(world, 5);
    assert_only(FINDING_BAD_SIGNATURE, "");
    follow_world_step_after(world, 5);
    assert_int_equal(world->base->call_count, 1); /* the same bytes are no news */
    follow_world_serve(world, 65);
    follow_world_step_after(world, 5);
    assert_none();
    assert_int_equal(follow_world_held(world), 65);
}

static void rubbish_for_a_checkpoint_is_found_and_cleared(void **state)
{
    (void)state;
    follow_world_step(world);
    memory_log_replace(world->base->honest, "checkpoint", span_of_str("<html>no"));
    follow_world_step_after(world, 5);
    assert_only(FINDING_MALFORMED, "checkpoint");
    memory_log_restore(world->base->honest, "checkpoint");
    follow_world_serve(world, 70);
    follow_world_step_after(world, 5);
    assert_none();
}

static void endless_checkpoint_is_found_and_cleared(void **state)
{
    (void)state;
    struct buf bytes = BUF_INIT(2 * NOTE_BYTES_MAX);
    follow_world_step(world);
    memset(buf_extend(&bytes, 2 * NOTE_BYTES_MAX), 'x', 2 * NOTE_BYTES_MAX);
    memory_log_replace(world->base->honest, "checkpoint", buf_span(&bytes));
    buf_clear(&bytes);
    follow_world_step_after(world, 5);
    follow_world_step_after(world, 5);
    assert_only(FINDING_MALFORMED, "checkpoint");
    assert_int_equal(world->base->call_count, 1);
    memory_log_restore(world->base->honest, "checkpoint");
    follow_world_serve(world, 70);
    follow_world_step_after(world, 5);
    assert_none();
}

static void endless_checkpoint_is_over_when_the_same_note_is_back(void **state)
{
    (void)state;
    struct buf bytes = BUF_INIT(2 * NOTE_BYTES_MAX);
    follow_world_step(world);
    memset(buf_extend(&bytes, 2 * NOTE_BYTES_MAX), 'x', 2 * NOTE_BYTES_MAX);
    memory_log_replace(world->base->honest, "checkpoint", buf_span(&bytes));
    buf_clear(&bytes);
    follow_world_step_after(world, 5);
    assert_only(FINDING_MALFORMED, "checkpoint");
    memory_log_restore(world->base->honest, "checkpoint");
    follow_world_step_after(world, 5);
    assert_none();
}

static void lack_of_a_quorum_is_found_and_cleared(void **state)
{
    (void)state;
    serve_times(64, 0, INT64_MIN, INT64_MIN);
    follow_world_step(world);
    assert_only(FINDING_NO_QUORUM, "");
    assert_int_equal(follow_world_held(world), 64); /* the entries are verified all the same */
    follow_world_serve(world, 66);
    follow_world_step_after(world, 5);
    assert_none();
}

static void time_ahead_of_the_clock_is_found_and_over_by_time(void **state)
{
    (void)state;
    serve_times(64, 0, 0, 100);
    follow_world_step(world);
    assert_only(FINDING_FUTURE_COSIGNATURE, "w2");
    follow_world_step_after(world, 30);
    assert_only(FINDING_FUTURE_COSIGNATURE, "w2");
    follow_world_step_after(world, 30); /* 40 s ahead are within the tolerance */
    assert_none();
}

static void old_cosignature_on_news_is_found_and_cleared_by_news(void **state)
{
    (void)state;
    follow_world_close(world);
    world->base->options.thresholds.witness_missing_after_s = 0;
    follow_world_open(world);
    serve_times(64, 0, 0, -800); /* who knows when the first note was news */
    follow_world_step(world);
    assert_none();
    serve_times(65, 0, 0, -700);
    follow_world_step_after(world, 5);
    assert_only(FINDING_STALE_COSIGNATURE, "w2");
    serve_times(65, 1, 1, -705); /* the same size is no news: nothing was looked for */
    follow_world_step_after(world, 1);
    assert_only(FINDING_STALE_COSIGNATURE, "w2");
    follow_world_serve(world, 66);
    follow_world_step_after(world, 5);
    assert_none();
}

static void time_that_goes_back_is_found_and_cleared(void **state)
{
    (void)state;
    serve_times(64, 0, 0, 0);
    follow_world_step(world);
    serve_times(64, 0, -50, 0);
    follow_world_step(world);
    assert_only(FINDING_TIME_BACKWARDS, "w1");
    follow_world_serve(world, 65);
    follow_world_step_after(world, 5);
    assert_none();
}

/* -- sizes and roots -- */

/* A note of the log for entries that nobody has. */
static struct buf absent_note(uint64_t size, const char *root)
{
    struct checkpoint checkpoint = { .size = size, .root = sha256(span_of_str(root)) };
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX), note = BUF_INIT(NOTE_BYTES_MAX);
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", COMPARE_WORLD_ORIGIN);
    checkpoint_put(&text, &checkpoint);
    keys_put_signed(&note, buf_span(&text), &world->base->log_key, 0);
    buf_clear(&text);
    return note;
}

static void two_roots_are_a_fork_though_no_data_is_served(void **state)
{
    (void)state;
    struct compare_outcome outcome;
    struct buf shown = absent_note(1000, "a"), elsewhere = absent_note(1000, "b");
    follow_world_step(world);
    memory_log_replace(world->base->honest, "checkpoint", buf_span(&shown));
    follow_world_step_after(world, 5);
    assert_int_equal(note_memory_on_note(world->memory, "http://elsewhere", buf_span(&elsewhere),
                                         &world->base->now, &outcome, &world->err),
                     E_OK);
    assert_int_equal(outcome.result, COMPARE_CONTRADICTION);
    assert_true(outcome.has_evidence);
    assert_true(follow_world_is_open(world, FINDING_FORK, ""));
    buf_clear(&shown);
    buf_clear(&elsewhere);
}

static void rollback_by_one_entry_is_found(void **state)
{
    (void)state;
    follow_world_step(world);
    follow_world_serve(world, 63);
    follow_world_step_after(world, 5);
    assert_only(FINDING_ROLLBACK, "");
}

/* The log shows it no more, and nothing of it was ever served. */
static void withheld_tells_the_size_that_was_withheld(void **state)
{
    (void)state;
    bool is_told = false;
    struct buf shown = absent_note(1000, "a");
    follow_world_serve(world, 256); /* so that no file of the size held is one that lacks */
    follow_world_step(world);
    memory_log_replace(world->base->honest, "checkpoint", buf_span(&shown));
    follow_world_step_after(world, 5);
    memory_log_restore(world->base->honest, "checkpoint");
    follow_world_step_after(world, 301);
    assert_true(follow_world_is_open(world, FINDING_WITHHELD, "log"));
    for (size_t i = 0; i < world->base->call_count; i++) {
        const struct world_call *call = &world->base->calls[i];
        is_told = is_told || (call->code == FINDING_WITHHELD &&
                              strstr(call->summary, "checkpoint of size 1000,") != NULL);
    }
    assert_true(is_told);
    buf_clear(&shown);
}

static void rollback_is_found_and_over_when_it_is_back(void **state)
{
    (void)state;
    follow_world_step(world);
    follow_world_serve(world, 40);
    follow_world_step(world);
    assert_only(FINDING_ROLLBACK, "");
    assert_non_null(strstr(world->base->calls[0].summary, "size 40"));
    assert_non_null(strstr(world->base->calls[0].summary, "size 64"));
    assert_int_equal(follow_world_held(world), 64);
    follow_world_restart(world);
    follow_world_step_after(world, 5);
    assert_only(FINDING_ROLLBACK, "");
    follow_world_serve(world, 64);
    follow_world_step_after(world, 5);
    assert_none();
}

static void other_root_of_the_held_size_is_a_fork(void **state)
{
    (void)state;
    follow_world_step(world);
    struct buf note = follow_world_note(world, world->base->forked, 64);
    follow_world_serve_note(world, 64, &note);
    follow_world_step_after(world, 5);
    assert_true(follow_world_is_open(world, FINDING_FORK, ""));
    assert_true(follow_world_is_open(world, FINDING_WITNESS_EQUIVOCATION, "w0"));
    assert_int_equal(follow_world_held(world), 64);
    follow_world_serve(world, 80);
    follow_world_step_after(world, 5);
    assert_true(follow_world_is_open(world, FINDING_FORK, "")); /* that does not heal */
    assert_int_equal(follow_world_held(world), 80);
}

static void other_root_of_a_smaller_size_is_a_fork(void **state)
{
    (void)state;
    follow_world_step(world);
    struct buf note = compare_world_note(world->base, world->base->forked, 33, NULL);
    follow_world_serve_note(world, 33, &note);
    follow_world_step_after(world, 5);
    assert_true(follow_world_is_open(world, FINDING_FORK, ""));
    assert_true(follow_world_is_open(world, FINDING_ROLLBACK, ""));
    assert_int_equal(follow_world_held(world), 64);
}

/* The log first shows a lie whose entries it does not have, then the truth: with the tree as large as the lie was
 * there is proof. */
static void lie_once_shown_is_a_fork_later(void **state)
{
    (void)state;
    follow_world_serve(world, 40);
    follow_world_step(world);
    memory_log_publish(world->base->honest, 64);
    struct buf note = compare_world_note(world->base, world->base->forked, 50, NULL);
    memory_log_replace(world->base->honest, "checkpoint", buf_span(&note));
    buf_clear(&note);
    follow_world_step_after(world, 5);
    assert_int_equal(follow_world_held(world), 40);
    assert_int_equal(compare_world_count(world->base, FINDING_FORK, NULL, false), 0);
    memory_log_restore(world->base->honest, "checkpoint");
    follow_world_serve(world, 64);
    follow_world_step_after(world, 5);
    assert_int_equal(follow_world_held(world), 64);
    assert_int_equal(compare_world_count(world->base, FINDING_FORK, "", false), 1);
    assert_false(follow_world_is_open(world, FINDING_ROOT_MISMATCH, ""));
}

static void absurd_size_costs_nothing_and_is_remembered(void **state)
{
    (void)state;
    follow_world_step(world);
    struct checkpoint checkpoint = { .size = SIZE_VALUE_MAX };
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX), note = BUF_INIT(NOTE_BYTES_MAX);
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", COMPARE_WORLD_ORIGIN);
    checkpoint_put(&text, &checkpoint);
    keys_put_signed(&note, buf_span(&text), &world->base->log_key, 0);
    memory_log_replace(world->base->honest, "checkpoint", buf_span(&note));
    uint64_t reads = memory_log_get_count(world->base->honest);
    follow_world_step_after(world, 5);
    assert_true(memory_log_get_count(world->base->honest) - reads < 20);
    assert_int_equal(follow_world_held(world), 64);
    assert_false(follow_has_more(world->follow));
    assert_true(follow_world_is_open(world, FINDING_NO_QUORUM, ""));
    assert_true(follow_world_is_open(world, FINDING_GROWTH, "claimed size"));
    assert_int_equal(follow_world_open_count(world), 2);
    follow_world_restart(world);
    follow_world_step_after(world, 301);
    follow_world_step_after(world, 301);
    assert_true(follow_world_is_open(world, FINDING_WITHHELD, "log"));
    memory_log_restore(world->base->honest, "checkpoint");
    follow_world_serve(world, 300);
    follow_world_step_after(world, 5);
    assert_int_equal(follow_world_held(world), 300);
    assert_only(FINDING_ROLLBACK, ""); /* it has shown more */
    assert_true(note_memory_count(world->memory) >= 1);
    buf_clear(&note);
    buf_clear(&text);
}

static void many_heads_are_bounded(void **state)
{
    (void)state;
    follow_world_step(world);
    for (uint64_t i = 0; i < 60; i++) {
        struct checkpoint checkpoint = { .size = 1000 + i, .root = sha256(span_of(&i, sizeof i)) };
        struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX), note = BUF_INIT(NOTE_BYTES_MAX);
        snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", COMPARE_WORLD_ORIGIN);
        checkpoint_put(&text, &checkpoint);
        keys_put_signed(&note, buf_span(&text), &world->base->log_key, 0);
        memory_log_replace(world->base->honest, "checkpoint", buf_span(&note));
        follow_world_step_after(world, 1);
        buf_clear(&note);
        buf_clear(&text);
    }
    assert_int_equal(note_memory_count(world->memory), NOTE_MEMORY_REJECTED_MAX);
    memory_log_restore(world->base->honest, "checkpoint");
    follow_world_serve(world, 1100);
    follow_world_step_after(world, 1);
    assert_int_equal(follow_world_held(world), 1100);
    follow_world_step_after(world, 1);
    assert_int_equal(note_memory_count(world->memory), 0);
    assert_true(compare_world_count(world->base, FINDING_FORK, "", false) > 0);
}

/* -- by the clock -- */

static void silent_log_is_unreachable_after_a_while(void **state)
{
    (void)state;
    struct watched_status status;
    follow_world_step(world);
    memory_log_fail_all(world->base->honest, E_IO);
    follow_world_step_after(world, 200);
    assert_none();
    watched_log_status(world->base->log, &status);
    assert_int_equal(status.failed_polls, 1);
    assert_string_not_equal(status.last_error, "");
    world->base->now.unix_s +=
        1000000; /* a clock that jumps is no silence; but a witness is missed */
    follow_world_step_after(world, 50);
    assert_false(follow_world_is_open(world, FINDING_UNREACHABLE, ""));
    world->base->now.unix_s -= 1000000;
    follow_world_step_after(world, 100);
    assert_only(FINDING_UNREACHABLE, "");
    follow_world_restart(world);
    memory_log_fail_all(world->base->honest, E_OK);
    follow_world_step_after(world, 5);
    assert_none();
}

static void log_without_news_is_stalled_and_its_witnesses_missing(void **state)
{
    (void)state;
    follow_world_step(world);
    follow_world_step_after(world, 600);
    assert_none();
    follow_world_step_after(world, 1);
    assert_true(follow_world_is_open(world, FINDING_STALLED, ""));
    for (int i = 0; i < COMPARE_WORLD_WITNESSES; i++) {
        char name[8];
        snprintf(name, sizeof name, "w%d", i);
        assert_true(follow_world_is_open(world, FINDING_WITNESS_MISSING, name));
    }
    size_t calls = world->base->call_count;
    follow_world_step_after(world, 60);
    assert_int_equal(world->base->call_count, calls); /* what lasts is not raised at each poll */
    follow_world_restart(world);
    follow_world_serve(world, 64); /* only refreshed: that is fresh enough */
    follow_world_step_after(world, 5);
    assert_none();
}

static void one_missing_witness_is_told_by_its_name(void **state)
{
    (void)state;
    follow_world_step(world);
    for (int i = 0; i < 8; i++) {
        compare_world_pass(world->base, 100);
        serve_times(65 + (uint64_t)i, 0, 0, INT64_MIN);
        follow_world_step(world);
    }
    assert_only(FINDING_WITNESS_MISSING, "w2");
    compare_world_pass(world->base, 10);
    follow_world_serve(world, 80);
    follow_world_step(world);
    assert_none();
}

static void fast_growth_is_found_and_over_by_time(void **state)
{
    (void)state;
    follow_world_close(world);
    world->base->options.thresholds.growth_per_hour_max = 1000;
    follow_world_open(world);
    follow_world_step(world); /* the first size is no growth */
    follow_world_serve(world, 1000);
    follow_world_step_after(world, 100);
    assert_none();
    follow_world_serve(world, 1100);
    follow_world_step_after(world, 100);
    assert_only(FINDING_GROWTH, "");
    follow_world_restart(world);
    for (int i = 0; i < 8; i++) {
        compare_world_pass(world->base, 500);
        follow_world_serve(world, 1100);
        follow_world_step(world);
    }
    assert_none();
}

/* What came in while we were away came in all that time. */
static void growth_after_a_pause_is_spread_over_it(void **state)
{
    (void)state;
    follow_world_close(world);
    world->base->options.thresholds.growth_per_hour_max = 1000;
    follow_world_open(world);
    follow_world_step(world);
    follow_world_crash(world);
    compare_world_pass(world->base, 10 * 3600);
    follow_world_serve(world, 64 + 9000);
    follow_world_open(world);
    follow_world_step(world);
    assert_int_equal(follow_world_held(world), 9064);
    assert_none();
}

static void without_thresholds_nothing_is_due(void **state)
{
    (void)state;
    follow_world_close(world);
    world->base->options.thresholds = (struct watch_thresholds){ .future_tolerance_s = 60 };
    follow_world_open(world);
    follow_world_step(world);
    memory_log_fail_all(world->base->honest, E_IO);
    follow_world_step_after(world, 1000000);
    follow_world_step_after(world, 1000000);
    assert_int_equal(world->base->call_count, 0);
}

/* -- the sink -- */

static void what_the_sink_does_not_take_is_raised_by_the_next_step(void **state)
{
    (void)state;
    follow_world_step(world);
    follow_world_serve(world, 40);
    world->base->is_sink_failing = true;
    assert_int_equal(follow_world_try_step(world), E_IO);
    assert_int_equal(follow_world_try_step(world), E_IO);
    world->base->is_sink_failing = false;
    follow_world_step_after(world, 5);
    assert_only(FINDING_ROLLBACK, "");
    follow_world_serve(world, 90);
    world->base->is_sink_failing = true;
    compare_world_pass(world->base, 5);
    assert_int_equal(follow_world_try_step(world), E_IO);
    assert_true(follow_world_is_open(world, FINDING_ROLLBACK, ""));
    follow_world_crash(world); /* that it is over is known after a crash too */
    world->base->is_sink_failing = false;
    follow_world_open(world);
    follow_world_step_after(world, 5);
    assert_none();
    assert_int_equal(follow_world_held(world), 90);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(honest_log_is_held_and_archived),
        TEST(poll_that_shows_nothing_new_writes_nothing),
        TEST(empty_log_is_held_too),
        TEST(restart_begins_where_it_was),
        TEST(note_with_more_cosignatures_takes_the_place),
        TEST(unsigned_note_is_found_and_cleared),
        TEST(rubbish_for_a_checkpoint_is_found_and_cleared),
        TEST(endless_checkpoint_is_found_and_cleared),
        TEST(endless_checkpoint_is_over_when_the_same_note_is_back),
        TEST(lack_of_a_quorum_is_found_and_cleared),
        TEST(time_ahead_of_the_clock_is_found_and_over_by_time),
        TEST(old_cosignature_on_news_is_found_and_cleared_by_news),
        TEST(time_that_goes_back_is_found_and_cleared),
        TEST(rollback_is_found_and_over_when_it_is_back),
        TEST(rollback_by_one_entry_is_found),
        TEST(two_roots_are_a_fork_though_no_data_is_served),
        TEST(withheld_tells_the_size_that_was_withheld),
        TEST(other_root_of_the_held_size_is_a_fork),
        TEST(other_root_of_a_smaller_size_is_a_fork),
        TEST(lie_once_shown_is_a_fork_later),
        TEST(absurd_size_costs_nothing_and_is_remembered),
        TEST(many_heads_are_bounded),
        TEST(silent_log_is_unreachable_after_a_while),
        TEST(log_without_news_is_stalled_and_its_witnesses_missing),
        TEST(one_missing_witness_is_told_by_its_name),
        TEST(fast_growth_is_found_and_over_by_time),
        TEST(growth_after_a_pause_is_spread_over_it),
        TEST(without_thresholds_nothing_is_due),
        TEST(what_the_sink_does_not_take_is_raised_by_the_next_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
