#include "witness/ledger_value.h"

#include "base/ascii.h"
#include "tlog/merkle.h"

#include <assert.h>

enum {
    VERSION = 1,
    STATE_BYTES = 1 + 8 + HASH_BYTES + 8 + 4,
    SIZE_BYTES = 8
};

static void put(struct ledger_key *key, struct span bytes)
{
    assert(bytes.len <= sizeof key->bytes - key->len);
    memcpy(key->bytes + key->len, bytes.data, bytes.len);
    key->len += bytes.len;
}

struct ledger_key ledger_key_of(const char *prefix, const struct hash *origin_hash)
{
    struct ledger_key key = { 0 };
    put(&key, span_of_str(prefix));
    put(&key, hash_span(origin_hash));
    return key;
}

struct ledger_key ledger_key_seen(const struct hash *origin_hash, uint64_t size)
{
    struct ledger_key key = ledger_key_of(LEDGER_KEY_SEEN, origin_hash);
    uint8_t bytes[SIZE_BYTES];
    for (size_t i = 0; i < SIZE_BYTES; i++) {
        bytes[i] = (uint8_t)(size >> (8 * (SIZE_BYTES - 1 - i)));
    }
    put(&key, SPAN_OF_ARRAY(bytes));
    return key;
}

struct ledger_key ledger_key_peer(const struct hash *origin_hash, const struct hash *peer)
{
    struct ledger_key key = ledger_key_of(LEDGER_KEY_PEER, origin_hash);
    put(&key, hash_span(peer));
    return key;
}

struct ledger_key ledger_key_named(const char *name)
{
    struct ledger_key key = { 0 };
    put(&key, span_of_str(name));
    return key;
}

bool ledger_key_parse(const char *prefix, struct span key, struct hash *origin_hash)
{
    struct span bytes;
    if (!span_take_prefix(&key, span_of_str(prefix)) || !span_take(&key, HASH_BYTES, &bytes) ||
        key.len != 0) {
        return false;
    }
    memcpy(origin_hash->bytes, bytes.data, HASH_BYTES);
    return true;
}

bool ledger_key_parse_seen(struct span key, uint64_t *size)
{
    struct span bytes;
    uint64_t value;
    if (!span_take_prefix(&key, span_of_str(LEDGER_KEY_SEEN)) ||
        !span_take(&key, HASH_BYTES, &bytes) || !span_take_u64(&key, &value) || key.len != 0) {
        return false;
    }
    *size = value;
    return true;
}

bool ledger_key_parse_peer(struct span key, struct hash *peer)
{
    struct span bytes;
    if (!span_take_prefix(&key, span_of_str(LEDGER_KEY_PEER)) ||
        !span_take(&key, HASH_BYTES, &bytes) || key.len != HASH_BYTES) {
        return false;
    }
    memcpy(peer->bytes, key.data, HASH_BYTES);
    return true;
}

void ledger_value_put(struct buf *out, const struct ledger_value *value)
{
    buf_put_u8(out, VERSION);
    buf_put_u64(out, value->state.size);
    buf_put(out, hash_span(&value->state.root));
    buf_put_u64(out, value->state.timestamp);
    buf_put_u32(out, value->seen_count);
}

enum err_code ledger_value_parse(struct ledger_value *out, struct span bytes, struct err *err)
{
    struct ledger_value value;
    struct span root;
    uint8_t version;
    if (bytes.len != STATE_BYTES || !span_take_u8(&bytes, &version) || version != VERSION ||
        !span_take_u64(&bytes, &value.state.size) || !span_take(&bytes, HASH_BYTES, &root) ||
        !span_take_u64(&bytes, &value.state.timestamp) ||
        !span_take_u32(&bytes, &value.seen_count)) {
        return err_set(err, E_CORRUPT, "a stored state is not of version %d", VERSION);
    }
    memcpy(value.state.root.bytes, root.data, HASH_BYTES);
    struct hash empty = merkle_empty_root();
    if (value.state.size > SIZE_VALUE_MAX || value.state.timestamp == 0 ||
        value.state.timestamp > SIZE_VALUE_MAX ||
        (value.state.size == 0 && !hash_is_equal(&value.state.root, &empty))) {
        return err_set(err, E_CORRUPT, "a stored state is out of bounds");
    }
    *out = value;
    return E_OK;
}

void ledger_value_put_bytes(struct buf *out, struct span bytes)
{
    buf_put_u8(out, VERSION);
    buf_put(out, bytes);
}

enum err_code ledger_value_parse_bytes(struct span *out, struct span bytes, struct err *err)
{
    uint8_t version;
    if (!span_take_u8(&bytes, &version) || version != VERSION) {
        return err_set(err, E_CORRUPT, "a stored value is not of version %d", VERSION);
    }
    *out = bytes;
    return E_OK;
}
