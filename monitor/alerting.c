#include "monitor/alerting.h"

#include "base/alloc.h"
#include "monitor/together.h"

#include <pthread.h>

struct alerting {
    struct monitor_parts *parts;
    size_t sink_count;
    struct alert_sink *sinks[ALERT_SINKS_MAX]; /* until a courier has taken it */
    pthread_mutex_t mutex;                     /* guards those below: nobody is woken who is gone */
    bool is_awake;                             /* all couriers are there */
    struct monitor_service *service;           /* or NULL */
};

/* From any thread that raised, acknowledged or resolved. */
static void on_change(void *ctx)
{
    struct alerting *alerting = ctx;
    pthread_mutex_lock(&alerting->mutex);
    for (size_t i = 0; i < alerting->parts->courier_count && alerting->is_awake; i++) {
        courier_wake(alerting->parts->couriers[i]);
    }
    if (alerting->service != NULL) {
        monitor_service_on_change(alerting->service);
    }
    pthread_mutex_unlock(&alerting->mutex);
}

static enum err_code open_sinks(struct alerting *alerting, const struct monitor_settings *settings,
                                struct err *err)
{
    for (size_t i = 0; i < settings->sink_count; i++) {
        struct alert_sink_options options = settings->sinks[i];
        options.monitor_name = alerting->parts->vkey.name;
        if (alert_sink_open(&alerting->sinks[i], &options, err) != E_OK) {
            return err_wrap(err, "alert sink");
        }
        alerting->sink_count = i + 1;
    }
    return E_OK;
}

static enum err_code open_book(struct alerting *alerting, const struct monitor_settings *settings,
                               struct err *err)
{
    struct alert_book_options options = {
        .store = alerting->parts->store,
        .key = alerting->parts->key,
        .sink_count = alerting->sink_count,
        .repeat_s = settings->repeat_s,
        .ctx = alerting,
        .on_change = on_change,
    };
    for (size_t i = 0; i < alerting->sink_count; i++) {
        options.sinks[i] = alert_sink_name(alerting->sinks[i]);
    }
    return alert_book_open(&alerting->parts->alerts, &options, err);
}

static void start_couriers(struct alerting *alerting)
{
    struct monitor_parts *parts = alerting->parts;
    for (size_t i = 0; i < alerting->sink_count; i++) {
        parts->couriers[i] = courier_start(parts->alerts, i, alerting->sinks[i]);
        alerting->sinks[i] = NULL;
    }
    pthread_mutex_lock(&alerting->mutex);
    parts->courier_count = alerting->sink_count;
    alerting->is_awake = true;
    pthread_mutex_unlock(&alerting->mutex);
    on_change(alerting); /* what changed while they were being started */
}

enum err_code alerting_open(struct alerting **out, const struct monitor_settings *settings,
                            struct monitor_parts *parts, struct err *err)
{
    struct alerting *alerting = NEW(struct alerting);
    alerting->parts = parts;
    pthread_mutex_init(&alerting->mutex, NULL);
    enum err_code rc = open_sinks(alerting, settings, err);
    if (rc == E_OK) {
        rc = open_book(alerting, settings, err);
    }
    if (rc != E_OK) {
        alerting_free(alerting);
        return rc;
    }
    start_couriers(alerting);
    *out = alerting;
    return E_OK;
}

void alerting_tell(struct alerting *alerting, struct monitor_service *service)
{
    pthread_mutex_lock(&alerting->mutex);
    alerting->service = service;
    pthread_mutex_unlock(&alerting->mutex);
}

static void stop_courier(void *arg)
{
    courier_stop(arg);
}

void alerting_stop(struct alerting *alerting)
{
    struct monitor_parts *parts = alerting->parts;
    struct together_task tasks[ALERT_SINKS_MAX];
    pthread_mutex_lock(&alerting->mutex);
    size_t count = parts->courier_count;
    alerting->is_awake = false;
    parts->courier_count = 0;
    pthread_mutex_unlock(&alerting->mutex);
    for (size_t i = 0; i < count; i++) {
        tasks[i] = (struct together_task){ stop_courier, parts->couriers[i] };
    }
    together_run(tasks, count);
}

void alerting_free(struct alerting *alerting)
{
    if (alerting == NULL) {
        return;
    }
    alert_book_close(alerting->parts->alerts);
    for (size_t i = 0; i < alerting->sink_count; i++) {
        if (alerting->sinks[i] != NULL) {
            alert_sink_close(alerting->sinks[i]);
        }
    }
    pthread_mutex_destroy(&alerting->mutex);
    mem_free(alerting);
}
