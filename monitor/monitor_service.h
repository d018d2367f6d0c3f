/* monitor_service.h -- the gRPC service courtroll.v1.Monitor: proto/courtroll/v1/monitor.proto.
 *
 * Acknowledge, Resolve and SelfTest are for the control socket only (PERMISSION_DENIED elsewhere). What blocks
 * runs in the lane of the parts. gRPC threads.
 */
#ifndef MONITOR_MONITOR_SERVICE_H
#define MONITOR_MONITOR_SERVICE_H

#include "monitor/parts.h"
#include "net/rpc_server.h"

enum {
    MONITOR_METHODS = 9
};

struct monitor_service;

/* Fills `methods`; borrows `parts`. */
struct monitor_service *monitor_service_new(struct monitor_parts *parts,
                                            struct rpc_method methods[MONITOR_METHODS]);
/* The book has changed: streams of WatchAlerts go on. Any thread. */
void monitor_service_on_change(struct monitor_service *service);
/* Ends the streams, so that the server can stop; then, once it has, free. */
void monitor_service_end(struct monitor_service *service);
void monitor_service_free(struct monitor_service *service);

#endif
