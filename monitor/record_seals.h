/* record_seals.h -- sealed records that wait to be opened, and what an UNSEAL shows of one.
 *
 * When a sealed record was logged is told by notes: one with a time and a larger size is an upper bound. Those of
 * the log's own ANCHOR entries count as much as those that were seen published.
 *
 * Keys: "e/<leaf>" a sealed record, "o/<index>" one that was not looked at since it came, "clock" the times.
 * One thread.
 */
#ifndef MONITOR_RECORD_SEALS_H
#define MONITOR_RECORD_SEALS_H

#include "monitor/record_store.h"
#include "record/operation.h"

struct record_seals;

/* `unseal_after_s`: 0: at once. E_CORRUPT, E_IO. */
MUST_USE enum err_code record_seals_open(struct record_seals **out, struct record_store *store,
                                         uint64_t unseal_after_s, struct err *err);
void record_seals_free(struct record_seals *seals); /* NULL is fine */

/* A sealed record at `index`. */
void record_seals_note(struct record_seals *seals, const struct operation *operation,
                       const struct hash *leaf, uint64_t index);

/* What an UNSEAL has opened: committed in the sealed record, and its certificate still to be verified. */
struct record_unsealed {
    uint64_t index; /* of the sealed record */
    struct ed25519_public one_time_key;
    struct hash tag;
    const struct kind *kind;
    uint64_t minute;
    struct court_tag court;
    struct submitter_id submitter;
    struct span certificate; /* inside the operation */
    bool was_late;           /* it had been told to be overdue */
};
/* The UNSEAL at `index`. E_NOT_FOUND: it names no sealed record before it; E_BAD_PROOF: an opening that is not what
 * was committed; E_MALFORMED: it does not name one of this log. Others are the store's. */
MUST_USE enum err_code record_seals_unseal(struct record_seals *seals, const char *origin,
                                           const struct operation *operation, uint64_t index,
                                           struct record_unsealed *out, struct err *err);

/* All entries below `size` were logged by `time_s`. */
void record_seals_note_time(struct record_seals *seals, uint64_t size, uint64_t time_s);

/* Tells sealed records below the base that nobody has opened in time, by `now_s`: at most `max`, each once, unless it
 * was not durable. *has_more: there are others. What has been told waits to be written. Errors of `tell` end it. */
MUST_USE enum err_code record_seals_look(struct record_seals *seals, uint64_t now_s, size_t max,
                                         enum err_code (*tell)(void *ctx, uint64_t index,
                                                               struct err *err),
                                         void *ctx, bool *has_more, struct err *err);

#endif
