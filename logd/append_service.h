/* append_service.h -- Log.Append and Log.AppendStream: from the message to its answer.
 *
 * design: "The life of an entry", steps 1, 5 and 8. Normal path, DURABLE: the gRPC thread checks the
 * message, hashes its entries and gives them to the pool; the sequencer thread answers when they are
 * committed. With schema = operation workers judge the records before that (append_service_verify.c). A
 * promise, or WITNESSED, is made by a libuv worker: the latter once the entries are published, or without
 * a proof when time is up.
 */
#ifndef LOGD_APPEND_SERVICE_H
#define LOGD_APPEND_SERVICE_H

#include "logd/parts.h"
#include "net/rpc_server.h"

enum {
    APPEND_METHODS = 2
};

struct append_service;

/* Loop thread; borrows `parts`. */
struct append_service *append_service_new(uv_loop_t *loop, struct parts *parts);

void append_service_methods(struct append_service *service, struct rpc_method out[APPEND_METHODS]);

/* A newer tree is published: answers those who wait for it. Loop thread. */
void append_service_on_published(struct append_service *service);

/* Answers whoever still waits, published or not, and from now on lets nobody wait. Loop thread. */
void append_service_flush(struct append_service *service);

/* Frees, once nobody waits and no call can come in any more. Loop thread. */
void append_service_close(struct append_service *service, void *ctx, void (*on_closed)(void *ctx));

#endif
