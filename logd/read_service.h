/* read_service.h -- the Log service's reading methods: checkpoints, proofs, entries, receipts, status.
 *
 * All of them speak of the published tree. What may touch the disk is done by a libuv worker; the
 * streams go on whenever their queue has room.
 */
#ifndef LOGD_READ_SERVICE_H
#define LOGD_READ_SERVICE_H

#include "logd/parts.h"
#include "net/rpc_server.h"

struct read_service;

/* Any thread; borrows `parts`. */
struct read_service *read_service_new(struct parts *parts);

enum {
    READ_METHODS = 7
};
/* Fills the table's rows. */
void read_service_methods(struct read_service *service, struct rpc_method out[READ_METHODS]);

/* A newer tree is published: tells the watchers. Any thread. */
void read_service_on_published(struct read_service *service);

/* Ends the watches. Any thread. */
void read_service_end(struct read_service *service);

/* Requires that no call is left. */
void read_service_free(struct read_service *service);

#endif
