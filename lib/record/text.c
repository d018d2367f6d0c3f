#include "record/text.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/crypto.h"

#include <assert.h>
#include <stdlib.h>
#include <uninorm.h>
#include <unistr.h>

enum {
    /* NFC of UTF-8 is at most three times as long (Unicode Annex 15); with room to spare the library works in
     * our memory, which is wiped. */
    NFC_GROWTH_MAX = 4,
    NFC_ROOM = 64,
};

/* Unicode's White_Space property. */
static bool is_blank(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

/* Besides controls proper what shows nothing or turns the line around: with these, two texts that look the
 * same would be different ones. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x061c ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
           (c >= 0xe0000 && c <= 0xe007f);
}

/* Checks the characters one by one. */
static enum err_code check_characters(struct span text, struct err *err)
{
    size_t position = 1;
    uint32_t c;
    for (; utf8_take(&text, &c); position++) {
        if (is_control(c)) {
            return err_set(err, E_MALFORMED, "character %zu: a control or invisible character",
                           position);
        }
    }
    if (text.len > 0) {
        return err_set(err, E_MALFORMED, "character %zu: not UTF-8", position);
    }
    return E_OK;
}

static bool is_ascii(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* Without the blanks at both ends. Requires UTF-8. */
static struct span trim(struct span text)
{
    uint32_t c;
    for (struct span rest = text; utf8_take(&rest, &c) && is_blank(c);) {
        text = rest;
    }
    size_t len = 0; /* up to and with the last character that is no blank */
    for (struct span rest = text; utf8_take(&rest, &c);) {
        if (!is_blank(c)) {
            len = text.len - rest.len;
        }
    }
    return span_slice(text, 0, len);
}

/* The one spelling, in memory of `room` bytes that the caller wipes. Requires UTF-8 without controls. */
static struct span normalise(uint8_t *memory, size_t room, struct span text)
{
    if (is_ascii(text)) {
        return trim(text);
    }
    size_t len = room;
    uint8_t *found = u8_normalize(UNINORM_NFC, text.data, text.len, memory, &len);
    if (found == NULL) {
        abort(); /* out of memory: base/alloc.h */
    }
    assert(found == memory);
    return trim(span_of(found, len));
}

/* Where two texts differ first, in characters from 1. */
static size_t first_difference(struct span a, struct span b)
{
    size_t position = 1;
    uint32_t x, y;
    while (utf8_take(&a, &x) && utf8_take(&b, &y) && x == y) {
        position++;
    }
    return position;
}

static size_t room_of(struct span text)
{
    return text.len * NFC_GROWTH_MAX + NFC_ROOM;
}

enum err_code text_check(struct span text, struct err *err)
{
    enum err_code rc = check_characters(text, err);
    if (rc != E_OK) {
        return rc;
    }
    if (text.len == 0) {
        return err_set(err, E_MALFORMED, "character 1: an empty text");
    }
    size_t room = room_of(text);
    uint8_t *memory = mem_alloc(room);
    struct span spelling = normalise(memory, room, text);
    if (trim(text).len != text.len) {
        bool is_leading = trim(text).data != text.data;
        rc = err_set(err, E_MALFORMED,
                     is_leading ? "character 1: a blank at the beginning" : "a blank at the end");
    } else if (!span_is_equal(spelling, text)) {
        rc = err_set(err, E_MALFORMED, "character %zu: not in Unicode's form NFC",
                     first_difference(text, spelling));
    }
    crypto_wipe(memory, room);
    mem_free(memory);
    return rc;
}

enum err_code text_put(struct buf *out, struct span text, size_t bytes_max, struct err *err)
{
    if (text.len / NFC_GROWTH_MAX > bytes_max) {
        return err_set(err, E_TOO_LARGE, "over %zu bytes", bytes_max);
    }
    enum err_code rc = check_characters(text, err);
    if (rc != E_OK) {
        return rc;
    }
    size_t room = room_of(text);
    uint8_t *memory = mem_alloc(room);
    struct span spelling = normalise(memory, room, text);
    if (spelling.len == 0) {
        rc = err_set(err, E_MALFORMED, "character 1: an empty text");
    } else if (spelling.len > bytes_max) {
        rc = err_set(err, E_TOO_LARGE, "over %zu bytes", bytes_max);
    } else {
        rc = buf_append(out, spelling, err);
    }
    crypto_wipe(memory, room);
    mem_free(memory);
    return rc;
}
