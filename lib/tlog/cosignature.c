#include "tlog/cosignature.h"

#include "base/ascii.h"

#include <assert.h>
#include <inttypes.h>

static const char header[] = "cosignature/v1\ntime ";

enum {
    HEADER_BYTES_MAX = sizeof header + DECIMAL_MAX + 1
};

void cosignature_put_message(struct buf *out, uint64_t timestamp, struct span text)
{
    buf_putf(out, "%s%" PRIu64 "\n", header, timestamp);
    buf_put(out, text);
}

enum err_code cosignature_put(struct buf *out, const struct signing_key *key, uint64_t timestamp,
                              struct span text, struct err *err)
{
    assert(timestamp >= 1);
    assert(timestamp <= SIZE_VALUE_MAX);
    struct buf message = BUF_INIT(text.len + HEADER_BYTES_MAX);
    cosignature_put_message(&message, timestamp, text);
    struct ed25519_signature signature;
    enum err_code rc = signing_key_sign(key, buf_span(&message), &signature, err);
    if (rc == E_OK) {
        buf_put_u64(out, timestamp);
        buf_put(out, SPAN_OF_ARRAY(signature.bytes));
    }
    buf_clear(&message);
    return rc;
}

bool cosignature_is_valid(const struct ed25519_public *key, struct span text, struct span signature,
                          uint64_t *timestamp)
{
    uint64_t time;
    struct ed25519_signature raw;
    if (signature.len != COSIGNATURE_BYTES || !span_take_u64(&signature, &time)) {
        return false;
    }
    if (time == 0 || time > SIZE_VALUE_MAX) {
        return false;
    }
    memcpy(raw.bytes, signature.data, sizeof raw.bytes);
    struct buf message = BUF_INIT(text.len + HEADER_BYTES_MAX);
    cosignature_put_message(&message, time, text);
    bool is_valid = ed25519_verify(key, buf_span(&message), &raw);
    buf_clear(&message);
    if (is_valid) {
        *timestamp = time;
    }
    return is_valid;
}
