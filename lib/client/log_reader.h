/* log_reader.h -- a log's public files, wherever they are: a directory, or an http(s) URL.
 *
 * Spec: C2SP tlog-tiles. Nothing is verified here but lengths: a checkpoint goes through
 * policy_open_checkpoint, tiles through tile_reader.h. A log behind gRPC has no files: rpc_log.h.
 * Every call may block on the disk or the network. One thread at a time; threads that read in
 * parallel open a reader each.
 */
#ifndef CLIENT_LOG_READER_H
#define CLIENT_LOG_READER_H

#include "base/buf.h"
#include "base/err.h"
#include "client/log_address.h"
#include "tlog/tile.h"

struct log_reader {
    const struct log_reader_ops *ops;
};

/* The seam: one file below the log's root, such as "checkpoint". E_NOT_FOUND (the log has no such
 * file), E_TOO_LARGE, E_TIMEOUT, E_IO. */
struct log_reader_ops {
    enum err_code (*get)(struct log_reader *reader, const char *path, struct buf *out,
                         struct err *err);
    void (*close)(struct log_reader *reader);
};

/* E_UNSUPPORTED for a gRPC address, E_NOT_FOUND for a directory that is not there. No connection is
 * made yet. */
MUST_USE enum err_code log_reader_open(struct log_reader **out, const struct log_address *address,
                                       struct err *err);
/* Likewise for who cannot wait as long as that one does for a server that hangs: each try of a request ends after
 * so long, whatever has come. A directory takes no notice. */
MUST_USE enum err_code log_reader_open_within(struct log_reader **out,
                                              const struct log_address *address,
                                              uint32_t timeout_ms, unsigned tries, struct err *err);
void log_reader_close(struct log_reader *reader); /* NULL is fine */

/* Appends the file at `path`. */
MUST_USE static inline enum err_code log_reader_get(struct log_reader *reader, const char *path,
                                                    struct buf *out, struct err *err)
{
    return reader->ops->get(reader, path, out, err);
}

/* Appends the checkpoint note, unverified. */
MUST_USE enum err_code log_reader_checkpoint(struct log_reader *reader, struct buf *out,
                                             struct err *err);

/* Appends a tile or bundle of exactly `path->width` hashes or entries. A partial one that is not
 * there is taken from the full one, which may have come to be since. Errors name the path:
 * E_NOT_FOUND, E_MALFORMED (a wrong length, or too few entries), E_IO, E_TIMEOUT. `out` has a
 * maximum of TILE_BYTES, or BUNDLE_BYTES_MAX for a bundle. */
MUST_USE enum err_code log_reader_get_tile(struct log_reader *reader, const struct tile_path *path,
                                           struct buf *out, struct err *err);

#endif
