/* rpc_log_parts.h -- what the rpc_log*.c files share. */
#ifndef CLIENT_RPC_LOG_PARTS_H
#define CLIENT_RPC_LOG_PARTS_H

#include "client/rpc_log.h"
#include "courtroll/v1/log.pb-c.h"

enum {
    RPC_LOG_MEMORY_MAX = 128 * 1024 * 1024, /* one unpacked reply */
};

struct rpc_log {
    struct rpc_client *client;
    struct buf request; /* scratch: a packed message */
    /* Of the poll under way. */
    rpc_log_on_appended *on_appended;
    void *on_appended_ctx;
};

/* Packs into log->request; good until the next one. */
struct span rpc_log_pack(struct rpc_log *log, const ProtobufCMessage *message);

/* A message in `memory`; NULL when the bytes are not one. */
ProtobufCMessage *rpc_log_unpack(const ProtobufCMessageDescriptor *type, struct arena *memory,
                                 struct span bytes);

static inline struct span rpc_log_span(ProtobufCBinaryData bytes)
{
    return (struct span){ bytes.data, bytes.len };
}

static inline ProtobufCBinaryData rpc_log_bytes(struct span span)
{
    return (ProtobufCBinaryData){ span.len, (uint8_t *)(uintptr_t)span.data };
}

/* False unless there are exactly HASH_BYTES. */
bool rpc_log_take_hash(struct hash *out, ProtobufCBinaryData bytes);

#endif
