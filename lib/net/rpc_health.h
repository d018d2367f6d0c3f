/* rpc_health.h -- grpc.health.v1.Health: Check and Watch, for "" and each service of a server.
 *
 * All names share one state. A server starts as NOT_SERVING.
 */
#ifndef NET_RPC_HEALTH_H
#define NET_RPC_HEALTH_H

#include "net/rpc_server.h"

/* Sets the state; watchers are told when it changes. Any thread. */
void rpc_health_set(struct rpc_server *server, bool is_serving);

/* For rpc_server.c. `services` are names such as "courtroll.v1.Log", copied. */
struct rpc_health;
enum {
    RPC_HEALTH_METHODS = 2
};
struct rpc_health *rpc_health_new(const struct span *services, size_t count);
void rpc_health_free(struct rpc_health *health);
void rpc_health_methods(struct rpc_health *health, struct rpc_method out[RPC_HEALTH_METHODS]);
void rpc_health_change(struct rpc_health *health, bool is_serving);
/* Ends all watches, for a server that stops. */
void rpc_health_end(struct rpc_health *health);

#endif
