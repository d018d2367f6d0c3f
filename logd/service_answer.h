/* service_answer.h -- how the Log service's methods answer: messages packed, errors in words for peers.
 *
 * Any thread, for a call that it owns.
 */
#ifndef LOGD_SERVICE_ANSWER_H
#define LOGD_SERVICE_ANSWER_H

#include "logd/parts.h"
#include "net/rpc_server.h"

#include <protobuf-c/protobuf-c.h>

/* Borrowed, for a message to be packed. */
ProtobufCBinaryData service_binary(struct span bytes);

/* Initialises `out`, which the caller clears. */
void service_pack(struct buf *out, const ProtobufCMessage *message);

/* Answers a unary call; RESOURCE_EXHAUSTED when too many answers wait to be read. */
void service_reply(struct rpc_call *call, const ProtobufCMessage *message);

/* Answers with the error: no paths of ours, and nothing about what is wrong with our disk. */
void service_fail(struct parts *parts, struct rpc_call *call, const struct err *err);

/* For requests of two numbers or a hash, and no more: what we do not know unpacks to many times its
 * size. True when the call has been answered. */
bool service_refuses_long(struct rpc_call *call, struct span message);

#endif
