/* edge.h -- the right edge of a growing tree: its partial tiles and bundle, and the root.
 *
 * Spec: C2SP tlog-tiles; RFC 6962 section 2.1.
 * Pure. Any thread; one owner. About 70 KB and the bytes of up to 255 entries.
 *
 * The edge is all that a log needs in memory to append: tiles are told to `on_full` the moment
 * they fill up, and the partial ones of the present size are put out by edge_put_partials.
 */
#ifndef TLOG_EDGE_H
#define TLOG_EDGE_H

#include "tlog/bundle.h"
#include "tlog/tile.h"

struct edge {
    struct compact_range range;
    struct hash tiles[TILE_LEVELS][TILE_WIDTH]; /* the partial tile of each level */
    struct buf bundle;                          /* the partial bundle; owned */
};

/* A tile or bundle to be stored: `bytes` are borrowed for the call, and the edge is not to be used
 * within it. */
typedef void (*edge_on_resource)(void *ctx, const struct tile_path *path, struct span bytes);

void edge_init(struct edge *edge); /* size 0 */
void edge_clear(struct edge *edge);

static inline uint64_t edge_size(const struct edge *edge)
{
    return edge->range.size;
}

struct hash edge_root(const struct edge *edge);

/* Appends one entry, whose leaf hash the caller has. A bundle that becomes full is told before the
 * level-0 tile above it, that before the tile above it. */
void edge_append(struct edge *edge, struct span entry, const struct hash *leaf,
                 edge_on_resource on_full, void *ctx);

/* The partial bundle (first) and tiles (upward) of the present size: none at a size whose tiles
 * are all full. */
void edge_put_partials(const struct edge *edge, edge_on_resource on_partial, void *ctx);

/* Copies `from`; `to` must be initialised. */
void edge_copy(struct edge *to, const struct edge *from);

/* Fills the edge at `size` from stored hashes. Unless that is a multiple of TILE_WIDTH the entries of the
 * partial bundle lack, and nothing can be appended. Errors are the source's. */
MUST_USE enum err_code edge_load(struct edge *edge, const struct merkle_source *source,
                                 uint64_t size, struct err *err);

#endif
