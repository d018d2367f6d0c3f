#include "logd/recent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    GENERATION = 4096, /* entries that may grow old together */
    MANY = 50000
};

static struct hash leaf_of(uint64_t number)
{
    return sha256(span_of(&number, sizeof number));
}

static void add(struct recent *recent, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        struct hash leaf = leaf_of(i);
        recent_add(recent, &leaf, i);
    }
}

static bool knows(const struct recent *recent, uint64_t number)
{
    struct hash leaf = leaf_of(number);
    uint64_t index = UINT64_MAX;
    bool is_found = recent_find(recent, &leaf, &index);
    assert_int_equal(index, is_found ? number : UINT64_MAX);
    return is_found;
}

static void assert_knows(const struct recent *recent, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to; i++) {
        assert_true(knows(recent, i));
    }
}

static void recent_finds_nothing_when_empty(void **state)
{
    (void)state;
    struct recent recent;
    recent_init(&recent);
    assert_false(knows(&recent, 0));
    recent_forget(&recent, UINT64_MAX);
    assert_false(knows(&recent, 0));
    recent_clear(&recent);
}

static void recent_finds_all_that_was_added(void **state)
{
    (void)state;
    struct recent recent;
    recent_init(&recent);
    add(&recent, 0, MANY);
    assert_knows(&recent, 0, MANY);
    for (uint64_t i = MANY; i < MANY + 1000; i++) {
        assert_false(knows(&recent, i));
    }
    recent_clear(&recent);
    assert_false(knows(&recent, 0));
    recent_clear(&recent);
}

/* Leaves that fall into one slot: the first bytes are alike. */
static void recent_tells_colliding_leaves_apart(void **state)
{
    (void)state;
    struct recent recent;
    recent_init(&recent);
    for (unsigned i = 0; i < 600; i++) {
        struct hash leaf = { { 0xff, 0xff, 0xff } };
        leaf.bytes[30] = (uint8_t)(i >> 8);
        leaf.bytes[31] = (uint8_t)i;
        uint64_t index;
        assert_false(recent_find(&recent, &leaf, &index));
        recent_add(&recent, &leaf, i);
        assert_true(recent_find(&recent, &leaf, &index));
        assert_int_equal(index, i);
    }
    recent_clear(&recent);
}

static void recent_never_forgets_what_is_not_covered(void **state)
{
    (void)state;
    struct recent recent;
    recent_init(&recent);
    uint64_t covered = 0;
    for (uint64_t added = 0; added < MANY; added += 500) {
        add(&recent, added, added + 500);
        covered += added % 1500 == 0 ? 700 : 300; /* it lags */
        covered = covered < added + 500 ? covered : added + 500;
        recent_forget(&recent, covered);
        for (uint64_t i = covered; i < added + 500; i++) {
            assert_true(knows(&recent, i));
        }
    }
    recent_clear(&recent);
}

static void recent_stays_small_when_all_is_covered(void **state)
{
    (void)state;
    struct recent recent;
    recent_init(&recent);
    for (uint64_t added = 0; added < MANY; added += 100) {
        add(&recent, added, added + 100);
        recent_forget(&recent, added + 100);
        assert_true(recent.young.used + recent.old.used <= 2 * (GENERATION + 100));
    }
    assert_false(knows(&recent, 0));
    recent_clear(&recent);
}

static void recent_keeps_the_old_generation_until_it_is_covered_whole(void **state)
{
    (void)state;
    struct recent recent;
    recent_init(&recent);
    add(&recent, 0, GENERATION);
    recent_forget(&recent, 0); /* grows old */
    add(&recent, GENERATION, 2 * GENERATION);
    recent_forget(&recent, GENERATION - 1);
    assert_knows(&recent, 0, 2 * GENERATION);
    recent_forget(&recent, GENERATION);
    assert_false(knows(&recent, 0));
    assert_false(knows(&recent, GENERATION - 1));
    assert_knows(&recent, GENERATION, 2 * GENERATION);
    recent_clear(&recent);
}

/* Whatever tags a submitter chooses, a look-up stays short: the slots of these would be neighbours. */
static void recent_spreads_tags_that_are_chosen_alike(void **state)
{
    (void)state;
    struct recent recent;
    recent_init(&recent);
    struct hash tag = { { 0 } };
    for (unsigned i = 0; i < 400; i++) {
        tag.bytes[30] = (uint8_t)(i >> 8);
        tag.bytes[31] = (uint8_t)i;
        recent_add_tag(&recent, &tag, i);
    }
    size_t run = 0, longest = 0;
    for (size_t i = 0; i < recent.young.slot_count; i++) {
        run = recent.young.slots[i].index_plus_1 == 0 ? 0 : run + 1;
        longest = run > longest ? run : longest;
    }
    assert_true(longest < 50);
    for (unsigned i = 0; i < 400; i++) {
        uint64_t index;
        tag.bytes[30] = (uint8_t)(i >> 8);
        tag.bytes[31] = (uint8_t)i;
        assert_true(recent_find_tag(&recent, &tag, &index));
        assert_int_equal(index, i);
    }
    recent_clear(&recent);
}

static void recent_never_takes_a_tag_for_a_leaf(void **state)
{
    (void)state;
    struct recent recent;
    recent_init(&recent);
    struct hash one = leaf_of(1), two = leaf_of(2);
    uint64_t index;
    recent_add(&recent, &one, 5);
    recent_add_tag(&recent, &two, 5);
    assert_false(recent_find_tag(&recent, &one, &index));
    assert_false(recent_find(&recent, &two, &index));
    recent_add_tag(&recent, &one, 6); /* the same bytes as both */
    assert_true(recent_find(&recent, &one, &index));
    assert_int_equal(index, 5);
    assert_true(recent_find_tag(&recent, &one, &index));
    assert_int_equal(index, 6);
    recent_clear(&recent);
}

static void recent_forgets_tags_with_their_entries(void **state)
{
    (void)state;
    struct recent recent;
    recent_init(&recent);
    for (uint64_t i = 0; i < 4 * GENERATION; i++) {
        struct hash leaf = leaf_of(i);
        recent_add(&recent, &leaf, i);
        recent_add_tag(&recent, &leaf, i);
        recent_forget(&recent, i < 100 ? 0 : i - 100);
        for (uint64_t j = i < 100 ? 0 : i - 100; j <= i && i % 997 == 0; j++) {
            uint64_t index;
            struct hash tag = leaf_of(j);
            assert_true(recent_find_tag(&recent, &tag, &index));
            assert_int_equal(index, j);
        }
    }
    uint64_t index;
    struct hash first = leaf_of(0);
    assert_false(recent_find_tag(&recent, &first, &index));
    recent_clear(&recent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recent_finds_nothing_when_empty),
        cmocka_unit_test(recent_finds_all_that_was_added),
        cmocka_unit_test(recent_tells_colliding_leaves_apart),
        cmocka_unit_test(recent_never_forgets_what_is_not_covered),
        cmocka_unit_test(recent_stays_small_when_all_is_covered),
        cmocka_unit_test(recent_keeps_the_old_generation_until_it_is_covered_whole),
        cmocka_unit_test(recent_spreads_tags_that_are_chosen_alike),
        cmocka_unit_test(recent_never_takes_a_tag_for_a_leaf),
        cmocka_unit_test(recent_forgets_tags_with_their_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
