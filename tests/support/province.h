/* province.h -- a made-up province in a temporary directory, for tests of what reads one.
 *
 * Failures end the test. One thread.
 */
#ifndef SUPPORT_PROVINCE_H
#define SUPPORT_PROVINCE_H

#include "cli/synth_run.h"

enum {
    PROVINCE_FIRST_DAY = 19723, /* 2024-01-01 */
    PROVINCE_FILE_BYTES_MAX = 64 * 1024 * 1024,
};

/* What is 0 is as usual: 365 days, no faults. */
struct province_options {
    uint64_t seed, cases, days;
    unsigned fault_rate;
    const char *origin; /* NULL: drafts */
    bool has_no_case_keys;
};

struct province {
    char *dir; /* for files_remove_tree */
    struct synth_counts counts;
    struct synth_run_report report;
};
struct province province_make(struct province_options options);

/* A file of it; the caller clears the buffer. */
struct buf province_read(const char *dir, const char *name);

#endif
