/* fuzz_rpc_reflection.c -- requests to the reflection service: whatever is asked, an answer that can be
 * read comes, and it holds the question; a file only for a name that it has. */
#include "net/rpc_reflection.h"

#include "grpc/reflection/v1/reflection.pb-c.h"
#include "net/rpc_descriptors.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef Grpc__Reflection__V1__ServerReflectionResponse response_message;

static void check(struct span bytes)
{
    response_message *response =
        grpc__reflection__v1__server_reflection_response__unpack(NULL, bytes.len, bytes.data);
    assert(response != NULL);
    assert(response->original_request != NULL);
    assert(response->message_response_case !=
           GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE__NOT_SET);
    grpc__reflection__v1__server_reflection_response__free_unpacked(response, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span services[] = { span_of_str("courtroll.v1.Log") };
    struct rpc_reflection *reflection = rpc_reflection_new(services, 1);
    struct buf out = BUF_INIT(RPC_REFLECTION_RESPONSE_BYTES_MAX);
    struct span request = span_of(data, size), file;
    if (rpc_reflection_answer(reflection, request, &out) == E_OK) {
        check(buf_span(&out));
    } else {
        assert(out.len == 0);
    }
    buf_clear(&out);
    rpc_reflection_free(reflection);

    /* The same bytes as a name, which need not be text. */
    assert(!rpc_descriptors_file(request, &file) ||
           span_has_suffix(request, span_of_str(".proto")));
    assert(!rpc_descriptors_symbol(request, &file) ||
           span_find(file, span_of_str(".")) != SIZE_MAX);
    return 0;
}
