/* cosign_plan.h -- in which order a witness is given the checkpoints that came as files.
 *
 * A witness signs a checkpoint only with a proof from the size that it holds, and never a smaller one
 * after a larger. So the files form chains; the one to follow ends at the largest size, since a
 * cosignature there vouches for all below, and has the most files of those that do.
 * Pure. Any thread.
 */
#ifndef CLI_COSIGN_PLAN_H
#define CLI_COSIGN_PLAN_H

#include "tlog/cosign_file.h"

#include <stdbool.h>

enum {
    COSIGN_PLAN_FILES_MAX = 256
};

/* One file of one log. */
struct cosign_request {
    uint64_t size; /* of its checkpoint */
    const struct cosign_file *file;
    bool is_settled; /* not to be tried (again) */
};

/* The next of `requests`, sorted by size, for a witness that holds `held` entries; SIZE_MAX when none
 * fits. One of exactly that size always does: without proof it gets a fresh cosignature.
 * Requires at most COSIGN_PLAN_FILES_MAX. */
size_t cosign_plan_next(uint64_t held, const struct cosign_request *requests, size_t count);

#endif
