/* watched_log.h -- one log as all parts of the monitor see it: its policy, where it is read, what has been
 * verified of it, and what people are told.
 *
 * The follower of the log (follow.h) alone moves what is held; everybody reads copies.
 * Any thread.
 */
#ifndef MONITOR_WATCHED_LOG_H
#define MONITOR_WATCHED_LOG_H

#include "client/log_reader.h"
#include "monitor/finding.h"
#include "monitor/history.h"
#include "monitor/scan.h"
#include "monitor/state_store.h"
#include "tlog/policy.h"

enum {
    WATCHED_LOGS_MAX = 256,
    WATCHED_SOURCES_MAX = 16,
};

/* Times of the caller: nothing below reads a clock. */
struct monitor_time {
    int64_t unix_s;
    uint64_t monotonic_ms;
};

/* Seconds, entries; 0 switches a check off. */
struct watch_thresholds {
    uint64_t stalled_after_s; /* no cosigned checkpoint fresher than that; also stale-cosignature */
    uint64_t witness_missing_after_s;
    uint64_t withheld_after_s;
    uint64_t unreachable_after_s;
    uint64_t future_tolerance_s;  /* a cosignature so far ahead of our clock; never off */
    uint64_t growth_per_hour_max; /* entries */
};

struct watched_log_options {
    const struct policy *policy; /* borrowed, as all here, for the log's life */
    const struct policy_log *log;
    const struct vkey *promise_key; /* or NULL: promises cannot be judged */
    struct watch_thresholds thresholds;
    /* Where its files are: [0] the log itself, then mirrors and other addresses of it, which serve
     * data that the log does not serve us. */
    struct scan_source sources[WATCHED_SOURCES_MAX];
    size_t source_count;
    struct scan_source
        relayed; /* the log itself, for who cannot wait long; open NULL: it is not handed on */
    struct state_store *store;
    struct finding_sink sink;
};

/* What is verified: entries hashed, root equal to that of a signed note. */
struct held_tree {
    bool is_there; /* false: nothing yet, not even size 0 */
    struct compact_range range;
    struct hash root;
    struct buf note;    /* the signed note; owned by whoever has the copy: held_tree_clear */
    int64_t verified_s; /* unix time of the verification */
    bool has_trusted_start;
    uint64_t trusted_start; /* entries below this were never looked at: told to be trusted */
};
void held_tree_clear(struct held_tree *held);

/* What people are told; numbers since the start of the process unless said otherwise. */
struct watched_status {
    uint64_t log_size;  /* of the newest note that the log itself serves, with its signature */
    uint64_t held_size; /* verified */
    bool is_verified;
    int64_t verified_s;  /* when; 0: never */
    int64_t note_time_s; /* of the quorum on the held note: policy_no_later_than; 0: none */
    bool has_trusted_start;
    uint64_t trusted_start;
    bool is_scanning;
    uint64_t scan_from, scan_at, scan_to;
    double scan_rate; /* entries a second, of the scan under way or the last one */
    uint64_t entries_hashed, bytes_hashed, polls, failed_polls;
    bool is_quorum_met;                      /* on the newest note */
    size_t witness_count;                    /* of the policy, in its order */
    int64_t witness_seen_s[POLICY_KEYS_MAX]; /* latest time cosigned that we saw; 0: never; kept */
    char last_error[ERR_MSG_MAX];            /* of the last poll; "": it went well */
    int64_t good_poll_s; /* unix time of the last one that went well; 0: none since the start */
};

struct watched_log;

struct watched_log *watched_log_new(const struct watched_log_options *options);
void watched_log_free(struct watched_log *log);

const struct watched_log_options *watched_log_options(const struct watched_log *log);
const char *watched_log_origin(const struct watched_log *log);
const struct hash *
watched_log_origin_hash(const struct watched_log *log); /* SHA-256 of the origin */

/* A copy; the caller clears it. */
void watched_log_held(struct watched_log *log, struct held_tree *out);
/* The follower only. Takes the note's bytes out of `held`. */
void watched_log_hold(struct watched_log *log, struct held_tree *held);

void watched_log_status(struct watched_log *log, struct watched_status *out);
/* Runs `change` with the status locked. It must not block. */
void watched_log_update(struct watched_log *log,
                        void (*change)(void *ctx, struct watched_status *status), void *ctx);

/* Size over time, for the chart: history.h, under the same lock. */
void watched_log_history(struct watched_log *log, struct history *out);
void watched_log_add_sample(struct watched_log *log, int64_t unix_s, uint64_t size);
void watched_log_load_history(struct watched_log *log, const struct history *history);

/* "log/<origin hash>/" and `rest`: a key of this log in the store. */
void watched_log_put_key(struct buf *out, const struct watched_log *log, const char *rest);

#endif
