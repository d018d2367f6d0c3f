#include "base/alloc.h"
#include "base/limits.h"
#include "base/log.h"
#include "logd/anchor.h"
#include "logd/append_service.h"
#include "logd/daemon_parts.h"

#include <unistd.h>

enum {
    CACHE_BYTES = 32 * 1024 * 1024,
    INTEGRATOR_WORKERS = 4,
    UNINDEXED_MAX = 256 * 1024,
    UNSTORED_BYTES_MAX = 64 * 1024 * 1024, /* tiles in memory, but for those of a batch */
    /* Most restarts: so that who waits for event=ready is admitted at once. */
    INDEX_WAIT_MS = 500,
};

/* -- What they tell -- */

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

/* From here on there is a mark, or a note, to compare with: entries may come. */
static void on_signed(void *ctx)
{
    struct daemon *d = ctx;
    if (!d->has_signed) {
        d->has_signed = true;
        pool_open(d->parts.pool, POOL_CLOSED_FIRST_NOTE);
    }
    if (d->parts.policy != NULL) {
        daemon_report_ready(d); /* a quorum may be long in coming */
    }
}

static void on_published(void *ctx)
{
    struct daemon *d = ctx;
    d->has_published = true;
    append_service_on_published(d->append);
    stream_service_on_published(d->streams);
    daemon_report_ready(d);
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
        daemon_report_ready(d);
    }
}

static void on_halted(void *ctx, const char *reason)
{
    struct daemon *d = ctx;
    d->parts.rollback_check = "failed: another history of this log is out";
    pool_end(d->parts.pool, reason);
}

/* -- Their start -- */

/* Entries below are in full tiles, whether these are stored or not. */
static uint64_t tiled_size(const struct edge *edge)
{
    return edge_size(edge) / TILE_WIDTH * TILE_WIDTH;
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
        .has_facts = d->settings.is_operation,
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
    if (d->settings.is_frozen) {
        pool_close(d->parts.pool, POOL_CLOSED_FROZEN,
                   "this log has ended (frozen = on) and takes no more entries; what it has stays, "
                   "and is proved as before");
    }
    if (d->is_checking) {
        pool_close(d->parts.pool, POOL_CLOSED_CHECK, d->opening.pause_err.msg);
    }
    if (!d->has_signed) { /* size 0 is signed first: then there is always a mark to compare with */
        pool_close(d->parts.pool, POOL_CLOSED_FIRST_NOTE,
                   "the log has not signed its first checkpoint yet");
    }
}

void daemon_start_threads(struct daemon *d)
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
    if (d->parts.indexer != NULL) {
        indexer_add_tail(d->parts.indexer, &d->opening.recovered.edge);
    }
    if (d->gate != NULL) {
        gate_service_start(d->gate, &d->loop, &d->opening.recovered.edge);
    }
    start_sequencer(d);
    if (is_behind) {
        store_unstored(d, size);
    }
    if (d->parts.indexer != NULL) {
        struct indexer_callbacks indexed = { d, on_indexed, on_fatal };
        indexer_start(d->parts.indexer, tiled, &indexed);
        indexer_wait_ready(d->parts.indexer, INDEX_WAIT_MS);
    }
    if (d->settings.is_operation && d->settings.anchor_seconds > 0) {
        d->parts.anchor = anchor_start(&d->loop, &d->parts, d->settings.anchor_seconds);
    }
    if (d->gate != NULL) {
        gate_service_load(d->gate);
    }
}
