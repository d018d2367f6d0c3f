/* The normal path is: a log joins the questions, a question waits until it is due and a place is free, its
 * answer is judged on a worker, and the place goes to the next. It can fail so: a peer that does not
 * answer, or answers something else than it should, is asked again until it has answered once; after
 * that the question is dropped until somebody asks it again. A peer that fails several times in a row is
 * asked little until it answers, so that it does not take the places of others. A poll is the same question,
 * asked when there is nothing better to do, and its answer counts as any other. */
#include "witness/guard_service.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/log.h"
#include "net/http_client.h"
#include "witness/peer_memory.h"

#include <assert.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TICK_MS = 1000,
    URL_BYTES_MAX = 4096,
    OWN_TRIES_MAX = 3, /* of a log's own URL, which nobody waits for */
    RETRIES = 8,       /* waits of different length: the last is that of all further ones too */
    QUEUE_PLACES = 8,  /* of the places in flight, for one peer, or for all logs' own URLs */
    FAILURES_HELD = 3, /* in a row: then it is asked one question at a time, */
    HELD_MS = 1000     /* and so long after the last one failed */
};

enum question_kind {
    QUESTION_CHECKPOINT,
    QUESTION_MEMORY, /* what a peer remembers of its peers */
    QUESTION_KINDS
};
static const char *const path_ends[QUESTION_KINDS] = { "checkpoint", "peers" };

enum question_state {
    QUESTION_IDLE,
    QUESTION_WAITING, /* in the list of those */
    QUESTION_POLLED,  /* likewise */
    QUESTION_ASKED    /* in flight, or judged */
};

TAILQ_HEAD(questions, question);

struct question {
    TAILQ_ENTRY(question) next; /* while it is in a list */
    struct guard_service *service;
    struct asking *asking;
    enum question_kind kind;
    size_t peer; /* peer_count: the log's own URL */
    enum question_state state;
    bool is_poll;
    bool is_answer; /* what was judged */
    unsigned tries;
    unsigned retry; /* which of the queue's lists it is in */
    uint64_t due_ms;
    struct buf body; /* while it is judged; owned */
};

/* All questions about one log. */
struct asking {
    struct known_log *log;
    unsigned answered[QUESTION_KINDS]; /* bits: peers that did */
    struct question questions[];       /* question_count */
};

/* Who is asked: a peer, or the logs themselves. */
struct queue {
    /* By how long they wait; so each list is in the order in which its questions are due. */
    struct questions waiting[RETRIES];
    size_t in_flight;
    unsigned failures; /* in a row; not of the logs' */
    uint64_t from_ms, poll_from_ms;
};

struct guard_service {
    struct guard_service_options options;
    struct http_client *client;
    uv_timer_t timer;
    uv_async_t wake;
    void *askings; /* tree by log; owned */
    uint64_t retry_ms[RETRIES];
    struct queue queues[GUARD_PEERS_MAX + 1]; /* of the peers, and the logs' at peer_count */
    size_t turn;                              /* the queue that is looked at next */
    struct questions polled;
    size_t polled_count;
    size_t poll_next;     /* of the pairs of a log and a peer: the next to poll */
    uint64_t poll_due_ms; /* the next time round begins */
    size_t in_flight;     /* transfers, and notes that are judged */
    size_t known;         /* logs of the table that were asked about once */
    size_t working;       /* items in the lane */
    bool is_ticking, is_tick_wanted;
    bool is_closing;
    int open; /* handles */
    void *closed_ctx;
    void (*on_closed)(void *ctx);

    pthread_mutex_t mutex; /* guards all below */
    struct known_log **wanted;
    size_t wanted_count, wanted_room;
};

static size_t question_count(const struct guard_service *service)
{
    return 2 * service->options.peer_count + 1; /* the log's own has no memory */
}

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
    const char *base = is_own ? question->asking->log->url : options->peers[question->peer];
    if (base == NULL || strlen(base) > URL_BYTES_MAX / 2) {
        return false;
    }
    put_joined(url, base);
    if (!is_own) {
        hex_put(url, hash_span(&question->asking->log->origin_hash));
        buf_put_str(url, "/");
    }
    buf_put_str(url, path_ends[question->kind]);
    return true;
}

/* The peer's URL; NULL: it is the log that is asked. */
static const char *peer_of(const struct question *question)
{
    const struct guard_service_options *options = &question->service->options;
    return question->peer == options->peer_count ? NULL : options->peers[question->peer];
}

static struct queue *queue_of(const struct question *question)
{
    return &question->service->queues[question->peer];
}

static void leave_list(struct question *question)
{
    struct guard_service *service = question->service;
    if (question->state == QUESTION_WAITING) {
        TAILQ_REMOVE(&queue_of(question)->waiting[question->retry], question, next);
    } else if (question->state == QUESTION_POLLED) {
        TAILQ_REMOVE(&service->polled, question, next);
        service->polled_count--;
    }
    question->state = QUESTION_IDLE;
}

/* As long as it has failed often; not at all at first. */
static void wait_turn(struct question *question)
{
    question->state = QUESTION_WAITING;
    question->is_poll = false;
    question->retry = question->tries < RETRIES ? question->tries : RETRIES - 1;
    question->due_ms = now_ms() + question->service->retry_ms[question->retry];
    TAILQ_INSERT_TAIL(&queue_of(question)->waiting[question->retry], question, next);
}

static void poll_soon(struct question *question)
{
    question->state = QUESTION_POLLED;
    question->is_poll = true;
    TAILQ_INSERT_TAIL(&question->service->polled, question, next);
    question->service->polled_count++;
}

/* From half of it to one and a half. */
static uint64_t jittered(uint64_t delay)
{
    uint16_t noise;
    crypto_random((uint8_t *)&noise, sizeof noise);
    return delay / 2 + delay * noise / UINT64_C(65536);
}

static uint64_t retry_ms(unsigned tries)
{
    uint64_t delay = GUARD_SERVICE_RETRY_MS_MIN;
    for (unsigned i = 1; i < tries && delay < GUARD_SERVICE_RETRY_MS_MAX; i++) {
        delay *= 2;
    }
    delay = delay < GUARD_SERVICE_RETRY_MS_MAX ? delay : GUARD_SERVICE_RETRY_MS_MAX;
    return jittered(delay);
}

static void settle(struct question *question)
{
    question->state = QUESTION_IDLE;
    question->tries = 0;
}

/* True when it is worth a line: of a poll the first in a row only, and few of a peer that is away. */
static bool count_failure(const struct question *question)
{
    if (peer_of(question) == NULL) {
        return question->tries == 1;
    }
    struct queue *queue = queue_of(question);
    uint64_t now = now_ms();
    queue->failures++;
    queue->from_ms = queue->failures < FAILURES_HELD ? 0 : now + HELD_MS;
    queue->poll_from_ms = now + retry_ms(queue->failures);
    return question->is_poll ? queue->failures == 1
                             : question->tries == 1 && queue->failures <= FAILURES_HELD;
}

static void count_answer(const struct question *question)
{
    struct guard_service *service = question->service;
    struct asking *asking = question->asking;
    unsigned bit = 1U << question->peer;
    if (peer_of(question) == NULL) {
        return;
    }
    struct queue *queue = queue_of(question);
    queue->failures = 0;
    queue->from_ms = queue->poll_from_ms = 0;
    asking->answered[question->kind] |= bit;
    if ((asking->answered[QUESTION_CHECKPOINT] & asking->answered[QUESTION_MEMORY] & bit) != 0) {
        guard_on_none(service->options.guard, asking->log, question->peer, now_ms());
    }
}

/* Must it be asked until it is answered? Whatever the guard's verdict is by then: the peer that comes last
 * may be the one that knows better. */
static bool is_waited_for(const struct question *question)
{
    const struct asking *asking = question->asking;
    char reason[64];
    if (peer_of(question) != NULL) {
        return (asking->answered[question->kind] >> question->peer & 1U) == 0;
    }
    return question->tries < OWN_TRIES_MAX &&
           guard_verdict(question->service->options.guard, asking->log, reason, sizeof reason) ==
               GUARD_CHECKING;
}

static void retry_or_drop(struct question *question, const char *why)
{
    const char *peer = peer_of(question);
    question->tries++;
    if (count_failure(question)) {
        log_event(LOG_LEVEL_WARN, "guard_peer_silent", "peer=%s origin=%s error=%s",
                  log_quoted_str(peer == NULL ? "the log" : peer).text,
                  log_quoted_str(question->asking->log->origin).text, log_quoted_str(why).text);
    }
    if (is_waited_for(question)) {
        wait_turn(question);
    } else {
        settle(question);
    }
}

static void pump(struct guard_service *service);

static void leave_place(struct question *question)
{
    question->service->in_flight--;
    queue_of(question)->in_flight--;
    pump(question->service);
}

/* The peer is counted when all its notes were judged. True: it is a note of the log. */
static bool judge_note(const struct question *question, const char *peer, struct span note)
{
    const struct guard_service_options *options = &question->service->options;
    struct known_log *log = question->asking->log;
    guard_on_note(options->guard, log, SIZE_MAX, note, now_ms());
    return peer_memory_on_note(options->ledger, options->evidence, log, peer, note);
}

static void judge(void *arg)
{
    struct question *question = arg;
    struct span body = buf_span(&question->body);
    if (question->kind == QUESTION_CHECKPOINT) {
        question->is_answer = judge_note(question, peer_of(question), body);
        return;
    }
    struct peer_notes notes;
    struct err err;
    question->is_answer = peer_notes_parse(&notes, body, &err) == E_OK;
    for (size_t i = 0; i < notes.count && question->is_answer; i++) {
        judge_note(question, NULL, notes.notes[i]); /* others show those: not to be passed on */
    }
}

static void on_judged(void *arg)
{
    struct question *question = arg;
    struct guard_service *service = question->service;
    buf_clear(&question->body);
    if (question->is_answer) {
        count_answer(question);
        settle(question);
    } else {
        retry_or_drop(question, question->kind == QUESTION_CHECKPOINT
                                    ? "status 200 without a note of this log"
                                    : "status 200 without peers' notes");
    }
    service->working--;
    leave_place(question);
    finish_close(service);
}

/* Is that the answer of somebody who has none? What a proxy says for a peer, or a peer that is in trouble
 * or wants to know us first, is not. Foreign peers need not have what they remember of theirs. */
static bool is_none(enum question_kind kind, int status)
{
    return status == 404 || (kind == QUESTION_MEMORY && (status == 405 || status == 501));
}

static void on_reply(void *ctx, enum err_code code, struct http_reply *reply, const struct err *err)
{
    struct question *question = ctx;
    struct guard_service *service = question->service;
    if (code == E_OK && reply->status == 200) {
        buf_init(&question->body, reply->body.max);
        buf_take(&question->body, &reply->body);
        post(service, question, judge, on_judged);
        return;
    }
    if (code == E_OK && is_none(question->kind, reply->status)) {
        count_answer(question);
        settle(question);
    } else {
        char status[32];
        snprintf(status, sizeof status, "status %d", code == E_OK ? reply->status : 0);
        retry_or_drop(question, code == E_OK ? status : err->msg);
    }
    leave_place(question);
}

static void ask(struct question *question)
{
    struct guard_service *service = question->service;
    struct buf url = BUF_INIT(URL_BYTES_MAX);
    question->state = QUESTION_ASKED;
    if (put_url(question, &url)) {
        struct http_client_request request = { .method = "GET",
                                               .url = buf_c_str(&url),
                                               .reply_bytes_max =
                                                   question->kind == QUESTION_MEMORY
                                                       ? (size_t)PEER_NOTES_BYTES_MAX
                                                       : (size_t)LEDGER_NOTE_BYTES_MAX,
                                               .timeout_ms = GUARD_SERVICE_TIMEOUT_MS };
        service->in_flight++;
        queue_of(question)->in_flight++;
        http_client_start(service->client, &request, question, on_reply);
    } else {
        settle(question);
    }
    buf_clear(&url);
}

/* The next question of a queue that may be asked now, or NULL. First those that were not asked yet. */
static struct question *next_due(const struct queue *queue, uint64_t now)
{
    size_t places = queue->failures < FAILURES_HELD ? QUEUE_PLACES : 1;
    if (queue->in_flight >= places || queue->from_ms > now) {
        return NULL;
    }
    for (size_t i = 0; i < RETRIES; i++) {
        struct question *question = TAILQ_FIRST(&queue->waiting[i]);
        if (question != NULL && question->due_ms <= now) {
            return question;
        }
    }
    return NULL;
}

/* Asks what is due, as far as there are places: the queues by turns, then polls. Looks at the first of each
 * list only, however many wait. */
static void pump(struct guard_service *service)
{
    size_t count = service->options.peer_count + 1, idle = 0;
    uint64_t now = now_ms();
    struct question *question;
    while (!service->is_closing && idle < count &&
           service->in_flight < GUARD_SERVICE_IN_FLIGHT_MAX) {
        question = next_due(&service->queues[service->turn], now);
        service->turn = (service->turn + 1) % count;
        idle = question == NULL ? idle + 1 : 0;
        if (question != NULL) {
            leave_list(question);
            ask(question);
        }
    }
    while (!service->is_closing && service->in_flight < GUARD_SERVICE_POLLED_MAX &&
           (question = TAILQ_FIRST(&service->polled)) != NULL) {
        leave_list(question);
        ask(question);
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
    size_t count = question_count(service);
    struct asking *asking = mem_calloc(1, sizeof *asking + count * sizeof asking->questions[0]);
    asking->log = log;
    for (size_t i = 0; i < count; i++) {
        asking->questions[i].service = service;
        asking->questions[i].asking = asking;
        asking->questions[i].kind =
            i <= service->options.peer_count ? QUESTION_CHECKPOINT : QUESTION_MEMORY;
        asking->questions[i].peer =
            i <= service->options.peer_count ? i : i - service->options.peer_count - 1;
    }
    if (tsearch(asking, &service->askings, compare) == NULL) {
        abort(); /* out of memory, as in alloc.c */
    }
    return asking;
}

static void ask_about(struct guard_service *service, struct known_log *log)
{
    struct asking *asking = asking_of(service, log);
    for (size_t i = 0; i < question_count(service); i++) {
        struct question *question = &asking->questions[i];
        if (peer_of(question) == NULL && log->url == NULL) {
            continue;
        }
        if (question->state == QUESTION_POLLED) {
            leave_list(question);
        }
        if (question->state == QUESTION_IDLE) {
            wait_turn(question);
        }
    }
}

/* Takes up those of the polls that are due now: as many as finish the round in time. */
static void take_polls(struct guard_service *service)
{
    size_t peers = service->options.peer_count, total = peers * service->known;
    uint64_t now = now_ms();
    if (service->poll_next >= total && now < service->poll_due_ms) {
        return;
    }
    if (service->poll_next >= total) {
        service->poll_next = 0;
        service->poll_due_ms = now + jittered(service->options.poll_ms);
    }
    size_t taken = 0, most = total / (size_t)(service->options.poll_ms / TICK_MS) + 1;
    most = most < GUARD_SERVICE_POLLS_PER_SECOND_MAX ? most : GUARD_SERVICE_POLLS_PER_SECOND_MAX;
    while (service->poll_next < total && taken < most &&
           service->polled_count < GUARD_SERVICE_POLLS_PER_SECOND_MAX) {
        size_t peer = service->poll_next % peers, log = service->poll_next / peers;
        service->poll_next++;
        if (service->queues[peer].poll_from_ms > now) {
            continue;
        }
        struct question *question =
            &asking_of(service, log_table_at(service->options.logs, log))->questions[peer];
        if (question->state == QUESTION_IDLE) {
            poll_soon(question);
            taken++;
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

static void start_tick(struct guard_service *service);

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
    if (service->is_tick_wanted && !service->is_closing) {
        start_tick(service);
    }
    finish_close(service);
}

static void start_tick(struct guard_service *service)
{
    service->is_tick_wanted = service->is_ticking;
    if (!service->is_ticking) {
        service->is_ticking = true;
        post(service, service, tick, on_ticked);
    }
}

void guard_service_look(struct guard_service *service)
{
    start_tick(service);
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
    take_polls(service);
    pump(service);
    if (!service->is_ticking) {
        start_tick(service);
    }
}

/* --- Life. --- */

static void init_queues(struct guard_service *service)
{
    TAILQ_INIT(&service->polled);
    for (size_t i = 0; i <= service->options.peer_count; i++) {
        for (size_t j = 0; j < RETRIES; j++) {
            TAILQ_INIT(&service->queues[i].waiting[j]);
        }
    }
    for (unsigned i = 1; i < RETRIES; i++) {
        service->retry_ms[i] = retry_ms(i);
    }
}

struct guard_service *guard_service_start(const struct guard_service_options *options)
{
    assert(options->peer_count <= GUARD_PEERS_MAX && options->poll_ms >= TICK_MS);
    struct guard_service *service = NEW(struct guard_service);
    service->options = *options;
    init_queues(service);
    service->poll_due_ms = now_ms() + jittered(options->poll_ms);
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
