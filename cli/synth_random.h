/* synth_random.h -- numbers that look random and follow from a seed: the same on every machine, so integers only.
 *
 * Not for secrets: keys and salts are hashes of the seed (synth_world.h), and as secret as the seed is.
 * Pure. Any thread.
 */
#ifndef CLI_SYNTH_RANDOM_H
#define CLI_SYNTH_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct synth_random {
    uint64_t state;
};

/* A stream of its own for each purpose and pair of numbers. */
struct synth_random synth_random_of(uint64_t seed, uint64_t purpose, uint64_t a, uint64_t b);

uint64_t synth_random_next(struct synth_random *random);
/* 0..n-1. Requires n > 0. */
uint64_t synth_random_below(struct synth_random *random, uint64_t n);
/* low..high, both included. */
uint64_t synth_random_range(struct synth_random *random, uint64_t low, uint64_t high);
bool synth_random_chance(struct synth_random *random, unsigned per_mille);

/* A distribution by some of its quantiles, straight lines between them. The first row is 0, the last 100,000. */
struct synth_quantile {
    uint32_t share; /* in 100,000 */
    uint64_t value; /* below which that share lies */
};
uint64_t synth_random_quantile(struct synth_random *random, const struct synth_quantile *table,
                               size_t count);

#endif
