/* follow_tiles.c -- hash tiles that proofs of others are made of. */
#include "base/ascii.h"
#include "base/log.h"
#include "client/tile_reader.h"
#include "monitor/follow_parts.h"
#include "store/tile_source.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    SUBJECTS_MAX = 64, /* tiles that are open alerts, at a time */
    LOOKS_MAX = 4,     /* files looked at again in one step */
    DETAIL_MAX = 256,
};

/* -- raising -- */

static enum err_code raise_tile(struct follow *follow, const struct scan_bad_tile *bad,
                                uint64_t more, struct err *err)
{
    struct tile_path_text path = tile_path_text(&bad->path);
    char rest[64] = "";
    int64_t now_s = follow->now.unix_s;
    if (more > 0) {
        snprintf(rest, sizeof rest, " %" PRIu64 " more tiles are wrong or missing.", more);
    }
    if (follow_raised_is_told(follow->raised, FINDING_TILE_MISMATCH, path.text, now_s)) {
        return E_OK;
    }
    if (follow_raised_count(follow->raised, FINDING_TILE_MISMATCH) >= SUBJECTS_MAX) {
        log_event(LOG_LEVEL_WARN, "bad_tile_not_told", "origin=%s path=%s",
                  log_quoted_str(watched_log_origin(follow->options.log)).text, path.text);
        return E_OK;
    }
    const char *what = bad->code == E_NOT_FOUND   ? "is not served"
                       : bad->code == E_MALFORMED ? "is malformed"
                                                  : "is not what the entries below it hash to";
    return follow_raise(follow, FINDING_TILE_MISMATCH, path.text, span_of(NULL, 0), err,
                        "The hash tile %s %s (%s); the entries hash to the signed root.%s",
                        path.text, what, follow_text_of(bad->detail).text, rest);
}

enum err_code follow_tiles_raise(struct follow *follow, struct err *err)
{
    const struct follow_cursor *cursor = &follow->cursor;
    enum err_code rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < cursor->bad_count; i++) {
        bool is_last = i + 1 == cursor->bad_count;
        rc = raise_tile(follow, &cursor->bad_tiles[i], is_last ? cursor->bad_more : 0, err);
    }
    return rc;
}

/* -- the right edge -- */

/* The complete nodes that a partial tile is made of are the hashes of the compact range on its levels. */
static bool is_edge_tile_right(const struct compact_range *range, uint8_t level, uint16_t width,
                               struct span tile)
{
    unsigned low = (unsigned)TILE_HEIGHT * level;
    uint64_t above = low + TILE_HEIGHT < 64 ? range->size >> (low + TILE_HEIGHT) : 0;
    size_t next = (size_t)__builtin_popcountll(above); /* hashes of larger subtrees come first */
    uint16_t first = 0;
    for (int bit = TILE_HEIGHT - 1; bit >= 0; bit--) {
        uint16_t count = (uint16_t)(1u << bit);
        if ((width & count) != 0) {
            struct hash found = tile_node_hash(tile, first, count);
            if (!hash_is_equal(&found, &range->hashes[next++])) {
                return false;
            }
            first = (uint16_t)(first + count);
        }
    }
    return true;
}

static enum err_code check_edge_tile(struct follow *follow, struct log_reader *reader,
                                     const struct compact_range *range, struct tile_id id,
                                     uint16_t width, struct err *err)
{
    struct scan_bad_tile bad = { .path = { false, id, width } };
    struct buf tile = BUF_INIT(TILE_BYTES);
    struct err why;
    bad.code = log_reader_get_tile(reader, &bad.path, &tile, &why);
    enum err_code rc = E_OK;
    if (bad.code == E_OK && !is_edge_tile_right(range, id.level, width, buf_span(&tile))) {
        bad.code = err_set(&why, E_CORRUPT, "a partial tile of size %" PRIu64, range->size);
    }
    if (bad.code == E_CORRUPT || bad.code == E_NOT_FOUND || bad.code == E_MALFORMED) {
        snprintf(bad.detail, sizeof bad.detail, "%.*s", DETAIL_MAX - 1, why.msg);
        rc = raise_tile(follow, &bad, 0, err);
    } else if (bad.code != E_OK) {
        follow_reader_failed(follow, bad.code);
        follow_poll_failed(follow, &why);
    }
    buf_clear(&tile);
    return rc;
}

enum err_code follow_tiles_check_edge(struct follow *follow, const struct compact_range *range,
                                      struct err *err)
{
    enum err_code rc = E_OK;
    for (uint8_t level = 0; rc == E_OK && level < TILE_LEVELS; level++) {
        struct tile_id id = { level, range->size >> (TILE_HEIGHT * level) >> TILE_HEIGHT };
        uint16_t width = tile_width(id, range->size);
        struct log_reader *reader = NULL;
        struct err why;
        if (width == 0) {
            continue;
        }
        if (!follow->is_poll_good || follow_reader(follow, &reader, &why) != E_OK) {
            break; /* it does not answer: that is what is wrong then */
        }
        rc = check_edge_tile(follow, reader, range, id, width, err);
    }
    return rc;
}

/* -- looking again -- */

/* The file of a cause, if it is about one that the held tree has. */
static bool is_file(const struct follow *follow, enum finding_code code, const char *subject,
                    struct tile_path *path)
{
    struct err err;
    return (code == FINDING_TILE_MISMATCH || code == FINDING_MALFORMED) &&
           tile_path_parse(path, span_of_str(subject), &err) == E_OK &&
           tile_width(path->id, follow->state.held.range.size) > 0;
}

/* Level 0 goes down to the entries: a tile may be right and what is below it wrong. */
static enum err_code check_file(struct tile_reader *tiles, const struct tile_path *path,
                                struct err *err)
{
    const struct hash *hashes = NULL;
    if (path->id.level > 0) {
        return tile_reader_get(tiles, path->id, &hashes, err);
    }
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    enum err_code rc = tile_reader_get_bundle(tiles, path->id.index, &bundle, err);
    buf_clear(&bundle);
    return rc;
}

static void look_at_missing(struct follow *follow, struct log_reader *reader)
{
    struct follow_missing *missing = &follow->missing;
    if (follow->state.target.is_there) {
        return; /* the next scan comes by there */
    }
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    struct err err;
    struct tile_path path = missing->path;
    if (missing->is_there && missing->has_path) { /* the log may have grown meanwhile */
        uint16_t width = tile_width(path.id, follow->state.held.range.size);
        path.width = width > 0 ? width : path.width;
    }
    if (!missing->is_there || !missing->has_path ||
        log_reader_get_tile(reader, &path, &bytes, &err) == E_OK) {
        missing->is_there = false;
        follow_raised_over(follow->raised, FINDING_WITHHELD, "log");
    }
    buf_clear(&bytes);
}

static void look_at_files(struct follow *follow, struct log_reader *reader)
{
    const struct held_tree *held = &follow->state.held;
    struct tile_reader *tiles = NULL;
    struct tile_path path;
    enum finding_code code;
    const char *subject;
    struct err err;
    size_t at = follow->look_at, looks = 0;
    bool is_served = true;
    while (is_served && looks < LOOKS_MAX &&
           follow_raised_next(follow->raised, &at, &code, &subject)) {
        if (!is_file(follow, code, subject, &path)) {
            continue;
        }
        looks++;
        if (tiles == NULL) {
            is_served =
                tile_reader_open(&tiles, reader, held->range.size, &held->root, &err) == E_OK;
        }
        if (is_served && check_file(tiles, &path, &err) == E_OK) {
            follow_raised_over(follow->raised, code, subject);
        }
    }
    follow->look_at = looks < LOOKS_MAX ? 0 : at;
    tile_reader_close(tiles);
}

void follow_tiles_look_again(struct follow *follow)
{
    struct log_reader *reader = NULL;
    struct err err;
    if (!follow->state.held.is_there || !follow->is_poll_good || follow_is_stopping(follow) ||
        follow_reader(follow, &reader, &err) != E_OK) {
        return;
    }
    if (follow->missing.is_there || follow_raised_count(follow->raised, FINDING_WITHHELD) > 0) {
        look_at_missing(follow, reader);
    }
    look_at_files(follow, reader);
}
