/* note_slot.h -- one note that waits, as note_memory.h keeps it: in memory and in the store.
 *
 * Two things wait: the note, and a size. A log that grows shows ever larger notes, so that the newest of a
 * vantage is new at every look; what is withheld is the size that was first too large, until the tree
 * is as large.
 * One owner.
 */
#ifndef MONITOR_NOTE_SLOT_H
#define MONITOR_NOTE_SLOT_H

#include "monitor/known_note.h"

/* How long ago something was, over restarts (by unix time) and steps of the clock (by the monotonic one). */
struct note_clock {
    uint64_t since_s; /* unix time, stored */
    bool is_running;  /* false: just read from the store */
    uint64_t before_s, since_ms;
};
struct note_clock note_clock_start(const struct monitor_time *now);
uint64_t note_clock_seconds(struct note_clock *clock, const struct monitor_time *now);

struct note_slot {
    bool is_rejected; /* the log's own, whose data did not hash to it; else of a vantage */
    bool is_latest;   /* what a vantage showed last, beside one of its notes that still waits */
    char *vantage;    /* owned; "" of a rejected one */
    struct buf note;  /* owned: what is kept of it (known_note.h) */
    struct checkpoint checkpoint;
    size_t line_count;       /* of signatures */
    struct note_clock shown; /* since the note came */
    uint64_t wait_size;      /* at most the note's */
    struct note_clock waiting;
    uint64_t number;   /* of the slot, ever greater */
    uint64_t revision; /* changes with the note */
};

/* Both copy. */
void note_slot_init(struct note_slot *out, const char *vantage, bool is_latest,
                    const struct known_note *note, const struct monitor_time *now);
/* Another note of the same vantage: it begins to be shown, what waits goes on waiting. */
void note_slot_replace(struct note_slot *slot, const struct known_note *note,
                       const struct monitor_time *now);
void note_slot_clear(struct note_slot *slot);

/* Under "note/" of the log. A write replaces what the vantage has there. */
MUST_USE enum err_code note_slot_write(const struct note_slot *slot, struct watched_log *log,
                                       struct err *err);
MUST_USE enum err_code note_slot_delete(const struct note_slot *slot, struct watched_log *log,
                                        struct err *err);
/* Tells all that are stored; on_slot takes each. E_CORRUPT; E_IO; on_slot's. */
MUST_USE enum err_code
note_slot_read_all(struct watched_log *log, void *ctx,
                   enum err_code (*on_slot)(void *ctx, struct note_slot *slot, struct err *err),
                   struct err *err);

#endif
