/* entry_scan.c -- the normal path is: worker i reads bundles i, i + n, i + 2n, ... one at a time and hashes them; the
 * caller takes them in order and joins the hashes. A log behind gRPC sends one stream instead. */
#include "client/entry_scan.h"

#include "base/alloc.h"
#include "client/log_reader.h"
#include "client/rpc_log.h"
#include "tlog/bundle.h"

#include <assert.h>
#include <pthread.h>

enum {
    THREADS_OF_DISK = 2,
    THREADS_OF_NETWORK = 8,
    CONNECT_TIMEOUT_MS = 10 * 1000,
};

struct scan {
    const struct entry_scan_options *options;
    struct compact_range range; /* of what was handed on */
    unsigned thread_count;

    pthread_mutex_t lock; /* guards the rest, and the slots' is_full */
    pthread_cond_t changed;
    bool is_stopping;
};

/* One worker, and the bundle that it has read. */
struct slot {
    struct scan *scan;
    unsigned number;
    pthread_t thread;
    bool is_full; /* the rest is then the caller's, else the worker's */
    struct buf bundle;
    struct hash leaves[TILE_WIDTH];
    enum err_code rc;
    struct err err;
};

static enum err_code hand_on(struct scan *scan, struct span entry, const struct hash *leaf,
                             struct err *err)
{
    enum err_code rc = scan->options->on_entry(scan->options->ctx, scan->range.size, entry, err);
    if (rc == E_OK) {
        compact_range_append(&scan->range, leaf, NULL, NULL);
    }
    return rc;
}

static void tell_progress(const struct scan *scan)
{
    if (scan->options->on_progress != NULL) {
        scan->options->on_progress(scan->options->ctx, scan->range.size);
    }
}

/* ---- files ---- */

static uint64_t bundle_count(const struct scan *scan)
{
    uint64_t size = scan->options->size;
    return size / TILE_WIDTH + (size % TILE_WIDTH != 0 ? 1 : 0);
}

static enum err_code read_bundle(struct slot *slot, struct log_reader *reader, uint64_t index)
{
    const struct tile_path path = {
        true, { 0, index }, tile_width((struct tile_id){ 0, index }, slot->scan->options->size)
    };
    buf_reset(&slot->bundle);
    enum err_code rc = log_reader_get_tile(reader, &path, &slot->bundle, &slot->err);
    return rc == E_OK
               ? bundle_leaf_hashes(slot->leaves, buf_span(&slot->bundle), path.width, &slot->err)
               : rc;
}

/* Waits until the caller has taken the last one; false: it wants no more. */
static bool wait_until_empty(struct slot *slot)
{
    struct scan *scan = slot->scan;
    pthread_mutex_lock(&scan->lock);
    while (slot->is_full && !scan->is_stopping) {
        pthread_cond_wait(&scan->changed, &scan->lock);
    }
    bool goes_on = !scan->is_stopping;
    pthread_mutex_unlock(&scan->lock);
    return goes_on;
}

static void hand_over(struct slot *slot, bool is_full)
{
    pthread_mutex_lock(&slot->scan->lock);
    slot->is_full = is_full;
    pthread_cond_broadcast(&slot->scan->changed);
    pthread_mutex_unlock(&slot->scan->lock);
}

static void *work(void *ctx)
{
    struct slot *slot = ctx;
    struct scan *scan = slot->scan;
    struct log_reader *reader = NULL;
    slot->rc = log_reader_open(&reader, scan->options->log, &slot->err);
    for (uint64_t i = slot->number; i < bundle_count(scan); i += scan->thread_count) {
        if (!wait_until_empty(slot)) {
            break;
        }
        if (slot->rc == E_OK) {
            slot->rc = read_bundle(slot, reader, i);
        }
        bool is_last = slot->rc != E_OK;
        hand_over(slot, true);
        if (is_last) {
            break;
        }
    }
    log_reader_close(reader);
    return NULL;
}

static enum err_code take_bundle(struct scan *scan, struct slot *slot, struct err *err)
{
    pthread_mutex_lock(&scan->lock);
    while (!slot->is_full) {
        pthread_cond_wait(&scan->changed, &scan->lock);
    }
    pthread_mutex_unlock(&scan->lock);
    if (slot->rc != E_OK) {
        *err = slot->err;
        return slot->rc;
    }
    struct span rest = buf_span(&slot->bundle);
    struct span entry;
    enum err_code rc = E_OK;
    for (size_t i = 0; rc == E_OK && bundle_take_entry(&rest, &entry); i++) {
        rc = hand_on(scan, entry, &slot->leaves[i], err);
    }
    hand_over(slot, false);
    return rc;
}

static enum err_code scan_files(struct scan *scan, struct err *err)
{
    bool is_disk = scan->options->log->kind == LOG_ADDRESS_DIRECTORY;
    struct slot *slots = mem_calloc(THREADS_OF_NETWORK, sizeof *slots);
    enum err_code rc = E_OK;
    scan->thread_count = is_disk ? THREADS_OF_DISK : THREADS_OF_NETWORK;
    pthread_mutex_init(&scan->lock, NULL);
    pthread_cond_init(&scan->changed, NULL);
    for (unsigned i = 0; i < scan->thread_count; i++) {
        slots[i].scan = scan;
        slots[i].number = i;
        buf_init(&slots[i].bundle, BUNDLE_BYTES_MAX);
        int failed = pthread_create(&slots[i].thread, NULL, work, &slots[i]);
        assert(!failed);
    }
    for (uint64_t i = 0; rc == E_OK && i < bundle_count(scan); i++) {
        rc = take_bundle(scan, &slots[i % scan->thread_count], err);
        tell_progress(scan);
    }
    pthread_mutex_lock(&scan->lock);
    scan->is_stopping = true;
    pthread_cond_broadcast(&scan->changed);
    pthread_mutex_unlock(&scan->lock);
    for (unsigned i = 0; i < scan->thread_count; i++) {
        pthread_join(slots[i].thread, NULL);
        buf_clear(&slots[i].bundle);
    }
    pthread_cond_destroy(&scan->changed);
    pthread_mutex_destroy(&scan->lock);
    mem_free(slots);
    return rc;
}

/* ---- gRPC ---- */

static enum err_code take_run(struct scan *scan, const struct rpc_log_run *run, struct err *err)
{
    enum err_code rc = E_OK;
    if (run->first != scan->range.size ||
        run->entry_count > scan->options->size - scan->range.size) {
        return err_set(err, E_MALFORMED, "entry %ju: the log sent others than were asked for",
                       (uintmax_t)scan->range.size);
    }
    for (size_t i = 0; rc == E_OK && i < run->entry_count; i++) {
        struct hash leaf = merkle_leaf_hash(run->entries[i]);
        rc = hand_on(scan, run->entries[i], &leaf, err);
    }
    tell_progress(scan);
    return rc;
}

static enum err_code read_stream(struct scan *scan, struct rpc_log *log, struct err *err)
{
    struct rpc_log_entries *entries = NULL;
    struct rpc_log_run run = { 0 };
    enum err_code rc =
        rpc_log_entries_open(&entries, log, 0, scan->options->size, RPC_NO_DEADLINE, err);
    if (rc != E_OK) {
        return rc;
    }
    while (rc == E_OK && scan->range.size < scan->options->size) {
        rc = rpc_log_entries_next(entries, &run, err);
        if (rc == E_OK && run.entry_count == 0) {
            rc = err_set(err, E_CORRUPT, "the log sent %ju entries only",
                         (uintmax_t)scan->range.size);
        }
        if (rc == E_OK) {
            rc = take_run(scan, &run, err);
        }
    }
    rpc_log_entries_close(entries);
    return rc;
}

static enum err_code scan_rpc(struct scan *scan, struct err *err)
{
    const struct log_address *address = scan->options->log;
    const struct rpc_client_config config = { .target = address->target,
                                              .tls_ca_path = address->tls_ca_path,
                                              .tls_cert_path = address->tls_cert_path,
                                              .tls_key_path = address->tls_key_path };
    struct rpc_log *log = NULL;
    enum err_code rc = rpc_log_open(&log, &config, CONNECT_TIMEOUT_MS, err);
    if (rc == E_OK) {
        rc = read_stream(scan, log, err);
    }
    rpc_log_close(log);
    return rc;
}

enum err_code entry_scan_run(const struct entry_scan_options *options, struct err *err)
{
    struct scan scan = { .options = options };
    enum err_code rc = E_OK;
    compact_range_init(&scan.range);
    if (options->size > 0) {
        rc = options->log->kind == LOG_ADDRESS_GRPC ? scan_rpc(&scan, err) : scan_files(&scan, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    struct hash root = compact_range_root(&scan.range);
    if (scan.range.size != options->size || !hash_is_equal(&root, &options->root)) {
        return err_set(err, E_CORRUPT, "the entries are not those of the signed root: run fsck");
    }
    return E_OK;
}
