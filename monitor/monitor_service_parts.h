/* monitor_service_parts.h -- what the monitor_service*.c files share. */
#ifndef MONITOR_MONITOR_SERVICE_PARTS_H
#define MONITOR_MONITOR_SERVICE_PARTS_H

#include "courtroll/v1/monitor.pb-c.h"
#include "monitor/monitor_service.h"
#include "monitor/note_exchange.h"
#include "monitor/quota.h"
#include "net/rpc_answer.h"
#include "net/work.h"

#include <pthread.h>
#include <sys/queue.h>

enum {
    MONITOR_REPLY_BYTES_MAX = 3 * 1024 * 1024, /* callers take 4 MiB by default */
    MONITOR_CHECKS_WAITING_MAX = 32, /* CheckNote and ExchangeNotes that are not answered yet */
};

struct alert_watch;

struct monitor_service {
    struct monitor_parts *parts;
    pthread_mutex_t mutex; /* guards all below */
    LIST_HEAD(, alert_watch) watches;
    size_t watch_count;
    size_t notes_waiting;
    struct quota checks; /* of CheckNote */
    struct quota *peers; /* of ExchangeNotes, one a peer; owned */
    int64_t
        *peer_last_s; /* time in the newest message of each peer: an older one is a repeat; owned */
};

/* A call on its way to a worker and back: what each of them needs, with a copy of the request. */
struct monitor_call {
    struct monitor_service *service;
    struct rpc_call *call;
    struct buf bytes; /* CheckNote's file, ExchangeNotes' message */
    struct hash id;
    uint64_t number; /* count, timeout */
    bool is_set;
    bool is_local;
    char alert_id[ALERT_ID_CHARS + 1];
    char comment[ALERT_COMMENT_MAX];
};
struct monitor_call *monitor_call_new(struct monitor_service *service, struct rpc_call *call);
void monitor_call_free(struct monitor_call *call);

/* A message of alerts, and what it points into. */
struct alert_message {
    Courtroll__V1__MonitorAlert message;
    ProtobufCBinaryData evidence[ALERT_EVIDENCE_MAX];
};
/* Points into `alert`, which must outlive it. */
void alert_message_fill(struct alert_message *out, const struct alert *alert);

/* The methods, as rpc_method.on_call has them; ctx is a struct monitor_service. */
void monitor_service_get_status(void *ctx, struct rpc_call *call, struct span message);
void monitor_service_list_alerts(void *ctx, struct rpc_call *call, struct span message);
void monitor_service_watch_alerts(void *ctx, struct rpc_call *call, struct span message);
void monitor_service_watch_on_sent(void *ctx, struct rpc_call *call);
void monitor_service_watch_on_cancelled(void *ctx, struct rpc_call *call);
void monitor_service_get_evidence(void *ctx, struct rpc_call *call, struct span message);
void monitor_service_acknowledge(void *ctx, struct rpc_call *call, struct span message);
void monitor_service_resolve(void *ctx, struct rpc_call *call, struct span message);
void monitor_service_self_test(void *ctx, struct rpc_call *call, struct span message);
void monitor_service_check_note(void *ctx, struct rpc_call *call, struct span message);
void monitor_service_exchange_notes(void *ctx, struct rpc_call *call, struct span message);

/* Ends the streams of WatchAlerts. */
void monitor_service_end_watches(struct monitor_service *service);

#endif
