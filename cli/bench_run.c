#include "cli/bench_run.h"

#include "base/alloc.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void entry_number(uint8_t *entry, uint64_t counter)
{
    memcpy(entry + BENCH_PREFIX_BYTES, &counter, sizeof counter);
}

struct bench_run *bench_run_new(const struct bench_options *options)
{
    struct bench_run *run = NEW(struct bench_run);
    size_t count = options->entries_per_call;
    size_t bytes = options->entry_bytes;
    run->options = options;
    run->bytes = mem_calloc(count, bytes);
    run->entries = mem_calloc(count, sizeof *run->entries);
    run->check = mem_alloc(bytes);
    crypto_random(run->check, bytes);
    for (size_t i = 0; i < count; i++) {
        memcpy(run->bytes + i * bytes, run->check, bytes);
        run->entries[i] = span_of(run->bytes + i * bytes, bytes);
    }
    for (size_t i = 0; i < BENCH_IN_FLIGHT_MAX; i++) {
        run->calls[i].run = run;
    }
    run->server_cpu_us = run->bytes_written = run->bytes_logged = run->rss_bytes = -1;
    return run;
}

void bench_run_free(struct bench_run *run)
{
    mem_free(run->bytes);
    mem_free(run->entries);
    mem_free(run->check);
    mem_free(run->seen);
    mem_free(run);
}

void bench_run_begin(struct bench_run *run)
{
    run->client_cpu_us = cpu_us();
    run->start_ns = now_ns();
    run->until_ns = run->start_ns + run->options->seconds * 1000000000;
    output_progress_begin(&run->progress, "appended", "entries", 0);
}

bool bench_run_is_over(const struct bench_run *run)
{
    return now_ns() >= run->until_ns;
}

void bench_run_end(struct bench_run *run)
{
    output_progress_end(&run->progress);
    run->end_ns = now_ns();
    run->client_cpu_us = cpu_us() - run->client_cpu_us;
}

void bench_call_begin(struct bench_run *run, struct bench_call *call)
{
    call->first = run->next;
    run->next += run->options->entries_per_call;
    for (uint64_t i = 0; i < run->options->entries_per_call; i++) {
        entry_number(run->bytes + i * run->options->entry_bytes, call->first + i);
    }
    call->start_ns = now_ns();
}

/* True when the index is new; it is remembered. */
static bool mark_index(struct bench_run *run, uint64_t index)
{
    if (!run->has_base) { /* over HTTP nobody tells where the log stood: allow for reordering */
        run->index_base = index > BENCH_IN_FLIGHT_MAX ? index - BENCH_IN_FLIGHT_MAX : 0;
        run->has_base = true;
    }
    if (index < run->index_base || index - run->index_base >= BENCH_INDICES_MAX) {
        return false;
    }
    size_t at = (size_t)(index - run->index_base);
    if (at / 8 >= run->seen_bytes) {
        size_t bytes = (at / 8 + 1) * 2;
        run->seen = mem_realloc(run->seen, bytes);
        memset(run->seen + run->seen_bytes, 0, bytes - run->seen_bytes);
        run->seen_bytes = bytes;
    }
    uint8_t bit = (uint8_t)(1U << at % 8);
    bool is_new = (run->seen[at / 8] & bit) == 0;
    run->seen[at / 8] |= bit;
    return is_new;
}

enum err_code bench_check(struct bench_run *run, uint64_t counter, uint64_t index, uint64_t *last,
                          const struct hash *leaf_hash, struct err *err)
{
    if (*last != UINT64_MAX && index <= *last) {
        return err_set(err, E_BAD_PROOF, "indices of one call do not grow");
    }
    *last = index;
    if (!mark_index(run, index)) {
        return err_set(err, E_BAD_PROOF, "index %llu was given before this entry",
                       (unsigned long long)index);
    }
    if (leaf_hash != NULL) {
        entry_number(run->check, counter);
        struct hash expected = merkle_leaf_hash(span_of(run->check, run->options->entry_bytes));
        if (!hash_is_equal(&expected, leaf_hash)) {
            return err_set(err, E_BAD_PROOF, "index %llu has the leaf hash of another entry",
                           (unsigned long long)index);
        }
    }
    return E_OK;
}

void bench_call_end(struct bench_run *run, const struct bench_call *call, const struct err *failure)
{
    if (failure == NULL) {
        latency_add(&run->latency, now_ns() - call->start_ns);
        run->call_count++;
        run->entry_count += run->options->entries_per_call;
        output_progress_set(&run->progress, run->entry_count);
        return;
    }
    if (run->refused + run->wrong == 0) {
        run->first_error = *failure;
    }
    if (failure->code == E_BAD_PROOF) {
        run->wrong++;
    } else {
        run->refused++;
        usleep(1000); /* a log that refuses is not to be hammered at full speed */
    }
}
