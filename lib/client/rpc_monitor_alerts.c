/* Alerts: listed, watched, and settled by a person; and their evidence. */
#include "client/rpc_monitor_parts.h"

#include <string.h>

void rpc_monitor_alert_read(struct rpc_monitor_reading *reading, struct rpc_monitor_alert *out,
                            const Courtroll__V1__MonitorAlert *from)
{
    out->id = rpc_monitor_word(reading, from->id, "an alert's id");
    out->code = rpc_monitor_word(reading, from->code, "an alert's code");
    out->severity = rpc_monitor_word(reading, from->severity, "a severity");
    out->state = rpc_monitor_word(reading, from->state, "an alert's state");
    out->origin = rpc_monitor_text(reading, from->origin);
    out->subject = rpc_monitor_text(reading, from->subject);
    out->summary = rpc_monitor_text(reading, from->summary);
    out->comment = rpc_monitor_text(reading, from->comment);
    out->runbook = rpc_monitor_text(reading, from->runbook);
    out->first_seen_s = from->first_seen;
    out->last_seen_s = from->last_seen;
    out->resolved_s = from->resolved;
    out->count = from->count;
    out->evidence_found = from->evidence_found;
    out->is_drill = from->drill != 0;
    out->is_provable = from->provable != 0;
    out->evidence =
        rpc_monitor_list(reading, &out->evidence_count, from->n_evidence, RPC_MONITOR_EVIDENCES_MAX,
                         sizeof *out->evidence, "too much evidence of one alert");
    for (size_t i = 0; i < out->evidence_count; i++) {
        if (!rpc_monitor_hash(reading, &out->evidence[i], from->evidence[i], "a hash") &&
            reading->wrong == NULL) {
            reading->wrong = "evidence without a hash";
        }
    }
}

enum err_code rpc_monitor_list_alerts(struct rpc_monitor *monitor, bool with_resolved,
                                      uint64_t count, uint32_t timeout_ms,
                                      struct rpc_monitor_alerts *out, struct err *err)
{
    Courtroll__V1__ListAlertsRequest request = COURTROLL__V1__LIST_ALERTS_REQUEST__INIT;
    request.resolved = with_resolved;
    request.count = count;
    struct rpc_monitor_alerts alerts = { 0 };
    const ProtobufCMessage *reply = NULL;
    enum err_code rc = rpc_monitor_call(monitor, RPC_MONITOR_PATH("ListAlerts"), &request.base,
                                        timeout_ms, &courtroll__v1__list_alerts_reply__descriptor,
                                        &alerts.memory, &reply, err);
    if (rc != E_OK) {
        return rc;
    }
    const Courtroll__V1__ListAlertsReply *from = (const Courtroll__V1__ListAlertsReply *)reply;
    struct rpc_monitor_reading reading = { .memory = &alerts.memory };
    uint64_t most = count > 0 && count < RPC_MONITOR_ALERTS_MAX ? count : RPC_MONITOR_ALERTS_MAX;
    alerts.alerts = rpc_monitor_list(&reading, &alerts.count, from->n_alerts, (size_t)most,
                                     sizeof *alerts.alerts, "more alerts than were asked for");
    for (size_t i = 0; i < alerts.count; i++) {
        rpc_monitor_alert_read(&reading, &alerts.alerts[i], from->alerts[i]);
    }
    rc = rpc_monitor_read(&reading, err);
    if (rc == E_OK) {
        *out = alerts;
    }
    return rc;
}

void rpc_monitor_alerts_clear(struct rpc_monitor_alerts *alerts)
{
    arena_clear(&alerts->memory);
}

/* ---- watching ---- */

struct rpc_monitor_watch {
    struct rpc_incoming *incoming;
    struct buf bytes; /* of the message */
    struct arena memory;
    struct rpc_monitor_alert alert; /* in the memory */
};

enum err_code rpc_monitor_watch_open(struct rpc_monitor_watch **out, struct rpc_monitor *monitor,
                                     struct err *err)
{
    Courtroll__V1__WatchAlertsRequest request = COURTROLL__V1__WATCH_ALERTS_REQUEST__INIT;
    struct buf packed = rpc_monitor_pack(&request.base);
    struct rpc_incoming *incoming = NULL;
    enum err_code rc =
        rpc_incoming_open(&incoming, monitor->client, RPC_MONITOR_PATH("WatchAlerts"),
                          buf_span(&packed), RPC_NO_DEADLINE, err);
    buf_clear(&packed);
    if (rc == E_OK) {
        struct rpc_monitor_watch *watch = NEW(struct rpc_monitor_watch);
        watch->incoming = incoming;
        buf_init(&watch->bytes, SIZE_MAX);
        arena_init(&watch->memory, RPC_MONITOR_MEMORY_MAX);
        *out = watch;
    }
    return rc;
}

enum err_code rpc_monitor_watch_next(struct rpc_monitor_watch *watch,
                                     const struct rpc_monitor_alert **out, struct err *err)
{
    bool is_end = false;
    buf_reset(&watch->bytes);
    if (rpc_incoming_next(watch->incoming, &watch->bytes, &is_end, err) != E_OK) {
        return err->code;
    }
    if (is_end) {
        *out = NULL;
        return E_OK;
    }
    arena_clear(&watch->memory);
    arena_init(&watch->memory, RPC_MONITOR_MEMORY_MAX);
    const ProtobufCMessage *message = rpc_monitor_unpack(&courtroll__v1__monitor_alert__descriptor,
                                                         &watch->memory, buf_span(&watch->bytes));
    if (message == NULL) {
        return err_set(err, E_MALFORMED, "the monitor's answer is not a MonitorAlert");
    }
    struct rpc_monitor_reading reading = { .memory = &watch->memory };
    rpc_monitor_alert_read(&reading, &watch->alert, (const Courtroll__V1__MonitorAlert *)message);
    enum err_code rc = rpc_monitor_read(&reading, err);
    if (rc == E_OK) {
        *out = &watch->alert;
    }
    return rc;
}

void rpc_monitor_watch_close(struct rpc_monitor_watch *watch)
{
    if (watch != NULL) {
        rpc_incoming_close(watch->incoming);
        buf_clear(&watch->bytes);
        arena_clear(&watch->memory);
        mem_free(watch);
    }
}

/* ---- settling ---- */

/* Takes the memory of `alerts`. `from` is NULL when the answer has none. */
static enum err_code settled_read(struct rpc_monitor_alerts *out, struct rpc_monitor_alerts *alerts,
                                  const Courtroll__V1__MonitorAlert *from, const char *id,
                                  struct err *err)
{
    struct rpc_monitor_reading reading = { .memory = &alerts->memory };
    alerts->alerts = rpc_monitor_list(&reading, &alerts->count, from != NULL, 1,
                                      sizeof *alerts->alerts, "an alert");
    if (alerts->count == 1) {
        rpc_monitor_alert_read(&reading, alerts->alerts, from);
    }
    if (reading.wrong == NULL && (alerts->count == 0 || strcmp(alerts->alerts[0].id, id) != 0)) {
        reading.wrong = "it is not about that alert";
    }
    enum err_code rc = rpc_monitor_read(&reading, err);
    if (rc == E_OK) {
        *out = *alerts;
    }
    return rc;
}

enum err_code rpc_monitor_acknowledge(struct rpc_monitor *monitor, const char *id,
                                      const char *comment, uint32_t timeout_ms,
                                      struct rpc_monitor_alerts *out, struct err *err)
{
    Courtroll__V1__AcknowledgeRequest request = COURTROLL__V1__ACKNOWLEDGE_REQUEST__INIT;
    request.id = rpc_monitor_bytes(span_of_str(id));
    request.comment = rpc_monitor_bytes(span_of_str(comment));
    struct rpc_monitor_alerts alerts = { 0 };
    const ProtobufCMessage *reply = NULL;
    enum err_code rc = rpc_monitor_call(monitor, RPC_MONITOR_PATH("Acknowledge"), &request.base,
                                        timeout_ms, &courtroll__v1__acknowledge_reply__descriptor,
                                        &alerts.memory, &reply, err);
    return rc == E_OK
               ? settled_read(out, &alerts, ((const Courtroll__V1__AcknowledgeReply *)reply)->alert,
                              id, err)
               : rc;
}

enum err_code rpc_monitor_resolve(struct rpc_monitor *monitor, const char *id, const char *comment,
                                  uint32_t timeout_ms, struct rpc_monitor_alerts *out,
                                  struct err *err)
{
    Courtroll__V1__ResolveRequest request = COURTROLL__V1__RESOLVE_REQUEST__INIT;
    request.id = rpc_monitor_bytes(span_of_str(id));
    request.comment = rpc_monitor_bytes(span_of_str(comment));
    struct rpc_monitor_alerts alerts = { 0 };
    const ProtobufCMessage *reply = NULL;
    enum err_code rc =
        rpc_monitor_call(monitor, RPC_MONITOR_PATH("Resolve"), &request.base, timeout_ms,
                         &courtroll__v1__resolve_reply__descriptor, &alerts.memory, &reply, err);
    return rc == E_OK ? settled_read(out, &alerts,
                                     ((const Courtroll__V1__ResolveReply *)reply)->alert, id, err)
                      : rc;
}

/* ---- evidence ---- */

enum err_code rpc_monitor_get_evidence(struct rpc_monitor *monitor, const struct hash *id,
                                       uint32_t timeout_ms, struct buf *file, struct err *err)
{
    Courtroll__V1__GetEvidenceRequest request = COURTROLL__V1__GET_EVIDENCE_REQUEST__INIT;
    request.id = rpc_monitor_bytes(hash_span(id));
    struct arena memory;
    const ProtobufCMessage *reply = NULL;
    enum err_code rc =
        rpc_monitor_call(monitor, RPC_MONITOR_PATH("GetEvidence"), &request.base, timeout_ms,
                         &courtroll__v1__get_evidence_reply__descriptor, &memory, &reply, err);
    if (rc != E_OK) {
        return rc;
    }
    struct span bytes = rpc_monitor_span(((const Courtroll__V1__GetEvidenceReply *)reply)->file);
    struct hash hash = sha256(bytes);
    if (bytes.len > RPC_MONITOR_EVIDENCE_BYTES_MAX) {
        rc = err_set(err, E_TOO_LARGE, "evidence of %zu bytes", bytes.len);
    } else if (!hash_is_equal(&hash, id)) {
        rc = err_set(err, E_MALFORMED, "the monitor's answer is not the evidence asked for");
    } else {
        rc = buf_append(file, bytes, err);
    }
    arena_clear(&memory);
    return rc;
}
