/* alert_book.h -- what was found, for people: open, acknowledged, resolved; and who is still to be told.
 *
 * An alert is an episode of one cause (finding.h): found again while it is open it only counts, found again
 * after it was resolved it is a new alert. Its id is the first 16 bytes, in hex, of SHA-256 over cause and
 * episode: the same wherever and however often it is told. Raising is durable, with its evidence and with one
 * delivery queued for each sink, in one batch.
 * An observation is signed with the monitor's key when it is raised (evidence.h, kind observation).
 * Blocks on the store. Any thread: it has a lock.
 */
#ifndef MONITOR_ALERT_BOOK_H
#define MONITOR_ALERT_BOOK_H

#include "base/crypto.h"
#include "monitor/finding.h"
#include "monitor/state_store.h"
#include "tlog/vkey.h"

enum {
    ALERT_ID_CHARS = 32,
    ALERT_SINKS_MAX = 16,
    ALERT_COMMENT_MAX = 256,       /* bytes, with the NUL */
    ALERT_EVIDENCE_MAX = 16,       /* files of one alert; further ones are counted */
    ALERT_RESOLVED_KEPT_MAX = 4096 /* older resolved alerts without evidence are forgotten */
};

enum alert_state {
    ALERT_OPEN,
    ALERT_ACKNOWLEDGED,
    ALERT_RESOLVED
};
const char *alert_state_text(enum alert_state state); /* "open", "acknowledged", "resolved" */

struct alert {
    char id[ALERT_ID_CHARS + 1];
    uint64_t number; /* order of opening, from 1 */
    enum finding_code code;
    enum alert_state state;
    char origin[ORIGIN_BYTES_MAX + 1];
    char subject[FINDING_SUBJECT_MAX];
    char summary[FINDING_SUMMARY_MAX]; /* the latest */
    int64_t first_seen_s, last_seen_s;
    int64_t resolved_s;              /* 0: not */
    uint64_t count;                  /* times found */
    char comment[ALERT_COMMENT_MAX]; /* of who acknowledged or resolved it; "by the monitor" */
    size_t evidence_count;           /* files kept: at least 1, an observation's signed block */
    struct hash evidence[ALERT_EVIDENCE_MAX]; /* SHA-256 of each */
    uint64_t evidence_found;                  /* pieces found, also those over the maximum */
    bool is_drill;
};

struct alert_book;

struct alert_book_options {
    struct state_store *store; /* borrowed, as all here */
    const struct signer *key;  /* the monitor's */
    size_t sink_count;
    const char
        *sinks[ALERT_SINKS_MAX]; /* names that stay the same over restarts: "webhook http://..." */
    uint64_t repeat_s;           /* open critical alerts are told again so often; 0: never */
    void *ctx;
    void (*on_change)(
        void *ctx); /* may be NULL; any thread, not under the lock: something changed */
};

/* Reads what is stored; deliveries of sinks that are no more are dropped, new sinks are told what is open. */
MUST_USE enum err_code alert_book_open(struct alert_book **out,
                                       const struct alert_book_options *options, struct err *err);
void alert_book_close(struct alert_book *book); /* NULL is fine */

/* raise and clear, as a sink of findings; `ctx` is the book. */
struct finding_sink alert_book_sink(struct alert_book *book);
/* The same, telling the id. */
MUST_USE enum err_code alert_book_raise(struct alert_book *book, const struct finding *finding,
                                        int64_t now_s, char id[ALERT_ID_CHARS + 1],
                                        struct err *err);
/* By a person. E_NOT_FOUND; E_CONFLICT when it is resolved already. */
MUST_USE enum err_code alert_book_acknowledge(struct alert_book *book, const char *id,
                                              const char *comment, int64_t now_s, struct err *err);
MUST_USE enum err_code alert_book_resolve(struct alert_book *book, const char *id,
                                          const char *comment, int64_t now_s, struct err *err);

/* Copies, newest first; the caller frees *out with mem_free. Returns the count. */
size_t alert_book_list(struct alert_book *book, bool with_resolved, size_t max, struct alert **out);
MUST_USE enum err_code alert_book_get(struct alert_book *book, const char *id, struct alert *out,
                                      struct err *err);
/* Goes up with every change that on_change tells. */
uint64_t alert_book_revision(struct alert_book *book);
/* Alerts that are open or acknowledged, by severity. */
void alert_book_count(struct alert_book *book, size_t open[3]);
/* Appends an evidence file; E_NOT_FOUND. */
MUST_USE enum err_code alert_book_evidence(struct alert_book *book, const struct hash *id,
                                           struct buf *out, struct err *err);

/* -- deliveries: at least once, one under way for each sink; those of one alert in order, others pass one
 * that is refused three times -- */

enum delivery_event {
    DELIVERY_OPENED,
    DELIVERY_REMINDER,
    DELIVERY_RESOLVED
};
const char *delivery_event_text(enum delivery_event event); /* "opened", "reminder", "resolved" */

struct delivery {
    uint64_t number; /* of the queue */
    enum delivery_event event;
    struct alert alert; /* as it is now */
    unsigned tries;     /* so far, since the process started */
};

/* The oldest that is due for sink number `sink`. False: none is; *wait_ms then says when to ask again at the
 * latest (on_change tells of new ones). */
bool alert_book_next(struct alert_book *book, size_t sink, const int64_t now_s,
                     uint64_t monotonic_ms, struct delivery *out, uint64_t *wait_ms);
/* It was delivered: durable. */
MUST_USE enum err_code alert_book_delivered(struct alert_book *book, size_t sink,
                                            const struct delivery *delivery, struct err *err);
/* It was not: tried again after a while, longer each time (1 s doubled to 5 min, with jitter). */
void alert_book_failed(struct alert_book *book, size_t sink, const struct delivery *delivery,
                       uint64_t monotonic_ms);
struct alert_queue_status {
    size_t waiting;     /* deliveries */
    uint64_t delivered; /* since the start */
    uint64_t failures;
    unsigned tries; /* in vain, since the last success */
};
void alert_book_queue(struct alert_book *book, size_t sink, struct alert_queue_status *out);

#endif
