/* Webhooks and Alertmanagers: one POST a delivery. The answer's status says whether it was taken; a redirect is a
 * refusal, for an alert goes where we were told and nowhere else. */
#include "base/ascii.h"
#include "monitor/alert_sink_parts.h"
#include "monitor/alert_text.h"

#include <assert.h>

enum {
    REPLY_BYTES_MAX = 4096,
    REPLY_SHOWN = 160, /* bytes, in an error */
};

/* "Bearer <token>", from the file as it is now. */
static enum err_code put_authorization(struct buf *out, const char *token_file, struct err *err)
{
    buf_put_str(out, "Bearer ");
    enum err_code rc = alert_sink_read_secret(out, token_file, err);
    return rc == E_OK ? E_OK : err_wrap(err, "token");
}

static enum err_code judge(const struct http_reply *reply, struct err *err)
{
    if (reply->status >= 200 && reply->status <= 299) {
        return E_OK;
    }
    struct buf shown = BUF_INIT(8 * REPLY_SHOWN);
    ascii_put_escaped(&shown, buf_span(&reply->body), REPLY_SHOWN);
    err_set(err, E_IO, "answered %d%s: \"%s\"", reply->status,
            reply->status >= 300 && reply->status <= 399 ? " (redirects are not followed)" : "",
            buf_c_str(&shown));
    buf_clear(&shown);
    return E_IO;
}

static enum err_code post(struct alert_sink *sink, struct span body, const char *authorization,
                          struct err *err)
{
    const struct http_header headers[] = { { "Content-Type", "application/json" },
                                           { "Authorization", authorization } };
    const struct http_client_request request = {
        .method = "POST",
        .url = sink->url,
        .headers = headers,
        .header_count = authorization != NULL ? 2 : 1,
        .body = body,
        .reply_bytes_max = REPLY_BYTES_MAX,
        .is_reply_cut = true, /* it has taken the alert, whatever else it says */
        .timeout_ms = alert_sink_timeout_ms(sink),
    };
    struct http_reply reply;
    enum err_code rc = http_fetcher_send(sink->fetcher, &request, &reply, err);
    if (rc == E_OK) {
        rc = judge(&reply, err);
        http_reply_clear(&reply);
    }
    return rc;
}

enum err_code alert_sink_send_web(struct alert_sink *sink, const struct delivery *delivery,
                                  int64_t now_s, struct err *err)
{
    const struct alert_sink_options *options = &sink->options;
    struct buf body = BUF_INIT(ALERT_TEXT_BYTES_MAX);
    struct buf authorization = BUF_INIT(ALERT_SINK_SECRET_MAX + 16);
    bool has_token = options->token_file != NULL;
    enum err_code rc =
        has_token ? put_authorization(&authorization, options->token_file, err) : E_OK;
    if (rc == E_OK) {
        if (options->kind == ALERT_SINK_ALERTMANAGER) {
            alert_text_put_alertmanager(&body, delivery, options->monitor_name, options->page_url,
                                        now_s);
        } else {
            alert_text_put_webhook(&body, delivery, options->monitor_name, options->page_url,
                                   now_s);
        }
        rc = post(sink, buf_span(&body), has_token ? buf_c_str(&authorization) : NULL, err);
    }
    if (authorization.data != NULL) {
        crypto_wipe(authorization.data, authorization.cap);
    }
    buf_clear(&authorization);
    buf_clear(&body);
    return rc;
}
