/* rpc_log.h -- the gRPC service courtroll.v1.Log as its clients see it.
 *
 * Spec: proto/courtroll/v1/log.proto. Replies are checked for form only (hashes have 32 bytes, as
 * many answers as entries): what they claim is for the caller to verify. One thread at a time;
 * threads that want to append in parallel open a log each.
 *
 * Errors: what the server said, with its words; E_IO when it cannot be reached; E_TIMEOUT;
 * E_MALFORMED for a reply that makes no sense.
 */
#ifndef CLIENT_RPC_LOG_H
#define CLIENT_RPC_LOG_H

#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"
#include "net/rpc_client.h"
#include "tlog/cosign_file.h"

struct rpc_log;

/* Connects, waiting up to `timeout_ms`. The caller owns *out. */
MUST_USE enum err_code rpc_log_open(struct rpc_log **out, const struct rpc_client_config *config,
                                    uint32_t timeout_ms, struct err *err);
void rpc_log_close(struct rpc_log *log); /* NULL is fine */

/* ---- append ---- */

struct rpc_log_append {
    const struct span *entries; /* 1..ENTRIES_PER_CALL_MAX */
    size_t entry_count;
    /* Of sealed records, for a log with schema = operation: one for each entry, empty where there is none.
     * NULL: none at all. */
    const struct span *certificates;
    bool wants_witnessed; /* else durable is enough */
    bool wants_promise;
};

struct rpc_log_appended {
    uint64_t index;
    struct hash leaf_hash; /* as the log computed it */
    bool is_duplicate;     /* `index` is that of the first copy */
    struct span proof;     /* a tlog-proof; empty unless witnessed */
};

/* Spans point into `memory`. */
struct rpc_log_append_reply {
    struct rpc_log_appended *entries; /* in the order of the request */
    size_t entry_count;               /* as in the request */
    struct span promise;              /* a signed note; empty if none was asked for */
    bool is_witnessed;
    struct span reason; /* why it is not, though asked for */
    struct arena memory;
};

/* On E_OK the caller ends *reply with rpc_log_append_reply_clear. */
MUST_USE enum err_code rpc_log_append(struct rpc_log *log, const struct rpc_log_append *request,
                                      uint32_t timeout_ms, struct rpc_log_append_reply *reply,
                                      struct err *err);
void rpc_log_append_reply_clear(struct rpc_log_append_reply *reply);

/* Many in flight: start as many as shall be, then poll and start more, also from on_appended. The
 * entries are borrowed for the call only. */
void rpc_log_append_start(struct rpc_log *log, const struct rpc_log_append *request,
                          uint32_t timeout_ms, void *tag);

/* `reply` is NULL when it failed, and good for the call only. How many entries it has is not
 * compared with the request's, as that is gone. A reply that makes no sense is E_IO here, so that it
 * is told from a request that the server calls malformed. */
typedef void rpc_log_on_appended(void *ctx, void *tag, const struct rpc_log_append_reply *reply,
                                 const struct err *failure);

/* Waits up to `timeout_ms` for an answer, then hands over all that are there. Returns how many. */
size_t rpc_log_append_poll(struct rpc_log *log, uint32_t timeout_ms, void *ctx,
                           rpc_log_on_appended *on_appended);
size_t rpc_log_in_flight(const struct rpc_log *log);
/* They fail, and are there for the next poll; what they were to append may still be logged. */
void rpc_log_append_cancel(struct rpc_log *log);

/* ---- queries ---- */

/* An entry by its index, or by its leaf hash. */
struct rpc_log_entry {
    const struct hash *leaf_hash; /* NULL: by index */
    uint64_t index;
};

/* Appends the latest published checkpoint's note. */
MUST_USE enum err_code rpc_log_get_checkpoint(struct rpc_log *log, uint32_t timeout_ms,
                                              struct buf *note, struct err *err);

struct rpc_log_inclusion {
    uint64_t index;
    uint64_t size;
    struct hash leaf_hash;
    struct proof proof;
};

/* At `size`, or the latest published one for 0. Appends the latest checkpoint's note to `note`. */
MUST_USE enum err_code rpc_log_get_inclusion(struct rpc_log *log, struct rpc_log_entry entry,
                                             uint64_t size, uint32_t timeout_ms,
                                             struct rpc_log_inclusion *out, struct buf *note,
                                             struct err *err);

/* From old_size to new_size, 0 being the latest published size; *size is the one it became. */
MUST_USE enum err_code rpc_log_get_consistency(struct rpc_log *log, uint64_t old_size,
                                               uint64_t new_size, uint32_t timeout_ms,
                                               struct proof *out, uint64_t *size, struct err *err);

/* Appends a tlog-proof. */
MUST_USE enum err_code rpc_log_get_receipt(struct rpc_log *log, struct rpc_log_entry entry,
                                           uint32_t timeout_ms, struct buf *receipt,
                                           struct err *err);

enum {
    RPC_LOG_TEXT_MAX = 512,     /* bytes kept of a text, with the NUL */
    RPC_LOG_WITNESSES_MAX = 64, /* kept of a status: twice what C2SP tlog-policy asks readers for */
};

/* A witness as the log sees it. */
struct rpc_log_witness {
    char name[RPC_LOG_TEXT_MAX];    /* the policy's; texts are the peer's: escape them */
    char problem[RPC_LOG_TEXT_MAX]; /* of the last request, when not is_ok */
    bool is_ok;
    uint64_t size;      /* cosigned last */
    uint64_t timestamp; /* seconds; 0: nothing since the log's start */
    uint64_t cosignatures, failures;
};

struct rpc_log_status {
    char origin[RPC_LOG_TEXT_MAX]; /* texts are the peer's: escape them */
    char reason[RPC_LOG_TEXT_MAX]; /* why it is not admitting, or degraded */
    char rollback_check[RPC_LOG_TEXT_MAX];
    char version[RPC_LOG_TEXT_MAX];
    char schema[RPC_LOG_TEXT_MAX]; /* "opaque", "operation"; "" of an older log */
    uint64_t submitters_registered, submitters_enabled, submitters_usable;
    bool is_admitting;
    bool is_degraded;
    uint64_t durable_size;
    uint64_t integrated_size;
    uint64_t published_size;
    uint64_t pool_entries;
    /* Of the process, since its start. */
    uint64_t uptime_ms;
    uint64_t cpu_us;
    uint64_t bytes_written;
    uint64_t bytes_logged;
    uint64_t entries_logged;
    uint64_t duplicates;
    uint64_t rss_anon_bytes; /* now */
    size_t witness_count;    /* in `witnesses` */
    struct rpc_log_witness witnesses[RPC_LOG_WITNESSES_MAX];
};

MUST_USE enum err_code rpc_log_get_status(struct rpc_log *log, uint32_t timeout_ms,
                                          struct rpc_log_status *out, struct err *err);

/* ---- checkpoints that travel as files (rpc_log_cosign.c) ---- */

struct rpc_log_export {
    size_t proof_count;               /* at most as many as sizes were given */
    struct cosign_file_proof *proofs; /* sizes ascending; owned */
};

/* The newest signed checkpoint, whose note is appended, and a proof from each of the old sizes that is
 * not above it; unverified. Requires at most COSIGN_FILE_PROOFS_MAX sizes. */
MUST_USE enum err_code rpc_log_export(struct rpc_log *log, const uint64_t *old_sizes,
                                      size_t old_count, uint32_t timeout_ms,
                                      struct rpc_log_export *out, struct buf *note,
                                      struct err *err);
void rpc_log_export_clear(struct rpc_log_export *out);

struct rpc_log_added {
    uint64_t size;         /* of the checkpoint */
    uint64_t added, known; /* cosignatures */
    uint64_t published_size;
};

/* Hands over cosignatures: a note of the checkpoint's text and their lines. */
MUST_USE enum err_code rpc_log_add_cosignatures(struct rpc_log *log, struct span note,
                                                uint32_t timeout_ms, struct rpc_log_added *out,
                                                struct err *err);

/* ---- streams ---- */

/* Published entries [first, first + count), count 0 meaning all there are. */
struct rpc_log_entries;
MUST_USE enum err_code rpc_log_entries_open(struct rpc_log_entries **out, struct rpc_log *log,
                                            uint64_t first, uint64_t count, uint32_t timeout_ms,
                                            struct err *err);

struct rpc_log_run {
    uint64_t first;
    const struct span *entries; /* good until the next call */
    size_t entry_count;         /* 0 at the end */
};

/* The next run of entries, each starting where the last one ended: anything else is
 * E_MALFORMED. */
MUST_USE enum err_code rpc_log_entries_next(struct rpc_log_entries *entries,
                                            struct rpc_log_run *out, struct err *err);
void rpc_log_entries_close(struct rpc_log_entries *entries); /* NULL is fine */

/* The latest published checkpoint, then each newer one. */
struct rpc_log_watch;
MUST_USE enum err_code rpc_log_watch_open(struct rpc_log_watch **out, struct rpc_log *log,
                                          struct err *err);
/* Waits for the next note and appends it; *is_end when the server is done with us. */
MUST_USE enum err_code rpc_log_watch_next(struct rpc_log_watch *watch, struct buf *note,
                                          bool *is_end, struct err *err);
void rpc_log_watch_close(struct rpc_log_watch *watch); /* NULL is fine */

#endif
