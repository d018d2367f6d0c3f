#include "logd/gate_service.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "net/process.h"
#include "tlog/bundle.h"
#include "tlog/merkle.h"

#include <assert.h>
#include <stdio.h>

enum {
    WORKERS_MIN = 2,
    WORKERS_MAX = 32,
    RETRY_MS = 200,        /* while the index catches up */
    FAILED_MS = 10 * 1000, /* after another error */
    REASON_MAX = 256,
};

struct gate_service {
    struct parts *parts;
    const char *submitters; /* path */
    uint64_t tiled;         /* entries below are in full tiles */
    uv_timer_t timer;
    bool is_closing;
    int open;
    void *closed_ctx;
    void (*on_closed)(void *ctx);

    /* Of the loading under way, on one thread at a time. */
    bool is_loaded;
    struct err load_err;
    uint64_t bundle_index; /* what `bundle` holds, if anything */
    struct buf bundle;
};

unsigned gate_service_workers(void)
{
    unsigned cores = process_cores();
    return cores < WORKERS_MIN ? WORKERS_MIN : cores > WORKERS_MAX ? WORKERS_MAX : cores;
}

/* -- The submitters file -- */

static enum err_code read_submitters(struct gate_service *service, struct err *err)
{
    struct buf file = BUF_INIT(REGISTRY_FILE_BYTES_MAX);
    enum err_code rc = file_read(&file, service->submitters, err);
    if (rc == E_OK) {
        rc = gate_enable(service->parts->gate, buf_span(&file), err);
    }
    buf_clear(&file);
    return rc == E_OK ? rc : err_wrap(err, "submitters %s", service->submitters);
}

void gate_service_reload(struct gate_service *service)
{
    struct err err;
    if (read_submitters(service, &err) != E_OK) {
        log_error(LOG_LEVEL_ERROR, "submitters_not_reloaded", &err);
        return;
    }
    struct registry_counts counts = registry_counts(service->parts->registry);
    log_event(LOG_LEVEL_INFO, "submitters_reloaded", "registered=%zu enabled=%zu usable=%zu",
              counts.registered, counts.enabled, counts.usable);
}

enum err_code gate_service_open(struct gate_service **out, const struct settings *settings,
                                struct parts *parts, struct err *err)
{
    struct gate_service *service = NEW(struct gate_service);
    service->parts = parts;
    service->submitters = settings->submitters;
    buf_init(&service->bundle, BUNDLE_BYTES_MAX);
    parts->registry = registry_new();
    struct gate_options options = {
        .origin = signing_origin(&parts->signing),
        .registry = parts->registry,
        .takes_vouched = settings->takes_vouched,
    };
    parts->gate = gate_new(&options);
    *out = service;
    return read_submitters(service, err);
}

/* -- The registrations on the log -- */

static void take_entry(struct gate_service *service, uint64_t index, struct span entry)
{
    struct operation operation = { 0 };
    struct err err;
    if (operation_decode(&operation, entry, &err) == E_OK) {
        registry_on_logged(service->parts->registry, index, &operation);
        operation_clear(&operation);
    }
}

static void take_tail(struct gate_service *service, const struct edge *edge)
{
    struct span rest = buf_span(&edge->bundle), entry;
    for (uint64_t index = service->tiled; bundle_take_entry(&rest, &entry); index++) {
        take_entry(service, index, entry);
    }
}

/* Neighbours are often in the same one. */
static enum err_code read_bundle(struct gate_service *service, uint64_t bundle, struct err *err)
{
    if (service->bundle.len > 0 && service->bundle_index == bundle) {
        return E_OK;
    }
    struct buf path = BUF_INIT(TILE_PATH_MAX + 1);
    bundle_path_append(&path, bundle, TILE_WIDTH);
    buf_reset(&service->bundle);
    service->bundle_index = bundle;
    enum err_code rc = tiles_read(service->parts->tiles, buf_c_str(&path), &service->bundle, err);
    if (rc != E_OK) {
        buf_reset(&service->bundle);
        err_wrap(err, "%s", buf_c_str(&path));
    }
    buf_clear(&path);
    return rc;
}

/* What stands there must hash to the leaf in the tree: a damaged bundle must not register anybody. */
static enum err_code on_index(void *ctx, uint64_t index, struct err *err)
{
    struct gate_service *service = ctx;
    if (index >= service->tiled) {
        return E_OK; /* of the partial tile, or logged in this run */
    }
    struct span entry;
    struct hash expected;
    enum err_code rc = read_bundle(service, index / TILE_WIDTH, err);
    if (rc == E_OK) {
        rc = bundle_entry(&entry, buf_span(&service->bundle), (uint16_t)(index % TILE_WIDTH), err);
    }
    if (rc == E_OK) {
        rc = tile_cache_stored_leaf(service->parts->cache, index, &expected, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    struct hash leaf = merkle_leaf_hash(entry);
    if (!hash_is_equal(&leaf, &expected)) {
        return err_set(err, E_CORRUPT, "entry %llu is not what was logged",
                       (unsigned long long)index);
    }
    take_entry(service, index, entry);
    return E_OK;
}

/* Main thread, then workers. */
static void run_load(void *arg)
{
    struct gate_service *service = arg;
    service->is_loaded = indexer_scan_registrations(service->parts->indexer, service, on_index,
                                                    &service->load_err) == E_OK;
    buf_clear(&service->bundle);
}

static void on_retry(uv_timer_t *timer);

static void on_loaded(void *arg)
{
    struct gate_service *service = arg;
    if (service->is_loaded) {
        struct registry_counts counts = registry_counts(service->parts->registry);
        log_event(LOG_LEVEL_INFO, "registrations_read", "registered=%zu enabled=%zu usable=%zu",
                  counts.registered, counts.enabled, counts.usable);
        pool_open(service->parts->pool, POOL_CLOSED_REGISTRATIONS);
        return;
    }
    char reason[REASON_MAX];
    snprintf(reason, sizeof reason, "the registrations on the log are not read yet: %.200s",
             service->load_err.msg);
    pool_close(service->parts->pool, POOL_CLOSED_REGISTRATIONS, reason);
    bool is_behind = service->load_err.code == E_UNAVAILABLE;
    if (!is_behind) {
        log_error(LOG_LEVEL_ERROR, "registrations_not_read", &service->load_err);
    }
    if (!service->is_closing) {
        uv_timer_start(&service->timer, on_retry, is_behind ? RETRY_MS : FAILED_MS, 0);
    }
}

static void on_retry(uv_timer_t *timer)
{
    struct gate_service *service = timer->data;
    work_post_then(service->parts->work, service, run_load, on_loaded);
}

void gate_service_start(struct gate_service *service, uv_loop_t *loop, const struct edge *edge)
{
    service->tiled = edge_size(edge) / TILE_WIDTH * TILE_WIDTH;
    service->parts->verify_work = work_new(loop, gate_service_workers());
    uv_timer_init(loop, &service->timer);
    service->timer.data = service;
    take_tail(service, edge);
}

void gate_service_load(struct gate_service *service)
{
    run_load(service);
    on_loaded(service);
}

/* -- The end -- */

static void on_part_closed(struct gate_service *service)
{
    if (--service->open == 0) {
        service->on_closed(service->closed_ctx);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void on_work_closed(void *ctx)
{
    on_part_closed(ctx);
}

void gate_service_close(struct gate_service *service, void *ctx, void (*on_closed)(void *ctx))
{
    service->is_closing = true;
    service->closed_ctx = ctx;
    service->on_closed = on_closed;
    service->open = 2;
    uv_close((uv_handle_t *)&service->timer, on_timer_closed);
    work_close(service->parts->verify_work, service, on_work_closed);
}

void gate_service_free(struct gate_service *service)
{
    if (service == NULL) {
        return;
    }
    gate_free(service->parts->gate);
    registry_free(service->parts->registry);
    buf_clear(&service->bundle);
    mem_free(service);
}
