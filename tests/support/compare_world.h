/* compare_world.h -- one watched log for tests: its policy, its tree and a forked one, what was raised.
 *
 * The trees are equal below COMPARE_WORLD_PARTED entries and differ from there on; both are signed by the log's key.
 * One thread. Free with compare_world_free.
 */
#ifndef SUPPORT_COMPARE_WORLD_H
#define SUPPORT_COMPARE_WORLD_H

#include "base/alloc.h"
#include "evidence/evidence.h"
#include "monitor/watched_log.h"
#include "tests/support/keys.h"
#include "tests/support/memory_log.h"
#include "tlog/promise.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    COMPARE_WORLD_WITNESSES = 3,
    COMPARE_WORLD_PARTED = 20,
    COMPARE_WORLD_SIZE = 64,
    COMPARE_WORLD_RAISED_MAX = 512,
    COMPARE_WORLD_NOTE_MAX = 256 * 1024,
    COMPARE_WORLD_NOW = 1800000000,
};

#define COMPARE_WORLD_ORIGIN "log.example"

/* A call of the sink. */
struct world_call {
    bool is_clear;
    enum finding_code code;
    char subject[FINDING_SUBJECT_MAX];
    char summary[FINDING_SUMMARY_MAX];
    struct hash evidence_id; /* of its bytes */
};

struct compare_world {
    struct signer log_key, promise_key, other_key, witnesses[COMPARE_WORLD_WITNESSES];
    struct policy *policy;
    struct memory_log *honest, *forked;
    struct kv *kv; /* of the store */
    struct state_store *store;
    struct watched_log_options options;
    struct watched_log *log;
    struct monitor_time now;
    size_t call_count;
    struct world_call calls[COMPARE_WORLD_RAISED_MAX];
    struct buf evidence;  /* of the last provable finding */
    bool is_sink_failing; /* raise and clear answer E_IO */
};

/* -- the sink: whatever is provable must convince, or the test ends here -- */

static inline void compare_world_judge(struct compare_world *world, struct span file)
{
    const struct vkey *keys[COMPARE_WORLD_WITNESSES + 2] = { &world->log_key.vkey,
                                                             &world->promise_key.vkey };
    struct evidence evidence;
    struct evidence_verdict verdict;
    struct err err;
    for (size_t i = 0; i < COMPARE_WORLD_WITNESSES; i++) {
        keys[2 + i] = &world->witnesses[i].vkey;
    }
    enum err_code rc = evidence_parse(&evidence, file, &err);
    if (rc == E_OK) {
        rc = evidence_verify(&evidence, keys, COMPARE_WORLD_WITNESSES + 2, &verdict, &err);
    }
    if (rc != E_OK) {
        fprintf(stderr, "evidence was raised that does not verify: %s\n", err.msg);
        abort();
    }
    buf_reset(&world->evidence);
    buf_put(&world->evidence, file);
}

static inline struct world_call *compare_world_call(struct compare_world *world,
                                                    enum finding_code code, const char *subject)
{
    assert(world->call_count < COMPARE_WORLD_RAISED_MAX);
    struct world_call *call = &world->calls[world->call_count++];
    *call = (struct world_call){ .code = code };
    snprintf(call->subject, sizeof call->subject, "%s", subject);
    return call;
}

static inline enum err_code compare_world_raise(void *ctx, const struct finding *finding,
                                                int64_t now_s, struct err *err)
{
    struct compare_world *world = ctx;
    (void)now_s;
    if (world->is_sink_failing) {
        return err_set(err, E_IO, "the sink was made to fail");
    }
    assert(strcmp(finding->origin, COMPARE_WORLD_ORIGIN) == 0);
    struct world_call *call = compare_world_call(world, finding->code, finding->subject);
    snprintf(call->summary, sizeof call->summary, "%s", finding->summary);
    call->evidence_id = sha256(finding->evidence);
    if (finding_kind(finding->code)->is_provable) {
        compare_world_judge(world, finding->evidence);
    }
    return E_OK;
}

static inline enum err_code compare_world_clear(void *ctx, enum finding_code code,
                                                const char *origin, const char *subject,
                                                int64_t now_s, struct err *err)
{
    struct compare_world *world = ctx;
    (void)now_s;
    if (world->is_sink_failing) {
        return err_set(err, E_IO, "the sink was made to fail");
    }
    assert(strcmp(origin, COMPARE_WORLD_ORIGIN) == 0);
    compare_world_call(world, code, subject)->is_clear = true;
    return E_OK;
}

/* Times this was raised (or cleared); `subject` may be NULL for any. */
static inline size_t compare_world_count(const struct compare_world *world, enum finding_code code,
                                         const char *subject, bool is_clear)
{
    size_t count = 0;
    for (size_t i = 0; i < world->call_count; i++) {
        const struct world_call *call = &world->calls[i];
        count += call->code == code && call->is_clear == is_clear &&
                 (subject == NULL || strcmp(subject, call->subject) == 0);
    }
    return count;
}

static inline size_t compare_world_raised(const struct compare_world *world)
{
    size_t count = 0;
    for (size_t i = 0; i < world->call_count; i++) {
        count += world->calls[i].is_clear ? 0 : 1;
    }
    return count;
}

/* -- setting up -- */

static inline void compare_world_put_line(struct buf *out, const char *head,
                                          const struct signer *signer)
{
    buf_put_str(out, head);
    vkey_put(out, &signer->vkey);
    buf_put_u8(out, '\n');
}

static inline void compare_world_make_policy(struct compare_world *world, const char *quorum)
{
    struct buf text = BUF_INIT(16 * 1024);
    struct err err;
    compare_world_put_line(&text, "log ", &world->log_key);
    compare_world_put_line(&text, "log ", &world->promise_key);
    compare_world_put_line(&text, "log ", &world->other_key);
    for (size_t i = 0; i < COMPARE_WORLD_WITNESSES; i++) {
        char head[32];
        snprintf(head, sizeof head, "witness w%zu ", i);
        compare_world_put_line(&text, head, &world->witnesses[i]);
    }
    buf_put_str(&text, quorum);
    enum err_code rc = policy_parse(&world->policy, buf_span(&text), &err);
    if (rc != E_OK) {
        fprintf(stderr, "%s\n", err.msg);
    }
    assert(rc == E_OK);
    (void)rc;
    buf_clear(&text);
}

static inline void compare_world_open_log(struct compare_world *world)
{
    world->log = watched_log_new(&world->options);
}

static inline struct compare_world *compare_world_new(const char *quorum)
{
    struct compare_world *world = NEW(struct compare_world);
    world->log_key = keys_signer(COMPARE_WORLD_ORIGIN, SIGNATURE_ED25519, "log");
    world->promise_key = keys_signer(COMPARE_WORLD_ORIGIN "/promise", SIGNATURE_ED25519, "promise");
    world->other_key = keys_signer("other.example", SIGNATURE_ED25519, "other");
    for (size_t i = 0; i < COMPARE_WORLD_WITNESSES; i++) {
        char name[32];
        snprintf(name, sizeof name, "w%zu.example", i);
        world->witnesses[i] = keys_signer(name, SIGNATURE_COSIGNATURE, name);
    }
    compare_world_make_policy(world, quorum);
    world->honest =
        memory_log_new(&(struct memory_log_options){ .seed = 1, .signer = &world->log_key });
    memory_log_grow_published(world->honest, COMPARE_WORLD_SIZE);
    world->forked =
        memory_log_fork(world->honest, COMPARE_WORLD_PARTED,
                        &(struct memory_log_options){ .seed = 2, .signer = &world->log_key });
    memory_log_grow(world->forked, COMPARE_WORLD_SIZE);
    world->kv = kv_memory_new();
    world->store = state_store_new(world->kv, NULL, NULL);
    world->now = (struct monitor_time){ COMPARE_WORLD_NOW, 1000000 };
    buf_init(&world->evidence, EVIDENCE_BYTES_MAX);
    world->options = (struct watched_log_options){
        .policy = world->policy,
        .log = policy_log_by_origin(world->policy, COMPARE_WORLD_ORIGIN),
        .promise_key = policy_promise_key(world->policy, COMPARE_WORLD_ORIGIN),
        .thresholds = { .stalled_after_s = 600,
                        .witness_missing_after_s = 600,
                        .withheld_after_s = 300,
                        .unreachable_after_s = 300,
                        .future_tolerance_s = 60 },
        .sources = { { world->honest, memory_log_open_source } },
        .source_count = 1,
        .store = world->store,
        .sink = { world, compare_world_raise, compare_world_clear },
    };
    compare_world_open_log(world);
    return world;
}

static inline void compare_world_free(struct compare_world *world)
{
    watched_log_free(world->log);
    state_store_free(world->store);
    policy_free(world->policy);
    memory_log_free(world->honest);
    memory_log_free(world->forked);
    signer_clear(&world->log_key);
    signer_clear(&world->promise_key);
    signer_clear(&world->other_key);
    for (size_t i = 0; i < COMPARE_WORLD_WITNESSES; i++) {
        signer_clear(&world->witnesses[i]);
    }
    buf_clear(&world->evidence);
    mem_free(world);
}

/* -- notes -- */

static inline void compare_world_pass(struct compare_world *world, uint64_t seconds)
{
    world->now.unix_s += (int64_t)seconds;
    world->now.monotonic_ms += 1000 * seconds;
}

/* The text of `tree` at `size`, signed by `key`, and by the witnesses whose time is not 0. */
static inline struct buf compare_world_sign(struct compare_world *world, struct memory_log *tree,
                                            uint64_t size, const struct signer *key,
                                            const uint64_t times[COMPARE_WORLD_WITNESSES])
{
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX), note = BUF_INIT(COMPARE_WORLD_NOTE_MAX);
    memory_log_put_text(tree, size, &text);
    keys_put_signed(&note, buf_span(&text), key, 0);
    for (size_t i = 0; times != NULL && i < COMPARE_WORLD_WITNESSES; i++) {
        if (times[i] > 0) {
            keys_put_signature(&note, buf_span(&text), &world->witnesses[i], times[i]);
        }
    }
    buf_clear(&text);
    return note;
}

static inline struct buf compare_world_note(struct compare_world *world, struct memory_log *tree,
                                            uint64_t size,
                                            const uint64_t times[COMPARE_WORLD_WITNESSES])
{
    return compare_world_sign(world, tree, size, &world->log_key, times);
}

/* What the log has of it is verified up to `size`. */
static inline void compare_world_hold(struct compare_world *world, uint64_t size,
                                      const uint64_t times[COMPARE_WORLD_WITNESSES])
{
    struct held_tree held = { .is_there = true,
                              .range = memory_log_range(world->honest, size),
                              .root = memory_log_root(world->honest, size),
                              .note = compare_world_note(world, world->honest, size, times),
                              .verified_s = world->now.unix_s };
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    buf_put(&note, buf_span(&held.note));
    buf_clear(&held.note);
    held.note = note;
    memory_log_publish(world->honest, size);
    watched_log_hold(world->log, &held);
}

#endif
