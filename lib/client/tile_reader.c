#include "client/tile_reader.h"

#include "base/alloc.h"
#include "store/tile_source.h"
#include "tlog/bundle.h"

#include <assert.h>

enum {
    SLOTS = 64
};

struct slot {
    struct tile_id id;
    uint64_t used_at; /* 0: empty */
    struct hash hashes[TILE_WIDTH];
};

struct tile_reader {
    struct log_reader *reader; /* borrowed */
    uint64_t size;
    uint64_t clock;
    struct hash edge[TILE_LEVELS][TILE_WIDTH]; /* the partial tile of each level, checked */
    struct slot slots[SLOTS];                  /* full tiles, checked */
};

static enum err_code fetch(struct log_reader *reader, struct tile_id id, uint16_t width,
                           struct hash *out, struct err *err)
{
    struct buf bytes = BUF_INIT(TILE_BYTES);
    enum err_code rc =
        log_reader_get_tile(reader, &(struct tile_path){ false, id, width }, &bytes, err);
    if (rc == E_OK) {
        memcpy(out, bytes.data, (size_t)width * HASH_BYTES);
    }
    buf_clear(&bytes);
    return rc;
}

/* Nodes of the edge's partial tiles: all that a root needs. */
static enum err_code edge_node(void *ctx, struct merkle_node node, struct hash *out,
                               struct err *err)
{
    (void)err;
    struct tile_reader *tiles = ctx;
    struct tile_place place = tile_place_of(node);
    assert(tile_width(place.id, tiles->size) < TILE_WIDTH);
    *out = tile_node_hash(SPAN_OF_ARRAY(tiles->edge[place.id.level]), place.first, place.count);
    return E_OK;
}

static enum err_code load_edge(struct tile_reader *tiles, const struct hash *root, struct err *err)
{
    for (uint8_t level = 0; level < TILE_LEVELS; level++) {
        struct tile_id id = { level, tiles->size >> (TILE_HEIGHT * level) >> TILE_HEIGHT };
        uint16_t width = tile_width(id, tiles->size);
        if (width == 0) {
            continue;
        }
        enum err_code rc = fetch(tiles->reader, id, width, tiles->edge[level], err);
        if (rc != E_OK) {
            return rc;
        }
    }
    struct hash found;
    struct merkle_source source = { edge_node, tiles };
    enum err_code rc = merkle_root(&found, &source, tiles->size, err);
    if (rc == E_OK && !hash_is_equal(&found, root)) {
        rc = err_set(err, E_CORRUPT,
                     "the partial tiles of size %ju do not hash to the signed root: run fsck",
                     (uintmax_t)tiles->size);
    }
    return rc;
}

enum err_code tile_reader_open(struct tile_reader **out, struct log_reader *reader, uint64_t size,
                               const struct hash *root, struct err *err)
{
    struct tile_reader *tiles = NEW(struct tile_reader);
    tiles->reader = reader;
    tiles->size = size;
    enum err_code rc = load_edge(tiles, root, err);
    if (rc != E_OK) {
        tile_reader_close(tiles);
        return rc;
    }
    *out = tiles;
    return E_OK;
}

void tile_reader_close(struct tile_reader *tiles)
{
    mem_free(tiles);
}

static struct slot *find(struct tile_reader *tiles, struct tile_id id)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &tiles->slots[i];
        if (slot->used_at > 0 && slot->id.level == id.level && slot->id.index == id.index) {
            return slot;
        }
    }
    return NULL;
}

static struct slot *oldest(struct tile_reader *tiles)
{
    struct slot *slot = &tiles->slots[0];
    for (size_t i = 1; i < SLOTS; i++) {
        if (tiles->slots[i].used_at < slot->used_at) {
            slot = &tiles->slots[i];
        }
    }
    return slot;
}

/* Recursion ends at the edge, TILE_LEVELS levels up at most. */
enum err_code tile_reader_get(struct tile_reader *tiles, struct tile_id id, const struct hash **out,
                              struct err *err)
{
    uint16_t width = tile_width(id, tiles->size);
    assert(width > 0);
    if (width < TILE_WIDTH) {
        *out = tiles->edge[id.level];
        return E_OK;
    }
    struct slot *slot = find(tiles, id);
    if (slot == NULL) {
        const struct hash *parent = NULL;
        struct tile_id parent_id = { (uint8_t)(id.level + 1), id.index / TILE_WIDTH };
        enum err_code rc = tile_reader_get(tiles, parent_id, &parent, err);
        if (rc != E_OK) {
            return rc;
        }
        struct hash expected = parent[id.index % TILE_WIDTH];
        slot = oldest(tiles);
        slot->used_at = 0;
        rc = fetch(tiles->reader, id, width, slot->hashes, err);
        if (rc != E_OK) {
            return rc;
        }
        struct hash found = tile_root(SPAN_OF_ARRAY(slot->hashes));
        if (!hash_is_equal(&found, &expected)) {
            struct tile_path path = { false, id, width };
            return err_set(err, E_CORRUPT, "%s does not hash to what the signed tree holds for it",
                           tile_path_text(&path).text);
        }
        slot->id = id;
    }
    slot->used_at = ++tiles->clock;
    *out = slot->hashes;
    return E_OK;
}

enum err_code tile_reader_get_bundle(struct tile_reader *tiles, uint64_t index, struct buf *out,
                                     struct err *err)
{
    struct tile_path path = { true,
                              { 0, index },
                              tile_width((struct tile_id){ 0, index }, tiles->size) };
    const struct hash *leaves = NULL;
    enum err_code rc = tile_reader_get(tiles, path.id, &leaves, err);
    if (rc != E_OK) {
        return rc;
    }
    struct buf bytes = BUF_INIT(BUNDLE_BYTES_MAX);
    struct hash found[TILE_WIDTH];
    rc = log_reader_get_tile(tiles->reader, &path, &bytes, err);
    if (rc == E_OK) {
        rc = bundle_leaf_hashes(found, buf_span(&bytes), path.width, err);
    }
    for (size_t i = 0; rc == E_OK && i < path.width; i++) {
        if (!hash_is_equal(&found[i], &leaves[i])) {
            rc = err_set(err, E_CORRUPT, "%s: entry %ju is not the one that the log signed",
                         tile_path_text(&path).text, (uintmax_t)(index * TILE_WIDTH + i));
        }
    }
    if (rc == E_OK) {
        rc = buf_append(out, buf_span(&bytes), err);
    }
    buf_clear(&bytes);
    return rc;
}

static enum err_code get_node(void *ctx, struct merkle_node node, struct hash *out, struct err *err)
{
    struct tile_reader *tiles = ctx;
    if (!merkle_node_is_complete(node, tiles->size)) {
        return err_set(err, E_NOT_FOUND, "no complete node %u/%ju at size %ju", node.level,
                       (uintmax_t)node.index, (uintmax_t)tiles->size);
    }
    struct tile_place place = tile_place_of(node);
    const struct hash *hashes = NULL;
    enum err_code rc = tile_reader_get(tiles, place.id, &hashes, err);
    if (rc == E_OK) {
        struct span span = span_of(hashes, (size_t)tile_width(place.id, tiles->size) * HASH_BYTES);
        *out = tile_node_hash(span, place.first, place.count);
    }
    return rc;
}

struct merkle_source tile_reader_source(struct tile_reader *tiles)
{
    return (struct merkle_source){ get_node, tiles };
}
