#include "monitor/courier.h"

#include "monitor/clock.h"

#include "base/alloc.h"
#include "base/log.h"

#include <assert.h>
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum {
    ACKNOWLEDGE_PAUSE_MS = 1000, /* doubled up to */
    ACKNOWLEDGE_PAUSE_MS_MAX = 60 * 1000,
};

struct courier {
    struct alert_book *book;
    size_t position;
    struct alert_sink *sink; /* owned */
    pthread_t thread;
    char told[ERR_MSG_MAX]; /* the error that our log has; the thread's own */

    pthread_mutex_t lock; /* guards all below; held for no call that waits */
    pthread_cond_t changed;
    bool is_woken, is_stopping;
    struct courier_status status;
    char delivered[COURIER_REMEMBERED_MAX][ALERT_ID_CHARS + 1]; /* a ring */
    size_t delivered_at;
};

/* -- time -- */

static bool is_stopping(struct courier *courier)
{
    pthread_mutex_lock(&courier->lock);
    bool is_stopping = courier->is_stopping;
    pthread_mutex_unlock(&courier->lock);
    return is_stopping;
}

/* Until the time is over, or it is to stop, or (if that counts) it was woken since the last time it slept so. */
static void sleep_ms(struct courier *courier, uint64_t ms, bool may_be_woken)
{
    uint64_t until_ms = clock_monotonic_ms() + ms;
    struct timespec until = { .tv_sec = (time_t)(until_ms / 1000),
                              .tv_nsec = (long)(until_ms % 1000) * 1000000 };
    int rc = 0;
    pthread_mutex_lock(&courier->lock);
    while (rc == 0 && !courier->is_stopping && !(may_be_woken && courier->is_woken)) {
        rc = pthread_cond_timedwait(&courier->changed, &courier->lock, &until);
    }
    if (may_be_woken) {
        courier->is_woken = false;
    }
    pthread_mutex_unlock(&courier->lock);
}

/* -- what people are told of it -- */

/* But for the digits: times and ports differ with every try. */
static bool is_same_error(const char *a, const char *b)
{
    for (;; a++, b++) {
        while (isdigit((unsigned char)*a)) {
            a++;
        }
        while (isdigit((unsigned char)*b)) {
            b++;
        }
        if (*a != *b) {
            return false;
        }
        if (*a == 0) {
            return true;
        }
    }
}

static void note_success(struct courier *courier, const char *alert_id)
{
    pthread_mutex_lock(&courier->lock);
    courier->status.last_error[0] = 0;
    courier->status.last_success_s = (int64_t)time(NULL);
    char *slot = courier->delivered[courier->delivered_at++ % COURIER_REMEMBERED_MAX];
    memcpy(slot, alert_id, ALERT_ID_CHARS + 1);
    pthread_mutex_unlock(&courier->lock);
    if (courier->told[0] != 0) {
        log_event(LOG_LEVEL_INFO, "alert_sink_works_again", "sink=%s",
                  log_quoted_str(courier->status.sink).text);
        courier->told[0] = 0;
    }
}

static void note_failure(struct courier *courier, const struct err *err)
{
    pthread_mutex_lock(&courier->lock);
    memcpy(courier->status.last_error, err->msg, sizeof err->msg);
    pthread_mutex_unlock(&courier->lock);
    if (!is_same_error(courier->told, err->msg)) {
        memcpy(courier->told, err->msg, sizeof err->msg);
        log_event(LOG_LEVEL_WARN, "alert_not_told", "sink=%s error=%s",
                  log_quoted_str(courier->status.sink).text, log_quoted_str(err->msg).text);
    }
}

/* -- the round -- */

/* The sink has it: that is not to be forgotten, or it gets it again. Tried until the store takes it; only a stop
 * leaves it, and then the next start repeats the delivery. */
static void acknowledge(struct courier *courier, const struct delivery *delivery)
{
    uint64_t pause_ms = ACKNOWLEDGE_PAUSE_MS;
    struct err err;
    bool is_told = false;
    while (alert_book_delivered(courier->book, courier->position, delivery, &err) != E_OK) {
        if (!is_told) {
            log_error(LOG_LEVEL_ERROR, "alert_delivery_not_stored", &err);
            is_told = true;
        }
        if (is_stopping(courier)) {
            return;
        }
        sleep_ms(courier, pause_ms, false);
        pause_ms = 2 * pause_ms < ACKNOWLEDGE_PAUSE_MS_MAX ? 2 * pause_ms
                                                           : (uint64_t)ACKNOWLEDGE_PAUSE_MS_MAX;
    }
}

static void deliver(struct courier *courier, const struct delivery *delivery)
{
    struct err err;
    if (alert_sink_send(courier->sink, delivery, (int64_t)time(NULL), &err) == E_OK) {
        note_success(courier, delivery->alert.id);
        acknowledge(courier, delivery);
    } else {
        note_failure(courier, &err);
        alert_book_failed(courier->book, courier->position, delivery, clock_monotonic_ms());
    }
}

static void *run(void *arg)
{
    struct courier *courier = arg;
    struct delivery *delivery = NEW(struct delivery);
    while (!is_stopping(courier)) {
        uint64_t wait_ms = 0;
        if (alert_book_next(courier->book, courier->position, (int64_t)time(NULL),
                            clock_monotonic_ms(), delivery, &wait_ms)) {
            deliver(courier, delivery);
        } else {
            sleep_ms(courier, wait_ms, true);
        }
    }
    mem_free(delivery);
    return NULL;
}

struct courier *courier_start(struct alert_book *book, size_t position, struct alert_sink *sink)
{
    struct courier *courier = NEW(struct courier);
    pthread_condattr_t attr;
    courier->book = book;
    courier->position = position;
    courier->sink = sink;
    snprintf(courier->status.sink, sizeof courier->status.sink, "%s", alert_sink_name(sink));
    pthread_mutex_init(&courier->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&courier->changed, &attr);
    pthread_condattr_destroy(&attr);
    int rc = pthread_create(&courier->thread, NULL, run, courier);
    assert(rc == 0);
    return courier;
}

void courier_wake(struct courier *courier)
{
    pthread_mutex_lock(&courier->lock);
    courier->is_woken = true;
    pthread_cond_signal(&courier->changed);
    pthread_mutex_unlock(&courier->lock);
}

void courier_stop(struct courier *courier)
{
    pthread_mutex_lock(&courier->lock);
    courier->is_stopping = true;
    pthread_cond_signal(&courier->changed);
    pthread_mutex_unlock(&courier->lock);
    pthread_join(courier->thread, NULL);
    alert_sink_close(courier->sink);
    pthread_cond_destroy(&courier->changed);
    pthread_mutex_destroy(&courier->lock);
    mem_free(courier);
}

void courier_read_status(struct courier *courier, struct courier_status *out)
{
    pthread_mutex_lock(&courier->lock);
    *out = courier->status;
    pthread_mutex_unlock(&courier->lock);
}

bool courier_has_delivered(struct courier *courier, const char *alert_id)
{
    bool has_it = false;
    pthread_mutex_lock(&courier->lock);
    for (size_t i = 0; i < COURIER_REMEMBERED_MAX && !has_it; i++) {
        has_it = strcmp(courier->delivered[i], alert_id) == 0;
    }
    pthread_mutex_unlock(&courier->lock);
    return has_it;
}
