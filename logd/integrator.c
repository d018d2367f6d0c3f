#include "logd/integrator.h"

#include "base/alloc.h"
#include "store/tile_source.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum {
    WORKERS_MAX = 8,
    RETRY_MS = 1000,
    FEW = 32, /* files in one job */
    FILES_PER_WORKER = 16,
    LINGER_MS = 40,
};

/* What is written between two syncs. */
struct job {
    struct resource *resources; /* oldest first; owned */
    struct resource **last;
    uint64_t size;
};

struct integrator {
    struct tiles *tiles;
    struct integrator_callbacks callbacks;
    size_t workers;
    pthread_t thread;
    _Atomic uint64_t stored;

    pthread_mutex_t mutex; /* guards added and is_stopping */
    pthread_cond_t wake;
    struct job added;
    bool is_stopping;
};

/* Workers take resources from one list until it is empty or one write has failed. */
struct writing {
    struct tiles *tiles;
    pthread_mutex_t mutex; /* guards next, rc, err */
    struct resource *next;
    enum err_code rc;
    struct err err;
};

static void *write_resources(void *arg)
{
    struct writing *writing = arg;
    for (;;) {
        pthread_mutex_lock(&writing->mutex);
        struct resource *resource = writing->rc == E_OK ? writing->next : NULL;
        if (resource != NULL) {
            writing->next = resource->next;
        }
        pthread_mutex_unlock(&writing->mutex);
        if (resource == NULL) {
            return NULL;
        }
        struct err err;
        enum err_code rc = tiles_write(writing->tiles, tile_path_text(&resource->path).text,
                                       span_of(resource->bytes, resource->len), &err);
        if (rc != E_OK) {
            pthread_mutex_lock(&writing->mutex);
            writing->rc = rc;
            writing->err = err;
            pthread_mutex_unlock(&writing->mutex);
        }
    }
}

/* A thread is worth its start for some files each. */
static size_t extra_workers(const struct integrator *integrator, const struct job *job)
{
    size_t count = 0;
    for (const struct resource *at = job->resources; at != NULL; at = at->next) {
        count++;
    }
    size_t wanted = count / FILES_PER_WORKER;
    return wanted < integrator->workers - 1 ? wanted : integrator->workers - 1;
}

/* Files of one job may be written in any order: none counts before the sync. */
static enum err_code write_job(struct integrator *integrator, const struct job *job,
                               struct err *err)
{
    struct writing writing = { .tiles = integrator->tiles, .next = job->resources };
    pthread_mutex_init(&writing.mutex, NULL);
    pthread_t threads[WORKERS_MAX];
    size_t started = 0;
    size_t wanted = extra_workers(integrator, job);
    while (started < wanted &&
           pthread_create(&threads[started], NULL, write_resources, &writing) == 0) {
        started++;
    }
    write_resources(&writing);
    for (size_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_mutex_destroy(&writing.mutex);
    if (writing.rc != E_OK) {
        *err = writing.err;
        return err_wrap(err, "writing tiles");
    }
    enum err_code rc = tiles_sync(integrator->tiles, err);
    return rc == E_OK ? E_OK : err_wrap(err, "syncing tiles");
}

static void job_clear(struct job *job)
{
    resource_free_all(job->resources);
    job->resources = NULL;
    job->last = &job->resources;
}

static void job_append(struct job *job, struct resource *resources, uint64_t size)
{
    *job->last = resources;
    while (*job->last != NULL) {
        job->last = &(*job->last)->next;
    }
    job->size = size;
}

/* So few files that a sync of their directories would cost more than they do. */
static bool has_few(const struct job *job)
{
    size_t count = 0;
    for (const struct resource *at = job->resources; at != NULL && count < FEW; at = at->next) {
        count++;
    }
    return count < FEW;
}

/* Lets a few more commits come in: one sync does for all of them. */
static void linger(void)
{
    const struct timespec pause = { .tv_nsec = LINGER_MS * 1000000L };
    nanosleep(&pause, NULL);
}

/* Waits for something to do; false when there is nothing and never will be. */
static bool take_job(struct integrator *integrator, struct job *job)
{
    pthread_mutex_lock(&integrator->mutex);
    while (integrator->added.size <= job->size && !integrator->is_stopping) {
        pthread_cond_wait(&integrator->wake, &integrator->mutex);
    }
    if (has_few(&integrator->added) && !integrator->is_stopping) {
        pthread_mutex_unlock(&integrator->mutex);
        linger();
        pthread_mutex_lock(&integrator->mutex);
    }
    bool has_more = integrator->added.size > job->size;
    if (has_more) {
        job_append(job, integrator->added.resources, integrator->added.size);
        integrator->added.resources = NULL;
        integrator->added.last = &integrator->added.resources;
    }
    pthread_mutex_unlock(&integrator->mutex);
    return has_more;
}

/* False when stopping. */
static bool wait_for_retry(struct integrator *integrator)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_MS / 1000;
    pthread_mutex_lock(&integrator->mutex);
    int rc = 0;
    while (!integrator->is_stopping && rc != ETIMEDOUT) {
        rc = pthread_cond_timedwait(&integrator->wake, &integrator->mutex, &until);
    }
    bool is_stopping = integrator->is_stopping;
    pthread_mutex_unlock(&integrator->mutex);
    return !is_stopping;
}

static void *run(void *arg)
{
    struct integrator *integrator = arg;
    pthread_setname_np(pthread_self(), "integrator");
    struct job job = { .size = atomic_load(&integrator->stored) };
    job.last = &job.resources;
    struct err err;
    while (take_job(integrator, &job)) {
        while (write_job(integrator, &job, &err) != E_OK) {
            integrator->callbacks.on_failed(integrator->callbacks.ctx, &err);
            if (!wait_for_retry(integrator)) {
                goto out;
            }
        }
        job_clear(&job);
        atomic_store(&integrator->stored, job.size);
        integrator->callbacks.on_stored(integrator->callbacks.ctx, job.size);
    }
out:
    job_clear(&job);
    return NULL;
}

struct integrator *integrator_start(struct tiles *tiles, uint64_t stored, size_t workers,
                                    const struct integrator_callbacks *callbacks)
{
    struct integrator *integrator = NEW(struct integrator);
    integrator->tiles = tiles;
    integrator->callbacks = *callbacks;
    integrator->workers = workers < 1 ? 1 : workers > WORKERS_MAX ? WORKERS_MAX : workers;
    atomic_init(&integrator->stored, stored);
    integrator->added = (struct job){ .size = stored };
    integrator->added.last = &integrator->added.resources;
    pthread_mutex_init(&integrator->mutex, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&integrator->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&integrator->thread, NULL, run, integrator) != 0) {
        abort();
    }
    return integrator;
}

void integrator_add(struct integrator *integrator, struct resource *resources, uint64_t size)
{
    pthread_mutex_lock(&integrator->mutex);
    job_append(&integrator->added, resources, size);
    pthread_cond_signal(&integrator->wake);
    pthread_mutex_unlock(&integrator->mutex);
}

uint64_t integrator_stored(const struct integrator *integrator)
{
    return atomic_load(&integrator->stored);
}

void integrator_stop(struct integrator *integrator)
{
    if (integrator == NULL) {
        return;
    }
    pthread_mutex_lock(&integrator->mutex);
    integrator->is_stopping = true;
    pthread_cond_signal(&integrator->wake);
    pthread_mutex_unlock(&integrator->mutex);
    pthread_join(integrator->thread, NULL);
    job_clear(&integrator->added);
    pthread_cond_destroy(&integrator->wake);
    pthread_mutex_destroy(&integrator->mutex);
    mem_free(integrator);
}
