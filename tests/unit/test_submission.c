#include "logd/submission.h"
#include "tests/support/death.h"
#include "tests/support/entries.h"
#include "tlog/merkle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Every entry comes back from the bundle encoding, and its leaf hash is RFC 6962's. */
static void check_entries(const struct submission *submission, const struct span *expected,
                          size_t count)
{
    assert_int_equal(submission->count, count);
    struct span rest = span_of(submission->entries, submission->entries_bytes), entry;
    for (size_t i = 0; i < count; i++) {
        assert_true(bundle_take_entry(&rest, &entry));
        assert_true(span_is_equal(entry, expected[i]));
        struct span parts[] = { span_of("\x00", 1), expected[i] };
        struct hash leaf = sha256_parts(parts, 2);
        assert_memory_equal(submission->leaves[i].bytes, leaf.bytes, HASH_BYTES);
        assert_false(submission->duplicate[i]);
    }
    assert_int_equal(rest.len, 0);
}

static void submission_encodes_entries_as_a_bundle(void **state)
{
    (void)state;
    static const uint8_t largest[ENTRY_BYTES_MAX] = { 1, 2, 3 };
    const struct span entries[] = {
        span_of_str("a"),      span_of(NULL, 0), span_of(largest, sizeof largest),
        span_of(largest, 256), span_of_str(""),
    };
    struct submission *submission = submission_new(5, 1 + sizeof largest + 256);
    for (size_t i = 0; i < 5; i++) {
        submission_add(submission, entries[i]);
    }
    check_entries(submission, entries, 5);
    submission_free(submission);
}

/* Under the address sanitizer: each array has the room that it needs, for every count. */
static void submission_has_room_for_every_count(void **state)
{
    (void)state;
    for (size_t count = 1; count <= ENTRIES_PER_CALL_MAX; count += count < 20 ? 1 : 49) {
        struct submission *submission = entries_numbered(0, count);
        for (size_t i = 0; i < count; i++) {
            submission->indices[i] = i;
            submission->duplicate[i] = true;
        }
        assert_int_equal((uintptr_t)submission->indices % sizeof(uint64_t), 0);
        assert_int_equal(submission->count, count);
        assert_null(submission->next);
        assert_null(submission->on_done);
        submission_free(submission);
    }
}

static void submission_keeps_its_results_without_its_entries(void **state)
{
    (void)state;
    static const uint8_t bytes[ENTRY_BYTES_MAX];
    struct submission *submission = submission_new(2, sizeof bytes + 1);
    submission_add(submission, span_of(bytes, sizeof bytes));
    submission_add(submission, span_of(bytes, 1));
    struct hash leaves[2] = { submission->leaves[0], submission->leaves[1] };
    for (size_t i = 0; i < 2; i++) {
        submission->indices[i] = 7 + i;
        submission->duplicate[i] = i == 1;
    }
    submission = submission_drop_entries(submission);
    assert_int_equal(submission->count, 2);
    assert_int_equal(submission->entries_bytes, 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(submission->indices[i], 7 + i);
        assert_int_equal(submission->duplicate[i], i == 1);
        assert_true(hash_is_equal(&submission->leaves[i], &leaves[i]));
    }
    submission_free(submission);
}

static void make_none(void)
{
    submission_free(submission_new(0, 0));
}

static void make_too_many(void)
{
    submission_free(submission_new(ENTRIES_PER_CALL_MAX + 1, 0));
}

static void add_too_long(void)
{
    static const uint8_t bytes[ENTRY_BYTES_MAX + 1];
    struct submission *submission = submission_new(1, sizeof bytes);
    submission_add(submission, span_of(bytes, sizeof bytes));
}

static void submission_insists_on_its_bounds(void **state)
{
    (void)state;
    assert_true(death_of(make_none));
    assert_true(death_of(make_too_many));
    assert_true(death_of(add_too_long));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(submission_encodes_entries_as_a_bundle),
        cmocka_unit_test(submission_has_room_for_every_count),
        cmocka_unit_test(submission_keeps_its_results_without_its_entries),
        cmocka_unit_test(submission_insists_on_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
