/* monitor_service_status.c -- GetStatus: copies of what the parts know, in one message. */
#include "base/alloc.h"
#include "base/metrics.h"
#include "monitor/monitor_service_parts.h"

enum {
    RULE_BYTES_MAX = 16 * 1024 /* a quorum in words: a longer one is left out */
};

/* What the message of one log points into. */
struct log_message {
    Courtroll__V1__MonitoredLog message;
    struct watched_status status;
    struct held_tree held;
    struct buf rule;
    Courtroll__V1__MonitoredWitness *witnesses; /* owned */
    Courtroll__V1__MonitoredWitness **pointers; /* owned */
};

static void fill_witnesses(struct log_message *out, const struct policy *policy)
{
    size_t count = policy_witness_count(policy);
    out->witnesses = mem_calloc(count + 1, sizeof *out->witnesses);
    out->pointers = mem_calloc(count + 1, sizeof(Courtroll__V1__MonitoredWitness *));
    for (size_t i = 0; i < count; i++) {
        courtroll__v1__monitored_witness__init(&out->witnesses[i]);
        out->witnesses[i].name = rpc_answer_binary(span_of_str(policy_witness_at(policy, i)->name));
        out->witnesses[i].seen = (uint64_t)out->status.witness_seen_s[i];
        out->pointers[i] = &out->witnesses[i];
    }
    out->message.n_witnesses = count;
    out->message.witnesses = out->pointers;
}

static void fill_rule(struct log_message *out, const struct policy *policy)
{
    struct buf rule = BUF_INIT(POLICY_BYTES_MAX);
    policy_put_rule(&rule, policy);
    if (rule.len <= RULE_BYTES_MAX) {
        buf_put(&out->rule, buf_span(&rule));
    }
    buf_clear(&rule);
    out->message.rule = rpc_answer_binary(buf_span(&out->rule));
}

static void fill_log(struct log_message *out, struct watched_log *log, struct note_memory *memory)
{
    const struct policy *policy = watched_log_options(log)->policy;
    Courtroll__V1__MonitoredLog *message = &out->message;
    courtroll__v1__monitored_log__init(message);
    buf_init(&out->rule, RULE_BYTES_MAX);
    watched_log_status(log, &out->status);
    watched_log_held(log, &out->held);
    const struct watched_status *status = &out->status;
    message->origin = rpc_answer_binary(span_of_str(watched_log_origin(log)));
    message->log_size = status->log_size;
    message->held_size = status->held_size;
    if (out->held.is_there) {
        message->held_root = rpc_answer_binary(hash_span(&out->held.root));
    }
    message->verified = status->is_verified;
    message->verified_time = (uint64_t)status->verified_s;
    message->note_time = (uint64_t)status->note_time_s;
    message->has_trusted_start = status->has_trusted_start;
    message->trusted_start = status->trusted_start;
    message->scanning = status->is_scanning;
    message->scan_at = status->scan_at;
    message->scan_to = status->scan_to;
    message->scan_rate = (uint64_t)status->scan_rate;
    message->entries_hashed = status->entries_hashed;
    message->quorum_met = status->is_quorum_met;
    message->f = policy_f(policy);
    message->policy_hash = rpc_answer_binary(hash_span(policy_hash(policy)));
    message->last_error = rpc_answer_binary(span_of_str(status->last_error));
    message->waiting_notes = note_memory_count(memory);
    fill_rule(out, policy);
    fill_witnesses(out, policy);
}

static void log_message_clear(struct log_message *message)
{
    held_tree_clear(&message->held);
    buf_clear(&message->rule);
    mem_free(message->witnesses);
    mem_free(message->pointers);
}

static void count_alerts(struct monitor_parts *parts, struct log_message *logs, uint64_t *all)
{
    struct alert *alerts = NULL;
    size_t count = alert_book_list(parts->alerts, false, SIZE_MAX, &alerts);
    *all = count;
    for (size_t i = 0; i < count; i++) {
        size_t position = 0;
        if (monitor_parts_log(parts, alerts[i].origin, &position) != NULL) {
            logs[position].message.open_alerts++;
        }
    }
    mem_free(alerts);
}

/* -- vantages and sinks -- */

struct vantage_message {
    Courtroll__V1__MonitorVantage message;
    struct vantage_status status;
};

static void fill_vantage(struct vantage_message *out, struct vantage *vantage)
{
    vantage_read_status(vantage, &out->status);
    courtroll__v1__monitor_vantage__init(&out->message);
    out->message.text = rpc_answer_binary(span_of_str(out->status.text));
    out->message.last_answer = (uint64_t)out->status.last_answer_s;
    out->message.notes = out->status.notes;
    out->message.contradictions = out->status.contradictions;
    out->message.last_error = rpc_answer_binary(span_of_str(out->status.last_error));
}

struct sink_message {
    Courtroll__V1__MonitorSink message;
    struct courier_status status;
    struct buf label; /* owned */
};

/* Names and errors of sinks hold addresses, and secrets of webhooks: those are for the control socket. */
static void fill_sink(struct sink_message *out, struct monitor_parts *parts, size_t i,
                      bool is_local)
{
    struct alert_queue_status queue;
    courier_read_status(parts->couriers[i], &out->status);
    alert_book_queue(parts->alerts, i, &queue);
    courtroll__v1__monitor_sink__init(&out->message);
    buf_init(&out->label, MONITOR_SINK_LABEL_MAX);
    monitor_parts_put_sink(parts, i, &out->label);
    const char *error = is_local || out->status.last_error[0] == '\0' ? out->status.last_error
                                                                      : "the last try failed";
    out->message.name =
        rpc_answer_binary(is_local ? span_of_str(out->status.sink) : buf_span(&out->label));
    out->message.waiting = queue.waiting;
    out->message.delivered = queue.delivered;
    out->message.failures = queue.failures;
    out->message.last_error = rpc_answer_binary(span_of_str(error));
}

/* All that a reply points into. */
struct status_reply {
    Courtroll__V1__GetMonitorStatusReply message;
    struct buf vkey;
    struct monitor_health health;
    struct log_message *logs; /* owned, as the pointers */
    Courtroll__V1__MonitoredLog **log_pointers;
    struct vantage_message vantages[VANTAGES_MAX];
    Courtroll__V1__MonitorVantage *vantage_pointers[VANTAGES_MAX];
    struct sink_message sinks[ALERT_SINKS_MAX];
    Courtroll__V1__MonitorSink *sink_pointers[ALERT_SINKS_MAX];
};

static void fill_lists(struct status_reply *reply, struct monitor_parts *parts, bool is_local)
{
    Courtroll__V1__GetMonitorStatusReply *out = &reply->message;
    reply->logs = mem_calloc(parts->log_count + 1, sizeof *reply->logs);
    reply->log_pointers = mem_calloc(parts->log_count + 1, sizeof(Courtroll__V1__MonitoredLog *));
    for (size_t i = 0; i < parts->log_count; i++) {
        fill_log(&reply->logs[i], parts->logs[i], parts->memories[i]);
        reply->log_pointers[i] = &reply->logs[i].message;
    }
    for (size_t i = 0; i < parts->vantage_count; i++) {
        fill_vantage(&reply->vantages[i], parts->vantages[i]);
        reply->vantage_pointers[i] = &reply->vantages[i].message;
    }
    for (size_t i = 0; i < parts->courier_count; i++) {
        fill_sink(&reply->sinks[i], parts, i, is_local);
        reply->sink_pointers[i] = &reply->sinks[i].message;
    }
    out->n_logs = parts->log_count;
    out->logs = reply->log_pointers;
    out->n_vantages = parts->vantage_count;
    out->vantages = reply->vantage_pointers;
    out->n_sinks = parts->courier_count;
    out->sinks = reply->sink_pointers;
}

static void run_get_status(void *arg)
{
    struct monitor_call *get = arg;
    struct monitor_parts *parts = get->service->parts;
    struct status_reply *reply = NEW(struct status_reply);
    Courtroll__V1__GetMonitorStatusReply *out = &reply->message;
    courtroll__v1__get_monitor_status_reply__init(out);
    buf_init(&reply->vkey, KEY_NAME_BYTES_MAX + 128);
    vkey_put(&reply->vkey, &parts->vkey);
    monitor_parts_health(parts, &reply->health);
    fill_lists(reply, parts, get->is_local);
    count_alerts(parts, reply->logs, &out->open_alerts);
    struct metrics_process process = metrics_process();
    out->name = rpc_answer_binary(span_of_str(parts->vkey.name));
    out->vkey = rpc_answer_binary(buf_span(&reply->vkey));
    out->entries_hashed = monitor_parts_entries(parts);
    out->started = (uint64_t)parts->started_s;
    out->well = reply->health.is_well;
    out->reason = rpc_answer_binary(span_of_str(reply->health.reason));
    out->page = rpc_answer_binary(span_of_str(parts->page_url != NULL ? parts->page_url : ""));
    out->cpu_us = process.cpu_us;
    out->rss_anon_bytes = process.rss_anon_bytes;
    rpc_answer(get->call, &out->base);
    for (size_t i = 0; i < parts->log_count; i++) {
        log_message_clear(&reply->logs[i]);
    }
    for (size_t i = 0; i < parts->courier_count; i++) {
        buf_clear(&reply->sinks[i].label);
    }
    mem_free(reply->logs);
    mem_free(reply->log_pointers);
    buf_clear(&reply->vkey);
    mem_free(reply);
    monitor_call_free(get);
}

void monitor_service_get_status(void *ctx, struct rpc_call *call, struct span message)
{
    struct monitor_service *service = ctx;
    if (rpc_answer_refuses_long(call, message)) {
        return;
    }
    work_post(service->parts->reads, run_get_status, monitor_call_new(service, call));
}
