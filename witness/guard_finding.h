/* guard_finding.h -- what the ledger says of an origin: its mark, and what was refused before.
 *
 * Part of guard.h. Waits for the disk: not for the loop thread, nor for the ledger's.
 */
#ifndef WITNESS_GUARD_FINDING_H
#define WITNESS_GUARD_FINDING_H

#include "witness/ledger.h"

struct guard_finding {
    bool is_certain;      /* false: the ledger could not be read; the rest says nothing then */
    bool is_vouched;      /* the mark agrees with the state */
    bool is_contradicted; /* a note of ours is kept that contradicts another one */
    bool has_refused;     /* a note of ours is kept that our state is behind */
    uint64_t refused_size;
    struct hash refused_root;
    char reason[ERR_MSG_MAX]; /* not empty: refused */
};

struct guard_finding guard_find_out(struct ledger *ledger, const struct hash *origin_hash);

#endif
