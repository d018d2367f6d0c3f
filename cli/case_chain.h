/* case_chain.h -- the operations of one case on a log, found with its key, and whether any is missing.
 *
 * Entries are told in the order of the log. A SUBMITTER entry makes its submitter known, and from then on the next
 * CASE_CHAIN_FIRST tags are looked for, later CASE_CHAIN_AHEAD behind the highest number found: a hole wider than that
 * hides what is behind it, unless CLOSED counts it. What was never numbered nobody can see.
 * Pure. One thread.
 */
#ifndef CLI_CASE_CHAIN_H
#define CLI_CASE_CHAIN_H

#include "record/entry_tag.h"

enum {
    CASE_CHAIN_FIRST = 64,
    CASE_CHAIN_AHEAD = 1024,
    CASE_CHAIN_SUBMITTERS_MAX = 65536,
    CASE_CHAIN_OPERATIONS_MAX = 1000 * 1000,
    CASE_CHAIN_PROBLEMS_MAX = 1000, /* kept; all are counted */
    CASE_CHAIN_TEXT_MAX = 192,
};

struct case_chain;

/* Both borrowed. */
struct case_chain *case_chain_new(const struct case_key *key, const char *origin);
void case_chain_free(struct case_chain *chain); /* NULL is fine; wipes */
/* Looks for this submitter only, and others that are named so. */
void case_chain_restrict(struct case_chain *chain, const struct submitter_id *id);

/* Entry `index`. What is no record is passed over. E_TOO_LARGE: more than the maxima above. */
MUST_USE enum err_code case_chain_add(struct case_chain *chain, uint64_t index, struct span entry,
                                      struct err *err);

enum case_chain_verdict {
    CASE_CHAIN_CLOSED,     /* complete, and CLOSED says that it is all */
    CASE_CHAIN_OPEN,       /* complete up to the last one found */
    CASE_CHAIN_INCOMPLETE, /* a number is missing */
    CASE_CHAIN_FAULTY,     /* all are there, and something else is wrong */
    CASE_CHAIN_NONE,       /* no operation of this case was found */
};

struct case_chain_problem {
    bool is_missing;
    struct submitter_id submitter;
    uint64_t number; /* the missing one, or the first of several */
    uint64_t count;  /* of missing ones */
    char text[CASE_CHAIN_TEXT_MAX];
};

struct case_chain_submitter {
    struct submitter_id id;
    char name[REGISTRATION_NAME_MAX]; /* as it was registered */
    uint64_t operations;              /* found */
    uint64_t next;                    /* one above the highest number found */
    uint64_t first_index, last_index;
};

struct case_chain_report {
    enum case_chain_verdict verdict;
    uint64_t operations, sealed, vouched; /* vouched: signed by nobody */
    bool is_closed;
    bool is_closed_vouched; /* nobody signed CLOSED: its counts are the log's word */
    uint64_t closed_index;
    uint64_t after_closed; /* operations logged after it */
    size_t submitter_count;
    struct case_chain_submitter *submitters; /* with operations; owned by the report */
    size_t registered;                       /* submitters that were looked for */
    uint64_t problem_count;
    size_t kept_count;
    struct case_chain_problem *problems; /* owned by the report */
};
/* After the last entry. End with case_chain_report_clear. */
void case_chain_judge(struct case_chain *chain, struct case_chain_report *out);
void case_chain_report_clear(struct case_chain_report *report);

#endif
