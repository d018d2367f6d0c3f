/* DIR/status is for whoever cannot open the store, because a submitter has it open: JSON, replaced every few seconds
 * without a sync, since it is made anew. */
#include "base/alloc.h"
#include "base/file.h"
#include "client/spool_parts.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    STATUS_BYTES_MAX = 4096
};

void spool_status(struct spool *spool, struct spool_status *out)
{
    uint64_t now_ms = spool_time_ms();
    pthread_mutex_lock(&spool->lock);
    const struct spool_entry *oldest = TAILQ_FIRST(&spool->queue.all);
    *out = (struct spool_status){
        .waiting = spool->queue.count,
        .waiting_bytes = spool->queue.bytes,
        .durable = spool->queue.durable,
        .refused_now = spool->queue.refused,
        .proved = spool->state.proved,
        .refused = spool->state.refused,
        .wrong = spool->state.wrong,
        .is_stopped = spool->state.is_stopped,
    };
    if (oldest != NULL && oldest->accepted_ms < now_ms) {
        out->lag_ms = now_ms - oldest->accepted_ms;
    }
    snprintf(out->reason, sizeof out->reason, "%s",
             spool->state.is_stopped ? spool->state.reason : spool->failure);
    pthread_mutex_unlock(&spool->lock);
}

/* ---- the file ---- */

static const char *const names[] = { "waiting", "waiting_bytes", "durable", "refused_now",
                                     "proved",  "refused",       "wrong",   "lag_ms" };
enum {
    NUMBERS = sizeof names / sizeof names[0]
};

static void numbers_of(uint64_t *out[static NUMBERS], struct spool_status *status)
{
    uint64_t *all[NUMBERS] = { &status->waiting,     &status->waiting_bytes, &status->durable,
                               &status->refused_now, &status->proved,        &status->refused,
                               &status->wrong,       &status->lag_ms };
    memcpy(out, all, sizeof all);
}

static bool write_file(const char *path, const char *text)
{
    (void)unlink(path); /* of a crash, or planted */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    size_t len = strlen(text);
    bool is_written = write(fd, text, len) == (ssize_t)len;
    return close(fd) == 0 && is_written;
}

void spool_status_write(struct spool *spool)
{
    struct spool_status status;
    uint64_t *numbers[NUMBERS];
    spool_status(spool, &status);
    numbers_of(numbers, &status);
    json_t *object = json_object();
    for (size_t i = 0; i < NUMBERS; i++) {
        json_object_set_new(object, names[i], json_integer((json_int_t)*numbers[i]));
    }
    json_object_set_new(object, "stopped", json_boolean(status.is_stopped));
    json_object_set_new(object, "reason", json_string(status.reason));
    char *text = json_dumps(object, JSON_COMPACT);
    char *path = file_join(spool->dir, "status");
    char *made = file_join(spool->dir, "status.tmp");
    if (text != NULL && write_file(made, text)) {
        (void)rename(made, path);
    }
    mem_free(path);
    mem_free(made);
    free(text);
    json_decref(object);
}

static enum err_code parse(struct spool_status *out, struct span text, struct err *err)
{
    json_t *object = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
    uint64_t *numbers[NUMBERS];
    struct spool_status status = { 0 };
    numbers_of(numbers, &status);
    bool is_whole = json_is_object(object);
    for (size_t i = 0; i < NUMBERS && is_whole; i++) {
        const json_t *value = json_object_get(object, names[i]);
        is_whole = json_is_integer(value) && json_integer_value(value) >= 0;
        *numbers[i] = is_whole ? (uint64_t)json_integer_value(value) : 0;
    }
    if (is_whole) {
        const char *reason = json_string_value(json_object_get(object, "reason"));
        status.is_stopped = json_is_true(json_object_get(object, "stopped"));
        snprintf(status.reason, sizeof status.reason, "%s", reason != NULL ? reason : "");
        *out = status;
    }
    json_decref(object);
    return is_whole ? E_OK : err_set(err, E_CORRUPT, "the spool's status file makes no sense");
}

static enum err_code read_file(struct spool_status *out, const char *dir, struct err *err)
{
    struct buf text = BUF_INIT(STATUS_BYTES_MAX);
    char *path = file_join(dir, "status");
    enum err_code rc = file_read(&text, path, err);
    if (rc == E_OK) {
        rc = parse(out, buf_span(&text), err);
    }
    mem_free(path);
    buf_clear(&text);
    return rc;
}

/* ---- a store that nobody has open ---- */

struct count {
    struct spool_status status;
    uint64_t oldest_ms;
    struct spool_store *store;
};

static void on_item(void *ctx, uint64_t ticket, const struct spool_stored *item)
{
    struct count *count = ctx;
    if (count->status.waiting++ == 0) {
        count->oldest_ms = item->accepted_ms;
    }
    count->status.waiting_bytes += item->entry.len + item->certificate.len;
    count->status.refused_now += spool_store_has_refusal(count->store, ticket);
}

static enum err_code count_items(struct spool_status *out, struct spool_store *store,
                                 const struct spool_state *state, struct err *err)
{
    struct count count = { .store = store };
    enum err_code rc = spool_store_scan(store, on_item, &count, err);
    if (rc != E_OK) {
        return rc;
    }
    uint64_t now_ms = spool_time_ms();
    *out = count.status;
    out->proved = state->proved;
    out->refused = state->refused;
    out->wrong = state->wrong;
    out->is_stopped = state->is_stopped;
    out->lag_ms = out->waiting > 0 && count.oldest_ms < now_ms ? now_ms - count.oldest_ms : 0;
    snprintf(out->reason, sizeof out->reason, "%s", state->reason);
    return E_OK;
}

enum err_code spool_status_read(struct spool_status *out, const char *dir, struct err *err)
{
    struct spool_store store;
    struct spool_state state;
    char origin[ORIGIN_BYTES_MAX + 1];
    enum err_code rc = spool_store_open_existing(&store, &state, origin, dir, err);
    if (rc == E_BUSY) {
        return read_file(out, dir, err);
    }
    if (rc == E_OK) {
        rc = count_items(out, &store, &state, err);
        spool_store_close(&store);
    }
    return rc;
}
