#include "monitor/daemon.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/pulse.h"
#include "monitor/alerting.h"
#include "monitor/heartbeat.h"
#include "monitor/http_service.h"
#include "monitor/monitor_dir.h"
#include "monitor/monitor_metrics.h"
#include "monitor/relay.h"
#include "monitor/self_test.h"
#include "monitor/together.h"
#include "monitor/watching.h"
#include "net/process.h"
#include "net/rpc_health.h"
#include "net/work.h"
#include "store/key_file.h"

#include <assert.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

enum {
    CALL_WORKERS = 4,  /* notes compared, alerts: what waits for disk and network */
    READ_WORKERS = 2,  /* pages and metrics */
    RELAY_WORKERS = 4, /* logs asked for readers, one thing of each at a time */
    LOOK_WORKERS = 1,  /* health and heartbeat: never behind what callers ask for */
    OTHER_WORKERS = 3, /* a step of the stop, and the resolver of names */
    CALLS_MAX = 1024,  /* of gRPC, not answered: all of them read store or book */
    LOOK_MS = 1000,
    HEARTBEAT_LOOK_S = 30,
    GRACE_MS = 1000,
    STOP_MS = 4500, /* for everything: peers that do not read, logs that do not answer */
    CONTROL_MODE = 0600,
};

/* What a worker looks at once a second, for the loop. */
struct look {
    struct monitor_health health;
    int64_t heartbeat_s; /* when that was looked at last; monotonic */
    bool is_under_way;
    struct pulse pulse; /* at rest between two looks */
};

struct daemon {
    struct monitor_settings settings;
    struct watch_list list;
    struct signer key;
    struct monitor_dir dir;
    struct monitor_parts parts;
    struct alerting *alerting;
    struct watching *watching;
    bool is_misconfigured; /* what kept it from starting is in the configuration */
    bool has_control;      /* the control socket is ours */
    enum monitor_exit code;

    uv_loop_t loop;
    uv_signal_t sigterm, sigint, sighup;
    uv_timer_t stop_timer, look_timer;
    uv_work_t stop_work;
    struct work *looking, *relayed;
    struct relay *relay;
    struct look look;
    struct monitor_http *http;
    struct monitor_service *service;
    struct rpc_server *rpc;
    char http_text[LISTEN_TEXT_MAX + 1];
    char control[PATH_MAX + 8];          /* "unix:PATH" */
    int open;                            /* parts that are being closed */
    void (*on_closed)(struct daemon *d); /* once they are */
};

/* -- Opening: the key, the directory, the store, who is told, who looks -- */

static enum err_code open_key(struct daemon *d, struct err *err)
{
    enum err_code rc = key_file_load(&d->key, d->settings.key, err);
    if (rc != E_OK) {
        return rc;
    }
    if (vkey_require_type(&d->key.vkey, SIGNATURE_ED25519, err) != E_OK) {
        return err_wrap(err, "key %s", d->settings.key);
    }
    for (size_t i = 0; i < d->list.peer_count; i++) {
        if (vkey_is_equal(&d->list.peers[i], &d->key.vkey)) {
            d->is_misconfigured = true;
            return err_set(err, E_MALFORMED, "peer: that is this monitor's own key");
        }
        d->parts.peers[i] = &d->list.peers[i];
    }
    d->parts.peer_count = d->list.peer_count;
    d->parts.key = &d->key;
    d->parts.vkey = d->key.vkey;
    return E_OK;
}

static enum err_code reopen_store(void *ctx, struct kv **out, struct err *err)
{
    struct daemon *d = ctx;
    return monitor_dir_reopen_store(&d->dir, out, err);
}

static enum err_code open_store(struct daemon *d, struct err *err)
{
    struct kv *kv = NULL;
    enum err_code rc = monitor_dir_open(&d->dir, d->settings.data_dir, &d->key.vkey, err);
    if (rc == E_OK) {
        rc = monitor_dir_open_store(&d->dir, &d->key.vkey, &kv, err);
    }
    if (rc == E_OK) {
        d->parts.store = state_store_new(kv, reopen_store, d);
    }
    return rc;
}

static void warn_of_gaps(const struct daemon *d)
{
    if (d->settings.vantage_count == 0 && d->settings.peer_count == 0) {
        log_event(LOG_LEVEL_WARN, "split_views_go_unnoticed", "advice=%s",
                  log_quoted_str("set vantage: this monitor sees only what the logs show it").text);
    }
    if (d->settings.sink_count == 0) {
        log_event(LOG_LEVEL_WARN, "nobody_is_told", "advice=%s",
                  log_quoted_str("set alert-webhook, alert-mail-to or another: alerts are on the "
                                 "page only")
                      .text);
    }
}

static enum err_code open_parts(struct daemon *d, struct err *err)
{
    enum err_code rc = open_key(d, err);
    if (rc == E_OK) {
        rc = open_store(d, err);
    }
    if (rc == E_OK) {
        rc = alerting_open(&d->alerting, &d->settings, &d->parts, err);
        d->is_misconfigured = rc == E_MALFORMED;
    }
    if (rc == E_OK) {
        rc = self_test_clean_up(d->parts.alerts, d->parts.started_s, err);
    }
    if (rc == E_OK) {
        struct watching_options options = {
            .settings = &d->settings, .list = &d->list, .dir = &d->dir, .parts = &d->parts
        };
        rc = watching_open(&d->watching, &options, err);
    }
    if (rc == E_OK) {
        rc = heartbeat_open(&d->parts.heartbeat, &d->parts, d->settings.heartbeat_s,
                            d->parts.started_s, err);
    }
    if (rc == E_OK) {
        d->parts.metrics = monitor_metrics_new(&d->parts);
        rc = watching_start(d->watching, err);
    }
    return rc;
}

static void run_watching_stop(void *arg)
{
    struct daemon *d = arg;
    if (d->watching != NULL) {
        watching_stop(d->watching);
    }
}

static void run_alerting_stop(void *arg)
{
    struct daemon *d = arg;
    if (d->alerting != NULL) {
        alerting_stop(d->alerting);
    }
}

/* What they find or tell until then is durable, whoever ends first. */
static void stop_parts(struct daemon *d)
{
    const struct together_task tasks[] = { { run_watching_stop, d }, { run_alerting_stop, d } };
    together_run(tasks, sizeof tasks / sizeof tasks[0]);
}

static void close_parts(struct daemon *d)
{
    monitor_service_free(d->service);
    relay_free(d->relay);
    monitor_metrics_free(d->parts.metrics);
    heartbeat_free(d->parts.heartbeat);
    watching_free(d->watching);
    alerting_free(d->alerting);
    state_store_free(d->parts.store);
    if (d->has_control) {
        unlink(d->parts.control_path);
    }
    monitor_dir_close(&d->dir);
    signer_clear(&d->key);
    watch_list_clear(&d->list);
}

/* -- Surfaces -- */

/* A socket that nobody serves is replaced by gRPC; what is no socket is left alone. */
static enum err_code check_control(struct daemon *d, struct err *err)
{
    struct stat info;
    const char *path = d->parts.control_path;
    if (lstat(path, &info) == 0 && !S_ISSOCK(info.st_mode)) {
        return err_set(err, E_IO, "control-socket: %s is there, and no socket", path);
    }
    struct address address;
    if (address_parse(&address, span_of_str(d->control), err) != E_OK) {
        return err->code;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_served = fd >= 0 && connect(fd, &address.any, sizeof address.un) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return is_served ? err_set(err, E_BUSY, "control-socket: another process serves %s", path)
                     : E_OK;
}

static enum err_code start_rpc(struct daemon *d, struct err *err)
{
    struct rpc_method methods[MONITOR_METHODS];
    d->service = monitor_service_new(&d->parts, methods);
    struct rpc_server_config config = { .methods = methods,
                                        .method_count = MONITOR_METHODS,
                                        .calls_max = CALLS_MAX };
    listen_set_rpc(&d->settings.listen, &config);
    config.listen[config.listen_count++] = d->control;
    enum err_code rc = check_control(d, err);
    if (rc == E_OK) {
        rc = rpc_server_start(&d->rpc, &config, err);
    }
    if (rc == E_OK) {
        d->has_control = true;
        alerting_tell(d->alerting, d->service);
        if (chmod(d->parts.control_path, CONTROL_MODE) != 0) {
            rc = err_set(err, E_IO, "control-socket: its mode cannot be set");
        }
    }
    return rc;
}

static enum err_code start_surfaces(struct daemon *d, struct err *err)
{
    struct buf http = BUF_INIT(sizeof d->http_text);
    enum err_code rc = monitor_http_listen(d->http, &d->settings.listen, &http, err);
    if (rc == E_OK) {
        memcpy(d->http_text, buf_c_str(&http), http.len + 1);
        rc = start_rpc(d, err);
    }
    buf_clear(&http);
    return rc;
}

/* -- Looking at ourselves, once a second -- */

static void run_look(void *arg)
{
    struct daemon *d = arg;
    struct err err;
    int64_t now_s = (int64_t)(uv_hrtime() / 1000000000);
    monitor_parts_health(&d->parts, &d->look.health);
    if (now_s - d->look.heartbeat_s >= HEARTBEAT_LOOK_S) {
        d->look.heartbeat_s = now_s;
        if (heartbeat_look(d->parts.heartbeat, (int64_t)time(NULL), &err) != E_OK) {
            log_error(LOG_LEVEL_ERROR, "heartbeat_failed", &err);
        }
    }
}

/* gRPC's health says what /healthz says. */
static void on_looked(void *arg)
{
    struct daemon *d = arg;
    d->look.is_under_way = false;
    pulse_rest(&d->look.pulse);
    if (!atomic_load(&d->parts.is_stopping)) {
        rpc_health_set(d->rpc, d->look.health.is_well);
    }
}

/* The service manager starts us again when this stays away: the loop hangs then, or a look at ourselves, or the lane
 * that answers readers. Who follows a log is left out, and who calls others: an evil log that hangs must not be able
 * to have us killed. /healthz tells of those. */
static void beat(struct daemon *d)
{
    uint64_t look_ms = pulse_stuck_ms(&d->look.pulse), read_ms = work_stuck_ms(d->parts.reads);
    if (look_ms < PULSE_STUCK_MS && read_ms < PULSE_STUCK_MS) {
        sd_notify(0, "WATCHDOG=1");
    } else {
        log_event(LOG_LEVEL_ERROR, "stuck", "look_ms=%llu read_ms=%llu",
                  (unsigned long long)look_ms, (unsigned long long)read_ms);
    }
}

static void on_look_timer(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    beat(d);
    if (!d->look.is_under_way) { /* the disk may be slow */
        d->look.is_under_way = true;
        pulse_step(&d->look.pulse);
        work_post_then(d->looking, d, run_look, on_looked);
    }
}

static void report_ready(struct daemon *d)
{
    uv_timer_start(&d->look_timer, on_look_timer, 0, LOOK_MS);
    struct buf grpc = BUF_INIT(LISTEN_TEXT_MAX + 1);
    listen_put_rpc(&d->settings.listen, d->rpc, &grpc);
    log_event(LOG_LEVEL_INFO, "ready", "http=%s grpc=%s", d->http_text, buf_c_str(&grpc));
    buf_clear(&grpc);
    sd_notify(0, "READY=1");
}

/* -- Stopping: requests are answered, then nobody asks, then nobody looks or tells, then the loop. Each
 * step begins when the parts of the last one are closed. -- */

static void wait_closed(struct daemon *d, int parts, void (*on_closed)(struct daemon *d))
{
    d->open = parts;
    d->on_closed = on_closed;
}

static void on_part_closed(void *ctx)
{
    struct daemon *d = ctx;
    assert(d->open > 0);
    if (--d->open == 0 && d->on_closed != NULL) {
        d->on_closed(d);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void run_on_worker(struct daemon *d, void (*run)(uv_work_t *work),
                          void (*then)(uv_work_t *work, int status))
{
    d->stop_work.data = d;
    int rc = uv_queue_work(&d->loop, &d->stop_work, run, then);
    assert(rc == 0);
}

static void run_stop_parts(uv_work_t *work)
{
    stop_parts(work->data);
}

static void close_handles(uv_work_t *work, int status)
{
    (void)status; /* never cancelled */
    struct daemon *d = work->data;
    wait_closed(d, 5, NULL);
    uv_close((uv_handle_t *)&d->sigterm, on_handle_closed);
    uv_close((uv_handle_t *)&d->sigint, on_handle_closed);
    uv_close((uv_handle_t *)&d->sighup, on_handle_closed);
    uv_close((uv_handle_t *)&d->stop_timer, on_handle_closed);
    uv_close((uv_handle_t *)&d->look_timer, on_handle_closed);
}

static void on_lanes_closed(struct daemon *d)
{
    run_on_worker(d, run_stop_parts, close_handles);
}

static void close_lanes(struct daemon *d)
{
    wait_closed(d, 4, on_lanes_closed);
    work_close(d->relayed, d, on_part_closed);
    work_close(d->parts.work, d, on_part_closed);
    work_close(d->parts.reads, d, on_part_closed);
    work_close(d->looking, d, on_part_closed);
}

static void stop_rpc(uv_work_t *work)
{
    struct daemon *d = work->data;
    if (d->service != NULL) {
        alerting_tell(d->alerting, NULL);
        monitor_service_end(d->service);
    }
    rpc_server_stop(d->rpc, GRACE_MS);
}

static void on_rpc_stopped(uv_work_t *work, int status)
{
    (void)status;
    struct daemon *d = work->data;
    close_lanes(d);
}

static void on_http_closed(struct daemon *d)
{
    run_on_worker(d, stop_rpc, on_rpc_stopped);
}

/* What was found is durable, and what was not told will be. What is left is a log that does not answer, a
 * sink that does not take, or a disk that hangs. */
static void on_stop_overdue(uv_timer_t *timer)
{
    log_event(LOG_LEVEL_WARN, "stop_forced", "after_ms=%d", STOP_MS);
    _exit(((struct daemon *)timer->data)->code);
}

static void begin_stop(struct daemon *d)
{
    if (atomic_exchange(&d->parts.is_stopping, true)) {
        return;
    }
    log_event(LOG_LEVEL_INFO, "stopping", "%s", "");
    sd_notify(0, "STOPPING=1");
    uv_timer_stop(&d->look_timer);
    uv_timer_start(&d->stop_timer, on_stop_overdue, STOP_MS, 0);
    if (d->rpc != NULL) {
        rpc_health_set(d->rpc, false);
    }
    wait_closed(d, 1, on_http_closed);
    monitor_http_close(d->http, GRACE_MS, d, on_part_closed);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
    (void)number;
    begin_stop(handle->data);
}

static void on_poll_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct daemon *d = handle->data;
    if (!atomic_load(&d->parts.is_stopping)) {
        log_event(LOG_LEVEL_INFO, "polling", "logs=%zu", d->parts.log_count);
        watching_poll_now(d->watching);
    }
}

/* -- All of it -- */

static void start_loop(struct daemon *d)
{
    uv_signal_init(&d->loop, &d->sigterm);
    uv_signal_init(&d->loop, &d->sigint);
    uv_signal_init(&d->loop, &d->sighup);
    uv_timer_init(&d->loop, &d->stop_timer);
    uv_timer_init(&d->loop, &d->look_timer);
    d->sigterm.data = d->sigint.data = d->sighup.data = d;
    d->stop_timer.data = d->look_timer.data = d;
    uv_signal_start(&d->sigterm, on_stop_signal, SIGTERM);
    uv_signal_start(&d->sigint, on_stop_signal, SIGINT);
    uv_signal_start(&d->sighup, on_poll_signal, SIGHUP);
}

static void serve(struct daemon *d)
{
    struct err err;
    d->code = MONITOR_STOPPED;
    d->relay = relay_new(d->parts.logs, d->parts.log_count, d->relayed);
    d->http = monitor_http_new(&d->loop, &d->parts, d->relay);
    if (start_surfaces(d, &err) != E_OK) {
        log_error(LOG_LEVEL_ERROR, "cannot_listen", &err);
        d->code = MONITOR_CANNOT_START;
        begin_stop(d);
    } else {
        report_ready(d);
    }
    uv_run(&d->loop, UV_RUN_DEFAULT);
    assert(d->open == 0);
    log_event(LOG_LEVEL_INFO, "stopped", "%s", "");
}

/* Some may look or tell already; a log that hangs holds this up no longer than a stop. */
static void abandon(struct daemon *d)
{
    d->code = d->is_misconfigured ? MONITOR_CONFIGURATION : MONITOR_CANNOT_START;
    uv_timer_start(&d->stop_timer, on_stop_overdue, STOP_MS, 0);
    close_lanes(d);
    uv_run(&d->loop, UV_RUN_DEFAULT);
}

static void prepare(struct daemon *d)
{
    process_prepare(CALL_WORKERS + READ_WORKERS + RELAY_WORKERS + LOOK_WORKERS + OTHER_WORKERS);
    uv_loop_init(&d->loop);
    start_loop(d);
    d->dir.lock_fd = -1;
    d->looking = work_new(&d->loop, LOOK_WORKERS);
    d->look.heartbeat_s = INT64_MIN / 2;
    d->parts.work = work_new(&d->loop, CALL_WORKERS);
    d->parts.reads = work_new(&d->loop, READ_WORKERS);
    d->relayed = work_new(&d->loop, RELAY_WORKERS);
    d->parts.started_s = (int64_t)time(NULL);
    d->parts.page_url = d->settings.page_url;
    d->parts.poll_interval_ms = d->settings.poll_interval_ms;
    d->parts.peer_notes_per_hour = d->settings.peer_notes_per_hour;
    d->parts.checks_per_minute = d->settings.checks_per_minute;
    private_paths_add(&d->parts.private_paths, d->settings.data_dir, "data-dir");
}

static void set_control_path(struct daemon *d)
{
    const char *path = d->settings.control_path != NULL ? d->settings.control_path : d->dir.control;
    snprintf(d->control, sizeof d->control, "unix:%s", path);
    d->parts.control_path = d->control + strlen("unix:");
}

enum monitor_exit monitor_run(const struct config *config)
{
    struct daemon *d = NEW(struct daemon);
    struct err err;
    if (monitor_settings_read(&d->settings, config, &err) != E_OK ||
        watch_list_read(&d->list, &d->settings, &err) != E_OK) {
        log_error(LOG_LEVEL_ERROR, "configuration", &err);
        mem_free(d);
        return MONITOR_CONFIGURATION;
    }
    prepare(d);
    warn_of_gaps(d);
    if (open_parts(d, &err) == E_OK) {
        set_control_path(d);
        serve(d);
    } else {
        log_error(LOG_LEVEL_ERROR, d->is_misconfigured ? "configuration" : "cannot_start", &err);
        abandon(d);
    }
    uv_loop_close(&d->loop);
    close_parts(d);
    enum monitor_exit code = d->code;
    mem_free(d);
    return code;
}
