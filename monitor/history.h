/* history.h -- how a log grew: at most HISTORY_MAX samples, however long it is watched.
 *
 * Samples are at least `spacing_s` apart; when there is no room for one more, every second one is dropped
 * and the spacing doubles. The newest sample is always exact.
 * Pure. Any thread.
 */
#ifndef MONITOR_HISTORY_H
#define MONITOR_HISTORY_H

#include "base/buf.h"
#include "base/err.h"

enum {
    HISTORY_MAX = 512,
    HISTORY_SPACING_S = 60,
    HISTORY_BYTES_MAX = 16 + HISTORY_MAX * 16
};

struct history_sample {
    int64_t unix_s;
    uint64_t size;
};

struct history {
    uint64_t spacing_s;
    size_t count;
    struct history_sample samples[HISTORY_MAX]; /* oldest first */
};

void history_init(struct history *history);
/* A sample whose time is not after the newest's replaces that one. */
void history_add(struct history *history, int64_t unix_s, uint64_t size);
/* Drops what is older than `before_s`, but for the newest of that: for a window that moves. */
void history_forget(struct history *history, int64_t before_s);
/* As stored. E_MALFORMED. */
void history_put(struct buf *out, const struct history *history);
MUST_USE enum err_code history_parse(struct history *out, struct span bytes, struct err *err);

/* Entries that came in the `seconds` before the newest sample, as far back as there are samples: the
 * sizes' difference and the seconds it took. False with fewer than two samples. */
bool history_growth(const struct history *history, uint64_t seconds, uint64_t *entries,
                    uint64_t *took_s);

#endif
