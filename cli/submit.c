/* submit.c -- `courtroll submit`: operations in, a line each; receipts out, a line each.
 *
 * The normal path is: read the lines that are there, compose them, put them into the spool, and so on; meanwhile
 * receipts are printed as they come, and forgotten once they are printed: one that a crash cut off is printed by the
 * next run. Main thread, but for receipts, which are printed by the spool's thread under a lock.
 */
#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/submit_input.h"
#include "client/case_key_file.h"
#include "client/submitter.h"

#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    LINES_MAX = 500, /* composed at a time */
    PROGRESS_MS = 5000,
    FLUSH_MS = 500,
    TIMEOUT_S_MAX = 30 * 24 * 60 * 60,
    DECOYS_MAX = 36000,
    DELAY_S_MAX = 3600,
    CONNECTIONS_MAX = 32,
};

struct submit {
    struct output output;
    const char *spool_dir, *log, *policy_path, *origin, *case_keys, *proof_dir;
    bool may_create, is_vouched, waits, is_status, tells_accepted;
    uint64_t decoys, delay_s, timeout_s, first_line, connections;
    struct submitter_options options;
    struct policy *policy;       /* owned */
    struct submitter *submitter; /* owned */
    uint64_t accepted;
    uint64_t told_ns; /* progress */

    pthread_mutex_t lock; /* guards stdout and all below */
    pthread_cond_t ready;
    bool is_ready;  /* what earlier runs left is printed */
    uint64_t *kept; /* their tickets, ascending; owned */
    size_t kept_count, kept_room;
    bool is_output_lost;
    uint64_t refused;
};

/* ---- receipts ---- */

static void add_proof(struct submit *submit, json_t *object, const struct spool_receipt *receipt,
                      struct span hex)
{
    struct err err;
    if (submit->proof_dir != NULL) {
        struct buf path = BUF_INIT(PATH_MAX);
        buf_putf(&path, "%.3800s/%.*s.tlog-proof", submit->proof_dir, SPAN_PRINTF(hex));
        if (file_replace(buf_c_str(&path), 0644, receipt->proof, &err) != E_OK) {
            output_warning("%s", err.msg);
            submit->is_output_lost = true;
        }
        json_object_set_new(object, "proof_file", output_json_text(buf_span(&path)));
        buf_clear(&path);
    } else {
        struct buf text = BUF_INIT(2 * PROOF_FILE_BYTES_MAX);
        base64_put(&text, receipt->proof);
        json_object_set_new(object, "proof", json_stringn((const char *)text.data, text.len));
        buf_clear(&text);
    }
}

static json_t *receipt_object(struct submit *submit, const struct spool_receipt *receipt)
{
    json_t *object = json_object();
    struct buf hex = BUF_INIT(2 * HASH_BYTES);
    struct buf path = BUF_INIT(PATH_MAX);
    hex_put(&hex, hash_span(&receipt->leaf));
    json_object_set_new(object, "id", output_json_text(receipt->id));
    json_object_set_new(object, "ticket", json_integer((json_int_t)receipt->ticket));
    json_object_set_new(object, "leaf_hash", output_json_hex(hash_span(&receipt->leaf)));
    payload_dir_put_path(&path, submitter_payload_dir(submit->submitter), &receipt->leaf);
    json_object_set_new(object, "payload", output_json_text(buf_span(&path)));
    if (receipt->is_refused) {
        json_object_set_new(object, "refused", output_json_text(span_of_str(receipt->refusal)));
    } else {
        json_object_set_new(object, "index", json_integer((json_int_t)receipt->index));
        add_proof(submit, object, receipt, buf_span(&hex));
    }
    buf_clear(&hex);
    buf_clear(&path);
    return object;
}

/* With the lock held. Whether it arrived. */
static bool print_receipt(struct submit *submit, const struct spool_receipt *receipt)
{
    json_t *object = receipt_object(submit, receipt);
    bool is_printed = !submit->is_output_lost && json_dumpf(object, stdout, JSON_COMPACT) == 0 &&
                      putchar('\n') != EOF && fflush(stdout) == 0;
    json_decref(object);
    submit->is_output_lost = submit->is_output_lost || !is_printed;
    submit->refused += receipt->is_refused;
    return is_printed;
}

static void forget(struct submit *submit, uint64_t ticket)
{
    struct err err;
    if (spool_forget(submitter_spool(submit->submitter), ticket, &err) != E_OK) {
        output_warning("%s", err.msg);
    }
}

static int compare_tickets(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The spool's thread. */
static void on_receipt(void *ctx, const struct spool_receipt *receipt)
{
    struct submit *submit = ctx;
    pthread_mutex_lock(&submit->lock);
    while (!submit->is_ready) {
        pthread_cond_wait(&submit->ready, &submit->lock);
    }
    bool was_kept =
        submit->kept_count > 0 && bsearch(&receipt->ticket, submit->kept, submit->kept_count,
                                          sizeof submit->kept[0], compare_tickets) != NULL;
    bool is_printed = !was_kept && print_receipt(submit, receipt);
    pthread_mutex_unlock(&submit->lock);
    if (is_printed && !receipt->is_refused) {
        forget(submit, receipt->ticket);
    }
}

static enum err_code on_kept(void *ctx, const struct spool_receipt *receipt, struct err *err)
{
    struct submit *submit = ctx;
    if (!print_receipt(submit, receipt)) {
        return err_set(err, E_IO, "receipts could not be written: they are kept");
    }
    if (submit->kept_count == submit->kept_room) {
        submit->kept_room = submit->kept_room == 0 ? 64 : 2 * submit->kept_room;
        submit->kept = mem_realloc(submit->kept, submit->kept_room * sizeof submit->kept[0]);
    }
    submit->kept[submit->kept_count++] = receipt->ticket;
    return E_OK;
}

/* Receipts that an earlier run was told, or not, and could not print. */
static enum err_code print_kept(struct submit *submit, struct err *err)
{
    pthread_mutex_lock(&submit->lock);
    enum err_code rc = submitter_each_receipt(submit->submitter, on_kept, submit, err);
    submit->is_ready = true;
    pthread_cond_broadcast(&submit->ready);
    pthread_mutex_unlock(&submit->lock);
    for (size_t i = 0; i < submit->kept_count; i++) {
        forget(submit, submit->kept[i]);
    }
    return rc;
}

/* ---- progress ---- */

static void tell_progress(struct submit *submit, bool is_last)
{
    struct spool_status status;
    uint64_t now_ns = output_now_ns();
    if (!is_last && now_ns - submit->told_ns < (uint64_t)PROGRESS_MS * 1000000) {
        return;
    }
    submit->told_ns = now_ns;
    spool_status(submitter_spool(submit->submitter), &status);
    char *reason = output_clean(span_of_str(status.reason));
    fprintf(stderr, "courtroll: %" PRIu64 " accepted, %" PRIu64 " wait, lag %.1f s%s%s\n",
            submit->accepted, status.waiting, (double)status.lag_ms / 1000,
            reason[0] != 0 ? ": " : "", reason);
    free(reason);
}

/* ---- operations ---- */

struct lines {
    struct span text[LINES_MAX];
    size_t count;
    uint64_t first; /* number of the first */
    struct draft drafts[LINES_MAX];
    struct case_key keys[LINES_MAX];
    struct submission_draft items[LINES_MAX];
    size_t places[LINES_MAX]; /* of an item among the lines */
    size_t item_count;
};

static bool is_blank(struct span line)
{
    while (line.len > 0 && strchr(" \t\r", line.data[0]) != NULL) {
        line = span_slice(line, 1, line.len - 1);
    }
    return line.len == 0;
}

/* What is accepted is safe from here on, whatever becomes of us. */
static void tell_accepted(struct submit *submit, const struct lines *lines, size_t count,
                          uint64_t first_ticket)
{
    submit->accepted += count;
    if (!submit->tells_accepted) {
        return;
    }
    pthread_mutex_lock(&submit->lock);
    for (size_t i = 0; i < count; i++) {
        json_t *object =
            json_pack("{s:o, s:I, s:b}", "id", output_json_text(span_of_str(lines->drafts[i].id)),
                      "ticket", (json_int_t)(first_ticket + i), "accepted", 1);
        submit->is_output_lost = submit->is_output_lost ||
                                 json_dumpf(object, stdout, JSON_COMPACT) != 0 ||
                                 putchar('\n') == EOF;
        json_decref(object);
    }
    submit->is_output_lost = fflush(stdout) != 0 || submit->is_output_lost;
    pthread_mutex_unlock(&submit->lock);
}

/* Up to the first bad one, which *failed names; those before it are ready. */
static enum err_code parse_lines(struct submit *submit, struct lines *lines, size_t *failed,
                                 struct err *err)
{
    enum err_code rc = E_OK;
    for (size_t i = 0; i < lines->count && rc == E_OK; i++) {
        size_t at = lines->item_count;
        if (lines->first + i < submit->first_line || is_blank(lines->text[i])) {
            continue;
        }
        *failed = i;
        rc = draft_parse(&lines->drafts[at], lines->text[i], err);
        if (rc != E_OK) {
            break;
        }
        rc = case_key_file_find(&lines->keys[at], submit->case_keys, lines->drafts[at].case_number,
                                submit->may_create, err);
        if (rc != E_OK) {
            draft_clear(&lines->drafts[at]);
            break;
        }
        lines->items[at] = (struct submission_draft){ &lines->drafts[at], &lines->keys[at] };
        lines->places[at] = i;
        lines->item_count++;
    }
    return rc;
}

static void clear_items(struct lines *lines)
{
    for (size_t i = 0; i < lines->item_count; i++) {
        draft_clear(&lines->drafts[i]);
        case_key_wipe(&lines->keys[i]);
    }
    lines->item_count = 0;
}

/* All of them, or those before the one at fault, which is then said. */
static enum err_code put_items(struct submit *submit, struct lines *lines, size_t *failed,
                               struct err *err)
{
    size_t at_fault = 0;
    uint64_t ticket = 0;
    if (lines->item_count == 0) {
        return E_OK;
    }
    enum err_code rc =
        submitter_put(submit->submitter, lines->items, lines->item_count, &ticket, &at_fault, err);
    if (rc == E_OK) {
        tell_accepted(submit, lines, lines->item_count, ticket);
        return E_OK;
    }
    *failed = lines->places[at_fault < lines->item_count ? at_fault : 0];
    if (at_fault > 0 && at_fault < lines->item_count) {
        struct err again;
        size_t ignored;
        if (submitter_put(submit->submitter, lines->items, at_fault, &ticket, &ignored, &again) ==
            E_OK) {
            tell_accepted(submit, lines, at_fault, ticket);
        } else {
            *failed = lines->places[0];
            *err = again;
            rc = again.code;
        }
    }
    return rc;
}

/* A full spool is waited for: the log is behind, and the writer is to feel it. */
static enum err_code put_when_there_is_room(struct submit *submit, struct lines *lines,
                                            size_t *failed, struct err *err)
{
    enum err_code rc;
    while ((rc = put_items(submit, lines, failed, err)) == E_BUSY) {
        struct err ignored;
        tell_progress(submit, false);
        (void)!spool_flush(submitter_spool(submit->submitter), FLUSH_MS, &ignored);
    }
    return rc;
}

/* What is before a bad line is accepted; it and what is behind it is not. */
static enum err_code take_lines(struct submit *submit, struct lines *lines, struct err *err)
{
    size_t failed = 0, bad = 0;
    struct err parse_err;
    enum err_code parsed = parse_lines(submit, lines, &bad, &parse_err);
    enum err_code rc = put_when_there_is_room(submit, lines, &failed, err);
    if (rc == E_OK && parsed != E_OK) {
        *err = parse_err;
        failed = bad;
        rc = parsed;
    }
    clear_items(lines);
    if (rc != E_OK) {
        err_wrap(err,
                 "line %" PRIu64 " is not accepted, nor what is behind it (go on with "
                 "--first-line %" PRIu64 ")",
                 lines->first + failed, lines->first + failed);
    }
    return rc;
}

static enum err_code read_operations(struct submit *submit, const char *path, struct err *err)
{
    struct submit_input input;
    enum err_code rc = submit_input_open(&input, path, err);
    if (rc != E_OK) {
        return rc;
    }
    struct lines *lines = NEW(struct lines);
    do {
        lines->first = input.line + 1;
        rc = submit_input_next(&input, lines->text, LINES_MAX, &lines->count, err);
        if (rc == E_OK && lines->count > 0) {
            rc = take_lines(submit, lines, err);
            tell_progress(submit, false);
        }
    } while (rc == E_OK && lines->count > 0);
    mem_free(lines);
    submit_input_close(&input);
    return rc;
}

static enum err_code wait_for_proofs(struct submit *submit, struct err *err)
{
    uint64_t until_ns = output_now_ns() + submit->timeout_s * 1000000000;
    enum err_code rc = E_TIMEOUT;
    while (rc == E_TIMEOUT && (submit->timeout_s == 0 || output_now_ns() < until_ns)) {
        rc = spool_flush(submitter_spool(submit->submitter), FLUSH_MS, err);
        tell_progress(submit, false);
    }
    return rc;
}

/* ---- status ---- */

static int print_status(const struct submit *submit)
{
    struct spool_status status;
    struct err err;
    if (spool_status_read(&status, submit->spool_dir, &err) != E_OK) {
        return output_failed(&submit->output, &err);
    }
    if (submit->output.is_json) {
        output_json(
            json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:o}", "waiting",
                      (json_int_t)status.waiting, "waiting_bytes", (json_int_t)status.waiting_bytes,
                      "durable", (json_int_t)status.durable, "refused_now",
                      (json_int_t)status.refused_now, "proved", (json_int_t)status.proved,
                      "refused", (json_int_t)status.refused, "wrong", (json_int_t)status.wrong,
                      "lag_ms", (json_int_t)status.lag_ms, "stopped", (int)status.is_stopped,
                      "reason", output_json_text(span_of_str(status.reason))));
    } else {
        char *reason = output_clean(span_of_str(status.reason));
        printf(
            "%s\n  waiting      %s (%s bytes), lag %.1f s\n  durable      %s of them\n"
            "  refused now  %s of them\n  proved       %s\n  refused      %s\n  wrong        %s\n",
            status.is_stopped ? "STOPPED" : "ok", output_count(status.waiting).text,
            output_count(status.waiting_bytes).text, (double)status.lag_ms / 1000,
            output_count(status.durable).text, output_count(status.refused_now).text,
            output_count(status.proved).text, output_count(status.refused).text,
            output_count(status.wrong).text);
        if (reason[0] != 0) {
            printf("  reason       %s\n", reason);
        }
        free(reason);
    }
    return status.is_stopped ? OUTPUT_VERDICT : OUTPUT_DONE;
}

/* ---- the command ---- */

/* What the exit code says first: that receipts were lost, then the error, then refusals. */
static int exit_code(struct submit *submit, enum err_code rc, const struct err *err)
{
    int code = OUTPUT_DONE;
    if (rc != E_OK) {
        char *words = output_clean(span_of_str(err->msg));
        fprintf(stderr, "courtroll: %s\n", words);
        free(words);
        code = rc == E_MALFORMED || rc == E_TOO_LARGE ? OUTPUT_USAGE
               : rc == E_TIMEOUT || rc == E_CONFLICT  ? OUTPUT_REFUSED
               : rc == E_UNAVAILABLE                  ? OUTPUT_IO
                                                      : output_exit_code(rc);
    } else if (submit->refused > 0) {
        code = OUTPUT_REFUSED;
    }
    return submit->is_output_lost ? OUTPUT_IO : code;
}

static int run_spool(struct submit *submit, const char *path)
{
    struct err err, wait_err;
    pthread_mutex_init(&submit->lock, NULL);
    pthread_cond_init(&submit->ready, NULL);
    enum err_code rc = submitter_open(&submit->submitter, &submit->options, &err);
    if (rc != E_OK) {
        return exit_code(submit, rc, &err);
    }
    submit->told_ns = output_now_ns();
    rc = print_kept(submit, &err);
    if (rc == E_OK) {
        rc = read_operations(submit, path, &err);
    }
    if (submit->waits) {
        enum err_code waited = wait_for_proofs(submit, &wait_err);
        if (rc == E_OK && waited != E_OK) {
            err = wait_err;
            rc = waited;
        }
    }
    tell_progress(submit, true);
    submitter_close(submit->submitter);
    mem_free(submit->kept);
    return exit_code(submit, rc, &err);
}

/* Not OUTPUT_DONE: then it has been said. */
static int check_options(struct submit *submit)
{
    struct submitter_options *options = &submit->options;
    const struct {
        const char *name, *value;
    } required[] = { { "--log", submit->log },
                     { "--policy", submit->policy_path },
                     { "--key", options->key_path },
                     { "--case-keys", submit->case_keys },
                     { "--payload-key", options->payload_key_path },
                     { "--payloads", options->payload_dir } };
    struct err err;
    for (size_t i = 0; i < COMMAND_COUNT(required); i++) {
        if (required[i].value == NULL) {
            return command_usage_error(&submit_command, "%s is missing", required[i].name);
        }
    }
    if (log_address_parse(&options->spool.log, submit->log, &err) != E_OK) {
        return command_usage_error(&submit_command, "--log: %s", err.msg);
    }
    if (submit->decoys > 0 && options->decoy_court == NULL) {
        return command_usage_error(&submit_command, "--decoys-per-hour needs --decoy-court");
    }
    if (command_read_policy(&submit->policy, submit->policy_path, &err) != E_OK) {
        return command_policy_failed(&submit->output, &err);
    }
    const struct policy_log *log = NULL;
    options->spool.origin = submit->origin;
    if (submit->origin == NULL &&
        command_policy_log(&log, submit->policy, submit->log, &err) != E_OK) {
        return command_usage_error(&submit_command, "%s, or give --origin", err.msg);
    }
    options->spool.origin = log != NULL ? log->vkey.name : submit->origin;
    return OUTPUT_DONE;
}

static void fill_options(struct submit *submit)
{
    struct submitter_options *options = &submit->options;
    options->spool.dir = submit->spool_dir;
    options->spool.policy = submit->policy;
    options->spool.connections = (unsigned)submit->connections;
    options->spool.sealed_delay_max_ms = (uint32_t)submit->delay_s * 1000;
    options->spool.ctx = submit;
    options->spool.on_receipt = on_receipt;
    options->is_vouched = submit->is_vouched;
    options->decoys_per_hour = (double)submit->decoys;
}

static int run_checked(struct submit *submit, const struct command_line *line)
{
    if (submit->is_status) {
        return line->operand_count == 0
                   ? print_status(submit)
                   : command_usage_error(&submit_command, "--status takes no file");
    }
    int code = check_options(submit);
    if (code == OUTPUT_DONE) {
        fill_options(submit);
        code = run_spool(submit, line->operand_count == 1 ? line->operands[0] : "-");
    }
    policy_free(submit->policy);
    return code;
}

static int run(int argc, char **argv)
{
    struct submit submit = { .delay_s = 60 };
    struct submitter_options *to = &submit.options;
    const struct command_option options[] = {
        { .name = "spool",
          .argument = "DIR",
          .help = "where what is accepted is kept until it is proved",
          .text = &submit.spool_dir,
          .is_required = true },
        { .name = "status",
          .help = "say how it stands, and do nothing",
          .flag = &submit.is_status },
        { .name = "log",
          .argument = "LOG",
          .help = "the log's gRPC address: HOST:PORT or unix:PATH",
          .text = &submit.log },
        { .name = "policy",
          .argument = "FILE",
          .help = "the policy that receipts must meet",
          .text = &submit.policy_path },
        { .name = "origin",
          .argument = "ORIGIN",
          .help = "which log of the policy, if it lists several",
          .text = &submit.origin },
        { .name = "key", .argument = "FILE", .help = "the submitter's key", .text = &to->key_path },
        { .name = "case-keys",
          .argument = "DIR",
          .help = "the case keys: SHA-256 of the case number in hex, and .casekey",
          .text = &submit.case_keys },
        { .name = "new-cases",
          .help = "make a key for a case that has none",
          .flag = &submit.may_create },
        { .name = "payload-key",
          .argument = "FILE",
          .help = "what payloads are encrypted under",
          .text = &to->payload_key_path },
        { .name = "payloads",
          .argument = "DIR",
          .help = "where payloads are kept",
          .text = &to->payload_dir },
        { .name = "channel",
          .help = "unsigned records, for which the log vouches by mTLS",
          .flag = &submit.is_vouched },
        { .name = "wait",
          .help = "leave when all that was accepted is proved or refused",
          .flag = &submit.waits },
        { .name = "timeout",
          .argument = "S",
          .help = "with --wait: at most so many seconds behind the last line [no limit]",
          .number = &submit.timeout_s,
          .number_min = 1,
          .number_max = TIMEOUT_S_MAX },
        { .name = "acknowledge",
          .help = "print a line, with \"accepted\", for each operation as it is accepted",
          .flag = &submit.tells_accepted },
        { .name = "first-line",
          .argument = "N",
          .help = "skip the lines before",
          .number = &submit.first_line,
          .number_min = 1 },
        { .name = "proof-dir",
          .argument = "DIR",
          .help = "write proofs to DIR/LEAF.tlog-proof, instead of base64 in the line",
          .text = &submit.proof_dir },
        { .name = "decoys-per-hour",
          .argument = "N",
          .help = "sealed records of nothing, opened within a week [0]",
          .number = &submit.decoys,
          .number_max = DECOYS_MAX },
        { .name = "decoy-court",
          .argument = "COURT",
          .help = "the court code they seem to be of",
          .text = &to->decoy_court },
        { .name = "sealed-delay",
          .argument = "S",
          .help = "sealed records leave after a random time up to this [60]",
          .number = &submit.delay_s,
          .number_max = DELAY_S_MAX },
        { .name = "connections",
          .argument = "N",
          .help = "to the log [4], and one more for sealed records",
          .number = &submit.connections,
          .number_min = 1,
          .number_max = CONNECTIONS_MAX },
        COMMAND_OPTIONS_TLS(&to->spool.log),
        COMMAND_OPTION_JSON(&submit.output),
    };
    struct command_line line;
    int code = 0;
    if (!command_parse(&line, &submit_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    return run_checked(&submit, &line);
}

const struct command submit_command = {
    .name = "submit",
    .arguments =
        "--spool DIR --log LOG --policy FILE --key FILE --case-keys DIR --payload-key FILE\n"
        "--payloads DIR [OPTION...] [FILE]\n--status --spool DIR",
    .summary = "submit operations through a durable spool",
    .text =
        "Reads operations, a JSON object a line, from FILE or stdin, and accepts each: it gets "
        "the\n"
        "next number of its case, is signed, its payload is encrypted, and both are on the disk.\n"
        "Then the spool sends it until the log has shown a receipt that verifies under the "
        "policy,\n"
        "for which a line of JSON is printed:\n"
        "\n"
        "  "
        "{\"id\":...,\"ticket\":N,\"leaf_hash\":HEX,\"payload\":PATH,\"index\":N,\"proof\":BASE64}"
        "\n"
        "\n"
        "or, for one that the log refuses, \"refused\" with its words instead of the last two. "
        "What\n"
        "is not proved when the command ends stays, and goes with the next one that has the "
        "spool.\n"
        "A bad line ends the reading; what stands before it is accepted. courtroll-submit(1) has\n"
        "the names of a line.\n"
        "\n"
        "Leaves with 0; 2 for a bad line; 3 when something cannot be read or written; 4 when the\n"
        "log has refused an operation, the spool has stopped, or --timeout is over. --status\n"
        "leaves with 1 for a spool that has stopped.\n",
    .examples =
        "courtroll submit --spool spool --log log.example:6963 --policy policy --key court.key \\\n"
        "    --case-keys cases --new-cases --payload-key payload.key --payloads payloads \\\n"
        "    --tls-ca ca.pem --tls-cert court.pem --tls-key court.pem.key --wait today.jsonl\n"
        "courtroll submit --status --spool spool\n",
    .operands_max = 1,
    .run = run,
};
