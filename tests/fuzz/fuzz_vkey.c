/* fuzz_vkey.c -- verifier and signer keys: parse, then format, gives back the input, with the key
 * ID in lower case. */
#include "tlog/vkey.h"

#include <assert.h>
#include <ctype.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Equal, but for letters of the key ID that are in upper case in `text`. */
static bool is_same_key(struct span again, struct span text)
{
    if (again.len != text.len) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (again.data[i] != text.data[i] && again.data[i] != tolower(text.data[i])) {
            return false;
        }
    }
    return true;
}

static void check_vkey(struct span text)
{
    struct vkey vkey, again;
    struct err err;
    if (vkey_parse(&vkey, text, &err) != E_OK) {
        return;
    }
    struct buf out = BUF_INIT(1024);
    vkey_put(&out, &vkey);
    assert(is_same_key(buf_span(&out), text));
    enum err_code rc = vkey_parse(&again, buf_span(&out), &err);
    assert(rc == E_OK);
    assert(vkey_is_equal(&vkey, &again));
    assert(key_name_is_valid(span_of_str(vkey.name)));
    struct vkey made = vkey.ml_dsa != NULL ? vkey_make_ml_dsa(vkey.name, vkey.ml_dsa)
                                           : vkey_make(vkey.name, vkey.type, &vkey.key);
    assert(vkey_is_equal(&vkey, &made));
    buf_clear(&out);
}

static void check_signer(struct span text)
{
    struct signer signer;
    struct err err;
    if (signer_parse(&signer, text, &err) != E_OK) {
        return;
    }
    struct buf out = BUF_INIT(1024);
    signer_put(&out, &signer);
    if (text.data[text.len - 1] != '\n') {
        buf_truncate(&out, out.len - 1);
    }
    assert(is_same_key(buf_span(&out), text));
    buf_clear(&out);
    signer_clear(&signer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_vkey(span_of(data, size));
    check_signer(span_of(data, size));
    return 0;
}
