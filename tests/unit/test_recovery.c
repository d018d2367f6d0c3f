#include "base/alloc.h"
#include "base/file.h"
#include "logd/recovery.h"
#include "store/journal_file.h"
#include "store/tiles_memory.h"
#include "store/tiles_posix.h"
#include "tests/support/entries.h"
#include "tests/support/files.h"
#include "tests/support/log_check.h"
#include "tests/support/tagged_entries.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define assert_hash_equal(a, b) assert_memory_equal((a)->bytes, (b)->bytes, HASH_BYTES)

enum {
    SIZE_MAX_TESTED = 1100,
    JOURNAL_BYTES = 8 << 20
};

/* A log and what it must be recovered as. */
struct log {
    char *dir; /* NULL: in memory */
    struct journal_memory_disk *journal_disk;
    struct tiles_memory_disk *tiles_disk;
    struct journal *journal;
    struct tiles *tiles;
    struct edge edge;
    bool withholds_tiles; /* commits are ahead of what is stored */
};

static struct err err;

static void open_stores(struct log *log)
{
    if (log->dir == NULL) {
        log->journal = journal_memory_open(log->journal_disk);
        log->tiles = tiles_memory_open(log->tiles_disk);
        return;
    }
    char *journal = files_join(log->dir, "journal"), *tiles = files_join(log->dir, "log");
    assert_int_equal(file_make_directory(journal, 0700, &err), E_OK);
    assert_int_equal(journal_file_open(&log->journal, journal, JOURNAL_BYTES, &err), E_OK);
    assert_int_equal(tiles_posix_open(&log->tiles, tiles, &err), E_OK);
    free(journal);
    free(tiles);
}

static struct log *log_new(bool is_posix)
{
    struct log *log = NEW(struct log);
    edge_init(&log->edge);
    if (is_posix) {
        log->dir = files_make_temp_dir();
    } else {
        log->journal_disk = journal_memory_disk_new(JOURNAL_BYTES);
        log->tiles_disk = tiles_memory_disk_new();
    }
    open_stores(log);
    return log;
}

static void log_reopen(struct log *log)
{
    journal_close(log->journal);
    tiles_close(log->tiles);
    open_stores(log);
}

static void log_free(struct log *log)
{
    journal_close(log->journal);
    tiles_close(log->tiles);
    journal_memory_disk_free(log->journal_disk);
    tiles_memory_disk_free(log->tiles_disk);
    if (log->dir != NULL) {
        files_remove_tree(log->dir);
    }
    edge_clear(&log->edge);
    mem_free(log);
}

static void write_tile(void *ctx, const struct tile_path *path, struct span bytes)
{
    struct log *log = ctx;
    if (!log->withholds_tiles) {
        assert_int_equal(tiles_write(log->tiles, tile_path_text(path).text, bytes, &err), E_OK);
    }
}

/* One commit of entries "entry <index>". */
static void commit(struct log *log, uint64_t count)
{
    struct buf entries = BUF_INIT(COMMIT_BYTES_MAX);
    uint64_t first = edge_size(&log->edge);
    for (uint64_t i = first; i < first + count; i++) {
        char text[32];
        struct span entry =
            span_of(text, (size_t)snprintf(text, sizeof text, "entry %llu", (unsigned long long)i));
        struct hash leaf = merkle_leaf_hash(entry);
        bundle_put_entry(&entries, entry);
        edge_append(&log->edge, entry, &leaf, write_tile, log);
    }
    struct journal_record record = { first, first + count, edge_root(&log->edge),
                                     buf_span(&entries) };
    assert_int_equal(journal_reserve(log->journal, entries.len, &err), E_OK);
    assert_int_equal(journal_append(log->journal, &record, &err), E_OK);
    buf_clear(&entries);
}

/* Commits of `step` entries each, the last one shorter. */
static void grow_to(struct log *log, uint64_t size, uint64_t step)
{
    while (edge_size(&log->edge) < size) {
        uint64_t left = size - edge_size(&log->edge);
        commit(log, left < step ? left : step);
    }
    assert_int_equal(tiles_sync(log->tiles, &err), E_OK);
}

static void put_resource(void *ctx, const struct tile_path *path, struct span bytes)
{
    buf_put_str(ctx, tile_path_text(path).text);
    buf_put(ctx, bytes);
}

static void assert_edge_equal(const struct edge *a, const struct edge *b)
{
    struct buf a_bytes = BUF_INIT(BUNDLE_BYTES_MAX), b_bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    struct hash a_root = edge_root(a), b_root = edge_root(b);
    assert_int_equal(edge_size(a), edge_size(b));
    assert_hash_equal(&a_root, &b_root);
    edge_put_partials(a, put_resource, &a_bytes);
    edge_put_partials(b, put_resource, &b_bytes);
    assert_true(span_is_equal(buf_span(&a_bytes), buf_span(&b_bytes)));
    buf_clear(&a_bytes);
    buf_clear(&b_bytes);
}

/* Recovers, and finds the log as it was made, with every full tile on the disk. */
static void check_recovery(struct log *log)
{
    struct recovered *recovered = NEW(struct recovered);
    uint64_t size = edge_size(&log->edge);
    assert_int_equal(recovery_run(recovered, log->journal, log->tiles, RECOVERY_RECENT_LEAVES, NULL,
                                  &err),
                     E_OK);
    assert_edge_equal(&recovered->edge, &log->edge);
    assert_int_equal(recovered->stored, size / TILE_WIDTH * TILE_WIDTH);
    assert_true(recovered->replayed_from <= recovered->stored);
    assert_int_equal(recovered->replayed_from % TILE_WIDTH, 0);
    assert_int_equal(recovered->recent.young.used, size - recovered->replayed_from);
    log_check_tree(log->tiles, recovered->stored, false, NULL);
    recovered_clear(recovered);
    mem_free(recovered);
}

static void check_corrupt(struct log *log)
{
    struct recovered *recovered = NEW(struct recovered);
    assert_int_equal(recovery_run(recovered, log->journal, log->tiles, RECOVERY_RECENT_LEAVES, NULL,
                                  &err),
                     E_CORRUPT);
    mem_free(recovered);
}

/* 0 to SIZE_MAX_TESTED: the first ones, some between, and those around full tiles. */
static uint64_t next_size(uint64_t size)
{
    uint64_t next = size < 4 ? size + 1 : size + 37;
    uint64_t tile = size / TILE_WIDTH * TILE_WIDTH;
    for (uint64_t at = tile; at <= tile + TILE_WIDTH; at += TILE_WIDTH) {
        for (uint64_t near = at == 0 ? 0 : at - 1; near <= at + 1; near++) {
            next = near > size && near < next ? near : next;
        }
    }
    return next;
}

static const uint64_t steps[] = { 1, 10, 100, 256, 300, 700 };

static void recovery_finds_every_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        for (uint64_t size = 0; size <= SIZE_MAX_TESTED; size = next_size(size)) {
            struct log *log = log_new(false);
            grow_to(log, size, steps[i]);
            check_recovery(log);
            check_recovery(log); /* the journal has been trimmed */
            log_free(log);
        }
    }
}

static void recovery_writes_tiles_that_were_not_stored(void **state)
{
    (void)state;
    for (uint64_t size = 0; size <= SIZE_MAX_TESTED; size = next_size(size)) {
        struct log *log = log_new(false);
        grow_to(log, size / 2, 10);
        log->withholds_tiles = true;
        grow_to(log, size, 10);
        assert_int_equal(journal_trim(log->journal, size / 2 / TILE_WIDTH * TILE_WIDTH, &err),
                         E_OK);
        check_recovery(log);
        log_free(log);
    }
}

static void recovery_works_wherever_the_journal_was_trimmed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        for (uint64_t at = 0; at <= SIZE_MAX_TESTED; at += TILE_WIDTH) {
            struct log *log = log_new(false);
            grow_to(log, SIZE_MAX_TESTED, steps[i]);
            assert_int_equal(journal_trim(log->journal, at, &err), E_OK);
            check_recovery(log);
            grow_to(log, SIZE_MAX_TESTED + 300, 77); /* and on it goes */
            check_recovery(log);
            log_free(log);
        }
    }
}

static void recovery_works_on_files(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 0, 1, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025, 1100 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct log *log = log_new(true);
        grow_to(log, sizes[i] / 2, 50);
        log->withholds_tiles = i % 2 == 0;
        grow_to(log, sizes[i], 90);
        log_reopen(log);
        check_recovery(log);
        log_reopen(log);
        check_recovery(log);
        log->withholds_tiles = false;
        grow_to(log, sizes[i] + 30, 15);
        log_reopen(log);
        check_recovery(log);
        log_free(log);
    }
}

static void recovery_edge_at_is_the_tree_of_every_size(void **state)
{
    (void)state;
    static const uint64_t trims[] = { 0, 256, 512, 1024 };
    struct edge **edges = mem_calloc(SIZE_MAX_TESTED + 1, sizeof *edges);
    for (size_t i = 0; i < sizeof trims / sizeof trims[0]; i++) {
        struct log *log = log_new(false);
        for (uint64_t size = 0; size <= SIZE_MAX_TESTED; size++) {
            edges[size] = NEW(struct edge);
            edge_init(edges[size]);
            edge_copy(edges[size], &log->edge);
            commit(log, 1);
        }
        assert_int_equal(journal_trim(log->journal, trims[i], &err), E_OK);
        for (uint64_t size = 0; size <= SIZE_MAX_TESTED; size++) {
            struct edge *edge = NEW(struct edge);
            edge_init(edge);
            assert_int_equal(recovery_edge_at(edge, size, log->journal, log->tiles, &err), E_OK);
            assert_edge_equal(edge, edges[size]);
            edge_clear(edge);
            mem_free(edge);
            edge_clear(edges[size]);
            mem_free(edges[size]);
        }
        log_free(log);
    }
    mem_free(edges);
}

static void recovery_edge_at_knows_where_the_journal_ends(void **state)
{
    (void)state;
    struct log *log = log_new(false);
    struct edge *edge = NEW(struct edge);
    edge_init(edge);
    for (uint64_t size = 0; size < 300; size += 50) {
        assert_int_equal(recovery_edge_at(edge, size + 1, log->journal, log->tiles, &err),
                         E_CORRUPT);
        commit(log, 50);
    }
    edge_clear(edge);
    mem_free(edge);
    log_free(log);
}

/* -- Damage -- */

enum damage {
    DAMAGE_BIT,
    DAMAGE_SHORT,
    DAMAGE_LONG,
    DAMAGE_EMPTY,
    DAMAGE_GONE,
    DAMAGE_KINDS
};

static void damage(struct tiles *tiles, const char *path, enum damage kind, size_t at)
{
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX + 1);
    assert_int_equal(tiles_read(tiles, path, &bytes, &err), E_OK);
    switch (kind) {
    case DAMAGE_BIT:
        bytes.data[at % bytes.len] ^= 1 << at % 8;
        break;
    case DAMAGE_SHORT:
        buf_truncate(&bytes, bytes.len - 1);
        break;
    case DAMAGE_LONG:
        buf_put_u8(&bytes, 0);
        break;
    case DAMAGE_EMPTY:
        buf_truncate(&bytes, 0);
        break;
    case DAMAGE_GONE:
        assert_int_equal(tiles_remove(tiles, path, &err), E_OK);
        break;
    case DAMAGE_KINDS:
        break;
    }
    if (kind != DAMAGE_GONE) {
        assert_int_equal(tiles_replace(tiles, path, buf_span(&bytes), &err), E_OK);
    }
    buf_clear(&bytes);
}

/* Damages one file in each way, and puts it back. */
static void check_damage_is_found(struct log *log, const char *path)
{
    struct buf good = BUF_INIT(BUNDLE_BYTES_MAX);
    assert_int_equal(tiles_read(log->tiles, path, &good, &err), E_OK);
    for (enum damage kind = 0; kind < DAMAGE_KINDS; kind++) {
        for (size_t at = 0; at < good.len; at += kind == DAMAGE_BIT ? 517 : good.len) {
            damage(log->tiles, path, kind, at);
            check_corrupt(log);
            assert_int_equal(tiles_replace(log->tiles, path, buf_span(&good), &err), E_OK);
        }
    }
    check_recovery(log);
    buf_clear(&good);
}

static void recovery_finds_a_damaged_tile_that_it_needs(void **state)
{
    (void)state;
    struct log *log = log_new(false);
    grow_to(log, SIZE_MAX_TESTED, 100);
    check_recovery(log); /* trims: the journal begins at 1000 */
    for (uint64_t i = 0; i < 4; i++) {
        struct tile_path path = { false, { 0, i }, TILE_WIDTH };
        check_damage_is_found(log, tile_path_text(&path).text);
    }
    log_free(log);
}

/* Above 256 full tiles the level above stands for them. */
static void recovery_of_a_large_log_needs_its_upper_tiles(void **state)
{
    (void)state;
    struct log *log = log_new(false);
    grow_to(log, 65536 + 500, 5000);
    grow_to(log, 65536 + 600, 10); /* what the journal still has is written again */
    check_recovery(log);
    check_damage_is_found(log, "tile/1/000");
    check_damage_is_found(log, "tile/0/256");
    damage(log->tiles, "tile/0/000", DAMAGE_GONE, 0);
    struct recovered *recovered = NEW(struct recovered);
    assert_int_equal(recovery_run(recovered, log->journal, log->tiles, RECOVERY_RECENT_NONE, NULL,
                                  &err),
                     E_OK);
    assert_edge_equal(&recovered->edge, &log->edge);
    assert_int_equal(recovered->recent.young.used, 0); /* not asked for */
    recovered_clear(recovered);
    mem_free(recovered);
    log_free(log);
}

static void recovery_names_what_is_missing(void **state)
{
    (void)state;
    struct log *log = log_new(false);
    grow_to(log, 600, 50);
    check_recovery(log);
    damage(log->tiles, "tile/0/001", DAMAGE_GONE, 0);
    check_corrupt(log);
    assert_non_null(strstr(err.msg, "tile/0/001"));
    log_free(log);
}

static void recovery_refuses_a_record_with_another_root(void **state)
{
    (void)state;
    struct log *log = log_new(false);
    grow_to(log, 300, 50);
    struct buf entries = BUF_INIT(100);
    bundle_put_entry(&entries, span_of_str("x"));
    struct journal_record record = { 300, 301, edge_root(&log->edge), buf_span(&entries) };
    assert_int_equal(journal_reserve(log->journal, entries.len, &err), E_OK);
    assert_int_equal(journal_append(log->journal, &record, &err), E_OK);
    check_corrupt(log);
    buf_clear(&entries);
    log_free(log);
}

/* A write that fails at the start is an error with the store's code; the next start is fine. */
static void recovery_that_cannot_write_can_be_run_again(void **state)
{
    (void)state;
    static const enum store_fault faults[] = { STORE_FAULT_BEFORE, STORE_FAULT_AFTER };
    for (size_t i = 0; i < 2; i++) {
        struct log *log = log_new(false);
        log->withholds_tiles = true;
        grow_to(log, 700, 50);
        tiles_memory_disk_fault(log->tiles_disk, faults[i]);
        struct recovered *recovered = NEW(struct recovered);
        assert_int_equal(recovery_run(recovered, log->journal, log->tiles, RECOVERY_RECENT_LEAVES,
                                      NULL, &err),
                         E_IO);
        mem_free(recovered);
        tiles_memory_disk_fault(log->tiles_disk, STORE_FAULT_NONE);
        check_recovery(log);
        log_free(log);
    }
}

/* -- A full disk -- */

/* Tiles whose write number `room` and later ones, or whose sync, find no room. */
struct small_tiles {
    struct tiles base;
    struct tiles *inner;
    size_t room;
    bool has_room_to_sync;
};

static enum err_code small_write(struct tiles *base, const char *path, struct span bytes,
                                 struct err *out)
{
    struct small_tiles *small = (struct small_tiles *)base;
    if (small->room == 0) {
        return err_set(out, E_UNAVAILABLE, "%s: no room", path);
    }
    small->room--;
    return tiles_write(small->inner, path, bytes, out);
}

static enum err_code small_sync(struct tiles *base, struct err *out)
{
    struct small_tiles *small = (struct small_tiles *)base;
    return small->has_room_to_sync ? tiles_sync(small->inner, out)
                                   : err_set(out, E_UNAVAILABLE, "sync: no room");
}

static enum err_code small_read(struct tiles *base, const char *path, struct buf *out,
                                struct err *why)
{
    return tiles_read(((struct small_tiles *)base)->inner, path, out, why);
}

static const struct tiles_ops small_ops = {
    .write = small_write,
    .sync = small_sync,
    .read = small_read,
};

/* What was handed out is all that is missing: with it every full tile is there. */
static void write_unstored(struct log *log, const struct recovered *recovered)
{
    for (const struct resource *at = recovered->unstored; at != NULL; at = at->next) {
        assert_int_equal(tiles_write(log->tiles, tile_path_text(&at->path).text,
                                     span_of(at->bytes, at->len), &err),
                         E_OK);
    }
    log_check_tree(log->tiles, edge_size(&log->edge) / TILE_WIDTH * TILE_WIDTH, false, NULL);
}

/* The power goes before there is room: the journal still has what is not stored. */
static void check_crash_before_room(struct log *log, struct small_tiles *small)
{
    struct recovered *recovered = NEW(struct recovered);
    assert_int_equal(recovery_run(recovered, log->journal, &small->base, RECOVERY_RECENT_LEAVES,
                                  NULL, &err),
                     E_OK);
    assert_int_equal(recovered->unstored_err.code, E_UNAVAILABLE);
    assert_edge_equal(&recovered->edge, &log->edge);
    assert_int_equal(recovered->stored % TILE_WIDTH, 0);
    struct tiles_memory_disk *copy = tiles_memory_disk_copy(log->tiles_disk);
    tiles_memory_disk_crash(copy, recovered->stored);
    struct tiles *after = tiles_memory_open(copy);
    log_check_tree(after, recovered->stored, false, NULL);
    tiles_close(after);
    tiles_memory_disk_free(copy);
    write_unstored(log, recovered);
    recovered_clear(recovered);
    mem_free(recovered);
}

static void recovery_on_a_full_disk_hands_the_missing_tiles_out(void **state)
{
    (void)state;
    enum {
        SIZE = 700,
        FILES = 4 /* two full tiles, two bundles */
    };
    for (size_t room = 0; room <= FILES; room++) {
        for (int has_room_to_sync = room == FILES ? 0 : 1; has_room_to_sync >= 0;
             has_room_to_sync--) {
            struct log *log = log_new(false);
            log->withholds_tiles = true;
            grow_to(log, SIZE, 50);
            struct small_tiles small = { { &small_ops }, log->tiles, room, has_room_to_sync == 1 };
            check_crash_before_room(log, &small);
            tiles_memory_disk_crash(log->tiles_disk, room);
            check_recovery(log);
            log_free(log);
        }
    }
}

/* -- Trees that are wanted -- */

static enum err_code no_replay(struct journal *journal,
                               enum err_code (*on_record)(void *ctx,
                                                          const struct journal_record *record,
                                                          struct err *err),
                               void *ctx, struct err *out)
{
    (void)journal;
    (void)on_record;
    (void)ctx;
    return err_set(out, E_IO, "the journal was read again");
}

static void recovery_needs_one_replay_for_all_that_is_wanted(void **state)
{
    (void)state;
    static const uint64_t wanted_of[][RECOVERY_SIZES_MAX] = {
        { 1, 2, 3 }, { 600, 600, 600 }, { 255, 256, 257 }, { 0, 699, 700 }, { 700, 513, 20 },
    };
    struct edge *edge = NEW(struct edge);
    edge_init(edge);
    for (size_t i = 0; i < sizeof wanted_of / sizeof wanted_of[0]; i++) {
        struct log *log = log_new(false);
        grow_to(log, 700, 90);
        struct recovery_sizes wanted = { .count = 0 };
        for (size_t j = 0; j < RECOVERY_SIZES_MAX; j++) {
            recovery_sizes_add(&wanted, wanted_of[i][j]);
        }
        struct recovered *recovered = NEW(struct recovered);
        assert_int_equal(recovery_run(recovered, log->journal, log->tiles, RECOVERY_RECENT_LEAVES,
                                      &wanted, &err),
                         E_OK);
        const struct journal_ops *ops = log->journal->ops;
        struct journal_ops without_replay = *ops;
        without_replay.replay = no_replay;
        for (size_t j = 0; j < RECOVERY_SIZES_MAX; j++) {
            struct edge *expected = NEW(struct edge);
            edge_init(expected);
            log->journal->ops = ops;
            assert_int_equal(recovery_edge_at(expected, wanted_of[i][j], log->journal, log->tiles,
                                              &err),
                             E_OK);
            log->journal->ops = &without_replay;
            assert_int_equal(recovered_edge_at(recovered, edge, wanted_of[i][j], log->journal,
                                               log->tiles, &err),
                             E_OK);
            assert_edge_equal(edge, expected);
            edge_clear(expected);
            mem_free(expected);
        }
        log->journal->ops = ops;
        recovered_clear(recovered);
        mem_free(recovered);
        log_free(log);
    }
    edge_clear(edge);
    mem_free(edge);
}

/* A hint that is wrong costs a replay, or is an error, as without it. */
static void recovery_finds_trees_that_were_not_wanted(void **state)
{
    (void)state;
    struct log *log = log_new(false);
    struct edge *edge = NEW(struct edge);
    edge_init(edge);
    grow_to(log, 300, 90);
    struct recovery_sizes wanted = { .count = 1, .sizes = { 1000 } };
    struct recovered *recovered = NEW(struct recovered);
    assert_int_equal(recovery_run(recovered, log->journal, log->tiles, RECOVERY_RECENT_LEAVES,
                                  &wanted, &err),
                     E_OK);
    assert_int_equal(recovered_edge_at(recovered, edge, 299, log->journal, log->tiles, &err), E_OK);
    assert_int_equal(edge_size(edge), 299);
    assert_int_equal(recovered_edge_at(recovered, edge, 1000, log->journal, log->tiles, &err),
                     E_CORRUPT);
    recovered_clear(recovered);
    mem_free(recovered);
    edge_clear(edge);
    mem_free(edge);
    log_free(log);
}

/* One commit of records, whose tags are their indices but for one that repeats the first. */
static void commit_tagged(struct log *log, uint64_t count)
{
    struct buf entries = BUF_INIT(COMMIT_BYTES_MAX), entry = BUF_INIT(ENTRY_BYTES_MAX);
    uint64_t first = edge_size(&log->edge);
    for (uint64_t i = first; i < first + count; i++) {
        buf_reset(&entry);
        tagged_entries_put(&entry, i == first + 5 ? first : i, i);
        struct hash leaf = merkle_leaf_hash(buf_span(&entry));
        bundle_put_entry(&entries, buf_span(&entry));
        edge_append(&log->edge, buf_span(&entry), &leaf, write_tile, log);
    }
    struct journal_record record = { first, first + count, edge_root(&log->edge),
                                     buf_span(&entries) };
    assert_int_equal(journal_reserve(log->journal, entries.len, &err), E_OK);
    assert_int_equal(journal_append(log->journal, &record, &err), E_OK);
    buf_clear(&entries);
    buf_clear(&entry);
}

static void recovery_remembers_tags_when_asked_to(void **state)
{
    (void)state;
    struct recovered *recovered = NEW(struct recovered);
    for (int has_tags = 0; has_tags < 2; has_tags++) {
        struct log *log = log_new(false);
        commit_tagged(log, 200);
        commit_tagged(log, 100);
        assert_int_equal(recovery_run(recovered, log->journal, log->tiles,
                                      has_tags ? RECOVERY_RECENT_LEAVES_AND_TAGS
                                               : RECOVERY_RECENT_LEAVES,
                                      NULL, &err),
                         E_OK);
        assert_int_equal(recovered->replayed_from, 0);
        for (uint64_t i = 0; i < 300; i++) {
            struct hash tag = tagged_entries_tag(i);
            uint64_t index;
            bool is_repeated = i == 5 || i == 205; /* of those the tag of 0 and of 200 was taken */
            assert_int_equal(recent_find_tag(&recovered->recent, &tag, &index),
                             has_tags && !is_repeated);
            assert_true(!has_tags || is_repeated || index == i);
        }
        recovered_clear(recovered);
        log_free(log);
    }
    mem_free(recovered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recovery_finds_every_size),
        cmocka_unit_test(recovery_writes_tiles_that_were_not_stored),
        cmocka_unit_test(recovery_works_wherever_the_journal_was_trimmed),
        cmocka_unit_test(recovery_works_on_files),
        cmocka_unit_test(recovery_edge_at_is_the_tree_of_every_size),
        cmocka_unit_test(recovery_edge_at_knows_where_the_journal_ends),
        cmocka_unit_test(recovery_finds_a_damaged_tile_that_it_needs),
        cmocka_unit_test(recovery_of_a_large_log_needs_its_upper_tiles),
        cmocka_unit_test(recovery_names_what_is_missing),
        cmocka_unit_test(recovery_refuses_a_record_with_another_root),
        cmocka_unit_test(recovery_that_cannot_write_can_be_run_again),
        cmocka_unit_test(recovery_on_a_full_disk_hands_the_missing_tiles_out),
        cmocka_unit_test(recovery_needs_one_replay_for_all_that_is_wanted),
        cmocka_unit_test(recovery_finds_trees_that_were_not_wanted),
        cmocka_unit_test(recovery_remembers_tags_when_asked_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
