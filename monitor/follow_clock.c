/* follow_clock.c -- what is due by the time, whether or not anything is new. */
#include "base/ascii.h"
#include "monitor/follow_parts.h"

#include <inttypes.h>
#include <stdio.h>

/* What lasts is raised once, and again after a while. */
static bool is_told(const struct follow *follow, enum finding_code code, const char *subject)
{
    return follow_raised_is_told(follow->raised, code, subject, follow->now.unix_s);
}

static uint64_t age_s(const struct follow *follow, int64_t since_s)
{
    return follow->now.unix_s > since_s ? (uint64_t)(follow->now.unix_s - since_s) : 0;
}

static enum err_code look_at_unreachable(struct follow *follow, struct err *err)
{
    uint64_t limit_s = follow->watch->thresholds.unreachable_after_s;
    uint64_t silent_s = follow_since_ms(follow, follow->last_good_ms) / 1000;
    if (follow->is_poll_good || limit_s == 0) {
        follow_raised_over(follow->raised, FINDING_UNREACHABLE, "");
        return E_OK;
    }
    if (silent_s < limit_s || is_told(follow, FINDING_UNREACHABLE, "")) {
        return E_OK;
    }
    return follow_raise(follow, FINDING_UNREACHABLE, "", span_of(NULL, 0), err,
                        "The log has not answered properly for %" PRIu64 " s; the last try: %s.",
                        silent_s, follow_text_of(follow->poll_err.msg).text);
}

static enum err_code look_at_missing(struct follow *follow, struct err *err)
{
    const struct follow_missing *missing = &follow->missing;
    uint64_t limit_s = follow->watch->thresholds.withheld_after_s;
    uint64_t missing_s = follow_since_ms(follow, missing->since_ms) / 1000;
    if (limit_s == 0 || !missing->is_there || missing_s < limit_s ||
        is_told(follow, FINDING_WITHHELD, "log")) {
        return E_OK;
    }
    return follow_raise(follow, FINDING_WITHHELD, "log", buf_span(&follow->state.target.bytes), err,
                        "The log signed a checkpoint of size %" PRIu64 ", and for %" PRIu64
                        " s has not served all of its entries: %s. %" PRIu64
                        " entries are verified.",
                        missing->size, missing_s, missing->detail, follow->state.held.range.size);
}

static enum err_code look_at_stalled(struct follow *follow, struct err *err)
{
    const struct follow_state *state = &follow->state;
    uint64_t limit_s = follow->watch->thresholds.stalled_after_s;
    if (limit_s == 0 || !policy_has_quorum(follow->watch->policy)) {
        return E_OK;
    }
    int64_t since_s = state->note_time_s > 0 ? state->note_time_s : state->first_looked_s;
    if (age_s(follow, since_s) <= limit_s) {
        follow_raised_over(follow->raised, FINDING_STALLED, "");
        return E_OK;
    }
    if (is_told(follow, FINDING_STALLED, "")) {
        return E_OK;
    }
    return follow_raise(
        follow, FINDING_STALLED, "", span_of(NULL, 0), err,
        "%s was %" PRIu64 " s ago; the log's newest checkpoint has %" PRIu64 " entries.",
        state->note_time_s > 0
            ? "The last time at which a quorum of witnesses cosigned for the log"
            : "No checkpoint with a quorum of witnesses was seen since the first look, which",
        age_s(follow, since_s), state->memory.size);
}

static enum err_code look_at_witness(struct follow *follow, size_t witness, struct err *err)
{
    char subject[FINDING_SUBJECT_MAX];
    struct buf escaped = BUF_INIT(4 * FINDING_SUBJECT_MAX + 8);
    const char *name = policy_witness_at(follow->watch->policy, witness)->name;
    uint64_t limit_s = follow->watch->thresholds.witness_missing_after_s;
    int64_t seen_s = follow->state.witness_seen_s[witness];
    uint64_t missing_s = age_s(follow, seen_s > 0 ? seen_s : follow->state.first_looked_s);
    ascii_put_escaped(&escaped, span_of_str(name), FINDING_SUBJECT_MAX);
    snprintf(subject, sizeof subject, "%s", buf_c_str(&escaped));
    buf_clear(&escaped);
    if (missing_s <= limit_s) {
        follow_raised_over(follow->raised, FINDING_WITNESS_MISSING, subject);
        return E_OK;
    }
    if (is_told(follow, FINDING_WITNESS_MISSING, subject)) {
        return E_OK;
    }
    return follow_raise(follow, FINDING_WITNESS_MISSING, subject, span_of(NULL, 0), err,
                        "%s %" PRIu64 " s ago.",
                        seen_s > 0
                            ? "Its last cosignature on a checkpoint that the log serves was"
                            : "No cosignature of it was seen since the first look at the log,",
                        missing_s);
}

static enum err_code look_at_witnesses(struct follow *follow, struct err *err)
{
    enum err_code rc = E_OK;
    if (follow->watch->thresholds.witness_missing_after_s == 0) {
        return E_OK;
    }
    for (size_t i = 0; rc == E_OK && i < policy_witness_count(follow->watch->policy); i++) {
        rc = look_at_witness(follow, i, err);
    }
    return rc;
}

/* Of a shorter time the whole is in the last hour; of a longer one, its share. */
static bool is_too_fast(uint64_t entries, uint64_t took_s, uint64_t limit)
{
    if (took_s <= FOLLOW_GROWTH_WINDOW_S) {
        return entries > limit;
    }
    return (double)entries * FOLLOW_GROWTH_WINDOW_S / (double)took_s > (double)limit;
}

static enum err_code look_at_growth(struct follow *follow, struct err *err)
{
    uint64_t limit = follow->watch->thresholds.growth_per_hour_max, entries, took_s;
    if (limit == 0 || !history_growth(&follow->recent, FOLLOW_GROWTH_WINDOW_S, &entries, &took_s)) {
        return E_OK;
    }
    if (!is_too_fast(entries, took_s, limit)) {
        follow_raised_over(follow->raised, FINDING_GROWTH, "");
        return E_OK;
    }
    if (is_told(follow, FINDING_GROWTH, "")) {
        return E_OK;
    }
    return follow_raise(follow, FINDING_GROWTH, "", span_of(NULL, 0), err,
                        "%" PRIu64 " entries came in %" PRIu64 " s; %" PRIu64
                        " an hour were set as plausible.",
                        entries, took_s, limit);
}

/* So many entries more than are verified no log can have: reading would never end, and what it shows meanwhile
 * would never be compared. */
enum err_code follow_clock_look_at_claim(struct follow *follow, struct err *err)
{
    uint64_t held = follow->state.held.range.size, claimed = follow->state.memory.size;
    if (claimed <= held || claimed - held < FOLLOW_ABSURD_ENTRIES) {
        follow_raised_over(follow->raised, FINDING_GROWTH, "claimed size");
        return E_OK;
    }
    if (is_told(follow, FINDING_GROWTH, "claimed size")) {
        return E_OK;
    }
    return follow_raise(follow, FINDING_GROWTH, "claimed size", span_of(NULL, 0), err,
                        "The log signed a checkpoint of %" PRIu64 " entries, %" PRIu64
                        " more than are verified: no log has that many, and they cannot be read.",
                        claimed, claimed - held);
}

enum err_code follow_clock_look(struct follow *follow, struct err *err)
{
    enum err_code rc = look_at_unreachable(follow, err);
    if (rc == E_OK) {
        rc = look_at_missing(follow, err);
    }
    if (rc == E_OK) {
        rc = look_at_stalled(follow, err);
    }
    if (rc == E_OK) {
        rc = look_at_witnesses(follow, err);
    }
    return rc == E_OK ? look_at_growth(follow, err) : rc;
}
