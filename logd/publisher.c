#include "logd/publisher.h"

#include "base/alloc.h"
#include "base/log.h"
#include "logd/publisher_parts.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

enum {
    CLEAN_MS = 10 * 1000, /* between two looks for partial tiles that may go */
};

uint64_t publisher_now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static void close_if_done(struct publisher *publisher);

/* The loop is woken for news only when the round rests and none are known: every commit is news.
 * The flag is set before the news are read, so that none are missed. */
static void hear_news(struct publisher *publisher)
{
    atomic_store(&publisher->wants_news, round_wants_news(&publisher->round));
    struct round_event event = { .type = ROUND_NEWS, .size = atomic_load(&publisher->news) };
    publisher_event(publisher, &event);
}

static void tell_round(struct publisher *publisher, enum round_event_type type, bool is_ok)
{
    struct round_event event = { .type = type, .is_ok = is_ok };
    publisher_event(publisher, &event);
}

/* -- What a step has led to -- */

static void note_outcome(struct publisher *publisher, const struct step *step)
{
    static const char *const failures[STEP_KINDS] = {
        [STEP_KEEP_PROOF] = "contradiction_not_kept",
        [STEP_EXPORT] = "export_failed",
    };
    bool was_failing = publisher->is_failing;
    bool is_of_round = failures[step->kind] == NULL;
    pthread_mutex_lock(&publisher->mutex);
    if (step->rc != E_OK && is_of_round) {
        publisher->is_failing = true;
        publisher->failure = step->err;
    } else if (step->kind == STEP_PUBLISH || step->kind == STEP_MERGE) {
        publisher->is_failing = false;
    }
    pthread_mutex_unlock(&publisher->mutex);
    if (step->rc != E_OK) {
        log_error(LOG_LEVEL_ERROR, is_of_round ? "publishing_failed" : failures[step->kind],
                  &step->err);
    } else if (was_failing && !publisher->is_failing) {
        log_event(LOG_LEVEL_INFO, "publishing_again", "%s", "");
    }
}

static void end_prepare(struct publisher *publisher, struct step *step)
{
    bool is_ok = step->rc == E_OK, is_first = is_ok && !publisher->has_signed;
    snapshot_free(publisher->snapshot);
    publisher->snapshot = NULL;
    if (is_ok) {
        cosigning_keep(publisher->cosigning, step->made);
        step->made = NULL;
        publisher->has_signed = true;
    }
    if (publisher->is_closing) {
        return;
    }
    if (is_first) {
        publisher->options.on_signed(publisher->options.ctx);
    }
    tell_round(publisher, ROUND_PREPARED, is_ok);
    cosigning_sweep(publisher->cosigning, &publisher->round);
    publisher_exports_on_signed(publisher);
}

static void end_publish(struct publisher *publisher, struct step *step)
{
    bool is_ok = step->rc == E_OK, is_new = step->kind == STEP_PUBLISH;
    published_tree_release(step->tree);
    step->tree = NULL;
    if (is_ok) {
        published_set(publisher->options.published, step->made);
        step->made = NULL;
    }
    if (publisher->is_closing) { /* those whom on_published is for may be gone */
        return;
    }
    if (is_ok && is_new) {
        atomic_store(&publisher->witnessed, published_size(publisher->options.published));
        publisher->options.on_published(publisher->options.ctx);
    }
    tell_round(publisher, is_new ? ROUND_PUBLISHED : ROUND_MERGED, is_ok);
    cosigning_sweep(publisher->cosigning, &publisher->round);
}

static void start_wanted(struct publisher *publisher);

static void on_step_done(uv_work_t *request, int status)
{
    (void)status; /* never cancelled */
    struct step *step = request->data;
    struct publisher *publisher = step->publisher;
    publisher->is_stepping = false;
    publisher->failed[step->kind] = step->rc != E_OK;
    note_outcome(publisher, step);
    switch (step->kind) {
    case STEP_PREPARE:
        end_prepare(publisher, step);
        break;
    case STEP_PUBLISH:
    case STEP_MERGE:
        end_publish(publisher, step);
        break;
    case STEP_EXPORT:
        publisher_exports_on_saved(publisher, step);
        break;
    default:
        break;
    }
    if (publisher->is_closing) {
        close_if_done(publisher);
        return;
    }
    hear_news(publisher);
    start_wanted(publisher);
}

/* -- Steps: one at a time -- */

/* The note with all cosignatures that there are by now. */
static void fill_note(struct publisher *publisher, struct step *step, uint64_t size)
{
    const struct kept_note *kept = cosigning_note(publisher->cosigning, size);
    assert(kept != NULL);
    step->tree = published_tree_hold(kept->tree);
    cosigning_put_note(publisher->cosigning, kept, &step->note);
}

static void fill_merge(struct publisher *publisher, struct step *step)
{
    fill_note(publisher, step, publisher->round.published);
    published_tree_release(step->tree);
    step->tree = published_get(publisher->options.published); /* it has its entries */
}

static void fill_step(struct publisher *publisher, struct step *step)
{
    buf_reset(&step->note);
    switch (step->kind) {
    case STEP_KEEP_PROOF:
        buf_put(&step->note, buf_span(&publisher->theirs));
        break;
    case STEP_PREPARE:
        step->snapshot = publisher->snapshot;
        break;
    case STEP_PUBLISH:
        fill_note(publisher, step, publisher->round.publishing);
        break;
    case STEP_MERGE:
        fill_merge(publisher, step);
        break;
    case STEP_EXPORT:
        publisher_exports_fill(publisher, step);
        break;
    default:
        break;
    }
}

static void start_step(struct publisher *publisher, enum step_kind kind)
{
    struct step *step = &publisher->step;
    step->request.data = step;
    step->publisher = publisher;
    step->kind = kind;
    step->unix_s = (int64_t)time(NULL);
    fill_step(publisher, step);
    publisher->wanted[kind] = false;
    publisher->is_stepping = true;
    int rc =
        uv_queue_work(publisher->options.loop, &step->request, publisher_run_step, on_step_done);
    assert(rc == 0);
}

static void start_wanted(struct publisher *publisher)
{
    for (enum step_kind kind = 0; kind < STEP_KINDS && !publisher->is_stepping; kind++) {
        if (publisher->wanted[kind]) {
            start_step(publisher, kind);
        }
    }
}

void publisher_want_step(struct publisher *publisher, enum step_kind kind)
{
    publisher->wanted[kind] = true;
    if (!publisher->is_closing) {
        start_wanted(publisher);
    }
}

static void on_clean_timer(uv_timer_t *timer)
{
    static const enum step_kind again[] = { STEP_KEEP_PROOF, STEP_EXPORT };
    struct publisher *publisher = timer->data;
    if (publisher->is_closing) {
        return;
    }
    for (size_t i = 0; i < sizeof again / sizeof again[0]; i++) {
        if (publisher->failed[again[i]]) { /* a full disk: there may be room by now */
            publisher_want_step(publisher, again[i]);
        }
    }
    if (!publisher->is_stepping) {
        publisher_want_step(publisher, STEP_CLEAN);
    }
}

/* -- Rounds -- */

static void on_timer(uv_timer_t *timer)
{
    struct publisher *publisher = timer->data;
    if (publisher->is_closing) {
        return;
    }
    publisher_go_on_checking(publisher);
    tell_round(publisher, ROUND_TICK, true);
    hear_news(publisher); /* a round may have ended without a step */
}

void publisher_wake_at(struct publisher *publisher, uint64_t at_ms)
{
    uint64_t now = publisher_now_ms();
    uv_timer_start(&publisher->timer, on_timer, at_ms > now ? at_ms - now : 0, 0);
}

static void perform(struct publisher *publisher, const struct round_action *action)
{
    switch (action->type) {
    case ROUND_TAKE_SNAPSHOT:
        sequencer_thread_ask_snapshot(publisher->sequencer);
        break;
    case ROUND_PREPARE:
        publisher_want_step(publisher, STEP_PREPARE);
        break;
    case ROUND_PUBLISH:
        publisher_want_step(publisher, STEP_PUBLISH);
        break;
    case ROUND_MERGE:
        publisher_want_step(publisher, STEP_MERGE);
        break;
    case ROUND_ASK:
        cosigning_ask(publisher->cosigning, action->witness, action->size);
        break;
    case ROUND_WAIT:
        publisher_wake_at(publisher, action->at_ms);
        break;
    }
}

/* Sets the time of the event. Performing never comes back here. */
void publisher_event(struct publisher *publisher, const struct round_event *event)
{
    struct round_event now = *event;
    struct round_actions actions;
    now.now_ms = publisher_now_ms();
    actions.count = 0;
    round_step(&publisher->round, &now, &actions);
    for (size_t i = 0; i < actions.count; i++) {
        perform(publisher, &actions.items[i]);
    }
    publisher_update_reason(publisher);
}

static void take_snapshot(struct publisher *publisher)
{
    struct snapshot *snapshot = atomic_exchange(&publisher->given, NULL);
    if (snapshot == NULL) {
        return;
    }
    snprintf(snapshot->checkpoint.origin, sizeof snapshot->checkpoint.origin, "%s",
             signing_origin(publisher->options.signing));
    if (publisher->check != NULL) {
        publisher_check_snapshot(publisher, snapshot);
        return;
    }
    assert(publisher->snapshot == NULL);
    publisher->snapshot = snapshot;
    struct round_event event = { .type = ROUND_SNAPSHOT, .size = snapshot->checkpoint.size };
    publisher_event(publisher, &event);
}

static void run_posted(struct publisher *publisher)
{
    pthread_mutex_lock(&publisher->mutex);
    struct publisher_job *newest = publisher->posted, *job = NULL;
    publisher->posted = NULL;
    pthread_mutex_unlock(&publisher->mutex);
    while (newest != NULL) { /* in the order of posting */
        struct publisher_job *older = newest->next;
        newest->next = job;
        job = newest;
        newest = older;
    }
    while (job != NULL) {
        struct publisher_job *next = job->next;
        job->run(job);
        job = next;
    }
}

void publisher_post(struct publisher *publisher, struct publisher_job *job)
{
    pthread_mutex_lock(&publisher->mutex);
    job->next = publisher->posted;
    publisher->posted = job;
    pthread_mutex_unlock(&publisher->mutex);
    uv_async_send(&publisher->wake);
}

static void on_wake(uv_async_t *wake)
{
    struct publisher *publisher = wake->data;
    if (publisher->is_closing || !publisher->is_started) {
        return;
    }
    run_posted(publisher);
    take_snapshot(publisher);
    struct round_event event = { .type = ROUND_STORED, .size = atomic_load(&publisher->stored) };
    publisher_event(publisher, &event);
    publisher_go_on_checking(publisher);
    hear_news(publisher);
}

/* -- Life -- */

static void scan_partials(struct publisher *publisher, uint64_t size)
{
    struct err err;
    publisher->partials = partials_new();
    if (partials_scan(publisher->partials, publisher->options.tiles, size, &err) != E_OK) {
        log_error(LOG_LEVEL_WARN, "partials_scan", &err);
    }
}

static void init_round(struct publisher *publisher, bool has_published, uint64_t size)
{
    const struct publisher_options *options = &publisher->options;
    struct round *round = &publisher->round;
    round_init(round, options->interval_ms, has_published, size, options->stored);
    if (options->policy != NULL) {
        uint64_t seed;
        crypto_random((uint8_t *)&seed, sizeof seed);
        round_set_witnesses(round, options->policy, seed);
    }
    round_pause(round, options->is_paused || options->is_checking);
}

/* A log that did without witnesses, or whose policy has changed, has published what does not meet it:
 * that size is to be published again. */
static bool meets_policy(const struct policy *policy, const struct published_tree *tree)
{
    struct policy_verdict verdict;
    struct err err;
    return policy == NULL ||
           (policy_open_checkpoint(policy, &verdict, http_body_span(tree->note), &err) == E_OK &&
            verdict.is_met);
}

struct publisher *publisher_new(const struct publisher_options *options)
{
    struct publisher *publisher = NEW(struct publisher);
    publisher->options = *options;
    pthread_mutex_init(&publisher->mutex, NULL);
    buf_init(&publisher->step.note, NOTE_BYTES_MAX);
    buf_init(&publisher->step.ours, NOTE_BYTES_MAX);
    buf_init(&publisher->theirs, NOTE_BYTES_MAX);
    for (size_t i = 0; i < ROUND_PINNED; i++) {
        buf_init(&publisher->step.files[i].note, NOTE_BYTES_MAX);
    }
    struct published_tree *tree = published_get(options->published);
    uint64_t size = tree == NULL ? 0 : tree->checkpoint.size;
    bool is_met = tree != NULL && meets_policy(options->policy, tree);
    init_round(publisher, is_met, size);
    atomic_init(&publisher->witnessed, is_met ? size : 0);
    publisher->cosigning = publisher_cosigning_new(publisher);
    scan_partials(publisher, size);
    if (tree != NULL) {
        publisher_add_note(publisher, tree, false);
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
    if (publisher->options.is_checking) {
        publisher_begin_check(publisher);
    }
    uv_async_send(&publisher->wake);
}

void publisher_drain(struct publisher *publisher)
{
    if (publisher->is_started && !publisher->is_closing) {
        publisher_exports_fail(publisher, "the log is stopping");
        tell_round(publisher, ROUND_DRAIN, true);
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
    bool is_halted = atomic_load(&publisher->is_halted), is_failing = publisher->is_failing;
    bool is_degraded = is_halted || is_failing || publisher->is_below_quorum;
    if (is_degraded) {
        snprintf(reason, reason_max, "%s",
                 is_failing && !is_halted ? publisher->failure.msg : publisher->reason);
    }
    pthread_mutex_unlock(&publisher->mutex);
    return is_degraded;
}

void publisher_missing(struct publisher *publisher, char *out, size_t out_max)
{
    pthread_mutex_lock(&publisher->mutex);
    snprintf(out, out_max, "%s", publisher->reason);
    pthread_mutex_unlock(&publisher->mutex);
}

uint64_t publisher_witnessed(const struct publisher *publisher)
{
    return atomic_load(&publisher->witnessed);
}

static void free_publisher(void *ctx)
{
    struct publisher *publisher = ctx;
    snapshot_free(publisher->snapshot);
    snapshot_free(atomic_load(&publisher->given));
    partials_free(publisher->partials);
    published_tree_release(publisher->check_tree);
    published_tree_release(publisher->check_note);
    mem_free(publisher->check);
    buf_clear(&publisher->theirs);
    buf_clear(&publisher->step.note);
    buf_clear(&publisher->step.ours);
    for (size_t i = 0; i < ROUND_PINNED; i++) {
        buf_clear(&publisher->step.files[i].note);
    }
    void *closed_ctx = publisher->closed_ctx;
    void (*on_closed)(void *) = publisher->on_closed;
    pthread_mutex_destroy(&publisher->mutex);
    mem_free(publisher);
    on_closed(closed_ctx);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct publisher *publisher = handle->data;
    if (--publisher->open_handles == 0) {
        cosigning_close(publisher->cosigning, publisher, free_publisher);
    }
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
