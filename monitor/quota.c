#include "monitor/quota.h"

enum {
    HOUR_MS = 60 * 60 * 1000
};

void quota_init(struct quota *quota, uint64_t per_hour, uint64_t now_ms)
{
    *quota = (struct quota){ per_hour, (double)per_hour, now_ms };
}

bool quota_take(struct quota *quota, uint64_t count, uint64_t now_ms)
{
    if (quota->per_hour == 0) {
        return true;
    }
    if (now_ms > quota->filled_ms) {
        double most = (double)quota->per_hour;
        quota->left += most * (double)(now_ms - quota->filled_ms) / HOUR_MS;
        quota->left = quota->left < most ? quota->left : most;
        quota->filled_ms = now_ms;
    }
    if ((double)count > quota->left) {
        return false;
    }
    quota->left -= (double)count;
    return true;
}
