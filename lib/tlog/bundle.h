/* bundle.h -- entry bundles: up to 256 entries, each a 16-bit length and its bytes.
 *
 * Spec: C2SP tlog-tiles, "Log Entries". Paths are in tile.h.
 * Pure. Any thread.
 */
#ifndef TLOG_BUNDLE_H
#define TLOG_BUNDLE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "tlog/tile.h"

/* Requires entry.len <= ENTRY_BYTES_MAX and room for 2 bytes more. */
void bundle_put_entry(struct buf *out, struct span entry);

/* Takes the next entry; false when what is left is not one. An empty `in` has no next entry. */
bool bundle_take_entry(struct span *in, struct span *entry);

/* Checks that `bundle` is exactly `width` entries and hashes them; leaves[width] is filled.
 * E_MALFORMED names the first bad entry. Requires 1 <= width <= TILE_WIDTH. */
MUST_USE enum err_code bundle_leaf_hashes(struct hash *leaves, struct span bundle, uint16_t width,
                                          struct err *err);

/* The first `width` entries of a bundle that has at least as many, for the fallback from a partial
 * bundle to the full one. E_MALFORMED if it has fewer. */
MUST_USE enum err_code bundle_prefix(struct span *out, struct span bundle, uint16_t width,
                                     struct err *err);

/* Entry number `position` of a bundle; E_MALFORMED if it has fewer. */
MUST_USE enum err_code bundle_entry(struct span *out, struct span bundle, uint16_t position,
                                    struct err *err);

#endif
