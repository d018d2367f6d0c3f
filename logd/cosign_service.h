/* cosign_service.h -- the Log service's way to witnesses that only files reach: ExportCheckpoint and
 * AddCosignatures.
 *
 * Calls are checked on the gRPC thread, told to the publisher on the loop thread, and what takes time is
 * done by a libuv worker. Nothing that comes in is believed: the text that cosignatures are verified over
 * is made from our own tree.
 */
#ifndef LOGD_COSIGN_SERVICE_H
#define LOGD_COSIGN_SERVICE_H

#include "logd/parts.h"
#include "net/rpc_server.h"

enum {
    COSIGN_METHODS = 2
};
/* Fills the table's rows; `parts` is borrowed. */
void cosign_service_methods(struct parts *parts, struct rpc_method out[COSIGN_METHODS]);

#endif
