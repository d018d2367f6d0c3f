/* record_chain.h -- all entries of one case, looked up by their tags. One thread. */
#ifndef MONITOR_RECORD_CHAIN_H
#define MONITOR_RECORD_CHAIN_H

#include "monitor/record_case.h"
#include "monitor/record_check.h"
#include "monitor/record_expected.h"

enum {
    RECORD_CHAIN_MAX = 200000, /* entries of a case that are looked at; 5,000 is a large one */
};

/* All borrowed. */
struct record_chain_options {
    struct record_store *store;
    const struct record_submitters *submitters;
    const struct case_key *key;
    struct record_expected *expected; /* the tags that are not there are added, for `owner` */
    void *owner;
};

/* The court whose code is in a case number. False: none is. */
bool record_chain_court(struct court_tag *out, const char *case_number);

/* What is below the base. Errors are the store's. Clear in any case. */
MUST_USE enum err_code record_chain_read(struct record_case *out,
                                         const struct record_chain_options *options,
                                         struct err *err);
void record_chain_clear(struct record_case *chain);

#endif
