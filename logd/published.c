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

struct witnessed {
    struct published_tree *tree; /* without entries; held */
    size_t cosignatures;
};

struct published {
    pthread_mutex_t mutex; /* guards the three below */
    struct published_tree *tree;
    size_t witnessed_count;
    struct witnessed witnessed[PUBLISHED_WITNESSED_MAX + 1]; /* sizes ascending */
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
        for (size_t i = 0; i < published->witnessed_count; i++) {
            published_tree_release(published->witnessed[i].tree);
        }
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

/* -- What receipts are made from -- */

/* Whether a larger one makes as good receipts for all its entries. */
static bool is_surpassed(const struct published *published, size_t i)
{
    for (size_t j = i + 1; j < published->witnessed_count; j++) {
        if (published->witnessed[j].cosignatures >= published->witnessed[i].cosignatures) {
            return true;
        }
    }
    return false;
}

/* Takes one out, which the caller releases, when there are too many. */
static struct published_tree *take_surplus(struct published *published)
{
    struct witnessed *items = published->witnessed;
    if (published->witnessed_count <= PUBLISHED_WITNESSED_MAX) {
        return NULL;
    }
    size_t at = 0;
    while (at < published->witnessed_count && !is_surpassed(published, at)) {
        at++;
    }
    at = at == published->witnessed_count ? 0 : at;
    struct published_tree *tree = items[at].tree;
    published->witnessed_count--;
    memmove(&items[at], &items[at + 1], (published->witnessed_count - at) * sizeof items[0]);
    return tree;
}

void published_add_witnessed(struct published *published, const struct published_tree *tree,
                             struct http_body *note, size_t cosignatures)
{
    struct published_tree *made = published_tree_without_bundle(tree), *surplus;
    struct witnessed *items = published->witnessed;
    http_body_release(made->note);
    made->note = http_body_hold(note);
    pthread_mutex_lock(&published->mutex);
    size_t at = published->witnessed_count;
    while (at > 0 && items[at - 1].tree->checkpoint.size > tree->checkpoint.size) {
        at--;
    }
    if (at > 0 && items[at - 1].tree->checkpoint.size == tree->checkpoint.size) {
        surplus = items[--at].tree;
    } else {
        memmove(&items[at + 1], &items[at], (published->witnessed_count - at) * sizeof items[0]);
        published->witnessed_count++;
        surplus = NULL;
    }
    items[at] = (struct witnessed){ .tree = made, .cosignatures = cosignatures };
    surplus = surplus == NULL ? take_surplus(published) : surplus;
    pthread_mutex_unlock(&published->mutex);
    published_tree_release(surplus);
}

struct published_tree *published_best(struct published *published, struct published_tree *tree,
                                      uint64_t index)
{
    const struct witnessed *best = NULL;
    pthread_mutex_lock(&published->mutex);
    for (size_t i = 0; i < published->witnessed_count; i++) {
        const struct witnessed *item = &published->witnessed[i];
        uint64_t size = item->tree->checkpoint.size;
        bool is_fit = size > index && size <= tree->checkpoint.size;
        if (is_fit && (best == NULL || item->cosignatures > best->cosignatures)) {
            best = item;
        }
    }
    struct published_tree *out = published_tree_hold(best == NULL ? tree : best->tree);
    pthread_mutex_unlock(&published->mutex);
    return out;
}
