/* witness_world.h -- the core of a witness for tests: everything below the surfaces, with its threads,
 * over a store in memory whose writes can be held up, made to fail, or be the last before a crash.
 *
 * Failures end the test program. world_submit: any thread; the rest: the test's thread.
 */
#ifndef SUPPORT_WITNESS_WORLD_H
#define SUPPORT_WITNESS_WORLD_H

#include "base/alloc.h"
#include "tests/support/files.h"
#include "tests/support/tree_log.h"
#include "witness/cosigner.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    WORLD_WORKERS = 4,
    WORLD_ANSWER_BYTES = 4096
};

enum world_fault {
    WORLD_FINE,
    WORLD_FAIL_BEFORE, /* the write fails and has done nothing */
    WORLD_FAIL_AFTER,  /* it fails, and has taken effect */
    WORLD_CRASH_BEFORE,
    WORLD_CRASH_AFTER
};

/* A store that outlives who uses it. */
struct world_store {
    struct kv base;
    struct kv *inner;      /* owned */
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    bool is_held;
    size_t writes;
    uint64_t fault_in; /* that many writes from now on, 0 is the next; UINT64_MAX: never */
    enum world_fault fault;
    bool is_crashed; /* nothing gets through any more */
};

static inline struct world_store *world_store_of(struct kv *kv)
{
    return (struct world_store *)kv;
}

static inline enum err_code world_store_get(struct kv *kv, struct span key, struct buf *out,
                                            struct err *err)
{
    return kv_get(world_store_of(kv)->inner, key, out, err);
}

/* What happens to this write. */
static inline enum world_fault world_store_next(struct world_store *store)
{
    enum world_fault fault = WORLD_FINE;
    pthread_mutex_lock(&store->mutex);
    while (store->is_held) {
        pthread_cond_wait(&store->changed, &store->mutex);
    }
    store->writes++;
    if (store->is_crashed) {
        fault = WORLD_CRASH_BEFORE;
    } else if (store->fault_in == 0) {
        fault = store->fault;
    }
    if (store->fault_in != UINT64_MAX) {
        store->fault_in--; /* 0 becomes never */
    }
    store->is_crashed |= fault == WORLD_CRASH_BEFORE || fault == WORLD_CRASH_AFTER;
    pthread_mutex_unlock(&store->mutex);
    return fault;
}

static inline enum err_code world_store_write(struct kv *kv, const struct kv_batch *batch,
                                              bool is_synced, struct err *err)
{
    struct world_store *store = world_store_of(kv);
    enum world_fault fault = world_store_next(store);
    enum err_code rc = E_OK;
    assert(is_synced);
    if (fault == WORLD_FINE || fault == WORLD_FAIL_AFTER || fault == WORLD_CRASH_AFTER) {
        rc = kv_write_synced(store->inner, batch, err);
        assert(rc == E_OK);
    }
    return fault == WORLD_FINE ? rc : err_set(err, E_IO, "a write that was made to fail");
}

static inline enum err_code world_store_scan(struct kv *kv, struct span prefix,
                                             enum err_code (*on_item)(void *ctx, struct span key,
                                                                      struct span value,
                                                                      struct err *err),
                                             void *ctx, struct err *err)
{
    return kv_scan(world_store_of(kv)->inner, prefix, on_item, ctx, err);
}

static inline void world_store_close(struct kv *kv)
{
    (void)kv;
}

static inline struct world_store *world_store_new(void)
{
    static const struct kv_ops ops = { world_store_get, world_store_write, world_store_scan,
                                       world_store_close };
    struct world_store *store = NEW(struct world_store);
    store->base.ops = &ops;
    store->inner = kv_memory_new();
    store->fault_in = UINT64_MAX;
    pthread_mutex_init(&store->mutex, NULL);
    pthread_cond_init(&store->changed, NULL);
    return store;
}

static inline void world_store_free(struct world_store *store)
{
    kv_close(store->inner);
    pthread_cond_destroy(&store->changed);
    pthread_mutex_destroy(&store->mutex);
    mem_free(store);
}

static inline void world_store_hold(struct world_store *store, bool is_held)
{
    pthread_mutex_lock(&store->mutex);
    store->is_held = is_held;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->mutex);
}

static inline void world_store_fault(struct world_store *store, uint64_t in, enum world_fault fault)
{
    pthread_mutex_lock(&store->mutex);
    store->fault_in = in;
    store->fault = fault;
    pthread_mutex_unlock(&store->mutex);
}

static inline enum err_code world_store_reopen(void *ctx, struct kv **out, struct err *err)
{
    struct world_store *store = ctx;
    pthread_mutex_lock(&store->mutex);
    bool is_crashed = store->is_crashed;
    pthread_mutex_unlock(&store->mutex);
    if (is_crashed) {
        return err_set(err, E_IO, "crashed");
    }
    *out = &store->base;
    return E_OK;
}

/* -- the witness -- */

struct world {
    struct world_store *store; /* borrowed, as `evidence_dir` */
    const char *evidence_dir;
    struct signer keys[COSIGNER_KEYS_MAX];
    struct vkey vkeys[COSIGNER_KEYS_MAX];
    size_t key_count;
    struct budget_limits limits;

    uv_loop_t loop;
    uv_async_t stop;
    pthread_t loop_thread;
    struct work *work;
    struct log_table *logs;
    struct ledger *ledger;
    struct guard *guard;
    struct evidence_keep *evidence;
    struct budget *budget;
    struct cosigner *cosigner;
    atomic_size_t conflicts; /* calls of on_conflict */
};

static _Atomic uint64_t world_now_s = 1700000000; /* every witness's clock */

static inline uint64_t world_unix_s(void)
{
    return atomic_load(&world_now_s);
}

static inline void world_on_conflict(void *ctx, struct known_log *log)
{
    struct world *world = ctx;
    (void)log;
    atomic_fetch_add(&world->conflicts, 1);
}

static inline void world_on_added(void *ctx, struct known_log *log)
{
    struct world *world = ctx;
    struct err err;
    enum err_code rc = ledger_state(world->ledger, &log->origin_hash, &log->state, &err);
    assert(rc == E_OK);
    (void)rc;
    guard_add(world->guard, log);
    guard_on_tick(world->guard, 0);
}

static inline struct known_log *world_add_key(struct world *world, const char *origin,
                                              const struct vkey *key)
{
    struct log_list_item item = { .vkey = *key };
    struct log_list list = { .count = 1, .items = &item };
    snprintf(item.origin, sizeof item.origin, "%s", origin);
    log_table_add(world->logs, &list, false, "w.example.org", world, world_on_added);
    return log_table_find(world->logs, span_of_str(origin));
}

static inline struct known_log *world_add_log(struct world *world, const struct tree_log *log)
{
    return world_add_key(world, log->signer.vkey.name, &log->signer.vkey);
}

static inline void world_on_nothing(void *ctx)
{
    (void)ctx;
}

static inline void world_on_stop(uv_async_t *stop)
{
    struct world *world = stop->data;
    work_close(world->work, world, world_on_nothing);
    uv_close((uv_handle_t *)stop, NULL);
}

static inline void *world_run_loop(void *arg)
{
    struct world *world = arg;
    uv_run(&world->loop, UV_RUN_DEFAULT);
    return NULL;
}

static inline void world_start_cosigner(struct world *world)
{
    struct cosigner_options options = {
        .work = world->work,
        .logs = world->logs,
        .ledger = world->ledger,
        .guard = world->guard,
        .evidence = world->evidence,
        .budget = world->budget,
        .keys = world->keys,
        .key_count = world->key_count,
        .unix_s = world_unix_s,
        .ctx = world,
        .on_conflict = world_on_conflict,
    };
    world->cosigner = cosigner_new(&options);
}

/* Starts a witness "w.example.org" with `key_count` keys, of fixed seeds. `world` is zeroed, but for
 * limits, or was stopped. */
static inline void world_start(struct world *world, struct world_store *store,
                               const char *evidence_dir, size_t key_count)
{
    struct err err;
    world->store = store;
    world->evidence_dir = evidence_dir;
    world->key_count = key_count;
    for (size_t i = 0; i < key_count; i++) {
        char secret[32];
        snprintf(secret, sizeof secret, "witness key %zu", i);
        world->keys[i] = keys_signer("w.example.org", SIGNATURE_COSIGNATURE, secret);
        world->vkeys[i] = world->keys[i].vkey;
    }
    uv_loop_init(&world->loop);
    uv_async_init(&world->loop, &world->stop, world_on_stop);
    world->stop.data = world;
    world->work = work_new(&world->loop, WORLD_WORKERS);
    struct ledger_options options = { .kv = &store->base,
                                      .reopen = world_store_reopen,
                                      .ctx = store };
    world->ledger = ledger_start(&options);
    world->guard = guard_new(world->ledger, world->vkeys, key_count, 0);
    world->logs = log_table_new();
    world->budget = budget_new(&world->limits);
    if (evidence_keep_open(&world->evidence, evidence_dir, &err) != E_OK) {
        fprintf(stderr, "evidence: %s\n", err.msg);
        abort();
    }
    world_start_cosigner(world);
    pthread_create(&world->loop_thread, NULL, world_run_loop, world);
}

/* Waits for all answers. */
static inline void world_stop(struct world *world)
{
    while (cosigner_count(world->cosigner) > 0) {
        usleep(100);
    }
    uv_async_send(&world->stop);
    pthread_join(world->loop_thread, NULL);
    uv_loop_close(&world->loop);
    cosigner_free(world->cosigner);
    guard_free(world->guard);
    ledger_stop(world->ledger);
    evidence_keep_close(world->evidence);
    budget_free(world->budget);
    log_table_free(world->logs);
    for (size_t i = 0; i < world->key_count; i++) {
        signer_clear(&world->keys[i]);
    }
}

/* Until failed writes have been recovered from. */
static inline void world_settle(struct world *world)
{
    char reason[ERR_MSG_MAX];
    while (ledger_is_failing(world->ledger, reason, sizeof reason)) {
        usleep(1000);
    }
}

/* -- requests -- */

struct world_answer {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t count; /* of calls */
    enum refusal refusal;
    uint64_t stored_size;
    char lines[WORLD_ANSWER_BYTES];
    size_t lines_len;
};

static inline void world_on_answer(void *ctx, const struct cosigner_answer *answer)
{
    struct world_answer *out = ctx;
    pthread_mutex_lock(&out->mutex);
    out->count++;
    out->refusal = answer->refusal;
    out->stored_size = answer->stored_size;
    assert(answer->lines.len <= sizeof out->lines);
    assert((answer->lines.len > 0) == (answer->refusal == REFUSED_NONE));
    out->lines_len = answer->lines.len;
    if (answer->lines.len > 0) {
        memcpy(out->lines, answer->lines.data, answer->lines.len);
    }
    pthread_cond_signal(&out->changed);
    pthread_mutex_unlock(&out->mutex);
}

/* Submits and waits for the answer. */
static inline struct world_answer world_submit(struct world *world, struct span body)
{
    struct world_answer answer = { .count = 0 };
    pthread_mutex_init(&answer.mutex, NULL);
    pthread_cond_init(&answer.changed, NULL);
    cosigner_submit(world->cosigner, body, span_of_str("192.0.2.7"), &answer, world_on_answer);
    pthread_mutex_lock(&answer.mutex);
    while (answer.count == 0) {
        pthread_cond_wait(&answer.changed, &answer.mutex);
    }
    pthread_mutex_unlock(&answer.mutex);
    pthread_cond_destroy(&answer.changed);
    pthread_mutex_destroy(&answer.mutex);
    return answer;
}

/* Whether an answer's lines are cosignatures of each of our keys, and nothing else, on a checkpoint;
 * *timestamp is what they say. */
static inline bool world_is_signed(const struct world *world, struct span lines, const char *origin,
                                   uint64_t size, const struct hash *root, uint64_t *timestamp)
{
    struct checkpoint checkpoint = { .size = size, .root = *root };
    struct buf bytes = BUF_INIT(CHECKPOINT_TEXT_MAX + 1 + WORLD_ANSWER_BYTES);
    const struct vkey *keys[COSIGNER_KEYS_MAX];
    struct note_verified verified[COSIGNER_KEYS_MAX];
    struct note note;
    struct err err;
    size_t count = 0;
    for (size_t i = 0; i < world->key_count; i++) {
        keys[i] = &world->vkeys[i];
    }
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", origin);
    checkpoint_put(&bytes, &checkpoint);
    buf_put_u8(&bytes, '\n');
    buf_put(&bytes, lines);
    bool is_signed = note_parse(&note, buf_span(&bytes), &err) == E_OK;
    if (is_signed) {
        is_signed = note_verify(&note, keys, world->key_count, verified, &count, &err) == E_OK &&
                    count == world->key_count && note.count == count;
        for (size_t i = 0; i < count && is_signed; i++) {
            is_signed = verified[i].timestamp == verified[0].timestamp;
        }
        *timestamp = verified[0].timestamp;
        note_clear(&note);
    }
    buf_clear(&bytes);
    return is_signed;
}

#endif
