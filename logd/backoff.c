#include "logd/backoff.h"

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t backoff_ms(uint64_t *random, unsigned failures, uint64_t first_ms, uint64_t most_ms)
{
    uint64_t whole = first_ms;
    for (unsigned i = 0; i < failures && whole < most_ms; i++) {
        whole *= 2;
    }
    whole = whole < most_ms ? whole : most_ms;
    uint64_t half = whole / 2;
    return whole - half + next_random(random) % (half + 1);
}
