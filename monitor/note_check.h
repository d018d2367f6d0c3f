/* note_check.h -- one checkpoint note against the policy, the clock, and what was seen before.
 *
 * Pure: the note, the policy, the time and the memory go in; what is wrong comes out. Any thread.
 *
 * Rules, each a code of finding.h; T is stalled_after_s of the thresholds:
 *   bad-signature      the log's line is missing or does not verify, or a line of a known witness does not
 *                      (subject: the witness's name in the policy)
 *   no-quorum          the policy's quorum is not met (log's own notes only)
 *   future-cosignature a verified time is more than future_tolerance_s ahead of the clock (subject: witness)
 *   stale-cosignature  a note that is larger than all before bears a line older than T; not for the first
 *                      note ever seen of the log, nor after a pause of ours, since nobody knows when that was
 *                      news (subject: witness)
 *   time-backwards     a note of the same size and root as the one before has an older time of a witness
 *                      than that one had (subject: witness). A smaller time on a larger size is no
 *                      observation but witness-equivocation: see compare.h.
 */
#ifndef MONITOR_NOTE_CHECK_H
#define MONITOR_NOTE_CHECK_H

#include "monitor/watched_log.h"

enum {
    NOTE_CHECK_FINDINGS_MAX = 128
};

/* What the log itself showed before. Zeroes: nothing. Stored by follow.h. */
struct note_memory_of_log {
    bool has_note;
    bool is_after_pause; /* nobody looked for longer than T: not stored, the caller's to set */
    uint64_t size;       /* of its newest note */
    struct hash root;
    uint64_t size_max; /* largest it ever showed */
    uint64_t
        timestamps[POLICY_KEYS_MAX]; /* of that newest note, by witness of the policy; 0: none */
};

struct note_check_result {
    bool is_usable;                /* the log signed it, and it is a checkpoint of this origin */
    struct policy_verdict verdict; /* then */
    size_t count;
    struct { /* what is wrong; the rest of a struct finding is the caller's to fill */
        enum finding_code code;
        char subject[FINDING_SUBJECT_MAX];
        char summary[FINDING_SUMMARY_MAX];
    } findings[NOTE_CHECK_FINDINGS_MAX];
};

/* A note that the log itself serves. `now_s`: unix time. */
void note_check(struct note_check_result *out, const struct watched_log_options *options,
                const struct note_memory_of_log *memory, struct span note, int64_t now_s);

/* Moves the memory on to a usable note. */
void note_memory_of_log_take(struct note_memory_of_log *memory,
                             const struct policy_verdict *verdict);

#endif
