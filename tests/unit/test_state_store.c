#include "monitor/state_store.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* What reopening finds: copies of one "disk". */
struct disk {
    struct kv *next; /* given away by the next reopening; NULL: it fails */
    unsigned reopened;
};

static enum err_code reopen(void *ctx, struct kv **out, struct err *err)
{
    struct disk *disk = ctx;
    disk->reopened++;
    if (disk->next == NULL) {
        return err_set(err, E_IO, "the disk is away");
    }
    *out = disk->next;
    disk->next = NULL;
    return E_OK;
}

static enum err_code put(struct state_store *store, const char *key, const char *value,
                         struct err *err)
{
    struct kv_batch batch;
    kv_batch_init(&batch);
    kv_batch_put(&batch, span_of_str(key), span_of_str(value));
    enum err_code rc = state_store_write_synced(store, &batch, err);
    kv_batch_clear(&batch);
    return rc;
}

static bool has(struct state_store *store, const char *key, const char *value)
{
    struct buf out = BUF_INIT(100);
    struct err err;
    bool is_there = state_store_get(store, span_of_str(key), &out, &err) == E_OK &&
                    span_is_str(buf_span(&out), value);
    buf_clear(&out);
    return is_there;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct state_store *store = state_store_new(kv_memory_new(), NULL, NULL);
    struct buf out = BUF_INIT(100);
    struct err err;
    assert_int_equal(put(store, "a", "1", &err), E_OK);
    assert_true(has(store, "a", "1"));
    assert_int_equal(state_store_get(store, span_of_str("b"), &out, &err), E_NOT_FOUND);
    assert_false(state_store_is_failing(store));
    state_store_free(store);
    state_store_free(NULL);
}

static void failed_write_opens_the_store_again_before_anything_else(void **state)
{
    (void)state;
    for (int is_applied = 0; is_applied < 2; is_applied++) {
        struct disk disk = { NULL, 0 };
        struct kv *kv = kv_memory_new();
        struct state_store *store = state_store_new(kv, reopen, &disk);
        struct err err;
        assert_int_equal(put(store, "a", "old", &err), E_OK);
        kv_memory_fail(kv, 1, is_applied);
        assert_int_equal(put(store, "a", "new", &err), E_IO);
        assert_true(state_store_is_failing(store));
        assert_int_equal(disk.reopened, 0);
        disk.next = kv_memory_copy(kv);
        assert_true(has(store, "a", is_applied ? "new" : "old"));
        assert_int_equal(disk.reopened, 1);
        assert_true(state_store_is_failing(store)); /* reading proves nothing about writing */
        assert_int_equal(put(store, "a", "newest", &err), E_OK);
        assert_int_equal(disk.reopened, 1);
        assert_false(state_store_is_failing(store));
        state_store_free(store);
    }
}

static void store_that_does_not_open_fails_every_call_until_it_does(void **state)
{
    (void)state;
    struct disk disk = { NULL, 0 };
    struct kv *kv = kv_memory_new();
    struct kv *copy = kv_memory_copy(kv);
    struct state_store *store = state_store_new(kv, reopen, &disk);
    struct err err;
    kv_memory_fail(kv, 1, false);
    assert_int_equal(put(store, "a", "1", &err), E_IO);
    assert_false(has(store, "a", "1"));
    assert_int_equal(put(store, "a", "1", &err), E_IO);
    assert_true(state_store_is_failing(store));
    assert_int_equal(disk.reopened, 2);
    disk.next = copy;
    assert_int_equal(put(store, "a", "1", &err), E_OK);
    assert_true(has(store, "a", "1"));
    assert_int_equal(disk.reopened, 3);
    state_store_free(store);
}

static enum err_code count_item(void *ctx, struct span key, struct span value, struct err *err)
{
    (void)value;
    (void)err;
    assert_true(span_has_prefix(key, span_of_str("log/")));
    ++*(unsigned *)ctx;
    return E_OK;
}

static enum err_code refuse_item(void *ctx, struct span key, struct span value, struct err *err)
{
    (void)ctx;
    (void)key;
    (void)value;
    return err_set(err, E_CORRUPT, "no");
}

static void scan_tells_the_keys_of_a_prefix(void **state)
{
    (void)state;
    struct state_store *store = state_store_new(kv_memory_new(), NULL, NULL);
    struct err err;
    unsigned count = 0;
    assert_int_equal(put(store, "log/a", "1", &err), E_OK);
    assert_int_equal(put(store, "log/b", "2", &err), E_OK);
    assert_int_equal(put(store, "alert/a", "3", &err), E_OK);
    assert_int_equal(state_store_scan(store, span_of_str("log/"), count_item, &count, &err), E_OK);
    assert_int_equal(count, 2);
    assert_int_equal(state_store_scan(store, span_of_str("log/"), refuse_item, NULL, &err),
                     E_CORRUPT);
    assert_false(state_store_is_failing(store));
    state_store_free(store);
}

enum {
    WRITES = 200
};

struct writer {
    struct state_store *store;
    int number;
};

static void *write_many(void *ctx)
{
    struct writer *writer = ctx;
    for (int i = 0; i < WRITES; i++) {
        char key[32];
        struct err err;
        snprintf(key, sizeof key, "log/%d/%d", writer->number, i);
        if (put(writer->store, key, "x", &err) != E_OK || !has(writer->store, key, "x")) {
            return writer;
        }
    }
    return NULL;
}

static void writers_of_several_threads_do_not_meet(void **state)
{
    (void)state;
    struct state_store *store = state_store_new(kv_memory_new(), NULL, NULL);
    struct writer writers[4];
    pthread_t threads[4];
    struct err err;
    unsigned count = 0;
    for (int i = 0; i < 4; i++) {
        writers[i] = (struct writer){ store, i };
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(state_store_scan(store, span_of_str("log/"), count_item, &count, &err), E_OK);
    assert_int_equal(count, 4 * WRITES);
    state_store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(failed_write_opens_the_store_again_before_anything_else),
        cmocka_unit_test(store_that_does_not_open_fails_every_call_until_it_does),
        cmocka_unit_test(scan_tells_the_keys_of_a_prefix),
        cmocka_unit_test(writers_of_several_threads_do_not_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
