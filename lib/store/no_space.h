/* no_space.h -- which errno values mean that the disk has no room now: try again later.
 *
 * Pure. Any thread.
 */
#ifndef STORE_NO_SPACE_H
#define STORE_NO_SPACE_H

#include "base/err.h"

#include <errno.h>

/* EFBIG is a process's own limit on file sizes (RLIMIT_FSIZE): nobody's data is at fault. */
static inline enum err_code store_write_code(int errnum)
{
    return errnum == ENOSPC || errnum == EDQUOT || errnum == EFBIG ? E_UNAVAILABLE : E_IO;
}

#endif
