#include "base/alloc.h"
#include "base/log.h"
#include "witness/ledger_parts.h"

#include <assert.h>
#include <limits.h>

enum {
    PRUNED_MAX = 4,     /* seen notes dropped with one commit; one is enough in the long run */
    JOB_OVERHEAD = 1024 /* keys and the state, of one job in a batch */
};

static_assert(LEDGER_GROUP_BYTES_MAX + 2 * (LEDGER_NOTE_BYTES_MAX + JOB_OVERHEAD) <
                  KV_BATCH_BYTES_MAX,
              "the last job of a group fits");

/* --- What the store has of an origin. --- */

static enum err_code read_value(struct ledger *ledger, struct ledger_origin *origin,
                                struct ledger_value *out, struct err *err)
{
    struct ledger_key key = ledger_key_of(LEDGER_KEY_STATE, &origin->origin_hash);
    buf_reset(&ledger->scratch);
    enum err_code rc = kv_get(ledger->kv, ledger_key_span(&key), &ledger->scratch, err);
    if (rc == E_NOT_FOUND) {
        *out = (struct ledger_value){ .state = origin_state_new() };
        return E_OK;
    }
    return rc == E_OK ? ledger_value_parse(out, buf_span(&ledger->scratch), err) : rc;
}

/* The bytes are in ledger->scratch, empty when there is no such key. */
static enum err_code read_bytes(struct ledger *ledger, const char *prefix,
                                const struct hash *origin_hash, struct span *out, struct err *err)
{
    struct ledger_key key = ledger_key_of(prefix, origin_hash);
    buf_reset(&ledger->scratch);
    enum err_code rc = kv_get(ledger->kv, ledger_key_span(&key), &ledger->scratch, err);
    if (rc == E_NOT_FOUND) {
        *out = (struct span){ NULL, 0 };
        return E_OK;
    }
    return rc == E_OK ? ledger_value_parse_bytes(out, buf_span(&ledger->scratch), err) : rc;
}

static bool get_mark(struct ledger *ledger, const struct hash *origin_hash, struct mark *out)
{
    struct err err;
    pthread_mutex_lock(&ledger->mark_lock);
    bool has_mark =
        ledger->mark != NULL && mark_file_get(ledger->mark, origin_hash, out, &err) == E_OK;
    pthread_mutex_unlock(&ledger->mark_lock);
    return has_mark;
}

static bool is_mark_against(const struct mark *mark, const struct origin_state *state)
{
    return mark->size > state->size ||
           (mark->size == state->size && !hash_is_equal(&mark->root, &state->root));
}

/* Fills an origin from the store, unless it is known already. */
static enum err_code load_origin(struct ledger *ledger, struct ledger_origin *origin,
                                 struct err *err)
{
    if (origin->is_known) {
        return E_OK;
    }
    struct ledger_value value;
    struct span refused, note;
    enum err_code rc = read_value(ledger, origin, &value, err);
    rc = rc == E_OK ? read_bytes(ledger, LEDGER_KEY_REFUSED, &origin->origin_hash, &refused, err)
                    : rc;
    bool is_refused = rc == E_OK && refused.len != 0;
    rc = rc == E_OK ? read_bytes(ledger, LEDGER_KEY_NOTE, &origin->origin_hash, &note, err) : rc;
    if (rc == E_OK && note.len > LEDGER_NOTE_BYTES_MAX) {
        rc = err_set(err, E_CORRUPT, "a stored note is too large");
    }
    if (rc != E_OK) {
        return rc;
    }
    struct mark mark;
    origin->has_mark = get_mark(ledger, &origin->origin_hash, &mark);
    bool is_marked = origin->has_mark && is_mark_against(&mark, &value.state);
    origin->blocked = is_refused  ? "a note shows that this state is old"
                      : is_marked ? "the mark file is ahead of this state"
                                  : NULL;
    origin->oldest_count = origin->oldest_used = 0;
    pthread_mutex_lock(&ledger->mutex);
    origin->value = value;
    origin->is_known = true;
    buf_reset(&origin->note);
    buf_put(&origin->note, note);
    pthread_mutex_unlock(&ledger->mutex);
    return E_OK;
}

/* --- One job into the batch. --- */

static enum err_code check_forward(const struct origin_state *held, const struct origin_state *next,
                                   struct err *err)
{
    if (next->size < held->size) {
        return err_set(err, E_CONFLICT, "size %llu is behind the stored %llu",
                       (unsigned long long)next->size, (unsigned long long)held->size);
    }
    if (next->size == held->size && !hash_is_equal(&next->root, &held->root)) {
        return err_set(err, E_CONFLICT, "size %llu has another root already",
                       (unsigned long long)next->size);
    }
    if (next->timestamp < held->timestamp) {
        return err_set(err, E_CONFLICT, "time %llu is behind the stored %llu",
                       (unsigned long long)next->timestamp, (unsigned long long)held->timestamp);
    }
    return E_OK;
}

static enum err_code check_adopt(struct ledger *ledger, const struct ledger_job *job,
                                 const struct ledger_origin *origin, struct err *err)
{
    struct mark mark;
    if (job->state.size <= origin->value.state.size) {
        return err_set(err, E_CONFLICT, "size %llu is not larger than the stored %llu",
                       (unsigned long long)job->state.size,
                       (unsigned long long)origin->value.state.size);
    }
    if (get_mark(ledger, &job->origin_hash, &mark) && is_mark_against(&mark, &job->state)) {
        return err_set(err, E_CONFLICT,
                       "the mark at size %llu is ahead of size %llu, or has another root",
                       (unsigned long long)mark.size, (unsigned long long)job->state.size);
    }
    return E_OK;
}

/* Only this thread puts marks: who finds room has it. */
static bool has_mark_room(const struct ledger *ledger, bool has_mark)
{
    return has_mark || ledger->new_mark_count < mark_file_room(ledger->mark);
}

static void add_mark(struct ledger *ledger, const struct mark *mark, bool has_mark)
{
    ledger->marks[ledger->mark_count++] = *mark;
    ledger->new_mark_count += has_mark ? 0 : 1;
}

static void forget_marks(struct ledger *ledger)
{
    ledger->mark_count = ledger->new_mark_count = 0;
}

/* A mark that does not fit fails this commit alone, not the group, after which all would be tried again. */
static enum err_code check_mark_room(struct ledger *ledger, struct ledger_origin *origin,
                                     struct err *err)
{
    if (ledger->mark != NULL && !has_mark_room(ledger, origin->has_mark)) {
        return err_set(err, E_TOO_LARGE, "the mark file has no room for another origin");
    }
    return E_OK;
}

static enum err_code keep_oldest(void *ctx, struct span key, struct span value, struct err *err)
{
    struct ledger_origin *origin = ctx;
    (void)value;
    if (origin->oldest_count == LEDGER_OLDEST_MAX) {
        return err_set(err, E_EXISTS, "enough of them");
    }
    if (ledger_key_parse_seen(key, &origin->oldest[origin->oldest_count])) {
        origin->oldest_count++;
    }
    return E_OK;
}

/* Drops the oldest seen notes over the maximum. They are read ahead, many at a time, so that a commit
 * costs no scan. */
static enum err_code prune_seen(struct ledger *ledger, struct ledger_origin *origin,
                                uint32_t *seen_count, struct err *err)
{
    if (*seen_count <= LEDGER_SEEN_MAX) {
        return E_OK;
    }
    if (origin->oldest_used == origin->oldest_count) {
        struct ledger_key prefix = ledger_key_of(LEDGER_KEY_SEEN, &origin->origin_hash);
        origin->oldest_count = origin->oldest_used = 0;
        enum err_code rc = kv_scan(ledger->kv, ledger_key_span(&prefix), keep_oldest, origin, err);
        if (rc != E_OK && rc != E_EXISTS) {
            return rc;
        }
    }
    for (int i = 0; i<PRUNED_MAX && * seen_count> LEDGER_SEEN_MAX &&
                    origin->oldest_used < origin->oldest_count;
         i++) {
        struct ledger_key key =
            ledger_key_seen(&origin->origin_hash, origin->oldest[origin->oldest_used++]);
        kv_batch_delete(&ledger->batch, ledger_key_span(&key));
        --*seen_count;
    }
    return E_OK;
}

static void put_bytes(struct ledger *ledger, const struct ledger_key *key, struct span bytes)
{
    buf_reset(&ledger->scratch);
    ledger_value_put_bytes(&ledger->scratch, bytes);
    kv_batch_put(&ledger->batch, ledger_key_span(key), buf_span(&ledger->scratch));
}

/* The new state of an origin with its note; the value comes last, since it counts the notes. */
static enum err_code put_state(struct ledger *ledger, struct ledger_job *job,
                               struct ledger_origin *origin, struct err *err)
{
    const struct origin_state *held = &origin->value.state;
    struct ledger_value value = { .state = job->state, .seen_count = origin->value.seen_count };
    if (held->timestamp == 0 || job->state.size > held->size) {
        value.seen_count++;
    }
    enum err_code rc = prune_seen(ledger, origin, &value.seen_count, err);
    if (rc != E_OK) {
        return rc;
    }
    struct span note = span_of(job->bytes, job->len);
    struct ledger_key key = ledger_key_of(LEDGER_KEY_NOTE, &job->origin_hash);
    put_bytes(ledger, &key, note);
    key = ledger_key_seen(&job->origin_hash, job->state.size);
    put_bytes(ledger, &key, note);
    key = ledger_key_of(LEDGER_KEY_STATE, &job->origin_hash);
    buf_reset(&ledger->scratch);
    ledger_value_put(&ledger->scratch, &value);
    kv_batch_put(&ledger->batch, ledger_key_span(&key), buf_span(&ledger->scratch));
    if (ledger->mark != NULL) {
        struct mark mark = { job->origin_hash, job->state.size, job->state.root };
        add_mark(ledger, &mark, origin->has_mark);
    }
    job->value = value;
    return E_OK;
}

static enum err_code prepare_origin_job(struct ledger *ledger, struct ledger_job *job,
                                        struct ledger_origin *origin, struct err *err)
{
    enum err_code rc = load_origin(ledger, origin, err);
    if (rc != E_OK) {
        return rc;
    }
    struct ledger_key refused = ledger_key_of(LEDGER_KEY_REFUSED, &job->origin_hash);
    switch (job->kind) {
    case LEDGER_JOB_REFUSE:
        origin->blocked = "a note shows that this state is old";
        put_bytes(ledger, &refused, span_of(job->bytes, job->len));
        job->value = origin->value;
        return E_OK;
    case LEDGER_JOB_COMMIT:
        if (origin->blocked != NULL) {
            return err_set(err, E_DENIED, "%s", origin->blocked);
        }
        rc = check_forward(&origin->value.state, &job->state, err);
        break;
    default:
        rc = check_adopt(ledger, job, origin, err);
        break;
    }
    rc = rc == E_OK ? check_mark_room(ledger, origin, err) : rc;
    rc = rc == E_OK ? put_state(ledger, job, origin, err) : rc;
    if (rc == E_OK && job->kind == LEDGER_JOB_ADOPT) {
        kv_batch_delete(&ledger->batch, ledger_key_span(&refused));
    }
    return rc;
}

static void prepare(struct ledger *ledger, struct ledger_job *job, struct ledger_origin *origin)
{
    ledger->is_sync_due = ledger->is_sync_due || job->kind != LEDGER_JOB_PEER;
    if (origin == NULL && job->kind == LEDGER_JOB_PEER && job->len == 0) {
        kv_batch_delete(&ledger->batch, ledger_key_span(&job->key));
        return;
    }
    if (origin == NULL) {
        put_bytes(ledger, &job->key, span_of(job->bytes, job->len));
        return;
    }
    job->rc = prepare_origin_job(ledger, job, origin, &job->err);
    if (job->rc == E_OK) {
        job->origin = origin;
        origin->is_in_group = true;
    }
}

static struct ledger_origin *find_origin(struct ledger *ledger, const struct hash *origin_hash)
{
    pthread_mutex_lock(&ledger->mutex);
    struct ledger_origin *origin = ledger_origins_get(&ledger->origins, origin_hash);
    pthread_mutex_unlock(&ledger->mutex);
    return origin;
}

void ledger_group_prepare(struct ledger *ledger, struct ledger_jobs *jobs,
                          struct ledger_jobs *group)
{
    size_t count = 0, bytes = 0;
    kv_batch_reset(&ledger->batch);
    ledger->is_sync_due = false;
    forget_marks(ledger);
    STAILQ_INIT(group);
    while (!STAILQ_EMPTY(jobs) && count < LEDGER_GROUP_COMMITS_MAX &&
           bytes < LEDGER_GROUP_BYTES_MAX) {
        struct ledger_job *job = STAILQ_FIRST(jobs);
        bool has_key = job->kind == LEDGER_JOB_PUT || job->kind == LEDGER_JOB_PEER;
        struct ledger_origin *origin = has_key ? NULL : find_origin(ledger, &job->origin_hash);
        if (origin != NULL && origin->is_in_group) {
            break; /* it has to see what the first of them makes of the origin */
        }
        STAILQ_REMOVE_HEAD(jobs, next);
        STAILQ_INSERT_TAIL(group, job, next);
        prepare(ledger, job, origin);
        count++;
        bytes += 2 * job->len + JOB_OVERHEAD;
    }
}

/* --- Writing. --- */

static enum err_code put_marks(struct ledger *ledger, const struct mark *marks, size_t count,
                               struct err *err)
{
    pthread_mutex_lock(&ledger->mark_lock);
    enum err_code rc = mark_file_put(ledger->mark, marks, count, err);
    pthread_mutex_unlock(&ledger->mark_lock);
    return rc == E_OK ? E_OK : err_wrap(err, "mark file");
}

/* Shows what was written, or forgets what is not certain any more. */
static void settle(struct ledger *ledger, struct ledger_job *job, enum err_code rc,
                   const struct err *err)
{
    struct ledger_origin *origin = job->origin;
    if (job->rc != E_OK) {
        return;
    }
    if (rc != E_OK) {
        job->rc = rc;
        job->err = *err;
    }
    if (origin == NULL) {
        return;
    }
    bool has_state = job->kind != LEDGER_JOB_REFUSE;
    origin->is_in_group = false;
    if (rc == E_OK && has_state) {
        origin->blocked = NULL;
        origin->has_mark = ledger->mark != NULL;
        atomic_fetch_add(&ledger->commits, 1);
    }
    pthread_mutex_lock(&ledger->mutex);
    origin->is_known = rc == E_OK;
    if (rc == E_OK && has_state) {
        origin->value = job->value;
        buf_reset(&origin->note);
        buf_put(&origin->note, span_of(job->bytes, job->len));
    }
    pthread_mutex_unlock(&ledger->mutex);
}

enum err_code ledger_group_write(struct ledger *ledger, struct ledger_jobs *group,
                                 bool *is_store_bad, struct err *err)
{
    enum err_code rc = E_OK;
    *is_store_bad = false;
    if (ledger->batch.count != 0) {
        rc = ledger->is_sync_due ? kv_write_synced(ledger->kv, &ledger->batch, err)
                                 : kv_write(ledger->kv, &ledger->batch, err);
        *is_store_bad = rc != E_OK;
        atomic_fetch_add(&ledger->groups, ledger->is_sync_due ? 1 : 0);
        atomic_fetch_add(&ledger->bytes_written, ledger->batch.changes.len);
    }
    if (rc == E_OK && ledger->mark_count != 0) {
        rc = put_marks(ledger, ledger->marks, ledger->mark_count, err);
        atomic_fetch_add(&ledger->bytes_written, ledger->mark_count * sizeof(struct mark));
    }
    if (rc != E_OK) { /* before anybody may read an origin that is not certain any more */
        ledger_set_failing(ledger, err);
    }
    struct ledger_job *job;
    STAILQ_FOREACH(job, group, next)
    {
        settle(ledger, job, rc, err);
    }
    return rc;
}

/* --- Marks that are behind. --- */

struct raising {
    struct ledger *ledger;
    size_t skipped;
};

static enum err_code raise_mark(void *ctx, struct span key, struct span bytes, struct err *err)
{
    struct raising *raising = ctx;
    struct ledger *ledger = raising->ledger;
    struct hash origin_hash;
    struct ledger_value value;
    struct mark mark;
    struct err ignored;
    if (!ledger_key_parse(LEDGER_KEY_STATE, key, &origin_hash) ||
        ledger_value_parse(&value, bytes, &ignored) != E_OK) {
        raising->skipped++; /* told when somebody asks for this origin */
        return E_OK;
    }
    bool has_mark = get_mark(ledger, &origin_hash, &mark);
    if (has_mark && mark.size >= value.state.size) {
        return E_OK;
    }
    if (!has_mark_room(ledger, has_mark)) {
        raising->skipped++;
        return E_OK;
    }
    mark = (struct mark){ origin_hash, value.state.size, value.state.root };
    add_mark(ledger, &mark, has_mark);
    if (ledger->mark_count < LEDGER_GROUP_COMMITS_MAX) {
        return E_OK;
    }
    size_t count = ledger->mark_count;
    forget_marks(ledger);
    return put_marks(ledger, ledger->marks, count, err);
}

enum err_code ledger_raise_marks(struct ledger *ledger, struct err *err)
{
    if (ledger->mark == NULL) {
        return E_OK;
    }
    struct raising raising = { ledger, 0 };
    forget_marks(ledger);
    enum err_code rc =
        kv_scan(ledger->kv, span_of_str(LEDGER_KEY_STATE), raise_mark, &raising, err);
    if (rc == E_OK) { /* even if it is none: what failed before is then written again */
        rc = put_marks(ledger, ledger->marks, ledger->mark_count, err);
    }
    if (raising.skipped != 0) {
        log_event(LOG_LEVEL_ERROR, "marks_skipped", "states=%zu", raising.skipped);
    }
    return rc;
}
