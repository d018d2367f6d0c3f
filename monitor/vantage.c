/* The thread, the status, and the door through which every note of a vantage goes.
 *
 * The normal path is: the way of asking hands in what it was shown, the note says of which log it is, that log's
 * memory compares it or lets it wait. A note that was once found to agree with our tree agrees for ever,
 * as that only grows: its bytes are not compared again. One that contradicts is, since a person may have
 * resolved the alert, and must hear of it again. */
#include "monitor/vantage.h"

#include "base/log.h"
#include "monitor/clock.h"
#include "monitor/vantage_parts.h"
#include "tlog/promise.h"

#include <assert.h>
#include <inttypes.h>
#include <time.h>

/* -- counting -- */

static void count(struct vantage *vantage, uint64_t *counter)
{
    pthread_mutex_lock(&vantage->mutex);
    (*counter)++;
    pthread_mutex_unlock(&vantage->mutex);
}

void vantage_on_unusable(struct vantage *vantage)
{
    count(vantage, &vantage->status.unusable);
}

/* Each contradiction counts once, and each log is logged once: whoever signs a million of them does not
 * write a million lines. */
static void count_contradiction(struct vantage *vantage, size_t log, const struct hash *id)
{
    size_t kept = vantage->told_count < VANTAGE_TOLD_MAX ? vantage->told_count : VANTAGE_TOLD_MAX;
    for (size_t i = 0; i < kept; i++) {
        if (hash_is_equal(&vantage->told[i], id)) {
            return;
        }
    }
    vantage->told[vantage->told_count++ % VANTAGE_TOLD_MAX] = *id;
    count(vantage, &vantage->status.contradictions);
    if (!vantage->has_contradicted[log]) {
        vantage->has_contradicted[log] = true;
        log_event(LOG_LEVEL_WARN, "vantage_contradiction", "vantage=%s origin=%s",
                  log_quoted_str(vantage->options.text).text,
                  log_quoted_str(watched_log_origin(vantage->options.logs[log].log)).text);
    }
}

/* -- the door -- */

static struct hash *seen_slot(struct vantage *vantage, const struct hash *id)
{
    size_t i = (size_t)(id->bytes[0] << 8 | id->bytes[1]) % VANTAGE_SEEN_MAX;
    return &vantage->seen[i];
}

static bool is_about_the_note(enum err_code rc)
{
    return rc == E_MALFORMED || rc == E_NOT_FOUND || rc == E_BAD_SIGNATURE || rc == E_DENIED ||
           rc == E_UNSUPPORTED || rc == E_TOO_LARGE;
}

/* Our own trouble, or the log's: logged when it begins and when it is over. */
static enum vantage_taken note_trouble(struct vantage *vantage, enum err_code rc,
                                       const struct err *err)
{
    if (rc != E_OK && is_about_the_note(rc)) {
        return VANTAGE_UNUSABLE;
    }
    if (rc != E_OK && !vantage->is_store_failing) {
        log_event(LOG_LEVEL_WARN, "vantage_note_not_kept", "vantage=%s error=%s",
                  log_quoted_str(vantage->options.text).text, log_quoted_str(err->msg).text);
    }
    vantage->is_store_failing = rc != E_OK;
    return rc == E_OK ? VANTAGE_TAKEN : VANTAGE_FAILED;
}

static enum vantage_taken take_for_log(struct vantage *vantage, size_t log, struct span note,
                                       const struct hash *id)
{
    struct monitor_time now = clock_now();
    struct compare_outcome outcome;
    struct err err;
    enum err_code rc = note_memory_on_note(vantage->options.logs[log].memory, vantage->options.text,
                                           note, &now, &outcome, &err);
    if (rc == E_OK && outcome.result == COMPARE_CONTRADICTION) {
        count_contradiction(vantage, log, id);
    } else if (rc == E_OK &&
               (outcome.result == COMPARE_SAME || outcome.result == COMPARE_CONSISTENT)) {
        *seen_slot(vantage, id) = *id;
    }
    return note_trouble(vantage, rc, &err);
}

static bool is_of(const struct vantage *vantage, size_t log, struct span origin)
{
    return span_is_str(origin, watched_log_origin(vantage->options.logs[log].log));
}

static enum vantage_taken count_taken(struct vantage *vantage, enum vantage_taken taken)
{
    if (taken == VANTAGE_UNUSABLE) {
        vantage_on_unusable(vantage);
    } else {
        count(vantage, &vantage->status.notes);
    }
    return taken;
}

enum vantage_taken vantage_on_note(struct vantage *vantage, struct span note)
{
    struct span rest = note, origin;
    struct hash id = sha256(note);
    enum vantage_taken taken = VANTAGE_UNUSABLE;
    if (!span_take_until(&rest, '\n', &origin)) {
        return count_taken(vantage, VANTAGE_UNUSABLE);
    }
    if (hash_is_equal(seen_slot(vantage, &id), &id)) {
        return count_taken(vantage, VANTAGE_TAKEN);
    }
    for (size_t i = 0; i < vantage->options.log_count; i++) {
        if (is_of(vantage, i, origin)) {
            enum vantage_taken now = take_for_log(vantage, i, note, &id);
            taken = now > taken ? now : taken;
        }
    }
    return count_taken(vantage, taken);
}

static enum vantage_taken take_promise_for_log(struct vantage *vantage, size_t log,
                                               struct span note, const struct hash *id)
{
    struct monitor_time now = clock_now();
    struct compare_promise_outcome outcome = { 0 };
    struct err err;
    enum err_code rc = compare_promise(vantage->options.logs[log].log, vantage->options.text, note,
                                       &now, &outcome, &err);
    if (rc == E_OK && outcome.broken > 0) {
        count_contradiction(vantage, log, id);
    }
    enum vantage_taken taken = note_trouble(vantage, rc, &err);
    return taken == VANTAGE_TAKEN && outcome.open > 0 ? VANTAGE_LATER : taken;
}

enum vantage_taken vantage_on_promise(struct vantage *vantage, struct span note)
{
    struct span rest = note, line, origin;
    struct hash id = sha256(note);
    enum vantage_taken taken = VANTAGE_UNUSABLE;
    if (!span_take_until(&rest, '\n', &line) || !span_take_until(&rest, '\n', &origin)) {
        return count_taken(vantage, VANTAGE_UNUSABLE);
    }
    for (size_t i = 0; i < vantage->options.log_count; i++) {
        if (is_of(vantage, i, origin)) {
            enum vantage_taken now = take_promise_for_log(vantage, i, note, &id);
            taken = now > taken ? now : taken;
        }
    }
    return count_taken(vantage, taken);
}

/* -- rounds -- */

void vantage_round_fail(struct vantage_round *round, const struct err *err)
{
    if (round->code == E_OK) {
        round->code = err->code;
        round->err = *err;
    }
}

static void end_round(struct vantage *vantage, const struct vantage_round *round)
{
    bool is_failing = round->code != E_OK;
    pthread_mutex_lock(&vantage->mutex);
    struct vantage_status *status = &vantage->status;
    status->last_answer_s = round->is_answered ? (int64_t)time(NULL) : status->last_answer_s;
    status->failures += is_failing;
    memset(status->last_error, 0, sizeof status->last_error);
    if (is_failing) {
        memcpy(status->last_error, round->err.msg, sizeof status->last_error);
    }
    pthread_mutex_unlock(&vantage->mutex);
    if (is_failing && !vantage->is_failing) {
        log_event(LOG_LEVEL_WARN, "vantage_fails", "vantage=%s error=%s",
                  log_quoted_str(vantage->options.text).text, log_quoted_str(round->err.msg).text);
    } else if (!is_failing && vantage->is_failing) {
        log_event(LOG_LEVEL_INFO, "vantage_works_again", "vantage=%s",
                  log_quoted_str(vantage->options.text).text);
    }
    vantage->is_failing = is_failing;
}

static void wait_for_poll(struct vantage *vantage, uint64_t from_ms)
{
    uint64_t due_ms = from_ms + vantage->options.poll_ms;
    struct timespec due = { .tv_sec = (time_t)(due_ms / 1000),
                            .tv_nsec = (long)(due_ms % 1000) * 1000000 };
    pthread_mutex_lock(&vantage->mutex);
    while (!vantage->is_stopping && clock_monotonic_ms() < due_ms) {
        pthread_cond_timedwait(&vantage->wake, &vantage->mutex, &due);
    }
    pthread_mutex_unlock(&vantage->mutex);
}

static void *run(void *arg)
{
    struct vantage *vantage = arg;
    while (!vantage->is_stopping) {
        struct vantage_round round = { .code = E_OK };
        vantage->way->ask(vantage->state, &round);
        if (!vantage->is_stopping) {
            end_round(vantage, &round);
            /* From the end of the round: whoever is slow is not asked without a pause. */
            wait_for_poll(vantage, clock_monotonic_ms());
        }
    }
    return NULL;
}

/* -- life -- */

static const struct vantage_way *way_of(enum log_address_kind kind)
{
    switch (kind) {
    case LOG_ADDRESS_HTTP:
        return &vantage_http;
    case LOG_ADDRESS_GRPC:
        return &vantage_peer;
    case LOG_ADDRESS_DIRECTORY:
        break;
    }
    return &vantage_folder;
}

struct vantage *vantage_start(const struct vantage_options *options)
{
    struct vantage *vantage = NEW(struct vantage);
    vantage->options = *options;
    vantage->way = way_of(options->address.kind);
    vantage->has_contradicted = mem_calloc(options->log_count + 1, sizeof(bool));
    size_t len = strnlen(options->text, sizeof vantage->status.text - 1);
    memcpy(vantage->status.text, options->text, len);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&vantage->mutex, NULL);
    pthread_cond_init(&vantage->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    vantage->state = vantage->way->open(vantage);
    int failed = pthread_create(&vantage->thread, NULL, run, vantage);
    assert(failed == 0); /* at the start of the process, as for memory */
    return vantage;
}

void vantage_stop(struct vantage *vantage)
{
    pthread_mutex_lock(&vantage->mutex);
    vantage->is_stopping = true;
    pthread_cond_signal(&vantage->wake);
    pthread_mutex_unlock(&vantage->mutex);
    pthread_join(vantage->thread, NULL);
    vantage->way->close(vantage->state);
    pthread_mutex_destroy(&vantage->mutex);
    pthread_cond_destroy(&vantage->wake);
    mem_free(vantage->has_contradicted);
    mem_free(vantage);
}

void vantage_read_status(struct vantage *vantage, struct vantage_status *out)
{
    pthread_mutex_lock(&vantage->mutex);
    *out = vantage->status;
    pthread_mutex_unlock(&vantage->mutex);
}
