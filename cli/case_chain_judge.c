#include "base/alloc.h"
#include "base/ascii.h"
#include "cli/case_chain_parts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct judging {
    struct case_chain *chain;
    struct case_chain_report *report;
    bool has_missing;
};

/* "4c1e... (ce0101.court.example)" would be long: the name, which its own registration gives. */
static const char *name_of(const struct judging *j, size_t submitter)
{
    return j->chain->submitters[submitter].name;
}

static struct case_chain_problem *add_problem(struct judging *j, const struct submitter_id *id,
                                              const char *fmt, ...) PRINTF_LIKE(3, 4);
static struct case_chain_problem *add_problem(struct judging *j, const struct submitter_id *id,
                                              const char *fmt, ...)
{
    static struct case_chain_problem unkept;
    struct case_chain_report *report = j->report;
    struct case_chain_problem *problem = &unkept;
    report->problem_count++;
    if (report->kept_count < CASE_CHAIN_PROBLEMS_MAX) {
        if (report->problems == NULL) {
            report->problems = mem_calloc(CASE_CHAIN_PROBLEMS_MAX, sizeof *report->problems);
        }
        problem = &report->problems[report->kept_count++];
    }
    *problem = (struct case_chain_problem){ .is_missing = false };
    if (id != NULL) {
        problem->submitter = *id;
    }
    va_list args;
    va_start(args, fmt);
    vsnprintf(problem->text, sizeof problem->text, fmt, args);
    va_end(args);
    return problem;
}

static void add_missing(struct judging *j, size_t submitter, uint64_t from, uint64_t to,
                        const char *because)
{
    const struct submitter_id *id = &j->chain->submitters[submitter].id;
    struct case_chain_problem *problem =
        to - from == 1
            ? add_problem(j, id, "number %" PRIu64 " of submitter %s is missing%s", from,
                          name_of(j, submitter), because)
            : add_problem(j, id, "numbers %" PRIu64 " to %" PRIu64 " of submitter %s are missing%s",
                          from, to - 1, name_of(j, submitter), because);
    problem->is_missing = true;
    problem->number = from;
    problem->count = to - from;
    j->has_missing = true;
}

/* ---- one submitter, by number ---- */

static int compare(const void *a, const void *b)
{
    const struct chain_operation *one = a, *two = b;
    if (one->submitter != two->submitter) {
        return one->submitter < two->submitter ? -1 : 1;
    }
    if (one->number != two->number) {
        return one->number < two->number ? -1 : 1;
    }
    return one->index < two->index ? -1 : one->index > two->index;
}

static void judge_signature(struct judging *j, const struct chain_operation *operation)
{
    if (operation->is_bad) {
        add_problem(j, &j->chain->submitters[operation->submitter].id,
                    "entry %" PRIu64 " has the tag of number %" PRIu64
                    " of submitter %s, and is not signed by it",
                    operation->index, operation->number, name_of(j, operation->submitter));
    }
    j->report->sealed += operation->kind == KIND_SEALED;
    j->report->vouched += operation->is_vouched;
}

/* In the order of numbers: nothing left out, nothing twice, each behind the one before on the log. */
static void judge_operations(struct judging *j, const struct chain_operation *operations,
                             size_t count, struct case_chain_submitter *out)
{
    size_t submitter = operations[0].submitter;
    const struct chain_submitter *known = &j->chain->submitters[submitter];
    *out = (struct case_chain_submitter){ .id = known->id,
                                          .operations = count,
                                          .first_index = operations[0].index,
                                          .last_index = operations[0].index };
    snprintf(out->name, sizeof out->name, "%s", known->name);
    uint64_t latest = 0; /* index of the latest so far */
    for (size_t i = 0; i < count; i++) {
        const struct chain_operation *operation = &operations[i];
        judge_signature(j, operation);
        if (i > 0 && operation->number < out->next) {
            add_problem(j, &known->id,
                        "number %" PRIu64 " of submitter %s is there twice: entries %" PRIu64
                        " and %" PRIu64,
                        operation->number, known->name, operation[-1].index, operation->index);
            continue;
        }
        if (operation->number > out->next) {
            add_missing(j, submitter, out->next, operation->number, "");
        }
        if (i > 0 && operation->index < latest) {
            add_problem(j, &known->id,
                        "number %" PRIu64 " of submitter %s is out of order: entry %" PRIu64
                        ", with a lower number behind it at entry %" PRIu64,
                        operation->number, known->name, operation->index, latest);
        }
        latest = operation->index > latest ? operation->index : latest;
        out->next = operation->number + 1;
        out->first_index =
            operation->index < out->first_index ? operation->index : out->first_index;
        out->last_index = latest;
    }
}

static void judge_submitters(struct judging *j)
{
    struct case_chain *chain = j->chain;
    struct case_chain_report *report = j->report;
    report->submitters = mem_calloc(chain->submitter_count + 1, sizeof *report->submitters);
    if (chain->operation_count > 1) {
        qsort(chain->operations, chain->operation_count, sizeof *chain->operations, compare);
    }
    for (size_t from = 0, end; from < chain->operation_count; from = end) {
        end = from;
        while (end < chain->operation_count &&
               chain->operations[end].submitter == chain->operations[from].submitter) {
            end++;
        }
        judge_operations(j, chain->operations + from, end - from,
                         &report->submitters[report->submitter_count++]);
    }
}

/* ---- CLOSED ---- */

static size_t position_of(const struct case_chain *chain, const struct submitter_id *id)
{
    for (size_t i = 0; i < chain->submitter_count; i++) {
        if (submitter_id_is_equal(&chain->submitters[i].id, id)) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* One above the highest number that a submitter has up to CLOSED. */
static uint64_t numbered(const struct case_chain *chain, size_t submitter)
{
    uint64_t next = 0;
    for (size_t i = 0; i < chain->operation_count; i++) {
        const struct chain_operation *operation = &chain->operations[i];
        if (operation->submitter == submitter && operation->index <= chain->closed.index &&
            operation->number >= next) {
            next = operation->number + 1;
        }
    }
    return next;
}

static void judge_count(struct judging *j, const struct closed_count *counted)
{
    size_t submitter = position_of(j->chain, &counted->submitter);
    if (submitter == SIZE_MAX) {
        if (j->chain->only_count == 0) {
            struct buf hex = BUF_INIT(2 * SUBMITTER_ID_BYTES + 1);
            hex_put(&hex, SPAN_OF_ARRAY(counted->submitter.bytes));
            struct case_chain_problem *problem =
                add_problem(j, &counted->submitter,
                            "CLOSED counts %" PRIu32
                            " operations of submitter %s, which is not registered",
                            counted->count, buf_c_str(&hex));
            problem->is_missing = true;
            problem->count = counted->count;
            j->has_missing = true;
            buf_clear(&hex);
        }
        return;
    }
    uint64_t next = numbered(j->chain, submitter);
    if (next < counted->count) {
        add_missing(j, submitter, next, counted->count, ": CLOSED counts it");
    } else if (next > counted->count) {
        add_problem(j, &counted->submitter,
                    "CLOSED counts %" PRIu32 " operations of submitter %s, and %" PRIu64
                    " are numbered before it",
                    counted->count, name_of(j, submitter), next);
    }
}

static bool is_counted(const struct chain_closed *closed, const struct submitter_id *id)
{
    for (size_t i = 0; i < closed->count; i++) {
        if (submitter_id_is_equal(&closed->counts[i].submitter, id)) {
            return true;
        }
    }
    return false;
}

static void judge_closed(struct judging *j)
{
    const struct chain_closed *closed = &j->chain->closed;
    struct case_chain_report *report = j->report;
    if (!closed->is_there) {
        return;
    }
    report->is_closed = true;
    report->is_closed_vouched = closed->is_vouched;
    report->closed_index = closed->index;
    for (size_t i = 0; i < j->chain->operation_count; i++) {
        report->after_closed += j->chain->operations[i].index > closed->index;
    }
    if (!closed->is_readable) {
        add_problem(j, NULL, "the counts of CLOSED, entry %" PRIu64 ", are not of this case key",
                    closed->index);
        return;
    }
    for (size_t i = 0; i < closed->count; i++) {
        judge_count(j, &closed->counts[i]);
    }
    for (size_t i = 0; i < report->submitter_count; i++) {
        const struct case_chain_submitter *submitter = &report->submitters[i];
        bool was_before = submitter->first_index < closed->index;
        if (was_before && closed->count < CLOSED_SUBMITTERS_MAX &&
            !is_counted(closed, &submitter->id)) {
            add_problem(j, &submitter->id, "CLOSED does not count submitter %s", submitter->name);
        }
    }
}

void case_chain_judge(struct case_chain *chain, struct case_chain_report *out)
{
    *out = (struct case_chain_report){ .operations = chain->operation_count,
                                       .registered = chain->submitter_count };
    struct judging j = { .chain = chain, .report = out };
    judge_submitters(&j);
    judge_closed(&j);
    if (chain->operation_count == 0) {
        out->verdict = CASE_CHAIN_NONE;
    } else if (j.has_missing) {
        out->verdict = CASE_CHAIN_INCOMPLETE;
    } else if (out->problem_count > 0) {
        out->verdict = CASE_CHAIN_FAULTY;
    } else {
        /* What came after CLOSED is counted by nobody. */
        bool is_all = out->is_closed && out->after_closed == 0;
        out->verdict = is_all ? CASE_CHAIN_CLOSED : CASE_CHAIN_OPEN;
    }
}

void case_chain_report_clear(struct case_chain_report *report)
{
    mem_free(report->submitters);
    mem_free(report->problems);
    *report = (struct case_chain_report){ .verdict = CASE_CHAIN_NONE };
}
