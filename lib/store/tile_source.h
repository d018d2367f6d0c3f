/* tile_source.h -- complete nodes of a tree, from the full hash tiles in a store.
 *
 * Spec: C2SP tlog-tiles, "Merkle Tree". Only full tiles of a tree whose size is a multiple of
 * TILE_WIDTH are read; what a partial tile would hold is hashed from the tiles below it. Nothing is
 * verified: compare the root of what you get. One thread.
 */
#ifndef STORE_TILE_SOURCE_H
#define STORE_TILE_SOURCE_H

#include "store/tiles.h"
#include "tlog/tile.h"

enum {
    TILE_SOURCE_SLOTS = 16
}; /* tiles kept: neighbours are asked for together */

struct tile_source {
    struct tiles *tiles; /* borrowed */
    uint64_t size;       /* multiple of TILE_WIDTH: every full tile of that tree is stored */
    struct tile_source_slot {
        bool is_used;
        struct tile_id id;
        uint8_t bytes[TILE_BYTES];
    } slots[TILE_SOURCE_SLOTS];
};

void tile_source_init(struct tile_source *source, struct tiles *tiles, uint64_t size);

/* Borrows `source`. Nodes that are not complete at `size` are E_NOT_FOUND; a missing or short tile is
 * E_CORRUPT, naming it. */
struct merkle_source tile_source_nodes(struct tile_source *source);

/* Appends the bytes of a stored tile or bundle; E_CORRUPT naming it when it is not there, or a hash
 * tile of the wrong length. */
MUST_USE enum err_code tile_source_read(struct tiles *tiles, const struct tile_path *path,
                                        struct buf *out, struct err *err);

/* "tile/0/x001/234.p/5" of either kind, NUL-terminated. */
struct tile_path_text {
    char text[TILE_PATH_MAX + 1];
};
struct tile_path_text tile_path_text(const struct tile_path *path);

#endif
