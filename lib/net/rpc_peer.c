/* Who calls, out of what gRPC says: "ipv4:127.0.0.1:1234", "ipv6:[::1]:1234" (older and newer
 * releases differ in whether the brackets are percent-encoded), "unix:...". */
#include "base/ascii.h"
#include "net/address.h"
#include "net/rpc_parts.h"

#include <grpc/support/alloc.h>
#include <string.h>

enum {
    PEER_TEXT_MAX = 128
};

/* Undoes %5B and %5D, and %25 of a zone. */
static void put_decoded(struct buf *out, struct span text)
{
    while (text.len > 0 && out->len < PEER_TEXT_MAX) {
        uint8_t c = text.data[0];
        struct err err;
        if (c == '%' && text.len >= 3 && hex_decode(&c, 1, span_slice(text, 1, 2), &err) == E_OK) {
            text = span_slice(text, 2, text.len - 2);
        }
        buf_put_u8(out, c);
        text = span_slice(text, 1, text.len - 1);
    }
}

/* "[fe80::1%eth0]:1234" without its zone, which address_parse does not know. */
static void drop_zone(struct buf *text)
{
    size_t zone = span_find(buf_span(text), span_of_str("%"));
    size_t end = span_find_last(buf_span(text), span_of_str("]"));
    if (zone != SIZE_MAX && end != SIZE_MAX && zone < end) {
        memmove(text->data + zone, text->data + end, text->len - end);
        buf_truncate(text, text->len - (end - zone));
    }
}

static bool parse_peer(struct address *out, const char *peer)
{
    struct span rest = span_of_str(peer);
    struct err err;
    if (span_has_prefix(rest, span_of_str("unix"))) {
        *out = (struct address){ .un = { .sun_family = AF_UNIX } };
        return true;
    }
    if (!span_take_prefix(&rest, span_of_str("ipv4:")) &&
        !span_take_prefix(&rest, span_of_str("ipv6:"))) {
        return false;
    }
    struct buf text = BUF_INIT(PEER_TEXT_MAX);
    put_decoded(&text, rest);
    drop_zone(&text);
    bool is_parsed = address_parse(out, buf_span(&text), &err) == E_OK;
    buf_clear(&text);
    return is_parsed;
}

void rpc_call_put_peer_host(struct rpc_call *call, struct buf *out)
{
    struct address address;
    char *peer = grpc_call_get_peer(call->core);
    if (peer != NULL && parse_peer(&address, peer)) {
        address_put_host(out, &address);
    } else {
        buf_put_str(out, "unknown");
    }
    gpr_free(peer);
}

bool rpc_call_is_local(struct rpc_call *call)
{
    struct address address;
    char *peer = grpc_call_get_peer(call->core);
    bool is_local = peer != NULL && parse_peer(&address, peer) && address_is_unix(&address);
    gpr_free(peer);
    return is_local;
}
