#include "store/journal_memory.h"

#include "base/alloc.h"
#include "tlog/merkle.h"

#include <assert.h>

struct journal_memory_disk {
    struct journal_record *records; /* owned, with their entries; oldest first */
    size_t count;
    struct journal_head head;
    uint64_t entries_bytes; /* of the records held */
    uint64_t bytes_max;
    enum store_fault fault;
};

struct journal_memory {
    struct journal base;
    struct journal_memory_disk *disk; /* borrowed */
    uint64_t bytes_written;
    size_t reserved; /* bytes of entries */
    bool is_broken;  /* an append failed: the owner must end, and open again */
};

static struct span copy_bytes(struct span bytes)
{
    uint8_t *copy = mem_alloc(bytes.len > 0 ? bytes.len : 1);
    if (bytes.len > 0) {
        memcpy(copy, bytes.data, bytes.len);
    }
    return (struct span){ copy, bytes.len };
}

static void disk_append(struct journal_memory_disk *disk, const struct journal_record *record)
{
    disk->records = mem_realloc(disk->records, (disk->count + 1) * sizeof *disk->records);
    struct journal_record *copy = &disk->records[disk->count++];
    *copy = *record;
    copy->entries = copy_bytes(record->entries);
    disk->entries_bytes += record->entries.len;
    disk->head = (struct journal_head){ record->size, record->root };
}

static void disk_trim(struct journal_memory_disk *disk, uint64_t size)
{
    size_t drop = 0;
    while (drop + 1 < disk->count && disk->records[drop].size <= size) {
        struct span entries = disk->records[drop].entries;
        disk->entries_bytes -= entries.len;
        mem_free((void *)entries.data);
        drop++;
    }
    disk->count -= drop;
    if (drop > 0) {
        memmove(disk->records, disk->records + drop, disk->count * sizeof *disk->records);
    }
}

struct journal_memory_disk *journal_memory_disk_new(uint64_t bytes_max)
{
    struct journal_memory_disk *disk = NEW(struct journal_memory_disk);
    disk->bytes_max = bytes_max;
    disk->head.root = merkle_empty_root();
    return disk;
}

struct journal_memory_disk *journal_memory_disk_copy(const struct journal_memory_disk *disk)
{
    struct journal_memory_disk *copy = journal_memory_disk_new(disk->bytes_max);
    for (size_t i = 0; i < disk->count; i++) {
        disk_append(copy, &disk->records[i]);
    }
    copy->head = disk->head;
    copy->fault = disk->fault;
    return copy;
}

void journal_memory_disk_free(struct journal_memory_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    for (size_t i = 0; i < disk->count; i++) {
        mem_free((void *)disk->records[i].entries.data);
    }
    mem_free(disk->records);
    mem_free(disk);
}

void journal_memory_disk_fault(struct journal_memory_disk *disk, enum store_fault fault)
{
    disk->fault = fault;
}

/* The fault that hits this write, which uses it up. */
static enum store_fault take_fault(struct journal_memory_disk *disk)
{
    enum store_fault fault = disk->fault;
    if (fault == STORE_FAULT_BEFORE || fault == STORE_FAULT_AFTER) {
        disk->fault = STORE_FAULT_NONE;
    }
    return fault;
}

static enum err_code memory_reserve(struct journal *base, size_t entries_bytes, struct err *err)
{
    struct journal_memory *journal = (struct journal_memory *)base;
    struct journal_memory_disk *disk = journal->disk;
    if (disk->fault == STORE_FAULT_FULL) {
        return err_set(err, E_UNAVAILABLE, "journal: no space left (asked for by a test)");
    }
    /* With one record held there must be room for another, or nothing could ever be trimmed. */
    if (disk->count > 1 && (disk->entries_bytes >= disk->bytes_max ||
                            entries_bytes > disk->bytes_max - disk->entries_bytes)) {
        return err_set(err, E_BUSY, "journal: full until integration catches up");
    }
    journal->reserved = entries_bytes;
    return E_OK;
}

static enum err_code memory_append(struct journal *base, const struct journal_record *record,
                                   struct err *err)
{
    struct journal_memory *journal = (struct journal_memory *)base;
    struct journal_memory_disk *disk = journal->disk;
    if (journal->is_broken) {
        return err_set(err, E_IO, "journal: an append failed before");
    }
    if (record->first != disk->head.size || record->size <= record->first) {
        return err_set(err, E_CONFLICT, "journal: record does not extend the head");
    }
    assert(record->entries.len <= journal->reserved);
    journal->reserved = 0;
    enum store_fault fault = take_fault(disk);
    if (fault != STORE_FAULT_BEFORE) {
        disk_append(disk, record);
        journal->bytes_written += record->entries.len;
    }
    if (fault == STORE_FAULT_BEFORE || fault == STORE_FAULT_AFTER) {
        journal->is_broken = true;
        return err_set(err, E_IO, "journal: append failed (asked for by a test)");
    }
    return E_OK;
}

static enum err_code memory_trim(struct journal *base, uint64_t size, struct err *err)
{
    struct journal_memory *journal = (struct journal_memory *)base;
    enum store_fault fault = take_fault(journal->disk);
    if (fault != STORE_FAULT_BEFORE) {
        disk_trim(journal->disk, size);
    }
    if (fault == STORE_FAULT_BEFORE || fault == STORE_FAULT_AFTER) {
        return err_set(err, E_IO, "journal: trim failed (asked for by a test)");
    }
    return E_OK;
}

static enum err_code memory_replay(struct journal *base,
                                   enum err_code (*on_record)(void *ctx,
                                                              const struct journal_record *record,
                                                              struct err *err),
                                   void *ctx, struct err *err)
{
    const struct journal_memory *journal = (const struct journal_memory *)base;
    enum err_code rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < journal->disk->count; i++) {
        rc = on_record(ctx, &journal->disk->records[i], err);
    }
    return rc;
}

static struct journal_head memory_head(const struct journal *base)
{
    return ((const struct journal_memory *)base)->disk->head;
}

static uint64_t memory_bytes_written(const struct journal *base)
{
    return ((const struct journal_memory *)base)->bytes_written;
}

static void memory_close(struct journal *base)
{
    mem_free(base);
}

static const struct journal_ops memory_ops = {
    .reserve = memory_reserve,
    .append = memory_append,
    .trim = memory_trim,
    .replay = memory_replay,
    .head = memory_head,
    .bytes_written = memory_bytes_written,
    .close = memory_close,
};

struct journal *journal_memory_open(struct journal_memory_disk *disk)
{
    struct journal_memory *journal = NEW(struct journal_memory);
    journal->base.ops = &memory_ops;
    journal->disk = disk;
    return &journal->base;
}
