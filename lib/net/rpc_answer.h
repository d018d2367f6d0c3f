/* rpc_answer.h -- how a service's methods answer: messages packed, errors in words for peers.
 *
 * Any thread, for a call that it owns.
 */
#ifndef NET_RPC_ANSWER_H
#define NET_RPC_ANSWER_H

#include "base/private_paths.h"
#include "net/rpc_server.h"

#include <protobuf-c/protobuf-c.h>

/* Borrowed, for a message to be packed. */
ProtobufCBinaryData rpc_answer_binary(struct span bytes);

/* Initialises `out`, which the caller clears. */
void rpc_answer_pack(struct buf *out, const ProtobufCMessage *message);

/* Answers a unary call; RESOURCE_EXHAUSTED when too many answers wait to be read. */
void rpc_answer(struct rpc_call *call, const ProtobufCMessage *message);

/* Answers with the error: no paths of ours, and nothing about what is wrong with our disk. */
void rpc_answer_error(struct rpc_call *call, const struct private_paths *paths,
                      const struct err *err);

/* For requests of two numbers or a hash, and no more: what we do not know unpacks to many times its
 * size. True when the call has been answered. */
bool rpc_answer_refuses_long(struct rpc_call *call, struct span message);

#endif
