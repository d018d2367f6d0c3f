/* append_service.h -- Log.Append: from the message to its answer.
 *
 * design: "The life of an entry", steps 1, 5 and 8. Normal path, DURABLE: the gRPC thread checks the
 * message, hashes its entries and gives them to the pool; the sequencer thread answers when they are
 * committed. A promise, or WITNESSED, is made by a libuv worker: the latter once the entries are
 * published, or without a proof when time is up.
 */
#ifndef LOGD_APPEND_SERVICE_H
#define LOGD_APPEND_SERVICE_H

#include "logd/parts.h"
#include "net/rpc_server.h"

struct append_service;

/* Loop thread; borrows `parts`. */
struct append_service *append_service_new(uv_loop_t *loop, struct parts *parts);

/* Handler of Log.Append; ctx is the append_service. gRPC thread. */
void append_on_call(void *ctx, struct rpc_call *call, struct span message);

/* A newer tree is published: answers those who wait for it. Loop thread. */
void append_service_on_published(struct append_service *service);

/* Answers whoever still waits, published or not, and from now on lets nobody wait. Loop thread. */
void append_service_flush(struct append_service *service);

/* Frees, once nobody waits and no call can come in any more. Loop thread. */
void append_service_close(struct append_service *service, void *ctx, void (*on_closed)(void *ctx));

#endif
