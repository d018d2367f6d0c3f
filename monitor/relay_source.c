#include "monitor/relay_source.h"

#include "base/alloc.h"
#include "client/tile_reader.h"
#include "monitor/clock.h"
#include "tlog/bundle.h"

/* The log's reader, which refuses to begin anything after a time. */
struct timed_reader {
    struct log_reader reader;
    struct log_reader *log; /* owned; NULL: not open */
    uint64_t until_ms;
};

struct relay_source {
    struct watched_log *log; /* borrowed */
    struct timed_reader timed;
    struct tile_reader *tiles; /* owned; NULL: not open; of the tree of `size` */
    uint64_t size;
};

static enum err_code timed_get(struct log_reader *reader, const char *path, struct buf *out,
                               struct err *err)
{
    struct timed_reader *timed = (struct timed_reader *)reader;
    if (clock_monotonic_ms() >= timed->until_ms) {
        return err_set(err, E_TIMEOUT, "the log takes too long");
    }
    return log_reader_get(timed->log, path, out, err);
}

static void timed_close(struct log_reader *reader)
{
    struct timed_reader *timed = (struct timed_reader *)reader;
    log_reader_close(timed->log);
    timed->log = NULL;
}

static const struct log_reader_ops timed_ops = { timed_get, timed_close };

struct relay_source *relay_source_new(struct watched_log *log)
{
    struct relay_source *source = NEW(struct relay_source);
    source->log = log;
    source->timed.reader.ops = &timed_ops;
    return source;
}

static void close_tiles(struct relay_source *source)
{
    tile_reader_close(source->tiles);
    log_reader_close(&source->timed.reader);
    source->tiles = NULL;
    source->size = 0;
}

void relay_source_free(struct relay_source *source)
{
    if (source != NULL) {
        close_tiles(source);
        mem_free(source);
    }
}

static bool has_tile(const struct tile_path *path, uint64_t size)
{
    return path->width <= tile_width(path->id, size);
}

/* The held tree only grows: what it had once it has still, so a smaller one will do. */
static enum err_code open_tiles(struct relay_source *source, const struct tile_path *path,
                                struct err *err)
{
    const struct watched_log_options *options = watched_log_options(source->log);
    struct held_tree held;
    if (source->tiles != NULL && has_tile(path, source->size)) {
        return E_OK;
    }
    watched_log_held(source->log, &held);
    enum err_code rc = E_OK;
    if (!held.is_there || !has_tile(path, held.range.size) || options->relayed.open == NULL) {
        rc = err_set(err, E_NOT_FOUND, "the held tree has no such tile");
    }
    if (rc == E_OK && source->timed.log == NULL) {
        rc = options->relayed.open(options->relayed.ctx, &source->timed.log, err);
    }
    if (rc == E_OK) {
        tile_reader_close(source->tiles);
        source->tiles = NULL;
        rc = tile_reader_open(&source->tiles, &source->timed.reader, held.range.size, &held.root,
                              err);
        rc = rc == E_NOT_FOUND ? err_set(err, E_IO, "the log does not serve its edge") : rc;
        source->size = held.range.size;
    }
    held_tree_clear(&held);
    return rc;
}

static enum err_code get_bundle(struct relay_source *source, const struct tile_path *path,
                                struct buf *out, struct err *err)
{
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    struct span prefix;
    enum err_code rc = tile_reader_get_bundle(source->tiles, path->id.index, &bundle, err);
    if (rc == E_OK) {
        rc = bundle_prefix(&prefix, buf_span(&bundle), path->width, err);
    }
    if (rc == E_OK) {
        rc = buf_append(out, prefix, err);
    }
    buf_clear(&bundle);
    return rc;
}

static enum err_code get_tile(struct relay_source *source, const struct tile_path *path,
                              struct buf *out, struct err *err)
{
    const struct hash *hashes = NULL;
    enum err_code rc = tile_reader_get(source->tiles, path->id, &hashes, err);
    return rc == E_OK ? buf_append(out, span_of(hashes, (size_t)path->width * HASH_BYTES), err)
                      : rc;
}

enum err_code relay_source_get(struct relay_source *source, const struct tile_path *path,
                               uint64_t within_ms, struct buf *out, struct err *err)
{
    source->timed.until_ms = clock_monotonic_ms() + within_ms;
    enum err_code rc = open_tiles(source, path, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = path->is_bundle ? get_bundle(source, path, out, err) : get_tile(source, path, out, err);
    if (rc != E_OK) { /* a connection that hangs, or an edge that was true and is not served on */
        close_tiles(source);
    }
    return rc == E_NOT_FOUND ? err_set(err, E_IO, "the log does not serve what it signed") : rc;
}
