/* proof.h -- inclusion, consistency and subtree consistency proofs: make and verify.
 *
 * Spec: RFC 6962 section 2.1.1-2.1.2, RFC 9162 section 2.1.3.2 and 2.1.4.2;
 * draft-ietf-plants-merkle-tree-certs (subtrees, without empty ones).
 * Pure but for the merkle_source it is given. Any thread.
 *
 * Verifiers are for hostile bytes: any argument is fine, the answer is E_OK or E_BAD_PROOF.
 * Makers answer E_TOO_LARGE over PROOF_HASHES_MAX: possible above 2^62 entries only.
 */
#ifndef TLOG_PROOF_H
#define TLOG_PROOF_H

#include "base/limits.h"
#include "tlog/merkle.h"

struct proof {
    size_t count;
    struct hash hashes[PROOF_HASHES_MAX];
};

bool proof_is_equal(const struct proof *a, const struct proof *b);

/* Entry `index` in the tree of `size`. E_NOT_FOUND unless index < size; else the source's error. */
MUST_USE enum err_code proof_make_inclusion(struct proof *out, const struct merkle_source *source,
                                            uint64_t index, uint64_t size, struct err *err);
MUST_USE enum err_code proof_verify_inclusion(const struct proof *proof, uint64_t index,
                                              uint64_t size, const struct hash *leaf,
                                              const struct hash *root, struct err *err);
/* The root that an inclusion proof leads to, whatever it should be; E_BAD_PROOF for a wrong length
 * and unless index < size. */
MUST_USE enum err_code proof_inclusion_root(struct hash *out, const struct proof *proof,
                                            uint64_t index, uint64_t size, const struct hash *leaf,
                                            struct err *err);

/* The tree of `old_size` is a prefix of the tree of `new_size`. Empty when old_size is 0 or
 * new_size. E_NOT_FOUND unless old_size <= new_size. */
MUST_USE enum err_code proof_make_consistency(struct proof *out, const struct merkle_source *source,
                                              uint64_t old_size, uint64_t new_size,
                                              struct err *err);
MUST_USE enum err_code proof_verify_consistency(const struct proof *proof, uint64_t old_size,
                                                uint64_t new_size, const struct hash *old_root,
                                                const struct hash *new_root, struct err *err);

/* The roots that a consistency proof leads to, whatever they should be. When old_size is a power of
 * two the proof does not hold the old root: it is then `old_root`, as given. E_BAD_PROOF for a wrong
 * length, and unless 0 < old_size < new_size. */
MUST_USE enum err_code proof_consistency_roots(struct hash *old_out, struct hash *new_out,
                                               const struct proof *proof, uint64_t old_size,
                                               uint64_t new_size, const struct hash *old_root,
                                               struct err *err);

/* [start, end) is a subtree of some tree: start < end, start a multiple of bit_ceil(end - start). */
bool subtree_is_valid(uint64_t start, uint64_t end);

/* Two subtrees that cover [start, end): [left_start, mid) and [mid, end); the second is empty
 * (mid == end) when end - start <= 1. */
void subtree_cover(uint64_t start, uint64_t end, uint64_t *left_start, uint64_t *mid);

/* E_NOT_FOUND unless [start, end) is a valid subtree and end <= size. */
MUST_USE enum err_code proof_make_subtree(struct proof *out, const struct merkle_source *source,
                                          uint64_t start, uint64_t end, uint64_t size,
                                          struct err *err);
MUST_USE enum err_code proof_verify_subtree(const struct proof *proof, uint64_t start, uint64_t end,
                                            uint64_t size, const struct hash *node,
                                            const struct hash *root, struct err *err);

/* Proof hashes as the C2SP formats write them: one base64 line each. */
void proof_put_lines(struct buf *out, const struct proof *proof);
/* Adds the hash of one such line, given without its newline. E_MALFORMED, also for one too many. */
MUST_USE enum err_code proof_add_line(struct proof *proof, struct span line, struct err *err);
/* Takes lines up to the first empty line, which it takes too. E_MALFORMED over PROOF_HASHES_MAX. */
MUST_USE enum err_code proof_take_lines(struct proof *out, struct span *in, struct err *err);

#endif
