/* data_dir.h -- a log's data directory: locked while in use, and bound to one origin and key.
 *
 * Holds log/ (public), journal/, index/, and the files lock, identity (the log's vkey), signed (the
 * last signed note), and schema in a log of operations. Blocks on the disk. Main thread.
 */
#ifndef LOGD_DATA_DIR_H
#define LOGD_DATA_DIR_H

#include "base/err.h"
#include "tlog/vkey.h"

#include <stdbool.h>

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
/* What the entries are is for life too: a log of operations that took opaque entries once would be none. Writes it
 * down when the log has no entry yet. E_DENIED for another schema than it began with. */
MUST_USE enum err_code data_dir_bind_schema(const char *path, bool is_operation, bool has_entries,
                                            struct err *err);
void data_dir_close(struct data_dir *dir);

#endif
