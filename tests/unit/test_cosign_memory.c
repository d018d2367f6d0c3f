/* What the cosigner remembers of its logs: what is forgotten first, and that it is bounded. */
#include "base/alloc.h"
#include "base/log.h"
#include "witness/cosign_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    NOTE_BYTES = 1000,
    LONG_NOTE_BYTES = ADD_CHECKPOINT_BYTES_MAX,
    LOGS = COSIGN_MEMORY_TOTAL_BYTES_MAX / COSIGN_REFUSED_BYTES_MAX + 8
};

static struct checkpoint checkpoint_of(uint64_t size, uint8_t root)
{
    return (struct checkpoint){ .size = size, .root = { { root } } };
}

static void refuse(struct cosign_memory *memory, uint64_t size, uint8_t root, size_t bytes)
{
    struct cosign_request request = { .checkpoint = checkpoint_of(size, root),
                                      .note = BUF_INIT(bytes) };
    memset(buf_extend(&request.note, bytes), root, bytes);
    cosign_memory_add_refused(memory, &request);
    buf_clear(&request.note);
}

/* Whether a note with that size and root 1 is remembered. */
static bool has(const struct cosign_memory *memory, uint64_t size, size_t bytes)
{
    struct checkpoint other = checkpoint_of(size, 2);
    struct span note;
    if (!cosign_memory_find_contradicting(memory, &other, &note)) {
        return false;
    }
    assert_int_equal(note.len, bytes);
    assert_int_equal(note.data[bytes - 1], 1);
    return true;
}

static void cosign_memory_finds_another_root_of_the_size_only(void **state)
{
    (void)state;
    struct cosign_memory_total total = { .bytes = 0 };
    struct cosign_memory *memory = cosign_memory_new(&total);
    struct checkpoint same = checkpoint_of(7, 1), other_size = checkpoint_of(8, 2);
    struct span note;
    refuse(memory, 7, 1, NOTE_BYTES);
    assert_true(has(memory, 7, NOTE_BYTES));
    assert_false(cosign_memory_find_contradicting(memory, &same, &note));
    assert_false(cosign_memory_find_contradicting(memory, &other_size, &note));
    size_t bytes = atomic_load(&total.bytes);
    refuse(memory, 7, 1, NOTE_BYTES);
    refuse(memory, 0, 1, NOTE_BYTES); /* all trees begin alike */
    assert_int_equal(atomic_load(&total.bytes), bytes);
    cosign_memory_free(memory);
    assert_int_equal(atomic_load(&total.bytes), 0);
}

static void cosign_memory_forgets_the_oldest_notes_of_a_log_first(void **state)
{
    (void)state;
    struct cosign_memory_total total = { .bytes = 0 };
    struct cosign_memory *memory = cosign_memory_new(&total);
    uint64_t count = COSIGN_REFUSED_BYTES_MAX / (NOTE_BYTES + sizeof(struct cosign_refused));
    for (uint64_t size = 1; size <= count; size++) {
        refuse(memory, size, 1, NOTE_BYTES);
    }
    assert_true(has(memory, 1, NOTE_BYTES));
    refuse(memory, count + 1, 1, NOTE_BYTES);
    assert_false(has(memory, 1, NOTE_BYTES));
    assert_true(has(memory, 2, NOTE_BYTES));
    assert_true(has(memory, count + 1, NOTE_BYTES));
    refuse(memory, 1000000, 1, LONG_NOTE_BYTES); /* the longest that there are */
    assert_true(has(memory, 1000000, LONG_NOTE_BYTES));
    assert_true(has(memory, count + 1, NOTE_BYTES));
    refuse(memory, 1000001, 1, LONG_NOTE_BYTES);
    assert_false(has(memory, count + 1, NOTE_BYTES));
    assert_true(has(memory, 1000001, LONG_NOTE_BYTES));
    assert_true(atomic_load(&total.bytes) <= COSIGN_REFUSED_BYTES_MAX);
    cosign_memory_free(memory);
    assert_int_equal(atomic_load(&total.bytes), 0);
}

/* A log that comes when everything is in use takes nothing from the others. */
static void cosign_memory_is_bounded_over_all_logs(void **state)
{
    (void)state;
    struct cosign_memory_total total = { .bytes = 0 };
    struct cosign_memory *memories[LOGS];
    for (size_t i = 0; i < LOGS; i++) {
        memories[i] = cosign_memory_new(&total);
        for (uint64_t size = 1; size <= 40; size++) {
            refuse(memories[i], size, 1, 8 * NOTE_BYTES);
            assert_true(atomic_load(&total.bytes) <= COSIGN_MEMORY_TOTAL_BYTES_MAX);
        }
    }
    assert_true(atomic_load(&total.was_full));
    assert_true(has(memories[0], 40, 8 * NOTE_BYTES));
    struct cosign_memory *last = NULL, *late = memories[LOGS - 1];
    for (size_t i = 0; i < LOGS; i++) {
        last = TAILQ_EMPTY(&memories[i]->refused) ? last : memories[i];
    }
    assert_true(last != memories[0] && last != late);
    assert_true(last->refused_bytes < COSIGN_REFUSED_BYTES_MAX / 2);
    refuse(last, 41, 1, 8 * NOTE_BYTES); /* at the cost of its own */
    assert_true(has(last, 41, 8 * NOTE_BYTES));
    refuse(late, 41, 1, 8 * NOTE_BYTES);
    assert_false(has(late, 41, 8 * NOTE_BYTES));
    assert_false(cosign_memory_add_unwritten(late, span_of(memories, sizeof memories)));
    assert_true(has(memories[0], 40, 8 * NOTE_BYTES));
    for (size_t i = 0; i < LOGS; i++) {
        cosign_memory_free(memories[i]);
    }
    assert_int_equal(atomic_load(&total.bytes), 0);
}

static void cosign_memory_has_a_few_unwritten_files_in_order(void **state)
{
    (void)state;
    struct cosign_memory_total total = { .bytes = 0 };
    struct cosign_memory *memory = cosign_memory_new(&total);
    static const char *const files[] = { "a", "bb", "ccc", "dddd" };
    for (size_t i = 0; i < COSIGN_UNWRITTEN_MAX; i++) {
        assert_true(cosign_memory_add_unwritten(memory, span_of_str(files[i])));
    }
    assert_false(cosign_memory_add_unwritten(memory, span_of_str("one more")));
    for (size_t i = 0; i + 1 < COSIGN_UNWRITTEN_MAX; i++) {
        assert_true(span_is_str(buf_span(&memory->unwritten[0]), files[i]));
        cosign_memory_drop_unwritten(memory);
    }
    assert_int_equal(atomic_load(&total.bytes), 4);
    cosign_memory_free(memory);
    assert_int_equal(atomic_load(&total.bytes), 0);
}

static void cosign_memory_repeats_lines_of_the_very_state_only(void **state)
{
    (void)state;
    struct cosign_memory_total total = { .bytes = 0 };
    struct cosign_memory *memory = cosign_memory_new(&total);
    struct hash body = { { 1 } };
    struct origin_state signed_state = { 7, { { 3 } }, 1700000000 }, other;
    struct span lines;
    assert_false(cosign_memory_find_lines(memory, &signed_state, &lines));
    cosign_memory_set_answer(memory, &body, &signed_state, span_of_str("lines"), 1000);
    assert_true(cosign_memory_find_lines(memory, &signed_state, &lines));
    assert_true(span_is_str(lines, "lines"));
    other = signed_state;
    other.size++;
    assert_false(cosign_memory_find_lines(memory, &other, &lines));
    other = signed_state;
    other.timestamp++;
    assert_false(cosign_memory_find_lines(memory, &other, &lines));
    other = signed_state;
    other.root.bytes[31] ^= 1;
    assert_false(cosign_memory_find_lines(memory, &other, &lines));
    cosign_memory_forget_answer(memory);
    assert_false(cosign_memory_find_lines(memory, &signed_state, &lines));
    cosign_memory_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosign_memory_finds_another_root_of_the_size_only),
        cmocka_unit_test(cosign_memory_forgets_the_oldest_notes_of_a_log_first),
        cmocka_unit_test(cosign_memory_is_bounded_over_all_logs),
        cmocka_unit_test(cosign_memory_has_a_few_unwritten_files_in_order),
        cmocka_unit_test(cosign_memory_repeats_lines_of_the_very_state_only),
    };
    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
