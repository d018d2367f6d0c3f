/* append.c -- `courtroll append`: entries in, "index leaf-hash" out.
 *
 * The normal path is: read as many entries as one call takes, send them, check what comes back, print
 * it, and so on. What is printed was acknowledged, also when a later call fails.
 */
#include "base/ascii.h"
#include "base/file.h"
#include "cli/append_input.h"
#include "cli/command.h"
#include "cli/http_add.h"
#include "cli/receipt_wait.h"
#include "client/log_address.h"
#include "tlog/promise.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    CONNECT_TIMEOUT_MS = 10 * 1000,
    CALL_TIMEOUT_MS = 60 * 1000,
    TIMEOUT_S_MAX = 24 * 60 * 60,
    ANSWER_MS =
        1000, /* more than --timeout: for the log to say that it was not witnessed in time */
    PATH_BYTES_MAX = 4096,
};

struct append {
    struct output output;
    const char *log_text;
    const char *policy_path;
    const char *wait;
    const char *promise_dir;
    const char *proof_dir;
    const char *certificates;
    uint64_t first_entry;
    uint64_t timeout_s; /* for an entry to be witnessed */
    bool is_lines, is_framed;
    struct rpc_client_config to;

    struct log_address address;
    struct policy *policy;      /* owned */
    struct receipt_check check; /* by that policy */
    struct rpc_log *log;        /* owned */
    bool is_witnessed;          /* that is asked for */
    bool is_short;              /* an entry is durable, but not witnessed in time */
    struct append_input input;
    json_t *rows; /* with --json; owned */
};

/* ---- results ---- */

/* An entry that is acknowledged; take_receipt says later when it is witnessed too. */
static void print_entry(struct append *append, const struct rpc_log_appended *entry)
{
    struct buf hex = BUF_INIT(2 * HASH_BYTES);
    hex_put(&hex, hash_span(&entry->leaf_hash));
    if (!append->output.is_json) {
        printf("%" PRIu64 " %.*s\n", entry->index, (int)hex.len, (const char *)hex.data);
    } else {
        json_array_append_new(append->rows,
                              json_pack("{s:I, s:o, s:b, s:b}", "index", (json_int_t)entry->index,
                                        "leaf_hash", output_json_hex(hash_span(&entry->leaf_hash)),
                                        "duplicate", (int)entry->is_duplicate, "witnessed", 0));
    }
    buf_clear(&hex);
}

static enum err_code write_in(const char *directory, uint64_t index, const char *suffix,
                              struct span bytes, struct err *err)
{
    char path[PATH_BYTES_MAX];
    int len = snprintf(path, sizeof path, "%s/%" PRIu64 "%s", directory, index, suffix);
    if (len < 0 || (size_t)len >= sizeof path) {
        return err_set(err, E_IO, "%s: too long a path", directory);
    }
    if (file_replace(path, 0644, bytes, err) != E_OK) {
        return err_wrap(err, "%s", path);
    }
    return E_OK;
}

/* A leaf hash other than ours means that the log has logged something else. */
static enum err_code take_entry(struct append *append, struct span bytes,
                                const struct rpc_log_appended *entry, struct err *err)
{
    struct hash expected = merkle_leaf_hash(bytes);
    if (!hash_is_equal(&expected, &entry->leaf_hash)) {
        return err_set(err, E_BAD_PROOF, "entry %" PRIu64 ": the log acknowledged other bytes",
                       entry->index);
    }
    print_entry(append, entry);
    return E_OK;
}

/* ---- gRPC ---- */

static void warn_short(struct append *append, uint64_t index, struct span reason)
{
    char *text = output_clean(reason);
    output_warning("entry %" PRIu64 " is durable, but not witnessed: %s", index, text);
    free(text);
    append->is_short = true;
}

/* The receipt that came with the reply, if it is good enough for our policy, else one that the log
 * gives later. A receipt is taken at nobody's word: one that does not verify ends the command. */
static enum err_code find_receipt(struct append *append, const struct rpc_log_appended *entry,
                                  uint64_t until_ns, struct buf *receipt, struct err *err)
{
    const struct policy_verdict *verdict = NULL;
    if (entry->proof.len > 0) {
        if (receipt_check(&append->check, entry->proof, entry->index, &entry->leaf_hash, &verdict,
                          err) != E_OK) {
            return err->code;
        }
        if (verdict->is_met) {
            return buf_append(receipt, entry->proof, err);
        }
    }
    return receipt_wait(append->log, &append->check, entry->index, &entry->leaf_hash, until_ns,
                        receipt, err);
}

/* `row` is the entry's, with --json. */
static enum err_code take_receipt(struct append *append, const struct rpc_log_appended *entry,
                                  uint64_t until_ns, json_t *row, struct err *err)
{
    struct buf receipt = BUF_INIT(PROOF_FILE_BYTES_MAX);
    enum err_code rc = find_receipt(append, entry, until_ns, &receipt, err);
    if (rc == E_OK && append->proof_dir != NULL) {
        rc = write_in(append->proof_dir, entry->index, ".tlog-proof", buf_span(&receipt), err);
    } else if (rc == E_TIMEOUT) {
        warn_short(append, entry->index, span_of_str(err->msg));
        rc = E_OK;
        row = NULL;
    } else if (rc != E_OK) {
        rc = err_wrap(err, "the log's receipt for entry %" PRIu64, entry->index);
    }
    if (rc == E_OK && row != NULL) {
        json_object_set_new(row, "witnessed", json_true());
    }
    buf_clear(&receipt);
    return rc;
}

/* Does the promise say what the reply says? Its signature is for whoever has the promise key's vkey
 * to check; a promise about other entries would be worthless in any case. */
static enum err_code check_promise(const struct rpc_log_append_reply *reply, struct err *err)
{
    struct note note;
    struct promise promise;
    if (note_parse(&note, reply->promise, err) != E_OK) {
        return err->code;
    }
    enum err_code rc = promise_parse(&promise, note.text, err);
    note_clear(&note);
    if (rc != E_OK) {
        return rc;
    }
    bool is_same = promise.count == reply->entry_count;
    for (size_t i = 0; is_same && i < promise.count; i++) {
        is_same = promise.items[i].index == reply->entries[i].index &&
                  hash_is_equal(&promise.items[i].leaf, &reply->entries[i].leaf_hash);
    }
    return is_same ? E_OK : err_set(err, E_BAD_PROOF, "it is about other entries");
}

static enum err_code take_promise(struct append *append, const struct rpc_log_append_reply *reply,
                                  struct err *err)
{
    if (reply->promise.len == 0) {
        return err_set(err, E_UNSUPPORTED, "the log gives no promises");
    }
    if (check_promise(reply, err) != E_OK) {
        return err_wrap(err, "the log's promise");
    }
    return write_in(append->promise_dir, reply->entries[0].index, ".promise", reply->promise, err);
}

/* All entries are printed, as acknowledged, before anything is waited for. */
static enum err_code take_reply(struct append *append, const struct rpc_log_append_reply *reply,
                                uint64_t until_ns, struct err *err)
{
    enum err_code rc = E_OK;
    size_t first_row = json_array_size(append->rows);
    for (size_t i = 0; rc == E_OK && i < reply->entry_count; i++) {
        rc = take_entry(append, append->input.entries[i], &reply->entries[i], err);
    }
    fflush(stdout);
    if (rc == E_OK && append->promise_dir != NULL) {
        rc = take_promise(append, reply, err);
    }
    for (size_t i = 0; rc == E_OK && append->is_witnessed && i < reply->entry_count; i++) {
        json_t *row = json_array_get(append->rows, first_row + i);
        rc = take_receipt(append, &reply->entries[i], until_ns, row, err);
    }
    if (rc == E_OK && append->is_short && reply->reason.len > 0) {
        char *text = output_clean(reply->reason);
        output_warning("the log says: %s", text);
        free(text);
    }
    return rc;
}

static enum err_code append_call(struct append *append, size_t count, struct err *err)
{
    const struct rpc_log_append request = { .entries = append->input.entries,
                                            .entry_count = count,
                                            .certificates = append->certificates != NULL
                                                                ? append->input.certificates
                                                                : NULL,
                                            .wants_witnessed = append->is_witnessed,
                                            .wants_promise = append->promise_dir != NULL };
    uint64_t wait_ms = 1000 * append->timeout_s;
    uint64_t until_ns = output_now_ns() + wait_ms * 1000000;
    uint32_t timeout_ms =
        append->is_witnessed ? (uint32_t)(wait_ms + ANSWER_MS) : (uint32_t)CALL_TIMEOUT_MS;
    struct rpc_log_append_reply reply;
    if (rpc_log_append(append->log, &request, timeout_ms, &reply, err) != E_OK) {
        uint64_t first = append->input.taken - count + 1;
        return first > 1 ? err_wrap(err, "the call from entry %" PRIu64 " of all on", first)
                         : err->code;
    }
    enum err_code rc = take_reply(append, &reply, until_ns, err);
    rpc_log_append_reply_clear(&reply);
    return rc;
}

static enum err_code append_rpc(struct append *append, struct err *err)
{
    append->to.target = append->address.target;
    if (rpc_log_open(&append->log, &append->to, CONNECT_TIMEOUT_MS, err) != E_OK) {
        return err->code;
    }
    size_t count = 0;
    enum err_code rc = E_OK;
    do {
        rc = append_input_next(&append->input, ENTRIES_PER_CALL_MAX, &count, err);
        if (rc == E_OK && count > 0) {
            rc = append_call(append, count, err);
        }
    } while (rc == E_OK && count > 0);
    rpc_log_close(append->log);
    append->log = NULL;
    return rc;
}

/* ---- HTTP ---- */

struct added {
    bool is_done;
    uint64_t index;
    enum err_code code;
    struct err err;
};

static void on_added(void *ctx, uint64_t index, const struct err *failure)
{
    struct added *added = ctx;
    added->is_done = true;
    added->index = index;
    added->code = failure != NULL ? failure->code : E_OK;
    if (failure != NULL) {
        added->err = *failure;
    }
}

static enum err_code append_http_entry(struct append *append, uv_loop_t *loop,
                                       struct http_client *client, struct err *err)
{
    struct added added = { 0 };
    struct span bytes = append->input.entries[0];
    http_add_start(client, append->address.target, bytes, &added, on_added);
    while (!added.is_done) {
        uv_run(loop, UV_RUN_ONCE);
    }
    if (added.code != E_OK) {
        *err = added.err;
        return added.code;
    }
    const struct rpc_log_appended entry = { .index = added.index,
                                            .leaf_hash = merkle_leaf_hash(bytes) };
    print_entry(append, &entry);
    fflush(stdout);
    return E_OK;
}

static void on_client_closed(void *ctx)
{
    (void)ctx;
}

static enum err_code append_http(struct append *append, struct err *err)
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    const struct http_client_options options = { .ca_file = append->to.tls_ca_path };
    struct http_client *client = http_client_new(&loop, &options);
    size_t count = 0;
    enum err_code rc = E_OK;
    do {
        rc = append_input_next(&append->input, 1, &count, err);
        if (rc == E_OK && count > 0) {
            rc = append_http_entry(append, &loop, client, err);
        }
    } while (rc == E_OK && count > 0);
    http_client_close(client, NULL, on_client_closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return rc;
}

/* ---- the command ---- */

static int check_usage(struct append *append, const struct command *command)
{
    struct err err;
    if (log_address_parse(&append->address, append->log_text, &err) != E_OK) {
        return command_usage_error(command, "--log: %s", err.msg);
    }
    bool is_wait_known = append->wait == NULL || strcmp(append->wait, "durable") == 0 ||
                         strcmp(append->wait, "witnessed") == 0;
    if (!is_wait_known) {
        return command_usage_error(command, "--wait is durable or witnessed, not %s", append->wait);
    }
    bool is_durable = append->wait != NULL && strcmp(append->wait, "durable") == 0;
    append->is_witnessed = append->wait != NULL ? !is_durable : append->proof_dir != NULL;
    if (is_durable && append->proof_dir != NULL) {
        return command_usage_error(command, "--proof-dir needs --wait witnessed");
    }
    if (append->is_witnessed && append->policy_path == NULL) {
        return command_usage_error(command, "a witnessed receipt is checked: --policy is needed");
    }
    if (append->address.kind == LOG_ADDRESS_DIRECTORY) {
        return command_usage_error(command, "a copy on disk cannot be appended to");
    }
    if (append->certificates != NULL && append->is_lines) {
        return command_usage_error(command, "--certificates are of records, which are no lines");
    }
    bool is_http = append->address.kind == LOG_ADDRESS_HTTP;
    if (is_http && append->certificates != NULL) {
        return command_usage_error(command, "certificates go over gRPC: give --log as HOST:PORT");
    }
    if (is_http && (append->is_witnessed || append->promise_dir != NULL)) {
        return command_usage_error(command,
                                   "receipts and promises come over gRPC: give --log as HOST:PORT");
    }
    return OUTPUT_DONE;
}

/* Directories are made first: to find out after the append would be too late. */
static enum err_code prepare(struct append *append, struct err *err)
{
    if (append->proof_dir != NULL && file_make_directory(append->proof_dir, 0755, err) != E_OK) {
        return err->code;
    }
    if (append->promise_dir != NULL) {
        return file_make_directory(append->promise_dir, 0755, err);
    }
    return E_OK;
}

static int append_run(struct append *append, char *const *files, size_t file_count)
{
    struct err err;
    if (append->policy_path != NULL &&
        command_read_policy(&append->policy, append->policy_path, &err) != E_OK) {
        return command_policy_failed(&append->output, &err);
    }
    receipt_check_init(&append->check, append->policy);
    append_input_init(&append->input, files, file_count, append->is_lines);
    append->input.is_framed = append->is_framed;
    append->input.first = append->first_entry;
    append->input.certificates_path = append->certificates;
    append->rows = append->output.is_json ? json_array() : NULL;
    enum err_code rc = prepare(append, &err);
    if (rc == E_OK) {
        rc = append->address.kind == LOG_ADDRESS_HTTP ? append_http(append, &err)
                                                      : append_rpc(append, &err);
    }
    int code = append->is_short ? OUTPUT_REFUSED : OUTPUT_DONE;
    if (append->output.is_json && (rc == E_OK || json_array_size(append->rows) > 0)) {
        output_json(json_pack("{s:O}", "entries", append->rows));
        append->output.is_json = false; /* one object only: an error goes to stderr */
    }
    if (rc != E_OK) {
        output_error(&append->output, &err);
        /* A bad entry, or a tag that is taken, is refused by the server; a bad answer of its is a verdict on it. */
        bool is_refused = rc == E_MALFORMED || rc == E_TOO_LARGE || rc == E_EXISTS;
        code = is_refused ? OUTPUT_REFUSED : output_exit_code(rc);
    }
    json_decref(append->rows);
    append_input_clear(&append->input);
    receipt_check_clear(&append->check);
    policy_free(append->policy);
    return code;
}

static int run(int argc, char **argv)
{
    struct append append = { .timeout_s = 30 };
    const struct command_option options[] = {
        { .name = "log",
          .argument = "LOG",
          .help = "HOST:PORT, unix:PATH, or http(s)://... of a log with http-add on",
          .text = &append.log_text,
          .is_required = true },
        { .name = "policy",
          .argument = "FILE",
          .help = "what a receipt must meet",
          .text = &append.policy_path },
        { .name = "wait",
          .argument = "WHAT",
          .help = "durable: synced at the log (the default)\n"
                  "witnessed: in a published checkpoint that meets the policy",
          .text = &append.wait },
        { .name = "timeout",
          .argument = "S",
          .help = "seconds for an entry to be witnessed [30]",
          .number = &append.timeout_s,
          .number_min = 1,
          .number_max = TIMEOUT_S_MAX },
        { .name = "proof-dir",
          .argument = "DIR",
          .help = "write each receipt to DIR/<index>.tlog-proof; implies --wait witnessed",
          .text = &append.proof_dir },
        { .name = "promise",
          .argument = "DIR",
          .help = "write the log's signed promise for each call to\n"
                  "DIR/<index of its first entry>.promise",
          .text = &append.promise_dir },
        { .name = "lines", .help = "each line is an entry", .flag = &append.is_lines },
        { .name = "framed",
          .help = "each entry has its length before it: two bytes, big-endian",
          .flag = &append.is_framed },
        { .name = "certificates",
          .argument = "DIR|FILE",
          .help = "of sealed records: of FILE the one in DIR/FILE.certificate, if it is there;\n"
                  "with --framed a file of them, framed likewise, empty for what is not sealed",
          .text = &append.certificates },
        { .name = "first-entry",
          .argument = "N",
          .help = "skip the entries before, of all that are given",
          .number = &append.first_entry,
          .number_min = 1 },
        { .name = "tls-ca",
          .argument = "FILE",
          .help = "use TLS; the authorities to trust, PEM",
          .text = &append.to.tls_ca_path },
        { .name = "tls-cert",
          .argument = "FILE",
          .help = "our certificate, PEM",
          .text = &append.to.tls_cert_path },
        { .name = "tls-key",
          .argument = "FILE",
          .help = "and its key",
          .text = &append.to.tls_key_path },
        COMMAND_OPTION_JSON(&append.output),
    };
    struct command_line line;
    int code = OUTPUT_DONE;
    if (!command_parse(&line, &append_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    if ((append.to.tls_cert_path != NULL) != (append.to.tls_key_path != NULL)) {
        return command_usage_error(&append_command, "--tls-cert and --tls-key go together");
    }
    if (append.is_lines && append.is_framed) {
        return command_usage_error(&append_command, "--lines and --framed exclude each other");
    }
    code = check_usage(&append, &append_command);
    return code != OUTPUT_DONE ? code : append_run(&append, line.operands, line.operand_count);
}

const struct command append_command = {
    .name = "append",
    .arguments = "--log LOG [--policy FILE] [--wait durable|witnessed] [--timeout S]\n"
                 "[--proof-dir DIR] [--promise DIR] [--lines|--framed]\n"
                 "[--certificates DIR|FILE] [--first-entry N] FILE...",
    .summary = "append entries to a log",
    .text =
        "Each FILE is one entry of at most 65535 bytes; with --lines each of its lines is one.\n"
        "With --framed it is a file of entries, as 'courtroll synth --records' writes it.\n"
        "A log of operations takes a sealed record only with its submitter's certificate, which\n"
        "is not logged: --certificates. 'courtroll submit' sends it by itself.\n"
        "'-' is standard input. Prints \"index leaf-hash\" for each entry, in order, once the\n"
        "log has acknowledged it. A call of up to 1000 entries succeeds or fails as a whole.\n"
        "\n"
        "With --wait witnessed each receipt is verified, and must meet the policy given here,\n"
        "whatever the log's own asks for: the log is asked again for late cosignatures until\n"
        "--timeout.\n"
        "\n"
        "Exit code 4 when the log refused, or when the entries are durable (and printed) but\n"
        "no quorum of witnesses signed in time.\n",
    .examples =
        "courtroll append --log localhost:6963 record.bin\n"
        "journalctl -o cat | courtroll append --log localhost:6963 --lines -\n"
        "courtroll append --log localhost:6963 --policy policy.txt --proof-dir . order.bin\n",
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .run = run,
};
