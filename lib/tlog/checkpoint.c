#include "tlog/checkpoint.h"

#include "base/ascii.h"
#include "tlog/merkle.h"

#include <assert.h>
#include <inttypes.h>

bool origin_is_valid(struct span origin)
{
    if (origin.len == 0 || origin.len > ORIGIN_BYTES_MAX) {
        return false;
    }
    uint32_t c;
    while (utf8_take(&origin, &c)) {
        if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            return false;
        }
    }
    return origin.len == 0;
}

/* Each extension line is one or more characters and a newline. */
static enum err_code check_extensions(struct span lines, struct err *err)
{
    if (!note_text_is_valid(lines)) {
        return err_set(err, E_MALFORMED, "extension lines: not UTF-8, or a control character");
    }
    while (lines.len > 0) {
        struct span line;
        if (!span_take_until(&lines, '\n', &line)) {
            return err_set(err, E_MALFORMED, "no newline at the end");
        }
        if (line.len == 0) {
            return err_set(err, E_MALFORMED, "empty extension line");
        }
    }
    return E_OK;
}

static enum err_code parse(struct checkpoint *out, struct span text, struct err *err)
{
    struct span origin, size, root;
    if (!span_take_until(&text, '\n', &origin) || !span_take_until(&text, '\n', &size) ||
        !span_take_until(&text, '\n', &root)) {
        return err_set(err, E_MALFORMED, "fewer than the three lines origin, size, root");
    }
    if (!origin_is_valid(origin)) {
        return err_set(err, E_MALFORMED,
                       "origin: not 1 to %d bytes of UTF-8 without control characters",
                       ORIGIN_BYTES_MAX);
    }
    if (decimal_parse(&out->size, size, SIZE_VALUE_MAX, err) != E_OK) {
        return err_wrap(err, "size");
    }
    if (base64_decode_hash(&out->root, root, err) != E_OK) {
        return err_wrap(err, "root");
    }
    out->has_extensions = text.len > 0;
    memcpy(out->origin, origin.data, origin.len);
    return check_extensions(text, err);
}

enum err_code checkpoint_parse_any_root(struct checkpoint *out, struct span text, struct err *err)
{
    struct checkpoint parsed = { 0 };
    if (parse(&parsed, text, err) != E_OK) {
        return err_wrap(err, "checkpoint");
    }
    *out = parsed;
    return E_OK;
}

enum err_code checkpoint_parse(struct checkpoint *out, struct span text, struct err *err)
{
    struct checkpoint parsed;
    enum err_code rc = checkpoint_parse_any_root(&parsed, text, err);
    if (rc != E_OK) {
        return rc;
    }
    struct hash empty = merkle_empty_root();
    if (parsed.size == 0 && !hash_is_equal(&parsed.root, &empty)) {
        return err_set(err, E_MALFORMED,
                       "checkpoint: root: size 0 with a root that is not the empty tree's");
    }
    *out = parsed;
    return E_OK;
}

void checkpoint_put(struct buf *out, const struct checkpoint *checkpoint)
{
    assert(origin_is_valid(span_of_str(checkpoint->origin)));
    assert(checkpoint->size <= SIZE_VALUE_MAX);
    buf_putf(out, "%s\n%" PRIu64 "\n", checkpoint->origin, checkpoint->size);
    base64_put_hash(out, &checkpoint->root);
    buf_put_u8(out, '\n');
}

bool checkpoint_is_equal(const struct checkpoint *a, const struct checkpoint *b)
{
    return a->size == b->size && a->has_extensions == b->has_extensions &&
           hash_is_equal(&a->root, &b->root) && strcmp(a->origin, b->origin) == 0;
}

enum err_code checkpoint_parse_note(struct checkpoint *out, struct span note_bytes, struct err *err)
{
    struct note note;
    enum err_code rc = note_parse(&note, note_bytes, err);
    if (rc == E_OK) {
        rc = checkpoint_parse(out, note.text, err);
        note_clear(&note);
    }
    return rc;
}

enum err_code checkpoint_open(struct checkpoint *out, struct span note_bytes,
                              const struct vkey *key, const char *origin, struct err *err)
{
    struct note note;
    enum err_code rc = note_parse(&note, note_bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    struct note_verified verified;
    size_t count;
    struct checkpoint checkpoint;
    rc = note_verify(&note, &key, 1, &verified, &count, err);
    if (rc == E_OK) {
        rc = checkpoint_parse(&checkpoint, note.text, err);
    }
    if (rc == E_OK && strcmp(checkpoint.origin, origin) != 0) {
        rc = err_set(err, E_DENIED, "a checkpoint of another origin than %s", origin);
    }
    if (rc == E_OK) {
        *out = checkpoint;
    }
    note_clear(&note);
    return rc;
}
