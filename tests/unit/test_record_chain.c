/* record_chain: which tags of a case are looked up, and how far ahead. */
#include "monitor/follow_parts.h"
#include "monitor/record_cases.h"
#include "monitor/record_chain.h"
#include "tests/support/operation_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    KIND_NOTICE = 18
};

static struct operation_world *world;

static int set_up(void **state)
{
    (void)state;
    world = operation_world_new();
    operation_world_give_key(world, 0);
    follow_world_open(world->follow);
    operation_world_register(world, 0, OPERATION_WORLD_COURT);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    operation_world_free(world);
    return 0;
}

static bool is_court(const char *case_number, const char *court)
{
    struct court_tag found, expected = court_tag_make(span_of_str(court));
    return record_chain_court(&found, case_number) &&
           memcmp(found.bytes, expected.bytes, COURT_TAG_BYTES) == 0;
}

static void the_court_is_read_from_the_case_number(void **state)
{
    struct court_tag tag;
    (void)state;
    assert_true(is_court("（2026）测0101执123号", "测0101"));
    assert_true(is_court("（2026）京01执恢7号", "京01"));
    assert_true(is_court("（2026）京执7号", "京"));
    assert_true(is_court("（2026）最高法执监7号之一", "最高法"));
    assert_false(record_chain_court(&tag, "（2026）"));
    assert_false(record_chain_court(&tag, "2026"));
    assert_false(record_chain_court(&tag, ""));
    assert_false(record_chain_court(&tag, "（2026）\xff"));
}

static void a_hole_is_seen_across_as_far_as_we_look_ahead(void **state)
{
    (void)state;
    operation_world_log(world, 0, 0, 0, KIND_CASE_FILED);
    uint64_t near = operation_world_log(world, 0, 0, RECORD_AHEAD, KIND_NOTICE);
    operation_world_look(world);
    assert_true(operation_world_has(world, FINDING_CASE_GAP, near));
    uint64_t far = operation_world_log(world, 0, 0, 2 * RECORD_AHEAD + 1, KIND_NOTICE);
    operation_world_look(world);
    assert_false(operation_world_has(world, FINDING_CASE_GAP, far));
    uint64_t between = operation_world_log(world, 0, 0, 2 * RECORD_AHEAD, KIND_NOTICE);
    operation_world_look(world); /* and now it is in sight */
    assert_true(operation_world_has(world, FINDING_CASE_GAP, between));
    assert_true(operation_world_has(world, FINDING_CASE_ORDER, between));
}

static void the_first_numbers_may_be_missing_too(void **state)
{
    (void)state;
    uint64_t third = operation_world_log(world, 0, 0, RECORD_AHEAD_AT_FIRST - 1, KIND_NOTICE);
    operation_world_look(world);
    assert_true(operation_world_has(world, FINDING_CASE_GAP, third));
}

static void whoever_is_registered_later_is_looked_for(void **state)
{
    (void)state;
    operation_world_log(world, 0, 0, 0, KIND_CASE_FILED);
    operation_world_look(world);
    operation_world_register(world, 1, NULL);
    uint64_t first = operation_world_log(world, 1, 0, 1, KIND_NOTICE);
    operation_world_look(world);
    assert_true(operation_world_has(world, FINDING_CASE_GAP, first));
}

/* A submitter who may not log for the court is told for that; whom CLOSED counts is looked for all the same. */
static void whoever_is_counted_is_looked_for(void **state)
{
    const uint32_t counts[] = { 2, 2 };
    (void)state;
    operation_world_register(world, 1, "测0202");
    operation_world_log(world, 0, 0, 0, KIND_CASE_FILED);
    operation_world_log(world, 1, 0, 0, KIND_NOTICE);
    uint64_t closed = operation_world_close(world, 0, 0, 1, counts, 2);
    operation_world_look(world);
    assert_true(operation_world_has(world, FINDING_CASE_COUNT, closed));
    assert_int_equal(follow_world_open_count(world->follow), 2);
}

static void counts_under_another_key_cannot_be_read(void **state)
{
    (void)state;
    operation_world_log(world, 0, 0, 0, KIND_CASE_FILED);
    struct operation operation = operation_world_make(world, 0, 0, 1, KIND_CLOSED);
    memset(operation.closed_counts, 0x5a, sizeof operation.closed_counts);
    uint64_t closed = operation_world_append(world, &operation, &world->submitters[0]);
    operation_world_look(world);
    assert_true(operation_world_has(world, FINDING_CASE_COUNT, closed));
}

static void a_filing_under_another_number_is_a_bad_record(void **state)
{
    (void)state;
    struct operation operation = operation_world_make(world, 0, 0, 0, KIND_CASE_FILED);
    operation.case_commitment = case_commitment_make(&world->cases[1]);
    uint64_t filed = operation_world_append(world, &operation, &world->submitters[0]);
    operation_world_look(world);
    assert_true(operation_world_has(world, FINDING_BAD_RECORD, filed));
    assert_int_equal(follow_world_open_count(world->follow), 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_court_is_read_from_the_case_number),
        CASE(a_hole_is_seen_across_as_far_as_we_look_ahead),
        CASE(the_first_numbers_may_be_missing_too),
        CASE(whoever_is_registered_later_is_looked_for),
        CASE(whoever_is_counted_is_looked_for),
        CASE(counts_under_another_key_cannot_be_read),
        CASE(a_filing_under_another_number_is_a_bad_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
