#include "cli/command.h"
#include "cli/verdict.h"
#include "tlog/merkle.h"
#include "tlog/receipt.h"

#include <stdio.h>
#include <stdlib.h>

static void print_json(enum verdict verdict, const struct policy *policy,
                       const struct receipt *receipt, const struct hash *leaf,
                       const struct policy_verdict *checkpoint)
{
    json_t *object = verdict_json(verdict, policy);
    json_object_set_new(object, "index", json_integer((json_int_t)receipt->index));
    json_object_set_new(object, "leaf_hash", output_json_hex(hash_span(leaf)));
    verdict_put_checkpoint(object, policy, checkpoint);
    verdict_put_times(object, policy, checkpoint);
    output_json(object);
}

static void print_people(enum verdict verdict, const struct policy *policy, const char *path,
                         const struct receipt *receipt, const struct policy_verdict *checkpoint)
{
    printf("%s\n", verdict_text(verdict, policy));
    char *clean = output_clean(span_of_str(path));
    printf("  %-14s%s\n  %-14s%ju\n", "file", clean, "index", (uintmax_t)receipt->index);
    free(clean);
    verdict_print_checkpoint(policy, checkpoint);
    if (verdict == VERDICT_PASS) {
        verdict_print_times(policy, checkpoint);
    }
}

/* Everything is read; decides and prints. */
static int judge(const struct output *output, const struct policy *policy, struct span proof,
                 struct span entry, const char *path)
{
    struct receipt receipt;
    struct err err;
    if (receipt_parse(&receipt, proof, &err) != E_OK) {
        return verdict_fail(output, VERDICT_MALFORMED, policy, &err);
    }
    struct hash leaf = merkle_leaf_hash(entry);
    struct policy_verdict checkpoint;
    enum err_code rc = receipt_verify(&receipt, policy, &leaf, &checkpoint, &err);
    enum verdict verdict = verdict_of(rc, &checkpoint);
    int code = verdict_exit_code(verdict);
    if (rc != E_OK) {
        code = verdict_fail(output, verdict, policy, &err);
    } else if (output->is_json) {
        print_json(verdict, policy, &receipt, &leaf, &checkpoint);
    } else {
        print_people(verdict, policy, path, &receipt, &checkpoint);
    }
    receipt_clear(&receipt);
    return code;
}

static int read_and_judge(const struct output *output, const struct policy *policy,
                          const char *proof_path, const char *path)
{
    struct buf proof = BUF_INIT(PROOF_FILE_BYTES_MAX);
    struct buf entry = BUF_INIT(ENTRY_BYTES_MAX);
    struct err err;
    int code = 0;
    enum err_code rc = command_read_file(&proof, proof_path, &err);
    if (rc == E_TOO_LARGE) {
        code = verdict_fail(output, VERDICT_MALFORMED, policy, &err);
        goto out;
    }
    if (rc == E_OK) {
        rc = command_read_file(&entry, path, &err);
        if (rc == E_TOO_LARGE) {
            err_set(&err, E_TOO_LARGE, "the file has more than %d bytes, which no entry has",
                    ENTRY_BYTES_MAX);
            code = verdict_fail(output, VERDICT_MISMATCH, policy, &err);
            goto out;
        }
    }
    code = rc == E_OK ? judge(output, policy, buf_span(&proof), buf_span(&entry), path)
                      : output_failed(output, &err);
out:
    buf_clear(&proof);
    buf_clear(&entry);
    return code;
}

static int run(int argc, char **argv)
{
    struct output output = { 0 };
    const char *policy_path = NULL;
    const char *proof_path = NULL;
    const struct command_option options[] = {
        { .name = "policy",
          .argument = "P",
          .help = "the policy: which log, and which witnesses are enough",
          .text = &policy_path,
          .is_required = true },
        { .name = "proof",
          .argument = "FILE.tlog-proof",
          .help = "the proof that came with the document",
          .text = &proof_path,
          .is_required = true },
        COMMAND_OPTION_JSON(&output),
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &verify_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    struct policy *policy = NULL;
    struct err err;
    if (command_read_policy(&policy, policy_path, &err) != E_OK) {
        return command_policy_failed(&output, &err);
    }
    code = read_and_judge(&output, policy, proof_path, line.operands[0]);
    policy_free(policy);
    return code;
}

const struct command verify_command = {
    .name = "verify",
    .arguments = "--policy P --proof FILE.tlog-proof FILE",
    .summary = "verify an entry and its proof, offline",
    .text = "Says whether FILE, byte by byte, is an entry of a log that the policy knows, in a\n"
            "checkpoint that enough witnesses have signed. No network is used. The first word is\n"
            "  PASS            it is (under 'quorum none': PASS on the log's word alone)\n"
            "  MISMATCH        the proof is not for this file\n"
            "  NO QUORUM       the log has signed, too few witnesses have\n"
            "  BAD SIGNATURE   the log's signature does not verify\n"
            "  UNKNOWN LOG     the policy does not list the log\n"
            "  MALFORMED       the proof is no proof\n",
    .examples = "courtroll verify --policy court.policy --proof order.tlog-proof order.pdf.entry\n",
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
