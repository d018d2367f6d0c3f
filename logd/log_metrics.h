/* log_metrics.h -- what /metrics tells of a log. Loop thread. */
#ifndef LOGD_LOG_METRICS_H
#define LOGD_LOG_METRICS_H

#include "logd/parts.h"
#include "net/http_server.h"

struct log_metrics;

struct log_metrics *log_metrics_new(struct parts *parts);
void log_metrics_free(struct log_metrics *metrics);

/* Takes the numbers over and renders them. Requires METRICS_TEXT_BYTES_MAX bytes of room. */
void log_metrics_put(struct log_metrics *metrics, struct buf *out, const struct status *status,
                     const struct http_server_stats *http);

#endif
