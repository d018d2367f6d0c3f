/* contradiction.h -- two notes under our own key that cannot both be of one log, kept as evidence:
 * data-dir/contradiction/ID.theirs and ID.ours.
 *
 * design: "Failure policy". While there is one, the log signs nothing.
 * Blocks on the disk. One thread at a time.
 */
#ifndef LOGD_CONTRADICTION_H
#define LOGD_CONTRADICTION_H

#include "base/err.h"
#include "base/span.h"

#include <stdbool.h>

/* Durable when it returns E_OK. The same two again are no error. */
MUST_USE enum err_code contradiction_keep(const char *data_dir, struct span theirs,
                                          struct span ours, struct err *err);

MUST_USE enum err_code contradiction_exists(const char *data_dir, bool *out, struct err *err);

#endif
