/* synth_draft.h -- what an operation of a made-up case says: parties, money, dates, officers, as a draft.
 *
 * The same operation gives the same draft, whenever it is asked for. Pure. One thread a draft.
 */
#ifndef CLI_SYNTH_DRAFT_H
#define CLI_SYNTH_DRAFT_H

#include "cli/synth_case.h"
#include "record/draft.h"

void synth_draft_init(struct draft *draft);

/* Makes *draft anew; it keeps its memory. `origin` is the hash of the log's origin, for references; NULL: none are
 * made, since only who composes records knows their hashes. End with draft_clear. */
void synth_draft_make(struct draft *draft, const struct synth_operation *operation,
                      const struct hash *origin);

/* The bank that the operation is about, by number of submitter; SYNTH_EVERYBODY when it is no bank. */
unsigned synth_draft_bank(const struct synth_operation *operation);

/* The bank's own entry about an ASSIST_NOTICE or a DEDUCT, on its own log. */
void synth_draft_make_reply(struct draft *draft, const struct synth_operation *operation);

#endif
