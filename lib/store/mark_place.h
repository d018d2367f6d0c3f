/* mark_place.h -- where a mark may lie: what it guards must not be restored together with it.
 *
 * Looks at the disk, and warns in the log. Main thread.
 */
#ifndef STORE_MARK_PLACE_H
#define STORE_MARK_PLACE_H

#include "base/err.h"

/* E_DENIED, in words, when the mark, or the directory it would be made in, really is in the directory
 * `data_dir` or below, whatever links and dots say. Logs a warning when both are on one disk. Of a directory
 * that is not there yet, and of a NULL `mark_path`, nothing is said: call it when `data_dir` is made. */
MUST_USE enum err_code mark_place_check(const char *mark_path, const char *data_dir,
                                        struct err *err);

#endif
