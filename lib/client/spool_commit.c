/* The thread that writes: all puts and outcomes that wait are one batch, synced when there is a put in it. What came
 * of an item need not be synced: if it is lost in a power failure the item goes again, and the log answers the same.
 *
 * When a write fails nobody knows what is in the store. The puts of the batch, and those behind it, whose numbers
 * count on it, fail; the store is opened again as soon as that works, and the batch is taken back, whether it is
 * there or not; outcomes are written again. */
#include "base/alloc.h"
#include "base/log.h"
#include "client/spool_parts.h"

#include <assert.h>
#include <stdio.h>

enum {
    GROUP_BYTES_MAX =
        12 * 1024 * 1024, /* below KV_BATCH_BYTES_MAX, with a put on top of the last */
    OUTCOME_BYTES_MAX = 3 * 1024 * 1024,
    REOPEN_MS = 500,
    STATUS_MS = 2000,
    NUMBERS_MAX = 64 * 1024, /* kept in memory */
};
static_assert((int)SPOOL_PUT_BYTES_MAX + 2 * OUTCOME_BYTES_MAX < (int)KV_BATCH_BYTES_MAX,
              "one put fits");

struct group {
    struct spool_put_list puts;
    struct spool_outcome_list outcomes;
    size_t put_count;
    struct spool_state state; /* when it is written */
    uint64_t accepted_ms;
    struct kv_batch batch;
};

/* ---- what goes into a batch ---- */

/* With the lock held. */
static void take_group(struct spool *spool, struct group *group)
{
    size_t bytes = 0;
    struct spool_put *put;
    struct spool_outcome *outcome;
    STAILQ_INIT(&group->puts);
    STAILQ_INIT(&group->outcomes);
    group->put_count = 0;
    while ((outcome = STAILQ_FIRST(&spool->outcomes)) != NULL && bytes < OUTCOME_BYTES_MAX) {
        STAILQ_REMOVE_HEAD(&spool->outcomes, next);
        STAILQ_INSERT_TAIL(&group->outcomes, outcome, next);
        bytes += outcome->proof.len + SPOOL_ITEM_EXTRA;
    }
    while ((put = STAILQ_FIRST(&spool->puts)) != NULL &&
           (group->put_count == 0 || put->bytes < GROUP_BYTES_MAX - bytes)) {
        STAILQ_REMOVE_HEAD(&spool->puts, next);
        STAILQ_INSERT_TAIL(&group->puts, put, next);
        bytes += put->bytes;
        group->put_count++;
        if (bytes >= GROUP_BYTES_MAX) {
            break;
        }
    }
    group->state = spool->state;
    spool->is_committing = true;
}

static void build_puts(struct group *group)
{
    struct spool_put *put;
    group->accepted_ms = spool_time_ms();
    STAILQ_FOREACH(put, &group->puts, next)
    {
        put->first_ticket = group->state.next_ticket;
        for (size_t i = 0; i < put->count; i++) {
            const struct spool_item *item = &put->items[i];
            spool_store_put_item(&group->batch, group->state.next_ticket++, group->accepted_ms,
                                 item, put->are_behind_sealed[i]);
            if (item->has_number) {
                spool_store_put_number(&group->batch, &item->case_id, item->number + 1,
                                       item->is_sealed);
            }
        }
    }
}

static void build_outcomes(struct spool *spool, struct group *group)
{
    struct spool_outcome *outcome;
    STAILQ_FOREACH(outcome, &group->outcomes, next)
    {
        uint64_t ticket = outcome->ticket;
        struct spool_receipt receipt = { .ticket = ticket,
                                         .id = buf_span(&outcome->id),
                                         .leaf = outcome->leaf,
                                         .index = outcome->index,
                                         .proof = buf_span(&outcome->proof) };
        switch (outcome->change) {
        case SPOOL_PROVED:
            spool_store_delete_item(&group->batch, ticket);
            spool_store_delete_refusal(&group->batch, ticket);
            spool_store_put_receipt(&group->batch, ticket, &receipt);
            group->state.proved++;
            break;
        case SPOOL_REFUSED:
            group->state.refused += !spool_store_has_refusal(&spool->store, ticket);
            spool_store_put_refusal(&group->batch, ticket, outcome->refusal);
            break;
        case SPOOL_FORGOTTEN:
            spool_store_delete_receipt(&group->batch, ticket);
            break;
        case SPOOL_GIVEN_UP:
            spool_store_delete_item(&group->batch, ticket);
            spool_store_delete_refusal(&group->batch, ticket);
            break;
        }
    }
}

/* The other way: from behind, so that the first number of a case is what stays. */
static void build_undo(struct spool *spool, const struct group *group,
                       const struct spool_state *before)
{
    struct spool_put *put;
    size_t put_count = 0;
    struct spool_put **puts = mem_calloc(group->put_count + 1, sizeof(struct spool_put *));
    kv_batch_reset(&spool->undo);
    STAILQ_FOREACH(put, &group->puts, next)
    {
        puts[put_count++] = put;
    }
    for (; put_count > 0; put_count--) {
        put = puts[put_count - 1];
        for (size_t i = put->count; i > 0; i--) {
            const struct spool_item *item = &put->items[i - 1];
            spool_store_delete_item(&spool->undo, put->first_ticket + i - 1);
            if (item->has_number) {
                spool_store_put_number(&spool->undo, &item->case_id, item->number,
                                       put->are_behind_sealed[i - 1]);
            }
        }
    }
    spool_store_put_state(&spool->undo, before, spool->origin);
    mem_free(puts);
}

/* ---- when it is written ---- */

/* With the lock held. */
static void enter(struct spool *spool, const struct spool_put *put, uint64_t accepted_ms)
{
    uint64_t now_ms = spool_now_ms();
    for (size_t i = 0; i < put->count; i++) {
        const struct spool_item *item = &put->items[i];
        struct spool_entry entry = { .ticket = put->first_ticket + i,
                                     .accepted_ms = accepted_ms,
                                     .bytes = (uint32_t)(item->entry.len + item->certificate.len),
                                     .is_sealed = item->is_sealed,
                                     .is_behind_sealed = put->are_behind_sealed[i] };
        spool_queue_add(&spool->queue, &entry, &item->case_id, now_ms);
    }
    spool->put_items -= put->count;
    spool->put_bytes -= put->bytes;
}

/* With the lock held. A proved or given up item goes once it has been told. */
static void settle_outcomes(struct spool *spool, struct group *group)
{
    struct spool_outcome *outcome;
    while ((outcome = STAILQ_FIRST(&group->outcomes)) != NULL) {
        STAILQ_REMOVE_HEAD(&group->outcomes, next);
        STAILQ_INSERT_TAIL(&spool->tells, outcome, next);
        spool->outcome_count--;
        spool->tell_count++;
    }
}

/* With the lock held. Senders that have work already, or wait for the network, are left alone: a wake-up costs as much
 * as an item. */
static void enter_puts(struct spool *spool, struct group *group)
{
    const struct spool_queue *queue = &spool->queue;
    size_t clear = queue->ready_count[SPOOL_LANE_CLEAR];
    size_t sealed = queue->ready_count[SPOOL_LANE_SEALED] + queue->parked_count;
    struct spool_put *put;
    STAILQ_FOREACH(put, &group->puts, next)
    {
        enter(spool, put, group->accepted_ms);
        put->err.code = E_OK;
    }
    if ((clear == 0 && queue->ready_count[SPOOL_LANE_CLEAR] > 0) ||
        sealed != queue->ready_count[SPOOL_LANE_SEALED] + queue->parked_count) {
        spool_wake_senders(spool);
    }
}

/* With the lock held. */
static void succeed(struct spool *spool, struct group *group)
{
    enter_puts(spool, group);
    if (!STAILQ_EMPTY(&group->outcomes)) {
        spool_wake_senders(spool); /* there is room for more */
    }
    settle_outcomes(spool, group);
    spool->state.next_ticket = group->state.next_ticket;
    spool->state.proved = group->state.proved;
    spool->state.refused = group->state.refused;
    if (spool->state.is_stopped == group->state.is_stopped) {
        spool->is_stop_unwritten = false;
    }
    if (STAILQ_EMPTY(&spool->puts) && spool->numbers.count > NUMBERS_MAX) {
        spool_numbers_reset(&spool->numbers);
    }
}

/* With the lock held. */
static void fail_puts(struct spool *spool, const struct spool_put_list *puts, const struct err *err)
{
    struct spool_put *put;
    STAILQ_FOREACH(put, puts, next)
    {
        spool->put_items -= put->count;
        spool->put_bytes -= put->bytes;
        put->err = *err;
    }
}

/* Without the lock, which they want first. */
static void tell_putters(struct spool_put_list *puts)
{
    struct spool_put *put;
    while ((put = STAILQ_FIRST(puts)) != NULL) {
        STAILQ_REMOVE_HEAD(puts, next);
        sem_post(&put->done); /* from here on it may be gone */
    }
}

/* With the lock held. */
static void fail_group(struct spool *spool, struct group *group, const struct err *err)
{
    STAILQ_CONCAT(&group->puts, &spool->puts);
    fail_puts(spool, &group->puts, err);
    STAILQ_CONCAT(&group->outcomes, &spool->outcomes);
    STAILQ_CONCAT(&spool->outcomes, &group->outcomes);
    spool_numbers_reset(&spool->numbers);
    spool->is_broken = true;
    snprintf(spool->failure, sizeof spool->failure, "%s", err->msg);
}

/* With the lock held, which it leaves while it writes. */
static void commit(struct spool *spool)
{
    struct group group;
    struct err err;
    take_group(spool, &group);
    struct spool_state before = spool->state;
    bool is_synced = group.put_count > 0 || spool->is_stop_unwritten;
    pthread_mutex_unlock(&spool->lock);
    kv_batch_init(&group.batch);
    build_puts(&group);
    build_outcomes(spool, &group);
    spool_store_put_state(&group.batch, &group.state, spool->origin);
    build_undo(spool, &group, &before);
    enum err_code rc = spool_store_write(&spool->store, &group.batch, is_synced, &err);
    kv_batch_clear(&group.batch);
    pthread_mutex_lock(&spool->lock);
    spool->is_committing = false;
    if (rc == E_OK) {
        succeed(spool, &group);
    } else {
        err_wrap(&err, "not accepted");
        log_error(LOG_LEVEL_ERROR, "spool_write_failed", &err);
        err.code = E_IO;
        fail_group(spool, &group, &err);
    }
    pthread_cond_signal(&spool->to_tell);
    pthread_mutex_unlock(&spool->lock);
    tell_putters(&group.puts);
    pthread_mutex_lock(&spool->lock);
}

/* With the lock held, which it leaves. */
static void repair(struct spool *spool)
{
    struct err err;
    pthread_mutex_unlock(&spool->lock);
    enum err_code rc = spool_store_reopen(&spool->store, &err);
    if (rc == E_OK) {
        rc = spool_store_write(&spool->store, &spool->undo, true, &err);
    }
    pthread_mutex_lock(&spool->lock);
    if (rc == E_OK) {
        spool->is_broken = false;
        spool->failure[0] = 0;
        log_event(LOG_LEVEL_INFO, "spool_recovered", "%s", "");
        spool_wake_senders(spool);
    } else {
        spool_wait(spool, &spool->to_commit, REOPEN_MS);
    }
}

static bool has_work(const struct spool *spool)
{
    return !STAILQ_EMPTY(&spool->puts) || !STAILQ_EMPTY(&spool->outcomes) ||
           spool->is_stop_unwritten;
}

void *spool_commit_run(void *ctx)
{
    struct spool *spool = ctx;
    pthread_mutex_lock(&spool->lock);
    for (;;) {
        if (spool->is_broken && spool->is_ending) {
            break; /* what is not written goes again after the next open */
        }
        if (spool->is_broken) {
            repair(spool);
        } else if (has_work(spool)) {
            commit(spool);
        } else if (spool->is_ending) {
            break;
        } else {
            pthread_cond_wait(&spool->to_commit, &spool->lock);
        }
    }
    spool->is_told_all = true;
    pthread_cond_signal(&spool->to_tell);
    pthread_mutex_unlock(&spool->lock);
    return NULL;
}

/* ---- telling ---- */

static void tell(const struct spool *spool, const struct spool_outcome *outcome)
{
    bool is_refused = outcome->change == SPOOL_REFUSED;
    struct spool_receipt receipt = { .ticket = outcome->ticket,
                                     .id = buf_span(&outcome->id),
                                     .leaf = outcome->leaf,
                                     .index = outcome->index,
                                     .is_refused = is_refused,
                                     .proof = buf_span(&outcome->proof),
                                     .refusal = outcome->refusal };
    if (spool->options.on_receipt != NULL && (is_refused || outcome->change == SPOOL_PROVED)) {
        spool->options.on_receipt(spool->options.ctx, &receipt);
    }
}

/* With the lock held. */
static void end_outcomes(struct spool *spool, struct spool_outcome_list *told)
{
    struct spool_outcome *outcome;
    uint64_t now_ms = spool_now_ms();
    while ((outcome = STAILQ_FIRST(told)) != NULL) {
        STAILQ_REMOVE_HEAD(told, next);
        if (outcome->change == SPOOL_PROVED || outcome->change == SPOOL_GIVEN_UP) {
            spool_queue_remove(&spool->queue, outcome->entry, now_ms);
        }
        if (outcome->change == SPOOL_GIVEN_UP) {
            spool_wake_senders(spool); /* what was behind it may go */
        }
        spool->tell_count--;
        spool_outcome_free(outcome);
    }
}

void *spool_tell_run(void *ctx)
{
    struct spool *spool = ctx;
    uint64_t status_ms = 0;
    pthread_mutex_lock(&spool->lock);
    while (!STAILQ_EMPTY(&spool->tells) || !spool->is_told_all) {
        struct spool_outcome_list told = STAILQ_HEAD_INITIALIZER(told);
        if (STAILQ_EMPTY(&spool->tells) && !spool->is_told_all) {
            spool_wait(spool, &spool->to_tell, STATUS_MS);
        }
        STAILQ_CONCAT(&told, &spool->tells);
        pthread_mutex_unlock(&spool->lock);
        struct spool_outcome *outcome;
        STAILQ_FOREACH(outcome, &told, next)
        {
            tell(spool, outcome);
        }
        if (spool_now_ms() >= status_ms) {
            spool_status_write(spool);
            status_ms = spool_now_ms() + STATUS_MS;
        }
        pthread_mutex_lock(&spool->lock);
        end_outcomes(spool, &told);
        pthread_cond_broadcast(&spool->changed);
    }
    pthread_mutex_unlock(&spool->lock);
    return NULL;
}
