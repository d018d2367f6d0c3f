/* witness_memory.h -- what each witness cosigned, as far as it takes to catch it: a smaller size at a later
 * time, or two trees.
 *
 * For each witness of a log's policy two notes are kept in the store, with the log's lines and the witness's
 * own only: the largest size (the earliest time of it) and the latest time (the smallest size of it). For an
 * honest witness they are one. Two notes of one witness that cannot both be honest become evidence.
 * Blocks on the store. Any thread, one at a time for a log (it has a lock for each log).
 */
#ifndef MONITOR_WITNESS_MEMORY_H
#define MONITOR_WITNESS_MEMORY_H

#include "monitor/watched_log.h"

/* The verified cosignatures of a note, whose log line verifies too. Raises witness-equivocation with evidence
 * for each witness that signed a smaller size at a later time, or another root at the size kept. `from` is
 * for the summary. Errors are the store's, or the sink's. */
MUST_USE enum err_code witness_memory_add(struct watched_log *log, const char *from,
                                          struct span note, int64_t now_s, struct err *err);

#endif
