#include "tlog/peer_notes.h"

#include "base/ascii.h"

#include <assert.h>

static const char note_prefix[] = "note ";

static enum err_code take_note(struct span *out, struct span *in, struct err *err)
{
    struct span line;
    uint64_t len;
    if (!span_take_prefix(in, span_of_str(note_prefix)) || !span_take_until(in, '\n', &line)) {
        return err_set(err, E_MALFORMED, "the line \"note BYTES\" is missing");
    }
    if (decimal_parse(&len, line, PEER_NOTE_BYTES_MAX, err) != E_OK) {
        return err_wrap(err, "bytes of the note");
    }
    if (len == 0 || !span_take(in, (size_t)len, out)) {
        return err_set(err, E_MALFORMED, "a note that is empty or cut off");
    }
    return E_OK;
}

enum err_code peer_notes_parse(struct peer_notes *out, struct span bytes, struct err *err)
{
    struct peer_notes parsed = { 0 };
    do {
        if (parsed.count == PEER_NOTES_MAX) {
            return err_set(err, E_MALFORMED, "notes of peers: more than %d", PEER_NOTES_MAX);
        }
        if (take_note(&parsed.notes[parsed.count], &bytes, err) != E_OK) {
            return err_wrap(err, "notes of peers: number %zu", parsed.count + 1);
        }
        parsed.count++;
    } while (bytes.len > 0);
    *out = parsed;
    return E_OK;
}

void peer_notes_put(struct buf *out, struct span note)
{
    assert(note.len > 0 && note.len <= PEER_NOTE_BYTES_MAX);
    buf_putf(out, "%s%zu\n", note_prefix, note.len);
    buf_put(out, note);
}
