/* monitor_alerts.c -- `courtroll monitor alerts`, `watch`, `ack`, `resolve`, `evidence`. */
#include "cli/monitor.h"

#include "base/ascii.h"
#include "base/file.h"

#include <stdlib.h>

enum {
    COMMENT_MAX = 255,
    EVIDENCE_MODE = 0644
};

/* "  name: text", escaped. */
static void print_line(const char *name, const char *text)
{
    char *clean = output_clean(span_of_str(text));
    printf("  %-10s %s\n", name, clean);
    free(clean);
}

void monitor_print_alert(const struct rpc_monitor_alert *alert)
{
    printf("%s%s  %s  %s  %s\n", alert->is_drill ? "DRILL  " : "", alert->severity, alert->code,
           alert->state, alert->id);
    print_line("log", alert->origin[0] != '\0' ? alert->origin : "-");
    if (alert->subject[0] != '\0') {
        print_line("subject", alert->subject);
    }
    print_line("what", alert->summary);
    printf("  %-10s %s, last %s, found %s times\n", "since", output_time(alert->first_seen_s).text,
           output_time(alert->last_seen_s).text, output_count(alert->count).text);
    if (alert->resolved_s > 0) {
        printf("  %-10s %s\n", "resolved", output_time(alert->resolved_s).text);
    }
    if (alert->comment[0] != '\0') {
        print_line("comment", alert->comment);
    }
    for (size_t i = 0; i < alert->evidence_count; i++) {
        struct buf hex = BUF_INIT(2 * HASH_BYTES + 1);
        hex_put(&hex, hash_span(&alert->evidence[i]));
        printf("  %-10s %s%s\n", "evidence", buf_c_str(&hex),
               alert->is_provable ? " (proof)" : " (this monitor's signed word)");
        buf_clear(&hex);
    }
    print_line("do", alert->runbook);
    fflush(stdout);
}

json_t *monitor_alert_json(const struct rpc_monitor_alert *alert)
{
    json_t *object = json_object();
    json_t *evidence = json_array();
    monitor_json_text(object, "id", alert->id);
    monitor_json_text(object, "code", alert->code);
    monitor_json_text(object, "severity", alert->severity);
    monitor_json_text(object, "state", alert->state);
    monitor_json_text(object, "origin", alert->origin);
    monitor_json_text(object, "subject", alert->subject);
    monitor_json_text(object, "summary", alert->summary);
    monitor_json_count(object, "first_seen", alert->first_seen_s);
    monitor_json_count(object, "last_seen", alert->last_seen_s);
    monitor_json_count(object, "resolved", alert->resolved_s);
    monitor_json_count(object, "count", alert->count);
    monitor_json_text(object, "comment", alert->comment);
    monitor_json_count(object, "evidence_found", alert->evidence_found);
    json_object_set_new(object, "drill", json_boolean(alert->is_drill));
    json_object_set_new(object, "provable", json_boolean(alert->is_provable));
    monitor_json_text(object, "runbook", alert->runbook);
    for (size_t i = 0; i < alert->evidence_count; i++) {
        json_array_append_new(evidence, output_json_hex(hash_span(&alert->evidence[i])));
    }
    json_object_set_new(object, "evidence", evidence);
    return object;
}

/* -- alerts -- */

static void print_alerts(const struct output *output, const struct rpc_monitor_alerts *alerts)
{
    if (!output->is_json) {
        for (size_t i = 0; i < alerts->count; i++) {
            printf("%s", i == 0 ? "" : "\n");
            monitor_print_alert(&alerts->alerts[i]);
        }
        if (alerts->count == 0) {
            printf("no alerts\n");
        }
        return;
    }
    json_t *array = json_array();
    for (size_t i = 0; i < alerts->count; i++) {
        json_array_append_new(array, monitor_alert_json(&alerts->alerts[i]));
    }
    json_t *object = json_object();
    json_object_set_new(object, "alerts", array);
    output_json(object);
}

static bool has_open(const struct rpc_monitor_alerts *alerts)
{
    for (size_t i = 0; i < alerts->count; i++) {
        if (strcmp(alerts->alerts[i].state, "resolved") != 0) {
            return true;
        }
    }
    return false;
}

static int run_alerts(int argc, char **argv)
{
    struct monitor_options options = { 0 };
    bool is_all = false;
    const struct command_option table[] = {
        MONITOR_OPTIONS(&options),
        { .name = "all", .help = "resolved ones too", .flag = &is_all },
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &monitor_alerts_command, table, COMMAND_COUNT(table), argc, argv,
                       &code)) {
        return code;
    }
    struct rpc_monitor *monitor = NULL;
    struct rpc_monitor_alerts alerts;
    struct err err;
    code = monitor_open(&monitor, &options, &monitor_alerts_command);
    if (code != OUTPUT_DONE) {
        return code;
    }
    if (rpc_monitor_list_alerts(monitor, is_all, 0, MONITOR_CALL_TIMEOUT_MS, &alerts, &err) !=
        E_OK) {
        code = output_failed(&options.output, &err);
    } else {
        print_alerts(&options.output, &alerts);
        code = has_open(&alerts) ? OUTPUT_VERDICT : OUTPUT_DONE;
        rpc_monitor_alerts_clear(&alerts);
    }
    rpc_monitor_close(monitor);
    return code;
}

const struct command monitor_alerts_command = {
    .name = "monitor alerts",
    .arguments = "[--monitor MONITOR] [--all] [--json]",
    .summary = "what is wrong: open and acknowledged alerts, newest first",
    .text = "Exit code 0: none is open or acknowledged; 1: some are.\n",
    .run = run_alerts,
};

/* -- watch -- */

static int watch(struct rpc_monitor *monitor, const struct output *output)
{
    struct rpc_monitor_watch *stream = NULL;
    const struct rpc_monitor_alert *alert = NULL;
    struct err err;
    enum err_code rc = rpc_monitor_watch_open(&stream, monitor, &err);
    while (rc == E_OK) {
        rc = rpc_monitor_watch_next(stream, &alert, &err);
        if (rc != E_OK || alert == NULL) {
            break;
        }
        if (output->is_json) {
            output_json(monitor_alert_json(alert));
            fflush(stdout);
        } else {
            monitor_print_alert(alert);
        }
        if (ferror(stdout)) {
            break;
        }
    }
    rpc_monitor_watch_close(stream);
    return rc == E_OK ? OUTPUT_DONE : output_failed(output, &err);
}

static int run_watch(int argc, char **argv)
{
    struct monitor_options options = { 0 };
    const struct command_option table[] = { MONITOR_OPTIONS(&options) };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &monitor_watch_command, table, COMMAND_COUNT(table), argc, argv,
                       &code)) {
        return code;
    }
    struct rpc_monitor *monitor = NULL;
    code = monitor_open(&monitor, &options, &monitor_watch_command);
    if (code == OUTPUT_DONE) {
        code = watch(monitor, &options.output);
        rpc_monitor_close(monitor);
    }
    return code;
}

const struct command monitor_watch_command = {
    .name = "monitor watch",
    .arguments = "[--monitor MONITOR] [--json]",
    .summary = "alerts as they open, change and are resolved, until Ctrl-C",
    .text = "With --json one object an alert, as `alerts` prints them.\n",
    .run = run_watch,
};

/* -- ack, resolve -- */

static int change(const struct command *command, bool is_resolve, int argc, char **argv)
{
    struct monitor_options options = { 0 };
    const char *comment = "";
    const struct command_option table[] = {
        MONITOR_OPTIONS(&options),
        { .name = "comment",
          .argument = "TEXT",
          .help = "who and why, one line: it is kept with the alert",
          .text = &comment },
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, command, table, COMMAND_COUNT(table), argc, argv, &code)) {
        return code;
    }
    if (strlen(comment) > COMMENT_MAX) {
        return command_usage_error(command, "--comment has at most %d bytes", COMMENT_MAX);
    }
    struct rpc_monitor *monitor = NULL;
    code = monitor_open(&monitor, &options, command);
    for (size_t i = 0; code == OUTPUT_DONE && i < line.operand_count; i++) {
        struct rpc_monitor_alerts alerts;
        struct err err;
        enum err_code rc =
            (is_resolve ? rpc_monitor_resolve
                        : rpc_monitor_acknowledge)(monitor, line.operands[i], comment,
                                                   MONITOR_CALL_TIMEOUT_MS, &alerts, &err);
        if (rc != E_OK) {
            err_wrap(&err, "%s", line.operands[i]);
            code = output_failed(&options.output, &err);
            break;
        }
        if (options.output.is_json) {
            output_json(monitor_alert_json(&alerts.alerts[0]));
        } else {
            monitor_print_alert(&alerts.alerts[0]);
        }
        rpc_monitor_alerts_clear(&alerts);
    }
    rpc_monitor_close(monitor);
    return code;
}

static int run_ack(int argc, char **argv)
{
    return change(&monitor_ack_command, false, argc, argv);
}

static int run_resolve(int argc, char **argv)
{
    return change(&monitor_resolve_command, true, argc, argv);
}

const struct command monitor_ack_command = {
    .name = "monitor ack",
    .arguments = "--monitor unix:PATH [--comment TEXT] [--json] ID...",
    .summary = "say that somebody is at it: no more reminders",
    .text = "Through the monitor's control socket only. The alert stays until it is resolved.\n",
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .run = run_ack,
};

const struct command monitor_resolve_command = {
    .name = "monitor resolve",
    .arguments = "--monitor unix:PATH [--comment TEXT] [--json] ID...",
    .summary = "close an alert: if it is found again it is a new one",
    .text =
        "Through the monitor's control socket only. The evidence is kept, and the same evidence\n"
        "does not open the alert again: new evidence does.\n",
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .run = run_resolve,
};

/* -- evidence -- */

static int fetch(struct rpc_monitor *monitor, const struct output *output, const struct hash *id,
                 const char *path)
{
    struct buf file = BUF_INIT(RPC_MONITOR_EVIDENCE_BYTES_MAX);
    struct err err;
    enum err_code rc = rpc_monitor_get_evidence(monitor, id, MONITOR_CALL_TIMEOUT_MS, &file, &err);
    if (rc == E_OK && path != NULL) {
        rc = file_create(path, EVIDENCE_MODE, buf_span(&file), &err);
    } else if (rc == E_OK) {
        fwrite(file.data, 1, file.len, stdout);
    }
    buf_clear(&file);
    return rc == E_OK ? OUTPUT_DONE : output_failed(output, &err);
}

static int run_evidence(int argc, char **argv)
{
    struct monitor_options options = { 0 };
    const char *path = NULL;
    const struct command_option table[] = {
        MONITOR_OPTIONS(&options),
        { .name = "out",
          .argument = "FILE",
          .help = "write it there instead of stdout; never overwrites",
          .text = &path },
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &monitor_evidence_command, table, COMMAND_COUNT(table), argc, argv,
                       &code)) {
        return code;
    }
    struct hash id;
    struct err err;
    if (hex_decode(id.bytes, sizeof id.bytes, span_of_str(line.operands[0]), &err) != E_OK) {
        return command_usage_error(&monitor_evidence_command,
                                   "the id of evidence is 64 hex digits: see monitor alerts");
    }
    struct rpc_monitor *monitor = NULL;
    code = monitor_open(&monitor, &options, &monitor_evidence_command);
    if (code == OUTPUT_DONE) {
        code = fetch(monitor, &options.output, &id, path);
        rpc_monitor_close(monitor);
    }
    return code;
}

const struct command monitor_evidence_command = {
    .name = "monitor evidence",
    .arguments = "[--monitor MONITOR] [--out FILE] ID",
    .summary = "fetch an evidence file, for courtroll verify-evidence",
    .text = "ID is the SHA-256 of the file, as `monitor alerts` prints it; what comes is checked\n"
            "against it.\n",
    .operands_min = 1,
    .operands_max = 1,
    .run = run_evidence,
};
