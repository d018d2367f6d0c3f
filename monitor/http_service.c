#include "monitor/http_service.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/metrics.h"
#include "client/verify_context.h"
#include "evidence/evidence.h"
#include "monitor/alert_text.h"
#include "monitor/clock.h"
#include "monitor/monitor_metrics.h"
#include "monitor/status_page.h"
#include "monitor/verify_json.h"
#include "net/html.h"
#include "net/verify_page.h"
#include "net/work.h"

#include <stdio.h>
#include <time.h>

enum {
    PIPELINED_MAX = 16,
    RESOLVED_MAX = 500, /* of GET /alerts, beside all that are open */
    ALERTS_BYTES_MAX = 16 * 1024 * 1024,
    HEALTH_BYTES_MAX = 4 * 512 + 16,
    READS_MAX = 64, /* pages and lists being made: each may take megabytes */
    HEADERS_MAX = 4,
    FILE_NAME_HEX = 16,
};

#define TEXT        "text/plain; charset=utf-8"
#define CACHE_NONE  "no-cache"
#define CACHE_NEVER "no-store"
/* A tile never changes, and was checked. */
#define CACHE_FOREVER "public, max-age=604800, immutable"
/* A file is named by its hash: it never changes. */
#define CACHE_LONG "private, max-age=86400, immutable"

struct monitor_http {
    struct monitor_parts *parts;
    struct relay *relay;
    struct http_body *page; /* for /verify */
    struct http_server *server;
    size_t reads; /* under way */
    void *closed_ctx;
    void (*on_closed)(void *ctx);
};

/* A GET that a worker answers for: book and store are read there. */
struct read {
    struct monitor_http *http;
    struct http_exchange *exchange;
    enum err_code (*run)(struct read *read, struct err *err); /* fills what is below */
    struct hash id;
    struct http_server_stats stats;
    int status;
    const char *type;
    const char *cache;
    bool is_page;
    char disposition[64]; /* of a file to be kept; or "" */
    struct buf body;
    enum err_code rc;
};

static int64_t now_s(void)
{
    return (int64_t)time(NULL);
}

static void respond_text(struct http_exchange *exchange, int status, const char *text)
{
    const struct http_header headers[] = { { "X-Content-Type-Options", "nosniff" },
                                           { "Retry-After", status == 429 ? "10" : "1" } };
    struct http_response response = { .status = status,
                                      .content_type = TEXT,
                                      .cache_control = CACHE_NONE,
                                      .headers = headers,
                                      .header_count = status == 503 || status == 429 ? 2 : 1,
                                      .text = span_of_str(text) };
    http_respond(exchange, &response);
}

static void respond_error(struct http_exchange *exchange, enum err_code code)
{
    char text[128];
    snprintf(text, sizeof text, "%s\n", err_text(code));
    respond_text(exchange, err_http_status(code), text);
}

/* -- What a worker reads -- */

static enum err_code run_page(struct read *read, struct err *err)
{
    (void)err;
    read->type = HTML_TYPE;
    read->is_page = true;
    buf_init(&read->body, STATUS_PAGE_BYTES_MAX);
    monitor_page_put(&read->body, read->http->parts, now_s());
    return E_OK;
}

/* `with_resolved`: only those, else only the others. */
static void put_alerts(struct read *read, bool with_resolved)
{
    struct alert *alerts = NULL;
    size_t count = alert_book_list(read->http->parts->alerts, with_resolved,
                                   with_resolved ? RESOLVED_MAX : SIZE_MAX, &alerts);
    for (size_t i = 0; i < count && buf_room(&read->body) > ALERT_TEXT_BYTES_MAX + 8; i++) {
        if (with_resolved == (alerts[i].state == ALERT_RESOLVED)) {
            buf_put_str(&read->body, read->body.len == 1 ? "\n" : ",\n");
            alert_text_put_json(&read->body, &alerts[i]);
        }
    }
    mem_free(alerts);
}

/* Those that are open come first, so that resolved ones never push them out; what does not fit is left out. */
static enum err_code run_alerts(struct read *read, struct err *err)
{
    (void)err;
    read->type = "application/json";
    buf_init(&read->body, ALERTS_BYTES_MAX);
    buf_put_str(&read->body, "[");
    put_alerts(read, false);
    put_alerts(read, true);
    buf_put_str(&read->body, "\n]\n");
    return E_OK;
}

/* The newest note that was verified, as a witness shows what it cosigned: so that a monitor is a vantage, and a
 * peer that a restored witness can ask. */
static enum err_code run_checkpoint(struct read *read, struct err *err)
{
    const struct monitor_parts *parts = read->http->parts;
    read->type = TEXT;
    buf_init(&read->body, NOTE_BYTES_MAX);
    for (size_t i = 0; i < parts->log_count; i++) {
        struct held_tree held;
        if (!hash_is_equal(watched_log_origin_hash(parts->logs[i]), &read->id)) {
            continue;
        }
        watched_log_held(parts->logs[i], &held);
        enum err_code rc = held.is_there && held.note.len > 0
                               ? buf_append(&read->body, buf_span(&held.note), err)
                               : err_set(err, E_NOT_FOUND, "nothing is verified yet");
        held_tree_clear(&held);
        return rc;
    }
    return err_set(err, E_NOT_FOUND, "no such log");
}

static enum err_code run_evidence(struct read *read, struct err *err)
{
    struct buf name = BUF_INIT(2 * HASH_BYTES + 1);
    hex_put(&name, hash_span(&read->id));
    snprintf(read->disposition, sizeof read->disposition,
             "attachment; filename=\"evidence-%.*s.txt\"", FILE_NAME_HEX, buf_c_str(&name));
    buf_clear(&name);
    read->type = TEXT;
    read->cache = CACHE_LONG;
    buf_init(&read->body, EVIDENCE_BYTES_MAX);
    return alert_book_evidence(read->http->parts->alerts, &read->id, &read->body, err);
}

static enum err_code run_metrics(struct read *read, struct err *err)
{
    (void)err;
    read->type = METRICS_CONTENT_TYPE;
    buf_init(&read->body, MONITOR_METRICS_BYTES_MAX);
    monitor_metrics_put(read->http->parts->metrics, read->http->parts, &read->stats, now_s(),
                        &read->body);
    return E_OK;
}

static enum err_code run_health(struct read *read, struct err *err)
{
    (void)err;
    struct monitor_health health;
    monitor_parts_health(read->http->parts, &health);
    read->type = TEXT;
    read->status = health.is_well ? 200 : 503;
    buf_init(&read->body, HEALTH_BYTES_MAX);
    buf_put_str(&read->body, health.is_well ? "ok" : health.reason);
    buf_put_str(&read->body, "\n");
    return E_OK;
}

static enum err_code run_verify_json(struct read *read, struct err *err)
{
    read->type = "application/json";
    read->cache = CACHE_NEVER;
    buf_init(&read->body, VERIFY_CONTEXT_BYTES_MAX);
    return verify_json_put(&read->body, read->http->parts, now_s(), err);
}

/* -- GET -- */

static void run_read(void *arg)
{
    struct read *read = arg;
    struct err err;
    read->status = 200;
    read->cache = CACHE_NONE;
    read->rc = read->run(read, &err);
}

static void on_read(void *arg)
{
    struct read *read = arg;
    struct http_header headers[HEADERS_MAX] = { { "X-Content-Type-Options", "nosniff" } };
    size_t count = 1;
    if (read->is_page) {
        headers[count++] = (struct http_header){ "Content-Security-Policy", HTML_POLICY };
        headers[count++] = (struct http_header){ "Referrer-Policy", "no-referrer" };
    }
    if (read->disposition[0] != 0) {
        headers[count++] = (struct http_header){ "Content-Disposition", read->disposition };
    }
    struct http_response response = { .status = read->status,
                                      .content_type = read->type,
                                      .cache_control = read->cache,
                                      .headers = headers,
                                      .header_count = count,
                                      .taken = &read->body };
    if (read->rc == E_OK) {
        http_respond(read->exchange, &response);
    } else {
        respond_error(read->exchange, read->rc);
    }
    read->http->reads--;
    buf_clear(&read->body);
    mem_free(read);
}

static struct read *read_new(struct monitor_http *http, struct http_exchange *exchange,
                             enum err_code (*run)(struct read *read, struct err *err))
{
    struct read *read = NEW(struct read);
    read->http = http;
    read->exchange = exchange;
    read->run = run;
    read->stats = http_server_stats(http->server);
    return read;
}

/* 64 lower-case hex digits, and nothing after. */
static bool parse_hash(struct hash *out, struct span text)
{
    struct err err;
    struct buf again = BUF_INIT(2 * HASH_BYTES);
    if (text.len != 2 * HASH_BYTES ||
        hex_decode(out->bytes, sizeof out->bytes, text, &err) != E_OK) {
        return false;
    }
    hex_put(&again, hash_span(out));
    bool is_lower = span_is_equal(buf_span(&again), text);
    buf_clear(&again);
    return is_lower;
}

static struct read *find_read(struct monitor_http *http, struct http_exchange *exchange)
{
    static const struct {
        const char *path;
        enum err_code (*run)(struct read *read, struct err *err);
    } fixed[] = {
        { "/", run_page },
        { "/alerts", run_alerts },
        { "/metrics", run_metrics },
        { "/healthz", run_health },
        { VERIFY_CONTEXT_PATH, run_verify_json },
    };
    struct span path = http_exchange_path(exchange);
    struct hash id;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (span_is_str(path, fixed[i].path)) {
            return read_new(http, exchange, fixed[i].run);
        }
    }
    if (span_take_prefix(&path, span_of_str("/evidence/")) && parse_hash(&id, path)) {
        struct read *read = read_new(http, exchange, run_evidence);
        read->id = id;
        return read;
    }
    path = http_exchange_path(exchange);
    span_take_prefix(&path, span_of_str("/logs"));
    if (span_has_suffix(path, span_of_str("/checkpoint")) &&
        span_take_prefix(&path, span_of_str("/")) &&
        parse_hash(&id, span_of(path.data, path.len - strlen("/checkpoint")))) {
        struct read *read = read_new(http, exchange, run_checkpoint);
        read->id = id;
        return read;
    }
    return NULL;
}

static void get_verify_page(struct monitor_http *http, struct http_exchange *exchange)
{
    struct span tags = { 0 };
    http_exchange_header(exchange, "If-None-Match", &tags);
    struct http_response response = verify_page_response(http->page, tags);
    http_respond(exchange, &response);
}

static void on_relayed(void *ctx, enum relay_answer answer, struct http_body *body)
{
    const struct http_header headers[] = { { "X-Content-Type-Options", "nosniff" } };
    struct http_response response = { .status = 200,
                                      .content_type = "application/octet-stream",
                                      .cache_control = CACHE_FOREVER,
                                      .headers = headers,
                                      .header_count = 1,
                                      .shared = body };
    if (answer == RELAY_OK) {
        http_respond(ctx, &response);
    } else {
        respond_text(ctx, relay_answer_status(answer), relay_answer_text(answer));
    }
}

/* /logs/<origin hash>/tile/...; false when the path is another. */
static bool get_relayed(struct monitor_http *http, struct http_exchange *exchange)
{
    struct span path = http_exchange_path(exchange), hex;
    struct hash id;
    if (!span_take_prefix(&path, span_of_str("/logs/")) || !span_take_until(&path, '/', &hex) ||
        !span_has_prefix(path, span_of_str("tile/")) || !parse_hash(&id, hex)) {
        return false;
    }
    relay_get(http->relay, &id, path, http_exchange_peer(exchange), clock_monotonic_ms(), exchange,
              on_relayed);
    return true;
}

static void on_request(void *ctx, struct http_exchange *exchange)
{
    struct monitor_http *http = ctx;
    enum http_method method = http_exchange_method(exchange);
    if (method != HTTP_METHOD_GET && method != HTTP_METHOD_HEAD) {
        http_respond_not_allowed(exchange, "GET, HEAD");
        return;
    }
    if (span_is_str(http_exchange_path(exchange), VERIFY_PAGE_PATH)) {
        get_verify_page(http, exchange);
        return;
    }
    if (get_relayed(http, exchange)) {
        return;
    }
    if (http->reads >= READS_MAX) {
        respond_error(exchange, E_BUSY);
        return;
    }
    struct read *read = find_read(http, exchange);
    if (read == NULL) {
        respond_error(exchange, E_NOT_FOUND);
        return;
    }
    http->reads++;
    work_post_then(http->parts->reads, read, run_read, on_read);
}

/* -- Start and stop -- */

struct monitor_http *monitor_http_new(uv_loop_t *loop, struct monitor_parts *parts,
                                      struct relay *relay)
{
    struct monitor_http *http = NEW(struct monitor_http);
    http->parts = parts;
    http->relay = relay;
    http->page = verify_page_body();
    struct http_server_options options = http_server_options_default();
    options.pipelined_max = PIPELINED_MAX;
    http->server = http_server_new(loop, &options, http, on_request);
    return http;
}

enum err_code monitor_http_listen(struct monitor_http *http, const struct listen_settings *settings,
                                  struct buf *text, struct err *err)
{
    return listen_http(settings, http->server, text, err);
}

static void on_server_closed(void *arg)
{
    struct monitor_http *http = arg;
    void *ctx = http->closed_ctx;
    void (*on_closed)(void *) = http->on_closed;
    http_body_release(http->page);
    mem_free(http);
    on_closed(ctx);
}

void monitor_http_close(struct monitor_http *http, uint32_t grace_ms, void *ctx,
                        void (*on_closed)(void *ctx))
{
    http->closed_ctx = ctx;
    http->on_closed = on_closed;
    http_server_close(http->server, grace_ms, http, on_server_closed);
}
