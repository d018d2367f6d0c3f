#include "cli/command.h"
#include "cli/deposit_verify.h"
#include "cli/record_header.h"
#include "cli/verdict.h"
#include "tlog/merkle.h"
#include "tlog/upgraded_receipt.h"

#include <stdio.h>
#include <stdlib.h>

/* What was found out. */
struct judgement {
    enum verdict verdict;
    struct upgraded_receipt chain; /* owned; of one receipt, mostly */
    const struct receipt *receipt; /* the one of the entry: the last of these */
    struct checkpoint ended;       /* its log's final checkpoint; of an upgraded receipt */
    struct hash leaf;
    struct policy_verdict checkpoint;
    const struct anchor_proof *anchor; /* NULL: none was given */
};

/* What it is found out from. */
struct inputs {
    struct output output;
    const struct policy *policy;
    const char *path; /* of the entry */
    struct span proof, entry;
    struct span anchor;                           /* NULL data: none */
    struct policy *superseded[COMMAND_TEXTS_MAX]; /* owned */
    size_t superseded_count;
};

static bool is_upgraded(const struct judgement *j)
{
    return j->chain.count > 1;
}

/* The log that the entry is in. */
static const char *origin_of_entry(const struct judgement *j)
{
    return is_upgraded(j) ? j->ended.origin : j->checkpoint.checkpoint.origin;
}

static void print_json(const struct policy *policy, const struct judgement *j, struct span entry)
{
    json_t *object = verdict_json(j->verdict, policy);
    json_object_set_new(object, "index", json_integer((json_int_t)j->receipt->index));
    json_object_set_new(object, "leaf_hash", output_json_hex(hash_span(&j->leaf)));
    if (is_upgraded(j)) {
        json_object_set_new(object, "ended_origin", output_json_text(span_of_str(j->ended.origin)));
        json_object_set_new(object, "ended_size", json_integer((json_int_t)j->ended.size));
    }
    verdict_put_checkpoint(object, policy, &j->checkpoint);
    verdict_put_times_of_entry(object, policy, &j->checkpoint, j->anchor);
    json_t *operation = record_header_json(entry, origin_of_entry(j));
    if (operation != NULL) {
        json_object_set_new(object, "operation", operation);
    }
    output_json(object);
}

static void print_people(const struct policy *policy, const struct judgement *j, const char *path,
                         struct span entry)
{
    printf("%s\n", verdict_text(j->verdict, policy));
    char *clean = output_clean(span_of_str(path));
    printf("  %-14s%s\n  %-14s%ju\n", "file", clean, "index", (uintmax_t)j->receipt->index);
    free(clean);
    if (is_upgraded(j)) {
        clean = output_clean(span_of_str(j->ended.origin));
        printf(
            "  %-14s%s, which ended with %ju entries; its final checkpoint begins the next log\n",
            "in the log", clean, (uintmax_t)j->ended.size);
        free(clean);
    }
    verdict_print_checkpoint(policy, &j->checkpoint);
    if (j->verdict == VERDICT_PASS) {
        verdict_print_times_of_entry(policy, &j->checkpoint, j->anchor);
    }
    record_header_print(entry, origin_of_entry(j));
}

static const char superseded_words[] =
    "whoever has the keys that were retired since can make such a proof at any time, of anything: "
    "ask for one under the policy in force";

/* Under which of the policies that are no longer in force the proof is right; NULL: under none. */
static const struct policy *find_superseded(const struct inputs *in, struct judgement *j)
{
    for (size_t i = 0; i < in->superseded_count; i++) {
        struct err err;
        struct policy_verdict checkpoint;
        if (receipt_verify(j->receipt, in->superseded[i], &j->leaf, &checkpoint, &err) == E_OK &&
            checkpoint.is_met) {
            j->checkpoint = checkpoint;
            return in->superseded[i];
        }
    }
    return NULL;
}

/* It counts only so: never a PASS, and no time, which retired keys could state as they like. */
static int tell_superseded(const struct inputs *in, struct judgement *j,
                           const struct policy *superseded)
{
    j->verdict = VERDICT_SUPERSEDED;
    if (in->output.is_json) {
        json_t *object = verdict_json(j->verdict, superseded);
        json_object_set_new(object, "because", json_string(superseded_words));
        json_object_set_new(object, "index", json_integer((json_int_t)j->receipt->index));
        json_object_set_new(object, "policy_in_force_sha256",
                            output_json_hex(hash_span(policy_hash(in->policy))));
        verdict_put_checkpoint(object, superseded, &j->checkpoint);
        output_json(object);
    } else {
        print_people(superseded, j, in->path, in->entry);
        printf("  %-14s%s\n", "because", superseded_words);
    }
    return verdict_exit_code(j->verdict);
}

static enum err_code verify_receipt(const struct inputs *in, struct judgement *j, struct err *err)
{
    return is_upgraded(j) ? upgraded_receipt_verify(&j->chain, in->policy, &j->leaf, &j->checkpoint,
                                                    &j->ended, err)
                          : receipt_verify(j->receipt, in->policy, &j->leaf, &j->checkpoint, err);
}

/* Everything is read; decides and prints. An anchor that is given must be right, too. */
static int judge_receipt(const struct inputs *in, struct judgement *j)
{
    struct err err;
    struct anchor_proof anchor = { 0 };
    enum err_code rc = verify_receipt(in, j, &err);
    if (rc == E_OK && is_upgraded(j) && in->anchor.data != NULL) {
        rc = err_set(&err, E_BAD_PROOF,
                     "an anchor goes with the old receipt, not with an upgraded one");
    }
    if (rc == E_OK && in->anchor.data != NULL) {
        rc = anchor_proof_check(&anchor, in->anchor, j->receipt, in->policy, &j->checkpoint, &err);
        j->anchor = &anchor;
        if (rc == E_NOT_FOUND) { /* the log is known */
            return verdict_fail(&in->output, VERDICT_NO_QUORUM, in->policy, &err);
        }
    }
    j->verdict = verdict_of(rc, &j->checkpoint);
    const struct policy *superseded =
        j->verdict == VERDICT_PASS || is_upgraded(j) ? NULL : find_superseded(in, j);
    if (superseded != NULL) {
        return tell_superseded(in, j, superseded);
    }
    if (rc != E_OK) {
        return verdict_fail(&in->output, j->verdict, in->policy, &err);
    }
    if (in->output.is_json) {
        print_json(in->policy, j, in->entry);
    } else {
        print_people(in->policy, j, in->path, in->entry);
    }
    return verdict_exit_code(j->verdict);
}

static int judge(const struct inputs *in)
{
    struct judgement judgement = { .leaf = merkle_leaf_hash(in->entry) };
    struct err err;
    if (upgraded_receipt_parse(&judgement.chain, in->proof, &err) != E_OK) {
        return verdict_fail(&in->output, VERDICT_MALFORMED, in->policy, &err);
    }
    judgement.receipt = &judgement.chain.receipts[judgement.chain.count - 1];
    int code = judge_receipt(in, &judgement);
    upgraded_receipt_clear(&judgement.chain);
    return code;
}

struct files {
    struct buf proof, entry, anchor; /* owned */
};

static int too_large(const struct inputs *in, enum verdict verdict, struct err *err)
{
    if (verdict == VERDICT_MISMATCH) {
        err_set(err, E_TOO_LARGE, "the file has more than %d bytes, which no entry has",
                ENTRY_BYTES_MAX);
    }
    return verdict_fail(&in->output, verdict, in->policy, err);
}

static int read_and_judge(struct inputs *in, struct files *files, const char *proof_path,
                          const char *anchor_path)
{
    struct err err;
    enum verdict verdict = VERDICT_MALFORMED; /* if it is too large */
    enum err_code rc = command_read_file(&files->proof, proof_path, &err);
    if (rc == E_OK && anchor_path != NULL) {
        rc = command_read_file(&files->anchor, anchor_path, &err);
    }
    if (rc == E_OK) {
        rc = command_read_file(&files->entry, in->path, &err);
        verdict = VERDICT_MISMATCH;
    }
    if (rc == E_TOO_LARGE) {
        return too_large(in, verdict, &err);
    }
    if (rc != E_OK) {
        return output_failed(&in->output, &err);
    }
    in->proof = buf_span(&files->proof);
    in->entry = buf_span(&files->entry);
    if (anchor_path != NULL) {
        in->anchor = span_of(files->anchor.len > 0 ? (const void *)files->anchor.data : "",
                             files->anchor.len);
    }
    return judge(in);
}

static enum err_code read_superseded(struct inputs *in, const struct command_texts *paths,
                                     struct err *err)
{
    enum err_code rc = E_OK;
    for (size_t i = 0; i < paths->count && rc == E_OK; i++) {
        rc = command_read_policy(&in->superseded[i], paths->items[i], err);
        in->superseded_count += rc == E_OK;
    }
    return rc;
}

static void free_policies(struct inputs *in, struct policy *policy)
{
    for (size_t i = 0; i < in->superseded_count; i++) {
        policy_free(in->superseded[i]);
    }
    policy_free(policy);
}

/* A document comes with its proof; a certificate has one inside, and may come with its document. */
static bool check_usage(const struct command_line *line, const char *proof_path,
                        const char *anchor_path, const struct command_texts *superseded, int *code)
{
    const char *said = NULL;
    if (proof_path != NULL && line->operand_count > 1) {
        said = "with --proof there is one FILE";
    } else if (proof_path == NULL && anchor_path != NULL) {
        said = "--anchor goes with --proof; a certificate has its own";
    } else if (proof_path == NULL && superseded->count > 0) {
        said = "--superseded goes with --proof";
    }
    if (said != NULL) {
        *code = command_usage_error(&verify_command, "%s", said);
    }
    return said == NULL;
}

static int run(int argc, char **argv)
{
    struct inputs in = { 0 };
    const char *policy_path = NULL;
    const char *proof_path = NULL;
    const char *anchor_path = NULL;
    struct command_texts superseded = { .count = 0 };
    const struct command_option options[] = {
        { .name = "policy",
          .argument = "P",
          .help = "the policy: which log, and which witnesses are enough",
          .text = &policy_path,
          .is_required = true },
        { .name = "proof",
          .argument = "FILE.tlog-proof",
          .help = "the proof that came with the document; not for a certificate",
          .text = &proof_path },
        { .name = "anchor",
          .argument = "FILE",
          .help = "the ANCHOR before the entry, from courtroll prove --anchor-out",
          .text = &anchor_path },
        { .name = "superseded",
          .argument = "OLD",
          .help = "a policy that was in force once; may be given several times",
          .texts = &superseded },
        COMMAND_OPTION_JSON(&in.output),
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &verify_command, options, COMMAND_COUNT(options), argc, argv,
                       &code) ||
        !check_usage(&line, proof_path, anchor_path, &superseded, &code)) {
        return code;
    }
    struct policy *policy = NULL;
    struct err err;
    if (command_read_policy(&policy, policy_path, &err) != E_OK ||
        read_superseded(&in, &superseded, &err) != E_OK) {
        free_policies(&in, policy);
        return command_policy_failed(&in.output, &err);
    }
    if (proof_path == NULL) {
        code = deposit_verify(&in.output, policy, line.operands[0],
                              line.operand_count > 1 ? line.operands[1] : NULL);
        policy_free(policy);
        return code;
    }
    struct files files = { .proof = BUF_INIT(PROOF_FILE_BYTES_MAX),
                           .entry = BUF_INIT(ENTRY_BYTES_MAX),
                           .anchor = BUF_INIT(PROOF_FILE_BYTES_MAX) };
    in.policy = policy;
    in.path = line.operands[0];
    code = read_and_judge(&in, &files, proof_path, anchor_path);
    buf_clear(&files.proof);
    buf_clear(&files.entry);
    buf_clear(&files.anchor);
    free_policies(&in, policy);
    return code;
}

const struct command verify_command = {
    .name = "verify",
    .arguments = "--policy P --proof FILE.tlog-proof [--anchor FILE] [--superseded OLD]... FILE\n"
                 "--policy P CERTIFICATE [DOCUMENT]",
    .summary = "verify an entry and its proof, or a certificate, offline",
    .text =
        "Says whether FILE, byte by byte, is an entry of a log that the policy knows, in a\n"
        "checkpoint that enough witnesses have signed. No network is used. The first word is\n"
        "  PASS            it is (under 'quorum none': PASS on the log's word alone)\n"
        "  MISMATCH        the proof is not for this file\n"
        "  NO QUORUM       the log has signed, too few witnesses have\n"
        "  BAD SIGNATURE   the log's signature does not verify\n"
        "  UNKNOWN LOG     the policy does not list the log\n"
        "  MALFORMED       the proof is no proof\n"
        "With --anchor it is also said after when the entry was sequenced: a checkpoint, with the\n"
        "times of its witnesses, stands before it in the log. An anchor that is not right is no\n"
        "PASS, whatever the proof is.\n"
        "With --superseded, policies that were in force once, one more verdict is\n"
        "  SUPERSEDED      only such a policy is met: no proof against who has its retired keys\n"
        "A receipt of a log that has ended is carried by its successor's (courtroll prove\n"
        "--upgrade): then the policy is the successor's, and it is said which log ended.\n"
        "Of an operation record its clear header is printed too, and whether nobody but the\n"
        "log vouches for its sender. A disclosure says more: courtroll record verify.\n"
        "\n"
        "Without --proof the file is a certificate (courtroll certificate), which has its proof\n"
        "inside. A page in HTML is made again of its data, and one more verdict is\n"
        "  ALTERED         a byte of the page differs, and which\n"
        "Of a PDF only the data attached are verified: the page's text is not proved, what is\n"
        "printed here is. Give DOCUMENT to have it compared; without it that is said.\n",
    .examples = "courtroll verify --policy court.policy --proof order.tlog-proof order.pdf.entry\n"
                "courtroll verify --policy court.policy order.html order.pdf\n",
    .operands_min = 1,
    .operands_max = 2,
    .run = run,
};
