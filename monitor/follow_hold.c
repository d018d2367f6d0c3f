/* follow_hold.c -- from a signed note to a held tree.
 *
 * The normal path: scan to the note's size, look at the tiles, archive the note, store the new state, hold it. What
 * was wrong on the way is raised before the state that leaves it behind is stored. If another source had to help
 * out, the finding about the log's own address stands. */
#include "base/alloc.h"
#include "base/ascii.h"
#include "client/tile_reader.h"
#include "monitor/follow_parts.h"
#include "monitor/witness_memory.h"
#include "store/archive.h"
#include "store/tile_source.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    QUIET_PAUSE_MS = 30 * 1000, /* at least, after a note that waits could not be verified */
    PAUSE_FACTOR = 10, /* a scan that failed is not repeated before so many times its length */
    ARCHIVE_PAUSE_MS = 60 * 1000, /* between two archived notes of one tree */
    KEY_BYTES = 64,
};

/* -- holding -- */

struct holding {
    struct span bytes; /* of the note */
    const struct policy_verdict *verdict;
    const struct compact_range *range;
    int64_t seen_s;   /* when the log had this size */
    bool is_target;   /* the note is the target: the next one takes its place */
    bool is_trusted;  /* we were told to begin here */
    const char *from; /* where the note is from */
};

void follow_hold_sample(struct follow *follow, int64_t unix_s, uint64_t size)
{
    watched_log_add_sample(follow->options.log, unix_s, size);
    history_add(&follow->recent, unix_s, size);
    history_forget(&follow->recent, unix_s - FOLLOW_GROWTH_WINDOW_S);
}

static bool put_history(struct kv_batch *batch, struct follow *follow, int64_t unix_s,
                        uint64_t size)
{
    int64_t age_s = follow->now.unix_s - follow->history_s;
    if (follow->history_s != 0 && age_s >= 0 && age_s < HISTORY_SPACING_S) {
        return false;
    }
    struct history *history = NEW(struct history);
    struct buf key = BUF_INIT(KEY_BYTES), value = BUF_INIT(HISTORY_BYTES_MAX);
    watched_log_history(follow->options.log, history);
    history_add(history, unix_s, size);
    follow_history_key(&key, follow->options.log);
    history_put(&value, history);
    kv_batch_put(batch, buf_span(&key), buf_span(&value));
    buf_clear(&key);
    buf_clear(&value);
    mem_free(history);
    return true;
}

static void fill_held(struct held_tree *out, const struct follow *follow,
                      const struct holding *holding)
{
    const struct held_tree *old = &follow->state.held;
    *out = (struct held_tree){ .is_there = true,
                               .range = *holding->range,
                               .root = holding->verdict->checkpoint.root,
                               .verified_s = follow->now.unix_s,
                               .has_trusted_start = old->has_trusted_start,
                               .trusted_start = old->trusted_start };
    if (holding->is_trusted) {
        out->has_trusted_start = true;
        out->trusted_start = holding->range->size;
    }
    buf_init(&out->note, NOTE_BYTES_MAX);
    buf_put(&out->note, holding->bytes);
}

void follow_hold_show(struct follow *follow)
{
    struct held_tree copy = follow->state.held;
    buf_init(&copy.note, NOTE_BYTES_MAX);
    buf_put(&copy.note, buf_span(&follow->state.held.note));
    watched_log_hold(follow->options.log, &copy);
}

/* Moves the state on in one synced batch; if that fails it is as it was. */
static enum err_code store_held(struct follow *follow, const struct holding *holding,
                                struct err *err)
{
    struct follow_state *state = &follow->state;
    struct follow_state *next = NEW(struct follow_state);
    struct kv_batch batch;
    kv_batch_init(&batch);
    *next = *state;
    fill_held(&next->held, follow, holding);
    if (holding->is_target) {
        next->target = state->newest;
        next->newest = (struct follow_note){ .bytes = BUF_INIT(FOLLOW_NOTE_BYTES_MAX) };
    }
    bool is_cursor_over = follow->cursor.range.size <= holding->range->size;
    if (is_cursor_over) {
        follow_cursor_put_delete(&batch, follow->options.log);
    }
    bool has_history = put_history(&batch, follow, holding->seen_s, holding->range->size);
    follow_records_put_held(follow, holding->range, holding->verdict, &batch);
    enum err_code rc =
        follow_state_save(next, follow->watch, follow->options.log, &batch, true, err);
    if (rc == E_OK) {
        held_tree_clear(&state->held);
        if (holding->is_target) {
            follow_note_clear(&state->target);
        }
        *state = *next;
        follow_records_on_held(follow, holding->range);
        follow->is_changed = false;
        follow->history_s = has_history ? follow->now.unix_s : follow->history_s;
        if (is_cursor_over) {
            follow->cursor = (struct follow_cursor){ .is_there = false };
        }
    } else {
        held_tree_clear(&next->held);
    }
    kv_batch_clear(&batch);
    mem_free(next);
    return rc;
}

/* Another note of the tree that is held already is archived now and then only: a log can make any number. */
static bool is_to_archive(const struct follow *follow, const struct policy_verdict *verdict)
{
    const struct held_tree *held = &follow->state.held;
    bool is_same = held->is_there && held->range.size == verdict->checkpoint.size;
    return follow->options.archive != NULL &&
           (!is_same || follow->archived_ms == 0 ||
            follow_since_ms(follow, follow->archived_ms) >= ARCHIVE_PAUSE_MS);
}

static enum err_code keep_note(struct follow *follow, const char *from, struct span bytes,
                               const struct policy_verdict *verdict, struct err *err)
{
    enum err_code rc =
        witness_memory_add(follow->options.log, from, bytes, follow->now.unix_s, err);
    if (rc == E_OK && is_to_archive(follow, verdict)) {
        rc = archive_add(follow->options.archive, follow->now.unix_s, bytes, err);
        follow->archived_ms = rc == E_OK ? follow->now.monotonic_ms : follow->archived_ms;
    }
    return rc;
}

static enum err_code hold(struct follow *follow, const struct holding *holding, struct err *err)
{
    enum err_code rc = keep_note(follow, holding->from, holding->bytes, holding->verdict, err);
    if (rc == E_OK) {
        rc = store_held(follow, holding, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    if (holding->is_target) {
        follow->is_target_remembered = follow->is_target_failing = false;
        follow->retry_ms = 0;
    }
    follow_hold_sample(follow, holding->seen_s, follow->state.held.range.size);
    follow_hold_show(follow);
    return E_OK;
}

/* -- another note of the held tree -- */

static size_t cosigned_count(const struct policy_verdict *verdict)
{
    size_t count = 0;
    for (size_t i = 0; i < POLICY_KEYS_MAX; i++) {
        count += verdict->cosigned.has[i] ? 1 : 0;
    }
    return count;
}

/* At least as many witnesses as the one that is held, which may no longer open if the policy has changed. */
static bool is_as_good(const struct follow *follow, const struct policy_verdict *verdict)
{
    struct policy_verdict *held = NEW(struct policy_verdict);
    struct err err;
    enum err_code rc = policy_open_checkpoint(follow->watch->policy, held,
                                              buf_span(&follow->state.held.note), &err);
    bool is_as_good =
        rc != E_OK || verdict->is_met > held->is_met ||
        (verdict->is_met == held->is_met && cosigned_count(verdict) >= cosigned_count(held));
    mem_free(held);
    return is_as_good;
}

enum err_code follow_hold_same(struct follow *follow, struct span bytes,
                               const struct policy_verdict *verdict, struct err *err)
{
    if (span_is_equal(bytes, buf_span(&follow->state.held.note))) {
        return E_OK;
    }
    if (!is_as_good(follow, verdict)) {
        return keep_note(follow, "the log itself", bytes, verdict, err);
    }
    struct compact_range range = follow->state.held.range;
    struct holding holding = { .bytes = bytes,
                               .verdict = verdict,
                               .range = &range,
                               .seen_s = follow->now.unix_s,
                               .from = "the log itself" };
    return hold(follow, &holding, err);
}

/* -- what was wrong with the log's own files -- */

/* Errors of a scan begin with the file's path. */
static bool take_path(const char *msg, struct tile_path *path)
{
    struct span rest = span_of_str(msg), text;
    struct err err;
    return span_take_until(&rest, ':', &text) && tile_path_parse(path, text, &err) == E_OK;
}

static void note_missing(struct follow *follow, uint64_t size, const struct follow_scan *scan)
{
    struct follow_missing *missing = &follow->missing;
    if (!missing->is_there) {
        missing->since_ms = follow->now.monotonic_ms;
    }
    missing->is_there = true;
    missing->size = size;
    missing->has_path = take_path(scan->err.msg, &missing->path);
    snprintf(missing->detail, sizeof missing->detail, "%s", follow_text_of(scan->err.msg).text);
}

static enum err_code raise_malformed(struct follow *follow, const struct follow_scan *scan,
                                     struct err *err)
{
    struct tile_path path;
    struct tile_path_text text = { "" };
    if (take_path(scan->err.msg, &path)) {
        text = tile_path_text(&path);
    }
    if (follow_raised_is_told(follow->raised, FINDING_MALFORMED, text.text, follow->now.unix_s) ||
        follow_raised_count(follow->raised, FINDING_MALFORMED) >= FOLLOW_MALFORMED_MAX) {
        return E_OK;
    }
    return follow_raise(follow, FINDING_MALFORMED, text.text, span_of(NULL, 0), err,
                        "The log serves a file that is malformed: %s.",
                        follow_text_of(scan->err.msg).text);
}

static enum err_code raise_mismatch(struct follow *follow, const struct follow_note *note,
                                    const struct follow_scan *scan, struct err *err)
{
    const struct checkpoint *checkpoint = &note->verdict.checkpoint;
    char hint[128] = "";
    if (follow_raised_is_told(follow->raised, FINDING_ROOT_MISMATCH, "", follow->now.unix_s) &&
        hash_is_equal(&follow->mismatch_root, &checkpoint->root)) {
        return E_OK;
    }
    if (scan->bad_count > 0) {
        snprintf(hint, sizeof hint,
                 " %zu hash tiles do not fit the entries either, the first is %s.", scan->bad_count,
                 tile_path_text(&scan->bad_first).text);
    }
    enum err_code rc = follow_raise(
        follow, FINDING_ROOT_MISMATCH, "", buf_span(&note->bytes), err,
        scan->code == E_CORRUPT
            ? "Entries that were verified before are served otherwise now: %s (on the way to size "
              "%" PRIu64 "). %" PRIu64 " entries are verified.%s"
            : "What the log serves is not what it signed: %s (size %" PRIu64 "). %" PRIu64
              " entries are verified.%s",
        follow_text_of(scan->err.msg).text, checkpoint->size, follow->state.held.range.size, hint);
    if (rc == E_OK) {
        follow->mismatch_root = checkpoint->root;
    }
    return rc;
}

static enum err_code raise_scan(struct follow *follow, const struct follow_note *note,
                                const struct follow_scan *scan, struct err *err)
{
    switch (scan->code) {
    case E_OK:
        return E_OK;
    case E_NOT_FOUND: /* it may come yet: follow_clock.c */
        note_missing(follow, note->verdict.checkpoint.size, scan);
        return E_OK;
    case E_MALFORMED:
    case E_TOO_LARGE:
        return raise_malformed(follow, scan, err);
    case E_BAD_PROOF:
    case E_CORRUPT:
        return raise_mismatch(follow, note, scan, err);
    default:
        follow_poll_failed(follow, &scan->err);
        return E_OK;
    }
}

/* sources[0] itself has served all that leads to the root. Nobody comes by there again once it is held. */
static enum err_code clear_scan(struct follow *follow, struct err *err)
{
    follow->missing.is_there = false;
    follow_raised_over(follow->raised, FINDING_WITHHELD, "log");
    follow_raised_over(follow->raised, FINDING_ROOT_MISMATCH, "");
    follow_raised_over(follow->raised, FINDING_MALFORMED, "");
    return follow_raised_flush(follow->raised, follow->now.unix_s, err);
}

/* -- the target -- */

static uint64_t pause_after(const struct follow *follow, uint64_t took_ms, uint64_t least_ms)
{
    uint64_t pause_ms =
        took_ms < FOLLOW_RETRY_MS_MAX / PAUSE_FACTOR ? took_ms * PAUSE_FACTOR : FOLLOW_RETRY_MS_MAX;
    return follow->now.monotonic_ms + (pause_ms > least_ms ? pause_ms : least_ms);
}

/* Whatever the reason, the note is compared with what others show of its size: two roots are a fork though the
 * data of neither is served. */
static enum err_code give_up_for_now(struct follow *follow, const struct follow_scan *scan,
                                     struct err *err)
{
    bool is_wrong = scan->code == E_BAD_PROOF || scan->code == E_CORRUPT;
    follow->is_target_failing = true;
    if (is_wrong) {
        follow->retry_ms = pause_after(follow, scan->took_ms, 0);
    }
    if (follow->is_target_remembered) {
        return E_OK;
    }
    enum err_code rc =
        note_memory_on_rejected(follow->options.memory, buf_span(&follow->state.target.bytes),
                                &follow->now, err);
    follow->is_target_remembered = rc == E_OK;
    return rc;
}

static enum err_code hold_scanned(struct follow *follow, const struct follow_scan *scan,
                                  struct err *err)
{
    const struct follow_note *target = &follow->state.target;
    struct holding holding = { .bytes = buf_span(&target->bytes),
                               .verdict = &target->verdict,
                               .range = &scan->range,
                               .seen_s = target->seen_s,
                               .is_target = true,
                               .from = "the log itself" };
    enum err_code rc = follow_tiles_raise(follow, err);
    if (rc == E_OK && scan->source == 0) {
        rc = follow_tiles_check_edge(follow, &scan->range, err);
    }
    if (rc == E_OK && scan->code == E_OK) {
        rc = clear_scan(follow, err);
    }
    if (rc == E_OK) {
        rc = follow_records_raise(follow, holding.bytes, &holding.verdict->checkpoint, err);
    }
    return rc == E_OK ? hold(follow, &holding, err) : rc;
}

static enum err_code scan_target(struct follow *follow, bool *is_settled, struct err *err)
{
    struct follow_note *target = &follow->state.target;
    struct follow_scan scan;
    *is_settled = false;
    follow_scan_to(follow, &target->verdict.checkpoint, &scan);
    if (scan.is_failed) {
        *err = scan.err;
        return err->code;
    }
    enum err_code rc = raise_scan(follow, target, &scan, err);
    if (rc != E_OK) {
        return rc;
    }
    if (scan.is_paused) {
        follow->has_more = true;
        follow->is_target_failing = false;
        return follow_scan_save(follow, err);
    }
    if (!scan.is_reached) {
        return give_up_for_now(follow, &scan, err);
    }
    rc = hold_scanned(follow, &scan, err);
    *is_settled = rc == E_OK;
    return rc;
}

/* The held tree has come past it by another way. */
static enum err_code settle_target(struct follow *follow, struct err *err)
{
    struct follow_note *target = &follow->state.target;
    enum err_code rc = follow_note_settle(follow, buf_span(&target->bytes), &target->verdict, err);
    if (rc == E_OK) {
        follow_note_take(target, &follow->state.newest);
        follow->is_changed = true;
        follow->is_target_remembered = follow->is_target_failing = false;
        follow->retry_ms = 0;
    }
    return rc;
}

enum err_code follow_hold_target(struct follow *follow, struct err *err)
{
    const struct follow_state *state = &follow->state;
    bool goes_on = true;
    enum err_code rc = E_OK;
    while (rc == E_OK && goes_on && state->target.is_there && !follow_is_waiting(follow) &&
           !follow_records_are_behind(follow) && !follow_is_stopping(follow) &&
           follow->now.monotonic_ms >= follow->retry_ms) {
        if (state->held.is_there &&
            state->target.verdict.checkpoint.size <= state->held.range.size) {
            rc = settle_target(follow, err);
            continue;
        }
        if (follow->is_changed) { /* the note is there after a crash, and need not be synced yet */
            rc = follow_state_save(state, follow->watch, follow->options.log, NULL, false, err);
        }
        if (rc == E_OK) {
            rc = scan_target(follow, &goes_on, err);
        }
    }
    return rc;
}

/* -- a note that waits -- */

static bool is_time_to_try(const struct follow *follow)
{
    const struct follow_state *state = &follow->state;
    return follow->watch->thresholds.withheld_after_s > 0 && state->held.is_there &&
           !state->target.is_there && !follow->has_more && !follow_records_are_behind(follow) &&
           follow->now.monotonic_ms >= follow->quiet_ms && !follow_is_stopping(follow);
}

static bool find_waiting_above(struct follow *follow, uint64_t above, struct buf *note,
                               struct policy_verdict *verdict)
{
    uint64_t size, waiting_s;
    struct err err;
    while (note_memory_next(follow->options.memory, above, note, &size, &follow->now, &waiting_s)) {
        if (waiting_s > follow->watch->thresholds.withheld_after_s / 2 &&
            policy_open_checkpoint(follow->watch->policy, verdict, buf_span(note), &err) == E_OK) {
            return true;
        }
        buf_reset(note);
        above = size;
    }
    return false;
}

/* One after the other, the smallest first, so that a size that nobody ever serves hides no other. */
static bool find_waiting(struct follow *follow, struct buf *note, struct policy_verdict *verdict)
{
    const struct follow_state *state = &follow->state;
    uint64_t least = state->held.range.size;
    least = state->memory.size > least ? state->memory.size : least;
    return (follow->waiting_tried > least &&
            find_waiting_above(follow, follow->waiting_tried, note, verdict)) ||
           find_waiting_above(follow, least, note, verdict);
}

static enum err_code try_waiting(struct follow *follow, struct span bytes,
                                 const struct policy_verdict *verdict, struct err *err)
{
    struct follow_scan scan;
    follow_scan_to(follow, &verdict->checkpoint, &scan);
    if (scan.is_failed) {
        *err = scan.err;
        return err->code;
    }
    if (scan.is_paused) {
        follow->has_more = true;
        return follow_scan_save(follow, err);
    }
    if (!scan.is_reached) {
        follow->quiet_ms = pause_after(follow, scan.took_ms, QUIET_PAUSE_MS);
        follow->waiting_tried = verdict->checkpoint.size;
        return E_OK;
    }
    struct holding holding = { .bytes = bytes,
                               .verdict = verdict,
                               .range = &scan.range,
                               .seen_s = follow->now.unix_s,
                               .from = "a note that waited" };
    enum err_code rc = follow_tiles_raise(follow, err);
    if (rc == E_OK) {
        rc = follow_records_raise(follow, bytes, &verdict->checkpoint, err);
    }
    return rc == E_OK ? hold(follow, &holding, err) : rc;
}

enum err_code follow_hold_waiting(struct follow *follow, struct err *err)
{
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    struct policy_verdict *verdict = NEW(struct policy_verdict);
    enum err_code rc = E_OK;
    if (is_time_to_try(follow) && find_waiting(follow, &note, verdict)) {
        rc = try_waiting(follow, buf_span(&note), verdict, err);
    }
    mem_free(verdict);
    buf_clear(&note);
    return rc;
}

/* -- where we were told to begin -- */

bool follow_is_waiting(const struct follow *follow)
{
    return follow->trusted.is_there && !follow->state.held.is_there;
}

static enum err_code load_trusted(const struct follow *follow, size_t source,
                                  struct compact_range *out, struct err *err)
{
    const struct checkpoint *checkpoint = &follow->trusted.verdict.checkpoint;
    const struct scan_source *from = &follow->watch->sources[source];
    struct log_reader *reader = NULL;
    struct tile_reader *tiles = NULL;
    enum err_code rc = from->open(from->ctx, &reader, err);
    if (rc == E_OK) {
        rc = tile_reader_open(&tiles, reader, checkpoint->size, &checkpoint->root, err);
    }
    if (rc == E_OK) {
        struct merkle_source nodes = tile_reader_source(tiles);
        rc = compact_range_load(out, &nodes, checkpoint->size, err);
    }
    tile_reader_close(tiles);
    log_reader_close(reader);
    return rc;
}

static enum err_code raise_trusted(struct follow *follow, const struct err *why, struct err *err)
{
    if (why->code != E_CORRUPT) {
        follow_poll_failed(follow, why);
        return E_OK;
    }
    if (follow_raised_is_told(follow->raised, FINDING_ROOT_MISMATCH, "", follow->now.unix_s)) {
        return E_OK;
    }
    return follow_raise(follow, FINDING_ROOT_MISMATCH, "", buf_span(&follow->trusted.bytes), err,
                        "The tiles that the log serves do not hash to the root of the checkpoint "
                        "to start from: %s.",
                        follow_text_of(why->msg).text);
}

static enum err_code hold_trusted(struct follow *follow, size_t source,
                                  const struct compact_range *range, struct err *err)
{
    struct holding holding = { .bytes = buf_span(&follow->trusted.bytes),
                               .verdict = &follow->trusted.verdict,
                               .range = range,
                               .seen_s = follow->now.unix_s,
                               .is_trusted = true,
                               .from = "the checkpoint to start from" };
    enum err_code rc = source == 0 ? clear_scan(follow, err) : E_OK;
    return rc == E_OK ? hold(follow, &holding, err) : rc;
}

enum err_code follow_hold_trusted(struct follow *follow, struct err *err)
{
    enum err_code rc = E_OK;
    for (size_t source = 0; rc == E_OK && follow_is_waiting(follow) &&
                            !follow_is_stopping(follow) && source < follow->watch->source_count;
         source++) {
        struct compact_range range;
        struct err why;
        if (load_trusted(follow, source, &range, &why) == E_OK) {
            rc = hold_trusted(follow, source, &range, err);
        } else if (source == 0) {
            rc = raise_trusted(follow, &why, err);
        }
    }
    return rc;
}
