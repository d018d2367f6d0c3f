/* scan: every size and every resumption against the tree of memory_log, and whatever a log can serve
 * instead of its files. */
#include "base/alloc.h"
#include "base/ascii.h"
#include "base/limits.h"
#include "monitor/scan.h"
#include "store/tile_source.h"
#include "tests/support/memory_log.h"
#include "tests/support/reference.h"
#include "tlog/bundle.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

enum {
    BADS_MAX = 64,
    ALL_SIZES = 1100
};

/* One scan, and what it told. */
struct seen {
    pthread_t thread;
    size_t bad_count;
    struct scan_bad_tile bads[BADS_MAX];
    size_t progress_count;
    struct compact_range at; /* of the last on_progress */
};

static void on_progress(void *ctx, const struct compact_range *at)
{
    struct seen *seen = ctx;
    assert_true(pthread_equal(pthread_self(), seen->thread));
    assert_true(seen->progress_count == 0 || at->size > seen->at.size);
    seen->at = *at;
    seen->progress_count++;
}

static void on_bad_tile(void *ctx, const struct scan_bad_tile *bad)
{
    struct seen *seen = ctx;
    assert_true(pthread_equal(pthread_self(), seen->thread));
    assert_in_range(seen->bad_count, 0, BADS_MAX - 1);
    seen->bads[seen->bad_count++] = *bad;
}

static struct scan_options options_for(struct memory_log *log, struct seen *seen,
                                       const struct compact_range *from, uint64_t to)
{
    *seen = (struct seen){ .thread = pthread_self() };
    return (struct scan_options){ .source = { log, memory_log_open_source },
                                  .threads = 1,
                                  .from = from,
                                  .to = to,
                                  .ctx = seen,
                                  .on_progress = on_progress,
                                  .on_bad_tile = on_bad_tile };
}

static enum err_code scan(struct memory_log *log, struct scan_report *report, struct seen *seen,
                          uint64_t from, uint64_t to, unsigned threads, struct err *err)
{
    struct compact_range range = memory_log_range(log, from);
    struct scan_options options = options_for(log, seen, &range, to);
    options.threads = threads;
    return scan_run(report, &options, err);
}

/* Two ranges are of the same entries. */
static bool is_same_range(const struct compact_range *a, const struct compact_range *b)
{
    size_t count = (size_t)__builtin_popcountll(a->size);
    return a->size == b->size && memcmp(a->hashes, b->hashes, count * HASH_BYTES) == 0;
}

static void assert_range_is_of(const struct compact_range *range, struct memory_log *log)
{
    struct compact_range expected = memory_log_range(log, range->size);
    assert_true(is_same_range(range, &expected));
}

static void assert_scans_well(struct memory_log *log, uint64_t from, uint64_t to, unsigned threads)
{
    struct scan_report report;
    struct seen seen;
    struct err err;
    enum err_code rc = scan(log, &report, &seen, from, to, threads, &err);
    assert_string_equal(rc == E_OK ? "" : err.msg, "");
    assert_range_is_of(&report.range, log);
    assert_int_equal(report.range.size, to);
    assert_int_equal(report.entries, to - from);
    assert_int_equal(seen.bad_count, 0);
    assert_int_equal(report.tiles, to / 256 - from / 256 + to / 65536 - from / 65536);
    assert_true(seen.progress_count >= 1);
    assert_true(is_same_range(&seen.at, &report.range));
}

/* A log of `size` entries, each size up to it published. */
static struct memory_log *make_log(uint64_t size, uint64_t published_from)
{
    struct memory_log *log = memory_log_new(&(struct memory_log_options){ .seed = 7 });
    memory_log_grow(log, size);
    for (uint64_t i = published_from; i <= size; i++) {
        memory_log_publish_note(log, i, span_of_str("note"));
    }
    return log;
}

static void get_file(struct memory_log *log, const char *path, struct buf *out)
{
    struct err err;
    buf_reset(out);
    assert_int_equal(memory_log_get(log, path, out, &err), E_OK);
}

static void every_size_hashes_to_its_root(void **state)
{
    (void)state;
    struct memory_log *log = make_log(ALL_SIZES, 0);
    for (uint64_t size = 1; size <= ALL_SIZES; size++) {
        assert_scans_well(log, 0, size, 1);
        if (size % 64 < 2) {
            assert_scans_well(log, 0, size, 4);
        }
    }
    memory_log_free(log);
}

static void a_scan_goes_on_from_every_size(void **state)
{
    (void)state;
    struct memory_log *log = make_log(2600, 0);
    for (uint64_t from = 0; from < 530; from++) {
        const uint64_t ends[] = { from + 1,
                                  from + 2,
                                  256 * (from / 256 + 1),
                                  256 * (from / 256 + 1) + 1,
                                  256 * (from / 256 + 2) - 1,
                                  from + 256,
                                  from + 257,
                                  from % 8 == 0 ? 2600u : 0 };
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
            if (ends[i] > from) {
                assert_scans_well(log, from, ends[i], i % 2 == 0 ? 1 : 3);
            }
        }
    }
    memory_log_free(log);
}

static void scans_cross_the_boundaries_of_level_1(void **state)
{
    (void)state;
    struct memory_log *log = make_log(2 * 65536 + 300, 2 * 65536 + 300);
    static const uint64_t points[] = { 0,
                                       1,
                                       65535 - 256,
                                       65535,
                                       65536,
                                       65537,
                                       65536 + 255,
                                       65536 + 256,
                                       65536 + 257,
                                       2 * 65536 - 1,
                                       2 * 65536,
                                       2 * 65536 + 1,
                                       2 * 65536 + 256,
                                       2 * 65536 + 300 };
    size_t count = sizeof points / sizeof points[0];
    for (size_t i = 0; i < count; i++) {
        memory_log_publish_note(log, points[i], span_of_str("note"));
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = i + 1; k < count; k++) {
            if (i == 0 || k == i + 1 || k == count - 1) {
                assert_scans_well(log, points[i], points[k], 1 + (i + k) % 8);
            }
        }
    }
    memory_log_free(log);
}

static void any_number_of_threads_gives_the_same(void **state)
{
    (void)state;
    struct memory_log *log = make_log(70000, 70000);
    memory_log_remove(log, "tile/0/003");
    memory_log_replace(log, "tile/0/100", span_of_str("short"));
    memory_log_replace(log, "tile/0/x000/255", span_of_str("no such path"));
    memory_log_remove(log, "tile/0/255");
    memory_log_remove(log, "tile/1/000");
    memory_log_remove(log, "tile/0/260");
    struct scan_report first = { .bytes = 0 };
    for (unsigned threads = 1; threads <= 8; threads++) {
        struct scan_report report;
        struct seen seen;
        struct err err;
        assert_int_equal(scan(log, &report, &seen, 0, 70000, threads, &err), E_OK);
        assert_range_is_of(&report.range, log);
        if (threads == 1) {
            first = report;
        }
        assert_int_equal(report.entries, 70000);
        assert_int_equal(report.bytes, first.bytes);
        assert_int_equal(report.tiles, 70000 / 256 + 1 - 5);
        static const char *const paths[] = { "tile/0/003", "tile/0/100", "tile/0/255", "tile/1/000",
                                             "tile/0/260" };
        assert_int_equal(seen.bad_count, 5);
        for (size_t i = 0; i < 5; i++) {
            assert_string_equal(tile_path_text(&seen.bads[i].path).text, paths[i]);
            assert_int_equal(seen.bads[i].code, i == 1 ? E_MALFORMED : E_NOT_FOUND);
            assert_non_null(strstr(seen.bads[i].detail, paths[i]));
        }
    }
    memory_log_free(log);
}

/* -- wrong bytes -- */

static void one_wrong_byte_in_a_bundle_is_malformed_or_changes_the_root(void **state)
{
    (void)state;
    struct memory_log *log = memory_log_new(&(struct memory_log_options){ .entry_bytes_max = 10 });
    memory_log_grow(log, 260);
    memory_log_publish_note(log, 260, span_of_str("note"));
    static const char *const paths[] = { "tile/entries/000", "tile/entries/001.p/4" };
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    for (size_t i = 0; i < 2; i++) {
        get_file(log, paths[i], &bytes);
        for (size_t at = 0; at < bytes.len; at++) {
            bytes.data[at] ^= 1 << at % 8;
            memory_log_replace(log, paths[i], buf_span(&bytes));
            bytes.data[at] ^= 1 << at % 8;
            struct scan_report report;
            struct seen seen;
            struct err err;
            enum err_code rc = scan(log, &report, &seen, 0, 260, 1, &err);
            if (rc != E_OK) {
                assert_int_equal(rc, E_MALFORMED);
                assert_ptr_equal(strstr(err.msg, paths[i]), err.msg);
                continue;
            }
            struct hash honest = memory_log_root(log, 260);
            struct hash root = compact_range_root(&report.range);
            assert_false(hash_is_equal(&root, &honest));
            assert_int_equal(seen.bad_count, i == 0 ? 1 : 0); /* partial tiles are not compared */
        }
        memory_log_restore(log, paths[i]);
    }
    buf_clear(&bytes);
    memory_log_free(log);
}

static void one_wrong_byte_in_a_tile_is_found_and_named(void **state)
{
    (void)state;
    struct memory_log *log = make_log(65536, 65536);
    static const char *const paths[] = { "tile/0/255", "tile/1/000" };
    struct buf bytes = BUF_INIT(TILE_BYTES);
    for (unsigned level = 0; level < 2; level++) {
        get_file(log, paths[level], &bytes);
        for (size_t at = level; at < TILE_BYTES; at += 31) {
            bytes.data[at] ^= 1 << at % 8;
            memory_log_replace(log, paths[level], buf_span(&bytes));
            bytes.data[at] ^= 1 << at % 8;
            struct scan_report report;
            struct seen seen;
            struct err err;
            assert_int_equal(scan(log, &report, &seen, 65280, 65536, 1, &err), E_OK);
            assert_range_is_of(&report.range, log);
            assert_int_equal(seen.bad_count, 1);
            assert_int_equal(report.tiles, 2);
            assert_int_equal(seen.bads[0].code, E_CORRUPT);
            assert_string_equal(tile_path_text(&seen.bads[0].path).text, paths[level]);
            char entry[32];
            snprintf(entry, sizeof entry, "entry %zu ", 65280 + at / HASH_BYTES);
            assert_true(level == 1 || strstr(seen.bads[0].detail, entry) != NULL);
        }
        memory_log_restore(log, paths[level]);
    }
    buf_clear(&bytes);
    memory_log_free(log);
}

static void entries_before_the_start_that_have_changed_are_corrupt(void **state)
{
    (void)state;
    struct memory_log *log = make_log(700, 700);
    struct memory_log *other = memory_log_fork(log, 299, &(struct memory_log_options){ .seed = 8 });
    memory_log_grow(other, 700);
    memory_log_publish_note(other, 700, span_of_str("note"));
    for (uint64_t from = 257; from < 400; from++) {
        struct compact_range range = memory_log_range(log, from);
        struct scan_report report = { .bytes = 99 };
        struct seen seen;
        struct err err;
        struct scan_options options = options_for(other, &seen, &range, 700);
        enum err_code rc = scan_run(&report, &options, &err);
        assert_int_equal(rc, from <= 299 ? E_OK : E_CORRUPT);
        if (rc == E_CORRUPT) {
            assert_non_null(strstr(err.msg, "tile/entries/001: "));
            assert_int_equal(report.bytes, 99);
            assert_int_equal(seen.progress_count, 0);
            assert_int_equal(seen.bad_count, 0);
        }
    }
    memory_log_free(other);
    memory_log_free(log);
}

/* -- files that are not there, or no bundles -- */

static enum err_code scan_replaced(struct memory_log *log, const char *path, struct span bytes,
                                   uint64_t to, struct err *err)
{
    struct scan_report report = { .bytes = 99 };
    struct seen seen;
    memory_log_replace(log, path, bytes);
    enum err_code rc = scan(log, &report, &seen, 0, to, 1, err);
    memory_log_restore(log, path);
    if (rc != E_OK) {
        assert_ptr_equal(strstr(err->msg, path), err->msg);
        assert_int_equal(report.bytes, 99);
    } else {
        assert_range_is_of(&report.range, log);
    }
    return rc;
}

static void a_bundle_of_another_length_is_malformed(void **state)
{
    (void)state;
    struct memory_log *log = make_log(280, 280);
    static const char *const paths[] = { "tile/entries/000", "tile/entries/001.p/24" };
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    struct err err;
    for (size_t i = 0; i < 2; i++) {
        get_file(log, paths[i], &bytes);
        for (size_t len = 0; len < bytes.len; len += i == 0 ? 7 : 1) {
            struct span cut = span_slice(buf_span(&bytes), 0, len);
            assert_int_equal(scan_replaced(log, paths[i], cut, 280, &err), E_MALFORMED);
        }
        assert_int_equal(scan_replaced(log, paths[i], buf_span(&bytes), 280, &err), E_OK);
        buf_put_u8(&bytes, 0);
        assert_int_equal(scan_replaced(log, paths[i], buf_span(&bytes), 280, &err), E_MALFORMED);
        buf_put_u8(&bytes, 0); /* an entry of no bytes more */
        assert_int_equal(scan_replaced(log, paths[i], buf_span(&bytes), 280, &err), E_MALFORMED);
    }
    buf_clear(&bytes);
    memory_log_free(log);
}

static void a_bundle_beyond_the_limit_is_too_large(void **state)
{
    (void)state;
    struct memory_log *log = make_log(300, 300);
    struct err err;
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX + 1);
    memset(buf_extend(&bytes, bytes.max), 0xfe, bytes.max);
    struct span all = buf_span(&bytes);
    assert_int_equal(scan_replaced(log, "tile/entries/000", all, 300, &err), E_TOO_LARGE);
    assert_int_equal(scan_replaced(log, "tile/entries/001.p/44", all, 300, &err), E_TOO_LARGE);
    all.len--;
    assert_int_equal(scan_replaced(log, "tile/entries/000", all, 300, &err), E_MALFORMED);
    buf_clear(&bytes);
    memory_log_free(log);
}

static void a_missing_bundle_is_named(void **state)
{
    (void)state;
    struct memory_log *log = make_log(5000, 5000);
    struct scan_report report;
    struct seen seen;
    struct err err;
    for (uint64_t bundle = 0; bundle < 20; bundle++) {
        struct tile_path path = { true,
                                  { 0, bundle },
                                  tile_width((struct tile_id){ 0, bundle }, 5000) };
        struct tile_path_text text = tile_path_text(&path);
        memory_log_remove(log, text.text);
        assert_int_equal(scan(log, &report, &seen, 0, 5000, 1 + bundle % 5, &err), E_NOT_FOUND);
        assert_ptr_equal(strstr(err.msg, text.text), err.msg);
        assert_int_equal(seen.progress_count > 0 ? seen.at.size : 0, bundle * 256);
        assert_range_is_of(&seen.at, log);
        memory_log_restore(log, text.text);
    }
    memory_log_free(log);
}

static void a_partial_bundle_that_is_gone_comes_from_the_full_one(void **state)
{
    (void)state;
    struct memory_log *log = make_log(700, 100);
    memory_log_drop_partials(log);
    for (uint64_t size = 1; size < 512; size += 17) {
        assert_scans_well(log, 0, size, 1);
    }
    struct scan_report report;
    struct seen seen;
    struct err err;
    assert_int_equal(scan(log, &report, &seen, 0, 600, 1, &err), E_NOT_FOUND); /* no full one yet */
    assert_ptr_equal(strstr(err.msg, "tile/entries/002.p/88: "), err.msg);
    memory_log_replace(log, "tile/entries/001", span_of_str("\0"));
    assert_int_equal(scan(log, &report, &seen, 0, 300, 1, &err), E_MALFORMED);
    assert_ptr_equal(strstr(err.msg, "tile/entries/001.p/44: "), err.msg);
    memory_log_fail(log, "tile/entries/001", E_TIMEOUT);
    assert_int_equal(scan(log, &report, &seen, 0, 300, 1, &err), E_TIMEOUT);
    memory_log_free(log);
}

static void bundles_of_the_largest_entries_are_hashed_too(void **state)
{
    (void)state;
    struct memory_log *log =
        memory_log_new(&(struct memory_log_options){ .entry_bytes_max = ENTRY_BYTES_MAX });
    struct buf entry = BUF_INIT(ENTRY_BYTES_MAX);
    memset(buf_extend(&entry, ENTRY_BYTES_MAX), 'x', ENTRY_BYTES_MAX);
    for (int i = 0; i < 256; i++) {
        memory_log_append(log, buf_span(&entry));
    }
    memory_log_grow(log, 9 * 256 + 200);
    memory_log_publish_note(log, 9 * 256 + 200, span_of_str("note"));
    assert_scans_well(log, 0, 9 * 256 + 200, 4);
    assert_scans_well(log, 256 + 100, 9 * 256, 1);
    assert_scans_well(log, 200, 9 * 256 - 30, 1); /* cut out of a giant bundle */
    buf_clear(&entry);
    memory_log_free(log);
}

static void a_tile_that_is_no_tile_is_told_and_the_scan_goes_on(void **state)
{
    (void)state;
    struct memory_log *log = make_log(300, 300);
    struct scan_report report;
    struct seen seen;
    struct err err;
    uint8_t zeros[TILE_BYTES + 1] = { 0 };
    for (size_t len = 0; len <= sizeof zeros; len += len < TILE_BYTES - 1 ? TILE_BYTES - 1 : 1) {
        memory_log_replace(log, "tile/0/000", span_of(zeros, len));
        assert_int_equal(scan(log, &report, &seen, 0, 300, 1, &err), E_OK);
        assert_range_is_of(&report.range, log);
        assert_int_equal(seen.bad_count, 1);
        bool is_right = len == TILE_BYTES;
        assert_int_equal(seen.bads[0].code, is_right ? E_CORRUPT : E_MALFORMED);
        assert_int_equal(report.tiles, is_right ? 1 : 0);
    }
    memory_log_free(log);
}

static void a_tile_that_cannot_be_read_ends_the_scan(void **state)
{
    (void)state;
    struct memory_log *log = make_log(65536 + 256, 65536 + 256);
    struct scan_report report;
    struct seen seen;
    struct err err;
    memory_log_fail(log, "tile/0/000", E_IO);
    assert_int_equal(scan(log, &report, &seen, 0, 600, 1, &err), E_IO);
    assert_ptr_equal(strstr(err.msg, "tile/0/000: "), err.msg);
    assert_int_equal(seen.progress_count, 0);
    memory_log_restore_all(log);

    memory_log_fail(log, "tile/1/000", E_TIMEOUT);
    for (uint64_t from = 65536 - 256 * 10; from < 65536; from += 255) {
        assert_int_equal(scan(log, &report, &seen, from, 65536 + 256, 2, &err), E_TIMEOUT);
        assert_ptr_equal(strstr(err.msg, "tile/1/000: "), err.msg);
        assert_range_is_of(&seen.at, log);
        assert_true(seen.at.size < 65536); /* who goes on there compares the tile */
    }
    memory_log_free(log);
}

static void tiles_are_not_read_when_nobody_is_told(void **state)
{
    (void)state;
    struct memory_log *log = make_log(65536 + 300, 65536 + 300);
    struct compact_range from = memory_log_range(log, 0);
    struct scan_report report;
    struct seen seen;
    struct err err;
    struct scan_options options = options_for(log, &seen, &from, 65536 + 300);
    options.on_bad_tile = NULL;
    options.on_progress = NULL;
    options.threads = 3;
    memory_log_remove(log, "tile/0/000");
    memory_log_remove(log, "tile/1/000");
    assert_int_equal(scan_run(&report, &options, &err), E_OK);
    assert_range_is_of(&report.range, log);
    assert_int_equal(memory_log_get_count(log), 258);
    assert_int_equal(report.tiles, 0);
    memory_log_free(log);
}

/* -- order, ends, and going on -- */

static void pause_us(long us)
{
    nanosleep(&(struct timespec){ 0, us * 1000 }, NULL);
}

/* The file of the lower error comes late. */
static enum err_code delay(void *ctx, const char *path, struct err *err)
{
    (void)err;
    if (strcmp(path, ctx) == 0) {
        pause_us(20000);
    }
    return E_OK;
}

static void the_error_is_that_of_the_lowest_bundle(void **state)
{
    (void)state;
    struct memory_log *log = make_log(256 * 200, 256 * 200);
    char path[] = "tile/entries/050";
    memory_log_on_get(log, delay, path);
    memory_log_fail(log, "tile/entries/050", E_IO);
    memory_log_fail(log, "tile/entries/051", E_TIMEOUT);
    memory_log_fail(log, "tile/entries/053", E_TIMEOUT);
    memory_log_remove(log, "tile/entries/070");
    memory_log_remove(log, "tile/0/049");
    memory_log_remove(log, "tile/0/052");
    for (unsigned threads = 1; threads <= 8; threads++) {
        struct scan_report report;
        struct seen seen;
        struct err err;
        assert_int_equal(scan(log, &report, &seen, 0, 256 * 200, threads, &err), E_IO);
        assert_ptr_equal(strstr(err.msg, "tile/entries/050: "), err.msg);
        assert_int_equal(seen.at.size, 256 * 50);
        assert_range_is_of(&seen.at, log);
        assert_int_equal(seen.bad_count, 1);
    }
    memory_log_free(log);
}

static void after_an_error_nothing_much_is_read(void **state)
{
    (void)state;
    struct memory_log *log = make_log(256 * 250, 256 * 250);
    memory_log_remove(log, "tile/entries/000");
    struct scan_report report;
    struct seen seen;
    struct err err;
    assert_int_equal(scan(log, &report, &seen, 0, 256 * 250, 4, &err), E_NOT_FOUND);
    assert_in_range(memory_log_get_count(log), 1, 4 * 2 * (4 * 16 + 16));
    memory_log_free(log);
}

struct stopper {
    atomic_int left; /* reads */
    atomic_bool is_stopping;
};

static enum err_code stop_after(void *ctx, const char *path, struct err *err)
{
    struct stopper *stopper = ctx;
    (void)path;
    (void)err;
    if (atomic_fetch_sub(&stopper->left, 1) == 0) {
        atomic_store(&stopper->is_stopping, true);
    }
    return E_OK;
}

static void a_scan_that_is_stopped_goes_on_where_it_was(void **state)
{
    (void)state;
    const uint64_t size = 256 * 60 + 77;
    struct memory_log *log = make_log(size, size);
    for (int reads = 0; reads < 130; reads += 3) {
        struct stopper stopper = { .left = reads };
        memory_log_on_get(log, stop_after, &stopper);
        struct compact_range from = memory_log_range(log, reads % 2 == 0 ? 0 : 300);
        struct scan_report report;
        struct seen seen;
        struct err err;
        struct scan_options options = options_for(log, &seen, &from, size);
        options.is_stopping = &stopper.is_stopping;
        options.threads = 1 + (unsigned)reads % 4;
        unsigned rounds = 0;
        while (scan_run(&report, &options, &err) != E_OK) {
            assert_int_equal(err.code, E_UNAVAILABLE);
            if (seen.progress_count > 0) {
                assert_range_is_of(&seen.at, log);
                from = seen.at;
            }
            seen.progress_count = 0;
            atomic_store(&stopper.is_stopping, false);
            assert_true(++rounds < 3); /* it stops once */
        }
        assert_range_is_of(&report.range, log);
        assert_int_equal(report.range.size, size);
    }
    memory_log_free(log);
}

static void a_scan_that_is_stopped_before_it_begins_reads_nothing(void **state)
{
    (void)state;
    struct memory_log *log = make_log(256 * 60, 256 * 60);
    atomic_bool is_stopping = true;
    for (uint64_t start = 0; start < 512; start += 100) {
        struct compact_range from = memory_log_range(log, start);
        struct scan_report report;
        struct seen seen;
        struct err err;
        struct scan_options options = options_for(log, &seen, &from, 256 * 60);
        options.is_stopping = &is_stopping;
        options.threads = 4;
        assert_int_equal(scan_run(&report, &options, &err), E_UNAVAILABLE);
        assert_int_equal(seen.progress_count, 0);
    }
    assert_int_equal(memory_log_get_count(log), 0);
    memory_log_free(log);
}

static enum err_code slow(void *ctx, const char *path, struct err *err)
{
    (void)ctx;
    (void)path;
    (void)err;
    pause_us(30000);
    return E_OK;
}

static void progress_is_told_about_once_a_second(void **state)
{
    (void)state;
    struct memory_log *log = make_log(256 * 160, 256 * 160);
    memory_log_on_get(log, slow, NULL);
    struct scan_report report;
    struct seen seen;
    struct err err;
    assert_int_equal(scan(log, &report, &seen, 0, 256 * 160, 4, &err), E_OK); /* 2.4 s of sleep */
    assert_in_range(seen.progress_count, 2, 8);
    memory_log_free(log);
}

/* -- readers and threads that cannot be had -- */

struct meagre {
    struct memory_log *log;
    atomic_int left; /* readers that can be opened */
};

static enum err_code open_meagre(void *ctx, struct log_reader **out, struct err *err)
{
    struct meagre *meagre = ctx;
    if (atomic_fetch_sub(&meagre->left, 1) <= 0) {
        return err_set(err, E_IO, "no more readers");
    }
    *out = memory_log_open(meagre->log);
    return E_OK;
}

static void a_reader_that_cannot_be_opened_is_an_error(void **state)
{
    (void)state;
    struct memory_log *log = make_log(256 * 60 + 1, 256 * 60 + 1);
    for (int readers = 0; readers <= 6; readers++) {
        struct meagre meagre = { log, readers };
        struct compact_range from = memory_log_range(log, 1);
        struct scan_report report;
        struct seen seen;
        struct err err;
        struct scan_options options = options_for(log, &seen, &from, 256 * 60 + 1);
        options.source = (struct scan_source){ &meagre, open_meagre };
        options.threads = 4;
        enum err_code rc = scan_run(&report, &options, &err);
        if (rc == E_OK) {
            assert_range_is_of(&report.range, log);
            assert_true(readers > 1); /* the caller's, and one thread's at least */
        } else {
            assert_int_equal(rc, E_IO);
            assert_string_equal(err.msg, "no more readers");
            assert_true(readers < 5);
        }
    }
    memory_log_free(log);
}

static void *do_nothing(void *ctx)
{
    return ctx;
}

static void threads_that_cannot_be_made_are_done_without(void **state)
{
    (void)state;
    struct memory_log *log = make_log(256 * 60 + 1, 256 * 60 + 1);
    pthread_attr_t before, huge;
    assert_int_equal(pthread_getattr_default_np(&before), 0);
    assert_int_equal(pthread_attr_init(&huge), 0);
    assert_int_equal(pthread_attr_setstacksize(&huge, (size_t)1 << 50), 0); /* no such memory */
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    pthread_t thread;
    assert_int_not_equal(pthread_create(&thread, NULL, do_nothing, NULL), 0);
    assert_scans_well(log, 1, 256 * 60 + 1, 4);
    assert_int_equal(pthread_setattr_default_np(&before), 0);
    pthread_attr_destroy(&huge);
    pthread_attr_destroy(&before);
    memory_log_free(log);
}

/* -- trees of any size: all entries are alike -- */

struct uniform {
    struct log_reader reader;
    struct hash nodes[MERKLE_LEVELS_MAX]; /* roots over 1 << level entries */
};

static enum err_code uniform_get(struct log_reader *reader, const char *path, struct buf *out,
                                 struct err *err)
{
    const struct uniform *log = (const struct uniform *)reader;
    struct tile_path tile;
    assert_int_equal(tile_path_parse(&tile, span_of_str(path), err), E_OK);
    for (unsigned i = 0; i < tile.width; i++) {
        if (tile.is_bundle) {
            bundle_put_entry(out, span_of_str("x"));
        } else {
            buf_put(out, hash_span(&log->nodes[8 * tile.id.level]));
        }
    }
    return E_OK;
}

static void uniform_close(struct log_reader *reader)
{
    (void)reader;
}

static enum err_code uniform_open(void *ctx, struct log_reader **out, struct err *err)
{
    (void)err;
    *out = ctx;
    return E_OK;
}

static struct compact_range uniform_range(const struct uniform *log, uint64_t size)
{
    struct compact_range range = { .size = size };
    size_t count = 0;
    for (unsigned level = MERKLE_LEVELS_MAX; level-- > 0;) {
        if ((size >> level & 1) != 0) {
            range.hashes[count++] = log->nodes[level];
        }
    }
    return range;
}

static void every_level_of_tiles_is_compared_when_it_becomes_full(void **state)
{
    (void)state;
    static const struct log_reader_ops ops = { uniform_get, uniform_close };
    struct uniform log = { .reader = { &ops } };
    log.nodes[0] = merkle_leaf_hash(span_of_str("x"));
    for (unsigned level = 1; level < MERKLE_LEVELS_MAX; level++) {
        log.nodes[level] = merkle_node_hash(&log.nodes[level - 1], &log.nodes[level - 1]);
    }
    for (unsigned bits = 8; bits <= 62; bits++) {
        uint64_t full = (uint64_t)1 << bits;
        uint64_t first = bits > 11 ? full - 2100 : 0;
        struct compact_range from = uniform_range(&log, first);
        struct seen seen;
        struct scan_options options = options_for(NULL, &seen, &from, full + 5);
        options.source = (struct scan_source){ &log, uniform_open };
        options.threads = 1 + bits % 3;
        struct scan_report report;
        struct err err;
        assert_int_equal(scan_run(&report, &options, &err), E_OK);
        struct compact_range expected = uniform_range(&log, full + 5);
        assert_true(is_same_range(&report.range, &expected));
        assert_int_equal(seen.bad_count, 0);
        assert_int_equal(report.tiles, full / 256 - first / 256 + bits / 8 - 1);
    }
    uint64_t last = SIZE_VALUE_MAX - 10; /* up to the largest size there is */
    struct compact_range from = uniform_range(&log, last);
    struct seen seen;
    struct scan_options options = options_for(NULL, &seen, &from, SIZE_VALUE_MAX);
    options.source = (struct scan_source){ &log, uniform_open };
    struct scan_report report;
    struct err err;
    assert_int_equal(scan_run(&report, &options, &err), E_OK);
    struct compact_range expected = uniform_range(&log, SIZE_VALUE_MAX);
    assert_true(is_same_range(&report.range, &expected));
}

/* The log in memory is held against the recursive definition, as all here is held against it. */
static void the_log_in_memory_has_the_roots_of_the_definition(void **state)
{
    (void)state;
    struct memory_log *log = make_log(400, 0);
    struct reference_tree *reference = reference_new();
    struct buf entry = BUF_INIT(ENTRY_BYTES_MAX);
    for (uint64_t size = 0; size <= 400; size++) {
        struct hash root = memory_log_root(log, size);
        struct hash expected = reference_mth(reference, 0, size);
        assert_memory_equal(root.bytes, expected.bytes, HASH_BYTES);
        if (size < 400) {
            buf_reset(&entry);
            memory_log_put_entry(log, size, &entry);
            reference_add(reference, buf_span(&entry));
        }
    }
    struct memory_log *fork = memory_log_fork(log, 100, &(struct memory_log_options){ .seed = 9 });
    memory_log_grow(fork, 101);
    struct hash common = memory_log_root(fork, 100);
    struct hash expected = memory_log_root(log, 100);
    assert_true(hash_is_equal(&common, &expected));
    struct hash forked = memory_log_root(fork, 101);
    expected = memory_log_root(log, 101);
    assert_false(hash_is_equal(&forked, &expected));
    struct err err;
    buf_reset(&entry);
    assert_int_equal(memory_log_get(fork, "checkpoint", &entry, &err), E_NOT_FOUND);
    buf_clear(&entry);
    mem_free(reference);
    memory_log_free(fork);
    memory_log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_log_in_memory_has_the_roots_of_the_definition),
        cmocka_unit_test(every_size_hashes_to_its_root),
        cmocka_unit_test(a_scan_goes_on_from_every_size),
        cmocka_unit_test(scans_cross_the_boundaries_of_level_1),
        cmocka_unit_test(every_level_of_tiles_is_compared_when_it_becomes_full),
        cmocka_unit_test(any_number_of_threads_gives_the_same),
        cmocka_unit_test(one_wrong_byte_in_a_bundle_is_malformed_or_changes_the_root),
        cmocka_unit_test(one_wrong_byte_in_a_tile_is_found_and_named),
        cmocka_unit_test(entries_before_the_start_that_have_changed_are_corrupt),
        cmocka_unit_test(a_bundle_of_another_length_is_malformed),
        cmocka_unit_test(a_bundle_beyond_the_limit_is_too_large),
        cmocka_unit_test(a_missing_bundle_is_named),
        cmocka_unit_test(a_partial_bundle_that_is_gone_comes_from_the_full_one),
        cmocka_unit_test(bundles_of_the_largest_entries_are_hashed_too),
        cmocka_unit_test(a_tile_that_is_no_tile_is_told_and_the_scan_goes_on),
        cmocka_unit_test(a_tile_that_cannot_be_read_ends_the_scan),
        cmocka_unit_test(tiles_are_not_read_when_nobody_is_told),
        cmocka_unit_test(the_error_is_that_of_the_lowest_bundle),
        cmocka_unit_test(after_an_error_nothing_much_is_read),
        cmocka_unit_test(a_scan_that_is_stopped_goes_on_where_it_was),
        cmocka_unit_test(a_scan_that_is_stopped_before_it_begins_reads_nothing),
        cmocka_unit_test(progress_is_told_about_once_a_second),
        cmocka_unit_test(a_reader_that_cannot_be_opened_is_an_error),
        cmocka_unit_test(threads_that_cannot_be_made_are_done_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
