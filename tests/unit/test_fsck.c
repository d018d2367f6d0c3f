/* Logs of many sizes, and each of their files damaged in turn: the damage must be named, and repair
 * must bring back the same bytes. */
#include "client/fsck.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "store/tile_source.h"
#include "tests/support/files.h"
#include "tests/support/log_dir.h"

#include <fts.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    FILES_MAX = 2000
};

struct fixture {
    char *temp;
    struct log_dir log, mirror;
    struct log_address address, mirror_address;
    char *names[FILES_MAX]; /* of the log's files, relative */
    size_t count;
};

static void list_files(struct fixture *fixture)
{
    FTS *files = fts_open((char *const[]){ fixture->log.path, NULL }, FTS_PHYSICAL, NULL);
    FTSENT *file;
    while ((file = fts_read(files)) != NULL) {
        if (file->fts_info == FTS_F) {
            assert_true(fixture->count < FILES_MAX);
            fixture->names[fixture->count++] =
                strdup(file->fts_path + strlen(fixture->log.path) + 1);
        }
    }
    fts_close(files);
}

static void set_address(struct log_address *address, const char *path)
{
    address->kind = LOG_ADDRESS_DIRECTORY;
    snprintf(address->target, sizeof address->target, "%s", path);
}

/* `first_size` > 0 leaves older partial files behind. */
static void make(struct fixture *fixture, uint64_t first_size, uint64_t size)
{
    memset(fixture, 0, sizeof *fixture);
    fixture->temp = files_make_temp_dir();
    char *log = files_join(fixture->temp, "log");
    char *mirror = files_join(fixture->temp, "mirror");
    log_dir_make(&fixture->log, log, first_size > 0 ? first_size : size);
    log_dir_make(&fixture->mirror, mirror, size);
    if (first_size > 0) {
        log_dir_grow(&fixture->log, size);
    }
    set_address(&fixture->address, log);
    set_address(&fixture->mirror_address, mirror);
    free(log);
    free(mirror);
    list_files(fixture);
}

static void drop(struct fixture *fixture)
{
    for (size_t i = 0; i < fixture->count; i++) {
        free(fixture->names[i]);
    }
    log_dir_clear(&fixture->log);
    log_dir_clear(&fixture->mirror);
    files_remove_tree(fixture->temp);
}

static void run_full(struct fixture *fixture, struct fsck_report *report, bool is_repair,
                     bool has_mirror)
{
    struct fsck_options options = { .log = &fixture->address,
                                    .size = fixture->log.checkpoint.size,
                                    .root = fixture->log.checkpoint.root,
                                    .threads = 2,
                                    .is_repair = is_repair,
                                    .from = has_mirror ? &fixture->mirror_address : NULL };
    struct err err;
    if (fsck_run(report, &options, &err) != E_OK) {
        fail_msg("fsck: %s", err.msg);
    }
}

static void expect_clean(struct fixture *fixture)
{
    struct fsck_report report;
    run_full(fixture, &report, false, false);
    for (size_t i = 0; i < report.finding_count; i++) {
        print_message("%s %s %s\n", report.findings[i].path,
                      fsck_problem_text(report.findings[i].problem), report.findings[i].detail);
    }
    assert_int_equal(report.bad_count, 0);
    assert_int_equal(report.note_count, 0);
    assert_true(report.is_root_reached);
    assert_int_equal(report.entries, fixture->log.checkpoint.size);
    fsck_report_clear(&report);
}

static char *path_of(const struct fixture *fixture, const char *name)
{
    return files_join(fixture->log.path, name);
}

static void read_file(const struct fixture *fixture, const char *name, struct buf *out)
{
    struct err err;
    char *path = path_of(fixture, name);
    buf_reset(out);
    assert_int_equal(file_read(out, path, &err), E_OK);
    free(path);
}

enum damage {
    FLIP_FIRST,
    FLIP_MIDDLE,
    FLIP_LAST,
    TRUNCATE,
    EMPTY,
    LENGTHEN,
    REMOVE,
    DAMAGES
};

static void damage_file(const struct fixture *fixture, const char *name, struct span bytes,
                        enum damage damage)
{
    struct buf worse = BUF_INIT(BUNDLE_BYTES_MAX + 1);
    char *path = path_of(fixture, name);
    buf_put(&worse, bytes);
    if (damage == REMOVE) {
        assert_int_equal(unlink(path), 0);
    } else {
        if (damage == FLIP_FIRST) {
            worse.data[0] ^= 0x80;
        } else if (damage == FLIP_MIDDLE) {
            worse.data[worse.len / 2] ^= 0x01;
        } else if (damage == FLIP_LAST) {
            worse.data[worse.len - 1] ^= 0x10;
        } else if (damage == LENGTHEN) {
            buf_put_u8(&worse, 0);
        } else {
            buf_truncate(&worse, damage == EMPTY ? 0 : worse.len - 1);
        }
        files_write(path, buf_span(&worse));
    }
    free(path);
    buf_clear(&worse);
}

static void expect_only(const struct fsck_report *report, const char *name, uint64_t size)
{
    if (report->bad_count != 1 || strcmp(report->findings[0].path, name) != 0) {
        for (size_t i = 0; i < report->finding_count; i++) {
            print_message("  %s %s %s\n", report->findings[i].path,
                          fsck_problem_text(report->findings[i].problem),
                          report->findings[i].detail);
        }
        fail_msg("size %ju: %s damaged, %ju findings", (uintmax_t)size, name,
                 (uintmax_t)report->bad_count);
    }
}

static void damage_and_repair(struct fixture *fixture, const char *name, enum damage damage)
{
    struct buf before = BUF_INIT(BUNDLE_BYTES_MAX);
    struct buf after = BUF_INIT(BUNDLE_BYTES_MAX);
    uint64_t size = fixture->log.checkpoint.size;
    read_file(fixture, name, &before);
    damage_file(fixture, name, buf_span(&before), damage);
    struct fsck_report report;
    run_full(fixture, &report, false, false);
    expect_only(&report, name, size);
    assert_true(report.is_root_reached);
    fsck_report_clear(&report);

    run_full(fixture, &report, true, true);
    expect_only(&report, name, size);
    assert_int_equal(report.repaired_count, 1);
    fsck_report_clear(&report);
    read_file(fixture, name, &after);
    assert_true(span_is_equal(buf_span(&before), buf_span(&after)));
    buf_clear(&before);
    buf_clear(&after);
}

/* Replaced by a wider one: a log may remove such a file. */
static bool is_older_file(const struct fixture *fixture, const char *name)
{
    struct tile_path path;
    struct err err;
    assert_int_equal(tile_path_parse(&path, span_of_str(name), &err), E_OK);
    return path.width < tile_width(path.id, fixture->log.checkpoint.size);
}

static const uint64_t sizes[] = { 1, 2, 3, 255, 256, 257, 511, 512, 700, 1025 };

static void a_good_log_of_any_size_is_clean(void **state)
{
    (void)state;
    for (uint64_t size = 0; size < 600; size += size < 5 ? 1 : 37) {
        struct fixture fixture;
        make(&fixture, 0, size);
        expect_clean(&fixture);
        drop(&fixture);
    }
    struct fixture fixture;
    make(&fixture, 300, 65536 + 256 + 5); /* three levels of tiles, and older partial files */
    expect_clean(&fixture);
    drop(&fixture);
}

static void each_damage_to_each_file_is_named_and_repaired(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct fixture fixture;
        make(&fixture, sizes[s] > 300 ? 300 : 0, sizes[s]);
        for (size_t i = 0; i < fixture.count; i++) {
            if (strcmp(fixture.names[i], "checkpoint") == 0) {
                continue; /* its signature is checked before fsck begins */
            }
            bool is_older = is_older_file(&fixture, fixture.names[i]);
            for (enum damage damage = 0; damage < DAMAGES; damage++) {
                if (damage != REMOVE || !is_older) {
                    damage_and_repair(&fixture, fixture.names[i], damage);
                }
            }
        }
        expect_clean(&fixture);
        drop(&fixture);
    }
}

/* A log of three tile levels: one file of each kind, level and width. */
static void damage_high_in_a_large_log_is_named_and_repaired(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture, 0, 2 * 65536 + 3 * 256 + 7);
    const char *const names[] = { "tile/2/000.p/2",      "tile/1/000",       "tile/1/001",
                                  "tile/1/002.p/3",      "tile/0/000",       "tile/0/511",
                                  "tile/0/515.p/7",      "tile/entries/000", "tile/entries/300",
                                  "tile/entries/515.p/7" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        damage_and_repair(&fixture, names[i], FLIP_MIDDLE);
        damage_and_repair(&fixture, names[i], REMOVE);
    }
    expect_clean(&fixture);
    drop(&fixture);
}

static void a_wrong_entry_is_named_with_both_hashes(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture, 0, 700);
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    read_file(&fixture, "tile/entries/001", &bytes);
    struct span rest = buf_span(&bytes);
    struct span entry;
    for (int i = 0; i <= 35; i++) {
        assert_true(bundle_take_entry(&rest, &entry));
    }
    assert_true(entry.len > 0); /* entry 291 */
    struct hash expected = merkle_leaf_hash(entry);
    bytes.data[entry.data - bytes.data] ^= 1;
    struct hash found = merkle_leaf_hash(entry);
    log_dir_write(&fixture.log, "tile/entries/001", buf_span(&bytes));
    struct fsck_report report;
    run_full(&fixture, &report, false, false);
    expect_only(&report, "tile/entries/001", 700);
    const struct fsck_finding *finding = &report.findings[0];
    assert_int_equal(finding->problem, FSCK_WRONG);
    assert_true(finding->has_entry);
    assert_int_equal(finding->entry, 291);
    assert_true(finding->has_hashes);
    assert_true(hash_is_equal(&finding->expected, &expected));
    assert_true(hash_is_equal(&finding->found, &found));
    fsck_report_clear(&report);
    buf_clear(&bytes);
    drop(&fixture);
}

static void swapped_files_are_both_named(void **state)
{
    (void)state;
    static const char *const pairs[][2] = { { "tile/entries/000", "tile/entries/001" },
                                            { "tile/0/000", "tile/0/001" },
                                            { "tile/0/001", "tile/0/002" } };
    struct fixture fixture;
    make(&fixture, 0, 1025);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char *a = path_of(&fixture, pairs[i][0]);
        char *b = path_of(&fixture, pairs[i][1]);
        char *c = path_of(&fixture, "swap");
        assert_int_equal(rename(a, c) | rename(b, a) | rename(c, b), 0);
        struct fsck_report report;
        run_full(&fixture, &report, false, false);
        assert_int_equal(report.bad_count, 2);
        assert_string_equal(report.findings[0].path, pairs[i][0]);
        assert_string_equal(report.findings[1].path, pairs[i][1]);
        assert_int_equal(report.findings[1].problem, FSCK_WRONG);
        fsck_report_clear(&report);
        run_full(&fixture, &report, true, true);
        assert_int_equal(report.repaired_count, 2);
        fsck_report_clear(&report);
        expect_clean(&fixture);
        free(a);
        free(b);
        free(c);
    }
    drop(&fixture);
}

static void remove_tree(const struct fixture *fixture, const char *name)
{
    files_remove_tree(path_of(fixture, name));
}

static void hash_tiles_come_back_from_bundles_alone(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture, 0, 65536 + 700);
    remove_tree(&fixture, "tile/0");
    remove_tree(&fixture, "tile/1");
    remove_tree(&fixture, "tile/2");
    struct fsck_report report;
    run_full(&fixture, &report, false, false);
    assert_true(report.is_root_reached);
    assert_int_equal(report.bad_count, 256 + 3 + 2 + 1);
    fsck_report_clear(&report);
    run_full(&fixture, &report, true, false);
    assert_int_equal(report.repaired_count, report.bad_count);
    fsck_report_clear(&report);
    expect_clean(&fixture);
    drop(&fixture);
}

static void everything_comes_back_from_a_mirror(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture, 0, 65536 + 700);
    remove_tree(&fixture, "tile");
    struct fsck_report report;
    run_full(&fixture, &report, true, true);
    assert_int_equal(report.repaired_count, report.bad_count);
    fsck_report_clear(&report);
    expect_clean(&fixture);
    drop(&fixture);
}

static void a_bundle_without_a_copy_is_listed_as_not_repaired(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture, 0, 700);
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    read_file(&fixture, "tile/entries/001", &bytes);
    damage_file(&fixture, "tile/entries/001", buf_span(&bytes), FLIP_LAST);
    read_file(&fixture, "tile/0/000", &bytes);
    damage_file(&fixture, "tile/0/000", buf_span(&bytes), FLIP_LAST);
    struct fsck_report report;
    run_full(&fixture, &report, true, false);
    assert_int_equal(report.bad_count, 2);
    assert_int_equal(report.repaired_count, 1);
    assert_true(report.findings[0].is_repaired);
    assert_string_equal(report.findings[1].path, "tile/entries/001");
    assert_false(report.findings[1].is_repaired);
    assert_true(strlen(report.findings[1].detail) > 0);
    fsck_report_clear(&report);
    run_full(&fixture, &report, false, false);
    expect_only(&report, "tile/entries/001", 700);
    fsck_report_clear(&report);
    buf_clear(&bytes);
    drop(&fixture);
}

/* Repair may only write what hashes to the signed root: a mirror of another log changes nothing. */
static void a_lying_mirror_changes_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture, 0, 700);
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    struct buf after = BUF_INIT(BUNDLE_BYTES_MAX);
    read_file(&fixture, "tile/entries/000", &bytes);
    log_dir_write(&fixture.mirror, "tile/entries/001", buf_span(&bytes));
    read_file(&fixture, "tile/entries/001", &bytes);
    damage_file(&fixture, "tile/entries/001", buf_span(&bytes), FLIP_LAST);
    read_file(&fixture, "tile/entries/001", &bytes);
    struct fsck_report report;
    run_full(&fixture, &report, true, true);
    assert_int_equal(report.bad_count, 1);
    assert_int_equal(report.repaired_count, 0);
    fsck_report_clear(&report);
    read_file(&fixture, "tile/entries/001", &after);
    assert_true(span_is_equal(buf_span(&bytes), buf_span(&after)));
    buf_clear(&bytes);
    buf_clear(&after);
    drop(&fixture);
}

static void another_root_is_told_and_nothing_is_written(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture, 0, 700);
    fixture.log.checkpoint.root.bytes[0] ^= 1;
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    read_file(&fixture, "tile/0/001", &bytes);
    damage_file(&fixture, "tile/0/001", buf_span(&bytes), FLIP_LAST);
    struct fsck_report report;
    run_full(&fixture, &report, true, true);
    assert_false(report.is_root_reached);
    assert_true(report.bad_count >= 1);
    assert_int_equal(report.repaired_count, 0);
    bool has_root = false;
    for (size_t i = 0; i < report.finding_count; i++) {
        has_root |= report.findings[i].problem == FSCK_ROOT;
    }
    assert_true(has_root);
    fsck_report_clear(&report);
    buf_clear(&bytes);
    drop(&fixture);
}

static void strange_files_are_remarked_upon(void **state)
{
    (void)state;
    struct fixture fixture;
    make(&fixture, 0, 700);
    log_dir_write(&fixture.log, "tile/0/000.tmp", span_of_str("x"));
    log_dir_write(&fixture.log, "notes.txt", span_of_str("x"));
    log_dir_write(&fixture.log, "archive/1", span_of_str("x"));
    log_dir_write(&fixture.log, "tile/0/009", span_of_str("x"));
    log_dir_write(&fixture.log, "tile/0/002.p/200", span_of_str("x"));
    struct fsck_report report;
    run_full(&fixture, &report, false, false);
    assert_int_equal(report.bad_count, 0);
    assert_int_equal(report.note_count, 3); /* two strange ones, and those ahead in one */
    fsck_report_clear(&report);
    drop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_log_of_any_size_is_clean),
        cmocka_unit_test(each_damage_to_each_file_is_named_and_repaired),
        cmocka_unit_test(damage_high_in_a_large_log_is_named_and_repaired),
        cmocka_unit_test(a_wrong_entry_is_named_with_both_hashes),
        cmocka_unit_test(swapped_files_are_both_named),
        cmocka_unit_test(hash_tiles_come_back_from_bundles_alone),
        cmocka_unit_test(everything_comes_back_from_a_mirror),
        cmocka_unit_test(a_bundle_without_a_copy_is_listed_as_not_repaired),
        cmocka_unit_test(a_lying_mirror_changes_nothing),
        cmocka_unit_test(another_root_is_told_and_nothing_is_written),
        cmocka_unit_test(strange_files_are_remarked_upon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
