#include "monitor/watched_log.h"

#include "base/alloc.h"

#include <assert.h>
#include <pthread.h>

struct watched_log {
    struct watched_log_options options;
    struct hash origin_hash;
    pthread_mutex_t lock; /* of all below */
    struct held_tree held;
    struct watched_status status;
    struct history history;
};

void held_tree_clear(struct held_tree *held)
{
    buf_clear(&held->note);
    held->is_there = false;
}

struct watched_log *watched_log_new(const struct watched_log_options *options)
{
    assert(options->source_count <= WATCHED_SOURCES_MAX);
    struct watched_log *log = NEW(struct watched_log);
    log->options = *options;
    log->origin_hash = sha256(span_of_str(options->log->vkey.name));
    pthread_mutex_init(&log->lock, NULL);
    buf_init(&log->held.note, NOTE_BYTES_MAX);
    compact_range_init(&log->held.range);
    log->status.witness_count = policy_witness_count(options->policy);
    history_init(&log->history);
    return log;
}

void watched_log_free(struct watched_log *log)
{
    if (log != NULL) {
        held_tree_clear(&log->held);
        pthread_mutex_destroy(&log->lock);
        mem_free(log);
    }
}

const struct watched_log_options *watched_log_options(const struct watched_log *log)
{
    return &log->options;
}

const char *watched_log_origin(const struct watched_log *log)
{
    return log->options.log->vkey.name;
}

const struct hash *watched_log_origin_hash(const struct watched_log *log)
{
    return &log->origin_hash;
}

void watched_log_held(struct watched_log *log, struct held_tree *out)
{
    pthread_mutex_lock(&log->lock);
    *out = log->held;
    buf_init(&out->note, NOTE_BYTES_MAX);
    buf_put(&out->note, buf_span(&log->held.note));
    pthread_mutex_unlock(&log->lock);
}

void watched_log_hold(struct watched_log *log, struct held_tree *held)
{
    assert(held->is_there);
    pthread_mutex_lock(&log->lock);
    buf_clear(&log->held.note);
    log->held = *held;
    log->status.is_verified = true;
    log->status.held_size = held->range.size;
    log->status.verified_s = held->verified_s;
    log->status.has_trusted_start = held->has_trusted_start;
    log->status.trusted_start = held->trusted_start;
    pthread_mutex_unlock(&log->lock);
    buf_init(&held->note, NOTE_BYTES_MAX);
}

void watched_log_status(struct watched_log *log, struct watched_status *out)
{
    pthread_mutex_lock(&log->lock);
    *out = log->status;
    pthread_mutex_unlock(&log->lock);
}

void watched_log_update(struct watched_log *log,
                        void (*change)(void *ctx, struct watched_status *status), void *ctx)
{
    pthread_mutex_lock(&log->lock);
    change(ctx, &log->status);
    pthread_mutex_unlock(&log->lock);
}

void watched_log_history(struct watched_log *log, struct history *out)
{
    pthread_mutex_lock(&log->lock);
    *out = log->history;
    pthread_mutex_unlock(&log->lock);
}

void watched_log_add_sample(struct watched_log *log, int64_t unix_s, uint64_t size)
{
    pthread_mutex_lock(&log->lock);
    history_add(&log->history, unix_s, size);
    pthread_mutex_unlock(&log->lock);
}

void watched_log_load_history(struct watched_log *log, const struct history *history)
{
    pthread_mutex_lock(&log->lock);
    log->history = *history;
    pthread_mutex_unlock(&log->lock);
}

void watched_log_put_key(struct buf *out, const struct watched_log *log, const char *rest)
{
    buf_put_str(out, "log/");
    buf_put(out, hash_span(&log->origin_hash));
    buf_put_u8(out, '/');
    buf_put_str(out, rest);
}
