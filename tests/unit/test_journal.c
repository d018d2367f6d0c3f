/* The contract of the journal seam (lib/store/journal.h): every implementation passes these. */
#include "base/alloc.h"
#include "store/journal.h"
#include "store/journal_file.h"
#include "store/journal_memory.h"
#include "tests/support/files.h"
#include "tlog/merkle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the four above first */
#include <cmocka.h>

enum {
    BYTES_MAX = 1024 * 1024,
    ENTRIES_MAX = 64 * 1024
};

enum kind {
    KIND_FILE,
    KIND_MEMORY
};

struct fixture {
    enum kind kind;
    char *dir;                        /* owned; KIND_FILE */
    struct journal_memory_disk *disk; /* owned; KIND_MEMORY */
    struct journal *journal;          /* owned */
    struct err err;
};

static void fixture_open(struct fixture *f)
{
    if (f->kind == KIND_FILE) {
        assert_int_equal(journal_file_open(&f->journal, f->dir, BYTES_MAX, &f->err), E_OK);
    } else {
        f->journal = journal_memory_open(f->disk);
    }
}

static void fixture_reopen(struct fixture *f)
{
    journal_close(f->journal);
    fixture_open(f);
}

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->kind = *(const enum kind *)*state;
    if (f->kind == KIND_FILE) {
        f->dir = files_make_temp_dir();
    } else {
        f->disk = journal_memory_disk_new(BYTES_MAX);
    }
    fixture_open(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    journal_close(f->journal);
    journal_memory_disk_free(f->disk);
    if (f->dir != NULL) {
        files_remove_tree(f->dir);
    }
    mem_free(f);
    return 0;
}

/* The record of entries [first, size), whose bytes follow from those numbers. */
static struct journal_record make_record(uint64_t first, uint64_t size, size_t bytes)
{
    static uint8_t entries[ENTRIES_MAX];
    assert_true(bytes <= sizeof entries);
    for (size_t i = 0; i < bytes; i++) {
        entries[i] = (uint8_t)(first * 31 + size * 17 + i * 7 + (i >> 8));
    }
    struct hash root = sha256(span_of(&size, sizeof size));
    return (struct journal_record){ first, size, root, span_of(entries, bytes) };
}

static enum err_code try_append(struct fixture *f, uint64_t first, uint64_t size, size_t bytes)
{
    struct journal_record record = make_record(first, size, bytes);
    enum err_code rc = journal_reserve(f->journal, bytes, &f->err);
    return rc != E_OK ? rc : journal_append(f->journal, &record, &f->err);
}

static void append(struct fixture *f, uint64_t first, uint64_t size, size_t bytes)
{
    assert_int_equal(try_append(f, first, size, bytes), E_OK);
}

static void assert_head(struct fixture *f, uint64_t size)
{
    struct journal_head head = journal_head(f->journal);
    struct hash root = size == 0 ? merkle_empty_root() : sha256(span_of(&size, sizeof size));
    assert_int_equal(head.size, size);
    assert_true(hash_is_equal(&head.root, &root));
}

/* What a replay tells. */
struct seen {
    uint64_t first; /* of the oldest record */
    uint64_t next;
    size_t count;
    size_t stop_after; /* records; 0 for never */
};

static enum err_code see_record(void *ctx, const struct journal_record *record, struct err *err)
{
    struct seen *seen = ctx;
    if (seen->count == 0) {
        seen->first = record->first;
    } else {
        assert_int_equal(record->first, seen->next);
    }
    struct journal_record expected = make_record(record->first, record->size, record->entries.len);
    assert_true(hash_is_equal(&record->root, &expected.root));
    assert_true(span_is_equal(record->entries, expected.entries));
    seen->next = record->size;
    seen->count++;
    return seen->count == seen->stop_after ? err_set(err, E_DENIED, "enough") : E_OK;
}

static struct seen replay(struct fixture *f)
{
    struct seen seen = { 0 };
    assert_int_equal(journal_replay(f->journal, see_record, &seen, &f->err), E_OK);
    return seen;
}

static void new_journal_is_empty(void **state)
{
    struct fixture *f = *state;
    assert_head(f, 0);
    assert_int_equal(replay(f).count, 0);
    assert_int_equal(journal_trim(f->journal, 100, &f->err), E_OK);
    fixture_reopen(f);
    assert_head(f, 0);
}

static void appended_records_are_replayed_in_order(void **state)
{
    struct fixture *f = *state;
    append(f, 0, 1, 10);
    append(f, 1, 3, 5000);
    append(f, 3, 300, 0); /* the journal does not look into entries */
    assert_head(f, 300);
    struct seen seen = replay(f);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.first, 0);
    assert_true(journal_bytes_written(f->journal) >= 5010);
}

static void append_refuses_what_does_not_extend_the_head(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(try_append(f, 1, 2, 10), E_CONFLICT);
    append(f, 0, 5, 100);
    assert_int_equal(try_append(f, 0, 6, 10), E_CONFLICT);
    assert_int_equal(try_append(f, 4, 6, 10), E_CONFLICT);
    assert_int_equal(try_append(f, 6, 7, 10), E_CONFLICT);
    assert_int_equal(try_append(f, 5, 5, 10), E_CONFLICT);
    assert_int_equal(try_append(f, 5, 4, 10), E_CONFLICT);
    assert_head(f, 5);
    append(f, 5, 6, 10);
    fixture_reopen(f);
    assert_head(f, 6);
    assert_int_equal(replay(f).count, 2);
}

static void acknowledged_records_survive_a_restart(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 20; i++) {
        append(f, 3 * i, 3 * i + 3, (size_t)(i * 411));
        fixture_reopen(f);
        assert_head(f, 3 * i + 3);
        assert_int_equal(replay(f).count, i + 1);
    }
}

static void an_unused_reservation_changes_nothing(void **state)
{
    struct fixture *f = *state;
    append(f, 0, 1, 10);
    assert_int_equal(journal_reserve(f->journal, ENTRIES_MAX, &f->err), E_OK);
    assert_int_equal(journal_reserve(f->journal, 10, &f->err), E_OK);
    fixture_reopen(f);
    assert_head(f, 1);
    assert_int_equal(replay(f).count, 1);
}

static void trim_keeps_what_is_above_and_the_last(void **state)
{
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 10; i++) {
        append(f, i, i + 1, ENTRIES_MAX);
    }
    assert_int_equal(journal_trim(f->journal, 6, &f->err), E_OK);
    struct seen seen = replay(f);
    assert_true(seen.first <= 6);
    assert_int_equal(seen.next, 10);
    assert_int_equal(journal_trim(f->journal, 1000, &f->err), E_OK);
    seen = replay(f);
    assert_true(seen.count >= 1);
    assert_int_equal(seen.next, 10);
    fixture_reopen(f);
    assert_head(f, 10);
    assert_int_equal(replay(f).next, 10);
    append(f, 10, 11, 10);
}

static void a_full_journal_is_busy_until_trimmed(void **state)
{
    struct fixture *f = *state;
    uint64_t size = 0;
    enum err_code rc = E_OK;
    for (; size < 100 && rc == E_OK; size++) {
        rc = try_append(f, size, size + 1, ENTRIES_MAX);
    }
    assert_int_equal(rc, E_BUSY);
    size--;
    assert_head(f, size);
    assert_true(size >= BYTES_MAX / ENTRIES_MAX / 2);
    assert_true(size <= BYTES_MAX / ENTRIES_MAX);
    assert_int_equal(journal_trim(f->journal, size, &f->err), E_OK);
    append(f, size, size + 1, ENTRIES_MAX);
    assert_int_equal(replay(f).next, size + 1);
}

static void replay_stops_at_the_first_error(void **state)
{
    struct fixture *f = *state;
    append(f, 0, 1, 10);
    append(f, 1, 2, 10);
    append(f, 2, 3, 10);
    struct seen seen = { .stop_after = 2 };
    assert_int_equal(journal_replay(f->journal, see_record, &seen, &f->err), E_DENIED);
    assert_string_equal(f->err.msg, "enough");
    assert_int_equal(seen.count, 2);
    append(f, 3, 4, 10);
}

/* Sizes, trims and restarts in a seeded disorder, checked against three numbers. */
static void any_mixture_keeps_the_records(void **state)
{
    struct fixture *f = *state;
    uint64_t size = 0;
    uint64_t trimmed = 0;
    srandom(7);
    for (int i = 0; i < 600; i++) {
        uint64_t next = size + 1 + (uint64_t)random() % 300;
        size_t bytes = (size_t)random() % (random() % 8 == 0 ? ENTRIES_MAX : 6000);
        enum err_code rc = try_append(f, size, next, bytes);
        if (rc == E_BUSY || random() % 20 == 0) {
            trimmed = rc == E_BUSY ? size : trimmed + (uint64_t)random() % (size - trimmed + 1);
            assert_int_equal(journal_trim(f->journal, trimmed, &f->err), E_OK);
        }
        size = rc == E_OK ? next : size;
        if (random() % 25 == 0) {
            fixture_reopen(f);
        }
        assert_head(f, size);
        struct seen seen = replay(f);
        assert_int_equal(seen.next, size);
        assert_true(seen.first <= trimmed);
    }
}

#define CASE(kind, test)                                                                           \
    {                                                                                              \
#kind " " #test, test, setup, teardown, (void *)&kind                                      \
    }
#define CASES(kind)                                                                                \
    CASE(kind, new_journal_is_empty), CASE(kind, appended_records_are_replayed_in_order),          \
        CASE(kind, append_refuses_what_does_not_extend_the_head),                                  \
        CASE(kind, acknowledged_records_survive_a_restart),                                        \
        CASE(kind, an_unused_reservation_changes_nothing),                                         \
        CASE(kind, trim_keeps_what_is_above_and_the_last),                                         \
        CASE(kind, a_full_journal_is_busy_until_trimmed),                                          \
        CASE(kind, replay_stops_at_the_first_error), CASE(kind, any_mixture_keeps_the_records)

int main(void)
{
    static const enum kind file = KIND_FILE;
    static const enum kind memory = KIND_MEMORY;
    const struct CMUnitTest tests[] = { CASES(file), CASES(memory) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
