/* exported.h -- notes that left as files, for witnesses that no network reaches: data-dir/exported/SIZE.
 *
 * Each with the cosignatures that have come for it, so that a restart does not lose them.
 * Blocks on the disk. One thread at a time.
 */
#ifndef LOGD_EXPORTED_H
#define LOGD_EXPORTED_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

/* Durable when it returns E_OK. */
MUST_USE enum err_code exported_write(const char *data_dir, uint64_t size, struct span note,
                                      struct err *err);

/* Removes all but those sizes. Failures are logged: what stays is checked again at the next start. */
void exported_remove_others(const char *data_dir, const uint64_t *sizes, size_t count);

/* Tells each: nothing of it is checked but the name. Stops at the first error of on_note. */
MUST_USE enum err_code exported_read(const char *data_dir,
                                     enum err_code (*on_note)(void *ctx, uint64_t size,
                                                              struct span note, struct err *err),
                                     void *ctx, struct err *err);

#endif
