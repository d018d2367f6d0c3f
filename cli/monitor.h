/* monitor.h -- what the words of `courtroll monitor` share: a running monitor, asked over gRPC. Main thread. */
#ifndef CLI_MONITOR_H
#define CLI_MONITOR_H

#include "cli/command.h"
#include "client/log_address.h"
#include "client/rpc_monitor.h"

extern const struct command monitor_status_command, monitor_alerts_command, monitor_watch_command,
    monitor_ack_command, monitor_resolve_command, monitor_evidence_command, monitor_check_command,
    monitor_self_test_command;

enum {
    MONITOR_CALL_TIMEOUT_MS = 30 * 1000
};

/* Where the monitor is, as options give it. */
struct monitor_options {
    const char *monitor; /* HOST:PORT or unix:PATH */
    struct log_address address;
    struct output output;
};
#define MONITOR_OPTIONS(options)                                                                   \
    { .name = "monitor",                                                                           \
      .argument = "MONITOR",                                                                       \
      .help = "HOST:PORT of the monitor's gRPC service, or unix:PATH of its control\n"             \
              "socket [127.0.0.1:6983]",                                                           \
      .text = &(options)->monitor },                                                               \
        COMMAND_OPTIONS_TLS(&(options)->address), COMMAND_OPTION_JSON(&(options)->output)
enum {
    MONITOR_OPTION_COUNT = 5
};

/* Connects. OUTPUT_DONE, or an exit code: what was wrong has been said. */
int monitor_open(struct rpc_monitor **out, struct monitor_options *options,
                 const struct command *command);

/* For an alert on the terminal, and in JSON. */
void monitor_print_alert(const struct rpc_monitor_alert *alert);
json_t *monitor_alert_json(const struct rpc_monitor_alert *alert);

/* A peer's text in a JSON object. */
void monitor_json_text(json_t *object, const char *key, const char *text);
void monitor_json_count(json_t *object, const char *key, uint64_t value);

#endif
