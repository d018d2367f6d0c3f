#include "client/fsck.h"

#include "cli/command.h"
#include "cli/verdict.h"
#include "client/journal_tail.h"
#include "client/log_fetch.h"
#include "client/log_reader.h"

#include "base/file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct fsck_command_state {
    struct output output;
    struct log_address log, from;
    bool has_from, is_repair;
    uint64_t threads;
    char data_dir[PATH_MAX]; /* "" when the log is not inside one */
    struct policy *policy;   /* owned */
    struct buf note;         /* owned */
    bool is_note_mirrored;   /* it is the mirror's, and goes to the log when all is well */
    bool has_bad_lines;      /* the log's own note has cosignatures that do not verify */
    struct policy_verdict checkpoint;
    struct output_progress progress;
};

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* `dir` is logd's data-dir, with log/ in it, or the log itself. */
static enum err_code find_log(struct fsck_command_state *state, const char *dir, struct err *err)
{
    char log[PATH_MAX];
    char journal[PATH_MAX];
    if (strlen(dir) + sizeof "/../journal" > sizeof log || strlen(dir) + 5 > LOG_ADDRESS_MAX) {
        return err_set(err, E_IO, "the path of --dir is too long");
    }
    if (!is_directory(dir)) {
        return err_set(err, E_NOT_FOUND, "%s is no directory", dir);
    }
    snprintf(log, sizeof log, "%s/log", dir);
    snprintf(journal, sizeof journal, "%s/../journal", dir);
    state->log.kind = LOG_ADDRESS_DIRECTORY;
    if (is_directory(log)) {
        snprintf(state->log.target, sizeof state->log.target, "%.2000s", log);
        snprintf(state->data_dir, sizeof state->data_dir, "%s", dir);
        return E_OK;
    }
    snprintf(state->log.target, sizeof state->log.target, "%s", dir);
    if (is_directory(journal)) {
        snprintf(state->data_dir, sizeof state->data_dir, "%.4000s/..", dir);
    }
    return E_OK;
}

static void on_progress(void *ctx, uint64_t entries)
{
    output_progress_set(ctx, entries);
}

static enum err_code run_once(struct fsck_command_state *state, bool is_repair,
                              const struct journal_tail *tail, struct fsck_report *report,
                              struct err *err)
{
    struct fsck_options options = {
        .log = &state->log,
        .size = state->checkpoint.checkpoint.size,
        .root = state->checkpoint.checkpoint.root,
        .threads = (unsigned)state->threads,
        .is_repair = is_repair,
        .from = is_repair && state->has_from ? &state->from : NULL,
        .tail = tail,
        .on_progress = on_progress,
        .ctx = &state->progress,
    };
    output_progress_begin(&state->progress, is_repair ? "repaired" : "checked", "entries",
                          options.size);
    enum err_code rc = fsck_run(report, &options, err);
    output_progress_end(&state->progress);
    return rc;
}

/* -- what is printed -- */

static json_t *finding_json(const struct fsck_finding *finding)
{
    json_t *json = json_object();
    json_object_set_new(json, "path", json_string(finding->path));
    json_object_set_new(json, "problem", json_string(fsck_problem_text(finding->problem)));
    json_object_set_new(json, "entry",
                        finding->has_entry ? json_integer((json_int_t)finding->entry)
                                           : json_null());
    json_object_set_new(json, "expected",
                        finding->has_hashes ? output_json_hex(hash_span(&finding->expected))
                                            : json_null());
    json_object_set_new(json, "found",
                        finding->has_hashes ? output_json_hex(hash_span(&finding->found))
                                            : json_null());
    json_object_set_new(json, "repaired", json_boolean(finding->is_repaired));
    json_object_set_new(json, "detail", output_json_text(span_of_str(finding->detail)));
    return json;
}

static json_t *findings_json(const struct fsck_report *report)
{
    json_t *findings = json_array();
    for (size_t i = 0; i < report->finding_count; i++) {
        json_array_append_new(findings, finding_json(&report->findings[i]));
    }
    return findings;
}

static void print_hash(const char *label, const struct hash *hash)
{
    printf("      %-9s", label);
    for (size_t i = 0; i < HASH_BYTES; i++) {
        printf("%02x", hash->bytes[i]);
    }
    printf("\n");
}

static void print_finding(const struct fsck_finding *finding)
{
    printf("  %s: %s", finding->path, fsck_problem_text(finding->problem));
    if (finding->has_entry) {
        printf(", from entry %ju", (uintmax_t)finding->entry);
    }
    printf("%s\n", finding->is_repaired ? ", repaired" : "");
    if (finding->has_hashes) {
        print_hash("expected", &finding->expected);
        print_hash("found", &finding->found);
    }
    if (finding->detail[0] != '\0') {
        char *clean = output_clean(span_of_str(finding->detail));
        printf("      %s\n", clean);
        free(clean);
    }
}

enum {
    PRINTED_MAX = 20 /* findings for people; --json has up to FSCK_FINDINGS_MAX */
};

static void print_findings(const char *heading, const struct fsck_report *report)
{
    if (report->bad_count == 0) {
        return;
    }
    printf("%s %ju bad file(s); the first:\n", heading, (uintmax_t)report->bad_count);
    for (size_t i = 0; i < report->finding_count && i < PRINTED_MAX; i++) {
        print_finding(&report->findings[i]);
    }
    if (report->bad_count > PRINTED_MAX) {
        printf("  and %ju more: see --json\n", (uintmax_t)report->bad_count - PRINTED_MAX);
    }
}

static const char *result_text(const struct fsck_command_state *state,
                               const struct fsck_report *report)
{
    if (report->bad_count > 0) {
        return "DAMAGED";
    }
    return verdict_text(verdict_of(E_OK, &state->checkpoint), state->policy);
}

static void print_json(const struct fsck_command_state *state, const struct fsck_report *report,
                       const struct fsck_report *repair)
{
    json_t *object = verdict_json(verdict_of(E_OK, &state->checkpoint), state->policy);
    double seconds = output_progress_seconds(&state->progress);
    const char *result = result_text(state, report);
    json_object_set_new(object, "verdict", json_string(result));
    json_object_set_new(object, "ok",
                        json_boolean(report->bad_count == 0 && state->checkpoint.is_met));
    verdict_put_checkpoint(object, state->policy, &state->checkpoint);
    json_object_set_new(object, "root_reached", json_boolean(report->is_root_reached));
    json_object_set_new(object, "entries", json_integer((json_int_t)report->entries));
    json_object_set_new(object, "bundles", json_integer((json_int_t)report->bundles));
    json_object_set_new(object, "tiles", json_integer((json_int_t)report->tiles));
    json_object_set_new(object, "bytes", json_integer((json_int_t)report->bytes));
    json_object_set_new(object, "seconds", json_real(seconds));
    json_object_set_new(object, "entries_per_s", json_real(output_progress_rate(&state->progress)));
    json_object_set_new(object, "bad_count", json_integer((json_int_t)report->bad_count));
    json_object_set_new(object, "findings", findings_json(report));
    json_object_set_new(object, "repaired_count",
                        json_integer((json_int_t)(repair != NULL ? repair->repaired_count : 0)));
    json_object_set_new(object, "repair", repair != NULL ? findings_json(repair) : json_null());
    json_t *notes = json_array();
    for (size_t i = 0; i < report->note_count && i < FSCK_NOTES_MAX; i++) {
        json_array_append_new(notes, output_json_text(span_of_str(report->notes[i])));
    }
    json_object_set_new(object, "notes", notes);
    json_object_set_new(object, "note_count", json_integer((json_int_t)report->note_count));
    output_json(object);
}

static void print_people(const struct fsck_command_state *state, const struct fsck_report *report,
                         const struct fsck_report *repair)
{
    printf("%s\n", result_text(state, report));
    verdict_print_checkpoint(state->policy, &state->checkpoint);
    printf("  %-14s%s entries, %s bundles, %s tiles in %.1f s: %s entries/s\n", "re-hashed",
           output_count(report->entries).text, output_count(report->bundles).text,
           output_count(report->tiles).text, output_progress_seconds(&state->progress),
           output_count((uint64_t)output_progress_rate(&state->progress)).text);
    for (size_t i = 0; i < report->note_count && i < FSCK_NOTES_MAX; i++) {
        char *clean = output_clean(span_of_str(report->notes[i]));
        printf("  %-14s%s\n", "note", clean);
        free(clean);
    }
    if (report->note_count > FSCK_NOTES_MAX) {
        printf("  %-14s%ju more\n", "note", (uintmax_t)report->note_count - FSCK_NOTES_MAX);
    }
    if (repair != NULL) {
        printf("repaired %ju of %ju bad file(s)\n", (uintmax_t)repair->repaired_count,
               (uintmax_t)repair->bad_count);
        print_findings("before the repair there were", repair);
    }
    print_findings(repair != NULL ? "there still are" : "there are", report);
}

/* -- check, repair, check again -- */

/* The log's note with a cosignature spoilt is still good enough, perhaps; but it is not what was
 * published. */
static void add_note_finding(const struct fsck_command_state *state, struct fsck_report *report,
                             bool is_repaired)
{
    struct fsck_finding finding = { .path = "checkpoint",
                                    .problem = FSCK_WRONG,
                                    .is_repaired = is_repaired };
    snprintf(finding.detail, sizeof finding.detail,
             "cosignatures of known witnesses do not verify");
    if (state->has_bad_lines) {
        fsck_report_add(report, &finding);
    }
}

/* The same checkpoint from the mirror, if it is whole there. */
static bool take_whole_note(struct fsck_command_state *state)
{
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    struct policy_verdict other;
    struct err ignored;
    bool is_whole =
        state->has_bad_lines && state->has_from &&
        log_fetch_checkpoint(&state->from, &note, &ignored) == E_OK &&
        policy_open_checkpoint(state->policy, &other, buf_span(&note), &ignored) == E_OK &&
        checkpoint_is_equal(&other.checkpoint, &state->checkpoint.checkpoint) &&
        other.bad_signatures == 0;
    if (is_whole) {
        buf_clear(&state->note);
        buf_take(&state->note, &note);
        state->checkpoint = other;
        state->is_note_mirrored = true;
    }
    buf_clear(&note);
    return is_whole;
}

static enum err_code repair_once(struct fsck_command_state *state, struct fsck_report *report,
                                 struct err *err)
{
    struct journal_tail *tail = NULL;
    if (state->data_dir[0] != '\0' && journal_tail_open(&tail, state->data_dir, err) != E_OK) {
        output_warning("the journal is not used: %s", err->msg);
        tail = NULL;
    }
    enum err_code rc = run_once(state, true, tail, report, err);
    journal_tail_close(tail);
    if (rc == E_OK && state->has_bad_lines) {
        bool is_whole = take_whole_note(state);
        add_note_finding(state, report, is_whole);
        state->has_bad_lines = !is_whole;
    }
    return rc;
}

static enum err_code write_note(const struct fsck_command_state *state, struct err *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/checkpoint", state->log.target);
    return file_replace(path, 0644, buf_span(&state->note), err);
}

static int check(struct fsck_command_state *state)
{
    struct fsck_report report = { 0 };
    struct fsck_report repair = { 0 };
    struct err err;
    bool has_repaired = false;
    enum err_code rc = run_once(state, false, NULL, &report, &err);
    add_note_finding(state, &report, false);
    if (rc == E_OK && report.bad_count > 0 && state->is_repair) {
        rc = repair_once(state, &repair, &err);
        has_repaired = rc == E_OK;
        if (rc == E_OK) {
            fsck_report_clear(&report);
            rc = run_once(state, false, NULL, &report, &err);
            add_note_finding(state, &report, false);
        }
    }
    if (rc == E_OK && report.bad_count == 0 && state->is_note_mirrored) {
        rc = write_note(state, &err);
    }
    int code = 0;
    if (rc != E_OK) {
        code = output_failed(&state->output, &err);
        code = code == OUTPUT_VERDICT ? OUTPUT_IO : code;
    } else {
        code = report.bad_count == 0 ? verdict_exit_code(verdict_of(E_OK, &state->checkpoint))
                                     : OUTPUT_VERDICT;
        if (state->output.is_json) {
            print_json(state, &report, has_repaired ? &repair : NULL);
        } else {
            print_people(state, &report, has_repaired ? &repair : NULL);
        }
    }
    fsck_report_clear(&repair);
    fsck_report_clear(&report);
    return code;
}

/* The mirror's checkpoint in place of one that is lost. */
static bool take_mirrored_note(struct fsck_command_state *state)
{
    struct err ignored;
    buf_reset(&state->note);
    state->is_note_mirrored = state->is_repair && state->has_from &&
                              log_fetch_checkpoint(&state->from, &state->note, &ignored) == E_OK &&
                              policy_open_checkpoint(state->policy, &state->checkpoint,
                                                     buf_span(&state->note), &ignored) == E_OK;
    return state->is_note_mirrored;
}

static int read_and_check(struct fsck_command_state *state)
{
    struct err err;
    enum err_code rc = log_fetch_checkpoint(&state->log, &state->note, &err);
    if (rc != E_OK) {
        err_wrap(&err, "checkpoint");
        return take_mirrored_note(state) ? check(state) : output_failed(&state->output, &err);
    }
    rc = policy_open_checkpoint(state->policy, &state->checkpoint, buf_span(&state->note), &err);
    if (rc != E_OK) {
        err_wrap(&err, "checkpoint");
        if (take_mirrored_note(state)) {
            return check(state);
        }
        return verdict_fail(&state->output, verdict_of(rc, &state->checkpoint), state->policy,
                            &err);
    }
    state->has_bad_lines = state->checkpoint.bad_signatures > 0;
    return check(state);
}

static int read_inputs(struct fsck_command_state *state, const char *log, const char *dir,
                       const char *from, const char *policy_path)
{
    struct err err;
    if ((log != NULL) == (dir != NULL)) {
        return command_usage_error(&fsck_command, "give one of --log and --dir");
    }
    if (state->is_repair && dir == NULL) {
        return command_usage_error(&fsck_command, "--repair works on a directory: give --dir");
    }
    if (from != NULL && !state->is_repair) {
        return command_usage_error(&fsck_command, "--from is for --repair");
    }
    if (log != NULL && log_address_parse(&state->log, log, &err) != E_OK) {
        return command_usage_error(&fsck_command, "--log: %s", err.msg);
    }
    if (from != NULL) {
        if (log_address_parse(&state->from, from, &err) != E_OK) {
            return command_usage_error(&fsck_command, "--from: %s", err.msg);
        }
        if (state->from.kind == LOG_ADDRESS_GRPC) {
            return command_usage_error(&fsck_command,
                                       "--from needs tiles: give http(s)://... or file:DIR");
        }
        state->has_from = true;
    }
    if (dir != NULL && find_log(state, dir, &err) != E_OK) {
        return output_failed(&state->output, &err);
    }
    if (command_read_policy(&state->policy, policy_path, &err) != E_OK) {
        return command_policy_failed(&state->output, &err);
    }
    return OUTPUT_DONE;
}

static int run(int argc, char **argv)
{
    static struct fsck_command_state state; /* large; one command a process */
    const char *log = NULL;
    const char *dir = NULL;
    const char *from = NULL;
    const char *policy_path = NULL;
    const struct command_option options[] = {
        { .name = "policy",
          .argument = "P",
          .help = "the policy: which log, and which witnesses are enough",
          .text = &policy_path,
          .is_required = true },
        { .name = "log",
          .argument = "LOG",
          .help = "http(s)://..., HOST:PORT, unix:PATH or file:DIR",
          .text = &log },
        { .name = "dir",
          .argument = "DIR",
          .help = "a log on disk: logd's data-dir, or the log directory itself",
          .text = &dir },
        { .name = "repair",
          .help = "replace bad files: hash tiles from entries, entries from the journal\n"
                  "(when logd is stopped) or the mirror; only by what hashes to the\n"
                  "signed root",
          .flag = &state.is_repair },
        { .name = "from",
          .argument = "LOG",
          .help = "the mirror: http(s)://... or file:DIR",
          .text = &from },
        { .name = "threads",
          .argument = "N",
          .help = "how many [one a core; 8 for http(s)]",
          .number = &state.threads,
          .number_min = 1,
          .number_max = FSCK_THREADS_MAX },
        COMMAND_OPTIONS_TLS(&state.log),
        COMMAND_OPTION_JSON(&state.output),
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &fsck_command, options, COMMAND_COUNT(options), argc, argv, &code)) {
        return code;
    }
    buf_init(&state.note, NOTE_BYTES_MAX);
    code = read_inputs(&state, log, dir, from, policy_path);
    if (state.policy != NULL) {
        code = read_and_check(&state);
    }
    policy_free(state.policy);
    buf_clear(&state.note);
    return code;
}

const struct command fsck_command = {
    .name = "fsck",
    .arguments = "--policy P (--log LOG | --dir DIR [--repair [--from LOG]])",
    .summary = "re-hash a whole log, up to its signed root",
    .text = "Hashes every entry, compares each bundle with its level-0 tile, each tile with its\n"
            "parent, and the top with the root in the checkpoint. Prints PASS, or DAMAGED and the\n"
            "files that are wrong, the first wrong entry of each, with both hashes; or, when the\n"
            "checkpoint is not good enough, the words of 'courtroll verify'.\n",
    .examples = "courtroll fsck --policy court.policy --log https://log.court.example\n"
                "courtroll fsck --policy court.policy --dir /var/lib/courtroll --json\n"
                "courtroll fsck --policy court.policy --dir /var/lib/courtroll --repair \\\n"
                "    --from https://mirror.example/court\n",
    .operands_max = 0,
    .run = run,
};
