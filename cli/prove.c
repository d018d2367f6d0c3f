#include "base/file.h"
#include "cli/command.h"
#include "cli/verdict.h"
#include "client/log_fetch.h"
#include "tlog/receipt.h"

#include <stdio.h>

struct prove {
    struct output output;
    struct log_address address;
    struct policy *policy;
    struct log_fetch_entry entry;
    const char *out;
};

static void on_progress(void *ctx, uint64_t entries)
{
    output_progress_set(ctx, entries);
}

static void print_done(const struct prove *prove, const struct policy_verdict *checkpoint,
                       enum verdict verdict)
{
    if (!prove->output.is_json) {
        printf("%s\n  %-14s%ju\n  %-14s%s\n", verdict_text(verdict, prove->policy), "index",
               (uintmax_t)prove->entry.index, "proof", prove->out);
        verdict_print_checkpoint(prove->policy, checkpoint);
        return;
    }
    json_t *object = verdict_json(verdict, prove->policy);
    json_object_set_new(object, "index", json_integer((json_int_t)prove->entry.index));
    json_object_set_new(object, "leaf_hash", output_json_hex(hash_span(&prove->entry.leaf)));
    json_object_set_new(object, "proof", output_json_text(span_of_str(prove->out)));
    verdict_put_checkpoint(object, prove->policy, checkpoint);
    output_json(object);
}

static int not_found(const struct prove *prove, const struct err *err)
{
    if (prove->output.is_json) {
        json_t *object = json_object();
        json_object_set_new(object, "verdict", json_string("NOT FOUND"));
        json_object_set_new(object, "ok", json_false());
        json_object_set_new(object, "detail", output_json_text(span_of_str(err->msg)));
        output_json(object);
    } else {
        printf("NOT FOUND\n  %-14s%s\n", "because", err->msg);
    }
    return OUTPUT_VERDICT;
}

/* The checkpoint is verified, and has its quorum. */
static int write_proof(struct prove *prove, struct span note,
                       const struct policy_verdict *checkpoint)
{
    struct output_progress progress;
    struct proof proof;
    struct err err;
    uint64_t size = checkpoint->checkpoint.size;
    output_progress_begin(&progress, "searched", "entries", size);
    enum err_code rc = log_fetch_proof(&prove->address, size, &checkpoint->checkpoint.root,
                                       &prove->entry, &proof, on_progress, &progress, &err);
    output_progress_end(&progress);
    if (rc == E_NOT_FOUND) {
        return not_found(prove, &err);
    }
    if (rc != E_OK) {
        return output_failed(&prove->output, &err);
    }
    struct buf receipt = BUF_INIT(PROOF_FILE_BYTES_MAX);
    receipt_put(&receipt, prove->entry.index, &proof, note);
    rc = file_replace(prove->out, 0644, buf_span(&receipt), &err);
    buf_clear(&receipt);
    if (rc != E_OK) {
        return output_failed(&prove->output, &err);
    }
    print_done(prove, checkpoint, VERDICT_PASS);
    return OUTPUT_DONE;
}

static int prove_entry(struct prove *prove)
{
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    struct policy_verdict checkpoint;
    struct err err;
    int code = 0;
    if (log_fetch_checkpoint(&prove->address, &note, &err) != E_OK) {
        code = output_failed(&prove->output, &err);
        goto out;
    }
    enum err_code rc = policy_open_checkpoint(prove->policy, &checkpoint, buf_span(&note), &err);
    enum verdict verdict = verdict_of(rc, &checkpoint);
    if (rc == E_OK && verdict != VERDICT_PASS) {
        err_set(&err, E_BAD_SIGNATURE, "the log's checkpoint lacks cosignatures: no proof written");
    }
    code = verdict == VERDICT_PASS ? write_proof(prove, buf_span(&note), &checkpoint)
                                   : verdict_fail(&prove->output, verdict, prove->policy, &err);
out:
    buf_clear(&note);
    return code;
}

static int read_inputs(struct prove *prove, const char *log, const char *policy_path,
                       const char *entry_path)
{
    struct err err;
    if (log_address_parse(&prove->address, log, &err) != E_OK) {
        return command_usage_error(&prove_command, "--log: %s", err.msg);
    }
    if (entry_path != NULL) {
        struct buf entry = BUF_INIT(ENTRY_BYTES_MAX);
        enum err_code rc = command_read_file(&entry, entry_path, &err);
        prove->entry.has_leaf = true;
        prove->entry.leaf = merkle_leaf_hash(buf_span(&entry));
        buf_clear(&entry);
        if (rc == E_TOO_LARGE) {
            return not_found(prove, &err);
        }
        if (rc != E_OK) {
            return output_failed(&prove->output, &err);
        }
    }
    if (command_read_policy(&prove->policy, policy_path, &err) != E_OK) {
        return command_policy_failed(&prove->output, &err);
    }
    return OUTPUT_DONE;
}

static int run(int argc, char **argv)
{
    struct prove prove = { 0 };
    const char *log = NULL;
    const char *policy_path = NULL;
    const char *entry_path = NULL;
    bool has_index = false;
    const struct command_option options[] = {
        { .name = "log",
          .argument = "LOG",
          .help = "http(s)://..., HOST:PORT, unix:PATH or file:DIR",
          .text = &log,
          .is_required = true },
        { .name = "policy",
          .argument = "P",
          .help = "the policy: which log, and which witnesses are enough",
          .text = &policy_path,
          .is_required = true },
        { .name = "index",
          .argument = "N",
          .help = "the entry at this index, from 0",
          .number = &prove.entry.index,
          .is_given = &has_index },
        { .name = "entry",
          .argument = "FILE",
          .help = "the entry that is this file, '-' for standard input",
          .text = &entry_path },
        { .name = "out",
          .argument = "FILE.tlog-proof",
          .help = "where the proof goes",
          .text = &prove.out,
          .is_required = true },
        COMMAND_OPTIONS_TLS(&prove.address),
        COMMAND_OPTION_JSON(&prove.output),
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &prove_command, options, COMMAND_COUNT(options), argc, argv, &code)) {
        return code;
    }
    if (has_index == (entry_path != NULL)) {
        return command_usage_error(&prove_command, "give one of --index and --entry");
    }
    code = read_inputs(&prove, log, policy_path, entry_path);
    if (prove.policy != NULL) {
        code = prove_entry(&prove);
    }
    policy_free(prove.policy);
    return code;
}

const struct command prove_command = {
    .name = "prove",
    .arguments = "--log LOG --policy P (--index N | --entry FILE) --out FILE.tlog-proof",
    .summary = "fetch a proof that an entry is in the log",
    .text =
        "Writes a C2SP tlog-proof that 'courtroll verify' checks offline. Over http(s) or file:\n"
        "an entry is searched for in the log's tiles, the newest first; over gRPC the log looks\n"
        "it up. NOT FOUND (exit status 1) when the log does not have it.\n",
    .examples = "courtroll prove --log https://log.court.example --policy court.policy \\\n"
                "    --index 1234 --out order.tlog-proof\n"
                "courtroll prove --log localhost:6963 --policy court.policy \\\n"
                "    --entry order.entry --out order.tlog-proof\n",
    .operands_max = 0,
    .run = run,
};
