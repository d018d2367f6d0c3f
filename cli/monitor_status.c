/* monitor_status.c -- `courtroll monitor status`: what the monitor's page says, in the terminal. */
#include "cli/monitor.h"

#include "base/alloc.h"
#include "cli/facts.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    TEXT_MAX = 128
};

static void print_scan(struct output_table *table, const struct rpc_monitor_log *log)
{
    char text[TEXT_MAX];
    if (log->is_scanning) {
        snprintf(text, sizeof text, "at %s of %s, %s entries a second",
                 output_count(log->scan_at).text, output_count(log->scan_to).text,
                 output_count(log->scan_rate).text);
        facts_add(table, "scan", text);
    }
    if (log->has_trusted_start) {
        snprintf(text, sizeof text, "entries below %s were never looked at",
                 output_count(log->trusted_start).text);
        facts_add(table, "trusted start", text);
    }
}

static void print_log(const struct rpc_monitor_log *log)
{
    struct output_table *table = facts_new();
    char text[TEXT_MAX];
    size_t seen = 0;
    printf("\n");
    facts_add_text(table, "log", span_of_str(log->origin));
    facts_add_count(table, "entries verified", log->held_size);
    facts_add_count(table, "entries it shows", log->log_size);
    facts_add_time(table, "verified", log->verified_s);
    if (log->note_time_s > 0) {
        facts_add_time(table, "cosigned", log->note_time_s);
    }
    facts_add_text(table, "quorum", span_of_str(log->rule));
    for (size_t i = 0; i < log->witness_count; i++) {
        seen += log->witnesses[i].seen_s > 0;
    }
    snprintf(text, sizeof text, "%s; %zu of %zu witnesses seen; f = %" PRIu64,
             log->is_quorum_met ? "met" : "NOT MET", seen, log->witness_count, log->f);
    facts_add(table, "cosignatures", text);
    for (size_t i = 0; i < log->witness_count; i++) {
        char *name = output_clean(span_of_str(log->witnesses[i].name));
        char *label = mem_alloc(strlen(name) + 16);
        snprintf(label, strlen(name) + 16, "witness %s", name);
        facts_add_time(table, label, log->witnesses[i].seen_s);
        mem_free(label);
        free(name);
    }
    print_scan(table, log);
    if (log->waiting_notes > 0) {
        facts_add_count(table, "notes that wait", log->waiting_notes);
    }
    facts_add_count(table, "open alerts", log->open_alerts);
    if (log->last_error[0] != '\0') {
        facts_add_text(table, "last error", span_of_str(log->last_error));
    }
    output_table_print(table);
}

static void print_vantages(const struct rpc_monitor_status *status)
{
    static const char *const headings[] = { "VANTAGE", "LAST ANSWER", "NOTES", "CONTRADICTIONS",
                                            "ERROR" };
    if (status->vantage_count == 0) {
        printf("\nno vantage is configured: a split view would go unnoticed\n");
        return;
    }
    struct output_table *table = output_table_new(headings, COMMAND_COUNT(headings));
    for (size_t i = 0; i < status->vantage_count; i++) {
        const struct rpc_monitor_vantage *vantage = &status->vantages[i];
        char *text = output_clean(span_of_str(vantage->text));
        char *error = output_clean(span_of_str(vantage->last_error));
        struct output_time at = output_time(vantage->last_answer_s);
        struct output_count notes = output_count(vantage->notes);
        struct output_count contradictions = output_count(vantage->contradictions);
        const char *const cells[] = { text, vantage->last_answer_s > 0 ? at.text : "never",
                                      notes.text, contradictions.text, error };
        output_table_add(table, cells);
        free(text);
        free(error);
    }
    printf("\n");
    output_table_print(table);
}

static void print_sinks(const struct rpc_monitor_status *status)
{
    static const char *const headings[] = { "ALERTS GO TO", "DELIVERED", "WAITING", "FAILURES",
                                            "ERROR" };
    if (status->sink_count == 0) {
        printf(
            "\nalerts go nowhere but here: set alert-webhook, alert-mail-to, alert-syslog, ...\n");
        return;
    }
    struct output_table *table = output_table_new(headings, COMMAND_COUNT(headings));
    for (size_t i = 0; i < status->sink_count; i++) {
        const struct rpc_monitor_sink *sink = &status->sinks[i];
        char *name = output_clean(span_of_str(sink->name));
        char *error = output_clean(span_of_str(sink->last_error));
        struct output_count delivered = output_count(sink->delivered);
        struct output_count waiting = output_count(sink->waiting);
        struct output_count failures = output_count(sink->failures);
        const char *const cells[] = { name, delivered.text, waiting.text, failures.text, error };
        output_table_add(table, cells);
        free(name);
        free(error);
    }
    printf("\n");
    output_table_print(table);
}

static void print_status(const struct rpc_monitor_status *status)
{
    struct output_table *table = facts_new();
    facts_add_text(table, "monitor", span_of_str(status->name));
    facts_add(table, "state", status->is_well ? "fine" : "NOT WELL");
    if (!status->is_well) {
        facts_add_text(table, "reason", span_of_str(status->reason));
    }
    facts_add_count(table, "open alerts", status->open_alerts);
    facts_add_count(table, "entries hashed since start", status->entries_hashed);
    facts_add_time(table, "started", status->started_s);
    facts_add_count(table, "cpu us since start", status->cpu_us);
    facts_add_count(table, "memory bytes (RssAnon)", status->rss_anon_bytes);
    if (status->page[0] != '\0') {
        facts_add_text(table, "page", span_of_str(status->page));
    }
    output_table_print(table);
    for (size_t i = 0; i < status->log_count; i++) {
        print_log(&status->logs[i]);
    }
    print_vantages(status);
    print_sinks(status);
}

/* -- JSON -- */

static json_t *log_json(const struct rpc_monitor_log *log)
{
    json_t *object = json_object();
    json_t *witnesses = json_array();
    monitor_json_text(object, "origin", log->origin);
    monitor_json_count(object, "log_size", log->log_size);
    monitor_json_count(object, "held_size", log->held_size);
    json_object_set_new(object, "held_root",
                        log->has_root ? output_json_hex(hash_span(&log->held_root)) : json_null());
    json_object_set_new(object, "verified", json_boolean(log->is_verified));
    monitor_json_count(object, "verified_time", log->verified_s);
    monitor_json_count(object, "note_time", log->note_time_s);
    json_object_set_new(object, "trusted_start",
                        log->has_trusted_start ? json_integer((json_int_t)log->trusted_start)
                                               : json_null());
    json_object_set_new(object, "scanning", json_boolean(log->is_scanning));
    monitor_json_count(object, "scan_at", log->scan_at);
    monitor_json_count(object, "scan_to", log->scan_to);
    monitor_json_count(object, "scan_rate", log->scan_rate);
    monitor_json_count(object, "entries_hashed", log->entries_hashed);
    json_object_set_new(object, "quorum_met", json_boolean(log->is_quorum_met));
    monitor_json_count(object, "f", log->f);
    monitor_json_text(object, "rule", log->rule);
    json_object_set_new(object, "policy_sha256",
                        log->has_policy_hash ? output_json_hex(hash_span(&log->policy_hash))
                                             : json_null());
    monitor_json_text(object, "last_error", log->last_error);
    monitor_json_count(object, "waiting_notes", log->waiting_notes);
    monitor_json_count(object, "open_alerts", log->open_alerts);
    for (size_t i = 0; i < log->witness_count; i++) {
        json_t *witness = json_object();
        monitor_json_text(witness, "name", log->witnesses[i].name);
        monitor_json_count(witness, "seen", log->witnesses[i].seen_s);
        json_array_append_new(witnesses, witness);
    }
    json_object_set_new(object, "witnesses", witnesses);
    return object;
}

static json_t *vantages_json(const struct rpc_monitor_status *status)
{
    json_t *array = json_array();
    for (size_t i = 0; i < status->vantage_count; i++) {
        const struct rpc_monitor_vantage *vantage = &status->vantages[i];
        json_t *object = json_object();
        monitor_json_text(object, "vantage", vantage->text);
        monitor_json_count(object, "last_answer", vantage->last_answer_s);
        monitor_json_count(object, "notes", vantage->notes);
        monitor_json_count(object, "contradictions", vantage->contradictions);
        monitor_json_text(object, "last_error", vantage->last_error);
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *sinks_json(const struct rpc_monitor_status *status)
{
    json_t *array = json_array();
    for (size_t i = 0; i < status->sink_count; i++) {
        const struct rpc_monitor_sink *sink = &status->sinks[i];
        json_t *object = json_object();
        monitor_json_text(object, "sink", sink->name);
        monitor_json_count(object, "waiting", sink->waiting);
        monitor_json_count(object, "delivered", sink->delivered);
        monitor_json_count(object, "failures", sink->failures);
        monitor_json_text(object, "last_error", sink->last_error);
        json_array_append_new(array, object);
    }
    return array;
}

static void print_json(const struct rpc_monitor_status *status)
{
    json_t *object = json_object();
    json_t *logs = json_array();
    monitor_json_text(object, "monitor", status->name);
    monitor_json_text(object, "vkey", status->vkey);
    json_object_set_new(object, "well", json_boolean(status->is_well));
    monitor_json_text(object, "reason", status->reason);
    monitor_json_count(object, "open_alerts", status->open_alerts);
    monitor_json_count(object, "entries_hashed", status->entries_hashed);
    monitor_json_count(object, "started", status->started_s);
    monitor_json_count(object, "cpu_us", status->cpu_us);
    monitor_json_count(object, "rss_anon_bytes", status->rss_anon_bytes);
    monitor_json_text(object, "page", status->page);
    for (size_t i = 0; i < status->log_count; i++) {
        json_array_append_new(logs, log_json(&status->logs[i]));
    }
    json_object_set_new(object, "logs", logs);
    json_object_set_new(object, "vantages", vantages_json(status));
    json_object_set_new(object, "sinks", sinks_json(status));
    output_json(object);
}

static int run(int argc, char **argv)
{
    struct monitor_options options = { 0 };
    const struct command_option table[] = { MONITOR_OPTIONS(&options) };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &monitor_status_command, table, COMMAND_COUNT(table), argc, argv,
                       &code)) {
        return code;
    }
    struct rpc_monitor *monitor = NULL;
    struct rpc_monitor_status status;
    struct err err;
    code = monitor_open(&monitor, &options, &monitor_status_command);
    if (code != OUTPUT_DONE) {
        return code;
    }
    if (rpc_monitor_get_status(monitor, MONITOR_CALL_TIMEOUT_MS, &status, &err) != E_OK) {
        code = output_failed(&options.output, &err);
    } else {
        (options.output.is_json ? print_json : print_status)(&status);
        code = status.open_alerts > 0 || !status.is_well ? OUTPUT_VERDICT : OUTPUT_DONE;
        rpc_monitor_status_clear(&status);
    }
    rpc_monitor_close(monitor);
    return code;
}

const struct command monitor_status_command = {
    .name = "monitor status",
    .arguments = "[--monitor MONITOR] [--json]",
    .summary = "each log: size, freshness, witnesses, progress; vantages; sinks",
    .text = "Exit code 0: nothing is wrong; 1: an alert is open, or the monitor is not well.\n",
    .run = run,
};
