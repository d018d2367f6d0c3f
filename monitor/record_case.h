/* record_case.h -- the rules of one case, over all of its operations that are on a log.
 *
 * What is here is judged whole each time, so that nothing depends on the order in which it was found out; which
 * findings are new is told by the index of the entry that made each one so.
 * Pure. Any thread.
 */
#ifndef MONITOR_RECORD_CASE_H
#define MONITOR_RECORD_CASE_H

#include "monitor/finding.h"
#include "record/entry_tag.h"

enum {
    RECORD_CASE_CLOSED_MAX = 8, /* CLOSED entries that are judged; there should be one */
    RECORD_CASE_TEXT_MAX = 192,
};

struct record_case_entry {
    size_t submitter; /* one and the same for one and the same */
    uint64_t number, index;
    uint32_t kind;
    uint64_t minute;           /* 0: sealed */
    bool is_of_another_number; /* CASE_FILED: what it commits to is not the case number */
    bool is_late;              /* record_case_judge's: a higher number is before it */
};

/* The counts of one CLOSED entry. */
struct record_case_closed {
    uint64_t index;
    bool is_readable;
    size_t count;
    struct {
        size_t submitter;
        uint32_t count;
    } counts[CLOSED_SUBMITTERS_MAX];
};

struct record_case {
    size_t count;
    struct record_case_entry *entries; /* sorted by record_case_judge */
    size_t closed_count;
    struct record_case_closed closed[RECORD_CASE_CLOSED_MAX];
};

struct record_case_finding {
    enum finding_code code;
    bool is_over;     /* not found, but over: a gap that was filled */
    uint64_t index;   /* of the entry that it is about */
    uint64_t trigger; /* with the entry of this index it came to be so */
    char text[RECORD_CASE_TEXT_MAX];
};

void record_case_judge(struct record_case *judged,
                       void (*tell)(void *ctx, const struct record_case_finding *finding),
                       void *ctx);

/* The first CASE_FILED; false: none. */
bool record_case_filed(const struct record_case *judged, uint64_t *index);

#endif
