#include "monitor/alert_sink_parts.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/file.h"
#include "store/key_file.h"

#include <assert.h>

enum {
    NAME_HASH_CHARS = 16, /* at the end of a name that was cut */
};

static const char *const kind_texts[] = {
    [ALERT_SINK_WEBHOOK] = "webhook", [ALERT_SINK_ALERTMANAGER] = "alertmanager",
    [ALERT_SINK_MAIL] = "mail",       [ALERT_SINK_SYSLOG] = "syslog",
    [ALERT_SINK_COMMAND] = "command",
};

uint32_t alert_sink_timeout_ms(const struct alert_sink *sink)
{
    return sink->options.timeout_ms != 0 ? sink->options.timeout_ms
                                         : (uint32_t)ALERT_SINK_TIMEOUT_MS;
}

/* -- targets -- */

/* Takes "SCHEME://" of one of the two; the rest begins with a host, and has neither blanks nor control
 * characters. */
static bool take_scheme(struct span *rest, const char *scheme, const char *safe_scheme)
{
    if (!span_take_prefix(rest, span_of_str(scheme)) &&
        !span_take_prefix(rest, span_of_str(safe_scheme))) {
        return false;
    }
    for (size_t i = 0; i < rest->len; i++) {
        if (rest->data[i] <= ' ' || rest->data[i] >= 0x7f) {
            return false;
        }
    }
    return rest->len > 0 && strchr("/?#:", rest->data[0]) == NULL;
}

/* The bytes before the path. */
static size_t authority_bytes(struct span rest)
{
    size_t len = 0;
    while (len < rest.len && strchr("/?#\\", rest.data[len]) == NULL) {
        len++;
    }
    return len;
}

static enum err_code check_target(const struct alert_sink_options *options, struct err *err)
{
    struct span rest = span_of_str(options->target != NULL ? options->target : "");
    switch (options->kind) {
    case ALERT_SINK_WEBHOOK:
    case ALERT_SINK_ALERTMANAGER:
        return take_scheme(&rest, "http://", "https://")
                   ? E_OK
                   : err_set(err, E_MALFORMED, "not an http:// or https:// URL");
    case ALERT_SINK_MAIL:
        if (!take_scheme(&rest, "smtp://", "smtps://") ||
            span_find(rest, span_of_str("@")) != SIZE_MAX) {
            return err_set(err, E_MALFORMED, "not smtp://HOST:PORT or smtps://HOST:PORT");
        }
        return alert_sink_check_mail(options, err);
    case ALERT_SINK_COMMAND:
        return rest.len > 0 && rest.data[0] == '/'
                   ? E_OK
                   : err_set(err, E_MALFORMED, "not an absolute path");
    case ALERT_SINK_SYSLOG:
        break;
    }
    return E_OK;
}

/* -- names -- */

/* The URL without user and password. */
static void put_url(struct buf *out, const char *url)
{
    struct span rest = span_of_str(url);
    size_t slashes = span_find(rest, span_of_str("://"));
    assert(slashes != SIZE_MAX);
    buf_put(out, span_slice(rest, 0, slashes + 3));
    rest = span_slice(rest, slashes + 3, rest.len - slashes - 3);
    size_t at = span_find_last(span_slice(rest, 0, authority_bytes(rest)), span_of_str("@"));
    if (at != SIZE_MAX) {
        rest = span_slice(rest, at + 1, rest.len - at - 1);
    }
    buf_put(out, rest);
}

static void put_name(struct buf *out, const struct alert_sink_options *options)
{
    buf_put_str(out, kind_texts[options->kind]);
    if (options->kind == ALERT_SINK_MAIL) {
        for (size_t i = 0; i < options->mail_to_count; i++) {
            buf_putf(out, "%s%s", i > 0 ? ", " : " ", options->mail_to[i]);
        }
        buf_put_str(out, " by ");
        put_url(out, options->target);
    } else if (options->kind == ALERT_SINK_COMMAND) {
        buf_put_str(out, " ");
        ascii_put_escaped(out, span_of_str(options->target), SIZE_MAX);
    } else if (options->kind != ALERT_SINK_SYSLOG) {
        buf_put_str(out, " ");
        put_url(out, options->target);
    }
}

/* A name that is too long is cut, and ends with a hash of it all: two sinks never have one queue. */
static void set_name(struct alert_sink *sink)
{
    struct buf name = BUF_INIT(SIZE_MAX);
    put_name(&name, &sink->options);
    if (name.len >= ALERT_SINK_NAME_MAX) {
        struct hash hash = sha256(buf_span(&name));
        buf_truncate(&name, ALERT_SINK_NAME_MAX - 1 - NAME_HASH_CHARS - 3);
        buf_put_str(&name, "...");
        hex_put(&name, span_of(hash.bytes, NAME_HASH_CHARS / 2));
    }
    memcpy(sink->name, name.data, name.len);
    sink->name[name.len] = 0;
    buf_clear(&name);
}

const char *alert_sink_name(const struct alert_sink *sink)
{
    return sink->name;
}

/* -- secrets -- */

enum err_code alert_sink_read_secret(struct buf *out, const char *path, struct err *err)
{
    struct buf text = BUF_INIT(ALERT_SINK_SECRET_MAX);
    enum err_code rc = key_file_check_private(path, err);
    if (rc == E_OK) {
        rc = file_read(&text, path, err);
    }
    struct span rest = buf_span(&text), line = rest;
    if (rc == E_OK) {
        span_take_until(&rest, '\n', &line);
        if (line.len > 0 && line.data[line.len - 1] == '\r') {
            line.len--;
        }
        bool is_clean = line.len > 0;
        for (size_t i = 0; i < line.len; i++) {
            is_clean = is_clean && line.data[i] >= ' ' && line.data[i] != 0x7f;
        }
        rc = is_clean ? buf_append(out, line, err)
                      : err_set(err, E_MALFORMED,
                                "%s: the first line is empty, or has control characters", path);
    }
    if (text.data != NULL) {
        crypto_wipe(text.data, text.cap);
    }
    buf_clear(&text);
    return rc;
}

/* -- life -- */

/* Alertmanager's address is that of its API. */
static char *make_url(const struct alert_sink_options *options)
{
    struct buf url = BUF_INIT(SIZE_MAX);
    struct span target = span_of_str(options->target);
    if (options->kind == ALERT_SINK_ALERTMANAGER) {
        while (target.data[target.len - 1] == '/') {
            target.len--;
        }
    }
    buf_put(&url, target);
    if (options->kind == ALERT_SINK_ALERTMANAGER) {
        buf_put_str(&url, "/api/v2/alerts");
    }
    char *text = mem_strdup(buf_c_str(&url));
    buf_clear(&url);
    return text;
}

enum err_code alert_sink_open(struct alert_sink **out, const struct alert_sink_options *options,
                              struct err *err)
{
    enum err_code rc = check_target(options, err);
    if (rc != E_OK) {
        return err_wrap(err, "%s", kind_texts[options->kind]);
    }
    struct alert_sink *sink = NEW(struct alert_sink);
    sink->options = *options;
    set_name(sink);
    if (options->kind == ALERT_SINK_WEBHOOK || options->kind == ALERT_SINK_ALERTMANAGER) {
        sink->url = make_url(options);
        sink->fetcher =
            http_fetcher_new(&(struct http_client_options){ .ca_file = options->ca_file });
    }
    *out = sink;
    return E_OK;
}

void alert_sink_close(struct alert_sink *sink)
{
    if (sink != NULL) {
        http_fetcher_free(sink->fetcher);
        mem_free(sink->url);
        mem_free(sink);
    }
}

enum err_code alert_sink_send(struct alert_sink *sink, const struct delivery *delivery,
                              int64_t now_s, struct err *err)
{
    switch (sink->options.kind) {
    case ALERT_SINK_WEBHOOK:
    case ALERT_SINK_ALERTMANAGER:
        return alert_sink_send_web(sink, delivery, now_s, err);
    case ALERT_SINK_MAIL:
        return alert_sink_send_mail(sink, delivery, now_s, err);
    case ALERT_SINK_SYSLOG:
        return alert_sink_send_syslog(sink, delivery, now_s, err);
    case ALERT_SINK_COMMAND:
        break;
    }
    return alert_sink_send_command(sink, delivery, now_s, err);
}
