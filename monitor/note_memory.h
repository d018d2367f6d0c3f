/* note_memory.h -- notes that wait: signed by the log, larger than what we could verify, or not comparable
 * yet. Bounded, whatever a log signs.
 *
 * Two slots for each vantage (one of its notes until it is compared, and the newest), and
 * NOTE_MEMORY_REJECTED_MAX for notes of the log itself whose data did not hash to their root: the smallest stay, so
 * that a lie once shown is compared when the tree has grown past it. Kept in the store. A note that was compared leaves its slot.
 * `withheld` is raised when a note of a vantage is larger than the held tree for withheld_after_s; its subject
 * is the vantage; it is cleared once the tree is as large, and the note compared.
 * Blocks on the store, and in _look on the log. Any thread: it has a lock.
 */
#ifndef MONITOR_NOTE_MEMORY_H
#define MONITOR_NOTE_MEMORY_H

#include "monitor/compare.h"

enum {
    NOTE_MEMORY_REJECTED_MAX = 16,
    NOTE_MEMORY_SLOTS_MAX = 256 /* vantages, peers, and who hands in notes */
};

struct note_memory;

/* Of one log; reads what is stored. E_CORRUPT, E_IO. */
MUST_USE enum err_code note_memory_open(struct note_memory **out, struct watched_log *log,
                                        struct err *err);
void note_memory_free(struct note_memory *memory); /* NULL is fine */

/* A note that `vantage` shows: compared at once; kept in a slot if it cannot be yet: the first until it
 * is compared, beside it the newest. Errors and *out as compare_note. */
MUST_USE enum err_code note_memory_on_note(struct note_memory *memory, const char *vantage,
                                           struct span note, const struct monitor_time *now,
                                           struct compare_outcome *out, struct err *err);

/* The log itself showed a note whose data hashes to something else, or is not served. */
MUST_USE enum err_code note_memory_on_rejected(struct note_memory *memory, struct span note,
                                               const struct monitor_time *now, struct err *err);

/* Compares what waits and can be by now; raises and clears `withheld`. Called by the follower after each poll. */
MUST_USE enum err_code note_memory_look(struct note_memory *memory, const struct monitor_time *now,
                                        struct err *err);

/* The smallest note that waits and is larger than `above`, appended, with its size and how long it has waited;
 * false when there is none. From one to the next all are come by, whatever sizes a log signs. */
bool note_memory_next(struct note_memory *memory, uint64_t above, struct buf *note, uint64_t *size,
                      const struct monitor_time *now, uint64_t *waiting_s);

/* The last note that contradicted our tree since the start, appended, for our peers: theirs may not have seen
 * it. False when there was none. */
bool note_memory_contradiction(struct note_memory *memory, struct buf *note);

size_t note_memory_count(struct note_memory *memory); /* notes that wait */

#endif
