/* deposit_source.h -- what the commands around certificates read: documents of any size, and our own program.
 *
 * Blocks on the disk. Main thread.
 */
#ifndef CLI_DEPOSIT_SOURCE_H
#define CLI_DEPOSIT_SOURCE_H

#include "base/crypto.h"
#include "base/err.h"

struct deposit_document {
    struct hash sha256; /* of the file */
    struct hash leaf;   /* SHA-256 of a zero byte and the file */
    uint64_t bytes;
};

/* One pass over a file, a pipe, or stdin for "-". E_NOT_FOUND, E_IO. */
MUST_USE enum err_code deposit_document_read(struct deposit_document *out, const char *path,
                                             struct err *err);

#endif
