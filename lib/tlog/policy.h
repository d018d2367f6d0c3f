/* policy.h -- which logs and witnesses are known, and which sets of witnesses are enough.
 *
 * Spec: C2SP tlog-policy. A policy is named by the SHA-256 of its bytes.
 * Pure. Any thread; a policy does not change after it is parsed.
 */
#ifndef TLOG_POLICY_H
#define TLOG_POLICY_H

#include "base/limits.h"
#include "tlog/checkpoint.h"
#include "tlog/vkey.h"

struct policy_log {
    struct vkey vkey; /* its name is the log's origin */
    char *url;        /* NULL if the line has none; owned */
};

struct policy_witness {
    char *name; /* the policy's name for it; owned */
    struct vkey vkey;
    char *url; /* submission prefix, or NULL; owned */
};

/* A set of witnesses, by position. */
struct policy_set {
    bool has[POLICY_KEYS_MAX];
};

struct policy; /* opaque */

/* E_MALFORMED names the line; also when a log's key stands where a witness's is needed, or the other
 * way round: it says so. Free with policy_free. */
MUST_USE enum err_code policy_parse(struct policy **out, struct span bytes, struct err *err);
void policy_free(struct policy *policy); /* NULL is fine */

const struct hash *policy_hash(const struct policy *policy);
/* The bytes that it was parsed from. */
struct span policy_text(const struct policy *policy);
size_t policy_log_count(const struct policy *policy);
const struct policy_log *policy_log_at(const struct policy *policy, size_t i);
/* Of several keys of one log its Ed25519 key. NULL when none is listed. */
const struct policy_log *policy_log_by_origin(const struct policy *policy, const char *origin);
/* A policy may list the promise key of a log (promise.h) as one more log line: its name is that log's origin
 * and "/promise". NULL when it does not. */
const struct vkey *policy_promise_key(const struct policy *policy, const char *origin);
/* Is log number `i` such a key, rather than a log? */
bool policy_log_is_promise_key(const struct policy *policy, size_t i);
size_t policy_witness_count(const struct policy *policy);
const struct policy_witness *policy_witness_at(const struct policy *policy, size_t i);
bool policy_has_quorum(const struct policy *policy); /* false: "quorum none" */

/* Are these witnesses a quorum? Always true for "quorum none". */
bool policy_is_met(const struct policy *policy, const struct policy_set *present);

/* f: the fewest evil witnesses that let two quorums share no honest member. 0 for "none". Keys of one name are those
 * of one witness here and below: it is evil, or down, with all of them. */
size_t policy_f(const struct policy *policy);

/* How many witnesses, whichever they are, may be down with a quorum still possible. */
size_t policy_may_be_down(const struct policy *policy);

/* Without the witnesses of `set` no quorum is possible. */
bool policy_is_blocking(const struct policy *policy, const struct policy_set *set);

/* Appends the quorum rule in words, such as "2 of (w1, w2, w3)". Room for POLICY_BYTES_MAX is
 * always enough. */
void policy_put_rule(struct buf *out, const struct policy *policy);

/* A checkpoint note, read against the policy. */
struct policy_verdict {
    struct checkpoint checkpoint;
    const struct policy_log *log;         /* the listed log that signed it */
    struct policy_set cosigned;           /* witnesses whose cosignature verifies */
    uint64_t timestamps[POLICY_KEYS_MAX]; /* seconds, of those */
    struct policy_set unchecked;          /* witnesses whose line cannot be checked here (note.h) */
    size_t bad_signatures;                /* lines of known witnesses that do not verify */
    bool is_met;
};

/* "No later than" for the entries of the verdict's tree: the latest time in the quorum, for the quorum
 * that makes it least. 0 when no quorum is met, or the policy asks for none. */
uint64_t policy_no_later_than(const struct policy *policy, const struct policy_verdict *verdict);
/* "Sequenced after" for entries behind one that holds this note: the earliest time in the quorum, for the quorum that
 * makes it greatest. 0 likewise. */
uint64_t policy_sequenced_after(const struct policy *policy, const struct policy_verdict *verdict);

/* E_MALFORMED; E_NOT_FOUND when no listed log has the origin; E_BAD_SIGNATURE when that log's line
 * does not verify or is missing. A missing quorum is no error: see is_met. */
MUST_USE enum err_code policy_open_checkpoint(const struct policy *policy,
                                              struct policy_verdict *out, struct span note,
                                              struct err *err);

#endif
