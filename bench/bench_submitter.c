/* bench_submitter.c -- operations from draft to durable accept, and on into a log: what a submitter's own system sees.
 *
 *     bench_submitter --dir DIR --policy FILE --origin ORIGIN --key FILE
 *                     [--log LOG --tls-ca FILE --tls-cert FILE --tls-key FILE] [--operations N]
 *
 * An accept is: salts, commitments, Ed25519 signature, payload encrypted and synced, spool written and synced. First
 * nothing is sent, as with a network that is down: one at a time (latency), N in batches of 100 by one thread, N by
 * two. With a log all that waits is sent then, until every receipt has verified, and others are accepted one at a time
 * beside (latency). Each line is one JSON object; CPU is that of this process. The payload key is made in DIR.
 */
#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "bench/operation_records.h"
#include "client/submitter.h"

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 100,
    SINGLES = 1000,
    SINGLES_BESIDE = 100000,
    THREADS_MAX = 2,
    FLUSH_MS = 10 * 60 * 1000,
};

struct bench {
    struct submitter_options options;
    struct submitter *_Atomic submitter;
    uint64_t operations;
    atomic_bool is_over;
};

/* Each has cases of its own, as drafts are not shared either. */
struct putter {
    pthread_t thread;
    struct bench *bench;
    struct operation_source *source;
    uint64_t count, made;
};

static double clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* A batch is of one case: its drafts are there at the same time. */
static void put(struct putter *putter, size_t count)
{
    struct submission_draft drafts[BATCH];
    struct err err;
    size_t failed;
    uint64_t of_case = putter->made++ % OPERATION_CASES;
    for (size_t i = 0; i < count; i++) {
        drafts[i] =
            (struct submission_draft){ .draft = operation_source_draft(putter->source, of_case,
                                                                       putter->made + i),
                                       .case_key = &putter->source->cases[of_case] };
    }
    if (submitter_put(putter->bench->submitter, drafts, count, NULL, &failed, &err) != E_OK) {
        operation_fail(err.msg);
    }
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void singles(struct bench *bench, const char *what, size_t count, unsigned pause_us)
{
    uint32_t *took = mem_calloc(count, sizeof *took);
    struct putter putter = { .bench = bench, .source = operation_source_new() };
    size_t done = 0;
    while (done < count && !atomic_load(&bench->is_over)) {
        double from = clock_us(CLOCK_MONOTONIC);
        put(&putter, 1);
        took[done++] = (uint32_t)(clock_us(CLOCK_MONOTONIC) - from);
        usleep(pause_us);
    }
    qsort(took, done, sizeof *took, compare);
    if (done > 0) {
        printf("{\"what\": \"%s\", \"operations\": %zu, \"p50_us\": %u, \"p99_us\": %u, "
               "\"max_us\": %u}\n",
               what, done, took[done / 2], took[done * 99 / 100], took[done - 1]);
    }
    mem_free(took);
    operation_source_free(putter.source);
}

static void *put_batches(void *arg)
{
    struct putter *putter = arg;
    for (uint64_t i = 0; i < putter->count / BATCH; i++) {
        put(putter, BATCH);
    }
    return NULL;
}

/* Seconds. */
static double batches(struct bench *bench, size_t threads)
{
    struct putter putters[THREADS_MAX] = { 0 };
    for (size_t i = 0; i < threads; i++) {
        putters[i] = (struct putter){ .bench = bench,
                                      .source = operation_source_new(),
                                      .count = bench->operations / threads };
    }
    double began = clock_us(CLOCK_MONOTONIC);
    for (size_t i = 0; i < threads; i++) {
        if (pthread_create(&putters[i].thread, NULL, put_batches, &putters[i]) != 0) {
            operation_fail("no thread could be made");
        }
    }
    for (size_t i = 0; i < threads; i++) {
        pthread_join(putters[i].thread, NULL);
    }
    double seconds = (clock_us(CLOCK_MONOTONIC) - began) / 1e6;
    for (size_t i = 0; i < threads; i++) {
        operation_source_free(putters[i].source);
    }
    return seconds;
}

static void accept_all(struct bench *bench)
{
    singles(bench, "operations one at a time, the network is down", SINGLES, 0);
    for (size_t threads = 1; threads <= THREADS_MAX; threads++) {
        double cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID), seconds = batches(bench, threads);
        cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        printf("{\"what\": \"operations in batches of %d\", \"threads\": %zu, \"operations\": "
               "%" PRIu64 ", \"operations_per_s\": %.0f, \"cpu_us\": %.1f}\n",
               BATCH, threads, bench->operations, (double)bench->operations / seconds,
               cpu / (double)bench->operations);
    }
}

static void *put_beside(void *arg)
{
    singles(arg, "operations one at a time, while others are sent", SINGLES_BESIDE, 2000);
    return NULL;
}

static void on_receipt(void *ctx, const struct spool_receipt *receipt)
{
    struct bench *bench = ctx;
    struct err err;
    if (receipt->is_refused) {
        operation_fail(receipt->refusal);
    }
    while (bench->submitter == NULL) { /* it may be sending before submitter_open is back */
        usleep(100);
    }
    if (spool_forget(submitter_spool(bench->submitter), receipt->ticket, &err) != E_OK) {
        operation_fail(err.msg);
    }
}

static void drain(struct bench *bench)
{
    struct err err;
    pthread_t beside;
    struct spool_status status;
    spool_status(submitter_spool(bench->submitter), &status);
    double began = clock_us(CLOCK_MONOTONIC), cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    if (pthread_create(&beside, NULL, put_beside, bench) != 0) {
        operation_fail("no thread could be made");
    }
    if (spool_flush(submitter_spool(bench->submitter), FLUSH_MS, &err) != E_OK) {
        operation_fail(err.msg);
    }
    double seconds = (clock_us(CLOCK_MONOTONIC) - began) / 1e6;
    cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    atomic_store(&bench->is_over, true);
    pthread_join(beside, NULL);
    printf("{\"what\": \"operations sent, every receipt verified\", \"operations\": %" PRIu64
           ", \"operations_per_s\": %.0f, \"cpu_us\": %.1f}\n",
           status.waiting, (double)status.waiting / seconds, cpu / (double)status.waiting);
}

static struct policy *read_policy(const char *path)
{
    struct buf bytes = BUF_INIT(POLICY_BYTES_MAX);
    struct policy *policy = NULL;
    struct err err;
    if (file_read(&bytes, path, &err) != E_OK ||
        policy_parse(&policy, buf_span(&bytes), &err) != E_OK) {
        operation_fail(err.msg);
    }
    buf_clear(&bytes);
    return policy;
}

static void open_spool(struct bench *bench, const char *log)
{
    char nowhere[] = "unix:nowhere";
    struct submitter *submitter = NULL;
    struct err err;
    if (log_address_parse(&bench->options.spool.log, log != NULL ? log : nowhere, &err) != E_OK ||
        submitter_open(&submitter, &bench->options, &err) != E_OK) {
        operation_fail(err.msg);
    }
    bench->submitter = submitter;
}

/* The files that an accept needs are in `dir`. */
static void run_in(struct bench *bench, const char *dir, const char *log)
{
    char *payload_key = file_join(dir, "payload.key"), *payloads = file_join(dir, "payloads"),
         *spool = file_join(dir, "spool");
    struct err err;
    if (file_make_directory(dir, 0700, &err) != E_OK ||
        sealed_key_create(payload_key, &err) != E_OK) {
        operation_fail(err.msg);
    }
    bench->options.payload_key_path = payload_key;
    bench->options.payload_dir = payloads;
    bench->options.spool.dir = spool;
    open_spool(bench, NULL);
    accept_all(bench);
    submitter_close(bench->submitter);
    bench->submitter = NULL;
    if (log != NULL) {
        open_spool(bench, log);
        drain(bench);
        submitter_close(bench->submitter);
    }
    mem_free(payload_key);
    mem_free(payloads);
    mem_free(spool);
}

struct arguments {
    const char *dir, *policy, *log, *tls_ca, *tls_cert, *tls_key;
};

static void read_options(struct bench *bench, struct arguments *out, int argc, char **argv)
{
    static const struct option options[] = {
        { "dir", required_argument, NULL, 'd' },        { "policy", required_argument, NULL, 'p' },
        { "origin", required_argument, NULL, 'o' },     { "key", required_argument, NULL, 'k' },
        { "log", required_argument, NULL, 'l' },        { "tls-ca", required_argument, NULL, 'a' },
        { "tls-cert", required_argument, NULL, 'c' },   { "tls-key", required_argument, NULL, 't' },
        { "operations", required_argument, NULL, 'n' }, { NULL, 0, NULL, 0 },
    };
    struct err err;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        const char **text = c == 'd'   ? &out->dir
                            : c == 'p' ? &out->policy
                            : c == 'o' ? &bench->options.spool.origin
                            : c == 'k' ? &bench->options.key_path
                            : c == 'l' ? &out->log
                            : c == 'a' ? &out->tls_ca
                            : c == 'c' ? &out->tls_cert
                            : c == 't' ? &out->tls_key
                                       : NULL;
        if (text != NULL) {
            *text = optarg;
        } else if (c != 'n') {
            exit(2);
        } else if (decimal_parse(&bench->operations, span_of_str(optarg), 10000000, &err) != E_OK) {
            operation_fail(err.msg);
        }
    }
}

int main(int argc, char **argv)
{
    struct bench bench = { .operations = 20000 };
    struct arguments arguments = { 0 };
    read_options(&bench, &arguments, argc, argv);
    if (arguments.dir == NULL || arguments.policy == NULL || bench.options.key_path == NULL ||
        bench.options.spool.origin == NULL) {
        operation_fail("--dir, --policy, --origin and --key are needed");
    }
    struct policy *policy = read_policy(arguments.policy);
    bench.options.spool.policy = policy;
    bench.options.spool.ctx = &bench;
    bench.options.spool.on_receipt = arguments.log != NULL ? on_receipt : NULL;
    bench.options.spool.log.tls_ca_path = arguments.tls_ca;
    bench.options.spool.log.tls_cert_path = arguments.tls_cert;
    bench.options.spool.log.tls_key_path = arguments.tls_key;
    run_in(&bench, arguments.dir, arguments.log);
    policy_free(policy);
    return 0;
}
