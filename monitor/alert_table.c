#include "monitor/alert_table.h"

#include "base/alloc.h"

#include <assert.h>

static size_t bucket_of_id(const char *id)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *id != 0; id++) {
        hash = (hash ^ (uint8_t)*id) * 16777619u;
    }
    return hash % ALERT_TABLE_BUCKETS;
}

static struct alert_bucket *bucket_of_cause(const struct alert_table *table,
                                            const struct hash *cause)
{
    size_t at = ((size_t)cause->bytes[0] << 8 | cause->bytes[1]) % ALERT_TABLE_BUCKETS;
    return &table->causes[at];
}

void alert_table_init(struct alert_table *table)
{
    *table = (struct alert_table){ .live_count = 0 };
    TAILQ_INIT(&table->all);
    TAILQ_INIT(&table->live);
    TAILQ_INIT(&table->resolved);
    table->ids = mem_calloc(ALERT_TABLE_BUCKETS, sizeof *table->ids);
    table->numbers = mem_calloc(ALERT_TABLE_BUCKETS, sizeof *table->numbers);
    table->causes = mem_calloc(ALERT_TABLE_BUCKETS, sizeof *table->causes);
}

void alert_table_clear(struct alert_table *table)
{
    struct alert_entry *entry;
    while ((entry = TAILQ_FIRST(&table->all)) != NULL) {
        TAILQ_REMOVE(&table->all, entry, in_all);
        mem_free(entry);
    }
    mem_free(table->ids);
    mem_free(table->numbers);
    mem_free(table->causes);
}

static size_t kind_of(const struct alert_entry *entry)
{
    return finding_kind(entry->record.alert.code)->is_provable ? 1 : 0;
}

static bool is_resolved_before(const struct alert_entry *a, const struct alert_entry *b)
{
    return a->record.alert.resolved_s < b->record.alert.resolved_s;
}

/* Nearly always at the end. */
static void link_resolved(struct alert_table *table, struct alert_entry *entry)
{
    struct alert_entry *before = TAILQ_LAST(&table->resolved, alert_list);
    while (before != NULL && is_resolved_before(entry, before)) {
        before = TAILQ_PREV(before, alert_list, in_state);
    }
    if (before == NULL) {
        TAILQ_INSERT_HEAD(&table->resolved, entry, in_state);
    } else {
        TAILQ_INSERT_AFTER(&table->resolved, before, entry, in_state);
    }
}

static void link_state(struct alert_table *table, struct alert_entry *entry)
{
    if (alert_entry_is_live(entry)) {
        TAILQ_INSERT_TAIL(&table->live, entry, in_state);
        table->live_count++;
    } else {
        link_resolved(table, entry);
        table->resolved_count[kind_of(entry)]++;
    }
}

static void unlink_state(struct alert_table *table, struct alert_entry *entry)
{
    if (alert_entry_is_live(entry)) {
        TAILQ_REMOVE(&table->live, entry, in_state);
        table->live_count--;
    } else {
        TAILQ_REMOVE(&table->resolved, entry, in_state);
        table->resolved_count[kind_of(entry)]--;
    }
}

struct alert_entry *alert_table_add(struct alert_table *table, const struct alert_record *record)
{
    const struct alert *alert = &record->alert;
    const struct alert_entry *last = TAILQ_LAST(&table->all, alert_list);
    assert(last == NULL || last->record.alert.number < alert->number);
    struct alert_entry *entry = NEW(struct alert_entry);
    entry->record = *record;
    entry->cause = alert_record_cause(alert->code, alert->origin, alert->subject);
    TAILQ_INSERT_TAIL(&table->all, entry, in_all);
    LIST_INSERT_HEAD(&table->ids[bucket_of_id(alert->id)], entry, in_ids);
    LIST_INSERT_HEAD(&table->numbers[alert->number % ALERT_TABLE_BUCKETS], entry, in_numbers);
    LIST_INSERT_HEAD(bucket_of_cause(table, &entry->cause), entry, in_causes);
    link_state(table, entry);
    return entry;
}

void alert_table_set_dirty(struct alert_table *table, struct alert_entry *entry, bool is_dirty)
{
    if (entry->is_dirty != is_dirty) {
        entry->is_dirty = is_dirty;
        table->dirty_count += is_dirty ? 1 : (size_t)-1;
    }
}

void alert_table_set(struct alert_table *table, struct alert_entry *entry,
                     const struct alert_record *record)
{
    assert(entry->record.alert.number == record->alert.number);
    bool is_moved = alert_entry_is_live(entry) && record->alert.state == ALERT_RESOLVED;
    if (is_moved) {
        unlink_state(table, entry);
    }
    entry->record = *record;
    if (is_moved) {
        link_state(table, entry);
    }
    alert_table_set_dirty(table, entry, false);
}

void alert_table_remove(struct alert_table *table, struct alert_entry *entry)
{
    assert(entry->waiting == 0);
    alert_table_set_dirty(table, entry, false);
    unlink_state(table, entry);
    TAILQ_REMOVE(&table->all, entry, in_all);
    LIST_REMOVE(entry, in_ids);
    LIST_REMOVE(entry, in_numbers);
    LIST_REMOVE(entry, in_causes);
    mem_free(entry);
}

struct alert_entry *alert_table_by_id(const struct alert_table *table, const char *id)
{
    struct alert_entry *entry;
    LIST_FOREACH(entry, &table->ids[bucket_of_id(id)], in_ids)
    {
        if (strcmp(entry->record.alert.id, id) == 0) {
            return entry;
        }
    }
    return NULL;
}

struct alert_entry *alert_table_by_number(const struct alert_table *table, uint64_t number)
{
    struct alert_entry *entry;
    LIST_FOREACH(entry, &table->numbers[number % ALERT_TABLE_BUCKETS], in_numbers)
    {
        if (entry->record.alert.number == number) {
            return entry;
        }
    }
    return NULL;
}

struct alert_entry *alert_table_live(const struct alert_table *table, const struct hash *cause,
                                     bool is_drill)
{
    struct alert_entry *entry;
    LIST_FOREACH(entry, bucket_of_cause(table, cause), in_causes)
    {
        if (hash_is_equal(&entry->cause, cause) && alert_entry_is_live(entry) &&
            entry->record.alert.is_drill == is_drill) {
            return entry;
        }
    }
    return NULL;
}

uint64_t alert_table_episode(const struct alert_table *table, const struct hash *cause,
                             const struct alert_entry *without)
{
    uint64_t episode = 0;
    struct alert_entry *entry;
    LIST_FOREACH(entry, bucket_of_cause(table, cause), in_causes)
    {
        if (entry != without && hash_is_equal(&entry->cause, cause) &&
            entry->record.episode > episode) {
            episode = entry->record.episode;
        }
    }
    return episode;
}

struct alert_entry *alert_table_heartbeat(const struct alert_table *table, const struct hash *cause)
{
    struct alert_entry *entry;
    LIST_FOREACH(entry, bucket_of_cause(table, cause), in_causes)
    {
        if (hash_is_equal(&entry->cause, cause) && entry->record.alert.code == FINDING_HEARTBEAT) {
            return entry;
        }
    }
    return NULL;
}

static bool has_evidence(const struct alert *alert, const struct hash *evidence)
{
    for (size_t i = 0; i < alert->evidence_count; i++) {
        if (hash_is_equal(&alert->evidence[i], evidence)) {
            return true;
        }
    }
    return false;
}

bool alert_table_is_shared(const struct alert_table *table, const struct alert_entry *entry,
                           const struct hash *evidence)
{
    struct alert_entry *other;
    LIST_FOREACH(other, bucket_of_cause(table, &entry->cause), in_causes)
    {
        if (other != entry && hash_is_equal(&other->cause, &entry->cause) &&
            has_evidence(&other->record.alert, evidence)) {
            return true;
        }
    }
    return false;
}

size_t alert_table_count(const struct alert_table *table, enum finding_code code,
                         const char *origin)
{
    size_t count = 0;
    struct alert_entry *entry;
    TAILQ_FOREACH(entry, &table->live, in_state)
    {
        const struct alert *alert = &entry->record.alert;
        if (alert->code == code && (origin == NULL || strcmp(alert->origin, origin) == 0)) {
            count++;
        }
    }
    return count;
}
