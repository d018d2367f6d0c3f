/* clock.h -- the clocks, for the threads of a monitor: what is below them takes times as arguments. Any thread. */
#ifndef MONITOR_CLOCK_H
#define MONITOR_CLOCK_H

#include "monitor/watched_log.h"

uint64_t clock_monotonic_ms(void);
struct monitor_time clock_now(void);

#endif
