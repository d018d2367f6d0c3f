/* tile.h -- where a Merkle tile lives: its coordinates, width and path.
 *
 * Spec: C2SP tlog-tiles, "Merkle Tree" and "Partial Tiles"; tree hashing is RFC 6962 2.1.
 * Pure: no I/O, no clock, no global state. Any thread.
 *
 * A tile holds 1..TILE_WIDTH consecutive hashes, 32 bytes each, left to right.
 * On level 0 they are leaf hashes; on level l+1 each is the root of a full tile of level l.
 * An entry bundle has the coordinates of the level-0 tile above it.
 */
#ifndef TLOG_TILE_H
#define TLOG_TILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "tlog/merkle.h"

enum {
    TILE_HEIGHT = 8,               /* tree levels in one tile */
    TILE_WIDTH = 1 << TILE_HEIGHT, /* hashes in a full tile */
    TILE_BYTES = TILE_WIDTH * HASH_BYTES,
    TILE_LEVEL_MAX = 63, /* largest level a path may name */
    TILE_LEVELS = 8,     /* levels that can hold a hash in a tree below 2^64 entries */
    TILE_PATH_MAX = 52,  /* bytes: longest path, without a NUL */
};

struct tile_id {
    uint8_t level;  /* 0..TILE_LEVEL_MAX */
    uint64_t index; /* 0-based position within the level: <N> in the path */
};

/* Width of `id` in a tree of `tree_size` entries: TILE_WIDTH if full, 1..255 if partial,
 * 0 if that tree has no such tile. Defined for every argument. */
uint16_t tile_width(struct tile_id id, uint64_t tree_size);

/* Appends the path below the log's URL prefix, such as "tile/1/x001/234.p/17".
 * Requires 1 <= width <= TILE_WIDTH, and room for TILE_PATH_MAX bytes in `out`. */
void tile_path_append(struct buf *out, struct tile_id id, uint16_t width);

/* Likewise for an entry bundle: "tile/entries/x001/234". */
void bundle_path_append(struct buf *out, uint64_t index, uint16_t width);

/* What a path below the prefix names. */
struct tile_path {
    bool is_bundle; /* then id.level is 0 */
    struct tile_id id;
    uint16_t width;
};

/* Parses exactly the paths that tile_path_append and bundle_path_append write. Anything else, be
 * it a leading zero or an index that does not fit, is E_MALFORMED. `path` comes from the network;
 * it is borrowed for the call. */
MUST_USE enum err_code tile_path_parse(struct tile_path *out, struct span path, struct err *err);

/* Where a complete node is found: it is the root over hashes [first, first + count) of tile `id`.
 * Requires node.level < MERKLE_LEVELS_MAX. */
struct tile_place {
    struct tile_id id;
    uint16_t first;
    uint16_t count; /* a power of two */
};
struct tile_place tile_place_of(struct merkle_node node);

/* The Merkle root over hashes [first, first + count) of a tile's bytes. Requires that the bytes
 * hold them and count is a power of two. */
struct hash tile_node_hash(struct span tile, uint16_t first, uint16_t count);

/* The root over a whole tile of 1..256 hashes, partial too. Requires a multiple of HASH_BYTES. */
struct hash tile_root(struct span tile);

#endif
