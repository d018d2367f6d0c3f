/* index.h -- the deduplication index: where an entry with a given leaf hash was first logged.
 *
 * Derived: it can be rebuilt from level-0 tiles and the journal. LevelDB, without syncs.
 * Key: the first 16 bytes of the leaf hash; value: the index. A hit is a hint until the whole hash has
 * been compared with the level-0 tile. The size covered is stored in the same batch as the keys.
 * Threads: one writer (index_put), any readers.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "base/crypto.h"
#include "base/err.h"

struct index;

/* Opens or creates. A store that does not open, or fails its checks, is E_CORRUPT: the caller calls
 * index_destroy and rebuilds. E_BUSY when it is open elsewhere; E_IO for a full disk and the like. */
MUST_USE enum err_code index_open(struct index **out, const char *dir, struct err *err);
void index_close(struct index *index); /* NULL is fine */
MUST_USE enum err_code index_destroy(const char *dir, struct err *err);

/* Entries [0, covered) are in the index. */
uint64_t index_covered(const struct index *index);

/* Adds entries first, first + 1, ... ; a hash that is there already keeps its first index. Requires
 * first == index_covered. `is_new[i]` (may be NULL) tells that the caller has looked hash i up
 * already and found nothing, so it need not be looked up again. After E_IO (a full disk is sticky in
 * LevelDB) the store must be closed and opened again. */
MUST_USE enum err_code index_put(struct index *index, uint64_t first, const struct hash *leaves,
                                 const bool *is_new, size_t count, struct err *err);

/* E_NOT_FOUND, or the index to be compared. */
MUST_USE enum err_code index_get(const struct index *index, const struct hash *leaf, uint64_t *out,
                                 struct err *err);

uint64_t index_bytes_written(const struct index *index); /* logical, since open */

#endif
