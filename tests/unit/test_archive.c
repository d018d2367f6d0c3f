#include "base/alloc.h"
#include "store/archive.h"
#include "store/tiles_memory.h"
#include "tests/support/entries.h"
#include "tests/support/keys.h"
#include "tlog/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    MINUTE = 60,
    DAY = 24 * 60 * 60,
    NOTES_MAX = 2000
};

#define START INT64_C(1767225600) /* 2026-01-01 00:00:00 */

static struct tiles_memory_disk *disk;
static struct tiles *tiles;
static struct signer signer;
static struct err err;

/* What was added, in order; thinned out as archive_prune should. */
static struct {
    int64_t unix_s;
    uint64_t size;
    bool is_gone;
} added[NOTES_MAX];
static size_t added_count;

static int setup(void **state)
{
    (void)state;
    disk = tiles_memory_disk_new();
    tiles = tiles_memory_open(disk);
    signer = keys_signer("archive.example/log", SIGNATURE_ED25519, "archive");
    added_count = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    signer_clear(&signer);
    tiles_close(tiles);
    tiles_memory_disk_free(disk);
    return 0;
}

/* A note as it is published; `lines` signature lines, and no verifying here. */
static void put_note(struct buf *out, uint64_t size, size_t lines)
{
    struct checkpoint checkpoint = { .origin = "archive.example/log", .size = size };
    checkpoint.root = size == 0 ? merkle_empty_root() : sha256(span_of(&size, sizeof size));
    checkpoint_put(out, &checkpoint);
    buf_put_str(out, "\n");
    for (size_t i = 0; i < lines; i++) {
        buf_putf(out, "— signer%zu AAAAAAA%zu\n", i, size % 10);
    }
}

static void add(int64_t unix_s, uint64_t size)
{
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    put_note(&note, size, 1 + size % 3);
    assert_int_equal(archive_add(tiles, unix_s, buf_span(&note), &err), E_OK);
    assert_true(added_count < NOTES_MAX);
    added[added_count].unix_s = unix_s;
    added[added_count].is_gone = false;
    added[added_count++].size = size;
    buf_clear(&note);
}

static void read_file(const char *path, struct buf *out)
{
    buf_init(out, ARCHIVE_FILE_MAX);
    assert_int_equal(tiles_read(tiles, path, out, &err), E_OK);
}

static size_t count_notes(int64_t unix_s)
{
    struct buf file;
    read_file(archive_path_of(unix_s).text, &file);
    struct span rest = buf_span(&file), note;
    size_t count = 0;
    while (archive_take_note(&rest, &note)) {
        count++;
    }
    assert_int_equal(rest.len, 0);
    buf_clear(&file);
    return count;
}

/* archive_find against a look at every note, for every index that makes a difference. */
static void check_find(void)
{
    uint64_t size_max = added[added_count - 1].size;
    for (uint64_t index = 0; index <= size_max; index++) {
        struct buf expected = BUF_INIT(NOTE_BYTES_MAX), found = BUF_INIT(NOTE_BYTES_MAX);
        for (size_t i = 0; i < added_count && expected.len == 0; i++) {
            if (!added[i].is_gone && added[i].size > index) {
                put_note(&expected, added[i].size, 1 + added[i].size % 3);
            }
        }
        assert_int_equal(archive_find(tiles, index, &found, &err),
                         expected.len > 0 ? E_OK : E_NOT_FOUND);
        assert_true(span_is_equal(buf_span(&found), buf_span(&expected)));
        buf_clear(&expected);
        buf_clear(&found);
    }
}

static void archive_path_is_the_minute_in_utc(void **state)
{
    (void)state;
    assert_string_equal(archive_path_of(0).text, "archive/1970-01-01/00/00");
    assert_string_equal(archive_path_of(59).text, "archive/1970-01-01/00/00");
    assert_string_equal(archive_path_of(60).text, "archive/1970-01-01/00/01");
    assert_string_equal(archive_path_of(START - 1).text, "archive/2025-12-31/23/59");
    assert_string_equal(archive_path_of(1709251199).text, "archive/2024-02-29/23/59");
    assert_string_equal(archive_path_of(-5).text, "archive/1970-01-01/00/00");
    assert_string_equal(archive_path_of(INT64_MAX).text, "archive/9999-12-31/23/59");
}

static void archive_path_that_it_writes_is_valid(void **state)
{
    (void)state;
    for (int64_t s = 0; s < INT64_C(400) * 365 * DAY; s += 7 * DAY + 3 * 3600 + 41 * MINUTE) {
        assert_true(archive_path_is_valid(span_of_str(archive_path_of(s).text)));
    }
    assert_true(archive_path_is_valid(span_of_str(archive_path_of(INT64_MAX).text)));
}

static void archive_path_refuses_anything_else(void **state)
{
    (void)state;
    static const char *const good[] = {
        "archive/2026-01-31/00/00", "archive/2024-02-29/23/59", "archive/2000-02-29/09/09",
        "archive/1970-01-01/00/00", "archive/9999-12-31/23/59",
    };
    static const char *const bad[] = {
        "",
        "archive",
        "archive/",
        "archive/2026-01-31",
        "archive/2026-01-31/00",
        "archive/2026-01-31/00/",
        "archive/2026-01-31/00/0",
        "archive/2026-01-31/00/000",
        "archive/2026-01-31/00/00/",
        "archive/2026-01-31/00/00 ",
        "archive/2026-01-31/00/60",
        "archive/2026-01-31/24/00",
        "archive/2026-01-32/00/00",
        "archive/2026-01-00/00/00",
        "archive/2026-00-01/00/00",
        "archive/2026-13-01/00/00",
        "archive/2026-04-31/00/00",
        "archive/2025-02-29/00/00",
        "archive/2100-02-29/00/00",
        "archive/1969-12-31/00/00",
        "archive/0000-01-01/00/00",
        "archive/26-01-31/00/00",
        "archive/2026-1-31/00/00",
        "archive/2026/01/31/00/00",
        "archive/2026-01-31/-1/00",
        "archive/2026-01-31/+1/00",
        "archive/2026-01-31/ 1/00",
        "archive/2026-01-31/0x/00",
        "archive//2026-01-31/00/00",
        "/archive/2026-01-31/00/00",
        "Archive/2026-01-31/00/00",
        "archive/../checkpoint",
        "archive/2026-01-31/../00",
        "archive/thin-until",
        "checkpoint",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(archive_path_is_valid(span_of_str(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(archive_path_is_valid(span_of_str(bad[i])));
    }
    assert_false(archive_path_is_valid(span_of("archive/2026-01-31/00/0\0", 24)));
}

static void archive_keeps_notes_as_they_are(void **state)
{
    (void)state;
    struct buf first = BUF_INIT(NOTE_BYTES_MAX), second = BUF_INIT(NOTE_BYTES_MAX), file;
    put_note(&first, 7, 1);
    put_note(&second, 9, 3);
    assert_int_equal(archive_add(tiles, START, buf_span(&first), &err), E_OK);
    read_file("archive/2026-01-01/00/00", &file);
    assert_true(span_is_equal(buf_span(&file), buf_span(&first)));
    buf_clear(&file);
    assert_int_equal(archive_add(tiles, START + 59, buf_span(&second), &err), E_OK);
    read_file("archive/2026-01-01/00/00", &file);
    buf_put_str(&first, "\n");
    buf_put(&first, buf_span(&second));
    assert_true(span_is_equal(buf_span(&file), buf_span(&first)));
    buf_clear(&file);
    buf_clear(&first);
    buf_clear(&second);
}

/* A real note under a real key goes through too. */
static void archive_gives_back_a_signed_note(void **state)
{
    (void)state;
    struct checkpoint checkpoint = { .origin = "archive.example/log", .size = 5 }, opened;
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX), note = BUF_INIT(NOTE_BYTES_MAX);
    struct buf found = BUF_INIT(NOTE_BYTES_MAX);
    checkpoint_put(&text, &checkpoint);
    keys_put_signed(&note, buf_span(&text), &signer, 0);
    add(START, 1);
    assert_int_equal(archive_add(tiles, START + 1, buf_span(&note), &err), E_OK);
    assert_int_equal(archive_find(tiles, 1, &found, &err), E_OK);
    assert_int_equal(checkpoint_open(&opened, buf_span(&found), &signer.vkey, "archive.example/log",
                                     &err),
                     E_OK);
    assert_true(checkpoint_is_equal(&opened, &checkpoint));
    buf_clear(&text);
    buf_clear(&note);
    buf_clear(&found);
}

static void archive_does_not_add_the_last_note_twice(void **state)
{
    (void)state;
    add(START, 7);
    add(START, 8);
    uint64_t before = tiles_bytes_written(tiles);
    add(START + 3, 8);
    assert_int_equal(tiles_bytes_written(tiles), before);
    assert_int_equal(count_notes(START), 2);
    add(START + 4, 7); /* another one than the last */
    assert_int_equal(count_notes(START), 3);
}

static void archive_add_cuts_a_torn_tail(void **state)
{
    (void)state;
    struct buf whole = BUF_INIT(4096), third = BUF_INIT(4096);
    put_note(&whole, 1, 1);
    buf_put_str(&whole, "\n");
    size_t first_len = whole.len;
    put_note(&whole, 2, 1);
    put_note(&third, 3, 1);
    for (size_t len = 0; len <= whole.len; len++) {
        struct span torn = span_slice(buf_span(&whole), 0, len);
        assert_int_equal(tiles_replace(tiles, archive_path_of(START).text, torn, &err), E_OK);
        assert_int_equal(archive_add(tiles, START, buf_span(&third), &err), E_OK);
        size_t expected = len == whole.len ? 3 : len + 1 >= first_len ? 2 : 1;
        assert_int_equal(count_notes(START), expected);
    }
    buf_clear(&whole);
    buf_clear(&third);
}

static void archive_take_note_stops_at_a_torn_note(void **state)
{
    (void)state;
    struct buf whole = BUF_INIT(4096);
    put_note(&whole, 1, 1);
    struct span note;
    for (size_t len = 0; len < whole.len; len++) {
        struct span in = span_slice(buf_span(&whole), 0, len), before = in;
        assert_false(archive_take_note(&in, &note));
        assert_ptr_equal(in.data, before.data);
        assert_int_equal(in.len, before.len);
    }
    static const char *const bad[] = {
        "\n\n— a b\n",
        "text\n\nno signature\n",
        "text\n\n— a b\njunk\n",
        "text\n\n— a b\n— c",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct span in = span_of_str(bad[i]);
        assert_false(archive_take_note(&in, &note));
    }
    buf_clear(&whole);
}

static void archive_stays_within_a_minutes_bytes(void **state)
{
    (void)state;
    struct buf file = BUF_INIT(ARCHIVE_FILE_MAX), note = BUF_INIT(NOTE_BYTES_MAX);
    put_note(&note, 1, 1);
    while (buf_room(&file) > note.len) {
        buf_put(&file, buf_span(&note));
        buf_put_str(&file, "\n");
    }
    buf_truncate(&file, file.len - 1);
    const char *path = archive_path_of(START).text;
    assert_int_equal(tiles_replace(tiles, path, buf_span(&file), &err), E_OK);
    buf_reset(&note);
    put_note(&note, 2, 1);
    assert_int_equal(archive_add(tiles, START, buf_span(&note), &err),
                     E_OK); /* publishing goes on */
    struct buf after;
    read_file(path, &after);
    assert_true(after.len <= ARCHIVE_FILE_MAX);
    assert_true(span_is_equal(buf_span(&after), buf_span(&file)));
    buf_clear(&after);
    buf_clear(&file);
    buf_clear(&note);
}

static void archive_find_in_nothing_finds_nothing(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(NOTE_BYTES_MAX);
    assert_int_equal(archive_find(tiles, 0, &out, &err), E_NOT_FOUND);
    add(START, 0);
    assert_int_equal(archive_find(tiles, 0, &out, &err), E_NOT_FOUND);
    add(START, 1);
    assert_int_equal(archive_find(tiles, 0, &out, &err), E_OK);
    buf_clear(&out);
}

static void fill(uint64_t seed, size_t notes, int64_t gap_max)
{
    int64_t now = START;
    uint64_t size = 0;
    for (size_t i = 0; i < notes; i++) {
        now += (int64_t)(entries_next_number(&seed) % (uint64_t)gap_max);
        size += entries_next_number(&seed) % 3; /* the same size again: a refresh */
        add(now, size);
    }
}

static void archive_find_is_a_search_of_all_notes(void **state)
{
    (void)state;
    static const int64_t gaps[] = { 30, 5 * MINUTE, 3600, DAY, 20 * DAY };
    for (size_t i = 0; i < sizeof gaps / sizeof gaps[0]; i++) {
        teardown(NULL);
        setup(NULL);
        fill(i, 120, gaps[i]);
        check_find();
    }
}

static void archive_find_passes_over_what_is_not_a_note(void **state)
{
    (void)state;
    fill(3, 60, 3600);
    const struct span nothing = span_of(NULL, 0), junk = span_of_str("junk\n\n— a b\n");
    static const char *const paths[] = {
        "archive/2025-12-31/23/59", "archive/2026-01-01/00/61",
        "archive/2026-01-01/x",     "archive/2026-01-01/05/00",
        "archive/2026-01-02/05/00", "archive/2026-06-01/05/00",
        "archive/2026-06-01/05/01", "archive/zzz",
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct buf old = BUF_INIT(ARCHIVE_FILE_MAX);
        if (tiles_read(tiles, paths[i], &old, &err) == E_NOT_FOUND) {
            assert_int_equal(tiles_replace(tiles, paths[i], i % 2 == 0 ? nothing : junk, &err),
                             E_OK);
        }
        buf_clear(&old);
    }
    check_find();
}

/* Of each minute of a day before `until`, only the first note stays. */
static void thin_model(int64_t until)
{
    for (size_t i = 1; i < added_count; i++) {
        bool is_same = added[i].unix_s / MINUTE == added[i - 1].unix_s / MINUTE;
        added[i].is_gone = is_same && added[i].unix_s / DAY * DAY < until;
    }
}

static void archive_prune_keeps_the_first_note_of_each_minute(void **state)
{
    (void)state;
    uint64_t size = 0;
    for (int64_t now = START; added_count < 600; now += 13) {
        add(now, size++);
        now += added_count % 20 == 0 ? DAY / 8 : 0; /* some four days in all */
    }
    int64_t last_day = added[added_count - 1].unix_s / DAY * DAY;
    bool has_more = true;
    assert_int_equal(archive_prune(tiles, START + ARCHIVE_DAYS * DAY, &has_more, &err), E_OK);
    assert_false(has_more); /* nothing is older than that */
    check_find();
    int64_t now = last_day + (int64_t)ARCHIVE_DAYS * DAY; /* the last day is kept whole */
    size_t days = 0;
    do {
        assert_int_equal(archive_prune(tiles, now, &has_more, &err), E_OK);
        thin_model(START + (int64_t)++days * DAY);
        check_find();
    } while (has_more);
    assert_int_equal(days, (last_day - START) / DAY);
    assert_true(days > 2);
    uint64_t before = tiles_bytes_written(tiles);
    assert_int_equal(archive_prune(tiles, now, &has_more, &err), E_OK);
    assert_false(has_more);
    assert_int_equal(tiles_bytes_written(tiles), before); /* thin days are left alone */
    assert_int_equal(archive_prune(tiles, now + DAY, &has_more, &err), E_OK);
    assert_false(has_more);
    thin_model(last_day + DAY);
    check_find();
    assert_int_equal(count_notes(START), 1);
}

static void archive_prune_that_fails_is_done_again(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 40; i++) {
        add(START + (int64_t)i * 20, i);
    }
    int64_t now = START + (int64_t)(ARCHIVE_DAYS + 1) * DAY;
    bool has_more = true;
    static const enum store_fault faults[] = { STORE_FAULT_BEFORE, STORE_FAULT_AFTER,
                                               STORE_FAULT_FULL };
    for (size_t i = 0; i < 3; i++) {
        tiles_memory_disk_fault(disk, faults[i]);
        assert_int_not_equal(archive_prune(tiles, now, &has_more, &err), E_OK);
        assert_true(has_more);
    }
    tiles_memory_disk_fault(disk, STORE_FAULT_NONE);
    assert_int_equal(archive_prune(tiles, now, &has_more, &err), E_OK);
    assert_false(has_more);
    thin_model(START + DAY);
    check_find();
}

static void archive_add_that_fails_adds_nothing_or_all(void **state)
{
    (void)state;
    add(START, 1);
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    put_note(&note, 2, 1);
    tiles_memory_disk_fault(disk, STORE_FAULT_FULL);
    assert_int_equal(archive_add(tiles, START, buf_span(&note), &err), E_UNAVAILABLE);
    assert_int_equal(count_notes(START), 1);
    tiles_memory_disk_fault(disk, STORE_FAULT_AFTER);
    assert_int_equal(archive_add(tiles, START, buf_span(&note), &err), E_IO);
    assert_int_equal(count_notes(START), 2);
    assert_int_equal(archive_add(tiles, START, buf_span(&note), &err), E_OK);
    assert_int_equal(count_notes(START), 2);
    buf_clear(&note);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(archive_path_is_the_minute_in_utc),
        CASE(archive_path_that_it_writes_is_valid),
        CASE(archive_path_refuses_anything_else),
        CASE(archive_keeps_notes_as_they_are),
        CASE(archive_gives_back_a_signed_note),
        CASE(archive_does_not_add_the_last_note_twice),
        CASE(archive_add_cuts_a_torn_tail),
        CASE(archive_take_note_stops_at_a_torn_note),
        CASE(archive_stays_within_a_minutes_bytes),
        CASE(archive_find_in_nothing_finds_nothing),
        CASE(archive_find_is_a_search_of_all_notes),
        CASE(archive_find_passes_over_what_is_not_a_note),
        CASE(archive_prune_keeps_the_first_note_of_each_minute),
        CASE(archive_prune_that_fails_is_done_again),
        CASE(archive_add_that_fails_adds_nothing_or_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
