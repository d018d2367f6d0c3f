#include "logd/pool.h"

#include "base/alloc.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum {
    REASON_MAX = 256
};

struct pool {
    _Atomic(struct submission *) newest; /* a stack: pool_take turns it round */
    atomic_size_t entries;
    atomic_size_t bytes;
    size_t entries_max;
    size_t bytes_max;
    atomic_bool is_closed;   /* closed by anybody, or ended */
    atomic_bool is_sleeping; /* the taker is in, or on its way into, pthread_cond_timedwait */

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t wake;
    bool is_awake; /* a wake-up came that no pool_wait has consumed */
    bool is_ended; /* closed for good */
    char end_reason[REASON_MAX];
    struct {
        bool is_closing;
        char reason[REASON_MAX];
    } closers[POOL_CLOSERS];
};

struct pool *pool_new(size_t entries_max, size_t bytes_max)
{
    struct pool *pool = NEW(struct pool);
    pool->entries_max = entries_max;
    pool->bytes_max = bytes_max;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->wake, &attr);
    pthread_condattr_destroy(&attr);
    return pool;
}

void pool_free(struct pool *pool)
{
    assert(atomic_load(&pool->newest) == NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    mem_free(pool);
}

void pool_wake(struct pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->is_awake = true;
    pthread_cond_signal(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

static bool count_in(atomic_size_t *counter, size_t more, size_t max)
{
    if (more > max || atomic_fetch_add(counter, more) > max - more) {
        if (more <= max) {
            atomic_fetch_sub(counter, more);
        }
        return false;
    }
    return true;
}

enum err_code pool_push(struct pool *pool, struct submission *submission, struct err *err)
{
    if (atomic_load(&pool->is_closed)) {
        char reason[REASON_MAX];
        if (pool_is_closed(pool, reason, sizeof reason)) {
            return err_set(err, E_UNAVAILABLE, "not accepting entries: %s", reason);
        }
    }
    if (!count_in(&pool->entries, submission->count, pool->entries_max)) {
        return err_set(err, E_BUSY, "the pool is full (%zu entries): try again", pool->entries_max);
    }
    if (!count_in(&pool->bytes, submission->entries_bytes, pool->bytes_max)) {
        atomic_fetch_sub(&pool->entries, submission->count);
        return err_set(err, E_BUSY, "the pool is full (%zu bytes): try again", pool->bytes_max);
    }
    struct submission *newest = atomic_load(&pool->newest);
    do {
        submission->next = newest;
    } while (!atomic_compare_exchange_weak(&pool->newest, &newest, submission));
    if (atomic_load(&pool->is_sleeping)) {
        pool_wake(pool);
    }
    return E_OK;
}

/* The reason that counts; NULL when nobody keeps it closed. Requires the mutex. */
static const char *find_reason(const struct pool *pool)
{
    if (pool->is_ended) {
        return pool->end_reason;
    }
    for (size_t i = 0; i < POOL_CLOSERS; i++) {
        if (pool->closers[i].is_closing) {
            return pool->closers[i].reason;
        }
    }
    return NULL;
}

void pool_close(struct pool *pool, enum pool_closer closer, const char *reason)
{
    assert(closer < POOL_CLOSERS);
    pthread_mutex_lock(&pool->mutex);
    snprintf(pool->closers[closer].reason, REASON_MAX, "%s", reason);
    pool->closers[closer].is_closing = true;
    atomic_store(&pool->is_closed, true);
    pthread_mutex_unlock(&pool->mutex);
}

void pool_open(struct pool *pool, enum pool_closer closer)
{
    assert(closer < POOL_CLOSERS);
    pthread_mutex_lock(&pool->mutex);
    pool->closers[closer].is_closing = false;
    atomic_store(&pool->is_closed, find_reason(pool) != NULL);
    pthread_mutex_unlock(&pool->mutex);
}

void pool_end(struct pool *pool, const char *reason)
{
    pthread_mutex_lock(&pool->mutex);
    if (!pool->is_ended) {
        snprintf(pool->end_reason, REASON_MAX, "%s", reason);
    }
    pool->is_ended = true;
    atomic_store(&pool->is_closed, true);
    pthread_mutex_unlock(&pool->mutex);
}

bool pool_is_closed(struct pool *pool, char *reason, size_t reason_max)
{
    pthread_mutex_lock(&pool->mutex);
    const char *found = find_reason(pool);
    if (found != NULL) {
        snprintf(reason, reason_max, "%s", found);
    }
    pthread_mutex_unlock(&pool->mutex);
    return found != NULL;
}

struct submission *pool_take(struct pool *pool)
{
    struct submission *newest = atomic_exchange(&pool->newest, NULL);
    struct submission *oldest = NULL;
    while (newest != NULL) {
        struct submission *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

void pool_release(struct pool *pool, size_t entries, size_t bytes)
{
    atomic_fetch_sub(&pool->entries, entries);
    atomic_fetch_sub(&pool->bytes, bytes);
}

void pool_wait(struct pool *pool, int timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&pool->mutex);
    /* Set before the list is looked at: a giver that pushes after that look sees it and wakes us. */
    atomic_store(&pool->is_sleeping, true);
    int rc = 0;
    while (!pool->is_awake && atomic_load(&pool->newest) == NULL && rc == 0) {
        rc = pthread_cond_timedwait(&pool->wake, &pool->mutex, &until);
    }
    atomic_store(&pool->is_sleeping, false);
    pool->is_awake = false;
    pthread_mutex_unlock(&pool->mutex);
}

size_t pool_entries(const struct pool *pool)
{
    return atomic_load(&pool->entries);
}
