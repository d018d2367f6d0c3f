#include "monitor/record_watch.h"

#include "base/alloc.h"
#include "base/log.h"
#include "evidence/evidence.h"
#include "monitor/record_cases.h"
#include "monitor/record_check.h"
#include "monitor/record_repeat.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    KEYS_PAUSE_MS = 60 * 1000, /* between two readings of the case keys */
    CASES_MAX = 500,           /* judged in one go, before what was learned is written */
    OVERDUE_MAX = 256,         /* told in one go */
};

struct record_watch {
    struct watched_log *log; /* borrowed */
    struct record_options options;
    struct record_keys *keys; /* owned, as all here */
    struct record_store *store;
    struct record_submitters *submitters;
    struct record_seals *seals;
    struct record_findings *findings;
    struct record_cases *cases;
    struct record_check check;
    bool has_read_keys;
    uint64_t read_ms; /* monotonic: when the case keys were read */
    unsigned reloads; /* options.reloads then */
    bool is_partial_told;
    bool is_stale; /* the submitters are those of a scan that led nowhere */
};

/* -- opening -- */

static enum err_code open_parts(struct record_watch *watch, struct err *err)
{
    const struct record_options *options = &watch->options;
    enum err_code rc = record_store_open(&watch->store, watch->log, err);
    if (rc == E_OK) {
        rc = record_submitters_open(&watch->submitters, watch->store, watch->keys, err);
    }
    if (rc == E_OK) {
        rc = record_seals_open(&watch->seals, watch->store, options->unseal_after_s, err);
    }
    if (rc == E_OK) {
        rc = record_findings_open(&watch->findings, watch->store, err);
    }
    if (rc == E_OK) {
        watch->cases = record_cases_new(watch->log, watch->store, watch->submitters,
                                        options->key_dirs, options->key_dir_count);
    }
    return rc;
}

enum err_code record_watch_open(struct record_watch **out, struct watched_log *log,
                                const struct record_options *options, struct err *err)
{
    struct record_watch *watch = NEW(struct record_watch);
    watch->log = log;
    watch->options = *options;
    watch->keys = record_keys_new();
    enum err_code rc = open_parts(watch, err);
    if (rc != E_OK) {
        record_watch_free(watch);
        return err_wrap(err, "records of %s", watched_log_origin(log));
    }
    watch->check = (struct record_check){
        .origin = watched_log_origin(log),
        .policy = watched_log_options(log)->policy,
        .store = watch->store,
        .submitters = watch->submitters,
        .seals = watch->seals,
        .findings = watch->findings,
        .view_options = { watched_log_origin(log), watch->keys, options->verifies_signatures },
    };
    *out = watch;
    return E_OK;
}

void record_watch_free(struct record_watch *watch)
{
    if (watch != NULL) {
        record_cases_free(watch->cases);
        record_findings_free(watch->findings);
        record_seals_free(watch->seals);
        record_submitters_free(watch->submitters);
        record_store_free(watch->store);
        record_keys_free(watch->keys);
        mem_free(watch);
    }
}

/* -- a scan -- */

const struct record_view_options *record_watch_view_options(const struct record_watch *watch)
{
    return &watch->check.view_options;
}

const struct compact_range *record_watch_base(const struct record_watch *watch)
{
    return record_store_base(watch->store);
}

uint64_t record_watch_position(const struct record_watch *watch)
{
    return record_store_position(watch->store);
}

void record_watch_begin_at(struct record_watch *watch, const struct compact_range *range)
{
    record_store_begin_at(watch->store, range);
}

/* Submitters are read again, without those that only the scan has seen. */
enum err_code record_watch_restart(struct record_watch *watch, struct err *err)
{
    struct record_submitters *submitters = NULL;
    if (record_watch_position(watch) == record_watch_base(watch)->size && !watch->is_stale) {
        return E_OK;
    }
    enum err_code rc = record_store_restart(watch->store, err);
    if (rc == E_OK) {
        watch->is_stale = true;
        rc = record_submitters_open(&submitters, watch->store, watch->keys, err);
    }
    if (rc != E_OK) {
        return rc;
    }
    watch->is_stale = false;
    record_cases_use(watch->cases, submitters);
    record_submitters_free(watch->submitters);
    watch->submitters = watch->check.submitters = submitters;
    record_findings_reset(watch->findings);
    return E_OK;
}

static enum err_code see_one(struct record_watch *watch, struct record_view *view, struct err *err)
{
    uint64_t index = record_store_position(watch->store);
    enum err_code rc = record_check_entry(&watch->check, index, view, err);
    if (rc == E_OK && view->kind != NULL && view->has_tag) {
        record_cases_on_tag(watch->cases, &view->tag);
    }
    if (rc == E_OK && view->kind != NULL && view->kind->number == KIND_SUBMITTER) {
        record_cases_on_submitter(watch->cases);
    }
    if (rc == E_OK) {
        record_store_advance(watch->store, index + 1);
    }
    return rc;
}

enum err_code record_watch_see(struct record_watch *watch, struct record_view *views, size_t count,
                               struct err *err)
{
    enum err_code rc = E_OK;
    for (size_t i = 0; i < count && rc == E_OK; i++) {
        rc = see_one(watch, &views[i], err);
    }
    return rc;
}

bool record_watch_is_full(const struct record_watch *watch)
{
    return record_store_is_full(watch->store);
}

void record_watch_put_waiting(struct record_watch *watch, struct kv_batch *batch)
{
    record_findings_put(watch->findings);
    record_store_put_waiting(watch->store, batch);
}

void record_watch_on_written(struct record_watch *watch)
{
    record_store_on_written(watch->store);
}

/* -- raising -- */

/* Of a tag that repeats: the file, unless nobody serves what it takes. Then it is our word only. */
static void put_evidence(struct buf *out, struct record_repeat *repeat,
                         const struct record_finding *found, struct finding *finding)
{
    struct err err;
    if (record_repeat_put(out, repeat, found->other, found->index, &err) != E_OK) {
        log_error(LOG_LEVEL_ERROR, "repeated_tag_not_proved", &err);
        size_t len = strlen(finding->summary);
        snprintf(finding->summary + len, sizeof finding->summary - len,
                 " There is no proof of it: the log does not serve both any more.");
    }
}

static enum err_code raise_one(struct record_watch *watch, struct record_repeat *repeat,
                               const struct record_finding *found, int64_t now_s, struct err *err)
{
    const struct finding_sink *sink = &watched_log_options(watch->log)->sink;
    struct finding finding = { .code = found->code, .origin = watched_log_origin(watch->log) };
    record_subject(finding.subject, found->index);
    if (found->is_over) {
        return sink->clear(sink->ctx, found->code, finding.origin, finding.subject, now_s, err);
    }
    struct buf file = BUF_INIT(EVIDENCE_BYTES_MAX);
    snprintf(finding.summary, sizeof finding.summary, "Entry %" PRIu64 ": %s.", found->index,
             found->text);
    if (found->code == FINDING_TAG_REPEATED) {
        put_evidence(&file, repeat, found, &finding);
        finding.evidence = buf_span(&file);
    }
    enum err_code rc = sink->raise(sink->ctx, &finding, now_s, err);
    buf_clear(&file);
    return rc;
}

static enum err_code raise_more(struct record_watch *watch, enum finding_code code, int64_t now_s,
                                struct err *err)
{
    const struct finding_sink *sink = &watched_log_options(watch->log)->sink;
    struct finding finding = { .code = code, .origin = watched_log_origin(watch->log) };
    uint64_t first, count = record_findings_more(watch->findings, code, &first);
    if (count == 0) {
        return E_OK;
    }
    snprintf(finding.subject, sizeof finding.subject, "more from entry %" PRIu64, first);
    snprintf(finding.summary, sizeof finding.summary,
             "%" PRIu64 " entries more have the same, the first of which is %" PRIu64 ".", count,
             first);
    return sink->raise(sink->ctx, &finding, now_s, err);
}

enum err_code record_watch_raise(struct record_watch *watch, struct span note,
                                 const struct checkpoint *checkpoint, int64_t now_s,
                                 struct err *err)
{
    struct record_repeat *repeat = record_repeat_new(watch->log, note, checkpoint);
    enum err_code rc = E_OK;
    for (size_t i = 0; rc == E_OK && i < record_findings_count(watch->findings); i++) {
        rc = raise_one(watch, repeat, record_findings_at(watch->findings, i), now_s, err);
    }
    for (int code = 0; rc == E_OK && code < FINDING_COUNT; code++) {
        rc = raise_more(watch, (enum finding_code)code, now_s, err);
    }
    record_repeat_free(repeat);
    if (rc == E_OK) {
        record_findings_reset(watch->findings);
    }
    return rc;
}

void record_watch_put_held(struct record_watch *watch, const struct compact_range *range,
                           uint64_t time_s, struct kv_batch *batch)
{
    record_seals_note_time(watch->seals, range->size, time_s);
    record_store_put_base(watch->store, range, batch);
}

void record_watch_on_held(struct record_watch *watch, const struct compact_range *range)
{
    record_store_on_base(watch->store, range);
}

/* -- each step -- */

static void read_keys(struct record_watch *watch, const struct monitor_time *now)
{
    unsigned reloads = watch->options.reloads != NULL ? atomic_load(watch->options.reloads) : 0;
    bool is_forced = !watch->has_read_keys || reloads != watch->reloads;
    if (watch->options.key_dir_count == 0 ||
        (!is_forced && now->monotonic_ms - watch->read_ms < KEYS_PAUSE_MS)) {
        return;
    }
    record_cases_read_keys(watch->cases, now->unix_s, is_forced);
    watch->has_read_keys = true;
    watch->read_ms = now->monotonic_ms;
    watch->reloads = reloads;
}

/* A case can be judged by one only who knows all that was logged. */
static bool has_cases(struct record_watch *watch)
{
    uint64_t from = record_store_from(watch->store);
    if (from > 0 && record_cases_count(watch->cases) > 0 && !watch->is_partial_told) {
        watch->is_partial_told = true;
        log_event(LOG_LEVEL_WARN, "cases_not_judged",
                  "origin=%s reason=\"entries below %" PRIu64 " were never looked at\"",
                  log_quoted_str(watched_log_origin(watch->log)).text, from);
    }
    return from == 0 && record_watch_base(watch)->size > 0;
}

struct overdue {
    struct record_watch *watch;
    int64_t now_s;
};

static enum err_code tell_overdue(void *ctx, uint64_t index, struct err *err)
{
    const struct overdue *overdue = ctx;
    const struct record_options *options = &overdue->watch->options;
    const struct finding_sink *sink = &watched_log_options(overdue->watch->log)->sink;
    struct finding finding = { .code = FINDING_SEALED_OVERDUE,
                               .origin = watched_log_origin(overdue->watch->log) };
    record_subject(finding.subject, index);
    snprintf(finding.summary, sizeof finding.summary,
             "Entry %" PRIu64 " is sealed, and no entry has opened it for %" PRIu64 " days.", index,
             options->unseal_after_s / 86400);
    return sink->raise(sink->ctx, &finding, overdue->now_s, err);
}

static enum err_code write_waiting(struct record_watch *watch, struct err *err)
{
    struct kv_batch batch;
    kv_batch_init(&batch);
    record_watch_put_waiting(watch, &batch);
    enum err_code rc =
        state_store_write_synced(watched_log_options(watch->log)->store, &batch, err);
    if (rc == E_OK) {
        record_watch_on_written(watch);
    }
    kv_batch_clear(&batch);
    return rc;
}

enum err_code record_watch_look(struct record_watch *watch, uint64_t note_s,
                                const struct monitor_time *now, bool *has_more, struct err *err)
{
    struct overdue overdue = { watch, now->unix_s };
    bool has_more_cases = false, has_more_seals = false;
    read_keys(watch, now);
    enum err_code rc = has_cases(watch) ? record_cases_look(watch->cases, now->unix_s, CASES_MAX,
                                                            &has_more_cases, err)
                                        : E_OK;
    if (rc == E_OK) {
        rc = record_seals_look(watch->seals, note_s, OVERDUE_MAX, tell_overdue, &overdue,
                               &has_more_seals, err);
    }
    *has_more = rc == E_OK && (has_more_cases || has_more_seals);
    if (!record_store_has_waiting(watch->store)) {
        return rc;
    }
    struct err write_err; /* also what was done before an error is written */
    enum err_code write_rc = write_waiting(watch, &write_err);
    if (rc == E_OK && write_rc != E_OK) {
        rc = write_rc;
        *err = write_err;
    }
    return rc;
}
