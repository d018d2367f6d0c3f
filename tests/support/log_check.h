/* log_check.h -- re-hashes a log from its public files, as a reader would.
 *
 * Spec: C2SP tlog-tiles. What is missing or wrong ends the test program, named. One thread.
 */
#ifndef SUPPORT_LOG_CHECK_H
#define SUPPORT_LOG_CHECK_H

#include "base/alloc.h"
#include "store/tile_source.h"
#include "tlog/edge.h"

#include <stdio.h>
#include <stdlib.h>

static inline void log_check_fail(const char *path, const char *what)
{
    fprintf(stderr, "log check: %s: %s\n", path, what);
    abort();
}

static inline void log_check_read(struct tiles *tiles, const struct tile_path *path,
                                  struct buf *out)
{
    struct err err;
    buf_reset(out);
    if (tile_source_read(tiles, path, out, &err) != E_OK) {
        log_check_fail(tile_path_text(path).text, err.msg);
    }
}

/* The tiles of one level hold these hashes. Leaves in `hashes` the roots of the full ones and returns
 * how many there are. */
static inline uint64_t log_check_level(struct tiles *tiles, uint8_t level, struct hash *hashes,
                                       uint64_t count, bool has_partials)
{
    struct buf tile = BUF_INIT(TILE_BYTES);
    for (uint64_t i = 0; i * TILE_WIDTH < count; i++) {
        uint64_t left = count - i * TILE_WIDTH;
        uint16_t width = left < TILE_WIDTH ? (uint16_t)left : TILE_WIDTH;
        if (width < TILE_WIDTH && !has_partials) {
            break;
        }
        struct tile_path path = { false, { level, i }, width };
        log_check_read(tiles, &path, &tile);
        if (memcmp(tile.data, hashes[i * TILE_WIDTH].bytes, (size_t)width * HASH_BYTES) != 0) {
            log_check_fail(tile_path_text(&path).text, "wrong hashes");
        }
        if (width == TILE_WIDTH) {
            hashes[i] = tile_root(buf_span(&tile));
        }
    }
    buf_clear(&tile);
    return count / TILE_WIDTH;
}

/* Checks every full bundle and tile of the tree of `size`, with `has_partials` the partial ones of
 * that very size too (else size is a multiple of TILE_WIDTH), and returns its root. `leaves` (may be
 * NULL) has room for `size`. */
static inline struct hash log_check_tree(struct tiles *tiles, uint64_t size, bool has_partials,
                                         struct hash *leaves)
{
    struct compact_range range;
    struct hash *hashes = mem_calloc(size + TILE_WIDTH, sizeof *hashes);
    struct buf bundle = BUF_INIT(BUNDLE_BYTES_MAX);
    struct err err;
    for (uint64_t i = 0; i * TILE_WIDTH < size; i++) {
        struct tile_path path = { true, { 0, i }, tile_width((struct tile_id){ 0, i }, size) };
        log_check_read(tiles, &path, &bundle);
        if (bundle_leaf_hashes(&hashes[i * TILE_WIDTH], buf_span(&bundle), path.width, &err) !=
            E_OK) {
            log_check_fail(tile_path_text(&path).text, err.msg);
        }
    }
    compact_range_init(&range);
    for (uint64_t i = 0; i < size; i++) {
        compact_range_append(&range, &hashes[i], NULL, NULL);
        if (leaves != NULL) {
            leaves[i] = hashes[i];
        }
    }
    uint64_t count = size;
    for (uint8_t level = 0; count > 0; level++) {
        count = log_check_level(tiles, level, hashes, count, has_partials);
    }
    buf_clear(&bundle);
    mem_free(hashes);
    return compact_range_root(&range);
}

#endif
