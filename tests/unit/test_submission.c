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

static struct entry_facts facts_of(uint8_t number)
{
    struct entry_facts facts = { .has_tag = number % 2 == 0, .is_registration = number % 3 == 0 };
    memset(facts.tag.bytes, number, sizeof facts.tag.bytes);
    return facts;
}

static void assert_facts(const struct submission *submission)
{
    for (size_t i = 0; i < submission->count; i++) {
        struct entry_facts facts = facts_of((uint8_t)i);
        assert_memory_equal(&submission->facts[i], &facts, sizeof facts);
    }
}

/* Under the address sanitizer too: for every count each array has its room, and facts outlive the entries. */
static void submission_keeps_facts_without_its_entries(void **state)
{
    (void)state;
    for (size_t count = 1; count <= ENTRIES_PER_CALL_MAX; count += count < 20 ? 1 : 49) {
        struct submission *submission = submission_new_with_facts(count, 3 * count);
        for (size_t i = 0; i < count; i++) {
            struct entry_facts facts = facts_of((uint8_t)i);
            submission_add_with_facts(submission, span_of_str("abc"), &facts);
            submission->indices[i] = 1000 + i;
        }
        assert_int_equal(submission->entries_bytes, 5 * count);
        assert_facts(submission);
        assert_false(submission->conflict.is_there);
        submission = submission_drop_entries(submission);
        assert_null(submission->entries);
        assert_facts(submission);
        struct hash leaf = merkle_leaf_hash(span_of_str("abc"));
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(submission->indices[i], 1000 + i);
            assert_memory_equal(&submission->leaves[i], &leaf, sizeof leaf);
        }
        submission_free(submission);
    }
}

static void add_without_facts(void)
{
    submission_add(submission_new_with_facts(1, 1), span_of_str("a"));
}

static void add_with_facts_to_one_without(void)
{
    struct entry_facts facts = facts_of(0);
    submission_add_with_facts(submission_new(1, 1), span_of_str("a"), &facts);
}

static void submission_has_facts_of_every_entry_or_of_none(void **state)
{
    (void)state;
    assert_true(death_of(add_without_facts));
    assert_true(death_of(add_with_facts_to_one_without));
}

static void submission_refusal_says_where_the_tag_is(void **state)
{
    (void)state;
    struct err err;
    struct submission *submission = submission_new_with_facts(1, 1);
    submission->conflict =
        (struct submission_conflict){ .is_there = true, .position = 3, .index = 17 };
    assert_int_equal(submission_refusal(submission, &err), E_EXISTS);
    assert_string_equal(err.msg, "entry 3: its entry tag is on the log already, at index 17, with "
                                 "other bytes: the submitter's store may be an old copy");
    submission->conflict.is_inside = true;
    assert_int_equal(submission_refusal(submission, &err), E_EXISTS);
    assert_string_equal(err.msg,
                        "entry 3: its entry tag is that of entry 17, which has other bytes");
    submission_free(submission);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(submission_encodes_entries_as_a_bundle),
        cmocka_unit_test(submission_has_room_for_every_count),
        cmocka_unit_test(submission_keeps_its_results_without_its_entries),
        cmocka_unit_test(submission_insists_on_its_bounds),
        cmocka_unit_test(submission_keeps_facts_without_its_entries),
        cmocka_unit_test(submission_has_facts_of_every_entry_or_of_none),
        cmocka_unit_test(submission_refusal_says_where_the_tag_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
