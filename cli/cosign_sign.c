/* cosign_sign.c -- on the isolated side: hands checkpoint files to the running witness, and writes what
 * it signs.
 *
 * The normal path is: read all files, sort them by log and size, and log by log follow the plan
 * (cosign_plan.h). What a witness holds is found out by asking: its answer to a wrong old size tells. */
#include "base/alloc.h"
#include "base/file.h"
#include "cli/cosign.h"
#include "cli/cosign_plan.h"
#include "client/remote_witness.h"
#include "tlog/checkpoint.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    PATH_BYTES_MAX = 4096,
    WORDS_BYTES_MAX = 4096,
};

enum result {
    RESULT_WAITING,
    RESULT_SIGNED,
    RESULT_PAST,      /* the witness holds more than that */
    RESULT_DUPLICATE, /* of a file that it signed just now */
    RESULT_GAP,       /* no proof starts where the witness stands */
    RESULT_REFUSED,
    RESULT_MALFORMED,
    RESULT_UNREADABLE,
};

struct item {
    const char *path;
    struct buf bytes;        /* owned; `file` points into it */
    struct cosign_file file; /* owned */
    struct checkpoint checkpoint;
    enum result result;
    char out[PATH_BYTES_MAX]; /* what was written */
    char *words;              /* owned; for a person, or NULL */
};

struct sign {
    struct output output;
    struct log_address address;
    struct remote_witness *client; /* owned */
    const char *out;
    const char *out_dir;
    struct item *items; /* owned; in the order given */
    size_t count;
    struct item **sorted; /* owned; those that are well-formed, by origin and size */
    size_t sorted_count;
    bool is_unreached; /* the witness; the rest was not tried */
};

static const char *result_text(enum result result)
{
    static const char *const texts[] = {
        [RESULT_WAITING] = "not tried",   [RESULT_SIGNED] = "signed",
        [RESULT_PAST] = "already past",   [RESULT_DUPLICATE] = "duplicate",
        [RESULT_GAP] = "no proof",        [RESULT_REFUSED] = "refused",
        [RESULT_MALFORMED] = "malformed", [RESULT_UNREADABLE] = "unreadable",
    };
    return texts[result];
}

static void settle(struct item *item, enum result result, struct buf *words)
{
    char *clean = output_clean(buf_span(words));
    item->result = result;
    mem_free(item->words);
    item->words = mem_strdup(clean);
    free(clean);
    buf_clear(words);
}

static void settle_text(struct item *item, enum result result, const char *text)
{
    struct buf words = BUF_INIT(WORDS_BYTES_MAX);
    buf_put_str(&words, text);
    settle(item, result, &words);
}

/* ---- reading ---- */

static enum err_code parse_item(struct item *item, struct err *err)
{
    struct note note;
    enum err_code rc = cosign_file_parse(&item->file, buf_span(&item->bytes), err);
    if (rc != E_OK) {
        return rc;
    }
    rc = note_parse(&note, item->file.note, err);
    if (rc == E_OK) {
        rc = checkpoint_parse(&item->checkpoint, note.text, err);
        note_clear(&note);
    }
    return rc;
}

static void read_item(struct item *item, const char *path)
{
    struct err err;
    item->path = path;
    buf_init(&item->bytes, COSIGN_FILE_BYTES_MAX);
    enum err_code rc = command_read_file(&item->bytes, path, &err);
    if (rc != E_OK && rc != E_TOO_LARGE) {
        settle_text(item, RESULT_UNREADABLE, err.msg);
    } else if (rc == E_TOO_LARGE || parse_item(item, &err) != E_OK) {
        settle_text(item, RESULT_MALFORMED, err.msg);
    }
}

static int compare_items(const void *a, const void *b)
{
    const struct checkpoint *left = &(*(const struct item *const *)a)->checkpoint;
    const struct checkpoint *right = &(*(const struct item *const *)b)->checkpoint;
    int origins = strcmp(left->origin, right->origin);
    if (origins != 0) {
        return origins;
    }
    return left->size < right->size ? -1 : left->size > right->size;
}

static void read_items(struct sign *sign, char *const *paths, size_t count)
{
    sign->items = mem_calloc(count, sizeof *sign->items);
    sign->sorted = mem_calloc(count, sizeof(struct item *));
    sign->count = count;
    for (size_t i = 0; i < count; i++) {
        read_item(&sign->items[i], paths[i]);
        if (sign->items[i].result == RESULT_WAITING) {
            sign->sorted[sign->sorted_count++] = &sign->items[i];
        }
    }
    qsort(sign->sorted, sign->sorted_count, sizeof(struct item *), compare_items);
}

/* ---- writing ---- */

/* A name that no other checkpoint has: of its log and its size. */
static enum err_code choose_name(const struct sign *sign, struct item *item, struct err *err)
{
    struct hash id = sha256(span_of_str(item->checkpoint.origin));
    int len = sign->out != NULL ? snprintf(item->out, sizeof item->out, "%s", sign->out)
                                : snprintf(item->out, sizeof item->out,
                                           "%s/%02x%02x%02x%02x-%" PRIu64 ".cosignature",
                                           sign->out_dir, id.bytes[0], id.bytes[1], id.bytes[2],
                                           id.bytes[3], item->checkpoint.size);
    if (len < 0 || (size_t)len >= sizeof item->out) {
        return err_set(err, E_IO, "too long a path");
    }
    return E_OK;
}

/* The checkpoint's text with the log's line, which the witness has verified, and the witness's lines. With
 * both the log can tell a history of its own from one that somebody else signs with its key. */
static enum err_code write_cosignature(const struct sign *sign, struct item *item,
                                       struct span lines, struct err *err)
{
    struct note note;
    enum err_code rc = note_parse(&note, item->file.note, err);
    assert(rc == E_OK); /* it was parsed before */
    struct buf bytes = BUF_INIT(2 * item->file.note.len + lines.len);
    buf_put(&bytes, note.text);
    buf_put_u8(&bytes, '\n');
    for (size_t i = 0; i < note.count; i++) {
        if (span_is_str(note.lines[i].name, item->checkpoint.origin)) {
            note_put_line(&bytes, &note.lines[i]);
            break; /* more of that name could leave no room for the witness's */
        }
    }
    note_clear(&note);
    buf_put(&bytes, lines);
    rc = choose_name(sign, item, err);
    if (rc == E_OK && (rc = file_replace(item->out, 0644, buf_span(&bytes), err)) != E_OK) {
        rc = err_wrap(err, "%s", item->out);
    }
    buf_clear(&bytes);
    return rc;
}

/* ---- one log ---- */

/* What we know of the witness, and its files. */
struct log_files {
    struct item **items; /* of one origin, by size */
    struct cosign_request requests[COSIGN_PLAN_FILES_MAX];
    size_t count;
    uint64_t held;
    bool is_held_known; /* else `held` is 0, what a witness holds at first */
    size_t tries_left;
};

static void take_signed(struct sign *sign, struct log_files *log, size_t at,
                        const struct remote_witness_reply *reply)
{
    struct err err;
    struct item *item = log->items[at];
    log->held = item->checkpoint.size;
    log->is_held_known = true;
    if (write_cosignature(sign, item, buf_span(&reply->lines), &err) != E_OK) {
        settle_text(item, RESULT_UNREADABLE, err.msg);
        return;
    }
    item->result = RESULT_SIGNED;
    /* The same checkpoint may be there twice; the plan would ask for a fresh cosignature. */
    for (size_t i = at + 1; i < log->count; i++) {
        if (checkpoint_is_equal(&log->items[i]->checkpoint, &item->checkpoint)) {
            struct buf words = BUF_INIT(WORDS_BYTES_MAX);
            buf_putf(&words, "the checkpoint of %.1000s", item->path);
            settle(log->items[i], RESULT_DUPLICATE, &words);
            log->requests[i].is_settled = true;
        }
    }
}

static void take_reply(struct sign *sign, struct log_files *log, size_t at, uint64_t old_size,
                       const struct remote_witness_reply *reply)
{
    struct item *item = log->items[at];
    log->requests[at].is_settled = true;
    switch (reply->answer) {
    case REMOTE_WITNESS_SIGNED:
        take_signed(sign, log, at, reply);
        break;
    case REMOTE_WITNESS_STALE:
        if (reply->stored_size == old_size || log->tries_left == 0) {
            settle_text(item, RESULT_REFUSED, "the witness says another size again and again");
            break;
        }
        log->requests[at].is_settled = false;
        log->held = reply->stored_size;
        log->is_held_known = true;
        break;
    case REMOTE_WITNESS_REFUSED:
        settle_text(item, RESULT_REFUSED, reply->why.msg);
        break;
    }
}

/* Which file, and which of its proofs. A witness of which nothing is known yet holds 0, perhaps; when no
 * file starts there, any proof will do to hear what it holds. False when there is nothing to do. */
static bool choose(const struct log_files *log, size_t *at, uint64_t *old_size)
{
    *at = cosign_plan_next(log->held, log->requests, log->count);
    *old_size = log->held;
    for (size_t i = 0; *at == SIZE_MAX && !log->is_held_known && i < log->count; i++) {
        if (!log->requests[i].is_settled) {
            *at = i;
            *old_size = log->requests[i].file->proofs[0].old_size;
        }
    }
    return *at != SIZE_MAX;
}

/* E_OK when there is nothing more to try; else the witness cannot be reached. */
static enum err_code sign_files(struct sign *sign, struct log_files *log, struct err *err)
{
    const struct proof none = { .count = 0 };
    size_t at = 0;
    uint64_t old_size = 0;
    while (choose(log, &at, &old_size)) {
        const struct cosign_file *file = log->requests[at].file;
        bool is_fresh =
            old_size == log->requests[at].size; /* signed before: only the time is new */
        const struct proof *proof = is_fresh ? &none : cosign_file_proof_from(file, old_size);
        struct remote_witness_reply reply;
        log->tries_left -= log->tries_left > 0;
        enum err_code rc =
            remote_witness_add(sign->client, old_size, proof, file->note, &reply, err);
        if (rc == E_MALFORMED) {
            settle_text(log->items[at], RESULT_REFUSED, err->msg);
            log->requests[at].is_settled = true;
            continue;
        }
        if (rc != E_OK) {
            return rc;
        }
        take_reply(sign, log, at, old_size, &reply);
        remote_witness_reply_clear(&reply);
    }
    return E_OK;
}

static void explain_gap(struct item *item, uint64_t held)
{
    struct buf words = BUF_INIT(WORDS_BYTES_MAX);
    buf_putf(&words, "the witness holds %" PRIu64 "; this file has proofs from", held);
    for (size_t i = 0; i < item->file.count; i++) {
        buf_putf(&words, "%s %" PRIu64, i > 0 ? "," : "", item->file.proofs[i].old_size);
    }
    buf_putf(&words, ": export again with --old %" PRIu64, held);
    settle(item, RESULT_GAP, &words);
}

static void settle_rest(const struct log_files *log)
{
    for (size_t i = 0; i < log->count; i++) {
        struct item *item = log->items[i];
        if (item->result == RESULT_WAITING && item->checkpoint.size <= log->held) {
            struct buf words = BUF_INIT(WORDS_BYTES_MAX);
            buf_putf(&words, "the witness holds %" PRIu64 ": nothing to do", log->held);
            settle(item, RESULT_PAST, &words);
        } else if (item->result == RESULT_WAITING) {
            explain_gap(item, log->held);
        }
    }
}

static enum err_code sign_log(struct sign *sign, struct item **items, size_t count, struct err *err)
{
    struct log_files *log = NEW(struct log_files);
    log->items = items;
    log->count = count;
    log->tries_left = 2 * count + 4; /* each file, and another size in between */
    for (size_t i = 0; i < count; i++) {
        log->requests[i] =
            (struct cosign_request){ .size = items[i]->checkpoint.size, .file = &items[i]->file };
    }
    enum err_code rc = sign_files(sign, log, err);
    if (rc == E_OK) {
        settle_rest(log);
    }
    mem_free(log);
    return rc;
}

static enum err_code sign_all(struct sign *sign, struct err *err)
{
    enum err_code rc = E_OK;
    for (size_t from = 0, to = 0; rc == E_OK && from < sign->sorted_count; from = to) {
        const char *origin = sign->sorted[from]->checkpoint.origin;
        while (to < sign->sorted_count &&
               strcmp(sign->sorted[to]->checkpoint.origin, origin) == 0) {
            to++;
        }
        rc = sign_log(sign, sign->sorted + from, to - from, err);
    }
    return rc;
}

/* ---- results ---- */

static void print_items(const struct sign *sign)
{
    for (size_t i = 0; i < sign->count; i++) {
        const struct item *item = &sign->items[i];
        char *path = output_clean(span_of_str(item->path));
        if (item->result == RESULT_SIGNED) {
            printf("%s: signed at %" PRIu64 " entries, written to %s\n", path,
                   item->checkpoint.size, item->out);
        } else {
            printf("%s: %s%s%s\n", path, result_text(item->result), item->words != NULL ? ": " : "",
                   item->words != NULL ? item->words : "");
        }
        free(path);
    }
}

static void print_items_json(const struct sign *sign)
{
    json_t *files = json_array();
    for (size_t i = 0; i < sign->count; i++) {
        const struct item *item = &sign->items[i];
        json_t *one = json_object();
        bool is_known = item->checkpoint.origin[0] != '\0';
        json_object_set_new(one, "file", output_json_text(span_of_str(item->path)));
        json_object_set_new(one, "result", json_string(result_text(item->result)));
        json_object_set_new(one, "origin",
                            is_known ? output_json_text(span_of_str(item->checkpoint.origin))
                                     : json_null());
        json_object_set_new(one, "size",
                            is_known ? json_integer((json_int_t)item->checkpoint.size)
                                     : json_null());
        json_object_set_new(one, "out",
                            item->result == RESULT_SIGNED ? output_json_text(span_of_str(item->out))
                                                          : json_null());
        json_object_set_new(one, "detail",
                            item->words != NULL ? json_string(item->words) : json_null());
        json_array_append_new(files, one);
    }
    output_json(json_pack("{s:o}", "files", files));
}

/* The worst of all files'. */
static int exit_code(const struct sign *sign)
{
    int code = OUTPUT_DONE;
    for (size_t i = 0; i < sign->count; i++) {
        enum result result = sign->items[i].result;
        if (result == RESULT_UNREADABLE || result == RESULT_WAITING) {
            return OUTPUT_IO;
        }
        if (result == RESULT_GAP || result == RESULT_REFUSED) {
            code = OUTPUT_REFUSED;
        } else if (result == RESULT_MALFORMED && code == OUTPUT_DONE) {
            code = OUTPUT_VERDICT;
        }
    }
    return code;
}

/* ---- the command ---- */

static int sign_run(struct sign *sign, char *const *paths, size_t count)
{
    struct err err;
    enum err_code rc = E_OK;
    read_items(sign, paths, count);
    if (sign->out_dir != NULL) {
        rc = file_make_directory(sign->out_dir, 0755, &err);
    }
    if (rc == E_OK && sign->sorted_count > 0) {
        rc = remote_witness_open(&sign->client, &sign->address, &err);
    }
    if (rc == E_OK) {
        rc = sign_all(sign, &err);
    }
    struct output words = { 0 }; /* the one JSON object is about the files */
    if (rc != E_OK) {
        output_error(&words, &err);
    }
    sign->output.is_json ? print_items_json(sign) : print_items(sign);
    int code = rc == E_OK ? exit_code(sign) : OUTPUT_IO;
    for (size_t i = 0; i < sign->count; i++) {
        buf_clear(&sign->items[i].bytes);
        cosign_file_clear(&sign->items[i].file);
        mem_free(sign->items[i].words);
    }
    mem_free(sign->items);
    mem_free(sign->sorted);
    remote_witness_close(sign->client);
    return code;
}

static int run(int argc, char **argv)
{
    struct sign sign = { .client = NULL };
    const char *witness = NULL;
    const struct command_option options[] = {
        { .name = "witness",
          .argument = "WITNESS",
          .help = "http(s)://..., HOST:PORT or unix:PATH of the running witness",
          .text = &witness,
          .is_required = true },
        { .name = "out",
          .argument = "FILE",
          .help = "where the cosignature goes, for one FILE",
          .text = &sign.out },
        { .name = "out-dir",
          .argument = "DIR",
          .help = "where cosignatures go: DIR/<log>-<size>.cosignature",
          .text = &sign.out_dir },
        COMMAND_OPTIONS_TLS(&sign.address),
        COMMAND_OPTION_JSON(&sign.output),
    };
    struct command_line line;
    struct err err;
    int code = OUTPUT_DONE;
    if (!command_parse(&line, &cosign_sign_command, options, COMMAND_COUNT(options), argc, argv,
                       &code)) {
        return code;
    }
    if ((sign.out != NULL) == (sign.out_dir != NULL)) {
        return command_usage_error(&cosign_sign_command, "give one of --out and --out-dir");
    }
    if (sign.out != NULL && line.operand_count > 1) {
        return command_usage_error(&cosign_sign_command, "several files need --out-dir");
    }
    if (log_address_parse(&sign.address, witness, &err) != E_OK ||
        sign.address.kind == LOG_ADDRESS_DIRECTORY) {
        return command_usage_error(&cosign_sign_command,
                                   "--witness is http(s)://..., HOST:PORT or unix:PATH");
    }
    return sign_run(&sign, line.operands, line.operand_count);
}

const struct command cosign_sign_command = {
    .name = "cosign sign",
    .arguments = "--witness WITNESS (--out FILE | --out-dir DIR) FILE...",
    .summary = "hand checkpoint files to a running witness",
    .text =
        "Files in any order, late or twice: of each log those are signed that lead furthest from\n"
        "what the witness holds. For each file one line says what became of it:\n"
        "  signed          and where the cosignature is\n"
        "  already past    the witness holds more than that: nothing to do\n"
        "  duplicate       of a file signed just now\n"
        "  no proof        none of its proofs starts where the witness stands, with what to\n"
        "                  ask for (exit status 4)\n"
        "  refused         with the witness's words (exit status 4)\n"
        "  malformed       no request, or damaged on the way (exit status 1)\n",
    .examples = "courtroll cosign sign --witness http://localhost:6972 --out-dir back \\\n"
                "    inbox/*.cosign-request\n",
    .operands_min = 1,
    .operands_max = COSIGN_PLAN_FILES_MAX,
    .run = run,
};
