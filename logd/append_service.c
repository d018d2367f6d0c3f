#include "logd/append_service.h"

#include "base/alloc.h"
#include "logd/append_service_parts.h"

#include <assert.h>
#include <pthread.h>
#include <sys/queue.h>

enum {
    TICK_MS = 50,        /* while somebody waits */
    STREAM_RETRY_MS = 5, /* while a stream is stalled */
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* -- A call of its own: gRPC thread, then workers -- */

static void fail(struct append_call *append, const struct err *err)
{
    struct err words = *err;
    struct rpc_call *call = append->call;
    append_hide_paths(append, &words);
    append_call_free(append);
    rpc_fail(call, words.code, words.msg);
}

static void push(struct append_call *append)
{
    struct err err;
    enum err_code rc = append_push(append, &err);
    if (rc == E_CONFLICT) {
        append_verify(append);
    } else if (rc != E_OK) {
        fail(append, &err);
    }
}

void append_on_checked(struct append_call *append, const struct err *refusal)
{
    if (append->stream != NULL) {
        append_stream_on_checked(append, refusal);
    } else if (refusal != NULL) {
        fail(append, refusal);
    } else {
        push(append);
    }
}

enum err_code append_admit(struct append_call *append, size_t times_max, struct err *err)
{
    char reason[STATUS_REASON_MAX];
    struct parts *parts = append->service->parts;
    if (parts->gate != NULL && pool_is_closed(parts->pool, reason, sizeof reason)) {
        return err_set(err, E_UNAVAILABLE, "not accepting entries: %s", reason);
    }
    if (!append_count_in(append, times_max)) {
        return err_set(err, E_BUSY, "too many entries are being checked: try again");
    }
    return E_OK;
}

static void on_call(void *ctx, struct rpc_call *call, struct span message)
{
    struct append_service *service = ctx;
    struct append_call *append = NULL;
    struct err err;
    if (append_call_new(&append, service, call, message, &err) != E_OK) {
        rpc_fail(call, err.code, err.msg);
    } else if (service->parts->gate == NULL) {
        push(append);
    } else if (append_admit(append, 1, &err) != E_OK) {
        fail(append, &err);
    } else {
        append_verify(append);
    }
}

/* -- After the commit: sequencer thread -- */

/* Waiting calls no longer count against the pool's maxima, so they keep no entries. */
bool append_wait(struct append_call *append)
{
    struct append_service *service = append->service;
    append->submission = submission_drop_entries(append->submission);
    for (size_t i = 0; i < append->submission->count; i++) {
        uint64_t index = append->submission->indices[i];
        append->last = index > append->last ? index : append->last;
    }
    pthread_mutex_lock(&service->mutex);
    bool is_ready =
        service->is_ending || append->last < publisher_witnessed(service->parts->publisher);
    bool is_first = !is_ready && TAILQ_EMPTY(&service->waiting);
    if (!is_ready) {
        TAILQ_INSERT_TAIL(&service->waiting, append, next);
    }
    if (is_first) { /* while locked: nobody waits, and so nothing closes, once is_ending is set */
        uv_async_send(&service->wake);
    }
    pthread_mutex_unlock(&service->mutex);
    return is_ready;
}

static void answer(struct append_call *append)
{
    struct work *work = append->service->parts->work;
    if (append->wants_witnessed) {
        if (append_wait(append)) {
            work_post(work, append_finish, append);
        }
    } else if (append->wants_promise) {
        work_post(work, append_finish, append);
    } else {
        struct buf plain;
        append_put_plain(append, &plain);
        append_on_finished(append, &plain);
        buf_clear(&plain);
    }
}

void append_on_done(struct submission *submission, const struct err *err)
{
    struct append_call *append = submission->ctx;
    struct gate *gate = append->service->parts->gate;
    if (gate != NULL && err == NULL) {
        gate_on_logged(gate, submission); /* before callers are told */
    } else if (gate != NULL) {
        gate_on_refused(gate, submission);
    }
    if (append->stream != NULL) {
        append_stream_on_done(append, err);
    } else if (err != NULL) {
        fail(append, err);
    } else {
        answer(append);
    }
}

void append_on_finished(struct append_call *append, struct buf *answer_bytes)
{
    struct rpc_call *call = append->call;
    if (append->stream != NULL) {
        append_stream_on_finished(append, answer_bytes);
        return;
    }
    append_call_free(append);
    rpc_reply_take(call, answer_bytes);
}

/* -- Waiting: loop thread -- */

/* Hands to a worker those whose entries are in the tree of `size`, or whose time is up. True when
 * others still wait. */
static bool finish_ready(struct append_service *service, uint64_t size, uint64_t now)
{
    struct append_list ready;
    TAILQ_INIT(&ready);
    pthread_mutex_lock(&service->mutex);
    struct append_call *append = TAILQ_FIRST(&service->waiting);
    while (append != NULL) {
        struct append_call *next = TAILQ_NEXT(append, next);
        if (append->last < size || append->until_ms <= now) {
            TAILQ_REMOVE(&service->waiting, append, next);
            TAILQ_INSERT_TAIL(&ready, append, next);
        }
        append = next;
    }
    bool is_waited_for = !TAILQ_EMPTY(&service->waiting);
    pthread_mutex_unlock(&service->mutex);
    while ((append = TAILQ_FIRST(&ready)) != NULL) {
        TAILQ_REMOVE(&ready, append, next);
        if (append->stream != NULL) {
            append_stream_on_published(append);
        } else {
            work_post(service->parts->work, append_finish, append);
        }
    }
    return is_waited_for;
}

static void on_tick(uv_timer_t *timer)
{
    if (!finish_ready(timer->data, 0, now_ms())) {
        uv_timer_stop(timer);
    }
}

static void on_stream_tick(uv_timer_t *timer)
{
    struct append_service *service = timer->data;
    atomic_store(&service->is_stalled, false);
    append_stream_retry(service);
    if (!atomic_load(&service->is_stalled)) {
        uv_timer_stop(timer);
    }
}

static void on_wake(uv_async_t *wake)
{
    struct append_service *service = wake->data;
    if (service->on_closed != NULL) {
        return;
    }
    if (!uv_is_active((uv_handle_t *)&service->timer)) { /* a stalled stream must not put it off */
        uv_timer_start(&service->timer, on_tick, TICK_MS, TICK_MS);
    }
    if (atomic_load(&service->is_stalled) && !uv_is_active((uv_handle_t *)&service->stream_timer)) {
        uv_timer_start(&service->stream_timer, on_stream_tick, STREAM_RETRY_MS, STREAM_RETRY_MS);
    }
}

/* The call that is stalled is not answered yet, so that nothing is closed. */
void append_wake(struct append_service *service)
{
    if (!atomic_exchange(&service->is_stalled, true)) {
        uv_async_send(&service->wake);
    }
}

void append_service_methods(struct append_service *service, struct rpc_method out[APPEND_METHODS])
{
    out[0] = (struct rpc_method){ .path = "/courtroll.v1.Log/Append",
                                  .ctx = service,
                                  .on_call = on_call };
    out[1] = append_stream_method(service);
}

struct append_service *append_service_new(uv_loop_t *loop, struct parts *parts)
{
    struct append_service *service = NEW(struct append_service);
    service->parts = parts;
    TAILQ_INIT(&service->waiting);
    LIST_INIT(&service->streams);
    pthread_mutex_init(&service->mutex, NULL);
    pthread_mutex_init(&service->stream_mutex, NULL);
    uv_timer_init(loop, &service->timer);
    uv_timer_init(loop, &service->stream_timer);
    service->timer.data = service;
    service->stream_timer.data = service;
    int rc = uv_async_init(loop, &service->wake, on_wake);
    assert(rc == 0);
    service->wake.data = service;
    return service;
}

void append_service_on_published(struct append_service *service)
{
    finish_ready(service, publisher_witnessed(service->parts->publisher), 0);
}

void append_service_flush(struct append_service *service)
{
    pthread_mutex_lock(&service->mutex);
    service->is_ending = true;
    pthread_mutex_unlock(&service->mutex);
    finish_ready(service, UINT64_MAX, UINT64_MAX);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct append_service *service = handle->data;
    if (--service->open_handles > 0) {
        return;
    }
    void *ctx = service->closed_ctx;
    void (*on_closed)(void *) = service->on_closed;
    pthread_mutex_destroy(&service->mutex);
    pthread_mutex_destroy(&service->stream_mutex);
    mem_free(service);
    on_closed(ctx);
}

void append_service_close(struct append_service *service, void *ctx, void (*on_closed)(void *ctx))
{
    assert(TAILQ_EMPTY(&service->waiting));
    assert(LIST_EMPTY(&service->streams));
    service->closed_ctx = ctx;
    service->on_closed = on_closed;
    service->open_handles = 3;
    uv_close((uv_handle_t *)&service->timer, on_handle_closed);
    uv_close((uv_handle_t *)&service->stream_timer, on_handle_closed);
    uv_close((uv_handle_t *)&service->wake, on_handle_closed);
}
