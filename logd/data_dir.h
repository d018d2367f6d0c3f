/* data_dir.h -- a log's data directory: locked while in use, and bound to one origin and key.
 *
 * Holds log/ (public), journal/, index/, and the files lock, identity (the log's vkey) and signed (the
 * last signed note). Blocks on the disk. Main thread.
 */
#ifndef LOGD_DATA_DIR_H
#define LOGD_DATA_DIR_H

#include "base/err.h"
#include "tlog/vkey.h"

struct data_dir {
    int lock_fd;
    char *log; /* paths; owned */
    char *journal;
    char *index;
};

/* Makes what is missing. E_BUSY when another process has it; E_DENIED when it belongs to another log
 * or key. */
MUST_USE enum err_code data_dir_open(struct data_dir *out, const char *path, const struct vkey *log,
                                     struct err *err);
void data_dir_close(struct data_dir *dir);

#endif
