/* cosign_export.c -- the newest checkpoint of a log, with proofs from older ones, as a file.
 *
 * The normal path is: the sizes to prove from, the log's answer, its signature, every proof that can be
 * checked here, the history, the file. Nothing that this side can find wrong is carried over. */
#include "base/ascii.h"
#include "base/file.h"
#include "cli/cosign.h"
#include "cli/cosign_history.h"
#include "tlog/cosign_file.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    GIVEN_MAX = COSIGN_FILE_PROOFS_MAX - COSIGN_HISTORY_MAX - 1, /* and size 0 */
};

struct cosign_export {
    struct output output;
    struct log_address address;
    struct policy *policy; /* owned */
    const char *out;
    const char *history_path;
    struct cosign_history history;
    uint64_t sizes[COSIGN_FILE_PROOFS_MAX]; /* ascending */
    size_t size_count;
    size_t left_out; /* sizes above the checkpoint's */
    struct checkpoint checkpoint;
    struct cosign_file_proof proofs[COSIGN_FILE_PROOFS_MAX];
    size_t proof_count;
};

static int compare_sizes(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* 0, which is what a witness holds at first; those given; those exported before. */
static int collect_sizes(struct cosign_export *export, const struct command_texts *given)
{
    uint64_t sizes[COSIGN_FILE_PROOFS_MAX] = { 0 };
    size_t count = 1;
    if (given->count > GIVEN_MAX) {
        return command_usage_error(&cosign_export_command, "--old is given more than %d times",
                                   GIVEN_MAX);
    }
    for (size_t i = 0; i < given->count; i++) {
        struct err err;
        if (decimal_parse(&sizes[count++], span_of_str(given->items[i]), SIZE_VALUE_MAX, &err) !=
            E_OK) {
            return command_usage_error(&cosign_export_command, "--old '%s' is not a size",
                                       given->items[i]);
        }
    }
    for (size_t i = 0; i < export->history.count; i++) {
        sizes[count++] = export->history.items[i].size;
    }
    qsort(sizes, count, sizeof sizes[0], compare_sizes);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || sizes[i] != sizes[i - 1]) {
            export->sizes[export->size_count++] = sizes[i];
        }
    }
    return OUTPUT_DONE;
}

static enum err_code read_history(struct cosign_export *export, struct err *err)
{
    struct buf bytes = BUF_INIT(COSIGN_HISTORY_BYTES_MAX);
    enum err_code rc = command_read_file(&bytes, export->history_path, err);
    if (rc == E_OK) {
        rc = cosign_history_parse(&export->history, buf_span(&bytes), err);
    } else if (rc == E_NOT_FOUND) {
        rc = E_OK; /* the first export makes it */
    }
    buf_clear(&bytes);
    return rc;
}

/* ---- what the log answers ---- */

static const struct cosign_exported *find_exported(const struct cosign_export *export,
                                                   uint64_t size)
{
    for (size_t i = 0; i < export->history.count; i++) {
        if (export->history.items[i].size == size) {
            return &export->history.items[i];
        }
    }
    return NULL;
}

/* With the old root, which the history has, a proof is verified. Without, all that can be seen is
 * whether it leads to the new root, which says nothing when the old size is a power of two. */
static enum err_code check_proof(const struct cosign_export *export,
                                 const struct cosign_file_proof *proof, struct err *err)
{
    const struct checkpoint *new = &export->checkpoint;
    const struct cosign_exported *old = find_exported(export, proof->old_size);
    const struct hash empty = merkle_empty_root();
    if (proof->old_size == 0 || proof->old_size == new->size) {
        const struct hash *root = proof->old_size == 0 ? &empty : &new->root;
        return proof_verify_consistency(&proof->proof, proof->old_size, new->size, root, &new->root,
                                        err);
    }
    if (old != NULL) {
        return proof_verify_consistency(&proof->proof, proof->old_size, new->size, &old->root,
                                        &new->root, err);
    }
    struct hash old_root;
    struct hash new_root;
    if (proof_consistency_roots(&old_root, &new_root, &proof->proof, proof->old_size, new->size,
                                &empty, err) != E_OK) {
        return err->code;
    }
    bool is_power = (proof->old_size & (proof->old_size - 1)) == 0;
    return is_power || hash_is_equal(&new_root, &new->root)
               ? E_OK
               : err_set(err, E_BAD_PROOF, "it does not lead to the checkpoint");
}

/* One proof for each size that is not above the checkpoint's, and each right as far as can be seen. */
static enum err_code take_proofs(struct cosign_export *export, const struct rpc_log_export *answer,
                                 struct err *err)
{
    size_t at = 0;
    for (size_t i = 0; i < export->size_count; i++) {
        if (export->sizes[i] > export->checkpoint.size) {
            export->left_out++;
            continue;
        }
        if (at == answer->proof_count || answer->proofs[at].old_size != export->sizes[i]) {
            return err_set(err, E_MALFORMED, "the log gave no proof from size %" PRIu64,
                           export->sizes[i]);
        }
        if (check_proof(export, &answer->proofs[at], err) != E_OK) {
            return err_wrap(err, "the log's proof from size %" PRIu64, export->sizes[i]);
        }
        export->proofs[export->proof_count++] = answer->proofs[at++];
    }
    return at == answer->proof_count
               ? E_OK
               : err_set(err, E_MALFORMED, "the log gave a proof that was not asked for");
}

static enum err_code take_answer(struct cosign_export *export, const struct rpc_log_export *answer,
                                 struct span note, struct err *err)
{
    struct policy_verdict verdict;
    enum err_code rc = policy_open_checkpoint(export->policy, &verdict, note, err);
    if (rc != E_OK) {
        return err_wrap(err, "the log's checkpoint");
    }
    export->checkpoint = verdict.checkpoint;
    struct cosign_history after = export->history;
    rc = cosign_history_add(&after, &export->checkpoint, err);
    if (rc == E_OK) {
        rc = take_proofs(export, answer, err);
    }
    if (rc == E_OK) {
        export->history = after;
    }
    return rc;
}

static enum err_code ask_log(struct cosign_export *export, struct buf *note, struct err *err)
{
    struct rpc_log *log = NULL;
    struct rpc_log_export answer;
    enum err_code rc = cosign_open_log(&log, &export->address, err);
    if (rc == E_OK) {
        rc = rpc_log_export(log, export->sizes, export->size_count, COSIGN_CALL_TIMEOUT_MS, &answer,
                            note, err);
    }
    if (rc == E_OK) {
        rc = take_answer(export, &answer, buf_span(note), err);
        rpc_log_export_clear(&answer);
    }
    rpc_log_close(log);
    return rc;
}

/* ---- what is written ---- */

/* The history first: a size in it that never left is harmless, one that left and is not in it is
 * not. */
static enum err_code write_files(const struct cosign_export *export, struct span note,
                                 struct err *err)
{
    struct buf bytes = BUF_INIT(COSIGN_FILE_BYTES_MAX + NOTE_BYTES_MAX);
    enum err_code rc = E_OK;
    if (export->history_path != NULL) {
        cosign_history_put(&bytes, &export->history);
        rc = file_replace(export->history_path, 0644, buf_span(&bytes), err);
        buf_reset(&bytes);
    }
    if (rc == E_OK) {
        cosign_file_put(&bytes, export->proofs, export->proof_count, note);
        rc =
            bytes.len <= COSIGN_FILE_BYTES_MAX
                ? file_replace(export->out, 0644, buf_span(&bytes), err)
                : err_set(err, E_TOO_LARGE, "the request has over %d bytes", COSIGN_FILE_BYTES_MAX);
    }
    buf_clear(&bytes);
    return rc;
}

static void print_done(const struct cosign_export *export)
{
    if (export->output.is_json) {
        json_t *from = json_array();
        for (size_t i = 0; i < export->proof_count; i++) {
            json_array_append_new(from, json_integer((json_int_t) export->proofs[i].old_size));
        }
        output_json(json_pack("{s:o, s:I, s:o, s:o}", "origin",
                              output_json_text(span_of_str(export->checkpoint.origin)), "size",
                              (json_int_t) export->checkpoint.size, "proofs_from", from, "file",
                              output_json_text(span_of_str(export->out))));
        return;
    }
    char *origin = output_clean(span_of_str(export->checkpoint.origin));
    printf("%s: %" PRIu64 " entries, written to %s\n  proofs from", origin, export->checkpoint.size,
           export->out);
    for (size_t i = 0; i < export->proof_count; i++) {
        printf("%s %" PRIu64, i > 0 ? "," : "", export->proofs[i].old_size);
    }
    printf("\n");
    free(origin);
}

static int export_checkpoint(struct cosign_export *export)
{
    struct err err;
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    enum err_code rc = ask_log(export, &note, &err);
    if (rc == E_OK) {
        rc = write_files(export, buf_span(&note), &err);
    }
    int code = OUTPUT_DONE;
    if (rc != E_OK) {
        output_error(&export->output, &err);
        code = rc == E_DENIED      ? OUTPUT_USAGE
               : rc == E_NOT_FOUND ? OUTPUT_VERDICT /* a log that the policy does not list */
                                   : output_exit_code(rc);
    } else {
        print_done(export);
        if (export->left_out > 0) {
            output_warning("the log has %" PRIu64 " entries: %zu larger sizes are left out",
                           export->checkpoint.size, export->left_out);
        }
    }
    buf_clear(&note);
    return code;
}

static int prepare(struct cosign_export *export, const char *log, const char *policy_path,
                   const struct command_texts *given)
{
    struct err err;
    int code = cosign_parse_log(&export->address, log, &cosign_export_command);
    if (code != OUTPUT_DONE) {
        return code;
    }
    if (command_read_policy(&export->policy, policy_path, &err) != E_OK) {
        return command_policy_failed(&export->output, &err);
    }
    if (export->history_path != NULL && read_history(export, &err) != E_OK) {
        output_error(&export->output, &err);
        return err.code == E_MALFORMED ? OUTPUT_USAGE : OUTPUT_IO;
    }
    return collect_sizes(export, given);
}

static int run(int argc, char **argv)
{
    struct cosign_export export = { .out = NULL };
    const char *log = NULL, *policy_path = NULL;
    struct command_texts given = { .count = 0 };
    const struct command_option options[] = {
        { .name = "log",
          .argument = "LOG",
          .help = "HOST:PORT or unix:PATH",
          .text = &log,
          .is_required = true },
        { .name = "policy",
          .argument = "P",
          .help = "the policy: the key of the log",
          .text = &policy_path,
          .is_required = true },
        { .name = "out",
          .argument = "FILE",
          .help = "where the request goes",
          .text = &export.out,
          .is_required = true },
        { .name = "old",
          .argument = "SIZE",
          .help = "a size that the witness may hold; may be given several times.\n"
                  "A proof from 0 is always there",
          .texts = &given },
        { .name = "history",
          .argument = "FILE",
          .help = "sizes exported before (the newest 32): proofs from each; this one\n"
                  "is added. Made when it is not there",
          .text = &export.history_path },
        COMMAND_OPTIONS_TLS(&export.address),
        COMMAND_OPTION_JSON(&export.output),
    };
    struct command_line line;
    int code = OUTPUT_DONE;
    if (!command_parse(&line, &cosign_export_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    code = prepare(&export, log, policy_path, &given);
    if (code == OUTPUT_DONE) {
        code = export_checkpoint(&export);
    }
    policy_free(export.policy);
    return code;
}

const struct command cosign_export_command = {
    .name = "cosign export",
    .arguments = "--log LOG --policy P --out FILE [--old SIZE]... [--history FILE]",
    .summary = "write the newest checkpoint of a log for a witness",
    .text =
        "The file holds the checkpoint, signed by the log, and consistency proofs from older\n"
        "sizes: 0, those of --old, and those of --history. The witness takes the one that\n"
        "starts where it stands. The log's signature is verified, and so is every proof from a\n"
        "size of the history: a log that has changed its past is not exported (exit status 1).\n",
    .examples = "courtroll cosign export --log localhost:6963 --policy court.policy \\\n"
                "    --out monday.cosign-request --history exported\n",
    .operands_max = 0,
    .run = run,
};
