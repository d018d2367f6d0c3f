/* vantage.h -- another place where notes of the logs can be seen: a witness, a mirror or another address of the
 * log, another monitor, a folder of files.
 *
 * One thread each, so that a slow one holds up nobody else. Every poll it asks about each log, and hands every
 * note under that log's key to note_memory_on_note. What is no such note is counted and passed over: it proves
 * nothing about anybody.
 *   http(s)://...      <url>/<hex of SHA-256(origin)>/checkpoint (C2SP tlog-witness), .../peers
 *                      (tlog/peer_notes.h) and <url>/checkpoint (a log or mirror): whichever answers 200
 *   grpc://HOST:PORT   Monitor.ExchangeNotes: our newest notes for theirs
 *   file:DIR           every file: a note, a receipt (tlog-proof), a promise, evidence (its notes), or a
 *                      cosign file; files that have not changed are not read again
 */
#ifndef MONITOR_VANTAGE_H
#define MONITOR_VANTAGE_H

#include "client/log_address.h"
#include "monitor/note_memory.h"

enum {
    VANTAGES_MAX = 32,
    VANTAGE_TIMEOUT_MS = 10 * 1000,
    VANTAGE_FILES_MAX = 10000, /* of a folder: names in order, the rest is left out and told */
    VANTAGE_FILE_BYTES_MAX = 2 * 1024 * 1024,
};

struct vantage_log {
    struct watched_log *log;
    struct note_memory *memory;
};

struct vantage_options {
    const char *text; /* as configured; borrowed, as all here */
    struct log_address address;
    const struct vantage_log *logs;
    size_t log_count;
    const struct signer *key; /* ours, for grpc:// */
    uint64_t poll_ms;
};

struct vantage;

struct vantage *vantage_start(const struct vantage_options *options);
void vantage_stop(struct vantage *vantage); /* waits for the request under way, and frees */

struct vantage_status {
    char text[LOG_ADDRESS_MAX];
    int64_t last_answer_s; /* 0: none yet */
    uint64_t notes, contradictions, unusable, failures;
    char last_error[ERR_MSG_MAX]; /* "" when it answered last */
};
void vantage_read_status(struct vantage *vantage, struct vantage_status *out);

/* Whatever these bytes are, the notes in them, each handed to on_note: a note, a receipt, evidence, a cosign
 * file; a promise goes to on_promise. E_MALFORMED when they are none of these. Pure. */
MUST_USE enum err_code vantage_take_notes(struct span bytes, void *ctx,
                                          void (*on_note)(void *ctx, struct span note),
                                          void (*on_promise)(void *ctx, struct span note),
                                          struct err *err);

#endif
