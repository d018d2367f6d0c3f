/* bench_spool.c -- what a spool accepts, and how fast it drains into a log.
 *
 *     bench_spool --dir DIR --policy FILE --origin ORIGIN [--log LOG [--stalled]] [--items N]
 *
 * Each line is one JSON object. An item is 300 bytes, signed before: what is measured is the durable accept alone,
 * bench_submitter measures it with all that comes before. Without a log nothing is sent, as with a network that is
 * down: single puts from one thread (latency), from 16 and 64 threads, batches of 100; the same with --stalled, for a
 * log that takes connections and never answers. Else: N items of 1000 cases, accepted in batches while they are sent,
 * until every receipt has verified, and single puts beside them (latency).
 */
#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "client/spool.h"

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    ENTRY_BYTES = 300,
    THREADS_MAX = 64,
    BATCH = 100,
    CASES = 1000,
    SINGLES = 2000,
    SINGLES_BESIDE = 100000,
    FLUSH_MS = 10 * 60 * 1000,
};

struct bench {
    struct spool_options options;
    struct spool *spool;
    uint64_t items, singles_each;
    atomic_uint_fast64_t made; /* entries, so that no two are equal */
    atomic_uint_fast64_t proved;
    atomic_bool is_over;
};

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void fail(const char *words)
{
    fprintf(stderr, "bench_spool: %s\n", words);
    exit(1);
}

struct item {
    uint8_t bytes[ENTRY_BYTES];
};

static struct spool_item make_item(struct bench *bench, struct item *room, bool has_case)
{
    uint64_t number = atomic_fetch_add(&bench->made, 1);
    memset(room->bytes, 'x', sizeof room->bytes);
    memcpy(room->bytes, &number, sizeof number);
    struct spool_item item = { .entry = SPAN_OF_ARRAY(room->bytes) };
    if (has_case) {
        uint64_t one = number % CASES;
        item.case_id = sha256(span_of(&one, sizeof one));
    }
    return item;
}

static void put(struct bench *bench, const struct spool_item *items, size_t count)
{
    struct err err;
    if (spool_put(bench->spool, items, count, NULL, &err) != E_OK) {
        fail(err.msg);
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* One put after another, with a pause, until `count` or *is_over. */
static void singles(struct bench *bench, const char *what, size_t count, unsigned pause_us,
                    atomic_bool *is_over)
{
    uint32_t *took = mem_calloc(count, sizeof *took);
    struct item room;
    size_t done = 0;
    uint64_t began = now_us();
    while (done < count && !atomic_load(is_over)) {
        uint64_t from = now_us();
        struct spool_item item = make_item(bench, &room, false);
        put(bench, &item, 1);
        took[done++] = (uint32_t)(now_us() - from);
        usleep(pause_us);
    }
    double seconds = (double)(now_us() - began) / 1e6;
    qsort(took, done, sizeof *took, compare);
    if (done > 0) {
        printf("{\"what\": \"%s\", \"puts\": %zu, \"items_per_s\": %.0f, \"p50_us\": %u, "
               "\"p99_us\": %u, \"max_us\": %u}\n",
               what, done, (double)done / seconds, took[done / 2], took[done * 99 / 100],
               took[done - 1]);
    }
    mem_free(took);
}

static void *put_singles(void *ctx)
{
    struct bench *bench = ctx;
    struct item room;
    for (uint64_t i = 0; i < bench->singles_each; i++) {
        struct spool_item item = make_item(bench, &room, false);
        put(bench, &item, 1);
    }
    return NULL;
}

static void threads(struct bench *bench, size_t count)
{
    pthread_t all[THREADS_MAX];
    uint64_t began = now_us();
    bench->singles_each = bench->items / count / 2;
    for (size_t i = 0; i < count; i++) {
        if (pthread_create(&all[i], NULL, put_singles, bench) != 0) {
            fail("no thread could be made");
        }
    }
    for (size_t i = 0; i < count; i++) {
        pthread_join(all[i], NULL);
    }
    double seconds = (double)(now_us() - began) / 1e6;
    printf("{\"what\": \"single puts, %zu threads\", \"items_per_s\": %.0f}\n", count,
           (double)(bench->singles_each * count) / seconds);
}

static void put_batches(struct bench *bench, bool has_cases)
{
    struct item *rooms = mem_calloc(BATCH, sizeof *rooms);
    struct spool_item items[BATCH];
    for (uint64_t i = 0; i < bench->items / BATCH; i++) {
        for (size_t k = 0; k < BATCH; k++) {
            items[k] = make_item(bench, &rooms[k], has_cases);
        }
        put(bench, items, BATCH);
    }
    mem_free(rooms);
}

static void batches(struct bench *bench)
{
    uint64_t began = now_us();
    put_batches(bench, true);
    double seconds = (double)(now_us() - began) / 1e6;
    printf("{\"what\": \"batches of %d, one thread\", \"items_per_s\": %.0f, \"items\": %" PRIu64
           "}\n",
           BATCH, (double)bench->items / seconds, bench->items);
}

static void on_receipt(void *ctx, const struct spool_receipt *receipt)
{
    struct bench *bench = ctx;
    struct err err;
    if (receipt->is_refused || spool_forget(bench->spool, receipt->ticket, &err) != E_OK) {
        fail("an item was not proved");
    }
    atomic_fetch_add(&bench->proved, 1);
}

static void *put_beside(void *ctx)
{
    struct bench *bench = ctx;
    singles(bench, "single puts, one thread, while others are accepted and sent", SINGLES_BESIDE,
            1000, &bench->is_over);
    return NULL;
}

static void drain(struct bench *bench)
{
    struct err err;
    pthread_t beside;
    uint64_t began = now_us();
    if (pthread_create(&beside, NULL, put_beside, bench) != 0) {
        fail("no thread could be made");
    }
    put_batches(bench, true);
    double accepted = (double)(now_us() - began) / 1e6;
    if (spool_flush(bench->spool, FLUSH_MS, &err) != E_OK) {
        fail(err.msg);
    }
    double seconds = (double)(now_us() - began) / 1e6;
    atomic_store(&bench->is_over, true);
    pthread_join(beside, NULL);
    struct timespec cpu;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    printf("{\"what\": \"accepted, sent, every receipt verified\", \"items\": %" PRIu64
           ", \"items_per_s\": %.0f, \"accepted_per_s\": %.0f, \"cpu_us_per_item\": %.1f}\n",
           bench->items, (double)bench->items / seconds, (double)bench->items / accepted,
           ((double)cpu.tv_sec * 1e6 + (double)cpu.tv_nsec / 1e3) / (double)bench->items);
}

static struct policy *read_policy(const char *path)
{
    struct buf bytes = BUF_INIT(POLICY_BYTES_MAX);
    struct policy *policy = NULL;
    struct err err;
    if (file_read(&bytes, path, &err) != E_OK ||
        policy_parse(&policy, buf_span(&bytes), &err) != E_OK) {
        fail(err.msg);
    }
    buf_clear(&bytes);
    return policy;
}

static void accept_all(struct bench *bench, bool is_stalled)
{
    const char *what = is_stalled ? "single puts, one thread, the log does not answer"
                                  : "single puts, one thread, the network is down";
    singles(bench, what, SINGLES, 0, &bench->is_over);
    threads(bench, 16);
    threads(bench, THREADS_MAX);
    batches(bench);
}

static void run(struct bench *bench, const char *log, bool is_stalled)
{
    struct err err;
    char nowhere[] = "unix:nowhere";
    if (log_address_parse(&bench->options.log, log != NULL ? log : nowhere, &err) != E_OK) {
        fail(err.msg);
    }
    if (log != NULL) {
        bench->options.on_receipt = on_receipt;
    }
    if (spool_open(&bench->spool, &bench->options, &err) != E_OK) {
        fail(err.msg);
    }
    if (log != NULL && !is_stalled) {
        drain(bench);
    } else {
        accept_all(bench, is_stalled);
    }
    spool_close(bench->spool);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "dir", required_argument, NULL, 'd' },
        { "policy", required_argument, NULL, 'p' },
        { "origin", required_argument, NULL, 'o' },
        { "log", required_argument, NULL, 'l' },
        { "items", required_argument, NULL, 'n' },
        { "stalled", no_argument, NULL, 's' },
        { NULL, 0, NULL, 0 },
    };
    struct bench bench = { .items = 200000 };
    const char *log = NULL, *policy = NULL;
    bool is_stalled = false;
    struct err err;
    bench.options.ctx = &bench;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'd':
            bench.options.dir = optarg;
            break;
        case 'p':
            policy = optarg;
            break;
        case 'o':
            bench.options.origin = optarg;
            break;
        case 'l':
            log = optarg;
            break;
        case 'n':
            if (decimal_parse(&bench.items, span_of_str(optarg), 100000000, &err) != E_OK) {
                fail(err.msg);
            }
            break;
        case 's':
            is_stalled = true;
            break;
        default:
            return 2;
        }
    }
    if (bench.options.dir == NULL || policy == NULL || bench.options.origin == NULL) {
        fail("--dir, --policy and --origin are needed");
    }
    struct policy *read = read_policy(policy);
    bench.options.policy = read;
    run(&bench, log, is_stalled);
    policy_free(read);
    return 0;
}
