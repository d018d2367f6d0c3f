#include "witness/daemon.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/pulse.h"
#include "net/process.h"
#include "net/rpc_health.h"
#include "net/rpc_server.h"
#include "store/mark_place.h"
#include "witness/bastions.h"
#include "witness/cosigning_metrics.h"
#include "witness/guard_service.h"
#include "witness/http_service.h"
#include "witness/log_lists.h"
#include "witness/settings.h"
#include "witness/tpm.h"
#include "witness/witness_dir.h"
#include "witness/witness_keys.h"
#include "witness/witness_service.h"

#include <assert.h>
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
    COSIGN_WORKERS_MIN = 2, /* one may wait for the disk where it looks up what it has seen */
    COSIGN_WORKERS_MAX = 32,
    READ_WORKERS = 2,  /* stores and files, for the surfaces */
    GUARD_WORKERS = 2, /* the guard's, and the TPM, which takes its time */
    OTHER_WORKERS = 3, /* a step of the stop, and the resolver of names */
    CALLS_MAX = 16384, /* of gRPC, not answered */
    HEALTH_MS = 1000,
    GRACE_MS = 1000,
    STOP_MS = 4500, /* for everything: peers that do not read, a slow disk */
};

struct daemon {
    struct settings settings;
    struct witness_keys keys;
    struct witness_dir dir;
    struct parts parts;
    bool is_misconfigured; /* what kept it from starting was the file of logs, or the mark's path */

    uv_loop_t loop;
    uv_signal_t sigterm, sigint, sighup;
    uv_timer_t stop_timer, health_timer, tpm_timer;
    uv_work_t stop_work;
    struct work *cosigning; /* the lane of the cosigner */
    struct work *guarding;  /* the lane of guard_service, and of the TPM */
    struct tpm tpm;
    enum err_code tpm_rc; /* of the step under way */
    struct err tpm_err;
    struct guard_service *guard_service;
    struct bastions *bastions; /* or NULL */
    struct log_lists *lists;
    struct witness_http *http;
    struct rpc_server *rpc;
    char http_text[LISTEN_TEXT_MAX + 1];
    int open;                            /* parts that are being closed */
    void (*on_closed)(struct daemon *d); /* once they are */
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static unsigned cosign_workers(void)
{
    unsigned cores = process_cores();
    return cores < COSIGN_WORKERS_MIN   ? COSIGN_WORKERS_MIN
           : cores > COSIGN_WORKERS_MAX ? COSIGN_WORKERS_MAX
                                        : cores;
}

/* -- Opening: keys, the directory, the store with its mark, guard and evidence, then the logs -- */

static enum err_code reopen_store(void *ctx, struct kv **out, struct err *err)
{
    struct daemon *d = ctx;
    return witness_dir_reopen_store(&d->dir, out, err);
}

static enum err_code open_ledger(struct daemon *d, struct err *err)
{
    struct kv *kv = NULL;
    struct mark_file *mark = NULL;
    enum err_code rc = witness_dir_open_store(&d->dir, &kv, err);
    if (rc == E_OK) {
        rc =
            ledger_open_mark(kv, d->settings.mark_path, d->settings.is_start_unchecked, &mark, err);
        if (rc != E_OK) {
            kv_close(kv);
        }
    }
    if (rc == E_OK) {
        struct ledger_options options = {
            .kv = kv, .mark = mark, .reopen = reopen_store, .ctx = d
        };
        d->parts.ledger = ledger_start(&options);
    }
    return rc;
}

/* A counter that is not what the store says, or is missed, is no reason not to start: what was signed is still served. */
static enum err_code open_tpm(struct daemon *d, struct err *err)
{
    bool has_tpm = d->settings.tpm_nv_index != NULL, is_unchecked = d->settings.is_start_unchecked;
    enum err_code rc = has_tpm ? tpm_start(&d->tpm, d->parts.ledger, is_unchecked, err)
                               : tpm_check_unused(d->parts.ledger, is_unchecked, err);
    if (rc == E_OK && has_tpm) {
        guard_use_tpm(d->parts.guard);
    } else if (rc == E_CONFLICT) {
        guard_refuse_all(d->parts.guard, err->msg);
        rc = E_OK;
    }
    return rc;
}

static enum err_code open_guard(struct daemon *d, struct err *err)
{
    d->parts.guard =
        guard_new(d->parts.ledger, d->keys.vkeys, d->keys.count, d->settings.peer_count);
    guard_set_peers(d->parts.guard, d->settings.peers, d->settings.peer_wait_seconds * 1000);
    if (d->settings.is_start_unchecked) {
        guard_start_unchecked(d->parts.guard);
    } else if (d->settings.mark_path == NULL && d->settings.peer_count == 0 &&
               d->settings.tpm_nv_index == NULL) {
        log_event(LOG_LEVEL_WARN, "rollback_not_detectable", "advice=%s",
                  log_quoted_str("set mark-path to a file on another disk, or peers").text);
    }
    return open_tpm(d, err);
}

/* In the loop thread, before the log can be looked up. */
static void on_log_added(void *ctx, struct known_log *log)
{
    struct daemon *d = ctx;
    guard_add(d->parts.guard, log);
    if (d->guard_service != NULL && !atomic_load(&d->parts.is_stopping)) {
        guard_service_look(d->guard_service);
    }
}

static enum err_code open_logs(struct daemon *d, struct err *err)
{
    const struct settings *s = &d->settings;
    struct log_lists_options options = {
        .loop = &d->loop,
        .work = d->parts.reads,
        .logs = d->parts.logs,
        .ledger = d->parts.ledger,
        .own_name = d->keys.vkeys[0].name,
        .path = s->logs,
        .lists = s->log_lists,
        .list_count = s->log_list_count,
        .copies = d->dir.lists,
        .poll_ms = s->log_list_hours * 3600 * 1000,
        .ctx = d,
        .on_added = on_log_added,
    };
    bool is_ledger = false;
    enum err_code rc = log_lists_open(&d->lists, &options, &is_ledger, err);
    d->is_misconfigured = rc != E_OK && !is_ledger;
    return rc;
}

static enum err_code open_parts(struct daemon *d, struct err *err)
{
    const struct settings *s = &d->settings;
    enum err_code rc = witness_keys_load(&d->keys, s->keys, s->key_count, err);
    if (rc == E_OK) {
        rc = witness_dir_open(&d->dir, s->data_dir, d->keys.signers, d->keys.count, err);
    }
    if (rc == E_OK) {
        rc = mark_place_check(s->mark_path, s->data_dir, err);
        d->is_misconfigured = rc != E_OK;
    }
    if (rc == E_OK) {
        rc = open_ledger(d, err);
    }
    if (rc == E_OK) {
        rc = open_guard(d, err);
    }
    if (rc == E_OK) {
        rc = evidence_keep_open(&d->parts.evidence, d->dir.evidence, err);
    }
    if (rc == E_OK) {
        rc = bastions_open(&d->bastions, s, d->dir.bastion_key, &d->keys, err);
    }
    if (rc == E_OK) {
        rc = open_logs(d, err);
    }
    if (rc == E_OK) { /* nobody is served yet: this thread may wait for the disk */
        guard_on_tick(d->parts.guard, now_ms());
    }
    return rc;
}

/* An old-size conflict: somebody may have a newer note of ours. Any thread. */
static void on_conflict(void *ctx, struct known_log *log)
{
    struct daemon *d = ctx;
    guard_service_ask(d->guard_service, log);
}

static void start_guard_service(struct daemon *d)
{
    struct guard_service_options options = {
        .loop = &d->loop,
        .work = d->guarding,
        .logs = d->parts.logs,
        .guard = d->parts.guard,
        .ledger = d->parts.ledger,
        .evidence = d->parts.evidence,
        .peers = d->settings.peers,
        .peer_count = d->settings.peer_count,
        .poll_ms = d->settings.peer_poll_seconds * 1000,
    };
    d->guard_service = guard_service_start(&options);
}

static void start_cosigner(struct daemon *d)
{
    struct parts *parts = &d->parts;
    struct budget_limits limits = {
        .peer_per_minute = d->settings.peer_requests_per_minute,
        .log_per_minute = d->settings.log_requests_per_minute,
    };
    parts->budget = budget_new(&limits);
    struct cosigner_options options = {
        .work = d->cosigning,
        .logs = parts->logs,
        .ledger = parts->ledger,
        .guard = parts->guard,
        .evidence = parts->evidence,
        .budget = parts->budget,
        .keys = d->keys.signers,
        .key_count = d->keys.count,
        .ctx = d,
        .on_conflict = on_conflict,
    };
    parts->cosigner = cosigner_new(&options);
}

static void close_parts(struct daemon *d)
{
    ledger_stop(d->parts.ledger);
    guard_free(d->parts.guard);
    evidence_keep_close(d->parts.evidence);
    budget_free(d->parts.budget);
    log_table_free(d->parts.logs);
    cosigning_metrics_free(d->parts.metrics);
    bastions_free(d->bastions);
    witness_dir_close(&d->dir);
    witness_keys_clear(&d->keys);
}

/* -- Surfaces -- */

static enum err_code start_surfaces(struct daemon *d, struct err *err)
{
    struct buf http = BUF_INIT(sizeof d->http_text);
    enum err_code rc = witness_http_listen(d->http, &d->settings.listen, &http, err);
    if (rc == E_OK) {
        memcpy(d->http_text, buf_c_str(&http), http.len + 1);
        struct rpc_method methods[WITNESS_METHODS];
        witness_service_methods(&d->parts, methods);
        struct rpc_server_config config = { .methods = methods,
                                            .method_count = WITNESS_METHODS,
                                            .calls_max = CALLS_MAX };
        listen_set_rpc(&d->settings.listen, &config);
        rc = rpc_server_start(&d->rpc, &config, err);
    }
    if (rc == E_OK && d->bastions != NULL) {
        d->parts.bastion_count = d->settings.bastion_count;
        rc = bastions_start(d->bastions, &d->loop, d->http, err);
        d->is_misconfigured = rc == E_MALFORMED;
    }
    buf_clear(&http);
    return rc;
}

static void on_tpm_timer(uv_timer_t *timer);

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The service manager starts us again when this stays away: the loop hangs then, or a thread behind it does. The
 * guard's lane is left out: peers and a TPM may take their time. */
static void beat(struct daemon *d)
{
    uint64_t stuck_ms = ledger_stuck_ms(d->parts.ledger);
    stuck_ms = larger(stuck_ms, work_stuck_ms(d->cosigning));
    stuck_ms = larger(stuck_ms, work_stuck_ms(d->parts.reads));
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
    rpc_health_set(d->rpc, parts_can_sign(&d->parts));
    atomic_store(&d->parts.bastions_connected, bastions_connected(d->bastions));
}

static void run_tpm_step(void *arg)
{
    struct daemon *d = arg;
    d->tpm_rc = tpm_step(&d->tpm, d->parts.ledger, &d->tpm_err);
}

static void on_tpm_stepped(void *arg)
{
    struct daemon *d = arg;
    if (d->tpm_rc == E_CONFLICT) {
        guard_refuse_all(d->parts.guard, d->tpm_err.msg);
    } else if (d->tpm_rc != E_OK) {
        log_error(LOG_LEVEL_ERROR, "tpm_not_stepped", &d->tpm_err);
    }
    if (!atomic_load(&d->parts.is_stopping)) {
        uv_timer_start(&d->tpm_timer, on_tpm_timer, TPM_STEP_MS, 0);
    }
}

static void on_tpm_timer(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    work_post_then(d->guarding, d, run_tpm_step, on_tpm_stepped);
}

static void report_ready(struct daemon *d)
{
    on_health_timer(&d->health_timer);
    uv_timer_start(&d->health_timer, on_health_timer, HEALTH_MS, HEALTH_MS);
    struct buf grpc = BUF_INIT(LISTEN_TEXT_MAX + 1);
    listen_put_rpc(&d->settings.listen, d->rpc, &grpc);
    log_event(LOG_LEVEL_INFO, "ready", "http=%s grpc=%s", d->http_text, buf_c_str(&grpc));
    buf_clear(&grpc);
    sd_notify(0, "READY=1");
}

/* -- Stopping: requests are answered, then nobody asks the cosigner, then the guard and the lists, then
 * the ledger finishes, then the loop. Each step begins when the parts of the last one are closed. -- */

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

static void stop_ledger(uv_work_t *work)
{
    struct daemon *d = work->data;
    ledger_stop(d->parts.ledger);
    d->parts.ledger = NULL;
}

static void close_loop_parts(uv_work_t *work, int status)
{
    (void)status; /* never cancelled */
    struct daemon *d = work->data;
    wait_closed(d, 8, NULL);
    witness_http_close(d->http, d, on_part_closed);
    work_close(d->parts.reads, d, on_part_closed);
    uv_close((uv_handle_t *)&d->sigterm, on_handle_closed);
    uv_close((uv_handle_t *)&d->sigint, on_handle_closed);
    uv_close((uv_handle_t *)&d->sighup, on_handle_closed);
    uv_close((uv_handle_t *)&d->stop_timer, on_handle_closed);
    uv_close((uv_handle_t *)&d->health_timer, on_handle_closed);
    uv_close((uv_handle_t *)&d->tpm_timer, on_handle_closed);
}

static void on_askers_closed(struct daemon *d)
{
    run_on_worker(d, stop_ledger, close_loop_parts);
}

static void on_guard_service_closed(struct daemon *d)
{
    wait_closed(d, 1, on_askers_closed);
    work_close(d->guarding, d, on_part_closed);
}

static void on_cosigner_idle(struct daemon *d)
{
    wait_closed(d, 2, on_guard_service_closed);
    log_lists_close(d->lists, d, on_part_closed);
    guard_service_close(d->guard_service, d, on_part_closed);
}

static void stop_rpc(uv_work_t *work)
{
    struct daemon *d = work->data;
    rpc_server_stop(d->rpc, GRACE_MS);
}

static void on_rpc_stopped(uv_work_t *work, int status)
{
    (void)status;
    struct daemon *d = work->data;
    wait_closed(d, 1, on_cosigner_idle);
    work_close(d->cosigning, d, on_part_closed);
}

static void on_http_ended(struct daemon *d)
{
    run_on_worker(d, stop_rpc, on_rpc_stopped);
}

/* What was answered is durable. What is left is peers that do not read, or a disk that hangs. */
static void on_stop_overdue(uv_timer_t *timer)
{
    (void)timer;
    log_event(LOG_LEVEL_WARN, "stop_forced", "after_ms=%d", STOP_MS);
    _exit(WITNESS_STOPPED);
}

static void begin_stop(struct daemon *d)
{
    if (atomic_exchange(&d->parts.is_stopping, true)) {
        return;
    }
    log_event(LOG_LEVEL_INFO, "stopping", "%s", "");
    sd_notify(0, "STOPPING=1");
    uv_timer_stop(&d->health_timer);
    uv_timer_stop(&d->tpm_timer);
    uv_timer_start(&d->stop_timer, on_stop_overdue, STOP_MS, 0);
    if (d->rpc != NULL) {
        rpc_health_set(d->rpc, false);
    }
    bool has_bastions = bastions_begun(d->bastions) > 0;
    wait_closed(d, has_bastions ? 2 : 1, on_http_ended);
    if (has_bastions) {
        bastions_close(d->bastions, d, on_part_closed);
    }
    witness_http_end(d->http, GRACE_MS, d, on_part_closed);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
    (void)number;
    begin_stop(handle->data);
}

static void on_reload_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct daemon *d = handle->data;
    if (!atomic_load(&d->parts.is_stopping)) {
        log_lists_reload(d->lists);
    }
}

/* -- All of it -- */

static void start_loop(struct daemon *d)
{
    uv_signal_init(&d->loop, &d->sigterm);
    uv_signal_init(&d->loop, &d->sigint);
    uv_signal_init(&d->loop, &d->sighup);
    uv_timer_init(&d->loop, &d->stop_timer);
    uv_timer_init(&d->loop, &d->health_timer);
    uv_timer_init(&d->loop, &d->tpm_timer);
    d->sigterm.data = d->sigint.data = d->sighup.data = d;
    d->stop_timer.data = d->health_timer.data = d->tpm_timer.data = d;
    uv_signal_start(&d->sigterm, on_stop_signal, SIGTERM);
    uv_signal_start(&d->sigint, on_stop_signal, SIGINT);
    uv_signal_start(&d->sighup, on_reload_signal, SIGHUP);
}

static enum witness_exit serve(struct daemon *d)
{
    enum witness_exit code = WITNESS_STOPPED;
    struct err err;
    start_loop(d);
    start_guard_service(d);
    start_cosigner(d);
    d->http = witness_http_new(&d->loop, &d->parts);
    log_lists_start(d->lists);
    if (start_surfaces(d, &err) != E_OK) {
        log_error(LOG_LEVEL_ERROR, "cannot_listen", &err);
        code = d->is_misconfigured ? WITNESS_CONFIGURATION : WITNESS_CANNOT_START;
        begin_stop(d);
    } else {
        if (d->settings.tpm_nv_index != NULL) {
            uv_timer_start(&d->tpm_timer, on_tpm_timer, TPM_STEP_MS, 0);
        }
        report_ready(d);
    }
    uv_run(&d->loop, UV_RUN_DEFAULT);
    assert(d->open == 0);
    cosigner_free(d->parts.cosigner);
    log_event(LOG_LEVEL_INFO, "stopped", "%s", "");
    return code;
}

/* The loop has nothing but a lane that was never used. */
static void abandon_loop(struct daemon *d)
{
    wait_closed(d, 3, NULL);
    work_close(d->guarding, d, on_part_closed);
    work_close(d->parts.reads, d, on_part_closed);
    work_close(d->cosigning, d, on_part_closed);
    uv_run(&d->loop, UV_RUN_DEFAULT);
}

enum witness_exit witness_run(const struct config *config)
{
    struct daemon *d = NEW(struct daemon);
    enum witness_exit code = WITNESS_CONFIGURATION;
    struct err err;
    unsigned workers = cosign_workers();
    d->dir.lock_fd = -1;
    d->parts.started_ms = now_ms();
    process_prepare(workers + READ_WORKERS + GUARD_WORKERS + OTHER_WORKERS);
    if (witness_settings_read(&d->settings, config, &err) != E_OK ||
        (d->settings.tpm_nv_index != NULL &&
         tpm_init(&d->tpm, d->settings.tpm_nv_index, &err) != E_OK)) {
        log_error(LOG_LEVEL_ERROR, "configuration", &err);
        mem_free(d);
        return code;
    }
    uv_loop_init(&d->loop);
    d->cosigning = work_new(&d->loop, workers);
    d->guarding = work_new(&d->loop, GUARD_WORKERS);
    d->parts.reads = work_new(&d->loop, READ_WORKERS);
    d->parts.keys = d->keys.signers;
    d->parts.logs = log_table_new();
    d->parts.metrics = cosigning_metrics_new();
    private_paths_add(&d->parts.private_paths, d->settings.data_dir, "data-dir");
    private_paths_add(&d->parts.private_paths, d->settings.mark_path, "mark-path");
    if (open_parts(d, &err) == E_OK) {
        d->parts.key_count = d->keys.count;
        code = serve(d);
    } else {
        log_error(LOG_LEVEL_ERROR, "cannot_start", &err);
        code = d->is_misconfigured ? WITNESS_CONFIGURATION : WITNESS_CANNOT_START;
        abandon_loop(d);
    }
    uv_loop_close(&d->loop);
    close_parts(d);
    mem_free(d);
    return code;
}
