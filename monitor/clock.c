#include "monitor/clock.h"

#include <time.h>

uint64_t clock_monotonic_ms(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000 + (uint64_t)at.tv_nsec / 1000000;
}

struct monitor_time clock_now(void)
{
    return (struct monitor_time){ (int64_t)time(NULL), clock_monotonic_ms() };
}
