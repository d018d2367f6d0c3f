/* follow_raised.h -- what the follower of one log has raised and will have to clear once it is over.
 *
 * A cause is written here before it is raised, and leaves when it was cleared: so an alert is cleared although
 * we were restarted in between. Only what resolves itself (finding_kind) is kept.
 * Blocks on the store. One thread.
 */
#ifndef MONITOR_FOLLOW_RAISED_H
#define MONITOR_FOLLOW_RAISED_H

#include "monitor/watched_log.h"

enum {
    FOLLOW_RAISED_MAX = 2048,    /* further ones are raised, but must be resolved by a person */
    FOLLOW_RAISED_AGAIN_S = 3600 /* what lasts is told to the sink again so often */
};

struct follow_raised;

/* Reads what is stored: key "log/<origin hash>/follow/raised". E_CORRUPT, E_IO. */
MUST_USE enum err_code follow_raised_open(struct follow_raised **out, struct watched_log *log,
                                          struct err *err);
void follow_raised_free(struct follow_raised *raised); /* NULL is fine */

/* Errors are the store's and the sink's. */
MUST_USE enum err_code follow_raised_raise(struct follow_raised *raised,
                                           const struct finding *finding, int64_t now_s,
                                           struct err *err);
/* Raised by this process, and not too long ago: what only lasts need not be raised again. */
bool follow_raised_is_told(const struct follow_raised *raised, enum finding_code code,
                           const char *subject, int64_t now_s);

/* The causes there are, those that are over left out: `*at` begins with 0. False at the end. The subject is good
 * until the next call that is not of these two. */
bool follow_raised_next(const struct follow_raised *raised, size_t *at, enum finding_code *code,
                        const char **subject);
size_t follow_raised_count(const struct follow_raised *raised, enum finding_code code);

/* Marks what is over; nothing happens if it is not there. */
void follow_raised_over(struct follow_raised *raised, enum finding_code code, const char *subject);
/* Tells the sink what is over. What it does not take is told again with the next call. */
MUST_USE enum err_code follow_raised_flush(struct follow_raised *raised, int64_t now_s,
                                           struct err *err);

#endif
