#include "client/rpc_log.h"

#include "base/limits.h"
#include "client/rpc_log_parts.h"

#define APPEND "/courtroll.v1.Log/Append"

enum err_code rpc_log_open(struct rpc_log **out, const struct rpc_client_config *config,
                           uint32_t timeout_ms, struct err *err)
{
    struct rpc_client *client = NULL;
    if (rpc_client_open(&client, config, err) != E_OK ||
        rpc_client_connect(client, timeout_ms, err) != E_OK) {
        rpc_client_close(client);
        return err->code;
    }
    struct rpc_log *log = NEW(struct rpc_log);
    log->client = client;
    buf_init(&log->request, SIZE_MAX);
    *out = log;
    return E_OK;
}

void rpc_log_close(struct rpc_log *log)
{
    if (log != NULL) {
        rpc_client_close(log->client);
        buf_clear(&log->request);
        mem_free(log);
    }
}

/* ---- messages ---- */

struct span rpc_log_pack(struct rpc_log *log, const ProtobufCMessage *message)
{
    buf_reset(&log->request);
    size_t bytes = protobuf_c_message_get_packed_size(message);
    if (bytes > 0) {
        protobuf_c_message_pack(message, buf_extend(&log->request, bytes));
    }
    return buf_span(&log->request);
}

static void *arena_give(void *ctx, size_t size)
{
    return arena_alloc(ctx, size > 0 ? size : 1);
}

static void arena_keep(void *ctx, void *memory)
{
    (void)ctx, (void)memory; /* freed with the arena */
}

ProtobufCMessage *rpc_log_unpack(const ProtobufCMessageDescriptor *type, struct arena *memory,
                                 struct span bytes)
{
    ProtobufCAllocator allocator = { arena_give, arena_keep, memory };
    return protobuf_c_message_unpack(type, &allocator, bytes.len, bytes.data);
}

bool rpc_log_take_hash(struct hash *out, ProtobufCBinaryData bytes)
{
    bool is_hash = bytes.len == HASH_BYTES;
    if (is_hash) {
        memcpy(out->bytes, bytes.data, HASH_BYTES);
    }
    return is_hash;
}

/* ---- append ---- */

/* Field `number`, bytes. */
static void put_field(struct buf *out, unsigned number, struct span bytes)
{
    buf_put_u8(out, (uint8_t)(number << 3 | 2));
    size_t rest = bytes.len;
    for (; rest >= 0x80; rest >>= 7) {
        buf_put_u8(out, (uint8_t)(rest | 0x80));
    }
    buf_put_u8(out, (uint8_t)rest);
    buf_put(out, bytes);
}

/* Written field by field rather than with protobuf-c, which would have us make an array of its own
 * kind of span first. Entries are field 1, bytes; wait is 2, promise 3, integers; certificates 4, bytes. */
static struct span append_pack(struct rpc_log *log, const struct rpc_log_append *request)
{
    struct buf *out = &log->request;
    buf_reset(out);
    for (size_t i = 0; i < request->entry_count; i++) {
        put_field(out, 1, request->entries[i]);
    }
    if (request->wants_witnessed) {
        buf_put_u16(out, (2 << 3) << 8 | COURTROLL__V1__WAIT__WITNESSED);
    }
    if (request->wants_promise) {
        buf_put_u16(out, (3 << 3) << 8 | 1);
    }
    for (size_t i = 0; request->certificates != NULL && i < request->entry_count; i++) {
        put_field(out, 4, request->certificates[i]);
    }
    return buf_span(out);
}

/* Makes `reply` of an unpacked message, in the same memory. */
static enum err_code append_reply_read(struct rpc_log_append_reply *reply,
                                       const Courtroll__V1__AppendReply *message, struct err *err)
{
    size_t count = message->n_entries;
    reply->entries = arena_alloc(&reply->memory, (count + 1) * sizeof *reply->entries);
    if (count > ENTRIES_PER_CALL_MAX || reply->entries == NULL) {
        return err_set(err, E_MALFORMED, "the log answered with too many entries");
    }
    for (size_t i = 0; i < count; i++) {
        const Courtroll__V1__Appended *from = message->entries[i];
        struct rpc_log_appended *to = &reply->entries[i];
        to->index = from->index;
        to->is_duplicate = from->duplicate != 0;
        to->proof = rpc_log_span(from->proof);
        if (!rpc_log_take_hash(&to->leaf_hash, from->leaf_hash)) {
            return err_set(err, E_MALFORMED, "the log answered with a leaf hash of %zu bytes",
                           from->leaf_hash.len);
        }
    }
    reply->entry_count = count;
    reply->promise = rpc_log_span(message->promise);
    reply->is_witnessed = message->witnessed != 0;
    reply->reason = rpc_log_span(message->reason);
    return E_OK;
}

/* On failure nothing is left to clear. */
static enum err_code append_reply_unpack(struct rpc_log_append_reply *reply, struct span bytes,
                                         struct err *err)
{
    *reply = (struct rpc_log_append_reply){ 0 };
    arena_init(&reply->memory, RPC_LOG_MEMORY_MAX);
    const ProtobufCMessage *message =
        rpc_log_unpack(&courtroll__v1__append_reply__descriptor, &reply->memory, bytes);
    enum err_code rc = E_OK;
    if (message == NULL) {
        rc = err_set(err, E_MALFORMED, "the log's answer is not an AppendReply");
    } else {
        rc = append_reply_read(reply, (const Courtroll__V1__AppendReply *)message, err);
    }
    if (rc != E_OK) {
        arena_clear(&reply->memory);
    }
    return rc;
}

enum err_code rpc_log_append(struct rpc_log *log, const struct rpc_log_append *request,
                             uint32_t timeout_ms, struct rpc_log_append_reply *reply,
                             struct err *err)
{
    struct buf bytes = BUF_INIT(SIZE_MAX);
    enum err_code rc =
        rpc_unary(log->client, APPEND, append_pack(log, request), timeout_ms, &bytes, err);
    if (rc == E_OK) {
        rc = append_reply_unpack(reply, buf_span(&bytes), err);
    }
    if (rc == E_OK && reply->entry_count != request->entry_count) {
        rc = err_set(err, E_MALFORMED, "the log answered %zu entries of %zu", reply->entry_count,
                     request->entry_count);
        rpc_log_append_reply_clear(reply);
    }
    buf_clear(&bytes);
    return rc;
}

void rpc_log_append_reply_clear(struct rpc_log_append_reply *reply)
{
    arena_clear(&reply->memory);
}

void rpc_log_append_start(struct rpc_log *log, const struct rpc_log_append *request,
                          uint32_t timeout_ms, void *tag)
{
    rpc_unary_start(log->client, APPEND, append_pack(log, request), timeout_ms, tag);
}

static void on_answer(void *ctx, void *tag, struct span bytes, const struct err *status)
{
    struct rpc_log *log = ctx;
    struct rpc_log_append_reply reply;
    struct err err;
    if (status == NULL && append_reply_unpack(&reply, bytes, &err) == E_OK) {
        log->on_appended(log->on_appended_ctx, tag, &reply, NULL);
        rpc_log_append_reply_clear(&reply);
    } else if (status == NULL) {
        err.code = E_IO;
        log->on_appended(log->on_appended_ctx, tag, NULL, &err);
    } else {
        log->on_appended(log->on_appended_ctx, tag, NULL, status);
    }
}

size_t rpc_log_append_poll(struct rpc_log *log, uint32_t timeout_ms, void *ctx,
                           rpc_log_on_appended *on_appended)
{
    log->on_appended = on_appended;
    log->on_appended_ctx = ctx;
    return rpc_client_poll(log->client, timeout_ms, log, on_answer);
}

size_t rpc_log_in_flight(const struct rpc_log *log)
{
    return rpc_client_in_flight(log->client);
}

void rpc_log_append_cancel(struct rpc_log *log)
{
    rpc_client_cancel(log->client);
}
