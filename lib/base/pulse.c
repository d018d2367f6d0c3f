#include "base/pulse.h"

#include <time.h>

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + 1; /* never 0 */
}

void pulse_step(struct pulse *pulse)
{
    atomic_store(&pulse->since_ms, now_ms());
}

void pulse_rest(struct pulse *pulse)
{
    atomic_store(&pulse->since_ms, 0);
}

uint64_t pulse_stuck_ms(struct pulse *pulse)
{
    uint64_t since = atomic_load(&pulse->since_ms);
    uint64_t now = now_ms();
    return since == 0 || now < since ? 0 : now - since;
}
