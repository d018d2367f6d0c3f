/* rpc_reflection.h -- grpc.reflection.v1.ServerReflection, and the same as v1alpha: what services a
 * server has, and the schema files they are described in.
 *
 * A request for a file is answered with that file alone; those it imports are asked for by name.
 * There are no extensions in our schema: both questions about them are answered with NOT_FOUND.
 */
#ifndef NET_RPC_REFLECTION_H
#define NET_RPC_REFLECTION_H

#include "net/rpc_server.h"

/* For rpc_server.c. `services` are names such as "courtroll.v1.Log", copied; those that every server
 * has are added to them. */
struct rpc_reflection;
enum {
    RPC_REFLECTION_METHODS = 2,
    RPC_REFLECTION_REQUEST_BYTES_MAX = 4096,
    RPC_REFLECTION_RESPONSE_BYTES_MAX = 1024 * 1024,
};
struct rpc_reflection *rpc_reflection_new(const struct span *services, size_t count);
void rpc_reflection_free(struct rpc_reflection *reflection);
void rpc_reflection_methods(struct rpc_reflection *reflection,
                            struct rpc_method out[RPC_REFLECTION_METHODS]);

/* Appends the response to one request, for which `out` needs RPC_REFLECTION_RESPONSE_BYTES_MAX of
 * room. E_MALFORMED when it is not a request. Pure. */
MUST_USE enum err_code rpc_reflection_answer(const struct rpc_reflection *reflection,
                                             struct span request, struct buf *out);

#endif
