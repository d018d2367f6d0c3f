/* index.h -- the deduplication index: where an entry with a given leaf hash was first logged; in a log of
 * operation records also where an entry tag is, and where the registrations are.
 *
 * Derived: it can be rebuilt from level-0 tiles, bundles and the journal. LevelDB, without syncs.
 * Key: the first 16 bytes of the leaf hash; value: the index. A hit is a hint until the whole hash has
 * been compared with the level-0 tile. A tag is a key in full, so that its hit is exact. The size covered is
 * stored in the same batch as the keys.
 * Threads: one writer (index_put), any readers.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "base/crypto.h"
#include "base/err.h"

struct index;

/* What else is found by index in a log of operation records. */
struct index_facts {
    bool has_tag;
    bool is_registration; /* it changes who may log */
    struct hash tag;
};

/* Opens or creates, for a log with or without facts; an index that was made for the other is E_CORRUPT. So is
 * a store that does not open, or fails its checks: the caller calls index_destroy and rebuilds. E_BUSY when
 * it is open elsewhere; E_IO for a full disk and the like. */
MUST_USE enum err_code index_open(struct index **out, const char *dir, bool has_facts,
                                  struct err *err);
void index_close(struct index *index); /* NULL is fine */
MUST_USE enum err_code index_destroy(const char *dir, struct err *err);

/* Entries [0, covered) are in the index. */
uint64_t index_covered(const struct index *index);

/* Adds entries first, first + 1, ... ; a hash that is there already keeps its first index, and so does a tag.
 * Requires first == index_covered. `facts` is NULL unless the index was opened for them. `is_new[i]` (may be
 * NULL) tells that the caller has looked hash and tag i up already and found nothing, so they need not be
 * looked up again. After E_IO (a full disk is sticky in LevelDB) the store must be closed and opened again. */
MUST_USE enum err_code index_put(struct index *index, uint64_t first, const struct hash *leaves,
                                 const struct index_facts *facts, const bool *is_new, size_t count,
                                 struct err *err);

/* E_NOT_FOUND, or the index to be compared. */
MUST_USE enum err_code index_get(const struct index *index, const struct hash *leaf, uint64_t *out,
                                 struct err *err);

/* E_NOT_FOUND, or the index of the entry with this tag: the whole tag is the key. */
MUST_USE enum err_code index_get_tag(const struct index *index, const struct hash *tag,
                                     uint64_t *out, struct err *err);

/* Every registration, in the order of the log; ends with the callback's error, if it has one. */
MUST_USE enum err_code index_scan_registrations(const struct index *index, void *ctx,
                                                enum err_code (*on_index)(void *ctx, uint64_t index,
                                                                          struct err *err),
                                                struct err *err);

uint64_t index_bytes_written(const struct index *index); /* logical, since open */

#endif
