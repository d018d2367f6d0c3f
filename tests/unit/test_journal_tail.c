/* The last bundles of a log come back from its journal, and only when no logd has the lock. */
#include "base/file.h"
#include "client/fsck.h"
#include "client/journal_tail.h"
#include "store/journal_file.h"
#include "tests/support/files.h"
#include "tests/support/log_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    SIZE = 700,
};

struct fixture {
    char *temp; /* logd's data-dir */
    struct log_dir log;
};

static void append(struct journal *journal, struct edge *edge, uint64_t first, uint64_t size)
{
    struct err err;
    struct buf entries = BUF_INIT(BUNDLE_BYTES_MAX);
    struct buf entry = BUF_INIT(ENTRY_BYTES_MAX);
    for (uint64_t i = first; i < size; i++) {
        buf_reset(&entry);
        log_dir_put_entry(&entry, i);
        bundle_put_entry(&entries, buf_span(&entry));
        struct hash leaf = merkle_leaf_hash(buf_span(&entry));
        compact_range_append(&edge->range, &leaf, NULL, NULL);
    }
    struct journal_record record = { first, size, edge_root(edge), buf_span(&entries) };
    assert_int_equal(journal_reserve(journal, entries.len, &err), E_OK);
    assert_int_equal(journal_append(journal, &record, &err), E_OK);
    buf_clear(&entries);
    buf_clear(&entry);
}

static void make(struct fixture *fixture)
{
    struct err err;
    struct journal *journal = NULL;
    fixture->temp = files_make_temp_dir();
    char *log = files_join(fixture->temp, "log");
    char *directory = files_join(fixture->temp, "journal");
    log_dir_make(&fixture->log, log, SIZE);
    assert_int_equal(file_make_directory(directory, 0700, &err), E_OK);
    assert_int_equal(journal_file_open(&journal, directory, 1 << 20, &err), E_OK);
    struct edge edge;
    edge_init(&edge);
    for (uint64_t first = 0; first < SIZE; first += 100) {
        append(journal, &edge, first, first + 100);
    }
    edge_clear(&edge);
    journal_close(journal);
    free(log);
    free(directory);
}

static void drop(struct fixture *fixture)
{
    log_dir_clear(&fixture->log);
    files_remove_tree(fixture->temp);
}

static void bundles_are_those_of_the_log(void **state)
{
    (void)state;
    struct fixture fixture;
    struct journal_tail *tail = NULL;
    struct err err;
    make(&fixture);
    assert_int_equal(journal_tail_open(&tail, fixture.temp, &err), E_OK);
    assert_int_equal(journal_tail_end(tail), SIZE);
    static const char *const names[] = { "tile/entries/000", "tile/entries/001",
                                         "tile/entries/002.p/188" };
    for (uint64_t i = 0; i < 3; i++) {
        struct buf found = BUF_INIT(BUNDLE_BYTES_MAX);
        struct buf expected = BUF_INIT(BUNDLE_BYTES_MAX);
        char *path = files_join(fixture.log.path, names[i]);
        assert_int_equal(file_read(&expected, path, &err), E_OK);
        assert_int_equal(journal_tail_get_bundle(tail, i, i < 2 ? 256 : 188, &found, &err), E_OK);
        assert_true(span_is_equal(buf_span(&found), buf_span(&expected)));
        buf_clear(&found);
        assert_int_equal(journal_tail_get_bundle(tail, i, 256, &found, &err),
                         i < 2 ? E_OK : E_NOT_FOUND);
        buf_clear(&found);
        buf_clear(&expected);
        free(path);
    }
    journal_tail_close(tail);
    drop(&fixture);
}

static void a_held_lock_is_busy_and_no_journal_is_not_found(void **state)
{
    (void)state;
    struct fixture fixture;
    struct journal_tail *tail = NULL;
    struct err err;
    int fd = -1;
    make(&fixture);
    char *lock = files_join(fixture.temp, "lock");
    assert_int_equal(file_lock(lock, &fd, &err), E_OK);
    assert_int_equal(journal_tail_open(&tail, fixture.temp, &err), E_BUSY);
    close(fd);
    assert_int_equal(journal_tail_open(&tail, fixture.temp, &err), E_OK);
    journal_tail_close(tail);
    free(lock);
    files_remove_tree(files_join(fixture.temp, "journal"));
    assert_int_equal(journal_tail_open(&tail, fixture.temp, &err), E_NOT_FOUND);
    drop(&fixture);
}

static void lost_bundles_and_tiles_come_back_from_the_journal(void **state)
{
    (void)state;
    struct fixture fixture;
    struct journal_tail *tail = NULL;
    struct err err;
    make(&fixture);
    files_remove_tree(files_join(fixture.log.path, "tile"));
    assert_int_equal(journal_tail_open(&tail, fixture.temp, &err), E_OK);
    struct log_address address = { .kind = LOG_ADDRESS_DIRECTORY };
    snprintf(address.target, sizeof address.target, "%s", fixture.log.path);
    struct fsck_options options = { .log = &address,
                                    .size = SIZE,
                                    .root = fixture.log.checkpoint.root,
                                    .is_repair = true,
                                    .tail = tail };
    struct fsck_report report;
    assert_int_equal(fsck_run(&report, &options, &err), E_OK);
    assert_int_equal(report.bad_count, 7);
    assert_int_equal(report.repaired_count, 7);
    fsck_report_clear(&report);
    options.is_repair = false;
    assert_int_equal(fsck_run(&report, &options, &err), E_OK);
    assert_int_equal(report.bad_count, 0);
    fsck_report_clear(&report);
    journal_tail_close(tail);
    drop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bundles_are_those_of_the_log),
        cmocka_unit_test(a_held_lock_is_busy_and_no_journal_is_not_found),
        cmocka_unit_test(lost_bundles_and_tiles_come_back_from_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
