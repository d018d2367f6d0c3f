#include "logd/daemon.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/log.h"
#include "logd/append_service.h"
#include "logd/cosign_service.h"
#include "logd/http_service.h"
#include "logd/opening.h"
#include "logd/read_service.h"
#include "logd/stream_service.h"
#include "net/process.h"
#include "net/rpc_health.h"
#include "net/rpc_server.h"

#include <assert.h>
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum {
    CACHE_BYTES = 32 * 1024 * 1024,
    INTEGRATOR_WORKERS = 4,
    WORK_RUNNING_MAX = 2,   /* receipts, proofs and promises */
    COSIGN_RUNNING_MAX = 1, /* notes that leave, and cosignatures that come, as files */
    /* libuv's workers, one for each thing that can run at a time: all of these, a round's step, and
     * the stop, which waits for what the others do. */
    UV_WORKERS = WORK_RUNNING_MAX + COSIGN_RUNNING_MAX + HTTP_SERVICE_WORKERS +
                 WITNESS_CLIENT_WORKERS + 1 + 1,
    CALLS_MAX = 16384, /* of gRPC, not answered; their entries have bounds of their own */
    UNINDEXED_MAX = 256 * 1024,
    UNSTORED_BYTES_MAX = 64 * 1024 * 1024, /* tiles in memory, but for those of a batch */
    DRAIN_MS = 3000,                       /* to publish what was committed */
    STOP_MS = 5000, /* and then for everything else: peers that do not read, a slow disk */
    DRAIN_POLL_MS = 20,
    HEALTH_MS = 1000,
    /* Most restarts: so that who waits for event=ready is admitted at once. */
    INDEX_WAIT_MS = 500,
    CHECK_WAIT_MS = 2000,
    GRACE_MS = 500,
};

struct daemon {
    struct settings settings;
    struct opening opening;
    struct parts parts;
    bool has_published;
    bool has_signed;  /* a note is published, or signed in this run */
    bool is_paused;   /* nothing is signed or admitted in this run */
    bool is_checking; /* nor is it until enough witnesses have been asked */

    uv_loop_t loop;
    uv_signal_t sigterm, sigint;
    uv_timer_t drain_timer;
    uv_timer_t health_timer;
    uv_work_t stop_work;
    struct append_service *append;
    struct stream_service *streams;
    struct http_service *http;
    struct rpc_server *rpc;
    char http_text[LISTEN_TEXT_MAX + 1];
    bool is_ready;
    bool is_check_overdue; /* it serves reads meanwhile, and says so */
    uint64_t drain_until_ms;
    int open; /* parts on the loop that are not closed yet */
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* -- Threads -- */

static void on_stored(void *ctx, uint64_t size)
{
    struct daemon *d = ctx;
    sequencer_thread_on_stored(d->parts.sequencer, size);
    publisher_on_stored(d->parts.publisher, size);
}

static void on_store_failed(void *ctx, const struct err *err)
{
    struct daemon *d = ctx;
    log_error(LOG_LEVEL_ERROR, "storing_failed", err);
    sequencer_thread_on_store_failed(d->parts.sequencer, err);
}

static void on_indexed(void *ctx, uint64_t size)
{
    struct daemon *d = ctx;
    sequencer_thread_on_indexed(d->parts.sequencer, size);
}

/* The state on disk is what counts now: leave at once, and let recovery find out. */
static void on_fatal(void *ctx, const struct err *err)
{
    (void)ctx;
    log_error(LOG_LEVEL_ERROR, "fatal", err);
    _exit(DAEMON_FATAL);
}

static void on_news(void *ctx, uint64_t size)
{
    struct daemon *d = ctx;
    publisher_on_news(d->parts.publisher, size);
}

static void on_snapshot(void *ctx, struct snapshot *snapshot)
{
    struct daemon *d = ctx;
    publisher_on_snapshot(d->parts.publisher, snapshot);
}

static void report_ready(struct daemon *d);

/* From here on there is a mark, or a note, to compare with: entries may come. */
static void on_signed(void *ctx)
{
    struct daemon *d = ctx;
    if (!d->has_signed) {
        d->has_signed = true;
        pool_open(d->parts.pool, POOL_CLOSED_FIRST_NOTE);
    }
    if (d->parts.policy != NULL) {
        report_ready(d); /* a quorum may be long in coming */
    }
}

static void on_published(void *ctx)
{
    struct daemon *d = ctx;
    d->has_published = true;
    append_service_on_published(d->append);
    stream_service_on_published(d->streams);
    report_ready(d);
}

static void on_checked(void *ctx, const char *reason)
{
    struct daemon *d = ctx;
    if (reason != NULL) {
        struct buf words = BUF_INIT(STATUS_REASON_MAX + POLICY_BYTES_MAX);
        /* The reason, which says what helps, first: readers of both may get the beginning only. */
        buf_putf(&words, "%s: %s", reason, d->opening.pause_err.msg);
        pool_close(d->parts.pool, POOL_CLOSED_CHECK, buf_c_str(&words));
        buf_clear(&words);
        return;
    }
    d->is_checking = false;
    d->parts.rollback_check = "the witnesses have shown no newer history";
    pool_open(d->parts.pool, POOL_CLOSED_CHECK);
    if (d->has_signed) {
        report_ready(d);
    }
}

static void on_halted(void *ctx, const char *reason)
{
    struct daemon *d = ctx;
    d->parts.rollback_check = "failed: another history of this log is out";
    pool_end(d->parts.pool, reason);
}

/* Entries below are in full tiles, whether these are stored or not. */
static uint64_t tiled_size(const struct edge *edge)
{
    return edge_size(edge) / TILE_WIDTH * TILE_WIDTH;
}

/* The entries of the last, partial tile are in no tile for the indexer to read. */
static struct index_job *tail_job(const struct edge *edge)
{
    uint64_t first = tiled_size(edge);
    size_t count = (size_t)(edge_size(edge) - first);
    struct index_job *job = mem_alloc(sizeof *job + count * sizeof job->leaves[0]);
    *job = (struct index_job){ .first = first, .count = count };
    memcpy(job->leaves, edge->tiles[0], count * sizeof job->leaves[0]);
    return job;
}

static void start_publisher(struct daemon *d)
{
    struct publisher_options options = {
        .loop = &d->loop,
        .signing = &d->parts.signing,
        .tiles = d->parts.tiles,
        .cache = d->parts.cache,
        .published = d->parts.published,
        .policy = d->parts.policy,
        .data_dir = d->settings.data_dir,
        .interval_ms = d->settings.checkpoint_interval_ms,
        .stored = d->opening.recovered.stored,
        .is_paused = d->is_paused,
        .is_checking = d->is_checking,
        .ctx = d,
        .on_signed = on_signed,
        .on_published = on_published,
        .on_checked = on_checked,
        .on_halted = on_halted,
    };
    d->parts.publisher = publisher_new(&options);
    for (size_t i = 0; i < d->opening.exported.count; i++) {
        publisher_add_note(d->parts.publisher, d->opening.exported.items[i].tree, true);
    }
    exported_notes_clear(&d->opening.exported);
}

/* To the sequencer all tiles are indexed: while the index catches up with them no entry can be looked
 * up, so that none is taken, and callers are told why. */
static void start_sequencer(struct daemon *d)
{
    struct sequencer_limits limits = {
        .has_dedup = d->settings.has_dedup,
        .batch_entries_max = COMMIT_ENTRIES_MAX,
        .batch_bytes_max = COMMIT_BYTES_MAX,
        .unindexed_max = UNINDEXED_MAX,
        .unstored_bytes_max = UNSTORED_BYTES_MAX,
    };
    struct sequencer_thread_options options = {
        .sequencer =
            sequencer_new(&limits, &d->opening.recovered.edge, &d->opening.recovered.recent,
                          d->opening.recovered.stored, tiled_size(&d->opening.recovered.edge)),
        .pool = d->parts.pool,
        .journal = d->opening.journal,
        .integrator = d->parts.integrator,
        .indexer = d->parts.indexer,
        .tiles = d->parts.cache,
        .ctx = d,
        .on_news = on_news,
        .on_snapshot = on_snapshot,
        .on_halt = on_fatal,
    };
    d->parts.sequencer = sequencer_thread_start(&options);
}

/* The disk was full when the log was recovered: reads are served, entries refused until there is room
 * for the tiles that are missing. */
static void store_unstored(struct daemon *d, uint64_t size)
{
    on_store_failed(d, &d->opening.recovered.unstored_err);
    integrator_add(d->parts.integrator, d->opening.recovered.unstored, size);
    d->opening.recovered.unstored = NULL;
}

/* Each for a reason of its own: only when none is left are entries taken. */
static void close_pool(struct daemon *d)
{
    if (d->is_paused) {
        pool_end(d->parts.pool, d->opening.pause_err.msg);
    }
    if (d->is_checking) {
        pool_close(d->parts.pool, POOL_CLOSED_CHECK, d->opening.pause_err.msg);
    }
    if (!d->has_signed) { /* size 0 is signed first: then there is always a mark to compare with */
        pool_close(d->parts.pool, POOL_CLOSED_FIRST_NOTE,
                   "the log has not signed its first checkpoint yet");
    }
}

static void start_parts(struct daemon *d)
{
    private_paths_add(&d->parts.private_paths, d->settings.data_dir, "data-dir");
    private_paths_add(&d->parts.private_paths, d->settings.mark_path, "mark-path");
    d->parts.work = work_new(&d->loop, WORK_RUNNING_MAX);
    d->parts.cosign_work = work_new(&d->loop, COSIGN_RUNNING_MAX);
    d->parts.cache = tile_cache_new(d->parts.tiles, CACHE_BYTES);
    d->parts.pool = pool_new(d->settings.pool_entries_max, d->settings.pool_bytes_max);
    close_pool(d);
    start_publisher(d);
    bool is_behind = d->opening.recovered.unstored_err.code != E_OK;
    uint64_t size = edge_size(&d->opening.recovered.edge),
             tiled = tiled_size(&d->opening.recovered.edge);
    struct integrator_callbacks stored = { d, on_stored, on_store_failed };
    d->parts.integrator =
        integrator_start(d->parts.tiles, is_behind ? d->opening.recovered.stored : size,
                         INTEGRATOR_WORKERS, &stored);
    struct index_job *tail = tail_job(&d->opening.recovered.edge);
    start_sequencer(d);
    if (is_behind) {
        store_unstored(d, size);
    }
    if (d->parts.indexer != NULL) {
        struct indexer_callbacks indexed = { d, on_indexed, on_fatal };
        indexer_add(d->parts.indexer, tail);
        indexer_start(d->parts.indexer, tiled, &indexed);
        indexer_wait_ready(d->parts.indexer, INDEX_WAIT_MS);
    } else {
        mem_free(tail);
    }
}

/* -- Surfaces -- */

static enum err_code start_rpc(struct daemon *d, struct err *err)
{
    struct rpc_method methods[1 + READ_METHODS + STREAM_METHODS + COSIGN_METHODS] = {
        { .path = "/courtroll.v1.Log/Append", .ctx = d->append, .on_call = append_on_call },
    };
    read_service_methods(&d->parts, methods + 1);
    stream_service_methods(d->streams, methods + 1 + READ_METHODS);
    cosign_service_methods(&d->parts, methods + 1 + READ_METHODS + STREAM_METHODS);
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

/* gRPC's health says what /readyz says. */
static void on_health_timer(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    char reason[STATUS_REASON_MAX];
    rpc_health_set(d->rpc, parts_is_admitting(&d->parts, reason, sizeof reason));
}

/* Once a checkpoint is there to be read: a log that has signed nothing yet does so first. */
static void report_ready(struct daemon *d)
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
    report_ready(d);
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
    uv_close((uv_handle_t *)&d->drain_timer, on_handle_closed);
    uv_close((uv_handle_t *)&d->health_timer, on_handle_closed);
    d->open += 9;
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
    if (!is_drained(d) && now_ms() < d->drain_until_ms) {
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
}

static enum daemon_exit serve(struct daemon *d)
{
    enum daemon_exit code = DAEMON_STOPPED;
    struct err err;
    uv_loop_init(&d->loop);
    start_loop(d);
    start_parts(d);
    d->append = append_service_new(&d->loop, &d->parts);
    d->streams = stream_service_new(&d->parts);
    d->http = http_service_new(&d->loop, &d->parts);
    if (start_surfaces(d, &err) != E_OK) {
        log_error(LOG_LEVEL_ERROR, "cannot_listen", &err);
        code = DAEMON_CANNOT_START;
        begin_stop(d, 0);
    } else {
        report_ready(d);
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

enum daemon_exit daemon_run(const struct config *config)
{
    struct daemon *d = NEW(struct daemon);
    enum daemon_exit code = DAEMON_CONFIGURATION;
    struct err err;
    d->opening.dir.lock_fd = -1;
    d->opening.settings = &d->settings;
    d->opening.parts = &d->parts;
    d->parts.started_ms = now_ms();
    d->parts.published = published_new();
    process_prepare(UV_WORKERS);
    if (settings_read(&d->settings, config, &err) != E_OK) {
        log_error(LOG_LEVEL_ERROR, "configuration", &err);
        goto out;
    }
    d->parts.has_http_add = d->settings.has_http_add;
    if (opening_run(&d->opening, &err) != E_OK) {
        log_error(LOG_LEVEL_ERROR, "cannot_start", &err);
        code = d->opening.is_misconfigured ? DAEMON_CONFIGURATION : DAEMON_CANNOT_START;
        indexer_stop(d->parts.indexer);
        goto out;
    }
    log_event(LOG_LEVEL_INFO, "recovered", "origin=%s size=%llu published=%llu took_ms=%llu",
              log_quoted_str(signing_origin(&d->parts.signing)).text,
              (unsigned long long)edge_size(&d->opening.recovered.edge),
              (unsigned long long)published_size(d->parts.published),
              (unsigned long long)(now_ms() - d->parts.started_ms));
    d->has_published = d->opening.has_published;
    d->has_signed = d->opening.has_signed;
    d->is_paused = d->opening.is_paused;
    d->is_checking = d->opening.is_checking;
    code = serve(d);
out:
    published_free(d->parts.published);
    opening_clear(&d->opening);
    tiles_close(d->parts.tiles);
    signing_close(&d->parts.signing);
    policy_free(d->parts.policy);
    mem_free(d);
    return code;
}
