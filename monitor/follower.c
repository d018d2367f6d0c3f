#include "monitor/follower.h"

#include "monitor/clock.h"

#include "base/alloc.h"
#include "base/log.h"

#include <assert.h>
#include <pthread.h>
#include <time.h>

struct follower {
    struct follow *follow; /* owned; of the thread */
    const char *origin;    /* borrowed */
    uint64_t poll_interval_ms;
    pthread_t thread;
    bool is_running; /* of who started it: not joined yet */
    atomic_bool is_stopping;
    atomic_uint_least64_t heard_ms; /* monotonic: sign of life */
    pthread_mutex_t lock;
    pthread_cond_t is_woken;
    bool is_due; /* locked: poll without waiting */
};

/* Asked for whenever a scan has made progress. */
static struct monitor_time on_time(void *ctx)
{
    struct follower *follower = ctx;
    struct monitor_time now = clock_now();
    atomic_store(&follower->heard_ms, now.monotonic_ms);
    return now;
}

/* Until `until_ms`, or until it is woken or ended. */
static void wait_until(struct follower *follower, uint64_t until_ms)
{
    struct timespec until = { (time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000 };
    int rc = 0;
    pthread_mutex_lock(&follower->lock);
    while (rc == 0 && !follower->is_due && !atomic_load(&follower->is_stopping)) {
        rc = pthread_cond_timedwait(&follower->is_woken, &follower->lock, &until);
    }
    follower->is_due = false;
    pthread_mutex_unlock(&follower->lock);
}

static void *run(void *ctx)
{
    struct follower *follower = ctx;
    while (!atomic_load(&follower->is_stopping)) {
        struct err err;
        struct monitor_time now = on_time(follower);
        enum err_code rc = follow_step(follower->follow, &now, &err);
        on_time(follower);
        if (rc != E_OK) {
            log_event(LOG_LEVEL_ERROR, "follow_failed", "origin=%s error=%s",
                      log_quoted_str(follower->origin).text, log_quoted_str(err.msg).text);
        }
        if (rc != E_OK || !follow_has_more(follower->follow)) {
            wait_until(follower, now.monotonic_ms + follower->poll_interval_ms);
        }
    }
    return NULL;
}

static void init_wake(struct follower *follower)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&follower->is_woken, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&follower->lock, NULL);
}

enum err_code follower_start(struct follower **out, const struct follower_options *options,
                             struct err *err)
{
    struct follower *follower = NEW(struct follower);
    struct follow_options follow = { .log = options->log,
                                     .memory = options->memory,
                                     .archive = options->archive,
                                     .scan_threads = options->scan_threads,
                                     .is_stopping = &follower->is_stopping,
                                     .trusted = options->trusted,
                                     .records = options->records,
                                     .now = on_time,
                                     .ctx = follower };
    init_wake(follower);
    follower->origin = watched_log_origin(options->log);
    follower->poll_interval_ms = options->poll_interval_ms;
    enum err_code rc = follow_open(&follower->follow, &follow, err);
    if (rc == E_OK) {
        on_time(follower);
        int failed = pthread_create(&follower->thread, NULL, run, follower);
        follower->is_running = failed == 0;
        if (failed != 0) {
            rc = err_set_errno(err, E_IO, failed, "no thread to follow a log");
        }
    }
    if (rc != E_OK) {
        follower_free(follower);
        return rc;
    }
    *out = follower;
    return E_OK;
}

void follower_poll_now(struct follower *follower)
{
    pthread_mutex_lock(&follower->lock);
    follower->is_due = true;
    pthread_cond_signal(&follower->is_woken);
    pthread_mutex_unlock(&follower->lock);
}

void follower_end(struct follower *follower)
{
    if (!follower->is_running) {
        return;
    }
    pthread_mutex_lock(&follower->lock);
    atomic_store(&follower->is_stopping, true);
    pthread_cond_signal(&follower->is_woken);
    pthread_mutex_unlock(&follower->lock);
    pthread_join(follower->thread, NULL);
    follower->is_running = false;
}

void follower_free(struct follower *follower)
{
    if (follower != NULL) {
        assert(!follower->is_running);
        follow_close(follower->follow);
        pthread_cond_destroy(&follower->is_woken);
        pthread_mutex_destroy(&follower->lock);
        mem_free(follower);
    }
}

uint64_t follower_silent_ms(struct follower *follower)
{
    uint64_t now_ms = clock_monotonic_ms(), heard_ms = atomic_load(&follower->heard_ms);
    return now_ms > heard_ms ? now_ms - heard_ms : 0;
}
