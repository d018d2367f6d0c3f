/* relay_source.h -- one followed log as the relay reads it: tiles that hash to the held root, within a time.
 *
 * Blocks on the network. One thread at a time.
 */
#ifndef MONITOR_RELAY_SOURCE_H
#define MONITOR_RELAY_SOURCE_H

#include "monitor/watched_log.h"
#include "tlog/tile.h"

struct relay_source; /* some 600 KB once something was asked for */

struct relay_source *relay_source_new(struct watched_log *log);
void relay_source_free(struct relay_source *source); /* NULL is fine */

/* Appends a tile or bundle of exactly path->width. E_NOT_FOUND: the held tree has it not. E_TIMEOUT after `within_ms`
 * and at most one request more. E_CORRUPT, E_IO and others: the log does not serve what it signed. `out` has a maximum
 * of TILE_BYTES, or BUNDLE_BYTES_MAX for a bundle. */
MUST_USE enum err_code relay_source_get(struct relay_source *source, const struct tile_path *path,
                                        uint64_t within_ms, struct buf *out, struct err *err);

#endif
