/* decision.h -- may this checkpoint be cosigned? The rules of add-checkpoint, as one pure function.
 *
 * Spec: C2SP tlog-witness, "add-checkpoint": checks 6 to 12 of protocols 6.1, in that order; the clock
 * rule of design "Entries and time".
 * Pure. Any thread. Costs the hashes of one proof.
 */
#ifndef WITNESS_DECISION_H
#define WITNESS_DECISION_H

#include "tlog/checkpoint.h"
#include "tlog/proof.h"

enum {
    DECISION_CLOCK_BEHIND_MAX_S = 60 /* our clock behind the last time signed: more is an error */
};

/* What was cosigned last for an origin. Size 0 with the empty root before the first. */
struct origin_state {
    uint64_t size;
    struct hash root;
    uint64_t timestamp; /* seconds; 0: nothing was cosigned yet */
};

struct origin_state origin_state_new(void);

/* Why a request ends as it does: a label of metrics, words for the log, and the error code from which
 * the surfaces answer. REFUSED_NONE is a cosignature. */
#define REFUSALS(X)                                                                                \
    X(NONE, "signed", OK)                                                                          \
    X(MALFORMED, "malformed", MALFORMED) /* not parseable, note or checkpoint too */               \
    X(UNKNOWN_LOG, "unknown-log", NOT_FOUND)                                                       \
    X(BAD_SIGNATURE, "bad-signature", BAD_SIGNATURE)                                               \
    X(OLD_ABOVE_SIZE, "old-above-size", MALFORMED)                                                 \
    X(STALE, "stale", CONFLICT) /* old is not the size held */                                     \
    X(BAD_EMPTY_ROOT, "bad-empty-root", BAD_PROOF)                                                 \
    X(UNEXPECTED_PROOF, "unexpected-proof", BAD_PROOF) /* none belongs there */                    \
    X(ROOT_MISMATCH, "root-mismatch", BAD_PROOF)       /* the size held, another root */           \
    X(BAD_PROOF, "bad-proof", BAD_PROOF)                                                           \
    X(CLOCK, "clock", IO)          /* our clock is behind what we signed */                        \
    X(GUARD, "guard", UNAVAILABLE) /* this may be a restored state: guard.h */                     \
    X(QUOTA, "quota", QUOTA)                                                                       \
    X(BUSY, "busy", BUSY)                                                                          \
    X(KEY, "key", IO) /* the signing device failed */                                              \
    X(STORAGE, "storage", IO)

enum refusal {
#define REFUSAL_ENUM(name, label, code) REFUSED_##name,
    REFUSALS(REFUSAL_ENUM)
#undef REFUSAL_ENUM
    REFUSAL_COUNT
};
const char *refusal_label(enum refusal refusal);
enum err_code refusal_code(enum refusal refusal);

struct decision {
    enum refusal refusal;
    uint64_t timestamp; /* with REFUSED_NONE: what to sign, max(now, last) */
    /* What the request proves against the log, if anything: the checkpoint and the one held have one
     * size and two roots; or the proof, though it fails, leads from `other_root` at the size held to
     * the checkpoint. */
    bool has_same_size_fork;
    bool has_other_root;
    struct hash other_root;
};

/* `checkpoint` is of the origin and under its log's signature. */
struct decision decide(const struct origin_state *held, uint64_t old_size,
                       const struct checkpoint *checkpoint, const struct proof *proof,
                       uint64_t now_s);

#endif
