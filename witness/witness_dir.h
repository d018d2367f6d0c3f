/* witness_dir.h -- a witness's data directory: locked while in use, and bound to the witness's keys.
 *
 * Holds state/ (what was cosigned last), evidence/, lists/ (copies of network lists), bastion.key, and the
 * files lock and identity (every vkey that ever signed from this state). Blocks on the disk. Main thread.
 */
#ifndef WITNESS_WITNESS_DIR_H
#define WITNESS_WITNESS_DIR_H

#include "base/err.h"
#include "tlog/vkey.h"

struct witness_dir {
    int lock_fd;
    char *state; /* paths; owned */
    char *evidence;
    char *lists;
    char *bastion_key;
};

/* Makes what is missing. E_BUSY when another process has it; E_DENIED when none of the keys is one that
 * has signed from it. Others given beside such a one are added. */
MUST_USE enum err_code witness_dir_open(struct witness_dir *out, const char *path,
                                        const struct signer *keys, size_t key_count,
                                        struct err *err);
void witness_dir_close(struct witness_dir *dir);

#endif
