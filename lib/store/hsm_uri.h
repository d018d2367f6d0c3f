/* hsm_uri.h -- the URI that names a key in a PKCS#11 token.
 *
 * Spec: RFC 7512. Strict: an attribute that is not below, or comes twice, or has a character that
 * the RFC wants percent-encoded is refused, as are vendor attributes, so that nothing an operator writes
 * goes unheard. `type` may only be private. A URI names a token (token, serial or slot-id), a key
 * (object or id), a module and one source of the PIN.
 * Pure. Any thread.
 */
#ifndef STORE_HSM_URI_H
#define STORE_HSM_URI_H

#include "base/err.h"
#include "base/span.h"
#include "store/hsm.h"

enum hsm_attribute {
    HSM_TOKEN,
    HSM_MANUFACTURER,
    HSM_MODEL,
    HSM_SERIAL,
    HSM_SLOT_ID,
    HSM_OBJECT,
    HSM_ID, /* any bytes; all others are UTF-8 without control characters */
    HSM_TYPE,
    HSM_MODULE_PATH, /* absolute */
    HSM_PIN_SOURCE,  /* an absolute path: "file:" is taken off */
    HSM_PIN_VALUE,
    HSM_ATTRIBUTES
};

struct hsm_uri {
    struct span
        values[HSM_ATTRIBUTES]; /* of `bytes`, with a NUL behind each; NULL data: not given */
    uint64_t slot_id;           /* when given */
    uint8_t bytes[HSM_URI_MAX + HSM_ATTRIBUTES];
};

/* E_MALFORMED names the attribute, and never tells the PIN. Free with hsm_uri_free. */
MUST_USE enum err_code hsm_uri_parse(struct hsm_uri **out, struct span text, struct err *err);
void hsm_uri_free(struct hsm_uri *uri); /* wipes it; NULL is fine */

bool hsm_uri_has(const struct hsm_uri *uri, enum hsm_attribute attribute);
/* Requires that it was given. */
const char *hsm_uri_text(const struct hsm_uri *uri, enum hsm_attribute attribute);

#endif
