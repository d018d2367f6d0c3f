/* follow_scan.c -- hashing from what is held to a signed size.
 *
 * The normal path is one stretch from sources[0], in chunks, so that a step can end between them and ask for a
 * newer checkpoint. It goes on from the cursor; the bytes that this was hashed from may have been lies, so a wrong
 * root says nothing before the scan was done again from what is held. What one source does not serve is
 * taken from the next, from where the one before came to. */
#include "base/ascii.h"
#include "base/log.h"
#include "monitor/follow_parts.h"

#include <inttypes.h>

enum {
    CHUNK_MIN = 1 << 14,
    CHUNK_MAX = 1 << 24,
    CHUNK_SHORT_MS = 2 * 1000, /* a chunk that took less is doubled, one that took more than the */
    CHUNK_LONG_MS = 10 * 1000, /* other is halved */
};

struct stretch {
    struct follow *follow;
    size_t source;
    uint64_t from, to; /* entries */
    uint64_t began_ms;
    uint64_t counted; /* entries below it are in the status */
};

/* -- what people are told -- */

struct progress {
    const struct stretch *stretch;
    uint64_t at, entries, bytes;
    uint64_t took_ms;
};

static void tell_progress(void *ctx, struct watched_status *status)
{
    const struct progress *progress = ctx;
    status->is_scanning = true;
    status->scan_from = progress->stretch->from;
    status->scan_to = progress->stretch->to;
    status->scan_at = progress->at;
    status->entries_hashed += progress->entries;
    status->bytes_hashed += progress->bytes;
    if (progress->took_ms > 0) {
        status->scan_rate =
            (double)(progress->at - progress->stretch->from) * 1000 / (double)progress->took_ms;
    }
}

static void tell_end(void *ctx, struct watched_status *status)
{
    (void)ctx;
    status->is_scanning = false;
}

static void tell(struct stretch *stretch, uint64_t at, uint64_t bytes)
{
    struct follow *follow = stretch->follow;
    struct progress progress = { stretch, at, at > stretch->counted ? at - stretch->counted : 0,
                                 bytes, follow_since_ms(follow, stretch->began_ms) };
    stretch->counted = at > stretch->counted ? at : stretch->counted;
    watched_log_update(follow->options.log, tell_progress, &progress);
}

/* -- the cursor -- */

enum err_code follow_scan_save(struct follow *follow, struct err *err)
{
    struct kv_batch batch;
    follow->cursor_ms = follow->now.monotonic_ms;
    if (follow->records == NULL) {
        return follow_cursor_save(&follow->cursor, follow->watch, follow->options.log, err);
    }
    kv_batch_init(&batch);
    record_watch_put_waiting(follow->records, &batch);
    follow_cursor_put(&batch, &follow->cursor, follow->options.log);
    enum err_code rc = state_store_write(follow->watch->store, &batch, err);
    if (rc == E_OK) {
        record_watch_on_written(follow->records);
    }
    kv_batch_clear(&batch);
    return rc;
}

static void on_progress(void *ctx, const struct compact_range *at)
{
    struct stretch *stretch = ctx;
    struct follow *follow = stretch->follow;
    struct err err;
    follow_tick(follow);
    follow->cursor.range = *at;
    follow->cursor.is_there = true;
    tell(stretch, at->size, 0);
    if (follow_since_ms(follow, follow->cursor_ms) >= FOLLOW_CURSOR_MS &&
        follow_scan_save(follow, &err) != E_OK) {
        log_error(LOG_LEVEL_WARN, "cursor_not_stored", &err); /* a restart would cost time only */
    }
}

static bool is_same_path(const struct tile_path *a, const struct tile_path *b)
{
    return a->is_bundle == b->is_bundle && a->id.level == b->id.level && a->id.index == b->id.index;
}

/* A scan that goes on from the cursor may come by the same tile again. */
static void on_bad_tile(void *ctx, const struct scan_bad_tile *bad)
{
    struct stretch *stretch = ctx;
    struct follow_cursor *cursor = &stretch->follow->cursor;
    for (size_t i = 0; i < cursor->bad_count; i++) {
        if (is_same_path(&cursor->bad_tiles[i].path, &bad->path)) {
            return;
        }
    }
    if (cursor->bad_count < FOLLOW_BAD_TILES_MAX) {
        cursor->bad_tiles[cursor->bad_count++] = *bad;
    } else {
        cursor->bad_more++;
    }
}

/* What records showed on the way is dropped with it. */
static enum err_code drop_cursor(struct follow *follow, struct err *err)
{
    follow->cursor.is_there = false;
    follow->cursor.bad_count = 0;
    follow->cursor.bad_more = 0;
    enum err_code rc = follow_records_restart(follow, err);
    if (rc != E_OK) {
        follow->has_store_failed = true;
        follow->store_err = *err;
    }
    return rc;
}

/* -- one source -- */

static uint64_t end_of_chunk(const struct follow *follow, uint64_t at, uint64_t to)
{
    if (to - at <= follow->chunk) {
        return to;
    }
    uint64_t end = at + follow->chunk; /* below `to`: it cannot overflow */
    return end - end % TILE_WIDTH;     /* a size that nobody signed has no partial tiles */
}

static void adapt_chunk(struct follow *follow, uint64_t took_ms)
{
    if (took_ms < CHUNK_SHORT_MS && follow->chunk < CHUNK_MAX) {
        follow->chunk *= 2;
    } else if (took_ms > CHUNK_LONG_MS && follow->chunk > CHUNK_MIN) {
        follow->chunk /= 2;
    }
}

/* E_BUSY: it is time for another poll. */
static enum err_code scan_chunk(struct stretch *stretch, struct compact_range *at, struct err *err)
{
    struct follow *follow = stretch->follow;
    struct scan_report report;
    struct scan_visitor visitor;
    struct scan_options options = {
        .source = follow->watch->sources[stretch->source],
        .threads = follow->options.scan_threads,
        .from = at,
        .to = end_of_chunk(follow, at->size, stretch->to),
        .is_stopping = follow->options.is_stopping,
        .ctx = stretch,
        .on_progress = on_progress,
        .on_bad_tile = stretch->source == 0 ? on_bad_tile : NULL,
    };
    if (follow->records != NULL) {
        follow_records_visit(follow, &visitor);
        options.visitor = &visitor;
    }
    uint64_t began_ms = follow->now.monotonic_ms;
    enum err_code rc = scan_run(&report, &options, err);
    follow_tick(follow);
    if (rc != E_OK) {
        return rc;
    }
    *at = report.range;
    follow->cursor.range = report.range;
    follow->cursor.is_there = true;
    tell(stretch, at->size, report.bytes);
    adapt_chunk(follow, follow_since_ms(follow, began_ms));
    if (at->size < stretch->to && follow_since_ms(follow, follow->step_ms) >= FOLLOW_STEP_SCAN_MS) {
        return err_set(err, E_BUSY, "time for another poll");
    }
    return E_OK;
}

/* E_BAD_PROOF: the root is another. */
static enum err_code scan_stretch(struct follow *follow, size_t source,
                                  const struct compact_range *from, const struct checkpoint *to,
                                  struct compact_range *out, struct err *err)
{
    struct stretch stretch = { follow,    source, from->size, to->size, follow->now.monotonic_ms,
                               from->size };
    struct compact_range at = *from;
    enum err_code rc = E_OK;
    while (rc == E_OK && at.size < to->size) {
        rc = scan_chunk(&stretch, &at, err);
    }
    watched_log_update(follow->options.log, tell_end, NULL);
    if (rc != E_OK) {
        return rc;
    }
    struct hash root = compact_range_root(&at);
    if (!hash_is_equal(&root, &to->root)) {
        return err_set(err, E_BAD_PROOF,
                       "the entries from %" PRIu64 " to %" PRIu64
                       " do not hash to the root that the log signed",
                       from->size, to->size);
    }
    *out = at;
    return E_OK;
}

static bool is_wrong(enum err_code code)
{
    return code == E_BAD_PROOF || code == E_CORRUPT;
}

/* The cursor is one that was got to from the base, and not beyond what is asked for. */
static bool has_cursor_for(const struct follow *follow, const struct checkpoint *to)
{
    const struct follow_cursor *cursor = &follow->cursor;
    return cursor->is_there && cursor->range.size > follow_records_base(follow)->size &&
           cursor->range.size <= to->size && follow_records_fit_cursor(follow);
}

/* Nothing wrong is left to go on from. */
static enum err_code leave(struct follow *follow, size_t source, enum err_code code,
                           struct follow_scan *out, struct err *err)
{
    struct err store_err;
    if (source == 0) {
        out->bad_count = follow->cursor.bad_count + (size_t)follow->cursor.bad_more;
        out->bad_first = follow->cursor.bad_tiles[0].path;
    }
    if (drop_cursor(follow, &store_err) != E_OK) {
        *err = store_err;
        return store_err.code;
    }
    return code;
}

static enum err_code scan_source(struct follow *follow, size_t source, const struct checkpoint *to,
                                 struct follow_scan *out, struct err *err)
{
    bool has_cursor = has_cursor_for(follow, to);
    enum err_code rc = has_cursor ? E_OK : drop_cursor(follow, err);
    if (rc != E_OK) {
        return rc;
    }
    struct compact_range from = has_cursor ? follow->cursor.range : *follow_records_base(follow);
    rc = scan_stretch(follow, source, &from, to, &out->range, err);
    if (is_wrong(rc) && has_cursor) {
        rc = drop_cursor(follow, err);
        if (rc == E_OK) {
            from = *follow_records_base(follow);
            rc = scan_stretch(follow, source, &from, to, &out->range, err);
        }
    }
    return is_wrong(rc) && !follow->has_store_failed ? leave(follow, source, rc, out, err) : rc;
}

/* Ours, and not something that a source came up with. */
static bool is_pause(const struct follow *follow, enum err_code code)
{
    return (code == E_UNAVAILABLE && follow_is_stopping(follow)) ||
           (code == E_BUSY && follow_since_ms(follow, follow->step_ms) >= FOLLOW_STEP_SCAN_MS);
}

void follow_scan_to(struct follow *follow, const struct checkpoint *to, struct follow_scan *out)
{
    *out = (struct follow_scan){ .code = E_OK };
    follow_tick(follow);
    follow->has_store_failed = false;
    uint64_t began_ms = follow->now.monotonic_ms;
    for (size_t source = 0; source < follow->watch->source_count; source++) {
        struct err err;
        enum err_code rc = scan_source(follow, source, to, out, &err);
        if (follow->has_store_failed) {
            out->is_failed = true;
            out->err = follow->store_err;
            break;
        }
        if (is_pause(follow, rc)) {
            out->is_paused = true;
            break;
        }
        if (rc == E_OK) {
            out->is_reached = true;
            out->source = source;
            break;
        }
        if (source == 0) {
            out->code = rc;
            out->err = err;
        }
    }
    out->took_ms = follow_since_ms(follow, began_ms);
}
