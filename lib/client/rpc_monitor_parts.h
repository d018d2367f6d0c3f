/* rpc_monitor_parts.h -- what the rpc_monitor*.c files share: calls, and replies read with one error at the end. */
#ifndef CLIENT_RPC_MONITOR_PARTS_H
#define CLIENT_RPC_MONITOR_PARTS_H

#include "client/rpc_monitor.h"
#include "courtroll/v1/monitor.pb-c.h"

enum {
    RPC_MONITOR_MEMORY_MAX = 64 * 1024 * 1024, /* one reply, unpacked and copied */
};

struct rpc_monitor {
    struct rpc_client *client;
};

#define RPC_MONITOR_PATH(method) "/courtroll.v1.Monitor/" method

/* A packed message; the caller clears it. */
struct buf rpc_monitor_pack(const ProtobufCMessage *message);

/* A message in `memory`; NULL when the bytes are not one, or it would be too large. */
const ProtobufCMessage *rpc_monitor_unpack(const ProtobufCMessageDescriptor *type,
                                           struct arena *memory, struct span bytes);

/* One unary call; *reply lives in `memory`, which is begun here, and is cleared here on failure. */
MUST_USE enum err_code rpc_monitor_call(struct rpc_monitor *monitor, const char *path,
                                        const ProtobufCMessage *request, uint32_t timeout_ms,
                                        const ProtobufCMessageDescriptor *type,
                                        struct arena *memory, const ProtobufCMessage **reply,
                                        struct err *err);

/* Reading goes on after something that makes no sense, with empty values, and ends in one error. */
struct rpc_monitor_reading {
    struct arena *memory;
    const char *wrong; /* the first thing that made no sense; NULL: nothing */
};

const char *rpc_monitor_text(struct rpc_monitor_reading *reading, ProtobufCBinaryData bytes);
/* `what` says in words which, if it is wrong. */
const char *rpc_monitor_word(struct rpc_monitor_reading *reading, ProtobufCBinaryData bytes,
                             const char *what);
/* False for no bytes, and for a number other than a hash has, which is wrong. */
bool rpc_monitor_hash(struct rpc_monitor_reading *reading, struct hash *out,
                      ProtobufCBinaryData bytes, const char *what);
/* Zeroed; *count is 0 when there are more than `max`. */
void *rpc_monitor_list(struct rpc_monitor_reading *reading, size_t *count, size_t wanted,
                       size_t max, size_t item_bytes, const char *what);

/* E_OK; or clears the memory and says what is wrong. */
MUST_USE enum err_code rpc_monitor_read(struct rpc_monitor_reading *reading, struct err *err);

/* In rpc_monitor_alerts.c. */
void rpc_monitor_alert_read(struct rpc_monitor_reading *reading, struct rpc_monitor_alert *out,
                            const Courtroll__V1__MonitorAlert *from);

static inline ProtobufCBinaryData rpc_monitor_bytes(struct span span)
{
    return (ProtobufCBinaryData){ span.len, (uint8_t *)(uintptr_t)span.data };
}

static inline struct span rpc_monitor_span(ProtobufCBinaryData bytes)
{
    return (struct span){ bytes.data, bytes.len };
}

#endif
