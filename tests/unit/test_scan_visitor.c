/* scan, with somebody who looks at the entries: each once, in order, on the calling thread; nothing is kept. */
#include "base/alloc.h"
#include "monitor/scan.h"
#include "store/tile_source.h"
#include "tests/support/memory_log.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum {
    SIZE = 40 * 256 + 77
};

struct view {
    uint64_t index;
    struct hash leaf;
    char *text; /* owned, so that what is not dropped leaks */
};

struct visit {
    struct memory_log *log;
    pthread_t thread;
    uint64_t next;     /* index to be seen */
    uint64_t fails_at; /* see fails when it comes to it; 0: never */
    atomic_uint_least64_t read, dropped;
    struct compact_range at;
};

static void on_read(void *ctx, uint64_t index, const struct hash *leaf, struct span entry,
                    void *view)
{
    struct visit *visit = ctx;
    struct view *out = view;
    struct hash hash = merkle_leaf_hash(entry);
    assert_true(hash_is_equal(&hash, leaf));
    *out = (struct view){ index, *leaf, mem_strdup("something") };
    atomic_fetch_add(&visit->read, 1);
}

static enum err_code on_see(void *ctx, uint64_t first, void *views, size_t count,
                            const struct compact_range *at, struct err *err)
{
    struct visit *visit = ctx;
    const struct view *all = views;
    assert_true(pthread_equal(pthread_self(), visit->thread));
    assert_int_equal(first, visit->next);
    assert_int_equal(at->size, first + count);
    for (size_t i = 0; i < count; i++) {
        struct hash leaf = memory_log_leaf(visit->log, first + i);
        assert_int_equal(all[i].index, first + i);
        assert_true(hash_is_equal(&all[i].leaf, &leaf));
    }
    visit->next += count;
    visit->at = *at;
    return visit->fails_at != 0 && visit->next > visit->fails_at
               ? err_set(err, E_IO, "enough was seen")
               : E_OK;
}

static void on_drop(void *ctx, void *view)
{
    struct visit *visit = ctx;
    struct view *out = view;
    mem_free(out->text);
    out->text = NULL;
    atomic_fetch_add(&visit->dropped, 1);
}

static struct memory_log *make_log(uint64_t size)
{
    struct memory_log *log = memory_log_new(&(struct memory_log_options){ .seed = 3 });
    memory_log_grow(log, size);
    memory_log_publish_note(log, size, span_of_str("note"));
    return log;
}

static enum err_code scan(struct visit *visit, struct memory_log *log, uint64_t from, uint64_t to,
                          unsigned threads, uint64_t fails_at, struct err *err)
{
    struct scan_visitor visitor = { visit, sizeof(struct view), on_read, on_see, on_drop };
    struct compact_range range = memory_log_range(log, from);
    struct scan_options options = { .source = { log, memory_log_open_source },
                                    .threads = threads,
                                    .from = &range,
                                    .to = to,
                                    .visitor = &visitor };
    struct scan_report report;
    *visit =
        (struct visit){ .log = log, .thread = pthread_self(), .next = from, .fails_at = fails_at };
    enum err_code rc = scan_run(&report, &options, err);
    assert_int_equal(atomic_load(&visit->read), atomic_load(&visit->dropped));
    return rc;
}

static void every_entry_is_seen_once_and_in_order(void **state)
{
    (void)state;
    struct memory_log *log = make_log(SIZE);
    struct visit visit;
    struct err err;
    for (unsigned threads = 1; threads <= 5; threads += 2) {
        for (uint64_t from = 0; from < 600; from += 37) {
            memory_log_publish_note(log, from, span_of_str("note"));
            assert_int_equal(scan(&visit, log, from, SIZE, threads, 0, &err), E_OK);
            assert_int_equal(visit.next, SIZE);
            assert_int_equal(atomic_load(&visit.read), SIZE - from); /* what is known is not read */
        }
    }
    memory_log_free(log);
}

static void small_stretches_are_seen_too(void **state)
{
    (void)state;
    struct memory_log *log = make_log(700);
    struct visit visit;
    struct err err;
    for (uint64_t size = 0; size <= 700; size++) {
        memory_log_publish_note(log, size, span_of_str("note"));
    }
    for (uint64_t from = 0; from < 520; from += 13) {
        for (uint64_t to = from + 1; to < 700; to += 101) {
            assert_int_equal(scan(&visit, log, from, to, 1, 0, &err), E_OK);
            assert_int_equal(visit.next, to);
        }
    }
    memory_log_free(log);
}

/* What was told to on_progress is what was seen: here by way of `at`. */
static void an_error_of_the_visitor_ends_the_scan(void **state)
{
    (void)state;
    struct memory_log *log = make_log(SIZE);
    struct visit visit;
    struct err err;
    for (uint64_t fails_at = 1; fails_at < SIZE; fails_at += 1000) {
        for (unsigned threads = 1; threads <= 4; threads += 3) {
            assert_int_equal(scan(&visit, log, 0, SIZE, threads, fails_at, &err), E_IO);
            assert_string_equal(err.msg, "enough was seen");
            assert_true(visit.next <= fails_at + 256);
            assert_int_equal(visit.at.size, visit.next);
        }
    }
    memory_log_free(log);
}

static void what_is_before_an_error_of_the_log_is_seen(void **state)
{
    (void)state;
    struct memory_log *log = make_log(SIZE);
    struct visit visit;
    struct err err;
    memory_log_remove(log, "tile/entries/017");
    for (unsigned threads = 1; threads <= 4; threads += 3) {
        assert_int_equal(scan(&visit, log, 0, SIZE, threads, 0, &err), E_NOT_FOUND);
        assert_int_equal(visit.next, 17 * 256);
    }
    memory_log_free(log);
}

static void put_giant(void *ctx, uint64_t index, struct buf *out)
{
    (void)ctx;
    memset(buf_extend(out, 20000), (int)index, 20000);
}

/* Bundles that only the calling thread can read. */
static void entries_of_any_size_are_seen(void **state)
{
    (void)state;
    struct memory_log *log = memory_log_new(
        &(struct memory_log_options){ .entry_bytes_max = 20000, .put_entry = put_giant });
    struct visit visit;
    struct err err;
    memory_log_grow(log, 8 * 256);
    memory_log_publish_note(log, 8 * 256, span_of_str("note"));
    assert_int_equal(scan(&visit, log, 0, 8 * 256, 2, 0, &err), E_OK);
    assert_int_equal(visit.next, 8 * 256);
    memory_log_free(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entry_is_seen_once_and_in_order),
        cmocka_unit_test(small_stretches_are_seen_too),
        cmocka_unit_test(an_error_of_the_visitor_ends_the_scan),
        cmocka_unit_test(what_is_before_an_error_of_the_log_is_seen),
        cmocka_unit_test(entries_of_any_size_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
