#include "cli/synth_random.h"

#include <assert.h>

/* splitmix64, by Sebastiano Vigna: public domain. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t synth_random_next(struct synth_random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    return mix(random->state);
}

struct synth_random synth_random_of(uint64_t seed, uint64_t purpose, uint64_t a, uint64_t b)
{
    struct synth_random random = { mix(seed + UINT64_C(0x9e3779b97f4a7c15)) };
    random.state = mix(random.state ^ mix(purpose + 1));
    random.state = mix(random.state + mix(a + UINT64_C(0x632be59bd9b4e019)));
    random.state = mix(random.state + mix(b + UINT64_C(0xd1342543de82ef95)));
    return random;
}

/* The high half of the product: biased by less than n / 2^32, which no test here could see. */
uint64_t synth_random_below(struct synth_random *random, uint64_t n)
{
    assert(n > 0);
    uint64_t bits = synth_random_next(random);
    return n <= UINT32_MAX ? ((bits >> 32) * n) >> 32 : bits % n;
}

uint64_t synth_random_range(struct synth_random *random, uint64_t low, uint64_t high)
{
    assert(low <= high);
    return low + synth_random_below(random, high - low + 1);
}

bool synth_random_chance(struct synth_random *random, unsigned per_mille)
{
    return synth_random_below(random, 1000) < per_mille;
}

uint64_t synth_random_quantile(struct synth_random *random, const struct synth_quantile *table,
                               size_t count)
{
    uint64_t share = synth_random_below(random, table[count - 1].share);
    size_t i = 1;
    while (share >= table[i].share) {
        i++;
    }
    uint64_t width = table[i].share - table[i - 1].share;
    uint64_t height = table[i].value - table[i - 1].value;
    /* Within a step evenly, at a finer grain than a share. */
    uint64_t part = (share - table[i - 1].share) * 1000 + synth_random_below(random, 1000);
    return table[i - 1].value + height * part / (width * 1000);
}
