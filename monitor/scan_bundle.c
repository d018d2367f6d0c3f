/* scan_bundle.c -- one bundle with its level-0 tile, and one tile above. */
#include "base/alloc.h"
#include "base/limits.h"
#include "monitor/scan_parts.h"
#include "store/tile_source.h"
#include "tlog/bundle.h"

#include <assert.h>
#include <stdio.h>

void scan_reader_init(struct scan_reader *reader, struct scan_shared *shared, bool is_callers)
{
    *reader = (struct scan_reader){ .shared = shared, .is_callers = is_callers };
    buf_init(&reader->bundle, SCAN_BUNDLE_BYTES);
    buf_init(&reader->tile, TILE_BYTES);
}

void scan_reader_clear(struct scan_reader *reader)
{
    log_reader_close(reader->log);
    buf_clear(&reader->bundle);
    buf_clear(&reader->tile);
}

enum err_code scan_check_stopping(const struct scan_shared *shared, struct err *err)
{
    const atomic_bool *is_stopping = shared->options->is_stopping;
    if ((is_stopping != NULL && atomic_load(is_stopping)) || atomic_load(&shared->is_abandoned)) {
        return err_set(err, E_UNAVAILABLE, "the scan was stopped");
    }
    return E_OK;
}

static enum err_code open_log(struct scan_reader *reader, struct err *err)
{
    const struct scan_source *source = &reader->shared->options->source;
    return reader->log != NULL ? E_OK : source->open(source->ctx, &reader->log, err);
}

/* Appends the bundle's bytes. A partial one that is not there is taken from the full one, which may
 * have come to be since. */
static enum err_code get_bundle(struct scan_reader *reader, const struct tile_path *path,
                                struct buf *out, struct err *err)
{
    enum err_code rc = log_reader_get(reader->log, tile_path_text(path).text, out, err);
    if (rc != E_NOT_FOUND || path->width == TILE_WIDTH) {
        return rc;
    }
    struct tile_path full = { true, path->id, TILE_WIDTH };
    struct err full_err;
    enum err_code full_rc = log_reader_get(reader->log, tile_path_text(&full).text, out, &full_err);
    if (full_rc == E_NOT_FOUND) {
        return rc; /* it is the partial one that was asked for */
    }
    struct span kept;
    if (full_rc == E_OK) {
        full_rc = bundle_prefix(&kept, buf_span(out), path->width, &full_err);
    }
    if (full_rc == E_OK) {
        buf_truncate(out, kept.len);
        return E_OK;
    }
    *err = full_err;
    return full_rc;
}

/* -- for a visitor -- */

void scan_views_init(struct scan_views *views, const struct scan_shared *shared)
{
    const struct scan_visitor *visitor = shared->options->visitor;
    *views = (struct scan_views){ .all = NULL };
    if (visitor != NULL) {
        views->all = mem_calloc(TILE_WIDTH, visitor->view_bytes);
    }
}

void scan_views_drop(struct scan_views *views, const struct scan_shared *shared)
{
    for (size_t i = views->first; i < views->end; i++) {
        shared->options->visitor->drop(shared->options->visitor->ctx,
                                       scan_views_at(views, shared, i));
    }
    views->first = views->end = 0;
}

void scan_views_clear(struct scan_views *views, const struct scan_shared *shared)
{
    scan_views_drop(views, shared);
    mem_free(views->all);
    views->all = NULL;
}

/* The bytes are a bundle: they have been hashed. */
static void read_entries(const struct scan_reader *reader, uint64_t index, uint16_t known,
                         uint16_t width, struct span bytes, const struct scan_bundle *bundle,
                         struct scan_views *views)
{
    const struct scan_visitor *visitor = reader->shared->options->visitor;
    struct span entry;
    scan_views_drop(views, reader->shared);
    views->first = views->end = known;
    for (uint16_t i = 0; i < width && bundle_take_entry(&bytes, &entry); i++) {
        if (i >= known) {
            visitor->read(visitor->ctx, index * TILE_WIDTH + i, &bundle->leaves[i], entry,
                          scan_views_at(views, reader->shared, i));
            views->end = (uint16_t)(i + 1);
        }
    }
}

/* -- hashing -- */

/* One bundle, of which so many entries are known already. */
struct asked {
    struct tile_path path;
    uint16_t known;
    struct scan_views *views;
};

static enum err_code hash_bundle(struct scan_reader *reader, const struct asked *asked,
                                 struct buf *bytes, struct scan_bundle *out, struct err *err)
{
    const struct tile_path *path = &asked->path;
    buf_reset(bytes);
    enum err_code rc = get_bundle(reader, path, bytes, err);
    if (rc == E_OK) {
        out->bytes = bytes->len;
        rc = bundle_leaf_hashes(out->leaves, buf_span(bytes), path->width, err);
    }
    if (rc == E_OK && asked->views->all != NULL) {
        read_entries(reader, path->id.index, asked->known, path->width, buf_span(bytes), out,
                     asked->views);
    }
    return rc;
}

/* As hash_bundle, for one that is too large for the thread's own buffer. */
static enum err_code hash_giant(struct scan_reader *reader, const struct asked *asked,
                                struct scan_bundle *out, struct err *err)
{
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    enum err_code rc = hash_bundle(reader, asked, &bytes, out, err);
    buf_clear(&bytes);
    return rc;
}

static void set_bad(struct scan_tile *tile, const struct tile_path *path, enum err_code code,
                    const char *detail)
{
    tile->is_bad = true;
    tile->bad.path = *path;
    tile->bad.code = code;
    snprintf(tile->bad.detail, sizeof tile->bad.detail, "%.*s", (int)sizeof tile->bad.detail - 1,
             detail);
}

/* A tile that is missing or of the wrong length is bad; what else fails ends the scan. */
static enum err_code get_tile(struct scan_reader *reader, const struct tile_path *path,
                              struct scan_tile *out, struct err *err)
{
    buf_reset(&reader->tile);
    enum err_code rc = log_reader_get_tile(reader->log, path, &reader->tile, err);
    if (rc == E_NOT_FOUND || rc == E_MALFORMED) {
        set_bad(out, path, rc, err->msg);
        return E_OK;
    }
    out->is_compared = rc == E_OK;
    return rc == E_OK ? E_OK : err_wrap(err, "%s", tile_path_text(path).text);
}

/* Says where the tile's hashes and the entries' part. */
static void set_different(struct scan_tile *tile, const struct tile_path *path,
                          const struct hash *leaves, const uint8_t *hashes)
{
    size_t at = 0;
    while (memcmp(leaves[at].bytes, hashes + at * HASH_BYTES, HASH_BYTES) == 0) {
        at++;
    }
    char detail[128];
    snprintf(detail, sizeof detail, "its hash of entry %ju is not that of the entry served",
             (uintmax_t)(path->id.index * TILE_WIDTH + at));
    set_bad(tile, path, E_CORRUPT, detail);
}

static enum err_code compare_tile(struct scan_reader *reader, uint64_t index,
                                  struct scan_bundle *out, struct err *err)
{
    static_assert(sizeof out->leaves == TILE_BYTES, "hashes lie as in a tile");
    struct tile_path path = { false, { 0, index }, TILE_WIDTH };
    enum err_code rc = get_tile(reader, &path, &out->tile, err);
    if (rc == E_OK && out->tile.is_compared &&
        memcmp(out->leaves, reader->tile.data, TILE_BYTES) != 0) {
        set_different(&out->tile, &path, out->leaves, reader->tile.data);
    }
    return rc;
}

enum err_code scan_read_bundle(struct scan_reader *reader, uint64_t index, uint16_t known,
                               uint16_t width, struct scan_bundle *out, struct scan_views *views,
                               struct err *err)
{
    struct asked asked = { { true, { 0, index }, width }, known, views };
    out->tile.is_compared = out->tile.is_bad = false;
    enum err_code rc = open_log(reader, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = hash_bundle(reader, &asked, &reader->bundle, out, err);
    if (rc == E_TOO_LARGE && reader->is_callers) {
        rc = hash_giant(reader, &asked, out, err);
    }
    if (rc != E_OK) {
        return err_wrap(err, "%s", tile_path_text(&asked.path).text);
    }
    bool is_wanted = width == TILE_WIDTH && reader->shared->options->on_bad_tile != NULL;
    return is_wanted ? compare_tile(reader, index, out, err) : E_OK;
}

enum err_code scan_check_tile(struct scan_reader *reader, struct tile_id id,
                              const struct hash *root, struct scan_tile *out, struct err *err)
{
    struct tile_path path = { false, id, TILE_WIDTH };
    out->is_compared = out->is_bad = false;
    enum err_code rc = open_log(reader, err);
    if (rc == E_OK) {
        rc = get_tile(reader, &path, out, err);
    }
    if (rc == E_OK && out->is_compared) {
        struct hash found = tile_root(buf_span(&reader->tile));
        if (!hash_is_equal(&found, root)) {
            set_bad(out, &path, E_CORRUPT, "its root is not what the entries below it hash to");
        }
    }
    return rc;
}
