/* witness_service.h -- the Witness service over gRPC: proto/courtroll/v1/witness.proto.
 *
 * Called on the gRPC thread; what reads stores or files goes to a worker.
 */
#ifndef WITNESS_WITNESS_SERVICE_H
#define WITNESS_WITNESS_SERVICE_H

#include "net/rpc_server.h"
#include "witness/parts.h"

enum {
    WITNESS_METHODS = 4
};

/* Borrows `parts`. */
void witness_service_methods(struct parts *parts, struct rpc_method out[WITNESS_METHODS]);

#endif
