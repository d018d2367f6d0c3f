/* follower.h -- the thread that follows one log: steps of follow.h, a poll interval apart. Any thread. */
#ifndef MONITOR_FOLLOWER_H
#define MONITOR_FOLLOWER_H

#include "monitor/follow.h"

struct follower;

struct follower_options {
    struct watched_log *log; /* borrowed, as all here */
    struct note_memory *memory;
    struct tiles *archive; /* or NULL */
    unsigned scan_threads;
    uint64_t poll_interval_ms;
    struct span trusted; /* copied */
    const struct record_options
        *records; /* NULL: not of operations. What it points to is borrowed */
};

/* Opens the stored state and starts the thread. Errors are follow_open's. */
MUST_USE enum err_code follower_start(struct follower **out, const struct follower_options *options,
                                      struct err *err);
void follower_poll_now(struct follower *follower);
/* From another thread than its own: ask it to end, then wait for it; a scan under way is left at the next
 * bundle. */
void follower_end(struct follower *follower);
void follower_free(struct follower *follower);
/* Milliseconds since it last ended a step or a scan made progress: a follower that hangs is noticed. */
uint64_t follower_silent_ms(struct follower *follower);

#endif
