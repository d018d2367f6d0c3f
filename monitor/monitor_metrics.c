/* Numbers of the whole are registered; those of each log, witness, sink and vantage are written as they are read,
 * since there may be more of them than lib/base/metrics.h takes. */
#include "monitor/monitor_metrics.h"

#include "base/alloc.h"
#include "base/metrics.h"
#include "monitor/heartbeat.h"

#include <inttypes.h>

enum {
    SAMPLE_BYTES_MAX =
        8192, /* labels of an origin and a witness, or an address, with each byte escaped */
    LABELS_BYTES_MAX = SAMPLE_BYTES_MAX - 256,
    TAIL_BYTES = 1024, /* kept for what is always there */
};

/* X(field, name, help): a gauge each. */
#define GAUGES(X)                                                                                  \
    X(logs, "courtroll_monitor_logs", "Logs followed.")                                            \
    X(well, "courtroll_monitor_well", "1 while /healthz says ok.")                                 \
    X(store_failing, "courtroll_monitor_store_failing", "1 while the state cannot be written.")    \
    X(started, "courtroll_monitor_started_seconds", "Unix time of the start.")                     \
    X(heartbeat, "courtroll_monitor_heartbeat_time_seconds",                                       \
      "Unix time of the last heartbeat, or of the first start.")                                   \
    X(heartbeat_interval, "courtroll_monitor_heartbeat_interval_seconds",                          \
      "Time between heartbeats; 0: there are none.")

struct monitor_metrics {
    struct metrics *metrics;
    struct http_metrics http;
    struct metrics_gauge *alerts_open[FINDING_CRITICAL + 1];
#define FIELD(field, name, help) struct metrics_gauge *field;
    GAUGES(FIELD)
#undef FIELD
};

struct monitor_metrics *monitor_metrics_new(struct monitor_parts *parts)
{
    struct monitor_metrics *m = NEW(struct monitor_metrics);
    m->metrics = metrics_new();
#define ADD(field, name, help) m->field = metrics_add_gauge(m->metrics, name, NULL, help);
    GAUGES(ADD)
#undef ADD
    for (int i = FINDING_INFO; i <= FINDING_CRITICAL; i++) {
        struct buf labels = BUF_INIT(64);
        metrics_put_label(&labels, "severity", span_of_str(finding_severity_text(i)));
        m->alerts_open[i] =
            metrics_add_gauge(m->metrics, "courtroll_monitor_alerts_open", buf_c_str(&labels),
                              "Alerts that nobody has resolved, acknowledged or not.");
        buf_clear(&labels);
    }
    m->http = http_metrics_add(m->metrics);
    metrics_set(m->logs, (int64_t)parts->log_count);
    metrics_set(m->started, parts->started_s);
    return m;
}

void monitor_metrics_free(struct monitor_metrics *m)
{
    if (m != NULL) {
        metrics_free(m->metrics);
        mem_free(m);
    }
}

/* -- Of each log, witness, sink and vantage: Prometheus wants the samples of one name together -- */

struct writer {
    struct buf *out;
    const char *name; /* of the family under way */
    uint64_t left_out;
};

static void begin(struct writer *w, const char *name, const char *kind, const char *help)
{
    w->name = name;
    if (buf_room(w->out) > SAMPLE_BYTES_MAX + TAIL_BYTES) {
        buf_putf(w->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
    }
}

static void put_sample(struct writer *w, struct buf *labels, uint64_t value)
{
    if (buf_room(w->out) > SAMPLE_BYTES_MAX + TAIL_BYTES) {
        buf_putf(w->out, "%s{%.*s} %" PRIu64 "\n", w->name, SPAN_PRINTF(buf_span(labels)), value);
    } else {
        w->left_out++;
    }
    buf_reset(labels);
}

struct log_view {
    const char *origin;
    const struct policy *policy;
    struct watched_status status;
    size_t waiting_notes;
};

struct log_series {
    const char *name;
    const char *kind;
    const char *help;
    bool (*value)(const struct log_view *log, uint64_t *out); /* false: no such sample */
};

#define LOG_VALUE(function, expression, condition)                                                 \
    static bool function(const struct log_view *log, uint64_t *out)                                \
    {                                                                                              \
        const struct watched_status *status = &log->status;                                        \
        *out = (uint64_t)(expression);                                                             \
        return status != NULL && (condition);                                                      \
    }
LOG_VALUE(log_size, status->log_size, true)
LOG_VALUE(held_size, status->held_size, true)
LOG_VALUE(note_time, status->note_time_s, status->note_time_s > 0)
LOG_VALUE(verified_time, status->verified_s, status->verified_s > 0)
LOG_VALUE(scanning, status->is_scanning, true)
LOG_VALUE(scan_rate, status->is_scanning ? status->scan_rate : 0, true)
LOG_VALUE(entries_hashed, status->entries_hashed, true)
LOG_VALUE(bytes_hashed, status->bytes_hashed, true)
LOG_VALUE(polls, status->polls, true)
LOG_VALUE(failed_polls, status->failed_polls, true)
LOG_VALUE(quorum_met, status->is_quorum_met, status->polls > 0)
LOG_VALUE(waiting_notes, log->waiting_notes, true)

static const struct log_series log_series[] = {
    { "courtroll_monitor_log_size", "gauge", "Size of the newest note that the log shows.",
      log_size },
    { "courtroll_monitor_held_size", "gauge", "Entries hashed and equal to a signed root.",
      held_size },
    { "courtroll_monitor_note_time_seconds", "gauge",
      "Unix time that the quorum vouches for on the verified note.", note_time },
    { "courtroll_monitor_verified_time_seconds", "gauge", "Unix time of the last verification.",
      verified_time },
    { "courtroll_monitor_scanning", "gauge", "1 while entries are being hashed.", scanning },
    { "courtroll_monitor_scan_rate", "gauge", "Entries a second of the scan under way.",
      scan_rate },
    { "courtroll_monitor_entries_hashed_total", "counter", "Entries hashed since the start.",
      entries_hashed },
    { "courtroll_monitor_bytes_hashed_total", "counter", "Bytes of entries hashed since the start.",
      bytes_hashed },
    { "courtroll_monitor_polls_total", "counter", "Polls of the log.", polls },
    { "courtroll_monitor_failed_polls_total", "counter", "Polls without a usable answer.",
      failed_polls },
    { "courtroll_monitor_quorum_met", "gauge", "1: the newest note has its quorum.", quorum_met },
    { "courtroll_monitor_waiting_notes", "gauge",
      "Notes seen elsewhere that cannot be compared yet.", waiting_notes },
};

static void put_witnesses(struct writer *w, struct buf *labels, const struct log_view *logs,
                          size_t count)
{
    begin(w, "courtroll_monitor_witness_seen_seconds", "gauge",
          "Unix time of the latest cosignature seen; 0: never.");
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < policy_witness_count(logs[i].policy); k++) {
            metrics_put_label(labels, "origin", span_of_str(logs[i].origin));
            metrics_put_label(labels, "witness",
                              span_of_str(policy_witness_at(logs[i].policy, k)->name));
            put_sample(w, labels, (uint64_t)logs[i].status.witness_seen_s[k]);
        }
    }
}

static void put_logs(struct writer *w, struct buf *labels, struct monitor_parts *parts)
{
    struct log_view *logs = mem_calloc(parts->log_count + 1, sizeof *logs);
    for (size_t i = 0; i < parts->log_count; i++) {
        logs[i].origin = watched_log_origin(parts->logs[i]);
        logs[i].policy = watched_log_options(parts->logs[i])->policy;
        watched_log_status(parts->logs[i], &logs[i].status);
        logs[i].waiting_notes = note_memory_count(parts->memories[i]);
    }
    for (size_t s = 0; s < sizeof log_series / sizeof log_series[0]; s++) {
        begin(w, log_series[s].name, log_series[s].kind, log_series[s].help);
        for (size_t i = 0; i < parts->log_count; i++) {
            uint64_t value = 0;
            if (log_series[s].value(&logs[i], &value)) {
                metrics_put_label(labels, "origin", span_of_str(logs[i].origin));
                put_sample(w, labels, value);
            }
        }
    }
    put_witnesses(w, labels, logs, parts->log_count);
    mem_free(logs);
}

static void put_sinks(struct writer *w, struct buf *labels, struct monitor_parts *parts)
{
    static const char *const names[][3] = {
        { "courtroll_monitor_deliveries_total", "counter",
          "Deliveries that the sink has taken since the start." },
        { "courtroll_monitor_delivery_failures_total", "counter",
          "Tries that the sink did not take." },
        { "courtroll_monitor_deliveries_waiting", "gauge", "Deliveries in the queue of the sink." },
    };
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        begin(w, names[n][0], names[n][1], names[n][2]);
        for (size_t i = 0; i < parts->courier_count; i++) {
            struct alert_queue_status queue;
            struct buf sink = BUF_INIT(MONITOR_SINK_LABEL_MAX);
            alert_book_queue(parts->alerts, i, &queue);
            monitor_parts_put_sink(parts, i, &sink);
            metrics_put_label(labels, "sink", buf_span(&sink));
            put_sample(w, labels,
                       n == 0   ? queue.delivered
                       : n == 1 ? queue.failures
                                : queue.waiting);
            buf_clear(&sink);
        }
    }
}

static void put_vantages(struct writer *w, struct buf *labels, struct monitor_parts *parts)
{
    static const char *const names[][3] = {
        { "courtroll_monitor_vantage_notes_total", "counter", "Notes of our logs seen there." },
        { "courtroll_monitor_vantage_contradictions_total", "counter",
          "Notes seen there that contradict our tree." },
        { "courtroll_monitor_vantage_failures_total", "counter", "Times that it did not answer." },
        { "courtroll_monitor_vantage_last_answer_seconds", "gauge",
          "Unix time of its last answer; 0: none since the start." },
    };
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        begin(w, names[n][0], names[n][1], names[n][2]);
        for (size_t i = 0; i < parts->vantage_count; i++) {
            struct vantage_status status;
            vantage_read_status(parts->vantages[i], &status);
            const uint64_t values[] = { status.notes, status.contradictions, status.failures,
                                        (uint64_t)status.last_answer_s };
            struct span text = span_of_str(status.text);
            metrics_put_label(labels, "vantage", text);
            put_sample(w, labels, values[n]);
        }
    }
}

static void take_over(struct monitor_metrics *m, struct monitor_parts *parts)
{
    size_t open[FINDING_CRITICAL + 1];
    struct monitor_health health;
    alert_book_count(parts->alerts, open);
    for (int i = FINDING_INFO; i <= FINDING_CRITICAL; i++) {
        metrics_set(m->alerts_open[i], (int64_t)open[i]);
    }
    monitor_parts_health(parts, &health);
    metrics_set(m->well, health.is_well);
    metrics_set(m->store_failing, state_store_is_failing(parts->store));
    if (parts->heartbeat != NULL) {
        metrics_set(m->heartbeat, heartbeat_last_s(parts->heartbeat));
        metrics_set(m->heartbeat_interval, (int64_t)heartbeat_interval_s(parts->heartbeat));
    }
}

void monitor_metrics_put(struct monitor_metrics *m, struct monitor_parts *parts,
                         const struct http_server_stats *http, int64_t now_s, struct buf *out)
{
    (void)now_s;
    struct writer w = { .out = out };
    struct buf labels = BUF_INIT(LABELS_BYTES_MAX);
    take_over(m, parts);
    http_metrics_set(&m->http, http);
    metrics_put(out, m->metrics);
    put_sinks(&w, &labels, parts);
    put_vantages(&w, &labels, parts);
    put_logs(&w, &labels, parts);
    buf_putf(out,
             "# HELP courtroll_monitor_series_left_out Series without room here.\n"
             "# TYPE courtroll_monitor_series_left_out gauge\n"
             "courtroll_monitor_series_left_out %" PRIu64 "\n",
             w.left_out);
    buf_clear(&labels);
}
