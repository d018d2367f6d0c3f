/* stream_service.h -- the Log service's streams: GetEntries and WatchCheckpoints.
 *
 * Both speak of the published tree, and go on whenever their queue has room. Entries are read by a
 * libuv worker; a watcher that is slow misses checkpoints, never the latest one.
 */
#ifndef LOGD_STREAM_SERVICE_H
#define LOGD_STREAM_SERVICE_H

#include "logd/parts.h"
#include "net/rpc_server.h"

struct stream_service;

/* Any thread; borrows `parts`. */
struct stream_service *stream_service_new(struct parts *parts);

enum {
    STREAM_METHODS = 2
};
/* Fills the table's rows. */
void stream_service_methods(struct stream_service *service, struct rpc_method out[STREAM_METHODS]);

/* A newer tree is published: tells the watchers. Any thread. */
void stream_service_on_published(struct stream_service *service);

/* Ends the watches. Any thread. */
void stream_service_end(struct stream_service *service);

/* Requires that no call is left. */
void stream_service_free(struct stream_service *service);

#endif
