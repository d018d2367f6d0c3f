/* The normal path is: what the disclosure says of itself (record, signature, commitments), then that the record is
 * on a log of the policy, then who signed it, then the document. The first thing that fails is the verdict. */
#include "cli/record_judgement.h"

#include "base/file.h"
#include "cli/verdict.h"

#include <errno.h>
#include <stdio.h>

/* Of a file of any size, which may be a pipe. */
static enum err_code hash_file(struct hash *out, const char *path, struct err *err)
{
    uint8_t chunk[16 * 1024];
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    if (file == NULL) {
        return err_set_errno(err, errno == ENOENT ? E_NOT_FOUND : E_IO, errno, "read %s", path);
    }
    struct sha256_stream *stream = sha256_stream_new();
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0) {
        sha256_stream_add(stream, span_of(chunk, n));
    }
    enum err_code rc = E_OK;
    if (ferror(file)) {
        rc = err_set_errno(err, E_IO, errno, "read %s", path);
    }
    *out = sha256_stream_finish(stream);
    sha256_stream_free(stream);
    if (file != stdin) {
        fclose(file);
    }
    return rc;
}

/* What could not be read at all is no verdict. */
static int verify(const struct output *output, const struct policy *policy, const char *path,
                  const char *document_path)
{
    struct record_judgement judgement;
    struct buf json = BUF_INIT(DISCLOSURE_BYTES_MAX);
    struct hash digest;
    struct err err;
    int code = 0;
    enum err_code rc = command_read_file(&json, path, &err);
    if (rc == E_TOO_LARGE) {
        code = verdict_fail(output, VERDICT_MALFORMED, policy, &err);
        goto out;
    }
    if (rc == E_OK && document_path != NULL) {
        rc = hash_file(&digest, document_path, &err);
    }
    if (rc != E_OK) {
        code = output_failed(output, &err);
        goto out;
    }
    enum verdict verdict = record_judge(&judgement, policy, buf_span(&json),
                                        document_path != NULL ? &digest : NULL, &err);
    code = verdict_exit_code(verdict);
    if (!judgement.is_complete) {
        code = verdict_fail(output, verdict, policy, &err);
    } else if (output->is_json) {
        record_judgement_print_json(&judgement, verdict, policy);
    } else {
        record_judgement_print(&judgement, verdict, policy, path);
    }
    record_judgement_clear(&judgement);
out:
    record_wipe(&json);
    return code;
}

static int run(int argc, char **argv)
{
    struct output output = { 0 };
    const char *policy_path = NULL;
    const struct command_option options[] = {
        { .name = "policy",
          .argument = "P",
          .help = "the policy: which log, and which witnesses are enough",
          .text = &policy_path,
          .is_required = true },
        COMMAND_OPTION_JSON(&output),
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &record_verify_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    struct policy *policy = NULL;
    struct err err;
    if (command_read_policy(&policy, policy_path, &err) != E_OK) {
        return command_policy_failed(&output, &err);
    }
    code =
        verify(&output, policy, line.operands[0], line.operand_count > 1 ? line.operands[1] : NULL);
    policy_free(policy);
    return code;
}

const struct command record_verify_command = {
    .name = "record verify",
    .arguments = "--policy P DISCLOSURE [DOCUMENT]",
    .summary = "say what a disclosure proves, offline",
    .text =
        "Checks the record, its signature, every opened field against the record's\n"
        "commitments, the tlog-proof against the policy, the submitter's registration if it is\n"
        "there, and DOCUMENT if given. Names every opened, absent and hidden field. No network\n"
        "is used. The first word is\n"
        "  PASS            all of it holds (under 'quorum none': PASS on the log's word alone)\n"
        "  MISMATCH        something is not what the record commits to, or not on the log, or\n"
        "                  the document is another one\n"
        "  NO QUORUM       the log has signed, too few witnesses have\n"
        "  BAD SIGNATURE   the log's signature, the record's or its certificate's fails\n"
        "  UNKNOWN LOG     the policy does not list the log\n"
        "  MALFORMED       it is no disclosure, hides a field that its kind must show, or has\n"
        "                  no proof that the record is on a log\n"
        "PASS says what the submitter logged and when, never that it is true.\n",
    .examples = "courtroll record verify --policy court.policy freeze.disclosure ruling.pdf\n",
    .operands_min = 1,
    .operands_max = 2,
    .run = run,
};
