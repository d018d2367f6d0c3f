/* Rounds with witnesses, whatever happens in whatever order. */
#include "logd/round.h"
#include "tests/support/entries.h"
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

static struct policy *policy;
static struct round machine;
static struct round_actions actions; /* of the last step */

static void step(const struct round_event *event)
{
    actions.count = 0;
    round_step(&machine, event, &actions);
}

static void tell(enum round_event_type type, uint64_t now_ms, uint64_t size)
{
    step(&(struct round_event){ .type = type, .now_ms = now_ms, .size = size });
}

struct world {
    uint64_t random, now, durable;
    bool is_over; /* nothing fails any more, and nothing new comes */
    bool is_busy[WITNESSES];
    uint64_t asked[WITNESSES];
    bool has_cosigned[WITNESSES][512];
    bool wants[ROUND_MERGE + 1]; /* actions that wait to be done */
    uint64_t publishing, wake_ms;
};

static void collect(struct world *world)
{
    uint64_t newest;
    for (size_t i = 0; i < actions.count; i++) {
        const struct round_action *action = &actions.items[i];
        switch (action->type) {
        case ROUND_ASK:
            assert_false(world->is_busy[action->witness]); /* one request at a time */
            assert_true(round_newest(&machine, &newest));
            assert_int_equal(action->size, newest);
            world->is_busy[action->witness] = true;
            world->asked[action->witness] = action->size;
            break;
        case ROUND_WAIT:
            assert_true(action->at_ms > world->now);
            world->wake_ms = action->at_ms;
            break;
        case ROUND_PUBLISH: {
            size_t count = 0;
            for (size_t w = 0; w < WITNESSES; w++) {
                count += world->has_cosigned[w][action->size];
            }
            assert_true(count >= 2);
            assert_true(machine.is_first || action->size > machine.published);
            assert_false(world->wants[ROUND_MERGE]);
            world->publishing = action->size;
            world->wants[ROUND_PUBLISH] = true;
            break;
        }
        default:
            assert_false(world->wants[action->type]);
            assert_false(action->type == ROUND_MERGE && world->wants[ROUND_PUBLISH]);
            world->wants[action->type] = true;
        }
    }
    assert_true(machine.note_count <= ROUND_NOTES_MAX);
}

static bool chance(struct world *world, unsigned one_in)
{
    return entries_next_number(&world->random) % one_in == 0;
}

static void do_action(struct world *world, enum round_action_type type)
{
    static const enum round_event_type results[] = { [ROUND_TAKE_SNAPSHOT] = ROUND_SNAPSHOT,
                                                     [ROUND_PREPARE] = ROUND_PREPARED,
                                                     [ROUND_PUBLISH] = ROUND_PUBLISHED,
                                                     [ROUND_MERGE] = ROUND_MERGED };
    uint64_t published = machine.published;
    world->wants[type] = false;
    step(&(struct round_event){ .type = results[type],
                                .now_ms = world->now,
                                .size = world->durable,
                                .is_ok = world->is_over || !chance(world, 4) });
    assert_true(machine.published >= published);
    collect(world);
}

static void do_answer(struct world *world, size_t witness)
{
    uint64_t size = world->asked[witness];
    enum round_answer what =
        world->is_over ? ROUND_ANSWER_COSIGNED : entries_next_number(&world->random) % 5;
    if (what == ROUND_ANSWER_AHEAD && size >= world->durable) {
        what = ROUND_ANSWER_FAILED; /* ahead is only what is durable */
    }
    world->is_busy[witness] = false;
    if (what == ROUND_ANSWER_COSIGNED) {
        world->has_cosigned[witness][size] = true;
        step(&(struct round_event){
            .type = ROUND_COSIGNED, .now_ms = world->now, .witness = witness, .size = size });
        collect(world);
    }
    step(&(struct round_event){ .type = ROUND_ANSWERED,
                                .now_ms = world->now,
                                .witness = witness,
                                .answer = what,
                                .size = size + 1 });
    collect(world);
}

static void do_something(struct world *world)
{
    for (enum round_action_type type = 0; type <= ROUND_MERGE; type++) {
        if (world->wants[type] && (world->is_over || chance(world, 2))) {
            do_action(world, type);
            return;
        }
    }
    size_t witness = entries_next_number(&world->random) % WITNESSES;
    if (world->is_busy[witness] && (world->is_over || chance(world, 3))) {
        do_answer(world, witness);
        return;
    }
    if (!world->is_over && chance(world, 3)) {
        world->durable += entries_next_number(&world->random) % 3;
        tell(ROUND_NEWS, world->now, world->durable);
    } else {
        uint64_t far =
            world->is_over && world->wake_ms > world->now ? world->wake_ms - world->now : 300;
        world->now += far;
        tell(ROUND_TICK, world->now, 0);
    }
    collect(world);
}

static void round_with_witnesses_invariants_hold_in_any_order(void **state)
{
    (void)state;
    policy = witnesses_policy(WITNESSES, 0, "group g 2 w1 w2 w3\nquorum g\n");
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct world world = { .random = seed };
        round_init(&machine, INTERVAL, false, 0, 512);
        round_set_witnesses(&machine, policy, seed);
        tell(ROUND_NEWS, 0, 0);
        collect(&world);
        for (size_t i = 0; i < 900; i++) {
            world.is_over = i > 500;
            do_something(&world);
        }
        assert_int_equal(machine.published, world.durable);
        assert_false(machine.is_first || machine.is_below_quorum);
    }
    policy_free(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_with_witnesses_invariants_hold_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
