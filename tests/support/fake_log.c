#include "tests/support/fake_log.h"

#include "base/alloc.h"
#include "courtroll/v1/log.pb-c.h"
#include "net/rpc_server.h"
#include "tests/support/keys.h"
#include "tests/support/memory_log.h"
#include "tlog/receipt.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    CASES_MAX = 4096,
    CASE_BYTES = 32,
    PENDING_MAX = 512,
    INDEX_SLOTS = 1 << 17,
    TIME = 1790000000,
    HUGE_BYTES = 600 * 1024,
};

struct case_seen {
    char name[CASE_BYTES];
    uint64_t next;     /* the lowest number that may come */
    unsigned in_calls; /* not answered */
};

struct pending {
    struct rpc_call *call;
    struct buf reply; /* empty: fails with the code */
    enum err_code code;
    char words[128];
    uint64_t due_ms;
    struct case_seen *cases[1000];
    size_t case_count;
};

struct fake_log {
    struct rpc_server *server;
    struct signer signer, other, unknown, witnesses[2];
    struct policy *policy;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    struct memory_log *tree;
    uint64_t slots[INDEX_SLOTS]; /* index + 1 by leaf hash */
    struct case_seen cases[CASES_MAX];
    size_t case_count;
    struct pending *pending[PENDING_MAX];
    size_t pending_count;
    enum fake_log_fault fault;
    unsigned delay_ms;
    struct fake_log_counts counts;
    bool is_over;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- entries ---- */

static uint64_t *slot_of(struct fake_log *log, const struct hash *leaf)
{
    uint32_t at;
    memcpy(&at, leaf->bytes, sizeof at);
    for (at %= INDEX_SLOTS; log->slots[at] != 0; at = (at + 1) % INDEX_SLOTS) {
        struct hash there = memory_log_leaf(log->tree, log->slots[at] - 1);
        if (hash_is_equal(&there, leaf)) {
            break;
        }
    }
    return &log->slots[at];
}

static struct case_seen *case_of(struct fake_log *log, struct span entry, uint64_t *number)
{
    char name[CASE_BYTES] = "";
    size_t slash = span_find(entry, span_of_str("/"));
    if (slash == SIZE_MAX || slash == 0 ||
        slash >= sizeof name) { /* 0: of no case, which has no order */
        return NULL;
    }
    memcpy(name, entry.data, slash);
    char digits[24] = "";
    size_t rest = entry.len - slash - 1;
    memcpy(digits, entry.data + slash + 1, rest < sizeof digits - 1 ? rest : sizeof digits - 1);
    *number = strtoull(digits, NULL, 10);
    for (size_t i = 0; i < log->case_count; i++) {
        if (strcmp(log->cases[i].name, name) == 0) {
            return &log->cases[i];
        }
    }
    assert(log->case_count < CASES_MAX);
    struct case_seen *seen = &log->cases[log->case_count++];
    memcpy(seen->name, name, sizeof name);
    return seen;
}

/* Notes which cases a call has. */
static void note_cases(struct fake_log *log, struct pending *pending,
                       const Courtroll__V1__AppendRequest *request)
{
    for (size_t i = 0; i < request->n_entries; i++) {
        uint64_t number;
        struct case_seen *seen =
            case_of(log, span_of(request->entries[i].data, request->entries[i].len), &number);
        bool is_here = seen == NULL;
        for (size_t k = 0; k < pending->case_count && !is_here; k++) {
            is_here = pending->cases[k] == seen;
        }
        if (!is_here) {
            log->counts.overlaps += seen->in_calls > 0;
            seen->in_calls++;
            pending->cases[pending->case_count++] = seen;
        }
    }
}

static uint64_t append_one(struct fake_log *log, struct span entry, bool *is_duplicate)
{
    struct hash leaf = merkle_leaf_hash(entry);
    uint64_t *slot = slot_of(log, &leaf);
    *is_duplicate = *slot != 0;
    if (*slot == 0) {
        uint64_t number;
        struct case_seen *seen = case_of(log, entry, &number);
        *slot = memory_log_size(log->tree) + 1;
        memory_log_append(log->tree, entry);
        if (seen != NULL) {
            log->counts.disorders += number < seen->next;
            seen->next = number + 1 > seen->next ? number + 1 : seen->next;
        }
    }
    return *slot - 1;
}

/* ---- receipts ---- */

static void put_text(struct fake_log *log, const char *origin, struct buf *out)
{
    struct checkpoint checkpoint = { .size = memory_log_size(log->tree) };
    snprintf(checkpoint.origin, sizeof checkpoint.origin, "%s", origin);
    checkpoint.root = memory_log_root(log->tree, checkpoint.size);
    checkpoint_put(out, &checkpoint);
}

static void put_note(struct fake_log *log, struct buf *out)
{
    const struct signer *signer = &log->signer;
    struct buf text = BUF_INIT(NOTE_BYTES_MAX);
    if (log->fault == FAKE_LOG_OTHER_ORIGIN) {
        signer = &log->other;
    } else if (log->fault == FAKE_LOG_UNKNOWN_LOG) {
        signer = &log->unknown;
    }
    put_text(log, signer->vkey.name, &text);
    keys_put_signed(out, buf_span(&text), signer, 0);
    if (log->fault == FAKE_LOG_BAD_NOTE) {
        out->data[out->len - 10] = out->data[out->len - 10] == 'A' ? 'B' : 'A';
    }
    for (size_t i = 0; i < 2 && log->fault != FAKE_LOG_NO_QUORUM; i++) {
        keys_put_signature(out, buf_span(&text), &log->witnesses[i], TIME);
    }
    buf_clear(&text);
}

static void put_receipt(struct fake_log *log, uint64_t index, struct span note, struct buf *out)
{
    struct proof proof = memory_log_inclusion(log->tree, index, memory_log_size(log->tree));
    if (log->fault == FAKE_LOG_BAD_PROOF) {
        proof.hashes[0].bytes[0] ^= 1;
        proof.count = proof.count == 0 ? 1 : proof.count;
    }
    receipt_put(out, index, &proof, note);
}

/* ---- Append ---- */

static bool is_bad(ProtobufCBinaryData entry)
{
    return span_find(span_of(entry.data, entry.len), span_of_str("bad")) != SIZE_MAX;
}

/* E_OK: it is to be appended. */
static enum err_code refusal(const struct fake_log *log,
                             const Courtroll__V1__AppendRequest *request, char words[static 128])
{
    size_t bad = 0;
    while (bad < request->n_entries && !is_bad(request->entries[bad])) {
        bad++;
    }
    bool has_bad = bad < request->n_entries;
    snprintf(words, 128, "no reason");
    switch (log->fault) {
    case FAKE_LOG_UNAVAILABLE:
        return E_UNAVAILABLE;
    case FAKE_LOG_EXISTS:
        snprintf(words, 128, "entry 0: another record has its entry tag");
        return E_EXISTS;
    case FAKE_LOG_DENIED:
        snprintf(words, 128, "this channel may not append");
        return E_DENIED;
    case FAKE_LOG_REFUSES_AT:
        snprintf(words, 128, "entry %zu: kind: not for this\nrole", bad);
        return has_bad ? E_DENIED : E_OK;
    case FAKE_LOG_REFUSES:
        snprintf(words, 128, "I do not like it");
        return has_bad ? E_MALFORMED : E_OK;
    default:
        return E_OK;
    }
}

static void pack(struct buf *out, const ProtobufCMessage *message)
{
    size_t bytes = protobuf_c_message_get_packed_size(message);
    if (bytes > 0) {
        protobuf_c_message_pack(message, buf_extend(out, bytes));
    }
}

static void put_reply(struct fake_log *log, const Courtroll__V1__AppendRequest *request,
                      struct buf *out)
{
    size_t count = request->n_entries;
    Courtroll__V1__Appended *items = mem_calloc(count, sizeof *items);
    Courtroll__V1__Appended **list = mem_calloc(count, sizeof *list);
    struct hash *leaves = mem_calloc(count, sizeof *leaves);
    struct buf *receipts = mem_calloc(count, sizeof *receipts);
    struct buf note = BUF_INIT(NOTE_BYTES_MAX);
    bool is_witnessed = request->wait == COURTROLL__V1__WAIT__WITNESSED &&
                        log->fault != FAKE_LOG_NOT_WITNESSED && log->fault != FAKE_LOG_FORGETS;
    for (size_t i = 0; i < count; i++) {
        struct span entry = span_of(request->entries[i].data, request->entries[i].len);
        bool is_duplicate = false;
        courtroll__v1__appended__init(&items[i]);
        items[i].index =
            log->fault == FAKE_LOG_FORGETS ? 1000000 + i : append_one(log, entry, &is_duplicate);
        items[i].duplicate = is_duplicate;
        leaves[i] = merkle_leaf_hash(log->fault == FAKE_LOG_OTHER_LEAF ? span_of("x", 1) : entry);
        items[i].leaf_hash = (ProtobufCBinaryData){ HASH_BYTES, leaves[i].bytes };
        list[i] = &items[i];
    }
    if (is_witnessed) {
        put_note(log, &note);
    }
    for (size_t i = 0; i < count && is_witnessed; i++) {
        buf_init(&receipts[i], PROOF_FILE_BYTES_MAX);
        put_receipt(log, items[i].index, buf_span(&note), &receipts[i]);
        if (log->fault == FAKE_LOG_HUGE_PROOF) {
            memset(buf_extend(&receipts[i], HUGE_BYTES), 'x', HUGE_BYTES);
        }
        items[i].proof = (ProtobufCBinaryData){ receipts[i].len, receipts[i].data };
        items[i].index += log->fault == FAKE_LOG_OTHER_INDEX;
    }
    Courtroll__V1__AppendReply answer = COURTROLL__V1__APPEND_REPLY__INIT;
    answer.entries = list;
    answer.n_entries = log->fault == FAKE_LOG_FEWER ? count - 1 : count;
    answer.witnessed = is_witnessed;
    if (!is_witnessed) {
        answer.reason = (ProtobufCBinaryData){ 8, (uint8_t *)(uintptr_t) "too\nfew!" };
    }
    pack(out, &answer.base);
    for (size_t i = 0; i < count; i++) {
        buf_clear(&receipts[i]);
    }
    buf_clear(&note);
    mem_free(receipts);
    mem_free(items);
    mem_free(list);
    mem_free(leaves);
}

static void add_pending(struct fake_log *log, struct pending *pending)
{
    assert(log->pending_count < PENDING_MAX);
    pending->due_ms = now_ms() + log->delay_ms;
    log->pending[log->pending_count++] = pending;
}

static struct pending *pending_new(struct rpc_call *call)
{
    struct pending *pending = NEW(struct pending);
    pending->call = call;
    buf_init(&pending->reply, SIZE_MAX);
    return pending;
}

static void count_request(struct fake_log *log, const Courtroll__V1__AppendRequest *request)
{
    bool has_certificate = false;
    log->counts.calls++;
    log->counts.entries_max =
        request->n_entries > log->counts.entries_max ? request->n_entries : log->counts.entries_max;
    for (size_t i = 0; i < request->n_certificates; i++) {
        has_certificate = has_certificate || request->certificates[i].len > 0;
        log->counts.certificates += request->certificates[i].len > 0;
    }
    log->counts.mixed += has_certificate && request->n_entries > 1;
}

static void on_append(void *ctx, struct rpc_call *call, struct span message)
{
    struct fake_log *log = ctx;
    Courtroll__V1__AppendRequest *request =
        courtroll__v1__append_request__unpack(NULL, message.len, message.data);
    assert(request != NULL && request->n_entries > 0 && request->n_entries <= 1000);
    pthread_mutex_lock(&log->lock);
    struct pending *pending = pending_new(call);
    count_request(log, request);
    note_cases(log, pending, request);
    pending->code = refusal(log, request, pending->words);
    if (pending->code == E_OK && log->fault == FAKE_LOG_GARBAGE) {
        buf_put_str(&pending->reply, "\x0a\x7f");
    } else if (pending->code == E_OK) {
        put_reply(log, request, &pending->reply);
    }
    if (log->fault == FAKE_LOG_LOSES_ANSWERS) {
        buf_clear(&pending->reply);
        pending->code = E_UNAVAILABLE;
    }
    add_pending(log, pending);
    pthread_mutex_unlock(&log->lock);
    courtroll__v1__append_request__free_unpacked(request, NULL);
}

static void on_receipt(void *ctx, struct rpc_call *call, struct span message)
{
    struct fake_log *log = ctx;
    Courtroll__V1__GetReceiptRequest *request =
        courtroll__v1__get_receipt_request__unpack(NULL, message.len, message.data);
    assert(request != NULL);
    pthread_mutex_lock(&log->lock);
    struct pending *pending = pending_new(call);
    log->counts.receipts++;
    if (log->fault == FAKE_LOG_NOT_WITNESSED || log->fault == FAKE_LOG_UNAVAILABLE ||
        request->index >= memory_log_size(log->tree)) {
        pending->code = E_NOT_FOUND;
    } else {
        struct buf note = BUF_INIT(NOTE_BYTES_MAX);
        struct buf receipt = BUF_INIT(PROOF_FILE_BYTES_MAX);
        Courtroll__V1__GetReceiptReply answer = COURTROLL__V1__GET_RECEIPT_REPLY__INIT;
        put_note(log, &note);
        put_receipt(log, request->index, buf_span(&note), &receipt);
        answer.receipt = (ProtobufCBinaryData){ receipt.len, receipt.data };
        pack(&pending->reply, &answer.base);
        buf_clear(&receipt);
        buf_clear(&note);
    }
    add_pending(log, pending);
    pthread_mutex_unlock(&log->lock);
    courtroll__v1__get_receipt_request__free_unpacked(request, NULL);
}

/* ---- the thread that answers ---- */

/* With the lock held. */
static void answer(struct pending *pending)
{
    for (size_t i = 0; i < pending->case_count; i++) {
        pending->cases[i]->in_calls--;
    }
    if (pending->code != E_OK) {
        rpc_fail(pending->call, pending->code, pending->words[0] != 0 ? pending->words : NULL);
        buf_clear(&pending->reply);
    } else {
        rpc_reply_take(pending->call, &pending->reply);
        buf_clear(&pending->reply);
    }
    mem_free(pending);
}

static void *answer_run(void *ctx)
{
    struct fake_log *log = ctx;
    bool is_over = false;
    while (!is_over) {
        size_t kept = 0;
        pthread_mutex_lock(&log->lock);
        uint64_t now = now_ms();
        is_over = log->is_over;
        for (size_t i = 0; i < log->pending_count; i++) {
            if (log->pending[i]->due_ms <= now || is_over) {
                answer(log->pending[i]);
            } else {
                log->pending[kept++] = log->pending[i];
            }
        }
        log->pending_count = kept;
        pthread_mutex_unlock(&log->lock);
        usleep(500);
    }
    return NULL;
}

/* ---- start and stop ---- */

static struct policy *make_policy(const struct fake_log *log)
{
    struct buf text = BUF_INIT(POLICY_BYTES_MAX);
    const struct signer *logs[] = { &log->signer, &log->other };
    struct policy *policy = NULL;
    struct err err;
    for (size_t i = 0; i < 2; i++) {
        buf_put_str(&text, "log ");
        vkey_put(&text, &logs[i]->vkey);
        buf_put_str(&text, "\n");
    }
    for (size_t i = 0; i < 2; i++) {
        buf_putf(&text, "witness w%zu ", i);
        vkey_put(&text, &log->witnesses[i].vkey);
        buf_put_str(&text, "\n");
    }
    buf_put_str(&text, "group g all w0 w1\nquorum g\n");
    enum err_code rc = policy_parse(&policy, buf_span(&text), &err);
    assert(rc == E_OK);
    (void)rc;
    buf_clear(&text);
    return policy;
}

struct fake_log *fake_log_start(void)
{
    struct fake_log *log = NEW(struct fake_log);
    struct err err;
    log->signer = keys_signer("fake.example/log", SIGNATURE_ED25519, "fake log");
    log->other = keys_signer("fake.example/other", SIGNATURE_ED25519, "fake other");
    log->unknown = keys_signer("fake.example/unknown", SIGNATURE_ED25519, "fake unknown");
    log->witnesses[0] = keys_signer("fake.example/w0", SIGNATURE_COSIGNATURE, "fake w0");
    log->witnesses[1] = keys_signer("fake.example/w1", SIGNATURE_COSIGNATURE, "fake w1");
    log->policy = make_policy(log);
    const struct memory_log_options options = { .signer = &log->signer };
    log->tree = memory_log_new(&options);
    pthread_mutex_init(&log->lock, NULL);
    const struct rpc_method methods[] = {
        { .path = "/courtroll.v1.Log/Append", .kind = RPC_UNARY, .ctx = log, .on_call = on_append },
        { .path = "/courtroll.v1.Log/GetReceipt",
          .kind = RPC_UNARY,
          .ctx = log,
          .on_call = on_receipt },
    };
    const struct rpc_server_config config = {
        .listen = { "127.0.0.1:0" }, .listen_count = 1, .methods = methods, .method_count = 2
    };
    enum err_code rc = rpc_server_start(&log->server, &config, &err);
    assert(rc == E_OK);
    (void)rc;
    int failed = pthread_create(&log->thread, NULL, answer_run, log);
    assert(failed == 0);
    (void)failed;
    return log;
}

void fake_log_stop(struct fake_log *log)
{
    pthread_mutex_lock(&log->lock);
    log->delay_ms = 0;
    for (size_t i = 0; i < log->pending_count; i++) {
        log->pending[i]->due_ms = 0;
    }
    pthread_mutex_unlock(&log->lock);
    rpc_server_stop(log->server, 1000);
    pthread_mutex_lock(&log->lock);
    log->is_over = true;
    pthread_mutex_unlock(&log->lock);
    pthread_join(log->thread, NULL);
    memory_log_free(log->tree);
    policy_free(log->policy);
    signer_clear(&log->signer);
    signer_clear(&log->other);
    signer_clear(&log->unknown);
    signer_clear(&log->witnesses[0]);
    signer_clear(&log->witnesses[1]);
    pthread_mutex_destroy(&log->lock);
    mem_free(log);
}

const char *fake_log_address(const struct fake_log *log)
{
    return rpc_server_address(log->server, 0);
}

const char *fake_log_origin(const struct fake_log *log)
{
    return log->signer.vkey.name;
}

const struct policy *fake_log_policy(const struct fake_log *log)
{
    return log->policy;
}

void fake_log_set_fault(struct fake_log *log, enum fake_log_fault fault)
{
    pthread_mutex_lock(&log->lock);
    log->fault = fault;
    pthread_mutex_unlock(&log->lock);
}

void fake_log_set_delay(struct fake_log *log, unsigned ms)
{
    pthread_mutex_lock(&log->lock);
    log->delay_ms = ms;
    pthread_mutex_unlock(&log->lock);
}

uint64_t fake_log_size(struct fake_log *log)
{
    return memory_log_size(log->tree);
}

void fake_log_entry(struct fake_log *log, uint64_t index, struct buf *out)
{
    memory_log_put_entry(log->tree, index, out);
}

struct fake_log_counts fake_log_counts(struct fake_log *log)
{
    pthread_mutex_lock(&log->lock);
    struct fake_log_counts counts = log->counts;
    pthread_mutex_unlock(&log->lock);
    return counts;
}
