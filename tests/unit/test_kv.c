/* The contract of the seam lib/store/kv.h, which LevelDB and memory both pass; then batches, and what
 * memory does besides. LevelDB's own traps are in test_kv_leveldb.c. */
#include "base/alloc.h"
#include "store/kv.h"
#include "tests/support/death.h"
#include "tests/support/files.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the ones above first */
#include <cmocka.h>

enum kind {
    KIND_LEVELDB,
    KIND_MEMORY
};

struct fixture {
    enum kind kind;
    char *parent; /* owned; KIND_LEVELDB, as dir */
    char *dir;    /* owned */
    struct kv *kv;
    struct kv_batch batch;
    struct err err;
};

/* A memory store that is opened again is a copy of it. */
static void reopen(struct fixture *f)
{
    if (f->kind == KIND_LEVELDB) {
        kv_close(f->kv);
        assert_int_equal(kv_leveldb_open(&f->kv, f->dir, &f->err), E_OK);
    } else {
        struct kv *copy = kv_memory_copy(f->kv);
        kv_close(f->kv);
        f->kv = copy;
    }
}

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->kind = *(const enum kind *)*state;
    kv_batch_init(&f->batch);
    if (f->kind == KIND_LEVELDB) {
        f->parent = files_make_temp_dir();
        f->dir = files_join(f->parent, "state");
        assert_int_equal(kv_leveldb_open(&f->kv, f->dir, &f->err), E_OK);
    } else {
        f->kv = kv_memory_new();
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    kv_close(f->kv);
    kv_batch_clear(&f->batch);
    if (f->parent != NULL) {
        files_remove_tree(f->parent);
        free(f->dir);
    }
    mem_free(f);
    return 0;
}

static void put(struct fixture *f, const char *key, const char *value)
{
    kv_batch_put(&f->batch, span_of_str(key), span_of_str(value));
}

static void drop(struct fixture *f, const char *key)
{
    kv_batch_delete(&f->batch, span_of_str(key));
}

static void write_all(struct fixture *f)
{
    assert_int_equal(kv_write_synced(f->kv, &f->batch, &f->err), E_OK);
    kv_batch_reset(&f->batch);
}

/* NULL: it is not there. */
static void assert_value(struct fixture *f, const char *key, const char *expected)
{
    struct buf value = BUF_INIT(KV_VALUE_BYTES_MAX);
    buf_put_str(&value, "before:");
    enum err_code rc = kv_get(f->kv, span_of_str(key), &value, &f->err);
    assert_int_equal(rc, expected == NULL ? E_NOT_FOUND : E_OK);
    struct span found = buf_span(&value);
    assert_true(span_take_prefix(&found, span_of_str("before:")));
    assert_true(span_is_str(found, expected == NULL ? "" : expected));
    buf_clear(&value);
}

/* -- the contract -- */

static void a_new_store_is_empty(void **state)
{
    struct fixture *f = *state;
    assert_value(f, "key", NULL);
    write_all(f); /* a batch without changes */
    assert_value(f, "", NULL);
}

static void a_batch_takes_effect_in_order(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "1");
    put(f, "b", "1");
    put(f, "a", "2");
    drop(f, "b");
    drop(f, "none");
    drop(f, "c");
    put(f, "c", "");
    assert_int_equal(f->batch.count, 7);
    write_all(f);
    assert_int_equal(f->batch.count, 0);
    for (int round = 0; round < 2; round++) {
        assert_value(f, "a", "2");
        assert_value(f, "b", NULL);
        assert_value(f, "c", "");
        assert_value(f, "none", NULL);
        reopen(f);
    }
}

static void a_later_batch_changes_what_is_there(void **state)
{
    struct fixture *f = *state;
    put(f, "a", "one");
    put(f, "b", "one");
    write_all(f);
    put(f, "a", "two, and longer");
    drop(f, "b");
    assert_int_equal(kv_write(f->kv, &f->batch, &f->err), E_OK);
    assert_value(f, "a", "two, and longer");
    assert_value(f, "b", NULL);
    reopen(f);
    assert_value(f, "a", "two, and longer");
    assert_value(f, "b", NULL);
}

static void a_batch_copies_its_keys_and_values(void **state)
{
    struct fixture *f = *state;
    char key[] = "key", value[] = "value";
    put(f, key, value);
    memset(key, 'x', 3);
    memset(value, 'x', 5);
    write_all(f);
    assert_value(f, "key", "value");
    assert_value(f, "xxx", NULL);
}

static void keys_and_values_are_any_bytes_up_to_the_maximum(void **state)
{
    struct fixture *f = *state;
    uint8_t *key = mem_alloc(KV_KEY_BYTES_MAX);
    uint8_t *value = mem_alloc(KV_VALUE_BYTES_MAX);
    for (size_t i = 0; i < KV_VALUE_BYTES_MAX; i++) {
        value[i] = (uint8_t)(i ^ i >> 8);
        key[i % KV_KEY_BYTES_MAX] = (uint8_t)(255 - i);
    }
    struct span long_key = span_of(key, KV_KEY_BYTES_MAX);
    struct span long_value = span_of(value, KV_VALUE_BYTES_MAX);
    kv_batch_put(&f->batch, long_key, long_value);
    kv_batch_put(&f->batch, span_of("a\0b", 3), span_of("\0\xff", 2));
    write_all(f);
    reopen(f);
    struct buf out = BUF_INIT(KV_VALUE_BYTES_MAX);
    assert_int_equal(kv_get(f->kv, long_key, &out, &f->err), E_OK);
    assert_true(span_is_equal(buf_span(&out), long_value));
    buf_reset(&out);
    assert_int_equal(kv_get(f->kv, span_of("a\0b", 3), &out, &f->err), E_OK);
    assert_true(span_is_equal(buf_span(&out), span_of("\0\xff", 2)));
    assert_value(f, "a", NULL);
    buf_clear(&out);
    mem_free(key);
    mem_free(value);
}

static void a_value_that_does_not_fit_is_too_large(void **state)
{
    struct fixture *f = *state;
    struct buf small = BUF_INIT(4);
    put(f, "key", "12345");
    write_all(f);
    assert_int_equal(kv_get(f->kv, span_of_str("key"), &small, &f->err), E_TOO_LARGE);
    assert_int_equal(small.len, 0);
}

/* What a scan tells, as "key=value;" one behind the other. */
struct seen {
    char text[256];
    size_t stop_after; /* items; 0 for never */
    size_t count;
    struct kv *writes_to; /* on_item changes the store it is told of */
};

static enum err_code see(void *ctx, struct span key, struct span value, struct err *err)
{
    struct seen *seen = ctx;
    size_t len = strlen(seen->text);
    snprintf(seen->text + len, sizeof seen->text - len, "%.*s=%.*s;", SPAN_PRINTF(key),
             SPAN_PRINTF(value));
    if (seen->writes_to != NULL) {
        struct kv_batch batch;
        kv_batch_init(&batch);
        kv_batch_delete(&batch, span_of_str("a/2"));
        kv_batch_put(&batch, span_of_str("a/4"), span_of_str("new"));
        assert_int_equal(kv_write(seen->writes_to, &batch, err), E_OK);
        kv_batch_clear(&batch);
    }
    seen->count++;
    return seen->count == seen->stop_after ? err_set(err, E_DENIED, "enough") : E_OK;
}

static void assert_scan(struct fixture *f, const char *prefix, const char *expected)
{
    struct seen seen = { .count = 0 };
    assert_int_equal(kv_scan(f->kv, span_of_str(prefix), see, &seen, &f->err), E_OK);
    assert_string_equal(seen.text, expected);
}

static void put_some(struct fixture *f)
{
    put(f, "b", "5");
    put(f, "a/3", "3");
    put(f, "a", "0");
    put(f, "a/\xff", "4");
    put(f, "a/1", "1");
    put(f, "a0", "x");
    put(f, "a/2", "2");
    put(f, "a/\x01", "c");
    write_all(f);
}

static void a_scan_tells_a_prefix_in_key_order(void **state)
{
    struct fixture *f = *state;
    assert_scan(f, "", "");
    put_some(f);
    for (int round = 0; round < 2; round++) {
        assert_scan(f, "a/", "a/\x01=c;a/1=1;a/2=2;a/3=3;a/\xff=4;");
        assert_scan(f, "", "a=0;a/\x01=c;a/1=1;a/2=2;a/3=3;a/\xff=4;a0=x;b=5;");
        assert_scan(f, "a/2", "a/2=2;");
        assert_scan(f, "a/22", "");
        assert_scan(f, "c", "");
        reopen(f);
    }
}

static void a_scan_stops_at_the_first_error(void **state)
{
    struct fixture *f = *state;
    put_some(f);
    struct seen seen = { .stop_after = 2 };
    assert_int_equal(kv_scan(f->kv, span_of_str("a/"), see, &seen, &f->err), E_DENIED);
    assert_string_equal(f->err.msg, "enough");
    assert_string_equal(seen.text, "a/\x01=c;a/1=1;");
}

static void a_scan_sees_the_store_as_of_the_call(void **state)
{
    struct fixture *f = *state;
    put_some(f);
    struct seen seen = { .writes_to = f->kv };
    assert_int_equal(kv_scan(f->kv, span_of_str("a/"), see, &seen, &f->err), E_OK);
    assert_string_equal(seen.text, "a/\x01=c;a/1=1;a/2=2;a/3=3;a/\xff=4;");
    assert_scan(f, "a/", "a/\x01=c;a/1=1;a/3=3;a/4=new;a/\xff=4;");
}

/* Two keys that are always written together are never seen apart. */
struct reader {
    struct kv *kv;
    atomic_bool is_done;
    atomic_uint torn;
};

static enum err_code add_value(void *ctx, struct span key, struct span value, struct err *err)
{
    struct buf *all = ctx;
    (void)key;
    return buf_append(all, value, err);
}

static void *read_pairs(void *ctx)
{
    struct reader *reader = ctx;
    struct buf all = BUF_INIT(64);
    struct err err;
    while (!reader->is_done) {
        buf_reset(&all);
        enum err_code rc = kv_scan(reader->kv, span_of_str("pair/"), add_value, &all, &err);
        if (rc != E_OK || all.len % 2 != 0 ||
            (all.len > 0 && memcmp(all.data, all.data + all.len / 2, all.len / 2) != 0)) {
            reader->torn++;
        }
    }
    buf_clear(&all);
    return NULL;
}

static void a_batch_is_seen_whole_by_other_threads(void **state)
{
    struct fixture *f = *state;
    struct reader reader = { .kv = f->kv };
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, read_pairs, &reader), 0);
    }
    for (int i = 0; i < 2000; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        put(f, "pair/left", number);
        put(f, "pair/right", number);
        assert_int_equal(kv_write(f->kv, &f->batch, &f->err), E_OK);
        kv_batch_reset(&f->batch);
    }
    reader.is_done = true;
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(reader.torn, 0);
}

/* Thousands of puts and deletes in a seeded disorder, checked against an array. */
static void a_store_holds_what_an_array_would(void **state)
{
    enum {
        KEYS = 64,
        STEPS = 3000
    };
    struct fixture *f = *state;
    int values[KEYS] = { 0 }; /* 0: not there */
    uint32_t random = 1;
    for (int step = 1; step <= STEPS; step++) {
        char key[16], value[16];
        random = random * 1664525 + 1013904223;
        size_t at = random >> 26;
        bool is_delete = (random >> 8 & 3) == 0;
        snprintf(key, sizeof key, "%zu", at);
        snprintf(value, sizeof value, "%d", step);
        if (is_delete) {
            drop(f, key);
        } else {
            put(f, key, value);
        }
        values[at] = is_delete ? 0 : step;
        if ((random >> 16 & 7) == 0 || step == STEPS) {
            assert_int_equal(kv_write(f->kv, &f->batch, &f->err), E_OK);
            kv_batch_reset(&f->batch);
        }
        if (step % 1000 == 0) {
            reopen(f);
        }
    }
    for (size_t at = 0; at < KEYS; at++) {
        char key[16], value[16];
        snprintf(key, sizeof key, "%zu", at);
        snprintf(value, sizeof value, "%d", values[at]);
        assert_value(f, key, values[at] == 0 ? NULL : value);
    }
}

/* -- batches -- */

static void put_a_long_key(void)
{
    struct kv_batch batch;
    static uint8_t key[KV_KEY_BYTES_MAX + 1];
    kv_batch_init(&batch);
    kv_batch_put(&batch, SPAN_OF_ARRAY(key), span_of_str(""));
}

static void put_a_long_value(void)
{
    struct kv_batch batch;
    static uint8_t value[KV_VALUE_BYTES_MAX + 1];
    kv_batch_init(&batch);
    kv_batch_put(&batch, span_of_str("key"), SPAN_OF_ARRAY(value));
}

static void put_too_much(void)
{
    struct kv_batch batch;
    static uint8_t value[KV_VALUE_BYTES_MAX];
    kv_batch_init(&batch);
    for (size_t i = 0; i < KV_BATCH_BYTES_MAX / KV_VALUE_BYTES_MAX; i++) {
        kv_batch_put(&batch, span_of_str("key"), SPAN_OF_ARRAY(value));
    }
}

static void sizes_over_the_maxima_are_the_callers_bug(void **state)
{
    (void)state;
    assert_true(death_of(put_a_long_key));
    assert_true(death_of(put_a_long_value));
    assert_true(death_of(put_too_much));
}

static void changes_are_taken_as_they_were_added(void **state)
{
    (void)state;
    struct kv_batch batch;
    struct span key, value;
    bool is_delete = false;
    kv_batch_init(&batch);
    kv_batch_put(&batch, span_of_str("k"), span_of_str("v"));
    kv_batch_put(&batch, span_of_str(""), span_of_str(""));
    kv_batch_delete(&batch, span_of_str("gone"));
    struct span in = buf_span(&batch.changes);
    assert_true(kv_batch_take(&in, &key, &value, &is_delete));
    assert_true(span_is_str(key, "k") && span_is_str(value, "v") && !is_delete);
    assert_true(kv_batch_take(&in, &key, &value, &is_delete));
    assert_true(key.len == 0 && value.len == 0 && !is_delete);
    assert_true(kv_batch_take(&in, &key, &value, &is_delete));
    assert_true(span_is_str(key, "gone") && value.data == NULL && is_delete);
    assert_false(kv_batch_take(&in, &key, &value, &is_delete));
    kv_batch_clear(&batch);
}

/* -- memory only -- */

static void a_copy_is_apart_from_its_original(void **state)
{
    struct fixture *f = *state;
    put(f, "key", "old");
    write_all(f);
    struct kv *original = f->kv;
    struct kv *copy = kv_memory_copy(original);
    put(f, "key", "new");
    put(f, "more", "");
    write_all(f);
    f->kv = copy;
    assert_value(f, "key", "old");
    assert_value(f, "more", NULL);
    drop(f, "key");
    write_all(f);
    f->kv = original;
    assert_value(f, "key", "new");
    kv_close(copy);
}

static void writes_fail_as_they_are_told_to(void **state)
{
    struct fixture *f = *state;
    put(f, "key", "1");
    kv_memory_fail(f->kv, 2, false);
    assert_int_equal(kv_write_synced(f->kv, &f->batch, &f->err), E_IO);
    assert_int_equal(kv_write(f->kv, &f->batch, &f->err), E_IO);
    assert_value(f, "key", NULL);
    write_all(f);
    assert_value(f, "key", "1");
    put(f, "key", "2");
    kv_memory_fail(f->kv, 1, true);
    assert_int_equal(kv_write_synced(f->kv, &f->batch, &f->err), E_IO);
    assert_value(f, "key", "2");
}

static const enum kind leveldb = KIND_LEVELDB, memory = KIND_MEMORY;

#define ON(test, kind)                                                                             \
    {                                                                                              \
#test " (" #kind ")", test, setup, teardown, (void *)&(kind)                               \
    }
#define BOTH(test) ON(test, leveldb), ON(test, memory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_new_store_is_empty),
        BOTH(a_batch_takes_effect_in_order),
        BOTH(a_later_batch_changes_what_is_there),
        BOTH(a_batch_copies_its_keys_and_values),
        BOTH(keys_and_values_are_any_bytes_up_to_the_maximum),
        BOTH(a_value_that_does_not_fit_is_too_large),
        BOTH(a_scan_tells_a_prefix_in_key_order),
        BOTH(a_scan_stops_at_the_first_error),
        BOTH(a_scan_sees_the_store_as_of_the_call),
        BOTH(a_batch_is_seen_whole_by_other_threads),
        BOTH(a_store_holds_what_an_array_would),
        cmocka_unit_test(sizes_over_the_maxima_are_the_callers_bug),
        cmocka_unit_test(changes_are_taken_as_they_were_added),
        ON(a_copy_is_apart_from_its_original, memory),
        ON(writes_fail_as_they_are_told_to, memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
