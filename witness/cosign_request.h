/* cosign_request.h -- an add-checkpoint request, read and verified: checks 1 to 5 of protocols 6.1.
 *
 * Spec: C2SP tlog-witness, "add-checkpoint". Nothing of a request is acted upon but what this gives.
 * A worker: verifying costs about 100 us for each line of a known key of the log, and for at most two
 * lines of each key of ours.
 */
#ifndef WITNESS_COSIGN_REQUEST_H
#define WITNESS_COSIGN_REQUEST_H

#include "tlog/add_checkpoint.h"
#include "witness/log_table.h"

/* What the log signed. */
struct cosign_request {
    uint64_t old_size;
    struct proof proof;
    struct checkpoint checkpoint; /* of the log's origin; size 0 may have any root */
    struct buf note;     /* owned: the text, and the lines of the log's keys, verified, in our
                                     spelling. Lines of others are left out */
    size_t text_len;     /* of `note`, from its start */
    bool is_signable;    /* the text is just what we would write; else it is MALFORMED */
    struct buf own_note; /* owned: `note` and the lines of ours that do verify; or empty */
};

/* REFUSED_NONE, and then *out is to be cleared; or MALFORMED, UNKNOWN_LOG, BAD_SIGNATURE. *log is set
 * as soon as it is known, also with a refusal. `own_keys`: our cosigning keys. */
enum refusal cosign_request_read(struct cosign_request *out, struct known_log **log,
                                 const struct log_table *logs, const struct vkey *const *own_keys,
                                 size_t own_key_count, struct span body);
void cosign_request_clear(struct cosign_request *request);

#endif
