/* tile_cache.h -- tiles and bundles of the published tree, each checked before anyone sees it.
 *
 * design: "Failure policy", tile file damaged or missing. A full hash tile is compared with its hash
 * in the tile above, up to the published tree's right edge, which is in memory and hashes to the
 * signed root; a bundle is hashed and compared with its level-0 tile. Wrong bytes never leave.
 * A bounded cache, least recently used out first. Any thread; may block on the disk.
 */
#ifndef LOGD_TILE_CACHE_H
#define LOGD_TILE_CACHE_H

#include "logd/published.h"
#include "net/http_response.h"
#include "store/tiles.h"

struct tile_cache;

/* Borrows `tiles`. */
struct tile_cache *tile_cache_new(struct tiles *tiles, size_t bytes_max);
void tile_cache_free(struct tile_cache *cache);

/* The bytes of a tile or bundle of `tree`, with a reference for the caller. Partial ones of the tree's
 * own size come from memory; older partial ones are served while they are on the disk. E_NOT_FOUND;
 * E_CORRUPT, which has been logged and counted; E_IO. */
MUST_USE enum err_code tile_cache_get(struct tile_cache *cache, const struct published_tree *tree,
                                      const struct tile_path *path, struct http_body **out,
                                      struct err *err);

/* Only what needs no disk: NULL when it is not at hand. For the loop thread. */
struct http_body *tile_cache_peek(struct tile_cache *cache, const struct tile_path *path);

/* One leaf hash of a full level-0 tile, `index` < `stored`, unverified: for deduplication, where the
 * hash itself is what is compared. The tile need not be published yet. */
MUST_USE enum err_code tile_cache_stored_leaf(struct tile_cache *cache, uint64_t index,
                                              struct hash *out, struct err *err);

/* Nodes of a published tree, for proofs. Borrows all until the source is no longer used. */
struct tile_nodes {
    struct tile_cache *cache;
    const struct published_tree *tree;
};
struct merkle_source tile_cache_nodes(struct tile_nodes *nodes);

/* Reads that found wrong bytes, since the start. */
uint64_t tile_cache_corrupt_count(const struct tile_cache *cache);

#endif
