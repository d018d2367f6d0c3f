/* file.h -- small whole files: read within a bound, made or replaced so that a crash leaves the
 * old bytes or the new ones, never a mixture.
 *
 * Every call that writes has synced the file and its directory when it returns E_OK. After E_IO
 * from a write either state may be on the disk. New files and directories get exactly `mode`,
 * whatever the umask. Blocks on the disk: never on the loop thread. Any thread.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#include <sys/types.h>

/* "DIR/NAME"; the caller frees it with mem_free. */
char *file_join(const char *dir, const char *name);

/* Appends the contents of a file, pipe or device, as far as out->max allows. E_NOT_FOUND;
 * E_TOO_LARGE when there is more than `out` has room for; E_IO. */
MUST_USE enum err_code file_read(struct buf *out, const char *path, struct err *err);

/* Makes a file that was not there, complete from the first moment it can be seen. E_EXISTS when
 * anything has that name, which is then untouched; E_IO. */
MUST_USE enum err_code file_create(const char *path, mode_t mode, struct span bytes,
                                   struct err *err);

/* Makes or replaces a file at once: readers see the old bytes or the new. Uses PATH.tmp on the
 * way, so one writer a path. E_IO. */
MUST_USE enum err_code file_replace(const char *path, mode_t mode, struct span bytes,
                                    struct err *err);

/* Makes the names in the directory `path` durable: files made, renamed or removed there. */
MUST_USE enum err_code file_sync_directory(const char *path, struct err *err);

/* Makes the directory and its missing parents (those 0755). One that exists stays as it is. */
MUST_USE enum err_code file_make_directory(const char *path, mode_t mode, struct err *err);

/* Opens `path` (made if missing) and takes an exclusive lock, held until the descriptor is closed
 * or the process ends. E_BUSY when another holder has it; E_IO. The caller owns *fd. */
MUST_USE enum err_code file_lock(const char *path, int *fd, struct err *err);

/* Likewise "DIR/lock": for who has the directory. */
MUST_USE enum err_code file_lock_directory(const char *dir, int *fd, struct err *err);

#endif
