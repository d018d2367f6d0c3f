/* Another monitor as a vantage: a server with that one method. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "courtroll/v1/monitor.pb-c.h"
#include "monitor/note_exchange.h"
#include "net/rpc_server.h"
#include "tests/support/files.h"
#include "tests/support/vantage_world.h"

enum {
    POLL_MS = 20
};

struct fixture {
    struct vantage_world world;
    struct vantage *vantage;
    struct rpc_server *server;
    char target[160];
    atomic_int exchanges;
    atomic_int theirs_count;        /* notes in the last message that came */
    _Atomic(enum err_code) refusal; /* E_OK: none */
    struct buf answer;              /* a message; owned */
};

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    world_open(&f->world);
    buf_init(&f->answer, SIZE_MAX);
    *state = f;
    return 0;
}

static void stop(struct fixture *f)
{
    if (f->vantage != NULL) {
        vantage_stop(f->vantage);
        f->vantage = NULL;
    }
    rpc_server_stop(f->server, 1000);
    f->server = NULL;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    stop(f);
    world_close(&f->world);
    buf_clear(&f->answer);
    mem_free(f);
    return 0;
}

static void on_exchange(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *f = ctx;
    Courtroll__V1__ExchangeNotesRequest *request =
        courtroll__v1__exchange_notes_request__unpack(NULL, message.len, message.data);
    struct note_exchange *theirs = NEW(struct note_exchange);
    const struct vkey *keys[] = { &f->world.key.vkey };
    struct err err;
    assert_non_null(request);
    assert_int_equal(note_exchange_open(theirs,
                                        span_of(request->message.data, request->message.len), keys,
                                        1, (int64_t)time(NULL), &err),
                     E_OK);
    f->theirs_count = (int)theirs->count;
    Courtroll__V1__ExchangeNotesReply reply = COURTROLL__V1__EXCHANGE_NOTES_REPLY__INIT;
    reply.message = (ProtobufCBinaryData){ f->answer.len, f->answer.data };
    struct buf packed = BUF_INIT(SIZE_MAX);
    size_t bytes = courtroll__v1__exchange_notes_reply__get_packed_size(&reply);
    courtroll__v1__exchange_notes_reply__pack(&reply, buf_extend(&packed, bytes));
    if (f->refusal != E_OK) {
        rpc_fail(call, f->refusal, "we do not know you");
    } else {
        rpc_reply_take(call, &packed);
    }
    f->exchanges++;
    buf_clear(&packed);
    mem_free(theirs);
    courtroll__v1__exchange_notes_request__free_unpacked(request, NULL);
}

static void serve_monitor(struct fixture *f, const char *address)
{
    const struct rpc_method methods[] = {
        { .path = "/courtroll.v1.Monitor/ExchangeNotes", .ctx = f, .on_call = on_exchange },
    };
    const struct rpc_server_config config = {
        .listen = { address }, .listen_count = 1, .methods = methods, .method_count = 1
    };
    struct err err;
    assert_int_equal(rpc_server_start(&f->server, &config, &err), E_OK);
}

static void start_monitor(struct fixture *f)
{
    serve_monitor(f, "127.0.0.1:0");
    snprintf(f->target, sizeof f->target, "grpc://%s", rpc_server_address(f->server, 0));
    f->vantage = world_start(&f->world, f->target, POLL_MS);
}

/* A message of theirs with a note of each of the logs. */
static void put_theirs(struct fixture *f, uint64_t size)
{
    struct signer key = keys_signer("other.example", SIGNATURE_ED25519, "other");
    struct buf notes[WORLD_LOGS];
    struct span spans[WORLD_LOGS];
    struct err err;
    for (size_t i = 0; i < WORLD_LOGS; i++) {
        buf_init(&notes[i], 4096);
        world_put_note(&notes[i], &f->world, i, size);
        spans[i] = buf_span(&notes[i]);
    }
    buf_clear(&f->answer);
    buf_init(&f->answer, NOTE_EXCHANGE_BYTES_MAX);
    /* An old one: nobody asks when an answer was signed. */
    assert_int_equal(note_exchange_put(&f->answer, &key, 1000, spans, WORLD_LOGS, &err), E_OK);
    for (size_t i = 0; i < WORLD_LOGS; i++) {
        buf_clear(&notes[i]);
    }
    signer_clear(&key);
}

static void monitors_exchange_what_they_hold(void **state)
{
    struct fixture *f = *state;
    world_hold(&f->world, 0, 5);
    world_hold(&f->world, 2, 6);
    put_theirs(f, 8);
    start_monitor(f);
    WAIT_FOR(f->world.memories[0].calls == 1 && f->world.memories[1].calls == 1 &&
             f->world.memories[2].calls == 1);
    assert_int_equal(f->theirs_count, 2);
    assert_int_equal(f->world.memories[1].last_size, 8);
    assert_string_equal(f->world.memories[1].vantage, f->target);
    WAIT_FOR(world_status(f->vantage).last_answer_s > 0);
    assert_string_equal(world_status(f->vantage).last_error, "");
}

static void a_monitor_that_refuses_us_or_makes_no_sense_is_told(void **state)
{
    struct fixture *f = *state;
    f->refusal = E_DENIED;
    start_monitor(f);
    WAIT_FOR(world_status(f->vantage).failures >= 2);
    assert_non_null(strstr(world_status(f->vantage).last_error, "we do not know you"));
    assert_int_equal(world_status(f->vantage).last_answer_s, 0);
    stop(f);
    f->refusal = E_OK;
    buf_put_str(&f->answer, "courtroll notes v1\n\n\n");
    start_monitor(f);
    WAIT_FOR(world_status(f->vantage).unusable >= 2);
    assert_true(world_status(f->vantage).last_error[0] != '\0');
    assert_int_equal(f->world.memories[0].calls, 0);
}

static void a_monitor_that_was_away_is_asked_again(void **state)
{
    struct fixture *f = *state;
    char *dir = files_make_temp_dir();
    snprintf(f->target, sizeof f->target, "unix:%s/monitor", dir);
    put_theirs(f, 8);
    f->vantage = world_start(&f->world, f->target, POLL_MS);
    WAIT_FOR(world_status(f->vantage).failures >= 1);
    assert_true(world_status(f->vantage).last_error[0] != '\0');
    serve_monitor(f, f->target);
    WAIT_FOR(f->world.memories[0].calls == 1);
    stop(f);
    files_remove_tree(dir);
}

static void whichever_log_a_message_begins_with_all_are_in_it(void **state)
{
    struct fixture *f = *state;
    world_hold(&f->world, 1, 5);
    put_theirs(f, 8);
    start_monitor(f);
    WAIT_FOR(f->exchanges >= 2 * WORLD_LOGS);
    assert_int_equal(f->theirs_count, 1);
    assert_int_equal(world_status(f->vantage).failures, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(monitors_exchange_what_they_hold),
        CASE(whichever_log_a_message_begins_with_all_are_in_it),
        CASE(a_monitor_that_refuses_us_or_makes_no_sense_is_told),
        CASE(a_monitor_that_was_away_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
