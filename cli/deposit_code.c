#include "cli/deposit_code.h"

#include "base/ascii.h"
#include "base/crypto.h"

#include <assert.h>

static_assert(DEPOSIT_LINK_BYTES_MAX <= 213, "a QR code of version 10, level M, in bytes");
static_assert(DEPOSIT_LOG_ID_BYTES == DEPOSIT_CODE_SALT_BYTES, "put_16 and take_16 serve both");

enum {
    CHARS_OF_16 = 22 /* base64url without padding */
};

struct deposit_code deposit_code_make(const char *origin, uint64_t index, const uint8_t *salt)
{
    struct deposit_code code = { .index = index, .has_salt = salt != NULL };
    struct hash hash = sha256(span_of_str(origin));
    memcpy(code.log_id, hash.bytes, sizeof code.log_id);
    if (salt != NULL) {
        memcpy(code.salt, salt, sizeof code.salt);
    }
    return code;
}

/* base64 and base64url differ in two characters. */
static void put_16(struct buf *out, const uint8_t *bytes)
{
    struct buf text = BUF_INIT(32);
    base64_put(&text, span_of(bytes, DEPOSIT_LOG_ID_BYTES));
    for (size_t i = 0; i < CHARS_OF_16; i++) {
        uint8_t c = text.data[i];
        buf_put_u8(out, c == '+' ? '-' : c == '/' ? '_' : c);
    }
    crypto_wipe_buf(&text);
}

static bool take_16(uint8_t *out, struct span *in)
{
    struct span text;
    struct err err;
    struct buf base64 = BUF_INIT(32), bytes = BUF_INIT(32);
    if (!span_take(in, CHARS_OF_16, &text)) {
        return false;
    }
    bool is_good = true;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        is_good = is_good && c != '+' && c != '/';
        buf_put_u8(&base64, c == '-' ? '+' : c == '_' ? '/' : c);
    }
    buf_put_str(&base64, "==");
    is_good = is_good &&
              base64_append_decoded(&bytes, buf_span(&base64), BASE64_STRICT, &err) == E_OK &&
              bytes.len == DEPOSIT_LOG_ID_BYTES;
    if (is_good) {
        memcpy(out, bytes.data, bytes.len);
    }
    crypto_wipe_buf(&base64);
    crypto_wipe_buf(&bytes);
    return is_good;
}

void deposit_code_put(struct buf *out, const struct deposit_code *code)
{
    buf_put_str(out, "c1.");
    put_16(out, code->log_id);
    buf_putf(out, ".%ju.", (uintmax_t)code->index);
    if (code->has_salt) {
        put_16(out, code->salt);
    }
}

void deposit_code_put_link(struct buf *out, const struct deposit_code *code, struct span address)
{
    buf_put(out, address);
    buf_put_str(out, "/verify#");
    deposit_code_put(out, code);
}

void deposit_code_put_number(struct buf *out, const struct deposit_code *code)
{
    put_16(out, code->log_id);
    buf_putf(out, "-%ju", (uintmax_t)code->index);
}

enum err_code deposit_code_parse(struct deposit_code *out, struct span text, struct err *err)
{
    struct deposit_code code = { .has_salt = false };
    struct span index;
    size_t fragment = span_find(text, span_of_str("/verify#"));
    if (fragment != SIZE_MAX) {
        if (deposit_address_check(span_slice(text, 0, fragment), err) != E_OK) {
            return err_wrap(err, "the code");
        }
        text = span_slice(text, fragment + 8, text.len - fragment - 8);
    }
    if (!span_take_prefix(&text, span_of_str("c1.")) || !take_16(code.log_id, &text) ||
        !span_take_prefix(&text, span_of_str(".")) || !span_take_until(&text, '.', &index) ||
        decimal_parse(&code.index, index, SIZE_VALUE_MAX, err) != E_OK) {
        return err_set(err, E_MALFORMED, "the code: not c1.<log id>.<index>.<salt>");
    }
    code.has_salt = text.len > 0;
    if (code.has_salt && (!take_16(code.salt, &text) || text.len > 0)) {
        return err_set(err, E_MALFORMED, "the code: its salt is not one");
    }
    *out = code;
    crypto_wipe(&code, sizeof code);
    return E_OK;
}

static bool is_host_char(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
}

enum err_code deposit_address_check(struct span address, struct err *err)
{
    struct span rest = address;
    uint64_t port = 1;
    bool is_plain = false;
    if (address.len > DEPOSIT_ADDRESS_BYTES_MAX) {
        return err_set(err, E_MALFORMED, "address: more than %d bytes", DEPOSIT_ADDRESS_BYTES_MAX);
    }
    if (!span_take_prefix(&rest, span_of_str("https://"))) {
        is_plain = span_take_prefix(&rest, span_of_str("http://"));
        if (!is_plain) {
            return err_set(err, E_MALFORMED, "address: not https://HOST[:PORT]");
        }
    }
    size_t host = 0;
    while (host < rest.len && is_host_char(rest.data[host])) {
        host++;
    }
    struct span name = span_slice(rest, 0, host);
    rest = span_slice(rest, host, rest.len - host);
    bool is_good = name.len > 0 && name.data[0] != '.' && name.data[0] != '-';
    if (rest.len > 0) {
        is_good = is_good && span_take_prefix(&rest, span_of_str(":")) &&
                  decimal_parse(&port, rest, 65535, err) == E_OK && port > 0;
    }
    if (!is_good) {
        return err_set(err, E_MALFORMED,
                       "address: not https://HOST[:PORT] in lower case, without a path");
    }
    if (is_plain && !span_is_str(name, "localhost") && !span_is_str(name, "127.0.0.1")) {
        return err_set(
            err, E_MALFORMED,
            "address: http:// is for this machine only: a page without TLS cannot check");
    }
    return E_OK;
}
