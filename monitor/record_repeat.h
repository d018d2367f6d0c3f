/* record_repeat.h -- the evidence that a log holds two records with one entry tag (evidence.h, tag-repeated).
 *
 * Both records and their proofs are fetched again, from whichever source of the log serves them, and checked against
 * the signed root. Blocks on the network. One thread.
 */
#ifndef MONITOR_RECORD_REPEAT_H
#define MONITOR_RECORD_REPEAT_H

#include "monitor/watched_log.h"

struct record_repeat;

/* `note` is signed by the log, and of a tree whose entries have been hashed. Borrowed. */
struct record_repeat *record_repeat_new(struct watched_log *log, struct span note,
                                        const struct checkpoint *checkpoint);
void record_repeat_free(struct record_repeat *repeat); /* NULL is fine */

/* Appends the file for entries `first` and `second`, if a stranger would be convinced by it. E_NOT_FOUND: no source
 * serves what it takes, in the words of the last one; E_BAD_PROOF, E_MALFORMED, E_TOO_LARGE: it would not convince. */
MUST_USE enum err_code record_repeat_put(struct buf *out, struct record_repeat *repeat,
                                         uint64_t first, uint64_t second, struct err *err);

#endif
