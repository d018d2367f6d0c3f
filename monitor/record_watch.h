/* record_watch.h -- the operation records of one log, watched: what the follower asks of record_*.c.
 *
 * The normal path: a scan hands over views of entries in order (record_view.h), each is checked (record_check.h), and
 * what is to be remembered is written with the scan's cursor. When the root turns out to be the signed one, what was
 * found is raised, and then the tree is held, in one batch with the base of what is known. After that the cases whose
 * keys we have are judged, and sealed records that nobody opened are told. So a crash neither loses nor repeats, but
 * for what was raised and not yet noted: that is the same alert once more.
 * One thread: the follower's, but for record_watch_options_of_views.
 */
#ifndef MONITOR_RECORD_WATCH_H
#define MONITOR_RECORD_WATCH_H

#include "monitor/record_view.h"
#include "monitor/watched_log.h"

#include <stdatomic.h>

/* The settings. Borrowed. */
struct record_options {
    bool verifies_signatures;
    uint64_t unseal_after_s; /* 0: at once */
    size_t key_dir_count;
    const char *const *key_dirs;
    const atomic_uint
        *reloads; /* goes up when the keys are to be read again; NULL: by the clock only */
};

struct record_watch;

/* Reads what is stored. E_CORRUPT, E_IO. */
MUST_USE enum err_code record_watch_open(struct record_watch **out, struct watched_log *log,
                                         const struct record_options *options, struct err *err);
void record_watch_free(struct record_watch *watch); /* NULL is fine */

/* -- a scan -- */

/* What threads read views with. */
const struct record_view_options *record_watch_view_options(const struct record_watch *watch);
/* Where a scan begins: everything below is held. */
const struct compact_range *record_watch_base(const struct record_watch *watch);
/* What was looked at beyond that, in this scan and before a restart. */
uint64_t record_watch_position(const struct record_watch *watch);
/* Nothing was looked at so far, and nothing below `range` will be: we were told to begin there. */
void record_watch_begin_at(struct record_watch *watch, const struct compact_range *range);
/* The scan led nowhere: durable. Nothing happens when nothing was looked at. */
MUST_USE enum err_code record_watch_restart(struct record_watch *watch, struct err *err);
/* `count` views from the position on. Errors are the store's. */
MUST_USE enum err_code record_watch_see(struct record_watch *watch, struct record_view *views,
                                        size_t count, struct err *err);
/* So much waits that the cursor should be written now. */
bool record_watch_is_full(const struct record_watch *watch);
/* What waits goes into the batch of the cursor; afterwards it was written. */
void record_watch_put_waiting(struct record_watch *watch, struct kv_batch *batch);
void record_watch_on_written(struct record_watch *watch);

/* -- a tree that is about to be held -- */

/* Tells what the scan has found. `note` is the signed note of the tree. */
MUST_USE enum err_code record_watch_raise(struct record_watch *watch, struct span note,
                                          const struct checkpoint *checkpoint, int64_t now_s,
                                          struct err *err);
/* `time_s` is by when its entries were logged. Then write the batch, and call record_watch_on_held. */
void record_watch_put_held(struct record_watch *watch, const struct compact_range *range,
                           uint64_t time_s, struct kv_batch *batch);
void record_watch_on_held(struct record_watch *watch, const struct compact_range *range);

/* -- each step -- */

/* Judges cases, looks for sealed records that are overdue by `note_s`, and writes how far it has come. *has_more:
 * call again soon. */
MUST_USE enum err_code record_watch_look(struct record_watch *watch, uint64_t note_s,
                                         const struct monitor_time *now, bool *has_more,
                                         struct err *err);

#endif
