/* heartbeat.h -- the sign of life: every so often each sink is told that the monitor looks, and at how much.
 *
 * Raised as FINDING_HEARTBEAT, each an alert of its own that the book resolves at once. When the last one
 * was, and how many entries were looked at since, is in the store: a restart resets neither. The count is
 * stored at each look, so a kill takes back what was counted since the last look.
 * Blocks on the store. One thread at a time, but for heartbeat_last_s.
 */
#ifndef MONITOR_HEARTBEAT_H
#define MONITOR_HEARTBEAT_H

#include "monitor/parts.h"

struct heartbeat;

/* `interval_s` 0: never. The first is due an interval after the first start. E_CORRUPT, E_IO. */
MUST_USE enum err_code heartbeat_open(struct heartbeat **out, struct monitor_parts *parts,
                                      uint64_t interval_s, int64_t now_s, struct err *err);
void heartbeat_free(struct heartbeat *heartbeat); /* NULL is fine */

/* Raises one if it is due, and counts on. Errors are the store's and mean "look again". */
MUST_USE enum err_code heartbeat_look(struct heartbeat *heartbeat, int64_t now_s, struct err *err);

/* When the last one was, or the first start; any thread. */
int64_t heartbeat_last_s(const struct heartbeat *heartbeat);
uint64_t heartbeat_interval_s(const struct heartbeat *heartbeat);

#endif
