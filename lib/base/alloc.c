#include "base/alloc.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *check(void *memory, size_t size)
{
    if (memory == NULL && size > 0) {
        fprintf(stderr, "level=error event=out_of_memory bytes=%zu\n", size);
        abort();
    }
    return memory;
}

void *mem_alloc(size_t size)
{
    return check(malloc(size), size);
}

void *mem_calloc(size_t count, size_t size)
{
    return check(calloc(count, size), count == 0 ? 0 : size);
}

void *mem_realloc(void *old, size_t size)
{
    return check(realloc(old, size), size);
}

void mem_free(void *memory)
{
    free(memory);
}

char *mem_strdup(const char *text)
{
    return check(strdup(text), strlen(text) + 1);
}

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t cap;
    alignas(max_align_t) unsigned char bytes[];
};

enum {
    BLOCK_BYTES = 16 * 1024
};

void arena_init(struct arena *arena, size_t bytes_max)
{
    *arena = (struct arena){ .max = bytes_max };
}

void arena_init_with(struct arena *arena, size_t bytes_max, void *memory, size_t memory_bytes)
{
    size_t align = alignof(max_align_t);
    size_t skip = (align - (uintptr_t)memory % align) % align;
    *arena = (struct arena){ .max = bytes_max };
    if (skip < memory_bytes) {
        arena->first = (unsigned char *)memory + skip;
        arena->first_room = memory_bytes - skip;
    }
}

void arena_clear(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *next = arena->blocks->next;
        mem_free(arena->blocks);
        arena->blocks = next;
    }
    arena->first = NULL;
    arena->first_room = 0;
    arena->used = 0;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t align = alignof(max_align_t);
    if (size > arena->max - arena->used || arena->max - arena->used - size < align) {
        return NULL;
    }
    size = (size + align - 1) / align * align;
    if (size <= arena->first_room) {
        void *memory = arena->first;
        arena->first += size;
        arena->first_room -= size;
        arena->used += size;
        return memory;
    }
    struct arena_block *block = arena->blocks;
    if (block == NULL || block->cap - block->used < size) {
        size_t cap = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        block = mem_alloc(sizeof *block + cap);
        *block = (struct arena_block){ .next = arena->blocks, .cap = cap };
        arena->blocks = block;
    }
    void *memory = block->bytes + block->used;
    block->used += size;
    arena->used += size;
    return memory;
}
