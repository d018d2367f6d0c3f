/* published.h -- the published tree: its checkpoint note and its right edge, as one shared value.
 *
 * A value never changes; publishing swaps in a new one. Readers hold the one they began with, so that
 * a proof and the checkpoint it leads to always fit together.
 * published_get, _set: any thread. The rest: any thread, touches only the value.
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

/* The place where the latest one is found. */
struct published;
struct published *published_new(void);
void published_free(struct published *published);

/* Takes the caller's reference over. */
void published_set(struct published *published, struct published_tree *tree);
/* With a reference for the caller; NULL before the first. */
struct published_tree *published_get(struct published *published);
uint64_t published_size(const struct published *published);

#endif
