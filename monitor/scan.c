/* scan.c -- threads, and joining in order what they hashed.
 *
 * The normal path is: workers take batches of full bundles, lowest first, and hash each bundle to its
 * node of level 8; the calling thread appends these nodes in order. Batches lie in a ring, and none is
 * taken that has no place there. Bundles at the ends that are not whole are the calling thread's, and
 * giant ones.
 * It can fail anywhere: a worker's error waits in its batch until all before it is joined, so the range
 * is a correct prefix whenever it is told, and the error that is named is that of the lowest bundle. */
#include "monitor/scan.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "monitor/clock.h"
#include "monitor/scan_parts.h"
#include "store/tile_source.h"

#include <assert.h>
#include <pthread.h>
#include <time.h>

enum {
    BATCH_BUNDLES_MAX = 16,
    VISITED_BUNDLES_MAX = 2, /* with a visitor, whose views are larger than hashes */
    BATCHES_PER_THREAD = 4,
    BUNDLES_PER_THREAD_MIN = 4, /* fewer are not worth a thread and a connection */
    PROGRESS_MS = 1000,
};

/* -- joining: the calling thread -- */

struct join {
    const struct scan_options *options;
    struct scan_shared shared;
    struct scan_reader reader;  /* the calling thread's own */
    struct scan_views views;    /* likewise */
    struct compact_range range; /* all below range.size is hashed into it */
    uint64_t bytes, tiles;
    uint64_t told_size; /* on_progress knows it */
    uint64_t told_ms;
};

static void tell_progress(struct join *join)
{
    if (join->options->on_progress != NULL && join->told_size != join->range.size) {
        join->options->on_progress(join->options->ctx, &join->range);
        join->told_size = join->range.size;
        join->told_ms = clock_monotonic_ms();
    }
}

static void join_tile(struct join *join, const struct scan_tile *tile)
{
    join->tiles += tile->is_compared ? 1 : 0;
    if (tile->is_bad) {
        join->options->on_bad_tile(join->options->ctx, &tile->bad);
    }
}

/* Tiles above level 0 that became full. */
struct full_tiles {
    size_t count;
    struct {
        struct tile_id id;
        struct hash root;
    } tiles[TILE_LEVELS];
};

static void add_full_tile(void *ctx, struct merkle_node node, const struct hash *hash)
{
    struct full_tiles *full = ctx;
    if (node.level > TILE_HEIGHT && node.level % TILE_HEIGHT == 0) {
        uint8_t level = (uint8_t)(node.level / TILE_HEIGHT - 1);
        full->tiles[full->count].id = (struct tile_id){ level, node.index };
        full->tiles[full->count++].root = *hash;
    }
}

/* Appends a node, and compares the tiles that it fills. When one cannot be read the range stays as it
 * was: who goes on from there compares it. */
static enum err_code join_node(struct join *join, uint8_t level, const struct hash *hash,
                               struct err *err)
{
    struct compact_range next = join->range;
    struct full_tiles full = { .count = 0 };
    compact_range_append_node(&next, level, hash, add_full_tile, &full);
    for (size_t i = 0; i < full.count && join->options->on_bad_tile != NULL; i++) {
        struct scan_tile tile;
        enum err_code rc =
            scan_check_tile(&join->reader, full.tiles[i].id, &full.tiles[i].root, &tile, err);
        if (rc != E_OK) {
            return rc;
        }
        join_tile(join, &tile);
    }
    join->range = next;
    return E_OK;
}

/* Entries that the range has come to have: `from` to its end, all of one bundle. */
static enum err_code see(struct join *join, struct scan_views *views, uint64_t from,
                         struct err *err)
{
    const struct scan_visitor *visitor = join->options->visitor;
    size_t count = (size_t)(join->range.size - from);
    if (visitor == NULL || count == 0) {
        return E_OK;
    }
    return visitor->see(visitor->ctx, from,
                        scan_views_at(views, &join->shared, (size_t)(from % TILE_WIDTH)), count,
                        &join->range, err);
}

/* The first `count` entries of the bundle that the range ends in are those that it was made of. */
static bool is_same_start(const struct compact_range *range, const struct hash *leaves,
                          uint16_t count)
{
    struct compact_range again = *range;
    again.size -= count;
    for (size_t i = 0; i < count; i++) {
        compact_range_append(&again, &leaves[i], NULL, NULL);
    }
    size_t hashes = (size_t)__builtin_popcountll(range->size);
    return memcmp(again.hashes, range->hashes, hashes * HASH_BYTES) == 0;
}

/* What lacks of the bundle that the range ends in, up to its end or `to`. */
static enum err_code join_rest_of_bundle(struct join *join, struct err *err)
{
    uint64_t from = join->range.size;
    struct tile_id id = { 0, join->range.size / TILE_WIDTH };
    uint16_t known = (uint16_t)(join->range.size % TILE_WIDTH);
    uint16_t width = tile_width(id, join->options->to);
    struct scan_bundle bundle;
    enum err_code rc = scan_check_stopping(&join->shared, err);
    if (rc == E_OK) {
        rc = scan_read_bundle(&join->reader, id.index, known, width, &bundle, &join->views, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    if (!is_same_start(&join->range, bundle.leaves, known)) {
        struct tile_path path = { true, id, width };
        return err_set(err, E_CORRUPT, "%s: its first %u entries are not those hashed before",
                       tile_path_text(&path).text, (unsigned)known);
    }
    join->bytes += bundle.bytes;
    join_tile(join, &bundle.tile);
    for (size_t i = known; i < width && rc == E_OK; i++) {
        rc = join_node(join, 0, &bundle.leaves[i], err);
    }
    struct err see_err; /* also of what was joined before an error */
    enum err_code see_rc = see(join, &join->views, from, &see_err);
    if (rc == E_OK && see_rc != E_OK) {
        *err = see_err;
        rc = see_rc;
    }
    return rc;
}

/* -- batches -- */

/* What is left of a full bundle. */
struct full_bundle {
    bool is_giant;    /* nothing is: it is for the calling thread to read */
    struct hash node; /* of level 8 */
    uint64_t bytes;
    struct scan_tile tile;
    struct scan_views views; /* stays with the place in the ring, and is emptied */
};

struct batch {
    uint64_t first; /* bundle */
    size_t count;
    size_t done; /* those before the one that failed */
    enum err_code rc;
    struct err err;
    struct full_bundle bundles[BATCH_BUNDLES_MAX];
    bool is_done; /* guarded by the run's lock */
};

struct run {
    struct join *join;
    uint64_t first, end; /* bundles, all full */
    size_t batch_bundles;
    uint64_t batches;

    pthread_mutex_t lock; /* guards all below, and is_done of the ring */
    pthread_cond_t is_filled, is_drained;
    struct batch *ring; /* batch number n is at n % ring_count; owned */
    size_t ring_count;
    uint64_t taken, joined; /* batches */
    bool is_ended;          /* nothing more is to be taken */
};

static enum err_code hash_full_bundle(struct scan_reader *reader, uint64_t index,
                                      struct full_bundle *out, struct err *err)
{
    struct scan_bundle bundle;
    enum err_code rc = scan_check_stopping(reader->shared, err);
    if (rc == E_OK) {
        rc = scan_read_bundle(reader, index, 0, TILE_WIDTH, &bundle, &out->views, err);
    }
    out->is_giant = rc == E_TOO_LARGE && !reader->is_callers;
    if (rc != E_OK) {
        return out->is_giant ? E_OK : rc;
    }
    out->node = tile_root(span_of(bundle.leaves, TILE_BYTES));
    out->bytes = bundle.bytes;
    out->tile = bundle.tile;
    return E_OK;
}

static void hash_batch(struct scan_reader *reader, struct batch *batch)
{
    batch->rc = E_OK;
    for (batch->done = 0; batch->done < batch->count; batch->done++) {
        batch->rc = hash_full_bundle(reader, batch->first + batch->done,
                                     &batch->bundles[batch->done], &batch->err);
        if (batch->rc != E_OK) {
            return;
        }
    }
}

static enum err_code join_full_bundle(struct join *join, uint64_t index, struct full_bundle *bundle,
                                      struct err *err)
{
    enum err_code rc = E_OK;
    if (bundle->is_giant) {
        rc = hash_full_bundle(&join->reader, index, bundle, err);
    }
    if (rc == E_OK) {
        uint64_t from = join->range.size;
        join_tile(join, &bundle->tile);
        join->bytes += bundle->bytes;
        rc = join_node(join, TILE_HEIGHT, &bundle->node, err);
        if (rc == E_OK) {
            rc = see(join, &bundle->views, from, err);
        }
    }
    if (bundle->views.all != NULL) {
        scan_views_drop(&bundle->views, &join->shared);
    }
    return rc;
}

static enum err_code join_batch(struct join *join, struct batch *batch, struct err *err)
{
    for (size_t i = 0; i < batch->done; i++) {
        enum err_code rc = join_full_bundle(join, batch->first + i, &batch->bundles[i], err);
        if (rc != E_OK) {
            return rc;
        }
        if (clock_monotonic_ms() - join->told_ms >= PROGRESS_MS) {
            tell_progress(join);
        }
    }
    if (batch->rc != E_OK) {
        *err = batch->err;
    }
    return batch->rc;
}

/* The place of batch number `number`, made ready for hash_batch. */
static struct batch *batch_at(const struct run *run, uint64_t number)
{
    struct batch *batch = &run->ring[number % run->ring_count];
    batch->first = run->first + number * run->batch_bundles;
    uint64_t left = run->end - batch->first;
    batch->count = left < run->batch_bundles ? (size_t)left : run->batch_bundles;
    batch->is_done = false;
    return batch;
}

/* -- workers -- */

/* Waits for a place in the ring; NULL when there is nothing left to do. */
static struct batch *take_batch(struct run *run)
{
    struct batch *batch = NULL;
    pthread_mutex_lock(&run->lock);
    while (!run->is_ended && run->taken < run->batches &&
           run->taken - run->joined == run->ring_count) {
        pthread_cond_wait(&run->is_drained, &run->lock);
    }
    if (!run->is_ended && run->taken < run->batches) {
        batch = batch_at(run, run->taken++);
    }
    pthread_mutex_unlock(&run->lock);
    return batch;
}

/* After an error nothing above it is begun; what is below is in hand already. */
static void give_batch(struct run *run, struct batch *batch)
{
    pthread_mutex_lock(&run->lock);
    batch->is_done = true;
    run->is_ended |= batch->rc != E_OK;
    if (batch == &run->ring[run->joined % run->ring_count]) {
        pthread_cond_signal(&run->is_filled);
    }
    pthread_mutex_unlock(&run->lock);
}

static void *work(void *ctx)
{
    struct run *run = ctx;
    struct scan_reader reader;
    scan_reader_init(&reader, &run->join->shared, false);
    struct batch *batch;
    while ((batch = take_batch(run)) != NULL) {
        hash_batch(&reader, batch);
        give_batch(run, batch);
    }
    scan_reader_clear(&reader);
    return NULL;
}

/* The next batch in order, once it is hashed. */
static struct batch *wait_for_batch(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    struct batch *batch = &run->ring[run->joined % run->ring_count];
    while (!batch->is_done) {
        pthread_cond_wait(&run->is_filled, &run->lock);
    }
    pthread_mutex_unlock(&run->lock);
    return batch;
}

static void advance(struct run *run, bool is_ended)
{
    pthread_mutex_lock(&run->lock);
    run->ring[run->joined % run->ring_count].is_done = false;
    run->joined++;
    run->is_ended |= is_ended;
    pthread_cond_broadcast(&run->is_drained);
    pthread_mutex_unlock(&run->lock);
}

static enum err_code join_all(struct run *run, struct err *err)
{
    enum err_code rc = E_OK;
    for (uint64_t i = 0; i < run->batches && rc == E_OK; i++) {
        rc = join_batch(run->join, wait_for_batch(run), err);
        advance(run, rc != E_OK);
    }
    if (rc != E_OK) { /* all below the error was joined */
        atomic_store(&run->join->shared.is_abandoned, true);
    }
    return rc;
}

/* All of it on the calling thread. */
static enum err_code hash_all(struct run *run, struct err *err)
{
    enum err_code rc = E_OK;
    for (uint64_t i = 0; i < run->batches && rc == E_OK; i++) {
        struct batch *batch = batch_at(run, i);
        hash_batch(&run->join->reader, batch);
        rc = join_batch(run->join, batch, err);
    }
    return rc;
}

/* -- the run -- */

static unsigned thread_count(const struct scan_options *options, uint64_t bundles)
{
    uint64_t worth = bundles / BUNDLES_PER_THREAD_MIN;
    uint64_t count = worth < options->threads ? worth : options->threads;
    return count > 1 ? (unsigned)count : 0; /* one alone: the calling thread itself */
}

static void open_ring(struct run *run)
{
    run->ring = mem_calloc(run->ring_count, sizeof *run->ring);
    for (size_t i = 0; i < run->ring_count; i++) {
        for (size_t j = 0; j < run->batch_bundles; j++) {
            scan_views_init(&run->ring[i].bundles[j].views, &run->join->shared);
        }
    }
}

static void close_ring(struct run *run)
{
    for (size_t i = 0; i < run->ring_count; i++) {
        for (size_t j = 0; j < run->batch_bundles; j++) {
            scan_views_clear(&run->ring[i].bundles[j].views, &run->join->shared);
        }
    }
    mem_free(run->ring);
}

static enum err_code join_full_bundles(struct join *join, struct err *err)
{
    struct run run = { .join = join,
                       .first = join->range.size / TILE_WIDTH,
                       .end = join->options->to / TILE_WIDTH,
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .is_filled = PTHREAD_COND_INITIALIZER,
                       .is_drained = PTHREAD_COND_INITIALIZER };
    if (run.first >= run.end) {
        return E_OK;
    }
    pthread_t threads[SCAN_THREADS_MAX];
    unsigned wanted = thread_count(join->options, run.end - run.first);
    run.ring_count = wanted > 0 ? BATCHES_PER_THREAD * wanted : 1;
    uint64_t share = (run.end - run.first) / run.ring_count; /* each thread has several */
    uint64_t most = join->options->visitor != NULL ? VISITED_BUNDLES_MAX : BATCH_BUNDLES_MAX;
    run.batch_bundles = share == 0 ? 1 : (size_t)(share < most ? share : most);
    run.batches = (run.end - run.first - 1) / run.batch_bundles + 1;
    open_ring(&run);
    unsigned running = 0;
    while (running < wanted && pthread_create(&threads[running], NULL, work, &run) == 0) {
        running++;
    }
    enum err_code rc = running > 0 ? join_all(&run, err) : hash_all(&run, err);
    for (unsigned i = 0; i < running; i++) {
        pthread_join(threads[i], NULL);
    }
    close_ring(&run);
    return rc;
}

static enum err_code run_join(struct join *join, struct err *err)
{
    enum err_code rc = E_OK;
    if (join->range.size % TILE_WIDTH != 0) {
        rc = join_rest_of_bundle(join, err);
    }
    if (rc == E_OK) {
        rc = join_full_bundles(join, err);
    }
    if (rc == E_OK && join->range.size < join->options->to) {
        rc = join_rest_of_bundle(join, err);
    }
    return rc;
}

enum err_code scan_run(struct scan_report *out, const struct scan_options *options, struct err *err)
{
    assert(options->threads >= 1);
    assert(options->threads <= SCAN_THREADS_MAX);
    assert(options->from->size < options->to);
    assert(options->to <= SIZE_VALUE_MAX);
    struct join join = { .options = options,
                         .shared = { .options = options },
                         .range = *options->from,
                         .told_size = options->from->size,
                         .told_ms = clock_monotonic_ms() };
    scan_reader_init(&join.reader, &join.shared, true);
    scan_views_init(&join.views, &join.shared);
    enum err_code rc = run_join(&join, err);
    scan_views_clear(&join.views, &join.shared);
    scan_reader_clear(&join.reader);
    tell_progress(&join);
    if (rc == E_OK) {
        assert(join.range.size == options->to);
        *out = (struct scan_report){ .range = join.range,
                                     .entries = options->to - options->from->size,
                                     .bytes = join.bytes,
                                     .tiles = join.tiles };
    }
    return rc;
}
