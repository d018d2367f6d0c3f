#include "logd/http_service.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "client/verify_context.h"
#include "logd/log_metrics.h"
#include "logd/status_page.h"
#include "logd/verify_json.h"
#include "net/html.h"
#include "net/verify_page.h"
#include "store/archive.h"
#include "store/tile_source.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum {
    PIPELINED_MAX = 4, /* one answer may be a bundle of 16 MB */
    UNWANTED_BODIES_BYTES_MAX = 16 * ENTRY_BYTES_MAX
};

#define TEXT          "text/plain; charset=utf-8"
#define CACHE_NONE    "no-cache"
#define CACHE_NEVER   "no-store"
#define CACHE_FOREVER "public, max-age=604800, immutable"

/* A request that a worker answers for: a file is read. */
struct file_read {
    struct http_service *service;
    struct http_exchange *exchange;
    bool is_tile;
    struct tile_path tile;
    char path[ARCHIVE_PATH_MAX]; /* of an archive file, or empty: the first note above `index` */
    uint64_t index;
    struct published_tree *tree;
    struct http_body *body;
    enum err_code rc;
};

/* A POST /add on its way: the sequencer thread gives it back through `added`. */
struct add {
    struct add *next;
    struct http_service *service;
    struct http_exchange *exchange;
    struct submission *submission;
    enum err_code rc;
};

struct http_service {
    struct parts *parts;
    struct http_server *server;
    struct work *file_reads; /* a lane of their own: rounds and receipts do not queue behind them */
    struct log_metrics *metrics;
    struct http_body *page; /* for /verify */
    uv_async_t added_wake;
    _Atomic(struct add *) added; /* a stack */
    void *closed_ctx;
    void (*on_closed)(void *ctx);
};

static void respond_text(struct http_exchange *exchange, int status, const char *text)
{
    struct http_response response = { .status = status,
                                      .content_type = TEXT,
                                      .cache_control = CACHE_NONE,
                                      .text = span_of_str(text) };
    http_respond(exchange, &response);
}

/* -- Checkpoint, tiles, archive -- */

static void get_checkpoint(struct http_service *service, struct http_exchange *exchange)
{
    struct published_tree *tree = published_get(service->parts->published);
    if (tree == NULL) {
        http_respond_error(exchange, E_NOT_FOUND);
        return;
    }
    struct http_response response = {
        .status = 200, .content_type = TEXT, .cache_control = CACHE_NONE, .shared = tree->note
    };
    http_respond(exchange, &response);
    published_tree_release(tree);
}

static void respond_tile(struct http_exchange *exchange, struct http_body *body)
{
    struct http_response response = { .status = 200,
                                      .content_type = "application/octet-stream",
                                      .cache_control = CACHE_FOREVER,
                                      .shared = body };
    http_respond(exchange, &response);
}

static void run_file_read(void *arg)
{
    struct file_read *read = arg;
    struct parts *parts = read->service->parts;
    struct err err;
    if (read->is_tile) {
        read->rc = tile_cache_get(parts->cache, read->tree, &read->tile, &read->body, &err);
        return;
    }
    struct buf bytes = BUF_INIT(ARCHIVE_FILE_MAX);
    read->rc = read->path[0] == 0 ? archive_find(parts->tiles, read->index, &bytes, &err)
                                  : tiles_read(parts->tiles, read->path, &bytes, &err);
    if (read->rc == E_OK) {
        read->body = http_body_take(&bytes);
    }
    buf_clear(&bytes);
}

static void on_file_read(void *arg)
{
    struct file_read *read = arg;
    if (read->rc != E_OK) {
        http_respond_error(read->exchange, read->rc);
    } else if (read->is_tile) {
        respond_tile(read->exchange, read->body);
    } else {
        struct http_response response = {
            .status = 200, .content_type = TEXT, .cache_control = CACHE_NONE, .shared = read->body
        };
        http_respond(read->exchange, &response);
    }
    http_body_release(read->body);
    published_tree_release(read->tree);
    mem_free(read);
}

static struct file_read *file_read_new(struct http_service *service, struct http_exchange *exchange)
{
    struct file_read *read = NEW(struct file_read);
    read->service = service;
    read->exchange = exchange;
    return read;
}

static void start_file_read(struct file_read *read)
{
    work_post_then(read->service->file_reads, read, run_file_read, on_file_read);
}

static void get_tile(struct http_service *service, struct http_exchange *exchange, struct span path)
{
    struct err err;
    struct tile_path tile;
    struct published_tree *tree = published_get(service->parts->published);
    if (tile_path_parse(&tile, path, &err) != E_OK || tree == NULL ||
        tile.width > tile_width(tile.id, tree->checkpoint.size)) {
        published_tree_release(tree);
        http_respond_error(exchange, E_NOT_FOUND);
        return;
    }
    struct http_body *body = tile_cache_peek(service->parts->cache, &tile);
    if (body != NULL) {
        respond_tile(exchange, body);
        http_body_release(body);
        published_tree_release(tree);
        return;
    }
    struct file_read *read = file_read_new(service, exchange);
    read->is_tile = true;
    read->tile = tile;
    read->tree = tree;
    start_file_read(read);
}

/* /archive/YYYY-MM-DD/HH/MM, or /archive/after/INDEX: the earliest note with that entry in its tree. */
static void get_archive(struct http_service *service, struct http_exchange *exchange,
                        struct span path)
{
    struct span rest = path;
    struct err err;
    struct file_read *read = file_read_new(service, exchange);
    bool is_after = span_take_prefix(&rest, span_of_str("archive/after/"));
    bool is_valid = is_after ? decimal_parse(&read->index, rest, SIZE_VALUE_MAX, &err) == E_OK
                             : archive_path_is_valid(path);
    if (!is_valid) {
        mem_free(read);
        http_respond_error(exchange, E_NOT_FOUND);
        return;
    }
    if (!is_after) {
        memcpy(read->path, path.data, path.len); /* a valid path fits, with a NUL */
    }
    start_file_read(read);
}

/* -- POST /add -- */

static void on_added(struct submission *submission, const struct err *err)
{
    struct add *add = submission->ctx;
    struct http_service *service = add->service;
    add->rc = err == NULL ? E_OK : err->code;
    struct add *first = atomic_load(&service->added);
    do {
        add->next = first;
    } while (!atomic_compare_exchange_weak(&service->added, &first, add));
    uv_async_send(&service->added_wake);
}

static void answer_add(struct add *add)
{
    if (add->rc == E_OK) {
        char index[DECIMAL_MAX + 1];
        snprintf(index, sizeof index, "%llu", (unsigned long long)add->submission->indices[0]);
        respond_text(add->exchange, 200, index);
    } else if (add->rc == E_BUSY || add->rc == E_UNAVAILABLE) {
        const struct http_header retry = { "Retry-After", "1" };
        struct http_response response = { .status = 503,
                                          .content_type = TEXT,
                                          .headers = &retry,
                                          .header_count = 1,
                                          .text = span_of_str(err_text(add->rc)) };
        http_respond(add->exchange, &response);
    } else {
        http_respond_error(add->exchange, add->rc);
    }
    submission_free(add->submission);
    mem_free(add);
}

static void on_added_wake(uv_async_t *wake)
{
    struct http_service *service = wake->data;
    struct add *add = atomic_exchange(&service->added, NULL);
    while (add != NULL) {
        struct add *next = add->next;
        answer_add(add);
        add = next;
    }
}

static void post_add(struct http_service *service, struct http_exchange *exchange)
{
    struct span entry = http_exchange_body(exchange);
    struct add *add = NEW(struct add);
    add->service = service;
    add->exchange = exchange;
    add->submission = submission_new(1, entry.len);
    submission_add(add->submission, entry);
    add->submission->on_done = on_added;
    add->submission->ctx = add;
    struct err err;
    if (pool_push(service->parts->pool, add->submission, &err) != E_OK) {
        add->rc = err.code;
        answer_add(add);
    }
}

/* -- How it is doing -- */

static void put_witnesses(struct parts *parts, struct buf *text)
{
    size_t count;
    struct witness_status *witnesses = parts_witnesses(parts, &count);
    for (size_t i = 0; i < count; i++) {
        buf_put_str(text, "witness ");
        ascii_put_escaped(text, span_of_str(witnesses[i].name), WITNESS_NAME_SHOWN_MAX);
        buf_put_str(text, ": ");
        witness_status_put(text, &witnesses[i], (int64_t)time(NULL));
        buf_put_str(text, "\n");
    }
    mem_free(witnesses);
}

static void get_health(struct http_service *service, struct http_exchange *exchange,
                       bool must_admit)
{
    struct status status;
    parts_status(service->parts, &status);
    struct buf text = BUF_INIT(STATUS_PAGE_MAX);
    bool is_ok = must_admit ? status.is_admitting : !status.is_degraded;
    buf_putf(&text, "%s\n", is_ok ? "ok" : must_admit ? "not admitting" : "degraded");
    if (status.reason[0] != 0) {
        buf_put_str(&text, "reason: ");
        ascii_put_escaped(&text, span_of_str(status.reason), STATUS_REASON_MAX);
        buf_put_str(&text, "\n");
    }
    buf_putf(&text, "durable size: %llu\npublished size: %llu\nrollback check: %s\n",
             (unsigned long long)status.durable_size, (unsigned long long)status.published_size,
             service->parts->rollback_check);
    put_witnesses(service->parts, &text);
    /* Degraded is not down: reads are served, and often entries are taken. */
    struct http_response response = { .status = must_admit && !is_ok ? 503 : 200,
                                      .content_type = TEXT,
                                      .cache_control = CACHE_NONE,
                                      .taken = &text };
    http_respond(exchange, &response);
    buf_clear(&text);
}

static void get_metrics(struct http_service *service, struct http_exchange *exchange)
{
    struct buf text = BUF_INIT(METRICS_TEXT_BYTES_MAX);
    struct status status;
    parts_status(service->parts, &status);
    struct http_server_stats http = http_server_stats(service->server);
    log_metrics_put(service->metrics, &text, &status, &http);
    struct http_response response = { .status = 200,
                                      .content_type = METRICS_CONTENT_TYPE,
                                      .cache_control = CACHE_NONE,
                                      .taken = &text };
    http_respond(exchange, &response);
    buf_clear(&text);
}

static void get_status_page(struct http_service *service, struct http_exchange *exchange)
{
    struct status status;
    parts_status(service->parts, &status);
    struct published_tree *tree = published_get(service->parts->published);
    struct buf page = BUF_INIT(STATUS_PAGE_MAX);
    struct status_page content = {
        .origin = signing_origin(&service->parts->signing),
        .status = &status,
        .rollback_check = service->parts->rollback_check,
        .note = tree == NULL ? (struct span){ 0 } : http_body_span(tree->note),
        .now_unix_s = (int64_t)time(NULL),
    };
    struct witness_status *witnesses = parts_witnesses(service->parts, &content.witness_count);
    content.witnesses = witnesses;
    status_page_put(&page, &content);
    mem_free(witnesses);
    published_tree_release(tree);
    const struct http_header policy = { "Content-Security-Policy", HTML_POLICY };
    struct http_response response = { .status = 200,
                                      .content_type = HTML_TYPE,
                                      .cache_control = CACHE_NONE,
                                      .headers = &policy,
                                      .header_count = 1,
                                      .taken = &page };
    http_respond(exchange, &response);
    buf_clear(&page);
}

/* -- For people who verify -- */

static void get_verify_page(struct http_service *service, struct http_exchange *exchange)
{
    struct span tags = { 0 };
    http_exchange_header(exchange, "If-None-Match", &tags);
    struct http_response response = verify_page_response(service->page, tags);
    http_respond(exchange, &response);
}

static void get_verify_json(struct http_service *service, struct http_exchange *exchange)
{
    struct err err;
    struct buf text = BUF_INIT(VERIFY_CONTEXT_BYTES_MAX);
    enum err_code rc = verify_json_put(&text, service->parts, (int64_t)time(NULL), &err);
    struct http_response response = { .status = 200,
                                      .content_type = "application/json",
                                      .cache_control = CACHE_NEVER,
                                      .taken = &text };
    if (rc == E_OK) {
        http_respond(exchange, &response);
    } else {
        http_respond_error(exchange, rc);
    }
    buf_clear(&text);
}

/* -- Dispatch -- */

static void get(struct http_service *service, struct http_exchange *exchange, struct span path)
{
    if (span_is_str(path, "/checkpoint")) {
        get_checkpoint(service, exchange);
    } else if (span_has_prefix(path, span_of_str("/tile/"))) {
        get_tile(service, exchange, span_slice(path, 1, path.len - 1));
    } else if (span_has_prefix(path, span_of_str("/archive/"))) {
        get_archive(service, exchange, span_slice(path, 1, path.len - 1));
    } else if (span_is_str(path, "/healthz")) {
        get_health(service, exchange, false);
    } else if (span_is_str(path, "/readyz")) {
        get_health(service, exchange, true);
    } else if (span_is_str(path, "/metrics")) {
        get_metrics(service, exchange);
    } else if (span_is_str(path, "/")) {
        get_status_page(service, exchange);
    } else if (span_is_str(path, VERIFY_PAGE_PATH)) {
        get_verify_page(service, exchange);
    } else if (span_is_str(path, VERIFY_CONTEXT_PATH)) {
        get_verify_json(service, exchange);
    } else {
        http_respond_error(exchange, E_NOT_FOUND);
    }
}

static void on_request(void *ctx, struct http_exchange *exchange)
{
    struct http_service *service = ctx;
    struct span path = http_exchange_path(exchange);
    enum http_method method = http_exchange_method(exchange);
    bool is_add = span_is_str(path, "/add") && service->parts->has_http_add;
    if (is_add && method == HTTP_METHOD_POST) {
        post_add(service, exchange);
    } else if (is_add) {
        http_respond_not_allowed(exchange, "POST");
    } else if (method == HTTP_METHOD_GET || method == HTTP_METHOD_HEAD) {
        get(service, exchange, path);
    } else {
        http_respond_not_allowed(exchange, "GET, HEAD");
    }
}

struct http_service *http_service_new(uv_loop_t *loop, struct parts *parts)
{
    struct http_service *service = NEW(struct http_service);
    service->parts = parts;
    service->file_reads = work_new(loop, HTTP_SERVICE_WORKERS);
    service->metrics = log_metrics_new(parts);
    service->page = verify_page_body();
    struct http_server_options options = http_server_options_default();
    options.body_bytes_max = ENTRY_BYTES_MAX;
    options.pipelined_max = PIPELINED_MAX;
    if (!parts->has_http_add) {
        /* Read over, so that the answer is 405 and not 413; a few at a time will do. */
        options.bodies_bytes_max = UNWANTED_BODIES_BYTES_MAX;
    }
    service->server = http_server_new(loop, &options, service, on_request);
    int rc = uv_async_init(loop, &service->added_wake, on_added_wake);
    assert(rc == 0);
    service->added_wake.data = service;
    return service;
}

enum err_code http_service_listen(struct http_service *service,
                                  const struct listen_settings *settings, struct buf *text,
                                  struct err *err)
{
    return listen_http(settings, service->server, text, err);
}

static void on_wake_closed(uv_handle_t *handle)
{
    struct http_service *service = handle->data;
    void *ctx = service->closed_ctx;
    void (*on_closed)(void *) = service->on_closed;
    log_metrics_free(service->metrics);
    http_body_release(service->page);
    mem_free(service);
    on_closed(ctx);
}

void http_service_end(struct http_service *service, uint32_t grace_ms, void *ctx,
                      void (*on_ended)(void *ctx))
{
    http_server_close(service->server, grace_ms, ctx, on_ended);
}

static void on_file_reads_closed(void *ctx)
{
    struct http_service *service = ctx;
    uv_close((uv_handle_t *)&service->added_wake, on_wake_closed);
}

void http_service_close(struct http_service *service, void *ctx, void (*on_closed)(void *ctx))
{
    service->closed_ctx = ctx;
    service->on_closed = on_closed;
    work_close(service->file_reads, service, on_file_reads_closed);
}
