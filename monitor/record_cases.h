/* record_cases.h -- the cases whose keys a monitor was given: which entries are theirs, and whether the rules hold.
 *
 * An entry is known to be of a case by its tag, among those that come next (record_expected.h). A case of which
 * something new was seen is judged whole (record_case.h), out of what is stored of each tag: so a key that is given
 * later finds all that was logged before, without reading the log again. Whoever is registered for the court of a
 * case, or for every court, may log for it; up to RECORD_AHEAD numbers ahead of the last one are looked for.
 *
 * What is found names the entry, never the case: alerts are public, and to tell that two entries are of one case is
 * what only the key may do. The monitor's own log has the name of the key file beside the entry.
 * Key in the record store: "c/<hash of the key>" how far a case was judged. One thread.
 */
#ifndef MONITOR_RECORD_CASES_H
#define MONITOR_RECORD_CASES_H

#include "monitor/record_check.h"
#include "monitor/record_key_files.h"

enum {
    RECORD_AHEAD = 16,         /* numbers looked for behind the last one that is there */
    RECORD_AHEAD_AT_FIRST = 4, /* and of who has logged nothing for the case yet */
};

struct record_cases;

/* All borrowed. `submitters` may be replaced with record_cases_use. */
struct record_cases *record_cases_new(struct watched_log *log, struct record_store *store,
                                      const struct record_submitters *submitters,
                                      const char *const *dirs, size_t dir_count);
void record_cases_free(struct record_cases *cases); /* wipes; NULL is fine */
void record_cases_use(struct record_cases *cases, const struct record_submitters *submitters);

/* Reads the directories again, if `is_forced` or something may have changed. */
void record_cases_read_keys(struct record_cases *cases, int64_t now_s, bool is_forced);
size_t record_cases_count(const struct record_cases *cases);

/* An entry has this tag; a submitter was registered. */
void record_cases_on_tag(struct record_cases *cases, const struct hash *tag);
void record_cases_on_submitter(struct record_cases *cases);

/* Judges cases of which something is new, up to the base: at most `max`. Raises at the sink of the log, then notes
 * how far, which waits to be written. A gap is raised by the second look only. *has_more: call again now. */
MUST_USE enum err_code record_cases_look(struct record_cases *cases, int64_t now_s, size_t max,
                                         bool *has_more, struct err *err);

#endif
