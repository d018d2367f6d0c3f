/* bench_rpc.c -- the load over gRPC: a fixed number of Append calls in flight on one connection. */
#include "cli/bench_run.h"
#include "client/rpc_log.h"

#include <unistd.h>

enum {
    CONNECT_TIMEOUT_MS = 10 * 1000,
    SETTLE_MS = 5000, /* for the server to write what it has acknowledged into tiles */
};

struct load {
    struct bench_run *run;
    struct rpc_log *log;
};

static void call_start(struct load *load, struct bench_call *call)
{
    struct bench_run *run = load->run;
    bench_call_begin(run, call);
    const struct rpc_log_append request = { .entries = run->entries,
                                            .entry_count = run->options->entries_per_call,
                                            .wants_witnessed = run->options->is_witnessed };
    rpc_log_append_start(load->log, &request, BENCH_TIMEOUT_MS, call);
}

static enum err_code check_reply(struct bench_run *run, const struct bench_call *call,
                                 const struct rpc_log_append_reply *reply, struct err *err)
{
    if (reply->entry_count != run->options->entries_per_call) {
        return err_set(err, E_BAD_PROOF, "%zu answers for %llu entries", reply->entry_count,
                       (unsigned long long)run->options->entries_per_call);
    }
    if (run->options->is_witnessed && !reply->is_witnessed) {
        return err_set(err, E_TIMEOUT, "not witnessed in time");
    }
    uint64_t last = UINT64_MAX;
    for (size_t i = 0; i < reply->entry_count; i++) {
        const struct rpc_log_appended *entry = &reply->entries[i];
        if (entry->is_duplicate) {
            return err_set(err, E_BAD_PROOF, "a new entry was called a duplicate");
        }
        if (bench_check(run, call->first + i, entry->index, &last, &entry->leaf_hash, err) !=
            E_OK) {
            return err->code;
        }
        if (run->options->is_witnessed &&
            bench_check_receipt(run, entry->proof, entry->index, &entry->leaf_hash, err) != E_OK) {
            return err->code;
        }
    }
    return E_OK;
}

static void on_appended(void *ctx, void *tag, const struct rpc_log_append_reply *reply,
                        const struct err *failure)
{
    struct load *load = ctx;
    struct bench_call *call = tag;
    struct err err;
    if (failure == NULL && check_reply(load->run, call, reply, &err) != E_OK) {
        failure = &err;
    }
    bench_call_end(load->run, call, failure);
    if (load->run->options->rate == 0 && !bench_run_is_over(load->run)) {
        call_start(load, call);
    }
}

/* Starts a call for each answer, so that as many are in flight all the time. */
static void load_in_flight(struct load *load)
{
    for (uint64_t i = 0; i < load->run->options->in_flight; i++) {
        call_start(load, &load->run->calls[i]);
    }
}

/* Starts calls when they are due, whatever the answers: a log that stalls meets the calls that would
 * have come in the meantime. A wait ends by an answer, too, if it is long enough to be worth a poll. */
static void load_at_rate(struct load *load)
{
    for (;;) {
        uint64_t wait_ns = 0;
        struct bench_call *call = NULL;
        while ((call = bench_call_due(load->run, output_now_ns(), &wait_ns)) != NULL) {
            call_start(load, call);
        }
        if (wait_ns == 0) {
            return;
        }
        bool is_poll = wait_ns >= 1000000 && rpc_log_in_flight(load->log) > 0;
        if (!is_poll) {
            usleep((useconds_t)(wait_ns / 1000 < 1000000 ? wait_ns / 1000 : 999999));
        }
        rpc_log_append_poll(load->log, is_poll ? (uint32_t)(wait_ns / 1000000) : 0, load,
                            on_appended);
    }
}

/* Waits until what was acknowledged is in tiles too: its cost belongs to the run. */
static enum err_code settle(struct rpc_log *log, struct rpc_log_status *status, struct err *err)
{
    for (int ms = 0;; ms += 50) {
        if (rpc_log_get_status(log, BENCH_TIMEOUT_MS, status, err) != E_OK) {
            return err->code;
        }
        if (status->integrated_size >= status->durable_size || ms >= SETTLE_MS) {
            return E_OK;
        }
        usleep(50 * 1000);
    }
}

static void compare(struct bench_run *run, const struct rpc_log_status *before,
                    const struct rpc_log_status *after)
{
    run->server_cpu_us = (double)(after->cpu_us - before->cpu_us);
    run->bytes_written = (double)(after->bytes_written - before->bytes_written);
    run->bytes_logged = (double)(after->bytes_logged - before->bytes_logged);
    run->rss_bytes = (double)after->rss_anon_bytes;
}

enum err_code bench_rpc(struct bench_run *run, struct err *err)
{
    struct load load = { .run = run };
    if (rpc_log_open(&load.log, &run->options->to, CONNECT_TIMEOUT_MS, err) != E_OK) {
        return err->code;
    }
    struct rpc_log_status before, after;
    struct err ignored;
    bool has_status = rpc_log_get_status(load.log, BENCH_TIMEOUT_MS, &before, &ignored) == E_OK;
    if (has_status) {
        run->index_base = before.durable_size;
        run->has_base = true;
    }
    bench_run_begin(run);
    if (run->options->rate > 0) {
        load_at_rate(&load);
    } else {
        load_in_flight(&load);
    }
    while (rpc_log_in_flight(load.log) > 0) {
        rpc_log_append_poll(load.log, 1000, &load, on_appended);
    }
    bench_run_end(run);
    if (has_status && settle(load.log, &after, &ignored) == E_OK) {
        compare(run, &before, &after);
    }
    rpc_log_close(load.log);
    return E_OK;
}
