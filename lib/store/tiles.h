/* tiles.h -- the seam to the log's public files: immutable tiles and bundles, and a few mutable
 * ones (checkpoint), in the very layout that is served.
 *
 * Spec: C2SP tlog-tiles for the paths. Two implementations: a POSIX directory and memory; one
 * contract test. Any thread may call; each call may block on the disk.
 *
 * Immutable files: tiles_write, then tiles_sync before anything vouches for them. Writing a path
 * again (recovery does) must give the same bytes. Mutable files: tiles_replace, atomic and durable.
 */
#ifndef STORE_TILES_H
#define STORE_TILES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct tiles {
    const struct tiles_ops *ops;
};

struct tiles_ops {
    enum err_code (*write)(struct tiles *tiles, const char *path, struct span bytes,
                           struct err *err);
    enum err_code (*sync)(struct tiles *tiles, struct err *err);
    enum err_code (*replace)(struct tiles *tiles, const char *path, struct span bytes,
                             struct err *err);
    enum err_code (*read)(struct tiles *tiles, const char *path, struct buf *out, struct err *err);
    enum err_code (*remove)(struct tiles *tiles, const char *path, struct err *err);
    enum err_code (*list)(struct tiles *tiles, const char *dir,
                          enum err_code (*on_name)(void *ctx, const char *name, bool is_dir,
                                                   struct err *err),
                          void *ctx, struct err *err);
    uint64_t (*bytes_written)(const struct tiles *tiles);
    void (*close)(struct tiles *tiles);
};

/* The whole file appears at `path` or nothing does. Durable only after tiles_sync. E_UNAVAILABLE
 * (no space, try later) or E_IO. Directories are made as needed. */
MUST_USE static inline enum err_code tiles_write(struct tiles *tiles, const char *path,
                                                 struct span bytes, struct err *err)
{
    return tiles->ops->write(tiles, path, bytes, err);
}

/* Makes durable every file, and its name, whose tiles_write returned E_OK before this call began,
 * whoever wrote it and however many syncs, of anyone, have failed since: what a failed sync was to
 * make durable is left to the next one. After an error nothing is known to be durable. */
MUST_USE static inline enum err_code tiles_sync(struct tiles *tiles, struct err *err)
{
    return tiles->ops->sync(tiles, err);
}

/* Atomic and durable when it returns E_OK; on error the old file or the new one is there. */
MUST_USE static inline enum err_code tiles_replace(struct tiles *tiles, const char *path,
                                                   struct span bytes, struct err *err)
{
    return tiles->ops->replace(tiles, path, bytes, err);
}

/* Appends the file's bytes; E_NOT_FOUND; E_TOO_LARGE over out->max; E_IO. */
MUST_USE static inline enum err_code tiles_read(struct tiles *tiles, const char *path,
                                                struct buf *out, struct err *err)
{
    return tiles->ops->read(tiles, path, out, err);
}

/* E_NOT_FOUND is no error here. Not durable: a removed file may come back after a crash. */
MUST_USE static inline enum err_code tiles_remove(struct tiles *tiles, const char *path,
                                                  struct err *err)
{
    return tiles->ops->remove(tiles, path, err);
}

/* Tells the names in a directory, in no order; E_NOT_FOUND. */
MUST_USE static inline enum err_code
tiles_list(struct tiles *tiles, const char *dir,
           enum err_code (*on_name)(void *ctx, const char *name, bool is_dir, struct err *err),
           void *ctx, struct err *err)
{
    return tiles->ops->list(tiles, dir, on_name, ctx, err);
}

static inline uint64_t tiles_bytes_written(const struct tiles *tiles)
{
    return tiles->ops->bytes_written(tiles);
}

static inline void tiles_close(struct tiles *tiles)
{
    if (tiles != NULL) {
        tiles->ops->close(tiles);
    }
}

#endif
