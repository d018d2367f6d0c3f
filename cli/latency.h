/* latency.h -- a histogram of durations: 1.6 % wide buckets from 1 ns to hours, at constant cost.
 *
 * As HdrHistogram: a power of two is split into LATENCY_STEPS equal parts. Pure. One owner.
 */
#ifndef CLI_LATENCY_H
#define CLI_LATENCY_H

#include <stdint.h>

enum {
    LATENCY_STEPS = 64,
    LATENCY_BUCKETS = LATENCY_STEPS * 60,
};

struct latency {
    uint64_t counts[LATENCY_BUCKETS];
    uint64_t total;
    uint64_t max_ns;
};

void latency_add(struct latency *latency, uint64_t ns);

/* Milliseconds below which `share` (0..1) of the durations are; 0 when there are none. */
double latency_ms(const struct latency *latency, double share);

#endif
