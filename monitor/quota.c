#include "monitor/quota.h"

enum {
    MINUTES_PER_HOUR = 60,
    HOUR_MS = MINUTES_PER_HOUR * 60 * 1000
};

void quota_init(struct quota *quota, uint64_t per_hour, uint64_t now_ms)
{
    *quota = (struct quota){ per_hour, per_hour, (double)per_hour, now_ms };
}

void quota_init_per_minute(struct quota *quota, uint64_t per_minute, uint64_t now_ms)
{
    *quota =
        (struct quota){ per_minute * MINUTES_PER_HOUR, per_minute, (double)per_minute, now_ms };
}

bool quota_take(struct quota *quota, uint64_t count, uint64_t now_ms)
{
    if (quota->per_hour == 0) {
        return true;
    }
    if (now_ms > quota->filled_ms) {
        double most = (double)quota->at_once;
        quota->left += (double)quota->per_hour * (double)(now_ms - quota->filled_ms) / HOUR_MS;
        quota->left = quota->left < most ? quota->left : most;
        quota->filled_ms = now_ms;
    }
    if ((double)count > quota->left) {
        return false;
    }
    quota->left -= (double)count;
    return true;
}
