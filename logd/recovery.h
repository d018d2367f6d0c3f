/* recovery.h -- what the log is, read back from its stores at start.
 *
 * design: "Invariants", Start. Normal path: the full tiles give the tree up to the journal's oldest
 * entry, the journal gives the rest; each record's root must come out; full tiles of the replayed
 * part are written again and synced, by the same edge_append as in normal work. It can fail so: a
 * tile is missing or wrong, so that a root does not come out: E_CORRUPT, naming record and file. The
 * disk is full: the log is recovered all the same, and tiles that could not be written are handed out,
 * for the integrator to write when there is room.
 * Blocks on the disk. Before the other threads start.
 */
#ifndef LOGD_RECOVERY_H
#define LOGD_RECOVERY_H

#include "logd/recent.h"
#include "logd/resource.h"
#include "store/journal.h"
#include "store/tiles.h"
#include "tlog/edge.h"

enum {
    RECOVERY_SIZES_MAX = 3 + 16 /* published, signed, marked; exported */
};

/* Of which the tree will be asked for by recovered_edge_at: hints, it may be asked for any. */
struct recovery_sizes {
    size_t count;
    uint64_t sizes[RECOVERY_SIZES_MAX];
};
void recovery_sizes_add(struct recovery_sizes *sizes, uint64_t size);

/* What `recent` is to know of the entries that are replayed. */
enum recovery_recent {
    RECOVERY_RECENT_NONE,
    RECOVERY_RECENT_LEAVES,
    RECOVERY_RECENT_LEAVES_AND_TAGS /* schema = operation */
};

struct recovered {
    struct edge edge;     /* at the journal's head */
    struct recent recent; /* every entry from `replayed_from` on, when asked for */
    uint64_t stored;      /* multiple of TILE_WIDTH: full tiles below are durable */
    uint64_t replayed_from;
    struct resource *unstored;             /* full tiles from there on, oldest first; owned */
    struct err unstored_err;               /* why; code E_OK: all are stored */
    struct edge known[RECOVERY_SIZES_MAX]; /* trees that the replay came through */
};

/* Initialises and fills `out`; after an error there is nothing to clear. `wanted` may be NULL. */
MUST_USE enum err_code recovery_run(struct recovered *out, struct journal *journal,
                                    struct tiles *tiles, enum recovery_recent recent,
                                    const struct recovery_sizes *wanted, struct err *err);
void recovered_clear(struct recovered *recovered);

/* Lets go of the trees that were wanted. */
void recovered_forget_known(struct recovered *recovered);

/* As recovery_edge_at, without another replay for the sizes that recovery_run was told. */
MUST_USE enum err_code recovered_edge_at(const struct recovered *recovered, struct edge *edge,
                                         uint64_t size, struct journal *journal,
                                         struct tiles *tiles, struct err *err);

/* Fills `edge` (initialised) with the tree as it was at `size`, from tiles and journal; its root is the
 * caller's to compare. E_CORRUPT when size is beyond the journal's head. */
MUST_USE enum err_code recovery_edge_at(struct edge *edge, uint64_t size, struct journal *journal,
                                        struct tiles *tiles, struct err *err);

#endif
