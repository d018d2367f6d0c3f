#include "tlog/edge.h"

#include "base/alloc.h"

#include <assert.h>

void edge_init(struct edge *edge)
{
    compact_range_init(&edge->range);
    buf_init(&edge->bundle, BUNDLE_BYTES_MAX);
}

void edge_clear(struct edge *edge)
{
    compact_range_init(&edge->range);
    buf_clear(&edge->bundle);
}

struct hash edge_root(const struct edge *edge)
{
    return compact_range_root(&edge->range);
}

/* Hashes on a tile level of a tree, and how many of them are in the partial tile. */
static uint64_t level_hashes(uint64_t size, unsigned level)
{
    return size >> (TILE_HEIGHT * level);
}

static uint16_t partial_width(uint64_t size, unsigned level)
{
    return (uint16_t)(level_hashes(size, level) % TILE_WIDTH);
}

struct append {
    struct edge *edge;
    edge_on_resource on_full;
    void *ctx;
};

/* Every TILE_HEIGHT levels a node is a hash of a tile. */
static void add_node(void *ctx, struct merkle_node node, const struct hash *hash)
{
    struct append *append = ctx;
    if (node.level % TILE_HEIGHT != 0) {
        return;
    }
    uint8_t level = node.level / TILE_HEIGHT;
    struct hash *tile = append->edge->tiles[level];
    size_t position = node.index % TILE_WIDTH;
    tile[position] = *hash;
    if (position == TILE_WIDTH - 1) {
        struct tile_path path = { false, { level, node.index / TILE_WIDTH }, TILE_WIDTH };
        append->on_full(append->ctx, &path, span_of(tile, TILE_BYTES));
    }
}

void edge_append(struct edge *edge, struct span entry, const struct hash *leaf,
                 edge_on_resource on_full, void *ctx)
{
    uint64_t index = edge_size(edge);
    bundle_put_entry(&edge->bundle, entry);
    if (index % TILE_WIDTH == TILE_WIDTH - 1) {
        struct tile_path path = { true, { 0, index / TILE_WIDTH }, TILE_WIDTH };
        on_full(ctx, &path, buf_span(&edge->bundle));
        buf_reset(&edge->bundle);
    }
    struct append append = { edge, on_full, ctx };
    compact_range_append(&edge->range, leaf, add_node, &append);
}

void edge_put_partials(const struct edge *edge, edge_on_resource on_partial, void *ctx)
{
    uint64_t size = edge_size(edge);
    if (size % TILE_WIDTH != 0) {
        struct tile_path path = { true, { 0, size / TILE_WIDTH }, partial_width(size, 0) };
        on_partial(ctx, &path, buf_span(&edge->bundle));
    }
    for (uint8_t level = 0; level < TILE_LEVELS; level++) {
        uint16_t width = partial_width(size, level);
        if (width > 0) {
            uint64_t index = level_hashes(size, level) / TILE_WIDTH;
            struct tile_path path = { false, { level, index }, width };
            on_partial(ctx, &path, span_of(edge->tiles[level], (size_t)width * HASH_BYTES));
        }
    }
}

void edge_copy(struct edge *to, const struct edge *from)
{
    assert(to != from);
    to->range = from->range;
    for (unsigned level = 0; level < TILE_LEVELS; level++) {
        size_t width = partial_width(edge_size(from), level);
        memcpy(to->tiles[level], from->tiles[level], width * HASH_BYTES);
    }
    buf_reset(&to->bundle);
    buf_put(&to->bundle, buf_span(&from->bundle));
}

/* The hashes of the partial tile of `level`. */
static enum err_code load_tile(struct hash *tile, const struct merkle_source *source, uint64_t size,
                               uint8_t level, struct err *err)
{
    uint16_t width = partial_width(size, level);
    struct merkle_node node = { (uint8_t)(TILE_HEIGHT * level), level_hashes(size, level) - width };
    for (size_t i = 0; i < width; i++, node.index++) {
        enum err_code rc = source->get(source->ctx, node, &tile[i], err);
        if (rc != E_OK) {
            return rc;
        }
    }
    return E_OK;
}

enum err_code edge_load(struct edge *edge, const struct merkle_source *source, uint64_t size,
                        struct err *err)
{
    struct edge *loaded = NEW(struct edge); /* too big for a stack */
    edge_init(loaded);
    enum err_code rc = compact_range_load(&loaded->range, source, size, err);
    for (uint8_t level = 0; rc == E_OK && level < TILE_LEVELS; level++) {
        rc = load_tile(loaded->tiles[level], source, size, level, err);
    }
    if (rc == E_OK) {
        edge_copy(edge, loaded);
    }
    edge_clear(loaded);
    mem_free(loaded);
    return rc;
}
