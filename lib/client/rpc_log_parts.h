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

/* One unary call of the service; *reply lives in `memory`, which the caller clears in any case. */
MUST_USE enum err_code rpc_log_query(struct rpc_log *log, const char *path,
                                     const ProtobufCMessage *request, uint32_t timeout_ms,
                                     const ProtobufCMessageDescriptor *type, struct arena *memory,
                                     const ProtobufCMessage **reply, struct err *err);

/* "the log's answer makes no sense: WHAT". */
enum err_code rpc_log_malformed(struct err *err, const char *what);

/* A proof of a reply. E_MALFORMED. */
MUST_USE enum err_code rpc_log_take_proof(struct proof *out, const ProtobufCBinaryData *hashes,
                                          size_t count, struct err *err);

/* Copies a text, cut where it is too long. */
void rpc_log_take_text(char out[static RPC_LOG_TEXT_MAX], ProtobufCBinaryData bytes);

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
