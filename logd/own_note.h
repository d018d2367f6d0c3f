/* own_note.h -- a note that somebody showed us, which bears our own key: does our tree contradict it?
 *
 * design: "Invariants", Start. Only a note under our own valid signature counts; whatever else a
 * witness says is a hint.
 */
#ifndef LOGD_OWN_NOTE_H
#define LOGD_OWN_NOTE_H

#include "tlog/checkpoint.h"
#include "tlog/merkle.h"

enum own_note_verdict {
    OWN_NOTE_AGREES, /* our tree has that root at that size */
    OWN_NOTE_AHEAD,  /* larger than the tree at hand, not than what is durable: to be told later */
    OWN_NOTE_CONTRADICTS, /* another root, or more entries than we have */
    OWN_NOTE_FOREIGN,     /* not under our key, or not of our origin: says nothing */
};

/* What of ours a note is compared with. */
struct own_tree {
    const struct vkey *log;      /* whose name is the origin */
    struct merkle_source source; /* of the tree at hand */
    uint64_t size;               /* of it */
    uint64_t durable;            /* entries that we have, or more */
};

/* *checkpoint is filled but for a foreign one, for which `err` tells why. Errors are the source's. */
MUST_USE enum err_code own_note_compare(enum own_note_verdict *verdict,
                                        struct checkpoint *checkpoint, const struct own_tree *tree,
                                        struct span note, struct err *err);

#endif
