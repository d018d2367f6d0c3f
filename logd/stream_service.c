#include "logd/stream_service.h"

#include "base/alloc.h"
#include "courtroll/v1/log.pb-c.h"
#include "net/rpc_answer.h"
#include "tlog/bundle.h"

#include <pthread.h>
#include <sys/queue.h>

enum {
    ENTRIES_MESSAGE_BYTES = 256 * 1024, /* of entries in one message of GetEntries, about */
    ENTRIES_STREAMS_MAX = 128,          /* at a time: 5 messages each, so some 200 MB */
};

/* A GetEntries under way. */
struct entries_stream {
    struct stream_service *service;
    struct rpc_call *call;
    struct published_tree *tree; /* held */
    uint64_t next;               /* index */
    uint64_t end;
    bool is_working; /* a worker is at it; this and the next by the service's mutex */
    bool has_room;   /* a message has left while it was */
};

/* A WatchCheckpoints. */
struct watch {
    LIST_ENTRY(watch) next;
    struct rpc_call *call;
    uint64_t sent; /* size + 1 of the last checkpoint sent; 0: none */
};

struct stream_service {
    struct parts *parts;
    pthread_mutex_t mutex; /* guards the two below, and the flags and lives of entries_streams */
    unsigned stream_count; /* of GetEntries */
    LIST_HEAD(, watch) watches;
};

/* -- GetEntries -- */

static void entries_end(struct entries_stream *stream, enum err_code rc, const struct err *err)
{
    struct stream_service *service = stream->service;
    pthread_mutex_lock(&service->mutex);
    rpc_call_set_user(stream->call, NULL); /* entries_on_sent must not find it any more */
    service->stream_count--;
    pthread_mutex_unlock(&service->mutex);
    if (rc == E_OK) {
        rpc_stream_finish(stream->call);
    } else {
        rpc_answer_error(stream->call, &service->parts->private_paths, err);
    }
    published_tree_release(stream->tree);
    mem_free(stream);
}

/* Packs entries from `next` on, out of one bundle and up to about ENTRIES_MESSAGE_BYTES. */
static enum err_code pack_entries(const struct entries_stream *stream, struct span bundle,
                                  struct buf *out, uint64_t *after, struct err *err)
{
    ProtobufCBinaryData entries[TILE_WIDTH];
    Courtroll__V1__GetEntriesReply message = COURTROLL__V1__GET_ENTRIES_REPLY__INIT;
    message.first = stream->next;
    message.entries = entries;
    uint64_t index = stream->next / TILE_WIDTH * TILE_WIDTH;
    size_t bytes = 0;
    struct span entry;
    for (; index < stream->end && bytes < ENTRIES_MESSAGE_BYTES; index++) {
        if (!bundle_take_entry(&bundle, &entry)) {
            break;
        }
        if (index >= stream->next) {
            entries[message.n_entries++] = rpc_answer_binary(entry);
            bytes += entry.len;
        }
    }
    if (message.n_entries == 0) {
        return err_set(err, E_CORRUPT, "a bundle has too few entries");
    }
    rpc_answer_pack(out, &message.base);
    *after = index;
    return E_OK;
}

/* Sends the next message; *is_full: there was no room for it. */
static enum err_code send_entries(struct entries_stream *stream, bool *is_full, struct err *err)
{
    uint64_t index = stream->next / TILE_WIDTH;
    struct tile_path path = { true, { 0, index }, 0 };
    path.width = tile_width(path.id, stream->tree->checkpoint.size);
    struct http_body *bundle = NULL;
    enum err_code rc =
        tile_cache_get(stream->service->parts->cache, stream->tree, &path, &bundle, err);
    if (rc != E_OK) {
        return rc;
    }
    struct buf packed = BUF_INIT(0);
    uint64_t after = 0;
    rc = pack_entries(stream, http_body_span(bundle), &packed, &after, err);
    http_body_release(bundle);
    if (rc == E_OK) {
        rc = rpc_stream_send_take(stream->call, &packed);
        *is_full = rc == E_BUSY;
        if (rc == E_OK) {
            stream->next = after;
        } else if (!*is_full) {
            err_set(err, rc, "the caller has gone");
        }
    }
    buf_clear(&packed);
    return *is_full ? E_OK : rc;
}

/* The queue is full. True when there is room again already; else entries_on_sent goes on. */
static bool wait_for_room(struct entries_stream *stream)
{
    pthread_mutex_lock(&stream->service->mutex);
    bool has_room = stream->has_room;
    stream->has_room = false;
    stream->is_working = has_room;
    pthread_mutex_unlock(&stream->service->mutex);
    return has_room;
}

/* On a worker: sends until the queue is full or all is sent. */
static void run_entries(void *arg)
{
    struct entries_stream *stream = arg;
    struct err err = { .msg = "" };
    enum err_code rc = E_OK;
    while (rc == E_OK && stream->next < stream->end) {
        bool is_full = false;
        rc = send_entries(stream, &is_full, &err);
        if (is_full && !wait_for_room(stream)) {
            return;
        }
    }
    entries_end(stream, rc, &err);
}

/* There is room, or the caller has gone, which the next send finds out. */
static void entries_on_sent(void *ctx, struct rpc_call *call)
{
    struct stream_service *service = ctx;
    pthread_mutex_lock(&service->mutex);
    struct entries_stream *stream = rpc_call_user(call);
    bool must_post = stream != NULL && !stream->is_working;
    if (stream != NULL) {
        stream->has_room = stream->is_working;
        stream->is_working = true;
    }
    pthread_mutex_unlock(&service->mutex);
    if (must_post) {
        work_post(service->parts->work, run_entries, stream);
    }
}

/* A reader that does not read makes us keep what is queued for it. */
static enum err_code entries_admit(struct stream_service *service, struct err *err)
{
    pthread_mutex_lock(&service->mutex);
    bool has_room = service->stream_count < ENTRIES_STREAMS_MAX;
    service->stream_count += has_room;
    pthread_mutex_unlock(&service->mutex);
    return has_room ? E_OK
                    : err_set(err, E_BUSY, "%d calls of GetEntries are under way: try again",
                              ENTRIES_STREAMS_MAX);
}

static enum err_code entries_range(const struct published_tree *tree, uint64_t first,
                                   uint64_t count, uint64_t *end, struct err *err)
{
    uint64_t size = tree->checkpoint.size;
    if (first > size || count > size - first) {
        return err_set(err, E_NOT_FOUND, "entries %llu.. are not published: the size is %llu",
                       (unsigned long long)first, (unsigned long long)size);
    }
    *end = count == 0 ? size : first + count;
    return E_OK;
}

/* What is asked for, in the tree published now. */
static enum err_code entries_parse(const struct published_tree *tree, struct span message,
                                   uint64_t *first, uint64_t *end, struct err *err)
{
    if (tree == NULL) {
        return err_set(err, E_UNAVAILABLE, "nothing is published yet");
    }
    Courtroll__V1__GetEntriesRequest *in =
        courtroll__v1__get_entries_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        return err_set(err, E_MALFORMED, "not a GetEntriesRequest");
    }
    *first = in->first;
    enum err_code rc = entries_range(tree, in->first, in->count, end, err);
    courtroll__v1__get_entries_request__free_unpacked(in, NULL);
    return rc;
}

static void get_entries(void *ctx, struct rpc_call *call, struct span message)
{
    struct stream_service *service = ctx;
    if (rpc_answer_refuses_long(call, message)) {
        return;
    }
    struct published_tree *tree = published_get(service->parts->published);
    struct err err;
    uint64_t first = 0, end = 0;
    enum err_code rc = entries_parse(tree, message, &first, &end, &err);
    if (rc == E_OK) {
        rc = entries_admit(service, &err);
    }
    if (rc != E_OK) {
        published_tree_release(tree);
        rpc_answer_error(call, &service->parts->private_paths, &err);
        return;
    }
    struct entries_stream *stream = NEW(struct entries_stream);
    *stream = (struct entries_stream){ service, call, tree, first, end, true, false };
    rpc_call_set_user(call, stream);
    work_post(service->parts->work, run_entries, stream);
}

/* -- WatchCheckpoints -- */

/* Sends the latest checkpoint if it is news. A full queue is no loss: watch_on_sent comes here again.
 * Requires the mutex. */
static void watch_send(struct stream_service *service, struct watch *watch)
{
    struct published_tree *tree = published_get(service->parts->published);
    if (tree == NULL || tree->checkpoint.size < watch->sent) {
        published_tree_release(tree);
        return;
    }
    Courtroll__V1__GetCheckpointReply out = COURTROLL__V1__GET_CHECKPOINT_REPLY__INIT;
    out.note = rpc_answer_binary(http_body_span(tree->note));
    struct buf packed;
    rpc_answer_pack(&packed, &out.base);
    if (rpc_stream_send_take(watch->call, &packed) == E_OK) {
        watch->sent = tree->checkpoint.size + 1;
    }
    buf_clear(&packed);
    published_tree_release(tree);
}

static void watch_checkpoints(void *ctx, struct rpc_call *call, struct span message)
{
    (void)message;
    struct stream_service *service = ctx;
    struct watch *watch = NEW(struct watch);
    watch->call = call;
    pthread_mutex_lock(&service->mutex);
    rpc_call_set_user(call, watch);
    LIST_INSERT_HEAD(&service->watches, watch, next);
    watch_send(service, watch);
    pthread_mutex_unlock(&service->mutex);
}

static void watch_on_sent(void *ctx, struct rpc_call *call)
{
    struct stream_service *service = ctx;
    pthread_mutex_lock(&service->mutex);
    struct watch *watch = rpc_call_user(call);
    if (watch != NULL) {
        watch_send(service, watch);
    }
    pthread_mutex_unlock(&service->mutex);
}

/* Requires the mutex. */
static void watch_end(struct watch *watch)
{
    LIST_REMOVE(watch, next);
    rpc_call_set_user(watch->call, NULL);
    rpc_stream_finish(watch->call);
    mem_free(watch);
}

static void watch_on_cancelled(void *ctx, struct rpc_call *call)
{
    struct stream_service *service = ctx;
    pthread_mutex_lock(&service->mutex);
    struct watch *watch = rpc_call_user(call);
    if (watch != NULL) {
        watch_end(watch);
    }
    pthread_mutex_unlock(&service->mutex);
}

void stream_service_on_published(struct stream_service *service)
{
    pthread_mutex_lock(&service->mutex);
    struct watch *watch;
    LIST_FOREACH(watch, &service->watches, next)
    {
        watch_send(service, watch);
    }
    pthread_mutex_unlock(&service->mutex);
}

void stream_service_end(struct stream_service *service)
{
    pthread_mutex_lock(&service->mutex);
    while (!LIST_EMPTY(&service->watches)) {
        watch_end(LIST_FIRST(&service->watches));
    }
    pthread_mutex_unlock(&service->mutex);
}

/* -- The table -- */

struct stream_service *stream_service_new(struct parts *parts)
{
    struct stream_service *service = NEW(struct stream_service);
    service->parts = parts;
    pthread_mutex_init(&service->mutex, NULL);
    LIST_INIT(&service->watches);
    return service;
}

void stream_service_methods(struct stream_service *service, struct rpc_method out[STREAM_METHODS])
{
    out[0] = (struct rpc_method){ .path = "/courtroll.v1.Log/GetEntries",
                                  .kind = RPC_SERVER_STREAM,
                                  .ctx = service,
                                  .on_call = get_entries,
                                  .on_sent = entries_on_sent,
                                  .on_cancelled = entries_on_sent };
    out[1] = (struct rpc_method){ .path = "/courtroll.v1.Log/WatchCheckpoints",
                                  .kind = RPC_SERVER_STREAM,
                                  .ctx = service,
                                  .on_call = watch_checkpoints,
                                  .on_sent = watch_on_sent,
                                  .on_cancelled = watch_on_cancelled };
}

void stream_service_free(struct stream_service *service)
{
    if (service != NULL) {
        pthread_mutex_destroy(&service->mutex);
        mem_free(service);
    }
}
