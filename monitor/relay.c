#include "monitor/relay.h"

#include "base/alloc.h"
#include "base/crypto.h"
#include "monitor/clock.h"
#include "monitor/quota.h"
#include "monitor/relay_source.h"
#include "net/work.h"
#include "store/tile_source.h"

#include <assert.h>
#include <sys/queue.h>

enum {
    QUOTAS = 1024, /* addresses share one when their hashes meet */
    SEED_BYTES = 16,
    CACHE_SLOTS = 64,
    CACHED_BYTES_MAX = RELAY_CACHE_BYTES / 8, /* of one */
};

struct relay_log;

struct job {
    struct relay_log *log;
    struct tile_path path;
    uint64_t asked_ms;
    void *ctx;
    void (*on_done)(void *ctx, enum relay_answer answer, struct http_body *body);
    struct buf body;
    enum err_code rc;
    STAILQ_ENTRY(job) link;
};

struct relay_log {
    struct relay *relay;
    struct watched_log *watched;
    struct relay_source *source; /* owned; the running job's, or nobody's; NULL: never asked */
    bool is_running;
    uint64_t rests_until_ms;
    size_t waiting_count;
    STAILQ_HEAD(, job) waiting;
};

struct cached {
    struct relay_log *log; /* NULL: empty */
    struct tile_path path;
    uint64_t used_at;
    struct http_body *body; /* a reference */
};

struct relay {
    size_t log_count;
    struct relay_log *logs; /* owned */
    struct work *lane;
    size_t waiting_count;     /* of all logs, those that run included */
    uint8_t seed[SEED_BYTES]; /* nobody can choose whom to share a quota with */
    struct quota quotas[QUOTAS];
    uint64_t clock;
    size_t cached_bytes;
    struct cached cached[CACHE_SLOTS];
};

static const struct {
    int status;
    const char *text;
} answers[RELAY_ANSWERS] = {
    [RELAY_OK] = { 200, "" },
    [RELAY_NOT_FOUND] = { 404, "not found\n" },
    [RELAY_TOO_MANY] = { 429, "too many requests, try later\n" },
    [RELAY_BUSY] = { 503, "over capacity, try later\n" },
    [RELAY_BAD] = { 502, "the log does not serve what it signed\n" },
    [RELAY_SLOW] = { 504, "the log took too long\n" },
};

int relay_answer_status(enum relay_answer answer)
{
    return answers[answer].status;
}

const char *relay_answer_text(enum relay_answer answer)
{
    return answers[answer].text;
}

struct relay *relay_new(struct watched_log **logs, size_t log_count, struct work *lane)
{
    struct relay *relay = NEW(struct relay);
    relay->log_count = log_count;
    relay->logs = mem_calloc(log_count + 1, sizeof *relay->logs);
    relay->lane = lane;
    crypto_random(relay->seed, sizeof relay->seed);
    for (size_t i = 0; i < log_count; i++) {
        relay->logs[i].relay = relay;
        relay->logs[i].watched = logs[i];
        STAILQ_INIT(&relay->logs[i].waiting);
    }
    for (size_t i = 0; i < QUOTAS; i++) {
        quota_init_per_minute(&relay->quotas[i], RELAY_ASKED_PER_MINUTE, 0);
    }
    return relay;
}

void relay_free(struct relay *relay)
{
    if (relay == NULL) {
        return;
    }
    assert(relay->waiting_count == 0);
    for (size_t i = 0; i < relay->log_count; i++) {
        relay_source_free(relay->logs[i].source);
    }
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        http_body_release(relay->cached[i].body);
    }
    mem_free(relay->logs);
    mem_free(relay);
}

/* -- a little cache: the tiles near the root are everybody's -- */

static bool is_path_equal(const struct tile_path *a, const struct tile_path *b)
{
    return a->is_bundle == b->is_bundle && a->id.level == b->id.level &&
           a->id.index == b->id.index && a->width == b->width;
}

static struct http_body *cache_find(struct relay *relay, const struct relay_log *log,
                                    const struct tile_path *path)
{
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        struct cached *cached = &relay->cached[i];
        if (cached->log == log && is_path_equal(&cached->path, path)) {
            cached->used_at = ++relay->clock;
            return cached->body;
        }
    }
    return NULL;
}

static void cache_drop(struct relay *relay, struct cached *cached)
{
    relay->cached_bytes -= http_body_span(cached->body).len;
    http_body_release(cached->body);
    *cached = (struct cached){ .log = NULL };
}

/* An empty one, or NULL; the one that was used longest ago, or NULL. */
static struct cached *cache_slot(struct relay *relay, bool is_empty)
{
    struct cached *found = NULL;
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        struct cached *cached = &relay->cached[i];
        if ((cached->log == NULL) == is_empty &&
            (found == NULL || cached->used_at < found->used_at)) {
            found = cached;
        }
    }
    return found;
}

static void cache_add(struct relay *relay, struct relay_log *log, const struct tile_path *path,
                      struct http_body *body)
{
    size_t bytes = http_body_span(body).len;
    if (bytes > CACHED_BYTES_MAX || cache_find(relay, log, path) != NULL) {
        return;
    }
    while (relay->cached_bytes + bytes > RELAY_CACHE_BYTES || cache_slot(relay, true) == NULL) {
        cache_drop(relay, cache_slot(relay, false));
    }
    struct cached *slot = cache_slot(relay, true);
    *slot = (struct cached){ log, *path, ++relay->clock, http_body_hold(body) };
    relay->cached_bytes += bytes;
}

/* -- asking the log: one thing at a time -- */

static void start_next(struct relay_log *log);

static enum relay_answer answer_of(enum err_code rc)
{
    switch (rc) {
    case E_OK:
        return RELAY_OK;
    case E_NOT_FOUND:
        return RELAY_NOT_FOUND;
    case E_TIMEOUT:
        return RELAY_SLOW;
    default:
        return RELAY_BAD;
    }
}

static void finish(struct job *job, enum relay_answer answer, struct http_body *body)
{
    job->log->relay->waiting_count--;
    job->on_done(job->ctx, answer, body);
    buf_clear(&job->body);
    mem_free(job);
}

static void run_job(void *arg)
{
    struct job *job = arg;
    struct err err;
    job->rc = relay_source_get(job->log->source, &job->path, RELAY_ASK_MS, &job->body, &err);
}

static void on_job(void *arg)
{
    struct job *job = arg;
    struct relay_log *log = job->log;
    struct http_body *body = NULL;
    log->is_running = false;
    if (job->rc == E_OK) {
        body = http_body_take(&job->body);
        cache_add(log->relay, log, &job->path, body);
    } else if (job->rc == E_TIMEOUT) {
        log->rests_until_ms = clock_monotonic_ms() + RELAY_REST_MS;
    }
    finish(job, answer_of(job->rc), body);
    http_body_release(body);
    start_next(log);
}

/* Who has waited behind a log that hangs is told so, and does not ask it too. */
static void start_next(struct relay_log *log)
{
    while (!log->is_running && !STAILQ_EMPTY(&log->waiting)) {
        struct job *job = STAILQ_FIRST(&log->waiting);
        uint64_t now_ms = clock_monotonic_ms();
        STAILQ_REMOVE_HEAD(&log->waiting, link);
        log->waiting_count--;
        if (now_ms < log->rests_until_ms || now_ms - job->asked_ms > RELAY_ASK_MS) {
            finish(job, RELAY_SLOW, NULL);
            continue;
        }
        if (log->source == NULL) {
            log->source = relay_source_new(log->watched);
        }
        log->is_running = true;
        work_post_then(log->relay->lane, job, run_job, on_job);
    }
}

/* -- asking the relay -- */

/* Behind a Unix socket is a proxy, which counts by itself. */
static bool is_over_quota(struct relay *relay, const struct address *peer, uint64_t now_ms)
{
    if (address_is_unix(peer)) {
        return false;
    }
    struct buf text = BUF_INIT(SEED_BYTES + ADDRESS_HOST_MAX + 1);
    size_t at;
    buf_put(&text, SPAN_OF_ARRAY(relay->seed));
    address_put_host(&text, peer);
    struct hash hash = sha256(buf_span(&text));
    memcpy(&at, hash.bytes, sizeof at);
    buf_clear(&text);
    return !quota_take(&relay->quotas[at % QUOTAS], 1, now_ms);
}

static struct relay_log *find_log(struct relay *relay, const struct hash *origin_hash)
{
    for (size_t i = 0; i < relay->log_count; i++) {
        if (hash_is_equal(watched_log_origin_hash(relay->logs[i].watched), origin_hash)) {
            return &relay->logs[i];
        }
    }
    return NULL;
}

static bool is_held(struct relay_log *log, const struct tile_path *path)
{
    struct watched_status status;
    watched_log_status(log->watched, &status);
    return status.is_verified && path->width <= tile_width(path->id, status.held_size);
}

void relay_get(struct relay *relay, const struct hash *origin_hash, struct span path,
               const struct address *peer, uint64_t now_ms, void *ctx,
               void (*on_done)(void *ctx, enum relay_answer answer, struct http_body *body))
{
    struct err err;
    struct tile_path tile;
    struct relay_log *log = find_log(relay, origin_hash);
    if (is_over_quota(relay, peer, now_ms)) {
        on_done(ctx, RELAY_TOO_MANY, NULL);
        return;
    }
    if (log == NULL || tile_path_parse(&tile, path, &err) != E_OK || !is_held(log, &tile)) {
        on_done(ctx, RELAY_NOT_FOUND, NULL);
        return;
    }
    struct http_body *body = cache_find(relay, log, &tile);
    if (body != NULL) {
        on_done(ctx, RELAY_OK, body);
        return;
    }
    if (relay->waiting_count >= RELAY_WAITING_MAX || log->waiting_count >= RELAY_WAITING_PER_LOG) {
        on_done(ctx, RELAY_BUSY, NULL);
        return;
    }
    struct job *job = NEW(struct job);
    *job = (struct job){
        .log = log, .path = tile, .asked_ms = now_ms, .ctx = ctx, .on_done = on_done
    };
    buf_init(&job->body, tile.is_bundle ? BUNDLE_BYTES_MAX : TILE_BYTES);
    relay->waiting_count++;
    log->waiting_count++;
    STAILQ_INSERT_TAIL(&log->waiting, job, link);
    start_next(log);
}
