#include "logd/sequencer_thread.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/pulse.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    WAIT_MS = 500,
    RETRY_MS = 1000
};

struct sequencer_thread {
    struct sequencer_thread_options options;
    pthread_t thread;

    /* Told by other threads; the pool is woken after. */
    _Atomic uint64_t stored;
    _Atomic uint64_t indexed;
    atomic_bool wants_snapshot;
    atomic_bool is_blocked; /* a batch waits for what others tell: they must wake us */
    atomic_bool is_ending;  /* what waits is refused */
    atomic_bool is_stopping;
    pthread_mutex_t mutex; /* guards the two below */
    bool has_store_failed;
    struct err store_err;

    /* Sequencer thread only. */
    uint64_t stored_seen;
    uint64_t indexed_seen;
    uint64_t retried_ms;
    bool has_ended;

    /* Written by the sequencer thread, read by any. */
    _Atomic uint64_t durable_size;
    struct pulse pulse;
    _Atomic uint64_t entries_logged;
    _Atomic uint64_t bytes_logged;
    _Atomic uint64_t duplicates;
    _Atomic uint64_t conflicts;
    _Atomic uint64_t commits;
    _Atomic uint64_t journal_bytes_written;
};

void snapshot_free(struct snapshot *snapshot)
{
    if (snapshot != NULL) {
        edge_clear(&snapshot->edge);
        mem_free(snapshot);
    }
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* -- Performing actions -- */

/* A hit in the index is one only if the whole hash stands there. */
static enum err_code look_up_leaf(struct sequencer_thread *t, const struct hash *leaf,
                                  uint64_t *hit, struct err *err)
{
    uint64_t index;
    *hit = SEQUENCER_NO_HIT;
    enum err_code rc = indexer_find(t->options.indexer, leaf, &index, err);
    if (rc == E_NOT_FOUND || (rc == E_OK && index >= t->stored_seen / TILE_WIDTH * TILE_WIDTH)) {
        return E_OK; /* beyond the tiles it is among the sequencer's recent ones */
    }
    struct hash there;
    if (rc == E_OK) {
        rc = tile_cache_stored_leaf(t->options.tiles, index, &there, err);
    }
    if (rc != E_OK) {
        return err_set(err, E_UNAVAILABLE, "looking for duplicates: %s", err->msg);
    }
    if (hash_is_equal(&there, leaf)) {
        *hit = index;
    }
    return E_OK;
}

/* The whole tag is the key: a hit is one. */
static enum err_code look_up_tag(struct sequencer_thread *t, const struct hash *tag, uint64_t *hit,
                                 struct err *err)
{
    *hit = SEQUENCER_NO_HIT;
    enum err_code rc = indexer_find_tag(t->options.indexer, tag, hit, err);
    if (rc == E_OK || rc == E_NOT_FOUND) {
        return E_OK;
    }
    return err_set(err, E_UNAVAILABLE, "looking for entry tags: %s", err->msg);
}

/* A hash of a batch and where its hit belongs. */
struct wanted {
    const struct hash *hash;
    uint64_t *hit;
};

static int compare_wanted(const void *a, const void *b)
{
    const struct wanted *left = a, *right = b;
    return memcmp(left->hash->bytes, right->hash->bytes, HASH_BYTES);
}

typedef enum err_code (*look_up_one)(struct sequencer_thread *t, const struct hash *hash,
                                     uint64_t *hit, struct err *err);

/* In the order of their hashes, since the index is faster on neighbours. */
static enum err_code look_up_all(struct sequencer_thread *t, struct wanted *wanted, size_t count,
                                 look_up_one look_up, struct err *err)
{
    qsort(wanted, count, sizeof *wanted, compare_wanted);
    enum err_code rc = E_OK;
    for (size_t i = 0; i < count && rc == E_OK; i++) {
        rc = look_up(t, wanted[i].hash, wanted[i].hit, err);
    }
    return rc;
}

static size_t want_leaves(const struct sequencer_batch *batch, struct wanted *wanted)
{
    size_t count = 0;
    for (const struct submission *at = batch->submissions; at != NULL; at = at->next) {
        for (size_t i = 0; i < at->count; i++) {
            wanted[count] = (struct wanted){ &at->leaves[i], &batch->hits[count] };
            count++;
        }
    }
    return count;
}

static size_t want_tags(const struct sequencer_batch *batch, struct wanted *wanted)
{
    size_t count = 0, position = 0;
    for (const struct submission *at = batch->submissions; at != NULL; at = at->next) {
        for (size_t i = 0; i < at->count; i++) {
            uint64_t *hit = &batch->tag_hits[position++];
            *hit = SEQUENCER_NO_HIT;
            if (at->facts[i].has_tag) {
                wanted[count++] = (struct wanted){ &at->facts[i].tag, hit };
            }
        }
    }
    return count;
}

static enum err_code look_up(struct sequencer_thread *t, struct err *err)
{
    const struct sequencer_batch *batch = sequencer_batch(t->options.sequencer);
    struct wanted *wanted = mem_calloc(batch->count, sizeof *wanted);
    size_t count = want_leaves(batch, wanted);
    enum err_code rc = look_up_all(t, wanted, count, look_up_leaf, err);
    if (rc == E_OK && batch->tag_hits != NULL) {
        count = want_tags(batch, wanted);
        rc = look_up_all(t, wanted, count, look_up_tag, err);
    }
    mem_free(wanted);
    return rc;
}

static enum err_code commit(struct sequencer_thread *t, const struct journal_record *record,
                            struct err *err)
{
    enum err_code rc = journal_append(t->options.journal, record, err);
    if (rc != E_OK) {
        return rc;
    }
    uint64_t count = record->size - record->first;
    atomic_fetch_add(&t->entries_logged, count);
    atomic_fetch_add(&t->bytes_logged, record->entries.len - 2 * count);
    atomic_fetch_add(&t->commits, 1);
    atomic_store(&t->journal_bytes_written, journal_bytes_written(t->options.journal));
    atomic_store(&t->durable_size, record->size);
    return E_OK;
}

static uint64_t count_duplicates(const struct submission *submission)
{
    uint64_t duplicates = 0;
    for (size_t i = 0; i < submission->count; i++) {
        duplicates += submission->duplicate[i];
    }
    return duplicates;
}

static void answer(struct sequencer_thread *t, const struct sequencer_action *action)
{
    struct submission *at = action->submissions;
    while (at != NULL) {
        struct submission *next = at->next;
        pool_release(t->options.pool, at->count, at->entries_bytes);
        if (action->err.code != E_OK) {
            at->on_done(at, &action->err);
        } else if (at->conflict.is_there) {
            struct err err;
            submission_refusal(at, &err);
            atomic_fetch_add(&t->conflicts, 1);
            at->on_done(at, &err);
        } else {
            uint64_t duplicates = count_duplicates(at);
            if (duplicates > 0) {
                atomic_fetch_add(&t->duplicates, duplicates);
            }
            at->on_done(at, NULL);
        }
        at = next;
    }
}

static void trim(struct sequencer_thread *t, uint64_t size)
{
    struct err err;
    if (journal_trim(t->options.journal, size, &err) != E_OK) {
        log_error(LOG_LEVEL_WARN, "journal_trim", &err); /* the next trim does both */
    }
}

/* Performs an action whose result is an event; false for the others, which perform() takes. */
static bool perform_with_result(struct sequencer_thread *t, struct sequencer_action *action,
                                struct sequencer_event *result, struct err *err)
{
    enum err_code rc;
    switch (action->type) {
    case SEQUENCER_LOOK_UP:
        rc = look_up(t, err);
        result->type = SEQUENCER_LOOKED_UP;
        break;
    case SEQUENCER_RESERVE:
        rc = journal_reserve(t->options.journal, action->bytes, err);
        result->type = SEQUENCER_RESERVED;
        break;
    case SEQUENCER_COMMIT:
        rc = commit(t, &action->record, err);
        result->type = SEQUENCER_COMMITTED;
        break;
    default:
        return false;
    }
    result->err = rc == E_OK ? NULL : err;
    return true;
}

static void perform(struct sequencer_thread *t, struct sequencer_action *action)
{
    switch (action->type) {
    case SEQUENCER_ANSWER:
        answer(t, action);
        break;
    case SEQUENCER_STORE:
        if (action->resources != NULL) {
            integrator_add(t->options.integrator, action->resources, action->size);
        }
        t->options.on_news(t->options.ctx, action->size);
        break;
    case SEQUENCER_INDEX:
        indexer_add(t->options.indexer, action->index_job);
        break;
    case SEQUENCER_TRIM:
        trim(t, action->size);
        break;
    case SEQUENCER_REFUSE:
        pool_close(t->options.pool, POOL_CLOSED_STORE, action->err.msg);
        log_error(LOG_LEVEL_ERROR, "refusing_entries", &action->err);
        break;
    case SEQUENCER_ADMIT:
        pool_open(t->options.pool, POOL_CLOSED_STORE);
        log_event(LOG_LEVEL_INFO, "admitting_entries", "%s", "");
        break;
    case SEQUENCER_HALT:
        t->options.on_halt(t->options.ctx, &action->err);
        break;
    default:
        abort();
    }
}

/* Tells the sequencer what happened and does what is due then, until nothing is. An action with a
 * result is the last of its step: the sequencer has one batch under way. */
static void step(struct sequencer_thread *t, struct sequencer_event event)
{
    struct err err;
    bool has_event = true;
    while (has_event) {
        struct sequencer_actions actions;
        actions.count = 0;
        sequencer_step(t->options.sequencer, &event, &actions);
        has_event = false;
        for (size_t i = 0; i < actions.count; i++) {
            assert(!has_event);
            has_event = perform_with_result(t, &actions.items[i], &event, &err);
            if (!has_event) {
                perform(t, &actions.items[i]);
            }
        }
    }
}

/* -- The thread -- */

static bool take_store_failure(struct sequencer_thread *t, struct err *err)
{
    pthread_mutex_lock(&t->mutex);
    bool has_store_failed = t->has_store_failed;
    *err = t->store_err;
    t->has_store_failed = false;
    pthread_mutex_unlock(&t->mutex);
    return has_store_failed;
}

/* What other threads have told since the last time, and the retry that is due. */
static void step_told(struct sequencer_thread *t)
{
    uint64_t stored = atomic_load(&t->stored);
    if (stored > t->stored_seen) {
        t->stored_seen = stored;
        step(t, (struct sequencer_event){ .type = SEQUENCER_STORED, .size = stored });
    }
    uint64_t indexed = atomic_load(&t->indexed);
    if (indexed > t->indexed_seen) {
        t->indexed_seen = indexed;
        step(t, (struct sequencer_event){ .type = SEQUENCER_INDEXED, .size = indexed });
    }
    struct err err;
    if (take_store_failure(t, &err)) {
        step(t, (struct sequencer_event){ .type = SEQUENCER_STORE_FAILED, .err = &err });
    }
    if (atomic_load(&t->is_ending) && !t->has_ended) {
        t->has_ended = true;
        err_set(&err, E_UNAVAILABLE, "not accepting entries: the log is stopping");
        step(t, (struct sequencer_event){ .type = SEQUENCER_END, .err = &err });
    }
    uint64_t now = now_ms();
    if (now - t->retried_ms >= RETRY_MS) {
        t->retried_ms = now;
        step(t, (struct sequencer_event){ .type = SEQUENCER_RETRY });
    }
}

static void give_snapshot(struct sequencer_thread *t)
{
    if (!atomic_exchange(&t->wants_snapshot, false)) {
        return;
    }
    const struct edge *edge = sequencer_edge(t->options.sequencer);
    struct snapshot *snapshot = NEW(struct snapshot);
    edge_init(&snapshot->edge);
    edge_copy(&snapshot->edge, edge);
    snapshot->checkpoint.size = edge_size(edge);
    snapshot->checkpoint.root = edge_root(edge);
    t->options.on_snapshot(t->options.ctx, snapshot);
}

/* Others wake us only while a batch waits for them: what they told before that flag was set is seen
 * here, what they tell after it wakes us. */
static void wait_for_more(struct sequencer_thread *t)
{
    atomic_store(&t->is_blocked, !sequencer_is_idle(t->options.sequencer));
    if (atomic_load(&t->stored) == t->stored_seen && atomic_load(&t->indexed) == t->indexed_seen) {
        pulse_rest(&t->pulse);
        pool_wait(t->options.pool, WAIT_MS);
    }
    atomic_store(&t->is_blocked, false);
}

static void *run(void *arg)
{
    struct sequencer_thread *t = arg;
    pthread_setname_np(pthread_self(), "sequencer");
    for (;;) {
        pulse_step(&t->pulse);
        step_told(t);
        struct submission *submissions = pool_take(t->options.pool);
        if (submissions != NULL) {
            step(t, (struct sequencer_event){ .type = SEQUENCER_SUBMITTED,
                                              .submissions = submissions });
        }
        give_snapshot(t);
        if (submissions != NULL) {
            continue;
        }
        if (atomic_load(&t->is_stopping) && sequencer_is_idle(t->options.sequencer)) {
            return NULL;
        }
        wait_for_more(t);
    }
}

uint64_t sequencer_thread_stuck_ms(struct sequencer_thread *t)
{
    return pulse_stuck_ms(&t->pulse);
}

struct sequencer_thread *sequencer_thread_start(const struct sequencer_thread_options *options)
{
    struct sequencer_thread *t = NEW(struct sequencer_thread);
    t->options = *options;
    t->stored_seen = integrator_stored(options->integrator);
    t->durable_size = edge_size(sequencer_edge(options->sequencer));
    t->stored = t->stored_seen;
    pthread_mutex_init(&t->mutex, NULL);
    if (pthread_create(&t->thread, NULL, run, t) != 0) {
        abort();
    }
    return t;
}

void sequencer_thread_ask_snapshot(struct sequencer_thread *t)
{
    atomic_store(&t->wants_snapshot, true);
    pool_wake(t->options.pool);
}

static void raise_to(_Atomic uint64_t *value, uint64_t to)
{
    uint64_t now = atomic_load(value);
    while (now < to && !atomic_compare_exchange_weak(value, &now, to)) {
    }
}

static void wake_if_blocked(struct sequencer_thread *t)
{
    if (atomic_load(&t->is_blocked)) {
        pool_wake(t->options.pool);
    }
}

void sequencer_thread_on_stored(struct sequencer_thread *t, uint64_t size)
{
    /* A failure that is not told yet is over: told after this, nothing would ever revoke it. */
    pthread_mutex_lock(&t->mutex);
    t->has_store_failed = false;
    pthread_mutex_unlock(&t->mutex);
    raise_to(&t->stored, size);
    wake_if_blocked(t);
}

void sequencer_thread_on_indexed(struct sequencer_thread *t, uint64_t size)
{
    raise_to(&t->indexed, size);
    wake_if_blocked(t);
}

void sequencer_thread_on_store_failed(struct sequencer_thread *t, const struct err *err)
{
    pthread_mutex_lock(&t->mutex);
    t->has_store_failed = true;
    t->store_err = *err;
    t->store_err.code = E_UNAVAILABLE; /* whatever it is: for callers it may pass */
    pthread_mutex_unlock(&t->mutex);
    pool_wake(t->options.pool);
}

struct sequencer_stats sequencer_thread_stats(const struct sequencer_thread *t)
{
    return (struct sequencer_stats){
        .durable_size = atomic_load(&t->durable_size),
        .entries_logged = atomic_load(&t->entries_logged),
        .bytes_logged = atomic_load(&t->bytes_logged),
        .duplicates = atomic_load(&t->duplicates),
        .conflicts = atomic_load(&t->conflicts),
        .commits = atomic_load(&t->commits),
        .journal_bytes_written = atomic_load(&t->journal_bytes_written),
    };
}

void sequencer_thread_end(struct sequencer_thread *t)
{
    atomic_store(&t->is_ending, true);
    pool_wake(t->options.pool);
}

void sequencer_thread_stop(struct sequencer_thread *t)
{
    atomic_store(&t->is_stopping, true);
    pool_wake(t->options.pool);
    pthread_join(t->thread, NULL);
}

void sequencer_thread_free(struct sequencer_thread *t)
{
    sequencer_free(t->options.sequencer);
    pthread_mutex_destroy(&t->mutex);
    mem_free(t);
}
