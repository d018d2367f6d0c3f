/* synth_run.h -- all cases of a made-up province, operation by operation, in the order of time.
 *
 * A heap holds the open cases, each once, by the minute of its next operation. Cases are filed at a rate that does not
 * depend on how many there are, so memory does not either: some 100,000 cases are open at a time.
 * One thread.
 */
#ifndef CLI_SYNTH_RUN_H
#define CLI_SYNTH_RUN_H

#include "cli/synth_writer.h"

enum {
    SYNTH_CASES_A_YEAR = 300000,
    SYNTH_CASES_MAX = 100 * 1000 * 1000,
};

struct synth_run_options {
    struct synth_writer *writer;     /* borrowed */
    const struct synth_world *world; /* borrowed */
    uint64_t cases;
    uint64_t first_day, days; /* on which they are filed */
    unsigned longest_days;    /* a case's length, at most */
    unsigned fault_rate;      /* of each code, per mille of the cases */
    bool has_records;
    void *ctx;
    void (*on_progress)(void *ctx, uint64_t cases); /* filed so far */
};

struct synth_run_report {
    uint64_t open_most; /* cases at a time */
    uint64_t first_minute, last_minute;
};

MUST_USE enum err_code synth_run(struct synth_run_report *out,
                                 const struct synth_run_options *options, struct err *err);

#endif
