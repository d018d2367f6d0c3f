/* journal_memory.h -- the journal in memory, for tests: it can lose what was not synced, fail before
 * or after a write took effect, and be opened again.
 */
#ifndef STORE_JOURNAL_MEMORY_H
#define STORE_JOURNAL_MEMORY_H

#include "store/journal.h"

enum store_fault {
    STORE_FAULT_NONE,
    STORE_FAULT_BEFORE, /* the next write fails and has no effect */
    STORE_FAULT_AFTER,  /* the next write fails and has taken effect */
    STORE_FAULT_FULL,   /* no space: reserve or write says E_UNAVAILABLE, until cleared */
};

/* The "disk": outlives the journals opened on it. */
struct journal_memory_disk;
struct journal_memory_disk *journal_memory_disk_new(uint64_t bytes_max);
struct journal_memory_disk *journal_memory_disk_copy(const struct journal_memory_disk *disk);
void journal_memory_disk_free(struct journal_memory_disk *disk);
void journal_memory_disk_fault(struct journal_memory_disk *disk, enum store_fault fault);
struct journal *journal_memory_open(struct journal_memory_disk *disk);

#endif
