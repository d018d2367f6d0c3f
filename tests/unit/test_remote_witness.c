/* A witness over gRPC as its client sees it; over HTTP it is test_cli.py's. */
#include "client/remote_witness.h"

#include "courtroll/v1/witness.pb-c.h"
#include "net/rpc_server.h"
#include "tests/support/keys.h"
#include "tlog/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum mood {
    MOOD_SIGN,
    MOOD_STALE,
    MOOD_REFUSE,
    MOOD_NO_LINE,
    MOOD_NOT_PROTOBUF,
    MOOD_STORAGE,
};

struct fixture {
    struct rpc_server *server;
    struct remote_witness *client;
    enum mood mood;
    struct signer log, witness;
    struct buf note;
    uint64_t asked_old;
    size_t asked_hashes;
};

static struct span text_of(struct span note)
{
    return span_slice(note, 0, span_find_last(note, span_of_str("\n\n")) + 1);
}

static void on_add(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *fixture = ctx;
    Courtroll__V1__AddCheckpointRequest *request =
        courtroll__v1__add_checkpoint_request__unpack(NULL, message.len, message.data);
    assert_non_null(request);
    struct span note = span_of(request->note.data, request->note.len);
    fixture->asked_old = request->old_size;
    fixture->asked_hashes = request->n_hashes;
    assert_true(span_is_equal(note, buf_span(&fixture->note)));
    struct buf lines = BUF_INIT(4096);
    struct buf packed = BUF_INIT(8192);
    Courtroll__V1__AddCheckpointReply reply = COURTROLL__V1__ADD_CHECKPOINT_REPLY__INIT;
    if (fixture->mood == MOOD_SIGN) {
        keys_put_signature(&lines, text_of(note), &fixture->witness, 1790000000);
    }
    reply.cosignatures = (ProtobufCBinaryData){ lines.len, lines.data };
    reply.stale = fixture->mood == MOOD_STALE;
    reply.stored_size = 120;
    size_t bytes = courtroll__v1__add_checkpoint_reply__get_packed_size(&reply);
    if (bytes > 0) {
        courtroll__v1__add_checkpoint_reply__pack(&reply, buf_extend(&packed, bytes));
    }
    if (fixture->mood == MOOD_REFUSE) {
        rpc_fail(call, E_BAD_PROOF, "the proof does not fit");
    } else if (fixture->mood == MOOD_STORAGE) {
        rpc_fail(call, E_IO, "disk");
    } else if (fixture->mood == MOOD_NOT_PROTOBUF) {
        rpc_reply(call, span_of("\x0a\x7f", 2));
    } else {
        rpc_reply(call, buf_span(&packed));
    }
    buf_clear(&lines);
    buf_clear(&packed);
    courtroll__v1__add_checkpoint_request__free_unpacked(request, NULL);
}

static void start(struct fixture *fixture, enum mood mood)
{
    const struct rpc_method methods[] = {
        { .path = "/courtroll.v1.Witness/AddCheckpoint", .ctx = fixture, .on_call = on_add },
    };
    const struct rpc_server_config config = {
        .listen = { "127.0.0.1:0" }, .listen_count = 1, .methods = methods, .method_count = 1
    };
    struct err err;
    struct log_address address = { 0 };
    struct checkpoint checkpoint = { .origin = "log.example/1", .size = 130 };
    *fixture = (struct fixture){ .mood = mood, .note = BUF_INIT(4096) };
    fixture->log = keys_signer("log.example/1", SIGNATURE_ED25519, "log");
    fixture->witness = keys_signer("w.example", SIGNATURE_COSIGNATURE, "w");
    struct buf text = BUF_INIT(CHECKPOINT_TEXT_MAX);
    checkpoint_put(&text, &checkpoint);
    keys_put_signed(&fixture->note, buf_span(&text), &fixture->log, 0);
    buf_clear(&text);
    assert_int_equal(rpc_server_start(&fixture->server, &config, &err), E_OK);
    assert_int_equal(log_address_parse(&address, rpc_server_address(fixture->server, 0), &err),
                     E_OK);
    assert_int_equal(remote_witness_open(&fixture->client, &address, &err), E_OK);
}

static void stop(struct fixture *fixture)
{
    remote_witness_close(fixture->client);
    rpc_server_stop(fixture->server, 1000);
    signer_clear(&fixture->log);
    signer_clear(&fixture->witness);
    buf_clear(&fixture->note);
}

static enum err_code ask(struct fixture *fixture, struct remote_witness_reply *reply,
                         struct err *err)
{
    struct proof proof = { .count = 3 };
    return remote_witness_add(fixture->client, 100, &proof, buf_span(&fixture->note), reply, err);
}

static void a_witness_answers_in_three_ways(void **state)
{
    (void)state;
    for (enum mood mood = MOOD_SIGN; mood <= MOOD_REFUSE; mood++) {
        struct fixture fixture;
        struct remote_witness_reply reply;
        struct err err;
        start(&fixture, mood);
        assert_int_equal(ask(&fixture, &reply, &err), E_OK);
        assert_int_equal(fixture.asked_old, 100);
        assert_int_equal(fixture.asked_hashes, 3);
        if (mood == MOOD_SIGN) {
            assert_int_equal(reply.answer, REMOTE_WITNESS_SIGNED);
            assert_true(reply.lines.len > 0);
        } else if (mood == MOOD_STALE) {
            assert_int_equal(reply.answer, REMOTE_WITNESS_STALE);
            assert_int_equal(reply.stored_size, 120);
        } else {
            assert_int_equal(reply.answer, REMOTE_WITNESS_REFUSED);
            assert_int_equal(reply.why.code, E_BAD_PROOF);
            assert_non_null(strstr(reply.why.msg, "the proof does not fit"));
        }
        remote_witness_reply_clear(&reply);
        stop(&fixture);
    }
}

static void answers_that_make_no_sense_are_none(void **state)
{
    (void)state;
    for (enum mood mood = MOOD_NO_LINE; mood <= MOOD_STORAGE; mood++) {
        struct fixture fixture;
        struct remote_witness_reply reply;
        struct err err;
        start(&fixture, mood);
        assert_int_equal(ask(&fixture, &reply, &err), mood == MOOD_STORAGE ? E_IO : E_MALFORMED);
        stop(&fixture);
    }
}

static void a_directory_is_no_witness(void **state)
{
    (void)state;
    struct remote_witness *client = NULL;
    struct log_address address = { 0 };
    struct err err;
    assert_int_equal(log_address_parse(&address, "file:x", &err), E_OK);
    assert_int_equal(remote_witness_open(&client, &address, &err), E_UNSUPPORTED);
    assert_int_equal(log_address_parse(&address, "127.0.0.1:1", &err), E_OK);
    assert_int_equal(remote_witness_open(&client, &address, &err), E_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_witness_answers_in_three_ways),
        cmocka_unit_test(answers_that_make_no_sense_are_none),
        cmocka_unit_test(a_directory_is_no_witness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
