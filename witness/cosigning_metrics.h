/* cosigning_metrics.h -- what /metrics tells of a witness: in all, and of each log.
 *
 * base/metrics registers its series at start, and not thousands: what is told of each log is written
 * straight from the logs' state, of the first COSIGNING_METRICS_LOGS_MAX of them.
 */
#ifndef WITNESS_COSIGNING_METRICS_H
#define WITNESS_COSIGNING_METRICS_H

#include "net/http_server.h"
#include "witness/parts.h"

enum {
    COSIGNING_METRICS_LOGS_MAX = 1000,
    COSIGNING_METRICS_BYTES_MAX = 24 * 1024 * 1024, /* with the longest origins, all escaped */
};

struct cosigning_metrics *cosigning_metrics_new(void);
void cosigning_metrics_free(struct cosigning_metrics *metrics);

/* A request has been answered so; also those of unknown logs. Any thread. */
void cosigning_metrics_count(struct cosigning_metrics *metrics, enum refusal refusal);

/* Takes the numbers over and renders them. Requires COSIGNING_METRICS_BYTES_MAX bytes of room. May wait
 * for the disk. */
void cosigning_metrics_put(struct cosigning_metrics *metrics, struct buf *out, struct parts *parts,
                           const struct http_server_stats *http, uint64_t now_s);

#endif
