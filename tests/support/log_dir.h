/* log_dir.h -- a small log in a directory, as logd would publish it: for tests of readers.
 *
 * The keys are made of fixed seeds, the entries of their index: two logs of one size are equal to
 * the byte, but for cosignature times. Failures end the test program. One thread.
 */
#ifndef SUPPORT_LOG_DIR_H
#define SUPPORT_LOG_DIR_H

#include "tlog/edge.h"
#include "tlog/policy.h"

enum {
    LOG_DIR_WITNESSES = 3,
    LOG_DIR_TIME =
        1790000000 /* seconds: of the first witness's cosignature; the next is one later */
};

struct log_dir {
    char *path; /* owned: `checkpoint` and `tile/` are in it */
    struct signer log;
    struct signer witnesses[LOG_DIR_WITNESSES];
    struct buf policy_bytes; /* the log, and 2 of w1, w2, w3 */
    struct policy *policy;   /* the same, parsed; owned */
    struct buf note;         /* the checkpoint on disk */
    struct checkpoint checkpoint;
    struct edge *edge; /* owned */
};

/* Makes `path` (whose parent exists) and a log of `size` entries in it. */
void log_dir_make(struct log_dir *dir, const char *path, uint64_t size);

/* Adds entries; older partial files stay. */
void log_dir_grow(struct log_dir *dir, uint64_t size);

/* Frees the struct; the files stay. */
void log_dir_clear(struct log_dir *dir);

/* Appends entry number `index`: 0..500 bytes, some of them empty. */
void log_dir_put_entry(struct buf *out, uint64_t index);

/* Appends a checkpoint of size and root, signed by the log and the first `witness_count`. */
void log_dir_put_note(struct buf *out, const struct log_dir *dir, uint64_t size,
                      const struct hash *root, size_t witness_count);

/* Writes a file below the log, with its directories. */
void log_dir_write(const struct log_dir *dir, const char *name, struct span bytes);

#endif
