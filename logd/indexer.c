#include "logd/indexer.h"

#include "base/alloc.h"
#include "base/log.h"
#include "logd/entry_facts.h"
#include "store/tile_source.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    RETRY_MS = 1000,
    PROGRESS_TILES = 20000,
    BATCH_MAX = 16384, /* leaves put at once */
    FEW = 4096,        /* leaves that are not worth a batch yet */
    LINGER_MS = 20
};

static const char catching_up[] = "the deduplication index is catching up";

struct indexer {
    const char *dir;
    struct tiles *tiles;
    bool has_facts;
    uint64_t head;  /* at the start: entries above are looked up before they get an index */
    uint64_t tiled; /* likewise: below it level-0 tiles are read */
    struct indexer_callbacks callbacks;
    pthread_t thread;
    bool is_started;
    bool is_caught_up; /* indexer thread: with the tiles; only then can a miss be believed */

    pthread_rwlock_t index_lock; /* written while the store is closed and opened again */
    struct index *index;

    atomic_bool is_ready;

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t wake;
    struct index_job *jobs; /* oldest first; owned */
    struct index_job **jobs_last;
    bool is_stopping;
    bool is_damaged; /* a look-up found that out; `damage` says how */
    struct err damage;
    char reason[ERR_MSG_MAX]; /* why it is not ready */
};

/* A store that cannot be used is derived data: away with it. */
static enum err_code open_or_rebuild(struct index **out, const struct indexer *indexer,
                                     struct err *err)
{
    const char *dir = indexer->dir;
    enum err_code rc = index_open(out, dir, indexer->has_facts, err);
    if (rc == E_OK && index_covered(*out) <= indexer->head) {
        return E_OK;
    }
    if (rc == E_OK) {
        index_close(*out);
        *out = NULL;
        rc = err_set(err, E_CORRUPT, "the index covers more entries than the log has");
    }
    if (rc != E_CORRUPT) {
        return rc;
    }
    log_error(LOG_LEVEL_WARN, "index_rebuild", err);
    rc = index_destroy(dir, err);
    return rc == E_OK ? index_open(out, dir, indexer->has_facts, err) : rc;
}

struct indexer *indexer_open(const char *dir, struct tiles *tiles, bool has_facts, uint64_t head)
{
    struct err err;
    struct indexer *indexer = NEW(struct indexer);
    indexer->dir = dir;
    indexer->tiles = tiles;
    indexer->has_facts = has_facts;
    indexer->head = head;
    enum err_code rc = open_or_rebuild(&indexer->index, indexer, &err);
    if (rc != E_OK) {
        log_error(LOG_LEVEL_ERROR, "index_not_open", &err);
    }
    indexer->jobs_last = &indexer->jobs;
    snprintf(indexer->reason, sizeof indexer->reason, "%s", rc == E_OK ? catching_up : err.msg);
    pthread_rwlock_init(&indexer->index_lock, NULL);
    pthread_mutex_init(&indexer->mutex, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&indexer->wake, &attr);
    pthread_condattr_destroy(&attr);
    return indexer;
}

uint64_t indexer_covered(const struct indexer *indexer)
{
    return indexer->index == NULL ? 0 : index_covered(indexer->index);
}

static void set_ready(struct indexer *indexer, bool is_ready, const char *reason)
{
    pthread_mutex_lock(&indexer->mutex);
    atomic_store(&indexer->is_ready, is_ready);
    snprintf(indexer->reason, sizeof indexer->reason, "%s", reason);
    pthread_cond_broadcast(&indexer->wake);
    pthread_mutex_unlock(&indexer->mutex);
}

static struct timespec in_ms(unsigned ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* False when stopping. */
static bool pause_for_retry(struct indexer *indexer)
{
    struct timespec until = in_ms(RETRY_MS);
    pthread_mutex_lock(&indexer->mutex);
    int rc = 0;
    while (!indexer->is_stopping && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&indexer->wake, &indexer->mutex, &until);
    }
    bool is_stopping = indexer->is_stopping;
    pthread_mutex_unlock(&indexer->mutex);
    return !is_stopping;
}

/* What the start could not do. False when stopping. */
static bool open_late(struct indexer *indexer)
{
    struct err err;
    while (indexer->index == NULL) {
        if (!pause_for_retry(indexer)) {
            return false;
        }
        pthread_rwlock_wrlock(&indexer->index_lock);
        enum err_code rc = open_or_rebuild(&indexer->index, indexer, &err);
        pthread_rwlock_unlock(&indexer->index_lock);
        set_ready(indexer, false, rc == E_OK ? catching_up : err.msg);
    }
    return true;
}

/* A write error is sticky in LevelDB: close, wait, open again. False when stopping or damaged. */
static bool reopen(struct indexer *indexer, struct err *err)
{
    set_ready(indexer, false, err->msg);
    log_error(LOG_LEVEL_ERROR, "index_write_failed", err);
    for (;;) {
        if (!pause_for_retry(indexer)) {
            return false;
        }
        pthread_rwlock_wrlock(&indexer->index_lock);
        index_close(indexer->index);
        indexer->index = NULL;
        enum err_code rc = index_open(&indexer->index, indexer->dir, indexer->has_facts, err);
        pthread_rwlock_unlock(&indexer->index_lock);
        if (rc == E_OK) {
            return true;
        }
        if (rc == E_CORRUPT) {
            return false;
        }
        set_ready(indexer, false, err->msg);
    }
}

/* With what was on the log at the start: registrations in the partial tile are known only when the first job
 * is done, and nobody may log before. */
static bool is_complete(const struct indexer *indexer)
{
    bool has_tail = !indexer->has_facts || index_covered(indexer->index) >= indexer->head;
    return indexer->is_caught_up && has_tail;
}

/* Puts entries first.. into the index, whatever of them it has already. False when stopping or damaged
 * (then err->code is E_CORRUPT). */
static bool put(struct indexer *indexer, uint64_t first, const struct hash *leaves,
                const struct index_facts *facts, const bool *is_new, size_t count, struct err *err)
{
    for (;;) {
        uint64_t covered = index_covered(indexer->index);
        size_t skip = covered > first ? (size_t)(covered - first) : 0;
        if (skip >= count) {
            return true;
        }
        enum err_code rc = index_put(indexer->index, first + skip, leaves + skip,
                                     facts == NULL ? NULL : facts + skip,
                                     is_new == NULL ? NULL : is_new + skip, count - skip, err);
        if (rc == E_OK) {
            return true;
        }
        if (rc == E_CORRUPT || !reopen(indexer, err)) {
            return false;
        }
        set_ready(indexer, is_complete(indexer), catching_up);
    }
}

/* Fills the job with a full tile, whose first entry is the job's. */
static enum err_code read_tile(struct indexer *indexer, struct index_job *job, struct err *err)
{
    struct tile_path path = { false, { 0, job->first / TILE_WIDTH }, TILE_WIDTH };
    struct buf tile = BUF_INIT(TILE_BYTES), bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    enum err_code rc = tile_source_read(indexer->tiles, &path, &tile, err);
    if (rc == E_OK) {
        memcpy(job->leaves, tile.data, TILE_BYTES);
    }
    if (rc == E_OK && indexer->has_facts) {
        path.is_bundle = true;
        rc = tile_source_read(indexer->tiles, &path, &bundle, err);
        if (rc == E_OK) {
            rc = index_job_read_facts(job, buf_span(&bundle), err);
        }
    }
    buf_clear(&tile);
    buf_clear(&bundle);
    return rc;
}

/* Reads what is in the full tile of an entry. One that is missing is being stored, or repaired: tried
 * again until it is there. NULL when stopping. */
static struct index_job *wait_for_tile(struct indexer *indexer, uint64_t index, struct err *err)
{
    uint64_t first = index / TILE_WIDTH * TILE_WIDTH;
    struct index_job *job = index_job_new(first, TILE_WIDTH, indexer->has_facts);
    bool has_failed = false;
    while (read_tile(indexer, job, err) != E_OK) {
        if (!has_failed) {
            log_error(LOG_LEVEL_ERROR, "index_catch_up", err);
            set_ready(indexer, false, err->msg);
        }
        has_failed = true;
        job->count = 0;
        if (!pause_for_retry(indexer)) {
            mem_free(job);
            return NULL;
        }
    }
    if (has_failed) {
        set_ready(indexer, false, catching_up);
    }
    return job;
}

/* Indexes what the tiles have and the index has not. */
static bool catch_up(struct indexer *indexer, struct err *err)
{
    uint64_t covered = index_covered(indexer->index);
    uint64_t tiles_done = 0;
    while (covered < indexer->tiled) {
        struct index_job *job = wait_for_tile(indexer, covered, err);
        if (job == NULL) {
            err->code = E_OK; /* whatever is wrong with the tile, the index is not damaged */
            return false;
        }
        bool is_done = put(indexer, job->first, job->leaves, job->facts, NULL, TILE_WIDTH, err);
        mem_free(job);
        if (!is_done) {
            return false;
        }
        covered = index_covered(indexer->index);
        if (++tiles_done % PROGRESS_TILES == 0) {
            log_event(LOG_LEVEL_INFO, "index_catch_up", "covered=%llu of=%llu",
                      (unsigned long long)covered, (unsigned long long)indexer->tiled);
        }
        pthread_mutex_lock(&indexer->mutex);
        bool is_stopping = indexer->is_stopping;
        pthread_mutex_unlock(&indexer->mutex);
        if (is_stopping) {
            err->code = E_OK;
            return false;
        }
    }
    return true;
}

static bool has_few(const struct index_job *jobs)
{
    size_t count = 0;
    for (const struct index_job *at = jobs; at != NULL && count < FEW; at = at->next) {
        count += at->count;
    }
    return count < FEW;
}

/* Lets a few more commits come in: a batch of many keys costs less for each. */
static void linger(void)
{
    const struct timespec pause = { .tv_nsec = LINGER_MS * 1000000L };
    nanosleep(&pause, NULL);
}

/* Takes the oldest job, and with it as many of those behind it as make one good batch: the index
 * works best on many keys at once. NULL when stopping or damaged. */
static struct index_job *take_jobs(struct indexer *indexer)
{
    pthread_mutex_lock(&indexer->mutex);
    while (indexer->jobs == NULL && !indexer->is_stopping && !indexer->is_damaged) {
        pthread_cond_wait(&indexer->wake, &indexer->mutex);
    }
    if (has_few(indexer->jobs) && !indexer->is_stopping) {
        pthread_mutex_unlock(&indexer->mutex);
        linger();
        pthread_mutex_lock(&indexer->mutex);
    }
    struct index_job *first = indexer->is_stopping || indexer->is_damaged ? NULL : indexer->jobs;
    if (first != NULL) {
        struct index_job *last = first;
        size_t count = first->count;
        while (last->next != NULL && last->next->count <= BATCH_MAX - count) {
            last = last->next;
            count += last->count;
        }
        indexer->jobs = last->next;
        last->next = NULL;
        if (indexer->jobs == NULL) {
            indexer->jobs_last = &indexer->jobs;
        }
    }
    pthread_mutex_unlock(&indexer->mutex);
    return first;
}

/* The sequencer looked every leaf and tag up before it gave it an index: but not those of the last tile, which
 * we found there and which may be of a time without deduplication. */
static bool put_job(struct indexer *indexer, const struct index_job *job, struct err *err)
{
    if (job->first < indexer->head) {
        return put(indexer, job->first, job->leaves, job->facts, NULL, job->count, err);
    }
    bool *is_new = mem_alloc(job->count + 1);
    memset(is_new, true, job->count);
    bool is_done = put(indexer, job->first, job->leaves, job->facts, is_new, job->count, err);
    mem_free(is_new);
    return is_done;
}

static void give_up(struct indexer *indexer, const struct err *err)
{
    if (err->code != E_CORRUPT) {
        return;
    }
    struct err destroy_err;
    pthread_rwlock_wrlock(&indexer->index_lock);
    index_close(indexer->index);
    indexer->index = NULL;
    if (index_destroy(indexer->dir, &destroy_err) != E_OK) {
        log_error(LOG_LEVEL_ERROR, "index_destroy", &destroy_err);
    }
    pthread_rwlock_unlock(&indexer->index_lock);
    indexer->callbacks.on_damaged(indexer->callbacks.ctx, err);
}

/* The thread, which has the store, does what is to be done. */
static void report_damage(struct indexer *indexer, const struct err *err)
{
    pthread_mutex_lock(&indexer->mutex);
    if (!indexer->is_damaged) {
        indexer->is_damaged = true;
        indexer->damage = *err;
        pthread_cond_broadcast(&indexer->wake);
    }
    pthread_mutex_unlock(&indexer->mutex);
}

static void tell_ready(struct indexer *indexer)
{
    if (!atomic_load(&indexer->is_ready) && is_complete(indexer)) {
        set_ready(indexer, true, "");
    }
}

static void *run(void *arg)
{
    struct indexer *indexer = arg;
    pthread_setname_np(pthread_self(), "indexer");
    struct err err = { .code = E_OK };
    if (!open_late(indexer)) {
        return NULL;
    }
    if (!catch_up(indexer, &err)) {
        give_up(indexer, &err);
        return NULL;
    }
    indexer->is_caught_up = true;
    tell_ready(indexer);
    indexer->callbacks.on_indexed(indexer->callbacks.ctx, index_covered(indexer->index));
    struct index_job *job;
    while ((job = take_jobs(indexer)) != NULL) {
        job = index_job_join(job);
        err.code = E_OK;
        bool is_done = put_job(indexer, job, &err);
        uint64_t covered = job->first + job->count;
        mem_free(job);
        if (!is_done) {
            give_up(indexer, &err);
            return NULL;
        }
        tell_ready(indexer);
        indexer->callbacks.on_indexed(indexer->callbacks.ctx, covered);
    }
    if (indexer->is_damaged) { /* it does not change any more */
        give_up(indexer, &indexer->damage);
    }
    return NULL;
}

void indexer_start(struct indexer *indexer, uint64_t tiled,
                   const struct indexer_callbacks *callbacks)
{
    indexer->tiled = tiled;
    indexer->callbacks = *callbacks;
    indexer->is_started = true;
    if (pthread_create(&indexer->thread, NULL, run, indexer) != 0) {
        abort();
    }
}

void indexer_add_tail(struct indexer *indexer, const struct edge *edge)
{
    uint64_t first = edge_size(edge) / TILE_WIDTH * TILE_WIDTH;
    size_t count = (size_t)(edge_size(edge) - first);
    struct index_job *job = index_job_new(first, count, indexer->has_facts);
    struct span rest = buf_span(&edge->bundle), entry;
    for (size_t i = 0; i < count; i++) {
        bool is_there = bundle_take_entry(&rest, &entry);
        assert(is_there);
        struct entry_facts facts = { 0 };
        if (indexer->has_facts) {
            facts = entry_facts_read(entry);
        }
        index_job_add(job, &edge->tiles[0][i], &facts);
    }
    indexer_add(indexer, job);
}

void indexer_wait_ready(struct indexer *indexer, unsigned ms)
{
    struct timespec until = in_ms(ms);
    int rc = 0;
    pthread_mutex_lock(&indexer->mutex);
    while (!atomic_load(&indexer->is_ready) && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&indexer->wake, &indexer->mutex, &until);
    }
    pthread_mutex_unlock(&indexer->mutex);
}

void indexer_add(struct indexer *indexer, struct index_job *job)
{
    pthread_mutex_lock(&indexer->mutex);
    *indexer->jobs_last = job;
    indexer->jobs_last = &job->next;
    pthread_cond_signal(&indexer->wake);
    pthread_mutex_unlock(&indexer->mutex);
}

bool indexer_is_ready(struct indexer *indexer, char *reason, size_t reason_max)
{
    if (atomic_load(&indexer->is_ready)) {
        return true;
    }
    pthread_mutex_lock(&indexer->mutex);
    snprintf(reason, reason_max, "%s", indexer->reason);
    pthread_mutex_unlock(&indexer->mutex);
    return false;
}

/* The index, to be read until unlock; NULL when it does not answer. */
static const struct index *lock_index(struct indexer *indexer, struct err *err)
{
    char reason[ERR_MSG_MAX];
    if (!indexer_is_ready(indexer, reason, sizeof reason)) {
        err_set(err, E_UNAVAILABLE, "%s", reason);
        return NULL;
    }
    pthread_rwlock_rdlock(&indexer->index_lock);
    const struct index *index = indexer->index;
    if (index == NULL) {
        pthread_rwlock_unlock(&indexer->index_lock);
        err_set(err, E_UNAVAILABLE, "the deduplication index is closed");
    }
    return index;
}

static enum err_code unlock_index(struct indexer *indexer, enum err_code rc, const struct err *err)
{
    pthread_rwlock_unlock(&indexer->index_lock);
    if (rc == E_CORRUPT) {
        report_damage(indexer, err);
    }
    return rc;
}

enum err_code indexer_find(struct indexer *indexer, const struct hash *leaf, uint64_t *index,
                           struct err *err)
{
    const struct index *open = lock_index(indexer, err);
    return open == NULL ? err->code : unlock_index(indexer, index_get(open, leaf, index, err), err);
}

enum err_code indexer_find_tag(struct indexer *indexer, const struct hash *tag, uint64_t *index,
                               struct err *err)
{
    const struct index *open = lock_index(indexer, err);
    return open == NULL ? err->code
                        : unlock_index(indexer, index_get_tag(open, tag, index, err), err);
}

struct scan {
    void *ctx;
    enum err_code (*on_index)(void *ctx, uint64_t index, struct err *err);
    bool has_caller_failed; /* then the error says nothing of the index */
};

static enum err_code tell_registration(void *ctx, uint64_t index, struct err *err)
{
    struct scan *scan = ctx;
    enum err_code rc = scan->on_index(scan->ctx, index, err);
    scan->has_caller_failed = rc != E_OK;
    return rc;
}

enum err_code indexer_scan_registrations(struct indexer *indexer, void *ctx,
                                         enum err_code (*on_index)(void *ctx, uint64_t index,
                                                                   struct err *err),
                                         struct err *err)
{
    const struct index *open = lock_index(indexer, err);
    if (open == NULL) {
        return err->code;
    }
    struct scan scan = { ctx, on_index, false };
    enum err_code rc = index_scan_registrations(open, &scan, tell_registration, err);
    pthread_rwlock_unlock(&indexer->index_lock);
    if (rc == E_CORRUPT && !scan.has_caller_failed) {
        report_damage(indexer, err);
    }
    return rc;
}

uint64_t indexer_bytes_written(struct indexer *indexer)
{
    pthread_rwlock_rdlock(&indexer->index_lock);
    uint64_t bytes = indexer->index == NULL ? 0 : index_bytes_written(indexer->index);
    pthread_rwlock_unlock(&indexer->index_lock);
    return bytes;
}

void indexer_stop(struct indexer *indexer)
{
    if (indexer == NULL) {
        return;
    }
    if (indexer->is_started) {
        pthread_mutex_lock(&indexer->mutex);
        indexer->is_stopping = true;
        pthread_cond_signal(&indexer->wake);
        pthread_mutex_unlock(&indexer->mutex);
        pthread_join(indexer->thread, NULL);
    }
    while (indexer->jobs != NULL) {
        struct index_job *next = indexer->jobs->next;
        mem_free(indexer->jobs);
        indexer->jobs = next;
    }
    index_close(indexer->index);
    pthread_cond_destroy(&indexer->wake);
    pthread_mutex_destroy(&indexer->mutex);
    pthread_rwlock_destroy(&indexer->index_lock);
    mem_free(indexer);
}
