/* The normal path: the message is a note with one line, by a key that was configured; its time is near ours;
 * its sections are checkpoint notes by their form. What is judged last is the form of the sections, so that
 * a stranger costs us one signature at most. */
#include "monitor/note_exchange.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "tlog/checkpoint.h"

#include <assert.h>
#include <inttypes.h>

static const char header[] = "courtroll notes v1\n";
static const char note_prefix[] = "note ";

enum {
    SECTION_LINE_MAX = 32,     /* "note BYTES" */
    SIGNATURE_LINE_MAX = 1024, /* the blank line, and one line by a key with the longest name */
    KEYS_MAX = 256,            /* that are looked at: more than a monitor can be configured with */
};

static bool is_checkpoint_note(struct span bytes)
{
    struct checkpoint checkpoint;
    struct note note;
    struct err err;
    if (bytes.len == 0 || bytes.len > NOTE_EXCHANGE_NOTE_MAX ||
        note_parse(&note, bytes, &err) != E_OK) {
        return false;
    }
    bool is_checkpoint = checkpoint_parse(&checkpoint, note.text, &err) == E_OK;
    note_clear(&note);
    return is_checkpoint;
}

enum err_code note_exchange_put(struct buf *out, const struct signer *key, int64_t unix_s,
                                const struct span *notes, size_t count, struct err *err)
{
    assert(key->vkey.type == SIGNATURE_ED25519);
    assert(unix_s >= 0);
    struct buf text = BUF_INIT(NOTE_EXCHANGE_BYTES_MAX - SIGNATURE_LINE_MAX);
    size_t put = 0;
    buf_putf(&text, "%s%" PRId64 "\n", header, unix_s);
    for (size_t i = 0; i < count && put < NOTE_EXCHANGE_MAX; i++) {
        if (notes[i].len <= NOTE_EXCHANGE_NOTE_MAX &&
            notes[i].len + SECTION_LINE_MAX <= buf_room(&text) && is_checkpoint_note(notes[i])) {
            buf_putf(&text, "%s%zu\n", note_prefix, notes[i].len);
            buf_put(&text, notes[i]);
            put++;
        }
    }
    enum err_code rc = note_put_signed(out, buf_span(&text), key, 0, err);
    buf_clear(&text);
    return rc;
}

static enum err_code take_note(struct span *out, struct span *in, struct err *err)
{
    struct span line, note;
    uint64_t len;
    if (!span_take_prefix(in, span_of_str(note_prefix)) || !span_take_until(in, '\n', &line)) {
        return err_set(err, E_MALFORMED, "the line \"note BYTES\" is missing");
    }
    if (decimal_parse(&len, line, NOTE_EXCHANGE_NOTE_MAX, err) != E_OK) {
        return err_wrap(err, "bytes of the note");
    }
    if (!span_take(in, (size_t)len, &note)) {
        return err_set(err, E_MALFORMED, "a note that is cut off");
    }
    if (!is_checkpoint_note(note)) {
        return err_set(err, E_MALFORMED, "not a checkpoint note");
    }
    *out = note;
    return E_OK;
}

/* The sections, behind the time. */
static enum err_code parse_notes(struct note_exchange *out, struct span in, struct err *err)
{
    while (in.len > 0) {
        if (out->count == NOTE_EXCHANGE_MAX) {
            return err_set(err, E_MALFORMED, "more than %d notes", NOTE_EXCHANGE_MAX);
        }
        if (take_note(&out->notes[out->count], &in, err) != E_OK) {
            return err_wrap(err, "number %zu", out->count + 1);
        }
        out->count++;
    }
    return E_OK;
}

/* Leaves the sections in *text. */
static enum err_code parse_head(struct note_exchange *out, struct span *text, struct err *err)
{
    struct span line;
    uint64_t unix_s;
    if (!span_take_prefix(text, span_of_str(header))) {
        return err_set(err, E_MALFORMED, "the first line is not courtroll notes v1");
    }
    if (!span_take_until(text, '\n', &line)) {
        return err_set(err, E_MALFORMED, "the second line is not a time");
    }
    if (decimal_parse(&unix_s, line, SIZE_VALUE_MAX, err) != E_OK) {
        return err_wrap(err, "time");
    }
    out->unix_s = (int64_t)unix_s;
    return E_OK;
}

/* One line only, as note_put_line writes it. */
static enum err_code check_line(const struct note *note, struct err *err)
{
    struct span line = note->lines[0].line;
    struct buf again = BUF_INIT(line.len + 1);
    if (note->count != 1) {
        return err_set(err, E_MALFORMED, "%zu signature lines instead of one", note->count);
    }
    note_put_line(&again, &note->lines[0]);
    bool is_same = span_is_equal(buf_span(&again), line);
    buf_clear(&again);
    return is_same ? E_OK : err_set(err, E_MALFORMED, "a signature line in another spelling");
}

static enum err_code find_sender(size_t *sender, const struct note *note,
                                 const struct vkey *const *keys, size_t key_count, struct err *err)
{
    assert(key_count <= KEYS_MAX);
    const struct vkey *usable[KEYS_MAX];
    size_t positions[KEYS_MAX], count = 0, verified_count = 0;
    struct note_verified verified[NOTE_SIGNATURES_MAX];
    for (size_t i = 0; i < key_count; i++) {
        bool is_usable = keys[i]->type == SIGNATURE_ED25519;
        for (size_t k = 0; k < count; k++) {
            is_usable = is_usable && !vkey_is_equal(keys[i], usable[k]); /* configured twice */
        }
        if (is_usable) {
            positions[count] = i;
            usable[count++] = keys[i];
        }
    }
    if (count == 0) {
        return err_set(err, E_BAD_SIGNATURE, "no monitor's key is known");
    }
    enum err_code rc = note_verify(note, usable, count, verified, &verified_count, err);
    if (rc == E_OK) {
        *sender = positions[verified[0].key];
    }
    return rc;
}

static bool is_near(int64_t unix_s, int64_t now_s)
{
    return unix_s >= now_s ? unix_s - now_s <= NOTE_EXCHANGE_SKEW_S
                           : now_s - unix_s <= NOTE_EXCHANGE_SKEW_S;
}

/* Who may ask, and when. */
struct gate {
    const struct vkey *const *keys;
    size_t key_count;
    int64_t now_s;
};

static enum err_code check_gate(struct note_exchange *parsed, const struct note *note,
                                const struct gate *gate, struct err *err)
{
    enum err_code rc = find_sender(&parsed->sender, note, gate->keys, gate->key_count, err);
    if (rc == E_OK && !is_near(parsed->unix_s, gate->now_s)) {
        rc = err_set(err, E_DENIED, "its time is %" PRId64 ", ours %" PRId64, parsed->unix_s,
                     gate->now_s);
    }
    return rc;
}

/* `gate` may be NULL: everybody, at any time. */
static enum err_code read_note(struct note_exchange *parsed, const struct note *note,
                               const struct gate *gate, struct err *err)
{
    struct span text = note->text;
    enum err_code rc = check_line(note, err);
    if (rc == E_OK) {
        rc = parse_head(parsed, &text, err);
    }
    if (rc == E_OK && gate != NULL) {
        rc = check_gate(parsed, note, gate, err);
    }
    return rc == E_OK ? parse_notes(parsed, text, err) : rc;
}

static enum err_code read_message(struct note_exchange *out, struct span bytes,
                                  const struct gate *gate, struct err *err)
{
    struct note note;
    if (note_parse(&note, bytes, err) != E_OK) {
        return err_wrap(err, "notes of a monitor");
    }
    struct note_exchange parsed = { .sender = SIZE_MAX };
    enum err_code rc = read_note(&parsed, &note, gate, err);
    if (rc == E_OK) {
        *out = parsed;
    } else {
        rc = err_wrap(err, "notes of a monitor");
    }
    note_clear(&note);
    return rc;
}

enum err_code note_exchange_open(struct note_exchange *out, struct span bytes,
                                 const struct vkey *const *keys, size_t key_count, int64_t now_s,
                                 struct err *err)
{
    assert(now_s >= 0);
    const struct gate gate = { keys, key_count, now_s };
    return read_message(out, bytes, &gate, err);
}

enum err_code note_exchange_parse(struct note_exchange *out, struct span bytes, struct err *err)
{
    return read_message(out, bytes, NULL, err);
}
