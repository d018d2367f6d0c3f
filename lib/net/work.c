/* A runner is one item of libuv's queue. It takes items of the lane until none is left, so that items
 * which follow each other need no turn of the loop between them. The loop starts runners, since only it
 * may; a runner that finds nothing left has given up its place before anyone can post more. */
#include "net/work.h"

#include "base/alloc.h"
#include "base/pulse.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>

struct item {
    STAILQ_ENTRY(item) next;
    void *arg;
    void (*run)(void *arg);
    void (*on_done)(void *arg); /* or NULL */
};
STAILQ_HEAD(items, item);

struct runner {
    uv_work_t request;
    struct work *work;
};

struct work {
    uv_loop_t *loop;
    uv_async_t wake;
    unsigned running_max;
    unsigned started; /* runners that libuv has not given back; loop thread */
    bool is_closing;  /* loop thread */
    void *closed_ctx;
    void (*on_closed)(void *ctx);

    pthread_mutex_t mutex; /* guards all below */
    struct items posted;
    size_t posted_count;
    struct pulse pulse; /* at rest while nothing is posted; a step with each item that is taken */
    struct items done;  /* that have run, and have an on_done to come */
    unsigned running;   /* runners that take items, or are about to */
    unsigned starting;  /* of these, those that have not taken their first */
};

/* NULL, and the runner's place given up, when there is none. */
static struct item *take(struct work *work, bool is_first)
{
    pthread_mutex_lock(&work->mutex);
    work->starting -= is_first;
    struct item *item = STAILQ_FIRST(&work->posted);
    if (item != NULL) {
        STAILQ_REMOVE_HEAD(&work->posted, next);
        work->posted_count--;
        if (work->posted_count > 0) {
            pulse_step(&work->pulse);
        } else {
            pulse_rest(&work->pulse);
        }
    } else {
        work->running--;
    }
    pthread_mutex_unlock(&work->mutex);
    return item;
}

static void run_items(uv_work_t *request)
{
    struct runner *runner = request->data;
    struct work *work = runner->work;
    struct item *item;
    for (bool is_first = true; (item = take(work, is_first)) != NULL; is_first = false) {
        item->run(item->arg);
        if (item->on_done == NULL) {
            mem_free(item);
            continue;
        }
        pthread_mutex_lock(&work->mutex);
        STAILQ_INSERT_TAIL(&work->done, item, next);
        pthread_mutex_unlock(&work->mutex);
        uv_async_send(&work->wake);
    }
}

static void dispatch(struct work *work);

static void on_runner_done(uv_work_t *request, int status)
{
    (void)status; /* never cancelled */
    struct runner *runner = request->data;
    struct work *work = runner->work;
    mem_free(runner);
    work->started--;
    dispatch(work);
}

static bool wants_runner(struct work *work)
{
    pthread_mutex_lock(&work->mutex);
    bool is_wanted = work->posted_count > work->starting && work->running < work->running_max;
    work->running += is_wanted;
    work->starting += is_wanted;
    pthread_mutex_unlock(&work->mutex);
    return is_wanted;
}

static void start_runners(struct work *work)
{
    while (wants_runner(work)) {
        struct runner *runner = NEW(struct runner);
        runner->request.data = runner;
        runner->work = work;
        work->started++;
        if (uv_queue_work(work->loop, &runner->request, run_items, on_runner_done) != 0) {
            abort();
        }
    }
}

static void tell_done(struct work *work)
{
    for (;;) {
        pthread_mutex_lock(&work->mutex);
        struct item *item = STAILQ_FIRST(&work->done);
        if (item != NULL) {
            STAILQ_REMOVE_HEAD(&work->done, next);
        }
        pthread_mutex_unlock(&work->mutex);
        if (item == NULL) {
            return;
        }
        item->on_done(item->arg);
        mem_free(item);
    }
}

static void on_wake_closed(uv_handle_t *handle)
{
    struct work *work = handle->data;
    pthread_mutex_destroy(&work->mutex);
    void *ctx = work->closed_ctx;
    void (*on_closed)(void *) = work->on_closed;
    mem_free(work);
    on_closed(ctx);
}

/* Without runners nothing runs, and what they did has been told: only what is posted could be left. */
static void dispatch(struct work *work)
{
    tell_done(work);
    start_runners(work);
    if (work->is_closing && work->started == 0 && !uv_is_closing((uv_handle_t *)&work->wake)) {
        uv_close((uv_handle_t *)&work->wake, on_wake_closed);
    }
}

static void on_wake(uv_async_t *wake)
{
    dispatch(wake->data);
}

struct work *work_new(uv_loop_t *loop, unsigned running_max)
{
    assert(running_max > 0);
    struct work *work = NEW(struct work);
    work->loop = loop;
    work->running_max = running_max;
    STAILQ_INIT(&work->posted);
    STAILQ_INIT(&work->done);
    pthread_mutex_init(&work->mutex, NULL);
    if (uv_async_init(loop, &work->wake, on_wake) != 0) {
        abort();
    }
    work->wake.data = work;
    return work;
}

void work_post(struct work *work, void (*run)(void *arg), void *arg)
{
    work_post_then(work, arg, run, NULL);
}

void work_post_then(struct work *work, void *arg, void (*run)(void *arg),
                    void (*on_done)(void *arg))
{
    struct item *item = NEW(struct item);
    item->arg = arg;
    item->run = run;
    item->on_done = on_done;
    pthread_mutex_lock(&work->mutex);
    STAILQ_INSERT_TAIL(&work->posted, item, next);
    if (work->posted_count++ == 0) {
        pulse_step(&work->pulse);
    }
    bool is_wanted = work->running < work->running_max;
    if (is_wanted) {
        uv_async_send(&work->wake); /* locked: once the item can be taken, the lane may be closed */
    }
    pthread_mutex_unlock(&work->mutex);
}

uint64_t work_stuck_ms(struct work *work)
{
    return pulse_stuck_ms(&work->pulse);
}

void work_close(struct work *work, void *ctx, void (*on_closed)(void *ctx))
{
    work->is_closing = true;
    work->closed_ctx = ctx;
    work->on_closed = on_closed;
    dispatch(work);
}
