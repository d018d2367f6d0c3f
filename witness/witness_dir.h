/* witness_dir.h -- a witness's data directory: locked while in use, and bound to the witness's keys.
 *
 * Holds state/ (what was cosigned last), evidence/, lists/ (copies of network lists), bastion.key, and the
 * files lock and identity (every vkey that ever signed from this state). The file identity is written once
 * there is a store: from then on a directory without its store has lost what it signed, be it that the
 * volume is not mounted, and is never begun anew. Blocks on the disk. Main thread, but for
 * witness_dir_reopen_store.
 */
#ifndef WITNESS_WITNESS_DIR_H
#define WITNESS_WITNESS_DIR_H

#include "base/buf.h"
#include "base/err.h"
#include "store/kv.h"
#include "tlog/vkey.h"

struct witness_dir {
    int lock_fd;
    bool has_signed;     /* or may have: there is an identity */
    struct buf identity; /* what that file is to hold; empty: it does */
    char *path;          /* paths; owned */
    char *state;
    char *evidence;
    char *lists;
    char *bastion_key;
};

/* Makes what is missing, but for the store. E_BUSY when another process has it; E_DENIED when none of the
 * keys is one that has signed from it. */
MUST_USE enum err_code witness_dir_open(struct witness_dir *out, const char *path,
                                        const struct signer *keys, size_t key_count,
                                        struct err *err);
/* Opens the store, or makes it when nothing was signed yet; keys that were not in identity are added to
 * it. E_NOT_FOUND, in words, when the store is lost. */
MUST_USE enum err_code witness_dir_open_store(struct witness_dir *dir, struct kv **out,
                                              struct err *err);
/* After a failed write, once it was closed: never makes one. The ledger's thread. */
MUST_USE enum err_code witness_dir_reopen_store(const struct witness_dir *dir, struct kv **out,
                                                struct err *err);
void witness_dir_close(struct witness_dir *dir);

#endif
