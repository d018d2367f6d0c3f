#include "tlog/merkle.h"

#include "base/ascii.h"

#include <assert.h>

static const uint8_t leaf_prefix = 0x00;
static const uint8_t node_prefix = 0x01;

struct hash merkle_empty_root(void)
{
    return sha256((struct span){ NULL, 0 });
}

struct hash merkle_leaf_hash(struct span entry)
{
    struct span parts[] = { { &leaf_prefix, 1 }, entry };
    return sha256_parts(parts, 2);
}

struct hash merkle_node_hash(const struct hash *left, const struct hash *right)
{
    uint8_t bytes[1 + 2 * HASH_BYTES]; /* one update is faster than three */
    bytes[0] = node_prefix;
    memcpy(bytes + 1, left->bytes, HASH_BYTES);
    memcpy(bytes + 1 + HASH_BYTES, right->bytes, HASH_BYTES);
    return sha256(SPAN_OF_ARRAY(bytes));
}

/* The root over subtrees that shrink from left to right; of nothing, the empty root. */
static struct hash fold_from_right(const struct hash *hashes, size_t count)
{
    if (count == 0) {
        return merkle_empty_root();
    }
    struct hash hash = hashes[count - 1];
    for (size_t i = count - 1; i > 0; i--) {
        hash = merkle_node_hash(&hashes[i - 1], &hash);
    }
    return hash;
}

static size_t bit_count(uint64_t value)
{
    return (size_t)__builtin_popcountll(value);
}

/* -- the compact range -- */

void compact_range_init(struct compact_range *range)
{
    range->size = 0;
}

void compact_range_append_node(
    struct compact_range *range, uint8_t level, const struct hash *subtree,
    void (*on_node)(void *ctx, struct merkle_node node, const struct hash *hash), void *ctx)
{
    assert(level < MERKLE_LEVELS_MAX - 1);
    uint64_t entries = (uint64_t)1 << level;
    assert(range->size % entries == 0);
    assert(range->size <= SIZE_VALUE_MAX - entries);
    size_t count = bit_count(range->size);
    struct merkle_node node = { level, range->size >> level };
    struct hash hash = *subtree;
    if (on_node != NULL) {
        on_node(ctx, node, &hash);
    }
    while (node.index & 1) { /* a right child: its left sibling is the last one of the range */
        hash = merkle_node_hash(&range->hashes[--count], &hash);
        node.level++;
        node.index >>= 1;
        if (on_node != NULL) {
            on_node(ctx, node, &hash);
        }
    }
    range->hashes[count] = hash;
    range->size += entries;
}

void compact_range_append(struct compact_range *range, const struct hash *leaf,
                          void (*on_node)(void *ctx, struct merkle_node node,
                                          const struct hash *hash),
                          void *ctx)
{
    compact_range_append_node(range, 0, leaf, on_node, ctx);
}

struct hash compact_range_root(const struct compact_range *range)
{
    return fold_from_right(range->hashes, bit_count(range->size));
}

/* -- hashes from a source -- */

/* Gets the maximal complete nodes of [from, to), left to right: as the range is aligned, one for
 * each bit of its length, the largest first. `hashes` has room for MERKLE_LEVELS_MAX. */
static enum err_code get_cover(struct hash *hashes, size_t *count,
                               const struct merkle_source *source, uint64_t from, uint64_t to,
                               struct err *err)
{
    uint64_t len = to - from;
    size_t n = 0;
    for (unsigned level = MERKLE_LEVELS_MAX; level-- > 0;) {
        if ((len >> level & 1) == 0) {
            continue;
        }
        struct merkle_node node = { (uint8_t)level, from >> level };
        enum err_code rc = source->get(source->ctx, node, &hashes[n], err);
        if (rc != E_OK) {
            return rc;
        }
        n++;
        from += (uint64_t)1 << level;
    }
    *count = n;
    return E_OK;
}

/* `from` is a multiple of the smallest power of two >= to - from. */
static bool is_aligned(uint64_t from, uint64_t to)
{
    uint64_t last = to - from - 1; /* every bit of `from` is above the highest bit of this one */
    return last == 0 || from == 0 || __builtin_ctzll(from) >= 64 - __builtin_clzll(last);
}

enum err_code merkle_range_hash(struct hash *out, const struct merkle_source *source, uint64_t from,
                                uint64_t to, struct err *err)
{
    assert(from < to);
    assert(is_aligned(from, to));
    struct hash hashes[MERKLE_LEVELS_MAX];
    size_t count = 0;
    enum err_code rc = get_cover(hashes, &count, source, from, to, err);
    if (rc == E_OK) {
        *out = fold_from_right(hashes, count);
    }
    return rc;
}

enum err_code merkle_root(struct hash *out, const struct merkle_source *source, uint64_t size,
                          struct err *err)
{
    if (size == 0) {
        *out = merkle_empty_root();
        return E_OK;
    }
    return merkle_range_hash(out, source, 0, size, err);
}

enum err_code compact_range_load(struct compact_range *range, const struct merkle_source *source,
                                 uint64_t size, struct err *err)
{
    struct compact_range loaded = { .size = size };
    size_t count = 0;
    enum err_code rc = get_cover(loaded.hashes, &count, source, 0, size, err);
    if (rc == E_OK) {
        *range = loaded;
    }
    return rc;
}
