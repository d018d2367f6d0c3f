/* The normal path is: a log joins the questions, a question waits until it is due and a place is free, its
 * answer is judged on a worker, and the place goes to the next. It can fail so: a peer that does not
 * answer, or answers something else than a note or 404, is asked again while the guard waits for it;
 * otherwise the question is dropped until somebody asks it again. */
#include "witness/guard_service.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/log.h"
#include "net/http_client.h"

#include <assert.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TICK_MS = 1000,
    URL_BYTES_MAX = 4096,
    OWN_TRIES_MAX = 3 /* of a log's own URL, which nobody waits for */
};

static const char path_end[] = "checkpoint";

struct question {
    TAILQ_ENTRY(question) next; /* while it is waiting */
    struct guard_service *service;
    struct known_log *log;
    size_t peer; /* peer_count: the log's own URL */
    bool is_active;
    unsigned tries;
    uint64_t due_ms;
    struct buf note; /* while it is judged; owned */
};

/* All questions about one log. */
struct asking {
    struct known_log *log;
    struct question questions[]; /* peer_count + 1 */
};

struct guard_service {
    struct guard_service_options options;
    struct http_client *client;
    uv_timer_t timer;
    uv_async_t wake;
    void *askings; /* tree by log; owned */
    TAILQ_HEAD(, question) waiting;
    size_t in_flight; /* transfers, and notes that are judged */
    size_t known;     /* logs of the table that were asked about once */
    size_t working;   /* items in the lane */
    bool is_ticking;
    bool is_closing;
    int open; /* handles */
    void *closed_ctx;
    void (*on_closed)(void *ctx);

    pthread_mutex_t mutex; /* guards all below */
    struct known_log **wanted;
    size_t wanted_count, wanted_room;
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static int compare(const void *a, const void *b)
{
    const struct asking *left = a, *right = b;
    return left->log < right->log ? -1 : left->log > right->log;
}

static void finish_close(struct guard_service *service)
{
    if (!service->is_closing || service->open > 0 || service->working > 0) {
        return;
    }
    void *ctx = service->closed_ctx;
    void (*on_closed)(void *) = service->on_closed;
    tdestroy(service->askings, mem_free);
    mem_free(service->wanted);
    pthread_mutex_destroy(&service->mutex);
    mem_free(service);
    on_closed(ctx);
}

static void post(struct guard_service *service, void *arg, void (*run)(void *arg),
                 void (*on_done)(void *arg))
{
    service->working++;
    work_post_then(service->options.work, arg, run, on_done);
}

/* --- One question. --- */

static void put_joined(struct buf *url, const char *base)
{
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/') {
        len--;
    }
    buf_put(url, span_of(base, len));
    buf_put_str(url, "/");
}

/* False when there is nobody to ask. */
static bool put_url(const struct question *question, struct buf *url)
{
    const struct guard_service_options *options = &question->service->options;
    bool is_own = question->peer == options->peer_count;
    const char *base = is_own ? question->log->url : options->peers[question->peer];
    if (base == NULL || strlen(base) > URL_BYTES_MAX / 2) {
        return false;
    }
    put_joined(url, base);
    if (!is_own) {
        hex_put(url, hash_span(&question->log->origin_hash));
        buf_put_str(url, "/");
    }
    buf_put_str(url, path_end);
    return true;
}

/* How the guard knows who answered. */
static size_t peer_of(const struct question *question)
{
    return question->peer == question->service->options.peer_count ? SIZE_MAX : question->peer;
}

static void wait_until(struct question *question, uint64_t due_ms)
{
    question->is_active = true;
    question->due_ms = due_ms;
    TAILQ_INSERT_TAIL(&question->service->waiting, question, next);
}

static uint64_t retry_ms(unsigned tries)
{
    uint64_t delay = GUARD_SERVICE_RETRY_MS_MIN;
    for (unsigned i = 1; i < tries && delay < GUARD_SERVICE_RETRY_MS_MAX; i++) {
        delay *= 2;
    }
    delay = delay < GUARD_SERVICE_RETRY_MS_MAX ? delay : GUARD_SERVICE_RETRY_MS_MAX;
    uint16_t noise;
    crypto_random((uint8_t *)&noise, sizeof noise);
    return delay / 2 + delay * noise / (2 * UINT64_C(65536));
}

static void settle(struct question *question)
{
    question->is_active = false;
    question->tries = 0;
}

static void retry_or_drop(struct question *question, const char *why)
{
    struct guard_service *service = question->service;
    char reason[64];
    bool is_own = peer_of(question) == SIZE_MAX;
    bool is_waited_for = guard_verdict(service->options.guard, question->log, reason,
                                       sizeof reason) == GUARD_CHECKING;
    question->tries++;
    if (question->tries == 1) {
        log_event(LOG_LEVEL_WARN, "guard_peer_silent", "peer=%s origin=%s error=%s",
                  log_quoted_str(is_own ? "the log" : service->options.peers[question->peer]).text,
                  log_quoted_str(question->log->origin).text, log_quoted_str(why).text);
    }
    if (is_waited_for && (!is_own || question->tries < OWN_TRIES_MAX)) {
        wait_until(question, now_ms() + retry_ms(question->tries));
    } else {
        settle(question);
    }
}

static void pump(struct guard_service *service);

static void leave_place(struct guard_service *service)
{
    service->in_flight--;
    pump(service);
}

static void judge(void *arg)
{
    struct question *question = arg;
    guard_on_note(question->service->options.guard, question->log, peer_of(question),
                  buf_span(&question->note), now_ms());
}

static void on_judged(void *arg)
{
    struct question *question = arg;
    struct guard_service *service = question->service;
    buf_clear(&question->note);
    settle(question);
    service->working--;
    leave_place(service);
    finish_close(service);
}

static void on_reply(void *ctx, enum err_code code, struct http_reply *reply, const struct err *err)
{
    struct question *question = ctx;
    struct guard_service *service = question->service;
    if (code == E_OK && reply->status == 200) {
        buf_init(&question->note, reply->body.max);
        buf_take(&question->note, &reply->body);
        post(service, question, judge, on_judged);
        return;
    }
    if (code == E_OK && reply->status == 404) {
        guard_on_none(service->options.guard, question->log, peer_of(question), now_ms());
        settle(question);
    } else {
        char status[32];
        snprintf(status, sizeof status, "status %d", code == E_OK ? reply->status : 0);
        retry_or_drop(question, code == E_OK ? status : err->msg);
    }
    leave_place(service);
}

static void ask(struct question *question)
{
    struct guard_service *service = question->service;
    struct buf url = BUF_INIT(URL_BYTES_MAX);
    if (put_url(question, &url)) {
        struct http_client_request request = { .method = "GET",
                                               .url = buf_c_str(&url),
                                               .reply_bytes_max = LEDGER_NOTE_BYTES_MAX,
                                               .timeout_ms = GUARD_SERVICE_TIMEOUT_MS };
        service->in_flight++;
        http_client_start(service->client, &request, question, on_reply);
    } else {
        settle(question);
    }
    buf_clear(&url);
}

/* Asks what is due, as far as there are places. */
static void pump(struct guard_service *service)
{
    uint64_t now = now_ms();
    struct question *question, *next;
    for (question = TAILQ_FIRST(&service->waiting);
         question != NULL && service->in_flight < GUARD_SERVICE_IN_FLIGHT_MAX &&
         !service->is_closing;
         question = next) {
        next = TAILQ_NEXT(question, next);
        if (question->due_ms <= now) {
            TAILQ_REMOVE(&service->waiting, question, next);
            ask(question);
        }
    }
}

/* --- Which logs are asked about. --- */

static struct asking *asking_of(struct guard_service *service, struct known_log *log)
{
    struct asking key = { .log = log };
    struct asking **found = tfind(&key, &service->askings, compare);
    if (found != NULL) {
        return *found;
    }
    size_t count = service->options.peer_count + 1;
    struct asking *asking = mem_calloc(1, sizeof *asking + count * sizeof asking->questions[0]);
    asking->log = log;
    for (size_t i = 0; i < count; i++) {
        asking->questions[i].service = service;
        asking->questions[i].log = log;
        asking->questions[i].peer = i;
    }
    if (tsearch(asking, &service->askings, compare) == NULL) {
        abort(); /* out of memory, as in alloc.c */
    }
    return asking;
}

static void ask_about(struct guard_service *service, struct known_log *log)
{
    struct asking *asking = asking_of(service, log);
    uint64_t now = now_ms();
    for (size_t i = 0; i <= service->options.peer_count; i++) {
        if (!asking->questions[i].is_active) {
            wait_until(&asking->questions[i], now);
        }
    }
}

void guard_service_ask(struct guard_service *service, struct known_log *log)
{
    if (!guard_wants_ask(service->options.guard, log, now_ms())) {
        return;
    }
    pthread_mutex_lock(&service->mutex);
    if (service->wanted_count == service->wanted_room) {
        service->wanted_room = service->wanted_room == 0 ? 16 : 2 * service->wanted_room;
        service->wanted =
            mem_realloc(service->wanted, service->wanted_room * sizeof(struct known_log *));
    }
    service->wanted[service->wanted_count++] = log;
    pthread_mutex_unlock(&service->mutex);
    uv_async_send(&service->wake);
}

static void on_wake(uv_async_t *wake)
{
    struct guard_service *service = wake->data;
    pthread_mutex_lock(&service->mutex);
    for (size_t i = 0; i < service->wanted_count; i++) {
        ask_about(service, service->wanted[i]);
    }
    service->wanted_count = 0;
    pthread_mutex_unlock(&service->mutex);
    pump(service);
}

static void tick(void *arg)
{
    struct guard_service *service = arg;
    guard_on_tick(service->options.guard, now_ms());
}

static void on_ticked(void *arg)
{
    struct guard_service *service = arg;
    service->working--;
    service->is_ticking = false;
    finish_close(service);
}

static void on_timer(uv_timer_t *timer)
{
    struct guard_service *service = timer->data;
    size_t count = log_table_count(service->options.logs);
    for (; service->known < count; service->known++) {
        struct known_log *log = log_table_at(service->options.logs, service->known);
        if (guard_wants_ask(service->options.guard, log, now_ms())) {
            ask_about(service, log);
        }
    }
    pump(service);
    if (!service->is_ticking) {
        service->is_ticking = true;
        post(service, service, tick, on_ticked);
    }
}

/* --- Life. --- */

struct guard_service *guard_service_start(const struct guard_service_options *options)
{
    assert(options->peer_count <= GUARD_PEERS_MAX);
    struct guard_service *service = NEW(struct guard_service);
    service->options = *options;
    TAILQ_INIT(&service->waiting);
    pthread_mutex_init(&service->mutex, NULL);
    struct http_client_options client = { .connect_timeout_ms = GUARD_SERVICE_TIMEOUT_MS,
                                          .connections_max = GUARD_SERVICE_IN_FLIGHT_MAX };
    service->client = http_client_new(options->loop, &client);
    service->timer.data = service;
    service->wake.data = service;
    uv_timer_init(options->loop, &service->timer);
    int rc = uv_async_init(options->loop, &service->wake, on_wake);
    assert(rc == 0);
    (void)rc;
    uv_timer_start(&service->timer, on_timer, 0, TICK_MS);
    return service;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct guard_service *service = handle->data;
    service->open--;
    finish_close(service);
}

static void on_client_closed(void *ctx)
{
    struct guard_service *service = ctx;
    service->open--;
    finish_close(service);
}

void guard_service_close(struct guard_service *service, void *ctx, void (*on_closed)(void *ctx))
{
    assert(!service->is_closing);
    service->is_closing = true;
    service->closed_ctx = ctx;
    service->on_closed = on_closed;
    service->open = 3;
    uv_close((uv_handle_t *)&service->timer, on_handle_closed);
    uv_close((uv_handle_t *)&service->wake, on_handle_closed);
    http_client_close(service->client, service, on_client_closed);
}
