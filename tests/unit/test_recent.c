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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recent_finds_nothing_when_empty),
        cmocka_unit_test(recent_finds_all_that_was_added),
        cmocka_unit_test(recent_tells_colliding_leaves_apart),
        cmocka_unit_test(recent_never_forgets_what_is_not_covered),
        cmocka_unit_test(recent_stays_small_when_all_is_covered),
        cmocka_unit_test(recent_keeps_the_old_generation_until_it_is_covered_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
