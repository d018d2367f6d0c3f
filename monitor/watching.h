/* watching.h -- everybody who looks: the logs with their followers, and the vantages.
 *
 * Fills the monitor's parts and owns what it fills. Main thread, but for watching_stop.
 */
#ifndef MONITOR_WATCHING_H
#define MONITOR_WATCHING_H

#include "monitor/monitor_dir.h"
#include "monitor/parts.h"
#include "monitor/watch_list.h"

struct watching;

struct watching_options {
    const struct monitor_settings *settings; /* borrowed, as all here */
    const struct watch_list *list;
    const struct monitor_dir *dir;
    struct monitor_parts *parts; /* store, alerts and key are there; logs and memories come to be */
};

/* Reads what is stored of each log. Nobody looks yet, so nothing waits for a log. */
MUST_USE enum err_code watching_open(struct watching **out, const struct watching_options *options,
                                     struct err *err);
/* Starts followers and vantages. After an error some may look: stop. */
MUST_USE enum err_code watching_start(struct watching *watching, struct err *err);
void watching_poll_now(struct watching *watching);
/* All end at the same time; the slowest is waited for. The parts have no vantages after, and followers that
 * may only be asked how they do. A thread that may wait. */
void watching_stop(struct watching *watching);
void watching_free(struct watching *watching); /* NULL is fine */

#endif
