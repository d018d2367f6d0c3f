/* parts.h -- the parts of a running monitor, as its surfaces see them.
 *
 * Everything is owned by daemon.c and outlives the services. Any thread.
 */
#ifndef MONITOR_PARTS_H
#define MONITOR_PARTS_H

#include "base/private_paths.h"
#include "monitor/alert_book.h"
#include "monitor/courier.h"
#include "monitor/follower.h"
#include "monitor/settings.h"
#include "monitor/vantage.h"

struct heartbeat;
struct monitor_metrics;

struct monitor_parts {
    const struct signer *key;
    struct vkey vkey; /* of it */
    struct state_store *store;
    struct alert_book *alerts;
    size_t log_count;
    struct watched_log **logs;
    struct note_memory **memories; /* of each log */
    struct follower **followers;
    size_t vantage_count;
    struct vantage *vantages[VANTAGES_MAX];
    size_t courier_count;
    struct courier *couriers[ALERT_SINKS_MAX];
    size_t peer_count;
    const struct vkey *peers[SETTINGS_PEERS_MAX]; /* who may exchange notes with us */
    uint64_t peer_notes_per_hour, checks_per_minute;
    _Atomic int64_t
        sink_failing_since_s[ALERT_SINKS_MAX]; /* 0: it is not; monitor_parts_health's */
    struct heartbeat *heartbeat;
    struct monitor_metrics *metrics;
    struct work *work; /* a lane for what blocks, for the surfaces: a log may be asked there */
    struct work *
        reads; /* one for what reads store and book only: a log that hangs does not hold up the page */
    struct private_paths private_paths;
    const char *control_path; /* the Unix socket on which acknowledging is allowed */
    const char *page_url;     /* or NULL */
    uint64_t poll_interval_ms;
    int64_t started_s;
    atomic_bool is_stopping;
};

/* NULL when it is not followed. `position` may be NULL. */
struct watched_log *monitor_parts_log(const struct monitor_parts *parts, const char *origin,
                                      size_t *position);

/* The monitor as a whole: what /healthz says. */
struct monitor_health {
    bool is_well; /* followers make progress, the store can be written, no sink fails for long */
    char reason[512];
};
void monitor_parts_health(struct monitor_parts *parts, struct monitor_health *out);
/* Looked at since the start, all logs together. */
uint64_t monitor_parts_entries(struct monitor_parts *parts);

/* What strangers may read of sink number `i`: "2 webhook https://hooks.example", its place in the configuration,
 * kind and host. The rest of such a URL may be a secret, and addresses are nobody's business. */
enum {
    MONITOR_SINK_LABEL_MAX = 160
};
void monitor_parts_put_sink(struct monitor_parts *parts, size_t i, struct buf *out);

#endif
