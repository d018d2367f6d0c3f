/* alerting.h -- everybody who is told: the book of alerts, its sinks, and a courier for each.
 *
 * Fills the monitor's parts and owns what it fills. Main thread, but for alerting_stop.
 */
#ifndef MONITOR_ALERTING_H
#define MONITOR_ALERTING_H

#include "monitor/monitor_service.h"
#include "monitor/settings.h"

struct alerting;

/* Opens the sinks, reads the book, starts the couriers. Borrows both; key and store are in the parts.
 * E_MALFORMED: a sink that cannot be one. */
MUST_USE enum err_code alerting_open(struct alerting **out, const struct monitor_settings *settings,
                                     struct monitor_parts *parts, struct err *err);

/* From now on this service is told of changes too; NULL: none any more, once it returns. */
void alerting_tell(struct alerting *alerting, struct monitor_service *service);

/* Ends the couriers, each after its delivery under way; what is not delivered yet stays in the book. The parts
 * have none after. A thread that may wait. */
void alerting_stop(struct alerting *alerting);
void alerting_free(struct alerting *alerting); /* NULL is fine */

#endif
