/* What the follower makes of the log's data: wrong, missing, elsewhere, too much for one step. */
#include "base/ascii.h"
#include "monitor/follow_parts.h"
#include "store/archive.h"
#include "store/tile_source.h"
#include "tests/support/follow_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    BUNDLES = 20,
    SIZE = BUNDLES * TILE_WIDTH + 77,
};

static struct follow_world *world;
static struct memory_log *mirror;

static int set_up(void **state)
{
    (void)state;
    world = follow_world_new("group g 2 w0 w1 w2\nquorum g\n");
    mirror =
        memory_log_fork(world->base->honest, 0,
                        &(struct memory_log_options){ .seed = 1, .signer = &world->base->log_key });
    follow_world_serve(world, COMPARE_WORLD_SIZE);
    follow_world_open(world);
    follow_world_step(world);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    follow_world_free(world);
    memory_log_free(mirror);
    return 0;
}

static void use_mirror(uint64_t size)
{
    memory_log_grow_published(mirror, size);
    memory_log_grow_published(mirror, size + 10); /* it has more already */
    follow_world_crash(world);
    world->base->options.sources[1] = (struct scan_source){ mirror, memory_log_open_source };
    world->base->options.source_count = 2;
    follow_world_open(world);
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

/* A file of the log with one bit of its last byte turned. */
static void flip(const char *path)
{
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    struct err err;
    assert_int_equal(memory_log_get(world->base->honest, path, &bytes, &err), E_OK);
    bytes.data[bytes.len - 1] ^= 1;
    memory_log_replace(world->base->honest, path, buf_span(&bytes));
    buf_clear(&bytes);
}

/* -- wrong entries -- */

static void wrong_entry_is_a_root_mismatch_until_it_is_right(void **state)
{
    (void)state;
    follow_world_serve(world, SIZE);
    flip("tile/entries/007");
    follow_world_step_after(world, 5);
    assert_only(FINDING_ROOT_MISMATCH, "");
    assert_int_equal(follow_world_held(world), COMPARE_WORLD_SIZE);
    assert_non_null(strstr(world->base->calls[0].summary, "tile/0/007"));
    follow_world_step_after(world, 5);
    follow_world_restart(world);
    follow_world_step_after(world, 5);
    assert_only(FINDING_ROOT_MISMATCH, "");
    memory_log_restore(world->base->honest, "tile/entries/007");
    follow_world_step_after(world, 5);
    assert_none();
    assert_int_equal(follow_world_held(world), SIZE);
    assert_int_equal(note_memory_count(world->memory), 0);
    assert_int_equal(compare_world_count(world->base, FINDING_FORK, NULL, false), 0);
    assert_int_equal(compare_world_count(world->base, FINDING_TILE_MISMATCH, NULL, false), 0);
}

static void mismatch_is_over_with_an_honest_larger_note(void **state)
{
    (void)state;
    follow_world_serve(world, SIZE);
    flip("tile/entries/007");
    follow_world_step_after(world, 5);
    memory_log_restore_all(world->base->honest);
    follow_world_serve(world, SIZE + 300);
    follow_world_step_after(world, 5);
    assert_none();
    assert_int_equal(follow_world_held(world), SIZE + 300);
    assert_int_equal(note_memory_count(world->memory), 0); /* the first note was compared */
}

static void changed_entries_of_before_are_a_root_mismatch(void **state)
{
    (void)state;
    follow_world_serve(world, 200);
    follow_world_step_after(world, 5);
    follow_world_serve(world, 240);
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    struct err err;
    assert_int_equal(memory_log_get(world->base->honest, "tile/entries/000.p/240", &bytes, &err),
                     E_OK);
    bytes.data[4] ^= 1; /* inside entry 0 */
    memory_log_replace(world->base->honest, "tile/entries/000.p/240", buf_span(&bytes));
    follow_world_step_after(world, 5);
    assert_only(FINDING_ROOT_MISMATCH, "");
    assert_non_null(strstr(world->base->calls[0].summary, "verified before"));
    assert_int_equal(follow_world_held(world), 200);
    memory_log_restore_all(world->base->honest);
    follow_world_step_after(world, 5);
    assert_none();
    assert_int_equal(follow_world_held(world), 240);
    buf_clear(&bytes);
}

static void malformed_bundle_is_named_and_over_when_repaired(void **state)
{
    (void)state;
    follow_world_serve(world, SIZE);
    memory_log_replace(world->base->honest, "tile/entries/003", span_of_str("not a bundle"));
    follow_world_step_after(world, 5);
    follow_world_step_after(world, 5);
    assert_only(FINDING_MALFORMED, "tile/entries/003");
    assert_int_equal(world->base->call_count, 1);
    assert_int_equal(follow_world_held(world), COMPARE_WORLD_SIZE);
    follow_world_restart(world);
    memory_log_restore(world->base->honest, "tile/entries/003");
    follow_world_step_after(world, 5);
    assert_none();
    assert_int_equal(follow_world_held(world), SIZE);
}

/* -- missing entries -- */

static void missing_entries_are_withheld_only_after_a_while(void **state)
{
    (void)state;
    follow_world_serve(world, SIZE);
    memory_log_remove(world->base->honest, "tile/entries/003");
    follow_world_step_after(world, 5);
    follow_world_step_after(world, 290);
    assert_none();
    struct watched_status status;
    watched_log_status(world->base->log, &status);
    assert_int_equal(status.failed_polls, 0);
    follow_world_step_after(world, 10);
    assert_only(FINDING_WITHHELD, "log");
    assert_non_null(strstr(world->base->calls[0].summary, "tile/entries/003"));
    memory_log_restore(world->base->honest, "tile/entries/003");
    follow_world_step_after(world, 5);
    assert_none();
    assert_int_equal(follow_world_held(world), SIZE);
}

static void publication_that_races_is_no_finding(void **state)
{
    (void)state;
    follow_world_serve(world, SIZE);
    memory_log_remove(world->base->honest, "tile/entries/020.p/77");
    follow_world_step_after(world, 200);
    memory_log_restore_all(world->base->honest);
    follow_world_serve(world, SIZE + 5);
    follow_world_step_after(world, 200);
    assert_int_equal(follow_world_held(world), SIZE + 5);
    assert_int_equal(world->base->call_count, 0);
    assert_int_equal(note_memory_count(world->memory), 0);
}

static void data_that_does_not_answer_counts_as_unreachable(void **state)
{
    (void)state;
    follow_world_serve(world, SIZE);
    memory_log_fail(world->base->honest, "tile/entries/003", E_TIMEOUT);
    follow_world_step_after(world, 5);
    follow_world_step_after(world, 300);
    assert_only(FINDING_UNREACHABLE, "");
    memory_log_restore_all(world->base->honest);
    follow_world_step_after(world, 5);
    assert_none();
    assert_int_equal(follow_world_held(world), SIZE);
}

/* -- tiles -- */

static void wrong_tile_is_named_and_over_when_repaired(void **state)
{
    (void)state;
    static const char *const paths[] = { "tile/0/002", "tile/0/020.p/77", "tile/1/000.p/20" };
    for (size_t i = 0; i < 3; i++) {
        follow_world_free(world);
        memory_log_free(mirror);
        set_up(NULL);
        follow_world_serve(world, SIZE);
        flip(paths[i]);
        follow_world_step_after(world, 5);
        assert_only(FINDING_TILE_MISMATCH, paths[i]);
        assert_int_equal(follow_world_held(world), SIZE); /* the entries are right */
        follow_world_restart(world);
        follow_world_step_after(world, 5);
        assert_only(FINDING_TILE_MISMATCH, paths[i]);
        memory_log_restore(world->base->honest, paths[i]);
        follow_world_step_after(world, 5);
        assert_none();
    }
}

static void missing_tile_is_named_and_over_when_it_is_there(void **state)
{
    (void)state;
    follow_world_serve(world, SIZE);
    memory_log_remove(world->base->honest, "tile/0/011");
    memory_log_remove(world->base->honest, "tile/1/000.p/20");
    follow_world_step_after(world, 5);
    assert_true(follow_world_is_open(world, FINDING_TILE_MISMATCH, "tile/0/011"));
    assert_true(follow_world_is_open(world, FINDING_TILE_MISMATCH, "tile/1/000.p/20"));
    assert_int_equal(follow_world_open_count(world), 2);
    memory_log_restore_all(world->base->honest);
    follow_world_serve(world, SIZE + 1000);
    follow_world_step_after(world, 5);
    assert_none();
    assert_int_equal(follow_world_held(world), SIZE + 1000);
}

static void many_wrong_tiles_are_counted(void **state)
{
    (void)state;
    const uint64_t bundles = 40;
    follow_world_serve(world, bundles * TILE_WIDTH);
    for (uint64_t i = 0; i < bundles; i++) {
        struct tile_path path = { false, { 0, i }, TILE_WIDTH };
        memory_log_replace(world->base->honest, tile_path_text(&path).text, span_of_str("x"));
    }
    follow_world_step_after(world, 5);
    assert_int_equal(compare_world_count(world->base, FINDING_TILE_MISMATCH, NULL, false),
                     FOLLOW_BAD_TILES_MAX);
    assert_non_null(strstr(world->base->calls[FOLLOW_BAD_TILES_MAX - 1].summary, "24 more"));
    assert_int_equal(follow_world_held(world), bundles * TILE_WIDTH);
    memory_log_restore_all(world->base->honest);
    for (int i = 0; i < 6; i++) {
        follow_world_step_after(world, 5);
    }
    assert_none();
}

/* -- mirrors -- */

static void mirror_serves_what_the_log_lacks(void **state)
{
    (void)state;
    use_mirror(SIZE);
    follow_world_serve(world, SIZE);
    memory_log_remove(world->base->honest, "tile/entries/003");
    follow_world_step_after(world, 5);
    assert_int_equal(follow_world_held(world), SIZE);
    assert_none();
    follow_world_step_after(world, 300); /* the log itself still withholds it */
    assert_only(FINDING_WITHHELD, "log");
    memory_log_restore_all(world->base->honest);
    follow_world_step_after(world, 5);
    assert_none();
}

static void mirror_serves_right_what_the_log_serves_wrong(void **state)
{
    (void)state;
    use_mirror(SIZE);
    follow_world_serve(world, SIZE);
    flip("tile/entries/003");
    follow_world_step_after(world, 5);
    assert_only(FINDING_ROOT_MISMATCH, "");
    assert_int_equal(follow_world_held(world), SIZE);
    memory_log_restore_all(world->base->honest);
    follow_world_serve(world, SIZE + 10);
    follow_world_step_after(world, 5);
    assert_none();
    assert_int_equal(follow_world_held(world), SIZE + 10);
}

static void malformed_file_of_the_log_is_told_though_a_mirror_helps(void **state)
{
    (void)state;
    use_mirror(SIZE);
    follow_world_serve(world, SIZE);
    memory_log_replace(world->base->honest, "tile/entries/003", span_of_str("x"));
    follow_world_step_after(world, 5);
    assert_only(FINDING_MALFORMED, "tile/entries/003");
    assert_int_equal(follow_world_held(world), SIZE);
    memory_log_restore_all(world->base->honest);
    follow_world_step_after(world, 5);
    assert_none();
}

static void lying_mirror_is_not_held_against_the_log(void **state)
{
    (void)state;
    memory_log_free(mirror);
    mirror =
        memory_log_fork(world->base->honest, COMPARE_WORLD_SIZE,
                        &(struct memory_log_options){ .seed = 9, .signer = &world->base->log_key });
    use_mirror(SIZE);
    follow_world_serve(world, SIZE);
    memory_log_remove(world->base->honest, "tile/entries/003");
    follow_world_step_after(world, 5);
    assert_none();
    assert_int_equal(follow_world_held(world), COMPARE_WORLD_SIZE);
    memory_log_restore_all(world->base->honest);
    follow_world_step_after(world, 5); /* whatever the cursor was made of */
    assert_none();
    assert_int_equal(follow_world_held(world), SIZE);
}

/* -- long scans -- */

struct watch {
    atomic_bool is_stopping;
    uint64_t bundles_seen; /* a bit for each */
    uint64_t stop_at;      /* bundle */
};

static enum err_code watch_gets(void *ctx, const char *path, struct err *err)
{
    struct watch *watch = ctx;
    struct tile_path tile;
    struct err ignored;
    (void)err;
    if (tile_path_parse(&tile, span_of_str(path), &ignored) == E_OK && tile.is_bundle) {
        watch->bundles_seen |= UINT64_C(1) << tile.id.index;
        if (tile.id.index == watch->stop_at) {
            atomic_store(&watch->is_stopping, true);
        }
    }
    return E_OK;
}

static void stopped_scan_goes_on_where_it_was(void **state)
{
    (void)state;
    struct watch watch = { .stop_at = 12 };
    follow_world_crash(world);
    world->is_stopping = &watch.is_stopping;
    follow_world_open(world);
    memory_log_on_get(world->base->honest, watch_gets, &watch);
    follow_world_serve(world, SIZE);
    follow_world_step_after(world, 5);
    assert_int_equal(follow_world_held(world), COMPARE_WORLD_SIZE); /* nothing signed in between */
    assert_true(follow_has_more(world->follow));
    assert_true(watch.bundles_seen < UINT64_C(1) << 14);
    assert_int_equal(world->base->call_count, 0);
    watch = (struct watch){ .stop_at = UINT64_MAX };
    follow_world_restart(world);
    memory_log_on_get(world->base->honest, watch_gets, &watch);
    follow_world_step_after(world, 5);
    assert_int_equal(follow_world_held(world), SIZE);
    assert_true((watch.bundles_seen & 0x3ff) == 0); /* the first ten were not read again */
    assert_int_equal(world->base->call_count, 0);
}

/* A tile below the cursor that was wrong is told when the root turns out to be right, after a restart too. */
static void wrong_tile_is_not_forgotten_with_a_restart(void **state)
{
    (void)state;
    struct watch watch = { .stop_at = 12 };
    follow_world_crash(world);
    world->is_stopping = &watch.is_stopping;
    follow_world_open(world);
    memory_log_on_get(world->base->honest, watch_gets, &watch);
    follow_world_serve(world, SIZE);
    flip("tile/0/005");
    follow_world_step_after(world, 5);
    assert_int_equal(world->base->call_count, 0);
    watch = (struct watch){ .stop_at = UINT64_MAX };
    follow_world_restart(world);
    follow_world_step_after(world, 5);
    assert_only(FINDING_TILE_MISMATCH, "tile/0/005");
    assert_int_equal(follow_world_held(world), SIZE);
}

/* What was hashed of lies does not make the truth a lie. */
static void cursor_of_a_lying_log_is_dropped(void **state)
{
    (void)state;
    struct watch watch = { .stop_at = 12 };
    follow_world_crash(world);
    world->is_stopping = &watch.is_stopping;
    follow_world_open(world);
    memory_log_on_get(world->base->honest, watch_gets, &watch);
    follow_world_serve(world, SIZE);
    flip("tile/entries/004");
    follow_world_step_after(world, 5);
    memory_log_restore_all(world->base->honest);
    watch = (struct watch){ .stop_at = UINT64_MAX };
    follow_world_restart(world);
    follow_world_step_after(world, 5);
    assert_int_equal(follow_world_held(world), SIZE);
    assert_int_equal(world->base->call_count, 0);
    assert_true((watch.bundles_seen & 0x3ff) == 0x3ff);
}

/* A second goes by whenever the time is asked for. */
static struct monitor_time slow_time(void *ctx)
{
    struct follow_world *slow = ctx;
    compare_world_pass(slow->base, 1);
    return slow->base->now;
}

static void step_of_a_long_scan_ends_and_polls_again(void **state)
{
    (void)state;
    follow_world_crash(world);
    world->now = slow_time;
    world->now_ctx = world;
    world->base->options.thresholds.stalled_after_s = 0;
    world->base->options.thresholds.witness_missing_after_s = 0;
    follow_world_open(world);
    follow_world_serve(world, 60 * TILE_WIDTH + 9);
    int steps = 0;
    do {
        world->follow->chunk = 2 * TILE_WIDTH;
        follow_world_step(world);
        steps++;
        if (steps == 2) { /* it goes on growing: the first size is reached all the same */
            follow_world_serve(world, 61 * TILE_WIDTH);
        }
        if (steps == 3) {
            follow_world_serve(world, 62 * TILE_WIDTH);
        }
        if (steps == 2) {
            follow_world_restart(world);
        }
        assert_true(steps < 100);
    } while (follow_world_held(world) != 62 * TILE_WIDTH);
    assert_true(steps > 3);
    assert_int_equal(world->base->call_count, 0);
    struct buf first = BUF_INIT(NOTE_BYTES_MAX);
    assert_int_equal(archive_find(world->archive, 64, &first, &world->err), E_OK);
    assert_true(span_find(buf_span(&first), span_of_str("\n15369\n")) != SIZE_MAX);
    buf_clear(&first);
    follow_world_step(world);
    assert_false(follow_has_more(world->follow));
    assert_int_equal(note_memory_count(world->memory), 0);
}

static void scan_that_fails_slowly_is_not_repeated_at_once(void **state)
{
    (void)state;
    follow_world_crash(world);
    world->now = slow_time;
    world->now_ctx = world;
    follow_world_open(world);
    follow_world_serve(world, SIZE);
    flip("tile/entries/007");
    follow_world_step_after(world, 1);
    uint64_t reads = memory_log_get_count(world->base->honest);
    follow_world_step_after(world, 1);
    assert_int_equal(memory_log_get_count(world->base->honest), reads + 1);
    follow_world_step_after(world, 600);
    assert_true(memory_log_get_count(world->base->honest) > reads + BUNDLES);
    assert_true(follow_world_is_open(world, FINDING_ROOT_MISMATCH, ""));
}

/* -- a note that waits -- */

static void note_shown_elsewhere_is_verified_though_the_log_lags(void **state)
{
    (void)state;
    struct compare_outcome outcome;
    struct buf old = BUF_INIT(NOTE_BYTES_MAX);
    assert_int_equal(memory_log_get(world->base->honest, "checkpoint", &old, &world->err), E_OK);
    memory_log_grow(world->base->honest, SIZE);
    struct buf note = follow_world_note(world, world->base->honest, SIZE);
    assert_int_equal(note_memory_on_note(world->memory, "http://elsewhere", buf_span(&note),
                                         &world->base->now, &outcome, &world->err),
                     E_OK);
    assert_int_equal(outcome.result, COMPARE_AHEAD);
    follow_world_step_after(world, 100);
    assert_int_equal(follow_world_held(world), COMPARE_WORLD_SIZE);
    follow_world_step_after(world, 100); /* not served */
    assert_int_equal(follow_world_held(world), COMPARE_WORLD_SIZE);
    memory_log_publish(world->base->honest, SIZE);
    memory_log_replace(world->base->honest, "checkpoint", buf_span(&old));
    follow_world_step_after(world, 40);
    assert_int_equal(follow_world_held(world), SIZE);
    assert_int_equal(note_memory_count(world->memory), 0);
    assert_none(); /* a smaller note of the log itself is no rollback: it never showed more */
    follow_world_step_after(world, 40);
    assert_none();
    buf_clear(&old);
    buf_clear(&note);
}

static void show_elsewhere(const char *vantage, struct span note)
{
    struct compare_outcome outcome;
    assert_int_equal(note_memory_on_note(world->memory, vantage, note, &world->base->now, &outcome,
                                         &world->err),
                     E_OK);
    assert_int_equal(outcome.result, COMPARE_AHEAD);
}

static void absurd_size_that_waits_hides_no_other(void **state)
{
    (void)state;
    struct buf old = BUF_INIT(NOTE_BYTES_MAX), text = BUF_INIT(CHECKPOINT_TEXT_MAX),
               absurd = BUF_INIT(NOTE_BYTES_MAX);
    struct checkpoint checkpoint = { .size = SIZE_VALUE_MAX };
    assert_int_equal(memory_log_get(world->base->honest, "checkpoint", &old, &world->err), E_OK);
    memory_log_grow(world->base->honest, SIZE + 1);
    struct buf unserved = follow_world_note(world, world->base->honest, SIZE - 1);
    struct buf note = follow_world_note(world, world->base->honest, SIZE);
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", COMPARE_WORLD_ORIGIN);
    checkpoint_put(&text, &checkpoint);
    keys_put_signed(&absurd, buf_span(&text), &world->base->log_key, 0);
    show_elsewhere("http://a", buf_span(&absurd));
    show_elsewhere("http://b", buf_span(&unserved));
    show_elsewhere("http://c", buf_span(&note));
    follow_world_step_after(world, 200); /* nothing is served yet: the smallest fails */
    assert_int_equal(follow_world_held(world), COMPARE_WORLD_SIZE);
    memory_log_publish(world->base->honest, SIZE);
    memory_log_replace(world->base->honest, "checkpoint", buf_span(&old));
    follow_world_step_after(world, 40);
    assert_int_equal(follow_world_held(world), SIZE);
    follow_world_step_after(world, 40); /* only what cannot be had is left, and begins anew */
    follow_world_step_after(world, 40);
    assert_int_equal(note_memory_count(world->memory), 1);
    buf_clear(&old);
    buf_clear(&text);
    buf_clear(&absurd);
    buf_clear(&unserved);
    buf_clear(&note);
}

/* -- told where to begin -- */

static void open_trusted(uint64_t size, struct buf *note)
{
    follow_world_close(world);
    state_store_free(world->base->store);
    world->disk = dying_kv_new(kv_memory_new());
    world->base->store = state_store_new(&world->disk->base, NULL, NULL);
    *note = follow_world_note(world, world->base->honest, size);
    world->trusted = buf_span(note);
}

static void trusted_start_is_held_without_its_entries(void **state)
{
    (void)state;
    struct watch watch = { .stop_at = UINT64_MAX };
    struct buf note;
    struct watched_status status;
    follow_world_serve(world, SIZE);
    open_trusted(SIZE, &note);
    follow_world_open(world);
    memory_log_on_get(world->base->honest, watch_gets, &watch);
    follow_world_step_after(world, 5);
    assert_int_equal(follow_world_held(world), SIZE);
    assert_int_equal(watch.bundles_seen, 0);
    watched_log_status(world->base->log, &status);
    assert_true(status.has_trusted_start);
    assert_int_equal(status.trusted_start, SIZE);
    follow_world_serve(world, SIZE + 500);
    follow_world_step_after(world, 5);
    assert_int_equal(follow_world_held(world), SIZE + 500);
    assert_true((watch.bundles_seen & 0xfffff) == 0);
    follow_world_restart(world);
    watched_log_status(world->base->log, &status);
    assert_true(status.has_trusted_start);
    assert_int_equal(status.trusted_start, SIZE);
    assert_none();
    buf_clear(&note);
}

static void trusted_start_is_tried_until_its_tiles_are_there(void **state)
{
    (void)state;
    struct buf note;
    follow_world_serve(world, SIZE);
    open_trusted(SIZE, &note);
    follow_world_open(world);
    memory_log_fail(world->base->honest, "tile/1/000.p/20", E_IO);
    follow_world_step_after(world, 5);
    assert_int_equal(follow_world_held(world), UINT64_MAX); /* and nothing from size 0 */
    memory_log_restore_all(world->base->honest);
    flip("tile/1/000.p/20");
    follow_world_step_after(world, 5);
    assert_int_equal(follow_world_held(world), UINT64_MAX);
    assert_only(FINDING_ROOT_MISMATCH, "");
    memory_log_restore_all(world->base->honest);
    follow_world_step_after(world, 5);
    assert_int_equal(follow_world_held(world), SIZE);
    assert_none();
    buf_clear(&note);
}

static void trusted_start_must_be_signed_by_the_log(void **state)
{
    (void)state;
    struct buf note;
    open_trusted(COMPARE_WORLD_SIZE, &note);
    note.data[strlen(COMPARE_WORLD_ORIGIN "\n")] ^= 1; /* its size */
    assert_int_not_equal(follow_world_try_open(world), E_OK);
    follow_world_close(world);
    buf_clear(&note);
    note = compare_world_sign(world->base, world->base->honest, COMPARE_WORLD_SIZE,
                              &world->base->other_key, NULL);
    world->trusted = buf_span(&note);
    assert_int_equal(follow_world_try_open(world), E_BAD_SIGNATURE);
    buf_clear(&note);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wrong_entry_is_a_root_mismatch_until_it_is_right),
        TEST(mismatch_is_over_with_an_honest_larger_note),
        TEST(changed_entries_of_before_are_a_root_mismatch),
        TEST(malformed_bundle_is_named_and_over_when_repaired),
        TEST(missing_entries_are_withheld_only_after_a_while),
        TEST(publication_that_races_is_no_finding),
        TEST(data_that_does_not_answer_counts_as_unreachable),
        TEST(wrong_tile_is_named_and_over_when_repaired),
        TEST(missing_tile_is_named_and_over_when_it_is_there),
        TEST(many_wrong_tiles_are_counted),
        TEST(mirror_serves_what_the_log_lacks),
        TEST(mirror_serves_right_what_the_log_serves_wrong),
        TEST(malformed_file_of_the_log_is_told_though_a_mirror_helps),
        TEST(lying_mirror_is_not_held_against_the_log),
        TEST(stopped_scan_goes_on_where_it_was),
        TEST(wrong_tile_is_not_forgotten_with_a_restart),
        TEST(cursor_of_a_lying_log_is_dropped),
        TEST(step_of_a_long_scan_ends_and_polls_again),
        TEST(scan_that_fails_slowly_is_not_repeated_at_once),
        TEST(note_shown_elsewhere_is_verified_though_the_log_lags),
        TEST(absurd_size_that_waits_hides_no_other),
        TEST(trusted_start_is_held_without_its_entries),
        TEST(trusted_start_is_tried_until_its_tiles_are_there),
        TEST(trusted_start_must_be_signed_by_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
