/* log_archive.h -- the notes that a log published earlier: they date its entries.
 *
 * design: "The life of an entry", step 8: /archive/after/INDEX over HTTP, archive/YYYY-MM-DD/HH/MM in a
 * copy on disk. Nothing is verified here but the form. Blocks. One thread.
 */
#ifndef CLIENT_LOG_ARCHIVE_H
#define CLIENT_LOG_ARCHIVE_H

#include "base/buf.h"
#include "client/log_address.h"

/* Appends the earliest archived note of more than `index` entries. E_NOT_FOUND when there is none, or no
 * archive; E_UNSUPPORTED for gRPC; else errors of log_reader.h. In a copy on disk sizes are taken to grow
 * with the names, as they do while clocks are not set back. */
MUST_USE enum err_code log_archive_after(const struct log_address *address, uint64_t index,
                                         struct buf *note, struct err *err);

#endif
