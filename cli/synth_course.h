/* synth_course.h -- what happens in an enforcement case, as tables: blocks of steps, what a block needs and leaves.
 *
 * A case is a walk over blocks (synth_case.h). The mix of kinds follows from the weights; they are assumptions.
 * Pure: constants. Any thread.
 */
#ifndef CLI_SYNTH_COURSE_H
#define CLI_SYNTH_COURSE_H

#include "cli/synth_time.h"

#include <stddef.h>

/* Who logs a step: each has numbers of its own in a case. */
enum synth_by {
    SYNTH_BY_COURT,
    SYNTH_BY_SERVICE,
    SYNTH_BY_FILES,
    SYNTH_BY_SUPERVISION,
    SYNTH_BY_COUNT,
};

enum {
    /* Of a step. */
    STEP_SEALED = 1, /* sealed when its block is */
    STEP_CLEAR = 2,  /* would tip off: left out when its block is sealed */
    STEP_HALF = 4,   /* every other time */
    STEP_MANY = 8,   /* once to four times; once when its block is sealed */
    STEP_REFERS = 16,
    STEP_CONTROL = 32,    /* the control measure: later steps refer to it */
    STEP_ON_CONTROL = 64, /* refers to that */
    STEP_BANK = 128,      /* the institution logs it too, on its own log */

    /* What a case has been through: of blocks, and of a case's state. */
    COURSE_FILED = 1,
    COURSE_NOTIFIED = 2,
    COURSE_CONTROLLED = 4,
    COURSE_FUNDED = 8,
    COURSE_SUSPENDED = 16,
    COURSE_LISTED = 32,
    COURSE_PRICED = 64,
    COURSE_AUCTIONED = 128,
    COURSE_ENDED = 256,

    COURSE_STEPS_MAX = 12,
    COURSE_SEALED_STEPS_MAX = 3, /* of a block */
};

struct course_step {
    uint16_t kind; /* 0: no more */
    uint8_t by;    /* enum synth_by */
    uint8_t when;  /* enum synth_when */
    uint16_t flags;
    uint16_t gap_hours; /* with SYNTH_OFFICE */
};

struct course_block {
    const char *name;
    uint16_t weight; /* among those that are possible; 0: chosen by name only */
    uint16_t needs, forbids, gives, takes;
    bool is_prompt; /* begins within five days */
    bool may_be_sealed;
    struct course_step steps[COURSE_STEPS_MAX];
};

/* Blocks that are chosen by name. */
enum {
    COURSE_FILING,
    COURSE_FIRST_NOTICE,
    COURSE_AFTER_UNSEAL,
    COURSE_END_COMPLETED, /* the four outcomes, in this order */
    COURSE_END_ROUND,
    COURSE_END_TERMINATED,
    COURSE_END_OTHER,
    COURSE_NAMED,
};

size_t course_count(void);
const struct course_block *course_block(size_t i); /* requires i < course_count() */

#endif
