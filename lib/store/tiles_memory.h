/* tiles_memory.h -- tiles in memory, for tests: a crash loses what was not synced. */
#ifndef STORE_TILES_MEMORY_H
#define STORE_TILES_MEMORY_H

#include "store/journal_memory.h"
#include "store/tiles.h"

/* The "disk": outlives the stores opened on it. */
struct tiles_memory_disk;
struct tiles_memory_disk *tiles_memory_disk_new(void);
struct tiles_memory_disk *tiles_memory_disk_copy(const struct tiles_memory_disk *disk);
void tiles_memory_disk_free(struct tiles_memory_disk *disk);
void tiles_memory_disk_fault(struct tiles_memory_disk *disk, enum store_fault fault);

/* Power loss: each file written or removed since the last sync is kept or lost as the bits of `seed`
 * say. Requires that no store is open on the disk. */
void tiles_memory_disk_crash(struct tiles_memory_disk *disk, uint64_t seed);
struct tiles *tiles_memory_open(struct tiles_memory_disk *disk);

#endif
