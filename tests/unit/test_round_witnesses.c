/* Rounds with witnesses. test_round.c has those without. */
#include "logd/round.h"
#include "tests/support/witnesses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    INTERVAL = 1000,
    WITNESSES = 3
};

static struct policy *policy; /* 2 of three; the policy of files: the third has no URL */
static struct policy *policy_of_files;
static struct round machine;
static struct round_actions actions; /* of the last step */

static int set_up(void **state)
{
    (void)state;
    policy = witnesses_policy(WITNESSES, 0, "group g 2 w1 w2 w3\nquorum g\n");
    policy_of_files = witnesses_policy(WITNESSES, 1 << 2, "group g 2 w1 w2 w3\nquorum g\n");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    policy_free(policy);
    policy_free(policy_of_files);
    return 0;
}

/* -- Steps -- */

static void step(const struct round_event *event)
{
    actions.count = 0;
    round_step(&machine, event, &actions);
}

static void tell(enum round_event_type type, uint64_t now_ms, uint64_t size)
{
    step(&(struct round_event){ .type = type, .now_ms = now_ms, .size = size, .is_ok = true });
}

static void tell_failed(enum round_event_type type, uint64_t now_ms)
{
    step(&(struct round_event){ .type = type, .now_ms = now_ms });
}

static void cosign(uint64_t now_ms, size_t witness, uint64_t size)
{
    step(&(struct round_event){
        .type = ROUND_COSIGNED, .now_ms = now_ms, .witness = witness, .size = size });
}

static void answer(uint64_t now_ms, size_t witness, enum round_answer what, uint64_t size)
{
    step(&(struct round_event){ .type = ROUND_ANSWERED,
                                .now_ms = now_ms,
                                .witness = witness,
                                .answer = what,
                                .size = size });
}

static const struct round_action *action_of(enum round_action_type type)
{
    for (size_t i = 0; i < actions.count; i++) {
        if (actions.items[i].type == type) {
            return &actions.items[i];
        }
    }
    return NULL;
}

static bool has(enum round_action_type type)
{
    return action_of(type) != NULL;
}

static bool asks(size_t witness, uint64_t size)
{
    for (size_t i = 0; i < actions.count; i++) {
        const struct round_action *action = &actions.items[i];
        if (action->type == ROUND_ASK && action->witness == witness) {
            assert_int_equal(action->size, size);
            return true;
        }
    }
    return false;
}

static void assert_wait(uint64_t at_ms)
{
    assert_non_null(action_of(ROUND_WAIT));
    assert_int_equal(action_of(ROUND_WAIT)->at_ms, at_ms);
}

static void assert_publishes(uint64_t size)
{
    assert_non_null(action_of(ROUND_PUBLISH));
    assert_int_equal(action_of(ROUND_PUBLISH)->size, size);
}

/* An answer with a cosignature on what was asked. */
static void answer_well(uint64_t now_ms, size_t witness)
{
    uint64_t size = machine.witnesses[witness].asked;
    cosign(now_ms, witness, size);
    struct round_actions before = actions;
    answer(now_ms, witness, ROUND_ANSWER_COSIGNED, 0);
    for (size_t i = 0; i < before.count; i++) { /* what either led to */
        if (before.items[i].type != ROUND_WAIT) {
            actions.items[actions.count++] = before.items[i];
        }
    }
}

/* A log that has published 5 entries, with everybody's cosignature. */
static void start(const struct policy *with)
{
    struct policy_set all = { .has = { true, true, true } };
    round_init(&machine, INTERVAL, true, 5, 0);
    round_set_witnesses(&machine, with, 1);
    round_add_note(&machine, 5, &all);
    tell(ROUND_NEWS, 1, 5);
    assert_false(has(ROUND_ASK));
    assert_false(has(ROUND_TAKE_SNAPSHOT));
}

/* A round up to the signed note, whose witnesses are being asked then. */
static void begin(uint64_t now_ms, uint64_t size)
{
    tell(ROUND_NEWS, now_ms, size);
    assert_true(has(ROUND_TAKE_SNAPSHOT));
    tell(ROUND_SNAPSHOT, now_ms, size);
    assert_true(has(ROUND_PREPARE));
    tell(ROUND_PREPARED, now_ms, 0);
}

/* -- Claims -- */

static void round_asks_all_at_once_and_publishes_at_the_quorum(void **state)
{
    (void)state;
    start(policy);
    begin(100, 6);
    for (size_t i = 0; i < WITNESSES; i++) {
        assert_true(asks(i, 6));
    }
    assert_false(has(ROUND_PUBLISH));
    assert_wait(100 + ROUND_QUORUM_MS);
    answer_well(110, 1);
    assert_false(has(ROUND_PUBLISH));
    assert_false(has(ROUND_ASK));
    answer_well(120, 2);
    assert_publishes(6);
    assert_int_equal(machine.published, 5);
    tell(ROUND_PUBLISHED, 130, 0);
    assert_int_equal(machine.published, 6);
    assert_int_equal(machine.phase, ROUND_RESTING);
    assert_false(machine.is_below_quorum);
}

static void round_new_log_has_size_0_cosigned_too(void **state)
{
    (void)state;
    round_init(&machine, INTERVAL, false, 0, 0);
    round_set_witnesses(&machine, policy, 1);
    begin(100, 0);
    assert_true(asks(0, 0));
    answer_well(110, 0);
    answer_well(110, 1);
    assert_publishes(0);
    tell(ROUND_PUBLISHED, 120, 0);
    assert_false(machine.is_first);
    tell(ROUND_NEWS, 130, 0);
    assert_false(has(ROUND_TAKE_SNAPSHOT));
}

static void round_does_not_ask_those_without_a_url(void **state)
{
    (void)state;
    start(policy_of_files);
    begin(100, 6);
    assert_true(asks(0, 6));
    assert_true(asks(1, 6));
    assert_false(asks(2, 6));
    answer_well(110, 0);
    cosign(200, 2, 6); /* and counts what they bring */
    assert_publishes(6);
}

static void round_whose_witness_is_busy_goes_on_without_it(void **state)
{
    (void)state;
    start(policy);
    begin(100, 6);
    answer_well(110, 0);
    answer_well(110, 1);
    tell(ROUND_PUBLISHED, 120, 0);
    begin(2000, 7);
    assert_true(asks(0, 7));
    assert_true(asks(1, 7));
    assert_false(asks(2, 7)); /* it has one request in flight */
    answer_well(2010, 0);
    answer_well(2010, 1);
    assert_publishes(7);
    tell(ROUND_PUBLISHED, 2020, 0);
    cosign(2030, 2, 6); /* of no use any more */
    assert_false(has(ROUND_MERGE));
    answer(2030, 2, ROUND_ANSWER_COSIGNED, 0);
    assert_true(asks(2, 7)); /* and it joins */
}

static void round_without_a_quorum_ends_and_the_next_has_a_newer_tree(void **state)
{
    (void)state;
    start(policy);
    begin(100, 6);
    answer_well(110, 0);
    tell(ROUND_NEWS, 200, 8);
    assert_false(has(ROUND_TAKE_SNAPSHOT));
    tell(ROUND_TICK, 99 + ROUND_QUORUM_MS, 0);
    assert_false(machine.is_below_quorum);
    assert_int_equal(machine.phase, ROUND_ASKING);
    tell(ROUND_TICK, 100 + ROUND_QUORUM_MS, 0);
    assert_true(machine.is_below_quorum);
    assert_true(has(ROUND_TAKE_SNAPSHOT));
    tell(ROUND_SNAPSHOT, 10101, 8);
    tell(ROUND_PREPARED, 10102, 0);
    assert_true(asks(0, 8));
    answer_well(10103, 0);
    assert_int_equal(machine.published, 5);
    answer(10104, 1, ROUND_ANSWER_FAILED, 0); /* of the round before, at last */
    assert_false(has(ROUND_ASK));             /* it is left alone */
    uint64_t retry_ms = machine.witnesses[1].retry_ms;
    tell(ROUND_TICK, retry_ms, 0);
    assert_true(asks(1, 8));
    answer_well(retry_ms + 1, 1);
    assert_publishes(8);
    tell(ROUND_PUBLISHED, retry_ms + 2, 0);
    assert_false(machine.is_below_quorum);
}

static void round_late_cosignatures_publish_the_largest_that_has_a_quorum(void **state)
{
    (void)state;
    start(policy_of_files);
    uint64_t now = 100;
    for (uint64_t size = 6; size < 10; size++, now += ROUND_QUORUM_MS) {
        begin(now, size);
        answer_well(now + 1, 0);
        answer(now + 1, 1, ROUND_ANSWER_FAILED, 0);
        tell(ROUND_TICK, now + ROUND_QUORUM_MS, 0);
        assert_true(machine.is_below_quorum);
    }
    cosign(now, 2, 7);
    assert_publishes(7);
    cosign(now, 2, 8); /* while that is under way */
    assert_false(has(ROUND_PUBLISH));
    cosign(now, 2, 6);
    tell(ROUND_PUBLISHED, now, 0);
    assert_publishes(8);
    assert_true(machine.is_below_quorum);
    tell(ROUND_PUBLISHED, now, 0);
    assert_false(has(ROUND_PUBLISH));         /* 6 is history */
    assert_true(round_has_note(&machine, 6)); /* which late cosignatures count for nevertheless */
    assert_true(round_has_note(&machine, 7));
    cosign(now, 2, 9);
    assert_publishes(9);
    tell(ROUND_PUBLISHED, now, 0);
    assert_false(machine.is_below_quorum);
    cosign(now, 2, 8); /* again: nothing */
    assert_false(has(ROUND_PUBLISH) || has(ROUND_MERGE));
}

static void round_late_cosignatures_of_the_published_note_are_merged_together(void **state)
{
    (void)state;
    start(policy);
    begin(100, 6);
    answer_well(110, 0);
    answer_well(110, 1);
    assert_publishes(6);
    answer_well(115, 2); /* while it is published: that note does not have it */
    assert_false(has(ROUND_MERGE));
    tell(ROUND_PUBLISHED, 120, 0);
    assert_false(has(ROUND_MERGE));
    assert_wait(115 + ROUND_MERGE_MS);
    cosign(130, 0, 6); /* a later time */
    tell(ROUND_TICK, 115 + ROUND_MERGE_MS, 0);
    assert_true(has(ROUND_MERGE));
    cosign(300, 1, 6);
    assert_false(has(ROUND_MERGE)); /* one at a time */
    step(&(struct round_event){ .type = ROUND_MERGED, .now_ms = 310, .is_ok = false });
    assert_wait(310 + ROUND_RETRY_MS);
    tell(ROUND_TICK, 310 + ROUND_RETRY_MS, 0);
    assert_true(has(ROUND_MERGE));
    tell(ROUND_MERGED, 2000, 0);
    tell(ROUND_TICK, 3000, 0);
    assert_false(has(ROUND_MERGE));
}

static void round_publishes_only_when_the_merge_is_over(void **state)
{
    (void)state;
    start(policy);
    cosign(50, 0, 5);
    tell(ROUND_TICK, 50 + ROUND_MERGE_MS, 0);
    assert_true(has(ROUND_MERGE));
    begin(200, 6);
    answer_well(210, 0);
    answer_well(210, 1);
    assert_false(has(ROUND_PUBLISH));
    tell(ROUND_MERGED, 220, 0);
    assert_publishes(6);
}

static void round_that_cannot_be_published_is_published_later(void **state)
{
    (void)state;
    start(policy);
    begin(100, 6);
    answer_well(110, 0);
    answer_well(110, 1);
    assert_publishes(6);
    tell_failed(ROUND_PUBLISHED, 120);
    assert_false(has(ROUND_PUBLISH));
    assert_wait(110 + ROUND_QUORUM_MS > 120 + ROUND_RETRY_MS ? 120 + ROUND_RETRY_MS : 0);
    tell(ROUND_TICK, 120 + ROUND_RETRY_MS, 0);
    assert_publishes(6);
    tell(ROUND_PUBLISHED, 1200, 0);
    assert_int_equal(machine.published, 6);
    tell(ROUND_NEWS, 1201, 7); /* and the interval counts again */
    assert_int_equal(machine.retry_ms, 0);
}

static void round_leaves_a_failing_witness_alone_longer_each_time(void **state)
{
    (void)state;
    start(policy);
    begin(100, 6);
    answer_well(101, 1);
    answer_well(101, 2);
    tell(ROUND_PUBLISHED, 102, 0);
    uint64_t now = 200, longest = ROUND_BACKOFF_MS;
    for (int i = 0; i < 12; i++) {
        answer(now, 0, ROUND_ANSWER_FAILED, 0);
        uint64_t wait = machine.witnesses[0].retry_ms - now;
        assert_in_range(wait, longest / 2, longest);
        assert_false(has(ROUND_ASK));
        tell(ROUND_TICK, machine.witnesses[0].retry_ms - 1, 0);
        assert_false(has(ROUND_ASK));
        assert_wait(machine.witnesses[0].retry_ms);
        now = machine.witnesses[0].retry_ms;
        tell(ROUND_TICK, now, 0);
        assert_true(asks(0, 6));
        longest = longest * 2 < ROUND_BACKOFF_MAX_MS ? longest * 2 : ROUND_BACKOFF_MAX_MS;
    }
    answer_well(now, 0);
    assert_int_equal(machine.witnesses[0].failures, 0);
    begin(now + 10000, 7);
    assert_true(asks(0, 7));
    answer(now + 10000, 0, ROUND_ANSWER_ACCUSED, 0);
    assert_in_range(machine.witnesses[0].retry_ms - now - 10000, ROUND_BACKOFF_MAX_MS / 2,
                    ROUND_BACKOFF_MAX_MS);
}

static void round_backs_off_by_chance(void **state)
{
    (void)state;
    uint64_t waits[2];
    for (uint64_t seed = 0; seed < 2; seed++) {
        start(policy);
        machine.random = seed;
        begin(100, 6);
        answer(100, 0, ROUND_ANSWER_FAILED, 0);
        waits[seed] = machine.witnesses[0].retry_ms;
    }
    assert_int_not_equal(waits[0], waits[1]);
}

static void round_waits_for_the_size_that_a_witness_holds(void **state)
{
    (void)state;
    start(policy);
    begin(100, 6);
    answer(110, 0, ROUND_ANSWER_AHEAD, 8);
    assert_false(has(ROUND_ASK));
    answer_well(120, 1);
    answer_well(120, 2);
    tell(ROUND_PUBLISHED, 130, 0);
    begin(2000, 7);
    assert_false(asks(0, 7));
    assert_true(asks(1, 7));
    answer_well(2001, 1);
    answer_well(2001, 2);
    tell(ROUND_PUBLISHED, 2002, 0);
    begin(4000, 8);
    assert_true(asks(0, 8));
    answer(4010, 0, ROUND_ANSWER_AHEAD, 8); /* that is no size ahead: a failure */
    assert_false(has(ROUND_ASK));
    assert_true(machine.witnesses[0].retry_ms > 4010);
}

static void round_does_not_take_the_word_for_a_cosignature(void **state)
{
    (void)state;
    start(policy);
    begin(100, 6);
    answer(110, 0, ROUND_ANSWER_COSIGNED, 0); /* and none was told */
    assert_false(has(ROUND_ASK));
    assert_true(machine.witnesses[0].retry_ms > 110);
    answer_well(120, 1);
    assert_false(has(ROUND_PUBLISH));
}

static void round_occupied_witness_is_asked_afterwards(void **state)
{
    (void)state;
    start(policy);
    round_occupy(&machine, 0);
    begin(100, 6);
    assert_false(asks(0, 6));
    assert_true(asks(1, 6));
    answer(110, 0, ROUND_ANSWER_NOTHING, 0);
    assert_true(asks(0, 6));
}

static void round_idle_log_has_its_note_refreshed(void **state)
{
    (void)state;
    start(policy);
    assert_wait(1 + ROUND_REFRESH_MS);
    tell(ROUND_TICK, ROUND_REFRESH_MS, 0);
    assert_false(has(ROUND_ASK));
    uint64_t now = 1 + ROUND_REFRESH_MS;
    tell(ROUND_TICK, now, 0);
    for (size_t i = 0; i < WITNESSES; i++) {
        assert_true(asks(i, 5));
    }
    answer_well(now + 1, 0);
    assert_false(has(ROUND_ASK));
    answer(now + 1, 1, ROUND_ANSWER_FAILED, 0);
    uint64_t retry_ms = machine.witnesses[1].retry_ms;
    tell(ROUND_TICK, now + 1 + ROUND_MERGE_MS, 0);
    assert_true(has(ROUND_MERGE));
    assert_false(has(ROUND_PUBLISH));
    tell(ROUND_MERGED, now + 200, 0);
    tell(ROUND_TICK, retry_ms, 0);
    assert_true(asks(1, 5)); /* until it has answered */
    answer_well(retry_ms, 1);
    answer_well(retry_ms, 2);
    tell(ROUND_TICK, now + ROUND_REFRESH_MS - 1, 0);
    assert_false(has(ROUND_ASK));
    tell(ROUND_TICK, now + ROUND_REFRESH_MS, 0);
    assert_true(has(ROUND_ASK));
}

static void round_busy_log_needs_no_refresh(void **state)
{
    (void)state;
    start(policy);
    begin(ROUND_REFRESH_MS, 6);
    tell(ROUND_TICK, ROUND_REFRESH_MS + 1, 0);
    assert_false(has(ROUND_ASK)); /* of what is not published yet */
    answer_well(ROUND_REFRESH_MS + 2, 0);
    answer_well(ROUND_REFRESH_MS + 2, 1);
    answer_well(ROUND_REFRESH_MS + 2, 2);
    tell(ROUND_PUBLISHED, ROUND_REFRESH_MS + 3, 0);
    tell(ROUND_TICK, 2 * ROUND_REFRESH_MS, 0);
    assert_false(has(ROUND_ASK));
    tell(ROUND_TICK, 2 * ROUND_REFRESH_MS + 3, 0);
    assert_true(asks(0, 6));
}

static void round_paused_asks_nobody_and_publishes_nothing(void **state)
{
    (void)state;
    start(policy);
    begin(100, 6);
    answer_well(110, 0);
    round_pause(&machine, true);
    answer_well(120, 1); /* in flight when it was found out */
    assert_int_equal(actions.count, 0);
    answer(120, 2, ROUND_ANSWER_FAILED, 0);
    assert_int_equal(actions.count, 0);
    tell(ROUND_NEWS, 99999, 9);
    tell(ROUND_TICK, 999999, 0);
    assert_int_equal(actions.count, 0);
    tell(ROUND_DRAIN, 999999, 0);
    assert_int_equal(actions.count, 0);
    assert_int_equal(machine.published, 5);
}

static void round_keeps_64_notes_and_those_that_are_pinned(void **state)
{
    (void)state;
    start(policy);
    uint64_t now = 100;
    for (uint64_t size = 6; size < 306; size++, now += ROUND_QUORUM_MS) {
        tell(ROUND_STORED, now, size);
        begin(now, size);
        if (size % 10 == 0) {
            round_pin(&machine, size);
        }
        tell(ROUND_TICK, now + ROUND_QUORUM_MS, 0);
        for (size_t i = 0; i < WITNESSES && size == 6; i++) {
            answer(now, i, ROUND_ANSWER_FAILED, 0);
            machine.witnesses[i].retry_ms = UINT64_MAX;
        }
    }
    size_t pinned = 0, loose = 0;
    for (uint64_t size = 6; size < 306; size++) {
        pinned += round_is_pinned(&machine, size);
        loose += round_has_note(&machine, size) && !round_is_pinned(&machine, size);
    }
    assert_int_equal(pinned, ROUND_PINNED);
    assert_int_equal(loose, ROUND_KEPT);
    assert_true(round_has_note(&machine, 5)); /* the published one */
    assert_true(round_has_note(&machine, 305));
    assert_true(round_is_pinned(&machine, 150));
    assert_false(round_has_note(&machine, 140));
    cosign(now, 0, 150); /* older than all rounds that are kept */
    cosign(now, 1, 150);
    assert_publishes(150);
    tell(ROUND_PUBLISHED, now, 0);
    assert_int_equal(machine.published, 150);
    assert_true(round_has_note(&machine, 305));
}

static void round_goes_on_with_the_notes_of_an_earlier_run(void **state)
{
    (void)state;
    struct policy_set first = { .has = { true } };
    round_init(&machine, INTERVAL, true, 5, 0);
    round_set_witnesses(&machine, policy, 1);
    round_add_note(&machine, 5, &first);
    round_add_note(&machine, 9, &first);
    round_pin(&machine, 9);
    tell(ROUND_NEWS, 100, 9);
    assert_false(has(ROUND_TAKE_SNAPSHOT)); /* that size is signed */
    assert_false(asks(0, 9));
    assert_true(asks(1, 9));
    answer_well(110, 1);
    assert_publishes(9);
}

static void round_is_hurried_when_somebody_waits_for_a_note(void **state)
{
    (void)state;
    start(policy);
    begin(100, 6);
    answer_well(110, 0);
    answer_well(110, 1);
    tell(ROUND_PUBLISHED, 120, 0);
    tell(ROUND_HURRY, 130, 0); /* nothing to sign */
    assert_false(has(ROUND_TAKE_SNAPSHOT));
    tell(ROUND_NEWS, 140, 7);
    assert_false(has(ROUND_TAKE_SNAPSHOT));
    tell(ROUND_HURRY, 150, 0);
    assert_true(has(ROUND_TAKE_SNAPSHOT));
}

/* A caller of ExportCheckpoint that is in a loop does not make a round of each call. */
static void round_is_hurried_at_most_once_a_second(void **state)
{
    (void)state;
    struct policy_set all = { .has = { true, true, true } };
    round_init(&machine, 3600 * 1000, true, 5, 0);
    round_set_witnesses(&machine, policy, 1);
    round_add_note(&machine, 5, &all);
    begin(100, 6);
    for (size_t i = 0; i < WITNESSES; i++) {
        answer_well(110, i);
    }
    tell(ROUND_PUBLISHED, 120, 0);
    tell(ROUND_NEWS, 130, 7);
    tell(ROUND_HURRY, 130, 0);
    assert_true(has(ROUND_TAKE_SNAPSHOT));
    tell(ROUND_SNAPSHOT, 130, 7);
    tell(ROUND_PREPARED, 130, 0);
    answer_well(140, 0);
    answer_well(140, 1);
    tell(ROUND_PUBLISHED, 150, 0);
    tell(ROUND_NEWS, 160, 8);
    for (uint64_t now = 160; now < 130 + ROUND_HURRY_MS; now++) {
        tell(ROUND_HURRY, now, 0);
        assert_false(has(ROUND_TAKE_SNAPSHOT));
        assert_wait(130 + ROUND_HURRY_MS);
    }
    tell(ROUND_TICK, 130 + ROUND_HURRY_MS, 0);
    assert_true(has(ROUND_TAKE_SNAPSHOT));
}

/* After a change of the policy the published size may have to be published again: never a smaller one. */
static void round_never_publishes_a_smaller_size(void **state)
{
    (void)state;
    struct policy_set none = { .has = { false } }, one = { .has = { true } };
    round_init(&machine, INTERVAL, false, 10, 0); /* 10 is served, and does not meet the policy */
    round_set_witnesses(&machine, policy, 1);
    round_add_note(&machine, 10, &none);
    round_add_note(&machine, 7, &one);
    round_pin(&machine, 7);
    tell(ROUND_NEWS, 100, 10);
    cosign(110, 1, 7);
    assert_false(has(ROUND_PUBLISH));
    cosign(120, 0, 10);
    assert_false(has(ROUND_PUBLISH));
    cosign(130, 1, 10);
    assert_publishes(10);
    tell(ROUND_PUBLISHED, 140, 0);
    assert_int_equal(machine.published, 10);
    cosign(150, 2, 7);
    assert_false(has(ROUND_PUBLISH));
}

/* A witness that takes longer than a round counts for the notes that it was asked about. */
static void round_keeps_the_last_64_notes_though_newer_ones_are_published(void **state)
{
    (void)state;
    start(policy);
    uint64_t now = 2000;
    for (uint64_t size = 6; size < 106; size++, now += INTERVAL) {
        begin(now, size);
        answer_well(now + 1, 0);
        answer_well(now + 1, 1);
        tell(ROUND_PUBLISHED, now + 2, 0);
        assert_int_equal(machine.published, size);
    }
    assert_int_equal(machine.note_count, ROUND_KEPT + 1);
    for (uint64_t size = 6; size < 106; size++) {
        assert_int_equal(round_has_note(&machine, size), size >= 105 - ROUND_KEPT);
    }
    cosign(now, 2, 70);
    assert_false(has(ROUND_PUBLISH) || has(ROUND_MERGE)); /* that is for receipts only */
    assert_int_equal(machine.published, 105);
}

static void round_with_nobody_to_ask_waits_for_the_interval_only(void **state)
{
    (void)state;
    struct policy *files = witnesses_policy(WITNESSES, 7, "group g 2 w1 w2 w3\nquorum g\n");
    start(files);
    begin(2000, 6);
    assert_false(has(ROUND_ASK));
    assert_int_equal(machine.phase, ROUND_RESTING);
    assert_true(machine.is_below_quorum);
    tell(ROUND_NEWS, 2001, 7);
    assert_wait(2000 + INTERVAL);
    tell(ROUND_TICK, 2000 + INTERVAL, 0);
    assert_true(has(ROUND_TAKE_SNAPSHOT));
    tell(ROUND_SNAPSHOT, 3000, 7);
    tell(ROUND_PREPARED, 3000, 0);
    cosign(9000, 0, 7);
    cosign(9000, 2, 7);
    assert_publishes(7);
    tell(ROUND_PUBLISHED, 9001, 0);
    assert_false(machine.is_below_quorum);
    policy_free(files);
}

/* Each of three witnesses cosigns, fails, lies or hangs, in each order: published if and only if two
 * have cosigned, and else the round ends in time. */
static void round_every_outcome_in_every_order(void **state)
{
    (void)state;
    static const size_t orders[][WITNESSES] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                                                { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    enum {
        COSIGNS,
        FAILS,
        LIES,
        HANGS,
        WAYS
    };
    for (size_t ways = 0; ways < WAYS * WAYS * WAYS; ways++) {
        for (size_t order = 0; order < 6; order++) {
            size_t way[WITNESSES] = { ways % WAYS, ways / WAYS % WAYS, ways / WAYS / WAYS };
            size_t cosigned = 0;
            bool is_published = false;
            start(policy);
            begin(100, 6);
            for (size_t i = 0; i < WITNESSES; i++) {
                size_t witness = orders[order][i];
                if (way[witness] == COSIGNS) {
                    answer_well(200, witness);
                    cosigned++;
                    assert_int_equal(has(ROUND_PUBLISH), cosigned == 2);
                } else if (way[witness] != HANGS) {
                    answer(200, witness,
                           way[witness] == FAILS ? ROUND_ANSWER_FAILED : ROUND_ANSWER_ACCUSED, 0);
                    assert_false(has(ROUND_PUBLISH));
                }
                is_published = is_published || has(ROUND_PUBLISH);
            }
            assert_int_equal(is_published, cosigned >= 2);
            if (!is_published) {
                tell(ROUND_TICK, 100 + ROUND_QUORUM_MS, 0);
                assert_true(machine.is_below_quorum);
                assert_int_equal(machine.phase, ROUND_RESTING);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_asks_all_at_once_and_publishes_at_the_quorum),
        cmocka_unit_test(round_new_log_has_size_0_cosigned_too),
        cmocka_unit_test(round_does_not_ask_those_without_a_url),
        cmocka_unit_test(round_whose_witness_is_busy_goes_on_without_it),
        cmocka_unit_test(round_without_a_quorum_ends_and_the_next_has_a_newer_tree),
        cmocka_unit_test(round_late_cosignatures_publish_the_largest_that_has_a_quorum),
        cmocka_unit_test(round_late_cosignatures_of_the_published_note_are_merged_together),
        cmocka_unit_test(round_publishes_only_when_the_merge_is_over),
        cmocka_unit_test(round_that_cannot_be_published_is_published_later),
        cmocka_unit_test(round_leaves_a_failing_witness_alone_longer_each_time),
        cmocka_unit_test(round_backs_off_by_chance),
        cmocka_unit_test(round_waits_for_the_size_that_a_witness_holds),
        cmocka_unit_test(round_does_not_take_the_word_for_a_cosignature),
        cmocka_unit_test(round_occupied_witness_is_asked_afterwards),
        cmocka_unit_test(round_idle_log_has_its_note_refreshed),
        cmocka_unit_test(round_busy_log_needs_no_refresh),
        cmocka_unit_test(round_paused_asks_nobody_and_publishes_nothing),
        cmocka_unit_test(round_keeps_64_notes_and_those_that_are_pinned),
        cmocka_unit_test(round_goes_on_with_the_notes_of_an_earlier_run),
        cmocka_unit_test(round_is_hurried_when_somebody_waits_for_a_note),
        cmocka_unit_test(round_is_hurried_at_most_once_a_second),
        cmocka_unit_test(round_never_publishes_a_smaller_size),
        cmocka_unit_test(round_keeps_the_last_64_notes_though_newer_ones_are_published),
        cmocka_unit_test(round_with_nobody_to_ask_waits_for_the_interval_only),
        cmocka_unit_test(round_every_outcome_in_every_order),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
