#include "base/alloc.h"
#include "logd/integrator.h"
#include "store/tiles_memory.h"
#include "tests/support/log_check.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

enum {
    WAIT_S = 60,
    TOLD_MAX = 100
};

/* What the callbacks told, in order. */
struct told {
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    uint64_t stored[TOLD_MAX];
    size_t stored_count;
    size_t failed_count;
    struct err failure; /* the last one */
};

static struct tiles_memory_disk *disk;
static struct tiles *tiles;
static struct integrator *integrator;
static struct edge *edge;
static struct told told;

static void on_stored(void *ctx, uint64_t size)
{
    struct told *at = ctx;
    pthread_mutex_lock(&at->mutex);
    if (at->stored_count < TOLD_MAX) {
        at->stored[at->stored_count++] = size;
    }
    pthread_cond_broadcast(&at->changed);
    pthread_mutex_unlock(&at->mutex);
}

static void on_failed(void *ctx, const struct err *err)
{
    struct told *at = ctx;
    pthread_mutex_lock(&at->mutex);
    at->failed_count++;
    at->failure = *err;
    pthread_cond_broadcast(&at->changed);
    pthread_mutex_unlock(&at->mutex);
}

static uint64_t last_stored(void)
{
    return told.stored_count == 0 ? 0 : told.stored[told.stored_count - 1];
}

/* Waits until that much has been told. */
static void wait_for(uint64_t stored, size_t failed_count)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    int rc = 0;
    pthread_mutex_lock(&told.mutex);
    while (rc == 0 && (last_stored() < stored || told.failed_count < failed_count)) {
        rc = pthread_cond_timedwait(&told.changed, &told.mutex, &until);
    }
    pthread_mutex_unlock(&told.mutex);
    assert_int_equal(rc, 0);
}

static void start(uint64_t stored, size_t workers)
{
    struct integrator_callbacks callbacks = { &told, on_stored, on_failed };
    integrator = integrator_start(tiles, stored, workers, &callbacks);
}

static int setup(void **state)
{
    (void)state;
    told = (struct told){ .stored_count = 0 };
    pthread_mutex_init(&told.mutex, NULL);
    pthread_cond_init(&told.changed, NULL);
    disk = tiles_memory_disk_new();
    tiles = tiles_memory_open(disk);
    edge = NEW(struct edge);
    edge_init(edge);
    start(0, 3);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    integrator_stop(integrator);
    tiles_close(tiles);
    tiles_memory_disk_free(disk);
    edge_clear(edge);
    mem_free(edge);
    pthread_cond_destroy(&told.changed);
    pthread_mutex_destroy(&told.mutex);
    return 0;
}

struct list {
    struct resource *first;
    struct resource **last;
};

static void keep(void *ctx, const struct tile_path *path, struct span bytes)
{
    struct list *list = ctx;
    struct resource *resource = mem_alloc(sizeof *resource + bytes.len);
    resource->next = NULL;
    resource->path = *path;
    resource->len = bytes.len;
    memcpy(resource->bytes, bytes.data, bytes.len);
    *list->last = resource;
    list->last = &resource->next;
}

/* Commits `count` entries and hands over what they fill. */
static void add(uint64_t count)
{
    struct list list = { NULL, NULL };
    list.last = &list.first;
    for (uint64_t i = 0; i < count; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "entry %llu", (unsigned long long)edge_size(edge));
        struct span entry = span_of(text, (size_t)len);
        struct hash leaf = merkle_leaf_hash(entry);
        edge_append(edge, entry, &leaf, keep, &list);
    }
    integrator_add(integrator, list.first, edge_size(edge));
}

/* The power goes: every full tile of what was told to be stored is there, as it should be. */
static void check_durable(void)
{
    struct tiles_memory_disk *crashed = tiles_memory_disk_copy(disk);
    tiles_memory_disk_crash(crashed, 5);
    struct tiles *after = tiles_memory_open(crashed);
    uint64_t size = last_stored() / TILE_WIDTH * TILE_WIDTH;
    struct hash root = log_check_tree(after, size, false, NULL);
    if (size == edge_size(edge)) {
        struct hash expected = edge_root(edge);
        assert_true(hash_is_equal(&root, &expected));
    }
    tiles_close(after);
    tiles_memory_disk_free(crashed);
}

static void integrator_tells_what_is_durable(void **state)
{
    (void)state;
    for (size_t i = 0; i < 10; i++) {
        add(256);
        wait_for(edge_size(edge), 0);
        assert_int_equal(integrator_stored(integrator), edge_size(edge));
        check_durable();
    }
    assert_int_equal(told.failed_count, 0);
}

static void integrator_tells_of_commits_that_fill_nothing(void **state)
{
    (void)state;
    add(3);
    wait_for(3, 0);
    add(1);
    wait_for(4, 0);
    assert_int_equal(tiles_bytes_written(tiles), 0);
}

static void integrator_takes_all_that_came_together(void **state)
{
    (void)state;
    for (size_t i = 0; i < 60; i++) {
        add(111);
    }
    wait_for(60 * 111, 0);
    check_durable();
    for (size_t i = 1; i < told.stored_count; i++) {
        assert_true(told.stored[i] > told.stored[i - 1]);
    }
}

static void integrator_finishes_before_it_stops(void **state)
{
    (void)state;
    add(2560);
    add(7);
    integrator_stop(integrator);
    integrator = NULL;
    assert_int_equal(last_stored(), 2567);
    check_durable();
}

static void integrator_goes_on_after_a_restart(void **state)
{
    (void)state;
    add(300);
    integrator_stop(integrator);
    start(256, 1);
    assert_int_equal(integrator_stored(integrator), 256);
    add(300);
    wait_for(600, 0);
    check_durable();
}

static void integrator_tries_a_failed_write_again(void **state)
{
    (void)state;
    static const enum store_fault faults[] = { STORE_FAULT_BEFORE, STORE_FAULT_AFTER };
    for (size_t i = 0; i < 2; i++) {
        tiles_memory_disk_fault(disk, faults[i]);
        add(512);
        wait_for(edge_size(edge), i + 1);
        assert_int_equal(told.failure.code, E_IO);
        check_durable();
    }
    assert_int_equal(told.failed_count, 2);
}

/* Passes everything on; the first sync is told to fail. */
struct failing_sync {
    struct tiles base;
    bool has_failed;
};

static enum err_code pass_write(struct tiles *base, const char *path, struct span bytes,
                                struct err *err)
{
    (void)base;
    return tiles_write(tiles, path, bytes, err);
}

static enum err_code fail_first_sync(struct tiles *base, struct err *err)
{
    struct failing_sync *failing = (struct failing_sync *)base;
    if (!failing->has_failed) {
        failing->has_failed = true;
        tiles_memory_disk_fault(disk, STORE_FAULT_BEFORE);
    }
    return tiles_sync(tiles, err);
}

/* After a failed sync nothing that was written counts: a second sync alone would lie. */
static void integrator_writes_again_after_a_failed_sync(void **state)
{
    (void)state;
    static const struct tiles_ops ops = { .write = pass_write, .sync = fail_first_sync };
    struct failing_sync failing = { .base = { &ops } };
    struct integrator_callbacks callbacks = { &told, on_stored, on_failed };
    integrator_stop(integrator);
    integrator = integrator_start(&failing.base, 0, 2, &callbacks);
    add(512);
    wait_for(512, 1);
    assert_non_null(strstr(told.failure.msg, "syncing"));
    check_durable();
    integrator_stop(integrator);
    integrator = NULL;
}

static void integrator_waits_for_room(void **state)
{
    (void)state;
    tiles_memory_disk_fault(disk, STORE_FAULT_FULL);
    add(300);
    wait_for(0, 2);
    assert_int_equal(told.failure.code, E_UNAVAILABLE);
    assert_int_equal(last_stored(), 0);
    assert_int_equal(integrator_stored(integrator), 0);
    add(300); /* is taken in the meantime */
    tiles_memory_disk_fault(disk, STORE_FAULT_NONE);
    wait_for(600, 2);
    check_durable();
}

static void integrator_stops_while_it_cannot_write(void **state)
{
    (void)state;
    tiles_memory_disk_fault(disk, STORE_FAULT_FULL);
    add(300);
    wait_for(0, 1);
    add(300);
    integrator_stop(integrator);
    integrator = NULL;
    assert_int_equal(last_stored(), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(integrator_tells_what_is_durable),
        CASE(integrator_tells_of_commits_that_fill_nothing),
        CASE(integrator_takes_all_that_came_together),
        CASE(integrator_finishes_before_it_stops),
        CASE(integrator_goes_on_after_a_restart),
        CASE(integrator_tries_a_failed_write_again),
        CASE(integrator_writes_again_after_a_failed_sync),
        CASE(integrator_waits_for_room),
        CASE(integrator_stops_while_it_cannot_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
