/* finding.h -- what a monitor can find: codes that never change, how grave each is, and what to do.
 *
 * design: "What proves misbehaviour, and what only reports it". Provable codes come with a file that
 * convinces a stranger (lib/evidence/evidence.h); all others are observations, the monitor's own word.
 * Pure. Any thread.
 */
#ifndef MONITOR_FINDING_H
#define MONITOR_FINDING_H

#include "base/err.h"
#include "base/limits.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum finding_severity {
    FINDING_INFO,
    FINDING_WARNING,
    FINDING_CRITICAL
};

enum finding_code {
    /* provable: never resolved but by a person */
    FINDING_FORK,
    FINDING_WITNESS_EQUIVOCATION,
    FINDING_PROMISE_BROKEN,
    FINDING_TAG_REPEATED, /* two records with one entry tag */
    /* observations about signatures */
    FINDING_BAD_SIGNATURE,
    FINDING_NO_QUORUM,
    FINDING_STALE_COSIGNATURE,
    FINDING_FUTURE_COSIGNATURE,
    FINDING_TIME_BACKWARDS,
    FINDING_WITNESS_MISSING,
    /* about what the log serves */
    FINDING_STALLED,
    FINDING_ROLLBACK,
    FINDING_ROOT_MISMATCH,
    FINDING_MALFORMED,
    FINDING_TILE_MISMATCH,
    FINDING_GROWTH,
    FINDING_WITHHELD,
    FINDING_UNREACHABLE,
    /* about operation records: subject "entry INDEX", never the case, which nobody else may know */
    FINDING_BAD_RECORD,
    FINDING_UNREGISTERED_KEY,
    FINDING_SEALED_OVERDUE,
    /* likewise, seen with the key of a case only */
    FINDING_CASE_GAP,
    FINDING_CASE_ORDER,
    FINDING_CASE_AFTER_CLOSED,
    FINDING_CASE_TIME_BACKWARDS,
    FINDING_CASE_FILED_TWICE,
    FINDING_CASE_COUNT,
    /* about ourselves */
    FINDING_DRILL,
    FINDING_HEARTBEAT,
    FINDING_COUNT
};

struct finding_kind {
    const char *text; /* the stable code: "witness-equivocation" */
    enum finding_severity severity;
    bool is_provable;
    bool is_transient;   /* resolved by the monitor itself once it is over */
    const char *meaning; /* one sentence for people */
    const char *runbook; /* one sentence: what to do first */
};
const struct finding_kind *finding_kind(enum finding_code code);
bool finding_code_parse(enum finding_code *out, struct span text);
const char *
finding_severity_text(enum finding_severity severity); /* "info", "warning", "critical" */

enum {
    FINDING_SUBJECT_MAX = 384, /* bytes, with the NUL */
    FINDING_SUMMARY_MAX = 768,
};

/* One thing that is wrong now. Its cause is (code, origin, subject): the same cause is the same alert,
 * however often it is found. Peers' bytes in subject and summary are escaped (ascii_put_escaped). */
struct finding {
    enum finding_code code;
    const char *origin;                /* borrowed; "" for what is about no log */
    char subject[FINDING_SUBJECT_MAX]; /* the witness, vantage or file it is about, or "" */
    char summary[FINDING_SUMMARY_MAX]; /* one or two sentences, with the numbers */
    struct span
        evidence;  /* of a provable code: the file; of an observation: the note it is about, or
                             nothing. Borrowed for the call */
    bool is_drill; /* part of a self-test: says so wherever it is shown */
};

/* Where findings go: the alerts of a running monitor, a list in tests. Any thread. E_OK means that it
 * is durable: only then may the state that made it found be left behind. */
struct finding_sink {
    void *ctx;
    enum err_code (*raise)(void *ctx, const struct finding *finding, int64_t now_s,
                           struct err *err);
    /* The cause is over. For transient codes; nothing happens if it was not raised. */
    enum err_code (*clear)(void *ctx, enum finding_code code, const char *origin,
                           const char *subject, int64_t now_s, struct err *err);
};

#endif
