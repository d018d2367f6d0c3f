#include "logd/append_service_parts.h"

#include "base/alloc.h"
#include "base/limits.h"
#include "base/log.h"
#include "courtroll/v1/log.pb-c.h"

#include <stdio.h>

enum {
    WITNESSED_WAIT_MS = 30 * 1000,
    ANSWER_MARGIN_MS = 100, /* before the caller's deadline */
    REASON_MAX = 512,       /* bytes */
    UNPACKED_SMALL = 4096,
    UNPACKED_BYTES_MAX = 2 * CALL_BYTES_MAX + 128 * ENTRIES_PER_CALL_MAX,
    RECEIPT_BYTES_MAX = PROOF_FILE_BYTES_MAX,
};

/* -- Answering -- */

void append_call_free(struct append_call *append)
{
    append_count_out(append);
    submission_free(append->submission);
    mem_free(append->certificates);
    buf_clear(&append->answer);
    mem_free(append);
}

void append_hide_paths(const struct append_call *append, struct err *err)
{
    private_paths_hide(&append->service->parts->private_paths, err->msg, sizeof err->msg);
}

/* Packs the reply, initialising `out`; `receipts` has one span an entry, or is NULL. */
static void put_reply(const struct append_call *append, struct buf *out, struct span promise,
                      const struct buf *receipts, bool is_witnessed, const char *reason)
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
    buf_init(out, len);
    if (len > 0) {
        courtroll__v1__append_reply__pack(&message, buf_extend(out, len));
    }
    mem_free(items);
}

void append_put_plain(const struct append_call *append, struct buf *out)
{
    put_reply(append, out, (struct span){ 0 }, NULL, false, "");
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

void append_finish(void *arg)
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
    struct buf answer;
    put_reply(append, &answer, buf_span(&promise), has_receipts ? receipts : NULL, has_receipts,
              reason);
    for (size_t i = 0; i < count; i++) {
        buf_clear(&receipts[i]);
    }
    mem_free(receipts);
    buf_clear(&promise);
    append_on_finished(append, &answer);
    buf_clear(&answer);
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

/* What the gate needs to know beside the entries. */
static enum err_code check_certificates(const struct parts *parts,
                                        const Courtroll__V1__AppendRequest *request,
                                        struct err *err)
{
    if (request->n_certificates == 0) {
        return E_OK;
    }
    if (parts->gate == NULL) {
        return err_set(err, E_MALFORMED, "certificates: this log's entries are opaque");
    }
    if (request->n_certificates != request->n_entries) {
        return err_set(err, E_MALFORMED, "certificates: %zu of them for %zu entries",
                       request->n_certificates, request->n_entries);
    }
    for (size_t i = 0; i < request->n_certificates; i++) {
        static const uint8_t none[CERTIFICATE_BYTES]; /* how append_call says that there is none */
        size_t len = request->certificates[i].len;
        if (len != 0 && len != CERTIFICATE_BYTES) {
            return err_set(err, E_MALFORMED, "entry %zu: certificates: %zu bytes, expected %d", i,
                           len, CERTIFICATE_BYTES);
        }
        if (len != 0 && memcmp(request->certificates[i].data, none, sizeof none) == 0) {
            return err_set(err, E_MALFORMED, "entry %zu: certificates: nothing but zeros", i);
        }
    }
    return E_OK;
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
    return check_certificates(parts, request, err);
}

static uint64_t answer_until(struct rpc_call *call)
{
    int64_t left = rpc_call_deadline_ms(call);
    int64_t wait = WITNESSED_WAIT_MS;
    if (left != INT64_MAX && left - ANSWER_MARGIN_MS < wait) {
        wait = left > ANSWER_MARGIN_MS ? left - ANSWER_MARGIN_MS : 0;
    }
    return uv_hrtime() / 1000000 + (uint64_t)wait;
}

static struct span span_of_binary(ProtobufCBinaryData bytes)
{
    return span_of(bytes.data, bytes.len);
}

static void take_entries(struct append_call *append, const Courtroll__V1__AppendRequest *request)
{
    bool has_facts = append->service->parts->gate != NULL;
    const struct entry_facts unknown = { 0 };
    size_t bytes = 0;
    for (size_t i = 0; i < request->n_entries; i++) {
        bytes += request->entries[i].len;
    }
    append->submission = has_facts ? submission_new_with_facts(request->n_entries, bytes)
                                   : submission_new(request->n_entries, bytes);
    append->submission->on_done = append_on_done;
    append->submission->ctx = append;
    for (size_t i = 0; i < request->n_entries; i++) {
        struct span entry = span_of_binary(request->entries[i]);
        if (has_facts) {
            submission_add_with_facts(append->submission, entry, &unknown);
        } else {
            submission_add(append->submission, entry);
        }
    }
}

/* check_request has seen to their sizes. */
static void take_certificates(struct append_call *append,
                              const Courtroll__V1__AppendRequest *request)
{
    for (size_t i = 0; i < request->n_certificates; i++) {
        if (request->certificates[i].len == 0) {
            continue;
        }
        if (append->certificates == NULL) {
            append->certificates = mem_calloc(request->n_certificates, CERTIFICATE_BYTES);
        }
        memcpy(append->certificates + i * CERTIFICATE_BYTES, request->certificates[i].data,
               CERTIFICATE_BYTES);
    }
}

static struct gate_sender sender_of(const struct parts *parts, struct rpc_call *call)
{
    struct gate_sender sender = { .is_local = rpc_call_is_local(call) };
    if (parts->has_client_ca && !sender.is_local) {
        sender.name = rpc_call_peer_name(call); /* good until the answer */
        sender.name = sender.name == NULL ? "" : sender.name;
    }
    return sender;
}

static struct append_call *call_new(struct append_service *service, struct rpc_call *call,
                                    const Courtroll__V1__AppendRequest *request)
{
    struct append_call *append = NEW(struct append_call);
    append->service = service;
    append->call = call;
    append->wants_promise = request->promise;
    append->wants_witnessed = request->wait == COURTROLL__V1__WAIT__WITNESSED;
    append->until_ms = append->wants_witnessed ? answer_until(call) : 0;
    take_entries(append, request);
    if (service->parts->gate != NULL) {
        take_certificates(append, request);
        append->sender = sender_of(service->parts, call);
    }
    return append;
}

enum err_code append_call_new(struct append_call **out, struct append_service *service,
                              struct rpc_call *call, struct span message, struct err *err)
{
    if (count_entries(message) > ENTRIES_PER_CALL_MAX) {
        return err_set(err, E_MALFORMED, "over %d entries in one call", ENTRIES_PER_CALL_MAX);
    }
    struct arena arena;
    unsigned char small[UNPACKED_SMALL]; /* most calls: no allocation */
    arena_init_with(&arena, UNPACKED_BYTES_MAX, small, sizeof small);
    ProtobufCAllocator allocator = { arena_allocate, arena_forget, &arena };
    const Courtroll__V1__AppendRequest *request =
        courtroll__v1__append_request__unpack(&allocator, message.len, message.data);
    enum err_code rc = request == NULL ? err_set(err, E_MALFORMED, "not an AppendRequest")
                                       : check_request(service->parts, request, err);
    if (rc == E_OK) {
        *out = call_new(service, call, request);
    }
    arena_clear(&arena);
    return rc;
}
