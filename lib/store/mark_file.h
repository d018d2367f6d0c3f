/* mark_file.h -- the last signed size and root of each of many origins, in one small file on another
 * disk, outside backups: against a restored backup of the store.
 *
 * A header and one pair of slots an origin: a slot holds the origin's SHA-256, size, root, a sequence
 * number and a checksum; updates go to the older slot of the pair, so that a torn write leaves the
 * other. A group of updates is one sync.
 * One thread at a time. Blocks on the disk. The file is locked while it is open.
 */
#ifndef STORE_MARK_FILE_H
#define STORE_MARK_FILE_H

#include "base/crypto.h"
#include "base/err.h"

enum {
    MARK_FILE_ORIGINS_MAX = 65536
};

struct mark {
    struct hash origin; /* SHA-256 of the origin's bytes */
    uint64_t size;
    struct hash root;
};

struct mark_file;

/* Opens, or makes with mode 0600 when `may_create` and there is none. E_NOT_FOUND; E_CORRUPT when it
 * is not a mark file, or both slots of an origin are damaged; E_BUSY; E_IO. */
MUST_USE enum err_code mark_file_open(struct mark_file **out, const char *path, bool may_create,
                                      struct err *err);
void mark_file_close(struct mark_file *file); /* NULL is fine */

size_t mark_file_count(const struct mark_file *file);
/* In the order in which they came in. */
struct mark mark_file_at(const struct mark_file *file, size_t i);
/* How many origins it could take that are not there. Places that a write cut short left unused between
 * others are lost: this may be less than MARK_FILE_ORIGINS_MAX less the count. */
size_t mark_file_room(const struct mark_file *file);
/* E_NOT_FOUND. */
MUST_USE enum err_code mark_file_get(const struct mark_file *file, const struct hash *origin,
                                     struct mark *out, struct err *err);

/* Writes and syncs all of them, with one sync; marks without a change are written too. Takes what it is
 * given: whether a mark may go back is the caller's to decide. An origin may be there once. E_IO: nothing
 * is known to be on the disk, mark_file_get tells what was to be there, and the next call (of no marks
 * too) writes it again. E_TOO_LARGE over mark_file_room: then nothing has happened. */
MUST_USE enum err_code mark_file_put(struct mark_file *file, const struct mark *marks, size_t count,
                                     struct err *err);

#endif
