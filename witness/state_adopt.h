/* state_adopt.h -- may this note become our state? What `courtroll-witness state adopt` checks.
 *
 * A note is adopted when its log signed it, when we did or a quorum of the others did, and when its tree is
 * proved to extend all that we know to have signed: the stored state, the mark, and the refused note.
 * Pure. Any thread.
 */
#ifndef WITNESS_STATE_ADOPT_H
#define WITNESS_STATE_ADOPT_H

#include "tlog/log_list.h"
#include "tlog/policy.h"
#include "witness/decision.h"

enum {
    STATE_ADOPT_KEYS_MAX = 64 /* of ours, old ones too */
};

struct state_adopt_keys {
    const struct log_list *logs; /* this, or a policy: who signs for a log */
    const struct policy *policy; /* or NULL: then we must have cosigned it */
    const struct vkey *own;
    size_t own_count; /* at most STATE_ADOPT_KEYS_MAX */
};

struct state_adopt_note {
    struct checkpoint checkpoint;
    uint64_t own_time; /* when we cosigned it; 0: we did not */
    struct buf note;   /* the lines that verify, of the log and ours; owned */
};

/* E_MALFORMED; E_NOT_FOUND: no key of that origin; E_BAD_SIGNATURE: neither we nor a quorum of the others
 * cosigned it, or the log did not sign it. */
MUST_USE enum err_code state_adopt_open(struct state_adopt_note *out,
                                        const struct state_adopt_keys *keys, struct span note,
                                        struct err *err);

/* Something that we signed. */
struct state_adopt_point {
    const char *name; /* for messages: "the stored state" */
    uint64_t size;
    struct hash root;
};

/* Is each point a prefix of the checkpoint's tree? A point of the same size needs no proof, nor does one of
 * size 0; for any other one of the proofs must lead from it. E_CONFLICT: a point is ahead, or has another
 * root of that size; E_BAD_PROOF names the point that no proof leads from. */
MUST_USE enum err_code state_adopt_extends(const struct checkpoint *checkpoint,
                                           const struct state_adopt_point *points,
                                           size_t point_count, const struct proof *proofs,
                                           size_t proof_count, struct err *err);

#endif
