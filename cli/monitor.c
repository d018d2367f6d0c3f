/* monitor.c -- `courtroll monitor`: asks a running monitor, and answers its alerts. */
#include "cli/monitor.h"

#include <stdlib.h>

static const struct command *const words[] = {
    &monitor_status_command, &monitor_alerts_command,    &monitor_watch_command,
    &monitor_ack_command,    &monitor_resolve_command,   &monitor_evidence_command,
    &monitor_check_command,  &monitor_self_test_command,
};

static int run(int argc, char **argv)
{
    return command_run_word(&monitor_command, words, COMMAND_COUNT(words), argc, argv);
}

int monitor_open(struct rpc_monitor **out, struct monitor_options *options,
                 const struct command *command)
{
    struct err err;
    const char *text = options->monitor != NULL ? options->monitor : "127.0.0.1:6983";
    if (log_address_parse(&options->address, text, &err) != E_OK) {
        return command_usage_error(command, "--monitor: %s", err.msg);
    }
    if (options->address.kind != LOG_ADDRESS_GRPC) {
        return command_usage_error(
            command, "this is done over gRPC: give --monitor as HOST:PORT or unix:PATH");
    }
    const struct rpc_client_config config = { .target = options->address.target,
                                              .tls_ca_path = options->address.tls_ca_path,
                                              .tls_cert_path = options->address.tls_cert_path,
                                              .tls_key_path = options->address.tls_key_path };
    if (rpc_monitor_open(out, &config, MONITOR_CALL_TIMEOUT_MS, &err) != E_OK) {
        return output_failed(&options->output, &err);
    }
    return OUTPUT_DONE;
}

void monitor_json_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, output_json_text(span_of_str(text)));
}

void monitor_json_count(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

const struct command monitor_command = {
    .name = "monitor",
    .arguments = "status|alerts|watch|ack|resolve|evidence|check|self-test ...",
    .summary = "ask a running monitor what it has verified and what is wrong",
    .text = "A monitor re-hashes every entry of the logs it follows and compares what others were\n"
            "shown. Its word is its own; the evidence it hands out convinces anybody who has the\n"
            "policy: see courtroll verify-evidence.\n"
            "\n"
            "ack, resolve and self-test work through the monitor's control socket only:\n"
            "--monitor unix:DATA-DIR/control.sock.\n",
    .examples = "  courtroll monitor status --monitor 127.0.0.1:6983\n"
                "  courtroll monitor alerts --monitor 127.0.0.1:6983 --all\n"
                "  courtroll monitor ack --monitor unix:state/control.sock \\\n"
                "      --comment 'called the court, 10:40' 2b1f...\n"
                "  courtroll monitor check --monitor 127.0.0.1:6983 receipt.tlog-proof\n",
    .run = run,
};
