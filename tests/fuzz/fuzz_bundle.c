/* fuzz_bundle.c -- entries taken from a bundle and put again are the same bytes, and the ways to
 * read a bundle agree. The first byte of the input is the width, less one. */
#include "tlog/bundle.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Entry `position` by its number, and the hash of it: the same as by taking one after the other. */
static void check_entry(struct span bundle, uint16_t position, struct span entry,
                        const struct hash *leaf)
{
    struct span found;
    struct err err;
    enum err_code rc = bundle_entry(&found, bundle, position, &err);
    assert(rc == E_OK);
    assert(span_is_equal(found, entry));
    struct hash hash = merkle_leaf_hash(entry);
    assert(hash_is_equal(&hash, leaf));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }
    uint16_t width = (uint16_t)(data[0] + 1);
    struct span bundle = span_of(data + 1, len - 1);
    struct span prefix = { NULL, 0 };
    struct err err;
    static struct hash leaves[TILE_WIDTH];
    enum err_code prefix_rc = bundle_prefix(&prefix, bundle, width, &err);
    enum err_code rc = bundle_leaf_hashes(leaves, bundle, width, &err);
    assert((rc == E_OK) == (prefix_rc == E_OK && prefix.len == bundle.len));
    if (prefix_rc != E_OK) {
        return 0;
    }
    rc = bundle_leaf_hashes(leaves, prefix, width, &err);
    assert(rc == E_OK);
    struct buf again = BUF_INIT(BUNDLE_BYTES_MAX);
    struct span rest = prefix;
    for (uint16_t i = 0; i < width; i++) {
        struct span entry;
        bool is_taken = bundle_take_entry(&rest, &entry);
        assert(is_taken);
        check_entry(bundle, i, entry, &leaves[i]);
        bundle_put_entry(&again, entry);
    }
    assert(rest.len == 0);
    assert(span_is_equal(buf_span(&again), prefix));
    buf_clear(&again);
    return 0;
}
