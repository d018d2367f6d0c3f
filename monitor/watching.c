#include "monitor/watching.h"

#include "base/alloc.h"
#include "monitor/together.h"
#include "store/tiles_posix.h"

enum {
    /* Together less than the silence of a follower that health takes for a failure (parts.c): a log that hangs
     * is found unreachable, and is no fault of ours. Enough for the largest bundle at 1 MB/s. */
    REQUEST_TIMEOUT_MS = 25 * 1000,
    REQUEST_TRIES = 2,
    RELAY_TIMEOUT_MS = 10 * 1000, /* a person waits */
};

struct watching {
    struct watching_options options;
    struct record_options records;
    atomic_uint reloads;       /* of case keys */
    struct tiles **archives;   /* of each log; owned; NULL: none is kept */
    struct vantage_log *views; /* what vantages are told of the logs; owned */
};

/* -- opening -- */

static enum err_code open_reader(void *ctx, struct log_reader **out, struct err *err)
{
    return log_reader_open_within(out, ctx, REQUEST_TIMEOUT_MS, REQUEST_TRIES, err);
}

static enum err_code open_relayed(void *ctx, struct log_reader **out, struct err *err)
{
    return log_reader_open_within(out, ctx, RELAY_TIMEOUT_MS, 1, err);
}

static void add_source(struct watched_log_options *log, const struct log_address *address)
{
    if (log->source_count < WATCHED_SOURCES_MAX) {
        log->sources[log->source_count++] =
            (struct scan_source){ .ctx = (void *)address, .open = open_reader };
    }
}

/* The log itself, then whatever vantage might have its files: one that has not answers 404. */
static void add_sources(struct watched_log_options *log, const struct watch_item *item,
                        const struct monitor_settings *settings)
{
    add_source(log, &item->address);
    for (size_t i = 0; i < settings->vantage_count; i++) {
        const struct log_address *address = &settings->vantage_addresses[i];
        if (address->kind == LOG_ADDRESS_HTTP &&
            strcmp(address->target, item->address.target) != 0) {
            add_source(log, address);
        }
    }
}

static enum err_code open_archive(struct watching *watching, size_t i, struct err *err)
{
    const struct watching_options *options = &watching->options;
    if (!options->settings->is_archiving) {
        return E_OK;
    }
    char *path =
        monitor_dir_archive_of(options->dir, watched_log_origin_hash(options->parts->logs[i]));
    enum err_code rc = tiles_posix_open(&watching->archives[i], path, err);
    mem_free(path);
    return rc;
}

static enum err_code open_log(struct watching *watching, size_t i, struct err *err)
{
    struct monitor_parts *parts = watching->options.parts;
    const struct watch_item *item = &watching->options.list->items[i];
    struct watched_log_options log = {
        .policy = item->policy,
        .log = item->log,
        .promise_key = item->promise_key,
        .thresholds = watching->options.settings->thresholds,
        .store = parts->store,
        .sink = alert_book_sink(parts->alerts),
    };
    add_sources(&log, item, watching->options.settings);
    log.relayed = (struct scan_source){ .ctx = (void *)&item->address, .open = open_relayed };
    parts->logs[i] = watched_log_new(&log);
    enum err_code rc = note_memory_open(&parts->memories[i], parts->logs[i], err);
    if (rc == E_OK) {
        rc = open_archive(watching, i, err);
    }
    watching->views[i] =
        (struct vantage_log){ .log = parts->logs[i], .memory = parts->memories[i] };
    return rc;
}

static void set_records(struct watching *watching)
{
    const struct record_settings *settings = &watching->options.settings->records;
    watching->records = (struct record_options){
        .verifies_signatures = settings->verifies_signatures,
        .unseal_after_s = settings->unseal_days * 86400,
        .key_dir_count = settings->key_dir_count,
        .key_dirs = settings->key_dirs,
        .reloads = &watching->reloads,
    };
}

static bool has_records(const struct watching *watching, size_t i)
{
    return record_settings_has_log(&watching->options.settings->records,
                                   watched_log_origin(watching->options.parts->logs[i]));
}

enum err_code watching_open(struct watching **out, const struct watching_options *options,
                            struct err *err)
{
    struct watching *watching = NEW(struct watching);
    struct monitor_parts *parts = options->parts;
    size_t count = options->list->count;
    enum err_code rc = E_OK;
    watching->options = *options;
    set_records(watching);
    watching->archives = mem_calloc(count + 1, sizeof(struct tiles *));
    watching->views = mem_calloc(count + 1, sizeof *watching->views);
    parts->logs = mem_calloc(count + 1, sizeof(struct watched_log *));
    parts->memories = mem_calloc(count + 1, sizeof(struct note_memory *));
    parts->followers = mem_calloc(count + 1, sizeof(struct follower *));
    parts->log_count = count;
    for (size_t i = 0; i < count && rc == E_OK; i++) {
        rc = open_log(watching, i, err);
    }
    if (rc != E_OK) {
        watching_free(watching);
        return rc;
    }
    *out = watching;
    return E_OK;
}

/* -- looking -- */

static void start_vantages(struct watching *watching)
{
    const struct monitor_settings *settings = watching->options.settings;
    struct monitor_parts *parts = watching->options.parts;
    for (size_t i = 0; i < settings->vantage_count; i++) {
        struct vantage_options options = {
            .text = settings->vantages[i],
            .address = settings->vantage_addresses[i],
            .logs = watching->views,
            .log_count = parts->log_count,
            .key = parts->key,
            .poll_ms = settings->poll_interval_ms,
        };
        parts->vantages[i] = vantage_start(&options);
        parts->vantage_count = i + 1;
    }
}

enum err_code watching_start(struct watching *watching, struct err *err)
{
    const struct monitor_settings *settings = watching->options.settings;
    struct monitor_parts *parts = watching->options.parts;
    for (size_t i = 0; i < parts->log_count; i++) {
        struct follower_options options = {
            .log = parts->logs[i],
            .memory = parts->memories[i],
            .archive = watching->archives[i],
            .scan_threads = (unsigned)settings->scan_threads,
            .poll_interval_ms = settings->poll_interval_ms,
            .trusted = buf_span(&watching->options.list->items[i].trusted),
            .records = has_records(watching, i) ? &watching->records : NULL,
        };
        if (follower_start(&parts->followers[i], &options, err) != E_OK) {
            return err_wrap(err, "log %zu of %zu", i + 1, parts->log_count);
        }
    }
    start_vantages(watching);
    return E_OK;
}

void watching_poll_now(struct watching *watching)
{
    struct monitor_parts *parts = watching->options.parts;
    atomic_fetch_add(&watching->reloads, 1);
    for (size_t i = 0; i < parts->log_count; i++) {
        follower_poll_now(parts->followers[i]);
    }
}

/* -- the end -- */

static void end_follower(void *arg)
{
    follower_end(arg);
}

static void stop_vantage(void *arg)
{
    vantage_stop(arg);
}

void watching_stop(struct watching *watching)
{
    struct monitor_parts *parts = watching->options.parts;
    struct together_task tasks[WATCHED_LOGS_MAX + VANTAGES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < parts->log_count; i++) {
        if (parts->followers[i] != NULL) {
            tasks[count++] = (struct together_task){ end_follower, parts->followers[i] };
        }
    }
    for (size_t i = 0; i < parts->vantage_count; i++) {
        tasks[count++] = (struct together_task){ stop_vantage, parts->vantages[i] };
    }
    parts->vantage_count = 0;
    together_run(tasks, count);
}

void watching_free(struct watching *watching)
{
    if (watching == NULL) {
        return;
    }
    struct monitor_parts *parts = watching->options.parts;
    for (size_t i = 0; i < parts->log_count; i++) {
        if (parts->followers[i] != NULL) {
            follower_free(parts->followers[i]);
        }
        if (watching->archives[i] != NULL) {
            tiles_close(watching->archives[i]);
        }
        note_memory_free(parts->memories[i]);
        if (parts->logs[i] != NULL) {
            watched_log_free(parts->logs[i]);
        }
    }
    parts->log_count = 0;
    mem_free(parts->logs);
    mem_free(parts->memories);
    mem_free(parts->followers);
    mem_free(watching->archives);
    mem_free(watching->views);
    mem_free(watching);
}
