#include "logd/witness_client.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/log.h"
#include "logd/own_note.h"
#include "net/http_client.h"
#include "tlog/add_checkpoint.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

const char *const witness_failure_labels[WITNESS_FAILURE_KINDS] = {
#define WITNESS_LABEL(name, label) [WITNESS_##name] = (label),
    WITNESS_FAILURES(WITNESS_LABEL)
#undef WITNESS_LABEL
};

/* The conversation with one witness. A worker touches the fields of its step only, and nothing else does
 * meanwhile. */
struct exchange {
    struct witness_client *client;
    size_t witness;
    char *post_url; /* owned, as all below; NULL when it has no URL */
    char *get_url;
    uint64_t held; /* size that we believe it holds */

    bool is_busy;
    bool is_look;
    bool has_cosigned;  /* of a look, as below */
    bool has_forgotten; /* in this run: it took a note as its first, though it had cosigned one */
    struct published_tree *last_signed; /* or NULL; held */
    bool has_hint;                      /* it has told its size, and was asked again */
    bool is_claim;                      /* it refused in a way that says: another history */
    uint64_t claimed;                   /* a larger size that it says it holds; 0: none */
    struct published_tree *tree;
    uint64_t old_size;
    struct buf bytes; /* a request, or a reply */
    char problem[WITNESS_PROBLEM_MAX];

    enum err_code rc; /* of the last step on a worker */
    struct err err;
    int64_t now_unix_s;
    uint64_t durable;
    struct cosign_lines *lines; /* verified */
    enum own_note_verdict verdict;
    struct checkpoint checkpoint;
};

struct witness_client {
    struct witness_client_options options;
    struct http_client *http;
    struct work *work;
    size_t count;
    struct exchange *exchanges; /* one a witness; owned */
    bool is_closing;
    void *closed_ctx;
    void (*on_closed)(void *ctx);
};

static const char *name_of(const struct exchange *exchange)
{
    return policy_witness_at(exchange->client->options.policy, exchange->witness)->name;
}

/* -- The end -- */

static void finish(struct exchange *exchange, struct witness_result *result)
{
    struct witness_client *client = exchange->client;
    struct published_tree *tree = exchange->tree, *last_signed = exchange->last_signed;
    exchange->is_busy = false;
    exchange->tree = NULL;
    exchange->last_signed = NULL;
    client->options.on_done(client->options.ctx, exchange->witness, result);
    published_tree_release(tree);
    published_tree_release(last_signed);
    if (!exchange->is_busy) { /* on_done may have begun the next */
        buf_clear(&exchange->bytes);
    }
}

static void fail(struct exchange *exchange, enum witness_failure failure, const char *problem)
{
    log_event(LOG_LEVEL_WARN, "witness_failed", "witness=%s size=%llu kind=%s problem=%s",
              log_quoted_str(name_of(exchange)).text,
              (unsigned long long)exchange->tree->checkpoint.size, witness_failure_labels[failure],
              log_quoted_str(problem).text);
    struct witness_result result = { .outcome = WITNESS_FAILED,
                                     .failure = failure,
                                     .problem = problem };
    finish(exchange, &result);
}

static void fail_transfer(struct exchange *exchange, enum err_code code, const struct err *err)
{
    switch (code) {
    case E_TIMEOUT:
        fail(exchange, WITNESS_TIMEOUT, "timed out");
        return;
    case E_TOO_LARGE:
        fail(exchange, WITNESS_MALFORMED, "answered with too much");
        return;
    case E_MALFORMED:
        fail(exchange, WITNESS_MALFORMED, "did not answer with HTTP");
        return;
    default:
        log_event(LOG_LEVEL_WARN, "witness_unreachable", "witness=%s reason=%s",
                  log_quoted_str(name_of(exchange)).text, log_quoted_str(err->msg).text);
        fail(exchange, WITNESS_UNREACHABLE, "cannot be reached");
    }
}

/* -- Its note: what it holds of ours -- */

static void run_compare(void *arg)
{
    struct exchange *exchange = arg;
    struct tile_nodes nodes = { exchange->client->options.cache, exchange->tree };
    struct own_tree tree = { .log = exchange->client->options.log,
                             .source = tile_cache_nodes(&nodes),
                             .size = exchange->tree->checkpoint.size,
                             .durable = exchange->durable };
    exchange->rc = own_note_compare(&exchange->verdict, &exchange->checkpoint, &tree,
                                    buf_span(&exchange->bytes), &exchange->err);
}

/* What the refusal was, since no note explains it. A size that we have is no claim: it may be so, and a
 * later ask shows. */
static void fail_refused(struct exchange *exchange)
{
    struct witness_client *client = exchange->client;
    if (exchange->claimed != 0 &&
        exchange->claimed <= client->options.durable(client->options.ctx)) {
        struct witness_result result = { .outcome = WITNESS_AHEAD, .size = exchange->claimed };
        finish(exchange, &result);
        return;
    }
    if (exchange->is_claim) {
        log_event(LOG_LEVEL_ERROR, "witness_claim", "witness=%s problem=%s",
                  log_quoted_str(name_of(exchange)).text, log_quoted_str(exchange->problem).text);
    }
    fail(exchange, exchange->is_claim ? WITNESS_CLAIM : WITNESS_REFUSED, exchange->problem);
}

static void on_compared(void *arg)
{
    struct exchange *exchange = arg;
    if (exchange->client->is_closing) {
        return;
    }
    if (exchange->rc != E_OK) {
        log_error(LOG_LEVEL_ERROR, "witness_note_not_compared", &exchange->err);
        fail(exchange, WITNESS_INTERNAL, "shows a note that could not be compared");
        return;
    }
    struct witness_result result = { .size = exchange->checkpoint.size,
                                     .note = buf_span(&exchange->bytes) };
    switch (exchange->verdict) {
    case OWN_NOTE_CONTRADICTS:
        result.outcome = WITNESS_CONTRADICTED;
        finish(exchange, &result);
        return;
    case OWN_NOTE_AHEAD:
        exchange->held = exchange->checkpoint.size;
        result.outcome = WITNESS_AHEAD;
        finish(exchange, &result);
        return;
    case OWN_NOTE_AGREES:
        if (exchange->is_look) {
            result.outcome = WITNESS_CONSISTENT;
            finish(exchange, &result);
            return;
        }
        exchange->held = exchange->checkpoint.size;
        fail_refused(exchange);
        return;
    case OWN_NOTE_FOREIGN:
        exchange->is_claim = true;
        exchange->claimed = 0;
        snprintf(exchange->problem, sizeof exchange->problem, "shows a note that is not ours");
        fail_refused(exchange);
        return;
    }
}

static void prove(struct exchange *exchange);

/* It has no note to show. Whatever was signed before is shown to it, which makes no new signature. */
static void look_by_post(struct exchange *exchange)
{
    struct witness_result result = { .outcome = WITNESS_CONSISTENT };
    if (exchange->last_signed == NULL) { /* a new log, of which nobody can hold anything */
        finish(exchange, &result);
        return;
    }
    published_tree_release(exchange->tree);
    exchange->tree = exchange->last_signed;
    exchange->last_signed = NULL;
    exchange->old_size = 0; /* so that the proof is empty */
    prove(exchange);
}

static void on_note(void *ctx, enum err_code code, struct http_reply *reply, const struct err *err)
{
    struct exchange *exchange = ctx;
    if (code == E_OK && reply->status == 200) {
        buf_clear(&exchange->bytes);
        buf_take(&exchange->bytes, &reply->body);
        exchange->durable = exchange->client->options.durable(exchange->client->options.ctx);
        work_post_then(exchange->client->work, exchange, run_compare, on_compared);
    } else if (!exchange->is_look) {
        fail_refused(exchange);
    } else if (code != E_OK) {
        fail_transfer(exchange, code, err);
    } else if (reply->status == 404) {
        look_by_post(exchange);
    } else {
        snprintf(exchange->problem, sizeof exchange->problem, "answered %d", reply->status);
        fail_refused(exchange);
    }
}

static void get_note(struct exchange *exchange)
{
    struct http_client_request request = {
        .method = "GET",
        .url = exchange->get_url,
        .reply_bytes_max = ADD_CHECKPOINT_LINES_MAX,
        .timeout_ms = WITNESS_TIMEOUT_MS,
    };
    http_client_start(exchange->client->http, &request, exchange, on_note);
}

/* -- Its answer -- */

static void run_verify(void *arg)
{
    struct exchange *exchange = arg;
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    checkpoint_put(&text, &exchange->tree->checkpoint);
    exchange->rc =
        cosign_lines_read(exchange->lines, exchange->client->options.policy, buf_span(&text),
                          buf_span(&exchange->bytes), exchange->now_unix_s, &exchange->err);
    buf_clear(&text);
}

static void on_verified(void *arg)
{
    struct exchange *exchange = arg;
    if (exchange->client->is_closing) {
        return;
    }
    if (exchange->rc != E_OK) {
        log_event(LOG_LEVEL_WARN, "witness_garbage", "witness=%s reason=%s body=%s",
                  log_quoted_str(name_of(exchange)).text, log_quoted_str(exchange->err.msg).text,
                  log_quoted(buf_span(&exchange->bytes)).text);
        fail(exchange, WITNESS_MALFORMED, "answered with what are no signature lines");
        return;
    }
    const struct cosign_lines *lines = exchange->lines;
    struct witness_result result = { .outcome = WITNESS_COSIGNED, .lines = lines };
    if (!cosign_lines_has(lines, exchange->witness)) {
        result.outcome = WITNESS_FAILED;
        result.failure = lines->bad_time > 0 ? WITNESS_BAD_TIME
                         : lines->bad > 0    ? WITNESS_BAD_SIGNATURE
                                             : WITNESS_UNSIGNED;
        result.problem = lines->bad_time > 0 ? "cosigned with a time ahead of ours"
                         : lines->bad > 0    ? "cosigned with a signature that does not verify"
                                             : "answered without its cosignature";
        log_event(LOG_LEVEL_WARN, "witness_failed", "witness=%s kind=%s problem=%s",
                  log_quoted_str(name_of(exchange)).text, witness_failure_labels[result.failure],
                  log_quoted_str(result.problem).text);
    } else if (exchange->is_look && exchange->has_cosigned) {
        exchange->has_forgotten = true;
        fail(exchange, WITNESS_CLAIM, "has forgotten what it cosigned");
        return;
    } else {
        exchange->held = exchange->tree->checkpoint.size;
        result.outcome = exchange->is_look ? WITNESS_CONSISTENT : WITNESS_COSIGNED;
    }
    finish(exchange, &result);
}

/* The size that it says it holds, in place of the one that it was asked with. */
static bool take_hint(struct exchange *exchange, const struct http_reply *reply, uint64_t *hint)
{
    struct err err;
    return reply->status == 409 && strcmp(reply->content_type, ADD_CHECKPOINT_SIZE_TYPE) == 0 &&
           add_checkpoint_parse_size(hint, buf_span(&reply->body), &err) == E_OK &&
           *hint != exchange->old_size;
}

/* A size that it holds, of what was signed by then, is the answer that a look hopes for. */
static void on_look_refused(struct exchange *exchange, const struct http_reply *reply)
{
    struct witness_result result = { .outcome = WITNESS_CONSISTENT };
    if (!take_hint(exchange, reply, &result.size)) {
        snprintf(exchange->problem, sizeof exchange->problem, "answered %d", reply->status);
        fail(exchange, WITNESS_REFUSED, exchange->problem);
        return;
    }
    if (exchange->has_forgotten) { /* what it holds now it has from the look before */
        fail(exchange, WITNESS_CLAIM, "has forgotten what it cosigned");
        return;
    }
    if (result.size > exchange->tree->checkpoint.size) {
        log_event(LOG_LEVEL_WARN, "witness_ahead", "witness=%s size=%llu signed=%llu",
                  log_quoted_str(name_of(exchange)).text, (unsigned long long)result.size,
                  (unsigned long long)exchange->tree->checkpoint.size);
        result.outcome = WITNESS_AHEAD;
    }
    finish(exchange, &result);
}

static void on_refused(struct exchange *exchange, const struct http_reply *reply)
{
    if (exchange->is_look) {
        on_look_refused(exchange, reply);
        return;
    }
    uint64_t hint = 0, size = exchange->tree->checkpoint.size;
    bool has_hint = take_hint(exchange, reply, &hint);
    if (has_hint && hint <= size && !exchange->has_hint) {
        exchange->has_hint = true;
        exchange->old_size = hint;
        prove(exchange);
        return;
    }
    log_event(LOG_LEVEL_WARN, "witness_refused", "witness=%s size=%llu old=%llu status=%d body=%s",
              log_quoted_str(name_of(exchange)).text, (unsigned long long)size,
              (unsigned long long)exchange->old_size, reply->status,
              log_quoted(buf_span(&reply->body)).text);
    if (has_hint && hint > size) {
        exchange->claimed = hint;
        snprintf(exchange->problem, sizeof exchange->problem, "says that it holds %llu entries",
                 (unsigned long long)hint);
    } else {
        snprintf(exchange->problem, sizeof exchange->problem, "answered %d", reply->status);
    }
    exchange->is_claim = (has_hint && hint > size) || reply->status == 422;
    exchange->held = 0; /* believe nothing: the next refusal tells */
    get_note(exchange);
}

static void on_reply(void *ctx, enum err_code code, struct http_reply *reply, const struct err *err)
{
    struct exchange *exchange = ctx;
    if (code != E_OK) {
        fail_transfer(exchange, code, err);
        return;
    }
    if (reply->status != 200) {
        on_refused(exchange, reply);
        return;
    }
    buf_clear(&exchange->bytes);
    buf_take(&exchange->bytes, &reply->body);
    exchange->now_unix_s = (int64_t)time(NULL);
    if (exchange->lines == NULL) {
        exchange->lines = NEW(struct cosign_lines);
    }
    work_post_then(exchange->client->work, exchange, run_verify, on_verified);
}

/* -- Asking -- */

static void run_prove(void *arg)
{
    struct exchange *exchange = arg;
    struct tile_nodes nodes = { exchange->client->options.cache, exchange->tree };
    struct merkle_source source = tile_cache_nodes(&nodes);
    struct proof proof;
    exchange->rc = proof_make_consistency(&proof, &source, exchange->old_size,
                                          exchange->tree->checkpoint.size, &exchange->err);
    buf_clear(&exchange->bytes);
    buf_init(&exchange->bytes, ADD_CHECKPOINT_BYTES_MAX);
    if (exchange->rc == E_OK) {
        add_checkpoint_put(&exchange->bytes, exchange->old_size, &proof,
                           http_body_span(exchange->tree->note));
    }
}

static void on_proved(void *arg)
{
    struct exchange *exchange = arg;
    if (exchange->client->is_closing) {
        return;
    }
    if (exchange->rc != E_OK) {
        log_error(LOG_LEVEL_ERROR, "witness_proof_failed", &exchange->err);
        fail(exchange, WITNESS_INTERNAL, "was not asked: our tiles could not be read");
        return;
    }
    struct http_client_request request = {
        .method = "POST",
        .url = exchange->post_url,
        .body = buf_span(&exchange->bytes),
        .reply_bytes_max = ADD_CHECKPOINT_LINES_MAX,
        .timeout_ms = WITNESS_TIMEOUT_MS,
    };
    http_client_start(exchange->client->http, &request, exchange, on_reply);
}

static void prove(struct exchange *exchange)
{
    work_post_then(exchange->client->work, exchange, run_prove, on_proved);
}

static struct exchange *begin(struct witness_client *client, size_t witness,
                              struct published_tree *tree)
{
    assert(witness < client->count && !client->is_closing);
    struct exchange *exchange = &client->exchanges[witness];
    assert(!exchange->is_busy && exchange->post_url != NULL);
    exchange->is_busy = true;
    exchange->is_look = false;
    exchange->has_hint = false;
    exchange->is_claim = false;
    exchange->claimed = 0;
    exchange->tree = published_tree_hold(tree);
    return exchange;
}

void witness_client_ask(struct witness_client *client, size_t witness, struct published_tree *tree)
{
    struct exchange *exchange = begin(client, witness, tree);
    uint64_t size = tree->checkpoint.size;
    exchange->old_size = exchange->held <= size ? exchange->held : 0;
    prove(exchange);
}

void witness_client_look(struct witness_client *client, size_t witness,
                         const struct witness_look *look)
{
    struct exchange *exchange = begin(client, witness, look->tree);
    exchange->is_look = true;
    exchange->has_cosigned = look->has_cosigned;
    if (look->last_signed != NULL) {
        exchange->last_signed = published_tree_hold(look->last_signed);
    }
    get_note(exchange);
}

void witness_client_holds(struct witness_client *client, size_t witness, uint64_t size)
{
    assert(witness < client->count);
    struct exchange *exchange = &client->exchanges[witness];
    exchange->held = size > exchange->held ? size : exchange->held;
}

/* -- Life -- */

/* Prefix and path are joined by exactly one slash. */
static char *join_url(const char *prefix, const char *path)
{
    size_t len = strlen(prefix);
    while (len > 0 && prefix[len - 1] == '/') {
        len--;
    }
    size_t bytes = len + strlen(path) + 2;
    char *url = mem_alloc(bytes);
    snprintf(url, bytes, "%.*s/%s", (int)len, prefix, path);
    return url;
}

static void set_urls(struct exchange *exchange, const char *prefix, const char *origin)
{
    struct hash hash = sha256(span_of_str(origin));
    struct buf path = BUF_INIT(2 * HASH_BYTES + sizeof "/checkpoint");
    hex_put(&path, hash_span(&hash));
    buf_put_str(&path, "/checkpoint");
    exchange->post_url = join_url(prefix, "add-checkpoint");
    exchange->get_url = join_url(prefix, buf_c_str(&path));
    buf_clear(&path);
}

struct witness_client *witness_client_new(const struct witness_client_options *options)
{
    struct witness_client *client = NEW(struct witness_client);
    client->options = *options;
    client->count = policy_witness_count(options->policy);
    client->exchanges = mem_calloc(client->count, sizeof *client->exchanges);
    for (size_t i = 0; i < client->count; i++) {
        struct exchange *exchange = &client->exchanges[i];
        const char *url = policy_witness_at(options->policy, i)->url;
        exchange->client = client;
        exchange->witness = i;
        buf_init(&exchange->bytes, ADD_CHECKPOINT_BYTES_MAX);
        if (url != NULL) {
            set_urls(exchange, url, options->log->name);
        }
    }
    struct http_client_options http = { .connections_max = 2 * POLICY_KEYS_MAX };
    client->http = http_client_new(options->loop, &http);
    client->work = work_new(options->loop, WITNESS_CLIENT_WORKERS);
    return client;
}

static void on_work_closed(void *ctx)
{
    struct witness_client *client = ctx;
    for (size_t i = 0; i < client->count; i++) {
        struct exchange *exchange = &client->exchanges[i];
        published_tree_release(exchange->tree);
        published_tree_release(exchange->last_signed);
        buf_clear(&exchange->bytes);
        mem_free(exchange->lines);
        mem_free(exchange->post_url);
        mem_free(exchange->get_url);
    }
    void *closed_ctx = client->closed_ctx;
    void (*on_closed)(void *) = client->on_closed;
    mem_free(client->exchanges);
    mem_free(client);
    on_closed(closed_ctx);
}

static void on_http_closed(void *ctx)
{
    struct witness_client *client = ctx;
    work_close(client->work, client, on_work_closed);
}

void witness_client_close(struct witness_client *client, void *ctx, void (*on_closed)(void *ctx))
{
    client->is_closing = true;
    client->closed_ctx = ctx;
    client->on_closed = on_closed;
    http_client_close(client->http, client, on_http_closed);
}
