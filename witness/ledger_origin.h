/* ledger_origin.h -- what the ledger has in memory of each origin it has written.
 *
 * Not locked: ledger.c says which lock guards what.
 */
#ifndef WITNESS_LEDGER_ORIGIN_H
#define WITNESS_LEDGER_ORIGIN_H

#include "witness/ledger_value.h"

enum {
    LEDGER_OLDEST_MAX = 64 /* sizes of the oldest seen notes, read ahead for pruning */
};

struct ledger_origin {
    struct hash origin_hash;
    bool is_known;             /* `value` is what the store has; false after a failed write of it */
    struct ledger_value value; /* as released: durable, in the store and in the mark */
    struct buf note;           /* likewise; owned; empty: none */

    /* Ledger thread only. */
    bool is_in_group;
    bool has_mark;
    const char *blocked; /* why nothing may be committed, or NULL; static */
    size_t oldest_count, oldest_used;
    uint64_t oldest[LEDGER_OLDEST_MAX];
};

struct ledger_origins {
    void *root; /* of a tree; owned */
};

void ledger_origins_clear(struct ledger_origins *origins);
struct ledger_origin *ledger_origins_find(const struct ledger_origins *origins,
                                          const struct hash *origin_hash);
/* Makes it, with nothing known, unless it is there. Good until the table is cleared. */
struct ledger_origin *ledger_origins_get(struct ledger_origins *origins,
                                         const struct hash *origin_hash);

#endif
