/* witness_metrics.h -- what /metrics tells of each witness of the policy. As base/metrics.h. */
#ifndef LOGD_WITNESS_METRICS_H
#define LOGD_WITNESS_METRICS_H

#include "base/metrics.h"
#include "logd/witness_status.h"

enum {
    WITNESS_METRICS_MAX = 64 /* witnesses that are told of: 14 series each, of METRICS_SERIES_MAX */
};

struct witness_metrics;

struct witness_metrics *witness_metrics_new(struct metrics *metrics,
                                            const struct witness_status *statuses, size_t count);
void witness_metrics_free(struct witness_metrics *metrics); /* NULL is fine; not the series */

/* `statuses` are of the same witnesses. */
void witness_metrics_set(struct witness_metrics *metrics, const struct witness_status *statuses,
                         int64_t now_unix_s);

#endif
