/* What the reflection service says, asked over a connection. */
#include "net/rpc_reflection.h"

#include "grpc/reflection/v1/reflection.pb-c.h"
#include "net/rpc_descriptors.h"
#include "tests/support/bidi_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define V1      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
#define V1ALPHA "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"

#define REQUEST(name)  GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define RESPONSE(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name

typedef Grpc__Reflection__V1__ServerReflectionRequest request_message;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_message;

enum {
    STATUS_OK = 0, /* gRPC's */
    STATUS_INVALID_ARGUMENT = 3,
    STATUS_NOT_FOUND = 5,
    MESSAGE_MAX = RPC_REFLECTION_RESPONSE_BYTES_MAX,
};

struct fixture {
    struct rpc_server *server;
    struct bidi_peer *peer;
};

static void on_call(void *ctx, struct rpc_call *call, struct span message)
{
    (void)ctx;
    rpc_reply(call, message);
}

static void start(struct fixture *fixture, const char *path)
{
    const struct rpc_method methods[] = {
        { .path = "/courtroll.v1.Log/Append", .on_call = on_call },
        { .path = "/courtroll.v1.Log/GetStatus", .on_call = on_call },
        { .path = "/test.Service/Echo", .on_call = on_call },
    };
    const struct rpc_server_config config = { .listen = { "127.0.0.1:0" },
                                              .listen_count = 1,
                                              .methods = methods,
                                              .method_count = sizeof methods / sizeof methods[0] };
    struct err err = { 0 };
    if (rpc_server_start(&fixture->server, &config, &err) != E_OK) {
        fail_msg("%s", err.msg);
    }
    fixture->peer = bidi_peer_open(rpc_server_address(fixture->server, 0), path, BIDI_NO_DEADLINE);
}

static void stop(struct fixture *fixture)
{
    bidi_peer_close(fixture->peer);
    rpc_server_stop(fixture->server, 1000);
}

static void finish(struct fixture *fixture)
{
    struct buf message = BUF_INIT(MESSAGE_MAX);
    bidi_peer_half_close(fixture->peer);
    assert_false(bidi_peer_next(fixture->peer, &message));
    assert_int_equal(bidi_peer_status(fixture->peer), STATUS_OK);
    stop(fixture);
}

static void send(struct bidi_peer *peer, const request_message *request)
{
    struct buf message = BUF_INIT(MESSAGE_MAX);
    size_t bytes = grpc__reflection__v1__server_reflection_request__get_packed_size(request);
    if (bytes > 0) {
        grpc__reflection__v1__server_reflection_request__pack(request, buf_extend(&message, bytes));
    }
    assert_true(bidi_peer_send(peer, buf_span(&message)));
    buf_clear(&message);
}

static response_message *receive(struct bidi_peer *peer)
{
    struct buf message = BUF_INIT(MESSAGE_MAX);
    assert_true(bidi_peer_next(peer, &message));
    response_message *response =
        grpc__reflection__v1__server_reflection_response__unpack(NULL, message.len, message.data);
    assert_non_null(response);
    buf_clear(&message);
    return response;
}

static void response_free(response_message *response)
{
    grpc__reflection__v1__server_reflection_response__free_unpacked(response, NULL);
}

static request_message request_of(int what, const char *text)
{
    request_message request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case =
        (Grpc__Reflection__V1__ServerReflectionRequest__MessageRequestCase)what;
    request.file_by_filename = (char *)(uintptr_t)text; /* all texts share the place */
    return request;
}

static response_message *ask(struct bidi_peer *peer, int what, const char *text)
{
    request_message request = request_of(what, text);
    send(peer, &request);
    return receive(peer);
}

/* The file's name is its first field. */
static void expect_file(struct bidi_peer *peer, int what, const char *text, const char *name)
{
    response_message *response = ask(peer, what, text);
    if (response->message_response_case != RESPONSE(FILE_DESCRIPTOR_RESPONSE)) {
        fail_msg("%s: not found", text);
    }
    assert_string_equal(response->original_request->file_by_filename, text);
    assert_int_equal(response->file_descriptor_response->n_file_descriptor_proto, 1);
    ProtobufCBinaryData bytes = response->file_descriptor_response->file_descriptor_proto[0];
    struct span file = span_of(bytes.data, bytes.len);
    const uint8_t head[] = { 0x0a, (uint8_t)strlen(name) };
    assert_true(span_take_prefix(&file, SPAN_OF_ARRAY(head)));
    assert_true(span_take_prefix(&file, span_of_str(name)));
    response_free(response);
}

static void expect_error(struct bidi_peer *peer, const request_message *request, int status)
{
    send(peer, request);
    response_message *response = receive(peer);
    assert_int_equal(response->message_response_case, RESPONSE(ERROR_RESPONSE));
    assert_int_equal(response->error_response->error_code, status);
    assert_non_null(response->original_request);
    assert_int_equal(response->original_request->message_request_case,
                     request->message_request_case);
    response_free(response);
}

static void services_are_those_of_the_table_and_our_own(void **state)
{
    (void)state;
    static const char *const expected[] = {
        "courtroll.v1.Log",
        "test.Service",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    };
    static const char *const paths[] = { V1, V1ALPHA };
    for (size_t p = 0; p < 2; p++) {
        struct fixture fixture;
        start(&fixture, paths[p]);
        response_message *response = ask(fixture.peer, REQUEST(LIST_SERVICES), "*");
        assert_int_equal(response->message_response_case, RESPONSE(LIST_SERVICES_RESPONSE));
        assert_int_equal(response->list_services_response->n_service, 5);
        for (size_t i = 0; i < 5; i++) {
            assert_string_equal(response->list_services_response->service[i]->name, expected[i]);
        }
        response_free(response);
        finish(&fixture);
    }
}

static void files_are_found_by_name(void **state)
{
    (void)state;
    static const char *const names[] = {
        "courtroll/v1/log.proto",
        "courtroll/v1/witness.proto",
        "grpc/health/v1/health.proto",
        "grpc/reflection/v1/reflection.proto",
        "grpc/reflection/v1alpha/reflection.proto",
    };
    struct fixture fixture;
    start(&fixture, V1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        expect_file(fixture.peer, REQUEST(FILE_BY_FILENAME), names[i], names[i]);
    }
    static const char *const absent[] = { "",
                                          "log.proto",
                                          "courtroll/v1/log.prot",
                                          "courtroll/v1/log.proto2",
                                          "../courtroll/v1/log.proto",
                                          "/etc/passwd" };
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        request_message request = request_of(REQUEST(FILE_BY_FILENAME), absent[i]);
        expect_error(fixture.peer, &request, STATUS_NOT_FOUND);
    }
    finish(&fixture);
}

static void files_are_found_by_what_they_declare(void **state)
{
    (void)state;
    static const struct {
        const char *symbol;
        const char *file;
    } known[] = {
        { "courtroll.v1.Log", "courtroll/v1/log.proto" },
        { "courtroll.v1.Log.Append", "courtroll/v1/log.proto" },
        { "courtroll.v1.Log.AddCosignatures", "courtroll/v1/log.proto" },
        { "courtroll.v1.AppendRequest", "courtroll/v1/log.proto" },
        { "courtroll.v1.AppendRequest.entries", "courtroll/v1/log.proto" },
        { "courtroll.v1.GetInclusionProofRequest.entry", "courtroll/v1/log.proto" },
        { "courtroll.v1.Wait", "courtroll/v1/log.proto" },
        { "courtroll.v1.WITNESSED", "courtroll/v1/log.proto" },
        { "courtroll.v1.Witness", "courtroll/v1/witness.proto" },
        { "courtroll.v1.Witness.AddCheckpoint", "courtroll/v1/witness.proto" },
        { "grpc.health.v1.HealthCheckResponse.ServingStatus", "grpc/health/v1/health.proto" },
        { "grpc.health.v1.HealthCheckResponse.SERVING", "grpc/health/v1/health.proto" },
        { "grpc.reflection.v1.ServerReflection", "grpc/reflection/v1/reflection.proto" },
        { "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo",
          "grpc/reflection/v1alpha/reflection.proto" },
    };
    struct fixture fixture;
    start(&fixture, V1);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        expect_file(fixture.peer, REQUEST(FILE_CONTAINING_SYMBOL), known[i].symbol, known[i].file);
    }
    static const char *const unknown[] = {
        "",
        ".",
        "courtroll",
        "courtroll.v1",
        "courtroll.v1.",
        ".courtroll.v1.Log",
        "courtroll.v1.Lo",
        "courtroll.v1.Logs",
        "courtroll.v1.Log.",
        "courtroll.v1.Log.Appen",
        "courtroll.v1.Log.Append.",
        "courtroll.v1.Log.Append.Append",
        "courtroll.v1.Wait.WITNESSED", /* values are named beside their enum */
        "courtroll.v1.entries",
        "Log",
        "test.Service", /* served, but of no schema */
    };
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        request_message request = request_of(REQUEST(FILE_CONTAINING_SYMBOL), unknown[i]);
        expect_error(fixture.peer, &request, STATUS_NOT_FOUND);
    }
    finish(&fixture);
}

/* Each prefix and each changed byte of a known name is unknown, but for the names that prefixes are. */
static void almost_a_symbol_is_none(void **state)
{
    (void)state;
    char symbol[] = "grpc.health.v1.HealthCheckResponse.ServingStatus";
    struct span file;
    size_t len = sizeof symbol - 1, found = 0;
    for (size_t i = 0; i < len; i++) {
        found += rpc_descriptors_symbol(span_of(symbol, i), &file);
        symbol[i] ^= 1;
        assert_false(rpc_descriptors_symbol(span_of(symbol, len), &file));
        symbol[i] ^= 1;
    }
    assert_int_equal(found, 2); /* the service Health, and the message */
    assert_true(rpc_descriptors_symbol(span_of(symbol, len), &file));
}

static void there_are_no_extensions(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, V1);
    Grpc__Reflection__V1__ExtensionRequest extension =
        GRPC__REFLECTION__V1__EXTENSION_REQUEST__INIT;
    extension.containing_type = (char *)(uintptr_t) "courtroll.v1.AppendRequest";
    extension.extension_number = 100;
    request_message request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    request.message_request_case = REQUEST(FILE_CONTAINING_EXTENSION);
    request.file_containing_extension = &extension;
    expect_error(fixture.peer, &request, STATUS_NOT_FOUND);
    request = request_of(REQUEST(ALL_EXTENSION_NUMBERS_OF_TYPE), "courtroll.v1.AppendRequest");
    expect_error(fixture.peer, &request, STATUS_NOT_FOUND);
    finish(&fixture);
}

static void unknown_question_gets_an_error_and_the_stream_goes_on(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, V1);
    request_message request = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    request.host = (char *)(uintptr_t) "log.example";
    send(fixture.peer, &request);
    response_message *response = receive(fixture.peer);
    assert_int_equal(response->message_response_case, RESPONSE(ERROR_RESPONSE));
    assert_int_equal(response->error_response->error_code, STATUS_INVALID_ARGUMENT);
    assert_string_equal(response->valid_host, "log.example");
    assert_string_equal(response->original_request->host, "log.example");
    response_free(response);
    for (int i = 0; i < 100; i++) {
        expect_file(fixture.peer, REQUEST(FILE_CONTAINING_SYMBOL), "courtroll.v1.Log",
                    "courtroll/v1/log.proto");
    }
    finish(&fixture);
}

/* Some of these fields could not even be packed again. */
static void unknown_fields_are_not_given_back(void **state)
{
    (void)state;
    const uint8_t request[] = { 0x82, 0, 0, 0xf5, 0, 0, 0, 0, 0, 0x3a, 0 }; /* and list_services */
    struct fixture fixture;
    start(&fixture, V1);
    assert_true(bidi_peer_send(fixture.peer, SPAN_OF_ARRAY(request)));
    response_message *response = receive(fixture.peer);
    assert_int_equal(response->message_response_case, RESPONSE(LIST_SERVICES_RESPONSE));
    assert_int_equal(response->original_request->base.n_unknown_fields, 0);
    response_free(response);
    finish(&fixture);
}

static void bytes_that_are_no_request_end_the_stream(void **state)
{
    (void)state;
    static uint8_t large[RPC_REFLECTION_REQUEST_BYTES_MAX + 1];
    /* The largest host that fits, and one byte more. */
    large[0] = 0x0a;
    large[1] = 0x80 | ((sizeof large - 4) & 0x7f);
    large[2] = (sizeof large - 4) >> 7;
    memset(large + 3, 'h', sizeof large - 3);
    const uint8_t cut[] = { 0x3a, 5, 'x' };
    const struct span bad[] = { SPAN_OF_ARRAY(large), SPAN_OF_ARRAY(cut) };
    for (size_t i = 0; i < 2; i++) {
        struct fixture fixture;
        start(&fixture, V1);
        struct buf message = BUF_INIT(MESSAGE_MAX);
        assert_true(bidi_peer_send(fixture.peer, span_of(large, sizeof large - 1)));
        response_free(receive(fixture.peer));
        (void)bidi_peer_send(fixture.peer, bad[i]);
        assert_false(bidi_peer_next(fixture.peer, &message));
        assert_int_equal(bidi_peer_status(fixture.peer), STATUS_INVALID_ARGUMENT);
        stop(&fixture);
    }
}

/* It asks until it may send no more, and then goes away: all that is given back. */
static void peer_that_asks_and_does_not_read_is_held_back(void **state)
{
    (void)state;
    struct fixture fixture;
    start(&fixture, V1);
    uint8_t bytes[3000] = { 0x0a, 0x80 | (2995 & 0x7f), 2995 >> 7 };
    memset(bytes + 3, 'h', 2995);
    bytes[2998] = 0x3a; /* list_services, and an empty text */
    bytes[2999] = 0;
    size_t sent = 0;
    while (sent < 100000 && bidi_peer_offer(fixture.peer, SPAN_OF_ARRAY(bytes))) {
        sent++;
    }
    assert_in_range(sent, 1, 50000);
    stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(services_are_those_of_the_table_and_our_own),
        cmocka_unit_test(files_are_found_by_name),
        cmocka_unit_test(files_are_found_by_what_they_declare),
        cmocka_unit_test(almost_a_symbol_is_none),
        cmocka_unit_test(there_are_no_extensions),
        cmocka_unit_test(unknown_question_gets_an_error_and_the_stream_goes_on),
        cmocka_unit_test(unknown_fields_are_not_given_back),
        cmocka_unit_test(bytes_that_are_no_request_end_the_stream),
        cmocka_unit_test(peer_that_asks_and_does_not_read_is_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
