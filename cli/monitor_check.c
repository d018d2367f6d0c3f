/* monitor_check.c -- `courtroll monitor check` and `self-test`. */
#include "cli/monitor.h"

#include "base/ascii.h"

#include <stdlib.h>

enum {
    SELF_TEST_SECONDS = 30,
    SELF_TEST_GRACE_MS = 15 * 1000
};

static bool is_bad(const struct rpc_monitor_checked *note)
{
    return strcmp(note->result, "contradiction") == 0 || strcmp(note->result, "broken") == 0;
}

static bool is_good(const struct rpc_monitor_checked *note)
{
    return strcmp(note->result, "same") == 0 || strcmp(note->result, "consistent") == 0 ||
           strcmp(note->result, "kept") == 0;
}

static void print_note(const char *file, const struct rpc_monitor_checked *note)
{
    char *origin = output_clean(span_of_str(note->origin));
    char *detail = output_clean(span_of_str(note->detail));
    printf("%s  %s\n", note->result, file);
    printf("  %-10s %s, size %s; verified here: %s\n", "log", origin, output_count(note->size).text,
           output_count(note->held_size).text);
    if (detail[0] != '\0') {
        printf("  %-10s %s\n", "detail", detail);
    }
    if (note->has_evidence) {
        struct buf hex = BUF_INIT(2 * HASH_BYTES + 1);
        hex_put(&hex, hash_span(&note->evidence));
        printf("  %-10s %s\n", "evidence", buf_c_str(&hex));
        buf_clear(&hex);
    }
    free(origin);
    free(detail);
}

static json_t *note_json(const char *file, const struct rpc_monitor_checked *note)
{
    json_t *object = json_object();
    monitor_json_text(object, "file", file);
    monitor_json_text(object, "result", note->result);
    monitor_json_text(object, "origin", note->origin);
    monitor_json_count(object, "size", note->size);
    monitor_json_count(object, "held_size", note->held_size);
    json_object_set_new(object, "quorum_met", json_boolean(note->is_quorum_met));
    monitor_json_text(object, "detail", note->detail);
    json_object_set_new(object, "evidence",
                        note->has_evidence ? output_json_hex(hash_span(&note->evidence))
                                           : json_null());
    return object;
}

/* What could not be checked is said, and the next file is looked at. */
static int say_failed(const char *path, json_t *array, struct err *err)
{
    err_wrap(err, "%s", path);
    const struct output people = { .is_json = false };
    output_error(&people, err);
    if (array != NULL) {
        json_t *object = json_object();
        monitor_json_text(object, "file", path);
        monitor_json_text(object, "error", err->msg);
        json_array_append_new(array, object);
    }
    return output_exit_code(err->code);
}

/* What was found so far as an exit code: that a note does not fit counts more than a file that cannot be read. */
static int check_file(struct rpc_monitor *monitor, const char *path, json_t *array, int code)
{
    struct err error, *err = &error;
    struct buf file = BUF_INIT(RPC_MONITOR_FILE_BYTES_MAX);
    struct rpc_monitor_check check;
    enum err_code rc = command_read_file(&file, path, err);
    if (rc == E_OK) {
        rc = rpc_monitor_check_note(monitor, buf_span(&file), MONITOR_CALL_TIMEOUT_MS, &check, err);
    }
    buf_clear(&file);
    if (rc != E_OK) {
        int failed = say_failed(path, array, err);
        return code == OUTPUT_DONE ? failed : code;
    }
    for (size_t i = 0; i < check.count; i++) {
        if (array != NULL) {
            json_array_append_new(array, note_json(path, &check.notes[i]));
        } else {
            print_note(path, &check.notes[i]);
        }
        code = is_good(&check.notes[i]) ? code : OUTPUT_VERDICT;
        if (is_bad(&check.notes[i]) && array == NULL) {
            printf("  %-10s fetch it with `courtroll monitor evidence` and keep it\n", "do");
        }
    }
    rpc_monitor_check_clear(&check);
    return code;
}

static int run_check(int argc, char **argv)
{
    struct monitor_options options = { 0 };
    const struct command_option table[] = { MONITOR_OPTIONS(&options) };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &monitor_check_command, table, COMMAND_COUNT(table), argc, argv,
                       &code)) {
        return code;
    }
    struct rpc_monitor *monitor = NULL;
    code = monitor_open(&monitor, &options, &monitor_check_command);
    if (code != OUTPUT_DONE) {
        return code;
    }
    json_t *array = options.output.is_json ? json_array() : NULL;
    for (size_t i = 0; i < line.operand_count; i++) {
        code = check_file(monitor, line.operands[i], array, code);
    }
    if (array != NULL) {
        json_t *object = json_object();
        json_object_set(object, "notes", array);
        output_json(object);
    }
    json_decref(array);
    rpc_monitor_close(monitor);
    return code;
}

const struct command monitor_check_command = {
    .name = "monitor check",
    .arguments = "[--monitor MONITOR] [--json] FILE...",
    .summary = "compare notes, receipts or promises with what the monitor has hashed",
    .text =
        "FILE is a checkpoint note, a receipt (.tlog-proof), a promise, evidence, or a cosign\n"
        "file; - is stdin. The first word of each answer:\n"
        "  same, consistent, kept   it fits the log that the monitor has hashed\n"
        "  contradiction, broken    it does not: the log has shown two histories or broken its\n"
        "                           promise; the evidence is kept and an alert is open\n"
        "  ahead, open              larger than what is verified: compared later\n"
        "  no-data, nothing-held    it cannot be compared now; not-looked-at: older than the\n"
        "                           checkpoint that the monitor was told to trust\n"
        "  unknown-log, bad-signature, malformed   it is no note of a log that is followed\n"
        "Exit code 0 if all fit, 1 otherwise.\n",
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .run = run_check,
};

/* -- self-test -- */

static void print_drill(const struct rpc_monitor_drill *drill)
{
    if (drill->error[0] != '\0') {
        char *error = output_clean(span_of_str(drill->error));
        printf("the drill could not be held: %s\n", error);
        free(error);
    }
    printf("forged fork: %s\n", drill->is_fork_found ? "found" : "NOT FOUND");
    printf("its evidence: %s\n", drill->is_evidence_good ? "verifies" : "DOES NOT VERIFY");
    printf("alert: %s\n", drill->alert_id);
    for (size_t i = 0; i < drill->sink_count; i++) {
        char *name = output_clean(span_of_str(drill->sinks[i].name));
        char *error = output_clean(span_of_str(drill->sinks[i].error));
        printf("%s: %s%s%s\n", name, drill->sinks[i].is_told ? "told" : "NOT TOLD",
               error[0] != '\0' ? ": " : "", error);
        free(name);
        free(error);
    }
    if (drill->sink_count == 0) {
        printf("no sink is configured: nobody is told\n");
    }
}

static void print_drill_json(const struct rpc_monitor_drill *drill)
{
    json_t *object = json_object();
    json_t *sinks = json_array();
    json_object_set_new(object, "fork_found", json_boolean(drill->is_fork_found));
    json_object_set_new(object, "evidence_good", json_boolean(drill->is_evidence_good));
    monitor_json_text(object, "alert", drill->alert_id);
    monitor_json_text(object, "error", drill->error);
    for (size_t i = 0; i < drill->sink_count; i++) {
        json_t *sink = json_object();
        monitor_json_text(sink, "sink", drill->sinks[i].name);
        json_object_set_new(sink, "told", json_boolean(drill->sinks[i].is_told));
        monitor_json_text(sink, "error", drill->sinks[i].error);
        json_array_append_new(sinks, sink);
    }
    json_object_set_new(object, "sinks", sinks);
    output_json(object);
}

static bool is_passed(const struct rpc_monitor_drill *drill)
{
    bool is_good = drill->is_fork_found && drill->is_evidence_good && drill->error[0] == '\0';
    for (size_t i = 0; i < drill->sink_count; i++) {
        is_good = is_good && drill->sinks[i].is_told;
    }
    return is_good;
}

static int run_self_test(int argc, char **argv)
{
    struct monitor_options options = { 0 };
    uint64_t seconds = SELF_TEST_SECONDS;
    const struct command_option table[] = {
        MONITOR_OPTIONS(&options),
        { .name = "timeout",
          .argument = "SECONDS",
          .help = "how long each sink has to take the alert [30]",
          .number = &seconds,
          .number_min = 1,
          .number_max = 300 },
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &monitor_self_test_command, table, COMMAND_COUNT(table), argc, argv,
                       &code)) {
        return code;
    }
    struct rpc_monitor *monitor = NULL;
    struct rpc_monitor_drill drill;
    struct err err;
    code = monitor_open(&monitor, &options, &monitor_self_test_command);
    if (code != OUTPUT_DONE) {
        return code;
    }
    if (rpc_monitor_self_test(monitor, seconds * 1000,
                              (uint32_t)(seconds * 1000) + SELF_TEST_GRACE_MS, &drill,
                              &err) != E_OK) {
        code = output_failed(&options.output, &err);
    } else {
        (options.output.is_json ? print_drill_json : print_drill)(&drill);
        code = is_passed(&drill) ? OUTPUT_DONE : OUTPUT_VERDICT;
        rpc_monitor_drill_clear(&drill);
    }
    rpc_monitor_close(monitor);
    return code;
}

const struct command monitor_self_test_command = {
    .name = "monitor self-test",
    .arguments = "--monitor unix:PATH [--timeout SECONDS] [--json]",
    .summary = "a drill: a forged fork is to be found, and every sink to be told",
    .text =
        "A log made for the drill, with a key of its own, shows two histories to the very code\n"
        "that follows real logs. The alert is marked as a drill, goes to every sink, and is\n"
        "resolved afterwards. Through the monitor's control socket only.\n"
        "Exit code 0: found, proved, and everybody was told; 1: not so.\n",
    .run = run_self_test,
};
