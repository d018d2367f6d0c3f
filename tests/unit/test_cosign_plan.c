#include "cli/cosign_plan.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum {
    FILES_MAX = 8,
    NONE = -1
};

struct files {
    struct cosign_file_proof proofs[FILES_MAX][4];
    struct cosign_file files[FILES_MAX];
    struct cosign_request requests[FILES_MAX];
    size_t count;
};

/* A file of `size` with proofs from `olds`, which end with NONE. */
static void add(struct files *files, uint64_t size, const int *olds)
{
    size_t at = files->count++;
    struct cosign_file *file = &files->files[at];
    file->proofs = files->proofs[at];
    for (; olds[file->count] != NONE; file->count++) {
        file->proofs[file->count].old_size = (uint64_t)olds[file->count];
    }
    files->requests[at] = (struct cosign_request){ .size = size, .file = file };
}

#define ADD(files, size, ...) add(files, size, (const int[]){ __VA_ARGS__, NONE })

static struct files *files_new(void)
{
    return NEW(struct files);
}

/* Follows the plan as a witness that signs everything would; returns how many it signed. */
static size_t follow(struct files *files, uint64_t *held)
{
    size_t signed_count = 0;
    size_t at;
    while ((at = cosign_plan_next(*held, files->requests, files->count)) != SIZE_MAX) {
        assert_true(files->requests[at].size >= *held); /* never back */
        assert_true(files->requests[at].size == *held ||
                    cosign_file_proof_from(files->requests[at].file, *held) != NULL);
        *held = files->requests[at].size;
        files->requests[at].is_settled = true;
        signed_count++;
    }
    return signed_count;
}

static void a_chain_is_followed_file_by_file(void **state)
{
    (void)state;
    struct files *files = files_new();
    ADD(files, 100, 0);
    ADD(files, 200, 0, 100);
    ADD(files, 300, 0, 100, 200);
    uint64_t held = 0;
    assert_int_equal(follow(files, &held), 3);
    assert_int_equal(held, 300);
    mem_free(files);
}

/* Signing 100 first would leave 200 without a proof. */
static void the_largest_size_comes_before_the_number_of_files(void **state)
{
    (void)state;
    struct files *files = files_new();
    ADD(files, 100, 0);
    ADD(files, 200, 0);
    uint64_t held = 0;
    assert_int_equal(cosign_plan_next(held, files->requests, 2), 1);
    assert_int_equal(follow(files, &held), 1);
    assert_int_equal(held, 200);
    mem_free(files);
}

static void detours_are_taken_when_they_lead_there(void **state)
{
    (void)state;
    struct files *files = files_new();
    ADD(files, 10, 0);
    ADD(files, 20, 0);
    ADD(files, 30, 10);
    ADD(files, 40, 20, 30);
    ADD(files, 50, 20);
    uint64_t held = 0;
    assert_int_equal(follow(files, &held), 2); /* 20, 50: the way to 50 is one only */
    assert_int_equal(held, 50);
    mem_free(files);
}

static void nothing_fits_without_a_proof_from_what_is_held(void **state)
{
    (void)state;
    struct files *files = files_new();
    ADD(files, 100, 0, 50);
    ADD(files, 200, 0, 100);
    assert_int_equal(cosign_plan_next(120, files->requests, 2), SIZE_MAX);
    assert_int_equal(cosign_plan_next(300, files->requests, 2), SIZE_MAX);
    assert_int_equal(cosign_plan_next(50, files->requests, 2), 0);
    assert_int_equal(cosign_plan_next(0, files->requests, 0), SIZE_MAX);
    mem_free(files);
}

static void the_size_held_is_signed_again(void **state)
{
    (void)state;
    struct files *files = files_new();
    ADD(files, 100, 0);
    ADD(files, 100, 0);
    ADD(files, 200, 100);
    uint64_t held = 100;
    assert_int_equal(follow(files, &held), 3);
    assert_int_equal(held, 200);
    mem_free(files);
}

static void settled_files_are_left_alone(void **state)
{
    (void)state;
    struct files *files = files_new();
    ADD(files, 100, 0);
    ADD(files, 200, 0, 100);
    files->requests[1].is_settled = true;
    assert_int_equal(cosign_plan_next(0, files->requests, 2), 0);
    files->requests[0].is_settled = true;
    assert_int_equal(cosign_plan_next(0, files->requests, 2), SIZE_MAX);
    assert_int_equal(cosign_plan_next(100, files->requests, 2), SIZE_MAX);
    mem_free(files);
}

/* Against trying every subset in order: files of sizes 1 to 4, each with any set of proofs. */
static uint64_t best_end(uint64_t held, const struct cosign_request *requests, size_t count)
{
    uint64_t best = held;
    for (size_t i = 0; i < count; i++) {
        if (requests[i].size > held && cosign_file_proof_from(requests[i].file, held) != NULL) {
            uint64_t end = best_end(requests[i].size, requests, count);
            best = end > best ? end : best;
        }
    }
    return best;
}

static void the_plan_ends_as_far_as_any_order_does(void **state)
{
    (void)state;
    for (unsigned sets = 0; sets < 1U << 10; sets++) {
        struct files files = { .count = 0 };
        unsigned bits = sets;
        for (uint64_t size = 1; size <= 4; size++) {
            int olds[5];
            int n = 0;
            for (int old = 0; old < (int)size; old++, bits >>= 1) {
                if (bits & 1) {
                    olds[n++] = old;
                }
            }
            olds[n] = NONE;
            add(&files, size, olds);
        }
        uint64_t held = 0;
        uint64_t expected = best_end(0, files.requests, files.count);
        follow(&files, &held);
        assert_int_equal(held, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_is_followed_file_by_file),
        cmocka_unit_test(the_largest_size_comes_before_the_number_of_files),
        cmocka_unit_test(detours_are_taken_when_they_lead_there),
        cmocka_unit_test(nothing_fits_without_a_proof_from_what_is_held),
        cmocka_unit_test(the_size_held_is_signed_again),
        cmocka_unit_test(settled_files_are_left_alone),
        cmocka_unit_test(the_plan_ends_as_far_as_any_order_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
