#include "monitor/record_expected.h"

#include "base/alloc.h"

enum {
    SLOTS_FIRST = 1024
};

struct slot {
    uint64_t start; /* of the tag */
    void *owner;    /* NULL: free */
};

/* Open addressing; at most half of the slots are taken. */
struct record_expected {
    size_t count, slot_count;
    struct slot *slots; /* owned */
};

struct record_expected *record_expected_new(void)
{
    struct record_expected *expected = NEW(struct record_expected);
    record_expected_clear(expected);
    return expected;
}

void record_expected_free(struct record_expected *expected)
{
    if (expected != NULL) {
        mem_free(expected->slots);
        mem_free(expected);
    }
}

void record_expected_clear(struct record_expected *expected)
{
    mem_free(expected->slots);
    expected->count = 0;
    expected->slot_count = SLOTS_FIRST;
    expected->slots = mem_calloc(SLOTS_FIRST, sizeof *expected->slots);
}

/* The slot that has it, or where it belongs. Tags are MACs: whoever makes them has the key of a case. */
static struct slot *find_slot(const struct record_expected *expected, uint64_t start)
{
    size_t at = (size_t)(start % expected->slot_count);
    while (expected->slots[at].owner != NULL && expected->slots[at].start != start) {
        at = (at + 1) % expected->slot_count;
    }
    return &expected->slots[at];
}

static uint64_t start_of(const struct hash *tag)
{
    uint64_t start;
    memcpy(&start, tag->bytes, sizeof start);
    return start;
}

static void grow(struct record_expected *expected)
{
    struct slot *old = expected->slots;
    size_t old_count = expected->slot_count;
    expected->slot_count = 2 * old_count;
    expected->slots = mem_calloc(expected->slot_count, sizeof *expected->slots);
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].owner != NULL) {
            *find_slot(expected, old[i].start) = old[i];
        }
    }
    mem_free(old);
}

void record_expected_add(struct record_expected *expected, const struct hash *tag, void *owner)
{
    if (2 * (expected->count + 1) > expected->slot_count) {
        grow(expected);
    }
    struct slot *slot = find_slot(expected, start_of(tag));
    if (slot->owner == NULL) {
        *slot = (struct slot){ start_of(tag), owner };
        expected->count++;
    }
}

void *record_expected_find(const struct record_expected *expected, const struct hash *tag)
{
    return find_slot(expected, start_of(tag))->owner;
}
