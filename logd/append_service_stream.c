/* Log.AppendStream. The messages of a stream are checked side by side, but each is pushed only when the one before it
 * is durable: the sequencer may refuse a message too, and nothing behind it may be logged then. Answers go out in order,
 * and each is made when its turn comes, so that a caller who does not read makes us hold little.
 *
 * All that happens to a stream is a change under the mutex and then update(), which does what is due. A stream whose
 * call is cancelled, or one of whose messages is refused, waits for what workers and pool still have of it, and only
 * then answers: whoever comes back finds it. */
#include "logd/append_service_parts.h"

#include "base/alloc.h"
#include "base/limits.h"

#include <assert.h>

enum {
    STREAMS_MAX = 256,
    UNPUSHED_MAX = 8,    /* messages that are read and not in the pool yet, of a stream */
    UNANSWERED_MAX = 64, /* likewise, whose answers are not sent */
    OVER_MAX = 2,        /* times the maxima for what is read already */
};

struct append_stream {
    LIST_ENTRY(append_stream) next;
    struct append_service *service;
    struct rpc_call *call;
    struct append_list messages; /* by in_stream, oldest first; until their answers are sent */
    size_t unpushed, unanswered;
    uint64_t visited;     /* of the walk that has been here */
    bool is_reading;      /* the next message has been asked for */
    bool has_input_ended; /* the caller has sent its last */
    bool is_cancelled;
    bool is_refused; /* a message is, for `refusal` */
    struct err refusal;
};

/* A call whose stream has gone: callbacks may be about to look for it. */
static char gone;

/* -- Messages; all of these require the mutex -- */

static bool is_with_others(const struct append_call *append)
{
    return append->step == APPEND_CHECKING || append->step == APPEND_PUSHED ||
           append->step == APPEND_WAITING || append->step == APPEND_FINISHING;
}

static bool is_unpushed(const struct append_call *append)
{
    return append->step == APPEND_CHECKING || append->step == APPEND_CHECKED;
}

static void drop(struct append_stream *stream, struct append_call *append)
{
    stream->unpushed -= is_unpushed(append);
    stream->unanswered--;
    TAILQ_REMOVE(&stream->messages, append, in_stream);
    append_call_free(append);
}

/* No more of it is wanted. */
static void drop_idle(struct append_stream *stream)
{
    struct append_call *append = TAILQ_FIRST(&stream->messages);
    while (append != NULL) {
        struct append_call *next = TAILQ_NEXT(append, in_stream);
        if (!is_with_others(append)) {
            drop(stream, append);
        }
        append = next;
    }
}

static void refuse(struct append_stream *stream, struct append_call *append, const struct err *err)
{
    stream->unpushed -= is_unpushed(append);
    append->step = APPEND_REFUSED;
    append->refusal = *err;
    append_count_out(append);
}

/* -- What is due; all of these require the mutex -- */

/* The oldest that is not in the pool, when all before it are durable. */
static struct append_call *next_to_push(struct append_stream *stream)
{
    struct append_call *append;
    TAILQ_FOREACH(append, &stream->messages, in_stream)
    {
        if (append->step <= APPEND_PUSHED || append->step == APPEND_REFUSED) {
            return append->step == APPEND_CHECKED ? append : NULL;
        }
    }
    return NULL;
}

static void push(struct append_stream *stream)
{
    struct append_call *append = next_to_push(stream);
    struct err err;
    if (append == NULL) {
        return;
    }
    append->step =
        APPEND_PUSHED; /* the sequencer may be done with it at once; it waits for the mutex */
    enum err_code rc = append_push(append, &err);
    if (rc == E_OK) {
        stream->unpushed--;
        return;
    }
    append->step = APPEND_CHECKED;
    if (rc == E_CONFLICT) {
        append->step = APPEND_CHECKING;
        append_verify(append);
    } else if (rc == E_BUSY) {
        append_wake(stream->service);
    } else {
        refuse(stream, append, &err);
    }
}

/* False when the first message has no answer to be sent now. */
static bool send_first(struct append_stream *stream)
{
    struct append_call *append = TAILQ_FIRST(&stream->messages);
    if (append == NULL) {
        return false;
    }
    if (append->step == APPEND_READY && (append->wants_witnessed || append->wants_promise)) {
        append->step = APPEND_FINISHING;
        work_post(stream->service->parts->work, append_finish, append);
    } else if (append->step == APPEND_READY) {
        append_put_plain(append, &append->answer);
        append->step = APPEND_ANSWERED;
    } else if (append->step == APPEND_REFUSED) {
        stream->is_refused = true;
        stream->refusal = append->refusal;
        append_hide_paths(append, &stream->refusal);
    }
    if (append->step != APPEND_ANSWERED) {
        return false;
    }
    enum err_code rc = rpc_stream_send_take(stream->call, &append->answer);
    stream->is_cancelled |= rc == E_UNAVAILABLE;
    if (rc != E_OK) {
        return false; /* no room: on_sent comes here again */
    }
    drop(stream, append);
    return true;
}

static void read_more(struct append_stream *stream)
{
    const struct append_call *last = TAILQ_LAST(&stream->messages, append_list);
    if (stream->is_reading || stream->has_input_ended || stream->unpushed >= UNPUSHED_MAX ||
        stream->unanswered >= UNANSWERED_MAX || (last != NULL && last->step == APPEND_REFUSED)) {
        return;
    }
    if (!append_has_room(stream->service)) {
        append_wake(stream->service);
        return;
    }
    stream->is_reading = true;
    rpc_stream_receive(stream->call);
}

static bool is_over(const struct append_stream *stream)
{
    return TAILQ_EMPTY(&stream->messages) &&
           (stream->is_cancelled || stream->is_refused || stream->has_input_ended);
}

/* Requires the mutex, and gives it back; the stream may be gone then. */
static void update(struct append_stream *stream)
{
    struct append_service *service = stream->service;
    if (!stream->is_cancelled && !stream->is_refused) {
        push(stream);
        while (send_first(stream)) {
        }
    }
    if (stream->is_cancelled || stream->is_refused) {
        drop_idle(stream);
    } else {
        read_more(stream);
    }
    bool ends = is_over(stream);
    if (ends) {
        rpc_call_set_user(stream->call, &gone);
        LIST_REMOVE(stream, next);
        service->stream_count--;
    }
    pthread_mutex_unlock(&service->stream_mutex);
    if (!ends) {
        return;
    }
    /* Nothing of the service is touched after the answer: it may be closing by then. */
    if (stream->is_refused) {
        rpc_fail(stream->call, stream->refusal.code, stream->refusal.msg);
    } else {
        rpc_stream_finish(stream->call);
    }
    mem_free(stream);
}

/* -- The messages come: gRPC thread -- */

/* NULL when its stream has ended; else with the mutex held. */
static struct append_stream *lock_stream(struct append_service *service, struct rpc_call *call)
{
    pthread_mutex_lock(&service->stream_mutex);
    struct append_stream *stream = rpc_call_user(call);
    if (stream == (void *)&gone) {
        pthread_mutex_unlock(&service->stream_mutex);
        return NULL;
    }
    if (stream == NULL) {
        stream = NEW(struct append_stream);
        stream->service = service;
        stream->call = call;
        stream->is_reading = true; /* the first message comes unasked */
        TAILQ_INIT(&stream->messages);
        LIST_INSERT_HEAD(&service->streams, stream, next);
        service->stream_count++;
        rpc_call_set_user(call, stream);
    }
    return stream;
}

/* A message that is not taken in stands in its place all the same, so that those before it are answered. */
static struct append_call *refused_message(struct append_stream *stream)
{
    struct append_call *append = NEW(struct append_call);
    append->service = stream->service;
    append->call = stream->call;
    return append;
}

/* Requires the mutex. Checking begins in its time. */
static void take_message(struct append_stream *stream, struct append_call *append,
                         const struct err *refusal)
{
    append->stream = stream;
    append->step = APPEND_CHECKING;
    TAILQ_INSERT_TAIL(&stream->messages, append, in_stream);
    stream->unanswered++;
    stream->unpushed++;
    if (refusal != NULL) {
        refuse(stream, append, refusal);
    } else if (stream->service->parts->gate != NULL) {
        append_verify(append);
    } else {
        append->step = APPEND_CHECKED;
    }
}

static void on_call(void *ctx, struct rpc_call *call, struct span message)
{
    struct append_service *service = ctx;
    struct append_call *append = NULL;
    struct err err;
    enum err_code rc = append_call_new(&append, service, call, message, &err);
    struct append_stream *stream = lock_stream(service, call);
    if (stream == NULL) {
        if (append != NULL) {
            append_call_free(append);
        }
        return;
    }
    if (rc == E_OK && service->stream_count > STREAMS_MAX) {
        rc = err_set(&err, E_BUSY, "%d streams are open: try again", STREAMS_MAX);
    }
    if (rc == E_OK) {
        rc = append_admit(append, OVER_MAX, &err);
    }
    if (append == NULL) {
        append = refused_message(stream);
    }
    stream->is_reading = false;
    take_message(stream, append, rc == E_OK ? NULL : &err);
    update(stream);
}

static void on_end(void *ctx, struct rpc_call *call)
{
    struct append_stream *stream = lock_stream(ctx, call);
    if (stream != NULL) {
        stream->has_input_ended = true;
        update(stream);
    }
}

static void on_cancelled(void *ctx, struct rpc_call *call)
{
    struct append_stream *stream = lock_stream(ctx, call);
    if (stream != NULL) {
        stream->is_cancelled = true;
        update(stream);
    }
}

static void on_sent(void *ctx, struct rpc_call *call)
{
    struct append_stream *stream = lock_stream(ctx, call);
    if (stream != NULL) {
        update(stream);
    }
}

struct rpc_method append_stream_method(struct append_service *service)
{
    return (struct rpc_method){ .path = "/courtroll.v1.Log/AppendStream",
                                .kind = RPC_BIDI,
                                .ctx = service,
                                .on_call = on_call,
                                .on_end = on_end,
                                .on_sent = on_sent,
                                .on_cancelled = on_cancelled };
}

/* -- They come back: workers, the sequencer thread, the loop thread -- */

void append_stream_on_checked(struct append_call *append, const struct err *refusal)
{
    struct append_stream *stream = append->stream;
    pthread_mutex_lock(&stream->service->stream_mutex);
    assert(append->step == APPEND_CHECKING);
    if (refusal != NULL) {
        refuse(stream, append, refusal);
    } else {
        append->step = APPEND_CHECKED;
    }
    update(stream);
}

void append_stream_on_done(struct append_call *append, const struct err *err)
{
    struct append_stream *stream = append->stream;
    struct append_service *service = stream->service;
    pthread_mutex_lock(&service->stream_mutex);
    assert(append->step == APPEND_PUSHED);
    if (err != NULL) {
        refuse(stream, append, err);
    } else if (append->wants_witnessed && !stream->is_cancelled) {
        append->step = APPEND_WAITING;
        if (append_wait(append)) {
            append->step = APPEND_READY;
        }
    } else {
        append->step = APPEND_READY;
    }
    update(stream);
}

void append_stream_on_published(struct append_call *append)
{
    struct append_stream *stream = append->stream;
    pthread_mutex_lock(&stream->service->stream_mutex);
    assert(append->step == APPEND_WAITING);
    append->step = APPEND_READY;
    update(stream);
}

void append_stream_on_finished(struct append_call *append, struct buf *answer)
{
    struct append_stream *stream = append->stream;
    pthread_mutex_lock(&stream->service->stream_mutex);
    assert(append->step == APPEND_FINISHING);
    buf_init(&append->answer, answer->len);
    buf_take(&append->answer, answer);
    append->step = APPEND_ANSWERED;
    update(stream);
}

/* A stream that is not visited yet; with the mutex held, unless there is none. */
static struct append_stream *lock_next(struct append_service *service, uint64_t visit)
{
    struct append_stream *stream;
    pthread_mutex_lock(&service->stream_mutex);
    LIST_FOREACH(stream, &service->streams, next)
    {
        if (stream->visited != visit) {
            stream->visited = visit;
            return stream;
        }
    }
    pthread_mutex_unlock(&service->stream_mutex);
    return NULL;
}

void append_stream_retry(struct append_service *service)
{
    uint64_t visit = ++service->visit;
    struct append_stream *stream;
    while ((stream = lock_next(service, visit)) != NULL) {
        update(stream);
    }
}
