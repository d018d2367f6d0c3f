/* status_page.h -- the page for people: how each log is doing, who cosigned, what is wrong.
 *
 * One page without script, readable on a phone, dark and light by the reader's own setting, and with a screen
 * reader. Every byte that came from a peer is escaped. Any thread; takes copies, may wait for the disk.
 */
#ifndef MONITOR_STATUS_PAGE_H
#define MONITOR_STATUS_PAGE_H

#include "monitor/parts.h"

enum {
    STATUS_PAGE_BYTES_MAX = 16 * 1024 * 1024,
    STATUS_PAGE_ALERTS_MAX = 200
};

void monitor_page_put(struct buf *out, struct monitor_parts *parts, int64_t now_s);

/* A chart of size over time as SVG, with its numbers as text for those who cannot see it. Nothing with
 * fewer than two samples. `id` is unique on the page. */
void monitor_page_put_chart(struct buf *out, const struct history *history, size_t id);

#endif
