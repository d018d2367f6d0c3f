/* fuzz_hsm_uri.c -- PKCS#11 URIs: what is taken is whole, decoded within its bounds, and ends in a NUL. */
#include "store/hsm_uri.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hsm_uri *uri = NULL;
    struct err err;
    if (hsm_uri_parse(&uri, span_of(data, size), &err) != E_OK) {
        assert(err.code == E_MALFORMED);
        assert(uri == NULL);
        return 0;
    }
    for (size_t i = 0; i < HSM_ATTRIBUTES; i++) {
        struct span value = uri->values[i];
        if (value.data == NULL) {
            continue;
        }
        assert(value.len > 0 && value.len < size);
        assert(value.data >= uri->bytes);
        assert(value.data + value.len < uri->bytes + sizeof uri->bytes);
        assert(value.data[value.len] == '\0');
        assert(i == HSM_ID || memchr(value.data, '\0', value.len) == NULL);
    }
    assert(hsm_uri_has(uri, HSM_OBJECT) || hsm_uri_has(uri, HSM_ID));
    assert(hsm_uri_text(uri, HSM_MODULE_PATH)[0] == '/');
    assert(hsm_uri_has(uri, HSM_PIN_VALUE) || hsm_uri_text(uri, HSM_PIN_SOURCE)[0] == '/');
    hsm_uri_free(uri);
    return 0;
}
