/* fuzz_note.c -- notes: what is parsed is the input, cut in pieces; verifying never
 * trusts what it should not. */
#include "base/err.h"
#include "tlog/note.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The pieces, in order and without a gap, are the input. */
static void check_pieces(const struct note *note, struct span bytes)
{
    const uint8_t *at = bytes.data;
    assert(note->text.data == at);
    at += note->text.len;
    assert(note->text.len > 0 && at[-1] == '\n' && at[0] == '\n');
    at++;
    size_t decoded = 0;
    for (size_t i = 0; i < note->count; i++) {
        const struct note_line *line = &note->lines[i];
        assert(line->line.data == at);
        at += line->line.len;
        assert(at[-1] == '\n');
        assert(key_name_is_valid(line->name));
        assert(line->signature.len > 0);
        assert(line->signature.data == note->decoded.data + decoded + 4);
        decoded += 4 + line->signature.len;
    }
    assert(at == bytes.data + bytes.len);
    assert(decoded == note->decoded.len);
}

/* Keys that the lines name, so that the signatures are looked at; none can be right. */
static void check_verify(const struct note *note)
{
    struct ed25519_public public = { { 9 } };
    struct vkey keys[4];
    const struct vkey *known[4];
    size_t count = 0;
    for (size_t i = 0; i < note->count && count < 4; i++) {
        struct buf name = BUF_INIT(KEY_NAME_BYTES_MAX + 1);
        buf_put(&name, note->lines[i].name);
        keys[count] = vkey_make(buf_c_str(&name),
                                i % 2 == 0 ? SIGNATURE_ED25519 : SIGNATURE_COSIGNATURE, &public);
        keys[count].id = note->lines[i].key_id;
        known[count] = &keys[count];
        count++;
        buf_clear(&name);
    }
    struct note_verified verified[4];
    size_t verified_count = 0, bad_count = 0;
    struct err err;
    assert(note_verify(note, known, count, verified, &verified_count, &err) != E_OK);
    note_verify_each(note, known, count, verified, &verified_count, &bad_count);
    assert(verified_count == 0);
    assert(bad_count >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct note note;
    struct err err;
    if (note_parse(&note, span_of(data, size), &err) != E_OK) {
        assert(err.code == E_MALFORMED);
        return 0;
    }
    assert(note.count >= 1 && note.count <= NOTE_SIGNATURES_MAX);
    assert(note_text_is_valid(span_of(data, size)));
    check_pieces(&note, span_of(data, size));
    check_verify(&note);
    note_clear(&note);
    return 0;
}
