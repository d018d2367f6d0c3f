/* partials.h -- which partial tiles are on the disk, and which of them may go.
 *
 * design: "The life of an entry", step 6: partial tiles exist for published sizes only, and go
 * PARTIALS_KEEP_MS after the full tile has been published. Readers that got a checkpoint just before
 * still find them; later ones fall back to the full tile.
 * One owner; partials_scan and partials_remove_due block on the disk.
 */
#ifndef LOGD_PARTIALS_H
#define LOGD_PARTIALS_H

#include "store/tiles.h"
#include "tlog/edge.h"

enum {
    PARTIALS_KEEP_MS = 60 * 1000
};

struct partials;

struct partials *partials_new(void);
void partials_free(struct partials *partials);

/* Finds those an earlier process left around the right edge of a tree of that size. */
MUST_USE enum err_code partials_scan(struct partials *partials, struct tiles *tiles, uint64_t size,
                                     struct err *err);

/* Writes the partial bundle and tiles of `edge`; they are durable after tiles_sync. */
MUST_USE enum err_code partials_write(struct partials *partials, struct tiles *tiles,
                                      const struct edge *edge, struct err *err);

/* Removes those whose full tile has been published for PARTIALS_KEEP_MS: `published` is the size
 * published at `now_ms` (monotonic). Failures are logged; the file stays until the next start. */
void partials_remove_due(struct partials *partials, struct tiles *tiles, uint64_t published,
                         uint64_t now_ms);

#endif
