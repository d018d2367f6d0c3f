/* alloc.h -- memory that is there, or the process ends.
 *
 * Out of memory aborts: gRPC and LevelDB end the process anyway, and restarting is tested.
 * Sizes that come from a peer are checked against limits.h before they get here. Any thread.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

/* Never NULL for size > 0. mem_calloc zeroes and checks count * size. */
void *mem_alloc(size_t size);
void *mem_calloc(size_t count, size_t size);
void *mem_realloc(void *old, size_t size);
void mem_free(void *memory); /* NULL is fine */
char *mem_strdup(const char *text);

#define NEW(type) ((type *)mem_calloc(1, sizeof(type)))

/* An arena: many small allocations, freed together. One owner. */
struct arena {
    struct arena_block *blocks; /* newest first; owned */
    unsigned char *first;       /* the caller's memory, or NULL; borrowed */
    size_t first_room;          /* bytes of it that are left */
    size_t used;                /* bytes handed out, over all blocks */
    size_t max;                 /* bytes; arena_alloc returns NULL above */
};

void arena_init(struct arena *arena, size_t bytes_max);
/* Begins with the caller's `memory`, such as an array on the stack, which must outlive the arena's use. */
void arena_init_with(struct arena *arena, size_t bytes_max, void *memory, size_t memory_bytes);
void arena_clear(struct arena *arena);

/* Aligned for any type; NULL when the arena's maximum would be passed. */
void *arena_alloc(struct arena *arena, size_t size);

#endif
