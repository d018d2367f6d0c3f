/* contradiction.h -- what is proved against a log or a witness: made into a file, judged, raised, remembered.
 *
 * Each claim of the guilty party (this root at this size, that leaf at that index) is one piece, made once,
 * and kept in the store by its hash. After CONTRADICTION_PIECES_MAX pieces against one party a new claim is
 * raised once in CONTRADICTION_LATER_S only, so that an alert which a person has resolved opens again, and a
 * log that signs a million heads costs no more than that.
 * Blocks on the store. Any thread: two at once may make one piece twice, which is the same alert.
 */
#ifndef MONITOR_CONTRADICTION_H
#define MONITOR_CONTRADICTION_H

#include "monitor/watched_log.h"
#include "tlog/proof.h"

enum {
    CONTRADICTION_PIECES_MAX = 16,
    CONTRADICTION_LATER_S = 3600,
};

/* Against whom. */
enum contradiction_kind {
    CONTRADICTION_FORK,         /* the log */
    CONTRADICTION_EQUIVOCATION, /* a witness */
    CONTRADICTION_PROMISE,      /* the log, for an entry */
};

/* All borrowed. What evidence.h asks for. */
struct contradiction {
    enum contradiction_kind kind;
    size_t witness;          /* of an equivocation: position in the policy */
    const char *from;        /* who showed it, for the summary: any bytes */
    struct hash claim;       /* contradiction_claim */
    const char *detail;      /* what contradicts what, without peers' bytes */
    struct span notes[2];    /* one contradicts the other; of a promise, the promise and a note */
    const struct hash *root; /* or NULL; of a promise, the leaf that is there */
    const struct proof *proof;
    uint64_t index; /* of a promise */
};

/* What is claimed: form as in evidence.h; a size or an index; a root, a leaf or a time. */
struct hash contradiction_claim(char form, uint64_t number, struct span value);

/* Makes, judges and raises it, unless that was done before: then only *id is set. *has_evidence is false when
 * there are enough pieces already, or it would not convince, which is logged: nothing is raised then. Errors are
 * the store's and the sink's. */
MUST_USE enum err_code contradiction_raise(struct watched_log *log,
                                           const struct contradiction *contradiction, int64_t now_s,
                                           bool *has_evidence, struct hash *id, struct err *err);

#endif
