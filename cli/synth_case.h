/* synth_case.h -- the course of one case, operation by operation: a state machine over synth_course.h.
 *
 * A case is some 400 bytes however long it lasts, so that a province's open cases fit in memory. What an operation
 * says (synth_draft.h) follows from the seed, the case's number and the operation's, so that it can be made again.
 * Pure. One thread.
 */
#ifndef CLI_SYNTH_CASE_H
#define CLI_SYNTH_CASE_H

#include "cli/synth_course.h"
#include "cli/synth_world.h"
#include "record/entry_tag.h"

enum {
    SYNTH_PENDING_MAX = 2 * COURSE_SEALED_STEPS_MAX,
    SYNTH_TYPES = 3,
    SYNTH_CASE_DAYS = 365, /* the longest */
    SYNTH_HURRIED_DAYS = 10,
};

/* A planted fault: truth.jsonl. The codes are those of the monitor's findings. */
enum synth_fault {
    SYNTH_FAULT_NONE,
    SYNTH_CASE_GAP,
    SYNTH_CASE_ORDER,
    SYNTH_CASE_AFTER_CLOSED,
    SYNTH_CASE_TIME_BACKWARDS,
    SYNTH_CASE_FILED_TWICE,
    SYNTH_CASE_COUNT,
    SYNTH_TAG_REPEATED,
    SYNTH_UNREGISTERED_KEY,
    SYNTH_SEALED_OVERDUE,
    SYNTH_BAD_RECORD,
    SYNTH_FAULTS,
};

/* A sealed operation: enough to make it again when it is opened. */
struct synth_sealed {
    uint64_t minute, due;
    uint64_t index; /* where it is: in `entries`, or a line of its submitter's file */
    uint32_t ordinal, number;
    uint16_t kind;
};

struct synth_case {
    const struct synth_world *world; /* borrowed */
    struct synth_random random;
    uint64_t id;         /* from 0, in the order of filing */
    uint64_t filed;      /* minute */
    uint64_t end;        /* minute by which it should be over */
    uint64_t minute;     /* the next operation is performed */
    uint64_t log_minute; /* and sent to the log: not before */
    uint32_t serial;     /* of its number */
    uint16_t year, court;
    uint8_t type, outcome;

    uint32_t target, ordinal; /* operations: about how many there will be, have been */
    uint16_t state;           /* COURSE_... */
    uint8_t block, step, repeats;
    bool is_block_sealed, is_after_unseal, is_done, is_hurried;
    uint8_t pending_count;
    struct synth_sealed pending[SYNTH_PENDING_MAX]; /* oldest first */
    bool unseals_next;                              /* the next operation is UNSEAL of pending[0] */

    uint32_t numbers[SYNTH_BY_COUNT];
    struct hash last_leaf, control_leaf; /* of records; zero: none yet */
    bool has_last, has_control;

    uint8_t fault; /* enum synth_fault: still to be planted; synth_fault.h */
    uint8_t fault_after;
    bool owes_number; /* a fault has given the next one away */
    uint32_t owed_number;
    uint64_t owed_minute;
    uint64_t clear_minute; /* the court's last in the clear */
};

/* One operation on its way to a file. */
struct synth_operation {
    struct synth_case *of; /* borrowed */
    uint16_t kind;
    uint8_t by; /* enum synth_by */
    bool is_sealed;
    uint64_t minute;
    uint32_t ordinal; /* in the case */
    uint32_t number;  /* of its submitter */
    uint16_t flags;   /* STEP_REFERS, STEP_ON_CONTROL, STEP_BANK */
    bool is_unseal;
    struct synth_sealed unseals;

    enum synth_fault fault; /* what it is by itself, or is the sign of */
    bool is_rogue, is_bad, is_miscounted;

    /* Filled in by whoever writes it. */
    uint64_t index;
    struct hash leaf;
};

/* Where a case begins: `filed` is a minute, `longest_days` the scale of its length. Below SYNTH_HURRIED_DAYS one
 * operation follows the other within minutes, as nobody works. */
void synth_case_begin(struct synth_case *c, const struct synth_world *world, uint64_t id,
                      uint64_t filed, unsigned longest_days);

/* The operation that is due at log_minute, and on to the next: is_done when that was the last one. */
void synth_case_take(struct synth_case *c, struct synth_operation *out);
/* What became of it: the writer has filled in index and leaf. */
void synth_case_on_written(struct synth_case *c, const struct synth_operation *operation);

/* "（2024）测0101执12号". */
void synth_case_put_number(struct buf *out, const struct synth_case *c);
struct case_key synth_case_key(const struct synth_case *c); /* the caller wipes it */
/* The submitter who acts for `by` in this case. */
unsigned synth_case_submitter(const struct synth_case *c, unsigned by);

#endif
