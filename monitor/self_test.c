/* self_test.c -- a drill is a small log of its own, followed by the very code that follows real ones.
 *
 * It is honest to begin with; then it shows a forged history of the same size, of a smaller one, and of a larger
 * one that its honest history grows past. Each must be found. All are one alert, since they are one cause. Nothing
 * of it touches the monitor's store but that alert; what else is found of a log that behaves so stays here. */
#include "monitor/self_test.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/log.h"
#include "evidence/evidence.h"
#include "monitor/clock.h"
#include "monitor/drill_log.h"
#include "monitor/follow.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum {
    FORGERIES = 3,
    STEP_S = 600, /* of the drill's own time, between two polls: what paused is due again */
    RANDOM_BYTES = 8,
    LOOK_MS = 20,
    POLICY_MAX = 1024,
    FUTURE_TOLERANCE_S = 3600,
};

struct drill {
    const struct self_test_options *options;
    struct self_test_report *report;
    struct err err; /* of what went wrong with the drill itself */
    char origin[ORIGIN_BYTES_MAX + 1];
    struct drill_log *log;
    struct monitor_time now;
    /* What follows it; owned, NULL when it is not there. */
    struct policy *policy;
    struct state_store *store;
    struct watched_log *watched;
    struct note_memory *memory;
    struct follow *follow;
    /* What it found. */
    size_t forks, good;
};

/* -- what is found -- */

static bool is_evidence_good(const struct drill *drill, struct span bytes)
{
    const struct vkey *key = drill_log_vkey(drill->log);
    struct evidence *evidence = NEW(struct evidence);
    struct evidence_verdict *verdict = NEW(struct evidence_verdict);
    struct err err;
    bool is_good = evidence_parse(evidence, bytes, &err) == E_OK &&
                   evidence->kind == EVIDENCE_FORK &&
                   evidence_verify(evidence, &key, 1, verdict, &err) == E_OK &&
                   strcmp(verdict->checkpoints[0].origin, drill->origin) == 0;
    mem_free(verdict);
    mem_free(evidence);
    return is_good;
}

static enum err_code on_raise(void *ctx, const struct finding *finding, int64_t now_s,
                              struct err *err)
{
    struct drill *drill = ctx;
    (void)now_s; /* the drill's own time; the alert's is ours */
    if (finding->code != FINDING_FORK) {
        return E_OK;
    }
    struct finding marked = *finding;
    marked.is_drill = true;
    enum err_code rc = alert_book_raise(drill->options->alerts, &marked, (int64_t)time(NULL),
                                        drill->report->alert_id, err);
    if (rc == E_OK) {
        drill->report->evidence_id =
            drill->forks == 0 ? sha256(finding->evidence) : drill->report->evidence_id;
        drill->forks++;
        drill->good += is_evidence_good(drill, finding->evidence) ? 1 : 0;
    }
    return rc;
}

static enum err_code on_clear(void *ctx, enum finding_code code, const char *origin,
                              const char *subject, int64_t now_s, struct err *err)
{
    (void)ctx;
    (void)code;
    (void)origin;
    (void)subject;
    (void)now_s;
    (void)err;
    return E_OK;
}

/* -- the log, and who follows it -- */

/* "drill.<monitor>/<random hex>": never the name of a log, and never that of another drill. */
static void name_drill(struct drill *drill)
{
    uint8_t random[RANDOM_BYTES];
    struct buf hex = BUF_INIT(2 * RANDOM_BYTES + 1);
    const char *monitor = drill->options->key->vkey.name;
    size_t room = sizeof drill->origin - sizeof "drill./" - 2 * RANDOM_BYTES;
    size_t len = strlen(monitor);
    if (len > room) { /* cut between code points */
        for (len = room; ((unsigned char)monitor[len] & 0xc0) == 0x80; len--) {
        }
    }
    crypto_random(random, sizeof random);
    hex_put(&hex, span_of(random, sizeof random));
    snprintf(drill->origin, sizeof drill->origin, "drill.%.*s/%s", (int)len, monitor,
             buf_c_str(&hex));
    buf_clear(&hex);
}

static enum err_code make_policy(struct drill *drill, struct err *err)
{
    struct buf text = BUF_INIT(POLICY_MAX);
    buf_put_str(&text, "log ");
    vkey_put(&text, drill_log_vkey(drill->log));
    buf_put_str(&text, "\nquorum none\n");
    enum err_code rc = policy_parse(&drill->policy, buf_span(&text), err);
    buf_clear(&text);
    return rc;
}

static enum err_code open_parts(struct drill *drill, struct err *err)
{
    enum err_code rc = make_policy(drill, err);
    if (rc != E_OK) {
        return rc;
    }
    drill->store = state_store_new(kv_memory_new(), NULL, NULL);
    drill->watched = watched_log_new(&(struct watched_log_options){
        .policy = drill->policy,
        .log = policy_log_at(drill->policy, 0),
        .thresholds = { .future_tolerance_s = FUTURE_TOLERANCE_S },
        .sources = { drill_log_source(drill->log) },
        .source_count = 1,
        .store = drill->store,
        .sink = { drill, on_raise, on_clear },
    });
    rc = note_memory_open(&drill->memory, drill->watched, err);
    if (rc == E_OK) {
        rc = follow_open(&drill->follow,
                         &(struct follow_options){
                             .log = drill->watched, .memory = drill->memory, .scan_threads = 1 },
                         err);
    }
    return rc;
}

static void close_parts(struct drill *drill)
{
    follow_close(drill->follow);
    note_memory_free(drill->memory);
    if (drill->watched != NULL) {
        watched_log_free(drill->watched);
    }
    state_store_free(drill->store);
    policy_free(drill->policy);
    drill_log_free(drill->log);
}

/* -- the course of it -- */

/* What the log shows, one poll after another, and how many forgeries must have been found by then. */
static const struct scene {
    enum drill_history history;
    uint64_t size;
    size_t forks;
} scenes[] = {
    { DRILL_HONEST, 20, 0 }, { DRILL_FORGED, 20, 1 }, { DRILL_FORGED, 13, 2 },
    { DRILL_FORGED, 26, 2 }, /* larger than what is verified: proved when that has grown past it */
    { DRILL_HONEST, 31, 3 },
};

static enum err_code play(struct drill *drill, const struct scene *scene, struct err *err)
{
    enum err_code rc = drill_log_publish(drill->log, scene->history, scene->size, err);
    drill->now.unix_s += STEP_S;
    drill->now.monotonic_ms += STEP_S * 1000;
    if (rc == E_OK) {
        rc = follow_step(drill->follow, &drill->now, err);
    }
    if (rc == E_OK && drill->forks < scene->forks) {
        log_event(LOG_LEVEL_ERROR, "drill_fork_not_found", "size=%u", (unsigned)scene->size);
    }
    return rc;
}

static enum err_code play_all(struct drill *drill, struct err *err)
{
    enum err_code rc = open_parts(drill, err);
    for (size_t i = 0; rc == E_OK && i < sizeof scenes / sizeof scenes[0]; i++) {
        rc = play(drill, &scenes[i], err);
    }
    return rc;
}

/* What people will download is what was found. */
static bool is_evidence_kept(const struct drill *drill)
{
    struct buf bytes = BUF_INIT(EVIDENCE_BYTES_MAX);
    struct err err;
    bool is_kept = alert_book_evidence(drill->options->alerts, &drill->report->evidence_id, &bytes,
                                       &err) == E_OK &&
                   is_evidence_good(drill, buf_span(&bytes));
    buf_clear(&bytes);
    return is_kept;
}

/* -- who was told -- */

static void begin_sinks(const struct drill *drill)
{
    const struct self_test_options *options = drill->options;
    drill->report->sink_count = options->courier_count;
    for (size_t i = 0; i < options->courier_count; i++) {
        struct courier_status status;
        courier_read_status(options->couriers[i], &status);
        snprintf(drill->report->sinks[i].name, sizeof drill->report->sinks[i].name, "%s",
                 status.sink);
        courier_wake(options->couriers[i]);
    }
}

static bool are_all_told(const struct drill *drill)
{
    struct self_test_report *report = drill->report;
    bool are_told = true;
    for (size_t i = 0; i < report->sink_count; i++) {
        report->sinks[i].is_told =
            report->sinks[i].is_told ||
            courier_has_delivered(drill->options->couriers[i], report->alert_id);
        are_told = are_told && report->sinks[i].is_told;
    }
    return are_told;
}

static void explain_untold(const struct drill *drill, size_t i)
{
    struct courier_status status;
    char *error = drill->report->sinks[i].error;
    courier_read_status(drill->options->couriers[i], &status);
    snprintf(error, ERR_MSG_MAX, "%s",
             drill->report->alert_id[0] == 0 ? "there was no alert to tell"
             : status.last_error[0] != 0     ? status.last_error
                                             : "it has not taken the alert in time");
}

static bool is_stopping(const struct self_test_options *options)
{
    return options->is_stopping != NULL && atomic_load(options->is_stopping);
}

static void wait_for_sinks(const struct drill *drill)
{
    uint64_t began_ms = clock_monotonic_ms();
    bool has_alert = drill->report->alert_id[0] != 0;
    while (has_alert && !is_stopping(drill->options) && !are_all_told(drill) &&
           clock_monotonic_ms() - began_ms < drill->options->timeout_ms) {
        nanosleep(&(struct timespec){ .tv_nsec = LOOK_MS * 1000000L }, NULL);
    }
    for (size_t i = 0; i < drill->report->sink_count; i++) {
        if (!drill->report->sinks[i].is_told) {
            explain_untold(drill, i);
        }
    }
}

/* -- the drill -- */

static void finish(struct drill *drill, enum err_code rc)
{
    struct self_test_report *report = drill->report;
    struct err err;
    report->is_fork_found = drill->forks >= FORGERIES;
    report->is_evidence_good =
        drill->forks > 0 && drill->good == drill->forks && is_evidence_kept(drill);
    begin_sinks(drill);
    wait_for_sinks(drill);
    if (rc != E_OK) {
        snprintf(report->error, sizeof report->error, "%s", drill->err.msg);
    }
    if (report->alert_id[0] != 0 &&
        alert_book_resolve(drill->options->alerts, report->alert_id, "drill over",
                           (int64_t)time(NULL), &err) != E_OK &&
        err.code != E_CONFLICT && report->error[0] == 0) { /* a person was faster */
        snprintf(report->error, sizeof report->error, "the alert is still open: %.400s", err.msg);
    }
}

static void hold(const struct self_test_options *options, struct self_test_report *out)
{
    struct drill *drill = NEW(struct drill);
    drill->options = options;
    drill->report = out;
    drill->now = (struct monitor_time){ (int64_t)time(NULL), clock_monotonic_ms() };
    name_drill(drill);
    drill->log = drill_log_new(drill->origin);
    finish(drill, play_all(drill, &drill->err));
    log_event(LOG_LEVEL_INFO, "drill", "alert=%s fork_found=%s evidence_good=%s error=%s",
              out->alert_id, out->is_fork_found ? "yes" : "no",
              out->is_evidence_good ? "yes" : "no", log_quoted_str(out->error).text);
    close_parts(drill);
    mem_free(drill);
}

void self_test_run(const struct self_test_options *options, struct self_test_report *out)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    assert(options->courier_count <= ALERT_SINKS_MAX);
    memset(out, 0, sizeof *out);
    if (pthread_mutex_trylock(&one_at_a_time) != 0) {
        snprintf(out->error, sizeof out->error, "another drill is under way");
        return;
    }
    hold(options, out);
    pthread_mutex_unlock(&one_at_a_time);
}

enum err_code self_test_clean_up(struct alert_book *alerts, int64_t now_s, struct err *err)
{
    struct alert *live = NULL;
    size_t count = alert_book_list(alerts, false, SIZE_MAX, &live);
    enum err_code rc = E_OK;
    for (size_t i = 0; i < count && rc == E_OK; i++) {
        if (live[i].is_drill) {
            rc = alert_book_resolve(alerts, live[i].id, "drill over: the monitor stopped meanwhile",
                                    now_s, err);
        }
    }
    mem_free(live);
    return rc;
}
