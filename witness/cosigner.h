/* cosigner.h -- the life of an add-checkpoint request: parse, verify, decide, sign, store, answer.
 *
 * Spec: C2SP tlog-witness; check order of protocols 6.1.
 *
 * Normal path: cosigner_submit (any thread) -> a worker parses the body, looks the origin up and
 * verifies the log's signature -> if no other request of that log is under way, the same worker takes
 * the log (is_busy), decides and signs -> ledger_commit -> on the ledger thread the state in
 * known_log moves, the answer goes out, and the next waiting request of that log goes to a worker.
 * Logs do not wait for each other, and the ledger syncs them in groups. Answers of one log go out in
 * the order in which they were decided.
 * A request for the state that is held, in the second of its last cosignature, is answered with that one:
 * it would be the same bytes. So strangers who ask for refreshes cost a log one commit a second.
 * It can fail so: every refusal of decision.h answers at once; after a failed commit the log's state
 * stays as it was, nothing is answered with a signature, and the log's state is read again from the
 * ledger before the next request of it is decided.
 */
#ifndef WITNESS_COSIGNER_H
#define WITNESS_COSIGNER_H

#include "net/work.h"
#include "tlog/add_checkpoint.h"
#include "witness/budget.h"
#include "witness/evidence_keep.h"
#include "witness/guard.h"
#include "witness/ledger.h"
#include "witness/log_table.h"

enum {
    COSIGNER_KEYS_MAX = 4,
    COSIGNER_WAITING_MAX = 256, /* requests of one log that wait for their turn; BUSY above */
    COSIGNER_REPEAT_MS = 1000,  /* an identical body within gets the answer of the first, if that
                                   is still the newest of its log */
    COSIGNER_JOBS_MAX = 4096,   /* requests under way in all; BUSY above */
    COSIGNER_BYTES_MAX = 64 * 1024 * 1024, /* of their bodies, and once these are read of the notes
                                              without strangers' lines; BUSY above. A request that is
                                              not padded is below 8 KiB: then the count comes first */
};

struct cosigner;

struct cosigner_options {
    struct work *work; /* all borrowed */
    struct log_table *logs;
    struct ledger *ledger;
    struct guard *guard;
    struct evidence_keep *evidence;
    struct budget *budget;
    const struct signer *keys; /* type 0x04; an answer has a line of each */
    size_t key_count;
    uint64_t (*unix_s)(void); /* the clock; NULL: the system's */
    void *ctx;
    void (*on_conflict)(void *ctx, struct known_log *log); /* STALE: the guard may want to ask. Any
                                                              thread; may be NULL */
};

struct cosigner *cosigner_new(const struct cosigner_options *options);
/* After the last answer. */
void cosigner_free(struct cosigner *cosigner);

struct cosigner_answer {
    enum refusal refusal;
    const char *detail; /* words for the peer, or NULL: the code's fixed text. Never peer's bytes */
    uint64_t stored_size; /* with REFUSED_STALE */
    struct span lines;    /* with REFUSED_NONE: our cosignature lines. Good for the call */
};

/* `body` is copied; `peer` is an address as text (budget.h). on_done is called once, from a worker, from
 * the ledger thread, or from within the call. Any thread. */
void cosigner_submit(struct cosigner *cosigner, struct span body, struct span peer, void *ctx,
                     void (*on_done)(void *ctx, const struct cosigner_answer *answer));

/* Requests under way. */
size_t cosigner_count(const struct cosigner *cosigner);

#endif
