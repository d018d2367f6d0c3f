/* The connection, how replies are read, and the calls about the monitor as a whole and about notes. */
#include "client/rpc_monitor.h"

#include "base/ascii.h"
#include "client/rpc_monitor_parts.h"

enum err_code rpc_monitor_open(struct rpc_monitor **out, const struct rpc_client_config *config,
                               uint32_t timeout_ms, struct err *err)
{
    struct rpc_client *client = NULL;
    if (rpc_client_open(&client, config, err) != E_OK ||
        rpc_client_connect(client, timeout_ms, err) != E_OK) {
        rpc_client_close(client);
        return err->code;
    }
    struct rpc_monitor *monitor = NEW(struct rpc_monitor);
    monitor->client = client;
    *out = monitor;
    return E_OK;
}

void rpc_monitor_close(struct rpc_monitor *monitor)
{
    if (monitor != NULL) {
        rpc_client_close(monitor->client);
        mem_free(monitor);
    }
}

/* ---- messages ---- */

struct buf rpc_monitor_pack(const ProtobufCMessage *message)
{
    struct buf out = BUF_INIT(SIZE_MAX);
    size_t bytes = protobuf_c_message_get_packed_size(message);
    if (bytes > 0) {
        protobuf_c_message_pack(message, buf_extend(&out, bytes));
    }
    return out;
}

static void *arena_give(void *ctx, size_t size)
{
    return arena_alloc(ctx, size > 0 ? size : 1);
}

static void arena_keep(void *ctx, void *memory)
{
    (void)ctx, (void)memory; /* freed with the arena */
}

const ProtobufCMessage *rpc_monitor_unpack(const ProtobufCMessageDescriptor *type,
                                           struct arena *memory, struct span bytes)
{
    ProtobufCAllocator allocator = { arena_give, arena_keep, memory };
    return protobuf_c_message_unpack(type, &allocator, bytes.len, bytes.data);
}

enum err_code rpc_monitor_call(struct rpc_monitor *monitor, const char *path,
                               const ProtobufCMessage *request, uint32_t timeout_ms,
                               const ProtobufCMessageDescriptor *type, struct arena *memory,
                               const ProtobufCMessage **reply, struct err *err)
{
    struct buf packed = rpc_monitor_pack(request);
    struct buf bytes = BUF_INIT(SIZE_MAX);
    arena_init(memory, RPC_MONITOR_MEMORY_MAX);
    enum err_code rc = rpc_unary(monitor->client, path, buf_span(&packed), timeout_ms, &bytes, err);
    if (rc == E_OK) {
        *reply = rpc_monitor_unpack(type, memory, buf_span(&bytes));
        if (*reply == NULL) {
            rc = err_set(err, E_MALFORMED, "the monitor's answer is not a %s", type->short_name);
        }
    }
    if (rc != E_OK) {
        arena_clear(memory);
    }
    buf_clear(&packed);
    buf_clear(&bytes);
    return rc;
}

/* ---- reading ---- */

static void *give(struct rpc_monitor_reading *reading, size_t bytes)
{
    void *memory = arena_alloc(reading->memory, bytes);
    if (memory == NULL) {
        reading->wrong = reading->wrong != NULL ? reading->wrong : "it is too large";
    }
    return memory;
}

const char *rpc_monitor_text(struct rpc_monitor_reading *reading, ProtobufCBinaryData bytes)
{
    size_t room = bytes.len < RPC_MONITOR_TEXT_MAX ? bytes.len : RPC_MONITOR_TEXT_MAX - 1;
    char *text = give(reading, room + 1);
    if (text == NULL) {
        return "";
    }
    struct span in = rpc_monitor_span(bytes);
    size_t len = 0;
    while (in.len > 0) {
        struct span at = in;
        uint32_t c;
        bool is_good = utf8_take(&in, &c);
        size_t taken = is_good ? at.len - in.len : 1;
        in = span_slice(at, taken, at.len - taken);
        is_good = is_good && c >= 0x20 && (c < 0x7f || c >= 0xa0);
        size_t put = is_good ? taken : 1;
        if (put > room - len) {
            break;
        }
        memcpy(text + len, is_good ? (const char *)at.data : "?", put);
        len += put;
    }
    text[len] = '\0';
    return text;
}

static bool is_word(struct span bytes)
{
    bool is_good = bytes.len < RPC_MONITOR_WORD_MAX;
    for (size_t i = 0; is_good && i < bytes.len; i++) {
        uint8_t c = bytes.data[i];
        is_good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    }
    return is_good;
}

const char *rpc_monitor_word(struct rpc_monitor_reading *reading, ProtobufCBinaryData bytes,
                             const char *what)
{
    if (!is_word(rpc_monitor_span(bytes)) || bytes.len == 0) {
        reading->wrong = reading->wrong != NULL ? reading->wrong : what;
        return "";
    }
    return rpc_monitor_text(reading, bytes);
}

bool rpc_monitor_hash(struct rpc_monitor_reading *reading, struct hash *out,
                      ProtobufCBinaryData bytes, const char *what)
{
    if (bytes.len == HASH_BYTES) {
        memcpy(out->bytes, bytes.data, HASH_BYTES);
        return true;
    }
    if (bytes.len > 0 && reading->wrong == NULL) {
        reading->wrong = what;
    }
    return false;
}

void *rpc_monitor_list(struct rpc_monitor_reading *reading, size_t *count, size_t wanted,
                       size_t max, size_t item_bytes, const char *what)
{
    *count = 0;
    if (wanted > max) {
        reading->wrong = reading->wrong != NULL ? reading->wrong : what;
        return NULL;
    }
    void *items = give(reading, (wanted + 1) * item_bytes);
    if (items != NULL) {
        memset(items, 0, (wanted + 1) * item_bytes);
        *count = wanted;
    }
    return items;
}

enum err_code rpc_monitor_read(struct rpc_monitor_reading *reading, struct err *err)
{
    if (reading->wrong == NULL) {
        return E_OK;
    }
    err_set(err, E_MALFORMED, "the monitor's answer makes no sense: %s", reading->wrong);
    arena_clear(reading->memory);
    return E_MALFORMED;
}

/* ---- status ---- */

static void log_read(struct rpc_monitor_reading *reading, struct rpc_monitor_log *out,
                     const Courtroll__V1__MonitoredLog *from)
{
    out->origin = rpc_monitor_text(reading, from->origin);
    out->log_size = from->log_size;
    out->held_size = from->held_size;
    out->has_root = rpc_monitor_hash(reading, &out->held_root, from->held_root, "a root");
    out->is_verified = from->verified != 0;
    out->verified_s = from->verified_time;
    out->note_time_s = from->note_time;
    out->has_trusted_start = from->has_trusted_start != 0;
    out->trusted_start = from->trusted_start;
    out->is_scanning = from->scanning != 0;
    out->scan_at = from->scan_at;
    out->scan_to = from->scan_to;
    out->scan_rate = from->scan_rate;
    out->entries_hashed = from->entries_hashed;
    out->is_quorum_met = from->quorum_met != 0;
    out->f = from->f;
    out->rule = rpc_monitor_text(reading, from->rule);
    out->has_policy_hash =
        rpc_monitor_hash(reading, &out->policy_hash, from->policy_hash, "a policy's hash");
    out->last_error = rpc_monitor_text(reading, from->last_error);
    out->waiting_notes = from->waiting_notes;
    out->open_alerts = from->open_alerts;
    out->witnesses =
        rpc_monitor_list(reading, &out->witness_count, from->n_witnesses, RPC_MONITOR_WITNESSES_MAX,
                         sizeof *out->witnesses, "too many witnesses");
    for (size_t i = 0; i < out->witness_count; i++) {
        out->witnesses[i].name = rpc_monitor_text(reading, from->witnesses[i]->name);
        out->witnesses[i].seen_s = from->witnesses[i]->seen;
    }
}

static void vantages_read(struct rpc_monitor_reading *reading, struct rpc_monitor_status *out,
                          const Courtroll__V1__GetMonitorStatusReply *from)
{
    out->vantages =
        rpc_monitor_list(reading, &out->vantage_count, from->n_vantages, RPC_MONITOR_VANTAGES_MAX,
                         sizeof *out->vantages, "too many vantages");
    for (size_t i = 0; i < out->vantage_count; i++) {
        const Courtroll__V1__MonitorVantage *vantage = from->vantages[i];
        out->vantages[i] = (struct rpc_monitor_vantage){
            .text = rpc_monitor_text(reading, vantage->text),
            .last_answer_s = vantage->last_answer,
            .notes = vantage->notes,
            .contradictions = vantage->contradictions,
            .last_error = rpc_monitor_text(reading, vantage->last_error),
        };
    }
}

static void sinks_read(struct rpc_monitor_reading *reading, struct rpc_monitor_status *out,
                       const Courtroll__V1__GetMonitorStatusReply *from)
{
    out->sinks = rpc_monitor_list(reading, &out->sink_count, from->n_sinks, RPC_MONITOR_SINKS_MAX,
                                  sizeof *out->sinks, "too many sinks");
    for (size_t i = 0; i < out->sink_count; i++) {
        const Courtroll__V1__MonitorSink *sink = from->sinks[i];
        out->sinks[i] = (struct rpc_monitor_sink){
            .name = rpc_monitor_text(reading, sink->name),
            .waiting = sink->waiting,
            .delivered = sink->delivered,
            .failures = sink->failures,
            .last_error = rpc_monitor_text(reading, sink->last_error),
        };
    }
}

static void status_read(struct rpc_monitor_reading *reading, struct rpc_monitor_status *out,
                        const Courtroll__V1__GetMonitorStatusReply *from)
{
    out->name = rpc_monitor_text(reading, from->name);
    out->vkey = rpc_monitor_text(reading, from->vkey);
    out->open_alerts = from->open_alerts;
    out->entries_hashed = from->entries_hashed;
    out->started_s = from->started;
    out->is_well = from->well != 0;
    out->reason = rpc_monitor_text(reading, from->reason);
    out->page = rpc_monitor_text(reading, from->page);
    out->cpu_us = from->cpu_us;
    out->rss_anon_bytes = from->rss_anon_bytes;
    out->logs = rpc_monitor_list(reading, &out->log_count, from->n_logs, RPC_MONITOR_LOGS_MAX,
                                 sizeof *out->logs, "too many logs");
    for (size_t i = 0; i < out->log_count; i++) {
        log_read(reading, &out->logs[i], from->logs[i]);
    }
    vantages_read(reading, out, from);
    sinks_read(reading, out, from);
}

enum err_code rpc_monitor_get_status(struct rpc_monitor *monitor, uint32_t timeout_ms,
                                     struct rpc_monitor_status *out, struct err *err)
{
    Courtroll__V1__GetMonitorStatusRequest request =
        COURTROLL__V1__GET_MONITOR_STATUS_REQUEST__INIT;
    struct rpc_monitor_status status = { 0 };
    const ProtobufCMessage *reply = NULL;
    enum err_code rc =
        rpc_monitor_call(monitor, RPC_MONITOR_PATH("GetStatus"), &request.base, timeout_ms,
                         &courtroll__v1__get_monitor_status_reply__descriptor, &status.memory,
                         &reply, err);
    if (rc == E_OK) {
        struct rpc_monitor_reading reading = { .memory = &status.memory };
        status_read(&reading, &status, (const Courtroll__V1__GetMonitorStatusReply *)reply);
        rc = rpc_monitor_read(&reading, err);
    }
    if (rc == E_OK) {
        *out = status;
    }
    return rc;
}

void rpc_monitor_status_clear(struct rpc_monitor_status *status)
{
    arena_clear(&status->memory);
}

/* ---- notes ---- */

static void check_read(struct rpc_monitor_reading *reading, struct rpc_monitor_check *out,
                       const Courtroll__V1__CheckNoteReply *from)
{
    out->notes = rpc_monitor_list(reading, &out->count, from->n_notes, RPC_MONITOR_NOTES_MAX,
                                  sizeof *out->notes, "too many notes");
    for (size_t i = 0; i < out->count; i++) {
        const Courtroll__V1__CheckedNote *note = from->notes[i];
        struct rpc_monitor_checked *to = &out->notes[i];
        to->origin = rpc_monitor_text(reading, note->origin);
        to->size = note->size;
        to->result = rpc_monitor_word(reading, note->result, "a result");
        to->detail = rpc_monitor_text(reading, note->detail);
        to->has_evidence =
            rpc_monitor_hash(reading, &to->evidence, note->evidence, "the hash of evidence");
        to->held_size = note->held_size;
        to->is_quorum_met = note->quorum_met != 0;
    }
}

enum err_code rpc_monitor_check_note(struct rpc_monitor *monitor, struct span file,
                                     uint32_t timeout_ms, struct rpc_monitor_check *out,
                                     struct err *err)
{
    if (file.len > RPC_MONITOR_FILE_BYTES_MAX) {
        return err_set(err, E_TOO_LARGE, "%zu bytes; a monitor takes %d", file.len,
                       RPC_MONITOR_FILE_BYTES_MAX);
    }
    Courtroll__V1__CheckNoteRequest request = COURTROLL__V1__CHECK_NOTE_REQUEST__INIT;
    request.file = rpc_monitor_bytes(file);
    struct rpc_monitor_check check = { 0 };
    const ProtobufCMessage *reply = NULL;
    enum err_code rc =
        rpc_monitor_call(monitor, RPC_MONITOR_PATH("CheckNote"), &request.base, timeout_ms,
                         &courtroll__v1__check_note_reply__descriptor, &check.memory, &reply, err);
    if (rc == E_OK) {
        struct rpc_monitor_reading reading = { .memory = &check.memory };
        check_read(&reading, &check, (const Courtroll__V1__CheckNoteReply *)reply);
        rc = rpc_monitor_read(&reading, err);
    }
    if (rc == E_OK) {
        *out = check;
    }
    return rc;
}

void rpc_monitor_check_clear(struct rpc_monitor_check *check)
{
    arena_clear(&check->memory);
}

enum err_code rpc_monitor_exchange_notes(struct rpc_monitor *monitor, struct span message,
                                         uint32_t timeout_ms, struct buf *reply, struct err *err)
{
    Courtroll__V1__ExchangeNotesRequest request = COURTROLL__V1__EXCHANGE_NOTES_REQUEST__INIT;
    request.message = rpc_monitor_bytes(message);
    struct arena memory;
    const ProtobufCMessage *answer = NULL;
    enum err_code rc =
        rpc_monitor_call(monitor, RPC_MONITOR_PATH("ExchangeNotes"), &request.base, timeout_ms,
                         &courtroll__v1__exchange_notes_reply__descriptor, &memory, &answer, err);
    if (rc == E_OK) {
        const Courtroll__V1__ExchangeNotesReply *from =
            (const Courtroll__V1__ExchangeNotesReply *)answer;
        rc = buf_append(reply, rpc_monitor_span(from->message), err);
        arena_clear(&memory);
    }
    return rc;
}

/* ---- drill ---- */

static void drill_read(struct rpc_monitor_reading *reading, struct rpc_monitor_drill *out,
                       const Courtroll__V1__SelfTestReply *from)
{
    out->is_fork_found = from->fork_found != 0;
    out->is_evidence_good = from->evidence_good != 0;
    out->alert_id =
        from->alert_id.len > 0 ? rpc_monitor_word(reading, from->alert_id, "an alert's id") : "";
    out->has_evidence =
        rpc_monitor_hash(reading, &out->evidence_id, from->evidence_id, "the hash of evidence");
    out->error = rpc_monitor_text(reading, from->error);
    out->sinks = rpc_monitor_list(reading, &out->sink_count, from->n_sinks, RPC_MONITOR_SINKS_MAX,
                                  sizeof *out->sinks, "too many sinks");
    for (size_t i = 0; i < out->sink_count; i++) {
        out->sinks[i] = (struct rpc_monitor_told){
            .name = rpc_monitor_text(reading, from->sinks[i]->name),
            .is_told = from->sinks[i]->told != 0,
            .error = rpc_monitor_text(reading, from->sinks[i]->error),
        };
    }
}

enum err_code rpc_monitor_self_test(struct rpc_monitor *monitor, uint64_t sink_timeout_ms,
                                    uint32_t timeout_ms, struct rpc_monitor_drill *out,
                                    struct err *err)
{
    Courtroll__V1__SelfTestRequest request = COURTROLL__V1__SELF_TEST_REQUEST__INIT;
    request.timeout_ms = sink_timeout_ms;
    struct rpc_monitor_drill drill = { 0 };
    const ProtobufCMessage *reply = NULL;
    enum err_code rc =
        rpc_monitor_call(monitor, RPC_MONITOR_PATH("SelfTest"), &request.base, timeout_ms,
                         &courtroll__v1__self_test_reply__descriptor, &drill.memory, &reply, err);
    if (rc == E_OK) {
        struct rpc_monitor_reading reading = { .memory = &drill.memory };
        drill_read(&reading, &drill, (const Courtroll__V1__SelfTestReply *)reply);
        rc = rpc_monitor_read(&reading, err);
    }
    if (rc == E_OK) {
        *out = drill;
    }
    return rc;
}

void rpc_monitor_drill_clear(struct rpc_monitor_drill *drill)
{
    arena_clear(&drill->memory);
}
