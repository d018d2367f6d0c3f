/* monitor_metrics.h -- what /metrics tells. As base/metrics.h: registered at the start, set when it is read. */
#ifndef MONITOR_MONITOR_METRICS_H
#define MONITOR_MONITOR_METRICS_H

#include "monitor/parts.h"
#include "net/http_metrics.h"

enum {
    /* Series of logs, witnesses, vantages and sinks stop where this ends: see
     * courtroll_monitor_series_left_out. */
    MONITOR_METRICS_BYTES_MAX = 8 * 1024 * 1024
};

struct monitor_metrics;

struct monitor_metrics *monitor_metrics_new(struct monitor_parts *parts);
void monitor_metrics_free(struct monitor_metrics *metrics);

/* Appends all of it; requires MONITOR_METRICS_BYTES_MAX of room. */
void monitor_metrics_put(struct monitor_metrics *metrics, struct monitor_parts *parts,
                         const struct http_server_stats *http, int64_t now_s, struct buf *out);

#endif
