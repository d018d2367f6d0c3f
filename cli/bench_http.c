/* bench_http.c -- the load over HTTP: POST /add, one entry each, a fixed number in flight. */
#include "cli/bench_run.h"
#include "cli/http_add.h"

struct load {
    struct bench_run *run;
    uv_loop_t loop;
    struct http_client *client;
    uint64_t in_flight;
};

static void on_added(void *ctx, uint64_t index, const struct err *failure);

static void call_start(struct load *load, struct bench_call *call)
{
    bench_call_begin(load->run, call);
    load->in_flight++;
    http_add_start(load->client, load->run->options->url, load->run->entries[0], call, on_added);
}

static void on_added(void *ctx, uint64_t index, const struct err *failure)
{
    struct bench_call *call = ctx;
    struct bench_run *run = call->run;
    struct load *load = run->load;
    struct err err;
    uint64_t last = UINT64_MAX;
    load->in_flight--;
    if (failure == NULL && bench_check(run, call->first, index, &last, NULL, &err) != E_OK) {
        failure = &err;
    }
    bench_call_end(run, call, failure);
    if (!bench_run_is_over(run)) {
        call_start(load, call);
    }
}

static void on_closed(void *ctx)
{
    (void)ctx;
}

enum err_code bench_http(struct bench_run *run, struct err *err)
{
    struct load load = { .run = run };
    int rc = uv_loop_init(&load.loop);
    if (rc != 0) {
        return err_set(err, E_IO, "event loop: %s", uv_strerror(rc));
    }
    const struct http_client_options options = {
        .ca_file = run->options->to.tls_ca_path,
        .connections_max = (uint32_t)run->options->in_flight,
    };
    load.client = http_client_new(&load.loop, &options);
    run->load = &load;
    bench_run_begin(run);
    for (uint64_t i = 0; i < run->options->in_flight; i++) {
        call_start(&load, &run->calls[i]);
    }
    while (load.in_flight > 0) {
        uv_run(&load.loop, UV_RUN_ONCE);
    }
    bench_run_end(run);
    http_client_close(load.client, NULL, on_closed);
    uv_run(&load.loop, UV_RUN_DEFAULT);
    uv_loop_close(&load.loop);
    return E_OK;
}
