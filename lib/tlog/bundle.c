#include "tlog/bundle.h"

#include <assert.h>

void bundle_put_entry(struct buf *out, struct span entry)
{
    assert(entry.len <= ENTRY_BYTES_MAX);
    buf_put_u16(out, (uint16_t)entry.len);
    buf_put(out, entry);
}

bool bundle_take_entry(struct span *in, struct span *entry)
{
    struct span rest = *in;
    uint16_t len = 0;
    if (!span_take_u16(&rest, &len) || !span_take(&rest, len, entry)) {
        return false;
    }
    *in = rest;
    return true;
}

/* Takes `count` entries and drops them. */
static enum err_code skip(struct span *in, uint16_t count, struct err *err)
{
    for (unsigned i = 0; i < count; i++) {
        struct span entry;
        if (!bundle_take_entry(in, &entry)) {
            return err_set(err, E_MALFORMED, "bundle: entry %u %s", i,
                           in->len == 0 ? "is missing" : "is cut off");
        }
    }
    return E_OK;
}

enum err_code bundle_leaf_hashes(struct hash *leaves, struct span bundle, uint16_t width,
                                 struct err *err)
{
    assert(width >= 1);
    assert(width <= TILE_WIDTH);
    struct span rest = bundle;
    enum err_code rc = skip(&rest, width, err);
    if (rc != E_OK) {
        return rc;
    }
    if (rest.len > 0) {
        return err_set(err, E_MALFORMED, "bundle: %zu bytes from entry %u on, past the width",
                       rest.len, (unsigned)width);
    }
    struct span entry;
    for (size_t i = 0; bundle_take_entry(&bundle, &entry); i++) {
        leaves[i] = merkle_leaf_hash(entry);
    }
    return E_OK;
}

enum err_code bundle_prefix(struct span *out, struct span bundle, uint16_t width, struct err *err)
{
    struct span rest = bundle;
    enum err_code rc = skip(&rest, width, err);
    if (rc == E_OK) {
        *out = span_slice(bundle, 0, bundle.len - rest.len);
    }
    return rc;
}

enum err_code bundle_entry(struct span *out, struct span bundle, uint16_t position, struct err *err)
{
    enum err_code rc = skip(&bundle, position, err);
    if (rc != E_OK) {
        return rc;
    }
    if (!bundle_take_entry(&bundle, out)) {
        return err_set(err, E_MALFORMED, "bundle: entry %u %s", (unsigned)position,
                       bundle.len == 0 ? "is missing" : "is cut off");
    }
    return E_OK;
}
