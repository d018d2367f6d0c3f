#include "client/spool.h"

#include "base/alloc.h"
#include "base/log.h"
#include "client/spool_parts.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum {
    CONNECTIONS_DEFAULT = 4,
};

static const uint64_t ITEMS_DEFAULT = 10 * 1000 * 1000;
static const uint64_t BYTES_DEFAULT = UINT64_C(16) << 30;

/* ---- time ---- */

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t spool_now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

uint64_t spool_time_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

void spool_wait(struct spool *spool, pthread_cond_t *cond, uint64_t ms)
{
    uint64_t until = spool_now_ms() + (ms > 0 ? ms : 1);
    struct timespec time = { (time_t)(until / 1000), (long)(until % 1000) * 1000000 };
    pthread_cond_timedwait(cond, &spool->lock, &time);
}

/* ---- open and close ---- */

static uint32_t sealed_delay(void *ctx)
{
    const struct spool *spool = ctx;
    uint64_t random;
    crypto_random((uint8_t *)&random, sizeof random);
    return (uint32_t)(random % ((uint64_t)spool->options.sealed_delay_max_ms + 1));
}

static void on_stored(void *ctx, uint64_t ticket, const struct spool_stored *item)
{
    struct spool *spool = ctx;
    struct spool_entry entry = { .ticket = ticket,
                                 .accepted_ms = item->accepted_ms,
                                 .bytes = (uint32_t)(item->entry.len + item->certificate.len),
                                 .is_sealed = item->is_sealed,
                                 .is_behind_sealed = item->is_behind_sealed };
    spool_queue_add(&spool->queue, &entry, &item->case_id, spool_now_ms());
}

static void init_conditions(struct spool *spool)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_t *all[] = { &spool->to_commit, &spool->to_send, &spool->to_tell,
                              &spool->changed };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        pthread_cond_init(all[i], &monotonic);
    }
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&spool->lock, NULL);
}

static struct spool *spool_new(const struct spool_options *options)
{
    struct spool *spool = NEW(struct spool);
    spool->options = *options;
    spool->dir = mem_strdup(options->dir);
    spool->origin = mem_strdup(options->origin);
    spool->options.items_max = options->items_max != 0 ? options->items_max : ITEMS_DEFAULT;
    spool->options.bytes_max = options->bytes_max != 0 ? options->bytes_max : BYTES_DEFAULT;
    spool_queue_init(&spool->queue, sealed_delay, spool);
    spool_numbers_init(&spool->numbers);
    kv_batch_init(&spool->undo);
    STAILQ_INIT(&spool->puts);
    STAILQ_INIT(&spool->outcomes);
    STAILQ_INIT(&spool->tells);
    init_conditions(spool);
    return spool;
}

static void spool_free(struct spool *spool)
{
    struct spool_outcome *outcome;
    while ((outcome = STAILQ_FIRST(&spool->outcomes)) != NULL) {
        STAILQ_REMOVE_HEAD(&spool->outcomes, next);
        spool_outcome_free(outcome);
    }
    spool_queue_clear(&spool->queue);
    spool_numbers_clear(&spool->numbers);
    kv_batch_clear(&spool->undo);
    pthread_cond_destroy(&spool->to_commit);
    pthread_cond_destroy(&spool->to_send);
    pthread_cond_destroy(&spool->to_tell);
    pthread_cond_destroy(&spool->changed);
    pthread_mutex_destroy(&spool->lock);
    mem_free(spool->dir);
    mem_free(spool->origin);
    mem_free(spool);
}

static void start_thread(pthread_t *out, void *(*run)(void *ctx), void *ctx)
{
    int rc = pthread_create(out, NULL, run, ctx);
    assert(rc == 0); /* as out of memory */
    (void)rc;
}

static void start_senders(struct spool *spool)
{
    unsigned connections =
        spool->options.connections != 0 ? spool->options.connections : CONNECTIONS_DEFAULT;
    connections =
        connections < SPOOL_CONNECTIONS_MAX ? connections : (unsigned)SPOOL_CONNECTIONS_MAX;
    spool->sender_count = connections + 1;
    for (size_t i = 0; i < spool->sender_count; i++) {
        struct spool_sender *sender = &spool->senders[i];
        sender->spool = spool;
        sender->lane = i == 0 ? SPOOL_LANE_SEALED : SPOOL_LANE_CLEAR;
        sender->is_prober = i <= 1;
        receipt_check_init(&sender->check, spool->options.policy);
        start_thread(&sender->thread, spool_send_run, sender);
    }
}

enum err_code spool_open(struct spool **out, const struct spool_options *options, struct err *err)
{
    assert(options->dir != NULL && options->origin != NULL && options->policy != NULL);
    if (options->log.kind != LOG_ADDRESS_GRPC) {
        return err_set(err, E_UNSUPPORTED, "to submit give the log's gRPC address, HOST:PORT");
    }
    if (policy_log_by_origin(options->policy, options->origin) == NULL) {
        return err_set(err, E_MALFORMED, "the policy does not list the log %s", options->origin);
    }
    struct spool *spool = spool_new(options);
    enum err_code rc =
        spool_store_open(&spool->store, &spool->state, options->dir, options->origin, err);
    if (rc != E_OK) {
        spool_free(spool);
        return err_wrap(err, "spool");
    }
    if (spool->state.is_stopped) {
        rc = err_set(err, E_CONFLICT, "the spool has stopped: %s", spool->state.reason);
    } else {
        rc = spool_store_scan(&spool->store, on_stored, spool, err);
    }
    if (rc != E_OK) {
        spool_store_close(&spool->store);
        spool_free(spool);
        return err_wrap(err, "spool");
    }
    start_thread(&spool->commit_thread, spool_commit_run, spool);
    start_thread(&spool->tell_thread, spool_tell_run, spool);
    start_senders(spool);
    *out = spool;
    return E_OK;
}

void spool_close(struct spool *spool)
{
    if (spool == NULL) {
        return;
    }
    pthread_mutex_lock(&spool->lock);
    spool->is_closing = true;
    spool_wake_senders(spool);
    pthread_mutex_unlock(&spool->lock);
    for (size_t i = 0; i < spool->sender_count; i++) {
        pthread_join(spool->senders[i].thread, NULL);
        receipt_check_clear(&spool->senders[i].check);
    }
    pthread_mutex_lock(&spool->lock);
    spool->is_ending = true;
    pthread_cond_signal(&spool->to_commit);
    pthread_mutex_unlock(&spool->lock);
    pthread_join(spool->commit_thread, NULL);
    pthread_join(spool->tell_thread, NULL);
    spool_status_write(spool);
    spool_store_close(&spool->store);
    spool_free(spool);
}

/* ---- put ---- */

static enum err_code check_item(const struct spool_item *item, struct err *err)
{
    if (item->entry.len < 1 || item->entry.len > ENTRY_BYTES_MAX) {
        return err_set(err, E_TOO_LARGE, "an entry of %zu bytes: it has 1 to %d", item->entry.len,
                       ENTRY_BYTES_MAX);
    }
    if (item->certificate.len > SPOOL_CERTIFICATE_MAX) {
        return err_set(err, E_TOO_LARGE, "a certificate has at most %d bytes",
                       SPOOL_CERTIFICATE_MAX);
    }
    if (item->id.len > SPOOL_ID_MAX) {
        return err_set(err, E_TOO_LARGE, "an item's id has at most %d bytes", SPOOL_ID_MAX);
    }
    return E_OK;
}

static enum err_code check_items(struct spool_put *put, struct err *err)
{
    put->bytes = 0;
    for (size_t i = 0; i < put->count; i++) {
        if (check_item(&put->items[i], err) != E_OK) {
            return err_wrap(err, "item %zu", i);
        }
        put->bytes += put->items[i].entry.len + SPOOL_ITEM_EXTRA;
        if (put->bytes > SPOOL_PUT_BYTES_MAX) {
            return err_set(err, E_TOO_LARGE, "more than %d bytes in one put", SPOOL_PUT_BYTES_MAX);
        }
    }
    return put->count > 0 ? E_OK : err_set(err, E_MALFORMED, "nothing to put");
}

/* With the lock held. */
static enum err_code check_room(const struct spool *spool, const struct spool_put *put,
                                struct err *err)
{
    if (spool->state.is_stopped) {
        return err_set(err, E_CONFLICT, "the spool has stopped: %.400s", spool->state.reason);
    }
    if (spool->is_broken) {
        return err_set(err, E_UNAVAILABLE, "the spool cannot write: %.450s", spool->failure);
    }
    if (spool->queue.count + spool->put_items + put->count > spool->options.items_max ||
        spool->queue.bytes + spool->put_bytes + put->bytes > spool->options.bytes_max) {
        return err_set(err, E_BUSY, "the spool is full: %zu items wait for the log",
                       spool->queue.count);
    }
    return E_OK;
}

static enum err_code next_number(struct spool *spool, const struct hash *case_id, uint64_t *out,
                                 bool *is_behind_sealed, struct err *err)
{
    const struct spool_number *known = spool_numbers_find(&spool->numbers, case_id);
    if (known != NULL) {
        *out = known->next;
        *is_behind_sealed = known->is_behind_sealed;
        return E_OK;
    }
    return spool_store_number(&spool->store, case_id, out, is_behind_sealed, err);
}

/* All or none: what was counted up is counted down again. */
static enum err_code take_numbers(struct spool *spool, struct spool_put *put, struct err *err)
{
    size_t taken = 0;
    enum err_code rc = E_OK;
    for (; taken < put->count; taken++) {
        const struct spool_item *item = &put->items[taken];
        uint64_t next = 0;
        if (!item->has_number) {
            continue;
        }
        rc = next_number(spool, &item->case_id, &next, &put->are_behind_sealed[taken], err);
        if (rc == E_OK && (item->number != next || next == UINT64_MAX)) {
            rc = err_set(err, E_CONFLICT,
                         "item %zu has the number %" PRIu64 ", the next one of its "
                         "case is %" PRIu64,
                         taken, item->number, next);
        }
        if (rc != E_OK) {
            break;
        }
        spool_numbers_set(&spool->numbers, &item->case_id, next + 1, item->is_sealed);
    }
    for (; rc != E_OK && taken > 0; taken--) {
        const struct spool_item *item = &put->items[taken - 1];
        if (item->has_number) {
            spool_numbers_set(&spool->numbers, &item->case_id, item->number,
                              put->are_behind_sealed[taken - 1]);
        }
    }
    return rc;
}

/* Takes its place in the line, and waits until it is written. */
static enum err_code put_and_wait(struct spool *spool, struct spool_put *put, struct err *err)
{
    pthread_mutex_lock(&spool->lock);
    if (check_room(spool, put, err) != E_OK || take_numbers(spool, put, err) != E_OK) {
        pthread_mutex_unlock(&spool->lock);
        return err->code;
    }
    STAILQ_INSERT_TAIL(&spool->puts, put, next);
    spool->put_items += put->count;
    spool->put_bytes += put->bytes;
    pthread_cond_signal(&spool->to_commit);
    pthread_mutex_unlock(&spool->lock);
    while (sem_wait(&put->done) != 0) {
        assert(errno == EINTR);
    }
    if (put->err.code != E_OK) {
        *err = put->err;
    }
    return put->err.code;
}

enum err_code spool_put(struct spool *spool, const struct spool_item *items, size_t count,
                        uint64_t *first_ticket, struct err *err)
{
    struct spool_put put = { .items = items, .count = count };
    if (check_items(&put, err) != E_OK) {
        return err->code;
    }
    put.are_behind_sealed = mem_calloc(count, sizeof put.are_behind_sealed[0]);
    sem_init(&put.done, 0, 0);
    enum err_code rc = put_and_wait(spool, &put, err);
    sem_destroy(&put.done);
    mem_free(put.are_behind_sealed);
    if (rc == E_OK && first_ticket != NULL) {
        *first_ticket = put.first_ticket;
    }
    return rc;
}

enum err_code spool_next_number(struct spool *spool, const struct hash *case_id, uint64_t *out,
                                struct err *err)
{
    bool ignored;
    pthread_mutex_lock(&spool->lock);
    enum err_code rc = next_number(spool, case_id, out, &ignored, err);
    pthread_mutex_unlock(&spool->lock);
    return rc;
}

/* ---- what came of it ---- */

void spool_record(struct spool *spool, struct spool_outcome *outcome)
{
    STAILQ_INSERT_TAIL(&spool->outcomes, outcome, next);
    spool->outcome_count++;
    pthread_cond_signal(&spool->to_commit);
}

void spool_stop(struct spool *spool, const char *reason)
{
    if (spool->state.is_stopped) {
        return;
    }
    spool->state.is_stopped = true;
    snprintf(spool->state.reason, sizeof spool->state.reason, "%s", reason);
    spool->is_stop_unwritten = true;
    log_event(LOG_LEVEL_ERROR, "spool_stopped", "reason=%s", log_quoted_str(reason).text);
    pthread_cond_signal(&spool->to_commit);
    pthread_cond_broadcast(&spool->changed);
}

enum err_code spool_flush(struct spool *spool, uint32_t timeout_ms, struct err *err)
{
    enum err_code rc = E_OK;
    uint64_t until = spool_now_ms() + timeout_ms;
    pthread_mutex_lock(&spool->lock);
    uint64_t ticket = spool->state.next_ticket;
    while (!spool_queue_is_done_below(&spool->queue, ticket)) {
        uint64_t now = spool_now_ms();
        if (spool->state.is_stopped) {
            rc = err_set(err, E_CONFLICT, "the spool has stopped: %.400s", spool->state.reason);
            break;
        }
        if (now >= until) {
            rc = err_set(err, E_TIMEOUT, "%zu items wait still%s%.400s", spool->queue.count,
                         spool->failure[0] != 0 ? ": " : "", spool->failure);
            break;
        }
        spool_wait(spool, &spool->changed, until - now);
    }
    pthread_mutex_unlock(&spool->lock);
    return rc;
}

/* What one item waits for; E_OK: it is gone. With the lock held. */
static enum err_code await_state(struct spool *spool, uint64_t ticket, struct err *err)
{
    const struct spool_entry *entry = spool_queue_find(&spool->queue, ticket);
    if (ticket == 0 || ticket >= spool->state.next_ticket) {
        return err_set(err, E_NOT_FOUND, "there is no ticket %" PRIu64, ticket);
    }
    if (entry == NULL) {
        return E_OK;
    }
    if (entry->state == SPOOL_ENTRY_REFUSED) {
        return err_set(err, E_DENIED, "refused by the log");
    }
    if (spool->state.is_stopped) {
        return err_set(err, E_CONFLICT, "the spool has stopped: %.400s", spool->state.reason);
    }
    return err_set(err, E_TIMEOUT, "it waits still%s%.400s", spool->failure[0] != 0 ? ": " : "",
                   spool->failure);
}

/* Appends the log's words, once they are written. */
static void add_refusal(struct spool *spool, uint64_t ticket, struct err *err)
{
    struct buf words = BUF_INIT(SPOOL_REASON_MAX);
    struct err ignored;
    if (spool_store_refusal(&spool->store, ticket, &words, &ignored) == E_OK) {
        err_set(err, E_DENIED, "refused by the log: %.450s", buf_c_str(&words));
    }
    buf_clear(&words);
}

enum err_code spool_await(struct spool *spool, uint64_t ticket, uint32_t timeout_ms,
                          struct err *err)
{
    uint64_t until = spool_now_ms() + timeout_ms;
    pthread_mutex_lock(&spool->lock);
    enum err_code rc = await_state(spool, ticket, err);
    for (uint64_t now; rc == E_TIMEOUT && (now = spool_now_ms()) < until;) {
        spool_wait(spool, &spool->changed, until - now);
        rc = await_state(spool, ticket, err);
    }
    pthread_mutex_unlock(&spool->lock);
    if (rc == E_DENIED) {
        add_refusal(spool, ticket, err);
    }
    return rc;
}

enum err_code spool_receipt(struct spool *spool, uint64_t ticket, struct buf *proof,
                            struct err *err)
{
    struct buf bytes = BUF_INIT(KV_VALUE_BYTES_MAX);
    struct spool_stored_receipt receipt;
    enum err_code rc = spool_store_receipt(&spool->store, ticket, &bytes, &receipt, err);
    if (rc == E_OK) {
        rc = buf_append(proof, receipt.proof, err);
    } else if (rc == E_NOT_FOUND) {
        err_set(err, E_NOT_FOUND, "no receipt is kept for ticket %" PRIu64, ticket);
    }
    buf_clear(&bytes);
    return rc;
}

static struct spool_outcome *forgetting(uint64_t ticket, enum spool_change change,
                                        struct spool_entry *entry)
{
    struct spool_outcome *outcome = NEW(struct spool_outcome);
    outcome->change = change;
    outcome->ticket = ticket;
    outcome->entry = entry;
    return outcome;
}

enum err_code spool_forget(struct spool *spool, uint64_t ticket, struct err *err)
{
    struct buf bytes = BUF_INIT(KV_VALUE_BYTES_MAX);
    struct spool_stored_receipt receipt;
    enum err_code rc = spool_store_receipt(&spool->store, ticket, &bytes, &receipt, err);
    buf_clear(&bytes);
    pthread_mutex_lock(&spool->lock);
    struct spool_entry *entry = rc == E_NOT_FOUND ? spool_queue_find(&spool->queue, ticket) : NULL;
    if (rc == E_OK) {
        spool_record(spool, forgetting(ticket, SPOOL_FORGOTTEN, NULL));
    } else if (entry != NULL && entry->state == SPOOL_ENTRY_REFUSED && !entry->is_given_up) {
        entry->is_given_up = true;
        spool_record(spool, forgetting(ticket, SPOOL_GIVEN_UP, entry));
        rc = E_OK;
    } else if (rc == E_NOT_FOUND) {
        rc = err_set(err, E_NOT_FOUND, "ticket %" PRIu64 " is neither proved nor refused", ticket);
    }
    pthread_mutex_unlock(&spool->lock);
    return rc;
}

struct each {
    void *ctx;
    enum err_code (*on_receipt)(void *ctx, const struct spool_receipt *receipt, struct err *err);
};

static enum err_code on_kept(void *ctx, uint64_t ticket, const struct spool_stored_receipt *kept,
                             struct err *err)
{
    const struct each *each = ctx;
    struct spool_receipt receipt = { .ticket = ticket,
                                     .id = kept->id,
                                     .leaf = kept->leaf,
                                     .index = kept->index,
                                     .proof = kept->proof };
    return each->on_receipt(each->ctx, &receipt, err);
}

enum err_code spool_each_receipt(struct spool *spool,
                                 enum err_code (*on_receipt)(void *ctx,
                                                             const struct spool_receipt *receipt,
                                                             struct err *err),
                                 void *ctx, struct err *err)
{
    struct each each = { ctx, on_receipt };
    return spool_store_scan_receipts(&spool->store, on_kept, &each, err);
}
