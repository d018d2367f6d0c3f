#include "witness/cosigning_metrics.h"

#include "base/alloc.h"
#include "base/metrics.h"
#include "net/http_metrics.h"

/* X(field, name, help): a gauge each. */
#define GAUGES(X)                                                                                  \
    X(logs, "courtroll_witness_logs", "Logs known.")                                               \
    X(listed, "courtroll_witness_logs_listed", "Logs that have series of their own below.")        \
    X(ready, "courtroll_witness_ready", "1 while something can be cosigned: see /readyz.")         \
    X(failing, "courtroll_witness_store_failing", "1 while the state cannot be written.")          \
    X(evidence, "courtroll_witness_evidence_held", "Pieces of evidence kept.")                     \
    X(bastions, "courtroll_witness_bastions_connected", "Bastions with a connection now.")         \
    X(jobs, "courtroll_witness_requests_under_way", "Requests not answered yet.")

/* X(field, name, help): a counter each. */
#define COUNTERS(X)                                                                                \
    X(commits, "courtroll_witness_commits_total", "Cosignatures made durable.")                    \
    X(groups, "courtroll_witness_commit_groups_total", "Synced writes that this took.")            \
    X(bytes, "courtroll_witness_bytes_written_total", "Bytes of state written.")                   \
    X(found, "courtroll_witness_evidence_found_total",                                             \
      "Pieces of evidence found since the start, also those over the cap.")

struct cosigning_metrics {
    struct metrics *metrics;
    struct http_metrics http;
    struct metrics_counter *answers[REFUSAL_COUNT];
    struct metrics_gauge *verdicts[3]; /* by enum guard_verdict */
#define FIELD(field, name, help) struct metrics_gauge *field;
    GAUGES(FIELD)
#undef FIELD
#define FIELD(field, name, help) struct metrics_counter *field;
    COUNTERS(FIELD)
#undef FIELD
};

static const char *const verdict_labels[] = {
    [GUARD_OPEN] = "open", [GUARD_CHECKING] = "checking", [GUARD_REFUSED] = "refused"
};

static const char *label(struct buf *labels, const char *name, const char *value)
{
    buf_reset(labels);
    metrics_put_label(labels, name, span_of_str(value));
    return buf_c_str(labels);
}

struct cosigning_metrics *cosigning_metrics_new(void)
{
    struct cosigning_metrics *m = NEW(struct cosigning_metrics);
    struct buf labels = BUF_INIT(256);
    m->metrics = metrics_new();
#define ADD(field, name, help) m->field = metrics_add_gauge(m->metrics, name, NULL, help);
    GAUGES(ADD)
#undef ADD
#define ADD(field, name, help) m->field = metrics_add_counter(m->metrics, name, NULL, help);
    COUNTERS(ADD)
#undef ADD
    for (int i = 0; i < REFUSAL_COUNT; i++) {
        m->answers[i] = metrics_add_counter(m->metrics, "courtroll_witness_answers_total",
                                            label(&labels, "result", refusal_label(i)),
                                            "Answers to add-checkpoint, over all logs.");
    }
    for (int i = GUARD_OPEN; i <= GUARD_REFUSED; i++) {
        m->verdicts[i] = metrics_add_gauge(m->metrics, "courtroll_witness_guard_logs",
                                           label(&labels, "verdict", verdict_labels[i]),
                                           "Logs by the rollback guard's verdict.");
    }
    m->http = http_metrics_add(m->metrics);
    buf_clear(&labels);
    return m;
}

void cosigning_metrics_free(struct cosigning_metrics *m)
{
    if (m != NULL) {
        metrics_free(m->metrics);
        mem_free(m);
    }
}

void cosigning_metrics_count(struct cosigning_metrics *m, enum refusal refusal)
{
    metrics_count(m->answers[refusal], 1);
}

/* -- Of each log: Prometheus wants the samples of one name together -- */

struct log_series {
    const char *name;
    const char *kind;
    const char *help;
    /* False: this log has no such sample. */
    bool (*value)(const struct log_status *status, uint64_t now_s, uint64_t *out);
};

static bool cosignatures(const struct log_status *status, uint64_t now_s, uint64_t *out)
{
    (void)now_s;
    *out = status->counts[REFUSED_NONE];
    return true;
}

static bool size(const struct log_status *status, uint64_t now_s, uint64_t *out)
{
    (void)now_s;
    *out = status->state.size;
    return true;
}

static bool age(const struct log_status *status, uint64_t now_s, uint64_t *out)
{
    uint64_t then = status->state.timestamp;
    *out = now_s > then ? now_s - then : 0;
    return then > 0;
}

static bool evidence(const struct log_status *status, uint64_t now_s, uint64_t *out)
{
    (void)now_s;
    *out = status->evidence;
    return true;
}

static bool signing(const struct log_status *status, uint64_t now_s, uint64_t *out)
{
    (void)now_s;
    *out = status->verdict == GUARD_OPEN;
    return true;
}

static const struct log_series log_series[] = {
    { "courtroll_witness_log_cosignatures_total", "counter", "Cosignatures since the start.",
      cosignatures },
    { "courtroll_witness_log_size", "gauge", "Size cosigned last.", size },
    { "courtroll_witness_log_cosignature_age_seconds", "gauge",
      "Seconds since the last cosignature.", age },
    { "courtroll_witness_log_evidence", "gauge", "Pieces of evidence kept.", evidence },
    { "courtroll_witness_log_signing", "gauge", "0 while the rollback guard refuses.", signing },
};

static void put_head(struct buf *out, const char *name, const char *kind, const char *help)
{
    buf_putf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void put_sample(struct buf *out, const char *name, const char *origin, const char *reason,
                       uint64_t value)
{
    struct buf labels = BUF_INIT(4 * ORIGIN_BYTES_MAX);
    metrics_put_label(&labels, "origin", span_of_str(origin));
    if (reason != NULL) {
        metrics_put_label(&labels, "reason", span_of_str(reason));
    }
    buf_putf(out, "%s{%.*s} %llu\n", name, SPAN_PRINTF(buf_span(&labels)),
             (unsigned long long)value);
    buf_clear(&labels);
}

static void put_refusals(struct buf *out, const struct log_status *logs, size_t count)
{
    const char *name = "courtroll_witness_log_refusals_total";
    put_head(out, name, "counter", "Requests refused since the start; reasons that came up.");
    for (size_t i = 0; i < count; i++) {
        for (int reason = REFUSED_NONE + 1; reason < REFUSAL_COUNT; reason++) {
            if (logs[i].counts[reason] > 0) {
                put_sample(out, name, logs[i].log->origin, refusal_label(reason),
                           logs[i].counts[reason]);
            }
        }
    }
}

static void put_logs(struct buf *out, const struct log_status *logs, size_t count, size_t total,
                     uint64_t now_s)
{
    if (total > count) {
        buf_putf(out, "# %zu logs are known; of %zu there are series of their own.\n", total,
                 count);
    }
    for (size_t s = 0; s < sizeof log_series / sizeof log_series[0]; s++) {
        const struct log_series *series = &log_series[s];
        put_head(out, series->name, series->kind, series->help);
        for (size_t i = 0; i < count; i++) {
            uint64_t value = 0;
            if (series->value(&logs[i], now_s, &value)) {
                put_sample(out, series->name, logs[i].log->origin, NULL, value);
            }
        }
    }
    put_refusals(out, logs, count);
}

static void take_over(struct cosigning_metrics *m, struct parts *parts, size_t listed)
{
    struct witness_status status;
    witness_status_read(parts, &status);
    struct ledger_stats ledger = ledger_stats(parts->ledger);
    metrics_set(m->logs, (int64_t)status.logs);
    metrics_set(m->listed, (int64_t)listed);
    metrics_set(m->ready, status.can_sign);
    metrics_set(m->failing, status.is_failing);
    metrics_set(m->evidence, (int64_t)status.evidence);
    metrics_set(m->bastions, (int64_t)atomic_load(&parts->bastions_connected));
    metrics_set(m->jobs, (int64_t)cosigner_count(parts->cosigner));
    metrics_set(m->verdicts[GUARD_OPEN], (int64_t)status.open);
    metrics_set(m->verdicts[GUARD_CHECKING], (int64_t)status.checking);
    metrics_set(m->verdicts[GUARD_REFUSED], (int64_t)status.refused);
    metrics_count_total(m->commits, ledger.commits);
    metrics_count_total(m->groups, ledger.groups);
    metrics_count_total(m->bytes, ledger.bytes_written);
    metrics_count_total(m->found, evidence_keep_count(parts->evidence));
}

void cosigning_metrics_put(struct cosigning_metrics *m, struct buf *out, struct parts *parts,
                           const struct http_server_stats *http, uint64_t now_s)
{
    struct log_status *logs = NULL;
    size_t count = parts_log_statuses(parts, COSIGNING_METRICS_LOGS_MAX, &logs);
    take_over(m, parts, count);
    http_metrics_set(&m->http, http);
    metrics_put(out, m->metrics);
    put_logs(out, logs, count, log_table_count(parts->logs), now_s);
    mem_free(logs);
}
