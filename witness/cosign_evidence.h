/* cosign_evidence.h -- looks for what a log's note contradicts among its other notes, and keeps the
 * proof.
 *
 * design: "What proves misbehaviour". The notes compared are those under the log's own signature: the
 * one cosigned last, those cosigned before, and those refused lately.
 * Of one note at most one pair is made with another of its size, and none once the origin has
 * EVIDENCE_KEEP_MAX files: making one costs four verifications, and a log can sign forks without end.
 * Whoever has the log's turn. Blocks on the disk. Never fails the request: what cannot be written is
 * logged, stays in the log's memory, and is tried again in a later turn.
 */
#ifndef WITNESS_COSIGN_EVIDENCE_H
#define WITNESS_COSIGN_EVIDENCE_H

#include "witness/cosign_memory.h"
#include "witness/evidence_keep.h"
#include "witness/ledger.h"

enum {
    COSIGN_EVIDENCE_RETRY_MS = 1000 /* at least between two tries to write the same */
};

/* When the trouble of all logs was logged last: complaint.h. */
struct cosign_evidence_complaints {
    _Atomic uint64_t not_kept_ms;
    _Atomic uint64_t not_read_ms;
};

struct cosign_evidence {
    struct evidence_keep *keep; /* all borrowed */
    struct ledger *ledger;
    struct known_log *log;
    struct cosign_memory *memory;
    const struct origin_state *held; /* when it was decided */
    const struct cosign_request *request;
    const struct decision *decision;
    uint64_t now_ms;
    struct cosign_evidence_complaints *complaints;
};

/* True: the note's checkpoint was cosigned, so that it need not be remembered apart. */
bool cosign_evidence_look(const struct cosign_evidence *evidence);

/* Keeps the proof that two notes are, which have one size and different roots and are both under the
 * log's signature. Without the log's turn: any thread that may wait for the disk. */
void cosign_evidence_keep(struct evidence_keep *keep, struct known_log *log, struct span note_1,
                          struct span note_2);

#endif
