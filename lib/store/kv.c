/* A batch's changes, one behind the other: a byte that says which, the key's length in two bytes, the
 * key; for a put also the value's length in four bytes, and the value. They stay in memory. */
#include "store/kv.h"

#include <assert.h>

enum change {
    CHANGE_PUT = 1,
    CHANGE_DELETE = 2,
};

void kv_batch_init(struct kv_batch *batch)
{
    *batch = (struct kv_batch){ .changes = BUF_INIT(KV_BATCH_BYTES_MAX) };
}

void kv_batch_clear(struct kv_batch *batch)
{
    buf_clear(&batch->changes);
    batch->count = 0;
}

void kv_batch_reset(struct kv_batch *batch)
{
    buf_reset(&batch->changes);
    batch->count = 0;
}

static void put_key(struct kv_batch *batch, enum change change, struct span key)
{
    assert(key.len <= KV_KEY_BYTES_MAX);
    buf_put_u8(&batch->changes, (uint8_t)change);
    buf_put_u16(&batch->changes, (uint16_t)key.len);
    buf_put(&batch->changes, key);
    batch->count++;
}

void kv_batch_put(struct kv_batch *batch, struct span key, struct span value)
{
    assert(value.len <= KV_VALUE_BYTES_MAX);
    put_key(batch, CHANGE_PUT, key);
    buf_put_u32(&batch->changes, (uint32_t)value.len);
    buf_put(&batch->changes, value);
}

void kv_batch_delete(struct kv_batch *batch, struct span key)
{
    put_key(batch, CHANGE_DELETE, key);
}

bool kv_batch_take(struct span *in, struct span *key, struct span *value, bool *is_delete)
{
    uint8_t change = 0;
    uint16_t key_len = 0;
    uint32_t value_len = 0;
    if (in->len == 0) {
        return false;
    }
    bool is_whole =
        span_take_u8(in, &change) && span_take_u16(in, &key_len) && span_take(in, key_len, key);
    *is_delete = change == CHANGE_DELETE;
    *value = (struct span){ NULL, 0 };
    if (is_whole && !*is_delete) {
        is_whole = span_take_u32(in, &value_len) && span_take(in, value_len, value);
    }
    assert(is_whole); /* nobody but this file writes changes */
    return true;
}
