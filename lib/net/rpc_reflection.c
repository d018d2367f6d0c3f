/* One request is in work at a time: the next is asked for when the response has gone out. So a peer
 * that asks and does not read holds one response. */
#include "net/rpc_reflection.h"

#include "base/alloc.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "net/rpc_descriptors.h"

#include <assert.h>

/* The generated names are longer than a line. */
#define REQUEST(name)  GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##name
#define RESPONSE(name) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##name
typedef Grpc__Reflection__V1__ServerReflectionRequest request_message;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_message;
typedef Grpc__Reflection__V1__ServiceResponse service_message;

static const char *const own_services[] = {
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
};
enum {
    OWN_SERVICES = sizeof own_services / sizeof own_services[0]
};

struct rpc_reflection {
    service_message services[RPC_METHODS_MAX + OWN_SERVICES]; /* their names are owned */
    service_message *listed[RPC_METHODS_MAX + OWN_SERVICES];
    size_t count;
};

static void add(struct rpc_reflection *reflection, struct span name)
{
    service_message *service = &reflection->services[reflection->count];
    grpc__reflection__v1__service_response__init(service);
    service->name = mem_calloc(name.len + 1, 1);
    memcpy(service->name, name.data, name.len);
    reflection->listed[reflection->count++] = service;
}

struct rpc_reflection *rpc_reflection_new(const struct span *services, size_t count)
{
    assert(count <= RPC_METHODS_MAX);
    struct rpc_reflection *reflection = NEW(struct rpc_reflection);
    for (size_t i = 0; i < count; i++) {
        add(reflection, services[i]);
    }
    for (size_t i = 0; i < OWN_SERVICES; i++) {
        add(reflection, span_of_str(own_services[i]));
    }
    return reflection;
}

void rpc_reflection_free(struct rpc_reflection *reflection)
{
    for (size_t i = 0; i < reflection->count; i++) {
        mem_free(reflection->services[i].name);
    }
    mem_free(reflection);
}

/* ---- one request ---- */

static void response_put(struct buf *out, const response_message *response)
{
    size_t bytes = grpc__reflection__v1__server_reflection_response__get_packed_size(response);
    grpc__reflection__v1__server_reflection_response__pack(response, buf_extend(out, bytes));
}

static void put_error(struct buf *out, response_message response, enum err_code code,
                      const char *words)
{
    Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
    error.error_code = err_grpc_status(code);
    error.error_message = (char *)(uintptr_t)words; /* the generated type lacks a const */
    response.message_response_case = RESPONSE(ERROR_RESPONSE);
    response.error_response = &error;
    response_put(out, &response);
}

static void put_services(struct buf *out, response_message response,
                         const struct rpc_reflection *reflection)
{
    Grpc__Reflection__V1__ListServiceResponse list =
        GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
    list.n_service = reflection->count;
    list.service = (service_message **)(uintptr_t)reflection->listed;
    response.message_response_case = RESPONSE(LIST_SERVICES_RESPONSE);
    response.list_services_response = &list;
    response_put(out, &response);
}

static void put_file(struct buf *out, response_message response, bool is_found, struct span file)
{
    if (!is_found) {
        put_error(out, response, E_NOT_FOUND, "no such file or symbol");
        return;
    }
    ProtobufCBinaryData bytes = { file.len, (uint8_t *)(uintptr_t)file.data };
    Grpc__Reflection__V1__FileDescriptorResponse files =
        GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
    files.n_file_descriptor_proto = 1;
    files.file_descriptor_proto = &bytes;
    response.message_response_case = RESPONSE(FILE_DESCRIPTOR_RESPONSE);
    response.file_descriptor_response = &files;
    response_put(out, &response);
}

/* The answer holds the question, but not what in it is unknown here: that need not even be something
 * that can be read again. */
static request_message known_of(const request_message *request,
                                Grpc__Reflection__V1__ExtensionRequest *extension)
{
    request_message known = *request;
    known.base.n_unknown_fields = 0;
    if (known.message_request_case == REQUEST(FILE_CONTAINING_EXTENSION)) {
        *extension = *request->file_containing_extension;
        extension->base.n_unknown_fields = 0;
        known.file_containing_extension = extension;
    }
    return known;
}

enum err_code rpc_reflection_answer(const struct rpc_reflection *reflection, struct span message,
                                    struct buf *out)
{
    request_message *request = NULL;
    if (message.len <= RPC_REFLECTION_REQUEST_BYTES_MAX) {
        request = grpc__reflection__v1__server_reflection_request__unpack(NULL, message.len,
                                                                          message.data);
    }
    if (request == NULL) {
        return E_MALFORMED;
    }
    Grpc__Reflection__V1__ExtensionRequest extension;
    request_message known = known_of(request, &extension);
    response_message response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    response.valid_host = request->host;
    response.original_request = &known;
    struct span file = { NULL, 0 };
    bool is_found = false;
    switch (request->message_request_case) {
    case REQUEST(LIST_SERVICES):
        put_services(out, response, reflection);
        break;
    case REQUEST(FILE_BY_FILENAME):
        is_found = rpc_descriptors_file(span_of_str(request->file_by_filename), &file);
        put_file(out, response, is_found, file);
        break;
    case REQUEST(FILE_CONTAINING_SYMBOL):
        is_found = rpc_descriptors_symbol(span_of_str(request->file_containing_symbol), &file);
        put_file(out, response, is_found, file);
        break;
    case REQUEST(FILE_CONTAINING_EXTENSION):
    case REQUEST(ALL_EXTENSION_NUMBERS_OF_TYPE):
        put_error(out, response, E_NOT_FOUND, "no extensions here");
        break;
    default:
        put_error(out, response, E_MALFORMED, "not a question known here");
        break;
    }
    grpc__reflection__v1__server_reflection_request__free_unpacked(request, NULL);
    return E_OK;
}

/* ---- the stream ---- */

static void on_request(void *ctx, struct rpc_call *call, struct span message)
{
    struct buf response = BUF_INIT(RPC_REFLECTION_RESPONSE_BYTES_MAX);
    if (rpc_reflection_answer(ctx, message, &response) != E_OK) {
        rpc_fail(call, E_MALFORMED, NULL);
    } else {
        /* There is room, as nothing else is queued. When the call is cancelled, on_end is called. */
        enum err_code rc = rpc_stream_send_take(call, &response);
        assert(rc == E_OK || rc == E_UNAVAILABLE);
        (void)rc;
    }
    buf_clear(&response);
}

static void on_response_sent(void *ctx, struct rpc_call *call)
{
    (void)ctx;
    rpc_stream_receive(call);
}

static void on_end(void *ctx, struct rpc_call *call)
{
    (void)ctx;
    rpc_stream_finish(call);
}

void rpc_reflection_methods(struct rpc_reflection *reflection,
                            struct rpc_method out[RPC_REFLECTION_METHODS])
{
    static const char *const paths[RPC_REFLECTION_METHODS] = {
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    };
    for (size_t i = 0; i < RPC_REFLECTION_METHODS; i++) {
        out[i] = (struct rpc_method){ .path = paths[i],
                                      .kind = RPC_BIDI,
                                      .ctx = reflection,
                                      .on_call = on_request,
                                      .on_end = on_end,
                                      .on_sent = on_response_sent,
                                      .on_cancelled = on_end };
    }
}
