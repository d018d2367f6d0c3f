/* The client of the Monitor service against a server that answers what each test wants, right or wrong. */
#include "client/rpc_monitor.h"

#include "base/ascii.h"
#include "courtroll/v1/monitor.pb-c.h"
#include "net/rpc_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum {
    TIMEOUT_MS = 20 * 1000,
};

static const char alert_id[] = "00112233445566778899aabbccddeeff";

/* What the server does wrong. */
enum fault {
    FAULT_NONE,
    FAULT_REFUSE,
    FAULT_NOT_PROTOBUF,
    FAULT_SHORT_HASH,
    FAULT_TOO_MANY,
    FAULT_BAD_WORD,
    FAULT_NO_WORD,
    FAULT_NOTHING,
    FAULT_OTHER, /* something else than was asked for */
};

struct fixture {
    struct rpc_server *server;
    struct rpc_monitor *monitor;
    enum fault fault;
    uint64_t asked_count;
    bool asked_resolved;
    struct buf asked; /* bytes of the request */
};

static ProtobufCBinaryData text(const char *words)
{
    return (ProtobufCBinaryData){ strlen(words), (uint8_t *)(uintptr_t)words };
}

static struct buf pack(const ProtobufCMessage *message)
{
    struct buf out = BUF_INIT(SIZE_MAX);
    size_t bytes = protobuf_c_message_get_packed_size(message);
    if (bytes > 0) {
        protobuf_c_message_pack(message, buf_extend(&out, bytes));
    }
    return out;
}

static void answer(struct fixture *f, struct rpc_call *call, const ProtobufCMessage *message)
{
    if (f->fault == FAULT_REFUSE) {
        rpc_fail(call, E_DENIED, "on the control socket only");
    } else if (f->fault == FAULT_NOT_PROTOBUF) {
        rpc_reply(call, span_of("\x0a\x7f", 2));
    } else if (f->fault == FAULT_NOTHING) {
        rpc_reply(call, span_of(NULL, 0));
    } else {
        struct buf bytes = pack(message);
        rpc_reply_take(call, &bytes);
        buf_clear(&bytes);
    }
}

/* -- the server's answers -- */

static const uint8_t hash_bytes[HASH_BYTES] = { 1, 2, 3 };

static ProtobufCBinaryData hash_of(const struct fixture *f)
{
    return (ProtobufCBinaryData){ f->fault == FAULT_SHORT_HASH ? 31 : HASH_BYTES,
                                  (uint8_t *)(uintptr_t)hash_bytes };
}

static const char *word_of(const struct fixture *f, const char *word)
{
    return f->fault == FAULT_BAD_WORD ? "fork\x1b[2J" : f->fault == FAULT_NO_WORD ? "" : word;
}

struct alert_parts {
    Courtroll__V1__MonitorAlert alert;
    ProtobufCBinaryData evidence[2];
};

static void fill_alert(const struct fixture *f, struct alert_parts *out)
{
    courtroll__v1__monitor_alert__init(&out->alert);
    out->alert.id = text(f->fault == FAULT_OTHER ? "ffff" : alert_id);
    out->alert.code = text(word_of(f, "witness-equivocation"));
    out->alert.severity = text("critical");
    out->alert.state = text("open");
    out->alert.origin = text("log.example/1");
    out->alert.summary = text("two\x1b[31m\x80 trees \xe2\x80\x94 here");
    out->alert.count = 3;
    out->alert.first_seen = 10;
    out->alert.provable = 1;
    out->evidence[0] = out->evidence[1] = hash_of(f);
    out->alert.evidence = out->evidence;
    out->alert.n_evidence = 2;
}

static void on_status(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *f = ctx;
    (void)message;
    size_t count = f->fault == FAULT_TOO_MANY ? RPC_MONITOR_WITNESSES_MAX + 1 : 2;
    static char long_text[2 * RPC_MONITOR_TEXT_MAX + 1];
    memset(long_text, 'x', sizeof long_text - 1);
    Courtroll__V1__MonitoredWitness witness = COURTROLL__V1__MONITORED_WITNESS__INIT;
    Courtroll__V1__MonitoredWitness *witnesses[RPC_MONITOR_WITNESSES_MAX + 1];
    witness.name = text("w");
    witness.seen = 77;
    for (size_t i = 0; i < count; i++) {
        witnesses[i] = &witness;
    }
    Courtroll__V1__MonitoredLog log = COURTROLL__V1__MONITORED_LOG__INIT, *logs[] = { &log };
    log.origin = text("log.example/1");
    log.held_size = 9;
    log.held_root = hash_of(f);
    log.verified = 1;
    log.f = 1;
    log.witnesses = witnesses;
    log.n_witnesses = count;
    log.last_error = text(long_text);
    Courtroll__V1__MonitorVantage vantage = COURTROLL__V1__MONITOR_VANTAGE__INIT;
    Courtroll__V1__MonitorVantage *vantages[] = { &vantage };
    vantage.text = text("file:x");
    vantage.notes = 4;
    Courtroll__V1__MonitorSink sink = COURTROLL__V1__MONITOR_SINK__INIT, *sinks[] = { &sink };
    sink.name = text("webhook");
    sink.waiting = 5;
    Courtroll__V1__GetMonitorStatusReply reply = COURTROLL__V1__GET_MONITOR_STATUS_REPLY__INIT;
    reply.name = text("monitor.example");
    reply.logs = logs;
    reply.n_logs = 1;
    reply.vantages = vantages;
    reply.n_vantages = 1;
    reply.sinks = sinks;
    reply.n_sinks = 1;
    reply.well = 1;
    answer(f, call, &reply.base);
}

static void on_list(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *f = ctx;
    Courtroll__V1__ListAlertsRequest *request =
        courtroll__v1__list_alerts_request__unpack(NULL, message.len, message.data);
    assert_non_null(request);
    f->asked_count = request->count;
    f->asked_resolved = request->resolved != 0;
    struct alert_parts parts;
    fill_alert(f, &parts);
    size_t count = f->fault == FAULT_TOO_MANY ? 3 : 2;
    Courtroll__V1__MonitorAlert *alerts[] = { &parts.alert, &parts.alert, &parts.alert };
    Courtroll__V1__ListAlertsReply reply = COURTROLL__V1__LIST_ALERTS_REPLY__INIT;
    reply.alerts = alerts;
    reply.n_alerts = count;
    answer(f, call, &reply.base);
    courtroll__v1__list_alerts_request__free_unpacked(request, NULL);
}

static void on_watch(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *f = ctx;
    (void)message;
    struct alert_parts parts;
    fill_alert(f, &parts);
    for (uint64_t i = 0; i < 2; i++) {
        parts.alert.count = i;
        struct buf bytes = pack(&parts.alert.base);
        struct span sent =
            f->fault == FAULT_NOT_PROTOBUF ? span_of("\x0a\x7f", 2) : buf_span(&bytes);
        assert_int_equal(rpc_stream_send(call, sent), E_OK);
        buf_clear(&bytes);
    }
    if (f->fault == FAULT_REFUSE) {
        rpc_fail(call, E_UNAVAILABLE, "stopping");
    } else {
        rpc_stream_finish(call);
    }
}

static void on_evidence(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *f = ctx;
    buf_reset(&f->asked);
    buf_put(&f->asked, message);
    Courtroll__V1__GetEvidenceReply reply = COURTROLL__V1__GET_EVIDENCE_REPLY__INIT;
    reply.file = text(f->fault == FAULT_OTHER ? "other evidence" : "the evidence");
    answer(f, call, &reply.base);
}

static void on_check(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *f = ctx;
    buf_reset(&f->asked);
    buf_put(&f->asked, message);
    Courtroll__V1__CheckedNote note = COURTROLL__V1__CHECKED_NOTE__INIT;
    Courtroll__V1__CheckedNote *notes[RPC_MONITOR_NOTES_MAX + 1];
    note.origin = text("log.example/1");
    note.size = 12;
    note.result = text(word_of(f, "not-looked-at"));
    note.evidence = hash_of(f);
    size_t count = f->fault == FAULT_TOO_MANY ? RPC_MONITOR_NOTES_MAX + 1 : 2;
    for (size_t i = 0; i < count; i++) {
        notes[i] = &note;
    }
    Courtroll__V1__CheckNoteReply reply = COURTROLL__V1__CHECK_NOTE_REPLY__INIT;
    reply.notes = notes;
    reply.n_notes = count;
    answer(f, call, &reply.base);
}

static void on_exchange(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *f = ctx;
    Courtroll__V1__ExchangeNotesRequest *request =
        courtroll__v1__exchange_notes_request__unpack(NULL, message.len, message.data);
    assert_non_null(request);
    Courtroll__V1__ExchangeNotesReply reply = COURTROLL__V1__EXCHANGE_NOTES_REPLY__INIT;
    reply.message = request->message;
    answer(f, call, &reply.base);
    courtroll__v1__exchange_notes_request__free_unpacked(request, NULL);
}

static void on_acknowledge(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *f = ctx;
    Courtroll__V1__AcknowledgeRequest *request =
        courtroll__v1__acknowledge_request__unpack(NULL, message.len, message.data);
    assert_non_null(request);
    struct alert_parts parts;
    fill_alert(f, &parts);
    parts.alert.comment = request->comment;
    Courtroll__V1__AcknowledgeReply reply = COURTROLL__V1__ACKNOWLEDGE_REPLY__INIT;
    reply.alert = &parts.alert;
    answer(f, call, &reply.base);
    courtroll__v1__acknowledge_request__free_unpacked(request, NULL);
}

static void on_resolve(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *f = ctx;
    (void)message;
    struct alert_parts parts;
    fill_alert(f, &parts);
    parts.alert.state = text("resolved");
    Courtroll__V1__ResolveReply reply = COURTROLL__V1__RESOLVE_REPLY__INIT;
    reply.alert = &parts.alert;
    answer(f, call, &reply.base);
}

static void on_self_test(void *ctx, struct rpc_call *call, struct span message)
{
    struct fixture *f = ctx;
    (void)message;
    Courtroll__V1__ToldSink told = COURTROLL__V1__TOLD_SINK__INIT;
    Courtroll__V1__ToldSink *sinks[RPC_MONITOR_SINKS_MAX + 1];
    size_t count = f->fault == FAULT_TOO_MANY ? RPC_MONITOR_SINKS_MAX + 1 : 1;
    told.name = text("webhook");
    told.error = text("refused\n");
    for (size_t i = 0; i < count; i++) {
        sinks[i] = &told;
    }
    Courtroll__V1__SelfTestReply reply = COURTROLL__V1__SELF_TEST_REPLY__INIT;
    reply.fork_found = 1;
    reply.alert_id = text(word_of(f, alert_id));
    reply.evidence_id = hash_of(f);
    reply.sinks = sinks;
    reply.n_sinks = count;
    answer(f, call, &reply.base);
}

static int setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
#define METHOD(name, handler, of)                                                                  \
    {                                                                                              \
        .path = "/courtroll.v1.Monitor/" name, .ctx = f, .on_call = handler, .kind = of            \
    }
    const struct rpc_method methods[] = {
        METHOD("GetStatus", on_status, RPC_UNARY),
        METHOD("ListAlerts", on_list, RPC_UNARY),
        METHOD("WatchAlerts", on_watch, RPC_SERVER_STREAM),
        METHOD("GetEvidence", on_evidence, RPC_UNARY),
        METHOD("CheckNote", on_check, RPC_UNARY),
        METHOD("ExchangeNotes", on_exchange, RPC_UNARY),
        METHOD("Acknowledge", on_acknowledge, RPC_UNARY),
        METHOD("Resolve", on_resolve, RPC_UNARY),
        METHOD("SelfTest", on_self_test, RPC_UNARY),
    };
    const struct rpc_server_config config = { .listen = { "127.0.0.1:0" },
                                              .listen_count = 1,
                                              .methods = methods,
                                              .method_count = sizeof methods / sizeof methods[0] };
    struct err err;
    buf_init(&f->asked, SIZE_MAX);
    assert_int_equal(rpc_server_start(&f->server, &config, &err), E_OK);
    const struct rpc_client_config client = { .target = rpc_server_address(f->server, 0) };
    assert_int_equal(rpc_monitor_open(&f->monitor, &client, TIMEOUT_MS, &err), E_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    rpc_monitor_close(f->monitor);
    rpc_server_stop(f->server, 1000);
    buf_clear(&f->asked);
    mem_free(f);
    return 0;
}

/* -- what comes out -- */

static void a_status_comes_out_whole(void **state)
{
    struct fixture *f = *state;
    struct rpc_monitor_status status;
    struct err err;
    assert_int_equal(rpc_monitor_get_status(f->monitor, TIMEOUT_MS, &status, &err), E_OK);
    assert_string_equal(status.name, "monitor.example");
    assert_string_equal(status.vkey, "");
    assert_true(status.is_well);
    assert_int_equal(status.log_count, 1);
    assert_string_equal(status.logs[0].origin, "log.example/1");
    assert_int_equal(status.logs[0].held_size, 9);
    assert_true(status.logs[0].has_root && status.logs[0].held_root.bytes[1] == 2);
    assert_false(status.logs[0].has_policy_hash);
    assert_int_equal(status.logs[0].witness_count, 2);
    assert_string_equal(status.logs[0].witnesses[1].name, "w");
    assert_int_equal(status.logs[0].witnesses[1].seen_s, 77);
    assert_int_equal(strlen(status.logs[0].last_error), RPC_MONITOR_TEXT_MAX - 1);
    assert_int_equal(status.vantage_count, 1);
    assert_int_equal(status.vantages[0].notes, 4);
    assert_int_equal(status.sink_count, 1);
    assert_int_equal(status.sinks[0].waiting, 5);
    rpc_monitor_status_clear(&status);
}

static void alerts_come_out_clean(void **state)
{
    struct fixture *f = *state;
    struct rpc_monitor_alerts alerts;
    struct err err;
    assert_int_equal(rpc_monitor_list_alerts(f->monitor, true, 2, TIMEOUT_MS, &alerts, &err), E_OK);
    assert_int_equal(f->asked_count, 2);
    assert_true(f->asked_resolved);
    assert_int_equal(alerts.count, 2);
    assert_string_equal(alerts.alerts[1].id, alert_id);
    assert_string_equal(alerts.alerts[1].code, "witness-equivocation");
    assert_string_equal(alerts.alerts[1].summary, "two?[31m? trees \xe2\x80\x94 here");
    assert_int_equal(alerts.alerts[1].evidence_count, 2);
    assert_int_equal(alerts.alerts[1].evidence[1].bytes[2], 3);
    assert_true(alerts.alerts[1].is_provable);
    assert_false(alerts.alerts[1].is_drill);
    rpc_monitor_alerts_clear(&alerts);
    assert_int_equal(rpc_monitor_list_alerts(f->monitor, false, 0, TIMEOUT_MS, &alerts, &err),
                     E_OK);
    assert_false(f->asked_resolved);
    rpc_monitor_alerts_clear(&alerts);
}

static void alerts_are_watched_until_the_end(void **state)
{
    struct fixture *f = *state;
    struct rpc_monitor_watch *watch = NULL;
    const struct rpc_monitor_alert *alert = NULL;
    struct err err;
    assert_int_equal(rpc_monitor_watch_open(&watch, f->monitor, &err), E_OK);
    for (uint64_t i = 0; i < 2; i++) {
        assert_int_equal(rpc_monitor_watch_next(watch, &alert, &err), E_OK);
        assert_non_null(alert);
        assert_int_equal(alert->count, i);
        assert_string_equal(alert->state, "open");
    }
    assert_int_equal(rpc_monitor_watch_next(watch, &alert, &err), E_OK);
    assert_null(alert);
    rpc_monitor_watch_close(watch);
}

static void a_watch_ends_with_the_servers_words(void **state)
{
    struct fixture *f = *state;
    struct rpc_monitor_watch *watch = NULL;
    const struct rpc_monitor_alert *alert = NULL;
    struct err err;
    f->fault = FAULT_REFUSE;
    assert_int_equal(rpc_monitor_watch_open(&watch, f->monitor, &err), E_OK);
    assert_int_equal(rpc_monitor_watch_next(watch, &alert, &err), E_OK);
    assert_int_equal(rpc_monitor_watch_next(watch, &alert, &err), E_OK);
    assert_int_equal(rpc_monitor_watch_next(watch, &alert, &err), E_UNAVAILABLE);
    assert_non_null(strstr(err.msg, "stopping"));
    rpc_monitor_watch_close(watch);
}

static void a_watch_does_not_take_nonsense(void **state)
{
    struct fixture *f = *state;
    static const enum fault faults[] = { FAULT_NOT_PROTOBUF, FAULT_SHORT_HASH, FAULT_BAD_WORD,
                                         FAULT_NO_WORD };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct rpc_monitor_watch *watch = NULL;
        const struct rpc_monitor_alert *alert = NULL;
        struct err err;
        f->fault = faults[i];
        assert_int_equal(rpc_monitor_watch_open(&watch, f->monitor, &err), E_OK);
        assert_int_equal(rpc_monitor_watch_next(watch, &alert, &err), E_MALFORMED);
        assert_null(alert);
        rpc_monitor_watch_close(watch);
    }
}

static void evidence_is_what_was_asked_for(void **state)
{
    struct fixture *f = *state;
    struct hash id = sha256(span_of_str("the evidence"));
    struct buf file = BUF_INIT(64);
    struct err err;
    assert_int_equal(rpc_monitor_get_evidence(f->monitor, &id, TIMEOUT_MS, &file, &err), E_OK);
    assert_true(span_is_str(buf_span(&file), "the evidence"));
    assert_true(span_has_suffix(buf_span(&f->asked), hash_span(&id)));
    f->fault = FAULT_OTHER;
    assert_int_equal(rpc_monitor_get_evidence(f->monitor, &id, TIMEOUT_MS, &file, &err),
                     E_MALFORMED);
    f->fault = FAULT_NOTHING;
    assert_int_equal(rpc_monitor_get_evidence(f->monitor, &id, TIMEOUT_MS, &file, &err),
                     E_MALFORMED);
    assert_int_equal(file.len, strlen("the evidence"));
    buf_clear(&file);
}

static void a_file_is_checked(void **state)
{
    struct fixture *f = *state;
    struct rpc_monitor_check check;
    struct err err;
    assert_int_equal(rpc_monitor_check_note(f->monitor, span_of_str("a note"), TIMEOUT_MS, &check,
                                            &err),
                     E_OK);
    assert_true(span_has_suffix(buf_span(&f->asked), span_of_str("a note")));
    assert_int_equal(check.count, 2);
    assert_string_equal(check.notes[1].result, "not-looked-at");
    assert_int_equal(check.notes[1].size, 12);
    assert_true(check.notes[1].has_evidence);
    rpc_monitor_check_clear(&check);
    f->fault = FAULT_NOTHING; /* a file without notes */
    assert_int_equal(rpc_monitor_check_note(f->monitor, span_of_str("a note"), TIMEOUT_MS, &check,
                                            &err),
                     E_OK);
    assert_int_equal(check.count, 0);
    rpc_monitor_check_clear(&check);
}

static void a_file_that_is_too_large_is_not_sent(void **state)
{
    struct fixture *f = *state;
    struct rpc_monitor_check check;
    struct err err;
    void *bytes = mem_calloc(1, RPC_MONITOR_FILE_BYTES_MAX + 1);
    assert_int_equal(rpc_monitor_check_note(f->monitor,
                                            span_of(bytes, RPC_MONITOR_FILE_BYTES_MAX + 1),
                                            TIMEOUT_MS, &check, &err),
                     E_TOO_LARGE);
    assert_int_equal(f->asked.len, 0);
    assert_int_equal(rpc_monitor_check_note(f->monitor, span_of(bytes, RPC_MONITOR_FILE_BYTES_MAX),
                                            TIMEOUT_MS, &check, &err),
                     E_OK);
    rpc_monitor_check_clear(&check);
    mem_free(bytes);
}

static void notes_are_exchanged_within_a_bound(void **state)
{
    struct fixture *f = *state;
    struct buf reply = BUF_INIT(8);
    struct err err;
    assert_int_equal(rpc_monitor_exchange_notes(f->monitor, span_of_str("our note"), TIMEOUT_MS,
                                                &reply, &err),
                     E_OK);
    assert_true(span_is_str(buf_span(&reply), "our note"));
    assert_int_equal(rpc_monitor_exchange_notes(f->monitor, span_of_str("more"), TIMEOUT_MS, &reply,
                                                &err),
                     E_TOO_LARGE);
    assert_int_equal(reply.len, 8);
    f->fault = FAULT_REFUSE;
    assert_int_equal(rpc_monitor_exchange_notes(f->monitor, span_of_str("more"), TIMEOUT_MS, &reply,
                                                &err),
                     E_DENIED);
    buf_clear(&reply);
}

static void alerts_are_settled(void **state)
{
    struct fixture *f = *state;
    struct rpc_monitor_alerts alerts;
    struct err err;
    assert_int_equal(rpc_monitor_acknowledge(f->monitor, alert_id, "seen", TIMEOUT_MS, &alerts,
                                             &err),
                     E_OK);
    assert_int_equal(alerts.count, 1);
    assert_string_equal(alerts.alerts[0].comment, "seen");
    rpc_monitor_alerts_clear(&alerts);
    assert_int_equal(rpc_monitor_resolve(f->monitor, alert_id, "over", TIMEOUT_MS, &alerts, &err),
                     E_OK);
    assert_string_equal(alerts.alerts[0].state, "resolved");
    rpc_monitor_alerts_clear(&alerts);
    static const enum fault faults[] = { FAULT_NOTHING, FAULT_OTHER, FAULT_SHORT_HASH };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        f->fault = faults[i];
        assert_int_equal(rpc_monitor_acknowledge(f->monitor, alert_id, "", TIMEOUT_MS, &alerts,
                                                 &err),
                         E_MALFORMED);
        assert_int_equal(rpc_monitor_resolve(f->monitor, alert_id, "", TIMEOUT_MS, &alerts, &err),
                         E_MALFORMED);
    }
    f->fault = FAULT_REFUSE;
    assert_int_equal(rpc_monitor_resolve(f->monitor, alert_id, "", TIMEOUT_MS, &alerts, &err),
                     E_DENIED);
    assert_non_null(strstr(err.msg, "control socket"));
}

static void a_drill_is_told(void **state)
{
    struct fixture *f = *state;
    struct rpc_monitor_drill drill;
    struct err err;
    assert_int_equal(rpc_monitor_self_test(f->monitor, 1000, TIMEOUT_MS, &drill, &err), E_OK);
    assert_true(drill.is_fork_found);
    assert_false(drill.is_evidence_good);
    assert_string_equal(drill.alert_id, alert_id);
    assert_true(drill.has_evidence);
    assert_int_equal(drill.sink_count, 1);
    assert_string_equal(drill.sinks[0].error, "refused?");
    assert_string_equal(drill.error, "");
    rpc_monitor_drill_clear(&drill);
    f->fault = FAULT_NO_WORD; /* it could not be held */
    assert_int_equal(rpc_monitor_self_test(f->monitor, 1000, TIMEOUT_MS, &drill, &err), E_OK);
    assert_string_equal(drill.alert_id, "");
    rpc_monitor_drill_clear(&drill);
}

/* -- what must not come out -- */

static void answers_that_make_no_sense_are_errors(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum fault fault;
        enum err_code status, list, check, drill;
    } rows[] = {
        { FAULT_REFUSE, E_DENIED, E_DENIED, E_DENIED, E_DENIED },
        { FAULT_NOT_PROTOBUF, E_MALFORMED, E_MALFORMED, E_MALFORMED, E_MALFORMED },
        { FAULT_SHORT_HASH, E_MALFORMED, E_MALFORMED, E_MALFORMED, E_MALFORMED },
        { FAULT_TOO_MANY, E_MALFORMED, E_MALFORMED, E_MALFORMED, E_MALFORMED },
        { FAULT_BAD_WORD, E_OK, E_MALFORMED, E_MALFORMED, E_MALFORMED },
        { FAULT_NO_WORD, E_OK, E_MALFORMED, E_MALFORMED, E_OK },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rpc_monitor_status status = { 0 };
        struct rpc_monitor_alerts alerts = { 0 };
        struct rpc_monitor_check check = { 0 };
        struct rpc_monitor_drill drill = { 0 };
        struct err err;
        f->fault = rows[i].fault;
        assert_int_equal(rpc_monitor_get_status(f->monitor, TIMEOUT_MS, &status, &err),
                         rows[i].status);
        assert_int_equal(rpc_monitor_list_alerts(f->monitor, false, 2, TIMEOUT_MS, &alerts, &err),
                         rows[i].list);
        assert_int_equal(rpc_monitor_check_note(f->monitor, span_of_str("n"), TIMEOUT_MS, &check,
                                                &err),
                         rows[i].check);
        assert_int_equal(rpc_monitor_self_test(f->monitor, 0, TIMEOUT_MS, &drill, &err),
                         rows[i].drill);
        /* Nothing of a failed call is left to clear. */
        assert_true(rows[i].list == E_OK || alerts.memory.blocks == NULL);
        rpc_monitor_status_clear(&status);
        rpc_monitor_drill_clear(&drill);
    }
}

static void a_server_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct rpc_monitor *monitor = NULL;
    struct err err;
    const struct rpc_client_config config = { .target = "127.0.0.1:1" };
    assert_int_equal(rpc_monitor_open(&monitor, &config, 2000, &err), E_IO);
    assert_null(monitor);
    rpc_monitor_close(NULL);
    rpc_monitor_watch_close(NULL);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_status_comes_out_whole),
        CASE(alerts_come_out_clean),
        CASE(alerts_are_watched_until_the_end),
        CASE(a_watch_ends_with_the_servers_words),
        CASE(a_watch_does_not_take_nonsense),
        CASE(evidence_is_what_was_asked_for),
        CASE(a_file_is_checked),
        CASE(a_file_that_is_too_large_is_not_sent),
        CASE(notes_are_exchanged_within_a_bound),
        CASE(alerts_are_settled),
        CASE(a_drill_is_told),
        CASE(answers_that_make_no_sense_are_errors),
        CASE(a_server_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
