/* anchor.h -- appends the log's own published note as an entry, so that entries behind it are *sequenced after* the
 * times in it.
 *
 * design: "Entries and time". Every `anchor-seconds` while there is news (entries other than anchors since the last
 * one), the published note with its cosignatures becomes an ANCHOR record (vouched: it carries signatures of its own)
 * and goes through the pool as any entry. A refusal is tried again at the next interval. Loop thread.
 */
#ifndef LOGD_ANCHOR_H
#define LOGD_ANCHOR_H

#include "logd/parts.h"

struct anchor;
struct anchor *anchor_start(uv_loop_t *loop, struct parts *parts, uint64_t interval_s);
/* No more from now on; frees itself once what is under way is answered. */
void anchor_close(struct anchor *anchor, void *ctx, void (*on_closed)(void *ctx));

/* Counters for metrics. */
uint64_t anchor_count(const struct anchor *anchor);

#endif
