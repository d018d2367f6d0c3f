#include "cli/http_add.h"

#include "base/alloc.h"
#include "base/ascii.h"
#include "base/limits.h"
#include "client/log_address.h"

#include <stdio.h>

enum {
    REPLY_BYTES_MAX = 4096,
    TIMEOUT_MS = 30 * 1000,
};

struct http_add {
    void *ctx;
    void (*on_done)(void *ctx, uint64_t index, const struct err *failure);
};

static enum err_code code_of_status(int status)
{
    switch (status) {
    case 400:
        return E_MALFORMED;
    case 403:
        return E_DENIED;
    case 404:
    case 405:
        return E_UNSUPPORTED;
    case 413:
        return E_TOO_LARGE;
    case 503:
        return E_UNAVAILABLE;
    default:
        return E_IO;
    }
}

static enum err_code read_reply(const struct http_reply *reply, uint64_t *index, struct err *err)
{
    struct span body = buf_span(&reply->body);
    if (reply->status == 200) {
        if (decimal_parse(index, body, SIZE_VALUE_MAX, err) != E_OK) {
            return err_wrap(err, "the log's answer is not an index");
        }
        return E_OK;
    }
    struct buf words = BUF_INIT(8 * ERROR_TEXT_BYTES_MAX);
    ascii_put_escaped(&words, body, ERROR_TEXT_BYTES_MAX);
    enum err_code code = code_of_status(reply->status);
    err_set(err, code, "POST /add: status %d%s %.*s", reply->status,
            code == E_UNSUPPORTED ? " (is http-add on?)" : "", (int)words.len,
            (const char *)words.data);
    buf_clear(&words);
    return code;
}

static void on_reply(void *ctx, enum err_code code, struct http_reply *reply,
                     const struct err *failure)
{
    struct http_add *add = ctx;
    struct err err;
    uint64_t index = 0;
    if (code == E_OK && read_reply(reply, &index, &err) == E_OK) {
        add->on_done(add->ctx, index, NULL);
    } else {
        add->on_done(add->ctx, 0, code == E_OK ? &err : failure);
    }
    mem_free(add);
}

void http_add_start(struct http_client *client, const char *url, struct span entry, void *ctx,
                    void (*on_done)(void *ctx, uint64_t index, const struct err *failure))
{
    char target[LOG_ADDRESS_MAX + 8];
    snprintf(target, sizeof target, "%s/add", url);
    struct http_add *add = NEW(struct http_add);
    *add = (struct http_add){ ctx, on_done };
    const struct http_client_request request = { .method = "POST",
                                                 .url = target,
                                                 .body = entry,
                                                 .reply_bytes_max = REPLY_BYTES_MAX,
                                                 .timeout_ms = TIMEOUT_MS };
    http_client_start(client, &request, add, on_reply);
}
