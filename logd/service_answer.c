#include "logd/service_answer.h"

enum {
    REQUEST_BYTES_MAX = 1024
};

ProtobufCBinaryData service_binary(struct span bytes)
{
    return (ProtobufCBinaryData){ bytes.len, (uint8_t *)bytes.data };
}

void service_pack(struct buf *out, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    buf_init(out, len + 1);
    if (len > 0) {
        protobuf_c_message_pack(message, buf_extend(out, len));
    }
}

void service_reply(struct rpc_call *call, const ProtobufCMessage *message)
{
    struct buf packed;
    service_pack(&packed, message);
    if (rpc_call_has_room(call, packed.len)) {
        rpc_reply_take(call, &packed);
    } else {
        rpc_fail(call, E_BUSY, "too many answers wait to be read: try again");
    }
    buf_clear(&packed);
}

void service_fail(struct parts *parts, struct rpc_call *call, const struct err *err)
{
    /* What is wrong with our disk is not the caller's business. */
    bool is_ours = err->code == E_IO || err->code == E_CORRUPT;
    struct err words = *err;
    private_paths_hide(&parts->private_paths, words.msg, sizeof words.msg);
    rpc_fail(call, words.code, is_ours ? NULL : words.msg);
}

bool service_refuses_long(struct rpc_call *call, struct span message)
{
    if (message.len <= REQUEST_BYTES_MAX) {
        return false;
    }
    rpc_fail(call, E_MALFORMED, "the request is too long");
    return true;
}
