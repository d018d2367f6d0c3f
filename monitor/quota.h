/* quota.h -- how much one holder may ask for: a bucket that fills again with time.
 *
 * Pure: the time is an argument. One thread at a time for a quota.
 */
#ifndef MONITOR_QUOTA_H
#define MONITOR_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

struct quota {
    uint64_t per_hour; /* at most so many an hour; 0: no limit */
    uint64_t at_once;  /* and so many at once */
    double left;
    uint64_t filled_ms; /* monotonic */
};

/* An hour's worth may be asked for at once; or a minute's. */
void quota_init(struct quota *quota, uint64_t per_hour, uint64_t now_ms);
void quota_init_per_minute(struct quota *quota, uint64_t per_minute, uint64_t now_ms);

/* Takes `count` at once, or nothing: false. */
bool quota_take(struct quota *quota, uint64_t count, uint64_t now_ms);

#endif
