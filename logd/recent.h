/* recent.h -- where entries, and entry tags, were logged that the deduplication index cannot answer for yet.
 *
 * design: "The life of an entry", step 2: what is committed but not yet indexed is looked up in
 * memory. Two generations of a hash table: the older one is dropped whole once the index and the
 * level-0 tiles cover it. Sequencer thread.
 */
#ifndef LOGD_RECENT_H
#define LOGD_RECENT_H

#include "base/crypto.h"

struct recent_slot {
    struct hash key;       /* a leaf hash, or what stands for a tag */
    uint64_t index_plus_1; /* 0: free */
};

struct recent_table {
    struct recent_slot *slots; /* owned */
    size_t slot_count;         /* a power of two, or 0 */
    size_t used;
    uint64_t end; /* past the largest index in it */
};

struct recent {
    struct recent_table young;
    struct recent_table old;
};

void recent_init(struct recent *recent);
void recent_clear(struct recent *recent);

/* Requires that the leaf hash is not there. Indices never fall from call to call. */
void recent_add(struct recent *recent, const struct hash *leaf, uint64_t index);
bool recent_find(const struct recent *recent, const struct hash *leaf, uint64_t *index);

/* Likewise for entry tags, which never meet leaf hashes. An entry's index may come for both. */
void recent_add_tag(struct recent *recent, const struct hash *tag, uint64_t index);
bool recent_find_tag(const struct recent *recent, const struct hash *tag, uint64_t *index);

/* Entries below `size` are answered elsewhere now: may forget them. */
void recent_forget(struct recent *recent, uint64_t size);

#endif
