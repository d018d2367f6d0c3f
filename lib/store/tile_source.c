#include "store/tile_source.h"

#include "tlog/bundle.h"

#include <assert.h>

struct tile_path_text tile_path_text(const struct tile_path *path)
{
    struct tile_path_text text;
    struct buf out = BUF_INIT(TILE_PATH_MAX + 1);
    if (path->is_bundle) {
        bundle_path_append(&out, path->id.index, path->width);
    } else {
        tile_path_append(&out, path->id, path->width);
    }
    memcpy(text.text, buf_c_str(&out), out.len + 1);
    buf_clear(&out);
    return text;
}

enum err_code tile_source_read(struct tiles *tiles, const struct tile_path *path, struct buf *out,
                               struct err *err)
{
    struct tile_path_text text = tile_path_text(path);
    size_t before = out->len;
    enum err_code rc = tiles_read(tiles, text.text, out, err);
    if (rc == E_NOT_FOUND) {
        return err_set(err, E_CORRUPT, "%s is missing", text.text);
    }
    if (rc == E_TOO_LARGE) {
        return err_set(err, E_CORRUPT, "%s is too large", text.text);
    }
    if (rc != E_OK) {
        return err_wrap(err, "%s", text.text);
    }
    size_t len = out->len - before;
    if (!path->is_bundle && len != (size_t)path->width * HASH_BYTES) {
        buf_truncate(out, before);
        return err_set(err, E_CORRUPT, "%s has %zu bytes, expected %d", text.text, len,
                       path->width * HASH_BYTES);
    }
    return E_OK;
}

void tile_source_init(struct tile_source *source, struct tiles *tiles, uint64_t size)
{
    assert(size % TILE_WIDTH == 0);
    source->tiles = tiles;
    source->size = size;
    for (size_t i = 0; i < TILE_SOURCE_SLOTS; i++) {
        source->slots[i].is_used = false;
    }
}

static enum err_code get_tile(struct tile_source *source, struct tile_id id, const uint8_t **out,
                              struct err *err)
{
    struct tile_source_slot *slot = &source->slots[(id.level * 5 + id.index) % TILE_SOURCE_SLOTS];
    if (!slot->is_used || slot->id.level != id.level || slot->id.index != id.index) {
        struct buf bytes = BUF_INIT(TILE_BYTES);
        struct tile_path path = { false, id, TILE_WIDTH };
        enum err_code rc = tile_source_read(source->tiles, &path, &bytes, err);
        if (rc == E_OK) {
            memcpy(slot->bytes, bytes.data, TILE_BYTES);
            slot->id = id;
            slot->is_used = true;
        }
        buf_clear(&bytes);
        if (rc != E_OK) {
            return rc;
        }
    }
    *out = slot->bytes;
    return E_OK;
}

/* Goes down to full tiles: the depth is bounded by the node's level. */
static enum err_code get_node(void *ctx, struct merkle_node node, struct hash *out, struct err *err)
{
    struct tile_source *source = ctx;
    if (!merkle_node_is_complete(node, source->size)) {
        return err_set(err, E_NOT_FOUND, "node %u/%llu is not complete at %llu", node.level,
                       (unsigned long long)node.index, (unsigned long long)source->size);
    }
    struct tile_place place = tile_place_of(node);
    if (tile_width(place.id, source->size) == TILE_WIDTH) {
        const uint8_t *tile = NULL;
        enum err_code rc = get_tile(source, place.id, &tile, err);
        if (rc == E_OK) {
            *out = tile_node_hash(span_of(tile, TILE_BYTES), place.first, place.count);
        }
        return rc;
    }
    struct hash halves[2];
    for (uint64_t i = 0; i < 2; i++) {
        struct merkle_node child = { node.level - 1, 2 * node.index + i };
        enum err_code rc = get_node(source, child, &halves[i], err);
        if (rc != E_OK) {
            return rc;
        }
    }
    *out = merkle_node_hash(&halves[0], &halves[1]);
    return E_OK;
}

struct merkle_source tile_source_nodes(struct tile_source *source)
{
    return (struct merkle_source){ .get = get_node, .ctx = source };
}
