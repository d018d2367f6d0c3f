#include "monitor/witness_slot.h"

#include "base/ascii.h"
#include "monitor/known_note.h"

enum {
    HEAD_BYTES = 8 + 8 + HASH_BYTES
};

static void put_key(struct buf *out, struct watched_log *log, const struct vkey *witness,
                    enum witness_slot_kind kind)
{
    watched_log_put_key(out, log, "witness/");
    struct hash id = vkey_public_id(witness);
    hex_put(out, hash_span(&id));
    buf_put_str(out, kind == WITNESS_SLOT_SIZE ? "/size" : "/time");
}

static bool parse(struct witness_slot *out, struct span bytes)
{
    struct span root;
    if (!span_take_u64(&bytes, &out->size) || !span_take_u64(&bytes, &out->time) ||
        !span_take(&bytes, HASH_BYTES, &root) || bytes.len > KNOWN_NOTE_BYTES_MAX) {
        return false;
    }
    memcpy(out->root.bytes, root.data, HASH_BYTES);
    buf_init(&out->note, KNOWN_NOTE_BYTES_MAX);
    buf_put(&out->note, bytes);
    out->is_there = true;
    return true;
}

enum err_code witness_slot_read(struct witness_slot *out, struct watched_log *log,
                                const struct vkey *witness, enum witness_slot_kind kind,
                                struct err *err)
{
    struct buf key = BUF_INIT(KV_KEY_BYTES_MAX), value = BUF_INIT(KV_VALUE_BYTES_MAX);
    struct witness_slot slot = { .is_there = false };
    put_key(&key, log, witness, kind);
    enum err_code rc =
        state_store_get(watched_log_options(log)->store, buf_span(&key), &value, err);
    if (rc == E_NOT_FOUND) {
        rc = E_OK;
    } else if (rc == E_OK && !parse(&slot, buf_span(&value))) {
        rc = err_set(err, E_CORRUPT, "the stored note of a witness is none");
    }
    if (rc == E_OK) {
        *out = slot;
    }
    buf_clear(&key);
    buf_clear(&value);
    return rc;
}

void witness_slot_clear(struct witness_slot *slot)
{
    buf_clear(&slot->note);
}

void witness_slot_put(struct kv_batch *batch, struct watched_log *log, const struct vkey *witness,
                      enum witness_slot_kind kind, const struct witness_slot *slot)
{
    struct buf key = BUF_INIT(KV_KEY_BYTES_MAX),
               value = BUF_INIT(HEAD_BYTES + KNOWN_NOTE_BYTES_MAX);
    put_key(&key, log, witness, kind);
    buf_put_u64(&value, slot->size);
    buf_put_u64(&value, slot->time);
    buf_put(&value, hash_span(&slot->root));
    buf_put(&value, buf_span(&slot->note));
    kv_batch_put(batch, buf_span(&key), buf_span(&value));
    buf_clear(&key);
    buf_clear(&value);
}
