/* child.h -- runs a tool to its end, without a shell: bounded in time and in what it says.
 *
 * The environment is ours. Blocks. Any thread of a process that ignores SIGPIPE.
 */
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#include <stdint.h>

/* argv[0] is looked up in PATH; argv ends with NULL. It gets `input` on its standard input, and need not read
 * it. Appends its standard output to `out`, as far as that
 * has room. E_NOT_FOUND: there is no such tool; E_TIMEOUT: it was ended; E_TOO_LARGE: it said too much, and
 * was ended; E_IO: it failed, with the end of its standard error in words. */
MUST_USE enum err_code child_run(char *const *argv, struct span input, uint32_t timeout_ms,
                                 struct buf *out, struct err *err);

#endif
