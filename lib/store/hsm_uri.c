#include "store/hsm_uri.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/crypto.h"

#include <assert.h>

struct attribute {
    const char *name;
    bool is_query;
    size_t bytes_max; /* decoded */
};

/* PKCS#11's fields of a token have these lengths; the others are ours. */
static const struct attribute attributes[HSM_ATTRIBUTES] = {
    [HSM_TOKEN] = { "token", false, 32 },
    [HSM_MANUFACTURER] = { "manufacturer", false, 32 },
    [HSM_MODEL] = { "model", false, 16 },
    [HSM_SERIAL] = { "serial", false, 16 },
    [HSM_SLOT_ID] = { "slot-id", false, DECIMAL_MAX },
    [HSM_OBJECT] = { "object", false, 255 },
    [HSM_ID] = { "id", false, 255 },
    [HSM_TYPE] = { "type", false, 16 },
    [HSM_MODULE_PATH] = { "module-path", true, HSM_URI_MAX },
    [HSM_PIN_SOURCE] = { "pin-source", true, HSM_URI_MAX },
    [HSM_PIN_VALUE] = { "pin-value", true, 255 },
};

static bool is_alphanumeric(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* pk11-pchar and pk11-qchar of the RFC, without the percent sign. */
static bool is_plain(uint8_t c, bool is_query)
{
    const char *allowed = is_query ? "-._~:[]@!$'()*+,=/?|" : "-._~:[]@!$'()*+,=&";
    return is_alphanumeric(c) || (c != 0 && strchr(allowed, c) != NULL);
}

/* Decodes into `out`, which has room: what is decoded is no longer than what it was. */
static bool decode(uint8_t *out, size_t *out_len, struct span value, bool is_query)
{
    struct err ignored;
    size_t len = 0;
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if (c == '%') {
            if (value.len - i < 3 ||
                hex_decode(&c, 1, span_slice(value, i + 1, 2), &ignored) != E_OK) {
                return false;
            }
            i += 2;
        } else if (!is_plain(c, is_query)) {
            return false;
        }
        out[len++] = c;
    }
    *out_len = len;
    return true;
}

static bool is_text(struct span value)
{
    uint32_t c;
    if (!utf8_is_valid(value)) {
        return false;
    }
    while (utf8_take(&value, &c)) {
        if (c < 0x20 || (c >= 0x7f && c < 0xa0)) {
            return false;
        }
    }
    return true;
}

static enum err_code malformed(struct err *err, const char *name, const char *what)
{
    return err_set(err, E_MALFORMED, "pkcs11 URI: %s: %s", name, what);
}

static size_t find_attribute(struct span name, bool is_query)
{
    for (size_t i = 0; i < HSM_ATTRIBUTES; i++) {
        if (attributes[i].is_query == is_query && span_is_str(name, attributes[i].name)) {
            return i;
        }
    }
    return HSM_ATTRIBUTES;
}

/* Takes one "name=value". `used` counts the bytes of uri->bytes. */
static enum err_code take_attribute(struct hsm_uri *uri, size_t *used, struct span text,
                                    bool is_query, struct err *err)
{
    struct span name;
    if (!span_take_until(&text, '=', &name)) {
        return malformed(err, is_query ? "behind '?'" : "path", "NAME=VALUE is missing");
    }
    size_t i = find_attribute(name, is_query);
    if (i == HSM_ATTRIBUTES) {
        struct buf shown = BUF_INIT(128);
        ascii_put_escaped(&shown, name, 15);
        malformed(err, buf_c_str(&shown), "not an attribute that is known there");
        buf_clear(&shown);
        return E_MALFORMED;
    }
    if (uri->values[i].data != NULL) {
        return malformed(err, attributes[i].name, "given twice");
    }
    size_t len;
    uint8_t *bytes = uri->bytes + *used;
    if (!decode(bytes, &len, text, is_query)) {
        return malformed(err, attributes[i].name, "a character must be percent-encoded");
    }
    struct span value = span_of(bytes, len);
    if (len == 0 || len > attributes[i].bytes_max) {
        return malformed(err, attributes[i].name, len == 0 ? "empty" : "too long");
    }
    if (i != HSM_ID && !is_text(value)) {
        return malformed(err, attributes[i].name, "not UTF-8, or a control character");
    }
    uri->values[i] = value;
    *used += len + 1; /* the bytes were zero: a NUL */
    return E_OK;
}

static enum err_code take_attributes(struct hsm_uri *uri, size_t *used, struct span text,
                                     bool is_query, struct err *err)
{
    uint8_t separator = is_query ? '&' : ';';
    struct span one;
    while (span_take_until(&text, separator, &one)) {
        if (take_attribute(uri, used, one, is_query, err) != E_OK) {
            return err->code;
        }
    }
    return take_attribute(uri, used, text, is_query, err);
}

/* What is missing, or contradicts itself. */
static enum err_code check(struct hsm_uri *uri, struct err *err)
{
    struct span *values = uri->values;
    if (!hsm_uri_has(uri, HSM_TOKEN) && !hsm_uri_has(uri, HSM_SERIAL) &&
        !hsm_uri_has(uri, HSM_SLOT_ID)) {
        return malformed(err, "token", "missing (or serial, or slot-id)");
    }
    if (!hsm_uri_has(uri, HSM_OBJECT) && !hsm_uri_has(uri, HSM_ID)) {
        return malformed(err, "object", "missing (or id)");
    }
    if (hsm_uri_has(uri, HSM_TYPE) && !span_is_str(values[HSM_TYPE], "private")) {
        return malformed(err, "type", "can only be private");
    }
    if (hsm_uri_has(uri, HSM_SLOT_ID) &&
        decimal_parse(&uri->slot_id, values[HSM_SLOT_ID], UINT32_MAX, err) != E_OK) {
        return malformed(err, "slot-id", "not a number");
    }
    if (!hsm_uri_has(uri, HSM_MODULE_PATH)) {
        return malformed(err, "module-path", "missing");
    }
    if (values[HSM_MODULE_PATH].data[0] != '/') {
        return malformed(err, "module-path", "not an absolute path");
    }
    if (hsm_uri_has(uri, HSM_PIN_SOURCE) == hsm_uri_has(uri, HSM_PIN_VALUE)) {
        return malformed(err, "pin-source",
                         hsm_uri_has(uri, HSM_PIN_VALUE) ? "given together with pin-value"
                                                         : "missing (or pin-value)");
    }
    if (hsm_uri_has(uri, HSM_PIN_SOURCE)) {
        span_take_prefix(&values[HSM_PIN_SOURCE], span_of_str("file:"));
        if (values[HSM_PIN_SOURCE].len == 0 || values[HSM_PIN_SOURCE].data[0] != '/') {
            return malformed(err, "pin-source", "not an absolute path, with or without file:");
        }
    }
    return E_OK;
}

enum err_code hsm_uri_parse(struct hsm_uri **out, struct span text, struct err *err)
{
    if (text.len > HSM_URI_MAX) {
        return err_set(err, E_MALFORMED, "pkcs11 URI: over %d bytes", HSM_URI_MAX);
    }
    if (!span_take_prefix(&text, span_of_str("pkcs11:"))) {
        return err_set(err, E_MALFORMED, "pkcs11 URI: it begins with pkcs11:");
    }
    struct hsm_uri *uri = NEW(struct hsm_uri);
    size_t used = 0;
    struct span path = text, query = text;
    bool has_query = span_take_until(&query, '?', &path);
    enum err_code rc = take_attributes(uri, &used, path, false, err);
    if (rc == E_OK && has_query) {
        rc = take_attributes(uri, &used, query, true, err);
    }
    if (rc == E_OK) {
        rc = check(uri, err);
    }
    if (rc != E_OK) {
        hsm_uri_free(uri);
        return rc;
    }
    *out = uri;
    return E_OK;
}

void hsm_uri_free(struct hsm_uri *uri)
{
    if (uri != NULL) {
        crypto_wipe(uri, sizeof *uri);
        mem_free(uri);
    }
}

bool hsm_uri_has(const struct hsm_uri *uri, enum hsm_attribute attribute)
{
    return uri->values[attribute].data != NULL;
}

const char *hsm_uri_text(const struct hsm_uri *uri, enum hsm_attribute attribute)
{
    assert(hsm_uri_has(uri, attribute));
    return (const char *)uri->values[attribute].data;
}
