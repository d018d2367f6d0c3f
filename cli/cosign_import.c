/* cosign_import.c -- gives cosignatures that came back as files to the log.
 *
 * Each is verified here, by the policy, before the log hears of it; the log verifies it again. It gets its
 * own line, too: a note under its key that is not of its tree shows it that two histories are out. */
#include "cli/cosign.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

enum {
    WAIT_S_MAX = 24 * 60 * 60,
    PAUSE_MS = 200,
};

struct cosign_import {
    struct output output;
    struct log_address address;
    struct policy *policy; /* owned */
    struct rpc_log *log;   /* owned */
    uint64_t wait_s;
    bool has_taken;    /* the log did take one */
    uint64_t size_max; /* of the checkpoints that it took */
    json_t *rows;      /* with --json; owned */
    int code;          /* the worst so far */
};

/* A file, verified. */
struct cosignatures {
    struct checkpoint checkpoint;
    struct note_verified verified[NOTE_SIGNATURES_MAX];
    size_t count;
    size_t bad_count; /* lines of known witnesses that do not verify */
    struct buf note;  /* owned; the text, the log's line, and the lines that do */
};

/* ---- a file ---- */

/* The first line of the log's key, if it verifies. */
static void put_log_line(struct buf *out, const struct vkey *log, const struct note *note)
{
    for (size_t i = 0; i < note->count; i++) {
        const struct note_line *line = &note->lines[i];
        uint64_t timestamp;
        if (line->key_id == log->id && span_is_str(line->name, log->name)) {
            if (note_signature_is_valid(log, note->text, line->signature, &timestamp)) {
                note_put_line(out, line);
            }
            return;
        }
    }
}

static enum err_code verify_lines(struct cosignatures *out, const struct policy *policy,
                                  const struct note *note, struct err *err)
{
    const struct vkey *keys[POLICY_KEYS_MAX];
    size_t key_count = policy_witness_count(policy);
    for (size_t i = 0; i < key_count; i++) {
        keys[i] = &policy_witness_at(policy, i)->vkey;
    }
    note_verify_each(note, keys, key_count, out->verified, &out->count, &out->bad_count);
    if (out->count == 0) {
        return err_set(err, E_BAD_SIGNATURE, "no cosignature of a witness of the policy verifies");
    }
    buf_put(&out->note, note->text);
    buf_put_u8(&out->note, '\n');
    const struct policy_log *log = policy_log_by_origin(policy, out->checkpoint.origin);
    put_log_line(&out->note, &log->vkey, note);
    for (size_t i = 0; i < out->count; i++) {
        note_put_line(&out->note, &note->lines[out->verified[i].line]);
    }
    return E_OK;
}

/* The caller clears out->note in any case. */
static enum err_code read_cosignatures(struct cosignatures *out, const struct policy *policy,
                                       struct span bytes, struct err *err)
{
    struct note note;
    enum err_code rc = note_parse(&note, bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    rc = checkpoint_parse(&out->checkpoint, note.text, err);
    if (rc == E_OK && policy_log_by_origin(policy, out->checkpoint.origin) == NULL) {
        rc = err_set(err, E_BAD_SIGNATURE, "no log of the policy has the origin \"%s\"",
                     out->checkpoint.origin);
    }
    if (rc == E_OK) {
        rc = verify_lines(out, policy, &note, err);
    }
    note_clear(&note);
    return rc;
}

/* ---- results ---- */

static void take_code(struct cosign_import *import, int code)
{
    /* Not having reached something is worse than a refusal, and that than a bad file. */
    static const int rank[] = { [OUTPUT_DONE] = 0,
                                [OUTPUT_VERDICT] = 1,
                                [OUTPUT_USAGE] = 2,
                                [OUTPUT_REFUSED] = 3,
                                [OUTPUT_IO] = 4 };
    import->code = rank[code] > rank[import->code] ? code : import->code;
}

static void print_failed(struct cosign_import *import, const char *path, const struct err *err)
{
    char *file = output_clean(span_of_str(path));
    char *why = output_clean(span_of_str(err->msg));
    if (import->output.is_json) {
        json_array_append_new(import->rows,
                              json_pack("{s:s, s:b, s:s}", "file", file, "ok", 0, "detail", why));
    } else {
        printf("%s: not taken: %s\n", file, why);
    }
    free(file);
    free(why);
}

static void print_row(const struct cosign_import *import, const char *path,
                      const struct cosignatures *file, const struct rpc_log_added *added)
{
    json_t *witnesses = json_array();
    for (size_t i = 0; i < file->count; i++) {
        const struct note_verified *one = &file->verified[i];
        const char *name = policy_witness_at(import->policy, one->key)->name;
        json_array_append_new(witnesses, json_pack("{s:o, s:I, s:s}", "name",
                                                   output_json_text(span_of_str(name)), "time",
                                                   (json_int_t)one->timestamp, "time_utc",
                                                   output_time(one->timestamp).text));
    }
    json_array_append_new(import->rows,
                          json_pack("{s:o, s:b, s:o, s:I, s:o, s:I, s:I, s:I, s:I}", "file",
                                    output_json_text(span_of_str(path)), "ok", 1, "origin",
                                    output_json_text(span_of_str(file->checkpoint.origin)), "size",
                                    (json_int_t)file->checkpoint.size, "witnesses", witnesses,
                                    "bad_signatures", (json_int_t)file->bad_count, "new",
                                    (json_int_t)added->added, "known", (json_int_t)added->known,
                                    "published_size", (json_int_t)added->published_size));
}

static void print_taken(const struct cosign_import *import, const char *path,
                        const struct cosignatures *file, const struct rpc_log_added *added)
{
    if (import->output.is_json) {
        print_row(import, path, file, added);
        return;
    }
    char *clean = output_clean(span_of_str(path));
    char *origin = output_clean(span_of_str(file->checkpoint.origin));
    printf("%s: %s, %" PRIu64 " entries\n", clean, origin, file->checkpoint.size);
    for (size_t i = 0; i < file->count; i++) {
        const struct note_verified *one = &file->verified[i];
        char *name = output_clean(span_of_str(policy_witness_at(import->policy, one->key)->name));
        printf("  cosigned by %s at %s\n", name, output_time(one->timestamp).text);
        free(name);
    }
    if (file->bad_count > 0) {
        printf("  %zu line(s) of known witnesses do not verify, and are left out\n",
               file->bad_count);
    }
    printf("  %" PRIu64 " new to the log, %" PRIu64 " known already; published size %" PRIu64 "\n",
           added->added, added->known, added->published_size);
    free(clean);
    free(origin);
}

/* ---- the log ---- */

/* False when the log cannot be reached: then there is no use in going on. */
static bool import_file(struct cosign_import *import, const char *path)
{
    struct err err;
    struct rpc_log_added added;
    struct buf bytes = BUF_INIT(NOTE_BYTES_MAX);
    struct cosignatures *file = NEW(struct cosignatures);
    buf_init(&file->note, NOTE_BYTES_MAX);
    enum err_code rc = command_read_file(&bytes, path, &err);
    int code = rc == E_OK || rc == E_TOO_LARGE ? OUTPUT_VERDICT : OUTPUT_IO;
    bool is_reached = true;
    if (rc == E_OK) {
        rc = read_cosignatures(file, import->policy, buf_span(&bytes), &err);
    }
    if (rc == E_OK) {
        rc = rpc_log_add_cosignatures(import->log, buf_span(&file->note), COSIGN_CALL_TIMEOUT_MS,
                                      &added, &err);
        is_reached = rc != E_IO && rc != E_TIMEOUT;
        code = is_reached ? OUTPUT_REFUSED : OUTPUT_IO;
    }
    if (rc == E_OK) {
        uint64_t size = file->checkpoint.size;
        import->has_taken = true;
        import->size_max = size > import->size_max ? size : import->size_max;
        print_taken(import, path, file, &added);
    } else {
        print_failed(import, path, &err);
        take_code(import, code);
    }
    buf_clear(&file->note);
    mem_free(file);
    buf_clear(&bytes);
    return is_reached;
}

/* Is a checkpoint of that size, or a larger one, published, with what the policy asks for? A log that
 * has published nothing yet is UNAVAILABLE, which is what is waited for. */
static enum err_code is_covered(struct cosign_import *import, bool *out, struct err *err)
{
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    struct policy_verdict verdict;
    enum err_code rc = rpc_log_get_checkpoint(import->log, COSIGN_CALL_TIMEOUT_MS, &note, err);
    if (rc == E_OK) {
        rc = policy_open_checkpoint(import->policy, &verdict, buf_span(&note), err);
    }
    if (rc == E_OK) {
        *out = verdict.is_met && verdict.checkpoint.size >= import->size_max;
    }
    buf_clear(&note);
    return rc == E_OK || rc == E_UNAVAILABLE ? E_OK : err_wrap(err, "the log's checkpoint");
}

static void wait_for_publication(struct cosign_import *import)
{
    const struct timespec pause = { 0, PAUSE_MS * 1000000L };
    uint64_t until_ns = output_now_ns() + import->wait_s * 1000000000;
    struct output words = { 0 };
    struct err err;
    bool is_done = false;
    for (;;) {
        enum err_code rc = is_covered(import, &is_done, &err);
        if (rc != E_OK) {
            output_error(&words, &err);
            take_code(import, output_exit_code(rc));
            return;
        }
        if (is_done || output_now_ns() >= until_ns) {
            break;
        }
        nanosleep(&pause, NULL);
    }
    if (is_done && !import->output.is_json) {
        printf("published: a checkpoint of at least %" PRIu64 " entries meets the policy\n",
               import->size_max);
    } else if (!is_done) {
        output_warning("no published checkpoint of %" PRIu64 " entries meets the policy yet",
                       import->size_max);
        take_code(import, OUTPUT_REFUSED);
    }
}

/* ---- the command ---- */

static int import_all(struct cosign_import *import, char *const *paths, size_t count)
{
    struct err err;
    if (cosign_open_log(&import->log, &import->address, &err) != E_OK) {
        return output_failed(&import->output, &err);
    }
    import->rows = import->output.is_json ? json_array() : NULL;
    bool is_reached = true;
    for (size_t i = 0; is_reached && i < count; i++) {
        is_reached = import_file(import, paths[i]);
    }
    if (is_reached && import->wait_s > 0 && import->has_taken) {
        wait_for_publication(import);
    }
    if (import->output.is_json) {
        output_json(json_pack("{s:o}", "files", import->rows));
    }
    rpc_log_close(import->log);
    return import->code;
}

static int run(int argc, char **argv)
{
    struct cosign_import import = { .code = OUTPUT_DONE };
    const char *log = NULL, *policy_path = NULL;
    const struct command_option options[] = {
        { .name = "log",
          .argument = "LOG",
          .help = "HOST:PORT or unix:PATH",
          .text = &log,
          .is_required = true },
        { .name = "policy",
          .argument = "P",
          .help = "the policy: whose cosignatures count",
          .text = &policy_path,
          .is_required = true },
        { .name = "wait",
          .argument = "S",
          .help = "wait so many seconds for a published checkpoint that covers them",
          .number = &import.wait_s,
          .number_min = 1,
          .number_max = WAIT_S_MAX },
        COMMAND_OPTIONS_TLS(&import.address),
        COMMAND_OPTION_JSON(&import.output),
    };
    struct command_line line;
    struct err err;
    int code = OUTPUT_DONE;
    if (!command_parse(&line, &cosign_import_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    code = cosign_parse_log(&import.address, log, &cosign_import_command);
    if (code != OUTPUT_DONE) {
        return code;
    }
    if (command_read_policy(&import.policy, policy_path, &err) != E_OK) {
        return command_policy_failed(&import.output, &err);
    }
    code = import_all(&import, line.operands, line.operand_count);
    policy_free(import.policy);
    return code;
}

const struct command cosign_import_command = {
    .name = "cosign import",
    .arguments = "--log LOG --policy P [--wait S] FILE...",
    .summary = "give cosignatures that came back to the log",
    .text =
        "Each FILE is verified first: who has cosigned it, and when. Then the log gets it, and\n"
        "says what was new to it and what it has published by now. Files may come late, twice,\n"
        "and in any order. Exit status 1 when a file holds no cosignature of the policy, 4 when\n"
        "the log refused one, or --wait was not long enough.\n",
    .examples = "courtroll cosign import --log localhost:6963 --policy court.policy --wait 10 \\\n"
                "    back/*.cosignature\n",
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .run = run,
};
