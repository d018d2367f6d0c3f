/* follow.c -- a step, part by part.
 *
 * An error of the store or the sink in one part does not keep the others from their work, since each can be done
 * again: what was not raised or stored is found again by the next step. */
#include "monitor/follow.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/log.h"
#include "monitor/follow_parts.h"
#include "store/archive.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    PRUNE_PAUSE_MS = 3600 * 1000,
    KEY_BYTES = 64,
};

/* -- what the parts share -- */

void follow_history_key(struct buf *out, const struct watched_log *log)
{
    buf_put_str(out, "history/");
    buf_put(out, hash_span(watched_log_origin_hash(log)));
}

void follow_tick(struct follow *follow)
{
    if (follow->options.now != NULL) {
        follow->now = follow->options.now(follow->options.ctx);
    }
}

bool follow_is_stopping(const struct follow *follow)
{
    return follow->options.is_stopping != NULL && atomic_load(follow->options.is_stopping);
}

enum err_code follow_reader(struct follow *follow, struct log_reader **out, struct err *err)
{
    const struct scan_source *source = &follow->watch->sources[0];
    enum err_code rc = E_OK;
    if (follow->reader == NULL) {
        rc = source->open(source->ctx, &follow->reader, err);
    }
    if (rc == E_OK) {
        *out = follow->reader;
    }
    return rc;
}

void follow_reader_failed(struct follow *follow, enum err_code code)
{
    if (code != E_NOT_FOUND && code != E_TOO_LARGE && code != E_MALFORMED) {
        log_reader_close(follow->reader);
        follow->reader = NULL;
    }
}

void follow_poll_failed(struct follow *follow, const struct err *err)
{
    follow->is_poll_good = false;
    follow->poll_err = *err;
}

struct follow_text follow_text_of(const char *text)
{
    struct follow_text out;
    struct buf escaped = BUF_INIT(4 * FOLLOW_TEXT_MAX + 8);
    ascii_put_escaped(&escaped, span_of_str(text), FOLLOW_TEXT_MAX);
    snprintf(out.text, sizeof out.text, "%s", buf_c_str(&escaped));
    buf_clear(&escaped);
    return out;
}

enum err_code follow_raise(struct follow *follow, enum finding_code code, const char *subject,
                           struct span evidence, struct err *err, const char *fmt, ...)
{
    struct finding finding = { .code = code,
                               .origin = watched_log_origin(follow->options.log),
                               .evidence = evidence };
    va_list args;
    va_start(args, fmt);
    vsnprintf(finding.summary, sizeof finding.summary, fmt, args);
    va_end(args);
    snprintf(finding.subject, sizeof finding.subject, "%s", subject);
    return follow_raised_raise(follow->raised, &finding, follow->now.unix_s, err);
}

/* -- opening -- */

static enum err_code load_history(struct follow *follow, struct err *err)
{
    const struct held_tree *held = &follow->state.held;
    struct history *history = NEW(struct history);
    struct buf key = BUF_INIT(KEY_BYTES), value = BUF_INIT(KV_VALUE_BYTES_MAX);
    follow_history_key(&key, follow->options.log);
    history_init(history);
    enum err_code rc = state_store_get(follow->watch->store, buf_span(&key), &value, err);
    if (rc == E_OK && history_parse(history, buf_span(&value), err) != E_OK) {
        rc = err_set(err, E_CORRUPT, "the stored history: not one of ours");
    }
    if (rc == E_NOT_FOUND) {
        rc = E_OK;
    }
    if (rc == E_OK) {
        if (history->count == 0 && held->is_there) {
            history_add(history, held->verified_s, held->range.size);
        }
        watched_log_load_history(follow->options.log, history);
        follow->recent = *history;
        follow->recent.spacing_s = HISTORY_SPACING_S;
        if (history->count > 0) {
            int64_t newest_s = history->samples[history->count - 1].unix_s;
            history_forget(&follow->recent, newest_s - FOLLOW_GROWTH_WINDOW_S);
        }
    }
    buf_clear(&value);
    buf_clear(&key);
    mem_free(history);
    return rc;
}

static enum err_code take_trusted(struct follow *follow, struct span note, struct err *err)
{
    if (note.len == 0 || follow->state.held.is_there) {
        return E_OK;
    }
    if (note.len > FOLLOW_NOTE_BYTES_MAX) {
        return err_set(err, E_TOO_LARGE, "the checkpoint to start from: %zu bytes", note.len);
    }
    struct policy_verdict *verdict = NEW(struct policy_verdict);
    enum err_code rc = policy_open_checkpoint(follow->watch->policy, verdict, note, err);
    if (rc == E_OK && strcmp(verdict->checkpoint.origin, follow->watch->log->vkey.name) != 0) {
        rc = err_set(err, E_NOT_FOUND, "it is of another log");
    }
    if (rc == E_OK) {
        follow_note_set(&follow->trusted, note, verdict, 0);
    }
    mem_free(verdict);
    return rc == E_OK ? E_OK : err_wrap(err, "the checkpoint to start from");
}

static void show_state(void *ctx, struct watched_status *status)
{
    const struct follow *follow = ctx;
    const struct follow_state *state = &follow->state;
    status->log_size = state->memory.size;
    status->note_time_s = state->note_time_s;
    for (size_t i = 0; i < status->witness_count; i++) {
        status->witness_seen_s[i] = state->witness_seen_s[i];
    }
}

static enum err_code load(struct follow *follow, struct span trusted, struct err *err)
{
    bool is_new;
    enum err_code rc =
        follow_state_load(&follow->state, &is_new, follow->watch, follow->options.log, err);
    if (rc == E_OK) {
        rc = follow_cursor_load(&follow->cursor, follow->watch, follow->options.log, err);
    }
    if (rc == E_OK) {
        rc = follow_raised_open(&follow->raised, follow->options.log, err);
    }
    if (rc == E_OK) {
        rc = follow_records_open(follow, err);
    }
    if (rc == E_OK) {
        rc = load_history(follow, err);
    }
    return rc == E_OK ? take_trusted(follow, trusted, err) : rc;
}

enum err_code follow_open(struct follow **out, const struct follow_options *options,
                          struct err *err)
{
    struct follow *follow = NEW(struct follow);
    follow->options = *options;
    follow->watch = watched_log_options(options->log);
    assert(follow->watch->source_count > 0);
    follow_state_init(&follow->state);
    buf_init(&follow->trusted.bytes, FOLLOW_NOTE_BYTES_MAX);
    follow->chunk = FOLLOW_CHUNK_FIRST;
    enum err_code rc = load(follow, options->trusted, err);
    if (rc != E_OK) {
        follow_close(follow);
        return rc;
    }
    if (follow->state.held.is_there) {
        follow_hold_show(follow);
    }
    watched_log_update(options->log, show_state, follow);
    *out = follow;
    return E_OK;
}

void follow_close(struct follow *follow)
{
    if (follow != NULL) {
        log_reader_close(follow->reader);
        follow_raised_free(follow->raised);
        record_watch_free(follow->records);
        follow_note_clear(&follow->trusted);
        follow_state_clear(&follow->state);
        mem_free(follow);
    }
}

/* -- the parts of a step -- */

static enum err_code flush(struct follow *follow, struct err *err)
{
    return follow_raised_flush(follow->raised, follow->now.unix_s, err);
}

/* The note that was served before may come back, and is looked at again then: it ends this. */
static enum err_code raise_endless(struct follow *follow, struct err *err)
{
    follow->is_changed = follow->is_changed || follow->state.has_checked;
    follow->state.has_checked = false;
    if (follow_raised_is_told(follow->raised, FINDING_MALFORMED, "checkpoint",
                              follow->now.unix_s)) {
        return E_OK;
    }
    return follow_raise(follow, FINDING_MALFORMED, "checkpoint", span_of(NULL, 0), err,
                        "What is served as the checkpoint is longer than %d bytes.",
                        FOLLOW_NOTE_BYTES_MAX);
}

static enum err_code poll(struct follow *follow, struct err *err)
{
    struct buf note = BUF_INIT(FOLLOW_NOTE_BYTES_MAX);
    struct log_reader *reader = NULL;
    struct err why;
    enum err_code rc = follow_reader(follow, &reader, &why);
    if (rc == E_OK) {
        rc = log_reader_checkpoint(reader, &note, &why);
        if (rc != E_OK) {
            follow_reader_failed(follow, rc);
        }
    }
    follow_tick(follow);
    if (rc == E_OK) {
        rc = follow_note_look(follow, buf_span(&note), err);
    } else if (rc == E_TOO_LARGE) {
        rc = raise_endless(follow, err);
    } else {
        err_wrap(&why, "checkpoint");
        follow_poll_failed(follow, &why);
        rc = E_OK;
    }
    buf_clear(&note);
    return rc;
}

static enum err_code look_at_waiting(struct follow *follow, struct err *err)
{
    follow_tick(follow);
    return follow_is_stopping(follow) ? E_OK
                                      : note_memory_look(follow->options.memory, &follow->now, err);
}

static enum err_code look_at_tiles(struct follow *follow, struct err *err)
{
    (void)err;
    follow_tiles_look_again(follow);
    return E_OK;
}

/* While we lag behind nothing is known of the log's growth; what is held has the time when it was shown. */
static enum err_code add_sample(struct follow *follow, struct err *err)
{
    const struct follow_state *state = &follow->state;
    (void)err;
    if (follow->is_poll_good && state->held.is_there && !state->target.is_there &&
        state->memory.has_note && state->memory.size == state->held.range.size) {
        follow_hold_sample(follow, follow->step_s, state->held.range.size);
    }
    return E_OK;
}

static enum err_code look_at_clock(struct follow *follow, struct err *err)
{
    follow_tick(follow);
    if (follow->is_poll_good) {
        follow->last_good_ms = follow->now.monotonic_ms;
    }
    return follow_is_stopping(follow) ? E_OK : follow_clock_look(follow, err);
}

static enum err_code store(struct follow *follow, struct err *err)
{
    if (!follow->is_changed) {
        return E_OK;
    }
    enum err_code rc =
        follow_state_save(&follow->state, follow->watch, follow->options.log, NULL, true, err);
    follow->is_changed = rc != E_OK;
    return rc;
}

/* An archive that cannot be thinned out only grows. */
static enum err_code prune(struct follow *follow, struct err *err)
{
    bool has_more = false;
    if (follow->options.archive == NULL || follow->now.monotonic_ms < follow->prune_ms ||
        follow_is_stopping(follow)) {
        return E_OK;
    }
    if (archive_prune(follow->options.archive, follow->now.unix_s, &has_more, err) != E_OK) {
        log_error(LOG_LEVEL_WARN, "archive_not_pruned", err);
    }
    follow->prune_ms = has_more ? 0 : follow->now.monotonic_ms + PRUNE_PAUSE_MS;
    return E_OK;
}

static enum err_code (*const parts[])(struct follow *follow, struct err *err) = {
    flush,
    poll,
    follow_clock_look_at_claim,
    follow_hold_trusted,
    follow_records_catch_up,
    follow_hold_target,
    follow_hold_waiting,
    follow_records_look,
    look_at_tiles,
    add_sample,
    look_at_waiting,
    look_at_clock,
    store,
    flush,
    prune,
};

static void begin_step(struct follow *follow, const struct monitor_time *now)
{
    follow->now = *now;
    follow->step_ms = now->monotonic_ms;
    follow->step_s = now->unix_s;
    follow->has_more = false;
    follow->is_poll_good = true;
    if (!follow->is_started) {
        follow->is_started = true;
        follow->last_good_ms = now->monotonic_ms;
    }
    if (follow->state.first_looked_s == 0) {
        follow->state.first_looked_s = now->unix_s > 0 ? now->unix_s : 1;
        follow->is_changed = true;
    }
}

struct told {
    struct follow *follow;
    const char *error;
};

static void tell_step(void *ctx, struct watched_status *status)
{
    const struct told *told = ctx;
    show_state(told->follow, status);
    status->polls++;
    status->failed_polls += told->follow->is_poll_good ? 0 : 1;
    if (told->follow->is_poll_good) {
        status->good_poll_s = told->follow->step_s;
    }
    snprintf(status->last_error, sizeof status->last_error, "%s", told->error);
}

enum err_code follow_step(struct follow *follow, const struct monitor_time *now, struct err *err)
{
    enum err_code rc = E_OK;
    begin_step(follow, now);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct err part_err;
        enum err_code part_rc = parts[i](follow, &part_err);
        if (rc == E_OK && part_rc != E_OK) {
            rc = part_rc;
            *err = part_err;
        }
    }
    struct told told = { follow, !follow->is_poll_good ? follow->poll_err.msg
                                 : rc != E_OK          ? err->msg
                                                       : "" };
    watched_log_update(follow->options.log, tell_step, &told);
    return rc;
}

bool follow_has_more(const struct follow *follow)
{
    return follow->has_more;
}
