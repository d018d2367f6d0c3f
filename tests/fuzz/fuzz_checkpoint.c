/* fuzz_checkpoint.c -- checkpoints: parse, then format, gives back the input, up to its extension lines. */
#include "base/ascii.h"
#include "tlog/checkpoint.h"
#include "tlog/merkle.h"
#include "tlog/promise.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct promise promise;
    struct span text = span_of(data, size);
    struct checkpoint checkpoint;
    struct err err;
    if (checkpoint_parse(&checkpoint, text, &err) != E_OK) {
        assert(err.code == E_MALFORMED);
        return 0;
    }
    assert(checkpoint.size <= SIZE_VALUE_MAX);
    struct hash empty = merkle_empty_root();
    assert(checkpoint.size > 0 || hash_is_equal(&checkpoint.root, &empty));
    struct buf again = BUF_INIT(CHECKPOINT_TEXT_MAX);
    checkpoint_put(&again, &checkpoint);
    assert(span_has_prefix(text, buf_span(&again)));
    assert(checkpoint.has_extensions == (again.len < size));
    assert(note_text_is_valid(text));
    assert(promise_parse(&promise, text, &err) != E_OK);
    buf_clear(&again);
    return 0;
}
