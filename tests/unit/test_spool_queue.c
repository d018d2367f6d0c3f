/* Which items may be sent when: order within a case, sealed ones and what follows them, refusals, suspects. The clock
 * is a number, and a delay what the test says. */
#include "client/spool_queue.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    ENTRIES_MAX = 4000,
    NO_LIMIT = 1 << 30
};

struct fixture {
    struct spool_queue queue;
    uint32_t delay_ms;
    unsigned delays; /* how often one was asked for */
    uint64_t next_ticket, now_ms;
    struct spool_entry *out[ENTRIES_MAX];
    size_t count; /* picked last */
};

static uint32_t delay(void *ctx)
{
    struct fixture *fixture = ctx;
    fixture->delays++;
    return fixture->delay_ms;
}

static int setup(void **state)
{
    struct fixture *fixture = NEW(struct fixture);
    fixture->next_ticket = 1;
    fixture->now_ms = 1000;
    spool_queue_init(&fixture->queue, delay, fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    spool_queue_clear(&fixture->queue);
    mem_free(fixture);
    return 0;
}

static struct hash case_named(const char *name)
{
    struct hash id = { { 0 } };
    return name[0] != 0 ? sha256(span_of_str(name)) : id;
}

static uint64_t add_as(struct fixture *fixture, const char *name, struct spool_entry entry)
{
    struct hash id = case_named(name);
    entry.ticket = fixture->next_ticket++;
    entry.bytes = entry.bytes != 0 ? entry.bytes : 100;
    spool_queue_add(&fixture->queue, &entry, &id, fixture->now_ms);
    return entry.ticket;
}

static uint64_t add(struct fixture *fixture, const char *name)
{
    return add_as(fixture, name, (struct spool_entry){ 0 });
}

static uint64_t add_sealed(struct fixture *fixture, const char *name)
{
    return add_as(fixture, name, (struct spool_entry){ .is_sealed = true });
}

static size_t pick_some(struct fixture *fixture, enum spool_lane lane, size_t count, size_t bytes)
{
    fixture->count =
        spool_queue_pick(&fixture->queue, lane, fixture->now_ms, count, bytes, fixture->out);
    return fixture->count;
}

static size_t pick(struct fixture *fixture, enum spool_lane lane)
{
    return pick_some(fixture, lane, ENTRIES_MAX, NO_LIMIT);
}

static void expect_tickets(const struct fixture *fixture, size_t count, const uint64_t *tickets)
{
    assert_int_equal(fixture->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(fixture->out[i]->ticket, tickets[i]);
    }
}

static void prove(struct fixture *fixture, struct spool_entry *entry)
{
    spool_queue_set_proved(&fixture->queue, entry, fixture->now_ms);
    spool_queue_remove(&fixture->queue, entry, fixture->now_ms);
}

static void one_case_goes_in_order_and_waits_while_it_is_in_flight(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, "a");
    add(fixture, "a");
    add(fixture, "b");
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 3);
    expect_tickets(fixture, 3, (uint64_t[]){ 1, 2, 3 });
    struct spool_entry *first = fixture->out[0], *second = fixture->out[1];
    add(fixture, "a");
    add(fixture, "b");
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 0);
    prove(fixture, first);
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 0); /* 2 is still on its way */
    spool_queue_set_durable(&fixture->queue, second, 7, fixture->now_ms);
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 1);
    expect_tickets(fixture, 1, (uint64_t[]){ 4 });
    assert_int_equal(fixture->delays, 0);
}

/* In whatever order a call's items come back, and some of them not at all. */
static void what_goes_again_goes_in_order(void **state)
{
    static const uint8_t orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
                                         { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    struct fixture *fixture = *state;
    for (size_t k = 0; k < 6; k++) {
        uint64_t first = add(fixture, "a");
        add(fixture, "a");
        add(fixture, "a");
        assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 3);
        struct spool_entry *sent[3] = { fixture->out[0], fixture->out[1], fixture->out[2] };
        add(fixture, "a");
        for (size_t i = 0; i < 3; i++) {
            spool_queue_retry(&fixture->queue, sent[orders[k][i]], fixture->now_ms);
        }
        assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 4);
        expect_tickets(fixture, 4, (uint64_t[]){ first, first + 1, first + 2, first + 3 });
        for (size_t i = 0; i < 4; i++) {
            prove(fixture, fixture->out[i]);
        }
    }
    assert_int_equal(fixture->queue.count, 0);
    assert_int_equal(fixture->queue.bytes, 0);
}

/* However many are asked for: two in one call would tell that they are of one submitter. */
static void sealed_items_go_one_at_a_time_each_after_its_own_delay(void **state)
{
    struct fixture *fixture = *state;
    fixture->delay_ms = 500;
    add_sealed(fixture, "a");
    add_as(fixture, "a", (struct spool_entry){ .is_sealed = true, .is_behind_sealed = true });
    assert_int_equal(pick(fixture, SPOOL_LANE_SEALED), 0);
    assert_int_equal(spool_queue_next_ms(&fixture->queue, fixture->now_ms), 500);
    fixture->now_ms += 499;
    assert_int_equal(pick(fixture, SPOOL_LANE_SEALED), 0);
    fixture->now_ms += 1;
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 0);
    assert_int_equal(pick(fixture, SPOOL_LANE_SEALED), 1);
    expect_tickets(fixture, 1, (uint64_t[]){ 1 });
    prove(fixture, fixture->out[0]);
    assert_int_equal(pick(fixture, SPOOL_LANE_SEALED), 0);
    fixture->now_ms += 500;
    assert_int_equal(pick(fixture, SPOOL_LANE_SEALED), 1);
    expect_tickets(fixture, 1, (uint64_t[]){ 2 });
    assert_int_equal(fixture->delays, 2);
}

/* A clear one that went right behind would tell the case of the sealed one, also when that is long proved, or the
 * spool was opened anew: is_behind_sealed is on the disk. */
static void a_clear_item_keeps_its_distance_from_the_sealed_one_before_it(void **state)
{
    struct fixture *fixture = *state;
    fixture->delay_ms = 500;
    add_sealed(fixture, "a");
    fixture->now_ms += 500;
    assert_int_equal(pick(fixture, SPOOL_LANE_SEALED), 1);
    prove(fixture, fixture->out[0]);
    add_as(fixture, "a", (struct spool_entry){ .is_behind_sealed = true });
    add(fixture, "a");
    add(fixture, "b");
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 1);
    expect_tickets(fixture, 1, (uint64_t[]){ 4 });
    fixture->now_ms += 500;
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 2);
    expect_tickets(fixture, 2, (uint64_t[]){ 2, 3 });
    /* It has waited: a second try is no new step. */
    spool_queue_retry(&fixture->queue, fixture->out[1], fixture->now_ms);
    spool_queue_retry(&fixture->queue, fixture->out[0], fixture->now_ms);
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 2);
}

static void a_sealed_item_between_clear_ones_keeps_its_place(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, "a");
    add_sealed(fixture, "a");
    add_as(fixture, "a", (struct spool_entry){ .is_behind_sealed = true });
    for (uint64_t ticket = 1; ticket <= 3; ticket++) {
        enum spool_lane lane = ticket == 2 ? SPOOL_LANE_SEALED : SPOOL_LANE_CLEAR;
        assert_int_equal(pick(fixture,
                              lane == SPOOL_LANE_SEALED ? SPOOL_LANE_CLEAR : SPOOL_LANE_SEALED),
                         0);
        assert_int_equal(pick(fixture, lane), 1);
        expect_tickets(fixture, 1, &ticket);
        prove(fixture, fixture->out[0]);
    }
}

static void a_refused_item_holds_its_case_until_it_is_given_up(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, "a");
    add(fixture, "a");
    add(fixture, "b");
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 3);
    struct spool_entry *refused = fixture->out[0], *behind = fixture->out[1];
    assert_false(spool_queue_is_done_below(&fixture->queue, 4));
    prove(fixture, fixture->out[2]);
    spool_queue_refuse(&fixture->queue, refused, fixture->now_ms);
    spool_queue_retry(&fixture->queue, behind, fixture->now_ms);
    assert_int_equal(fixture->queue.refused, 1);
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 0);
    assert_true(spool_queue_is_done_below(&fixture->queue, 4)); /* held */
    add(fixture, "c");
    assert_false(spool_queue_is_done_below(&fixture->queue, 5));
    assert_true(spool_queue_is_done_below(&fixture->queue, 4));
    assert_ptr_equal(spool_queue_find(&fixture->queue, 1), refused);
    assert_null(spool_queue_find(&fixture->queue, 3));
    spool_queue_remove(&fixture->queue, refused, fixture->now_ms);
    assert_int_equal(fixture->queue.refused, 0);
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 2);
}

/* One that is refused says nothing about the others, and none of them waits for it. */
static void items_of_no_case_do_not_wait_for_each_other(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, "");
    add(fixture, "");
    assert_int_equal(pick_some(fixture, SPOOL_LANE_CLEAR, 1, NO_LIMIT), 1);
    struct spool_entry *first = fixture->out[0];
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 1);
    spool_queue_refuse(&fixture->queue, first, fixture->now_ms);
    add(fixture, "");
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 1);
    /* Sealed ones are apart from these, and from each other. */
    add_sealed(fixture, "");
    add_sealed(fixture, "");
    assert_int_equal(pick_some(fixture, SPOOL_LANE_SEALED, 1, NO_LIMIT), 1);
    assert_int_equal(pick_some(fixture, SPOOL_LANE_SEALED, 1, NO_LIMIT), 1);
    assert_int_equal(fixture->delays, 2);
}

static void a_call_has_at_most_so_many_bytes_but_always_one_item(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 4; i++) {
        add_as(fixture, "", (struct spool_entry){ .bytes = i == 2 ? 900 : 400 });
    }
    assert_int_equal(pick_some(fixture, SPOOL_LANE_CLEAR, 10, 800), 2);
    assert_int_equal(pick_some(fixture, SPOOL_LANE_CLEAR, 10, 800), 1);
    assert_int_equal(pick_some(fixture, SPOOL_LANE_CLEAR, 10, 800), 1);
}

/* Those of a call that was refused as a whole go again in smaller ones, never with others. */
static void suspects_go_among_themselves(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 4; i++) {
        add(fixture, "a");
    }
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 4);
    for (size_t i = 4; i > 0; i--) {
        fixture->out[i - 1]->suspects = 2;
        spool_queue_retry(&fixture->queue, fixture->out[i - 1], fixture->now_ms);
    }
    add(fixture, "b");
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 2);
    expect_tickets(fixture, 2, (uint64_t[]){ 1, 2 });
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 1);
    expect_tickets(fixture, 1, (uint64_t[]){ 5 });
}

static void durable_items_are_asked_for_oldest_first_and_may_go_again(void **state)
{
    struct fixture *fixture = *state;
    add(fixture, "a");
    add(fixture, "b");
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 2);
    struct spool_entry *a = fixture->out[0], *b = fixture->out[1];
    spool_queue_set_durable(&fixture->queue, b, 1, fixture->now_ms);
    spool_queue_set_durable(&fixture->queue, a, 0, fixture->now_ms);
    assert_int_equal(fixture->queue.durable, 2);
    assert_int_equal(spool_queue_pick_durable(&fixture->queue, SPOOL_LANE_SEALED, 9, NO_LIMIT,
                                              fixture->out),
                     0);
    fixture->count =
        spool_queue_pick_durable(&fixture->queue, SPOOL_LANE_CLEAR, 9, NO_LIMIT, fixture->out);
    expect_tickets(fixture, 2, (uint64_t[]){ 2, 1 });
    spool_queue_set_durable(&fixture->queue, a, 0, fixture->now_ms);
    spool_queue_retry(&fixture->queue, b, fixture->now_ms); /* the log has lost it */
    assert_int_equal(fixture->queue.durable, 1);
    assert_int_equal(pick(fixture, SPOOL_LANE_CLEAR), 1);
    expect_tickets(fixture, 1, (uint64_t[]){ 2 });
}

/* More cases than the table has slots at first, parked at once and due in no order of theirs. */
static void parked_cases_come_due_by_their_own_time(void **state)
{
    struct fixture *fixture = *state;
    char name[16];
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "%u", i);
        fixture->delay_ms = 1 + i * 7919 % 500; /* each of 1..500 once */
        add_sealed(fixture, name);
    }
    for (unsigned i = 0; i < 500; i++) {
        fixture->now_ms++;
        assert_int_equal(spool_queue_next_ms(&fixture->queue, fixture->now_ms), 0);
        assert_int_equal(pick_some(fixture, SPOOL_LANE_SEALED, 1, NO_LIMIT), 1);
        assert_int_equal(1 + (fixture->out[0]->ticket - 1) * 7919 % 500, i + 1);
        prove(fixture, fixture->out[0]);
    }
    assert_int_equal(spool_queue_next_ms(&fixture->queue, fixture->now_ms), UINT64_MAX);
    assert_int_equal(fixture->queue.table_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_case_goes_in_order_and_waits_while_it_is_in_flight),
        TEST(what_goes_again_goes_in_order),
        TEST(sealed_items_go_one_at_a_time_each_after_its_own_delay),
        TEST(a_clear_item_keeps_its_distance_from_the_sealed_one_before_it),
        TEST(a_sealed_item_between_clear_ones_keeps_its_place),
        TEST(a_refused_item_holds_its_case_until_it_is_given_up),
        TEST(items_of_no_case_do_not_wait_for_each_other),
        TEST(a_call_has_at_most_so_many_bytes_but_always_one_item),
        TEST(suspects_go_among_themselves),
        TEST(durable_items_are_asked_for_oldest_first_and_may_go_again),
        TEST(parked_cases_come_due_by_their_own_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
