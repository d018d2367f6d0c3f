/* http_metrics.h -- what /metrics tells of an HTTP server. As base/metrics.h. */
#ifndef NET_HTTP_METRICS_H
#define NET_HTTP_METRICS_H

#include "base/metrics.h"
#include "net/http_server.h"

/* Owned by the caller; the series by `metrics`. */
struct http_metrics {
    struct metrics_gauge *connections;
    struct metrics_counter *requests, *rejected, *refused, *timeouts, *sent;
};

struct http_metrics http_metrics_add(struct metrics *metrics);
void http_metrics_set(const struct http_metrics *http, const struct http_server_stats *stats);

#endif
