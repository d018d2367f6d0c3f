/* A thread for each connection, with several calls in flight. The normal path is: pick what may go, read its bytes,
 * start a call, poll; spool_answer ends it. While the log cannot witness, items are made durable only, and one thread
 * a lane asks for the proof of one of them now and then; when that is there, the others are asked for by sending them
 * again, a thousand a call: the log has them, and answers with their first index and a receipt. */
#include "base/alloc.h"
#include "client/spool_parts.h"

#include <stdio.h>

enum {
    CALLS_MAX = 8,           /* in flight, a connection */
    CALL_TIMEOUT_MS = 10000, /* a log that cannot witness says so just before */
    CONNECT_TIMEOUT_MS = 5000,
    RECEIPT_TIMEOUT_MS = 10000,
    POLL_MS = 10, /* while there may be more to send */
    IDLE_MS = 1000,
    CLOSE_MS = 500,       /* for the answers of what is under way, once the spool is closed */
    LINGER_MS = 5,        /* between calls that are not full */
    FIRST_PAUSE_MS = 100, /* doubled with each failure, up to */
    PAUSE_MS_MAX = 30000,
    FIRST_PROBE_MS = 250,
    PROBE_MS_MAX = 5000,
    PROBES_BEFORE_RESEND =
        4, /* that find nothing at all: the log may have lost what it called durable */
};

/* 50 to 100 % of what is doubled so many times. */
static uint64_t pause_ms(unsigned doublings, uint64_t first_ms, uint64_t max_ms)
{
    uint64_t ms = first_ms;
    for (unsigned i = 1; i < doublings && ms < max_ms; i++) {
        ms *= 2;
    }
    ms = ms < max_ms ? ms : max_ms;
    uint32_t random;
    crypto_random((uint8_t *)&random, sizeof random);
    return ms / 2 + random % (ms / 2 + 1);
}

void spool_fail_lane(struct spool *spool, enum spool_lane lane, const char *words)
{
    struct spool_pace *pace = &spool->paces[lane];
    uint64_t now_ms = spool_now_ms();
    /* Calls of one moment fail together, and count once. */
    if (now_ms >= pace->not_before_ms) {
        pace->failures++;
        pace->not_before_ms = now_ms + pause_ms(pace->failures, FIRST_PAUSE_MS, PAUSE_MS_MAX);
    }
    snprintf(spool->failure, sizeof spool->failure, "%s", words);
}

static void fail_lane(struct spool_sender *sender, const struct err *err)
{
    struct spool *spool = sender->spool;
    char words[SPOOL_REASON_MAX];
    bool is_sealed = sender->lane == SPOOL_LANE_SEALED;
    snprintf(words, sizeof words, "%s%.450s", is_sealed ? "a sealed record: " : "",
             is_sealed ? err_text(err->code) : err->msg);
    pthread_mutex_lock(&spool->lock);
    spool_fail_lane(spool, sender->lane, words);
    pthread_mutex_unlock(&spool->lock);
}

/* ---- a call ---- */

static struct spool_call *call_new(struct spool_sender *sender)
{
    struct spool_call *call = NEW(struct spool_call);
    call->sender = sender;
    buf_init(&call->bytes, 2 * CALL_BYTES_MAX);
    return call;
}

/* Where an item lies in the call's bytes, which move while they grow. */
struct place {
    size_t entry, entry_len, certificate, certificate_len, id, id_len;
};

static struct place place_of(const struct spool_call *call, const struct spool_stored *item)
{
    const uint8_t *start = call->bytes.data;
    return (struct place){
        .entry = (size_t)(item->entry.data - start),
        .entry_len = item->entry.len,
        .certificate = (size_t)(item->certificate.data - start),
        .certificate_len = item->certificate.len,
        .id = (size_t)(item->id.data - start),
        .id_len = item->id.len,
    };
}

/* Reads the bytes of all its items: those that were accepted, never others. */
static enum err_code call_load(struct spool_call *call, struct err *err)
{
    struct spool *spool = call->sender->spool;
    struct place *places = mem_calloc(call->count, sizeof *places);
    enum err_code rc = E_OK;
    for (size_t i = 0; i < call->count && rc == E_OK; i++) {
        struct spool_stored item;
        rc = spool_store_item(&spool->store, call->entries[i]->ticket, &call->bytes, &item, err);
        if (rc == E_OK) {
            places[i] = place_of(call, &item);
        }
    }
    for (size_t i = 0; i < call->count && rc == E_OK; i++) {
        const uint8_t *start = call->bytes.data;
        call->spans[i] = span_of(start + places[i].entry, places[i].entry_len);
        call->certificates[i] = span_of(start + places[i].certificate, places[i].certificate_len);
        call->ids[i] = span_of(start + places[i].id, places[i].id_len);
        call->leaves[i] = merkle_leaf_hash(call->spans[i]);
        call->has_certificates = call->has_certificates || places[i].certificate_len > 0;
    }
    mem_free(places);
    return rc;
}

static void give_back(struct spool_call *call)
{
    struct spool *spool = call->sender->spool;
    pthread_mutex_lock(&spool->lock);
    spool_call_retry(call, spool_now_ms());
    pthread_mutex_unlock(&spool->lock);
    spool_call_free(call);
}

static enum err_code connect_log(struct spool_sender *sender, struct err *err)
{
    const struct log_address *address = &sender->spool->options.log;
    struct rpc_client_config config = { .target = address->target,
                                        .tls_ca_path = address->tls_ca_path,
                                        .tls_cert_path = address->tls_cert_path,
                                        .tls_key_path = address->tls_key_path };
    return sender->log != NULL ? E_OK
                               : rpc_log_open(&sender->log, &config, CONNECT_TIMEOUT_MS, err);
}

static void start_call(struct spool_call *call, bool wants_witnessed)
{
    const struct rpc_log_append request = {
        .entries = call->spans,
        .entry_count = call->count,
        .certificates = call->has_certificates ? call->certificates : NULL,
        .wants_witnessed = wants_witnessed,
    };
    rpc_log_append_start(call->sender->log, &request, CALL_TIMEOUT_MS, call);
}

/* ---- picking ---- */

/* NULL: nothing now; then *wait_ms says how long until something may be. */
static struct spool_call *pick(struct spool_sender *sender, bool *wants_witnessed,
                               uint64_t *wait_ms)
{
    struct spool *spool = sender->spool;
    struct spool_pace *pace = &spool->paces[sender->lane];
    struct spool_queue *queue = &spool->queue;
    bool is_sealed = sender->lane == SPOOL_LANE_SEALED;
    size_t count_max = is_sealed ? 1 : ENTRIES_PER_CALL_MAX;
    uint64_t now_ms = spool_now_ms();
    *wait_ms = IDLE_MS;
    sender->wakes = spool->wakes;
    if (spool->is_closing || spool->state.is_stopped || spool->is_broken ||
        spool->outcome_count + spool->tell_count > SPOOL_OUTCOMES_MAX) {
        return NULL;
    }
    if (now_ms < pace->not_before_ms) {
        *wait_ms = pace->not_before_ms - now_ms;
        return NULL;
    }
    uint64_t next_ms = spool_queue_next_ms(queue, now_ms);
    if (queue->ready_count[sender->lane] == 0 && next_ms > 0) {
        *wait_ms = next_ms < IDLE_MS ? next_ms : IDLE_MS;
        return NULL;
    }
    if (!is_sealed && now_ms < pace->started_ms + LINGER_MS) {
        *wait_ms = LINGER_MS;
        return NULL;
    }
    struct spool_call *call = call_new(sender);
    call->count = spool_queue_pick(queue, sender->lane, now_ms, count_max, SPOOL_CALL_BYTES_MAX,
                                   call->entries);
    if (call->count == 0) {
        spool_call_free(call);
        return NULL;
    }
    pace->started_ms = now_ms;
    *wants_witnessed = !spool->is_degraded;
    return call;
}

/* Whether a call was started. */
static bool send_some(struct spool_sender *sender, uint64_t *wait_ms)
{
    struct spool *spool = sender->spool;
    struct err err;
    bool wants_witnessed = false;
    pthread_mutex_lock(&spool->lock);
    struct spool_call *call = pick(sender, &wants_witnessed, wait_ms);
    pthread_mutex_unlock(&spool->lock);
    if (call == NULL) {
        return false;
    }
    if (call_load(call, &err) != E_OK || connect_log(sender, &err) != E_OK) {
        fail_lane(sender, &err);
        give_back(call);
        return false;
    }
    start_call(call, wants_witnessed);
    return true;
}

/* ---- proofs of what is durable ---- */

static struct spool_call *pick_durable(struct spool_sender *sender)
{
    struct spool *spool = sender->spool;
    struct spool_pace *pace = &spool->paces[sender->lane];
    struct spool_call *call = NULL;
    pthread_mutex_lock(&spool->lock);
    bool is_due = !spool->is_closing && !spool->state.is_stopped && !spool->is_broken &&
                  spool->outcome_count + spool->tell_count <= SPOOL_OUTCOMES_MAX &&
                  !TAILQ_EMPTY(&spool->queue.durables[sender->lane]) &&
                  spool_now_ms() >= pace->probe_ms;
    if (is_due) {
        call = call_new(sender);
        call->count =
            spool_queue_pick_durable(&spool->queue, sender->lane,
                                     sender->lane == SPOOL_LANE_SEALED ? 1 : ENTRIES_PER_CALL_MAX,
                                     SPOOL_CALL_BYTES_MAX, call->entries);
    }
    pthread_mutex_unlock(&spool->lock);
    return call;
}

/* Asks for the receipt of the last of them, which stands for all. */
static enum err_code ask_receipt(const struct spool_call *call, struct buf *receipt, size_t *which,
                                 struct err *err)
{
    struct spool_sender *sender = call->sender;
    size_t last = 0;
    for (size_t i = 1; i < call->count; i++) {
        last = call->entries[i]->index > call->entries[last]->index ? i : last;
    }
    struct rpc_log_entry entry = { .index = call->entries[last]->index };
    *which = last;
    enum err_code rc = rpc_log_get_receipt(sender->log, entry, RECEIPT_TIMEOUT_MS, receipt, err);
    return rc == E_OK
               ? spool_judge(sender, buf_span(receipt), entry.index, &call->leaves[last], err)
               : rc;
}

/* The log can witness again. */
static void probe_succeeded(struct spool_call *call, size_t which, struct span receipt)
{
    struct spool *spool = call->sender->spool;
    struct spool_pace *pace = &spool->paces[call->sender->lane];
    bool is_all = call->count == 1;
    pthread_mutex_lock(&spool->lock);
    spool->is_degraded = false;
    pace->probe_failures = 0;
    pace->probe_ms = 0;
    if (is_all) {
        spool_queue_set_proved(&spool->queue, call->entries[0], spool_now_ms());
        spool_record(spool, spool_outcome_proved(call, 0, call->entries[which]->index, receipt));
    }
    spool_wake_senders(spool);
    pthread_mutex_unlock(&spool->lock);
    if (is_all) {
        spool_call_free(call);
    } else {
        start_call(call, true);
    }
}

/* A receipt that is wrong, or that the log never has: the items go again, as if it had not said a word. */
static void probe_failed(struct spool_call *call, const struct err *err)
{
    struct spool_sender *sender = call->sender;
    struct spool *spool = sender->spool;
    struct spool_pace *pace = &spool->paces[sender->lane];
    bool is_wrong = err->code == E_BAD_PROOF || err->code == E_BAD_SIGNATURE ||
                    err->code == E_MALFORMED || err->code == E_TOO_LARGE;
    uint64_t now_ms = spool_now_ms();
    pthread_mutex_lock(&spool->lock);
    pace->probe_failures++;
    pace->probe_ms = now_ms + pause_ms(pace->probe_failures, FIRST_PROBE_MS, PROBE_MS_MAX);
    spool->state.wrong += is_wrong;
    bool is_lost =
        is_wrong || (err->code == E_NOT_FOUND && pace->probe_failures % PROBES_BEFORE_RESEND == 0);
    for (size_t i = call->count; i > 0 && is_lost; i--) {
        spool_queue_retry(&spool->queue, call->entries[i - 1], now_ms);
    }
    if (!is_lost) {
        spool_call_retry(call, now_ms);
    }
    snprintf(spool->failure, sizeof spool->failure, "%s%.480s",
             is_wrong ? "the log's receipt is wrong: " : "",
             sender->lane == SPOOL_LANE_SEALED ? err_text(err->code) : err->msg);
    pthread_mutex_unlock(&spool->lock);
    spool_call_free(call);
}

static void prove_some(struct spool_sender *sender)
{
    struct err err;
    size_t which = 0;
    struct buf receipt = BUF_INIT(PROOF_FILE_BYTES_MAX);
    struct spool_call *call = pick_durable(sender);
    if (call == NULL) {
        return;
    }
    if (call_load(call, &err) == E_OK && connect_log(sender, &err) == E_OK &&
        ask_receipt(call, &receipt, &which, &err) == E_OK) {
        probe_succeeded(call, which, buf_span(&receipt));
    } else {
        probe_failed(call, &err);
    }
    buf_clear(&receipt);
}

/* ---- the thread ---- */

void spool_wake_senders(struct spool *spool)
{
    spool->wakes++;
    pthread_cond_broadcast(&spool->to_send);
}

static size_t in_flight(const struct spool_sender *sender)
{
    return sender->log != NULL ? rpc_log_in_flight(sender->log) : 0;
}

/* A connection that fails is made anew: the certificates may be others now. */
static void drop_connection(struct spool_sender *sender)
{
    struct spool *spool = sender->spool;
    pthread_mutex_lock(&spool->lock);
    bool is_failing = spool->paces[sender->lane].failures > 1;
    pthread_mutex_unlock(&spool->lock);
    if (is_failing && sender->log != NULL && in_flight(sender) == 0) {
        rpc_log_close(sender->log);
        sender->log = NULL;
    }
}

/* Unless there was news since it looked. */
static void wait_for_work(struct spool_sender *sender, uint64_t wait_ms)
{
    struct spool *spool = sender->spool;
    pthread_mutex_lock(&spool->lock);
    if (!spool->is_closing && spool->wakes == sender->wakes) {
        spool_wait(spool, &spool->to_send, wait_ms);
    }
    pthread_mutex_unlock(&spool->lock);
}

static bool is_closing(struct spool_sender *sender)
{
    pthread_mutex_lock(&sender->spool->lock);
    bool is = sender->spool->is_closing;
    pthread_mutex_unlock(&sender->spool->lock);
    return is;
}

/* The spool is closed: answers that come soon are welcome; the log may have what others were about. */
static void finish_calls(struct spool_sender *sender)
{
    uint64_t until_ms = spool_now_ms() + CLOSE_MS;
    while (in_flight(sender) > 0 && spool_now_ms() < until_ms) {
        rpc_log_append_poll(sender->log, POLL_MS, sender, spool_answer);
    }
    if (in_flight(sender) > 0) {
        rpc_log_append_cancel(sender->log);
    }
    while (in_flight(sender) > 0) {
        rpc_log_append_poll(sender->log, CALL_TIMEOUT_MS, sender, spool_answer);
    }
    rpc_log_close(sender->log);
    sender->log = NULL;
}

void *spool_send_run(void *ctx)
{
    struct spool_sender *sender = ctx;
    while (!is_closing(sender)) {
        uint64_t wait_ms = IDLE_MS;
        bool has_sent = false;
        if (in_flight(sender) < CALLS_MAX) {
            if (sender->is_prober) {
                prove_some(sender);
            }
            has_sent = send_some(sender, &wait_ms);
        }
        if (in_flight(sender) > 0) {
            uint32_t poll_ms = wait_ms < POLL_MS ? (uint32_t)wait_ms : POLL_MS;
            rpc_log_append_poll(sender->log, has_sent ? 0 : poll_ms, sender, spool_answer);
        } else if (!has_sent) {
            drop_connection(sender);
            wait_for_work(sender, wait_ms);
        }
    }
    finish_calls(sender);
    return NULL;
}
