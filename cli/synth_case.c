#include "cli/synth_case.h"

#include <assert.h>
#include <string.h>

enum {
    PURPOSE_CASE = 1,
    END_STEPS = 7,   /* about as many end a case */
    BLOCK_STEPS = 4, /* about as many a block has */
    PROMPT_MINUTES = 5 * SYNTH_DAY_MINUTES,
    LATE_PER_MILLE = 10, /* logged an hour after it was performed, or more */
};

static const struct synth_quantile lengths[] = {
    /* days, in tenths */
    { 0, 10 }, { 25000, 300 }, { 50000, 950 }, { 96000, 1800 }, { 100000, 3650 },
};
static const struct synth_quantile targets[] = {
    { 0, 9 },       { 1000, 10 },   { 10000, 15 },   { 25000, 22 },
    { 50000, 37 },  { 75000, 60 },  { 90000, 95 },   { 95000, 125 },
    { 99000, 255 }, { 99900, 400 }, { 99990, 1000 }, { 100000, 4950 },
};
/* Of an exponential distribution with mean 1000. */
static const struct synth_quantile gaps[] = {
    { 0, 0 }, { 25000, 288 }, { 50000, 693 }, { 75000, 1386 }, { 90000, 2303 }, { 100000, 5300 },
};
static const char *const types[SYNTH_TYPES] = { "执", "执恢", "执保" };

void synth_case_begin(struct synth_case *c, const struct synth_world *world, uint64_t id,
                      uint64_t filed, unsigned longest_days)
{
    static const unsigned outcomes[] = { 380, 780, 950, 1000 };
    *c = (struct synth_case){ .world = world, .id = id, .filed = filed };
    c->is_hurried = longest_days < SYNTH_HURRIED_DAYS;
    c->random = synth_random_of(world->seed, PURPOSE_CASE, id, 0);
    c->court = (uint16_t)synth_world_pick_court(world, &c->random);
    c->year = (uint16_t)synth_date_of_day(synth_day_of_minute(filed)).year;
    uint64_t share = synth_random_below(&c->random, 1000);
    c->type = share < 900 ? 0 : share < 950 ? 1 : 2;
    share = synth_random_below(&c->random, 1000);
    while (share >= outcomes[c->outcome]) {
        c->outcome++;
    }
    uint64_t days = synth_random_quantile(&c->random, lengths, sizeof lengths / sizeof lengths[0]);
    c->end = filed + days * SYNTH_DAY_MINUTES * longest_days / (10 * SYNTH_CASE_DAYS);
    c->target =
        (uint32_t)synth_random_quantile(&c->random, targets, sizeof targets / sizeof targets[0]);
    c->minute = c->log_minute = filed;
    c->block = COURSE_FILING;
}

/* ---- what comes next ---- */

static const struct course_step *current(const struct synth_case *c)
{
    const struct course_block *block = course_block(c->block);
    return c->step < COURSE_STEPS_MAX && block->steps[c->step].kind != 0 ? &block->steps[c->step]
                                                                         : NULL;
}

/* Over the steps that are left out this time. */
static const struct course_step *settle(struct synth_case *c)
{
    const struct course_step *step = current(c);
    while (step != NULL) {
        bool is_out = (step->flags & STEP_CLEAR) != 0 && c->is_block_sealed;
        is_out = is_out || ((step->flags & STEP_HALF) != 0 && synth_random_chance(&c->random, 500));
        if (!is_out) {
            break;
        }
        c->step++;
        step = current(c);
    }
    if (step != NULL) {
        bool is_many = (step->flags & STEP_MANY) != 0 && !c->is_block_sealed;
        c->repeats = is_many ? (uint8_t)synth_random_below(&c->random, 4) : 0;
    }
    return step;
}

static bool is_possible(const struct synth_case *c, const struct course_block *block)
{
    return (c->state & block->needs) == block->needs && (c->state & block->forbids) == 0;
}

static uint64_t when_after(struct synth_case *c, enum synth_when when, uint64_t gap)
{
    return synth_time_after(&c->random, c->minute, c->is_hurried ? SYNTH_AT_ONCE : when, gap);
}

static size_t pick_block(struct synth_case *c)
{
    if ((c->state & COURSE_FILED) == 0) {
        return COURSE_FILING;
    }
    if ((c->state & COURSE_NOTIFIED) == 0) {
        return COURSE_FIRST_NOTICE;
    }
    if (c->ordinal + END_STEPS >= c->target) {
        return COURSE_END_COMPLETED + (size_t)c->outcome;
    }
    unsigned total = 0;
    for (size_t i = COURSE_NAMED; i < course_count(); i++) {
        total += is_possible(c, course_block(i)) ? course_block(i)->weight : 0;
    }
    uint64_t at = synth_random_below(&c->random, total);
    for (size_t i = COURSE_NAMED;; i++) {
        unsigned weight = is_possible(c, course_block(i)) ? course_block(i)->weight : 0;
        if (at < weight) {
            return i;
        }
        at -= weight;
    }
}

/* The time that is left, over the blocks that are left. */
static uint64_t block_gap(struct synth_case *c, const struct course_block *block)
{
    uint64_t left = c->end > c->minute ? c->end - c->minute : 60;
    uint64_t todo = c->target > c->ordinal ? (c->target - c->ordinal) / BLOCK_STEPS + 1 : 1;
    uint64_t gap =
        left / todo * synth_random_quantile(&c->random, gaps, sizeof gaps / sizeof gaps[0]) / 1000;
    return block->is_prompt && gap > PROMPT_MINUTES ? synth_random_below(&c->random, PROMPT_MINUTES)
                                                    : gap;
}

static void begin_block(struct synth_case *c, size_t i, uint64_t gap)
{
    const struct course_block *block = course_block(i);
    c->block = (uint8_t)i;
    c->step = 0;
    bool has_room = c->pending_count + COURSE_SEALED_STEPS_MAX <= SYNTH_PENDING_MAX;
    c->is_block_sealed = block->may_be_sealed && has_room &&
                         synth_random_chance(&c->random, c->world->sealed_per_mille);
    const struct course_step *step = settle(c);
    assert(step != NULL);
    c->minute = when_after(c, step->when == SYNTH_NIGHT ? SYNTH_NIGHT : SYNTH_OFFICE, gap);
}

/* The oldest sealed one is opened when it is due, and before the case ends. */
static bool begin_unseal(struct synth_case *c, uint64_t until)
{
    if (c->pending_count == 0 || c->pending[0].due > until) {
        return false;
    }
    uint64_t gap = c->pending[0].due > c->minute ? c->pending[0].due - c->minute : 0;
    c->minute = when_after(c, SYNTH_OFFICE, gap);
    c->unseals_next = true;
    c->is_after_unseal = true;
    return true;
}

static void next_block(struct synth_case *c)
{
    if (c->is_after_unseal && c->pending_count == 0) {
        c->is_after_unseal = false;
        begin_block(c, COURSE_AFTER_UNSEAL, 60);
        return;
    }
    if (c->is_after_unseal && begin_unseal(c, UINT64_MAX)) {
        return;
    }
    size_t i = pick_block(c);
    const struct course_block *block = course_block(i);
    uint64_t gap = block_gap(c, block);
    bool ends = (block->gives & COURSE_ENDED) != 0;
    if (begin_unseal(c, ends ? UINT64_MAX : c->minute + gap)) {
        return;
    }
    begin_block(c, i, gap);
}

static void next_step(struct synth_case *c)
{
    const struct course_block *block = course_block(c->block);
    const struct course_step *step = current(c);
    if (step != NULL && c->repeats > 0) {
        c->repeats--;
    } else if (step != NULL) {
        c->step++;
        step = settle(c);
    }
    if (step != NULL) {
        c->minute = when_after(c, step->when, (uint64_t)step->gap_hours * 60);
        return;
    }
    c->state = (uint16_t)((c->state & ~block->takes) | block->gives);
    if ((c->state & COURSE_ENDED) != 0) {
        c->is_done = true;
    } else {
        next_block(c);
    }
}

/* Most are logged at once; the order within a case stays. */
static void set_log_minute(struct synth_case *c)
{
    uint64_t delay = 0;
    if (synth_random_chance(&c->random, LATE_PER_MILLE)) {
        delay = synth_random_range(&c->random, 61, 12 * 60);
    }
    if (c->minute + delay > c->log_minute) {
        c->log_minute = c->minute + delay;
    }
}

static void remember_sealed(struct synth_case *c, const struct synth_operation *operation)
{
    assert(c->pending_count < SYNTH_PENDING_MAX);
    uint64_t days = synth_random_range(&c->random, 2, 10);
    bool is_short = c->end - c->filed < UINT64_C(20) * SYNTH_DAY_MINUTES;
    c->pending[c->pending_count++] = (struct synth_sealed){
        .minute = operation->minute,
        .due = operation->minute + (is_short ? 0 : days * SYNTH_DAY_MINUTES),
        .ordinal = operation->ordinal,
        .number = operation->number,
        .kind = operation->kind,
    };
}

void synth_case_take(struct synth_case *c, struct synth_operation *out)
{
    assert(!c->is_done);
    *out = (struct synth_operation){ .of = c, .minute = c->minute, .ordinal = c->ordinal++ };
    if (c->unseals_next) {
        out->is_unseal = true;
        out->kind = KIND_UNSEAL;
        out->unseals = c->pending[0];
        c->unseals_next = false;
        c->pending_count--;
        memmove(&c->pending[0], &c->pending[1], c->pending_count * sizeof c->pending[0]);
    } else {
        const struct course_step *step = current(c);
        assert(step != NULL);
        out->kind = step->kind;
        out->by = step->by;
        out->flags = step->flags;
        out->is_sealed = c->is_block_sealed && (step->flags & STEP_SEALED) != 0;
    }
    out->number = c->numbers[out->by]++;
    if (out->is_sealed) {
        remember_sealed(c, out);
    }
    if (out->is_unseal) {
        next_block(c);
    } else {
        next_step(c);
    }
    set_log_minute(c);
}

void synth_case_on_written(struct synth_case *c, const struct synth_operation *operation)
{
    for (size_t i = 0; operation->is_sealed && i < c->pending_count; i++) {
        if (c->pending[i].ordinal == operation->ordinal) {
            c->pending[i].index = operation->index;
        }
    }
    if (operation->is_sealed || operation->fault != SYNTH_FAULT_NONE) {
        return; /* nothing refers to what must not be linked, or is wrong */
    }
    c->last_leaf = operation->leaf;
    c->has_last = true;
    if ((operation->flags & STEP_CONTROL) != 0) {
        c->control_leaf = operation->leaf;
        c->has_control = true;
    }
    if (operation->by == SYNTH_BY_COURT) {
        c->clear_minute = operation->minute;
    }
}

/* ---- what it is called ---- */

void synth_case_put_number(struct buf *out, const struct synth_case *c)
{
    buf_putf(out, "（%u）%s%s%u号", (unsigned)c->year, c->world->courts[c->court].code,
             types[c->type], (unsigned)c->serial);
}

struct case_key synth_case_key(const struct synth_case *c)
{
    struct case_key key;
    struct buf number = BUF_INIT(CASE_NUMBER_BYTES_MAX + 1);
    struct hash secret = synth_world_secret(c->world, "case key", c->id, 0);
    memcpy(key.bytes, secret.bytes, sizeof key.bytes);
    synth_case_put_number(&number, c);
    memset(key.number, 0, sizeof key.number);
    memcpy(key.number, number.data, number.len);
    buf_clear(&number);
    crypto_wipe(&secret, sizeof secret);
    return key;
}

unsigned synth_case_submitter(const struct synth_case *c, unsigned by)
{
    static const unsigned shared[] = { [SYNTH_BY_SERVICE] = SYNTH_SERVICE,
                                       [SYNTH_BY_FILES] = SYNTH_FILES,
                                       [SYNTH_BY_SUPERVISION] = SYNTH_SUPERVISION };
    return by == SYNTH_BY_COURT ? c->court : shared[by];
}
