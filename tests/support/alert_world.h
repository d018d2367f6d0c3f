/* alert_world.h -- an alert book over a disk in memory that counts its writes, fails when told to, and can be
 * copied at each write: for tests of the book, with cmocka.
 *
 * The including file has cmocka's headers before it. The disk is safe from any thread.
 */
#ifndef SUPPORT_ALERT_WORLD_H
#define SUPPORT_ALERT_WORLD_H

#include "base/alloc.h"
#include "monitor/alert_record.h"
#include "tests/support/keys.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

/* The store's handle: passes everything on to the disk, which outlives it. */
struct alert_disk {
    struct kv base;
    struct kv *kv; /* owned */
    atomic_size_t writes, synced;
    size_t fail_at; /* this write fails, counted from 1; 0: none does */
    bool is_applied;
    void *ctx;
    void (*on_write)(void *ctx, const struct kv *kv, bool is_after); /* or NULL */
};

struct alert_world {
    struct alert_disk disk;
    struct state_store *store;
    struct signer key;
    struct alert_book_options options;
    struct alert_book *book;
    atomic_size_t changes;
};

static inline enum err_code alert_disk_get(struct kv *kv, struct span key, struct buf *out,
                                           struct err *err)
{
    return kv_get(((struct alert_disk *)kv)->kv, key, out, err);
}

static inline enum err_code alert_disk_write(struct kv *kv, const struct kv_batch *batch,
                                             bool is_synced, struct err *err)
{
    struct alert_disk *disk = (struct alert_disk *)kv;
    size_t count = ++disk->writes;
    disk->synced += is_synced ? 1 : 0;
    if (disk->on_write != NULL) {
        disk->on_write(disk->ctx, disk->kv, false);
    }
    if (count == disk->fail_at) {
        kv_memory_fail(disk->kv, 1, disk->is_applied);
    }
    enum err_code rc = kv_write(disk->kv, batch, err);
    if (disk->on_write != NULL) {
        disk->on_write(disk->ctx, disk->kv, true);
    }
    return rc;
}

static inline enum err_code alert_disk_scan(struct kv *kv, struct span prefix,
                                            enum err_code (*on_item)(void *ctx, struct span key,
                                                                     struct span value,
                                                                     struct err *err),
                                            void *ctx, struct err *err)
{
    return kv_scan(((struct alert_disk *)kv)->kv, prefix, on_item, ctx, err);
}

static inline void alert_disk_close(struct kv *kv)
{
    (void)kv;
}

static const struct kv_ops alert_disk_ops = { alert_disk_get, alert_disk_write, alert_disk_scan,
                                              alert_disk_close };

static inline void alert_world_on_change(void *ctx)
{
    ((struct alert_world *)ctx)->changes++;
}

static inline void alert_world_open(struct alert_world *world)
{
    struct err err;
    world->store = state_store_new(&world->disk.base, NULL, NULL);
    world->options.store = world->store;
    assert_int_equal(alert_book_open(&world->book, &world->options, &err), E_OK);
}

/* `kv` is taken. The sinks are "webhook 0", "alertmanager 1", "webhook 2", ... */
static inline struct alert_world *alert_world_new_on(struct kv *kv, size_t sink_count)
{
    static const char *const names[] = { "webhook 0", "alertmanager 1", "webhook 2", "webhook 3" };
    struct alert_world *world = NEW(struct alert_world);
    world->disk.base.ops = &alert_disk_ops;
    world->disk.kv = kv;
    world->key = keys_signer("monitor.example.org", SIGNATURE_ED25519, "the monitor");
    world->options = (struct alert_book_options){ .key = &world->key,
                                                  .sink_count = sink_count,
                                                  .ctx = world,
                                                  .on_change = alert_world_on_change };
    assert_true(sink_count <= sizeof names / sizeof names[0]);
    for (size_t i = 0; i < sink_count; i++) {
        world->options.sinks[i] = names[i];
    }
    alert_world_open(world);
    return world;
}

static inline struct alert_world *alert_world_new(size_t sink_count)
{
    return alert_world_new_on(kv_memory_new(), sink_count);
}

/* As after kill -9: what was written is there, what was in memory is not. */
static inline void alert_world_crash(struct alert_world *world)
{
    struct kv *kv = kv_memory_copy(world->disk.kv);
    alert_book_close(world->book); /* writes to the old disk, which nobody reads again */
    state_store_free(world->store);
    kv_close(world->disk.kv);
    world->disk.kv = kv;
    alert_world_open(world);
}

static inline void alert_world_restart(struct alert_world *world)
{
    alert_book_close(world->book);
    state_store_free(world->store);
    alert_world_open(world);
}

static inline void alert_world_free(struct alert_world *world)
{
    alert_book_close(world->book);
    state_store_free(world->store);
    kv_close(world->disk.kv);
    signer_clear(&world->key);
    mem_free(world);
}

static inline struct finding alert_finding(enum finding_code code, const char *origin,
                                           const char *subject, const char *summary)
{
    struct finding finding = { .code = code, .origin = origin };
    snprintf(finding.subject, sizeof finding.subject, "%s", subject);
    snprintf(finding.summary, sizeof finding.summary, "%s", summary);
    return finding;
}

/* Raises, and expects that it succeeds. */
static inline struct alert alert_raise(struct alert_world *world, const struct finding *finding,
                                       int64_t now_s)
{
    char id[ALERT_ID_CHARS + 1];
    struct alert alert;
    struct err err;
    assert_int_equal(alert_book_raise(world->book, finding, now_s, id, &err), E_OK);
    assert_int_equal(alert_book_get(world->book, id, &alert, &err), E_OK);
    assert_string_equal(alert.id, id);
    return alert;
}

static inline void alert_clear(struct alert_world *world, enum finding_code code,
                               const char *origin, const char *subject, int64_t now_s)
{
    struct err err;
    struct finding_sink sink = alert_book_sink(world->book);
    assert_int_equal(sink.clear(sink.ctx, code, origin, subject, now_s, &err), E_OK);
}

/* The next delivery is there, and was taken. */
static inline struct delivery alert_deliver(struct alert_world *world, size_t sink, int64_t now_s)
{
    struct delivery delivery;
    uint64_t wait_ms;
    struct err err;
    assert_true(alert_book_next(world->book, sink, now_s, UINT64_C(1) << 40, &delivery, &wait_ms));
    assert_int_equal(alert_book_delivered(world->book, sink, &delivery, &err), E_OK);
    return delivery;
}

static inline bool alert_is_waiting(struct alert_world *world, size_t sink, int64_t now_s)
{
    struct delivery delivery;
    uint64_t wait_ms;
    return alert_book_next(world->book, sink, now_s, UINT64_C(1) << 40, &delivery, &wait_ms);
}

static inline void alert_deliver_all(struct alert_world *world, size_t sink, int64_t now_s)
{
    while (alert_is_waiting(world, sink, now_s)) {
        alert_deliver(world, sink, now_s);
    }
}

static inline size_t alert_count(struct alert_world *world, bool with_resolved)
{
    struct alert *alerts;
    size_t count = alert_book_list(world->book, with_resolved, SIZE_MAX, &alerts);
    mem_free(alerts);
    return count;
}

static inline size_t alert_queue_length(struct alert_world *world, size_t sink)
{
    struct alert_queue_status status;
    alert_book_queue(world->book, sink, &status);
    return status.waiting;
}

static inline enum err_code alert_count_item(void *ctx, struct span key, struct span value,
                                             struct err *err)
{
    (void)key;
    (void)value;
    (void)err;
    ++*(size_t *)ctx;
    return E_OK;
}

/* How many keys of the store start so. */
static inline size_t alert_keys(struct alert_world *world, const char *prefix)
{
    size_t count = 0;
    struct err err;
    assert_int_equal(kv_scan(world->disk.kv, span_of_str(prefix), alert_count_item, &count, &err),
                     E_OK);
    return count;
}

#endif
