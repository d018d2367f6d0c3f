/* case_verify.c -- `courtroll case verify`: are all operations of a case on the log?
 *
 * The normal path is: verify the log's checkpoint, read every entry up to it, pick out those with the case's tags,
 * see that all of it hashes to the signed root, and only then judge. */
#include "base/ascii.h"
#include "cli/case.h"
#include "cli/case_chain.h"
#include "cli/record.h"
#include "cli/verdict.h"
#include "client/case_key_file.h"
#include "client/entry_scan.h"
#include "client/log_fetch.h"

#include <inttypes.h>

struct case_verify {
    struct output output;
    const char *log_text, *policy_path, *key_path;
    struct command_texts submitters;
    struct submitter_id ids[COMMAND_TEXTS_MAX]; /* those */

    struct log_address address;
    struct policy *policy; /* owned */
    struct policy_verdict checkpoint;
    struct case_key key;
    struct case_chain *chain; /* owned; during the scan */
    struct output_progress progress;
};

static const char unseen[] = "an operation that was never given a number cannot be seen here";

static const char counts_vouched[] = "vouched for by the log only: CLOSED is not signed";

static const char *verdict_word(enum case_chain_verdict verdict)
{
    static const char *const words[] = {
        [CASE_CHAIN_CLOSED] = "COMPLETE AND CLOSED",
        [CASE_CHAIN_OPEN] = "COMPLETE SO FAR",
        [CASE_CHAIN_INCOMPLETE] = "INCOMPLETE",
        [CASE_CHAIN_FAULTY] = "FAULTY",
        [CASE_CHAIN_NONE] = "NOT FOUND",
    };
    return words[verdict];
}

static bool is_fine(const struct case_chain_report *report)
{
    return report->verdict == CASE_CHAIN_CLOSED || report->verdict == CASE_CHAIN_OPEN;
}

/* ---- what is printed ---- */

static void put_summary(struct buf *out, const struct case_chain_report *report)
{
    const char *all = report->operations == 1 ? "" : "s";
    switch (report->verdict) {
    case CASE_CHAIN_CLOSED:
        buf_putf(out, "complete and closed with %" PRIu64 " operation%s", report->operations, all);
        break;
    case CASE_CHAIN_OPEN:
        buf_putf(out,
                 "complete up to the last of %" PRIu64 " operation%s found: ", report->operations,
                 all);
        if (report->is_closed) {
            buf_putf(out, "%" PRIu64 " came after CLOSED, and nothing says that it is all",
                     report->after_closed);
        } else {
            buf_put_str(out, "it is not closed, and nothing says that it is all");
        }
        break;
    case CASE_CHAIN_NONE:
        buf_putf(out, "no operation of this case is on the log, by %zu registered submitters",
                 report->registered);
        break;
    default:
        buf_putf(out, "%" PRIu64 " problem%s among %" PRIu64 " operation%s found",
                 report->problem_count, report->problem_count == 1 ? "" : "s", report->operations,
                 all);
        break;
    }
}

static void print_people(const struct case_verify *verify, const struct case_chain_report *report)
{
    struct buf text = BUF_INIT(1024);
    put_summary(&text, report);
    printf("%s\n  %-14s%s\n", verdict_word(report->verdict), "case", buf_c_str(&text));
    buf_clear(&text);
    for (size_t i = 0; i < report->submitter_count; i++) {
        const struct case_chain_submitter *submitter = &report->submitters[i];
        printf("  %-14s%s: %" PRIu64 " operations, numbers up to %" PRIu64 ", entries %" PRIu64
               " to %" PRIu64 "\n",
               "submitter", submitter->name, submitter->operations, submitter->next - 1,
               submitter->first_index, submitter->last_index);
    }
    for (size_t i = 0; i < report->kept_count; i++) {
        printf("  %-14s%s\n", "problem", report->problems[i].text);
    }
    if (report->problem_count > report->kept_count) {
        printf("  %-14s%" PRIu64 " more\n", "problem", report->problem_count - report->kept_count);
    }
    if (report->sealed > 0) {
        printf("  %-14s%" PRIu64 " operations: whose they are only UNSEAL shows\n", "sealed",
               report->sealed);
    }
    if (report->vouched > 0) {
        printf("  %-14s%" PRIu64 " operations: sender vouched for by the log only\n", "unsigned",
               report->vouched);
    }
    if (report->is_closed_vouched) {
        printf("  %-14s%s\n", "counts", counts_vouched);
    }
    printf("  %-14s%s\n", "not seen", unseen);
    verdict_print_checkpoint(verify->policy, &verify->checkpoint);
}

static json_t *submitters_json(const struct case_chain_report *report)
{
    json_t *submitters = json_array();
    for (size_t i = 0; i < report->submitter_count; i++) {
        const struct case_chain_submitter *submitter = &report->submitters[i];
        json_array_append_new(submitters,
                              json_pack("{s:o, s:o, s:I, s:I, s:I, s:I}", "submitter",
                                        output_json_hex(SPAN_OF_ARRAY(submitter->id.bytes)), "name",
                                        output_json_text(span_of_str(submitter->name)),
                                        "operations", (json_int_t)submitter->operations, "next",
                                        (json_int_t)submitter->next, "first_index",
                                        (json_int_t)submitter->first_index, "last_index",
                                        (json_int_t)submitter->last_index));
    }
    return submitters;
}

static json_t *problems_json(const struct case_chain_report *report)
{
    json_t *problems = json_array();
    for (size_t i = 0; i < report->kept_count; i++) {
        const struct case_chain_problem *problem = &report->problems[i];
        json_t *object =
            json_pack("{s:o, s:b}", "text", output_json_text(span_of_str(problem->text)), "missing",
                      (int)problem->is_missing);
        if (problem->is_missing) {
            json_object_set_new(object, "submitter",
                                output_json_hex(SPAN_OF_ARRAY(problem->submitter.bytes)));
            json_object_set_new(object, "number", json_integer((json_int_t)problem->number));
            json_object_set_new(object, "count", json_integer((json_int_t)problem->count));
        }
        json_array_append_new(problems, object);
    }
    return problems;
}

static void print_json(const struct case_verify *verify, const struct case_chain_report *report)
{
    struct buf text = BUF_INIT(1024);
    put_summary(&text, report);
    json_t *object = verdict_json(VERDICT_PASS, verify->policy);
    json_object_set_new(object, "verdict", json_string(verdict_word(report->verdict)));
    json_object_set_new(object, "ok", json_boolean(is_fine(report)));
    json_object_set_new(object, "summary", json_string(buf_c_str(&text)));
    json_object_set_new(object, "closed", json_boolean(report->is_closed));
    json_object_set_new(object, "closed_vouched", json_boolean(report->is_closed_vouched));
    json_object_set_new(object, "operations", json_integer((json_int_t)report->operations));
    json_object_set_new(object, "after_closed", json_integer((json_int_t)report->after_closed));
    json_object_set_new(object, "sealed", json_integer((json_int_t)report->sealed));
    json_object_set_new(object, "vouched", json_integer((json_int_t)report->vouched));
    json_object_set_new(object, "registered", json_integer((json_int_t)report->registered));
    json_object_set_new(object, "submitters", submitters_json(report));
    json_object_set_new(object, "problem_count", json_integer((json_int_t)report->problem_count));
    json_object_set_new(object, "problems", problems_json(report));
    json_object_set_new(object, "not_seen", json_string(unseen));
    verdict_put_checkpoint(object, verify->policy, &verify->checkpoint);
    output_json(object);
    buf_clear(&text);
}

/* ---- the scan ---- */

static enum err_code on_entry(void *ctx, uint64_t index, struct span entry, struct err *err)
{
    struct case_verify *verify = ctx;
    return case_chain_add(verify->chain, index, entry, err);
}

static void on_progress(void *ctx, uint64_t entries)
{
    struct case_verify *verify = ctx;
    output_progress_set(&verify->progress, entries);
}

static int scan(struct case_verify *verify)
{
    const struct entry_scan_options options = {
        .log = &verify->address,
        .size = verify->checkpoint.checkpoint.size,
        .root = verify->checkpoint.checkpoint.root,
        .ctx = verify,
        .on_entry = on_entry,
        .on_progress = on_progress,
    };
    struct err err;
    output_progress_begin(&verify->progress, "looked at", "entries", options.size);
    enum err_code rc = entry_scan_run(&options, &err);
    output_progress_end(&verify->progress);
    if (rc != E_OK) {
        int code = output_failed(&verify->output, &err);
        return rc == E_CORRUPT ? OUTPUT_VERDICT : code;
    }
    struct case_chain_report report;
    case_chain_judge(verify->chain, &report);
    if (verify->output.is_json) {
        print_json(verify, &report);
    } else {
        print_people(verify, &report);
    }
    int code = is_fine(&report) ? OUTPUT_DONE : OUTPUT_VERDICT;
    case_chain_report_clear(&report);
    return code;
}

/* Records are bound to the origin of the log whose checkpoint it is. */
static int find_and_judge(struct case_verify *verify)
{
    verify->chain = case_chain_new(&verify->key, verify->checkpoint.log->vkey.name);
    for (size_t i = 0; i < verify->submitters.count; i++) {
        case_chain_restrict(verify->chain, &verify->ids[i]);
    }
    int code = scan(verify);
    case_chain_free(verify->chain);
    return code;
}

static int verify_case(struct case_verify *verify)
{
    struct err err;
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    enum err_code rc = log_fetch_checkpoint(&verify->address, &note, &err);
    if (rc != E_OK) {
        buf_clear(&note);
        return output_failed(&verify->output, &err);
    }
    rc = policy_open_checkpoint(verify->policy, &verify->checkpoint, buf_span(&note), &err);
    buf_clear(&note);
    enum verdict verdict = verdict_of(rc, &verify->checkpoint);
    if (rc == E_OK && verdict != VERDICT_PASS) {
        err_set(&err, E_BAD_SIGNATURE, "the log's checkpoint lacks cosignatures");
    }
    return verdict == VERDICT_PASS ? find_and_judge(verify)
                                   : verdict_fail(&verify->output, verdict, verify->policy, &err);
}

/* ---- the command ---- */

static int prepare(struct case_verify *verify)
{
    struct err err;
    if (log_address_parse(&verify->address, verify->log_text, &err) != E_OK) {
        return command_usage_error(&case_verify_command, "--log: %s", err.msg);
    }
    for (size_t i = 0; i < verify->submitters.count; i++) {
        uint8_t *id = verify->ids[i].bytes;
        if (hex_decode(id, SUBMITTER_ID_BYTES, span_of_str(verify->submitters.items[i]), &err) !=
            E_OK) {
            return command_usage_error(&case_verify_command,
                                       "--submitter: an id is 32 hexadecimal digits");
        }
    }
    if (command_read_policy(&verify->policy, verify->policy_path, &err) != E_OK) {
        return command_policy_failed(&verify->output, &err);
    }
    if (case_key_file_load(&verify->key, verify->key_path, &err) != E_OK) {
        return output_failed(&verify->output, &err);
    }
    return OUTPUT_DONE;
}

static int run(int argc, char **argv)
{
    static struct case_verify verify; /* large; one command a process */
    const struct command_option options[] = {
        { .name = "case-key",
          .argument = "FILE",
          .help = "the key of the case",
          .text = &verify.key_path,
          .is_required = true },
        { .name = "log",
          .argument = "LOG",
          .help = "http(s)://..., HOST:PORT, unix:PATH or file:DIR",
          .text = &verify.log_text,
          .is_required = true },
        { .name = "policy",
          .argument = "P",
          .help = "the policy: which log, and which witnesses are enough",
          .text = &verify.policy_path,
          .is_required = true },
        { .name = "submitter",
          .argument = "ID",
          .help = "look for this one's operations only; may be given several times\n"
                  "[all that are registered on the log]",
          .texts = &verify.submitters },
        COMMAND_OPTIONS_TLS(&verify.address),
        COMMAND_OPTION_JSON(&verify.output),
    };
    struct command_line line;
    int code = OUTPUT_DONE;
    if (!command_parse(&line, &case_verify_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    code = prepare(&verify);
    if (code == OUTPUT_DONE) {
        code = verify_case(&verify);
    }
    case_key_wipe(&verify.key);
    policy_free(verify.policy);
    return code;
}

const struct command case_verify_command = {
    .name = "case verify",
    .arguments = "--case-key FILE --log LOG --policy P [--submitter ID]...",
    .summary = "see that no operation of a case is missing",
    .text =
        "Reads every entry of the log up to its published checkpoint, and finds those of the\n"
        "case by their tags: numbers 0, 1, 2, ... of each submitter that is registered there,\n"
        "in the order of the log. A number that is left out is named. That nothing follows the\n"
        "last one only CLOSED says, with its counts; without it the case is complete so far.\n"
        "What was never given a number cannot be seen, nor what follows a hole of more than\n"
        "1024 numbers (64 at the beginning) that CLOSED does not count.\n"
        "\n"
        "Exit code 0 for COMPLETE AND CLOSED and COMPLETE SO FAR; 1 for INCOMPLETE, FAULTY\n"
        "(out of order, twice, counted otherwise, not signed by its submitter), NOT FOUND, and\n"
        "for a log that is not as it was signed.\n",
    .examples = "courtroll case verify --case-key 2026-123.casekey "
                "--log https://log.court.example --policy policy\n",
    .operands_max = 0,
    .run = run,
};
