/* fuzz_payload.c -- payload files: one that is read is written to the same bytes. */
#include "record/payload.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct payload payload;
    struct err err;
    payload_init(&payload);
    if (payload_parse(&payload, span_of(data, size), &err) != E_OK) {
        assert(err.code == E_MALFORMED || err.code == E_TOO_LARGE || err.code == E_BAD_PROOF ||
               err.code == E_BAD_SIGNATURE);
        return 0;
    }
    struct buf again = BUF_INIT(PAYLOAD_BYTES_MAX);
    payload_put(&again, &payload);
    assert(span_is_equal(buf_span(&again), span_of(data, size)));
    buf_clear(&again);
    payload_clear(&payload);
    return 0;
}
