/* cosign.h -- what the three words of `courtroll cosign` share: checkpoints carried to a witness as
 * files, and its cosignatures carried back. Main thread.
 */
#ifndef CLI_COSIGN_H
#define CLI_COSIGN_H

#include "cli/command.h"
#include "client/log_address.h"
#include "client/rpc_log.h"

extern const struct command cosign_export_command, cosign_sign_command, cosign_import_command;

enum {
    COSIGN_CALL_TIMEOUT_MS = 30 * 1000
};

/* For --log: OUTPUT_DONE, or a usage error of `command`. */
int cosign_parse_log(struct log_address *out, const char *text, const struct command *command);

/* Connects to such a log. */
MUST_USE enum err_code cosign_open_log(struct rpc_log **out, const struct log_address *address,
                                       struct err *err);

#endif
