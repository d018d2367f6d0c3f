/* case_chain_parts.h -- what the parts of case_chain share: inside cli only.
 *
 * case_chain.c        what is found, as entries come
 * case_chain_judge.c  what that says
 */
#ifndef CLI_CASE_CHAIN_PARTS_H
#define CLI_CASE_CHAIN_PARTS_H

#include "cli/case_chain.h"

struct chain_operation {
    uint64_t number, index;
    uint32_t submitter; /* position in `submitters` */
    uint32_t kind;      /* SEALED is SEALED here */
    bool is_bad;        /* its signature is not the submitter's */
    bool is_vouched;
};

struct chain_submitter {
    struct submitter_id id;
    struct ed25519_public key;
    char *name;      /* owned */
    uint64_t looked; /* tags of the numbers below it are looked for */
};

/* A tag that is looked for. */
struct chain_tag {
    struct hash tag;
    uint32_t submitter; /* position + 1; 0: an empty place */
    uint64_t number;
};

/* The last CLOSED. */
struct chain_closed {
    bool is_there, is_readable, is_vouched;
    uint64_t index;
    size_t count;
    struct closed_count counts[CLOSED_SUBMITTERS_MAX];
};

struct case_chain {
    const struct case_key *key; /* borrowed */
    const char *origin;         /* borrowed */
    struct submitter_id *only;  /* owned; looks for these, unless there are none */
    size_t only_count;
    struct chain_submitter *submitters; /* owned */
    size_t submitter_count, submitter_room;
    struct chain_operation *operations; /* owned; in the order of the log, until it is judged */
    size_t operation_count, operation_room;
    struct chain_tag *tags; /* owned; a hash table, `tag_room` a power of two */
    size_t tag_count, tag_room;
    struct chain_closed closed;
};

#endif
