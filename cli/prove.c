#include "base/file.h"
#include "cli/anchor_proof.h"
#include "cli/command.h"
#include "cli/prove_earliest.h"
#include "cli/verdict.h"
#include "tlog/upgraded_receipt.h"

struct prove {
    struct output output;
    struct log_address address;
    struct policy *policy;
    struct log_fetch_entry entry;
    const char *out;
    const char *anchor_out; /* NULL: none is asked for */
    const char *entry_out;  /* likewise */
    const char *upgrade;    /* likewise: the receipt of the log before this one */
    bool is_earliest;       /* asked for */
};

/* What goes into the receipt. */
struct found {
    struct buf note; /* owned */
    struct policy_verdict checkpoint;
    struct proof proof;
    bool is_earliest;
    struct anchor_proof anchor; /* owned; if has_anchor */
    bool has_anchor;
};

static void on_progress(void *ctx, uint64_t entries)
{
    output_progress_set(ctx, entries);
}

static void print_done(const struct prove *prove, const struct found *found)
{
    const struct anchor_proof *anchor = found->has_anchor ? &found->anchor : NULL;
    const char *dated = found->is_earliest ? "the earliest archived checkpoint" : "the latest one";
    if (!prove->output.is_json) {
        printf("%s\n  %-14s%ju\n  %-14s%s\n  %-14s%s\n", verdict_text(VERDICT_PASS, prove->policy),
               "index", (uintmax_t)prove->entry.index, "proof", prove->out, "checkpoint", dated);
        verdict_print_checkpoint(prove->policy, &found->checkpoint);
        verdict_print_times_of_entry(prove->policy, &found->checkpoint, anchor);
        return;
    }
    json_t *object = verdict_json(VERDICT_PASS, prove->policy);
    json_object_set_new(object, "index", json_integer((json_int_t)prove->entry.index));
    json_object_set_new(object, "leaf_hash", output_json_hex(hash_span(&prove->entry.leaf)));
    json_object_set_new(object, "proof", output_json_text(span_of_str(prove->out)));
    json_object_set_new(object, "earliest", json_boolean(found->is_earliest));
    verdict_put_checkpoint(object, prove->policy, &found->checkpoint);
    verdict_put_times_of_entry(object, prove->policy, &found->checkpoint, anchor);
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

/* The proof in the tree of the checkpoint that is in `found`, which is verified, and has its quorum. */
static enum err_code fetch_proof(struct prove *prove, struct found *found, struct err *err)
{
    struct output_progress progress;
    const struct checkpoint *checkpoint = &found->checkpoint.checkpoint;
    output_progress_begin(&progress, "searched", "entries", checkpoint->size);
    enum err_code rc = log_fetch_proof(&prove->address, checkpoint->size, &checkpoint->root,
                                       &prove->entry, &found->proof, on_progress, &progress, err);
    output_progress_end(&progress);
    return rc;
}

/* Puts the earliest checkpoint into `found`, when there is one; that there is none is no failure. */
static enum err_code use_earliest(const struct prove *prove, struct found *found, struct err *err)
{
    struct prove_earliest earliest;
    const struct prove_latest latest = { buf_span(&found->note), &found->checkpoint.checkpoint,
                                         &found->proof };
    enum err_code rc = prove_earliest_find(&earliest, &prove->address, prove->policy, &latest,
                                           prove->entry.index, err);
    if (rc == E_NOT_FOUND) {
        char *why = output_clean(span_of_str(err->msg));
        output_warning("the proof is against the latest checkpoint: %s", why);
        free(why);
        return E_OK;
    }
    if (rc == E_CONFLICT) {
        rc = prove_earliest_write_evidence(&earliest, prove->out, err);
    }
    if (rc == E_OK) {
        buf_clear(&found->note);
        buf_take(&found->note, &earliest.note);
        found->checkpoint = earliest.checkpoint;
        found->proof = earliest.proof;
        found->is_earliest = true;
    }
    prove_earliest_clear(&earliest);
    return rc;
}

/* The ANCHOR before the entry, if there is one; that there is none is no failure either. */
static enum err_code write_anchor(const struct prove *prove, struct found *found,
                                  const struct checkpoint *latest, struct err *err)
{
    struct output_progress progress;
    uint64_t index = prove->entry.index;
    output_progress_begin(&progress, "searched for an anchor", "entries",
                          index < ANCHOR_PROOF_ENTRIES_MAX ? index : ANCHOR_PROOF_ENTRIES_MAX);
    enum err_code rc =
        anchor_proof_find(&found->anchor, &prove->address, prove->policy, latest,
                          found->checkpoint.checkpoint.size, index, on_progress, &progress, err);
    output_progress_end(&progress);
    if (rc == E_NOT_FOUND) {
        output_warning("no anchor is written: %s", err->msg);
        return E_OK;
    }
    if (rc != E_OK) {
        return rc;
    }
    found->has_anchor = true;
    struct buf file = BUF_INIT(PROOF_FILE_BYTES_MAX);
    receipt_put_with_extra(&file, buf_span(&found->anchor.entry), found->anchor.index,
                           &found->anchor.proof, buf_span(&found->note));
    rc = file_replace(prove->anchor_out, 0644, buf_span(&file), err);
    buf_clear(&file);
    return rc;
}

static enum err_code write_entry(const struct prove *prove, const struct checkpoint *latest,
                                 struct err *err)
{
    struct buf entry = BUF_INIT(ENTRY_BYTES_MAX);
    enum err_code rc = log_fetch_bytes(&prove->address, latest->size, &latest->root,
                                       prove->entry.index, &entry, err);
    if (rc == E_OK) {
        rc = file_replace(prove->entry_out, 0644, buf_span(&entry), err);
    }
    buf_clear(&entry);
    return rc;
}

/* With the old receipt inside, where one is to be upgraded. */
static enum err_code put_receipt(const struct prove *prove, const struct found *found,
                                 const struct checkpoint *latest, struct buf *out, struct err *err)
{
    if (prove->upgrade == NULL) {
        receipt_put(out, prove->entry.index, &found->proof, buf_span(&found->note));
        return E_OK;
    }
    struct buf old = BUF_INIT(PROOF_FILE_BYTES_MAX), final = BUF_INIT(ENTRY_BYTES_MAX);
    struct buf extra = BUF_INIT(PROOF_FILE_BYTES_MAX / 2);
    enum err_code rc = command_read_file(&old, prove->upgrade, err);
    if (rc == E_OK) {
        rc = log_fetch_bytes(&prove->address, latest->size, &latest->root, 0, &final, err);
    }
    if (rc == E_OK) {
        rc = upgraded_receipt_put_extra(&extra, buf_span(&old), buf_span(&final), err);
    }
    if (rc == E_OK) {
        receipt_put_with_extra(out, buf_span(&extra), 0, &found->proof, buf_span(&found->note));
    }
    buf_clear(&old);
    buf_clear(&final);
    buf_clear(&extra);
    return rc;
}

static int write_proof(struct prove *prove, struct found *found)
{
    struct err err;
    const struct checkpoint latest = found->checkpoint.checkpoint;
    enum err_code rc = fetch_proof(prove, found, &err);
    if (rc == E_NOT_FOUND) {
        return not_found(prove, &err);
    }
    if (rc == E_OK && prove->is_earliest) {
        rc = use_earliest(prove, found, &err);
    }
    if (rc == E_OK && prove->anchor_out != NULL) {
        rc = write_anchor(prove, found, &latest, &err);
    }
    if (rc == E_OK && prove->entry_out != NULL) {
        rc = write_entry(prove, &latest, &err);
    }
    if (rc == E_OK) {
        struct buf receipt = BUF_INIT(2 * PROOF_FILE_BYTES_MAX);
        rc = put_receipt(prove, found, &latest, &receipt, &err);
        if (rc == E_OK && receipt.len > PROOF_FILE_BYTES_MAX) {
            rc = err_set(&err, E_TOO_LARGE, "the receipt would have %zu bytes, at most %d are read",
                         receipt.len, PROOF_FILE_BYTES_MAX);
        }
        if (rc == E_OK) {
            rc = file_replace(prove->out, 0644, buf_span(&receipt), &err);
        }
        buf_clear(&receipt);
    }
    if (rc != E_OK) {
        return output_failed(&prove->output, &err);
    }
    print_done(prove, found);
    return OUTPUT_DONE;
}

static int prove_entry(struct prove *prove)
{
    struct found found = { .note = BUF_INIT(NOTE_BYTES_MAX) };
    struct err err;
    int code = 0;
    if (log_fetch_checkpoint(&prove->address, &found.note, &err) != E_OK) {
        code = output_failed(&prove->output, &err);
        goto out;
    }
    enum err_code rc =
        policy_open_checkpoint(prove->policy, &found.checkpoint, buf_span(&found.note), &err);
    enum verdict verdict = verdict_of(rc, &found.checkpoint);
    if (rc == E_OK && verdict != VERDICT_PASS) {
        err_set(&err, E_BAD_SIGNATURE, "the log's checkpoint lacks cosignatures: no proof written");
    }
    code = verdict == VERDICT_PASS ? write_proof(prove, &found)
                                   : verdict_fail(&prove->output, verdict, prove->policy, &err);
out:
    buf_clear(&found.note);
    anchor_proof_clear(&found.anchor);
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
        { .name = "upgrade",
          .argument = "OLD.tlog-proof",
          .help = "carry this receipt of the log that ended before LOG; http(s) and file: only",
          .text = &prove.upgrade },
        { .name = "out",
          .argument = "FILE.tlog-proof",
          .help = "where the proof goes",
          .text = &prove.out,
          .is_required = true },
        { .name = "earliest",
          .help = "against the earliest archived checkpoint that meets the policy, which\n"
                  "dates the entry; http(s) and file: only",
          .flag = &prove.is_earliest },
        { .name = "anchor-out",
          .argument = "FILE",
          .help = "where the last anchor before the entry goes, which shows after when the\n"
                  "entry was sequenced; http(s) and file: only",
          .text = &prove.anchor_out },
        { .name = "entry-out",
          .argument = "FILE",
          .help = "where the entry itself goes, checked; http(s) and file: only",
          .text = &prove.entry_out },
        COMMAND_OPTIONS_TLS(&prove.address),
        COMMAND_OPTION_JSON(&prove.output),
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &prove_command, options, COMMAND_COUNT(options), argc, argv, &code)) {
        return code;
    }
    if (has_index + (entry_path != NULL) + (prove.upgrade != NULL) != 1) {
        return command_usage_error(&prove_command, "give one of --index, --entry and --upgrade");
    }
    code = read_inputs(&prove, log, policy_path, entry_path);
    const char *needs_files = prove.is_earliest          ? "--earliest"
                              : prove.anchor_out != NULL ? "--anchor-out"
                              : prove.entry_out != NULL  ? "--entry-out"
                              : prove.upgrade != NULL    ? "--upgrade"
                                                         : NULL;
    if (code == OUTPUT_DONE && needs_files != NULL && prove.address.kind == LOG_ADDRESS_GRPC) {
        code =
            command_usage_error(&prove_command, "%s needs the log's http(s):// URL", needs_files);
    } else if (prove.policy != NULL) {
        code = prove_entry(&prove);
    }
    policy_free(prove.policy);
    return code;
}

const struct command prove_command = {
    .name = "prove",
    .arguments = "--log LOG --policy P (--index N | --entry FILE | --upgrade OLD) [--earliest]\n"
                 "--out FILE.tlog-proof [--anchor-out FILE] [--entry-out FILE]",
    .summary = "fetch a proof that an entry is in the log",
    .text =
        "Writes a C2SP tlog-proof that 'courtroll verify' checks offline. Over http(s) or file:\n"
        "an entry is searched for in the log's tiles, the newest first; over gRPC the log looks\n"
        "it up. NOT FOUND (exit status 1) when the log does not have it.\n"
        "\n"
        "A proof is dated by the witnesses of its checkpoint. With --earliest that is the first\n"
        "one the log published with the entry in it, shown to be consistent with the latest; when\n"
        "there is none a warning says so. When the two contradict each other the log has shown\n"
        "two histories: the evidence is written to FILE.tlog-proof.fork (exit status 1).\n"
        "\n"
        "A log that succeeds another has that one's final checkpoint as its entry 0. With\n"
        "--upgrade a receipt in that checkpoint is carried to this log's latest one: a proof\n"
        "under the keys of today, which those retired cannot make.\n"
        "\n"
        "A log of operations logs its own checkpoints, with the times of their witnesses. With\n"
        "--anchor-out the last one before the entry is written, for 'courtroll verify --anchor'.\n"
        "It goes with this proof only: both lead to the same checkpoint.\n",
    .examples = "courtroll prove --log https://log.court.example --policy court.policy \\\n"
                "    --index 1234 --out order.tlog-proof\n"
                "courtroll prove --log localhost:6963 --policy court.policy \\\n"
                "    --entry order.entry --out order.tlog-proof\n",
    .operands_max = 0,
    .run = run,
};
