/* spool_numbers.h -- the next number of each case that puts have asked for, ahead of the disk.
 *
 * With each number goes whether the operation before it is sealed: the next one then keeps its distance.
 * A cache: what is not in it is read from the store; it may be emptied whenever no put is under way.
 * Pure. The spool's lock guards it.
 */
#ifndef CLIENT_SPOOL_NUMBERS_H
#define CLIENT_SPOOL_NUMBERS_H

#include "base/crypto.h"

struct spool_number {
    struct hash case_id;
    uint64_t next;
    bool is_behind_sealed; /* the one before it is sealed */
    bool is_used;
};

struct spool_numbers {
    struct spool_number *table; /* open addressing; owned */
    size_t size, count;
};

void spool_numbers_init(struct spool_numbers *numbers);
void spool_numbers_clear(struct spool_numbers *numbers);
void spool_numbers_reset(struct spool_numbers *numbers); /* empty again */

/* NULL when it is not in it. Good until the next call. */
const struct spool_number *spool_numbers_find(const struct spool_numbers *numbers,
                                              const struct hash *case_id);
void spool_numbers_set(struct spool_numbers *numbers, const struct hash *case_id, uint64_t next,
                       bool is_behind_sealed);

#endif
