#include "monitor/alert_record.h"

#include "base/ascii.h"

#include <assert.h>
#include <inttypes.h>

enum {
    VERSION = 1,
    ID_BYTES = ALERT_ID_CHARS / 2,
    ID_TEXT_MAX = 1024
};

static_assert(ALERT_RECORD_BYTES_MAX >
                  256 + sizeof(struct alert) + FINDING_SUBJECT_MAX + ALERT_COMMENT_MAX,
              "a record has room");

/* -- keys -- */

static void add(struct alert_key *key, struct span bytes)
{
    assert(bytes.len <= sizeof key->bytes - key->len);
    memcpy(key->bytes + key->len, bytes.data, bytes.len);
    key->len += bytes.len;
}

static void add_number(struct alert_key *key, uint64_t number)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(number >> 8 * (sizeof bytes - 1 - i));
    }
    add(key, SPAN_OF_ARRAY(bytes));
}

static struct alert_key key_of(const char *prefix)
{
    struct alert_key key = { .len = 0 };
    add(&key, span_of_str(prefix));
    return key;
}

struct alert_key alert_key_record(uint64_t number)
{
    struct alert_key key = key_of(ALERT_KEY_RECORDS);
    add_number(&key, number);
    return key;
}

struct alert_key alert_key_evidence(const struct hash *id)
{
    struct alert_key key = key_of("alert/evidence/");
    add(&key, hash_span(id));
    return key;
}

struct alert_key alert_key_queue(const struct hash *sink, uint64_t number)
{
    struct alert_key key = key_of(ALERT_KEY_QUEUES);
    add(&key, hash_span(sink));
    add_number(&key, number);
    return key;
}

struct alert_key alert_key_sink(const struct hash *sink)
{
    struct alert_key key = key_of(ALERT_KEY_SINKS);
    add(&key, hash_span(sink));
    return key;
}

struct alert_key alert_key_next(void)
{
    return key_of(ALERT_KEY_NEXT);
}

enum err_code alert_key_parse_queue(struct hash *sink, uint64_t *number, struct span key,
                                    struct err *err)
{
    struct span hash;
    uint64_t value;
    if (!span_take_prefix(&key, span_of_str(ALERT_KEY_QUEUES)) ||
        !span_take(&key, HASH_BYTES, &hash) || !span_take_u64(&key, &value) || key.len != 0) {
        return err_set(err, E_CORRUPT, "a stored delivery has a wrong key");
    }
    memcpy(sink->bytes, hash.data, HASH_BYTES);
    *number = value;
    return E_OK;
}

enum err_code alert_key_parse_sink(struct hash *sink, struct span key, struct err *err)
{
    if (!span_take_prefix(&key, span_of_str(ALERT_KEY_SINKS)) || key.len != HASH_BYTES) {
        return err_set(err, E_CORRUPT, "a stored sink has a wrong key");
    }
    memcpy(sink->bytes, key.data, HASH_BYTES);
    return E_OK;
}

/* -- names -- */

const char *alert_state_text(enum alert_state state)
{
    static const char *const texts[] = { "open", "acknowledged", "resolved" };
    assert((unsigned)state <= ALERT_RESOLVED);
    return texts[state];
}

const char *delivery_event_text(enum delivery_event event)
{
    static const char *const texts[] = { "opened", "reminder", "resolved" };
    assert((unsigned)event <= DELIVERY_RESOLVED);
    return texts[event];
}

static void put_cause(struct buf *out, enum finding_code code, const char *origin,
                      const char *subject)
{
    buf_putf(out, "%s\n%s\n%s\n", finding_kind(code)->text, origin, subject);
}

struct hash alert_record_cause(enum finding_code code, const char *origin, const char *subject)
{
    struct buf text = BUF_INIT(ID_TEXT_MAX);
    put_cause(&text, code, origin, subject);
    struct hash cause = sha256(buf_span(&text));
    buf_clear(&text);
    return cause;
}

void alert_record_set_id(struct alert_record *record)
{
    struct alert *alert = &record->alert;
    struct buf text = BUF_INIT(ID_TEXT_MAX);
    buf_put_str(&text, "courtroll alert v1\n");
    put_cause(&text, alert->code, alert->origin, alert->subject);
    buf_putf(&text, "%" PRIu64 "\n", record->episode);
    struct hash hash = sha256(buf_span(&text));
    buf_reset(&text);
    hex_put(&text, span_of(hash.bytes, ID_BYTES));
    memcpy(alert->id, buf_c_str(&text), sizeof alert->id);
    buf_clear(&text);
}

/* -- an alert -- */

static void put_text(struct buf *out, const char *text)
{
    struct span bytes = span_of_str(text);
    buf_put_u16(out, (uint16_t)bytes.len);
    buf_put(out, bytes);
}

void alert_record_put(struct buf *out, const struct alert_record *record)
{
    const struct alert *alert = &record->alert;
    buf_put_u8(out, VERSION);
    buf_put_u64(out, alert->number);
    buf_put_u64(out, record->episode);
    buf_put_u8(out, (uint8_t)alert->state);
    buf_put_u8(out, alert->is_drill ? 1 : 0);
    buf_put_u64(out, (uint64_t)alert->first_seen_s);
    buf_put_u64(out, (uint64_t)alert->last_seen_s);
    buf_put_u64(out, (uint64_t)alert->resolved_s);
    buf_put_u64(out, (uint64_t)record->reminded_s);
    buf_put_u64(out, (uint64_t)record->refreshed_s);
    buf_put_u64(out, alert->count);
    buf_put_u64(out, alert->evidence_found);
    put_text(out, finding_kind(alert->code)->text);
    put_text(out, alert->origin);
    put_text(out, alert->subject);
    put_text(out, alert->summary);
    put_text(out, alert->comment);
    buf_put_u8(out, (uint8_t)alert->evidence_count);
    for (size_t i = 0; i < alert->evidence_count; i++) {
        buf_put(out, hash_span(&alert->evidence[i]));
    }
}

static bool take_time(struct span *in, int64_t *out)
{
    uint64_t value;
    if (!span_take_u64(in, &value)) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

/* A text that fits into `room` bytes with its NUL. */
static bool take_text(struct span *in, char *out, size_t room)
{
    uint16_t len;
    struct span text;
    if (!span_take_u16(in, &len) || len >= room || !span_take(in, len, &text) ||
        span_find(text, span_of("", 1)) != SIZE_MAX) {
        return false;
    }
    memcpy(out, text.data, len);
    out[len] = 0;
    return true;
}

static bool take_code(struct span *in, enum finding_code *out)
{
    char text[64];
    return take_text(in, text, sizeof text) && finding_code_parse(out, span_of_str(text));
}

static bool take_evidence(struct span *in, struct alert *alert)
{
    uint8_t count;
    if (!span_take_u8(in, &count) || count > ALERT_EVIDENCE_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct span hash;
        if (!span_take(in, HASH_BYTES, &hash)) {
            return false;
        }
        memcpy(alert->evidence[i].bytes, hash.data, HASH_BYTES);
    }
    alert->evidence_count = count;
    return true;
}

static bool take_record(struct span *in, struct alert_record *record)
{
    struct alert *alert = &record->alert;
    uint8_t version, state, is_drill;
    if (!span_take_u8(in, &version) || version != VERSION || !span_take_u64(in, &alert->number) ||
        !span_take_u64(in, &record->episode) || !span_take_u8(in, &state) ||
        state > ALERT_RESOLVED || !span_take_u8(in, &is_drill) || is_drill > 1) {
        return false;
    }
    alert->state = (enum alert_state)state;
    alert->is_drill = is_drill == 1;
    return take_time(in, &alert->first_seen_s) && take_time(in, &alert->last_seen_s) &&
           take_time(in, &alert->resolved_s) && take_time(in, &record->reminded_s) &&
           take_time(in, &record->refreshed_s) && span_take_u64(in, &alert->count) &&
           span_take_u64(in, &alert->evidence_found) && take_code(in, &alert->code) &&
           take_text(in, alert->origin, sizeof alert->origin) &&
           take_text(in, alert->subject, sizeof alert->subject) &&
           take_text(in, alert->summary, sizeof alert->summary) &&
           take_text(in, alert->comment, sizeof alert->comment) && take_evidence(in, alert) &&
           in->len == 0;
}

enum err_code alert_record_parse(struct alert_record *out, struct span bytes, struct err *err)
{
    struct alert_record record = { .episode = 0 };
    if (!take_record(&bytes, &record)) {
        return err_set(err, E_CORRUPT, "a stored alert is not of version %d", VERSION);
    }
    alert_record_set_id(&record);
    *out = record;
    return E_OK;
}

/* -- a delivery, and the numbers -- */

void alert_waiting_put(struct buf *out, const struct alert_waiting *waiting)
{
    buf_put_u8(out, VERSION);
    buf_put_u8(out, (uint8_t)waiting->event);
    buf_put_u64(out, waiting->alert);
}

enum err_code alert_waiting_parse(struct alert_waiting *out, struct span bytes, struct err *err)
{
    uint8_t version, event;
    uint64_t alert;
    if (!span_take_u8(&bytes, &version) || version != VERSION || !span_take_u8(&bytes, &event) ||
        event > DELIVERY_RESOLVED || !span_take_u64(&bytes, &alert) || bytes.len != 0) {
        return err_set(err, E_CORRUPT, "a stored delivery is not of version %d", VERSION);
    }
    *out = (struct alert_waiting){ (enum delivery_event)event, alert };
    return E_OK;
}

void alert_next_put(struct buf *out, const struct alert_next *next)
{
    buf_put_u8(out, VERSION);
    buf_put_u64(out, next->alert);
    buf_put_u64(out, next->delivery);
    buf_put_u64(out, next->episode_floor);
}

enum err_code alert_next_parse(struct alert_next *out, struct span bytes, struct err *err)
{
    uint8_t version;
    struct alert_next next;
    if (!span_take_u8(&bytes, &version) || version != VERSION ||
        !span_take_u64(&bytes, &next.alert) || !span_take_u64(&bytes, &next.delivery) ||
        !span_take_u64(&bytes, &next.episode_floor) || bytes.len != 0) {
        return err_set(err, E_CORRUPT, "the stored numbers of alerts are not of version %d",
                       VERSION);
    }
    *out = next;
    return E_OK;
}
