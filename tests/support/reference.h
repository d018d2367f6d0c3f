/* reference.h -- RFC 6962 trees as the RFC writes them, to hold lib/tlog against.
 *
 * Spec: RFC 6962 section 2.1; draft-ietf-plants-merkle-tree-certs, "Subtree Consistency Proofs".
 * Recursive, and written without lib/tlog: slow, but hard to get wrong. One thread.
 */
#ifndef SUPPORT_REFERENCE_H
#define SUPPORT_REFERENCE_H

#include "base/alloc.h"
#include "tlog/proof.h"

#include <assert.h>

enum {
    REFERENCE_LEAVES_MAX = 512
};

struct reference_tree {
    size_t count;
    struct hash leaves[REFERENCE_LEAVES_MAX];
    bool is_known[REFERENCE_LEAVES_MAX + 1][REFERENCE_LEAVES_MAX + 1];
    struct hash known[REFERENCE_LEAVES_MAX + 1][REFERENCE_LEAVES_MAX + 1]; /* MTH(D[lo:hi]) */
};

static inline struct reference_tree *reference_new(void)
{
    return NEW(struct reference_tree);
}

static inline void reference_add(struct reference_tree *tree, struct span entry)
{
    assert(tree->count < REFERENCE_LEAVES_MAX);
    struct span parts[] = { span_of("\x00", 1), entry };
    tree->leaves[tree->count++] = sha256_parts(parts, 2);
}

/* `count` entries of one byte each: 0, 1, ... 255, 0, ... */
static inline struct reference_tree *reference_of_bytes(size_t count)
{
    struct reference_tree *tree = reference_new();
    for (size_t i = 0; i < count; i++) {
        uint8_t byte = (uint8_t)i;
        reference_add(tree, span_of(&byte, 1));
    }
    return tree;
}

static inline struct hash reference_node(const struct hash *left, const struct hash *right)
{
    struct span parts[] = { span_of("\x01", 1), hash_span(left), hash_span(right) };
    return sha256_parts(parts, 3);
}

/* The largest power of two below n; requires n > 1. */
static inline uint64_t reference_split(uint64_t n)
{
    uint64_t k = 1;
    while (k < n - k) {
        k *= 2;
    }
    return k;
}

/* MTH(D[lo:hi]). */
static inline struct hash reference_mth(struct reference_tree *tree, size_t lo, size_t hi)
{
    assert(hi <= tree->count);
    if (lo == hi) {
        return sha256(span_of(NULL, 0));
    }
    if (hi - lo == 1) {
        return tree->leaves[lo];
    }
    if (!tree->is_known[lo][hi]) {
        size_t mid = lo + reference_split(hi - lo);
        struct hash left = reference_mth(tree, lo, mid);
        struct hash right = reference_mth(tree, mid, hi);
        tree->known[lo][hi] = reference_node(&left, &right);
        tree->is_known[lo][hi] = true;
    }
    return tree->known[lo][hi];
}

static inline void reference_push(struct proof *proof, struct hash hash)
{
    assert(proof->count < PROOF_HASHES_MAX);
    proof->hashes[proof->count++] = hash;
}

/* PATH(m, D[lo:hi]), m counted from 0. */
static inline void reference_path(struct proof *out, struct reference_tree *tree, size_t m,
                                  size_t lo, size_t hi)
{
    if (hi - lo == 1) {
        return;
    }
    size_t mid = lo + reference_split(hi - lo);
    if (m < mid) {
        reference_path(out, tree, m, lo, mid);
        reference_push(out, reference_mth(tree, mid, hi));
    } else {
        reference_path(out, tree, m, mid, hi);
        reference_push(out, reference_mth(tree, lo, mid));
    }
}

/* SUBPROOF(m, D[lo:hi], b), where m is the end of the old tree, counted from 0. */
static inline void reference_subproof(struct proof *out, struct reference_tree *tree, size_t m,
                                      size_t lo, size_t hi, bool is_known)
{
    if (m == hi) {
        if (!is_known) {
            reference_push(out, reference_mth(tree, lo, hi));
        }
        return;
    }
    size_t mid = lo + reference_split(hi - lo);
    if (m <= mid) {
        reference_subproof(out, tree, m, lo, mid, is_known);
        reference_push(out, reference_mth(tree, mid, hi));
    } else {
        reference_subproof(out, tree, m, mid, hi, false);
        reference_push(out, reference_mth(tree, lo, mid));
    }
}

/* SUBTREE_SUBPROOF(start, end, D[lo:hi], b), start and end counted from 0. */
static inline void reference_subtree_proof(struct proof *out, struct reference_tree *tree,
                                           size_t start, size_t end, size_t lo, size_t hi,
                                           bool is_known)
{
    if (start == lo && end == hi) {
        if (!is_known) {
            reference_push(out, reference_mth(tree, lo, hi));
        }
        return;
    }
    size_t mid = lo + reference_split(hi - lo);
    if (end <= mid) {
        reference_subtree_proof(out, tree, start, end, lo, mid, is_known);
        reference_push(out, reference_mth(tree, mid, hi));
    } else if (start >= mid) {
        reference_subtree_proof(out, tree, start, end, mid, hi, is_known);
        reference_push(out, reference_mth(tree, lo, mid));
    } else {
        assert(start == lo);
        reference_subtree_proof(out, tree, mid, end, mid, hi, false);
        reference_push(out, reference_mth(tree, lo, mid));
    }
}

/* A source of the nodes that are complete at `size`: it aborts when asked for another one. */
struct reference_source {
    struct reference_tree *tree;
    size_t size;
    size_t gets;    /* counts up */
    size_t fail_at; /* the get with this number fails; SIZE_MAX for none */
};

static inline enum err_code reference_get(void *ctx, struct merkle_node node, struct hash *out,
                                          struct err *err)
{
    struct reference_source *source = ctx;
    assert(node.level < 16);
    size_t lo = node.index << node.level;
    size_t hi = (node.index + 1) << node.level;
    assert(hi <= source->size);
    if (source->gets++ == source->fail_at) {
        return err_set(err, E_IO, "made to fail");
    }
    *out = reference_mth(source->tree, lo, hi);
    return E_OK;
}

static inline struct merkle_source reference_source(struct reference_source *state)
{
    return (struct merkle_source){ reference_get, state };
}

/* -- trees of any size: all leaves are alike but one -- */

struct sparse {
    uint64_t special; /* index of the leaf that differs */
    struct hash leaf;
    struct hash special_leaf;
    struct hash plain[MERKLE_LEVELS_MAX]; /* roots over 1 << level equal leaves */
};

static inline struct sparse sparse_make(uint64_t special)
{
    struct sparse tree = { .special = special };
    memset(tree.leaf.bytes, 0xaa, HASH_BYTES);
    memset(tree.special_leaf.bytes, 0x55, HASH_BYTES);
    tree.plain[0] = tree.leaf;
    for (unsigned level = 1; level < MERKLE_LEVELS_MAX; level++) {
        tree.plain[level] = reference_node(&tree.plain[level - 1], &tree.plain[level - 1]);
    }
    return tree;
}

/* MTH(D[lo:hi]); requires lo < hi. */
static inline struct hash sparse_mth(const struct sparse *tree, uint64_t lo, uint64_t hi)
{
    uint64_t n = hi - lo;
    bool has_special = lo <= tree->special && tree->special < hi;
    if (n == 1) {
        return has_special ? tree->special_leaf : tree->leaf;
    }
    if (!has_special && (n & (n - 1)) == 0) {
        return tree->plain[__builtin_ctzll(n)];
    }
    uint64_t mid = lo + reference_split(n);
    struct hash left = sparse_mth(tree, lo, mid);
    struct hash right = sparse_mth(tree, mid, hi);
    return reference_node(&left, &right);
}

static inline enum err_code sparse_get(void *ctx, struct merkle_node node, struct hash *out,
                                       struct err *err)
{
    (void)err;
    assert(node.level < 63);
    *out = sparse_mth(ctx, node.index << node.level, (node.index + 1) << node.level);
    return E_OK;
}

static inline struct merkle_source sparse_source(struct sparse *tree)
{
    return (struct merkle_source){ sparse_get, tree };
}

#endif
