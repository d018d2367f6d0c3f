/* payload_dir.h -- the directory of encrypted payloads that a submitter keeps: one file a record.
 *
 * DIR/xx/LEAF.payload: LEAF is the leaf hash of the record in hex, xx its first two digits; the file is a
 * store/sealed_file.h. Durable when a write returns: a record that is on a log without its payload could never be
 * opened. DIR/sealed/NAME.payload is a link to one that is to be found again by a name of the caller's.
 * Blocks on the disk. Any thread.
 */
#ifndef CLIENT_PAYLOAD_DIR_H
#define CLIENT_PAYLOAD_DIR_H

#include "record/payload.h"
#include "store/sealed_file.h"

struct payload_dir {
    char *path;            /* owned */
    struct sealed_key key; /* wiped by payload_dir_close */
};

/* Makes the directory, 0700, and those in it. Errors of sealed_key_load; E_IO. */
MUST_USE enum err_code payload_dir_open(struct payload_dir *out, const char *path,
                                        const char *key_path, struct err *err);
void payload_dir_close(struct payload_dir *dir); /* a zeroed one is fine */

/* All or none, and many as fast as a few: they share a sync. E_EXISTS, E_IO. */
MUST_USE enum err_code payload_dir_write(const struct payload_dir *dir,
                                         const struct payload *payloads, size_t count,
                                         struct err *err);
/* Takes back what was just written. */
void payload_dir_remove(const struct payload_dir *dir, const struct payload *payloads,
                        size_t count);

/* Gives the record's payload a name, which another one may have had. Durable after payload_dir_sync_names. E_IO. */
MUST_USE enum err_code payload_dir_put_name(const struct payload_dir *dir, const struct hash *name,
                                            const struct hash *leaf, struct err *err);
MUST_USE enum err_code payload_dir_sync_names(const struct payload_dir *dir, struct err *err);

/* The payload in a file, with the record that it opens checked. *out is to be cleared in any case. */
MUST_USE enum err_code payload_dir_read(const struct payload_dir *dir, const char *path,
                                        struct payload *out, struct err *err);

/* Appends the path of a record's payload, or that of a name. */
void payload_dir_put_path(struct buf *out, const struct payload_dir *dir, const struct hash *leaf);
void payload_dir_put_name_path(struct buf *out, const struct payload_dir *dir,
                               const struct hash *name);

#endif
