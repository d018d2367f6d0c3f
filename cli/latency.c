#include "cli/latency.h"

#include <stddef.h>

static size_t bucket_of(uint64_t ns)
{
    if (ns < LATENCY_STEPS) {
        return (size_t)ns;
    }
    unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - 6; /* so that 64 <= ns >> shift < 128 */
    size_t bucket = LATENCY_STEPS * (size_t)shift + (size_t)(ns >> shift);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The first duration beyond a bucket. */
static uint64_t bucket_end(size_t bucket)
{
    if (bucket < 2 * LATENCY_STEPS) {
        return bucket + 1;
    }
    unsigned shift = (unsigned)(bucket / LATENCY_STEPS) - 1;
    return (uint64_t)(bucket % LATENCY_STEPS + LATENCY_STEPS + 1) << shift;
}

void latency_add(struct latency *latency, uint64_t ns)
{
    latency->counts[bucket_of(ns)]++;
    latency->total++;
    if (ns > latency->max_ns) {
        latency->max_ns = ns;
    }
}

double latency_ms(const struct latency *latency, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)latency->total);
    uint64_t seen = 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        seen += latency->counts[i];
        if (seen > wanted || (seen == latency->total && seen > 0)) {
            uint64_t end = bucket_end(i) < latency->max_ns ? bucket_end(i) : latency->max_ns;
            return (double)end / 1e6;
        }
    }
    return 0;
}
