#include "client/verify_context.h"

#include "base/ascii.h"

#include <jansson.h>

enum {
    LOG_ID_BYTES = 16,
    LOG_ID_CHARS = 22, /* base64 without its padding */
};

void verify_context_put_log_id(struct buf *out, const char *origin)
{
    struct hash hash = sha256(span_of_str(origin));
    size_t start = out->len;
    base64_put(out, span_of(hash.bytes, LOG_ID_BYTES));
    buf_truncate(out, start + LOG_ID_CHARS);
    for (size_t i = start; i < out->len; i++) {
        uint8_t byte = out->data[i];
        out->data[i] = byte == '+' ? '-' : byte == '/' ? '_' : byte;
    }
}

/* Null for what is no UTF-8: a policy may be any bytes. */
static void set_text(json_t *object, const char *name, struct span text)
{
    json_t *value = json_stringn((const char *)text.data, text.len);
    json_object_set_new(object, name, value != NULL ? value : json_null());
}

static void set_str(json_t *object, const char *name, const char *text)
{
    set_text(object, name, span_of_str(text));
}

static void set_hash(json_t *object, const char *name, const struct hash *hash)
{
    struct buf hex = BUF_INIT(2 * HASH_BYTES);
    hex_put(&hex, hash_span(hash));
    set_text(object, name, buf_span(&hex));
    buf_clear(&hex);
}

static void set_policy(json_t *object, const struct verify_context *context,
                       const struct verify_context_log *log, size_t *left)
{
    bool has_policy = log->policy_hash != NULL;
    json_object_set_new(object, "policy_sha256", json_null());
    json_object_set_new(object, "policy", json_null());
    if (has_policy) {
        set_hash(object, "policy_sha256", log->policy_hash);
    }
    if (has_policy && log->policy.len <= *left) {
        set_text(object, "policy", log->policy);
        *left -= log->policy.len;
    }
    set_str(object, "policy_from", context->server);
}

static void set_tiles(json_t *object, const struct verify_context *context,
                      const struct verify_context_log *log)
{
    struct buf path = BUF_INIT(2 * HASH_BYTES + 16);
    if (!log->has_tiles) {
        json_object_set_new(object, "tiles", json_null());
    } else if (strcmp(context->server, VERIFY_CONTEXT_LOG) == 0) {
        set_str(object, "tiles", "/");
    } else {
        struct hash hash = sha256(span_of_str(log->origin));
        buf_put_str(&path, "/logs/");
        hex_put(&path, hash_span(&hash));
        buf_put_str(&path, "/");
        set_text(object, "tiles", buf_span(&path));
    }
    buf_clear(&path);
}

static json_t *alert_json(const struct verify_context_alert *alert)
{
    json_t *object = json_object();
    set_str(object, "id", alert->id);
    set_str(object, "code", alert->code);
    set_str(object, "severity", alert->severity);
    set_str(object, "state", alert->state);
    set_str(object, "summary", alert->summary);
    return object;
}

static void set_alerts(json_t *object, const struct verify_context_log *log)
{
    json_t *alerts = log->knows_alerts ? json_array() : json_null();
    for (size_t i = 0; log->knows_alerts && i < log->alert_count && i < VERIFY_CONTEXT_ALERTS_MAX;
         i++) {
        json_array_append_new(alerts, alert_json(&log->alerts[i]));
    }
    json_object_set_new(object, "alerts", alerts);
    json_object_set_new(object, "alerts_checked",
                        json_boolean(log->knows_alerts && log->is_checked));
}

static json_t *log_json(const struct verify_context *context, const struct verify_context_log *log,
                        size_t *left)
{
    json_t *object = json_object();
    struct buf id = BUF_INIT(2 * LOG_ID_CHARS);
    verify_context_put_log_id(&id, log->origin);
    set_str(object, "origin", log->origin);
    set_text(object, "log_id", buf_span(&id));
    set_policy(object, context, log, left);
    set_tiles(object, context, log);
    json_object_set_new(object, "size",
                        log->has_size ? json_integer((json_int_t)log->size) : json_null());
    set_alerts(object, log);
    buf_clear(&id);
    return object;
}

static json_t *context_json(const struct verify_context *context)
{
    json_t *object = json_object(), *logs = json_array();
    size_t left = VERIFY_CONTEXT_POLICIES_MAX;
    set_str(object, "page_sha256", context->page_hash);
    set_str(object, "server", context->server);
    set_str(object, "name", context->name);
    set_str(object, "version", COURTROLL_VERSION);
    json_object_set_new(object, "time", json_integer(context->now_s));
    for (size_t i = 0; i < context->log_count && i < VERIFY_CONTEXT_LOGS_MAX; i++) {
        json_array_append_new(logs, log_json(context, &context->logs[i], &left));
    }
    json_object_set_new(object, "logs", logs);
    return object;
}

static int put_chunk(const char *bytes, size_t len, void *ctx)
{
    struct err err;
    return buf_append(ctx, span_of(bytes, len), &err) == E_OK ? 0 : -1;
}

enum err_code verify_context_put(struct buf *out, const struct verify_context *context,
                                 struct err *err)
{
    json_t *object = context_json(context);
    int rc = json_dump_callback(object, put_chunk, out, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(object);
    return rc == 0 ? E_OK : err_set(err, E_TOO_LARGE, "the context is over its size limit");
}
