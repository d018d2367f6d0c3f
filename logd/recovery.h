/* recovery.h -- what the log is, read back from its stores at start.
 *
 * design: "Invariants", Start. Normal path: the full tiles give the tree up to the journal's oldest
 * entry, the journal gives the rest; each record's root must come out; full tiles of the replayed
 * part are written again and synced, by the same edge_append as in normal work. It can fail so: a
 * tile is missing or wrong, so that a root does not come out: E_CORRUPT, naming record and file.
 * Blocks on the disk. Before the other threads start.
 */
#ifndef LOGD_RECOVERY_H
#define LOGD_RECOVERY_H

#include "logd/recent.h"
#include "store/journal.h"
#include "store/tiles.h"
#include "tlog/edge.h"

struct recovered {
    struct edge edge;     /* at the journal's head */
    struct recent recent; /* every entry from `replayed_from` on, when asked for */
    uint64_t stored;      /* multiple of TILE_WIDTH: full tiles below are durable */
    uint64_t replayed_from;
};

/* Initialises and fills `out`; after an error there is nothing to clear. */
MUST_USE enum err_code recovery_run(struct recovered *out, struct journal *journal,
                                    struct tiles *tiles, bool has_dedup, struct err *err);
void recovered_clear(struct recovered *recovered);

/* Fills `edge` (initialised) with the tree as it was at `size`, from tiles and journal; its root is the
 * caller's to compare. E_CORRUPT when size is beyond the journal's head. */
MUST_USE enum err_code recovery_edge_at(struct edge *edge, uint64_t size, struct journal *journal,
                                        struct tiles *tiles, struct err *err);

#endif
