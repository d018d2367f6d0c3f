#include "tlog/promise.h"

#include "base/alloc.h"
#include "tlog/checkpoint.h"

#include <assert.h>
#include <inttypes.h>

static const char header[] = "courtroll promise v1\n";
static const char key_suffix[] = "/promise";

bool promise_key_is_of(const struct vkey *key, const char *origin)
{
    struct span name = span_of_str(key->name);
    return key->type == SIGNATURE_ED25519 && span_take_prefix(&name, span_of_str(origin)) &&
           span_is_str(name, key_suffix);
}

void promise_put_text(struct buf *out, const char *origin, const struct promise_item *items,
                      size_t count)
{
    assert(origin_is_valid(span_of_str(origin)));
    assert(count >= 1);
    assert(count <= PROMISE_ITEMS_MAX);
    buf_putf(out, "%s%s\n", header, origin);
    for (size_t i = 0; i < count; i++) {
        assert(items[i].index < SIZE_VALUE_MAX);
        buf_putf(out, "%" PRIu64 " ", items[i].index);
        base64_put_hash(out, &items[i].leaf);
        buf_put_u8(out, '\n');
    }
}

static enum err_code parse_item(struct promise_item *out, struct span line, struct err *err)
{
    struct span index;
    if (!span_take_until(&line, ' ', &index)) {
        return err_set(err, E_MALFORMED, "not an index, a space and a leaf hash");
    }
    if (decimal_parse(&out->index, index, SIZE_VALUE_MAX - 1, err) != E_OK) {
        return err_wrap(err, "index");
    }
    if (base64_decode_hash(&out->leaf, line, err) != E_OK) {
        return err_wrap(err, "leaf hash");
    }
    return E_OK;
}

static enum err_code parse(struct promise *out, struct span text, struct err *err)
{
    struct span origin, line;
    if (!span_take_prefix(&text, span_of_str(header))) {
        return err_set(err, E_MALFORMED, "the first line is not \"courtroll promise v1\"");
    }
    if (!span_take_until(&text, '\n', &origin) || !origin_is_valid(origin)) {
        return err_set(err, E_MALFORMED,
                       "origin: not 1 to %d bytes of UTF-8 without control characters",
                       ORIGIN_BYTES_MAX);
    }
    memcpy(out->origin, origin.data, origin.len);
    while (text.len > 0) {
        if (!span_take_until(&text, '\n', &line)) {
            return err_set(err, E_MALFORMED, "no newline at the end");
        }
        if (out->count == PROMISE_ITEMS_MAX) {
            return err_set(err, E_MALFORMED, "over %d entries", PROMISE_ITEMS_MAX);
        }
        if (parse_item(&out->items[out->count], line, err) != E_OK) {
            return err_wrap(err, "entry %zu", out->count + 1);
        }
        out->count++;
    }
    if (out->count == 0) {
        return err_set(err, E_MALFORMED, "no entry");
    }
    return E_OK;
}

enum err_code promise_parse(struct promise *out, struct span text, struct err *err)
{
    struct promise *parsed = NEW(struct promise); /* 40 KB: not for every stack */
    enum err_code rc = parse(parsed, text, err);
    if (rc == E_OK) {
        *out = *parsed;
    } else {
        rc = err_wrap(err, "promise");
    }
    mem_free(parsed);
    return rc;
}

enum err_code promise_open(struct promise *out, struct span note_bytes, const struct vkey *key,
                           struct err *err)
{
    struct note note;
    enum err_code rc = note_parse(&note, note_bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    struct promise *promise = NEW(struct promise);
    struct note_verified verified;
    size_t count;
    rc = note_verify(&note, &key, 1, &verified, &count, err);
    if (rc == E_OK) {
        rc = promise_parse(promise, note.text, err);
    }
    if (rc == E_OK && !promise_key_is_of(key, promise->origin)) {
        rc = err_set(err, E_DENIED, "a promise for another origin than the one of key %s",
                     key->name);
    }
    if (rc == E_OK) {
        *out = *promise;
    }
    mem_free(promise);
    note_clear(&note);
    return rc;
}
