#include "logd/recent.h"

#include "base/alloc.h"

enum {
    SLOTS_MIN = 1024,
    GENERATION_MIN = 4096, /* entries in the young table before it may grow old */
};

void recent_init(struct recent *recent)
{
    *recent = (struct recent){ .young = { 0 } };
}

void recent_clear(struct recent *recent)
{
    mem_free(recent->young.slots);
    mem_free(recent->old.slots);
    recent_init(recent);
}

/* The slot that holds `key`, or the free one where it belongs. Requires a free slot. */
static struct recent_slot *find_slot(const struct recent_table *table, const struct hash *key)
{
    uint64_t position;
    memcpy(&position, key->bytes, sizeof position); /* a hash is its own hash */
    size_t mask = table->slot_count - 1;
    for (size_t i = (size_t)position & mask;; i = (i + 1) & mask) {
        struct recent_slot *slot = &table->slots[i];
        if (slot->index_plus_1 == 0 || hash_is_equal(&slot->key, key)) {
            return slot;
        }
    }
}

static void grow(struct recent_table *table)
{
    struct recent_table bigger = *table;
    bigger.slot_count = table->slot_count == 0 ? SLOTS_MIN : table->slot_count * 2;
    bigger.slots = mem_calloc(bigger.slot_count, sizeof *bigger.slots);
    for (size_t i = 0; i < table->slot_count; i++) {
        if (table->slots[i].index_plus_1 != 0) {
            *find_slot(&bigger, &table->slots[i].key) = table->slots[i];
        }
    }
    mem_free(table->slots);
    *table = bigger;
}

static void add(struct recent *recent, const struct hash *key, uint64_t index)
{
    struct recent_table *young = &recent->young;
    if (young->used >= young->slot_count / 2) {
        grow(young);
    }
    *find_slot(young, key) = (struct recent_slot){ .key = *key, .index_plus_1 = index + 1 };
    young->used++;
    young->end = index + 1;
}

static bool table_find(const struct recent_table *table, const struct hash *key, uint64_t *index)
{
    if (table->used == 0) {
        return false;
    }
    const struct recent_slot *slot = find_slot(table, key);
    if (slot->index_plus_1 == 0) {
        return false;
    }
    *index = slot->index_plus_1 - 1;
    return true;
}

static bool find(const struct recent *recent, const struct hash *key, uint64_t *index)
{
    return table_find(&recent->old, key, index) || table_find(&recent->young, key, index);
}

void recent_add(struct recent *recent, const struct hash *leaf, uint64_t index)
{
    add(recent, leaf, index);
}

bool recent_find(const struct recent *recent, const struct hash *leaf, uint64_t *index)
{
    return find(recent, leaf, index);
}

/* A submitter chooses its tags freely: as keys they would let it fill one corner of the table. */
static struct hash tag_key(const struct hash *tag)
{
    const struct span parts[] = { span_of_str("recent entry tag"), hash_span(tag) };
    return sha256_parts(parts, 2);
}

void recent_add_tag(struct recent *recent, const struct hash *tag, uint64_t index)
{
    struct hash key = tag_key(tag);
    add(recent, &key, index);
}

bool recent_find_tag(const struct recent *recent, const struct hash *tag, uint64_t *index)
{
    struct hash key = tag_key(tag);
    return find(recent, &key, index);
}

void recent_forget(struct recent *recent, uint64_t size)
{
    if (recent->old.end > size || recent->young.used < GENERATION_MIN) {
        return;
    }
    mem_free(recent->old.slots);
    recent->old = recent->young;
    recent->young = (struct recent_table){ 0 };
}
