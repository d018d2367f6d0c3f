/* daemon.h -- a monitor from start to stop: opens its parts in order, follows, serves, closes.
 *
 * Main thread, which becomes the loop thread.
 */
#ifndef MONITOR_DAEMON_H
#define MONITOR_DAEMON_H

#include "base/config.h"

/* What ended the daemon, as its exit code. */
enum monitor_exit {
    MONITOR_STOPPED = 0,
    MONITOR_CONFIGURATION = 2,
    MONITOR_CANNOT_START = 3,
};

/* Serves until SIGTERM or SIGINT; the keys are in settings.h. Errors have been logged. */
enum monitor_exit monitor_run(const struct config *config);

#endif
