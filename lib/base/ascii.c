#include "base/ascii.h"

enum err_code decimal_parse(uint64_t *out, struct span text, uint64_t max, struct err *err)
{
    if (text.len == 0 || text.len > DECIMAL_MAX) {
        return err_set(err, E_MALFORMED, "not a decimal: %zu digits", text.len);
    }
    if (text.data[0] == '0' && text.len > 1) {
        return err_set(err, E_MALFORMED, "decimal with a leading zero");
    }
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c < '0' || c > '9') {
            return err_set(err, E_MALFORMED, "not a decimal: bad character at %zu", i);
        }
        uint64_t digit = (uint64_t)(c - '0');
        if (value > (max - digit) / 10 || digit > max) {
            return err_set(err, E_MALFORMED, "decimal over %llu", (unsigned long long)max);
        }
        value = value * 10 + digit;
    }
    *out = value;
    return E_OK;
}

static const char hex_digits[] = "0123456789abcdef";

void hex_put(struct buf *out, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        buf_put_u8(out, (uint8_t)hex_digits[bytes.data[i] >> 4]);
        buf_put_u8(out, (uint8_t)hex_digits[bytes.data[i] & 15]);
    }
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

enum err_code hex_decode(uint8_t *out, size_t out_len, struct span text, struct err *err)
{
    if (text.len != 2 * out_len) {
        return err_set(err, E_MALFORMED, "hex: %zu digits, expected %zu", text.len, 2 * out_len);
    }
    for (size_t i = 0; i < text.len; i++) {
        if (hex_value(text.data[i]) < 0) {
            return err_set(err, E_MALFORMED, "hex: bad character at %zu", i);
        }
    }
    for (size_t i = 0; i < out_len; i++) {
        out[i] = (uint8_t)(hex_value(text.data[2 * i]) << 4 | hex_value(text.data[2 * i + 1]));
    }
    return E_OK;
}

/* Length of the sequence that `lead` opens, and the smallest code point that needs it; 0 if bad. */
static size_t utf8_sequence(uint8_t lead, uint32_t *bits, uint32_t *least)
{
    if (lead < 0x80) {
        *bits = lead;
        *least = 0;
        return 1;
    }
    if ((lead & 0xe0) == 0xc0) {
        *bits = lead & 0x1f;
        *least = 0x80;
        return 2;
    }
    if ((lead & 0xf0) == 0xe0) {
        *bits = lead & 0x0f;
        *least = 0x800;
        return 3;
    }
    if ((lead & 0xf8) == 0xf0) {
        *bits = lead & 0x07;
        *least = 0x10000;
        return 4;
    }
    return 0;
}

bool utf8_take(struct span *in, uint32_t *code_point)
{
    if (in->len == 0) {
        return false;
    }
    uint32_t value = 0, least = 0;
    size_t len = utf8_sequence(in->data[0], &value, &least);
    if (len == 0 || in->len < len) {
        return false;
    }
    for (size_t i = 1; i < len; i++) {
        if ((in->data[i] & 0xc0) != 0x80) {
            return false;
        }
        value = value << 6 | (in->data[i] & 0x3f);
    }
    if (value < least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
        return false;
    }
    *code_point = value;
    *in = span_slice(*in, len, in->len - len);
    return true;
}

bool utf8_is_valid(struct span text)
{
    uint32_t code_point;
    while (utf8_take(&text, &code_point)) {
    }
    return text.len == 0;
}

void ascii_put_escaped(struct buf *out, struct span text, size_t bytes_max)
{
    size_t len = text.len < bytes_max ? text.len : bytes_max;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text.data[i];
        if (c == '\\' || c == '"') {
            buf_put_u8(out, '\\');
            buf_put_u8(out, c);
        } else if (c >= 0x20 && c < 0x7f) {
            buf_put_u8(out, c);
        } else {
            buf_put_str(out, "\\x");
            hex_put(out, span_of(&c, 1));
        }
    }
    if (len < text.len) {
        buf_put_str(out, "...");
    }
}
