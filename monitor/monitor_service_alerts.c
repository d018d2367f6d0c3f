/* monitor_service_alerts.c -- alerts and evidence over gRPC: told to anybody, changed through the control socket.
 *
 * WatchAlerts: each stream keeps what it has told of each alert, as a revision of its own fields, and is told
 * what differs whenever the book changes and there is room. So a slow reader costs one pass over the open
 * alerts, never a queue. */
#include "base/alloc.h"
#include "monitor/clock.h"
#include "monitor/monitor_service_parts.h"
#include "monitor/self_test.h"

enum {
    ALERTS_LISTED_MAX = 4096,
    ALERT_MESSAGE_BYTES_MIN = 64,
    WATCHES_MAX = 128,
    SELF_TEST_TIMEOUT_MS = 30 * 1000,
    SELF_TEST_TIMEOUT_MS_MAX = 300 * 1000,
};

void alert_message_fill(struct alert_message *out, const struct alert *alert)
{
    const struct finding_kind *kind = finding_kind(alert->code);
    Courtroll__V1__MonitorAlert *message = &out->message;
    courtroll__v1__monitor_alert__init(message);
    message->id = rpc_answer_binary(span_of_str(alert->id));
    message->code = rpc_answer_binary(span_of_str(kind->text));
    message->severity = rpc_answer_binary(span_of_str(finding_severity_text(kind->severity)));
    message->state = rpc_answer_binary(span_of_str(alert_state_text(alert->state)));
    message->origin = rpc_answer_binary(span_of_str(alert->origin));
    message->subject = rpc_answer_binary(span_of_str(alert->subject));
    message->summary = rpc_answer_binary(span_of_str(alert->summary));
    message->first_seen = (uint64_t)alert->first_seen_s;
    message->last_seen = (uint64_t)alert->last_seen_s;
    message->resolved = (uint64_t)alert->resolved_s;
    message->count = alert->count;
    message->comment = rpc_answer_binary(span_of_str(alert->comment));
    message->evidence_found = alert->evidence_found;
    message->drill = alert->is_drill;
    message->runbook = rpc_answer_binary(span_of_str(kind->runbook));
    message->provable = kind->is_provable;
    for (size_t i = 0; i < alert->evidence_count; i++) {
        out->evidence[i] = rpc_answer_binary(hash_span(&alert->evidence[i]));
    }
    message->n_evidence = alert->evidence_count;
    message->evidence = out->evidence;
}

/* -- ListAlerts -- */

static void run_list_alerts(void *arg)
{
    struct monitor_call *list = arg;
    struct alert *alerts = NULL;
    size_t max = list->number == 0 || list->number > ALERTS_LISTED_MAX ? ALERTS_LISTED_MAX
                                                                       : (size_t)list->number;
    size_t count = alert_book_list(list->service->parts->alerts, list->is_set, max, &alerts);
    struct alert_message *messages = mem_calloc(count + 1, sizeof *messages);
    Courtroll__V1__MonitorAlert **pointers =
        mem_calloc(count + 1, sizeof(Courtroll__V1__MonitorAlert *));
    Courtroll__V1__ListAlertsReply out = COURTROLL__V1__LIST_ALERTS_REPLY__INIT;
    size_t bytes = 0;
    for (; out.n_alerts < count && bytes < MONITOR_REPLY_BYTES_MAX; out.n_alerts++) {
        alert_message_fill(&messages[out.n_alerts], &alerts[out.n_alerts]);
        pointers[out.n_alerts] = &messages[out.n_alerts].message;
        bytes += ALERT_MESSAGE_BYTES_MIN +
                 courtroll__v1__monitor_alert__get_packed_size(pointers[out.n_alerts]);
    }
    out.alerts = pointers;
    rpc_answer(list->call, &out.base);
    mem_free(pointers);
    mem_free(messages);
    mem_free(alerts);
    monitor_call_free(list);
}

void monitor_service_list_alerts(void *ctx, struct rpc_call *call, struct span message)
{
    struct monitor_service *service = ctx;
    if (rpc_answer_refuses_long(call, message)) {
        return;
    }
    Courtroll__V1__ListAlertsRequest *in =
        courtroll__v1__list_alerts_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        rpc_fail(call, E_MALFORMED, "not a ListAlertsRequest");
        return;
    }
    struct monitor_call *list = monitor_call_new(service, call);
    list->is_set = in->resolved;
    list->number = in->count;
    courtroll__v1__list_alerts_request__free_unpacked(in, NULL);
    work_post(service->parts->reads, run_list_alerts, list);
}

/* -- GetEvidence -- */

static void run_get_evidence(void *arg)
{
    struct monitor_call *get = arg;
    struct buf file = BUF_INIT(KV_VALUE_BYTES_MAX);
    struct err err;
    if (alert_book_evidence(get->service->parts->alerts, &get->id, &file, &err) == E_OK) {
        Courtroll__V1__GetEvidenceReply out = COURTROLL__V1__GET_EVIDENCE_REPLY__INIT;
        out.file = rpc_answer_binary(buf_span(&file));
        rpc_answer(get->call, &out.base);
    } else {
        rpc_answer_error(get->call, &get->service->parts->private_paths, &err);
    }
    buf_clear(&file);
    monitor_call_free(get);
}

void monitor_service_get_evidence(void *ctx, struct rpc_call *call, struct span message)
{
    struct monitor_service *service = ctx;
    if (rpc_answer_refuses_long(call, message)) {
        return;
    }
    Courtroll__V1__GetEvidenceRequest *in =
        courtroll__v1__get_evidence_request__unpack(NULL, message.len, message.data);
    if (in == NULL || in->id.len != HASH_BYTES) {
        rpc_fail(call, E_MALFORMED, "not a GetEvidenceRequest with an id of 32 bytes");
    } else {
        struct monitor_call *get = monitor_call_new(service, call);
        memcpy(get->id.bytes, in->id.data, HASH_BYTES);
        work_post(service->parts->reads, run_get_evidence, get);
    }
    if (in != NULL) {
        courtroll__v1__get_evidence_request__free_unpacked(in, NULL);
    }
}

/* -- Acknowledge and Resolve -- */

static void answer_changed(struct monitor_call *change, bool is_resolved)
{
    struct alert alert;
    struct err err;
    if (alert_book_get(change->service->parts->alerts, change->alert_id, &alert, &err) != E_OK) {
        rpc_answer_error(change->call, &change->service->parts->private_paths, &err);
        return;
    }
    struct alert_message message;
    alert_message_fill(&message, &alert);
    if (is_resolved) {
        Courtroll__V1__ResolveReply out = COURTROLL__V1__RESOLVE_REPLY__INIT;
        out.alert = &message.message;
        rpc_answer(change->call, &out.base);
    } else {
        Courtroll__V1__AcknowledgeReply out = COURTROLL__V1__ACKNOWLEDGE_REPLY__INIT;
        out.alert = &message.message;
        rpc_answer(change->call, &out.base);
    }
}

static void run_change(void *arg)
{
    struct monitor_call *change = arg;
    struct alert_book *book = change->service->parts->alerts;
    struct err err;
    int64_t now_s = clock_now().unix_s;
    enum err_code rc =
        change->is_set
            ? alert_book_resolve(book, change->alert_id, change->comment, now_s, &err)
            : alert_book_acknowledge(book, change->alert_id, change->comment, now_s, &err);
    if (rc == E_OK) {
        answer_changed(change, change->is_set);
    } else {
        rpc_answer_error(change->call, &change->service->parts->private_paths, &err);
    }
    monitor_call_free(change);
}

/* One line of printable text: it goes into logs, mails and pages. */
static bool copy_text(char *out, size_t max, ProtobufCBinaryData in)
{
    struct span text = span_of(in.data, in.len);
    if (text.len >= max || !note_text_is_valid(text) ||
        span_find(text, span_of_str("\n")) != SIZE_MAX) {
        return false;
    }
    if (text.len > 0) {
        memcpy(out, text.data, text.len);
    }
    out[text.len] = '\0';
    return true;
}

static void change_alert(struct monitor_service *service, struct rpc_call *call,
                         ProtobufCBinaryData id, ProtobufCBinaryData comment, bool is_resolve)
{
    if (!rpc_call_is_local(call)) {
        rpc_fail(call, E_DENIED,
                 "alerts are acknowledged and resolved through the control socket only: "
                 "--monitor unix:DATA-DIR/control.sock");
        return;
    }
    struct monitor_call *change = monitor_call_new(service, call);
    change->is_set = is_resolve;
    if (!copy_text(change->alert_id, sizeof change->alert_id, id) ||
        !copy_text(change->comment, sizeof change->comment, comment)) {
        rpc_fail(call, E_MALFORMED,
                 "an id of 32 characters and a comment of one short line are needed");
        monitor_call_free(change);
        return;
    }
    work_post(service->parts->reads, run_change, change);
}

void monitor_service_acknowledge(void *ctx, struct rpc_call *call, struct span message)
{
    if (rpc_answer_refuses_long(call, message)) {
        return;
    }
    Courtroll__V1__AcknowledgeRequest *in =
        courtroll__v1__acknowledge_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        rpc_fail(call, E_MALFORMED, "not an AcknowledgeRequest");
        return;
    }
    change_alert(ctx, call, in->id, in->comment, false);
    courtroll__v1__acknowledge_request__free_unpacked(in, NULL);
}

void monitor_service_resolve(void *ctx, struct rpc_call *call, struct span message)
{
    if (rpc_answer_refuses_long(call, message)) {
        return;
    }
    Courtroll__V1__ResolveRequest *in =
        courtroll__v1__resolve_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        rpc_fail(call, E_MALFORMED, "not a ResolveRequest");
        return;
    }
    change_alert(ctx, call, in->id, in->comment, true);
    courtroll__v1__resolve_request__free_unpacked(in, NULL);
}

/* -- SelfTest -- */

static void answer_self_test(struct monitor_call *test, const struct self_test_report *report)
{
    Courtroll__V1__SelfTestReply out = COURTROLL__V1__SELF_TEST_REPLY__INIT;
    Courtroll__V1__ToldSink sinks[ALERT_SINKS_MAX];
    Courtroll__V1__ToldSink *pointers[ALERT_SINKS_MAX];
    for (size_t i = 0; i < report->sink_count; i++) {
        courtroll__v1__told_sink__init(&sinks[i]);
        sinks[i].name = rpc_answer_binary(span_of_str(report->sinks[i].name));
        sinks[i].told = report->sinks[i].is_told;
        sinks[i].error = rpc_answer_binary(span_of_str(report->sinks[i].error));
        pointers[i] = &sinks[i];
    }
    out.fork_found = report->is_fork_found;
    out.evidence_good = report->is_evidence_good;
    out.alert_id = rpc_answer_binary(span_of_str(report->alert_id));
    out.evidence_id = rpc_answer_binary(hash_span(&report->evidence_id));
    out.n_sinks = report->sink_count;
    out.sinks = pointers;
    out.error = rpc_answer_binary(span_of_str(report->error));
    rpc_answer(test->call, &out.base);
}

static void run_self_test(void *arg)
{
    struct monitor_call *test = arg;
    struct monitor_parts *parts = test->service->parts;
    struct self_test_options options = {
        .alerts = parts->alerts,
        .couriers = parts->couriers,
        .courier_count = parts->courier_count,
        .key = parts->key,
        .timeout_ms = test->number,
        .is_stopping = &parts->is_stopping,
    };
    struct self_test_report *report = NEW(struct self_test_report);
    self_test_run(&options, report);
    answer_self_test(test, report);
    mem_free(report);
    monitor_call_free(test);
}

void monitor_service_self_test(void *ctx, struct rpc_call *call, struct span message)
{
    struct monitor_service *service = ctx;
    if (rpc_answer_refuses_long(call, message)) {
        return;
    }
    if (!rpc_call_is_local(call)) {
        rpc_fail(call, E_DENIED,
                 "drills are held through the control socket only: --monitor "
                 "unix:DATA-DIR/control.sock");
        return;
    }
    Courtroll__V1__SelfTestRequest *in =
        courtroll__v1__self_test_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        rpc_fail(call, E_MALFORMED, "not a SelfTestRequest");
        return;
    }
    struct monitor_call *test = monitor_call_new(service, call);
    test->number = in->timeout_ms == 0 ? SELF_TEST_TIMEOUT_MS : in->timeout_ms;
    test->number =
        test->number < SELF_TEST_TIMEOUT_MS_MAX ? test->number : SELF_TEST_TIMEOUT_MS_MAX;
    courtroll__v1__self_test_request__free_unpacked(in, NULL);
    work_post(service->parts->work, run_self_test, test);
}

/* -- WatchAlerts -- */

struct alert_watch {
    LIST_ENTRY(alert_watch) next;
    struct monitor_service *service;
    struct rpc_call *call;
    bool is_working, is_stale; /* a worker is at it; something has changed since it began */
    bool is_gone;              /* to be freed by the worker */
    /* By the worker alone: */
    size_t told_count;
    struct told {
        char id[ALERT_ID_CHARS + 1];
        enum alert_state state;
        uint64_t count, evidence_found;
    } * told; /* owned; alerts that were told as not resolved, and only those */
};

static void watch_free(struct alert_watch *watch)
{
    mem_free(watch->told);
    mem_free(watch);
}

static struct told *told_find(struct alert_watch *watch, const char *id)
{
    for (size_t i = 0; i < watch->told_count; i++) {
        if (strcmp(watch->told[i].id, id) == 0) {
            return &watch->told[i];
        }
    }
    return NULL;
}

/* Is this open or acknowledged alert news for the stream? */
static bool is_news(struct alert_watch *watch, const struct alert *alert)
{
    const struct told *told = told_find(watch, alert->id);
    return told == NULL || told->state != alert->state || told->count != alert->count ||
           told->evidence_found != alert->evidence_found;
}

static void remember(struct alert_watch *watch, const struct alert *alert)
{
    struct told *told = told_find(watch, alert->id);
    if (alert->state == ALERT_RESOLVED) {
        if (told != NULL) {
            *told = watch->told[--watch->told_count];
        }
        return;
    }
    if (told == NULL) {
        watch->told = mem_realloc(watch->told, (watch->told_count + 1) * sizeof *watch->told);
        told = &watch->told[watch->told_count++];
        memcpy(told->id, alert->id, sizeof told->id);
    }
    told->state = alert->state;
    told->count = alert->count;
    told->evidence_found = alert->evidence_found;
}

/* False when there is no room. */
static bool send_alert(struct alert_watch *watch, const struct alert *alert)
{
    struct alert_message message;
    struct buf packed;
    alert_message_fill(&message, alert);
    rpc_answer_pack(&packed, &message.message.base);
    bool is_sent = rpc_stream_send_take(watch->call, &packed) == E_OK;
    if (is_sent) {
        remember(watch, alert);
    }
    buf_clear(&packed);
    return is_sent;
}

/* Of those that were told as open: what has been resolved since. */
static bool send_resolved(struct alert_watch *watch)
{
    struct alert alert;
    struct err err;
    size_t i = 0;
    while (i < watch->told_count) {
        enum err_code rc =
            alert_book_get(watch->service->parts->alerts, watch->told[i].id, &alert, &err);
        if (rc != E_OK) { /* forgotten long ago */
            watch->told[i] = watch->told[--watch->told_count];
        } else if (alert.state != ALERT_RESOLVED) {
            i++;
        } else if (!send_alert(watch, &alert)) {
            return false;
        }
    }
    return true;
}

/* Sends what is news, until there is no room. */
static void watch_send(struct alert_watch *watch)
{
    struct alert *alerts = NULL;
    bool has_room = send_resolved(watch);
    size_t count =
        has_room ? alert_book_list(watch->service->parts->alerts, false, ALERTS_LISTED_MAX, &alerts)
                 : 0;
    for (size_t i = count; i > 0 && has_room; i--) {
        if (is_news(watch, &alerts[i - 1])) {
            has_room = send_alert(watch, &alerts[i - 1]);
        }
    }
    mem_free(alerts);
}

/* On a worker: once more for as long as something has changed meanwhile. */
static void run_watch(void *arg)
{
    struct alert_watch *watch = arg;
    struct monitor_service *service = watch->service;
    bool is_done = false, is_gone = false;
    while (!is_done) {
        watch_send(watch);
        pthread_mutex_lock(&service->mutex);
        is_gone = watch->is_gone;
        is_done = is_gone || !watch->is_stale;
        watch->is_stale = false;
        watch->is_working = !is_done;
        pthread_mutex_unlock(&service->mutex);
    }
    if (is_gone) {
        rpc_stream_finish(watch->call);
        watch_free(watch);
    }
}

/* Requires the mutex. */
static void watch_wake(struct alert_watch *watch)
{
    watch->is_stale = watch->is_working;
    if (!watch->is_working) {
        watch->is_working = true;
        work_post(watch->service->parts->reads, run_watch, watch);
    }
}

void monitor_service_watch_alerts(void *ctx, struct rpc_call *call, struct span message)
{
    struct monitor_service *service = ctx;
    if (message.len > 0) {
        rpc_fail(call, E_MALFORMED, "not a WatchAlertsRequest");
        return;
    }
    bool is_local = rpc_call_is_local(call); /* strangers do not shut out who runs the monitor */
    pthread_mutex_lock(&service->mutex);
    bool has_room = is_local || service->watch_count < WATCHES_MAX;
    if (has_room) {
        struct alert_watch *watch = NEW(struct alert_watch);
        watch->service = service;
        watch->call = call;
        service->watch_count++;
        LIST_INSERT_HEAD(&service->watches, watch, next);
        rpc_call_set_user(call, watch);
        watch_wake(watch);
    }
    pthread_mutex_unlock(&service->mutex);
    if (!has_room) {
        rpc_fail(call, E_BUSY, "too many callers watch the alerts: try again");
    }
}

void monitor_service_watch_on_sent(void *ctx, struct rpc_call *call)
{
    struct monitor_service *service = ctx;
    pthread_mutex_lock(&service->mutex);
    struct alert_watch *watch = rpc_call_user(call);
    if (watch != NULL) {
        watch_wake(watch);
    }
    pthread_mutex_unlock(&service->mutex);
}

/* Requires the mutex. The worker that is at it, or none: then it is answered here. */
static void watch_end(struct alert_watch *watch)
{
    LIST_REMOVE(watch, next);
    watch->service->watch_count--;
    rpc_call_set_user(watch->call, NULL);
    watch->is_gone = true;
    if (!watch->is_working) {
        rpc_stream_finish(watch->call);
        watch_free(watch);
    }
}

void monitor_service_watch_on_cancelled(void *ctx, struct rpc_call *call)
{
    struct monitor_service *service = ctx;
    pthread_mutex_lock(&service->mutex);
    struct alert_watch *watch = rpc_call_user(call);
    if (watch != NULL) {
        watch_end(watch);
    }
    pthread_mutex_unlock(&service->mutex);
}

void monitor_service_on_change(struct monitor_service *service)
{
    pthread_mutex_lock(&service->mutex);
    struct alert_watch *watch;
    LIST_FOREACH(watch, &service->watches, next)
    {
        watch_wake(watch);
    }
    pthread_mutex_unlock(&service->mutex);
}

void monitor_service_end_watches(struct monitor_service *service)
{
    pthread_mutex_lock(&service->mutex);
    while (!LIST_EMPTY(&service->watches)) {
        watch_end(LIST_FIRST(&service->watches));
    }
    pthread_mutex_unlock(&service->mutex);
}
