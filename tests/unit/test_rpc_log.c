/* The client of the Log service against a server that answers what each test wants, right or wrong,
 * from another thread where the real one does. */
#include "client/rpc_log.h"

#include "base/limits.h"
#include "courtroll/v1/log.pb-c.h"
#include "net/rpc_server.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    TIMEOUT_MS = 20 * 1000,
    PENDING_MAX = 256,
};

/* What the server does wrong. */
enum fault {
    FAULT_NONE,
    FAULT_SHORT_HASH,
    FAULT_MISSING_ENTRY,
    FAULT_NOT_PROTOBUF,
    FAULT_REFUSE,
    FAULT_ENTRIES_GAP,
    FAULT_PROOF_ORDER,
    FAULT_PROOF_MORE,
};

struct pending {
    struct rpc_call *call;
    struct buf reply;
};

struct fixture {
    struct rpc_server *server;
    struct rpc_log *log;
    enum fault fault;
    uint64_t size;
    size_t certificate_count;
    bool was_witnessed, was_promised;
    pthread_mutex_t lock; /* guards pending */
    struct pending pending[PENDING_MAX];
    size_t pending_count;
    atomic_bool is_over;
    pthread_t thread;
};

static struct buf pack(const ProtobufCMessage *message)
{
    struct buf out = BUF_INIT(SIZE_MAX);
    size_t bytes = protobuf_c_message_get_packed_size(message);
    if (bytes > 0) {
        protobuf_c_message_pack(message, buf_extend(&out, bytes));
    }
    return out;
}

static void reply(struct rpc_call *call, const ProtobufCMessage *message)
{
    struct buf bytes = pack(message);
    rpc_reply_take(call, &bytes);
    buf_clear(&bytes);
}

static ProtobufCBinaryData text(const char *words)
{
    return (ProtobufCBinaryData){ strlen(words), (uint8_t *)(uintptr_t)words };
}

/* ---- Append, answered by another thread after a while ---- */

static void *answer_run(void *arg)
{
    struct fixture *fixture = arg;
    while (!fixture->is_over) {
        pthread_mutex_lock(&fixture->lock);
        for (size_t i = 0; i < fixture->pending_count; i++) {
            rpc_reply_take(fixture->pending[i].call, &fixture->pending[i].reply);
        }
        fixture->pending_count = 0;
        pthread_mutex_unlock(&fixture->lock);
        usleep(1000);
    }
    return NULL;
}

static void answer_later(struct fixture *fixture, struct rpc_call *call, struct buf bytes)
{
    pthread_mutex_lock(&fixture->lock);
    assert_true(fixture->pending_count < PENDING_MAX);
    fixture->pending[fixture->pending_count++] = (struct pending){ call, bytes };
    pthread_mutex_unlock(&fixture->lock);
}

static struct buf append_reply(struct fixture *fixture, const Courtroll__V1__AppendRequest *request)
{
    size_t count = request->n_entries;
    Courtroll__V1__Appended *entries = mem_calloc(count + 1, sizeof *entries);
    Courtroll__V1__Appended **list = mem_calloc(count + 1, sizeof *list);
    struct hash *hashes = mem_calloc(count + 1, sizeof *hashes);
    for (size_t i = 0; i < count; i++) {
        courtroll__v1__appended__init(&entries[i]);
        hashes[i] = merkle_leaf_hash(span_of(request->entries[i].data, request->entries[i].len));
        entries[i].index = fixture->size++;
        entries[i].leaf_hash.data = hashes[i].bytes;
        entries[i].leaf_hash.len = fixture->fault == FAULT_SHORT_HASH ? 31 : 32;
        entries[i].proof = text(fixture->was_witnessed ? "proof" : "");
        list[i] = &entries[i];
    }
    Courtroll__V1__AppendReply answer = COURTROLL__V1__APPEND_REPLY__INIT;
    answer.entries = list;
    answer.n_entries = fixture->fault == FAULT_MISSING_ENTRY ? count - 1 : count;
    answer.promise = text(fixture->was_promised ? "promise" : "");
    answer.witnessed = fixture->was_witnessed;
    struct buf bytes = pack(&answer.base);
    mem_free(entries);
    mem_free(list);
    mem_free(hashes);
    return bytes;
}

static void on_append(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *fixture = ctx;
    Courtroll__V1__AppendRequest *request =
        courtroll__v1__append_request__unpack(NULL, message.len, message.data);
    assert_non_null(request);
    fixture->was_witnessed = request->wait == COURTROLL__V1__WAIT__WITNESSED;
    fixture->was_promised = request->promise != 0;
    fixture->certificate_count = request->n_certificates;
    for (size_t i = 0; i < request->n_certificates; i++) { /* entries, last first */
        const ProtobufCBinaryData *entry = &request->entries[request->n_entries - 1 - i];
        assert_int_equal(request->certificates[i].len, entry->len);
        assert_true(entry->len == 0 ||
                    memcmp(request->certificates[i].data, entry->data, entry->len) == 0);
    }
    if (fixture->fault == FAULT_REFUSE) {
        rpc_fail(call, E_MALFORMED, "entry 3: too long");
    } else if (fixture->fault == FAULT_NOT_PROTOBUF) {
        rpc_reply(call, span_of("\x0a\x7f", 2));
    } else {
        answer_later(fixture, call, append_reply(fixture, request));
    }
    courtroll__v1__append_request__free_unpacked(request, NULL);
}

/* ---- queries ---- */

static void on_checkpoint(void *ctx, struct rpc_call *call, struct span message)
{
    (void)ctx, (void)message;
    Courtroll__V1__GetCheckpointReply answer = COURTROLL__V1__GET_CHECKPOINT_REPLY__INIT;
    answer.note = text("a note\n");
    reply(call, &answer.base);
}

static void on_inclusion(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *fixture = ctx;
    Courtroll__V1__GetInclusionProofRequest *request =
        courtroll__v1__get_inclusion_proof_request__unpack(NULL, message.len, message.data);
    assert_non_null(request);
    bool is_by_hash =
        request->entry_case == COURTROLL__V1__GET_INCLUSION_PROOF_REQUEST__ENTRY_LEAF_HASH;
    struct hash leaf = { { is_by_hash ? request->leaf_hash.data[0] : 0 } };
    ProtobufCBinaryData hashes[2] = { { 32, leaf.bytes },
                                      { fixture->fault == FAULT_SHORT_HASH ? 5 : 32, leaf.bytes } };
    Courtroll__V1__GetInclusionProofReply answer = COURTROLL__V1__GET_INCLUSION_PROOF_REPLY__INIT;
    answer.index = is_by_hash ? 77 : request->index;
    answer.size = request->size;
    answer.leaf_hash = hashes[0];
    answer.hashes = hashes;
    answer.n_hashes = 2;
    answer.note = text("a note\n");
    reply(call, &answer.base);
    courtroll__v1__get_inclusion_proof_request__free_unpacked(request, NULL);
}

static void on_status(void *ctx, struct rpc_call *call, struct span message)
{
    (void)ctx, (void)message;
    char long_text[2 * RPC_LOG_TEXT_MAX];
    memset(long_text, 'x', sizeof long_text);
    Courtroll__V1__GetStatusReply answer = COURTROLL__V1__GET_STATUS_REPLY__INIT;
    answer.origin = text("example.com/log");
    answer.reason.data = (uint8_t *)long_text;
    answer.reason.len = sizeof long_text;
    answer.admitting = 1;
    answer.durable_size = 12;
    answer.cpu_us = 34;
    Courtroll__V1__WitnessStatus witnesses[RPC_LOG_WITNESSES_MAX + 1];
    Courtroll__V1__WitnessStatus *list[RPC_LOG_WITNESSES_MAX + 1];
    for (size_t i = 0; i < RPC_LOG_WITNESSES_MAX + 1; i++) {
        courtroll__v1__witness_status__init(&witnesses[i]);
        witnesses[i].name = text("w");
        witnesses[i].size = i;
        witnesses[i].timestamp = 100 + i;
        witnesses[i].ok = i == 0;
        witnesses[i].problem = text(i == 0 ? "" : "it is silent");
        witnesses[i].failures = 2 * i;
        list[i] = &witnesses[i];
    }
    answer.witnesses = list;
    answer.n_witnesses = RPC_LOG_WITNESSES_MAX + 1;
    reply(call, &answer.base);
}

/* The checkpoint has 10 entries. */
static void on_export(void *ctx, struct rpc_call *call, struct span message)
{
    const struct fixture *fixture = ctx;
    Courtroll__V1__ExportCheckpointRequest *request =
        courtroll__v1__export_checkpoint_request__unpack(NULL, message.len, message.data);
    assert_non_null(request);
    struct hash hash = { { 7 } };
    ProtobufCBinaryData hashes[1] = { { fixture->fault == FAULT_SHORT_HASH ? 31 : 32,
                                        hash.bytes } };
    Courtroll__V1__ConsistencyProof proofs[8];
    Courtroll__V1__ConsistencyProof *list[8];
    Courtroll__V1__ExportCheckpointReply answer = COURTROLL__V1__EXPORT_CHECKPOINT_REPLY__INIT;
    for (size_t i = 0; i < request->n_old_sizes; i++) {
        if (request->old_sizes[i] <= 10) {
            courtroll__v1__consistency_proof__init(&proofs[i]);
            proofs[i].old_size =
                fixture->fault == FAULT_PROOF_ORDER ? 10 - i : request->old_sizes[i];
            proofs[i].hashes = hashes;
            proofs[i].n_hashes = i > 0;
            list[answer.n_proofs++] = &proofs[i];
        }
    }
    if (fixture->fault == FAULT_PROOF_MORE) {
        for (; answer.n_proofs <= request->n_old_sizes; answer.n_proofs++) {
            courtroll__v1__consistency_proof__init(&proofs[answer.n_proofs]);
            proofs[answer.n_proofs].old_size = 20 + answer.n_proofs;
            list[answer.n_proofs] = &proofs[answer.n_proofs];
        }
    }
    answer.proofs = list;
    answer.note = text("a note\n");
    reply(call, &answer.base);
    courtroll__v1__export_checkpoint_request__free_unpacked(request, NULL);
}

static void on_add_cosignatures(void *ctx, struct rpc_call *call, struct span message)
{
    const struct fixture *fixture = ctx;
    Courtroll__V1__AddCosignaturesRequest *request =
        courtroll__v1__add_cosignatures_request__unpack(NULL, message.len, message.data);
    assert_non_null(request);
    Courtroll__V1__AddCosignaturesReply answer = COURTROLL__V1__ADD_COSIGNATURES_REPLY__INIT;
    answer.size = request->note.len;
    answer.added = 2;
    answer.known = 1;
    answer.published_size = 9;
    if (fixture->fault == FAULT_REFUSE) {
        rpc_fail(call, E_NOT_FOUND, "no such size was exported");
    } else {
        reply(call, &answer.base);
    }
    courtroll__v1__add_cosignatures_request__free_unpacked(request, NULL);
}

/* 600 entries from `first` in runs of 256. */
static void on_entries(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *fixture = ctx;
    Courtroll__V1__GetEntriesRequest *request =
        courtroll__v1__get_entries_request__unpack(NULL, message.len, message.data);
    assert_non_null(request);
    ProtobufCBinaryData entries[256];
    for (size_t at = 0; at < 600; at += 256) {
        Courtroll__V1__GetEntriesReply answer = COURTROLL__V1__GET_ENTRIES_REPLY__INIT;
        answer.first = request->first + at + (fixture->fault == FAULT_ENTRIES_GAP && at > 0);
        answer.n_entries = at + 256 <= 600 ? 256 : 600 - at;
        answer.entries = entries;
        for (size_t i = 0; i < 256; i++) {
            entries[i] = text("entry");
        }
        struct buf bytes = pack(&answer.base);
        assert_int_equal(rpc_stream_send_take(call, &bytes), E_OK);
    }
    rpc_stream_finish(call);
    courtroll__v1__get_entries_request__free_unpacked(request, NULL);
}

static void on_watch(void *ctx, struct rpc_call *call, struct span message)
{
    (void)ctx, (void)message;
    for (int i = 0; i < 3; i++) {
        Courtroll__V1__GetCheckpointReply answer = COURTROLL__V1__GET_CHECKPOINT_REPLY__INIT;
        answer.note = text(i == 0 ? "first" : i == 1 ? "second" : "third");
        struct buf bytes = pack(&answer.base);
        assert_int_equal(rpc_stream_send_take(call, &bytes), E_OK);
    }
    rpc_stream_finish(call);
}

#define PATH(method) "/courtroll.v1.Log/" method

static void start(struct fixture *fixture, enum fault fault)
{
    const struct rpc_method methods[] = {
        { .path = PATH("Append"), .ctx = fixture, .on_call = on_append },
        { .path = PATH("GetCheckpoint"), .ctx = fixture, .on_call = on_checkpoint },
        { .path = PATH("GetInclusionProof"), .ctx = fixture, .on_call = on_inclusion },
        { .path = PATH("GetStatus"), .ctx = fixture, .on_call = on_status },
        { .path = PATH("ExportCheckpoint"), .ctx = fixture, .on_call = on_export },
        { .path = PATH("AddCosignatures"), .ctx = fixture, .on_call = on_add_cosignatures },
        { .path = PATH("GetEntries"),
          .kind = RPC_SERVER_STREAM,
          .ctx = fixture,
          .on_call = on_entries },
        { .path = PATH("WatchCheckpoints"),
          .kind = RPC_SERVER_STREAM,
          .ctx = fixture,
          .on_call = on_watch },
    };
    const struct rpc_server_config config = { .listen = { "127.0.0.1:0" },
                                              .listen_count = 1,
                                              .methods = methods,
                                              .method_count = sizeof methods / sizeof methods[0] };
    struct err err;
    *fixture = (struct fixture){ .fault = fault };
    pthread_mutex_init(&fixture->lock, NULL);
    pthread_create(&fixture->thread, NULL, answer_run, fixture);
    if (rpc_server_start(&fixture->server, &config, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    const struct rpc_client_config to = { .target = rpc_server_address(fixture->server, 0) };
    if (rpc_log_open(&fixture->log, &to, TIMEOUT_MS, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
}

static void stop(struct fixture *fixture)
{
    rpc_log_close(fixture->log);
    rpc_server_stop(fixture->server, 1000);
    fixture->is_over = true;
    pthread_join(fixture->thread, NULL);
    pthread_mutex_destroy(&fixture->lock);
}

/* ---- append ---- */

/* Lengths on both sides of each varint boundary, as the encoder is ours. */
static void append_carries_entries_of_every_length(void **state)
{
    (void)state;
    static uint8_t bytes[ENTRY_BYTES_MAX];
    static const size_t lengths[] = { 0, 1, 127, 128, 16383, 16384, ENTRY_BYTES_MAX };
    enum {
        COUNT = sizeof lengths / sizeof lengths[0]
    };
    struct fixture fixture;
    struct span entries[COUNT], certificates[COUNT];
    struct err err;
    start(&fixture, FAULT_NONE);
    for (size_t i = 0; i < COUNT; i++) {
        bytes[0] = (uint8_t)i;
        entries[i] = span_of(bytes, lengths[i]);
        certificates[COUNT - 1 - i] = entries[i];
    }
    for (int flags = 0; flags < 8; flags++) {
        const struct rpc_log_append request = { .entries = entries,
                                                .entry_count = COUNT,
                                                .certificates =
                                                    (flags & 4) != 0 ? certificates : NULL,
                                                .wants_witnessed = (flags & 1) != 0,
                                                .wants_promise = (flags & 2) != 0 };
        struct rpc_log_append_reply answer;
        assert_int_equal(rpc_log_append(fixture.log, &request, TIMEOUT_MS, &answer, &err), E_OK);
        assert_int_equal(answer.entry_count, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            struct hash expected = merkle_leaf_hash(entries[i]);
            assert_true(hash_is_equal(&answer.entries[i].leaf_hash, &expected));
            assert_int_equal(answer.entries[i].index, (uint64_t)flags * COUNT + i);
            assert_true(span_is_str(answer.entries[i].proof, flags & 1 ? "proof" : ""));
        }
        assert_int_equal(fixture.certificate_count, (flags & 4) != 0 ? COUNT : 0);
        assert_int_equal(answer.is_witnessed, flags & 1);
        assert_true(span_is_str(answer.promise, flags & 2 ? "promise" : ""));
        rpc_log_append_reply_clear(&answer);
    }
    stop(&fixture);
}

static enum err_code append_one(struct fixture *fixture, struct err *err)
{
    struct span entry = span_of_str("x");
    const struct rpc_log_append request = { .entries = &entry, .entry_count = 1 };
    struct rpc_log_append_reply answer;
    enum err_code rc = rpc_log_append(fixture->log, &request, TIMEOUT_MS, &answer, err);
    if (rc == E_OK) {
        rpc_log_append_reply_clear(&answer);
    }
    return rc;
}

static void append_refuses_answers_that_make_no_sense(void **state)
{
    (void)state;
    static const enum fault faults[] = { FAULT_SHORT_HASH, FAULT_MISSING_ENTRY, FAULT_NOT_PROTOBUF,
                                         FAULT_REFUSE };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct fixture fixture;
        struct err err;
        start(&fixture, faults[i]);
        assert_int_equal(append_one(&fixture, &err), E_MALFORMED);
        if (faults[i] == FAULT_REFUSE) {
            assert_string_equal(err.msg, "entry 3: too long");
        }
        stop(&fixture);
    }
}

struct tally {
    size_t good, bad, started;
    struct rpc_log *log;
};

static void on_appended(void *ctx, void *tag, const struct rpc_log_append_reply *answer,
                        const struct err *failure)
{
    struct tally *tally = ctx;
    struct span entry = span_of(&(uint64_t){ (uintptr_t)tag }, sizeof(uint64_t));
    struct hash expected = merkle_leaf_hash(entry);
    bool is_good = failure == NULL && answer->entry_count == 1 &&
                   hash_is_equal(&answer->entries[0].leaf_hash, &expected);
    tally->good += is_good;
    tally->bad += !is_good;
    if (tally->started < 1000) {
        uint64_t next = tally->started++;
        struct span bytes = span_of(&next, sizeof next);
        const struct rpc_log_append request = { .entries = &bytes, .entry_count = 1 };
        rpc_log_append_start(tally->log, &request, TIMEOUT_MS, (void *)(uintptr_t)next);
    }
}

static void many_appends_in_flight_are_told_apart(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, FAULT_NONE);
    struct tally tally = { .log = fixture.log };
    for (; tally.started < 100; tally.started++) {
        uint64_t next = tally.started;
        struct span bytes = span_of(&next, sizeof next);
        const struct rpc_log_append request = { .entries = &bytes, .entry_count = 1 };
        rpc_log_append_start(fixture.log, &request, TIMEOUT_MS, (void *)(uintptr_t)next);
    }
    while (rpc_log_in_flight(fixture.log) > 0) {
        rpc_log_append_poll(fixture.log, TIMEOUT_MS, &tally, on_appended);
    }
    assert_int_equal(tally.good, 1000);
    assert_int_equal(tally.bad, 0);
    stop(&fixture);
}

/* ---- queries and streams ---- */

static void queries_bring_their_answers(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    struct buf note = BUF_INIT(1000);
    struct rpc_log_inclusion inclusion;
    struct rpc_log_status status;
    start(&fixture, FAULT_NONE);
    assert_int_equal(rpc_log_get_checkpoint(fixture.log, TIMEOUT_MS, &note, &err), E_OK);
    assert_true(span_is_str(buf_span(&note), "a note\n"));

    buf_reset(&note);
    struct rpc_log_entry by_index = { .index = 5 };
    assert_int_equal(rpc_log_get_inclusion(fixture.log, by_index, 9, TIMEOUT_MS, &inclusion, &note,
                                           &err),
                     E_OK);
    assert_int_equal(inclusion.index, 5);
    assert_int_equal(inclusion.size, 9);
    assert_int_equal(inclusion.proof.count, 2);
    assert_true(span_is_str(buf_span(&note), "a note\n"));

    struct hash leaf = { { 42 } };
    struct rpc_log_entry by_hash = { .leaf_hash = &leaf };
    assert_int_equal(rpc_log_get_inclusion(fixture.log, by_hash, 9, TIMEOUT_MS, &inclusion, &note,
                                           &err),
                     E_OK);
    assert_int_equal(inclusion.index, 77);
    assert_int_equal(inclusion.leaf_hash.bytes[0], 42);

    assert_int_equal(rpc_log_get_status(fixture.log, TIMEOUT_MS, &status, &err), E_OK);
    assert_string_equal(status.origin, "example.com/log");
    assert_int_equal(strlen(status.reason), RPC_LOG_TEXT_MAX - 1); /* cut */
    assert_int_equal(status.durable_size, 12);
    assert_int_equal(status.cpu_us, 34);
    assert_true(status.is_admitting);
    assert_int_equal(status.witness_count, RPC_LOG_WITNESSES_MAX);
    assert_true(status.witnesses[0].is_ok);
    assert_false(status.witnesses[1].is_ok);
    assert_string_equal(status.witnesses[1].name, "w");
    assert_string_equal(status.witnesses[1].problem, "it is silent");
    assert_int_equal(status.witnesses[3].size, 3);
    assert_int_equal(status.witnesses[3].timestamp, 103);
    assert_int_equal(status.witnesses[3].failures, 6);

    uint64_t size = 0;
    assert_int_equal(rpc_log_get_consistency(fixture.log, 1, 2, TIMEOUT_MS, &inclusion.proof, &size,
                                             &err),
                     E_UNSUPPORTED);
    assert_int_equal(rpc_log_get_receipt(fixture.log, by_index, TIMEOUT_MS, &note, &err),
                     E_UNSUPPORTED);
    buf_clear(&note);
    stop(&fixture);
}

static void inclusion_with_a_short_hash_is_malformed(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    struct buf note = BUF_INIT(1000);
    struct rpc_log_inclusion inclusion;
    start(&fixture, FAULT_SHORT_HASH);
    assert_int_equal(rpc_log_get_inclusion(fixture.log, (struct rpc_log_entry){ .index = 1 }, 9,
                                           TIMEOUT_MS, &inclusion, &note, &err),
                     E_MALFORMED);
    assert_int_equal(note.len, 0);
    stop(&fixture);
}

static void entries_come_in_order(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    struct rpc_log_entries *entries = NULL;
    struct rpc_log_run run;
    start(&fixture, FAULT_NONE);
    assert_int_equal(rpc_log_entries_open(&entries, fixture.log, 1000, 0, TIMEOUT_MS, &err), E_OK);
    uint64_t next = 1000;
    for (;;) {
        assert_int_equal(rpc_log_entries_next(entries, &run, &err), E_OK);
        assert_int_equal(run.first, next);
        if (run.entry_count == 0) {
            break;
        }
        for (size_t i = 0; i < run.entry_count; i++) {
            assert_true(span_is_str(run.entries[i], "entry"));
        }
        next += run.entry_count;
    }
    assert_int_equal(next, 1600);
    rpc_log_entries_close(entries);
    stop(&fixture);
}

static void entries_with_a_gap_are_malformed(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    struct rpc_log_entries *entries = NULL;
    struct rpc_log_run run;
    start(&fixture, FAULT_ENTRIES_GAP);
    assert_int_equal(rpc_log_entries_open(&entries, fixture.log, 0, 0, TIMEOUT_MS, &err), E_OK);
    assert_int_equal(rpc_log_entries_next(entries, &run, &err), E_OK);
    assert_int_equal(rpc_log_entries_next(entries, &run, &err), E_MALFORMED);
    rpc_log_entries_close(entries);
    stop(&fixture);
}

static void watch_brings_each_checkpoint(void **state)
{
    (void)state;
    static const char *const notes[] = { "first", "second", "third" };
    struct fixture fixture;
    struct err err;
    struct rpc_log_watch *watch = NULL;
    bool is_end = false;
    start(&fixture, FAULT_NONE);
    assert_int_equal(rpc_log_watch_open(&watch, fixture.log, &err), E_OK);
    for (size_t i = 0; i < 3; i++) {
        struct buf note = BUF_INIT(100);
        assert_int_equal(rpc_log_watch_next(watch, &note, &is_end, &err), E_OK);
        assert_true(span_is_str(buf_span(&note), notes[i]));
        assert_false(is_end);
        buf_clear(&note);
    }
    struct buf none = BUF_INIT(100);
    assert_int_equal(rpc_log_watch_next(watch, &none, &is_end, &err), E_OK);
    assert_true(is_end);
    rpc_log_watch_close(watch);
    stop(&fixture);
}

/* ---- checkpoints that travel as files ---- */

static enum err_code ask_export(struct fixture *fixture, struct rpc_log_export *out,
                                struct buf *note, struct err *err)
{
    static const uint64_t sizes[] = { 0, 4, 10, 11 };
    return rpc_log_export(fixture->log, sizes, 4, TIMEOUT_MS, out, note, err);
}

static void an_export_has_proofs_in_order(void **state)
{
    (void)state;
    struct fixture fixture;
    struct err err;
    struct rpc_log_export export;
    struct buf note = BUF_INIT(1000);
    start(&fixture, FAULT_NONE);
    assert_int_equal(ask_export(&fixture, &export, &note, &err), E_OK);
    assert_true(span_is_str(buf_span(&note), "a note\n"));
    assert_int_equal(export.proof_count, 3);
    assert_int_equal(export.proofs[0].proof.count, 0);
    assert_int_equal(export.proofs[1].old_size, 4);
    assert_int_equal(export.proofs[1].proof.hashes[0].bytes[0], 7);
    assert_int_equal(export.proofs[2].old_size, 10);
    rpc_log_export_clear(&export);
    buf_clear(&note);
    stop(&fixture);
}

static void an_export_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const enum fault faults[] = { FAULT_SHORT_HASH, FAULT_PROOF_ORDER, FAULT_PROOF_MORE };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct fixture fixture;
        struct err err;
        struct rpc_log_export export;
        struct buf note = BUF_INIT(1000);
        start(&fixture, faults[i]);
        assert_int_equal(ask_export(&fixture, &export, &note, &err), E_MALFORMED);
        assert_int_equal(note.len, 0);
        stop(&fixture);
    }
}

static void added_cosignatures_are_counted(void **state)
{
    (void)state;
    for (int is_refused = 0; is_refused < 2; is_refused++) {
        struct fixture fixture;
        struct err err;
        struct rpc_log_added added;
        start(&fixture, is_refused ? FAULT_REFUSE : FAULT_NONE);
        enum err_code rc =
            rpc_log_add_cosignatures(fixture.log, span_of_str("12345"), TIMEOUT_MS, &added, &err);
        assert_int_equal(rc, is_refused ? E_NOT_FOUND : E_OK);
        if (!is_refused) {
            assert_int_equal(added.size, 5);
            assert_int_equal(added.added, 2);
            assert_int_equal(added.known, 1);
            assert_int_equal(added.published_size, 9);
        }
        stop(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append_carries_entries_of_every_length),
        cmocka_unit_test(append_refuses_answers_that_make_no_sense),
        cmocka_unit_test(many_appends_in_flight_are_told_apart),
        cmocka_unit_test(queries_bring_their_answers),
        cmocka_unit_test(inclusion_with_a_short_hash_is_malformed),
        cmocka_unit_test(entries_come_in_order),
        cmocka_unit_test(entries_with_a_gap_are_malformed),
        cmocka_unit_test(watch_brings_each_checkpoint),
        cmocka_unit_test(an_export_has_proofs_in_order),
        cmocka_unit_test(an_export_that_makes_no_sense_is_refused),
        cmocka_unit_test(added_cosignatures_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
