#include "monitor/follow_state.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "store/tile_source.h"

#include <stdio.h>

enum {
    VERSION = 1,
    KEY_BYTES = 128,
    WITNESS_BYTES = HASH_BYTES + 8 + 8,
    STATE_BYTES = 8192 + POLICY_KEYS_MAX * WITNESS_BYTES,
    CURSOR_BYTES = 4096 + FOLLOW_BAD_TILES_MAX * (TILE_PATH_MAX + 256),
};

static const char state_key[] = "follow/state";
static const char cursor_key[] = "follow/cursor";
static const char held_key[] = "follow/note/held";
static const char target_key[] = "follow/note/target";
static const char newest_key[] = "follow/note/newest";

/* -- notes -- */

void follow_note_clear(struct follow_note *note)
{
    buf_clear(&note->bytes);
    note->is_there = false;
}

void follow_note_set(struct follow_note *note, struct span bytes,
                     const struct policy_verdict *verdict, int64_t seen_s)
{
    buf_reset(&note->bytes);
    buf_put(&note->bytes, bytes);
    note->verdict = *verdict;
    note->seen_s = seen_s;
    note->is_there = true;
}

void follow_note_take(struct follow_note *to, struct follow_note *from)
{
    follow_note_clear(to);
    *to = *from;
    buf_init(&from->bytes, FOLLOW_NOTE_BYTES_MAX);
    from->is_there = false;
}

void follow_state_init(struct follow_state *state)
{
    *state = (struct follow_state){ .first_looked_s = 0 };
    compact_range_init(&state->held.range);
    buf_init(&state->held.note, NOTE_BYTES_MAX);
    buf_init(&state->target.bytes, FOLLOW_NOTE_BYTES_MAX);
    buf_init(&state->newest.bytes, FOLLOW_NOTE_BYTES_MAX);
}

void follow_state_clear(struct follow_state *state)
{
    held_tree_clear(&state->held);
    follow_note_clear(&state->target);
    follow_note_clear(&state->newest);
}

/* -- the store -- */

static struct buf key_of(const struct watched_log *log, const char *rest)
{
    struct buf key = BUF_INIT(KEY_BYTES);
    watched_log_put_key(&key, log, rest);
    return key;
}

static void put_value(struct kv_batch *batch, const struct watched_log *log, const char *rest,
                      struct span value)
{
    struct buf key = key_of(log, rest);
    kv_batch_put(batch, buf_span(&key), value);
    buf_clear(&key);
}

static void put_delete(struct kv_batch *batch, const struct watched_log *log, const char *rest)
{
    struct buf key = key_of(log, rest);
    kv_batch_delete(batch, buf_span(&key));
    buf_clear(&key);
}

static enum err_code get_value(struct state_store *store, const struct watched_log *log,
                               const char *rest, struct buf *out, struct err *err)
{
    struct buf key = key_of(log, rest);
    enum err_code rc = state_store_get(store, buf_span(&key), out, err);
    buf_clear(&key);
    return rc;
}

static enum err_code corrupt(struct err *err, const char *what)
{
    return err_set(err, E_CORRUPT, "the stored %s is not one of version %d", what, VERSION);
}

/* -- fields -- */

static bool take_bool(struct span *in, bool *out)
{
    uint8_t value;
    if (!span_take_u8(in, &value) || value > 1) {
        return false;
    }
    *out = value == 1;
    return true;
}

static bool take_size(struct span *in, uint64_t *out)
{
    return span_take_u64(in, out) && *out <= SIZE_VALUE_MAX;
}

static bool take_time(struct span *in, int64_t *out)
{
    uint64_t value;
    if (!take_size(in, &value)) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

static bool take_hash(struct span *in, struct hash *out)
{
    struct span bytes;
    if (!span_take(in, HASH_BYTES, &bytes)) {
        return false;
    }
    memcpy(out->bytes, bytes.data, HASH_BYTES);
    return true;
}

static void put_time(struct buf *out, int64_t unix_s)
{
    buf_put_u64(out, unix_s < 0 ? 0 : (uint64_t)unix_s);
}

static size_t hash_count(uint64_t size)
{
    return (size_t)__builtin_popcountll(size);
}

static void put_range(struct buf *out, const struct compact_range *range)
{
    buf_put_u64(out, range->size);
    buf_put(out, span_of(range->hashes, hash_count(range->size) * HASH_BYTES));
}

static bool take_range(struct span *in, struct compact_range *out)
{
    bool is_whole = take_size(in, &out->size);
    for (size_t i = 0; is_whole && i < hash_count(out->size); i++) {
        is_whole = take_hash(in, &out->hashes[i]);
    }
    return is_whole;
}

/* -- what is remembered of each witness -- */

static struct hash witness_id(const struct policy_witness *witness)
{
    struct buf text = BUF_INIT(VKEY_TEXT_MAX);
    vkey_put(&text, &witness->vkey);
    struct hash id = sha256(buf_span(&text));
    buf_clear(&text);
    return id;
}

static void put_witnesses(struct buf *out, const struct follow_state *state,
                          const struct policy *policy)
{
    size_t count = policy_witness_count(policy);
    buf_put_u16(out, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        struct hash id = witness_id(policy_witness_at(policy, i));
        buf_put(out, hash_span(&id));
        buf_put_u64(out, state->memory.timestamps[i]);
        put_time(out, state->witness_seen_s[i]);
    }
}

/* Its position in the policy; a witness that is no longer there is forgotten. */
static size_t find_witness(const struct hash *known, size_t count, const struct hash *id)
{
    size_t i = 0;
    while (i < count && !hash_is_equal(&known[i], id)) {
        i++;
    }
    return i;
}

static bool take_witnesses(struct span *in, struct follow_state *state, const struct policy *policy)
{
    struct hash known[POLICY_KEYS_MAX];
    size_t known_count = policy_witness_count(policy);
    uint16_t count;
    if (!span_take_u16(in, &count) || count > POLICY_KEYS_MAX) {
        return false;
    }
    for (size_t i = 0; i < known_count; i++) {
        known[i] = witness_id(policy_witness_at(policy, i));
    }
    for (size_t i = 0; i < count; i++) {
        struct hash id;
        uint64_t timestamp;
        int64_t seen_s;
        if (!take_hash(in, &id) || !span_take_u64(in, &timestamp) || !take_time(in, &seen_s)) {
            return false;
        }
        size_t at = find_witness(known, known_count, &id);
        if (at < known_count) {
            state->memory.timestamps[at] = timestamp;
            state->witness_seen_s[at] = seen_s;
        }
    }
    return true;
}

/* -- the state -- */

static void put_vkey(struct buf *out, const struct vkey *vkey)
{
    struct buf text = BUF_INIT(VKEY_TEXT_MAX);
    vkey_put(&text, vkey);
    buf_put_u16(out, (uint16_t)text.len);
    buf_put(out, buf_span(&text));
    buf_clear(&text);
}

static void put_state(struct buf *out, const struct follow_state *state,
                      const struct watched_log_options *options)
{
    buf_put_u8(out, VERSION);
    put_vkey(out, &options->log->vkey);
    buf_put_u8(out, state->memory.has_note);
    buf_put_u64(out, state->memory.size);
    buf_put(out, hash_span(&state->memory.root));
    buf_put_u64(out, state->memory.size_max);
    put_witnesses(out, state, options->policy);
    buf_put_u8(out, state->has_checked);
    buf_put(out, hash_span(&state->checked));
    put_time(out, state->first_looked_s);
    put_time(out, state->note_time_s);
    buf_put_u8(out, state->held.is_there);
    put_range(out, &state->held.range);
    buf_put(out, hash_span(&state->held.root));
    put_time(out, state->held.verified_s);
    buf_put_u8(out, state->held.has_trusted_start);
    buf_put_u64(out, state->held.trusted_start);
    buf_put_u8(out, state->target.is_there);
    put_time(out, state->target.seen_s);
    buf_put_u8(out, state->newest.is_there);
    put_time(out, state->newest.seen_s);
}

static enum err_code check_key(struct span *in, const struct watched_log_options *options,
                               struct err *err)
{
    uint16_t len;
    struct span stored;
    if (!span_take_u16(in, &len) || !span_take(in, len, &stored)) {
        return corrupt(err, "state");
    }
    struct buf text = BUF_INIT(VKEY_TEXT_MAX);
    vkey_put(&text, &options->log->vkey);
    bool is_same = span_is_equal(stored, buf_span(&text));
    buf_clear(&text);
    if (!is_same) {
        return err_set(err, E_CONFLICT,
                       "the store has followed %s with another key: a log has its key for life; to "
                       "follow another log of that name, take another data directory",
                       options->log->vkey.name);
    }
    return E_OK;
}

static bool take_memory(struct span *in, struct follow_state *state, const struct policy *policy)
{
    return take_bool(in, &state->memory.has_note) && take_size(in, &state->memory.size) &&
           take_hash(in, &state->memory.root) && take_size(in, &state->memory.size_max) &&
           take_witnesses(in, state, policy) && take_bool(in, &state->has_checked) &&
           take_hash(in, &state->checked) && take_time(in, &state->first_looked_s) &&
           take_time(in, &state->note_time_s);
}

static bool take_held(struct span *in, struct held_tree *held)
{
    if (!take_bool(in, &held->is_there) || !take_range(in, &held->range) ||
        !take_hash(in, &held->root) || !take_time(in, &held->verified_s) ||
        !take_bool(in, &held->has_trusted_start) || !take_size(in, &held->trusted_start)) {
        return false;
    }
    struct hash root = compact_range_root(&held->range);
    return !held->is_there ||
           (hash_is_equal(&root, &held->root) && held->trusted_start <= held->range.size);
}

static enum err_code parse_state(struct follow_state *out, struct span bytes,
                                 const struct watched_log_options *options, struct err *err)
{
    uint8_t version;
    if (!span_take_u8(&bytes, &version) || version != VERSION) {
        return corrupt(err, "state");
    }
    enum err_code rc = check_key(&bytes, options, err);
    if (rc != E_OK) {
        return rc;
    }
    if (!take_memory(&bytes, out, options->policy) || !take_held(&bytes, &out->held) ||
        !take_bool(&bytes, &out->target.is_there) || !take_time(&bytes, &out->target.seen_s) ||
        !take_bool(&bytes, &out->newest.is_there) || !take_time(&bytes, &out->newest.seen_s) ||
        bytes.len != 0) {
        return corrupt(err, "state");
    }
    return E_OK;
}

/* A stored note was verified before; now it must be so still. */
static enum err_code load_note(struct buf *out, struct policy_verdict *verdict,
                               const struct watched_log_options *options,
                               const struct watched_log *log, const char *rest, struct err *err)
{
    struct buf value = BUF_INIT(KV_VALUE_BYTES_MAX);
    struct err why;
    enum err_code rc = get_value(options->store, log, rest, &value, err);
    if (rc == E_NOT_FOUND) {
        rc = err_set(err, E_CORRUPT, "the stored state has no %s", rest);
    }
    struct span bytes = buf_span(&value);
    uint8_t version;
    if (rc == E_OK && (!span_take_u8(&bytes, &version) || version != VERSION)) {
        rc = corrupt(err, rest);
    }
    if (rc == E_OK && policy_open_checkpoint(options->policy, verdict, bytes, &why) != E_OK) {
        rc = err_set(err, E_CORRUPT, "the stored %s: %s", rest, why.msg);
    }
    if (rc == E_OK) {
        buf_put(out, bytes);
    }
    buf_clear(&value);
    return rc;
}

static enum err_code load_notes(struct follow_state *state,
                                const struct watched_log_options *options,
                                const struct watched_log *log, struct err *err)
{
    struct policy_verdict *verdict = NEW(struct policy_verdict);
    enum err_code rc = E_OK;
    if (state->held.is_there) {
        rc = load_note(&state->held.note, verdict, options, log, held_key, err);
        if (rc == E_OK && (verdict->checkpoint.size != state->held.range.size ||
                           !hash_is_equal(&verdict->checkpoint.root, &state->held.root))) {
            rc = err_set(err, E_CORRUPT, "the stored note is not that of the stored tree");
        }
    }
    if (rc == E_OK && state->target.is_there) {
        rc = load_note(&state->target.bytes, &state->target.verdict, options, log, target_key, err);
    }
    if (rc == E_OK && state->newest.is_there) {
        rc = load_note(&state->newest.bytes, &state->newest.verdict, options, log, newest_key, err);
    }
    mem_free(verdict);
    return rc;
}

enum err_code follow_state_load(struct follow_state *out, bool *is_new,
                                const struct watched_log_options *options,
                                const struct watched_log *log, struct err *err)
{
    struct buf value = BUF_INIT(KV_VALUE_BYTES_MAX);
    enum err_code rc = get_value(options->store, log, state_key, &value, err);
    *is_new = rc == E_NOT_FOUND;
    if (rc == E_OK) {
        rc = parse_state(out, buf_span(&value), options, err);
        if (rc == E_OK) {
            rc = load_notes(out, options, log, err);
        }
        if (rc != E_OK) {
            follow_state_clear(out);
            follow_state_init(out);
        }
    }
    buf_clear(&value);
    return *is_new ? E_OK : rc;
}

static void put_note(struct kv_batch *batch, const struct watched_log *log, const char *rest,
                     bool is_there, const struct buf *note)
{
    if (!is_there) {
        put_delete(batch, log, rest);
        return;
    }
    struct buf value = BUF_INIT(KV_VALUE_BYTES_MAX);
    buf_put_u8(&value, VERSION);
    buf_put(&value, buf_span(note));
    put_value(batch, log, rest, buf_span(&value));
    buf_clear(&value);
}

enum err_code follow_state_save(const struct follow_state *state,
                                const struct watched_log_options *options,
                                const struct watched_log *log, struct kv_batch *also,
                                bool is_synced, struct err *err)
{
    struct kv_batch own;
    struct buf value = BUF_INIT(STATE_BYTES);
    kv_batch_init(&own);
    struct kv_batch *batch = also != NULL ? also : &own;
    put_state(&value, state, options);
    put_value(batch, log, state_key, buf_span(&value));
    put_note(batch, log, held_key, state->held.is_there, &state->held.note);
    put_note(batch, log, target_key, state->target.is_there, &state->target.bytes);
    put_note(batch, log, newest_key, state->newest.is_there, &state->newest.bytes);
    enum err_code rc = is_synced ? state_store_write_synced(options->store, batch, err)
                                 : state_store_write(options->store, batch, err);
    buf_clear(&value);
    kv_batch_clear(&own);
    return rc;
}

/* -- the cursor -- */

/* What can be wrong with a tile, as stored. */
static const enum err_code tile_codes[] = { E_CORRUPT, E_NOT_FOUND, E_MALFORMED };

static void put_bad_tile(struct buf *out, const struct scan_bad_tile *bad)
{
    struct tile_path_text path = tile_path_text(&bad->path);
    uint8_t code = 0;
    while (code + 1u < sizeof tile_codes / sizeof tile_codes[0] && tile_codes[code] != bad->code) {
        code++;
    }
    size_t len = strnlen(bad->detail, sizeof bad->detail - 1);
    buf_put_u8(out, code);
    buf_put_u8(out, (uint8_t)strlen(path.text));
    buf_put_str(out, path.text);
    buf_put_u8(out, (uint8_t)len);
    buf_put(out, span_of(bad->detail, len));
}

static bool take_bad_tile(struct span *in, struct scan_bad_tile *out)
{
    uint8_t code, len;
    struct span path, detail;
    struct err err;
    if (!span_take_u8(in, &code) || code >= sizeof tile_codes / sizeof tile_codes[0] ||
        !span_take_u8(in, &len) || !span_take(in, len, &path) || !span_take_u8(in, &len) ||
        !span_take(in, len, &detail) || tile_path_parse(&out->path, path, &err) != E_OK) {
        return false;
    }
    out->code = tile_codes[code];
    snprintf(out->detail, sizeof out->detail, "%.*s", SPAN_PRINTF(detail));
    return true;
}

static bool parse_cursor(struct follow_cursor *out, struct span bytes)
{
    uint8_t version;
    uint16_t count;
    if (!span_take_u8(&bytes, &version) || version != VERSION || !take_range(&bytes, &out->range) ||
        !span_take_u16(&bytes, &count) || count > FOLLOW_BAD_TILES_MAX) {
        return false;
    }
    for (out->bad_count = 0; out->bad_count < count; out->bad_count++) {
        if (!take_bad_tile(&bytes, &out->bad_tiles[out->bad_count])) {
            return false;
        }
    }
    out->is_there = true;
    return span_take_u64(&bytes, &out->bad_more) && bytes.len == 0;
}

enum err_code follow_cursor_load(struct follow_cursor *out,
                                 const struct watched_log_options *options,
                                 const struct watched_log *log, struct err *err)
{
    struct buf value = BUF_INIT(KV_VALUE_BYTES_MAX);
    struct follow_cursor *cursor = NEW(struct follow_cursor);
    enum err_code rc = get_value(options->store, log, cursor_key, &value, err);
    if (rc == E_OK && !parse_cursor(cursor, buf_span(&value))) {
        rc = corrupt(err, cursor_key);
    }
    if (rc == E_OK || rc == E_NOT_FOUND) {
        *out = *cursor;
        rc = E_OK;
    }
    mem_free(cursor);
    buf_clear(&value);
    return rc;
}

void follow_cursor_put(struct kv_batch *batch, const struct follow_cursor *cursor,
                       const struct watched_log *log)
{
    struct buf value = BUF_INIT(CURSOR_BYTES);
    if (cursor->is_there) {
        buf_put_u8(&value, VERSION);
        put_range(&value, &cursor->range);
        buf_put_u16(&value, (uint16_t)cursor->bad_count);
        for (size_t i = 0; i < cursor->bad_count; i++) {
            put_bad_tile(&value, &cursor->bad_tiles[i]);
        }
        buf_put_u64(&value, cursor->bad_more);
        put_value(batch, log, cursor_key, buf_span(&value));
    } else {
        put_delete(batch, log, cursor_key);
    }
    buf_clear(&value);
}

enum err_code follow_cursor_save(const struct follow_cursor *cursor,
                                 const struct watched_log_options *options,
                                 const struct watched_log *log, struct err *err)
{
    struct kv_batch batch;
    kv_batch_init(&batch);
    follow_cursor_put(&batch, cursor, log);
    enum err_code rc = state_store_write(options->store, &batch, err);
    kv_batch_clear(&batch);
    return rc;
}

void follow_cursor_put_delete(struct kv_batch *batch, const struct watched_log *log)
{
    put_delete(batch, log, cursor_key);
}
