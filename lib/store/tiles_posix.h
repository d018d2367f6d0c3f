/* tiles_posix.h -- tiles as files below one directory, 0644 in directories of 0755, so that any web
 * server or rsync can work on it as it is.
 *
 * Normal path: a file without a name (O_TMPFILE) is written, synced, and linked to its path;
 * tiles_sync syncs the directories on the way there. A crash leaves a whole file or none. Where a
 * path is taken (recovery writes again) or the file system has no O_TMPFILE, the file gets a name
 * in DIR/.tmp first and is renamed; what a crash leaves in there is removed at open.
 */
#ifndef STORE_TILES_POSIX_H
#define STORE_TILES_POSIX_H

#include "store/tiles.h"

/* `dir` is created if missing. */
MUST_USE enum err_code tiles_posix_open(struct tiles **out, const char *dir, struct err *err);

#endif
