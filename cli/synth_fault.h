/* synth_fault.h -- faults planted in the chains of cases: what a monitor must find, and nothing else.
 *
 * A case has one fault at most, so that every finding has one cause. Some faults need the numbers and bytes of
 * records, and are planted only where records are composed.
 * Pure. One thread.
 */
#ifndef CLI_SYNTH_FAULT_H
#define CLI_SYNTH_FAULT_H

#include "cli/synth_case.h"

enum {
    SYNTH_FAULT_RATE_MAX = 99, /* per mille of the cases, of each code */
    SYNTH_FAULT_OPERATIONS = 2 /* that one becomes, at most */
};

const char *synth_fault_name(enum synth_fault fault); /* "case-gap" */
/* Only whoever has the case's key can find it. */
bool synth_fault_needs_key(enum synth_fault fault);
/* It is made of numbers or bytes of records, which drafts have not. */
bool synth_fault_needs_records(enum synth_fault fault);

/* Gives the case a fault, or none. */
void synth_fault_assign(struct synth_case *c, unsigned rate, bool has_records);

/* What `operation`, just taken from its case, becomes: 0 to SYNTH_FAULT_OPERATIONS operations, in order, the sign of a
 * fault marked. When a sealed one is to stay sealed, none is left, and *overdue is set. */
size_t synth_fault_apply(struct synth_operation out[static SYNTH_FAULT_OPERATIONS],
                         const struct synth_operation *operation, bool *overdue);

#endif
