/* tile_reader.h -- nodes of a signed tree, out of tiles that nobody need trust.
 *
 * As x/mod's tlog.TileHashReader: the partial tiles along the right edge must hash to the signed
 * root; every full tile must hash to what its parent, checked before, holds for it. A hash that
 * leaves here is one that the log has signed.
 * One thread; borrows the reader, which may block.
 */
#ifndef CLIENT_TILE_READER_H
#define CLIENT_TILE_READER_H

#include "base/err.h"
#include "client/log_reader.h"
#include "tlog/merkle.h"
#include "tlog/tile.h"

struct tile_reader; /* some 600 KB: the edge, and a cache of the full tiles used last */

/* Reads and checks the right edge of the tree of `size` and `root`, which come out of a verified
 * checkpoint. E_CORRUPT when it does not hash to the root; else errors of the reader, naming the
 * file. */
MUST_USE enum err_code tile_reader_open(struct tile_reader **out, struct log_reader *reader,
                                        uint64_t size, const struct hash *root, struct err *err);
void tile_reader_close(struct tile_reader *tiles); /* NULL is fine */

/* The hashes of a tile, checked: tile_width(id, size) of them, good until the next call. E_CORRUPT
 * names the tile that does not hash to its parent. Requires that the tree has the tile. */
MUST_USE enum err_code tile_reader_get(struct tile_reader *tiles, struct tile_id id,
                                       const struct hash **out, struct err *err);

/* The bundle below level-0 tile `index`, each entry checked against that tile; appended to `out`.
 * E_CORRUPT names the entry. */
MUST_USE enum err_code tile_reader_get_bundle(struct tile_reader *tiles, uint64_t index,
                                              struct buf *out, struct err *err);

/* Nodes of the tree, for proof_make_*. E_NOT_FOUND for one that is not complete. Borrows `tiles`. */
struct merkle_source tile_reader_source(struct tile_reader *tiles);

#endif
