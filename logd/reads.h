/* reads.h -- the Log service's reading methods: checkpoints, proofs, entries, receipts, status.
 *
 * All of them speak of the published tree. What may touch the disk is done by a libuv worker; the
 * streams go on whenever their queue has room.
 */
#ifndef LOGD_READS_H
#define LOGD_READS_H

#include "logd/parts.h"
#include "net/rpc_server.h"

struct reads_service;

/* Any thread; borrows `parts`. */
struct reads_service *reads_service_new(struct parts *parts);

enum { READS_METHODS = 7 };
/* Fills the table's rows. */
void reads_service_methods(struct reads_service *service, struct rpc_method out[READS_METHODS]);

/* A newer tree is published: tells the watchers. Any thread. */
void reads_service_on_published(struct reads_service *service);

/* Ends the watches. Any thread. */
void reads_service_end(struct reads_service *service);

/* Requires that no call is left. */
void reads_service_free(struct reads_service *service);

#endif
