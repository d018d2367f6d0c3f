#include "logd/cosign_lines.h"

#include "base/alloc.h"

#include <assert.h>

bool cosign_lines_has(const struct cosign_lines *lines, size_t witness)
{
    for (size_t i = 0; i < lines->count; i++) {
        if (lines->items[i].witness == witness) {
            return true;
        }
    }
    return false;
}

/* The witness whose name and key ID stand in the line; SIZE_MAX for a stranger. */
static size_t find_witness(const struct policy *policy, const struct note_line *line)
{
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        const struct vkey *vkey = &policy_witness_at(policy, i)->vkey;
        if (vkey->id == line->key_id && span_is_str(line->name, vkey->name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

static void keep_line(struct cosign_lines *out, size_t witness, uint64_t timestamp,
                      const struct note_line *line)
{
    struct cosign_line *kept = &out->items[out->count++];
    struct buf text = BUF_INIT(COSIGN_LINE_MAX);
    note_put_line(&text, line);
    *kept = (struct cosign_line){ .witness = witness, .timestamp = timestamp, .len = text.len };
    memcpy(kept->text, text.data, text.len);
    buf_clear(&text);
}

static void read_line(struct cosign_lines *out, struct policy_set *tried,
                      const struct policy *policy, struct span text, const struct note_line *line,
                      int64_t now_unix_s)
{
    size_t witness = find_witness(policy, line);
    if (witness == SIZE_MAX || tried->has[witness]) {
        return;
    }
    tried->has[witness] = true;
    uint64_t timestamp;
    const struct vkey *vkey = &policy_witness_at(policy, witness)->vkey;
    if (!note_signature_is_valid(vkey, text, line->signature, &timestamp)) {
        out->bad++;
    } else if (timestamp > (uint64_t)now_unix_s + COSIGN_LINES_FUTURE_S) {
        out->bad_time++;
    } else {
        keep_line(out, witness, timestamp, line);
    }
}

enum err_code cosign_lines_read(struct cosign_lines *out, const struct policy *policy,
                                struct span text, struct span lines, int64_t now_unix_s,
                                struct err *err)
{
    assert(now_unix_s >= 0);
    struct note note;
    struct buf bytes = BUF_INIT(NOTE_BYTES_MAX);
    enum err_code rc = buf_append(&bytes, text, err);
    if (rc == E_OK) {
        rc = buf_append(&bytes, span_of_str("\n"), err);
    }
    if (rc == E_OK) {
        rc = buf_append(&bytes, lines, err);
    }
    if (rc == E_OK) {
        rc = note_parse(&note, buf_span(&bytes), err);
    }
    if (rc == E_OK && note.text.len != text.len) { /* a blank line inside would move the split */
        rc = err_set(err, E_MALFORMED, "more than signature lines");
        note_clear(&note);
    }
    if (rc == E_OK) {
        struct policy_set tried = { .has = { false } };
        out->count = out->bad = out->bad_time = 0;
        for (size_t i = 0; i < note.count; i++) {
            read_line(out, &tried, policy, note.text, &note.lines[i], now_unix_s);
        }
        note_clear(&note);
    }
    buf_clear(&bytes);
    return rc == E_OK ? E_OK : err_set(err, E_MALFORMED, "not signature lines: %s", err->msg);
}
