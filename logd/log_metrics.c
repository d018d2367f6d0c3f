#include "logd/log_metrics.h"

#include "base/alloc.h"
#include "base/metrics.h"
#include "logd/anchor.h"
#include "logd/witness_metrics.h"
#include "net/http_metrics.h"

#include <time.h>

/* X(field, name, help): a gauge each. */
#define GAUGES(X)                                                                                  \
    X(durable_size, "courtroll_durable_size", "Entries committed.")                                \
    X(stored_size, "courtroll_stored_size", "Tree size whose full tiles are durable.")             \
    X(published_size, "courtroll_published_size", "Size of the published checkpoint.")             \
    X(is_admitting, "courtroll_admitting", "1 while entries are accepted.")                        \
    X(is_degraded, "courtroll_degraded", "1 while something is wrong: see /healthz.")              \
    X(contradiction, "courtroll_contradiction",                                                    \
      "1 once a note under our key was met that our tree contradicts: nothing is signed.")         \
    X(pool_entries, "courtroll_pool_entries", "Entries accepted and not committed yet.")

/* X(field, name, help): a counter each. */
#define COUNTERS(X)                                                                                \
    X(entries, "courtroll_entries_logged_total", "Entries committed.")                             \
    X(entry_bytes, "courtroll_bytes_logged_total", "Bytes of entries committed.")                  \
    X(duplicates, "courtroll_duplicates_total", "Entries answered with an earlier index.")         \
    X(commits, "courtroll_commits_total", "Journal records committed.")                            \
    X(journal_bytes, "courtroll_journal_bytes_written_total", "Bytes written to the journal.")     \
    X(corrupt, "courtroll_damaged_reads_total", "Tiles that were not served: wrong bytes.")

/* schema = operation. No metric names a submitter: when a court is busy is nobody's business. */
#define GATE_GAUGES(X)                                                                             \
    X(registered, "courtroll_submitters_registered", "Keys with a registration on the log.")       \
    X(enabled, "courtroll_submitters_enabled", "Keys in the submitters file.")                     \
    X(usable, "courtroll_submitters_usable", "Keys that are both.")

static const struct {
    enum err_code code;
    const char *label;
} refusals[] = {
    { E_MALFORMED, "code=\"malformed\"" },
    { E_TOO_LARGE, "code=\"too_large\"" },
    { E_DENIED, "code=\"denied\"" },
    { E_BAD_SIGNATURE, "code=\"bad_signature\"" },
};

enum {
    REFUSALS = sizeof refusals / sizeof refusals[0]
};

struct log_metrics {
    struct parts *parts;
    struct metrics *metrics;
    struct witness_metrics *witnesses;
    struct http_metrics http;
#define FIELD(field, name, help) struct metrics_gauge *field;
    GAUGES(FIELD)
#undef FIELD
#define FIELD(field, name, help) struct metrics_counter *field;
    COUNTERS(FIELD)
#undef FIELD
    struct {
#define FIELD(field, name, help) struct metrics_gauge *field;
        GATE_GAUGES(FIELD)
#undef FIELD
        struct metrics_counter *refusals[REFUSALS];
        struct metrics_counter *conflicts;
        struct metrics_counter *anchors;
    } gate;
};

static void add_gate(struct log_metrics *m)
{
#define ADD(field, name, help) m->gate.field = metrics_add_gauge(m->metrics, name, NULL, help);
    GATE_GAUGES(ADD)
#undef ADD
    for (size_t i = 0; i < REFUSALS; i++) {
        m->gate.refusals[i] =
            metrics_add_counter(m->metrics, "courtroll_records_refused_total", refusals[i].label,
                                "Records that were not let in, by what was wrong.");
    }
    m->gate.conflicts = metrics_add_counter(m->metrics, "courtroll_tag_conflicts_total", NULL,
                                            "Calls refused for an entry tag that is logged.");
    m->gate.anchors = metrics_add_counter(m->metrics, "courtroll_anchors_total", NULL,
                                          "Checkpoints of the log that it has logged.");
}

static void set_gate(struct log_metrics *m, struct gate *gate)
{
    struct registry_counts counts = gate_counts(gate);
    metrics_set(m->gate.registered, (int64_t)counts.registered);
    metrics_set(m->gate.enabled, (int64_t)counts.enabled);
    metrics_set(m->gate.usable, (int64_t)counts.usable);
    for (size_t i = 0; i < REFUSALS; i++) {
        metrics_count_total(m->gate.refusals[i], gate_refused(gate, refusals[i].code));
    }
    metrics_count_total(m->gate.conflicts, sequencer_thread_stats(m->parts->sequencer).conflicts);
    const struct anchor *anchor = m->parts->anchor;
    metrics_count_total(m->gate.anchors, anchor == NULL ? 0 : anchor_count(anchor));
}

struct log_metrics *log_metrics_new(struct parts *parts)
{
    struct log_metrics *m = NEW(struct log_metrics);
    m->parts = parts;
    m->metrics = metrics_new();
#define ADD(field, name, help) m->field = metrics_add_gauge(m->metrics, name, NULL, help);
    GAUGES(ADD)
#undef ADD
#define ADD(field, name, help) m->field = metrics_add_counter(m->metrics, name, NULL, help);
    COUNTERS(ADD)
#undef ADD
    if (parts->gate != NULL) {
        add_gate(m);
    }
    m->http = http_metrics_add(m->metrics);
    size_t count;
    struct witness_status *statuses = parts_witnesses(parts, &count);
    m->witnesses = witness_metrics_new(m->metrics, statuses, count);
    mem_free(statuses);
    return m;
}

void log_metrics_free(struct log_metrics *m)
{
    if (m != NULL) {
        witness_metrics_free(m->witnesses);
        metrics_free(m->metrics);
        mem_free(m);
    }
}

void log_metrics_put(struct log_metrics *m, struct buf *out, const struct status *status,
                     const struct http_server_stats *http)
{
    metrics_set(m->durable_size, (int64_t)status->durable_size);
    metrics_set(m->stored_size, (int64_t)status->stored_size);
    metrics_set(m->published_size, (int64_t)status->published_size);
    metrics_set(m->is_admitting, status->is_admitting);
    metrics_set(m->is_degraded, status->is_degraded);
    metrics_set(m->contradiction, status->has_contradiction);
    metrics_set(m->pool_entries, (int64_t)status->pool_entries);
    metrics_count_total(m->entries, status->stats.entries_logged);
    metrics_count_total(m->entry_bytes, status->stats.bytes_logged);
    metrics_count_total(m->duplicates, status->stats.duplicates);
    metrics_count_total(m->commits, status->stats.commits);
    metrics_count_total(m->journal_bytes, status->stats.journal_bytes_written);
    metrics_count_total(m->corrupt, status->corrupt_count);
    if (m->parts->gate != NULL) {
        set_gate(m, m->parts->gate);
    }
    http_metrics_set(&m->http, http);
    size_t count;
    struct witness_status *statuses = parts_witnesses(m->parts, &count);
    witness_metrics_set(m->witnesses, statuses, (int64_t)time(NULL));
    mem_free(statuses);
    metrics_put(out, m->metrics);
}
