/* state_store.h -- the store of a witness that is stopped, for `courtroll-witness state`.
 *
 * Blocks on the disk. Main thread.
 */
#ifndef WITNESS_STATE_STORE_H
#define WITNESS_STATE_STORE_H

#include "tlog/vkey.h"
#include "witness/ledger.h"

struct state_store {
    int lock_fd;
    char *identity; /* path; owned */
    struct kv *kv;  /* NULL once the ledger has it */
    bool uses_mark; /* it was used with a mark file */
    struct ledger *ledger;
};

/* E_BUSY in words while the witness runs; E_DENIED for another user than the directory's owner, who would
 * leave files that the witness cannot read. Makes nothing. */
MUST_USE enum err_code state_store_open(struct state_store *out, const char *data_dir,
                                        struct err *err);
/* Hands the store to a ledger, with `mark` or without. */
void state_store_start(struct state_store *store, struct mark_file *mark);
void state_store_close(struct state_store *store);

/* All vkeys that ever signed from this directory. */
MUST_USE enum err_code state_store_identity(const struct state_store *store, struct vkey *out,
                                            size_t max, size_t *count, struct err *err);

#endif
