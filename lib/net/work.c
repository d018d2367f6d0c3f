#include "net/work.h"

#include "base/alloc.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>

struct item {
    STAILQ_ENTRY(item) next;
    uv_work_t request;
    struct work *work;
    void *arg;
    void (*run)(void *arg);
    void (*on_done)(void *arg); /* or NULL */
};

struct work {
    uv_loop_t *loop;
    uv_async_t wake;
    unsigned running_max;
    unsigned running; /* loop thread */
    bool is_closing;  /* loop thread */
    void *closed_ctx;
    void (*on_closed)(void *ctx);

    pthread_mutex_t mutex; /* guards posted */
    STAILQ_HEAD(, item) posted;
};

static void run_item(uv_work_t *request)
{
    struct item *item = request->data;
    item->run(item->arg);
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

static struct item *take(struct work *work)
{
    pthread_mutex_lock(&work->mutex);
    struct item *item = STAILQ_FIRST(&work->posted);
    if (item != NULL) {
        STAILQ_REMOVE_HEAD(&work->posted, next);
    }
    pthread_mutex_unlock(&work->mutex);
    return item;
}

static void dispatch(struct work *work);

static void on_item_done(uv_work_t *request, int status)
{
    (void)status; /* never cancelled */
    struct item *item = request->data;
    struct work *work = item->work;
    if (item->on_done != NULL) {
        item->on_done(item->arg); /* still counted: it may post more while we close */
    }
    mem_free(item);
    work->running--;
    dispatch(work);
}

static void dispatch(struct work *work)
{
    struct item *item;
    while (work->running < work->running_max && (item = take(work)) != NULL) {
        item->request.data = item;
        work->running++;
        if (uv_queue_work(work->loop, &item->request, run_item, on_item_done) != 0) {
            abort();
        }
    }
    if (work->is_closing && work->running == 0 && !uv_is_closing((uv_handle_t *)&work->wake)) {
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
    item->work = work;
    item->arg = arg;
    item->run = run;
    item->on_done = on_done;
    pthread_mutex_lock(&work->mutex);
    STAILQ_INSERT_TAIL(&work->posted, item, next);
    pthread_mutex_unlock(&work->mutex);
    uv_async_send(&work->wake);
}

void work_close(struct work *work, void *ctx, void (*on_closed)(void *ctx))
{
    work->is_closing = true;
    work->closed_ctx = ctx;
    work->on_closed = on_closed;
    dispatch(work);
}
