#include "base/alloc.h"

#include "tests/support/death.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void mem_calloc_zeroes(void **state)
{
    (void)state;
    unsigned char *memory = mem_calloc(100, 7);
    for (size_t i = 0; i < 700; i++) {
        assert_int_equal(memory[i], 0);
    }
    mem_free(memory);
    mem_free(NULL);
}

static void mem_strdup_copies(void **state)
{
    (void)state;
    char text[] = "abc";
    char *copy = mem_strdup(text);
    text[0] = 'x';
    assert_string_equal(copy, "abc");
    mem_free(copy);
}

static void allocate_more_than_there_is(void)
{
    volatile size_t size = SIZE_MAX / 2;
    mem_alloc(size);
}

static void overflow_the_product(void)
{
    volatile size_t count = SIZE_MAX / 2;
    mem_calloc(count, 4);
}

static void out_of_memory_ends_the_process(void **state)
{
    (void)state;
    assert_true(death_of(allocate_more_than_there_is));
    assert_true(death_of(overflow_the_product));
}

static void arena_memory_is_aligned_and_does_not_overlap(void **state)
{
    (void)state;
    enum {
        PIECES = 3000
    };
    static unsigned char *pieces[PIECES];
    struct arena arena;
    arena_init(&arena, 64 * 1024 * 1024);
    for (size_t i = 0; i < PIECES; i++) {
        size_t size = i * 37 % 20000 + 1;
        pieces[i] = arena_alloc(&arena, size);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % alignof(max_align_t), 0);
        memset(pieces[i], (int)(i & 0xff), size);
    }
    for (size_t i = 0; i < PIECES; i++) {
        size_t size = i * 37 % 20000 + 1;
        assert_int_equal(pieces[i][0], i & 0xff);
        assert_int_equal(pieces[i][size - 1], i & 0xff);
    }
    arena_clear(&arena);
    assert_int_equal(arena.used, 0);
}

static void arena_gives_null_over_its_maximum(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1000);
    assert_null(arena_alloc(&arena, 1001));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 8));
    size_t count = 0;
    while (arena_alloc(&arena, 100) != NULL) {
        count++;
        assert_true(arena.used <= 1000);
    }
    assert_in_range(count, 7, 9);
    arena_clear(&arena);
    assert_non_null(arena_alloc(&arena, 900));
    arena_clear(&arena);
}

static void arena_begins_with_the_callers_memory(void **state)
{
    (void)state;
    unsigned char memory[256];
    struct arena arena;
    arena_init_with(&arena, 4096, memory + 1, sizeof memory - 1);
    unsigned char *first = arena_alloc(&arena, 100);
    assert_true(first > memory && first + 100 <= memory + sizeof memory);
    assert_int_equal((uintptr_t)first % 16, 0);
    unsigned char *second = arena_alloc(&arena, 200); /* does not fit any more */
    assert_non_null(second);
    assert_false(second >= memory && second < memory + sizeof memory);
    unsigned char *third = arena_alloc(&arena, 64);
    assert_true(third >= first + 100 && third + 64 <= memory + sizeof memory);
    assert_null(arena_alloc(&arena, 4096));
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mem_calloc_zeroes),
        cmocka_unit_test(mem_strdup_copies),
        cmocka_unit_test(out_of_memory_ends_the_process),
        cmocka_unit_test(arena_memory_is_aligned_and_does_not_overlap),
        cmocka_unit_test(arena_gives_null_over_its_maximum),
        cmocka_unit_test(arena_begins_with_the_callers_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
