/* A log behind gRPC that sends wrong entries, too few or too many: fsck must name the first. The log
 * is a server of ours that holds the right tree and lies in GetEntries alone. */
#include "base/alloc.h"
#include "client/fsck.h"
#include "courtroll/v1/log.pb-c.h"
#include "net/rpc_server.h"
#include "tests/support/log_dir.h"
#include "tlog/proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
    SIZE = 2 * 65536 + 700, /* two whole chunks of the bisection, and some */
    RUN = 250,              /* entries a message */
};

struct liar {
    struct hash *nodes[MERKLE_LEVELS_MAX]; /* the complete nodes of the right tree; owned */
    struct hash root;
    uint64_t wrong; /* this entry and all behind it are others than logged; SIZE for none */
    uint64_t sent;  /* as if there were no more */
    struct rpc_server *server;
    struct log_address address;
};

static struct liar liar;

static void keep_node(void *ctx, struct merkle_node node, const struct hash *hash)
{
    (void)ctx;
    liar.nodes[node.level][node.index] = *hash;
}

static enum err_code get_node(void *ctx, struct merkle_node node, struct hash *out, struct err *err)
{
    (void)ctx;
    (void)err;
    *out = liar.nodes[node.level][node.index];
    return E_OK;
}

static const struct merkle_source source = { get_node, NULL };

static void reply(struct rpc_call *call, const ProtobufCMessage *message)
{
    struct buf bytes = BUF_INIT(1 << 24);
    size_t len = protobuf_c_message_get_packed_size(message);
    if (len > 0) {
        protobuf_c_message_pack(message, buf_extend(&bytes, len));
    }
    rpc_reply(call, buf_span(&bytes));
    buf_clear(&bytes);
}

static void put_hashes(const struct proof *proof, ProtobufCBinaryData *out)
{
    for (size_t i = 0; i < proof->count; i++) {
        out[i] = (ProtobufCBinaryData){ HASH_BYTES, (uint8_t *)(uintptr_t)proof->hashes[i].bytes };
    }
}

static void on_consistency(void *ctx, struct rpc_call *call, struct span message)
{
    (void)ctx;
    Courtroll__V1__GetConsistencyProofRequest *request =
        courtroll__v1__get_consistency_proof_request__unpack(NULL, message.len, message.data);
    Courtroll__V1__GetConsistencyProofReply answer =
        COURTROLL__V1__GET_CONSISTENCY_PROOF_REPLY__INIT;
    ProtobufCBinaryData hashes[PROOF_HASHES_MAX];
    struct proof proof;
    struct err err;
    assert_int_equal(proof_make_consistency(&proof, &source, request->old_size, SIZE, &err), E_OK);
    put_hashes(&proof, hashes);
    answer.new_size = SIZE;
    answer.n_hashes = proof.count;
    answer.hashes = hashes;
    reply(call, &answer.base);
    courtroll__v1__get_consistency_proof_request__free_unpacked(request, NULL);
}

static void on_inclusion(void *ctx, struct rpc_call *call, struct span message)
{
    (void)ctx;
    Courtroll__V1__GetInclusionProofRequest *request =
        courtroll__v1__get_inclusion_proof_request__unpack(NULL, message.len, message.data);
    Courtroll__V1__GetInclusionProofReply answer = COURTROLL__V1__GET_INCLUSION_PROOF_REPLY__INIT;
    ProtobufCBinaryData hashes[PROOF_HASHES_MAX];
    struct proof proof;
    struct err err;
    uint64_t index = request->index;
    assert_int_equal(proof_make_inclusion(&proof, &source, index, SIZE, &err), E_OK);
    put_hashes(&proof, hashes);
    answer.index = index;
    answer.size = SIZE;
    answer.leaf_hash = (ProtobufCBinaryData){ HASH_BYTES, liar.nodes[0][index].bytes };
    answer.n_hashes = proof.count;
    answer.hashes = hashes;
    reply(call, &answer.base);
    courtroll__v1__get_inclusion_proof_request__free_unpacked(request, NULL);
}

/* Messages are sent as they find room: the handler may not wait. */
struct sending {
    uint64_t next, end;
};

static void put_entry(struct buf *out, uint64_t index)
{
    buf_putf(out, "%s %ju", index >= liar.wrong ? "another" : "entry", (uintmax_t)index);
}

static void send_more(void *ctx, struct rpc_call *call)
{
    (void)ctx;
    struct sending *sending = rpc_call_user(call);
    struct buf texts = BUF_INIT(RUN * 64);
    struct buf bytes = BUF_INIT(1 << 20);
    while (sending != NULL && sending->next < sending->end) {
        Courtroll__V1__GetEntriesReply answer = COURTROLL__V1__GET_ENTRIES_REPLY__INIT;
        ProtobufCBinaryData entries[RUN];
        size_t begins[RUN + 1] = { 0 };
        uint64_t left = sending->end - sending->next;
        size_t count = left < RUN ? (size_t)left : RUN;
        buf_reset(&texts);
        for (size_t i = 0; i < count; i++) {
            put_entry(&texts, sending->next + i);
            begins[i + 1] = texts.len;
        }
        for (size_t i = 0; i < count; i++) {
            entries[i] = (ProtobufCBinaryData){ begins[i + 1] - begins[i], texts.data + begins[i] };
        }
        answer.first = sending->next;
        answer.n_entries = count;
        answer.entries = entries;
        buf_reset(&bytes);
        size_t len = courtroll__v1__get_entries_reply__get_packed_size(&answer);
        courtroll__v1__get_entries_reply__pack(&answer, buf_extend(&bytes, len));
        if (rpc_stream_send(call, buf_span(&bytes)) != E_OK) {
            break; /* on_sent or the end will come */
        }
        sending->next += count;
    }
    buf_clear(&texts);
    buf_clear(&bytes);
    if (sending != NULL && sending->next >= sending->end) {
        rpc_call_set_user(call, NULL);
        mem_free(sending);
        rpc_stream_finish(call);
    }
}

static void on_entries(void *ctx, struct rpc_call *call, struct span message)
{
    Courtroll__V1__GetEntriesRequest *request =
        courtroll__v1__get_entries_request__unpack(NULL, message.len, message.data);
    struct sending *sending = NEW(struct sending);
    uint64_t end = request->first + request->count;
    *sending = (struct sending){ request->first, end < liar.sent ? end : liar.sent };
    rpc_call_set_user(call, sending);
    courtroll__v1__get_entries_request__free_unpacked(request, NULL);
    send_more(ctx, call);
}

static void on_cancelled(void *ctx, struct rpc_call *call)
{
    (void)ctx;
    mem_free(rpc_call_user(call));
    rpc_call_set_user(call, NULL);
    rpc_stream_finish(call);
}

static int start(void **state)
{
    (void)state;
    struct compact_range range;
    compact_range_init(&range);
    liar.wrong = SIZE;
    for (unsigned level = 0; SIZE >> level > 0; level++) {
        liar.nodes[level] = mem_calloc(SIZE >> level, sizeof *liar.nodes[level]);
    }
    struct buf entry = BUF_INIT(64);
    for (uint64_t i = 0; i < SIZE; i++) {
        buf_reset(&entry);
        put_entry(&entry, i);
        struct hash leaf = merkle_leaf_hash(buf_span(&entry));
        compact_range_append(&range, &leaf, keep_node, NULL);
    }
    buf_clear(&entry);
    liar.root = compact_range_root(&range);
    static const struct rpc_method methods[] = {
        { .path = "/courtroll.v1.Log/GetConsistencyProof", .on_call = on_consistency },
        { .path = "/courtroll.v1.Log/GetInclusionProof", .on_call = on_inclusion },
        { .path = "/courtroll.v1.Log/GetEntries",
          .kind = RPC_SERVER_STREAM,
          .on_call = on_entries,
          .on_sent = send_more,
          .on_cancelled = on_cancelled },
    };
    struct rpc_server_config config = {
        .listen = { "127.0.0.1:0" }, .listen_count = 1, .methods = methods, .method_count = 3
    };
    struct err err;
    assert_int_equal(rpc_server_start(&liar.server, &config, &err), E_OK);
    return log_address_parse(&liar.address, rpc_server_address(liar.server, 0), &err);
}

static int stop(void **state)
{
    (void)state;
    rpc_server_stop(liar.server, 1000);
    for (unsigned level = 0; SIZE >> level > 0; level++) {
        mem_free(liar.nodes[level]);
    }
    return 0;
}

static struct fsck_report run(uint64_t wrong, uint64_t sent)
{
    struct fsck_options options = { .log = &liar.address, .size = SIZE, .root = liar.root };
    struct fsck_report report;
    struct err err;
    liar.wrong = wrong;
    liar.sent = sent;
    if (fsck_run(&report, &options, &err) != E_OK) {
        fail_msg("fsck: %s", err.msg);
    }
    return report;
}

static void right_entries_hash_to_the_root(void **state)
{
    (void)state;
    struct fsck_report report = run(SIZE, SIZE);
    assert_int_equal(report.bad_count, 0);
    assert_int_equal(report.entries, SIZE);
    assert_true(report.is_root_reached);
    fsck_report_clear(&report);
}

static void the_first_wrong_entry_is_named_with_both_hashes(void **state)
{
    (void)state;
    static const uint64_t wrongs[] = { 0, 1, 65535, 65536, 100000, 131072, SIZE - 1 };
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        struct fsck_report report = run(wrongs[i], SIZE);
        assert_int_equal(report.bad_count, 1);
        assert_false(report.is_root_reached);
        const struct fsck_finding *finding = &report.findings[0];
        assert_int_equal(finding->problem, FSCK_WRONG);
        assert_true(finding->has_entry);
        assert_int_equal(finding->entry, wrongs[i]);
        assert_true(finding->has_hashes);
        assert_true(hash_is_equal(&finding->expected, &liar.nodes[0][wrongs[i]]));
        assert_false(hash_is_equal(&finding->found, &finding->expected));
        fsck_report_clear(&report);
    }
}

static void entries_that_are_missing_are_named(void **state)
{
    (void)state;
    static const uint64_t sents[] = { 0, 1000, 65536, SIZE - 1 };
    for (size_t i = 0; i < sizeof sents / sizeof sents[0]; i++) {
        struct fsck_report report = run(SIZE, sents[i]);
        assert_int_equal(report.bad_count, 1);
        assert_true(report.findings[0].has_entry);
        assert_int_equal(report.findings[0].entry, sents[i]);
        assert_true(strlen(report.findings[0].detail) > 0);
        fsck_report_clear(&report);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_entries_hash_to_the_root),
        cmocka_unit_test(the_first_wrong_entry_is_named_with_both_hashes),
        cmocka_unit_test(entries_that_are_missing_are_named),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
