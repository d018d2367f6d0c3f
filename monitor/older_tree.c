#include "monitor/older_tree.h"

#include "base/alloc.h"
#include "client/tile_reader.h"

#include <assert.h>

struct older_tree {
    struct watched_log *log;   /* borrowed */
    struct log_reader *reader; /* owned; NULL: none is open */
    struct tile_reader *tiles; /* owned; of the tree below; NULL without a reader */
    uint64_t size;
    struct hash root;
    bool is_silent
        [WATCHED_SOURCES_MAX]; /* it did not answer: not asked again before older_tree_rest */
};

struct question {
    uint64_t size, later_size; /* of roots; of a leaf, size is its index */
    struct hash root, later_root;
    struct proof proof;
    enum err_code (*ask)(struct question *question, const struct merkle_source *source,
                         struct err *err);
};

struct older_tree *older_tree_new(struct watched_log *log)
{
    struct older_tree *tree = NEW(struct older_tree);
    tree->log = log;
    return tree;
}

static void close_source(struct older_tree *tree)
{
    tile_reader_close(tree->tiles);
    log_reader_close(tree->reader);
    tree->tiles = NULL;
    tree->reader = NULL;
}

void older_tree_rest(struct older_tree *tree)
{
    close_source(tree);
    memset(tree->is_silent, 0, sizeof tree->is_silent);
}

void older_tree_free(struct older_tree *tree)
{
    if (tree != NULL) {
        older_tree_rest(tree);
        mem_free(tree);
    }
}

/* -- the sources in turn -- */

static enum err_code open_source(struct older_tree *tree, const struct scan_source *source,
                                 const struct held_tree *held, struct err *err)
{
    close_source(tree);
    enum err_code rc = source->open(source->ctx, &tree->reader, err);
    if (rc == E_OK) {
        rc = tile_reader_open(&tree->tiles, tree->reader, held->range.size, &held->root, err);
    }
    if (rc != E_OK) {
        close_source(tree);
        return rc;
    }
    tree->size = held->range.size;
    tree->root = held->root;
    return E_OK;
}

static enum err_code ask_open(struct older_tree *tree, struct question *question, struct err *err)
{
    struct merkle_source source = tile_reader_source(tree->tiles);
    return question->ask(question, &source, err);
}

static bool is_open_for(const struct older_tree *tree, const struct held_tree *held)
{
    return tree->tiles != NULL && tree->size == held->range.size &&
           hash_is_equal(&tree->root, &held->root);
}

static enum err_code ask(struct older_tree *tree, const struct held_tree *held,
                         struct question *question, struct err *err)
{
    const struct watched_log_options *options = watched_log_options(tree->log);
    if (is_open_for(tree, held) && ask_open(tree, question, err) == E_OK) {
        return E_OK;
    }
    struct err why;
    err_set(&why, E_NOT_FOUND, "no place where the log's tiles are has answered");
    for (size_t i = 0; i < options->source_count; i++) {
        if (tree->is_silent[i]) {
            continue;
        }
        enum err_code rc = open_source(tree, &options->sources[i], held, &why);
        if (rc == E_OK) {
            rc = ask_open(tree, question, &why);
        }
        if (rc == E_OK) {
            return E_OK;
        }
        tree->is_silent[i] = rc == E_TIMEOUT || rc == E_IO;
    }
    close_source(tree);
    return err_set(err, E_NOT_FOUND, "%s", why.msg);
}

/* -- questions -- */

static enum err_code ask_roots(struct question *question, const struct merkle_source *source,
                               struct err *err)
{
    enum err_code rc = merkle_root(&question->root, source, question->size, err);
    if (rc == E_OK) {
        rc = merkle_root(&question->later_root, source, question->later_size, err);
    }
    if (rc == E_OK) {
        rc = proof_make_consistency(&question->proof, source, question->size, question->later_size,
                                    err);
    }
    if (rc == E_OK && question->size > 0) {
        rc = proof_verify_consistency(&question->proof, question->size, question->later_size,
                                      &question->root, &question->later_root, err);
    }
    return rc;
}

static enum err_code ask_leaf(struct question *question, const struct merkle_source *source,
                              struct err *err)
{
    return source->get(source->ctx, (struct merkle_node){ 0, question->size }, &question->root,
                       err);
}

static enum err_code ask_inclusion(struct question *question, const struct merkle_source *source,
                                   struct err *err)
{
    return proof_make_inclusion(&question->proof, source, question->size, question->later_size,
                                err);
}

enum err_code older_tree_roots(struct older_tree *tree, const struct held_tree *held, uint64_t size,
                               uint64_t later_size, struct hash *root, struct hash *later_root,
                               struct proof *proof, struct err *err)
{
    assert(size <= later_size);
    assert(later_size <= held->range.size);
    struct question question = { .size = size, .later_size = later_size, .ask = ask_roots };
    enum err_code rc = ask(tree, held, &question, err);
    if (rc == E_OK) {
        *root = question.root;
        *later_root = question.later_root;
        *proof = question.proof;
    }
    return rc;
}

enum err_code older_tree_leaf(struct older_tree *tree, const struct held_tree *held, uint64_t index,
                              struct hash *leaf, struct err *err)
{
    assert(index < held->range.size);
    struct question question = { .size = index, .ask = ask_leaf };
    enum err_code rc = ask(tree, held, &question, err);
    if (rc == E_OK) {
        *leaf = question.root;
    }
    return rc;
}

enum err_code older_tree_inclusion(struct older_tree *tree, const struct held_tree *held,
                                   uint64_t index, struct proof *proof, struct err *err)
{
    assert(index < held->range.size);
    struct question question = { .size = index,
                                 .later_size = held->range.size,
                                 .ask = ask_inclusion };
    enum err_code rc = ask(tree, held, &question, err);
    if (rc == E_OK) {
        *proof = question.proof;
    }
    return rc;
}
