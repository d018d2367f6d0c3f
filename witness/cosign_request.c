#include "witness/cosign_request.h"

enum {
    OWN_LINES_TRIED = 2 /* of each key of ours: anybody can send as many as a note holds */
};

/* Appends the lines that were verified. They are as long as they came, so there is room. */
static void put_lines(struct buf *out, const struct note *note,
                      const struct note_verified *verified, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        note_put_line(out, &note->lines[verified[i].line]);
    }
}

static bool verify(const struct note *note, struct known_log *log, struct note_verified *verified,
                   size_t *count)
{
    struct vkey keys[LOG_KEYS_MAX];
    const struct vkey *pointers[LOG_KEYS_MAX];
    struct err err;
    size_t key_count = known_log_keys(log, keys);
    for (size_t i = 0; i < key_count; i++) {
        pointers[i] = &keys[i];
    }
    return note_verify(note, pointers, key_count, verified, count, &err) == E_OK;
}

/* The first line of the key that verifies, or NULL. */
static const struct note_line *find_line(const struct note *note, const struct vkey *key)
{
    size_t tried = 0;
    for (size_t i = 0; i < note->count && tried < OWN_LINES_TRIED; i++) {
        const struct note_line *line = &note->lines[i];
        uint64_t timestamp;
        if (line->key_id != key->id || !span_is_str(line->name, key->name)) {
            continue;
        }
        if (note_signature_is_valid(key, note->text, line->signature, &timestamp)) {
            return line;
        }
        tried++;
    }
    return NULL;
}

/* A line under our own name proves something only if it verifies. Anybody can write one that does not,
 * and must gain nothing by it: it is neither kept nor a reason to refuse, and costs us little. Requires
 * that the log's lines were verified. */
static void look_for_own_lines(struct cosign_request *out, const struct note *note,
                               const struct vkey *const *own_keys, size_t own_key_count)
{
    for (size_t i = 0; i < own_key_count; i++) {
        const struct note_line *line = find_line(note, own_keys[i]);
        if (line == NULL) {
            continue;
        }
        if (out->own_note.len == 0) {
            buf_put(&out->own_note, buf_span(&out->note));
        }
        note_put_line(&out->own_note, line);
    }
}

/* We sign our own encoding of what was understood. That it is the text which the log signed is certain
 * by the parser's strictness, and is looked at all the same. */
static bool is_our_encoding(const struct checkpoint *checkpoint, struct span text)
{
    struct buf ours = BUF_INIT(CHECKPOINT_TEXT_MAX);
    checkpoint_put(&ours, checkpoint);
    bool is_same = span_is_equal(buf_span(&ours), text);
    buf_clear(&ours);
    return is_same;
}

static enum refusal read_note(struct cosign_request *out, const struct note *note,
                              struct known_log *log, const struct vkey *const *own_keys,
                              size_t own_key_count)
{
    struct note_verified verified[NOTE_SIGNATURES_MAX];
    size_t count;
    struct err err;
    if (!verify(note, log, verified, &count)) {
        return REFUSED_BAD_SIGNATURE;
    }
    if (checkpoint_parse_any_root(&out->checkpoint, note->text, &err) != E_OK ||
        strcmp(out->checkpoint.origin, log->origin) != 0) {
        return REFUSED_MALFORMED;
    }
    out->text_len = note->text.len;
    out->is_signable = is_our_encoding(&out->checkpoint, note->text);
    buf_put(&out->note, note->text);
    buf_put_u8(&out->note, '\n');
    put_lines(&out->note, note, verified, count);
    look_for_own_lines(out, note, own_keys, own_key_count);
    return REFUSED_NONE;
}

enum refusal cosign_request_read(struct cosign_request *out, struct known_log **log,
                                 const struct log_table *logs, const struct vkey *const *own_keys,
                                 size_t own_key_count, struct span body)
{
    struct add_checkpoint parsed;
    struct note note;
    struct err err;
    if (add_checkpoint_parse(&parsed, body, &err) != E_OK) {
        return REFUSED_MALFORMED;
    }
    struct known_log *found = log_table_find(logs, parsed.origin);
    if (found == NULL) {
        return REFUSED_UNKNOWN_LOG;
    }
    *log = found;
    if (note_parse(&note, parsed.note, &err) != E_OK) {
        return REFUSED_MALFORMED;
    }
    struct cosign_request request = { .old_size = parsed.old_size,
                                      .proof = parsed.proof,
                                      .note = BUF_INIT(parsed.note.len),
                                      .own_note = BUF_INIT(parsed.note.len) };
    enum refusal refusal = read_note(&request, &note, found, own_keys, own_key_count);
    note_clear(&note);
    if (refusal == REFUSED_NONE) {
        *out = request;
    } else {
        cosign_request_clear(&request);
    }
    return refusal;
}

void cosign_request_clear(struct cosign_request *request)
{
    buf_clear(&request->note);
    buf_clear(&request->own_note);
}
