/* What the log says is a claim until it verifies: another leaf hash, a bad proof, another origin empty nothing. */
#include "base/alloc.h"
#include "base/ascii.h"
#include "client/spool_parts.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    WORDS_MAX = 256, /* of the log's, which are kept */
};

enum verdict {
    VERDICT_PROVED,
    VERDICT_DURABLE,
    VERDICT_WRONG,
};

void spool_call_free(struct spool_call *call)
{
    buf_clear(&call->bytes);
    mem_free(call);
}

void spool_call_retry(struct spool_call *call, uint64_t now_ms)
{
    /* From behind: each goes to the front of its case. */
    for (size_t i = call->count; i > 0; i--) {
        struct spool_entry *entry = call->entries[i - 1];
        if (entry->state == SPOOL_ENTRY_DURABLE) {
            spool_queue_set_durable(&call->sender->spool->queue, entry, entry->index, now_ms);
        } else {
            spool_queue_retry(&call->sender->spool->queue, entry, now_ms);
        }
    }
}

void spool_outcome_free(struct spool_outcome *outcome)
{
    buf_clear(&outcome->id);
    buf_clear(&outcome->proof);
    mem_free(outcome->refusal);
    mem_free(outcome);
}

static struct spool_outcome *outcome_new(const struct spool_call *call, size_t i,
                                         enum spool_change change)
{
    struct spool_outcome *outcome = NEW(struct spool_outcome);
    outcome->change = change;
    outcome->entry = call->entries[i];
    outcome->ticket = call->entries[i]->ticket;
    outcome->leaf = call->leaves[i];
    buf_init(&outcome->id, SPOOL_ID_MAX);
    buf_init(&outcome->proof, SPOOL_PROOF_MAX);
    buf_put(&outcome->id, call->ids[i]);
    return outcome;
}

struct spool_outcome *spool_outcome_proved(const struct spool_call *call, size_t i, uint64_t index,
                                           struct span proof)
{
    struct spool_outcome *outcome = outcome_new(call, i, SPOOL_PROVED);
    outcome->index = index;
    buf_put(&outcome->proof, proof);
    return outcome;
}

/* The log's words as they may be shown. Of a sealed record none of them: they might say what it is. */
static void put_words(char *out, size_t out_max, enum spool_lane lane, const struct err *failure)
{
    struct buf words = BUF_INIT(4 * WORDS_MAX + 16);
    if (lane == SPOOL_LANE_SEALED) {
        snprintf(out, out_max, "a sealed record: %s", err_text(failure->code));
        return;
    }
    ascii_put_escaped(&words, span_of_str(failure->msg), WORDS_MAX);
    snprintf(out, out_max, "%s", buf_c_str(&words));
    buf_clear(&words);
}

/* ---- one receipt ---- */

enum err_code spool_judge(struct spool_sender *sender, struct span receipt, uint64_t index,
                          const struct hash *leaf, struct err *err)
{
    const struct policy_verdict *verdict = NULL;
    if (receipt.len > SPOOL_PROOF_MAX) {
        return err_set(err, E_TOO_LARGE, "a receipt of %zu bytes", receipt.len);
    }
    if (receipt_check(&sender->check, receipt, index, leaf, &verdict, err) != E_OK) {
        return err->code;
    }
    if (strcmp(verdict->checkpoint.origin, sender->spool->origin) != 0) {
        return err_set(err, E_BAD_PROOF, "the receipt is of another log");
    }
    if (!verdict->is_met) {
        return err_set(err, E_UNAVAILABLE,
                       "durable, and not seen by enough witnesses for the policy yet");
    }
    return E_OK;
}

static enum verdict judge_entry(const struct spool_call *call, size_t i,
                                const struct rpc_log_append_reply *reply, struct err *err)
{
    const struct rpc_log_appended *one = &reply->entries[i];
    if (!hash_is_equal(&one->leaf_hash, &call->leaves[i])) {
        err_set(err, E_BAD_PROOF, "the log answered with another entry's hash");
        return VERDICT_WRONG;
    }
    if (!reply->is_witnessed || one->proof.len == 0) {
        return VERDICT_DURABLE;
    }
    enum err_code rc = spool_judge(call->sender, one->proof, one->index, &call->leaves[i], err);
    if (rc == E_OK) {
        return VERDICT_PROVED;
    }
    return rc == E_UNAVAILABLE ? VERDICT_DURABLE : VERDICT_WRONG;
}

/* ---- an answer ---- */

struct judged {
    size_t proved, durable, wrong;
    enum verdict verdicts[ENTRIES_PER_CALL_MAX];
    struct spool_outcome *outcomes[ENTRIES_PER_CALL_MAX]; /* of those that are proved */
    struct err err;                                       /* the last that is wrong, or not met */
};

static void judge(struct judged *out, const struct spool_call *call,
                  const struct rpc_log_append_reply *reply)
{
    for (size_t i = 0; i < call->count; i++) {
        const struct rpc_log_appended *one = &reply->entries[i];
        out->verdicts[i] = judge_entry(call, i, reply, &out->err);
        out->proved += out->verdicts[i] == VERDICT_PROVED;
        out->durable += out->verdicts[i] == VERDICT_DURABLE;
        out->wrong += out->verdicts[i] == VERDICT_WRONG;
        if (out->verdicts[i] == VERDICT_PROVED) {
            out->outcomes[i] = spool_outcome_proved(call, i, one->index, one->proof);
        }
    }
}

/* With the lock held. What goes again does so from behind, each to the front of its case. */
static void apply(struct spool_call *call, const struct judged *judged,
                  const struct rpc_log_append_reply *reply, uint64_t now_ms)
{
    struct spool *spool = call->sender->spool;
    for (size_t i = 0; i < call->count; i++) {
        if (judged->verdicts[i] == VERDICT_PROVED) {
            spool_queue_set_proved(&spool->queue, call->entries[i], now_ms);
            spool_record(spool, judged->outcomes[i]);
        } else if (judged->verdicts[i] == VERDICT_DURABLE) {
            spool_queue_set_durable(&spool->queue, call->entries[i], reply->entries[i].index,
                                    now_ms);
        }
    }
    for (size_t i = call->count; i > 0; i--) {
        if (judged->verdicts[i - 1] == VERDICT_WRONG) {
            spool_queue_retry(&spool->queue, call->entries[i - 1], now_ms);
        }
    }
}

static void wrong(struct spool *spool, enum spool_lane lane, size_t count, const struct err *why)
{
    char words[SPOOL_REASON_MAX];
    char reason[SPOOL_REASON_MAX];
    put_words(words, sizeof words, lane, why);
    snprintf(reason, sizeof reason, "the log's answer is wrong: %.400s", words);
    spool->state.wrong += count;
    spool_fail_lane(spool, lane, reason);
}

/* The log has them, and shows no proof: from now on it is asked for durable, and for proofs later. With the lock
 * held. */
static void note_durable(struct spool *spool, enum spool_lane lane, const struct judged *judged,
                         const struct rpc_log_append_reply *reply, uint64_t now_ms)
{
    struct spool_pace *pace = &spool->paces[lane];
    struct err words = judged->err;
    spool->is_degraded = true;
    pace->probe_ms = pace->probe_ms == 0 ? now_ms : pace->probe_ms;
    if (reply->reason.len > 0) {
        err_set(&words, E_UNAVAILABLE, "%.*s",
                (int)(reply->reason.len < WORDS_MAX ? reply->reason.len : WORDS_MAX),
                (const char *)reply->reason.data);
    }
    if (judged->wrong == 0 && words.msg[0] != 0) {
        put_words(spool->failure, sizeof spool->failure, lane, &words);
    }
}

static void take_reply(struct spool_call *call, const struct rpc_log_append_reply *reply)
{
    struct spool *spool = call->sender->spool;
    enum spool_lane lane = call->sender->lane;
    struct judged *judged = NEW(struct judged);
    judge(judged, call, reply);
    uint64_t now_ms = spool_now_ms();
    pthread_mutex_lock(&spool->lock);
    apply(call, judged, reply, now_ms);
    if (judged->wrong > 0) {
        wrong(spool, lane, judged->wrong, &judged->err);
    } else {
        spool->paces[lane].failures = 0;
    }
    if (judged->durable > 0) {
        note_durable(spool, lane, judged, reply, now_ms);
    } else if (judged->wrong == 0) {
        spool->failure[0] = 0;
    }
    spool_wake_senders(spool);
    pthread_mutex_unlock(&spool->lock);
    mem_free(judged);
}

/* ---- a refusal ---- */

/* The position in "entry N: ...", which the log's words begin with or contain; SIZE_MAX: none. */
static size_t find_position(const char *words)
{
    for (const char *at = strstr(words, "entry "); at != NULL; at = strstr(at + 1, "entry ")) {
        size_t position = 0, digits = 0;
        for (const char *p = at + strlen("entry "); *p >= '0' && *p <= '9' && digits < 6; p++) {
            position = 10 * position + (size_t)(*p - '0');
            digits++;
        }
        if (digits > 0) {
            return position;
        }
    }
    return SIZE_MAX;
}

/* With the lock held. */
static void refuse(struct spool_call *call, size_t position, const struct err *failure,
                   uint64_t now_ms)
{
    struct spool *spool = call->sender->spool;
    char words[SPOOL_REASON_MAX];
    put_words(words, sizeof words, call->sender->lane, failure);
    struct spool_outcome *outcome = outcome_new(call, position, SPOOL_REFUSED);
    outcome->refusal = mem_strdup(words);
    spool_queue_refuse(&spool->queue, call->entries[position], now_ms);
    spool_record(spool, outcome);
    snprintf(spool->failure, sizeof spool->failure, "refused by the log: %.450s", words);
    for (size_t i = call->count; i > 0; i--) {
        if (i - 1 != position) {
            spool_queue_retry(&spool->queue, call->entries[i - 1], now_ms);
        }
    }
}

/* Refused as a whole, and it is not said for which entry: smaller calls find out. With the lock held. */
static void bisect(struct spool_call *call, uint64_t now_ms)
{
    for (size_t i = call->count; i > 0; i--) {
        call->entries[i - 1]->suspects = (uint16_t)(call->count / 2);
        spool_queue_retry(&call->sender->spool->queue, call->entries[i - 1], now_ms);
    }
}

/* With the lock held. */
static void take_failure(struct spool_call *call, const struct err *failure, uint64_t now_ms)
{
    struct spool *spool = call->sender->spool;
    enum spool_lane lane = call->sender->lane;
    char words[SPOOL_REASON_MAX];
    char reason[SPOOL_REASON_MAX];
    size_t position = find_position(failure->msg);
    bool is_refusal = failure->code == E_MALFORMED || failure->code == E_DENIED;
    put_words(words, sizeof words, lane, failure);
    if (failure->code == E_EXISTS) {
        spool_call_retry(call, now_ms);
        snprintf(reason, sizeof reason,
                 "the log has another record with the entry tag of one of ours: this spool was "
                 "restored from a backup, or its key is used elsewhere (%.200s)",
                 words);
        spool_stop(spool, reason);
    } else if (is_refusal && position < call->count) {
        refuse(call, position, failure, now_ms);
    } else if (failure->code == E_MALFORMED && call->count == 1) {
        refuse(call, 0, failure, now_ms);
    } else if (failure->code == E_MALFORMED) {
        bisect(call, now_ms);
    } else {
        /* Not allowed at all, without a position, is about the channel: a person sees to that, and nothing is
         * held. */
        spool_call_retry(call, now_ms);
        spool_fail_lane(spool, lane, words);
    }
}

void spool_answer(void *ctx, void *tag, const struct rpc_log_append_reply *reply,
                  const struct err *failure)
{
    struct spool_sender *sender = ctx;
    struct spool_call *call = tag;
    struct err err;
    if (reply != NULL && reply->entry_count != call->count) {
        err_set(&err, E_IO, "the log answered %zu entries of %zu", reply->entry_count, call->count);
        failure = &err;
        reply = NULL;
    }
    if (reply != NULL) {
        take_reply(call, reply);
    } else {
        pthread_mutex_lock(&sender->spool->lock);
        take_failure(call, failure, spool_now_ms());
        spool_wake_senders(sender->spool);
        pthread_mutex_unlock(&sender->spool->lock);
    }
    spool_call_free(call);
}
