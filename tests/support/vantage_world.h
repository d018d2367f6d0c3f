/* vantage_world.h -- logs that a vantage is asked about, and memories that count what they are handed: for tests
 * of vantages, with cmocka.
 *
 * Stands in for note_memory.c and compare.c. The including file has cmocka's headers before it.
 */
#ifndef SUPPORT_VANTAGE_WORLD_H
#define SUPPORT_VANTAGE_WORLD_H

#include "base/alloc.h"
#include "monitor/vantage.h"
#include "tests/support/tree_log.h"
#include "tlog/promise.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum {
    WORLD_LOGS = 3,
    WORLD_WAIT_MS = 15 * 1000
};

/* What the real one would say is the test's to choose; whose the notes are is looked at. */
struct note_memory {
    struct watched_log *watched;
    atomic_int calls;   /* notes signed by the log */
    atomic_int strange; /* that were not */
    atomic_int promises;
    _Atomic(enum compare_result) result;
    _Atomic(enum err_code) failure; /* E_OK: none */
    atomic_int open;                /* items of a promise */
    atomic_ullong last_size;
    char vantage[LOG_ADDRESS_MAX];
};

struct vantage_world {
    struct tree_log logs[WORLD_LOGS];
    struct policy *policies[WORLD_LOGS];
    struct note_memory memories[WORLD_LOGS];
    struct vantage_log watched[WORLD_LOGS];
    struct signer key, promise_keys[WORLD_LOGS];
};

/* So that what stands for the real one here finds the memory: one world at a time. */
static struct vantage_world *the_world;

bool note_memory_contradiction(struct note_memory *memory, struct buf *note)
{
    (void)memory;
    (void)note;
    return false;
}

enum err_code note_memory_on_note(struct note_memory *memory, const char *vantage, struct span note,
                                  const struct monitor_time *now, struct compare_outcome *out,
                                  struct err *err)
{
    struct checkpoint checkpoint;
    const struct watched_log_options *options = watched_log_options(memory->watched);
    assert_true(now->unix_s > 0);
    enum err_code rc = checkpoint_open(&checkpoint, note, &options->log->vkey,
                                       watched_log_origin(memory->watched), err);
    if (rc != E_OK) {
        memory->strange++;
        return rc;
    }
    snprintf(memory->vantage, sizeof memory->vantage, "%s", vantage);
    memory->last_size = checkpoint.size;
    memory->calls++;
    if (memory->failure != E_OK) {
        return err_set(err, memory->failure, "the store fails");
    }
    *out = (struct compare_outcome){ .result = memory->result, .checkpoint = checkpoint };
    return E_OK;
}

enum err_code compare_promise(struct watched_log *log, const char *from, struct span note,
                              const struct monitor_time *now, struct compare_promise_outcome *out,
                              struct err *err)
{
    (void)from;
    assert_true(now->unix_s > 0);
    for (size_t i = 0; i < WORLD_LOGS; i++) {
        struct note_memory *memory = &the_world->memories[i];
        if (memory->watched == log) {
            struct promise *promise = NEW(struct promise);
            enum err_code rc = promise_open(promise, note, &the_world->promise_keys[i].vkey, err);
            mem_free(promise);
            memory->promises += rc == E_OK;
            memory->strange += rc != E_OK;
            *out = (struct compare_promise_outcome){ .open = (size_t)memory->open };
            return rc;
        }
    }
    return err_set(err, E_NOT_FOUND, "no such log");
}

static inline void world_open(struct vantage_world *world)
{
    *world =
        (struct vantage_world){ .key = keys_signer("monitor.example", SIGNATURE_ED25519, "m") };
    the_world = world;
    for (size_t i = 0; i < WORLD_LOGS; i++) {
        char origin[32], name[48];
        struct buf text = BUF_INIT(1024);
        struct err err;
        snprintf(origin, sizeof origin, "log%zu.example", i);
        snprintf(name, sizeof name, "%s/promise", origin);
        world->logs[i] = tree_log_make(origin, origin);
        world->promise_keys[i] = keys_signer(name, SIGNATURE_ED25519, name);
        for (uint64_t leaf = 0; leaf < 10; leaf++) {
            tree_log_add(&world->logs[i], leaf);
        }
        buf_put_str(&text, "log ");
        vkey_put(&text, &world->logs[i].signer.vkey);
        buf_put_str(&text, "\nquorum none\n");
        assert_int_equal(policy_parse(&world->policies[i], buf_span(&text), &err), E_OK);
        buf_clear(&text);
        const struct watched_log_options options = {
            .policy = world->policies[i],
            .log = policy_log_at(world->policies[i], 0),
        };
        world->watched[i].log = watched_log_new(&options);
        world->watched[i].memory = &world->memories[i];
        world->memories[i].watched = world->watched[i].log;
    }
}

static inline void world_close(struct vantage_world *world)
{
    for (size_t i = 0; i < WORLD_LOGS; i++) {
        watched_log_free(world->watched[i].log);
        policy_free(world->policies[i]);
        signer_clear(&world->logs[i].signer);
        signer_clear(&world->promise_keys[i]);
    }
    signer_clear(&world->key);
}

/* Appends log number `i`'s note of that size. */
static inline void world_put_note(struct buf *out, const struct vantage_world *world, size_t i,
                                  uint64_t size)
{
    struct hash root = tree_log_root(&world->logs[i], size);
    tree_log_put_note(out, &world->logs[i], size, &root);
}

/* Appends a promise of it. */
static inline void world_put_promise(struct buf *out, const struct vantage_world *world, size_t i)
{
    struct buf text = BUF_INIT(PROMISE_TEXT_MAX);
    const struct promise_item item = { .index = 3, .leaf = world->logs[i].leaves[3] };
    promise_put_text(&text, world->logs[i].signer.vkey.name, &item, 1);
    keys_put_signed(out, buf_span(&text), &world->promise_keys[i], 0);
    buf_clear(&text);
}

/* The tree of log `i` is verified up to that size. */
static inline void world_hold(struct vantage_world *world, size_t i, uint64_t size)
{
    struct held_tree held = { .is_there = true, .verified_s = 1 };
    buf_init(&held.note, NOTE_BYTES_MAX);
    held.range.size = size;
    held.root = tree_log_root(&world->logs[i], size);
    world_put_note(&held.note, world, i, size);
    watched_log_hold(world->watched[i].log, &held);
}

/* `text` outlives the vantage. */
static inline struct vantage *world_start(struct vantage_world *world, const char *text,
                                          uint64_t poll_ms)
{
    struct vantage_options options = { .text = text,
                                       .logs = world->watched,
                                       .log_count = WORLD_LOGS,
                                       .key = &world->key,
                                       .poll_ms = poll_ms };
    struct err err;
    assert_int_equal(log_address_parse(&options.address, text, &err), E_OK);
    return vantage_start(&options);
}

static inline struct vantage_status world_status(struct vantage *vantage)
{
    struct vantage_status status;
    vantage_read_status(vantage, &status);
    return status;
}

/* Waits until `condition` holds; the test fails if it never does. */
#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        int waited_ms = 0;                                                                         \
        while (!(condition) && waited_ms < WORLD_WAIT_MS) {                                        \
            usleep(5000);                                                                          \
            waited_ms += 5;                                                                        \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

#endif
