/* alert_table.h -- the alerts in memory: found by id, number and cause; in order.
 *
 * Pure. The owner of the alert book's lock only.
 */
#ifndef MONITOR_ALERT_TABLE_H
#define MONITOR_ALERT_TABLE_H

#include "monitor/alert_record.h"

#include <sys/queue.h>

enum {
    ALERT_TABLE_BUCKETS = 4096
};

struct alert_entry {
    struct alert_record record;
    struct hash cause;
    bool is_dirty;     /* found again, and not written since */
    int64_t written_s; /* when it was written last because it was found again; 0: not yet */
    uint32_t untold;   /* bit n: "opened" or a reminder of it waits for sink n */
    size_t waiting;    /* deliveries of it, of all sinks: it is kept as long as there are any */

    TAILQ_ENTRY(alert_entry) in_all;   /* by number */
    TAILQ_ENTRY(alert_entry) in_state; /* live by number, or resolved by time */
    LIST_ENTRY(alert_entry) in_ids, in_numbers, in_causes;
};
TAILQ_HEAD(alert_list, alert_entry);
LIST_HEAD(alert_bucket, alert_entry);

struct alert_table {
    struct alert_list all, live, resolved;
    size_t live_count;
    size_t resolved_count[2]; /* those that prove nothing, and those of provable codes */
    size_t dirty_count;
    struct alert_bucket *ids, *numbers, *causes; /* owned: ALERT_TABLE_BUCKETS each */
};

void alert_table_init(struct alert_table *table);
void alert_table_clear(struct alert_table *table); /* frees the entries too */

static inline bool alert_entry_is_live(const struct alert_entry *entry)
{
    return entry->record.alert.state != ALERT_RESOLVED;
}

/* Adds a copy. Requires that its number is above all others'. */
struct alert_entry *alert_table_add(struct alert_table *table, const struct alert_record *record);
/* What it is now; it may have been resolved. Not dirty any more. */
void alert_table_set(struct alert_table *table, struct alert_entry *entry,
                     const struct alert_record *record);
void alert_table_set_dirty(struct alert_table *table, struct alert_entry *entry, bool is_dirty);
/* Frees it. Requires that nothing of it waits. */
void alert_table_remove(struct alert_table *table, struct alert_entry *entry);

/* NULL: there is none. */
struct alert_entry *alert_table_by_id(const struct alert_table *table, const char *id);
struct alert_entry *alert_table_by_number(const struct alert_table *table, uint64_t number);
/* The open or acknowledged one of a cause. */
struct alert_entry *alert_table_live(const struct alert_table *table, const struct hash *cause,
                                     bool is_drill);
/* The largest episode of a cause, other than that of `without` (which may be NULL); 0: no alert is kept. */
uint64_t alert_table_episode(const struct alert_table *table, const struct hash *cause,
                             const struct alert_entry *without);
/* Resolved heartbeats of a cause: at most one is kept. NULL: none. */
struct alert_entry *alert_table_heartbeat(const struct alert_table *table,
                                          const struct hash *cause);
/* Whether another alert than this has that evidence, which can only be one of the same cause. */
bool alert_table_is_shared(const struct alert_table *table, const struct alert_entry *entry,
                           const struct hash *evidence);
/* Live alerts of a code, of one origin unless it is NULL. */
size_t alert_table_count(const struct alert_table *table, enum finding_code code,
                         const char *origin);

#endif
