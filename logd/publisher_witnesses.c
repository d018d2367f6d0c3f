#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "logd/publisher_parts.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

enum {
    EXPORT_AGAIN_MS = 10 * 1000,
    BROUGHT_NEWER_S = 60, /* each makes the log write its published note anew */
};

/* -- What the conversations lead to -- */

static uint64_t durable(void *ctx)
{
    struct publisher *publisher = ctx;
    uint64_t news = atomic_load(&publisher->news), newest;
    return round_newest(&publisher->round, &newest) && newest > news ? newest : news;
}

/* Receipts are made from the best notes that met the policy, and late cosignatures improve them. */
static void offer_witnessed(struct publisher *publisher, uint64_t size)
{
    const struct policy *policy = publisher->options.policy;
    const struct kept_note *kept = cosigning_note(publisher->cosigning, size);
    if (policy == NULL || kept == NULL) {
        return;
    }
    struct policy_set cosigned = cosigning_set(publisher->cosigning, kept);
    if (!policy_is_met(policy, &cosigned)) {
        return;
    }
    size_t count = 0;
    for (size_t i = 0; i < policy_witness_count(policy); i++) {
        count += cosigned.has[i];
    }
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    cosigning_put_note(publisher->cosigning, kept, &note);
    struct http_body *body = http_body_take(&note);
    published_add_witnessed(publisher->options.published, kept->tree, body, count);
    http_body_release(body);
}

static void on_cosigned(void *ctx, size_t witness, uint64_t size)
{
    struct publisher *publisher = ctx;
    if (publisher->is_closing) {
        return;
    }
    struct round_event event = { .type = ROUND_COSIGNED, .witness = witness, .size = size };
    offer_witnessed(publisher, size); /* before it is published, for who waits for that */
    publisher_event(publisher, &event);
    if (round_is_pinned(&publisher->round, size)) {
        publisher_want_step(publisher, STEP_EXPORT);
    }
}

static void on_answered(void *ctx, size_t witness, enum round_answer answer, uint64_t size)
{
    struct publisher *publisher = ctx;
    if (!publisher->is_closing) {
        struct round_event event = {
            .type = ROUND_ANSWERED, .witness = witness, .answer = answer, .size = size
        };
        publisher_event(publisher, &event);
    }
}

static void on_contradiction(void *ctx, size_t witness, struct span note)
{
    struct publisher *publisher = ctx;
    if (!publisher->is_closing) {
        publisher_halt(publisher, policy_witness_at(publisher->options.policy, witness)->name,
                       note);
    }
}

void publisher_halt(struct publisher *publisher, const char *who, struct span theirs)
{
    if (atomic_load(&publisher->is_halted)) {
        return;
    }
    const struct vkey *log = &publisher->options.signing->log.vkey;
    struct checkpoint checkpoint;
    struct err err;
    enum err_code rc = checkpoint_open(&checkpoint, theirs, log, log->name, &err);
    assert(rc == E_OK);
    round_pause(&publisher->round, true);
    publisher->wanted[STEP_PREPARE] = false;
    publisher->wanted[STEP_PUBLISH] = false;
    publisher->wanted[STEP_MERGE] = false;
    pthread_mutex_lock(&publisher->mutex);
    atomic_store(&publisher->is_halted, true);
    snprintf(publisher->reason, sizeof publisher->reason,
             "nothing is signed any more: %s showed a note of %llu entries under this log's key "
             "that is not of this tree; both are kept in contradiction/",
             who, (unsigned long long)checkpoint.size);
    pthread_mutex_unlock(&publisher->mutex);
    log_event(LOG_LEVEL_ERROR, "contradiction", "shown_by=%s size=%llu note=%s",
              log_quoted_str(who).text, (unsigned long long)checkpoint.size,
              log_quoted(theirs).text);
    buf_put(&publisher->theirs, theirs);
    const struct kept_note *ours = cosigning_note(publisher->cosigning, checkpoint.size);
    if (ours != NULL) {
        buf_put(&publisher->step.ours, http_body_span(ours->tree->note));
    }
    publisher_want_step(publisher, STEP_KEEP_PROOF);
    publisher_exports_fail(publisher, publisher->reason);
    publisher->options.on_halted(publisher->options.ctx, publisher->reason);
}

/* -- Below quorum -- */

/* Why the newest note has no quorum; empty when it has one, and the witnesses answer. */
static void put_reason(struct publisher *publisher, bool is_below, struct buf *out)
{
    const struct kept_note *newest = cosigning_newest(publisher->cosigning);
    if (newest == NULL) {
        return;
    }
    struct policy_set cosigned = cosigning_set(publisher->cosigning, newest);
    if (is_below || !policy_is_met(publisher->options.policy, &cosigned)) {
        buf_put_str(out, "no quorum: ");
        cosigning_put_missing(publisher->cosigning, out);
    }
}

void publisher_update_reason(struct publisher *publisher)
{
    const struct policy *policy = publisher->options.policy;
    if (policy == NULL || atomic_load(&publisher->is_halted) || publisher->round.is_paused) {
        return;
    }
    struct policy_set failing = cosigning_failing(publisher->cosigning);
    bool was_below = publisher->is_below_quorum;
    bool is_below = publisher->round.is_below_quorum || policy_is_blocking(policy, &failing);
    struct buf reason = BUF_INIT(PUBLISHER_REASON_MAX);
    put_reason(publisher, is_below, &reason);
    pthread_mutex_lock(&publisher->mutex);
    publisher->is_below_quorum = is_below;
    snprintf(publisher->reason, sizeof publisher->reason, "%.*s", SPAN_PRINTF(buf_span(&reason)));
    pthread_mutex_unlock(&publisher->mutex);
    if (is_below && !was_below) {
        log_event(LOG_LEVEL_ERROR, "below_quorum", "reason=%s", log_quoted(buf_span(&reason)).text);
    } else if (was_below && !is_below) {
        log_event(LOG_LEVEL_INFO, "quorum_again", "%s", "");
    }
    buf_clear(&reason);
}

/* -- The start check -- */

static bool is_checking_over(struct publisher *publisher)
{
    return publisher->check == NULL || publisher->is_closing || atomic_load(&publisher->is_halted);
}

static void tell_waiting(struct publisher *publisher)
{
    struct buf reason = BUF_INIT(POLICY_BYTES_MAX);
    if (start_check_is_possible(publisher->check)) {
        buf_put_str(&reason, "waiting for ");
    } else {
        buf_put_str(&reason, "too few witnesses have a URL to ask them: start-unchecked, once, or "
                             "a mark; without word from ");
    }
    start_check_put_missing(&reason, publisher->check);
    publisher->options.on_checked(publisher->options.ctx, buf_c_str(&reason));
    buf_clear(&reason);
}

/* The note signed last, which a start compares with the tree; else the newest of those that are kept. It
 * has no edge: nothing is proved from it. NULL: nothing was ever signed. */
static struct published_tree *last_signed(const struct publisher *publisher)
{
    const struct signing *signing = publisher->options.signing;
    const struct vkey *log = &signing->log.vkey;
    const struct kept_note *newest = cosigning_newest(publisher->cosigning);
    struct published_tree *tree = newest == NULL ? NULL : published_tree_hold(newest->tree);
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    struct checkpoint checkpoint;
    struct err err;
    if (file_read(&note, signing->signed_path, &err) == E_OK &&
        checkpoint_open(&checkpoint, buf_span(&note), log, log->name, &err) == E_OK &&
        (tree == NULL || checkpoint.size > tree->checkpoint.size)) {
        struct edge none;
        edge_init(&none);
        struct http_body *body = http_body_take(&note);
        published_tree_release(tree);
        tree = published_tree_new(&checkpoint, body, &none);
        http_body_release(body);
        edge_clear(&none);
    }
    buf_clear(&note);
    return tree;
}

void publisher_begin_check(struct publisher *publisher)
{
    uint64_t seed;
    publisher->check_note = last_signed(publisher);
    crypto_random((uint8_t *)&seed, sizeof seed);
    publisher->check = NEW(struct start_check);
    start_check_init(publisher->check, publisher->options.policy, seed);
    sequencer_thread_ask_snapshot(publisher->sequencer);
    tell_waiting(publisher);
}

void publisher_check_snapshot(struct publisher *publisher, struct snapshot *snapshot)
{
    struct http_body *none = http_body_new(span_of_str(""));
    published_tree_release(publisher->check_tree);
    publisher->check_tree = published_tree_new(&snapshot->checkpoint, none, &snapshot->edge);
    http_body_release(none);
    snapshot_free(snapshot);
}

/* A tree can be compared once its full tiles are stored. */
void publisher_go_on_checking(struct publisher *publisher)
{
    struct published_tree *tree = publisher->check_tree;
    if (is_checking_over(publisher) || tree == NULL ||
        atomic_load(&publisher->stored) < tree->checkpoint.size / TILE_WIDTH * TILE_WIDTH) {
        return;
    }
    size_t witness;
    while (start_check_next(publisher->check, publisher_now_ms(), &witness)) {
        cosigning_look(publisher->cosigning, witness, tree, publisher->check_note);
    }
    uint64_t wake_ms = start_check_wake_at(publisher->check);
    if (wake_ms != 0) {
        publisher_wake_at(publisher, wake_ms);
    }
}

/* Those that are still being asked are left alone by the round until they have answered. */
static void end_check(struct publisher *publisher)
{
    for (size_t i = 0; i < policy_witness_count(publisher->options.policy); i++) {
        if (publisher->check->witnesses[i].is_busy) {
            round_occupy(&publisher->round, i);
        }
    }
    mem_free(publisher->check);
    publisher->check = NULL;
    published_tree_release(publisher->check_tree);
    publisher->check_tree = NULL;
    published_tree_release(publisher->check_note);
    publisher->check_note = NULL;
    log_event(LOG_LEVEL_INFO, "start_check_passed", "%s", "");
    round_pause(&publisher->round, false);
    publisher->options.on_checked(publisher->options.ctx, NULL);
    struct round_event event = { .type = ROUND_NEWS, .size = atomic_load(&publisher->news) };
    publisher_event(publisher, &event);
}

static void on_looked(void *ctx, size_t witness, bool is_consistent)
{
    struct publisher *publisher = ctx;
    if (publisher->check == NULL) { /* a look that was not needed any more */
        on_answered(publisher, witness, ROUND_ANSWER_NOTHING, 0);
        return;
    }
    if (is_checking_over(publisher)) {
        return;
    }
    start_check_on_answer(publisher->check, witness, is_consistent, publisher_now_ms());
    if (start_check_is_passed(publisher->check)) {
        end_check(publisher);
    } else {
        tell_waiting(publisher);
        publisher_go_on_checking(publisher);
    }
}

/* -- Notes that are exported, and lines that come back -- */

struct published_tree *publisher_newest(struct publisher *publisher)
{
    const struct kept_note *note = cosigning_newest(publisher->cosigning);
    return note == NULL ? NULL : published_tree_hold(note->tree);
}

struct published_tree *publisher_signed(struct publisher *publisher, uint64_t size)
{
    const struct kept_note *note = cosigning_note(publisher->cosigning, size);
    return note == NULL ? NULL : published_tree_hold(note->tree);
}

struct cosigning_added publisher_add_lines(struct publisher *publisher, uint64_t size,
                                           const struct cosign_lines *lines)
{
    const struct kept_note *note = cosigning_note(publisher->cosigning, size);
    struct cosigning_added added = { 0, 0 };
    if (note == NULL) {
        return added;
    }
    struct cosign_lines *fresh = NEW(struct cosign_lines);
    for (size_t i = 0; i < lines->count; i++) {
        uint64_t known = note->lines[lines->items[i].witness].timestamp;
        if (known == 0 || lines->items[i].timestamp >= known + BROUGHT_NEWER_S) {
            fresh->items[fresh->count++] = lines->items[i];
        }
    }
    size_t stale = lines->count - fresh->count;
    added = cosigning_add_lines(publisher->cosigning, size, fresh);
    added.known += stale;
    mem_free(fresh);
    return added;
}

static void push(struct publisher_export **list, struct publisher_export *export)
{
    export->next = *list;
    *list = export;
}

static void fail_list(struct publisher_export **list, const struct err *err)
{
    struct publisher_export *export = *list;
    *list = NULL;
    while (export != NULL) {
        struct publisher_export *next = export->next;
        export->on_exported(export, NULL, err);
        export = next;
    }
}

void publisher_exports_fail(struct publisher *publisher, const char *reason)
{
    struct err err;
    err_set(&err, E_UNAVAILABLE, "%s", reason);
    fail_list(&publisher->waiting, &err);
}

static void pin(struct publisher *publisher, struct publisher_export *export, uint64_t size)
{
    export->size = size;
    if (!round_is_pinned(&publisher->round, size)) {
        publisher->pinned_ms = publisher_now_ms();
    }
    round_pin(&publisher->round, size);
    push(&publisher->pinned, export);
    publisher_want_step(publisher, STEP_EXPORT);
}

static size_t waiting_count(const struct publisher *publisher)
{
    size_t count = 0;
    for (const struct publisher_export *e = publisher->waiting; e != NULL; e = e->next) {
        count++;
    }
    return count;
}

/* One more export would push another out, and the newest is seconds old: strangers may ask as often as
 * they like. */
static bool is_pressed(const struct publisher *publisher, uint64_t *newest)
{
    const struct round *round = &publisher->round;
    size_t pinned = 0;
    for (size_t i = 0; i < round->note_count; i++) {
        if (round->notes[i].is_pinned) {
            pinned++;
            *newest = round->notes[i].size;
        }
    }
    return pinned == ROUND_PINNED && publisher_now_ms() - publisher->pinned_ms < EXPORT_AGAIN_MS;
}

void publisher_export(struct publisher *publisher, struct publisher_export *export)
{
    const struct round *round = &publisher->round;
    struct err err;
    if (round->is_paused || round->is_draining || publisher->is_closing) {
        err_set(&err, E_UNAVAILABLE, "nothing is signed now: see GetStatus");
        export->on_exported(export, NULL, &err);
        return;
    }
    if (waiting_count(publisher) >= PUBLISHER_EXPORTS_MAX) {
        err_set(&err, E_BUSY, "too many calls wait for a note to be signed");
        export->on_exported(export, NULL, &err);
        return;
    }
    uint64_t newest;
    if (is_pressed(publisher, &newest)) {
        pin(publisher, export, newest);
        return;
    }
    struct round_event news = { .type = ROUND_NEWS, .size = atomic_load(&publisher->news) };
    publisher_event(publisher, &news);
    bool has_note = round_newest(round, &newest) && round_has_note(round, newest);
    bool is_unpublished = has_note && (round->is_first || newest > round->published);
    if (has_note && (is_unpublished || newest >= round->durable)) {
        pin(publisher, export, newest);
        return;
    }
    push(&publisher->waiting, export);
    struct round_event hurry = { .type = ROUND_HURRY };
    publisher_event(publisher, &hurry);
}

void publisher_exports_on_signed(struct publisher *publisher)
{
    uint64_t newest;
    if (!round_newest(&publisher->round, &newest) || !round_has_note(&publisher->round, newest)) {
        return;
    }
    struct publisher_export *export = publisher->waiting;
    publisher->waiting = NULL;
    while (export != NULL) {
        struct publisher_export *next = export->next;
        pin(publisher, export, newest);
        export = next;
    }
}

void publisher_exports_fill(struct publisher *publisher, struct step *step)
{
    const struct round *round = &publisher->round;
    step->file_count = 0;
    for (size_t i = 0; i < round->note_count; i++) {
        struct kept_note *note = cosigning_note(publisher->cosigning, round->notes[i].size);
        if (!round->notes[i].is_pinned || note == NULL) {
            continue;
        }
        struct step_file *file = &step->files[step->file_count++];
        file->size = round->notes[i].size;
        file->is_unsaved = note->is_unsaved;
        note->is_unsaved = false;
        buf_reset(&file->note);
        cosigning_put_note(publisher->cosigning, note, &file->note);
    }
    publisher->saving = publisher->pinned;
    publisher->pinned = NULL;
}

void publisher_exports_on_saved(struct publisher *publisher, const struct step *step)
{
    for (size_t i = 0; step->rc != E_OK && i < step->file_count; i++) {
        struct kept_note *note = cosigning_note(publisher->cosigning, step->files[i].size);
        if (note != NULL && step->files[i].is_unsaved) {
            note->is_unsaved = true;
        }
    }
    struct publisher_export *export = publisher->saving;
    publisher->saving = NULL;
    while (export != NULL) {
        struct publisher_export *next = export->next;
        struct published_tree *tree =
            step->rc == E_OK ? publisher_signed(publisher, export->size) : NULL;
        struct err err;
        err_set(&err, E_IO, "the exported note could not be stored");
        export->on_exported(export, tree, &err);
        export = next;
    }
}

/* -- What is left of an earlier run -- */

/* The note with the log's line only: what witnesses are sent. */
static struct http_body *bare_note(const struct note *note, const struct vkey *log)
{
    struct buf bytes = BUF_INIT(NOTE_BYTES_MAX);
    buf_put(&bytes, note->text);
    buf_put_str(&bytes, "\n");
    for (size_t i = 0; i < note->count; i++) {
        const struct note_line *line = &note->lines[i];
        if (line->key_id == log->id && span_is_str(line->name, log->name)) {
            note_put_line(&bytes, line);
            break; /* the first one is the one that was verified */
        }
    }
    return http_body_take(&bytes);
}

static void add_lines(struct publisher *publisher, struct kept_note *kept, const struct note *note)
{
    const struct policy *policy = publisher->options.policy;
    struct cosign_lines *lines = NEW(struct cosign_lines);
    struct buf text = BUF_INIT(NOTE_BYTES_MAX);
    struct err err;
    for (size_t i = 0; i < note->count; i++) {
        buf_put(&text, note->lines[i].line);
    }
    if (policy != NULL && cosign_lines_read(lines, policy, note->text, buf_span(&text),
                                            (int64_t)time(NULL), &err) == E_OK) {
        for (size_t i = 0; i < lines->count; i++) {
            kept_note_add_line(kept, &lines->items[i]);
        }
    }
    buf_clear(&text);
    mem_free(lines);
}

void publisher_add_note(struct publisher *publisher, const struct published_tree *tree,
                        bool is_exported)
{
    const struct vkey *log = &publisher->options.signing->log.vkey;
    struct note note;
    struct err err;
    enum err_code rc = note_parse(&note, http_body_span(tree->note), &err);
    assert(rc == E_OK); /* it was opened before */
    struct http_body *body = bare_note(&note, log);
    struct kept_note *kept =
        cosigning_keep(publisher->cosigning,
                       published_tree_new(&tree->checkpoint, body, &tree->edge));
    http_body_release(body);
    add_lines(publisher, kept, &note);
    note_clear(&note);
    struct policy_set cosigned = cosigning_set(publisher->cosigning, kept);
    round_add_note(&publisher->round, tree->checkpoint.size, &cosigned);
    offer_witnessed(publisher, tree->checkpoint.size);
    if (is_exported) {
        kept->is_unsaved = false;
        round_pin(&publisher->round, tree->checkpoint.size);
    }
}

bool publisher_pin(struct publisher *publisher, const struct published_tree *tree)
{
    const struct round *round = &publisher->round;
    uint64_t size = tree->checkpoint.size, smallest = 0;
    size_t pinned = 0;
    if (round_has_note(round, size)) { /* it came back in the meantime */
        return true;
    }
    for (size_t i = round->note_count; i-- > 0;) {
        if (round->notes[i].is_pinned) {
            pinned++;
            smallest = round->notes[i].size;
        }
    }
    if (publisher->is_closing || (pinned == ROUND_PINNED && size < smallest)) {
        return false;
    }
    publisher_add_note(publisher, tree, true);
    return true;
}

/* -- What others read -- */

bool publisher_is_halted(const struct publisher *publisher)
{
    return atomic_load(&publisher->is_halted);
}

size_t publisher_witness_count(const struct publisher *publisher)
{
    return cosigning_witness_count(publisher->cosigning);
}

void publisher_statuses(struct publisher *publisher, struct witness_status *out)
{
    cosigning_statuses(publisher->cosigning, out);
}

struct cosigning *publisher_cosigning_new(struct publisher *publisher)
{
    struct cosigning_options options = {
        .loop = publisher->options.loop,
        .policy = publisher->options.policy,
        .log = &publisher->options.signing->log.vkey,
        .cache = publisher->options.cache,
        .ctx = publisher,
        .durable = durable,
        .on_cosigned = on_cosigned,
        .on_answered = on_answered,
        .on_looked = on_looked,
        .on_contradiction = on_contradiction,
    };
    return cosigning_new(&options);
}
