/* fuzz_peer_notes.c -- what is parsed lies in the input, in order, and is put again as it was. */
#include "tlog/peer_notes.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peer_notes notes;
    struct err err;
    if (size > PEER_NOTES_BYTES_MAX) {
        return 0;
    }
    enum err_code rc = peer_notes_parse(&notes, span_of(data, size), &err);
    if (rc != E_OK) {
        assert(rc == E_MALFORMED);
        return 0;
    }
    struct buf again = BUF_INIT(PEER_NOTES_BYTES_MAX);
    assert(notes.count >= 1 && notes.count <= PEER_NOTES_MAX);
    for (size_t i = 0; i < notes.count; i++) {
        assert(notes.notes[i].data > data && notes.notes[i].len <= size);
        peer_notes_put(&again, notes.notes[i]);
    }
    assert(span_is_equal(buf_span(&again), span_of(data, size)));
    buf_clear(&again);
    return 0;
}
