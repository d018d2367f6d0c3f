/* follow_note.c -- the checkpoint that the log serves.
 *
 * What is wrong with a note is raised, and what is right again cleared, before the note is remembered as checked: a
 * crash or an error in between checks it again. No signed note is lost: a larger one is stored before it is scanned for (`target`), and one that
 * another takes the place of before it was verified goes to note_memory. */
#include "base/ascii.h"
#include "monitor/follow_parts.h"
#include "monitor/witness_memory.h"

#include <inttypes.h>

static const char log_itself[] = "the log itself";

/* -- what is wrong with it -- */

static bool is_found(const struct note_check_result *check, enum finding_code code,
                     const char *subject)
{
    for (size_t i = 0; i < check->count; i++) {
        if (check->findings[i].code == code && strcmp(check->findings[i].subject, subject) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether a usable note would show this cause again if it were so still. */
static bool is_told_by_note(const struct follow *follow, enum finding_code code,
                            const char *subject)
{
    const struct follow_state *state = &follow->state;
    switch (code) {
    case FINDING_BAD_SIGNATURE:
    case FINDING_NO_QUORUM:
    case FINDING_FUTURE_COSIGNATURE:
    case FINDING_TIME_BACKWARDS:
        return true;
    case FINDING_STALE_COSIGNATURE: /* looked for on news only */
        return follow->check.verdict.checkpoint.size > state->memory.size_max;
    case FINDING_MALFORMED:
        return strcmp(subject, "checkpoint") == 0;
    default:
        return false;
    }
}

static void clear_what_is_gone(struct follow *follow)
{
    size_t at = 0;
    enum finding_code code;
    const char *subject;
    while (follow_raised_next(follow->raised, &at, &code, &subject)) {
        if (is_told_by_note(follow, code, subject) && !is_found(&follow->check, code, subject)) {
            follow_raised_over(follow->raised, code, subject);
        }
    }
}

static enum err_code raise_found(struct follow *follow, struct span bytes, struct err *err)
{
    const struct note_check_result *check = &follow->check;
    enum err_code rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < check->count; i++) {
        rc = follow_raise(follow, check->findings[i].code, check->findings[i].subject, bytes, err,
                          "%s", check->findings[i].summary);
    }
    return rc;
}

static enum err_code look_for_rollback(struct follow *follow, struct span bytes, struct err *err)
{
    uint64_t size = follow->check.verdict.checkpoint.size;
    uint64_t size_max = follow->state.memory.size_max;
    if (size >= size_max) {
        follow_raised_over(follow->raised, FINDING_ROLLBACK, "");
        return E_OK;
    }
    return follow_raise(follow, FINDING_ROLLBACK, "", bytes, err,
                        "The log serves a checkpoint of size %" PRIu64
                        "; it has shown one of size %" PRIu64 " before.",
                        size, size_max);
}

/* A time that is ahead of our clock counts as now: what it says about the future is not known yet. */
static int64_t time_of(const struct follow *follow, uint64_t time_s)
{
    int64_t now_s = follow->now.unix_s > 0 ? follow->now.unix_s : 0;
    return time_s < (uint64_t)now_s ? (int64_t)time_s : now_s;
}

static void remember_times(struct follow *follow, const struct policy_verdict *verdict)
{
    struct follow_state *state = &follow->state;
    for (size_t i = 0; i < policy_witness_count(follow->watch->policy); i++) {
        int64_t seen_s = time_of(follow, verdict->timestamps[i]);
        if (verdict->cosigned.has[i] && seen_s > state->witness_seen_s[i]) {
            state->witness_seen_s[i] = seen_s;
        }
    }
    int64_t quorum_s = time_of(follow, policy_no_later_than(follow->watch->policy, verdict));
    state->note_time_s = quorum_s > state->note_time_s ? quorum_s : state->note_time_s;
}

/* -- where it goes -- */

static bool is_same_tree(const struct follow_note *note, const struct policy_verdict *verdict)
{
    return note->is_there && note->verdict.checkpoint.size == verdict->checkpoint.size &&
           hash_is_equal(&note->verdict.checkpoint.root, &verdict->checkpoint.root);
}

/* A note that was not verified leaves us: it is compared once that can be done. */
static enum err_code let_go(struct follow *follow, struct follow_note *note, bool is_remembered,
                            struct err *err)
{
    enum err_code rc = E_OK;
    if (note->is_there && !is_remembered) {
        rc = note_memory_on_rejected(follow->options.memory, buf_span(&note->bytes), &follow->now,
                                     err);
    }
    if (rc == E_OK) {
        follow_note_clear(note);
    }
    return rc;
}

static enum err_code let_go_target(struct follow *follow, struct err *err)
{
    enum err_code rc = let_go(follow, &follow->state.target, follow->is_target_remembered, err);
    if (rc == E_OK) {
        follow->is_target_remembered = follow->is_target_failing = false;
        follow->retry_ms = 0;
    }
    return rc;
}

/* A scan under way goes on to the size that it was begun for, or a log that grows as fast as we read would never
 * be verified; what is newer waits behind it. */
static enum err_code follow_larger(struct follow *follow, struct span bytes,
                                   const struct policy_verdict *verdict, struct err *err)
{
    struct follow_note *target = &follow->state.target, *newest = &follow->state.newest;
    struct follow_note *into = target;
    enum err_code rc = E_OK;
    if (is_same_tree(target, verdict) || is_same_tree(newest, verdict)) {
        into = is_same_tree(target, verdict) ? target : newest;
    } else if (target->is_there && !follow->is_target_failing &&
               target->verdict.checkpoint.size < verdict->checkpoint.size) {
        into = newest;
        rc = let_go(follow, newest, false, err);
    } else {
        rc = let_go_target(follow, err);
    }
    if (rc == E_OK && into == target) {
        rc = let_go(follow, newest, false, err);
    }
    if (rc == E_OK) {
        int64_t seen_s = into->is_there ? into->seen_s : follow->now.unix_s;
        follow_note_set(into, bytes, verdict, seen_s);
    }
    return rc;
}

enum err_code follow_note_settle(struct follow *follow, struct span bytes,
                                 const struct policy_verdict *verdict, struct err *err)
{
    const struct held_tree *held = &follow->state.held;
    struct compare_outcome outcome = { .result = COMPARE_SAME };
    if (verdict->checkpoint.size == held->range.size &&
        hash_is_equal(&verdict->checkpoint.root, &held->root)) {
        return follow_hold_same(follow, bytes, verdict, err);
    }
    enum err_code rc =
        compare_note(follow->options.log, log_itself, bytes, &follow->now, &outcome, err);
    if (rc != E_OK) {
        return rc;
    }
    switch (outcome.result) {
    case COMPARE_SAME:
    case COMPARE_CONSISTENT:
    case COMPARE_CONTRADICTION:
    case COMPARE_NOT_LOOKED_AT:
        return witness_memory_add(follow->options.log, log_itself, bytes, follow->now.unix_s, err);
    case COMPARE_AHEAD:
    case COMPARE_NO_DATA:
    case COMPARE_NOTHING_HELD:
        break;
    }
    return note_memory_on_rejected(follow->options.memory, bytes, &follow->now, err);
}

static enum err_code decide(struct follow *follow, struct span bytes,
                            const struct policy_verdict *verdict, struct err *err)
{
    const struct held_tree *held = &follow->state.held;
    if (!held->is_there || verdict->checkpoint.size > held->range.size) {
        return follow_larger(follow, bytes, verdict, err);
    }
    enum err_code rc = let_go_target(follow, err);
    if (rc == E_OK) {
        rc = let_go(follow, &follow->state.newest, false, err);
    }
    return rc == E_OK ? follow_note_settle(follow, bytes, verdict, err) : rc;
}

/* -- looking -- */

static void tell_quorum(void *ctx, struct watched_status *status)
{
    const struct follow *follow = ctx;
    status->is_quorum_met = follow->check.verdict.is_met;
}

static void check(struct follow *follow, struct span bytes)
{
    uint64_t silent_s = follow_since_ms(follow, follow->last_good_ms) / 1000;
    follow->state.memory.is_after_pause =
        !follow->is_note_looked_at || silent_s > follow->watch->thresholds.stalled_after_s;
    note_check(&follow->check, follow->watch, &follow->state.memory, bytes, follow->now.unix_s);
    if (follow->check.is_usable) {
        watched_log_update(follow->options.log, tell_quorum, follow);
    }
}

/* The same bytes as before: a time that was ahead of our clock may not be so any more. */
static void look_again(struct follow *follow, struct span bytes)
{
    size_t at = 0;
    enum finding_code code;
    const char *subject;
    if (follow->is_note_looked_at &&
        follow_raised_count(follow->raised, FINDING_FUTURE_COSIGNATURE) == 0) {
        return;
    }
    check(follow, bytes);
    while (follow->check.is_usable && follow_raised_next(follow->raised, &at, &code, &subject)) {
        if (code == FINDING_FUTURE_COSIGNATURE && !is_found(&follow->check, code, subject)) {
            follow_raised_over(follow->raised, code, subject);
        }
    }
}

static enum err_code look_at_usable(struct follow *follow, struct span bytes, struct err *err)
{
    const struct policy_verdict *verdict = &follow->check.verdict;
    enum err_code rc = look_for_rollback(follow, bytes, err);
    if (rc == E_OK) {
        clear_what_is_gone(follow);
        rc = decide(follow, bytes, verdict, err);
    }
    if (rc == E_OK) { /* before the state that would not look again is stored */
        rc = follow_raised_flush(follow->raised, follow->now.unix_s, err);
    }
    if (rc == E_OK) {
        remember_times(follow, verdict);
        note_memory_of_log_take(&follow->state.memory, verdict);
    }
    return rc;
}

enum err_code follow_note_look(struct follow *follow, struct span bytes, struct err *err)
{
    struct follow_state *state = &follow->state;
    struct hash id = sha256(bytes);
    if (state->has_checked && hash_is_equal(&state->checked, &id)) {
        look_again(follow, bytes);
        follow->is_note_looked_at = true;
        return E_OK;
    }
    check(follow, bytes);
    enum err_code rc = raise_found(follow, bytes, err);
    if (rc == E_OK && follow->check.is_usable) {
        rc = look_at_usable(follow, bytes, err);
    }
    follow->is_changed = true; /* notes may have moved, even if not all went well */
    if (rc == E_OK) {
        state->checked = id;
        state->has_checked = follow->is_note_looked_at = true;
    }
    return rc;
}
