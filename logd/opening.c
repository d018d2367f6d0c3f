#include "logd/opening.h"

#include "base/log.h"
#include "logd/contradiction.h"
#include "store/journal_file.h"
#include "store/mark_place.h"
#include "store/tiles_posix.h"

static enum err_code read_checkpoint(struct log_opening *o, struct buf *note,
                                     struct checkpoint *out, struct err *err)
{
    enum err_code rc = tiles_read(o->parts->tiles, "checkpoint", note, err);
    if (rc == E_OK) {
        rc = checkpoint_open(out, buf_span(note), &o->parts->signing.log.vkey,
                             signing_origin(&o->parts->signing), err);
    }
    return rc;
}

/* One replay of the journal, and the trees of all checkpoints that there are. */
static enum err_code recover(struct log_opening *o, struct err *err)
{
    struct recovery_sizes wanted = { .count = 0 };
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    struct checkpoint published;
    if (read_checkpoint(o, &note, &published, err) == E_OK) { /* else load_published tells why */
        recovery_sizes_add(&wanted, published.size);
    }
    buf_clear(&note);
    signing_wanted_sizes(&o->parts->signing, &wanted);
    exported_notes_wanted_sizes(&o->exported, &wanted);
    enum recovery_recent recent = RECOVERY_RECENT_NONE;
    if (o->settings->has_dedup) {
        recent =
            o->settings->is_operation ? RECOVERY_RECENT_LEAVES_AND_TAGS : RECOVERY_RECENT_LEAVES;
    }
    return recovery_run(&o->recovered, o->journal, o->parts->tiles, recent, &wanted, err);
}

static enum err_code open_stores(struct log_opening *o, struct err *err)
{
    const struct settings *s = o->settings;
    struct signing_files files = { .data_dir = s->data_dir,
                                   .key = s->key,
                                   .ml_dsa_key = s->ml_dsa_key,
                                   .promise_key = s->promise_key,
                                   .mark = s->mark_path };
    enum err_code rc = signing_open(&o->parts->signing, &files, err);
    if (rc == E_OK) {
        rc = settings_read_policy(&o->parts->policy, s, &o->parts->signing.log.vkey, err);
        o->is_misconfigured = rc != E_OK;
    }
    if (rc == E_OK) {
        buf_init(&o->parts->policy_text, POLICY_BYTES_MAX);
        rc = settings_read_policy_text(&o->parts->policy_text, s, &o->parts->signing.log.vkey, err);
    }
    if (rc == E_OK) {
        rc = data_dir_open(&o->dir, s->data_dir, &o->parts->signing.log.vkey, err);
    }
    if (rc == E_OK) {
        rc = mark_place_check(s->mark_path, s->data_dir, err);
        o->is_misconfigured = rc != E_OK;
    }
    if (rc == E_OK) {
        rc = journal_file_open(&o->journal, o->dir.journal, s->journal_bytes_max, err);
    }
    if (rc == E_OK) {
        rc = tiles_posix_open(&o->parts->tiles, o->dir.log, err);
    }
    if (rc == E_OK) {
        rc = exported_notes_read(&o->exported, s->data_dir, &o->parts->signing.log.vkey, err);
    }
    if (rc == E_OK) {
        rc = recover(o, err);
    }
    if (rc == E_OK) {
        rc = data_dir_bind_schema(s->data_dir, s->is_operation, edge_size(&o->recovered.edge) > 0,
                                  err);
        o->is_misconfigured = rc == E_DENIED;
    }
    if (rc == E_OK && s->has_dedup) {
        o->parts->indexer = indexer_open(o->dir.index, o->parts->tiles, s->is_operation,
                                         edge_size(&o->recovered.edge));
    }
    return rc;
}

/* The checkpoint on disk becomes the published tree, if it is one of ours and of this tree. */
static enum err_code load_published(struct log_opening *o, struct err *err)
{
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    struct checkpoint checkpoint;
    struct edge edge;
    edge_init(&edge);
    enum err_code rc = read_checkpoint(o, &note, &checkpoint, err);
    if (rc == E_NOT_FOUND && note.len == 0) { /* nothing was published yet */
        rc = E_OK;
        goto out;
    }
    if (rc == E_OK) {
        rc = recovered_edge_at(&o->recovered, &edge, checkpoint.size, o->journal, o->parts->tiles,
                               err);
    }
    if (rc == E_OK) {
        struct hash root = edge_root(&edge);
        if (hash_is_equal(&root, &checkpoint.root)) {
            struct http_body *body = http_body_take(&note);
            published_set(o->parts->published, published_tree_new(&checkpoint, body, &edge));
            o->has_published = true;
            o->has_signed = true;
            http_body_release(body);
        } else {
            rc = err_set(err, E_CORRUPT, "the tree of %llu entries has another root",
                         (unsigned long long)checkpoint.size);
        }
    }
    if (rc != E_OK) {
        rc = err_set(err, E_CORRUPT, "the published checkpoint is not of this tree: %s", err->msg);
    }
out:
    edge_clear(&edge);
    buf_clear(&note);
    return rc;
}

static const char words_unchecked[] = "overridden by start-unchecked";

static void tell_unchecked(const char *why)
{
    log_event(LOG_LEVEL_ERROR, "start_unchecked", "reason=%s advice=%s", log_quoted_str(why).text,
              log_quoted_str("if start-unchecked is in a configuration file, remove it now: it "
                             "silences this at every start")
                  .text);
}

/* No mark can be read: the witnesses are asked. */
static void begin_checking(struct log_opening *o, const char *why)
{
    if (o->settings->is_start_unchecked) {
        o->parts->rollback_check = words_unchecked;
        tell_unchecked(why);
        return;
    }
    o->is_checking = true;
    o->parts->rollback_check =
        "asking the witnesses: serving reads only until enough have answered";
    err_set(&o->pause_err, E_UNAVAILABLE,
            "this may be a restored backup (%s), so nothing is signed or admitted until enough "
            "witnesses have shown no newer history",
            why);
    log_error(LOG_LEVEL_WARN, "start_check", &o->pause_err);
}

/* Nobody is left to ask, or nobody's word counts against what the mark says. */
static enum err_code refuse_mark(struct log_opening *o, struct err *err)
{
    o->is_paused = true;
    o->parts->rollback_check = "failed: serving reads only";
    err_set(&o->pause_err, E_UNAVAILABLE,
            "this may be a restored backup, so nothing is signed or admitted: %s", err->msg);
    log_error(LOG_LEVEL_ERROR, "start_check_failed", &o->pause_err);
    return E_OK;
}

static enum err_code judge_mark(struct log_opening *o, enum signing_check check, struct err *err)
{
    switch (check) {
    case SIGNING_CHECK_PASSED:
        o->parts->rollback_check = "the mark agrees with the journal";
        return E_OK;
    case SIGNING_CHECK_IMPOSSIBLE:
        if (o->parts->policy != NULL) {
            begin_checking(o, "there is no mark");
            return E_OK;
        }
        o->parts->rollback_check = "rollback not detectable: no mark-path, no witnesses";
        log_event(LOG_LEVEL_WARN, "rollback_not_detectable", "advice=%s",
                  log_quoted_str("set mark-path to a file on another disk").text);
        return E_OK;
    case SIGNING_CHECK_FAILED:
    case SIGNING_CHECK_LOST:
        break;
    }
    if (o->settings->is_start_unchecked) {
        o->parts->rollback_check = words_unchecked;
        tell_unchecked(err->msg);
        struct journal_head head = journal_head(o->journal);
        return signing_reset_mark(&o->parts->signing, &head, err);
    }
    /* Witnesses vouch for what a quorum has seen; the mark knows of every signature that left. */
    if (check == SIGNING_CHECK_FAILED && o->parts->policy != NULL) {
        begin_checking(o, err->msg);
        return E_OK;
    }
    return refuse_mark(o, err);
}

/* What was met once stays: two histories are out. */
static enum err_code check_contradiction(struct log_opening *o, struct err *err)
{
    bool is_there = false;
    enum err_code rc = contradiction_exists(o->settings->data_dir, &is_there, err);
    if (rc != E_OK || !is_there) {
        return rc;
    }
    static const char reason[] = "contradiction/ holds a note under this log's key that is not of "
                                 "this tree: nothing is signed or admitted";
    if (o->settings->is_start_unchecked) {
        tell_unchecked(reason);
        return E_OK;
    }
    o->is_paused = true;
    o->is_checking = false;
    o->parts->rollback_check = "failed: serving reads only";
    err_set(&o->pause_err, E_UNAVAILABLE, "%s", reason);
    log_error(LOG_LEVEL_ERROR, "start_check_failed", &o->pause_err);
    return E_OK;
}

/* design: "Start". A restored backup must not sign a second history. */
static enum err_code check_start(struct log_opening *o, struct err *err)
{
    enum signing_check check;
    enum err_code rc = signing_check_start(&o->parts->signing, &o->recovered, o->journal,
                                           o->parts->tiles, &check, err);
    if (rc == E_OK) {
        rc = judge_mark(o, check, err);
    }
    if (rc == E_OK) {
        rc = check_contradiction(o, err);
    }
    if (rc == E_OK) {
        rc = exported_notes_compare(&o->exported, &o->recovered, o->journal, o->parts->tiles, err);
    }
    /* When they cover all that is durable, this run may have nothing to sign. */
    o->has_signed = o->has_signed || (rc == E_OK && o->exported.count > 0);
    recovered_forget_known(&o->recovered);
    return rc;
}

static void warn_of_weak_policy(const struct policy *policy)
{
    if (policy != NULL && policy_f(policy) <= 1) {
        log_event(LOG_LEVEL_WARN, "weak_policy", "f=%zu meaning=%s", policy_f(policy),
                  log_quoted_str("so many evil witnesses let this log show two histories: for a "
                                 "demonstration only")
                      .text);
    }
}

enum err_code opening_run(struct log_opening *o, struct err *err)
{
    enum err_code rc = open_stores(o, err);
    if (rc == E_OK) {
        rc = load_published(o, err);
    }
    if (rc == E_OK) {
        rc = check_start(o, err);
    }
    if (rc == E_OK) {
        warn_of_weak_policy(o->parts->policy);
    }
    return rc;
}

void opening_clear(struct log_opening *o)
{
    recovered_clear(&o->recovered);
    exported_notes_clear(&o->exported);
    journal_close(o->journal);
    data_dir_close(&o->dir);
}
