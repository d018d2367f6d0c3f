#include "monitor/record_expected.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    COUNT = 100000
};

static struct hash tag(uint64_t number)
{
    return sha256(span_of(&number, sizeof number));
}

static void what_is_expected_is_found_and_nothing_else(void **state)
{
    static char owners[7];
    struct record_expected *expected = record_expected_new();
    (void)state;
    for (uint64_t i = 0; i < COUNT; i++) {
        struct hash hash = tag(i);
        assert_null(record_expected_find(expected, &hash));
        record_expected_add(expected, &hash, &owners[i % 7]);
        record_expected_add(expected, &hash, &owners[(i + 1) % 7]); /* the first one has it */
    }
    for (uint64_t i = 0; i < COUNT; i++) {
        struct hash hash = tag(i), other = tag(COUNT + i);
        assert_ptr_equal(record_expected_find(expected, &hash), &owners[i % 7]);
        assert_null(record_expected_find(expected, &other));
    }
    record_expected_clear(expected);
    struct hash hash = tag(1);
    assert_null(record_expected_find(expected, &hash));
    record_expected_free(expected);
}

/* Tags with one beginning: a stranger has put another one onto the log. */
static void a_tag_is_known_by_its_beginning(void **state)
{
    static char owner;
    struct record_expected *expected = record_expected_new();
    struct hash zero = { { 0 } }, like = { { 0 } };
    (void)state;
    like.bytes[31] = 1;
    assert_null(record_expected_find(expected, &zero));
    record_expected_add(expected, &zero, &owner);
    assert_ptr_equal(record_expected_find(expected, &like), &owner);
    record_expected_free(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_expected_is_found_and_nothing_else),
        cmocka_unit_test(a_tag_is_known_by_its_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
