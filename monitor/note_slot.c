#include "monitor/note_slot.h"

#include "base/alloc.h"
#include "base/ascii.h"

#include <assert.h>

enum {
    VALUE_BYTES_MAX = 1 + 3 * 8 + 2 + LOG_ADDRESS_MAX + KNOWN_NOTE_BYTES_MAX
};

/* -- clocks -- */

struct note_clock note_clock_start(const struct monitor_time *now)
{
    return (struct note_clock){ .since_s = now->unix_s > 0 ? (uint64_t)now->unix_s : 0,
                                .is_running = true,
                                .since_ms = now->monotonic_ms };
}

uint64_t note_clock_seconds(struct note_clock *clock, const struct monitor_time *now)
{
    if (!clock->is_running) {
        uint64_t now_s = now->unix_s > 0 ? (uint64_t)now->unix_s : 0;
        clock->is_running = true;
        clock->before_s = now_s > clock->since_s ? now_s - clock->since_s : 0;
        clock->since_ms = now->monotonic_ms;
    }
    uint64_t passed_ms =
        now->monotonic_ms > clock->since_ms ? now->monotonic_ms - clock->since_ms : 0;
    return clock->before_s + passed_ms / 1000;
}

/* -- a slot -- */

static void take_note(struct note_slot *slot, const struct known_note *note)
{
    buf_reset(&slot->note);
    known_note_put(&slot->note, note);
    slot->checkpoint = note->verdict.checkpoint;
    slot->line_count = note->log_line_count + note->witness_line_count;
}

void note_slot_init(struct note_slot *out, const char *vantage, bool is_latest,
                    const struct known_note *note, const struct monitor_time *now)
{
    *out = (struct note_slot){ .vantage = mem_strdup(vantage == NULL ? "" : vantage),
                               .is_rejected = vantage == NULL,
                               .is_latest = is_latest,
                               .note = BUF_INIT(KNOWN_NOTE_BYTES_MAX),
                               .shown = note_clock_start(now),
                               .wait_size = note->verdict.checkpoint.size,
                               .waiting = note_clock_start(now) };
    take_note(out, note);
}

void note_slot_replace(struct note_slot *slot, const struct known_note *note,
                       const struct monitor_time *now)
{
    uint64_t size = note->verdict.checkpoint.size;
    if (size != slot->checkpoint.size) {
        slot->shown = note_clock_start(now);
    }
    slot->wait_size = size < slot->wait_size ? size : slot->wait_size;
    take_note(slot, note);
    slot->revision++;
}

void note_slot_clear(struct note_slot *slot)
{
    mem_free(slot->vantage);
    buf_clear(&slot->note);
}

/* -- the store -- */

/* As stored. */
enum {
    KIND_FIRST,
    KIND_REJECTED,
    KIND_LATEST,
    KIND_COUNT
};

static uint8_t kind_of(const struct note_slot *slot)
{
    return slot->is_rejected ? KIND_REJECTED : slot->is_latest ? KIND_LATEST : KIND_FIRST;
}

/* Two keys a vantage; of rejected notes one for each tree that the log claimed. */
static void put_key(struct buf *out, const struct note_slot *slot, struct watched_log *log)
{
    struct buf name = BUF_INIT(1 + 8 + HASH_BYTES + LOG_ADDRESS_MAX);
    buf_put_u8(&name, kind_of(slot));
    if (slot->is_rejected) {
        buf_put_u64(&name, slot->checkpoint.size);
        buf_put(&name, hash_span(&slot->checkpoint.root));
    } else {
        buf_put_str(&name, slot->vantage);
    }
    struct hash hash = sha256(buf_span(&name));
    watched_log_put_key(out, log, "note/");
    hex_put(out, hash_span(&hash));
    buf_clear(&name);
}

static void put_value(struct buf *out, const struct note_slot *slot)
{
    struct span vantage = span_of_str(slot->vantage);
    assert(vantage.len < LOG_ADDRESS_MAX);
    buf_put_u8(out, kind_of(slot));
    buf_put_u64(out, slot->wait_size);
    buf_put_u64(out, slot->waiting.since_s);
    buf_put_u64(out, slot->shown.since_s);
    buf_put_u16(out, (uint16_t)vantage.len);
    buf_put(out, vantage);
    buf_put(out, buf_span(&slot->note));
}

static enum err_code change(const struct note_slot *slot, struct watched_log *log, bool is_delete,
                            struct err *err)
{
    struct buf key = BUF_INIT(KV_KEY_BYTES_MAX), value = BUF_INIT(VALUE_BYTES_MAX);
    struct kv_batch batch;
    kv_batch_init(&batch);
    put_key(&key, slot, log);
    if (is_delete) {
        kv_batch_delete(&batch, buf_span(&key));
    } else {
        put_value(&value, slot);
        kv_batch_put(&batch, buf_span(&key), buf_span(&value));
    }
    enum err_code rc = state_store_write(watched_log_options(log)->store, &batch, err);
    kv_batch_clear(&batch);
    buf_clear(&key);
    buf_clear(&value);
    return rc;
}

enum err_code note_slot_write(const struct note_slot *slot, struct watched_log *log,
                              struct err *err)
{
    return change(slot, log, false, err);
}

enum err_code note_slot_delete(const struct note_slot *slot, struct watched_log *log,
                               struct err *err)
{
    return change(slot, log, true, err);
}

static bool parse(struct note_slot *out, struct span bytes)
{
    uint8_t kind;
    uint16_t len;
    struct span vantage;
    if (!span_take_u8(&bytes, &kind) || kind >= KIND_COUNT ||
        !span_take_u64(&bytes, &out->wait_size) || !span_take_u64(&bytes, &out->waiting.since_s) ||
        !span_take_u64(&bytes, &out->shown.since_s) || !span_take_u16(&bytes, &len) ||
        len >= LOG_ADDRESS_MAX || !span_take(&bytes, len, &vantage) ||
        memchr(vantage.data, 0, vantage.len) != NULL || bytes.len > KNOWN_NOTE_BYTES_MAX ||
        !known_note_read_stored(&out->checkpoint, &out->line_count, bytes)) {
        return false;
    }
    char name[LOG_ADDRESS_MAX];
    memcpy(name, vantage.data, vantage.len);
    name[vantage.len] = 0;
    out->is_rejected = kind == KIND_REJECTED;
    out->is_latest = kind == KIND_LATEST;
    out->vantage = mem_strdup(name);
    buf_init(&out->note, KNOWN_NOTE_BYTES_MAX);
    buf_put(&out->note, bytes);
    return true;
}

struct reading {
    void *ctx;
    enum err_code (*on_slot)(void *ctx, struct note_slot *slot, struct err *err);
};

static enum err_code on_item(void *ctx, struct span key, struct span value, struct err *err)
{
    const struct reading *reading = ctx;
    struct note_slot slot = { .is_rejected = false };
    (void)key;
    if (!parse(&slot, value)) {
        return err_set(err, E_CORRUPT, "a stored note that waits is none");
    }
    return reading->on_slot(reading->ctx, &slot, err);
}

enum err_code note_slot_read_all(struct watched_log *log, void *ctx,
                                 enum err_code (*on_slot)(void *ctx, struct note_slot *slot,
                                                          struct err *err),
                                 struct err *err)
{
    struct reading reading = { ctx, on_slot };
    struct buf prefix = BUF_INIT(KV_KEY_BYTES_MAX);
    watched_log_put_key(&prefix, log, "note/");
    enum err_code rc = state_store_scan(watched_log_options(log)->store, buf_span(&prefix), on_item,
                                        &reading, err);
    buf_clear(&prefix);
    return rc;
}
