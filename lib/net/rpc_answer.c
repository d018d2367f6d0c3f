#include "net/rpc_answer.h"

enum {
    REQUEST_BYTES_MAX = 1024
};

ProtobufCBinaryData rpc_answer_binary(struct span bytes)
{
    return (ProtobufCBinaryData){ bytes.len, (uint8_t *)bytes.data };
}

void rpc_answer_pack(struct buf *out, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    buf_init(out, len + 1);
    if (len > 0) {
        protobuf_c_message_pack(message, buf_extend(out, len));
    }
}

void rpc_answer(struct rpc_call *call, const ProtobufCMessage *message)
{
    struct buf packed;
    rpc_answer_pack(&packed, message);
    if (rpc_call_has_room(call, packed.len)) {
        rpc_reply_take(call, &packed);
    } else {
        rpc_fail(call, E_BUSY, "too many answers wait to be read: try again");
    }
    buf_clear(&packed);
}

void rpc_answer_error(struct rpc_call *call, const struct private_paths *paths,
                      const struct err *err)
{
    /* What is wrong with our disk is not the caller's business. */
    bool is_ours = err->code == E_IO || err->code == E_CORRUPT;
    struct err words = *err;
    private_paths_hide(paths, words.msg, sizeof words.msg);
    rpc_fail(call, words.code, is_ours ? NULL : words.msg);
}

bool rpc_answer_refuses_long(struct rpc_call *call, struct span message)
{
    if (message.len <= REQUEST_BYTES_MAX) {
        return false;
    }
    rpc_fail(call, E_MALFORMED, "the request is too long");
    return true;
}
