/* daemon.h -- a witness from start to stop: opens its parts in order, serves, drains, closes.
 *
 * Main thread, which becomes the loop thread.
 */
#ifndef WITNESS_DAEMON_H
#define WITNESS_DAEMON_H

#include "base/config.h"

/* What ended the daemon, as its exit code. */
enum witness_exit {
    WITNESS_STOPPED = 0,
    WITNESS_CONFIGURATION = 2,
    WITNESS_CANNOT_START = 3,
};

/* Serves until SIGTERM or SIGINT; the keys are in settings.h. Errors have been logged. */
enum witness_exit witness_run(const struct config *config);

#endif
