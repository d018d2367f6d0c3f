#include "logd/read_service.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "courtroll/v1/log.pb-c.h"
#include "tlog/bundle.h"
#include "tlog/proof.h"

#include <pthread.h>
#include <sys/queue.h>

enum {
    REQUEST_BYTES_MAX = 1024,
    ENTRIES_MESSAGE_BYTES = 256 * 1024, /* of entries in one message of GetEntries, about */
    ENTRIES_STREAMS_MAX = 128,          /* at a time: 5 messages each, so some 200 MB */
    RECEIPT_BYTES_MAX = PROOF_FILE_BYTES_MAX,
};

/* One call on its way to a worker and back. */
struct read {
    struct read_service *service;
    struct rpc_call *call;
    struct published_tree *tree; /* the one it is answered from; held */
    bool has_leaf;
    struct hash leaf;
    uint64_t index; /* or the first size of a consistency proof */
    uint64_t size;
};

/* A GetEntries under way. */
struct entries_stream {
    struct read_service *service;
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

struct read_service {
    struct parts *parts;
    pthread_mutex_t mutex; /* guards the two below, and the flags and lives of entries_streams */
    unsigned stream_count; /* of GetEntries */
    LIST_HEAD(, watch) watches;
};

/* -- Helpers -- */

static ProtobufCBinaryData binary(struct span bytes)
{
    return (ProtobufCBinaryData){ bytes.len, (uint8_t *)bytes.data };
}

static void pack(struct buf *out, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    buf_init(out, len + 1);
    if (len > 0) {
        protobuf_c_message_pack(message, buf_extend(out, len));
    }
}

static void reply(struct rpc_call *call, const ProtobufCMessage *message)
{
    struct buf packed;
    pack(&packed, message);
    if (rpc_call_has_room(call, packed.len)) {
        rpc_reply_take(call, &packed);
    } else {
        rpc_fail(call, E_BUSY, "too many answers wait to be read: try again");
    }
    buf_clear(&packed);
}

static void fail(struct read_service *service, struct rpc_call *call, const struct err *err)
{
    /* What is wrong with our disk is not the caller's business. */
    bool is_ours = err->code == E_IO || err->code == E_CORRUPT;
    struct err words = *err;
    private_paths_hide(&service->parts->private_paths, words.msg, sizeof words.msg);
    rpc_fail(call, words.code, is_ours ? NULL : words.msg);
}

/* Two numbers or a hash, and no more: what we do not know unpacks to many times its size. True when
 * the call is answered. */
static bool refuse_long(struct rpc_call *call, struct span message)
{
    if (message.len <= REQUEST_BYTES_MAX) {
        return false;
    }
    rpc_fail(call, E_MALFORMED, "the request is too long");
    return true;
}

/* NULL, and the call answered, when nothing is published yet. */
static struct read *read_new(struct read_service *service, struct rpc_call *call)
{
    struct published_tree *tree = published_get(service->parts->published);
    if (tree == NULL) {
        rpc_fail(call, E_UNAVAILABLE, "nothing is published yet");
        return NULL;
    }
    struct read *read = NEW(struct read);
    read->service = service;
    read->call = call;
    read->tree = tree;
    return read;
}

static void read_free(struct read *read)
{
    published_tree_release(read->tree);
    mem_free(read);
}

static void read_end(struct read *read, enum err_code rc, const struct err *err)
{
    if (rc != E_OK) {
        fail(read->service, read->call, err);
    }
    read_free(read);
}

/* Takes which entry is meant out of a request. */
static enum err_code set_entry(struct read *read, bool has_leaf, ProtobufCBinaryData leaf,
                               uint64_t index, struct err *err)
{
    if (!has_leaf) {
        read->index = index;
        return E_OK;
    }
    if (leaf.len != HASH_BYTES) {
        return err_set(err, E_MALFORMED, "leaf_hash has %zu bytes, expected %d", leaf.len,
                       HASH_BYTES);
    }
    read->has_leaf = true;
    memcpy(read->leaf.bytes, leaf.data, HASH_BYTES);
    return E_OK;
}

/* On a worker: the index and leaf hash of the entry meant. */
static enum err_code find_entry(struct read *read, struct err *err)
{
    struct parts *parts = read->service->parts;
    if (read->has_leaf) {
        return parts_find_leaf(parts, read->tree, &read->leaf, &read->index, err);
    }
    return parts_leaf(parts, read->tree, read->index, &read->leaf, err);
}

static enum err_code check_size(const struct read *read, struct err *err)
{
    uint64_t published = read->tree->checkpoint.size;
    if (read->size > published) {
        return err_set(err, E_NOT_FOUND, "size %llu is not published: the published size is %llu",
                       (unsigned long long)read->size, (unsigned long long)published);
    }
    return E_OK;
}

/* -- GetCheckpoint -- */

static void get_checkpoint(void *ctx, struct rpc_call *call, struct span message)
{
    (void)message;
    struct read *read = read_new(ctx, call);
    if (read != NULL) {
        Courtroll__V1__GetCheckpointReply out = COURTROLL__V1__GET_CHECKPOINT_REPLY__INIT;
        out.note = binary(http_body_span(read->tree->note));
        reply(call, &out.base);
        read_free(read);
    }
}

/* -- GetInclusionProof -- */

static void reply_proof(struct read *read, const struct proof *proof)
{
    ProtobufCBinaryData hashes[PROOF_HASHES_MAX];
    for (size_t i = 0; i < proof->count; i++) {
        hashes[i] = binary(hash_span(&proof->hashes[i]));
    }
    Courtroll__V1__GetInclusionProofReply out = COURTROLL__V1__GET_INCLUSION_PROOF_REPLY__INIT;
    out.index = read->index;
    out.size = read->size;
    out.leaf_hash = binary(hash_span(&read->leaf));
    out.n_hashes = proof->count;
    out.hashes = hashes;
    out.note = binary(http_body_span(read->tree->note));
    reply(read->call, &out.base);
}

static void run_inclusion(void *arg)
{
    struct read *read = arg;
    struct tile_nodes nodes = { read->service->parts->cache, read->tree };
    struct merkle_source source = tile_cache_nodes(&nodes);
    struct proof proof;
    struct err err;
    enum err_code rc = find_entry(read, &err);
    if (rc == E_OK) {
        rc = proof_make_inclusion(&proof, &source, read->index, read->size, &err);
    }
    if (rc == E_OK) {
        reply_proof(read, &proof);
    }
    read_end(read, rc, &err);
}

static void get_inclusion_proof(void *ctx, struct rpc_call *call, struct span message)
{
    if (refuse_long(call, message)) {
        return;
    }
    Courtroll__V1__GetInclusionProofRequest *in =
        courtroll__v1__get_inclusion_proof_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        rpc_fail(call, E_MALFORMED, "not a GetInclusionProofRequest");
        return;
    }
    if (in->entry_case == COURTROLL__V1__GET_INCLUSION_PROOF_REQUEST__ENTRY__NOT_SET) {
        rpc_fail(call, E_MALFORMED, "neither an index nor a leaf_hash");
        courtroll__v1__get_inclusion_proof_request__free_unpacked(in, NULL);
        return;
    }
    struct read *read = read_new(ctx, call);
    if (read != NULL) {
        struct err err;
        bool has_leaf =
            in->entry_case == COURTROLL__V1__GET_INCLUSION_PROOF_REQUEST__ENTRY_LEAF_HASH;
        read->size = in->size == 0 ? read->tree->checkpoint.size : in->size;
        enum err_code rc =
            has_leaf ? set_entry(read, true, in->leaf_hash, 0, &err)
                     : set_entry(read, false, binary((struct span){ 0 }), in->index, &err);
        if (rc == E_OK) {
            rc = check_size(read, &err);
        }
        if (rc == E_OK) {
            work_post(read->service->parts->work, run_inclusion, read);
        } else {
            read_end(read, rc, &err);
        }
    }
    courtroll__v1__get_inclusion_proof_request__free_unpacked(in, NULL);
}

/* -- GetConsistencyProof -- */

static void run_consistency(void *arg)
{
    struct read *read = arg;
    struct tile_nodes nodes = { read->service->parts->cache, read->tree };
    struct merkle_source source = tile_cache_nodes(&nodes);
    struct proof proof;
    struct err err;
    enum err_code rc = proof_make_consistency(&proof, &source, read->index, read->size, &err);
    if (rc == E_OK) {
        ProtobufCBinaryData hashes[PROOF_HASHES_MAX];
        for (size_t i = 0; i < proof.count; i++) {
            hashes[i] = binary(hash_span(&proof.hashes[i]));
        }
        Courtroll__V1__GetConsistencyProofReply out =
            COURTROLL__V1__GET_CONSISTENCY_PROOF_REPLY__INIT;
        out.new_size = read->size;
        out.n_hashes = proof.count;
        out.hashes = hashes;
        reply(read->call, &out.base);
    }
    read_end(read, rc, &err);
}

static void get_consistency_proof(void *ctx, struct rpc_call *call, struct span message)
{
    if (refuse_long(call, message)) {
        return;
    }
    Courtroll__V1__GetConsistencyProofRequest *in =
        courtroll__v1__get_consistency_proof_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        rpc_fail(call, E_MALFORMED, "not a GetConsistencyProofRequest");
        return;
    }
    struct read *read = read_new(ctx, call);
    if (read != NULL) {
        struct err err;
        read->index = in->old_size;
        read->size = in->new_size == 0 ? read->tree->checkpoint.size : in->new_size;
        enum err_code rc = check_size(read, &err);
        if (rc == E_OK && read->index > read->size) {
            rc = err_set(&err, E_MALFORMED, "old_size is larger than new_size");
        }
        if (rc == E_OK) {
            work_post(read->service->parts->work, run_consistency, read);
        } else {
            read_end(read, rc, &err);
        }
    }
    courtroll__v1__get_consistency_proof_request__free_unpacked(in, NULL);
}

/* -- GetReceipt -- */

static void run_receipt(void *arg)
{
    struct read *read = arg;
    struct buf receipt = BUF_INIT(RECEIPT_BYTES_MAX);
    struct err err;
    enum err_code rc = find_entry(read, &err);
    if (rc == E_OK) {
        rc = parts_put_receipt(read->service->parts, read->tree, read->index, &receipt, &err);
    }
    if (rc == E_OK) {
        Courtroll__V1__GetReceiptReply out = COURTROLL__V1__GET_RECEIPT_REPLY__INIT;
        out.receipt = binary(buf_span(&receipt));
        reply(read->call, &out.base);
    }
    buf_clear(&receipt);
    read_end(read, rc, &err);
}

static void get_receipt(void *ctx, struct rpc_call *call, struct span message)
{
    if (refuse_long(call, message)) {
        return;
    }
    Courtroll__V1__GetReceiptRequest *in =
        courtroll__v1__get_receipt_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        rpc_fail(call, E_MALFORMED, "not a GetReceiptRequest");
        return;
    }
    if (in->entry_case == COURTROLL__V1__GET_RECEIPT_REQUEST__ENTRY__NOT_SET) {
        rpc_fail(call, E_MALFORMED, "neither an index nor a leaf_hash");
        courtroll__v1__get_receipt_request__free_unpacked(in, NULL);
        return;
    }
    struct read *read = read_new(ctx, call);
    if (read != NULL) {
        struct err err;
        bool has_leaf = in->entry_case == COURTROLL__V1__GET_RECEIPT_REQUEST__ENTRY_LEAF_HASH;
        enum err_code rc =
            has_leaf ? set_entry(read, true, in->leaf_hash, 0, &err)
                     : set_entry(read, false, binary((struct span){ 0 }), in->index, &err);
        if (rc == E_OK) {
            work_post(read->service->parts->work, run_receipt, read);
        } else {
            read_end(read, rc, &err);
        }
    }
    courtroll__v1__get_receipt_request__free_unpacked(in, NULL);
}

/* -- GetEntries -- */

static void entries_end(struct entries_stream *stream, enum err_code rc, const struct err *err)
{
    struct read_service *service = stream->service;
    pthread_mutex_lock(&service->mutex);
    rpc_call_set_user(stream->call, NULL); /* entries_on_sent must not find it any more */
    service->stream_count--;
    pthread_mutex_unlock(&service->mutex);
    if (rc == E_OK) {
        rpc_stream_finish(stream->call);
    } else {
        fail(service, stream->call, err);
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
            entries[message.n_entries++] = binary(entry);
            bytes += entry.len;
        }
    }
    if (message.n_entries == 0) {
        return err_set(err, E_CORRUPT, "a bundle has too few entries");
    }
    pack(out, &message.base);
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
    struct read_service *service = ctx;
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
static enum err_code entries_admit(struct read_service *service, struct err *err)
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
    struct read_service *service = ctx;
    if (refuse_long(call, message)) {
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
        fail(service, call, &err);
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
static void watch_send(struct read_service *service, struct watch *watch)
{
    struct published_tree *tree = published_get(service->parts->published);
    if (tree == NULL || tree->checkpoint.size < watch->sent) {
        published_tree_release(tree);
        return;
    }
    Courtroll__V1__GetCheckpointReply out = COURTROLL__V1__GET_CHECKPOINT_REPLY__INIT;
    out.note = binary(http_body_span(tree->note));
    struct buf packed;
    pack(&packed, &out.base);
    if (rpc_stream_send_take(watch->call, &packed) == E_OK) {
        watch->sent = tree->checkpoint.size + 1;
    }
    buf_clear(&packed);
    published_tree_release(tree);
}

static void watch_checkpoints(void *ctx, struct rpc_call *call, struct span message)
{
    (void)message;
    struct read_service *service = ctx;
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
    struct read_service *service = ctx;
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
    struct read_service *service = ctx;
    pthread_mutex_lock(&service->mutex);
    struct watch *watch = rpc_call_user(call);
    if (watch != NULL) {
        watch_end(watch);
    }
    pthread_mutex_unlock(&service->mutex);
}

void read_service_on_published(struct read_service *service)
{
    pthread_mutex_lock(&service->mutex);
    struct watch *watch;
    LIST_FOREACH(watch, &service->watches, next)
    {
        watch_send(service, watch);
    }
    pthread_mutex_unlock(&service->mutex);
}

void read_service_end(struct read_service *service)
{
    pthread_mutex_lock(&service->mutex);
    while (!LIST_EMPTY(&service->watches)) {
        watch_end(LIST_FIRST(&service->watches));
    }
    pthread_mutex_unlock(&service->mutex);
}

/* -- GetStatus -- */

static void get_status(void *ctx, struct rpc_call *call, struct span message)
{
    (void)message;
    struct parts *parts = ((struct read_service *)ctx)->parts;
    struct status status;
    parts_status(parts, &status);
    Courtroll__V1__GetStatusReply out = COURTROLL__V1__GET_STATUS_REPLY__INIT;
    out.origin = binary(span_of_str(signing_origin(&parts->signing)));
    out.durable_size = status.durable_size;
    out.integrated_size = status.stored_size;
    out.published_size = status.published_size;
    out.admitting = status.is_admitting;
    out.degraded = status.is_degraded;
    out.reason = binary(span_of_str(status.reason));
    out.rollback_check = binary(span_of_str(parts->rollback_check));
    out.cpu_us = status.cpu_us;
    out.bytes_written = status.bytes_written;
    out.bytes_logged = status.stats.bytes_logged;
    out.rss_anon_bytes = status.rss_anon_bytes;
    out.uptime_ms = status.uptime_ms;
    out.version = binary(span_of_str(COURTROLL_VERSION));
    out.pool_entries = status.pool_entries;
    out.duplicates = status.stats.duplicates;
    out.entries_logged = status.stats.entries_logged;
    reply(call, &out.base);
}

/* -- The table -- */

struct read_service *read_service_new(struct parts *parts)
{
    struct read_service *service = NEW(struct read_service);
    service->parts = parts;
    pthread_mutex_init(&service->mutex, NULL);
    LIST_INIT(&service->watches);
    return service;
}

void read_service_methods(struct read_service *service, struct rpc_method out[READ_METHODS])
{
    const struct rpc_method methods[READ_METHODS] = {
        { .path = "/courtroll.v1.Log/GetCheckpoint", .on_call = get_checkpoint },
        { .path = "/courtroll.v1.Log/GetInclusionProof", .on_call = get_inclusion_proof },
        { .path = "/courtroll.v1.Log/GetConsistencyProof", .on_call = get_consistency_proof },
        { .path = "/courtroll.v1.Log/GetReceipt", .on_call = get_receipt },
        { .path = "/courtroll.v1.Log/GetStatus", .on_call = get_status },
        { .path = "/courtroll.v1.Log/GetEntries",
          .kind = RPC_SERVER_STREAM,
          .on_call = get_entries,
          .on_sent = entries_on_sent,
          .on_cancelled = entries_on_sent },
        { .path = "/courtroll.v1.Log/WatchCheckpoints",
          .kind = RPC_SERVER_STREAM,
          .on_call = watch_checkpoints,
          .on_sent = watch_on_sent,
          .on_cancelled = watch_on_cancelled },
    };
    for (size_t i = 0; i < READ_METHODS; i++) {
        out[i] = methods[i];
        out[i].ctx = service;
    }
}

void read_service_free(struct read_service *service)
{
    if (service != NULL) {
        pthread_mutex_destroy(&service->mutex);
        mem_free(service);
    }
}
