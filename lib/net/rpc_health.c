/* Check answers at once. A watch is sent the state, and again whenever it changed; between two
 * messages changes fold into one. */
#include "net/rpc_health.h"

#include "base/alloc.h"
#include "grpc/health/v1/health.pb-c.h"

#include <pthread.h>

enum {
    WATCHES_MAX = 64,
    RESPONSE_BYTES_MAX = 16,
    NAME_BYTES_MAX = 256,
};

#define SERVING         GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING     GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING
#define SERVICE_UNKNOWN GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN

/* A watch is finished by whoever takes it out of the list, so exactly once. */
struct watch {
    struct rpc_call *call;
    bool is_known; /* of a service we have; else it is told SERVICE_UNKNOWN once */
    int told;      /* the status sent last, -1 before the first */
};

struct rpc_health {
    char **services; /* owned */
    size_t service_count;
    pthread_mutex_t lock; /* guards all below; held while sending, never inside a callback */
    struct watch watches[WATCHES_MAX];
    size_t watch_count;
    bool is_serving;
    bool is_ended;
};

struct rpc_health *rpc_health_new(const struct span *services, size_t count)
{
    struct rpc_health *health = NEW(struct rpc_health);
    pthread_mutex_init(&health->lock, NULL);
    health->services = mem_calloc(count + 1, sizeof *health->services);
    for (size_t i = 0; i < count; i++) {
        char *name = mem_calloc(services[i].len + 1, 1);
        memcpy(name, services[i].data, services[i].len);
        health->services[health->service_count++] = name;
    }
    return health;
}

void rpc_health_free(struct rpc_health *health)
{
    for (size_t i = 0; i < health->service_count; i++) {
        mem_free(health->services[i]);
    }
    mem_free(health->services);
    pthread_mutex_destroy(&health->lock);
    mem_free(health);
}

static size_t response_pack(int status, uint8_t out[static RESPONSE_BYTES_MAX])
{
    Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    response.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)status;
    return grpc__health__v1__health_check_response__pack(&response, out);
}

/* The name asked about. E_MALFORMED when the message is not a request. */
static enum err_code request_parse(const struct rpc_health *health, struct span message,
                                   bool *is_known)
{
    if (message.len > NAME_BYTES_MAX) {
        return E_MALFORMED;
    }
    Grpc__Health__V1__HealthCheckRequest *request =
        grpc__health__v1__health_check_request__unpack(NULL, message.len, message.data);
    if (request == NULL) {
        return E_MALFORMED;
    }
    struct span name = span_of_str(request->service); /* cut at a NUL, which no name of ours has */
    *is_known = name.len == 0;
    for (size_t i = 0; i < health->service_count; i++) {
        *is_known = *is_known || span_is_str(name, health->services[i]);
    }
    grpc__health__v1__health_check_request__free_unpacked(request, NULL);
    return E_OK;
}

static void on_check(void *ctx, struct rpc_call *call, struct span message)
{
    struct rpc_health *health = ctx;
    bool is_known = false;
    if (request_parse(health, message, &is_known) != E_OK) {
        rpc_fail(call, E_MALFORMED, NULL);
        return;
    }
    if (!is_known) {
        rpc_fail(call, E_NOT_FOUND, "unknown service");
        return;
    }
    pthread_mutex_lock(&health->lock);
    int status = health->is_serving ? SERVING : NOT_SERVING;
    pthread_mutex_unlock(&health->lock);
    uint8_t bytes[RESPONSE_BYTES_MAX];
    rpc_reply(call, span_of(bytes, response_pack(status, bytes)));
}

/* Sends the state if it is news. A full queue is no loss: on_sent comes here again. Requires the
 * lock. */
static void watch_tell(const struct rpc_health *health, struct watch *watch)
{
    int status = !watch->is_known ? SERVICE_UNKNOWN : health->is_serving ? SERVING : NOT_SERVING;
    uint8_t bytes[RESPONSE_BYTES_MAX];
    if (status != watch->told &&
        rpc_stream_send(watch->call, span_of(bytes, response_pack(status, bytes))) == E_OK) {
        watch->told = status;
    }
}

/* NULL when it is not in the list. Requires the lock. */
static struct watch *watch_find(struct rpc_health *health, const struct rpc_call *call)
{
    for (size_t i = 0; i < health->watch_count; i++) {
        if (health->watches[i].call == call) {
            return &health->watches[i];
        }
    }
    return NULL;
}

static void on_watch(void *ctx, struct rpc_call *call, struct span message)
{
    struct rpc_health *health = ctx;
    bool is_known = false;
    if (request_parse(health, message, &is_known) != E_OK) {
        rpc_fail(call, E_MALFORMED, NULL);
        return;
    }
    pthread_mutex_lock(&health->lock);
    bool is_taken = !health->is_ended && health->watch_count < WATCHES_MAX;
    if (is_taken) {
        struct watch *watch = &health->watches[health->watch_count++];
        *watch = (struct watch){ call, is_known, -1 };
        watch_tell(health, watch);
    }
    pthread_mutex_unlock(&health->lock);
    if (!is_taken) {
        rpc_fail(call, E_BUSY, NULL);
    }
}

static void on_watch_sent(void *ctx, struct rpc_call *call)
{
    struct rpc_health *health = ctx;
    pthread_mutex_lock(&health->lock);
    struct watch *watch = watch_find(health, call);
    if (watch != NULL) {
        watch_tell(health, watch);
    }
    pthread_mutex_unlock(&health->lock);
}

static void on_watch_cancelled(void *ctx, struct rpc_call *call)
{
    struct rpc_health *health = ctx;
    pthread_mutex_lock(&health->lock);
    struct watch *watch = watch_find(health, call);
    if (watch != NULL) {
        *watch = health->watches[--health->watch_count];
    }
    pthread_mutex_unlock(&health->lock);
    if (watch != NULL) {
        rpc_stream_finish(call);
    }
}

void rpc_health_methods(struct rpc_health *health, struct rpc_method out[RPC_HEALTH_METHODS])
{
    out[0] = (struct rpc_method){ .path = "/grpc.health.v1.Health/Check",
                                  .kind = RPC_UNARY,
                                  .ctx = health,
                                  .on_call = on_check };
    out[1] = (struct rpc_method){ .path = "/grpc.health.v1.Health/Watch",
                                  .kind = RPC_SERVER_STREAM,
                                  .ctx = health,
                                  .on_call = on_watch,
                                  .on_sent = on_watch_sent,
                                  .on_cancelled = on_watch_cancelled };
}

void rpc_health_change(struct rpc_health *health, bool is_serving)
{
    pthread_mutex_lock(&health->lock);
    health->is_serving = is_serving;
    for (size_t i = 0; i < health->watch_count; i++) {
        watch_tell(health, &health->watches[i]);
    }
    pthread_mutex_unlock(&health->lock);
}

void rpc_health_end(struct rpc_health *health)
{
    pthread_mutex_lock(&health->lock);
    health->is_ended = true;
    while (health->watch_count > 0) {
        rpc_stream_finish(health->watches[--health->watch_count].call);
    }
    pthread_mutex_unlock(&health->lock);
}
