/* drill_log.h -- a log that lies, for drills: two histories under one key, in memory.
 *
 * Spec: C2SP tlog-tiles. It has fewer entries than fill a tile. Any thread may read while none publishes.
 */
#ifndef MONITOR_DRILL_LOG_H
#define MONITOR_DRILL_LOG_H

#include "monitor/scan.h"
#include "tlog/vkey.h"

enum {
    DRILL_LOG_ENTRIES_MAX = 64
};

enum drill_history {
    DRILL_HONEST,
    DRILL_FORGED /* other entries than DRILL_HONEST after the first few */
};

struct drill_log;

/* With a key made for it. Requires that `origin` is a valid key name. */
struct drill_log *drill_log_new(const char *origin);
void drill_log_free(struct drill_log *log); /* after its readers; NULL is fine */
const struct vkey *drill_log_vkey(const struct drill_log *log);

/* From now on "checkpoint" is a signed note of this history at `size`, 1..DRILL_LOG_ENTRIES_MAX, whose bundle and
 * tile are served too; what was served before at another size stays, and at the same size is not replaced. Errors
 * are signing_key_sign's. */
MUST_USE enum err_code drill_log_publish(struct drill_log *log, enum drill_history history,
                                         uint64_t size, struct err *err);

/* Opens readers. */
struct scan_source drill_log_source(struct drill_log *log);

#endif
