/* monitor_service_notes.c -- notes that others hand in: to be checked, or in exchange for ours.
 *
 * What is handed in may be anything. A note is kept for later only under its own sender's name (each configured
 * peer, and one name for all that is checked), so that nobody can crowd out what others showed. */
#include "base/alloc.h"
#include "base/ascii.h"
#include "base/log.h"
#include "monitor/clock.h"
#include "monitor/known_note.h"
#include "monitor/monitor_service_parts.h"

#include <stdio.h>

enum {
    CHECKED_NOTES_MAX = 64,
    DETAIL_BYTES_MAX = 256,
    REQUEST_OVERHEAD = 64
};

/* The one name under which notes wait that were handed in to be checked. */
#define CHECKED_BY "handed in"

/* -- CheckNote -- */

struct checked {
    Courtroll__V1__CheckedNote message;
    char origin[ORIGIN_BYTES_MAX + 1];
    char detail[DETAIL_BYTES_MAX];
    struct hash evidence;
};

struct check {
    struct monitor_service *service;
    struct monitor_time now;
    size_t count;
    struct checked notes[CHECKED_NOTES_MAX];
};

/* What the text of a note says it is about; nothing is believed. */
static bool read_origin(struct span bytes, bool is_promise, char out[ORIGIN_BYTES_MAX + 1])
{
    struct note note;
    struct err err;
    if (note_parse(&note, bytes, &err) != E_OK) {
        return false;
    }
    struct span text = note.text, line;
    bool is_there = (!is_promise || span_take_until(&text, '\n', &line)) &&
                    span_take_until(&text, '\n', &line) && origin_is_valid(line);
    if (is_there) {
        memcpy(out, line.data, line.len);
        out[line.len] = '\0';
    }
    note_clear(&note);
    return is_there;
}

static struct checked *next_checked(struct check *check, const char *result)
{
    struct checked *out = &check->notes[check->count++];
    courtroll__v1__checked_note__init(&out->message);
    out->message.result = rpc_answer_binary(span_of_str(result));
    return out;
}

static void set_failed(struct checked *out, const struct err *err)
{
    const char *result = err->code == E_BAD_SIGNATURE || err->code == E_DENIED ? "bad-signature"
                         : err->code == E_NOT_FOUND                            ? "unknown-log"
                         : err->code == E_MALFORMED                            ? "malformed"
                                                                               : "not-checked";
    out->message.result = rpc_answer_binary(span_of_str(result));
    bool is_ours = err->code == E_IO || err->code == E_CORRUPT;
    snprintf(out->detail, sizeof out->detail, "%.*s", DETAIL_BYTES_MAX - 1,
             is_ours ? err_text(err->code) : err->msg);
}

/* Fills in what every kind of note has. */
static void finish(struct checked *out, struct watched_log *log)
{
    if (log != NULL) {
        struct watched_status status;
        watched_log_status(log, &status);
        out->message.held_size = status.held_size;
    }
    out->message.origin = rpc_answer_binary(span_of_str(out->origin));
    out->message.detail = rpc_answer_binary(span_of_str(out->detail));
}

static void on_checked_note(void *ctx, struct span note)
{
    struct check *check = ctx;
    struct monitor_parts *parts = check->service->parts;
    if (check->count == CHECKED_NOTES_MAX) {
        return;
    }
    struct checked *out = next_checked(check, "unknown-log");
    size_t position = 0;
    struct watched_log *log = NULL;
    if (!read_origin(note, false, out->origin)) {
        out->message.result = rpc_answer_binary(span_of_str("malformed"));
    } else {
        log = monitor_parts_log(parts, out->origin, &position);
    }
    if (log != NULL) {
        struct compare_outcome outcome = { 0 };
        struct err err;
        if (note_memory_on_note(parts->memories[position], CHECKED_BY, note, &check->now, &outcome,
                                &err) == E_OK) {
            out->message.result =
                rpc_answer_binary(span_of_str(compare_result_text(outcome.result)));
            out->message.size = outcome.checkpoint.size;
            out->message.quorum_met = outcome.verdict.is_met;
            snprintf(out->detail, sizeof out->detail, "%s", outcome.detail);
            if (outcome.has_evidence) {
                out->evidence = outcome.evidence_id;
                out->message.evidence = rpc_answer_binary(hash_span(&out->evidence));
            }
        } else {
            set_failed(out, &err);
        }
    }
    finish(out, log);
}

static void on_checked_promise(void *ctx, struct span note)
{
    struct check *check = ctx;
    if (check->count == CHECKED_NOTES_MAX) {
        return;
    }
    struct checked *out = next_checked(check, "unknown-log");
    struct watched_log *log = read_origin(note, true, out->origin)
                                  ? monitor_parts_log(check->service->parts, out->origin, NULL)
                                  : NULL;
    if (log != NULL) {
        struct compare_promise_outcome outcome = { 0 };
        struct err err;
        if (compare_promise(log, CHECKED_BY, note, &check->now, &outcome, &err) == E_OK) {
            const char *result = outcome.broken > 0 ? "broken" : outcome.open > 0 ? "open" : "kept";
            out->message.result = rpc_answer_binary(span_of_str(result));
            snprintf(out->detail, sizeof out->detail, "%zu kept, %zu broken, %zu open%s%.200s",
                     outcome.kept, outcome.broken, outcome.open, outcome.detail[0] ? ": " : "",
                     outcome.detail);
            if (outcome.has_evidence) {
                out->evidence = outcome.evidence_id;
                out->message.evidence = rpc_answer_binary(hash_span(&out->evidence));
            }
        } else {
            set_failed(out, &err);
        }
    }
    finish(out, log);
}

/* One that was admitted is answered. */
static void leave(struct monitor_service *service)
{
    pthread_mutex_lock(&service->mutex);
    service->notes_waiting--;
    pthread_mutex_unlock(&service->mutex);
}

static void run_check_note(void *arg)
{
    struct monitor_call *call = arg;
    struct check *check = NEW(struct check);
    struct err err;
    check->service = call->service;
    check->now = clock_now();
    if (vantage_take_notes(buf_span(&call->bytes), check, on_checked_note, on_checked_promise,
                           &err) != E_OK) {
        rpc_fail(call->call, E_MALFORMED, err.msg);
    } else {
        Courtroll__V1__CheckNoteReply out = COURTROLL__V1__CHECK_NOTE_REPLY__INIT;
        Courtroll__V1__CheckedNote *pointers[CHECKED_NOTES_MAX];
        for (size_t i = 0; i < check->count; i++) {
            pointers[i] = &check->notes[i].message;
        }
        out.n_notes = check->count;
        out.notes = pointers;
        rpc_answer(call->call, &out.base);
    }
    leave(call->service);
    mem_free(check);
    monitor_call_free(call);
}

/* Nothing without room for it, and nothing over a quota (NULL: none). */
static enum err_code admit(struct monitor_service *service, struct quota *quota, uint64_t count,
                           struct err *err)
{
    uint64_t now_ms = clock_monotonic_ms();
    enum err_code rc = E_OK;
    pthread_mutex_lock(&service->mutex);
    if (service->notes_waiting >= MONITOR_CHECKS_WAITING_MAX) {
        rc = err_set(err, E_BUSY, "too many notes wait to be compared: try again");
    } else if (quota != NULL && !quota_take(quota, count, now_ms)) {
        rc = err_set(err, E_QUOTA, "over the quota: try again later");
    } else {
        service->notes_waiting++;
    }
    pthread_mutex_unlock(&service->mutex);
    return rc;
}

void monitor_service_check_note(void *ctx, struct rpc_call *call, struct span message)
{
    struct monitor_service *service = ctx;
    struct err err;
    if (message.len > VANTAGE_FILE_BYTES_MAX + REQUEST_OVERHEAD) {
        rpc_fail(call, E_TOO_LARGE, "a file has at most 2 MiB");
        return;
    }
    if (admit(service, rpc_call_is_local(call) ? NULL : &service->checks, 1, &err) != E_OK) {
        rpc_fail(call, err.code, err.msg);
        return;
    }
    Courtroll__V1__CheckNoteRequest *in =
        courtroll__v1__check_note_request__unpack(NULL, message.len, message.data);
    struct monitor_call *check = monitor_call_new(service, call);
    if (in == NULL ||
        buf_append(&check->bytes, span_of(in->file.data, in->file.len), &err) != E_OK) {
        rpc_fail(call, E_MALFORMED, "not a CheckNoteRequest");
        leave(service);
        monitor_call_free(check);
    } else {
        work_post(service->parts->work, run_check_note, check);
    }
    if (in != NULL) {
        courtroll__v1__check_note_request__free_unpacked(in, NULL);
    }
}

/* -- ExchangeNotes -- */

/* Of each log what contradicts our tree, and our newest verified note, as a signed message. */
static enum err_code put_our_notes(struct monitor_parts *parts, int64_t now_s, struct buf *out,
                                   struct err *err)
{
    size_t held_count = parts->log_count, count = 0;
    struct held_tree *held = mem_calloc(held_count + 1, sizeof *held);
    struct buf *contradictions = mem_calloc(held_count + 1, sizeof *contradictions);
    struct span *notes = mem_calloc(2 * held_count + 1, sizeof *notes);
    for (size_t i = 0; i < held_count; i++) {
        watched_log_held(parts->logs[i], &held[i]);
        buf_init(&contradictions[i], KNOWN_NOTE_BYTES_MAX);
        if (note_memory_contradiction(parts->memories[i], &contradictions[i])) {
            notes[count++] = buf_span(&contradictions[i]);
        }
        if (held[i].is_there && held[i].note.len > 0) {
            notes[count++] = buf_span(&held[i].note);
        }
    }
    enum err_code rc = note_exchange_put(out, parts->key, now_s, notes, count, err);
    for (size_t i = 0; i < held_count; i++) {
        held_tree_clear(&held[i]);
        buf_clear(&contradictions[i]);
    }
    mem_free(notes);
    mem_free(contradictions);
    mem_free(held);
    return rc;
}

/* Older messages do not count: who has seen one on the way cannot use up the peer's quota with it. */
static enum err_code admit_peer(struct monitor_service *service, const struct note_exchange *in,
                                struct err *err)
{
    uint64_t now_ms = clock_monotonic_ms();
    enum err_code rc = E_OK;
    pthread_mutex_lock(&service->mutex);
    if (in->unix_s < service->peer_last_s[in->sender]) {
        rc = err_set(err, E_CONFLICT, "this message is older than the peer's last one");
    } else if (!quota_take(&service->peers[in->sender], in->count + 1, now_ms)) {
        rc = err_set(err, E_QUOTA, "over the peer's quota: try again later");
    } else {
        service->peer_last_s[in->sender] = in->unix_s;
    }
    pthread_mutex_unlock(&service->mutex);
    return rc;
}

static void take_peer_notes(struct monitor_parts *parts, const struct note_exchange *in)
{
    char from[KEY_NAME_BYTES_MAX + 16];
    snprintf(from, sizeof from, "monitor %s", parts->peers[in->sender]->name);
    struct monitor_time now = clock_now();
    size_t unusable = 0;
    for (size_t i = 0; i < in->count; i++) {
        char origin[ORIGIN_BYTES_MAX + 1];
        size_t position = 0;
        struct compare_outcome outcome;
        struct err err;
        bool is_ours = read_origin(in->notes[i], false, origin) &&
                       monitor_parts_log(parts, origin, &position) != NULL;
        if (is_ours && note_memory_on_note(parts->memories[position], from, in->notes[i], &now,
                                           &outcome, &err) != E_OK) {
            unusable++;
        }
    }
    if (unusable > 0) { /* they prove nothing about anybody */
        log_event(LOG_LEVEL_WARN, "peer_notes_unusable", "from=%s count=%zu",
                  log_quoted_str(from).text, unusable);
    }
}

static void run_exchange_notes(void *arg)
{
    struct monitor_call *call = arg;
    struct monitor_parts *parts = call->service->parts;
    struct note_exchange *in = NEW(struct note_exchange);
    struct buf ours = BUF_INIT(NOTE_EXCHANGE_BYTES_MAX);
    struct err err;
    int64_t now_s = clock_now().unix_s;
    enum err_code rc = note_exchange_open(in, buf_span(&call->bytes), parts->peers,
                                          parts->peer_count, now_s, &err);
    if (rc == E_OK) {
        rc = admit_peer(call->service, in, &err);
    }
    if (rc == E_OK) {
        take_peer_notes(parts, in);
        rc = put_our_notes(parts, now_s, &ours, &err);
    }
    if (rc == E_OK) {
        Courtroll__V1__ExchangeNotesReply out = COURTROLL__V1__EXCHANGE_NOTES_REPLY__INIT;
        out.message = rpc_answer_binary(buf_span(&ours));
        rpc_answer(call->call, &out.base);
    } else {
        rpc_answer_error(call->call, &parts->private_paths, &err);
    }
    leave(call->service);
    buf_clear(&ours);
    mem_free(in);
    monitor_call_free(call);
}

void monitor_service_exchange_notes(void *ctx, struct rpc_call *call, struct span message)
{
    struct monitor_service *service = ctx;
    struct err err;
    if (message.len > NOTE_EXCHANGE_BYTES_MAX + REQUEST_OVERHEAD) {
        rpc_fail(call, E_TOO_LARGE, NULL);
        return;
    }
    if (service->parts->peer_count == 0) {
        rpc_fail(call, E_DENIED, "this monitor has no peers");
        return;
    }
    if (admit(service, NULL, 0, &err) != E_OK) {
        rpc_fail(call, err.code, err.msg);
        return;
    }
    Courtroll__V1__ExchangeNotesRequest *in =
        courtroll__v1__exchange_notes_request__unpack(NULL, message.len, message.data);
    struct monitor_call *exchange = monitor_call_new(service, call);
    if (in == NULL ||
        buf_append(&exchange->bytes, span_of(in->message.data, in->message.len), &err) != E_OK) {
        rpc_fail(call, E_MALFORMED, "not an ExchangeNotesRequest");
        leave(service);
        monitor_call_free(exchange);
    } else {
        work_post(service->parts->work, run_exchange_notes, exchange);
    }
    if (in != NULL) {
        courtroll__v1__exchange_notes_request__free_unpacked(in, NULL);
    }
}
