/* peer_memory.h -- the newest note of each log that each peer has shown, for a peer that is restored: it
 * asks for notes bearing its own key, and among these is the one that it signed last.
 *
 * A note is kept if a key of the log signed it and it is newer than the one kept of the same peer. What is
 * kept is its text, the lines of the log's keys, verified and as we write them, and at most
 * PEER_MEMORY_OTHERS_MAX lines of others as they came, since we need not know the peer's key. Whoever reads
 * them verifies them. They are served under /<origin hash>/peers and nowhere else.
 * Kept in the ledger's store; PEER_NOTES_MAX of one origin, the smallest gives way. Two notes under the
 * log's key that contradict each other become evidence.
 * Any thread that may wait for the disk.
 */
#ifndef WITNESS_PEER_MEMORY_H
#define WITNESS_PEER_MEMORY_H

#include "tlog/peer_notes.h"
#include "witness/evidence_keep.h"
#include "witness/ledger.h"
#include "witness/log_table.h"

enum {
    PEER_MEMORY_OTHERS_MAX = 8
};

/* A note of somebody's: compared with those that we cosigned and those that peers have shown, and
 * remembered as `peer`'s unless that is NULL. A peer is its URL; one thread at a time for one peer and
 * log. False when it is no note of the log under one of its keys. */
bool peer_memory_on_note(struct ledger *ledger, struct evidence_keep *evidence,
                         struct known_log *log, const char *peer, struct span note);

/* Appends the body of GET /<origin hash>/peers; E_NOT_FOUND when there is none. `out` has room for
 * PEER_NOTES_BYTES_MAX. */
MUST_USE enum err_code peer_memory_put(struct ledger *ledger, const struct hash *origin_hash,
                                       struct buf *out, struct err *err);

#endif
