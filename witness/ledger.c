/* The normal path is: a job joins the queue, the thread takes what waits as one group, writes it, and
 * tells each. It can fail so: after a failed write every job of the group and every later one fails,
 * until the store has been opened again and takes a write, and the marks have been written again. */
#include "base/alloc.h"
#include "base/log.h"
#include "witness/ledger_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <time.h>

enum {
    RETRY_MS_MIN = 100,
    RETRY_MS_MAX = 10 * 1000
};

/* --- The thread. --- */

static void finish(struct ledger_jobs *jobs)
{
    while (!STAILQ_EMPTY(jobs)) {
        struct ledger_job *job = STAILQ_FIRST(jobs);
        STAILQ_REMOVE_HEAD(jobs, next);
        job->on_done(job->ctx, job->rc, &job->err);
        mem_free(job);
    }
}

/* Fails what waits, if anything does. */
static void fail_waiting(struct ledger *ledger)
{
    struct ledger_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);
    char reason[ERR_MSG_MAX];
    pthread_mutex_lock(&ledger->mutex);
    STAILQ_CONCAT(&jobs, &ledger->jobs);
    memcpy(reason, ledger->reason, sizeof reason);
    pthread_mutex_unlock(&ledger->mutex);
    struct ledger_job *job;
    STAILQ_FOREACH(job, &jobs, next)
    {
        job->rc = err_set(&job->err, E_UNAVAILABLE, "%s", reason);
    }
    finish(&jobs);
}

void ledger_set_failing(struct ledger *ledger, const struct err *err)
{
    pthread_mutex_lock(&ledger->mutex);
    ledger->is_failing = err != NULL;
    snprintf(ledger->reason, sizeof ledger->reason, "%s", err == NULL ? "" : err->msg);
    pthread_mutex_unlock(&ledger->mutex);
    if (err != NULL) {
        log_error(LOG_LEVEL_ERROR, "ledger_failing", err);
    } else {
        log_event(LOG_LEVEL_WARN, "ledger_recovered", "%s", "");
    }
}

static struct timespec in_ms(unsigned ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* Waits, failing what comes. False when stopping. */
static bool pause_failing(struct ledger *ledger, unsigned ms)
{
    struct timespec until = in_ms(ms);
    for (;;) {
        pulse_step(&ledger->pulse);
        fail_waiting(ledger);
        pthread_mutex_lock(&ledger->mutex);
        int rc = 0;
        while (!ledger->is_stopping && STAILQ_EMPTY(&ledger->jobs) && rc != ETIMEDOUT) {
            pulse_rest(&ledger->pulse);
            rc = pthread_cond_timedwait(&ledger->wake, &ledger->mutex, &until);
        }
        pulse_step(&ledger->pulse);
        bool has_jobs = !STAILQ_EMPTY(&ledger->jobs);
        bool is_stopping = ledger->is_stopping;
        pthread_mutex_unlock(&ledger->mutex);
        if (!has_jobs) {
            return !is_stopping;
        }
    }
}

static void set_kv(struct ledger *ledger, struct kv *kv)
{
    pthread_rwlock_wrlock(&ledger->kv_lock);
    ledger->kv = kv;
    pthread_rwlock_unlock(&ledger->kv_lock);
}

static enum err_code remember_note(void *ctx, struct span key, struct span bytes, struct err *err)
{
    struct ledger *ledger = ctx;
    struct hash origin_hash;
    struct span note;
    if (!ledger_key_parse(LEDGER_KEY_NOTE, key, &origin_hash) ||
        ledger_value_parse_bytes(&note, bytes, err) != E_OK || note.len > LEDGER_NOTE_BYTES_MAX) {
        return E_OK; /* told when somebody asks for it */
    }
    pthread_mutex_lock(&ledger->mutex);
    if (ledger_origins_find(&ledger->origins, &origin_hash) == NULL) {
        buf_put(&ledger_origins_get(&ledger->origins, &origin_hash)->note, note);
    }
    pthread_mutex_unlock(&ledger->mutex);
    return E_OK;
}

/* On a full disk the store may not open for long, and notes are to be served all the while. Those of
 * origins that were written are in memory; the others were released, once the marks had been raised. */
static void remember_notes(struct ledger *ledger)
{
    struct err err;
    if (atomic_load(&ledger->are_marks_up) &&
        kv_scan(ledger->kv, span_of_str(LEDGER_KEY_NOTE), remember_note, ledger, &err) != E_OK) {
        log_error(LOG_LEVEL_WARN, "ledger_notes_unread", &err);
    }
}

static enum err_code reopen_store(struct ledger *ledger, struct err *err)
{
    if (ledger->reopen == NULL) {
        return err_set(err, E_IO, "a write failed, and the store cannot be opened again");
    }
    struct kv *kv = ledger->kv;
    if (kv != NULL) {
        remember_notes(ledger);
    }
    set_kv(ledger, NULL);
    kv_close(kv);
    kv = NULL;
    enum err_code rc = ledger->reopen(ledger->ctx, &kv, err);
    if (rc == E_OK) {
        set_kv(ledger, kv);
    }
    return rc;
}

/* A batch of nothing still is a synced write. */
static enum err_code probe(struct ledger *ledger, struct err *err)
{
    kv_batch_reset(&ledger->batch);
    return kv_write_synced(ledger->kv, &ledger->batch, err);
}

/* Until everything works again. False when stopping. */
static bool recover(struct ledger *ledger, bool is_store_bad, struct err *err)
{
    unsigned delay_ms = RETRY_MS_MIN;
    enum err_code rc = E_OK;
    do {
        if (rc != E_OK) {
            ledger_set_failing(ledger, err);
        }
        if (!pause_failing(ledger, delay_ms)) {
            return false;
        }
        delay_ms = delay_ms > RETRY_MS_MAX / 2 ? RETRY_MS_MAX : 2 * delay_ms;
        rc = is_store_bad ? reopen_store(ledger, err) : E_OK;
        if (rc == E_OK) {
            rc = probe(ledger, err);
            is_store_bad = rc != E_OK;
        }
        rc = rc == E_OK ? ledger_raise_marks(ledger, err) : rc;
    } while (rc != E_OK);
    atomic_store(&ledger->are_marks_up, true);
    ledger_set_failing(ledger, NULL);
    return true;
}

/* Waits for jobs, and takes all of them. False when stopping and none is left. */
static bool take_waiting(struct ledger *ledger, struct ledger_jobs *jobs)
{
    pthread_mutex_lock(&ledger->mutex);
    while (STAILQ_EMPTY(&ledger->jobs) && !ledger->is_stopping) {
        pulse_rest(&ledger->pulse);
        pthread_cond_wait(&ledger->wake, &ledger->mutex);
    }
    STAILQ_CONCAT(jobs, &ledger->jobs);
    pthread_mutex_unlock(&ledger->mutex);
    return !STAILQ_EMPTY(jobs);
}

/* Puts what was taken and has not been tried back to the front. */
static void give_back(struct ledger *ledger, struct ledger_jobs *jobs)
{
    pthread_mutex_lock(&ledger->mutex);
    STAILQ_CONCAT(jobs, &ledger->jobs);
    STAILQ_CONCAT(&ledger->jobs, jobs);
    pthread_mutex_unlock(&ledger->mutex);
}

static void *run(void *arg)
{
    struct ledger *ledger = arg;
    struct ledger_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs), group;
    struct err err;
    bool is_store_bad = false;
    bool is_fine = atomic_load(&ledger->are_marks_up);
    if (!is_fine) {
        err_set(&err, E_IO, "%s", ledger->reason);
    }
    for (;;) {
        if (!is_fine && !recover(ledger, is_store_bad, &err)) {
            break;
        }
        is_fine = true;
        if (!take_waiting(ledger, &jobs)) {
            break;
        }
        while (is_fine && !STAILQ_EMPTY(&jobs)) {
            pulse_step(&ledger->pulse);
            ledger_group_prepare(ledger, &jobs, &group);
            is_fine = ledger_group_write(ledger, &group, &is_store_bad, &err) == E_OK;
            finish(&group);
        }
        give_back(ledger, &jobs);
    }
    fail_waiting(ledger);
    pulse_rest(&ledger->pulse);
    return NULL;
}

uint64_t ledger_stuck_ms(struct ledger *ledger)
{
    return pulse_stuck_ms(&ledger->pulse);
}

struct ledger *ledger_start(const struct ledger_options *options)
{
    assert(options->kv != NULL);
    struct ledger *ledger = NEW(struct ledger);
    ledger->kv = options->kv;
    ledger->mark = options->mark;
    ledger->reopen = options->reopen;
    ledger->ctx = options->ctx;
    kv_batch_init(&ledger->batch);
    buf_init(&ledger->scratch, KV_VALUE_BYTES_MAX);
    ledger->marks = mem_calloc(LEDGER_GROUP_COMMITS_MAX, sizeof *ledger->marks);
    STAILQ_INIT(&ledger->jobs);
    pthread_rwlock_init(&ledger->kv_lock, NULL);
    pthread_mutex_init(&ledger->mark_lock, NULL);
    pthread_mutex_init(&ledger->mutex, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&ledger->wake, &attr);
    pthread_cond_init(&ledger->done, &attr);
    pthread_condattr_destroy(&attr);
    struct err err;
    bool are_up = ledger_raise_marks(ledger, &err) == E_OK;
    atomic_init(&ledger->are_marks_up, are_up);
    if (!are_up) {
        ledger_set_failing(ledger, &err);
    }
    int rc = pthread_create(&ledger->thread, NULL, run, ledger);
    assert(rc == 0);
    (void)rc;
    return ledger;
}

void ledger_stop(struct ledger *ledger)
{
    if (ledger == NULL) {
        return;
    }
    pthread_mutex_lock(&ledger->mutex);
    ledger->is_stopping = true;
    pthread_cond_broadcast(&ledger->wake);
    pthread_mutex_unlock(&ledger->mutex);
    pthread_join(ledger->thread, NULL);
    kv_close(ledger->kv);
    mark_file_close(ledger->mark);
    kv_batch_clear(&ledger->batch);
    buf_clear(&ledger->scratch);
    mem_free(ledger->marks);
    ledger_origins_clear(&ledger->origins);
    pthread_cond_destroy(&ledger->done);
    pthread_cond_destroy(&ledger->wake);
    pthread_mutex_destroy(&ledger->mutex);
    pthread_mutex_destroy(&ledger->mark_lock);
    pthread_rwlock_destroy(&ledger->kv_lock);
    mem_free(ledger);
}

/* --- Jobs. --- */

static struct ledger_job *new_job(enum ledger_job_kind kind, struct span bytes)
{
    struct ledger_job *job = mem_alloc(sizeof *job + bytes.len);
    memset(job, 0, sizeof *job);
    job->kind = kind;
    job->len = bytes.len;
    if (bytes.len > 0) {
        memcpy(job->bytes, bytes.data, bytes.len);
    }
    return job;
}

static void post(struct ledger *ledger, struct ledger_job *job)
{
    pthread_mutex_lock(&ledger->mutex);
    STAILQ_INSERT_TAIL(&ledger->jobs, job, next);
    pthread_cond_signal(&ledger->wake);
    pthread_mutex_unlock(&ledger->mutex);
}

void ledger_commit(struct ledger *ledger, const struct ledger_commit *commit)
{
    assert(commit->note.len > 0 && commit->note.len <= LEDGER_NOTE_BYTES_MAX);
    assert(commit->state.timestamp != 0);
    struct ledger_job *job = new_job(LEDGER_JOB_COMMIT, commit->note);
    job->origin_hash = commit->origin_hash;
    job->state = commit->state;
    job->ctx = commit->ctx;
    job->on_done = commit->on_done;
    post(ledger, job);
}

struct waiter {
    struct ledger *ledger;
    bool is_done; /* guarded by the ledger's mutex */
    enum err_code rc;
    struct err *err;
};

static void on_waited(void *ctx, enum err_code rc, const struct err *err)
{
    struct waiter *waiter = ctx;
    struct ledger *ledger = waiter->ledger;
    if (rc != E_OK) {
        *waiter->err = *err;
    }
    pthread_mutex_lock(&ledger->mutex);
    waiter->rc = rc;
    waiter->is_done = true;
    pthread_cond_broadcast(&ledger->done);
    pthread_mutex_unlock(&ledger->mutex);
}

static enum err_code post_and_wait(struct ledger *ledger, struct ledger_job *job, struct err *err)
{
    assert(!pthread_equal(pthread_self(), ledger->thread));
    struct waiter waiter = { .ledger = ledger, .err = err };
    job->ctx = &waiter;
    job->on_done = on_waited;
    post(ledger, job);
    pthread_mutex_lock(&ledger->mutex);
    while (!waiter.is_done) {
        pthread_cond_wait(&ledger->done, &ledger->mutex);
    }
    pthread_mutex_unlock(&ledger->mutex);
    return waiter.rc;
}

enum err_code ledger_refuse(struct ledger *ledger, const struct hash *origin_hash, struct span note,
                            struct err *err)
{
    assert(note.len > 0 && note.len <= LEDGER_NOTE_BYTES_MAX);
    struct ledger_job *job = new_job(LEDGER_JOB_REFUSE, note);
    job->origin_hash = *origin_hash;
    return post_and_wait(ledger, job, err);
}

enum err_code ledger_contradict(struct ledger *ledger, const struct hash *origin_hash,
                                struct span note, struct err *err)
{
    assert(note.len > 0 && note.len <= LEDGER_NOTE_BYTES_MAX);
    struct ledger_job *job = new_job(LEDGER_JOB_PUT, note);
    job->key = ledger_key_of(LEDGER_KEY_CONTRADICTION, origin_hash);
    return post_and_wait(ledger, job, err);
}

enum err_code ledger_adopt(struct ledger *ledger, const struct hash *origin_hash,
                           const struct origin_state *state, struct span note, struct err *err)
{
    assert(note.len > 0 && note.len <= LEDGER_NOTE_BYTES_MAX && state->timestamp != 0);
    struct buf contradiction = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    enum err_code rc = ledger_contradiction(ledger, origin_hash, &contradiction, err);
    buf_clear(&contradiction);
    if (rc != E_NOT_FOUND) {
        return rc != E_OK ? rc
                          : err_set(err, E_CONFLICT,
                                    "two histories of this log are signed with our key: no "
                                    "adoption ends that; retire the key");
    }
    struct ledger_job *job = new_job(LEDGER_JOB_ADOPT, note);
    job->origin_hash = *origin_hash;
    job->state = *state;
    return post_and_wait(ledger, job, err);
}

enum err_code ledger_put(struct ledger *ledger, const char *key, struct span value, struct err *err)
{
    assert(value.len < KV_VALUE_BYTES_MAX);
    struct ledger_job *job = new_job(LEDGER_JOB_PUT, value);
    job->key = ledger_key_named(key);
    return post_and_wait(ledger, job, err);
}

enum err_code ledger_put_peer(struct ledger *ledger, const struct hash *origin_hash,
                              const struct hash *peer, struct span note, struct err *err)
{
    assert(note.len <= LEDGER_NOTE_BYTES_MAX);
    struct ledger_job *job = new_job(LEDGER_JOB_PEER, note);
    job->key = ledger_key_peer(origin_hash, peer);
    return post_and_wait(ledger, job, err);
}

/* --- Readers. --- */

static enum err_code read_key(struct ledger *ledger, const struct ledger_key *key, struct buf *out,
                              struct err *err)
{
    pthread_rwlock_rdlock(&ledger->kv_lock);
    enum err_code rc = ledger->kv == NULL
                           ? err_set(err, E_UNAVAILABLE, "the store is being opened again")
                           : kv_get(ledger->kv, ledger_key_span(key), out, err);
    pthread_rwlock_unlock(&ledger->kv_lock);
    return rc;
}

/* A value that is bytes behind a version. */
static enum err_code read_bytes(struct ledger *ledger, const struct ledger_key *key,
                                struct buf *out, struct err *err)
{
    struct buf value = BUF_INIT(KV_VALUE_BYTES_MAX);
    struct span bytes;
    enum err_code rc = read_key(ledger, key, &value, err);
    rc = rc == E_OK ? ledger_value_parse_bytes(&bytes, buf_span(&value), err) : rc;
    rc = rc == E_OK ? buf_append(out, bytes, err) : rc;
    buf_clear(&value);
    return rc;
}

/* What was released of an origin that was written since the start. Takes either output. True: *rc is the
 * answer; false: the store has it. */
static bool read_released(struct ledger *ledger, const struct hash *origin_hash,
                          struct origin_state *state, struct buf *note, enum err_code *rc,
                          struct err *err)
{
    bool is_answered = true;
    pthread_mutex_lock(&ledger->mutex);
    const struct ledger_origin *origin = ledger_origins_find(&ledger->origins, origin_hash);
    bool is_known = origin != NULL && origin->is_known;
    *rc = E_OK;
    if (state != NULL && is_known) {
        *state = origin->value.state;
    } else if (note != NULL && origin != NULL && origin->note.len != 0 &&
               (is_known || ledger->is_failing)) {
        *rc = buf_append(note, buf_span(&origin->note), err);
    } else if (note != NULL && is_known) {
        *rc = err_set(err, E_NOT_FOUND, "no note yet");
    } else if (ledger->is_failing && (origin != NULL || !atomic_load(&ledger->are_marks_up))) {
        *rc = err_set(err, E_UNAVAILABLE, "%s", ledger->reason);
    } else {
        is_answered = false;
    }
    pthread_mutex_unlock(&ledger->mutex);
    return is_answered;
}

enum err_code ledger_state(struct ledger *ledger, const struct hash *origin_hash,
                           struct origin_state *out, struct err *err)
{
    enum err_code rc, late_rc;
    if (read_released(ledger, origin_hash, out, NULL, &rc, err)) {
        return rc;
    }
    struct ledger_key key = ledger_key_of(LEDGER_KEY_STATE, origin_hash);
    struct buf bytes = BUF_INIT(KV_VALUE_BYTES_MAX);
    struct ledger_value value = { .state = origin_state_new() };
    rc = read_key(ledger, &key, &bytes, err);
    rc = rc == E_OK ? ledger_value_parse(&value, buf_span(&bytes), err) : rc;
    buf_clear(&bytes);
    /* If the origin is being written since, what was read may not have been released. */
    if (read_released(ledger, origin_hash, out, NULL, &late_rc, err)) {
        return late_rc;
    }
    if (rc == E_OK || rc == E_NOT_FOUND) {
        *out = value.state;
        return E_OK;
    }
    return rc;
}

enum err_code ledger_note(struct ledger *ledger, const struct hash *origin_hash, struct buf *out,
                          struct err *err)
{
    enum err_code rc, late_rc;
    if (read_released(ledger, origin_hash, NULL, out, &rc, err)) {
        return rc;
    }
    struct ledger_key key = ledger_key_of(LEDGER_KEY_NOTE, origin_hash);
    struct buf note = BUF_INIT(LEDGER_NOTE_BYTES_MAX);
    struct err late;
    rc = read_bytes(ledger, &key, &note, err);
    if (read_released(ledger, origin_hash, NULL, out, &late_rc, &late)) {
        if (late_rc != E_OK) {
            *err = late;
        }
        rc = late_rc;
    } else if (rc == E_OK) {
        rc = buf_append(out, buf_span(&note), err);
    }
    buf_clear(&note);
    return rc;
}

enum err_code ledger_seen(struct ledger *ledger, const struct hash *origin_hash, uint64_t size,
                          struct buf *out, struct err *err)
{
    struct ledger_key key = ledger_key_seen(origin_hash, size);
    return read_bytes(ledger, &key, out, err);
}

enum err_code ledger_refused(struct ledger *ledger, const struct hash *origin_hash, struct buf *out,
                             struct err *err)
{
    struct ledger_key key = ledger_key_of(LEDGER_KEY_REFUSED, origin_hash);
    return read_bytes(ledger, &key, out, err);
}

enum err_code ledger_contradiction(struct ledger *ledger, const struct hash *origin_hash,
                                   struct buf *out, struct err *err)
{
    struct ledger_key key = ledger_key_of(LEDGER_KEY_CONTRADICTION, origin_hash);
    return read_bytes(ledger, &key, out, err);
}

enum err_code ledger_get(struct ledger *ledger, const char *name, struct buf *out, struct err *err)
{
    struct ledger_key key = ledger_key_named(name);
    return read_bytes(ledger, &key, out, err);
}

enum err_code ledger_mark(struct ledger *ledger, const struct hash *origin_hash, struct mark *out,
                          struct err *err)
{
    pthread_mutex_lock(&ledger->mark_lock);
    enum err_code rc = ledger->mark == NULL ? err_set(err, E_UNSUPPORTED, "there is no mark file")
                                            : mark_file_get(ledger->mark, origin_hash, out, err);
    pthread_mutex_unlock(&ledger->mark_lock);
    return rc;
}

struct each {
    enum err_code (*on_origin)(void *ctx, const struct hash *origin_hash,
                               const struct origin_state *state, struct err *err);
    void *ctx;
};

static enum err_code scan(struct ledger *ledger, struct span prefix,
                          enum err_code (*on_item)(void *ctx, struct span key, struct span value,
                                                   struct err *err),
                          void *ctx, struct err *err)
{
    pthread_rwlock_rdlock(&ledger->kv_lock);
    enum err_code rc = ledger->kv == NULL
                           ? err_set(err, E_UNAVAILABLE, "the store is being opened again")
                           : kv_scan(ledger->kv, prefix, on_item, ctx, err);
    pthread_rwlock_unlock(&ledger->kv_lock);
    return rc;
}

static enum err_code tell_state(void *ctx, struct span key, struct span bytes, struct err *err)
{
    const struct each *each = ctx;
    struct hash origin_hash;
    struct ledger_value value;
    if (!ledger_key_parse(LEDGER_KEY_STATE, key, &origin_hash)) {
        return err_set(err, E_CORRUPT, "the store has a key that is not ours");
    }
    enum err_code rc = ledger_value_parse(&value, bytes, err);
    return rc == E_OK ? each->on_origin(each->ctx, &origin_hash, &value.state, err) : rc;
}

enum err_code ledger_each(struct ledger *ledger,
                          enum err_code (*on_origin)(void *ctx, const struct hash *origin_hash,
                                                     const struct origin_state *state,
                                                     struct err *err),
                          void *ctx, struct err *err)
{
    struct each each = { on_origin, ctx };
    return scan(ledger, span_of_str(LEDGER_KEY_STATE), tell_state, &each, err);
}

struct each_peer {
    enum err_code (*on_note)(void *ctx, const struct hash *peer, struct span note, struct err *err);
    void *ctx;
};

static enum err_code tell_peer(void *ctx, struct span key, struct span bytes, struct err *err)
{
    const struct each_peer *each = ctx;
    struct hash peer;
    struct span note;
    if (!ledger_key_parse_peer(key, &peer)) {
        return err_set(err, E_CORRUPT, "the store has a key that is not ours");
    }
    enum err_code rc = ledger_value_parse_bytes(&note, bytes, err);
    return rc == E_OK ? each->on_note(each->ctx, &peer, note, err) : rc;
}

enum err_code ledger_each_peer(struct ledger *ledger, const struct hash *origin_hash,
                               enum err_code (*on_note)(void *ctx, const struct hash *peer,
                                                        struct span note, struct err *err),
                               void *ctx, struct err *err)
{
    struct ledger_key prefix = ledger_key_of(LEDGER_KEY_PEER, origin_hash);
    struct each_peer each = { on_note, ctx };
    return scan(ledger, ledger_key_span(&prefix), tell_peer, &each, err);
}

bool ledger_is_failing(struct ledger *ledger, char *reason, size_t reason_max)
{
    pthread_mutex_lock(&ledger->mutex);
    bool is_failing = ledger->is_failing;
    snprintf(reason, reason_max, "%s", ledger->reason);
    pthread_mutex_unlock(&ledger->mutex);
    return is_failing;
}

struct ledger_stats ledger_stats(const struct ledger *ledger)
{
    return (struct ledger_stats){ atomic_load(&ledger->commits), atomic_load(&ledger->groups),
                                  atomic_load(&ledger->bytes_written) };
}
