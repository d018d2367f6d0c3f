/* published.h -- the published tree: its checkpoint note and its right edge, as one shared value.
 *
 * A value never changes; publishing swaps in a new one. Readers hold the one they began with, so that
 * a proof and the checkpoint it leads to always fit together.
 * published_get, _set, _best, _add_witnessed: any thread. The rest: any thread, touches only the value.
 */
#ifndef LOGD_PUBLISHED_H
#define LOGD_PUBLISHED_H

#include "net/http_response.h"
#include "tlog/checkpoint.h"
#include "tlog/edge.h"

struct published_tree {
    struct checkpoint checkpoint;
    struct http_body *note; /* the signed checkpoint, as served */
    struct edge edge;       /* at checkpoint.size */
};

/* Counted. `edge` is copied, `note` held. */
struct published_tree *published_tree_new(const struct checkpoint *checkpoint,
                                          struct http_body *note, const struct edge *edge);
/* The same, but for the entries of its partial bundle. */
struct published_tree *published_tree_without_bundle(const struct published_tree *tree);
struct published_tree *published_tree_hold(struct published_tree *tree);
void published_tree_release(struct published_tree *tree); /* NULL is fine */

/* The place where the latest one is found, and a few that receipts may be made from. */
struct published;
struct published *published_new(void);
void published_free(struct published *published);

/* Takes the caller's reference over. */
void published_set(struct published *published, struct published_tree *tree);
/* With a reference for the caller; NULL before the first. */
struct published_tree *published_get(struct published *published);
uint64_t published_size(const struct published *published);

/* -- What receipts are made from -- */

enum {
    PUBLISHED_WITNESSED_MAX = 16, /* notes, each with about 70 KB of its tree */
};

/* A note of the tree that meets the log's policy, with as many cosignatures of it; `note` is held, the
 * tree is copied without its entries. One of the same size is replaced. When there are too many, the
 * smallest goes that a larger one is as good as. */
void published_add_witnessed(struct published *published, const struct published_tree *tree,
                             struct http_body *note, size_t cosignatures);

/* The tree for a receipt of entry `index` of the published `tree`: of those that have it and are no
 * larger, the one whose note has the most cosignatures, the earliest of such; `tree` itself if there is
 * none. With a reference for the caller. */
struct published_tree *published_best(struct published *published, struct published_tree *tree,
                                      uint64_t index);

#endif
