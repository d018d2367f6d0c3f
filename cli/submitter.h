/* submitter.h -- what the words of `courtroll submitter` share. Main thread. */
#ifndef CLI_SUBMITTER_H
#define CLI_SUBMITTER_H

#include "cli/command.h"
#include "client/log_address.h"
#include "client/rpc_log.h"
#include "record/operation.h"

extern const struct command submitter_register_command, submitter_end_command;

/* A log that takes operations, and who tells it what. */
struct submitter_call {
    struct output output;
    const char *log_text;
    const char *origin_text; /* NULL: as the log says */
    struct log_address address;
    struct rpc_log *log;
    char origin[RPC_LOG_TEXT_MAX];
};

#define SUBMITTER_OPTIONS(call)                                                                    \
    { .name = "log",                                                                               \
      .argument = "LOG",                                                                           \
      .help = "HOST:PORT or unix:PATH",                                                            \
      .text = &(call)->log_text,                                                                   \
      .is_required = true },                                                                       \
        { .name = "origin",                                                                        \
          .argument = "ORIGIN",                                                                    \
          .help = "what the log must be; otherwise it is asked",                                   \
          .text = &(call)->origin_text },                                                          \
        COMMAND_OPTIONS_TLS(&(call)->address), COMMAND_OPTION_JSON(&(call)->output)

/* OUTPUT_DONE, or a usage error of `command`. */
int submitter_check_log(struct submitter_call *call, const struct command *command);

/* Connects, signs with the key (NULL: vouched), appends, and prints "index leaf-hash", or what went wrong; the exit
 * code. */
int submitter_log(struct submitter_call *call, struct operation *operation,
                  const struct signing_key *key);

/* Minutes since 1970. */
uint64_t submitter_minute(void);

#endif
