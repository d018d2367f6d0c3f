/* follow_world.h -- compare_world.h with a follower: one log, times of our own, a store that can crash.
 *
 * The store dies at a write that is told beforehand, as kill -9 does: that write is all there or not, and nothing
 * after it. What was raised is not in the store, and stays.
 * One thread. Free with follow_world_free.
 */
#ifndef SUPPORT_FOLLOW_WORLD_H
#define SUPPORT_FOLLOW_WORLD_H

#include "monitor/follow.h"
#include "store/tiles_memory.h"
#include "tests/support/compare_world.h"

/* A kv in front of one in memory. */
struct dying_kv {
    struct kv base;
    struct kv *inner; /* owned */
    uint64_t writes;
    uint64_t dies_at; /* number of the write, from 1; 0: never */
    bool is_applied;  /* the last one takes effect */
};

struct follow_world {
    struct compare_world *base;
    struct dying_kv *disk; /* of the store */
    struct note_memory *memory;
    struct tiles_memory_disk *archive_disk;
    struct tiles *archive;
    struct span trusted;
    const struct record_options *records; /* or NULL */
    const atomic_bool *is_stopping;
    struct monitor_time (*now)(void *ctx);
    void *now_ctx;
    struct follow *follow;
    struct err err; /* of the last step */
};

/* -- the store -- */

static inline enum err_code dying_kv_get(struct kv *kv, struct span key, struct buf *out,
                                         struct err *err)
{
    return kv_get(((struct dying_kv *)kv)->inner, key, out, err);
}

static inline enum err_code dying_kv_write(struct kv *kv, const struct kv_batch *batch,
                                           bool is_synced, struct err *err)
{
    struct dying_kv *dying = (struct dying_kv *)kv;
    bool is_dead = dying->dies_at != 0 && ++dying->writes >= dying->dies_at;
    dying->writes += dying->dies_at == 0 ? 1 : 0;
    if (is_dead && (dying->writes > dying->dies_at || !dying->is_applied)) {
        return err_set(err, E_IO, "the store is dead");
    }
    enum err_code rc =
        is_synced ? kv_write_synced(dying->inner, batch, err) : kv_write(dying->inner, batch, err);
    return is_dead ? err_set(err, E_IO, "the store dies") : rc;
}

static inline enum err_code dying_kv_scan(struct kv *kv, struct span prefix,
                                          enum err_code (*on_item)(void *ctx, struct span key,
                                                                   struct span value,
                                                                   struct err *err),
                                          void *ctx, struct err *err)
{
    return kv_scan(((struct dying_kv *)kv)->inner, prefix, on_item, ctx, err);
}

static inline void dying_kv_close(struct kv *kv)
{
    kv_close(((struct dying_kv *)kv)->inner);
    mem_free(kv);
}

/* Takes `inner`. */
static inline struct dying_kv *dying_kv_new(struct kv *inner)
{
    static const struct kv_ops ops = { dying_kv_get, dying_kv_write, dying_kv_scan,
                                       dying_kv_close };
    struct dying_kv *dying = NEW(struct dying_kv);
    dying->base.ops = &ops;
    dying->inner = inner;
    return dying;
}

/* -- starting, stopping, dying -- */

static inline enum err_code follow_world_try_open(struct follow_world *world)
{
    struct compare_world *base = world->base;
    base->options.store = base->store;
    base->log = watched_log_new(&base->options);
    enum err_code rc = note_memory_open(&world->memory, base->log, &world->err);
    struct follow_options options = { .log = base->log,
                                      .memory = world->memory,
                                      .archive = world->archive,
                                      .scan_threads = 1,
                                      .is_stopping = world->is_stopping,
                                      .trusted = world->trusted,
                                      .records = world->records,
                                      .now = world->now,
                                      .ctx = world->now_ctx };
    return rc == E_OK ? follow_open(&world->follow, &options, &world->err) : rc;
}

static inline void follow_world_open(struct follow_world *world)
{
    if (follow_world_try_open(world) != E_OK) {
        fprintf(stderr, "opening: %s\n", world->err.msg);
        abort();
    }
}

static inline void follow_world_close(struct follow_world *world)
{
    follow_close(world->follow);
    note_memory_free(world->memory);
    watched_log_free(world->base->log);
    world->follow = NULL;
    world->memory = NULL;
    world->base->log = NULL;
}

/* The process is gone; what the store has is there for the next one. */
static inline void follow_world_crash(struct follow_world *world)
{
    struct kv *left = kv_memory_copy(world->disk->inner);
    follow_world_close(world);
    state_store_free(world->base->store);
    world->disk = dying_kv_new(left);
    world->base->store = state_store_new(&world->disk->base, NULL, NULL);
}

static inline void follow_world_restart(struct follow_world *world)
{
    follow_world_crash(world);
    follow_world_open(world);
}

/* Not opened yet: its thresholds and sources may be changed before follow_world_open. */
static inline struct follow_world *follow_world_new(const char *quorum)
{
    struct follow_world *world = NEW(struct follow_world);
    world->base = compare_world_new(quorum);
    watched_log_free(world->base->log);
    world->base->log = NULL;
    state_store_free(world->base->store);
    world->disk = dying_kv_new(kv_memory_new());
    world->base->store = state_store_new(&world->disk->base, NULL, NULL);
    world->base->options.thresholds.growth_per_hour_max = 0;
    world->archive_disk = tiles_memory_disk_new();
    world->archive = tiles_memory_open(world->archive_disk);
    return world;
}

static inline void follow_world_free(struct follow_world *world)
{
    follow_world_close(world);
    tiles_close(world->archive);
    tiles_memory_disk_free(world->archive_disk);
    compare_world_free(world->base);
    mem_free(world);
}

/* -- the log -- */

/* The note of `tree` at `size`, cosigned now by all. */
static inline struct buf follow_world_note(struct follow_world *world, struct memory_log *tree,
                                           uint64_t size)
{
    uint64_t now_s = (uint64_t)world->base->now.unix_s;
    const uint64_t times[COMPARE_WORLD_WITNESSES] = { now_s, now_s, now_s };
    return compare_world_note(world->base, tree, size, times);
}

static inline void follow_world_serve_note(struct follow_world *world, uint64_t size,
                                           struct buf *note)
{
    memory_log_publish_note(world->base->honest, size, buf_span(note));
    buf_clear(note);
}

/* The log is honest, and has published `size`. */
static inline void follow_world_serve(struct follow_world *world, uint64_t size)
{
    if (memory_log_size(world->base->honest) < size) {
        memory_log_grow(world->base->honest, size);
    }
    struct buf note = follow_world_note(world, world->base->honest, size);
    follow_world_serve_note(world, size, &note);
}

/* -- steps -- */

static inline enum err_code follow_world_try_step(struct follow_world *world)
{
    return follow_step(world->follow, &world->base->now, &world->err);
}

static inline void follow_world_step(struct follow_world *world)
{
    if (follow_world_try_step(world) != E_OK) {
        fprintf(stderr, "step: %s\n", world->err.msg);
        abort();
    }
}

static inline void follow_world_step_after(struct follow_world *world, uint64_t seconds)
{
    compare_world_pass(world->base, seconds);
    follow_world_step(world);
}

/* UINT64_MAX: nothing. Whatever is held is what the log has. */
static inline uint64_t follow_world_held(struct follow_world *world)
{
    struct held_tree held;
    watched_log_held(world->base->log, &held);
    uint64_t size = held.is_there ? held.range.size : UINT64_MAX;
    if (held.is_there) {
        struct hash root = memory_log_root(world->base->honest, size);
        assert(hash_is_equal(&root, &held.root));
    }
    held_tree_clear(&held);
    return size;
}

/* Raised, and not cleared since. */
static inline bool follow_world_is_open(const struct follow_world *world, enum finding_code code,
                                        const char *subject)
{
    bool is_open = false;
    for (size_t i = 0; i < world->base->call_count; i++) {
        const struct world_call *call = &world->base->calls[i];
        if (call->code == code && strcmp(call->subject, subject) == 0) {
            is_open = !call->is_clear;
        }
    }
    return is_open;
}

/* Causes that are open. */
static inline size_t follow_world_open_count(const struct follow_world *world)
{
    size_t count = 0;
    for (size_t i = 0; i < world->base->call_count; i++) {
        const struct world_call *call = &world->base->calls[i];
        bool is_last = true;
        for (size_t j = i + 1; j < world->base->call_count; j++) {
            is_last = is_last && (world->base->calls[j].code != call->code ||
                                  strcmp(world->base->calls[j].subject, call->subject) != 0);
        }
        count += is_last && !call->is_clear ? 1 : 0;
    }
    return count;
}

#endif
