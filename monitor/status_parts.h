/* status_parts.h -- what the status_*.c files share: sections of the page. As status_page.h. */
#ifndef MONITOR_STATUS_PARTS_H
#define MONITOR_STATUS_PARTS_H

#include "monitor/status_page.h"

enum {
    STATUS_TAIL_BYTES_MAX = 2 * 1024 * 1024, /* what comes after the logs */
    STATUS_RESOLVED_MAX = 20,
};

void status_put_logs(struct buf *out, struct monitor_parts *parts, int64_t now_s);
/* Alerts that are open or acknowledged, the gravest first. */
void status_put_alerts(struct buf *out, struct monitor_parts *parts, int64_t now_s);
void status_put_resolved(struct buf *out, struct monitor_parts *parts, int64_t now_s);

#endif
