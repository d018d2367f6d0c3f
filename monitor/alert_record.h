/* alert_record.h -- what the alert book keeps in the store: keys and values, and an alert's id.
 *
 *     alert/record/<number, 8 bytes>             an alert
 *     alert/evidence/<SHA-256 of the file>       an evidence file, as it is
 *     alert/queue/<SHA-256 of the sink's name><number, 8 bytes>     a delivery that waits
 *     alert/sink/<SHA-256 of its name>           a sink that has been told what is open; its name
 *     alert/next                                 the next numbers
 *
 * Integers are big-endian, so that keys sort by number. Values but evidence begin with a version.
 * Pure. Any thread.
 */
#ifndef MONITOR_ALERT_RECORD_H
#define MONITOR_ALERT_RECORD_H

#include "monitor/alert_book.h"

enum {
    ALERT_RECORD_BYTES_MAX = 4096,
    ALERT_KEY_BYTES_MAX = 64,
};

#define ALERT_KEY_RECORDS "alert/record/"
#define ALERT_KEY_QUEUES  "alert/queue/"
#define ALERT_KEY_SINKS   "alert/sink/"
#define ALERT_KEY_NEXT    "alert/next"

struct alert_key {
    uint8_t bytes[ALERT_KEY_BYTES_MAX];
    size_t len;
};
static inline struct span alert_key_span(const struct alert_key *key)
{
    return span_of(key->bytes, key->len);
}
struct alert_key alert_key_record(uint64_t number);
struct alert_key alert_key_evidence(const struct hash *id);
struct alert_key alert_key_queue(const struct hash *sink, uint64_t number);
struct alert_key alert_key_sink(const struct hash *sink);
struct alert_key alert_key_next(void);
MUST_USE enum err_code alert_key_parse_queue(struct hash *sink, uint64_t *number, struct span key,
                                             struct err *err);
MUST_USE enum err_code alert_key_parse_sink(struct hash *sink, struct span key, struct err *err);

struct alert_record {
    struct alert alert;
    uint64_t episode;    /* of its cause, from 1 */
    int64_t reminded_s;  /* when the last reminder was queued; at first when it was raised */
    int64_t refreshed_s; /* likewise for Alertmanager, which forgets */
};

/* SHA-256 over code, origin and subject: what makes two findings the same. */
struct hash alert_record_cause(enum finding_code code, const char *origin, const char *subject);
/* Sets the id from cause and episode. */
void alert_record_set_id(struct alert_record *record);

void alert_record_put(struct buf *out, const struct alert_record *record);
/* E_CORRUPT. The id is computed again. */
MUST_USE enum err_code alert_record_parse(struct alert_record *out, struct span bytes,
                                          struct err *err);

/* A delivery that waits. */
struct alert_waiting {
    enum delivery_event event;
    uint64_t alert; /* its number */
};
void alert_waiting_put(struct buf *out, const struct alert_waiting *waiting);
MUST_USE enum err_code alert_waiting_parse(struct alert_waiting *out, struct span bytes,
                                           struct err *err);

/* Numbers that are given next, and the last episode of causes of which no alert is kept: so that a forgotten
 * alert's id is never given again. */
struct alert_next {
    uint64_t alert, delivery, episode_floor;
};
void alert_next_put(struct buf *out, const struct alert_next *next);
MUST_USE enum err_code alert_next_parse(struct alert_next *out, struct span bytes, struct err *err);

#endif
