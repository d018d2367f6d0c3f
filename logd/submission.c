#include "logd/submission.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "tlog/merkle.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>

/* Of the allocation: indices, leaves, duplicate, facts if there are any, and last the entries. */
static size_t bytes_before_entries(size_t count, bool has_facts)
{
    return sizeof(struct submission) +
           count * (sizeof(uint64_t) + sizeof(struct hash) + sizeof(bool) +
                    (has_facts ? sizeof(struct entry_facts) : 0));
}

static void set_places(struct submission *submission, size_t count, bool has_facts)
{
    static_assert(sizeof(struct submission) % alignof(uint64_t) == 0, "indices come first");
    static_assert(alignof(struct entry_facts) == 1, "facts may stand anywhere");
    submission->indices = (uint64_t *)(submission + 1);
    submission->leaves = (struct hash *)(submission->indices + count);
    submission->duplicate = (bool *)(submission->leaves + count);
    struct entry_facts *facts = (struct entry_facts *)(submission->duplicate + count);
    submission->facts = has_facts ? facts : NULL;
    submission->entries = has_facts ? (uint8_t *)(facts + count) : (uint8_t *)facts;
}

static struct submission *make(size_t count, size_t bytes, bool has_facts)
{
    assert(count >= 1);
    assert(count <= ENTRIES_PER_CALL_MAX);
    size_t entries_bytes = bytes + 2 * count;
    struct submission *submission =
        mem_alloc(bytes_before_entries(count, has_facts) + entries_bytes);
    *submission = (struct submission){ .next = NULL };
    set_places(submission, count, has_facts);
    return submission;
}

struct submission *submission_new(size_t count, size_t bytes)
{
    return make(count, bytes, false);
}

struct submission *submission_new_with_facts(size_t count, size_t bytes)
{
    return make(count, bytes, true);
}

struct submission *submission_drop_entries(struct submission *submission)
{
    size_t count = submission->count;
    bool has_facts = submission->facts != NULL;
    submission = mem_realloc(submission, bytes_before_entries(count, has_facts));
    set_places(submission, count, has_facts);
    submission->entries = NULL;
    submission->entries_bytes = 0;
    return submission;
}

void submission_free(struct submission *submission)
{
    mem_free(submission);
}

/* An entry of a submission that has a tag. */
struct tagged {
    const struct hash *tag;
    const struct hash *leaf;
    size_t position;
};

static int compare_tagged(const void *a, const void *b)
{
    const struct tagged *left = a, *right = b;
    int order = memcmp(left->tag->bytes, right->tag->bytes, HASH_BYTES);
    return order != 0 ? order
                      : (left->position > right->position) - (left->position < right->position);
}

void submission_find_conflict(struct submission *submission)
{
    if (submission->count < 2) {
        return;
    }
    struct tagged *sorted = mem_calloc(submission->count, sizeof *sorted);
    size_t count = 0;
    for (size_t i = 0; i < submission->count; i++) {
        if (submission->facts[i].has_tag) {
            sorted[count++] =
                (struct tagged){ &submission->facts[i].tag, &submission->leaves[i], i };
        }
    }
    qsort(sorted, count, sizeof *sorted, compare_tagged);
    for (size_t i = 1; i < count && !submission->conflict.is_there; i++) {
        const struct tagged *before = &sorted[i - 1], *here = &sorted[i];
        if (hash_is_equal(before->tag, here->tag) && !hash_is_equal(before->leaf, here->leaf)) {
            submission->conflict = (struct submission_conflict){ .is_there = true,
                                                                 .is_inside = true,
                                                                 .position = here->position,
                                                                 .index = before->position };
        }
    }
    mem_free(sorted);
}

enum err_code submission_refusal(const struct submission *submission, struct err *err)
{
    const struct submission_conflict *conflict = &submission->conflict;
    assert(conflict->is_there);
    if (conflict->is_inside) {
        return err_set(err, E_EXISTS,
                       "entry %zu: its entry tag is that of entry %llu, which has other bytes",
                       conflict->position, (unsigned long long)conflict->index);
    }
    return err_set(err, E_EXISTS,
                   "entry %zu: its entry tag is on the log already, at index %llu, with other "
                   "bytes: the submitter's store may be an old copy",
                   conflict->position, (unsigned long long)conflict->index);
}

static void add(struct submission *submission, struct span entry)
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

void submission_add(struct submission *submission, struct span entry)
{
    assert(submission->facts == NULL);
    add(submission, entry);
}

void submission_add_with_facts(struct submission *submission, struct span entry,
                               const struct entry_facts *facts)
{
    assert(submission->facts != NULL);
    submission->facts[submission->count] = *facts;
    add(submission, entry);
}
