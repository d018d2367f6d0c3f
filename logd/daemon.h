/* daemon.h -- a log from start to stop: opens its parts in order, serves, drains, closes.
 *
 * Main thread, which becomes the loop thread.
 */
#ifndef LOGD_DAEMON_H
#define LOGD_DAEMON_H

#include "base/config.h"
#include "base/err.h"

/* What ended the daemon, as its exit code. */
enum daemon_exit {
    DAEMON_STOPPED = 0,
    DAEMON_CONFIGURATION = 2,
    DAEMON_CANNOT_START = 3,
    DAEMON_FATAL = 5, /* restart me: recovery will find out */
};

/* The keys are in settings.h. */

/* Serves until SIGTERM or SIGINT. Errors have been logged. */
enum daemon_exit daemon_run(const struct config *config);

#endif
