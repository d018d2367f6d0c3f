/* http_client.h -- HTTP requests to others: asynchronous on a libuv loop, or blocking.
 *
 * http:// and https:// only; redirects are not followed, a 3xx is a reply like any other. A reply's
 * body is bounded after decompression; `Content-Encoding: gzip` is undone, whether asked for or not
 * (C2SP tlog-tiles allows a log that). Certificates are checked. Connections are kept alive.
 * Proxies come from the environment, as for curl, but never for loopback hosts.
 *
 * A reply with any status is E_OK. Errors: E_MALFORMED (the URL, or not HTTP), E_TOO_LARGE,
 * E_TIMEOUT, E_IO (everything else on the way).
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "net/http_response.h"

#include <uv.h>

enum {
    HTTP_CONTENT_TYPE_MAX = 127 /* bytes kept of a reply's Content-Type */
};

/* Zeroes are defaults. Texts are copied. */
struct http_client_options {
    const char *user_agent;      /* default: courtroll/VERSION */
    const char *ca_file;         /* PEM, instead of the system's authorities */
    uint32_t connect_timeout_ms; /* default: HTTP_CLIENT_CONNECT_TIMEOUT_MS */
    uint32_t connections_max;    /* default: HTTP_CLIENT_CONNECTIONS_DEFAULT, over all hosts */
};

struct http_reply {
    int status;
    char content_type[HTTP_CONTENT_TYPE_MAX + 1]; /* as sent, "" when absent or longer */
    struct buf body;                              /* peer's bytes */
};

void http_reply_clear(struct http_reply *reply);

/* --- Asynchronous. Loop thread only. --- */

struct http_client;
struct http_transfer;

struct http_client_request {
    const char *method;                /* "GET" or "POST" */
    const char *url;                   /* copied, as are all below */
    const struct http_header *headers; /* further ones */
    size_t header_count;
    struct span body;       /* for POST; Content-Type is up to `headers`, by default none is sent */
    size_t reply_bytes_max; /* of the body, decompressed */
    bool is_reply_cut;      /* a longer body is cut there, instead of E_TOO_LARGE */
    uint32_t timeout_ms;    /* for all of it; 0 is the default of HTTP_CLIENT_TIMEOUT_MS */
};

struct http_client *http_client_new(uv_loop_t *loop, const struct http_client_options *options);

/* Starts a transfer. on_done is called once from the loop, never from here, with E_OK and the reply,
 * or with the code of `err` and NULL. It may buf_take the body; the reply is cleared when it returns.
 * The transfer is good until then. Cannot fail: a bad URL is reported by on_done. */
struct http_transfer *
http_client_start(struct http_client *client, const struct http_client_request *request, void *ctx,
                  void (*on_done)(void *ctx, enum err_code code, struct http_reply *reply,
                                  const struct err *err));

/* Ends the transfer without calling on_done. Not after on_done. */
void http_client_cancel(struct http_transfer *transfer);

/* Cancels what is in flight; on_closed is called from the loop, and the client is freed then. Not
 * from within on_done. */
void http_client_close(struct http_client *client, void *ctx, void (*on_closed)(void *ctx));

/* --- Blocking, for programs without a loop. One thread at a time. --- */

struct http_fetcher;

struct http_fetcher *http_fetcher_new(const struct http_client_options *options);
void http_fetcher_free(struct http_fetcher *fetcher); /* with what is in flight; NULL is fine */

/* Gets one URL. On E_OK the caller clears *reply. timeout_ms 0 is HTTP_CLIENT_TIMEOUT_MS. */
MUST_USE enum err_code http_fetcher_get(struct http_fetcher *fetcher, const char *url,
                                        size_t reply_bytes_max, uint32_t timeout_ms,
                                        struct http_reply *reply, struct err *err);

/* Posts `body`, which is borrowed for the call; otherwise as http_fetcher_get. */
MUST_USE enum err_code http_fetcher_post(struct http_fetcher *fetcher, const char *url,
                                         struct span body, size_t reply_bytes_max,
                                         uint32_t timeout_ms, struct http_reply *reply,
                                         struct err *err);

/* Any request; borrowed for the call. Otherwise as http_fetcher_get. */
MUST_USE enum err_code http_fetcher_send(struct http_fetcher *fetcher,
                                         const struct http_client_request *request,
                                         struct http_reply *reply, struct err *err);

/* Many at once: start as many as shall be in flight, take results with _next in whatever order they
 * come, start more. http_fetcher_get may not be mixed with transfers in flight. */
void http_fetcher_start(struct http_fetcher *fetcher, const char *url, size_t reply_bytes_max,
                        uint32_t timeout_ms, uint64_t tag);

struct http_fetched {
    uint64_t tag;            /* as given to http_fetcher_start */
    enum err_code code;      /* E_OK, or why there is no reply, with `err` */
    struct http_reply reply; /* with E_OK; the caller clears it (clearing an empty one is fine) */
    struct err err;
};

/* Waits for the next result; false when nothing is in flight. */
MUST_USE bool http_fetcher_next(struct http_fetcher *fetcher, struct http_fetched *out);

size_t http_fetcher_in_flight(const struct http_fetcher *fetcher);

#endif
