/* A log that publishes with one witness, and gets the others' cosignatures later. */
#include "cli/receipt_wait.h"

#include "cli/output.h"
#include "courtroll/v1/log.pb-c.h"
#include "net/rpc_server.h"
#include "tests/support/files.h"
#include "tests/support/log_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

/* What the log answers, one after the other; the last one again and again. */
enum answer {
    ANSWER_NOT_YET,
    ANSWER_DOWN,
    ANSWER_ONE_WITNESS,
    ANSWER_TWO_WITNESSES,
    ANSWER_ANOTHER_ENTRY,
    ANSWER_NONSENSE,
    ANSWER_REFUSED,
};

struct fixture {
    char *temp;
    struct log_dir log; /* of one entry: its leaf hash is the root, its proof is empty */
    struct rpc_server *server;
    struct rpc_log *client;
    struct receipt_check check;
    struct hash leaf;
    const enum answer *answers;
    size_t count, asked;
};

static void give_receipt(struct fixture *fixture, struct rpc_call *call, size_t witness_count,
                         const struct hash *root)
{
    const struct proof proof = { .count = 0 };
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    struct buf receipt = BUF_INIT(PROOF_FILE_BYTES_MAX);
    struct buf packed = BUF_INIT(PROOF_FILE_BYTES_MAX);
    log_dir_put_note(&note, &fixture->log, 1, root, witness_count);
    receipt_put(&receipt, 0, &proof, buf_span(&note));
    Courtroll__V1__GetReceiptReply reply = COURTROLL__V1__GET_RECEIPT_REPLY__INIT;
    reply.receipt = (ProtobufCBinaryData){ receipt.len, receipt.data };
    courtroll__v1__get_receipt_reply__pack(
        &reply, buf_extend(&packed, courtroll__v1__get_receipt_reply__get_packed_size(&reply)));
    rpc_reply(call, buf_span(&packed));
    buf_clear(&note);
    buf_clear(&receipt);
    buf_clear(&packed);
}

static void on_receipt(void *ctx, struct rpc_call *call, struct span message)
{
    (void)message;
    struct fixture *fixture = ctx;
    struct hash other = fixture->leaf;
    other.bytes[0] ^= 1;
    size_t at = fixture->asked < fixture->count ? fixture->asked : fixture->count - 1;
    fixture->asked++;
    switch (fixture->answers[at]) {
    case ANSWER_NOT_YET:
        rpc_fail(call, E_NOT_FOUND, "not published yet");
        break;
    case ANSWER_DOWN:
        rpc_fail(call, E_UNAVAILABLE, "later");
        break;
    case ANSWER_ONE_WITNESS:
        give_receipt(fixture, call, 1, &fixture->leaf);
        break;
    case ANSWER_TWO_WITNESSES:
        give_receipt(fixture, call, 2, &fixture->leaf);
        break;
    case ANSWER_ANOTHER_ENTRY:
        give_receipt(fixture, call, 2, &other);
        break;
    case ANSWER_NONSENSE:
        rpc_reply(call, span_of("\x0a\x01x", 3));
        break;
    case ANSWER_REFUSED:
        rpc_fail(call, E_DENIED, "not for you");
        break;
    }
}

static void start(struct fixture *fixture, const enum answer *answers, size_t count)
{
    const struct rpc_method methods[] = {
        { .path = "/courtroll.v1.Log/GetReceipt", .ctx = fixture, .on_call = on_receipt },
    };
    const struct rpc_server_config config = {
        .listen = { "127.0.0.1:0" }, .listen_count = 1, .methods = methods, .method_count = 1
    };
    struct err err;
    struct buf entry = BUF_INIT(ENTRY_BYTES_MAX);
    *fixture = (struct fixture){ .answers = answers, .count = count };
    fixture->temp = files_make_temp_dir();
    char *path = files_join(fixture->temp, "log");
    log_dir_make(&fixture->log, path, 1);
    free(path);
    receipt_check_init(&fixture->check, fixture->log.policy);
    log_dir_put_entry(&entry, 0);
    fixture->leaf = merkle_leaf_hash(buf_span(&entry));
    buf_clear(&entry);
    assert_int_equal(rpc_server_start(&fixture->server, &config, &err), E_OK);
    const struct rpc_client_config to = { .target = rpc_server_address(fixture->server, 0) };
    assert_int_equal(rpc_log_open(&fixture->client, &to, 20000, &err), E_OK);
}

static void stop(struct fixture *fixture)
{
    rpc_log_close(fixture->client);
    rpc_server_stop(fixture->server, 1000);
    receipt_check_clear(&fixture->check);
    log_dir_clear(&fixture->log);
    files_remove_tree(fixture->temp);
}

static enum err_code wait_for(struct fixture *fixture, uint64_t ns, size_t *bytes, struct err *err)
{
    struct buf receipt = BUF_INIT(PROOF_FILE_BYTES_MAX);
    enum err_code rc = receipt_wait(fixture->client, &fixture->check, 0, &fixture->leaf,
                                    output_now_ns() + ns, &receipt, err);
    *bytes = receipt.len;
    buf_clear(&receipt);
    return rc;
}

static void late_cosignatures_are_waited_for(void **state)
{
    (void)state;
    static const enum answer answers[] = { ANSWER_NOT_YET, ANSWER_ONE_WITNESS, ANSWER_DOWN,
                                           ANSWER_ONE_WITNESS, ANSWER_TWO_WITNESSES };
    struct fixture fixture;
    struct err err;
    size_t bytes = 0;
    start(&fixture, answers, 5);
    assert_int_equal(wait_for(&fixture, 60 * SECOND, &bytes, &err), E_OK);
    assert_int_equal(fixture.asked, 5);
    assert_true(bytes > 0);
    stop(&fixture);
}

static void what_is_missing_at_the_end_is_said(void **state)
{
    (void)state;
    static const struct {
        enum answer answer;
        const char *words;
    } cases[] = {
        { ANSWER_NOT_YET, "not published yet" },
        { ANSWER_ONE_WITNESS, "cosigned by w1 only, the policy asks for 2 of (w1, w2, w3)" },
    };
    for (size_t i = 0; i < 2; i++) {
        struct fixture fixture;
        struct err err;
        size_t bytes = 0;
        start(&fixture, &cases[i].answer, 1);
        assert_int_equal(wait_for(&fixture, SECOND / 4, &bytes, &err), E_TIMEOUT);
        assert_non_null(strstr(err.msg, cases[i].words));
        assert_int_equal(bytes, 0);
        assert_true(fixture.asked >= 2);
        fixture.asked = 0;
        assert_int_equal(wait_for(&fixture, 0, &bytes, &err), E_TIMEOUT);
        assert_int_equal(fixture.asked, 1); /* once in any case */
        stop(&fixture);
    }
}

static void a_wrong_receipt_is_not_waited_away(void **state)
{
    (void)state;
    static const struct {
        enum answer answer;
        enum err_code code;
    } cases[] = {
        { ANSWER_ANOTHER_ENTRY, E_BAD_PROOF },
        { ANSWER_NONSENSE, E_MALFORMED },
    };
    for (size_t i = 0; i < 2; i++) {
        struct fixture fixture;
        struct err err;
        size_t bytes = 0;
        start(&fixture, &cases[i].answer, 1);
        assert_int_equal(wait_for(&fixture, 60 * SECOND, &bytes, &err), cases[i].code);
        assert_int_equal(fixture.asked, 1);
        assert_int_equal(bytes, 0);
        stop(&fixture);
    }
}

static void a_refusal_is_final(void **state)
{
    (void)state;
    static const enum answer answers[] = { ANSWER_REFUSED };
    struct fixture fixture;
    struct err err;
    size_t bytes = 0;
    start(&fixture, answers, 1);
    enum err_code rc = wait_for(&fixture, 60 * SECOND, &bytes, &err);
    assert_true(rc != E_OK && rc != E_TIMEOUT);
    assert_int_equal(fixture.asked, 1);
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_cosignatures_are_waited_for),
        cmocka_unit_test(what_is_missing_at_the_end_is_said),
        cmocka_unit_test(a_wrong_receipt_is_not_waited_away),
        cmocka_unit_test(a_refusal_is_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
