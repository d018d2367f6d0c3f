#include "monitor/record_case.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    KIND_DISBURSE = 67,
    KIND_RELEASE = 37,
    KIND_DELIST = 86,
    KIND_RESUME = 98,
    KIND_REVERSAL = 105,
    KIND_ARCHIVED = 106,
    KIND_CORRECTION = 131,
    KIND_LATE_ENTRY = 132,
};

struct told {
    void (*tell)(void *ctx, const struct record_case_finding *finding);
    void *ctx;
};

static void tell(const struct told *told, enum finding_code code, uint64_t index, uint64_t trigger,
                 const char *fmt, ...) PRINTF_LIKE(5, 6);
static void tell(const struct told *told, enum finding_code code, uint64_t index, uint64_t trigger,
                 const char *fmt, ...)
{
    struct record_case_finding finding = { .code = code, .index = index, .trigger = trigger };
    va_list args;
    va_start(args, fmt);
    vsnprintf(finding.text, sizeof finding.text, fmt, args);
    va_end(args);
    told->tell(told->ctx, &finding);
}

/* -- by submitter and number -- */

static int compare_numbers(const void *a, const void *b)
{
    const struct record_case_entry *one = a, *two = b;
    if (one->submitter != two->submitter) {
        return one->submitter < two->submitter ? -1 : 1;
    }
    return one->number < two->number ? -1 : one->number > two->number;
}

static int compare_indices(const void *a, const void *b)
{
    const struct record_case_entry *one = a, *two = b;
    return one->index < two->index ? -1 : one->index > two->index;
}

/* Entries of one submitter, from `from` to before `end`. */
static size_t end_of_submitter(const struct record_case *judged, size_t from)
{
    size_t end = from;
    while (end < judged->count &&
           judged->entries[end].submitter == judged->entries[from].submitter) {
        end++;
    }
    return end;
}

/* A gap that is filled later is over, and what has filled it is out of order. */
static void judge_gaps(const struct record_case_entry *entries, size_t count,
                       const struct told *told)
{
    for (size_t i = 0; i < count; i++) {
        const struct record_case_entry *entry = &entries[i];
        uint64_t expected = i > 0 ? entry[-1].number + 1 : 0;
        if (entry->number > expected) {
            tell(told, FINDING_CASE_GAP, entry->index, entry->index,
                 entry->number - expected == 1
                     ? "operation %" PRIu64 " of its submitter in the case is missing before it"
                     : "operations from %" PRIu64
                       " on of its submitter in the case are missing before it",
                 expected);
        } else if (i > 0 && entry[-1].index > entry->index) {
            struct record_case_finding over = { .code = FINDING_CASE_GAP,
                                                .is_over = true,
                                                .index = entry->index,
                                                .trigger = entry[-1].index };
            told->tell(told->ctx, &over);
        }
    }
}

/* From the last number on: an entry is late when one of a higher number is before it. */
static void judge_order(struct record_case_entry *entries, size_t count, const struct told *told)
{
    const struct record_case_entry *first = NULL; /* of all higher numbers */
    for (size_t i = count; i > 0; i--) {
        struct record_case_entry *entry = &entries[i - 1];
        entry->is_late = first != NULL && first->index < entry->index;
        if (entry->is_late) {
            tell(told, FINDING_CASE_ORDER, entry->index, entry->index,
                 "it is operation %" PRIu64 " of its submitter in the case, and operation %" PRIu64
                 " was logged before it",
                 entry->number, first->number);
        } else {
            first = entry;
        }
    }
}

/* What was logged out of order is told there, and not here again. A LATE_ENTRY says itself that it is late. */
static void judge_times(const struct record_case_entry *entries, size_t count,
                        const struct told *told)
{
    const struct record_case_entry *latest = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct record_case_entry *entry = &entries[i];
        if (entry->minute == 0 || entry->kind == KIND_LATE_ENTRY || entry->is_late) {
            continue;
        }
        if (latest != NULL && entry->minute < latest->minute) {
            tell(told, FINDING_CASE_TIME_BACKWARDS, entry->index, entry->index,
                 "it is %" PRIu64 " min before operation %" PRIu64
                 " of its submitter in the case, and its number is %" PRIu64,
                 latest->minute - entry->minute, latest->number, entry->number);
        } else {
            latest = entry;
        }
    }
}

/* -- counts: needs the entries by number -- */

/* One above the highest number that was logged before `index`. A hole below it is a gap, and no matter here. */
static uint64_t numbers_before(const struct record_case *judged, size_t submitter, uint64_t index)
{
    uint64_t above = 0;
    for (size_t i = 0; i < judged->count; i++) {
        const struct record_case_entry *entry = &judged->entries[i];
        if (entry->submitter == submitter && entry->index <= index && entry->number >= above) {
            above = entry->number + 1;
        }
    }
    return above;
}

static bool is_counted(const struct record_case_closed *closed, size_t submitter)
{
    for (size_t i = 0; i < closed->count; i++) {
        if (closed->counts[i].submitter == submitter) {
            return true;
        }
    }
    return false;
}

static bool find_uncounted(const struct record_case *judged,
                           const struct record_case_closed *closed)
{
    for (size_t i = 0; i < judged->count; i++) {
        const struct record_case_entry *entry = &judged->entries[i];
        if (entry->index <= closed->index && !is_counted(closed, entry->submitter)) {
            return true;
        }
    }
    return false;
}

/* One finding for a CLOSED entry, whatever is wrong with it. */
static void judge_counts(const struct record_case *judged, const struct record_case_closed *closed,
                         const struct told *told)
{
    if (!closed->is_readable) {
        tell(told, FINDING_CASE_COUNT, closed->index, closed->index,
             "its counts are not what the key of the case deciphers");
        return;
    }
    for (size_t i = 0; i < closed->count; i++) {
        uint64_t there = numbers_before(judged, closed->counts[i].submitter, closed->index);
        if (there != closed->counts[i].count) {
            tell(told, FINDING_CASE_COUNT, closed->index, closed->index,
                 "it counts %" PRIu32 " operations of a submitter, of whom %" PRIu64
                 " are numbered on the log by then",
                 closed->counts[i].count, there);
            return;
        }
    }
    if (closed->count < CLOSED_SUBMITTERS_MAX && find_uncounted(judged, closed)) {
        tell(told, FINDING_CASE_COUNT, closed->index, closed->index,
             "it does not count the operations of a submitter who has logged some");
    }
}

/* -- by index -- */

/* UNSEAL does nothing: it opens what was done. */
static bool is_allowed_after_closed(uint32_t kind)
{
    switch (kind) {
    case KIND_RESUME:
    case KIND_REVERSAL:
    case KIND_CORRECTION:
    case KIND_ARCHIVED:
    case KIND_DELIST:
    case KIND_RELEASE:
    case KIND_DISBURSE:
    case KIND_UNSEAL:
        return true;
    default:
        return false;
    }
}

static void judge_closed(const struct record_case *judged, const struct told *told)
{
    bool is_closed = false;
    for (size_t i = 0; i < judged->count; i++) {
        const struct record_case_entry *entry = &judged->entries[i];
        if (is_closed && !is_allowed_after_closed(entry->kind)) {
            tell(told, FINDING_CASE_AFTER_CLOSED, entry->index, entry->index,
                 "it is of a case that was closed before it");
        }
        is_closed = entry->kind == KIND_CLOSED || (is_closed && entry->kind != KIND_RESUME);
    }
}

static void judge_filed(const struct record_case *judged, const struct told *told)
{
    bool is_filed = false;
    for (size_t i = 0; i < judged->count; i++) {
        const struct record_case_entry *entry = &judged->entries[i];
        if (entry->kind != KIND_CASE_FILED) {
            continue;
        }
        if (entry->is_of_another_number) {
            tell(told, FINDING_BAD_RECORD, entry->index, entry->index,
                 "it files another case number than that of the key which it is tagged with");
        }
        if (is_filed) {
            tell(told, FINDING_CASE_FILED_TWICE, entry->index, entry->index,
                 "it files a case that was filed before it");
        }
        is_filed = true;
    }
}

/* -- all -- */

void record_case_judge(struct record_case *judged,
                       void (*on_finding)(void *ctx, const struct record_case_finding *finding),
                       void *ctx)
{
    struct told told = { on_finding, ctx };
    if (judged->count == 0) {
        return;
    }
    qsort(judged->entries, judged->count, sizeof judged->entries[0], compare_numbers);
    for (size_t from = 0, end; from < judged->count; from = end) {
        end = end_of_submitter(judged, from);
        judge_gaps(judged->entries + from, end - from, &told);
        judge_order(judged->entries + from, end - from, &told);
        judge_times(judged->entries + from, end - from, &told);
    }
    for (size_t i = 0; i < judged->closed_count; i++) {
        judge_counts(judged, &judged->closed[i], &told);
    }
    qsort(judged->entries, judged->count, sizeof judged->entries[0], compare_indices);
    judge_closed(judged, &told);
    judge_filed(judged, &told);
}

bool record_case_filed(const struct record_case *judged, uint64_t *index)
{
    bool is_filed = false;
    for (size_t i = 0; i < judged->count; i++) {
        const struct record_case_entry *entry = &judged->entries[i];
        if (entry->kind == KIND_CASE_FILED && (!is_filed || entry->index < *index)) {
            is_filed = true;
            *index = entry->index;
        }
    }
    return is_filed;
}
