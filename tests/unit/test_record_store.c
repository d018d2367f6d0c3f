/* record_store: what a scan writes counts once its tree is held, and never did if it led nowhere. */
#include "monitor/record_store.h"
#include "tests/support/compare_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct compare_world *world;
static struct record_store *store;
static struct err err;

static void open_store(void)
{
    assert_int_equal(record_store_open(&store, world->log, &err), E_OK);
}

static int set_up(void **state)
{
    (void)state;
    world = compare_world_new("group g 2 w0 w1 w2\nquorum g\n");
    open_store();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    record_store_free(store);
    compare_world_free(world);
    return 0;
}

static void restart(void)
{
    record_store_free(store);
    open_store();
}

static struct compact_range range_of(uint64_t size)
{
    return memory_log_range(world->honest, size);
}

static void write_batch(const struct kv_batch *batch)
{
    assert_int_equal(state_store_write_synced(world->options.store, batch, &err), E_OK);
}

static void write_waiting(void)
{
    struct kv_batch batch;
    kv_batch_init(&batch);
    record_store_put_waiting(store, &batch);
    write_batch(&batch);
    record_store_on_written(store);
    kv_batch_clear(&batch);
}

static void hold(uint64_t size)
{
    struct compact_range range = range_of(size);
    struct kv_batch batch;
    kv_batch_init(&batch);
    record_store_put_base(store, &range, &batch);
    write_batch(&batch);
    record_store_on_base(store, &range);
    kv_batch_clear(&batch);
}

static void put(const char *key, const char *value)
{
    record_store_put(store, span_of_str(key), span_of_str(value));
}

static void assert_value(const char *key, const char *expected)
{
    struct buf value = BUF_INIT(1024);
    enum err_code rc = record_store_get(store, span_of_str(key), &value, &err);
    assert_int_equal(rc, expected != NULL ? E_OK : E_NOT_FOUND);
    assert_true(expected == NULL || span_is_str(buf_span(&value), expected));
    buf_clear(&value);
}

static void what_waits_is_read_and_is_gone_with_the_process(void **state)
{
    (void)state;
    put("t/a", "one");
    assert_value("t/a", "one");
    put("t/a", "two");
    assert_value("t/a", "two");
    assert_true(record_store_has_waiting(store));
    restart();
    assert_value("t/a", NULL);
    put("t/a", "three");
    write_waiting();
    assert_false(record_store_has_waiting(store));
    assert_value("t/a", "three");
    restart();
    assert_value("t/a", "three");
    record_store_delete(store, span_of_str("t/a"));
    assert_value("t/a", NULL);
    write_waiting();
    restart();
    assert_value("t/a", NULL);
}

static enum err_code count_item(void *ctx, struct span key, struct span value, struct err *e)
{
    (void)value;
    (void)e;
    assert_true(span_has_prefix(key, span_of_str("o/")));
    ++*(size_t *)ctx;
    return E_OK;
}

static void a_scan_lists_what_is_written(void **state)
{
    size_t count = 0;
    (void)state;
    put("o/a", "");
    put("o/b", "");
    put("p/c", "");
    write_waiting();
    put("o/d", "");
    assert_int_equal(record_store_scan(store, span_of_str("o/"), count_item, &count, &err), E_OK);
    assert_int_equal(count, 2);
}

static void it_is_full_before_a_batch_is(void **state)
{
    char key[32];
    size_t count = 0;
    (void)state;
    while (!record_store_is_full(store)) {
        snprintf(key, sizeof key, "t/%zu", count++);
        put(key, "value");
    }
    assert_in_range(count, 1000, 100000);
    write_waiting();
    assert_false(record_store_is_full(store));
    assert_value("t/0", "value");
}

/* -- stamps -- */

static void what_a_scan_wrote_counts_up_to_its_position(void **state)
{
    (void)state;
    struct record_stamp stamp = record_store_stamp(store, 5);
    assert_false(record_store_is_valid(store, stamp));
    record_store_advance(store, 6);
    assert_true(record_store_is_valid(store, stamp));
    restart(); /* the position was not written */
    assert_false(record_store_is_valid(store, stamp));
    record_store_advance(store, 6);
    write_waiting();
    restart();
    assert_int_equal(record_store_position(store), 6);
    assert_true(record_store_is_valid(store, stamp));
}

static void what_led_nowhere_never_counts_again(void **state)
{
    (void)state;
    struct record_stamp old = record_store_stamp(store, 5);
    record_store_advance(store, 10);
    put("t/a", "x");
    write_waiting();
    put("t/b", "x");
    assert_int_equal(record_store_restart(store, &err), E_OK);
    assert_value("t/b", NULL);
    assert_int_equal(record_store_position(store), 0);
    struct record_stamp now = record_store_stamp(store, 5);
    record_store_advance(store, 10);
    assert_false(record_store_is_valid(store, old));
    assert_true(record_store_is_valid(store, now));
    hold(10);
    for (int i = 0; i < 2; i++) {
        assert_false(record_store_is_valid(store, old));
        assert_true(record_store_is_valid(store, now));
        assert_int_equal(record_store_base(store)->size, 10);
        assert_int_equal(record_store_position(store), 10);
        restart();
    }
}

static void what_is_held_counts_though_a_later_scan_led_nowhere(void **state)
{
    (void)state;
    struct record_stamp held[5], lost[5];
    for (uint64_t i = 0; i < 5; i++) {
        held[i] = record_store_stamp(store, 10 * i);
        record_store_advance(store, 10 * i + 10);
        hold(10 * i + 10);
        lost[i] = record_store_stamp(store, 10 * i + 10);
        record_store_advance(store, 10 * i + 15);
        write_waiting();
        assert_true(record_store_is_valid(store, lost[i]));
        assert_int_equal(record_store_restart(store, &err), E_OK);
        restart();
        for (uint64_t k = 0; k <= i; k++) {
            assert_true(record_store_is_valid(store, held[k]));
            assert_false(record_store_is_valid(store, lost[k]));
        }
    }
}

/* With too many scans that led nowhere nothing counts any more, and all is looked at again. */
static void generations_are_bounded(void **state)
{
    (void)state;
    struct record_stamp stamps[300];
    uint64_t size = 0;
    memory_log_grow(world->honest, 300);
    while (size < 300) {
        record_store_advance(store, size + 1);
        assert_int_equal(record_store_restart(store, &err), E_OK);
        if (record_store_base(store)->size < size) {
            break;
        }
        stamps[size] = record_store_stamp(store, size);
        record_store_advance(store, ++size);
        hold(size);
        assert_true(record_store_is_valid(store, stamps[0]));
    }
    assert_in_range(size, 100, 299);
    restart();
    assert_int_equal(record_store_base(store)->size, 0);
    assert_int_equal(record_store_position(store), 0);
    record_store_advance(store, size);
    for (size_t i = 0; i < size; i++) {
        assert_false(record_store_is_valid(store, stamps[i]));
    }
    struct record_stamp stamp = record_store_stamp(store, 7);
    hold(size);
    assert_true(record_store_is_valid(store, stamp));
    assert_false(record_store_is_valid(store, stamps[7]));
}

static void a_restart_of_nothing_is_nothing(void **state)
{
    (void)state;
    struct record_stamp stamp = record_store_stamp(store, 0);
    assert_int_equal(record_store_restart(store, &err), E_OK);
    assert_int_equal(record_store_stamp(store, 0).generation, stamp.generation);
}

static void a_trusted_start_is_where_it_begins(void **state)
{
    (void)state;
    struct compact_range range = range_of(30);
    record_store_begin_at(store, &range);
    hold(30);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(record_store_from(store), 30);
        assert_int_equal(record_store_base(store)->size, 30);
        restart();
    }
}

/* -- the store -- */

static void values_that_are_not_ours_are_corrupt(void **state)
{
    static const char *const keys[] = { "progress", "position" };
    (void)state;
    record_store_advance(store, 10);
    hold(10);
    for (size_t i = 0; i < 2; i++) {
        struct buf key = BUF_INIT(256), value = BUF_INIT(KV_VALUE_BYTES_MAX);
        struct kv_batch batch;
        watched_log_put_key(&key, world->log, "record/");
        buf_put_str(&key, keys[i]);
        assert_int_equal(state_store_get(world->options.store, buf_span(&key), &value, &err), E_OK);
        for (size_t len = 0; len < value.len; len++) {
            struct record_store *other;
            kv_batch_init(&batch);
            kv_batch_put(&batch, buf_span(&key), span_of(value.data, len));
            write_batch(&batch);
            kv_batch_clear(&batch);
            assert_int_equal(record_store_open(&other, world->log, &err), E_CORRUPT);
        }
        kv_batch_init(&batch);
        kv_batch_put(&batch, buf_span(&key), buf_span(&value));
        write_batch(&batch);
        kv_batch_clear(&batch);
        buf_clear(&key);
        buf_clear(&value);
        restart();
    }
}

static void a_write_that_fails_changes_nothing(void **state)
{
    (void)state;
    record_store_advance(store, 10);
    put("t/a", "x");
    kv_memory_fail(world->kv, 1, false);
    assert_int_equal(record_store_restart(store, &err), E_IO);
    assert_int_equal(record_store_position(store), 10);
    assert_value("t/a", "x");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(what_waits_is_read_and_is_gone_with_the_process),
        CASE(a_scan_lists_what_is_written),
        CASE(it_is_full_before_a_batch_is),
        CASE(what_a_scan_wrote_counts_up_to_its_position),
        CASE(what_led_nowhere_never_counts_again),
        CASE(what_is_held_counts_though_a_later_scan_led_nowhere),
        CASE(generations_are_bounded),
        CASE(a_restart_of_nothing_is_nothing),
        CASE(a_trusted_start_is_where_it_begins),
        CASE(values_that_are_not_ours_are_corrupt),
        CASE(a_write_that_fails_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
