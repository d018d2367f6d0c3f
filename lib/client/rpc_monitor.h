/* rpc_monitor.h -- the gRPC service courtroll.v1.Monitor as its clients see it.
 *
 * Spec: proto/courtroll/v1/monitor.proto. Replies are checked for form and bounds only: what they claim is
 * for the caller to verify, but that evidence has the hash asked for. One thread at a time.
 *
 * Texts are the peer's, so escape them; they are NUL-terminated, never NULL, cut at RPC_MONITOR_TEXT_MAX, and
 * valid UTF-8 without control characters: a byte that is not becomes '?'. Words (codes, states, results, alert
 * ids) are [a-z0-9-] and refused otherwise.
 *
 * Errors: what the server said, with its words (E_DENIED, E_NOT_FOUND, E_CONFLICT, E_QUOTA or E_BUSY, ...);
 * E_IO when it cannot be reached; E_TIMEOUT; E_MALFORMED for a reply that makes no sense.
 */
#ifndef CLIENT_RPC_MONITOR_H
#define CLIENT_RPC_MONITOR_H

#include "base/alloc.h"
#include "base/buf.h"
#include "base/crypto.h"
#include "base/err.h"
#include "net/rpc_client.h"

enum {
    RPC_MONITOR_TEXT_MAX = 1024, /* bytes of a text, with the NUL */
    RPC_MONITOR_WORD_MAX = 64,   /* bytes of a word, with the NUL */
    RPC_MONITOR_LOGS_MAX = 256,  /* as a monitor has; more are E_MALFORMED, as for all below */
    RPC_MONITOR_WITNESSES_MAX = 256,
    RPC_MONITOR_VANTAGES_MAX = 256,
    RPC_MONITOR_SINKS_MAX = 64,
    RPC_MONITOR_ALERTS_MAX = 65536,
    RPC_MONITOR_EVIDENCES_MAX = 64, /* of one alert */
    RPC_MONITOR_NOTES_MAX = 64,     /* of one file checked */
    RPC_MONITOR_EVIDENCE_BYTES_MAX = 1024 * 1024,
    RPC_MONITOR_FILE_BYTES_MAX = 2 * 1024 * 1024, /* of a file to check */
};

struct rpc_monitor;

/* Connects, waiting up to `timeout_ms`. The caller owns *out. */
MUST_USE enum err_code rpc_monitor_open(struct rpc_monitor **out,
                                        const struct rpc_client_config *config, uint32_t timeout_ms,
                                        struct err *err);
void rpc_monitor_close(struct rpc_monitor *monitor); /* NULL is fine */

/* ---- status ---- */

struct rpc_monitor_witness {
    const char *name;
    uint64_t seen_s; /* latest cosignature's time; 0: never */
};

struct rpc_monitor_log {
    const char *origin;
    uint64_t log_size;  /* what the log shows */
    uint64_t held_size; /* hashed, and equal to a signed root */
    bool has_root;
    struct hash held_root;
    bool is_verified;
    uint64_t verified_s;  /* 0: never */
    uint64_t note_time_s; /* of the quorum on that note; 0: none */
    bool has_trusted_start;
    uint64_t trusted_start;
    bool is_scanning;
    uint64_t scan_at, scan_to, scan_rate; /* entries; entries a second */
    uint64_t entries_hashed;
    bool is_quorum_met;
    uint64_t f;       /* evil witnesses it takes */
    const char *rule; /* the quorum in words */
    size_t witness_count;
    struct rpc_monitor_witness *witnesses;
    bool has_policy_hash;
    struct hash policy_hash;
    const char *last_error; /* "" when the last poll went well */
    uint64_t waiting_notes, open_alerts;
};

struct rpc_monitor_vantage {
    const char *text;
    uint64_t last_answer_s; /* 0: none */
    uint64_t notes, contradictions;
    const char *last_error;
};

struct rpc_monitor_sink {
    const char *name;
    uint64_t waiting, delivered, failures;
    const char *last_error;
};

/* All of it is in `memory`. */
struct rpc_monitor_status {
    const char *name, *vkey; /* the monitor's own */
    size_t log_count, vantage_count, sink_count;
    struct rpc_monitor_log *logs;
    struct rpc_monitor_vantage *vantages;
    struct rpc_monitor_sink *sinks;
    uint64_t open_alerts; /* open or acknowledged */
    uint64_t entries_hashed;
    uint64_t started_s;
    bool is_well;
    const char *reason; /* when it is not */
    const char *page;   /* URL for people, or "" */
    uint64_t cpu_us, rss_anon_bytes;
    struct arena memory;
};

/* On E_OK the caller ends *out with rpc_monitor_status_clear. */
MUST_USE enum err_code rpc_monitor_get_status(struct rpc_monitor *monitor, uint32_t timeout_ms,
                                              struct rpc_monitor_status *out, struct err *err);
void rpc_monitor_status_clear(struct rpc_monitor_status *status);

/* ---- alerts ---- */

struct rpc_monitor_alert {
    const char *id;              /* word, 1..RPC_MONITOR_WORD_MAX - 1 */
    const char *code, *severity; /* words */
    const char *state;           /* word: open, acknowledged, resolved */
    const char *origin;          /* "" for what is about no log */
    const char *subject, *summary, *comment, *runbook;
    uint64_t first_seen_s, last_seen_s;
    uint64_t resolved_s; /* 0: not */
    uint64_t count;      /* times found */
    size_t evidence_count;
    struct hash *evidence;   /* SHA-256 of each file */
    uint64_t evidence_found; /* pieces, also those that were not kept */
    bool is_drill, is_provable;
};

/* Spans and pointers are in `memory`. */
struct rpc_monitor_alerts {
    size_t count;
    struct rpc_monitor_alert *alerts; /* newest first */
    struct arena memory;
};

/* `count`: at most so many; 0: as many as fit. On E_OK the caller ends *out with rpc_monitor_alerts_clear. */
MUST_USE enum err_code rpc_monitor_list_alerts(struct rpc_monitor *monitor, bool with_resolved,
                                               uint64_t count, uint32_t timeout_ms,
                                               struct rpc_monitor_alerts *out, struct err *err);
void rpc_monitor_alerts_clear(struct rpc_monitor_alerts *alerts);

/* The alerts that are open or acknowledged, then each as it changes. */
struct rpc_monitor_watch;
MUST_USE enum err_code rpc_monitor_watch_open(struct rpc_monitor_watch **out,
                                              struct rpc_monitor *monitor, struct err *err);
/* Waits for the next; *out is good until the next call and is NULL at the end of the stream. */
MUST_USE enum err_code rpc_monitor_watch_next(struct rpc_monitor_watch *watch,
                                              const struct rpc_monitor_alert **out,
                                              struct err *err);
void rpc_monitor_watch_close(struct rpc_monitor_watch *watch); /* NULL is fine */

/* By a person, on the control socket only. *out has the one alert as it is now. */
MUST_USE enum err_code rpc_monitor_acknowledge(struct rpc_monitor *monitor, const char *id,
                                               const char *comment, uint32_t timeout_ms,
                                               struct rpc_monitor_alerts *out, struct err *err);
MUST_USE enum err_code rpc_monitor_resolve(struct rpc_monitor *monitor, const char *id,
                                           const char *comment, uint32_t timeout_ms,
                                           struct rpc_monitor_alerts *out, struct err *err);

/* Appends an evidence file, whose SHA-256 is `id`. */
MUST_USE enum err_code rpc_monitor_get_evidence(struct rpc_monitor *monitor, const struct hash *id,
                                                uint32_t timeout_ms, struct buf *file,
                                                struct err *err);

/* ---- notes ---- */

struct rpc_monitor_checked {
    const char *origin; /* "" when the note is of no log they know, or malformed */
    uint64_t size;
    const char *result; /* word: see monitor.proto */
    const char *detail;
    bool has_evidence;
    struct hash evidence; /* SHA-256 of the file */
    uint64_t held_size;
    bool is_quorum_met;
};

struct rpc_monitor_check {
    size_t count;
    struct rpc_monitor_checked *notes;
    struct arena memory;
};

/* A note, receipt, promise, evidence or cosign file of at most RPC_MONITOR_FILE_BYTES_MAX (E_TOO_LARGE, not
 * sent). On E_OK the caller ends *out with rpc_monitor_check_clear. */
MUST_USE enum err_code rpc_monitor_check_note(struct rpc_monitor *monitor, struct span file,
                                              uint32_t timeout_ms, struct rpc_monitor_check *out,
                                              struct err *err);
void rpc_monitor_check_clear(struct rpc_monitor_check *check);

/* Messages of monitor/note_exchange.h: ours for theirs, which is appended to `reply`, within its maximum. */
MUST_USE enum err_code rpc_monitor_exchange_notes(struct rpc_monitor *monitor, struct span message,
                                                  uint32_t timeout_ms, struct buf *reply,
                                                  struct err *err);

/* ---- drill ---- */

struct rpc_monitor_told {
    const char *name;
    bool is_told;
    const char *error;
};

struct rpc_monitor_drill {
    bool is_fork_found, is_evidence_good;
    const char *alert_id; /* word, or "" */
    bool has_evidence;
    struct hash evidence_id;
    size_t sink_count;
    struct rpc_monitor_told *sinks;
    const char *error; /* "" when the drill could be held */
    struct arena memory;
};

/* On the control socket only. The sinks have `sink_timeout_ms` (0: 30 s), the call `timeout_ms`: give it more.
 * On E_OK the caller ends *out with rpc_monitor_drill_clear. */
MUST_USE enum err_code rpc_monitor_self_test(struct rpc_monitor *monitor, uint64_t sink_timeout_ms,
                                             uint32_t timeout_ms, struct rpc_monitor_drill *out,
                                             struct err *err);
void rpc_monitor_drill_clear(struct rpc_monitor_drill *drill);

#endif
