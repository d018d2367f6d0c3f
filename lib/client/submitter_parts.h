/* submitter_parts.h -- what the submitter*.c files share. */
#ifndef CLIENT_SUBMITTER_PARTS_H
#define CLIENT_SUBMITTER_PARTS_H

#include "client/submitter.h"
#include "tlog/vkey.h"

#include <pthread.h>

enum {
    SUBMITTER_STRIPES = 64
};

/* The id of its items, which no text can be. */
#define SUBMITTER_DECOY_ID ((struct span){ (const uint8_t *)"\0decoy", 6 })

struct decoys;

struct submitter {
    struct spool *spool;     /* owned, as all below */
    pthread_mutex_t opening; /* held until `spool` is there: it may tell before */
    void *ctx;
    void (*on_receipt)(void *ctx, const struct spool_receipt *receipt);
    char *origin;
    bool has_key;
    bool is_vouched;
    struct signer key;
    struct submitter_id id;
    struct payload_dir payloads;
    /* A case has one, by its id: held from its number to its place in the spool. Taken in ascending order. */
    pthread_mutex_t stripes[SUBMITTER_STRIPES];
    struct decoys *decoys; /* NULL: none */
};

/* Starts making decoys. The submitter is ready otherwise. */
MUST_USE enum err_code decoys_start(struct decoys **out, struct submitter *submitter,
                                    const struct submitter_options *options, struct err *err);
void decoys_stop(struct decoys *decoys); /* NULL is fine */

#endif
