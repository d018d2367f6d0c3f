/* cosign_evidence.h -- looks for what a log's note contradicts among its other notes, and keeps the
 * proof.
 *
 * design: "What proves misbehaviour". The notes compared are those under the log's own signature: the
 * one cosigned last, those cosigned before, and those refused lately.
 * Whoever has the log's turn. Blocks on the disk. Never fails the request: what cannot be kept is
 * logged.
 */
#ifndef WITNESS_COSIGN_EVIDENCE_H
#define WITNESS_COSIGN_EVIDENCE_H

#include "witness/cosign_memory.h"
#include "witness/evidence_keep.h"
#include "witness/ledger.h"

struct cosign_evidence {
    struct evidence_keep *keep; /* all borrowed */
    struct ledger *ledger;
    struct known_log *log;
    struct cosign_memory *memory;
    const struct origin_state *held; /* when it was decided */
    const struct cosign_request *request;
    const struct decision *decision;
};

/* True: the note's checkpoint was cosigned, so that it need not be remembered apart. */
bool cosign_evidence_look(const struct cosign_evidence *evidence);

#endif
