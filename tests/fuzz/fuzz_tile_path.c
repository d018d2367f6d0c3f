/* fuzz_tile_path.c -- what tile_path_parse accepts is the one spelling of what it understood. */
#include "tlog/tile.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct span text = span_of(data, len);
    struct tile_path path;
    struct err err;
    if (tile_path_parse(&path, text, &err) != E_OK) {
        return 0;
    }
    assert(path.id.level <= TILE_LEVEL_MAX);
    assert(path.width >= 1);
    assert(path.width <= TILE_WIDTH);
    struct buf again = BUF_INIT(TILE_PATH_MAX);
    if (path.is_bundle) {
        assert(path.id.level == 0);
        bundle_path_append(&again, path.id.index, path.width);
    } else {
        tile_path_append(&again, path.id, path.width);
    }
    assert(span_is_equal(buf_span(&again), text));
    buf_clear(&again);
    return 0;
}
