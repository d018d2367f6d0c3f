/* bench_operations.c -- signed operations through submit, verify, commit: a log with schema = operation over mTLS, and
 * what the signatures alone would allow on this machine at this moment.
 *
 *     bench_operations --log HOST:PORT --origin ORIGIN --policy FILE --key FILE --tls-ca FILE --tls-cert FILE
 *                      --tls-key FILE [--operations N] [--in-flight K] [--entries-per-call M] [--stream] [--vouched]
 *
 * Records are made before the time counts; K calls, or with --stream K streams, have M each. Every answer is checked:
 * leaf hash, no duplicate, indices dense and each given once, in order on a stream; the log has grown by N; 64
 * receipts verify. One JSON object. The limit is ed25519_verify alone, on one thread and on two, right before and
 * right after; CPU per operation tells more than a rate when others use the machine.
 */
#include "bench/append_streams.h"
#include "bench/operation_records.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "client/rpc_log.h"
#include "courtroll/v1/log.pb-c.h"
#include "store/key_file.h"
#include "tlog/receipt.h"

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    TIMEOUT_MS = 60 * 1000,
    LIMIT_MS = 700,
    LIMIT_THREADS = 2,
    PROOFS = 64,
    STREAMS_MAX = 64,
};

struct bench {
    struct rpc_client_config to;
    const char *origin, *policy_path, *key_path;
    uint64_t operations, in_flight, per_call;
    bool is_stream, is_vouched;

    struct signer key;
    struct operation_records records;
    struct rpc_log *log;
    uint64_t base;    /* size of the log before */
    uint64_t *places; /* index of each record */
    bool *is_taken;   /* each index, from base */
    size_t next;      /* record to be sent */
    uint64_t *began_us, *took_us;
    size_t answered;               /* calls */
    size_t last_plus[STREAMS_MAX]; /* 1 + last index of each stream */
};

static double clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* -- What the signatures alone would allow -- */

struct limit {
    double one_per_s, two_per_s, cpu_us;
};

struct verifying {
    pthread_t thread;
    const struct bench *bench;
    struct buf message;
    struct ed25519_signature signature;
    size_t count;
    double wall_us, cpu_us;
};

static void *verify_run(void *arg)
{
    struct verifying *verifying = arg;
    const struct ed25519_public *key = &verifying->bench->key.vkey.key;
    double began = clock_us(CLOCK_MONOTONIC), cpu = clock_us(CLOCK_THREAD_CPUTIME_ID);
    do {
        if (!ed25519_verify(key, buf_span(&verifying->message), &verifying->signature)) {
            operation_fail("a signature does not verify");
        }
        verifying->count++;
        verifying->wall_us = clock_us(CLOCK_MONOTONIC) - began;
    } while (verifying->wall_us < LIMIT_MS * 1000);
    verifying->cpu_us = clock_us(CLOCK_THREAD_CPUTIME_ID) - cpu;
    return NULL;
}

/* Verifications a second on `threads` threads, of messages as long as a record's; *cpu_us is that of one. */
static double verify_rate(const struct bench *bench, size_t threads, double *cpu_us)
{
    struct verifying all[LIMIT_THREADS] = { 0 };
    double rate = 0;
    struct err err;
    for (size_t i = 0; i < threads; i++) {
        all[i].bench = bench;
        buf_init(&all[i].message, SIZE_MAX);
        memset(buf_extend(&all[i].message, bench->records.bytes_total / bench->operations), 'x',
               bench->records.bytes_total / bench->operations);
        if (signing_key_sign(bench->key.key, buf_span(&all[i].message), &all[i].signature, &err) !=
                E_OK ||
            pthread_create(&all[i].thread, NULL, verify_run, &all[i]) != 0) {
            operation_fail("the limit could not be measured");
        }
    }
    *cpu_us = 0;
    for (size_t i = 0; i < threads; i++) {
        pthread_join(all[i].thread, NULL);
        buf_clear(&all[i].message);
        rate += (double)all[i].count / all[i].wall_us * 1e6;
        *cpu_us += all[i].cpu_us / (double)all[i].count / (double)threads;
    }
    return rate;
}

static struct limit measure_limit(const struct bench *bench)
{
    struct limit limit;
    double cpu_us;
    limit.one_per_s = verify_rate(bench, 1, &limit.cpu_us);
    limit.two_per_s = verify_rate(bench, LIMIT_THREADS, &cpu_us);
    limit.cpu_us = (limit.cpu_us + cpu_us) / 2;
    return limit;
}

/* -- Answers -- */

static size_t count_of(const struct bench *bench, size_t first)
{
    size_t left = bench->operations - first;
    return left < bench->per_call ? left : bench->per_call;
}

static void take_answer(struct bench *bench, size_t record, uint64_t index, const struct hash *leaf,
                        bool is_duplicate)
{
    if (is_duplicate || !hash_is_equal(leaf, &bench->records.leaves[record])) {
        operation_fail("an answer is for another entry");
    }
    if (index < bench->base || index - bench->base >= bench->operations ||
        bench->is_taken[index - bench->base]) {
        operation_fail("the indices are not dense");
    }
    bench->is_taken[index - bench->base] = true;
    bench->places[record] = index;
}

static void end_call(struct bench *bench, size_t first)
{
    size_t call = first / bench->per_call;
    bench->took_us[call] = (uint64_t)clock_us(CLOCK_MONOTONIC) - bench->began_us[call];
    bench->answered++;
}

static bool take_next(struct bench *bench, size_t *first)
{
    *first = bench->next;
    if (*first == bench->operations) {
        return false;
    }
    bench->next += count_of(bench, *first);
    bench->began_us[*first / bench->per_call] = (uint64_t)clock_us(CLOCK_MONOTONIC);
    return true;
}

/* -- Append: calls in flight on one connection -- */

static void start_call(struct bench *bench)
{
    size_t first;
    if (take_next(bench, &first)) {
        const struct rpc_log_append request = { .entries = &bench->records.entries[first],
                                                .entry_count = count_of(bench, first) };
        rpc_log_append_start(bench->log, &request, TIMEOUT_MS, (void *)(uintptr_t)first);
    }
}

static void on_appended(void *ctx, void *tag, const struct rpc_log_append_reply *reply,
                        const struct err *failure)
{
    struct bench *bench = ctx;
    size_t first = (size_t)(uintptr_t)tag;
    if (failure != NULL) {
        operation_fail(failure->msg);
    }
    if (reply->entry_count != count_of(bench, first)) {
        operation_fail("not as many answers as entries");
    }
    for (size_t i = 0; i < reply->entry_count; i++) {
        const struct rpc_log_appended *entry = &reply->entries[i];
        take_answer(bench, first + i, entry->index, &entry->leaf_hash, entry->is_duplicate);
    }
    end_call(bench, first);
    start_call(bench);
}

static void run_calls(struct bench *bench)
{
    for (uint64_t i = 0; i < bench->in_flight; i++) {
        start_call(bench);
    }
    while (rpc_log_in_flight(bench->log) > 0) {
        rpc_log_append_poll(bench->log, 1000, bench, on_appended);
    }
}

/* -- AppendStream -- */

static bool next_message(void *ctx, struct buf *message, size_t *number)
{
    struct bench *bench = ctx;
    if (!take_next(bench, number)) {
        return false;
    }
    size_t count = count_of(bench, *number);
    ProtobufCBinaryData *entries = mem_calloc(count, sizeof *entries);
    for (size_t i = 0; i < count; i++) {
        struct span entry = bench->records.entries[*number + i];
        entries[i] = (ProtobufCBinaryData){ entry.len, (uint8_t *)(uintptr_t)entry.data };
    }
    Courtroll__V1__AppendRequest request = COURTROLL__V1__APPEND_REQUEST__INIT;
    request.n_entries = count;
    request.entries = entries;
    courtroll__v1__append_request__pack(
        &request, buf_extend(message, courtroll__v1__append_request__get_packed_size(&request)));
    mem_free(entries);
    return true;
}

static void on_reply(void *ctx, size_t stream, size_t first, struct span bytes)
{
    struct bench *bench = ctx;
    Courtroll__V1__AppendReply *reply =
        courtroll__v1__append_reply__unpack(NULL, bytes.len, bytes.data);
    if (reply == NULL || reply->n_entries != count_of(bench, first)) {
        operation_fail("not as many answers as entries");
    }
    for (size_t i = 0; i < reply->n_entries; i++) {
        const Courtroll__V1__Appended *entry = reply->entries[i];
        struct hash leaf;
        if (entry->leaf_hash.len != HASH_BYTES || entry->index + 1 <= bench->last_plus[stream]) {
            operation_fail("a stream is not in order");
        }
        memcpy(leaf.bytes, entry->leaf_hash.data, HASH_BYTES);
        take_answer(bench, first + i, entry->index, &leaf, entry->duplicate);
        bench->last_plus[stream] = entry->index + 1;
    }
    courtroll__v1__append_reply__free_unpacked(reply, NULL);
    end_call(bench, first);
}

static void run_streams(struct bench *bench)
{
    const struct append_streams_load load = { .to = &bench->to,
                                              .stream_count = bench->in_flight,
                                              .ctx = bench,
                                              .next = next_message,
                                              .on_reply = on_reply };
    append_streams_run(&load);
}

/* -- The log, before and after -- */

static struct rpc_log_status status(struct bench *bench)
{
    struct rpc_log_status *status = NEW(struct rpc_log_status);
    struct err err;
    if (rpc_log_get_status(bench->log, TIMEOUT_MS, status, &err) != E_OK) {
        operation_fail(err.msg);
    }
    struct rpc_log_status out = *status;
    mem_free(status);
    return out;
}

/* What was acknowledged is also to be in tiles: its cost belongs to the run. */
static struct rpc_log_status settle(struct bench *bench)
{
    uint64_t size = bench->base + bench->operations;
    for (double until = clock_us(CLOCK_MONOTONIC) + TIMEOUT_MS * 1e3;;) {
        struct rpc_log_status now = status(bench);
        if (now.durable_size != size) {
            operation_fail("the log has not grown by what it acknowledged");
        }
        if (now.published_size == size) {
            return now;
        }
        if (clock_us(CLOCK_MONOTONIC) > until) {
            operation_fail("the log does not publish what it acknowledged");
        }
        usleep(5000);
    }
}

static void check_proof(struct bench *bench, const struct policy *policy, size_t record)
{
    const struct rpc_log_entry entry = { .index = bench->places[record] };
    struct buf bytes = BUF_INIT(PROOF_FILE_BYTES_MAX);
    struct receipt receipt;
    struct policy_verdict verdict;
    struct err err;
    if (rpc_log_get_receipt(bench->log, entry, TIMEOUT_MS, &bytes, &err) != E_OK ||
        receipt_parse(&receipt, buf_span(&bytes), &err) != E_OK) {
        operation_fail(err.msg);
    }
    if (receipt_verify(&receipt, policy, &bench->records.leaves[record], &verdict, &err) != E_OK ||
        !verdict.is_met || receipt.index != bench->places[record]) {
        operation_fail("a receipt does not verify");
    }
    receipt_clear(&receipt);
    buf_clear(&bytes);
}

static void check_proofs(struct bench *bench)
{
    struct buf text = BUF_INIT(POLICY_BYTES_MAX);
    struct policy *policy = NULL;
    struct err err;
    if (file_read(&text, bench->policy_path, &err) != E_OK ||
        policy_parse(&policy, buf_span(&text), &err) != E_OK) {
        operation_fail(err.msg);
    }
    for (size_t i = 0; i < PROOFS; i++) {
        check_proof(bench, policy, bench->operations * i / PROOFS);
    }
    policy_free(policy);
    buf_clear(&text);
}

/* -- The run -- */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void print(struct bench *bench, double seconds, double client_us, double server_us,
                  const struct limit limits[2])
{
    double count = (double)bench->operations, rate = count / seconds;
    double two_per_s = (limits[0].two_per_s + limits[1].two_per_s) / 2;
    double one_per_s = (limits[0].one_per_s + limits[1].one_per_s) / 2;
    double verify_us = (limits[0].cpu_us + limits[1].cpu_us) / 2;
    size_t calls = bench->answered;
    qsort(bench->took_us, calls, sizeof bench->took_us[0], compare);
    printf("{\"way\": \"%s\", \"signature\": \"%s\", \"in_flight\": %" PRIu64
           ", \"entries_per_call\": %" PRIu64 ", \"operations\": %" PRIu64
           ", \"operations_per_s\": %.0f, \"verify_limit_one_core_per_s\": %.0f, "
           "\"verify_limit_per_s\": %.0f, \"of_verify_limit\": %.3f, ",
           bench->is_stream ? "AppendStream" : "Append", bench->is_vouched ? "channel" : "record",
           bench->in_flight, bench->per_call, bench->operations, rate, one_per_s, two_per_s,
           rate / two_per_s);
    printf("\"verify_cpu_us\": %.1f, \"server_cpu_us\": %.1f, \"client_cpu_us\": %.1f, "
           "\"cpu_of_verify\": %.3f, \"p50_ms\": %.1f, \"p99_ms\": %.1f, \"record_bytes\": %.0f, "
           "\"prepare_cpu_us\": %.1f, \"proofs_verified\": %d}\n",
           verify_us, server_us / count, client_us / count,
           bench->is_vouched ? 0 : verify_us * count / (server_us + client_us),
           (double)bench->took_us[calls / 2] / 1e3, (double)bench->took_us[calls * 99 / 100] / 1e3,
           (double)bench->records.bytes_total / count, bench->records.make_cpu_us, PROOFS);
}

static void run(struct bench *bench)
{
    struct limit limits[2];
    struct err err;
    size_t calls = (bench->operations + bench->per_call - 1) / bench->per_call;
    operation_records_make(&bench->records, bench->operations, bench->origin, bench->key.key,
                           bench->is_vouched);
    bench->places = mem_calloc(bench->operations, sizeof bench->places[0]);
    bench->is_taken = mem_calloc(bench->operations, sizeof bench->is_taken[0]);
    bench->began_us = mem_calloc(calls, sizeof bench->began_us[0]);
    bench->took_us = mem_calloc(calls, sizeof bench->took_us[0]);
    if (rpc_log_open(&bench->log, &bench->to, TIMEOUT_MS, &err) != E_OK) {
        operation_fail(err.msg);
    }
    limits[0] = measure_limit(bench);
    struct rpc_log_status before = status(bench);
    bench->base = before.durable_size;
    double began = clock_us(CLOCK_MONOTONIC), cpu = clock_us(CLOCK_PROCESS_CPUTIME_ID);
    if (bench->is_stream) {
        run_streams(bench);
    } else {
        run_calls(bench);
    }
    double seconds = (clock_us(CLOCK_MONOTONIC) - began) / 1e6;
    double client_us = clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    struct rpc_log_status after = settle(bench);
    limits[1] = measure_limit(bench);
    check_proofs(bench);
    print(bench, seconds, client_us, (double)(after.cpu_us - before.cpu_us), limits);
    rpc_log_close(bench->log);
    operation_records_clear(&bench->records);
    mem_free(bench->places);
    mem_free(bench->is_taken);
    mem_free(bench->began_us);
    mem_free(bench->took_us);
}

static uint64_t number(const char *text, uint64_t max)
{
    uint64_t value = 0;
    struct err err;
    if (decimal_parse(&value, span_of_str(text), max, &err) != E_OK || value == 0) {
        operation_fail("an option is not a number, or too large");
    }
    return value;
}

static void read_options(struct bench *bench, int argc, char **argv)
{
    static const struct option options[] = {
        { "log", required_argument, NULL, 'l' },
        { "origin", required_argument, NULL, 'o' },
        { "policy", required_argument, NULL, 'p' },
        { "key", required_argument, NULL, 'k' },
        { "tls-ca", required_argument, NULL, 'a' },
        { "tls-cert", required_argument, NULL, 'c' },
        { "tls-key", required_argument, NULL, 't' },
        { "operations", required_argument, NULL, 'n' },
        { "in-flight", required_argument, NULL, 'f' },
        { "entries-per-call", required_argument, NULL, 'm' },
        { "stream", no_argument, NULL, 's' },
        { "vouched", no_argument, NULL, 'v' },
        { NULL, 0, NULL, 0 },
    };
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'l':
            bench->to.target = optarg;
            break;
        case 'o':
            bench->origin = optarg;
            break;
        case 'p':
            bench->policy_path = optarg;
            break;
        case 'k':
            bench->key_path = optarg;
            break;
        case 'a':
            bench->to.tls_ca_path = optarg;
            break;
        case 'c':
            bench->to.tls_cert_path = optarg;
            break;
        case 't':
            bench->to.tls_key_path = optarg;
            break;
        case 'n':
            bench->operations = number(optarg, 10000000);
            break;
        case 'f':
            bench->in_flight = number(optarg, STREAMS_MAX * 16);
            break;
        case 'm':
            bench->per_call = number(optarg, ENTRIES_PER_CALL_MAX);
            break;
        case 's':
            bench->is_stream = true;
            break;
        case 'v':
            bench->is_vouched = true;
            break;
        default:
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    static struct bench bench = { .operations = 50000, .in_flight = 16, .per_call = 100 };
    struct err err;
    read_options(&bench, argc, argv);
    if (bench.to.target == NULL || bench.origin == NULL || bench.policy_path == NULL ||
        bench.key_path == NULL || bench.to.tls_ca_path == NULL || bench.to.tls_cert_path == NULL ||
        bench.to.tls_key_path == NULL) {
        operation_fail(
            "--log, --origin, --policy, --key, --tls-ca, --tls-cert, --tls-key are needed");
    }
    if (bench.is_stream && bench.in_flight > STREAMS_MAX) {
        operation_fail("too many streams");
    }
    if (key_file_load(&bench.key, bench.key_path, &err) != E_OK) {
        operation_fail(err.msg);
    }
    run(&bench);
    signer_clear(&bench.key);
    return 0;
}
