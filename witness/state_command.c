#include "witness/state_command.h"

#include "base/file.h"
#include "base/log.h"
#include "store/key_file.h"
#include "witness/state_adopt.h"
#include "witness/state_options.h"
#include "witness/state_show.h"
#include "witness/state_store.h"

#include <stdio.h>
#include <time.h>

enum {
    PROOF_BYTES_MAX = 64 * 1024,
    KEY_FILE_BYTES_MAX = 64 * 1024,
    POINTS_MAX = 3
};

/* A file that the operator named. One that is not there is no verdict on a note. */
static enum err_code read_file(struct buf *out, const char *path, struct err *err)
{
    enum err_code rc = file_read(out, path, err);
    if (rc == E_NOT_FOUND || rc == E_TOO_LARGE) {
        err->code = E_IO;
    }
    return rc == E_OK ? E_OK : err->code;
}

static enum err_code read_logs(struct log_list *out, const char *path, struct err *err)
{
    struct buf bytes = BUF_INIT(LOG_LIST_BYTES_MAX);
    enum err_code rc = read_file(&bytes, path, err);
    if (rc == E_OK && log_list_parse(out, buf_span(&bytes), err) != E_OK) {
        err->code = E_IO;
        rc = err_wrap(err, "%s", path);
    }
    buf_clear(&bytes);
    return rc;
}

static enum err_code read_policy(struct policy **out, const char *path, struct err *err)
{
    struct buf bytes = BUF_INIT(POLICY_BYTES_MAX);
    enum err_code rc = read_file(&bytes, path, err);
    if (rc == E_OK && policy_parse(out, buf_span(&bytes), err) != E_OK) {
        err->code = E_IO;
        rc = err_wrap(err, "%s", path);
    }
    buf_clear(&bytes);
    return rc;
}

/* --- show --- */

static enum err_code show(struct state_store *store, const struct state_options *options,
                          struct err *err)
{
    struct mark_file *mark = NULL;
    struct log_list logs = { 0 };
    enum err_code rc = E_OK;
    if (options->mark_path != NULL) {
        rc = mark_file_open(&mark, options->mark_path, false, err);
    }
    if (rc == E_OK && options->logs != NULL) {
        rc = read_logs(&logs, options->logs, err);
    }
    if (rc == E_OK) {
        state_store_start(store, NULL); /* so that no mark is raised: this changes nothing */
        rc = state_show(store->ledger, mark, options->logs == NULL ? NULL : &logs, options->is_json,
                        err);
    }
    if (rc == E_OK && mark == NULL && store->uses_mark) {
        fputs("This store is used with a mark file: give --mark-path to see it.\n", stderr);
    }
    log_list_clear(&logs);
    mark_file_close(mark);
    return rc;
}

/* --- adopt --- */

struct adoption {
    const struct state_options *options;
    struct log_list logs;
    struct policy *policy;
    size_t own_count;
    struct vkey own[STATE_ADOPT_KEYS_MAX];
    size_t proof_count;
    struct proof proofs[STATE_FILES_MAX];
    struct state_adopt_note note;
};

/* A vkey, or a key file whose vkey it is. */
static enum err_code read_key(struct vkey *out, const char *path, struct err *err)
{
    struct buf bytes = BUF_INIT(KEY_FILE_BYTES_MAX);
    enum err_code rc = read_file(&bytes, path, err);
    struct span text = buf_span(&bytes), line = text;
    (void)span_take_until(&text, '\n', &line);
    bool is_vkey = rc == E_OK && vkey_parse(out, line, err) == E_OK;
    buf_clear(&bytes);
    if (rc != E_OK || is_vkey) {
        return rc;
    }
    struct signer signer;
    rc = key_file_load_any(&signer, path, err);
    if (rc == E_OK) {
        *out = signer.vkey;
        signer_clear(&signer);
        return E_OK;
    }
    err->code = E_IO;
    return E_IO;
}

static enum err_code read_proof(struct proof *out, const char *path, struct err *err)
{
    struct buf bytes = BUF_INIT(PROOF_BYTES_MAX + 2);
    enum err_code rc = read_file(&bytes, path, err);
    if (rc == E_OK && bytes.len > PROOF_BYTES_MAX) {
        rc = err_set(err, E_IO, "%s is too large for a proof", path);
    }
    if (rc == E_OK) {
        bool has_end = bytes.len == 0 || bytes.data[bytes.len - 1] == '\n';
        buf_put_str(&bytes, has_end ? "\n" : "\n\n"); /* as the wire has it after its lines */
        struct span rest = buf_span(&bytes);
        rc = proof_take_lines(out, &rest, err);
        if (rc == E_OK && rest.len > 1) {
            rc = err_set(err, E_MALFORMED, "there is more behind an empty line");
        }
        rc = rc == E_OK ? E_OK : err_wrap(err, "%s", path);
    }
    buf_clear(&bytes);
    return rc;
}

static enum err_code read_inputs(struct adoption *adoption, const struct state_store *store,
                                 struct err *err)
{
    const struct state_options *options = adoption->options;
    enum err_code rc = options->policy != NULL
                           ? read_policy(&adoption->policy, options->policy, err)
                           : read_logs(&adoption->logs, options->logs, err);
    for (size_t i = 0; i < options->key_count && rc == E_OK; i++) {
        rc = read_key(&adoption->own[adoption->own_count++], options->keys[i], err);
    }
    if (rc == E_OK && options->key_count == 0) {
        rc = state_store_identity(store, adoption->own, STATE_ADOPT_KEYS_MAX, &adoption->own_count,
                                  err);
    }
    for (size_t i = 0; i < options->proof_count && rc == E_OK; i++) {
        rc = read_proof(&adoption->proofs[adoption->proof_count++], options->proofs[i], err);
    }
    return rc;
}

static enum err_code open_mark(struct state_store *store, const char *path, struct err *err)
{
    struct mark_file *mark = NULL;
    if (store->uses_mark != (path != NULL)) {
        return err_set(err, E_IO, "%s",
                       store->uses_mark ? "this store is used with a mark file: give --mark-path"
                                        : "this store is not used with a mark file");
    }
    enum err_code rc = ledger_open_mark(store->kv, path, false, &mark, err);
    if (rc == E_OK && path != NULL && mark == NULL) {
        rc = err_set(err, E_IO, "mark file %s is missing: see trust-mark in --help", path);
    }
    if (rc == E_OK) {
        state_store_start(store, mark);
    }
    return rc;
}

static enum err_code read_note(const struct state_options *options, struct ledger *ledger,
                               struct buf *out, struct err *err)
{
    if (options->note != NULL) {
        return read_file(out, options->note, err);
    }
    struct hash origin_hash = sha256(span_of_str(options->origin));
    enum err_code rc = ledger_refused(ledger, &origin_hash, out, err);
    return rc == E_NOT_FOUND ? err_set(err, E_NOT_FOUND, "no note of this log was refused") : rc;
}

/* All that we know to have signed for the log. */
static enum err_code collect_points(struct ledger *ledger, const struct hash *origin_hash,
                                    const struct origin_state *held,
                                    struct state_adopt_point *points, size_t *count,
                                    struct err *err)
{
    struct buf note = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    struct checkpoint refused;
    struct mark mark;
    *count = 0;
    points[(*count)++] = (struct state_adopt_point){ "the stored state", held->size, held->root };
    if (ledger_mark(ledger, origin_hash, &mark, err) == E_OK) {
        points[(*count)++] = (struct state_adopt_point){ "the mark", mark.size, mark.root };
    }
    enum err_code rc = ledger_refused(ledger, origin_hash, &note, err);
    if (rc == E_OK) {
        rc = checkpoint_parse_note(&refused, buf_span(&note), err);
        if (rc == E_OK) {
            points[(*count)++] =
                (struct state_adopt_point){ "the refused note", refused.size, refused.root };
        }
    } else if (rc == E_NOT_FOUND) {
        rc = E_OK;
    }
    buf_clear(&note);
    return rc;
}

/* The time must not be before any that we signed. Without a cosignature of ours on the note that is not
 * known better than by the clock. */
static uint64_t time_of(const struct state_adopt_note *note, const struct origin_state *held)
{
    uint64_t least = note->own_time != 0 ? note->own_time : (uint64_t)time(NULL);
    return least > held->timestamp ? least : held->timestamp;
}

static enum err_code judge_and_adopt(struct adoption *adoption, struct ledger *ledger,
                                     struct span bytes, struct err *err)
{
    struct state_adopt_keys keys = { &adoption->logs, adoption->policy, adoption->own,
                                     adoption->own_count };
    struct state_adopt_point points[POINTS_MAX];
    struct origin_state held;
    size_t count;
    enum err_code rc = state_adopt_open(&adoption->note, &keys, bytes, err);
    if (rc != E_OK) {
        return rc;
    }
    const struct checkpoint *checkpoint = &adoption->note.checkpoint;
    struct hash origin_hash = sha256(span_of_str(checkpoint->origin));
    rc = ledger_state(ledger, &origin_hash, &held, err);
    rc = rc == E_OK ? collect_points(ledger, &origin_hash, &held, points, &count, err) : rc;
    rc = rc == E_OK ? state_adopt_extends(checkpoint, points, count, adoption->proofs,
                                          adoption->proof_count, err)
                    : rc;
    if (rc == E_OK) {
        struct origin_state next = { checkpoint->size, checkpoint->root,
                                     time_of(&adoption->note, &held) };
        rc = ledger_adopt(ledger, &origin_hash, &next, buf_span(&adoption->note.note), err);
    }
    if (rc == E_OK) {
        printf("adopted %s: from size %llu to %llu\n", log_quoted_str(checkpoint->origin).text,
               (unsigned long long)held.size, (unsigned long long)checkpoint->size);
    }
    return rc;
}

static enum err_code adopt(struct state_store *store, const struct state_options *options,
                           struct err *err)
{
    struct adoption adoption = { .options = options };
    struct buf note = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    enum err_code rc = read_inputs(&adoption, store, err);
    rc = rc == E_OK ? open_mark(store, options->mark_path, err) : rc;
    rc = rc == E_OK ? read_note(options, store->ledger, &note, err) : rc;
    rc = rc == E_OK ? judge_and_adopt(&adoption, store->ledger, buf_span(&note), err) : rc;
    buf_clear(&note);
    buf_clear(&adoption.note.note);
    log_list_clear(&adoption.logs);
    policy_free(adoption.policy);
    return rc;
}

/* --- trust-mark --- */

struct comparison {
    struct ledger *ledger;
    size_t states, ahead;
};

static enum err_code compare(void *ctx, const struct hash *origin_hash,
                             const struct origin_state *state, struct err *err)
{
    struct comparison *comparison = ctx;
    struct mark mark;
    enum err_code rc = ledger_mark(comparison->ledger, origin_hash, &mark, err);
    comparison->states++;
    if (rc == E_OK && (mark.size != state->size || !hash_is_equal(&mark.root, &state->root))) {
        comparison->ahead++;
    }
    return rc;
}

static enum err_code trust_mark(struct state_store *store, const struct state_options *options,
                                struct err *err)
{
    struct mark_file *mark = NULL;
    char reason[ERR_MSG_MAX];
    enum err_code rc = ledger_open_mark(store->kv, options->mark_path, true, &mark, err);
    if (rc != E_OK) {
        return rc;
    }
    state_store_start(store, mark);
    if (mark == NULL) {
        printf("this store has no mark file from now on\n");
        return E_OK;
    }
    if (ledger_is_failing(store->ledger, reason, sizeof reason)) {
        return err_set(err, E_IO, "%s", reason);
    }
    struct comparison comparison = { .ledger = store->ledger };
    rc = ledger_each(store->ledger, compare, &comparison, err);
    if (rc == E_OK) {
        printf("the mark file has %zu logs of the store; %zu of them are ahead of it\n",
               comparison.states, comparison.ahead);
    }
    return rc;
}

/* --- All of them. --- */

static int exit_code(enum err_code rc)
{
    switch (rc) {
    case E_OK:
        return STATE_OK;
    case E_MALFORMED:
    case E_NOT_FOUND:
    case E_BAD_SIGNATURE:
    case E_BAD_PROOF:
    case E_CONFLICT:
        return STATE_REFUSED;
    default:
        return STATE_FAILED;
    }
}

int state_command_run(int argc, char **argv)
{
    struct state_options options;
    struct state_store store;
    struct err err;
    if (!state_options_read(&options, argc, argv)) {
        return STATE_USAGE;
    }
    if (options.verb == STATE_HELP) {
        return STATE_OK;
    }
    enum err_code rc = state_store_open(&store, options.data_dir, &err);
    if (rc != E_OK) {
        fprintf(stderr, "courtroll-witness state: %s\n", err.msg);
        return STATE_FAILED;
    }
    switch (options.verb) {
    case STATE_ADOPT:
        rc = adopt(&store, &options, &err);
        break;
    case STATE_TRUST_MARK:
        rc = trust_mark(&store, &options, &err);
        break;
    default:
        rc = show(&store, &options, &err);
        break;
    }
    state_store_close(&store);
    if (rc != E_OK) {
        fprintf(stderr, "courtroll-witness state: %s\n", err.msg);
    }
    return options.verb == STATE_ADOPT || rc == E_OK ? exit_code(rc) : STATE_FAILED;
}
