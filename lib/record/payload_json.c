#include "record/payload_json.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/limits.h"
#include "record/operation.h"

#include <assert.h>
#include <malloc.h>

/* Salts and values pass through jansson's strings, which it would give back as they are. */
static void wipe_and_free(void *memory)
{
    if (memory != NULL) {
        crypto_wipe(memory, malloc_usable_size(memory));
    }
    mem_free(memory);
}

/* Before main: jansson's allocator is one for the process and must not change later. What was allocated before
 * came from the same heap. */
__attribute__((constructor)) static void make_jansson_wipe(void)
{
    json_set_alloc_funcs(mem_alloc, wipe_and_free);
}

enum err_code payload_json_load(json_t **out, struct span bytes, const char *format,
                                struct err *err)
{
    json_error_t problem;
    struct span found;
    json_t *object =
        json_loadb((const char *)bytes.data, bytes.len, JSON_REJECT_DUPLICATES, &problem);
    if (object == NULL) { /* its words would quote the text */
        return err_set(err, E_MALFORMED, "no %s: not JSON at byte %d", format, problem.position);
    }
    if (!json_is_object(object) || payload_json_text(&found, object, "format", err) != E_OK ||
        !span_is_str(found, format)) {
        json_decref(object);
        return err_set(err, E_MALFORMED, "no %s: the member \"format\" does not say so", format);
    }
    *out = object;
    return E_OK;
}

static int compare_chunk(const char *bytes, size_t len, void *ctx)
{
    struct span *rest = ctx;
    return span_take_prefix(rest, span_of(bytes, len)) ? 0 : -1;
}

static int count_chunk(const char *bytes, size_t len, void *ctx)
{
    size_t *count = ctx;
    (void)bytes;
    *count += len;
    return 0;
}

static int put_chunk(const char *bytes, size_t len, void *ctx)
{
    buf_put(ctx, span_of(bytes, len));
    return 0;
}

enum {
    CANONICAL = JSON_COMPACT | JSON_SORT_KEYS
};

enum err_code payload_json_check_spelling(const json_t *object, struct span bytes, const char *what,
                                          struct err *err)
{
    struct span rest = bytes;
    if (json_dump_callback(object, compare_chunk, &rest, CANONICAL) != 0 ||
        !span_is_str(rest, "\n")) {
        return err_set(err, E_MALFORMED,
                       "the %s is not in its one spelling: it differs after byte %zu", what,
                       bytes.len - rest.len);
    }
    return E_OK;
}

void payload_json_put(struct buf *out, const json_t *object)
{
    size_t count = 1;
    int rc = json_dump_callback(object, count_chunk, &count, CANONICAL);
    assert(rc == 0);
    size_t before = out->len;
    (void)buf_extend(out, count); /* room for all, so that growing leaves nothing behind */
    buf_truncate(out, before);
    rc = json_dump_callback(object, put_chunk, out, CANONICAL);
    assert(rc == 0);
    buf_put_str(out, "\n");
}

/* Takes the text out of the buffer, which is wiped. */
static json_t *text_json(struct buf *text)
{
    json_t *json = json_stringn(text->data != NULL ? (const char *)text->data : "", text->len);
    assert(json != NULL); /* ours is UTF-8 */
    crypto_wipe_buf(text);
    return json;
}

json_t *payload_json_hex(struct span bytes)
{
    struct buf text = BUF_INIT(2 * bytes.len);
    (void)buf_extend(&text, 2 * bytes.len);
    buf_reset(&text);
    hex_put(&text, bytes);
    return text_json(&text);
}

json_t *payload_json_base64(struct span bytes)
{
    struct buf text = BUF_INIT((bytes.len + 2) / 3 * 4 + 1); /* the encoder ends with a NUL */
    base64_put(&text, bytes);
    return text_json(&text);
}

static struct span span_of_json(const json_t *text)
{
    return span_of(json_string_value(text), json_string_length(text));
}

enum err_code payload_json_text(struct span *out, const json_t *object, const char *name,
                                struct err *err)
{
    const json_t *member = json_object_get(object, name);
    if (!json_is_string(member)) {
        return err_set(err, E_MALFORMED, "%s: a string is missing", name);
    }
    *out = span_of_json(member);
    return E_OK;
}

enum err_code payload_json_take_hex(uint8_t *out, size_t len, const json_t *object,
                                    const char *name, struct err *err)
{
    struct span text;
    enum err_code rc = payload_json_text(&text, object, name, err);
    if (rc == E_OK && hex_decode(out, len, text, err) != E_OK) {
        rc = err_set(err, E_MALFORMED, "%s: not the hex digits of %zu bytes", name, len);
    }
    return rc;
}

enum err_code payload_json_take_base64(struct buf *out, const json_t *object, const char *name,
                                       struct err *err)
{
    struct span text;
    enum err_code rc = payload_json_text(&text, object, name, err);
    if (rc == E_OK) {
        rc = base64_append_decoded(out, text, BASE64_STRICT, err);
        if (rc != E_OK) {
            return err_wrap(err, "%s", name);
        }
    }
    return rc;
}

enum err_code payload_json_take_text(struct buf *out, const json_t *object, const char *name,
                                     struct err *err)
{
    struct span text;
    if (json_is_null(json_object_get(object, name))) {
        return E_OK;
    }
    enum err_code rc = payload_json_text(&text, object, name, err);
    if (rc == E_OK && text.len == 0) {
        rc = err_set(err, E_MALFORMED, "%s: an empty string, where null is meant", name);
    }
    if (rc == E_OK && buf_append(out, text, err) != E_OK) {
        rc = err_wrap(err, "%s", name);
    }
    return rc;
}

enum err_code payload_json_take_origin(char *out, const json_t *object, struct err *err)
{
    struct span text;
    enum err_code rc = payload_json_text(&text, object, "origin", err);
    if (rc == E_OK && (text.len == 0 || text.len > ORIGIN_BYTES_MAX)) {
        rc = err_set(err, E_MALFORMED, "origin: not 1 to %d bytes", ORIGIN_BYTES_MAX);
    }
    if (rc == E_OK) {
        memcpy(out, text.data, text.len); /* no NUL inside: jansson refuses it */
        out[text.len] = '\0';
    }
    return rc;
}

json_t *payload_json_document(const uint8_t salt[static FIELD_SALT_BYTES],
                              const struct hash *digest)
{
    json_t *document = json_object();
    json_object_set_new(document, "salt", payload_json_hex(span_of(salt, FIELD_SALT_BYTES)));
    json_object_set_new(document, "sha256",
                        digest != NULL ? payload_json_hex(hash_span(digest)) : json_null());
    return document;
}

enum err_code payload_json_take_document(bool *is_present, struct hash *digest,
                                         uint8_t salt[static FIELD_SALT_BYTES],
                                         const json_t *document, struct err *err)
{
    if (!json_is_object(document)) {
        return err_set(err, E_MALFORMED, "document: an object is missing");
    }
    enum err_code rc = payload_json_take_hex(salt, FIELD_SALT_BYTES, document, "salt", err);
    *is_present = !json_is_null(json_object_get(document, "sha256"));
    if (rc == E_OK && *is_present) {
        rc = payload_json_take_hex(digest->bytes, HASH_BYTES, document, "sha256", err);
    }
    return rc == E_OK ? E_OK : err_wrap(err, "document");
}

json_t *payload_json_field(unsigned number, const uint8_t salt[static FIELD_SALT_BYTES],
                           bool is_present, struct span value)
{
    enum {
        TEXT_BYTES_MAX = 4 * FIELD_VALUE_BYTES_MAX /* hex digits are twice as long */
    };
    struct buf text = BUF_INIT(TEXT_BYTES_MAX);
    json_t *field = json_object();
    json_object_set_new(field, "name", json_string(field_definition(number)->name));
    json_object_set_new(field, "salt", payload_json_hex(span_of(salt, FIELD_SALT_BYTES)));
    if (is_present) {
        (void)buf_extend(&text, TEXT_BYTES_MAX);
        buf_reset(&text);
        field_put_text(&text, number, value);
    }
    json_object_set_new(field, "value", is_present ? text_json(&text) : json_null());
    return field;
}

enum err_code payload_json_take_field(unsigned number, bool *is_present,
                                      uint8_t salt[static FIELD_SALT_BYTES], struct buf *value,
                                      const json_t *field, struct err *err)
{
    struct span text;
    enum err_code rc = payload_json_take_hex(salt, FIELD_SALT_BYTES, field, "salt", err);
    *is_present = !json_is_null(json_object_get(field, "value"));
    if (rc == E_OK && *is_present) {
        rc = payload_json_text(&text, field, "value", err);
    }
    if (rc != E_OK) {
        return err_wrap(err, "field %s", field_definition(number)->name);
    }
    if (*is_present) { /* at once: growing would leave copies */
        (void)buf_extend(value, buf_room(value));
        buf_reset(value);
        rc = field_put_value(value, number, text, err); /* which names the field */
    }
    return rc;
}

enum err_code payload_json_fields(json_t **out, const json_t *object, struct err *err)
{
    json_t *fields = json_object_get(object, "fields");
    if (!json_is_array(fields) || json_array_size(fields) != FIELDS) {
        return err_set(err, E_MALFORMED, "fields: not exactly %d of them", FIELDS);
    }
    *out = fields;
    return E_OK;
}
