/* cosign.c -- `courtroll cosign`: a command whose first argument is one of three words. */
#include "cli/cosign.h"

static const struct command *const words[] = {
    &cosign_export_command,
    &cosign_sign_command,
    &cosign_import_command,
};

static int run(int argc, char **argv)
{
    return command_run_word(&cosign_command, words, COMMAND_COUNT(words), argc, argv);
}

int cosign_parse_log(struct log_address *out, const char *text, const struct command *command)
{
    struct err err;
    if (log_address_parse(out, text, &err) != E_OK) {
        return command_usage_error(command, "--log: %s", err.msg);
    }
    if (out->kind != LOG_ADDRESS_GRPC) {
        return command_usage_error(command, "this is done over gRPC: give --log as HOST:PORT");
    }
    return OUTPUT_DONE;
}

enum err_code cosign_open_log(struct rpc_log **out, const struct log_address *address,
                              struct err *err)
{
    const struct rpc_client_config config = { .target = address->target,
                                              .tls_ca_path = address->tls_ca_path,
                                              .tls_cert_path = address->tls_cert_path,
                                              .tls_key_path = address->tls_key_path };
    return rpc_log_open(out, &config, COSIGN_CALL_TIMEOUT_MS, err);
}

const struct command cosign_command = {
    .name = "cosign",
    .arguments = "export|sign|import ...",
    .summary = "carry checkpoints to a witness without a network, as files",
    .text = "export   on the log's side: the newest checkpoint with proofs, as a file\n"
            "sign     on the witness's side: hands such files to the running witness\n"
            "import   on the log's side: gives the cosignatures that came back to the log\n"
            "\n"
            "Files may come late, twice, or in any order: a witness never signs a smaller tree\n"
            "after a larger one, and the log takes every cosignature on a size it exported.\n",
    .examples =
        "  courtroll cosign export --log localhost:6963 --policy P --out cp.cosign-request \\\n"
        "      --history exported\n"
        "  courtroll cosign sign --witness http://localhost:6972 --out-dir back *.cosign-request\n"
        "  courtroll cosign import --log localhost:6963 --policy P back/*.cosignature\n",
    .run = run,
};
