#include "witness/parts.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>

/* -- How many pieces of evidence there are, by origin -- */

static int compare_items(const void *a, const void *b)
{
    const struct evidence_item *x = a, *y = b;
    return memcmp(x->origin_hash.bytes, y->origin_hash.bytes, HASH_BYTES);
}

static size_t count_items(const struct evidence_item *items, size_t count,
                          const struct hash *origin)
{
    size_t low = 0, high = count; /* the first that is not less */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(items[middle].origin_hash.bytes, origin->bytes, HASH_BYTES) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t end = low;
    while (end < count && hash_is_equal(&items[end].origin_hash, origin)) {
        end++;
    }
    return end - low;
}

/* -- Logs -- */

static void read_log(struct parts *parts, struct known_log *log, struct log_status *out)
{
    out->log = log;
    pthread_mutex_lock(&log->mutex);
    out->state = log->state;
    memcpy(out->counts, log->counts, sizeof out->counts);
    pthread_mutex_unlock(&log->mutex);
    char reason[PARTS_REASON_MAX];
    out->verdict = guard_verdict(parts->guard, log, reason, sizeof reason);
}

size_t parts_log_statuses(struct parts *parts, size_t max, struct log_status **out)
{
    return parts_log_statuses_from(parts, 0, max, out);
}

size_t parts_log_statuses_from(struct parts *parts, size_t first, size_t max,
                               struct log_status **out)
{
    size_t count = log_table_count(parts->logs);
    count = count > first ? count - first : 0;
    count = count < max ? count : max;
    struct log_status *statuses = mem_calloc(count + 1, sizeof *statuses);
    struct evidence_item *items = NULL;
    size_t item_count = evidence_keep_list(parts->evidence, &items);
    if (item_count > 0) {
        qsort(items, item_count, sizeof *items, compare_items);
    }
    for (size_t i = 0; i < count; i++) {
        struct known_log *log = log_table_at(parts->logs, first + i);
        read_log(parts, log, &statuses[i]);
        statuses[i].evidence = count_items(items, item_count, &log->origin_hash);
    }
    mem_free(items);
    *out = statuses;
    return count;
}

void parts_guard_reason(struct parts *parts, const struct known_log *log,
                        char reason[static PARTS_REASON_MAX])
{
    reason[0] = 0;
    if (guard_verdict(parts->guard, log, reason, PARTS_REASON_MAX) == GUARD_OPEN) {
        reason[0] = 0;
    }
    private_paths_hide(&parts->private_paths, reason, PARTS_REASON_MAX);
}

/* -- The whole -- */

static void count_logs(struct parts *parts, struct witness_status *out)
{
    out->logs = log_table_count(parts->logs);
    for (size_t i = 0; i < out->logs; i++) {
        struct known_log *log = log_table_at(parts->logs, i);
        pthread_mutex_lock(&log->mutex);
        out->cosignatures += log->counts[REFUSED_NONE];
        pthread_mutex_unlock(&log->mutex);
    }
    struct guard_counts counts = guard_counts(parts->guard);
    out->checking = counts.checking;
    out->refused = counts.refused;
    size_t closed = counts.checking + counts.refused;
    out->open = out->logs > closed ? out->logs - closed : 0;
}

void witness_status_read(struct parts *parts, struct witness_status *out)
{
    *out = (struct witness_status){ .logs = 0 };
    count_logs(parts, out);
    struct evidence_item *items = NULL;
    out->evidence = evidence_keep_list(parts->evidence, &items);
    mem_free(items);
    out->is_failing = ledger_is_failing(parts->ledger, out->reason, sizeof out->reason);
    private_paths_hide(&parts->private_paths, out->reason, sizeof out->reason);
    if (!out->is_failing && out->refused > 0) {
        snprintf(out->reason, sizeof out->reason, "%zu of %zu logs are refused", out->refused,
                 out->logs);
    } else if (!out->is_failing && out->checking > 0) {
        snprintf(out->reason, sizeof out->reason, "peers are being asked about %zu of %zu logs",
                 out->checking, out->logs);
    }
    out->can_sign =
        !out->is_failing && !atomic_load(&parts->is_stopping) && (out->logs == 0 || out->open > 0);
}

bool parts_can_sign(struct parts *parts)
{
    char reason[PARTS_REASON_MAX];
    if (atomic_load(&parts->is_stopping) ||
        ledger_is_failing(parts->ledger, reason, sizeof reason)) {
        return false;
    }
    size_t count = log_table_count(parts->logs);
    struct guard_counts counts = guard_counts(parts->guard);
    return count == 0 || counts.checking + counts.refused < count;
}

void parts_put_refusal(struct buf *out, const struct cosigner_answer *answer)
{
    buf_put_str(out, err_text(refusal_code(answer->refusal)));
    if (answer->detail != NULL) {
        buf_putf(out, ": %s", answer->detail);
    }
}
