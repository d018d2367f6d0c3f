/* bench_scan -- how fast a monitor hashes a log: every entry, every node, each tile compared.
 *
 *     bench_scan (--dir DIR | --url URL) [--threads N] [--no-tiles]
 *
 * The checkpoint is taken as it is, unverified; the root of what was hashed is compared with it. Beside
 * the rate stands what SHA-256 alone reaches on all cores of this machine, in the same run: a leaf of
 * 300 bytes and a node for each entry, out of memory. One JSON object. Exit 1 when the roots differ.
 */
#include "base/alloc.h"
#include "base/ascii.h"
#include "base/metrics.h"
#include "client/log_reader.h"
#include "monitor/scan.h"
#include "tlog/checkpoint.h"

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    HTTP_THREADS = 8, /* they wait for the network more than they hash */
    CORES_MAX = 256,
    LEAF_BYTES = 301,
    NODE_BYTES = 65,
    LIMIT_MS = 1000,
    SAMPLE_MS = 10,
};

struct bench {
    struct log_address address;
    unsigned threads;
    bool is_without_tiles;
    struct checkpoint checkpoint;
    uint64_t bad_tiles;
    atomic_bool is_over; /* the sampler ends */
    uint64_t rss_anon_bytes_max;
};

static void fail(const char *what)
{
    fprintf(stderr, "bench_scan: %s\n", what);
    exit(3);
}

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static unsigned core_count(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : (cores > CORES_MAX ? CORES_MAX : (unsigned)cores);
}

/* -- what SHA-256 alone reaches -- */

static void *hash_only(void *ctx)
{
    uint64_t *entries = ctx;
    uint8_t bytes[64 * LEAF_BYTES]; /* stays in the cache */
    memset(bytes, 'x', sizeof bytes);
    uint64_t end_us = now_us() + (uint64_t)LIMIT_MS * 1000;
    while (now_us() < end_us) {
        for (size_t i = 0; i < 64; i++, ++*entries) {
            struct hash leaf = sha256(span_of(bytes + i * LEAF_BYTES, LEAF_BYTES));
            struct hash node = sha256(span_of(bytes + i * LEAF_BYTES, NODE_BYTES));
            bytes[i] = leaf.bytes[0] ^ node.bytes[0]; /* needed */
        }
    }
    return NULL;
}

static double sha256_limit(void)
{
    pthread_t threads[CORES_MAX];
    uint64_t counts[CORES_MAX] = { 0 };
    uint64_t entries = 0;
    unsigned cores = core_count();
    uint64_t began_us = now_us();
    for (unsigned i = 0; i < cores; i++) {
        if (pthread_create(&threads[i], NULL, hash_only, &counts[i]) != 0) {
            fail("no thread could be made");
        }
    }
    for (unsigned i = 0; i < cores; i++) {
        pthread_join(threads[i], NULL);
        entries += counts[i];
    }
    return (double)entries * 1e6 / (double)(now_us() - began_us);
}

/* -- the scan -- */

static enum err_code open_reader(void *ctx, struct log_reader **out, struct err *err)
{
    return log_reader_open(out, ctx, err);
}

static void read_checkpoint(struct bench *bench)
{
    struct log_reader *reader = NULL;
    struct buf bytes = BUF_INIT(NOTE_BYTES_MAX);
    struct note note;
    struct err err;
    enum err_code rc = log_reader_open(&reader, &bench->address, &err);
    if (rc == E_OK) {
        rc = log_reader_checkpoint(reader, &bytes, &err);
    }
    if (rc == E_OK) {
        rc = note_parse(&note, buf_span(&bytes), &err);
    }
    if (rc != E_OK || checkpoint_parse(&bench->checkpoint, note.text, &err) != E_OK) {
        fail(err.msg);
    }
    if (bench->checkpoint.size == 0) {
        fail("the log is empty");
    }
    note_clear(&note);
    buf_clear(&bytes);
    log_reader_close(reader);
}

static void on_bad_tile(void *ctx, const struct scan_bad_tile *bad)
{
    struct bench *bench = ctx;
    if (bench->bad_tiles++ < 10) {
        fprintf(stderr, "bench_scan: bad tile: %s\n", bad->detail);
    }
}

static void *sample_memory(void *ctx)
{
    struct bench *bench = ctx;
    while (!atomic_load(&bench->is_over)) {
        uint64_t now = metrics_process().rss_anon_bytes;
        bench->rss_anon_bytes_max =
            now > bench->rss_anon_bytes_max ? now : bench->rss_anon_bytes_max;
        nanosleep(&(struct timespec){ 0, SAMPLE_MS * 1000000L }, NULL);
    }
    return NULL;
}

static struct scan_report scan(struct bench *bench)
{
    struct compact_range from;
    compact_range_init(&from);
    struct scan_options options = { .source = { &bench->address, open_reader },
                                    .threads = bench->threads,
                                    .from = &from,
                                    .to = bench->checkpoint.size,
                                    .ctx = bench,
                                    .on_bad_tile = bench->is_without_tiles ? NULL : on_bad_tile };
    struct scan_report report;
    struct err err;
    if (scan_run(&report, &options, &err) != E_OK) {
        fail(err.msg);
    }
    return report;
}

static bool run(struct bench *bench)
{
    pthread_t sampler;
    double limit = sha256_limit();
    if (pthread_create(&sampler, NULL, sample_memory, bench) != 0) {
        fail("no thread could be made");
    }
    uint64_t cpu_us = metrics_process().cpu_us;
    uint64_t began_us = now_us();
    struct scan_report report = scan(bench);
    double seconds = (double)(now_us() - began_us) / 1e6;
    cpu_us = metrics_process().cpu_us - cpu_us;
    atomic_store(&bench->is_over, true);
    pthread_join(sampler, NULL);
    struct hash root = compact_range_root(&report.range);
    bool is_equal = hash_is_equal(&root, &bench->checkpoint.root);
    double rate = (double)report.entries / seconds;
    printf("{\"entries_per_s\": %.0f, \"entries\": %ju, \"seconds\": %.3f, "
           "\"cpu_us_per_entry\": %.3f, \"rss_anon_bytes\": %ju, \"bytes\": %ju, \"tiles\": %ju, "
           "\"bad_tiles\": %ju, \"root_equal\": %s, \"threads\": %u, "
           "\"sha256_limit_entries_per_s\": %.0f, \"of_sha256_limit\": %.2f}\n",
           rate, (uintmax_t)report.entries, seconds, (double)cpu_us / (double)report.entries,
           (uintmax_t)bench->rss_anon_bytes_max, (uintmax_t)report.bytes, (uintmax_t)report.tiles,
           (uintmax_t)bench->bad_tiles, is_equal ? "true" : "false", bench->threads, limit,
           rate / limit);
    return is_equal;
}

/* -- the command line -- */

static void usage(void)
{
    fprintf(stderr, "usage: bench_scan (--dir DIR | --url URL) [--threads N] [--no-tiles]\n");
    exit(2);
}

static void set_address(struct bench *bench, const char *prefix, const char *text)
{
    struct buf address = BUF_INIT(LOG_ADDRESS_MAX + 64);
    struct err err;
    if (strlen(text) > LOG_ADDRESS_MAX) {
        usage();
    }
    buf_put_str(&address, prefix);
    buf_put_str(&address, text);
    if (log_address_parse(&bench->address, buf_c_str(&address), &err) != E_OK) {
        fail(err.msg);
    }
    buf_clear(&address);
}

static unsigned parse_threads(const char *text)
{
    uint64_t count = 0;
    struct err err;
    if (decimal_parse(&count, span_of_str(text), SCAN_THREADS_MAX, &err) != E_OK || count == 0) {
        usage();
    }
    return (unsigned)count;
}

int main(int argc, char **argv)
{
    static const struct option options[] = { { "dir", required_argument, NULL, 'd' },
                                             { "url", required_argument, NULL, 'u' },
                                             { "threads", required_argument, NULL, 't' },
                                             { "no-tiles", no_argument, NULL, 'n' },
                                             { NULL, 0, NULL, 0 } };
    struct bench bench = { .threads = 0 };
    unsigned addresses = 0;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'd' || c == 'u') {
            set_address(&bench, c == 'd' ? "file:" : "", optarg);
            addresses++;
        } else if (c == 't') {
            bench.threads = parse_threads(optarg);
        } else if (c == 'n') {
            bench.is_without_tiles = true;
        } else {
            usage();
        }
    }
    if (addresses != 1 || optind != argc) {
        usage();
    }
    if (bench.threads == 0) {
        bool is_directory = bench.address.kind == LOG_ADDRESS_DIRECTORY;
        bench.threads = is_directory ? core_count() : HTTP_THREADS;
        bench.threads = bench.threads < SCAN_THREADS_MAX ? bench.threads : SCAN_THREADS_MAX;
    }
    read_checkpoint(&bench);
    return run(&bench) ? 0 : 1;
}
