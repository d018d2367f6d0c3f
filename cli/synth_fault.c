#include "cli/synth_fault.h"

#include <assert.h>

enum {
    PURPOSE_FAULT = 50,
    KIND_DOC = 130,
    KIND_LATE = 132, /* says itself that it is out of time */
    KIND_FILED = KIND_CASE_FILED,
};

static const struct {
    const char *name;
    bool needs_key, needs_records;
} faults[SYNTH_FAULTS] = {
    [SYNTH_FAULT_NONE] = { "", false, false },
    [SYNTH_CASE_GAP] = { "case-gap", true, true },
    [SYNTH_CASE_ORDER] = { "case-order", true, true },
    [SYNTH_CASE_AFTER_CLOSED] = { "case-after-closed", true, false },
    [SYNTH_CASE_TIME_BACKWARDS] = { "case-time-backwards", true, false },
    [SYNTH_CASE_FILED_TWICE] = { "case-filed-twice", true, false },
    [SYNTH_CASE_COUNT] = { "case-count", true, false },
    [SYNTH_TAG_REPEATED] = { "tag-repeated", false, true },
    [SYNTH_UNREGISTERED_KEY] = { "unregistered-key", false, true },
    [SYNTH_SEALED_OVERDUE] = { "sealed-overdue", false, false },
    [SYNTH_BAD_RECORD] = { "bad-record", false, true },
};

const char *synth_fault_name(enum synth_fault fault)
{
    return faults[fault].name;
}

bool synth_fault_needs_key(enum synth_fault fault)
{
    return faults[fault].needs_key;
}

bool synth_fault_needs_records(enum synth_fault fault)
{
    return faults[fault].needs_records;
}

void synth_fault_assign(struct synth_case *c, unsigned rate, bool has_records)
{
    struct synth_random random = synth_random_of(c->world->seed, PURPOSE_FAULT, c->id, 0);
    uint64_t share = synth_random_below(&random, 1000);
    c->fault_after = (uint8_t)synth_random_range(&random, 2, 6);
    assert(rate <= SYNTH_FAULT_RATE_MAX);
    if (rate > 0 && share < (uint64_t)rate * (SYNTH_FAULTS - 1)) {
        enum synth_fault fault = (enum synth_fault)(1 + share / rate);
        c->fault =
            (uint8_t)(has_records || !synth_fault_needs_records(fault) ? fault : SYNTH_FAULT_NONE);
    }
}

/* An entry in the clear by the court, in the middle of its case. */
static bool is_plain(const struct synth_operation *operation)
{
    return operation->by == SYNTH_BY_COURT && !operation->is_sealed && !operation->is_unseal &&
           operation->kind != KIND_CLOSED && operation->number > 0;
}

/* One more by the same hand, which follows at once and has a fault of its own. */
static struct synth_operation another(const struct synth_operation *operation, uint16_t kind,
                                      enum synth_fault fault)
{
    return (struct synth_operation){
        .of = operation->of,
        .kind = kind,
        .by = operation->by,
        .minute = operation->minute,
        .ordinal = operation->ordinal,
        .fault = fault,
    };
}

static void take_number(struct synth_operation *operation)
{
    operation->number = operation->of->numbers[operation->by]++;
}

/* Will the next operation be as plain as this one? Then the two can change places. */
static bool is_next_plain(const struct synth_case *c)
{
    const struct course_block *block = course_block(c->block);
    if (c->is_done || c->unseals_next || c->step >= COURSE_STEPS_MAX) {
        return false;
    }
    const struct course_step *step = &block->steps[c->step];
    return step->by == SYNTH_BY_COURT && step->kind != KIND_CLOSED &&
           !(c->is_block_sealed && (step->flags & STEP_SEALED) != 0);
}

static void settle_debt(struct synth_operation *operation)
{
    struct synth_case *c = operation->of;
    if (c->owes_number) {
        operation->number = c->owed_number;
        operation->minute = c->owed_minute;
        operation->fault = SYNTH_CASE_ORDER;
        c->owes_number = false;
    }
}

/* Faults of the operation itself. True when it now has the case's. */
static bool spoil(struct synth_operation *operation)
{
    struct synth_case *c = operation->of;
    bool is_due = is_plain(operation) && operation->ordinal >= c->fault_after;
    switch (c->fault) {
    case SYNTH_CASE_GAP: /* the number before it is never seen */
        if (is_due) {
            take_number(operation);
            operation->fault = SYNTH_CASE_GAP;
        }
        return is_due;
    case SYNTH_CASE_ORDER: /* its number goes to the next one */
        if (is_due && is_next_plain(c)) {
            c->owes_number = true;
            c->owed_number = operation->number++;
            c->owed_minute = operation->minute;
            return true;
        }
        return false;
    case SYNTH_CASE_TIME_BACKWARDS:
        if (is_due && c->clear_minute > 0 && operation->kind != KIND_LATE) {
            operation->minute = c->clear_minute - 90;
            operation->fault = SYNTH_CASE_TIME_BACKWARDS;
            return true;
        }
        return false;
    case SYNTH_CASE_COUNT:
        if (operation->kind == KIND_CLOSED) {
            operation->is_miscounted = true;
            operation->fault = SYNTH_CASE_COUNT;
            return true;
        }
        return false;
    default:
        return false;
    }
}

/* Faults that are one more operation. False when it is not the time. */
static bool add(struct synth_operation *extra, const struct synth_operation *operation)
{
    struct synth_case *c = operation->of;
    bool is_due = is_plain(operation) && operation->ordinal >= c->fault_after;
    switch (c->fault) {
    case SYNTH_CASE_AFTER_CLOSED:
        if (operation->kind != KIND_CLOSED) {
            return false;
        }
        *extra = another(operation, KIND_DOC, SYNTH_CASE_AFTER_CLOSED);
        take_number(extra);
        return true;
    case SYNTH_CASE_FILED_TWICE:
        *extra = another(operation, KIND_FILED, SYNTH_CASE_FILED_TWICE);
        if (is_due) {
            take_number(extra);
        }
        return is_due;
    case SYNTH_TAG_REPEATED:
        *extra = another(operation, KIND_DOC, SYNTH_TAG_REPEATED);
        extra->number = operation->number;
        return is_due;
    case SYNTH_UNREGISTERED_KEY:
        *extra = another(operation, KIND_DOC, SYNTH_UNREGISTERED_KEY);
        extra->is_rogue = true;
        return is_due;
    case SYNTH_BAD_RECORD:
        *extra = another(operation, KIND_DOC, SYNTH_BAD_RECORD);
        extra->is_rogue = extra->is_bad = true;
        return is_due;
    default:
        return false;
    }
}

size_t synth_fault_apply(struct synth_operation out[static SYNTH_FAULT_OPERATIONS],
                         const struct synth_operation *operation, bool *overdue)
{
    struct synth_case *c = operation->of;
    *overdue = c->fault == SYNTH_SEALED_OVERDUE && operation->is_unseal;
    if (*overdue) { /* its number goes to whatever comes next */
        c->numbers[operation->by]--;
        c->fault = SYNTH_FAULT_NONE;
        return 0;
    }
    size_t count = 1;
    out[0] = *operation;
    settle_debt(&out[0]);
    if (c->fault == SYNTH_FAULT_NONE || out[0].fault != SYNTH_FAULT_NONE) {
        return count;
    }
    if (add(&out[1], &out[0])) {
        count++;
        c->fault = SYNTH_FAULT_NONE;
    } else if (spoil(&out[0])) {
        c->fault = SYNTH_FAULT_NONE;
    }
    return count;
}
