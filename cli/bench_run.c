#include "cli/bench_run.h"

#include "base/alloc.h"

#include <sys/resource.h>
#include <unistd.h>

/* With a rate: for the last calls to be sent, late as they may be. */
static const uint64_t GRACE_NS = 1000000000;

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
        run->calls[i].next_free = run->free_calls;
        run->free_calls = &run->calls[i];
    }
    receipt_check_init(&run->receipts, options->policy);
    run->server_cpu_us = run->bytes_written = run->bytes_logged = run->rss_bytes = -1;
    return run;
}

void bench_run_free(struct bench_run *run)
{
    mem_free(run->bytes);
    mem_free(run->entries);
    mem_free(run->check);
    mem_free(run->seen);
    receipt_check_clear(&run->receipts);
    mem_free(run);
}

void bench_run_begin(struct bench_run *run)
{
    run->client_cpu_us = cpu_us();
    run->start_ns = output_now_ns();
    run->until_ns = run->start_ns + run->options->seconds * 1000000000;
    output_progress_begin(&run->progress, "appended", "entries", 0);
}

bool bench_run_is_over(const struct bench_run *run)
{
    return output_now_ns() >= run->until_ns;
}

void bench_run_end(struct bench_run *run)
{
    output_progress_end(&run->progress);
    run->end_ns = output_now_ns();
    run->client_cpu_us = cpu_us() - run->client_cpu_us;
}

uint64_t bench_run_unsent(const struct bench_run *run)
{
    const struct bench_options *options = run->options;
    return options->rate > 0 ? options->rate * options->seconds - run->due_count : 0;
}

void bench_call_begin(struct bench_run *run, struct bench_call *call)
{
    call->first = run->next;
    run->next += run->options->entries_per_call;
    for (uint64_t i = 0; i < run->options->entries_per_call; i++) {
        entry_number(run->bytes + i * run->options->entry_bytes, call->first + i);
    }
    if (run->options->rate == 0) {
        call->start_ns = output_now_ns();
    }
}

struct bench_call *bench_call_due(struct bench_run *run, uint64_t now_ns, uint64_t *wait_ns)
{
    /* Seconds and the rest apart: a day of nanoseconds times a rate would not fit. */
    uint64_t rate = run->options->rate;
    uint64_t due_ns = run->start_ns + run->due_count / rate * 1000000000 +
                      run->due_count % rate * 1000000000 / rate;
    struct bench_call *call = run->free_calls;
    if (run->due_count == rate * run->options->seconds || now_ns >= run->until_ns + GRACE_NS) {
        *wait_ns = 0;
        return NULL;
    }
    if (now_ns < due_ns || call == NULL) {
        *wait_ns = now_ns < due_ns ? due_ns - now_ns : 1000000000;
        return NULL;
    }
    run->free_calls = call->next_free;
    run->due_count++;
    call->start_ns = due_ns;
    return call;
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

enum err_code bench_check_receipt(struct bench_run *run, struct span receipt, uint64_t index,
                                  const struct hash *leaf_hash, struct err *err)
{
    const struct policy_verdict *verdict = NULL;
    if (run->options->policy == NULL) {
        return receipt.len > 0 ? E_OK : err_set(err, E_BAD_PROOF, "witnessed without a receipt");
    }
    if (receipt_check(&run->receipts, receipt, index, leaf_hash, &verdict, err) != E_OK) {
        struct err cause = *err;
        return err_set(err, E_BAD_PROOF, "a receipt that does not verify: %s", cause.msg);
    }
    run->receipt_count++;
    return verdict->is_met ? E_OK
                           : err_set(err, E_TIMEOUT, "a receipt that does not meet the policy");
}

void bench_call_end(struct bench_run *run, struct bench_call *call, const struct err *failure)
{
    if (run->options->rate > 0) {
        call->next_free = run->free_calls;
        run->free_calls = call;
    }
    if (failure == NULL) {
        latency_add(&run->latency, output_now_ns() - call->start_ns);
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
        if (run->options->rate == 0) {
            usleep(1000); /* a log that refuses is not to be hammered at full speed */
        }
    }
}
