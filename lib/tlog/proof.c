#include "tlog/proof.h"

#include <assert.h>

/* An inclusion proof is the proof of the subtree [index, index + 1), a consistency proof that of
 * the subtree [0, old_size): one maker and one verifier do for all three. */

bool proof_is_equal(const struct proof *a, const struct proof *b)
{
    return a->count == b->count &&
           span_is_equal(span_of(a->hashes, a->count * sizeof a->hashes[0]),
                         span_of(b->hashes, b->count * sizeof b->hashes[0]));
}

/* -- subtrees -- */

static unsigned bit_length(uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

/* The `bits` lowest bits; requires bits <= 63. */
static uint64_t low_bits(unsigned bits)
{
    return ((uint64_t)1 << bits) - 1;
}

bool subtree_is_valid(uint64_t start, uint64_t end)
{
    if (start >= end) {
        return false;
    }
    unsigned bits = bit_length(end - start - 1); /* bit_ceil(end - start) is 1 << bits */
    return bits > 63 ? start == 0 : (start & low_bits(bits)) == 0;
}

void subtree_cover(uint64_t start, uint64_t end, uint64_t *left_start, uint64_t *mid)
{
    assert(start <= end);
    if (end - start <= 1) {
        *left_start = start;
        *mid = end;
        return;
    }
    uint64_t last = end - 1;
    uint64_t mask = low_bits(bit_length(start ^ last) - 1); /* below the bit where they part */
    *mid = last & ~mask;
    *left_start = start & ~low_bits(bit_length(~start & mask));
}

/* -- where a proof is, on its way to the root -- */

/* Positions on one level: of the subtree's first and last node, and of the tree's last node. */
struct walk {
    uint64_t first;
    uint64_t last;
    uint64_t end;
    uint8_t level;
};

static void walk_up(struct walk *walk)
{
    walk->first >>= 1;
    walk->last >>= 1;
    walk->end >>= 1;
    walk->level++;
}

/* Starts at the largest complete node at the subtree's right edge; that is the whole subtree when
 * first == last then. When the subtree ends with the tree, its own ragged edge counts as complete.
 * Requires start < end <= size. */
static struct walk walk_begin(uint64_t start, uint64_t end, uint64_t size)
{
    struct walk walk = { start, end - 1, size - 1, 0 };
    bool ends_with_tree = end == size;
    while (walk.first != walk.last && (ends_with_tree || (walk.last & 1))) {
        walk_up(&walk);
    }
    return walk;
}

/* -- making -- */

/* Adds the hash of a node, which may be cut off by the end of the tree. */
static enum err_code add_node(struct proof *proof, const struct merkle_source *source,
                              uint8_t level, uint64_t index, uint64_t size, struct err *err)
{
    if (proof->count == PROOF_HASHES_MAX) {
        return err_set(err, E_TOO_LARGE, "proof of more than %d hashes", PROOF_HASHES_MAX);
    }
    struct merkle_node node = { level, index };
    struct hash *out = &proof->hashes[proof->count];
    enum err_code rc = merkle_node_is_complete(node, size)
                           ? source->get(source->ctx, node, out, err)
                           : merkle_range_hash(out, source, index << level, size, err);
    if (rc == E_OK) {
        proof->count++;
    }
    return rc;
}

/* Requires a valid subtree and end <= size. */
static enum err_code make(struct proof *out, const struct merkle_source *source, uint64_t start,
                          uint64_t end, uint64_t size, struct err *err)
{
    struct proof proof = { .count = 0 };
    enum err_code rc = E_OK;
    struct walk walk = walk_begin(start, end, size);
    if (walk.first != walk.last) {
        rc = add_node(&proof, source, walk.level, walk.last, size, err);
    }
    for (; rc == E_OK && walk.end > 0; walk_up(&walk)) {
        if (walk.last & 1) {
            rc = add_node(&proof, source, walk.level, walk.last - 1, size, err);
        } else if (walk.last < walk.end) {
            rc = add_node(&proof, source, walk.level, walk.last + 1, size, err);
        }
    }
    if (rc == E_OK) {
        *out = proof;
    }
    return rc;
}

enum err_code proof_make_inclusion(struct proof *out, const struct merkle_source *source,
                                   uint64_t index, uint64_t size, struct err *err)
{
    if (index >= size) {
        return err_set(err, E_NOT_FOUND, "no entry %llu in a tree of %llu",
                       (unsigned long long)index, (unsigned long long)size);
    }
    return make(out, source, index, index + 1, size, err);
}

enum err_code proof_make_consistency(struct proof *out, const struct merkle_source *source,
                                     uint64_t old_size, uint64_t new_size, struct err *err)
{
    if (old_size > new_size) {
        return err_set(err, E_NOT_FOUND, "no tree of %llu in a tree of %llu",
                       (unsigned long long)old_size, (unsigned long long)new_size);
    }
    if (old_size == 0) {
        out->count = 0;
        return E_OK;
    }
    return make(out, source, 0, old_size, new_size, err);
}

enum err_code proof_make_subtree(struct proof *out, const struct merkle_source *source,
                                 uint64_t start, uint64_t end, uint64_t size, struct err *err)
{
    if (!subtree_is_valid(start, end) || end > size) {
        return err_set(err, E_NOT_FOUND, "no subtree [%llu, %llu) in a tree of %llu",
                       (unsigned long long)start, (unsigned long long)end,
                       (unsigned long long)size);
    }
    return make(out, source, start, end, size, err);
}

/* -- verifying -- */

/* What a proof says the hashes of the subtree and of the tree are. */
struct roots {
    struct hash subtree;
    struct hash tree;
};

/* One hash of the proof, on its side. False when the walk has already reached the root. */
static bool climb(struct roots *roots, struct walk *walk, const struct hash *hash)
{
    if (walk->end == 0) {
        return false;
    }
    if ((walk->last & 1) || walk->last == walk->end) {
        if (walk->first < walk->last) {
            roots->subtree = merkle_node_hash(hash, &roots->subtree);
        }
        roots->tree = merkle_node_hash(hash, &roots->tree);
        while ((walk->last & 1) == 0) { /* not 0: it is odd, or equal to an end that is not 0 */
            walk_up(walk);
        }
    } else {
        roots->tree = merkle_node_hash(&roots->tree, hash);
    }
    walk_up(walk);
    return true;
}

/* Takes the proof of [start, end) in the tree of `size` from `node`, the subtree's supposed hash,
 * upward. False when its length is wrong or there is no such subtree. */
static bool follow(struct roots *out, const struct proof *proof, uint64_t start, uint64_t end,
                   uint64_t size, const struct hash *node)
{
    if (!subtree_is_valid(start, end) || end > size || proof->count > PROOF_HASHES_MAX) {
        return false;
    }
    struct walk walk = walk_begin(start, end, size);
    struct roots roots = { *node, *node };
    size_t next = 0;
    if (walk.first != walk.last) {
        if (proof->count == 0) {
            return false;
        }
        roots = (struct roots){ proof->hashes[0], proof->hashes[0] };
        next = 1;
    }
    for (; next < proof->count; next++) {
        if (!climb(&roots, &walk, &proof->hashes[next])) {
            return false;
        }
    }
    *out = roots;
    return walk.end == 0;
}

enum err_code proof_verify_subtree(const struct proof *proof, uint64_t start, uint64_t end,
                                   uint64_t size, const struct hash *node, const struct hash *root,
                                   struct err *err)
{
    struct roots roots;
    if (!follow(&roots, proof, start, end, size, node)) {
        return err_set(err, E_BAD_PROOF, "no proof of this shape: [%llu, %llu) in %llu",
                       (unsigned long long)start, (unsigned long long)end,
                       (unsigned long long)size);
    }
    if (!hash_is_equal(&roots.subtree, node) || !hash_is_equal(&roots.tree, root)) {
        return err_set(err, E_BAD_PROOF, "proof leads to other hashes");
    }
    return E_OK;
}

enum err_code proof_inclusion_root(struct hash *out, const struct proof *proof, uint64_t index,
                                   uint64_t size, const struct hash *leaf, struct err *err)
{
    struct roots roots;
    if (!follow(&roots, proof, index, index + 1, size, leaf)) { /* index + 1 may wrap: no subtree */
        return err_set(err, E_BAD_PROOF, "no inclusion proof of this length: %llu in %llu",
                       (unsigned long long)index, (unsigned long long)size);
    }
    *out = roots.tree;
    return E_OK;
}

enum err_code proof_verify_inclusion(const struct proof *proof, uint64_t index, uint64_t size,
                                     const struct hash *leaf, const struct hash *root,
                                     struct err *err)
{
    struct hash found;
    enum err_code rc = proof_inclusion_root(&found, proof, index, size, leaf, err);
    if (rc == E_OK && !hash_is_equal(&found, root)) {
        rc = err_set(err, E_BAD_PROOF, "inclusion proof leads to another root");
    }
    return rc;
}

/* The tree without entries is a prefix of every tree, and there is nothing to prove. */
static enum err_code verify_from_empty(const struct proof *proof, uint64_t new_size,
                                       const struct hash *old_root, const struct hash *new_root,
                                       struct err *err)
{
    struct hash empty = merkle_empty_root();
    if (proof->count != 0) {
        return err_set(err, E_BAD_PROOF, "consistency with size 0 needs no proof");
    }
    if (!hash_is_equal(old_root, &empty) || (new_size == 0 && !hash_is_equal(new_root, &empty))) {
        return err_set(err, E_BAD_PROOF, "not the root of size 0");
    }
    return E_OK;
}

enum err_code proof_verify_consistency(const struct proof *proof, uint64_t old_size,
                                       uint64_t new_size, const struct hash *old_root,
                                       const struct hash *new_root, struct err *err)
{
    if (old_size == 0) {
        return verify_from_empty(proof, new_size, old_root, new_root, err);
    }
    return proof_verify_subtree(proof, 0, old_size, new_size, old_root, new_root, err);
}

enum err_code proof_consistency_roots(struct hash *old_out, struct hash *new_out,
                                      const struct proof *proof, uint64_t old_size,
                                      uint64_t new_size, const struct hash *old_root,
                                      struct err *err)
{
    struct roots roots;
    if (old_size == new_size || !follow(&roots, proof, 0, old_size, new_size, old_root)) {
        return err_set(err, E_BAD_PROOF, "no consistency proof of this length: %llu to %llu",
                       (unsigned long long)old_size, (unsigned long long)new_size);
    }
    *old_out = roots.subtree;
    *new_out = roots.tree;
    return E_OK;
}

/* -- proof lines -- */

void proof_put_lines(struct buf *out, const struct proof *proof)
{
    for (size_t i = 0; i < proof->count; i++) {
        base64_put_hash(out, &proof->hashes[i]);
        buf_put_u8(out, '\n');
    }
}

enum err_code proof_add_line(struct proof *proof, struct span line, struct err *err)
{
    if (proof->count == PROOF_HASHES_MAX) {
        return err_set(err, E_MALFORMED, "proof of more than %d lines", PROOF_HASHES_MAX);
    }
    if (base64_decode_hash(&proof->hashes[proof->count], line, err) != E_OK) {
        return err_wrap(err, "proof line %zu", proof->count + 1);
    }
    proof->count++;
    return E_OK;
}

enum err_code proof_take_lines(struct proof *out, struct span *in, struct err *err)
{
    struct proof proof = { .count = 0 };
    struct span rest = *in;
    for (;;) {
        struct span line;
        if (!span_take_until(&rest, '\n', &line)) {
            return err_set(err, E_MALFORMED, "proof without an empty line at its end");
        }
        if (line.len == 0) {
            break;
        }
        enum err_code rc = proof_add_line(&proof, line, err);
        if (rc != E_OK) {
            return rc;
        }
    }
    *out = proof;
    *in = rest;
    return E_OK;
}
