#include "monitor/witness_memory.h"

#include "monitor/contradiction.h"
#include "tests/support/compare_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum {
    NOW = COMPARE_WORLD_NOW,
    SIZE = COMPARE_WORLD_SIZE
};

static struct compare_world *world;
static struct err err;

static int set_up(void **state)
{
    (void)state;
    world = compare_world_new("quorum none\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    compare_world_free(world);
    return 0;
}

/* -- helpers -- */

static enum err_code add_note(struct span note)
{
    return witness_memory_add(world->log, "somebody", note, NOW, &err);
}

static void add_times(struct memory_log *tree, uint64_t size, uint64_t t0, uint64_t t1, uint64_t t2)
{
    struct buf note = compare_world_note(world, tree, size, (const uint64_t[]){ t0, t1, t2 });
    assert_int_equal(add_note(buf_span(&note)), E_OK);
    buf_clear(&note);
}

/* A line of w0. */
static void add(uint64_t size, uint64_t time)
{
    add_times(world->honest, size, time, 0, 0);
}

static size_t equivocations(const char *witness)
{
    return compare_world_count(world, FINDING_WITNESS_EQUIVOCATION, witness, false);
}

/* xorshift: the same in every run. */
static uint64_t random_state;

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % below;
}

/* -- the honest -- */

struct signed_line {
    uint64_t size, time;
};

/* What an honest witness signs, in order: sizes that grow or stay, times that grow or stay. */
static size_t make_history(struct signed_line *lines, size_t max)
{
    struct signed_line last = { 1 + draw(3), 1000 + draw(5) };
    size_t count = 0;
    while (count < max && last.size <= SIZE) {
        lines[count++] = last;
        last.size += draw(3) == 0 ? 0 : draw(4);
        last.time += draw(3) == 0 ? 0 : draw(20);
    }
    return count;
}

static void shuffle(struct signed_line *lines, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t k = draw(i);
        struct signed_line swap = lines[i - 1];
        lines[i - 1] = lines[k];
        lines[k] = swap;
    }
}

/* Notes come in any order, again and again: late lines on old notes have the times when they were made. */
static void an_honest_witness_is_never_blamed(void **state)
{
    struct signed_line lines[30];
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        random_state = seed * 0x9e3779b97f4a7c15u;
        size_t count = make_history(lines, 30);
        if (seed % 3 != 0) {
            shuffle(lines, count);
        }
        for (size_t i = 0; i < count; i++) {
            add(lines[i].size, lines[i].time);
            struct signed_line *again = &lines[draw(i + 1)];
            add(again->size, again->time);
        }
        assert_int_equal(world->call_count, 0);
        compare_world_free(world);
        world = compare_world_new("quorum none\n");
    }
}

/* Witnesses have clocks of their own: what one signs says nothing about another. */
static void witnesses_are_not_mixed_up(void **state)
{
    (void)state;
    add_times(world->honest, 10, 500, 900, 0);
    add_times(world->honest, 20, 600, 0, 100);
    add_times(world->honest, 30, 0, 1000, 200);
    add_times(world->honest, 5, 0, 899, 99);
    assert_int_equal(world->call_count, 0);
}

static void a_time_signed_for_two_sizes_is_no_fault(void **state)
{
    (void)state;
    add(10, 500);
    add(20, 500);
    add(15, 500);
    add(20, 900);
    add(20, 700);
    add(10, 499);
    assert_int_equal(world->call_count, 0);
}

/* -- the guilty -- */

static void a_smaller_size_at_a_later_time_is_equivocation(void **state)
{
    (void)state;
    add(20, 500);
    add(10, 501);
    assert_int_equal(equivocations("w0"), 1);
    assert_int_equal(compare_world_raised(world), 1);
    assert_non_null(strstr(world->calls[0].summary, "size 10 at time 501"));
    assert_non_null(strstr(world->calls[0].summary, "size 20 at time 500"));
    add(10, 501);
    assert_int_equal(equivocations(NULL), 1);
}

static void it_is_found_in_the_other_order_too(void **state)
{
    (void)state;
    add(10, 501);
    add(20, 500);
    assert_int_equal(equivocations("w0"), 1);
    assert_int_equal(compare_world_raised(world), 1);
}

/* The largest size was signed again later: the first time of it counts. */
static void signing_again_hides_nothing(void **state)
{
    (void)state;
    add(20, 500);
    add(20, 900);
    add(10, 700);
    assert_int_equal(equivocations("w0"), 1);
}

/* The latest time is remembered with the smallest size that it was given. */
static void a_late_small_size_is_remembered(void **state)
{
    (void)state;
    add(20, 500);
    add(30, 900);
    add(25, 900);
    add(28, 899);
    assert_int_equal(equivocations("w0"), 1);
}

static void two_roots_of_one_size_are_equivocation_and_fork(void **state)
{
    (void)state;
    add_times(world->honest, 30, 500, 500, 0);
    add_times(world->forked, 30, 0, 500, 500);
    assert_int_equal(equivocations("w1"), 1);
    assert_int_equal(equivocations(NULL), 1);
    assert_int_equal(compare_world_count(world, FINDING_FORK, "", false), 1);
}

/* In the order of time a witness that goes back is found whenever it does, whatever it signed before. */
static void each_step_back_in_the_order_of_time_is_found(void **state)
{
    struct signed_line lines[20];
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        random_state = seed * 0x9e3779b97f4a7c15u;
        size_t count = make_history(lines, 20);
        for (size_t i = 0; i < count; i++) {
            add(lines[i].size, lines[i].time);
        }
        struct signed_line last = lines[count - 1];
        if (last.size > 1) {
            add(1 + draw(last.size - 1), last.time + 1 + draw(10));
            assert_int_equal(equivocations("w0"), 1);
        }
        compare_world_free(world);
        world = compare_world_new("quorum none\n");
    }
}

static void pieces_against_one_witness_are_bounded(void **state)
{
    (void)state;
    add(60, 500);
    for (uint64_t i = 1; i < 50; i++) {
        add(60 - i, 500 + i);
    }
    assert_int_equal(equivocations("w0"), CONTRADICTION_PIECES_MAX + 1);
    add_times(world->honest, 60, 0, 500, 0);
    add_times(world->honest, 50, 0, 501, 0);
    assert_int_equal(equivocations("w1"), 1);
}

/* -- framing -- */

static void lines_that_do_not_verify_are_not_remembered(void **state)
{
    (void)state;
    add(20, 500);
    struct buf note = compare_world_note(world, world->honest, 10, (const uint64_t[]){ 501, 0, 0 });
    struct buf other =
        compare_world_note(world, world->honest, 11, (const uint64_t[]){ 502, 0, 0 });
    size_t at = span_find_last(span_of(note.data, note.len - 1), span_of_str("\n")) + 1;
    size_t from = span_find_last(span_of(other.data, other.len - 1), span_of_str("\n")) + 1;
    buf_truncate(&note, at); /* the line of another note */
    buf_put(&note, span_of(other.data + from, other.len - from));
    assert_int_equal(add_note(buf_span(&note)), E_OK);
    assert_int_equal(world->call_count, 0);
    buf_clear(&note);
    buf_clear(&other);
}

/* The witness may well cosign what somebody else calls by the log's name: it has not seen this log. */
static void notes_that_the_log_did_not_sign_are_not_remembered(void **state)
{
    struct signer forger = keys_signer(COMPARE_WORLD_ORIGIN, SIGNATURE_ED25519, "forger");
    (void)state;
    add(20, 500);
    struct buf note =
        compare_world_sign(world, world->forked, 10, &forger, (const uint64_t[]){ 501, 0, 0 });
    assert_int_equal(add_note(buf_span(&note)), E_OK);
    assert_int_equal(add_note(span_of_str("rubbish")), E_OK);
    assert_int_equal(world->call_count, 0);
    buf_clear(&note);
    signer_clear(&forger);
}

static void flipped_bits_blame_nobody(void **state)
{
    (void)state;
    add(20, 500);
    struct buf note = compare_world_note(world, world->honest, 10, (const uint64_t[]){ 400, 0, 0 });
    for (size_t i = 0; i < note.len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            note.data[i] ^= (uint8_t)(1 << bit);
            assert_int_equal(add_note(buf_span(&note)), E_OK);
            note.data[i] ^= (uint8_t)(1 << bit);
        }
    }
    assert_int_equal(world->call_count, 0);
    buf_clear(&note);
}

/* -- the store -- */

static void it_is_remembered_over_restarts(void **state)
{
    (void)state;
    add(20, 500);
    watched_log_free(world->log);
    compare_world_open_log(world);
    add(10, 600);
    assert_int_equal(equivocations("w0"), 1);
}

static void what_could_not_be_raised_is_not_forgotten(void **state)
{
    (void)state;
    add(20, 500);
    struct buf note = compare_world_note(world, world->honest, 10, (const uint64_t[]){ 600, 0, 0 });
    world->is_sink_failing = true;
    assert_int_equal(add_note(buf_span(&note)), E_IO);
    world->is_sink_failing = false;
    assert_int_equal(add_note(buf_span(&note)), E_OK);
    assert_int_equal(equivocations("w0"), 1);
    buf_clear(&note);
}

static void a_store_that_fails_is_an_error(void **state)
{
    (void)state;
    struct buf note = compare_world_note(world, world->honest, 20, (const uint64_t[]){ 600, 0, 0 });
    kv_memory_fail(world->kv, 1, false);
    assert_int_equal(add_note(buf_span(&note)), E_IO);
    assert_int_equal(add_note(buf_span(&note)), E_OK);
    add(10, 601);
    assert_int_equal(equivocations("w0"), 1);
    buf_clear(&note);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_honest_witness_is_never_blamed),
        TEST(witnesses_are_not_mixed_up),
        TEST(a_time_signed_for_two_sizes_is_no_fault),
        TEST(a_smaller_size_at_a_later_time_is_equivocation),
        TEST(it_is_found_in_the_other_order_too),
        TEST(signing_again_hides_nothing),
        TEST(a_late_small_size_is_remembered),
        TEST(two_roots_of_one_size_are_equivocation_and_fork),
        TEST(each_step_back_in_the_order_of_time_is_found),
        TEST(pieces_against_one_witness_are_bounded),
        TEST(lines_that_do_not_verify_are_not_remembered),
        TEST(notes_that_the_log_did_not_sign_are_not_remembered),
        TEST(flipped_bits_blame_nobody),
        TEST(it_is_remembered_over_restarts),
        TEST(what_could_not_be_raised_is_not_forgotten),
        TEST(a_store_that_fails_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
