/* older_tree.h -- the held tree as it was at smaller sizes, out of tiles that nobody need trust.
 *
 * Tiles come from the sources of the log in turn, and each is checked against the held root
 * (client/tile_reader.h): what leaves here is what the held tree has, or an error. The source that answered
 * stays open for the next question; one that does not answer is not asked again before older_tree_rest, so that
 * many questions cost one time-out.
 * Blocks on the network. One thread at a time.
 */
#ifndef MONITOR_OLDER_TREE_H
#define MONITOR_OLDER_TREE_H

#include "monitor/watched_log.h"
#include "tlog/proof.h"

struct older_tree;

struct older_tree *older_tree_new(struct watched_log *log);
void older_tree_free(struct older_tree *tree); /* NULL is fine */
/* Closes the source and forgets its tiles, some 100 KB; the next question opens one again. */
void older_tree_rest(struct older_tree *tree);

/* The roots at `size` and at `later_size`, and the proof from the one to the other. Requires size <= later_size
 * <= held->range.size. E_NOT_FOUND: no source serves the tiles; the words are the last one's. */
MUST_USE enum err_code older_tree_roots(struct older_tree *tree, const struct held_tree *held,
                                        uint64_t size, uint64_t later_size, struct hash *root,
                                        struct hash *later_root, struct proof *proof,
                                        struct err *err);

/* The leaf hash at `index`. Requires index < held->range.size. E_NOT_FOUND likewise. */
MUST_USE enum err_code older_tree_leaf(struct older_tree *tree, const struct held_tree *held,
                                       uint64_t index, struct hash *leaf, struct err *err);
/* Its inclusion proof in the held tree, likewise. */
MUST_USE enum err_code older_tree_inclusion(struct older_tree *tree, const struct held_tree *held,
                                            uint64_t index, struct proof *proof, struct err *err);

#endif
