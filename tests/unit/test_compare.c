#include "monitor/compare.h"

#include "monitor/contradiction.h"
#include "monitor/witness_memory.h"
#include "tests/support/compare_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum {
    NOW = COMPARE_WORLD_NOW,
    PARTED = COMPARE_WORLD_PARTED,
    SIZE = COMPARE_WORLD_SIZE
};

static struct compare_world *world;
static struct compare_outcome outcome;
static struct err err;

static int set_up(void **state)
{
    (void)state;
    world = compare_world_new("group g 2 w0 w1 w2\nquorum g\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    compare_world_free(world);
    return 0;
}

/* -- helpers -- */

static enum err_code compare(struct span note)
{
    return compare_note(world->log, "witness http://w.example", note, &world->now, &outcome, &err);
}

static void compare_tree(struct memory_log *tree, uint64_t size, const uint64_t *times,
                         enum compare_result expected)
{
    struct buf note = compare_world_note(world, tree, size, times);
    assert_int_equal(compare(buf_span(&note)), E_OK);
    assert_int_equal(outcome.result, expected);
    assert_int_equal(outcome.checkpoint.size, size);
    buf_clear(&note);
}

/* A note of the log about a tree that nobody has. */
static struct buf invent(uint64_t size, uint64_t seed)
{
    struct checkpoint checkpoint = { .origin = COMPARE_WORLD_ORIGIN, .size = size };
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX), note = BUF_INIT(COMPARE_WORLD_NOTE_MAX);
    checkpoint.root = sha256(span_of(&seed, sizeof seed));
    checkpoint_put(&text, &checkpoint);
    keys_put_signed(&note, buf_span(&text), &world->log_key, 0);
    buf_clear(&text);
    return note;
}

static size_t forks(void)
{
    return compare_world_count(world, FINDING_FORK, "", false);
}

static size_t equivocations(const char *witness)
{
    return compare_world_count(world, FINDING_WITNESS_EQUIVOCATION, witness, false);
}

/* -- honest notes -- */

static void every_smaller_size_is_consistent(void **state)
{
    (void)state;
    for (uint64_t held = 0; held <= SIZE; held += held < 10 ? 1 : 9) {
        compare_world_hold(world, held, NULL);
        for (uint64_t size = 0; size <= held; size++) {
            compare_tree(world->honest, size, NULL,
                         size == held ? COMPARE_SAME : COMPARE_CONSISTENT);
        }
    }
    assert_int_equal(world->call_count, 0);
}

static void larger_sizes_are_ahead_and_raise_nothing(void **state)
{
    (void)state;
    compare_world_hold(world, 30, NULL);
    compare_tree(world->honest, 31, NULL, COMPARE_AHEAD);
    compare_tree(world->forked, 64, NULL, COMPARE_AHEAD);
    struct buf note = invent(SIZE_VALUE_MAX, 1);
    assert_int_equal(compare(buf_span(&note)), E_OK);
    assert_int_equal(outcome.result, COMPARE_AHEAD);
    buf_clear(&note);
    assert_int_equal(world->call_count, 0);
}

static void before_anything_is_held_nothing_is_said(void **state)
{
    (void)state;
    compare_tree(world->forked, 30, NULL, COMPARE_NOTHING_HELD);
    compare_tree(world->honest, 0, NULL, COMPARE_NOTHING_HELD);
    assert_int_equal(world->call_count, 0);
}

static void the_verdict_comes_with_the_outcome(void **state)
{
    (void)state;
    compare_world_hold(world, 30, NULL);
    compare_tree(world->honest, 25, (const uint64_t[]){ NOW, 0, NOW - 5 }, COMPARE_CONSISTENT);
    assert_true(outcome.verdict.is_met);
    assert_int_equal(outcome.verdict.timestamps[2], NOW - 5);
    assert_false(outcome.has_evidence);
}

/* -- contradictions -- */

static void another_root_at_the_held_size_is_a_fork(void **state)
{
    (void)state;
    for (uint64_t size = PARTED + 1; size < PARTED + 10; size++) {
        compare_world_hold(world, size, NULL);
        compare_tree(world->forked, size, NULL, COMPARE_CONTRADICTION);
        assert_true(outcome.has_evidence);
        assert_int_equal(forks(), size - PARTED);
        struct hash id = sha256(buf_span(&world->evidence));
        assert_true(hash_is_equal(&outcome.evidence_id, &id));
        assert_true(
            hash_is_equal(&outcome.evidence_id, &world->calls[world->call_count - 1].evidence_id));
    }
    assert_int_equal(compare_world_raised(world), 9);
}

static void another_root_at_a_smaller_size_is_a_fork_with_proof(void **state)
{
    (void)state;
    for (uint64_t size = 1; size < SIZE; size++) {
        if (size % 12 == 0 && size > PARTED) { /* else there are enough pieces after 16 */
            compare_world_free(world);
            world = compare_world_new("quorum none\n");
        }
        compare_world_hold(world, SIZE, NULL);
        size_t before = forks();
        bool is_fork = size > PARTED;
        compare_tree(world->forked, size, NULL,
                     is_fork ? COMPARE_CONTRADICTION : COMPARE_CONSISTENT);
        assert_int_equal(forks(), before + is_fork);
        assert_int_equal(outcome.has_evidence, is_fork);
    }
}

static void one_contradiction_is_raised_once_whoever_shows_it(void **state)
{
    (void)state;
    compare_world_hold(world, 40, NULL);
    compare_tree(world->forked, 30, NULL, COMPARE_CONTRADICTION);
    struct hash id = outcome.evidence_id;
    compare_tree(world->forked, 30, (const uint64_t[]){ NOW, 0, 0 }, COMPARE_CONTRADICTION);
    assert_true(outcome.has_evidence);
    assert_true(hash_is_equal(&outcome.evidence_id, &id));
    compare_world_hold(world, 50, NULL); /* the proof to it would be another one */
    watched_log_free(world->log);        /* and after a restart */
    compare_world_open_log(world);
    compare_world_hold(world, 51, NULL);
    compare_tree(world->forked, 30, NULL, COMPARE_CONTRADICTION);
    assert_true(outcome.has_evidence);
    assert_true(hash_is_equal(&outcome.evidence_id, &id));
    assert_int_equal(compare_world_raised(world), 1);
}

/* A log that signs any number of heads: 16 pieces, then one an hour. */
static void pieces_are_bounded_whatever_the_log_signs(void **state)
{
    (void)state;
    compare_world_hold(world, SIZE, NULL);
    for (uint64_t i = 0; i < 300; i++) {
        struct buf note = invent(1 + i % SIZE, i);
        assert_int_equal(compare(buf_span(&note)), E_OK);
        assert_int_equal(outcome.result, COMPARE_CONTRADICTION);
        assert_int_equal(outcome.has_evidence, i <= CONTRADICTION_PIECES_MAX);
        buf_clear(&note);
    }
    assert_int_equal(forks(), CONTRADICTION_PIECES_MAX + 1);
    compare_world_pass(world, CONTRADICTION_LATER_S - 1);
    for (uint64_t i = 1000; i < 1010; i++) {
        struct buf note = invent(20, i);
        assert_int_equal(compare(buf_span(&note)), E_OK);
        buf_clear(&note);
        compare_world_pass(world, i == 1004 ? 1 : 0);
    }
    assert_int_equal(forks(), CONTRADICTION_PIECES_MAX + 2);
}

static void what_could_not_be_raised_is_raised_later(void **state)
{
    (void)state;
    compare_world_hold(world, 40, NULL);
    struct buf note = compare_world_note(world, world->forked, 30, NULL);
    world->is_sink_failing = true;
    assert_int_equal(compare(buf_span(&note)), E_IO);
    assert_int_equal(forks(), 0);
    world->is_sink_failing = false;
    kv_memory_fail(world->kv, 1, false);
    assert_int_equal(compare(buf_span(&note)), E_IO); /* raised, but not remembered */
    assert_int_equal(forks(), 1);
    assert_int_equal(compare(buf_span(&note)), E_OK);
    assert_int_equal(outcome.result, COMPARE_CONTRADICTION);
    assert_int_equal(forks(), 2);
    assert_true(hash_is_equal(&world->calls[0].evidence_id, &world->calls[1].evidence_id));
    buf_clear(&note);
}

static void bytes_of_who_shows_it_are_escaped(void **state)
{
    (void)state;
    compare_world_hold(world, 40, NULL);
    struct buf note = compare_world_note(world, world->forked, 40, NULL);
    char from[2000];
    memset(from, '\x1b', sizeof from - 1);
    from[sizeof from - 1] = 0;
    assert_int_equal(compare_note(world->log, from, buf_span(&note), &world->now, &outcome, &err),
                     E_OK);
    assert_int_equal(forks(), 1);
    for (const char *c = world->calls[0].summary; *c != 0; c++) {
        assert_true(*c >= 0x20 && *c < 0x7f);
    }
    assert_non_null(strstr(world->calls[0].summary, "size 40"));
    buf_clear(&note);
}

/* -- witnesses -- */

static void a_witness_on_both_sides_is_blamed_and_no_other(void **state)
{
    (void)state;
    compare_world_hold(world, 40, (const uint64_t[]){ NOW, NOW, 0 });
    compare_tree(world->forked, 40, (const uint64_t[]){ 0, NOW - 9, NOW }, COMPARE_CONTRADICTION);
    assert_int_equal(equivocations("w1"), 1);
    assert_int_equal(equivocations(NULL), 1);
    compare_tree(world->forked, 30, (const uint64_t[]){ NOW - 9, 0, 0 }, COMPARE_CONTRADICTION);
    assert_int_equal(equivocations("w0"), 1);
    assert_int_equal(equivocations(NULL), 2);
    assert_int_equal(forks(), 2);
}

/* The held note lacks the line of w2, but one of those before had it. */
static void a_witness_is_blamed_by_a_note_that_is_kept(void **state)
{
    (void)state;
    for (uint64_t kept = 30; kept <= 40; kept += 5) {
        struct buf note =
            compare_world_note(world, world->honest, kept, (const uint64_t[]){ 0, 0, NOW });
        compare_world_hold(world, 40, NULL);
        compare_tree(world->honest, kept, NULL, kept == 40 ? COMPARE_SAME : COMPARE_CONSISTENT);
        assert_int_equal(witness_memory_add(world->log, "log", buf_span(&note), NOW, &err), E_OK);
        compare_tree(world->forked, 30, (const uint64_t[]){ NOW, 0, NOW - 100 },
                     COMPARE_CONTRADICTION);
        assert_int_equal(equivocations("w2"), 1);
        assert_int_equal(equivocations(NULL), 1);
        buf_clear(&note);
        compare_world_free(world);
        world = compare_world_new("quorum none\n");
    }
}

/* Once the held note bears the line of a witness that signed the fork. */
static void a_witness_that_comes_over_is_blamed_though_the_fork_is_known(void **state)
{
    (void)state;
    compare_world_hold(world, 40, NULL);
    compare_tree(world->forked, 30, (const uint64_t[]){ NOW, 0, 0 }, COMPARE_CONTRADICTION);
    assert_int_equal(equivocations(NULL), 0);
    compare_world_hold(world, 45, (const uint64_t[]){ NOW, NOW, 0 });
    compare_tree(world->forked, 30, (const uint64_t[]){ NOW, 0, 0 }, COMPARE_CONTRADICTION);
    compare_tree(world->forked, 30, (const uint64_t[]){ NOW, 0, 0 }, COMPARE_CONTRADICTION);
    assert_int_equal(equivocations("w0"), 1);
    assert_int_equal(compare_world_raised(world), 2);
}

/* A line that does not verify, put before the good one, must not save anybody. */
static void bad_lines_do_not_stand_in_the_way(void **state)
{
    (void)state;
    compare_world_hold(world, 40, (const uint64_t[]){ NOW, 0, 0 });
    struct buf stale =
        compare_world_note(world, world->forked, 33, (const uint64_t[]){ NOW, 0, 0 });
    struct buf note = compare_world_note(world, world->forked, 35, NULL);
    struct buf good = compare_world_note(world, world->forked, 35, (const uint64_t[]){ NOW, 0, 0 });
    size_t at = span_find_last(span_of(stale.data, stale.len - 1), span_of_str("\n")) + 1;
    size_t good_at = span_find_last(span_of(good.data, good.len - 1), span_of_str("\n")) + 1;
    buf_put(&note, span_of(stale.data + at, stale.len - at));
    buf_put(&note, span_of(good.data + good_at, good.len - good_at));
    assert_int_equal(compare(buf_span(&note)), E_OK);
    assert_int_equal(outcome.result, COMPARE_CONTRADICTION);
    assert_int_equal(forks(), 1);
    assert_int_equal(equivocations("w0"), 1);
    buf_clear(&stale);
    buf_clear(&note);
    buf_clear(&good);
}

/* Extension lines up to the bound, on both notes. */
static struct buf make_large(struct memory_log *tree, uint64_t size)
{
    struct buf text = BUF_INIT(64 * 1024), note = BUF_INIT(NOTE_BYTES_MAX);
    memory_log_put_text(tree, size, &text);
    while (text.len < 32 * 1024 - 100) {
        buf_put_str(&text,
                    "one of many extension lines that an operator may put on a checkpoint\n");
    }
    keys_put_signed(&note, buf_span(&text), &world->log_key, 0);
    for (size_t i = 0; i < COMPARE_WORLD_WITNESSES; i++) {
        keys_put_signature(&note, buf_span(&text), &world->witnesses[i], NOW);
    }
    for (int i = 0; i < 96; i++) {
        buf_put_str(&note, "\xe2\x80\x94 stranger AAAAAAAAAAAA\n");
    }
    buf_clear(&text);
    return note;
}

static void the_largest_notes_make_evidence_too(void **state)
{
    (void)state;
    compare_world_hold(world, 40, NULL);
    struct held_tree held;
    watched_log_held(world->log, &held);
    buf_clear(&held.note);
    held.note = make_large(world->honest, 40);
    watched_log_hold(world->log, &held);
    struct buf note = make_large(world->forked, 30);
    assert_int_equal(compare(buf_span(&note)), E_OK);
    assert_int_equal(outcome.result, COMPARE_CONTRADICTION);
    assert_true(outcome.has_evidence);
    assert_int_equal(forks(), 1);
    assert_int_equal(equivocations(NULL), COMPARE_WORLD_WITNESSES);
    buf_clear(&note);
}

/* -- framing: none of these may raise anything -- */

static void forged_notes_under_another_key_prove_nothing(void **state)
{
    struct signer forger = keys_signer(COMPARE_WORLD_ORIGIN, SIGNATURE_ED25519, "forger");
    (void)state;
    compare_world_hold(world, 40, (const uint64_t[]){ NOW, NOW, NOW });
    for (uint64_t size = 1; size <= SIZE; size += 7) {
        struct buf note = compare_world_sign(world, world->forked, size, &forger,
                                             (const uint64_t[]){ NOW, NOW, NOW });
        assert_int_equal(compare(buf_span(&note)), E_BAD_SIGNATURE);
        buf_clear(&note);
        /* The key of another log of the policy, and of the promise. */
        note = compare_world_sign(world, world->forked, size, &world->other_key, NULL);
        assert_int_equal(compare(buf_span(&note)), E_BAD_SIGNATURE);
        buf_clear(&note);
        note = compare_world_sign(world, world->forked, size, &world->promise_key, NULL);
        assert_int_equal(compare(buf_span(&note)), E_BAD_SIGNATURE);
        buf_clear(&note);
    }
    assert_int_equal(world->call_count, 0);
    signer_clear(&forger);
}

static void flipped_bits_prove_nothing(void **state)
{
    (void)state;
    compare_world_hold(world, 40, (const uint64_t[]){ NOW, NOW, NOW });
    struct buf note = compare_world_note(world, world->honest, 40, (const uint64_t[]){ NOW, 0, 0 });
    for (size_t i = 0; i < note.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            note.data[i] ^= (uint8_t)(1 << bit);
            if (compare(buf_span(&note)) == E_OK) {
                assert_int_equal(outcome.result, COMPARE_SAME); /* a line of nobody */
            }
            note.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    assert_int_equal(world->call_count, 0);
    buf_clear(&note);
}

static void stripped_and_stale_notes_prove_nothing(void **state)
{
    (void)state;
    compare_world_hold(world, 40, (const uint64_t[]){ NOW, NOW, NOW });
    compare_tree(world->honest, 40, NULL, COMPARE_SAME);
    compare_tree(world->honest, 5, (const uint64_t[]){ 1, 0, 0 }, COMPARE_CONSISTENT);
    compare_tree(world->honest, 40, (const uint64_t[]){ 1, NOW + 100000, 0 }, COMPARE_SAME);
    assert_int_equal(world->call_count, 0);
}

static void notes_of_other_logs_are_not_looked_at(void **state)
{
    (void)state;
    struct memory_log *other =
        memory_log_new(&(struct memory_log_options){ .seed = 9, .signer = &world->other_key });
    memory_log_grow(other, 40);
    compare_world_hold(world, 40, NULL);
    struct buf note = compare_world_sign(world, other, 40, &world->other_key, NULL);
    assert_int_equal(compare(buf_span(&note)), E_NOT_FOUND);
    buf_clear(&note);
    note = compare_world_sign(world, other, 40, &world->log_key, NULL);
    assert_int_equal(compare(buf_span(&note)), E_NOT_FOUND);
    buf_clear(&note);
    assert_int_equal(compare(span_of_str("no note")), E_MALFORMED);
    assert_int_equal(compare(span_of_str("")), E_MALFORMED);
    memory_log_free(other);
    assert_int_equal(world->call_count, 0);
}

/* Somebody between us and the log serves the tiles of another tree: they prove nothing about honest notes, nor
 * does their absence. */
static void false_tiles_prove_nothing(void **state)
{
    (void)state;
    compare_world_hold(world, 40, NULL);
    struct buf tile = BUF_INIT(TILE_BYTES);
    memory_log_publish(world->forked, 40);
    assert_int_equal(memory_log_get(world->forked, "tile/0/000.p/40", &tile, &err), E_OK);
    memory_log_replace(world->honest, "tile/0/000.p/40", buf_span(&tile));
    for (uint64_t size = 1; size < 40; size++) {
        compare_tree(world->honest, size, NULL, COMPARE_NO_DATA);
        compare_tree(world->forked, size, NULL, COMPARE_NO_DATA);
        assert_true(outcome.detail[0] != 0);
    }
    memory_log_replace(world->honest, "tile/0/000.p/40", span_of_str("rubbish"));
    compare_tree(world->honest, 30, NULL, COMPARE_NO_DATA);
    memory_log_remove(world->honest, "tile/0/000.p/40");
    compare_tree(world->honest, 30, NULL, COMPARE_NO_DATA);
    memory_log_fail_all(world->honest, E_TIMEOUT);
    compare_tree(world->forked, 30, NULL, COMPARE_NO_DATA);
    assert_int_equal(world->call_count, 0);
    memory_log_fail_all(world->honest, E_OK);
    memory_log_restore_all(world->honest);
    compare_tree(world->forked, 30, NULL, COMPARE_CONTRADICTION);
    buf_clear(&tile);
}

/* -- sources -- */

static void another_source_serves_what_the_log_does_not(void **state)
{
    (void)state;
    struct memory_log *mirror =
        memory_log_fork(world->honest, 40,
                        &(struct memory_log_options){ .seed = 1, .signer = &world->log_key });
    memory_log_publish(mirror, 40);
    world->options.sources[1] = (struct scan_source){ world->forked, memory_log_open_source };
    world->options.sources[2] = (struct scan_source){ mirror, memory_log_open_source };
    world->options.source_count = 3;
    watched_log_free(world->log);
    compare_world_open_log(world);
    compare_world_hold(world, 40, NULL);
    memory_log_fail_all(world->honest, E_IO);
    compare_tree(world->honest, 30, NULL, COMPARE_CONSISTENT);
    compare_tree(world->forked, 30, NULL, COMPARE_CONTRADICTION);
    assert_int_equal(forks(), 1);
    memory_log_free(mirror);
}

static void below_the_trusted_start_missing_data_is_no_fault(void **state)
{
    (void)state;
    compare_world_hold(world, 40, NULL);
    struct held_tree held;
    watched_log_held(world->log, &held);
    held.has_trusted_start = true;
    held.trusted_start = 25;
    watched_log_hold(world->log, &held);
    compare_tree(world->honest, 10, NULL, COMPARE_CONSISTENT);
    memory_log_fail_all(world->honest, E_NOT_FOUND);
    compare_tree(world->honest, 24, NULL, COMPARE_NOT_LOOKED_AT);
    compare_tree(world->honest, 25, NULL, COMPARE_NO_DATA);
    assert_int_equal(world->call_count, 0);
}

static void every_older_root_comes_with_its_proof(void **state)
{
    (void)state;
    for (uint64_t held_size = 0; held_size <= SIZE; held_size += held_size < 9 ? 1 : 11) {
        compare_world_hold(world, held_size, NULL);
        struct held_tree held;
        watched_log_held(world->log, &held);
        for (uint64_t size = 0; size <= held_size; size++) {
            struct hash root, expected = memory_log_root(world->honest, size);
            struct proof proof;
            assert_int_equal(compare_older_root(world->log, &held, size, &root, &proof, &err),
                             E_OK);
            assert_true(hash_is_equal(&root, &expected));
            assert_int_equal(proof_verify_consistency(&proof, size, held_size, &root, &held.root,
                                                      &err),
                             E_OK);
        }
        held_tree_clear(&held);
    }
}

/* -- promises -- */

static struct buf promise_of(struct memory_log *tree, const uint64_t *indices, size_t count,
                             const struct signer *key)
{
    struct promise_item items[8];
    struct buf text = BUF_INIT(PROMISE_TEXT_MAX), note = BUF_INIT(PROMISE_NOTE_MAX);
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct promise_item){ indices[i], memory_log_leaf(tree, indices[i]) };
    }
    promise_put_text(&text, COMPARE_WORLD_ORIGIN, items, count);
    keys_put_signed(&note, buf_span(&text), key, 0);
    buf_clear(&text);
    return note;
}

static struct compare_promise_outcome promised;

static enum err_code judge_promise(struct memory_log *tree, const uint64_t *indices, size_t count)
{
    struct buf note = promise_of(tree, indices, count, &world->promise_key);
    enum err_code rc =
        compare_promise(world->log, "file a", buf_span(&note), &world->now, &promised, &err);
    buf_clear(&note);
    return rc;
}

static void kept_promises_are_counted(void **state)
{
    (void)state;
    compare_world_hold(world, 40, NULL);
    assert_int_equal(judge_promise(world->honest, (const uint64_t[]){ 0, 39, 40, 63, 7 }, 5), E_OK);
    assert_int_equal(promised.kept, 3);
    assert_int_equal(promised.open, 2);
    assert_int_equal(promised.broken, 0);
    assert_int_equal(world->call_count, 0);
}

static void a_broken_promise_is_raised_with_evidence(void **state)
{
    (void)state;
    compare_world_hold(world, 40, NULL);
    const uint64_t indices[] = { 3, PARTED, PARTED + 2, 50 };
    for (int times = 0; times < 3; times++) {
        assert_int_equal(judge_promise(world->forked, indices, 4), E_OK);
        assert_int_equal(promised.kept, 1);
        assert_int_equal(promised.broken, 2);
        assert_int_equal(promised.open, 1);
        assert_true(promised.has_evidence);
    }
    assert_int_equal(compare_world_count(world, FINDING_PROMISE_BROKEN, "", false), 1);
    assert_int_equal(world->call_count, 1);
    assert_true(hash_is_equal(&promised.evidence_id, &world->calls[0].evidence_id));
}

static void every_index_can_convict(void **state)
{
    (void)state;
    for (uint64_t index = PARTED; index < SIZE; index += 3) {
        compare_world_hold(world, index + 1 + index % 3 < SIZE ? index + 1 + index % 3 : SIZE,
                           NULL);
        assert_int_equal(judge_promise(world->forked, &index, 1), E_OK);
        assert_int_equal(promised.broken, 1);
    }
    assert_true(compare_world_count(world, FINDING_PROMISE_BROKEN, "", false) >= 15);
}

static void promises_that_cannot_be_judged_raise_nothing(void **state)
{
    (void)state;
    const uint64_t index = PARTED;
    assert_int_equal(judge_promise(world->forked, &index, 1), E_OK); /* nothing is held */
    assert_int_equal(promised.open, 1);
    compare_world_hold(world, 40, NULL);
    memory_log_fail_all(world->honest, E_TIMEOUT);
    assert_int_equal(judge_promise(world->forked, &index, 1), E_OK);
    assert_int_equal(promised.open, 1);
    assert_true(promised.detail[0] != 0);
    memory_log_fail_all(world->honest, E_OK);
    struct signer forger = keys_signer(world->promise_key.vkey.name, SIGNATURE_ED25519, "forger");
    struct buf note = promise_of(world->forked, &index, 1, &forger);
    assert_int_equal(compare_promise(world->log, "x", buf_span(&note), &world->now, &promised,
                                     &err),
                     E_BAD_SIGNATURE);
    buf_clear(&note);
    note = promise_of(world->forked, &index, 1, &world->log_key);
    assert_int_equal(compare_promise(world->log, "x", buf_span(&note), &world->now, &promised,
                                     &err),
                     E_BAD_SIGNATURE);
    buf_clear(&note);
    assert_int_equal(compare_promise(world->log, "x", span_of_str("no"), &world->now, &promised,
                                     &err),
                     E_MALFORMED);
    watched_log_free(world->log);
    world->options.promise_key = NULL;
    compare_world_open_log(world);
    assert_int_equal(judge_promise(world->forked, &index, 1), E_UNSUPPORTED);
    assert_int_equal(world->call_count, 0);
    signer_clear(&forger);
}

static void results_have_names(void **state)
{
    (void)state;
    assert_string_equal(compare_result_text(COMPARE_SAME), "same");
    assert_string_equal(compare_result_text(COMPARE_CONSISTENT), "consistent");
    assert_string_equal(compare_result_text(COMPARE_AHEAD), "ahead");
    assert_string_equal(compare_result_text(COMPARE_CONTRADICTION), "contradiction");
    assert_string_equal(compare_result_text(COMPARE_NO_DATA), "no-data");
    assert_string_equal(compare_result_text(COMPARE_NOTHING_HELD), "nothing-held");
    assert_string_equal(compare_result_text(COMPARE_NOT_LOOKED_AT), "not-looked-at");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_smaller_size_is_consistent),
        TEST(larger_sizes_are_ahead_and_raise_nothing),
        TEST(before_anything_is_held_nothing_is_said),
        TEST(the_verdict_comes_with_the_outcome),
        TEST(another_root_at_the_held_size_is_a_fork),
        TEST(another_root_at_a_smaller_size_is_a_fork_with_proof),
        TEST(one_contradiction_is_raised_once_whoever_shows_it),
        TEST(pieces_are_bounded_whatever_the_log_signs),
        TEST(what_could_not_be_raised_is_raised_later),
        TEST(bytes_of_who_shows_it_are_escaped),
        TEST(a_witness_on_both_sides_is_blamed_and_no_other),
        TEST(a_witness_is_blamed_by_a_note_that_is_kept),
        TEST(a_witness_that_comes_over_is_blamed_though_the_fork_is_known),
        TEST(bad_lines_do_not_stand_in_the_way),
        TEST(the_largest_notes_make_evidence_too),
        TEST(forged_notes_under_another_key_prove_nothing),
        TEST(flipped_bits_prove_nothing),
        TEST(stripped_and_stale_notes_prove_nothing),
        TEST(notes_of_other_logs_are_not_looked_at),
        TEST(false_tiles_prove_nothing),
        TEST(another_source_serves_what_the_log_does_not),
        TEST(below_the_trusted_start_missing_data_is_no_fault),
        TEST(every_older_root_comes_with_its_proof),
        TEST(kept_promises_are_counted),
        TEST(a_broken_promise_is_raised_with_evidence),
        TEST(every_index_can_convict),
        TEST(promises_that_cannot_be_judged_raise_nothing),
        TEST(results_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
