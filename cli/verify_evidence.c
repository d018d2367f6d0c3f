/* verify_evidence.c -- `courtroll verify-evidence`: does this file prove misbehaviour, and whose?
 *
 * Only signatures and hashes are believed, and only keys of the policy: whoever holds the policy comes
 * to the same verdict, without any network. A monitor's key is none of the policy's: what it says is not
 * proof, and is never exit status 0. */
#include "base/alloc.h"
#include "cli/command.h"
#include "cli/evidence_report.h"

#include <stdio.h>

/* -- keys -- */

enum {
    KEYS_MAX = 2 * POLICY_KEYS_MAX /* logs, with their promise keys, and witnesses */
};

static size_t policy_keys(const struct policy *policy, const struct vkey *out[static KEYS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < policy_log_count(policy); i++) {
        out[count++] = &policy_log_at(policy, i)->vkey;
    }
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        out[count++] = &policy_witness_at(policy, i)->vkey;
    }
    return count;
}

static bool policy_has_log(const struct policy *policy, const char *origin)
{
    for (size_t i = 0; i < policy_log_count(policy); i++) {
        if (strcmp(policy_log_at(policy, i)->vkey.name, origin) == 0 &&
            !policy_log_is_promise_key(policy, i)) {
            return true;
        }
    }
    return false;
}

static bool policy_has_witness(const struct policy *policy, const struct note_line *line)
{
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        const struct vkey *key = &policy_witness_at(policy, i)->vkey;
        if (key->id == line->key_id && span_is_str(line->name, key->name)) {
            return true;
        }
    }
    return false;
}

/* The one line below a note of a witness or a monitor: nothing of it is believed yet. */
static enum err_code check_witness(const struct policy *policy, struct span bytes, struct err *err)
{
    struct note note;
    enum err_code rc = note_parse(&note, bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    if (!policy_has_witness(policy, &note.lines[0])) {
        rc = err_set(err, E_BAD_SIGNATURE,
                     "a cosignature of %.*s (key ID %08x), which is no witness of the policy",
                     SPAN_PRINTF(note.lines[0].name), (unsigned)note.lines[0].key_id);
    }
    note_clear(&note);
    return rc;
}

/* Says which key the policy lacks, in better words than that a signature is unknown. */
static enum err_code check_known(const struct evidence *evidence, const struct policy *policy,
                                 struct err *err)
{
    struct buf origin = BUF_INIT(ORIGIN_BYTES_MAX + 1);
    enum err_code rc = E_OK;
    evidence_put_origin(&origin, evidence);
    const char *name = buf_c_str(&origin);
    if (evidence->kind == EVIDENCE_WITNESS_EQUIVOCATION) {
        rc = check_witness(policy, evidence->notes[0], err);
    } else if (!policy_has_log(policy, name)) {
        rc = err_set(err, E_NOT_FOUND, "no log of the policy has the origin \"%s\"", name);
    } else if (evidence->kind == EVIDENCE_PROMISE_BROKEN &&
               policy_promise_key(policy, name) == NULL) {
        rc =
            err_set(err, E_BAD_SIGNATURE,
                    "the policy does not list the promise key of this log: a log line whose key is "
                    "named %s/promise",
                    name);
    }
    buf_clear(&origin);
    return rc;
}

/* -- judging -- */

static enum evidence_outcome outcome_of(enum err_code code)
{
    switch (code) {
    case E_OK:
        return EVIDENCE_OUTCOME_PROVED;
    case E_BAD_PROOF:
        return EVIDENCE_OUTCOME_NOT_PROVED;
    case E_BAD_SIGNATURE:
    case E_CONFLICT: /* two keys of the policy that nobody can tell apart */
        return EVIDENCE_OUTCOME_BAD_SIGNATURE;
    case E_NOT_FOUND:
        return EVIDENCE_OUTCOME_UNKNOWN_LOG;
    default:
        return EVIDENCE_OUTCOME_MALFORMED;
    }
}

static enum err_code judge_proof(struct evidence_report *report)
{
    const struct vkey *keys[KEYS_MAX];
    size_t count = policy_keys(report->policy, keys);
    enum err_code rc = check_known(&report->evidence, report->policy, &report->why);
    if (rc == E_OK) {
        rc = evidence_verify(&report->evidence, keys, count, &report->verdict, &report->why);
    }
    for (size_t i = 0; rc == E_OK && i < 2; i++) {
        report->keys[i] = keys[report->verdict.keys[i]];
    }
    return rc;
}

/* `monitor` may be NULL: then it is told what is claimed, and by whom. */
static enum err_code judge_observation(struct evidence_report *report, const struct vkey *monitor)
{
    const struct evidence *evidence = &report->evidence;
    struct note note;
    enum err_code rc = note_parse(&note, evidence->notes[0], &report->why);
    if (rc != E_OK) {
        return rc;
    }
    snprintf(report->monitor, sizeof report->monitor, "%.*s+%08x", SPAN_PRINTF(note.lines[0].name),
             (unsigned)note.lines[0].key_id);
    note_clear(&note);
    if (monitor == NULL) {
        return evidence_read_observation(&report->verdict.observation, evidence, &report->why);
    }
    report->is_checked = true;
    return evidence_verify(evidence, &monitor, 1, &report->verdict, &report->why);
}

static void judge(struct evidence_report *report, const struct vkey *monitor, struct span bytes)
{
    enum err_code rc = evidence_parse(&report->evidence, bytes, &report->why);
    bool is_said = rc == E_OK && report->evidence.kind == EVIDENCE_OBSERVATION;
    if (is_said) {
        rc = judge_observation(report, monitor);
    } else if (rc == E_OK) {
        rc = judge_proof(report);
    }
    report->outcome = is_said && rc == E_OK ? EVIDENCE_OUTCOME_SAID : outcome_of(rc);
}

/* -- files -- */

struct request {
    struct output output;
    struct policy *policy; /* owned */
    struct vkey monitor;
    bool has_monitor;
    json_t *files; /* of several files with --json, else NULL */
};

static void print_report(const struct request *request, const struct evidence_report *report,
                         const char *path, bool is_alone)
{
    if (!request->output.is_json) {
        evidence_report_print(report, is_alone ? NULL : path);
    } else if (is_alone) {
        output_json(evidence_report_json(report));
    } else {
        json_t *object = evidence_report_json(report);
        json_object_set_new(object, "file", output_json_text(span_of_str(path)));
        json_array_append_new(request->files, object);
    }
}

static int fail_file(const struct request *request, const char *path, const struct err *err,
                     bool is_alone)
{
    const struct output quiet = { .is_json = false };
    if (!is_alone && request->output.is_json) {
        json_t *object = json_object();
        json_object_set_new(object, "file", output_json_text(span_of_str(path)));
        json_object_set_new(object, "ok", json_false());
        json_object_set_new(object, "error", output_json_text(span_of_str(err->msg)));
        json_array_append_new(request->files, object);
    }
    output_error(is_alone ? &request->output : &quiet, err);
    return OUTPUT_IO;
}

static int judge_file(const struct request *request, const char *path, bool is_alone)
{
    struct evidence_report *report = NEW(struct evidence_report);
    struct buf bytes = BUF_INIT(EVIDENCE_BYTES_MAX);
    int code = OUTPUT_DONE;
    report->policy = request->policy;
    enum err_code rc = command_read_file(&bytes, path, &report->why);
    if (rc != E_OK && rc != E_TOO_LARGE) {
        code = fail_file(request, path, &report->why, is_alone);
        goto out;
    }
    if (rc == E_OK) {
        judge(report, request->has_monitor ? &request->monitor : NULL, buf_span(&bytes));
    } else {
        report->outcome = EVIDENCE_OUTCOME_MALFORMED;
    }
    print_report(request, report, path, is_alone);
    code = report->outcome == EVIDENCE_OUTCOME_PROVED ? OUTPUT_DONE : OUTPUT_VERDICT;
out:
    buf_clear(&bytes);
    mem_free(report);
    return code;
}

/* The worst of all: a file that cannot be read, then one that proves nothing. */
static int judge_files(struct request *request, const struct command_line *line)
{
    int worst = OUTPUT_DONE;
    bool is_alone = line->operand_count == 1;
    request->files = request->output.is_json && !is_alone ? json_array() : NULL;
    for (size_t i = 0; i < line->operand_count; i++) {
        if (i > 0 && !request->output.is_json) {
            printf("\n");
        }
        int code = judge_file(request, line->operands[i], is_alone);
        worst = code > worst ? code : worst;
    }
    if (request->files != NULL) {
        json_t *object = json_object();
        json_object_set_new(object, "ok", json_boolean(worst == OUTPUT_DONE));
        json_object_set_new(object, "files", request->files);
        output_json(object);
    }
    return worst;
}

/* -- the command -- */

static bool looks_like_vkey(const char *text)
{
    const char *plus = strchr(text, '+');
    return plus != NULL && strchr(plus + 1, '+') != NULL;
}

/* A vkey, or a file with one. */
static enum err_code read_monitor(struct vkey *out, const char *text, struct err *err)
{
    enum {
        FILE_BYTES_MAX = 4096
    };
    enum err_code rc = vkey_parse(out, span_of_str(text), err);
    if (rc != E_OK && !looks_like_vkey(text)) {
        struct buf bytes = BUF_INIT(FILE_BYTES_MAX);
        rc = command_read_file(&bytes, text, err);
        if (rc == E_OK) {
            struct span vkey = buf_span(&bytes);
            vkey.len -= span_has_suffix(vkey, span_of_str("\n"));
            rc = vkey_parse(out, vkey, err);
        }
        buf_clear(&bytes);
    }
    return rc == E_OK ? vkey_require_type(out, SIGNATURE_ED25519, err) : rc;
}

static int run(int argc, char **argv)
{
    struct request request = { 0 };
    const char *policy_path = NULL, *monitor = NULL;
    const struct command_option options[] = {
        { .name = "policy",
          .argument = "P",
          .help = "the policy: the keys of logs and witnesses; a log's promise key is a log line\n"
                  "of its own, whose key is named ORIGIN/promise",
          .text = &policy_path,
          .is_required = true },
        { .name = "monitor",
          .argument = "VKEY|FILE",
          .help = "the key of the monitor that signed an observation, or a file with it",
          .text = &monitor },
        COMMAND_OPTION_JSON(&request.output),
    };
    struct command_line line;
    struct err err;
    int code = OUTPUT_DONE;
    if (!command_parse(&line, &verify_evidence_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    if (monitor != NULL) {
        enum err_code rc = read_monitor(&request.monitor, monitor, &err);
        if (rc == E_IO || rc == E_NOT_FOUND) {
            return output_failed(&request.output, &err);
        }
        if (rc != E_OK) {
            return command_usage_error(&verify_evidence_command, "--monitor: %s", err.msg);
        }
        request.has_monitor = true;
    }
    if (command_read_policy(&request.policy, policy_path, &err) != E_OK) {
        return command_policy_failed(&request.output, &err);
    }
    code = judge_files(&request, &line);
    policy_free(request.policy);
    return code;
}

const struct command verify_evidence_command = {
    .name = "verify-evidence",
    .arguments = "FILE... --policy P [--monitor VKEY|FILE.vkey]",
    .summary = "verify proof of misbehaviour, offline",
    .text =
        "FILE is evidence that a witness or a monitor kept. No network is used, and nothing is\n"
        "believed but the keys of the policy. The first words are\n"
        "  FORK                  proved: a log signed two histories (exit status 0)\n"
        "  WITNESS EQUIVOCATION  proved: a witness cosigned trees that contradict each other, or\n"
        "                        a smaller one later (0)\n"
        "  PROMISE BROKEN        proved: another entry is where a log promised one (0)\n"
        "  monitor NAME says     an observation: the monitor's word and no proof, whether its\n"
        "                        signature was checked (--monitor) or not (1)\n"
        "  NOT PROVED            all is signed, but there is no contradiction (1)\n"
        "  BAD SIGNATURE         a note is not signed by the keys in question alone (1)\n"
        "  UNKNOWN LOG           the policy does not list the log (1)\n"
        "  MALFORMED             the file is no evidence (1)\n"
        "Of several files the worst one gives the exit status.\n"
        "\n"
        "It proves what the holder of a key signed. It does not prove who was shown what, which "
        "of\n"
        "two histories is right, or that nobody else had the key.\n",
    .examples = "courtroll verify-evidence fork.evidence --policy court.policy\n"
                "courtroll verify-evidence alert.evidence --policy court.policy --monitor m.vkey\n",
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .run = run,
};
