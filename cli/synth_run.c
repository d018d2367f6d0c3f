#include "cli/synth_run.h"

#include "base/alloc.h"

#include <assert.h>
#include <stdlib.h>

enum {
    PURPOSE_DAY = 60
};

struct run {
    const struct synth_run_options *options;
    struct synth_run_report *report;

    struct synth_case **heap; /* owned, as are they; the earliest first */
    size_t open, room;

    /* Filing: a day at a time. */
    uint64_t day;           /* from first_day */
    uint64_t weight, total; /* of the days up to this one; of all */
    uint64_t filed;         /* cases, before today's that wait */
    uint64_t *today;        /* minutes, ascending; owned */
    size_t today_count, today_next, today_room;
    unsigned year;
    uint32_t serials[SYNTH_COURTS][SYNTH_TYPES]; /* of that year */
};

/* ---- the heap ---- */

static bool is_before(const struct synth_case *a, const struct synth_case *b)
{
    return a->log_minute != b->log_minute ? a->log_minute < b->log_minute : a->id < b->id;
}

static void sink(struct run *run, size_t i)
{
    struct synth_case *c = run->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < run->open && is_before(run->heap[child + 1], run->heap[child])) {
            child++;
        }
        if (child >= run->open || !is_before(run->heap[child], c)) {
            break;
        }
        run->heap[i] = run->heap[child];
        i = child;
    }
    run->heap[i] = c;
}

static void push(struct run *run, struct synth_case *c)
{
    if (run->open == run->room) {
        run->room = run->room == 0 ? 1024 : 2 * run->room;
        run->heap = mem_realloc(run->heap, run->room * sizeof(struct synth_case *));
    }
    size_t i = run->open++;
    while (i > 0 && is_before(c, run->heap[(i - 1) / 2])) {
        run->heap[i] = run->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    run->heap[i] = c;
    if (run->open > run->report->open_most) {
        run->report->open_most = run->open;
    }
}

static void drop_first(struct run *run)
{
    struct synth_case *c = run->heap[0];
    run->heap[0] = run->heap[--run->open];
    if (run->open > 0) {
        sink(run, 0);
    }
    crypto_wipe(c, sizeof *c);
    mem_free(c);
}

/* ---- filing ---- */

static int compare_minutes(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y ? 1 : 0;
}

/* As many cases as the day's share of all weights says, at sorted minutes. */
static void begin_day(struct run *run)
{
    const struct synth_run_options *options = run->options;
    uint64_t day = options->first_day + run->day;
    struct synth_random random = synth_random_of(options->world->seed, PURPOSE_DAY, day, 0);
    run->weight += synth_time_day_weight(day);
    run->day++;
    run->filed += run->today_count;
    uint64_t through = options->cases * run->weight / run->total;
    run->today_count = (size_t)(through - run->filed);
    run->today_next = 0;
    if (run->today_count > run->today_room) {
        run->today_room = run->today_count;
        run->today = mem_realloc(run->today, run->today_room * sizeof run->today[0]);
    }
    for (size_t i = 0; i < run->today_count; i++) {
        run->today[i] = synth_time_on_day(&random, day);
    }
    if (run->today_count > 1) {
        qsort(run->today, run->today_count, sizeof run->today[0], compare_minutes);
    }
}

/* The minute of the next filing; UINT64_MAX when all are filed. */
static uint64_t next_filing(struct run *run)
{
    while (run->today_next == run->today_count && run->day < run->options->days) {
        begin_day(run);
    }
    return run->today_next < run->today_count ? run->today[run->today_next] : UINT64_MAX;
}

static enum err_code file_case(struct run *run, struct err *err)
{
    const struct synth_run_options *options = run->options;
    struct synth_case *c = NEW(struct synth_case);
    uint64_t id = run->filed + run->today_next;
    synth_case_begin(c, options->world, id, run->today[run->today_next++], options->longest_days);
    if (c->year != run->year) {
        memset(run->serials, 0, sizeof run->serials);
        run->year = c->year;
    }
    c->serial = ++run->serials[c->court][c->type];
    synth_fault_assign(c, options->fault_rate, options->has_records);
    push(run, c);
    if (options->on_progress != NULL) {
        options->on_progress(options->ctx, id + 1);
    }
    return synth_writer_put_case(options->writer, c, err);
}

/* ---- operations ---- */

static enum err_code take_operation(struct run *run, struct err *err)
{
    struct synth_case *c = run->heap[0];
    struct synth_operation taken, due[SYNTH_FAULT_OPERATIONS];
    bool overdue = false;
    enum err_code rc = E_OK;
    run->report->last_minute = c->log_minute;
    synth_case_take(c, &taken);
    size_t count = synth_fault_apply(due, &taken, &overdue);
    if (overdue) {
        rc = synth_writer_put_overdue(run->options->writer, &taken, err);
    }
    for (size_t i = 0; rc == E_OK && i < count; i++) {
        rc = synth_writer_put(run->options->writer, &due[i], err);
        synth_case_on_written(c, &due[i]);
    }
    if (c->is_done) {
        drop_first(run);
    } else {
        sink(run, 0);
    }
    return rc;
}

static enum err_code run_all(struct run *run, struct err *err)
{
    enum err_code rc = E_OK;
    while (rc == E_OK) {
        uint64_t filing = next_filing(run);
        if (run->open == 0 && filing == UINT64_MAX) {
            break;
        }
        bool is_filing = run->open == 0 || filing <= run->heap[0]->log_minute;
        rc = is_filing ? file_case(run, err) : take_operation(run, err);
    }
    return rc;
}

enum err_code synth_run(struct synth_run_report *out, const struct synth_run_options *options,
                        struct err *err)
{
    struct run *run = NEW(struct run);
    *out = (struct synth_run_report){ .open_most = 0 };
    run->options = options;
    run->report = out;
    assert(options->cases <= SYNTH_CASES_MAX && options->days > 0);
    for (uint64_t i = 0; i < options->days; i++) {
        run->total += synth_time_day_weight(options->first_day + i);
    }
    out->first_minute = next_filing(run);
    enum err_code rc = run_all(run, err);
    while (run->open > 0) {
        drop_first(run);
    }
    mem_free(run->heap);
    mem_free(run->today);
    mem_free(run);
    return rc;
}
