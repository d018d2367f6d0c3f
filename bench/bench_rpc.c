/* bench_rpc -- what one unary call costs, with nothing behind it: server and client in one process
 * over loopback, answers given by the gRPC thread or, a batch at a time, by another thread, as the
 * sequencer does after a commit.
 *
 *     bench_rpc [-n IN_FLIGHT] [-b REQUEST_BYTES] [-s SECONDS] [-c COMMIT_US] [-u] [-i]
 *
 * -i answers inline; otherwise COMMIT_US is how long each batch takes (0: as fast as it goes).
 * -u uses a Unix socket. CPU is per call: of the client's thread, and of the rest of the process.
 */
#include "base/ascii.h"
#include "net/rpc_client.h"
#include "net/rpc_server.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    HELD_MAX = 65536,
    REPLY_BYTES = 48, /* an AppendReply with one entry */
};

#define ECHO "/bench.Echo/Call"

struct held {
    pthread_mutex_t lock;
    pthread_cond_t news;
    struct rpc_call *calls[HELD_MAX];
    size_t count;
    bool is_inline;
    bool is_over;
    unsigned commit_us;
    size_t batches;
};

static const uint8_t reply_bytes[REPLY_BYTES];

static void on_call(void *ctx, struct rpc_call *call, struct span message)
{
    struct held *held = ctx;
    (void)message;
    if (held->is_inline) {
        rpc_reply(call, SPAN_OF_ARRAY(reply_bytes));
        return;
    }
    pthread_mutex_lock(&held->lock);
    held->calls[held->count++] = call;
    if (held->count == 1) {
        pthread_cond_signal(&held->news);
    }
    pthread_mutex_unlock(&held->lock);
}

static void *answer_run(void *arg)
{
    struct held *held = arg;
    static struct rpc_call *batch[HELD_MAX];
    for (;;) {
        pthread_mutex_lock(&held->lock);
        while (held->count == 0 && !held->is_over) {
            pthread_cond_wait(&held->news, &held->lock);
        }
        size_t count = held->count;
        memcpy(batch, held->calls, count * sizeof batch[0]);
        held->count = 0;
        bool is_over = held->is_over;
        pthread_mutex_unlock(&held->lock);
        if (count == 0 && is_over) {
            return NULL;
        }
        if (held->commit_us > 0) {
            usleep(held->commit_us);
        }
        for (size_t i = 0; i < count; i++) {
            rpc_reply(batch[i], SPAN_OF_ARRAY(reply_bytes));
        }
        held->batches++;
    }
}

static double seconds_of(struct timeval tv)
{
    return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static double cpu_seconds(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

static double now_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct load {
    struct rpc_client *client;
    struct span request;
    double until;
    size_t calls;
    size_t errors;
};

static void on_answer(void *ctx, void *tag, struct span reply, const struct err *status)
{
    struct load *load = ctx;
    (void)tag;
    load->calls++;
    if (status != NULL || reply.len != REPLY_BYTES) {
        load->errors++;
    }
    if (now_seconds() < load->until) {
        rpc_unary_start(load->client, ECHO, load->request, 10000, NULL);
    }
}

static void run(struct load *load, size_t in_flight, double seconds, const struct held *held)
{
    double start = now_seconds();
    double client_cpu = cpu_seconds(RUSAGE_THREAD);
    double all_cpu = cpu_seconds(RUSAGE_SELF);
    size_t batches = held->batches;
    load->until = start + seconds;
    load->calls = 0;
    for (size_t i = 0; i < in_flight; i++) {
        rpc_unary_start(load->client, ECHO, load->request, 10000, NULL);
    }
    while (rpc_client_in_flight(load->client) > 0) {
        rpc_client_poll(load->client, 1000, load, on_answer);
    }
    double took = now_seconds() - start;
    client_cpu = cpu_seconds(RUSAGE_THREAD) - client_cpu;
    all_cpu = cpu_seconds(RUSAGE_SELF) - all_cpu;
    double calls = (double)load->calls;
    batches = held->batches - batches;
    printf("calls_per_s=%.0f client_cpu_us=%.2f server_cpu_us=%.2f cores=%.2f errors=%zu "
           "calls_per_batch=%.1f\n",
           calls / took, client_cpu / calls * 1e6, (all_cpu - client_cpu) / calls * 1e6,
           all_cpu / took, load->errors, batches > 0 ? calls / (double)batches : 0);
}

/* The option's number, as getopt left it. */
static bool number(uint64_t *out)
{
    struct err err;
    return decimal_parse(out, span_of_str(optarg), 1000000, &err) == E_OK;
}

int main(int argc, char **argv)
{
    uint64_t in_flight = 256, request_bytes = 310, seconds = 3, commit_us = 0;
    bool is_unix = false;
    static struct held held = { .lock = PTHREAD_MUTEX_INITIALIZER,
                                .news = PTHREAD_COND_INITIALIZER };
    int option;
    while ((option = getopt(argc, argv, "n:b:s:c:ui")) != -1) {
        bool is_good = true;
        switch (option) {
        case 'n':
            is_good = number(&in_flight);
            break;
        case 'b':
            is_good = number(&request_bytes);
            break;
        case 's':
            is_good = number(&seconds);
            break;
        case 'c':
            is_good = number(&commit_us);
            break;
        case 'u':
            is_unix = true;
            break;
        case 'i':
            held.is_inline = true;
            break;
        default:
            is_good = false;
        }
        if (!is_good) {
            fprintf(stderr, "usage: bench_rpc [-n IN_FLIGHT] [-b REQUEST_BYTES] [-s SECONDS] "
                            "[-c COMMIT_US] [-u] [-i]\n");
            return 2;
        }
    }
    held.commit_us = (unsigned)commit_us;
    struct rpc_method echo = { .path = ECHO, .kind = RPC_UNARY, .ctx = &held, .on_call = on_call };
    struct rpc_server_config config = { .listen = { is_unix ? "unix:bench_rpc.sock"
                                                            : "127.0.0.1:0" },
                                        .listen_count = 1,
                                        .methods = &echo,
                                        .method_count = 1 };
    struct rpc_server *server = NULL;
    struct err err;
    struct load load = { 0 };
    pthread_t answerer;
    if (rpc_server_start(&server, &config, &err) != E_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return 3;
    }
    struct rpc_client_config to = { .target = rpc_server_address(server, 0) };
    if (rpc_client_open(&load.client, &to, &err) != E_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return 3;
    }
    uint8_t *request = calloc(1, request_bytes + 1);
    load.request = span_of(request, request_bytes);
    pthread_create(&answerer, NULL, answer_run, &held);
    run(&load, in_flight, 0.3, &held); /* warm up */
    run(&load, in_flight, (double)seconds, &held);
    rpc_client_close(load.client);
    rpc_server_stop(server, 1000);
    pthread_mutex_lock(&held.lock);
    held.is_over = true;
    pthread_cond_signal(&held.news);
    pthread_mutex_unlock(&held.lock);
    pthread_join(answerer, NULL);
    free(request);
    return load.errors > 0;
}
