/* follow.h -- follows one log: each step is one poll.
 *
 * The normal path is: fetch the log's checkpoint, check it (note_check.h); if it is larger than the held tree,
 * hash all that is new (scan.h) and compare the root; archive the note (store/archive.h), make the new state
 * durable, and only then hold it. If the root is not the signed one: root-mismatch, and nothing is held. What
 * was hashed of a long scan is durable every few seconds, so that a restart goes on from there.
 * Of a log of operations each record is looked at on the way (record_watch.h).
 * After each poll the notes that wait are looked at (note_memory.h), and what is due by the clock: stalled,
 * witness-missing, unreachable, growth.
 *
 * No clock is read and no thread made but by scan_run: tests run steps with times of their own.
 * One thread for a log.
 */
#ifndef MONITOR_FOLLOW_H
#define MONITOR_FOLLOW_H

#include "monitor/note_memory.h"
#include "monitor/record_watch.h"
#include "store/tiles.h"

struct follow_options {
    struct watched_log *log; /* borrowed, as all here */
    struct note_memory *memory;
    struct tiles *archive; /* of this log's notes; NULL: none is kept */
    unsigned scan_threads;
    const atomic_bool *is_stopping;
    /* For a log never followed before: begin at this checkpoint note instead of at size 0. Its log signature is
     * verified; its tiles are fetched and must hash to its root. Empty: none. */
    struct span trusted;
    /* The log is one of operations, and its records are looked at. NULL: entries are bytes. */
    const struct record_options *records;
    /* Time passes while a long scan runs. NULL: it does not. */
    struct monitor_time (*now)(void *ctx);
    void *ctx;
};

struct follow;

/* Reads the stored state into the watched log. E_CORRUPT; E_CONFLICT when the store is of another key of this
 * origin; E_IO. */
MUST_USE enum err_code follow_open(struct follow **out, const struct follow_options *options,
                                   struct err *err);
void follow_close(struct follow *follow); /* NULL is fine */

/* One poll. What the log does wrong is a finding, not an error: errors are the store's and the sink's, and
 * mean "try again". */
MUST_USE enum err_code follow_step(struct follow *follow, const struct monitor_time *now,
                                   struct err *err);

/* True when the last step ended before the log's newest note was reached, and nothing was wrong. */
bool follow_has_more(const struct follow *follow);

#endif
