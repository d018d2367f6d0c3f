/* parts.h -- the parts of a running witness, as its surfaces see them.
 *
 * Everything is owned by daemon.c and outlives the services. Any thread.
 */
#ifndef WITNESS_PARTS_H
#define WITNESS_PARTS_H

#include "base/private_paths.h"
#include "witness/cosigner.h"
#include "witness/evidence_keep.h"
#include "witness/guard.h"
#include "witness/ledger.h"
#include "witness/log_table.h"

enum {
    PARTS_REASON_MAX = 512
};

struct cosigning_metrics;

struct parts {
    const struct signer *keys; /* of one name */
    size_t key_count;
    struct log_table *logs;
    struct ledger *ledger;
    struct guard *guard;
    struct evidence_keep *evidence;
    struct budget *budget;
    struct cosigner *cosigner;
    struct cosigning_metrics *metrics;
    struct work *reads; /* stores and files, read for the surfaces: a lane of their own */
    struct private_paths private_paths; /* of what peers are told */
    uint64_t started_ms;                /* monotonic */
    atomic_bool is_stopping;
    size_t bastion_count;
    atomic_size_t bastions_connected;
};

/* One log, at one moment. */
struct log_status {
    const struct known_log *log; /* for what never changes of it */
    struct origin_state state;
    uint64_t counts[REFUSAL_COUNT];
    uint64_t evidence; /* pieces held */
    enum guard_verdict verdict;
};

/* The logs in order of coming, at most `max` of them: the caller frees *out with mem_free. Returns the
 * count. May wait for the disk. */
size_t parts_log_statuses(struct parts *parts, size_t max, struct log_status **out);
/* Likewise without the first `first`. */
size_t parts_log_statuses_from(struct parts *parts, size_t first, size_t max,
                               struct log_status **out);

/* Why the guard does not let us sign, for peers to read. */
void parts_guard_reason(struct parts *parts, const struct known_log *log,
                        char reason[static PARTS_REASON_MAX]);

/* The witness as a whole. */
struct witness_status {
    size_t logs, open, checking, refused; /* the last three by the guard's verdict */
    uint64_t cosignatures;
    size_t evidence;               /* pieces held */
    bool is_failing;               /* the store cannot be written */
    bool can_sign;                 /* for some log, or there is none yet: what /readyz says */
    char reason[PARTS_REASON_MAX]; /* empty when all is well; for peers to read */
};
void witness_status_read(struct parts *parts, struct witness_status *out);

/* The cheap part of it, for a timer on the loop. */
bool parts_can_sign(struct parts *parts);

/* The fixed words of the answer's code, with its detail if there is one. */
void parts_put_refusal(struct buf *out, const struct cosigner_answer *answer);

#endif
