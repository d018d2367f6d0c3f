#include "monitor/record_seals.h"

#include "base/alloc.h"
#include "record/certificate.h"
#include "record/commitment.h"

#include <assert.h>

enum {
    VERSION = 1,
    VALUE_BYTES = 256,
    TIMES_MAX = 512,
    LOOK_MAX = 1024, /* open ones looked at in one go */
};

/* Entries below `size` were logged by then. Both rise. */
struct bound {
    uint64_t size, time_s;
};

struct record_seals {
    struct record_store *store; /* borrowed */
    uint64_t unseal_after_s;
    size_t count;
    struct bound bounds[TIMES_MAX];
};

struct sealed {
    struct record_stamp stamp;
    struct ed25519_public one_time_key;
    struct hash tag, fields_root;
    bool is_unsealed; /* by the entry below, if that is valid */
    struct record_stamp unseal;
    bool is_late; /* that was told */
};

/* -- values -- */

static struct buf sealed_key(const struct hash *leaf)
{
    struct buf key = BUF_INIT(2 + HASH_BYTES);
    buf_put_str(&key, "e/");
    buf_put(&key, hash_span(leaf));
    return key;
}

static struct buf open_key(uint64_t index)
{
    struct buf key = BUF_INIT(2 + 8);
    buf_put_str(&key, "o/");
    buf_put_u64(&key, index);
    return key;
}

static void put_sealed(struct record_seals *seals, const struct hash *leaf,
                       const struct sealed *sealed)
{
    struct buf key = sealed_key(leaf), value = BUF_INIT(VALUE_BYTES);
    buf_put_u8(&value, VERSION);
    record_stamp_put(&value, sealed->stamp);
    buf_put(&value, SPAN_OF_ARRAY(sealed->one_time_key.bytes));
    buf_put(&value, hash_span(&sealed->tag));
    buf_put(&value, hash_span(&sealed->fields_root));
    buf_put_u8(&value, sealed->is_unsealed);
    record_stamp_put(&value, sealed->unseal);
    buf_put_u8(&value, sealed->is_late);
    record_store_put(seals->store, buf_span(&key), buf_span(&value));
    buf_clear(&key);
    buf_clear(&value);
}

static bool take_bytes(struct span *in, uint8_t *out, size_t len)
{
    struct span bytes;
    if (!span_take(in, len, &bytes)) {
        return false;
    }
    memcpy(out, bytes.data, len);
    return true;
}

static bool parse_sealed(struct span in, struct sealed *out)
{
    uint8_t version, is_unsealed, is_late;
    if (!span_take_u8(&in, &version) || version != VERSION ||
        !record_stamp_take(&in, &out->stamp) ||
        !take_bytes(&in, out->one_time_key.bytes, sizeof out->one_time_key.bytes) ||
        !take_bytes(&in, out->tag.bytes, HASH_BYTES) ||
        !take_bytes(&in, out->fields_root.bytes, HASH_BYTES) || !span_take_u8(&in, &is_unsealed) ||
        !record_stamp_take(&in, &out->unseal) || !span_take_u8(&in, &is_late) || in.len > 0) {
        return false;
    }
    out->is_unsealed = is_unsealed == 1;
    out->is_late = is_late == 1;
    return true;
}

/* E_NOT_FOUND: none that counts. */
static enum err_code get_sealed(struct record_seals *seals, const struct hash *leaf,
                                struct sealed *out, struct err *err)
{
    struct buf key = sealed_key(leaf), value = BUF_INIT(VALUE_BYTES);
    enum err_code rc = record_store_get(seals->store, buf_span(&key), &value, err);
    if (rc == E_OK && !parse_sealed(buf_span(&value), out)) {
        rc = err_set(err, E_CORRUPT, "a stored sealed record: not one of ours");
    }
    if (rc == E_OK && !record_store_is_valid(seals->store, out->stamp)) {
        rc = err_set(err, E_NOT_FOUND, "of a scan that led nowhere");
    }
    if (rc == E_OK && out->is_unsealed && !record_store_is_valid(seals->store, out->unseal)) {
        out->is_unsealed = false;
    }
    buf_clear(&key);
    buf_clear(&value);
    return rc;
}

/* -- the clock -- */

static void put_clock(struct record_seals *seals)
{
    struct buf value = BUF_INIT(16 + TIMES_MAX * sizeof(struct bound));
    buf_put_u8(&value, VERSION);
    for (size_t i = 0; i < seals->count; i++) {
        buf_put_u64(&value, seals->bounds[i].size);
        buf_put_u64(&value, seals->bounds[i].time_s);
    }
    record_store_put(seals->store, span_of_str("clock"), buf_span(&value));
    buf_clear(&value);
}

static enum err_code load_clock(struct record_seals *seals, struct err *err)
{
    struct buf value = BUF_INIT(16 + TIMES_MAX * sizeof(struct bound));
    uint8_t version;
    enum err_code rc = record_store_get(seals->store, span_of_str("clock"), &value, err);
    struct span in = buf_span(&value);
    if (rc == E_OK && (!span_take_u8(&in, &version) || version != VERSION)) {
        rc = err_set(err, E_CORRUPT, "the stored times of notes: not ours");
    }
    while (rc == E_OK && in.len > 0) {
        struct bound *bound = &seals->bounds[seals->count];
        if (seals->count == TIMES_MAX || !span_take_u64(&in, &bound->size) ||
            !span_take_u64(&in, &bound->time_s)) {
            rc = err_set(err, E_CORRUPT, "the stored times of notes: not ours");
        }
        seals->count++;
    }
    buf_clear(&value);
    return rc == E_NOT_FOUND ? E_OK : rc;
}

enum err_code record_seals_open(struct record_seals **out, struct record_store *store,
                                uint64_t unseal_after_s, struct err *err)
{
    struct record_seals *seals = NEW(struct record_seals);
    seals->store = store;
    seals->unseal_after_s = unseal_after_s;
    enum err_code rc = load_clock(seals, err);
    if (rc != E_OK) {
        record_seals_free(seals);
        return rc;
    }
    *out = seals;
    return E_OK;
}

void record_seals_free(struct record_seals *seals)
{
    mem_free(seals);
}

/* So far apart that those which matter have room: what is older than the time allowed is one bound. */
static uint64_t spacing_s(const struct record_seals *seals)
{
    return seals->unseal_after_s / (TIMES_MAX / 2) + 1;
}

/* The oldest bounds are alike once both are older than the time allowed. */
static void forget_bounds(struct record_seals *seals, uint64_t now_s)
{
    size_t old = 0;
    while (old < seals->count && seals->bounds[old].time_s + seals->unseal_after_s <= now_s) {
        old++;
    }
    size_t drop = old > 1 ? old - 1 : (seals->count == TIMES_MAX ? 1 : 0);
    memmove(seals->bounds, seals->bounds + drop, (seals->count - drop) * sizeof(struct bound));
    seals->count -= drop;
}

/* The newest bound takes the place of the one before it while both are within the spacing of the one before that: so
 * things look younger by that much at most, and never older. */
void record_seals_note_time(struct record_seals *seals, uint64_t size, uint64_t time_s)
{
    const struct bound *last = seals->count > 0 ? &seals->bounds[seals->count - 1] : NULL;
    if (last != NULL && (size <= last->size || time_s < last->time_s)) {
        return;
    }
    if (seals->count > 1 && time_s - last[-1].time_s < spacing_s(seals)) {
        seals->count--;
    } else {
        forget_bounds(seals, time_s);
    }
    seals->bounds[seals->count++] = (struct bound){ size, time_s };
    put_clock(seals);
}

/* Entries below it were logged long enough ago. */
static uint64_t due_below(const struct record_seals *seals, uint64_t now_s)
{
    uint64_t below = 0;
    if (seals->unseal_after_s == 0) {
        return record_store_base(seals->store)->size;
    }
    for (size_t i = 0; i < seals->count; i++) {
        if (seals->bounds[i].time_s + seals->unseal_after_s <= now_s) {
            below = seals->bounds[i].size;
        }
    }
    return below;
}

/* -- noting -- */

void record_seals_note(struct record_seals *seals, const struct operation *operation,
                       const struct hash *leaf, uint64_t index)
{
    struct sealed known;
    struct err err;
    if (get_sealed(seals, leaf, &known, &err) == E_OK) {
        return; /* the same record twice */
    }
    struct sealed sealed = { .stamp = record_store_stamp(seals->store, index),
                             .one_time_key = operation->one_time_key,
                             .tag = operation->entry_tag,
                             .fields_root = operation->fields_root };
    struct buf key = open_key(index), value = BUF_INIT(VALUE_BYTES);
    put_sealed(seals, leaf, &sealed);
    buf_put_u8(&value, VERSION);
    record_stamp_put(&value, sealed.stamp);
    buf_put(&value, hash_span(leaf));
    record_store_put(seals->store, buf_span(&key), buf_span(&value));
    buf_clear(&key);
    buf_clear(&value);
}

/* -- opening one -- */

static uint64_t read_u64(const struct opening *opening)
{
    struct span value = span_of(opening->value, opening->value_len);
    uint64_t out = 0;
    bool is_number = span_take_u64(&value, &out);
    assert(is_number); /* field_check has seen it */
    return out;
}

/* In the order of operation.proto, which decoding has checked. */
static void read_openings(const struct operation *operation, struct record_unsealed *out)
{
    const struct opening *openings = operation->openings;
    out->kind = kind_find((uint32_t)read_u64(&openings[0]));
    out->minute = read_u64(&openings[1]);
    out->court = court_tag_make(span_of(openings[2].value, openings[2].value_len));
    memcpy(out->submitter.bytes, openings[3].value, SUBMITTER_ID_BYTES);
    out->certificate = span_of(openings[4].value, openings[4].value_len);
}

static enum err_code verify_openings(const struct operation *operation, const char *origin,
                                     const struct sealed *sealed, struct err *err)
{
    struct hash context =
        commitment_context(origin, OPERATION_VERSION, &sealed->one_time_key, &sealed->tag);
    for (size_t i = 0; i < OPERATION_OPENINGS; i++) {
        const struct opening *opening = &operation->openings[i];
        struct field_value field = { .is_present = true,
                                     .value = span_of(opening->value, opening->value_len) };
        memcpy(field.salt, opening->salt, sizeof field.salt);
        struct hash digest = commitment_digest(&context, opening->number, &field);
        if (commitment_verify(&sealed->fields_root, &digest, opening->number, opening->hashes,
                              err) != E_OK) {
            return err_set(err, E_BAD_PROOF, "opening of %s: not what the sealed record commits to",
                           field_definition(opening->number)->name);
        }
    }
    return E_OK;
}

enum err_code record_seals_unseal(struct record_seals *seals, const char *origin,
                                  const struct operation *operation, uint64_t index,
                                  struct record_unsealed *out, struct err *err)
{
    const struct reference *reference = &operation->references[0];
    struct hash own = sha256(span_of_str(origin));
    struct sealed sealed;
    if (!hash_is_equal(&reference->origin, &own)) {
        return err_set(err, E_MALFORMED, "it opens a record of another log");
    }
    enum err_code rc = get_sealed(seals, &reference->leaf, &sealed, err);
    if (rc == E_NOT_FOUND) {
        return err_set(err, E_NOT_FOUND, "it opens a sealed record that is not before it");
    }
    if (rc == E_OK) {
        rc = verify_openings(operation, origin, &sealed, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    *out = (struct record_unsealed){ .index = sealed.stamp.index,
                                     .one_time_key = sealed.one_time_key,
                                     .tag = sealed.tag,
                                     .was_late = sealed.is_late };
    read_openings(operation, out);
    if (!sealed.is_unsealed) {
        sealed.is_unsealed = true;
        sealed.unseal = record_store_stamp(seals->store, index);
        put_sealed(seals, &reference->leaf, &sealed);
    }
    return E_OK;
}

/* -- overdue -- */

struct open_one {
    uint64_t index;
    struct hash leaf;
};

struct look {
    uint64_t below;
    size_t count;
    struct open_one all[LOOK_MAX];
};

/* E_BUSY: that is all. */
static enum err_code on_open(void *ctx, struct span key, struct span value, struct err *err)
{
    struct look *look = ctx;
    struct open_one *one = &look->all[look->count];
    struct span prefix;
    struct record_stamp stamp;
    uint8_t version;
    if (!span_take(&key, 2, &prefix) || !span_take_u64(&key, &one->index) || key.len > 0 ||
        !span_take_u8(&value, &version) || version != VERSION ||
        !record_stamp_take(&value, &stamp) || !take_bytes(&value, one->leaf.bytes, HASH_BYTES)) {
        return err_set(err, E_CORRUPT, "a stored sealed record that is open: not one of ours");
    }
    if (one->index >= look->below || ++look->count == LOOK_MAX) {
        return err_set(err, E_BUSY, "enough");
    }
    return E_OK;
}

/* *is_late: it is to be told. */
static enum err_code settle(struct record_seals *seals, const struct open_one *one, bool *is_late,
                            struct sealed *sealed, struct err *err)
{
    enum err_code rc = get_sealed(seals, &one->leaf, sealed, err);
    *is_late = rc == E_OK && sealed->stamp.index == one->index && !sealed->is_unsealed;
    return rc == E_NOT_FOUND ? E_OK : rc;
}

static enum err_code look_at(struct record_seals *seals, const struct open_one *one,
                             enum err_code (*tell)(void *ctx, uint64_t index, struct err *err),
                             void *ctx, size_t *told, struct err *err)
{
    struct sealed sealed;
    bool is_late;
    enum err_code rc = settle(seals, one, &is_late, &sealed, err);
    if (rc == E_OK && is_late) {
        rc = tell(ctx, one->index, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    if (is_late) {
        (*told)++;
        sealed.is_late = true;
        put_sealed(seals, &one->leaf, &sealed);
    }
    struct buf key = open_key(one->index);
    record_store_delete(seals->store, buf_span(&key));
    buf_clear(&key);
    return E_OK;
}

enum err_code record_seals_look(struct record_seals *seals, uint64_t now_s, size_t max,
                                enum err_code (*tell)(void *ctx, uint64_t index, struct err *err),
                                void *ctx, bool *has_more, struct err *err)
{
    uint64_t base = record_store_base(seals->store)->size, due = due_below(seals, now_s);
    struct look *look = NEW(struct look);
    size_t told = 0, i = 0;
    look->below = due < base ? due : base;
    enum err_code rc = record_store_scan(seals->store, span_of_str("o/"), on_open, look, err);
    rc = rc == E_BUSY ? E_OK : rc;
    for (; rc == E_OK && i < look->count && told < max; i++) {
        rc = look_at(seals, &look->all[i], tell, ctx, &told, err);
    }
    *has_more = rc == E_OK && (i < look->count || look->count == LOOK_MAX);
    mem_free(look);
    return rc;
}
