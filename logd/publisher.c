#include "logd/publisher.h"

#include "base/alloc.h"
#include "base/log.h"
#include "logd/archive.h"
#include "logd/partials.h"
#include "logd/round.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum {
    CLEAN_MS = 10 * 1000,      /* between two looks for partial tiles that may go */
    PRUNE_MS = 60 * 60 * 1000, /* between two looks at the archive */
};

enum step_kind {
    STEP_PREPARE,
    STEP_PUBLISH,
    STEP_CLEAN
};

/* One step on a worker: it touches its own fields, the stores and the signer, one at a time. */
struct step {
    uv_work_t request;
    struct publisher *publisher;
    enum step_kind kind;
    struct snapshot *snapshot; /* the round's, borrowed; not for CLEAN */
    struct buf note;           /* PREPARE fills it, PUBLISH reads it */
    int64_t unix_s;
    enum err_code rc;
    struct err err;
};

struct publisher {
    struct publisher_options options;
    struct sequencer_thread *sequencer;
    struct round round;
    struct partials *partials; /* a worker's while is_stepping, else the loop thread's */
    uint64_t prune_ms;         /* likewise; when the archive is looked at next */
    struct snapshot *snapshot; /* of the round under way; owned */
    struct step step;
    bool is_stepping;
    bool has_next; /* a step of the round waits until CLEAN has ended */
    enum step_kind next;
    bool is_started;

    pthread_mutex_t mutex; /* guards the two below */
    bool is_failing;
    struct err failure;

    uv_async_t wake;
    uv_timer_t timer;
    uv_timer_t clean_timer;
    int open_handles;
    bool is_closing;
    void *closed_ctx;
    void (*on_closed)(void *ctx);

    /* Told by other threads, then `wake`; news only while a round waits for them. */
    atomic_bool wants_news;
    _Atomic uint64_t news;
    _Atomic uint64_t stored;
    _Atomic(struct snapshot *) given; /* owned until taken */
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* -- Worker -- */

static enum err_code prepare(struct step *step)
{
    struct publisher *publisher = step->publisher;
    struct tiles *tiles = publisher->options.tiles;
    enum err_code rc =
        partials_write(publisher->partials, tiles, &step->snapshot->edge, &step->err);
    if (rc == E_OK) {
        rc = tiles_sync(tiles, &step->err);
    }
    if (rc == E_OK) {
        rc = signing_sign(publisher->options.signing, &step->snapshot->checkpoint, &step->note,
                          &step->err);
    }
    return rc;
}

/* The archive first: what was ever published is in it. */
static enum err_code publish(struct step *step)
{
    struct tiles *tiles = step->publisher->options.tiles;
    enum err_code rc = archive_add(tiles, step->unix_s, buf_span(&step->note), &step->err);
    if (rc == E_OK) {
        rc = tiles_replace(tiles, "checkpoint", buf_span(&step->note), &step->err);
    }
    return rc;
}

/* What is old enough goes, a little at a time. Failures wait for the next time. */
static void clean(struct step *step)
{
    struct publisher *publisher = step->publisher;
    struct tiles *tiles = publisher->options.tiles;
    uint64_t now = now_ms();
    partials_remove_due(publisher->partials, tiles, published_size(publisher->options.published),
                        now);
    if (now < publisher->prune_ms) {
        return;
    }
    bool has_more = false;
    struct err err;
    if (archive_prune(tiles, step->unix_s, &has_more, &err) != E_OK) {
        log_error(LOG_LEVEL_WARN, "archive_not_pruned", &err);
    }
    publisher->prune_ms = has_more ? now : now + PRUNE_MS;
}

static void run_step(uv_work_t *request)
{
    struct step *step = request->data;
    step->rc = E_OK;
    switch (step->kind) {
    case STEP_PREPARE:
        step->rc = prepare(step);
        break;
    case STEP_PUBLISH:
        step->rc = publish(step);
        break;
    case STEP_CLEAN:
        clean(step);
        break;
    }
}

/* -- Loop thread -- */

static void round_event(struct publisher *publisher, enum round_event_type type, uint64_t size,
                        bool is_ok);
static void close_if_done(struct publisher *publisher);

/* The loop is woken for news only when the round rests and none are known: every commit is news.
 * The flag is set before the news are read, so that none are missed. */
static void hear_news(struct publisher *publisher)
{
    const struct round *round = &publisher->round;
    bool is_waiting = round->phase == ROUND_RESTING && round->durable <= round->published;
    atomic_store(&publisher->wants_news, is_waiting);
    round_event(publisher, ROUND_NEWS, atomic_load(&publisher->news), true);
}

static void note_outcome(struct publisher *publisher, const struct step *step)
{
    bool was_failing = publisher->is_failing;
    pthread_mutex_lock(&publisher->mutex);
    if (step->rc != E_OK) {
        publisher->is_failing = true;
        publisher->failure = step->err;
    } else if (step->kind == STEP_PUBLISH) {
        publisher->is_failing = false;
    }
    pthread_mutex_unlock(&publisher->mutex);
    if (step->rc != E_OK) {
        log_error(LOG_LEVEL_ERROR, "publishing_failed", &step->err);
    } else if (was_failing && !publisher->is_failing) {
        log_event(LOG_LEVEL_INFO, "publishing_again", "%s", "");
    }
}

static void make_public(struct publisher *publisher, struct step *step)
{
    struct http_body *note = http_body_new(buf_span(&step->note));
    published_set(publisher->options.published,
                  published_tree_new(&step->snapshot->checkpoint, note, &step->snapshot->edge));
    http_body_release(note);
}

static void start_step(struct publisher *publisher, enum step_kind kind);

/* What a step of the round has led to. */
static void end_round_step(struct publisher *publisher, struct step *step)
{
    bool is_ok = step->rc == E_OK;
    bool is_published = is_ok && step->kind == STEP_PUBLISH;
    note_outcome(publisher, step);
    if (is_published) {
        make_public(publisher, step);
    }
    if (!is_ok || is_published) {
        snapshot_free(publisher->snapshot);
        publisher->snapshot = NULL;
        buf_reset(&step->note);
    }
    if (publisher->is_closing) { /* those whom on_published is for may be gone */
        return;
    }
    if (is_published) {
        publisher->options.on_published(publisher->options.ctx);
    }
    round_event(publisher, step->kind == STEP_PREPARE ? ROUND_PREPARED : ROUND_PUBLISHED, 0, is_ok);
    hear_news(publisher);
}

static void on_step_done(uv_work_t *request, int status)
{
    (void)status; /* never cancelled */
    struct step *step = request->data;
    struct publisher *publisher = step->publisher;
    publisher->is_stepping = false;
    if (step->kind != STEP_CLEAN) {
        end_round_step(publisher, step);
    } else if (publisher->has_next && !publisher->is_closing) {
        publisher->has_next = false;
        start_step(publisher, publisher->next);
    }
    if (publisher->is_closing) {
        close_if_done(publisher);
    }
}

/* One step at a time: the round's own follow each other, but may meet a CLEAN. */
static void start_step(struct publisher *publisher, enum step_kind kind)
{
    struct step *step = &publisher->step;
    if (publisher->is_stepping) {
        assert(step->kind == STEP_CLEAN);
        publisher->has_next = true;
        publisher->next = kind;
        return;
    }
    step->request.data = step;
    step->publisher = publisher;
    step->kind = kind;
    step->snapshot = publisher->snapshot;
    step->unix_s = (int64_t)time(NULL);
    publisher->is_stepping = true;
    int rc = uv_queue_work(publisher->options.loop, &step->request, run_step, on_step_done);
    assert(rc == 0);
}

static void on_clean_timer(uv_timer_t *timer)
{
    struct publisher *publisher = timer->data;
    if (!publisher->is_stepping && !publisher->is_closing) {
        start_step(publisher, STEP_CLEAN);
    }
}

static void on_timer(uv_timer_t *timer)
{
    round_event(timer->data, ROUND_TICK, 0, true);
}

static void perform(struct publisher *publisher, const struct round_action *action)
{
    switch (action->type) {
    case ROUND_TAKE_SNAPSHOT:
        sequencer_thread_ask_snapshot(publisher->sequencer);
        break;
    case ROUND_PREPARE:
        start_step(publisher, STEP_PREPARE);
        break;
    case ROUND_PUBLISH:
        start_step(publisher, STEP_PUBLISH);
        break;
    case ROUND_WAIT: {
        uint64_t now = now_ms();
        uv_timer_start(&publisher->timer, on_timer, action->at_ms > now ? action->at_ms - now : 0,
                       0);
        break;
    }
    }
}

static void round_event(struct publisher *publisher, enum round_event_type type, uint64_t size,
                        bool is_ok)
{
    struct round_event event = { .type = type, .now_ms = now_ms(), .size = size, .is_ok = is_ok };
    struct round_actions actions;
    actions.count = 0;
    round_step(&publisher->round, &event, &actions);
    for (size_t i = 0; i < actions.count; i++) {
        perform(publisher, &actions.items[i]);
    }
}

static void take_snapshot(struct publisher *publisher)
{
    struct snapshot *snapshot = atomic_exchange(&publisher->given, NULL);
    if (snapshot == NULL) {
        return;
    }
    assert(publisher->snapshot == NULL);
    snprintf(snapshot->checkpoint.origin, sizeof snapshot->checkpoint.origin, "%s",
             signing_origin(publisher->options.signing));
    publisher->snapshot = snapshot;
    round_event(publisher, ROUND_SNAPSHOT, snapshot->checkpoint.size, true);
}

static void on_wake(uv_async_t *wake)
{
    struct publisher *publisher = wake->data;
    if (publisher->is_closing || !publisher->is_started) {
        return;
    }
    take_snapshot(publisher);
    round_event(publisher, ROUND_STORED, atomic_load(&publisher->stored), true);
    hear_news(publisher);
}

struct publisher *publisher_new(const struct publisher_options *options)
{
    struct publisher *publisher = NEW(struct publisher);
    publisher->options = *options;
    publisher->partials = partials_new();
    pthread_mutex_init(&publisher->mutex, NULL);
    buf_init(&publisher->step.note, NOTE_BYTES_MAX);
    struct published_tree *tree = published_get(options->published);
    uint64_t size = tree == NULL ? 0 : tree->checkpoint.size;
    round_init(&publisher->round, options->interval_ms, tree != NULL, size, options->stored);
    round_pause(&publisher->round, options->is_paused);
    struct err err;
    if (partials_scan(publisher->partials, options->tiles, size, &err) != E_OK) {
        log_error(LOG_LEVEL_WARN, "partials_scan", &err);
    }
    published_tree_release(tree);
    publisher->stored = options->stored;
    int rc = uv_async_init(options->loop, &publisher->wake, on_wake);
    assert(rc == 0);
    uv_timer_init(options->loop, &publisher->timer);
    uv_timer_init(options->loop, &publisher->clean_timer);
    publisher->wake.data = publisher;
    publisher->timer.data = publisher;
    publisher->clean_timer.data = publisher;
    uv_timer_start(&publisher->clean_timer, on_clean_timer, CLEAN_MS, CLEAN_MS);
    return publisher;
}

void publisher_start(struct publisher *publisher, struct sequencer_thread *sequencer,
                     uint64_t durable_size)
{
    publisher->sequencer = sequencer;
    publisher->is_started = true;
    publisher_on_news(publisher, durable_size);
    uv_async_send(&publisher->wake);
}

void publisher_drain(struct publisher *publisher)
{
    if (publisher->is_started && !publisher->is_closing) {
        round_event(publisher, ROUND_DRAIN, 0, true);
        hear_news(publisher);
    }
}

/* News may come in the wrong order: at the start two threads tell them. */
void publisher_on_news(struct publisher *publisher, uint64_t size)
{
    uint64_t known = atomic_load(&publisher->news);
    while (known < size && !atomic_compare_exchange_weak(&publisher->news, &known, size)) {
    }
    if (atomic_exchange(&publisher->wants_news, false)) {
        uv_async_send(&publisher->wake);
    }
}

void publisher_on_stored(struct publisher *publisher, uint64_t size)
{
    atomic_store(&publisher->stored, size);
    uv_async_send(&publisher->wake);
}

void publisher_on_snapshot(struct publisher *publisher, struct snapshot *snapshot)
{
    snapshot_free(atomic_exchange(&publisher->given, snapshot));
    uv_async_send(&publisher->wake);
}

bool publisher_is_degraded(struct publisher *publisher, char *reason, size_t reason_max)
{
    pthread_mutex_lock(&publisher->mutex);
    bool is_failing = publisher->is_failing;
    if (is_failing) {
        snprintf(reason, reason_max, "%s", publisher->failure.msg);
    }
    pthread_mutex_unlock(&publisher->mutex);
    return is_failing;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct publisher *publisher = handle->data;
    if (--publisher->open_handles > 0) {
        return;
    }
    snapshot_free(publisher->snapshot);
    snapshot_free(atomic_load(&publisher->given));
    partials_free(publisher->partials);
    buf_clear(&publisher->step.note);
    void *ctx = publisher->closed_ctx;
    void (*on_closed)(void *) = publisher->on_closed;
    pthread_mutex_destroy(&publisher->mutex);
    mem_free(publisher);
    on_closed(ctx);
}

static void close_if_done(struct publisher *publisher)
{
    if (publisher->is_stepping) {
        return;
    }
    publisher->open_handles = 3;
    uv_close((uv_handle_t *)&publisher->wake, on_handle_closed);
    uv_close((uv_handle_t *)&publisher->timer, on_handle_closed);
    uv_close((uv_handle_t *)&publisher->clean_timer, on_handle_closed);
}

void publisher_close(struct publisher *publisher, void *ctx, void (*on_closed)(void *ctx))
{
    publisher->is_closing = true;
    publisher->closed_ctx = ctx;
    publisher->on_closed = on_closed;
    close_if_done(publisher);
}
