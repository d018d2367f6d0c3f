/* The normal path is: on_arrived reads and verifies; take_turn gives the log to one request, or lets it
 * wait; on_turn decides, signs and hands the state to the ledger; on_committed, on the ledger thread,
 * moves the state, answers, and passes the turn on. Every request ends in
 * finish or in end_turn, exactly once.
 *
 * Between taking and passing a turn nobody else reads or writes the log's memory or decides by its state,
 * so that comparing with the state and making the next one durable are one step, without a lock that is
 * held meanwhile. The answer goes out before the turn is passed: answers of a log leave in the order in
 * which they were decided. */
#include "witness/cosigner.h"

#include "base/alloc.h"
#include "base/log.h"
#include "witness/complaint.h"
#include "witness/cosign_evidence.h"

#include <assert.h>
#include <stdatomic.h>
#include <time.h>

enum {
    PEER_BYTES_MAX = 64, /* an IPv6 address with its zone */
    REASON_MAX = 256
};

struct cosigner {
    struct cosigner_options options;
    const struct vkey *own_keys[COSIGNER_KEYS_MAX];
    atomic_size_t count;
    atomic_size_t bytes; /* charged by the jobs under way */
    struct cosign_memory_total memory_total;
    _Atomic uint64_t complained_ms[REFUSAL_COUNT];
    struct cosign_evidence_complaints evidence_complaints;
};

struct cosign_job {
    TAILQ_ENTRY(cosign_job) next; /* in known_log.waiting */
    struct cosigner *cosigner;
    void *ctx;
    void (*on_done)(void *ctx, const struct cosigner_answer *answer);
    uint8_t peer[PEER_BYTES_MAX];
    size_t peer_len;
    struct buf body; /* owned; empty once it is read */
    size_t bytes;    /* charged to the cosigner: of the body, later of the note */
    struct hash body_hash;
    struct known_log *log; /* NULL until it is known */
    bool has_request;
    struct cosign_request request;
    bool is_advance;           /* what is signed is larger than what was held */
    struct origin_state state; /* what is committed */
    bool is_durable;           /* it was already, and `lines` were let out before */
    struct buf lines;          /* owned: our cosignatures */
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t system_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec > 0 ? (uint64_t)now.tv_sec : 0;
}

struct cosigner *cosigner_new(const struct cosigner_options *options)
{
    assert(options->key_count >= 1 && options->key_count <= COSIGNER_KEYS_MAX);
    struct cosigner *cosigner = NEW(struct cosigner);
    cosigner->options = *options;
    if (options->unix_s == NULL) {
        cosigner->options.unix_s = system_s;
    }
    for (size_t i = 0; i < options->key_count; i++) {
        assert(options->keys[i].vkey.type != SIGNATURE_ED25519);
        cosigner->own_keys[i] = &options->keys[i].vkey;
    }
    return cosigner;
}

void cosigner_free(struct cosigner *cosigner)
{
    if (cosigner == NULL) {
        return;
    }
    assert(atomic_load(&cosigner->count) == 0);
    for (size_t i = 0; i < log_table_count(cosigner->options.logs); i++) {
        struct known_log *log = log_table_at(cosigner->options.logs, i);
        cosign_memory_free(log->memory);
        log->memory = NULL;
    }
    mem_free(cosigner);
}

size_t cosigner_count(const struct cosigner *cosigner)
{
    return atomic_load(&cosigner->count);
}

/* -- answers -- */

static const char *detail_of(enum refusal refusal)
{
    switch (refusal) {
    case REFUSED_UNKNOWN_LOG:
        return "no log of this origin is known here";
    case REFUSED_OLD_ABOVE_SIZE:
        return "the old size is larger than the checkpoint's";
    case REFUSED_BAD_EMPTY_ROOT:
        return "size 0 with another root than the empty tree's";
    case REFUSED_UNEXPECTED_PROOF:
        return "no proof belongs there";
    case REFUSED_ROOT_MISMATCH:
        return "this size was cosigned with another root";
    case REFUSED_CLOCK:
        return "the witness's clock is behind what it has signed";
    case REFUSED_GUARD:
        return "the witness is not sure that its state of this log is its newest";
    case REFUSED_KEY:
        return "the witness's key does not answer";
    default:
        return NULL;
    }
}

/* What an operator has to know, though not for every request that a stranger sends. */
static void complain(struct cosigner *cosigner, const struct cosign_job *job, enum refusal refusal,
                     const char *reason)
{
    if (complaint_is_due(&cosigner->complained_ms[refusal], now_ms())) {
        log_event(LOG_LEVEL_ERROR, "not_signed", "reason=%s origin=%s detail=%s",
                  refusal_label(refusal), log_quoted_str(job->log->origin).text,
                  log_quoted_str(reason).text);
    }
}

static void job_free(struct cosign_job *job)
{
    if (job->has_request) {
        cosign_request_clear(&job->request);
    }
    buf_clear(&job->body);
    buf_clear(&job->lines);
    mem_free(job);
}

static void answer_job(struct cosign_job *job, enum refusal refusal, uint64_t stored_size)
{
    struct cosigner_answer answer = { .refusal = refusal, .detail = detail_of(refusal) };
    if (refusal == REFUSED_NONE) {
        answer.lines = buf_span(&job->lines);
    } else if (refusal == REFUSED_STALE) {
        answer.stored_size = stored_size;
    }
    if (job->log != NULL) {
        pthread_mutex_lock(&job->log->mutex);
        job->log->counts[refusal]++;
        pthread_mutex_unlock(&job->log->mutex);
    }
    job->on_done(job->ctx, &answer);
}

/* Frees the job. Last of all the count goes down: at 0 the cosigner and its logs may be freed. */
static void release_job(struct cosign_job *job)
{
    struct cosigner *cosigner = job->cosigner;
    atomic_fetch_sub(&cosigner->bytes, job->bytes);
    job_free(job);
    atomic_fetch_sub(&cosigner->count, 1);
}

/* For a job without a turn. */
static void finish(struct cosign_job *job, enum refusal refusal)
{
    answer_job(job, refusal, 0);
    release_job(job);
}

/* -- turns -- */

static void on_turn(void *arg);

/* False: the job waits, or there was no room and it is finished. */
static bool take_turn(struct cosign_job *job)
{
    struct known_log *log = job->log;
    pthread_mutex_lock(&log->mutex);
    bool is_taken = !log->is_busy;
    bool is_waiting = !is_taken && log->waiting_count < COSIGNER_WAITING_MAX;
    if (is_taken) {
        log->is_busy = true;
    } else if (is_waiting) {
        TAILQ_INSERT_TAIL(&log->waiting, job, next);
        log->waiting_count++;
    }
    pthread_mutex_unlock(&log->mutex);
    if (!is_taken && !is_waiting) {
        finish(job, REFUSED_BUSY);
    }
    return is_taken;
}

/* Answers, and lets the next request of the log go on. */
static void end_turn(struct cosign_job *job, enum refusal refusal, uint64_t stored_size)
{
    struct known_log *log = job->log;
    answer_job(job, refusal, stored_size);
    pthread_mutex_lock(&log->mutex);
    struct cosign_job *next = TAILQ_FIRST(&log->waiting);
    if (next != NULL) {
        TAILQ_REMOVE(&log->waiting, next, next);
        log->waiting_count--;
    }
    log->is_busy = next != NULL;
    pthread_mutex_unlock(&log->mutex);
    if (next != NULL) {
        work_post(job->cosigner->options.work, on_turn, next);
    }
    release_job(job);
}

static void set_state(struct known_log *log, const struct origin_state *state)
{
    pthread_mutex_lock(&log->mutex);
    log->state = *state;
    pthread_mutex_unlock(&log->mutex);
}

/* The state to decide by. After a failed commit it is what the store says: the commit may have taken
 * effect all the same, and then a signature for that size would be a second one. *held is what was known
 * last when the store does not say. */
static enum refusal read_held(struct cosign_job *job, struct origin_state *held)
{
    struct known_log *log = job->log;
    struct err err;
    if (log->memory == NULL) {
        log->memory = cosign_memory_new(&job->cosigner->memory_total);
    }
    pthread_mutex_lock(&log->mutex);
    *held = log->state;
    pthread_mutex_unlock(&log->mutex);
    if (!log->memory->is_state_unknown) {
        return REFUSED_NONE;
    }
    if (ledger_state(job->cosigner->options.ledger, &log->origin_hash, held, &err) != E_OK) {
        complain(job->cosigner, job, REFUSED_STORAGE, err.msg);
        return REFUSED_STORAGE;
    }
    set_state(log, held);
    log->memory->is_state_unknown = false;
    return REFUSED_NONE;
}

/* -- deciding -- */

static enum refusal ask_guard(struct cosign_job *job)
{
    char reason[REASON_MAX] = "";
    if (guard_verdict(job->cosigner->options.guard, job->log, reason, sizeof reason) ==
        GUARD_OPEN) {
        return REFUSED_NONE;
    }
    complain(job->cosigner, job, REFUSED_GUARD, reason);
    return REFUSED_GUARD;
}

/* A request that moves the log's state forward is the log's, whoever sent it. */
static enum refusal charge_log(struct cosign_job *job)
{
    struct budget *budget = job->cosigner->options.budget;
    uint64_t now = now_ms();
    if (!job->is_advance) {
        return REFUSED_NONE;
    }
    if (!budget_take_log(budget, &job->log->origin_hash, job->log->requests_per_day, now)) {
        return REFUSED_QUOTA;
    }
    budget_return_peer(budget, span_of(job->peer, job->peer_len), now);
    return REFUSED_NONE;
}

/* With the lines that were let out for this very state, if there are any: of the same text and time ours
 * would be the same again, and the state is durable. */
static bool repeat_lines(struct cosign_job *job)
{
    struct span lines;
    if (!cosign_memory_find_lines(job->log->memory, &job->state, &lines)) {
        return false;
    }
    buf_put(&job->lines, lines);
    return true;
}

static enum refusal sign(struct cosign_job *job, uint64_t timestamp)
{
    const struct cosigner_options *options = &job->cosigner->options;
    struct span text = span_slice(buf_span(&job->request.note), 0, job->request.text_len);
    struct err err;
    for (size_t i = 0; i < options->key_count; i++) {
        bool is_ml_dsa = options->keys[i].vkey.type == SIGNATURE_ML_DSA_44;
        if (is_ml_dsa && job->request.checkpoint.has_extensions) {
            continue; /* its signature would not cover the extension lines */
        }
        if (note_put_signature(&job->lines, text, &options->keys[i], timestamp, &err) != E_OK) {
            complain(job->cosigner, job, REFUSED_KEY, err.msg);
            return REFUSED_KEY;
        }
    }
    return REFUSED_NONE;
}

/* All that stands between a good request and its signature. */
static enum refusal try_to_sign(struct cosign_job *job, uint64_t timestamp)
{
    enum refusal refusal = ask_guard(job);
    if (refusal == REFUSED_NONE) {
        refusal = charge_log(job);
    }
    job->is_durable = refusal == REFUSED_NONE && repeat_lines(job);
    return refusal == REFUSED_NONE && !job->is_durable ? sign(job, timestamp) : refusal;
}

/* Refused because of `trouble` of ours, if any. With REFUSED_NONE the job's state and lines are what to
 * commit. What the request proves against the log is kept in any case. */
static enum refusal judge(struct cosign_job *job, const struct origin_state *held,
                          enum refusal trouble)
{
    struct cosigner *cosigner = job->cosigner;
    const struct cosign_request *request = &job->request;
    struct decision decision = decide(held, request->old_size, &request->checkpoint,
                                      &request->proof, cosigner->options.unix_s());
    struct cosign_evidence evidence = {
        .keep = cosigner->options.evidence,
        .ledger = cosigner->options.ledger,
        .log = job->log,
        .memory = job->log->memory,
        .held = held,
        .request = request,
        .decision = &decision,
        .now_ms = now_ms(),
        .complaints = &cosigner->evidence_complaints,
    };
    bool is_on_record = cosign_evidence_look(&evidence);
    enum refusal refusal = !request->is_signable     ? REFUSED_MALFORMED
                           : trouble != REFUSED_NONE ? trouble
                                                     : decision.refusal;
    if (refusal == REFUSED_CLOCK) {
        complain(cosigner, job, refusal, detail_of(refusal));
    }
    job->is_advance = request->checkpoint.size > held->size;
    job->state = (struct origin_state){ request->checkpoint.size, request->checkpoint.root,
                                        decision.timestamp };
    refusal = refusal == REFUSED_NONE ? try_to_sign(job, decision.timestamp) : refusal;
    if (refusal != REFUSED_NONE && !is_on_record) {
        cosign_memory_add_refused(job->log->memory, request);
    }
    return refusal;
}

/* -- committing -- */

/* Ledger thread. */
static void on_committed(void *ctx, enum err_code rc, const struct err *err)
{
    struct cosign_job *job = ctx;
    struct known_log *log = job->log;
    if (rc != E_OK) {
        enum refusal refusal = rc == E_DENIED ? REFUSED_GUARD : REFUSED_STORAGE;
        complain(job->cosigner, job, refusal, err->msg);
        log->memory->is_state_unknown = true;
        cosign_memory_forget_answer(log->memory);
        cosign_memory_add_refused(log->memory, &job->request);
        end_turn(job, refusal, 0);
        return;
    }
    cosign_memory_set_answer(log->memory, &job->body_hash, &job->state, buf_span(&job->lines),
                             now_ms());
    uint64_t now_s = job->is_advance ? job->cosigner->options.unix_s() : 0;
    pthread_mutex_lock(&log->mutex);
    log->state = job->state;
    if (job->is_advance) {
        log->changed_s = now_s;
    }
    pthread_mutex_unlock(&log->mutex);
    end_turn(job, REFUSED_NONE, 0);
}

static void commit(struct cosign_job *job)
{
    struct buf note = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    buf_put(&note, buf_span(&job->request.note));
    buf_put(&note, buf_span(&job->lines));
    struct ledger_commit commit = {
        .origin_hash = job->log->origin_hash,
        .state = job->state,
        .note = buf_span(&note),
        .ctx = job,
        .on_done = on_committed,
    };
    ledger_commit(job->cosigner->options.ledger, &commit);
    buf_clear(&note); /* and no more of the job: it may be gone */
}

/* -- a request's way -- */

/* The answer to the same bytes, if nothing was signed since. */
static bool repeat_answer(struct cosign_job *job)
{
    struct span lines;
    if (!cosign_memory_find_answer(job->log->memory, &job->body_hash, now_ms(), COSIGNER_REPEAT_MS,
                                   &lines)) {
        return false;
    }
    buf_put(&job->lines, lines);
    return true;
}

/* Worker, with the log's turn. */
static void on_turn(void *arg)
{
    struct cosign_job *job = arg;
    const struct cosigner_options *options = &job->cosigner->options;
    struct origin_state held;
    enum refusal trouble = read_held(job, &held);
    if (trouble == REFUSED_NONE && repeat_answer(job)) {
        end_turn(job, ask_guard(job), 0);
        return;
    }
    enum refusal refusal = judge(job, &held, trouble);
    if (refusal == REFUSED_NONE && !job->is_durable) {
        commit(job);
        return;
    }
    if (refusal == REFUSED_STALE && options->on_conflict != NULL) {
        options->on_conflict(options->ctx, job->log);
    }
    end_turn(job, refusal, held.size);
}

/* Only the note is left of the body. */
static void charge_note_only(struct cosign_job *job)
{
    size_t bytes = job->request.note.len;
    assert(bytes <= job->bytes);
    atomic_fetch_sub(&job->cosigner->bytes, job->bytes - bytes);
    job->bytes = bytes;
}

/* Worker. */
static void on_arrived(void *arg)
{
    struct cosign_job *job = arg;
    const struct cosigner_options *options = &job->cosigner->options;
    job->body_hash = sha256(buf_span(&job->body));
    enum refusal refusal =
        cosign_request_read(&job->request, &job->log, options->logs, job->cosigner->own_keys,
                            options->key_count, buf_span(&job->body));
    buf_clear(&job->body);
    if (refusal != REFUSED_NONE) {
        finish(job, refusal);
        return;
    }
    job->has_request = true;
    if (job->request.own_note.len > 0) {
        guard_on_note(options->guard, job->log, SIZE_MAX, buf_span(&job->request.own_note),
                      now_ms());
        buf_clear(&job->request.own_note);
    }
    charge_note_only(job);
    if (take_turn(job)) {
        on_turn(job);
    }
}

static struct cosign_job *job_new(struct cosigner *cosigner, struct span peer, void *ctx,
                                  void (*on_done)(void *ctx, const struct cosigner_answer *answer))
{
    struct cosign_job *job = NEW(struct cosign_job);
    job->cosigner = cosigner;
    job->ctx = ctx;
    job->on_done = on_done;
    job->peer_len = peer.len < PEER_BYTES_MAX ? peer.len : PEER_BYTES_MAX;
    if (job->peer_len > 0) {
        memcpy(job->peer, peer.data, job->peer_len);
    }
    buf_init(&job->body, ADD_CHECKPOINT_BYTES_MAX);
    buf_init(&job->lines, ADD_CHECKPOINT_LINES_MAX);
    return job;
}

void cosigner_submit(struct cosigner *cosigner, struct span body, struct span peer, void *ctx,
                     void (*on_done)(void *ctx, const struct cosigner_answer *answer))
{
    bool is_full = atomic_fetch_add(&cosigner->count, 1) >= COSIGNER_JOBS_MAX;
    struct cosign_job *job = job_new(cosigner, peer, ctx, on_done);
    struct err err;
    job->bytes = body.len;
    is_full |= atomic_fetch_add(&cosigner->bytes, body.len) + body.len > COSIGNER_BYTES_MAX;
    if (!budget_take_peer(cosigner->options.budget, span_of(job->peer, job->peer_len), now_ms())) {
        finish(job, REFUSED_QUOTA);
    } else if (is_full) {
        finish(job, REFUSED_BUSY);
    } else if (buf_append(&job->body, body, &err) != E_OK) {
        finish(job, REFUSED_MALFORMED);
    } else {
        work_post(cosigner->options.work, on_arrived, job);
    }
}
