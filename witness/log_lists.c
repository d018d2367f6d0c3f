#include "witness/log_lists.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "base/log.h"
#include "net/http_client.h"
#include "witness/settings.h"

#include <assert.h>
#include <stdlib.h>

enum {
    COPY_MODE = 0600,
    RETRY_MS = 10 * 60 * 1000, /* after a failed poll, if that is sooner */
};

/* The state that a log not yet known has in the ledger. */
struct held {
    struct hash origin_hash;
    struct origin_state state;
};

/* One reading of one list, from its bytes to the table. */
struct load {
    struct log_lists *lists;
    const char *source; /* path or URL, for the log too */
    bool is_network;
    size_t index;    /* of a network list */
    bool is_copy;    /* what was kept of it, at the start */
    bool is_fetched; /* `bytes` are there already */
    char *copy;      /* where to keep it; or NULL; owned */
    struct buf bytes;
    struct log_list list;
    struct held *held; /* by hash; owned */
    size_t held_count;
    bool is_ledger; /* what failed is the ledger */
    enum err_code rc;
    struct err err;
};

struct log_lists {
    struct log_lists_options options;
    struct http_client *client;
    struct load **fetching; /* of each list, or NULL; owned, as what they point to */
    uv_timer_t timer;
    size_t loading; /* of ours, on workers */
    bool has_failed;
    bool is_closing;
    int open; /* handles that are not closed yet */
    void *closed_ctx;
    void (*on_closed)(void *ctx);
};

/* -- Loading: all that may wait for the disk -- */

static struct load *load_new(struct log_lists *lists, const char *source)
{
    struct load *load = NEW(struct load);
    load->lists = lists;
    load->source = source;
    buf_init(&load->bytes, LOG_LIST_BYTES_MAX);
    return load;
}

static struct load *load_new_network(struct log_lists *lists, size_t index)
{
    struct load *load = load_new(lists, lists->options.lists[index]);
    struct hash name = sha256(span_of_str(load->source));
    struct buf hex = BUF_INIT(2 * HASH_BYTES + 1);
    hex_put(&hex, hash_span(&name));
    load->is_network = true;
    load->index = index;
    load->copy = file_join(lists->options.copies, buf_c_str(&hex));
    buf_clear(&hex);
    return load;
}

static void load_free(struct load *load)
{
    mem_free(load->copy);
    buf_clear(&load->bytes);
    log_list_clear(&load->list);
    mem_free(load->held);
    mem_free(load);
}

static int compare_held(const void *a, const void *b)
{
    const struct held *x = a, *y = b;
    return memcmp(x->origin_hash.bytes, y->origin_hash.bytes, HASH_BYTES);
}

/* The states of all its logs that we do not know yet. */
static enum err_code read_states(struct load *load, struct err *err)
{
    const struct log_lists_options *options = &load->lists->options;
    load->held = mem_calloc(load->list.count + 1, sizeof *load->held);
    for (size_t i = 0; i < load->list.count; i++) {
        struct held held = { .origin_hash = sha256(span_of_str(load->list.items[i].origin)) };
        if (log_table_find_hash(options->logs, &held.origin_hash) != NULL) {
            continue;
        }
        if (ledger_state(options->ledger, &held.origin_hash, &held.state, err) != E_OK) {
            load->is_ledger = true;
            return err_wrap(err, "the state of %s", load->list.items[i].origin);
        }
        load->held[load->held_count++] = held;
    }
    qsort(load->held, load->held_count, sizeof *load->held, compare_held);
    return E_OK;
}

static enum err_code check_names(const struct load *load, struct err *err)
{
    const char *own_name = load->lists->options.own_name;
    for (size_t i = 0; i < load->list.count && !load->is_network; i++) {
        if (strcmp(load->list.items[i].origin, own_name) == 0) {
            return err_set(
                err, E_MALFORMED,
                "a log has the name of our own key, %s: a witness's name must be no log's",
                own_name);
        }
    }
    return E_OK;
}

static enum err_code read_list(struct load *load, struct err *err)
{
    const char *path = load->is_copy ? load->copy : load->source;
    enum err_code rc = load->is_fetched ? E_OK : file_read(&load->bytes, path, err);
    if (rc == E_OK) {
        rc = load->is_network ? log_list_parse_network(&load->list, buf_span(&load->bytes), err)
                              : log_list_parse(&load->list, buf_span(&load->bytes), err);
    }
    if (rc == E_OK) {
        rc = check_names(load, err);
    }
    return rc;
}

/* A copy that cannot be written is missed at the next start only. */
static void keep_copy(const struct load *load)
{
    struct buf held = BUF_INIT(LOG_LIST_BYTES_MAX);
    struct err err;
    bool is_same = file_read(&held, load->copy, &err) == E_OK &&
                   span_is_equal(buf_span(&held), buf_span(&load->bytes));
    if (!is_same && file_replace(load->copy, COPY_MODE, buf_span(&load->bytes), &err) != E_OK) {
        log_error(LOG_LEVEL_WARN, "log_list_not_kept", &err);
    }
    buf_clear(&held);
}

static void load_run(void *arg)
{
    struct load *load = arg;
    load->rc = read_list(load, &load->err);
    if (load->rc == E_OK) {
        load->rc = read_states(load, &load->err);
    }
    if (load->rc == E_OK && load->is_network && !load->is_copy) {
        keep_copy(load);
    }
}

/* -- Adding: on the loop -- */

static void on_added(void *ctx, struct known_log *log)
{
    struct load *load = ctx;
    struct held key = { .origin_hash = log->origin_hash };
    const struct held *held =
        bsearch(&key, load->held, load->held_count, sizeof *load->held, compare_held);
    assert(held != NULL); /* it was not known before, and only this thread adds */
    log->state = held->state;
    load->lists->options.on_added(load->lists->options.ctx, log);
}

static void load_add(struct load *load)
{
    const struct log_lists_options *options = &load->lists->options;
    struct log_table_change change = log_table_add(options->logs, &load->list, load->is_network,
                                                   options->own_name, load, on_added);
    log_event(
        LOG_LEVEL_INFO, "logs_read",
        "source=%s added_logs=%zu added_keys=%zu refused=%zu skipped=%zu left_out=%zu logs=%zu",
        log_quoted_str(load->source).text, change.added_logs, change.added_keys, change.refused,
        load->list.skipped, change.left_out, log_table_count(options->logs));
    if (change.missing > 0) {
        log_event(LOG_LEVEL_WARN, "logs_stay", "source=%s keys=%zu reason=%s",
                  log_quoted_str(load->source).text, change.missing,
                  log_quoted_str("not listed any more, but stays: logs are add-only").text);
    }
}

static void arm(struct log_lists *lists);
static void close_if_idle(struct log_lists *lists);

static void load_done(void *arg)
{
    struct load *load = arg;
    struct log_lists *lists = load->lists;
    lists->loading--;
    if (load->rc == E_OK) {
        load_add(load);
    } else {
        lists->has_failed |= load->is_network;
        err_wrap(&load->err, "%s", load->source);
        log_error(LOG_LEVEL_ERROR, "logs_not_read", &load->err);
    }
    load_free(load);
    if (lists->is_closing) {
        close_if_idle(lists);
    } else {
        arm(lists);
    }
}

static void load_start(struct load *load)
{
    load->lists->loading++;
    work_post_then(load->lists->options.work, load, load_run, load_done);
}

/* -- Polling -- */

static void on_fetched(void *ctx, enum err_code code, struct http_reply *reply,
                       const struct err *err)
{
    struct load *load = ctx;
    struct err status = { .code = code };
    load->lists->fetching[load->index] = NULL;
    if (code == E_OK && reply->status == 200) {
        buf_take(&load->bytes, &reply->body);
        load->is_fetched = true;
        load_start(load);
        return;
    }
    if (code == E_OK) {
        err_set(&status, E_IO, "%s: status %d", load->source, reply->status);
    } else {
        status = *err;
        err_wrap(&status, "%s", load->source);
    }
    log_error(LOG_LEVEL_WARN, "log_list_not_fetched", &status);
    load->lists->has_failed = true;
    arm(load->lists);
    load_free(load);
}

static void poll_one(struct log_lists *lists, size_t index)
{
    if (lists->fetching[index] != NULL) {
        return;
    }
    struct load *load = load_new_network(lists, index);
    if (!witness_settings_is_url(load->source)) {
        load_start(load);
        return;
    }
    lists->fetching[index] = load;
    struct http_client_request request = {
        .method = "GET",
        .url = load->source,
        .reply_bytes_max = LOG_LIST_BYTES_MAX,
    };
    http_client_start(lists->client, &request, load, on_fetched);
}

static void poll_all(struct log_lists *lists)
{
    lists->has_failed = false;
    for (size_t i = 0; i < lists->options.list_count; i++) {
        poll_one(lists, i);
    }
    arm(lists);
}

static void on_timer(uv_timer_t *timer)
{
    poll_all(timer->data);
}

static void arm(struct log_lists *lists)
{
    if (lists->options.list_count > 0) {
        uint64_t poll_ms = lists->options.poll_ms;
        bool is_sooner = lists->has_failed && poll_ms > RETRY_MS;
        uv_timer_start(&lists->timer, on_timer, is_sooner ? RETRY_MS : poll_ms, 0);
    }
}

/* -- Start and stop -- */

/* At once, on the main thread, before the loop runs. */
static enum err_code load_now(struct load *load, bool *is_ledger, struct err *err)
{
    load_run(load);
    enum err_code rc = load->rc;
    if (rc == E_OK) {
        load_add(load);
    } else {
        *err = load->err;
        err_wrap(err, "%s", load->source);
        *is_ledger |= load->is_ledger;
    }
    load_free(load);
    return rc;
}

/* The list itself when it is a file here, else what was kept of it. */
static enum err_code load_network_now(struct log_lists *lists, size_t index, bool *is_ledger,
                                      struct err *err)
{
    if (!witness_settings_is_url(lists->options.lists[index])) {
        if (load_now(load_new_network(lists, index), is_ledger, err) == E_OK) {
            return E_OK;
        }
        log_error(LOG_LEVEL_ERROR, "logs_not_read", err);
    }
    struct load *load = load_new_network(lists, index);
    load->is_copy = true;
    enum err_code rc = load_now(load, is_ledger, err);
    if (rc != E_OK && rc != E_NOT_FOUND) {
        log_error(LOG_LEVEL_ERROR, "logs_not_read", err);
    }
    return *is_ledger ? rc : E_OK;
}

static void on_handle_closed(struct log_lists *lists)
{
    lists->open--;
    close_if_idle(lists);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_handle_closed(handle->data);
}

static void on_client_closed(void *ctx)
{
    on_handle_closed(ctx);
}

enum err_code log_lists_open(struct log_lists **out, const struct log_lists_options *options,
                             bool *is_ledger, struct err *err)
{
    struct log_lists *lists = NEW(struct log_lists);
    lists->options = *options;
    *is_ledger = false;
    enum err_code rc = E_OK;
    if (options->path != NULL) {
        rc = load_now(load_new(lists, options->path), is_ledger, err);
    }
    for (size_t i = 0; i < options->list_count && rc == E_OK; i++) {
        rc = load_network_now(lists, i, is_ledger, err);
    }
    if (rc != E_OK) {
        mem_free(lists);
        return rc;
    }
    *out = lists;
    return E_OK;
}

void log_lists_start(struct log_lists *lists)
{
    struct http_client_options options = { .connections_max = 4 };
    lists->fetching = mem_calloc(lists->options.list_count + 1, sizeof(struct load *));
    lists->client = http_client_new(lists->options.loop, &options);
    uv_timer_init(lists->options.loop, &lists->timer);
    lists->timer.data = lists;
    lists->open = 2;
    poll_all(lists);
}

void log_lists_reload(struct log_lists *lists)
{
    if (lists->is_closing) {
        return;
    }
    if (lists->options.path != NULL) {
        load_start(load_new(lists, lists->options.path));
    }
    poll_all(lists);
}

static void close_if_idle(struct log_lists *lists)
{
    if (lists->open > 0 || lists->loading > 0) {
        return;
    }
    void *ctx = lists->closed_ctx;
    void (*on_closed)(void *) = lists->on_closed;
    mem_free(lists->fetching);
    mem_free(lists);
    on_closed(ctx);
}

void log_lists_close(struct log_lists *lists, void *ctx, void (*on_closed)(void *ctx))
{
    lists->is_closing = true;
    lists->closed_ctx = ctx;
    lists->on_closed = on_closed;
    uv_close((uv_handle_t *)&lists->timer, on_timer_closed);
    http_client_close(lists->client, lists, on_client_closed);
    for (size_t i = 0; i < lists->options.list_count; i++) {
        if (lists->fetching[i] != NULL) {
            load_free(lists->fetching[i]); /* its transfer is cancelled, and tells nobody */
        }
    }
}
