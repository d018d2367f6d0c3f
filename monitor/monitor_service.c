#include "monitor/monitor_service.h"

#include "base/alloc.h"
#include "monitor/clock.h"
#include "monitor/monitor_service_parts.h"

struct monitor_call *monitor_call_new(struct monitor_service *service, struct rpc_call *call)
{
    struct monitor_call *made = NEW(struct monitor_call);
    made->service = service;
    made->call = call;
    made->is_local = rpc_call_is_local(call);
    buf_init(&made->bytes, VANTAGE_FILE_BYTES_MAX);
    return made;
}

void monitor_call_free(struct monitor_call *call)
{
    buf_clear(&call->bytes);
    mem_free(call);
}

struct monitor_service *monitor_service_new(struct monitor_parts *parts,
                                            struct rpc_method out[MONITOR_METHODS])
{
    const struct rpc_method methods[MONITOR_METHODS] = {
        { .path = "/courtroll.v1.Monitor/GetStatus", .on_call = monitor_service_get_status },
        { .path = "/courtroll.v1.Monitor/ListAlerts", .on_call = monitor_service_list_alerts },
        { .path = "/courtroll.v1.Monitor/WatchAlerts",
          .kind = RPC_SERVER_STREAM,
          .on_call = monitor_service_watch_alerts,
          .on_sent = monitor_service_watch_on_sent,
          .on_cancelled = monitor_service_watch_on_cancelled },
        { .path = "/courtroll.v1.Monitor/GetEvidence", .on_call = monitor_service_get_evidence },
        { .path = "/courtroll.v1.Monitor/CheckNote", .on_call = monitor_service_check_note },
        { .path = "/courtroll.v1.Monitor/ExchangeNotes",
          .on_call = monitor_service_exchange_notes },
        { .path = "/courtroll.v1.Monitor/Acknowledge", .on_call = monitor_service_acknowledge },
        { .path = "/courtroll.v1.Monitor/Resolve", .on_call = monitor_service_resolve },
        { .path = "/courtroll.v1.Monitor/SelfTest", .on_call = monitor_service_self_test },
    };
    struct monitor_service *service = NEW(struct monitor_service);
    uint64_t now_ms = clock_monotonic_ms();
    service->parts = parts;
    pthread_mutex_init(&service->mutex, NULL);
    LIST_INIT(&service->watches);
    quota_init_per_minute(&service->checks, parts->checks_per_minute, now_ms);
    service->peers = mem_calloc(parts->peer_count + 1, sizeof *service->peers);
    service->peer_last_s = mem_calloc(parts->peer_count + 1, sizeof *service->peer_last_s);
    for (size_t i = 0; i < parts->peer_count; i++) {
        quota_init(&service->peers[i], parts->peer_notes_per_hour, now_ms);
    }
    for (size_t i = 0; i < MONITOR_METHODS; i++) {
        out[i] = methods[i];
        out[i].ctx = service;
    }
    return service;
}

void monitor_service_end(struct monitor_service *service)
{
    monitor_service_end_watches(service);
}

void monitor_service_free(struct monitor_service *service)
{
    if (service != NULL) {
        pthread_mutex_destroy(&service->mutex);
        mem_free(service->peers);
        mem_free(service->peer_last_s);
        mem_free(service);
    }
}
