#include "logd/daemon.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/pulse.h"
#include "logd/anchor.h"
#include "logd/append_service.h"
#include "logd/cosign_service.h"
#include "logd/daemon_parts.h"
#include "logd/read_service.h"
#include "net/process.h"
#include "net/rpc_health.h"

#include <assert.h>
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
    /* libuv's workers, one for each thing that can run at a time: all of these, a round's step, and
     * the stop, which waits for what the others do. */
    UV_WORKERS = WORK_RUNNING_MAX + COSIGN_RUNNING_MAX + HTTP_SERVICE_WORKERS +
                 WITNESS_CLIENT_WORKERS + 1 + 1,
    CALLS_MAX = 16384, /* of gRPC, not answered; their entries have bounds of their own */
    DRAIN_MS = 3000,   /* to publish what was committed */
    STOP_MS = 5000,    /* and then for everything else: peers that do not read, a slow disk */
    DRAIN_POLL_MS = 20,
    HEALTH_MS = 1000,
    CHECK_WAIT_MS = 2000,
    GRACE_MS = 500,
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* -- Surfaces -- */

static enum err_code start_rpc(struct daemon *d, struct err *err)
{
    struct rpc_method methods[APPEND_METHODS + READ_METHODS + STREAM_METHODS + COSIGN_METHODS];
    struct rpc_method *at = methods;
    append_service_methods(d->append, at);
    read_service_methods(&d->parts, at += APPEND_METHODS);
    stream_service_methods(d->streams, at += READ_METHODS);
    cosign_service_methods(&d->parts, at += STREAM_METHODS);
    struct rpc_server_config config = {
        .methods = methods,
        .method_count = sizeof methods / sizeof methods[0],
        .calls_max = CALLS_MAX,
    };
    listen_set_rpc(&d->settings.listen, &config);
    return rpc_server_start(&d->rpc, &config, err);
}

static enum err_code start_surfaces(struct daemon *d, struct err *err)
{
    struct buf http = BUF_INIT(sizeof d->http_text);
    enum err_code rc = http_service_listen(d->http, &d->settings.listen, &http, err);
    if (rc == E_OK) {
        memcpy(d->http_text, buf_c_str(&http), http.len + 1);
        rc = start_rpc(d, err);
    }
    buf_clear(&http);
    return rc;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The service manager starts us again when this stays away: the loop hangs then, or a thread behind it does. */
static void beat(struct daemon *d)
{
    uint64_t stuck_ms = sequencer_thread_stuck_ms(d->parts.sequencer);
    stuck_ms = larger(stuck_ms, work_stuck_ms(d->parts.work));
    stuck_ms = larger(stuck_ms, work_stuck_ms(d->parts.cosign_work));
    if (stuck_ms < PULSE_STUCK_MS) {
        sd_notify(0, "WATCHDOG=1");
    } else {
        log_event(LOG_LEVEL_ERROR, "stuck", "for_ms=%llu", (unsigned long long)stuck_ms);
    }
}

/* gRPC's health says what /readyz says. */
static void on_health_timer(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    beat(d);
    char reason[STATUS_REASON_MAX];
    rpc_health_set(d->rpc, parts_is_admitting(&d->parts, reason, sizeof reason));
}

/* Once a checkpoint is there to be read: a log that has signed nothing yet does so first. */
void daemon_report_ready(struct daemon *d)
{
    bool is_readable = (d->has_signed && !d->is_checking) || d->is_paused || d->is_check_overdue;
    if (d->is_ready || !is_readable || d->rpc == NULL || atomic_load(&d->parts.is_stopping)) {
        return;
    }
    d->is_ready = true;
    on_health_timer(&d->health_timer);
    uv_timer_start(&d->health_timer, on_health_timer, HEALTH_MS, HEALTH_MS);
    struct buf grpc = BUF_INIT(LISTEN_TEXT_MAX + 1);
    listen_put_rpc(&d->settings.listen, d->rpc, &grpc);
    log_event(LOG_LEVEL_INFO, "ready", "http=%s grpc=%s", d->http_text, buf_c_str(&grpc));
    buf_clear(&grpc);
    sd_notify(0, "READY=1");
}

/* The witnesses are slow to show what they hold. */
static void on_check_overdue(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    d->is_check_overdue = true;
    daemon_report_ready(d);
}

/* -- Stopping: drain, surfaces, threads, loop -- */

static void on_part_closed(void *ctx)
{
    struct daemon *d = ctx;
    d->open--;
}

static void on_handle_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

/* The services and threads are gone: what is left on the loop is closed, and the loop ends. */
static void close_loop_parts(struct daemon *d)
{
    publisher_close(d->parts.publisher, d, on_part_closed);
    append_service_close(d->append, d, on_part_closed);
    http_service_close(d->http, d, on_part_closed);
    work_close(d->parts.work, d, on_part_closed);
    work_close(d->parts.cosign_work, d, on_part_closed);
    uv_close((uv_handle_t *)&d->sigterm, on_handle_closed);
    uv_close((uv_handle_t *)&d->sigint, on_handle_closed);
    reload_close(d->reload, d, on_part_closed);
    uv_close((uv_handle_t *)&d->drain_timer, on_handle_closed);
    uv_close((uv_handle_t *)&d->health_timer, on_handle_closed);
    d->open += 10;
    if (d->gate != NULL) {
        d->open++;
        gate_service_close(d->gate, d, on_part_closed);
    }
    if (d->parts.anchor != NULL) {
        d->open++;
        anchor_close(d->parts.anchor, d, on_part_closed);
    }
}

/* On a worker, since it waits: for calls under way, and for the last commit and its tiles. */
static void stop_threads(uv_work_t *work)
{
    struct daemon *d = work->data;
    rpc_server_stop(d->rpc, GRACE_MS);
    sequencer_thread_stop(d->parts.sequencer);
    integrator_stop(d->parts.integrator);
    indexer_stop(d->parts.indexer);
}

static void on_threads_stopped(uv_work_t *work, int status)
{
    (void)status; /* never cancelled */
    close_loop_parts(work->data);
}

static void on_http_ended(void *ctx)
{
    struct daemon *d = ctx;
    d->stop_work.data = d;
    int rc = uv_queue_work(&d->loop, &d->stop_work, stop_threads, on_threads_stopped);
    assert(rc == 0);
}

static bool is_drained(const struct daemon *d)
{
    uint64_t durable = sequencer_thread_stats(d->parts.sequencer).durable_size;
    bool is_quiet = d->is_paused || d->is_checking || publisher_is_halted(d->parts.publisher);
    return is_quiet ||
           (pool_entries(d->parts.pool) == 0 && published_size(d->parts.published) == durable);
}

/* Nobody waits for an answer any more, and what was acknowledged is in the journal: what is missing is
 * only tidiness. gRPC, for one, waits for peers whose connections are full. */
static void on_stop_overdue(uv_timer_t *timer)
{
    (void)timer;
    log_event(LOG_LEVEL_WARN, "stop_forced", "after_ms=%d", STOP_MS);
    _exit(DAEMON_STOPPED);
}

static void on_drain_tick(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    if (reload_is_under_way(d->reload) || (!is_drained(d) && now_ms() < d->drain_until_ms)) {
        return;
    }
    uv_timer_start(&d->drain_timer, on_stop_overdue, STOP_MS, 0);
    sequencer_thread_end(d->parts.sequencer);
    append_service_flush(d->append);
    stream_service_end(d->streams);
    http_service_end(d->http, GRACE_MS, d, on_http_ended);
}

static void begin_stop(struct daemon *d, uint32_t drain_ms)
{
    if (atomic_exchange(&d->parts.is_stopping, true)) {
        return;
    }
    log_event(LOG_LEVEL_INFO, "stopping", "%s", "");
    sd_notify(0, "STOPPING=1");
    reload_end(d->reload);
    uv_timer_stop(&d->health_timer);
    if (d->rpc != NULL) {
        rpc_health_set(d->rpc, false);
    }
    pool_end(d->parts.pool, "the log is stopping");
    publisher_drain(d->parts.publisher);
    d->drain_until_ms = now_ms() + drain_ms;
    uv_timer_start(&d->drain_timer, on_drain_tick, 0, DRAIN_POLL_MS);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    begin_stop(handle->data, DRAIN_MS);
}

/* On a worker. */
static void reload_tls(struct daemon *d)
{
    struct err err;
    if (rpc_server_reload_tls(d->rpc, &err) != E_OK) {
        log_error(LOG_LEVEL_ERROR, "tls_not_reloaded", &err);
        return;
    }
    log_event(LOG_LEVEL_INFO, "tls_reloaded", "%s", "");
}

static void read_again(void *ctx)
{
    struct daemon *d = ctx;
    if (d->gate != NULL) {
        gate_service_reload(d->gate);
    }
    if (d->settings.listen.tls_cert != NULL) {
        reload_tls(d);
    }
}

/* -- All of it -- */

static void start_loop(struct daemon *d)
{
    uv_signal_init(&d->loop, &d->sigterm);
    uv_signal_init(&d->loop, &d->sigint);
    uv_timer_init(&d->loop, &d->drain_timer);
    uv_timer_init(&d->loop, &d->health_timer);
    d->sigterm.data = d;
    d->sigint.data = d;
    d->drain_timer.data = d;
    d->health_timer.data = d;
    uv_signal_start(&d->sigterm, on_signal, SIGTERM);
    uv_signal_start(&d->sigint, on_signal, SIGINT);
    d->reload = reload_start(&d->loop);
}

static enum daemon_exit serve(struct daemon *d)
{
    enum daemon_exit code = DAEMON_STOPPED;
    struct err err;
    uv_loop_init(&d->loop);
    start_loop(d);
    daemon_start_threads(d);
    d->append = append_service_new(&d->loop, &d->parts);
    d->streams = stream_service_new(&d->parts);
    d->http = http_service_new(&d->loop, &d->parts);
    if (start_surfaces(d, &err) != E_OK) {
        log_error(LOG_LEVEL_ERROR, "cannot_listen", &err);
        code = DAEMON_CANNOT_START;
        begin_stop(d, 0);
    } else {
        reload_serve(d->reload, d->parts.work, d, read_again);
        daemon_report_ready(d);
        if (d->is_checking) {
            uv_timer_start(&d->health_timer, on_check_overdue, CHECK_WAIT_MS, 0);
        }
    }
    publisher_start(d->parts.publisher, d->parts.sequencer,
                    sequencer_thread_stats(d->parts.sequencer).durable_size);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    assert(d->open == 0);
    uv_loop_close(&d->loop);
    sequencer_thread_free(d->parts.sequencer);
    stream_service_free(d->streams);
    pool_free(d->parts.pool);
    tile_cache_free(d->parts.cache);
    log_event(LOG_LEVEL_INFO, "stopped", "%s", "");
    return code;
}

/* Up to what needs threads. Errors have been logged. */
static enum daemon_exit open_log(struct daemon *d, const struct config *config)
{
    struct err err;
    process_prepare(UV_WORKERS + gate_service_workers());
    if (settings_read(&d->settings, config, &err) != E_OK) {
        log_error(LOG_LEVEL_ERROR, "configuration", &err);
        return DAEMON_CONFIGURATION;
    }
    d->parts.has_http_add = d->settings.has_http_add;
    d->parts.has_client_ca = d->settings.listen.tls_client_ca != NULL;
    if (opening_run(&d->opening, &err) != E_OK) {
        log_error(LOG_LEVEL_ERROR, "cannot_start", &err);
        return d->opening.is_misconfigured ? DAEMON_CONFIGURATION : DAEMON_CANNOT_START;
    }
    if (d->settings.is_operation &&
        gate_service_open(&d->gate, &d->settings, &d->parts, &err) != E_OK) {
        log_error(LOG_LEVEL_ERROR, "configuration", &err);
        return DAEMON_CONFIGURATION;
    }
    log_event(LOG_LEVEL_INFO, "recovered", "origin=%s size=%llu published=%llu took_ms=%llu",
              log_quoted_str(signing_origin(&d->parts.signing)).text,
              (unsigned long long)edge_size(&d->opening.recovered.edge),
              (unsigned long long)published_size(d->parts.published),
              (unsigned long long)(now_ms() - d->parts.started_ms));
    return DAEMON_STOPPED;
}

enum daemon_exit daemon_run(const struct config *config)
{
    struct daemon *d = NEW(struct daemon);
    d->opening.dir.lock_fd = -1;
    d->opening.settings = &d->settings;
    d->opening.parts = &d->parts;
    d->parts.started_ms = now_ms();
    d->parts.published = published_new();
    enum daemon_exit code = open_log(d, config);
    if (code == DAEMON_STOPPED) {
        d->has_published = d->opening.has_published;
        d->has_signed = d->opening.has_signed;
        d->is_paused = d->opening.is_paused;
        d->is_checking = d->opening.is_checking;
        code = serve(d);
    } else {
        indexer_stop(d->parts.indexer);
    }
    gate_service_free(d->gate);
    published_free(d->parts.published);
    opening_clear(&d->opening);
    tiles_close(d->parts.tiles);
    signing_close(&d->parts.signing);
    policy_free(d->parts.policy);
    buf_clear(&d->parts.policy_text);
    mem_free(d);
    return code;
}
