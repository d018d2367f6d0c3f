/* guard.h -- against signing from an old state: a restored backup, a cloned machine, lost files.
 *
 * design: "Invariants", Start; one verdict an origin: may we sign for it?
 *
 *   OPEN      the mark agrees with the store, or peers were asked and none knew better
 *   CHECKING  the store was not read yet; or no mark says so, and the peers have not all answered: 503
 *             until they have, or until some time after the first of them did (guard_set_peers). Those
 *             that are not heard then are asked on, and are believed when they come
 *   REFUSED   the mark, the TPM or a note under our own valid signature is ahead of the store. Kept in
 *             the ledger, over restarts; only `state adopt` ends it. Nothing ends it once two notes
 *             under our signature contradict each other: the key is to be retired
 *
 * Without mark, TPM and peers every origin is OPEN and guard_words says "rollback not detectable".
 * A store that was used with a mark file and comes without one is REFUSED as a whole, for as long as it
 * does: ledger_open_mark. A mark file that was made from the store says nothing before every peer was
 * heard once about every log, in one run; without peers it is all there is, and vouches for the store.
 *
 * A note is compared with what the ledger has released, read after the note came. A signature of ours
 * leaves only after that, so a cosignature of our own that comes back at once never looks newer.
 * A pure state machine over the ledger; guard_service asks the peers. Any thread: it has a lock of its
 * own. What refuses an origin writes to the ledger and waits for the disk: not for the loop thread, nor
 * for the ledger's.
 */
#ifndef WITNESS_GUARD_H
#define WITNESS_GUARD_H

#include "tlog/vkey.h"
#include "witness/ledger.h"
#include "witness/log_table.h"

enum {
    GUARD_PEERS_MAX = 16,
    GUARD_PEER_WAIT_MS = 60 * 1000,
    GUARD_ASK_AGAIN_MS = 10 * 1000, /* at least between two rounds of questions about one origin */
};

enum guard_verdict {
    GUARD_OPEN,
    GUARD_CHECKING,
    GUARD_REFUSED
};

struct guard;

/* `keys`: our own cosigning keys; `peer_count` of them are going to be asked. All borrowed. */
struct guard *guard_new(struct ledger *ledger, const struct vkey *keys, size_t key_count,
                        size_t peer_count);
void guard_free(struct guard *guard);

/* Right after guard_new: what the peers are called in the log, borrowed, and how long after the first
 * answer about an origin the others are waited for; GUARD_PEER_WAIT_MS unless this is called. */
void guard_set_peers(struct guard *guard, const char *const *peers, uint64_t wait_ms);

/* For the switch `start-unchecked`, right after guard_new: nobody is waited for in this run. Logs it as an
 * error and says so in guard_words: the operator is to take the switch out again. A refusal stays one: it
 * has a proof. */
void guard_start_unchecked(struct guard *guard);
/* There is a TPM counter, and it agrees (tpm.h): for guard_words. */
void guard_use_tpm(struct guard *guard);

/* A log that was added. It is CHECKING until a tick has compared its state with the mark and with what was
 * refused before. Does not wait for the disk. */
void guard_add(struct guard *guard, struct known_log *log);

/* May we sign for it? If not, why, for the log and for /healthz. */
enum guard_verdict guard_verdict(struct guard *guard, const struct known_log *log, char *reason,
                                 size_t reason_max);

/* The TPM's counter is ahead: every origin is refused. */
void guard_refuse_all(struct guard *guard, const char *reason);

/* A note that somebody has, whoever it is: if the log's key and one of ours signed it, and it is ahead
 * of the store or contradicts it, the origin is refused. Returns true then. `peer`: who, or SIZE_MAX
 * for one that does not count as an answer (the log itself, a request's note). */
bool guard_on_note(struct guard *guard, struct known_log *log, size_t peer, struct span note,
                   uint64_t now_ms);
/* The peer has answered: it has none, or each one that it has was given to guard_on_note. */
void guard_on_none(struct guard *guard, struct known_log *log, size_t peer, uint64_t now_ms);
/* Now and then, about once a second; as guard_on_note it may wait for the disk. */
void guard_on_tick(struct guard *guard, uint64_t now_ms);

/* Origins whose verdict is not OPEN, for /metrics and /healthz. */
struct guard_counts {
    size_t checking, refused;
};
struct guard_counts guard_counts(struct guard *guard);

/* An old-size conflict: should the peers be asked about this origin now? At most once in
 * GUARD_ASK_AGAIN_MS says yes, and a start does. */
bool guard_wants_ask(struct guard *guard, struct known_log *log, uint64_t now_ms);

/* How a rollback would be noticed, for /healthz. Static words. */
const char *guard_words(const struct guard *guard);

#endif
