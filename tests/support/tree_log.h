/* tree_log.h -- a small log for tests of witnesses: its leaves, and the requests it makes with them.
 *
 * Its roots and proofs are hashed anew each time: small trees only. A copy with other leaves and the
 * same key is a fork. Any thread, for what is const.
 */
#ifndef SUPPORT_TREE_LOG_H
#define SUPPORT_TREE_LOG_H

#include "tests/support/keys.h"
#include "tlog/add_checkpoint.h"
#include "tlog/checkpoint.h"

#include <assert.h>
#include <stdio.h>

enum {
    TREE_LOG_LEAVES_MAX = 128
};

struct tree_log {
    struct signer signer; /* its name is the origin */
    size_t count;
    struct hash leaves[TREE_LOG_LEAVES_MAX];
};

static inline struct tree_log tree_log_make(const char *origin, const char *secret)
{
    struct tree_log log = { .count = 0 };
    log.signer = keys_signer(origin, SIGNATURE_ED25519, secret);
    return log;
}

static inline void tree_log_add(struct tree_log *log, uint64_t seed)
{
    assert(log->count < TREE_LOG_LEAVES_MAX);
    log->leaves[log->count++] = sha256(span_of(&seed, sizeof seed));
}

static inline enum err_code tree_log_get(void *ctx, struct merkle_node node, struct hash *out,
                                         struct err *err)
{
    const struct tree_log *log = ctx;
    if (node.level == 0) {
        assert(node.index < log->count);
        *out = log->leaves[node.index];
        return E_OK;
    }
    struct merkle_node child = { (uint8_t)(node.level - 1), 2 * node.index };
    struct hash left, right;
    enum err_code rc = tree_log_get(ctx, child, &left, err);
    child.index++;
    if (rc == E_OK) {
        rc = tree_log_get(ctx, child, &right, err);
    }
    *out = merkle_node_hash(&left, &right);
    return rc;
}

static inline struct merkle_source tree_log_source(const struct tree_log *log)
{
    return (struct merkle_source){ tree_log_get, (void *)log };
}

static inline struct hash tree_log_root(const struct tree_log *log, uint64_t size)
{
    struct merkle_source source = tree_log_source(log);
    struct hash root;
    struct err err;
    enum err_code rc = merkle_root(&root, &source, size, &err);
    assert(rc == E_OK);
    (void)rc;
    return root;
}

/* Empty, where none belongs. */
static inline struct proof tree_log_proof(const struct tree_log *log, uint64_t old_size,
                                          uint64_t size)
{
    struct merkle_source source = tree_log_source(log);
    struct proof proof = { .count = 0 };
    struct err err;
    if (old_size > 0 && old_size < size) {
        enum err_code rc = proof_make_consistency(&proof, &source, old_size, size, &err);
        assert(rc == E_OK);
        (void)rc;
    }
    return proof;
}

/* Appends a checkpoint's text and the log's signature. */
static inline void tree_log_put_note(struct buf *out, const struct tree_log *log, uint64_t size,
                                     const struct hash *root)
{
    struct checkpoint checkpoint = { .size = size, .root = *root };
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%.*s", ORIGIN_BYTES_MAX,
             log->signer.vkey.name);
    checkpoint_put(&text, &checkpoint);
    keys_put_signed(out, buf_span(&text), &log->signer, 0);
    buf_clear(&text);
}

/* Appends the request that the log would make. */
static inline void tree_log_put_request(struct buf *out, const struct tree_log *log,
                                        uint64_t old_size, uint64_t size)
{
    struct buf note = BUF_INIT(4096);
    struct hash root = tree_log_root(log, size);
    struct proof proof = tree_log_proof(log, old_size, size);
    tree_log_put_note(&note, log, size, &root);
    add_checkpoint_put(out, old_size, &proof, buf_span(&note));
    buf_clear(&note);
}

#endif
