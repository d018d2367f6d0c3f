/* submitter.c -- `courtroll submitter`: who may log operations is itself on the log. */
#include "cli/submitter.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "tlog/merkle.h"

#include <inttypes.h>
#include <time.h>

enum {
    TIMEOUT_MS = 30 * 1000
};

static const struct command *const words[] = {
    &submitter_register_command,
    &submitter_end_command,
};

static int run(int argc, char **argv)
{
    return command_run_word(&submitter_command, words, COMMAND_COUNT(words), argc, argv);
}

uint64_t submitter_minute(void)
{
    return (uint64_t)time(NULL) / 60;
}

int submitter_check_log(struct submitter_call *call, const struct command *command)
{
    struct err err;
    if (log_address_parse(&call->address, call->log_text, &err) != E_OK) {
        return command_usage_error(command, "--log: %s", err.msg);
    }
    if (call->address.kind != LOG_ADDRESS_GRPC) {
        return command_usage_error(command, "this is done over gRPC: give --log as HOST:PORT");
    }
    return OUTPUT_DONE;
}

/* The record is bound to the origin by its signature, so that a log that lies about it gains nothing. */
static enum err_code find_origin(struct submitter_call *call, struct err *err)
{
    struct rpc_log_status *status = NEW(struct rpc_log_status);
    enum err_code rc = rpc_log_get_status(call->log, TIMEOUT_MS, status, err);
    if (rc == E_OK && call->origin_text != NULL && strcmp(call->origin_text, status->origin) != 0) {
        rc = err_set(err, E_DENIED, "the log has another origin than %s", call->origin_text);
    }
    if (rc == E_OK) {
        memcpy(call->origin, status->origin, sizeof call->origin);
    }
    mem_free(status);
    return rc;
}

static enum err_code open_log(struct submitter_call *call, struct err *err)
{
    const struct rpc_client_config config = { .target = call->address.target,
                                              .tls_ca_path = call->address.tls_ca_path,
                                              .tls_cert_path = call->address.tls_cert_path,
                                              .tls_key_path = call->address.tls_key_path };
    enum err_code rc = rpc_log_open(&call->log, &config, TIMEOUT_MS, err);
    return rc == E_OK ? find_origin(call, err) : rc;
}

static void print(const struct submitter_call *call, const struct operation *operation,
                  const struct rpc_log_appended *appended)
{
    struct buf leaf = BUF_INIT(2 * HASH_BYTES + 1);
    hex_put(&leaf, hash_span(&appended->leaf_hash));
    if (call->output.is_json) {
        output_json(json_pack("{s:I, s:s, s:o}", "index", (json_int_t)appended->index, "leaf_hash",
                              buf_c_str(&leaf), "submitter",
                              output_json_hex(SPAN_OF_ARRAY(operation->submitter.bytes))));
    } else {
        printf("%" PRIu64 " %s\n", appended->index, buf_c_str(&leaf));
    }
    buf_clear(&leaf);
}

static enum err_code append(struct submitter_call *call, const struct operation *operation,
                            struct span entry, struct err *err)
{
    const struct rpc_log_append request = { .entries = &entry, .entry_count = 1 };
    struct rpc_log_append_reply reply;
    if (rpc_log_append(call->log, &request, TIMEOUT_MS, &reply, err) != E_OK) {
        return err->code;
    }
    struct hash leaf = merkle_leaf_hash(entry);
    enum err_code rc = E_OK;
    if (!hash_is_equal(&leaf, &reply.entries[0].leaf_hash)) {
        rc = err_set(err, E_BAD_PROOF, "the log acknowledged other bytes");
    } else {
        print(call, operation, &reply.entries[0]);
    }
    rpc_log_append_reply_clear(&reply);
    return rc;
}

static enum err_code sign_and_append(struct submitter_call *call, struct operation *operation,
                                     const struct signing_key *key, struct err *err)
{
    struct buf entry = BUF_INIT(OPERATION_BYTES_MAX);
    enum err_code rc = open_log(call, err);
    if (rc == E_OK) {
        rc = key == NULL ? operation_put(&entry, operation, err)
                         : operation_put_signed(&entry, operation, call->origin, key, err);
    }
    if (rc == E_OK) {
        rc = append(call, operation, buf_span(&entry), err);
    }
    buf_clear(&entry);
    rpc_log_close(call->log);
    call->log = NULL;
    return rc;
}

int submitter_log(struct submitter_call *call, struct operation *operation,
                  const struct signing_key *key)
{
    struct err err;
    enum err_code rc = sign_and_append(call, operation, key, &err);
    if (rc == E_OK) {
        return OUTPUT_DONE;
    }
    output_error(&call->output, &err);
    if (rc == E_BAD_PROOF) {
        return OUTPUT_VERDICT;
    }
    return rc == E_IO || rc == E_TIMEOUT ? OUTPUT_IO : OUTPUT_REFUSED;
}

const struct command submitter_command = {
    .name = "submitter",
    .arguments = "register|end ...",
    .summary = "register a submitter's key on a log of operations",
    .text = "register   logs the key, with its name, courts and roles; signed by that key\n"
            "end        ends a registration: records by that key are refused from then on\n"
            "\n"
            "A log with schema = operation takes records by keys that are registered on the log\n"
            "itself, where everyone can see them, and enabled in its submitters file.\n",
    .examples =
        "  courtroll submitter register --log localhost:6963 --key court.key --roles enforcement\n"
        "  courtroll submitter end --log localhost:6963 --key court.key\n",
    .run = run,
};
