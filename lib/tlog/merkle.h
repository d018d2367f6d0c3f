/* merkle.h -- hashing of RFC 6962 trees, and the compact range of a tree that grows.
 *
 * Spec: RFC 6962 section 2.1, with SHA-256.
 * Pure. Any thread.
 *
 * A node (level, index) covers entries [index << level, (index + 1) << level). It is complete in
 * a tree of `size` entries when (index + 1) << level <= size; only complete nodes are ever stored.
 */
#ifndef TLOG_MERKLE_H
#define TLOG_MERKLE_H

#include "base/crypto.h"
#include "base/err.h"

enum {
    MERKLE_LEVELS_MAX = 64
};

struct hash merkle_empty_root(void); /* of a tree without entries: SHA-256 of nothing */
struct hash merkle_leaf_hash(struct span entry);
struct hash merkle_node_hash(const struct hash *left, const struct hash *right);

struct merkle_node {
    uint8_t level;
    uint64_t index;
};

static inline bool merkle_node_is_complete(struct merkle_node node, uint64_t size)
{
    return node.level < MERKLE_LEVELS_MAX && node.index < size >> node.level;
}

/* The hashes of the maximal complete subtrees of a tree, left to right: all that is needed to
 * append to it and to know its root. */
struct compact_range {
    uint64_t size;                         /* entries */
    struct hash hashes[MERKLE_LEVELS_MAX]; /* popcount(size) of them */
};

void compact_range_init(struct compact_range *range); /* size 0 */

/* Appends one leaf hash. `on_node` (may be NULL) is told each node that becomes complete, from the
 * leaf upward. Requires size < SIZE_VALUE_MAX. */
void compact_range_append(struct compact_range *range, const struct hash *leaf,
                          void (*on_node)(void *ctx, struct merkle_node node,
                                          const struct hash *hash),
                          void *ctx);

/* Appends a complete subtree of 1 << level leaves by its root; `on_node` is told it and the nodes above
 * it that become complete. Requires that size is a multiple of 1 << level, and that the new size is at
 * most SIZE_VALUE_MAX. */
void compact_range_append_node(
    struct compact_range *range, uint8_t level, const struct hash *subtree,
    void (*on_node)(void *ctx, struct merkle_node node, const struct hash *hash), void *ctx);
struct hash compact_range_root(const struct compact_range *range);

/* Where complete nodes come from: a tile directory, a mirror, memory. `get` may do I/O. */
struct merkle_source {
    enum err_code (*get)(void *ctx, struct merkle_node node, struct hash *out, struct err *err);
    void *ctx;
};

/* The hash of entries [from, to), from the complete nodes of `source`. Requires from < to, and
 * `from` a multiple of the smallest power of two >= to - from. Errors are the source's. */
MUST_USE enum err_code merkle_range_hash(struct hash *out, const struct merkle_source *source,
                                         uint64_t from, uint64_t to, struct err *err);

/* The root at `size` entries, 0 too. */
MUST_USE enum err_code merkle_root(struct hash *out, const struct merkle_source *source,
                                   uint64_t size, struct err *err);

/* Fills `range` as it was at `size` entries. */
MUST_USE enum err_code compact_range_load(struct compact_range *range,
                                          const struct merkle_source *source, uint64_t size,
                                          struct err *err);

#endif
