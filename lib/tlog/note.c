/* The normal path: note_parse checks the form and decodes each signature, note_verify finds the key
 * of each line by name and key ID and lets the key's type verify it. Lines of unknown keys, and so
 * of unknown types, are only decoded. */
#include "tlog/note.h"

#include "base/ascii.h"
#include "tlog/cosignature.h"

#include <assert.h>

static const char line_prefix[] = "\xe2\x80\x94 "; /* em dash, space */

enum {
    KEY_ID_BYTES = 4
};

/* -- the signature types: a new one is a row here and a key type in vkey.c -- */

struct signature_kind {
    enum signature_type type;
    size_t bytes; /* behind the key ID */
    bool has_timestamp;
    /* `signature` has `bytes` bytes. */
    bool (*is_valid)(const struct vkey *key, struct span text, struct span signature,
                     uint64_t *timestamp);
    enum err_code (*put)(struct buf *out, const struct signer *signer, struct span text,
                         uint64_t timestamp, struct err *err);
};

static bool ed25519_is_valid(const struct vkey *key, struct span text, struct span signature,
                             uint64_t *timestamp)
{
    struct ed25519_signature raw;
    memcpy(raw.bytes, signature.data, sizeof raw.bytes);
    *timestamp = 0;
    return ed25519_verify(&key->key, text, &raw);
}

static enum err_code ed25519_put(struct buf *out, const struct signer *signer, struct span text,
                                 uint64_t timestamp, struct err *err)
{
    (void)timestamp;
    struct ed25519_signature raw;
    enum err_code rc = signing_key_sign(signer->key, text, &raw, err);
    if (rc == E_OK) {
        buf_put(out, SPAN_OF_ARRAY(raw.bytes));
    }
    return rc;
}

static bool timed_is_valid(const struct vkey *key, struct span text, struct span signature,
                           uint64_t *timestamp)
{
    return cosignature_is_valid(&key->key, text, signature, timestamp);
}

static enum err_code timed_put(struct buf *out, const struct signer *signer, struct span text,
                               uint64_t timestamp, struct err *err)
{
    return cosignature_put(out, signer->key, timestamp, text, err);
}

static bool ml_dsa_is_valid(const struct vkey *key, struct span text, struct span signature,
                            uint64_t *timestamp)
{
    return cosignature_ml_dsa_is_valid(key->ml_dsa, key->name, text, signature, timestamp);
}

static enum err_code ml_dsa_put(struct buf *out, const struct signer *signer, struct span text,
                                uint64_t timestamp, struct err *err)
{
    return cosignature_put_ml_dsa(out, signer->ml_dsa, signer->vkey.name, timestamp, text, err);
}

static const struct signature_kind kinds[] = {
    { SIGNATURE_ED25519, ED25519_SIGNATURE_BYTES, false, ed25519_is_valid, ed25519_put },
    { SIGNATURE_COSIGNATURE, COSIGNATURE_BYTES, true, timed_is_valid, timed_put },
    { SIGNATURE_ML_DSA_44, COSIGNATURE_ML_DSA_BYTES, true, ml_dsa_is_valid, ml_dsa_put },
};

static const struct signature_kind *find_kind(enum signature_type type)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].type == type) {
            return &kinds[i];
        }
    }
    return NULL;
}

bool note_signature_is_valid(const struct vkey *key, struct span text, struct span signature,
                             uint64_t *timestamp)
{
    const struct signature_kind *kind = find_kind(key->type);
    uint64_t time = 0;
    if (kind == NULL || signature.len != kind->bytes ||
        !kind->is_valid(key, text, signature, &time)) {
        return false;
    }
    *timestamp = time;
    return true;
}

/* -- parsing -- */

bool note_text_is_valid(struct span text)
{
    while (text.len > 0) {
        uint8_t c = text.data[0];
        if (c < 0x80) {
            if (c < 0x20 && c != '\n') {
                return false;
            }
            text.data++;
            text.len--;
            continue;
        }
        uint32_t code_point;
        if (!utf8_take(&text, &code_point)) {
            return false;
        }
    }
    return true;
}

/* Appends the line's key ID and signature to `decoded`; the span is set once that no longer grows. */
static enum err_code parse_line(struct note_line *out, struct span line, struct buf *decoded,
                                struct err *err)
{
    struct span rest = line;
    if (!span_take_prefix(&rest, span_of_str(line_prefix))) {
        return err_set(err, E_MALFORMED, "does not start with an em dash and a space");
    }
    if (!span_take_until(&rest, ' ', &out->name)) {
        return err_set(err, E_MALFORMED, "no space behind the key name");
    }
    if (!key_name_is_valid(out->name)) {
        return err_set(err, E_MALFORMED, "not a valid key name");
    }
    size_t before = decoded->len;
    if (base64_append_decoded(decoded, rest, BASE64_LENIENT, err) != E_OK) {
        return err_set(err, E_MALFORMED, "the signature is not padded base64");
    }
    struct span bytes = span_slice(buf_span(decoded), before, decoded->len - before);
    if (bytes.len <= KEY_ID_BYTES || !span_take_u32(&bytes, &out->key_id)) {
        return err_set(err, E_MALFORMED, "no signature behind the key ID");
    }
    out->signature = span_of(NULL, bytes.len);
    return E_OK;
}

static void set_signatures(struct note *note)
{
    size_t at = 0;
    for (size_t i = 0; i < note->count; i++) {
        at += KEY_ID_BYTES;
        note->lines[i].signature.data = note->decoded.data + at;
        at += note->lines[i].signature.len;
    }
    assert(at == note->decoded.len);
}

static enum err_code parse_lines(struct note *note, struct span lines, struct err *err)
{
    while (lines.len > 0) {
        struct span at = lines, line;
        if (!span_take_until(&lines, '\n', &line)) {
            return err_set(err, E_MALFORMED, "note: no newline at the end");
        }
        if (note->count == NOTE_SIGNATURES_MAX) {
            return err_set(err, E_MALFORMED, "note: over %d signature lines", NOTE_SIGNATURES_MAX);
        }
        struct note_line *out = &note->lines[note->count];
        if (parse_line(out, line, &note->decoded, err) != E_OK) {
            return err_wrap(err, "note: signature line %zu", note->count + 1);
        }
        out->line = span_of(at.data, line.len + 1);
        note->count++;
    }
    if (note->count == 0) {
        return err_set(err, E_MALFORMED, "note: no signature line");
    }
    return E_OK;
}

enum err_code note_parse(struct note *out, struct span bytes, struct err *err)
{
    if (bytes.len > NOTE_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "note: %zu bytes, at most %d are read", bytes.len,
                       NOTE_BYTES_MAX);
    }
    if (!note_text_is_valid(bytes)) {
        return err_set(err, E_MALFORMED,
                       "note: not UTF-8, or with a control character (a CR, perhaps)");
    }
    size_t split = span_find_last(bytes, span_of_str("\n\n"));
    if (split == SIZE_MAX) {
        return err_set(err, E_MALFORMED, "note: no blank line between text and signatures");
    }
    struct note note = { .text = span_slice(bytes, 0, split + 1), .decoded = BUF_INIT(bytes.len) };
    enum err_code rc = parse_lines(&note, span_slice(bytes, split + 2, bytes.len - split - 2), err);
    if (rc != E_OK) {
        buf_clear(&note.decoded);
        return rc;
    }
    set_signatures(&note);
    *out = note;
    return E_OK;
}

void note_clear(struct note *note)
{
    buf_clear(&note->decoded);
}

/* -- verifying -- */

static bool can_check(const struct vkey *key)
{
    return key->type != SIGNATURE_ML_DSA_44 || ml_dsa_is_available();
}

static bool is_line_of(const struct note_line *line, const struct vkey *key)
{
    return key->id == line->key_id && span_is_str(line->name, key->name);
}

bool note_is_unchecked(const struct note *note, const struct vkey *key)
{
    for (size_t i = 0; i < note->count && !can_check(key); i++) {
        if (is_line_of(&note->lines[i], key)) {
            return true;
        }
    }
    return false;
}

/* Position of the key that the line names, or SIZE_MAX. */
static size_t find_key(const struct note_line *line, const struct vkey *const *keys,
                       size_t key_count)
{
    for (size_t i = 0; i < key_count; i++) {
        if (is_line_of(line, keys[i])) {
            return i;
        }
    }
    return SIZE_MAX;
}

static bool is_verified(const struct note_verified *verified, size_t count, size_t key)
{
    for (size_t i = 0; i < count; i++) {
        if (verified[i].key == key) {
            return true;
        }
    }
    return false;
}

static enum err_code check_distinct(const struct vkey *const *keys, size_t key_count,
                                    struct err *err)
{
    for (size_t i = 0; i < key_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (keys[i]->id == keys[k]->id && strcmp(keys[i]->name, keys[k]->name) == 0) {
                return err_set(err, E_CONFLICT, "two known keys are %s with key ID %08x",
                               keys[i]->name, keys[i]->id);
            }
        }
    }
    return E_OK;
}

/* Says which of the usual mistakes it is: the right name under another key, or no such name. */
static enum err_code none_known(const struct note *note, const struct vkey *const *keys,
                                size_t key_count, struct err *err)
{
    for (size_t k = 0; k < key_count; k++) {
        if (note_is_unchecked(note, keys[k])) {
            return err_set(
                err, E_BAD_SIGNATURE,
                "signed by %s with ML-DSA-44 alone, which cannot be checked here: %s has "
                "none, OpenSSL 3.5 or later (Debian 13) does",
                keys[k]->name, crypto_library());
        }
    }
    for (size_t i = 0; i < note->count; i++) {
        for (size_t k = 0; k < key_count; k++) {
            if (span_is_str(note->lines[i].name, keys[k]->name)) {
                return err_set(err, E_BAD_SIGNATURE,
                               "signed as %s under key ID %08x, but the known key is %08x",
                               keys[k]->name, note->lines[i].key_id, keys[k]->id);
            }
        }
    }
    if (key_count == 1) {
        return err_set(err, E_BAD_SIGNATURE, "not signed by %s", keys[0]->name);
    }
    return err_set(err, E_BAD_SIGNATURE, "not signed by any of %zu known keys", key_count);
}

enum err_code note_verify(const struct note *note, const struct vkey *const *keys, size_t key_count,
                          struct note_verified *verified, size_t *verified_count, struct err *err)
{
    enum err_code rc = check_distinct(keys, key_count, err);
    if (rc != E_OK) {
        return rc;
    }
    struct note_verified found[NOTE_SIGNATURES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < note->count; i++) {
        size_t key = find_key(&note->lines[i], keys, key_count);
        if (key == SIZE_MAX || is_verified(found, count, key) || !can_check(keys[key])) {
            continue;
        }
        uint64_t timestamp;
        if (!note_signature_is_valid(keys[key], note->text, note->lines[i].signature, &timestamp)) {
            return err_set(err, E_BAD_SIGNATURE,
                           "the signature of %s (key ID %08x) does not verify", keys[key]->name,
                           keys[key]->id);
        }
        found[count++] = (struct note_verified){ key, i, timestamp };
    }
    if (count == 0) {
        return none_known(note, keys, key_count, err);
    }
    memcpy(verified, found, count * sizeof found[0]);
    *verified_count = count;
    return E_OK;
}

void note_verify_each(const struct note *note, const struct vkey *const *keys, size_t key_count,
                      struct note_verified *verified, size_t *verified_count, size_t *bad_count)
{
    size_t count = 0, bad = 0;
    for (size_t i = 0; i < note->count; i++) {
        size_t key = find_key(&note->lines[i], keys, key_count);
        if (key == SIZE_MAX || is_verified(verified, count, key) || !can_check(keys[key])) {
            continue;
        }
        uint64_t timestamp;
        if (note_signature_is_valid(keys[key], note->text, note->lines[i].signature, &timestamp)) {
            verified[count++] = (struct note_verified){ key, i, timestamp };
        } else {
            bad++;
        }
    }
    *verified_count = count;
    *bad_count = bad;
}

/* -- writing -- */

void note_put_line(struct buf *out, const struct note_line *line)
{
    struct buf blob = BUF_INIT(KEY_ID_BYTES + line->signature.len);
    buf_put_u32(&blob, line->key_id);
    buf_put(&blob, line->signature);
    buf_put_str(out, line_prefix);
    buf_put(out, line->name);
    buf_put_u8(out, ' ');
    base64_put(out, buf_span(&blob));
    buf_put_u8(out, '\n');
    buf_clear(&blob);
}

enum err_code note_put_signature(struct buf *out, struct span text, const struct signer *signer,
                                 uint64_t timestamp, struct err *err)
{
    const struct signature_kind *kind = find_kind(signer->vkey.type);
    assert(kind != NULL);
    assert(text.len > 0 && text.data[text.len - 1] == '\n');
    assert(kind->has_timestamp == (timestamp != 0));

    struct buf signature = BUF_INIT(kind->bytes);
    enum err_code rc = kind->put(&signature, signer, text, timestamp, err);
    if (rc == E_OK) {
        assert(signature.len == signature.max);
        struct note_line line = { .name = span_of_str(signer->vkey.name),
                                  .key_id = signer->vkey.id,
                                  .signature = buf_span(&signature) };
        note_put_line(out, &line);
    }
    buf_clear(&signature);
    return rc;
}

enum err_code note_put_signed(struct buf *out, struct span text, const struct signer *signer,
                              uint64_t timestamp, struct err *err)
{
    size_t before = out->len;
    buf_put(out, text);
    buf_put_u8(out, '\n');
    enum err_code rc = note_put_signature(out, text, signer, timestamp, err);
    if (rc != E_OK) {
        buf_truncate(out, before);
    }
    return rc;
}
