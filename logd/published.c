#include "logd/published.h"

#include "base/alloc.h"

#include <pthread.h>
#include <stdatomic.h>

struct counted_tree {
    struct published_tree tree; /* first: a published_tree * is one of these */
    atomic_size_t references;
};

struct published_tree *published_tree_new(const struct checkpoint *checkpoint,
                                          struct http_body *note, const struct edge *edge)
{
    struct counted_tree *counted = NEW(struct counted_tree);
    counted->tree.checkpoint = *checkpoint;
    counted->tree.note = http_body_hold(note);
    edge_init(&counted->tree.edge);
    edge_copy(&counted->tree.edge, edge);
    atomic_init(&counted->references, 1);
    return &counted->tree;
}

struct published_tree *published_tree_without_bundle(const struct published_tree *tree)
{
    struct edge none;
    edge_init(&none);
    struct published_tree *made = published_tree_new(&tree->checkpoint, tree->note, &none);
    edge_clear(&none);
    made->edge.range = tree->edge.range;
    memcpy(made->edge.tiles, tree->edge.tiles, sizeof made->edge.tiles);
    return made;
}

struct published_tree *published_tree_hold(struct published_tree *tree)
{
    atomic_fetch_add(&((struct counted_tree *)tree)->references, 1);
    return tree;
}

void published_tree_release(struct published_tree *tree)
{
    if (tree == NULL || atomic_fetch_sub(&((struct counted_tree *)tree)->references, 1) > 1) {
        return;
    }
    http_body_release(tree->note);
    edge_clear(&tree->edge);
    mem_free(tree);
}

struct published {
    pthread_mutex_t mutex; /* guards tree */
    struct published_tree *tree;
    _Atomic uint64_t size;
};

struct published *published_new(void)
{
    struct published *published = NEW(struct published);
    pthread_mutex_init(&published->mutex, NULL);
    return published;
}

void published_free(struct published *published)
{
    if (published != NULL) {
        published_tree_release(published->tree);
        pthread_mutex_destroy(&published->mutex);
        mem_free(published);
    }
}

void published_set(struct published *published, struct published_tree *tree)
{
    pthread_mutex_lock(&published->mutex);
    struct published_tree *old = published->tree;
    published->tree = tree;
    atomic_store(&published->size, tree->checkpoint.size);
    pthread_mutex_unlock(&published->mutex);
    published_tree_release(old);
}

struct published_tree *published_get(struct published *published)
{
    pthread_mutex_lock(&published->mutex);
    struct published_tree *tree = published->tree;
    if (tree != NULL) {
        published_tree_hold(tree);
    }
    pthread_mutex_unlock(&published->mutex);
    return tree;
}

uint64_t published_size(const struct published *published)
{
    return atomic_load(&published->size);
}
