/* fsck_parts.h -- what the parts of fsck share: inside lib/client only.
 *
 * fsck.c        threads, and the way through the log
 * fsck_tree.c   the truth about tiles of level 1 and above, and about the right edge
 * fsck_bundle.c one bundle with its level-0 tile
 * fsck_scan.c   files in a directory that the signed tree does not need
 * fsck_report.c what was found
 * fsck_rpc.c    a log behind gRPC, which has entries and no files
 */
#ifndef CLIENT_FSCK_PARTS_H
#define CLIENT_FSCK_PARTS_H

#include "client/fsck.h"
#include "client/log_reader.h"

#include <pthread.h>
#include <stdatomic.h>

/* Shared by all threads; fields without a remark do not change. */
struct fsck {
    const struct fsck_options *options;
    bool is_directory;
    atomic_uint_fast64_t entries, bundles, tiles, bytes;

    pthread_mutex_t lock; /* guards the three below */
    struct fsck_report *report;
    bool is_failed; /* with `err`: no use in going on */
    struct err err;
};

/* What one thread reads with. */
struct fsck_reader {
    struct fsck *fsck;
    struct log_reader *log;  /* owned */
    struct log_reader *from; /* owned; NULL when there is no mirror */
    struct buf tile, bundle; /* owned */
};

MUST_USE enum err_code fsck_reader_open(struct fsck_reader *out, struct fsck *fsck,
                                        struct err *err);
void fsck_reader_close(struct fsck_reader *reader);

/* A file of the log as it was found. */
struct fsck_file {
    bool is_there; /* of the right form; else `problem` and `detail` */
    enum fsck_problem problem;
    char detail[FSCK_DETAIL_MAX];
};

/* Reads `width` hashes of a tile. Fails only with what ends the run. */
MUST_USE enum err_code fsck_read_tile(struct fsck_reader *reader, struct tile_id id, uint16_t width,
                                      struct hash *hashes, struct fsck_file *file, struct err *err);
/* Reads a bundle into reader->bundle and hashes its entries. */
MUST_USE enum err_code fsck_read_bundle(struct fsck_reader *reader, uint64_t index, uint16_t width,
                                        struct hash *leaves, struct fsck_file *file,
                                        struct err *err);
/* A mirror's tile, unverified; false when there is none. */
bool fsck_read_mirror_tile(struct fsck_reader *reader, struct tile_id id, uint16_t width,
                           struct hash *hashes);

/* Where else a bundle may be had: unverified. False when it has none of that form. */
enum {
    FSCK_JOURNAL,
    FSCK_MIRROR,
    FSCK_SPARES
};
bool fsck_read_spare_bundle(struct fsck_reader *reader, unsigned source, uint64_t index,
                            uint16_t width, struct hash *leaves, struct buf *out);

/* Tells what is wrong with a file. `truth` may be NULL; `found` too, when it is not there: else the
 * first difference is named, one of `level`. */
struct fsck_finding fsck_finding_make(const struct tile_path *path, const struct fsck_file *file,
                                      const struct hash *truth, const struct hash *found);

/* Counts and keeps. Any thread. */
void fsck_add_finding(struct fsck *fsck, const struct fsck_finding *finding);
void fsck_add_note(struct fsck *fsck, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Replaces a file of a directory, and says in the finding how that went. */
void fsck_repair_file(struct fsck *fsck, const struct tile_path *path, struct span bytes,
                      struct fsck_finding *finding);

/* What the signed tree says about a tile. */
struct fsck_truth {
    bool is_known; /* the hashes lead to the signed root; else they are a guess */
    bool has_hashes;
    struct hash hashes[TILE_WIDTH];
};

/* The truths along the way down. One thread. */
struct fsck_tree {
    struct fsck_reader reader;
    struct fsck_truth edge[TILE_LEVELS]; /* the partial tile of each level */
    struct {
        bool is_there;
        uint64_t index;
        struct fsck_truth truth;
    } path[TILE_LEVELS]; /* the full tile of each level used last */
};

MUST_USE enum err_code fsck_tree_open(struct fsck_tree **out, struct fsck *fsck, struct err *err);
void fsck_tree_close(struct fsck_tree *tree); /* NULL is fine */

/* Tile `id` of level 1 or above, or the partial one of level 0; findings are added when the stored
 * one is not the truth. Good until the next call. */
MUST_USE enum err_code fsck_tree_get(struct fsck_tree *tree, struct tile_id id,
                                     const struct fsck_truth **out, struct err *err);

/* Checks a bundle and its level-0 tile of `width`: against `root` when the tile is full, against
 * `leaves` when it is partial; both NULL when nothing is known. */
MUST_USE enum err_code fsck_check_bundle(struct fsck_reader *reader, uint64_t index, uint16_t width,
                                         const struct hash *root, const struct hash *leaves,
                                         struct err *err);

/* All of it, for a log behind gRPC. */
MUST_USE enum err_code fsck_run_rpc(struct fsck *fsck, struct err *err);

/* Looks at every file of the directory. */
MUST_USE enum err_code fsck_scan(struct fsck_reader *reader, struct err *err);

#endif
