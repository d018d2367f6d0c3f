#include "witness/witness_service.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "courtroll/v1/witness.pb-c.h"
#include "net/address.h"
#include "net/rpc_answer.h"
#include "net/work.h"
#include "witness/cosigning_metrics.h"

enum {
    /* A proof, whose hashes have two bytes around each, and a note. */
    ADD_REQUEST_BYTES_MAX = ADD_CHECKPOINT_BYTES_MAX,
    REFUSAL_BYTES_MAX = 512,
    /* Of evidence files in one reply: callers take 4 MiB by default. */
    EVIDENCE_REPLY_BYTES_MAX = 3 * 1024 * 1024,
    LOGS_REPLY_BYTES_MAX = 3 * 1024 * 1024, /* likewise, of logs */
    LOGS_REPLY_MAX = 4096, /* what is made at a time; others are for the next call */
    FIELD_BYTES_MAX = 8,   /* in front of a log */
};

/* One call on its way to a worker and back. */
struct witness_call {
    struct parts *parts;
    struct rpc_call *call;
    struct hash origin_hash;
    bool has_origin;
    uint64_t first, count; /* of logs */
};

static struct witness_call *call_new(struct parts *parts, struct rpc_call *call)
{
    struct witness_call *made = NEW(struct witness_call);
    made->parts = parts;
    made->call = call;
    return made;
}

/* -- AddCheckpoint -- */

static void on_cosigned(void *ctx, const struct cosigner_answer *answer)
{
    struct witness_call *add = ctx;
    cosigning_metrics_count(add->parts->metrics, answer->refusal);
    if (answer->refusal == REFUSED_NONE || answer->refusal == REFUSED_STALE) {
        Courtroll__V1__AddCheckpointReply out = COURTROLL__V1__ADD_CHECKPOINT_REPLY__INIT;
        out.stale = answer->refusal == REFUSED_STALE;
        out.stored_size = out.stale ? answer->stored_size : 0;
        out.cosignatures = rpc_answer_binary(out.stale ? (struct span){ 0 } : answer->lines);
        rpc_answer(add->call, &out.base);
    } else {
        struct buf text = BUF_INIT(REFUSAL_BYTES_MAX);
        parts_put_refusal(&text, answer);
        rpc_fail(add->call, refusal_code(answer->refusal), buf_c_str(&text));
        buf_clear(&text);
    }
    mem_free(add);
}

static enum err_code read_proof(struct proof *out, const Courtroll__V1__AddCheckpointRequest *in,
                                struct err *err)
{
    if (in->n_hashes > PROOF_HASHES_MAX) {
        return err_set(err, E_MALFORMED, "%zu hashes, at most %d", in->n_hashes, PROOF_HASHES_MAX);
    }
    out->count = in->n_hashes;
    for (size_t i = 0; i < in->n_hashes; i++) {
        if (in->hashes[i].len != HASH_BYTES) {
            return err_set(err, E_MALFORMED, "hash %zu has %zu bytes, expected %d", i,
                           in->hashes[i].len, HASH_BYTES);
        }
        memcpy(out->hashes[i].bytes, in->hashes[i].data, HASH_BYTES);
    }
    return E_OK;
}

/* The body that the same request has over HTTP: one parser and one set of checks for both. */
static enum err_code put_body(struct buf *out, const Courtroll__V1__AddCheckpointRequest *in,
                              struct err *err)
{
    struct proof proof;
    if (in->old_size > SIZE_VALUE_MAX) {
        return err_set(err, E_MALFORMED, "old_size is too large");
    }
    enum err_code rc = read_proof(&proof, in, err);
    if (rc == E_OK) {
        add_checkpoint_put(out, in->old_size, &proof, span_of(in->note.data, in->note.len));
    }
    return rc;
}

static void add_checkpoint(void *ctx, struct rpc_call *call, struct span message)
{
    struct parts *parts = ctx;
    if (message.len > ADD_REQUEST_BYTES_MAX) {
        rpc_fail(call, E_TOO_LARGE, NULL);
        return;
    }
    Courtroll__V1__AddCheckpointRequest *in =
        courtroll__v1__add_checkpoint_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        rpc_fail(call, E_MALFORMED, "not an AddCheckpointRequest");
        return;
    }
    struct buf body = BUF_INIT(2 * ADD_REQUEST_BYTES_MAX), peer = BUF_INIT(ADDRESS_HOST_MAX);
    struct err err;
    if (put_body(&body, in, &err) == E_OK) {
        rpc_call_put_peer_host(call, &peer);
        cosigner_submit(parts->cosigner, buf_span(&body), buf_span(&peer), call_new(parts, call),
                        on_cosigned);
    } else {
        rpc_fail(call, err.code, err.msg);
    }
    buf_clear(&peer);
    buf_clear(&body);
    courtroll__v1__add_checkpoint_request__free_unpacked(in, NULL);
}

/* -- GetCheckpoint -- */

static void run_get_checkpoint(void *arg)
{
    struct witness_call *get = arg;
    struct buf note = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    struct err err;
    if (ledger_note(get->parts->ledger, &get->origin_hash, &note, &err) == E_OK) {
        Courtroll__V1__GetCosignedCheckpointReply out =
            COURTROLL__V1__GET_COSIGNED_CHECKPOINT_REPLY__INIT;
        out.note = rpc_answer_binary(buf_span(&note));
        rpc_answer(get->call, &out.base);
    } else {
        rpc_answer_error(get->call, &get->parts->private_paths, &err);
    }
    buf_clear(&note);
    mem_free(get);
}

static void get_checkpoint(void *ctx, struct rpc_call *call, struct span message)
{
    struct parts *parts = ctx;
    if (rpc_answer_refuses_long(call, message)) {
        return;
    }
    Courtroll__V1__GetCosignedCheckpointRequest *in =
        courtroll__v1__get_cosigned_checkpoint_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        rpc_fail(call, E_MALFORMED, "not a GetCosignedCheckpointRequest");
        return;
    }
    struct witness_call *get = call_new(parts, call);
    get->origin_hash = sha256(span_of(in->origin.data, in->origin.len));
    courtroll__v1__get_cosigned_checkpoint_request__free_unpacked(in, NULL);
    work_post(parts->reads, run_get_checkpoint, get);
}

/* -- ListLogs -- */

/* What the messages of a reply point into. */
struct logs_reply {
    size_t count; /* of those that were filled in */
    struct log_status *statuses;
    Courtroll__V1__WitnessedLog *logs;
    Courtroll__V1__WitnessedLog **pointers;
    struct buf *vkeys;           /* LOG_KEYS_MAX of each log */
    ProtobufCBinaryData *binary; /* likewise */
    struct buf *reasons;         /* one of each log */
};

static void fill_vkeys(struct logs_reply *reply, size_t i)
{
    struct known_log *log = (struct known_log *)reply->statuses[i].log;
    struct vkey keys[LOG_KEYS_MAX];
    size_t count = known_log_keys(log, keys);
    for (size_t k = 0; k < count; k++) {
        struct buf *vkey = &reply->vkeys[i * LOG_KEYS_MAX + k];
        buf_init(vkey, KEY_NAME_BYTES_MAX + 128);
        vkey_put(vkey, &keys[k]);
        reply->binary[i * LOG_KEYS_MAX + k] = rpc_answer_binary(buf_span(vkey));
    }
    reply->logs[i].n_vkeys = count;
    reply->logs[i].vkeys = &reply->binary[i * LOG_KEYS_MAX];
}

static void fill_log(struct parts *parts, struct logs_reply *reply, size_t i)
{
    const struct log_status *status = &reply->statuses[i];
    Courtroll__V1__WitnessedLog *out = &reply->logs[i];
    courtroll__v1__witnessed_log__init(out);
    out->origin = rpc_answer_binary(span_of_str(status->log->origin));
    out->size = status->state.size;
    out->root = rpc_answer_binary(hash_span(&status->state.root));
    out->timestamp = status->state.timestamp;
    out->signing = status->verdict == GUARD_OPEN;
    out->cosignatures = status->counts[REFUSED_NONE];
    for (int reason = REFUSED_NONE + 1; reason < REFUSAL_COUNT; reason++) {
        out->refusals += status->counts[reason];
    }
    out->evidence = status->evidence;
    if (!out->signing) {
        char reason[PARTS_REASON_MAX];
        parts_guard_reason(parts, status->log, reason);
        buf_init(&reply->reasons[i], PARTS_REASON_MAX);
        buf_put_str(&reply->reasons[i], reason);
        out->reason = rpc_answer_binary(buf_span(&reply->reasons[i]));
    }
    fill_vkeys(reply, i);
    reply->pointers[i] = out;
}

static void logs_reply_init(struct logs_reply *reply, const struct witness_call *list)
{
    struct parts *parts = list->parts;
    size_t first = list->first < SIZE_MAX ? (size_t)list->first : SIZE_MAX;
    size_t max =
        list->count == 0 || list->count > LOGS_REPLY_MAX ? LOGS_REPLY_MAX : (size_t)list->count;
    size_t count = parts_log_statuses_from(parts, first, max, &reply->statuses);
    size_t room = count + 1; /* never nothing */
    reply->logs = mem_calloc(room, sizeof *reply->logs);
    reply->pointers = mem_calloc(room, sizeof(Courtroll__V1__WitnessedLog *));
    reply->vkeys = mem_calloc(room * LOG_KEYS_MAX, sizeof *reply->vkeys);
    reply->binary = mem_calloc(room * LOG_KEYS_MAX, sizeof *reply->binary);
    reply->reasons = mem_calloc(room, sizeof *reply->reasons);
    reply->count = 0;
    for (size_t i = 0, bytes = 0; i < count && bytes < LOGS_REPLY_BYTES_MAX; i++) {
        fill_log(parts, reply, i);
        bytes += FIELD_BYTES_MAX + courtroll__v1__witnessed_log__get_packed_size(&reply->logs[i]);
        reply->count++;
    }
}

static void logs_reply_clear(struct logs_reply *reply)
{
    for (size_t i = 0; i < reply->count; i++) {
        buf_clear(&reply->reasons[i]);
        for (size_t k = 0; k < reply->logs[i].n_vkeys; k++) {
            buf_clear(&reply->vkeys[i * LOG_KEYS_MAX + k]);
        }
    }
    mem_free(reply->statuses);
    mem_free(reply->logs);
    mem_free(reply->pointers);
    mem_free(reply->vkeys);
    mem_free(reply->binary);
    mem_free(reply->reasons);
}

static void run_list_logs(void *arg)
{
    struct witness_call *list = arg;
    struct logs_reply reply;
    logs_reply_init(&reply, list);
    Courtroll__V1__ListLogsReply out = COURTROLL__V1__LIST_LOGS_REPLY__INIT;
    out.n_logs = reply.count;
    out.logs = reply.pointers;
    out.rollback_check = rpc_answer_binary(span_of_str(guard_words(list->parts->guard)));
    out.total = log_table_count(list->parts->logs);
    rpc_answer(list->call, &out.base);
    logs_reply_clear(&reply);
    mem_free(list);
}

static void list_logs(void *ctx, struct rpc_call *call, struct span message)
{
    struct parts *parts = ctx;
    if (rpc_answer_refuses_long(call, message)) {
        return;
    }
    Courtroll__V1__ListLogsRequest *in =
        courtroll__v1__list_logs_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        rpc_fail(call, E_MALFORMED, "not a ListLogsRequest");
        return;
    }
    struct witness_call *list = call_new(parts, call);
    list->first = in->first;
    list->count = in->count;
    courtroll__v1__list_logs_request__free_unpacked(in, NULL);
    work_post(parts->reads, run_list_logs, list);
}

/* -- ListEvidence -- */

/* The file of an item, while there is room: without it the caller asks for one origin, or over HTTP. */
static void fill_file(struct parts *parts, const struct evidence_item *item, struct buf *file,
                      size_t *room)
{
    struct err err;
    buf_init(file, EVIDENCE_BYTES_MAX);
    if (evidence_keep_read(parts->evidence, &item->origin_hash, &item->id, file, &err) != E_OK ||
        file->len > *room) {
        buf_clear(file);
        buf_init(file, EVIDENCE_BYTES_MAX);
        return;
    }
    *room -= file->len;
}

static void answer_evidence(struct witness_call *list, const struct evidence_item *items,
                            size_t count)
{
    Courtroll__V1__WitnessEvidence *made = mem_calloc(count + 1, sizeof *made);
    Courtroll__V1__WitnessEvidence **pointers =
        mem_calloc(count + 1, sizeof(Courtroll__V1__WitnessEvidence *));
    struct buf *files = mem_calloc(count + 1, sizeof *files);
    size_t room = EVIDENCE_REPLY_BYTES_MAX, n = 0;
    for (size_t i = 0; i < count; i++) {
        if (list->has_origin && !hash_is_equal(&items[i].origin_hash, &list->origin_hash)) {
            continue;
        }
        fill_file(list->parts, &items[i], &files[n], &room);
        courtroll__v1__witness_evidence__init(&made[n]);
        made[n].origin = rpc_answer_binary(span_of_str(items[i].origin));
        made[n].id = rpc_answer_binary(hash_span(&items[i].id));
        made[n].kind = rpc_answer_binary(span_of_str(evidence_kind_text(items[i].kind)));
        made[n].first_seen = items[i].first_seen_s;
        made[n].file = rpc_answer_binary(buf_span(&files[n]));
        pointers[n] = &made[n];
        n++;
    }
    Courtroll__V1__ListEvidenceReply out = COURTROLL__V1__LIST_EVIDENCE_REPLY__INIT;
    out.n_evidence = n;
    out.evidence = pointers;
    rpc_answer(list->call, &out.base);
    for (size_t i = 0; i < n; i++) {
        buf_clear(&files[i]);
    }
    mem_free(files);
    mem_free(pointers);
    mem_free(made);
}

static void run_list_evidence(void *arg)
{
    struct witness_call *list = arg;
    struct evidence_item *items = NULL;
    size_t count = evidence_keep_list(list->parts->evidence, &items);
    answer_evidence(list, items, count);
    mem_free(items);
    mem_free(list);
}

static void list_evidence(void *ctx, struct rpc_call *call, struct span message)
{
    struct parts *parts = ctx;
    if (rpc_answer_refuses_long(call, message)) {
        return;
    }
    Courtroll__V1__ListEvidenceRequest *in =
        courtroll__v1__list_evidence_request__unpack(NULL, message.len, message.data);
    if (in == NULL) {
        rpc_fail(call, E_MALFORMED, "not a ListEvidenceRequest");
        return;
    }
    struct witness_call *list = call_new(parts, call);
    list->has_origin = in->origin.len > 0;
    list->origin_hash = sha256(span_of(in->origin.data, in->origin.len));
    courtroll__v1__list_evidence_request__free_unpacked(in, NULL);
    work_post(parts->reads, run_list_evidence, list);
}

/* -- The table -- */

void witness_service_methods(struct parts *parts, struct rpc_method out[WITNESS_METHODS])
{
    const struct rpc_method methods[WITNESS_METHODS] = {
        { .path = "/courtroll.v1.Witness/AddCheckpoint", .on_call = add_checkpoint },
        { .path = "/courtroll.v1.Witness/GetCheckpoint", .on_call = get_checkpoint },
        { .path = "/courtroll.v1.Witness/ListLogs", .on_call = list_logs },
        { .path = "/courtroll.v1.Witness/ListEvidence", .on_call = list_evidence },
    };
    for (size_t i = 0; i < WITNESS_METHODS; i++) {
        out[i] = methods[i];
        out[i].ctx = parts;
    }
}
