#include "witness/http_service.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/metrics.h"
#include "client/verify_context.h"
#include "net/html.h"
#include "net/verify_page.h"
#include "witness/cosigning_metrics.h"
#include "witness/evidence_json.h"
#include "witness/peer_memory.h"
#include "witness/status_page.h"
#include "witness/verify_json.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum {
    PIPELINED_MAX = 16,
    HEALTH_LOGS_MAX = 50, /* named in /healthz */
    /* Of one: a reason, and its origin twice, with every byte as \xHH. */
    HEALTH_LOG_BYTES_MAX = 4 * PARTS_REASON_MAX + 2 * 4 * ORIGIN_BYTES_MAX + 256,
    REFUSAL_BYTES_MAX = 512,
    PEER_TEXT_MAX = 256,
};

#define TEXT        "text/plain; charset=utf-8"
#define CACHE_NONE  "no-cache"
#define CACHE_NEVER "no-store"

/* Who asks: a connection of our own, or, when that is NULL, one through a bastion. */
struct request {
    struct http_exchange *exchange;
    struct bastion_exchange *bastion;
};

/* A GET that a worker answers for: stores and files are read there. */
struct read {
    struct witness_http *http;
    struct request request;
    enum err_code (*run)(struct read *read, struct err *err); /* fills what is below */
    struct hash origin_hash, id;
    struct http_server_stats stats;
    int status;
    const char *type;
    const char *cache;
    bool is_page;
    struct buf body;
    enum err_code rc;
};

/* A POST /add-checkpoint on its way: workers and the ledger thread give it back through `answered`. */
struct add {
    struct add *next;
    struct witness_http *http;
    struct request request;
    int status;
    bool is_size; /* a 409 with the size held */
    struct buf text;
};

struct witness_http {
    struct parts *parts;
    struct http_server *server;
    struct http_body *page; /* for /verify */
    uv_async_t answered_wake;
    _Atomic(struct add *) answered; /* a stack */
    void *closed_ctx;
    void (*on_closed)(void *ctx);
};

/* -- Requests, wherever they come from -- */

static enum http_method request_method(const struct request *request)
{
    return request->exchange != NULL ? http_exchange_method(request->exchange)
                                     : bastion_exchange_method(request->bastion);
}

static struct span request_path(const struct request *request)
{
    return request->exchange != NULL ? http_exchange_path(request->exchange)
                                     : bastion_exchange_path(request->bastion);
}

static struct span request_body(const struct request *request)
{
    return request->exchange != NULL ? http_exchange_body(request->exchange)
                                     : bastion_exchange_body(request->bastion);
}

/* The address to charge. What a bastion says of its clients is a hint that only it can forge; when it
 * says nothing that looks like an address, all its clients are one. */
static void request_put_peer(const struct request *request, struct buf *out)
{
    if (request->exchange != NULL) {
        address_put_host(out, http_exchange_peer(request->exchange));
        return;
    }
    struct span client = bastion_exchange_client(request->bastion);
    bool is_address = client.len > 0 && client.len <= ADDRESS_HOST_MAX;
    for (size_t i = 0; i < client.len && is_address; i++) {
        is_address = strchr("0123456789abcdefABCDEF.:", client.data[i]) != NULL;
    }
    buf_put_str(out, "bastion ");
    if (is_address) {
        buf_truncate(out, 0);
        buf_put(out, client);
    }
}

static void request_respond(const struct request *request, const struct http_response *response)
{
    if (request->exchange != NULL) {
        http_respond(request->exchange, response);
    } else {
        bastion_respond(request->bastion, response);
    }
}

static void respond_text(const struct request *request, int status, struct span text)
{
    const struct http_header retry = { "Retry-After", status == 429 ? "10" : "1" };
    struct http_response response = { .status = status,
                                      .content_type = TEXT,
                                      .cache_control = CACHE_NONE,
                                      .headers = &retry,
                                      .header_count = status == 503 || status == 429,
                                      .text = text };
    request_respond(request, &response);
}

static void respond_error(const struct request *request, enum err_code code)
{
    char text[128];
    int len = snprintf(text, sizeof text, "%s\n", err_text(code));
    respond_text(request, err_http_status(code), span_of(text, (size_t)len));
}

static void respond_not_allowed(const struct request *request, const char *allow)
{
    const struct http_header header = { "Allow", allow };
    struct http_response response = { .status = 405,
                                      .content_type = TEXT,
                                      .headers = &header,
                                      .header_count = 1,
                                      .text = span_of_str("method not allowed\n") };
    request_respond(request, &response);
}

/* -- POST /add-checkpoint -- */

static void put_answer(struct add *add, const struct cosigner_answer *answer)
{
    enum err_code code = refusal_code(answer->refusal);
    add->status = err_http_status(code);
    if (answer->refusal == REFUSED_NONE) {
        buf_put(&add->text, answer->lines);
    } else if (answer->refusal == REFUSED_STALE) {
        add->is_size = true;
        add_checkpoint_put_size(&add->text, answer->stored_size);
    } else {
        parts_put_refusal(&add->text, answer);
        buf_put_str(&add->text, "\n");
    }
}

/* From a worker, from the ledger thread, or from within cosigner_submit on the loop. */
static void on_cosigned(void *ctx, const struct cosigner_answer *answer)
{
    struct add *add = ctx;
    struct witness_http *http = add->http;
    cosigning_metrics_count(http->parts->metrics, answer->refusal);
    put_answer(add, answer);
    struct add *first = atomic_load(&http->answered);
    do {
        add->next = first;
    } while (!atomic_compare_exchange_weak(&http->answered, &first, add));
    uv_async_send(&http->answered_wake);
}

static void answer_add(struct add *add)
{
    if (add->is_size) {
        struct http_response response = { .status = add->status,
                                          .content_type = ADD_CHECKPOINT_SIZE_TYPE,
                                          .text = buf_span(&add->text) };
        request_respond(&add->request, &response);
    } else {
        respond_text(&add->request, add->status, buf_span(&add->text));
    }
    buf_clear(&add->text);
    mem_free(add);
}

/* What came last lies on top of the stack. Answers of a log leave as they were decided: cosigner.h. */
static struct add *take_answered(struct witness_http *http)
{
    struct add *add = atomic_exchange(&http->answered, NULL);
    struct add *oldest = NULL;
    while (add != NULL) {
        struct add *next = add->next;
        add->next = oldest;
        oldest = add;
        add = next;
    }
    return oldest;
}

static void on_answered_wake(uv_async_t *wake)
{
    struct add *add = take_answered(wake->data);
    while (add != NULL) {
        struct add *next = add->next;
        answer_add(add);
        add = next;
    }
}

static void post_add_checkpoint(struct witness_http *http, const struct request *request)
{
    struct add *add = NEW(struct add);
    add->http = http;
    add->request = *request;
    buf_init(&add->text, ADD_CHECKPOINT_LINES_MAX + REFUSAL_BYTES_MAX);
    struct buf peer = BUF_INIT(PEER_TEXT_MAX);
    request_put_peer(request, &peer);
    cosigner_submit(http->parts->cosigner, request_body(request), buf_span(&peer), add,
                    on_cosigned);
    buf_clear(&peer);
}

/* -- What a worker reads -- */

static enum err_code run_note(struct read *read, struct err *err)
{
    read->type = TEXT;
    read->cache = CACHE_NEVER;
    buf_init(&read->body, LEDGER_NOTE_BYTES_MAX);
    return ledger_note(read->http->parts->ledger, &read->origin_hash, &read->body, err);
}

static enum err_code run_evidence_list(struct read *read, struct err *err)
{
    (void)err;
    struct evidence_item *items = NULL;
    size_t count = evidence_keep_list(read->http->parts->evidence, &items);
    read->type = "application/json";
    buf_init(&read->body, evidence_json_bytes_max(count));
    evidence_json_put(&read->body, items, count);
    mem_free(items);
    return E_OK;
}

static enum err_code run_peers(struct read *read, struct err *err)
{
    read->type = TEXT;
    read->cache = CACHE_NEVER;
    buf_init(&read->body, PEER_NOTES_BYTES_MAX);
    return peer_memory_put(read->http->parts->ledger, &read->origin_hash, &read->body, err);
}

static enum err_code run_evidence_file(struct read *read, struct err *err)
{
    read->type = TEXT;
    buf_init(&read->body, EVIDENCE_BYTES_MAX);
    return evidence_keep_read(read->http->parts->evidence, &read->origin_hash, &read->id,
                              &read->body, err);
}

static enum err_code run_metrics(struct read *read, struct err *err)
{
    (void)err;
    read->type = METRICS_CONTENT_TYPE;
    buf_init(&read->body, COSIGNING_METRICS_BYTES_MAX);
    cosigning_metrics_put(read->http->parts->metrics, &read->body, read->http->parts, &read->stats,
                          (uint64_t)time(NULL));
    return E_OK;
}

static enum err_code run_page(struct read *read, struct err *err)
{
    (void)err;
    read->type = HTML_TYPE;
    read->is_page = true;
    buf_init(&read->body, WITNESS_PAGE_BYTES_MAX);
    witness_page_put(&read->body, read->http->parts);
    return E_OK;
}

static enum err_code run_verify_json(struct read *read, struct err *err)
{
    read->type = "application/json";
    read->cache = CACHE_NEVER;
    buf_init(&read->body, VERIFY_CONTEXT_BYTES_MAX);
    return verify_json_put(&read->body, read->http->parts, (int64_t)time(NULL), err);
}

/* -- /healthz and /readyz -- */

static void put_origin(struct buf *out, const char *origin)
{
    buf_put_str(out, "\"");
    ascii_put_escaped(out, span_of_str(origin), ORIGIN_BYTES_MAX);
    buf_put_str(out, "\"");
}

/* The logs about which there is something to say. */
static void put_health_logs(struct buf *out, struct parts *parts)
{
    struct log_status *logs = NULL;
    size_t count = parts_log_statuses(parts, SIZE_MAX, &logs);
    size_t named = 0, more = 0;
    for (size_t i = 0; i < count; i++) {
        if (logs[i].verdict == GUARD_OPEN && logs[i].evidence == 0) {
            continue;
        }
        if (++named > HEALTH_LOGS_MAX) {
            more++;
            continue;
        }
        if (logs[i].verdict != GUARD_OPEN) {
            char reason[PARTS_REASON_MAX];
            parts_guard_reason(parts, logs[i].log, reason);
            buf_put_str(out, logs[i].verdict == GUARD_REFUSED ? "refused: " : "checking: ");
            put_origin(out, logs[i].log->origin);
            buf_put_str(out, ": ");
            ascii_put_escaped(out, span_of_str(reason), PARTS_REASON_MAX);
            buf_put_str(out, "\n");
        }
        if (logs[i].evidence > 0) {
            buf_put_str(out, "evidence of misbehaviour: ");
            put_origin(out, logs[i].log->origin);
            buf_putf(out, ": %llu pieces\n", (unsigned long long)logs[i].evidence);
        }
    }
    if (more > 0) {
        buf_putf(out, "and %zu more logs\n", more);
    }
    mem_free(logs);
}

static enum err_code put_health(struct read *read, bool must_sign)
{
    struct parts *parts = read->http->parts;
    struct witness_status status;
    witness_status_read(parts, &status);
    read->type = TEXT;
    bool is_ok = must_sign ? status.can_sign : status.reason[0] == 0;
    buf_init(&read->body, (HEALTH_LOGS_MAX + 2) * HEALTH_LOG_BYTES_MAX);
    buf_putf(&read->body, "%s\n", is_ok ? "ok" : must_sign ? "not cosigning" : "degraded");
    if (status.reason[0] != 0) {
        buf_put_str(&read->body, "reason: ");
        ascii_put_escaped(&read->body, span_of_str(status.reason), PARTS_REASON_MAX);
        buf_put_str(&read->body, "\n");
    }
    buf_putf(&read->body, "logs: %zu\ncosignatures: %llu\nrollback check: %s\nevidence: %zu\n",
             status.logs, (unsigned long long)status.cosignatures, guard_words(parts->guard),
             status.evidence);
    if (parts->bastion_count > 0) {
        buf_putf(&read->body, "bastions: %zu of %zu connected\n",
                 atomic_load(&parts->bastions_connected), parts->bastion_count);
    }
    put_health_logs(&read->body, parts);
    /* Degraded is not down: most logs may be served well. */
    read->status = must_sign && !is_ok ? 503 : 200;
    return E_OK;
}

static enum err_code run_health(struct read *read, struct err *err)
{
    (void)err;
    return put_health(read, false);
}

static enum err_code run_ready(struct read *read, struct err *err)
{
    (void)err;
    return put_health(read, true);
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
    if (read->rc != E_OK) {
        respond_error(&read->request, read->rc);
    } else {
        const struct http_header policy = { "Content-Security-Policy", HTML_POLICY };
        struct http_response response = { .status = read->status,
                                          .content_type = read->type,
                                          .cache_control = read->cache,
                                          .headers = &policy,
                                          .header_count = read->is_page,
                                          .taken = &read->body };
        request_respond(&read->request, &response);
    }
    buf_clear(&read->body);
    mem_free(read);
}

static struct read *read_new(struct witness_http *http, const struct request *request,
                             enum err_code (*run)(struct read *read, struct err *err))
{
    struct read *read = NEW(struct read);
    read->http = http;
    read->request = *request;
    read->run = run;
    read->stats = http_server_stats(http->server);
    return read;
}

static void start_read(struct read *read)
{
    work_post_then(read->http->parts->reads, read, run_read, on_read);
}

/* Takes 64 lower-case hex digits. */
static bool take_hash(struct span *in, struct hash *out)
{
    struct span text;
    struct err err;
    if (!span_take(in, 2 * sizeof out->bytes, &text) ||
        hex_decode(out->bytes, sizeof out->bytes, text, &err) != E_OK) {
        return false;
    }
    struct buf again = BUF_INIT(2 * sizeof out->bytes);
    hex_put(&again, hash_span(out));
    bool is_lower = span_is_equal(buf_span(&again), text);
    buf_clear(&again);
    return is_lower;
}

/* /<origin hash>/checkpoint or /peers, or /evidence/<origin hash>/<id>. */
static struct read *named_read(struct witness_http *http, const struct request *request,
                               struct span path)
{
    struct hash origin_hash, id = { { 0 } };
    enum err_code (*run)(struct read *, struct err *) = run_note;
    bool is_evidence = span_take_prefix(&path, span_of_str("/evidence"));
    if (!span_take_prefix(&path, span_of_str("/")) || !take_hash(&path, &origin_hash)) {
        return NULL;
    }
    if (is_evidence) {
        if (!span_take_prefix(&path, span_of_str("/")) || !take_hash(&path, &id) || path.len > 0) {
            return NULL;
        }
        run = run_evidence_file;
    } else if (span_is_str(path, "/peers")) {
        run = run_peers;
    } else if (!span_is_str(path, "/checkpoint")) {
        return NULL;
    }
    struct read *read = read_new(http, request, run);
    read->origin_hash = origin_hash;
    read->id = id;
    return read;
}

/* A bastion hands on no such header: there the page always comes whole. */
static void get_verify_page(struct witness_http *http, const struct request *request)
{
    struct span tags = { 0 };
    if (request->exchange != NULL) {
        http_exchange_header(request->exchange, "If-None-Match", &tags);
    }
    struct http_response response = verify_page_response(http->page, tags);
    request_respond(request, &response);
}

static void get(struct witness_http *http, const struct request *request, struct span path)
{
    static const struct {
        const char *path;
        enum err_code (*run)(struct read *read, struct err *err);
    } fixed[] = {
        { "/evidence", run_evidence_list },
        { "/healthz", run_health },
        { "/readyz", run_ready },
        { "/metrics", run_metrics },
        { "/", run_page },
        { VERIFY_CONTEXT_PATH, run_verify_json },
    };
    struct read *read = NULL;
    if (span_is_str(path, VERIFY_PAGE_PATH)) {
        get_verify_page(http, request);
        return;
    }
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (span_is_str(path, fixed[i].path)) {
            read = read_new(http, request, fixed[i].run);
        }
    }
    if (read == NULL) {
        read = named_read(http, request, path);
    }
    if (read == NULL) {
        respond_error(request, E_NOT_FOUND);
        return;
    }
    start_read(read);
}

/* -- Dispatch -- */

static void dispatch(struct witness_http *http, const struct request *request)
{
    struct span path = request_path(request);
    enum http_method method = request_method(request);
    bool is_add = span_is_str(path, "/add-checkpoint");
    if (is_add && method == HTTP_METHOD_POST) {
        post_add_checkpoint(http, request);
    } else if (is_add) {
        respond_not_allowed(request, "POST");
    } else if (method == HTTP_METHOD_GET || method == HTTP_METHOD_HEAD) {
        get(http, request, path);
    } else {
        respond_not_allowed(request, "GET, HEAD");
    }
}

static void on_request(void *ctx, struct http_exchange *exchange)
{
    struct request request = { .exchange = exchange };
    dispatch(ctx, &request);
}

void witness_http_on_bastion(void *ctx, struct bastion_exchange *exchange)
{
    struct request request = { .bastion = exchange };
    dispatch(ctx, &request);
}

/* -- Start and stop -- */

struct witness_http *witness_http_new(uv_loop_t *loop, struct parts *parts)
{
    struct witness_http *http = NEW(struct witness_http);
    http->parts = parts;
    struct http_server_options options = http_server_options_default();
    http->page = verify_page_body();
    options.body_bytes_max = ADD_CHECKPOINT_BYTES_MAX;
    options.pipelined_max = PIPELINED_MAX;
    http->server = http_server_new(loop, &options, http, on_request);
    int rc = uv_async_init(loop, &http->answered_wake, on_answered_wake);
    assert(rc == 0);
    http->answered_wake.data = http;
    return http;
}

enum err_code witness_http_listen(struct witness_http *http, const struct listen_settings *settings,
                                  struct buf *text, struct err *err)
{
    return listen_http(settings, http->server, text, err);
}

void witness_http_end(struct witness_http *http, uint32_t grace_ms, void *ctx,
                      void (*on_ended)(void *ctx))
{
    http_server_close(http->server, grace_ms, ctx, on_ended);
}

static void on_wake_closed(uv_handle_t *handle)
{
    struct witness_http *http = handle->data;
    void *ctx = http->closed_ctx;
    void (*on_closed)(void *) = http->on_closed;
    http_body_release(http->page);
    mem_free(http);
    on_closed(ctx);
}

void witness_http_close(struct witness_http *http, void *ctx, void (*on_closed)(void *ctx))
{
    http->closed_ctx = ctx;
    http->on_closed = on_closed;
    uv_close((uv_handle_t *)&http->answered_wake, on_wake_closed);
}
