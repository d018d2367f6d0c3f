/* payload_json.h -- the canonical JSON of payloads and disclosures: one spelling, wiped when freed.
 *
 * Spec: docs/record.md, "Canonical JSON": what jansson writes compactly with sorted names, and one LF. Reading is
 * lenient, as jansson reads; what was understood is written again and compared, so that one spelling is left.
 * Linking this file makes jansson wipe all memory it gives back, in the whole process. Pure. Any thread.
 */
#ifndef RECORD_PAYLOAD_JSON_H
#define RECORD_PAYLOAD_JSON_H

#include "record/field.h"

#include <jansson.h>

/* An object of this "format". E_MALFORMED with the position. Free with json_decref. */
MUST_USE enum err_code payload_json_load(json_t **out, struct span bytes, const char *format,
                                         struct err *err);
/* E_MALFORMED unless `bytes` is just how `object` is written. */
MUST_USE enum err_code payload_json_check_spelling(const json_t *object, struct span bytes,
                                                   const char *what, struct err *err);
/* Requires room. Leaves no outgrown copies behind when `out` was empty. */
void payload_json_put(struct buf *out, const json_t *object);

json_t *payload_json_hex(struct span bytes);
json_t *payload_json_base64(struct span bytes);

/* A member of `object` that must be a string; E_MALFORMED, naming it. Good while `object` is. */
MUST_USE enum err_code payload_json_text(struct span *out, const json_t *object, const char *name,
                                         struct err *err);
MUST_USE enum err_code payload_json_take_hex(uint8_t *out, size_t len, const json_t *object,
                                             const char *name, struct err *err);
MUST_USE enum err_code payload_json_take_base64(struct buf *out, const json_t *object,
                                                const char *name, struct err *err);
/* A string, or null for nothing; appended. */
MUST_USE enum err_code payload_json_take_text(struct buf *out, const json_t *object,
                                              const char *name, struct err *err);
/* Into a buffer of ORIGIN_BYTES_MAX + 1. */
MUST_USE enum err_code payload_json_take_origin(char *out, const json_t *object, struct err *err);

/* {"salt": ..., "sha256": ... or null} */
json_t *payload_json_document(const uint8_t salt[static FIELD_SALT_BYTES],
                              const struct hash *digest);
MUST_USE enum err_code payload_json_take_document(bool *is_present, struct hash *digest,
                                                  uint8_t salt[static FIELD_SALT_BYTES],
                                                  const json_t *document, struct err *err);

/* One of the 32: {"name": ..., "salt": ..., "value": ... or null}. Requires field_check of a value. */
json_t *payload_json_field(unsigned number, const uint8_t salt[static FIELD_SALT_BYTES],
                           bool is_present, struct span value);
MUST_USE enum err_code payload_json_take_field(unsigned number, bool *is_present,
                                               uint8_t salt[static FIELD_SALT_BYTES],
                                               struct buf *value, const json_t *field,
                                               struct err *err);
/* The array of FIELDS members; E_MALFORMED for any other count. */
MUST_USE enum err_code payload_json_fields(json_t **out, const json_t *object, struct err *err);

#endif
