/* fuzz_promise.c -- promises: parse, then format, gives back the input, and that is no checkpoint. */
#include "tlog/checkpoint.h"
#include "tlog/promise.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct promise promise;
    struct span text = span_of(data, size);
    struct err err;
    if (promise_parse(&promise, text, &err) != E_OK) {
        assert(err.code == E_MALFORMED);
        return 0;
    }
    struct buf again = BUF_INIT(PROMISE_TEXT_MAX);
    promise_put_text(&again, promise.origin, promise.items, promise.count);
    assert(span_is_equal(buf_span(&again), text));
    struct checkpoint checkpoint;
    assert(checkpoint_parse(&checkpoint, text, &err) != E_OK);
    buf_clear(&again);
    return 0;
}
