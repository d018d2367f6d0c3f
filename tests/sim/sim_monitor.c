/* sim_monitor.c -- a byzantine log, seeded: every misbehaviour and mixtures of them are found, nothing else is
 * reported, each proof convinces, through crashes.
 *
 *   sim_monitor                  as in the tests: RUNS seeds
 *   sim_monitor FIRST COUNT      those seeds; COURTROLL_LONG=1 runs RUNS_LONG
 */
#include "base/metrics.h"
#include "tests/support/byzantine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RUNS = 150,
    RUNS_LONG = 5000,
    PLANTS_MAX = 3,
    SIZE_MAX_SMALL = 3000,
    SIZE_LARGE = 1000000,
    LARGE_EVERY = 500, /* of the seeds: a log of a million entries */
    HEADS = 2000,
    HEADS_LONG = 1000000,
    HEADS_BYTES_MAX = 32 * 1024 * 1024
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 31)) * 0x7fb5d329728ea185u;
    x = (x ^ (x >> 27)) * 0x81dadef4bc2dd44du;
    return x ^ (x >> 33);
}

/* What is planted comes from the seed; every plant is first in some run. */
static void run(uint64_t seed)
{
    uint64_t random = mix(seed + 1);
    uint64_t size =
        seed % LARGE_EVERY == LARGE_EVERY - 1 ? SIZE_LARGE : 2 + random % SIZE_MAX_SMALL;
    struct byzantine *world = byzantine_new(seed, size);
    size_t plants = 1 + random / 7 % PLANTS_MAX;
    for (size_t i = 0; i < plants; i++) {
        enum byzantine_plant plant =
            (enum byzantine_plant)(i == 0 ? seed % PLANT_COUNT : mix(seed * 8 + i) % PLANT_COUNT);
        enum byzantine_plant view = mix(seed * 16 + i) % 2 == 0
                                        ? PLANT_COUNT
                                        : (enum byzantine_plant)(mix(seed * 32 + i) % PLANT_VIEWS);
        for (uint64_t polls = mix(seed * 64 + i) % 4 + 1; polls > 0; polls--) {
            byzantine_poll(world);
        }
        if (mix(seed * 128 + i) % 3 == 0) {
            byzantine_crash(world);
        }
        byzantine_run(world, plant, view);
    }
    byzantine_judge(world);
    byzantine_free(world);
}

/* Bounded, whatever a log signs: memory, causes, and how often anybody is told. */
static void run_heads(uint64_t count)
{
    struct byzantine *world = byzantine_new(4711, 1000);
    byzantine_poll(world);
    byzantine_sign_heads(world, 100);
    uint64_t before = metrics_process().rss_anon_bytes;
    byzantine_sign_heads(world, count);
    uint64_t after = metrics_process().rss_anon_bytes;
    if (after > before + HEADS_BYTES_MAX) {
        fprintf(stderr,
                "memory grew from %" PRIu64 " to %" PRIu64 " bytes with %" PRIu64 " heads\n",
                before, after, count);
        abort();
    }
    printf("%" PRIu64 " heads: raised %" PRIu64 " times, memory %" PRIu64 " -> %" PRIu64 " bytes\n",
           count, byzantine_raised(world), before, after);
    byzantine_free(world);
}

int main(int argc, char **argv)
{
    const char *wish = getenv("COURTROLL_LONG");
    bool is_long = wish != NULL && strcmp(wish, "1") == 0;
    uint64_t first = argc > 2 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : is_long ? RUNS_LONG : RUNS;
    for (uint64_t seed = first; seed < first + count; seed++) {
        run(seed);
    }
    printf("%" PRIu64 " runs: all that was planted was found, and nothing else\n", count);
    if (argc <= 2) {
        run_heads(is_long ? HEADS_LONG : HEADS);
    }
    return 0;
}
