/* witness_status.h -- how a witness of the policy is doing, as logd's surfaces show it.
 *
 * Pure. Any thread.
 */
#ifndef LOGD_WITNESS_STATUS_H
#define LOGD_WITNESS_STATUS_H

#include "logd/witness_client.h"

enum {
    WITNESS_NAME_SHOWN_MAX = 64,   /* bytes of its name on pages */
    WITNESS_STATUS_WORDS_MAX = 512 /* bytes */
};

struct witness_status {
    const char *name;      /* the policy's; good as long as that */
    bool is_askable;       /* else its cosignatures come as files */
    bool is_ok;            /* it answered the last request with a cosignature; never of files */
    bool has_answered;     /* ever, with what is no failure */
    bool is_ahead;         /* its last answer: that it holds a newer checkpoint */
    uint64_t size;         /* cosigned last */
    uint64_t timestamp;    /* of it, seconds; 0: nothing yet */
    uint64_t cosignatures; /* that were new */
    uint64_t bad_lines;    /* in its answers: of known keys, dropped */
    uint64_t failures[WITNESS_FAILURE_KINDS];
    char problem[WITNESS_PROBLEM_MAX]; /* when not ok: words that follow its name; else empty */
};

uint64_t witness_status_failures(const struct witness_status *status); /* of all kinds */

/* What keeps it from being ok, in words that follow its name. Who brings files is neither ok nor not:
 * the words say that. */
const char *witness_status_problem(const struct witness_status *status);

/* Seconds since it cosigned, by its clock and ours; -1: it has not. */
int64_t witness_status_age_s(const struct witness_status *status, int64_t now_unix_s);

/* One line without its name, such as "timed out; cosigned size 12, 60 s ago" or "by file, last cosigned
 * size 12, 60 s ago". */
void witness_status_put(struct buf *out, const struct witness_status *status, int64_t now_unix_s);

#endif
