/* fsck.c -- threads, and the way through the log.
 *
 * The caller's thread goes through the level-1 tiles in order and hands out batches of bundles with
 * what the signed tree holds for them; workers read and hash. The queue is short, so that memory does
 * not depend on the log. */
#include "base/alloc.h"
#include "base/limits.h"
#include "client/fsck_parts.h"
#include "store/tile_source.h"
#include "tlog/bundle.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH_TILES = 16,     /* bundles in a batch: 4096 entries */
    QUEUE_PER_THREAD = 4, /* batches waiting */
    HTTP_THREADS = 8,     /* they wait for the network more than they hash */
    PROGRESS_MS = 100,
};

/* -- reading -- */

enum err_code fsck_reader_open(struct fsck_reader *out, struct fsck *fsck, struct err *err)
{
    struct fsck_reader reader = { .fsck = fsck };
    enum err_code rc = log_reader_open(&reader.log, fsck->options->log, err);
    if (rc == E_OK && fsck->options->from != NULL) {
        rc = log_reader_open(&reader.from, fsck->options->from, err);
        if (rc != E_OK) {
            log_reader_close(reader.log);
        }
    }
    if (rc != E_OK) {
        return rc;
    }
    buf_init(&reader.tile, TILE_BYTES);
    buf_init(&reader.bundle, BUNDLE_BYTES_MAX);
    *out = reader;
    return E_OK;
}

void fsck_reader_close(struct fsck_reader *reader)
{
    log_reader_close(reader->log);
    log_reader_close(reader->from);
    buf_clear(&reader->tile);
    buf_clear(&reader->bundle);
}

/* What a failed read means: something about the file, or the end of the run. */
static enum err_code judge(const struct fsck *fsck, struct fsck_file *file, enum err_code rc,
                           const struct err *err)
{
    file->is_there = rc == E_OK;
    file->detail[0] = '\0';
    if (rc == E_OK) {
        return E_OK;
    }
    if (rc == E_NOT_FOUND) {
        file->problem = FSCK_MISSING;
        return E_OK;
    }
    snprintf(file->detail, sizeof file->detail, "%.*s", FSCK_DETAIL_MAX - 1, err->msg);
    if (rc == E_MALFORMED || rc == E_TOO_LARGE) {
        file->problem = FSCK_MALFORMED;
        return E_OK;
    }
    file->problem = FSCK_UNREADABLE;
    return fsck->is_directory ? E_OK : rc;
}

enum err_code fsck_read_tile(struct fsck_reader *reader, struct tile_id id, uint16_t width,
                             struct hash *hashes, struct fsck_file *file, struct err *err)
{
    buf_reset(&reader->tile);
    struct tile_path path = { false, id, width };
    enum err_code rc = log_reader_get_tile(reader->log, &path, &reader->tile, err);
    if (rc == E_OK) {
        memcpy(hashes, reader->tile.data, (size_t)width * HASH_BYTES);
        atomic_fetch_add(&reader->fsck->tiles, 1);
        atomic_fetch_add(&reader->fsck->bytes, reader->tile.len);
    }
    return judge(reader->fsck, file, rc, err);
}

/* The bytes stay in reader->bundle, malformed or not. */
enum err_code fsck_read_bundle(struct fsck_reader *reader, uint64_t index, uint16_t width,
                               struct hash *leaves, struct fsck_file *file, struct err *err)
{
    buf_reset(&reader->bundle);
    struct tile_path path = { true, { 0, index }, width };
    enum err_code rc =
        log_reader_get(reader->log, tile_path_text(&path).text, &reader->bundle, err);
    if (rc == E_NOT_FOUND && width < TILE_WIDTH) {
        rc = log_reader_get_tile(reader->log, &path, &reader->bundle, err);
    }
    if (rc == E_OK) {
        rc = bundle_leaf_hashes(leaves, buf_span(&reader->bundle), width, err);
    }
    if (rc == E_OK) {
        atomic_fetch_add(&reader->fsck->bundles, 1);
        atomic_fetch_add(&reader->fsck->bytes, reader->bundle.len);
    }
    return judge(reader->fsck, file, rc, err);
}

bool fsck_read_mirror_tile(struct fsck_reader *reader, struct tile_id id, uint16_t width,
                           struct hash *hashes)
{
    if (reader->from == NULL) {
        return false;
    }
    struct err ignored; /* a mirror is a help, no more */
    buf_reset(&reader->tile);
    struct tile_path path = { false, id, width };
    if (log_reader_get_tile(reader->from, &path, &reader->tile, &ignored) != E_OK) {
        return false;
    }
    memcpy(hashes, reader->tile.data, (size_t)width * HASH_BYTES);
    return true;
}

/* -- batches -- */

struct batch {
    uint64_t first; /* tile */
    size_t count;
    bool is_known;
    struct hash hashes[BATCH_TILES]; /* of full tiles */
    const struct hash *edge;         /* of the one partial tile, which then is alone */
};

struct queue {
    struct fsck *fsck;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t is_filled, is_drained;
    struct batch *batches; /* a ring; owned */
    size_t first, count, max;
    size_t busy; /* workers with a batch in hand */
    bool is_closed;
};

static bool has_failed(struct fsck *fsck)
{
    pthread_mutex_lock(&fsck->lock);
    bool is_failed = fsck->is_failed;
    pthread_mutex_unlock(&fsck->lock);
    return is_failed;
}

static void fail(struct fsck *fsck, const struct err *err)
{
    pthread_mutex_lock(&fsck->lock);
    if (!fsck->is_failed) {
        fsck->is_failed = true;
        fsck->err = *err;
    }
    pthread_mutex_unlock(&fsck->lock);
}

/* Waits for a batch; false when there will be none. */
static bool queue_take(struct queue *queue, struct batch *batch)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->count == 0 && !queue->is_closed) {
        pthread_cond_wait(&queue->is_filled, &queue->lock);
    }
    bool is_taken = queue->count > 0;
    if (is_taken) {
        *batch = queue->batches[queue->first];
        queue->first = (queue->first + 1) % queue->max;
        queue->count--;
        queue->busy++;
    }
    pthread_mutex_unlock(&queue->lock);
    return is_taken;
}

static void queue_done(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->busy--;
    pthread_cond_signal(&queue->is_drained);
    pthread_mutex_unlock(&queue->lock);
}

/* Waits, telling the progress, until at most `left` batches are waiting or in hand. */
static void queue_wait(struct queue *queue, size_t left)
{
    const struct fsck_options *options = queue->fsck->options;
    pthread_mutex_lock(&queue->lock);
    while (queue->count + queue->busy > left) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += PROGRESS_MS * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&queue->is_drained, &queue->lock, &until);
        if (options->on_progress != NULL) {
            pthread_mutex_unlock(&queue->lock);
            options->on_progress(options->ctx, atomic_load(&queue->fsck->entries));
            pthread_mutex_lock(&queue->lock);
        }
    }
    pthread_mutex_unlock(&queue->lock);
}

static void queue_give(struct queue *queue, const struct batch *batch)
{
    queue_wait(queue, queue->max - 1);
    pthread_mutex_lock(&queue->lock);
    queue->batches[(queue->first + queue->count) % queue->max] = *batch;
    queue->count++;
    pthread_cond_signal(&queue->is_filled);
    pthread_mutex_unlock(&queue->lock);
}

static enum err_code check_batch(struct fsck_reader *reader, const struct batch *batch,
                                 struct err *err)
{
    struct fsck *fsck = reader->fsck;
    for (size_t i = 0; i < batch->count; i++) {
        struct tile_id id = { 0, batch->first + i };
        uint16_t width = tile_width(id, fsck->options->size);
        bool is_full = width == TILE_WIDTH;
        enum err_code rc = fsck_check_bundle(reader, id.index, width,
                                             batch->is_known && is_full ? &batch->hashes[i] : NULL,
                                             batch->is_known && !is_full ? batch->edge : NULL, err);
        if (rc != E_OK) {
            return rc;
        }
        atomic_fetch_add(&fsck->entries, width);
    }
    return E_OK;
}

static void *work(void *ctx)
{
    struct queue *queue = ctx;
    struct fsck_reader reader;
    struct err err;
    bool is_open = fsck_reader_open(&reader, queue->fsck, &err) == E_OK;
    if (!is_open) {
        fail(queue->fsck, &err);
    }
    struct batch batch;
    while (queue_take(queue, &batch)) {
        if (is_open && !has_failed(queue->fsck) && check_batch(&reader, &batch, &err) != E_OK) {
            fail(queue->fsck, &err);
        }
        queue_done(queue);
    }
    if (is_open) {
        fsck_reader_close(&reader);
    }
    return NULL;
}

/* -- the way through -- */

/* Gives out the level-0 tiles below tile `index` of level 1. */
static enum err_code give_below(struct queue *queue, struct fsck_tree *tree, uint64_t index,
                                struct err *err)
{
    uint64_t size = queue->fsck->options->size;
    struct tile_id id = { 1, index };
    uint16_t width = tile_width(id, size);
    const struct fsck_truth *truth = NULL;
    enum err_code rc = width == 0 ? E_OK : fsck_tree_get(tree, id, &truth, err);
    if (rc != E_OK) {
        return rc;
    }
    struct batch batch = { .first = index * TILE_WIDTH };
    for (size_t at = 0; at < width; at += batch.count, batch.first += batch.count) {
        batch.count = width - at < BATCH_TILES ? width - at : BATCH_TILES;
        batch.is_known = truth->is_known;
        memcpy(batch.hashes, &truth->hashes[at], batch.count * HASH_BYTES);
        queue_give(queue, &batch);
    }
    uint16_t partial = tile_width((struct tile_id){ 0, batch.first }, size);
    if (width < TILE_WIDTH && partial > 0) {
        batch.count = 1;
        batch.is_known = tree->edge[0].is_known;
        batch.edge = tree->edge[0].hashes;
        queue_give(queue, &batch);
    }
    return E_OK;
}

static enum err_code give_all(struct queue *queue, struct fsck_tree *tree, struct err *err)
{
    const uint64_t below = (uint64_t)TILE_WIDTH * TILE_WIDTH; /* entries below a level-1 tile */
    uint64_t size = queue->fsck->options->size;
    for (uint64_t index = 0; index <= size / below && !has_failed(queue->fsck); index++) {
        enum err_code rc = give_below(queue, tree, index, err);
        if (rc != E_OK) {
            return rc;
        }
    }
    return E_OK;
}

static unsigned thread_count(const struct fsck *fsck)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = fsck->options->threads;
    if (threads == 0) {
        threads = cores > 0 ? (unsigned)cores : 1;
        if (!fsck->is_directory && threads < HTTP_THREADS) {
            threads = HTTP_THREADS;
        }
    }
    return threads < FSCK_THREADS_MAX ? threads : FSCK_THREADS_MAX;
}

static enum err_code check_bundles(struct fsck *fsck, struct fsck_tree *tree, struct err *err)
{
    struct queue queue = { .fsck = fsck,
                           .lock = PTHREAD_MUTEX_INITIALIZER,
                           .is_filled = PTHREAD_COND_INITIALIZER,
                           .is_drained = PTHREAD_COND_INITIALIZER };
    unsigned wanted = thread_count(fsck);
    unsigned running = 0;
    pthread_t threads[FSCK_THREADS_MAX];
    queue.max = QUEUE_PER_THREAD * wanted;
    queue.batches = mem_calloc(queue.max, sizeof *queue.batches);
    while (running < wanted && pthread_create(&threads[running], NULL, work, &queue) == 0) {
        running++;
    }
    enum err_code rc = E_OK;
    if (running == 0) {
        rc = err_set(err, E_IO, "no thread could be started");
    } else {
        rc = give_all(&queue, tree, err);
        queue_wait(&queue, 0);
    }
    pthread_mutex_lock(&queue.lock);
    queue.is_closed = true;
    pthread_cond_broadcast(&queue.is_filled);
    pthread_mutex_unlock(&queue.lock);
    for (unsigned i = 0; i < running; i++) {
        pthread_join(threads[i], NULL);
    }
    mem_free(queue.batches);
    if (rc == E_OK && fsck->is_failed) {
        *err = fsck->err;
        return err->code;
    }
    return rc;
}

static enum err_code run(struct fsck *fsck, struct err *err)
{
    if (fsck->options->log->kind == LOG_ADDRESS_GRPC) {
        return fsck_run_rpc(fsck, err);
    }
    struct fsck_tree *tree = NULL;
    enum err_code rc = fsck_tree_open(&tree, fsck, err);
    if (rc == E_OK) {
        rc = check_bundles(fsck, tree, err);
    }
    if (rc == E_OK && fsck->is_directory) {
        rc = fsck_scan(&tree->reader, err);
    }
    fsck_tree_close(tree);
    return rc;
}

enum err_code fsck_run(struct fsck_report *out, const struct fsck_options *options, struct err *err)
{
    struct fsck_report report = { 0 };
    struct fsck fsck = { .options = options,
                         .is_directory = options->log->kind == LOG_ADDRESS_DIRECTORY,
                         .lock = PTHREAD_MUTEX_INITIALIZER,
                         .report = &report };
    assert(fsck.is_directory || !options->is_repair);
    enum err_code rc = run(&fsck, err);
    if (rc != E_OK) {
        fsck_report_clear(&report);
        return rc;
    }
    report.entries = fsck.entries;
    report.bundles = fsck.bundles;
    report.tiles = fsck.tiles;
    report.bytes = fsck.bytes;
    if (options->on_progress != NULL) {
        options->on_progress(options->ctx, report.entries);
    }
    *out = report;
    return E_OK;
}
