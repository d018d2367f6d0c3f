/* journal_tail.h -- the entries that a log's journal still holds, to rebuild its last bundles from.
 *
 * design: "The life of an entry", steps 4 and 6. Opening the journal writes to it, so this takes the
 * data directory's lock first: never beside a running logd. Reading is for any thread.
 */
#ifndef CLIENT_JOURNAL_TAIL_H
#define CLIENT_JOURNAL_TAIL_H

#include "base/buf.h"
#include "base/err.h"

struct journal_tail;

/* Reads `data_dir`/journal into memory. E_NOT_FOUND when there is none; E_BUSY when a logd holds the
 * lock; E_CORRUPT, E_IO. */
MUST_USE enum err_code journal_tail_open(struct journal_tail **out, const char *data_dir,
                                         struct err *err);
void journal_tail_close(struct journal_tail *tail); /* releases the lock; NULL is fine */

/* Entries [first, end) are held. */
uint64_t journal_tail_first(const struct journal_tail *tail);
uint64_t journal_tail_end(const struct journal_tail *tail);

/* Appends bundle `index` of `width` entries; E_NOT_FOUND when not all of them are held. */
MUST_USE enum err_code journal_tail_get_bundle(const struct journal_tail *tail, uint64_t index,
                                               uint16_t width, struct buf *out, struct err *err);

#endif
