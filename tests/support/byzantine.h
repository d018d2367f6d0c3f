/* byzantine.h -- a log that misbehaves on purpose, and a monitor that watches it: for simulations.
 *
 * One log with three witnesses (quorum 2), followed by the code of monitor/ in this thread, over memory, with
 * times of our own. Each plant is one kind of misbehaviour: it says what has to be found because of it, what may
 * be, and everything else that is raised ends the test. After a plant the log is honest again.
 * Reusable: byzantine_poll alone is an honest log that grows. The same seed gives the same run.
 */
#ifndef SUPPORT_BYZANTINE_H
#define SUPPORT_BYZANTINE_H

#include "monitor/finding.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum byzantine_plant {
    /* others are shown something else */
    PLANT_FORK_EQUAL,
    PLANT_FORK_SMALLER,
    PLANT_FORK_LARGER,
    PLANT_EQUIVOCATION,
    PLANT_LATER_SMALLER,
    PLANT_BROKEN_PROMISE,
    PLANT_FRAMING, /* forged, flipped, stripped, stale: nothing may be found */
    /* the log shows us something wrong */
    PLANT_FORK_SERVED,
    PLANT_BAD_LOG_SIGNATURE,
    PLANT_BAD_WITNESS_SIGNATURE,
    PLANT_NO_QUORUM,
    PLANT_STALE,
    PLANT_FUTURE,
    PLANT_WITNESS_MISSING,
    PLANT_STALLED,
    PLANT_ROLLBACK,
    PLANT_ROOT_MISMATCH,
    PLANT_MALFORMED,
    PLANT_TILE_MISMATCH,
    PLANT_TIME_BACKWARDS,
    PLANT_GROWTH,
    PLANT_WITHHELD,
    PLANT_UNREACHABLE,
    PLANT_COUNT,
    PLANT_VIEWS = PLANT_FRAMING + 1 /* those before are about views: they go with any other */
};
const char *byzantine_plant_text(enum byzantine_plant plant);

struct byzantine;

/* `first_size`: what the log has before the monitor comes. */
struct byzantine *byzantine_new(uint64_t seed, uint64_t first_size);
void byzantine_free(struct byzantine *world);

/* The log grows honestly, and is polled. */
void byzantine_poll(struct byzantine *world);

/* Plants one, and a second one of the views (or PLANT_COUNT) in its midst; honest afterwards. */
void byzantine_run(struct byzantine *world, enum byzantine_plant plant, enum byzantine_plant view);

/* kill -9: what was not stored is gone. */
void byzantine_crash(struct byzantine *world);

/* Ends the test, naming seed and plant, unless all that had to be found was found and nothing else, each proof
 * convinces a stranger, and transient findings were cleared. */
void byzantine_judge(struct byzantine *world);

/* The log signs `count` heads, another one each time it is asked, and each differently shown to a vantage. */
void byzantine_sign_heads(struct byzantine *world, uint64_t count);

uint64_t byzantine_raised(const struct byzantine *world); /* calls of raise so far */
uint64_t byzantine_held(struct byzantine *world);

#endif
