#include "client/spool_numbers.h"

#include "base/alloc.h"

enum {
    SIZE_FIRST = 256 /* a power of two, as all sizes */
};

void spool_numbers_init(struct spool_numbers *numbers)
{
    numbers->size = SIZE_FIRST;
    numbers->count = 0;
    numbers->table = mem_calloc(numbers->size, sizeof numbers->table[0]);
}

void spool_numbers_clear(struct spool_numbers *numbers)
{
    mem_free(numbers->table);
    *numbers = (struct spool_numbers){ .table = NULL };
}

void spool_numbers_reset(struct spool_numbers *numbers)
{
    spool_numbers_clear(numbers);
    spool_numbers_init(numbers);
}

/* Its slot, or the empty one where it would be. */
static struct spool_number *slot_of(const struct spool_numbers *numbers, const struct hash *case_id)
{
    uint64_t head;
    memcpy(&head, case_id->bytes, sizeof head);
    for (size_t i = (size_t)head & (numbers->size - 1);; i = (i + 1) & (numbers->size - 1)) {
        struct spool_number *slot = &numbers->table[i];
        if (!slot->is_used || hash_is_equal(&slot->case_id, case_id)) {
            return slot;
        }
    }
}

const struct spool_number *spool_numbers_find(const struct spool_numbers *numbers,
                                              const struct hash *case_id)
{
    const struct spool_number *slot = slot_of(numbers, case_id);
    return slot->is_used ? slot : NULL;
}

static void grow(struct spool_numbers *numbers)
{
    struct spool_numbers larger = { .size = numbers->size * 2, .count = numbers->count };
    larger.table = mem_calloc(larger.size, sizeof larger.table[0]);
    for (size_t i = 0; i < numbers->size; i++) {
        if (numbers->table[i].is_used) {
            *slot_of(&larger, &numbers->table[i].case_id) = numbers->table[i];
        }
    }
    mem_free(numbers->table);
    *numbers = larger;
}

void spool_numbers_set(struct spool_numbers *numbers, const struct hash *case_id, uint64_t next,
                       bool is_behind_sealed)
{
    struct spool_number *slot = slot_of(numbers, case_id);
    if (!slot->is_used && numbers->count >= numbers->size / 2) {
        grow(numbers);
        slot = slot_of(numbers, case_id);
    }
    numbers->count += !slot->is_used;
    *slot = (struct spool_number){ *case_id, next, is_behind_sealed, true };
}
