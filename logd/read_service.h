/* read_service.h -- the Log service's unary reading methods: checkpoint, proofs, receipt, status.
 *
 * All but GetStatus speak of the published tree. What may touch the disk is done by a libuv worker.
 */
#ifndef LOGD_READ_SERVICE_H
#define LOGD_READ_SERVICE_H

#include "logd/parts.h"
#include "net/rpc_server.h"

enum {
    READ_METHODS = 5
};

/* Fills the table's rows; borrows `parts` for as long as calls come in. */
void read_service_methods(struct parts *parts, struct rpc_method out[READ_METHODS]);

#endif
