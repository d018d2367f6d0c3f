/* submitter.h -- drafts in, records on their way: numbers, payloads and the spool together, and decoys.
 *
 * docs/submitting.md. The normal path is: the next number of the case, the record and its payload, the payload
 * encrypted and durable on the disk, then the spool, and only then it is accepted. Operations of one case are
 * composed one after the other, of different cases at the same time.
 *
 * Threads: any. Blocks on the disk, never on the network.
 */
#ifndef CLIENT_SUBMITTER_H
#define CLIENT_SUBMITTER_H

#include "client/payload_dir.h"
#include "client/spool.h"

struct submitter;

/* Borrowed for the call, but for what spool_options borrows. */
struct submitter_options {
    struct spool_options spool; /* its delay as it is: 0 is none. Nothing is told of decoys */
    /* All three, or none: then there is submitter_put_entry only. */
    const char *key_path;
    const char *payload_dir;
    const char *payload_key_path;
    bool is_vouched; /* records that the log vouches for, by mTLS */
    /* Sealed records of nothing; 0: none. Needs a court, whose they seem to be. */
    double decoys_per_hour;
    const char *decoy_court;
    uint64_t decoy_unseal_max_ms; /* opened after a random time from a quarter of it; 0: 7 days */
};

struct submission_draft {
    const struct draft *draft;
    const struct case_key *case_key;
};

MUST_USE enum err_code submitter_open(struct submitter **out,
                                      const struct submitter_options *options, struct err *err);
void submitter_close(struct submitter *submitter); /* NULL is fine */

/* Borrowed until the close: for status, flush, receipts. */
struct spool *submitter_spool(struct submitter *submitter);
/* NULL without payloads. */
const struct payload_dir *submitter_payload_dir(const struct submitter *submitter);

enum {
    SUBMITTER_BATCH_MAX = 1000
};

/* Accepts operations in order, all or none: durable when it returns. Errors of payload_compose and spool_put; *failed
 * is then the one at fault, or `count`. Requires 1 <= count <= SUBMITTER_BATCH_MAX. */
MUST_USE enum err_code submitter_put(struct submitter *submitter,
                                     const struct submission_draft *drafts, size_t count,
                                     uint64_t *first_ticket, size_t *failed, struct err *err);

/* An entry as it is, for a log with schema = opaque. Entries with the same `order`, if it has bytes, keep theirs. */
MUST_USE enum err_code submitter_put_entry(struct submitter *submitter, struct span entry,
                                           struct span order, struct span id, uint64_t *ticket,
                                           struct err *err);

/* spool_each_receipt, without those of decoys. */
MUST_USE enum err_code submitter_each_receipt(
    struct submitter *submitter,
    enum err_code (*on_receipt)(void *ctx, const struct spool_receipt *receipt, struct err *err),
    void *ctx, struct err *err);

/* By which the spool knows a case: nobody without the case key can tell whose it is. */
struct hash submitter_case_id(const struct submitter *submitter, const struct case_key *key);

#endif
