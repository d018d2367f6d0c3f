#include "logd/append_service.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/log.h"
#include "courtroll/v1/log.pb-c.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/queue.h>

enum {
    WITNESSED_WAIT_MS = 30 * 1000,
    ANSWER_MARGIN_MS = 100, /* before the caller's deadline */
    TICK_MS = 50,           /* while somebody waits */
    REASON_MAX = 512,       /* bytes */
    UNPACKED_SMALL = 4096,
    UNPACKED_BYTES_MAX = 2 * CALL_BYTES_MAX + 64 * ENTRIES_PER_CALL_MAX,
    RECEIPT_BYTES_MAX = PROOF_FILE_BYTES_MAX,
};

/* One call that has entries in the log, or on their way. */
struct append_call {
    TAILQ_ENTRY(append_call) next;
    struct append_service *service;
    struct rpc_call *call;
    struct submission *submission;
    bool wants_promise;
    bool wants_witnessed;
    uint64_t until_ms; /* monotonic: then it is answered, witnessed or not */
    uint64_t last;     /* largest of its indices */
};

struct append_service {
    struct parts *parts;
    uv_timer_t timer; /* runs while somebody waits */
    uv_async_t wake;  /* somebody does now */
    int open_handles;
    void *closed_ctx;
    void (*on_closed)(void *ctx);

    pthread_mutex_t mutex;                        /* guards waiting and is_ending */
    bool is_ending;                               /* nobody waits any more */
    TAILQ_HEAD(append_list, append_call) waiting; /* for a tree that has their entries */
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* -- Answering -- */

static void append_call_free(struct append_call *append)
{
    submission_free(append->submission);
    mem_free(append);
}

/* Packs the reply; `receipts` has one span an entry, or is NULL. */
static void reply(struct append_call *append, struct span promise, const struct buf *receipts,
                  bool is_witnessed, const char *reason)
{
    const struct submission *submission = append->submission;
    size_t count = submission->count;
    Courtroll__V1__Appended *items = mem_alloc(count * (sizeof *items + sizeof items));
    Courtroll__V1__Appended **pointers = (Courtroll__V1__Appended **)(items + count);
    for (size_t i = 0; i < count; i++) {
        courtroll__v1__appended__init(&items[i]);
        items[i].index = submission->indices[i];
        items[i].duplicate = submission->duplicate[i];
        items[i].leaf_hash = (ProtobufCBinaryData){ HASH_BYTES, submission->leaves[i].bytes };
        if (receipts != NULL) {
            items[i].proof = (ProtobufCBinaryData){ receipts[i].len, receipts[i].data };
        }
        pointers[i] = &items[i];
    }
    Courtroll__V1__AppendReply message = COURTROLL__V1__APPEND_REPLY__INIT;
    message.n_entries = count;
    message.entries = pointers;
    message.promise = (ProtobufCBinaryData){ promise.len, (uint8_t *)promise.data };
    message.witnessed = is_witnessed;
    message.reason = (ProtobufCBinaryData){ strlen(reason), (uint8_t *)reason };
    size_t len = courtroll__v1__append_reply__get_packed_size(&message);
    struct buf packed = BUF_INIT(len);
    if (len > 0) {
        courtroll__v1__append_reply__pack(&message, buf_extend(&packed, len));
    }
    rpc_reply_take(append->call, &packed);
    buf_clear(&packed);
    mem_free(items);
}

/* Fills receipts[count]; E_NOT_FOUND when an entry is not published. */
static enum err_code make_receipts(struct append_call *append, struct buf *receipts,
                                   struct err *err)
{
    struct parts *parts = append->service->parts;
    struct published_tree *tree = published_get(parts->published);
    enum err_code rc = tree == NULL ? err_set(err, E_NOT_FOUND, "nothing is published yet") : E_OK;
    for (size_t i = 0; i < append->submission->count && rc == E_OK; i++) {
        rc = parts_put_receipt(parts, tree, append->submission->indices[i], &receipts[i], err);
    }
    published_tree_release(tree);
    return rc;
}

/* Peers that ask for receipts and do not read them must not make us hold them all. */
static bool has_room(const struct append_call *append, const struct buf *receipts)
{
    size_t bytes = 0;
    for (size_t i = 0; i < append->submission->count; i++) {
        bytes += receipts[i].len;
    }
    return rpc_call_has_room(append->call, bytes);
}

/* What keeps the entries from being witnessed. */
static void put_reason(struct parts *parts, char *out, size_t out_max)
{
    char words[REASON_MAX];
    if (!publisher_is_degraded(parts->publisher, words, sizeof words)) {
        publisher_missing(parts->publisher, words, sizeof words);
    }
    private_paths_hide(&parts->private_paths, words, sizeof words);
    snprintf(out, out_max, "not published in time%s%.300s: the entries are durable",
             words[0] == 0 ? "" : ": ", words);
}

/* On a worker: everything that takes time, then the answer. */
static void finish(void *arg)
{
    struct append_call *append = arg;
    size_t count = append->submission->count;
    struct buf promise = BUF_INIT(NOTE_BYTES_MAX);
    struct buf *receipts = mem_calloc(count, sizeof *receipts);
    for (size_t i = 0; i < count; i++) {
        buf_init(&receipts[i], RECEIPT_BYTES_MAX);
    }
    struct err err = { .msg = "" };
    char reason[REASON_MAX] = "";
    if (append->wants_promise &&
        signing_promise(&append->service->parts->signing, &promise, append->submission->indices,
                        append->submission->leaves, count, &err) != E_OK) {
        log_error(LOG_LEVEL_ERROR, "promise_failed", &err);
        snprintf(reason, sizeof reason,
                 "the promise key does not sign now: the entries are durable");
    }
    struct parts *parts = append->service->parts;
    bool is_witnessed =
        append->wants_witnessed && append->last < publisher_witnessed(parts->publisher);
    bool has_receipts = is_witnessed && make_receipts(append, receipts, &err) == E_OK;
    if (append->wants_witnessed && !has_receipts) {
        put_reason(parts, reason, sizeof reason);
    } else if (has_receipts && !has_room(append, receipts)) {
        has_receipts = false;
        snprintf(reason, sizeof reason,
                 "too many answers wait to be read: the entries are durable, ask for their "
                 "receipts");
    }
    /* What is published has met the log's policy: it is the caller's own policy that counts. */
    reply(append, buf_span(&promise), has_receipts ? receipts : NULL, has_receipts, reason);
    for (size_t i = 0; i < count; i++) {
        buf_clear(&receipts[i]);
    }
    mem_free(receipts);
    buf_clear(&promise);
    append_call_free(append);
}

/* -- After the commit: sequencer thread -- */

/* Waiting calls no longer count against the pool's maxima, so they keep no entries. */
static void wait_for_publication(struct append_call *append)
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
    if (is_ready) {
        work_post(service->parts->work, finish, append);
    }
}

static void fail(struct append_call *append, const struct err *err)
{
    struct err words = *err;
    private_paths_hide(&append->service->parts->private_paths, words.msg, sizeof words.msg);
    rpc_fail(append->call, words.code, words.msg);
    append_call_free(append);
}

static void on_done(struct submission *submission, const struct err *err)
{
    struct append_call *append = submission->ctx;
    if (err != NULL) {
        fail(append, err);
    } else if (append->wants_witnessed) {
        wait_for_publication(append);
    } else if (append->wants_promise) {
        work_post(append->service->parts->work, finish, append);
    } else {
        reply(append, (struct span){ 0 }, NULL, false, "");
        append_call_free(append);
    }
}

/* -- The message: gRPC thread -- */

static void *arena_allocate(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void arena_forget(void *arena, void *memory)
{
    (void)arena;
    (void)memory; /* arena_clear frees all */
}

/* How many entries a message says it has, without unpacking it: a field of length 0 costs its sender
 * two bytes and us twenty. Other fields and garbage are protobuf-c's to judge. */
static size_t count_entries(struct span message)
{
    size_t count = 0;
    while (message.len > 0 && message.data[0] == (1 << 3 | 2)) {
        size_t used = 1, len = 0;
        for (unsigned shift = 0; used < message.len && shift < 32; shift += 7) {
            uint8_t byte = message.data[used++];
            len |= (size_t)(byte & 0x7f) << shift;
            if ((byte & 0x80) == 0) {
                break;
            }
        }
        if (len > message.len - used) {
            break;
        }
        message = span_slice(message, used + len, message.len - used - len);
        count++;
    }
    return count;
}

static enum err_code check_request(const struct parts *parts,
                                   const Courtroll__V1__AppendRequest *request, struct err *err)
{
    if (request->n_entries == 0 || request->n_entries > ENTRIES_PER_CALL_MAX) {
        return err_set(err, E_MALFORMED, "%zu entries: a call has 1 to %d", request->n_entries,
                       ENTRIES_PER_CALL_MAX);
    }
    for (size_t i = 0; i < request->n_entries; i++) {
        if (request->entries[i].len > ENTRY_BYTES_MAX) {
            return err_set(err, E_MALFORMED, "entry %zu has %zu bytes: an entry has at most %d", i,
                           request->entries[i].len, ENTRY_BYTES_MAX);
        }
    }
    if (request->wait != COURTROLL__V1__WAIT__DURABLE &&
        request->wait != COURTROLL__V1__WAIT__WITNESSED) {
        return err_set(err, E_MALFORMED, "wait: %d is neither DURABLE nor WITNESSED",
                       (int)request->wait);
    }
    if (request->promise && parts->signing.promise.key == NULL) {
        return err_set(err, E_UNSUPPORTED, "this log makes no promises: it has no promise-key");
    }
    return E_OK;
}

static uint64_t answer_until(struct rpc_call *call)
{
    int64_t left = rpc_call_deadline_ms(call);
    int64_t wait = WITNESSED_WAIT_MS;
    if (left != INT64_MAX && left - ANSWER_MARGIN_MS < wait) {
        wait = left > ANSWER_MARGIN_MS ? left - ANSWER_MARGIN_MS : 0;
    }
    return now_ms() + (uint64_t)wait;
}

static struct append_call *append_call_new(struct append_service *service, struct rpc_call *call,
                                           const Courtroll__V1__AppendRequest *request)
{
    size_t bytes = 0;
    for (size_t i = 0; i < request->n_entries; i++) {
        bytes += request->entries[i].len;
    }
    struct append_call *append = NEW(struct append_call);
    append->service = service;
    append->call = call;
    append->wants_promise = request->promise;
    append->wants_witnessed = request->wait == COURTROLL__V1__WAIT__WITNESSED;
    append->until_ms = append->wants_witnessed ? answer_until(call) : 0;
    append->submission = submission_new(request->n_entries, bytes);
    append->submission->on_done = on_done;
    append->submission->ctx = append;
    for (size_t i = 0; i < request->n_entries; i++) {
        submission_add(append->submission,
                       span_of(request->entries[i].data, request->entries[i].len));
    }
    return append;
}

void append_on_call(void *ctx, struct rpc_call *call, struct span message)
{
    struct append_service *service = ctx;
    struct arena arena;
    unsigned char small[UNPACKED_SMALL]; /* most calls: no allocation */
    arena_init_with(&arena, UNPACKED_BYTES_MAX, small, sizeof small);
    ProtobufCAllocator allocator = { arena_allocate, arena_forget, &arena };
    struct err err;
    Courtroll__V1__AppendRequest *request = NULL;
    if (count_entries(message) <= ENTRIES_PER_CALL_MAX) {
        request = courtroll__v1__append_request__unpack(&allocator, message.len, message.data);
        if (request == NULL) {
            err_set(&err, E_MALFORMED, "not an AppendRequest");
        }
    } else {
        err_set(&err, E_MALFORMED, "over %d entries in one call", ENTRIES_PER_CALL_MAX);
    }
    if (request == NULL || check_request(service->parts, request, &err) != E_OK) {
        rpc_fail(call, err.code, err.msg);
        arena_clear(&arena);
        return;
    }
    struct append_call *append = append_call_new(service, call, request);
    arena_clear(&arena);
    if (pool_push(service->parts->pool, append->submission, &err) != E_OK) {
        on_done(append->submission, &err);
    }
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
        work_post(service->parts->work, finish, append);
    }
    return is_waited_for;
}

static void on_tick(uv_timer_t *timer)
{
    if (!finish_ready(timer->data, 0, now_ms())) {
        uv_timer_stop(timer);
    }
}

static void on_wake(uv_async_t *wake)
{
    struct append_service *service = wake->data;
    if (service->on_closed == NULL) {
        uv_timer_start(&service->timer, on_tick, TICK_MS, TICK_MS);
    }
}

struct append_service *append_service_new(uv_loop_t *loop, struct parts *parts)
{
    struct append_service *service = NEW(struct append_service);
    service->parts = parts;
    TAILQ_INIT(&service->waiting);
    pthread_mutex_init(&service->mutex, NULL);
    uv_timer_init(loop, &service->timer);
    service->timer.data = service;
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
    mem_free(service);
    on_closed(ctx);
}

void append_service_close(struct append_service *service, void *ctx, void (*on_closed)(void *ctx))
{
    assert(TAILQ_EMPTY(&service->waiting));
    service->closed_ctx = ctx;
    service->on_closed = on_closed;
    service->open_handles = 2;
    uv_close((uv_handle_t *)&service->timer, on_handle_closed);
    uv_close((uv_handle_t *)&service->wake, on_handle_closed);
}
