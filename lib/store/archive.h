/* archive.h -- every published note, kept: what a verifier needs to say "no later than".
 *
 * design: "The life of an entry", step 8. Files archive/YYYY-MM-DD/HH/MM below the log's prefix, UTC, each
 * the notes published in that minute, oldest first, one empty line between them. After ARCHIVE_DAYS
 * days a file keeps its first note only, for ever.
 * Blocks on the disk: a worker; one writer.
 */
#ifndef STORE_ARCHIVE_H
#define STORE_ARCHIVE_H

#include "base/buf.h"
#include "store/tiles.h"

enum {
    ARCHIVE_DAYS = 30,     /* all notes of that many days are kept */
    ARCHIVE_PATH_MAX = 32, /* bytes: "archive/2026-01-31/23/59", with the NUL */
    /* Bytes of one minute: a note more is not archived, and that is logged. */
    ARCHIVE_FILE_MAX = 4 << 20,
};

/* "archive/YYYY-MM-DD/HH/MM" of a time in seconds since the epoch. */
struct archive_path {
    char text[ARCHIVE_PATH_MAX];
};
struct archive_path archive_path_of(int64_t unix_s);

/* Exactly such paths, of dates that exist: what may be served. */
bool archive_path_is_valid(struct span path);

/* Adds a note; durable when it returns E_OK. The note added last is not added twice. */
MUST_USE enum err_code archive_add(struct tiles *tiles, int64_t unix_s, struct span note,
                                   struct err *err);

/* Takes the next note of an archive file's bytes; false at the end or at a torn note, and then `in`
 * is as it was. */
bool archive_take_note(struct span *in, struct span *note);

/* The earliest note still there whose size is above `index`, appended. E_NOT_FOUND. */
MUST_USE enum err_code archive_find(struct tiles *tiles, uint64_t index, struct buf *out,
                                    struct err *err);

/* Thins out one day: the oldest one that is older than ARCHIVE_DAYS and not thin yet, as the file
 * archive/thin-until tells. *has_more tells whether to call again. */
MUST_USE enum err_code archive_prune(struct tiles *tiles, int64_t now_unix_s, bool *has_more,
                                     struct err *err);

#endif
