#include "logd/submission.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "tlog/merkle.h"

#include <assert.h>
#include <stdalign.h>

/* Of the allocation: indices, leaves, duplicate, and last the entries. */
static size_t bytes_before_entries(size_t count)
{
    return sizeof(struct submission) +
           count * (sizeof(uint64_t) + sizeof(struct hash) + sizeof(bool));
}

static void set_places(struct submission *submission, size_t count)
{
    static_assert(sizeof(struct submission) % alignof(uint64_t) == 0, "indices come first");
    submission->indices = (uint64_t *)(submission + 1);
    submission->leaves = (struct hash *)(submission->indices + count);
    submission->duplicate = (bool *)(submission->leaves + count);
    submission->entries = (uint8_t *)(submission->duplicate + count);
}

struct submission *submission_new(size_t count, size_t bytes)
{
    assert(count >= 1);
    assert(count <= ENTRIES_PER_CALL_MAX);
    size_t entries_bytes = bytes + 2 * count;
    struct submission *submission = mem_alloc(bytes_before_entries(count) + entries_bytes);
    *submission = (struct submission){ .next = NULL };
    set_places(submission, count);
    return submission;
}

struct submission *submission_drop_entries(struct submission *submission)
{
    size_t count = submission->count;
    submission = mem_realloc(submission, bytes_before_entries(count));
    set_places(submission, count);
    submission->entries = NULL;
    submission->entries_bytes = 0;
    return submission;
}

void submission_free(struct submission *submission)
{
    mem_free(submission);
}

void submission_add(struct submission *submission, struct span entry)
{
    assert(entry.len <= ENTRY_BYTES_MAX);
    uint8_t *at = submission->entries + submission->entries_bytes;
    at[0] = (uint8_t)(entry.len >> 8);
    at[1] = (uint8_t)entry.len;
    if (entry.len > 0) {
        memcpy(at + 2, entry.data, entry.len);
    }
    submission->entries_bytes += 2 + entry.len;
    submission->leaves[submission->count] = merkle_leaf_hash(entry);
    submission->duplicate[submission->count] = false;
    submission->count++;
}
