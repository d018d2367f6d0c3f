#include "logd/witness_metrics.h"

#include "base/alloc.h"

enum {
    LABELS_MAX = 8 * WITNESS_NAME_SHOWN_MAX,
};

struct series {
    struct metrics_gauge *ok, *size, *age;
    struct metrics_counter *cosignatures, *bad_lines;
    struct metrics_counter *failures[WITNESS_FAILURE_KINDS];
};

struct witness_metrics {
    size_t count;
    struct series *series; /* owned */
};

static void put_name(struct buf *labels, const struct witness_status *status)
{
    struct span name = span_of_str(status->name);
    size_t len = name.len < WITNESS_NAME_SHOWN_MAX ? name.len : WITNESS_NAME_SHOWN_MAX;
    metrics_put_label(labels, "witness", span_slice(name, 0, len));
}

static void add_failures(struct series *series, struct metrics *metrics,
                         const struct witness_status *status)
{
    for (size_t i = 0; i < WITNESS_FAILURE_KINDS; i++) {
        struct buf labels = BUF_INIT(LABELS_MAX);
        put_name(&labels, status);
        metrics_put_label(&labels, "kind", span_of_str(witness_failure_labels[i]));
        series->failures[i] =
            metrics_add_counter(metrics, "courtroll_witness_failures_total", buf_c_str(&labels),
                                "Requests without a cosignature, by what went wrong.");
        buf_clear(&labels);
    }
}

static void add_series(struct series *series, struct metrics *metrics,
                       const struct witness_status *status)
{
    struct buf text = BUF_INIT(LABELS_MAX);
    put_name(&text, status);
    const char *labels = buf_c_str(&text);
    series->ok = metrics_add_gauge(metrics, "courtroll_witness_ok", labels,
                                   "1 while it answers with cosignatures.");
    series->size =
        metrics_add_gauge(metrics, "courtroll_witness_size", labels, "Size that it cosigned last.");
    series->age = metrics_add_gauge(metrics, "courtroll_witness_age_seconds", labels,
                                    "Since its last cosignature; -1 before the first.");
    series->cosignatures = metrics_add_counter(metrics, "courtroll_witness_cosignatures_total",
                                               labels, "Cosignatures that were new.");
    series->bad_lines =
        metrics_add_counter(metrics, "courtroll_witness_bad_lines_total", labels,
                            "Lines of known keys in its answers that were dropped.");
    buf_clear(&text);
    add_failures(series, metrics, status);
}

struct witness_metrics *witness_metrics_new(struct metrics *metrics,
                                            const struct witness_status *statuses, size_t count)
{
    struct witness_metrics *made = NEW(struct witness_metrics);
    made->count = count < WITNESS_METRICS_MAX ? count : WITNESS_METRICS_MAX;
    made->series = mem_calloc(made->count + 1, sizeof *made->series);
    for (size_t i = 0; i < made->count; i++) {
        add_series(&made->series[i], metrics, &statuses[i]);
    }
    return made;
}

void witness_metrics_free(struct witness_metrics *metrics)
{
    if (metrics != NULL) {
        mem_free(metrics->series);
        mem_free(metrics);
    }
}

void witness_metrics_set(struct witness_metrics *metrics, const struct witness_status *statuses,
                         int64_t now_unix_s)
{
    for (size_t i = 0; i < metrics->count; i++) {
        const struct witness_status *status = &statuses[i];
        struct series *series = &metrics->series[i];
        metrics_set(series->ok, status->is_ok);
        metrics_set(series->size, (int64_t)status->size);
        metrics_set(series->age, witness_status_age_s(status, now_unix_s));
        metrics_count_total(series->cosignatures, status->cosignatures);
        metrics_count_total(series->bad_lines, status->bad_lines);
        for (size_t kind = 0; kind < WITNESS_FAILURE_KINDS; kind++) {
            metrics_count_total(series->failures[kind], status->failures[kind]);
        }
    }
}
